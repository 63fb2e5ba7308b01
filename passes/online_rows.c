/* Influences in rows. J [U, S] of block b of a unit q on a state s is the derivative of element i of s by element (l, u) of q, l the
   label of i:
     J'[u, i] = sum over states s' of c(s, s')[i] J(s')[u, i]  +  sum over bases a of c(s, a)[i] x[u]
   c(s, v) is the diagonal of ds'/dv: one forward sweep with a tangent of ones on v. x is the vector that q is multiplied by. Cost
   and memory are those of q, whatever its size.
   relies on: online.c has found that nothing else depends on anything, or (snap1) may be left out. */
#include <string.h>

#include "passes/online.h"
#include "passes/rewrite.h"

/* ---- diagonals of Jacobians -------------------------------------------------------------------------------------------------------------- */

/* The elements U[o, o mod n] of a matrix that a picked product has, as a value outside; [O] */
static Ref matrix_diagonal(Online *o, Ref r, int vector)
{
    Graph *g = online_outer(o);
    const Node y = o->body->node.at[r], leaf = o->body->node.at[y.in[1 - vector]];
    const uint32_t *w = node_attr(o->body, r);
    int32_t n = o->body->node.at[y.in[vector]].dim[0], dim[3] = {y.dim[0] / n, n, n};
    Ref u = o->capture.at[leaf.attr], a, b;

    if (w[3 * (1 - vector)] != w[6]) u = g_transpose(g, u, (const uint32_t[]){1, 0, 2});
    u = g_reshape(g, u, 3, dim);
    a = g_expand(g, g_iota(g, n), 3, dim, (const int32_t[]){-1, 0, -1}, 0);
    b = g_expand(g, g_iota(g, n), 3, dim, (const int32_t[]){-1, -1, 0}, 0);
    u = g_sum(g, g_select(g, g_bin(g, OP_EQ, a, b), u, g_const(g, 0)), 0, 4);
    return online_flatten(g, u, y.dim[0]);
}

typedef struct {
    Online *o;
    const uint8_t *picked;
} Picks;

/* t[o mod n] U[o, o mod n] */
static Ref pick_tangent(Forward *f, Ref r, int i, bool *done)
{
    const Picks *p = f->arg;
    Graph *g = f->l.bwd;
    Node y = g->node.at[r], x = g->node.at[y.in[i]];
    int32_t blocks[2];
    Ref t;

    *done = p && p->picked[r] == 1 + i && f->tan[y.in[i]];
    if (!*done) return 0;
    t = widen_dims(g, f->tan[y.in[i]], &x);
    blocks[0] = y.dim[0] / x.dim[0];
    blocks[1] = x.dim[0];
    if (blocks[0] > 1) t = online_flatten(g, g_expand(g, t, 2, blocks, (const int32_t[]){-1, 0, -1}, 0), y.dim[0]);
    return g_bin(g, OP_MUL, t, online_capture(p->o, matrix_diagonal(p->o, r, i)));
}

static Forward sweep_from(Online *o, Ref base, Ref tangent, Picks *picks, uint32_t extra)
{
    Forward f = forward_make(o->arena, o->body, extra, o->subst);

    f.l.n0 = o->n0;
    f.l.bits = NULL;
    f.via = picks ? pick_tangent : NULL;
    f.arg = picks;
    f.tan[base] = tangent;
    forward_sweep(&f);
    return f;
}

/* Ones on block b of a base of n elements a block. */
static Ref block_ones(Online *o, Ref base, uint32_t b, uint32_t blocks)
{
    Graph *g = o->body;
    Node type = g->node.at[base];
    int32_t all = type.dim[0], n;

    type.axes = 0;
    if (blocks == 1) return g_const(g, 1);
    n = type.dim[0] = all / (int32_t)blocks;
    return g_pad(g, splat(g, 1, &type), 0, (int32_t)b * n, all - (int32_t)(b + 1) * n);
}

/* As a vector of the state's size; 0 if there is nothing. */
static Ref coefficient(Online *o, Forward *f, const OnlineState *s)
{
    Node type = s->type;
    Ref t = f->tan[s->next];

    type.axes = 0;
    return t ? online_flatten(o->body, widen_dims(o->body, t, &type), s->size) : 0;
}

/* Where a state's elements are mixed more than once within a step: the diagonal of the whole Jacobian. */
static Ref whole_diagonal(Online *o, const OnlineState *from, const OnlineState *to)
{
    Graph *g = online_outer(o), *b = o->body;
    uint32_t axis = module_add_axis(g->module, AXIS_COUNT, intern(g->module->ctx, "element"));
    int32_t n = (int32_t)from->size;
    Ref eye, t;
    Forward f;

    if (!axis) return 0;
    g->module->axis[axis].count = n;
    eye = online_capture(o, g_cast(g, g_bin(g, OP_EQ, g_iota_axis(g, axis, false), g_iota(g, n)), DT_F));
    f = sweep_from(o, from->leaf, g_reshape(b, eye, from->type.rank, from->type.dim), NULL, AX(axis));
    t = f.tan[to->next];
    return t ? g_sum(b, g_bin(b, OP_MUL, online_flatten(b, forward_full(&f, to->next), n), eye), AX(axis), 0) : 0;
}

/* c[to * nstate + from] for every pair that an influence in rows needs. */
Ref *online_coefficients(Online *o)
{
    Ref *c = NEW_N(o->arena, Ref, o->nstate * o->nstate + 1);

    for (uint32_t from = 0; from < o->nstate; from++) {
        Picks p = {o, o->picked[from]};
        Forward exact, pick;
        bool any[4] = {false};
        for (uint32_t to = 0; to < o->nstate; to++) any[o->edge[to * o->nstate + from]] = true;
        if (!o->state[from].leaf) continue;
        if (any[EDGE_DIAGONAL]) exact = sweep_from(o, o->state[from].leaf, g_const(o->body, 1), NULL, 0);
        if (any[EDGE_PICK] && o->snap) pick = sweep_from(o, o->state[from].leaf, g_const(o->body, 1), &p, 0);
        for (uint32_t to = 0; to < o->nstate; to++) {
            Edge e = o->edge[to * o->nstate + from];
            Ref *v = &c[to * o->nstate + from];
            if (e == EDGE_DIAGONAL) *v = coefficient(o, &exact, &o->state[to]);
            if (e == EDGE_PICK && o->snap) *v = coefficient(o, &pick, &o->state[to]);
            if (e == EDGE_FULL && o->snap && o->state[to].size == o->state[from].size) *v = whole_diagonal(o, &o->state[from], &o->state[to]);
        }
    }
    return c;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------------------------- */

/* v [S] over the directions: [U, S], or v itself where there is one. */
static Ref over_rows(Graph *g, Ref v, int64_t U, int64_t S)
{
    int32_t dim[2] = {(int32_t)U, (int32_t)S};

    return U == 1 ? v : g_expand(g, v, 2, dim, (const int32_t[]){-1, 0, -1}, 0);
}

/* What base k of the unit is per direction: [U], 0 for 1. */
static Ref direction(Online *o, const Unit *u, uint32_t k)
{
    Graph *g = o->body;
    Ref r = u->base[k], x;
    Node n = g->node.at[r], q = u->type;
    uint32_t perm[MAX_RANK] = {0, 1, 2}, d = 0;
    const uint32_t *w = node_attr(g, r);
    int i = n.in[0] == u->leaf ? 0 : 1;

    if (u->use == USE_ELEMENT) return 0;
    if (u->use == USE_GATHER) {
        x = g_bin(g, OP_MIN, g_bin(g, OP_MAX, n.in[1], g_int(g, 0)), g_int(g, (int32_t)u->U - 1));
        return g_cast(g, g_bin(g, OP_EQ, g_iota(g, (int32_t)u->U), x), DT_F);
    }
    x = n.in[1 - i];
    for (int a = 0; a < q.rank; a++) /* the dims of x in the order of q's */
        for (uint32_t b = 0; b < g->node.at[x].rank; b++)
            if (w[3 * (1 - i) + b] == w[3 * i + a]) perm[d++] = b;
    if (d == 0) return x; /* the unit is scaled by a scalar */
    return online_flatten(g, d > 1 ? g_transpose(g, x, perm) : x, u->U);
}

static Node influence_type(const Online *o, const Unit *u, const OnlineState *s)
{
    Node n = {.dtype = DT_F, .rank = u->U == 1 ? 1 : 2, .axes = s->type.axes};

    n.dim[0] = u->U == 1 ? (int32_t)s->size : (int32_t)u->U;
    n.dim[1] = u->U == 1 ? 0 : (int32_t)s->size;
    (void)o;
    return n;
}

void online_start_rows(Online *o, Unit *u)
{
    for (uint32_t b = 0; b < u->blocks; b++)
        for (uint32_t s = 0; s < o->nstate; s++) {
            Influence *x = &u->on[b][s];
            Node type = influence_type(o, u, &o->state[s]);
            bool start = u->use == USE_INIT && o->state[s].carry == u->operand;
            if (!x->on) continue;
            online_start(o, x, &type, g_const(online_outer(o), start), u->use == USE_INIT ? NULL : &o->state[s]);
        }
}

void online_step_rows(Online *o, Unit *u, const Ref *c)
{
    Graph *g = o->body;

    for (uint32_t b = 0; b < u->blocks; b++) {
        Forward f[MAX_BASES];
        for (uint32_t k = 0; k < u->nbase; k++) f[k] = sweep_from(o, u->base[k], block_ones(o, u->base[k], b, u->blocks), NULL, 0);
        for (uint32_t s = 0; s < o->nstate; s++) {
            Influence *x = &u->on[b][s];
            int64_t S = o->state[s].size;
            Ref v = 0;
            if (!x->on) continue;
            for (uint32_t from = 0; from < o->nstate; from++) {
                Ref k = c[s * o->nstate + from];
                if (k && u->on[b][from].on) v = online_plus(g, v, g_bin(g, OP_MUL, over_rows(g, k, u->U, S), u->on[b][from].leaf));
            }
            for (uint32_t k = 0; k < u->nbase; k++) {
                Ref a = coefficient(o, &f[k], &o->state[s]), t = direction(o, u, k);
                int32_t dim[2] = {(int32_t)u->U, (int32_t)S};
                if (!a) continue;
                a = over_rows(g, a, u->U, S);
                if (t && u->U > 1) t = g_expand(g, t, 2, dim, (const int32_t[]){0, -1, -1}, 0);
                else if (t && g->node.at[t].rank) t = g_reshape(g, t, 0, dim);
                v = online_plus(g, v, t ? g_bin(g, OP_MUL, a, t) : a);
            }
            online_next(o, x, v ? v : g_const(g, 0));
        }
    }
}

/* Adjoint of a state times its influence: what it adds to the gradient; 0 if nothing. */
static Ref weighted(Graph *g, Ref adj, const OnlineState *s, Ref J, int64_t U)
{
    Node type = s->type;
    Ref v;

    if (!adj || !J) return 0;
    type.axes = 0;
    v = online_flatten(g, widen_dims(g, adj, &type), s->size);
    return g_bin(g, OP_MUL, over_rows(g, v, U, s->size), J);
}

void online_sum_rows(Online *o, Unit *u)
{
    for (uint32_t b = 0; b < u->blocks; b++)
        for (uint32_t s = 0; s < o->nstate; s++) {
            Influence *x = &u->on[b][s];
            const OnlineState *t = &o->state[s];
            Ref v;
            if (!x->on) continue;
            v = online_plus(o->body, weighted(o->body, t->after, t, x->next, u->U), weighted(o->body, t->before, t, x->leaf, u->U));
            v = online_sum_all_but(o->body, v, u->type.axes | AX(AXIS_B));
            if (v) x->sum = online_out(o, ROOT_SUM, v, 0);
            if (t->last || x->lasts) x->last = online_out(o, ROOT_LAST, 0, x->carry);
        }
}

/* [U, S] of one state to [U, n]: elements with one label together. */
static Ref by_label(Graph *g, Ref v, int64_t U, int64_t S, int64_t n, int64_t inner)
{
    int32_t a[3] = {(int32_t)(U * (S / n / inner)), (int32_t)n, (int32_t)inner}, b[3] = {(int32_t)U, (int32_t)(S / n / inner), (int32_t)n};

    if (n != S) {
        v = g_sum(g, g_reshape(g, v, 3, a), 0, 4);
        v = g_sum(g, g_reshape(g, v, 3, b), 0, 2);
    }
    b[1] = (int32_t)n;
    return g_reshape(g, v, 2, b);
}

/* [rows of the unit, directions] in the dims of the unit. */
static Ref unit_shape(Online *o, const Unit *u, Ref v)
{
    Graph *g = online_outer(o);
    int32_t dim[MAX_RANK] = {0};
    uint32_t perm[MAX_RANK] = {0, 1, 2}, d = 0, summed;

    if (u->use != USE_DOT) return g_reshape(g, v, u->type.rank, u->type.dim);
    summed = online_summed_dims(o->body, u->base[0], u->leaf);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t k = 0; k < u->type.rank; k++)
            if ((summed >> k & 1) == (uint32_t)pass) {
                dim[d] = u->type.dim[k];
                perm[k] = d++;
            }
    v = g_reshape(g, v, u->type.rank, dim);
    return u->type.rank > 1 ? g_transpose(g, v, perm) : v;
}

void online_give_rows(Online *o, Unit *u, Ref scan)
{
    Graph *g = online_outer(o);
    Ref part[MAX_BLOCKS] = {0}, all;
    bool any = false;
    int32_t dim[2] = {(int32_t)u->U, (int32_t)u->n};

    for (uint32_t b = 0; b < u->blocks; b++) {
        for (uint32_t s = 0; s < o->nstate; s++) {
            const Influence *x = &u->on[b][s];
            Ref v = x->sum ? online_sum_all_but(g, g_out(g, scan, x->sum - 1), u->type.axes) : 0, end;
            end = o->state[s].last ? weighted(g, o->state[s].last, &o->state[s], g_out(g, scan, x->last - 1), u->U) : 0;
            v = online_plus(g, v, online_sum_all_but(g, end, u->type.axes));
            if (!v) continue;
            part[b] = online_plus(g, part[b], by_label(g, v, u->U, o->state[s].size, u->n, x->inner));
        }
        any |= part[b] != 0;
    }
    if (!any) return;
    for (uint32_t b = 0; b < u->blocks; b++)
        if (!part[b]) part[b] = splat(g, 0, &(Node){.rank = 2, .dim = {dim[0], dim[1]}});
    all = u->blocks > 1 ? g_concat(g, part, u->blocks, 1) : part[0]; /* [U, blocks n] */
    if (u->use == USE_DOT) all = g_transpose(g, all, (const uint32_t[]){1, 0, 2});
    online_give(o, u, unit_shape(o, u, all));
}

