# rondo new, list, doc: what `new` writes trains at once, and every command in its comments runs; `list` names every declaration
# of std, `doc` shows each.
. "$SRC/tests/lib.sh"
PATH=$(dirname "$RONDO"):$PATH
export PATH

for kind in forecast classify classify-sequences regress tagging language-model sound cell; do
    name=my_$(echo $kind | tr - _)
    expect 0 "$RONDO" new $kind $name
    says out "^next: rondo train $name.rondo"
    ! grep -q NAME $name.rondo || fail "$name.rondo has NAME left"
    expect 0 "$RONDO" fmt --check $name.rondo
    sed -n 's/^#     rondo /rondo /p' $name.rondo >commands
    grep -q "^rondo train $name.rondo$" commands || fail "$name.rondo does not say how to train it"
    while read -r command <&3; do
        expect 0 sh -euc "$command"
    done 3<commands
    [ -s $name.safetensors ] || fail "$name has no weights"
done
# they learn: less than half a naive forecast's error, nearly every text right
expect 0 "$RONDO" eval my_classify.rondo -w my_classify.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.8 } END { exit !ok }' out || fail "classify: $(cat out)"
expect 0 "$RONDO" eval my_classify_sequences.rondo -w my_classify_sequences.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.85 } END { exit !ok }' out || fail "classify-sequences: $(cat out)"
expect 0 "$RONDO" eval my_regress.rondo -w my_regress.safetensors
awk '/^r2/ { ok = $2 >= 0.95 } END { exit !ok }' out || fail "regress: $(cat out)"
expect 0 "$RONDO" eval my_tagging.rondo -w my_tagging.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.97 } END { exit !ok }' out || fail "tagging: $(cat out)"
awk -F, '$4 == "test" && $2 != "" { e += ($3 - $2) ^ 2; p += ($2 - last) ^ 2 } { last = $2 } END { exit !(e < p / 4) }' my_forecast-forecast.csv ||
    fail "the forecast is no better than half of persistence"

# as C they give what they gave here
for name in my_forecast my_regress my_tagging; do
    expect 0 "$RONDO" emit c $name.rondo -w $name.safetensors -o c --test
    "${CC:-cc}" -std=c99 -O1 -march=native c/${name}*.c -o $name.out -lm
    expect 0 ./$name.out
done

# nothing is written over, nothing is left half
cp my_cell.rondo before
expect 1 "$RONDO" new cell my_cell
says err 'my_cell.rondo is there already'
cmp before my_cell.rondo
: >half.csv
expect 1 "$RONDO" new forecast half
says err 'half.csv is there already'
[ ! -e half.rondo ] || fail "half a model was written"
expect 1 "$RONDO" new forecast x -o no/such/folder
mkdir sub
expect 0 "$RONDO" new forecast x -o sub
[ -s sub/x.rondo ] && [ -s sub/x.csv ] || fail "-o sub"
expect 2 "$RONDO" new forcast x
says err "did you mean 'forecast'"
for bad in 1x a-b a/b '' "$(printf '%061d' 0 | tr 0 a)"; do
    expect 2 "$RONDO" new forecast "$bad"
    says err 'at most 60 letters, digits and _'
done

# --data: the file says its columns, classes, gaps and characters, and the model reads it
awk 'BEGIN { print "when;rain;sold"; for (i = 0; i < 90; i++) print 1900 + i ";" i % 7 ";" (i == 5 ? "" : i % 9) }' >many.csv
expect 0 "$RONDO" new forecast many -d many.csv
says out 'many.csv: 90 rows of "rain"; other numbers: "sold"'
says many.rondo 'separator = ";"'
says many.rondo 'date = "when"'
says many.rondo 'window = 15'
sed 's/;[^;]*;/;/' many.csv >gap.csv
expect 0 "$RONDO" new forecast gap -d gap.csv
says out '1 of them gaps'
says gap.rondo 'gaps = interpolate'
sed 's/^[^;]*;//' gap.csv >plain.csv
expect 0 "$RONDO" new cell plain -d plain.csv
! grep -q 'date =' plain.rondo || fail "a date of no column"
sed 's/$/,x/; 1s/,x/,more/' my_classify.csv | awk -F, -v OFS=, '{ print $3, $2, $1 }' >desks.csv
expect 0 "$RONDO" new classify desks -d desks.csv
says desks.rondo 'target_column = "desk"'
says desks.rondo '^    target label: token\[K\]'
# single words, nearly all different, are told apart by their letters and their order
awk 'BEGIN { print "word;end"; for (i = 0; i < 300; i++) { a = sprintf("%c%c%c", 97 + i % 7, 98 + int(i / 7) % 8, 99 + int(i / 56) % 6)
    print (i * i % 5 < 2 ? a "xu;ux" : a "ux;xu") } }' | sed 's/xu;ux/xu;open/; s/ux;xu/ux;closed/' >letters.csv
expect 0 "$RONDO" new classify letters -d letters.csv
says out '300 texts in "word", single words that are read by characters, 2 classes in "end"'
says letters.rondo 'unit = characters'
says letters.rondo 'V = 15, E'
expect 0 "$RONDO" train letters.rondo -q -o letters.safetensors --seed 1
expect 0 "$RONDO" eval letters.rondo -w letters.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.9 } END { exit !ok }' out || fail "letters in their order: $(cat out)"
# the same as JSON lines, and as a file for each class
sed 1d letters.csv | sed 's/\(.*\);\(.*\)/{"word": "\1", "end": "\2"}/' >letters.jsonl
expect 0 "$RONDO" new classify lines -d letters.jsonl
says out '300 texts in "word", single words that are read by characters, 2 classes in "end"'
says lines.rondo 'V = 15, E'
says lines.rondo 'unit = characters'
for k in open closed; do sed -n "s/;$k$//p" letters.csv >$k.txt; done
expect 0 "$RONDO" new classify ends -d open.txt -d closed.txt
says out 'closed.txt: [0-9]* texts, single words that are read by characters'
says ends.rondo 'V = 15, E'
for name in lines ends; do
    expect 0 "$RONDO" fmt --check $name.rondo
    expect 0 "$RONDO" train $name.rondo -q --seed 1
    expect 0 "$RONDO" eval $name.rondo -w $name.safetensors
    awk '/^sparse_accuracy/ { ok = $2 >= 0.9 } END { exit !ok }' out || fail "$name: letters in their order: $(cat out)"
done
# what stands for a gap among numbers is a class among classes
awk 'BEGIN { split("none mild severe", c, " "); print "text,level,age"; for (k = 0; k < 60; k++) print "a " c[k % 3 + 1] " pain of number " k "," c[k % 3 + 1] "," (k % 9 ? k % 2 : "NA") }' >pain.csv
expect 0 "$RONDO" new classify pain -d pain.csv
says out '60 texts in "text", 3 classes in "level", "none" among them'
expect 0 "$RONDO" train pain.rondo -q --seed 1
expect 0 "$RONDO" eval pain.rondo -w pain.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.9 } END { exit !ok }' out || fail "none, mild, severe: $(cat out)"
sed '1,/@data/d; s/^\([^:]*\):.*:\([a-z]*\)$/\2,\1/; s/^circle/1/; s/^wave/2/; s/^point/3/' my_classify_sequences.ts >strokes.txt
expect 0 "$RONDO" new classify-sequences strokes -d strokes.txt
says out '1 number a step, 3 classes'
says strokes.rondo 'seq \[1\]'
expect 0 "$RONDO" new classify-sequences moves -d my_classify_sequences.ts
says out '2 numbers a step, 3 classes'
# JSON lines: which key is the input and which the target, of what form; words as a text or as a list
awk 'BEGIN { for (i = 0; i < 40; i++) { up = i % 3 == 0; n = 3 + i % 4; x = y = w = ""
    for (t = 0; t < n; t++) { s = t ? ", " : ""; v = (i * 7 + t * 5) % 11 - 5; x = x s "[" v ", " t "]"; y = y s (v > 0 ? "\"up\"" : "\"down\""); w = w s "\"w" (v > 0) "\"" }
    print "{\"signal\": [" x "], \"mood\": [" y "], \"id\": " i "}" >"steps.jsonl"
    print "{\"tags\": [" y "], \"words\": [" w "]}" >"spoken.jsonl"
    print "{\"signal\": [" x "], \"kind\": " up "}" >"kinds.jsonl"
    print "{\"stars\": " 1 + 4 * up ", \"review\": \"" (up ? "good " : "bad ") i % 5 " work\"}" >"stars.jsonl" } }'
expect 0 "$RONDO" new tagging steps -d steps.jsonl
says out '40 sequences, 2 labels in "mood" for the steps in "signal"'
says steps.rondo 'input signal: seq \[2\]'
expect 0 "$RONDO" new tagging spoken -d spoken.jsonl
says spoken.rondo '^    input words: seq token\[V\]'
says spoken.rondo 'each_f1(scores, tags)'
says spoken.rondo 'V = 2000, .*K = 2'
says spoken.rondo '^    scores = .* + own$'
! grep -q 'own\|dropout.0.5' steps.rondo || fail "words where there are none: $(cat steps.rondo)"
for i in $(seq 40); do cat spoken.jsonl; done >much.jsonl
expect 0 "$RONDO" new tagging much -d much.jsonl
says much.rondo 'V = 10000, .*K = 2'
expect 0 "$RONDO" new classify-sequences kinds -d kinds.jsonl
says out '40 sequences in "signal", 2 numbers a step, 2 classes in "kind"'
expect 0 "$RONDO" new classify stars -d stars.jsonl
says stars.rondo 'jsonl = "stars.jsonl"'
# a file of texts for each class
cp "$SRC/examples/praise.txt" "$SRC/examples/blame.txt" .
expect 0 "$RONDO" new classify opinions -d praise.txt -d blame.txt
says out 'praise.txt: [0-9]* texts, blame.txt: [0-9]* texts'
expect 2 "$RONDO" new forecast opinion -d praise.txt -d blame.txt
says err 'only classify takes several files'
expect 1 "$RONDO" new classify opinion -d praise.txt
says err '`--data A.txt --data B.txt`'
expect 1 "$RONDO" new tagging opinion -d stars.jsonl
says err 'E0622.*stars.jsonl needs in each line words or steps, and a list of as many labels'
says err 'it has "stars" (numbers), "review" (texts)'
sed 's/mood/state/' steps.jsonl >state.jsonl
expect 1 "$RONDO" new tagging opinion -d state.jsonl
says err 'E0119.*`state` is a reserved word'
says err 'from the keys of state.jsonl: "signal", "state"'
(cat stars.jsonl && echo '{"stars": ') >cut.jsonl
expect 1 "$RONDO" new classify opinion -d cut.jsonl
says err 'E0622.*cut.jsonl:41:'
[ ! -e opinion.rondo ] || fail "a model of a file that it cannot read"
printf 'na\303\257ve na\303\257ve and so on, and so on, once more and then again\n' >short.txt
for i in 1 2 3 4 5 6 7 8; do cat short.txt short.txt short.txt; done >long.txt
# a character that first comes in what validates: the model knows an unknown one
(for k in $(seq 60); do echo "the tide comes in and the tide goes out"; done; echo "and that is all!") >late.txt
expect 0 "$RONDO" new language-model late -d late.txt
says late.rondo 'unit = characters, unknown = true'
expect 0 "$RONDO" train late.rondo -q --set epochs=1
expect 0 "$RONDO" new language-model long -d long.txt -o sub
says sub/long.rondo "text = \"/.*/long.txt\""
for name in many gap plain desks strokes moves steps spoken kinds stars opinions sub/long; do
    expect 0 "$RONDO" fmt --check $name.rondo
    expect 0 "$RONDO" train $name.rondo -q --set epochs=1 -o w.safetensors
done
expect 1 "$RONDO" new forecast words -d short.txt
expect 1 "$RONDO" new classify numbers -d many.csv
says err 'a column of texts and one of their classes'
sed '40s/.*/x/' plain.csv >broken.csv
expect 1 "$RONDO" new forecast broken -d broken.csv
says err "broken.csv:40: column 'sold' holds"
expect 1 "$RONDO" new forecast seq
says err 'reserved word'
[ ! -e seq.csv ] && [ ! -e seq.rondo ] && [ ! -e words.rondo ] && [ ! -e numbers.rondo ] && [ ! -e broken.rondo ] || fail "a model of a file that it cannot read"

# a number for each sequence: of a table of runs, JSON lines and .ts the same numbers, and mean and deviation of what trains in the model;
# a class of each, of such a table
awk 'BEGIN { print "when;who;way;speed;load;kind" > "runs.csv"; print "@targetLabel true\n@data" > "runs.ts"
    for (k = 0; k < 60; k++) { a = b = j = ""; n = 5 + k % 4; load = 300 + 10 * (k * 7 % 11)
        for (t = 0; t < n; t++) { u = 1000 + t * load / 50 + k % 3; v = -5 + (load > 350) / 2 + (t + k) % 4 / 8
            print t ";m" k ";" u ";" v ";" load ";" (load > 350 ? "high" : "low") > "runs.csv"
            s = t ? "," : ""; a = a s u; b = b s v; j = j (t ? ", " : "") "[" u ", " v "]" }
        print a ":" b ":" load > "runs.ts"; print "{\"path\": [" j "], \"load\": " load "}" > "runs.jsonl" } }'
expect 0 "$RONDO" new regress runs -d runs.csv
says out '^runs.csv: 60 sequences, by "who", 2 numbers a step ("way", "speed"), their numbers in "load"$'
says runs.rondo 'column = \["way", "speed"\]'
says runs.rondo 'separator = ";"'
says runs.rondo '^    z = (x - \[10.., -[45]\.[0-9]*\]) / \['
expect 0 "$RONDO" new regress paths -d runs.jsonl
says out '^runs.jsonl: 60 sequences in "path", 2 numbers a step, their numbers in "load"$'
expect 0 "$RONDO" new regress loads -d runs.ts
says out '^runs.ts: 60 sequences, 2 numbers a step, and a number for each$'
for name in runs paths loads; do
    expect 0 "$RONDO" fmt --check $name.rondo
    expect 0 "$RONDO" train $name.rondo --seed 1 --set epochs=20
    says out '^always the mean that it has in training: RMSE [23]'
    expect 0 "$RONDO" eval $name.rondo -w $name.safetensors
    cp out $name.eval
done
cmp runs.eval paths.eval && cmp runs.eval loads.eval || fail "other numbers by another file"
expect 0 "$RONDO" new classify-sequences kinds2 -d runs.csv
says out '60 sequences, by "who", 2 numbers a step ("way", "speed"), 2 classes in "kind"'
expect 0 "$RONDO" fmt --check kinds2.rondo
expect 0 "$RONDO" train kinds2.rondo -q --seed 1
expect 0 "$RONDO" eval kinds2.rondo -w kinds2.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.9 } END { exit !ok }' out || fail "classes of runs: $(cat out)"
expect 1 "$RONDO" new regress no -d my_classify_sequences.ts
says err 'E0611.*needs sequences and a number for each'
says err 'rondo new classify-sequences'
expect 1 "$RONDO" new regress no -d my_classify.csv
says err 'E0611.*a column that names the sequences, whose rows stand together, and one with a number'
sed 's/"load": [0-9]*/"load": 300/' runs.jsonl >same.jsonl
expect 1 "$RONDO" new regress no -d same.jsonl
says err 'E0622'
expect 1 "$RONDO" new forecast no -d runs.jsonl
says err 'E0610.*forecast takes a table (CSV, TSV), and runs.jsonl is JSON lines'
expect 1 "$RONDO" new tagging no -d many.csv
says err 'E0611.*a column that names the sequences.*with a label in each row'
awk 'BEGIN { print "sentence,n,word,kind"; for (k = 0; k < 60; k++) for (t = 0; t < 3 + k % 3; t++) { w = (7 * k + 5 * t * t) % 3
    print "s" k "," t "," (w == 0 ? "tea" : w == 1 ? "two" : "please") "," (w == 0 ? "dish" : w == 1 ? "amount" : "other") } }' >said.csv
expect 0 "$RONDO" new tagging said -d said.csv
says out '^said.csv: 60 sequences, by "sentence", 3 labels in "kind" for the words in "word"$'
expect 0 "$RONDO" fmt --check said.rondo
expect 0 "$RONDO" train said.rondo -q --seed 1
expect 0 "$RONDO" predict said.rondo -w said.safetensors
says out '^output,example,run,part,truth,class,step,0,1,2$'
says out '^scores,4,s4,[a-z]*,dish,dish,2,'
# numbers beside a label: in units of their own, the network's have none
awk 'BEGIN { print "who;t;way;state"; for (k = 0; k < 60; k++) for (t = 0; t < 12; t++) { s = int((t + k) / 5) % 2; print "w" k ";" t ";" 7000 + 40 * s + (k * 7 + t * 3) % 11 ",5;" s } }' >states.csv
expect 0 "$RONDO" new tagging states -d states.csv
says out '2 labels in "state" for the steps in "way"$'
says states.rondo 'z = (x - 70[0-9.]*) / 2[0-9.]*$'
expect 0 "$RONDO" fmt --check states.rondo
expect 0 "$RONDO" train states.rondo -q --seed 1
expect 0 "$RONDO" eval states.rondo -w states.safetensors
awk '/^sparse_accuracy/ { ok = $2 > 0.99 } END { exit !ok }' out || fail "states of runs: $(cat out)"
sed 's/;[01]$/;0/; s/state/sta/' states.csv >same.csv
expect 1 "$RONDO" new tagging no -d same.csv
says err 'E0611.*with a label in each row'
[ ! -e no.rondo ] || fail "a model of a file that it cannot read"

# arrays: which are the sequences and which their classes; a pair of sounds
cp "$SRC/tests/fuzz/files/classes.npz" .
expect 0 "$RONDO" new classify-sequences arrays -d classes.npz
says out '^classes.npz: 30 sequences in "moves", 2 numbers a step, 3 classes in "kind"$'
expect 0 "$RONDO" train arrays.rondo -q --seed 1
expect 0 "$RONDO" eval arrays.rondo -w arrays.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.8 } END { exit !ok }' out || fail "arrays: $(cat out)"
expect 0 "$RONDO" predict arrays.rondo -w arrays.safetensors
awk -F, '$1 == "scores" { if ($2 != n++ || $4 != int($2 / 10)) bad = 1; part[$3]++ } END { exit bad || !(n == 30 && part["train"] == 21) }' out || fail "other rows than in the file: $(cat out)"
expect 0 "$RONDO" new tagging marks -d classes.npz
says out '2 labels in "mark" for the steps in "moves"$'
expect 0 "$RONDO" train marks.rondo -q --set epochs=1
expect 1 "$RONDO" new classify no -d classes.npz
says err 'E0605.*classify does not take arrays'
expect 1 "$RONDO" new tagging no -d "$SRC/tests/fuzz/files/stored.npz"
says err 'E0605.*stored.npz needs sequences'
expect 0 "$RONDO" new sound pair -d my_sound-in.wav -d my_sound-out.wav
says out '^my_sound-in.wav and my_sound-out.wav: 3.0 s at 8000 Hz, 1 channel in, 1 out$'
expect 0 "$RONDO" train pair.rondo -q --set epochs=1
expect 0 "$RONDO" eval my_sound.rondo -w my_sound.safetensors
awk '/^esr/ { ok = $2 < 0.2 } END { exit !ok }' out || fail "sound: $(cat out)"
expect 2 "$RONDO" new sound no -d my_sound-in.wav
says err 'what goes in and what comes out'
expect 1 "$RONDO" new sound no -d my_sound-in.wav -d classes.npz
says err 'E0623'
cp my_sound-in.wav taken-out.wav
expect 1 "$RONDO" new sound taken
[ ! -e taken.rondo ] && [ ! -e taken-in.wav ] && [ ! -e no.rondo ] || fail "half a model of sounds"

expect 0 "$RONDO" list
cat "$SRC"/std/*.rondo | sed -n 's/^\(cell\|fn\|init\|metric\|optimizer\) \([a-z0-9_]*\).*/\1 \2/p' >names
[ "$(wc -l <names)" -gt 150 ] || fail "only $(wc -l <names) declarations in std"
while read -r kind name <&3; do
    says out "^  $kind  *$name\([[(= ]\|\$\)"
done 3<names
awk 'length > 130 { exit 1 }' out || fail "a line of rondo list is too wide"
expect 0 "$RONDO" doc lstm
says out 'Gers, Schmidhuber, Cummins 2000'
says out "^    h' = o \* act(c')$"
says out '^learnt  *Wi, Wf, Wg, Wo  *\[H, I\]  *[a-z]'
says out '^remembered  h, c  *\[H\]  *0$'
[ "$(grep -c '^cell' out)" = 2 ] || fail "doc lstm shows more than lstm"
for name in adam relu glorot_uniform f1 softmax_crossentropy; do
    expect 0 "$RONDO" doc $name
    says out "$name"
done
expect 2 "$RONDO" doc lsmt
says err "did you mean 'lstm'"
