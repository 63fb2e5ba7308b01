# Emitted C on the target TARGET of lib.sh: each model's own test, NAME_test.c, which holds whole sequences, single steps, the
# gradient, online learning and two updates against the numbers of the runtime, to the bit where the target fuses multiply and add.
# Every two of compiler, standard and optimization meet on every target (8 rows of a covering array, one for each model in turn).
# MODELS: how many models; the first few are chosen. Without it: every cell of std, every example. ONLY: these models. SWEEP: each model in
# all 16 ways in place of one.
. "$SRC/tests/lib.sh"
. "$SRC/tests/targets/lib.sh"
target "$TARGET"
strict="-pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wcast-align -Werror"

row() { # N: the Nth row of the array
    case $(($1 % 8)) in
    0) echo gcc -std=c99 -Os ;;
    1) echo clang -std=gnu11 -O2 ;;
    2) echo gcc -std=gnu11 -O3 ;;
    3) echo clang -std=c99 -O0 ;;
    4) echo gcc -std=c99 -O2 ;;
    5) echo clang -std=gnu11 -Os ;;
    6) echo gcc -std=gnu11 -O0 ;;
    7) echo clang -std=c99 -O3 ;;
    esac
}

names=
# model NAME FILE options..: emits it, unless there are enough or it is there
model() {
    name=$1
    file=$2
    shift 2
    case " ${ONLY:-$name} " in *" $name "*) ;; *) return ;; esac
    if [ "$(echo $names | wc -w)" -ge "${MODELS:-1000}" ] || [ -e "$name.c" ]; then return; fi
    expect 0 "$RONDO" emit c "$file" -o . --test --train "$@"
    names="$names $name"
}

cells=$SRC/tests/models/cells.rondo
# what the cells alone do not have: bools and tokens everywhere; learning step by step; layer norm, noise, two outputs
model bools "$SRC/tests/models/bools.rondo"
model online "$SRC/examples/online.rondo"
model wide "$SRC/tests/models/wide.rondo"
for m in gru layernorm_lstm $(sed -n 's/^model \([a-z_0-9]*\).*/\1/p' "$cells"); do
    model "$m" "$cells" --model "$m"
done
model layers "$SRC/tests/models/layers.rondo"
# One target has large vocabularies as they stand, the others fewer words.
if [ -z "${MODELS-}" ] && [ "$TARGET" != avx2 ]; then echo "$TARGET: fewer words: word_lm $(fewer word_lm), sentiment.., imbalanced $(fewer imbalanced)"; fi
for file in "$SRC"/examples/*.rondo "$SRC"/examples/*/*.rondo; do
    m=$(basename "$file" .rondo)
    less=$(fewer "$m")
    if [ "$TARGET" = avx2 ]; then less=; fi
    # shellcheck disable=SC2086
    model "$m" "$file" $less
done

passed=0 failed=0
# one MODEL gcc|clang STANDARD LEVEL: compiles without a warning, and passes
one() {
    m=$1 by=$2 std=$3 level=$4 got=0
    if ! (compile "$by" t $std $level $strict -- "$m.c" "${m}_test.c") 2>errors; then
        echo "FAILED: $m, $by $std $level: $(head -n 5 errors)" >&2
        failed=$((failed + 1))
        return
    fi
    timeout 300 $RUN ./t >out 2>&1 </dev/null || got=$?
    if [ $got = 0 ] && grep -q '^PASS$' out; then
        passed=$((passed + 1))
    else
        echo "FAILED: $m, $by $std $level: exit code $got $(head -n 3 out)" >&2
        failed=$((failed + 1))
    fi
}

k=$(echo "$TARGET" | cksum | cut -d ' ' -f 1) # so that the rows differ from target to target
ways() { # of the next model: one, or all
    if [ -z "${SWEEP-}" ]; then
        row $k
        return
    fi
    for by in gcc clang; do
        for std in -std=c99 -std=gnu11; do
            for level in -O0 -Os -O2 -O3; do echo $by $std $level; done
        done
    done
}
for m in $names; do
    ways >rows
    if [ -z "$GCC" ]; then sed 's/^gcc/clang/' rows | sort -u >turned && mv turned rows; fi
    while read -r by std level; do one "$m" $by $std $level; done <rows
    k=$((k + 1))
done
# Products of vectors are vectors for gcc too, without optimization and for size: no lane alone is multiplied and added.
case $TARGET in
aarch64) alone='	fmadd	s' ;;
ppc64) alone='	\(xsmadd[am]sp\|fmadds\) ' ;;
*) alone= ;;
esac
if [ ! -e online.c ]; then alone=; fi # not among those asked for
for level in ${alone:+-O0 -Os}; do
    expect 0 "$GCC" -std=c99 $level $FLAGS -S -o online.s online.c
    if grep -m 1 "$alone" online.s; then fail "$TARGET: gcc $level multiplies a lane alone"; fi
done
echo "$TARGET: $passed passed, $failed failed"
[ $failed = 0 ]
