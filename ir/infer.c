/* The type of every operation. Lenient where the meaning is plain: missing casts, broadcasts of fills and parts, and sums
   before a dot are inserted as nodes. The verifier has rules of its own and accepts none of this. */
#include <string.h>

#include "ir/build.h"

static Node *at(Graph *g, Ref r) { return &g->node.at[r]; }

static Ref to_dtype(Graph *g, Ref r, DType dt) { return r && at(g, r)->dtype != dt ? g_cast(g, r, dt) : r; }

static void take_type(Node *n, const Node *from) {
    n->dtype = from->dtype;
    n->rank = from->rank;
    memcpy(n->dim, from->dim, sizeof n->dim);
    n->axes = from->axes;
}

static void set_dims(Node *n, int rank, const int32_t *dim) {
    n->rank = (uint8_t)rank;
    for (int i = 0; i < MAX_RANK; i++) n->dim[i] = i < rank ? dim[i] : 0;
}

static void drop_dim(Node *n, uint32_t dim) {
    for (uint32_t i = dim; i + 1 < n->rank; i++) n->dim[i] = n->dim[i + 1];
    n->dim[--n->rank] = 0;
}

/* The words of a node that is not yet in the graph; the address of an immediate. */
static const uint32_t *words_of(const Graph *g, const Node *n) { return op_words((Op)n->op) ? g->attr.at + n->attr : &n->attr; }

static const char *infer_leaf(Graph *g, Node *n) {
    const Module *m = g->module;
    const uint32_t *w = words_of(g, n);

    for (int i = n->rank; i < MAX_RANK; i++) n->dim[i] = 0;
    for (int i = 0; i < n->rank; i++)
        if (n->dim[i] < 1) return "a dim of a leaf is not positive";
    if (n->op == OP_CONST && (n->rank || n->axes)) return "const is a scalar";
    if (n->op == OP_PARAM) {
        if (n->attr >= m->param.n) return "no such parameter";
        n->dtype = DT_F;
        n->axes = 0;
        set_dims(n, m->param.at[n->attr].rank, m->param.at[n->attr].dim);
    }
    if (n->op == OP_INPUT) {
        const Input *p;
        if (n->attr >= m->input.n) return "no such input";
        p = &m->input.at[n->attr];
        n->dtype = p->dtype;
        n->axes = p->axes;
        set_dims(n, p->rank, p->dim);
    }
    if (n->op == OP_NOISE) {
        n->dtype = DT_F;
        if (w[0] > NOISE_ORTHOGONAL) return "no such noise";
        if (w[0] == NOISE_ORTHOGONAL && (n->rank < 2 || n->axes)) return "orthogonal noise is a matrix, or several, without axes";
    }
    if (n->op == OP_IOTA) {
        n->dtype = DT_I;
        if (n->attr ? n->rank != 0 : n->rank != 1) return "iota has one dim, or none over an axis";
        if (n->attr > m->naxis) return "no such axis";
        if (n->attr && (n->axes & ~AX(n->attr - 1))) return "iota has no axis but its own";
    }
    if (n->op == OP_LENGTH) {
        if (n->attr >= m->naxis) return "no such axis";
        n->dtype = DT_I;
        n->rank = 0;
        n->axes = m->axis[n->attr].ragged ? AX(AXIS_B) : 0;
    }
    return NULL;
}

static const char *infer_unary(Graph *g, Node *n) {
    DType dt = (DType)at(g, n->in[0])->dtype;

    if (n->op == OP_CAST) {
        if (n->attr > DT_B) return "no such dtype";
        take_type(n, at(g, n->in[0]));
        n->dtype = (uint8_t)n->attr;
        return NULL;
    }
    if (n->op == OP_NOT)
        dt = DT_B;
    else if (n->op == OP_NEG || n->op == OP_ABS)
        dt = dt == DT_B ? DT_I : dt;
    else if (n->op != OP_STOP)
        dt = DT_F;
    n->in[0] = to_dtype(g, n->in[0], dt);
    take_type(n, at(g, n->in[0]));
    return NULL;
}

/* Union of the axes; equal dims or rank 0. */
static const char *broadcast(Graph *g, Node *n, int first, int count) {
    n->rank = 0;
    n->axes = 0;
    memset(n->dim, 0, sizeof n->dim);
    for (int i = 0; i < count; i++) {
        const Node *a = at(g, n->in[i]);
        n->axes |= a->axes;
        if (i < first || !a->rank) continue;
        if (!n->rank)
            set_dims(n, a->rank, a->dim);
        else if (!same_dims(n, a))
            return "operands have different features";
    }
    for (int i = 0; i < first; i++) {
        const Node *a = at(g, n->in[i]);
        if (a->rank && !n->rank)
            set_dims(n, a->rank, a->dim);
        else if (a->rank && !same_dims(n, a))
            return "operands have different features";
    }
    return NULL;
}

static const char *infer_binary(Graph *g, Node *n) {
    uint8_t a = at(g, n->in[0])->dtype, b = at(g, n->in[1])->dtype;
    DType dt = a == DT_F || b == DT_F ? DT_F : a == DT_I || b == DT_I ? DT_I : DT_B;

    if (n->op == OP_AND || n->op == OP_OR)
        dt = DT_B;
    else if (n->op == OP_POW)
        dt = DT_F;
    else if (dt == DT_B && n->op != OP_EQ)
        dt = DT_I;
    n->in[0] = to_dtype(g, n->in[0], dt);
    n->in[1] = to_dtype(g, n->in[1], dt);
    n->dtype = op_info[n->op].flags & OPF_BOOL ? DT_B : (uint8_t)dt;
    return broadcast(g, n, 0, 2);
}

static const char *infer_select(Graph *g, Node *n) {
    uint8_t a = at(g, n->in[1])->dtype, b = at(g, n->in[2])->dtype;
    DType dt = a == b ? (DType)a : a == DT_F || b == DT_F ? DT_F : DT_I;

    n->in[0] = to_dtype(g, n->in[0], DT_B);
    n->in[1] = to_dtype(g, n->in[1], dt);
    n->in[2] = to_dtype(g, n->in[2], dt);
    n->dtype = (uint8_t)dt;
    return broadcast(g, n, 1, 3);
}

static const char *infer_reduce(Graph *g, Node *n) {
    const uint32_t *w;

    if (n->op == OP_ARGMAX) {
        take_type(n, at(g, n->in[0]));
        if (n->attr >= n->rank) return "argmax over a dim that is not there";
        drop_dim(n, n->attr);
        n->dtype = DT_I;
        return NULL;
    }
    if (n->op == OP_SUM && at(g, n->in[0])->dtype == DT_B) n->in[0] = to_dtype(g, n->in[0], DT_I);
    w = g->attr.at + n->attr;
    take_type(n, at(g, n->in[0]));
    if (w[0] & ~n->axes) return "reduction over an axis that is not there";
    if (w[1] >> n->rank) return "reduction over a dim that is not there";
    n->axes &= ~w[0];
    for (uint32_t d = n->rank; d-- > 0;)
        if (w[1] >> d & 1) drop_dim(n, d);
    return NULL;
}

/* Sums away what only one operand of a dot has and the result has not. */
static Ref dot_presum(Graph *g, Ref r, uint32_t axes, uint32_t *mine, const uint32_t *other, const uint32_t *out) {
    uint32_t dims = 0, rank = at(g, r)->rank, k = 0;

    for (uint32_t i = 0; i < rank; i++) {
        bool used = false;
        for (int j = 0; j < 3; j++) used |= other[j] == mine[i] || out[j] == mine[i];
        if (!used)
            dims |= 1u << i;
        else
            mine[k++] = mine[i];
    }
    for (; k < 3; k++) mine[k] = 0;
    return axes || dims ? g_sum(g, r, axes, dims) : r;
}

/* Labels by first occurrence: 1, 2, ..; equal products then have equal words. */
static void dot_relabel(uint32_t w[9]) {
    uint32_t old[9], n = 0;

    for (int i = 0; i < 9; i++) {
        uint32_t k = 0;
        if (!w[i]) continue;
        while (k < n && old[k] != w[i]) k++;
        if (k == n) old[n++] = w[i];
        w[i] = k + 1;
    }
}

static const char *infer_dot(Graph *g, Node *n) {
    uint32_t w[10], xa, xb;

    memcpy(w, g->attr.at + n->attr, sizeof w);
    for (int i = 0; i < 2; i++) {
        n->in[i] = to_dtype(g, n->in[i], DT_F);
        for (int d = 0; d < 3; d++) {
            bool used = d < at(g, n->in[i])->rank;
            if (used != (w[3 * i + d] != 0)) return "dot needs one label for each dim";
            for (int e = 0; e < d; e++)
                if (used && w[3 * i + d] == w[3 * i + e]) return "a label occurs twice in one operand of a dot";
        }
    }
    xa = at(g, n->in[0])->axes;
    xb = at(g, n->in[1])->axes;
    if (w[9] & ~(xa | xb)) return "dot keeps an axis that no operand has";
    n->in[0] = dot_presum(g, n->in[0], xa & ~xb & ~w[9], w, w + 3, w + 6);
    n->in[1] = dot_presum(g, n->in[1], xb & ~xa & ~w[9], w + 3, w, w + 6);
    dot_relabel(w);
    n->attr = graph_attr(g, w, 10);
    n->dtype = DT_F;
    n->axes = w[9];
    n->rank = 0;
    memset(n->dim, 0, sizeof n->dim);
    for (int o = 0; o < 3 && w[6 + o]; o++) {
        for (int e = 0; e < o; e++)
            if (w[6 + o] == w[6 + e]) return "a label occurs twice in the result of a dot";
        for (int i = 0; i < 2; i++)
            for (int d = 0; d < at(g, n->in[i])->rank; d++)
                if (w[3 * i + d] == w[6 + o]) n->dim[o] = at(g, n->in[i])->dim[d];
        if (!n->dim[o]) return "dot keeps a label that no operand has";
        n->rank++;
    }
    for (int d = 0; d < 3; d++)
        for (int e = 0; e < 3; e++)
            if (w[d] && w[d] == w[3 + e] && at(g, n->in[0])->dim[d] != at(g, n->in[1])->dim[e])
                return "one label of a dot has two sizes";
    return NULL;
}

static const char *infer_concat(Graph *g, Node *n) {
    uint32_t count = n->in[1], dim = n->attr;
    Ref *part = NEW_N(g->module->arena, Ref, count ? count : 1);
    int64_t size = 0;
    bool changed = false;

    if (!count) return "concat of nothing";
    memcpy(part, g->ext.at + n->in[0], count * sizeof(Ref));
    take_type(n, at(g, part[0]));
    if (dim >= n->rank) return "concat along a dim that is not there";
    for (uint32_t i = 0; i < count; i++) {
        const Node *a = at(g, part[i]);
        if (a->rank != n->rank || a->dtype != n->dtype) return "parts of a concat have different types";
        for (uint32_t d = 0; d < n->rank; d++)
            if (d != dim && a->dim[d] != n->dim[d]) return "parts of a concat have different features";
        n->axes |= a->axes;
        size += a->dim[dim];
    }
    if (size > INT32_MAX) return "concat is too large";
    for (uint32_t i = 0; i < count; i++) {
        Ref r = g_expand_axes(g, part[i], n->axes & ~at(g, part[i])->axes);
        changed |= r != part[i];
        part[i] = r;
    }
    if (changed) n->in[0] = graph_ext(g, part, count);
    n->dim[dim] = (int32_t)size;
    return NULL;
}

static const char *infer_expand(Graph *g, Node *n) {
    const Node *a = at(g, n->in[0]);
    uint32_t w[4];
    int next = 0;

    memcpy(w, g->attr.at + n->attr, sizeof w);
    for (int i = n->rank; i < MAX_RANK; i++) w[i] = 0;
    w[3] &= ~a->axes;
    n->attr = graph_attr(g, w, 4);
    for (int i = 0; i < n->rank; i++) {
        if (n->dim[i] < 1) return "a dim of expand is not positive";
        if ((int32_t)w[i] < 0) continue;
        if ((int)w[i] != next || next >= a->rank || a->dim[next] != n->dim[i]) return "expand maps its dims wrongly";
        next++;
    }
    if (next != a->rank) return "expand loses a dim";
    n->dtype = a->dtype;
    n->axes = a->axes | w[3];
    for (int i = n->rank; i < MAX_RANK; i++) n->dim[i] = 0;
    return NULL;
}

static const char *infer_reshape(Graph *g, Node *n) {
    const Node *a = at(g, n->in[0]);

    for (int i = n->rank; i < MAX_RANK; i++) n->dim[i] = 0;
    if (node_features(n) != node_features(a)) return "reshape changes the number of elements";
    n->dtype = a->dtype;
    n->axes = a->axes;
    return NULL;
}

static const char *infer_shape(Graph *g, Node *n) {
    const uint32_t *w = words_of(g, n);
    const Node *a;
    uint32_t seen = 0;

    if (n->op == OP_CONCAT) return infer_concat(g, n);
    if (n->op == OP_EXPAND) return infer_expand(g, n);
    if (n->op == OP_RESHAPE) return infer_reshape(g, n);
    a = at(g, n->in[0]);
    take_type(n, a);
    if (n->op == OP_TRANSPOSE) {
        for (uint32_t i = 0; i < n->rank; i++) {
            if (w[i] >= n->rank || (seen >> w[i] & 1)) return "transpose needs a permutation";
            seen |= 1u << w[i];
            n->dim[i] = a->dim[w[i]];
        }
        return NULL;
    }
    if (w[0] >= n->rank) return "slice or pad of a dim that is not there";
    if (n->op == OP_SLICE) {
        if ((int32_t)w[1] < 0 || (int32_t)w[2] <= (int32_t)w[1] || (int32_t)w[2] > n->dim[w[0]]) return "slice out of range";
        n->dim[w[0]] = (int32_t)(w[2] - w[1]);
        return NULL;
    }
    if ((int32_t)w[1] < 0 || (int32_t)w[2] < 0) return "pad is negative";
    if ((int64_t)n->dim[w[0]] + w[1] + w[2] > INT32_MAX) return "pad is too large";
    n->dim[w[0]] += (int32_t)(w[1] + w[2]);
    return NULL;
}

static const char *infer_index(Graph *g, Node *n) {
    const Node *t, *i, *v;
    const uint32_t *w;
    int rest;

    if (n->op == OP_GATHER) {
        n->in[1] = to_dtype(g, n->in[1], DT_I);
        t = at(g, n->in[0]);
        i = at(g, n->in[1]);
        if (!t->rank) return "gather from a scalar";
        if (n->attr == 0) n->attr = (uint32_t)t->dim[0];
        if (n->attr != (uint32_t)t->dim[0]) return "gather has another number of table rows";
        if (i->rank + t->rank - 1 > MAX_RANK) return "gather gives too many dims";
        n->dtype = t->dtype;
        n->axes = t->axes | i->axes;
        set_dims(n, i->rank, i->dim);
        for (int d = 1; d < t->rank; d++) n->dim[n->rank++] = t->dim[d];
        return NULL;
    }
    n->in[0] = to_dtype(g, n->in[0], DT_I);
    i = at(g, n->in[0]);
    v = at(g, n->in[1]);
    w = g->attr.at + n->attr;
    rest = v->rank - i->rank;
    if (rest < 0 || rest + 1 > MAX_RANK) return "scatter_add has values of a wrong rank";
    for (int d = 0; d < i->rank; d++)
        if (i->dim[d] != v->dim[d]) return "scatter_add has indices and values of different dims";
    if ((int32_t)w[0] < 1) return "scatter_add into nothing";
    if (w[1] & ~(i->axes | v->axes)) return "scatter_add keeps an axis that no operand has";
    n->dtype = v->dtype;
    n->axes = w[1];
    set_dims(n, 0, NULL);
    n->dim[0] = (int32_t)w[0];
    n->rank = (uint8_t)(1 + rest);
    for (int d = 0; d < rest; d++) n->dim[1 + d] = v->dim[i->rank + d];
    return NULL;
}

/* What depends on each example's length needs B. */
static Ref with_batch(Graph *g, Ref r, uint32_t axis) {
    if (!g->module->axis[axis].ragged || (at(g, r)->axes & AX(AXIS_B))) return r;
    return g_expand_axes(g, r, AX(AXIS_B));
}

static const char *infer_join(Graph *g, Node *n) {
    const Module *m = g->module;
    const uint32_t *w = g->attr.at + n->attr;
    const Node *a, *b;

    if (w[0] >= m->naxis || w[1] >= m->naxis || w[2] >= m->naxis) return "no such axis";
    if (m->axis[w[2]].kind != AXIS_JOIN || m->axis[w[2]].a != w[0] || m->axis[w[2]].b != w[1])
        return "not the join of these axes";
    for (int i = 0; i < 2; i++)
        if (m->axis[w[2]].ragged) n->in[i] = with_batch(g, n->in[i], w[2]);
    w = g->attr.at + n->attr;
    a = at(g, n->in[0]);
    b = at(g, n->in[1]);
    if (!(a->axes & AX(w[0])) || !(b->axes & AX(w[1]))) return "join of a value without its axis";
    if (!same_dims(a, b) || a->dtype != b->dtype) return "join of different types";
    take_type(n, a);
    n->axes = (a->axes & ~AX(w[0])) | (b->axes & ~AX(w[1]));
    if (n->axes & AX(w[2])) return "join gives an axis twice";
    n->axes |= AX(w[2]);
    return NULL;
}

static const char *infer_time(Graph *g, Node *n) {
    const Module *m = g->module;
    uint32_t axis = n->op == OP_SHIFT ? g->attr.at[n->attr] : n->attr;
    Node want;

    if (n->op == OP_JOIN) return infer_join(g, n);
    if (axis >= m->naxis || axis == AXIS_B) return "no such time axis";
    if (!(at(g, n->in[0])->axes & AX(axis))) return "a time operation on a value without the axis";
    if (n->op != OP_SHIFT || (int32_t)g->attr.at[n->attr + 1] < 0) n->in[0] = with_batch(g, n->in[0], axis);
    if (n->op != OP_SHIFT) {
        take_type(n, at(g, n->in[0]));
        if (n->op == OP_LAST) n->axes &= ~AX(axis);
        return NULL;
    }
    n->in[1] = to_dtype(g, n->in[1], (DType)at(g, n->in[0])->dtype);
    if (at(g, n->in[1])->axes & AX(axis)) return "the fill of a shift has the axis";
    want = *at(g, n->in[0]);
    want.axes |= at(g, n->in[1])->axes;
    n->in[0] = node_fit(g, n->in[0], &want);
    take_type(n, &want);
    want.axes &= ~AX(axis);
    n->in[1] = node_fit(g, n->in[1], &want);
    return n->in[1] ? NULL : "the fill of a shift has another type";
}

static const char *infer_scan(Graph *g, Node *n) {
    const Module *m = g->module;
    const uint32_t *w = g->attr.at + n->attr;
    const Ref *in = n->in[1] ? g->ext.at + n->in[0] : NULL;
    const Graph *body;

    n->dtype = DT_F;
    n->rank = 0;
    n->axes = 0;
    memset(n->dim, 0, sizeof n->dim);
    if (w[0] >= m->naxis) return "no such axis";
    if (w[2] >= m->graph.n || w[2] == 0 || w[2] == g->index) return "no such body";
    if (n->in[1] != w[3] + w[4] + w[5]) return "scan has another number of operands";
    body = m->graph.at[w[2]];
    if (body->root.n < w[3]) return "scan has more carries than its body has nexts";
    for (uint32_t k = 0; k < w[3]; k++) {
        const Node *init = at(g, in[k]);
        if (body->root.at[k].kind != ROOT_NEXT || body->root.at[k].index != k)
            return "the body's nexts are not its first roots";
        if (!same_type(init, &body->node.at[body->root.at[k].ref])) return "a next has another type than its initial value";
        if (m->axis[w[0]].ragged && !(init->axes & AX(AXIS_B))) return "a carry over a ragged axis needs B";
    }
    for (uint32_t k = 0; k < w[4]; k++)
        if (!(at(g, in[w[3] + k])->axes & AX(w[0]))) return "a step input has no such axis";
    for (Ref r = 1; r < body->node.n; r++) {
        const Node *b = &body->node.at[r];
        Node t;
        if (b->op != OP_CARRY && b->op != OP_STEP && b->op != OP_CAPTURE) continue;
        if (b->attr >= (b->op == OP_CARRY ? w[3] : b->op == OP_STEP ? w[4] : w[5]))
            return "the body has a leaf that is no operand";
        t = *at(g, in[b->attr + (b->op == OP_CARRY ? 0 : b->op == OP_STEP ? w[3] : w[3] + w[4])]);
        if (b->op == OP_STEP) t.axes &= ~AX(w[0]);
        if (!same_type(b, &t)) return "a leaf of the body has another type than its operand";
    }
    return NULL;
}

static const char *infer_out(Graph *g, Node *n) {
    const Module *m = g->module;
    const Graph *body;
    const Root *root;
    ScanInfo s;

    if (at(g, n->in[0])->op != OP_SCAN) return "out of something that is no scan";
    s = scan_info(g, n->in[0]);
    if (s.body >= m->graph.n) return "no such body";
    body = m->graph.at[s.body];
    if ((uint64_t)s.ncarry + n->attr >= body->root.n) return "no such out";
    root = &body->root.at[s.ncarry + n->attr];
    if (root->kind == ROOT_LAST) {
        if (root->index >= s.ncarry) return "the last value of no carry";
        take_type(n, at(g, s.init[root->index]));
        return NULL;
    }
    if (root->kind != ROOT_STACK && root->kind != ROOT_SUM) return "a root of the body is no out";
    if (!root->ref || root->ref >= body->node.n) return "a root of the body has no value";
    take_type(n, &body->node.at[root->ref]);
    if (root->kind == ROOT_SUM) return n->dtype == DT_B ? "sum of bools" : NULL;
    if (n->axes & AX(s.axis)) return "a stack has the axis already";
    n->axes |= AX(s.axis);
    return NULL;
}

const char *node_infer(Graph *g, Node *n) {
    switch ((OpClass)op_info[n->op].cls) {
    case OPC_LEAF: return infer_leaf(g, n);
    case OPC_UNARY: return infer_unary(g, n);
    case OPC_BINARY: return infer_binary(g, n);
    case OPC_TERNARY: return infer_select(g, n);
    case OPC_REDUCE: return infer_reduce(g, n);
    case OPC_CONTRACT: return infer_dot(g, n);
    case OPC_SHAPE: return infer_shape(g, n);
    case OPC_INDEX: return infer_index(g, n);
    case OPC_TIME: return infer_time(g, n);
    case OPC_CONTROL: return n->op == OP_SCAN ? infer_scan(g, n) : infer_out(g, n);
    }
    return "no such operation";
}
