/* lower_loops: a loop over steps all of whose work is elementwise goes through the steps a vector of units at a time.
   before:  run scan : %8      in @1: carry 0, step 0 .. next %6, sum %9      (one row stage, no unit of which reads another unit)
   after:   for rows { for blocks of STEPS { for units by V { ld carries; for t { the stage, carries in registers; st stacks }; st carries }
                                             for t { sums over units, what is made of these } } }
   So a state and the sums of its adjoints are read and written once for many steps, and what no step changes is in a register. Sums
   over units are vectors in a local array until a block is done; they have the order that they have in rows (lower_row.c).
   When: one row stage without exp and its kin (measured: their constants fill the registers, and carries are the least of what they
   take), vectors of one length, carries that no other unit reads, nothing that is copied at the end of a step. */
#include "passes/lower_int.h"

enum { STEPS = 8, MOST = 20, BOTH = 9, INVARIANT = 8, FUNCTION = 6 }; /* BOTH: of so few carries and invariants two vectors go through the steps */

typedef struct {
    const Columns *c;
    LowG *bg;
    const Stage *it;
    int64_t N;
    RefVec node, reduce, invariant, number;
    Ref leaf[MOST], next[MOST];
    uint32_t n; /* carries */
    Loc *loc; /* of each value, before its step has a name */
    LocList *also;
    uint32_t sums;
    LV lo, hi; /* the block */
} Work;

static Ref leaf_of(const Graph *g, uint32_t k)
{
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_CARRY && g->node.at[r].attr == k)
            return r;
    return 0;
}

/* Whether anything reads r but as it is, in a vector of the stage. */
static bool read_apart(const LowG *bg, Ref r)
{
    for (Ref u = r + 1; u < bg->g->node.n; u++) {
        const Ref *in;
        for (uint32_t k = node_inputs(bg->g, u, &in); k-- > 0;)
            if (in[k] == r && (!same_dims(&bg->g->node.at[u], &bg->g->node.at[r]) || bg->ni[u].kind == NK_ACCESS))
                return true;
    }
    return false;
}

static bool is_part(const LowG *bg, Ref r)
{
    uint32_t count;
    const Ref *part = node_ext(bg->g, r, &count);
    while (count-- > 0)
        if (bg->ni[part[count]].whole != r)
            return false;
    return !bg->ni[r].also.n;
}

/* Sorts the stage's nodes; false: some of them do not fit. */
static bool sort_nodes(Work *w)
{
    const LowG *bg = w->bg;
    Arena *a = bg->L->arena;
    for (uint32_t i = 0; i < w->it->node.n; i++) {
        Ref r = w->it->node.at[i].ref;
        const Node *n = &bg->g->node.at[r];
        const NodeInfo *ni = &bg->ni[r];
        bool other = n->op == OP_DOT || n->op == OP_ARGMAX || n->op == OP_GATHER || (ni->nest && n->op != OP_CONCAT);
        if (op_info[n->op].cost >= FUNCTION || ni->sweep || ni->scalar_loop || other)
            return false;
        if (n->op == OP_CONCAT) {
            if (!is_part(bg, r))
                return false;
        } else if ((n->op == OP_SUM || n->op == OP_AMAX) && is_scalar(n)) {
            const Node *o = &bg->g->node.at[n->in[0]];
            if (o->rank != 1 || ni->loop_phase || (w->N && o->dim[0] != w->N))
                return false;
            VEC_PUSH(a, w->reduce) = r;
        } else if (is_scalar(n)) {
            if (!ni->phase)
                return false;
        } else {
            if (n->rank != 1 || ni->phase || (w->N && n->dim[0] != w->N) || (ni->mem && n->dtype != DT_F) || (ni->scratch && !ni->whole))
                return false;
            w->N = n->dim[0];
            VEC_PUSH(a, w->node) = r;
        }
    }
    return w->node.n && w->reduce.n < 4;
}

static bool in_list(const RefVec *v, Ref r)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r)
            return true;
    return false;
}

static bool sort_carries(Work *w)
{
    const LowG *bg = w->bg;
    const Graph *g = bg->g;
    w->n = bg->scan.ncarry;
    for (uint32_t k = 0; k < w->n && w->n <= MOST; k++) {
        const Node *n;
        w->leaf[k] = leaf_of(g, k);
        w->next[k] = g->root.at[k].ref;
        n = &g->node.at[w->leaf[k]];
        if (!w->leaf[k] || n->rank != 1 || n->dim[0] != w->N || n->dtype != DT_F || n->axes != AX(bg->L->bx) || read_apart(bg, w->leaf[k]) ||
            !in_list(&w->node, w->next[k]) || w->c->carry[k].fs[0] != 1)
            return false;
    }
    return w->n <= MOST;
}

/* What no step changes: vectors, of which the first few are kept in registers, and numbers. */
static void find_invariants(Work *w)
{
    const LowG *bg = w->bg;
    for (Ref r = 1; r < bg->g->node.n; r++) {
        const Node *n = &bg->g->node.at[r];
        const Node *from = n;
        while (bg->ni[from - bg->g->node.at].kind == NK_ACCESS && from->op == OP_SLICE)
            from = &bg->g->node.at[from->in[0]];
        if (from->op != OP_CAPTURE || n->dtype != DT_F || bg->ni[from - bg->g->node.at].is_const || n->axes & AX(bg->axis))
            continue;
        if (n->rank == 1 && n->dim[0] == w->N && w->invariant.n < INVARIANT)
            VEC_PUSH(bg->L->arena, w->invariant) = r;
        else if (n->rank == 0 && n == from)
            VEC_PUSH(bg->L->arena, w->number) = r;
    }
}

static bool plan(Work *w, const Columns *c)
{
    LowG *bg = c->bg;
    *w = (Work){ .c = c, .bg = bg };
    if (bg->g->stage.n != 1 || bg->segment || bg->L->o.one_step)
        return false;
    w->it = &bg->g->stage.at[0];
    if (w->it->kind != STAGE_ROW || w->it->group || !(w->it->axes & AX(bg->L->bx)) || !sort_nodes(w) || !sort_carries(w))
        return false;
    find_invariants(w);
    return true;
}

bool columns_fit(const Columns *c)
{
    Work w;
    return plan(&w, c);
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------------ */

static void save_places(Work *w)
{
    uint32_t n = w->bg->g->node.n;
    Arena *a = w->bg->L->arena;
    w->loc = NEW_N(a, Loc, n);
    w->also = NEW_N(a, LocList, n);
    for (Ref r = 1; r < n; r++) {
        w->loc[r] = w->bg->ni[r].loc;
        for (uint32_t k = 0; k < w->bg->ni[r].also.n; k++)
            VEC_PUSH(a, w->also[r]) = w->bg->ni[r].also.at[k];
    }
}

/* The places of step t. */
static void at_step(Work *w, LV t)
{
    for (Ref r = 1; r < w->bg->g->node.n; r++) {
        NodeInfo *ni = &w->bg->ni[r];
        ni->loc = w->loc[r];
        for (uint32_t k = 0; k < ni->also.n; k++)
            ni->also.at[k] = w->also[r].at[k];
    }
    w->bg->t = t;
    w->c->bind(w->c->scan);
    for (uint32_t k = 0; k < w->n; k++) /* stands in a register until the block is done */
        if (!w->c->slotted[k])
            w->bg->ni[w->next[k]].loc.ok = false;
}

static LIdx sum_at(Work *w, uint32_t k, LV t, int64_t lane)
{
    LBuilder *b = &w->bg->L->b;
    LV i = lb_op(b, LOP_ISUB, t, w->lo, 0, 0);
    return lb_idx_term(b, lidx(k * LANES + lane), i, w->reduce.n * LANES);
}

static Eval eval_units(Work *w, LV at, int64_t offset, int lanes)
{
    Eval e = eval_make(w->bg, lanes, 1);
    LIdx i = lidx(offset);
    e.ix[0] = (Ix){ at ? lb_idx_term(&w->bg->L->b, i, at, 1) : i, true };
    return e;
}

static void load_carries(Work *w, Eval *e, LV *v, int of)
{
    LBuilder *b = &w->bg->L->b;
    LV first = w->bg->scan.reverse ? lb_op(b, LOP_ISUB, w->hi, lb_iconst(b, 1), 0, 0) : w->lo;
    for (uint32_t k = 0; k < w->n; k++) {
        Loc l = w->c->carry[k];
        l.bind = 0;
        if (w->c->slotted[k])
            l = low_at(w->bg->L, l, w->bg->axis, first);
        v[k * (uint32_t)of] = load_value(e, &l, &w->bg->g->node.at[w->leaf[k]]);
    }
    for (uint32_t k = 0; k < w->invariant.n; k++)
        eval_keep(e, w->invariant.at[k], eval_at(e, w->invariant.at[k], 1, e->ix));
}

/* Adds to the sums over units of step t. */
static void add_sums(Work *w, Eval *e, LV t, int64_t offset)
{
    Low *L = w->bg->L;
    int V = L->p->V;
    for (uint32_t k = 0; k < w->reduce.n; k++) {
        const Node *n = &w->bg->g->node.at[w->reduce.at[k]];
        LIdx i = sum_at(w, k, t, offset % LANES);
        LV v = mask_tail(L, n, eval_at(e, n->in[0], 1, e->ix), e->lanes);
        v = reduce_combine(&L->b, n, lb_load(&L->b, LOP_LD, w->sums, i, V), v);
        lb_store(&L->b, LOP_ST, w->sums, i, v, V);
    }
}

/* `count` vectors, the first one at + offset, through the steps of the block. */
static void pass_steps(Work *w, LV at, int64_t offset, int lanes, int count)
{
    Low *L = w->bg->L;
    LBuilder *b = &L->b;
    LV v[2 * MOST], in[2 * MOST], out[2 * MOST];
    Eval pre[2], e[2];
    uint32_t n = w->n * (uint32_t)count;
    for (int j = 0; j < count; j++) {
        pre[j] = eval_units(w, at, offset + j * L->p->V, lanes);
        load_carries(w, &pre[j], v + j, count);
    }
    LV t = lb_for(b, w->lo, w->hi, 1, w->bg->scan.reverse, n, v, in);
    at_step(w, t);
    low_prefetch(L, 0, 1); /* the vectors that come next, from here on in each step */
    L->ahead_units = count * L->p->V;
    for (int j = 0; j < count; j++) {
        e[j] = eval_units(w, at, offset + j * L->p->V, lanes);
        eval_copy(&e[j], &pre[j]);
        for (uint32_t k = 0; k < w->n; k++)
            eval_keep(&e[j], w->leaf[k], in[k * (uint32_t)count + (uint32_t)j]);
        for (uint32_t k = 0; k < w->node.n; k++)
            eval_node(&e[j], w->node.at[k]);
    }
    for (int j = 0; j < count; j++) {
        add_sums(w, &e[j], t, offset + j * L->p->V);
        for (uint32_t k = 0; k < w->node.n; k++)
            store_all(&e[j], w->node.at[k], eval_known(&e[j], w->node.at[k]));
        for (uint32_t k = 0; k < w->n; k++)
            out[k * (uint32_t)count + (uint32_t)j] = eval_known(&e[j], w->next[k]);
    }
    L->ahead = false;
    lb_end_for(b, n, out, v);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t carry = k / (uint32_t)count;
        if (!w->c->slotted[carry])
            store_value(&pre[k % (uint32_t)count], &w->c->carry[carry], &w->bg->g->node.at[w->leaf[carry]], v[k]);
    }
}

static void all_units(Work *w)
{
    LBuilder *b = &w->bg->L->b;
    int V = w->bg->L->p->V, count = w->n + w->invariant.n <= BOTH ? 2 : 1, per = w->reduce.n ? LANES / V : 1;
    int64_t block = (int64_t)(per > count ? per : count) * V, full = w->N / block * block;
    if (full) {
        LV at = full == block ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), block, false, 0, NULL, NULL);
        for (int64_t i = 0; i < block; i += (int64_t)count * V)
            pass_steps(w, at, i, V, count);
        if (at)
            lb_end_for(b, 0, NULL, NULL);
    }
    for (int64_t i = full; i < w->N; i += V)
        pass_steps(w, 0, i, (int)(w->N - i < V ? w->N - i : V), 1);
}

static void clear_sums(Work *w)
{
    LBuilder *b = &w->bg->L->b;
    if (!w->reduce.n)
        return;
    LV t = lb_for(b, w->lo, w->hi, 1, false, 0, NULL, NULL);
    for (uint32_t k = 0; k < w->reduce.n; k++)
        for (int64_t i = 0; i < LANES; i += b->p->V)
            lb_store(b, LOP_ST, w->sums, sum_at(w, k, t, i), reduce_neutral(b, &w->bg->g->node.at[w->reduce.at[k]]), b->p->V);
    lb_end_for(b, 0, NULL, NULL);
}

/* The numbers of the stage that are made of sums over units, and these, to their places. */
static void emit_numbers(Work *w)
{
    LowG *bg = w->bg;
    uint32_t last = 0;
    for (uint32_t k = 0; k < w->it->node.n; k++)
        last = bg->ni[w->it->node.at[k].ref].phase > last ? bg->ni[w->it->node.at[k].ref].phase : last;
    for (uint32_t p = 1; p <= last; p++)
        row_scalars(bg, w->it, p);
    for (uint32_t k = 0; k < w->it->node.n; k++) {
        Ref r = w->it->node.at[k].ref;
        Eval e = eval_make(bg, 0, bg->g->node.at[r].rank);
        if (bg->ni[r].row)
            store_all(&e, r, bg->ni[r].row);
        bg->ni[r].row = 0;
    }
}

/* Sums over units, and the numbers that are made of them, of each step. */
static void all_sums(Work *w)
{
    LowG *bg = w->bg;
    LBuilder *b = &bg->L->b;
    int V = b->p->V;
    LV acc[LANES];
    if (!w->reduce.n)
        return;
    LV t = lb_for(b, w->lo, w->hi, 1, bg->scan.reverse, 0, NULL, NULL);
    at_step(w, t);
    for (uint32_t k = 0; k < w->reduce.n; k++) {
        for (int i = 0; i < LANES / V; i++)
            acc[i] = lb_load(b, LOP_LD, w->sums, sum_at(w, k, t, i * V), V);
        bg->ni[w->reduce.at[k]].row = reduce_lanes(b, &bg->g->node.at[w->reduce.at[k]], acc, LANES / V);
    }
    emit_numbers(w);
    lb_end_for(b, 0, NULL, NULL);
}

void emit_columns(const Columns *c)
{
    Work w;
    if (!plan(&w, c))
        return;
    Low *L = c->bg->L;
    LBuilder *b = &L->b;
    LV steps = lb_iconst(b, STEPS), all = lb_op(b, LOP_ISUB, c->hi, c->lo, 0, 0);
    L->pos++;
    save_places(&w);
    if (w.reduce.n)
        w.sums = low_buf(L, "sums", LB_LOCAL, LE_F, b->fn, 0, (int64_t)STEPS * LANES * w.reduce.n, 0);
    L->idx[L->bx] = lb_for(b, L->blo, L->bhi, 1, false, 0, NULL, NULL);
    LV count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, all, lb_iconst(b, STEPS - 1), 0, 0), steps, 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), count, 1, c->bg->scan.reverse, 0, NULL, NULL);
    w.lo = lb_op(b, LOP_IADD, c->lo, lb_op(b, LOP_IMUL, k, steps, 0, 0), 0, 0);
    w.hi = lb_op(b, LOP_IMIN, c->hi, lb_op(b, LOP_IADD, w.lo, steps, 0, 0), 0, 0);
    for (uint32_t i = 0; i < w.number.n; i++) {
        Eval e = eval_make(c->bg, 0, 0);
        c->bg->ni[w.number.at[i]].row = eval_at(&e, w.number.at[i], 0, e.ix);
    }
    clear_sums(&w);
    all_units(&w);
    all_sums(&w);
    for (uint32_t i = 0; i < w.number.n; i++)
        c->bg->ni[w.number.at[i]].row = 0;
    lb_end_for(b, 0, NULL, NULL);
    lb_end_for(b, 0, NULL, NULL);
    L->idx[L->bx] = 0;
}
