# --gradient: the modes through every command that has them, and what is refused.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/online.rondo" "$SRC/examples/sunspots.csv" .
C=$SRC/tests/conform/cells

expect 0 "$RONDO" gradcheck $C/mingru.rondo
says out '^rtrl = bptt .* ok$'
says out '^snap1 = bptt .* ok$'
expect 0 "$RONDO" gradcheck $C/elman_tanh.rondo --gradient rtrl
says out '^rtrl = bptt .* ok$'
says out '^snap1 = bptt .* an approximation here$'
expect 0 "$RONDO" gradcheck $C/bilstm2.rondo
says out '^rtrl = bptt .*runs backwards over the sequence'
# snap1 is not the gradient: differences say so
expect 1 "$RONDO" gradcheck $C/elman_tanh.rondo --gradient snap1
says out 'y.U .*PAST'

# the example learns: an update a step, twice with the same bits, with any number of threads
expect 0 "$RONDO" train online.rondo -o a.safetensors
says out '1600 updates'
expect 0 "$RONDO" train online.rondo -o b.safetensors --threads 2 -q
cmp -s a.safetensors b.safetensors || fail "two threads gave other weights"
expect 0 "$RONDO" train online.rondo -o b.safetensors --gradient snap1 -q
cmp -s a.safetensors b.safetensors || fail "snap1 is not rtrl where units see only themselves"
expect 0 "$RONDO" train online.rondo -o b.safetensors --gradient bptt -q
if cmp -s a.safetensors b.safetensors; then fail "rtrl in windows of one step is bptt"; fi

expect 0 "$RONDO" explain online.rondo --mode train
says out 'influence of h.W h.u h.b: in rows, 48 numbers an example'
says out 'a step .* gradient rtrl'
expect 0 "$RONDO" explain $C/lstm.rondo --mode train --gradient rtrl
says out 'as a whole, .* directions'
expect 0 "$RONDO" ir $C/mingru.rondo --grad --gradient rtrl
says out 'scan T fwd .* step'

for mode in rtrl snap1; do
    expect 1 "$RONDO" train $C/attention_pool.rondo --data online.rondo -o x --gradient $mode
    expect 1 "$RONDO" ir $C/attention_pool.rondo --grad --gradient $mode
    says err 'E0570.*every step reads a value of the end'
    says err '15 |     a = score.softmax'
    expect 1 "$RONDO" ir $C/bilstm2.rondo --grad --gradient $mode
    says err 'E0570.*backwards'
done
expect 2 "$RONDO" train online.rondo -o x --gradient forward
says err 'bptt, rtrl or snap1'
expect 1 "$RONDO" train online.rondo -o x --set gradient=forward
says err 'E0551.*gradient'

# memory: scratch does not grow with the steps; a budget below it is refused, and no recomputation is tried
for mode in rtrl snap1; do
    expect 0 "$RONDO" explain online.rondo --mode train --gradient $mode --steps 1000 --memory 64M
    grep '^  scratch' out >short
    expect 0 "$RONDO" explain online.rondo --mode train --gradient $mode --steps 100000 --memory 64M
    grep '^  scratch' out >long
    cmp short long || fail "the scratch of $mode grows with the steps"
    expect 1 "$RONDO" explain online.rondo --mode train --gradient $mode --steps 100000 --memory 1M
    says err "E0902.*the limit is 1 MiB"
    says err "gradient $mode keeps nothing of the steps"
done
expect 0 "$RONDO" train online.rondo -o b.safetensors --memory 64M -q
cmp -s a.safetensors b.safetensors || fail "a budget changed the weights of rtrl"
expect 1 "$RONDO" train online.rondo -o b.safetensors --memory 1M -q
says err "E0902"
