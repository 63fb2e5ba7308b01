# --json prints one JSON object a result.
. "$SRC/tests/lib.sh"
M=$SRC/examples/sunspots.rondo
command -v jq >/dev/null || exit 77

"$RONDO" check "$M" --json | jq -es 'length == 1 and .[0].model == "sunspots" and .[0].parameters == 10451' >/dev/null || fail check
"$RONDO" train "$M" -q --json -o w.safetensors --set epochs=2 |
    jq -es 'length == 1 and .[0].epochs == 2 and .[0].loss > 0 and .[0].weights == "w.safetensors"' >/dev/null || fail train
"$RONDO" train "$M" --json -o w.safetensors --set epochs=2 2>/dev/null | jq -S 'del(.seconds)' >loud.json
"$RONDO" train "$M" -q --json -o w.safetensors --set epochs=2 | jq -S 'del(.seconds)' | cmp - loud.json || fail "-q leaves out what --json says"
jq -es '.[0].test_loss > 0 and .[0].persistence_rmse > 0' <loud.json >/dev/null || fail "no test"
"$RONDO" eval "$M" -w w.safetensors --json | jq -es 'length == 1 and .[0].loss > 0' >/dev/null || fail eval
"$RONDO" explain "$M" --json --batch 4 --steps 10 |
    jq -es 'length == 1 and .[0].batch == 4 and .[0].train.product_flops > .[0].forward.product_flops' >/dev/null || fail explain
for mode in forward train step; do
    "$RONDO" bench "$M" --json --batch 2 --steps 10 --mode $mode |
        jq -es 'length == 1 and .[0].ms_min > 0 and .[0].ms_median >= .[0].ms_min and .[0].peak_gflops > 0' >/dev/null || fail "bench $mode"
done
