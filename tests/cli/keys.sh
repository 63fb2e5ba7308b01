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
# a string needs no quotes on the command line
expect 0 "$RONDO" train $M -o q.safetensors --set epochs=1 --set H=8 -q --set 'monitor="loss"' --set 'sample_weights="year"'
expect 0 "$RONDO" train $M -o p.safetensors --set epochs=1 --set H=8 -q --set monitor=loss --set sample_weights=year
cmp q.safetensors p.safetensors || fail "without quotes it is another string"
expect 1 "$RONDO" train $M -o p.safetensors -q --set 'date=the year'
says err "no column 'the year'"
# what is not there is refused with its name
expect 1 "$RONDO" train $M -o a.safetensors --set 'sample_weights="none"' -q
says err 'E0551.*sample_weights'
expect 1 "$RONDO" train $M -o a.safetensors --set monitor=f1 -q
says err 'E0551.*f1'
# factors of single examples: a column of a table, an entry of a JSON line; what does not train needs none
cat >rows.rondo <<'END'
model rows {
    input x: [2]
    target y: [1]
    p = dense[1](x)
    output p
    loss mse(p, y)
    train { optimizer = sgd(lr = 0.02), epochs = 3, batch = 4, sample_weights = "w" }
    data { csv = "rows.csv", column = ["a", "b"], split = 1 }
}
END
awk 'BEGIN { print "a,b,y,w"; for (i = 0; i < 11; i++) print i % 3 "," i % 5 "," i % 4 "," 2 }' >rows.csv
awk -F, 'NR > 1 { print "{\"x\": [" $1 ", " $2 "], \"y\": " $3 ", \"w\": " $4 "}" }' rows.csv >rows.jsonl
sed 's/csv = .*"b"\]/jsonl = "rows.jsonl"/' rows.rondo >lines.rondo
sed 's/, sample_weights = "w"//; s/0\.02/0.04/' rows.rondo >twice.rondo
mkdir same # weights say which file they are from
for m in rows lines twice; do
    cp $m.rondo rows.csv rows.jsonl same
    mv same/$m.rondo same/model.rondo
    expect 0 "$RONDO" train same/model.rondo -o $m.safetensors -q
done
cmp -s rows.safetensors lines.safetensors || fail "another file gave other weights"
"$RONDO" predict rows.rondo -w rows.safetensors >a && "$RONDO" predict rows.rondo -w twice.safetensors >b
awk -F, 'NR == FNR { v[FNR] = $NF; next } FNR > 1 { d = $NF - v[FNR]; if (!(d < 1e-6 && d > -1e-6)) bad = 1 } END { exit bad || FNR != 12 }' a b || fail "a factor of 2 is not twice the gradient"
cut -d, -f1-3 rows.csv >bare.csv
expect 0 "$RONDO" eval rows.rondo -w rows.safetensors --data bare.csv
expect 1 "$RONDO" train rows.rondo -o none.safetensors -q --data bare.csv
says err "E0611.*no column 'w'"
for cell in nan inf -1; do
    sed "5s/,2\$/,$cell/" rows.csv >bad.csv
    expect 1 "$RONDO" train rows.rondo -o none.safetensors -q --data bad.csv
    says err 'bad.csv:5: .*'"'$cell'\|negative"
done
for cell in nan inf 1e999; do
    sed "5s/^[^,]*/$cell/" rows.csv >bad.csv
    expect 1 "$RONDO" train rows.rondo -o none.safetensors -q --data bad.csv
    says err "bad.csv:5: column 'a' holds '$cell', which is not a number"
done
