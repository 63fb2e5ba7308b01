# emit c: how files are arranged, blobs and what they refuse, weights in fewer bits, the page that goes with them.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wcast-align -Werror"
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi

# a state's start is learned; a matrix, a table of embeddings, vectors
cat >m.rondo <<'END'
cell acc[H](x: [I]) {
    param W: [H, I] = glorot_uniform
    param U: [H, H] = orthogonal
    param h0: [H] = normal(0, 0.5)
    state h: [H] = h0
    h' = tanh(W @ x + U @ h)
    return h'
}
model m {
    input  w: seq token[11]
    input  x: seq [3]
    target y: seq [2]
    e = embedding[11, 5](w)
    p = dense[2](acc[7]([e, x]))
    output p
    loss   mse(p, y)
}
END
cat >whole.rondo <<'END'
model whole {
    input x: seq [2]
    h = lstm[3](x)
    output p = dense[2](h.mean)
}
END
# matrices of more than 32 KiB: every other step walks them backwards
cat >turning.rondo <<'END'
model turning {
    input  x: seq [1]
    target y: seq [1]
    p = dense[1](gru[57](x))
    output p
    loss   mse(p, y)
}
END

# tokens and a bool are remembered, start from other values than 0, and are read after others have changed
cat >mixed.rondo <<'END'
cell by_turns[V, H](x: [I]) {
    state h: [H] = 0
    state a: token[V] = 2
    state b: token[V] = 3
    state on: bool = true
    z = dense[V]([h, x, embedding[V, 3](a)])
    h' = tanh(dense[H]([embedding[V, H](b), x]))
    a' = b
    b' = where(on, argmax(z), a)
    on' = not on
    return z
}
model mixed[V = 7] {
    input  x: seq [3]
    z = by_turns[V, 5](x)
    output z, best = argmax(z)
}
END

# noise that is not of training: another in each step
cat >noisy.rondo <<'END'
cell walk[H](x: [H]) {
    noise e: [H] = normal(0, 1)
    noise k: [H] = uniform(0, 1), per sequence
    state h: [H] = 0
    h' = 0.9 * h + x + e + k
    return h'
}
model noisy {
    input x: seq [3]
    target y: [3]
    h = walk[3](x)
    output h
    loss mse(h.last, y)
}
END

# few inputs: elementwise loops read the weights down their columns
cat >thin.rondo <<'END'
model thin {
    input x: seq [3]
    output h = mingru[17](x)
}
END
# a loss that has nothing to learn from
cat >unlearnt.rondo <<'END'
model unlearnt {
    input x: seq [3]
    target y: [3]
    output p = dense[2](x)
    loss mse(x.mean, y)
}
END

# no matrix to widen; no weight at all, with something to learn and without
cat >vectors.rondo <<'END'
cell own[H](x: [H]) {
    param a: [H] = normal(0, 0.5)
    state h: [H] = 0
    h' = tanh(a * h + x)
    return h'
}
model vectors {
    input x: seq [4]
    target y: [4]
    h = own[4](x)
    output h
    loss mse(h.last, y)
}
END
# equal layers are one function; the scales of 8 bits belong to a buffer
cat >layers.rondo <<'END'
model layers {
    input x: seq [32]
    target y: [1]
    h = layernorm_lstm[64](x)
    repeat 3 { h' = layernorm_lstm[64](h) }
    p = dense[1](h.last)
    output p
    loss mse(p, y)
}
END
cat >still.rondo <<'END'
model still {
    input x: seq [3]
    target y: [3]
    output m = x.mean
    loss mse(x.mean, y)
}
END

# names that differ in their letters' case alone, which macros do not show; macros of the headers; a model that bears a word of C
cat >cased.rondo <<'END'
cell c[H](x: [I]) {
    param W: [H, I] = glorot_uniform
    param w: [H] = normal(0, 1)
    state h: [H] = 0
    h' = tanh(W @ x + w * h)
    return h'
}
model double {
    input  x: seq [2]
    input  X: seq [3]
    input  INT32_MAX: seq [1]
    target y: seq [4]
    SIZE_MAX = c[4]([x, X, INT32_MAX])
    M_PI = dense[4](X)
    output SIZE_MAX
    output M_PI
    loss   mse(SIZE_MAX, y)
    train  { optimizer = adam(lr = 1e-3) }
}
END
cat >starts.rondo <<'END'
cell leaky[H](x: [I]) {
    param W: [H, I] = glorot_uniform
    param s: [H] = uniform(-1, 1)
    state h: [H] = s
    state g: [H] = 0.5 # a number that 16 bits hold
    h' = tanh(W @ x + 0.5 * h)
    g' = 0.5 * (g + h')
    return g'
}
model starts {
    input x: seq [2]
    p = leaky[5](x)
    output p
}
END
cat >odd.rondo <<'END'
model odd {
    input x: seq [5]
    param W: [3, 5] = normal(0, 0.5)
    y = W @ x
    output y
}
END
cat >joined.rondo <<'END'
model joined {
    input x: seq [2]
    input z: seq(3) [2]
    param b: [2] = normal(0, 0.5)
    h = gru[2](x)
    first, second = split([then(b, z), tanh(b)], 2) # no value of the steps is in the second half
    output h, second
}
END

# check FOLDER MODEL options..: the test that goes with the files holds them against the runtime on the weights as they are stored
check() {
    d=$1 m=$2
    shift 2
    expect 0 "$RONDO" emit c "$m.rondo" -o "$d" --test "$@"
    expect 0 "$CC" $strict -O1 $fused -I"$d" -o "$d/t" "$d/$m.c" "$d/${m}_test.c" -lm
    (cd "$d" && expect 0 ./t && says out '^PASS$')
}
check blob m --weights blob --train
check turning turning
says turning/turning.h 'int32_t turn;'
for n in 1 8; do # vectors of GNU C without the processor's own: the walk alone is of interest here
    expect 0 "$CC" -std=c99 -O0 -DTURNING_SIMD=$n -Iturning -o turning/t turning/turning.c turning/turning_test.c -lm
    (cd turning && expect 0 ./t && says out '^PASS$')
done
check kept turning --weights int8 # a quarter of the bytes
if grep "int32_t turn" kept/turning.h; then fail "8 bits fit, and turn around"; fi
check mixed mixed
check mixed64 mixed --dtype f64
says mixed/mixed.h 'int32_t z_a\[1\];'
says mixed/mixed.h 'void mixed_step('
check thin thin --weights int8
check thin16 thin --weights f16 --weights blob
check unlearnt unlearnt --train --ragged
check noisy noisy --train
expect 0 "$RONDO" emit c cased.rondo -o cased --test --train --simd 1
expect 0 "$CC" $strict -O1 $fused -o t cased/double_.c cased/double__test.c -lm
expect 0 ./t
says out '^PASS$'
says cased/double_.h '#define DOUBLE_IN_X_2 3$'
says cased/double_.h '#define DOUBLE_AT_SIZE_MAX_W_2 24 /. SIZE_MAX.w \[4\] ./'
check noisy64 noisy --dtype f64
cat >noisy.c <<'END'
#include "noisy/noisy.h"

int main(void) {
    static noisy_state s, u;
    const float x[3] = {0};
    float kept[NOISY_STATE], a[3], b[3], before[3];
    int k;
    noisy_init(&s);
    noisy_init(&u);
    noisy_step(&s, x, before);
    for (k = 0; k < 70000; k++) noisy_step(&s, x, a);
    noisy_save(&s, kept);
    noisy_load(&u, kept);
    noisy_step(&s, x, a);
    noisy_step(&u, x, b);
    if (a[0] < b[0] || a[0] > b[0] || a[2] < b[2] || a[2] > b[2]) return 1;
    noisy_reset(&s);
    noisy_step(&s, x, a);
    return a[1] < before[1] || a[1] > before[1];
}
END
expect 0 "$CC" $strict -O1 $fused -o t noisy.c noisy/noisy.c -lm
expect 0 ./t
check int8 m --weights int8
check trained m --weights int8 --train
check shared layers --train
says shared/layers.c 'layers_shared_'
check shared16 layers --weights bf16
check shared8 layers --weights int8
check bf16 m --weights bf16 --weights blob
check f16 m --weights f16 --simd 1
for bits in bf16 f16 int8; do check starts_$bits starts --weights $bits; done # where a state starts is copied: it stays float
for bits in bf16 f16 int8; do check odd_$bits odd --weights $bits --weights blob; done # 30 bytes: a struct without a float
# numbers that f16 has as denormals, where the processor takes denormal floats for 0 (set by -ffast-math when it links)
sed 's/odd/low/; s/normal(0, 0.5)/normal(0, 1e-5)/; s/3, 5/20, 5/' odd.rondo >low.rondo
check low low --weights f16
expect 0 "$CC" $strict -O1 -ffast-math -DTOLERANCE=1e-9 -Ilow -o low/t low/low.c low/low_test.c -lm
(cd low && expect 0 ./t && says out '^PASS$')
if grep -qw f16c /proc/cpuinfo 2>/dev/null; then # widened by the processor
    for by in gcc clang-19; do
        command -v $by >/dev/null || continue
        for n in 4 8; do
            expect 0 $by $strict -O1 -mavx2 -mfma -mf16c -ffast-math -DTOLERANCE=1e-9 -DLOW_SIMD=$n -Ilow -o low/t low/low.c low/low_test.c -lm
            (cd low && expect 0 ./t && says out '^PASS$')
        done
    done
fi
check joined joined
if grep -q 'joined_step(' joined/joined.h; then fail "a step of an output whose steps are those of two sequences, one behind the other"; fi
check plain m --dtype f64 --weights blob
check vectors vectors --weights bf16 --train --simd 1
check still still --train --simd 1
check stored still --weights int8 --train --simd 1
if grep -q 'M_SIMD == 8' f16/m.c; then fail "--simd 1 left other widths in"; fi

# without --train nothing is widened into memory: int8 stands in the constants, with a scale a row of the weights
says int8/m.h 'int8_t e_E\[55\]; /. e.E ./'
says int8/m.h 'float e_E_scale\[11\];'
if grep -q unpack int8/m.h; then fail "int8 weights want memory"; fi
if grep -q ' theta' int8/m.h; then fail "the weights stand there twice"; fi
says trained/m.h 'm_unpack'

# ---- numbers that each storage holds: exactly what bits it has ----
cat >bits.c <<'END'
#include "bits.h"

#include <stdio.h>

int main(void) {
    static bits_weights w;
    static unsigned char room[BITS_PREPARE_WORK];
    bits_unpack(&w, bits_builtin(), room);
    for (int k = 0; k < 12; k++) printf("%.9g\n", (double)w.theta[BITS_AT_P_W + k]);
    return 0;
}
END
cat >bits.rondo <<'END'
model bits {
    input x: seq [6]
    p = dense[2](x)
    output p
}
END
if command -v python3 >/dev/null; then
python3 - <<'END'
import json, struct
w = [1.0, -0.333333343, 65536.0, 1e-7, 0.0, 3.14159274, 127.0, -63.5, 1.2, 0.4, -0.6, 100.3]
b = struct.pack('<12f', *w) + struct.pack('<2f', 0.1, 0.2)
h = json.dumps({"p.W": {"dtype": "F32", "shape": [2, 6], "data_offsets": [0, 48]}, "p.b": {"dtype": "F32", "shape": [2], "data_offsets": [48, 56]}}).encode()
open('bits.safetensors', 'wb').write(struct.pack('<Q', len(h)) + h + b)
f32 = lambda v: struct.unpack('<f', struct.pack('<f', v))[0]
def bf16(v):
    u = struct.unpack('<I', struct.pack('<f', v))[0]
    u = (u + 0x7fff + (u >> 16 & 1)) >> 16 << 16
    return struct.unpack('<f', struct.pack('<I', u))[0]
def f16(v): return struct.unpack('<e', struct.pack('<e', max(-65504.0, min(65504.0, f32(v)))))[0]
def int8(row):
    s = f32(max(abs(f32(v)) for v in row) / 127)
    return [f32(round(f32(v) / s) * s) for v in row]
for name, out in (('bf16', map(bf16, w)), ('f16', map(f16, w)), ('int8', int8(w[:6]) + int8(w[6:]))):
    open(name + '.want', 'w').write(''.join('%.9g\n' % v for v in out))
END
for s in bf16 f16 int8; do
    expect 0 "$RONDO" emit c bits.rondo -w bits.safetensors -o bits_$s --weights $s --train
    expect 0 "$CC" $strict -O1 -Ibits_$s -o t bits.c bits_$s/bits.c -lm
    expect 0 ./t
    cmp out $s.want || { diff out $s.want; fail "$s holds other numbers"; }
done
fi

# ---- a blob is refused when it is damaged, short, of another model, or not aligned ----
cat >open.c <<'END'
#include "m.h"

#include <stdio.h>
#include <string.h>

static uint32_t room[20000];

int main(int argc, char **argv) {
    unsigned char *blob = (unsigned char *)room;
    FILE *f = fopen(argv[1], "rb");
    size_t n = f ? fread(blob, 1, sizeof room - 4, f) : 0;
    if (f) fclose(f);
    (void)argc;
    if (!m_open(blob, n)) return puts("refused"), 0;
    if (m_open(blob, n - 1)) return puts("takes a short one"), 1;
    for (size_t k = 0; k < 64; k++) {
        blob[k] ^= 1;
        if (m_open(blob, n)) return puts("takes another head"), 1;
        blob[k] ^= 1;
    }
    blob[n / 2] ^= 64;
    if (m_open(blob, n)) return puts("takes a damaged one"), 1;
    blob[n / 2] ^= 64;
    memmove(blob + 1, blob, n);
    if (m_open(blob + 1, n)) return puts("takes one that is not aligned"), 1;
    puts("taken");
    return 0;
}
END
expect 0 "$CC" $strict -O1 -Iblob -o t open.c blob/m.c -lm
expect 0 ./t blob/m.blob
says out taken
# what stands in comments alone is no part of a layout
sed 's/param W:/param A:/; s/tanh(W @/tanh(A @/' m.rondo >renamed.rondo
expect 0 "$RONDO" emit c m.rondo -o first --weights blob
expect 0 "$RONDO" emit c renamed.rondo -o second --weights blob
if cmp -s first/m.h second/m.h; then fail "no comment differs"; fi
expect 0 "$CC" -std=c99 -O0 -Ifirst -o t_second open.c second/m.c -lm
expect 0 ./t_second first/m.blob
says out '^taken$'
expect 0 "$RONDO" emit c m.rondo -o other --weights blob --train --set seed=7
expect 0 ./t other/m.blob
says out taken
sed 's/acc\[7\]/acc[8]/' m.rondo >larger.rondo
expect 0 "$RONDO" emit c larger.rondo -o larger --weights blob --train
for b in larger/m.blob bf16/m.blob m.rondo nothing; do
    expect 0 ./t $b
    says out refused
done

# what open answers for them is refused by each function that takes weights, and what was there before stays
cat >null.c <<'END'
#include "m.h"

int main(void) {
    static m_state s;
    static float x[3], p[2];
    static int32_t w[1];
    static unsigned char work[M_PREDICT_WORK(1, 1)];
#ifdef BLOB
    if (m_init(&s, m_open("no blob", 7)) || m_predict(m_open(0, 0), w, x, 1, 1, p, work)) return 1;
    return m_use(&s, m_open("no blob", 7)) || s.weights;
#else
    m_init(&s);
    m_predict(NULL, w, x, 1, 1, p, work);
    if (m_use(&s, NULL) || !m_use(&s, m_builtin())) return 1;
    m_step(&s, w, x, p);
    return m_use(&s, NULL) || s.weights != m_builtin();
#endif
}
END
for form in "blob -DBLOB" int8; do
    set -- $form
    expect 0 "$CC" $strict -O1 ${2:-} -I"$1" -o t_null null.c "$1/m.c" -lm
    expect 0 ./t_null
done
expect 0 "$RONDO" emit c m.rondo -o null_bits --weights blob --weights int8 --train
cat >null_bits.c <<'END'
#include "m.h"

int main(void) {
    static m_weights w;
    static unsigned char room[M_PREPARE_WORK];
    return m_unpack(&w, m_open("no blob", 7), room);
}
END
expect 0 "$CC" $strict -O1 -Inull_bits -o t_null null_bits.c null_bits/m.c -lm
expect 0 ./t_null

# the same struct, whose pack has other weights first
cat >two.rondo <<'END'
cell two[H](x: [I]) {
    param Wa: [H, I] = glorot_uniform
    param Wb: [H, I] = glorot_uniform
    state h: [H] = 0
    h' = tanh(Wa @ x) * sigmoid(Wb @ x) + h
    return h'
}
model m {
    input x: seq [8]
    output h = two[8](x)
}
END
sed 's/tanh(Wa @ x) . sigmoid(Wb @ x)/sigmoid(Wb @ x) * tanh(Wa @ x)/' two.rondo >swapped.rondo
for m in two swapped; do expect 0 "$RONDO" emit c $m.rondo -o $m --weights blob --simd 1; done
cmp two/m.h swapped/m.h || fail "their structs differ, too"
expect 0 "$CC" -std=c99 -O0 -Itwo -o t_two open.c two/m.c -lm
expect 0 ./t_two two/m.blob
says out '^taken$'
expect 0 ./t_two swapped/m.blob
says out '^refused$'

# ---- arrangements ----
expect 0 "$RONDO" emit c m.rondo -o single --test --layout single
if [ -e single/m.c ]; then fail "there is a second file"; fi
expect 0 "$CC" $strict -O1 $fused -Isingle -o t single/m_test.c -lm
expect 0 ./t
says out '^PASS$'
# the page's commands as they are typed, and its example, which is a whole program but for main
typed() {
    sed -n '/^```sh$/,/^```$/p' "$1"/*README.md | sed '1d;$d' >typed.sh
    [ -s typed.sh ] || fail "no commands in $1"
    (cd "$1" && expect 0 sh -e ../typed.sh && says out PASS)
}
typed plain
typed single
sed -n '/^```c$/,/^```$/p' single/m_README.md | sed '1d;/^```$/,$d' >example.c
echo 'int main(void) { return example(); }' >>example.c
expect 0 "$CC" -std=c99 -O0 -Isingle -o t example.c -lm
expect 0 ./t
# a sound in place: what it comes from and what it becomes are one array
cat >inplace.rondo <<'END'
model inplace {
    input  x: seq [5]
    output p = dense[5](gru[9](x)) + x
}
END
cat >inplace.c <<'END'
#include "inplace/inplace.h"
#include <string.h>
int main(void) {
    static inplace_state s;
    float x[150], p[150];
    int k;
    for (k = 0; k < 150; k++) x[k] = (float)(k % 7) / 7;
    inplace_init(&s);
    inplace_run(&s, 30, x, p);
    inplace_reset(&s);
    inplace_run(&s, 30, x, x);
    return memcmp(x, p, sizeof p) != 0;
}
END
expect 0 "$RONDO" emit c inplace.rondo -o inplace
if tr -s '\n ' ' ' <inplace/inplace.h | grep -q 'x and p may be one array'; then
    for n in 1 4 8; do
        expect 0 "$CC" -std=c99 -O2 -DINPLACE_SIMD=$n -o t inplace.c inplace/inplace.c -lm
        expect 0 ./t
    done
else
    fail "a step reads x after p has begun"
fi
tr -s '\n ' ' ' <single/m.h | grep -q 'No output may overlap an input' || fail "arrays of m may be one"
expect 0 "$RONDO" emit c m.rondo -o arduino --layout arduino --weights int8
for f in library.properties src/m.h src/m.c examples/m/m.ino README.md; do
    [ -s arduino/$f ] || fail "no $f"
done
says arduino/library.properties '^includes=m.h$'
expect 0 "$RONDO" emit c m.rondo -o arduino_blob --layout arduino --weights blob
expect 0 "$RONDO" emit c m.rondo -o arduino_f64 --layout arduino --weights blob --dtype f64 --simd 1
cxx=$(command -v g++ || command -v clang++-19 || true)
for d in arduino arduino_blob arduino_f64; do
    cp $d/examples/m/m.ino $d/examples/m/m.c # which says whether the weights are taken
    printf 'int main(void) { return %s; }\n' "$(sed -n 's/^void loop() { \(example(.*)\); }$/\1/p' $d/examples/m/m.ino)" >>$d/examples/m/m.c
    expect 0 "$CC" -std=c99 -Wall -O0 $fused -I$d/src -o t $d/examples/m/m.c $d/src/m.c -lm
    expect 0 ./t
    if [ -n "$cxx" ]; then expect 0 "$cxx" -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -c -I$d/src -o t.o $d/examples/m/m.ino; fi
done
if command -v cmake >/dev/null; then
    expect 0 "$RONDO" emit c whole.rondo -o cmake --test --layout cmake --weights blob
    expect 0 cmake -S cmake -B cmake/build
    expect 0 cmake --build cmake/build
    (cd cmake/build && expect 0 ctest)
fi

# ---- the example of the page compiles, whatever the weights are ----
for form in "blob m" "int8 m" "bf16 m" "f16 m" "single m"; do
    set -- $form
    sed -n '/^```c$/,/^```$/p' "$1/$2_README.md" | sed '1d;/^```$/,$d' >example.c
    [ -s example.c ] || fail "no example for $1"
    expect 0 "$CC" $strict -c -I"$1" -o example.o example.c
done
expect 0 "$RONDO" emit c whole.rondo -o whole
sed -n '/^```c$/,/^```$/p' whole/whole_README.md | sed '1d;/^```$/,$d' >example.c
printf 'int main(void) { return example(); }\n' >>example.c
expect 0 "$CC" $strict -Wno-missing-prototypes -O1 -Iwhole -o t example.c whole/whole.c -lm
expect 0 ./t

# ---- a model of both directions on a stream, through a window: each output is the runtime's for that window ----
cat >two.rondo <<'END'
model two {
    input x: seq [3]
    input w: seq token[5]
    input c: [2]
    f = lstm[7]([x, embedding[5, 2](w)])
    b = reverse(lstm[7](reverse(x)))
    output p = dense[2]([f, b])
    output m = dense[1]([c, f.mean])
}
END
check slide two --window 4:1 --simd 4
says slide/two_test.c 'check_window()'
check short two --window 64 --freestanding --simd 1 # never full: finish gives what is left
says short/two.h '^#define TWO_STREAM_DELAY 32$'
check last whole --window 3 --weights blob --simd 1
if grep -q whole_finish last/whole.h; then fail "nothing is late there"; fi
cat >null.c <<'END'
#include "whole.h"

int main(void) {
    static whole_state s;
    return whole_init(&s, whole_open("no blob", 7)) || whole_use(&s, NULL);
}
END
expect 0 "$CC" $strict -O1 -Ilast -o t_null null.c last/whole.c -lm
expect 0 ./t_null
expect 1 "$RONDO" emit c two.rondo -o d --window 4:4
says err E0855
expect 1 "$RONDO" emit c m.rondo -o d --window 4
says err 'step by step'
expect 2 "$RONDO" emit c two.rondo -o d --window 4:x

# ---- examples of different length: outputs, and the gradient ----
cat >ragged.rondo <<'END'
model ragged {
    input a: seq(S) [2]
    input b: seq token[4]
    target t: seq token[4]
    read = gru[3](a)
    b_ = reverse(gru[3](reverse(a)))
    logits = dense[4](gru[3]([embedding[4, 3](b)], h = read.last))
    output logits
    output m = dense[1]([read, b_].mean)
    loss softmax_crossentropy(logits, t)
}
END
check ragged ragged --ragged --train --simd 1
says ragged/ragged.h 'const int32_t .length_S,'
check lengths m --ragged --simd 1
expect 1 "$RONDO" emit c two.rondo -o d --ragged --window 4

# ---- names that the functions have for themselves, or C has ----
cat >names.rondo <<'END'
model names {
    input  int32_t: seq [1]
    input  loss: seq [1]
    input  l: seq [1]
    input  i: seq token[3]
    input  NAN: [1]
    input  scalar_0: [1]
    target linux: seq [1]
    out_0 = dense[1](gru[3]([int32_t, loss, l, NAN, scalar_0, embedding[3, 2](i)]))
    output out_0
    loss mse(out_0, linux)
    train { bptt = 2 }
}
END
check names names --train --simd 1

# ---- what narrower weights cost is measured on the data ----
expect 0 "$RONDO" emit c "$SRC/examples/sunspots.rondo" -o sun --weights int8
says out '^int8: [0-9]* bytes of weights, [0-9]* as f32$'
says out '^loss [0-9.]*, [0-9.]* as f32$'
says out '^rmse [0-9.]*, [0-9.]* as f32$'
expect 0 "$RONDO" emit c m.rondo -o none --weights f16
says out 'not measured'

# ---- wrong use ----
expect 2 "$RONDO" emit c m.rondo -o d --layout flta
says err 'flat, single, arduino or cmake'
expect 2 "$RONDO" emit c m.rondo -o d --simd 3
expect 1 "$RONDO" emit c m.rondo -o d --dtype f64 --weights int8
says err E0851
sed 's/param U:.*/param U: [H, H] = 1e39/' m.rondo >endless.rondo
for bits in bf16 f16 int8; do
    expect 1 "$RONDO" emit c endless.rondo -o d --weights $bits
    says err "E0851.*'.*U' holds an infinity, which $bits does not keep"
done
[ ! -e d ] || fail "a refused emit left files"

# ---- folders that are missing are made; what cannot be written whole leaves nothing behind ----
expect 0 "$RONDO" emit c whole.rondo -o a/b/c --layout cmake --simd 1
[ -s a/b/c/src/whole.c ] || fail "no file three levels deep"
mkdir -p e/whole_README.md
expect 1 "$RONDO" emit c whole.rondo -o e --simd 1
says err "e/whole_README.md'*: Is a directory"
[ "$(ls e)" = whole_README.md ] || fail "a refused emit left a part of its files"
: >e/file
expect 1 "$RONDO" emit c whole.rondo -o e/file/d --simd 1
says err "the folder 'e/file/d' cannot be made: Not a directory"
rm -r e/whole_README.md
mkdir -p e/d/m/whole_README.md
expect 1 "$RONDO" emit c whole.rondo -o e/new/../d/m --simd 1
[ ! -e e/new ] || fail "a refused emit left a folder"

# ---- where a function is written out stands which, of any width and in both precisions; other bounds are no function ----
cat >written.rondo <<'END'
model written {
    input  x: seq [3]
    target y: seq token[5]
    z = dense[5](lstm[7](x))
    output p = softmax(z)
    output q = max(-87, min(x, 87)) * 2 + 3
    loss softmax_crossentropy(z, y)
}
END
for form in "--simd 8" "--simd 1 --dtype f64" "--simd 1 --math precise"; do
    expect 0 "$RONDO" emit c written.rondo -o written $form
    says written/written.c '/. sigmoid(v[0-9]*): 1 / (1 + e^-x), where e^-x = 2^n e^'
    says written/written.c '/. exp(v[0-9]*): 2^n e^r with n = x / ln 2'
    [ "$form" = "--simd 1 --math precise" ] || says written/written.c '/. tanh(v[0-9]*): (e^2x - 1) / (e^2x + 1), where'
done
sed 's/dense.*/dense[5](x)/; s/, y)$/, y)/; s/p = softmax(z)/p = 2 * z/' written.rondo >clamped.rondo
expect 0 "$RONDO" emit c clamped.rondo -o clamped --simd 1
if grep -E '/. (sigmoid|tanh|exp)\(' clamped/written.c; then fail "a clamp is taken for a function"; fi
