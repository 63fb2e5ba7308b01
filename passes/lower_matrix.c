/* lower_loops: products of two matrices that examples have of their own (attention, matrix states), row by row, inside of row
   stages: as tiles, straight from where the operands stand.
   before:  %9 = dot %7 %8 {ij,jk->ik} : f<B>[32,48]       run row <B> : .. | %9 | ..
   after:   for rows { ..  for panels of %8 { for tiles of rows of %7 { call tile_m_6x4(%7[..], %8[..], %9[..], K, strides) } }  .. }
   A right operand that is not read along the result's last dimension (a transposed one) is copied first: each row's, or where all
   rows have the same one, once before them. One chain an element, k ascending, as in every product. */
#include "passes/lower_int.h"

#define LEAST 4 /* of rows, columns, sums: below, loops of the sums' own are as good */
#define LEAST_ROWS_TO_COPY 8
#define COPY 16 /* columns copied together */

static int position(const uint32_t *labels, uint32_t rank, uint32_t label)
{
    for (uint32_t i = 0; i < rank; i++)
        if (labels[i] == label)
            return (int)i;
    return -1;
}

/* The label that both operands have and the result has not: the only one, else false. */
static bool find_sum(MatrixForm *f, const Node *l, const uint32_t *ll, const Node *q, const uint32_t *lq, const Node *n, const uint32_t *lo)
{
    int found = 0;
    for (uint32_t d = 0; d < l->rank; d++)
        if (position(lo, n->rank, ll[d]) < 0) {
            f->ak = (int)d;
            f->pk = position(lq, q->rank, ll[d]);
            f->K = l->dim[d];
            found++;
        }
    return found == 1 && f->pk >= 0;
}

bool dot_is_matrix(const Graph *g, Ref r, MatrixForm *f)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r), *lo = w + 6;
    *f = (MatrixForm){ 0 };
    if (n->rank < 2)
        return false;
    uint32_t last = lo[n->rank - 1u];
    f->swapped = position(w, g->node.at[n->in[0]].rank, last) >= 0;
    const Node *l = &g->node.at[n->in[f->swapped]], *q = &g->node.at[n->in[!f->swapped]];
    const uint32_t *ll = w + (f->swapped ? 3 : 0), *lq = w + (f->swapped ? 0 : 3);
    f->pn = position(lq, q->rank, last);
    f->cm = -1;
    if (position(ll, l->rank, last) >= 0 || f->pn < 0 || !find_sum(f, l, ll, q, lq, n, lo))
        return false;
    for (int d = n->rank - 2; d >= 0; d--) {
        int a = position(ll, l->rank, lo[d]), p = position(lq, q->rank, lo[d]);
        if (f->cm < 0 && p < 0) {
            f->cm = d;
            f->am = a;
        } else {
            f->loop[f->loops++] = (MatrixLoop){ n->dim[d], a, p, d };
        }
    }
    if (f->cm < 0)
        return false;
    f->M = n->dim[f->cm];
    f->N = n->dim[n->rank - 1u];
    return f->M >= (f->pn + 1 == q->rank ? LEAST : LEAST_ROWS_TO_COPY) && f->N >= LEAST && f->K >= LEAST;
}

bool is_matrix_row(const Graph *g, Ref r, MatrixForm *f)
{
    const Node *n = &g->node.at[r];
    return n->axes == (g->node.at[n->in[0]].axes | g->node.at[n->in[1]].axes) && dot_is_matrix(g, r, f);
}

/* The right operand: in place, or copied. */
typedef struct {
    uint32_t buf;
    LIdx at;
    int64_t sk, loop[2]; /* strides of k, of the form's loops */
} Right;

static int64_t stride_of(const Loc *l, int d)
{
    return d < 0 ? 0 : l->fs[d];
}

/* pack[k][n] = right[k][n]; COPY columns at a time, so that few lines of the operand are read in turns. */
static void copy_columns(Low *L, const Loc *P, const MatrixForm *f, LIdx from, uint32_t pack, LIdx to, int64_t width)
{
    LBuilder *b = &L->b;
    int64_t sk = P->fs[f->pk], sn = P->fs[f->pn], full = f->N / COPY * COPY;
    for (int part = 0; part < 2; part++) {
        int64_t count = part ? f->N - full : COPY;
        if (part ? !count : !full)
            continue;
        LV n0 = part || full == COPY ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), COPY, false, 0, NULL, NULL);
        LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, f->K), 1, false, 0, NULL, NULL);
        LIdx x = lb_idx_term(b, from, k, sk), y = lb_idx_term(b, to, k, width);
        if (n0) {
            x = lb_idx_term(b, x, n0, sn);
            y = lb_idx_term(b, y, n0, 1);
        }
        x.c0 += part ? full * sn : 0;
        y.c0 += part ? full : 0;
        for (int64_t j = 0; j < count; j++) {
            LIdx s = x, d = y;
            s.c0 += j * sn;
            d.c0 += j;
            lb_store(b, LOP_ST1, pack, d, lb_load(b, LOP_LDB, P->buf, s, 0), 0);
        }
        lb_end_for(b, 0, NULL, NULL);
        if (n0)
            lb_end_for(b, 0, NULL, NULL);
    }
}

/* Memory for a copy, a thread its own. */
static uint32_t copy_room(LowG *lg, Ref r, int64_t floats)
{
    Low *L = lg->L;
    uint32_t buf = low_buf(L, low_name(L, lg->g, r), L->prepare ? LB_PACK : LB_SLAB, LE_F, 0, 0, floats, 0);
    if (!L->serial && !L->prepare)
        L->p->buf.at[buf].extent.term[0].dims = UINT64_C(1) << LDIM_NT;
    return buf;
}

static Right copied(LowG *lg, Ref r, const MatrixForm *f, const Loc *P, uint32_t *buf)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int64_t width = (f->N + 15) / 16 * 16, size = f->K * width;
    Right x = { .sk = width };
    bool fill = !*buf;
    for (uint32_t i = 0; i < f->loops; i++)
        if (f->loop[i].p >= 0) {
            x.loop[i] = size;
            size *= f->loop[i].n;
        }
    if (fill)
        *buf = copy_room(lg, r, size);
    x.buf = *buf;
    x.at = lidx(0);
    if (!L->serial && !L->prepare)
        x.at = lb_idx_term(b, x.at, lb_op(b, LOP_TID, 0, 0, 0, 0), size);
    low_touch(L, *buf);
    if (!fill)
        return x;
    LIdx from = low_row(L, P), to = x.at;
    uint32_t open = 0;
    low_touch(L, P->buf);
    for (uint32_t i = 0; i < f->loops; i++)
        if (f->loop[i].p >= 0) {
            LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, f->loop[i].n), 1, false, 0, NULL, NULL);
            from = lb_idx_term(b, from, k, stride_of(P, f->loop[i].p));
            to = lb_idx_term(b, to, k, x.loop[i]);
            open++;
        }
    copy_columns(L, P, f, from, *buf, to, width);
    while (open-- > 0)
        lb_end_for(b, 0, NULL, NULL);
    return x;
}

/* What a value is a view of. */
static Ref viewed(const LowG *lg, Ref r)
{
    while (lg->ni[r].kind == NK_ACCESS && !lg->ni[r].loc.ok)
        r = lg->g->node.at[r].in[0];
    return r;
}

void matrix_copies(LowG *lg, const Stage *s)
{
    for (uint32_t k = 0; k < s->node.n; k++) {
        Ref r = s->node.at[k].ref;
        const Node *n = &lg->g->node.at[r];
        MatrixForm f;
        lg->ni[r].copy = 0;
        if (n->op != OP_DOT || !dot_is_matrix(lg->g, r, &f))
            continue;
        Ref right = n->in[!f.swapped];
        Loc P = low_loc(lg, right);
        if (P.ok && !(P.axes & s->axes) && !P.own && lg->ni[viewed(lg, right)].item != lg->ni[r].item && P.fs[f.pn] != 1)
            (void)copied(lg, r, &f, &P, &lg->ni[r].copy);
    }
}

/* Tiles of one panel: `nv` vectors from column n0 + j * W on. */
static void matrix_panel(Low *L, const MatrixForm *f, TileRows t, LV j, int64_t n0, int64_t W)
{
    LBuilder *b = &L->b;
    TileRows *x = NEW(L->arena, TileRows);
    *x = t;
    x->P[0].at.c0 += n0;
    x->C.at.c0 += n0;
    if (j) {
        x->P[0].at = lb_idx_term(b, x->P[0].at, j, W);
        x->C.at = lb_idx_term(b, x->C.at, j, W);
    }
    tile_rows(L, x, lb_iconst(b, 0), lb_iconst(b, f->M));
}

void matrix_nest(LowG *lg, Ref r)
{
    Low *L = lg->L;
    LBuilder *b = &L->b;
    const Node *n = &lg->g->node.at[r];
    MatrixForm f;
    dot_is_matrix(lg->g, r, &f);
    Loc A = low_loc(lg, n->in[f.swapped]), P = low_loc(lg, n->in[!f.swapped]), C = lg->ni[r].loc;
    if (!A.ok || !P.ok || !C.ok || C.fs[n->rank - 1u] != 1) {
        low_fail(L, "a product of matrices that are not in memory");
        return;
    }
    uint32_t buf = lg->ni[r].copy;
    Right right = { .buf = P.buf, .sk = P.fs[f.pk] };
    if (P.fs[f.pn] != 1) {
        right = copied(lg, r, &f, &P, &buf);
    } else {
        right.at = low_row(L, &P);
        for (uint32_t i = 0; i < f.loops; i++)
            right.loop[i] = stride_of(&P, f.loop[i].p);
    }
    TileRows t = { .matrix = true, .nseg = 1, .p_stride = lb_iconst(b, right.sk), .a_k = lb_iconst(b, A.fs[f.ak]) };
    t.A[0] = (TileOperand){ A.buf, low_row(L, &A), lb_iconst(b, A.fs[f.am]) };
    t.P[0] = (TileOperand){ right.buf, right.at, 0 };
    t.C = (TileOperand){ C.buf, low_row(L, &C), lb_iconst(b, C.fs[f.cm]) };
    t.a_stride[0] = t.A[0].step;
    t.K[0] = lb_iconst(b, f.K);
    low_touch(L, A.buf);
    low_touch(L, right.buf);
    low_touch(L, C.buf);
    for (uint32_t i = 0; i < f.loops; i++) {
        LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, f.loop[i].n), 1, false, 0, NULL, NULL);
        t.A[0].at = lb_idx_term(b, t.A[0].at, k, stride_of(&A, f.loop[i].a));
        t.P[0].at = lb_idx_term(b, t.P[0].at, k, right.loop[i]);
        t.C.at = lb_idx_term(b, t.C.at, k, C.fs[f.loop[i].c]);
    }
    Panels p = cut_tiles(L, f.N);
    int64_t W = (int64_t)p.w * L->p->V;
    t.nv = p.w;
    if (p.full) {
        LV j = p.full == 1 ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, p.full), 1, false, 0, NULL, NULL);
        matrix_panel(L, &f, t, j, 0, W);
        if (j)
            lb_end_for(b, 0, NULL, NULL);
    }
    t.nv = p.last;
    t.tail = p.tail;
    if (p.last)
        matrix_panel(L, &f, t, 0, p.full * W, 0);
    for (uint32_t i = 0; i < f.loops; i++)
        lb_end_for(b, 0, NULL, NULL);
}
