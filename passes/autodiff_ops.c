/* Adjoints of the structural operations, by class. g = adjoint of the result; it may lack axes of the result, or have rank 0
   where the result has features (then every row, every element has this adjoint).
   before:  %3 = dot %1 %2 {i,oi->o} : f<T,B>[4]     %4 = slice %3 {0} 0 2     %5 = last %4 T     adjoint of %5: %9 : f<B>[2]
   after:   %14 = select (iota T == length T - 1) %9 0                         adjoint of %4
            %15 = pad %14 {0} 0 2 : f<T,B>[4]                                  adjoint of %3
            %16 = dot %15 %2 {o,oi->i} : f<T,B>[3]   %17 = dot %15 %1 {o,i->oi} : f[4,3]      adjoints of %1 and %2
   The adjoint of a dot is a dot: an operand that lacks an axis gets its adjoint summed over it. */
#include <math.h>
#include <string.h>

#include "passes/autodiff.h"
#include "passes/rewrite.h"

static const Node *value(const Level *l, Ref r)
{
    return &l->fwd->node.at[r];
}

/* A contribution that already stands for exactly the operand. */
static void give(Level *l, Ref r, int i, Ref v)
{
    Node x = *value(l, value(l, r)->in[i]);

    adj_add(l, value(l, r)->in[i], v, x.axes, &x, l->guard[r]);
}

static Ref with_axis(Level *l, Ref g, uint32_t axis)
{
    uint32_t missing = AX(axis) & ~l->bwd->node.at[g].axes;

    return missing ? g_expand_axes(l->bwd, g, missing) : g;
}

/* Undoes what a reduction did to the features: v with the removed dims broadcast again. */
static Ref unreduce(Graph *g, Ref v, const Node *x, uint32_t dims)
{
    int32_t map[MAX_RANK] = {-1, -1, -1}, k = 0;

    if (!dims || g->node.at[v].rank == 0) return v;
    for (int i = 0; i < x->rank; i++)
        if (!(dims >> i & 1)) map[i] = k++;
    return g_expand(g, v, x->rank, x->dim, map, 0);
}

static void back_sum(Level *l, Ref r)
{
    const uint32_t *w = node_attr(l->fwd, r);

    give(l, r, 0, unreduce(l->bwd, l->adj[r], value(l, value(l, r)->in[0]), w[1]));
}

/* ---- amax: the first of equals takes all ---------------------------------------------------------------------------------- */

/* The elements of `mask` with the least index along one reduced axis or dim, among all elements reduced together. */
static Ref first_along(Level *l, Ref mask, Ref index, const Node *x, uint32_t axes, uint32_t dims)
{
    Graph *g = l->bwd;
    Ref key = g_un(g, OP_NEG, g_cast(g, index, DT_F)), best;

    key = g_select(g, mask, key, g_const(g, -INFINITY));
    best = g_amax(g, widen(g, key, x), axes, dims);
    best = g_bin(g, OP_EQ, key, unreduce(g, best, x, dims));
    return g_bin(g, OP_AND, mask, best);
}

static Ref iota_dim(Graph *g, const Node *x, uint32_t dim)
{
    int32_t map[MAX_RANK] = {-1, -1, -1};

    map[dim] = 0;
    return g_expand(g, g_iota(g, x->dim[dim]), x->rank, x->dim, map, 0);
}

Ref amax_mask(Level *l, Ref r)
{
    Graph *g = l->bwd;
    Node y = *value(l, r), x = *value(l, y.in[0]);
    const uint32_t *w = node_attr(l->fwd, r);
    uint32_t axes = w[0], dims = w[1];
    Ref a = need(l, y.in[0]), mask;

    if (!axes && dims && !(dims & (dims - 1))) {
        uint32_t dim = dims == 1 ? 0 : dims == 2 ? 1 : 2;
        mask = g_bin(g, OP_EQ, iota_dim(g, &x, dim), unreduce(g, widen_dims(g, g_argmax(g, a, dim), &y), &x, dims));
    } else {
        mask = g_bin(g, OP_EQ, a, unreduce(g, need(l, r), &x, dims));
        for (uint32_t t = MAX_AXES; t-- > 0;)
            if (axes >> t & 1) mask = first_along(l, mask, g_iota_axis(g, t, false), &x, axes, dims);
        for (uint32_t d = 0; d < x.rank; d++)
            if (dims >> d & 1) mask = first_along(l, mask, iota_dim(g, &x, d), &x, axes, dims);
    }
    return mask;
}

static void back_amax(Level *l, Ref r)
{
    Graph *g = l->bwd;
    Node y = *value(l, r), x = *value(l, y.in[0]);
    uint32_t dims = node_attr(l->fwd, r)[1];
    Ref mask = amax_mask(l, r), v = unreduce(g, widen_dims(g, l->adj[r], &y), &x, dims);

    give(l, r, 0, g_select(g, mask, v, g_const(g, 0)));
}

/* ---- dot ------------------------------------------------------------------------------------------------------------------ */

/* A zero of a guarded adjoint times inf or NaN would be NaN: such elements of the other operand become 0. */
static Ref only_finite(Graph *g, Ref v)
{
    Ref ok = g_bin(g, OP_LT, g_un(g, OP_ABS, v), g_const(g, INFINITY));

    return g_select(g, ok, v, g_const(g, 0));
}

/* C = dot(A, B): dA = dot(dC, B) with the labels of A; what A lacks is contracted. */
static void back_dot(Level *l, Ref r)
{
    Node y = *value(l, r);
    uint8_t label[3][3];
    const uint32_t *w = node_attr(l->fwd, r);

    for (int i = 0; i < 9; i++) label[i / 3][i % 3] = (uint8_t)w[i];
    for (int i = 0; i < 2; i++) {
        uint32_t axes = kept_axes(l, y.in[i]);
        Ref c, b;
        Node x;
        if (!l->act->node[y.in[i]]) continue;
        c = widen_dims(l->bwd, l->adj[r], &y);
        b = need(l, y.in[1 - i]);
        if (l->guard[r] && l->bits[y.in[1 - i]]) b = only_finite(l->bwd, b);
        c = with_rows(l, c, y.axes & ~l->bwd->node.at[b].axes, y.axes & ~axes);
        axes &= l->bwd->node.at[c].axes | l->bwd->node.at[b].axes;
        c = g_dot(l->bwd, c, b, label[2], label[1 - i], label[i], axes);
        x = *value(l, y.in[i]);
        adj_add(l, y.in[i], c, x.axes | l->bwd->node.at[c].axes, &x, l->guard[r]);
    }
}

/* ---- shapes --------------------------------------------------------------------------------------------------------------- */

static void back_concat(Level *l, Ref r)
{
    Node y = *value(l, r);
    const Ref *part;
    uint32_t n;
    int32_t from = 0;
    Ref g = widen_dims(l->bwd, l->adj[r], &y);

    part = node_ext(l->fwd, r, &n);
    for (uint32_t i = 0; i < n; i++) {
        Node x = *value(l, part[i]);
        int32_t to = from + x.dim[y.attr];
        if (l->act->node[part[i]])
            adj_add(l, part[i], g_slice(l->bwd, g, y.attr, from, to), x.axes, &x, l->guard[r]);
        from = to;
    }
}

static void back_expand(Level *l, Ref r)
{
    Node y = *value(l, r), x = *value(l, y.in[0]);
    const uint32_t *w = node_attr(l->fwd, r);
    uint32_t dims = 0;
    Ref g = l->adj[r];

    for (int i = 0; i < y.rank; i++)
        if ((int32_t)w[i] < 0) dims |= 1u << i;
    if (dims && x.rank) {
        g = widen_dims(l->bwd, g, &y);
        g = g_sum(l->bwd, g, 0, dims);
        adj_add(l, y.in[0], g, y.axes, &x, l->guard[r]);
    } else {
        adj_add(l, y.in[0], g, y.axes, &y, l->guard[r]);
    }
}

static void back_transpose(Level *l, Ref r, Ref g)
{
    const uint32_t *w = node_attr(l->fwd, r);
    uint32_t perm[MAX_RANK] = {0, 1, 2};

    for (uint32_t i = 0; i < value(l, r)->rank; i++) perm[w[i]] = i;
    give(l, r, 0, g_transpose(l->bwd, g, perm));
}

static void back_shape(Level *l, Ref r)
{
    Node y = *value(l, r), x;
    const uint32_t *w;
    Ref g = l->adj[r];

    if (y.op == OP_CONCAT || y.op == OP_EXPAND) {
        if (y.op == OP_CONCAT) back_concat(l, r);
        else back_expand(l, r);
        return;
    }
    x = *value(l, y.in[0]);
    w = node_attr(l->fwd, r);
    if (y.op == OP_RESHAPE || y.op == OP_TRANSPOSE) {
        if (l->bwd->node.at[g].rank == 0 && y.rank) give(l, r, 0, g); /* the same everywhere */
        else if (y.op == OP_TRANSPOSE) back_transpose(l, r, g);
        else give(l, r, 0, g_reshape(l->bwd, g, x.rank, x.dim));
        return;
    }
    g = widen_dims(l->bwd, g, &y);
    if (y.op == OP_SLICE) give(l, r, 0, g_pad(l->bwd, g, w[0], (int32_t)w[1], x.dim[w[0]] - (int32_t)w[2]));
    else give(l, r, 0, g_slice(l->bwd, g, w[0], (int32_t)w[1], (int32_t)w[1] + x.dim[w[0]]));
}

/* ---- index ---------------------------------------------------------------------------------------------------------------- */

static void back_index(Level *l, Ref r)
{
    Node y = *value(l, r);
    Ref g = widen_dims(l->bwd, l->adj[r], &y), i, v;
    uint32_t axes;
    Node x;

    if (y.op == OP_GATHER) {
        if (!l->act->node[y.in[0]]) return;
        i = need(l, y.in[1]);
        g = with_rows(l, g, y.axes & ~l->bwd->node.at[i].axes, y.axes & ~kept_axes(l, y.in[0]));
        axes = l->bwd->node.at[i].axes | l->bwd->node.at[g].axes;
        v = g_scatter_add(l->bwd, i, g, (int32_t)y.attr, axes & kept_axes(l, y.in[0]));
        x = *value(l, y.in[0]);
        adj_add(l, y.in[0], v, x.axes | l->bwd->node.at[v].axes, &x, l->guard[r]);
    } else if (l->act->node[y.in[1]]) {
        x = *value(l, y.in[1]);
        i = need(l, y.in[0]);
        v = g_gather(l->bwd, g, i);
        adj_add(l, y.in[1], v, x.axes | l->bwd->node.at[i].axes, &x, l->guard[r]);
    }
}

/* ---- time ----------------------------------------------------------------------------------------------------------------- */

/* A shift back looks at each example's length, so a value that all examples share gets B and is summed over B again: as many times as
   examples have the step. What is to be shifted is divided by that number. */
static Ref shared_part(Graph *g, Ref v, uint32_t axis)
{
    if (!g->module->axis[axis].ragged || (g->node.at[v].axes & AX(AXIS_B)))
        return v;
    Ref one = g_const(g, 1), number = g_sum(g, g_expand_axes(g, one, AX(axis) | AX(AXIS_B)), AX(AXIS_B), 0);
    return g_bin(g, OP_DIV, v, g_bin(g, OP_MAX, number, one));
}

static void back_shift(Level *l, Ref r)
{
    Graph *g = l->bwd;
    Node y = *value(l, r), fill = *value(l, y.in[1]);
    const uint32_t *w = node_attr(l->fwd, r);
    uint32_t axis = w[0];
    int32_t n = (int32_t)w[1];
    Ref v = with_axis(l, widen_dims(g, l->adj[r], &y), axis), zero = g_const(g, 0), outside, t;

    if (l->act->node[y.in[0]]) {
        Node type = g->node.at[v];
        type.axes &= ~AX(axis);
        give(l, r, 0, g_shift(g, n > 0 ? shared_part(g, v, axis) : v, splat(g, 0, &type), axis, -n));
    }
    if (!l->act->node[y.in[1]]) return;
    t = g_iota_axis(g, axis, false);
    if (n > 0) outside = g_bin(g, OP_LT, t, g_int(g, n));
    else outside = g_bin(g, OP_LE, g_bin(g, OP_ADD, g_length(g, axis), g_int(g, n)), t);
    fill.axes |= AX(axis);
    adj_add(l, y.in[1], g_select(g, outside, v, zero), fill.axes, &fill, l->guard[r]);
}

/* y[t'] is the t-th step of one part: pick it by a product with (t' == t + offset). */
static void back_join(Level *l, Ref r)
{
    static const uint8_t dims[3] = {1, 2, 3};
    Graph *g = l->bwd;
    Node y = *value(l, r);
    uint32_t w[3];
    uint8_t lo[3] = {0, 0, 0}, none[3] = {0, 0, 0};
    Ref v;

    memcpy(w, node_attr(l->fwd, r), sizeof w);
    v = with_axis(l, widen_dims(g, l->adj[r], &y), w[2]);
    memcpy(lo, dims, y.rank);
    for (int i = 0; i < 2; i++) {
        uint32_t axes = value(l, y.in[i])->axes;
        Ref t, hit;
        if (!l->act->node[y.in[i]]) continue;
        t = g_iota_axis(g, w[i], false);
        if (i) t = g_bin(g, OP_ADD, t, g_length(g, w[0]));
        hit = g_cast(g, g_bin(g, OP_EQ, t, g_iota_axis(g, w[2], false)), DT_F);
        axes &= g->node.at[v].axes | g->node.at[hit].axes;
        give(l, r, i, g_dot(g, v, hit, lo, none, lo, axes));
    }
}

static void back_last(Level *l, Ref r)
{
    Graph *g = l->bwd;
    uint32_t axis = value(l, r)->attr;
    Ref end = g_bin(g, OP_SUB, g_length(g, axis), g_int(g, 1));
    Ref hit = g_bin(g, OP_EQ, g_iota_axis(g, axis, false), end);

    give(l, r, 0, g_select(g, hit, l->adj[r], g_const(g, 0)));
}

static void back_time(Level *l, Ref r)
{
    Node y = *value(l, r);
    Ref g = l->adj[r];

    if (y.op == OP_SHIFT) back_shift(l, r);
    else if (y.op == OP_JOIN) back_join(l, r);
    else if (y.op == OP_LAST) back_last(l, r);
    else give(l, r, 0, l->bwd->node.at[g].axes & AX(y.attr) ? g_reverse(l->bwd, g, y.attr) : g);
}

void back_structural(Level *l, Ref r)
{
    switch ((OpClass)op_info[value(l, r)->op].cls) {
    case OPC_REDUCE:
        if (value(l, r)->op == OP_SUM) back_sum(l, r);
        else if (value(l, r)->op == OP_AMAX) back_amax(l, r);
        return;
    case OPC_CONTRACT: back_dot(l, r); return;
    case OPC_SHAPE: back_shape(l, r); return;
    case OPC_INDEX: back_index(l, r); return;
    case OPC_TIME: back_time(l, r); return;
    case OPC_LEAF:
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY:
    case OPC_CONTROL: return;
    }
}
