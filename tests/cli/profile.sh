# bench --profile: the stages make up the call, do the work of its products, and name what they write.
. "$SRC/tests/lib.sh"
command -v jq >/dev/null || exit 77
M=$SRC/bench/lnlstm.rondo
for mode in forward train; do
    expect 0 "$RONDO" bench "$M" --mode $mode --batch 4 --steps 20 --set I=32 --set H=32 --time 50 --profile --json
    jq -es '.[0] as $x | ($x.stages | map(.ms) | add) as $ms | ($x.stages | map(.flops) | add * 1e-9) as $gflop
        | $ms > 0.3 * $x.ms_min and $ms < 1.5 * $x.ms_median + 0.05 and $gflop >= $x.gflop and $gflop < 3 * $x.gflop
        and ($x.stages | all(.bytes >= 0 and .roof_ms > 0 and (.bound == "memory" or .bound == "arithmetic")))' out >/dev/null || { cat out; fail "stages, $mode"; }
done
jq -es '.[0].stages | length >= 3 and (map(.writes) | join(" ") | test("grad"))' out >/dev/null || { cat out; fail "no stage writes the gradients"; }
# sizes that no tile divides: the edges count as they are
expect 0 "$RONDO" bench "$SRC/bench/lstm.rondo" --mode train --batch 32 --steps 10 --set I=1 --set H=50 --time 50 --profile --json
jq -es '.[0] as $x | ($x.stages | map(.flops) | add * 1e-9) as $gflop | $gflop >= $x.gflop and $gflop < 1.6 * $x.gflop' out >/dev/null || { cat out; fail "edges"; }
expect 0 "$RONDO" bench "$M" --batch 1 --steps 20 --set I=16 --set H=16 --time 20 --profile
says out 'roof ms'
expect 2 "$RONDO" bench "$M" --profile --threads 2
expect 2 "$RONDO" bench "$M" --profile --engine loops
