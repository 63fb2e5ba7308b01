#!/bin/sh
# The share of the multiply-add peak, counting products only, of a training step of every recurrent cell of std and of random
# programs of tests/unit/prog_gen.c, against that of an LSTM of the same run: B 32, T 50, every size 128.
# usage: cells.sh [BUILD]     COUNT random programs (40), MS a measurement (60), WORK (10)
# A random program counts if its sizes can be set, it trains, and has at least WORK times as many operations in products as
# elsewhere (an LSTM has 30): a program without products has a share of nothing. The last lines are median and worst of each kind.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/release}
rondo=$build/bin/rondo
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$root"
field() { sed -n "s/.*\"$1\": \\([^,}]*\\).*/\\1/p"; }
share() { # options: the share by the least time
    "$rondo" bench "$@" --batch 32 --steps 50 --time "${MS:-60}" --json </dev/null 2>/dev/null >"$tmp/line" || return 1
    awk -v g="$(field gflop <"$tmp/line")" -v ms="$(field ms_min <"$tmp/line")" -v p="$(field peak_gflops <"$tmp/line")" \
        'BEGIN { if (ms <= 0 || p <= 0) exit 1; printf "%.4f\n", g / ms * 1e3 / p }'
}
work() { # options: operations in products for one elsewhere, in a training step
    "$rondo" explain "$@" --batch 32 --steps 50 --json 2>/dev/null |
        jq -r '.train | if .product_flops then .product_flops / ([.other_flops, 1] | max) else 0 end' 2>/dev/null || echo 0
}
row() { # kind name share work
    lstm=$(share bench/lstm.rondo) # again, the clock moves
    echo "$1 $2 $3 $lstm $4" | awk '{ printf "| %s | %s | %.0f %% | %.0f %% | %.2f | %.0f |\n", $1, $2, 100 * $3, 100 * $4, $3 / $4, $5 }' | tee -a "$tmp/rows"
}
echo "| kind | program | share | LSTM's | ratio | products / other |"
echo "|---|---|---|---|---|---|"
for cell in $(sed -n 's/^model \([a-z_0-9]*\).*/\1/p' tests/models/cells.rondo); do
    set -- tests/models/cells.rondo --model "$cell" --set H=128
    s=$(share "$@") && row std "$cell" "$s" "$(work "$@")"
done
seed=0
found=0
while [ $found -lt "${COUNT:-40}" ] && [ $seed -lt 2000 ]; do
    seed=$((seed + 1))
    "$build/tests/test_progs" --print --seed $seed --count 1 >"$tmp/$seed.rondo"
    set -- "$tmp/$seed.rondo" --set H=128 --set K=128 --set D=128
    w=$(work "$@")
    awk -v w="${w:-0}" -v least="${WORK:-10}" 'BEGIN { exit !(w >= least) }' || continue
    s=$(share "$@") || continue
    row random "$seed" "$s" "$w"
    found=$((found + 1))
done
for kind in std random; do
    grep "^| $kind " "$tmp/rows" | awk -F'|' '{ print $6 }' | sort -n | awk -v kind=$kind '{ v[NR] = $1 }
        END { if (NR) printf "%s: median %.2f, worst %.2f of the share of an LSTM (%d)\n", kind, NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], NR }'
done
