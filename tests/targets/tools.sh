# Emitted C under the tool TOOL: warnings (gcc's and clang's), everything (clang's -Weverything less the list below), cppcheck, analyzer
# (gcc -fanalyzer), sanitizers (ASan and UBSan), valgrind, stack (-fstack-usage: bounded, and printed). Every way of writing C and every
# kind of function is in one of the models: whole sequences in both directions; online learning; tokens, noise and two outputs; functions
# of <math.h>; matrices as states; no library; double; weights in fewer bits and in a blob.
. "$SRC/tests/lib.sh"
. "$SRC/tests/targets/lib.sh"

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
# emitted FOLDER NAME FILE options..: one model with its test, in a folder of its own
folders=
emitted() {
    d=$1 n=$2 f=$3
    shift 3
    mkdir "$d"
    expect 0 "$RONDO" emit c "$f" -o "$d" --test "$@"
    folders="$folders $d:$n"
}
cells=$SRC/tests/models/cells.rondo
emitted both both both.rondo --train
emitted online online "$SRC/examples/online.rondo" --train
emitted wide wide "$SRC/tests/models/wide.rondo" --train
emitted lstm lstm "$cells" --model lstm --set H=20 --train
emitted lru lru "$cells" --model lru --train
emitted ntm ntm "$cells" --model ntm --train
emitted bare layernorm_lstm "$cells" --model layernorm_lstm --train --freestanding
emitted doubles gru "$cells" --model gru --train --dtype f64
emitted int8 fastgrnn "$cells" --model fastgrnn --weights int8
emitted widened wide "$SRC/tests/models/wide.rondo" --weights int8 --train
emitted blob gru "$cells" --model gru --weights bf16 --weights blob

each() { # FUNCTION: in every folder; n: the model's name, N: what its macros begin with
    for pair in $folders; do
        n=${pair##*:}
        N=$(echo "$n" | tr a-z A-Z)
        cd "${pair%%:*}"
        "$1"
        cd ..
    done
}

passes() { # PROGRAM..: and says nothing else
    expect 0 "$@"
    says out '^PASS$'
    silent err
}

warnings() {
    for cc in gcc clang-19; do
        for how in "" "-mavx2 -mfma" -march=x86-64-v4 -DRONDO_PLAIN_C; do
            expect 0 $cc -std=c99 -O2 $how -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wcast-align -Werror -c "$n.c" -o t.o
        done
        expect 0 $cc -std=c99 -O1 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wcast-align -Werror -c "${n}_test.c" -o t.o
    done
}

everything() {
    for how in -std=c99 -std=gnu11 "-std=c99 -mavx2 -mfma" "-std=c99 -DRONDO_PLAIN_C"; do
        expect 0 clang-19 $how -O2 -Weverything $list -Werror -c "$n.c" -o t.o
    done
}

# One width at a time, as a compiler sees it, of examples and cells one in turns: it takes up to two minutes for a file. cppcheck 2.10 does not
# know vectors of GNU C: it takes an assignment to one lane for a read.
lanes=1
cppcheck_() {
    four="-DRONDO_PLAIN_C -D${N}_SIMD=4" one="-D${N}_SIMD=1"
    case $lanes${pair%%:*} in
    1example_* | 1cell_*) one= lanes=4 ;;
    4example_* | 4cell_*) four= lanes=1 ;;
    esac
    for how in "$four" "$one"; do
        [ "$how" ] || continue
        expect 0 cppcheck -q --std=c99 --enable=warning,portability --error-exitcode=1 --max-configs=1 -D__GNUC__=12 $how "$n.c"
        silent err
    done
}

# gcc 12 takes the lanes of a vector for the bits of what is shifted, and does not see that a loop over all lanes sets a vector. Of examples and
# cells it follows one state a block in place of five: by its own limit it takes more than 5 GB for one of them.
analyzer() {
    case ${pair%%:*} in
    example_* | cell_*) limit=--param=analyzer-bb-explosion-factor=1 ;;
    *) limit= ;;
    esac
    vectors="-Wno-analyzer-shift-count-overflow -Wno-analyzer-use-of-uninitialized-value"
    expect 0 gcc -std=c99 -O1 -fanalyzer $limit -Wall -Wextra -Werror "-D${N}_SIMD=1" -c "$n.c" -o t.o
    expect 0 gcc -std=c99 -O1 -fanalyzer $limit $vectors -Wall -Wextra -Werror "-D${N}_SIMD=4" -c "$n.c" -o t.o
}

# Without optimisation nothing that they look for is gone, and gcc takes a tenth of the time.
sanitizers() {
    for how in "gcc -mavx2 -mfma" clang-19 "gcc -DRONDO_PLAIN_C"; do
        expect 0 $how -std=c99 -O0 -fsanitize=address,undefined -fno-sanitize-recover=all -o t "$n.c" "${n}_test.c" -lm
        passes ./t
    done
}

valgrind_() {
    expect 0 gcc -std=c99 -O1 -o t "$n.c" "${n}_test.c" -lm
    passes valgrind -q --error-exitcode=9 ./t
}

# No frame whose size the compiler does not know, and none above 6 KB, however large the model; the largest three, in bytes.
stack() {
    expect 0 arm-none-eabi-gcc -std=c99 -Os -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -fstack-usage -c "$n.c" -o t.o
    if grep -E 'dynamic($|[^,])' t.su | grep -v bounded; then fail "$n: a frame without a bound"; fi
    if awk -F '\t' '$2 > 6144' t.su | grep .; then fail "$n: a frame of more than 6 KB"; fi
    sort -t "$(printf '\t')" -k 2 -nr t.su | head -n 3 | sed "s/^[^:]*:[0-9]*:[0-9]*:/$n: stack of /; s/\tstatic//"
}

list=$(echo "$quiet" | grep -o -e '-W[^ ]*')
case $TOOL in
warnings | sanitizers | everything) need clang-19 ;;
cppcheck | valgrind) need "$TOOL" ;;
stack) need arm-none-eabi-gcc ;;
analyzer) ;;
*) fail "no tool $TOOL" ;;
esac
case $TOOL in # which take what they take for a function, or look at each one: every example and every cell too
cppcheck | analyzer | stack)
    emitted small gru "$cells" --model gru --train --freestanding
    for f in "$SRC"/examples/*.rondo "$SRC"/examples/*/*.rondo; do
        n=$(basename "$f" .rondo)
        # shellcheck disable=SC2046
        emitted "example_$n" "$n" "$f" --train --weights blob $(fewer "$n") # cppcheck reads a table of weights for many minutes
    done
    for n in $(sed -n 's/^model \([a-z_0-9]*\).*/\1/p' "$cells"); do emitted "cell_$n" "$n" "$cells" --model "$n" --train; done
    ;;
esac
case $TOOL in
cppcheck | valgrind) each "${TOOL}_" ;;
*) each "$TOOL" ;;
esac
