# --memory: an LSTM of 64 units over 100,000 steps trains within the bytes it is given, to the same bits as without a budget; a
# budget that cannot be kept is refused at once and nothing is written.
. "$SRC/tests/lib.sh"
awk 'BEGIN { for (i = 0; i < 100001; i++) printf "%.6f\n", sin(i * 0.03) + 0.3 * sin(i * 0.21) }' >wave.csv
cat >m.rondo <<'M'
model m[H = 64] {
    input x: seq [1]
    target y: [1]

    h = lstm[H](x)
    p = dense[1](h.mean)

    output p
    loss mse(p, y)
    train { optimizer = adam(lr = 1e-3), epochs = 1, batch = 1, shuffle = false }
    data { csv = "wave.csv", column = "0", window = 100000, horizon = 1, split = 1 }
}
M
"$CC" -D_DEFAULT_SOURCE -o peak "$SRC/tests/train/peak.c"
sanitized=no
if grep -q 'fsanitize' "$BUILD/CMakeCache.txt"; then sanitized=yes; fi

train() { # OUT options..
    to=$1
    shift
    expect 0 ./peak "$RONDO" train m.rondo -q --seed 3 -o "$to" "$@"
    peak=$(sed -n 's/^peak //p' err)
    [ -n "$peak" ] || fail "no peak"
}
train whole.st
train whole.st # with code from the cache
[ "$peak" -gt 200000 ] || fail "the whole sequence takes only $peak KiB: what is this a test of?"
for m in 64 32; do
    train part.st --memory ${m}M
    train part.st --memory ${m}M
    cmp whole.st part.st || fail "other bits with --memory ${m}M"
    echo "--memory ${m}M: $peak KiB"
    [ $sanitized = yes ] || [ "$peak" -le $((m * 1024)) ] || fail "--memory ${m}M took $peak KiB"
done
train part.st --memory 32M --threads 2
cmp whole.st part.st || fail "other bits on two threads"

rm part.st
expect 1 "$RONDO" train m.rondo -q -o part.st --memory 2M
says err 'E0902'
says err 'that is the least: in segments, with recomputation'
[ ! -e part.st ] || fail "a refused budget wrote weights"
for wrong in 0 -5 12X 64MB x; do
    expect 2 "$RONDO" train m.rondo --memory $wrong
    says err 'takes bytes'
done

expect 0 "$RONDO" explain m.rondo -b 1 -T 100000 --mode train --memory 64M
says out 'the steps of h run 2 times'
says out 'segments over T: 2 sweeps, recompute factor 1\.3'
says out 'segments  *[0-9]* of [0-9]* steps each, recompute factor 1\.3'
says out 'largest in scratch:'
expect 0 "$RONDO" explain m.rondo -b 1 -T 100000 --mode train --memory 64M --json
says out '"recompute_factor": 1\.3'
