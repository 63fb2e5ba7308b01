# kill -9 at random moments of a training with a checkpoint: what is resumed ends with the bits of the unbroken run. KILLS: how many.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/sunspots.csv" .
cat >m.rondo <<'M'
model m[H = 32] {
    input x: seq [1]
    target y: [1]

    h = lstm[H](dropout[0.1](dense[8](x)))
    p = dense[1](h.last)

    output p
    loss mse(p, y)
    train { optimizer = adam(lr = 1e-3), epochs = 400, batch = 16, accumulate = 2, validation = 0.1, early_stopping = 1000 }
    data { csv = "sunspots.csv", column = "sunspots", window = 20, split = 0.8, scale = minmax }
}
M
train() { "$RONDO" train m.rondo -q --seed 3 "$@"; }
start=$(date +%s%N)
train -o whole.safetensors --checkpoint state --log whole.csv >/dev/null
took=$((($(date +%s%N) - start) / 1000000))
n=0
with=0
while [ $n -lt "${KILLS:-2}" ]; do
    rm -f state part.safetensors
    at=$(od -An -N4 -tu4 /dev/urandom | awk -v took=$took '{ printf "%.3f", (0.2 + 0.8 * $1 / 4294967296) * took / 1000 }')
    start=$(date +%s%N)
    rc=0
    timeout -s KILL "$at" "$RONDO" train m.rondo -q --seed 3 -o part.safetensors --checkpoint state --log part.csv >/dev/null 2>&1 || rc=$?
    [ $rc = 137 ] || [ $rc = 0 ] || fail "exit $rc"
    if [ $rc = 0 ]; then # done before its time: the machine was busier when the first run was measured
        took=$((($(date +%s%N) - start) / 1000000))
        cmp part.safetensors whole.safetensors || fail "a run that was not broken has other bits"
        continue
    fi
    n=$((n + 1))
    [ ! -e part.safetensors ] || cmp part.safetensors whole.safetensors || fail "weights of a broken run"
    rm -f part.safetensors
    if [ -e state ]; then
        with=$((with + 1))
        train -o part.safetensors --resume state --log part.csv >/dev/null
    else train -o part.safetensors --log part.csv >/dev/null; fi
    cut -d, -f1-4 whole.csv >want
    cut -d, -f1-4 part.csv | cmp - want || fail "kill $n, after $at s: another log"
    cmp part.safetensors whole.safetensors || { cp state "$BUILD/kill.state" 2>/dev/null || true; fail "kill $n, after $at s: other bits"; }
    echo "kill $n after $at s"
done
echo "$n kills, $with of them after a checkpoint: the bits of the unbroken run of $took ms"
