# For shell tests: . "$SRC/tests/lib.sh"
fail() {
    echo "FAIL: $*" >&2
    exit 1
}
# expect CODE command..: runs it, keeps its output in out and err, and wants that exit code.
expect() {
    want=$1
    shift
    got=0
    "$@" >out 2>err || got=$?
    [ "$got" = "$want" ] || { cat out err >&2; fail "exit $got instead of $want: $*"; }
}
# says FILE pattern
says() { grep -q -e "$2" "$1" || { cat "$1" >&2; fail "$1 does not say: $2"; }; }
silent() { [ ! -s "$1" ] || { cat "$1" >&2; fail "$1 is not empty"; }; }

commands="check fmt train eval predict run gradcheck emit import ir opt explain bench"
