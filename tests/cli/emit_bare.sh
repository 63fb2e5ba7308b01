# emit c --freestanding: no library, not even memcpy; small on a Cortex-M4; the bits of the others. And a stream that decays.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wcast-align -Werror"
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
compilers=$(for c in "$CC" gcc clang-19; do if command -v "$c" >/dev/null; then readlink -f "$(command -v "$c")"; fi; done | sort -u)

# layer norm (a root), a mod (floor), a softmax, an absolute value, exp, tanh; a state that starts at a weight
cat >float.rondo <<'END'
model bare {
    input  x: seq [3]
    target y: seq [2]
    h = layernorm_lstm[6](x)
    p = softmax(dense[2](abs(h) + floor(3 * h)))
    output p
    loss   mse(p, y)
    train  { optimizer = adam(lr = 1e-2) }
}
END
# in double precision: sin, erf, a power, a root
cat >double.rondo <<'END'
model bare {
    input  x: seq [1]
    target y: seq [2]
    h = indrnn[2](x)
    p = sin(h) * erf(h) + (1 + sqrt(1 + abs(h)))^1.3 + floor(3 * h)
    output p
    loss   mse(p, y)
}
END
cat >lstm20.rondo <<'END'
model lstm20 {
    input  x: seq [1]
    h = lstm[20](x)
    p = dense[1](h)
    output p
}
END
cat >fast16.rondo <<'END'
model fast16 {
    input  x: seq [32]
    h = fastgrnn[16](x)
    output h
}
END
for float in float double; do
    if [ $float = float ]; then dtype=f32 word=uint32_t lanes=4; else dtype=f64 word=uint64_t lanes=1; fi
    mkdir $float
    cd $float
    expect 0 "$RONDO" emit c ../$float.rondo -o . --test --train --freestanding --dtype $dtype
    if grep -q '<math.h>\|string.h\|mem[a-z]*(' bare.c; then fail "bare.c of $float asks for a library"; fi
    for cc in $compilers; do
        for how in "-O0 $fused" "-Os $fused -DBARE_SIMD=1" "-O0 $fused -DRONDO_PLAIN_C -DBARE_SIMD=$lanes"; do
            expect 0 "$cc" $strict $how -ffreestanding -fno-stack-protector -c -o bare.o bare.c
            if nm -u bare.o | grep -v _GLOBAL_OFFSET_TABLE_ | grep .; then fail "bare.o of $float, $cc $how, needs a library"; fi
            expect 0 "$cc" $strict -O1 $fused -o t bare.o bare_test.c -lm
            expect 0 ./t
            says out '^PASS$'
        done
    done
    # the root by integers is the machine's, to the bit
    sed -n "/^static $float bare_sqrt1/,/^}/p" bare.c | sed '/^}/q' >root.h
    grep -q 'r |= 1' root.h || fail "no root found"
    cat >root.c <<'END'
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "root.h"
int main(void) {
    WORD i = 0;
    for (long k = 0; k < 2000000; k++, i += (WORD)-1 / 2000000 - 141) {
        FLOAT a, want, got;
        memcpy(&a, &i, sizeof a);
        want = (FLOAT)sqrt((double)a);
        got = bare_sqrt1(a);
        if (memcmp(&want, &got, sizeof got) && !(want != want && got != got)) return printf("%a: %a, not %a\n", (double)a, (double)got, (double)want), 1;
    }
    return 0;
}
END
    expect 0 "$CC" -O2 -ffp-contract=off -DFLOAT=$float -DWORD=$word -o t root.c -lm
    expect 0 ./t
    cd ..
done

# ---- what it cannot do without a library ----
expect 1 "$RONDO" emit c float.rondo -o none --freestanding --math sleef
says err E0852
[ ! -e none ] || fail "a refused emit left files"

# ---- size on a Cortex-M4: text less than 6 KB; with weights in int8 and all that runs, less than 8 KB ----
size_of() { # FILE PATTERN: bytes of the sections
    arm-none-eabi-size -A "$1" | awk -v want="$2" '$1 ~ want { n += $2 } END { print n + 0 }'
}
expect 0 "$RONDO" emit c lstm20.rondo -o . --freestanding
expect 0 "$RONDO" emit c fast16.rondo -o . --freestanding --weights int8
says fast16.h 'int8_t h_p_3\[512\];' # both matrices, as the step reads them
says fast16.h 'int8_t h_p_4\[256\];'
if command -v arm-none-eabi-gcc >/dev/null; then
    m4="-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os -ffreestanding"
    expect 0 arm-none-eabi-gcc $strict $m4 -DLSTM20_STEP_ONLY -c -o lstm20.o lstm20.c
    text=$(size_of lstm20.o '^.text')
    expect 0 arm-none-eabi-gcc $strict $m4 -DFAST16_STEP_ONLY -c -o fast16.o fast16.c
    all=$(size_of fast16.o '^.(text|rodata|data)')
    echo "Cortex-M4: LSTM 20 has $text bytes of text, FastGRNN 16 $all of text and weights"
    [ "$text" -lt 6144 ] || fail "LSTM 20: $text bytes of text"
    [ "$all" -lt 8192 ] || fail "FastGRNN 16: $all bytes"
    for o in lstm20.o fast16.o; do
        if arm-none-eabi-nm -u $o | grep .; then fail "$o needs a library"; fi
    done
fi

# ---- an input that decays to nothing: no step takes longer, as nothing carried is denormal ----
cat >decay.rondo <<'END'
model decay {
    input x: seq [1]
    h = indrnn[32](x)
    output h
}
END
expect 0 "$RONDO" emit c decay.rondo -o . --train
cat >decay.c.txt <<'END'
#include "decay.h"

#include <math.h>
#include <stdio.h>

int main(void) {
    static decay_state s;
    static decay_weights w;
    static unsigned char room[DECAY_PREPARE_WORK];
    static float h[DECAY_OUT_H];
    float x = 1;
    w = *decay_builtin();
    for (int k = 0; k < DECAY_WEIGHTS; k++) w.theta[k] = k < 64 ? 0.5f : 0; /* each step halves what is remembered */
    decay_prepare(&w, room);
    decay_init(&s);
    decay_use(&s, &w);
    for (int t = 0; t < 2000; t++) {
        float kept[DECAY_STATE];
        decay_step(&s, &x, h);
        decay_save(&s, kept);
        for (int k = 0; k < DECAY_STATE; k++)
            if (fpclassify(kept[k]) == FP_SUBNORMAL) return printf("step %d remembers %g\n", t, (double)kept[k]), 1;
        x = x > 1e-30f ? x / 2 : 0;
    }
    for (int k = 0; k < DECAY_OUT_H; k++)
        if (h[k] < 0 || h[k] > 0) return printf("%g is left\n", (double)h[k]), 1;
    return 0;
}
END
mv decay.c.txt decay_main.c
expect 0 "$CC" -std=c99 -O1 $fused -o t decay_main.c decay.c -lm
expect 0 ./t
