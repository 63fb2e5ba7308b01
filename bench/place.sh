#!/bin/sh
# The placement of input products: `auto` against each forced place, and against itself, in interleaved rounds.
# usage: place.sh [workload..]     ROUNDS (15), MS a measurement (100), RONDO: the command
# A line a workload: median time of auto, then median over the rounds of auto / forced - 1 for step, chunk, whole, beside (in percent;
# above 0: auto is slower), and the spread of the program against itself: the median of |auto / auto again - 1|.
# `ok`: auto is not slower than the best forced place by more than 3 % plus the spread. Exit 1 if one is not.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
RONDO=${RONDO:-rondo}
ROUNDS=${ROUNDS:-15}
MS=${MS:-100}
command -v "$RONDO" >/dev/null || { echo "place.sh: no command '$RONDO'; RONDO names it" >&2; exit 2; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ $# -gt 0 ] || set -- lstm-fwd-b1-h64 lstm-fwd-b1-h256 lstm-fwd-b32-h128 lstm-fwd-b32-h512 gru-fwd-b32-h256 rnn-fwd-b32-h256 \
    lstm-train-b1-h128 lstm-train-b32-h50 lstm-train-b32-h128 gru-train-b32-h256 rnn-train-b32-h32 lnlstm-train-b32-h128 \
    ligru-train-b32-h128 fastgrnn-train-b32-h64 mingru-train-b32-h256 indrnn-train-b32-h256 slstm-train-b32-h128 \
    cfc-train-b32-h128

time_of() { # place: milliseconds
    place=
    [ "$1" = auto ] || place="--place=$1"
    # shellcheck disable=SC2086
    "$RONDO" bench "$root/bench/$file" --mode "$mode" --batch "$batch" --steps "$steps" $set_options --time "$MS" $place --json \
        </dev/null | sed 's/.*"ms_median": \([^,]*\).*/\1/'
}

echo "| workload | auto, ms | against step | chunk | whole | beside | itself | |"
echo "|---|---|---|---|---|---|---|---|"
bad=0
for name; do
    line=$(grep "^$name " "$root/bench/workloads.txt")
    # shellcheck disable=SC2086
    set -- $line
    file=$2 mode=$3 batch=$4 steps=$5
    shift 5
    set_options=
    for s; do set_options="$set_options --set $s"; done
    for place in auto step chunk whole beside; do time_of $place >/dev/null; done # fills the object cache
    round=0
    while [ $round -lt "$ROUNDS" ]; do
        echo "$(time_of auto) $(time_of step) $(time_of chunk) $(time_of whole) $(time_of beside) $(time_of auto)"
        round=$((round + 1))
    done >"$tmp/rounds"
    awk -v name="$name" '
        function median(a, n,   i, j, t) {
            for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
            return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
        }
        { both = ($1 + $6) / 2; ms[NR] = $1; s[NR] = both / $2 - 1; c[NR] = both / $3 - 1; w[NR] = both / $4 - 1; b[NR] = both / $5 - 1
          d[NR] = $1 > $6 ? $1 / $6 - 1 : $6 / $1 - 1 }
        END { S = median(s, NR); C = median(c, NR); W = median(w, NR); B = median(b, NR); D = median(d, NR)
            worst = S > C ? S : C; worst = worst > W ? worst : W; worst = worst > B ? worst : B
            ok = worst <= 0.03 + D
            printf "| %s | %.4g | %+.1f %% | %+.1f %% | %+.1f %% | %+.1f %% | %.1f %% | %s |\n", name, median(ms, NR), 100 * S, 100 * C,
                100 * W, 100 * B, 100 * D, ok ? "ok" : "slower"
            exit !ok }' "$tmp/rounds" || bad=1
done
exit $bad
