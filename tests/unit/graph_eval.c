/* The evaluator and noise against values computed by hand; dead code and copies. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/graph_test.h"

static EvalIn in;
static const double *val[16];
static const double *out[16];

static bool eval(void) {
    in.input = val;
    if (!module_verify(m, "test")) return false;
    return module_eval(m, &arena, &in, out);
}

static bool same(const double *a, const double *b, int n) {
    for (int i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-12 * (1 + fabs(b[i])))) {
            printf("  element %d: %g instead of %g\n", i, a[i], b[i]);
            return false;
        }
    return true;
}

#define EXPECT(i, what, ...) \
    check(same(out[i], (const double[]){__VA_ARGS__}, (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double))), what)

void start(int64_t b, int64_t t) {
    fresh();
    memset(&in, 0, sizeof in);
    memset(val, 0, sizeof val);
    in.axis[0] = b;
    in.axis[1] = in.axis[2] = t;
}

static void keep(Ref r) { graph_root(g, ROOT_OUTPUT, nm("y"), r, 0); }

static double reference(Op op, double a, double b) {
    if (op == OP_SIGMOID) return 1 / (1 + exp(-a));
    if (op == OP_TANH) return (exp(2 * a) - 1) / (exp(2 * a) + 1);
    if (op == OP_EXPM1) return exp(a) - 1;
    if (op == OP_LOG1P) return log(1 + a);
    if (op == OP_NEG) return -a;
    if (op == OP_ABS) return a < 0 ? -a : a;
    if (op == OP_FLOOR) return floor(a);
    if (op == OP_SQRT) return pow(a, 0.5);
    if (op == OP_EXP) return exp(a);
    if (op == OP_LOG) return log(a);
    if (op == OP_SIN) return cos(a - 1.5707963267948966);
    if (op == OP_COS) return sin(a + 1.5707963267948966);
    if (op == OP_ERF) return 1 - erfc(a);
    if (op == OP_STOP || op == OP_CAST || op == OP_VIA || op == OP_SURROGATE) return a;
    if (op == OP_ADD) return a + b;
    if (op == OP_SUB) return a - b;
    if (op == OP_MUL) return a * b;
    if (op == OP_DIV) return a / b;
    if (op == OP_POW) return exp(b * log(a));
    if (op == OP_MAX) return fmax(a, b);
    if (op == OP_MIN) return fmin(a, b);
    if (op == OP_LT) return a < b;
    if (op == OP_LE) return a <= b;
    return a == b;
}

void test_eval_elementwise(void) {
    static const double x[] = {0.25, 1.5, 2, 0.75, 3, 1}, y[] = {1, 1.5, 0.5, 2, 3, 0.125};

    for (int op = OP_NEG; op < OP_SELECT; op++) {
        double want[6];
        start(3, 0);
        Ref a = g_input(g, input("x", DT_F, 1, 1, 2, 0)), b = g_input(g, input("y", DT_F, 1, 1, 2, 0)), r;
        if (op == OP_NOT || op == OP_AND || op == OP_OR || op == OP_CAST) continue;
        r = op_info[op].arity == 1 ? g_un(g, (Op)op, a) : g_bin(g, (Op)op, a, b);
        keep(g_cast(g, r, DT_F));
        val[0] = x;
        val[1] = y;
        for (int i = 0; i < 6; i++) want[i] = reference((Op)op, x[i], y[i]);
        check(eval() && same(out[0], want, 6), op_info[op].text);
    }
    start(2, 0);
    Ref a = g_input(g, input("x", DT_B, 1, 0, 0, 0)), b = g_input(g, input("y", DT_F, 0, 1, 3, 0)),
        c = g_input(g, input("z", DT_F, 1, 1, 3, 0));
    keep(g_select(g, a, b, c));
    keep(g_un(g, OP_NOT, a));
    keep(g_bin(g, OP_OR, a, g_bin(g, OP_LT, g_sum(g, c, 0, 1), g_const(g, 100))));
    val[0] = (const double[]){1, 0};
    val[1] = (const double[]){1, 2, 3};
    val[2] = (const double[]){4, 5, 6, 7, 8, 90};
    check(eval(), "select evaluates");
    EXPECT(0, "select", 1, 2, 3, 7, 8, 90);
    EXPECT(1, "not", 0, 1);
    EXPECT(2, "or", 1, 0);
}

void test_eval_reduce(void) {
    start(2, 3);
    uint32_t T = time_axis("T", true);
    Ref x = g_input(g, input("x", DT_F, AX(T) | 1, 1, 2, 0));
    static const double X[] = {1, 2, 3, 4, 5, 60, 100, 100, 7, 8, 100, 100}; /* [T=3][B=2][2]; lengths 3, 1 */

    keep(g_sum(g, x, AX(T), 0));
    keep(g_sum(g, x, AX(T) | 1, 0));
    keep(g_sum(g, x, 1, 0));
    keep(g_sum(g, x, 0, 1));
    keep(g_amax(g, x, AX(T), 1));
    keep(g_cast(g, g_argmax(g, x, 0), DT_F));
    keep(g_length(g, T));
    keep(g_sum(g, g_cast(g, g_iota_axis(g, T, false), DT_F), AX(T), 0));
    keep(x);
    val[0] = (const double[]){3, 1};
    val[1] = X;
    check(eval(), "reductions evaluate");
    EXPECT(0, "sum over T, ragged", 13, 70, 3, 4);
    EXPECT(1, "sum over T and B", 16, 74);
    EXPECT(2, "sum over B skips padded rows", 4, 6, 5, 60, 7, 8);
    EXPECT(3, "sum over features", 3, 7, 65, 0, 15, 0);
    EXPECT(4, "amax", 60, 4);
    EXPECT(5, "argmax", 1, 1, 1, 0, 1, 0);
    EXPECT(6, "length", 3, 1);
    EXPECT(7, "a value without B has every step", 3);
    EXPECT(8, "padded rows of a root are 0", 1, 2, 3, 4, 5, 60, 0, 0, 7, 8, 0, 0);
    static const double bad[] = {4, 1};
    val[0] = bad;
    check(!eval() && diag_error_count(ctx) == 1, "a length beyond the size is refused");
    diag_clear(ctx);
    val[0] = NULL;
    check(!eval() && diag_error_count(ctx) == 1, "missing lengths are refused");
    diag_clear(ctx);
}

void test_eval_dot(void) {
    start(2, 2);
    uint32_t T = time_axis("T", true), w = module_add_param(m, nm("W"), 2, (int32_t[]){3, 2}, false);
    Ref W = g_param(g, w), x = g_input(g, input("x", DT_F, AX(T) | 1, 1, 2, 0)), q = g_input(g, input("q", DT_F, 1, 1, 2, 0));
    static const uint8_t i[3] = {1}, o[3] = {2}, oi[3] = {2, 1}, none[3] = {0};
    const double *param[1] = {(const double[]){1, 2, 3, 4, 5, 6}};

    keep(g_matvec(g, W, x));                                                 /* [T,B,3] */
    keep(g_dot(g, g_matvec(g, W, x), x, o, i, oi, 0));                       /* gradient */
    keep(g_dot(g, q, q, i, o, (const uint8_t[]){2, 1, 0}, 1));               /* outer */
    keep(g_dot(g, x, q, i, i, none, AX(T) | 1));                             /* scores */
    keep(g_dot(g, g_dot(g, x, q, i, i, none, AX(T) | 1), x, none, i, i, 1)); /* context: over T */
    keep(g_dot(g, W, W, (const uint8_t[]){1, 2, 0}, (const uint8_t[]){3, 2, 0}, (const uint8_t[]){1, 3, 0}, 0));
    in.param = param;
    val[0] = (const double[]){2, 1};
    val[1] = (const double[]){1, 2, 3, 4, 5, 6, 99, 99};
    val[2] = (const double[]){1, -1, 2, 1};
    check(eval(), "dots evaluate");
    EXPECT(0, "product", 5, 11, 17, 11, 25, 39, 17, 39, 61, 0, 0, 0);
    EXPECT(1, "gradient", 5 + 33 + 85, 10 + 44 + 102, 11 + 75 + 195, 22 + 100 + 234, 17 + 117 + 305, 34 + 156 + 366);
    EXPECT(2, "outer", 1, -1, -1, 1, 4, 2, 2, 1);
    EXPECT(3, "per example", -1, 10, -1, 0);
    EXPECT(4, "attention", -6, -8, 30, 40);
    EXPECT(5, "W W^T", 5, 11, 17, 11, 25, 39, 17, 39, 61);
}

void test_eval_shape(void) {
    start(2, 0);
    Ref x = g_input(g, input("x", DT_F, 1, 2, 2, 3)), row = g_slice(g, x, 0, 1, 2), part[2] = {x, row};
    uint32_t swap[3] = {1, 0, 0};

    keep(g_transpose(g, x, swap));
    keep(g_slice(g, x, 1, 1, 3));
    keep(g_pad(g, x, 1, 1, 0));
    keep(g_concat(g, part, 2, 0));
    keep(g_reshape(g, x, 2, (int32_t[]){3, 2}));
    keep(g_broadcast(g, g_reshape(g, row, 1, (int32_t[]){3}), 2, (int32_t[]){2, 3}));
    keep(g_expand(g, g_iota(g, 2), 2, (int32_t[]){2, 2}, (int32_t[]){0, -1, 0}, 0));
    val[0] = (const double[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    check(eval(), "shapes evaluate");
    EXPECT(0, "transpose", 1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12);
    EXPECT(1, "slice", 2, 3, 5, 6, 8, 9, 11, 12);
    EXPECT(2, "pad", 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 10, 11, 12);
    EXPECT(3, "concat", 1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9, 10, 11, 12, 10, 11, 12);
    EXPECT(4, "reshape", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    EXPECT(5, "expand", 4, 5, 6, 4, 5, 6, 10, 11, 12, 10, 11, 12);
    EXPECT(6, "iota", 0, 0, 1, 1);
}

void test_eval_index(void) {
    start(2, 0);
    uint32_t w = module_add_param(m, nm("E"), 2, (int32_t[]){3, 2}, false);
    Ref i = g_input(g, input("i", DT_I, 1, 1, 2, 0)), one = g_input(g, input("j", DT_I, 1, 0, 0, 0)),
        e = g_gather(g, g_param(g, w), i);
    const double *param[1] = {(const double[]){1, 2, 3, 4, 5, 6}};

    keep(e);
    keep(g_scatter_add(g, i, e, 3, 0));
    keep(g_scatter_add(g, i, e, 3, 1));
    keep(g_gather(g, g_reshape(g, e, 1, (int32_t[]){4}), one)); /* row by row */
    in.param = param;
    val[0] = (const double[]){2, 0, 2, 2};
    val[1] = (const double[]){1, 9};
    check(eval(), "indices evaluate");
    EXPECT(0, "gather", 5, 6, 1, 2, 5, 6, 5, 6);
    EXPECT(1, "scatter_add", 1, 2, 0, 0, 15, 18);
    EXPECT(2, "scatter_add per example", 1, 2, 0, 0, 5, 6, 0, 0, 0, 0, 10, 12);
    EXPECT(3, "pick; an index too large is clamped", 6, 6);
}

void test_eval_time(void) {
    start(2, 3);
    uint32_t T = time_axis("T", true), S = time_axis("S", false), J = module_add_axis(m, AXIS_JOIN, nm("J"));
    m->axis[J].a = T;
    m->axis[J].b = S;
    m->axis[J].ragged = true;
    in.axis[S] = 2;
    Ref x = g_input(g, input("x", DT_F, AX(T) | 1, 0, 0, 0)), y = g_input(g, input("y", DT_F, AX(S) | 1, 0, 0, 0));

    keep(g_shift(g, x, g_const(g, -1), T, 1));
    keep(g_shift(g, x, g_const(g, -1), T, -1));
    keep(g_reverse(g, x, T));
    keep(g_last(g, x, T));
    keep(g_join(g, x, y, T, S, J));
    keep(g_sum(g, g_join(g, x, y, T, S, J), AX(J), 0));
    keep(g_reverse(g, g_reverse(g, x, T), T));
    val[0] = (const double[]){3, 1};
    val[1] = (const double[]){1, 10, 2, 20, 3, 30};
    val[2] = (const double[]){7, 70, 8, 80};
    check(eval(), "time evaluates");
    EXPECT(0, "shift", -1, -1, 1, 0, 2, 0);
    EXPECT(1, "shift back", 2, -1, 3, 0, -1, 0);
    EXPECT(2, "reverse", 3, 10, 2, 0, 1, 0);
    EXPECT(3, "last", 3, 10);
    EXPECT(4, "join", 1, 10, 2, 70, 3, 80, 7, 0, 8, 0);
    EXPECT(5, "sum over a join", 21, 160);
    EXPECT(6, "reverse twice", 1, 10, 2, 0, 3, 0);
}

/* h' = h / 2 + x, with every kind of out. */
static Ref cell(uint32_t T, Ref x, bool reverse) {
    Graph *b = module_add_graph(m);
    Ref h = g_leaf_typed(b, OP_CARRY, 0, DT_F, 0, NULL, 1), s = g_leaf_typed(b, OP_STEP, 0, DT_F, 0, NULL, 1);
    Ref n = g_bin(b, OP_ADD, g_bin(b, OP_MUL, h, g_const(b, 0.5)), s), zero = g_const(g, 0);
    graph_root(b, ROOT_NEXT, 0, n, 0);
    graph_root(b, ROOT_STACK, 0, n, 0);
    graph_root(b, ROOT_SUM, 0, n, 0);
    graph_root(b, ROOT_LAST, 0, 0, 0);
    graph_root(b, ROOT_SUM, 0, g_sum(b, s, 1, 0), 0);
    graph_root(b, ROOT_STACK, 0, g_iota_axis(b, T, true), 0);
    return g_scan(g, T, reverse, b->index, &zero, 1, &x, 1, NULL, 0);
}

void test_eval_scan(void) {
    start(2, 3);
    uint32_t T = time_axis("T", true);
    Ref x = g_input(g, input("x", DT_F, AX(T) | 1, 0, 0, 0)), f = cell(T, x, false), r = cell(T, x, true);

    for (uint32_t i = 0; i < 5; i++) keep(g_out(g, f, i));
    for (uint32_t i = 0; i < 4; i++) keep(g_out(g, r, i));
    val[0] = (const double[]){3, 1};
    val[1] = (const double[]){4, 10, 8, 99, 16, 99};
    check(f && r && eval(), "scans evaluate");
    EXPECT(0, "stack", 4, 10, 10, 0, 21, 0);
    EXPECT(1, "sum", 35, 10);
    EXPECT(2, "last: a finished example is frozen", 21, 10);
    EXPECT(3, "in a body the batch is the active examples", 38);
    EXPECT(4, "index of the step", 0, 1, 2);
    EXPECT(5, "reverse stack", 12, 10, 16, 0, 16, 0);
    EXPECT(6, "reverse sum", 44, 10);
    EXPECT(7, "reverse last", 12, 10);
    EXPECT(8, "reverse: sum over the batch", 38);
}

/* Outer scan over T of an inner scan over a count (h doubles three times), and swapped carries. */
void test_eval_nested(void) {
    start(2, 2);
    uint32_t T = time_axis("T", true), K = module_add_axis(m, AXIS_COUNT, nm("K"));
    m->axis[K].count = 3;
    Ref x = g_input(g, input("x", DT_F, AX(T) | 1, 0, 0, 0)), init[2];
    Graph *b = module_add_graph(m), *k = module_add_graph(m);
    Ref c = g_leaf_typed(k, OP_CARRY, 0, DT_F, 0, NULL, 1), cap = g_leaf_typed(k, OP_CAPTURE, 0, DT_F, 0, NULL, 1), s, inner;
    graph_root(k, ROOT_NEXT, 0, g_bin(k, OP_ADD, g_bin(k, OP_ADD, c, c), cap), 0);
    graph_root(k, ROOT_LAST, 0, 0, 0);
    graph_root(k, ROOT_STACK, 0, g_bin(k, OP_ADD, c, g_cast(k, g_iota_axis(k, T, true), DT_F)), 0);
    Ref p = g_leaf_typed(b, OP_CARRY, 0, DT_F, 0, NULL, 1), q = g_leaf_typed(b, OP_CARRY, 1, DT_F, 0, NULL, 1);
    s = g_leaf_typed(b, OP_STEP, 0, DT_F, 0, NULL, 1);
    inner = g_scan(b, K, false, k->index, &p, 1, NULL, 0, &s, 1);
    graph_root(b, ROOT_NEXT, 0, q, 0);
    graph_root(b, ROOT_NEXT, 0, g_out(b, inner, 0), 1);
    graph_root(b, ROOT_STACK, 0, g_out(b, inner, 1), 0);
    graph_root(b, ROOT_LAST, 0, 0, 0);
    graph_root(b, ROOT_LAST, 0, 0, 1);
    init[0] = g_const(g, 1);
    init[1] = g_const(g, 2);
    Ref scan = g_scan(g, T, false, b->index, init, 2, &x, 1, NULL, 0);
    keep(g_out(g, scan, 0)); /* [T,K,B] */
    keep(g_out(g, scan, 1));
    keep(g_out(g, scan, 2));
    val[0] = (const double[]){2, 1};
    val[1] = (const double[]){1, 0, 10, 99};
    check(scan && eval(), "nested scans evaluate");
    /* b=0: t=0: p=1,x=1: 1 3 7 -> 15; (p,q)=(2,15); t=1: p=2,x=10: 2 14 38 -> 86; (15,86). b=1: p=1,x=0: 1 2 4 -> 8; (2,8) */
    EXPECT(0, "stack of a stack", 1, 1, 3, 2, 7, 4, 3, 0, 15, 0, 39, 0);
    EXPECT(1, "a next that is another carry", 15, 2);
    EXPECT(2, "inner last", 86, 8);
}

void test_noise(void) {
    uint32_t w[4];
    philox4x32((const uint32_t[]){0, 0, 0, 0}, (const uint32_t[]){0, 0}, w);
    check(w[0] == 0x6627e8d5 && w[1] == 0xe169c58d && w[2] == 0xbc57ac4c && w[3] == 0x9b00dbd8, "philox: zeros");
    philox4x32((const uint32_t[]){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}, (const uint32_t[]){UINT32_MAX, UINT32_MAX},
               w);
    check(w[0] == 0x408f276d && w[1] == 0x41c83b0e && w[2] == 0xa20bc7c6 && w[3] == 0x6d5451fd, "philox: ones");
    philox4x32((const uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, (const uint32_t[]){0xa4093822, 0x299f31d0},
               w);
    check(w[0] == 0xd16cfe09 && w[1] == 0x94fdcceb && w[2] == 0x5001e420 && w[3] == 0x24126ea1, "philox: pi");
    check(noise_bits(0, 0, 0, 0, 0, 2) == 0xbc57ac4c, "word element % 4");

    double s = 0, q = 0, lo = 1, hi = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        double n = noise_normal(7, 0, 1, 2, 3, i), u = noise_uniform(7, 0, 1, 2, 3, i);
        s += n;
        q += n * n;
        if (u < lo) lo = u;
        if (u > hi) hi = u;
    }
    check(fabs(s / 20000) < 0.03 && fabs(q / 20000 - 1) < 0.05, "normal: mean and variance");
    check(lo >= 0 && hi < 1 && lo < 0.01 && hi > 0.99, "uniform in [0, 1)");
    bool same = true;
    for (int first = 0; first < 6; first++) {
        double n[11], u[11];
        noise_draw(true, 7, 5, 1, 2, 3, UINT32_MAX - 5 + first, 11, n); /* elements count modulo 2^32 */
        noise_draw(false, 7, 5, 1, 2, 3, first, 11, u);
        for (int i = 0; i < 11; i++)
            same = same && n[i] == noise_normal(7, 5, 1, 2, 3, (uint32_t)(UINT32_MAX - 5 + first + i)) && u[i] == noise_uniform(7, 5, 1, 2, 3, (uint32_t)(first + i));
    }
    check(same, "many numbers at once are those drawn one by one");

    /* noise in a scan = noise at the top; a batch = its examples one by one; per sequence = the same at every step */
    start(2, 3);
    uint32_t T = time_axis("T", false);
    Graph *b = module_add_graph(m);
    graph_root(b, ROOT_STACK, 0, g_noise(b, NOISE_NORMAL, 5, AX(T), 1, (int32_t[]){3}, 1), 0);
    graph_root(b, ROOT_STACK, 0, g_noise(b, NOISE_NORMAL, 5, 0, 1, (int32_t[]){3}, 1), 0);
    Ref scan = g_scan(g, T, true, b->index, NULL, 0, NULL, 0, NULL, 0);
    keep(g_out(g, scan, 0));
    keep(g_noise(g, NOISE_NORMAL, 5, AX(T), 1, (int32_t[]){3}, AX(T) | 1));
    keep(g_out(g, scan, 1));
    in.seed = 11;
    in.update = 3;
    check(eval(), "noise evaluates");
    check(!memcmp(out[0], out[1], 18 * sizeof(double)), "noise in a body = lifted");
    check(!memcmp(out[2], out[2] + 6, 6 * sizeof(double)) && memcmp(out[0], out[0] + 6, 6 * sizeof(double)),
          "per sequence, per step");
    check(out[1][9] == noise_normal(11, 3, 5, noise_step(0, 1), 1, 0), "step 1, example 1");
    const double *before = out[0];
    in.axis[0] = 1;
    in.example = (const int64_t[]){1};
    check(eval() && !memcmp(out[0], before + 3, 3 * sizeof(double)), "an example alone has the noise it had in the batch");
    in.example = NULL;
}

void test_init(void) {
    double theta[64], p;
    start(0, 0);
    uint32_t tall = module_add_param(m, nm("A"), 2, (int32_t[]){6, 4}, false),
             wide = module_add_param(m, nm("B"), 2, (int32_t[]){3, 7}, false);
    uint32_t bias = module_add_param(m, nm("b"), 1, (int32_t[]){5}, false);
    Graph *q = m->init;
    m->param.at[tall].init = g_noise(q, NOISE_ORTHOGONAL, 1, 0, 2, (int32_t[]){6, 4}, 0);
    m->param.at[wide].init = g_noise(q, NOISE_ORTHOGONAL, 2, 0, 2, (int32_t[]){3, 7}, 0);
    m->param.at[bias].init = g_const(q, 1.5);
    check(m->theta_size == 50 && m->param.at[bias].offset == 45, "offsets");
    check(module_verify(m, "test") && module_eval_init(m, &arena, 42, theta), "init evaluates");
    bool ok = true;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            p = 0;
            for (int k = 0; k < 6; k++) p += theta[4 * k + i] * theta[4 * k + j];
            ok &= fabs(p - (i == j)) < 1e-12;
        }
    check(ok, "orthonormal columns");
    ok = true;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            p = 0;
            for (int k = 0; k < 7; k++) p += theta[24 + 7 * i + k] * theta[24 + 7 * j + k];
            ok &= fabs(p - (i == j)) < 1e-12;
        }
    check(ok && theta[45] == 1.5 && theta[49] == 1.5, "orthonormal rows, constants");
    double again[64];
    check(module_eval_init(m, &arena, 42, again) && !memcmp(theta, again, 50 * sizeof(double)), "init is deterministic");
}

/* What f32 has stays; anything else becomes the float below or above, or its neighbour in f64, each in some of the draws. */
void test_eval_draws(void) {
    start(1, 0);
    Ref x = g_input(g, input("x", DT_F, 1, 0, 0, 0));
    graph_root(g, ROOT_VALUE, 0, g_bin(g, OP_DIV, g_const(g, 1), x), 0);
    graph_root(g, ROOT_VALUE, 0, g_bin(g, OP_ADD, x, x), 0);
    val[0] = (const double[]){3};
    bool ok = true, below = false, above = false;
    for (in.f32_draw = 1; in.f32_draw <= 40; in.f32_draw++) {
        ok &= eval() && out[1][0] == 6 && (out[0][0] == (double)0x1.555554p-2F || out[0][0] == (double)0x1.555556p-2F);
        below |= out[0][0] < 1.0 / 3;
        above |= out[0][0] > 1.0 / 3;
    }
    in.f32_draw = 0;
    check(ok && below && above && eval() && out[0][0] == 1.0 / 3, "rounding to f32 by chance");
    below = above = false;
    for (in.f64_draw = 1; in.f64_draw <= 40; in.f64_draw++) {
        ok &= eval() && out[1][0] == 6 && fabs(out[0][0] - 1.0 / 3) == 0x1p-54;
        below |= out[0][0] < 1.0 / 3;
        above |= out[0][0] > 1.0 / 3;
    }
    in.f64_draw = 0;
    check(ok && below && above, "the neighbours in f64 by chance");
    start(1, 0);
    graph_root(g, ROOT_VALUE, 0, g_un(g, OP_TANH, g_input(g, input("x", DT_F, 1, 0, 0, 0))), 0);
    val[0] = (const double[]){3};
    double most = 0, want = tanh(3);
    for (in.f32_draw = 1; in.f32_draw <= 40; in.f32_draw++) {
        ok &= eval() && out[0][0] == (double)(float)out[0][0];
        most = fmax(most, fabs(out[0][0] - want) * 0x1p24);
    }
    in.f32_draw = 0;
    check(ok && most > 1 && most <= 2.5, "tanh by chance within the fast tier's error");
}

/* ---- dead code and copies --------------------------------------------------------------------------------------------- */

void test_dce(void) {
    start(2, 3);
    uint32_t T = time_axis("T", true);
    Ref x = g_input(g, input("x", DT_F, AX(T) | 1, 0, 0, 0)), z = g_input(g, input("z", DT_F, 1, 0, 0, 0)),
        dead = g_un(g, OP_EXP, x);
    Graph *b = module_add_graph(m), *unused = module_add_graph(m);
    (void)unused;
    Ref h = g_leaf_typed(b, OP_CARRY, 1, DT_F, 0, NULL, 1), s = g_leaf_typed(b, OP_STEP, 1, DT_F, 0, NULL, 1);
    Ref u = g_leaf_typed(b, OP_CARRY, 0, DT_F, 0, NULL, 1), c = g_leaf_typed(b, OP_CAPTURE, 0, DT_F, 0, NULL, 1);
    Ref d = g_leaf_typed(b, OP_STEP, 0, DT_F, 0, NULL, 1), init[2] = {z, g_const(g, 1)}, step[2] = {dead, x};
    graph_root(b, ROOT_NEXT, 0, g_bin(b, OP_MUL, u, g_bin(b, OP_ADD, d, c)), 0);
    graph_root(b, ROOT_NEXT, 0, g_bin(b, OP_ADD, h, s), 1);
    graph_root(b, ROOT_STACK, 0, u, 0);
    graph_root(b, ROOT_LAST, 0, 0, 1);
    graph_root(b, ROOT_STACK, 0, h, 0);
    Ref scan = g_scan(g, T, false, b->index, init, 2, step, 2, &z, 1);
    keep(g_out(g, scan, 0));
    graph_root(g, ROOT_VALUE, 0, g_out(g, scan, 1), 0);
    graph_root(g, ROOT_VALUE, 0, g_out(g, scan, 2), 0);
    val[0] = (const double[]){3, 1};
    val[1] = (const double[]){1, 2, 3, 4, 5, 6};
    val[2] = (const double[]){1, 2};
    check(eval(), "before dce");
    const double *last = out[1], *stack = out[2];
    Module *copy = module_copy(m, &arena);
    Str one = str_make(&arena), two = str_make(&arena);
    module_print(&one, m);
    module_print(&two, copy);
    check(!strcmp(one.at, two.at), "a copy prints the same");
    uint32_t before = m->graph.at[0]->node.n;
    module_keep_roots(m, 1u << ROOT_VALUE);
    check(m->graph.n == 2, "an unused body goes");
    check(m->graph.at[1]->root.n == 3 && g->node.n < before, "a dead carry, its step and capture go");
    bool ok = eval();
    show_diags();
    check(ok && !memcmp(out[0], last, 2 * sizeof(double)) && !memcmp(out[1], stack, 6 * sizeof(double)), "the values stay");
    round_trip(m, "after dce");
    two.n = 0;
    module_print(&two, copy);
    check(!strcmp(one.at, two.at), "the copy was not touched");
    /* rebuilding a graph node by node gives the same graph */
    Graph *r = module_add_graph(m);
    Ref map[64] = {0};
    for (Ref i = 1; i < g->node.n; i++) map[i] = graph_copy_node(r, g, i, map);
    check(r->node.n == g->node.n && map[g->node.n - 1] == g->node.n - 1, "graph_copy_node");
}
