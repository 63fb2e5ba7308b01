#!/bin/sh
# The LSTM, the GRU and the layer-norm LSTM of std, each written in other ways (tests/unit/rewrite.c), against the std form: a
# training step at B 32, T 100, I = H = 128, in interleaved rounds.
# usage: rewrites.sh [BUILD]     ROUNDS (9), MS a measurement (60)
# A line a rewrite: median over the rounds of its least time / that of the std form beside it - 1; itself: the same of the std form
# against another run of it. ok: not slower by more than 5 % plus that. Exit 1 if one is slower.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build/release}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$root"
"$build/tests/test_rewrites" --write "$tmp" >/dev/null
time_of() { "$build/bin/rondo" bench "$tmp/$1.rondo" --batch 32 --steps 100 --time "${MS:-60}" --json </dev/null 2>/dev/null | sed 's/.*"ms_min": \([^,]*\).*/\1/'; }
echo "| cell | written | std, ms | slower by | itself | |"
echo "|---|---|---|---|---|---|"
bad=0
for cell in lstm gru layernorm_lstm; do
    for file in "$tmp/$cell"-*.rondo; do
        name=$(basename "$file" .rondo)
        [ "$name" != "$cell-std" ] || continue
        time_of "$cell-std" >/dev/null # fills the object cache
        time_of "$name" >/dev/null
        round=0
        while [ $round -lt "${ROUNDS:-9}" ]; do
            echo "$(time_of "$cell-std") $(time_of "$name") $(time_of "$cell-std")"
            round=$((round + 1))
        done | awk -v cell="$cell" -v name="${name#"$cell-"}" '
            function median(a, n,   i, j, t) {
                for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
                return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
            }
            NF < 3 { exit 2 }
            { ms[NR] = ($1 + $3) / 2; by[NR] = 2 * $2 / ($1 + $3) - 1; self[NR] = $1 > $3 ? $1 / $3 - 1 : $3 / $1 - 1 }
            END { if (!NR || !(ms[1] > 0)) { print "no times: " cell " " name; exit 2 }
                D = median(by, NR); S = median(self, NR); ok = D <= 0.05 + S
                printf "| %s | %s | %.4g | %+.1f %% | %.1f %% | %s |\n", cell, name, median(ms, NR), 100 * D, 100 * S, ok ? "ok" : "slower"
                exit !ok }' || bad=1
    done
done
exit $bad
