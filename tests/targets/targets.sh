# Emitted C on the target TARGET of lib.sh: each model's own test, NAME_test.c, which holds whole sequences, single steps, the
# gradient and two updates against the numbers of the runtime, to the bit where the target fuses multiply and add. Every two of
# compiler, standard and optimization meet on every target (8 rows of a covering array, one for each model in turn).
# MODELS: how many models; the first few are chosen, the rest is every cell of std and every example.
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
    if [ "$(echo $names | wc -w)" -ge "${MODELS:-1000}" ] || [ -e "$name.c" ]; then return; fi
    expect 0 "$RONDO" emit c "$file" -o . --test --train "$@"
    names="$names $name"
}

cells=$SRC/tests/models/cells.rondo
# tokens and numbers, layer norm, noise, two outputs: what the cells alone do not have; learning step by step
model wide "$SRC/tests/models/wide.rondo"
model online "$SRC/examples/online.rondo"
for m in gru layernorm_lstm $(sed -n 's/^model \([a-z_0-9]*\).*/\1/p' "$cells"); do
    model "$m" "$cells" --model "$m"
done
for m in tiny sunspots random_series char_lm word_lm; do model $m "$SRC/examples/$m.rondo"; done

passed=0 failed=0 k=$(echo "$TARGET" | cksum | cut -d ' ' -f 1) # so that the rows differ from target to target
for m in $names; do
    # shellcheck disable=SC2046
    set -- $(row $k)
    k=$((k + 1))
    if [ -z "$GCC" ]; then set -- clang "$2" "$3"; fi
    by=$1
    shift
    if ! (compile "$by" t "$@" $strict -- "$m.c" "${m}_test.c") 2>errors; then
        echo "FAILED: $m, $by $*: $(head -n 5 errors)" >&2
        failed=$((failed + 1))
    elif timeout 120 $RUN ./t >out 2>&1 </dev/null && grep -q '^PASS$' out; then
        passed=$((passed + 1))
    else
        echo "FAILED: $m, $by $*: $(head -n 3 out)" >&2
        failed=$((failed + 1))
    fi
done
echo "$TARGET: $passed passed, $failed failed"
[ $failed = 0 ]
