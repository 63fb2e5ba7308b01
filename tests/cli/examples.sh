# Every example runs with what ships beside it, small: it trains, is evaluated, and learns more than nothing.
. "$SRC/tests/lib.sh"
cp "$SRC"/examples/* .
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
awk -F, '$1 == "attention" { sum[$2] += $5; if (!($5 > 0)) exit 1 } END { for (k in sum) { n++; d = sum[k] - 1; if (d > 1e-4 || d < -1e-4) exit 1 } exit n != 240 }' out || fail "attention"
small imbalanced roc_auc 0.8 1 --set epochs=6 --set 'optimizer=adam(lr = 0.003)'
