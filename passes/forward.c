/* forward: tangents, operation by operation.
   before:  y = tanh(W @ x)                 tangents dW, dx given
   after:   dy = (dW @ x + W @ dx) (1 - y y), behind the nodes there are
   Elementwise operations use the da/db/dc columns of ops.def, as the reverse sweep does; an operation that is linear in an operand
   is applied to that operand's tangent; a scan becomes one whose tangents are carried beside its carries (forward_scan.c).
   relies on: operands precede users; nodes are pure. */
#include "passes/forward.h"
#include "passes/rewrite.h"

#include <string.h>

Forward forward_make(Arena *a, Graph *g, uint32_t extra, Ref *subst)
{
    Forward f = {.l = {.arena = a, .fwd = g, .bwd = g, .n0 = g->node.n}, .extra = extra, .subst = subst};

    f.tan = NEW_N(a, Ref, f.l.n0 + 1);
    return f;
}

static Node value(const Forward *f, Ref r)
{
    return f->l.fwd->node.at[r];
}

static Ref tangent(Forward *f, Ref r)
{
    if (!f->tan[r] && f->is_unit && f->is_unit[r]) f->tan[r] = f->unit(f, r);
    return f->tan[r];
}

Ref forward_full(Forward *f, Ref r)
{
    Node type = value(f, r);
    Ref t = tangent(f, r);

    return t ? widen(f->l.bwd, t, &type) : splat(f->l.bwd, 0, &type);
}

static Ref plus(Forward *f, Ref a, Ref b)
{
    if (!a || !b) return a ? a : b;
    return g_bin(f->l.bwd, OP_ADD, a, b);
}

/* Node r with operand i replaced. */
static Ref applied(Forward *f, Ref r, int i, Ref t)
{
    Node n = value(f, r);

    if (!t) return 0;
    n.in[i] = t;
    return graph_emit(f->l.bwd, &n, NULL);
}

static Ref by_rule(Forward *f, Ref r, int i, bool *done)
{
    *done = false;
    return f->via ? f->via(f, r, i, done) : 0;
}

/* ---- elementwise ---------------------------------------------------------------------------------------------------------- */

static Ref forward_elementwise(Forward *f, Ref r)
{
    const Node n = value(f, r);
    Graph *g = f->l.bwd;
    Ref sum = 0;

    if (n.op == OP_SELECT) {
        Ref a = tangent(f, n.in[1]), b = tangent(f, n.in[2]), zero;
        if (!a && !b) return 0;
        zero = g_const(g, 0);
        return g_select(g, n.in[0], a ? a : zero, b ? b : zero);
    }
    for (uint32_t i = 0; i < op_info[n.op].arity; i++) {
        Ref t = tangent(f, n.in[i]);
        if (t) sum = plus(f, sum, elementwise_times(&f->l, r, i, t));
    }
    return sum;
}

/* ---- reductions, products, shapes ------------------------------------------------------------------------------------------ */

static Ref forward_reduce(Forward *f, Ref r)
{
    Graph *g = f->l.bwd;
    const Node n = value(f, r);
    uint32_t w[2];
    Ref t;

    if (n.op == OP_ARGMAX || !tangent(f, n.in[0])) return 0;
    memcpy(w, node_attr(g, r), sizeof w);
    t = forward_full(f, n.in[0]);
    if (n.op == OP_AMAX) t = g_select(g, amax_mask(&f->l, r), t, g_const(g, 0));
    return g_sum(g, t, w[0], w[1]);
}

static Ref forward_dot(Forward *f, Ref r)
{
    Graph *g = f->l.bwd;
    const Node n = value(f, r);
    uint8_t label[3][3];
    const uint32_t *w = node_attr(g, r);
    Ref sum = 0;

    for (int i = 0; i < 9; i++) label[i / 3][i % 3] = (uint8_t)w[i];
    for (int i = 0; i < 2; i++) {
        bool done;
        Ref v = by_rule(f, r, i, &done), in[2] = {n.in[0], n.in[1]};
        if (!done && tangent(f, n.in[i])) {
            in[i] = forward_full(f, n.in[i]);
            v = g_dot(g, in[0], in[1], label[0], label[1], label[2], n.axes | (g->node.at[in[i]].axes & f->extra));
        }
        sum = plus(f, sum, v);
    }
    return sum;
}

static Ref forward_concat(Forward *f, Ref r)
{
    Graph *g = f->l.bwd;
    uint32_t n, dim = value(f, r).attr;
    const Ref *in = node_ext(g, r, &n);
    Ref *part = NEW_N(f->l.arena, Ref, n);
    bool any = false;

    memcpy(part, in, n * sizeof *part);
    for (uint32_t i = 0; i < n; i++) {
        Node type = value(f, part[i]);
        Ref t = tangent(f, part[i]);
        any |= t != 0;
        type.axes = 0;
        part[i] = t ? widen_dims(g, t, &type) : splat(g, 0, &type);
    }
    return any ? g_concat(g, part, n, dim) : 0;
}

static Ref forward_shape(Forward *f, Ref r)
{
    const Node n = value(f, r);
    Node x;
    Ref t;

    if (n.op == OP_CONCAT) return forward_concat(f, r);
    t = tangent(f, n.in[0]);
    if (!t) return 0;
    x = value(f, n.in[0]);
    return applied(f, r, 0, widen_dims(f->l.bwd, t, &x));
}

static Ref forward_index(Forward *f, Ref r)
{
    Graph *g = f->l.bwd;
    const Node n = value(f, r);
    Node x;
    uint32_t w[2];
    Ref t;

    if (n.op == OP_GATHER) {
        bool done;
        t = by_rule(f, r, 0, &done);
        if (done || !(t = tangent(f, n.in[0]))) return t;
        x = value(f, n.in[0]);
        return applied(f, r, 0, widen_dims(g, t, &x));
    }
    if (!tangent(f, n.in[1])) return 0;
    memcpy(w, node_attr(g, r), sizeof w);
    t = forward_full(f, n.in[1]);
    return g_scatter_add(g, n.in[0], t, (int32_t)w[0], w[1] | (g->node.at[t].axes & f->extra));
}

/* ---- time ----------------------------------------------------------------------------------------------------------------- */

/* Operand i's tangent or zeros, in full, over the directions that any of the operands has. */
static Ref both_full(Forward *f, Ref r, int i)
{
    Graph *g = f->l.bwd;
    const Node n = value(f, r);
    uint32_t extra = 0;
    Ref t = forward_full(f, n.in[i]);

    for (int k = 0; k < 2; k++)
        if (tangent(f, n.in[k])) extra |= g->node.at[tangent(f, n.in[k])].axes & f->extra;
    return g_expand_axes(g, t, extra & ~g->node.at[t].axes);
}

static Ref forward_time(Forward *f, Ref r)
{
    const Node n = value(f, r);
    bool two = n.op == OP_SHIFT || n.op == OP_JOIN;
    Node x = n;

    if (!tangent(f, n.in[0]) && (!two || !tangent(f, n.in[1]))) return 0;
    if (!two) return applied(f, r, 0, forward_full(f, n.in[0]));
    x.in[0] = both_full(f, r, 0);
    x.in[1] = both_full(f, r, 1);
    return graph_emit(f->l.bwd, &x, NULL);
}

/* ---- the sweep ------------------------------------------------------------------------------------------------------------ */

static Ref forward_node(Forward *f, Ref r)
{
    const Node n = value(f, r);

    switch ((OpClass)op_info[n.op].cls) {
    case OPC_LEAF: return 0;
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY: return forward_elementwise(f, r);
    case OPC_REDUCE: return forward_reduce(f, r);
    case OPC_CONTRACT: return forward_dot(f, r);
    case OPC_SHAPE: return forward_shape(f, r);
    case OPC_INDEX: return forward_index(f, r);
    case OPC_TIME: return forward_time(f, r);
    case OPC_CONTROL:
        if (n.op == OP_SCAN) forward_scan(f, r);
        return 0; /* the tangents of its outs are set */
    }
    return 0;
}

void forward_sweep(Forward *f)
{
    Graph *g = f->l.bwd;
    uint32_t span = g->span, name = g->name;

    for (Ref r = 1; r < f->l.n0; r++) {
        const Node *n = &g->node.at[r];
        double zero;
        if (f->tan[r] || (op_info[n->op].flags & OPF_INACTIVE) || (n->dtype != DT_F && n->op != OP_SCAN)) continue;
        g->span = n->span;
        g->name = 0;
        if (n->op != OP_OUT) f->tan[r] = forward_node(f, r);
        if (f->tan[r] && const_value(g, f->tan[r], &zero) && zero == 0) f->tan[r] = 0;
    }
    g->span = span;
    g->name = name;
}
