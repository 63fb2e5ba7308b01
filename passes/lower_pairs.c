/* lower_loops: products of the steps of one sequence with those of another (attention), example by example, as tiles of pairs of steps.
   before:  %9 = dot %7 %8 {i,i->} : f<T,S,B>[]      (%7 : f<T,B>[64], %8 : f<S,B>[64])      %12 = dot %9 %8 {,i->i} : f<T,B>[64]
   after:   for rows { for 4 steps of T { for 4 of S { call pairs_4x4_k64(%7[..], %8[..], %9[..], strides) } } }
            for rows { for panels of %8 { call matrix_4(%9[..], %8[..], %12[..], S, strides) } }
   A value of a pair of steps has its own sum over features, in the order of all such sums (16 lanes, one tree); a tile of them loads each
   vector once for 4 steps of the other sequence. A sum over steps of vectors times numbers of pairs is a product of matrices, one chain
   an element, steps ascending or, where sums over that axis go down, descending. Numbers of steps are known at run time only. */
#include "passes/lower_int.h"

#define LEAST 4 /* features */

static bool none_or_one(uint32_t axes)
{
    return !(axes & (axes - 1)) && axes != AX(AXIS_B);
}

/* 0: there is none */
static uint32_t axis_of(uint32_t axes)
{
    uint32_t a = 0;
    while (axes && !(axes >> a & 1))
        a++;
    return a;
}

/* Whether a value is one constant, whatever its type. */
static bool is_filled(const Graph *g, Ref r)
{
    while (op_info[g->node.at[r].op].cls == OPC_SHAPE && g->node.at[r].op != OP_CONCAT)
        r = g->node.at[r].in[0];
    return g->node.at[r].op == OP_CONST;
}

bool is_pairs(const Graph *g, Ref r, PairForm *f)
{
    const Node *n = &g->node.at[r];
    if (n->op != OP_DOT || n->dtype != DT_F || n->rank > 1 || is_filled(g, n->in[0]) || is_filled(g, n->in[1]))
        return false;
    const Node *a = &g->node.at[n->in[0]], *b = &g->node.at[n->in[1]];
    uint32_t both = a->axes & b->axes, summed = (a->axes | b->axes) & ~n->axes, ma = a->axes & ~both, mb = b->axes & ~both;
    *f = (PairForm){ .scores = n->rank == 0, .outer = n->rank && !summed };
    f->swapped = f->scores ? !mb : a->rank == 1; /* the steps of a scan around are rows */
    const Node *w = f->swapped ? b : a, *v = f->swapped ? a : b;
    uint32_t m = f->swapped ? mb : ma, other = f->scores ? (f->swapped ? ma : mb) : summed;
    if (!(both & AX(AXIS_B)) || !none_or_one(m) || !none_or_one(other) || m == other || v->rank != 1 || w->rank != f->scores || v->dim[0] < LEAST)
        return false;
    f->rows = axis_of(m);
    f->other = axis_of(other);
    f->size = v->dim[0];
    return f->scores ? !summed && both == AX(AXIS_B) : v->axes == (summed | AX(AXIS_B)) && !(v->axes & ~w->axes);
}

/* ---- a tile of scores ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    LBuilder *b;
    uint32_t A, P, C;
    int m, n, per; /* steps of each sequence; accumulators of one sum */
    LV a[PAIR_STEPS], p[PAIR_STEPS]; /* where their rows begin */
} PairTile;

/* LANES features from k on (0: from `from` on), or `left` of them. */
static void pair_step(PairTile *t, LV k, int64_t from, int64_t left, LV *acc)
{
    LBuilder *b = t->b;
    int V = b->p->V;
    for (int s = 0; s < t->per && s * (int64_t)V < left; s++) {
        int lanes = left - s * (int64_t)V < V ? (int)(left - s * (int64_t)V) : V;
        LOp ld = lanes == V ? LOP_LD : LOP_LDT;
        LIdx at = lidx(from + s * (int64_t)V);
        LV x[PAIR_STEPS];
        at = k ? lb_idx_term(b, at, k, 1) : at;
        for (int i = 0; i < t->m; i++)
            x[i] = lb_load(b, ld, t->A, lb_idx_term(b, at, t->a[i], 1), lanes);
        for (int j = 0; j < t->n; j++) {
            LV y = lb_load(b, ld, t->P, lb_idx_term(b, at, t->p[j], 1), lanes);
            for (int i = 0; i < t->m; i++) {
                LV *to = &acc[(i * t->n + j) * t->per + s];
                *to = lb_op(b, LOP_FMA, x[i], y, *to, 0);
            }
        }
    }
}

/* The rows of `most` steps from the first on, of which `count` exist: the last one again in place of others. */
static void step_rows(LBuilder *b, LV stride, LV count, int most, LV *row)
{
    LV last = lb_op(b, LOP_ISUB, count, lb_iconst(b, 1), 0, 0);
    for (int i = 0; i < most; i++)
        row[i] = lb_op(b, LOP_IMUL, lb_op(b, LOP_IMIN, lb_iconst(b, i), last, 0, 0), stride, 0, 0);
}

static uint32_t make_pair_tile(Low *L, int32_t K, int m, int n)
{
    Node sum = { .op = OP_SUM };
    char name[80];
    snprintf(name, sizeof name, "pairs_%dx%d_k%d", m, n, K);
    lprogram_add_fn(L->p, name, LFUNC_HELPER);
    uint32_t fn = L->p->fn.n - 1;
    LBuilder b = lb_make(L->p, fn);
    PairTile t = { .b = &b, .m = m, .n = n, .per = LANES / L->p->V };
    LV acc[PAIR_STEPS * PAIR_STEPS * LANES], inner[PAIR_STEPS * PAIR_STEPS * LANES], ci[PAIR_STEPS], cj[PAIR_STEPS];
    uint32_t count = (uint32_t)(m * n * t.per);
    t.A = lb_param_ptr(&b, "A", LE_F);
    t.P = lb_param_ptr(&b, "P", LE_F);
    t.C = lb_param_ptr(&b, "C", LE_F);
    LV as = lb_param_int(&b, "a_stride"), ps = lb_param_int(&b, "p_stride"), cm = lb_param_int(&b, "c_rows"), cn = lb_param_int(&b, "c_columns");
    LV rows = lb_param_int(&b, "rows"), columns = lb_param_int(&b, "columns");
    step_rows(&b, as, rows, m, t.a);
    step_rows(&b, ps, columns, n, t.p);
    step_rows(&b, cm, rows, m, ci);
    step_rows(&b, cn, columns, n, cj);
    for (uint32_t k = 0; k < count; k++)
        acc[k] = lb_fconst(&b, 0);
    int64_t full = K / LANES * LANES;
    if (full) {
        LV k = lb_for(&b, lb_iconst(&b, 0), lb_iconst(&b, full), LANES, false, count, acc, inner);
        pair_step(&t, k, 0, LANES, inner);
        lb_end_for(&b, count, inner, acc);
    }
    pair_step(&t, 0, full, K - full, acc);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            LV v = reduce_lanes(&b, &sum, acc + (i * n + j) * t.per, t.per);
            lb_store(&b, LOP_ST1, t.C, lb_idx_term(&b, lb_idx_term(&b, lidx(0), ci[i], 1), cj[j], 1), v, 0);
        }
    return fn;
}

/* With as many accumulators as leave room for the vectors that they multiply. */
static uint32_t get_pair_tile(Low *L, int32_t K, int *m, int *n)
{
    int room = (L->o.registers >= 32 ? 16 : 8) * L->p->V / LANES;
    *m = room >= 16 ? 4 : room >= 4 ? 2 : 1;
    *n = room >= *m * 4 ? 4 : room >= *m * 2 ? 2 : 1;
    for (uint32_t k = 0; k < L->pairs.n; k++)
        if (L->pairs.at[k].K == K)
            return L->pairs.at[k].fn;
    PairKey x = { K, make_pair_tile(L, K, *m, *n) };
    VEC_PUSH(L->arena, L->pairs) = x;
    return x.fn;
}

/* ---- loops over them ------------------------------------------------------------------------------------------------------------ */

/* An axis 0 is the steps of the scan around: those of a block (lower_jam.c), or the current one. */
typedef struct {
    Ref r;
    PairForm f;
    Loc A, P, C, C0;
    bool down; /* the sum */
    LV rows, others; /* how many */
} Pairs;

/* The distance of neighbouring indices of an axis; of the steps of a block, with `jam`. */
static LV index_stride(Low *L, const Loc *l, uint32_t axis, bool jam)
{
    LBuilder *b = &L->b;
    LV s = lb_iconst(b, jam || (l->axes & AX(axis)) ? l->ld : 0);
    if (l->axes & AX(L->bx))
        s = lb_op(b, LOP_IMUL, s, lb_op(b, LOP_DIM, 0, 0, 0, L->bx), 0, 0);
    for (uint32_t a = jam ? 0 : axis + 1; a < L->m->naxis; a++) {
        if (a == L->bx || !(l->axes & AX(a)))
            continue;
        LV n = lb_op(b, LOP_DIM, 0, 0, 0, l->seg == 1 + a ? cut_of(L, a)->steps : a);
        if (l->slots == a)
            n = lb_op(b, LOP_IADD, n, lb_iconst(b, 1), 0, 0);
        s = lb_op(b, LOP_IMUL, s, n, 0, 0);
    }
    return s;
}

static LV stride_of(LowG *lg, const Loc *l, uint32_t axis)
{
    if (axis || l->jam)
        return index_stride(lg->L, l, axis, !axis);
    bool bound = (l->axes & AX(lg->axis)) && l->at[lg->axis];
    return bound ? index_stride(lg->L, l, lg->axis, false) : lb_iconst(&lg->L->b, 0);
}

static LV size_of(LowG *lg, uint32_t axis)
{
    LBuilder *b = &lg->L->b;
    if (axis)
        return axis_len(lg->L, axis);
    return lg->jam ? lb_op(b, LOP_ISUB, lg->jam->hi, lg->jam->lo, 0, 0) : lb_iconst(b, 1);
}

static LIdx moved(LBuilder *b, LIdx at, LV by, LV stride)
{
    return lb_idx_term(b, at, lb_op(b, LOP_IMUL, by, stride, 0, 0), 1);
}

/* Both axes at their beginning. */
static void open_axes(Low *L, const Pairs *x)
{
    if (x->f.rows)
        L->idx[x->f.rows] = axis_lo(L, x->f.rows);
    if (x->f.other)
        L->idx[x->f.other] = axis_lo(L, x->f.other);
}

static void close_axes(Low *L, const Pairs *x)
{
    if (x->f.rows)
        L->idx[x->f.rows] = 0;
    if (x->f.other)
        L->idx[x->f.other] = 0;
}

static LV parts_of(LBuilder *b, LV n, int size)
{
    return lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, n, lb_iconst(b, size - 1), 0, 0), lb_iconst(b, size), 0, 0);
}

/* The scores of the current row. */
static void score_row(LowG *lg, void *arg)
{
    Pairs *x = arg;
    Low *L = lg->L;
    LBuilder *b = &L->b;
    int m, n;
    uint32_t fn = get_pair_tile(L, x->f.size, &m, &n), rows = x->f.rows, other = x->f.other;
    LV as = stride_of(lg, &x->A, rows), ps = stride_of(lg, &x->P, other), cm = stride_of(lg, &x->C, rows), cn = stride_of(lg, &x->C, other);
    open_axes(L, x);
    LIdx A = low_row(L, &x->A), P = low_row(L, &x->P), C = low_row(L, &x->C);
    LV i = lb_op(b, LOP_IMUL, lb_for(b, lb_iconst(b, 0), parts_of(b, x->rows, m), 1, false, 0, NULL, NULL), lb_iconst(b, m), 0, 0);
    LV j = lb_op(b, LOP_IMUL, lb_for(b, lb_iconst(b, 0), parts_of(b, x->others, n), 1, false, 0, NULL, NULL), lb_iconst(b, n), 0, 0);
    LArg call[] = { { .buf = x->A.buf, .idx = moved(b, A, i, as) },
                    { .buf = x->P.buf, .idx = moved(b, P, j, ps) },
                    { .buf = x->C.buf, .idx = moved(b, moved(b, C, i, cm), j, cn) },
                    { .value = as },
                    { .value = ps },
                    { .value = cm },
                    { .value = cn },
                    { .value = lb_op(b, LOP_ISUB, x->rows, i, 0, 0) },
                    { .value = lb_op(b, LOP_ISUB, x->others, j, 0, 0) } };
    lb_call(b, fn, call, sizeof call / sizeof *call);
    lb_end_for(b, 0, NULL, NULL);
    lb_end_for(b, 0, NULL, NULL);
    close_axes(L, x);
}

/* Panel j of `nv` vectors, from column `first` on. */
static void sum_panel(Low *L, const TileRows *like, LV rows, LV j, int64_t W, int64_t first, int nv, int tail)
{
    LBuilder *b = &L->b;
    TileRows *t = NEW(L->arena, TileRows);
    *t = *like;
    t->nv = nv;
    t->tail = tail;
    t->P[0].at = at_column(b, like->P[0].at, j, W, first);
    t->C.at = at_column(b, like->C.at, j, W, first);
    t->C0.at = at_column(b, like->C0.at, j, W, first);
    tile_rows(L, t, lb_iconst(b, 0), rows);
}

/* The sums of the current row. */
static void sum_row(LowG *lg, void *arg)
{
    Pairs *x = arg;
    Low *L = lg->L;
    LBuilder *b = &L->b;
    uint32_t rows = x->f.rows, other = x->f.other;
    LV zero = lb_iconst(b, 0), ak = stride_of(lg, &x->A, other), pk = stride_of(lg, &x->P, other);
    open_axes(L, x);
    TileRows t = { .matrix = true, .from = x->C0.ok, .nseg = 1, .p_stride = pk, .a_k = ak };
    LIdx A = low_row(L, &x->A), P = low_row(L, &x->P);
    if (x->down) {
        LV last = lb_op(b, LOP_ISUB, x->others, lb_iconst(b, 1), 0, 0);
        A = moved(b, A, last, ak);
        P = moved(b, P, last, pk);
        t.a_k = lb_op(b, LOP_ISUB, zero, ak, 0, 0);
        t.p_stride = lb_op(b, LOP_ISUB, zero, pk, 0, 0);
    }
    t.a_stride[0] = stride_of(lg, &x->A, rows);
    t.K[0] = x->others;
    t.A[0] = (TileOperand){ x->A.buf, A, t.a_stride[0] };
    t.P[0] = (TileOperand){ x->P.buf, P, 0 };
    t.C = (TileOperand){ x->C.buf, low_row(L, &x->C), stride_of(lg, &x->C, rows) };
    if (t.from)
        t.C0 = (TileOperand){ x->C0.buf, low_row(L, &x->C0), stride_of(lg, &x->C0, rows) };
    Panels p = cut_tiles(L, x->f.size);
    int64_t W = (int64_t)p.w * L->p->V;
    LV j = p.full > 1 ? lb_for(b, zero, lb_iconst(b, p.full), 1, false, 0, NULL, NULL) : 0;
    if (p.full)
        sum_panel(L, &t, x->rows, j, W, 0, p.w, 0);
    if (j)
        lb_end_for(b, 0, NULL, NULL);
    if (p.last)
        sum_panel(L, &t, x->rows, 0, 0, p.full * W, p.last, p.tail);
    close_axes(L, x);
}

/* r: the product, or its sum with a carry. */
void emit_pairs(LowG *lg, Ref r)
{
    Low *L = lg->L;
    const Node *n = &lg->g->node.at[r];
    const NodeInfo *ni = &lg->ni[r];
    Pairs *x = NEW(L->arena, Pairs);
    x->r = r;
    if (n->op == OP_ADD)
        n = &lg->g->node.at[n->in[n->in[0] == ni->base]];
    is_pairs(lg->g, (Ref)(n - lg->g->node.at), &x->f);
    x->A = low_loc(lg, n->in[x->f.swapped]);
    x->P = low_loc(lg, n->in[!x->f.swapped]);
    x->C = ni->loc;
    if (ni->base)
        x->C0 = low_loc(lg, ni->base);
    else if (ni->onto)
        x->C0 = x->C;
    x->down = ni->base ? lg->scan.reverse : ni->down;
    if (!x->A.ok || !x->P.ok || !x->C.ok || (ni->base && !x->C0.ok) || x->P.fs[0] != 1 || (x->f.scores ? x->A.fs[0] : x->C.fs[0]) != 1) {
        low_fail(L, "a product of steps whose features are not neighbours");
        return;
    }
    low_touch(L, x->A.buf);
    low_touch(L, x->P.buf);
    low_touch(L, x->C.buf);
    if (x->C0.ok)
        low_touch(L, x->C0.buf);
    x->rows = size_of(lg, x->f.rows);
    x->others = size_of(lg, x->f.other);
    emit_rows(lg, AX(L->bx), x->f.scores ? score_row : sum_row, x);
    for (uint32_t i = 0; i < ni->also.n; i++)
        emit_copy(lg, r, &ni->also.at[i]);
}
