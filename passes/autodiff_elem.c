/* Elementwise adjoints, and the tangents of forward mode: the da/db/dc columns of ops.def become small trees, the trees become
   nodes times the adjoint. (Trees, because C leaves the order of arguments open and the numbering of nodes has to be the same
   with every compiler.)
   before:  %3 = mul %1 %2    %4 = tanh %3               adjoint of %4: %9
   after:   %10 = mul %4 %4   %11 = const 1   %12 = sub %11 %10   %13 = mul %9 %12       adjoint of %3: a result is used again
            %14 = mul %13 %2                             adjoint of %1
   A guarded adjoint (it came through a select) keeps its zeros: where the factor may be infinite or NaN although its operands
   are finite, select(g == 0, 0, g * d). Nothing is paid elsewhere. */
#include "passes/autodiff.h"

typedef enum { X_K, X_IN, X_Y, X_TAKEN, X_OP } XKind;
typedef struct X {
    XKind kind;
    Op op;
    double k;
    uint32_t in;
    struct X *x[3];
} X;

static X *x_k(Arena *arena, double v)
{
    X *x = NEW(arena, X);

    x->kind = X_K;
    x->k = v;
    return x;
}

static X *x_value(Arena *arena, XKind kind, uint32_t i)
{
    X *x = NEW(arena, X);

    x->kind = kind;
    x->in = i;
    return x;
}

static X *x_op(Arena *arena, Op op, X *p, X *q, X *s)
{
    X *x = NEW(arena, X);

    x->kind = X_OP;
    x->op = op;
    x->x[0] = p;
    x->x[1] = q;
    x->x[2] = s;
    return x;
}

#define NONE NULL
#define K(v) x_k(arena, v)
#define ADD(p, q) x_op(arena, OP_ADD, p, q, NULL)
#define SUB(p, q) x_op(arena, OP_SUB, p, q, NULL)
#define MUL(p, q) x_op(arena, OP_MUL, p, q, NULL)
#define DIV(p, q) x_op(arena, OP_DIV, p, q, NULL)
#define NEG(p) x_op(arena, OP_NEG, p, NULL, NULL)
#define LT(p, q) x_op(arena, OP_LT, p, q, NULL)
#define LE(p, q) x_op(arena, OP_LE, p, q, NULL)
#define EQ(p, q) x_op(arena, OP_EQ, p, q, NULL)
#define SEL(c_, p, q) x_op(arena, OP_SELECT, c_, p, q)
#define UN(F, p) x_op(arena, OP_##F, p, NULL, NULL)
#define BIN(F, p, q) x_op(arena, OP_##F, p, q, NULL)
#define a x_value(arena, X_IN, 0)
#define b x_value(arena, X_IN, 1)
#define c x_value(arena, X_IN, 2)
#define y x_value(arena, X_Y, 0)
#define TAKEN x_value(arena, X_TAKEN, 0)

static X *factor(Arena *arena, Op op, uint32_t i)
{
    switch (op) {
#define OP(NAME, text, arity, cls, flags, cost, meaning, da, db, dc) \
    case OP_##NAME: return i == 0 ? (da) : i == 1 ? (db) : (dc);
#include "ir/ops.def"
#undef OP
    case OP_COUNT: return NULL;
    }
    return NULL;
}

#undef a
#undef b
#undef c
#undef y
#undef TAKEN

static Ref emit(Level *l, Ref r, const X *x)
{
    const Ref *in = l->fwd->node.at[r].in;
    Ref p, q;
    double v;

    switch (x->kind) {
    case X_K: return g_const(l->bwd, x->k);
    case X_IN: return need(l, in[x->in]);
    case X_Y: return need(l, r);
    case X_TAKEN: return need(l, const_value(l->fwd, in[0], &v) ? r : in[1]);
    case X_OP:
        p = emit(l, r, x->x[0]);
        if (!x->x[1]) return g_un(l->bwd, x->op, p);
        q = emit(l, r, x->x[1]);
        if (!x->x[2]) return g_bin(l->bwd, x->op, p, q);
        return g_select(l->bwd, p, q, emit(l, r, x->x[2]));
    }
    return 0;
}

/* g * x, with the product pushed to where it is cheapest: constants vanish, 1/z divides, a choice of constants chooses. */
static Ref times(Level *l, Ref r, Ref g, const X *x)
{
    Ref p, q;

    if (x->kind == X_K) {
        if (x->k == 0) return g_const(l->bwd, 0);
        if (x->k == 1) return g;
        if (x->k == -1) return g_un(l->bwd, OP_NEG, g);
    }
    if (x->kind == X_OP && x->op == OP_NEG) return g_un(l->bwd, OP_NEG, times(l, r, g, x->x[0]));
    if (x->kind == X_OP && x->op == OP_DIV) {
        p = times(l, r, g, x->x[0]);
        return g_bin(l->bwd, OP_DIV, p, emit(l, r, x->x[1]));
    }
    if (x->kind == X_OP && x->op == OP_MUL && x->x[0]->kind == X_OP && x->x[0]->op == OP_DIV)
        return times(l, r, times(l, r, g, x->x[0]), x->x[1]);
    if (x->kind == X_OP && x->op == OP_SELECT) {
        p = emit(l, r, x->x[0]);
        q = times(l, r, g, x->x[1]);
        return g_select(l->bwd, p, q, times(l, r, g, x->x[2]));
    }
    return g_bin(l->bwd, OP_MUL, g, emit(l, r, x));
}

static bool constant_factor(const X *x)
{
    return x->kind == X_K ||
           (x->kind == X_OP && x->op == OP_SELECT && constant_factor(x->x[1]) && constant_factor(x->x[2]));
}

static bool may_blow_up(const Level *l, Ref r)
{
    const Node *n = &l->fwd->node.at[r];

    if (n->op == OP_DIV || n->op == OP_LOG || n->op == OP_LOG1P || n->op == OP_SQRT || n->op == OP_POW) return true;
    if (l->bits[r]) return true;
    for (int i = 0; i < op_info[n->op].arity; i++)
        if (l->bits[n->in[i]]) return true;
    return false;
}

static Ref keep_zeros(Level *l, Ref g, Ref v)
{
    Ref zero = g_const(l->bwd, 0);

    return g_select(l->bwd, g_bin(l->bwd, OP_EQ, g, zero), zero, v);
}

static void back_select(Level *l, Ref r)
{
    const Node *n = &l->fwd->node.at[r];
    Ref c = need(l, n->in[0]), zero = g_const(l->bwd, 0), g = l->adj[r];

    if (l->act->node[n->in[1]]) adj_add(l, n->in[1], g_select(l->bwd, c, g, zero), n->axes, n, true);
    if (l->act->node[n->in[2]]) adj_add(l, n->in[2], g_select(l->bwd, c, zero, g), n->axes, n, true);
}

void back_elementwise(Level *l, Ref r)
{
    const Node n = l->fwd->node.at[r];
    Ref g = l->adj[r];

    if (n.op == OP_SELECT) {
        back_select(l, r);
        return;
    }
    for (uint32_t i = 0; i < op_info[n.op].arity; i++) {
        const X *d = l->act->node[n.in[i]] ? factor(l->arena, (Op)n.op, i) : NULL;
        Ref v;
        if (!d) continue;
        v = times(l, r, g, d);
        if (l->guard[r] && !constant_factor(d) && may_blow_up(l, r)) v = keep_zeros(l, g, v);
        adj_add(l, n.in[i], v, n.axes, &n, l->guard[r]);
    }
}

Ref elementwise_times(Level *l, Ref r, uint32_t i, Ref g)
{
    const X *d = factor(l->arena, (Op)l->fwd->node.at[r].op, i);

    return d ? times(l, r, g, d) : 0;
}

static uint8_t op_bits(const Graph *g, const Node *n, uint8_t in)
{
    (void)g;
    if (n->op == OP_EXP || n->op == OP_EXPM1) return (uint8_t)(in | MAY_INF);
    if (n->op == OP_SQRT) return (uint8_t)(in | MAY_NAN);
    if (n->op == OP_LOG || n->op == OP_LOG1P || n->op == OP_DIV || n->op == OP_POW || n->op == OP_OUT)
        return MAY_INF | MAY_NAN;
    if (n->op == OP_TANH || n->op == OP_SIGMOID || n->op == OP_ERF) return (uint8_t)(in & ~MAY_INF);
    if (n->dtype == DT_B) return 0;
    if (n->op == OP_ADD || n->op == OP_SUB || n->op == OP_MUL || n->op == OP_SUM || n->op == OP_DOT || n->op == OP_SIN ||
        n->op == OP_COS || n->op == OP_SCATTER_ADD)
        return in ? MAY_INF | MAY_NAN : 0; /* inf - inf, 0 * inf */
    return in;
}

uint8_t *finite_bits(Arena *arena, const Graph *g)
{
    uint8_t *bits = NEW_N(arena, uint8_t, g->node.n + 1);

    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        uint8_t of = 0;
        for (uint32_t i = 0; i < n; i++) of |= bits[in[i]];
        bits[r] = op_bits(g, &g->node.at[r], of);
    }
    return bits;
}
