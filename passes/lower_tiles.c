/* lower_loops: tiles, functions that products and gradients are made of, and the loops over them.
   before:  rows lo .. hi of C = C0 + A0 P0 + A1 P1, one panel of 4 vectors
   after:   helper "rows_4_from_s2" (.., lo, hi) { for tiles of rows { if rows == 6: call tile_r_6x4_from(A0..); call tile_r_6x4_from(A1..) .. } }
            and in the entry    call rows_4_from_s2(x[..], W_packed[..], h[..], U_packed[..], b[..], out[..], K, strides, lo, hi)
   A tile computes rows x (nv * V) columns of
     C = C0 + A * P   (or C += A * P)
   with one chain per element, k ascending; accumulators are values carried by the loop over K. It is not unrolled: its four
   scalar operations hide behind the multiply-adds, and half the code compiles in half the time (docs/ir.md).
   Families: rows: A[i * as + k] (a product over rows), columns: A[k * as + i] (a weight gradient; k runs over rows), matrix:
   A[i * as + k * ak] (matrices of one row).
   Where the number of rows is known, the loop over tiles stands in the entry itself. */
#include "passes/lower_int.h"

enum { FAM_ROWS, FAM_COLUMNS, FAM_MATRIX };
enum { INIT_ZERO, INIT_LOAD };
enum { AHEAD = 16 }; /* floats: the next cache line */

typedef struct {
    LBuilder *b;
    uint32_t A, P;
    LV as, ps, step, row[TILE_ROWS]; /* step: of A, from one k to the next */
    int m, nv, V, fam;
    int tail; /* not rows: lanes of the last vector that exist in P; 0: all */
} Tile;

/* One k: nv vectors of P, m broadcasts of A, m * nv fused multiply-adds. ao, po: offsets of this k. */
static void tile_step(Tile *t, LV ao, LV po, LV *acc)
{
    LBuilder *b = t->b;
    LV p[TILE_VECTORS];
    for (int j = 0; j < t->nv; j++) {
        int lanes = t->tail && j == t->nv - 1 ? t->tail : t->V; /* packs are padded, rows of the caller's arrays are not */
        p[j] = lb_load(b, lanes == t->V ? LOP_LD : LOP_LDT, t->P, lb_idx_term(b, lidx(j * (int64_t)t->V), po, 1), lanes);
    }
    if (t->fam == FAM_COLUMNS) /* each k is another row, out of reach of the hardware's own prefetching: the tiles to come read on in it */
        lb_prefetch(b, t->A, lb_idx_term(b, lidx(AHEAD), ao, 1));
    for (int i = 0; i < t->m; i++) {
        LIdx x = lidx(t->fam == FAM_COLUMNS ? i : 0);
        if (t->fam != FAM_COLUMNS && i)
            x = lb_idx_term(b, x, t->row[i], 1);
        LV a = lb_load(b, LOP_LDB, t->A, lb_idx_term(b, x, ao, 1), 0);
        for (int j = 0; j < t->nv; j++)
            acc[i * t->nv + j] = lb_op(b, LOP_FMA, a, p[j], acc[i * t->nv + j], 0);
    }
}

/* for k = 0..K, accumulators and both offsets carried */
static void tile_loop(Tile *t, LV K, LV *carry)
{
    LBuilder *b = t->b;
    uint32_t n = (uint32_t)(t->m * t->nv);
    LV inner[TILE_ROWS * TILE_VECTORS + 2];
    lb_for(b, lb_iconst(b, 0), K, 1, false, n + 2, carry, inner);
    tile_step(t, inner[n], inner[n + 1], inner);
    inner[n] = lb_op(b, LOP_IADD, inner[n], t->step, 0, 0);
    inner[n + 1] = lb_op(b, LOP_IADD, inner[n + 1], t->ps, 0, 0);
    lb_end_for(b, n + 2, inner, carry);
}

static uint32_t make_tile(Low *L, int fam, int m, int nv, int tail, int init, bool add)
{
    char name[80];
    snprintf(name, sizeof name, "tile_%c_%dx%d%s%s", "rcm"[fam], m, nv, init == INIT_LOAD ? "_from" : "",
             add ? "_add" : "");
    if (tail)
        snprintf(name + strlen(name), sizeof name - strlen(name), "_t%d", tail);
    lprogram_add_fn(L->p, name, LFUNC_HELPER);
    uint32_t fn = L->p->fn.n - 1;
    LBuilder b = lb_make(L->p, fn);
    Tile t = { .b = &b, .m = m, .nv = nv, .V = L->p->V, .fam = fam, .tail = fam != FAM_ROWS ? tail : 0 };
    t.A = lb_param_ptr(&b, "A", LE_F);
    t.P = lb_param_ptr(&b, "P", LE_F);
    uint32_t C0 = lb_param_ptr(&b, "C0", LE_F), C = lb_param_ptr(&b, "C", LE_F);
    LV K = lb_param_int(&b, "K");
    t.as = lb_param_int(&b, "a_stride");
    t.ps = lb_param_int(&b, "p_stride");
    LV c0s = lb_param_int(&b, "c0_stride"), cs = lb_param_int(&b, "c_stride");
    t.step = fam == FAM_MATRIX ? lb_param_int(&b, "a_k") : fam == FAM_ROWS ? lb_iconst(&b, 1) : t.as;
    LV carry[TILE_ROWS * TILE_VECTORS + 2];
    for (int i = 1; i < m; i++)
        t.row[i] = lb_op(&b, LOP_IMUL, t.as, lb_iconst(&b, i), 0, 0);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < nv; j++) {
            int lanes = j == nv - 1 && tail ? tail : t.V;
            LIdx x = lb_idx_term(&b, lidx(j * (int64_t)t.V), c0s, i);
            carry[i * nv + j] = init == INIT_ZERO ? lb_fconst(&b, 0)
                                                  : lb_load(&b, lanes == t.V ? LOP_LD : LOP_LDT, C0, x, lanes);
        }
    for (int k = 0; (add || fam == FAM_ROWS) && k < m * nv; k++) /* written when the loop is over */
        lb_prefetch(&b, C, lb_idx_term(&b, lidx(k % nv * (int64_t)t.V), cs, k / nv));
    carry[m * nv] = carry[m * nv + 1] = lb_iconst(&b, 0);
    tile_loop(&t, K, carry);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < nv; j++) {
            int lanes = j == nv - 1 && tail ? tail : t.V;
            LIdx x = lb_idx_term(&b, lidx(j * (int64_t)t.V), cs, i);
            LV v = carry[i * nv + j];
            if (add)
                v = lb_op(&b, LOP_ADD, lb_load(&b, lanes == t.V ? LOP_LD : LOP_LDT, C, x, lanes), v, 0, 0);
            lb_store(&b, lanes == t.V ? LOP_ST : LOP_STT, C, x, v, lanes);
        }
    return fn;
}

static uint32_t get_tile(Low *L, int fam, int m, int nv, int tail, int init, bool add)
{
    for (uint32_t k = 0; k < L->tiles.n; k++) {
        const TileKey *t = &L->tiles.at[k];
        if (t->fam == fam && t->m == m && t->nv == nv && t->tail == tail && t->init == init && t->add == add)
            return t->fn;
    }
    TileKey t = { fam, m, nv, tail, init, add, make_tile(L, fam, m, nv, tail, init, add) };
    VEC_PUSH(L->arena, L->tiles) = t;
    return t.fn;
}

/* Accumulators of a tile: with the vectors of P and a broadcast of A they fill the registers. */
int tile_registers(const Low *L)
{
    return L->o.registers >= 32 ? 24 : 12;
}

/* The panel with one vector more than others (cut_tiles) has tiles of one accumulator more: 5 x 5, or 4 x 3. */
static bool one_more(const Low *L, int nv)
{
    return nv == tile_registers(L) / TILE_ROWS + 1;
}

int tile_most_rows(const Low *L, int nv)
{
    return one_more(L, nv) ? (tile_registers(L) + 1) / nv : TILE_ROWS;
}

/* ---- loops over tiles ----------------------------------------------------------------------------------------------------------- */

static LArg ptr(const TileOperand *o, LIdx at)
{
    return (LArg){ .buf = o->buf, .idx = at };
}
static LArg num(LV v)
{
    return (LArg){ .value = v };
}

static LIdx at_row(LBuilder *b, const TileOperand *o, LV row, int64_t first)
{
    LIdx x = o->at;
    int64_t step;
    x.c0 += first;
    if (lb_known_int(b, o->step, &step))
        return lb_idx_term(b, x, row, step);
    return lb_idx_term(b, x, lb_op(b, LOP_IMUL, row, o->step, 0, 0), 1);
}

static uint32_t tile_of(Low *L, const TileRows *t, int m, int nv, int tail, uint32_t seg)
{
    bool load = seg > 0 || t->from;
    return get_tile(L, t->columns ? FAM_COLUMNS : t->matrix ? FAM_MATRIX : FAM_ROWS, m, nv, tail, load ? INIT_LOAD : INIT_ZERO, t->columns);
}

/* m rows, vectors v0 .. v0 + nv of the panel, all segments. */
static void tile_calls(Low *L, LBuilder *b, const TileRows *t, LV row, int m, int v0, int nv, int tail)
{
    int64_t first = (int64_t)v0 * L->p->V;
    LIdx c = at_row(b, &t->C, row, first);
    for (uint32_t s = 0; s < t->nseg; s++) {
        bool base = s == 0 && t->from;
        LIdx p = t->P[s].at;
        p.c0 += first;
        LArg arg[] = { ptr(&t->A[s], at_row(b, &t->A[s], row, 0)),
                       ptr(&t->P[s], p),
                       base ? ptr(&t->C0, at_row(b, &t->C0, row, first)) : ptr(&t->C, c),
                       ptr(&t->C, c),
                       num(t->K[s]),
                       num(t->a_stride[s]),
                       num(t->p_stride),
                       num(base ? t->C0.step : t->C.step),
                       num(t->C.step),
                       num(t->a_k) };
        lb_call(b, tile_of(L, t, m, nv, tail, s), arg, sizeof arg / sizeof *arg - !t->matrix);
    }
}

/* ---- one row ---------------------------------------------------------------------------------------------------------------- */

LIdx lidx_past(LIdx x, int64_t columns)
{
    x.c0 += columns;
    return x;
}

/* One k of segment s: a, an element of A in every lane, for all panels. */
static void row_step(LBuilder *b, TileRows *const *t, uint32_t n, const uint32_t *s, LV k, LV a, LV *acc)
{
    int V = b->p->V;
    for (uint32_t i = 0; i < n; i++)
        for (int j = 0; j < t[i]->nv; j++, acc++) {
            const TileOperand *P = &t[i]->P[s[i]];
            LV p = lb_load(b, LOP_LD, P->buf, lidx_past(lb_idx_term(b, P->at, lb_op(b, LOP_IMUL, k, t[i]->p_stride, 0, 0), 1), (int64_t)j * V), V);
            *acc = lb_op(b, LOP_FMA, a, p, *acc, 0);
        }
}

/* All of K without a loop, where A is in registers: its lanes do not wait for a store that is read back. */
static bool lanes_of_row(Low *L, TileRows *const *t, uint32_t n, const uint32_t *s, LV *acc)
{
    LBuilder *b = &L->b;
    const TileOperand *A = &t[0]->A[s[0]];
    int V = L->p->V;
    LV vector[HELD_VECTORS];
    int64_t K;
    if (L->o.panel || !lb_known_int(b, t[0]->K[s[0]], &K) || K > (int64_t)HELD_VECTORS * V)
        return false;
    for (int64_t k = 0; k < K; k += V)
        if (!(vector[k / V] = lb_held(b, A->buf, lidx_past(A->at, k))))
            return false;
    for (int64_t k = 0; k < K; k++)
        row_step(b, t, n, s, lb_iconst(b, k), lb_op(b, LOP_LANE, vector[k / V], 0, 0, k % V), acc);
    return true;
}

static void row_segment(Low *L, TileRows *const *t, uint32_t n, const uint32_t *s, LV *acc)
{
    LBuilder *b = &L->b;
    LV inner[TILE_VECTORS], zero = lb_iconst(b, 0), K = t[0]->K[s[0]];
    const TileOperand *A = &t[0]->A[s[0]];
    uint32_t nv = 0;
    if (lanes_of_row(L, t, n, s, acc))
        return;
    for (uint32_t i = 0; i < n; i++)
        nv += (uint32_t)t[i]->nv;
    LV k = lb_for(b, zero, K, 1, false, nv, acc, inner);
    row_step(b, t, n, s, k, lb_load(b, LOP_LDB, A->buf, lb_idx_term(b, A->at, k, 1), 0), inner);
    lb_end_for(b, nv, inner, acc);
}

static int row_lanes(const LBuilder *b, const TileRows *t, int j)
{
    return j == t->nv - 1 && t->tail ? t->tail : b->p->V;
}

/* Panels of one row, no more than TILE_VECTORS together: accumulators stay in registers from segment to segment, and the last one,
   which has one A for all panels, is one loop. */
void tile_one_row(Low *L, TileRows *const *t, uint32_t n)
{
    LBuilder *b = &L->b;
    LV acc[TILE_VECTORS];
    uint32_t last[TILE_VECTORS] = { 0 }, at = 0;
    int V = L->p->V;
    for (uint32_t i = 0; i < n; i++) {
        LV *mine = acc + at;
        for (int j = 0; j < t[i]->nv; j++, at++) {
            int lanes = row_lanes(b, t[i], j);
            acc[at] = t[i]->from ? lb_load(b, lanes == V ? LOP_LD : LOP_LDT, t[i]->C0.buf, lidx_past(t[i]->C0.at, (int64_t)j * V), lanes) : lb_fconst(b, 0);
        }
        last[i] = t[i]->nseg - 1;
        for (uint32_t s = 0; s < last[i]; s++)
            row_segment(L, t + i, 1, &s, mine);
    }
    row_segment(L, t, n, last, acc);
    at = 0;
    for (uint32_t i = 0; i < n; i++)
        for (int j = 0; j < t[i]->nv; j++, at++) {
            int lanes = row_lanes(b, t[i], j);
            lb_store(b, lanes == V ? LOP_ST : LOP_STT, t[i]->C.buf, lidx_past(t[i]->C.at, (int64_t)j * V), acc[at], lanes);
        }
}

/* The operands' row 0 is row lo from now on. */
static void begin_at_row(LBuilder *b, TileRows *t, LV lo)
{
    t->C.at = at_row(b, &t->C, lo, 0);
    if (t->from)
        t->C0.at = at_row(b, &t->C0, lo, 0);
    for (uint32_t s = 0; s < t->nseg; s++)
        t->A[s].at = at_row(b, &t->A[s], lo, 0);
}

/* ---- rows cut into tiles ------------------------------------------------------------------------------------------------------ */

/* Vectors of a panel that a tile of m rows takes at a time. */
static int tile_width(const Low *L, const TileRows *t, int m)
{
    int all = tile_registers(L) + one_more(L, t->nv), most = m == 1 || all / m > TILE_VECTORS ? TILE_VECTORS : all / m;
    return t->nv < most ? t->nv : most;
}

/* Rows `lo` .. `hi` (columns: tiles) are cut evenly: tile i has `size` rows, the first `more` tiles one more. */
typedef struct {
    LV first, lo, hi, size, more; /* first: row of tile 0 */
    int64_t least, most; /* rows of a tile */
} TileCut;

static TileCut cut_rows(const Low *L, LBuilder *b, const TileRows *t, LV lo, LV hi)
{
    int64_t most = tile_most_rows(L, t->nv);
    if (t->columns)
        return (TileCut){ 0, lo, hi, lb_iconst(b, t->size), lb_iconst(b, t->more), t->size, t->size + (t->more > 0) };
    LV one = lb_iconst(b, 1), n = lb_op(b, LOP_ISUB, hi, lo, 0, 0);
    LV tiles = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, n, lb_iconst(b, most - 1), 0, 0), lb_iconst(b, most), 0, 0);
    TileCut c = { lo, lb_iconst(b, 0), tiles, 0, 0, 1, most };
    c.size = lb_op(b, LOP_IDIV, n, lb_op(b, LOP_IMAX, tiles, one, 0, 0), 0, 0);
    c.more = lb_op(b, LOP_ISUB, n, lb_op(b, LOP_IMUL, tiles, c.size, 0, 0), 0, 0);
    int64_t known, size, more;
    if (lb_known_int(b, n, &known) && lb_known_int(b, c.size, &size) && lb_known_int(b, c.more, &more)) {
        c.least = size;
        c.most = size + (more > 0);
    }
    return c;
}

static void tile_loops(Low *L, LBuilder *b, const TileRows *t, const TileCut *x)
{
    LV one = lb_iconst(b, 1), zero = lb_iconst(b, 0);
    LV i = lb_for(b, x->lo, x->hi, 1, false, 0, NULL, NULL);
    LV row = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, i, x->size, 0, 0), lb_op(b, LOP_IMIN, i, x->more, 0, 0), 0, 0);
    LV big = lb_op(b, LOP_IMIN, lb_op(b, LOP_IMAX, lb_op(b, LOP_ISUB, x->more, i, 0, 0), zero, 0, 0), one, 0, 0);
    LV rows = lb_op(b, LOP_IADD, x->size, big, 0, 0);
    if (x->first)
        row = lb_op(b, LOP_IADD, x->first, row, 0, 0);
    for (int64_t m = x->most; m >= x->least && m > 0; m--) {
        int most = tile_width(L, t, (int)m);
        if (x->least < x->most) {
            lb_if_lt(b, rows, lb_iconst(b, m + 1));
            lb_if_lt(b, lb_iconst(b, m - 1), rows);
        }
        for (int v = 0; v < t->nv; v += most) {
            int nv = t->nv - v < most ? t->nv - v : most;
            tile_calls(L, b, t, row, (int)m, v, nv, v + nv == t->nv ? t->tail : 0);
        }
        if (x->least < x->most) {
            lb_end_if(b);
            lb_end_if(b);
        }
    }
    lb_end_for(b, 0, NULL, NULL);
}

/* ---- the same as a function --------------------------------------------------------------------------------------------------- */

/* Every tile that the loops may call: a function comes after those that it calls. */
static void make_tiles(Low *L, const TileRows *t, int64_t least, int64_t last)
{
    for (int m = (int)last; m >= least; m--) {
        int most = tile_width(L, t, m);
        for (int v = 0; v < t->nv; v += most) {
            int nv = t->nv - v < most ? t->nv - v : most;
            for (uint32_t s = 0; s < t->nseg && s < 2; s++)
                (void)tile_of(L, t, m, nv, v + nv == t->nv ? t->tail : 0, s);
        }
    }
}

static TileOperand operand_param(LBuilder *b, const char *name)
{
    return (TileOperand){ .buf = lb_param_ptr(b, name, LE_F), .at = lidx(0) };
}

/* Parameters in the order in which rows_call has the arguments. */
static void rows_params(LBuilder *b, TileRows *t, LV *lo, LV *hi)
{
    for (uint32_t s = 0; s < t->nseg; s++) {
        t->A[s] = operand_param(b, "A");
        t->P[s] = operand_param(b, "P");
        t->K[s] = lb_param_int(b, "K");
        t->a_stride[s] = lb_param_int(b, "a_stride");
        t->A[s].step = t->columns ? lb_iconst(b, 1) : t->a_stride[s];
    }
    if (t->from) {
        t->C0 = operand_param(b, "C0");
        t->C0.step = lb_param_int(b, "c0_stride");
    }
    t->C = operand_param(b, "C");
    t->C.step = lb_param_int(b, "c_stride");
    t->p_stride = lb_param_int(b, "p_stride");
    if (t->matrix)
        t->a_k = lb_param_int(b, "a_k");
    *lo = lb_param_int(b, "lo");
    *hi = lb_param_int(b, "hi");
}

static uint32_t make_rows(Low *L, const TileRows *like)
{
    char name[80];
    snprintf(name, sizeof name, "%s_%d%s", like->columns ? "columns" : like->matrix ? "matrix" : "rows", like->nv, like->from ? "_from" : "");
    if (like->nseg > 1)
        snprintf(name + strlen(name), sizeof name - strlen(name), "_s%u", like->nseg);
    if (like->columns)
        snprintf(name + strlen(name), sizeof name - strlen(name), "_m%lld_%lld", (long long)like->size, (long long)like->more);
    if (like->tail)
        snprintf(name + strlen(name), sizeof name - strlen(name), "_t%d", like->tail);
    make_tiles(L, like, like->columns ? like->size : 1, like->columns ? like->size + (like->more > 0) : tile_most_rows(L, like->nv));
    lprogram_add_fn(L->p, name, LFUNC_HELPER);
    uint32_t fn = L->p->fn.n - 1;
    LBuilder b = lb_make(L->p, fn);
    TileRows t = *like;
    LV lo, hi;
    rows_params(&b, &t, &lo, &hi);
    TileCut x = cut_rows(L, &b, &t, lo, hi);
    tile_loops(L, &b, &t, &x);
    return fn;
}

static uint32_t get_rows(Low *L, const TileRows *t)
{
    for (uint32_t k = 0; k < L->rows.n; k++) {
        const TileRows *x = &L->rows.at[k].like;
        if (x->columns == t->columns && x->matrix == t->matrix && x->from == t->from && x->nv == t->nv && x->tail == t->tail && x->nseg == t->nseg && x->size == t->size &&
            x->more == t->more)
            return L->rows.at[k].fn;
    }
    uint32_t fn = make_rows(L, t);
    VEC_PUSH(L->arena, L->rows) = (RowsKey){ *t, fn };
    return fn;
}

/* A panel that has more vectors than there are accumulators goes in two parts. */
static void one_row_of_panel(Low *L, const TileRows *t)
{
    int parts = t->nv > TILE_VECTORS ? 2 : 1, half = (t->nv + parts - 1) / parts;
    for (int v = 0; v < t->nv; v += half) {
        TileRows *x = NEW(L->arena, TileRows);
        *x = *t;
        x->nv = t->nv - v < half ? t->nv - v : half;
        x->tail = v + x->nv == t->nv ? t->tail : 0;
        x->C.at.c0 += (int64_t)v * L->p->V;
        x->C0.at.c0 += (int64_t)v * L->p->V;
        for (uint32_t s = 0; s < t->nseg; s++)
            x->P[s].at.c0 += (int64_t)v * L->p->V;
        tile_one_row(L, &x, 1);
    }
}

void tile_rows(Low *L, TileRows *t, LV lo, LV hi)
{
    LBuilder *b = &L->b;
    LArg arg[4 * TILE_SEGMENTS + 8];
    uint32_t n = 0;
    int64_t rows;
    if (!t->columns && lb_known_apart(b, lo, hi, &rows)) {
        if (rows == 1 && t->nv <= 2 * TILE_VECTORS && !t->matrix) {
            begin_at_row(b, t, lo);
            one_row_of_panel(L, t);
            return;
        }
        TileCut x = cut_rows(L, b, t, lo, hi);
        tile_loops(L, b, t, &x);
        return;
    }
    for (uint32_t s = 0; s < t->nseg; s++) {
        arg[n++] = ptr(&t->A[s], t->A[s].at);
        arg[n++] = ptr(&t->P[s], t->P[s].at);
        arg[n++] = num(t->K[s]);
        arg[n++] = num(t->a_stride[s]);
    }
    if (t->from) {
        arg[n++] = ptr(&t->C0, t->C0.at);
        arg[n++] = num(t->C0.step);
    }
    arg[n++] = ptr(&t->C, t->C.at);
    arg[n++] = num(t->C.step);
    arg[n++] = num(t->p_stride);
    if (t->matrix)
        arg[n++] = num(t->a_k);
    arg[n++] = num(lo);
    arg[n++] = num(hi);
    lb_call(b, get_rows(L, t), arg, n);
}
