/* unroll: a model's graph with every scan written out, for a fixed number of steps: the oracle of the rules about scans.
   before:  s = scan T (h: h0; x) { next h' = f(h, x) }, y = out of stacked h'
   after:   x0 = sum over T of where(t = 0, x, 0), h1 = f(h0, x0), x1 = .., h2 = f(h1, x1), .., y = where(t = 0, h1, where(t = 1, h2, ..))
   relies on: a body refers to outer values only through its captures and step inputs. */
#include "frontend/sema.h"

#include <string.h>

enum { UNROLL_NODES = 2000000 };

/* The step of a scan that is being written out; the scans around it. */
typedef struct Env {
    const struct Env *up;
    uint32_t axis;
    int32_t t;
    const Ref *carry, *step, *capture; /* in the new graph */
} Env;

typedef struct {
    Ctx *ctx;
    Arena *a;
    Module *m;
    Graph *g; /* the new graph */
    int32_t steps;
    bool over; /* too many nodes */
} Unroll;

static int32_t axis_steps(const Unroll *u, uint32_t axis)
{
    const Axis *x = &u->m->axis[axis];

    if (x->count) return x->count;
    return x->kind == AXIS_JOIN ? axis_steps(u, x->a) + axis_steps(u, x->b) : u->steps;
}

static Ref is_step(Graph *g, uint32_t axis, int32_t t)
{
    return g_bin(g, OP_EQ, g_iota_axis(g, axis, false), g_int(g, t));
}

/* Step t of a sequence: the one of the sum's terms that is not 0. */
static Ref pick(Graph *g, Ref x, uint32_t axis, int32_t t)
{
    DType dt = (DType)g->node.at[x].dtype;
    Ref r = g_cast(g, x, DT_F);

    if (!(g->node.at[x].axes & AX(axis))) return x;
    r = g_sum(g, g_select(g, is_step(g, axis, t), r, g_const(g, 0)), AX(axis), 0);
    return g_cast(g, r, dt);
}

static Ref stacked(const Unroll *u, const Ref *y, uint32_t axis, int32_t n)
{
    Graph *g = u->g;
    Ref r = g_expand_axes(g, y[0], AX(axis));

    for (int32_t t = 1; t < n; t++) r = g_select(g, is_step(g, axis, t), y[t], r);
    return r;
}

/* where(the step is real, a, b) */
static Ref if_real(const Unroll *u, uint32_t axis, int32_t t, Ref a, Ref b)
{
    Graph *g = u->g;

    if (!u->m->axis[axis].ragged) return a;
    return g_select(g, g_bin(g, OP_LT, g_int(g, t), g_length(g, axis)), a, b);
}

static const Env *env_of(const Env *env, uint32_t axis)
{
    while (env && env->axis != axis) env = env->up;
    return env;
}

/* The draw of a step is the step of the draw over all steps. */
static Ref noise(const Unroll *u, const Graph *src, Ref r, const Env *env)
{
    const Node *n = &src->node.at[r];
    const uint32_t *w = node_attr(src, r);
    uint32_t axes = n->axes;
    Ref v;

    for (const Env *e = env; e; e = e->up)
        if (w[2] & AX(e->axis)) axes |= AX(e->axis);
    v = g_noise(u->g, (NoiseKind)w[0], w[1], w[2], n->rank, n->dim, axes);
    for (const Env *e = env; e; e = e->up) v = pick(u->g, v, e->axis, e->t);
    return v;
}

static const Ref *expand_graph(Unroll *u, const Graph *src, const Env *env);

/* The outs of a scan. */
static const Ref *expand_scan(Unroll *u, const Graph *src, Ref r, const Ref *map, const Env *env)
{
    ScanInfo s = scan_info(src, r);
    const Graph *body = u->m->graph.at[s.body];
    int32_t n = axis_steps(u, s.axis);
    uint32_t nout = body->root.n - s.ncarry;
    Ref *carry = NEW_N(u->a, Ref, s.ncarry + 1), *step = NEW_N(u->a, Ref, s.nstep + 1), *capture = NEW_N(u->a, Ref, s.ncapture + 1);
    Ref *out = NEW_N(u->a, Ref, nout + 1), *y = NEW_N(u->a, Ref, (size_t)n * nout + 1);

    for (uint32_t i = 0; i < s.ncarry; i++) carry[i] = map[s.init[i]];
    for (uint32_t i = 0; i < s.nstep; i++) step[i] = map[s.step[i]];
    for (uint32_t i = 0; i < s.ncapture; i++) capture[i] = map[s.capture[i]];
    for (int32_t k = 0; k < n && !u->over; k++) {
        int32_t t = s.reverse ? n - 1 - k : k;
        Env here = {env, s.axis, t, carry, step, capture};
        const Ref *in = expand_graph(u, body, &here);
        Ref *next = NEW_N(u->a, Ref, s.ncarry + 1);
        if (u->over) return out;
        for (uint32_t i = 0; i < s.ncarry; i++) next[i] = if_real(u, s.axis, t, in[body->root.at[i].ref], carry[i]);
        for (uint32_t i = 0; i < nout; i++) y[(size_t)i * (size_t)n + (size_t)t] = in[body->root.at[s.ncarry + i].ref];
        carry = next;
    }
    for (uint32_t i = 0; i < nout && !u->over; i++) {
        const Root *root = &body->root.at[s.ncarry + i];
        const Ref *v = y + (size_t)i * (size_t)n;
        if (root->kind == ROOT_LAST) out[i] = carry[root->index];
        else if (root->kind == ROOT_STACK) out[i] = stacked(u, v, s.axis, n);
        else
            for (int32_t t = 0; t < n; t++) {
                Ref term = if_real(u, s.axis, t, v[t], g_const(u->g, 0));
                out[i] = out[i] ? g_bin(u->g, OP_ADD, out[i], term) : term;
            }
    }
    return out;
}

static Ref expand_node(Unroll *u, const Graph *src, Ref r, Ref *map, const Ref **outs, const Env *env)
{
    const Node *n = &src->node.at[r];
    const Env *e;

    if (n->op == OP_SCAN) {
        outs[r] = expand_scan(u, src, r, map, env);
        return 0;
    }
    if (n->op == OP_OUT) return outs[n->in[0]][n->attr];
    if (n->op == OP_CARRY) return g_expand_axes(u->g, env->carry[n->attr], n->axes & ~u->g->node.at[env->carry[n->attr]].axes);
    if (n->op == OP_STEP) return pick(u->g, env->step[n->attr], env->axis, env->t);
    if (n->op == OP_CAPTURE) return env->capture[n->attr];
    if (n->op == OP_NOISE && env) return noise(u, src, r, env);
    if (n->op == OP_IOTA && n->attr && (e = env_of(env, n->attr - 1)) != NULL) return g_int(u->g, e->t);
    return graph_copy_node(u->g, src, r, map);
}

/* Where each node of src went. */
static const Ref *expand_graph(Unroll *u, const Graph *src, const Env *env)
{
    Ref *map = NEW_N(u->a, Ref, src->node.n);
    const Ref **outs = NEW_N(u->a, const Ref *, src->node.n);

    for (Ref r = 1; r < src->node.n && !u->over; r++) {
        map[r] = expand_node(u, src, r, map, outs, env);
        u->over = u->g->node.n > UNROLL_NODES;
    }
    return map;
}

bool module_unroll(Module *m, Arena *a, int32_t steps)
{
    Graph *old = m->graph.at[0];
    Unroll u = {m->ctx, a, m, module_add_graph(m), steps, false};
    const Ref *map = expand_graph(&u, old, NULL);

    if (u.over || steps < 1) {
        diag_error(m->ctx, 901, (Span){0, 0}, u.over ? "written out, %d steps are more than %d operations" : "%d steps cannot be written out", (int)steps, UNROLL_NODES);
        return false;
    }
    for (uint32_t i = 0; i < old->root.n; i++)
        graph_root(u.g, (RootKind)old->root.at[i].kind, old->root.at[i].name, map[old->root.at[i].ref], old->root.at[i].index);
    m->graph.at[u.g->index] = old;
    old->index = u.g->index;
    m->graph.at[0] = u.g;
    u.g->index = 0;
    module_dce(m);
    return true;
}
