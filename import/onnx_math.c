/* onnx_math: operators that compute, on values of the run: elementwise, products with constants, over features, over time. */
#include <math.h>
#include <string.h>

#include "import/onnx_graph.h"

const double *onnx_spread(Onnx *o, const OnnxTensor *t, const Value *v, int64_t *n) {
    int64_t stride[RONDO_MAX_RANK] = {0}, s = 1, at[RONDO_MAX_RANK] = {0};
    *n = t->n == 1 ? 1 : v->n;
    if (t->n == 1) return t->v;
    for (int d = t->rank; d-- > 0; s *= t->dim[d]) { /* aligned at the last dim */
        int k = d - t->rank + v->rank;
        if (t->dim[d] == 1) continue;
        if (k < 0 || v->role[k] != DIM_FEATURE || v->dim[k] != t->dim[d]) return NULL;
        stride[k] = s;
    }
    double *out = NEW_N(o->w.a, double, v->n + 1);
    for (int64_t i = 0; i < v->n; i++) {
        int64_t from = 0;
        for (int d = 0; d < v->rank; d++) from += at[d] * stride[d];
        out[i] = t->v[from];
        for (int d = v->rank; d-- > 0;) {
            if (v->role[d] != DIM_FEATURE) continue;
            if (++at[d] < v->dim[d]) break;
            at[d] = 0;
        }
    }
    return out;
}

const char *onnx_param(Onnx *o, const char *wanted, const double *from, int64_t rows, int64_t cols, const double *v) {
    for (uint32_t i = 0; i < o->param.n; i++) {
        const OnnxParam *p = &o->param.at[i];
        if (p->from == from && p->scope == o->w.scope && p->rows == rows && p->cols == cols) return p->name;
    }
    const int64_t dim[] = {rows ? rows : cols, cols};
    const char *name = writer_param(&o->w, wanted, rows ? 2 : 1, dim, v);
    if (name) VEC_PUSH(o->w.a, o->param) = (OnnxParam){from, o->w.scope, rows, cols, name};
    return name;
}

static const char *number(Onnx *o, double v) {
    Str s = str_make(o->w.a);
    if (v < 0) str_putc(&s, '(');
    str_float(&s, (float)v);
    if (v < 0) str_putc(&s, ')');
    return s.at;
}

/* ---- one operand --------------------------------------------------------------------------------------------------------- */

/* A and B: alpha and beta with their defaults. */
static const struct {
    const char *op, *form;
    double alpha, beta;
} unary[] = {
    {"Tanh", "tanh(x)", 0, 0},
    {"Sigmoid", "sigmoid(x)", 0, 0},
    {"Relu", "relu(x)", 0, 0},
    {"Exp", "exp(x)", 0, 0},
    {"Log", "log(x)", 0, 0},
    {"Sqrt", "sqrt(x)", 0, 0},
    {"Abs", "abs(x)", 0, 0},
    {"Neg", "-x", 0, 0},
    {"Floor", "floor(x)", 0, 0},
    {"Reciprocal", "1 / x", 0, 0},
    {"Sin", "sin(x)", 0, 0},
    {"Cos", "cos(x)", 0, 0},
    {"Erf", "erf(x)", 0, 0},
    {"Sign", "sign(x)", 0, 0},
    {"Softplus", "softplus(x)", 0, 0},
    {"Softsign", "softsign(x)", 0, 0},
    {"Mish", "mish(x)", 0, 0},
    {"HardSwish", "x * hard_sigmoid6(x)", 0, 0},
    {"LeakyRelu", "where(x > 0, x, A * x)", 0.01, 0},
    {"Elu", "where(x > 0, x, A * expm1(min(x, 0)))", 1, 0},
    {"Celu", "max(0, x) + min(0, A * expm1(min(x, 0) / A))", 1, 0},
    {"ThresholdedRelu", "where(x > A, x, 0)", 1, 0},
    {"HardSigmoid", "min(max(A * x + B, 0), 1)", 0.2, 0.5},
};

static bool one_operand(Onnx *o, const OnnxNode *n, const Value *x, size_t k) {
    Str s = str_make(o->w.a);
    double alpha = onnx_float(n, "alpha", unary[k].alpha), beta = onnx_float(n, "beta", unary[k].beta);
    if (!isfinite(alpha) || !isfinite(beta)) return onnx_refuse(o, "alpha or beta is not finite");
    for (const char *p = unary[k].form; *p; p++) {
        bool alone = (p == unary[k].form || !((p[-1] >= 'a' && p[-1] <= 'z') || p[-1] == '_')) && !(p[1] >= 'a' && p[1] <= 'z');
        if (*p == 'A')
            str_put(&s, number(o, alpha));
        else if (*p == 'B')
            str_put(&s, number(o, beta));
        else if (*p == 'x' && alone)
            str_put(&s, x->text);
        else
            str_putc(&s, *p);
    }
    return onnx_emit(o, n, 0, x, x->n, "%s", s.at) != NULL;
}

/* ---- two operands -------------------------------------------------------------------------------------------------------- */

/* Dims of two computed operands, aligned at the last one. */
static bool join_dims(Onnx *o, const Value *a, const Value *b, Value *out) {
    int rank = a->rank > b->rank ? a->rank : b->rank;
    *out = (Value){.n = a->n > b->n ? a->n : b->n};
    for (int d = 0; d < rank; d++) {
        int i = d - rank + a->rank, k = d - rank + b->rank;
        bool has_a = i >= 0 && !(a->role[i] == DIM_FEATURE && a->dim[i] == 1),
             has_b = k >= 0 && !(b->role[k] == DIM_FEATURE && b->dim[k] == 1);
        const Value *v = has_a || k < 0 ? a : b;
        int at = has_a || k < 0 ? i : k;
        if (has_a && has_b && (a->role[i] != b->role[k] || (a->role[i] == DIM_FEATURE && a->dim[i] != b->dim[k])))
            return onnx_refuse(o, "its operands have different dims");
        value_add_dim(out, v->role[at], v->dim[at]);
    }
    return (a->n == b->n || a->n == 1 || b->n == 1) || onnx_refuse(o, "it broadcasts computed features against each other");
}

/* The text of operand k next to `like`. NULL with a diagnostic. */
static const char *operand(Onnx *o, const OnnxNode *n, uint32_t k, const Value *like) {
    const Value *v = onnx_in(o, n, k);
    if (!v || v->kind == VALUE_LENGTHS) return onnx_refuse(o, "an operand is missing, or lengths are computed with"), NULL;
    if (v->kind == VALUE_RUN) return v->text;
    int64_t many;
    const double *x = onnx_spread(o, &v->t, like, &many);
    if (!x) return onnx_refuse(o, "the constant '%.60s' has batch or time, or is larger than what it meets", v->source), NULL;
    if (many > 1) return onnx_param(o, *v->source ? v->source : "k", v->t.v, 0, many, x);
    if (!isfinite(x[0])) return onnx_refuse(o, "the constant '%.60s' is not finite", v->source), NULL;
    return number(o, x[0]);
}

/* Two constants, of one size or one of them a single number: what shapes and counters are made with. */
static bool fold(Onnx *o, const OnnxNode *n, const OnnxTensor *a, const OnnxTensor *b, const char *form) {
    OnnxTensor t = a->n >= b->n ? *a : *b;
    t.whole = a->whole && b->whole;
    char op = form[2];
    if ((a->n != b->n && a->n != 1 && b->n != 1) || strlen(form) != 5 || !strchr("+-*/", op))
        return onnx_refuse(o, "both of its operands are constants; fold them before");
    double *v = NEW_N(o->w.a, double, t.n + 1);
    for (int64_t i = 0; i < t.n; i++) {
        double x = a->v[a->n == 1 ? 0 : i], y = b->v[b->n == 1 ? 0 : i];
        if (x <= MARK_BATCH || y <= MARK_BATCH) return onnx_refuse(o, "it computes with the number of examples or steps");
        v[i] = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : x / y;
        if (op == '/' && t.whole) v[i] = trunc(v[i]);
    }
    t.v = v;
    Value *out = onnx_out(o, n, 0, VALUE_CONST);
    if (out) out->t = t;
    return out != NULL;
}

static bool two_operands(Onnx *o, const OnnxNode *n, const char *form) {
    Value like = {0};
    const Value *a = onnx_in(o, n, 0), *b = onnx_in(o, n, 1);
    if (!a || !b) return onnx_refuse(o, "it has fewer than two operands");
    if (a->kind == VALUE_RUN && b->kind == VALUE_RUN) {
        if (!join_dims(o, a, b, &like)) return false;
    } else if (a->kind == VALUE_RUN || b->kind == VALUE_RUN)
        like = a->kind == VALUE_RUN ? *a : *b;
    else
        return fold(o, n, &a->t, &b->t, form);
    const char *x = operand(o, n, 0, &like), *y = x ? operand(o, n, 1, &like) : NULL;
    if (!y) return false;
    Str s = str_make(o->w.a);
    for (const char *p = form; *p; p++) {
        if (*p == 'A')
            str_put(&s, x);
        else if (*p == 'B')
            str_put(&s, y);
        else
            str_putc(&s, *p);
    }
    return onnx_emit(o, n, 0, &like, like.n, "%s", s.at) != NULL;
}

static bool where(Onnx *o, const OnnxNode *n) {
    const Value *c = onnx_in(o, n, 0);
    Value like = {0};
    if (!c || c->kind != VALUE_RUN || !c->truth) return onnx_refuse(o, "its condition is not computed by a comparison");
    like = *c;
    for (uint32_t k = 1; k < 3; k++) {
        const Value *v = onnx_in(o, n, k);
        Value wide;
        if (v && v->kind == VALUE_RUN && !join_dims(o, &like, v, &wide)) return false;
        if (v && v->kind == VALUE_RUN) like = wide;
    }
    const char *x = operand(o, n, 1, &like), *y = x ? operand(o, n, 2, &like) : NULL;
    return y && onnx_emit(o, n, 0, &like, like.n, "where(%s, %s, %s)", c->text, x, y) != NULL;
}

static bool clip(Onnx *o, const OnnxNode *n, const Value *x) {
    double end[2] = {onnx_float(n, "min", -INFINITY), onnx_float(n, "max", INFINITY)};
    for (uint32_t k = 0; k < 2; k++) {
        const Value *v = onnx_in(o, n, k + 1);
        if (v && (v->kind != VALUE_CONST || v->t.n != 1)) return onnx_refuse(o, "its bounds are computed");
        if (v) end[k] = v->t.v[0];
    }
    if (isnan(end[0]) || isnan(end[1])) return onnx_refuse(o, "its bounds are no numbers");
    const char *s = x->text;
    if (end[0] > -3e38) s = arena_printf(o->w.a, "max(%s, %s)", s, number(o, end[0]));
    if (end[1] < 3e38) s = arena_printf(o->w.a, "min(%s, %s)", s, number(o, end[1]));
    return onnx_emit(o, n, 0, x, x->n, "%s", s) != NULL;
}

/* ---- products ------------------------------------------------------------------------------------------------------------ */

static bool last_is_all(const Value *x) {
    return x->rank && x->role[x->rank - 1] == DIM_FEATURE && x->dim[x->rank - 1] == x->n;
}

static bool matmul(Onnx *o, const OnnxNode *n, const Value *x) {
    const Value *w = onnx_in(o, n, 1);
    if (!w || w->kind != VALUE_CONST || w->t.rank != 2)
        return onnx_refuse(o, "only products with a constant matrix on the right are read");
    if (!last_is_all(x) || w->t.dim[0] != x->n)
        return onnx_refuse(o, "its operands do not fit, or features lie in several dims");
    int64_t O = w->t.dim[1];
    const char *W = onnx_param(o, *w->source ? w->source : "W", w->t.v, O, x->n, transposed(o->w.a, w->t.v, x->n, O));
    Value *v = W ? onnx_emit(o, n, 0, x, O, "%s @ %s", W, x->text) : NULL;
    if (v) v->dim[v->rank - 1] = O;
    return v != NULL;
}

static bool gemm(Onnx *o, const OnnxNode *n, const Value *x) {
    const Value *w = onnx_in(o, n, 1), *c = onnx_in(o, n, 2);
    bool turned = onnx_int(n, "transB", 0) != 0;
    double alpha = onnx_float(n, "alpha", 1), beta = onnx_float(n, "beta", 1);
    if (onnx_int(n, "transA", 0)) return onnx_refuse(o, "transA would turn the batch");
    if (!w || w->kind != VALUE_CONST || w->t.rank != 2 || (c && c->kind != VALUE_CONST))
        return onnx_refuse(o, "its matrix or bias is computed");
    int64_t I = w->t.dim[turned], O = w->t.dim[!turned];
    if (!last_is_all(x) || I != x->n || (c && c->t.n != O && c->t.n != 1)) return onnx_refuse(o, "its operands do not fit");
    const double *from = turned ? w->t.v : transposed(o->w.a, w->t.v, I, O);
    double *W = NEW_N(o->w.a, double, O *I + 1), *b = NEW_N(o->w.a, double, O + 1);
    for (int64_t i = 0; i < O * I; i++) W[i] = alpha * from[i];
    for (int64_t i = 0; c && i < O; i++) b[i] = beta * c->t.v[c->t.n == 1 ? 0 : i];
    Value *v = onnx_out(o, n, 0, VALUE_RUN);
    if (!v) return false;
    for (int d = 0; d + 1 < x->rank; d++) value_add_dim(v, x->role[d], x->dim[d]);
    value_add_dim(v, DIM_FEATURE, O);
    v->n = O;
    return (v->text = dense_write(&o->w, *n->name ? n->name : "dense", O, I, W, b, NULL, x->text)) != NULL;
}

/* ---- over features and time ---------------------------------------------------------------------------------------------- */

static bool reduce(Onnx *o, const OnnxNode *n, const Value *x, const char *fn) {
    bool axis[RONDO_MAX_RANK], given, time = false, feature = false, rest = false;
    if (!onnx_axes(o, n, 1, x->rank, axis, &given)) return false;
    for (int d = 0; d < x->rank; d++) {
        bool hit = !given || axis[d];
        if (hit && x->role[d] == DIM_BATCH)
            return onnx_refuse(o, "it works across the batch, so the result of an example would depend on others");
        if (x->role[d] == DIM_FEATURE && x->dim[d] == 1) continue;
        time = time || (hit && x->role[d] == DIM_TIME);
        feature = feature || (hit && x->role[d] == DIM_FEATURE);
        rest = rest || (!hit && x->role[d] == DIM_FEATURE);
    }
    if (feature && rest) return onnx_refuse(o, "it works on some dims of the features only");
    if (time && !onnx_all_steps(o)) return false;
    const char *s = time ? arena_printf(o->w.a, "%s.%s", x->text, fn) : x->text;
    if (feature) s = arena_printf(o->w.a, "[%s(%s)]", fn, s);
    Value *v = onnx_emit(o, n, 0, x, feature ? 1 : x->n, "%s", s);
    if (!v) return false;
    v->rank = 0;
    v->seq = false;
    for (int d = 0; d < x->rank; d++) {
        bool hit = !given || axis[d];
        if (!hit)
            value_add_dim(v, x->role[d], x->dim[d]);
        else if (onnx_int(n, "keepdims", 1))
            value_add_dim(v, DIM_FEATURE, 1);
    }
    return true;
}

static bool softmax(Onnx *o, const OnnxNode *n, const Value *x) {
    int64_t axis = onnx_int(n, "axis", o->m->opset && o->m->opset < 13 ? 1 : -1);
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank || !last_is_all(x) || axis != x->rank - 1)
        return onnx_refuse(o, "it does not run over all features");
    return onnx_emit(o, n, 0, x, x->n, "%s(%s)", n->op[0] == 'L' ? "log_softmax" : "softmax", x->text) != NULL;
}

static bool layer_norm(Onnx *o, const OnnxNode *n, const Value *x) {
    const Value *gain = onnx_in(o, n, 1), *bias = onnx_in(o, n, 2);
    int64_t axis = onnx_int(n, "axis", -1);
    if ((axis != -1 && axis != x->rank - 1) || !last_is_all(x) || !gain || gain->kind != VALUE_CONST || gain->t.n != x->n ||
        (bias && (bias->kind != VALUE_CONST || bias->t.n != x->n)))
        return onnx_refuse(o, "it does not run over all features with a constant scale and bias");
    double eps = onnx_float(n, "epsilon", 1e-5);
    Str s = str_make(o->w.a);
    if (!isfinite(eps)) return onnx_refuse(o, "epsilon is not finite");
    str_float(&s, (float)eps);
    Value *v = onnx_emit(o, n, 0, x, x->n, "layer_norm[eps = %s](%s)", s.at, x->text);
    if (!v) return false;
    const double *zero = NEW_N(o->w.a, double, x->n + 1);
    return writer_weight(&o->w, arena_printf(o->w.a, "%s.gain", v->text), 1, &x->n, gain->t.v) &&
           writer_weight(&o->w, arena_printf(o->w.a, "%s.bias", v->text), 1, &x->n, bias ? bias->t.v : zero);
}

bool onnx_math_op(Onnx *o, const OnnxNode *n, bool *done) {
    static const char *const pair[][2] = {{"Add", "A + B"},     {"Sub", "A - B"}, {"Mul", "A * B"},
                                          {"Div", "A / B"},     {"Pow", "A ^ B"}, {"Max", "max(A, B)"},
                                          {"Min", "min(A, B)"}, {"Sum", "A + B"}, {"PRelu", "where(A > 0, A, B * A)"}};
    static const char *const truth[][2] = {{"Greater", "A > B"},         {"Less", "A < B"},         {"Equal", "A == B"},
                                           {"GreaterOrEqual", "A >= B"}, {"LessOrEqual", "A <= B"}, {"And", "A and B"},
                                           {"Or", "A or B"}};
    static const char *const reductions[][2] = {{"ReduceMean", "mean"}, {"ReduceSum", "sum"}, {"ReduceMax", "max"}};
    const Value *x = onnx_in(o, n, 0);
    *done = true;
    for (size_t k = 0; k < sizeof pair / sizeof *pair; k++)
        if (!strcmp(n->op, pair[k][0]))
            return n->nin == 2 ? two_operands(o, n, pair[k][1])
                               : onnx_refuse(o, "it has %u operands; two are read", (unsigned)n->nin);
    for (size_t k = 0; k < sizeof truth / sizeof *truth; k++) {
        if (strcmp(n->op, truth[k][0]) != 0) continue;
        if (n->nin != 2 || !two_operands(o, n, truth[k][1])) return false;
        Value *v = onnx_find(o, n->out[0]);
        if (v->kind == VALUE_RUN) v->truth = true;
        return true;
    }
    if (!strcmp(n->op, "Where")) return where(o, n);
    static const struct {
        const char *op;
        bool (*fn)(Onnx *, const OnnxNode *, const Value *);
    } table[] = {{"Clip", clip},       {"MatMul", matmul},      {"Gemm", gemm},
                 {"Softmax", softmax}, {"LogSoftmax", softmax}, {"LayerNormalization", layer_norm}};
    size_t at = sizeof table / sizeof *table, un = sizeof unary / sizeof *unary, re = 3;
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (!strcmp(n->op, table[k].op)) at = k;
    for (size_t k = 0; k < sizeof unary / sizeof *unary; k++)
        if (!strcmp(n->op, unary[k].op)) un = k;
    for (size_t k = 0; k < 3; k++)
        if (!strcmp(n->op, reductions[k][0])) re = k;
    if (at == sizeof table / sizeof *table && un == sizeof unary / sizeof *unary && re == 3) return *done = false, true;
    if (!x || x->kind != VALUE_RUN) return onnx_refuse(o, "its operand is a constant; fold it before");
    if (at < sizeof table / sizeof *table) return table[at].fn(o, n, x);
    return re < 3 ? reduce(o, n, x, reductions[re][1]) : one_operand(o, n, x, un);
}
