# rondo check: what a model is made of; errors on standard error with a place and exit 1.
. "$SRC/tests/lib.sh"

cat >m.rondo <<'END'
model tiny[H = 4] {
    input  x: seq [3]
    target y: [2]
    h = lstm[H](x)
    p = dense[2](h.last)
    output p
    loss mse(p, y)
}
END
expect 0 "$RONDO" check m.rondo
says out '^model tiny: 138 parameters'
says out 'param *h.Wi *\[4, 3\]'
says out 'state *h.c *\[4\]'
says out 'input *x *seq(T) \[3\]'
says out 'output *p *\[2\]'
silent err
expect 0 "$RONDO" check m.rondo --set H=8
says out 'param *h.Wi *\[8, 3\]'
expect 0 "$RONDO" check m.rondo --json
says out '^{"model": "tiny", "parameters": 138'
if command -v jq >/dev/null; then jq -e '.params | length > 0' out >/dev/null || fail "not JSON"; fi

sed 's/h.last/h.lsat/' m.rondo >bad.rondo
expect 1 "$RONDO" check bad.rondo
says err 'bad.rondo:5:'
says err 'error'
silent out
printf 'cell d[O](x: [I]) {\n    param W: [O, I] = glorot_uniform\n    return W @ x\n}\n' >cell.rondo
expect 0 "$RONDO" check cell.rondo
for f in "$SRC"/examples/*.rondo; do expect 0 "$RONDO" check "$f"; done
