# Every example runs with what ships beside it, small: it trains, is evaluated, and learns more than nothing.
. "$SRC/tests/lib.sh"
cp "$SRC"/examples/*.* .
# small MODEL METRIC LOW HIGH [options]: trained so, the value of the metric (of what validates or tests)
small() {
    model=$1 metric=$2 low=$3 high=$4
    shift 4
    expect 0 "$RONDO" train "$model.rondo" -o w.safetensors --seed 1 -q "$@"
    expect 0 "$RONDO" eval "$model.rondo" -w w.safetensors "$@"
    awk -v name="$metric" -v lo="$low" -v hi="$high" '$1 == name { v = $2; n++ } END { exit !(n == 1 && v >= lo && v <= hi) }' out || { cat out; fail "$model: $metric is not between $low and $high"; }
}
small sentiment accuracy 0.75 1 --set epochs=6
small sentiment_lstm accuracy 0.75 1 --set epochs=6 --set H=24
small sentiment_attention accuracy 0.75 1 --set epochs=8 --set H=24
# the weights of the words of a sentence add up to 1, and padding has none
expect 0 "$RONDO" predict sentiment_attention.rondo --set H=24 -w w.safetensors
awk -F, '$1 == "attention" { sum[$2] += $NF; if (!($NF > 0)) bad = 1 } END { for (k in sum) { n++; d = sum[k] - 1; if (d > 1e-4 || d < -1e-4) bad = 1 } exit bad || n != 240 }' out || fail "attention"
small imbalanced roc_auc 0.8 1 --set epochs=6 --set 'optimizer=adam(lr = 0.003)'

# ---- a label a step: what stands behind a word matters, so reading one way only is worse ----
small tagging sparse_accuracy 0.99 1 --set epochs=8
says out '^each_f1'
sed 's/bidirectional\[gru\[H\]\]/gru[H]/' tagging.rondo >forward.rondo
expect 0 "$RONDO" train forward.rondo -o f.safetensors --seed 1 -q --set epochs=8
expect 0 "$RONDO" eval forward.rondo -w f.safetensors
awk '$1 == "sparse_accuracy" { exit !($2 < 0.985) }' out || { cat out; fail "reading one way knows what comes"; }
# weights of the classes of steps: all equal, they are a factor of the loss
expect 0 "$RONDO" train tagging.rondo -o a.safetensors --seed 1 -q --set epochs=2 --set class_weights=[2,2,2,2] --set 'optimizer=sgd(lr = 0.1)'
expect 0 "$RONDO" train tagging.rondo -o b.safetensors --seed 1 -q --set epochs=2 --set 'optimizer=sgd(lr = 0.2)'
cmp -s a.safetensors b.safetensors || fail "weights of 2 are not a factor of 2"
expect 0 "$RONDO" train tagging.rondo -o b.safetensors --seed 1 --set epochs=2 --set class_weights=balanced
says err '^class 1: 412 of 2054 in what trains, weight 1\.246'
expect 1 "$RONDO" train char_lm.rondo -o b.safetensors --seed 1 --set "class_weights=balanced"
says err "E0551.*no running text"

# ---- one text into another ----
T="translate.rondo --set made=dates(400,seed=2) --set H=32 --set epochs=14"
expect 0 "$RONDO" train $T -o t.safetensors --seed 1 -q --set 'optimizer=adam(lr = 0.01)'
"$RONDO" eval $T -w t.safetensors >out
awk '$1 == "sparse_accuracy" { exit !($2 > 0.9) }' out || { cat out; fail "translate"; }
nats() { # of writing TEXT for PROMPT, by the model's own loss: the mean over its characters and the end, times their number
    printf '{"figures": "%s", "words": "%s"}\n' "$1" "$2" >pair.jsonl
    "$RONDO" eval $T -w t.safetensors --data pair.jsonl >said
    awk -v n="${#2}" '$1 == "loss" { printf "%.6f\n", $2 * (n + 1) }' said
}
for p in 2.5.1987 1999-12-31 7/14/2021 1804-02-30; do
    one=$("$RONDO" generate $T -w t.safetensors --prompt $p)
    four=$("$RONDO" generate $T -w t.safetensors --prompt $p --beam 4)
    nats $p "$one" >a
    says said '^sparse_accuracy 1$' # each token is the likeliest behind those before it
    nats $p "$four" >b
    paste a b | awk '{ exit !($2 <= $1 + 1e-4) }' || fail "$p: a beam of 4 finds '$four', a worse text than '$one'"
done
expect 1 "$RONDO" generate $T -w t.safetensors --prompt 2_5
says err "E0620.*byte 2: '_' is not in the vocabulary"
expect 1 "$RONDO" generate $T -w t.safetensors
says err 'the prompt is empty'
expect 2 "$RONDO" generate $T -w t.safetensors --prompt 1 --beam 0
for drawn in '--temperature 0.5' '--top-k 4' '--top-p 0.9'; do # nothing is drawn here: said, not passed over
    expect 1 "$RONDO" generate $T -w t.safetensors --prompt 1 $drawn
    says err 'E0558.*draws nothing'
done
printf '{"figures": "1.2.2003"}\n' >asked.jsonl
expect 1 "$RONDO" predict $T -w t.safetensors --data asked.jsonl
says err "E0605.*asked.jsonl has nothing for 'input/before'"
says err '`rondo generate --prompt TEXT` writes'
expect 0 "$RONDO" train $T -o short.safetensors --set epochs=1
says out '^next: rondo generate translate.rondo -w short.safetensors --beam 4 --prompt TEXT'
expect 1 "$RONDO" generate char_lm.rondo -w w.safetensors --beam 4
expect 1 "$RONDO" train $T --set teacher=other -o x.safetensors
says err 'E0552.*teacher names an input'
