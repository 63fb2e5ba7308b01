# Each page of passes/ begins with what it does and shows it on a graph or a program; each file of std/ keeps std/README.md.
. "$SRC/tests/lib.sh"
cd "$SRC"

head_of() { sed '/\*\//q' "$1"; }
for f in passes/*.c; do
    case $(head -1 "$f") in '/* '*) ;; *) fail "$f does not begin with a comment" ;; esac
done
# the row of a pass: its page, or the page of the function
for p in $(sed -n 's/^    {"\([a-z_]*\)", .*/\1/p' passes/pipeline.c); do
    f=$(grep -lE "^(bool|LProgram \*)? ?\*?pass_$p\(" passes/*.c) || fail "pass $p has no function"
    head_of "$f" | grep -qE "^/\* $p: |^/\* $p$" || fail "$f does not begin with '$p:'"
    head_of "$f" | grep -qE 'before:|->|  +[a-z(]' || fail "$f: no before and after at its head"
    ls tests/passes/"$p"-*.ir >/dev/null 2>&1 || fail "pass $p has no printed test in tests/passes"
done
for f in passes/lower_*.c passes/autodiff_*.c passes/distribute*.c passes/kinds.c passes/merge_*.c passes/remat*.c; do
    case $f in passes/remat_flow.c) continue ;; esac
    head_of "$f" | grep -qE '%[0-9]|before:|scan\(|dot\(|->' || fail "$f: its head shows no graph"
done

# std/README.md: a file says on its first line what it holds, and above a cell or an optimizer with a memory stands whose it is.
for f in std/*.rondo; do
    case $(head -1 "$f") in '# '*) ;; *) fail "$f does not begin with a comment" ;; esac
    grep -q "^| \`$(basename "$f")\` |" std/README.md || fail "std/README.md does not list $f"
    bad=$(awk '/^#/ { said = 1; next }  /^(cell|optimizer) / { name = $2; sub("[[(].*", "", name); known = said }
        /^ *state / && name != "" && !known { print FNR ": nothing above " name; name = "" }  { said = 0 }' "$f")
    [ -z "$bad" ] || fail "$f: $bad"
done
"$RONDO" fmt --check std/*.rondo >/dev/null || fail "a file of std/ is not in the format of rondo fmt"
