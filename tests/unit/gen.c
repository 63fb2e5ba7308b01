/* Random modules: a scope is a graph under construction with a pool of its values; operations pick operands from the pool. */
#include "gen.h"

#include <string.h>

uint64_t gen_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t gen_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((gen_next(state) >> 33) % n);
}

double gen_real(uint64_t *state, double lo, double hi)
{
    return lo + (hi - lo) * (double)(gen_next(state) >> 11) / 9007199254740992.0;
}

/* ---- scopes --------------------------------------------------------------------------------------------------------------- */

typedef struct Scope {
    Graph *g;
    struct Scope *up;
    RefVec pool; /* dtype F */
    RefVec step, capture; /* operands, in up->g */
    uint32_t axis; /* of the scan; graph[0]: 0 */
    uint32_t inside; /* axes of the enclosing scans */
} Scope;

typedef struct {
    Ctx *ctx;
    Arena *a;
    Module *m;
    GenOptions o;
    uint64_t rng;
    uint32_t T, S, token; /* token: 1 + input */
    int depth;
} Gen;

static uint32_t below(Gen *s, uint32_t n)
{
    return gen_below(&s->rng, n);
}

static const Node *at(const Scope *c, Ref r)
{
    return &c->g->node.at[r];
}

static bool is_ragged(const Gen *s, uint32_t axes)
{
    for (uint32_t t = 1; t < s->m->naxis; t++)
        if ((axes & AX(t)) && s->m->axis[t].ragged) return true;
    return false;
}

/* Values of a ragged axis always have B here: what a padded step of an unbatched value is, nobody says. */
static Ref keep(Gen *s, Scope *c, Ref r)
{
    if (!r) return 0;
    if (is_ragged(s, at(c, r)->axes)) r = g_expand_axes(c->g, r, AX(AXIS_B));
    if (at(c, r)->dtype == DT_F) VEC_PUSH(s->a, c->pool) = r;
    return r;
}

static Ref capture(Gen *s, Scope *c, Ref outer)
{
    Node n = *at(c->up, outer);
    uint32_t i = 0;

    while (i < c->capture.n && c->capture.at[i] != outer) i++;
    if (i == c->capture.n) VEC_PUSH(s->a, c->capture) = outer;
    return g_leaf_typed(c->g, OP_CAPTURE, i, (DType)n.dtype, n.rank, n.dim, n.axes);
}

static Ref step(Gen *s, Scope *c, Ref outer)
{
    Node n = *at(c->up, outer);
    uint32_t i = 0;

    while (i < c->step.n && c->step.at[i] != outer) i++;
    if (i == c->step.n) VEC_PUSH(s->a, c->step) = outer;
    return g_leaf_typed(c->g, OP_STEP, i, (DType)n.dtype, n.rank, n.dim, n.axes & ~AX(c->axis));
}

static Ref lift_param(Gen *s, Scope *c, uint32_t p)
{
    return c->up ? capture(s, c, lift_param(s, c->up, p)) : g_param(c->g, p);
}

static Ref param(Gen *s, Scope *c, int rank, int32_t d0, int32_t d1)
{
    int32_t dim[3] = {d0, d1, 0};
    uint32_t p, n = s->m->param.n;

    for (uint32_t i = 0; i < n; i++) {
        const Param *q = &s->m->param.at[i];
        if (q->rank == rank && q->dim[0] == d0 && q->dim[1] == d1 && below(s, 3) == 0) return lift_param(s, c, i);
    }
    p = module_add_param(s->m, intern_printf(s->ctx, "p%u", (unsigned)n), rank, dim, below(s, 8) == 0);
    return lift_param(s, c, p);
}

static Ref pick(Gen *s, const Scope *c)
{
    uint32_t n = c->pool.n, i = below(s, n);

    if (below(s, 2)) i = n - 1 - below(s, n < 4 ? n : 4); /* often a recent one */
    return c->pool.at[i];
}

static Ref pick_rank(Gen *s, const Scope *c, int rank)
{
    for (int i = 0; i < 12; i++) {
        Ref r = pick(s, c);
        if (at(c, r)->rank == rank) return r;
    }
    return 0;
}

static Ref pick_like(Gen *s, const Scope *c, Ref a)
{
    for (int i = 0; i < 20; i++) {
        Ref r = pick(s, c);
        const Node *x = at(c, r), *y = at(c, a);
        if (x->rank == 0 || y->rank == 0) return r;
        if (x->rank == y->rank && !memcmp(x->dim, y->dim, sizeof x->dim)) return r;
    }
    return a;
}

/* ---- operations ----------------------------------------------------------------------------------------------------------- */

static const uint8_t L0[3] = {0, 0, 0};

static Ref matvec(Gen *s, Scope *c, Ref x, int32_t out)
{
    static const uint8_t lx[3] = {1, 0, 0}, lo[3] = {2, 0, 0}, lt[3] = {1, 2, 0};
    int32_t in = at(c, x)->dim[0];

    if (below(s, 3)) return g_matvec(c->g, param(s, c, 2, out, in), x);
    return g_dot(c->g, x, param(s, c, 2, in, out), lx, lt, lo, at(c, x)->axes);
}

/* any value as a vector [n] or scalar */
static Ref coerce(Gen *s, Scope *c, Ref r, int rank, int32_t d0, int32_t d1)
{
    Graph *g = c->g;
    int32_t dim[3] = {d0, d1, 0};
    static const int32_t none[3] = {-1, -1, -1}, first[3] = {0, -1, -1};

    if (at(c, r)->rank == 2) r = g_sum(g, r, 0, 2);
    if (rank == 0) return at(c, r)->rank ? g_sum(g, r, 0, 1) : r;
    if (at(c, r)->rank == 0) return g_bin(g, OP_MUL, r, param(s, c, rank, d0, d1));
    if (at(c, r)->dim[0] != d0 || below(s, 2)) r = matvec(s, c, r, d0);
    if (rank == 1) return r;
    if (below(s, 2)) return g_expand(g, r, 2, dim, first, 0);
    return g_bin(g, OP_MUL, g_expand(g, r, 2, dim, first, 0), g_expand(g, g_const(g, 0.5), 2, dim, none, 0));
}

static Ref op_unary(Gen *s, Scope *c)
{
    Graph *g = c->g;
    Ref a = pick(s, c), one = g_const(g, 1), sq;

    switch (below(s, 13)) {
    case 0: case 1: case 2: return g_un(g, OP_TANH, a);
    case 3: return g_un(g, OP_SIGMOID, a);
    case 4: return g_un(g, OP_SIN, a);
    case 5: return g_un(g, OP_COS, a);
    case 6: return g_un(g, OP_NEG, a);
    case 7: return g_un(g, OP_EXP, g_un(g, OP_TANH, a));
    case 8:
        sq = g_bin(g, OP_ADD, one, g_bin(g, OP_MUL, a, a));
        return g_un(g, below(s, 2) ? OP_LOG : OP_SQRT, sq);
    case 9: return g_un(g, OP_LOG1P, g_un(g, OP_EXP, g_un(g, OP_TANH, a)));
    case 10: return g_un(g, OP_EXPM1, g_un(g, OP_SIN, a));
    case 11: return g_un(g, OP_ERF, a);
    default: return g_bin(g, OP_POW, g_bin(g, OP_ADD, one, g_un(g, OP_SIGMOID, a)), g_un(g, OP_TANH, a));
    }
}

static Ref op_binary(Gen *s, Scope *c)
{
    Graph *g = c->g;
    Ref a = pick(s, c), b = pick_like(s, c, a), t;

    switch (below(s, 10)) {
    case 0: case 1: return g_bin(g, OP_ADD, a, b);
    case 2: return g_bin(g, OP_SUB, a, b);
    case 3: case 4: return g_bin(g, OP_MUL, g_un(g, OP_TANH, a), b);
    case 5: return g_bin(g, OP_DIV, a, g_bin(g, OP_ADD, g_const(g, 1.5), g_bin(g, OP_MUL, b, b)));
    case 6: return g_bin(g, OP_MAX, a, b);
    case 7: return g_bin(g, OP_MIN, a, b);
    case 8:
        t = g_bin(g, OP_LT, a, b);
        return g_select(g, t, g_un(g, OP_SIN, a), g_bin(g, OP_MUL, a, g_const(g, 0.5)));
    default: /* guarded: log of something that may be negative, taken only where it is not */
        t = g_bin(g, OP_LT, g_const(g, 0.1), a);
        return g_select(g, t, g_un(g, OP_LOG, a), g_bin(g, OP_MUL, a, a));
    }
}

static Ref op_product(Gen *s, Scope *c)
{
    static const uint8_t l1[3] = {1, 0, 0}, l12[3] = {1, 2, 0}, l2[3] = {2, 0, 0};
    Graph *g = c->g;
    int32_t h = s->o.hidden;
    Ref a = pick_rank(s, c, 1), b;

    if (!a) return 0;
    if (below(s, 3)) return g_un(g, OP_TANH, matvec(s, c, a, below(s, 2) ? h : h + 1));
    b = pick_rank(s, c, s->o.matrix ? 1 + (int)below(s, 2) : 1);
    if (!b) return 0;
    if (at(c, b)->rank == 2) {
        if (at(c, b)->dim[0] == at(c, a)->dim[0]) return g_dot(g, a, b, l1, l12, l2, at(c, a)->axes | at(c, b)->axes);
        return 0;
    }
    if (s->o.matrix && below(s, 2)) return g_dot(g, a, b, l1, l2, l12, at(c, a)->axes | at(c, b)->axes); /* outer */
    if (at(c, a)->dim[0] != at(c, b)->dim[0]) return 0;
    return g_dot(g, a, b, l1, l1, L0, at(c, a)->axes | at(c, b)->axes);
}

static Ref op_reduce(Gen *s, Scope *c)
{
    static const int32_t none[3] = {-1, -1, -1};
    Graph *g = c->g;
    Ref a = pick(s, c), m, e;
    Node n = *at(c, a);

    if (!n.rank) return 0;
    switch (below(s, 4)) {
    case 0: return g_sum(g, a, 0, 1u << below(s, n.rank));
    case 1: return g_amax(g, a, 0, 1u << below(s, n.rank));
    case 2: return g_amax(g, a, 0, (1u << n.rank) - 1);
    default: /* softmax */
        if (n.rank != 1) return 0;
        m = g_un(g, OP_STOP, g_amax(g, a, 0, 1));
        e = g_un(g, OP_EXP, g_bin(g, OP_SUB, a, m));
        return g_bin(g, OP_DIV, e, g_expand(g, g_sum(g, e, 0, 1), 1, n.dim, none, 0));
    }
}

static Ref op_shape(Gen *s, Scope *c)
{
    static const uint32_t flip[3] = {1, 0, 2};
    Graph *g = c->g;
    Ref a = pick(s, c), part[2];
    Node n = *at(c, a);
    uint32_t d;
    int32_t flat[3] = {(int32_t)node_features(&n), 0, 0};

    if (!n.rank) return 0;
    d = below(s, n.rank);
    switch (below(s, 5)) {
    case 0: return n.dim[d] > 1 ? g_slice(g, a, d, 1, n.dim[d]) : 0;
    case 1: return n.dim[d] < 5 ? g_pad(g, a, d, (int32_t)below(s, 2), 1) : 0;
    case 2:
        part[0] = a;
        part[1] = pick_like(s, c, a);
        return at(c, part[1])->rank == n.rank && n.dim[d] < 4 ? g_concat(g, part, 2, d) : 0;
    case 3: return n.rank == 2 && flat[0] < 8 ? g_reshape(g, a, 1, flat) : 0;
    default: return n.rank == 2 ? g_transpose(g, a, flip) : 0;
    }
}

static Ref op_index(Gen *s, Scope *c)
{
    Graph *g = c->g;
    int32_t h = s->o.hidden;
    Ref i, a;

    if (!s->token) return 0;
    if (!c->up) {
        i = g_input(g, s->token - 1);
        if (below(s, 4) == 0 && (a = pick_rank(s, c, 1)) && at(c, a)->dim[0] >= 3 && !(at(c, a)->axes & ~at(c, i)->axes))
            return g_gather(g, a, i);
        if (below(s, 4) == 0 && (a = pick_rank(s, c, 1)) && at(c, a)->axes == at(c, i)->axes)
            return g_un(g, OP_TANH, g_scatter_add(g, i, a, 3, below(s, 2) ? at(c, i)->axes : 0));
        return g_gather(g, param(s, c, 2, 3, h), i);
    }
    if (c->up->up || !(at(c->up, 0)->op == OP_NONE) || c->axis != s->T) return 0;
    i = step(s, c, g_input(c->up->g, s->token - 1));
    return g_gather(g, param(s, c, 2, 3, h), i);
}

static Ref time_axis(Gen *s, const Scope *c, Ref *a)
{
    uint32_t axes;

    *a = pick(s, c);
    axes = at(c, *a)->axes & ~1u;
    for (uint32_t t = 1 + below(s, 2), i = 0; i < 2; i++, t = 3 - t)
        if (axes & AX(t)) return t;
    return 0;
}

static Ref op_time(Gen *s, Scope *c)
{
    Graph *g = c->g;
    Ref a, fill;
    uint32_t axis = time_axis(s, c, &a);
    Node n;

    if (!axis) return 0;
    n = *at(c, a);
    switch (below(s, s->o.reverse ? 6 : 3)) {
    case 0: return g_un(g, OP_TANH, g_sum(g, a, AX(axis), 0));
    case 1: return g_last(g, a, axis);
    case 2: return g_amax(g, a, AX(axis), n.rank && below(s, 2) ? 1 : 0);
    case 3: return g_reverse(g, a, axis);
    default:
        fill = n.rank ? param(s, c, n.rank, n.dim[0], n.dim[1]) : g_const(g, 0.3);
        return n.rank < 3 ? g_shift(g, a, fill, axis, below(s, 2) ? 1 : -1 - (int32_t)below(s, 2)) : 0;
    }
}

static Ref op_leaf(Gen *s, Scope *c)
{
    Graph *g = c->g;
    int32_t dim[3] = {s->o.hidden, 0, 0};
    uint32_t axes = s->o.batch ? AX(AXIS_B) : 0;
    Ref t;

    if (s->o.noise && below(s, 2))
        return g_bin(g, OP_MUL, g_const(g, 0.3),
                     g_noise(g, NOISE_NORMAL, below(s, 3), c->inside, 1, dim, c->up ? axes : axes));
    if (!c->up) return 0;
    t = g_cast(g, g_iota_axis(g, c->axis, true), DT_F);
    return g_bin(g, OP_MUL, g_const(g, 0.2), t);
}

static void run_ops(Gen *s, Scope *c, int count);

/* ---- scans ---------------------------------------------------------------------------------------------------------------- */

/* r reduced to the allowed axes and the dims of `want`. */
static Ref fit_next(Gen *s, Scope *c, Ref r, const Node *want)
{
    uint32_t extra = at(c, r)->axes & ~want->axes;

    if (extra) r = g_un(c->g, OP_TANH, g_sum(c->g, r, extra, 0));
    if (at(c, r)->rank != want->rank || memcmp(at(c, r)->dim, want->dim, sizeof want->dim))
        r = coerce(s, c, r, want->rank, want->dim[0], want->dim[1]);
    return r;
}

static Ref make_next(Gen *s, Scope *c, Ref carry)
{
    Graph *g = c->g;
    Node want = *at(c, carry);
    Ref a = 0, z;

    for (int i = 0; i < 10; i++) {
        a = pick(s, c);
        if (s->o.mixing || !((at(c, a)->axes & ~want.axes) & AX(AXIS_B))) break;
        a = 0;
    }
    a = g_un(g, OP_TANH, fit_next(s, c, a ? a : carry, &want));
    if (below(s, 3)) return a;
    z = g_un(g, OP_SIGMOID, fit_next(s, c, a, &want));
    return g_bin(g, OP_ADD, g_bin(g, OP_MUL, z, carry), g_bin(g, OP_MUL, g_bin(g, OP_SUB, g_const(g, 1), z), a));
}

static Ref make_init(Gen *s, Scope *c, int rank, const int32_t *dim, uint32_t axes)
{
    Graph *g = c->g;
    Ref r = 0;
    Node want = {.rank = (uint8_t)rank, .dim = {dim[0], dim[1], 0}, .axes = axes};

    if (below(s, 3) == 0) r = g_const(g, 0);
    else if (below(s, 2)) r = rank ? param(s, c, rank, dim[0], dim[1]) : g_const(g, 0.5);
    for (int i = 0; i < 8 && !r; i++) {
        Ref a = pick(s, c);
        if (at(c, a)->rank == rank && !memcmp(at(c, a)->dim, want.dim, sizeof want.dim) && !(at(c, a)->axes & ~axes)) r = a;
    }
    if (!r) r = g_const(g, 0.25);
    if (at(c, r)->rank != rank) {
        static const int32_t none[3] = {-1, -1, -1};
        r = g_expand(g, r, rank, dim, none, 0);
    }
    return g_expand_axes(g, r, axes);
}

static void op_scan(Gen *s, Scope *c, uint32_t axis)
{
    Graph *g = c->g;
    Scope body = {.g = module_add_graph(s->m), .up = c, .axis = axis, .inside = c->inside | AX(axis)};
    uint32_t ncarry = 1 + below(s, 3), nout = 0, batch = s->o.batch ? AX(AXIS_B) : 0;
    bool back = s->o.reverse && below(s, 3) == 0;
    Ref init[3], carry[3], scan;

    for (uint32_t k = 0; k < ncarry; k++) {
        int rank = s->o.matrix && below(s, 4) == 0 ? 2 : below(s, 5) ? 1 : 0;
        int32_t h = s->o.hidden, dim[3] = {rank ? h : 0, rank > 1 ? h : 0, 0};
        uint32_t axes = s->m->axis[axis].ragged || below(s, 4) ? batch : 0;
        init[k] = make_init(s, c, rank, dim, axes);
        carry[k] = g_leaf_typed(body.g, OP_CARRY, k, DT_F, rank, dim, axes);
        VEC_PUSH(s->a, body.pool) = carry[k];
    }
    for (uint32_t i = 0; i < c->pool.n; i++) {
        Ref r = c->pool.at[i];
        if ((at(c, r)->axes & AX(axis)) && below(s, 2)) VEC_PUSH(s->a, body.pool) = step(s, &body, r);
        else if (below(s, 4) == 0 && (!(at(c, r)->axes & AX(axis)) || below(s, 4) == 0)) VEC_PUSH(s->a, body.pool) = capture(s, &body, r);
    }
    s->depth++;
    run_ops(s, &body, s->o.size * 2 / 3 + 1);
    s->depth--;
    for (uint32_t k = 0; k < ncarry; k++) {
        Ref next = below(s, 12) ? make_next(s, &body, carry[k]) : carry[k];
        Node want = *at(&body, carry[k]);
        next = g_expand_axes(body.g, next, want.axes);
        graph_root(body.g, ROOT_NEXT, 0, next, k);
        if (below(s, 2)) VEC_PUSH(s->a, body.pool) = next;
    }
    for (uint32_t i = 0; i < 3; i++, nout++) {
        Ref r = pick(s, &body);
        bool plain = !(batch && s->m->axis[axis].ragged) || (at(&body, r)->axes & AX(AXIS_B));
        uint32_t what = below(s, 4);
        if (what == 0) graph_root(body.g, ROOT_LAST, 0, 0, below(s, ncarry));
        else if (!plain) graph_root(body.g, ROOT_LAST, 0, 0, 0);
        else if (what == 1 || (at(&body, r)->axes & AX(axis))) graph_root(body.g, ROOT_SUM, 0, r, 0);
        else graph_root(body.g, ROOT_STACK, 0, r, 0);
    }
    scan = g_scan(g, axis, back, body.g->index, init, ncarry, body.step.at, body.step.n, body.capture.at, body.capture.n);
    if (!scan) return;
    for (uint32_t i = 0; i < nout; i++) {
        Ref r = g_out(g, scan, i);
        if (body.g->root.at[ncarry + i].kind == ROOT_SUM) r = g_un(g, OP_TANH, r);
        keep(s, c, r);
    }
}

static void run_ops(Gen *s, Scope *c, int count)
{
    for (int i = 0; i < count; i++) {
        uint32_t what = below(s, 20);
        Ref r = 0;
        if (what < 3) r = op_unary(s, c);
        else if (what < 8) r = op_binary(s, c);
        else if (what < 12) r = op_product(s, c);
        else if (what < 14) r = op_reduce(s, c);
        else if (what < 16) r = op_shape(s, c);
        else if (what == 16) r = s->o.gather ? op_index(s, c) : 0;
        else if (what == 17) r = op_time(s, c);
        else if (what == 18) r = op_leaf(s, c);
        else if (s->depth == 0 || (s->depth == 1 && s->o.nested && c->axis != s->S))
            op_scan(s, c, s->depth ? s->S : s->o.nested && below(s, 3) == 0 ? s->S : s->T);
        if (r && at(c, r)->dtype == DT_F && node_features(at(c, r)) <= 24) keep(s, c, r);
    }
}

/* ---- modules -------------------------------------------------------------------------------------------------------------- */

static Ref total(Scope *c, Ref r)
{
    const Node n = *at(c, r);

    return g_sum(c->g, r, n.axes, (1u << n.rank) - 1);
}

static uint32_t time(Gen *s, const char *name, bool ragged)
{
    uint32_t t = module_add_axis(s->m, AXIS_TIME, intern(s->ctx, name)), i;

    if (!ragged) return t;
    i = module_add_input(s->m, INPUT_LENGTH, intern_printf(s->ctx, "len.%s", name), DT_I, 0, NULL, AX(AXIS_B));
    s->m->axis[t].ragged = true;
    s->m->axis[t].length = 1 + i;
    return t;
}

Module *gen_module(Ctx *ctx, Arena *a, uint64_t seed, GenOptions o)
{
    Gen s = {.ctx = ctx, .a = a, .o = o, .rng = seed * 2 + 1};
    Scope c = {0};
    uint32_t batch = o.batch ? AX(AXIS_B) : 0, i;
    int32_t dim[3];
    Ref loss;

    if (!s.o.size) s.o.size = 12;
    if (!s.o.hidden) s.o.hidden = 3;
    s.m = module_make(ctx, a, intern_printf(ctx, "gen%lu", (unsigned long)seed));
    s.T = time(&s, "T", o.ragged && o.batch);
    s.S = time(&s, "S", o.ragged && o.batch && below(&s, 2));
    c.g = s.m->graph.at[0];
    dim[0] = 2;
    i = module_add_input(s.m, INPUT_DATA, intern(ctx, "x"), DT_F, 1, dim, AX(s.T) | batch);
    keep(&s, &c, g_input(c.g, i));
    dim[0] = s.o.hidden;
    if (below(&s, 2) || o.nested) {
        i = module_add_input(s.m, INPUT_DATA, intern(ctx, "m"), DT_F, 1, dim, AX(s.S) | batch);
        keep(&s, &c, g_input(c.g, i));
    }
    i = module_add_input(s.m, INPUT_DATA, intern(ctx, "v"), DT_F, 1, dim, batch);
    keep(&s, &c, g_input(c.g, i));
    if (o.gather) s.token = 1 + module_add_input(s.m, INPUT_DATA, intern(ctx, "tok"), DT_I, 0, NULL, AX(s.T) | batch);
    if (o.gather) s.m->input.at[s.token - 1].vocab = 3;
    run_ops(&s, &c, s.o.size / 2);
    op_scan(&s, &c, s.T);
    run_ops(&s, &c, s.o.size / 2);
    if (below(&s, 2)) op_scan(&s, &c, s.T);
    loss = g_const(c.g, 0);
    for (uint32_t k = 0; k < 5; k++) {
        Ref r = g_un(c.g, OP_SIN, pick(&s, &c));
        loss = g_bin(c.g, OP_ADD, loss, total(&c, k % 2 ? g_bin(c.g, OP_MUL, r, r) : r));
    }
    graph_root(c.g, ROOT_OUTPUT, intern(ctx, "y"), pick(&s, &c), 0);
    graph_root(c.g, ROOT_OUTPUT, intern(ctx, "z"), pick(&s, &c), 0);
    graph_root(c.g, ROOT_LOSS, 0, loss, 0);
    return s.m;
}

/* ---- inputs --------------------------------------------------------------------------------------------------------------- */

static void fill_input(const Module *m, const EvalIn *in, uint32_t i, double *v, int64_t n, uint64_t *rng)
{
    const Input *p = &m->input.at[i];
    uint32_t axis = 0;

    for (uint32_t t = 1; t < m->naxis; t++)
        if (m->axis[t].ragged && m->axis[t].length == 1 + i) axis = t;
    for (int64_t k = 0; k < n; k++) {
        if (axis) v[k] = 1 + (double)gen_below(rng, (uint32_t)in->axis[axis]);
        else if (p->dtype == DT_F) v[k] = gen_real(rng, -1.2, 1.2);
        else v[k] = gen_below(rng, p->vocab ? (uint32_t)p->vocab : 2);
    }
}

GenInputs gen_inputs(const Module *m, Arena *a, uint64_t seed)
{
    return gen_inputs_long(m, a, seed, 0);
}

GenInputs gen_inputs_long(const Module *m, Arena *a, uint64_t seed, int64_t steps)
{
    GenInputs g = {.in = {.seed = seed * 7 + 3}};
    uint64_t rng = seed ^ UINT64_C(0xabcdef);

    g.in.axis[0] = 1 + gen_below(&rng, 4);
    for (uint32_t t = 1; t < m->naxis; t++) g.in.axis[t] = 1 + gen_below(&rng, t == 1 ? 4 : 3);
    if (steps) g.in.axis[1] = steps;
    g.param = NEW_N(a, double *, m->param.n + 1);
    g.param_size = NEW_N(a, int64_t, m->param.n + 1);
    g.input = NEW_N(a, double *, m->input.n + 1);
    g.input_size = NEW_N(a, int64_t, m->input.n + 1);
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        Node n = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}};
        g.param_size[i] = node_features(&n);
        g.param[i] = NEW_N(a, double, g.param_size[i] + 1);
        for (int64_t k = 0; k < g.param_size[i]; k++) g.param[i][k] = gen_real(&rng, -0.8, 0.8);
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        Node n = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
        g.input_size[i] = value_size(m, &n, g.in.axis);
        g.input[i] = NEW_N(a, double, g.input_size[i] + 1);
        fill_input(m, &g.in, i, g.input[i], g.input_size[i], &rng);
    }
    g.in.param = (const double **)g.param;
    g.in.input = (const double **)g.input;
    return g;
}
