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
    says err "note: the first that is not: what is computed for 'v'"
    [ "$(cat w.safetensors)" = old ] || fail "weights were written"
done
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --engine eval
says err E0555
# finite values, but not their derivative
model 'sqrt(x * 0) + x'
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e38)'
says err 'E0555.*at update [1-9]'
says err 'the first that is not: '
# the weights are as large as numbers get
model x
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e38)'
says err 'the first that is not: '
# a checkpoint from before: the second epoch has quite another rate
expect 1 "$RONDO" train m.rondo -q -o w.safetensors --set 'optimizer=sgd(lr = 1e-9)' --set 'schedule=step(every = 1, factor = 1e30)' --checkpoint state
says err 'the last checkpoint, state, is of 1 complete epochs: --resume goes on from it'
expect 0 "$RONDO" train m.rondo -q -o resumed.safetensors --set 'optimizer=sgd(lr = 1e-9)' --resume state
[ "$(cat w.safetensors)" = old ] || fail "weights were written"
