/* test_vmath: accuracy of exp, tanh, sigmoid, log, pow and noise through the interpreter, and SLEEF's names: scalar = vectors, bit
   by bit. `test_vmath N` takes every Nth float instead of every 4099th and prints the errors. */
#include "ir/graph.h"
#include "ir/loop.h"
#include "ir/sleef.h"

#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_VECTORS 1
#endif

static int passed, failed;
static Ctx *ctx;

static void check(bool ok, const char *what, double got, int line) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("test_vmath.c:%d: FAILED: %s (%.9g)\n", line, what, got);
}
#define CHECK(e) check((e), #e, 0, __LINE__)

enum { BLOCK = 4096 };
static float X[BLOCK], X2[BLOCK], Y[BLOCK];
static double XD[BLOCK], XD2[BLOCK], YD[BLOCK];

static LExtent extent(int64_t n) {
    LExtent e = {.n = 1};
    e.term[0].coef = n;
    return e;
}

typedef enum { F_EXP, F_TANH, F_SIGMOID, F_LOG, F_LOG1P, F_POW, F_SIN, F_COS, F_EXPM1, F_ERF } Fun;

/* y[k] = fun(x[k], x2[k]) over a block */
static LProgram *program(Arena *a, Fun fun, MathTier tier, bool f64, const double *power) {
    LProgram *p = lprogram_make(ctx, a, intern(ctx, "vmath"), f64, f64 ? 8 : 16);
    uint32_t x = lprogram_add_buf(p, "x", LB_INPUT, LE_F, 0, extent(BLOCK));
    uint32_t x2 = lprogram_add_buf(p, "x2", LB_INPUT, LE_F, 1, extent(BLOCK));
    uint32_t y = lprogram_add_buf(p, "y", LB_OUTPUT, LE_F, 0, extent(BLOCK));
    lprogram_add_fn(p, "run", LFUNC_ENTRY);
    LBuilder b = lb_make(p, 0);
    LV lo = lb_iconst(&b, 0);
    LV i = lb_for(&b, lo, lb_iconst(&b, BLOCK), p->V, false, 0, NULL, NULL);
    LIdx at = lb_idx_term(&b, lidx(0), i, 1);
    LV u = lb_load(&b, LOP_LD, x, at, 0), v = lb_load(&b, LOP_LD, x2, at, 0), r = 0;
    if (fun == F_EXP) r = lb_exp(&b, tier, u);
    if (fun == F_TANH) r = lb_tanh(&b, tier, u);
    if (fun == F_SIGMOID) r = lb_sigmoid(&b, tier, u);
    if (fun == F_LOG) r = lb_log(&b, tier, u);
    if (fun == F_LOG1P) r = lb_log1p(&b, tier, u);
    if (fun == F_POW) r = lb_pow(&b, tier, u, power ? lb_fconst(&b, *power) : v);
    if (fun == F_SIN) r = lb_sin(&b, tier, u);
    if (fun == F_COS) r = lb_cos(&b, tier, u);
    if (fun == F_EXPM1) r = lb_expm1(&b, tier, u);
    if (fun == F_ERF) r = lb_erf(&b, tier, u);
    lb_store(&b, LOP_ST, y, at, r, 0);
    lb_end_for(&b, 0, NULL, NULL);
    CHECK(lprogram_verify(p, "vmath"));
    return p;
}

static void run(const LProgram *p) {
    void *f[3] = {X, X2, Y}, *d[3] = {XD, XD2, YD};
    int64_t dims[LDIM_COUNT] = {0};
    lprogram_interp(p, 0, p->f64 ? d : f, dims, NULL, NULL);
}

static float from_bits(uint32_t w) {
    float f;
    memcpy(&f, &w, sizeof f);
    return f;
}

static uint32_t to_bits(float f) {
    uint32_t w;
    memcpy(&w, &f, sizeof w);
    return w;
}

static double reference(Fun fun, double x, double y) {
    if (fun == F_EXP) return exp(x);
    if (fun == F_TANH) return tanh(x);
    if (fun == F_SIGMOID) return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    if (fun == F_LOG) return log(x);
    if (fun == F_LOG1P) return log1p(x);
    if (fun == F_POW) return pow(x, y);
    if (fun == F_COS) return cos(x);
    if (fun == F_EXPM1) return expm1(x);
    if (fun == F_ERF) return erf(x);
    return sin(x);
}

/* |y - exact| in units of the last place of the float nearest to exact */
static double ulps(float y, double exact) {
    int e;
    if (y != y || isinf(y)) return (y != y && exact != exact) || (double)y == exact || (float)exact == y ? 0 : 1e30;
    frexp(exact, &e);
    return fabs((double)y - exact) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

/* The largest error over the floats of |x| in [lo, hi], both signs where `minus`, every `step`th bit pattern. */
static double worst(Fun fun, MathTier tier, float lo, float hi, bool minus, uint32_t step) {
    Arena a = arena_make(ctx);
    LProgram *p = program(&a, fun, tier, false, NULL);
    double max = 0;
    uint64_t end = to_bits(hi);
    for (int sign = 0; sign < 1 + minus; sign++)
        for (uint64_t w = to_bits(lo); w <= end;) {
            for (int n = 0; n < BLOCK; n++, w += step) X[n] = from_bits((uint32_t)(w < end ? w : end) | (uint32_t)sign << 31);
            run(p);
            for (int n = 0; n < BLOCK; n++) {
                double u = ulps(Y[n], reference(fun, (double)X[n], 0));
                if (u > max) max = u;
            }
        }
    arena_free(&a);
    return max;
}

static void test_accuracy(uint32_t step, bool print) {
    static const struct {
        const char *what;
        Fun fun;
        MathTier tier;
        float lo, hi;
        bool minus;
        double bound;
    } rows[] = {
        {"tanh fast", F_TANH, MATH_FAST, 0x1p-40f, 12, true, 2.51},
        {"tanh precise", F_TANH, MATH_PRECISE, 0x1p-40f, 12, true, 0.88},
        {"sigmoid fast", F_SIGMOID, MATH_FAST, 0x1p-40f, 86.9f, true, 2.45},
        {"sigmoid precise", F_SIGMOID, MATH_PRECISE, 0x1p-40f, 86.9f, true, 0.97},
        {"exp fast", F_EXP, MATH_FAST, 0x1p-40f, 86.9f, true, 1.02},
        {"exp precise", F_EXP, MATH_PRECISE, 0x1p-40f, 86.9f, true, 0.70},
        {"exp fast, to the ends", F_EXP, MATH_FAST, 86.9f, 104, true, 1.02},
        {"exp precise, to the ends", F_EXP, MATH_PRECISE, 86.9f, 104, true, 0.80},
        {"log", F_LOG, MATH_FAST, 0x1p-149f, 3.4028235e38f, false, 0.95},
        {"log near 1", F_LOG, MATH_FAST, 0.5f, 2, false, 0.95},
        {"log1p", F_LOG1P, MATH_FAST, 0x1p-149f, 0.9999f, true, 1.5},
        {"log1p, large", F_LOG1P, MATH_FAST, 0.9999f, 3.4028235e38f, false, 1.5},
        {"tanh sleef", F_TANH, MATH_SLEEF, 0x1p-40f, 12, true, 1.01},
        {"exp sleef", F_EXP, MATH_SLEEF, 0x1p-40f, 86.9f, true, 1.01},
        {"sigmoid sleef", F_SIGMOID, MATH_SLEEF, 0x1p-40f, 86.9f, true, 2.5},
        {"sin", F_SIN, MATH_FAST, 0x1p-149f, 65536, true, 1.01},
        {"sin, large", F_SIN, MATH_FAST, 65536, 3.4028235e38f, true, 1.01},
        {"sin sleef", F_SIN, MATH_SLEEF, 0x1p-40f, 1000, true, 1.01},
        {"cos", F_COS, MATH_FAST, 0x1p-149f, 65536, true, 1.01},
        {"cos, large", F_COS, MATH_FAST, 65536, 3.4028235e38f, true, 1.01},
        {"expm1", F_EXPM1, MATH_FAST, 0x1p-149f, 104, true, 1.5},
        {"erf", F_ERF, MATH_FAST, 0x1p-149f, 5, true, 1.2},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        double e = worst(rows[k].fun, rows[k].tier, rows[k].lo, rows[k].hi, rows[k].minus, step);
        check(e <= rows[k].bound, rows[k].what, e, __LINE__);
        if (print) printf("%-26s %.4f ulp\n", rows[k].what, e);
    }
}

static long double reference_f64(Fun fun, long double x) {
    if (fun == F_EXP) return expl(x);
    if (fun == F_TANH) return tanhl(x);
    if (fun == F_SIGMOID) return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
    if (fun == F_LOG) return logl(x);
    if (fun == F_LOG1P) return log1pl(x);
    if (fun == F_SIN) return sinl(x);
    if (fun == F_COS) return cosl(x);
    if (fun == F_ERF) return erfl(x);
    return expm1l(x);
}

static long double ulps_f64(double y, long double exact) {
    int e;
    (void)frexpl(exact, &e);
    return fabsl((long double)y - exact) / ldexpl(1, (e < -1021 ? -1021 : e) - 53);
}

/* The largest error over n doubles of |x| in [lo, hi], spread over their bits, both signs where `minus`. */
static double worst_f64(Fun fun, double lo, double hi, bool minus, int n) {
    Arena a = arena_make(ctx);
    LProgram *p = program(&a, fun, MATH_FAST, true, NULL);
    uint64_t from, to, state = 1;
    long double max = 0;
    memcpy(&from, &lo, sizeof lo);
    memcpy(&to, &hi, sizeof hi);
    for (int k = 0; k < n; k += BLOCK) {
        for (int i = 0; i < BLOCK; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            uint64_t w = from + (uint64_t)((double)(state >> 11) * 0x1p-53 * (double)(to - from));
            memcpy(&XD[i], &w, sizeof w);
            if (minus && state >> 3 & 1) XD[i] = -XD[i];
        }
        run(p);
        for (int i = 0; i < BLOCK; i++) {
            long double u = ulps_f64(YD[i], reference_f64(fun, (long double)XD[i]));
            if (!(u <= max)) max = u;
        }
    }
    arena_free(&a);
    return (double)max;
}

static void test_accuracy_f64(bool print) {
    static const struct {
        const char *what;
        Fun fun;
        double lo, hi;
        bool minus;
        double bound;
    } rows[] = {
        {"exp f64", F_EXP, 0x1p-60, 709, true, 1.1},       {"exp f64, near 1", F_EXP, 0x1p-4, 8, true, 1.1},
        {"tanh f64", F_TANH, 0x1p-100, 21, true, 2.5},     {"tanh f64, near 1", F_TANH, 0x1p-4, 8, true, 2.5},
        {"sigmoid f64", F_SIGMOID, 0x1p-60, 707, true, 2.5}, {"sigmoid f64, near 1", F_SIGMOID, 0x1p-4, 8, true, 2.5},
        {"log f64", F_LOG, 0x1p-1074, 1.7e308, false, 1},  {"log f64, near 1", F_LOG, 0.5, 2, false, 1},
        {"log1p f64", F_LOG1P, 0x1p-80, 0.9999, true, 1.5}, {"expm1 f64", F_EXPM1, 0x1p-60, 709, true, 2},
        {"expm1 f64, near 1", F_EXPM1, 0x1p-4, 8, true, 2}, {"erf f64", F_ERF, 0x1p-1000, 6.5, true, 1.3},
        {"erf f64, near 1", F_ERF, 0x1p-4, 6, true, 1.3},   {"sin f64", F_SIN, 0x1p-1000, 0x1p19, true, 0.85},
        {"sin f64, near 1", F_SIN, 0x1p-4, 128, true, 0.85},   {"sin f64, large", F_SIN, 0x1p19, 1.7e308, true, 0.85},
        {"cos f64", F_COS, 0x1p-1000, 0x1p19, true, 0.85},     {"cos f64, near 1", F_COS, 0x1p-4, 128, true, 0.85},
        {"cos f64, large", F_COS, 0x1p19, 1.7e308, true, 0.85},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        double e = worst_f64(rows[k].fun, rows[k].lo, rows[k].hi, rows[k].minus, print ? 4000000 : 40000);
        check(e <= rows[k].bound, rows[k].what, e, __LINE__);
        if (print) printf("%-26s %.4f ulp\n", rows[k].what, e);
    }
}

static bool alike(double a, double b) { return (a != a && b != b) || (a == b && !signbit(a) == !signbit(b)); }

static void test_special(void) {
    const double inf = INFINITY, nan_ = NAN;
    const struct {
        Fun fun;
        double x, y;
    } rows[] = {
        {F_EXP, inf, inf},    {F_EXP, -inf, 0},      {F_EXP, nan_, nan_},     {F_EXP, 0, 1},        {F_EXP, -0.0, 1},
        {F_EXP, 88.73, inf},  {F_EXP, 1e30, inf},    {F_EXP, -104, 0},        {F_EXP, -1e30, 0},    {F_TANH, 0, 0},
        {F_TANH, -0.0, -0.0}, {F_TANH, inf, 1},      {F_TANH, -inf, -1},      {F_TANH, nan_, nan_}, {F_TANH, 1e30, 1},
        {F_SIGMOID, 0, 0.5},  {F_SIGMOID, inf, 1},   {F_SIGMOID, nan_, nan_}, {F_SIGMOID, 100, 1},  {F_LOG, 0, -inf},
        {F_LOG, -0.0, -inf},  {F_LOG, -1, nan_},     {F_LOG, -inf, nan_},     {F_LOG, inf, inf},    {F_LOG, nan_, nan_},
        {F_LOG, 1, 0},        {F_LOG, -1e-40, nan_},
    };
    for (MathTier tier = MATH_FAST; tier <= MATH_SLEEF; tier++)
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            Arena a = arena_make(ctx);
            X[0] = (float)rows[k].x;
            run(program(&a, rows[k].fun, tier, false, NULL));
            check(alike((double)Y[0], rows[k].y), "special value", (double)Y[0] + 1000 * (double)k, __LINE__);
            XD[0] = rows[k].x == 88.73 ? 709.8 : rows[k].x == -104 ? -746 : rows[k].x == 100 ? 40 : rows[k].x;
            run(program(&a, rows[k].fun, tier, true, NULL));
            check(alike(YD[0], rows[k].y), "special value, f64", YD[0] + 1000 * (double)k, __LINE__);
            arena_free(&a);
        }
    Arena a = arena_make(ctx);
    X[0] = -INFINITY;
    X[1] = -1000;
    run(program(&a, F_SIGMOID, MATH_FAST, false, NULL));
    CHECK(Y[0] > 0 && Y[0] < 2e-38f && Y[0] == Y[1]);
    XD[0] = -1000, XD[1] = -30, XD[2] = 30;
    run(program(&a, F_SIGMOID, MATH_FAST, true, NULL));
    CHECK(YD[0] > 0 && YD[0] < 4e-308 && fabs(YD[1] / 9.357622968839299e-14 - 1) < 1e-15 && YD[2] < 1 && YD[2] > 1 - 1e-13);
    arena_free(&a);
}

/* ---- pow ---------------------------------------------------------------------------------------------------------------- */

static uint32_t state = 12345;
static uint32_t next(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void test_pow_f32(void) {
    Arena a = arena_make(ctx);
    LProgram *p = program(&a, F_POW, MATH_FAST, false, NULL);
    double max = 0, edge = 0;
    for (int block = 0; block < 40; block++) {
        for (int k = 0; k < BLOCK; k++) {
            bool large = block % 2;
            X2[k] = (float)(int32_t)(large ? next() % 2000001 : next() % 41) - (large ? 1e6f : 20);
            X[k] = large ? 1 + (float)(int32_t)(next() % 20001 - 10000u) * 1e-9f * 32
                         : (float)(int32_t)(next() % 20001 - 10000u) * 1e-3f;
            if (block % 4 == 1) X[k] = 1 - (float)(next() % 1000) * 1e-7f;
        }
        run(p);
        for (int k = 0; k < BLOCK; k++) {
            double want = pow((double)X[k], (double)X2[k]);
            if (X2[k] < 0 && fabs(want) < 0x1p-126) continue; /* 1 / overflow: see below */
            double u = ulps(Y[k], want);
            double *m = fabs(log2(fabs(want))) > 100 ? &edge : &max;
            if (u > *m) *m = u;
        }
    }
    check(max <= 1.0, "pow f32", max, __LINE__);
    check(edge <= 3.0, "pow f32, near the ends", edge, __LINE__);
    static const double cases[][3] = {{2, 0.5, 1.41421356f},
                                      {NAN, 0, 1},
                                      {-2, 3, -8},
                                      {0, -1, INFINITY},
                                      {-0.0, -1, -INFINITY},
                                      {-0.0, -2, INFINITY},
                                      {10, 38, 1e38f},
                                      {10, 39, INFINITY},
                                      {10, -50, 0},
                                      {INFINITY, 2, INFINITY},
                                      {INFINITY, -3, 0},
                                      {-INFINITY, -3, -0.0},
                                      {NAN, 2, NAN},
                                      {1, NAN, 1},
                                      {-8, 1.5, NAN},
                                      {0.5, INFINITY, 0},
                                      {2, 16777216, INFINITY},
                                      {1e-20f, 2, 1e-40f},
                                      {-1, 16777215, -1},
                                      {3, 1, 3}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        X[0] = (float)cases[k][0];
        X2[0] = (float)cases[k][1];
        run(p);
        check(alike((double)Y[0], (double)(float)cases[k][2]), "pow case", (double)k, __LINE__);
        double power = (double)X2[0];
        float by_loop = Y[0];
        run(program(&a, F_POW, MATH_FAST, false, &power));
        check(alike((double)Y[0], (double)by_loop), "pow by a constant", (double)k, __LINE__);
    }
    arena_free(&a);
}

/* Exponents that are no integers: to within [2^-126, 2^127], and beyond the ends. */
static void test_pow_real(void) {
    Arena a = arena_make(ctx);
    LProgram *p = program(&a, F_POW, MATH_FAST, false, NULL);
    double max = 0, tiny = 0;
    for (int block = 0; block < 100; block++) {
        for (int k = 0; k < BLOCK; k++) {
            double e = ldexp((double)next(), -31) - 1, y = ldexp((double)next(), -31) - 1;
            X[k] = (float)(block % 3 == 0 ? exp2(127 * e) : block % 3 == 1 ? 1 + e * 0.4 : 1 + ldexp(e, -(int)(next() % 24)));
            X2[k] = (float)(y * (block % 2 ? 140 / fabs(log2((double)X[k]) + 1e-12) : 4));
        }
        run(p);
        for (int k = 0; k < BLOCK; k++) {
            double want = pow((double)X[k], (double)X2[k]), u = ulps(Y[k], want), *m = fabs(want) < 0x1p-126 ? &tiny : &max;
            if (X2[k] == floorf(X2[k])) continue;
            if (u > *m) *m = u;
        }
    }
    check(max <= 0.7, "pow f32 of real exponents", max, __LINE__);
    check(tiny <= 0.8, "pow f32 of real exponents, denormal", tiny, __LINE__);
    static const float x[] = {0, -0.0f, 1, -1, 2, -2, 0.5f, -0.5f, INFINITY, -INFINITY, NAN, 1e-40f, -3, 3.4e38f};
    static const float y[] = {0.5f, -0.5f, 1.5f, -1.5f, INFINITY, -INFINITY, NAN, 16777216, -16777216, 1e30f, -1e30f, 0, 1e-40f, 0.25f};
    enum { N = sizeof x / sizeof *x };
    for (int k = 0; k < N * N; k++) {
        X[k] = x[k / N];
        X2[k] = y[k % N];
    }
    run(p);
    for (int k = 0; k < N * N; k++) {
        double want = pow((double)X[k], (double)X2[k]);
        check(fabs(want) < 1e38 && want != 0 ? ulps(Y[k], want) <= 1.6 : alike((double)Y[k], (double)(float)want), "pow of a real exponent, case", k, __LINE__);
    }
    arena_free(&a);
}

/* The same in double precision, where numbers from 2^24 on may be odd. */
static void test_pow_f64(bool print) {
    Arena a = arena_make(ctx);
    LProgram *p = program(&a, F_POW, MATH_FAST, true, NULL);
    long double max = 0, tiny = 0;
    for (int block = 0; block < (print ? 2000 : 50); block++) {
        for (int k = 0; k < BLOCK; k++) {
            double e = ldexp((double)next(), -31) - 1 + ldexp((double)next(), -53), y = ldexp((double)next(), -31) - 1;
            XD[k] = block % 3 == 0 ? exp2(1000 * e) : block % 3 == 1 ? 1 + e * 0.4 : 1 + ldexp(e, -(int)(next() % 52));
            XD2[k] = y * (block % 2 ? 1070 / fabs(log2(XD[k]) + 1e-12) : 4);
        }
        run(p);
        for (int k = 0; k < BLOCK; k++) {
            long double want = powl((long double)XD[k], (long double)XD2[k]), *m = want < 0x1p-1022L ? &tiny : &max;
            if (XD2[k] == floor(XD2[k]) || want > 0x1.fp1023L || want < 0x1p-1070L) continue;
            long double u = ulps_f64(YD[k], want);
            if (!(u <= *m)) *m = u;
        }
    }
    check(max <= 0.8L, "pow f64 of real exponents", (double)max, __LINE__);
    check(tiny <= 0.9L, "pow f64 of real exponents, denormal", (double)tiny, __LINE__);
    if (print) printf("%-26s %.4Lf ulp, denormal %.4Lf\n", "pow f64", max, tiny);
    static const double x[] = {0, -0.0, 1, -1, 2, -2, 0.5, -0.5, INFINITY, -INFINITY, NAN, 1e-310, -3, 1.7e308, -1.0000001, -0.9999999};
    static const double y[] = {0.5,       -0.5,  1.5,   -1.5, INFINITY, -INFINITY, NAN,        16777216,        16777217,
                               -16777217, 1e300, 1e-310, 0,   0.25,     33554433,  -33554434, 9007199254740991, 9007199254740992};
    enum { NX = sizeof x / sizeof *x, NY = sizeof y / sizeof *y };
    for (int k = 0; k < NX * NY; k++) XD[k] = x[k / NY], XD2[k] = y[k % NY];
    run(p);
    for (int k = 0; k < NX * NY; k++) {
        double want = pow(XD[k], XD2[k]);
        bool ok = fabs(want) < INFINITY && want != 0 ? fabs(YD[k] - want) <= 1e-15 * fabs(want) : alike(YD[k], want);
        check(ok, "pow f64, case", k, __LINE__);
    }
    arena_free(&a);
}

/* A constant exponent gives the bits of the loop. */
static void test_pow_const(void) {
    static const double powers[] = {-3, 0, 1, 2, 3, 7, 20, 1000, 0.5, 16777215, 16777217};
    for (size_t q = 0; q < sizeof powers / sizeof *powers; q++)
        for (int f64 = 0; f64 < 2; f64++) {
            Arena a = arena_make(ctx);
            static float keep[BLOCK];
            static double keep_d[BLOCK];
            for (int k = 0; k < BLOCK; k++) {
                X[k] = 0.5f + (float)(next() % 100000) * 1e-5f;
                XD[k] = (double)X[k];
                X2[k] = (float)powers[q];
                XD2[k] = powers[q];
            }
            run(program(&a, F_POW, MATH_FAST, f64, NULL));
            memcpy(keep, Y, sizeof keep);
            memcpy(keep_d, YD, sizeof keep_d);
            run(program(&a, F_POW, MATH_FAST, f64, &powers[q]));
            CHECK(f64 ? memcmp(keep_d, YD, sizeof keep_d) == 0 : memcmp(keep, Y, sizeof keep) == 0);
            arena_free(&a);
        }
}

/* ---- noise -------------------------------------------------------------------------------------------------------------- */

static void test_noise(bool f64, MathTier tier) {
    Arena a = arena_make(ctx);
    LProgram *p = lprogram_make(ctx, &a, intern(ctx, "noise"), f64, 8);
    uint32_t y = lprogram_add_buf(p, "y", LB_OUTPUT, LE_F, 0, extent(BLOCK));
    lprogram_add_fn(p, "run", LFUNC_ENTRY);
    LBuilder b = lb_make(p, 0);
    uint64_t seed = UINT64_C(0xfedcba9876543210);
    LV lo = lb_iconst(&b, 0);
    LV hi = lb_iconst(&b, BLOCK / 2);
    LV i = lb_for(&b, lo, hi, 8, false, 0, NULL, NULL);
    LV base = lb_op(&b, LOP_VSPLAT, i, 0, 0, 0);
    LNoise n;
    n.seed_lo = lb_op(&b, LOP_VCONST, 0, 0, 0, 0x76543210);
    n.seed_hi = lb_op(&b, LOP_VCONST, 0, 0, 0, (int32_t)0xfedcba98);
    n.update = lb_op(&b, LOP_VCONST, 0, 0, 0, 77);
    n.stream = lb_op(&b, LOP_VCONST, 0, 0, 0, 5);
    n.step = lb_op(&b, LOP_VCONST, 0, 0, 0, (int32_t)0x9e3779b9);
    n.example = lb_op(&b, LOP_VCONST, 0, 0, 0, 42);
    n.element = lb_op(&b, LOP_VADD, base, lb_op(&b, LOP_VIOTA, 0, 0, 0, 0), 0, 0);
    lb_store(&b, LOP_ST, y, lb_idx_term(&b, lidx(0), i, 1), lb_noise_uniform(&b, &n), 0);
    lb_store(&b, LOP_ST, y, lb_idx_term(&b, lidx(BLOCK / 2), i, 1), lb_noise_normal(&b, tier, &n), 0);
    lb_end_for(&b, 0, NULL, NULL);
    CHECK(lprogram_verify(p, "noise"));
    void *buf[1] = {f64 ? (void *)YD : (void *)Y};
    int64_t dims[LDIM_COUNT] = {0};
    lprogram_interp(p, 0, buf, dims, NULL, NULL);
    bool same = true;
    double max = 0, mean = 0, var = 0;
    for (uint32_t k = 0; k < BLOCK / 2; k++) {
        double u = f64 ? YD[k] : (double)Y[k], g = f64 ? YD[BLOCK / 2 + k] : (double)Y[BLOCK / 2 + k];
        same &= u == noise_uniform(seed, 77, 5, 0x9e3779b9, 42, k);
        double e = fabs(g - noise_normal(seed, 77, 5, 0x9e3779b9, 42, k));
        if (e > max) max = e;
        mean += g / (BLOCK / 2);
        var += g * g / (BLOCK / 2);
    }
    CHECK(same);
    check(max < (f64 ? 1e-14 : 2e-6), "normal as the evaluator's", max, __LINE__);
    check(fabs(mean) < 0.1 && fabs(var - 1) < 0.15, "normal is standard", var, __LINE__);
    arena_free(&a);
}

/* ---- SLEEF -------------------------------------------------------------------------------------------------------------- */

#ifdef HAVE_VECTORS
typedef void Symbol(void);
#define CALL(NAME, ISA, VT, T, LOAD, STORE) \
    __attribute__((target(ISA))) static void NAME(Symbol *f, int args, const T *x, const T *y, T *r) { \
        VT a = LOAD(x), b = LOAD(y); \
        STORE(r, args == 1 ? ((VT(*)(VT))f)(a) : ((VT(*)(VT, VT))f)(a, b)); \
    }
CALL(call_f4, "sse2", __m128, float, _mm_loadu_ps, _mm_storeu_ps)
CALL(call_f8, "avx", __m256, float, _mm256_loadu_ps, _mm256_storeu_ps)
CALL(call_f16, "avx512f", __m512, float, _mm512_loadu_ps, _mm512_storeu_ps)
CALL(call_d2, "sse2", __m128d, double, _mm_loadu_pd, _mm_storeu_pd)
CALL(call_d4, "avx", __m256d, double, _mm256_loadu_pd, _mm256_storeu_pd)
CALL(call_d8, "avx512f", __m512d, double, _mm512_loadu_pd, _mm512_storeu_pd)

static bool same_f32(void *lib, LFn fn, int lanes, float *x, float *y) {
    char name[SLEEF_NAME];
    void *s = dlsym(lib, sleef_symbol(fn, false, lanes, sleef_host_fma(), name));
    Symbol *f;
    memcpy(&f, &s, sizeof f);
    if (!f) return false;
    for (int k = 0; k < BLOCK; k += lanes) {
        float r[16];
        if (lanes == 4) call_f4(f, lfn_info[fn].args, x + k, y + k, r);
        if (lanes == 8) call_f8(f, lfn_info[fn].args, x + k, y + k, r);
        if (lanes == 16) call_f16(f, lfn_info[fn].args, x + k, y + k, r);
        for (int l = 0; l < lanes; l++)
            if (!alike((double)r[l], (double)sleef_f32(fn, x[k + l], y[k + l]))) {
                printf("%s(%a, %a): %a %a\n", name, (double)x[k + l], (double)y[k + l], (double)r[l],
                       (double)sleef_f32(fn, x[k + l], y[k + l]));
                return false;
            }
    }
    return true;
}

static bool same_f64(void *lib, LFn fn, int lanes, double *x, double *y) {
    char name[SLEEF_NAME];
    void *s = dlsym(lib, sleef_symbol(fn, true, lanes, sleef_host_fma(), name));
    Symbol *f;
    memcpy(&f, &s, sizeof f);
    if (!f) return false;
    for (int k = 0; k < BLOCK; k += lanes) {
        double r[8];
        if (lanes == 2) call_d2(f, lfn_info[fn].args, x + k, y + k, r);
        if (lanes == 4) call_d4(f, lfn_info[fn].args, x + k, y + k, r);
        if (lanes == 8) call_d8(f, lfn_info[fn].args, x + k, y + k, r);
        for (int l = 0; l < lanes; l++)
            if (!alike(r[l], sleef_f64(fn, x[k + l], y[k + l]))) {
                printf("%s(%a, %a): %a %a\n", name, x[k + l], y[k + l], r[l], sleef_f64(fn, x[k + l], y[k + l]));
                return false;
            }
    }
    return true;
}

static double any_bits(double near) {
    static const double special[] = {0,         -0.0,      INFINITY, -INFINITY, NAN,      0x1p-149,
                                     -0x1p-149, 0x1p-1074, 1,        -1,        0x1p-126, 3.4e38};
    uint32_t w = next();
    double d;
    if (w % 37 == 0) return special[next() % 12];
    if (w % 3 == 0) return near * ((double)next() / 2147483648.0 - 1);
    if (w % 3 == 1) return (double)from_bits(next());
    uint64_t bits = (uint64_t)next() << 32 | next();
    memcpy(&d, &bits, sizeof d);
    return d;
}

static void test_sleef(void) {
    void *lib = dlopen(NULL, RTLD_NOW);
    bool wide = __builtin_cpu_supports("avx512f") && sleef_host_fma();
    static const double near[] = {2, 20, 100, 1000};
    for (int k = 0; k < LFN_COUNT; k++)
        for (int round = 0; round < 8; round++) {
            LFn fn = (LFn)k;
            for (int i = 0; i < BLOCK; i++) {
                XD[i] = any_bits(near[round % 4]);
                XD2[i] = any_bits(near[round / 2]);
                X[i] = (float)XD[i];
                X2[i] = (float)XD2[i];
            }
            for (int lanes = 4; lanes <= (wide ? 16 : __builtin_cpu_supports("avx") ? 8 : 4); lanes *= 2) {
                check(same_f32(lib, fn, lanes, X, X2), lfn_info[fn].cname, lanes, __LINE__);
                check(same_f64(lib, fn, lanes / 2, XD, XD2), lfn_info[fn].cname, lanes / 2, __LINE__);
            }
        }
}
#else
static void test_sleef(void) {}
#endif

static void test_names(void) {
    char name[SLEEF_NAME];
    CHECK(strcmp(sleef_symbol(LFN_EXP, false, 8, true, name), "Sleef_finz_expf8_u10avx2") == 0);
    CHECK(strcmp(sleef_symbol(LFN_POW, true, 1, false, name), "Sleef_cinz_powd1_u10purec") == 0);
    CHECK(*sleef_symbol(LFN_POW, true, 16, true, name) == 0 && *sleef_symbol(LFN_POW, false, 16, false, name) == 0);
    for (int k = 0; k < LFN_COUNT; k++)
        for (int v = 0; v < 4; v++) CHECK(sleef_scalar_address(sleef_symbol((LFn)k, v & 1, 1, v & 2, name)) != NULL);
    CHECK(sleef_scalar_address("Sleef_nothing") == NULL);
}

int main(int argc, char **argv) {
    uint32_t step = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    ctx = ctx_make(NULL);
    test_accuracy(step ? step : 4099, step != 0);
    if (LDBL_MANT_DIG > 53) test_accuracy_f64(step != 0); /* else nothing here knows better */
    test_special();
    test_pow_f32();
    test_pow_real();
    if (LDBL_MANT_DIG > 53) test_pow_f64(step != 0);
    test_pow_const();
    test_noise(false, MATH_FAST);
    test_noise(false, MATH_SLEEF);
    test_noise(true, MATH_FAST);
    test_names();
    test_sleef();
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
