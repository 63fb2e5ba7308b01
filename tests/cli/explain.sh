# rondo explain: which products were merged and moved, the stages, the cost; --json the same for scripts.
. "$SRC/tests/lib.sh"
cat >m.rondo <<'END'
cell elman[H, O](x: [I]) {
    param W, V: [H, I] = glorot_uniform
    param U: [H, H] = orthogonal
    param R: [O, H] = glorot_uniform
    state h: [H] = 0
    h' = tanh(W @ x + U @ h) * sigmoid(V @ x)
    return R @ h'
}
model m {
    input  x: seq [3]
    target y: seq [2]
    p = elman[8, 2](x)
    output p
    loss mse(p, y)
}
END
expect 0 "$RONDO" explain m.rondo --batch 4 --steps 10
silent err
says out '^forward, batch 4, 10 steps:'
says out '^  stage 1: outside of the loops'
says out '^    product p.W p.V \[16, 3\], merged, needs no state; computed in chunks of steps$'
says out '^  place: product p.W p.V \[16, 3\]: in chunks of steps$'
says out '^  stage 2: loop over T, 1 value carried'
says out '^    product p.U \[8, 8\]$'
says out '^    product p.R \[2, 8\], no state needs it; computed behind the loop$'
says out '^    product p.R \[2, 8\], on the way back$'
says out '^  stage 4: loop over T, backwards, 1 value carried'
says out '^    product p.U \[8, 8\], on the way back'
says out 'gradients of weights, each one product over all rows'
says out '^  work  .* Mflop in products'
says out '^  peak  .* KiB'
# a weight that is used twice is not on the way back the second time
cat >twice.rondo <<'END'
model m {
    input x: seq [3]
    d = dense[3]
    p = d(tanh(d(x)))
    output p
}
END
expect 0 "$RONDO" explain twice.rondo --mode forward
[ "$(grep -c 'product d.W \[3, 3\]$' out)" = 2 ] || { cat out >&2; fail "a weight that is used twice"; }
expect 0 "$RONDO" explain m.rondo --mode step
says out '^step, batch 32, 1 step:'
expect 0 "$RONDO" explain m.rondo --mode forward --batch 1 --threads 2
says out '^  threads: one does all of one example, whose matrices of a step (0 KiB) are too small to share$'
expect 0 "$RONDO" explain "$SRC/bench/lstm.rondo" --mode forward --batch 1 --threads 2 --set H=160
says out '^  threads: 1 row for 2 of them: they share the columns of products$'
expect 0 "$RONDO" explain m.rondo --disable-pass distribute --mode forward
if grep -q 'needs no state' out; then fail "taken out of the loop without the pass"; fi
if command -v jq >/dev/null; then
    "$RONDO" explain m.rondo --json | jq -es '.[0].forward.stages | length == 3' >/dev/null || fail "stages in JSON"
fi
