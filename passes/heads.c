/* heads: a product by heads becomes one product a head, and what a head makes stands beside what the next one makes.
   before:  %3 = dot %1 %2 {ji,joi->jo} : f<B>[4,32]        %1 : f<B>[4,32]    %2 : f[4,32,32]
   after:   %4 = reshape %1 : f<B>[128]    %5 = slice %4 {0} 0 32    %6 = slice %2 {0} 0 1    %7 = reshape %6 : f[32,32]
            %8 = dot %5 %7 {i,oi->o}  ..   %20 = concat (%8,%11,%14,%17) {0}    %3 = reshape %20 : f<B>[4,32]
   Everything that is known of products then holds for each head's: they are merged (the gates of a head), leave the loop, run on tiles,
   and their gradients are each head's, over all rows. The same for such a product that was written as a sum, sum(R * expand h) over one
   dimension, and for one whose matrix all heads have, {ji,oi->jo}. A product of a vector, which all heads have, with matrices of three
   dimensions is one with a matrix:
   before:  %3 = dot %1 %2 {i,joi->jo} : f<B>[4,32]    after:  %4 = reshape %2 : f[128,64]    %5 = dot %1 %4 {i,oi->o}    %3 = reshape %5
   Before autodiff. More heads than MOST, or matrices of fewer than LEAST rows or columns, stay as they are.
   relies on: weights have no axes; reshape and slice are views. */
#include "ir/build.h"
#include "passes/lower_int.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

enum { MOST = 64, LEAST = 4 };

/* The parts of a product of x, which has axes, and w, which has none: where x and w have the label that is summed and the one of
   the heads (-1: one of them has none), and where w has the one that it brings. */
typedef struct {
    Ref x, w;
    int xk, xh, wk, wh, wn;
    bool turned; /* the result has the heads last */
} ByHeads;

static int place_of(const uint32_t *labels, uint32_t rank, uint32_t label)
{
    for (uint32_t i = 0; i < rank; i++)
        if (labels[i] == label) return (int)i;
    return -1;
}

static bool find_parts(const Graph *g, Ref r, ByHeads *p)
{
    const Node *n = &g->node.at[r];
    const uint32_t *label = node_attr(g, r), *out = label + 6;
    int k = g->node.at[n->in[0]].axes == 0, h;
    const uint32_t *lx = label + 3 * k, *lw = label + 3 * !k;
    const Node *x = &g->node.at[n->in[k]], *w = &g->node.at[n->in[!k]];

    *p = (ByHeads){.x = n->in[k], .w = n->in[!k], .xk = -1, .xh = -1, .wk = -1, .wn = -1};
    if (!x->axes || w->axes || w->rank < 2 || n->rank != 2 || x->rank < 1 || x->rank + w->rank < 4 || x->rank > 2 || n->axes != x->axes)
        return false;
    for (int i = 0; i < x->rank; i++) {
        if (place_of(out, 2, lx[i]) >= 0) p->xh = i;
        else p->xk = i;
    }
    if (p->xk < 0 || (x->rank == 2) != (p->xh >= 0)) return false;
    p->wk = place_of(lw, w->rank, lx[p->xk]);
    h = p->xh >= 0 ? place_of(lw, w->rank, lx[p->xh]) : p->wk == 0 ? 1 : 0;
    if (p->wk < 0 || (h < 0) != (w->rank == 2)) return false;
    p->wh = h;
    p->wn = w->rank == 2 ? 1 - p->wk : 3 - p->wk - h;
    p->turned = out[1] == (h < 0 ? lx[p->xh] : lw[h]);
    return place_of(out, 2, h < 0 ? lx[p->xh] : lw[h]) >= 0 && place_of(out, 2, lw[p->wn]) >= 0;
}

/* One value for all heads: a product with one matrix. */
static Ref shared(Graph *g, const ByHeads *p)
{
    static const uint8_t row[3] = {1, 0, 0}, column[3] = {2, 0, 0}, oi[3] = {2, 1, 0};
    const Node w = g->node.at[p->w];
    int32_t heads = w.dim[p->wh], wide = w.dim[p->wn], in = w.dim[p->wk];
    Ref m = g_transpose(g, p->w, (uint32_t[]){(uint32_t)p->wh, (uint32_t)p->wn, (uint32_t)p->wk});

    m = g_reshape(g, m, 2, (int32_t[]){heads * wide, in});
    m = g_dot(g, p->x, m, row, oi, column, g->node.at[p->x].axes);
    return g_reshape(g, m, 2, (int32_t[]){heads, wide});
}

/* The matrix of head i: its part of w, or w, if all heads have it. */
static Ref matrix_of(Graph *g, const ByHeads *p, int32_t i, const int32_t dim[2])
{
    return p->wh < 0 ? p->w : g_reshape(g, g_slice(g, p->w, (uint32_t)p->wh, i, i + 1), 2, dim);
}

/* Each head's own value. */
static Ref own(Graph *g, const ByHeads *p)
{
    static const uint8_t row[3] = {1, 0, 0}, column[3] = {2, 0, 0}, oi[3] = {2, 1, 0}, io[3] = {1, 2, 0};
    const Node w = g->node.at[p->w];
    int32_t heads = g->node.at[p->x].dim[p->xh], wide = w.dim[p->wn], in = w.dim[p->wk], flat = heads * in;
    bool last = p->wk > p->wn;
    int32_t matrix[2] = {last ? wide : in, last ? in : wide};
    Ref x = p->x, *part = NEW_N(g->module->arena, Ref, heads);

    if (heads < 2 || heads > MOST || wide < LEAST || in < LEAST) return 0;
    if (p->xh) x = g_transpose(g, x, (uint32_t[]){1, 0, 2});
    x = g_reshape(g, x, 1, &flat);
    for (int32_t i = 0; i < heads; i++) {
        Ref m = matrix_of(g, p, i, matrix);
        part[i] = g_dot(g, g_slice(g, x, 0, i * in, (i + 1) * in), m, row, last ? oi : io, column, g->node.at[x].axes);
    }
    return g_reshape(g, g_concat(g, part, (uint32_t)heads, 0), 2, (int32_t[]){heads, wide});
}

static Ref split_dot(Graph *g, Ref r)
{
    const Node n = g->node.at[r];
    ByHeads p;
    Ref v;

    if (n.op != OP_DOT || !find_parts(g, r, &p)) return r;
    v = p.xh < 0 ? shared(g, &p) : own(g, &p);
    if (!v) return r;
    return p.turned ? g_transpose(g, v, (uint32_t[]){1, 0, 2}) : v;
}

/* sum over one dimension of w times x spread along another one: the product by heads that it is. */
static Ref sum_as_dot(Graph *g, Ref r)
{
    const Node n = g->node.at[r], a = g->node.at[n.in[0]];
    const uint32_t *dims = node_attr(g, r);
    uint8_t out[3] = {0};
    uint32_t kept = 0;

    if (n.op != OP_SUM || a.op != OP_MUL || a.dtype != DT_F || a.rank != 3 || n.rank != 2 || dims[0]) return r;
    for (uint32_t d = 0; d < 3; d++)
        if (!(dims[1] >> d & 1)) out[kept++] = (uint8_t)(d + 1);
    for (int k = 0; k < 2; k++) {
        static const uint8_t all[3] = {1, 2, 3};
        const Node e = g->node.at[a.in[k]], w = g->node.at[a.in[!k]];
        uint8_t label[3] = {0};
        uint32_t found = 0;
        Ref v;
        if (e.op != OP_EXPAND || w.axes || w.rank != 3 || w.op == OP_EXPAND || g->node.at[e.in[0]].rank != 2) continue;
        for (uint32_t d = 0; d < 3; d++) {
            int32_t from = (int32_t)node_attr(g, a.in[k])[d];
            if (from < 0 || g->node.at[e.in[0]].dim[from] != e.dim[d]) continue;
            label[from] = (uint8_t)(d + 1);
            found++;
        }
        if (found != 2 || g->node.at[e.in[0]].axes != a.axes) continue;
        v = g_dot(g, e.in[0], a.in[!k], label, all, out, a.axes);
        if (g->node.at[v].op == OP_DOT && split_dot(g, v) != v) return split_dot(g, v);
    }
    return r;
}

/* A product whose labels are more than a value has dimensions, and which is no product of tiles: one a head. 0: it is none by heads. */
static Ref split_wide(Graph *g, Ref r)
{
    const Node n = g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    const Node side[3] = {g->node.at[n.in[0]], g->node.at[n.in[1]], n};
    uint8_t label[3][3] = {{0}};
    int at[3] = {-1, -1, -1};

    for (uint32_t d = 0; d < n.rank && at[0] < 0; d++) {
        int a = place_of(w, side[0].rank, w[6 + d]), b = place_of(w + 3, side[1].rank, w[6 + d]);
        if (a < 0 || b < 0) continue;
        at[0] = a;
        at[1] = b;
        at[2] = (int)d;
    }
    if (at[0] < 0) return 0;
    for (int k = 0; k < 3; k++)
        for (int d = 0, to = 0; d < side[k].rank; d++)
            if (d != at[k]) label[k][to++] = (uint8_t)w[3 * k + d];
    uint32_t kept = w[9];
    int32_t heads = n.dim[at[2]], one[3] = {n.dim[0], n.dim[1], n.dim[2]};
    Ref *part = NEW_N(g->module->arena, Ref, heads);
    one[at[2]] = 1;
    for (int32_t i = 0; i < heads; i++) {
        Ref in[2];
        for (int k = 0; k < 2; k++) {
            int32_t dim[3];
            int to = 0;
            for (int d = 0; d < side[k].rank; d++)
                if (d != at[k]) dim[to++] = side[k].dim[d];
            in[k] = g_reshape(g, g_slice(g, n.in[k], (uint32_t)at[k], i, i + 1), to, dim);
        }
        part[i] = g_reshape(g, g_dot(g, in[0], in[1], label[0], label[1], label[2], kept), n.rank, one);
    }
    return g_concat(g, part, (uint32_t)heads, (uint32_t)at[2]);
}

static bool is_wide(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    uint32_t labels = n->op == OP_DOT ? g->node.at[n->in[0]].rank : 0;
    MatrixForm form;

    for (uint32_t i = 0; n->op == OP_DOT && i < g->node.at[n->in[1]].rank; i++) labels += place_of(w, g->node.at[n->in[0]].rank, w[3 + i]) < 0;
    return labels > MAX_RANK && !dot_is_matrix(g, r, &form);
}

static Ref wide(Graph *g, Ref r)
{
    Ref v = is_wide(g, r) ? split_wide(g, r) : 0;

    return v ? v : r;
}

void split_wide_products(Module *m)
{
    bool any = false;

    for (uint32_t i = 0; i < m->graph.n && !any; i++)
        for (Ref r = 1; r < m->graph.at[i]->node.n && !any; r++) any = is_wide(m->graph.at[i], r);
    if (!any) return;
    rewrite_nodes(m, wide);
    module_dce(m);
}

static Ref by_heads(Graph *g, Ref r)
{
    return g->node.at[r].op == OP_SUM ? sum_as_dot(g, r) : split_dot(g, r);
}

bool pass_heads(Module *m, const PassOptions *o)
{
    uint64_t before;

    (void)o;
    module_dce(m);
    before = module_hash(m);
    rewrite_nodes(m, by_heads);
    module_dce(m);
    return module_hash(m) != before;
}
