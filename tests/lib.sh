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

commands="new doc plot check fmt train tune eval predict generate run gradcheck emit import ir opt explain bench"
# tour FILE: runs every indented line that starts with "$ ", in order. A line "# => text" after a command is what its output must
# contain. n is the number of commands.
tour() {
    n=0
    grep -E '^ {4}(\$ |# => )' "$1" | sed 's/^ *//' >lines
    while IFS= read -r line <&3; do
        case $line in
        '$ '*)
            command=${line#??}
            echo "+ $command"
            sh -euc "$command" >out 2>&1 </dev/null || { cat out; fail "$command"; }
            n=$((n + 1))
            ;;
        '# => '*)
            grep -qF -e "${line#'# => '}" out || { cat out; fail "the output of '$command' does not contain '${line#'# => '}'"; }
            ;;
        esac
    done 3<lines
}
