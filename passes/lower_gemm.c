/* lower_loops: product stages, panel by panel (docs/ir.md, "tiles"; lower_tiles.c has the tiles).
   before:  run product <B> : %8 %7        (%7 = dot %1 %4, %8 = add %3 %7)
   after:   for panels of U { call rows_1_from(h[..], U_packed[..], P[..], out[..], K, strides, lo, hi) }
            and, in "prepare", the loops that pack U into panels
   Gradients, which are the same with columns of a stack in place of rows of a matrix: lower_gradient.c. */
#include "passes/lower_int.h"

/* ---- how N columns are cut into panels ------------------------------------------------------------------------------------ */

Panels cut_panels(const Low *L, int64_t N, int64_t max)
{
    int64_t V = L->o.V, unit = L->o.panel ? 16 / V : 1, nv = (N + V - 1) / V, count = (nv + max - 1) / max;
    Panels p = { .w = (int)((nv + count * unit - 1) / (count * unit) * unit) };
    p.full = N / (p.w * V);
    int64_t left = N - p.full * p.w * V;
    p.last = (int)((left + V - 1) / V);
    p.tail = (int)(left % V);
    p.width = L->o.panel ? (left + 15) / 16 * 16 : p.last * V;
    return p;
}

/* For tiles of several rows. A single vector that is left over is part of the panel before it, whose tiles then have fewer rows: alone it
   would keep few of the multiply-adds busy, and read the left operand once more. */
Panels cut_tiles(const Low *L, int64_t N)
{
    int64_t most = tile_registers(L) / TILE_ROWS;
    Panels p = cut_panels(L, N, most);
    if (p.last == 1 && p.w == most && !L->o.panel) {
        p.full--;
        p.last += p.w;
        p.width += (int64_t)p.w * L->o.V;
    }
    return p;
}

/* A matrix that single rows are multiplied by is one panel if it can, else panels of 8 vectors, as many chains as hide the latency
   of a multiply-add; tiles of more rows take such a panel in parts. Short panels have 4, so that the zigzag finds the last ones in the
   first cache; the latency is that of the second one then. In emitted C panels are as wide for all widths of vectors. */
Panels cut_product(const Low *L, int64_t N)
{
    if (L->o.panel)
        return cut_panels(L, N, (N <= 2 * L->o.panel && !L->o.turns ? 2 : 1) * L->o.panel / L->o.V);
    if (L->o.batch == 1)
        return cut_panels(L, N, L->short_panels ? 4 : N <= TILE_VECTORS * L->o.V ? TILE_VECTORS : 8);
    return cut_tiles(L, N);
}

/* Of the product that ends in r, or of a dot of it. */
static Panels panels_of(const LowG *lg, Ref r)
{
    int64_t N = lg->g->node.at[r].dim[0];
    return lg->ni[r].beside ? cut_panels(lg->L, N, BESIDE_VECTORS) : cut_product(lg->L, N);
}

/* ---- packing ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t K, N, sk, sn; /* element (k, n) of the right operand is at foff + k * sk + n * sn */
    Loc at;
} Right;

static Right right_operand(LowG *lg, Ref dot)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[dot];
    DotInfo d;
    GemmKind kind;
    dot_is_gemm(g, dot, &d, &kind);
    Ref right = n->in[d.swapped ? 0 : 1];
    const uint32_t *w = node_attr(g, dot) + (d.swapped ? 0 : 3);
    const Node *r = &g->node.at[right];
    Right x = { .at = low_loc(lg, right) };
    int kd = w[0] == d.k[0] ? 0 : 1;
    x.K = r->dim[kd];
    x.N = r->dim[1 - kd];
    x.sk = x.at.fs[kd];
    x.sn = x.at.fs[1 - kd];
    return x;
}

/* Column n of one k, or a vector of them. */
static void pack_columns(Low *L, const Right *r, uint32_t pack, LIdx from, LIdx to, int64_t n, bool vector)
{
    LBuilder *b = &L->b;
    LV v = lb_load(b, vector ? LOP_LD : LOP_LDB, r->at.buf, lidx_past(from, n * r->sn), vector ? L->p->V : 0);
    lb_store(b, vector ? LOP_ST : LOP_ST1, pack, lidx_past(to, n), v, vector ? L->p->V : 0);
}

/* Copies the columns of full panel `panel` (0: the only one). */
static void pack_panel(Low *L, const Right *r, uint32_t pack, LV panel, int64_t width)
{
    LBuilder *b = &L->b;
    int V = L->p->V;
    LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, r->K), 1, false, 0, NULL, NULL);
    LIdx from = lb_idx_term(b, low_row(L, &r->at), k, r->sk), to = lb_idx_term(b, lidx(0), k, width);
    if (panel) {
        from = lb_idx_term(b, from, panel, width * r->sn);
        to = lb_idx_term(b, to, panel, r->K * width);
    }
    for (int64_t n = 0; r->sn == 1 && n < width; n += V)
        pack_columns(L, r, pack, from, to, n, true);
    if (r->sn != 1) {
        LV n = lb_for(b, lb_iconst(b, 0), lb_iconst(b, width), 1, false, 0, NULL, NULL);
        pack_columns(L, r, pack, lb_idx_term(b, from, n, r->sn), lb_idx_term(b, to, n, 1), 0, false);
        lb_end_for(b, 0, NULL, NULL);
    }
    lb_end_for(b, 0, NULL, NULL);
}

/* The last panel, of another width than the others: columns from n0 on, `width` of them, zeros behind the last. */
static void pack_last(Low *L, const Right *r, uint32_t pack, int64_t n0, int64_t width)
{
    LBuilder *b = &L->b;
    LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, r->K), 1, false, 0, NULL, NULL);
    LIdx from = lb_idx_term(b, low_row(L, &r->at), k, r->sk), to = lb_idx_term(b, lidx(n0 * r->K), k, width);
    from.c0 += n0 * r->sn;
    int64_t have = r->N - n0, n = 0;
    if (r->sn == 1)
        for (; n + L->p->V <= have; n += L->p->V)
            pack_columns(L, r, pack, from, to, n, true);
    else if (have >= L->p->V) {
        LV j = lb_for(b, lb_iconst(b, 0), lb_iconst(b, have), 1, false, 0, NULL, NULL);
        pack_columns(L, r, pack, lb_idx_term(b, from, j, r->sn), lb_idx_term(b, to, j, 1), 0, false);
        lb_end_for(b, 0, NULL, NULL);
        n = have;
    }
    for (; n < have; n++)
        pack_columns(L, r, pack, from, to, n, false);
    for (; n < width; n++)
        lb_store(b, LOP_ST1, pack, lidx_past(to, n), lb_fconst(b, 0), 0);
    lb_end_for(b, 0, NULL, NULL);
}

static bool same_right(const Right *a, int w, const Pack *p)
{
    return p->w == w && p->at.buf == a->at.buf && p->at.foff == a->at.foff && p->sk == a->sk && p->sn == a->sn && p->K == a->K && p->N == a->N;
}

/* Panels [N / W][K][W] of the right operand of a product, once per operand: those of rate load in "prepare", others where they are used. */
uint32_t low_pack(LowG *lg, Ref dot)
{
    Low *L = lg->L;
    Right r = right_operand(lg, dot);
    if (!r.at.ok) {
        low_fail(L, "a matrix that is not in memory");
        return 0;
    }
    Panels p = panels_of(lg, dot);
    for (uint32_t k = 0; k < L->packs.n; k++)
        if (same_right(&r, p.w, &L->packs.at[k]))
            return L->packs.at[k].buf;
    int64_t W = (int64_t)p.w * L->p->V, last = p.width;
    uint32_t buf = low_buf(L, low_name(L, lg->g, dot), L->prepare ? LB_PACK : LB_SLAB, LE_F, 0, 0, p.full * r.K * W + r.K * last, 0);
    low_touch(L, buf);
    low_touch(L, r.at.buf);
    if (p.full) {
        LV j = p.full == 1 ? 0 : lb_for(&L->b, lb_iconst(&L->b, 0), lb_iconst(&L->b, p.full), 1, false, 0, NULL, NULL);
        pack_panel(L, &r, buf, j, W);
        if (j)
            lb_end_for(&L->b, 0, NULL, NULL);
    }
    if (p.last)
        pack_last(L, &r, buf, p.full * W, last);
    VEC_PUSH(L->arena, L->packs) = (Pack){ r.at, r.K, r.N, r.sk, r.sn, p.w, buf };
    return buf;
}

/* ---- rows x matrix ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Loc A;
    uint32_t pack;
    int64_t K;
    bool late; /* the first step leaves it out: its rows are 0 there */
} Segment;

typedef struct {
    LowG *lg;
    Segment seg[16];
    uint32_t nseg;
    int64_t N;
    uint32_t axes;
    Loc C0, C;
    Panels p;
    Ref end;
    bool early; /* the last step leaves all of it out: nobody reads what it would give */
} Product;

/* Whether products of this body may leave out a step: not where single rows are multiplied in ways of their own, whose K is known. */
static bool leaves_out(const LowG *lg)
{
    return lg->body && !lg->segment && !lg->L->seg && !lg->L->o.one_row && !lg->L->o.one_step;
}

static void add_segment(LowG *lg, Ref dot, Product *q)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[dot];
    DotInfo d;
    GemmKind kind;
    dot_is_gemm(g, dot, &d, &kind);
    if (q->nseg == sizeof q->seg / sizeof *q->seg) {
        low_fail(lg->L, "a sum of more than 16 products");
        return;
    }
    Segment *s = &q->seg[q->nseg++];
    s->A = low_loc(lg, n->in[d.swapped ? 1 : 0]);
    s->K = g->node.at[n->in[d.swapped ? 1 : 0]].dim[0];
    s->pack = low_pack(lg, dot);
    s->late = leaves_out(lg) && zero_at_first(lg, n->in[d.swapped ? 1 : 0]);
    if (!s->A.ok)
        low_fail(lg->L, "a row operand that is not in memory");
}

/* The dots of a stage's accumulator, in its order. */
static void add_segments(LowG *lg, const Stage *s, Product *q)
{
    for (uint32_t k = s->node.n > 1; k < s->node.n; k++)
        add_segment(lg, s->node.at[k].ref, q);
}

static int64_t row_stride(const Low *L, const Loc *l)
{
    return l->axes & AX(L->bx) ? l->ld : 0;
}

/* Column offset of a panel: n0 + j * W. */
LIdx at_column(LBuilder *b, LIdx i, LV j, int64_t step, int64_t n0)
{
    i.c0 += n0;
    return j ? lb_idx_term(b, i, j, step) : i;
}

/* 0 in the first step that the scan makes (last: in its last one), else 1. */
static LV but_one_step(const LowG *bg, bool last)
{
    Low *L = bg->L;
    LBuilder *b = &L->b;
    LV one = lb_iconst(b, 1), t = bg->t;
    if (last != (bool)bg->scan.reverse)
        t = lb_op(b, LOP_ISUB, lb_op(b, LOP_ISUB, lb_op(b, LOP_DIM, 0, 0, 0, bg->axis), one, 0, 0), t, 0, 0);
    return lb_op(b, LOP_IMIN, t, one, 0, 0);
}

/* How much of K a segment has in this step. */
static LV segment_k(const Product *q, const Segment *s)
{
    LBuilder *b = &q->lg->L->b;
    LV k = lb_iconst(b, s->K);
    if (q->early)
        k = lb_op(b, LOP_IMUL, but_one_step(q->lg, true), k, 0, 0);
    return s->late ? lb_op(b, LOP_IMUL, but_one_step(q->lg, false), k, 0, 0) : k;
}

/* One panel: nv vectors that start at column n0 + j * W, in a pack of `width` columns at pack0. */
static TileRows *panel_rows(Product *q, LV j, int64_t n0, int64_t width, int nv, int tail)
{
    Low *L = q->lg->L;
    LBuilder *b = &L->b;
    int64_t W = (int64_t)q->p.w * L->p->V;
    TileRows *t = NEW(L->arena, TileRows);
    *t = (TileRows){ .nv = nv, .tail = tail, .nseg = q->nseg, .from = q->C0.ok, .p_stride = lb_iconst(b, width) };
    t->C = (TileOperand){ q->C.buf, at_column(b, low_row_at(L, &q->C, 0), j, W, n0), lb_iconst(b, row_stride(L, &q->C)) };
    if (q->C0.ok)
        t->C0 = (TileOperand){ q->C0.buf, at_column(b, low_row_at(L, &q->C0, 0), j, W, n0), lb_iconst(b, row_stride(L, &q->C0)) };
    for (uint32_t s = 0; s < q->nseg; s++) {
        const Segment *g = &q->seg[s];
        LV stride = lb_iconst(b, row_stride(L, &g->A));
        t->A[s] = (TileOperand){ g->A.buf, low_row_at(L, &g->A, 0), stride };
        t->a_stride[s] = stride;
        t->P[s] = (TileOperand){ g->pack, at_column(b, lidx(0), j, g->K * W, n0 * g->K), 0 };
        t->K[s] = segment_k(q, g);
    }
    return t;
}

/* 1 in every other step of a scan, else 0. A program for one step is told which it is, one about one example which its first is. */
static LV odd_step(const LowG *lg)
{
    const Low *L = lg->L;
    LBuilder *b = &lg->L->b;
    if (L->o.one_step)
        return L->o.turns ? lb_op(b, LOP_DIM, 0, 0, 0, LDIM_TURN) : lb_iconst(b, 0);
    LV two = lb_iconst(b, 2), t = L->o.one_row ? lb_op(b, LOP_IADD, lg->t, lb_op(b, LOP_DIM, 0, 0, 0, LDIM_TURN), 0, 0) : lg->t;
    return lb_op(b, LOP_ISUB, t, lb_op(b, LOP_IMUL, lb_op(b, LOP_IDIV, t, two, 0, 0), two, 0, 0), 0, 0);
}

/* Zigzag: odd steps of a scan walk the panels lo .. hi backwards, so that those read last are still in the near cache. */
static LV zigzag(LowG *lg, LV j, LV lo, LV hi)
{
    LBuilder *b = &lg->L->b;
    LV one = lb_iconst(b, 1), two = lb_iconst(b, 2), odd, last;
    if (!lg->body)
        return j;
    odd = odd_step(lg);
    last = lb_op(b, LOP_ISUB, lb_op(b, LOP_IADD, lo, lb_op(b, LOP_ISUB, hi, one, 0, 0), 0, 0), lb_op(b, LOP_IMUL, j, two, 0, 0), 0, 0);
    return lb_op(b, LOP_IADD, j, lb_op(b, LOP_IMUL, odd, last, 0, 0), 0, 0);
}

typedef enum { WALK_TURNS, WALK_UP, WALK_DOWN } Walk;

/* The full panels; where threads share columns, this thread's. */
static void full_panels(Product *q, LV lo, LV hi, Walk walk)
{
    Low *L = q->lg->L;
    LBuilder *b = &L->b;
    int64_t W = (int64_t)q->p.w * L->p->V;
    bool share = L->columns && !L->serial;
    LV first = lb_iconst(b, 0), end = lb_iconst(b, q->p.full);
    if (!q->p.full)
        return;
    if (share)
        low_share(L, q->p.full, &first, &end);
    LV j = q->p.full == 1 && !share ? 0 : lb_for(b, first, end, 1, walk == WALK_DOWN, 0, NULL, NULL);
    LV at = j && walk == WALK_TURNS ? zigzag(q->lg, j, first, end) : j;
    TileRows *t = panel_rows(q, at, 0, W, q->p.w, 0);
    if (!beside_panel(q->lg, q->end, t, at) && !behind_panel(q->lg, q->end, t, at))
        tile_rows(L, t, lo, hi);
    if (j)
        lb_end_for(b, 0, NULL, NULL);
}

/* The last one, if it is narrower; where threads share columns, by thread 0. */
static void last_panel(Product *q, LV lo, LV hi)
{
    Low *L = q->lg->L;
    LBuilder *b = &L->b;
    bool share = L->columns && !L->serial;
    if (!q->p.last)
        return;
    if (share)
        lb_if_lt(b, lb_op(b, LOP_TID, 0, 0, 0, 0), lb_iconst(b, 1));
    tile_rows(L, panel_rows(q, 0, q->p.full * q->p.w * L->p->V, q->p.width, q->p.last, q->p.tail), lo, hi);
    if (share)
        lb_end_if(b);
}

static void gemm_rows(Product *q, LV lo, LV hi)
{
    full_panels(q, lo, hi, WALK_TURNS);
    last_panel(q, lo, hi);
}

/* The rows over `axes` follow each other in memory, from the one with all indices 0 on: one product over T * B rows instead
   of T over B. Axes with an index of their own lie outside. */
bool flat_rows(const Low *L, const Loc *l, uint32_t axes)
{
    if (!l->ok)
        return true;
    if (l->jam)
        return false;
    uint32_t own = 0;
    for (uint32_t a = 0; a < L->m->naxis; a++)
        own |= l->at[a] ? AX(a) : 0;
    uint32_t rest = l->axes & ~own, time = rest & ~AX(L->bx), lowest = time & (~time + 1);
    own &= l->axes;
    if (L->seg && (time & AX(L->seg - 1)) && lowest != AX(L->seg - 1))
        return false; /* a segment of an inner axis has gaps */
    return rest == axes && !(own & AX(L->bx)) && (!time || own < lowest) && (!(rest & AX(l->slots)) || !l->slots || AX(l->slots) == lowest);
}

static void gemm_body(LowG *lg, void *arg)
{
    Product *q = arg;
    LBuilder *b = &lg->L->b;
    if (q->axes & AX(lg->L->bx))
        gemm_rows(q, lg->L->columns ? lb_iconst(b, 0) : lg->L->blo, lg->L->bhi);
    else
        gemm_rows(q, lb_iconst(b, 0), lb_iconst(b, 1));
}

static void touch_product(Product *q)
{
    Low *L = q->lg->L;
    for (uint32_t s = 0; s < q->nseg; s++) {
        low_touch(L, q->seg[s].A.buf);
        low_touch(L, q->seg[s].pack);
    }
    if (q->C0.ok)
        low_touch(L, q->C0.buf);
    low_touch(L, q->C.buf);
}

/* Segments and starting value of a stage's accumulator. */
static void gemm_operands(LowG *lg, const Stage *s, Product *q)
{
    Low *L = lg->L;
    Ref base = lg->ni[s->node.at[0].ref].base, sunk = base ? sunk_product(lg, base) : 0;
    if (sunk) { /* the accumulator starts with the outer product's chain, at this step */
        base = lg->up->ni[sunk].base;
        add_segments(lg->up, &lg->up->g->stage.at[lg->up->ni[sunk].item - 1], q);
        for (uint32_t k = 0; k < q->nseg; k++)
            q->seg[k].A = low_at_step(lg, q->seg[k].A);
        if (base)
            q->C0 = low_at_step(lg, low_loc(lg->up, base));
    } else if (base) {
        q->C0 = low_loc(lg, base);
    }
    if (base && !q->C0.ok)
        low_fail(L, "a product's base that is not in memory");
    add_segments(lg, s, q);
}

static bool gemm_is_flat(const Low *L, const Product *q)
{
    uint32_t open = 0;
    for (uint32_t a = 1; a < L->m->naxis; a++)
        open += (q->axes & AX(a)) && !L->idx[a];
    bool same = !(q->C0.axes & q->axes); /* one row, such as a bias, starts every row's accumulators */
    bool flat = open > 0 && (q->axes & AX(L->bx)) && flat_rows(L, &q->C, q->axes) && (same || flat_rows(L, &q->C0, q->axes));
    for (uint32_t s = 0; s < q->nseg; s++)
        flat &= flat_rows(L, &q->seg[s].A, q->axes);
    return flat && (!L->chunk || q->axes == (AX(L->chunk - 1) | AX(L->bx)));
}

/* Rows lo .. lo + rows in blocks whose operand stays in the near cache while the panels pass by. */
static void blocks_of_rows(Product *q, LV lo, LV rows)
{
    Low *L = q->lg->L;
    LBuilder *b = &L->b;
    LV size = lb_iconst(b, CHUNK_ROWS), hi = lb_op(b, LOP_IADD, lo, rows, 0, 0);
    if (L->chunk) { /* as many at most */
        gemm_rows(q, lo, hi);
        return;
    }
    LV count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, rows, lb_iconst(b, CHUNK_ROWS - 1), 0, 0), size, 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), count, 1, false, 0, NULL, NULL);
    LV first = lb_op(b, LOP_IADD, lo, lb_op(b, LOP_IMUL, k, size, 0, 0), 0, 0);
    gemm_rows(q, first, lb_op(b, LOP_IMIN, lb_op(b, LOP_IADD, first, size, 0, 0), hi, 0, 0));
    lb_end_for(b, 0, NULL, NULL);
}

/* With one thread the rows of all steps (of this chunk), else each thread its rows of every step. */
static void flat_gemm(Product *q)
{
    Low *L = q->lg->L;
    LBuilder *b = &L->b;
    LV one = lb_iconst(b, 1), zero = lb_iconst(b, 0), nt = lb_op(b, LOP_NT, 0, 0, 0, 0), B = lb_op(b, LOP_DIM, 0, 0, 0, L->bx);
    LV many = L->columns ? zero : lb_op(b, LOP_IMIN, lb_op(b, LOP_ISUB, nt, one, 0, 0), one, 0, 0); /* 0 or 1 */
    LV steps = one, start = zero;
    for (uint32_t a = 1; a < L->m->naxis; a++)
        if (q->axes & AX(a) && a != L->bx) {
            steps = lb_op(b, LOP_IMUL, steps, axis_len(L, a), 0, 0);
            start = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, start, axis_len(L, a), 0, 0), axis_lo(L, a), 0, 0);
        }
    LV outer = lb_op(b, LOP_IADD, one, lb_op(b, LOP_IMUL, many, lb_op(b, LOP_ISUB, steps, one, 0, 0), 0, 0), 0, 0);
    LV all = lb_op(b, LOP_IMUL, steps, B, 0, 0);
    LV span = lb_op(b, LOP_ISUB, L->bhi, L->blo, 0, 0);
    LV rows = lb_op(b, LOP_IADD, all, lb_op(b, LOP_IMUL, many, lb_op(b, LOP_ISUB, span, all, 0, 0), 0, 0), 0, 0);
    LV first = lb_op(b, LOP_IMUL, many, L->blo, 0, 0);
    LV o = lb_for(b, zero, outer, 1, false, 0, NULL, NULL);
    LV lo = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, lb_op(b, LOP_IADD, o, start, 0, 0), B, 0, 0), first, 0, 0);
    blocks_of_rows(q, lo, rows);
    lb_end_for(b, 0, NULL, NULL);
}

/* Of a product that goes on beside the steps: the rows that stand before them, and the columns that no tile has. */
static void first_rows(Product *q)
{
    Low *L = q->lg->L;
    LV lo, hi;
    if (q->C0.axes == AX(L->bx)) /* what the example starts with starts every step's accumulators */
        q->C0.axes = 0;
    beside_first(q->lg, q->end, &lo, &hi);
    full_panels(q, lo, hi, WALK_TURNS);
    last_panel(q, L->clo, L->chi);
}

/* Which steps compute a product of the body. */
static const char *in_steps(const Product *q)
{
    bool some = false, all = true;
    for (uint32_t s = 0; s < q->nseg; s++) {
        some |= q->seg[s].late;
        all &= q->seg[s].late;
    }
    if (q->early)
        return some ? "each step but the last, which nobody reads, and what is 0 in the first" : "each step but the last, which nobody reads";
    return all ? "each step but the first, where its rows are 0" : some ? "each step, but for the rows that are 0 in the first" : "each step";
}

static void explain_gemm(const Product *q, Ref end, bool flat)
{
    Low *L = q->lg->L;
    const Node *n = &q->lg->g->node.at[end];
    if (!L->explain)
        return;
    str_printf(L->explain, "product %%%u%s%s%s: %u segment%s, K", end, n->name ? " (" : "",
               n->name ? name_str(L->ctx, n->name) : "", n->name ? ")" : "", q->nseg, q->nseg > 1 ? "s" : "");
    for (uint32_t s = 0; s < q->nseg; s++)
        str_printf(L->explain, "%s%lld", s ? " + " : " ", (long long)q->seg[s].K);
    str_printf(L->explain, ", N %lld, %s\n", (long long)q->N,
               q->lg->body ? in_steps(q) : q->lg->ni[end].beside ? "beside the products of the steps" : L->chunk ? "in chunks of steps" : flat ? "all steps at once" : "step by step");
}

static Product *make_product(LowG *lg, const Stage *s)
{
    Low *L = lg->L;
    Ref end = s->node.at[0].ref;
    const Node *n = &lg->g->node.at[end];
    Product *q = NEW(L->arena, Product);
    q->lg = lg;
    q->N = n->dim[0];
    q->axes = n->axes;
    q->C = lg->ni[end].loc;
    q->p = panels_of(lg, end);
    q->end = end;
    q->early = leaves_out(lg) && !lg->read_at_last[end];
    gemm_operands(lg, s, q);
    return q;
}

/* ---- products of one row ------------------------------------------------------------------------------------------------------- */

typedef struct {
    Product *q[TILE_VECTORS];
    uint32_t n;
} Together;

static int only_panel(const Product *q) /* its vectors; 0: there are more */
{
    return q->p.full + (q->p.last > 0) > 1 ? 0 : q->p.full ? q->p.w : q->p.last;
}

static bool same_place(const Loc *a, const Loc *b)
{
    return a->buf == b->buf && a->foff == b->foff && a->ld == b->ld && a->axes == b->axes && a->slots == b->slots && a->shift == b->shift &&
           a->chunk == b->chunk && a->seg == b->seg && memcmp(a->at, b->at, sizeof a->at) == 0;
}

/* Whether nothing of the stage is to be made before its product: matrices are packed, no product of another graph begins it. */
static bool ready(LowG *lg, const Stage *s)
{
    Ref base = lg->ni[s->node.at[0].ref].base;
    bool all = !lg->ni[s->node.at[0].ref].sunk && !(base && sunk_product(lg, base));
    for (uint32_t k = s->node.n > 1; k < s->node.n && all; k++) {
        Right r = right_operand(lg, s->node.at[k].ref);
        bool found = false;
        for (uint32_t i = 0; i < lg->L->packs.n; i++)
            found |= same_right(&r, panels_of(lg, s->node.at[k].ref).w, &lg->L->packs.at[i]);
        all = r.at.ok && found;
    }
    return all;
}

static bool reads(const Product *q, uint32_t buf)
{
    bool any = q->C0.ok && q->C0.buf == buf;
    for (uint32_t s = 0; s < q->nseg; s++)
        any |= q->seg[s].A.buf == buf;
    return any;
}

/* Whether q may share the last loop of those before: the same A, nothing of theirs read, no more accumulators than registers. */
static bool may_join(const Together *x, const Product *q)
{
    const Low *L = q->lg->L;
    int vectors = only_panel(q);
    const Segment *a = &x->q[0]->seg[x->q[0]->nseg - 1], *b = &q->seg[q->nseg - 1];
    bool may = low_single_row(L) && vectors && only_panel(x->q[0]) && q->axes == x->q[0]->axes && a->K == b->K && same_place(&a->A, &b->A);
    for (uint32_t i = 0; i < x->n && may; i++) {
        vectors += only_panel(x->q[i]);
        may = !reads(q, x->q[i]->C.buf);
    }
    return may && vectors <= TILE_VECTORS;
}

/* Whether q and those before, of one row, may come in any order: nothing of one another is read or written over. */
static bool may_turn(const Together *x, const Product *q)
{
    bool may = q->axes == x->q[0]->axes;
    for (uint32_t i = 0; i < x->n && may; i++)
        may = q->C.buf != x->q[i]->C.buf && !reads(q, x->q[i]->C.buf) && !reads(x->q[i], q->C.buf);
    return may;
}

static void together_body(LowG *lg, void *arg)
{
    const Together *x = arg;
    TileRows *t[TILE_VECTORS];
    for (uint32_t i = 0; i < x->n; i++) {
        const Panels *p = &x->q[i]->p;
        t[i] = panel_rows(x->q[i], 0, 0, p->full ? (int64_t)p->w * lg->L->p->V : p->width, p->full ? p->w : p->last, p->full ? 0 : p->tail);
    }
    tile_one_row(lg->L, t, x->n);
}

/* Zigzag over the panels of all of them: odd steps begin with what the step before read last. */
static void turns_body(LowG *lg, void *arg)
{
    const Together *x = arg;
    LBuilder *b = &lg->L->b;
    LV zero = lb_iconst(b, 0), one = lb_iconst(b, 1), odd = odd_step(lg);
    lb_if_lt(b, odd, one);
    for (uint32_t i = 0; i < x->n; i++) {
        full_panels(x->q[i], zero, one, WALK_UP);
        last_panel(x->q[i], zero, one);
    }
    lb_end_if(b);
    lb_if_lt(b, zero, odd);
    for (uint32_t i = x->n; i-- > 0;) {
        last_panel(x->q[i], zero, one);
        full_panels(x->q[i], zero, one, WALK_DOWN);
    }
    lb_end_if(b);
}

/* The product of stage i, and those of the stages behind it that share its loop. Gives how many more than the one. */
uint32_t emit_gemm(LowG *lg, uint32_t i)
{
    Low *L = lg->L;
    const Stage *s = &lg->g->stage.at[i];
    Together x = { .q = { make_product(lg, s) }, .n = 1 };
    bool alone = beside_has(lg, x.q[0]->end) || behind_has(lg, x.q[0]->end), turns = lg->body && L->turns && low_single_row(L) && !alone;
    while (!L->failed && !alone && i + x.n < lg->g->stage.n && x.n < TILE_VECTORS) {
        const Stage *next = &lg->g->stage.at[i + x.n];
        if (next->kind != STAGE_PRODUCT || next->load != s->load || next->group != s->group || !ready(lg, next))
            break;
        Product *q = make_product(lg, next);
        if (L->failed || beside_has(lg, q->end) || behind_has(lg, q->end) || !(turns ? may_turn(&x, q) : may_join(&x, q)))
            break;
        x.q[x.n++] = q;
    }
    if (L->failed)
        return 0;
    bool beside = lg->ni[x.q[0]->end].beside, flat = beside || gemm_is_flat(L, x.q[0]);
    if (flat)
        x.n = 1;
    for (uint32_t k = 0; k < x.n; k++) {
        touch_product(x.q[k]);
        explain_gemm(x.q[k], lg->g->stage.at[i + k].node.at[0].ref, flat);
    }
    uint32_t axes = x.q[0]->axes & ~AX(L->bx);
    if (beside)
        first_rows(x.q[0]);
    else if (flat)
        flat_gemm(x.q[0]);
    else if (x.n > 1 || turns)
        emit_rows(lg, axes, turns ? turns_body : together_body, &x);
    else
        emit_rows(lg, axes, gemm_body, x.q[0]);
    return x.n - 1;
}
