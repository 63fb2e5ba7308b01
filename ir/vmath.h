/* vmath: private to the mathematics that is written out: ir/vmath.c has f32, ir/vmath_f64.c f64. No call has two arguments that build
   something: that would leave the order of instructions to the host's compiler. */
#ifndef RONDO_VMATH_H
#define RONDO_VMATH_H

#include "ir/loop.h"

static inline LV add(LBuilder *b, LV x, LV y) { return lb_op(b, LOP_ADD, x, y, 0, 0); }
static inline LV sub(LBuilder *b, LV x, LV y) { return lb_op(b, LOP_SUB, x, y, 0, 0); }
static inline LV mul(LBuilder *b, LV x, LV y) { return lb_op(b, LOP_MUL, x, y, 0, 0); }
static inline LV div_(LBuilder *b, LV x, LV y) { return lb_op(b, LOP_DIV, x, y, 0, 0); }
static inline LV fma_(LBuilder *b, LV x, LV y, LV z) { return lb_op(b, LOP_FMA, x, y, z, 0); }
static inline LV neg(LBuilder *b, LV x) { return lb_op(b, LOP_NEG, x, 0, 0, 0); }
static inline LV abs_(LBuilder *b, LV x) { return lb_op(b, LOP_ABS, x, 0, 0, 0); }
static inline LV lt(LBuilder *b, LV x, LV y) { return lb_op(b, LOP_LT, x, y, 0, 0); }
static inline LV sel(LBuilder *b, LV m, LV x, LV y) { return lb_op(b, LOP_SEL, m, x, y, 0); }
static inline LV bits(LBuilder *b, LV x) { return lb_op(b, LOP_BITS, x, 0, 0, 0); }
static inline LV frombits(LBuilder *b, LV x) { return lb_op(b, LOP_FROMBITS, x, 0, 0, 0); }
static inline LV vconst(LBuilder *b, uint32_t w) { return lb_op(b, LOP_VCONST, 0, 0, 0, (int32_t)w); }
static inline LV vop(LBuilder *b, LOp op, LV x, LV y) { return lb_op(b, op, x, y, 0, 0); }

/* c < x ? c : x and c > x ? c : x: a NaN in x passes. */
static inline LV at_most(LBuilder *b, LV x, double c) { return lb_op(b, LOP_MIN, lb_fconst(b, c), x, 0, 0); }
static inline LV at_least(LBuilder *b, LV x, double c) { return lb_op(b, LOP_MAX, lb_fconst(b, c), x, 0, 0); }
static inline LV clamp(LBuilder *b, LV x, double c) { return at_least(b, at_most(b, x, c), -c); }

/* A number as hi + lo: twice the bits. */
typedef struct {
    LV hi, lo;
} Pair;

/* x + y, exact (Knuth 1969) */
static inline Pair two_sum(LBuilder *b, LV x, LV y) {
    LV s = add(b, x, y);
    LV v = sub(b, s, x);
    LV rest = sub(b, s, v);
    LV dx = sub(b, x, rest);
    LV dy = sub(b, y, v);
    return (Pair){s, add(b, dx, dy)};
}

/* The same where |x| >= |y| (Dekker 1971). */
static inline Pair fast_sum(LBuilder *b, LV x, LV y) {
    LV s = add(b, x, y);
    return (Pair){s, sub(b, y, sub(b, s, x))};
}

/* x y, exact */
static inline Pair two_prod(LBuilder *b, LV x, LV y) {
    LV p = mul(b, x, y);
    return (Pair){p, fma_(b, x, y, neg(b, p))};
}

/* x less a multiple of 4, in [-2, 2], exact. */
LV vmath_mod4(LBuilder *b, LV x);
/* The largest of n's lanes, |n| < 2^24, as a scalar, by way of a word of the function's own. */
LV vmath_largest(LBuilder *b, LV n);

LV vmath_exp_f64(LBuilder *b, LV x);
LV vmath_expm1_f64(LBuilder *b, LV x);
LV vmath_tanh_f64(LBuilder *b, LV x);
LV vmath_sigmoid_f64(LBuilder *b, LV x);
LV vmath_log_f64(LBuilder *b, LV x);
LV vmath_erf_f64(LBuilder *b, LV x);
LV vmath_sin_f64(LBuilder *b, LV x, uint32_t turn); /* sin(x + turn pi/2) */
Pair vmath_log_pair_f64(LBuilder *b, LV x);         /* of a positive x */
LV vmath_exp_pair_f64(LBuilder *b, Pair x);

#endif
