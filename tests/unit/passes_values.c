/* Numbers known beforehand: losses far from 0 through stabilize, and the derivative of every row of ops.def. */
#include <math.h>
#include <string.h>

#include "passes/passes.h"
#include "passes_test.h"

typedef struct {
    Ctx *ctx;
    Arena a;
    Module *m;
    Graph *g;
} Make;

static Make make(void)
{
    Make k = {.ctx = ctx_make(NULL)};

    k.a = arena_make(k.ctx);
    k.m = NULL;
    return k;
}

static void begin(Make *k)
{
    k->m = module_make(k->ctx, &k->a, intern(k->ctx, "m"));
    k->g = k->m->graph.at[0];
}

static void end(Make *k)
{
    diagnostics(k->ctx, &k->a);
    arena_free(&k->a);
    ctx_destroy(k->ctx);
}

static Ref param(Make *k, const char *name, int32_t n)
{
    return g_param(k->g, module_add_param(k->m, intern(k->ctx, name), 1, &n, false));
}

/* ---- stabilize -------------------------------------------------------------------------------------------------------------- */

typedef enum { LOG_SIGMOID, LOG_NOT_SIGMOID, CROSS_ENTROPY, LOG_SOFTMAX, PICKED, SOFTMAX, LOG_SUM_EXP, SOFTPLUS, SOFTPLUS_LOG, STABLE_COUNT } Stable;

/* loss, its value and gradient, for x[3] and a constant target 1 or class 0 */
static Ref stable_loss(Graph *g, Ref x, Stable what)
{
    Ref one = g_const(g, 1), p = g_un(g, OP_SIGMOID, x), e = g_un(g, OP_EXP, x), s = g_bin(g, OP_DIV, e, g_sum(g, e, 0, 1)), v = 0;

    switch (what) {
    case LOG_SIGMOID: v = g_un(g, OP_LOG, p); break;
    case LOG_NOT_SIGMOID: v = g_un(g, OP_LOG, g_bin(g, OP_SUB, one, p)); break;
    case CROSS_ENTROPY: {
        Ref y = g_const(g, 0.25), not_y = g_const(g, 0.75);
        v = g_bin(g, OP_MUL, y, g_un(g, OP_LOG, p));
        v = g_un(g, OP_NEG, g_bin(g, OP_ADD, v, g_bin(g, OP_MUL, not_y, g_un(g, OP_LOG, g_bin(g, OP_SUB, one, p)))));
        break;
    }
    case LOG_SOFTMAX: v = g_slice(g, g_un(g, OP_LOG, s), 0, 0, 1); break;
    case PICKED: v = g_un(g, OP_LOG, g_gather(g, s, g_int(g, 0))); break;
    case SOFTMAX: v = g_slice(g, s, 0, 0, 1); break;
    case LOG_SUM_EXP: v = g_un(g, OP_LOG, g_sum(g, e, 0, 1)); break;
    case SOFTPLUS: v = g_un(g, OP_LOG1P, e); break;
    case SOFTPLUS_LOG: v = g_un(g, OP_LOG, g_bin(g, OP_ADD, one, e)); break;
    case STABLE_COUNT: break;
    }
    return g->node.at[v].rank ? g_sum(g, v, 0, 1) : v;
}

static double log_sig(double x)
{
    return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x));
}

static double sig(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double stable_exact(Stable what, const double x[3], double d[3])
{
    double m = fmax(x[0], fmax(x[1], x[2])), s = 0, p[3], v = 0;

    for (int i = 0; i < 3; i++) s += exp(x[i] - m);
    for (int i = 0; i < 3; i++) p[i] = exp(x[i] - m) / s;
    for (int i = 0; i < 3; i++) {
        double hit = i == 0;
        switch (what) {
        case LOG_SIGMOID: v += log_sig(x[i]), d[i] = sig(-x[i]); break;
        case LOG_NOT_SIGMOID: v += log_sig(-x[i]), d[i] = -sig(x[i]); break;
        case CROSS_ENTROPY: v -= 0.25 * log_sig(x[i]) + 0.75 * log_sig(-x[i]), d[i] = sig(x[i]) - 0.25; break;
        case LOG_SOFTMAX:
        case PICKED: v = x[0] - m - log(s), d[i] = hit - p[i]; break;
        case SOFTMAX: v = p[0], d[i] = p[0] * (hit - p[i]); break;
        case LOG_SUM_EXP: v = m + log(s), d[i] = p[i]; break;
        case SOFTPLUS:
        case SOFTPLUS_LOG: v -= log_sig(-x[i]), d[i] = sig(x[i]); break;
        case STABLE_COUNT: break;
        }
    }
    return v;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-13 * (1 + fabs(b));
}

void test_stable(void)
{
    static const double point[][3] = {{200, -200, 0}, {-200, 200, 1}, {0, 0, 0}, {800, 801, 799}, {-900, -800, -1000}, {0.5, -0.25, 2}};

    for (int what = 0; what < STABLE_COUNT; what++) {
        for (size_t i = 0; i < sizeof point / sizeof *point; i++) {
            Make k = make();
            const double *out[2] = {NULL, NULL}, *value[1] = {point[i]};
            double d[3], v = stable_exact((Stable)what, point[i], d);
            EvalIn in = {.param = value};
            bool ok;
            begin(&k);
            graph_root(k.g, ROOT_LOSS, 0, stable_loss(k.g, param(&k, "x", 3), (Stable)what), 0);
            in.axis[0] = 1;
            ok = passes_run(k.m, &(PassOptions){.grad = true}) && module_eval(k.m, &k.a, &in, out) && near(out[0][0], v);
            for (int j = 0; ok && j < 3; j++) ok = near(out[1][j], d[j]);
            check(ok, "stable value and gradient", (uint64_t)what * 10 + i);
            if (!ok && out[1])
                printf("  %.17g, exact %.17g; %.9g %.9g %.9g, exact %.9g %.9g %.9g\n", out[0][0], v, out[1][0], out[1][1],
                       out[1][2], d[0], d[1], d[2]);
            end(&k);
        }
    }
}

/* ---- derivatives ------------------------------------------------------------------------------------------------------------- */

/* Smooth points of the domain of each operand. */
static double smooth(Op op, uint32_t operand, int i)
{
    static const double any[4] = {-1.3, -0.4, 0.7, 1.9}, positive[4] = {0.3, 0.8, 1.5, 2.75}, other[4] = {0.9, -1.7, 0.35, -0.6};

    if (op == OP_SQRT || op == OP_LOG || op == OP_LOG1P || (op == OP_POW && operand == 0)) return positive[i];
    return operand ? other[i] : any[i];
}

static void elementwise(Op op)
{
    Make k = make();
    const OpInfo *info = &op_info[op];
    double store[3][4];
    double *value[3] = {store[0], store[1], store[2]};
    int64_t size[3] = {4, 4, 4};
    GenInputs in = {.param = value, .param_size = size};
    Ref x[3] = {0, 0, 0}, v;
    Module *n;

    begin(&k);
    for (uint32_t i = 0; i < info->arity; i++) {
        x[i] = param(&k, i == 0 ? "a" : i == 1 ? "b" : "c", 4);
        for (int e = 0; e < 4; e++) store[i][e] = smooth(op, i, e);
    }
    if (op == OP_CAST) v = g_cast(k.g, x[0], DT_F);
    else if (op == OP_SELECT) v = g_select(k.g, g_bin(k.g, OP_LT, x[0], g_const(k.g, 0)), x[1], x[2]);
    else if (info->arity == 1) v = g_un(k.g, op, x[0]);
    else v = g_bin(k.g, op, x[0], x[1]);
    if (k.g->node.at[v].dtype != DT_F) v = g_cast(k.g, v, DT_F);
    v = g_bin(k.g, OP_MUL, g_bin(k.g, OP_ADD, v, g_const(k.g, 0.3)), v); /* so that no adjoint is constant */
    graph_root(k.g, ROOT_LOSS, 0, g_sum(k.g, v, 0, 1), 0);
    n = module_copy(k.m, &k.a);
    in.in.axis[0] = 1;
    in.in.param = (const double **)value;
    check(passes_run_named(n, "autodiff", &(PassOptions){.grad = true}, NULL), info->text, op);
    if (op == OP_STOP) { /* no derivative although the value changes */
        const double *out[2];
        check(module_eval(n, &k.a, &in.in, out) && out[1][0] == 0 && out[1][3] == 0, "stop", op);
    } else {
        check_gradients(k.m, n, k.ctx, &k.a, &in, op, true);
        check_forward(k.m, k.ctx, &k.a, &in, op, false);
    }
    end(&k);
}

/* A value made of x f<T,B>[3,4] by one structural operation. */
static Ref structural(Make *k, Op op, Ref x, uint32_t T)
{
    static const uint8_t ab[3] = {1, 2, 0}, bc[3] = {2, 3, 0}, ac[3] = {1, 3, 0};
    static const uint32_t perm[3] = {1, 0, 0};
    static const int32_t flat[1] = {12}, big[3] = {3, 2, 4}, map[3] = {0, -1, 1};
    Graph *g = k->g;
    Ref part[2] = {x, g_un(g, OP_NEG, x)}, fill, i;

    switch (op_info[op].cls) {
    case OPC_REDUCE:
        if (op == OP_ARGMAX) return g_cast(g, g_argmax(g, x, 1), DT_F);
        return op == OP_SUM ? g_sum(g, x, AX(T), 2) : g_bin(g, OP_ADD, g_amax(g, x, AX(T), 2), g_amax(g, x, 0, 2));
    case OPC_CONTRACT: return g_dot(g, x, g_transpose(g, x, perm), ab, bc, ac, AX(AXIS_B));
    case OPC_SHAPE:
        if (op == OP_SLICE) return g_slice(g, x, 1, 1, 3);
        if (op == OP_PAD) return g_pad(g, x, 0, 1, 2);
        if (op == OP_CONCAT) return g_concat(g, part, 2, 1);
        if (op == OP_RESHAPE) return g_reshape(g, x, 1, flat);
        if (op == OP_TRANSPOSE) return g_transpose(g, x, perm);
        return g_expand(g, x, 3, big, map, 0);
    case OPC_INDEX:
        i = g_bin(g, OP_SUB, g_int(g, 2), g_iota(g, 3));
        if (op == OP_GATHER) return g_gather(g, x, i);
        return g_scatter_add(g, g_bin(g, OP_DIV, i, g_int(g, 2)), x, 5, AX(AXIS_B));
    case OPC_TIME:
        fill = g_sum(g, x, AX(T), 0);
        if (op == OP_SHIFT) return g_bin(g, OP_ADD, g_shift(g, x, fill, T, 1), g_shift(g, x, fill, T, -2));
        if (op == OP_REVERSE) return g_reverse(g, x, T);
        if (op == OP_LAST) return g_last(g, x, T);
        return g_join(g, x, part[1], T, T, 2);
    case OPC_LEAF:
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY:
    case OPC_CONTROL: return 0;
    }
    return 0;
}

static void structure(Op op, bool ragged)
{
    static const int32_t dim[2] = {3, 4};
    Make k = make();
    bool want[2] = {false, true};
    uint32_t T, x, all;
    GenInputs in;
    Module *n;
    Ref v;

    begin(&k);
    T = module_add_axis(k.m, AXIS_TIME, intern(k.ctx, "T"));
    if (op == OP_JOIN) {
        uint32_t both = module_add_axis(k.m, AXIS_JOIN, intern(k.ctx, "TT"));
        k.m->axis[both].a = k.m->axis[both].b = T;
        k.m->axis[both].ragged = ragged;
    }
    x = module_add_input(k.m, INPUT_LENGTH, intern(k.ctx, "len.T"), DT_I, 0, NULL, AX(AXIS_B));
    k.m->axis[T].ragged = ragged;
    k.m->axis[T].length = ragged ? 1 + x : 0;
    x = module_add_input(k.m, INPUT_DATA, intern(k.ctx, "x"), DT_F, 2, dim, AX(AXIS_B) | AX(T));
    v = structural(&k, op, g_input(k.g, x), T);
    v = g_bin(k.g, OP_MUL, g_un(k.g, OP_SIN, v), g_bin(k.g, OP_ADD, v, g_const(k.g, 0.3)));
    all = (1u << k.g->node.at[v].rank) - 1;
    graph_root(k.g, ROOT_LOSS, 0, g_sum(k.g, v, k.g->node.at[v].axes, all), 0);
    in = gen_inputs(k.m, &k.a, op);
    n = module_copy(k.m, &k.a);
    check(passes_run_named(n, "autodiff", &(PassOptions){.grad = true, .want_input = want}, NULL), op_info[op].text, op);
    check_gradients(k.m, n, k.ctx, &k.a, &in, op, true);
    check_forward(k.m, k.ctx, &k.a, &in, op, false);
    end(&k);
}

/* d op / d a at one point, all operands scalars. */
static double slope(Op op, double a, double b, uint32_t operand)
{
    Make k = make();
    const double *value[2] = {&a, &b}, *out[3] = {NULL, NULL, NULL};
    EvalIn in = {.param = value};
    Ref x, y;
    double d = NAN;

    begin(&k);
    x = param(&k, "a", 1);
    y = param(&k, "b", 1);
    x = op_info[op].arity == 1 ? g_un(k.g, op, x) : g_bin(k.g, op, x, y);
    graph_root(k.g, ROOT_LOSS, 0, g_sum(k.g, x, 0, 1), 0);
    in.axis[0] = 1;
    if (passes_run_named(k.m, "autodiff", &(PassOptions){.grad = true}, NULL) && module_eval(k.m, &k.a, &in, out))
        d = out[1 + operand][0];
    end(&k);
    return d;
}

static void corners(void)
{
    check(slope(OP_ABS, 0, 0, 0) == 0, "abs'(0) = 0", 0);
    check(slope(OP_MAX, 1, 1, 0) == 1 && slope(OP_MAX, 1, 1, 1) == 0, "a tie of max goes to the first", 0);
    check(slope(OP_MIN, 1, 1, 0) == 1 && slope(OP_MIN, 1, 1, 1) == 0, "a tie of min goes to the first", 0);
    check(slope(OP_POW, 0, 2, 0) == 0 && slope(OP_POW, 0, 2, 1) == 0, "pow at 0", 0);
    check(slope(OP_POW, 0, 1, 0) == 1, "pow at 0, exponent 1", 0);
    check(slope(OP_SIGMOID, 0, 0, 0) == 0.25 && slope(OP_TANH, 0, 0, 0) == 1, "sigmoid, tanh at 0", 0);
    check(slope(OP_SIGMOID, 800, 0, 0) == 0 && slope(OP_TANH, -800, 0, 0) == 0, "sigmoid, tanh far out", 0);
    check(slope(OP_EXPM1, 0, 0, 0) == 1 && slope(OP_LOG1P, 0, 0, 0) == 1, "expm1, log1p at 0", 0);
    check(isinf(slope(OP_SQRT, 0, 0, 0)), "sqrt'(0) is infinite", 0);
    check(slope(OP_SUB, 3, 4, 1) == -1, "sub", 0);
    check(slope(OP_VIA, 3, 4, 0) == 0 && slope(OP_VIA, 3, 4, 1) == 1, "via", 0);
    check(slope(OP_SURROGATE, 3, 4, 0) == 0 && slope(OP_SURROGATE, 3, 4, 1) == 1, "surrogate", 0);
}

/* relu as max(0, x): 0 at 0; amax: the first of equals takes all */
static void ties(void)
{
    Make k = make();
    double a[4] = {0, 2, 2, -1};
    const double *value[1] = {a}, *out[2] = {NULL, NULL};
    EvalIn in = {.param = value};
    Ref x, v;

    begin(&k);
    x = param(&k, "a", 4);
    v = g_sum(k.g, g_bin(k.g, OP_MAX, g_const(k.g, 0), x), 0, 1);
    graph_root(k.g, ROOT_LOSS, 0, g_bin(k.g, OP_ADD, v, g_bin(k.g, OP_MUL, g_const(k.g, 10), g_amax(k.g, x, 0, 1))), 0);
    in.axis[0] = 1;
    check(passes_run(k.m, &(PassOptions){.grad = true}) && module_eval(k.m, &k.a, &in, out) && out[1][0] == 0 &&
              out[1][1] == 11 && out[1][2] == 1 && out[1][3] == 0,
          "relu'(0) = 0, a tie of amax goes to the first", 0);
    end(&k);
}

void test_operations(void)
{
    for (int op = 1; op < OP_COUNT; op++) {
        OpClass cls = (OpClass)op_info[op].cls;
        if (cls == OPC_UNARY && op != OP_NOT) elementwise((Op)op);
        if (op == OP_VIA || op == OP_SURROGATE) continue; /* corners */
        if ((cls == OPC_BINARY && op != OP_AND && op != OP_OR) || cls == OPC_TERNARY) elementwise((Op)op);
        if (cls >= OPC_REDUCE && cls != OPC_CONTROL)
            for (int ragged = 0; ragged < 2; ragged++) structure((Op)op, ragged);
    }
    corners();
    ties();
}
