# The reference tasks of shared/bench/tasks on their data, with the examples as they stand: of three of them one seed each, held to the means
# asked for with two deviations of room; with FULL set, all of them, five seeds, the means themselves. Skipped where the data are not there.
. "$SRC/tests/lib.sh"
D=${RONDO_SHARED:-$SRC/../shared}/data
[ -r "$D/text/rt-polarity.pos" ] || { echo "skipped: there is no $D"; exit 77; }
cp "$SRC"/examples/*.rondo .
cp "$SRC/examples/sunspots.csv" .
for f in "$D"/text/rt-polarity.* "$D"/text/tinyshakespeare.txt "$D"/text/warandpeace.*.txt "$D"/sequences/JapaneseVowels_*; do ln -s "$f" .; done
if [ "${FULL:-}" ]; then seeds="1 2 3 4 5" epochs=10 random="0.080 0.0915" without=0.0886 vowels=0.936 accuracy=0.707 f1=0.695
else seeds=1 epochs=3 random="0.077 0.0945" without=0.0922 vowels=0.925 accuracy=0.687 f1=0.66; fi

lines='lines=["rt-polarity.pos": 1, "rt-polarity.neg": 0]'
value() { sed -n "s/^$1 //p" out; }
# mean NAME LOW HIGH: of the values collected in the file NAME
mean() {
    awk -v lo="$2" -v hi="$3" -v name="$1" '{ s += $1; n++ } END { m = s / n
        printf "%s: mean of %d: %.4f, asked for %s to %s\n", name, n, m, lo, hi; exit !(m >= lo && m <= hi) }' "$1" || fail "$1"
}
# sentiment MODEL: its metrics on the test part at the epoch of the best validation accuracy
sentiment() {
    expect 0 "$RONDO" train "$1.rondo" --seed $s -o w.safetensors -q --set "$lines" --set epochs=$epochs --set early_stopping=10 --set monitor=accuracy
    expect 0 "$RONDO" eval "$1.rondo" --set "$lines" -w w.safetensors
    says out 'the test part, 1066 examples'
    value accuracy >>"$1_accuracy"
    value f1 >>"$1_f1"
}
# epochs_of NAME KEY: the value of a key after each of three epochs, to NAME_1 .. NAME_3
epochs_of() {
    for e in 1 2 3; do sed -n "${e}s/.*\"$2\": \([0-9.]*\).*/\1/p" log.jsonl >>"$1_$e"; done
}
# imbalanced NAME option..: five folds by rule; the metrics of each on the part left out
imbalanced() {
    name=$1
    shift
    for k in 0 1 2 3 4; do
        fold="split=every(5, test = $k)"
        expect 0 "$RONDO" train imbalanced.rondo --seed $s -o w.safetensors -q --set "$few" --set "$fold" "$@"
        expect 0 "$RONDO" eval imbalanced.rondo -w w.safetensors --set "$few" --set "$fold"
        for m in f1 recall roc_auc; do value $m >>"${name}_$m"; done
    done
}
for s in $seeds; do
    expect 0 "$RONDO" train random_series.rondo --seed $s -o w.safetensors -q --json
    sed 's/.*"loss": \([0-9.]*\).*/\1/' out >>random_loss
    expect 0 "$RONDO" eval random_series.rondo -w w.safetensors
    value loss >>random_without_dropout
    expect 0 "$RONDO" train vowels.rondo --seed $s -o w.safetensors -q
    expect 0 "$RONDO" eval vowels.rondo -w w.safetensors
    value sparse_accuracy >>vowels
    sentiment sentiment
done
mean random_loss $random
mean random_without_dropout 0 $without
mean vowels $vowels 1
mean sentiment_accuracy $accuracy 1
mean sentiment_f1 $f1 1
[ "${FULL:-}" ] || exit 0

sed 's/p = dense\[1\](h.last)/p = dense[1](dropout[0.2](h.last))/' sunspots.rondo >sunspots_dropout.rondo
says sunspots_dropout.rondo dropout
awk 'int((NR - 1) / 10) % 10 == 0' rt-polarity.pos >few.pos
few='lines=["few.pos": 1, "rt-polarity.neg": 0]'
for s in $seeds; do
    for m in sunspots sunspots_dropout; do
        expect 0 "$RONDO" train $m.rondo --seed $s -o w.safetensors -q
        expect 0 "$RONDO" eval $m.rondo -w w.safetensors
        value unscaled_rmse >>$m
    done
    sentiment sentiment_lstm
    sentiment sentiment_attention
    imbalanced weighted --set epochs=3
    imbalanced unweighted --set epochs=4 --set 'class_weights=[1, 1]'
    expect 0 "$RONDO" train char_lm.rondo --data tinyshakespeare.txt --set batch=64 --seed $s -o w.safetensors -q --log log.jsonl
    epochs_of char_lm valid_loss
    expect 0 "$RONDO" train word_lm.rondo --data warandpeace.train.txt --set batch=64 --set 'validation="warandpeace.valid.txt"' --set split=1 \
        --seed $s -o w.safetensors -q --log log.jsonl
    epochs_of word_lm valid_loss
    for e in 1 2 3; do tail -n 1 word_lm_$e | awk '{ print exp($1) }' >>word_lm_perplexity_$e; done
    epochs_of word_lm_accuracy valid_sparse_accuracy
done
mean sunspots 18 21.3
awk '$1 > 32.9 { exit 1 }' sunspots || fail "a seed of sunspots above persistence"
mean sunspots_dropout 18 22.3
mean sentiment_lstm_accuracy 0.722 1
mean sentiment_lstm_f1 0.70 1
mean sentiment_attention_accuracy 0.716 1
mean sentiment_attention_f1 0.72 1
mean weighted_f1 0.28 1
mean weighted_recall 0.36 1
mean weighted_roc_auc 0.69 1
mean unweighted_roc_auc 0.70 1
mean unweighted_f1 0 0.28
mean char_lm_1 1 2.123
mean char_lm_2 1 1.946
mean char_lm_3 1 1.858
mean word_lm_perplexity_1 100 465
mean word_lm_perplexity_2 100 323
mean word_lm_perplexity_3 100 277
mean word_lm_accuracy_3 0.166 1
