# rondo plot: the numbers in the scripts are those of predict and eval, the pictures come out whole, and what fails leaves no file.
. "$SRC/tests/lib.sh"
M=sunspots.rondo
cp "$SRC/examples/sunspots.rondo" "$SRC/examples/sunspots.csv" .
draw=.gp
if command -v gnuplot >/dev/null; then draw='.gp .svg .png'; fi
picture() { # NAME.ending: is there and is what its ending says
    [ -s "$1" ] || fail "$1 is missing"
    case $1 in
    *.svg) tail -c 10 "$1" | grep -q '</svg>' || fail "$1 is not whole" ;;
    *.png) head -c 4 "$1" | grep -q PNG || fail "$1 is no PNG" ;;
    esac
    [ "$(ls | grep -c '\.gp\.')" = 0 ] || fail "$(ls): something is left over"
}
block() { sed -n "/^\$$1 << E/,/^E\$/p" "$2" | sed '1d;$d'; }

expect 0 "$RONDO" train $M -o w.safetensors --seed 1 --set epochs=20 -q --log a.csv
expect 0 "$RONDO" train $M -o v.safetensors --seed 2 --set epochs=5 -q --log b.jsonl --set validation=0.1
for e in $draw; do
    expect 0 "$RONDO" plot learning a.csv b.jsonl -o learning$e
    picture learning$e
    expect 0 "$RONDO" plot forecast $M -w w.safetensors --future 10 -o forecast$e
    picture forecast$e
done
# a curve is the log's column
block d0_0 learning.gp >curve
[ "$(wc -l <curve)" = 20 ] || fail "the curve has $(wc -l <curve) epochs"
awk -F, 'NR == FNR { if (FNR > 1) loss[$1] = $3; next } { d = $2 / loss[$1] - 1; if (d > 1e-6 || d < -1e-6) exit 1 }' a.csv curve || fail "not the log's loss"
[ "$(block d1_1 learning.gp | wc -l)" = 5 ] || fail "no curve of the validation loss"
# the forecasts are predict's, persistence is the year before
expect 0 "$RONDO" predict $M -w w.safetensors --future 10 -o p.csv
block rows forecast.gp | grep -v NaN >rows
[ "$(wc -l <rows)" = 60 ] || fail "$(wc -l <rows) forecasts drawn"
awk -F, 'NR == FNR { truth[$1] = $2; f[$1] = $3; next } { d = $3 - f[$1]; if ($4 != truth[$1 - 1] || $2 != truth[$1] || d > 1e-5 || d < -1e-5) exit 1 }' p.csv rows ||
    fail "not the forecasts of predict"
[ "$(block future forecast.gp | tail -n 1 | cut -d, -f1)" = 2018 ] || fail "the future ends elsewhere"
rmse=$(awk -F, '$4 == "test" { e += ($3 - $2) ^ 2; n++ } END { printf "%.4g", sqrt(e / n) }' p.csv)
expect 0 "$RONDO" plot forecast $M -w w.safetensors -o x.gp
says out "60 forecasts of the test part, RMSE $rmse; persistence 32.9"
# of several columns a panel each
sed 's/seq \[1\]/seq [2]/; s/y: \[1\]/y: [2]/; s/dense\[1\]/dense[2]/; s/column = "sunspots"/column = ["sunspots", "year"]/; s/H = 50/H = 4/' $M >both.rondo
expect 0 "$RONDO" train both.rondo -q --set epochs=1 -o both.safetensors
expect 0 "$RONDO" predict both.rondo -w both.safetensors --future 4 -o both.csv
for e in $draw; do
    expect 0 "$RONDO" plot forecast both.rondo -w both.safetensors --future 4 -o both$e
    picture both$e
done
says out 'sunspots: RMSE [0-9.]*, persistence [0-9.]*; year: RMSE [0-9.]*, persistence 1$'
block future1 both.gp | cut -d, -f2 | awk '{ printf "%.8g\n", $1 }' >drawn
tail -n 4 both.csv | cut -d, -f5 | awk '{ printf "%.8g\n", $1 }' | cmp - drawn || fail "the future of the second column"

# a classifier with attention
awk 'BEGIN { print "text,side"; for (i = 0; i < 60; i++) { w = i % 3 == 0 ? "good" : "bad"; if (i % 7 == 0) w = "fine"
    print "it was a " w " day number " i % 5 "," (w == "bad" ? "no" : "yes") } }' >t.csv
cat >t.rondo <<'R'
model t[V = 20] {
    input text: seq token[V]
    target side: bool

    h = lstm[8](embedding[V, 8](text))
    look = attention_pool[8]
    s = look(h)
    p = sigmoid(dense[1](s))

    output p, attention = look.alpha
    loss binary_crossentropy(p, side)
    metric accuracy(p, side)
    train { optimizer = adam(lr = 2e-2), epochs = 6, batch = 8 }
    data { csv = "t.csv", column = "text", target_column = "side", unit = words, split = 0.5 }
}
R
expect 0 "$RONDO" train t.rondo -o t.safetensors --seed 1 -q
for e in $draw; do
    for kind in confusion roc attention; do
        expect 0 "$RONDO" plot $kind t.rondo -w t.safetensors -o $kind$e
        picture $kind$e
    done
done
expect 0 "$RONDO" predict t.rondo -w t.safetensors -o p.csv
block cells confusion.gp >cells
awk -F, -v cells=cells '$1 == "p" && $3 == "test" { n[$4 "," $5]++; total++ }
    END { id["no"] = 0; id["yes"] = 1; while ((getline <cells) > 0) { split($0, c, ","); got[c[2] "," c[1]] = c[4]; sum += c[4] }
        for (t in id) for (s in id) if (n[t "," s] + 0 != got[id[t] "," id[s]]) exit 1; exit !(sum == total && total == 30) }' p.csv || { cat cells; fail "not the counts of predict"; }
# the area is the chance that a yes has a higher score than a no
expect 0 "$RONDO" plot roc t.rondo -w t.safetensors -o x.gp
auc=$(awk -F, '$1 == "p" && $3 == "test" { n++; side[n] = $4; p[n] = $6 }
    END { for (i in p) for (j in p) if (side[i] == "yes" && side[j] == "no") { all++; u += p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0 } printf "%.4f", u / all }' p.csv)
says out "yes, AUC $auc"
expect 0 "$RONDO" plot attention t.rondo -w t.safetensors --prompt "it was a good day" -o x.gp
block cells x.gp | awk -F, '{ s += $3 } END { exit !(NR == 5 && s > 0.9999 && s < 1.0001) }' || fail "the weights of five words do not make 1"
says x.gp "'it' 0, 'was' 1, 'a' 2, 'good' 3, 'day' 4"

# a number for each sequence: the points are those of predict, the error that of eval
expect 0 "$RONDO" new regress spring
expect 0 "$RONDO" train spring.rondo --seed 1 --set epochs=10
says out '^next: rondo plot scatter spring.rondo -w spring.safetensors -o spring.svg$'
for e in $draw; do
    expect 0 "$RONDO" plot scatter spring.rondo -w spring.safetensors -o spring$e
    picture spring$e
done
expect 0 "$RONDO" eval spring.rondo -w spring.safetensors
says spring.gp "p: RMSE $(awk '$1 == "rmse" { printf "%.4g", $2 }' out), R2 $(awk '$1 == "r2" { printf "%.4g", $2 }' out); the mean "
expect 0 "$RONDO" predict spring.rondo -w spring.safetensors
says out '^output,example,run,part,truth,0$'
awk -F, '$4 == "test" { printf "%s %.3f\n", $5, $6 }' out | sort >want
block points0 spring.gp | awk -F, '{ printf "%s %.3f\n", $1, $2 }' | sort | cmp - want || fail "not the numbers of predict"
expect 1 "$RONDO" plot scatter t.rondo -w t.safetensors -o no.gp
says err "E0552.*'t' has no picture of numbers"
expect 1 "$RONDO" plot scatter $M -w w.safetensors -o no.gp
says err 'E0552.*rondo plot forecast'
cut -d, -f1,2 spring.csv >unknown.csv
expect 1 "$RONDO" plot scatter spring.rondo -w spring.safetensors --data unknown.csv -o no.gp
says err 'E0554.*do not say which number is right'
[ ! -e no.gp ] || fail "a picture of nothing"

# a class at each step: the counts are those of eval, and a step is a row of predict
cp "$SRC/examples/tagging.rondo" "$SRC/examples/names.jsonl" .
expect 0 "$RONDO" train tagging.rondo -o g.safetensors --seed 1 -q --set epochs=3
expect 0 "$RONDO" eval tagging.rondo -w g.safetensors
sed -n '/^confusion/,$p' out | awk 'NR > 1 && NR < 6 { for (i = 1; i <= 4; i++) print $i }' >want
expect 0 "$RONDO" plot confusion tagging.rondo -w g.safetensors -o tags.gp
says out "$(awk '{ n += $1 } END { print n }' want) steps, "
block cells tags.gp | cut -d, -f4 | cmp - want || fail "other counts than eval's"
expect 0 "$RONDO" predict tagging.rondo -w g.safetensors -o p.csv
awk -F, '$1 == "tags" && $3 == "test" { n[$4 "," $5]++ } END { for (t = 0; t < 4; t++) for (c = 0; c < 4; c++) print n[t "," c] + 0 }' p.csv | cmp - want || fail "other classes in predict"
expect 1 "$RONDO" plot roc tagging.rondo -w g.safetensors -o no.gp
says err 'a score for each class, for each step'
sed 's/output tags = argmax(z)/output z/' tagging.rondo >scores.rondo
expect 0 "$RONDO" plot roc scores.rondo -w g.safetensors -o roc.gp
says out '0, AUC [01].*3, AUC [01]'

# what does not fit
for stray in "learning a.csv --future 3" "learning a.csv --set H=8" "tune a.jsonl --seed 1" "forecast $M -w w.safetensors --prompt x" "roc scores.rondo -w g.safetensors --example 1"; do
    expect 2 "$RONDO" plot $stray -o no.svg
    says err "plot ${stray%% *} does not take --"
done
expect 2 "$RONDO" plot forecast $M -w w.safetensors -o x.pdf
says err 'ends in .svg, .png or .gp'
expect 2 "$RONDO" plot forecast $M -w w.safetensors
says err '.o FILE is missing'
expect 2 "$RONDO" plot pie $M -o x.svg
expect 1 "$RONDO" plot confusion $M -w w.safetensors -o no.svg
says err 'E0552.*does not classify'
expect 1 "$RONDO" plot forecast t.rondo -w t.safetensors -o no.svg
says err 'drawn of a series'
expect 1 "$RONDO" plot attention $M -w w.safetensors -o no.svg
says err 'no output of attention'
expect 1 "$RONDO" plot attention t.rondo -w t.safetensors --example 60 -o no.svg
says err 'no example 60'
expect 1 "$RONDO" plot learning t.csv -o no.svg
says err 'is no log of a training'
echo '{"epoch": 1' >broken.jsonl
expect 1 "$RONDO" plot learning broken.jsonl -o no.svg
says err 'broken.jsonl:1: this line is no JSON object'
expect 1 "$RONDO" plot learning a.csv -o no/such/x.svg
mkdir nothing
expect 1 env PATH="$TMP/nothing" "$RONDO" plot learning a.csv -o no.svg
says err 'E0560.*gnuplot cannot be run'
says err 'gnuplot-nox'
[ ! -e no.svg ] || fail "a picture of nothing"
picture forecast.gp
