# The reference tasks of shared/bench/tasks on their data, with the examples as they stand: one seed each, held to the means asked
# for with two deviations of room; with FULL set, five seeds and the means themselves. Skipped where the data are not there.
. "$SRC/tests/lib.sh"
D=${RONDO_SHARED:-$SRC/../shared}/data
[ -r "$D/text/rt-polarity.pos" ] || { echo "skipped: there is no $D"; exit 77; }
cp "$SRC"/examples/*.rondo .
for f in "$D"/text/rt-polarity.* "$D"/text/tinyshakespeare.txt "$D"/sequences/JapaneseVowels_*; do ln -s "$f" .; done
if [ "${FULL:-}" ]; then seeds="1 2 3 4 5" epochs=10 random="0.080 0.0915" without=0.0886 vowels=0.936 accuracy=0.707 f1=0.695
else seeds=1 epochs=3 random="0.077 0.0945" without=0.0922 vowels=0.925 accuracy=0.687 f1=0.66; fi

lines='lines=["rt-polarity.pos": 1, "rt-polarity.neg": 0]'
value() { sed -n "s/^$1 //p" out; }
# mean NAME LOW HIGH: of the values collected in the file NAME
mean() {
    awk -v lo="$2" -v hi="$3" -v name="$1" '{ s += $1; n++ } END { m = s / n
        printf "%s: mean of %d: %.4f, asked for %s to %s\n", name, n, m, lo, hi; exit !(m >= lo && m <= hi) }' "$1" || fail "$1"
}
for s in $seeds; do
    expect 0 "$RONDO" train random_series.rondo --seed $s -o w.safetensors -q --json
    sed 's/.*"loss": \([0-9.]*\).*/\1/' out >>random_loss
    expect 0 "$RONDO" eval random_series.rondo -w w.safetensors
    value loss >>random_without_dropout
    expect 0 "$RONDO" train vowels.rondo --seed $s -o w.safetensors -q
    expect 0 "$RONDO" eval vowels.rondo -w w.safetensors
    value sparse_accuracy >>vowels
    expect 0 "$RONDO" train sentiment.rondo --seed $s -o w.safetensors -q --set "$lines" --set epochs=$epochs --set early_stopping=10 --set monitor=accuracy
    expect 0 "$RONDO" eval sentiment.rondo --set "$lines" -w w.safetensors
    says out 'the test part, 1066 examples'
    value accuracy >>sentiment_accuracy
    value f1 >>sentiment_f1
    [ "${FULL:-}" ] || continue
    expect 0 "$RONDO" train char_lm.rondo --data tinyshakespeare.txt --set batch=64 --seed $s -o w.safetensors -q --log log.jsonl
    for e in 1 2 3; do sed -n "${e}s/.*\"valid_loss\": \([0-9.]*\).*/\1/p" log.jsonl >>char_lm_$e; done
done
mean random_loss $random
mean random_without_dropout 0 $without
mean vowels $vowels 1
mean sentiment_accuracy $accuracy 1
mean sentiment_f1 $f1 1
[ "${FULL:-}" ] || exit 0
mean char_lm_1 1 2.123
mean char_lm_2 1 1.946
mean char_lm_3 1 1.858
