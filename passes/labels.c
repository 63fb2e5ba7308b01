/* labels: the sparsity of a Jacobian, element by element, read off the graph.
   Each element of a base value has its index as a label; the labels of a node's elements follow from those of its operands. An
   element with one label depends on that element of the base alone; joined with another it is mixed.
   relies on: operands precede users. */
#include <string.h>

#include "passes/online.h"

enum { MOST_PAIRS = 1 << 24 }; /* of elements looked at in one product; more: mixed */

static int32_t join(int32_t a, int32_t b)
{
    if (a == LABEL_NONE || a == b) return b;
    return b == LABEL_NONE ? a : LABEL_MIXED;
}

static const Node *node(const Labels *l, Ref r)
{
    return &l->g->node.at[r];
}

static int32_t *fill(Labels *l, Ref r, int32_t v)
{
    int64_t n = node_features(node(l, r));
    int32_t *at = arena_alloc_n(l->arena, (size_t)n + 1, sizeof *at);

    for (int64_t i = 0; i < n; i++) at[i] = v;
    return at;
}

static void map_labels(Labels *l, Ref r)
{
    const Node *y = node(l, r);
    int64_t n = node_features(y);
    int32_t *at = fill(l, r, LABEL_NONE);

    for (int i = y->op == OP_SELECT || y->op == OP_VIA || y->op == OP_SURROGATE; i < op_info[y->op].arity; i++) {
        const int32_t *x = l->at[y->in[i]];
        bool scalar = node_features(node(l, y->in[i])) == 1;
        for (int64_t k = 0; x && k < n; k++) at[k] = join(at[k], x[scalar ? 0 : k]);
    }
    l->at[r] = at;
}

/* ---- shapes: element of the result -> element of the operand ------------------------------------------------------------------ */

static void split(int64_t i, const Node *n, int64_t *at)
{
    for (int k = n->rank; k-- > 0; i /= n->dim[k]) at[k] = i % n->dim[k];
}

static int64_t flat(const Node *n, const int64_t *at)
{
    int64_t i = 0;

    for (int k = 0; k < n->rank; k++) i = i * n->dim[k] + at[k];
    return i;
}

/* Where element `at` of y comes from; -1: from nothing. */
static int64_t source(const Labels *l, Ref r, const Node *y, const Node *x, const int64_t *at)
{
    const uint32_t *w = node_attr(l->g, r);
    int64_t from[MAX_RANK] = {0};

    if (y->op == OP_RESHAPE) return flat(y, at);
    for (int k = 0; k < y->rank; k++) {
        if (y->op == OP_TRANSPOSE) from[w[k]] = at[k];
        else if (y->op != OP_EXPAND) from[k] = at[k];
        else if ((int32_t)w[k] >= 0) from[(int32_t)w[k]] = at[k];
    }
    if (y->op == OP_SLICE) from[w[0]] += w[1];
    if (y->op == OP_PAD) from[w[0]] -= (int32_t)w[1];
    if (y->op == OP_PAD && (from[w[0]] < 0 || from[w[0]] >= x->dim[w[0]])) return -1;
    return flat(x, from);
}

static void concat_labels(Labels *l, Ref r)
{
    const Node *y = node(l, r);
    uint32_t n;
    const Ref *part = node_ext(l->g, r, &n);
    int64_t at[MAX_RANK] = {0}, count = node_features(y), first = 0;
    int32_t *to = fill(l, r, LABEL_NONE);

    for (uint32_t p = 0; p < n; p++) {
        const Node *x = node(l, part[p]);
        for (int64_t i = 0; i < count && l->at[part[p]]; i++) {
            split(i, y, at);
            at[y->attr] -= first;
            if (at[y->attr] >= 0 && at[y->attr] < x->dim[y->attr]) to[i] = l->at[part[p]][flat(x, at)];
        }
        first += x->dim[y->attr];
    }
    l->at[r] = to;
}

static void shape_labels(Labels *l, Ref r)
{
    const Node *y = node(l, r), *x = node(l, y->in[0]);
    int64_t at[MAX_RANK] = {0}, n = node_features(y);
    int32_t *to;

    if (y->op == OP_CONCAT) {
        concat_labels(l, r);
        return;
    }
    to = fill(l, r, LABEL_NONE);
    for (int64_t i = 0; i < n; i++) {
        int64_t from;
        split(i, y, at);
        from = source(l, r, y, x, at);
        if (from >= 0) to[i] = l->at[y->in[0]][from];
    }
    l->at[r] = to;
}

/* ---- reductions and products ----------------------------------------------------------------------------------------------------- */

static void reduce_labels(Labels *l, Ref r)
{
    const Node *y = node(l, r), *x = node(l, y->in[0]);
    const uint32_t *w = node_attr(l->g, r);
    int64_t at[MAX_RANK] = {0}, to[MAX_RANK] = {0}, n = node_features(x);
    int32_t *label = fill(l, r, LABEL_NONE);

    l->rows |= (w[0] & x->axes & AX(AXIS_B)) != 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t k;
        int d = 0;
        split(i, x, at);
        for (int j = 0; j < x->rank; j++)
            if (!(w[1] >> j & 1)) to[d++] = at[j];
        k = flat(y, to);
        label[k] = join(label[k], l->at[y->in[0]][i]);
    }
    l->at[r] = label;
}

/* The step of each label in the elements of an operand or result. */
static void strides(const Node *x, const uint32_t *label, int64_t *stride, int64_t *dim)
{
    int64_t s = 1;

    for (int k = x->rank; k-- > 0; s *= x->dim[k]) {
        stride[label[k]] = s;
        dim[label[k]] = x->dim[k];
    }
}

static bool can_pick(const Labels *l, Ref r, int i)
{
    const Node *y = node(l, r), *v = node(l, y->in[i]), *u = node(l, y->in[1 - i]);
    const uint32_t *w = node_attr(l->g, r);

    return l->pick && v->rank == 1 && u->rank == 2 && y->rank == 1 && u->op == OP_CAPTURE && !u->axes && v->dim[0] == l->n &&
           y->dim[0] % l->n == 0 && labels_identity(l->at[y->in[i]], l->n, l->n) && w[6] != w[3 * i] &&
           !(l->picked[y->in[i]]);
}

static void dot_labels(Labels *l, Ref r)
{
    const Node *y = node(l, r);
    const uint32_t *w = node_attr(l->g, r);
    int64_t dim[8] = {1, 1, 1, 1, 1, 1, 1, 1}, all = 1;
    int32_t *to = fill(l, r, LABEL_NONE);

    for (int i = 0; i < 2; i++) {
        int64_t from[8] = {0}, at[8] = {0}, out[8] = {0}, f = 0, k = 0;
        if (!l->at[y->in[i]]) continue;
        l->rows |= (node(l, y->in[i])->axes & ~y->axes & AX(AXIS_B)) != 0;
        if (can_pick(l, r, i) && !l->at[y->in[1 - i]]) {
            for (int64_t e = 0; e < y->dim[0]; e++) to[e] = l->at[y->in[i]][e % l->n] == LABEL_NONE ? LABEL_NONE : (int32_t)(e % l->n);
            l->picked[r] = (uint8_t)(1 + i);
            continue;
        }
        strides(node(l, y->in[1 - i]), w + 3 * (1 - i), from, dim);
        memset(from, 0, sizeof from);
        strides(node(l, y->in[i]), w + 3 * i, from, dim);
        strides(y, w + 6, out, dim);
        all = 1;
        for (int d = 0; d < 8; d++) all = all > MOST_PAIRS ? all : all * dim[d];
        if (all > MOST_PAIRS) {
            to = fill(l, r, LABEL_MIXED);
            break;
        }
        for (int64_t e = 0; e < all; e++) {
            to[k] = join(to[k], l->at[y->in[i]][f]);
            for (int d = 7; d >= 0; d--) { /* one further, the last label fastest */
                f += from[d];
                k += out[d];
                if (++at[d] < dim[d]) break;
                f -= from[d] * dim[d];
                k -= out[d] * dim[d];
                at[d] = 0;
            }
        }
    }
    l->at[r] = to;
}

static void index_labels(Labels *l, Ref r)
{
    const Node *y = node(l, r);
    Ref v = y->op == OP_GATHER ? y->in[0] : y->in[1];
    int64_t n = node_features(y), size = node_features(node(l, v)), rest;
    int32_t *to;

    if (!l->at[v]) return;
    l->rows |= y->op == OP_SCATTER_ADD && (node(l, v)->axes & ~y->axes & AX(AXIS_B));
    to = fill(l, r, LABEL_NONE);
    /* any of the rows may be meant: an element has the labels of its place in all of them */
    rest = y->op == OP_GATHER ? size / node(l, v)->dim[0] : n / (int64_t)node_attr(l->g, r)[0];
    for (int64_t i = 0; i < size; i++)
        for (int64_t k = i % rest; k < n; k += rest) to[k] = join(to[k], l->at[v][i]);
    l->at[r] = to;
}

/* Does the operation bring rows together that differ in an axis of the base, or move them along it? */
static bool mixes_base_rows(const Labels *l, Ref r)
{
    const Node *n = node(l, r);
    uint32_t all = 0, moved = 0;

    for (int i = 0; i < op_info[n->op].arity; i++)
        if (l->at[n->in[i]]) all |= node(l, n->in[i])->axes;
    if (op_info[n->op].cls == OPC_TIME) moved = AX(node_attr(l->g, r)[0]);
    return ((all & ~n->axes) | moved) & l->axes & ~AX(AXIS_B);
}

/* ---- the walk ------------------------------------------------------------------------------------------------------------------------ */

static void node_labels(Labels *l, Ref r)
{
    const Node *n = node(l, r);

    switch ((OpClass)op_info[n->op].cls) {
    case OPC_LEAF: return;
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY: map_labels(l, r); return;
    case OPC_REDUCE: reduce_labels(l, r); return;
    case OPC_CONTRACT: dot_labels(l, r); return;
    case OPC_SHAPE: shape_labels(l, r); return;
    case OPC_INDEX: index_labels(l, r); return;
    case OPC_TIME:
        if (n->op == OP_SHIFT || n->op == OP_JOIN) map_labels(l, r);
        else l->at[r] = l->at[n->in[0]];
        return;
    case OPC_CONTROL: l->at[r] = fill(l, r, LABEL_MIXED); return;
    }
}

void labels_run(Labels *l)
{
    for (Ref r = 1; r < l->n0; r++) {
        const Node *n = node(l, r);
        const Ref *in;
        uint32_t count = node_inputs(l->g, r, &in);
        bool any = false;
        for (uint32_t i = 0; i < count; i++) any |= l->at[in[i]] != NULL;
        if (!any || l->at[r] || (op_info[n->op].flags & OPF_INACTIVE) || (n->dtype != DT_F && n->op != OP_SCAN)) continue;
        if (mixes_base_rows(l, r)) l->at[r] = fill(l, r, LABEL_MIXED);
        else node_labels(l, r);
        /* what has been picked once may not be picked again on the same way */
        for (uint32_t i = 0; l->picked && i < count; i++)
            if (l->picked[in[i]] && !l->picked[r]) l->picked[r] = 128;
    }
}

bool labels_identity(const int32_t *label, int64_t size, int64_t n)
{
    if (size != n) return false;
    for (int64_t i = 0; i < size; i++)
        if (label[i] != LABEL_NONE && label[i] != i) return false;
    return true;
}

bool labels_regular(const int32_t *label, int64_t size, int64_t n, int64_t *inner)
{
    if (n > size || size % n) return false;
    for (*inner = 1; *inner <= size / n; ++*inner) {
        bool ok = size / n % *inner == 0;
        for (int64_t i = 0; ok && i < size; i++) ok = label[i] == LABEL_NONE || label[i] == i / *inner % n;
        if (ok) return true;
    }
    return false;
}
