/* lower_loops: row stages. One loop over this thread's rows; in it vector loops over features, level by level, with scalars
   between them.
   before:  run row <B> : %7 %8 %9 | %12 %13      (%8 = mul %7 %7, %9 = sum %8 {0}, %12 = sqrt %9, %13 = div %7 %12)
   after:   for rows {  for features { %7 -> local; acc = %8 + acc }   hsum; sqrt   for features { st (ld local) / sqrt }  }
   Matrices have loops over their rows (lower_sweep.c). Sums over features use 16 lanes and one fixed tree whatever V is, so that
   results do not depend on V. Where all values of a stage are scalars, dense in memory, rows go into the lanes instead. */
#include "passes/lower_int.h"

void emit_rows(LowG *lg, uint32_t axes, void (*body)(LowG *, void *), void *arg)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    uint32_t open = 0, opened[MAX_AXES];
    for (uint32_t a = 0; a < L->m->naxis; a++) {
        if (a == L->bx || !(axes & AX(a)) || L->idx[a])
            continue;
        L->idx[a] = lb_for(b, axis_lo(L, a), axis_hi(L, a), 1, false, 0, NULL, NULL);
        opened[open++] = a;
    }
    bool rows = (axes & AX(L->bx)) && !L->idx[L->bx];
    if (rows)
        L->idx[L->bx] = lb_for(b, L->blo, L->bhi, 1, false, 0, NULL, NULL);
    body(lg, arg);
    if (rows) {
        lb_end_for(b, 0, NULL, NULL);
        L->idx[L->bx] = 0;
    }
    while (open-- > 0) {
        lb_end_for(b, 0, NULL, NULL);
        L->idx[opened[open]] = 0;
    }
}

/* *ix gets their indices. */
void open_outer(LowG *lg, Ix *ix, uint32_t rank, const int32_t *dim)
{
    LBuilder *b = &lg->L->b;
    for (uint32_t d = 0; d + 1 < rank; d++) {
        ix[d] = (Ix){ lidx(0), false };
        if (dim[d] > 1)
            ix[d].i = lb_idx_term(b, lidx(0), lb_for(b, lb_iconst(b, 0), lb_iconst(b, dim[d]), 1, false, 0, NULL, NULL), 1);
    }
}

void close_outer(LowG *lg, uint32_t rank, const int32_t *dim)
{
    for (uint32_t d = 0; d + 1 < rank; d++)
        if (dim[d] > 1)
            lb_end_for(&lg->L->b, 0, NULL, NULL);
}

/* ---- a fused vector loop ------------------------------------------------------------------------------------------------ */

void store_all(Eval *e, Ref r, LV v)
{
    const NodeInfo *ni = &e->lg->ni[r];
    const Node *n = &e->lg->g->node.at[r];
    if (ni->loc.ok)
        store_value(e, &ni->loc, n, v);
    for (uint32_t k = 0; k < ni->also.n; k++)
        store_value(e, &ni->also.at[k], n, v);
}

/* The first `lanes` lanes of v, the neutral element in the others. */
LV mask_tail(Low *L, const Node *reduce, LV v, int lanes)
{
    LBuilder *b = &L->b;
    if (lanes == L->p->V)
        return v;
    LV in = lb_op(b, LOP_VLT, lb_op(b, LOP_VIOTA, 0, 0, 0, 0), lb_op(b, LOP_VCONST, 0, 0, 0, lanes), 0, 0);
    return lb_op(b, LOP_SEL, in, v, reduce_neutral(b, reduce), 0);
}

/* Adds the operand of a sum over the rows of a matrix to `held`, else to what its place holds. */
static void add_column(Eval *e, Ref r, LV *held)
{
    LowG *lg = e->lg;
    const Node *n = &lg->g->node.at[r], *o = &lg->g->node.at[n->in[0]];
    uint32_t mask = node_attr(lg->g, r)[1], rank = 0;
    Eval to = eval_make(lg, e->lanes, n->rank);
    for (uint32_t d = 0; d < o->rank; d++)
        if (!(mask & 1u << d))
            to.ix[rank++] = e->ix[d];
    LV v = eval_at(e, n->in[0], o->rank, e->ix);
    if (held)
        *held = reduce_combine(&lg->L->b, n, *held, v);
    else
        store_value(&to, &lg->ni[r].loc, n, reduce_combine(&lg->L->b, n, load_value(&to, &lg->ni[r].loc, n), v));
}

void fused_block(LowG *lg, Fused *f, const Ix *outer, uint32_t rank, LV at, int64_t offset, int lanes, LV *acc)
{
    Low *L = lg->L;
    Eval e = eval_make(lg, lanes, rank);
    for (uint32_t d = 0; d + 1 < rank; d++)
        e.ix[d] = outer[d];
    if (rank) {
        LIdx i = lidx(offset);
        e.ix[rank - 1] = (Ix){ at ? lb_idx_term(&L->b, i, at, 1) : i, true };
    }
    for (uint32_t k = 0; k < f->node.n; k++)
        eval_node(&e, f->node.at[k]);
    for (uint32_t k = 0; k < f->reduce.n; k++) {
        const Node *n = &lg->g->node.at[f->reduce.at[k]];
        LV v = mask_tail(L, n, eval_at(&e, n->in[0], rank, e.ix), lanes);
        acc[k] = reduce_combine(&L->b, n, acc[k], v);
    }
    for (uint32_t k = 0; k < f->column.n; k++)
        add_column(&e, f->column.at[k], f->held ? &f->held[k] : NULL);
    for (uint32_t k = 0; k < f->node.n; k++)
        store_all(&e, f->node.at[k], e.memo[f->node.at[k]]);
}

static void finish_reductions(LowG *lg, Fused *f)
{
    Low *L = lg->L;
    for (uint32_t k = 0; k < f->reduce.n; k++) {
        Ref r = f->reduce.at[k];
        lg->ni[r].row = reduce_lanes(&L->b, &lg->g->node.at[r], f->acc + k * LANES, LANES / L->p->V);
    }
}

/* Of operations that wait for one another, in cycles of ops.def: what a processor that looks some 300 instructions ahead cannot fill
   with the next vector. From CALL on an operation is a call, which nothing is put between. */
enum { FEW = 3 };
enum { LONG_CHAIN = 21, CALL = 20, CALLS = 10000 };

/* The longest chain from the loads of a vector to the value of r; done: by node, 1 + that. */
static int chain_cost(LowG *lg, const Fused *f, Ref r, int *done)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    const Node *x = &lg->g->node.at[r];
    int cost = op_info[x->op].cost, most = 0;
    bool here = lg->ni[r].kind == NK_INLINE || lg->ni[r].kind == NK_ACCESS;
    for (uint32_t k = 0; k < f->node.n && !here; k++)
        here = f->node.at[k] == r;
    if (done[r] || !here)
        return done[r] ? done[r] - 1 : 0;
    for (uint32_t k = 0; k < n; k++) {
        int c = chain_cost(lg, f, in[k], done);
        most = c > most ? c : most;
    }
    if (cost >= CALL && x->op != OP_NOISE)
        cost = CALLS;
    done[r] = 1 + (most < CALLS ? most + cost : most);
    return done[r] - 1;
}

static bool is_long_chain(LowG *lg, const Fused *f)
{
    int *done = NEW_N(lg->L->arena, int, lg->g->node.n), most = 0;
    for (uint32_t k = 0; k < f->node.n + f->reduce.n; k++) {
        Ref r = k < f->node.n ? f->node.at[k] : lg->g->node.at[f->reduce.at[k - f->node.n]].in[0];
        int c = chain_cost(lg, f, r, done);
        most = c > most ? c : most;
    }
    return lg->L->o.registers >= 32 && !lg->L->o.f64 && most > LONG_CHAIN && most < CALLS;
}

/* One vector after the other from index `at` + offset on, `left` elements of them; sub-block s of all goes to accumulators s mod per. */
static void fused_vectors(LowG *lg, Fused *f, const Ix *outer, uint32_t rank, LV at, int64_t offset, int64_t left)
{
    int V = lg->L->p->V, nr = (int)f->reduce.n, per = nr ? LANES / V : 1;
    LV col[32];
    for (int64_t s = 0; s * V < left; s++) {
        for (int k = 0; k < nr; k++)
            col[k] = f->acc[k * LANES + s % per];
        fused_block(lg, f, outer, rank, at, offset + s * V, (int)(left - s * V < V ? left - s * V : V), col);
        for (int k = 0; k < nr; k++)
            f->acc[k * LANES + s % per] = col[k];
    }
}

/* The accumulators one after the other, as carries are. */
static void list_accumulators(Fused *f, int per, LV *list, bool back)
{
    for (uint32_t k = 0; k < f->reduce.n; k++)
        for (int s = 0; s < per; s++) {
            LV *acc = &f->acc[k * LANES + (uint32_t)s], *at = &list[k * (uint32_t)per + (uint32_t)s];
            *(back ? acc : at) = *(back ? at : acc);
        }
}

/* In a program of one row, so few vectors that their code may stand one after the other: loads then find what was just stored. */
static bool is_few(const Low *L, int64_t F, uint32_t rank, const int32_t *dim)
{
    int64_t outer = 1;
    for (uint32_t d = 0; d + 1 < rank; d++)
        outer *= dim[d];
    return (L->o.one_row || L->o.one_step) && outer == 1 && L->p->V > 1 && F <= FEW * L->p->V;
}

/* Where one vector's result waits long for its beginning, two vectors are computed in turns. few: none is in a loop. */
void fused_row(LowG *lg, Fused *f, const Ix *outer, uint32_t rank, int64_t F, bool few)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int V = L->p->V, nr = (int)f->reduce.n, per = nr ? LANES / V : 1;
    int64_t block = (int64_t)per * V;
    bool two = F >= 2 * block && is_long_chain(lg, f);
    int64_t step = two ? 2 * block : block, full = few ? 0 : F / step * step;
    if (full) {
        LV list[32 * LANES], inner[32 * LANES];
        uint32_t n = (uint32_t)(nr * per);
        list_accumulators(f, per, list, false);
        LV at = full == step ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), step, false, n, list, inner);
        if (at)
            list_accumulators(f, per, inner, true);
        uint32_t first = b->f->inst.n;
        fused_vectors(lg, f, outer, rank, at, 0, block);
        uint32_t second = b->f->inst.n;
        if (two) {
            fused_vectors(lg, f, outer, rank, at, block, block);
            lb_interleave(b, first, second);
        }
        list_accumulators(f, per, inner, false);
        if (at) {
            lb_end_for(b, n, inner, list);
            list_accumulators(f, per, list, true);
        }
    }
    fused_vectors(lg, f, outer, rank, 0, full, F - full);
}

static void fused_loop(LowG *lg, Fused *f, uint32_t rank, const int32_t *dim)
{
    LBuilder *b = &lg->L->b;
    int nr = (int)f->reduce.n, per = nr ? LANES / lg->L->p->V : 1;
    Ix outer[MAX_RANK] = { 0 };
    RefVec held = hold_scalars(lg, f);
    for (int k = 0; k < nr; k++)
        for (int s = 0; s < per; s++)
            f->acc[k * LANES + s] = reduce_neutral(b, &lg->g->node.at[f->reduce.at[k]]);
    open_outer(lg, outer, rank, dim);
    fused_row(lg, f, outer, rank, dim[rank - 1], is_few(lg->L, dim[rank - 1], rank, dim));
    close_outer(lg, rank, dim);
    release_scalars(lg, &held);
    finish_reductions(lg, f);
}

/* ---- loops of one node ---------------------------------------------------------------------------------------------------- */

/* sum or amax over some dimensions: loops over the kept ones; lanes over the last dimension, kept or summed. */
typedef struct {
    const Node *n, *o;
    uint32_t mask, rank;
    Ix ix[MAX_RANK];
} Nest;

static LV nest_value(LowG *lg, Nest *t, int lanes)
{
    Eval e = eval_make(lg, lanes, t->o->rank);
    memcpy(e.ix, t->ix, sizeof e.ix);
    return eval_at(&e, t->n->in[0], t->o->rank, e.ix);
}

/* Accumulates over the summed dimensions from d on, one chain a loop. */
static LV nest_chain(LowG *lg, Nest *t, uint32_t d, int lanes, LV acc)
{
    LBuilder *b = &lg->L->b;
    uint32_t end = t->o->rank - (lanes > 0); /* the lanes' own dimension has no loop here */
    while (d < end && !(t->mask & 1u << d))
        d++;
    if (d >= end)
        return reduce_combine(b, t->n, acc, nest_value(lg, t, lanes));
    LV inner, next, result;
    LV i = lb_for(b, lb_iconst(b, 0), lb_iconst(b, t->o->dim[d]), 1, false, 1, &acc, &inner);
    t->ix[d] = (Ix){ lb_idx_term(b, lidx(0), i, 1), false };
    next = nest_chain(lg, t, d + 1, lanes, inner);
    lb_end_for(b, 1, &next, &result);
    return result;
}

/* All of the last dimension is summed too: LANES accumulators a chain of the others. */
static LV nest_row(LowG *lg, Nest *t)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int V = L->p->V, per = LANES / V;
    uint32_t last = t->o->rank - 1;
    int64_t F = t->o->dim[last], full = F / LANES * LANES;
    LV acc[LANES], inner[LANES], next[LANES];
    uint32_t open = 0;
    for (int s = 0; s < per; s++)
        acc[s] = reduce_neutral(b, t->n);
    for (uint32_t d = 0; d < last; d++) {
        if (!(t->mask & 1u << d))
            continue;
        LV i = lb_for(b, lb_iconst(b, 0), lb_iconst(b, t->o->dim[d]), 1, false, (uint32_t)per, acc, inner);
        t->ix[d] = (Ix){ lb_idx_term(b, lidx(0), i, 1), false };
        memcpy(acc, inner, sizeof acc);
        open++;
    }
    if (full) {
        LV at = lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), LANES, false, (uint32_t)per, acc, inner);
        for (int s = 0; s < per; s++) {
            t->ix[last] = (Ix){ lb_idx_term(b, lidx((int64_t)s * V), at, 1), true };
            next[s] = reduce_combine(b, t->n, inner[s], nest_value(lg, t, V));
        }
        lb_end_for(b, (uint32_t)per, next, acc);
    }
    for (int64_t s = 0; full + s * V < F; s++) {
        int64_t left = F - full - s * V;
        t->ix[last] = (Ix){ lidx(full + s * V), true };
        acc[s] = reduce_combine(b, t->n, acc[s], mask_tail(L, t->n, nest_value(lg, t, (int)(left < V ? left : V)), (int)(left < V ? left : V)));
    }
    while (open-- > 0) {
        LV result[LANES];
        lb_end_for(b, (uint32_t)per, acc, result);
        memcpy(acc, result, sizeof acc);
    }
    return reduce_lanes(b, t->n, acc, per);
}

static void nest_store(LowG *lg, Ref r, Nest *t, LV v, int lanes)
{
    Eval e = eval_make(lg, lanes, t->n->rank);
    uint32_t k = 0;
    for (uint32_t d = 0; d < t->o->rank; d++)
        if (!(t->mask & 1u << d))
            e.ix[k++] = t->ix[d];
    store_all(&e, r, v);
    if (is_scalar(t->n))
        lg->ni[r].row = v;
}

static void reduce_nest(LowG *lg, Ref r)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[r], *o = &lg->g->node.at[n->in[0]];
    Nest t = { .n = n, .o = o, .mask = node_attr(lg->g, r)[1], .rank = o->rank };
    uint32_t last = o->rank - 1, open = 0;
    bool sum_last = t.mask & 1u << last;
    /* a last dimension of one element is no vector: the result may be one value, which all lanes have to hold */
    bool vector = (sum_last || o->dim[last] > 1) && contiguous(lg, n->in[0], o->rank, last);
    for (uint32_t d = 0; d < last + !vector; d++) {
        t.ix[d] = (Ix){ lidx(0), false };
        if (t.mask & 1u << d || o->dim[d] == 1)
            continue;
        t.ix[d].i = lb_idx_term(b, lidx(0), lb_for(b, lb_iconst(b, 0), lb_iconst(b, o->dim[d]), 1, false, 0, NULL, NULL), 1);
        open++;
    }
    if (!vector) {
        nest_store(lg, r, &t, nest_chain(lg, &t, 0, 0, reduce_neutral(b, n)), 0);
    } else if (sum_last) {
        nest_store(lg, r, &t, nest_row(lg, &t), 0);
    } else {
        int V = L->p->V;
        int64_t F = o->dim[last], full = F / V * V;
        if (full) {
            LV at = full == V ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), V, false, 0, NULL, NULL);
            t.ix[last] = (Ix){ at ? lb_idx_term(b, lidx(0), at, 1) : lidx(0), true };
            nest_store(lg, r, &t, nest_chain(lg, &t, 0, V, reduce_neutral(b, n)), V);
            if (at)
                lb_end_for(b, 0, NULL, NULL);
        }
        if (F % V) {
            t.ix[last] = (Ix){ lidx(full), true };
            nest_store(lg, r, &t, nest_chain(lg, &t, 0, (int)(F % V), reduce_neutral(b, n)), (int)(F % V));
        }
    }
    while (open-- > 0)
        lb_end_for(b, 0, NULL, NULL);
}

/* One element at a time, for what no vector can read. */
static void scalar_nest(LowG *lg, Ref r)
{
    LBuilder *b = &lg->L->b;
    const Node *n = &lg->g->node.at[r];
    Eval e = eval_make(lg, 0, n->rank);
    for (uint32_t d = 0; d < n->rank; d++)
        e.ix[d] = (Ix){ lb_idx_term(b, lidx(0), lb_for(b, lb_iconst(b, 0), lb_iconst(b, n->dim[d]), 1, false, 0, NULL, NULL), 1), false };
    store_all(&e, r, eval_node(&e, r));
    for (uint32_t d = 0; d < n->rank; d++)
        lb_end_for(b, 0, NULL, NULL);
}

/* The largest value seen by each lane, and where it was first. */
typedef struct {
    const Node *n, *o;
    Eval e; /* of the operand */
    LV best[2];
} Search;

/* The value at the search's index, `lanes` of them (0: one), which is element i, or where its lanes are elements, i and its followers. */
static void search_value(LowG *lg, Search *s, LV i, int lanes, bool along, const LV *in, LV *out)
{
    LBuilder *b = &lg->L->b;
    s->e.lanes = lanes;
    s->e.memo = NEW_N(lg->L->arena, LV, lg->g->node.n + 1);
    LV v = eval_at(&s->e, s->n->in[0], s->o->rank, s->e.ix), at = lb_op(b, LOP_VSPLAT, i, 0, 0, 0);
    if (along) {
        v = mask_tail(lg->L, s->n, v, lanes);
        at = lb_op(b, LOP_VADD, at, lb_op(b, LOP_VIOTA, 0, 0, 0, 0), 0, 0);
    }
    LV more = lb_op(b, LOP_LT, in[0], v, 0, 0);
    out[0] = lb_op(b, LOP_SEL, more, v, in[0], 0);
    out[1] = lb_op(b, LOP_VSEL, more, at, in[1], 0);
}

/* Along the last dimension in vectors: of lanes that have the largest, the first element. Indices are exact floats below 2^24. */
static LV search_lanes(LowG *lg, Search *s)
{
    LBuilder *b = &lg->L->b;
    int V = lg->L->p->V;
    uint32_t last = s->o->rank - 1u;
    int64_t F = s->o->dim[last], full = F / V * V;
    LV in[2], next[2], none = lb_fconst(b, -HUGE_VAL);
    if (full) {
        LV at = lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), V, false, 2, s->best, in);
        s->e.ix[last] = (Ix){ lb_idx_term(b, lidx(0), at, 1), true };
        search_value(lg, s, at, V, true, in, next);
        lb_end_for(b, 2, next, s->best);
    }
    if (F % V) {
        s->e.ix[last] = (Ix){ lidx(full), true };
        search_value(lg, s, lb_iconst(b, full), (int)(F % V), true, s->best, next);
        memcpy(s->best, next, sizeof next);
    }
    LV largest = lb_op(b, LOP_EQ, s->best[0], lb_op(b, LOP_HMAX, s->best[0], 0, 0, 0), 0, 0);
    LV back = lb_op(b, LOP_NEG, lb_op(b, LOP_VTOF, s->best[1], 0, 0, 0), 0, 0, 0);
    LV first = lb_op(b, LOP_HMAX, lb_op(b, LOP_SEL, largest, back, none, 0), 0, 0, 0);
    return lb_op(b, LOP_FTOV, lb_op(b, LOP_NEG, first, 0, 0, 0), 0, 0, 0);
}

/* One element after the other, in `lanes` lanes of their own (0: one), to a place of the result. */
static void search_chain(LowG *lg, Search *s, Ref r, Ix last, int lanes)
{
    LBuilder *b = &lg->L->b;
    uint32_t dim = s->n->attr, k = 0;
    LV in[2], next[2], out[2];
    if (lanes)
        s->e.ix[s->o->rank - 1u] = last;
    LV i = lb_for(b, lb_iconst(b, 0), lb_iconst(b, s->o->dim[dim]), 1, false, 2, s->best, in);
    s->e.ix[dim] = (Ix){ lb_idx_term(b, lidx(0), i, 1), false };
    search_value(lg, s, i, lanes, false, in, next);
    lb_end_for(b, 2, next, out);
    Eval to = eval_make(lg, lanes, s->n->rank);
    for (uint32_t d = 0; d < s->o->rank; d++)
        if (d != dim)
            to.ix[k++] = s->e.ix[d];
    store_all(&to, r, out[1]);
    if (is_scalar(s->n))
        lg->ni[r].row = out[1];
}

/* The lanes are elements that are compared, or results, where the operand is read in memory order so. */
static void argmax_nest(LowG *lg, Ref r)
{
    LBuilder *b = &lg->L->b;
    const Node *n = &lg->g->node.at[r], *o = &lg->g->node.at[n->in[0]];
    uint32_t dim = n->attr, last = o->rank - 1u, k = 0;
    bool vector = argmax_in_lanes(lg, r), along = vector && dim == last;
    Search s = { n, o, eval_make(lg, 0, o->rank), { lb_fconst(b, -HUGE_VAL), lb_op(b, LOP_VCONST, 0, 0, 0, 0) } };
    for (uint32_t d = 0; d < o->rank; d++)
        if (d != dim && o->dim[d] > 1 && !(vector && d == last)) /* the index of one element is read after its nest */
            s.e.ix[d] = (Ix){ lb_idx_term(b, lidx(0), lb_for(b, lb_iconst(b, 0), lb_iconst(b, o->dim[d]), 1, false, 0, NULL, NULL), 1), false };
    if (along) {
        LV v = search_lanes(lg, &s);
        Eval to = eval_make(lg, 0, n->rank);
        for (uint32_t d = 0; d < last; d++)
            to.ix[k++] = s.e.ix[d];
        store_all(&to, r, v);
        if (is_scalar(n))
            lg->ni[r].row = v;
    } else if (vector) {
        int V = lg->L->p->V;
        int64_t F = o->dim[last], full = F / V * V;
        if (full) {
            LV at = lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), V, false, 0, NULL, NULL);
            search_chain(lg, &s, r, (Ix){ lb_idx_term(b, lidx(0), at, 1), true }, V);
            lb_end_for(b, 0, NULL, NULL);
        }
        if (F % V)
            search_chain(lg, &s, r, (Ix){ lidx(full), true }, (int)(F % V));
    } else {
        search_chain(lg, &s, r, (Ix){ lidx(0), false }, 0);
    }
    for (uint32_t d = 0; d < o->rank; d++)
        if (d != dim && o->dim[d] > 1 && !(vector && d == last))
            lb_end_for(b, 0, NULL, NULL);
}

/* Part k of a concat, at its offset in the concat's place, unless it was computed there. */
static void concat_nest(LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    uint32_t count, dim = n->attr;
    const Ref *part = node_ext(lg->g, r, &count);
    int64_t at = 0;
    for (uint32_t k = 0; k < count; k++) {
        for (uint32_t i = 0; i <= lg->ni[r].also.n && lg->ni[part[k]].whole != r; i++) {
            Loc to = i ? lg->ni[r].also.at[i - 1] : lg->ni[r].loc;
            to.foff += at * to.fs[dim];
            to.spare = false; /* the next part may stand there already */
            copy_loops(lg, part[k], &to);
        }
        at += lg->g->node.at[part[k]].dim[dim];
    }
}

/* Stores value r (computed or loaded) to a place, for the current row. */
static void copy_block(LowG *lg, Ref r, const Loc *to, const Ix *outer, uint32_t rank, LV at, int64_t offset, int lanes)
{
    Eval e = eval_make(lg, lanes, rank);
    for (uint32_t d = 0; d + 1 < rank; d++)
        e.ix[d] = outer[d];
    if (rank) {
        LIdx i = lidx(offset);
        e.ix[rank - 1] = (Ix){ at ? lb_idx_term(&lg->L->b, i, at, 1) : i, lanes > 0 };
    }
    store_value(&e, to, &lg->g->node.at[r], eval_at(&e, r, rank, e.ix));
}

static bool copy_is_contiguous(LowG *lg, Ref r, const Loc *to)
{
    const Node *n = &lg->g->node.at[r];
    if (to->fs[n->rank - 1] != 1)
        return false;
    if (lg->ni[r].kind == NK_ACCESS) {
        const Node *c = &lg->g->node.at[n->in[0]];
        Loc l = low_view(lg, r);
        return is_scalar(c) || (l.ok && (l.fs[n->rank - 1] == 1 || l.fs[n->rank - 1] == 0));
    }
    if (n->op == OP_STEP || n->op == OP_CAPTURE) { /* perhaps of a view outside */
        Loc l = low_loc(lg, r);
        return !l.ok || l.fs[n->rank - 1] == 1 || l.fs[n->rank - 1] == 0;
    }
    return true;
}

void copy_loops(LowG *lg, Ref r, const Loc *to)
{
    LBuilder *b = &lg->L->b;
    const Node *n = &lg->g->node.at[r];
    Ix outer[MAX_RANK] = { 0 };
    if (is_scalar(n)) {
        Ix zero[MAX_RANK];
        for (uint32_t d = 0; d < n->rank; d++)
            zero[d] = (Ix){ lidx(0), false };
        copy_block(lg, r, to, zero, n->rank, 0, 0, 0);
        return;
    }
    bool vector = copy_is_contiguous(lg, r, to);
    int V = vector ? lg->L->p->V : 1;
    int64_t F = n->dim[n->rank - 1], full = F / V * V;
    open_outer(lg, outer, n->rank, n->dim);
    if (full) {
        LV at = full == V ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), V, false, 0, NULL, NULL);
        copy_block(lg, r, to, outer, n->rank, at, 0, vector ? V : 0);
        if (at)
            lb_end_for(b, 0, NULL, NULL);
    }
    if (F % V)
        copy_block(lg, r, to, outer, n->rank, 0, full, (int)(F % V));
    close_outer(lg, n->rank, n->dim);
}

typedef struct {
    Ref r;
    const Loc *to;
} Copy;
static void copy_row(LowG *lg, void *arg)
{
    Copy *c = arg;
    copy_loops(lg, c->r, c->to);
}

void emit_copy(LowG *lg, Ref r, const Loc *to)
{
    Copy c = { r, to };
    uint32_t axes = to->axes;
    for (uint32_t k = 0; k < lg->L->m->naxis; k++)
        axes &= to->at[k] ? ~AX(k) : axes;
    emit_rows(lg, axes, copy_row, &c);
}

/* ---- a stage ---------------------------------------------------------------------------------------------------------------- */

static uint32_t last_phase(const LowG *lg, const Stage *it)
{
    uint32_t p = 0;
    for (uint32_t k = 0; k < it->node.n; k++)
        if (lg->ni[it->node.at[k].ref].phase > p)
            p = lg->ni[it->node.at[k].ref].phase;
    return p;
}

static bool in_vector_loop(const LowG *lg, Ref r)
{
    const NodeInfo *ni = &lg->ni[r];
    return !ni->nest && !ni->scalar_loop && !is_scalar(&lg->g->node.at[r]);
}

static bool is_full_reduce(const LowG *lg, Ref r)
{
    int op = lg->g->node.at[r].op;
    return (op == OP_SUM || op == OP_AMAX) && !lg->ni[r].nest;
}

/* All vector loops of a phase: nodes of equal dimensions share one. */
static void emit_phase(LowG *lg, const Stage *it, uint32_t phase)
{
    Arena *a = lg->L->arena;
    bool *done = NEW_N(a, bool, it->node.n + 1);
    for (uint32_t i = 0; i < it->node.n; i++) /* these have loops of their own */
        done[i] = lg->ni[it->node.at[i].ref].sweep;
    for (uint32_t i = 0; i < it->node.n; i++) {
        Ref r = it->node.at[i].ref;
        bool red = is_full_reduce(lg, r);
        if (done[i] || (red ? lg->ni[r].loop_phase != phase : !in_vector_loop(lg, r) || lg->ni[r].phase != phase))
            continue;
        const Node *shape = red ? &lg->g->node.at[lg->g->node.at[r].in[0]] : &lg->g->node.at[r];
        Fused *f = NEW(a, Fused);
        for (uint32_t k = i; k < it->node.n; k++) {
            Ref q = it->node.at[k].ref;
            if (done[k])
                continue;
            if (is_full_reduce(lg, q) && lg->ni[q].loop_phase == phase && f->reduce.n < 31 &&
                same_dims(&lg->g->node.at[lg->g->node.at[q].in[0]], shape)) {
                VEC_PUSH(a, f->reduce) = q;
                done[k] = true;
            } else if (!is_full_reduce(lg, q) && in_vector_loop(lg, q) && lg->ni[q].phase == phase &&
                       same_dims(&lg->g->node.at[q], shape)) {
                VEC_PUSH(a, f->node) = q;
                done[k] = true;
            }
        }
        fused_loop(lg, f, shape->rank, shape->dim);
    }
    emit_sweeps(lg, it, phase);
    for (uint32_t i = 0; i < it->node.n; i++) {
        Ref r = it->node.at[i].ref;
        const NodeInfo *ni = &lg->ni[r];
        if (ni->loop_phase != phase || !(ni->nest || ni->scalar_loop))
            continue;
        int op = lg->g->node.at[r].op;
        if (op == OP_CONCAT)
            concat_nest(lg, r);
        else if (op == OP_ARGMAX)
            argmax_nest(lg, r);
        else if (op == OP_DOT)
            matrix_nest(lg, r);
        else if (ni->nest)
            reduce_nest(lg, r);
        else
            scalar_nest(lg, r);
    }
}

/* A scalar that others of its row read from memory is stored at once; one that goes where a carry stands (which may still be
   read) and what nobody reads from memory, when the row is complete. */
static bool stored_at_once(const LowG *lg, Ref r)
{
    if (!lg->ni[r].scratch)
        return false;
    for (uint32_t i = 0; lg->ni[r].mem && i < lg->g->root.n; i++)
        if (lg->g->root.at[i].kind == ROOT_NEXT && lg->g->root.at[i].ref == r)
            return false;
    return true;
}

void row_scalars(LowG *lg, const Stage *it, uint32_t phase)
{
    for (uint32_t k = 0; k < it->node.n; k++) {
        Ref r = it->node.at[k].ref;
        const Node *n = &lg->g->node.at[r];
        NodeInfo *ni = &lg->ni[r];
        if (!is_scalar(n) || ni->nest || ni->scalar_loop || is_full_reduce(lg, r) || ni->phase != phase)
            continue;
        Eval e = eval_make(lg, 0, n->rank);
        ni->row = eval_node(&e, r);
        if (stored_at_once(lg, r))
            store_all(&e, r, ni->row);
    }
}

/* Sums of the phases so far that others of the row read from memory: `stored`, by place in the stage, grows. */
static void store_reductions(LowG *lg, const Stage *it, bool *stored)
{
    for (uint32_t k = 0; k < it->node.n; k++) {
        Ref r = it->node.at[k].ref;
        NodeInfo *ni = &lg->ni[r];
        if (stored[k] || !ni->row || !is_full_reduce(lg, r) || !stored_at_once(lg, r))
            continue;
        Eval e = eval_make(lg, 0, lg->g->node.at[r].rank);
        store_all(&e, r, ni->row);
        stored[k] = true;
    }
}

static void row_body(LowG *lg, void *arg)
{
    const Stage *it = arg;
    bool *stored = NEW_N(lg->L->arena, bool, it->node.n);
    uint32_t last = last_phase(lg, it);
    for (uint32_t k = 0; k < it->node.n; k++)
        lg->ni[it->node.at[k].ref].row = 0;
    if (lg->by_row) /* the next row is the next step's */
        low_prefetch(lg->L, lb_op(&lg->L->b, LOP_DIM, 0, 0, 0, lg->L->bx), lg->scan.reverse ? -1 : 1);
    else
        low_prefetch(lg->L, 0, lg->scan.reverse && low_single_row(lg->L) ? -1 : 1);
    for (uint32_t p = 0; p <= last; p++) {
        lg->L->level = p;
        row_scalars(lg, it, p);
        emit_phase(lg, it, p);
        store_reductions(lg, it, stored);
    }
    lg->L->ahead = false;
    for (uint32_t k = 0; k < it->node.n; k++) { /* scalars last: a carry may be written where it was read */
        Ref r = it->node.at[k].ref;
        NodeInfo *ni = &lg->ni[r];
        if (!is_scalar(&lg->g->node.at[r]) || ni->nest || stored[k] || (stored_at_once(lg, r) && !is_full_reduce(lg, r)))
            continue;
        Eval e = eval_make(lg, 0, lg->g->node.at[r].rank);
        store_all(&e, r, ni->row);
    }
    for (uint32_t k = 0; k < it->node.n; k++)
        lg->ni[it->node.at[k].ref].row = 0;
}

/* ---- rows in the lanes -------------------------------------------------------------------------------------------------- */

static bool lane_place(const LowG *lg, Ref r)
{
    Loc l = low_loc((LowG *)lg, r);
    return !l.ok || !(l.axes & AX(lg->L->bx)) || l.ld == 1;
}

/* All values are scalars in memory without gaps: neighbouring rows go into neighbouring lanes. */
static bool lanes_are_rows(LowG *lg, const Stage *it)
{
    if (!(it->axes & AX(lg->L->bx)) || lg->L->idx[lg->L->bx])
        return false;
    for (uint32_t k = 0; k < it->node.n; k++) {
        Ref r = it->node.at[k].ref;
        const Node *n = &lg->g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(lg->g, r, &in);
        if (!is_scalar(n) || lg->ni[r].nest || lg->ni[r].scalar_loop || is_full_reduce(lg, r) || n->op == OP_GATHER || !lane_place(lg, r))
            return false;
        for (uint32_t i = 0; i < lg->ni[r].also.n; i++)
            if ((lg->ni[r].also.at[i].axes & AX(lg->L->bx)) && lg->ni[r].also.at[i].ld != 1)
                return false;
        for (uint32_t i = 0; i < count; i++)
            if (!is_scalar(&lg->g->node.at[in[i]]) || !lane_place(lg, in[i]) || lg->ni[in[i]].kind == NK_ACCESS)
                return false;
    }
    for (Ref r = 1; r < lg->g->node.n; r++) /* operands of inlined nodes */
        if (lg->ni[r].kind == NK_INLINE && is_scalar(&lg->g->node.at[r])) {
            const Ref *in;
            uint32_t count = node_inputs(lg->g, r, &in);
            for (uint32_t i = 0; i < count; i++)
                if (!lane_place(lg, in[i]) || lg->ni[in[i]].kind == NK_ACCESS)
                    return false;
        }
    return true;
}

static void lane_block(LowG *lg, const Stage *it, int lanes)
{
    Eval e = eval_make(lg, lanes, 0);
    e.lane_rows = true;
    for (uint32_t d = 0; d < MAX_RANK; d++)
        e.ix[d] = (Ix){ lidx(0), false };
    for (uint32_t k = 0; k < it->node.n; k++)
        eval_node(&e, it->node.at[k].ref);
    for (uint32_t k = 0; k < it->node.n; k++)
        store_all(&e, it->node.at[k].ref, e.memo[it->node.at[k].ref]);
}

static void lane_body(LowG *lg, void *arg)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int V = L->p->V;
    LV full = lb_op(b, LOP_ISUB, L->bhi, L->blo, 0, 0);
    full = lb_op(b, LOP_IMUL, lb_op(b, LOP_IDIV, full, lb_iconst(b, V), 0, 0), lb_iconst(b, V), 0, 0);
    LV mid = lb_op(b, LOP_IADD, L->blo, full, 0, 0);
    L->idx[L->bx] = lb_for(b, L->blo, mid, V, false, 0, NULL, NULL);
    lane_block(lg, arg, V);
    lb_end_for(b, 0, NULL, NULL);
    L->idx[L->bx] = lb_for(b, mid, L->bhi, 1, false, 0, NULL, NULL);
    lane_block(lg, arg, 0);
    lb_end_for(b, 0, NULL, NULL);
    L->idx[L->bx] = 0;
}

void emit_row_stage(LowG *lg, const Stage *it)
{
    if (lanes_are_rows(lg, it))
        emit_rows(lg, it->axes & ~AX(lg->L->bx), lane_body, (void *)it);
    else {
        matrix_copies(lg, it);
        emit_rows(lg, it->axes, row_body, (void *)it);
    }
}
