/* merge_gemm, before everything else: in a body, a product of a concat of which only some parts have a carry beneath
   before:  dot(concat(e, c), W)                 e a step input, c made from a carry
   after:   dot(e, W[.., :E]) + dot(c, W[.., E:])
   The part without a carry leaves the loop, the other is one more segment of the accumulator, and the concat goes.
   And a weighted sum becomes a matrix of one row where its vector has a matrix already, so that they can be one product:
   before:  w . x    W x
   after:   reshape (row w) x    W x
   relies on: chains are ordered afterwards; distribute takes the slices of the weight outside. */
#include "passes/merge_gemm.h"
#include "passes/rewrite.h"

static uint8_t *carries_beneath(Arena *a, const Graph *g)
{
    uint8_t *carry = NEW_N(a, uint8_t, g->node.n);

    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t i = 0; i < n; i++) carry[r] |= carry[in[i]];
        carry[r] |= g->node.at[r].op == OP_CARRY;
    }
    return carry;
}

static bool mixed(const Graph *g, Ref r, const uint8_t *carry)
{
    uint32_t n;
    const Ref *in;

    if (g->node.at[r].op != OP_CONCAT) return false;
    in = node_ext(g, r, &n);
    for (uint32_t i = 1; i < n; i++)
        if (carry[in[i]] != carry[in[0]]) return true;
    return false;
}

/* Runs of parts with one answer become a product each. */
static Ref split(Graph *dst, const Graph *src, Ref r, const uint8_t *carry, const Ref *map)
{
    static const uint8_t row[3] = {1, 0, 0}, column[3] = {2, 0, 0}, io[3] = {1, 2, 0}, oi[3] = {2, 1, 0};
    Product p = product_of(src, r);
    uint32_t n, from = 0;
    const Ref *in = node_ext(src, p.row, &n);
    Ref *part = NEW_N(dst->module->arena, Ref, n), sum = 0;
    int32_t k = 0;

    while (from < n) {
        uint32_t to = from;
        int32_t start = k;
        Ref x, w;
        for (; to < n && carry[in[to]] == carry[in[from]]; to++) {
            part[to] = map[in[to]];
            k += src->node.at[in[to]].dim[0];
        }
        x = g_concat(dst, part + from, to - from, 0);
        w = g_slice(dst, map[p.weight], 1 - p.dim, start, k);
        x = g_dot(dst, x, w, row, p.dim ? io : oi, column, src->node.at[r].axes);
        sum = sum ? g_bin(dst, OP_ADD, sum, x) : x;
        from = to;
    }
    return sum;
}

/* A part may lack axes that the concat has: then it is widened before it is multiplied. */
static bool same_axes(const Graph *g, Ref concat)
{
    uint32_t n;
    const Ref *in = node_ext(g, concat, &n);

    for (uint32_t i = 0; i < n; i++)
        if (g->node.at[in[i]].axes != g->node.at[concat].axes) return false;
    return true;
}

static bool wanted(const Graph *g, Ref r, const uint8_t *carry)
{
    Ref row = product_of(g, r).row;

    return row && mixed(g, row, carry) && same_axes(g, row);
}

/* The vector without axes of a weighted sum of a vector with some; 0: r is no such sum. */
static Ref weights_of_sum(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];

    if (n->op != OP_DOT || n->rank) return 0;
    for (int k = 0; k < 2; k++) {
        const Node *w = &g->node.at[n->in[k]], *x = &g->node.at[n->in[1 - k]];
        if (!w->axes && w->rank == 1 && x->rank == 1 && n->axes && n->axes == x->axes) return n->in[k];
    }
    return 0;
}

static Ref summed_row(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];

    return weights_of_sum(g, r) == n->in[0] ? n->in[1] : n->in[0];
}

/* By node: a product multiplies it by a matrix. */
static uint8_t *multiplied(Arena *a, const Graph *g)
{
    uint8_t *rows = NEW_N(a, uint8_t, g->node.n);

    for (Ref r = 1; r < g->node.n; r++) rows[product_of(g, r).row] = 1;
    rows[0] = 0;
    return rows;
}

static Ref one_row(Graph *dst, const Graph *src, Ref r, const Ref *map)
{
    static const uint8_t row[3] = {1, 0, 0}, column[3] = {2, 0, 0}, oi[3] = {2, 1, 0};
    Ref w = weights_of_sum(src, r), x = summed_row(src, r);
    const int32_t dim[3] = {1, src->node.at[w].dim[0]};

    x = g_dot(dst, map[x], g_reshape(dst, map[w], 2, dim), row, oi, column, src->node.at[r].axes);
    return g_reshape(dst, x, 0, NULL);
}

static void split_graph(Module *m, uint32_t index)
{
    const Graph *src = m->graph.at[index];
    uint8_t *carry = carries_beneath(m->arena, src), *rows = multiplied(m->arena, src);
    Ref *map;
    Graph *dst;
    bool any = false;

    for (Ref r = 1; r < src->node.n && !any; r++)
        any = wanted(src, r, carry) || (weights_of_sum(src, r) && rows[summed_row(src, r)]);
    if (!any) return;
    dst = module_add_graph(m);
    map = NEW_N(m->arena, Ref, src->node.n);
    for (Ref r = 1; r < src->node.n; r++) {
        dst->span = src->node.at[r].span;
        dst->name = src->node.at[r].name;
        if (wanted(src, r, carry)) map[r] = split(dst, src, r, carry, map);
        else if (weights_of_sum(src, r) && rows[summed_row(src, r)]) map[r] = one_row(dst, src, r, map);
        else map[r] = graph_copy_node(dst, src, r, map);
    }
    dst->span = dst->name = 0;
    replace_graph(m, index, dst, map);
}

void merge_split(Module *m)
{
    uint32_t graphs = m->graph.n;

    for (uint32_t i = 1; i < graphs; i++) split_graph(m, i);
    module_dce(m);
}
