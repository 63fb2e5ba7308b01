# An example of examples/NAME: the commands of its README.md, in order, in a copy of the folder.
. "$SRC/tests/lib.sh"
cp -r "$SRC/examples" .
cd "examples/$NAME"
PATH=$(dirname "$RONDO"):$PATH
export PATH
if grep -q 'gnuplot' README.md && ! command -v gnuplot >/dev/null; then
    echo "skipped: needs gnuplot"
    exit 77
fi
tour README.md
[ "$n" -ge 4 ] || fail "only $n commands"
