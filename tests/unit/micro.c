/* micro: see micro.h. */
#include "tests/unit/micro.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    LProgram *p;
    LBuilder b;
    int V;
    int64_t out, iout; /* next free element of the outputs */
} Micro;

static void begin(Micro *m, const char *name) {
    lprogram_add_fn(m->p, name, LFUNC_ENTRY);
    m->b = lb_make(m->p, m->p->fn.n - 1);
    m->out = m->iout = 0;
}

static void put_f(Micro *m, LV v) {
    lb_store(&m->b, LOP_ST, MICRO_F, lidx(m->out), v, 0);
    m->out += m->V;
}

static void put_v(Micro *m, LV v) {
    lb_store(&m->b, LOP_STV, MICRO_I, lidx(m->iout), v, 0);
    m->iout += m->V;
}

static void put_i(Micro *m, LV i) {
    lb_store(&m->b, LOP_STV1, MICRO_I, lidx(m->iout++), lb_op(&m->b, LOP_VSPLAT, i, 0, 0, 0), 0);
}

static LV ld(Micro *m, uint32_t buf, int64_t at) { return lb_load(&m->b, LOP_LD, buf, lidx(at), 0); }
static LV ldv(Micro *m, uint32_t buf, int64_t at) { return lb_load(&m->b, LOP_LDV, buf, lidx(at), 0); }
static LV op2(Micro *m, LOp op, LV x, LV y) { return lb_op(&m->b, op, x, y, 0, 0); }

/* What an iteration over the inputs computes: stored together, so that element i of result k is at k*V + i*n. */
typedef struct {
    LV f[96], v[96];
    int nf, nv;
} Results;

static void keep(Micro *m, Results *r, char type, LV x) {
    if (type == 'f') r->f[r->nf++] = x;
    if (type == 'v') r->v[r->nv++] = x;
    if (type != 'm') return;
    r->f[r->nf++] = lb_op(&m->b, LOP_SEL, x, lb_fconst(&m->b, 1.5), lb_fconst(&m->b, -0.0), 0);
    r->v[r->nv++] = lb_op(&m->b, LOP_VSEL, x, lb_op(&m->b, LOP_VCONST, 0, 0, 0, 7), lb_op(&m->b, LOP_VCONST, 0, 0, 0, -9), 0);
}

/* Every row over lanes whose operands and result have types. */
static void lane_rows(Micro *m, LV i, Results *r) {
    LIdx at = lidx_add(lidx(0), i, 1);
    LBuilder *b = &m->b;
    LV f[3] = {lb_load(b, LOP_LD, MICRO_X, at, 0), lb_load(b, LOP_LD, MICRO_Y, at, 0), lb_load(b, LOP_LD, MICRO_Z, at, 0)};
    LV v[3] = {lb_load(b, LOP_LDV, MICRO_P, at, 0), lb_load(b, LOP_LDV, MICRO_Q, at, 0), 0};
    LV k[2] = {op2(m, LOP_LT, f[0], f[1]), op2(m, LOP_VLT, v[0], v[1])};
    LV big = lb_fconst(b, 1e9), small = op2(m, LOP_LT, lb_op(b, LOP_ABS, f[0], 0, 0, 0), big);
    small = lb_op(b, LOP_SEL, small, f[0], lb_fconst(b, 3.7), 0);
    for (int n = LOP_FCONST; n < LOP_COUNT; n++) {
        LOp op = (LOp)n;
        const char *args = lop_info[op].args;
        if (op == LOP_LIBM || op == LOP_LANE || op == LOP_HSUM || op == LOP_HMAX) continue;
        LV a[3] = {0, 0, 0};
        int nf = 0, nv = 0, nk = 0;
        for (int j = 0; args[j]; j++) a[j] = args[j] == 'f' ? f[nf++] : args[j] == 'v' ? v[nv++] : args[j] == 'm' ? k[nk++] : i;
        if (op == LOP_FTOV) a[0] = small;
        double d = 0.1;
        int64_t imm = 0;
        if (op == LOP_FCONST) memcpy(&imm, &d, sizeof imm);
        if (op == LOP_VCONST) imm = -123456;
        if (op == LOP_VSHL || op == LOP_VSHR) keep(m, r, 'v', lb_op(b, op, a[0], 0, 0, 29));
        if (op == LOP_VSHL || op == LOP_VSHR) imm = 3;
        keep(m, r, lop_info[op].result, lb_op(b, op, a[0], a[1], a[2], imm));
    }
}

static void entry_ops(Micro *m) {
    begin(m, "ops");
    Results r = {.nf = 0, .nv = 0};
    LV i = lb_for(&m->b, lb_iconst(&m->b, 0), lb_iconst(&m->b, MICRO_N), m->V, false, 0, NULL, NULL);
    lane_rows(m, i, &r);
    static const double c[] = {0.0, -0.0, 1e-42, -3.5e38, 16777217.0, 0x1.8p23};
    for (int k = 0; k < 6; k++) keep(m, &r, 'f', lb_fconst(&m->b, c[k]));
    for (int k = 0; k < r.nf; k++) lb_store(&m->b, LOP_ST, MICRO_F, lidx_add(lidx(k * m->V), i, r.nf), r.f[k], 0);
    for (int k = 0; k < r.nv; k++) lb_store(&m->b, LOP_STV, MICRO_I, lidx_add(lidx(k * m->V), i, r.nv), r.v[k], 0);
    lb_end_for(&m->b, 0, NULL, NULL);
}

static void entry_ints(Micro *m) {
    begin(m, "ints");
    LBuilder *b = &m->b;
    LV d0 = lb_op(b, LOP_DIM, 0, 0, 0, 0), d1 = lb_op(b, LOP_DIM, 0, 0, 0, 1), l = lb_load(b, LOP_LDI, MICRO_P, lidx(3), 0);
    LV big = lb_op(b, LOP_IMUL, d0, lb_iconst(b, INT64_C(1000000000000)), 0, 0);
    put_i(m, op2(m, LOP_IADD, d0, d1));
    put_i(m, op2(m, LOP_ISUB, d0, d1));
    put_i(m, op2(m, LOP_IMUL, d0, d1));
    put_i(m, op2(m, LOP_IDIV, d0, d1));
    put_i(m, op2(m, LOP_IDIV, big, lb_iconst(b, INT64_C(3000000007))));
    put_i(m, op2(m, LOP_IMIN, d0, l));
    put_i(m, op2(m, LOP_IMAX, d0, l));
    put_i(m, op2(m, LOP_IMIN, d1, d0));
    put_i(m, op2(m, LOP_IMAX, lb_iconst(b, -4), d0));
    put_i(m, op2(m, LOP_ISUB, l, lb_iconst(b, INT64_C(-5000000000))));
    put_i(m, lb_op(b, LOP_TID, 0, 0, 0, 0));
    put_i(m, lb_op(b, LOP_NT, 0, 0, 0, 0));
}

static void entry_trees(Micro *m) {
    begin(m, "trees");
    for (int64_t at = 0; at + m->V <= MICRO_N; at += m->V == 1 ? 7 : m->V) {
        put_f(m, lb_op(&m->b, LOP_LANE, ld(m, MICRO_Z, at), 0, 0, m->V - 1));
        put_f(m, lb_op(&m->b, LOP_HSUM, ld(m, MICRO_Z, at), 0, 0, 0));
        put_f(m, lb_op(&m->b, LOP_HMAX, ld(m, MICRO_X, at), 0, 0, 0));
        put_f(m, lb_op(&m->b, LOP_HSUM, ld(m, MICRO_X, at), 0, 0, 0));
        put_f(m, lb_op(&m->b, LOP_HMAX, ld(m, MICRO_Y, at), 0, 0, 0));
    }
}

/* Accesses at odd places, of every number of lanes. */
static void entry_tails(Micro *m) {
    begin(m, "tails");
    LBuilder *b = &m->b;
    for (int64_t n = 1; n <= m->V; n++) {
        LIdx at = lidx_add(lidx(n - 1), lb_op(b, LOP_DIM, 0, 0, 0, 1), 1);
        put_f(m, lb_load(b, LOP_LDT, MICRO_X, at, n));
        put_v(m, lb_load(b, LOP_LDVT, MICRO_Q, at, n));
        lb_store(b, LOP_STT, MICRO_F, lidx(m->out + 1), ld(m, MICRO_Y, n), n);
        lb_store(b, LOP_STVT, MICRO_I, lidx(m->iout + 1), ldv(m, MICRO_P, n), n);
        m->out += m->V + 3;
        LV part = lb_load(b, LOP_LDT, MICRO_Y, lidx(n), n); /* of as many lanes as are read here */
        lb_store(b, LOP_STT, MICRO_F, lidx(m->out + 1), lb_op(b, LOP_LANE, part, 0, 0, n - 1), m->V - n + 1);
        m->out += m->V + 3;
        m->iout += m->V + 3;
    }
    put_f(m, lb_load(b, LOP_LDB, MICRO_Z, lidx(5), 0));
    put_v(m, lb_load(b, LOP_LDVB, MICRO_P, lidx(6), 0));
    lb_store(b, LOP_ST1, MICRO_F, lidx(m->out), ld(m, MICRO_X, 9), 0);
    lb_store(b, LOP_STV1, MICRO_I, lidx(m->iout), ldv(m, MICRO_P, 11), 0);
}

/* Loops up and down, with and without carries, exchanged carries, none at all, nested, with IF, and an inlined helper. */
static uint32_t helper_axpy(Micro *m) {
    LFunc *f = lprogram_add_fn(m->p, "axpy", LFUNC_HELPER);
    f->inline_hint = true;
    uint32_t fn = m->p->fn.n - 1;
    LBuilder b = lb_make(m->p, fn);
    uint32_t x = lb_param_ptr(&b, "x", LE_F), y = lb_param_ptr(&b, "y", LE_F);
    LV n = lb_param_int(&b, "n"), unused = lb_param_int(&b, "unused");
    (void)unused;
    LExtent e = {.term = {{.coef = m->V, .dims = 0}}, .n = 1};
    uint32_t t = lprogram_add_buf(m->p, "t", LB_LOCAL, LE_F, fn, e);
    LV i = lb_for(&b, lb_iconst(&b, 0), n, m->V, false, 0, NULL, NULL);
    LV v = lb_op(&b, LOP_FMA, lb_load(&b, LOP_LD, x, lidx_add(lidx(0), i, 1), 0), lb_fconst(&b, 0.75),
                 lb_load(&b, LOP_LD, y, lidx_add(lidx(0), i, 1), 0), 0);
    lb_store(&b, LOP_ST, t, lidx(0), v, 0);
    lb_store(&b, LOP_ST, y, lidx_add(lidx(0), i, 1), lb_load(&b, LOP_LD, t, lidx(0), 0), 0);
    lb_end_for(&b, 0, NULL, NULL);
    return fn;
}

static void loop_carries(Micro *m, bool down, int64_t step, LV lo, LV hi) {
    LBuilder *b = &m->b;
    LV init[4] = {lb_fconst(b, 1), lb_fconst(b, 0.5), lo, lb_op(b, LOP_VIOTA, 0, 0, 0, 0)}, in[4], next[4], out[4];
    LV i = lb_for(b, lo, hi, step, down, 4, init, in);
    LV x = lb_load(b, LOP_LDB, MICRO_Z, lidx_add(lidx(0), i, 1), 0);
    next[0] = in[1]; /* exchanged */
    next[1] = lb_op(b, LOP_FMA, in[0], x, in[1], 0);
    next[2] = op2(m, LOP_IADD, in[2], i);
    next[3] = op2(m, LOP_VADD, in[3], lb_op(b, LOP_VSPLAT, i, 0, 0, 0));
    lb_end_for(b, 4, next, out);
    put_f(m, out[0]);
    put_f(m, out[1]);
    put_i(m, out[2]);
    put_v(m, out[3]);
}

static void loop_nest(Micro *m) {
    LBuilder *b = &m->b;
    LV d1 = lb_op(b, LOP_DIM, 0, 0, 0, 1), zero = lb_iconst(b, 0), acc = lb_fconst(b, 0), in, out, in2, out2;
    LV i = lb_for(b, zero, d1, 1, false, 1, &acc, &in);
    LV j = lb_for(b, zero, i, 2, true, 1, &in, &in2);
    LIdx at = lidx_add(lidx_add(lidx(1), i, 2), j, 3);
    LV next = op2(m, LOP_ADD, in2, lb_load(b, LOP_LDB, MICRO_Z, at, 0));
    lb_if_lt(b, j, lb_iconst(b, 3));
    lb_store(b, LOP_ST, MICRO_F, lidx_add(lidx_add(lidx(m->out), i, 8 * m->V), j, m->V), next, 0);
    lb_end_if(b);
    lb_end_for(b, 1, &next, &out2);
    lb_end_for(b, 1, &out2, &out);
    m->out += 80 * m->V;
    put_f(m, out);
}

static void entry_loops(Micro *m, uint32_t axpy) {
    begin(m, "loops");
    LBuilder *b = &m->b;
    LV d0 = lb_op(b, LOP_DIM, 0, 0, 0, 0), d1 = lb_op(b, LOP_DIM, 0, 0, 0, 1), zero = lb_iconst(b, 0), nine = lb_iconst(b, 9);
    for (int down = 0; down < 2; down++) {
        loop_carries(m, down, 1, zero, d0);
        loop_carries(m, down, 3, d1, d0);
        loop_carries(m, down, 3, d0, d1); /* not at all */
        loop_carries(m, down, 4, d1, d1);
        loop_carries(m, down, 2, zero, nine);
        loop_carries(m, down, 5, nine, zero);
    }
    loop_nest(m);
    for (int64_t k = 0; k < 4 * m->V; k += m->V) lb_store(b, LOP_ST, MICRO_F, lidx(m->out + k), ld(m, MICRO_Z, k), 0);
    LArg arg[4] = {{.buf = MICRO_Y, .idx = lidx(1)}, {.buf = MICRO_F, .idx = lidx(m->out)}, {.value = lb_iconst(b, 4 * m->V)}, {.value = d1}};
    lb_call(b, axpy, arg, 4);
    arg[1].idx = lidx_add(lidx(m->out), d1, 1);
    arg[2].value = lb_iconst(b, m->V);
    lb_call(b, axpy, arg, 4);
}

uint32_t micro_tile(LProgram *p, int rows, int nv, int64_t lda) {
    char name[64];
    int V = p->V, n = rows * nv;
    LV acc[64], in[64], out[64];
    snprintf(name, sizeof name, "tile_%dx%d_a%d", rows, nv, (int)lda);
    lprogram_add_fn(p, name, LFUNC_HELPER);
    uint32_t fn = p->fn.n - 1;
    LBuilder b = lb_make(p, fn);
    uint32_t A = lb_param_ptr(&b, "A", LE_F), panel = lb_param_ptr(&b, "panel", LE_F), C = lb_param_ptr(&b, "C", LE_F);
    LV K = lb_param_int(&b, "K");
    for (int k = 0; k < n; k++) acc[k] = lb_load(&b, LOP_LD, C, lidx(k * V), 0);
    LV k = lb_for(&b, lb_iconst(&b, 0), K, 2, false, (uint32_t)n, acc, in);
    for (int u = 0; u < 2; u++) {
        LV w[8];
        for (int j = 0; j < nv; j++) w[j] = lb_load(&b, LOP_LD, panel, lidx_add(lidx((u * nv + j) * V), k, nv * V), 0);
        for (int r = 0; r < rows; r++) {
            LV a = lb_load(&b, LOP_LDB, A, lidx_add(lidx(r * lda + u), k, 1), 0);
            for (int j = 0; j < nv; j++) in[r * nv + j] = lb_op(&b, LOP_FMA, a, w[j], in[r * nv + j], 0);
        }
    }
    lb_end_for(&b, (uint32_t)n, in, out);
    for (int j = 0; j < n; j++) lb_store(&b, LOP_ST, C, lidx(j * V), out[j], 0);
    return fn;
}

/* Products by tiles of 6 rows and 2 vectors, by way of memory that the call fills first. */
static void entry_tile(Micro *m, uint32_t tile) {
    begin(m, "tile");
    LBuilder *b = &m->b;
    LV zero = lb_iconst(b, 0), K = lb_iconst(b, 14);
    LV i = lb_for(b, zero, lb_iconst(b, 14 * 2 * m->V), 1, false, 0, NULL, NULL);
    LV j = op2(m, LOP_ISUB, i, op2(m, LOP_IMUL, op2(m, LOP_IDIV, i, lb_iconst(b, 83)), lb_iconst(b, 83)));
    lb_store(b, LOP_ST1, MICRO_SLAB, lidx_add(lidx(0), i, 1), lb_load(b, LOP_LDB, MICRO_Z, lidx_add(lidx(0), j, 1), 0), 0);
    lb_end_for(b, 0, NULL, NULL);
    for (int k = 0; k < 12; k++) lb_store(b, LOP_ST, MICRO_F, lidx(k * m->V), lb_fconst(b, 0.25 * k), 0);
    LArg arg[4] = {{.buf = MICRO_Z, .idx = lidx(0)}, {.buf = MICRO_SLAB, .idx = lidx(0)}, {.buf = MICRO_F, .idx = lidx(0)}, {.value = K}};
    lb_call(b, tile, arg, 4);
    lb_call(b, tile, arg, 4);
}

/* Parts by thread, a barrier, and what the other part wrote. */
static void entry_threads(Micro *m) {
    begin(m, "threads");
    LBuilder *b = &m->b;
    LV tid = lb_op(b, LOP_TID, 0, 0, 0, 0), nt = lb_op(b, LOP_NT, 0, 0, 0, 0), n = lb_iconst(b, 48);
    LV lo = op2(m, LOP_IDIV, op2(m, LOP_IMUL, tid, n), nt), hi = op2(m, LOP_IDIV, op2(m, LOP_IMUL, op2(m, LOP_IADD, tid, lb_iconst(b, 1)), n), nt);
    LV i = lb_for(b, lo, hi, 1, false, 0, NULL, NULL);
    lb_store(b, LOP_ST1, MICRO_SLAB, lidx_add(lidx(0), i, 1), lb_load(b, LOP_LDB, MICRO_Y, lidx_add(lidx(0), i, 1), 0), 0);
    lb_end_for(b, 0, NULL, NULL);
    lb_barrier(b);
    i = lb_for(b, lo, hi, 1, false, 0, NULL, NULL);
    LV x = lb_load(b, LOP_LDB, MICRO_SLAB, lidx_add(lidx(47), i, -1), 0);
    lb_store(b, LOP_ST1, MICRO_F, lidx_add(lidx(0), i, 1), lb_op(b, LOP_NEG, x, 0, 0, 0), 0);
    lb_end_for(b, 0, NULL, NULL);
}

static void entry_libm(Micro *m) {
    begin(m, "libm");
    for (int f = 0; f < LFN_COUNT; f++)
        for (int64_t at = 0; at < 32; at += 16) {
            LV x = ld(m, MICRO_Z, at), y = ld(m, MICRO_Z, at + 16);
            if (f == LFN_LOG || f == LFN_POW || f == LFN_LOG1P) x = lb_op(&m->b, LOP_ABS, x, 0, 0, 0);
            put_f(m, lb_libm(&m->b, (LFn)f, x, y));
        }
}

/* The mathematics written out as operations: on all of a buffer. */
static void entry_vmath(Micro *m) {
    begin(m, "vmath");
    for (int t = MATH_FAST; t <= (m->p->f64 ? MATH_FAST : MATH_PRECISE); t++)
        for (uint32_t buf = MICRO_X; buf <= MICRO_Z; buf += MICRO_Z - MICRO_X) {
            LV i = lb_for(&m->b, lb_iconst(&m->b, 0), lb_iconst(&m->b, MICRO_N), m->V, false, 0, NULL, NULL);
            LV x = lb_load(&m->b, LOP_LD, buf, lidx_add(lidx(0), i, 1), 0);
            static LV (*const fun[])(LBuilder *, MathTier, LV) = {lb_exp, lb_tanh, lb_sigmoid, lb_log, lb_expm1, lb_log1p, lb_sin, lb_cos, lb_erf};
            enum { N = sizeof fun / sizeof *fun };
            LV r[N + 1], half = lb_fconst(&m->b, 0.5);
            for (int k = 0; k < N; k++) r[k] = fun[k](&m->b, (MathTier)t, x);
            r[N] = lb_pow(&m->b, (MathTier)t, lb_op(&m->b, LOP_ABS, x, 0, 0, 0), half);
            for (int k = 0; k <= N; k++) lb_store(&m->b, LOP_ST, MICRO_F, lidx_add(lidx(m->out + k * m->V), i, N + 1), r[k], 0);
            lb_end_for(&m->b, 0, NULL, NULL);
            m->out += (N + 1) * MICRO_N;
        }
}

LProgram *micro_program(Ctx *ctx, Arena *a, bool f64, int V) {
    Micro m;
    static const struct {
        const char *name;
        LBufRole role;
        LElem elem;
        int64_t n;
    } buf[MICRO_BUFS] = {{"x", LB_INPUT, LE_F, MICRO_N},     {"y", LB_INPUT, LE_F, MICRO_N},      {"z", LB_INPUT, LE_F, MICRO_N},
                         {"p", LB_INPUT, LE_I32, MICRO_N},   {"q", LB_INPUT, LE_I32, MICRO_N},    {"f", LB_OUTPUT, LE_F, MICRO_OUT},
                         {"i", LB_OUTPUT, LE_I32, MICRO_IOUT}, {"s", LB_SLAB, LE_F, MICRO_N * 16}};
    memset(&m, 0, sizeof m);
    m.p = lprogram_make(ctx, a, intern(ctx, "micro"), f64, V);
    m.V = V;
    for (int k = 0; k < MICRO_BUFS; k++)
        lprogram_add_buf(m.p, buf[k].name, buf[k].role, buf[k].elem, (uint32_t)k, (LExtent){.term = {{.coef = buf[k].n}}, .n = 1});
    uint32_t axpy = helper_axpy(&m), tile = micro_tile(m.p, 6, 2, 16);
    entry_ops(&m);
    entry_ints(&m);
    entry_trees(&m);
    entry_tails(&m);
    entry_loops(&m, axpy);
    entry_tile(&m, tile);
    entry_threads(&m);
    entry_vmath(&m);
    entry_libm(&m);
    return m.p;
}
