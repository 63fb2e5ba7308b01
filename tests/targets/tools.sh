# Emitted C under the tool TOOL: everything (clang's -Weverything less the list below), cppcheck, analyzer (gcc -fanalyzer), sanitizers
# (ASan and UBSan), valgrind, stack (-fstack-usage: bounded, and printed). The models: tokens, noise and two outputs; a series
# with its optimizer; whole sequences in both directions.
. "$SRC/tests/lib.sh"

need() { command -v "$1" >/dev/null || { echo "skipped: needs $1"; exit 77; }; }

# What -Weverything says beyond what is of use here, and why:
quiet="
-Wno-unsafe-buffer-usage            it means C++; C has pointers
-Wno-declaration-after-statement    C99 has them
-Wno-padded                         the state's members are as aligned as they say
-Wno-vla                            none is there; clang warns of array parameters whose size is a parameter
-Wno-float-equal                    what is 0 exactly is meant
-Wno-unused-macros                  each width defines the same macros
-Wno-pre-c11-compat -Wno-c++-compat
-Wno-switch-default
-Wno-conditional-uninitialized      a struct of lanes (RONDO_PLAIN_C) is filled in a loop over them
"

cat >both.rondo <<'END_MODEL'
model both {
    input  x: seq [3]
    target y: [2]
    f = lstm[7](x)
    b = reverse(lstm[7](reverse(x)))
    h = [f, b]
    p = dense[2](h.mean)
    output p
    loss   mse(p, y)
}
END_MODEL
emitted() { # NAME FILE options..
    n=$1
    f=$2
    shift 2
    expect 0 "$RONDO" emit c "$f" -o . --test --train "$@"
    names="${names-} $n"
}
emitted both both.rondo
emitted online "$SRC/examples/online.rondo"
emitted lstm "$SRC/tests/models/cells.rondo" --model lstm --set H=20

run() { # PROGRAM..: it passes, and says nothing else
    expect 0 "$@"
    says out '^PASS$'
    silent err
}

case $TOOL in
everything)
    need clang-19
    list=$(echo "$quiet" | grep -o -e '-W[^ ]*')
    for n in $names; do
        for std in c99 gnu11; do expect 0 clang-19 -std=$std -O2 -Weverything $list -Werror -c "$n.c" -o t.o; done
        expect 0 clang-19 -std=c99 -O2 -mavx2 -mfma -Weverything $list -Werror -c "$n.c" -o t.o
        expect 0 clang-19 -std=c99 -O2 -DRONDO_PLAIN_C -Weverything $list -Werror -c "$n.c" -o t.o
    done
    ;;
cppcheck)
    need cppcheck
    # one width at a time, as a compiler sees it
    expect 0 cppcheck -q --std=c99 --enable=warning,portability --error-exitcode=1 --max-configs=1 -D__GNUC__=12 -DONLINE_SIMD=1 online.c
    silent err
    ;;
analyzer)
    expect 0 gcc -std=c99 -O1 -fanalyzer -Wall -Wextra -Werror -DONLINE_SIMD=1 -c online.c -o t.o
    # gcc 12 takes the lanes of a vector for the bits of what is shifted, and does not see that a loop over all lanes sets a vector
    expect 0 gcc -std=c99 -O1 -fanalyzer -Wno-analyzer-shift-count-overflow -Wno-analyzer-use-of-uninitialized-value -Wall -Wextra -Werror -DLSTM_SIMD=4 -c lstm.c -o t.o
    ;;
sanitizers)
    for n in $names; do
        for flags in "gcc -mavx2 -mfma" "clang-19" "gcc -DRONDO_PLAIN_C"; do
            need "${flags%% *}"
            expect 0 $flags -std=c99 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -o t "$n.c" "${n}_test.c" -lm
            run ./t
        done
    done
    ;;
valgrind)
    need valgrind
    for n in $names; do
        expect 0 gcc -std=c99 -g -O1 -o t "$n.c" "${n}_test.c" -lm
        expect 0 valgrind -q --error-exitcode=9 ./t
        says out '^PASS$'
    done
    ;;
stack)
    need arm-none-eabi-gcc
    for n in $names; do
        expect 0 arm-none-eabi-gcc -std=c99 -Os -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -fstack-usage -c "$n.c" -o t.o
        # no frame whose size the compiler does not know; the largest three, in bytes, and their sum as a bound of what lies on each other
        if grep -E 'dynamic($|[^,])' t.su | grep -v bounded; then fail "$n: a frame without a bound"; fi
        sort -t "$(printf '\t')" -k 2 -nr t.su | head -n 3 | sed "s/^[^:]*:[0-9]*:[0-9]*:/$n: stack of /; s/\tstatic//"
    done
    ;;
*) fail "no tool $TOOL" ;;
esac
