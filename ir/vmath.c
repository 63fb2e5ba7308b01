/* vmath: exp, expm1, tanh, sigmoid, log, erf, sin, cos, pow as operations of the loop program: one definition for interpreter, C and LLVM.
   Formulas and measured errors of exp, tanh and sigmoid: docs/ir.md (tests/unit/test_vmath.c asserts the bounds). Here f32. */
#include "ir/vmath.h"

#include <math.h>

/* f32 by their bits */
enum {
    MAGIC = 0x4b400000,    /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    LOG2E = 0x3fb8aa3b,    /* log2(e) */
    LOG2E_2 = 0x4038aa3b,  /* 2 log2(e) */
    LN2 = 0x3f317218,      /* ln 2 */
    LN2_HALF = 0x3eb17218, /* ln(2) / 2 */
    ONE = 0x3f800000,
};
static const uint32_t NEG_LN2_HI = 0xbf318000; /* -0.693359375: few bits, so that n * HI is exact */
#define LN2_LO 2.12194440e-4

/* Horner with fma; coefficients by their bits, highest power first. */
static LV horner(LBuilder *b, LV x, const uint32_t *coef, int n) {
    LV s = lb_fbits(b, coef[0]);
    for (int i = 1; i < n; i++) {
        LV k = lb_fbits(b, coef[i]);
        s = fma_(b, x, s, k);
    }
    return s;
}

/* 2^n of t = n + MAGIC, |n| <= 126 */
static LV pow2(LBuilder *b, LV t) {
    LV w = bits(b, t);
    LV s = lb_op(b, LOP_VSHL, w, 0, 0, 23);
    LV one = vconst(b, ONE);
    return frombits(b, vop(b, LOP_VADD, s, one));
}

/* t = x * scale rounded to an integer, plus MAGIC; n = that integer */
static void round_scaled(LBuilder *b, LV x, LV scale, LV *t, LV *n) {
    LV magic = lb_fbits(b, MAGIC);
    *t = fma_(b, x, scale, magic);
    *n = sub(b, *t, magic);
}

/* (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2 */
static LV exp_tail(LBuilder *b, LV r) {
    static const uint32_t q[] = {0x3ab5268a, 0x3c091cc5, 0x3d2aac58, 0x3e2aaa49, 0x3efffffe};
    return horner(b, r, q, 5);
}

/* ---- exp ---------------------------------------------------------------------------------------------------------------- */

/* e^x = 2^n e^r. The factor 2^n is applied as 2^k * 2^(n-k), k = n/2 rounded, so that results down to the smallest denormal and
   up to the largest float are right, 0 and infinity beyond come by themselves, and one rounding is all there is; between -86.9
   and 86.9 the bits are those of math.md's one-factor form. Precise: the low part of r and of 1 + r are kept (0.69 ulp); `more`, if it is
   not 0, is the low part of x. */
static LV exp_f32(LBuilder *b, LV x0, LV more, bool precise) {
    LV x = at_least(b, at_most(b, x0, 89), -104);
    LV t, n;
    round_scaled(b, x, lb_fbits(b, LOG2E), &t, &n);
    LV hi = lb_fbits(b, NEG_LN2_HI);
    LV lo = lb_fconst(b, LN2_LO);
    LV r0 = fma_(b, n, hi, x);
    LV less = more ? fma_(b, n, lo, more) : 0;
    LV r = more ? add(b, r0, less) : fma_(b, n, lo, r0);
    LV one = lb_fbits(b, ONE);
    LV q = exp_tail(b, r);
    LV rr = mul(b, r, r);
    LV y;
    if (precise) {
        LV lost = sub(b, r0, r);
        LV rl = more ? add(b, lost, less) : fma_(b, n, lo, lost);
        LV c = fma_(b, rr, q, rl);
        LV p = add(b, r, one);
        LV p1 = sub(b, p, one);
        LV l = sub(b, r, p1);
        y = add(b, p, add(b, l, c));
    } else {
        LV p = fma_(b, rr, q, r);
        y = add(b, p, one);
    }
    LV tk, k;
    round_scaled(b, n, lb_fconst(b, 0.5), &tk, &k);
    LV rest = sub(b, n, k);
    LV tm = add(b, rest, lb_fbits(b, MAGIC));
    LV sk = pow2(b, tk);
    LV sm = pow2(b, tm);
    return mul(b, mul(b, sk, y), sm);
}

LV lb_exp(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_exp_f64(b, x);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_EXP, x, 0);
    return exp_f32(b, x, 0, t == MATH_PRECISE);
}

/* 2^n (e^r - 1) + (2^n - 1), by way of its half, which does not overflow; 2^n - 1 is exact wherever it counts. Both tiers. */
static LV expm1_f32(LBuilder *b, LV x0) {
    LV x = at_least(b, at_most(b, x0, 89), -18);
    LV t, n;
    round_scaled(b, x, lb_fbits(b, LOG2E), &t, &n);
    LV r = fma_(b, n, lb_fbits(b, NEG_LN2_HI), x);
    r = fma_(b, n, lb_fconst(b, LN2_LO), r);
    LV q = exp_tail(b, r);
    LV p = fma_(b, mul(b, r, r), q, r);
    LV half = pow2(b, sub(b, t, lb_fbits(b, ONE)));
    LV rest = sub(b, half, lb_fconst(b, 0.5));
    LV y = fma_(b, half, p, rest);
    y = add(b, y, y);
    LV tiny = lb_fconst(b, 0x1p-26);
    LV small = lt(b, abs_(b, x0), tiny); /* and -0 */
    return sel(b, small, x0, y);
}

LV lb_expm1(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_expm1_f64(b, x);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_EXPM1, x, 0);
    return expm1_f32(b, x);
}

/* ---- tanh --------------------------------------------------------------------------------------------------------------- */

/* tanh_r: a quotient of e^(2r) and w coth w, 2.50 ulp; keeps -0 */
static LV tanh_fast(LBuilder *b, LV x0) {
    static const uint32_t c1[] = {0xbcb545e6, 0x3eaaaa8a, ONE};
    LV x = clamp(b, x0, 9.02);
    LV t, n;
    round_scaled(b, x, lb_fbits(b, LOG2E_2), &t, &n);
    LV h = neg(b, lb_fbits(b, LN2_HALF));
    LV w = fma_(b, n, h, x);
    LV z = mul(b, w, w);
    LV c = horner(b, z, c1, 3); /* w coth w */
    LV s = pow2(b, t);
    LV one = lb_fbits(b, ONE);
    LV m = sub(b, one, s);
    LV p = add(b, s, one);
    LV pw = mul(b, p, w);
    LV num = fma_(b, neg(b, m), c, pw);
    LV mw = mul(b, m, w);
    LV den = fma_(b, p, c, neg(b, mw));
    return div_(b, num, den);
}

/* 1 / (1 + 2^n e^r) with the low part of the denominator: the core of the precise tanh and sigmoid. P = e^r - 1, s = 2^n. */
static LV one_over_one_plus(LBuilder *b, LV s, LV p, bool exact_h) {
    LV one = lb_fbits(b, ONE);
    LV h = add(b, s, one);
    LV d = fma_(b, s, p, h);
    LV dl = fma_(b, s, p, sub(b, h, d));
    if (!exact_h) { /* what s + 1 has lost */
        LV back = sub(b, h, s);
        dl = add(b, dl, sub(b, one, back));
    }
    LV y = div_(b, one, d);
    LV my = neg(b, y);
    LV e = fma_(b, my, d, one);
    e = fma_(b, my, dl, e);
    return fma_(b, y, e, y);
}

/* tanh_bc: an odd polynomial below 0.8, 1 - 2 / (1 + e^2|x|) above; 0.88 ulp; keeps -0 */
static LV tanh_precise(LBuilder *b, LV x) {
    static const uint32_t kc[] = {0x3ad00460, 0xbbf2f29f, 0x3cae8b07, 0xbd5c9597, 0x3e0885ac, 0xbeaaaa9f};
    LV z = mul(b, x, x);
    LV k = horner(b, z, kc, 6);
    LV zx = mul(b, z, x);
    LV small = fma_(b, zx, k, x);
    LV ax = abs_(b, x);
    LV a = at_most(b, ax, 9.02);
    LV t, n;
    round_scaled(b, a, lb_fbits(b, LOG2E_2), &t, &n);
    LV ln2 = neg(b, lb_fbits(b, LN2));
    LV r = fma_(b, n, ln2, add(b, a, a));
    LV q = exp_tail(b, r);
    LV rr = mul(b, r, r);
    LV p = fma_(b, rr, q, r);
    LV s = pow2(b, t);
    LV inv = one_over_one_plus(b, s, p, true);
    LV two = lb_fconst(b, -2);
    LV big = fma_(b, two, inv, lb_fbits(b, ONE));
    LV m = lt(b, ax, lb_fconst(b, 0.8));
    LV y = bits(b, sel(b, m, small, big));
    LV sign = vconst(b, 0x80000000);
    LV sx = vop(b, LOP_VAND, bits(b, x), sign);
    return frombits(b, vop(b, LOP_VOR, y, sx));
}

LV lb_tanh(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_tanh_f64(b, x);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_TANH, x, 0);
    return t == MATH_PRECISE ? tanh_precise(b, x) : tanh_fast(b, x);
}

/* ---- sigmoid ------------------------------------------------------------------------------------------------------------ */

/* sig_r (2.44 ulp) and sig_c (0.96 ulp): x clamped to 87, -x = n ln 2 + r */
static LV sigmoid_f32(LBuilder *b, LV x0, bool precise) {
    static const uint32_t c2[] = {0xbb3545f2, 0x3e2aaa8a, 0x40000000};
    LV x = clamp(b, x0, 87);
    LV t, n;
    round_scaled(b, x, neg(b, lb_fbits(b, LOG2E)), &t, &n);
    LV hi = lb_fbits(b, NEG_LN2_HI);
    LV lo = lb_fconst(b, LN2_LO);
    LV r = fma_(b, n, hi, neg(b, x));
    r = fma_(b, n, lo, r);
    LV z = mul(b, r, r);
    if (precise) {
        LV q = exp_tail(b, r);
        LV p = fma_(b, z, q, r);
        LV s = pow2(b, t);
        return one_over_one_plus(b, s, p, false);
    }
    LV c = horner(b, z, c2, 3); /* r coth(r/2) */
    LV s = pow2(b, t);
    LV u = add(b, c, r);
    LV v = sub(b, c, r);
    return div_(b, v, fma_(b, s, u, v));
}

LV lb_sigmoid(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_sigmoid_f64(b, x);
    if (!b->p->f64 && t != MATH_SLEEF) return sigmoid_f32(b, x, t == MATH_PRECISE);
    LV e = lb_libm(b, LFN_EXP, neg(b, abs_(b, x)), 0); /* at most 1: nothing overflows */
    LV one = lb_fconst(b, 1);
    LV zero = lb_fconst(b, 0);
    LV up = lb_op(b, LOP_LE, zero, x, 0, 0);
    LV num = sel(b, up, one, e);
    return div_(b, num, add(b, one, e));
}

/* ---- log ---------------------------------------------------------------------------------------------------------------- */

/* log x = e ln 2 + log1p(m - 1), m in [2/3, 4/3): log1p(f) = f - f^2/2 + f^3 P(f), P minimax (relative 4.6e-9).
   Max error against double: 0.941 ulp over all floats in [1/2, 2], as much elsewhere (every 13th float,
   denormals too). Both tiers. */
static LV log_f32(LBuilder *b, LV x) {
    static const uint32_t even[] = {0xbdf988ad, 0xbe2acee5, 0xbe7fff78}; /* f^7 f^5 f^1 of P, in f^2 from f^3 */
    static const uint32_t odd[] = {0x3e0f334b, 0x3e0f6b8f, 0x3e4ce814};
    LV tiny = lt(b, x, lb_fbits(b, 0x00800000));
    LV up = mul(b, x, lb_fbits(b, 0x4b000000)); /* denormals times 2^23 */
    LV a = sel(b, tiny, up, x);
    LV zero = lb_fconst(b, 0);
    LV e0 = sel(b, tiny, lb_fconst(b, -23), zero);
    LV w = bits(b, a);
    LV d = vop(b, LOP_VSUB, w, vconst(b, 0x3f2aaaaa));
    LV ex = vop(b, LOP_VAND, d, vconst(b, 0xff800000));
    LV m = frombits(b, vop(b, LOP_VSUB, w, ex));
    LV exf = lb_op(b, LOP_VTOF, ex, 0, 0, 0);
    LV e = fma_(b, exf, lb_fbits(b, 0x34000000), e0); /* 2^-23 */
    LV one = lb_fbits(b, ONE);
    LV f = sub(b, m, one);
    LV s = mul(b, f, f);
    LV top = lb_fbits(b, 0xbe0402a6);
    LV r = fma_(b, top, s, lb_fbits(b, even[0]));
    LV t = lb_fbits(b, odd[0]);
    t = fma_(b, t, s, lb_fbits(b, odd[1]));
    r = fma_(b, r, s, lb_fbits(b, even[1]));
    t = fma_(b, t, s, lb_fbits(b, odd[2]));
    r = fma_(b, r, s, lb_fbits(b, even[2]));
    r = fma_(b, t, f, r);
    r = fma_(b, r, f, lb_fbits(b, 0x3eaaaa83));
    r = fma_(b, r, f, lb_fconst(b, -0.5));
    r = fma_(b, r, s, f);
    r = fma_(b, e, lb_fbits(b, LN2), r);
    LV inf = lb_fbits(b, 0x7f800000);
    r = sel(b, lt(b, x, inf), r, x); /* infinity, NaN */
    LV minus = lt(b, x, zero);
    r = sel(b, minus, lb_fbits(b, 0x7fc00000), r);
    LV is0 = lb_op(b, LOP_EQ, x, zero, 0, 0);
    return sel(b, is0, lb_fbits(b, 0xff800000), r);
}

LV lb_log(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_log_f64(b, x);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_LOG, x, 0);
    return log_f32(b, x);
}

/* log(u) + c / u with u = 1 + x rounded and c what rounding took away. Both tiers. */
LV lb_log1p(LBuilder *b, MathTier t, LV x) {
    if ((b->p->f64 && t != MATH_FAST) || t == MATH_SLEEF) return lb_libm(b, LFN_LOG1P, x, 0);
    LV one = lb_fconst(b, 1);
    LV u = add(b, one, x);
    LV big = lt(b, one, abs_(b, x));
    LV more = sel(b, big, x, one);
    LV less = sel(b, big, one, x);
    LV c = sub(b, less, sub(b, u, more));
    LV q = div_(b, c, u);
    LV l = lb_log(b, t, u);
    LV inf = lb_fconst(b, INFINITY);
    LV ok = lt(b, abs_(b, q), inf); /* not at -1 and infinity, where log u is all */
    LV r = sel(b, ok, add(b, l, q), l);
    LV none = lb_op(b, LOP_EQ, u, one, 0, 0);
    return sel(b, none, x, r); /* small, and -0 */
}

/* ---- erf ---------------------------------------------------------------------------------------------------------------- */

/* x + x P(x^2) below 0.92, P minimax (1.7e-8 of erf); 1 - e^Q(|x|) above, Q minimax of log erfc (5e-11 of erf). Both tiers. */
static LV erf_f32(LBuilder *b, LV x) {
    static const uint32_t p[] = {0xba1cadc4, 0x3ba38b3b, 0xbcdb436e, 0x3de70d23, 0xbec09373, 0x3e0375d3};
    static const uint32_t q[] = {0xb7b0f5c1, 0x39e3c8e9, 0xbb88ad81, 0x3ccdc750, 0xbdddc1f9, 0xbf222305, 0xbf9093f2, 0x39372c32};
    LV z = mul(b, x, x);
    LV s = horner(b, z, p, 6);
    LV small = fma_(b, x, s, x);
    LV ax = abs_(b, x);
    LV a = at_most(b, ax, 3.95);
    LV e = exp_f32(b, horner(b, a, q, 8), 0, false);
    LV big = bits(b, sub(b, lb_fbits(b, ONE), e));
    LV sign = vconst(b, 0x80000000);
    LV sx = vop(b, LOP_VAND, bits(b, x), sign);
    big = frombits(b, vop(b, LOP_VOR, big, sx));
    return sel(b, lt(b, ax, lb_fconst(b, 0.92)), small, big);
}

LV lb_erf(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_erf_f64(b, x);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_ERF, x, 0);
    return erf_f32(b, x);
}

/* ---- sin, cos ----------------------------------------------------------------------------------------------------------- */

LV vmath_largest(LBuilder *b, LV n) {
    static const char name[] = "rounds";
    LProgram *p = b->p;
    uint32_t k = 0;
    LV m = lb_op(b, LOP_HMAX, lb_op(b, LOP_VTOF, n, 0, 0, 0), 0, 0, 0);
    LV v = lb_op(b, LOP_FTOV, m, 0, 0, 0);
    while (k < p->buf.n && !(p->buf.at[k].role == LB_LOCAL && p->buf.at[k].index == b->fn && p->buf.at[k].name == intern(p->ctx, name))) k++;
    if (k == p->buf.n) k = lprogram_add_buf(p, name, LB_LOCAL, LE_I32, b->fn, (LExtent){.n = 1, .term = {{1, 0}}});
    lb_store(b, LOP_STV1, k, lidx(0), v, 0);
    return lb_load(b, LOP_LDI, k, lidx(0), 0);
}

/* x y, exact without a fused operation too (Dekker 1971): halves of 12 bits */
static LV top(LBuilder *b, LV x) {
    LV w = bits(b, x);
    return frombits(b, vop(b, LOP_VAND, w, vconst(b, 0xfffff000)));
}

static Pair exact_prod(LBuilder *b, LV x, LV y) {
    LV xh = top(b, x), yh = top(b, y);
    LV xl = sub(b, x, xh), yl = sub(b, y, yh);
    LV p = mul(b, x, y);
    LV e = sub(b, mul(b, xh, yh), p);
    e = add(b, e, mul(b, xh, yl));
    e = add(b, e, mul(b, xl, yh));
    return (Pair){p, add(b, e, mul(b, xl, yl))};
}

/* From 2^25 on a float, from 2^54 on a double is such a multiple. */
LV vmath_mod4(LBuilder *b, LV x) {
    LV half = lb_fconst(b, 0.5);
    LV q = fma_(b, x, lb_fconst(b, 0.25), half);
    q = lb_op(b, LOP_FLOOR, q, 0, 0, 0);
    LV r = fma_(b, q, lb_fconst(b, -4), x);
    LV ax = abs_(b, x);
    LV below = lt(b, ax, lb_fconst(b, b->p->f64 ? 0x1p54 : 0x1p25));
    return sel(b, below, r, lb_fconst(b, 0));
}

/* x = n pi/2 + r for large x, after Payne and Hanek 1983: of 2/pi in chunks of 24 bits only the five matter whose product with x is
   neither a multiple of 4 nor too small. *t = n, as integers in the low bits. */
static Pair reduce_large(LBuilder *b, LV x, LV *t) {
    static const uint32_t chunk[] = {0xa2f983, 0x6e4e44, 0x1529fc, 0x2757d1, 0xf534dd, 0xc0db62, 0x95993c, 0x439041, 0xfe5163};
    static const double from[] = {0x1p49, 0x1p73, 0x1p97, 0x1p121}; /* of |x|: here the next chunk is the first */
    LV c[5], scale = lb_fconst(b, 1), beyond[4];
    for (int j = 0; j < 5; j++) c[j] = lb_fconst(b, ldexp(chunk[j], -24 * (j + 1)));
    for (int k = 0; k < 4; k++) {
        LV ax = abs_(b, x);
        beyond[k] = lb_op(b, LOP_LE, lb_fconst(b, from[k]), ax, 0, 0);
        scale = sel(b, beyond[k], lb_fconst(b, ldexp(1, -24 * (k + 1))), scale);
        for (int j = 0; j < 5; j++) c[j] = sel(b, beyond[k], lb_fconst(b, ldexp(chunk[j + k + 1], -24 * (j + 1))), c[j]);
    }
    LV u = mul(b, x, scale);
    Pair p[4];
    for (int j = 0; j < 4; j++) p[j] = exact_prod(b, u, c[j]);
    LV last = mul(b, u, c[4]);
    LV whole = vmath_mod4(b, p[0].hi);
    Pair s0 = two_sum(b, whole, vmath_mod4(b, p[0].lo));
    whole = vmath_mod4(b, s0.hi);
    Pair s1 = two_sum(b, whole, vmath_mod4(b, p[1].hi));
    Pair s2 = two_sum(b, vmath_mod4(b, s1.hi), p[1].lo);
    Pair s3 = two_sum(b, s2.hi, p[2].hi);
    LV low[] = {s1.lo, s2.lo, s3.lo, p[2].lo, p[3].hi, p[3].lo, last};
    Pair sum = {s0.lo, lb_fconst(b, 0)};
    for (int k = 0; k < 7; k++) {
        Pair next = two_sum(b, sum.hi, low[k]);
        sum = (Pair){next.hi, add(b, sum.lo, next.lo)};
    }
    LV n;
    round_scaled(b, s3.hi, lb_fconst(b, 1), t, &n);
    Pair f = two_sum(b, sub(b, s3.hi, n), sum.hi);
    f.lo = add(b, f.lo, sum.lo);
    LV hi = lb_fbits(b, 0x3fc90fdb), lo = lb_fbits(b, 0xb33bbd2e); /* pi / 2 */
    Pair r = two_prod(b, f.hi, hi);
    r.lo = fma_(b, f.hi, lo, r.lo);
    r.lo = fma_(b, f.lo, hi, r.lo);
    return r;
}

/* x = n pi/2 + r, |r| little more than pi/4: pi/2 in four parts of 8 bits and two of 24 (Cody and Waite 1980); only where a lane
   is past 2^16 the other way is gone, once. */
static Pair reduce(LBuilder *b, LV x, LV *t) {
    LV n;
    round_scaled(b, x, lb_fbits(b, 0x3f22f983), t, &n);
    LV r1 = fma_(b, n, lb_fconst(b, -0xc9p-7), x); /* exact, fused or not, as the next ones are, and the last product */
    r1 = fma_(b, n, lb_fconst(b, -0x0fp-15), r1);
    r1 = fma_(b, n, lb_fconst(b, -0xdbp-23), r1);
    Pair s = two_sum(b, r1, mul(b, n, lb_fbits(b, 0x333b0000)));
    LV low = fma_(b, n, lb_fbits(b, 0x2f3d2e7c), s.lo);
    low = fma_(b, n, lb_fbits(b, 0xa2d3131a), low);
    Pair r = fast_sum(b, s.hi, low);
    LV ax = abs_(b, x);
    LV large = lt(b, lb_fconst(b, 65536), ax);
    LV one = lb_fconst(b, 1);
    LV some = lb_op(b, LOP_FTOV, sel(b, large, one, lb_fconst(b, 0)), 0, 0, 0);
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

/* sin(x + turn pi/2): r + r^3 P(r^2) or 1 - r^2/2 + r^4 Q(r^2), minimax (3.7e-9, 1e-10), and what r.lo adds. Both tiers. */
static LV sin_f32(LBuilder *b, LV x, uint32_t turn) {
    static const uint32_t p[] = {0xb94ca3e5, 0x3c0883a6, 0xbe2aaaa3}, q[] = {0x37ccfe13, 0xbab6063b, 0x3d2aaaa5};
    LV t;
    Pair r = reduce(b, x, &t);
    LV z = mul(b, r.hi, r.hi);
    LV zr = mul(b, z, r.hi);
    LV s = horner(b, z, p, 3);
    s = add(b, r.hi, fma_(b, zr, s, r.lo));
    LV one = lb_fconst(b, 1);
    LV half = mul(b, z, lb_fconst(b, 0.5));
    LV w = sub(b, one, half);
    LV lost = sub(b, sub(b, one, w), half);
    LV c = horner(b, z, q, 3);
    c = fma_(b, mul(b, z, z), c, lost);
    c = add(b, w, fma_(b, neg(b, r.hi), r.lo, c));
    LV k = bits(b, t);
    k = vop(b, LOP_VADD, k, vconst(b, turn));
    LV unit = vconst(b, 1);
    LV odd = vop(b, LOP_VEQ, vop(b, LOP_VAND, k, unit), unit);
    LV minus = lb_op(b, LOP_VSHL, vop(b, LOP_VAND, k, vconst(b, 2)), 0, 0, 30);
    LV y = frombits(b, vop(b, LOP_VXOR, bits(b, sel(b, odd, c, s)), minus));
    LV ax = abs_(b, x);
    if (!turn) y = sel(b, lt(b, ax, lb_fconst(b, 0x1p-13)), x, y); /* and -0 */
    LV finite = lt(b, ax, lb_fconst(b, INFINITY));
    return sel(b, finite, y, lb_fconst(b, NAN));
}

LV lb_sin(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_sin_f64(b, x, 0);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_SIN, x, 0);
    return sin_f32(b, x, 0);
}

LV lb_cos(LBuilder *b, MathTier t, LV x) {
    if (b->p->f64 && t == MATH_FAST) return vmath_sin_f64(b, x, 1);
    if (b->p->f64 || t == MATH_SLEEF) return lb_libm(b, LFN_COS, x, 0);
    return sin_f32(b, x, 1);
}

/* ---- pow ---------------------------------------------------------------------------------------------------------------- */

/* x^n as a pair hi + lo of floats: after 24 squarings plain floats would have lost every bit. At most 1 ulp; 3 where x^|y| is below
   2^-100, so that the low parts become denormals; a negative power whose inverse overflows is 0. */

static Pair pair_mul(LBuilder *b, Pair x, Pair y) {
    LV p = mul(b, x.hi, y.hi);
    LV e = fma_(b, x.hi, y.hi, neg(b, p));
    e = fma_(b, x.hi, y.lo, e);
    e = fma_(b, x.lo, y.hi, e);
    LV inf = lb_fconst(b, INFINITY);
    LV zero = lb_fconst(b, 0);
    e = sel(b, lt(b, abs_(b, e), inf), e, zero); /* after an overflow p alone counts */
    LV s = add(b, p, e);
    LV l = add(b, sub(b, p, s), e);
    Pair r;
    r.hi = sel(b, lt(b, zero, abs_(b, p)), s, p); /* -0 */
    r.lo = sel(b, lt(b, abs_(b, l), inf), l, zero);
    return r;
}

/* 1 / (hi + lo), corrected once where that is meaningful */
static LV pair_inverse(LBuilder *b, Pair x) {
    LV one = lb_fconst(b, 1);
    LV q = div_(b, one, x.hi);
    LV mq = neg(b, q);
    LV r = fma_(b, mq, x.hi, one);
    r = fma_(b, mq, x.lo, r);
    LV better = fma_(b, q, r, q);
    LV ok = lt(b, abs_(b, r), one);
    return sel(b, ok, better, q);
}

/* x^n, n = the integers |y| in the lanes of `n`, by its 24 bits; a number has no more bits than it counts, so most often, where no
   exponent is whole, there is no round at all. */
static Pair pow_loop(LBuilder *b, LV x, LV n) {
    LV zero = lb_fconst(b, 0);
    LV init[5] = {lb_fconst(b, 1), zero, x, zero, n}, in[5], next[5], out[5];
    LV lo = lb_iconst(b, 0);
    LV hi = vmath_largest(b, n);
    hi = lb_op(b, LOP_IMIN, hi, lb_iconst(b, 24), 0, 0);
    lb_for(b, lo, hi, 1, false, 5, init, in);
    LV one = vconst(b, 1);
    LV odd = vop(b, LOP_VEQ, vop(b, LOP_VAND, in[4], one), one);
    Pair acc = {in[0], in[1]}, base = {in[2], in[3]};
    Pair prod = pair_mul(b, acc, base);
    Pair square = pair_mul(b, base, base);
    next[0] = sel(b, odd, prod.hi, acc.hi);
    next[1] = sel(b, odd, prod.lo, acc.lo);
    next[2] = square.hi;
    next[3] = square.lo;
    next[4] = lb_op(b, LOP_VSHR, in[4], 0, 0, 1);
    lb_end_for(b, 5, next, out);
    return (Pair){out[0], out[1]};
}

/* The same steps for a constant: what the loop would throw away is left out, so the bits agree with it. */
static Pair pow_const(LBuilder *b, LV x, uint32_t n) {
    LV zero = lb_fconst(b, 0);
    Pair acc = {lb_fconst(b, 1), zero}, base = {x, zero};
    for (; n; n >>= 1) {
        if (n & 1) acc = pair_mul(b, acc, base);
        if (n > 1) base = pair_mul(b, base, base);
    }
    return acc;
}

/* log a of a positive a: e ln 2 + 2 atanh s, s = (m - 1) / (m + 1) as a pair, |s| <= 1/5; the cube, the largest of what follows, is a
   pair too. */
static Pair log_pair(LBuilder *b, LV a0) {
    static const uint32_t p[] = {0x3e4e19ce, 0x3e62a8d3, 0x3e924b76, 0x3eccccc8}; /* (2 atanh s - 2 s) / s^3 - 2/3 in s^2, minimax */
    LV tiny = lt(b, a0, lb_fbits(b, 0x00800000));
    LV a = sel(b, tiny, mul(b, a0, lb_fbits(b, 0x4b000000)), a0);
    LV zero = lb_fconst(b, 0);
    LV e0 = sel(b, tiny, lb_fconst(b, -23), zero);
    LV w = bits(b, a);
    LV ex = vop(b, LOP_VSUB, w, vconst(b, 0x3f2aaaaa));
    ex = vop(b, LOP_VAND, ex, vconst(b, 0xff800000));
    LV m = frombits(b, vop(b, LOP_VSUB, w, ex));
    LV e = lb_op(b, LOP_VTOF, ex, 0, 0, 0);
    e = fma_(b, e, lb_fbits(b, 0x34000000), e0); /* 2^-23 */
    LV one = lb_fbits(b, ONE);
    LV f = sub(b, m, one);
    Pair u = two_sum(b, m, one);
    LV s = div_(b, f, u.hi);
    LV ms = neg(b, s);
    LV rest = fma_(b, ms, u.hi, f);
    rest = fma_(b, ms, u.lo, rest);
    LV low = div_(b, rest, u.hi);
    Pair z = two_prod(b, s, s), cube = two_prod(b, s, z.hi);
    cube.lo = fma_(b, s, z.lo, cube.lo);
    LV two_thirds = lb_fbits(b, 0x3f2aaaab);
    Pair c = fast_sum(b, two_thirds, mul(b, z.hi, horner(b, z.hi, p, 4)));
    c.lo = add(b, c.lo, lb_fconst(b, -0x1.555556p-26)); /* what it has too much */
    Pair tail = two_prod(b, cube.hi, c.hi);
    tail.lo = fma_(b, cube.hi, c.lo, tail.lo);
    tail.lo = fma_(b, cube.lo, c.hi, tail.lo);
    LV slope = fma_(b, z.hi, low, low); /* low / (1 - s^2), which it changes half the log by */
    slope = fma_(b, z.hi, slope, low);
    Pair r = fast_sum(b, add(b, s, s), tail.hi);
    r.lo = add(b, r.lo, fma_(b, lb_fconst(b, 2), slope, tail.lo));
    LV ln2 = neg(b, lb_fbits(b, NEG_LN2_HI));
    Pair sum = fast_sum(b, mul(b, e, ln2), r.hi);
    LV lo = fma_(b, e, lb_fconst(b, -LN2_LO), r.lo);
    return fast_sum(b, sum.hi, add(b, sum.lo, lo));
}

/* -r where x is negative, -0 too, and y an odd number: from 2^24 on only a double is. */
static LV odd_sign(LBuilder *b, LV r, LV x, LV y) {
    LV whole = lb_op(b, LOP_EQ, lb_op(b, LOP_FLOOR, y, 0, 0, 0), y, 0, 0);
    LV half = mul(b, y, lb_fconst(b, 0.5));
    LV even = lb_op(b, LOP_EQ, lb_op(b, LOP_FLOOR, half, 0, 0, 0), half, 0, 0);
    LV none = vconst(b, 0);
    LV minus = vop(b, LOP_VLT, bits(b, x), none);
    LV odd = lb_op(b, LOP_MAND, whole, lb_op(b, LOP_MNOT, even, 0, 0, 0), 0, 0);
    LV both = lb_op(b, LOP_MAND, odd, minus, 0, 0);
    return sel(b, both, neg(b, r), r);
}

/* e^(y log |x|), and the cases of C's annex F for a y that is not an integer below 2^24. At most 0.8 ulp. */
static LV pow_real(LBuilder *b, MathTier t, LV x, LV y) {
    bool f64 = b->p->f64;
    if (f64 && t != MATH_FAST) return lb_libm(b, LFN_POW, x, y);
    LV inf = lb_fconst(b, INFINITY), zero = lb_fconst(b, 0), one = lb_fconst(b, 1);
    LV a = abs_(b, x);
    Pair l = f64 ? vmath_log_pair_f64(b, a) : log_pair(b, a);
    LV none = lb_op(b, LOP_EQ, a, zero, 0, 0);
    LV finite = lt(b, a, inf);
    l.hi = sel(b, finite, l.hi, a);
    l.hi = sel(b, none, neg(b, inf), l.hi);
    Pair p = two_prod(b, y, l.hi);
    LV low = fma_(b, y, l.lo, p.lo);
    LV ap = abs_(b, p.hi);
    low = sel(b, lt(b, ap, lb_fconst(b, f64 ? 745.2 : 103.9)), low, zero); /* past the ends p alone counts */
    LV r = f64 ? vmath_exp_pair_f64(b, (Pair){p.hi, low}) : exp_f32(b, p.hi, low, true);
    LV is1 = lb_op(b, LOP_EQ, a, one, 0, 0);
    LV is0 = lb_op(b, LOP_EQ, y, zero, 0, 0);
    LV minus = lb_op(b, LOP_MAND, lt(b, x, zero), finite, 0, 0);
    LV part = lb_op(b, LOP_MNOT, lb_op(b, LOP_EQ, lb_op(b, LOP_FLOOR, y, 0, 0, 0), y, 0, 0), 0, 0, 0);
    LV is_y = lb_op(b, LOP_EQ, y, y, 0, 0);
    LV plus1 = lb_op(b, LOP_EQ, x, one, 0, 0);
    LV unit = lb_op(b, LOP_MAND, is1, is_y, 0, 0);
    unit = lb_op(b, LOP_MOR, unit, lb_op(b, LOP_MOR, plus1, is0, 0, 0), 0, 0);
    r = sel(b, unit, one, r);
    if (f64) r = odd_sign(b, r, x, y);
    LV none_real = lb_op(b, LOP_MAND, minus, part, 0, 0);
    return sel(b, none_real, lb_fconst(b, NAN), r);
}

LV lb_pow(LBuilder *b, MathTier t, LV x, LV y) {
    double k;
    if (t == MATH_SLEEF) return lb_libm(b, LFN_POW, x, y);
    if (lb_known_float(b, y, &k)) {
        if (!(k > -16777216.0 && k < 16777216.0) || (double)(int32_t)k != k) return pow_real(b, t, x, y);
        Pair p = pow_const(b, x, (uint32_t)(k < 0 ? -k : k));
        return k < 0 ? pair_inverse(b, p) : p.hi;
    }
    LV zero = lb_fconst(b, 0);
    LV ay = abs_(b, y);
    LV whole = lb_op(b, LOP_EQ, lb_op(b, LOP_FLOOR, y, 0, 0, 0), y, 0, 0);
    LV isint = lb_op(b, LOP_MAND, whole, lt(b, ay, lb_fconst(b, 16777216)), 0, 0);
    LV n = lb_op(b, LOP_FTOV, sel(b, isint, ay, zero), 0, 0, 0);
    Pair p = pow_loop(b, x, n);
    LV inv = pair_inverse(b, p);
    LV byint = sel(b, lt(b, y, zero), inv, p.hi);
    LV other = pow_real(b, t, x, y);
    return sel(b, isint, byint, other);
}
