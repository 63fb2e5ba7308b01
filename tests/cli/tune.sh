# rondo tune: a grid, a random search and halving; the same whatever runs at a time; broken off and gone on to the same file and the
# same table; what is ranked is what a training of these settings gives.
. "$SRC/tests/lib.sh"
cp "$SRC/examples/sunspots.rondo" "$SRC/examples/sunspots.csv" .
M=sunspots.rondo
few="--set epochs=4 --set validation=0.2"
untimed() { sed 's/"seconds": [0-9.e-]*/"seconds": 0/' "$1"; }
ranked() { awk '/^ *[0-9]+ / { $4 = ""; print }' "$1"; } # the table without seconds

expect 0 "$RONDO" tune $M $few --set 'H={4, 8}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o grid.jsonl -q -j 2
cp out table
[ "$(wc -l <grid.jsonl)" = 7 ] || fail "the grid has not six runs"
[ "$(ranked table | wc -l)" = 6 ] || fail "the table has not six rows"
ranked table | awk 'NR > 1 && $2 < last { exit 1 } { last = $2 }' || fail "not sorted"
# the best one, trained
next=$(sed -n 's/^next: rondo //p' table)
best=$(ranked table | awk 'NR == 1 { print $2 }')
expect 0 sh -euc "\"$RONDO\" $next -q --log log.jsonl -o w.safetensors"
sed 's/.*"valid_loss": \([0-9.e-]*\).*/\1/' log.jsonl | awk -v best="$best" 'NR == 1 || $1 < m { m = $1 } END { exit !((m / best - 1) ^ 2 < 1e-8) }' ||
    { cat log.jsonl table; fail "the best run does not come again"; }

# again: nothing is trained; one at a time: the same numbers
expect 0 "$RONDO" tune $M $few --set 'H={4, 8}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o grid.jsonl
cmp out table
silent err
expect 0 "$RONDO" tune $M $few --set 'H={4, 8}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o one.jsonl -q -j 1
ranked out >a
ranked table >b
cmp a b || fail "one at a time gives other numbers"
# broken off in the middle of a line
head -c "$(($(head -n 4 one.jsonl | wc -c) + 20))" one.jsonl >cut.jsonl
expect 0 "$RONDO" tune $M $few --set 'H={4, 8}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o cut.jsonl -j 1
[ "$(grep -c '^trial' err)" = 3 ] || { cat err; fail "not three trials were left"; }
untimed one.jsonl >a
untimed cut.jsonl >b
cmp a b || fail "going on gives other lines"
expect 1 "$RONDO" tune $M $few --set 'H={4, 9}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o one.jsonl
says err 'E0561.*of another search'
# what all trials share makes a search another one, and so does another model
expect 1 "$RONDO" tune $M $few --set batch=8 --set 'H={4, 8}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o one.jsonl
says err 'E0561.*of another search'
sed 's/relu/tanh/' $M >other.rondo
cmp -s $M other.rondo && fail "the models are the same"
cp $M was.rondo
cp other.rondo $M
expect 1 "$RONDO" tune $M $few --set 'H={4, 8}' --set 'optimizer=adam(lr = {1e-3, 1e-2, 3e-2})' -o one.jsonl
says err 'E0561.*another model'
mv was.rondo $M
# a search that cannot begin leaves no file
expect 1 "$RONDO" tune $M --set epochs=1 --set 'H={4, 8}' -o none.jsonl
says err 'what validates'
[ ! -e none.jsonl ] || fail "a file of no run is left"

# all values are looked at before the first trial: what cannot be leaves no file either
for set in 'H={4, x}' 'batch={4, 0}' 'optimizer={adam, Adam}' 'H={-4 .. 8}'; do
    expect 1 "$RONDO" tune $M $few --set "$set" -o none.jsonl
    [ ! -e none.jsonl ] || fail "a file of a search with $set"
done
expect 2 "$RONDO" tune $M $few --set 'H={8 .. 4}'
says err 'from the smaller number to the larger'
expect 2 "$RONDO" tune $M $few --set 'optimizer=adam(lr = {0 .. 1 log})'
says err 'one with log is above 0'
cp sunspots.csv given.csv
expect 1 "$RONDO" tune $M $few --set 'H={4, 8}' -o given.csv
says err 'E0622.*given.csv is not what `rondo tune` writes'
cmp given.csv sunspots.csv || fail "a file that is none of a search was changed"

# Ctrl-C reaches the trials, too: what was trained in part is no run of the search
setsid "$RONDO" tune $M --set epochs=1000000 --set validation=0.2 --set 'H={4, 8}' -o ended.jsonl -q -j 2 >out 2>err &
pid=$!
sleep 1
kill -TERM "-$pid"
rc=0
wait "$pid" || rc=$?
[ "$rc" = 143 ] || { cat out err; fail "ended with $rc, not by the signal"; }
[ ! -e ended.jsonl ] || { cat ended.jsonl; fail "a trial that was broken off counts"; }

# what had ended by then is kept, and said to be
setsid "$RONDO" tune $M --set validation=0.2 --set H=4 --set 'epochs={1, 1000000}' -o ended.jsonl -q -j 1 >out 2>err &
pid=$!
for k in 1 2 3 4 5 6 7 8 9 10; do if [ -e ended.jsonl ] && [ "$(wc -l <ended.jsonl)" = 2 ]; then break; else sleep 0.5; fi; done
sleep 0.5
kill -TERM "-$pid"
rc=0
wait "$pid" || rc=$?
[ "$rc" = 143 ] || { cat out err; fail "ended with $rc, not by the signal"; }
[ "$(wc -l <ended.jsonl)" = 2 ] || { cat ended.jsonl; fail "not one run that ended"; }
says err '^stopped: runs that ended are in ended.jsonl; the same command goes on from there$'

# random: ranges, whole numbers, more trials of the same search go on with it
expect 0 "$RONDO" tune $M $few --set 'H={3..9}' --set 'optimizer=adam(lr = {1e-3 .. 1e-1 log}, b1 = {0.8, 0.9})' --trials 4 -o r.jsonl -q
expect 0 "$RONDO" tune $M $few --set 'H={3..9}' --set 'optimizer=adam(lr = {1e-3 .. 1e-1 log}, b1 = {0.8, 0.9})' --trials 6 -o r.jsonl -q
[ "$(wc -l <r.jsonl)" = 7 ] || fail "not six drawn trials"
ranked out | awk '$4 != int($4) || $4 < 3 || $4 > 9 || $5 < 1e-3 || $5 > 0.1 || ($6 != 0.8 && $6 != 0.9) { exit 1 }' || { cat out; fail "a value out of its range"; }
[ "$(ranked out | awk '{ print $5 }' | sort -u | wc -l)" = 6 ] || fail "the same rate was drawn twice"

# no point twice; where there are fewer than trials, each of them
expect 0 "$RONDO" tune $M --set epochs=1 --set validation=0.2 --method random --set 'H={2, 3, 4}' --set 'batch={16 .. 17}' -o all.jsonl -q
[ "$(sed 1d all.jsonl | sed 's/.*"values": //' | sort -u | wc -l)" = 6 ] && [ "$(wc -l <all.jsonl)" = 7 ] || { cat all.jsonl; fail "not six points, each once"; }

# halving: 8 trials for an eighth of the epochs, .. one for all; what goes on is what one run gives
expect 0 "$RONDO" tune $M --set epochs=16 --set validation=0.2 --set H=5 --set 'optimizer=adam(lr = {1e-3 .. 1e-1 log})' --method halving --trials 8 -o h.jsonl -q
[ "$(grep -c '"asked": 2,' h.jsonl) $(grep -c '"asked": 4,' h.jsonl) $(grep -c '"asked": 8,' h.jsonl) $(grep -c '"asked": 16,' h.jsonl)" = "8 4 2 1" ] ||
    { cat h.jsonl; fail "not 8, 4, 2, 1"; }
next=$(sed -n 's/^next: rondo //p' out)
best=$(ranked out | awk 'NR == 1 { print $2 }')
expect 0 sh -euc "\"$RONDO\" $next -q --log log.jsonl -o w.safetensors"
sed 's/.*"valid_loss": \([0-9.e-]*\).*/\1/' log.jsonl | awk -v best="$best" 'NR == 1 || $1 < m { m = $1 } END { exit !(NR == 16 && (m / best - 1) ^ 2 < 1e-8) }' ||
    fail "halving's best run does not come again"
[ -z "$(ls | grep '\.state$' || true)" ] || fail "checkpoints are left"

# killed at any time: the next call ends as if nothing had been
"$RONDO" tune $M --set epochs=4000 --set validation=0.2 --set H=5 --set 'optimizer=adam(lr = {1e-3, 1e-2, 2e-2, 3e-2})' -o k.jsonl -j 2 >out 2>err &
pid=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q '^trial' err && break
    sleep 0.1
done
kill -KILL $pid
wait $pid 2>/dev/null || true
expect 0 "$RONDO" tune $M --set epochs=4000 --set validation=0.2 --set H=5 --set 'optimizer=adam(lr = {1e-3, 1e-2, 2e-2, 3e-2})' -o k.jsonl -q
[ "$(wc -l <k.jsonl)" = 5 ] || fail "not four runs after a kill"

# a diverged trial ranks last
expect 0 "$RONDO" tune $M $few --set H=5 --set 'optimizer=sgd(lr = {1e-2, 1e30})' -o d.jsonl -q
ranked out | tail -n 1 | grep -q diverged || { cat out; fail "1e30 did not diverge"; }

for e in gp $(command -v gnuplot >/dev/null && echo svg); do
    expect 0 "$RONDO" plot tune r.jsonl -o t.$e
    [ -s t.$e ] || fail "t.$e is empty"
done
[ "$(sed -n '/^\$a1 << E/,/^E$/p' t.gp | wc -l)" = 8 ] || fail "the picture has not six points"
expect 1 "$RONDO" plot tune log.jsonl -o no.gp

# wrong
for bad in 'H={}' 'H={4,}' 'H={4' 'H={4 .. 2}' 'H={0 .. 1 log}' 'H={1 .. x}'; do
    expect 2 "$RONDO" tune $M $few --set "$bad"
    says err 'brace'
done
expect 2 "$RONDO" tune $M --set H=4
says err 'nothing varies'
expect 2 "$RONDO" tune $M --set 'H={4 .. 8}' --method grid
expect 2 "$RONDO" tune $M --set 'H={4, 8}' --trials 3
expect 1 "$RONDO" tune $M --set epochs=1 --set 'H={4, 8}' -o no.jsonl -q
says err 'E0551.*by what validates'
expect 1 "$RONDO" tune $M --set 'nope={4, 8}' -o no2.jsonl -q
says err 'nope'
[ ! -e no2.jsonl ] || fail "a file of nothing"
# a device may have no end
expect 1 "$RONDO" tune $M $few --set 'H={4, 8}' -o /dev/zero -q
says err 'E0001.*/dev/zero is no file'
