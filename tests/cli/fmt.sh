# rondo fmt: in place, --check, idempotent, nothing written for a file with errors.
. "$SRC/tests/lib.sh"

printf 'cell  d[O](x:[I]){param W:[O,I]=glorot_uniform   # weights\nreturn W@x}\n' >a.rondo
cp a.rondo before
expect 1 "$RONDO" fmt --check a.rondo
says out 'a.rondo is not formatted'
cmp -s a.rondo before || fail "--check changed the file"
expect 0 "$RONDO" fmt a.rondo
grep -q '# weights' a.rondo || fail "a comment was lost"
cp a.rondo once
expect 0 "$RONDO" fmt --check a.rondo
silent out
expect 0 "$RONDO" fmt a.rondo
cmp -s a.rondo once || fail "formatting twice differs"

printf 'cell d[O](x: [I]) {\n    return W @ \n}\n' >bad.rondo
cp bad.rondo before
expect 1 "$RONDO" fmt bad.rondo
says err 'bad.rondo:'
cmp -s bad.rondo before || fail "a file with errors was changed"
expect 1 "$RONDO" fmt missing.rondo
says err 'missing.rondo'

# what ships is formatted
for f in "$SRC"/examples/*.rondo "$SRC"/std/*.rondo "$SRC"/bench/*.rondo; do expect 0 "$RONDO" fmt --check "$f"; done
