/* lower_loops: places. Where a value stands (Loc), the address of its row, and the lifetimes that plan_memory reads.
   before:  %8 : f<T,B>[100], wanted in memory        %9 = slice %8 {0} 50 100
   after:   buf 7 "h_3" slab f extent 112*d0*d1: row (t, b) at 112 * (t * d0 + b), element i at + i; %9 is the same + 50
   Rows are padded to 16, and by 16 more where that is a multiple of 256 (rows a power of two apart share cache sets); a chunk or
   a segment has memory for its own steps only. low_touch and the loop ranges record where a buffer is used. */
#include "passes/lower_int.h"

const char *low_name(Low *L, const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    const char *s = n->name ? name_str(L->ctx, n->name) : op_info[n->op].text;
    return arena_printf(L->arena, "%s_%u", s, ++L->nname);
}

/* One buffer of [axes, per_row], with one more slot along axis `slots`. */
uint32_t low_buf(Low *L, const char *name, LBufRole role, LElem e, uint32_t index, uint32_t axes, int64_t per_row, uint32_t slots)
{
    LExtent x = { .n = 1 };
    x.term[0] = (LMono){ per_row, extent_dims(L, axes) };
    if (slots) {
        x.term[1] = (LMono){ per_row, axes & ~AX(slots) };
        x.n = 2;
    }
    uint32_t k = lprogram_add_buf(L->p, name, role, e, index, x);
    LBuf *b = &L->p->buf.at[k];
    b->first = UINT32_MAX;
    b->last = 0;
    return k;
}

static int64_t padded(int64_t n)
{
    if (n == 1)
        return 1;
    n = (n + 15) / 16 * 16;
    return n % 256 == 0 ? n + 16 : n; /* rows a power of two apart fall into the same cache sets */
}

static void dense_strides(Loc *l, const Node *n)
{
    int64_t s = 1;
    for (int d = n->rank; d-- > 0;) {
        l->fs[d] = s;
        s *= n->dim[d];
    }
}

/* Fresh memory of the lowering's own for a value with these axes. */
Loc low_slab(LowG *lg, Ref r, uint32_t axes, const char *what)
{
    Low *L = lg->L;
    const Node *n = &lg->g->node.at[r];
    Loc l = { .ok = true, .elem = (uint8_t)elem_of(n), .axes = axes };
    l.ld = padded(node_features(n));
    l.spare = l.ld > 1 && n->rank == 1;
    dense_strides(&l, n);
    l.buf = low_buf(L, what ? what : low_name(L, lg->g, r), L->prepare ? LB_PACK : LB_SLAB, (LElem)l.elem, 0, axes, l.ld, 0);
    l.seg = L->seg && (axes & AX(L->seg - 1)) ? L->seg : 0;
    return l;
}

Loc low_chunk_slab(LowG *lg, Ref r, uint32_t axis)
{
    Low *L = lg->L;
    uint32_t axes = lg->g->node.at[r].axes;
    Loc l = low_slab(lg, r, axes, NULL);
    LExtent *x = &L->p->buf.at[l.buf].extent; /* ceil(CHUNK_ROWS / B) steps of B rows, or all */
    x->term[0] = (LMono){ l.ld * CHUNK_ROWS, axes & ~AX(axis) & ~AX(L->bx) };
    x->term[1] = (LMono){ l.ld, axes & ~AX(axis) };
    x->n = 2;
    x->most = (LMono){ l.ld, axes };
    if (L->o.one_step || single_chunks(lg, lg->ni[r].group)) {
        x->term[0] = x->term[1];
        x->n = 1;
        x->most = (LMono){ 0, 0 };
    }
    l.chunk = 1 + axis;
    l.seg = 0;
    return l;
}

Loc low_row_slab(LowG *lg, Ref r)
{
    Low *L = lg->L;
    Loc l = low_slab(lg, r, 0, NULL);
    l.own = !L->serial;
    if (l.own)
        L->p->buf.at[l.buf].extent.term[0].dims = UINT64_C(1) << LDIM_NT;
    return l;
}

Loc low_jam_slab(LowG *lg, Ref r)
{
    Loc l = low_slab(lg, r, lg->g->node.at[r].axes, NULL);
    lg->L->p->buf.at[l.buf].extent.term[0].coef *= JAM_STEPS;
    l.jam = true;
    return l;
}

/* On the stack: memory for one row. */
Loc low_local(LowG *lg, Ref r)
{
    Loc l = low_slab(lg, r, 0, NULL);
    LBuf *b = &lg->L->p->buf.at[l.buf];
    b->role = LB_LOCAL;
    b->index = lg->L->b.fn;
    return l;
}

/* Whether the frame of the entry being built has no room for so many numbers more. */
bool low_frame_full(const Low *L, int64_t numbers)
{
    if (!L->o.frame || L->prepare)
        return false;
    for (uint32_t k = 0; k < L->p->buf.n; k++) {
        const LBuf *b = &L->p->buf.at[k];
        if (b->role == LB_LOCAL && b->index == L->b.fn)
            numbers += b->extent.term[0].coef;
    }
    return numbers > L->o.frame;
}

/* Memory for the rows of a matrix that a sweep is at. */
Loc low_matrix_row(LowG *lg, Ref r)
{
    enum { LARGE = 4096 };
    Low *L = lg->L;
    const Node *n = &lg->g->node.at[r];
    int32_t F = n->dim[n->rank - 1];
    int64_t ld = padded(F) * SWEEP_BLOCK;
    Loc l = F <= LARGE && !low_frame_full(L, ld) ? low_local(lg, r) : low_row_slab(lg, r);
    l.ld = ld;
    L->p->buf.at[l.buf].extent.term[0].coef = l.ld;
    for (uint32_t d = 0; d + 1 < n->rank; d++)
        l.fs[d] = 0;
    return l;
}

void low_touch(Low *L, uint32_t buf)
{
    if (buf & LBUF_PARAM)
        return;
    LBuf *b = &L->p->buf.at[buf];
    if (b->role != LB_SLAB)
        return;
    if (b->first == UINT32_MAX || L->pos < b->first)
        b->first = L->pos;
    if (L->pos > b->last)
        b->last = L->pos;
}

/* The positions of a loop: what is written in one iteration and read in another, or outside, lives through all of them. */
uint32_t loop_begin(Low *L)
{
    VEC_PUSH(L->arena, L->loop) = (LoopRange){ L->pos, UINT32_MAX };
    return L->loop.n - 1;
}

void loop_finish(Low *L, uint32_t loop)
{
    L->loop.at[loop].end = L->pos;
}

static LV axis_steps(Low *L, uint32_t a)
{
    return lb_op(&L->b, LOP_DIM, 0, 0, 0, a);
}

const LCut *cut_of(const Low *L, uint32_t axis)
{
    for (uint32_t k = 0; k < L->p->cut.n; k++)
        if (L->p->cut.at[k].axis == axis)
            return &L->p->cut.at[k];
    return NULL;
}

LV axis_lo(Low *L, uint32_t a)
{
    return L->chunk == 1 + a ? L->clo : L->seg == 1 + a ? L->slo : lb_iconst(&L->b, 0);
}

LV axis_hi(Low *L, uint32_t a)
{
    return L->chunk == 1 + a ? L->chi : L->seg == 1 + a ? L->shi : axis_steps(L, a);
}

LV axis_len(Low *L, uint32_t a)
{
    if (L->chunk == 1 + a)
        return lb_op(&L->b, LOP_ISUB, L->chi, L->clo, 0, 0);
    return L->seg == 1 + a ? lb_op(&L->b, LOP_ISUB, L->shi, L->slo, 0, 0) : axis_steps(L, a);
}

uint64_t extent_dims(const Low *L, uint32_t axes)
{
    if (!L->seg || !(axes & AX(L->seg - 1)))
        return axes;
    return (axes & ~AX(L->seg - 1)) | UINT64_C(1) << cut_of(L, L->seg - 1)->steps;
}

bool low_is_fixed(const Low *L, const Loc *l)
{
    for (uint32_t a = 0; a < L->m->naxis; a++)
        if ((l->axes & AX(a)) && l->at[a])
            return true;
    return false;
}

/* Row number of a place: the step of a block, indices of its time axes in ascending order, the row axis innermost. */
LIdx low_row_at(Low *L, const Loc *l, LV row)
{
    LBuilder *b = &L->b;
    LV r = l->jam ? L->jam_at : 0;
    for (uint32_t a = 0; a < L->m->naxis; a++) {
        if (a == L->bx || !(l->axes & AX(a)))
            continue;
        LV i = l->at[a] ? l->at[a] : L->idx[a] ? L->idx[a] : lb_iconst(b, 0);
        if (l->slots == a && l->shift && !l->at[a])
            i = lb_op(b, LOP_IADD, i, lb_iconst(b, l->shift), 0, 0);
        if (l->chunk == 1 + a)
            i = lb_op(b, LOP_ISUB, i, L->clo, 0, 0);
        if (l->seg == 1 + a)
            i = lb_op(b, LOP_ISUB, i, L->slo, 0, 0);
        if (r) {
            LV n = l->seg == 1 + a ? axis_steps(L, cut_of(L, a)->steps) : axis_steps(L, a);
            if (l->slots == a)
                n = lb_op(b, LOP_IADD, n, lb_iconst(b, 1), 0, 0);
            r = lb_op(b, LOP_IMUL, r, n, 0, 0);
            r = lb_op(b, LOP_IADD, r, i, 0, 0);
        } else {
            r = i;
        }
    }
    if (l->axes & AX(L->bx)) {
        if (r)
            r = lb_op(b, LOP_IMUL, r, axis_steps(L, L->bx), 0, 0);
        LIdx x = lidx(l->foff);
        if (r)
            x = lb_idx_term(b, x, r, l->ld);
        return row ? lb_idx_term(b, x, row, l->ld) : x;
    }
    LIdx x = lidx(l->foff);
    if (l->own)
        r = lb_op(b, LOP_TID, 0, 0, 0, 0);
    return r ? lb_idx_term(b, x, r, l->ld) : x;
}

LIdx low_row(Low *L, const Loc *l)
{
    return low_row_at(L, l, L->idx[L->bx]);
}

/* Place of shape operation r as a view of its operand's place; !ok when the operand has none or the view is not affine. */
Loc low_view(LowG *lg, Ref r)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    Loc x = low_loc(lg, n->in[0]), l = x;
    const Node *o = &g->node.at[n->in[0]];
    const uint32_t *w = n->op == OP_RESHAPE ? NULL : node_attr(g, r);
    if (!x.ok)
        return x;
    memset(l.fs, 0, sizeof l.fs);
    switch (n->op) {
    case OP_SLICE:
        memcpy(l.fs, x.fs, sizeof l.fs);
        l.foff += x.fs[w[0]] * (int32_t)w[1];
        break;
    case OP_TRANSPOSE:
        for (uint32_t d = 0; d < n->rank; d++)
            l.fs[d] = x.fs[w[d]];
        break;
    case OP_EXPAND:
        for (uint32_t d = 0; d < n->rank; d++)
            l.fs[d] = (int32_t)w[d] >= 0 && o->dim[w[d]] > 1 ? x.fs[w[d]] : 0;
        break;
    default: { /* reshape: only of a dense row */
        int64_t s = 1;
        for (int d = o->rank; d-- > 0;) {
            if (o->dim[d] > 1 && x.fs[d] != s)
                l.ok = false;
            s *= o->dim[d];
        }
        dense_strides(&l, n);
        break;
    }
    }
    return l;
}

/* Place of a value; !ok when it is not in memory. */
Loc low_loc(LowG *lg, Ref r)
{
    const NodeInfo *ni = &lg->ni[r];
    return ni->loc.ok || ni->kind != NK_ACCESS ? ni->loc : low_view(lg, r);
}

Loc low_at(Low *L, Loc l, uint32_t axis, LV t)
{
    if (!(l.axes & AX(axis)) || l.at[axis])
        return l;
    int shift = l.slots == axis ? l.shift : 0;
    l.at[axis] = shift ? lb_op(&L->b, LOP_IADD, t, lb_iconst(&L->b, shift), 0, 0) : t;
    return l;
}

/* A place of the whole axis of bg's scan, at its step. */
Loc low_at_step(const LowG *bg, Loc l)
{
    return low_at(bg->L, l, bg->axis, bg->t);
}
