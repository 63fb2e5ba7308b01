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
    LV v = reduce_next(e, n, held ? *held : load_value(&to, &lg->ni[r].loc, n), o->rank, e->ix, false);
    if (held)
        *held = v;
    else
        store_value(&to, &lg->ni[r].loc, n, v);
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
    for (uint32_t k = 0; k < f->reduce.n; k++)
        acc[k] = reduce_next(&e, &lg->g->node.at[f->reduce.at[k]], acc[k], rank, e.ix, true);
    for (uint32_t k = 0; k < f->column.n; k++)
        add_column(&e, f->column.at[k], f->held ? &f->held[k] : NULL);
    for (uint32_t k = 0; k < f->node.n; k++)
        store_all(&e, f->node.at[k], eval_known(&e, f->node.at[k]));
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

/* ---- copies --------------------------------------------------------------------------------------------------------------- */

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
        emit_nest(lg, r);
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
        store_all(&e, it->node.at[k].ref, eval_known(&e, it->node.at[k].ref));
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
