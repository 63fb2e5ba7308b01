# A training that diverges says at which update, and the first tensor that was not finite: an input, a weight, a named value, a gradient;
# the weights' file stays what it was, and the last good checkpoint is named.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/sunspots.csv" .
model() { # what v is
    cat >m.rondo <<M
model m {
    input x: seq [1]
    target y: [1]

    v = $1
    h = lstm[4](v)
    p = dense[1](h.last)

    output p
    loss mse(p, y)
    train { optimizer = sgd(lr = 0.1), epochs = 3, batch = 64 }
    data { csv = "sunspots.csv", column = "sunspots", window = 5, split = 0.8, scale = minmax }
}
M
}
echo old >w.safetensors
model 'log(x - 0.5)'
for engine in jit loops; do
    expect 1 "$RONDO" train m.rondo -q -o w.safetensors --engine $engine
    says err 'E0555.*the loss is not a number at update 1 (epoch 1, batch 1)'
    says err "note: the first that is not: what is computed for 'v', by .log. of -0\.[0-9]*$"
    [ "$(cat w.safetensors)" = old ] || fail "weights were written"
done
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --engine eval
says err E0555
# values that no array holds: what is computed with is fused, and a branch that is not taken is no cause
model 'where(x > 2, log(x - 2), x)'
sed -i 's/output p/q = log(p - 1e6)\n    output q/; s/mse(p/mse(q/' m.rondo
expect 1 "$RONDO" train m.rondo -q -o w.safetensors
says err "note: the first that is not: what is computed for 'q', by .log."
sed -i 's/log(p - 1e6)/p * 1e30/' m.rondo
expect 1 "$RONDO" train m.rondo -q -o w.safetensors
says err "note: the first that is not: a value without a name, by .mul., from 'q', 'y'"
sed -i 's/lstm\[4\]/late[4]/; s/p \* 1e30/p/' m.rondo
cat >>m.rondo <<'M'
cell late[H](x: [I]) {
    param U: [H, I] = glorot_uniform
    state h: [H] = 0
    steep = exp(30 * h)
    h' = steep + U @ x
    return h'
}
M
expect 1 "$RONDO" train m.rondo -q -o w.safetensors
says err "note: the first that is not: what is computed for 'h.steep', by .exp."
# finite values, but not their derivative
model 'sqrt(x * 0) + x'
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e38)'
says err 'E0555.*at update [1-9]'
says err 'the first that is not: '
model 'sqrt(W * x)'
sed -i 's/    v = /    param W: [1] = 0\n    v = /' m.rondo
expect 1 "$RONDO" train m.rondo -q -o w.safetensors
says err 'E0555.*the gradient is not a number at update 1 '
says err "note: the first that is not: the gradient of 'W', by .div."
# the weights are as large as numbers get
model x
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e38)'
says err 'the first that is not: '
# a checkpoint from before: the second epoch has quite another rate
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e-9)' --set 'schedule=step(every = 1, factor = 1e30)' --checkpoint state
says err 'the last checkpoint, state, is of 1 complete epoch: --resume goes on from it'
# gone on from, and no other written since
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e30)' --resume state
says err 'the last checkpoint, state, is of 1 complete epoch: --resume goes on from it'
expect 0 "$RONDO" train m.rondo -q -o resumed.safetensors --set 'optimizer=sgd(lr = 1e-9)' --resume state
[ "$(cat w.safetensors)" = old ] || fail "weights were written"
