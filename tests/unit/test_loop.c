/* test_loop: the loop program: builder, text, verifier, interpreter, shadow memory. */
#include "ir/loop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed;
static Ctx *ctx;
static Arena *arena;

static void check(bool ok, const char *what, int line) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("test_loop.c:%d: FAILED: %s\n", line, what);
    for (uint32_t k = 0; k < diag_count(ctx); k++) printf("  %s\n", diag_at(ctx, k)->text);
}
#define CHECK(e) check((e), #e, __LINE__)

/* ---- help --------------------------------------------------------------------------------------------------------------- */

static LExtent extent(int64_t n) {
    LExtent e = {.n = 1};
    e.term[0].coef = n;
    return e;
}

static LProgram *program(bool f64, int V) { return lprogram_make(ctx, arena, intern(ctx, "test"), f64, V); }

/* A program with an input x, an output y (both floats) and integers u in, v out, each of 64 elements, and an entry "run". */
typedef struct {
    LProgram *p;
    LBuilder b;
    uint32_t x, y, u, v, run;
} Bench;

static Bench bench(bool f64, int V) {
    Bench t;
    t.p = program(f64, V);
    t.x = lprogram_add_buf(t.p, "x", LB_INPUT, LE_F, 0, extent(64));
    t.y = lprogram_add_buf(t.p, "y", LB_OUTPUT, LE_F, 0, extent(64));
    t.u = lprogram_add_buf(t.p, "u", LB_INPUT, LE_I32, 1, extent(64));
    t.v = lprogram_add_buf(t.p, "v", LB_OUTPUT, LE_I32, 1, extent(64));
    lprogram_add_fn(t.p, "run", LFUNC_ENTRY);
    t.run = 0;
    t.b = lb_make(t.p, 0);
    return t;
}

static union {
    float f[64];
    double d[64];
    int32_t i[64];
} X, Y, U, W;
static int64_t dims[LDIM_COUNT];

static bool interp(Bench *t, bool shadow) {
    void *buf[8] = {&X, &Y, &U, &W};
    InterpOptions o = {.shadow = shadow};
    return lprogram_interp(t->p, t->run, buf, dims, NULL, &o);
}

static Str text(const LProgram *p) {
    Str s = str_make(arena);
    lprogram_print(&s, p);
    return s;
}

static LProgram *parse(const char *t) {
    const Source *src = source_add(ctx, "test.loop", t, strlen(t));
    return src ? lprogram_parse(ctx, arena, src) : NULL;
}

/* print -> parse -> print is a fixed point, and what was read verifies */
static void round_trip(const LProgram *p, int line) {
    Str a = text(p);
    LProgram *q = parse(a.at);
    check(q != NULL, "parses", line);
    if (!q) {
        printf("%s\n", a.at);
        return;
    }
    Str b = text(q);
    check(strcmp(a.at, b.at) == 0, "prints the same", line);
    if (strcmp(a.at, b.at) != 0) printf("%s\n---\n%s\n", a.at, b.at);
    check(lprogram_verify(q, "parse"), "verifies", line);
}

/* ---- builder ------------------------------------------------------------------------------------------------------------ */

static bool known(Bench *t, LV v, int64_t want) {
    int64_t k;
    return lb_known_int(&t->b, v, &k) && k == want;
}

static void test_fold(void) {
    Bench t = bench(false, 8);
    LBuilder *b = &t.b;
    LV n = lb_op(b, LOP_DIM, 0, 0, 0, 0), three = lb_iconst(b, 3), zero = lb_iconst(b, 0);
    CHECK(known(&t, lb_op(b, LOP_IADD, three, lb_iconst(b, 4), 0, 0), 7));
    CHECK(known(&t, lb_op(b, LOP_ISUB, three, lb_iconst(b, 4), 0, 0), -1));
    CHECK(known(&t, lb_op(b, LOP_IMUL, three, lb_iconst(b, 4), 0, 0), 12));
    CHECK(known(&t, lb_op(b, LOP_IDIV, lb_iconst(b, 13), three, 0, 0), 4));
    CHECK(known(&t, lb_op(b, LOP_IMIN, three, lb_iconst(b, 4), 0, 0), 3));
    CHECK(known(&t, lb_op(b, LOP_IMAX, three, lb_iconst(b, 4), 0, 0), 4));
    CHECK(known(&t, lb_op(b, LOP_IMUL, lb_iconst(b, INT64_MAX), lb_iconst(b, 2), 0, 0), -2));
    CHECK(known(&t, lb_op(b, LOP_ISUB, n, n, 0, 0), 0));
    CHECK(known(&t, lb_op(b, LOP_IMUL, zero, n, 0, 0), 0));
    CHECK(lb_op(b, LOP_IADD, zero, n, 0, 0) == n && lb_op(b, LOP_ISUB, n, zero, 0, 0) == n);
    CHECK(lb_op(b, LOP_IMUL, n, lb_iconst(b, 1), 0, 0) == n && lb_op(b, LOP_IDIV, n, lb_iconst(b, 1), 0, 0) == n);
    CHECK(lb_op(b, LOP_IMIN, n, n, 0, 0) == n);
    LV n3 = lb_op(b, LOP_IADD, n, three, 0, 0);
    CHECK(lb_op(b, LOP_IADD, three, n, 0, 0) == n3);
    CHECK(lb_op(b, LOP_ISUB, lb_op(b, LOP_IADD, n3, three, 0, 0), three, 0, 0) == n3);
    LV m = lb_op(b, LOP_DIM, 0, 0, 0, 1);
    CHECK(m != n && lb_op(b, LOP_IMUL, n, m, 0, 0) == lb_op(b, LOP_IMUL, m, n, 0, 0));
    CHECK(lb_op(b, LOP_ISUB, n, m, 0, 0) != lb_op(b, LOP_ISUB, m, n, 0, 0));
    CHECK(lb_fconst(b, 0.1) == lb_fconst(b, (double)0.1f) && lb_fbits(b, 0x3f800000) == lb_fconst(b, 1));
    CHECK(lb_fconst(b, 0) != lb_fconst(b, -0.0));
    LV ld = lb_load(b, LOP_LD, t.x, lidx(0), 0);
    CHECK(ld != lb_load(b, LOP_LD, t.x, lidx(0), 0));
    CHECK(lb_op(b, LOP_VSPLAT, three, 0, 0, 0) == lb_op(b, LOP_VCONST, 0, 0, 0, 3));
    /* what is made in a block is not shared after it, what was before is shared in it */
    LV i = lb_for(b, zero, n, 1, false, 0, NULL, NULL);
    CHECK(lb_op(b, LOP_IADD, n, three, 0, 0) == n3);
    LV in = lb_op(b, LOP_IADD, n, m, 0, 0);
    CHECK(lb_op(b, LOP_IADD, m, n, 0, 0) == in && i != 0);
    lb_end_for(b, 0, NULL, NULL);
    CHECK(lb_op(b, LOP_IADD, n, m, 0, 0) != in && lb_op(b, LOP_IADD, n, three, 0, 0) == n3);
    for (int64_t k = 100; k < 2000; k++) lb_iconst(b, k); /* rehashing */
    CHECK(lb_op(b, LOP_IADD, n, three, 0, 0) == n3 && lb_iconst(b, 777) == lb_iconst(b, 777));
    CHECK(lprogram_verify(t.p, "build"));
    round_trip(t.p, __LINE__);
}

static void test_index(void) {
    Bench t = bench(false, 4);
    LBuilder *b = &t.b;
    LV d[6], three = lb_iconst(b, 3);
    for (int k = 0; k < 6; k++) d[k] = lb_op(b, LOP_DIM, 0, 0, 0, k);
    LIdx i = lidx_add(lidx_add(lidx(5), d[0], 2), d[0], 3);
    CHECK(i.n == 1 && i.c[0] == 5 && i.c0 == 5);
    i = lidx_add(i, d[0], -5);
    CHECK(i.n == 0);
    i = lb_idx_term(b, i, three, 4);
    CHECK(i.n == 0 && i.c0 == 17);
    i = lb_idx_term(b, i, lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, d[0], three, 0, 0), three, 0, 0), 2);
    CHECK(i.n == 1 && i.v[0] == d[0] && i.c[0] == 6 && i.c0 == 23);
    i = lidx(0);
    for (int k = 0; k < 6; k++) {
        dims[k] = k + 1;
        i = lb_idx_term(b, i, d[k], k + 1);
    }
    CHECK(i.n == LIDX_TERMS); /* 1 + 4 + 9 + 16 + 25 + 36 = 91 */
    i.c0 -= 90;
    lb_store(b, LOP_ST1, t.y, i, lb_fconst(b, 2), 0);
    CHECK(lprogram_verify(t.p, "build"));
    round_trip(t.p, __LINE__);
    Y.f[1] = 0;
    CHECK(interp(&t, true) && Y.f[1] == 2);
}

/* ---- loops and calls ---------------------------------------------------------------------------------------------------- */

/* Fibonacci: carries that swap, up and down, zero times; an if; the counters written to v. */
static void test_control(void) {
    for (int down = 0; down < 2; down++)
        for (int64_t n = 0; n < 5; n++) {
            Bench t = bench(false, 4);
            LBuilder *b = &t.b;
            dims[0] = 3 * n;
            LV init[2] = {lb_iconst(b, 0), lb_iconst(b, 1)}, in[2], out[2];
            LV hi = lb_op(b, LOP_DIM, 0, 0, 0, 0);
            LV i = lb_for(b, init[0], hi, 3, down, 2, init, in);
            LV next[2] = {in[1], lb_op(b, LOP_IADD, in[0], in[1], 0, 0)};
            LV lane = lb_op(b, LOP_VSPLAT, i, 0, 0, 0);
            lb_store(b, LOP_STV1, t.v, lb_idx_term(b, lidx(0), in[0], 1), lane, 0);
            lb_if_lt(b, i, lb_iconst(b, 4));
            lb_if_lt(b, lb_iconst(b, 2), i);
            lb_store(b, LOP_STV1, t.v, lidx(60), lane, 0);
            lb_end_if(b);
            lb_end_if(b);
            lb_end_for(b, 2, next, out);
            lb_store(b, LOP_STV1, t.v, lidx(62), lb_op(b, LOP_VSPLAT, out[0], 0, 0, 0), 0);
            lb_store(b, LOP_STV1, t.v, lidx(63), lb_op(b, LOP_VSPLAT, out[1], 0, 0, 0), 0);
            CHECK(lprogram_verify(t.p, "build"));
            round_trip(t.p, __LINE__);
            memset(&W, 0xff, sizeof W);
            CHECK(interp(&t, true));
            static const int fib[] = {0, 1, 1, 2, 3, 5};
            CHECK(W.i[62] == fib[n] && W.i[63] == fib[n + 1]);
            if (n) CHECK(W.i[0] == (down ? 3 * (n - 1) : 0));
            if (n == 4) CHECK(W.i[2] == (down ? 0 : 9) && W.i[60] == 3);
        }
}

/* helper(src, dst, n): dst[k] = src[k] + k for k < n, through a LOCAL buffer */
static uint32_t add_helper(LProgram *p) {
    uint32_t fn = p->fn.n;
    lprogram_add_fn(p, "helper", LFUNC_HELPER)->inline_hint = true;
    LBuilder b = lb_make(p, fn);
    uint32_t src = lb_param_ptr(&b, "src", LE_F), dst = lb_param_ptr(&b, "dst", LE_F);
    LV n = lb_param_int(&b, "n");
    uint32_t tmp = lprogram_add_buf(p, "tmp", LB_LOCAL, LE_F, fn, extent(8));
    LV i = lb_for(&b, lb_iconst(&b, 0), n, 1, false, 0, NULL, NULL);
    LV f = lb_op(&b, LOP_VTOF, lb_op(&b, LOP_VSPLAT, i, 0, 0, 0), 0, 0, 0);
    LIdx at = lb_idx_term(&b, lidx(0), i, 1);
    LV s = lb_op(&b, LOP_ADD, lb_load(&b, LOP_LDB, src, at, 0), f, 0, 0);
    lb_store(&b, LOP_ST1, tmp, lidx(0), s, 0);
    lb_store(&b, LOP_ST1, dst, at, lb_load(&b, LOP_LDB, tmp, lidx(0), 0), 0);
    lb_end_for(&b, 0, NULL, NULL);
    return fn;
}

static void test_call(bool f64) {
    Bench t;
    t.p = program(f64, 4);
    uint32_t fn = add_helper(t.p);
    t.run = t.p->fn.n;
    LProgram *p = t.p;
    uint32_t y = lprogram_add_buf(p, "the \"y\"\\", LB_OUTPUT, LE_F, 0, extent(64));
    uint32_t x = lprogram_add_buf(p, "x", LB_INPUT, LE_F, 0, extent(64));
    uint32_t slab = lprogram_add_buf(p, "s", LB_SLAB, LE_F, 0, extent(64));
    p->buf.at[slab].first = 3;
    p->buf.at[slab].last = 9;
    lprogram_add_fn(p, "run", LFUNC_ENTRY);
    t.b = lb_make(p, t.run);
    LBuilder *b = &t.b;
    LV four = lb_iconst(b, 4);
    LV i = lb_for(b, lb_iconst(b, 0), four, 1, false, 0, NULL, NULL);
    LArg arg[3] = {{x, lb_idx_term(b, lidx(1), i, 4), 0}, {slab, lb_idx_term(b, lidx(0), i, 4), 0}, {0, lidx(0), four}};
    lb_call(b, fn, arg, 3);
    lb_end_for(b, 0, NULL, NULL);
    LArg again[3] = {{slab, lidx(2), 0}, {y, lidx(5), 0}, {0, lidx(0), four}};
    lb_call(b, fn, again, 3);
    lb_barrier(b);
    CHECK(lprogram_verify(p, "build"));
    round_trip(p, __LINE__);
    static double mem[64];
    void *buf[4] = {NULL, &Y, &X, mem};
    for (int k = 0; k < 64; k++)
        if (f64)
            X.d[k] = k;
        else
            X.f[k] = (float)k;
    InterpOptions o = {.shadow = true};
    CHECK(lprogram_interp(p, t.run, buf, dims, NULL, &o));
    for (int k = 0; k < 4; k++) {
        double want = k + 2 + 1 + (k + 2) % 4 + k; /* x[k + 2 + 1] + (k + 2) % 4, then + k */
        CHECK((f64 ? Y.d[5 + k] : (double)Y.f[5 + k]) == want);
    }
}

/* ---- one row of lops.def at a time -------------------------------------------------------------------------------------- */

static const uint32_t special[16] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000,
                                     0x7fc00000, 1,          0x80000001, 0x00800000, 0x7f7fffff, 0x40490fdb,
                                     0x3e99999a, 0xc2f6e979, 0x4b800001, 0xbf000000};

static double lane_of(bool f64, int k) { return f64 ? Y.d[k] : (double)Y.f[k]; }
static bool same(double a, double b) { return (a != a && b != b) || (a == b && !signbit(a) == !signbit(b)); }

static void fill_special(bool f64) {
    for (int k = 0; k < 16; k++)
        for (int part = 0; part < 4; part++) {
            float f;
            uint32_t w = special[part == 0 ? k : (k * (part == 3 ? 1 : 2 * part + 1) + 3 * part) % 16];
            memcpy(&f, &w, sizeof f);
            if (f64)
                X.d[16 * part + k] = (double)f * (part == 2 && f == f ? 0x1.0000001p0 : 1);
            else
                X.f[16 * part + k] = f;
            U.i[16 * part + k] = (int32_t)(w * (part == 1 ? 7919 : 1));
        }
}

/* y = op of loads of x at 0, 16, 32; masks are made by comparing at 48 */
static void run_float(LOp op, bool f64, int V) {
    Bench t = bench(f64, V);
    LBuilder *b = &t.b;
    LV a[3] = {0};
    const char *args = lop_info[op].args;
    for (int k = 0; args[k]; k++) {
        a[k] = lb_load(b, args[k] == 'v' ? LOP_LDV : LOP_LD, args[k] == 'v' ? t.u : t.x, lidx(16 * k), 0);
        if (args[k] == 'm') a[k] = lb_op(b, LOP_LT, a[k], lb_load(b, LOP_LD, t.x, lidx(48), 0), 0, 0);
    }
    LV r = lb_op(b, op, a[0], a[1], a[2], op == LOP_VSHL || op == LOP_VSHR ? 5 : op == LOP_VCONST ? -7 : 0);
    char type = lop_info[op].result;
    if (type == 'm') r = lb_op(b, LOP_VSEL, r, lb_op(b, LOP_VCONST, 0, 0, 0, 1), lb_op(b, LOP_VCONST, 0, 0, 0, 0), 0);
    if (type == 'f')
        lb_store(b, LOP_ST, t.y, lidx(0), r, 0);
    else
        lb_store(b, LOP_STV, t.v, lidx(0), r, 0);
    CHECK(lprogram_verify(t.p, "build"));
    round_trip(t.p, __LINE__);
    fill_special(f64);
    memset(&Y, 0x55, sizeof Y);
    memset(&W, 0x55, sizeof W);
    CHECK(interp(&t, true));
}

/* The lane column of lops.def as it stands: here in double and in float, by way of each type's variables. */
#define F32(e) ((double)(float)(e))
static double want_float(LOp op, bool f64, int k) {
    double a = f64 ? X.d[k] : (double)X.f[k], b = f64 ? X.d[16 + k] : (double)X.f[16 + k];
    double c = f64 ? X.d[32 + k] : (double)X.f[32 + k], m = f64 ? X.d[48 + k] : (double)X.f[48 + k];
    float af = (float)a, bf = (float)b, cf = (float)c;
    int op_number = op;
    switch (op_number) {
    case LOP_ADD: return f64 ? a + b : (double)(af + bf);
    case LOP_SUB: return f64 ? a - b : (double)(af - bf);
    case LOP_MUL: return f64 ? a * b : (double)(af * bf);
    case LOP_DIV: return f64 ? a / b : (double)(af / bf);
    case LOP_FMA: return f64 ? fma(a, b, c) : (double)fmaf(af, bf, cf);
    case LOP_NEG: return -a;
    case LOP_ABS: return fabs(a);
    case LOP_SQRT: return f64 ? sqrt(a) : (double)sqrtf(af);
    case LOP_FLOOR: return floor(a);
    case LOP_MIN: return a < b ? a : b;
    case LOP_MAX: return b < a ? a : b;
    case LOP_SEL: return a < m ? b : c;
    case LOP_VTOF: return f64 ? (double)U.i[k] : F32(U.i[k]);
    case LOP_UTOF: return f64 ? (double)(uint32_t)U.i[k] : F32((uint32_t)U.i[k]);
    }
    return 0;
}

static int32_t want_int(LOp op, bool f64, int k) {
    double a = f64 ? X.d[k] : (double)X.f[k], b = f64 ? X.d[16 + k] : (double)X.f[16 + k];
    double m = f64 ? X.d[48 + k] : (double)X.f[48 + k];
    uint32_t u = (uint32_t)U.i[k], v = (uint32_t)U.i[16 + k], w = (uint32_t)U.i[32 + k];
    int op_number = op;
    switch (op_number) {
    case LOP_LT: return a < b;
    case LOP_LE: return a <= b;
    case LOP_EQ: return a == b;
    case LOP_VCONST: return -7;
    case LOP_VIOTA: return k;
    case LOP_VADD: return (int32_t)(u + v);
    case LOP_VSUB: return (int32_t)(u - v);
    case LOP_VMUL: return (int32_t)(u * v);
    case LOP_VMULHI: return (int32_t)(((uint64_t)u * v) >> 32);
    case LOP_VAND: return (int32_t)(u & v);
    case LOP_VOR: return (int32_t)(u | v);
    case LOP_VXOR: return (int32_t)(u ^ v);
    case LOP_VSHL: return (int32_t)(u << 5);
    case LOP_VSHR: return (int32_t)(u >> 5);
    case LOP_VLT: return (int32_t)u < (int32_t)v;
    case LOP_VEQ: return u == v;
    case LOP_VSEL: return (int32_t)(a < m ? v : w);
    case LOP_MAND: return (a < m) & (b < m);
    case LOP_MOR: return (a < m) | (b < m);
    case LOP_MNOT: return !(a < m);
    }
    return 0;
}

static void test_rows(bool f64, int V) {
    for (int k = LOP_FCONST + 1; k < LOP_COUNT; k++) {
        LOp op = (LOp)k;
        bool other = op == LOP_LIBM || op == LOP_LANE || op == LOP_HSUM || op == LOP_HMAX || op == LOP_VSPLAT || op == LOP_BITS ||
                     op == LOP_FROMBITS || op == LOP_FTOV;
        if (other) continue;
        run_float(op, f64, V);
        bool ok = true;
        for (int l = 0; l < V; l++)
            ok &= lop_info[op].result == 'f' ? same(lane_of(f64, l), want_float(op, f64, l)) : W.i[l] == want_int(op, f64, l);
        check(ok, lop_info[op].text, __LINE__);
    }
    uint64_t w[16], high[16]; /* of doubles the high word, and 0 behind it */
    run_float(LOP_BITS, f64, V);
    memcpy(w, X.d, sizeof w);
    for (int l = 0; l < V; l++) CHECK((uint32_t)W.i[l] == (f64 ? (uint32_t)(w[l] >> 32) : special[l]));
    run_float(LOP_FROMBITS, f64, V);
    for (int l = 0; l < V; l++) high[l] = (uint64_t)(uint32_t)U.i[l] << 32;
    CHECK(f64 ? memcmp(Y.d, high, 8 * (size_t)V) == 0 : memcmp(Y.f, U.i, 4 * (size_t)V) == 0);
}

/* Loads and stores of every width; a lane; hsum and hmax; ftov; scalars. */
static void test_memory(bool f64, int V) {
    Bench t = bench(f64, V);
    LBuilder *b = &t.b;
    int part = V > 1 ? V - 1 : 1;
    LV x = lb_load(b, LOP_LDT, t.x, lidx(1), part);
    lb_store(b, LOP_ST, t.y, lidx(0), x, 0);
    lb_store(b, LOP_STT, t.y, lidx(16), lb_load(b, LOP_LD, t.x, lidx(0), 0), part);
    lb_store(b, LOP_ST, t.y, lidx(32), lb_op(b, LOP_HSUM, lb_load(b, LOP_LD, t.x, lidx(0), 0), 0, 0, 0), 0);
    lb_store(b, LOP_ST1, t.y, lidx(48), lb_op(b, LOP_HMAX, lb_load(b, LOP_LD, t.x, lidx(0), 0), 0, 0, 0), 0);
    lb_store(b, LOP_ST1, t.y, lidx(49), lb_load(b, LOP_LDB, t.x, lidx(5), 0), 0);
    lb_store(b, LOP_ST1, t.y, lidx(50), lb_op(b, LOP_LANE, lb_load(b, LOP_LD, t.x, lidx(8), 0), 0, 0, V - 1), 0);
    LV u = lb_load(b, LOP_LDVT, t.u, lidx(1), part);
    lb_store(b, LOP_STV, t.v, lidx(0), u, 0);
    lb_store(b, LOP_STVT, t.v, lidx(16), lb_load(b, LOP_LDV, t.u, lidx(0), 0), part);
    LV five = lb_load(b, LOP_LDI, t.u, lidx(5), 0);
    LV q = lb_op(b, LOP_IDIV, five, lb_iconst(b, 2), 0, 0);
    q = lb_op(b, LOP_IMAX, q, lb_op(b, LOP_TID, 0, 0, 0, 0), 0, 0);
    q = lb_op(b, LOP_IMIN, q, lb_op(b, LOP_IMUL, five, five, 0, 0), 0, 0);
    q = lb_op(b, LOP_ISUB, q, lb_op(b, LOP_NT, 0, 0, 0, 0), 0, 0);
    lb_store(b, LOP_STV1, t.v, lidx(32), lb_op(b, LOP_VSPLAT, q, 0, 0, 0), 0);
    lb_store(b, LOP_STV1, t.v, lidx(33), lb_load(b, LOP_LDVB, t.u, lidx(7), 0), 0);
    LV big = lb_fconst(b, -2.75);
    lb_store(b, LOP_STV1, t.v, lidx(34), lb_op(b, LOP_FTOV, big, 0, 0, 0), 0);
    CHECK(lprogram_verify(t.p, "build"));
    round_trip(t.p, __LINE__);
    for (int k = 0; k < 64; k++) {
        if (f64)
            X.d[k] = k + 1;
        else
            X.f[k] = (float)(k + 1);
        U.i[k] = k + 1;
    }
    memset(&Y, 0, sizeof Y);
    memset(&W, 0, sizeof W);
    CHECK(interp(&t, true));
    bool ok = true;
    for (int k = 0; k < V; k++) {
        ok &= lane_of(f64, k) == (k < part ? k + 2 : 0) && lane_of(f64, 16 + k) == (k < part ? k + 1 : 0);
        ok &= W.i[k] == (k < part ? k + 2 : 0) && W.i[16 + k] == (k < part ? k + 1 : 0);
        ok &= lane_of(f64, 32 + k) == V * (V + 1) / 2;
    }
    CHECK(ok && lane_of(f64, 48) == V && lane_of(f64, 49) == 6 && lane_of(f64, 50) == 8 + V);
    CHECK(W.i[32] == 2 && W.i[33] == 8 && W.i[34] == -2);
}

/* A vector that is held is known behind a loop, unless the loop stores to its buffer; one that was just stored only up to it. */
static void test_held(void) {
    Bench t = bench(false, 8);
    LBuilder *b = &t.b;
    LV x = lb_load(b, LOP_LD, t.x, lidx(0), 0), y = lb_load(b, LOP_LD, t.x, lidx(8), 0), zero = lb_iconst(b, 0), n = lb_op(b, LOP_DIM, 0, 0, 0, 0);
    lb_store(b, LOP_ST, t.y, lidx(0), x, 0);
    lb_hold(b, t.x, lidx(24), y);
    lb_hold(b, t.y, lidx(16), y);
    CHECK(lb_held(b, t.y, lidx(0)) == x && lb_held(b, t.x, lidx(24)) == y && lb_load(b, LOP_LD, t.y, lidx(16), 0) == y);
    LV i = lb_for(b, zero, n, 1, false, 0, NULL, NULL);
    CHECK(!lb_held(b, t.x, lidx(24)));
    lb_store(b, LOP_ST1, t.y, lidx_add(lidx(0), i, 1), x, 0);
    lb_end_for(b, 0, NULL, NULL);
    CHECK(!lb_held(b, t.y, lidx(0)) && !lb_held(b, t.y, lidx(16)) && lb_held(b, t.x, lidx(24)) == y);
    lb_store(b, LOP_ST, t.x, lidx(24), x, 0);
    lb_for(b, zero, zero, 1, false, 0, NULL, NULL); /* no round */
    lb_store(b, LOP_ST, t.x, lidx(24), y, 0);
    lb_end_for(b, 0, NULL, NULL);
    CHECK(lb_held(b, t.x, lidx(24)) == x);
    lb_store(b, LOP_ST, t.x, lidx(25), y, 0);
    CHECK(!lb_held(b, t.x, lidx(24)) && lb_held(b, t.x, lidx(25)) == y);
}

/* Loops and conditions whose course is known leave no trace but what they do. */
static void test_known_control(void) {
    Bench t = bench(true, 4);
    LBuilder *b = &t.b;
    t.p->fixed[0] = 1;
    t.p->alone = true;
    LV zero = lb_iconst(b, 0), one = lb_iconst(b, 1), in, out, x = lb_fconst(b, 3);
    LV i = lb_for(b, zero, lb_op(b, LOP_DIM, 0, 0, 0, 0), 1, false, 1, &x, &in);
    in = lb_op(b, LOP_ADD, in, x, 0, 0);
    lb_if_lt(b, one, lb_op(b, LOP_NT, 0, 0, 0, 0)); /* never */
    lb_store(b, LOP_ST1, t.y, lidx(0), x, 0);
    lb_end_if(b);
    lb_if_lt(b, lb_op(b, LOP_TID, 0, 0, 0, 0), one); /* always */
    lb_store(b, LOP_ST1, t.y, lb_idx_term(b, lidx(1), i, 1), in, 0);
    lb_end_if(b);
    lb_barrier(b);
    lb_end_for(b, 1, &in, &out);
    lb_for(b, one, one, 1, true, 1, &out, &in); /* no round */
    lb_store(b, LOP_ST1, t.y, lidx(0), lb_op(b, LOP_ADD, in, out, 0, 0), 0);
    lb_end_for(b, 1, &x, &out);
    lb_store(b, LOP_ST1, t.y, lidx(2), out, 0);
    CHECK(lprogram_verify(t.p, "build"));
    for (uint32_t k = 0; k < b->f->inst.n; k++) {
        const LInst *n = &b->f->inst.at[k];
        LOp op = (LOp)n->op;
        CHECK(op != LOP_FOR && op != LOP_IF && op != LOP_END && op != LOP_DIM && op != LOP_BARRIER);
        CHECK(op != LOP_ST1 || (!n->dst && !n->a[1])); /* nothing of what was taken back where it stands */
    }
    memset(&Y, 0, sizeof Y);
    CHECK(interp(&t, true));
    CHECK(lane_of(true, 0) == 0 && lane_of(true, 1) == 6 && lane_of(true, 2) == 6);
}

/* ---- the verifier ------------------------------------------------------------------------------------------------------- */

static void reject(const char *body, const char *why) {
    Str s = str_make(arena);
    str_put(&s, "program \"t\" f32 V 8 slots 1\n"
                "buf 0 \"theta\" theta f index 0 extent 64\nbuf 1 \"x\" input f index 0 extent 64\n"
                "buf 2 \"y\" output f index 0 extent 64\nbuf 3 \"n\" input i32 index 1 extent 64\n"
                "buf 4 \"l\" local f index 1 extent 8\n"
                "helper 0 \"h\" values 2 (ptr f \"a\", int \"n\" = %1) { %2 = ldb $0[0] st1 $0[1] %2 }\n"
                "helper 1 \"g\" values 2 (ptr f \"a\") { %1 = ldb $0[0] st1 #4[1] %1 }\n");
    str_printf(&s, "%s\n", body);
    LProgram *p = parse(s.at);
    check(p != NULL, body, __LINE__);
    if (!p) {
        diag_clear(ctx);
        return;
    }
    bool ok = lprogram_verify(p, "test");
    bool told = diag_count(ctx) && strstr(diag_at(ctx, 0)->text, why);
    check(!*why ? ok : !ok && told, body, __LINE__);
    diag_clear(ctx);
}

static void test_verify(void) {
    reject("entry 2 \"r\" values 3 { %1 = iconst 4 %2 = iadd %1 %1 %3 = ldb #0[%2] }", "");
    reject("entry 2 \"r\" values 3 { %2 = iadd %1 %1 %1 = iconst 4 }", "not defined before");
    reject("entry 2 \"r\" values 3 { %1 = iconst 4 %1 = iconst 5 }", "defined twice");
    reject("entry 2 \"r\" values 3 { %0 = iconst 4 }", "no value");
    reject("entry 2 \"r\" values 3 { %1 = iconst 4 %2 = neg %1 }", "wrong type");
    reject("entry 2 \"r\" values 3 { %1 = iconst 4 if %1 < %1 { %2 = iconst 1 } %3 = iadd %1 %2 }", "not visible");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by 1 { } %3 = iadd %2 %2 }", "not visible");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by 0 { } }", "not positive");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by -1 { } }", "not positive");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by 1 carry (%3 = %1 -> %4) { } }", "without a yield");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by 1 { yield %1 } }", "differ in number");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 yield %1 }", "outside of a for");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by 1 carry (%3 = %1 -> %4) { yield %3 barrier } }",
           "not at the end");
    reject("entry 2 \"r\" values 4 { %1 = iconst 4 for %2 = %1..%1 by 1 carry (%3 = %1 -> %4) { yield %3, %3 } }",
           "differ in number");
    reject("entry 2 \"r\" values 5 { %1 = iconst 4 %5 = viota for %2 = %1..%1 by 1 carry (%3 = %1 -> %4) { yield %5 } }",
           "wrong type");
    reject("entry 2 \"r\" values 5 { %1 = iconst 4 for %2 = %1..%1 by 1 carry (%3 = %1 -> %4) { %5 = iadd %4 %4 yield %5 } }",
           "not defined before");
    reject("entry 2 \"r\" values 1 { %1 = ld #9[0] }", "no such buffer");
    reject("entry 2 \"r\" values 1 { %1 = ld $0[0] }", "no such pointer");
    reject("entry 2 \"r\" values 1 { %1 = ld #3[0] }", "another type");
    reject("entry 2 \"r\" values 1 { %1 = ldv #1[0] }", "another type");
    reject("entry 2 \"r\" values 1 { %1 = ld #4[0] }", "cannot be seen");
    reject("entry 2 \"r\" values 1 { %1 = viota stv #3[0] %1 }", "read only");
    reject("entry 2 \"r\" values 1 { %1 = fconst 1 st #0[0] %1 }", "read only");
    reject("entry 2 \"r\" values 1 { %1 = fconst 1 st #1[0] %1 }", "read only");
    reject("entry 2 \"r\" values 1 { %1 = ldt #1[0] 0 }", "not in 1..V");
    reject("entry 2 \"r\" values 1 { %1 = ldt #1[0] 9 }", "not in 1..V");
    reject("entry 2 \"r\" values 1 { %1 = viota st #2[0] %1 }", "wrong type");
    reject("entry 2 \"r\" values 2 { %1 = fconst 1 %2 = ld #1[%1] }", "wrong type");
    reject("entry 2 \"r\" values 1 { %1 = dim 38 }", "no such dimension");
    reject("entry 2 \"r\" values 2 { %1 = viota %2 = vshl %1 32 }", "0..31");
    reject("entry 2 \"r\" values 1 { %1 = iconst 1 call #0(#2[0], %1) }", "");
    reject("entry 2 \"r\" values 1 { %1 = iconst 1 call #0(#1[0], %1) }", "read only");
    reject("entry 2 \"r\" values 1 { call #1(#1[0]) }", "");
    reject("entry 2 \"r\" values 1 { %1 = iconst 1 call #0(#3[0], %1) }", "another type");
    reject("entry 2 \"r\" values 1 { call #0(#2[0]) }", "differ in number");
    reject("entry 2 \"r\" values 1 { call #2() }", "does not stand before");
    reject("entry 2 \"r\" values 1 { } entry 3 \"s\" values 0 { call #2() }", "an entry is called");
    reject("helper 2 \"r\" values 1 (ptr f \"a\") { call #2($0[0]) }", "does not stand before");
    reject("helper 2 \"r\" values 2 (ptr f \"a\") { %2 = ld #1[0] }", "cannot be seen");
    reject("helper 2 \"r\" values 2 (ptr f \"a\") { %2 = ld #4[0] }", "cannot be seen");
    reject("helper 2 \"r\" values 2 (ptr f \"a\") { %2 = dim 0 }", "only its parameters");
    reject("helper 2 \"r\" values 2 (ptr f \"a\") { barrier }", "barrier");
    reject("entry 2 \"r\" values 2 (ptr f \"a\") { }", "has parameters");
    reject("helper 2 \"r\" values 2 (ptr f \"a\") { call #1($0[0]) %1 = iconst 1 call #0($0[3], %1) }\n"
           "entry 3 \"s\" values 0 { call #2(#0[0]) }",
           "read only");
}

static void test_verify_program(void) {
    for (int k = 0; k < 8; k++) {
        Bench t = bench(false, 8);
        LBuf *b = &t.p->buf.at[t.x];
        LBuilder *lb = &t.b;
        if (k == 0) t.p->V = 3;
        if (k == 1) b->role = 99;
        if (k == 2) *b = (LBuf){.role = LB_LOCAL, .index = 7};
        if (k == 3) *b = (LBuf){.role = LB_LOCAL, .extent = {.n = 1, .term = {{1, 1}}}};
        if (k == 4) *b = (LBuf){.role = LB_SLAB, .slot = 1};
        if (k == 5) *b = (LBuf){.role = LB_EXAMPLE};
        if (k == 6) lb_if_lt(lb, lb_iconst(lb, 0), lb_op(lb, LOP_DIM, 0, 0, 0, 0));
        if (k == 7) VEC_PUSH(arena, t.p->fn.at[0]->inst).op = LOP_END;
        check(!lprogram_verify(t.p, "test") && diag_count(ctx) == 1, "a broken program", k);
        diag_clear(ctx);
    }
    Bench t = bench(false, 8);
    LIdx i = lidx(0);
    for (uint32_t k = 1; k <= LIDX_TERMS + 1; k++) i = lidx_add(i, lb_op(&t.b, LOP_DIM, 0, 0, 0, k), 1);
    lb_load(&t.b, LOP_LD, t.x, i, 0);
    CHECK(!lprogram_verify(t.p, "test"));
    diag_clear(ctx);
}

static void test_parse_errors(void) {
    static const struct {
        const char *text;
        uint16_t code;
    } bad[] = {
        {"", 750},
        {"program t", 750},
        {"program \"t", 750},
        {"program \"t\\zz\"", 750},
        {"program \"t\" f32 V 17 slots 0", 752},
        {"program \"t\" f32 V 8 slots 99999999999999999999", 752},
        {"program \"t\" f32 V 8 slots 0 buf 1", 752},
        {"program \"t\" f32 V 8 slots 0 buf 0 \"x\" what", 751},
        {"program \"t\" f32 V 8 slots 0 buf 0 \"x\" slab f index 0 extent 1*d99", 752},
        {"program \"t\" f32 V 8 slots 0 buf 0 \"x\" slab f index 0 extent 1+1+1+1+1", 752},
        {"program \"t\" f32 V 8 slots 0 entry 1", 752},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 99999999", 752},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { %1 = frob }", 751},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { %2 = iconst 1 }", 752},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { %1 = libm foo %1 }", 751},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { %1 = ld 4 }", 750},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { %1 = ld #0[%1 + %1 + %1 + %1 + %1] }", 752},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { for", 750},
        {"program \"t\" f32 V 8 slots 0 entry 0 \"r\" values 1 { } junk", 750},
    };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        bool null = parse(bad[k].text) == NULL;
        check(null && diag_count(ctx) == 1 && diag_at(ctx, 0)->code == bad[k].code, bad[k].text, __LINE__);
        diag_clear(ctx);
    }
    CHECK(parse("program \"t\" f32 V 8 slots 0 ; a comment\n") != NULL);
}

/* ---- shadow memory ------------------------------------------------------------------------------------------------------ */

/* a and b are slabs of one slot of 16 floats, c has its own, k is a pack */
static bool shadow_run(const char *body, const char *why) {
    static float mem[4][16];
    Str s = str_make(arena);
    str_put(&s, "program \"t\" f32 V 4 slots 3\n"
                "buf 0 \"x\" input f index 0 extent 2*d0\nbuf 1 \"y\" output f index 0 extent 16\n"
                "buf 2 \"a\" slab f index 0 extent 16 slot 0\nbuf 3 \"b\" slab f index 0 extent 8 slot 0\n"
                "buf 4 \"c\" slab f index 0 extent 16 slot 1\nbuf 5 \"k\" pack f index 0 extent 16 slot 2\n"
                "buf 6 \"l\" local f index 0 extent 4\n"
                "helper 0 \"h\" values 2 (ptr f \"p\") { %1 = ld p$0[0] st l#6[0] %1 }\n"
                "helper 1 \"g\" values 2 (ptr f \"p\") { %1 = ldb p$0[-2] }\n");
    str_put(&s, body);
    LProgram *p = parse(s.at);
    bool valid = p && lprogram_verify(p, "test");
    check(valid, body, __LINE__);
    if (!valid) return false;
    void *buf[7] = {mem[0], mem[1], mem[2], mem[2], mem[3], mem[3], NULL};
    static float pack[16];
    buf[5] = pack;
    dims[0] = 4;
    InterpOptions o = {.shadow = true};
    bool ok = lprogram_interp(p, p->fn.n - 1, buf, dims, NULL, &o);
    bool told = diag_count(ctx) == 1 && diag_at(ctx, 0)->code == 890 && strstr(diag_at(ctx, 0)->text, why);
    check(*why ? !ok && told : ok, body, __LINE__);
    if (*why && ok == false && !told && diag_count(ctx)) printf("  %s\n", diag_at(ctx, 0)->text);
    diag_clear(ctx);
    o.shadow = false;
    return ok;
}

static void test_shadow(void) {
    shadow_run("entry 2 \"r\" values 2 { %1 = ld #0[4] st #1[12] %1 %2 = ld #1[12] }", "");
    shadow_run("entry 2 \"r\" values 2 { %1 = ld #0[5] }", "element 8 of buffer x, which has 8");
    shadow_run("entry 2 \"r\" values 2 { %1 = ldb #0[-1] }", "element -1 of buffer x");
    shadow_run("entry 2 \"r\" values 2 { prefetch #0[999] prefetch #2[0] prefetch #2[-9] }", "");
    shadow_run("entry 2 \"r\" values 2 { prefetch #2[0] %1 = ld #2[0] }", "not written");
    shadow_run("entry 2 \"r\" values 2 { %1 = fconst 1 stt #1[13] %1 3 st #1[13] %1 }", "element 16 of buffer y");
    shadow_run("entry 2 \"r\" values 2 { %1 = ld #1[0] }", "not written");
    shadow_run("entry 2 \"r\" values 2 { %1 = fconst 1 st #2[0] %1 %2 = ld #2[1] }",
               "element 4 of buffer a, which this call has");
    shadow_run("entry 2 \"r\" values 2 { %1 = fconst 1 st #2[0] %1 st #3[0] %1 %2 = ld #3[0] }", "");
    shadow_run("entry 2 \"r\" values 2 { %1 = fconst 1 st #2[0] %1 st1 #3[3] %1 %2 = ld #2[0] }",
               "element 3 of buffer a, where b was written last");
    shadow_run("entry 2 \"r\" values 2 { %1 = ld #5[0] }", "");
    shadow_run("entry 2 \"r\" values 2 { %1 = ld #5[0] st #5[0] %1 }", "not written");
    shadow_run("entry 2 \"r\" values 2 { %1 = fconst 1 st #4[0] %1 call #0(#4[0]) }", "");
    shadow_run("entry 2 \"r\" values 2 { %1 = fconst 1 st #4[0] %1 call #0(#4[2]) }", "element 4 of buffer c");
    shadow_run("entry 2 \"r\" values 2 { call #0(#0[6]) }", "element 8 of buffer x");
    shadow_run("entry 2 \"r\" values 2 { call #1(#0[2]) }", "");
    shadow_run("entry 2 \"r\" values 2 { call #1(#0[1]) }", "element -1 of buffer x");
}

static long allowance, held;
static int unwound;

static void *scarce(void *arg, void *p, size_t n) {
    (void)arg;
    if (n == 0) {
        held -= p != NULL;
        free(p);
        return NULL;
    }
    if (allowance-- <= 0) return NULL;
    held += p == NULL;
    return realloc(p, n);
}

static bool run_faulty(LProgram *p) {
    static float x[64];
    void *buf[1] = {x};
    CtxFrame frame;
    volatile bool wrong = false; /* beside setjmp */
    if (CTX_TRY(ctx, &frame)) {
        wrong = lprogram_interp(p, 0, buf, dims, NULL, &(InterpOptions){.shadow = true});
        CTX_END(ctx);
    } else unwound++;
    return !wrong;
}

/* A fault is told with the n-th allocation failing: the machine unwinds and nothing is left. */
static void test_shadow_memory(void) {
    Ctx *outer = ctx;
    Arena *outer_arena = arena, a;
    bool told = false, clean = true;
    for (long n = 0; n < 50 && !told; n++) {
        allowance = 1 << 20;
        ctx = ctx_make(&(Allocator){scarce, NULL});
        a = arena_make(ctx);
        arena = &a;
        LProgram *p = parse("program \"t\" f32 V 4 slots 1 buf 0 \"x\" input f index 0 extent 8 entry 0 \"r\" values 2 { %1 = ld #0[5] }");
        allowance = n;
        clean &= p && run_faulty(p);
        told = diag_count(ctx) == 1 && diag_at(ctx, 0)->code == 890;
        allowance = 1 << 20;
        arena_free(&a);
        ctx_destroy(ctx);
        clean &= held == 0;
    }
    ctx = outer;
    arena = outer_arena;
    CHECK(told && unwound && clean);
}

/* A LOCAL buffer holds nothing when its function is entered again. */
static void test_local(void) {
    Bench t;
    t.p = program(false, 4);
    lprogram_add_fn(t.p, "h", LFUNC_HELPER);
    uint32_t l = lprogram_add_buf(t.p, "l", LB_LOCAL, LE_F, 0, extent(4));
    LBuilder h = lb_make(t.p, 0);
    LV n = lb_param_int(&h, "n");
    lb_if_lt(&h, n, lb_iconst(&h, 1));
    lb_store(&h, LOP_ST, l, lidx(0), lb_fconst(&h, 1), 0);
    lb_end_if(&h);
    lb_load(&h, LOP_LD, l, lidx(0), 0);
    lprogram_add_fn(t.p, "run", LFUNC_ENTRY);
    t.b = lb_make(t.p, 1);
    LV i = lb_for(&t.b, lb_iconst(&t.b, 0), lb_op(&t.b, LOP_DIM, 0, 0, 0, 0), 1, false, 0, NULL, NULL);
    LArg arg = {0, lidx(0), i};
    lb_call(&t.b, 0, &arg, 1);
    lb_end_for(&t.b, 0, NULL, NULL);
    CHECK(lprogram_verify(t.p, "build"));
    void *buf[1] = {NULL};
    InterpOptions o = {.shadow = true};
    dims[0] = 1;
    CHECK(lprogram_interp(t.p, 1, buf, dims, NULL, &o));
    dims[0] = 2;
    CHECK(!lprogram_interp(t.p, 1, buf, dims, NULL, &o) && strstr(diag_at(ctx, 0)->text, "not written"));
    diag_clear(ctx);
    o.shadow = false;
    CHECK(lprogram_interp(t.p, 1, buf, dims, NULL, &o));
}

static int barriers;
static void count_barrier(void *arg) { barriers += *(int *)arg; }

static void test_env(void) {
    Bench t = bench(false, 4);
    LBuilder *b = &t.b;
    lb_barrier(b);
    LV tid = lb_op(b, LOP_TID, 0, 0, 0, 0), nt = lb_op(b, LOP_NT, 0, 0, 0, 0);
    LV both = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, tid, lb_iconst(b, 10), 0, 0), nt, 0, 0);
    lb_store(b, LOP_STV1, t.v, lidx(0), lb_op(b, LOP_VSPLAT, both, 0, 0, 0), 0);
    lb_barrier(b);
    void *buf[4] = {&X, &Y, &U, &W};
    int one = 1;
    KEnv env = {2, 5, count_barrier, &one};
    CHECK(lprogram_interp(t.p, 0, buf, dims, &env, NULL) && W.i[0] == 25 && barriers == 2);
}

int main(void) {
    ctx = ctx_make(NULL);
    arena = ctx_arena(ctx);
    test_fold();
    test_index();
    test_control();
    test_call(false);
    test_call(true);
    static const int widths[] = {1, 4, 8, 16};
    for (int k = 0; k < 4; k++) {
        test_rows(false, widths[k]);
        test_rows(true, widths[k]);
        test_memory(false, widths[k]);
        test_memory(true, widths[k]);
    }
    test_held();
    test_known_control();
    test_verify();
    test_verify_program();
    test_parse_errors();
    test_shadow();
    test_shadow_memory();
    test_local();
    test_env();
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
