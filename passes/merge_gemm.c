/* merge_gemm: fewer and wider products, and sums of products in the order that one accumulator adds them.
   before:  zi = (Wi x + Ui h) + bi     zf = (Wf x + Uf h) + bf                        (x a step input, h a carry)
   after:   z = (concat(bi, bf) + concat(Wi, Wf) x) + concat(Ui, Uf) h     zi = slice z, zf = slice z

   Chain: a tree of additions of one type that only its root's users read, with a product (a row operand times a matrix
   without axes) among the addends. Its order is meaning (docs/ir.md section 4) and becomes
       (((base + products without a carry beneath) + products with one) + everything else)
   left-deep; within each part the order stays. The base is the sum of the addends that are there before the loop (biases), or
   if there is none, one step input: the hoisted part of an accumulator is again its start. So b + W x leaves the loop as one.
   A product alone is a chain too. Two products of one row operand are one, by the sum of their weights, if both depend on
   parameters only: an addition of matrices an update, in place of a product a row.
   N-merge: chains with the same row operands in the same order become one chain over concatenated weights of rate load, and
   concatenated biases. No path can lead from one to the other: nothing but the row operands varies. In a body the concat
   stands outside of the scan and is captured.
   The choice: whole chains merge or none of them. A product shared by chains with other partners (GRU, reset after: r and z
   are [x; h], n is [x] apart from [h]) could be one product of x with slices added later, but these additions would stand
   outside of the accumulators: 2N loads and stores a row more, to save one call of a tile. So r, z become one chain of two products, and W_n x, U_n h stay
   apart; what then leaves the loop is merged there by the next run (P = [r z n] of x), where it is a chain of one product.
   Before it, merge_split.c: W [e; c] in a loop becomes We e + Wc c where only c hangs on a carry.
   Apart stay, too: what a next needs and what no next needs (it goes after the loop), and what feeds different scans (each
   keeps its products near).
   relies on: distribute hoists and sinks afterwards; adding zeros for a missing bias is exact. Each scan gets a body of its own. */
#include <string.h>

#include "ir/build.h"
#include "passes/merge_gemm.h"
#include "passes/rewrite.h"

static uint32_t add_capture(Merge *l, Ref host)
{
    for (uint32_t i = 0; i < l->capture.n; i++)
        if (l->capture.at[i] == host) return i;
    VEC_PUSH(l->arena, l->capture) = host;
    return l->capture.n - 1;
}

/* An invariant of l->src as a value of the graph outside; at level 0 of the graph itself, made when it is first asked for. */
static Ref lift(Merge *l, Ref r)
{
    const Node *n = &l->src->node.at[r];
    Graph *g = l->up ? l->up->dst : l->dst;
    Ref *map = l->up ? l->lifted : l->map;
    const Ref *in;
    uint32_t count = node_inputs(l->src, r, &in);

    if (map[r]) return map[r];
    if (l->up && n->op == OP_CAPTURE) {
        map[r] = l->up->map[l->info.capture[n->attr]];
        return map[r];
    }
    for (uint32_t i = 0; i < count; i++) lift(l, in[i]);
    g->span = n->span;
    g->name = n->name;
    map[r] = graph_copy_node(g, l->src, r, map);
    return map[r];
}

static Graph *outside(Merge *l)
{
    Graph *g = l->up ? l->up->dst : l->dst;

    g->name = 0;
    return g;
}

/* A value of the graph outside, inside. */
static Ref inside(Merge *l, Ref host)
{
    if (!l->up || !host) return host;
    return leaf_like(l->dst, OP_CAPTURE, add_capture(l, host), &l->up->dst->node.at[host], 0);
}

/* ---- one chain ------------------------------------------------------------------------------------------------------------ */

static Ref base_outside(Merge *l, const Chain *c)
{
    Ref v = 0;

    for (uint32_t i = 0; i < c->base.n; i++) {
        Ref x = lift(l, c->base.at[i]);
        v = v ? g_bin(outside(l), OP_ADD, v, x) : x;
    }
    return v;
}

static Ref plain_base(Merge *l, const Chain *c)
{
    if (!c->base.n) return 0;
    if (c->base.n == 1) return l->map[c->base.at[0]];
    return inside(l, base_outside(l, c));
}

/* The weight of the k-th product with those of the same rows added, in the layout `dim`. */
static Ref weight_outside(Merge *l, const Chain *c, uint32_t k, uint32_t dim)
{
    static const uint32_t swap[3] = {1, 0, 0};
    Ref row = product_of(l->src, c->product.at[k]).row, w = 0;

    for (uint32_t i = 0; i <= c->same.n; i++) {
        Product p = product_of(l->src, i ? c->same.at[i - 1] : c->product.at[k]);
        Ref x;
        if (p.row != row) continue;
        x = lift(l, p.weight);
        if (p.dim != dim) x = g_transpose(outside(l), x, swap);
        w = w ? g_bin(outside(l), OP_ADD, w, x) : x;
    }
    return w;
}

static Ref times(Merge *l, Ref row, Ref weight, uint32_t dim)
{
    static const uint8_t r[3] = {1, 0, 0}, column[3] = {2, 0, 0}, io[3] = {1, 2, 0}, oi[3] = {2, 1, 0};

    return g_dot(l->dst, row, weight, r, dim ? io : oi, column, l->dst->node.at[row].axes);
}

static Ref plain_core(Merge *l, const Chain *c)
{
    Ref v = plain_base(l, c);

    for (uint32_t i = 0; i < c->product.n; i++) {
        Ref r = c->product.at[i], p;
        Product q = product_of(l->src, r);
        bool alone = true;
        for (uint32_t k = 0; k < c->same.n; k++) alone &= product_of(l->src, c->same.at[k]).row != q.row;
        p = alone ? 0 : inside(l, weight_outside(l, c, i, q.dim));
        l->dst->span = l->src->node.at[r].span;
        l->dst->name = l->src->node.at[r].name;
        p = alone ? graph_copy_node(l->dst, l->src, r, l->map) : times(l, l->map[q.row], p, q.dim);
        v = v ? g_bin(l->dst, OP_ADD, v, p) : p;
    }
    return v;
}

/* ---- a group of chains ------------------------------------------------------------------------------------------------------ */

static int32_t columns(const Merge *l, const Chain *c)
{
    return l->src->node.at[c->root].dim[0];
}

static Ref concat_bases(Merge *l, const Group *g)
{
    Ref *part = NEW_N(l->arena, Ref, g->member.n);
    bool any = false;

    for (uint32_t i = 0; i < g->member.n; i++) any |= l->chain.at[g->member.at[i]].base.n != 0;
    if (!any) return 0;
    for (uint32_t i = 0; i < g->member.n; i++) {
        const Chain *c = &l->chain.at[g->member.at[i]];
        Node type = {.dtype = DT_F, .rank = 1, .dim = {columns(l, c)}};
        part[i] = c->base.n ? base_outside(l, c) : splat(outside(l), 0, &type);
    }
    return g_concat(outside(l), part, g->member.n, 0);
}

/* The weights of the k-th products, side by side, in the layout of the first. */
static Ref concat_weights(Merge *l, const Group *g, uint32_t k, uint32_t *dim)
{
    Ref *part = NEW_N(l->arena, Ref, g->member.n);

    *dim = product_of(l->src, l->chain.at[g->member.at[0]].product.at[k]).dim;
    for (uint32_t i = 0; i < g->member.n; i++) part[i] = weight_outside(l, &l->chain.at[g->member.at[i]], k, *dim);
    return g_concat(outside(l), part, g->member.n, *dim);
}

static void emit_group(Merge *l, Group *g)
{
    const Chain *first = &l->chain.at[g->member.at[0]];
    Ref v = inside(l, concat_bases(l, g));

    l->dst->span = l->src->node.at[first->root].span;
    l->dst->name = 0;
    for (uint32_t k = 0; k < first->product.n; k++) {
        uint32_t dim;
        Ref w = inside(l, concat_weights(l, g, k, &dim)), p = times(l, l->map[product_of(l->src, first->product.at[k]).row], w, dim);
        v = v ? g_bin(l->dst, OP_ADD, v, p) : p;
    }
    g->value = v;
}

static Ref emit_chain(Merge *l, const Chain *c)
{
    Group *g = c->group ? &l->group.at[c->group - 1] : NULL;
    const Node type = l->src->node.at[c->root];
    Ref v;

    if (g && g->member.n > 1) {
        int32_t from = 0;
        if (!g->value) emit_group(l, g);
        for (uint32_t i = 0; &l->chain.at[g->member.at[i]] != c; i++) from += columns(l, &l->chain.at[g->member.at[i]]);
        l->dst->span = type.span;
        l->dst->name = type.name;
        v = g_slice(l->dst, g->value, 0, from, from + type.dim[0]);
    } else {
        v = plain_core(l, c);
    }
    l->dst->span = type.span;
    l->dst->name = type.name;
    for (uint32_t i = 0; i < c->rest.n; i++) v = g_bin(l->dst, OP_ADD, v, l->map[c->rest.at[i]]);
    return node_fit(l->dst, v, &type);
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------- */

static void rebuild(Merge *l);

static Ref rebuild_scan(Merge *up, Ref r)
{
    ScanInfo s = scan_info(up->src, r);
    Module *m = up->dst->module;
    Merge l = {.arena = up->arena, .up = up, .src = m->graph.at[s.body], .dst = module_add_graph(m), .info = s};
    Ref *init = NEW_N(l.arena, Ref, s.ncarry + 1), *step = NEW_N(l.arena, Ref, s.nstep + 1);

    l.lifted = NEW_N(l.arena, Ref, l.src->node.n);
    for (uint32_t i = 0; i < s.ncarry; i++) init[i] = up->map[s.init[i]];
    for (uint32_t i = 0; i < s.nstep; i++) step[i] = up->map[s.step[i]];
    for (uint32_t i = 0; i < s.ncapture; i++) VEC_PUSH(l.arena, l.capture) = up->map[s.capture[i]];
    rebuild(&l);
    for (uint32_t i = 0; i < l.src->root.n; i++) {
        Root x = l.src->root.at[i];
        graph_root(l.dst, (RootKind)x.kind, x.name, l.map[x.ref], x.index);
    }
    up->dst->span = up->src->node.at[r].span;
    up->dst->name = up->src->node.at[r].name;
    return g_scan(up->dst, s.axis, s.reverse != 0, l.dst->index, init, s.ncarry, step, s.nstep, l.capture.at, l.capture.n);
}

static void rebuild(Merge *l)
{
    merge_analyse(l);
    l->map = NEW_N(l->arena, Ref, l->src->node.n);
    for (Ref r = 1; r < l->src->node.n; r++) {
        const Node *n = &l->src->node.at[r];
        if (!l->live[r] || l->inner[r] || l->map[r]) continue;
        l->dst->span = n->span;
        l->dst->name = n->name;
        if (n->op == OP_SCAN) l->map[r] = rebuild_scan(l, r);
        else if (l->chain_at[r]) l->map[r] = emit_chain(l, &l->chain.at[l->chain_at[r] - 1]);
        else l->map[r] = graph_copy_node(l->dst, l->src, r, l->map);
    }
    l->dst->span = l->dst->name = 0;
}

static void round_once(Module *m)
{
    Merge l = {.arena = m->arena, .src = m->graph.at[0], .dst = module_add_graph(m)};

    rebuild(&l);
    replace_model(m, l.dst, l.map);
    module_dce(m);
}

bool pass_merge_gemm(Module *m, const PassOptions *o)
{
    uint64_t before, last, now;

    (void)o;
    module_dce(m);
    before = last = module_hash(m);
    for (int i = 0; i < 6; i++, last = now) {
        merge_split(m);
        round_once(m);
        now = module_hash(m);
        if (now == last) break;
    }
    return last != before;
}
