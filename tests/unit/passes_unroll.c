/* A scan equals its steps one by one: every scan of graph[0] is expanded in the graph, for the number of steps that the inputs
   have; values and gradients agree (the same algorithm in another order of sums, so to 1e-11). */
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes_test.h"

typedef struct {
    Graph *g;
    const Graph *body;
    ScanInfo s;
    const Ref *map; /* old host -> g */
    int64_t steps;
    Ref *carry, *now; /* by carry; by node of the body, in g */
} Unroll;

static Ref zero_like(Graph *g, const Node *type)
{
    Ref r = type->dtype == DT_F ? g_const(g, 0) : type->dtype == DT_I ? g_int(g, 0) : g_bool(g, false);

    return widen(g, r, type);
}

static Ref is_step(Unroll *u, int32_t t)
{
    return g_bin(u->g, OP_EQ, g_iota_axis(u->g, u->s.axis, false), g_int(u->g, t));
}

static Ref active(Unroll *u, int32_t t)
{
    return g_bin(u->g, OP_LT, g_int(u->g, t), g_length(u->g, u->s.axis));
}

static Ref value_at(Unroll *u, Ref x, int32_t t)
{
    Node type = u->g->node.at[x];

    return g_sum(u->g, g_select(u->g, is_step(u, t), x, zero_like(u->g, &type)), AX(u->s.axis), 0);
}

static Ref body_node(Unroll *u, Ref r, int32_t t)
{
    const Node *n = &u->body->node.at[r];
    Ref v;

    if (n->op == OP_CARRY) v = u->carry[n->attr];
    else if (n->op == OP_STEP) v = value_at(u, u->map[u->s.step[n->attr]], t);
    else if (n->op == OP_CAPTURE) v = u->map[u->s.capture[n->attr]];
    else if (n->op == OP_IOTA && n->attr == 1 + u->s.axis && !(n->axes & AX(u->s.axis))) v = g_int(u->g, t);
    else v = graph_copy_node(u->g, u->body, r, u->now);
    return v && n->op != OP_SCAN ? widen(u->g, v, n) : v;
}

static void add_outs(Unroll *u, int32_t t, Ref *out)
{
    bool ragged = u->g->module->axis[u->s.axis].ragged;

    for (uint32_t i = u->s.ncarry; i < u->body->root.n; i++) {
        const Root *x = &u->body->root.at[i];
        Ref *o = &out[i - u->s.ncarry], v = u->now[x->ref];
        Node type;
        if (x->kind == ROOT_LAST) continue;
        type = u->body->node.at[x->ref];
        if (x->kind == ROOT_STACK) {
            type.axes |= AX(u->s.axis);
            *o = g_select(u->g, is_step(u, t), v, *o ? *o : zero_like(u->g, &type));
        } else {
            if (ragged) v = g_select(u->g, active(u, t), v, zero_like(u->g, &type));
            *o = *o ? g_bin(u->g, OP_ADD, *o, v) : v;
        }
    }
}

static Ref *unroll(Graph *g, const Graph *src, Ref r, const Ref *map, int64_t steps, Arena *a)
{
    Unroll u = {.g = g, .s = scan_info(src, r), .map = map, .steps = steps};
    Ref *out, *next;

    u.body = g->module->graph.at[u.s.body];
    u.carry = NEW_N(a, Ref, u.s.ncarry + 1);
    next = NEW_N(a, Ref, u.s.ncarry + 1);
    out = NEW_N(a, Ref, u.body->root.n + 1);
    for (uint32_t k = 0; k < u.s.ncarry; k++) u.carry[k] = map[u.s.init[k]];
    for (int64_t i = 0; i < steps; i++) {
        int32_t t = (int32_t)(u.s.reverse ? steps - 1 - i : i);
        u.now = NEW_N(a, Ref, u.body->node.n);
        for (Ref b = 1; b < u.body->node.n; b++) u.now[b] = body_node(&u, b, t);
        for (uint32_t k = 0; k < u.s.ncarry; k++) {
            next[k] = u.now[u.body->root.at[k].ref];
            if (g->module->axis[u.s.axis].ragged) next[k] = g_select(g, active(&u, t), next[k], u.carry[k]);
        }
        add_outs(&u, t, out);
        for (uint32_t k = 0; k < u.s.ncarry; k++) u.carry[k] = next[k];
    }
    for (uint32_t i = u.s.ncarry; i < u.body->root.n; i++)
        if (u.body->root.at[i].kind == ROOT_LAST) out[i - u.s.ncarry] = u.carry[u.body->root.at[i].index];
    return out;
}

static bool unroll_model(Module *m, const GenInputs *in, Arena *a)
{
    const Graph *src = m->graph.at[0];
    Graph *g = module_add_graph(m);
    Ref *map = NEW_N(a, Ref, src->node.n), **out = NEW_N(a, Ref *, src->node.n);

    for (Ref r = 1; r < src->node.n; r++) {
        const Node *n = &src->node.at[r];
        if (n->op == OP_SCAN) {
            out[r] = unroll(g, src, r, map, in->in.axis[scan_info(src, r).axis], a);
            continue;
        }
        map[r] = n->op == OP_OUT ? out[n->in[0]][n->attr] : graph_copy_node(g, src, r, map);
        if (map[r] && n->op == OP_OUT) map[r] = widen(g, map[r], n);
        if (!map[r]) return false;
    }
    replace_model(m, g, map);
    module_dce(m);
    return true;
}

static void one_seed(uint64_t seed, int *done)
{
    GenOptions o = {.batch = true, .ragged = seed % 2, .matrix = seed % 3 == 0, .nested = seed % 4 == 1, .gather = seed % 3 == 1,
                    .reverse = seed % 2 == 0 || seed % 7 == 3, .mixing = seed % 6 == 4, .size = 6 + (int)(seed % 9)};
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = gen_module(ctx, &a, seed, o), *n = module_copy(m, &a);
    GenInputs in = gen_inputs(m, &a, seed);
    bool *want = NEW_N(&a, bool, m->input.n + 1), ok;
    PassOptions p = {.grad = true, .want_input = want};

    for (uint32_t i = 0; i < m->input.n; i++) want[i] = m->input.at[i].dtype == DT_F;
    ok = unroll_model(n, &in, &a) && module_verify(n, "unrolled");
    check(ok, "unrolled", seed);
    ok = ok && passes_run_named(m, "autodiff", &p, NULL) && passes_run_named(n, "autodiff", &p, NULL);
    diagnostics(ctx, &a);
    check(ok, "unrolled, autodiff", seed);
    if (ok) show(m, &a, "scan");
    if (ok) show(n, &a, "unrolled");
    if (ok) check(same_values(n, m, &in, &a, 1e-11), "a scan and its steps", seed);
    *done += ok;
    arena_free(&a);
    ctx_destroy(ctx);
}

void test_unrolled(uint64_t first, uint64_t last)
{
    int done = 0;

    for (uint64_t seed = first; seed < last; seed++) one_seed(seed, &done);
    check(done > 0, "scans were unrolled", first);
}
