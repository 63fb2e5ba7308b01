# What goes wrong first when somebody brings their own data: each has a message that says where and what to do, and nothing is written.
. "$SRC/tests/lib.sh"
cp "$SRC"/examples/*.* .
# wrong PATTERN rondo-arguments..: exit 1, the words, no weights
wrong() {
    pattern=$1
    shift
    expect 1 "$RONDO" "$@"
    says err "$pattern"
    [ ! -e x.safetensors ] || fail "weights were written: $*"
}
train="train sunspots.rondo -q -o x.safetensors --set epochs=1"
wrong "E0611.*sunspots.csv has no column 'spots'" $train --set 'column="spots"'
says err "it has 'year', 'sunspots'"
sed '5s/,.*/,many/' sunspots.csv >text.csv
wrong "E0612.*text.csv:5: column 'sunspots' holds 'many', which is not a number" $train --data text.csv
: >empty.csv
wrong 'E0610.*empty.csv: there are no rows' $train --data empty.csv
head -n 1 sunspots.csv >head.csv
wrong 'E0554.*head.csv has 0 rows' $train --data head.csv
printf '\377\376y\000e\000' >wide.csv
wrong 'E0620.*wide.csv:1:1: this is UTF-16; UTF-8 is needed' $train --data wide.csv
says err 'iconv -f UTF-16 -t UTF-8'
printf 'y\000e\000a\000r\000' >wide.csv
wrong 'E0620.*wide.csv:1:1: this is UTF-16LE' $train --data wide.csv
printf 'Jahr,Wolf-Zahl\n1700,5\n1701,11 \377\n' >latin.csv
wrong 'E0620.*latin.csv:3:9: this is not UTF-8' $train --data latin.csv
says err 'iconv -f WINDOWS-1252 -t UTF-8'
tr '\n' '\r' <sunspots.csv >old.csv
wrong 'E0610.*old.csv:1:15: a carriage return' $train --data old.csv
says err "tr '.r' '.n' <'old.csv'"
(head -n 1 sunspots.csv; tail -n +2 sunspots.csv | sed 's/^\([0-9]*\)/\1-01/' | tac) >back.csv
wrong "E0554.*back.csv:3: the dates go back: '2008-01' stands before '2007-01'" $train --data back.csv
sed '1s/year/sunspots/' sunspots.csv >both.csv
wrong "E0611.*both.csv has several columns 'sunspots'" $train --data both.csv --set 'date="0"'
printf 'year,sunspots\n1,2\n\000\n' >binary.csv
wrong 'E0620.*binary.csv:3:1: a NUL byte' $train --data binary.csv
sed 's/,/;/' sunspots.csv >semicolon.csv
wrong 'separator = ";"' $train --data semicolon.csv
printf '2009,1,2\n' | cat sunspots.csv - >wide.csv
wrong 'E0610.*wide.csv:311: this row has 3 cells' $train --data wide.csv
printf '2009,\n' | cat sunspots.csv - >gap.csv
wrong 'E0612.*gap.csv:311' $train --data gap.csv
says err 'gaps = interpolate'
wrong 'E0554.*309 rows, too few for window 400' $train --set window=400
wrong "E0001.*cannot read 'none.csv'" $train --data none.csv
wrong 'E0504.*windw' $train --set windw=4
says err 'did you mean `window`'
wrong 'E0505.*no optimizer `adm`' $train --set 'optimizer=adm()'
wrong 'E0552.*`split`: there is no `stratfied`' $train --set 'split=stratfied(0.8)'
says err 'did you mean `stratified`'
sed 's/split = 0.8/split = halves/' sunspots.rondo >bad.rondo
expect 1 "$RONDO" check bad.rondo
says err 'E0552.*`split`: there is no `halves`'
wrong 'E0554.*all 96 examples that train have the class 1' train sentiment.rondo -o x.safetensors --set 'lines=["praise.txt": 1]'
says err 'sorted by class'
: >empty.txt
wrong 'E0554.*empty.txt is empty' train sentiment.rondo -o x.safetensors --set 'lines=["praise.txt": 1, "empty.txt": 0]'
wrong 'E0554.*empty.txt is empty' train char_lm.rondo -o x.safetensors --data empty.txt
printf 'caf\351 au lait' | cat tide.txt - >latin.txt
for lm in char_lm word_lm; do
    wrong 'E0620.*latin.txt:32:4: this is not UTF-8' train $lm.rondo -o x.safetensors --data latin.txt
    says err 'iconv -f WINDOWS-1252 -t UTF-8'
    says err 'unit = bytes'
done
iconv -f UTF-8 -t UTF-16 tide.txt >wide.txt
wrong 'E0620.*wide.txt:1:1: this is UTF-16' train word_lm.rondo -o x.safetensors --data wide.txt
wrong 'E0620.*wide.txt:1:1: this is UTF-16' new language-model wide --data wide.txt
(cat praise.txt; printf 'so na\357ve\n') >latin.txt
wrong "E0620.*latin.txt:$(wc -l <latin.txt):6: this is not UTF-8" train sentiment.rondo -o x.safetensors --set 'lines=["latin.txt": 1, "blame.txt": 0]'
printf '{"words": "caf\351", "tag": [0]}\n' >latin.jsonl
wrong 'E0620.*latin.jsonl:1:15: this is not UTF-8' train tagging.rondo -o x.safetensors --data latin.jsonl
wrong 'E0554.*too few' train char_lm.rondo -o x.safetensors --set window=64 --set batch=5000
expect 0 "$RONDO" train sunspots.rondo -q -o sun.safetensors --set epochs=1 --set H=4
wrong "E0605.*sun.safetensors has no tensor 'logits.W'" eval char_lm.rondo -w sun.safetensors
says err "saved from model 'sunspots'"
wrong "E0606.*'h.Wi' has the shape \[4, 1\] where the model has \[20, 1\]" eval sunspots.rondo -w sun.safetensors --set H=20
# tables of other habits; sequences of other sizes
sed 's/,/;/; s/\./,/' sunspots.csv >comma.csv
wrong 'E0610.*comma.csv:[0-9]*: this row has 2 cells where the first one has 1' train sunspots.rondo --data comma.csv
says err "separated by ';'"
wrong "E0612.*holds '[0-9]*,[0-9]', which is not a number" train sunspots.rondo --data comma.csv --set 'separator=";"'
says err 'decimal = ","'
wrong "E0612.*holds '[0-9]*\\.[0-9]', which is not a number" train sunspots.rondo --set 'separator=";"' --data semicolon.csv --set 'decimal=","'
says err 'a comma before its decimals'
wrong 'E0552.*decimal is "." or ","' train sunspots.rondo --set 'decimal=";"'
wrong "E0552.*between cells, not both" train sunspots.rondo --set 'decimal=","'
sed 's/,\([0-9]*\)\.\([0-9]\)/,"1,\1\2"/' sunspots.csv >groups.csv
wrong "E0612.*holds '1,[0-9]*', which is not a number" train sunspots.rondo --data groups.csv
sed 's/,/  /' sunspots.csv >blanks.csv
wrong 'separator = "blanks"' train sunspots.rondo --data blanks.csv
wrong 'E0554.*too few for window 400' train sunspots.rondo --set window=400
says err 'at most 308 steps'
printf 'model a { input x: seq [1] target y: [1] p = dense[1](gru[4](x).last) output p loss mse(p, y) data { csv = "sunspots.csv", window = 6 } }\n' >two.rondo
sed 's/model a/model b/; s/gru.4/gru[5/' two.rondo >b.rondo
cat b.rondo >>two.rondo
expect 0 "$RONDO" train two.rondo --model a -o a.safetensors --set epochs=1
says out 'next: rondo plot forecast two.rondo -w a.safetensors -o a.svg --model a'
printf 'he said "no" to it\nand went\n' >said.csv
wrong 'E0610.*said.csv:1:9: a quote inside a cell' train sunspots.rondo --data said.csv
says err '`lines` or `text` reads them'
printf '1 0.1 0.2\n2 0.3 0.4\n3 0.5 0.6\n1 0.1 0.2\n' >three.ts
cat >three.rondo <<'R'
model three[D = 2, K = 2] {
    input x: seq [D]
    target y: token[K]

    z = dense[K](gru[4](x).mean)

    output z
    loss softmax_crossentropy(z, y)
    data { ts = "three.ts" }
}
R
wrong "E0613.*three.ts:1:1: this example has 1 dimension where the input 'x' has 2" train three.rondo
says err 'input x: seq \[1\]'
wrong "E0552.*the data have 3 classes.*room for 2" train three.rondo --set D=1
says err 'token\[3\]'
expect 0 "$RONDO" train char_lm.rondo -q -o c.safetensors --set epochs=1 --set H=4
expect 0 "$RONDO" predict char_lm.rondo -w c.safetensors
says out '^logits,0,train,'
cp "$SRC/std/new/classify.csv" .
sed 's/NAME/desks/g' "$SRC/std/new/classify.rondo" >desks.rondo
sed '4s/,[a-z]*$/,/' classify.csv >desks.csv
wrong "E0612.*desks.csv:4: column 'desk' holds no class" train desks.rondo
printf 'text,desk\nplease,billing\ncaf\351,billing\n' >desks.csv
wrong 'E0620.*desks.csv:3:4: this is not UTF-8' train desks.rondo
# what is written replaces no file that is read
cat >line.rondo <<'END'
model line {
    input x: [1]
    target y: [1]
    p = dense[1](x)
    output p
    loss mse(p, y)
    train { epochs = 1, validation = "check.csv" }
    data { csv = "line.csv", split = 1, test = "test.csv" }
}
END
printf 'x,y\n1,2\n2,3\n' | tee line.csv check.csv test.csv "my own.csv" >kept
cp line.rondo kept.rondo
expect 0 "$RONDO" train line.rondo -o "line's.safetensors" --data "my own.csv"
says out "^next: rondo plot scatter line.rondo -w 'line'.''s.safetensors' -o line.svg --data 'my own.csv'$"
eval "expect 0 \"\$RONDO\" $(sed -n 's/^next: rondo //p' out)"
refused() {
    rc=0
    "$RONDO" "$@" >out 2>err || rc=$?
    [ $rc = 1 ] || fail "exit $rc: $*"
    says err 'E0001.* is not written: '
    for f in line.csv check.csv test.csv "my own.csv"; do cmp -s "$f" kept || fail "$f is gone: $*"; done
    cmp -s line.rondo kept.rondo || fail "the model is gone: $*"
}
ln -s line.csv link.csv
for to in line.csv ./line.csv link.csv check.csv test.csv line.rondo; do
    refused predict line.rondo -w "line's.safetensors" -o $to
    refused train line.rondo -o $to
    refused train line.rondo -o w --checkpoint $to
done
refused train line.rondo -o w --log line.csv
refused predict line.rondo -w "line's.safetensors" --data "my own.csv" -o "$PWD/my own.csv"
refused train line.rondo -o w --checkpoint w
refused predict line.rondo -w "line's.safetensors" -o "./line's.safetensors"
expect 0 "$RONDO" train line.rondo -o w --checkpoint state
refused train line.rondo -o state --resume state
expect 0 "$RONDO" train line.rondo -o w --resume state --checkpoint state
expect 0 "$RONDO" train line.rondo -w "line's.safetensors" -o "line's.safetensors"
# what is called otherwise in other tools; a sequence with its steps as a dim; a metric as the loss
cat >other.rondo <<'R'
model other {
    input x: [10, 1]
    target y: [1]
    h = lstm[4](x)
    p = dense[1](h.last)
    loss rmse(p, y)
    loss MSE(p, y)
    train { lr = 0.1, loss = mse, batch_size = 3 }
    data { file = "a.csv", lookback = 4, delimiter = ";" }
}
R
wrong 'E0301.*input `x` is declared \[I\], but this is \[10, 1\]' check other.rondo
says err 'a sequence of numbers is `seq \[1\]`: its steps are none of its dims'
says err 'E0204.*metric `rmse` cannot be used in an expression'
says err 'it stands behind `metric`; a loss is a function of single examples, as `mse(p, y)` is'
says err 'here that is written `mse(p, y)`'
says err '`optimizer = adam(lr = 1e-3)` has it'
says err 'a statement of the model says it: `loss mse(p, y)`'
says err 'did you mean `batch`'
says err 'did you mean `csv`, `text`, `jsonl`'
says err 'did you mean `window`'
says err 'did you mean `separator`'
sed '/output p/d' line.rondo >mute.rondo
expect 0 "$RONDO" train mute.rondo -q -o mute.safetensors
expect 1 "$RONDO" predict mute.rondo -w mute.safetensors -o mute.csv
says err "E0552.*'line' has no output to predict with"
[ ! -e mute.csv ] || fail "predictions of nothing"
expect 0 "$RONDO" train sunspots.rondo -q -o spots.safetensors --set epochs=1
sed 's/^    output p$//' sunspots.rondo >silent.rondo
expect 1 "$RONDO" plot forecast silent.rondo -w spots.safetensors -o spots.gp
says err "E0552.*'sunspots' has no output to predict with"
[ ! -e spots.gp ] || fail "a picture of nothing"
# a sum below the table, rows of two series, rows in no order; an hour twice, as clocks are put back, is no mistake
(cat sunspots.csv; echo; echo Total,15373) >sum.csv
wrong "E0612.*sum.csv:312: 'Total' is no date, as the others of the column are" $train --data sum.csv
sed '2,$s/,/-01,/' sunspots.csv >months.csv
(cat months.csv; tail -n +2 months.csv) >again.csv
wrong "E0554.*again.csv:311: the dates go back: '2008-01' stands before '1700-01'" $train --data again.csv
says err 'rows of several series'
awk 'BEGIN { print "when,sunspots" } { h = NR < 20 ? NR - 1 : NR - 2; printf "2024-10-%02d %02d:00,%d\n", 20 + h / 24, h % 24, NR * 7 % 11 }' sunspots.csv | sed 260q >hours.csv
expect 0 "$RONDO" train sunspots.rondo -q -o hours.safetensors --set epochs=1 --data hours.csv --set 'date="when"'
(cat sunspots.csv; tail -n +2 sunspots.csv) >again.csv
wrong "E0554.*again.csv:311: the dates go back: '2008' stands before '1700'" $train --data again.csv
(head -n 1 sunspots.csv; tail -n +2 sunspots.csv | tac) >falling.csv
wrong "E0554.*falling.csv:3: the dates go back: '2008' stands before '2007'" $train --data falling.csv
says err 'tac'
wrong "E0554.*falling.csv:3: the dates go back" new forecast falling --data falling.csv
awk -F, -v OFS=, 'NR == 1 { print "hour,sunspots" } NR > 1 { print NR % 24, $2 }' sunspots.csv >clock.csv # what begins anew is no year
expect 0 "$RONDO" train sunspots.rondo -q -o hours.safetensors --set epochs=1 --data clock.csv --set 'date="hour"'
# a number is decimal
sed '5s/,.*/,0x1F/' sunspots.csv >hex.csv
wrong "E0612.*hex.csv:5: column 'sunspots' holds '0x1F', which is not a number" $train --data hex.csv
# the rows of a run: one value for all of it, all in one place; words and their labels, a row each
cat >runs.rondo <<'R'
model runs {
    input x: seq [2]
    target y: [1]
    p = dense[1](gru[3](x).last)
    output p
    loss mse(p, y)
    train { epochs = 1 }
    data { csv = "runs.csv", run = "who", column = ["a", "b"], target_column = "y" }
}
R
awk 'BEGIN { print "who,a,b,y"; for (k = 0; k < 12; k++) for (t = 0; t < 3 + k % 2; t++) print "m" k "," t "," k ".5," k }' >runs.csv
expect 0 "$RONDO" train runs.rondo -q
expect 0 "$RONDO" predict runs.rondo -w runs.safetensors
[ "$(grep -c '^p,' out)" = 12 ] || fail "not an example for each run: $(cat out)"
cut -d, -f1-3 runs.csv >unknown.csv
expect 0 "$RONDO" predict runs.rondo -w runs.safetensors --data unknown.csv
cp runs.csv good.csv
sed '4s/,0$/,7/' good.csv >runs.csv
wrong "E0613.*runs.csv:4: column 'y' holds '7', and '0' in the first row of the run" train runs.rondo -o x
(cat good.csv; echo m3,1,2,3) >runs.csv
wrong "E0613.*runs.csv:44: rows of run 'm3' stand further up already" train runs.rondo -o x
sed '5s/m1,0/m1,much/' good.csv >runs.csv
wrong "E0612.*runs.csv:5: column 'a' holds 'much', which is not a number" train runs.rondo -o x
cp good.csv runs.csv
wrong "E0611.*runs.csv has no column 'whom'" train runs.rondo -o x --set run=whom
says err "did you mean 'who'"
cat >several.rondo <<'R'
model several {
    data { csv = "runs.csv" }
    input a: seq [1]
    input c: seq [1]
    target y: [1]
    p = dense[1](gru[2](a).last + gru[2](c).last)
    output p
    loss mse(p, y)
    train { epochs = 1 }
}
R
wrong "E0611.*runs.csv has no column 'c'" train several.rondo -o x # by the names of the ports, as none are named
cat >said.rondo <<'R'
model said {
    input word: seq token[20]
    target kind: seq token[3]
    z = dense[3](embedding[20, 4](word))
    output z
    loss softmax_crossentropy(z, kind)
    train { epochs = 30, optimizer = adam(lr = 0.1) }
    data { csv = "said.csv", run = "sentence", split = 1, unknown = true }
}
R
awk 'BEGIN { print "sentence,word,kind"; for (k = 0; k < 20; k++) for (t = 0; t < 2 + k % 3; t++) { w = (k + t) % 3; print k "," (w == 0 ? "tea" : w == 1 ? "two" : "please") "," (w == 0 ? "dish" : w == 1 ? "amount" : "other") } }' >said.csv
expect 0 "$RONDO" train said.rondo -q --seed 1
expect 0 "$RONDO" predict said.rondo -w said.safetensors
awk -F, '$1 == "z" { n++; if ($5 != $6) bad = 1 } END { exit bad || n < 40 }' out || fail "labels of rows: $(head out)"
sed '3s/two/two more/' said.csv >spaced.csv
wrong "E0612.*spaced.csv:3: column 'word' holds 'two more', which is not one word" train said.rondo -o x --data spaced.csv
# a model's name without its ending; data where the model stands
expect 1 "$RONDO" train sunspots
says err 'E0001.*cannot read .sunspots'
says err 'there is sunspots.rondo'
expect 1 "$RONDO" check good.csv
says err 'rondo new KIND NAME --data good.csv'
# keys of a series do nothing for examples: they are not taken in silence
for set in scale=standard gaps=interpolate 'date="a"' horizon=2 window=3; do
    wrong "E0552.*\`${set%%=*}\` is for a series in a table; these data are examples" train runs.rondo -o x --set "$set"
done
wrong 'E0552.*`scale` is for a series' train tagging.rondo -o x --set scale=minmax
# a limit on the size of files is an error of the write: the old file stays, and nothing is left beside it
cp sunspots.rondo limit.rondo
expect 0 "$RONDO" train limit.rondo -q --set epochs=1 -o limit.safetensors
cp limit.safetensors kept
(ulimit -f 8 && expect 1 "$RONDO" train limit.rondo -q --set epochs=1 --seed 2 -o limit.safetensors)
says err "E0001.*cannot write 'limit.safetensors.*': File too large"
cmp limit.safetensors kept
ls limit.safetensors.* 2>/dev/null && fail "something was left"
# a copied model has the name of the first one: what that learnt is not written over
sed 's/H = 50/H = 5/' sunspots.rondo >second.rondo
expect 0 "$RONDO" train sunspots.rondo -q --set epochs=1 --seed 1
expect 0 "$RONDO" train sunspots.rondo -q --set epochs=1 --seed 2
cp sunspots.safetensors first.safetensors
wrong "E0001.*'sunspots.safetensors' is not written: it holds weights of sunspots.rondo" train second.rondo -q --set epochs=1
says err "a file of the model's name, 'sunspots'; give it another name, or say where they go: -o FILE"
expect 0 "$RONDO" train sunspots.rondo -q --set epochs=1 --seeds 2
wrong "E0001.*'sunspots.seed1.safetensors' is not written" train second.rondo -q --set epochs=1 --seeds 2
printf x >sunspots.safetensors
wrong 'E0601.*sunspots.safetensors' train sunspots.rondo -q --set epochs=1
says err 'say where they go'
cp first.safetensors sunspots.safetensors
expect 0 "$RONDO" train second.rondo -q --set epochs=1 -o sunspots.safetensors
expect 0 "$RONDO" train second.rondo -q --set epochs=1
# files that are no text
gzip -c sunspots.csv >packed.csv
wrong 'E0620.*packed.csv:1:1: this is compressed (gzip), no text' $train --data packed.csv
says err "gunzip -c 'packed.csv'"
printf 'PK\003\004\024' >book.csv
wrong 'E0620.*book.csv:1:1: this is a zip archive, as workbooks' $train --data book.csv
printf '\211HDF\r\n' >book.jsonl
wrong 'E0620.*book.jsonl:1:1: this is an HDF5 file' train tagging.rondo -o x.safetensors --data book.jsonl
wrong 'E0620.*packed.csv:1:1: this is compressed' new language-model packed --data packed.csv
wrong 'E0554.*no examples to train on' $train --set split=0
says err 'the data hold 299, of which 0 validate and the others test'
says err 'set split=0:1:1'
wrong 'E0554.*no examples to train on' $train --set window=0
says err 'set window=0:1:1'
says err 'without a `window` the whole series is one example'
wrong 'E0554.*no examples to train on' $train --set stride=1000
says err 'set stride=1000:1:1'
says err 'a smaller `window` or `stride` makes more'
# a weight for a class that there is not
wrong "E0551.*'class_weights': these are 3 weights for a target of 2 classes" train sentiment.rondo -o x.safetensors --set 'class_weights=[1, 2, 3]'
