/* merge_gemm, the analysis: rates, chains of additions, and which of them may become one.
     %5 = dot %1 %2   %6 = add %5 %3   %7 = dot %8 %4   %9 = add %6 %7      one chain: base %3, product %5, then %7 (its row
     operand has a carry beneath). Another chain with row operands %1, %8 in this order may be merged with it (merge_gemm.c).
     %6 = dot %1 %2   %7 = dot %1 %4   %8 = add %6 %7      one product, by %2 + %4 */
#include <string.h>

#include "passes/explain.h"
#include "passes/merge_gemm.h"
#include "passes/rewrite.h"

static const Node *at(const Merge *l, Ref r)
{
    return &l->src->node.at[r];
}

Product product_of(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    Product p = {0, 0, 0};
    DotInfo d;
    Ref left, right;

    if (n->op != OP_DOT || n->rank != 1) return p;
    d = dot_classify(g, r);
    left = n->in[d.swapped ? 1 : 0];
    right = n->in[d.swapped ? 0 : 1];
    if (d.kind != DOT_PRODUCT || d.nbatch || d.nm || d.nk != 1 || d.nn != 1 || d.k_axes) return p;
    if (g->node.at[left].rank != 1 || g->node.at[right].rank != 2 || !g->node.at[left].axes || g->node.at[right].axes) return p;
    p.row = left;
    p.weight = right;
    p.dim = node_attr(g, r)[d.swapped ? 0 : 3] == d.n[0] ? 0 : 1;
    return p;
}

/* ---- rates -------------------------------------------------------------------------------------------------------------- */

static bool load_leaf(const Merge *l, const Node *n)
{
    if (n->op == OP_CAPTURE) return l->up && l->up->load[l->info.capture[n->attr]];
    return n->op == OP_PARAM || n->op == OP_CONST || (n->op == OP_IOTA && !n->attr);
}

static void find_rates(Merge *l)
{
    for (Ref r = 1; r < l->src->node.n; r++) {
        const Node *n = at(l, r);
        const Ref *in;
        uint32_t count = node_inputs(l->src, r, &in);
        uint8_t cls = op_info[n->op].cls;
        bool load = cls != OPC_TIME && cls != OPC_CONTROL, same = is_map((Op)n->op);

        if (!l->live[r]) continue;
        if (cls == OPC_LEAF) {
            load = load_leaf(l, n);
            same = load || n->op == OP_CAPTURE;
        }
        for (uint32_t i = 0; i < count; i++) {
            load = load && l->load[in[i]];
            same = same && l->invariant[in[i]];
            l->carry[r] |= l->carry[in[i]];
            l->uses[in[i]]++;
        }
        l->load[r] = load && !n->axes;
        l->invariant[r] = l->load[r] || (same && l->up);
        l->carry[r] |= n->op == OP_CARRY;
    }
    for (uint32_t i = 0; i < l->src->root.n; i++) {
        const Root *x = &l->src->root.at[i];
        l->uses[x->ref] += 2;
        if (x->kind == ROOT_NEXT) l->reaches_next[x->ref] = 1;
    }
}

static void find_destinations(Merge *l)
{
    uint32_t scan = 0;

    for (Ref r = l->src->node.n - 1; r > 0; r--) {
        const Ref *in;
        uint32_t count = l->live[r] ? node_inputs(l->src, r, &in) : 0;
        uint64_t feeds = at(l, r)->op == OP_OUT ? 0 : l->feeds[r];

        if (at(l, r)->op == OP_SCAN) feeds = UINT64_C(1) << (scan++ % 64);
        for (uint32_t i = 0; i < count; i++) {
            l->reaches_next[in[i]] |= l->reaches_next[r];
            l->feeds[in[i]] |= feeds;
        }
    }
}

/* ---- chains ------------------------------------------------------------------------------------------------------------- */

static bool is_sum(const Merge *l, Ref r)
{
    const Node *n = at(l, r);

    return n->op == OP_ADD && n->dtype == DT_F && n->rank == 1 && n->axes;
}

/* May r be part of the chain that the addition `user` belongs to? */
static bool joins(const Merge *l, Ref r, Ref user)
{
    const Node *n = at(l, r), *u = at(l, user);

    return l->uses[r] == 1 && n->rank == u->rank && n->dim[0] == u->dim[0] && n->axes == u->axes &&
           (is_sum(l, r) || product_of(l->src, r).row);
}

/* A step input, or a part of one: it has a value before the step. */
static bool from_step(const Merge *l, Ref r)
{
    while (at(l, r)->op == OP_SLICE) r = at(l, r)->in[0];
    return at(l, r)->op == OP_STEP;
}

/* The addends under r, in the order in which they are added: the deeper side first, whatever the numbering. */
static void flatten(Merge *l, Ref r, RefVec *addend, RefVec *inner)
{
    Ref in[2] = {at(l, r)->in[0], at(l, r)->in[1]};

    if (!(is_sum(l, in[0]) && joins(l, in[0], r)) && is_sum(l, in[1]) && joins(l, in[1], r)) {
        Ref t = in[0];
        in[0] = in[1];
        in[1] = t;
    }
    for (int i = 0; i < 2; i++) {
        bool deeper = is_sum(l, in[i]) && joins(l, in[i], r);
        VEC_PUSH(l->arena, *(deeper ? inner : addend)) = in[i];
        if (deeper) flatten(l, in[i], addend, inner);
    }
}

static bool in_chain(const Merge *l, const RefVec *addend, uint32_t i, Ref root)
{
    return product_of(l->src, addend->at[i]).row && joins(l, addend->at[i], root);
}

/* A product of rows that the chain multiplies already, both by weights of rate load. */
static bool is_twin(const Merge *l, const Chain *c, Ref r)
{
    Product p = product_of(l->src, r);

    for (uint32_t i = 0; i < c->product.n; i++) {
        Product q = product_of(l->src, c->product.at[i]);
        if (q.row == p.row) return l->load[q.weight] && l->load[p.weight];
    }
    return false;
}

static void sort_addends(Merge *l, Chain *c, const RefVec *addend)
{
    for (int carry = 0; carry < 2; carry++)
        for (uint32_t i = 0; i < addend->n; i++) {
            Ref r = addend->at[i];
            if (!in_chain(l, addend, i, c->root) || l->carry[r] != carry) continue;
            VEC_PUSH(l->arena, *(is_twin(l, c, r) ? &c->same : &c->product)) = r;
        }
    for (uint32_t i = 0; i < addend->n; i++)
        if (!in_chain(l, addend, i, c->root) && at(l, addend->at[i])->rank == 1 && l->invariant[addend->at[i]])
            VEC_PUSH(l->arena, c->base) = addend->at[i];
    for (uint32_t i = 0; i < addend->n; i++) {
        Ref r = addend->at[i];
        if (in_chain(l, addend, i, c->root) || (at(l, r)->rank == 1 && l->invariant[r])) continue;
        if (!c->base.n && at(l, r)->rank == 1 && from_step(l, r)) {
            VEC_PUSH(l->arena, c->base) = r;
            c->step_base = true;
        } else {
            VEC_PUSH(l->arena, c->rest) = r;
        }
    }
}

static void add_chain(Merge *l, const Chain *c)
{
    VEC_PUSH(l->arena, l->chain) = *c;
    l->chain_at[c->root] = l->chain.n;
}

static void find_chains(Merge *l)
{
    for (Ref r = l->src->node.n - 1; r > 0; r--) {
        RefVec addend = {0}, inner = {0};
        Chain c = {.root = r};
        if (!l->live[r] || l->inner[r] || !is_sum(l, r)) continue;
        flatten(l, r, &addend, &inner);
        sort_addends(l, &c, &addend);
        if (!c.product.n) continue;
        for (uint32_t i = 0; i < inner.n; i++) l->inner[inner.at[i]] = 1;
        for (uint32_t i = 0; i < c.product.n; i++) l->inner[c.product.at[i]] = 1;
        for (uint32_t i = 0; i < c.same.n; i++) l->inner[c.same.at[i]] = 1;
        add_chain(l, &c);
    }
    for (Ref r = l->src->node.n - 1; r > 0; r--) {
        Chain c = {.root = r};
        if (!l->live[r] || l->inner[r] || !product_of(l->src, r).row) continue;
        VEC_PUSH(l->arena, c.product) = r;
        add_chain(l, &c);
    }
}

/* ---- groups ------------------------------------------------------------------------------------------------------------- */

/* Why a chain stays alone; NULL: it may merge. Outside of the loops this pass runs on what is left of different pipelines;
   products of fewer than 4 columns are summed in another order than wider ones, so there only wide ones may merge. */
static const char *alone(const Merge *l, const Chain *c)
{
    if (c->step_base) return "begins with what was computed ahead of the loop";
    if (!l->up && at(l, c->root)->dim[0] < 4) return "is narrower than 4";
    for (uint32_t i = 0; i < c->product.n; i++)
        if (!l->load[product_of(l->src, c->product.at[i]).weight]) return "has a matrix that is made in the call";
    return NULL;
}

/* Why two chains are not of one group; NULL: they are. */
static const char *differ(const Merge *l, const Chain *a, const Chain *b)
{
    uint32_t last = a->product.n - 1;
    bool same = a->product.n == b->product.n;

    for (uint32_t i = 0; i <= last && same; i++)
        same = product_of(l->src, a->product.at[i]).row == product_of(l->src, b->product.at[i]).row;
    if (!same) return "adds up products of other rows too";
    if (l->feeds[a->root] != l->feeds[b->root]) return "is needed by other loops";
    return l->carry[a->product.at[last]] && l->reaches_next[a->root] != l->reaches_next[b->root] ? "is needed by another part of the step" : NULL;
}

static void find_groups(Merge *l)
{
    for (Ref r = 1; r < l->src->node.n; r++) {
        Chain *c = l->chain_at[r] ? &l->chain.at[l->chain_at[r] - 1] : NULL;
        uint32_t i = 0;
        if (!c || alone(l, c)) continue;
        while (i < l->group.n && differ(l, &l->chain.at[l->group.at[i].member.at[0]], c)) i++;
        if (i == l->group.n) VEC_PUSH(l->arena, l->group) = (Group){.value = 0};
        VEC_PUSH(l->arena, l->group.at[i].member) = l->chain_at[r] - 1;
        c->group = i + 1;
    }
}

void merge_analyse(Merge *l)
{
    uint32_t n = l->src->node.n;

    l->live = NEW_N(l->arena, uint8_t, n);
    l->load = NEW_N(l->arena, uint8_t, n);
    l->invariant = NEW_N(l->arena, uint8_t, n);
    l->carry = NEW_N(l->arena, uint8_t, n);
    l->reaches_next = NEW_N(l->arena, uint8_t, n);
    l->inner = NEW_N(l->arena, uint8_t, n);
    l->uses = NEW_N(l->arena, uint32_t, n);
    l->feeds = NEW_N(l->arena, uint64_t, n);
    l->chain_at = NEW_N(l->arena, uint32_t, n);
    mark_live(l->src, l->live);
    find_rates(l);
    find_destinations(l);
    find_chains(l);
    find_groups(l);
}

/* ---- for explain -------------------------------------------------------------------------------------------------------- */

static void note_products(Merge *l, ProductNote *note)
{
    uint32_t n = l->src->node.n;
    uint32_t *chain = NEW_N(l->arena, uint32_t, n), *first = NEW_N(l->arena, uint32_t, n);

    for (uint32_t k = 0; k < l->chain.n; k++) {
        const Chain *c = &l->chain.at[k];
        for (uint32_t i = 0; i < c->product.n; i++) {
            chain[c->product.at[i]] = 1 + k;
            note[c->product.at[i]] = (ProductNote){.accumulator = c->root, .from_step = c->step_base, .scans = l->feeds[c->root]};
        }
    }
    for (Ref r = 1; r < n; r++) {
        Ref row = product_of(l->src, r).row;
        const Chain *c = chain[r] ? &l->chain.at[chain[r] - 1] : NULL, *d;
        if (!c) continue;
        if (!first[row]) first[row] = r;
        d = &l->chain.at[chain[first[row]] - 1];
        if (c == d) continue;
        note[r].twin = first[row];
        note[r].apart = differ(l, d, c);
        if (!note[r].apart) note[r].apart = alone(l, c) ? alone(l, c) : alone(l, d);
    }
}

ProductNote *product_notes(Arena *a, const Module *m, Ref scan)
{
    Merge up = {.arena = a, .src = m->graph.at[0]}, l = {.arena = a, .up = &up};
    ProductNote *note;

    merge_analyse(&up);
    if (scan) {
        l.info = scan_info(up.src, scan);
        l.src = m->graph.at[l.info.body];
        merge_analyse(&l);
    }
    note = NEW_N(a, ProductNote, m->graph.at[scan ? l.info.body : 0]->node.n);
    note_products(scan ? &l : &up, note);
    return note;
}
