/* Local rules of graph_emit. Each gives a value of exactly the node's type: where a rule finds something narrower, node_fit
   puts an expand on it, and elementwise users look through such an expand again (narrow). Rules that change bits of floats
   are left out, but for one: 0 * x is 0, so that adjoints of nothing vanish. Nothing folds across stop. */
#include <math.h>
#include <string.h>

#include "ir/build.h"

static Node *at(Graph *g, Ref r) { return &g->node.at[r]; }

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

static double to_int32(double v) {
    if (!(v >= -9.0e18 && v <= 9.0e18)) return 0;
    return (double)(int32_t)(uint32_t)(uint64_t)(int64_t)v;
}

double cast_value(double v, DType from, DType to) {
    if (to == DT_B) return v != 0;
    if (to == DT_I && from == DT_F)
        return v != v ? 0 : v >= 2147483647.0 ? 2147483647.0 : v <= -2147483648.0 ? -2147483648.0 : trunc(v);
    return v;
}

static double eval_sigmoid(double a) {
    double e = exp(-fabs(a));

    return a < 0 ? e / (1 + e) : 1 / (1 + e);
}

double op_value(Op op, DType dt, double a, double b, double c) {
    double v = 0;

    switch (op) {
#define OP(NAME, text, arity, cls, flags, cost, meaning, da, db, dc) \
    case OP_##NAME: \
        v = meaning; \
        break;
#include "ir/ops.def"
#undef OP
    case OP_COUNT: return 0;
    }
    if (dt != DT_I) return v;
    if (op == OP_DIV) return b == 0 ? 0 : to_int32(trunc(v)); /* int32 division: toward zero, by zero gives 0 */
    return to_int32(v);
}

static bool is_const(Graph *g, Ref r, double v) {
    double c;

    return const_value(g, r, &c) && c == v;
}

static Ref const_like(Graph *g, const Node *n, double v) {
    Ref r = n->dtype == DT_F ? g_const(g, v) : n->dtype == DT_I ? g_int(g, (int32_t)v) : g_bool(g, v != 0);

    return node_fit(g, r, n);
}

/* ---- elementwise ------------------------------------------------------------------------------------------------------ */

static Ref fold_consts(Graph *g, const Node *n) {
    double v[3] = {0, 0, 0};

    if (n->op == OP_CAST) {
        if (!const_value(g, n->in[0], &v[0])) return 0;
        return const_like(g, n, cast_value(v[0], (DType)at(g, n->in[0])->dtype, (DType)n->dtype));
    }
    for (int i = 0; i < op_info[n->op].arity; i++)
        if (!const_value(g, n->in[i], &v[i])) return 0;
    return const_like(g, n, op_value((Op)n->op, (DType)n->dtype, v[0], v[1], v[2]));
}

static Ref fold_unary(Graph *g, const Node *n) {
    const Node *a = at(g, n->in[0]), *s;

    if (n->op == OP_STOP) return a->op == OP_STOP ? n->in[0] : 0;
    if (n->op == OP_CAST && a->dtype == n->dtype) return n->in[0];
    if ((n->op == OP_NEG || n->op == OP_NOT) && a->op == n->op) return a->in[0];
    if (n->op == OP_ABS && (a->op == OP_ABS || a->op == OP_NEG)) return a->op == OP_ABS ? n->in[0] : g_un(g, OP_ABS, a->in[0]);
    if (n->op == OP_FLOOR && a->op == OP_FLOOR) return n->in[0];
    if (n->op == OP_CAST && a->op == OP_CAST && at(g, a->in[0])->dtype == DT_B) return g_cast(g, a->in[0], (DType)n->dtype);
    if (a->op != OP_EXPAND) return 0;
    /* f(expand x) = expand f(x) */
    s = at(g, a->in[0]);
    {
        Node f = *n, e = *a;
        const char *why = NULL;
        f.in[0] = a->in[0];
        f.rank = s->rank;
        f.axes = s->axes;
        memcpy(f.dim, s->dim, sizeof f.dim);
        e.in[0] = graph_emit(g, &f, &why);
        return graph_emit(g, &e, &why);
    }
}

static Ref fold_add(Graph *g, const Node *n) {
    Ref a = n->in[0], b = n->in[1];

    if (is_const(g, b, 0)) return node_fit(g, a, n);
    if (is_const(g, a, 0)) return node_fit(g, b, n);
    if (at(g, b)->op == OP_NEG) return node_fit(g, g_bin(g, OP_SUB, a, at(g, b)->in[0]), n);
    if (at(g, a)->op == OP_NEG) return node_fit(g, g_bin(g, OP_SUB, b, at(g, a)->in[0]), n);
    return 0;
}

static Ref fold_sub(Graph *g, const Node *n) {
    Ref a = n->in[0], b = n->in[1];

    if (is_const(g, b, 0)) return node_fit(g, a, n);
    if (is_const(g, a, 0)) return node_fit(g, g_un(g, OP_NEG, b), n);
    if (at(g, b)->op == OP_NEG) return node_fit(g, g_bin(g, OP_ADD, a, at(g, b)->in[0]), n);
    return 0;
}

static Ref fold_mul(Graph *g, const Node *n) {
    Ref a = n->in[0], b = n->in[1];

    for (int i = 0; i < 2; i++) {
        Ref c = i ? a : b, x = i ? b : a;
        if (is_const(g, c, 1)) return node_fit(g, x, n);
        if (is_const(g, c, -1)) return node_fit(g, g_un(g, OP_NEG, x), n);
        if (is_const(g, c, 0)) return const_like(g, n, 0);
    }
    return 0;
}

static Ref fold_logic(Graph *g, const Node *n) {
    Ref a = n->in[0], b = n->in[1];
    bool unit = n->op == OP_AND; /* what changes nothing */
    double v;

    if (a == b) return a;
    for (int i = 0; i < 2; i++) {
        Ref c = i ? a : b, x = i ? b : a;
        if (const_value(g, c, &v)) return (v != 0) == unit ? node_fit(g, x, n) : const_like(g, n, !unit);
    }
    return 0;
}

static Ref fold_binary(Graph *g, const Node *n) {
    Ref a = n->in[0], b = n->in[1];

    if (n->op == OP_ADD) return fold_add(g, n);
    if (n->op == OP_SUB) return fold_sub(g, n);
    if (n->op == OP_MUL) return fold_mul(g, n);
    if (n->op == OP_AND || n->op == OP_OR) return fold_logic(g, n);
    if (n->op == OP_DIV && is_const(g, b, 1)) return node_fit(g, a, n);
    if (n->op == OP_POW && is_const(g, b, 2)) return node_fit(g, g_bin(g, OP_MUL, a, a), n);
    if (n->op == OP_POW && is_const(g, b, 1)) return node_fit(g, a, n);
    if (n->op == OP_POW && is_const(g, b, 0)) return const_like(g, n, 1);
    if ((n->op == OP_MAX || n->op == OP_MIN) && a == b) return a;
    return 0;
}

static Ref fold_select(Graph *g, const Node *n) {
    double v, a, b;

    if (const_value(g, n->in[0], &v)) return node_fit(g, n->in[v != 0 ? 1 : 2], n);
    if (n->in[1] == n->in[2]) return node_fit(g, n->in[1], n);
    if (const_value(g, n->in[1], &a) && const_value(g, n->in[2], &b)) {
        if (a == b && signbit(a) == signbit(b)) return const_like(g, n, a);
        if (n->dtype == DT_B) return node_fit(g, a != 0 ? n->in[0] : g_un(g, OP_NOT, n->in[0]), n);
    }
    if (at(g, n->in[0])->op == OP_NOT) return node_fit(g, g_select(g, at(g, n->in[0])->in[0], n->in[2], n->in[1]), n);
    for (int k = 1; k <= 2; k++) { /* a branch that asks again */
        const Node *x = at(g, n->in[k]);
        if (x->op != OP_SELECT || x->in[0] != n->in[0]) continue;
        return node_fit(g, g_select(g, n->in[0], k == 1 ? x->in[1] : n->in[1], k == 1 ? n->in[2] : x->in[2]), n);
    }
    return 0;
}

/* Operands that only broadcast what elementwise operations broadcast anyway lose their expand. True if n changed. */
static bool narrow(Graph *g, Node *n) {
    int count = op_info[n->op].arity;
    bool changed = false;

    for (int i = 0; i < count; i++) {
        const Node *e = at(g, n->in[i]);
        uint32_t axes = 0;
        uint8_t rank = 0;
        if (e->op != OP_EXPAND) continue;
        if (at(g, e->in[0])->rank && at(g, e->in[0])->rank != e->rank) continue;
        for (int k = 0; k < count; k++) {
            const Node *a = at(g, k == i ? e->in[0] : n->in[k]);
            axes |= a->axes;
            if (a->rank > rank) rank = a->rank;
        }
        if (axes != n->axes || rank != n->rank) continue;
        n->in[i] = e->in[0];
        changed = true;
    }
    return changed;
}

/* ---- reductions and products ------------------------------------------------------------------------------------------ */

static Ref fold_sum(Graph *g, const Node *n) {
    const uint32_t *w = g->attr.at + n->attr, *e;
    const Node *a = at(g, n->in[0]);
    int32_t dim[3] = {0, 0, 0}, map[3] = {-1, -1, -1};
    double count = 1;
    int rank = 0;
    Ref r;

    if (!w[0] && !w[1]) return n->in[0];
    if (is_const(g, n->in[0], 0)) return const_like(g, n, 0);
    if (w[0] || a->op != OP_EXPAND || (n->op == OP_SUM && a->dtype != DT_F)) return 0;
    e = g->attr.at + a->attr;
    for (uint32_t i = 0; i < a->rank; i++) {
        if (!(w[1] >> i & 1)) {
            map[rank] = (int32_t)e[i];
            dim[rank++] = a->dim[i];
        } else if ((int32_t)e[i] >= 0) {
            return 0;
        } else {
            count *= a->dim[i];
        }
    }
    r = g_expand(g, a->in[0], rank, dim, map, n->axes);
    return n->op == OP_SUM ? g_bin(g, OP_MUL, r, const_like(g, n, count)) : r;
}

/* ---- shapes ----------------------------------------------------------------------------------------------------------- */

static Ref fold_slice(Graph *g, const Node *n) {
    const uint32_t *w = g->attr.at + n->attr, *aw;
    const Node *a = at(g, n->in[0]);
    int32_t start = (int32_t)w[1], stop = (int32_t)w[2], from = 0;

    if (start == 0 && stop == a->dim[w[0]]) return n->in[0];
    aw = op_words((Op)a->op) ? g->attr.at + a->attr : &a->attr;
    if (a->op == OP_SLICE && aw[0] == w[0]) return g_slice(g, a->in[0], w[0], start + (int32_t)aw[1], stop + (int32_t)aw[1]);
    if (a->op == OP_PAD && aw[0] == w[0]) {
        int32_t before = (int32_t)aw[1], size = at(g, a->in[0])->dim[w[0]];
        if (stop <= before || start >= before + size) return const_like(g, n, 0);
        if (start >= before && stop <= before + size) return g_slice(g, a->in[0], w[0], start - before, stop - before);
    }
    if (a->op != OP_CONCAT || aw[0] != w[0]) return 0;
    for (uint32_t i = 0; i < a->in[1]; i++) {
        Ref part = g->ext.at[a->in[0] + i];
        int32_t size = at(g, part)->dim[w[0]];
        if (start >= from && stop <= from + size) return g_slice(g, part, w[0], start - from, stop - from);
        from += size;
    }
    return 0;
}

static Ref fold_pad(Graph *g, const Node *n) {
    const uint32_t *w = g->attr.at + n->attr, *aw;
    const Node *a = at(g, n->in[0]);

    if (!w[1] && !w[2]) return n->in[0];
    if (is_const(g, n->in[0], 0)) return const_like(g, n, 0);
    if (a->op != OP_PAD) return 0;
    aw = g->attr.at + a->attr;
    if (aw[0] != w[0]) return 0;
    return g_pad(g, a->in[0], w[0], (int32_t)(w[1] + aw[1]), (int32_t)(w[2] + aw[2]));
}

static Ref fold_concat(Graph *g, const Node *n) {
    const Ref *part = g->ext.at + n->in[0];
    const Node *a = at(g, part[0]);
    double v, first;
    uint32_t src, stop;
    bool same = const_value(g, part[0], &first);

    if (n->in[1] == 1) return part[0];
    for (uint32_t i = 1; same && i < n->in[1]; i++)
        same = const_value(g, part[i], &v) && v == first && signbit(v) == signbit(first);
    if (same) return const_like(g, n, first);
    /* neighbouring slices of one value */
    if (a->op != OP_SLICE || g->attr.at[a->attr] != n->attr) return 0;
    src = a->in[0];
    stop = g->attr.at[a->attr + 2];
    for (uint32_t i = 1; i < n->in[1]; i++) {
        const Node *b = at(g, part[i]);
        const uint32_t *w = g->attr.at + b->attr;
        if (b->op != OP_SLICE || b->in[0] != src || w[0] != n->attr || w[1] != stop) return 0;
        stop = w[2];
    }
    return g_slice(g, src, n->attr, (int32_t)g->attr.at[a->attr + 1], (int32_t)stop);
}

static Ref fold_transpose(Graph *g, const Node *n) {
    const uint32_t *w = g->attr.at + n->attr, *aw;
    const Node *a = at(g, n->in[0]);
    bool identity = true;
    uint32_t perm[3] = {0, 0, 0};

    for (uint32_t i = 0; i < n->rank; i++) identity &= w[i] == i;
    if (identity) return n->in[0];
    if (a->op != OP_TRANSPOSE) return 0;
    aw = g->attr.at + a->attr;
    for (uint32_t i = 0; i < n->rank; i++) perm[i] = aw[w[i]];
    return g_transpose(g, a->in[0], perm);
}

static Ref fold_expand(Graph *g, const Node *n) {
    const uint32_t *w = g->attr.at + n->attr, *aw;
    const Node *a = at(g, n->in[0]);
    int32_t map[3] = {-1, -1, -1};

    if (same_type(a, n)) return n->in[0]; /* no dim is lost, so the map is the identity */
    if (a->op != OP_EXPAND) return 0;
    aw = g->attr.at + a->attr;
    for (int i = 0; i < n->rank; i++)
        if ((int32_t)w[i] >= 0) map[i] = (int32_t)aw[w[i]];
    return g_expand(g, a->in[0], n->rank, n->dim, map, n->axes & ~at(g, a->in[0])->axes);
}

static Ref fold_shape(Graph *g, const Node *n) {
    const Node *a;

    if (n->op == OP_CONCAT) return fold_concat(g, n);
    if (n->op == OP_EXPAND) return fold_expand(g, n);
    if (n->op == OP_PAD) return fold_pad(g, n);
    a = at(g, n->in[0]);
    if (n->op == OP_RESHAPE && same_dims(a, n)) return n->in[0];
    if (a->op == OP_EXPAND && !at(g, a->in[0])->rank) return node_fit(g, a->in[0], n); /* one value everywhere */
    if (n->op == OP_SLICE) return fold_slice(g, n);
    if (n->op == OP_TRANSPOSE) return fold_transpose(g, n);
    if (a->op == OP_EXPAND && a->axes == at(g, a->in[0])->axes && node_features(a) == node_features(at(g, a->in[0])))
        return g_reshape(g, a->in[0], n->rank, n->dim); /* the expand added dims of 1 */
    return a->op == OP_RESHAPE ? g_reshape(g, a->in[0], n->rank, n->dim) : 0;
}

/* A transposed operand is the operand itself with its labels in another order. */
static Ref fold_dot(Graph *g, const Node *n) {
    uint32_t w[10], was[3];
    Ref in[2];
    bool any = false;

    memcpy(w, g->attr.at + n->attr, sizeof w);
    for (int k = 0; k < 2; k++) {
        const Node *a = at(g, n->in[k]);
        in[k] = n->in[k];
        if (a->op != OP_TRANSPOSE) continue;
        memcpy(was, w + 3 * k, sizeof was);
        for (uint32_t d = 0; d < a->rank; d++) w[3 * k + (int)g->attr.at[a->attr + d]] = was[d];
        in[k] = a->in[0];
        any = true;
    }
    if (!any) return 0;
    return graph_emit(g, &(Node){.op = OP_DOT, .in = {in[0], in[1]}, .attr = graph_attr(g, w, 10), .span = n->span, .name = n->name}, NULL);
}

/* ---- the rest --------------------------------------------------------------------------------------------------------- */

static Ref fold_time(Graph *g, const Node *n) {
    double v, f;

    if (n->op == OP_SHIFT) {
        if (g->attr.at[n->attr + 1] == 0) return n->in[0];
        if (const_value(g, n->in[0], &v) && const_value(g, n->in[1], &f) && v == f && signbit(v) == signbit(f))
            return const_like(g, n, v);
        return 0;
    }
    if (n->op == OP_REVERSE && at(g, n->in[0])->op == OP_REVERSE && at(g, n->in[0])->attr == n->attr)
        return at(g, n->in[0])->in[0];
    if (n->op == OP_JOIN || !const_value(g, n->in[0], &v)) return 0;
    return const_like(g, n, v);
}

/* One row that a constant picks is a slice, and its gradient a pad. */
static Ref fold_index(Graph *g, const Node *n) {
    bool gather = n->op == OP_GATHER;
    Ref index = n->in[gather ? 1 : 0], x = n->in[gather ? 0 : 1];
    const Node i = *at(g, index), v = *at(g, x);
    int32_t rows = gather ? v.dim[0] : n->dim[0], dim[MAX_RANK] = {1}, k;
    uint32_t summed;
    double c;

    if (is_const(g, x, 0)) return const_like(g, n, 0);
    if (i.rank || !const_value(g, index, &c)) return 0;
    k = c < 0 ? 0 : c >= rows ? rows - 1 : (int32_t)c;
    if (gather) return node_fit(g, g_reshape(g, g_slice(g, x, 0, k, k + 1), n->rank, n->dim), n);
    if (i.axes & ~v.axes) x = g_expand_axes(g, x, i.axes & ~v.axes);
    summed = (i.axes | v.axes) & ~n->axes;
    if (summed) x = g_sum(g, x, summed, 0);
    for (int d = 0; d < v.rank; d++) dim[d + 1] = v.dim[d];
    return g_pad(g, g_reshape(g, x, v.rank + 1, dim), 0, k, rows - 1 - k);
}

Ref node_fold(Graph *g, const Node *in) {
    Node n = *in;
    Ref r;

    switch ((OpClass)op_info[n.op].cls) {
    case OPC_LEAF: return 0;
    case OPC_UNARY: r = fold_consts(g, &n); return r ? r : fold_unary(g, &n);
    case OPC_BINARY:
    case OPC_TERNARY:
        r = fold_consts(g, &n);
        if (!r) r = n.op == OP_SELECT ? fold_select(g, &n) : fold_binary(g, &n);
        if (r) return r;
        return narrow(g, &n) ? graph_emit(g, &n, NULL) : 0;
    case OPC_REDUCE: return n.op == OP_ARGMAX ? 0 : fold_sum(g, &n);
    case OPC_CONTRACT: return is_const(g, n.in[0], 0) || is_const(g, n.in[1], 0) ? const_like(g, &n, 0) : fold_dot(g, &n);
    case OPC_SHAPE: return fold_shape(g, &n);
    case OPC_INDEX: return fold_index(g, &n);
    case OPC_TIME: return fold_time(g, &n);
    case OPC_CONTROL: return 0;
    }
    return 0;
}
