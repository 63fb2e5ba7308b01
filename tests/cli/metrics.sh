# Metrics of std against values computed here another way (pairs instead of sorting, counts instead of formulas), over examples and
# over the real steps of sequences of unequal length, weighted and not; what a metric's definition may not say.
. "$SRC/tests/lib.sh"
near() { # near NAME VALUE: the number that out has for NAME
    awk -v name="$1" -v want="$2" '$1 == name { d = $2 - want; n++; if (!(d < 1e-6 && d > -1e-6)) { print name, $2, "instead of", want; bad = 1 } } END { exit bad || n != 1 }' out || { cat out; fail "$1"; }
}

# ---- two classes: scores with ties ----
awk 'BEGIN { for (i = 0; i < 53; i++) printf "%.2f %d %.2f\n", (i * 37 % 19) / 19, i * i % 7 < 3, i % 4 * 0.5 }' >rows
awk 'BEGIN { print "p,y,w" } { print $1 "," $2 "," $3 }' rows >two.csv
two() { # two WEIGHT: the metrics with ", w" behind their arguments, or without
    cat <<END
model two {
    input p: [1]
    input w: [1]
    target y: bool
    param one: [1] = 1
    q = one * p
    output q
    loss mse(q, y)
    metric accuracy(q, y$1), binary_accuracy[threshold = 0.3](q, y$1), precision(q, y$1), recall(q, y$1), f1(q, y$1), specificity(q, y$1), matthews(q, y$1)
    metric roc_auc(q, y$1), pr_auc(q, y$1), binary_confusion(q, y$1), average(mae(q, y)$1)
    train { optimizer = sgd(lr = 1), epochs = 0 }
    data { csv = "two.csv", split = 1 }
}
END
}
expected() { # expected COLUMN-OF-WEIGHT (0: every row 1)
    awk -v col="$1" '{ p[NR] = $1; y[NR] = $2; w[NR] = col ? $col : 1; all += w[NR]; mae += w[NR] * ($1 > $2 ? $1 - $2 : $2 - $1)
        if ($1 > 0.5) { if ($2) tp += w[NR]; else fp += w[NR] } else { if ($2) fn += w[NR]; else tn += w[NR] }
        if (($1 > 0.3) == $2) hit += w[NR] }
    END {
        for (i = 1; i <= NR; i++) for (j = 1; j <= NR; j++) if (y[i] && !y[j]) { pairs += w[i] * w[j]; if (p[i] > p[j]) won += w[i] * w[j]; if (p[i] == p[j]) won += w[i] * w[j] / 2 }
        for (i = 1; i <= NR; i++) if (y[i]) { up = above = 0; for (j = 1; j <= NR; j++) if (p[j] >= p[i]) { above += w[j]; if (y[j]) up += w[j] } if (above) ap += w[i] * up / above; pos += w[i] }
        print "accuracy", (tp + tn) / all; print "binary_accuracy", hit / all; print "precision", tp / (tp + fp); print "recall", tp / (tp + fn)
        print "f1", 2 * tp / (2 * tp + fp + fn); print "specificity", tn / (tn + fp); print "roc_auc", won / pairs; print "pr_auc", ap / pos; print "average", mae / all
        print "matthews", (tp * tn - fp * fn) / sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)); print "confusion", tn, fp, fn, tp }' OFMT='%.9g' rows
}
for weight in 0 3; do
    if [ $weight = 0 ]; then two ''; else two ', w'; fi >two.rondo
    expect 0 "$RONDO" train two.rondo -o two.safetensors -q --seed 1
    expect 0 "$RONDO" eval two.rondo -w two.safetensors
    expected $weight >want
    grep -v confusion want >one
    while read -r name value; do near "$name" "$value"; done <one
    [ "$(tr '\n' ' ' <out | sed 's/.*binary_confusion *\(.*\) *average.*/\1/' | awk '{ $1 = $1 } 1')" = "$(sed -n 's/confusion //p' want)" ] || { cat out want; fail confusion; }
done
expect 0 "$RONDO" eval two.rondo -w two.safetensors --json
says out '"binary_confusion": \[\[[0-9.]*, [0-9.]*\], \[[0-9.]*, [0-9.]*\]\]'
# one class alone: there is no area
(head -n 1 two.csv && grep ',1,' two.csv) >ones.csv
expect 0 "$RONDO" eval two.rondo -w two.safetensors --json --data ones.csv
says out '"roc_auc": null'

# ---- several classes, a row a real step ----
cat >many.rondo <<'END'
model many {
    input z: seq [4]
    target y: seq token[4]
    param one: [4] = 1
    q = one * z
    output q
    loss softmax_crossentropy(q, y)
    metric confusion(q, y), each_precision(q, y), each_recall(q, y), each_f1(q, y), macro_precision(q, y), macro_recall(q, y), macro_f1(q, y)
    metric micro_f1(q, y), sparse_accuracy(q, y), top_k[k = 2](q, y), perplexity(q, y), bits_per_character(q, y)
    train { optimizer = sgd(lr = 1), epochs = 0, batch = 4 }
    data { jsonl = "many.jsonl", split = 1 }
}
END
# class 3 is never true and never guessed; equal scores go to the first
awk 'BEGIN { for (e = 0; e < 11; e++) { n = 1 + e * 5 % 7; z = y = ""; for (t = 0; t < n; t++) { k++; a = k * 7 % 5; b = k * 3 % 4; c = k * 11 % 6
        truth = k * k % 3; z = z (t ? ", " : "") "[" a / 2 ", " b ", " c / 3 ", -9]"; y = y (t ? ", " : "") truth; print a / 2, b, c / 3, -9, truth >"steps" }
    print "{\"z\": [" z "], \"y\": [" y "]}" } }' >many.jsonl
awk '{ best = 1; for (k = 2; k <= 4; k++) if ($k > $best) best = k; above = 0; t = $5 + 1; for (k = 1; k <= 4; k++) above += $k > $t
    n[t, best]++; truth[t]++; guess[best]++; hit += best == t; near += above < 2; s = 0; for (k = 1; k <= 4; k++) s += exp($k); nats += log(s) - $t }
    END { for (k = 1; k <= 4; k++) { p = guess[k] ? n[k, k] / guess[k] : 0; r = truth[k] ? n[k, k] / truth[k] : 0; f = guess[k] + truth[k] ? 2 * n[k, k] / (guess[k] + truth[k]) : 0
            sp += p; sr += r; sf += f; used += guess[k] + truth[k] > 0; ep = ep " " p; er = er " " r; ef = ef " " f }
        print "macro_precision", sp / used; print "macro_recall", sr / used; print "macro_f1", sf / used; print "micro_f1", hit / NR; print "sparse_accuracy", hit / NR
        print "top_k", near / NR; print "perplexity", exp(nats / NR); print "bits_per_character", nats / NR / log(2)
        for (i = 1; i <= 4; i++) for (k = 1; k <= 4; k++) c = c " " n[i, k] + 0
        print "each_precision" ep; print "each_recall" er; print "each_f1" ef; print "confusion" c }' OFMT='%.9g' CONVFMT='%.9g' steps >want
expect 0 "$RONDO" train many.rondo -o many.safetensors -q --seed 1
expect 0 "$RONDO" eval many.rondo -w many.safetensors
grep -v '^each\|^confusion' want >one
while read -r name value; do near "$name" "$value"; done <one
tr '\n' ' ' <out | sed 's/.*confusion/confusion/; s/ macro_precision.*//; s/ each/\neach/g' >got
sort want | grep '^each\|^confusion' >all
sort got | awk 'NR == FNR { for (i = 2; i <= NF; i++) v[$1, i] = $i; next } { for (i = 2; i <= NF; i++) { d = v[$1, i] - $i; if (!(d < 1e-6 && d > -1e-6)) { print $1, i, $i, "instead of", v[$1, i]; bad = 1 } n++ } } END { exit bad || n != 28 }' all - || { cat out want; fail "classes"; }

# ---- wide rows, more than are read at a time: in the order of the examples, padding left out ----
cat >wide.rondo <<'END'
metric place(p: [20000], z: [1]) {
    state n, total = 0
    n' = n + 1
    total' = total + n' * (sum(p) / 20000 + sum(z))
    return total'
}
model wide {
    input z: seq [1]
    target y: seq [1]
    param one: [20000] = 1
    p = one * sum(z)
    output z
    loss mse(z, y)
    metric place(p, z)
    train { optimizer = sgd(lr = 1), epochs = 0, batch = 2 }
    data { jsonl = "wide.jsonl", split = 1, bucket = 0 }
}
END
awk 'BEGIN { for (e = 0; e < 3; e++) { z = ""; n = e == 1 ? 3 : 70 + e; for (t = 0; t < n; t++) { k++; a = k * 7 % 5 / 4; z = z (t ? ", " : "") "[" a "]"; total += k * 2 * a }
    print "{\"z\": [" z "], \"y\": [" z "]}" >"wide.jsonl" } print total }' OFMT='%.9g' >want
expect 0 "$RONDO" train wide.rondo -o wide.safetensors -q --seed 1
expect 0 "$RONDO" eval wide.rondo -w wide.safetensors
near place "$(cat want)"

# ---- numbers ----
cat >numbers.rondo <<'END'
model numbers {
    input x: [1]
    target y: [1]
    param one: [1] = 1
    q = one * x
    output q
    loss mse(q, y)
    metric rmse(q, y), mae(q, y), mape(q, y), r2(q, y), esr(q, y)
    train { optimizer = sgd(lr = 1), epochs = 0 }
    data { csv = "numbers.csv", split = 1 }
}
END
awk 'BEGIN { print "x,y"; for (i = 0; i < 40; i++) print i * 13 % 17 / 4 ", " 1 + i * 7 % 11 / 3 }' >numbers.csv
awk -F, 'NR > 1 { n++; d = $1 - $2; a = d < 0 ? -d : d; s += d * d; m += a; pe += a / $2; sy += $2; yy += $2 * $2 }
    END { print "rmse", sqrt(s / n); print "mae", m / n; print "mape", 100 * pe / n; print "r2", 1 - s / (yy - sy * sy / n); print "esr", s / yy }' OFMT='%.9g' numbers.csv >want
expect 0 "$RONDO" train numbers.rondo -o numbers.safetensors -q --seed 1
expect 0 "$RONDO" eval numbers.rondo -w numbers.safetensors
while read -r name value; do near "$name" "$value"; done <want

# ---- names: each once in a log ----
sed 's/metric rmse.*/metric rmse(q, y), rmse(q, 2 * y), third = rmse(q, y), mae(q, y), mae(q, 2 * y)/; s/epochs = 0/epochs = 1/' numbers.rondo >named.rondo
expect 0 "$RONDO" train named.rondo -o named.safetensors -q --log named.csv
[ "$(head -n 1 named.csv | tr -d '"')" = epoch,update,loss,valid_loss,rmse,rmse_2,third,mae,mae_2,seconds ] || { cat named.csv; fail "names of metrics"; }

# ---- what is refused ----
refuse() { # refuse CODE METRIC: in the place of the metrics
    awk -v m="$2" '/^    metric/ { print m; next } { print }' numbers.rondo >bad.rondo
    expect 1 "$RONDO" check bad.rondo
    says err "E0$1"
}
refuse 207 '    metric rmse(q)'
refuse 207 '    metric rmse(q, y, q, q)'
refuse 413 '    metric r2(1, 2)'
refuse 201 '    metric rmse(q, y), rmse = mae(q, y)'
refuse 216 '    metric loss = rmse(q, y)'
refuse 408 '    return q, falling q'
printf 'metric bad(p, y) { state n = 0 n'"'"' = n + p return n'"'"', falling z }\n' >>numbers.rondo
refuse 200 '    metric bad(q, y)'
sed -i '$d' numbers.rondo
printf 'metric bad(p, y) { state n = 0 n'"'"' = n + p return n'"'"', rising p }\n' >>numbers.rondo
refuse 100 '    metric bad(q, y)'
# a vector where a number is asked for, and the other way round: how one is taken out of the other
sed '$d; s/target y: \[1\]/target y: [2]/; s/q = one \* x/q = [one * x, x]/' numbers.rondo >numbers2.rondo
pair() { awk -v m="$1" '/^    metric/ { print m; next } { print }' numbers2.rondo >bad.rondo; }
pair '    metric r2(q, y)'
expect 1 "$RONDO" check bad.rondo
says err 'E0301.*`p` of `r2` is a scalar'
says err 'of a vector, `v\[0\]` is one number'
pair '    metric rmse(q[0], y[0])'
expect 1 "$RONDO" check bad.rondo
says err 'E0301.*`p` is declared \[N\], but this is \[\]'
says err '`v\[0:1\]` of a vector'
pair '    metric r2(q[0], y[0]), first = rmse(q[0:1], y[0:1]), same = rmse([q[0]], [y[0]])'
expect 0 "$RONDO" check bad.rondo
