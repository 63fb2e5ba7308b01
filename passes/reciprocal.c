/* reciprocal: a division of many elements by one number becomes one division, and products.
   before:  %7 = sqrt %6 : f<B>[]    %8 = div %5 %7 : f<B>[512]
   after:   %8 = const 1             %9 = div %8 %7 : f<B>[]        %10 = mul %5 %9 : f<B>[512]
   A division by a power of two becomes a product, which has the same bits. Before autodiff: the adjoint of the number is then one
   sum of products, divided once. Only where the divisor is known to be at least FAR from 0, so that its reciprocal is a number and
   0 / x stays 0: roots of sums of squares and an epsilon, maxima with a constant. */
#include <math.h>
#include <stdlib.h>

#include "ir/build.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

#define FAR 1e-30

enum { DEPTH = 12 };

/* A bound that no element of r lies below, whatever is read; -INFINITY: none is known. */
static double at_least(const Graph *g, Ref r, int depth)
{
    const Node *n = &g->node.at[r];
    int arity = n->op == OP_SUM ? 1 : op_info[n->op].arity;
    double a, b, v;

    if (const_value(g, r, &v)) return v;
    if (n->op == OP_ABS || n->op == OP_EXP || n->op == OP_SIGMOID || (n->op == OP_MUL && n->in[0] == n->in[1])) return 0;
    if (depth == 0 || arity < 1 || n->dtype != DT_F) return -INFINITY;
    a = at_least(g, n->in[0], depth - 1);
    b = arity == 2 ? at_least(g, n->in[1], depth - 1) : 0;
    switch ((int)n->op) {
    case OP_EXPAND: return a;
    case OP_SQRT: return sqrt(fmax(a, 0));
    case OP_SUM: return a >= 0 ? 0 : -INFINITY;
    case OP_ADD: return a + b;
    case OP_MAX: return fmax(a, b);
    case OP_MUL: return a >= 0 && b >= 0 ? 0 : -INFINITY;
    case OP_DIV: return a >= 0 && b > 0 ? 0 : -INFINITY;
    default: return -INFINITY;
    }
}

/* r = a / b with fewer features in b than in a: a times 1 / b. */
static Ref once(Graph *g, Ref r)
{
    const Node n = g->node.at[r];
    Ref b = n.in[1], inner;
    double v;
    int exponent;

    if (n.op != OP_DIV || n.dtype != DT_F) return r;
    if (const_value(g, b, &v)) {
        bool exact = fabs(frexp(v, &exponent)) == 0.5 && abs(exponent) < 64;
        return exact ? node_fit(g, g_bin(g, OP_MUL, n.in[0], g_const(g, 1 / v)), &n) : r;
    }
    inner = g->node.at[b].op == OP_EXPAND ? g->node.at[b].in[0] : b;
    if (node_features(&g->node.at[inner]) == node_features(&n) || at_least(g, inner, DEPTH) < FAR) return r;
    inner = g_bin(g, OP_DIV, g_const(g, 1), inner);
    if (g->node.at[b].op == OP_EXPAND) {
        Node e = g->node.at[b];
        e.in[0] = inner;
        inner = graph_emit(g, &e, NULL);
    }
    return node_fit(g, g_bin(g, OP_MUL, n.in[0], inner), &n);
}

bool pass_reciprocal(Module *m, const PassOptions *o)
{
    uint64_t before;

    (void)o;
    module_dce(m);
    before = module_hash(m);
    rewrite_nodes(m, once);
    module_dce(m);
    return module_hash(m) != before;
}
