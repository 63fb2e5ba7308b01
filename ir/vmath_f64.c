/* vmath_f64: exp, expm1, tanh, sigmoid and log in double precision as operations of the loop program, tier fast: one definition for
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

/* e^r - 1 for |r| <= ln(2) / 2: the series up to r^13 / 13! */
static LV exp_less_1(LBuilder *b, LV r) {
    static const double q[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                               1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
    LV s = series(b, r, q, 12);
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

/* log x = e ln 2 + log(1 + f), 1 + f from sqrt(1/2) to sqrt(2), as of fdlibm: with s = f / (2 + f) it is f - f^2/2 + s (f^2/2 + R(s^2)) */
LV vmath_log_f64(LBuilder *b, LV x) {
    static const double r[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
                               2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01};
    LV tiny = lt(b, x, number(b, 0x1p-1022));
    LV up = mul(b, x, number(b, 0x1p54));
    LV a = sel(b, tiny, up, x);
    LV zero = number(b, 0);
    LV e0 = sel(b, tiny, number(b, -54), zero);
    LV w = bits(b, a);
    LV d = vop(b, LOP_VSUB, w, vconst(b, 0x3fe6a09e)); /* the high word of sqrt(1/2) */
    LV ex = vop(b, LOP_VAND, d, vconst(b, 0xfff00000));
    LV e = lb_op(b, LOP_VTOF, ex, 0, 0, 0);
    e = mul(b, e, number(b, 0x1p-20));
    LV one = number(b, 1);
    LV f = sub(b, scaled(b, a, neg(b, e)), one);
    e = add(b, e, e0);
    LV s = div_(b, f, add(b, f, number(b, 2)));
    LV z = mul(b, s, s);
    LV big = mul(b, z, series(b, z, r, 7));
    LV half = mul(b, mul(b, f, number(b, 0.5)), f);
    LV low = mul(b, e, number(b, LN2_LO));
    low = fma_(b, s, add(b, half, big), low);
    LV rest = sub(b, sub(b, half, low), f);
    LV y = fma_(b, e, number(b, LN2_HI), neg(b, rest));
    LV inf = number(b, INFINITY);
    y = sel(b, lt(b, x, inf), y, x); /* infinity, NaN */
    LV minus = lt(b, x, zero);
    y = sel(b, minus, number(b, NAN), y);
    LV is0 = lb_op(b, LOP_EQ, x, zero, 0, 0);
    return sel(b, is0, number(b, -INFINITY), y);
}
