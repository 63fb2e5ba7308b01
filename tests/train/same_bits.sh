# Training is a function of the model, the data and the seed: the same bits again, with any number of threads and any engine,
# and after a stop in the middle of an epoch (Ctrl-C) and a resumption. The model has dropout and a short last batch.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/sunspots.csv" .
cat >m.rondo <<'M'
model m[H = 9] {
    input x: seq [1]
    target y: [1]

    h = lstm[H](dropout[0.1](dense[5](x)))
    p = dense[1](dropout[0.2](h.last))

    output p
    loss mse(p, y)
    train { optimizer = adam(lr = 1e-3), epochs = 6, batch = 32, clip_norm = 0.5 }
    data { csv = "sunspots.csv", column = "sunspots", window = 10, horizon = 1, split = 0.8, scale = minmax }
}
M
passed=0
failed=0
same() { # WHAT A B
    if cmp -s "$2" "$3"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $1" >&2
    fi
}
train() { # OUT options..
    to=$1
    shift
    expect 0 "$RONDO" train m.rondo -q --seed 3 -o "$to" "$@"
}
train a.st
train b.st
same "the same command twice" a.st b.st
for n in 2 3; do
    train b.st --threads $n
    same "$n threads" a.st b.st
done
train b.st --engine loops
same "engine loops" a.st b.st
expect 0 "$RONDO" train m.rondo -q --seed 4 -o other.st
! cmp -s a.st other.st || fail "another seed gave the same weights"

# stopped after 2 and after 5 of 6 epochs
for n in 2 5; do
    train half.st --set epochs=$n --checkpoint state
    train b.st --resume state
    same "resumed after $n epochs" a.st b.st
done

# Ctrl-C wherever it lands (a shell starts its background processes with SIGINT ignored, hence env): everything is saved, the process ends by the signal, and going on gives the bits of the unbroken run
epochs=1500
train whole.st --set epochs=$epochs
for delay in 0.15 0.3; do
    rm -f state cut.st
    env --default-signal=INT "$RONDO" train m.rondo --seed 3 -o cut.st --set epochs=$epochs --checkpoint state >out 2>err &
    pid=$!
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        grep -q '^epoch 1/' err && break
        sleep 0.1
    done
    sleep $delay
    kill -INT $pid 2>/dev/null || true
    rc=0
    wait $pid || rc=$?
    if [ $rc = 0 ]; then
        echo "the run was over before the signal (delay $delay)"
        continue
    fi
    [ $rc = 130 ] || { cat err >&2; fail "exit $rc after SIGINT"; }
    says out '^stopped: '
    echo "$(cat out)"
    [ -s cut.st ] && [ -s state ] || fail "nothing saved at Ctrl-C"
    train b.st --set epochs=$epochs --resume state
    same "resumed after Ctrl-C" whole.st b.st
done
[ $passed -ge 7 ] || fail "no run was interrupted"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
