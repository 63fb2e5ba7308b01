# A training holds no more memory after 10,000 epochs than after 100: with validation, metrics, a log, a checkpoint and early stopping.
. "$SRC/tests/lib.sh"
if grep -q 'RONDO_SANITIZE:STRING=.' "$BUILD/CMakeCache.txt"; then echo "skipped: resident memory says nothing under a sanitizer"; exit 77; fi
awk 'BEGIN { print "v"; for (i = 0; i < 60; i++) print sin(i * 0.7) }' >wave.csv
cat >m.rondo <<'M'
model m[H = 4] {
    input x: seq [1]
    target y: [1]

    h = gru[H](x)
    p = dense[1](h.last)

    output p
    loss mse(p, y)
    metric mae(p, y), rmse(p, y)
    train { optimizer = adam(lr = 1e-3), batch = 16, validation = 0.2, early_stopping = 20000, accumulate = 2 }
    data { csv = "wave.csv", column = "v", window = 5, split = 0.8, scale = standard }
}
M
"$CC" -D_DEFAULT_SOURCE -o peak "$SRC/tests/train/peak.c"
train() { # EPOCHS
    expect 0 ./peak "$RONDO" train m.rondo -q --seed 1 --set epochs="$1" -o w.safetensors --log log.csv --checkpoint state
    peak=$(sed -n 's/^peak //p' err)
}
train 100
train 100 # with code from the cache
few=$peak
train 10000
[ "$(wc -l <log.csv)" = 10001 ] || fail "$(wc -l <log.csv) lines of log"
echo "100 epochs: $few KiB, 10,000: $peak KiB"
[ "$peak" -le $((few + 1024)) ] || fail "10,000 epochs took $((peak - few)) KiB more than 100"
