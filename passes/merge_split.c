/* merge_gemm, before everything else: in a body, a product of a concat of which only some parts have a carry beneath
   before:  dot(concat(e, c), W)                 e a step input, c made from a carry
   after:   dot(e, W[.., :E]) + dot(c, W[.., E:])
   The part without a carry leaves the loop, the other is one more segment of the accumulator, and the concat goes.
   A product of which only parts are read, one of them in a sum that an accumulator can take over, becomes a product a part:
   before:  p = dot(h, U)     slice p {0} 0 128 + slice q {0} 0 128     slice p {0} 128 256 + ..         (one matrix and `split`)
   after:   dot(h, U[:128]) + dot(x, W[:128])    dot(h, U[128:256]) + ..
   Then chains merge as if the parts had been apart: the sum of two splits is the split of their sum, and what has another sum, or
   none, has a product of its own. Neighbouring slices of one matrix side by side are that matrix again.
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

/* ---- parts ---------------------------------------------------------------------------------------------------------------- */

/* What is known of a graph's nodes. */
typedef struct {
    const Graph *g;
    uint32_t *uses, *parts; /* how often a node is read; how often in slices of its only dimension */
    Ref *user; /* the last reader */
    bool *cut; /* products that become a product a part */
} Parts;

#define LEAST_COLUMNS 4 /* narrower ones are summed in another order (docs/ir.md) */

/* Something that an accumulator starts from or adds: a step input, a value from outside, a product, parts and sums of them. */
static bool accumulates(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];

    if (n->op == OP_SLICE) return accumulates(g, n->in[0]);
    if (n->op == OP_ADD) return accumulates(g, n->in[0]) || accumulates(g, n->in[1]);
    return n->op == OP_STEP || n->op == OP_CAPTURE || n->op == OP_PARAM || product_of(g, r).row;
}

/* Whether part r is an addend beside something that accumulates. */
static bool joins_sum(const Parts *x, Ref r)
{
    const Node *u = &x->g->node.at[x->user[r]];

    return x->uses[r] == 1 && u->op == OP_ADD && u->dtype == DT_F && accumulates(x->g, u->in[u->in[0] == r]);
}

/* Whether the parts of product r are wide enough and none is in another. */
static bool disjoint(const Graph *g, Ref r)
{
    for (Ref a = r + 1; a < g->node.n; a++) {
        const uint32_t *w = node_attr(g, a), *v;
        if (g->node.at[a].op != OP_SLICE || g->node.at[a].in[0] != r) continue;
        if (w[2] - w[1] < LEAST_COLUMNS) return false;
        for (Ref b = a + 1; b < g->node.n; b++) {
            v = node_attr(g, b);
            if (g->node.at[b].op == OP_SLICE && g->node.at[b].in[0] == r && w[1] < v[2] && v[1] < w[2]) return false;
        }
    }
    return true;
}

static Parts find_parts(Arena *a, const Graph *g)
{
    uint32_t n = g->node.n;
    Parts x = {.g = g, .uses = NEW_N(a, uint32_t, n), .parts = NEW_N(a, uint32_t, n), .user = NEW_N(a, Ref, n), .cut = NEW_N(a, bool, n)};

    for (Ref r = 1; r < n; r++) {
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        for (uint32_t i = 0; i < count; i++) {
            x.uses[in[i]]++;
            x.user[in[i]] = r;
            x.parts[in[i]] += g->node.at[r].op == OP_SLICE;
        }
    }
    for (uint32_t i = 0; i < g->root.n; i++) x.uses[g->root.at[i].ref] += 2;
    for (Ref r = 1; r < n; r++) {
        Ref p = g->node.at[r].op == OP_SLICE ? g->node.at[r].in[0] : 0;
        if (!p || x.cut[p] || x.parts[p] != x.uses[p] || x.parts[p] < 2 || !joins_sum(&x, r) || !product_of(g, p).row) continue;
        x.cut[p] = disjoint(g, p);
    }
    return x;
}

/* Part r of a product, as a product. */
static Ref part_product(Graph *dst, const Graph *src, Ref r, const Ref *map)
{
    static const uint8_t row[3] = {1, 0, 0}, column[3] = {2, 0, 0}, io[3] = {1, 2, 0}, oi[3] = {2, 1, 0};
    Product p = product_of(src, src->node.at[r].in[0]);
    const uint32_t *w = node_attr(src, r);
    Ref part = g_slice(dst, map[p.weight], p.dim, (int32_t)w[1], (int32_t)w[2]);

    return g_dot(dst, map[p.row], part, row, p.dim ? io : oi, column, src->node.at[r].axes);
}

static bool is_part(const Graph *g, Ref r, const bool *cut)
{
    return g->node.at[r].op == OP_SLICE && cut[g->node.at[r].in[0]];
}

/* ---- weighted sums ---------------------------------------------------------------------------------------------------------- */

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
    Parts parts = find_parts(m->arena, src);
    Ref *map;
    Graph *dst;
    bool any = false;

    for (Ref r = 1; r < src->node.n && !any; r++)
        any = parts.cut[r] || wanted(src, r, carry) || (weights_of_sum(src, r) && rows[summed_row(src, r)]);
    if (!any) return;
    dst = module_add_graph(m);
    map = NEW_N(m->arena, Ref, src->node.n);
    for (Ref r = 1; r < src->node.n; r++) {
        dst->span = src->node.at[r].span;
        dst->name = src->node.at[r].name;
        if (is_part(src, r, parts.cut)) map[r] = part_product(dst, src, r, map);
        else if (wanted(src, r, carry)) map[r] = split(dst, src, r, carry, map);
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
