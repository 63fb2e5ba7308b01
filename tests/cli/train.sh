# train, eval, predict and emit on the example; logs, checkpoints, Ctrl-C.
. "$SRC/tests/lib.sh"
M=$SRC/examples/sunspots.rondo

expect 0 "$RONDO" train "$M" -o w.safetensors --set epochs=3 --seed 7 --log log.csv
says out '3 epochs'
says err '^epoch 3/3  loss '
[ -s w.safetensors ] || fail "no weights"
[ "$(wc -l <log.csv)" = 4 ] || fail "log.csv has not one line an epoch"
expect 0 "$RONDO" train "$M" -o again.safetensors --set epochs=3 --seed 7 --log log.jsonl -q --json --threads 2
silent err
says out '"epochs": 3'
[ "$(wc -l <log.jsonl)" = 3 ] || fail "log.jsonl has not one line an epoch"
cmp -s w.safetensors again.safetensors || fail "the same seed gave other weights"

# a run that was cut in two ends with the same bits
expect 0 "$RONDO" train "$M" -o half.safetensors --set epochs=2 --seed 7 -q --checkpoint state
expect 0 "$RONDO" train "$M" -o whole.safetensors --set epochs=3 --seed 7 -q --resume state
cmp -s w.safetensors whole.safetensors || fail "a resumed run differs"
expect 1 "$RONDO" train "$M" -o no.safetensors --set epochs=3 --set H=7 -q --resume state
says err 'E0615.*other names or shapes'
says err 'the same --set and --data'
# so does one that ends with its best weights: the checkpoint holds the last ones; and one that had ended early does not go on
best="--set validation=0.2 --set early_stopping=2 --set optimizer=adam(lr=0.01)"
expect 0 "$RONDO" train "$M" -o best.safetensors --set epochs=40 --seed 7 -q $best --checkpoint ended --log best.csv
epochs=$(($(wc -l <best.csv) - 1))
[ $epochs -gt 5 ] && [ $epochs -lt 40 ] || fail "$epochs epochs instead of an early end"
expect 0 "$RONDO" train "$M" -o half.safetensors --set epochs=$((epochs - 1)) --seed 7 -q $best --checkpoint state_of_best
for from in state_of_best ended; do
    cp best.csv goes_on.csv
    expect 0 "$RONDO" train "$M" -o whole.safetensors --set epochs=40 --seed 7 -q $best --resume $from --log goes_on.csv
    cmp -s best.safetensors whole.safetensors || fail "resumed from $from: other weights than the best"
    [ "$(wc -l <goes_on.csv)" = "$(wc -l <best.csv)" ] || fail "resumed from $from: not $epochs epochs"
done
# its log goes on where the checkpoint was made, whatever a killed run wrote after it
for end in csv jsonl; do
    { cat log.$end; tail -n 1 log.$end | tr -d '\n'; } >goes_on.$end
    expect 0 "$RONDO" train "$M" -o whole.safetensors --set epochs=3 --seed 7 -q --resume state --log goes_on.$end
    sed 's/\(,\|, "seconds": \)[0-9.e-]*}*$//' log.$end >want
    sed 's/\(,\|, "seconds": \)[0-9.e-]*}*$//' goes_on.$end | cmp - want || { cat goes_on.$end; fail "another log"; }
done
: >goes_on.csv
expect 0 "$RONDO" train "$M" -o whole.safetensors --set epochs=3 --seed 7 -q --resume state --log goes_on.csv
[ "$(cut -d, -f1 goes_on.csv | tr '\n' ' ')" = "epoch 3 " ] || fail "a log that was empty: $(cat goes_on.csv)"

expect 0 "$RONDO" eval "$M" -w w.safetensors
says out '^loss [0-9]'
expect 0 "$RONDO" eval "$M" -w w.safetensors --json
says out '^{"loss": [0-9]'

expect 0 "$RONDO" predict "$M" -w w.safetensors --future 3 -o p.csv
[ "$(wc -l <p.csv)" = 303 ] || fail "p.csv: $(wc -l <p.csv) lines, not 1 + 299 + 3"
says p.csv '^date,truth,forecast,part$'
says p.csv '^1710,[0-9.]*,[-0-9.]*,train$'
says p.csv '^2008,2.9,[-0-9.]*,test$'
says p.csv '^2011,,[-0-9.]*,future$'
expect 2 "$RONDO" predict "$M"
says err 'W.safetensors is missing'

# a horizon of 4: the four rows past the end of a shorter table are forecast as where the table goes on, since their windows are known; a
# target of three rows has them from the last window
sed '/input x/s/x/x, also/; s/column = "sunspots"/column = ["sunspots", "year"], target_column = "sunspots"/; s/ h = .*/ h = gru[4]([x, also])/; s/horizon = 1/horizon = 4/' "$M" >four.rondo
cp "$SRC/examples/sunspots.csv" .
head -n 306 sunspots.csv >shorter.csv
expect 0 "$RONDO" train four.rondo -q --seed 1 --set epochs=1 -o four.safetensors
expect 0 "$RONDO" predict four.rondo -w four.safetensors -o all.csv
expect 0 "$RONDO" predict four.rondo -w four.safetensors --data shorter.csv --future 4 -o p.csv
tail -n 4 all.csv | awk -F, -v OFS=, '{ print $1, "", $3, "future" }' >want
tail -n 4 p.csv | cmp - want || { tail -n 4 p.csv; cat want; fail "another future than the forecasts of these rows"; }
expect 1 "$RONDO" predict four.rondo -w four.safetensors --future 5
says err 'E0552.*to go on by more than 4 rows, each forecast is fed back'
sed 's/horizon = 1/horizon = 3/; s/target y: \[1\]/target y: [3]/; s/dense\[1\]/dense[3]/; s/H = 50/H = 4/' "$M" >three.rondo
expect 0 "$RONDO" train three.rondo -q --seed 1 --set epochs=1 -o three.safetensors
expect 0 "$RONDO" predict three.rondo -w three.safetensors --future 3 -o p.csv
sed 's/horizon = 3/horizon = 1/; s/target y: \[3\]/target y: [1]/; s/output p/output q = p[0:1]/; s/mse(p/mse(p[0:1]/; /metric/d' three.rondo >first.rondo
expect 0 "$RONDO" predict first.rondo -w three.safetensors --future 1 -o q.csv
[ "$(tail -n 3 p.csv | head -n 1)" = "$(tail -n 1 q.csv)" ] || fail "not what the last window says of the next row"

# several columns: each has its truth and forecast, its error and its baselines, also in the future, on whatever side it stands
awk 'BEGIN { print "day,\"cold, dry\",warm" } { print NR - 1 "," 3 + (NR * 7) % 5 "," 100 + (NR * 3) % 11 * 10 }' sunspots.csv | sed 2d >two.csv
cat >two.rondo <<'R'
model two {
    input x: seq [2]
    target y: [2]
    p = x.last + dense[2](gru[4](x).last)
    output p
    loss mse(p, y)
    train { epochs = 2 }
    data { csv = "two.csv", column = ["cold, dry", "warm"], date = "day", window = 4, scale = minmax }
}
R
expect 0 "$RONDO" train two.rondo --seed 1 -o two.safetensors
says out '^cold, dry, in the units of the data: RMSE [0-9.]*; persistence [0-9.]*; linear autoregression of 8 values'
says out '^warm, in the units of the data: RMSE '
expect 0 "$RONDO" predict two.rondo -w two.safetensors --future 3 -o two.out
says two.out '^day\|^date,"truth cold, dry","forecast cold, dry",truth warm,forecast warm,part$'
[ "$(sed 1d two.csv | tail -n 1 | cut -d, -f2,3 | tr , ' ')" = "$(tail -n 4 two.out | head -n 1 | cut -d, -f2,4 | tr , ' ')" ] || fail "the truth of other columns: $(tail -n 4 two.out)"
expect 0 "$RONDO" eval two.rondo -w two.safetensors
for k in 'cold, dry' warm; do
    n=$([ "$k" = warm ] && echo 4 || echo 2)
    awk -F, -v n=$n '$NF == "test" { e += ($(n + 1) - $n) ^ 2; m++ } END { printf "%.6g\n", sqrt(e / m) }' two.out >want
    sed -n "s/^unscaled_rmse.$k. //p" out | awk '{ printf "%.6g\n", $1 }' | cmp - want || { cat out want; fail "the error of $k"; }
done
# columns and targets in another order are the same series, and the other way round in the output
sed 's/"cold, dry", "warm"/"warm", "cold, dry"/' two.rondo | sed 's/window = 4/target_column = ["warm", "cold, dry"], window = 4/' >turned.rondo
expect 0 "$RONDO" train turned.rondo -q --seed 1 -o turned.safetensors
expect 0 "$RONDO" predict turned.rondo -w turned.safetensors --future 3 -o turned.out
says turned.out '^date,truth warm,forecast warm,"truth cold, dry","forecast cold, dry",part$'
sed 's/"warm", "cold, dry"\], window/"cold, dry", "warm"], window/' turned.rondo >crossed.rondo
expect 1 "$RONDO" predict crossed.rondo -w turned.safetensors --future 3 -o crossed.out
says err 'E0552.*to go on by more than 1 row, .*fed back'
expect 0 "$RONDO" train two.rondo -q --seeds 2 -j 2 -o seeds.safetensors
says out 'unscaled_rmse.cold, dry. .*unscaled_rmse.warm. '
sed 's/y: \[2\]/y: [1]/; s/mse(p/mse(p[0:1]/' two.rondo >one.rondo
expect 1 "$RONDO" train one.rondo -q -o no.safetensors
says err "E0552.*the target 'y' has 1 feature, the data block gives 2 columns at horizon 1"
says err '`target_column = ..` names which of these columns are forecast'

# Ctrl-C: the weights so far are kept, and the process ends by the signal
"$RONDO" train "$M" -o stopped.safetensors --set epochs=1000000 >out 2>err &
pid=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q 'epoch 1/' err && break
    sleep 0.5
done
kill -TERM $pid
rc=0
wait $pid || rc=$?
[ $rc = 143 ] || fail "exit $rc after SIGTERM"
says out '^stopped: '
[ -s stopped.safetensors ] || fail "nothing saved"

# while the data are still read there is nothing to keep, and nothing to wait for
mkfifo slow.csv
env --default-signal=INT "$RONDO" train "$M" --set "csv=\"$PWD/slow.csv\"" -o early.safetensors >out 2>err &
pid=$!
sleep 0.3
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 130 ] || fail "exit $rc after SIGINT while data are read"
[ ! -e early.safetensors ] || fail "weights of nothing"

# on a terminal: one line, drawn again and again, no wider than the terminal; nothing of a part that does not validate
if command -v script >terminal 2>&1; then
    script -qc "stty cols 30; '$RONDO' train '$M' -o tty.safetensors --set epochs=300" terminal </dev/null >out 2>&1
    grep 'epoch 1/300 ' terminal | tr '\r' '\n' | grep epoch >drawn
    [ "$(wc -l <drawn)" -gt 1 ] || fail "the line is not drawn again"
    [ "$(wc -L <drawn)" -lt 30 ] || { cat drawn; fail "the line is wider than the terminal"; }
    script -qc "stty cols 120; '$RONDO' train '$M' -o tty.safetensors --set epochs=300" terminal </dev/null >out 2>&1
    if grep valid terminal; then fail "a loss that validates where nothing does"; fi
else
    echo "skipped: the line on a terminal; script is not here"
fi
