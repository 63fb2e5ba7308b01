# emit c: strict C99 without a warning from any compiler here, that computes the runtime's bits: whole sequences, single steps,
# loss and gradient, the optimizer's updates. NAME_test.c has the runtime's numbers (its tolerance is 0 where FMA is fused).
. "$SRC/tests/lib.sh"
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror"
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
# three compilers, the first one again where there are fewer
compilers=$(for c in "${CC:-cc}" gcc clang-14 clang-19; do if command -v "$c" >/dev/null; then readlink -f "$(command -v "$c")"; fi; done | awk '!seen[$0]++')
set -- $compilers
one=$1 two=${2:-$1} three=${3:-${2:-$1}}

# compile NAME flags..: builds the test of NAME with strict flags and runs it
compile() {
    name=$1
    shift
    expect 0 "$@" $strict -o t "$name.c" "${name}_test.c" -lm
    expect 0 ./t
    says out '^PASS$'
}

cp "$SRC/tests/models/wide.rondo" .
# needs the whole sequence: no steps
cat >both.rondo <<'END'
model both {
    input  x: seq [3]
    target y: [2]
    f = lstm[7](x)
    b = reverse(lstm[7](reverse(x)))
    h = [f, b]
    ends = dense[2](x.last) + dense[2](x.first)
    p = dense[2](h.mean) + ends # a sum of several products, whose order the text decides
    output p
    loss   mse(p, y)
    train  { optimizer = adamw(lr = 1e-2, decay = 0.1), no_decay = ["*.b*"] }
}
END
for m in wide both; do
    expect 0 "$RONDO" emit c $m.rondo -o . --test --train
    silent err
done
says wide.h '_IN_W 1 /\* from 0 to [0-9]*, which is not checked \*/'
if grep -E '(int|float|void|\*)$' wide.h; then fail "a line of wide.h ends in the middle of a parameter"; fi
# every two of compiler, model, width and level of optimization; each lowering in the file gives the same bits
compile wide "$one" -O0 $fused
compile wide "$two" -O2 $fused -DWIDE_SIMD=4
compile wide "$three" -O3 $fused -DWIDE_SIMD=1
compile both "$one" -O2 $fused -DBOTH_SIMD=1
compile both "$two" -O0 $fused
compile both "$three" -O1 $fused -DBOTH_SIMD=4
compile wide "$one" -O1 # where rounding is allowed
compile wide "$two" -O0 -DRONDO_PLAIN_C $fused
if "${CC:-cc}" -DWIDE_SIMD=3 -c wide.c 2>/dev/null; then fail "there is no lowering of 3 lanes"; fi
cxx=$(command -v g++ || command -v clang++-19 || true)
if [ -n "$cxx" ]; then # the same files as C++
    expect 0 "$cxx" -x c++ -std=c++11 -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror -O0 $fused -o t wide.c wide_test.c -lm
    silent err
    expect 0 ./t
    says out '^PASS$'
fi
says wide.h 'void wide_step(wide_state \*s, const int32_t w_\[1\], const float float_\[3\], float p\[2\], float q\[9\]);'
says wide.c "^     h \[9\]: c' = f \* c + i \* g$" # the equations in front of the kernel
says wide.c "^ */. h: c' = f . c + i . g ./$" # and where it begins with one
if grep -q both_step both.h; then fail "both.h has a step"; fi
mv wide.c first.c
expect 0 "$RONDO" emit c wide.rondo -o . --train
cmp -s wide.c first.c || fail "another run wrote other bytes"

expect 0 "$RONDO" emit c wide.rondo -o f64 --test --train --dtype f64
cd f64
compile wide "$three" -O0 $fused
cd ..

expect 0 "$RONDO" emit c "$SRC/examples/sunspots.rondo" -o . --test
says sunspots.h '^#define SUNSPOTS_WINDOW 10$'
says sunspots.h '^#define SUNSPOTS_IN_SCALE 154.4$'
says sunspots.h '/. h.Wi, h.Wf, h.Wg, h.Wo, packed ./' # what a field is made of
compile sunspots "${CC:-cc}" -O1 $fused
# eight weights a line, but for an array's last: one that changes changes its line alone
awk '/^ +-?[0-9][-0-9.e]*f,/ && n && n != 8 { exit 1 } { n = /^ +-?[0-9][-0-9.e]*f,/ ? NF : 0 } n > 8 { exit 1 }' sunspots.c || fail "lines of weights of other lengths"
# -ffast-math changes nothing in it, nor does the file change what follows in the same source
for by in "$one" "$two"; do
    for flags in "-O2 -ffast-math" "-O1 -ffast-math -DSUNSPOTS_SIMD=1" "-O1 -ffast-math $fused"; do compile sunspots "$by" $flags; done
    printf '#include "sunspots.c"\nfloat after(float x, float large);\nfloat after(float x, float large) { return (x + large) - large; }\n' >after.c
    printf 'float after(float x, float large);\nint main(void) { return after(1, 1e9f) < 1; }\n' >main.c
    expect 0 "$by" -O2 -ffast-math -o t after.c main.c -lm
    expect 0 ./t
    expect 0 "$by" -O2 -o t after.c main.c -lm
    expect 1 ./t
done
# there is not even a word about what is not finite
cat >bounds.rondo <<'END'
model bounds {
    input x: seq [3]
    p = max(log(x * x + 0.5))
    output p
}
END
expect 0 "$RONDO" emit c bounds.rondo -o . --test
says bounds.c 'bounds_INFINITY'
says bounds.c 'bounds_NAN'
for by in $compilers; do compile bounds "$by" -O1 -ffast-math; done
# with it clang fuses what is written apart, and the test asks for no more than rounding
cat >apart.rondo <<'END'
model apart {
    input x: seq [3]
    p = layer_norm(dense[3](x))
    output p
    loss   mean(p^2)
}
END
expect 0 "$RONDO" emit c apart.rondo -o . --test --train
for by in $compilers; do compile apart "$by" -O1 -ffast-math $fused; done

# ---- a large model: its test is small all the same, and sees one wrong number among all ----
expect 0 "$RONDO" emit c "$SRC/examples/char_lm.rondo" -o large --test --train --simd 8
[ "$(wc -c <large/char_lm_test.c)" -lt 400000 ] || fail "the test of a model of 92897 weights has $(wc -c <large/char_lm_test.c) bytes"
cd large
expect 0 "${CC:-cc}" $strict -O0 $fused -c char_lm.c
for wrong in none got_grad got_theta; do # number 50000 of it, by a millionth
    sed "s/(double)$wrong\[k\]/$wrong[k] + (k == 50000 ? 1e-6 : 0)/" char_lm_test.c >m_test.c
    expect 0 "${CC:-cc}" -std=c99 -O1 $fused -o t char_lm.o m_test.c -lm
    if [ "$wrong" = none ]; then expect 0 ./t; elif [ -n "$fused" ]; then expect 1 ./t; fi
done
cd ..

# ---- the functions over a state: any chunks, save and load in the middle, other weights, two models in one program ----
cat >use.c <<'END'
#include "sunspots.h"
#include "wide.h"

#include <stdio.h>
#include <string.h>

static unsigned char room[SUNSPOTS_PREDICT_WORK(30, 3)], ready[SUNSPOTS_PREPARE_WORK];
static sunspots_weights ram;

static int same(const char *what, const float *a, const float *b, size_t n) {
    if (memcmp(a, b, n * sizeof *a) == 0) return 1;
    printf("%s differs\n", what);
    return 0;
}

int main(void) {
    static sunspots_state s, u;
    static wide_state v;
    float x[30], y[30], z[30], kept[SUNSPOTS_STATE], p[2], q[9], three[3] = {1, 2, 3};
    const int32_t word = 4;
    for (int k = 0; k < 30; k++) x[k] = (float)(k % 7) / 7;
    sunspots_init(&s);
    wide_init(&v);
    sunspots_run(&s, 30, x, y);
    sunspots_reset(&s);
    sunspots_run(&s, 11, x, z);
    wide_step(&v, &word, three, p, q); /* another model in between */
    sunspots_save(&s, kept);
    sunspots_init(&u);
    sunspots_load(&u, kept);
    sunspots_run(&u, 0, x + 11, z + 11);
    for (int k = 11; k < 30; k++) sunspots_step(&u, x + k, z + k);
    if (!same("a stream in pieces", y, z, 30)) return 1;
    ram = *sunspots_builtin();
    for (int k = 0; k < SUNSPOTS_WEIGHTS; k++) ram.theta[k] *= 0.5f;
    sunspots_prepare(&ram, ready);
    sunspots_use(&u, &ram);
    sunspots_reset(&u);
    sunspots_run(&u, 30, x, z);
    if (memcmp(y, z, sizeof y) == 0) return puts("other weights, the same outputs"), 1;
    ram.theta[0] = sunspots_builtin()->theta[0];
    for (int k = 0; k < SUNSPOTS_WEIGHTS; k++) ram.theta[k] = sunspots_builtin()->theta[k];
    sunspots_prepare(&ram, ready);
    if (memcmp(&ram, sunspots_builtin(), sizeof ram)) return puts("prepare makes other bits than emit"), 1;
    if (sizeof room < sunspots_predict_workspace(30, 3)) return puts("the macro is smaller than the function"), 1;
    if (sizeof room > 2 * sunspots_predict_workspace(30, 3)) return puts("the macro is much larger than the function"), 1;
    puts("PASS");
    return 0;
}
END
expect 0 "$RONDO" emit c "$SRC/examples/sunspots.rondo" -o . --train
for lanes in 8 4 1; do
    expect 0 "$one" -std=c99 -Wall -Wextra -Werror -O0 -mavx2 -mfma -DSUNSPOTS_SIMD=$lanes -DWIDE_SIMD=$lanes -DWIDE_STEP_ONLY -o t use.c sunspots.c wide.c -lm
    expect 0 ./t
    says out '^PASS$'
done

expect 2 "$RONDO" emit c wide.rondo
says err '-o DIR is missing'
expect 2 "$RONDO" emit fortran wide.rondo -o .
expect 1 "$RONDO" emit c wide.rondo -o wide.rondo/sub
says err "the folder 'wide.rondo/sub' cannot be made: Not a directory"
