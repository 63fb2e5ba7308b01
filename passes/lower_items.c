/* lower_loops: the stages in their order, with the barriers between them, and those kinds that have no page of their own: sums
   and maxima over leading axes, gradients of tables, copies along time.
   before:  run row <T,B> : %7   run reduce : %8      (%8 = sum %7 <T,B>)      run copy <B> : %9      (%9 = last %7 T)
   after:   the loops of %7;  barrier;  if tid < 1 { for t { for b { acc = add acc (ld %7[t, b]) } } st %8 };  barrier
            for b { st %9[b] (ld %7[length - 1, b]) }
   When: what needs all rows (%8 here) stands between barriers and is split by output or done by one thread, since each thread
   has its own rows. The order of a sum is one chain an element, rows innermost: meaning, not schedule. */
#include "passes/lower_int.h"

/* ---- sum and amax over leading axes ------------------------------------------------------------------------------------- */

#define GROUP 8 /* vectors of features summed in one pass over the rows */

typedef struct {
    Ref r;
    const Node *n, *o;
    uint32_t axes; /* summed */
    bool down; /* as NodeInfo.down, until the outermost loop is open */
    int count, lanes; /* vectors in this group, lanes of each (0: one scalar) */
    int64_t first; /* feature of the group */
    LV group; /* times GROUP * V more */
    const Ix *at; /* of a matrix: the indices before the last */
} AxisSum;

static Eval axis_eval(LowG *lg, const AxisSum *s, int j, uint32_t rank)
{
    Low *L = lg->L;
    Eval e = eval_make(lg, s->lanes, rank);
    for (uint32_t d = 0; s->at && d < rank; d++)
        e.ix[d] = s->at[d];
    if (rank && s->lanes) {
        LIdx i = lidx(s->first + (int64_t)j * L->p->V);
        e.ix[rank - 1] = (Ix){ s->group ? lb_idx_term(&L->b, i, s->group, (int64_t)GROUP * L->p->V) : i, true };
    }
    return e;
}

/* Loops over the summed axes from `a` on (time axes ascending, the row axis last), one chain a loop, inner chains from zero. */
static void axis_chain(LowG *lg, AxisSum *s, uint32_t a, LV *acc)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    while (a < L->m->naxis && (a == L->bx || !(s->axes & AX(a))))
        a++;
    uint32_t axis = a < L->m->naxis ? a : L->bx;
    if (a > L->m->naxis || (a == L->m->naxis && !(s->axes & AX(L->bx)))) {
        for (int j = 0; j < s->count; j++) {
            Eval e = axis_eval(lg, s, j, s->o->rank);
            acc[j] = reduce_combine(b, s->n, acc[j], eval_at(&e, s->n->in[0], s->o->rank, e.ix));
        }
        return;
    }
    LV inner[GROUP], part[GROUP], out[GROUP];
    uint32_t n = (uint32_t)s->count;
    L->idx[axis] = lb_for(b, axis_lo(L, axis), axis_hi(L, axis), 1, s->down, n, acc, inner);
    s->down = false; /* of the outermost axis only */
    bool innermost = axis == L->bx || !(s->axes & AX(L->bx));
    for (uint32_t k = axis + 1; innermost && axis != L->bx && k < L->m->naxis; k++)
        innermost = !(s->axes & AX(k)) || k == L->bx;
    for (int j = 0; j < s->count; j++)
        part[j] = innermost ? inner[j] : reduce_neutral(b, s->n);
    axis_chain(lg, s, axis == L->bx ? L->m->naxis + 1 : axis + 1, part);
    for (int j = 0; j < s->count; j++)
        part[j] = innermost ? part[j] : reduce_combine(b, s->n, inner[j], part[j]);
    lb_end_for(b, n, part, out);
    L->idx[axis] = 0;
    memcpy(acc, out, sizeof(LV) * n);
}

static LV axis_start(LowG *lg, const AxisSum *s, int j)
{
    if (!lg->ni[s->r].onto)
        return reduce_neutral(&lg->L->b, s->n);
    Eval e = axis_eval(lg, s, j, s->n->rank);
    return load_value(&e, &lg->ni[s->r].loc, s->n);
}

static void axis_group(LowG *lg, AxisSum *s)
{
    LV acc[GROUP];
    for (int j = 0; j < s->count; j++)
        acc[j] = axis_start(lg, s, j);
    s->down = lg->ni[s->r].down;
    bool steps = s->lanes && (s->axes & AX(lg->L->bx)) && s->axes != AX(lg->L->bx);
    if (steps) /* rows of a few vectors: the row of the next step */
        low_prefetch(lg->L, lb_op(&lg->L->b, LOP_DIM, 0, 0, 0, lg->L->bx), s->down ? -1 : 1);
    axis_chain(lg, s, 1, acc);
    lg->L->ahead = false;
    for (int j = 0; j < s->count; j++) {
        Eval e = axis_eval(lg, s, j, s->n->rank);
        store_value(&e, &lg->ni[s->r].loc, s->n, acc[j]);
        for (uint32_t k = 0; k < lg->ni[s->r].also.n; k++)
            store_value(&e, &lg->ni[s->r].also.at[k], s->n, acc[j]);
    }
}

void low_share(Low *L, int64_t n, LV *lo, LV *hi)
{
    LBuilder *b = &L->b;
    LV N = lb_iconst(b, n), tid = lb_op(b, LOP_TID, 0, 0, 0, 0), nt = lb_op(b, LOP_NT, 0, 0, 0, 0);
    *lo = lb_iconst(b, 0);
    *hi = N;
    if (L->serial)
        return;
    *lo = lb_op(b, LOP_IDIV, lb_op(b, LOP_IMUL, N, tid, 0, 0), nt, 0, 0);
    *hi = lb_op(b, LOP_IDIV, lb_op(b, LOP_IMUL, N, lb_op(b, LOP_IADD, tid, lb_iconst(b, 1), 0, 0), 0, 0), nt, 0, 0);
}

static void begin_one_thread(Low *L)
{
    LBuilder *b = &L->b;
    if (!L->serial)
        lb_if_lt(b, lb_op(b, LOP_TID, 0, 0, 0, 0), lb_iconst(b, 1));
}
static void end_one_thread(Low *L)
{
    if (!L->serial)
        lb_end_if(&L->b);
}

/* All features of the last dimension, the rows of the kept axes fixed; `split`: the threads share them. */
static void axis_features(LowG *lg, AxisSum *s, bool split)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int V = L->p->V;
    if (is_scalar(s->o)) {
        low_touch(L, lg->ni[s->r].loc.buf);
        s->lanes = 0;
        s->count = 1;
        if (split)
            begin_one_thread(L);
        axis_group(lg, s);
        if (split)
            end_one_thread(L);
        return;
    }
    int64_t F = s->o->dim[s->o->rank - 1], full = F / V, groups = full / GROUP;
    s->lanes = V;
    if (groups) {
        LV lo = lb_iconst(b, 0), hi = lb_iconst(b, groups);
        if (split)
            low_share(L, groups, &lo, &hi);
        s->count = GROUP;
        s->group = lb_for(b, lo, hi, 1, false, 0, NULL, NULL);
        axis_group(lg, s);
        lb_end_for(b, 0, NULL, NULL);
        s->group = 0;
    }
    if (split)
        begin_one_thread(L);
    if (full % GROUP) {
        s->count = (int)(full % GROUP);
        s->first = groups * GROUP * V;
        axis_group(lg, s);
    }
    if (F % V) {
        s->count = 1;
        s->lanes = (int)(F % V);
        s->first = full * V;
        axis_group(lg, s);
    }
    if (split)
        end_one_thread(L);
}

typedef struct {
    AxisSum *s;
    bool split;
} AxisRows;
static void axis_row(LowG *lg, void *arg)
{
    AxisRows *a = arg;
    axis_features(lg, a->s, a->split);
}

/* One block of rows, LANES at a time: one fixed tree; the rest one by one. */
static LV axis_block(LowG *lg, const AxisSum *s, const Loc *l, LV first, LV rows)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int V = L->p->V, per = LANES / V;
    LV acc[LANES], inner[LANES], sixteen = lb_iconst(b, LANES);
    LV full = lb_op(b, LOP_IMUL, lb_op(b, LOP_IDIV, rows, sixteen, 0, 0), sixteen, 0, 0);
    LIdx base = lb_idx_term(b, low_row_at(L, l, 0), first, 1);
    for (int k = 0; k < per; k++)
        acc[k] = reduce_neutral(b, s->n);
    LV lane = lb_for(b, lb_iconst(b, 0), full, LANES, false, (uint32_t)per, acc, inner);
    for (int k = 0; k < per; k++) {
        LIdx at = lb_idx_term(b, base, lane, 1);
        at.c0 += k * (int64_t)V;
        inner[k] = reduce_combine(b, s->n, inner[k], lb_load(b, LOP_LD, l->buf, at, V));
    }
    lb_end_for(b, (uint32_t)per, inner, acc);
    acc[0] = reduce_lanes(b, s->n, acc, per);
    lane = lb_for(b, full, rows, 1, false, 1, acc, inner);
    LV one = lb_load(b, LOP_LDB, l->buf, lb_idx_term(b, base, lane, 1), 0), total;
    one = reduce_combine(b, s->n, inner[0], one);
    lb_end_for(b, 1, &one, &total);
    return total;
}

/* Sum over all rows of scalars that follow each other in memory: by blocks of rows, added in order. */
static bool axis_lanes(LowG *lg, AxisSum *s)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    Loc l = low_loc(lg, s->n->in[0]);
    if (!is_scalar(s->o) || s->n->axes || !(s->axes & AX(L->bx)) || !l.ok || l.ld != 1 || l.elem != LE_F || !flat_rows(L, &l, s->axes))
        return false;
    low_touch(L, l.buf);
    low_touch(L, lg->ni[s->r].loc.buf);
    begin_one_thread(L);
    s->lanes = 0;
    LV acc = axis_start(lg, s, 0), inner, next, total, first, rows;
    RowBlocks x = row_blocks(L, s->axes);
    LV k = lb_for(b, lb_iconst(b, 0), x.count, 1, lg->ni[s->r].down, 1, &acc, &inner);
    row_block(L, &x, k, &first, &rows);
    next = reduce_combine(b, s->n, inner, axis_block(lg, s, &l, first, rows));
    lb_end_for(b, 1, &next, &total);
    Eval e = axis_eval(lg, s, 0, s->n->rank);
    store_value(&e, &lg->ni[s->r].loc, s->n, total);
    end_one_thread(L);
    return true;
}

/* Whether lanes along the last dimension read and write neighbours. */
static bool axis_contiguous(LowG *lg, const AxisSum *s)
{
    const NodeInfo *ni = &lg->ni[s->r];
    uint32_t last = s->o->rank - 1u;
    bool ok = ni->loc.fs[last] == 1 && contiguous(lg, s->n->in[0], s->o->rank, last);
    for (uint32_t k = 0; k < ni->also.n; k++)
        ok &= ni->also.at[k].fs[last] == 1;
    return ok;
}

/* Features of rank 2 or 3: outer ones as loops, of which the threads share the first; the last one in vectors, if lanes along it are
   neighbours. */
static void axis_matrix(LowG *lg, void *arg)
{
    AxisRows *a = arg;
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *o = a->s->o;
    Ix ix[MAX_RANK];
    uint32_t loops = o->rank - axis_contiguous(lg, a->s);
    for (uint32_t d = 0; d < loops; d++) {
        LV lo = lb_iconst(b, 0), hi = lb_iconst(b, o->dim[d]);
        if (a->split && d == 0)
            low_share(L, o->dim[d], &lo, &hi);
        ix[d] = (Ix){ lb_idx_term(b, lidx(0), lb_for(b, lo, hi, 1, false, 0, NULL, NULL), 1), false };
    }
    a->s->at = ix;
    if (loops < o->rank) {
        ix[loops] = (Ix){ lidx(0), false };
        axis_features(lg, a->s, false);
    } else {
        a->s->lanes = 0;
        a->s->count = 1;
        axis_group(lg, a->s);
    }
    for (uint32_t d = 0; d < loops; d++)
        lb_end_for(b, 0, NULL, NULL);
}

void emit_axis(LowG *lg, Ref r)
{
    Low *L = lg->L;
    const Node *n = &lg->g->node.at[r];
    if (n->op == OP_DOT || n->op == OP_ADD) {
        emit_pairs(lg, r);
        return;
    }
    AxisSum s = { .r = r, .n = n, .o = &lg->g->node.at[n->in[0]], .axes = node_attr(lg->g, r)[0] };
    bool rows = n->axes & AX(L->bx);
    if (axis_lanes(lg, &s))
        return;
    AxisRows a = { &s, !rows };
    emit_rows(lg, n->axes, s.o->rank > 1 && !is_scalar(s.o) ? axis_matrix : axis_row, &a);
}

/* ---- scatter_add --------------------------------------------------------------------------------------------------------- */

typedef struct {
    Ref r;
    bool split;
    bool down; /* as NodeInfo.down, until the outermost loop is open */
} Scatter;

/* to[dst] += value at e's index, `lanes` of them (0: one) */
static void scatter_add(Eval *e, Scatter *s, const Loc *to, LIdx dst, int lanes)
{
    Low *L = e->lg->L;
    LBuilder *b = &L->b;
    const Node *n = &e->lg->g->node.at[s->r], *v = &e->lg->g->node.at[n->in[1]];
    bool full = lanes == L->p->V && v->rank > 0;
    LOp ld = !lanes ? LOP_LDB : full ? LOP_LD : LOP_LDT, st = !lanes ? LOP_ST1 : full ? LOP_ST : LOP_STT;
    e->lanes = lanes;
    LV x = eval_at(e, n->in[1], v->rank, e->ix);
    lb_store(b, st, to->buf, dst, lb_op(b, LOP_ADD, lb_load(b, ld, to->buf, dst, lanes), x, 0, 0), lanes);
}

/* The last dimension in vectors, shared by the threads. */
static void scatter_vectors(Eval *e, Scatter *s, const Loc *to, LIdx dst)
{
    Low *L = e->lg->L;
    LBuilder *b = &L->b;
    const Node *v = &e->lg->g->node.at[e->lg->g->node.at[s->r].in[1]];
    uint32_t last = v->rank - 1u;
    int V = L->p->V;
    int64_t F = v->dim[last], full = F / V;
    LV lo = lb_iconst(b, 0), hi = lb_iconst(b, full);
    if (s->split)
        low_share(L, full, &lo, &hi);
    LV k = lb_for(b, lo, hi, 1, false, 0, NULL, NULL);
    e->ix[last] = (Ix){ lb_idx_term(b, lidx(0), k, V), true };
    scatter_add(e, s, to, lb_idx_term(b, dst, k, V), V);
    lb_end_for(b, 0, NULL, NULL);
    if (F % V == 0)
        return;
    if (s->split)
        begin_one_thread(L);
    eval_forget(e);
    e->ix[last] = (Ix){ lidx(full * V), true };
    dst.c0 += full * V;
    scatter_add(e, s, to, dst, (int)(F % V));
    if (s->split)
        end_one_thread(L);
}

/* All that the current row adds. */
static void scatter_values(LowG *lg, Scatter *s)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[s->r], *i = &lg->g->node.at[n->in[0]], *v = &lg->g->node.at[n->in[1]];
    Loc li = low_loc(lg, n->in[0]), to = lg->ni[s->r].loc;
    bool step = i->op == OP_IOTA && i->attr; /* the round of a repeat: known without memory */
    if (!li.ok && !step) {
        low_fail(L, "indices that are not in memory");
        return;
    }
    if (!step)
        low_touch(L, li.buf);
    Eval e = eval_make(lg, 0, v->rank);
    LIdx at = step ? lidx(0) : low_row(L, &li), dst = low_row(L, &to);
    uint32_t outer = v->rank > i->rank ? v->rank - 1u : i->rank;
    LV row = 0;
    for (uint32_t d = 0; d <= outer; d++) {
        if (d == i->rank) {
            row = clamped_row(b, step ? axis_at(lg, i->attr - 1) : lb_load(b, LOP_LDI, li.buf, at, 0), n->dim[0]);
            dst = lb_idx_term(b, dst, row, to.fs[0]);
        }
        if (d == outer)
            break;
        LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, v->dim[d]), 1, false, 0, NULL, NULL);
        e.ix[d] = (Ix){ lb_idx_term(b, lidx(0), k, 1), false };
        if (d < i->rank)
            at = lb_idx_term(b, at, k, li.fs[d]);
        else
            dst = lb_idx_term(b, dst, k, to.fs[d - i->rank + 1]);
    }
    if (v->rank > i->rank) {
        scatter_vectors(&e, s, &to, dst);
    } else {
        if (s->split)
            begin_one_thread(L);
        scatter_add(&e, s, &to, dst, 0);
        if (s->split)
            end_one_thread(L);
    }
    for (uint32_t d = 0; d < outer; d++)
        lb_end_for(b, 0, NULL, NULL);
}

/* Loops over the summed axes from `a` on. */
static void scatter_rows(LowG *lg, Scatter *s, uint32_t a)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[s->r];
    uint32_t axes = (lg->g->node.at[n->in[0]].axes | lg->g->node.at[n->in[1]].axes) & ~n->axes;
    while (a < L->m->naxis && (a == L->bx || !(axes & AX(a))))
        a++;
    uint32_t axis = a < L->m->naxis ? a : L->bx;
    if (a > L->m->naxis || (a == L->m->naxis && !(axes & AX(L->bx)))) {
        scatter_values(lg, s);
        return;
    }
    L->idx[axis] = lb_for(b, axis_lo(L, axis), axis_hi(L, axis), 1, s->down, 0, NULL, NULL);
    s->down = false;
    scatter_rows(lg, s, axis == L->bx ? L->m->naxis + 1 : axis + 1);
    lb_end_for(b, 0, NULL, NULL);
    L->idx[axis] = 0;
}

void low_fill(LowG *lg, Ref r, LV v, bool split)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Loc *to = &lg->ni[r].loc;
    int64_t F = node_features(&lg->g->node.at[r]), V = L->p->V, full = F / V;
    LV lo = lb_iconst(b, 0), hi = lb_iconst(b, full);
    LIdx rest = low_row(L, to);
    low_touch(L, to->buf);
    if (split)
        low_share(L, full, &lo, &hi);
    LV k = lb_for(b, lo, hi, 1, false, 0, NULL, NULL);
    lb_store(b, LOP_ST, to->buf, lb_idx_term(b, low_row(L, to), k, V), v, V);
    lb_end_for(b, 0, NULL, NULL);
    rest.c0 += full * V;
    if (F % V == 0)
        return;
    if (split)
        begin_one_thread(L);
    lb_store(b, LOP_STT, to->buf, rest, v, F % V);
    if (split)
        end_one_thread(L);
}

static void scatter_row(LowG *lg, void *arg)
{
    Scatter *s = arg;
    if (!lg->ni[s->r].onto) {
        low_fill(lg, s->r, lb_fconst(&lg->L->b, 0), s->split);
        if (s->split)
            lb_barrier(&lg->L->b);
    }
    s->down = lg->ni[s->r].down;
    scatter_rows(lg, s, 1);
}

void emit_scatter(LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    Scatter s = { r, !(n->axes & AX(lg->L->bx)) && !lg->L->serial, false };
    low_touch(lg->L, lg->ni[r].loc.buf);
    emit_rows(lg, n->axes, scatter_row, &s);
}

/* ---- copies along an axis ------------------------------------------------------------------------------------------------- */

typedef struct {
    Ref r, from;
    Loc to;
    uint32_t axis, dst, after;
    LV t; /* index along the axis */
    enum { COPY_REVERSE, COPY_LAST, COPY_AT, COPY_AFTER } how; /* COPY_AFTER: at t, counted from the row's length along `after` */
} TimeCopy;

/* Length of the current row's example along an axis. */
static LV row_length(Low *L, uint32_t axis)
{
    const Axis *a = &L->m->axis[axis];
    if (!a->ragged)
        return lb_op(&L->b, LOP_DIM, 0, 0, 0, axis);
    if (a->kind == AXIS_JOIN)
        return lb_op(&L->b, LOP_IADD, row_length(L, a->a), row_length(L, a->b), 0, 0);
    return lb_load(&L->b, LOP_LDI, L->input_buf[a->length - 1], lb_idx_term(&L->b, lidx(0), L->idx[L->bx], 1), 0);
}

static void time_row(LowG *lg, void *arg)
{
    TimeCopy *c = arg;
    Low *L = lg->L;
    LBuilder *b = &L->b;
    LV one = lb_iconst(b, 1), zero = lb_iconst(b, 0), saved = L->idx[c->axis];
    if (c->how == COPY_AFTER)
        c->to.at[c->dst] = lb_op(b, LOP_IADD, c->t, row_length(L, c->after), 0, 0);
    else if (c->how != COPY_AT) {
        LV last = lb_op(b, LOP_ISUB, row_length(L, c->axis), one, 0, 0);
        if (c->how == COPY_REVERSE)
            last = lb_op(b, LOP_ISUB, last, c->t, 0, 0);
        L->idx[c->axis] = lb_op(b, LOP_IMAX, last, zero, 0, 0);
    }
    emit_copy(lg, c->from, &c->to);
    L->idx[c->axis] = saved;
}

/* from at index t of its axis -> the node's place at index `at` of axis dst (counted from each row's length along `after`,
   if that is not 0), for all other rows */
static void copy_after(LowG *lg, Ref r, Ref from, uint32_t axis, LV t, uint32_t dst, LV at, uint32_t after)
{
    Low *L = lg->L;
    TimeCopy c = { .r = r, .from = from, .to = lg->ni[r].loc, .axis = axis, .dst = dst, .after = after, .t = at };
    LV saved = L->idx[axis];
    c.how = after ? COPY_AFTER : COPY_AT;
    c.to.at[dst] = at;
    L->idx[axis] = t;
    uint32_t axes = lg->g->node.at[r].axes & ~AX(dst);
    emit_rows(lg, axes, time_row, &c);
    L->idx[axis] = saved;
}

static void copy_at(LowG *lg, Ref r, Ref from, uint32_t axis, LV t, uint32_t dst, LV at)
{
    copy_after(lg, r, from, axis, t, dst, at, 0);
}

static void emit_shift(LowG *lg, Ref r)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[r];
    uint32_t axis = node_attr(lg->g, r)[0];
    int32_t by = (int32_t)node_attr(lg->g, r)[1];
    LV T = lb_op(b, LOP_DIM, 0, 0, 0, axis), from_step = axis_lo(L, axis), to_step = axis_hi(L, axis);
    LV first = from_step, last = to_step; /* results before `first` and from `last` on: fill */
    if (by > 0)
        first = lb_op(b, LOP_IMIN, to_step, lb_op(b, LOP_IMAX, from_step, lb_iconst(b, by), 0, 0), 0, 0);
    else
        last = lb_op(b, LOP_IMIN, to_step, lb_op(b, LOP_IMAX, from_step, lb_op(b, LOP_IADD, T, lb_iconst(b, by), 0, 0), 0, 0), 0, 0);
    for (int part = 0; part < 3; part++) {
        LV lo = part == 0 ? from_step : part == 1 ? first : last, hi = part == 0 ? first : part == 1 ? last : to_step;
        if (lo == hi)
            continue;
        LV t = lb_for(b, lo, hi, 1, false, 0, NULL, NULL);
        LV from = lb_op(b, LOP_ISUB, t, lb_iconst(b, by), 0, 0);
        copy_at(lg, r, part == 1 ? n->in[0] : n->in[1], axis, part == 1 ? from : t, axis, t);
        lb_end_for(b, 0, NULL, NULL);
    }
}

/* All steps of a, then all of b; if the examples end at their own steps of a, b once more, behind each example's end. */
static void emit_join(LowG *lg, Ref r)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[r];
    const uint32_t *w = node_attr(lg->g, r);
    bool ragged = L->m->axis[w[0]].ragged;
    LV base = 0;
    for (int k = 0; k < (ragged ? 3 : 2); k++) {
        Ref from = n->in[k > 0];
        uint32_t axis = w[k > 0];
        bool has = axis != 0 && (lg->g->node.at[from].axes & AX(axis));
        LV T = has ? lb_op(b, LOP_DIM, 0, 0, 0, axis) : lb_iconst(b, 1);
        LV t = lb_for(b, lb_iconst(b, 0), T, 1, false, 0, NULL, NULL);
        LV at = k == 1 ? lb_op(b, LOP_IADD, t, base, 0, 0) : t;
        copy_after(lg, r, from, has ? axis : w[2], t, w[2], at, k == 2 ? w[0] : 0);
        lb_end_for(b, 0, NULL, NULL);
        if (k == 0)
            base = T;
    }
}

void emit_time(LowG *lg, Ref r)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[r];
    low_touch(L, lg->ni[r].loc.buf);
    if (n->op == OP_SHIFT) {
        emit_shift(lg, r);
        return;
    }
    if (n->op == OP_JOIN) {
        emit_join(lg, r);
        return;
    }
    TimeCopy c = { .r = r, .from = n->in[0], .to = lg->ni[r].loc, .axis = n->attr };
    if (n->op == OP_LAST) {
        c.how = COPY_LAST;
        emit_rows(lg, n->axes, time_row, &c);
        return;
    }
    c.how = COPY_REVERSE;
    c.t = lb_for(b, axis_lo(L, c.axis), axis_hi(L, c.axis), 1, false, 0, NULL, NULL);
    c.to.at[c.axis] = c.t;
    emit_rows(lg, n->axes & ~AX(c.axis), time_row, &c);
    lb_end_for(b, 0, NULL, NULL);
}

/* ---- order ------------------------------------------------------------------------------------------------------------------- */

/* Whether a carry may stand where r does, to be read until r is complete. */
static bool is_next(const Graph *g, Ref r)
{
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == ROOT_NEXT && g->root.at[i].ref == r)
            return true;
    return false;
}

static uint32_t times_in(const Ref *list, uint32_t n, Ref r)
{
    uint32_t times = 0;
    for (uint32_t k = 0; k < n; k++)
        times += list[k] == r;
    return times;
}

/* Parts of a concat that its own stage computes, for this row alone, are computed where the concat has them. */
static void give_parts(LowG *lg, Ref r)
{
    const Graph *g = lg->g;
    NodeInfo *whole = &lg->ni[r];
    if (g->node.at[r].rank != 1 || whole->kind != NK_ROW || !whole->loc.ok || is_next(g, r))
        return;
    uint32_t n;
    const Ref *part = node_ext(g, r, &n);
    int64_t at = 0;
    for (uint32_t k = 0; k < n; at += g->node.at[part[k++]].dim[0]) {
        NodeInfo *ni = &lg->ni[part[k]];
        if (ni->kind != NK_ROW || ni->item != whole->item || ni->loc.ok || ni->mem || !ni->scratch || ni->nest || ni->also.n ||
            is_scalar(&g->node.at[part[k]]) || ni->load != whole->load || times_in(part, n, part[k]) > 1)
            continue;
        ni->whole = r;
        ni->loc = whole->loc;
        ni->loc.foff += at * whole->loc.fs[0];
        ni->loc.spare = false;
        for (uint32_t i = 0; i < whole->also.n; i++) {
            Loc to = whole->also.at[i];
            to.foff += at * to.fs[0];
            VEC_PUSH(lg->L->arena, ni->also) = to;
        }
    }
}

static void give_place(LowG *lg, const Ref *lenders, Ref r)
{
    enum { LARGE = 4096 };
    NodeInfo *ni = &lg->ni[r];
    const Node *n = &lg->g->node.at[r];
    if (ni->load != lg->load_phase || ni->loc.ok || ni->kind < NK_ROW || ni->kind == NK_SCAN || ni->sunk)
        return;
    bool large = ni->mem || (ni->scratch && (node_features(n) > LARGE || low_frame_full(lg->L, node_features(n))));
    if (lenders && large && take_place(lg, lenders, r))
        return;
    ni->lends = lenders && ni->mem;
    if (ni->mem && ni->chunk_only) {
        ni->loc = low_chunk_slab(lg, r, group_axis(lg, ni->group));
    } else if (ni->mem) {
        ni->loc = lg->jam ? low_jam_slab(lg, r) : low_slab(lg, r, n->axes, NULL);
    } else if (ni->scratch && !large) {
        ni->loc = low_local(lg, r);
    } else if (ni->scratch) {
        ni->loc = low_row_slab(lg, r);
    } else if (ni->scratch_row) {
        ni->loc = low_matrix_row(lg, r);
    }
}

void give_places(LowG *lg)
{
    const Ref *lenders = lg->load_phase || lg->L->o.no_reuse ? NULL : find_lenders(lg);
    for (Ref r = 1; r < lg->g->node.n; r++)
        if (lg->g->node.at[r].op == OP_CONCAT && lg->ni[r].load == lg->load_phase) {
            give_place(lg, lenders, r);
            give_parts(lg, r);
        }
    for (Ref r = 1; r < lg->g->node.n; r++)
        give_place(lg, lenders, r);
}

/* All threads have done what came before: from this position on, anybody may write anywhere. */
void emit_barrier(Low *L)
{
    if (L->serial)
        return;
    lb_barrier(&L->b);
    if (!L->loop.n || L->loop.at[L->loop.n - 1].end != UINT32_MAX)
        VEC_PUSH(L->arena, L->p->barrier) = L->pos;
}

/* What a sum starts from, so that its first summand stays as it is: a gradient's is a chain of its own that is added. */
static LV sum_neutral(LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    return n->op == OP_AMAX ? reduce_neutral(&lg->L->b, n) : lb_fconst(&lg->L->b, lg->ni[r].kind == NK_GRADIENT ? -0.0 : 0.0);
}

/* for chunks: the stages of a section, its sums added to from chunk to chunk. */
static void emit_section(LowG *lg, Ref group)
{
    Low *L = lg->L;
    L->pos++;
    emit_barrier(L);
    for (Ref r = 1; r < lg->g->node.n; r++)
        if (lg->ni[r].group == group && is_real(lg->ni[r].kind) && !lg->g->node.at[r].axes) {
            low_fill(lg, r, sum_neutral(lg, r), !L->serial);
            lg->ni[r].onto = true;
        }
    L->pos++;
    emit_barrier(L);
    uint32_t loop = loop_begin(L);
    begin_chunk(L, group_axis(lg, group), lg->ni[group].down, false, 0, NULL, NULL);
    emit_stages(lg, group);
    end_chunk(L, 0, NULL, NULL);
    loop_finish(L, loop);
}

void emit_stages(LowG *lg, Ref group)
{
    Low *L = lg->L;
    for (uint32_t i = 0; i < lg->g->stage.n && !L->failed; i++) {
        const Stage *s = &lg->g->stage.at[i];
        Ref r = s->node.at[0].ref;
        if (!group && !lg->load_phase && is_section(lg, s->group) && (!i || lg->g->stage.at[i - 1].group != s->group))
            emit_section(lg, s->group);
        if (s->load != lg->load_phase || lg->ni[r].sunk || s->group != group)
            continue;
        bool rows = s->axes & AX(L->bx);
        bool all = s->kind == STAGE_GRADIENT || (s->kind == STAGE_REDUCE && !rows) || (s->kind == STAGE_SCATTER && !rows) || (s->kind == STAGE_PRODUCT && L->columns);
        bool one = !rows && !all && s->kind != STAGE_SCAN && !L->serial;
        L->pos++;
        if (all || one)
            emit_barrier(L);
        if (one)
            begin_one_thread(L);
        L->b.span = lg->g->node.at[r].span;
        L->b.who = lg->g->node.at[r].name;
        bool steps = lg->jam && jam_stage(lg, s);
        switch ((StageKind)s->kind) {
        case STAGE_ROW: emit_row_stage(lg, s); break;
        case STAGE_PRODUCT: i += emit_gemm(lg, i); break;
        case STAGE_GRADIENT: emit_gradient(lg, r); break;
        case STAGE_REDUCE: emit_axis(lg, r); break;
        case STAGE_SCATTER: emit_scatter(lg, r); break;
        case STAGE_COPY: emit_time(lg, r); break;
        case STAGE_SCAN: emit_scan(lg, r); break;
        }
        if (steps)
            jam_steps_end(lg);
        L->b.span = L->b.who = 0;
        if (one)
            end_one_thread(L);
        if (all || one) {
            L->pos++;
            emit_barrier(L);
        }
    }
}
