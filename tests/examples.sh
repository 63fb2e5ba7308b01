# An example of examples/NAME: the commands of its README.md, in order, in a copy of the folder.
. "$SRC/tests/lib.sh"
cp -r "$SRC/examples" .
cd "examples/$NAME"
PATH=$(dirname "$RONDO"):$PATH
export PATH
for t in gnuplot arm-none-eabi-gcc qemu-system-arm; do
    if grep -q "^    \\$ $t" README.md && ! command -v $t >/dev/null; then
        echo "skipped: needs $t"
        exit 77
    fi
done
tour README.md
[ "$n" -ge 4 ] || fail "only $n commands"
