# Every call by which a training changes files, in turn, fails or is the last: a full disk, an I/O error, kill -9. An error is said, nothing
# crashes, and weights, checkpoint and runs of a search are whole: the old ones or the new ones. After kill -9 the same command, or
# --resume, ends with the bits of the unbroken run.
. "$SRC/tests/lib.sh"
if grep -q 'RONDO_SANITIZE:STRING=.' "$BUILD/CMakeCache.txt"; then echo "skipped: a sanitizer has to come first"; exit 77; fi
"$CC" -O1 -shared -fPIC -o badio.so "$SRC/tests/fault/badio.c" -ldl || { echo "skipped: no shared object"; exit 77; }
cp "$SRC/examples/sunspots.csv" .
cat >m.rondo <<'M'
model m[H = 4] {
    input x: seq [1]
    target y: [1]

    h = gru[H](x)
    p = dense[1](h.last)

    output p
    loss mse(p, y)
    train { optimizer = adam(lr = 1e-2), epochs = 2, batch = 64, validation = 0.1 }
    data { csv = "sunspots.csv", column = "sunspots", window = 5, split = 0.8, scale = minmax }
}
M
train() { "$RONDO" train m.rondo --seed 1 -o w.safetensors --checkpoint state --log log.csv; }
tune() { "$RONDO" tune m.rondo -s 'H={3, 4}' -s epochs=4 --method halving --trials 2 -j 1 -o w.safetensors; }
untimed() { sed 's/"seconds": [0-9.e-]*/"seconds": 0/' "$1"; }

# what there was before, and what there is to be
expect 0 "$RONDO" train m.rondo --seed 2 -o old.safetensors --checkpoint old.state -q
expect 0 "$RONDO" train m.rondo --seed 1 -o mid.safetensors --checkpoint mid.state --set epochs=1 -q # is saved on the way
cp old.safetensors w.safetensors
cp old.state state
train >/dev/null 2>&1
cp w.safetensors new.safetensors
cp state new.state
BADIO_COUNT=count LD_PRELOAD=$PWD/badio.so train >/dev/null 2>&1
calls=$(cat count)
[ "$calls" -gt 15 ] || fail "only $calls calls"

whole() { # WHAT FILE NAMES..
    what=$1 file=$2
    shift 2
    for f in "$@"; do ! cmp -s "$file" "$f" || return 0; done
    fail "$what: $file is neither the old one nor the new one"
}
errors=0
n=1
while [ $n -le "$calls" ]; do
    for how in ENOSPC EIO KILL; do
        cp old.safetensors w.safetensors
        cp old.state state
        rm -f log.csv
        rc=0
        BADIO=$how BADIO_AT=$n LD_PRELOAD=$PWD/badio.so train >out 2>err || rc=$?
        what="$how at call $n of $calls"
        whole "$what" w.safetensors old.safetensors new.safetensors
        whole "$what" state old.state mid.state new.state
        case $how$rc in
        KILL137)
            if ! cmp -s state old.state; then "$RONDO" train m.rondo --seed 1 -o w.safetensors --resume state -q >out 2>err || fail "$what: no resume"
            else train >out 2>err || fail "$what: again"; fi
            cmp w.safetensors new.safetensors || fail "$what: other bits afterwards"
            train >out 2>err || fail "$what: once more" # what the dead one left beside its files is gone
            ;;
        KILL*) fail "$what: exit $rc" ;;
        *0) cmp w.safetensors new.safetensors && cmp state new.state || fail "$what: success without its files" ;;
        *1)
            errors=$((errors + 1))
            says err 'error\[E0\|cannot write to standard output'
            ;;
        *) cat err; fail "$what: exit $rc" ;;
        esac
        [ -z "$(ls | grep '\.tmp$' || true)" ] || fail "$what: $(ls) is left over"
    done
    n=$((n + 1))
done
[ $errors -ge 10 ] || fail "only $errors errors were said"
echo "train: $calls calls, $errors errors said, all files whole"
[ "${FULL:-}" ] || exit 0

# a search goes on after each of them
rm -f w.safetensors
tune >/dev/null 2>&1
untimed w.safetensors >want
rm w.safetensors
BADIO_COUNT=count LD_PRELOAD=$PWD/badio.so tune >/dev/null 2>&1
calls=$(cat count)
n=1
while [ $n -le "$calls" ]; do
    for how in ENOSPC KILL; do
        rm -f w.safetensors*
        rc=0
        BADIO=$how BADIO_AT=$n LD_PRELOAD=$PWD/badio.so tune >out 2>err || rc=$?
        case $how$rc in KILL137 | *0 | *1) ;; *) cat err; fail "tune, $how at call $n: exit $rc" ;; esac
        tune >out 2>err || { cat err; fail "tune, $how at call $n: does not go on"; }
        untimed w.safetensors >got
        sort got >a
        sort want >b
        cmp a b || fail "tune, $how at call $n: other runs"
    done
    n=$((n + 1))
done
echo "tune: $calls calls"
