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

LV vmath_exp_f64(LBuilder *b, LV x);
LV vmath_expm1_f64(LBuilder *b, LV x);
LV vmath_tanh_f64(LBuilder *b, LV x);
LV vmath_sigmoid_f64(LBuilder *b, LV x);
LV vmath_log_f64(LBuilder *b, LV x);

#endif
