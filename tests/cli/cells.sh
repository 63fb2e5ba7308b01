# The models of tests/conform/cells against the vectors of other implementations, in f64, where those are at hand.
. "$SRC/tests/lib.sh"
V=$SRC/../shared/conformance/cells
[ -d "$V" ] || exit 77
n=0
for model in "$SRC"/tests/conform/cells/*.rondo; do
    name=$(basename "$model" .rondo)
    [ "$name" != tbptt_lstm ] || continue # the gradient of windows: run --grad does not cut yet
    expect 0 "$RONDO" run "$model" --in "$V/$name.npz" --engine eval --dtype f64 --compare
    n=$((n + 1))
done
[ "$n" -ge 23 ] || fail "only $n models"
