#!/bin/sh
# The recurrences by heads of heads.rondo, with the pass `heads` and without, and in JAX (heads.py), taking turns on one core: the table of
# docs/performance.md. usage: heads.sh [BUILD]     BATCH (32), STEPS (100), I (128), N heads (4) of D (32), SECONDS_EACH (0.5),
# PEERS_PYTHON: a Python that has jax (none: without it)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
rondo=${1:-$root/build/release}/bin/rondo
B=${BATCH:-32} T=${STEPS:-100} I=${I:-128} N=${N:-4} D=${D:-32}
field() { sed -n "s/.*\"$1\": \\([^,}]*\\).*/\\1/p"; }
bench() { # model mode options: ms and share
    "$rondo" bench "$root/bench/heads.rondo" --model "$1" --mode "$2" --batch "$B" --steps "$T" --set I="$I" --set N="$N" --set D="$D" \
        --time "$(echo "${SECONDS_EACH:-0.5}" | awk '{ print int(1000 * $1) }')" --json $3 </dev/null >line
    echo "$(field ms_min <line) $(field gflop <line) $(field peak_gflops <line)"
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
echo "| cell | mode | rondo, ms | share | without, ms | JAX, ms | ratio |"
echo "|---|---|---|---|---|---|---|"
for cell in slstm gru rglru mlstm linear rwkv; do
    for mode in forward train; do
        with=$(bench $cell $mode "")
        without=$(bench $cell $mode "--disable-pass heads")
        jax=0
        [ -z "${PEERS_PYTHON:-}" ] || jax=$("$PEERS_PYTHON" "$root/bench/heads.py" $cell $mode "$B" "$T" "$I" "$N" "$D" 2>/dev/null)
        echo "$cell $mode $with $without $jax" | awk '{ printf "| %s | %s | %.3f | %.0f %% | %.3f | %s | %s |\n", $1, $2, $3, 1e5 * $4 / $3 / $5, $6,
            $9 ? sprintf("%.3f", $9) : "-", $9 ? sprintf("%.2f", $9 / $3) : "-" }'
    done
done
