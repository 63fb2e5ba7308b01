#!/bin/sh
# rondo bench over the workloads of bench/workloads.txt, one JSON object a line. Arguments: names of workloads; none: all.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
RONDO=${RONDO:-rondo}
grep -v '^#' "$root/bench/workloads.txt" | while read -r name file mode batch steps sets; do
    [ -n "$name" ] || continue
    if [ $# -gt 0 ]; then
        case " $* " in *" $name "*) ;; *) continue ;; esac
    fi
    set_options=
    for s in $sets; do set_options="$set_options --set $s"; done
    # shellcheck disable=SC2086
    printf '{"workload": "%s", ' "$name"
    "$RONDO" bench "$root/bench/$file" --mode "$mode" --batch "$batch" --steps "$steps" $set_options --json </dev/null | sed 's/^{//'
done
