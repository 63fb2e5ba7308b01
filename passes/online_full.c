/* Influences as a whole: a value of each state for each element of each such unit, f<D,B>[..], D their axis of directions. One
   forward sweep of the body carries all of them on; products become products of all directions at once.
   relies on: forward.c. The unit vectors of a weight are never spelled out where it is in a product or looked up in. */
#include <string.h>

#include "passes/online.h"
#include "passes/rewrite.h"

/* Of the directions of a unit: is this one of them, and the index of its element along each dim. Values f<D>. */
typedef struct {
    Ref mine, at[MAX_RANK], flat;
} Element;

/* d / n by way of floats: exact below MOST_DIRECTIONS in f32 too, since no quotient is nearer to the next than 1/2n. */
static Ref quotient(Graph *g, Ref d, int32_t n)
{
    Ref v = g_bin(g, OP_ADD, g_cast(g, d, DT_F), g_const(g, 0.5));

    return g_cast(g, g_un(g, OP_FLOOR, g_bin(g, OP_DIV, v, g_const(g, n))), DT_I);
}

static Element element_of(Online *o, const Unit *u)
{
    Graph *g = online_outer(o);
    Element e = {0};
    Ref d = g_bin(g, OP_SUB, g_iota_axis(g, online_group(o, u)->axis, false), g_int(g, (int32_t)u->offset));
    int32_t all = (int32_t)node_features(&u->type), stride = all;

    e.mine = g_bin(g, OP_AND, g_bin(g, OP_LE, g_int(g, 0), d), g_bin(g, OP_LT, d, g_int(g, all)));
    e.flat = d = g_select(g, e.mine, d, g_int(g, 0));
    for (int k = 0; k < u->type.rank; k++) {
        stride /= u->type.dim[k];
        e.at[k] = stride == 1 ? d : quotient(g, d, stride);
        d = g_bin(g, OP_SUB, d, g_bin(g, OP_MUL, e.at[k], g_int(g, stride)));
    }
    return e;
}

/* Where the index along dim k of a value of these dims is `at`. */
static Ref hit(Graph *g, Ref mask, const Node *type, uint32_t k, Ref at)
{
    int32_t map[MAX_RANK] = {-1, -1, -1};
    Ref i;

    map[k] = 0;
    i = g_expand(g, g_iota(g, type->dim[k]), type->rank, type->dim, map, 0);
    return g_bin(g, OP_AND, mask, g_bin(g, OP_EQ, i, at));
}

static const Unit *unit_of(const Online *o, Ref leaf)
{
    uint32_t i = 0;

    while (o->unit.at[i].leaf != leaf) i++;
    return &o->unit.at[i];
}

/* The unit vectors themselves: f<D>[dims of the unit]. */
static Ref unit_vectors(Forward *f, Ref leaf)
{
    Online *o = f->arg;
    Graph *g = online_outer(o);
    const Unit *u = unit_of(o, leaf);
    Element e = element_of(o, u);

    for (uint32_t k = 0; k < u->type.rank; k++) e.mine = hit(g, e.mine, &u->type, k, e.at[k]);
    return online_capture(o, g_cast(g, e.mine, DT_F));
}

/* W @ x in the direction of element (o, i) of W: x[i] at o. */
static Ref product_of_unit(Online *o, const Unit *u, Ref r, int i)
{
    Graph *g = online_outer(o), *b = o->body;
    const Node y = b->node.at[r], x = b->node.at[y.in[1 - i]];
    const uint32_t *w = node_attr(b, r);
    Element e = element_of(o, u);
    Ref index = 0, v = y.in[1 - i];

    for (uint32_t k = 0; k < y.rank; k++)
        for (uint32_t a = 0; a < u->type.rank; a++)
            if (w[3 * i + a] == w[6 + k]) e.mine = hit(g, e.mine, &y, k, e.at[a]);
    for (uint32_t k = 0; k < x.rank; k++)
        for (uint32_t a = 0; a < u->type.rank; a++)
            if (w[3 * i + a] == w[3 * (1 - i) + k]) {
                if (index) index = g_bin(g, OP_MUL, index, g_int(g, x.dim[k]));
                index = index ? g_bin(g, OP_ADD, index, e.at[a]) : e.at[a];
            }
    if (index) v = g_gather(b, online_flatten(b, v, node_features(&x)), online_capture(o, index));
    return g_select(b, online_capture(o, e.mine), v, g_const(b, 0));
}

/* E[i] in the direction of element (v, e): 1 at e where i is v. */
static Ref row_of_unit(Online *o, const Unit *u, Ref r)
{
    Graph *g = online_outer(o), *b = o->body;
    const Node y = b->node.at[r];
    Element e = element_of(o, u);
    Ref row;

    for (uint32_t k = 0; k < y.rank; k++) e.mine = hit(g, e.mine, &y, k, e.at[k + 1]);
    row = g_bin(b, OP_MIN, g_bin(b, OP_MAX, y.in[1], g_int(b, 0)), g_int(b, u->type.dim[0] - 1));
    row = g_bin(b, OP_EQ, row, online_capture(o, e.at[0]));
    return g_cast(b, g_bin(b, OP_AND, online_capture(o, e.mine), row), DT_F);
}

static Ref by_unit(Forward *f, Ref r, int i, bool *done)
{
    Online *o = f->arg;
    Ref leaf = f->l.fwd->node.at[r].in[i];
    const Unit *u;
    Use use = USE_OTHER;

    *done = f->is_unit[leaf] && !f->tan[leaf];
    if (!*done) return 0;
    u = unit_of(o, leaf);
    if (f->l.fwd->node.at[r].op == OP_GATHER) use = f->l.fwd->node.at[f->l.fwd->node.at[r].in[1]].rank == 0 ? USE_GATHER : USE_OTHER;
    else if (online_plain_product(f->l.fwd, r, i)) use = USE_DOT;
    if (use == USE_DOT) return product_of_unit(o, u, r, i);
    if (use == USE_GATHER) return row_of_unit(o, u, r);
    return *done = false, 0;
}

void online_start_full(Online *o, FullGroup *d)
{
    Module *m = o->body->module;
    Graph *g = online_outer(o);

    if (!d->directions || !(d->axis = module_add_axis(m, AXIS_COUNT, intern(m->ctx, "direction")))) return;
    m->axis[d->axis].count = (int32_t)d->directions;
    d->on = NEW_N(o->arena, Influence, o->nstate + 1);
    for (uint32_t s = 0; s < o->nstate; s++) {
        Node type = o->state[s].type;
        Ref init = 0;
        type.axes |= AX(d->axis);
        for (uint32_t i = 0; i < o->unit.n; i++) {
            const Unit *u = &o->unit.at[i];
            Element e;
            if (!u->full || u->use != USE_INIT || d != online_group(o, u) || u->operand != o->state[s].carry) continue;
            e = element_of(o, u);
            for (uint32_t k = 0; k < u->type.rank; k++) e.mine = hit(g, e.mine, &u->type, k, e.at[k]);
            init = online_plus(g, init, g_cast(g, e.mine, DT_F));
        }
        online_start(o, &d->on[s], &type, init ? init : g_const(g, 0), d == &o->full[0] ? &o->state[s] : NULL);
    }
}

void online_step_full(Online *o, FullGroup *d)
{
    Forward f = forward_make(o->arena, o->body, AX(d->axis), o->subst);

    if (!d->axis) return;
    f.l.n0 = o->n0;
    f.is_unit = NEW_N(o->arena, uint8_t, o->body->node.n + 1);
    f.unit = unit_vectors;
    f.via = by_unit;
    f.arg = o;
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (o->unit.at[i].full && o->unit.at[i].leaf && d == &o->full[0]) f.is_unit[o->unit.at[i].leaf] = 1;
    for (uint32_t s = 0; s < o->nstate; s++)
        if (o->state[s].leaf) f.tan[o->state[s].leaf] = d->on[s].leaf;
    forward_sweep(&f);
    for (uint32_t s = 0; s < o->nstate; s++) online_next(o, &d->on[s], forward_full(&f, o->state[s].next));
}

/* Adjoint and influence over all elements: f<D,..>[] */
static Ref contracted(Graph *g, Ref adj, const OnlineState *s, Ref J)
{
    static const uint8_t label[3] = {1, 2, 3}, none[3] = {0, 0, 0};
    Node type = s->type;
    uint8_t l[3] = {0};

    if (!adj || !J) return 0;
    memcpy(l, label, type.rank);
    type.axes = 0;
    return g_dot(g, widen_dims(g, adj, &type), J, l, l, none, g->node.at[adj].axes | g->node.at[J].axes);
}

void online_sum_full(Online *o, FullGroup *d)
{
    uint32_t axes = 0;

    if (!d->axis) return;
    for (uint32_t i = 0; i < o->unit.n; i++) axes |= o->unit.at[i].full ? o->unit.at[i].type.axes : 0;
    for (uint32_t s = 0; s < o->nstate; s++) {
        const OnlineState *t = &o->state[s];
        Ref v = contracted(o->body, t->after, t, d->on[s].next);
        v = online_plus(o->body, v, contracted(o->body, t->before, t, d->on[s].leaf));
        v = online_sum_all_but(o->body, v, axes | AX(d->axis) | AX(AXIS_B));
        if (v) d->on[s].sum = online_out(o, ROOT_SUM, v, 0);
        if (t->last || d->on[s].lasts) d->on[s].last = online_out(o, ROOT_LAST, 0, d->on[s].carry);
    }
}

/* The gradient by direction, over all states: f[directions], with the axes in `keep`. */
static Ref by_direction(Online *o, const FullGroup *d, Ref scan, uint32_t keep)
{
    Graph *g = online_outer(o);
    Ref v = 0;

    for (uint32_t s = 0; s < o->nstate; s++) {
        const Influence *x = &d->on[s];
        Ref end = o->state[s].last ? contracted(g, o->state[s].last, &o->state[s], g_out(g, scan, x->last - 1)) : 0;
        if (x->sum) v = online_plus(g, v, online_sum_all_but(g, g_out(g, scan, x->sum - 1), keep | AX(d->axis)));
        v = online_plus(g, v, online_sum_all_but(g, end, keep | AX(d->axis)));
    }
    if (!v) return 0;
    return g_scatter_add(g, g_iota_axis(g, d->axis, false), v, (int32_t)d->directions, g->node.at[v].axes & keep);
}

void online_give_full(Online *o, Ref scan)
{
    Graph *g = online_outer(o);

    for (uint32_t i = 0; i < o->unit.n; i++) {
        const Unit *u = &o->unit.at[i];
        int32_t from = (int32_t)u->offset, n = (int32_t)node_features(&u->type);
        Ref v = u->full && online_group(o, u)->axis ? by_direction(o, online_group(o, u), scan, u->type.axes) : 0;
        if (v) online_give(o, u, g_reshape(g, g_slice(g, v, 0, from, from + n), u->type.rank, u->type.dim));
    }
}

