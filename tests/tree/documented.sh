# docs/language.md or docs/std.md names every function of the compiler, every declaration of std, every reserved and block word.
. "$SRC/tests/lib.sh"
{
    sed -n 's/^B("\([a-z0-9_]*\)".*/\1/p' "$SRC/frontend/builtins.def"
    cat "$SRC"/std/*.rondo | sed -n 's/^\(cell\|fn\|init\|metric\|optimizer\) \([a-z0-9_]*\).*/\2/p'
    sed -n '/^} reserved\[\]/,/^};/p' "$SRC/frontend/lexer.l" | grep -o '{"[a-z]*"' | tr -d '{"'
    sed -n '/^} block_words\[\]/,/^};/p' "$SRC/frontend/parse.c" | grep -o '{"[a-z]*"' | tr -d '{"'
} | sort -u >words
[ "$(wc -l <words)" -gt 200 ] || fail "only $(wc -l <words) words found"
missing=
while read -r w; do
    grep -q "[\` (\`]$w[^a-z0-9_]" "$SRC/docs/language.md" "$SRC/docs/std.md" || missing="$missing $w"
done <words
[ -z "$missing" ] || fail "not documented:$missing"
