# The recurrent cells of std: each cites its paper, has a model in tests/models/cells.rondo, where every test that loops over the
# cells finds it, and a row in docs/std.md, which is made from their text (UPDATE=1 writes it anew).
. "$SRC/tests/lib.sh"
cat >table.awk <<'END_AWK'
# cell lines, with the comment before them, their param, const and state lines: a row each, if there is a state
function flush_cell() {
    if (name != "" && state != "") print "| `" head "` | " paper " | " params " | " state " |"
    name = ""
}
function entries(line) { # `a, b: [H] = init` -> `a` `b` [H]
    sub(/^ *[a-z]+ /, "", line)
    sub(/ = .*/, "", line)
    type = line
    if (!sub(/^[^:]*: /, "", type)) type = "[]"
    sub(/:.*/, "", line)
    return line " " type
}
/^#/ { text = text == "" ? substr($0, 3) : text " " substr($0, 3); next }
/^cell / {
    flush_cell()
    head = $0
    sub(/^cell /, "", head)
    sub(/ *[{].*/, "", head)
    name = head
    sub(/[[(].*/, "", name)
    paper = text
    text = params = state = ""
    next
}
/^ +(param|const) / { params = params (params == "" ? "" : "; ") entries($0) }
/^ +state / { state = state (state == "" ? "" : "; ") entries($0) }
/^}/ { flush_cell() }
/^[^ ]/ { text = "" }
/^$/ { text = "" }
END {
    flush_cell()
}
END_AWK
for f in "$SRC"/std/*.rondo; do awk -f table.awk "$f"; done >rows
cells=$(sed 's/^| `\([a-z_0-9]*\).*/\1/' rows)
[ "$(echo "$cells" | wc -l)" -ge 40 ] || fail "only $(echo "$cells" | wc -l) recurrent cells in std"
for cell in $cells; do
    grep -q "^model $cell\[" "$SRC/tests/models/cells.rondo" || fail "$cell has no model in tests/models/cells.rondo"
    grep "^| \`$cell[[(]" rows | grep -q '| [A-Z][^|]*[12][0-9][0-9][0-9], ' || fail "$cell cites no paper"
    expect 0 "$RONDO" check "$SRC/tests/models/cells.rondo" --model "$cell"
done
doc=$SRC/docs/std.md
{
    sed '/^| cell /q' "$doc"
    echo "|---|---|---|---|"
    cat rows
    sed '1,/^| cell /d' "$doc" | sed '/^|/d'
} >want
if [ -n "${UPDATE:-}" ]; then cp want "$doc"; fi
cmp -s want "$doc" || { diff "$doc" want >&2 || true; fail "docs/std.md is not what std says: UPDATE=1 writes it"; }
