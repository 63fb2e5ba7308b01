#!/bin/sh
# rondo bench over the workloads of bench/workloads.txt: one JSON object a line, then a table (docs/performance.md has one).
# Arguments: names of workloads, with shell patterns; none: all. RONDO: the command. MS: milliseconds a measurement. THREADS.
# ms_min, gflops, peak_gflops and peak_fraction belong together: the best call, and the multiply-add peak of the same run.
# A workload "compile" is the time to make a training step with an empty object cache; ms_cached from a full one.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
RONDO=${RONDO:-rondo}
MS=${MS:-600}
THREADS=${THREADS:-1}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

wanted() { # name patterns..
    name=$1
    shift
    [ $# -gt 0 ] || return 0
    for pattern; do
        # shellcheck disable=SC2254
        case $name in $pattern) return 0 ;; esac
    done
    return 1
}

number() { sed -n "s/.*\"$1\": \([^,}]*\).*/\1/p"; }

bench() { # file mode batch steps
    # shellcheck disable=SC2086
    "$RONDO" bench "$root/bench/$1" --mode "$2" --batch "$3" --steps "$4" $set_options --threads "$THREADS" --time "$MS" --json </dev/null
}

compiled() { # file batch steps: empty cache, then full; the least of three each
    for round in 1 2 3; do
        rm -rf "$tmp/cache"
        XDG_CACHE_HOME=$tmp/cache MS=1 bench "$1" train "$2" "$3" | number compile_ms >>"$tmp/cold"
        XDG_CACHE_HOME=$tmp/cache MS=1 bench "$1" train "$2" "$3" | number compile_ms >>"$tmp/warm"
    done
    printf '"ms_min": %.4g, "ms_median": %.4g, "ms_cached": %.4g}\n' "$(sort -g "$tmp/cold" | sed -n 1p)" \
        "$(sort -g "$tmp/cold" | sed -n 2p)" "$(sort -g "$tmp/warm" | sed -n 1p)"
    rm "$tmp/cold" "$tmp/warm"
}

grep -v '^#' "$root/bench/workloads.txt" >"$tmp/workloads"
while read -r name file mode batch steps sets; do
    wanted "$name" "$@" || continue
    set_options=
    for s in $sets; do set_options="$set_options --set $s"; done
    printf '{"workload": "%s", "peer": "rondo", "threads": %d, ' "$name" "$THREADS"
    if [ "$mode" = compile ]; then
        compiled "$file" "$batch" "$steps"
        continue
    fi
    bench "$file" "$mode" "$batch" "$steps" | awk -v RS='[,{}]' '
        { sub(/^ */, ""); split($0, p, ": "); gsub(/"/, "", p[1]); v[p[1]] = p[2] }
        END { printf "\"ms_min\": %.6g, \"ms_median\": %.6g, \"reps\": %d, \"flops\": %.0f, \"gflops\": %.2f, \"peak_gflops\": %.1f, \"peak_fraction\": %.4f}\n",
            v["ms_min"], v["ms_median"], v["runs"], v["gflop"] * 1e9, v["gflop"] / v["ms_min"] * 1e3, v["peak_gflops"],
            v["gflop"] / v["ms_min"] * 1e3 / (v["peak_gflops"] * v["threads"]) }'
done <"$tmp/workloads" | tee "$tmp/lines"

echo
echo "| workload | ms (min) | ms (median) | GFLOP/s | peak | share |"
echo "|---|---|---|---|---|---|"
awk -v RS='\n' '
    function of(key,   s) { s = $0; if (!sub(".*\"" key "\": ", "", s)) return ""; sub(/[,}].*/, "", s); gsub(/"/, "", s); return s }
    { f = of("peak_fraction")
      printf "| %s | %.4g | %.4g | %s | %s | %s |\n", of("workload"), of("ms_min"), of("ms_median"), of("gflops"), of("peak_gflops"),
          f == "" ? "from the cache " of("ms_cached") : sprintf("%.0f %%", 100 * f) }' "$tmp/lines"
