# Keys of train that need files or the command line: windows, weights and schedules give the same bits for any number of
# threads and after a resumption; validation on a file of its own.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/sunspots.rondo" "$SRC/examples/sunspots.csv" .
M=sunspots.rondo
keys="--set epochs=3 --set H=8 --set bptt=4 --set stateful=true --set schedule=cosine(warmup=1) --set sample_weights=\"year\" --seed 3 -q"
expect 0 "$RONDO" train $M -o a.safetensors $keys --set 'optimizer=sgd(lr = 1e-6)'
expect 0 "$RONDO" train $M -o b.safetensors $keys --set 'optimizer=sgd(lr = 1e-6)' --threads 2
cmp -s a.safetensors b.safetensors || fail "two threads gave other weights"
for key in bptt=0 stateful=false 'schedule=constant'; do
    expect 0 "$RONDO" train $M -o c.safetensors $keys --set 'optimizer=sgd(lr = 1e-6)' --set "$key"
    if cmp -s a.safetensors c.safetensors; then fail "$key changed nothing"; fi
done
# the file of the validation is another one: half of the rows
head -n 150 sunspots.csv >half.csv
expect 0 "$RONDO" train $M -o a.safetensors --set epochs=1 --set H=8 --set 'validation="half.csv"' --log log.jsonl -q
grep -q '"valid_loss": *[0-9]' log.jsonl || { cat log.jsonl; fail "no loss on the validation file"; }
expect 0 "$RONDO" train $M -o a.safetensors --set epochs=1 --set H=8 --set validation=0 --log log2.jsonl -q
if grep -q '"valid_loss": *[0-9]' log2.jsonl; then fail "a validation loss without validation"; fi
# what is not there is refused with its name
expect 1 "$RONDO" train $M -o a.safetensors --set 'sample_weights="none"' -q
says err 'E0551.*sample_weights'
expect 1 "$RONDO" train $M -o a.safetensors --set monitor=f1 -q
says err 'E0551.*f1'
