/* distribute, rule 4: Σ over the steps of a value g of the body.
     g made outside, or stacked anyway         sum over T after the loop
     dot(A, B)                                 stack A, stack B, one dot with T contracted too
     a + b, a - b, -a, c * a, a / c, W a       Σ pushed inside (c, W invariant)
     slice pad reshape transpose expand concat Σ pushed inside
     scatter_add                               one over (T,B)
     sum over B of X                           kept per example in the loop, summed over B after it
     else                                      accumulated in the loop
   In an inner loop only sums over B, and dots that sum over it, move.
   Weight gradients come out as dots over T and B, the one form that runs at the speed of a product. */
#include <string.h>

#include "passes/distribute.h"
#include "passes/rewrite.h"

static const Node *at(const Split *s, Ref r)
{
    return &s->g->node.at[r];
}

static bool invariant(const Split *s, Ref r)
{
    return !s->vary[r];
}

/* Made again after the loop at no cost from something that is stacked. */
static bool view(Op op)
{
    return op == OP_EXPAND || op == OP_RESHAPE || op == OP_TRANSPOSE;
}

static bool reachable(const Split *s, Ref r)
{
    while (view((Op)at(s, r)->op) && !has_stack(s, r)) r = at(s, r)->in[0];
    return has_stack(s, r);
}

static void stack_it(Split *s, Ref r)
{
    while (view((Op)at(s, r)->op) && !has_stack(s, r)) r = at(s, r)->in[0];
    need_stack(s, r);
}

/* Over a ragged axis each example has its own steps: pushing Σ below a broadcast to B needs B beneath. */
static bool same_rows(const Split *s, Ref r, Ref operand)
{
    return !s->ragged || !((at(s, r)->axes & ~at(s, operand)->axes) & AX(AXIS_B));
}

typedef enum { AS_LOOP, AS_STACK, AS_DOT, AS_SCATTER, AS_BATCH, AS_LINEAR, AS_EITHER, AS_PARTS } How;

static How how_dot(const Split *s, Ref r)
{
    const Node *n = at(s, r);
    DotInfo d = dot_classify(s->g, r);

    if (!evaluates_at_once(s, r)) return AS_LOOP;
    for (int i = 0; i < 2; i++)
        if (invariant(s, n->in[i])) return same_rows(s, r, n->in[1 - i]) ? AS_LINEAR : AS_LOOP;
    if (d.kind == DOT_GRADIENT || d.kind == DOT_OUTER) return AS_DOT;
    if (reachable(s, n->in[0]) && reachable(s, n->in[1])) return AS_DOT;
    return has_stack(s, r) ? AS_STACK : AS_LOOP;
}

static How how(const Split *s, Ref r);

/* Is there a product beneath whose Σ is a product? Then Σ goes to it even where the sum of the whole could be had. */
static bool dot_beneath(const Split *s, Ref r)
{
    const Node *n = at(s, r);
    const Ref *in;
    uint32_t count = node_inputs(s->g, r, &in);
    How h;

    if (s->stacked[r] || !s->vary[r] || (n->axes & AX(s->axis))) return false;
    if (n->op == OP_DOT || n->op == OP_SCATTER_ADD) {
        h = n->op == OP_DOT ? how(s, r) : AS_SCATTER;
        return evaluates_at_once(s, r) && (h == AS_DOT || h == AS_SCATTER);
    }
    if (n->op != OP_ADD && n->op != OP_SUB && n->op != OP_NEG && n->op != OP_PAD && n->op != OP_RESHAPE &&
        n->op != OP_TRANSPOSE && n->op != OP_CONCAT && n->op != OP_MUL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (dot_beneath(s, in[i])) return n->op != OP_MUL || !s->vary[n->in[1 - i]];
    return false;
}

static How how(const Split *s, Ref r)
{
    const Node *n = at(s, r);
    const uint32_t *w = node_attr(s->g, r);

    if (invariant(s, r) || (n->axes & AX(s->axis))) return AS_LOOP;
    if (has_stack(s, r) && (s->stacked[r] || (n->op != OP_DOT && !dot_beneath(s, r)))) return AS_STACK;
    if (n->op == OP_DOT) return how_dot(s, r);
    if (n->op == OP_SCATTER_ADD) return evaluates_at_once(s, r) ? AS_SCATTER : AS_LOOP;
    if (n->op == OP_SUM && w[0] == AX(AXIS_B) && !w[1]) return invariant(s, n->in[0]) ? AS_LOOP : AS_LINEAR;
    if (n->op == OP_SUM && (w[0] & AX(AXIS_B))) return evaluates_at_once(s, r) ? AS_BATCH : AS_LOOP;
    if (n->op == OP_ADD || n->op == OP_SUB) return same_rows(s, r, n->in[0]) && same_rows(s, r, n->in[1]) ? AS_EITHER : AS_LOOP;
    if (n->op == OP_MUL && (invariant(s, n->in[0]) || invariant(s, n->in[1])))
        return same_rows(s, r, n->in[invariant(s, n->in[0]) ? 1 : 0]) ? AS_LINEAR : AS_LOOP;
    if (n->op == OP_DIV && invariant(s, n->in[1])) return same_rows(s, r, n->in[0]) ? AS_LINEAR : AS_LOOP;
    if (n->op == OP_NEG || n->op == OP_PAD || n->op == OP_RESHAPE || n->op == OP_TRANSPOSE || n->op == OP_SLICE) return AS_LINEAR;
    if (n->op == OP_EXPAND) return same_rows(s, r, n->in[0]) ? AS_LINEAR : AS_LOOP;
    return n->op == OP_CONCAT ? AS_PARTS : AS_LOOP;
}

static Ref varying(const Split *s, Ref r)
{
    const Node *n = at(s, r);

    return op_info[n->op].arity > 1 && invariant(s, n->in[0]) ? n->in[1] : n->in[0];
}

/* Does Σ r leave the loop, at least in part? */
static bool leaves(const Split *s, Ref r)
{
    const Ref *in;
    uint32_t n;

    switch (how(s, r)) {
    case AS_LOOP: return false;
    case AS_STACK:
    case AS_DOT:
    case AS_SCATTER:
    case AS_BATCH: return true;
    case AS_LINEAR: return at(s, r)->op != OP_SLICE || leaves(s, at(s, r)->in[0]);
    case AS_EITHER: return leaves(s, at(s, r)->in[0]) || leaves(s, at(s, r)->in[1]);
    case AS_PARTS:
        n = node_inputs(s->g, r, &in);
        for (uint32_t i = 0; i < n; i++)
            if (leaves(s, in[i])) return true;
        return false;
    }
    return false;
}

/* Marks the stacks that dots need; with `rest`, also what stays as a sum in the loop. */
static void plan(Split *s, Ref r, bool rest)
{
    const Ref *in;
    uint32_t n;

    if (!leaves(s, r)) {
        if (rest) s->summed[r] = 1;
        return;
    }
    switch (how(s, r)) {
    case AS_LOOP:
    case AS_STACK: return;
    case AS_DOT:
    case AS_SCATTER:
        stack_it(s, at(s, r)->in[0]);
        stack_it(s, at(s, r)->in[1]);
        return;
    case AS_BATCH:
        if (rest && !reachable(s, at(s, r)->in[0])) s->summed[r] = 1;
        return;
    case AS_LINEAR: plan(s, varying(s, r), rest); return;
    case AS_EITHER:
    case AS_PARTS:
        n = node_inputs(s->g, r, &in);
        for (uint32_t i = 0; i < n; i++) plan(s, in[i], rest);
        return;
    }
}

/* In an inner loop little else moves; but a sum over examples in it would leave values without rows in the outer one. */
static bool nested_batch(const Split *s, Ref r)
{
    const Node *n = at(s, r);

    return n->op == OP_SUM && (node_attr(s->g, r)[0] & AX(AXIS_B)) && !s->ragged && !invariant(s, r) && evaluates_at_once(s, r);
}

/* A weight gradient of an inner loop, or a sum of such: one product over its steps, which the outer loop's sum takes along in turn. */
static bool nested_gradient(const Split *s, Ref r)
{
    const Node *n = at(s, r);

    if (n->op == OP_ADD || n->op == OP_SUB) return nested_gradient(s, n->in[0]) && nested_gradient(s, n->in[1]);
    return n->op == OP_DOT && !(n->axes & AX(s->axis)) && dot_classify(s->g, r).kind == DOT_GRADIENT && how_dot(s, r) == AS_DOT;
}

/* Of an inner loop. */
static void plan_nested(Split *s, Ref r)
{
    if (nested_gradient(s, r) && leaves(s, r)) plan(s, r, false);
    else s->summed[r] = 1;
}

void split_plan_sums(Split *s)
{
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = s->ncarry; i < s->g->root.n; i++)
            if (s->g->root.at[i].kind == ROOT_SUM && !s->nested) plan(s, s->g->root.at[i].ref, round == 3);
        for (uint32_t k = 0; k < s->ncarry; k++)
            if (s->gone[k] && !s->nested) plan(s, s->term[k], round == 3);
    }
    for (uint32_t i = s->ncarry; i < s->g->root.n && s->nested; i++)
        if (s->g->root.at[i].kind == ROOT_SUM) plan_nested(s, s->g->root.at[i].ref);
    for (uint32_t k = 0; k < s->ncarry && s->nested; k++)
        if (s->gone[k]) plan_nested(s, s->term[k]);
}

/* ---- emitting ---------------------------------------------------------------------------------------------------------------- */

static Ref loop_sum(Split *s, Ref r)
{
    return g_out(s->host, s->scan, body_out(s->body, ROOT_SUM, s->in[r], 0));
}

static Ref sum_dot(Split *s, Ref r)
{
    const Node *n = at(s, r);
    const uint32_t *w = node_attr(s->g, r);
    uint8_t label[3][3];

    for (int i = 0; i < 9; i++) label[i / 3][i % 3] = (uint8_t)w[i];
    return g_dot(s->host, host_after(s, n->in[0]), host_after(s, n->in[1]), label[0], label[1], label[2], w[9]);
}

/* The inner sum over other axes and dims stays in the loop, B is summed after it. */
static Ref sum_batch(Split *s, Ref r)
{
    const Node *n = at(s, r);
    const uint32_t *w = node_attr(s->g, r);
    Ref x;

    if (!s->nested && reachable(s, n->in[0])) return g_sum(s->host, host_after(s, n->in[0]), w[0] | AX(s->axis), w[1]);
    x = g_sum(s->body, s->in[n->in[0]], w[0] & ~AX(AXIS_B), w[1]);
    x = g_out(s->host, s->scan, body_out(s->body, ROOT_SUM, x, 0));
    return g_sum(s->host, x, AX(AXIS_B), 0);
}

static Ref sum_linear(Split *s, Ref r)
{
    const Node *n = at(s, r);
    Ref x = varying(s, r), *map = NEW_N(s->a, Ref, s->g->node.n);

    map[x] = split_sum(s, x);
    for (int i = 0; i < op_info[n->op].arity; i++)
        if (n->in[i] != x) map[n->in[i]] = host_after(s, n->in[i]);
    return graph_copy_node(s->host, s->g, r, map);
}

Ref split_summed(const Split *s, Ref r)
{
    bool batch = s->nested ? nested_batch(s, r) : leaves(s, r) && how(s, r) == AS_BATCH;
    return batch ? at(s, r)->in[0] : r;
}

Ref split_sum(Split *s, Ref r)
{
    const Node n = *at(s, r);
    const uint32_t *w = node_attr(s->g, r);
    const Ref *in;
    Ref part[2], *all;
    uint32_t count;

    if (s->nested && !nested_gradient(s, r)) return nested_batch(s, r) ? sum_batch(s, r) : loop_sum(s, r);
    if (!leaves(s, r)) return loop_sum(s, r);
    switch (how(s, r)) {
    case AS_LOOP: return loop_sum(s, r);
    case AS_STACK: return g_sum(s->host, host_after(s, r), AX(s->axis), 0);
    case AS_DOT: return sum_dot(s, r);
    case AS_SCATTER:
        return g_scatter_add(s->host, host_after(s, n.in[0]), host_after(s, n.in[1]), (int32_t)w[0], w[1]);
    case AS_BATCH: return sum_batch(s, r);
    case AS_LINEAR: return sum_linear(s, r);
    case AS_EITHER:
        part[0] = split_sum(s, n.in[0]);
        part[1] = split_sum(s, n.in[1]);
        return widen(s->host, g_bin(s->host, (Op)n.op, part[0], part[1]), &n);
    case AS_PARTS:
        all = NEW_N(s->a, Ref, s->g->node.n);
        count = node_inputs(s->g, r, &in);
        for (uint32_t i = 0; i < count; i++) all[in[i]] = split_sum(s, in[i]);
        return graph_copy_node(s->host, s->g, r, all);
    }
    return 0;
}
