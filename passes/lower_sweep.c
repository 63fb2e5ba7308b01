/* Sweeps: what a row stage does with matrices, in one loop over their rows.
   before:  run row <B> : %3 | %6 %9 %12       %6 = sum (S k) {1}    %9 = S + expand (v - %6) {0,-} k    %12 = sum (%9 q) {1}
   after:   for i { acc = sum S[i] k;  e = v[i] - acc;  for columns { s = S[i] + e k;  st s;  acc += s q }  st y[i] acc }
   A matrix is an element of rank 2 or more, its rows are along the last dimension. Members of one level's sweep have the same other
   dimensions: matrices; sums of matrices over the last dimension (ROW), over others (COLUMN, added up in memory), over all (TOTAL); and
   what is made of a ROW, one number a row, to be used in the row again (VALUE). What reads a ROW of the same sweep in its own row only
   comes in a later *turn* of that row, not in a later level. So a state that is as large as a cache passes once. Rows with several turns
   go in blocks, a turn of each after the other.
   Orders of sums are those of loops of their own (lower_row.c): no bit depends on what shares a sweep. */
#include "passes/lower_int.h"

/* ---- what is swept, in which level and turn (fuse_levels) -------------------------------------------------------------------- */

/* The rows of a member: all dimensions of its matrix but the last. */
static uint32_t sweep_rows(const Graph *g, const NodeInfo *ni, Ref r, const int32_t **dim)
{
    const Node *n = &g->node.at[r];
    if (ni[r].sweep >= SWEEP_ROW)
        n = &g->node.at[n->in[0]];
    *dim = n->dim;
    return n->rank - (ni[r].sweep != SWEEP_VALUE);
}

static bool same_rows(const Graph *g, const NodeInfo *ni, Ref a, Ref b)
{
    const int32_t *x, *y;
    uint32_t n = sweep_rows(g, ni, a, &x);
    return n == sweep_rows(g, ni, b, &y) && !memcmp(x, y, n * sizeof *x);
}

/* A sum over rows of few elements would wait for its place in memory: it has a loop of its own, with accumulators. */
SweepKind sweep_sum(LowG *lg, Ref r)
{
    enum { WIDE = 64 };
    const Node *n = &lg->g->node.at[r], *o = &lg->g->node.at[n->in[0]];
    if (o->rank < 2 || o->dim[o->rank - 1] < 2 || !contiguous(lg, n->in[0], o->rank, o->rank - 1u))
        return SWEEP_NONE;
    uint32_t mask = node_attr(lg->g, r)[1], last = 1u << (o->rank - 1u);
    if (mask == 2 * last - 1)
        return SWEEP_TOTAL;
    return mask == last && !is_scalar(n) ? SWEEP_ROW : mask & last || o->dim[o->rank - 1] < WIDE ? SWEEP_NONE : SWEEP_COLUMN;
}

/* How the value o, as one of the member user's rows sees it, reads leaf: 0 not; 1 at this row only; 2 elsewhere. row: o has no last
   dimension there. */
static int reads_row(const LowG *lg, Ref o, Ref leaf, bool row)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[o];
    const NodeInfo *ni = &lg->ni[o];
    const Ref *in;
    uint32_t count = node_inputs(g, o, &in);
    if (o == leaf)
        return row == (ni->sweep != SWEEP_MATRIX) ? 1 : 2;
    if (ni->kind == NK_ACCESS) {
        const Node *x = &g->node.at[n->in[0]];
        bool same = n->op == OP_EXPAND && !row && x->rank + 1u == n->rank;
        for (uint32_t d = 0; same && d < n->rank; d++)
            same = (int32_t)node_attr(g, o)[d] == (d < x->rank ? (int32_t)d : -1) && (d == x->rank || x->dim[d] == n->dim[d]);
        int how = reads_row(lg, n->in[0], leaf, true);
        return how && !same ? 2 : how;
    }
    int most = 0;
    for (uint32_t k = 0; k < count && ni->kind == NK_INLINE; k++) {
        int how = reads_row(lg, in[k], leaf, row);
        most = how > most ? how : most;
    }
    return most;
}

bool sweeps_together(const LowG *lg, Ref user, Ref o)
{
    const NodeInfo *u = &lg->ni[user], *v = &lg->ni[o];
    const Node *n = &lg->g->node.at[user];
    if (!u->sweep || !v->sweep || v->sweep >= SWEEP_COLUMN || !same_rows(lg->g, lg->ni, user, o))
        return false;
    if (u->sweep < SWEEP_ROW && !is_elementwise(n))
        return false;
    int most = 0;
    for (int k = 0; k < (u->sweep >= SWEEP_ROW ? 1 : op_info[n->op].arity); k++) {
        int how = reads_row(lg, n->in[k], o, u->sweep == SWEEP_VALUE);
        most = how > most ? how : most;
    }
    return most == 1;
}

/* Marks what is read as one number a row of a matrix, from o down; row: o itself is read so. */
static void mark_wanted(LowG *lg, Ref o, bool row, bool *wanted)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[o];
    const Ref *in;
    uint32_t count = node_inputs(g, o, &in);
    if (lg->ni[o].kind == NK_ACCESS && n->op == OP_EXPAND && !row)
        mark_wanted(lg, n->in[0], n->rank && (int32_t)node_attr(g, o)[n->rank - 1u] == -1, wanted);
    for (uint32_t k = 0; k < count && lg->ni[o].kind == NK_INLINE; k++)
        mark_wanted(lg, in[k], row, wanted);
    wanted[o] |= row;
}

/* Values that a matrix of the same stage reads by rows. */
void sweep_wanted(LowG *lg, bool *wanted)
{
    const Graph *g = lg->g;
    for (Ref r = g->node.n; r-- > 1;) {
        const Node *n = &g->node.at[r];
        bool sum = n->op == OP_SUM || n->op == OP_AMAX;
        if (lg->ni[r].kind != NK_ROW || other_rate(lg, r) || !(sum || is_elementwise(n)) || (!wanted[r] && !sum && n->rank < 2))
            continue;
        for (int k = 0; k < (sum ? 1 : op_info[n->op].arity); k++)
            mark_wanted(lg, n->in[k], wanted[r], wanted);
    }
}

/* A cheap value of a ROW, or of another such value. */
bool sweep_value(const LowG *lg, Ref r)
{
    enum { CHEAP = 4 };
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    bool any = false;
    if (!is_elementwise(n) || n->dtype != DT_F || op_info[n->op].cost >= CHEAP || n->rank >= MAX_RANK)
        return false;
    for (int k = 0; k < op_info[n->op].arity; k++)
        for (Ref o = 1; o < r && !any; o++) {
            const NodeInfo *v = &lg->ni[o];
            any = (v->sweep == SWEEP_ROW || v->sweep == SWEEP_VALUE) && v->item == lg->ni[r].item && same_dims(&g->node.at[o], n) &&
                  reads_row(lg, n->in[k], o, true) == 1;
        }
    return any;
}

/* ---- its loops ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    LowG *lg;
    VEC(Ref) member;
    Ix row[MAX_RANK];
    uint32_t rank; /* of rows */
    uint32_t turns;
    bool flat; /* blocks of rows in one loop over columns */
    LV *total; /* accumulators: LANES a member, used where it is a TOTAL */
    LV *at_row; /* of each member, for each row of a block */
} Sweep;

/* What a column's sum starts from, everywhere. */
static void start_column(LowG *lg, Ref r)
{
    Low *L = lg->L;
    const Node *n = &lg->g->node.at[r];
    Eval e = eval_make(lg, 0, n->rank);
    int V = L->p->V;
    int64_t F = n->dim[n->rank - 1], full = F / V * V;
    LV from = reduce_neutral(&L->b, n);
    open_outer(lg, e.ix, n->rank, n->dim);
    if (full) {
        LV at = lb_for(&L->b, lb_iconst(&L->b, 0), lb_iconst(&L->b, full), V, false, 0, NULL, NULL);
        e.ix[n->rank - 1] = (Ix){ lb_idx_term(&L->b, lidx(0), at, 1), true };
        e.lanes = V;
        store_value(&e, &lg->ni[r].loc, n, from);
        lb_end_for(&L->b, 0, NULL, NULL);
    }
    if (F % V) {
        e.ix[n->rank - 1] = (Ix){ lidx(full), true };
        e.lanes = (int)(F % V);
        store_value(&e, &lg->ni[r].loc, n, from);
    }
    close_outer(lg, n->rank, n->dim);
}

/* The accumulators of totals as carries of the loops over rows, and back. */
static uint32_t list_totals(Sweep *s, LV *list, bool back)
{
    uint32_t n = 0, per = LANES / (uint32_t)s->lg->L->p->V;
    for (uint32_t k = 0; k < s->member.n; k++)
        for (uint32_t i = 0; s->lg->ni[s->member.at[k]].sweep == SWEEP_TOTAL && i < per; i++, n++) {
            LV *acc = &s->total[k * LANES + i];
            *(back ? acc : &list[n]) = *(back ? &list[n] : acc);
        }
    return n;
}

static void row_values(Sweep *s, uint32_t turn)
{
    LowG *lg = s->lg;
    for (int store = 0; store < 2; store++)
        for (uint32_t k = 0; k < s->member.n; k++) {
            Ref r = s->member.at[k];
            NodeInfo *ni = &lg->ni[r];
            if (ni->sweep != SWEEP_VALUE || ni->turn != turn)
                continue;
            Eval e = eval_make(lg, 0, s->rank);
            memcpy(e.ix, s->row, sizeof e.ix);
            if (store)
                store_all(&e, r, ni->at_row);
            else
                ni->at_row = eval_node(&e, r);
        }
}

/* Sums of rows are complete: they have a value at this row. */
static void finish_row(Sweep *s, Fused *f, const uint32_t *at)
{
    LowG *lg = s->lg;
    uint32_t per = LANES / (uint32_t)lg->L->p->V;
    for (uint32_t k = 0; k < f->reduce.n; k++) {
        Ref r = f->reduce.at[k];
        if (lg->ni[r].sweep == SWEEP_TOTAL) {
            memcpy(s->total + at[k] * LANES, f->acc + k * LANES, per * sizeof(LV));
            continue;
        }
        Eval e = eval_make(lg, 0, s->rank);
        memcpy(e.ix, s->row, sizeof e.ix);
        lg->ni[r].at_row = reduce_lanes(&lg->L->b, &lg->g->node.at[r], f->acc + k * LANES, (int)per);
        store_all(&e, r, lg->ni[r].at_row);
    }
}

/* The members that share a vector loop with the one at `first`; at: of each reduction, its place among the members. F: of the loop. */
static Fused *gather_vectors(Sweep *s, uint32_t first, bool *done, uint32_t *at, int32_t *width)
{
    LowG *lg = s->lg;
    LBuilder *b = &lg->L->b;
    const Graph *g = lg->g;
    uint32_t per = LANES / (uint32_t)lg->L->p->V, turn = lg->ni[s->member.at[first]].turn;
    int32_t F = 0;
    Fused *f = NEW(lg->L->arena, Fused);
    for (uint32_t k = first; k < s->member.n; k++) {
        Ref r = s->member.at[k];
        const Node *n = &g->node.at[r], *m = lg->ni[r].sweep == SWEEP_MATRIX ? n : &g->node.at[n->in[0]];
        F = k == first ? m->dim[m->rank - 1] : F;
        if (done[k] || lg->ni[r].turn != turn || lg->ni[r].sweep == SWEEP_VALUE || m->dim[m->rank - 1] != F)
            continue;
        done[k] = true;
        if (lg->ni[r].sweep == SWEEP_MATRIX) {
            VEC_PUSH(lg->L->arena, f->node) = r;
        } else if (lg->ni[r].sweep == SWEEP_COLUMN) {
            VEC_PUSH(lg->L->arena, f->column) = r;
        } else {
            for (uint32_t i = 0; i < per; i++)
                f->acc[f->reduce.n * LANES + i] = lg->ni[r].sweep == SWEEP_TOTAL ? s->total[k * LANES + i] : reduce_neutral(b, n);
            at[f->reduce.n] = k;
            VEC_PUSH(lg->L->arena, f->reduce) = r;
        }
    }
    *width = F;
    return f;
}

static void row_vectors(Sweep *s, uint32_t first, bool *done)
{
    int32_t F;
    uint32_t *at = NEW_N(s->lg->L->arena, uint32_t, s->member.n);
    Fused *f = gather_vectors(s, first, done, at, &F);
    fused_row(s->lg, f, s->row, s->rank + 1, F, false);
    finish_row(s, f, at);
}

/* Row number i + r; leave: what has been computed of it is kept for its next turn. */
static void at_block_row(Sweep *s, LV i, uint32_t r, bool leave)
{
    for (uint32_t k = 0; k < s->member.n; k++) {
        NodeInfo *ni = &s->lg->ni[s->member.at[k]];
        LV *kept = &s->at_row[r * s->member.n + k];
        *(leave ? kept : &ni->at_row) = *(leave ? &ni->at_row : kept);
        if (ni->sweep == SWEEP_MATRIX && ni->loc.ok && !ni->loc.fs[s->rank - 1])
            ni->loc.foff = r * (ni->loc.ld / SWEEP_BLOCK);
    }
    s->row[s->rank - 1] = (Ix){ lb_idx_term(&s->lg->L->b, lidx(r), i, 1), false };
}

/* ---- few rows: their vectors one below the other -------------------------------------------------------------------------------- */

/* Of a narrow matrix all members stand in one loop over columns, with SWEEP_BLOCK rows in it: a sum of columns is in memory once for them,
   and so is what all rows read. Not where sums over all of a matrix, or turns, fix another order. */
static bool is_flat(const Sweep *s, const int32_t *dim)
{
    enum { FLAT = 32 };
    const LowG *lg = s->lg;
    bool column = false;
    int32_t F = 0;
    uint32_t sums = 0;
    for (uint32_t k = 0; k < s->member.n; k++) {
        const NodeInfo *ni = &lg->ni[s->member.at[k]];
        const Node *n = &lg->g->node.at[s->member.at[k]], *m = ni->sweep == SWEEP_MATRIX ? n : &lg->g->node.at[n->in[0]];
        if (ni->sweep == SWEEP_TOTAL || ni->sweep == SWEEP_VALUE || (F && m->dim[m->rank - 1] != F))
            return false;
        F = m->dim[m->rank - 1];
        column |= ni->sweep == SWEEP_COLUMN;
        sums += ni->sweep == SWEEP_ROW;
    }
    return column && s->member.n <= 32 && s->rank == 1 && s->turns == 1 && dim[0] < FLAT && dim[0] % SWEEP_BLOCK == 0 && sums <= 3;
}

/* The accumulators of a block's rows as carries, and back. */
static uint32_t list_rows(Fused *const *f, uint32_t rows, uint32_t per, LV *list, bool back)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t k = 0; k < f[r]->reduce.n; k++)
            for (uint32_t i = 0; i < per; i++, n++) {
                LV *acc = &f[r]->acc[k * LANES + i];
                *(back ? acc : &list[n]) = *(back ? &list[n] : acc);
            }
    return n;
}

static void at_block_row(Sweep *s, LV i, uint32_t r, bool leave);

/* Sums of columns at one vector of them, from their places or to these. */
static void move_columns(Sweep *s, const Fused *f, LV at, int64_t offset, int lanes, LV *held, bool store)
{
    for (uint32_t k = 0; k < f->column.n; k++) {
        Ref r = f->column.at[k];
        const Node *n = &s->lg->g->node.at[r];
        Eval e = eval_make(s->lg, lanes, n->rank);
        e.ix[0] = (Ix){ at ? lb_idx_term(&s->lg->L->b, lidx(offset), at, 1) : lidx(offset), true };
        if (store)
            store_value(&e, &s->lg->ni[r].loc, n, held[k]);
        else
            held[k] = load_value(&e, &s->lg->ni[r].loc, n);
    }
}

/* `left` columns from at + offset on, a vector of each row below that of the last; as in lower_row.c, vector v goes to accumulators v mod per. */
static void flat_vectors(Sweep *s, Fused *const *f, LV i, LV at, int64_t offset, int64_t left)
{
    int V = s->lg->L->p->V, nr = (int)f[0]->reduce.n, per = nr ? LANES / V : 1;
    LV col[32], held[32];
    for (int64_t v = 0; v * V < left; v++) {
        int lanes = (int)(left - v * V < V ? left - v * V : V);
        move_columns(s, f[0], at, offset + v * V, lanes, held, false);
        for (uint32_t r = 0; r < SWEEP_BLOCK; r++) {
            at_block_row(s, i, r, false);
            f[r]->held = held;
            for (int k = 0; k < nr; k++)
                col[k] = f[r]->acc[k * LANES + v % per];
            fused_block(s->lg, f[r], s->row, s->rank + 1, at, offset + v * V, lanes, col);
            for (int k = 0; k < nr; k++)
                f[r]->acc[k * LANES + v % per] = col[k];
        }
        move_columns(s, f[0], at, offset + v * V, lanes, held, true);
    }
}

static void flat_block(Sweep *s, LV i)
{
    LBuilder *b = &s->lg->L->b;
    Arena *a = s->lg->L->arena;
    Fused *f[SWEEP_BLOCK];
    uint32_t *at = NEW_N(a, uint32_t, s->member.n);
    int32_t F = 0;
    LV list[SWEEP_BLOCK * 3 * LANES], inner[SWEEP_BLOCK * 3 * LANES];
    s->at_row = NEW_N(a, LV, SWEEP_BLOCK * s->member.n);
    for (uint32_t r = 0; r < SWEEP_BLOCK; r++)
        f[r] = gather_vectors(s, 0, NEW_N(a, bool, s->member.n), at, &F);
    uint32_t per = f[0]->reduce.n ? LANES / (uint32_t)s->lg->L->p->V : 1;
    int64_t step = (int64_t)per * s->lg->L->p->V, full = F / step * step;
    if (full) {
        uint32_t n = list_rows(f, SWEEP_BLOCK, per, list, false);
        LV j = lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), step, false, n, list, inner);
        list_rows(f, SWEEP_BLOCK, per, inner, true);
        flat_vectors(s, f, i, j, 0, step);
        list_rows(f, SWEEP_BLOCK, per, inner, false);
        lb_end_for(b, n, inner, list);
        list_rows(f, SWEEP_BLOCK, per, list, true);
    }
    flat_vectors(s, f, i, 0, full, F - full);
    for (uint32_t r = 0; r < SWEEP_BLOCK; r++) {
        at_block_row(s, i, r, false);
        finish_row(s, f[r], at);
    }
}

/* All of `rows` rows from i on, a turn of each after the other: what a turn reads of the last one has long been computed. */
static void sweep_block(Sweep *s, LV i, uint32_t rows)
{
    s->at_row = NEW_N(s->lg->L->arena, LV, rows * s->member.n);
    for (uint32_t step = 0; step < s->turns * rows; step++) {
        uint32_t turn = step / rows;
        bool *done = NEW_N(s->lg->L->arena, bool, s->member.n);
        at_block_row(s, i, step % rows, false);
        row_values(s, turn);
        for (uint32_t k = 0; k < s->member.n; k++) {
            const NodeInfo *ni = &s->lg->ni[s->member.at[k]];
            if (!done[k] && ni->turn == turn && ni->sweep != SWEEP_VALUE)
                row_vectors(s, k, done);
        }
        at_block_row(s, i, step % rows, true);
    }
}

static void sweep_loops(Sweep *s, uint32_t d, const int32_t *dim);

/* Rows from..to along dimension d, in blocks of `rows` where that is the last one. */
static void sweep_loop(Sweep *s, uint32_t d, const int32_t *dim, int64_t from, int64_t to, uint32_t rows)
{
    LBuilder *b = &s->lg->L->b;
    LV *list = NEW_N(s->lg->L->arena, LV, s->member.n * LANES), *inner = NEW_N(s->lg->L->arena, LV, s->member.n * LANES);
    if (from == to)
        return;
    uint32_t n = list_totals(s, list, false);
    LV i = lb_for(b, lb_iconst(b, from), lb_iconst(b, to), rows, false, n, list, inner);
    list_totals(s, inner, true);
    if (d + 1 == s->rank && s->flat) {
        flat_block(s, i);
    } else if (d + 1 == s->rank) {
        sweep_block(s, i, rows);
    } else {
        s->row[d] = (Ix){ lb_idx_term(b, lidx(0), i, 1), false };
        sweep_loops(s, d + 1, dim);
    }
    list_totals(s, inner, false);
    lb_end_for(b, n, inner, list);
    list_totals(s, list, true);
}

static void sweep_loops(Sweep *s, uint32_t d, const int32_t *dim)
{
    int64_t blocks = d + 1 == s->rank && (s->turns > 1 || s->flat) ? dim[d] / SWEEP_BLOCK * SWEEP_BLOCK : 0;
    sweep_loop(s, d, dim, 0, blocks, SWEEP_BLOCK);
    sweep_loop(s, d, dim, blocks, dim[d], 1);
}

/* The sweep of member `first` of a stage; done: by place in the stage. */
static void emit_sweep(LowG *lg, const Stage *it, uint32_t first, bool *done)
{
    Arena *a = lg->L->arena;
    Sweep s = { .lg = lg };
    const int32_t *dim;
    Ref f = it->node.at[first].ref;
    for (uint32_t k = first; k < it->node.n; k++) {
        Ref r = it->node.at[k].ref;
        const NodeInfo *ni = &lg->ni[r];
        if (done[k] || !ni->sweep || ni->loop_phase != lg->ni[f].loop_phase || !same_rows(lg->g, lg->ni, r, f))
            continue;
        done[k] = true;
        VEC_PUSH(a, s.member) = r;
        s.turns = ni->turn >= s.turns ? ni->turn + 1 : s.turns;
        if (ni->sweep == SWEEP_COLUMN)
            start_column(lg, r);
    }
    s.rank = sweep_rows(lg->g, lg->ni, f, &dim);
    s.total = NEW_N(a, LV, s.member.n * LANES);
    for (uint32_t k = 0; k < s.member.n; k++)
        for (int i = 0; lg->ni[s.member.at[k]].sweep == SWEEP_TOTAL && i < LANES; i++)
            s.total[k * LANES + (uint32_t)i] = reduce_neutral(&lg->L->b, &lg->g->node.at[s.member.at[k]]);
    s.flat = is_flat(&s, dim);
    sweep_loops(&s, 0, dim);
    for (uint32_t k = 0; k < s.member.n; k++) {
        Ref r = s.member.at[k];
        NodeInfo *ni = &lg->ni[r];
        ni->at_row = 0;
        if (ni->sweep == SWEEP_TOTAL)
            ni->row = reduce_lanes(&lg->L->b, &lg->g->node.at[r], s.total + k * LANES, LANES / lg->L->p->V);
        for (uint32_t i = 0; ni->sweep == SWEEP_COLUMN && i < ni->also.n; i++)
            copy_loops(lg, r, &ni->also.at[i]);
    }
}

void emit_sweeps(LowG *lg, const Stage *it, uint32_t level)
{
    bool *done = NEW_N(lg->L->arena, bool, it->node.n);
    for (uint32_t k = 0; k < it->node.n; k++)
        if (!done[k] && lg->ni[it->node.at[k].ref].sweep && lg->ni[it->node.at[k].ref].loop_phase == level)
            emit_sweep(lg, it, k, done);
}
