/* legalize: the graph as lowering takes it; the last graph pass.
   before:  sum outs, ragged axes, dots of any labels, pads
   after:   sum outs are carries read by `last`; values over a ragged axis are masked where rows are mixed, so that every
            axis but those of last, reverse and join is dense; a dot is either rows x matrix or a sum over rows of outer
            products, all others are written as sum(mul(expand, expand)); a pad is a concat with zeros
   relies on: a scan body belongs to one scan. */
#include "passes/lower_int.h"
#include "passes/rewrite.h"

typedef struct {
    Module *m;
    Str *explain;
    uint32_t inside; /* ragged axes of the scans around the graph being rebuilt */
    bool apart; /* the steps of the scan around it carry nothing but sums */
} Legal;

static uint32_t zero_of(Graph *g, const Node *n)
{
    Ref z = n->dtype == DT_F ? g_const(g, 0) : n->dtype == DT_I ? g_int(g, 0) : g_bool(g, false);
    return n->rank ? g_broadcast(g, z, n->rank, n->dim) : z;
}

/* An axis's length, of each example where it is ragged: that of a joint axis is the sum of its parts'. */
static Ref length_of(const Module *m, Graph *g, uint32_t axis)
{
    const Axis *a = &m->axis[axis];
    if (a->kind != AXIS_JOIN)
        return g_length(g, axis);
    return g_bin(g, OP_ADD, length_of(m, g, a->a), length_of(m, g, a->b));
}

/* The mask of real steps of `axis` at the rows of a value; 0 when every row is real. `inside`: in the body of a scan over it. */
static Ref valid_rows(Legal *l, Graph *g, uint32_t axis, bool inside)
{
    if (!l->m->axis[axis].ragged)
        return 0;
    return g_bin(g, OP_LT, g_iota_axis(g, axis, inside), length_of(l->m, g, axis));
}

/* An expand of a constant may have been left away. */
static bool same_fill(const Graph *g, Ref a, Ref b)
{
    double x, y;
    return a == b || (const_value(g, a, &x) && const_value(g, b, &y) && x == y);
}

/* select(ok, v, other), unless v is that already, perhaps beneath other masks. */
static Ref mask(Graph *g, Ref ok, Ref v, Ref other)
{
    Ref fill = other ? other : zero_of(g, &g->node.at[v]);
    for (Ref x = v; g->node.at[x].op == OP_SELECT && same_fill(g, g->node.at[x].in[2], fill); x = g->node.at[x].in[1])
        if (g->node.at[x].in[0] == ok)
            return v;
    return g_select(g, ok, v, fill);
}

static Ref masked(Legal *l, Graph *g, Ref v, uint32_t axes, Ref other)
{
    for (uint32_t a = 1; a < l->m->naxis; a++) { /* in a body the batch is the active examples */
        if ((axes & AX(AXIS_B)) && (l->inside & AX(a)) && (g->node.at[v].axes & AX(AXIS_B)))
            v = mask(g, valid_rows(l, g, a, true), v, other);
    }
    for (uint32_t a = 1; a < l->m->naxis; a++) {
        if (!(axes & (AX(a) | AX(AXIS_B))) || !(g->node.at[v].axes & AX(a)) || !(g->node.at[v].axes & AX(AXIS_B)))
            continue; /* a value without examples has every step */
        Ref ok = valid_rows(l, g, a, false);
        if (ok)
            v = mask(g, ok, v, other);
    }
    return v;
}

static int label_position(const uint8_t *labels, uint32_t rank, uint32_t label)
{
    for (uint32_t i = 0; i < rank; i++)
        if (labels[i] == label)
            return (int)i;
    return -1;
}

/* The operand's dimensions in the order of `map` (result dim -> operand dim, -1: none), then the missing ones added. */
static Ref spread(Graph *g, Ref a, uint32_t n, const int32_t *dim, const int32_t *map)
{
    uint32_t perm[3] = { 0 }, k = 0;
    int32_t to[3] = { -1, -1, -1 };
    bool moved = false;
    for (uint32_t i = 0; i < n; i++)
        if (map[i] >= 0) {
            moved |= (uint32_t)map[i] != k;
            to[i] = (int32_t)k;
            perm[k++] = (uint32_t)map[i];
        }
    if (moved)
        a = g_transpose(g, a, perm);
    return g_expand(g, a, (int)n, dim, to, 0);
}

/* The labels of a product: up to six of them, those of its operands and of its result. */
typedef struct {
    uint8_t a[3], b[3], out[3];
    uint32_t ra, rb, rout;
} Labels;

static uint32_t add_labels(uint8_t *all, uint32_t n, const uint8_t *l, uint32_t rank)
{
    for (uint32_t i = 0; i < rank; i++)
        if (label_position(all, n, l[i]) < 0)
            all[n++] = l[i];
    return n;
}

/* Whether loops in that order end with a label along which both operands are read in memory order, and keep the result's order. */
static bool good_order(const Labels *l, const uint8_t *all, uint32_t n)
{
    int pa = label_position(l->a, l->ra, all[n - 1]), pb = label_position(l->b, l->rb, all[n - 1]);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (kept < l->rout && all[i] == l->out[kept])
            kept++;
    return kept == l->rout && (pa < 0 || pa + 1 == (int)l->ra) && (pb < 0 || pb + 1 == (int)l->rb);
}

/* All labels in an order to loop over them: first as the result has them, else as an operand has them. */
static uint32_t loop_order(const Labels *l, uint8_t *all)
{
    uint32_t n = add_labels(all, add_labels(all, add_labels(all, 0, l->out, l->rout), l->a, l->ra), l->b, l->rb);
    if (!n || good_order(l, all, n))
        return n;
    add_labels(all, add_labels(all, 0, l->a, l->ra), l->b, l->rb);
    if (good_order(l, all, n))
        return n;
    add_labels(all, add_labels(all, 0, l->b, l->rb), l->a, l->ra);
    if (good_order(l, all, n))
        return n;
    return add_labels(all, add_labels(all, add_labels(all, 0, l->out, l->rout), l->a, l->ra), l->b, l->rb);
}

/* sum(mul(expand a, expand b)) over all labels. */
static Ref dot_as_sum(Legal *l, Graph *g, Ref a, Ref b, const uint32_t *w, const Node *old)
{
    const Node *na = &g->node.at[a], *nb = &g->node.at[b];
    Labels s = { .ra = na->rank, .rb = nb->rank, .rout = old->rank };
    uint8_t all[6];
    for (int i = 0; i < 3; i++) {
        s.a[i] = (uint8_t)w[i];
        s.b[i] = (uint8_t)w[3 + i];
        s.out[i] = (uint8_t)w[6 + i];
    }
    uint32_t n = loop_order(&s, all), dims = 0;
    if (n > MAX_RANK) {
        diag_error(l->m->ctx, 801, (Span){ old->span, old->span + (old->span != 0) },
                   "this product has more than %d feature dimensions in all, which Rondo cannot lower", MAX_RANK);
        return 0;
    }
    int32_t dim[3] = { 0 }, ma[3] = { -1, -1, -1 }, mb[3] = { -1, -1, -1 };
    for (uint32_t i = 0; i < n; i++) {
        ma[i] = label_position(s.a, s.ra, all[i]);
        mb[i] = label_position(s.b, s.rb, all[i]);
        dim[i] = ma[i] >= 0 ? na->dim[ma[i]] : nb->dim[mb[i]];
        if (label_position(s.out, s.rout, all[i]) < 0)
            dims |= 1u << i;
    }
    uint32_t axes = (na->axes | nb->axes) & ~w[9];
    Ref ea = n ? spread(g, a, n, dim, ma) : a, eb = n ? spread(g, b, n, dim, mb) : b;
    Ref p = g_bin(g, OP_MUL, ea, eb);
    if (dims)
        p = g_sum(g, p, 0, dims);
    if (axes)
        p = g_sum(g, masked(l, g, p, axes, 0), axes, 0);
    return p;
}

/* Of a product with fewer than 4 columns: whether it is one of tiles all the same, since lanes along its rows are no neighbours. */
static bool narrow_product(const Graph *g, Ref r, const DotInfo *d)
{
    enum { LONG = 16 };
    const Node *n = &g->node.at[r], *right = &g->node.at[n->in[d->swapped ? 0 : 1]];
    const uint32_t *label = node_attr(g, r) + (d->swapped ? 0 : 3);
    return d->kind == DOT_PRODUCT && n->dim[n->rank - 1] > 1 && d->nk == 1 && right->rank == 2 && right->dim[0] >= LONG && label[0] == d->k[0];
}

bool dot_is_gemm(const Graph *g, Ref r, DotInfo *info, GemmKind *kind)
{
    DotInfo d = dot_classify(g, r);
    const Node *n = &g->node.at[r];
    Ref left = n->in[d.swapped ? 1 : 0], right = n->in[d.swapped ? 0 : 1];
    *info = d;
    if (n->rank == 0 || (n->dim[n->rank - 1] < 4 && !narrow_product(g, r, &d)))
        return false;
    if (d.kind == DOT_PRODUCT && n->rank == 1 && d.nm == 0 && d.nk == 1 && d.nn == 1 && d.nbatch == 0 && d.k_axes == 0 &&
        g->node.at[left].rank == 1 && g->node.at[right].rank == 2 && g->node.at[right].axes == 0 && g->node.at[left].axes) {
        *kind = GEMM_ROWS;
        return true;
    }
    if (d.kind == DOT_GRADIENT && d.nk == 0 && d.nbatch == 0 && d.batch_axes == 0 && n->axes == 0 && d.nm <= 1 && d.nn <= 1 &&
        g->node.at[left].axes == g->node.at[right].axes && g->node.at[left].axes == d.k_axes) {
        *kind = GEMM_GRADIENT;
        return true;
    }
    return false;
}

/* Whether the columns of a gradient leave so many lanes idle that its rows had better lie along them: half vectors against whole
   ones, and a broadcast for each of the former. Every element is the same sum either way. */
static bool better_turned(int64_t rows, int64_t columns)
{
    enum { WHOLE = 16, HALF = 8 };
    int64_t now = rows * ((columns + HALF - 1) / HALF * HALF), turned = columns * ((rows + WHOLE - 1) / WHOLE * WHOLE);
    return 5 * turned <= 4 * now;
}

/* A gradient [M, N] with fewer columns than a tile has rows worth computing: as [N, M], transposed. 0: not that. */
static Ref narrow_gradient(Legal *l, Graph *g, const Graph *src, Ref r, Ref a, Ref b, const uint32_t *w)
{
    const Node *n = &src->node.at[r];
    if (n->rank != 2 || n->dim[0] < 4 || n->axes || (n->dim[1] >= 4 && !better_turned(n->dim[0], n->dim[1])))
        return 0;
    uint8_t la[3], lb[3], lo[3] = { (uint8_t)w[7], (uint8_t)w[6], 0 };
    for (int i = 0; i < 3; i++) {
        la[i] = (uint8_t)w[i];
        lb[i] = (uint8_t)w[3 + i];
    }
    uint32_t contracted = g->node.at[a].axes | g->node.at[b].axes;
    DotInfo info;
    GemmKind kind;
    Ref d = g_dot(g, masked(l, g, a, contracted, 0), masked(l, g, b, contracted, 0), la, lb, lo, 0);
    if (!d || g->node.at[d].op != OP_DOT || !dot_is_gemm(g, d, &info, &kind) || kind != GEMM_GRADIENT)
        return 0;
    return g_transpose(g, d, (uint32_t[]){ 1, 0, 2 });
}

/* Matrices of single rows: a product a row, then their sum where axes are summed. 0: not that. */
static Ref matrix_product(Legal *l, Graph *g, const Graph *src, Ref r, Ref a, Ref b, const uint32_t *w)
{
    MatrixForm form;
    uint8_t la[3], lb[3], lo[3];
    if (!dot_is_matrix(src, r, &form))
        return 0;
    for (int i = 0; i < 3; i++) {
        la[i] = (uint8_t)w[i];
        lb[i] = (uint8_t)w[3 + i];
        lo[i] = (uint8_t)w[6 + i];
    }
    uint32_t axes = g->node.at[a].axes | g->node.at[b].axes, summed = axes & ~w[9];
    Ref d = g_dot(g, a, b, la, lb, lo, axes);
    if (!d || g->node.at[d].op != OP_DOT || !is_matrix_row(g, d, &form))
        return 0;
    return summed ? g_sum(g, masked(l, g, d, summed, 0), summed, 0) : d;
}

/* The steps of one sequence with those of another, whichever way that is written. 0: not that. */
static Ref pair_product(Legal *l, Graph *g, Ref a, Ref b, const uint32_t *la, const uint32_t *lb, const uint32_t *lo, uint32_t axes)
{
    uint8_t label[3][3];
    PairForm form;
    uint32_t summed = (g->node.at[a].axes | g->node.at[b].axes) & ~axes;
    if (g->node.at[a].rank > 1 || g->node.at[b].rank > 1)
        return 0;
    for (int i = 0; i < 3; i++) {
        label[0][i] = (uint8_t)la[i];
        label[1][i] = (uint8_t)lb[i];
        label[2][i] = (uint8_t)lo[i];
    }
    Ref d = g_dot(g, masked(l, g, a, summed, 0), masked(l, g, b, summed, 0), label[0], label[1], label[2], axes);
    bool pairs = d && is_pairs(g, d, &form) && !form.outer && (l->apart || (form.rows && form.other));
    return pairs ? d : 0;
}

/* A summand of a scan that is a vector of each pair of steps, of active examples. 0: not that. */
static Ref pair_outer(Graph *g, Ref v, Ref active)
{
    static const uint8_t i[3] = { 1 }, none[3] = { 0 };
    const Node *n = &g->node.at[v];
    uint32_t axes = n->axes;
    PairForm form;
    for (int k = 0; n->op == OP_MUL && k < 2; k++) {
        Ref w = n->in[k], q = n->in[!k];
        if (g->node.at[w].op == OP_EXPAND && !g->node.at[g->node.at[w].in[0]].rank)
            w = g->node.at[w].in[0];
        if (g->node.at[w].rank || g->node.at[q].rank != 1 || g->node.at[w].axes != axes || g->node.at[q].axes == axes)
            continue;
        w = active ? mask(g, active, w, 0) : w;
        q = active ? mask(g, active, q, 0) : q;
        Ref d = g_dot(g, w, q, none, i, i, axes);
        return d && is_pairs(g, d, &form) && form.outer ? d : 0;
    }
    return 0;
}

/* A sum over features, or over steps, of such a product. 0: not that. */
static Ref pair_sum(Legal *l, Graph *g, Ref x, uint32_t axes, uint32_t dims)
{
    static const uint32_t i[3] = { 1 }, none[3] = { 0 };
    const Node *n = &g->node.at[x];
    if (n->op != OP_MUL || n->rank != 1 || (dims != 0) == (axes != 0))
        return 0;
    Ref a = n->in[0], b = n->in[1];
    const uint32_t *la = g->node.at[a].rank ? i : none, *lb = g->node.at[b].rank ? i : none;
    return pair_product(l, g, a, b, la, lb, dims ? none : i, n->axes & ~axes);
}

/* Says that a product is a loop nest, but of the examples' own matrices by vectors, one a head perhaps, which read memory once at best. */
static void explain_nest(Legal *l, const Graph *src, Ref r, const DotInfo *info)
{
    const Node *n = &src->node.at[r], *a = &src->node.at[n->in[0]], *b = &src->node.at[n->in[1]];
    bool matrices = n->rank >= info->nbatch + 2u, weights = !a->axes || !b->axes;
    if (!matrices && !weights)
        return;
    str_put(l->explain, "slow path: ");
    put_node(l->explain, l->m->ctx, src, r);
    str_put(l->explain, matrices ? ", a product of matrices of the examples, is a loop nest\n" : ", a product by heads of weights, too many or too small ones, is a loop nest\n");
}

static Ref legal_dot(Legal *l, Graph *g, const Graph *src, Ref r, const Ref *map)
{
    const Node *n = &src->node.at[r];
    const uint32_t *w = node_attr(src, r);
    uint32_t words[10];
    for (int i = 0; i < 10; i++)
        words[i] = w[i];
    Ref a = map[n->in[0]], b = map[n->in[1]];
    uint32_t contracted = (g->node.at[a].axes | g->node.at[b].axes) & ~words[9];
    DotInfo info;
    GemmKind kind;
    Ref t = narrow_gradient(l, g, src, r, a, b, words);
    if (t)
        return t;
    if (!dot_is_gemm(src, r, &info, &kind)) {
        t = pair_product(l, g, a, b, words, words + 3, words + 6, words[9]);
        if (t)
            return t;
        t = matrix_product(l, g, src, r, a, b, words);
        if (t)
            return t;
        if (l->explain && n->rank >= 2 && info.nk > 0)
            explain_nest(l, src, r, &info);
        return dot_as_sum(l, g, a, b, words, n);
    }
    uint8_t la[3], lb[3], lo[3];
    for (int i = 0; i < 3; i++) {
        la[i] = (uint8_t)words[i];
        lb[i] = (uint8_t)words[3 + i];
        lo[i] = (uint8_t)words[6 + i];
    }
    a = masked(l, g, a, contracted, 0);
    b = masked(l, g, b, contracted, 0);
    return g_dot(g, a, b, la, lb, lo, words[9]);
}

static Ref legal_pad(Graph *g, Ref a, const uint32_t *w)
{
    uint32_t dim = w[0];
    int32_t before = (int32_t)w[1], after = (int32_t)w[2];
    Node n = g->node.at[a];
    Ref part[3];
    uint32_t k = 0;
    if (before) {
        n.dim[dim] = before;
        part[k++] = zero_of(g, &n);
    }
    part[k++] = a;
    if (after) {
        n.dim[dim] = after;
        part[k++] = zero_of(g, &n);
    }
    return k == 1 ? a : g_concat(g, part, k, dim);
}

static void legal_graph(Legal *l, Graph *dst, const Graph *src, Ref *map);

/* What a stacked value is at an inactive step: the carry whose next it is, else zero. */
static Ref carry_over(const Graph *old, uint32_t ncarry, Ref value, const Ref *carry, Ref zero)
{
    for (uint32_t k = 0; k < ncarry; k++)
        if (old->root.at[k].ref == value)
            return carry[k];
    return zero;
}

/* A sum over the steps of a ragged axis whose summand has no examples covers every step, which a frozen carry cannot: it is
   stacked and summed outside. */
static bool sum_outside(const Legal *l, const Graph *body, uint32_t axis, const Root *o)
{
    return o->kind == ROOT_SUM && l->m->axis[axis].ragged && !(body->node.at[o->ref].axes & AX(AXIS_B));
}

static Ref legal_out(Legal *l, Graph *g, const Graph *src, Ref r, const Ref *map)
{
    const Node *n = &src->node.at[r];
    ScanInfo s = scan_info(src, n->in[0]);
    const Graph *body = l->m->graph.at[s.body];
    Ref x = g_out(g, map[n->in[0]], n->attr);
    return sum_outside(l, body, s.axis, &body->root.at[s.ncarry + n->attr]) ? g_sum(g, x, AX(s.axis), 0) : x;
}

static Ref legal_scan(Legal *l, Graph *g, const Graph *src, Ref r, const Ref *map)
{
    Module *m = l->m;
    Arena *a = m->arena;
    ScanInfo s = scan_info(src, r);
    const Graph *old = m->graph.at[s.body];
    Graph *body = module_add_graph(m);
    Ref *bmap = NEW_N(a, Ref, old->node.n + 1);
    uint32_t inside = l->inside;
    bool apart = l->apart;
    l->inside |= m->axis[s.axis].ragged ? AX(s.axis) : 0;
    l->apart = s.ncarry == 0;
    legal_graph(l, body, old, bmap);
    l->inside = inside;
    l->apart = apart;
    Ref active = valid_rows(l, body, s.axis, true);
    Ref *next = NEW_N(a, Ref, s.ncarry + old->root.n), *init = NEW_N(a, Ref, s.ncarry + old->root.n);
    Ref *carry = NEW_N(a, Ref, s.ncarry + old->root.n);
    bool *masked_sum = NEW_N(a, bool, s.ncarry + old->root.n);
    for (Ref i = 1; i < body->node.n; i++)
        if (body->node.at[i].op == OP_CARRY)
            carry[body->node.at[i].attr] = i;
    uint32_t nc = s.ncarry;
    for (uint32_t k = 0; k < nc; k++) {
        init[k] = map[s.init[k]];
        next[k] = bmap[old->root.at[k].ref];
    }
    for (uint32_t i = s.ncarry; i < old->root.n; i++) {
        if (old->root.at[i].kind != ROOT_SUM || sum_outside(l, old, s.axis, &old->root.at[i]))
            continue;
        Ref v = bmap[old->root.at[i].ref], pairs = s.ncarry ? 0 : pair_outer(body, v, active);
        masked_sum[nc] = pairs != 0;
        v = pairs ? pairs : v;
        Node n = body->node.at[v];
        carry[nc] = g_leaf_typed(body, OP_CARRY, nc, n.dtype, n.rank, n.dim, n.axes);
        next[nc] = g_bin(body, OP_ADD, carry[nc], v);
        Ref z = zero_of(g, &n);
        init[nc] = n.axes ? g_expand_axes(g, z, n.axes) : z;
        nc++;
    }
    for (uint32_t k = 0; k < nc; k++) {
        if (active && next[k] != carry[k] && !masked_sum[k]) {
            Node n = body->node.at[next[k]];
            if (!carry[k]) /* not read by the body, but its final value is frozen all the same */
                carry[k] = g_leaf_typed(body, OP_CARRY, k, n.dtype, n.rank, n.dim, n.axes | AX(AXIS_B));
            next[k] = g_select(body, active, next[k], carry[k]);
        }
        graph_root(body, ROOT_NEXT, 0, next[k], k);
    }
    uint32_t sum = s.ncarry;
    for (uint32_t i = s.ncarry; i < old->root.n; i++) {
        const Root *o = &old->root.at[i];
        if (sum_outside(l, old, s.axis, o)) {
            graph_root(body, ROOT_STACK, o->name, bmap[o->ref], 0);
        } else if (o->kind == ROOT_SUM) {
            graph_root(body, ROOT_LAST, o->name, 0, sum++);
        } else if (o->kind == ROOT_STACK) {
            Ref v = bmap[o->ref];
            /* a stacked carry-out shares the carry's own mask: what stands at padded steps does not matter */
            if (active && (body->node.at[v].axes & AX(AXIS_B)))
                v = g_select(body, active, v, carry_over(old, s.ncarry, o->ref, carry, zero_of(body, &body->node.at[v])));
            graph_root(body, ROOT_STACK, o->name, v, 0);
        } else {
            graph_root(body, o->kind, o->name, o->ref ? bmap[o->ref] : 0, o->index);
        }
    }
    Ref *step = NEW_N(a, Ref, s.nstep + 1), *capture = NEW_N(a, Ref, s.ncapture + 1);
    for (uint32_t k = 0; k < s.nstep; k++)
        step[k] = map[s.step[k]];
    for (uint32_t k = 0; k < s.ncapture; k++)
        capture[k] = map[s.capture[k]];
    return g_scan(g, s.axis, s.reverse, body->index, init, nc, step, s.nstep, capture, s.ncapture);
}

/* Row by row, one number at one index: v where iota is the index, else 0, which needs no memory. 0: not that. */
static Ref one_hot(Graph *g, Ref i, Ref v, int32_t size, uint32_t kept)
{
    const Node *ni = &g->node.at[i], *nv = &g->node.at[v];
    if (ni->rank || nv->rank || ((ni->axes | nv->axes) & ~kept))
        return 0;
    i = g_bin(g, OP_MIN, g_bin(g, OP_MAX, i, g_int(g, 0)), g_int(g, size - 1));
    return g_select(g, g_bin(g, OP_EQ, g_iota(g, size), i), v, g_const(g, 0));
}

/* Of few rows, in which a loop may go through them at each column (lower_columns.c): its sum is one of the sums of columns. */
static bool is_low_matrix(const Node *n)
{
    enum { LOW = 16, WIDE = 64 };
    return n->rank == 2 && n->axes && n->dim[0] <= LOW && n->dim[1] >= WIDE;
}

static Ref legal_node(Legal *l, Graph *g, const Graph *src, Ref r, const Ref *map)
{
    const Node *n = &src->node.at[r];
    const uint32_t *w = NULL;
    uint32_t axes;
    Ref x;
    g->span = n->span;
    g->name = n->name;
    switch (n->op) {
    case OP_DOT:
        return legal_dot(l, g, src, r, map);
    case OP_PAD:
        w = node_attr(src, r);
        return legal_pad(g, map[n->in[0]], w);
    case OP_OUT:
        return legal_out(l, g, src, r, map);
    case OP_SCAN:
        return legal_scan(l, g, src, r, map);
    case OP_SUM:
    case OP_AMAX:
        w = node_attr(src, r);
        axes = w[0];
        x = map[n->in[0]];
        if (n->op == OP_SUM) {
            Ref p = pair_sum(l, g, x, axes, w[1]);
            if (p)
                return p;
        }
        if (n->op == OP_SUM && is_low_matrix(&g->node.at[x]) && w[1] == 3)
            x = g_sum(g, g_sum(g, x, 0, 1), 0, 1);
        else if (w[1])
            x = n->op == OP_SUM ? g_sum(g, x, 0, w[1]) : g_amax(g, x, 0, w[1]);
        if (axes) {
            Ref low = n->op == OP_SUM ? 0 : g_const(g, -HUGE_VAL);
            x = masked(l, g, x, axes, low);
            x = n->op == OP_SUM ? g_sum(g, x, axes, 0) : g_amax(g, x, axes, 0);
        }
        return x;
    case OP_LENGTH:
        return length_of(l->m, g, n->attr);
    case OP_SCATTER_ADD:
        w = node_attr(src, r);
        x = one_hot(g, map[n->in[0]], map[n->in[1]], (int32_t)w[0], w[1]);
        if (x)
            return x;
        x = map[n->in[1]];
        axes = g->node.at[map[n->in[0]]].axes | g->node.at[x].axes;
        if (masked(l, g, map[n->in[0]], axes & ~w[1], 0) != map[n->in[0]]) /* the rows are the indices' too */
            x = g_expand_axes(g, x, axes & ~g->node.at[x].axes);
        return g_scatter_add(g, map[n->in[0]], masked(l, g, x, axes & ~w[1], 0), (int32_t)w[0], w[1]);
    case OP_SHIFT:
        w = node_attr(src, r);
        x = g_shift(g, map[n->in[0]], map[n->in[1]], w[0], (int32_t)w[1]);
        if ((int32_t)w[1] < 0 && l->m->axis[w[0]].ragged) {
            Ref t = g_bin(g, OP_SUB, g_iota_axis(g, w[0], false), g_int(g, (int32_t)w[1]));
            x = g_select(g, g_bin(g, OP_LT, t, length_of(l->m, g, w[0])), x, map[n->in[1]]);
        }
        return x;
    default: /* every other operation stays as it is */
        return graph_copy_node(g, src, r, map);
    }
}

static void legal_graph(Legal *l, Graph *dst, const Graph *src, Ref *map)
{
    uint32_t errors = diag_error_count(l->m->ctx);
    for (Ref r = 1; r < src->node.n; r++) {
        map[r] = legal_node(l, dst, src, r, map);
        if (!map[r] && diag_error_count(l->m->ctx) == errors)
            diag_error(l->m->ctx, 999, (Span){ 0, 0 }, "legalize lost node %%%u (%s) of graph %u", r,
                       op_info[src->node.at[r].op].text, src->index);
    }
}

bool pass_legalize(Module *m, const PassOptions *o)
{
    Legal l = { m, o->explain, 0, false };
    uint64_t before = module_hash(m);
    split_wide_products(m);
    Graph *old = m->graph.at[0], *g = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, old->node.n + 1);
    legal_graph(&l, g, old, map);
    for (uint32_t i = 0; i < old->root.n; i++) {
        Root r = old->root.at[i];
        Ref v = r.ref ? map[r.ref] : 0;
        if (v)
            v = masked(&l, g, v, g->node.at[v].axes, 0);
        graph_root(g, r.kind, r.name, v, r.index);
    }
    m->graph.at[g->index] = old; /* trade places; module_dce drops it */
    old->index = g->index;
    m->graph.at[0] = g;
    g->index = 0;
    module_dce(m);
    return module_hash(m) != before;
}
