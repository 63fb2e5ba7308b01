# rondo train --seeds, --folds: the same bits as one run at a time; mean and deviation are those of the table; each example tests once;
# what fails in one run is said and stops the rest. And the summary of a single run: what it says is what eval and predict say.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/sunspots.rondo" "$SRC/examples/sunspots.csv" .
M=sunspots.rondo
small="--set H=6 --set epochs=4"
expect 0 "$RONDO" train $M $small --seeds 3 -j 2 -q -o w.safetensors --log log.csv
cp out table
says table '^seed 3  '
[ "$(wc -l <log.seed2.csv)" = 5 ] || fail "no log of seed 2"
for s in 1 2 3; do
    expect 0 "$RONDO" train $M $small --seed $s -q -o one.safetensors
    cmp one.safetensors w.seed$s.safetensors || fail "seed $s has other bits"
done
expect 0 "$RONDO" train $M $small --seeds 2 --seed 2 -j 1 -q -o v.safetensors
cmp v.seed2.safetensors w.seed2.safetensors && cmp v.seed3.safetensors w.seed3.safetensors || fail "one at a time has other bits"
# mean and deviation of the second column
awk '/^seed/ { x[++n] = $3; s += $3 } /^mean/ { mean = $2 } /^standard/ { sd = $3 }
    END { m = s / n; for (i in x) q += (x[i] - m) ^ 2; d = sqrt(q / (n - 1)); exit !(n == 3 && (mean / m - 1) ^ 2 < 1e-6 && (sd / d - 1) ^ 2 < 1e-4) }' table || { cat table; fail "mean or deviation"; }
expect 0 "$RONDO" train $M $small --seeds 2 -q --json -o v.safetensors
says out '^{"runs": \[{"run": "seed 1", "epochs": 4, "weights": "v.seed1.safetensors", "loss": [0-9.]*, '
says out '"mean": {"loss": '

# the sizes of a run are kept with its weights, and the command line stands before them
expect 0 "$RONDO" eval $M -w v.seed1.safetensors
cp out kept
expect 0 "$RONDO" eval $M -w v.seed1.safetensors --set H=6
cmp out kept || fail "the size that was kept is another one"
expect 1 "$RONDO" eval $M -w v.seed1.safetensors --set H=5
says err "E0606.*\[6, 1\] where the model has \[5, 1\]"
says err 'so are 10 more'
says err 'set NAME=size'
expect 0 "$RONDO" emit c $M -w v.seed1.safetensors -o emitted
says emitted/sunspots.c '\[6\]'
# so is what was said of the data, but for their files
cp sunspots.csv other.csv
expect 0 "$RONDO" train $M --seed 1 --set 'csv = "other.csv"' --set window=7 --set 'split = chronological(0.5)' --set epochs=1 -o v.safetensors
says out "^next: rondo plot forecast $M -w v.safetensors -o sunspots.svg --set 'csv = \"other.csv\"'"
rm other.csv
expect 0 "$RONDO" eval $M -w v.safetensors
says out 'on the test part, 151 examples'
expect 0 "$RONDO" eval $M -w v.safetensors --set split=0.9
says out 'on the test part, 31 examples'

# a series is cut into blocks: what tests comes after all that trains, and no block tests twice
expect 0 "$RONDO" train $M $small --folds 3 -q --seed 5 -o f.safetensors
[ "$(grep -c '^fold' out)" = 3 ] || { cat out; fail "not three folds"; }
: >tested
for f in 0 1 2; do
    expect 0 "$RONDO" predict $M -w f.fold$f.safetensors -o p.csv
    awk -F, '$4 == "train" { if (test) exit 1 } $4 == "test" { test = 1; print $1 }' p.csv >>tested || fail "fold $f trains on what comes after its test"
    expect 0 "$RONDO" train $M $small --set "split=folds(3, fold = $f)" --seed 5 -q -o one.safetensors
    cmp one.safetensors f.fold$f.safetensors || fail "fold $f has other bits"
done
[ -z "$(sort tested | uniq -d)" ] || fail "years that test twice"
[ "$(wc -l <tested)" -gt 200 ] || fail "only $(wc -l <tested) years test"

# classes: each fold has its share of each, every example tests once
awk 'BEGIN { print "v,class"; for (i = 0; i < 103; i++) print i % 7 + i / 100 "," (i % 4 == 0 ? "rare" : "common") }' >t.csv
cat >t.rondo <<'R'
model t {
    input v: [1]
    target class: bool

    p = sigmoid(dense[1](v))

    output p
    loss binary_crossentropy(p, class)
    metric accuracy(p, class)
    train { optimizer = adam(lr = 1e-2), epochs = 2, batch = 16, validation = 0.2 }
    data { csv = "t.csv", column = "v", target_column = "class" }
}
R
expect 0 "$RONDO" train t.rondo --folds 5 -q -o t.safetensors
cp out table
: >tested
for f in 0 1 2 3 4; do
    expect 0 "$RONDO" predict t.rondo -w t.fold$f.safetensors -o p.csv
    n=$(awk -F, '$3 == "test"' p.csv | wc -l)
    rare=$(awk -F, '$3 == "test" && $4 == "rare"' p.csv | wc -l)
    [ "$n" = 20 ] || [ "$n" = 21 ] || fail "fold $f tests $n examples"
    [ "$rare" = 5 ] || [ "$rare" = 6 ] || fail "fold $f has $rare of the rare class"
    [ "$(awk -F, '$3 == "valid"' p.csv | wc -l)" = 16 ] || fail "fold $f validates on other than a fifth of the rest"
    says table "^fold $f .* $n "
    awk -F, '$3 == "test" { print $6 }' p.csv >>outputs
    total=$((${total:-0} + n))
done
[ "$total" = 103 ] || fail "$total of 103 examples test"
while read -r bad; do
    expect 1 "$RONDO" train t.rondo -q -o no.safetensors --set "split=${bad%%:*}"
    says err "E0552.*${bad#*:}"
done <<'END'
folds(5, fold = 5):counts from 0 to one less than there are folds
folds(1):`n` is 1; it must be a whole number from 2 to
folds(fold = 1):`folds` needs `n`
folds(5, vaild = 0.1):`folds` has no argument `vaild`
folds(5, valid = 1):`valid` is 1
folds(200):200 folds need at least 200 examples, and the data hold 103$
END
expect 1 "$RONDO" train "$SRC/examples/sunspots.rondo" -q --folds 500 -o no.safetensors
says err 'E0552.*500 folds need at least 501 examples in a row, and the data hold 299$'
[ ! -e no.safetensors ] || fail "weights of no folds"
# what split holds back validates in each fold: the same part of what does not test, which stops early
sed 's/, validation = 0.2/, early_stopping = 1/; s/target_column = "class"/&, split = 0.8/' t.rondo >held.rondo
while read -r split valid; do
    expect 0 "$RONDO" train held.rondo --folds 5 --set "split=$split" -q -o held.safetensors
    says out valid_loss
    expect 0 "$RONDO" predict held.rondo -w held.fold1.safetensors -o p.csv
    [ "$(awk -F, '$3 == "valid"' p.csv | wc -l)" = $valid ] || fail "$split: a fold validates on $(awk -F, '$3 == "valid"' p.csv | wc -l)"
    expect 0 "$RONDO" eval held.rondo -w held.fold1.safetensors
    says out 'on the test part, 21 examples'
done <<'END'
stratified(0.6,valid=0.2) 20
random(0.7,valid=0.1) 10
every(10,valid=[1,2],test=9) 18
folds(5,valid=0.3) 24
END
expect 0 "$RONDO" train held.rondo --folds 5 -q -o held.safetensors
! grep -q valid_loss out || fail "something validates that nothing asks for"

# what fails
expect 1 "$RONDO" train $M --seeds 2 -q -o no.safetensors --data none.csv
says err '^seed [12]: error'
says err 'none.csv'
expect 1 "$RONDO" train $M --seeds 2 -q --set nope=1
says err nope
expect 2 "$RONDO" train $M --seeds 1
expect 2 "$RONDO" train $M --seeds 3 --resume x
expect 2 "$RONDO" train $M -j 2
# a run that dies is said so, and the others end with it
"$RONDO" train $M --seeds 2 -j 2 -o no.safetensors --set epochs=1000000 -q >out 2>err &
pid=$!
child=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    child=$(awk -v p=$pid '$4 == p { print $1; exit }' /proc/[0-9]*/stat 2>/dev/null || true)
    [ -z "$child" ] || break
    sleep 0.1
done
[ -n "$child" ] || fail "no run has begun"
kill -KILL "$child"
rc=0
wait $pid || rc=$?
[ $rc = 1 ] || { cat err; fail "exit $rc after a run died"; }
says err 'ended by signal 9'
[ -z "$(awk -v p=$pid '$4 == p' /proc/[0-9]*/stat 2>/dev/null)" ] || fail "a run goes on alone"

# the summary
expect 0 "$RONDO" train $M --seed 1 --set epochs=5 -o w.safetensors
cp out said
cp err lines
says lines '^epoch 5/5  loss [0-9.]*  rmse [0-9.]*  mae [0-9.]*  [0-9.]*[kM]* steps/s'
expect 0 "$RONDO" eval $M -w w.safetensors
loss=$(awk '/^loss/ { printf "%.5g", $2 }' out) rmse=$(awk '/^unscaled_rmse/ { printf "%.4g", $2 }' out)
says said "^test part, 60 examples: loss $loss  rmse "
says said "^in the units of the data: RMSE $rmse; persistence 32.9; linear autoregression of 10 values 19.2"
says said "^next: rondo plot forecast $M -w w.safetensors"
expect 0 "$RONDO" train t.rondo --set validation=0 --set 'split=chronological(0.8)' -o t.safetensors
share=$(awk -F, 'NR > 83 && NR <= 104 { n++; c += $2 == "common" } END { printf "%.4g", c / n }' t.csv)
says out "^always the most frequent class would be right in $share of them"
# metrics of more than one number: eval's of a run; over several their means, under the names of the classes
sed 's/metric accuracy(p, class)/metric binary_confusion(p, class), both(p, class), f1(p, class)/; s/^model t/model u/' t.rondo >u.rondo
cat >>u.rondo <<'R'

metric both(p, y) {
    state n, a, b = 0
    n' = n + 1
    a' = a + p
    b' = b + y
    return [a', b'] / n'
}
R
U="u.rondo --set validation=0 --set optimizer=adam(lr=0.3) --set epochs=20"
expect 0 "$RONDO" train $U --seed 1 -o u.safetensors
cp out said
expect 0 "$RONDO" eval u.rondo -w u.safetensors
set -- $(sed -n '/^binary_confusion/,$p' out | tr '\n' ' ')
grep -A3 '^binary_confusion' said | awk -v want="$2 $3 $4 $5" 'NR == 2 { head = $1 " " $2 } NR > 2 { got = got (NR > 3 ? " " : "") $2 " " $3; names = names $1 " " }
    END { exit !(NR == 4 && head == "common rare" && names == "common rare " && got == want) }' || { cat said out; fail "another table"; }
says said "^both: common $(printf %.4g "$7"), rare $(printf %.4g "$8")$"
expect 0 "$RONDO" train $U --seeds 2 -j 1 -q -o u.safetensors --json
cp out both.json
expect 0 "$RONDO" train $U --seeds 2 -j 1 -q -o u.safetensors
cp out both
for s in 1 2; do
    expect 0 "$RONDO" eval u.rondo -w u.seed$s.safetensors
    awk '/^both/ { print $2 }' out
done >values
mean=$(awk '{ s += $1 } END { printf "%.4g", s / 2 }' values) sd=$(awk '{ x[NR] = $1 } END { printf "%.2g", sqrt((x[1] - x[2]) ^ 2 / 2) }' values)
says both "^mean of test_both: common $mean ($sd), rare "
says both '^mean of test_binary_confusion$'
says both.json "\"test_both\": \\[$(awk '{ s += $1 } END { print substr(sprintf("%.12f", s / 2), 1, 8) }' values)"
expect 0 "$RONDO" train $M --set epochs=1 --json -o w.safetensors
says out '"test_rmse": [0-9.]*, .*"unscaled_rmse": [0-9.]*, "persistence_rmse": 32.89'

# a signal that was to be ignored when the process began is: a job in the background goes on
(trap '' INT; exec "$RONDO" train $M $small --seeds 2 --set epochs=12000 -o ignored.safetensors -q >said 2>err) &
pid=$!
sleep 0.4
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 0 ] && [ "$(grep -c '^seed' said)" = 2 ] || { cat said err; fail "exit $rc of a job that was to ignore Ctrl-C"; }
