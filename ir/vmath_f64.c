/* vmath_f64: the functions of ir/vmath.c in double precision, as operations of the loop program, tier fast: one definition for
   interpreter, C and LLVM. tests/unit/test_vmath.c asserts their errors. An integer is rounded by adding MAGIC, which leaves its floor in
   the high word (LOP_BITS) of a double. */
#include "ir/vmath.h"

#include <math.h>

#define MAGIC 1572864.0 /* 1.5 * 2^20 */
#define LOG2E 0x1.71547652b82fep+0
#define LN2_HI 0x1.62e42feep-1 /* few bits, so that n * LN2_HI is exact */
#define LN2_LO 0x1.a39ef35793c76p-33
enum { ONE_HI = 0x3ff00000 };

static LV number(LBuilder *b, double v) { return lb_fconst(b, v); }

static LV series(LBuilder *b, LV x, const double *coef, int n) {
    LV s = number(b, coef[0]);
    for (int i = 1; i < n; i++) {
        LV k = number(b, coef[i]);
        s = fma_(b, x, s, k);
    }
    return s;
}

/* x * scale rounded to an integer. */
static LV rounded(LBuilder *b, LV x, double scale) {
    LV k = number(b, scale);
    LV t = fma_(b, x, k, number(b, MAGIC + 0.5));
    LV whole = frombits(b, bits(b, t));
    return sub(b, whole, number(b, MAGIC));
}

/* 2^n of an integer, |n| <= 1022 */
static LV pow2(LBuilder *b, LV n) {
    LV w = bits(b, add(b, n, number(b, MAGIC)));
    LV s = lb_op(b, LOP_VSHL, w, 0, 0, 20);
    LV one = vconst(b, ONE_HI);
    return frombits(b, vop(b, LOP_VADD, s, one));
}

/* y * 2^n of an integer, |n| <= 2044, rounded once. */
static LV scaled(LBuilder *b, LV y, LV n) {
    LV k = rounded(b, n, 0.5);
    LV rest = sub(b, n, k);
    LV sk = pow2(b, k);
    LV sr = pow2(b, rest);
    return mul(b, mul(b, sk, y), sr);
}

/* x - n ln 2 * part */
static LV reduced(LBuilder *b, LV x, LV n, double part) {
    LV hi = number(b, -part * LN2_HI);
    LV lo = number(b, -part * LN2_LO);
    LV r = fma_(b, n, hi, x);
    return fma_(b, n, lo, r);
}

/* (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2: the series up to r^13 / 13! */
static LV exp_tail(LBuilder *b, LV r) {
    static const double q[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                               1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
    return series(b, r, q, 12);
}

static LV exp_less_1(LBuilder *b, LV r) {
    LV s = exp_tail(b, r);
    LV rr = mul(b, r, r);
    return fma_(b, rr, s, r);
}

LV vmath_exp_f64(LBuilder *b, LV x0) {
    LV x = at_least(b, at_most(b, x0, 710), -746);
    LV n = rounded(b, x, LOG2E);
    LV p = exp_less_1(b, reduced(b, x, n, 1));
    return scaled(b, add(b, p, number(b, 1)), n);
}

/* As in f32: 2^n (e^r - 1) + (2^n - 1), by way of its half. */
LV vmath_expm1_f64(LBuilder *b, LV x0) {
    LV x = at_least(b, at_most(b, x0, 710), -40);
    LV n = rounded(b, x, LOG2E);
    LV p = exp_less_1(b, reduced(b, x, n, 1));
    LV half = pow2(b, sub(b, n, number(b, 1)));
    LV rest = sub(b, half, number(b, 0.5));
    LV y = fma_(b, half, p, rest);
    y = add(b, y, y);
    LV tiny = number(b, 0x1p-54);
    LV small = lt(b, abs_(b, x0), tiny); /* and -0 */
    return sel(b, small, x0, y);
}

/* w coth w for |w| <= ln(2) / 4: the series up to w^12 */
static LV w_coth_w(LBuilder *b, LV w) {
    static const double c[] = {-1382.0 / 638512875, 2.0 / 93555, -1.0 / 4725, 2.0 / 945, -1.0 / 45, 1.0 / 3, 1};
    return series(b, mul(b, w, w), c, 7);
}

/* A quotient of e^(2x) and w coth w, as tanh_r of f32; keeps -0 */
LV vmath_tanh_f64(LBuilder *b, LV x0) {
    LV x = clamp(b, x0, 20);
    LV n = rounded(b, x, 2 * LOG2E);
    LV w = reduced(b, x, n, 0.5);
    LV c = w_coth_w(b, w);
    LV s = pow2(b, n);
    LV one = number(b, 1);
    LV m = sub(b, one, s);
    LV p = add(b, s, one);
    LV pw = mul(b, p, w);
    LV num = fma_(b, neg(b, m), c, pw);
    LV mw = mul(b, m, w);
    LV den = fma_(b, p, c, neg(b, mw));
    return div_(b, num, den);
}

/* As sig_r of f32: with -x / 2 = n ln(2) / 2 + w */
LV vmath_sigmoid_f64(LBuilder *b, LV x0) {
    LV x = clamp(b, x0, 708);
    x = mul(b, x, number(b, -0.5));
    LV n = rounded(b, x, 2 * LOG2E);
    LV w = reduced(b, x, n, 0.5);
    LV c = w_coth_w(b, w);
    LV s = pow2(b, n);
    LV u = add(b, c, w);
    LV v = sub(b, c, w);
    return div_(b, v, fma_(b, s, u, v));
}

/* x = 2^e m of a positive x, m from sqrt(1/2) to sqrt(2) */
static LV mantissa(LBuilder *b, LV x, LV *e) {
    LV tiny = lt(b, x, number(b, 0x1p-1022));
    LV up = mul(b, x, number(b, 0x1p54));
    LV a = sel(b, tiny, up, x);
    LV zero = number(b, 0);
    LV e0 = sel(b, tiny, number(b, -54), zero);
    LV w = bits(b, a);
    LV d = vop(b, LOP_VSUB, w, vconst(b, 0x3fe6a09e)); /* the high word of sqrt(1/2) */
    LV ex = vop(b, LOP_VAND, d, vconst(b, 0xfff00000));
    LV n = lb_op(b, LOP_VTOF, ex, 0, 0, 0);
    n = mul(b, n, number(b, 0x1p-20));
    LV m = scaled(b, a, neg(b, n));
    *e = add(b, n, e0);
    return m;
}

/* log x = e ln 2 + log(1 + f), as of fdlibm: with s = f / (2 + f) it is f - f^2/2 + s (f^2/2 + R(s^2)) */
LV vmath_log_f64(LBuilder *b, LV x) {
    static const double r[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
                               2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01};
    LV e, zero = number(b, 0);
    LV m = mantissa(b, x, &e);
    LV f = sub(b, m, number(b, 1));
    LV s = div_(b, f, add(b, f, number(b, 2)));
    LV z = mul(b, s, s);
    LV big = mul(b, z, series(b, z, r, 7));
    LV half = mul(b, mul(b, f, number(b, 0.5)), f);
    LV low = mul(b, e, number(b, LN2_LO));
    low = fma_(b, s, add(b, half, big), low);
    LV rest = sub(b, sub(b, half, low), f);
    LV ln2 = number(b, LN2_HI);
    LV y = fma_(b, e, ln2, neg(b, rest));
    LV inf = number(b, INFINITY);
    y = sel(b, lt(b, x, inf), y, x); /* infinity, NaN */
    LV minus = lt(b, x, zero);
    y = sel(b, minus, number(b, NAN), y);
    LV is0 = lb_op(b, LOP_EQ, x, zero, 0, 0);
    return sel(b, is0, number(b, -INFINITY), y);
}

/* ---- erf ---------------------------------------------------------------------------------------------------------------- */

/* As in f32: x + x P(x^2) below 0.92, P minimax (2^-59 of erf); 1 - e^Q(|x|) above, Q minimax of log erfc (2^-55 of erf). */
LV vmath_erf_f64(LBuilder *b, LV x) {
    static const double p[] = {-0x1.ca6b47fd73e9dp-31, 0x1.e0775cf124128p-27,  -0x1.5d4275c2c3446p-23, 0x1.b9aebd6b9a544p-20,
                               -0x1.f4cea33e0591fp-17, 0x1.f9a2fc8bf368ap-14,  -0x1.c02db2c0d362ap-11, 0x1.565bcd087198dp-8,
                               -0x1.b82ce31266e5ep-6,  0x1.ce2f21a0425afp-4,   -0x1.812746b0379e0p-2,  0x1.06eba8214db69p-3};
    static const double q[] = {-0x1.d996e971df223p-38, 0x1.2cd67494c5554p-32,  -0x1.62d47792f06a6p-28, 0x1.01309b6f2c1a2p-24,
                               -0x1.fdedf06388c85p-22, 0x1.69f9a14670102p-19,  -0x1.71a313dd2d8dfp-17, 0x1.fe88a35bcde1fp-16,
                               -0x1.4bf625309121bp-15, -0x1.94803254517c7p-14, 0x1.74223be69c9d6p-11,  -0x1.e28c19e461f65p-10,
                               0x1.6330404d5c399p-12,  0x1.37fd38d2f0877p-6,   -0x1.a4c961fb497ffp-4,  -0x1.45f4d307db04bp-1,
                               -0x1.20dd4641b4471p+0,  -0x1.1a14c06e0aa27p-22};
    LV s = series(b, mul(b, x, x), p, sizeof p / sizeof *p);
    LV small = fma_(b, x, s, x);
    LV ax = abs_(b, x);
    LV e = vmath_exp_f64(b, series(b, at_most(b, ax, 5.95), q, sizeof q / sizeof *q));
    LV big = sub(b, number(b, 1), e);
    LV minus = lt(b, x, number(b, 0));
    big = sel(b, minus, neg(b, big), big);
    return sel(b, lt(b, ax, number(b, 0.92)), small, big);
}

/* ---- sin, cos ----------------------------------------------------------------------------------------------------------- */

/* 2/pi from the chunk on that matters for a double with the exponent of x, eight chunks of 26 bits, and x times as much less: the first
   chunk's product with it is below 2^80 and, where chunks are left out, that of the one before a multiple of 4. */
enum { CHUNK = 26, CHUNKS = 8, CHUNKS_ALL = CHUNKS + 38 };
static LV choose_chunks(LBuilder *b, LV x, LV c[CHUNKS]) {
    static const uint32_t two_over_pi[CHUNKS_ALL] = {
        0x28be60d, 0x2e4e441, 0x14a7f09, 0x357d1f5, 0xd37703,  0x1b62959, 0x24f10e4, 0x41fe51,  0x18eaf7a, 0x3bc561b, 0x1c91b8e, 0x2424dd2,
        0x3801924, 0x2eea09d, 0x64873f,  0x21deb1c, 0x2c4a69c, 0x3ee8823, 0x17d4bae, 0x34484e9, 0x271c09a, 0x345f7e4, 0x4e6475,  0x2398353,
        0xe7d272,  0x45f8bb,  0x37e4a0e, 0x31ff897, 0x3ff7816, 0x180fef2, 0x3c462d6, 0x20a6d1f, 0x1b4d9fb, 0xf27cb0,  0x26dd3d1, 0x23f669e,
        0x17fa8b5, 0x3527bac, 0x1faf97c, 0x17b3d07, 0xe7de29,  0x1292ea6, 0x2fed7ec, 0x11f8d5d, 0x21580c,  0x3046fc7};
    LV at[CHUNKS_ALL], zero = number(b, 0);
    int have = CHUNKS_ALL;
    for (int j = 0; j < have; j++) at[j] = number(b, two_over_pi[j]);
    LV e = lb_op(b, LOP_VTOF, lb_op(b, LOP_VSHR, bits(b, abs_(b, x)), 0, 0, 20), 0, 0, 0);
    LV skip = add(b, e, number(b, -(1023 + 80 - CHUNK)));
    skip = mul(b, skip, number(b, 1.0 / CHUNK + 0x1p-20)); /* whole where it should be */
    skip = at_least(b, lb_op(b, LOP_FLOOR, skip, 0, 0, 0), 0);
    for (int by = 32; by; by /= 2) { /* the bits of `skip` */
        LV k = number(b, by);
        LV m = lb_op(b, LOP_LE, k, skip, 0, 0);
        skip = sel(b, m, sub(b, skip, k), skip);
        x = sel(b, m, mul(b, x, number(b, ldexp(1, -CHUNK * by))), x);
        int want = CHUNKS + by - 1;
        for (int j = 0; j < want; j++) at[j] = sel(b, m, j + by < have ? at[j + by] : zero, at[j]);
        have = want;
    }
    for (int j = 0; j < CHUNKS; j++) c[j] = mul(b, at[j], number(b, ldexp(1, -CHUNK)));
    return x;
}

/* s + x, s a sum of three */
static void gather(LBuilder *b, LV s[3], LV x) {
    Pair one = two_sum(b, s[0], x), two = two_sum(b, s[1], one.lo);
    s[2] = add(b, s[2], two.lo);
    s[1] = two.hi;
    s[0] = one.hi;
}

/* x = n pi/2 + r for large x, after Payne and Hanek 1983, a chunk a round; *t = n, as integers in the low bits of the high word. */
static Pair reduce_large(LBuilder *b, LV x, LV *t) {
    enum { UNIT = CHUNKS, SUM, CARRIES = SUM + 3 };
    LV init[CARRIES], in[CARRIES], next[CARRIES], out[CARRIES];
    LV u = choose_chunks(b, x, init);
    LV split = mul(b, u, number(b, 0x1p27 + 1)); /* into halves whose products with a chunk are exact, fused or not (Dekker 1971) */
    LV uh = sub(b, split, sub(b, split, u));
    LV ul = sub(b, u, uh);
    init[UNIT] = number(b, 1);
    for (int k = SUM; k < CARRIES; k++) init[k] = number(b, 0);
    LV lo = lb_iconst(b, 0);
    lb_for(b, lo, lb_iconst(b, CHUNKS), 1, false, CARRIES, init, in);
    LV c = mul(b, in[0], in[UNIT]);
    LV high = vmath_mod4(b, mul(b, uh, c)), low = vmath_mod4(b, mul(b, ul, c));
    for (int j = 0; j + 1 < CHUNKS; j++) next[j] = in[j + 1];
    next[CHUNKS - 1] = number(b, 0);
    next[UNIT] = mul(b, in[UNIT], number(b, ldexp(1, -CHUNK)));
    for (int k = SUM; k < CARRIES; k++) next[k] = in[k];
    gather(b, next + SUM, high);
    gather(b, next + SUM, low);
    lb_end_for(b, CARRIES, next, out);
    LV n = rounded(b, out[SUM], 1);
    *t = add(b, n, number(b, MAGIC));
    Pair f = two_sum(b, sub(b, out[SUM], n), out[SUM + 1]);
    f.lo = add(b, f.lo, out[SUM + 2]);
    f = two_sum(b, f.hi, f.lo);
    LV hi = number(b, 0x1.921fb54442d18p+0), rest = number(b, 0x1.1a62633145c07p-54); /* pi / 2 */
    Pair r = two_prod(b, f.hi, hi);
    r.lo = fma_(b, f.hi, rest, r.lo);
    r.lo = fma_(b, f.lo, hi, r.lo);
    return r;
}

/* x = n pi/2 + r, |r| little more than pi/4: pi/2 in three parts of 33 bits and one of 53 (Cody and Waite 1980); only where a lane
   is past 2^19 the other way is gone, once. */
static Pair reduce(LBuilder *b, LV x, LV *t) {
    LV n = rounded(b, x, 0x1.45f306dc9c883p-1);
    *t = add(b, n, number(b, MAGIC));
    LV r1 = fma_(b, n, number(b, -0x1.921fb544p+0), x); /* exact, fused or not, as the next two products are */
    Pair r2 = two_sum(b, r1, mul(b, n, number(b, -0x1.0b4611a6p-34)));
    Pair r3 = two_sum(b, r2.hi, mul(b, n, number(b, -0x1.3198a2ep-69)));
    LV low = add(b, r2.lo, r3.lo);
    low = fma_(b, n, number(b, -0x1.b839a252049c1p-104), low);
    Pair r = two_sum(b, r3.hi, low);
    LV limit = number(b, 0x1p19), one = number(b, 1), zero = number(b, 0);
    LV large = lt(b, limit, abs_(b, x));
    LV some = lb_op(b, LOP_FTOV, sel(b, large, one, zero), 0, 0, 0);
    LV init[3] = {r.hi, r.lo, *t}, in[3], next[3], out[3], there;
    LV lo = lb_iconst(b, 0);
    lb_for(b, lo, vmath_largest(b, some), 1, false, 3, init, in);
    Pair far = reduce_large(b, x, &there);
    next[0] = sel(b, large, far.hi, in[0]);
    next[1] = sel(b, large, far.lo, in[1]);
    next[2] = sel(b, large, there, in[2]);
    lb_end_for(b, 3, next, out);
    *t = out[2];
    return (Pair){out[0], out[1]};
}

/* fdlibm's polynomials: r + r^3 P(r^2) or 1 - r^2/2 + r^4 Q(r^2), and what r.lo adds. */
LV vmath_sin_f64(LBuilder *b, LV x, uint32_t turn) {
    static const double p[] = {1.58969099521155010221e-10,  -2.50507602534068634195e-08, 2.75573137070700676789e-06,
                               -1.98412698298579493134e-04, 8.33333333332248946124e-03,  -1.66666666666666324348e-01};
    static const double q[] = {-1.13596475577881948265e-11, 2.08757232129817482790e-09,  -2.75573143513906633035e-07,
                               2.48015872894767294178e-05,  -1.38888888888741095749e-03, 4.16666666666666019037e-02};
    LV t;
    Pair r = reduce(b, x, &t);
    LV z = mul(b, r.hi, r.hi);
    LV half = mul(b, z, number(b, 0.5));
    LV zr = mul(b, z, r.hi);
    LV low = fma_(b, neg(b, half), r.lo, r.lo);
    LV s = series(b, z, p, 6);
    s = add(b, r.hi, fma_(b, zr, s, low));
    LV one = number(b, 1);
    LV w = sub(b, one, half);
    LV lost = sub(b, sub(b, one, w), half);
    LV c = series(b, z, q, 6);
    c = fma_(b, mul(b, z, z), c, lost);
    c = add(b, w, fma_(b, neg(b, r.hi), r.lo, c));
    LV k = vconst(b, turn);
    k = vop(b, LOP_VADD, bits(b, t), k);
    LV unit = vconst(b, 1), two = vconst(b, 2);
    LV odd = vop(b, LOP_VEQ, vop(b, LOP_VAND, k, unit), unit);
    LV minus = vop(b, LOP_VEQ, vop(b, LOP_VAND, k, two), two);
    LV y = sel(b, odd, c, s);
    y = sel(b, minus, neg(b, y), y);
    LV ax = abs_(b, x);
    if (!turn) y = sel(b, lt(b, ax, number(b, 0x1p-27)), x, y); /* and -0 */
    LV finite = lt(b, ax, number(b, INFINITY));
    return sel(b, finite, y, number(b, NAN));
}

/* ---- for powers --------------------------------------------------------------------------------------------------------- */

/* log x = e ln 2 + 2 atanh s, s = (m - 1) / (m + 1) as a pair, |s| <= 0.172, as in f32; what follows the cube is minimax (2^-65). */
Pair vmath_log_pair_f64(LBuilder *b, LV x) {
    static const double p[] = {0x1.b922596dba6dcp-4, 0x1.ac41df5bc07b3p-4, 0x1.e1f85df8d6b8ap-4, 0x1.1110de84f728bp-3, 0x1.3b13b1c0407ccp-3,
                               0x1.745d17450ca46p-3, 0x1.c71c71c71d035p-3, 0x1.2492492492491p-2, 0x1.999999999999ap-2};
    LV e;
    LV m = mantissa(b, x, &e);
    LV one = number(b, 1);
    LV f = sub(b, m, one);
    Pair u = two_sum(b, m, one);
    LV s = div_(b, f, u.hi);
    LV ms = neg(b, s);
    LV rest = fma_(b, ms, u.hi, f);
    rest = fma_(b, ms, u.lo, rest);
    LV low = div_(b, rest, u.hi);
    Pair z = two_prod(b, s, s), cube = two_prod(b, s, z.hi);
    cube.lo = fma_(b, s, z.lo, cube.lo);
    LV two_thirds = number(b, 0x1.5555555555555p-1);
    Pair c = fast_sum(b, two_thirds, mul(b, z.hi, series(b, z.hi, p, sizeof p / sizeof *p)));
    c.lo = add(b, c.lo, number(b, 0x1.5555555555555p-55)); /* what it lacks */
    Pair tail = two_prod(b, cube.hi, c.hi);
    tail.lo = fma_(b, cube.hi, c.lo, tail.lo);
    tail.lo = fma_(b, cube.lo, c.hi, tail.lo);
    LV slope = fma_(b, z.hi, low, low); /* low / (1 - s^2), which it changes half the log by */
    slope = fma_(b, z.hi, slope, low);
    Pair r = fast_sum(b, add(b, s, s), tail.hi);
    r.lo = add(b, r.lo, fma_(b, number(b, 2), slope, tail.lo));
    Pair sum = fast_sum(b, mul(b, e, number(b, LN2_HI)), r.hi);
    LV lo = fma_(b, e, number(b, LN2_LO), r.lo);
    return fast_sum(b, sum.hi, add(b, sum.lo, lo));
}

/* exp, with the low parts of r and of 1 + r kept */
LV vmath_exp_pair_f64(LBuilder *b, Pair x0) {
    LV x = at_least(b, at_most(b, x0.hi, 710), -746);
    LV n = rounded(b, x, LOG2E);
    LV r0 = fma_(b, n, number(b, -LN2_HI), x);
    LV less = fma_(b, n, number(b, -LN2_LO), x0.lo);
    LV r = add(b, r0, less);
    LV rl = add(b, sub(b, r0, r), less);
    LV one = number(b, 1);
    LV q = exp_tail(b, r);
    LV c = fma_(b, mul(b, r, r), q, rl);
    LV p = add(b, r, one);
    LV l = sub(b, r, sub(b, p, one));
    return scaled(b, add(b, p, add(b, l, c)), n);
}
