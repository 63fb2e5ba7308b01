# Task 1 of shared/bench/tasks: yearly sunspots. Test RMSE in sunspots, as `rondo predict` writes the forecasts of the test part:
# mean of seeds 1 to 5 at most 21.3, each below the persistence forecast's 32.9; the mean of 20 seeds too, because five can be lucky.
. "$SRC/tests/lib.sh"
M=$SRC/examples/sunspots.rondo
passed=0
failed=0
verdict() { # TEXT CONDITION(awk)
    if awk "BEGIN { exit !($2) }"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $1" >&2
    fi
}
for k in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    expect 0 "$RONDO" train "$M" --seed $k -o w.safetensors -q
    expect 0 "$RONDO" predict "$M" -w w.safetensors -o p.csv
    awk -F, '$4 == "test" { d = $3 - $2; s += d * d; n++ } END { if (n != 60) exit 1; printf "%.4f\n", sqrt(s / n) }' p.csv >one ||
        fail "seed $k: not 60 test years"
    cat one >>rmse
    expect 0 "$RONDO" eval "$M" -w w.safetensors
    verdict "seed $k: eval says $(awk '/^rmse/ { print $2 }' out) and the forecasts $(cat one)" \
        "($(awk '/^rmse/ { print $2 }' out) * 154.4 - $(cat one)) ^ 2 < 1e-4" # the most of the first 249 years; the least is 0
    verdict "seed $k: RMSE $(cat one)" "$(cat one) < 32.9"
done
five=$(head -n 5 rmse | awk '{ s += $1 } END { printf "%.3f", s / 5 }')
all=$(awk '{ s += $1 } END { printf "%.3f", s / 20 }' rmse)
echo "RMSE of seeds 1 to 5: $(head -n 5 rmse | tr '\n' ' ')mean $five; mean of 20 seeds $all, worst $(sort -g rmse | tail -n 1)"
verdict "mean of seeds 1 to 5: $five" "$five <= 21.3"
verdict "mean of 20 seeds: $all" "$all <= 21.3"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
