# The examples' models on small data that the test makes: sentences, sequences of classes, texts; what is stored with the weights;
# predictions; generation.
. "$SRC/tests/lib.sh"
E=$SRC/examples

# ---- sentences: a word tells the class ----
awk 'BEGIN { for (i = 0; i < 60; i++) { print "the film number " i % 7 (i % 2 ? " is a fine" : " was fine and") (i % 3 ? " work" : "") >"good"
                                        print "the film number " i % 5 (i % 2 ? " is a dull" : " was dull and") (i % 4 ? " work" : "") >"bad" } }'
S="$E/sentiment.rondo --set lines=[\"$PWD/good\":1,\"$PWD/bad\":0] --set V=40"
expect 0 "$RONDO" train $S -o s.safetensors --set epochs=12 --seed 1 --log s.jsonl
says err '^vocabulary: [0-9]* of 40 ids'
says err '^padding: [0-9.]* %'
expect 0 "$RONDO" eval $S -w s.safetensors
says out 'the test part, 12 examples'
says out '^accuracy 1$'
says out '^f1 1$'
expect 0 "$RONDO" predict $S -w s.safetensors -o p.csv
[ "$(wc -l <p.csv)" = 121 ] || fail "p.csv has not a line for each example"
says p.csv '^output,example,file,line,part,truth,class,0$'
says p.csv '^p,[0-9]*,.*good,[0-9]*,test,1,1,0\.[0-9]*$'
awk -F, 'NR > 1 { want = NR < 62 ? "good 1 " NR - 1 : "bad 0 " NR - 61; sub(".*/", "", $3); parts[$5]++
    if ($2 != NR - 2 || $3 " " $6 " " $4 != want) bad = 1 } END { exit bad || !(parts["train"] && parts["test"] == 12) }' p.csv || { cat p.csv; fail "not numbered as in the files"; }
# the weights alone say what the words are: other sentences, without what the vocabulary was made of
printf 'review,mark\n"a fine film, dull or not",0\na work that is fine,1\n' >other.csv
expect 0 "$RONDO" eval "$E/sentiment.rondo" --set V=40 --set 'column="review"' --set 'target_column="mark"' -w s.safetensors --data other.csv
says out 'on all 2 examples'
expect 1 "$RONDO" eval $S -w s.safetensors --data good
says err 'does not say the class of its lines'
expect 1 "$RONDO" train $S -q -o no.safetensors --data good
says err 'does not say the class of its lines'
# but one can be told their classes: those of the same lines where the classes are known
expect 0 "$RONDO" predict $S -w s.safetensors --data good
awk -F, '$1 == "p" { print $5, $6, $7 }' out | sort >alone
! grep '^p,' out | grep -v '^p,[0-9]*,data,' || fail "a part of a file that has none"
expect 0 "$RONDO" predict $S -w s.safetensors
awk -F, '$1 == "p" && $6 == 1 { print $7, $8, $9 }' out | sort | cmp - alone || fail "other classes without the truth"
[ -s alone ] || fail "no classes"
expect 1 "$RONDO" eval "$E/sentiment.rondo" --set V=30 --set 'lines=["none"]' -w s.safetensors
says err 'E0606'

# ---- a text and numbers beside it: `column` lists those of all inputs, in their order; a table to predict from needs no target ----
cat >two.rondo <<'END'
model two[V = 40] {
    input text: seq token[V]
    input f: [2]
    target y: bool

    h = gru[8](embedding[V, 8](text))
    p = sigmoid(dense[1]([h.last, f]))

    output p, seen = f
    loss binary_crossentropy(p, y)
    metric accuracy(p, y)
    train { optimizer = adam(lr = 0.02), epochs = 2, batch = 8 }
    data { csv = "two.csv", column = ["words", "a", "b"], target_column = "mark", split = random(0.8) }
}
END
awk 'BEGIN { print "mark,b,words,a"; for (i = 0; i < 60; i++) print (i * 7 % 5 > 2) + 0 "," i * 7 % 5 ",word number " i % 7 "," i % 3 }' >two.csv
expect 0 "$RONDO" train two.rondo -q -o two.safetensors
expect 0 "$RONDO" predict two.rondo -w two.safetensors
awk -F, 'NR == FNR { if (FNR > 1) want[FNR - 2] = $4 "," $2; next } $1 == "seen" { n++; if (want[$2] != $(NF - 1) "," $NF) bad = 1 } END { exit bad || n != 60 }' two.csv out || fail "other columns than named"
grep '^p,' out | cut -d, -f6 >want
cut -d, -f2- two.csv >new.csv
expect 0 "$RONDO" predict two.rondo -w two.safetensors --data new.csv
says out '^p,0,data,,'
grep '^p,' out | cut -d, -f6 | cmp - want || fail "without the target it says other things"
expect 1 "$RONDO" eval two.rondo -w two.safetensors --data new.csv
says err "E0611.*no column 'mark'"
expect 1 "$RONDO" train two.rondo -q -o no.safetensors --data new.csv
says err "E0611.*no column 'mark'"
expect 1 "$RONDO" train two.rondo -q -o no.safetensors --set 'column=["words", "a"]'
says err "E0552.*'f' needs 2 columns, and 1 are named behind those of the others"
expect 1 "$RONDO" train two.rondo -q -o no.safetensors --set 'column=["words", "a", "b", "mark"]'
says err "E0552.*4 columns are named, and the model takes 3"

# ---- sequences of unequal length: rising or falling ----
awk 'BEGIN { print "@classLabel true up down flat\n@data"
    for (i = 0; i < 90; i++) { n = 3 + i * 7 % 9; for (d = 0; d < 12; d++) { for (t = 0; t < n; t++)
        printf "%s%.3f", t ? "," : "", (i % 3 == 0 ? t : i % 3 == 1 ? -t : 0) * 0.3 + (i * 31 + t * 17 + d * 7) % 13 / 40; printf ":" }
        print i % 3 == 0 ? "up" : i % 3 == 1 ? "down" : "flat" } }' >v.ts
V="$E/vowels.rondo --set ts=\"$PWD/v.ts\" --set split=chronological(0.8) --set H=12"
sed '/data {/s/, test = "[^"]*"//' "$E/vowels.rondo" >v.rondo
V="v.rondo --set ts=\"$PWD/v.ts\" --set split=chronological(0.8) --set H=12"
expect 0 "$RONDO" train $V -o v.safetensors --set epochs=40 --seed 1 -q
expect 0 "$RONDO" eval $V -w v.safetensors --json
says out '"sparse_accuracy": 1}'
expect 0 "$RONDO" predict $V -w v.safetensors
says out '^logits,89,test,flat,flat,'
# a file sorted by class: without a way, each class is split alike, and so is what validates; in order, one class is unseen
sort -t: -k13 v.ts >sorted.ts
W="v.rondo --set ts=\"$PWD/sorted.ts\" --set H=12 --seed 1 -q -o sorted.safetensors --set epochs=1 --set validation=0.2"
expect 0 "$RONDO" train $W
expect 0 "$RONDO" predict v.rondo --set "ts=\"$PWD/sorted.ts\"" --set validation=0.2 -w sorted.safetensors
awk -F, '$1 == "logits" { n[$3 " " $4]++ } END { for (i = 1; i <= 3; i++) { c = i == 1 ? "up" : i == 2 ? "down" : "flat"
    if (n["test " c] != 6 || n["valid " c] != 4 || n["train " c] != 20) exit 1 } }' out || fail "not each class alike"
expect 0 "$RONDO" train $W --set 'split=chronological(0.8)' --set validation=0
expect 0 "$RONDO" predict v.rondo --set "ts=\"$PWD/sorted.ts\"" --set 'split=chronological(0.8)' -w sorted.safetensors
[ "$(awk -F, '$3 == "test" { print $4 }' out | sort -u | wc -l)" = 1 ] || fail "chronological is not in order"
# however the parts are drawn, an example keeps its number: that of its line behind @data
expect 0 "$RONDO" predict v.rondo --set "ts=\"$PWD/v.ts\"" --set 'split=random(0.7, seed = 5)' -w sorted.safetensors
awk -F: 'NR > 2 { print NR - 3 "," $13 }' v.ts >want
awk -F, '$1 == "logits" { print $2 "," $4; part[$3]++ } END { exit part["test"] != 27 }' out | cmp - want || fail "other examples after a random split"
# batches of similar lengths are less padded than any
expect 0 "$RONDO" train $V -o v2.safetensors --set epochs=2 --seed 1
near=$(sed -n 's/^padding: \([0-9]*\).*/\1/p' err)
expect 0 "$RONDO" train $V -o v2.safetensors --set epochs=2 --seed 1 --set bucket=0
any=$(sed -n 's/^padding: \([0-9]*\).*/\1/p' err)
[ "${near:-0}" -lt "${any:-0}" ] || fail "padding $near % in batches of similar lengths, $any % in any"

# ---- labels of steps by their names: the same bits as by their numbers ----
sed 's/.*"words": "\([^"]*\)", "tag": \[\([^]]*\)\].*/\1|\2/' "$E/names.jsonl" | awk -F'|' '{ split("O PER LOC TIME", name, " ")
    n = split($1, w, " "); split($2, t, ", "); a = b = ""
    for (i = 1; i <= n; i++) { a = a (i > 1 ? ", " : "") "\"" w[i] "\""; b = b (i > 1 ? ", " : "") "\"" name[t[i] + 1] "\"" }
    print "{\"words\": [" a "], \"tag\": [" b "]}" }' >named.jsonl
G="$E/tagging.rondo --set epochs=2 --seed 1 -q"
expect 0 "$RONDO" train $G -o g.safetensors
expect 0 "$RONDO" train $G --data named.jsonl -o named.safetensors --set 'classes=["O", "PER", "LOC", "TIME"]'
expect 0 "$RONDO" eval "$E/tagging.rondo" -w g.safetensors --data "$E/names.jsonl"
cp out numbers
expect 0 "$RONDO" eval "$E/tagging.rondo" -w named.safetensors --data named.jsonl
cmp out numbers || fail "named labels are other ones"
expect 0 "$RONDO" predict "$E/tagging.rondo" -w named.safetensors --data named.jsonl
says out '^tags,0,data,LOC,[A-Z]*,0,'
expect 0 "$RONDO" train $G --data named.jsonl -o sorted.safetensors
expect 0 "$RONDO" predict "$E/tagging.rondo" -w sorted.safetensors --data named.jsonl
awk -F, 'BEGIN { name[0] = "LOC"; name[1] = "O"; name[2] = "PER"; name[3] = "TIME" } $1 == "tags" { n++; if ($5 != name[$7]) bad = 1 } END { exit bad || !n }' out ||
    fail "classes have other numbers than their names sorted"
sed '3s/"LOC"/"MOON"/' named.jsonl >bad.jsonl
expect 1 "$RONDO" eval "$E/tagging.rondo" -w named.safetensors --data bad.jsonl
says err "E0609.*bad.jsonl:3: 'MOON' is no class of 'tag'"
sed '3s/\["[^ ]*/["two words",/' named.jsonl >bad.jsonl
expect 1 "$RONDO" eval "$E/tagging.rondo" -w named.safetensors --data bad.jsonl
says err "E0622.*bad.jsonl:3: .*not one word"
sed '3s/"tag": \[[^]]*\]/"tag": [0, 0, 0, 0, 0, 0, 0]/' named.jsonl >bad.jsonl
expect 1 "$RONDO" train $G --data bad.jsonl -o no.safetensors
says err 'E0622.*bad.jsonl:3: "tag" holds names in some lines and none in others'

# ---- a text: resumed to the same bits, carried states, generation ----
C="$E/char_lm.rondo --set H=24"
expect 0 "$RONDO" train $C -o c.safetensors --set epochs=4 --seed 1
says err '^vocabulary: 4[0-9] of 65 ids'
expect 0 "$RONDO" train $C -o half.safetensors --set epochs=2 --seed 1 -q --checkpoint state
expect 0 "$RONDO" train $C -o whole.safetensors --set epochs=4 --seed 1 -q --resume state
cmp -s c.safetensors whole.safetensors || fail "a resumed run differs"
# the outputs of a text go on from window to window: their cross entropy is eval's
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "%s", substr("abcd", 1 + (i * i + int(i / 7)) % 4, 1) }' >abcd.txt
A="$E/char_lm.rondo --data abcd.txt"
expect 0 "$RONDO" train $A --set V=4 --set H=8 --set window=20 --seed 1 --set epochs=5 -q -o a.safetensors
expect 0 "$RONDO" eval $A -w a.safetensors --set window=20
loss=$(sed -n 's/^loss //p' out)
expect 0 "$RONDO" predict $A -w a.safetensors --set window=20
awk -F, -v want="$loss" '$1 == "logits" { s = 0; for (i = 7; i <= 10; i++) s += exp($i); n++; sum += log(s) - $(6 + index("abcd", $4)); k += $4 == $5 }
    END { d = sum / n - want; exit !(n == 2960 && d < 1e-5 && d > -1e-5 && k > n / 3) }' out || fail "predict carries other states than eval: $loss"
# a sound through a model: the outputs of the whole record, and no word more
put() { # VALUES: 16 bits, mono, 8 kHz
    printf 'RIFF\030\001\000\000WAVEfmt \020\000\000\000\001\000\001\000\100\037\000\000\200\076\000\000\002\000\020\000data\364\000\000\000'
    printf "$(awk -v k="$1" 'BEGIN { for (i = 0; i < 122; i++) { v = int(8000 * sin(i * k)); if (v < 0) v += 65536; printf "\\%03o\\%03o", v % 256, int(v / 256) } }')"
}
put 0.3 >in.wav
put 0.31 >out.wav
cat >sound.rondo <<'R'
model sound[H = 3] {
    input x: seq [1]
    target y: seq [1]

    p = dense[1](gru[H](x))

    output p
    loss mse(p, y)
    train { epochs = 2, batch = 4 }
    data { wav = ["in.wav", "out.wav"], window = 20 }
}
R
expect 0 "$RONDO" train sound.rondo -o sound.safetensors --seed 1
says out 'next: rondo predict sound.rondo -w sound.safetensors -o sound-predicted.wav'
expect 0 "$RONDO" predict sound.rondo -w sound.safetensors -o heard.wav
expect 0 "$RONDO" predict sound.rondo -w sound.safetensors -o again.wav --data in.wav
cmp heard.wav again.wav || fail "another sound of the same file"
expect 0 "$RONDO" predict sound.rondo -w sound.safetensors --set window=122 --set split=1
awk -F, '$1 == "p" { print $NF }' out >want
od -An -v -t f4 -w4 -j 44 heard.wav | awk 'NR == FNR { w[FNR] = $1; next } { d = $1 - w[FNR]; if (d > 1e-6 || d < -1e-6) bad = 1 } END { exit bad || FNR != 122 }' want - || fail "another sound than the outputs"
expect 1 "$RONDO" predict sound.rondo -w sound.safetensors -o no.wav --data abcd.txt
says err 'E0623.*no WAV file'
expect 1 "$RONDO" eval sound.rondo -w sound.safetensors --data in.wav
says err 'E0552.*named in the data block'
expect 1 "$RONDO" predict $A -w a.safetensors -o no.wav --data in.wav
says err 'E0552.*channel'
[ ! -e no.wav ] || fail "a sound of nothing"
tr e '~' <"$E/tide.txt" >other.txt
expect 1 "$RONDO" train $C -o whole.safetensors --set epochs=4 --seed 1 -q --resume state --data other.txt
says err 'E0615.*the vocabulary of its data was another'
expect 0 "$RONDO" train "$E/word_lm.rondo" -o w.safetensors --set epochs=2 --set V=300 --set H=8 --set E=8 --set window=10 --seed 1
says err 'different words in what trains'

cp "$E/tide.txt" .
# what follows is certain: a text that repeats
awk 'BEGIN { for (i = 0; i < 400; i++) printf "one two three. " }' >r.txt
R="$E/char_lm.rondo --set H=32 --set V=16 --set window=30"
expect 0 "$RONDO" train $R --data r.txt -o r.safetensors --set epochs=25 --seed 1 -q
expect 0 "$RONDO" generate $R -w r.safetensors --prompt 'one two th' --length 20 --temperature 0
[ "$(cat out)" = 'one two three. one two three. ' ] || { cat out; fail "not what the text repeats"; }
G="$RONDO generate $R -w r.safetensors --prompt one --length 60"
$G --temperature 2 --seed 3 >a
$G --temperature 2 --seed 3 >b
$G --temperature 2 --seed 4 >c
$G --temperature 0 >greedy
cmp -s a b || fail "the same seed wrote another text"
if cmp -s a c; then fail "another seed wrote the same text"; fi
for k in '--top-k 1' '--top-p 0.0001'; do
    $G --temperature 2 --seed 5 $k >b
    cmp -s greedy b || fail "$k is not the most likely text"
done
# a file of prompts: each line as if it came alone; a line that cannot be read is named
printf 'one two\nthree\r\n\ntwo' >prompts.txt
for p in 'one two' three '' two; do "$RONDO" generate $R -w r.safetensors --prompt "$p" --length 20 --seed 3; done >each.txt
expect 0 "$RONDO" generate $R -w r.safetensors --prompts prompts.txt --length 20 --seed 3
cmp out each.txt || fail "prompts of a file go on otherwise"
printf 'one\noXe\ntwo\n' >prompts.txt
expect 1 "$RONDO" generate $R -w r.safetensors --prompts prompts.txt --length 20
says err "E0620.*byte 2: 'X' is not in the vocabulary"
says err 'the prompt is line 2 of prompts.txt'
expect 2 "$RONDO" generate $R -w r.safetensors --prompts prompts.txt --prompt one
: >prompts.txt
expect 1 "$RONDO" generate $R -w r.safetensors --prompts prompts.txt
says err 'E0554.*prompts.txt is empty'
# pieces come as they are made: the first ones are there long before a long text ends
( timeout 20 "$RONDO" generate $R -w r.safetensors --prompt one --length 100000000 || true ) | head -c 100 >part
[ "$(wc -c <part)" = 100 ] || fail "nothing was written before the end"
expect 1 "$RONDO" generate $R -w r.safetensors --prompt 'one X'
says err "E0620.*byte 5: 'X' is not in the vocabulary"
silent out
expect 1 "$RONDO" generate $S -w s.safetensors
says err 'E0558'
expect 2 "$RONDO" generate $R -w r.safetensors --temperature -1
says err 'a number from 0'
sed 's/output logits$/output p = softmax(logits)/' "$E/char_lm.rondo" >prob.rondo
expect 1 "$RONDO" generate prob.rondo --set H=32 --set V=16 -w r.safetensors --prompt one
says err 'holds probabilities'
sed 's/lstm\[H\](\(.*\)(text))/bidirectional[lstm[H]](\1(text))/' "$E/char_lm.rondo" >bi.rondo
expect 0 "$RONDO" train bi.rondo --set H=4 --set epochs=1 --set stateful=false -o bi.safetensors -q
expect 1 "$RONDO" generate bi.rondo --set H=4 -w bi.safetensors
says err 'E0557'

# ---- scaling comes with the weights, and is undone ----
cp "$E/sunspots.csv" .
expect 0 "$RONDO" train "$E/sunspots.rondo" -o sun.safetensors --set epochs=30 --set H=8 --seed 1 -q
expect 0 "$RONDO" eval "$E/sunspots.rondo" --set H=8 -w sun.safetensors
scaled=$(sed -n 's/^rmse //p' out)
units=$(sed -n 's/^unscaled_rmse //p' out)
awk -v a="$scaled" -v b="$units" 'BEGIN { r = b / a / 154.4; exit !(r > 0.9999 && r < 1.0001) }' || fail "rmse $scaled is not $units sunspots"
"$RONDO" predict "$E/sunspots.rondo" --set H=8 -w sun.safetensors -o whole.csv
# of a file without the great cycles the scale would be another one
(head -n 1 sunspots.csv && sed -n '100,140p' sunspots.csv) >part.csv
"$RONDO" predict "$E/sunspots.rondo" --set H=8 -w sun.safetensors --data part.csv -o part_p.csv
cut -d, -f1-3 part_p.csv | sed 1d | while IFS=, read -r year truth forecast; do
    grep -q "^$year,$truth,$forecast," whole.csv || fail "$year: $forecast is not what the whole series gives"
done

# ---- drawn data ----
expect 0 "$RONDO" train "$E/random_series.rondo" -o n.safetensors --seed 1 -q
expect 0 "$RONDO" eval "$E/random_series.rondo" -w n.safetensors
awk '/^loss/ { exit !($2 > 0.07 && $2 <= 0.0886) }' out || { cat out; fail "the loss of random data"; }
expect 1 "$RONDO" eval "$E/random_series.rondo" -w n.safetensors --data none.txt # a file that is given stands for them, whatever its ending
says err "cannot read 'none.txt'"

# ---- totals: a metric over a million rows is exact, whatever the model's numbers ----
cat >totals.rondo <<'END'
model totals {
    input x: seq [1]
    target y: seq [1]
    p = dense[1](x)
    output p
    loss mse(p, y)
    metric mse(p, y)
    data { made = uniform(2, steps = 1000000), split = 0.5 }
}
END
expect 0 "$RONDO" train totals.rondo --set epochs=0 -o totals.safetensors -q
for dtype in f32 f64; do
    expect 0 "$RONDO" eval totals.rondo -w totals.safetensors --dtype $dtype
    cat out >>totals
done
awk '$1 == "mse" { v[n++] = $2 } END { d = v[0] / v[1] - 1; exit !(n == 2 && d < 1e-6 && d > -1e-6) }' totals || { cat totals; fail "the mean of a metric is off"; }

# ---- the rows of a text whose state is carried on are kept with the weights ----
expect 0 "$RONDO" train "$E/char_lm.rondo" -q -o rows.safetensors --set batch=2 --set H=8 --set epochs=1 --log rows.csv
expect 0 "$RONDO" eval "$E/char_lm.rondo" -w rows.safetensors --json
v=$(sed -n 's/.*"loss": \([0-9.]*\).*/\1/p' out)
sed -n 2p rows.csv | cut -d, -f4 | grep -qx "$v" || { head rows.csv; fail "eval says $v"; }
