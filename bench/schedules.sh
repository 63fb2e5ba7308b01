#!/bin/sh
# The same workloads (bench/workloads.txt) by other schedules, in interleaved rounds: three tables of docs/performance.md.
# usage: schedules.sh lanes|tuned|threads [workload..]     ROUNDS (4), MS a measurement (150), RONDO: the command
# lanes: the widest vectors, 8 and 4 lanes. tuned: the default and what --autotune kept; `slower` and exit 1 where the default is behind by
# more than 5 % plus the spread of the default against itself. threads: one and two (give it two cores). Times are the least, in ms.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
RONDO=${RONDO:-$root/build/release/bin/rondo}
ROUNDS=${ROUNDS:-4}
MS=${MS:-150}
command -v "$RONDO" >/dev/null || { echo "schedules.sh: no command '$RONDO'; RONDO names it" >&2; exit 2; }
table=${1:-}
case $table in
lanes)
    default="lstm-fwd-b1-h256 lstm-fwd-b32-h128 gru-fwd-b32-h256 lstm-train-b32-h128 gru-train-b32-h256 lnlstm-train-b32-h128
        mingru-train-b32-h256 cfc-train-b32-h128"
    printf '| workload | widest | 8 lanes | 4 lanes |\n|---|---|---|---|\n' ;;
tuned)
    default="lstm-fwd-b1-h256 lstm-fwd-b32-h128 rnn-fwd-b32-h256 lstm-train-b1-h128 lstm-train-b32-h50 lstm-train-b32-h128 gru-train-b32-h256
        lnlstm-train-b32-h128 fastgrnn-train-b32-h64 mingru-train-b32-h256 indrnn-train-b32-h256 slstm-train-b32-h128 cfc-train-b32-h128"
    printf '| workload | default | tuned | slower by | itself | | chosen |\n|---|---|---|---|---|---|---|\n' ;;
threads)
    default="lstm-train-b32-h128 lstm-fwd-b32-h128 gru-train-b32-h256 lnlstm-train-b32-h128 lstm-fwd-b1-h512 lstm-fwd-b1-h256 lstm-train-b1-h128"
    printf '| workload | one thread | two | |\n|---|---|---|---|\n' ;;
*) echo "usage: schedules.sh lanes|tuned|threads [workload..]" >&2; exit 2 ;;
esac
shift
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $default

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
measure() { # options of bench: writes $tmp/line
    # shellcheck disable=SC2086
    "$RONDO" bench "$root/bench/$file" --mode "$mode" --batch "$batch" --steps "$steps" $sizes --time "$MS" "$@" --json </dev/null >"$tmp/line"
}
time_of() { measure "$@" && sed 's/.*"ms_min": \([^,]*\).*/\1/' "$tmp/line"; }

bad=0
for name; do
    # shellcheck disable=SC2046
    set -- $(grep "^$name " "$root/bench/workloads.txt")
    [ $# -gt 5 ] || { echo "schedules.sh: no workload '$name'" >&2; exit 2; }
    file=$2 mode=$3 batch=$4 steps=$5
    shift 5
    sizes=
    for s; do sizes="$sizes --set $s"; done
    chosen=
    if [ "$table" = tuned ]; then
        measure --autotune
        chosen=$(sed -n 's/.*"tuned": "\([^:]*\):.*/\1/p' "$tmp/line")
    fi
    round=0
    while [ $round -lt "$ROUNDS" ]; do
        case $table in
        lanes) echo "$(time_of) $(time_of --lanes 8) $(time_of --lanes 4)" ;;
        tuned) echo "$(time_of) $(time_of --autotune) $(time_of)" ;;
        threads) echo "$(time_of --threads 1) $(time_of --threads 2)" ;;
        esac
        round=$((round + 1))
    done | awk -v table="$table" -v name="$name" -v chosen="$chosen" '
        { for (i = 1; i <= NF; i++) if (NR == 1 || $i < least[i]) least[i] = $i }
        END { if (table == "lanes") printf "| %s | %.4g | %.4g | %.4g |\n", name, least[1], least[2], least[3]
            if (table == "threads") printf "| %s | %.4g | %.4g | %.2f |\n", name, least[1], least[2], least[1] / least[2]
            if (table != "tuned") exit
            self = least[1] > least[3] ? least[1] / least[3] - 1 : least[3] / least[1] - 1
            by = (least[1] < least[3] ? least[1] : least[3]) / least[2] - 1
            printf "| %s | %.4g | %.4g | %+.1f %% | %.1f %% | %s | %s |\n", name, least[1], least[2], 100 * by, 100 * self,
                by <= 0.05 + self ? "ok" : "slower", chosen
            exit by > 0.05 + self }' || bad=1
done
exit $bad
