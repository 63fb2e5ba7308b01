/* lower_loops: one node of the graph at one index, as operations of the loop program. What has been computed in the current
   loop is used again, what is in memory is loaded, shape operations turn into indices, inlined nodes are computed here.
   before:  %3 = mul %1 %2    %4 = sub %3 %1    (%1, %2 in memory, %3 inline and fused)       at features %20 .. %20 + V
   after:   %21 = ld a#1[16*%12 + %20]   %22 = ld b#2[16*%12 + %20]   %23 = neg %21   %24 = fma %21 %22 %23
   When: whenever a stage emits its loops. Tails are the same with a constant number of lanes (ldt, stt). */
#include "passes/lower_int.h"

static LV op1(LBuilder *b, LOp op, LV x)
{
    return lb_op(b, op, x, 0, 0, 0);
}
static LV op2(LBuilder *b, LOp op, LV x, LV y)
{
    return lb_op(b, op, x, y, 0, 0);
}

/* The value of an affine index as an int. */
static LV index_value(LBuilder *b, const LIdx *i)
{
    LV v = lb_iconst(b, i->c0);
    for (uint32_t k = 0; k < i->n; k++)
        v = op2(b, LOP_IADD, v, op2(b, LOP_IMUL, i->v[k], lb_iconst(b, i->c[k])));
    return v;
}

static LIdx index_add(LBuilder *b, LIdx to, const LIdx *i, int64_t c)
{
    to.c0 += i->c0 * c;
    for (uint32_t k = 0; k < i->n; k++)
        to = lb_idx_term(b, to, i->v[k], i->c[k] * c);
    return to;
}

/* Address of feature ix of the current row of a place; *lane = distance of neighbouring lanes in elements. */
static LIdx place_index(Eval *e, const Loc *l, uint32_t rank, const Ix *ix, int64_t *lane)
{
    Low *L = e->lg->L;
    LIdx i = low_row(L, l);
    *lane = e->lane_rows && (l->axes & AX(L->bx)) ? l->ld : 0;
    for (uint32_t d = 0; d < rank; d++) {
        i = index_add(&L->b, i, &ix[d].i, l->fs[d]);
        if (ix[d].lane)
            *lane += l->fs[d];
    }
    return i;
}

void low_prefetch(Low *L, LV rows, int way)
{
    L->ahead = true;
    L->ahead_rows = rows;
    L->ahead_way = way;
    L->level = 0;
    L->ahead_units = 0;
    L->prefetched.n = 0;
}

static bool same_index(const LIdx *a, const LIdx *b)
{
    bool same = a->c0 == b->c0 && a->n == b->n;
    for (uint32_t k = 0; k < a->n && same; k++)
        same = a->v[k] == b->v[k] && a->c[k] == b->c[k];
    return same;
}

/* The hardware's own prefetching begins anew in each page, and follows neither steps that go down nor a part of each row: what a row
   stage reads and writes of sequences is asked for a row of AHEAD floats ahead, or several rows. i: in the current row. A chunk of LONG rows is
   more than the second cache too: it comes while a later level has the current row near, since the first one waits for memory anyway. */
static void prefetch_ahead(Low *L, const Loc *l, LIdx i)
{
    enum { AHEAD = 128, LONG = 1024 };
    if (!L->ahead || (l->chunk && (l->ld < LONG || L->level != 1)) || l->elem == LE_I32 || !(l->axes & AX(L->bx)) || !(l->axes & ~AX(L->bx)) || l->ld < 16)
        return;
    for (uint32_t k = 0; k < L->prefetched.n; k++) {
        const Ahead *a = &L->prefetched.at[k];
        if (a->buf == l->buf && a->foff == l->foff && (a->level != L->level || same_index(&a->at, &i)))
            return;
    }
    VEC_PUSH(L->arena, L->prefetched) = (Ahead){ l->buf, L->level, l->foff, i };
    if (L->ahead_units)
        i.c0 += L->ahead_units;
    else if (L->ahead_rows)
        i = lb_idx_term(&L->b, i, L->ahead_rows, L->ahead_way * l->ld);
    else
        i.c0 += L->ahead_way * (l->ld < AHEAD ? (AHEAD + l->ld - 1) / l->ld * l->ld : l->ld);
    lb_prefetch(&L->b, l->buf, i);
}

static LV load_place(Eval *e, const Loc *l, const Node *n, uint32_t rank, const Ix *ix)
{
    Low *L = e->lg->L;
    int64_t lane;
    LIdx i = place_index(e, l, rank, ix, &lane);
    bool vector = e->lanes > 0 && lane == 1;
    if (e->lanes > 0 && lane != 0 && lane != 1)
        low_fail(L, "a vector load of neighbours that are not neighbours");
    low_touch(L, l->buf);
    if (vector)
        prefetch_ahead(L, l, i);
    if (l->elem == LE_I32) {
        LOp op = !vector ? LOP_LDVB : e->lanes == L->p->V ? LOP_LDV : LOP_LDVT;
        return lb_load(&L->b, op, l->buf, i, e->lanes);
    }
    LV v = lb_load(&L->b, !vector ? LOP_LDB : e->lanes == L->p->V ? LOP_LD : LOP_LDT, l->buf, i, e->lanes);
    if (n->dtype == DT_B)
        v = op1(&L->b, LOP_MNOT, op2(&L->b, LOP_EQ, v, lb_fconst(&L->b, 0)));
    return v;
}

LV load_value(Eval *e, const Loc *l, const Node *n)
{
    return load_place(e, l, n, n->rank, e->ix);
}

/* The last, partial vector of a row with room behind it is stored whole: a masked store is not forwarded to the loads that
   soon follow, which at batch 1 is most of what they wait for. */
static bool whole_tail(const Eval *e, const Loc *l, const Node *n)
{
    const LIdx *i = &e->ix[0].i;
    return l->spare && n->rank == 1 && l->fs[0] == 1 && l->foff == 0 && !i->n && i->c0 + e->lanes == n->dim[0];
}

void store_value(Eval *e, const Loc *l, const Node *n, LV v)
{
    Low *L = e->lg->L;
    int64_t lane;
    LIdx i = place_index(e, l, n->rank, e->ix, &lane);
    bool vector = e->lanes > 0 && lane == 1, full = e->lanes == L->p->V || (vector && whole_tail(e, l, n));
    low_touch(L, l->buf);
    if (e->lanes > 0 && lane != 1 && e->lanes != 1 && lane != 0)
        low_fail(L, "a vector store to places that are not neighbours");
    if (vector)
        prefetch_ahead(L, l, i);
    if (n->dtype == DT_I) {
        lb_store(&L->b, !vector ? LOP_STV1 : full ? LOP_STV : LOP_STVT, l->buf, i, v, full ? L->p->V : e->lanes);
        return;
    }
    if (n->dtype == DT_B)
        v = lb_op(&L->b, LOP_SEL, v, lb_fconst(&L->b, 1), lb_fconst(&L->b, 0), 0);
    lb_store(&L->b, !vector ? LOP_ST1 : full ? LOP_ST : LOP_STT, l->buf, i, v, full ? L->p->V : e->lanes);
}

static LV bool_const(LBuilder *b, bool v)
{
    LV m = op2(b, LOP_EQ, lb_fconst(b, 0), lb_fconst(b, 0));
    return v ? m : op1(b, LOP_MNOT, m);
}

static LV constant(LBuilder *b, const Node *n, double v)
{
    if (n->dtype == DT_F)
        return lb_fconst(b, v);
    if (n->dtype == DT_I)
        return lb_op(b, LOP_VCONST, 0, 0, 0, (int64_t)v);
    return bool_const(b, v != 0);
}

static LV splat(LBuilder *b, LV i)
{
    return lb_op(b, LOP_VSPLAT, i, 0, 0, 0);
}

/* Where the loop over an axis stands: rows that are open, else the step of the scan around. */
LV axis_at(const LowG *lg, uint32_t axis)
{
    Low *L = lg->L;
    LV at = L->idx[axis];
    for (const LowG *g = lg; !at && g; g = g->up)
        at = g->body && g->axis == axis ? g->t : 0;
    return at ? at : lb_iconst(&L->b, 0);
}

static LV axis_index(Eval *e, uint32_t axis)
{
    Low *L = e->lg->L;
    LV v = splat(&L->b, axis_at(e->lg, axis));
    if (e->lane_rows && axis == L->bx && e->lanes > 0)
        v = op2(&L->b, LOP_VADD, v, op1(&L->b, LOP_VIOTA, 0));
    return v;
}

static LV eval_leaf(Eval *e, Ref r, const Node *n, uint32_t rank, const Ix *ix)
{
    Low *L = e->lg->L;
    LBuilder *b = &L->b;
    if (n->op == OP_CONST) {
        double v = 0;
        const_value(e->lg->g, r, &v);
        return constant(b, n, v);
    }
    if (n->op == OP_IOTA) {
        if (n->attr && (n->axes & AX(n->attr - 1)))
            return axis_index(e, n->attr - 1);
        if (n->attr) { /* inside the scan over it: the step, whatever rows are open */
            LV saved = L->idx[n->attr - 1], v;
            L->idx[n->attr - 1] = 0;
            v = axis_index(e, n->attr - 1);
            L->idx[n->attr - 1] = saved;
            return v;
        }
        LV v = splat(b, index_value(b, &ix[0].i));
        return ix[0].lane && e->lanes > 0 ? op2(b, LOP_VADD, v, op1(b, LOP_VIOTA, 0)) : v;
    }
    if (n->op == OP_LENGTH && !L->m->axis[n->attr].ragged)
        return splat(b, lb_op(b, LOP_DIM, 0, 0, 0, n->attr));
    if (e->lg->ni[r].is_const)
        return constant(b, n, e->lg->ni[r].value);
    Loc l = low_loc(e->lg, r);
    if (!l.ok) {
        low_fail(L, op_info[n->op].text);
        return lb_fconst(b, 0);
    }
    return load_place(e, &l, n, rank, ix);
}

/* Index of an access operation's operand from its own. */
static LV eval_access(Eval *e, Ref r, const Node *n, uint32_t rank, const Ix *ix)
{
    const Graph *g = e->lg->g;
    const Node *x = &g->node.at[n->in[0]];
    const uint32_t *w = n->op == OP_RESHAPE ? NULL : node_attr(g, r);
    Ix to[MAX_RANK] = { 0 };
    if (is_scalar(x) && n->op != OP_SLICE) { /* one value: any index is 0 */
        for (uint32_t d = 0; d < x->rank; d++)
            to[d].i = lidx(0);
        return eval_at(e, n->in[0], x->rank, to);
    }
    for (uint32_t d = 0; d < x->rank; d++)
        to[d].i = lidx(0);
    switch (n->op) {
    case OP_SLICE:
        for (uint32_t d = 0; d < rank; d++)
            to[d] = ix[d];
        to[w[0]].i.c0 += (int32_t)w[1];
        break;
    case OP_TRANSPOSE:
        for (uint32_t d = 0; d < rank; d++)
            to[w[d]] = ix[d];
        break;
    case OP_EXPAND:
        for (uint32_t d = 0; d < rank; d++)
            if ((int32_t)w[d] >= 0 && x->dim[w[d]] > 1)
                to[w[d]] = ix[d];
        break;
    default: { /* reshape: the same place in row-major order */
        Loc l = low_view(e->lg, r);
        if (!l.ok)
            low_fail(e->lg->L, "reshape");
        return load_place(e, &l, n, rank, ix);
    }
    }
    return eval_at(e, n->in[0], x->rank, to);
}

/* An index from outside may be anything at a padded step: nothing outside of the table is touched. */
LV clamped_row(LBuilder *b, LV row, int64_t rows)
{
    return lb_op(b, LOP_IMIN, lb_op(b, LOP_IMAX, row, lb_iconst(b, 0), 0, 0), lb_iconst(b, rows - 1), 0, 0);
}

static LV eval_gather(Eval *e, const Node *n, uint32_t rank, const Ix *ix)
{
    Low *L = e->lg->L;
    const Graph *g = e->lg->g;
    const Node *i = &g->node.at[n->in[1]];
    Loc li = low_loc(e->lg, n->in[1]), lt = low_loc(e->lg, n->in[0]);
    bool step = i->op == OP_IOTA && i->attr; /* the round of a repeat: known without memory */
    if ((!li.ok && !step) || !lt.ok) {
        low_fail(L, "gather");
        return lb_fconst(&L->b, 0);
    }
    const Node *t = &g->node.at[n->in[0]];
    LV row = step ? axis_at(e->lg, i->attr - 1) : 0;
    if (!step) {
        LIdx at = low_row(L, &li);
        for (uint32_t d = 0; d < i->rank; d++)
            at = index_add(&L->b, at, &ix[d].i, li.fs[d]);
        low_touch(L, li.buf);
        row = lb_load(&L->b, LOP_LDI, li.buf, at, 0);
    }
    row = clamped_row(&L->b, row, t->dim[0]);
    Ix to[MAX_RANK] = { 0 };
    to[0].i = lb_idx_term(&L->b, lidx(0), row, 1);
    for (uint32_t d = i->rank; d < rank; d++)
        to[d - i->rank + 1] = ix[d];
    return load_place(e, &lt, t, t->rank, to);
}

/* 1, and in a stream the steps before. */
static LV first_step(Low *L, uint32_t axis)
{
    LBuilder *b = &L->b;
    if (L->m->axis[axis].kind != AXIS_TIME)
        return lb_op(b, LOP_VCONST, 0, 0, 0, 1);
    return splat(b, op2(b, LOP_IADD, lb_op(b, LOP_DIM, 0, 0, 0, LDIM_STEP), lb_iconst(b, 1)));
}

static LV eval_noise(Eval *e, Ref r, const Node *n, uint32_t rank, const Ix *ix)
{
    Low *L = e->lg->L;
    LBuilder *b = &L->b;
    const uint32_t *w = node_attr(e->lg->g, r);
    LNoise s;
    s.seed_lo = splat(b, lb_op(b, LOP_DIM, 0, 0, 0, LDIM_SEED_LO));
    s.seed_hi = splat(b, lb_op(b, LOP_DIM, 0, 0, 0, LDIM_SEED_HI));
    s.update = splat(b, lb_op(b, LOP_DIM, 0, 0, 0, LDIM_UPDATE));
    s.stream = lb_op(b, LOP_VCONST, 0, 0, 0, (int32_t)w[1]);
    s.step = lb_op(b, LOP_VCONST, 0, 0, 0, 0);
    for (uint32_t a = 1; a < L->m->naxis; a++)
        if (w[2] & AX(a)) { /* the step hash of ir/graph.h */
            s.step = op2(b, LOP_VMUL, s.step, lb_op(b, LOP_VCONST, 0, 0, 0, (int32_t)0x9E3779B1u));
            s.step = op2(b, LOP_VADD, s.step, op2(b, LOP_VADD, axis_index(e, a), first_step(L, a)));
        }
    s.example = lb_op(b, LOP_VCONST, 0, 0, 0, 0);
    if (n->axes & AX(AXIS_B)) {
        Loc l = { .ok = true, .elem = LE_I32, .buf = L->input_buf[L->m->input.n], .axes = AX(AXIS_B), .ld = 1 };
        Node i = { .dtype = DT_I };
        s.example = load_place(e, &l, &i, 0, NULL);
    }
    LIdx flat = lidx(0);
    int64_t stride = 1;
    bool lane = false;
    for (uint32_t d = rank; d-- > 0;) {
        flat = index_add(b, flat, &ix[d].i, stride);
        lane |= ix[d].lane && e->lanes > 0;
        stride *= n->dim[d];
    }
    s.element = splat(b, index_value(b, &flat));
    if (lane)
        s.element = op2(b, LOP_VADD, s.element, op1(b, LOP_VIOTA, 0));
    return w[0] == NOISE_NORMAL ? lb_noise_normal(b, L->o.math, &s) : lb_noise_uniform(b, &s);
}

static LV operand(Eval *e, const Node *n, int k, uint32_t rank, const Ix *ix)
{
    const Node *o = &e->lg->g->node.at[n->in[k]];
    return o->rank ? eval_at(e, n->in[k], rank, ix) : eval_at(e, n->in[k], 0, NULL);
}

/* a * b + c and its kin where in[k] is a multiplication that is never a value of its own. */
static bool fused_multiply(Eval *e, const Node *n, uint32_t rank, const Ix *ix, LV *out)
{
    LBuilder *b = &e->lg->L->b;
    const NodeInfo *ni = e->lg->ni;
    for (int k = 0; k < 2; k++) {
        const Node *m = &e->lg->g->node.at[n->in[k]];
        if (m->op != OP_MUL || m->dtype != DT_F || !ni[n->in[k]].fused)
            continue;
        uint32_t mrank = m->rank;
        LV x = operand(e, m, 0, mrank, mrank ? ix : NULL), y = operand(e, m, 1, mrank, mrank ? ix : NULL);
        LV z = operand(e, n, 1 - k, rank, ix);
        if (n->op == OP_SUB && k == 0)
            z = op1(b, LOP_NEG, z);
        if (n->op == OP_SUB && k == 1)
            x = op1(b, LOP_NEG, x);
        *out = lb_op(b, LOP_FMA, x, y, z, 0);
        return true;
    }
    return false;
}

static LV eval_cast(LBuilder *b, DType to, DType from, LV a)
{
    if (to == from)
        return a;
    if (to == DT_F)
        return from == DT_I ? op1(b, LOP_VTOF, a) : lb_op(b, LOP_SEL, a, lb_fconst(b, 1), lb_fconst(b, 0), 0);
    LV one = lb_op(b, LOP_VCONST, 0, 0, 0, 1), zero = lb_op(b, LOP_VCONST, 0, 0, 0, 0);
    if (to == DT_I)
        return from == DT_F ? op1(b, LOP_FTOV, a) : lb_op(b, LOP_VSEL, a, one, zero, 0);
    return op1(b, LOP_MNOT, from == DT_F ? op2(b, LOP_EQ, a, lb_fconst(b, 0)) : op2(b, LOP_VEQ, a, zero));
}

/* The operation of the loop program that computes an operation of the graph on floats, on integers; NONE: see the functions. */
static const LOp float_lop[OP_COUNT] = {
    [OP_NEG] = LOP_NEG, [OP_ABS] = LOP_ABS, [OP_FLOOR] = LOP_FLOOR, [OP_SQRT] = LOP_SQRT, [OP_ADD] = LOP_ADD, [OP_SUB] = LOP_SUB,
    [OP_MUL] = LOP_MUL, [OP_DIV] = LOP_DIV, [OP_LT] = LOP_LT,   [OP_LE] = LOP_LE,       [OP_EQ] = LOP_EQ,
};
static const LOp int_lop[OP_COUNT] = {
    [OP_ADD] = LOP_VADD, [OP_SUB] = LOP_VSUB, [OP_MUL] = LOP_VMUL, [OP_LT] = LOP_VLT, [OP_EQ] = LOP_VEQ,
};

static LV eval_unary_int(LBuilder *b, int op, LV a)
{
    LV zero = lb_op(b, LOP_VCONST, 0, 0, 0, 0), neg = op2(b, LOP_VSUB, zero, a);
    return op == OP_NEG ? neg : op == OP_ABS ? lb_op(b, LOP_VSEL, op2(b, LOP_VLT, a, zero), neg, a, 0) : a;
}

static LV eval_unary(Eval *e, const Node *n, LV a)
{
    LBuilder *b = &e->lg->L->b;
    MathTier t = e->lg->L->o.math;
    DType from = (DType)e->lg->g->node.at[n->in[0]].dtype;
    switch (n->op) {
    case OP_CAST:
        return eval_cast(b, (DType)n->dtype, from, a);
    case OP_STOP:
        return a;
    case OP_NOT:
        return op1(b, LOP_MNOT, a);
    case OP_EXP:
        return lb_exp(b, t, a);
    case OP_LOG:
        return lb_log(b, t, a);
    case OP_LOG1P:
        return lb_log1p(b, t, a);
    case OP_TANH:
        return lb_tanh(b, t, a);
    case OP_SIGMOID:
        return lb_sigmoid(b, t, a);
    case OP_EXPM1:
        return lb_expm1(b, t, a);
    case OP_SIN:
        return lb_sin(b, t, a);
    case OP_COS:
        return lb_cos(b, t, a);
    case OP_ERF:
        return lb_erf(b, t, a);
    default:
        return from == DT_I ? eval_unary_int(b, n->op, a) : op1(b, float_lop[n->op], a);
    }
}

static LV eval_binary_bool(Eval *e, const Node *n, LV x, LV y)
{
    LBuilder *b = &e->lg->L->b;
    LV both = op2(b, LOP_MAND, x, y), any = op2(b, LOP_MOR, x, y);
    if (n->op == OP_AND)
        return both;
    if (n->op == OP_OR)
        return any;
    if (n->op != OP_EQ)
        low_fail(e->lg->L, "this operation on bools");
    return op2(b, LOP_MOR, both, op1(b, LOP_MNOT, any));
}

static LV eval_binary(Eval *e, const Node *n, LV x, LV y)
{
    LBuilder *b = &e->lg->L->b;
    DType from = (DType)e->lg->g->node.at[n->in[0]].dtype;
    if (from == DT_B)
        return eval_binary_bool(e, n, x, y);
    if ((n->op == OP_MAX || n->op == OP_MIN) && from == DT_F)
        return op2(b, n->op == OP_MAX ? LOP_MAX : LOP_MIN, y, x);
    if (n->op == OP_MAX)
        return lb_op(b, LOP_VSEL, op2(b, LOP_VLT, x, y), y, x, 0);
    if (n->op == OP_MIN)
        return lb_op(b, LOP_VSEL, op2(b, LOP_VLT, y, x), y, x, 0);
    if (n->op == OP_POW && from == DT_F)
        return lb_pow(b, e->lg->L->o.math, x, y);
    if (n->op == OP_LE && from == DT_I)
        return op1(b, LOP_MNOT, op2(b, LOP_VLT, y, x));
    LOp op = from == DT_I ? int_lop[n->op] : float_lop[n->op];
    if (op == LOP_NONE) {
        low_fail(e->lg->L, op_info[n->op].text);
        return x;
    }
    return op2(b, op, x, y);
}

static LV eval_select(Eval *e, const Node *n, LV c, LV x, LV y)
{
    LBuilder *b = &e->lg->L->b;
    if (n->dtype == DT_F)
        return lb_op(b, LOP_SEL, c, x, y, 0);
    if (n->dtype == DT_I)
        return lb_op(b, LOP_VSEL, c, x, y, 0);
    return op2(b, LOP_MOR, op2(b, LOP_MAND, c, x), op2(b, LOP_MAND, op1(b, LOP_MNOT, c), y));
}

/* Computes a row-local node at an index, whatever its place. */
static LV compute_op(Eval *e, Ref r, uint32_t rank, const Ix *ix)
{
    const Node *n = &e->lg->g->node.at[r];
    LV out;
    switch (op_info[n->op].cls) {
    case OPC_UNARY:
        return eval_unary(e, n, operand(e, n, 0, rank, ix));
    case OPC_BINARY:
        if ((n->op == OP_ADD || n->op == OP_SUB) && n->dtype == DT_F && fused_multiply(e, n, rank, ix, &out))
            return out;
        out = operand(e, n, 0, rank, ix);
        return eval_binary(e, n, out, operand(e, n, 1, rank, ix));
    case OPC_TERNARY:
        out = operand(e, n, 1, rank, ix);
        return eval_select(e, n, operand(e, n, 0, rank, ix), out, operand(e, n, 2, rank, ix));
    case OPC_INDEX:
        return eval_gather(e, n, rank, ix);
    case OPC_SHAPE:
        return eval_access(e, r, n, rank, ix);
    case OPC_LEAF:
        return n->op == OP_NOISE ? eval_noise(e, r, n, rank, ix) : eval_leaf(e, r, n, rank, ix);
    default: /* not row-local: never asked for */
        break;
    }
    low_fail(e->lg->L, op_info[n->op].text);
    return lb_fconst(&e->lg->L->b, 0);
}

static LV compute(Eval *e, Ref r, uint32_t rank, const Ix *ix)
{
    LBuilder *b = &e->lg->L->b;
    const Node *n = &e->lg->g->node.at[r];
    uint32_t span = b->span;
    Name who = b->who;
    if (n->span) {
        b->span = n->span;
        b->who = n->name;
    }
    LV v = compute_op(e, r, rank, ix);
    b->span = span;
    b->who = who;
    return v;
}

LV eval_known(const Eval *e, Ref r)
{
    const LV *page = e->memo ? e->memo[r / MEMO_PAGE] : NULL;
    return page ? page[r % MEMO_PAGE] : 0;
}

void eval_keep(Eval *e, Ref r, LV v)
{
    if (!e->memo)
        return;
    LV **page = &e->memo[r / MEMO_PAGE];
    if (!*page)
        *page = NEW_N(e->lg->L->arena, LV, MEMO_PAGE);
    (*page)[r % MEMO_PAGE] = v;
}

void eval_forget(Eval *e)
{
    e->memo = NEW_N(e->lg->L->arena, LV *, e->lg->g->node.n / MEMO_PAGE + 1);
}

void eval_copy(Eval *e, const Eval *from)
{
    eval_forget(e);
    for (uint32_t k = 0; k <= e->lg->g->node.n / MEMO_PAGE; k++)
        if (from->memo[k]) {
            e->memo[k] = NEW_N(e->lg->L->arena, LV, MEMO_PAGE);
            memcpy(e->memo[k], from->memo[k], MEMO_PAGE * sizeof(LV));
        }
}

Eval eval_make(LowG *lg, int lanes, uint32_t rank)
{
    Eval e = { .lg = lg, .lanes = lanes, .rank = rank };
    eval_forget(&e);
    for (uint32_t d = 0; d < rank; d++)
        e.ix[d] = (Ix){ lidx(0), false };
    return e;
}

LV reduce_neutral(LBuilder *b, const Node *n)
{
    return lb_fconst(b, n->op == OP_SUM ? 0 : -HUGE_VAL);
}

LV reduce_combine(LBuilder *b, const Node *n, LV x, LV y)
{
    if (n->op == OP_SUM)
        return op2(b, LOP_ADD, x, y);
    return op2(b, LOP_MAX, y, x);
}

/* The first `lanes` lanes of v, those of `other` behind them. */
LV first_lanes(LBuilder *b, LV v, LV other, int lanes)
{
    if (lanes == b->p->V)
        return v;
    LV in = lb_op(b, LOP_VLT, lb_op(b, LOP_VIOTA, 0, 0, 0, 0), lb_op(b, LOP_VCONST, 0, 0, 0, lanes), 0, 0);
    return lb_op(b, LOP_SEL, in, v, other, 0);
}

LV reduce_next(Eval *e, const Node *n, LV acc, uint32_t rank, const Ix *ix, bool in_lanes)
{
    LBuilder *b = &e->lg->L->b;
    const Node *m = &e->lg->g->node.at[n->in[0]];
    int lanes = in_lanes ? e->lanes : b->p->V;
    LV v;
    if (n->op == OP_SUM && m->op == OP_MUL && e->lg->ni[n->in[0]].fused) {
        v = operand(e, m, 0, rank, ix);
        v = lb_op(b, LOP_FMA, v, operand(e, m, 1, rank, ix), acc, 0);
        return first_lanes(b, v, acc, lanes);
    }
    v = eval_at(e, n->in[0], rank, ix);
    return reduce_combine(b, n, acc, first_lanes(b, v, reduce_neutral(b, n), lanes));
}

/* Accumulators of neighbouring lanes, n of them, by halves, then the lanes of the last one: one tree whatever V is. */
LV reduce_lanes(LBuilder *b, const Node *node, LV *acc, int n)
{
    for (int w = n / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++)
            acc[i] = reduce_combine(b, node, acc[i], acc[i + w]);
    return op1(b, node->op == OP_SUM ? LOP_HSUM : LOP_HMAX, acc[0]);
}

LV eval_at(Eval *e, Ref r, uint32_t rank, const Ix *ix)
{
    LowG *lg = e->lg;
    const Node *n = &lg->g->node.at[r];
    const NodeInfo *ni = &lg->ni[r];
    bool lane = false;
    for (uint32_t d = 0; d < rank; d++)
        lane |= ix[d].lane;
    if (ni->at_row && !lane) /* at the row that a sweep is at */
        return ni->at_row;
    bool own = is_scalar(n) || (rank == n->rank && ix == e->ix); /* one value is the same at any index */
    if (own && eval_known(e, r))
        return eval_known(e, r);
    LV *known = rank == 1 ? lane ? e->unit : e->row : NULL;
    if (known && known[r])
        return known[r];
    if (ni->row && is_scalar(n))
        return ni->row;
    LV v;
    if (ni->kind == NK_INLINE)
        v = compute(e, r, rank, ix);
    else if (ni->kind == NK_ACCESS)
        v = eval_access(e, r, n, rank, ix);
    else
        v = eval_leaf(e, r, n, rank, ix);
    if (own)
        eval_keep(e, r, v);
    if (known && lane && ni->kind == NK_INLINE)
        known[r] = v;
    return v;
}

LV eval_node(Eval *e, Ref r)
{
    LV v = compute(e, r, e->lg->g->node.at[r].rank, e->ix);
    eval_keep(e, r, v);
    return v;
}

static void hold_operands(LowG *lg, Ref r, RefVec *held)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    for (uint32_t k = 0; k < n; k++) {
        Ref o = in[k];
        const Node *x = &lg->g->node.at[o];
        NodeInfo *ni = &lg->ni[o];
        bool memory = ni->kind == NK_ACCESS || x->op == OP_CARRY || x->op == OP_STEP || x->op == OP_CAPTURE;
        if (ni->kind == NK_INLINE) {
            hold_operands(lg, o, held);
        } else if (x->rank == 0 && x->dtype == DT_F && memory && !ni->row && !ni->at_row && !ni->is_const) {
            Eval e = eval_make(lg, 0, 0);
            ni->row = eval_at(&e, o, 0, e.ix);
            VEC_PUSH(lg->L->arena, *held) = o;
        }
    }
}

/* Numbers of the row, or of all rows, that a vector loop reads from memory are loaded before it, not for each vector; until release_scalars. */
RefVec hold_scalars(LowG *lg, const Fused *f)
{
    RefVec held = { 0 };
    for (uint32_t k = 0; k < f->node.n; k++)
        hold_operands(lg, f->node.at[k], &held);
    for (uint32_t k = 0; k < f->reduce.n; k++)
        hold_operands(lg, f->reduce.at[k], &held);
    return held;
}

void release_scalars(LowG *lg, const RefVec *held)
{
    for (uint32_t k = 0; k < held->n; k++)
        lg->ni[held->at[k]].row = 0;
}
