/* graph_emit, the one way in, and its thin wrappers. */
#include <string.h>

#include "ir/build.h"

Ref graph_emit(Graph *g, const Node *in, const char **why) {
    Node n = *in;
    const char *err = NULL;
    const OpInfo *op;
    uint32_t words;
    Ref r;

    if (n.op == OP_NONE || n.op >= OP_COUNT) err = "no such operation";
    op = &op_info[err ? OP_NONE : n.op];
    for (uint32_t i = 0; !err && i < op->arity; i++)
        if (!n.in[i] || n.in[i] >= g->node.n) err = "an operand is missing";
    if (n.op == OP_SCAN || n.op == OP_CONCAT) {
        if ((uint64_t)n.in[0] + n.in[1] > g->ext.n) err = "operands out of range";
        for (uint32_t i = 0; !err && i < n.in[1]; i++) {
            r = g->ext.at[n.in[0] + i];
            if (!r || r >= g->node.n) err = "an operand is missing";
        }
        n.in[2] = 0;
    } else {
        for (uint32_t i = op->arity; i < 3; i++) n.in[i] = 0;
    }
    words = op_words((Op)n.op);
    if (!err && words && (uint64_t)n.attr + words > g->attr.n) err = "attributes out of range";
    if (!err && words) n.attr = graph_attr(g, g->attr.at + n.attr, words);
    if (!words && op->arity && (op->cls <= OPC_TERNARY ? n.op != OP_CAST : n.op == OP_RESHAPE)) n.attr = 0;
    if (n.rank > MAX_RANK) err = "too many dims";
    if (!err) err = node_infer(g, &n);
    if (err) {
        if (why) *why = err;
        return 0;
    }
    if (!n.span) n.span = g->span;
    if (!n.name) n.name = g->name;
    if (op->arity && (op->flags & OPF_COMM)) { /* constants last, then older first */
        double v;
        bool ca = const_value(g, n.in[0], &v), cb = const_value(g, n.in[1], &v);
        if (ca != cb ? ca : n.in[1] < n.in[0]) {
            r = n.in[0];
            n.in[0] = n.in[1];
            n.in[1] = r;
        }
    }
    r = node_fold(g, &n);
    return r ? r : graph_append(g, &n);
}

Ref node_fit(Graph *g, Ref r, const Node *want) {
    const Node *a = &g->node.at[r];
    int32_t map[3] = {-1, -1, -1};

    if (!r) return 0;
    if (a->rank == want->rank ? !same_dims(a, want) : a->rank != 0) return 0;
    if (a->axes & ~want->axes) return 0;
    if (a->rank == want->rank && a->axes == want->axes) return r;
    for (int i = 0; i < a->rank; i++) map[i] = i;
    return g_expand(g, r, want->rank, want->dim, map, want->axes & ~a->axes);
}

/* ---- wrappers --------------------------------------------------------------------------------------------------------- */

static Ref emit_const(Graph *g, double v, DType dt) {
    uint64_t bits;
    uint32_t w[2];
    Node n = {.op = OP_CONST, .dtype = (uint8_t)dt};

    memcpy(&bits, &v, sizeof bits);
    w[0] = (uint32_t)bits;
    w[1] = (uint32_t)(bits >> 32);
    n.attr = graph_attr(g, w, 2);
    return graph_emit(g, &n, NULL);
}

Ref g_const(Graph *g, double v) { return emit_const(g, v, DT_F); }

Ref g_int(Graph *g, int32_t v) { return emit_const(g, v, DT_I); }

Ref g_bool(Graph *g, bool v) { return emit_const(g, v, DT_B); }

Ref g_param(Graph *g, uint32_t i) {
    return graph_emit(g, &(Node){.op = OP_PARAM, .attr = i, .span = g->module->param.at[i].span}, NULL);
}

Ref g_input(Graph *g, uint32_t i) {
    return graph_emit(g, &(Node){.op = OP_INPUT, .attr = i, .span = g->module->input.at[i].span}, NULL);
}

Ref g_leaf_typed(Graph *g, Op op, uint32_t i, DType dt, int rank, const int32_t *dim, uint32_t axes) {
    Node n = {.op = (uint16_t)op, .attr = i, .dtype = (uint8_t)dt, .rank = (uint8_t)rank, .axes = axes};

    for (int d = 0; d < rank; d++) n.dim[d] = dim[d];
    return graph_emit(g, &n, NULL);
}

Ref g_un(Graph *g, Op op, Ref a) { return a ? graph_emit(g, &(Node){.op = (uint16_t)op, .in = {a}}, NULL) : 0; }

Ref g_bin(Graph *g, Op op, Ref a, Ref b) { return a && b ? graph_emit(g, &(Node){.op = (uint16_t)op, .in = {a, b}}, NULL) : 0; }

Ref g_select(Graph *g, Ref c, Ref a, Ref b) {
    return c && a && b ? graph_emit(g, &(Node){.op = OP_SELECT, .in = {c, a, b}}, NULL) : 0;
}

Ref g_cast(Graph *g, Ref a, DType dt) { return a ? graph_emit(g, &(Node){.op = OP_CAST, .in = {a}, .attr = dt}, NULL) : 0; }

static Ref emit_words(Graph *g, Op op, Ref a, Ref b, const uint32_t *w) {
    Node n = {.op = (uint16_t)op, .in = {a, b}};

    if (!a || (op_info[op].arity > 1 && !b)) return 0;
    n.attr = graph_attr(g, w, op_words(op));
    return graph_emit(g, &n, NULL);
}

Ref g_sum(Graph *g, Ref a, uint32_t axes, uint32_t dims) { return emit_words(g, OP_SUM, a, 0, (uint32_t[]){axes, dims}); }

Ref g_amax(Graph *g, Ref a, uint32_t axes, uint32_t dims) { return emit_words(g, OP_AMAX, a, 0, (uint32_t[]){axes, dims}); }

Ref g_argmax(Graph *g, Ref a, uint32_t dim) {
    return a ? graph_emit(g, &(Node){.op = OP_ARGMAX, .in = {a}, .attr = dim}, NULL) : 0;
}

Ref g_dot(Graph *g, Ref a, Ref b, const uint8_t la[3], const uint8_t lb[3], const uint8_t lo[3], uint32_t kept) {
    return emit_words(g, OP_DOT, a, b, (uint32_t[]){la[0], la[1], la[2], lb[0], lb[1], lb[2], lo[0], lo[1], lo[2], kept});
}

Ref g_matvec(Graph *g, Ref w, Ref x) {
    static const uint8_t o[3] = {2, 0, 0}, i[3] = {1, 0, 0}, oi[3] = {2, 1, 0};

    return w && x ? g_dot(g, x, w, i, oi, o, g->node.at[w].axes | g->node.at[x].axes) : 0;
}

Ref g_slice(Graph *g, Ref a, uint32_t dim, int32_t start, int32_t stop) {
    return emit_words(g, OP_SLICE, a, 0, (uint32_t[]){dim, (uint32_t)start, (uint32_t)stop});
}

Ref g_pad(Graph *g, Ref a, uint32_t dim, int32_t before, int32_t after) {
    return emit_words(g, OP_PAD, a, 0, (uint32_t[]){dim, (uint32_t)before, (uint32_t)after});
}

Ref g_concat(Graph *g, const Ref *a, uint32_t n, uint32_t dim) {
    for (uint32_t i = 0; i < n; i++)
        if (!a[i]) return 0;
    if (n == 1) return a[0];
    return graph_emit(g, &(Node){.op = OP_CONCAT, .in = {graph_ext(g, a, n), n}, .attr = dim}, NULL);
}

Ref g_reshape(Graph *g, Ref a, int rank, const int32_t *dim) {
    Node n = {.op = OP_RESHAPE, .in = {a}, .rank = (uint8_t)rank};

    for (int i = 0; i < rank; i++) n.dim[i] = dim[i];
    return a ? graph_emit(g, &n, NULL) : 0;
}

Ref g_transpose(Graph *g, Ref a, const uint32_t perm[3]) {
    uint32_t w[3] = {0, 0, 0};

    for (int i = 0; a && i < g->node.at[a].rank; i++) w[i] = perm[i];
    return emit_words(g, OP_TRANSPOSE, a, 0, w);
}

Ref g_expand(Graph *g, Ref a, int rank, const int32_t *dim, const int32_t map[3], uint32_t add_axes) {
    uint32_t w[4] = {0, 0, 0, add_axes};
    Node n = {.op = OP_EXPAND, .in = {a}, .rank = (uint8_t)rank};

    if (!a) return 0;
    for (int i = 0; i < rank; i++) {
        n.dim[i] = dim[i];
        w[i] = (uint32_t)map[i];
    }
    w[3] &= ~g->node.at[a].axes;
    n.attr = graph_attr(g, w, 4);
    return graph_emit(g, &n, NULL);
}

Ref g_expand_axes(Graph *g, Ref a, uint32_t add_axes) {
    static const int32_t map[3] = {0, 1, 2};
    Node n;

    if (!a) return 0;
    n = g->node.at[a];
    return g_expand(g, a, n.rank, n.dim, map, add_axes);
}

Ref g_broadcast(Graph *g, Ref a, int rank, const int32_t *dim) {
    int32_t map[3] = {-1, -1, -1}, keep[3] = {0, 0, 0};
    int nkeep = 0;
    Node n;

    if (!a) return 0;
    n = g->node.at[a];
    if (n.rank > rank) return 0;
    for (int i = 0; i < n.rank; i++) { /* a dim of 1 that is stretched leaves by a reshape first */
        int o = i + rank - n.rank;
        if (n.dim[i] == 1 && dim[o] != 1) continue;
        if (n.dim[i] != dim[o]) return 0;
        map[o] = nkeep;
        keep[nkeep++] = n.dim[i];
    }
    if (nkeep != n.rank) a = g_reshape(g, a, nkeep, keep);
    return g_expand(g, a, rank, dim, map, 0);
}

Ref g_gather(Graph *g, Ref table, Ref i) {
    return table && i ? graph_emit(g, &(Node){.op = OP_GATHER, .in = {table, i}}, NULL) : 0;
}

Ref g_scatter_add(Graph *g, Ref i, Ref v, int32_t V, uint32_t kept) {
    return emit_words(g, OP_SCATTER_ADD, i, v, (uint32_t[]){(uint32_t)V, kept});
}

Ref g_shift(Graph *g, Ref x, Ref fill, uint32_t axis, int32_t n) {
    return emit_words(g, OP_SHIFT, x, fill, (uint32_t[]){axis, (uint32_t)n});
}

Ref g_reverse(Graph *g, Ref x, uint32_t axis) {
    return x ? graph_emit(g, &(Node){.op = OP_REVERSE, .in = {x}, .attr = axis}, NULL) : 0;
}

Ref g_last(Graph *g, Ref x, uint32_t axis) {
    return x ? graph_emit(g, &(Node){.op = OP_LAST, .in = {x}, .attr = axis}, NULL) : 0;
}

Ref g_join(Graph *g, Ref a, Ref b, uint32_t axis_a, uint32_t axis_b, uint32_t axis_out) {
    return emit_words(g, OP_JOIN, a, b, (uint32_t[]){axis_a, axis_b, axis_out});
}

Ref g_iota(Graph *g, int32_t n) { return g_leaf_typed(g, OP_IOTA, 0, DT_I, 1, &n, 0); }

Ref g_iota_axis(Graph *g, uint32_t axis, bool inside) {
    return g_leaf_typed(g, OP_IOTA, 1 + axis, DT_I, 0, NULL, inside ? 0 : AX(axis));
}

/* The lengths of examples that are joined are known by those of their parts. */
Ref g_length(Graph *g, uint32_t axis) {
    const Axis *a = &g->module->axis[axis];

    if (a->kind == AXIS_JOIN && a->ragged) return g_bin(g, OP_ADD, g_length(g, a->a), g_length(g, a->b));
    return graph_emit(g, &(Node){.op = OP_LENGTH, .attr = axis}, NULL);
}

Ref g_noise(Graph *g, NoiseKind k, uint32_t stream, uint32_t counter_axes, int rank, const int32_t *dim, uint32_t axes) {
    uint32_t w[3] = {(uint32_t)k, stream, counter_axes};

    return g_leaf_typed(g, OP_NOISE, graph_attr(g, w, 3), DT_F, rank, dim, axes);
}

/* The type of carry k: the leaf's if the body reads it, else what init and next have together. */
static Node carry_type(Graph *g, const Graph *body, uint32_t axis, uint32_t k, Ref init) {
    const Node *next = &body->node.at[body->root.at[k].ref];
    Node t = g->node.at[init];

    if (next->rank && !t.rank) {
        t.rank = next->rank;
        memcpy(t.dim, next->dim, sizeof t.dim);
    }
    t.axes |= next->axes | (g->module->axis[axis].ragged ? AX(AXIS_B) : 0);
    for (Ref r = 1; r < body->node.n; r++)
        if (body->node.at[r].op == OP_CARRY && body->node.at[r].attr == k) return body->node.at[r];
    return t;
}

Ref g_scan(Graph *g, uint32_t axis, bool reverse, uint32_t body, const Ref *init, uint32_t ncarry, const Ref *step,
           uint32_t nstep, const Ref *capture, uint32_t ncapture) {
    uint32_t n = ncarry + nstep + ncapture, w[6] = {axis, reverse, body, ncarry, nstep, ncapture};
    Ref *in = NEW_N(g->module->arena, Ref, n ? n : 1);
    Graph *b = g->module->graph.at[body];
    Node node = {.op = OP_SCAN};

    if (b->root.n < ncarry) return 0;
    for (uint32_t i = 0; i < ncarry; i++) {
        Node t;
        if (!init[i] || b->root.at[i].kind != ROOT_NEXT || !b->root.at[i].ref) return 0;
        t = carry_type(g, b, axis, i, init[i]);
        in[i] = node_fit(g, init[i], &t);
        b->root.at[i].ref = node_fit(b, b->root.at[i].ref, &t);
        if (!in[i] || !b->root.at[i].ref) return 0;
    }
    for (uint32_t i = 0; i < nstep; i++) in[ncarry + i] = step[i];
    for (uint32_t i = 0; i < ncapture; i++) in[ncarry + nstep + i] = capture[i];
    node.in[0] = graph_ext(g, in, n);
    node.in[1] = n;
    node.attr = graph_attr(g, w, 6);
    return graph_emit(g, &node, NULL);
}

Ref g_out(Graph *g, Ref scan, uint32_t i) {
    return scan ? graph_emit(g, &(Node){.op = OP_OUT, .in = {scan}, .attr = i}, NULL) : 0;
}
