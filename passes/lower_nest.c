/* lower_loops: nodes of a row stage that have loops of their own: sums and maxima over some dimensions, argmax, joins, what no vector reads.
   before:  run row <B> : %7          (%6 : f<B>[5,8], %7 = sum %6 {0} : f<B>[8])
   after:   for rows { acc = 0; for 5 { acc = ld %6 + acc }; st %7 acc }               eight lanes: the kept dimension
   When: between the vector loops of a stage (lower_row.c), in the phase of the node. Of a dimension that is kept each lane is a result; of one
   that is summed LANES accumulators are added by a fixed tree, so that results do not depend on V. */
#include "passes/lower_int.h"

/* sum or amax over some dimensions: loops over the kept ones; lanes over the last dimension, kept or summed. */
typedef struct {
    const Node *n, *o;
    uint32_t mask, rank;
    Ix ix[MAX_RANK];
} Nest;

static LV nest_next(LowG *lg, Nest *t, int lanes, LV acc, bool in_lanes)
{
    Eval e = eval_make(lg, lanes, t->o->rank);
    memcpy(e.ix, t->ix, sizeof e.ix);
    return reduce_next(&e, t->n, acc, t->o->rank, e.ix, in_lanes);
}

/* Accumulates over the summed dimensions from d on, one chain a loop. */
static LV nest_chain(LowG *lg, Nest *t, uint32_t d, int lanes, LV acc)
{
    LBuilder *b = &lg->L->b;
    uint32_t end = t->o->rank - (lanes > 0); /* the lanes' own dimension has no loop here */
    while (d < end && !(t->mask & 1u << d))
        d++;
    if (d >= end)
        return nest_next(lg, t, lanes, acc, false);
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
            next[s] = nest_next(lg, t, V, inner[s], true);
        }
        lb_end_for(b, (uint32_t)per, next, acc);
    }
    for (int64_t s = 0; full + s * V < F; s++) {
        int64_t left = F - full - s * V;
        t->ix[last] = (Ix){ lidx(full + s * V), true };
        acc[s] = nest_next(lg, t, (int)(left < V ? left : V), acc[s], true);
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
    eval_forget(&s->e);
    LV v = eval_at(&s->e, s->n->in[0], s->o->rank, s->e.ix), at = lb_op(b, LOP_VSPLAT, i, 0, 0, 0);
    if (along) {
        v = first_lanes(&lg->L->b, v, reduce_neutral(&lg->L->b, s->n), lanes);
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

void emit_nest(LowG *lg, Ref r)
{
    int op = lg->g->node.at[r].op;
    if (op == OP_CONCAT)
        concat_nest(lg, r);
    else if (op == OP_ARGMAX)
        argmax_nest(lg, r);
    else if (op == OP_DOT)
        matrix_nest(lg, r);
    else if (lg->ni[r].nest)
        reduce_nest(lg, r);
    else
        scalar_nest(lg, r);
}
