/* lnoise: the random numbers of ir/graph.h (noise_bits, noise_uniform, noise_normal) as operations in lanes.
   Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#include "ir/loop.h"

static LV vop(LBuilder *b, LOp op, LV x, LV y) { return lb_op(b, op, x, y, 0, 0); }
static LV vconst(LBuilder *b, uint32_t w) { return lb_op(b, LOP_VCONST, 0, 0, 0, (int32_t)w); }

typedef struct {
    LV w[4];
} Block;

static Block philox(LBuilder *b, Block c, LV k0, LV k1) {
    LV m0 = vconst(b, 0xd2511f53), m1 = vconst(b, 0xcd9e8d57);
    LV w0 = vconst(b, 0x9e3779b9), w1 = vconst(b, 0xbb67ae85);
    for (int round = 0; round < 10; round++) {
        if (round > 0) {
            k0 = vop(b, LOP_VADD, k0, w0);
            k1 = vop(b, LOP_VADD, k1, w1);
        }
        LV hi0 = vop(b, LOP_VMULHI, c.w[0], m0);
        LV lo0 = vop(b, LOP_VMUL, c.w[0], m0);
        LV hi1 = vop(b, LOP_VMULHI, c.w[2], m1);
        LV lo1 = vop(b, LOP_VMUL, c.w[2], m1);
        LV x0 = vop(b, LOP_VXOR, hi1, c.w[1]);
        LV x2 = vop(b, LOP_VXOR, hi0, c.w[3]);
        c.w[0] = vop(b, LOP_VXOR, x0, k0);
        c.w[1] = lo1;
        c.w[2] = vop(b, LOP_VXOR, x2, k1);
        c.w[3] = lo0;
    }
    return c;
}

/* The 32 bits: word element % 4 of the block of counter (element / 4, step, example, stream ^ update). */
static LV noise_word(LBuilder *b, const LNoise *n, LV stream) {
    Block c;
    c.w[0] = lb_op(b, LOP_VSHR, n->element, 0, 0, 2);
    c.w[1] = n->step;
    c.w[2] = n->example;
    c.w[3] = vop(b, LOP_VXOR, stream, n->update);
    c = philox(b, c, n->seed_lo, n->seed_hi);
    LV which = vop(b, LOP_VAND, n->element, vconst(b, 3));
    LV r = c.w[3];
    for (uint32_t k = 3; k-- > 0;) {
        LV m = vop(b, LOP_VEQ, which, vconst(b, k));
        r = lb_op(b, LOP_VSEL, m, c.w[k], r, 0);
    }
    return r;
}

/* (bits >> 8) * 2^-24: exact in f32 and f64 */
static LV to_unit(LBuilder *b, LV w) {
    LV top = lb_op(b, LOP_VSHR, w, 0, 0, 8);
    LV f = lb_op(b, LOP_VTOF, top, 0, 0, 0);
    return lb_op(b, LOP_MUL, f, lb_fconst(b, 0x1p-24), 0, 0);
}

LV lb_noise_uniform(LBuilder *b, const LNoise *n) { return to_unit(b, noise_word(b, n, n->stream)); }

/* cos(2 pi u), 0 <= u < 1. In f32 as sin(2 pi v), v = |u - 1/2| - 1/4, exact and in [-1/4, 1/4]: an odd polynomial, minimax
   (relative 5.3e-9), so that no engine needs its library here. */
static LV cos_turn(LBuilder *b, MathTier t, LV u) {
    static const uint32_t coef[] = {0x421ed7fc, 0xc2992665, 0x42a33458, 0xc2255de1, 0x40c90fdb};
    if (b->p->f64 || t == MATH_SLEEF) {
        LV turn = lb_fconst(b, 6.283185307179586);
        return lb_libm(b, LFN_COS, lb_op(b, LOP_MUL, turn, u, 0, 0), 0);
    }
    LV c = lb_op(b, LOP_SUB, u, lb_fconst(b, 0.5), 0, 0);
    c = lb_op(b, LOP_ABS, c, 0, 0, 0);
    LV v = lb_op(b, LOP_SUB, c, lb_fconst(b, 0.25), 0, 0);
    LV z = lb_op(b, LOP_MUL, v, v, 0, 0);
    LV s = lb_fbits(b, coef[0]);
    for (int k = 1; k < 5; k++) {
        LV a = lb_fbits(b, coef[k]);
        s = lb_op(b, LOP_FMA, z, s, a, 0);
    }
    return lb_op(b, LOP_MUL, v, s, 0, 0);
}

/* Box-Muller: sqrt(-2 log(1 - u1)) cos(2 pi u2); u2 from the stream ^ 2^31 */
LV lb_noise_normal(LBuilder *b, MathTier t, const LNoise *n) {
    LV u1 = to_unit(b, noise_word(b, n, n->stream));
    LV other = vop(b, LOP_VXOR, n->stream, vconst(b, 0x80000000));
    LV u2 = to_unit(b, noise_word(b, n, other));
    LV one = lb_fconst(b, 1);
    LV l = lb_log(b, t, lb_op(b, LOP_SUB, one, u1, 0, 0));
    LV l2 = lb_op(b, LOP_MUL, lb_fconst(b, -2), l, 0, 0);
    LV r = lb_op(b, LOP_SQRT, l2, 0, 0, 0);
    LV c = cos_turn(b, t, u2);
    return lb_op(b, LOP_MUL, r, c, 0, 0);
}
