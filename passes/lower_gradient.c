/* lower_loops: weight gradients, panel by panel of their columns, block by block of the rows that they sum over (docs/ir.md, "tiles").
   before:  run gradient : %29                             (%29 = dot %28 %25 {i,o->io}, summed over steps and batch)
   after:   fill %29 with -0;  for blocks of rows { for panels { call columns_4_m5_82(%28[..], %25[..], %29[..], K, strides, lo, hi) } }
   A is read down its columns: tile i has some neighbouring columns of %28, at every row. Threads share the tiles of a panel. */
#include "passes/lower_int.h"

typedef struct {
    LowG *lg;
    Loc A, P, C, chain; /* chain: what its sums go on from, if that is ok */
    int64_t M, N;
    Panels p;
    bool down; /* from the last row of a block to its first */
    uint32_t axis; /* of which rows */
    int32_t zeros[2]; /* of so many first, and last, steps are 0 */
    LV k0, K; /* this block of rows */
} Gradient;

/* Row k0 of an operand, or the last of the block's. */
static LIdx first_row(LBuilder *b, const Gradient *g, LIdx x, int64_t ld)
{
    x = lb_idx_term(b, x, g->k0, ld);
    if (g->down) {
        x = lb_idx_term(b, x, g->K, ld);
        x.c0 -= ld;
    }
    return x;
}

/* Tiles lo .. hi (0: this thread's) of one panel that starts at column n0 + j * W. */
static void gradient_panel(Gradient *g, LV lo, LV hi, LV j, int64_t n0, int nv, int tail)
{
    Low *L = g->lg->L;
    LBuilder *b = &L->b;
    int64_t W = (int64_t)g->p.w * L->p->V, rows = tile_most_rows(L, nv), tiles = (g->M + rows - 1) / rows;
    if (!lo)
        low_share(L, tiles, &lo, &hi);
    TileRows *t = NEW(L->arena, TileRows);
    int64_t a_ld = g->down ? -g->A.ld : g->A.ld, p_ld = g->down ? -g->P.ld : g->P.ld;
    LIdx a = first_row(b, g, low_row_at(L, &g->A, 0), g->A.ld), p = at_column(b, low_row_at(L, &g->P, 0), j, W, n0);
    LIdx c = at_column(b, low_row_at(L, &g->C, 0), j, W, n0);
    *t = (TileRows){ .columns = true, .nv = nv, .tail = tail, .nseg = 1, .size = g->M / tiles, .more = g->M % tiles,
                     .p_stride = lb_iconst(b, p_ld), .from = g->chain.ok };
    t->A[0] = (TileOperand){ g->A.buf, a, lb_iconst(b, 1) };
    t->a_stride[0] = lb_iconst(b, a_ld);
    t->P[0] = (TileOperand){ g->P.buf, first_row(b, g, p, g->P.ld), 0 };
    t->C = (TileOperand){ g->C.buf, c, lb_iconst(b, g->C.fs[0]) };
    if (g->chain.ok)
        t->C0 = (TileOperand){ g->chain.buf, at_column(b, lidx(0), j, W, n0), lb_iconst(b, g->chain.fs[0]) };
    t->K[0] = g->K;
    tile_rows(L, t, lo, hi);
}

static void gradient_panels(Gradient *g, LV lo, LV hi)
{
    Low *L = g->lg->L;
    LBuilder *b = &L->b;
    if (g->p.full) {
        LV j = g->p.full == 1 ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, g->p.full), 1, false, 0, NULL, NULL);
        gradient_panel(g, lo, hi, j, 0, g->p.w, 0);
        if (j)
            lb_end_for(b, 0, NULL, NULL);
    }
    if (g->p.last)
        gradient_panel(g, lo, hi, 0, g->p.full * g->p.w * L->p->V, g->p.last, g->p.tail);
}

/* Where A is far wider than P and P is small, some tiles of every panel go after each other, so that A, which is read down its columns and
   stays in no cache, comes once. */
static bool by_some_tiles(const Gradient *g)
{
    enum { NARROW = 256, WIDER = 8 };
    return g->N > g->p.w * g->lg->L->p->V && g->N <= NARROW && g->M >= WIDER * g->N;
}

/* This thread's tiles; otherwise all of a panel after each other. */
static void gradient_block(Gradient *g)
{
    enum { TILES = 8 };
    Low *L = g->lg->L;
    LBuilder *b = &L->b;
    LV lo, hi;
    if (!by_some_tiles(g)) {
        gradient_panels(g, 0, 0);
        return;
    }
    low_share(L, (g->M + TILE_ROWS - 1) / TILE_ROWS, &lo, &hi);
    LV size = lb_iconst(b, TILES), count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, lb_op(b, LOP_ISUB, hi, lo, 0, 0), lb_iconst(b, TILES - 1), 0, 0), size, 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), count, 1, false, 0, NULL, NULL);
    LV from = lb_op(b, LOP_IADD, lo, lb_op(b, LOP_IMUL, k, size, 0, 0), 0, 0);
    gradient_panels(g, from, lb_op(b, LOP_IMIN, hi, lb_op(b, LOP_IADD, from, size, 0, 0), 0, 0));
    lb_end_for(b, 0, NULL, NULL);
}

/* A place whose rows follow each other: the value's own, or a copy (a carry view inside of another scan has gaps). */
static Loc flat_copy(LowG *lg, Ref r, Loc at, uint32_t axes)
{
    Low *L = lg->L;
    if (flat_rows(L, &at, axes))
        return at;
    Loc to = low_slab(lg, r, axes, NULL);
    if (L->explain) {
        str_put(L->explain, "slow path: ");
        put_node(L->explain, L->ctx, lg->g, r);
        str_put(L->explain, " is copied for a weight gradient\n");
    }
    emit_copy(lg, r, &to);
    if (!L->serial)
        lb_barrier(&L->b);
    return to;
}

/* Names of the parameters whose gradients are (parts of) value r. */
static void explain_gradient(LowG *lg, Ref r, const Gradient *gr)
{
    Str *s = lg->L->explain;
    const Graph *g = lg->g;
    if (!s)
        return;
    str_put(s, "gradient");
    for (uint32_t i = 0; i < g->root.n; i++) {
        Ref o = g->root.at[i].ref;
        while (o && o != r && op_info[g->node.at[o].op].cls == OPC_SHAPE && g->node.at[o].op != OP_CONCAT)
            o = g->node.at[o].in[0];
        if (o == r && g->root.at[i].name)
            str_printf(s, " %s", name_str(lg->L->ctx, g->root.at[i].name));
    }
    str_printf(s, ": [%lld, %lld], %s%s\n", (long long)gr->M, (long long)gr->N,
               lg->ni[r].chain.ok ? "beside the products of the steps, some steps behind them" : lg->L->chunk ? "in chunks of steps" : "one product over all rows after the loop",
               lg->ni[r].chain.ok || !(gr->zeros[0] | gr->zeros[1]) ? "" : ", but for the steps whose rows are 0");
}

/* Rows lo..hi over some axes, as they follow each other in memory, and blocks of G = ceil(256 / B) steps of them. */
RowBlocks row_blocks(Low *L, uint32_t axes)
{
    LBuilder *b = &L->b;
    LV one = lb_iconst(b, 1), B = lb_op(b, LOP_IMAX, lb_op(b, LOP_DIM, 0, 0, 0, L->bx), one, 0, 0);
    LV G = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, B, lb_iconst(b, CUT_ROWS - 1), 0, 0), B, 0, 0);
    RowBlocks x = { .lo = lb_iconst(b, 0), .hi = one, .size = axes & AX(L->bx) ? lb_op(b, LOP_IMUL, G, B, 0, 0) : G };
    LV count = one;
    for (uint32_t k = 1; k <= L->m->naxis; k++) { /* the row axis last */
        uint32_t a = k == L->m->naxis ? L->bx : k;
        if (!(axes & AX(a)) || (k == L->bx && k < L->m->naxis))
            continue;
        x.lo = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, x.lo, axis_len(L, a), 0, 0), axis_lo(L, a), 0, 0);
        count = lb_op(b, LOP_IMUL, count, axis_len(L, a), 0, 0);
    }
    x.hi = lb_op(b, LOP_IADD, x.lo, count, 0, 0);
    x.count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, count, lb_op(b, LOP_ISUB, x.size, one, 0, 0), 0, 0), x.size, 0, 0);
    return x;
}

/* Rows of block k. */
void row_block(Low *L, const RowBlocks *x, LV k, LV *first, LV *rows)
{
    LBuilder *b = &L->b;
    *first = lb_op(b, LOP_IADD, x->lo, lb_op(b, LOP_IMUL, k, x->size, 0, 0), 0, 0);
    *rows = lb_op(b, LOP_IMIN, x->size, lb_op(b, LOP_ISUB, x->hi, *first, 0, 0), 0, 0);
}

/* What no steps were behind, its first rows, is added to what these have left. */
static void gradient_rest(LowG *lg, Gradient *g, Ref r, uint32_t axes)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    RowBlocks x = row_blocks(L, axes);
    g->chain = lg->ni[r].chain;
    low_touch(L, g->chain.buf);
    g->k0 = x.lo;
    g->K = lb_op(b, LOP_IMIN, lb_iconst(b, BEHIND_ROWS), lb_op(b, LOP_ISUB, x.hi, x.lo, 0, 0), 0, 0);
    gradient_block(g);
}

/* Rows over one time axis of which some steps are 0 in either operand, as those of a state before the first step. */
static void find_zeros(LowG *lg, Gradient *g, Ref A, Ref P, uint32_t axes)
{
    for (uint32_t a = 1; a < lg->L->m->naxis; a++)
        if ((axes & ~AX(lg->L->bx)) == AX(a) && a != lg->L->bx) {
            g->axis = a;
            for (int last = 0; last < 2; last++) {
                int32_t x = zero_rows(lg, A, a, last), y = zero_rows(lg, P, a, last);
                g->zeros[last] = x > y ? x : y;
            }
        }
}

/* Leaves these out of a block of rows. */
static void leave_zeros(Low *L, Gradient *g, uint32_t axes)
{
    LBuilder *b = &L->b;
    LV step = axes & AX(L->bx) ? lb_op(b, LOP_DIM, 0, 0, 0, L->bx) : lb_iconst(b, 1), end = lb_op(b, LOP_IADD, g->k0, g->K, 0, 0);
    if (g->zeros[0])
        g->k0 = lb_op(b, LOP_IMAX, g->k0, lb_op(b, LOP_IMUL, step, lb_iconst(b, g->zeros[0]), 0, 0), 0, 0);
    if (g->zeros[1]) {
        LV steps = lb_op(b, LOP_ISUB, lb_op(b, LOP_DIM, 0, 0, 0, g->axis), lb_iconst(b, g->zeros[1]), 0, 0);
        end = lb_op(b, LOP_IMIN, end, lb_op(b, LOP_IMUL, steps, step, 0, 0), 0, 0);
    }
    if (g->zeros[0] || g->zeros[1])
        g->K = lb_op(b, LOP_IMAX, lb_op(b, LOP_ISUB, end, g->k0, 0, 0), lb_iconst(b, 0), 0, 0);
}

/* One chain from zero inside a block; blocks are added in order, to a place that starts from -0, which leaves the first as
   it is; where the node says `down`, rows and blocks go from the last to the first. */
static void gradient_blocks(LowG *lg, Gradient *g, Ref r, uint32_t axes)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    RowBlocks x = row_blocks(L, axes);
    if (!lg->ni[r].onto) {
        low_fill(lg, r, lb_fconst(b, -0.0), !L->serial);
        if (!L->serial)
            lb_barrier(b);
    }
    LV k = lb_for(b, lb_iconst(b, 0), x.count, 1, lg->ni[r].down, 0, NULL, NULL);
    row_block(L, &x, k, &g->k0, &g->K);
    leave_zeros(L, g, axes);
    gradient_block(g);
    lb_end_for(b, 0, NULL, NULL);
}

uint32_t gradient_operands(const Graph *g, Ref r, Ref *A, Ref *P)
{
    const Node *n = &g->node.at[r];
    DotInfo d;
    GemmKind kind;
    dot_is_gemm(g, r, &d, &kind);
    Ref left = n->in[d.swapped ? 1 : 0], right = n->in[d.swapped ? 0 : 1];
    bool left_is_column = d.nm && d.m[0] == node_attr(g, r)[6 + n->rank - 1];
    *P = left_is_column ? left : right;
    *A = left_is_column ? right : left;
    return d.k_axes;
}

/* Sum over rows in blocks of G = ceil(256 / B) steps counted from step 0. The order is meaning: no machine, thread count, budget
   or tuning changes it. */
void emit_gradient(LowG *lg, Ref r)
{
    Low *L = lg->L;
    const Graph *gr = lg->g;
    const Node *n = &gr->node.at[r];
    Ref ar, pr;
    uint32_t axes = gradient_operands(gr, r, &ar, &pr);
    Gradient *g = NEW(L->arena, Gradient);
    g->lg = lg;
    g->A = low_loc(lg, ar);
    g->P = low_loc(lg, pr);
    g->C = lg->ni[r].loc;
    g->M = n->rank == 2 ? n->dim[0] : 1;
    g->N = n->dim[n->rank - 1];
    g->p = cut_panels(L, g->N, tile_registers(L) / TILE_ROWS);
    if (!by_some_tiles(g)) /* whose panels have equal tiles */
        g->p = cut_tiles(L, g->N);
    if (!g->A.ok || !g->P.ok) {
        low_fail(L, "a weight gradient of values that are not in memory");
        return;
    }
    g->A = flat_copy(lg, ar, g->A, axes);
    g->P = flat_copy(lg, pr, g->P, axes);
    g->down = lg->ni[r].down;
    low_touch(L, g->A.buf);
    low_touch(L, g->P.buf);
    low_touch(L, g->C.buf);
    if (n->rank == 1)
        g->C.fs[0] = 0;
    find_zeros(lg, g, ar, pr, axes);
    if (lg->ni[r].chain.ok)
        gradient_rest(lg, g, r, axes);
    else
        gradient_blocks(lg, g, r, axes);
    explain_gradient(lg, r, g);
}
