#!/bin/sh
# Rondo and its rivals on the workloads of bench/workloads.txt, taking turns on the same cores; then the table of docs/performance.md
# and the picture beside it. With patterns (names of workloads) the table is printed and no file is changed.
# BENCH: the program; SECONDS_EACH a contestant (0.5); THREADS (1); PEERS_PYTHON: a Python that has the rivals' packages (python3);
# LINES_FILE: a file of results to make the tables from, instead of measuring.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
BENCH=${BENCH:-$root/build/release/bin/bench}
THREADS=${THREADS:-1}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The fair setting for OpenBLAS: 0.3.21 takes AVX2 kernels on machines newer than itself.
if grep -qw avx512f /proc/cpuinfo && [ -z "${OPENBLAS_CORETYPE:-}" ]; then export OPENBLAS_CORETYPE=SKYLAKEX; fi
export OMP_NUM_THREADS="$THREADS" OPENBLAS_NUM_THREADS="$THREADS" RONDO_STD="$root/std"

if [ -n "${LINES_FILE:-}" ]; then
    cp "$LINES_FILE" "$tmp/lines"
else
    "$BENCH" --read >"$tmp/lines"
    "$BENCH" --peers --threads "$THREADS" --seconds "${SECONDS_EACH:-0.5}" "$root/bench" "$@" | tee -a "$tmp/lines"
fi
grep '"skipped"' "$tmp/lines" >&2 || true

# A row a workload: Rondo's time and share, then every rival's time, bold the best; ratio = best rival / Rondo, by least times and
# by medians.
jq -rs '
    def digits(d): . as $v | pow(10; d) as $k | ($v * $k | round) / $k | tostring;
    def num: if . < 0.01 then "\(. * 1000 | digits(4)) us" elif . < 1 then digits(4) elif . < 100 then digits(2) else digits(0) end;
    [.[] | select(.workload)] as $all
    | ([$all[].peer] | unique - ["rondo", "rondo-cached"]) as $rivals
    | "| workload | rondo, ms | share | \($rivals | join(" | ")) | ratio | by medians |",
      "|\([range($rivals | length + 5)] | map("---|") | join(""))",
      ([$all[].workload] | reduce .[] as $w ([]; if index($w) then . else . + [$w] end))[] as $name
    | [$all[] | select(.workload == $name)] as $rows
    | ($rows[] | select(.peer == "rondo")) as $r
    | [$rows[] | select(.peer as $p | $rivals | index($p)) | select(.ms_min)] as $others
    | ($others | map(.ms_min) | min) as $best
    | ($others | map(.ms_median) | min) as $middle
    | "| \($name) | \($r.ms_min | num) | \(if $r.peak_fraction then "\($r.peak_fraction * 100 | round) %" else "from the cache \(([$rows[] | select(.peer == "rondo-cached")][0].ms_min) | num)" end) | \(
        [$rivals[] as $p | ([$others[] | select(.peer == $p)][0].ms_min) as $ms
         | if $ms == null then "" elif $ms == $best then "**\($ms | num)**" else ($ms | num) end] | join(" | ")) | \(
        if $best then "\($best / $r.ms_min * 100 | round / 100)" else "" end) | \(if $middle then "\($middle / $r.ms_median * 100 | round / 100)" else "" end) |"
' "$tmp/lines" >"$tmp/table"

conditions() {
    echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $THREADS thread(s), $(date +%Y-%m-%d), $(cc --version | head -n 1)."
    jq -rs '[.[] | select(.peak_gflops) | .peak_gflops] | "Multiply-add peak of the same minutes \(min) to \(max) GFLOP/s."' "$tmp/lines"
    jq -rs '[.[] | select(.read) | "\(.read) \(.gbytes_per_second)"] | "Reading, one core, GB/s: \(join(", "))."' "$tmp/lines"
    jq -rs '[.[] | select(.peer != "rondo" and .note and (.workload | test("compile") | not)) | {peer, note: (.note | split(",")[0])}] | group_by(.peer) | map("\(.[0].peer): \(.[0].note)") | join("; ") + "."' "$tmp/lines"
    jq -rs '[.[] | select(.skipped) | "\(.peer): \(.skipped)"] | if length > 0 then "Skipped: \(join("; "))." else empty end' "$tmp/lines"
}

if [ $# -gt 0 ]; then
    cat "$tmp/table"
    conditions
    exit 0
fi

jq -rs '.[] | select(.peer == "rondo" and .flops) | "\(.flops / .bytes) \(.gflops) \(.workload)"' "$tmp/lines" >"$tmp/rondo"
jq -rs 'def rows: [.[] | select(.workload and .peer != "rondo" and .flops)] | group_by(.workload)[] | max_by(.gflops); rows | "\(.flops / .bytes) \(.gflops) \(.peer)"' "$tmp/lines" >"$tmp/best"
peak=$(jq -rs '[.[] | .peak_gflops // 0] | max' "$tmp/lines")
roof() { jq -rs --arg k "$1" '[.[] | select(.read == $k)][0].gbytes_per_second // 0' "$tmp/lines"; }
picture=docs/roofline.svg
[ "$THREADS" = 1 ] || picture=docs/roofline-$THREADS.svg
gnuplot <<PLOT
set terminal svg size 860,520 dynamic enhanced font "sans,12"
set output "$root/$picture"
set logscale xy
set xrange [0.3:200]
set yrange [1:$peak*1.6]
set xlabel "flops of products for a byte (weights once a step, sequences once)"
set ylabel "GFLOP/s"
set key bottom right
set grid
min(a, b) = a < b ? a : b
plot $peak title "multiply-add peak" lw 2 lc rgb "black", \
  min($peak, x * $(roof L1)) title "L1" lc rgb "#999999", min($peak, x * $(roof L2)) title "L2" lc rgb "#999999" dt 2, \
  min($peak, x * $(roof L3)) title "L3" lc rgb "#999999" dt 3, min($peak, x * $(roof memory)) title "memory" lc rgb "#999999" dt 4, \
  "$tmp/rondo" using 1:2 title "Rondo" with points pt 7 ps 0.9 lc rgb "#c03020", "" using 1:2:3 with labels font ",7" offset 0,0.7 notitle, \
  "$tmp/best" using 1:2 title "best rival" with points pt 6 ps 0.9 lc rgb "#2050a0"
PLOT

page=$root/docs/performance.md
mark="<!-- bench-peers $THREADS -->"
grep -qF "$mark" "$page" || printf '\n%s\n<!-- end -->\n' "$mark" >>"$page"
{
    sed "/^$mark\$/q" "$page"
    echo
    conditions | sed 's/$/  /'
    echo
    cat "$tmp/table"
    echo
    echo "![roofline]($(basename "$picture"))"
    echo
    sed "1,/^$mark\$/d" "$page" | sed -n '/^<!-- end -->$/,$p'
} >"$tmp/page"
cp "$tmp/page" "$page"
cp "$tmp/lines" "$root/build/bench-peers-$THREADS.jsonl"
