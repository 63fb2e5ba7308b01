#!/bin/sh
# Attention over whole sequences (attention.rondo) and the same in JAX and PyTorch (attention.py), taking turns on one core: the table of
# docs/performance.md. usage: attention.sh [BUILD]     BATCH (32), STEPS (100), I, A (128), SECONDS_EACH (0.5), ROUNDS (3),
# PEERS_PYTHON: a Python that has jax and torch (none: without them)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
rondo=${1:-$root/build/release}/bin/rondo
B=${BATCH:-32} T=${STEPS:-100} I=${I:-128} A=${A:-128}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
field() { sed -n "s/.*\"$1\": \\([^,}]*\\).*/\\1/p" "$tmp/line"; }
least() { awk -v a="$1" -v b="${2:-0}" 'BEGIN { print a == "" || (b > 0 && b < a) ? b : a }'; }
echo "| model | mode | rondo, ms | share | JAX, ms | PyTorch, ms | ratio |"
echo "|---|---|---|---|---|---|---|"
for model in itself across; do
    for mode in forward train; do
        ours= jax= torch=
        for round in $(seq "${ROUNDS:-3}"); do
            "$rondo" bench "$root/bench/attention.rondo" --model $model --mode $mode --batch "$B" --steps "$T" --set I="$I" --set A="$A" \
                --time "$(echo "${SECONDS_EACH:-0.5}" | awk '{ print int(1000 * $1) }')" --json </dev/null >"$tmp/line"
            ours=$(least "$ours" "$(field ms_min)")
            [ -n "${PEERS_PYTHON:-}" ] || continue
            jax=$(least "$jax" "$("$PEERS_PYTHON" "$root/bench/attention.py" jax $model $mode "$B" "$T" "$I" "$A" 2>/dev/null)")
            torch=$(least "$torch" "$("$PEERS_PYTHON" "$root/bench/attention.py" torch $model $mode "$B" "$T" "$I" "$A" 2>/dev/null)")
        done
        echo "$ours $(field gflop) $(field peak_gflops) ${jax:-0} ${torch:-0}" | awk -v m="$model | $mode" '{ best = $4 > 0 && ($5 == 0 || $4 < $5) ? $4 : $5
            printf "| %s | %.3f | %.0f %% | %s | %s | %s |\n", m, $1, 1e5 * $2 / $1 / $3, $4, $5, best ? sprintf("%.2f", best / $1) : "-" }'
    done
done
