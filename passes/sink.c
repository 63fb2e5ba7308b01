/* sink: what only enters a loop, and is cheap to compute from what is in memory anyhow, is computed in the loop's steps.
   before:  %5 = sub %1 %2 : f<T,B>[64]    %6 = mul %5 %3     %7 = scan T rev @1 carry(..) step(%6, %4)        in @1: step 0
   after:   %7 = scan T rev @1 carry(..) step(%4, %1, %2) capture(%3)                            in @1: mul (sub step 1 step 2) capture 0
   before:  %8 = out %7 0 : f<T,B>[64]       %9 = sum %8 <T,B>            in @1: stack %3
   after:   %8 = out %7 1 : f<B>[64]         %9 = sum %8 <B>              in @1: stack %3, sum %3
   before:  %9 = mul %2 %8                   %10 = sum %9 <T,B>              %8 as above, %2 another sequence, in memory anyhow
   after:   %7 = scan .. step(.., %2)    %8 = out %7 1 : f<B>[64]    %10 = sum %8 <B>      in @1: stack %3, sum (mul step 2 %3)
   Such as the adjoint of a loss: a sequence less to write and to read. Elementwise trees of up to NODES cheap nodes over values of
   the same size: at most two that the loop does not read already, in place of a sequence that must be written first, which costs as
   much as reading it twice; one, where others read the sequence too, who then compute it for themselves. No products (they begin
   accumulators), nothing of ragged examples alone. After distribute, which moves the other way what is not cheap. */
#include <string.h>

#include "ir/build.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

enum { NODES = 4, LEAVES = 8, WIDE = 2048, CONCAT_MOST = 16 };

typedef struct {
    Ref leaf[LEAVES], node[NODES];
    uint32_t nleaf, nnode;
    bool ok;
} Tree;

static uint32_t index_of(Arena *a, RefVec *v, Ref r)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r) return i;
    VEC_PUSH(a, *v) = r;
    return v->n - 1;
}

Ref sink_step(Sink *x, Graph *body, Ref r)
{
    return leaf_like(body, OP_STEP, index_of(body->module->arena, &x->step, r), &x->host->node.at[r], AX(x->s.axis));
}

Ref sink_capture(Sink *x, Graph *body, Ref v)
{
    return leaf_like(body, OP_CAPTURE, index_of(body->module->arena, &x->capture, v), &x->dst->node.at[v], 0);
}

static bool is_open(const Graph *g, Ref r, uint32_t axis)
{
    const Node *n = &g->node.at[r];
    uint8_t cls = op_info[n->op].cls;

    return (cls == OPC_UNARY || cls == OPC_BINARY) && n->dtype == DT_F && (n->axes & AX(axis)) && (n->axes & AX(AXIS_B)) && n->rank &&
           is_cheap(g, r);
}

static bool is_in(const Ref *list, uint32_t n, Ref r)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == r) return true;
    return false;
}

/* Whether the scan has r among its steps, or the step before or after. */
static bool reads(const Graph *g, const ScanInfo *s, Ref r)
{
    for (uint32_t i = 0; i < s->nstep; i++) {
        const Node *n = &g->node.at[s->step[i]];
        if (s->step[i] == r || (n->op == OP_SHIFT && n->in[0] == r)) return true;
    }
    return false;
}

/* The tree above r, up to what the steps have anyhow. */
static void grow(const Graph *g, Ref r, const ScanInfo *s, const Node *like, Tree *t)
{
    const uint32_t axis = s->axis;
    const Node *n = &g->node.at[r];
    double v;

    if ((n->dtype == DT_F && const_value(g, r, &v)) || is_in(t->leaf, t->nleaf, r) || is_in(t->node, t->nnode, r)) return;
    if (is_open(g, r, axis) && (!t->nnode || !reads(g, s, r))) {
        t->ok = t->ok && t->nnode < NODES;
        if (t->ok) t->node[t->nnode++] = r;
        for (int i = 0; i < op_info[n->op].arity && t->ok; i++) grow(g, n->in[i], s, like, t);
        return;
    }
    t->ok = t->ok && t->nleaf < LEAVES && n->op != OP_DOT && n->dtype == DT_F &&
            ((n->axes & AX(axis)) ? n->axes == like->axes && (!n->rank || node_features(n) == node_features(like)) : n->rank == 0);
    if (t->ok) t->leaf[t->nleaf++] = r;
}

static bool is_root(const Graph *g, Ref r)
{
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref == r) return true;
    return false;
}

/* Whether step r of scan s is better computed there. users: of each value of g. */
static bool worth(const Graph *g, const ScanInfo *s, Ref r, const uint32_t *users, Tree *t)
{
    uint32_t more = 0;

    *t = (Tree){.ok = true};
    if (!is_open(g, r, s->axis) || is_root(g, r)) return false;
    grow(g, r, s, &g->node.at[r], t);
    for (uint32_t i = 0; i < t->nleaf; i++) more += (g->node.at[t->leaf[i]].axes & AX(s->axis)) && g->node.at[t->leaf[i]].rank && !reads(g, s, t->leaf[i]);
    return t->ok && more <= (users[r] == 1 ? 2 : 1);
}

/* Whether the new scan's steps have r as those of the old one had it. */
static bool still_read(const Sink *x, Ref r)
{
    for (uint32_t i = 0; i < x->s.nstep; i++)
        if (x->s.step[i] == r) return !x->sunk[i];
    return false;
}

/* The value of the host in the body: a tree down to leaves. */
static Ref make(Sink *x, Graph *body, Ref r)
{
    const Node n = x->host->node.at[r];
    double v;

    if (x->made[r]) return x->made[r];
    if (is_open(x->host, r, x->s.axis) && !still_read(x, r)) {
        for (int i = 0; i < op_info[n.op].arity; i++) make(x, body, n.in[i]);
        x->made[r] = graph_copy_node(body, x->host, r, x->made);
    } else if (const_value(x->host, r, &v)) {
        x->made[r] = g_const(body, v);
    } else if (n.axes & AX(x->s.axis)) {
        x->made[r] = sink_step(x, body, r);
    } else {
        x->made[r] = sink_capture(x, body, x->map[r]);
    }
    return x->made[r];
}

static uint32_t make_body(Module *m, Sink *x, Ref (*value)(Sink *x, Graph *body, Ref r))
{
    const Graph *old = m->graph.at[x->s.body];
    Graph *body = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, old->node.n);

    x->made = NEW_N(m->arena, Ref, x->host->node.n);
    for (Ref r = 1; r < old->node.n; r++) {
        const Node n = old->node.at[r];
        body->span = n.span;
        body->name = n.name;
        if (n.op == OP_STEP && x->sunk[n.attr]) map[r] = node_fit(body, value(x, body, x->s.step[n.attr]), &n);
        else if (n.op == OP_STEP) map[r] = leaf_like(body, OP_STEP, index_of(m->arena, &x->step, x->s.step[n.attr]), &n, 0);
        else map[r] = graph_copy_node(body, old, r, map);
    }
    body->span = body->name = 0;
    for (uint32_t i = 0; i < old->root.n; i++) {
        const Root *t = &old->root.at[i];
        graph_root(body, (RootKind)t->kind, t->name, map[t->ref], t->index);
    }
    return body->index;
}

Ref sink_steps(Module *m, Sink *x, Ref (*value)(Sink *x, Graph *body, Ref r))
{
    uint32_t body;
    Ref *init;

    for (uint32_t i = 0; i < x->s.nstep; i++)
        if (!x->sunk[i]) index_of(m->arena, &x->step, x->s.step[i]);
    for (uint32_t i = 0; i < x->s.ncapture; i++) VEC_PUSH(m->arena, x->capture) = x->map[x->s.capture[i]];
    body = make_body(m, x, value);
    init = NEW_N(m->arena, Ref, x->s.ncarry + 1);
    for (uint32_t i = 0; i < x->s.ncarry; i++) init[i] = x->map[x->s.init[i]];
    for (uint32_t i = 0; i < x->step.n; i++) x->step.at[i] = x->map[x->step.at[i]];
    return g_scan(x->dst, x->s.axis, x->s.reverse, body, init, x->s.ncarry, x->step.at, x->step.n, x->capture.at, x->capture.n);
}

/* Of r, a sum over examples and steps of a vector that a scan stacks, or of one times another sequence: the out, and the other (0: none). */
typedef struct {
    Ref out, by;
} Summed;

static Summed summed(const Graph *g, Ref r, const uint32_t *users)
{
    const Node *n = &g->node.at[r], *v = &g->node.at[n->in[0]];
    const uint32_t *w = n->op == OP_SUM ? node_attr(g, r) : NULL;
    Summed x = {0};

    if (!w || w[1] || n->axes || n->dtype != DT_F || !v->rank || node_features(v) > WIDE || w[0] != v->axes) return x;
    if (v->op == OP_OUT) return (Summed){n->in[0], 0};
    if (v->op != OP_MUL || v->rank != 1 || users[n->in[0]] != 1) return x;
    for (int k = 0; k < 2; k++) {
        Ref out = v->in[k], by = v->in[1 - k];
        const Node *a = &g->node.at[out], *b = &g->node.at[by];
        if (a->op != OP_OUT || by > a->in[0] || a->axes != v->axes || b->axes != v->axes || !same_dims(a, b) || b->op == OP_DOT) continue;
        uint32_t axis = scan_info(g, a->in[0]).axis;
        if (v->axes == (AX(axis) | AX(AXIS_B)) && (users[by] > 1 || !is_open(g, by, axis))) x = (Summed){out, by};
    }
    return x;
}

/* The sequences that such sums need of scan r's steps. */
static bool take_factors(Module *m, Sink *x, Ref r, const uint32_t *users)
{
    const uint32_t before = x->step.n;

    for (Ref u = r + 1; u < x->host->node.n; u++) {
        Summed s = summed(x->host, u, users);
        if (s.by && x->host->node.at[s.out].in[0] == r && !is_in(x->s.step, x->s.nstep, s.by)) index_of(m->arena, &x->step, s.by);
    }
    return x->step.n > before;
}

static Ref sink_scan(Module *m, const Graph *src, Graph *dst, Ref r, const Ref *map, const uint32_t *users)
{
    Sink x = {.host = src, .dst = dst, .map = map, .s = scan_info(src, r), .sunk = NEW_N(m->arena, bool, src->node.n)};
    bool any = false;
    Tree t;

    for (uint32_t i = 0; i < x.s.nstep; i++) any |= x.sunk[i] = worth(src, &x.s, x.s.step[i], users, &t);
    any |= take_factors(m, &x, r, users);
    return any ? sink_steps(m, &x, make) : graph_copy_node(dst, src, r, map);
}

/* Value v of a scan's body added up in the steps, then over examples; parts of it each for itself, while they are in registers. */
static Ref sum_of(Graph *dst, Ref scan, Graph *body, Ref v)
{
    Ref sum[CONCAT_MOST];
    const Ref *in;
    uint32_t n = node_inputs(body, v, &in);

    if (body->node.at[v].op != OP_CONCAT || body->node.at[v].rank != 1 || n > CONCAT_MOST)
        return g_sum(dst, g_out(dst, scan, body_out(body, ROOT_SUM, v, 0)), AX(AXIS_B), 0);
    for (uint32_t i = 0; i < n; i++)
        if (body->node.at[in[i]].axes != AX(AXIS_B)) return g_sum(dst, g_out(dst, scan, body_out(body, ROOT_SUM, v, 0)), AX(AXIS_B), 0);
    for (uint32_t i = 0; i < n; i++) sum[i] = sum_of(dst, scan, body, in[i]);
    return g_concat(dst, sum, n, 0);
}

/* v times the values of `by` from feature `at` on; of parts put together, each for itself. */
static Ref times(Graph *body, Ref v, Ref by, int32_t at)
{
    const Node *n = &body->node.at[v];
    const int32_t dim = n->dim[0];
    const Ref *in;
    uint32_t count;
    Ref part[CONCAT_MOST], old[CONCAT_MOST];

    count = n->op == OP_CONCAT ? node_inputs(body, v, &in) : 0;
    if (!count || count > CONCAT_MOST) return g_bin(body, OP_MUL, g_slice(body, by, 0, at, at + dim), v);
    memcpy(old, in, sizeof *old * count);
    for (uint32_t i = 0; i < count; i++) {
        part[i] = times(body, old[i], by, at);
        at += body->node.at[old[i]].dim[0];
    }
    return g_concat(body, part, count, 0);
}

/* r, a sum over examples and steps of what a scan makes: added up in the steps, an example at a time; 0: it is something else. */
static Ref sum_in_steps(const Graph *src, Graph *dst, Ref r, const Ref *map, const uint32_t *users)
{
    const Summed x = summed(src, r, users);
    const Node *out = &src->node.at[x.out];
    uint32_t step = 0;
    const Root *root;
    Graph *body;
    ScanInfo s;
    Ref v;

    if (!x.out) return 0;
    s = scan_info(dst, map[out->in[0]]);
    body = dst->module->graph.at[s.body];
    root = &body->root.at[s.ncarry + out->attr];
    v = root->ref;
    if (root->kind != ROOT_STACK || out->axes != (AX(s.axis) | AX(AXIS_B)) || body->node.at[v].axes != AX(AXIS_B)) return 0;
    while (x.by && step < s.nstep && s.step[step] != map[x.by]) step++;
    if (x.by && step == s.nstep) return 0;
    if (x.by) v = times(body, v, leaf_like(body, OP_STEP, step, &dst->node.at[map[x.by]], AX(s.axis)), 0);
    return sum_of(dst, map[out->in[0]], body, v);
}

static void sink_once(Module *m)
{
    const Graph *src = m->graph.at[0];
    Graph *dst = module_add_graph(m);
    uint32_t *users = NEW_N(m->arena, uint32_t, src->node.n);
    Ref *map = NEW_N(m->arena, Ref, src->node.n);

    for (Ref r = 1; r < src->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(src, r, &in);
        for (uint32_t i = 0; i < n; i++) users[in[i]]++;
    }
    for (Ref r = 1; r < src->node.n; r++) {
        dst->span = src->node.at[r].span;
        dst->name = src->node.at[r].name;
        if (src->node.at[r].op == OP_SCAN) map[r] = sink_scan(m, src, dst, r, map, users);
        else if (!(map[r] = sum_in_steps(src, dst, r, map, users))) map[r] = graph_copy_node(dst, src, r, map);
    }
    dst->span = dst->name = 0;
    replace_model(m, dst, map);
}

/* A sequence that one loop took with it has a reader less, and may now be another's alone. */
bool pass_sink(Module *m, const PassOptions *o)
{
    uint64_t before, last, now;

    (void)o;
    module_dce(m);
    before = last = module_hash(m);
    for (int round = 0; round < 6; round++, last = now) {
        sink_once(m);
        module_dce(m);
        now = module_hash(m);
        if (now == last) break;
    }
    return last != before;
}
