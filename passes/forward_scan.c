/* The tangent of a scan S with body G is a scan over the same axis in the same direction, whose first carries and outs are those
   of S: it takes the place of S.
   before:  S = scan T fwd G carry(h0) step(x) capture(W)                      G:  next h', stack y
   after:   S' = scan T fwd G' carry(h0, dh0) step(x, dx) capture(W, dW)       G': next h', next dh', stack y, stack dy
   relies on: a body refers to outer values only through its leaves; nothing that S' takes depends on S. */
#include <string.h>

#include "passes/forward.h"
#include "passes/rewrite.h"

/* ---- copies ----------------------------------------------------------------------------------------------------------------- */

static Graph *copy_body(Module *m, const Graph *src)
{
    Graph *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n + 1);

    for (Ref r = 1; r < src->node.n; r++) map[r] = copy_with_body(dst, src, r, map);
    for (uint32_t i = 0; i < src->root.n; i++) {
        Root x = src->root.at[i];
        graph_root(dst, (RootKind)x.kind, x.name, map[x.ref], x.index);
    }
    return dst;
}

Ref copy_with_body(Graph *dst, const Graph *src, Ref r, const Ref *map)
{
    Module *m = dst->module;
    ScanInfo s;
    Ref *in;

    if (src->node.at[r].op != OP_SCAN) return graph_copy_node(dst, src, r, map);
    s = scan_info(src, r);
    in = NEW_N(m->arena, Ref, s.ncarry + s.nstep + s.ncapture + 1);
    for (uint32_t i = 0; i < s.ncarry + s.nstep + s.ncapture; i++) in[i] = map[s.init[i]];
    return g_scan(dst, s.axis, s.reverse, copy_body(m, m->graph.at[s.body])->index, in, s.ncarry, in + s.ncarry, s.nstep,
                  in + s.ncarry + s.nstep, s.ncapture);
}

typedef struct {
    const Forward *f;
    Graph *src, *dst;
    Ref *map;
} Rebuild;

/* Scans that were replaced stand behind their outs, so the order is found anew. */
static Ref rebuilt(Rebuild *b, Ref r)
{
    Node n = b->src->node.at[r];
    const Ref *in;
    uint32_t count;

    if (b->map[r]) return b->map[r];
    if (n.op == OP_SCAN && r < b->f->l.n0 && b->f->subst[r]) return b->map[r] = rebuilt(b, b->f->subst[r]);
    count = node_inputs(b->src, r, &in);
    for (uint32_t i = 0; i < count; i++) rebuilt(b, in[i]);
    return b->map[r] = graph_copy_node(b->dst, b->src, r, b->map);
}

void substitute_scans(const Forward *f, Ref **map)
{
    Graph *g = f->l.fwd;
    Module *m = g->module;
    Rebuild b = {.f = f, .src = g, .dst = module_add_graph(m), .map = NEW_N(m->arena, Ref, g->node.n + 1)};
    uint8_t *live = NEW_N(m->arena, uint8_t, g->node.n);

    mark_live(g, live);
    for (Ref r = 1; r < g->node.n; r++)
        if (live[r]) rebuilt(&b, r);
    replace_graph(m, g->index, b.dst, b.map);
    if (map) *map = b.map;
}

/* ---- the tangent scan -------------------------------------------------------------------------------------------------------- */

typedef struct {
    Forward *f;
    Ref scan;
    ScanInfo s;
    const Graph *src;
    Graph *body;
    Ref *map; /* body of the scan -> new body */
    const Activity *act;
    uint32_t *place; /* by carry: 1 + the carry of its tangent; 0: none */
    uint32_t ncarry;
    RefVec init, step, capture;
    Forward in; /* the sweep of the body */
} TangentScan;

static bool active(const Forward *f, Ref r)
{
    return f->tan[r] || (f->is_unit && f->is_unit[r]);
}

static void find_activity(TangentScan *t)
{
    const ScanInfo *s = &t->s;
    Arena *a = t->f->l.arena;
    uint8_t *carry = NEW_N(a, uint8_t, s->ncarry + 1), *step = NEW_N(a, uint8_t, s->nstep + 1);
    uint8_t *capture = NEW_N(a, uint8_t, s->ncapture + 1);
    bool grown = true;

    for (uint32_t i = 0; i < s->ncarry; i++) carry[i] = active(t->f, s->init[i]);
    for (uint32_t i = 0; i < s->nstep; i++) step[i] = active(t->f, s->step[i]);
    for (uint32_t i = 0; i < s->ncapture; i++) capture[i] = active(t->f, s->capture[i]);
    while (grown) {
        grown = false;
        t->act = graph_activity(a, t->src, NULL, NULL, carry, step, capture);
        for (uint32_t i = 0; i < s->ncarry; i++) {
            if (carry[i] || !t->act->node[t->src->root.at[i].ref]) continue;
            carry[i] = 1;
            grown = true;
        }
    }
    for (uint32_t i = 0; i < s->ncarry; i++)
        if (carry[i] && t->f->l.fwd->node.at[s->init[i]].dtype == DT_F) t->place[i] = ++t->ncarry;
}

static void keep_operands(TangentScan *t)
{
    const ScanInfo *s = &t->s;
    Arena *a = t->f->l.arena;

    for (uint32_t i = 0; i < s->ncarry; i++) VEC_PUSH(a, t->init) = s->init[i];
    for (uint32_t i = 0; i < s->nstep; i++) VEC_PUSH(a, t->step) = s->step[i];
    for (uint32_t i = 0; i < s->ncapture; i++) VEC_PUSH(a, t->capture) = s->capture[i];
    for (uint32_t i = 0; i < s->ncarry; i++) {
        Ref v;
        if (!t->place[i]) continue;
        v = forward_full(t->f, s->init[i]);
        VEC_PUSH(a, t->init) = g_expand_axes(t->f->l.bwd, v, t->f->extra & ~t->f->l.bwd->node.at[v].axes);
    }
}

static Ref tangent_leaf(TangentScan *t, const Node *leaf)
{
    Graph *g = t->f->l.bwd;
    Arena *a = t->f->l.arena;
    Node type;
    Ref v;

    if (leaf->op == OP_CARRY) {
        type = g->node.at[t->s.init[leaf->attr]];
        type.axes |= t->f->extra;
        return t->place[leaf->attr] ? leaf_like(t->body, OP_CARRY, t->s.ncarry + t->place[leaf->attr] - 1, &type, 0) : 0;
    }
    v = leaf->op == OP_STEP ? t->s.step[leaf->attr] : t->s.capture[leaf->attr];
    if (!active(t->f, v)) return 0;
    if (!t->f->tan[v]) t->f->tan[v] = t->f->unit(t->f, v);
    v = t->f->tan[v];
    type = g->node.at[v];
    if (leaf->op == OP_STEP && type.axes & AX(t->s.axis)) {
        VEC_PUSH(a, t->step) = v;
        return leaf_like(t->body, OP_STEP, t->step.n - 1, &type, AX(t->s.axis));
    }
    VEC_PUSH(a, t->capture) = v;
    return leaf_like(t->body, OP_CAPTURE, t->capture.n - 1, &type, 0);
}

static void sweep_body(TangentScan *t)
{
    const Graph *src = t->src;
    Arena *a = t->f->l.arena;
    Ref *leaf = NEW_N(a, Ref, src->node.n + 1);

    t->map = NEW_N(a, Ref, src->node.n + 1);
    for (Ref r = 1; r < src->node.n; r++) t->map[r] = copy_with_body(t->body, src, r, t->map);
    t->in = forward_make(a, t->body, t->f->extra, NEW_N(a, Ref, t->body->node.n + 1));
    for (Ref r = 1; r < src->node.n; r++) {
        Node n = src->node.at[r];
        if (n.op == OP_CARRY || n.op == OP_STEP || n.op == OP_CAPTURE) leaf[r] = tangent_leaf(t, &n);
        if (leaf[r]) t->in.tan[t->map[r]] = leaf[r];
    }
    forward_sweep(&t->in);
}

/* Roots: nexts, their tangents, the outs, theirs. out[i]: 1 + the out of the tangent of out i. */
static void make_roots(TangentScan *t, uint32_t *out)
{
    const Graph *src = t->src;
    uint32_t n = src->root.n - t->s.ncarry;
    Graph *g = t->body;

    for (uint32_t i = 0; i < t->s.ncarry; i++) graph_root(g, ROOT_NEXT, src->root.at[i].name, t->map[src->root.at[i].ref], i);
    for (uint32_t i = 0; i < t->s.ncarry; i++) {
        Ref v;
        if (!t->place[i]) continue;
        v = forward_full(&t->in, t->map[src->root.at[i].ref]);
        v = g_expand_axes(g, v, (t->f->extra | t->f->l.fwd->node.at[t->s.init[i]].axes) & ~g->node.at[v].axes);
        graph_root(g, ROOT_NEXT, 0, v, t->s.ncarry + t->place[i] - 1);
    }
    for (uint32_t i = t->s.ncarry; i < src->root.n; i++) {
        Root x = src->root.at[i];
        graph_root(g, (RootKind)x.kind, x.name, t->map[x.ref], x.index);
    }
    for (uint32_t i = 0, k = n; i < n; i++) {
        Root x = src->root.at[t->s.ncarry + i];
        if (x.kind == ROOT_LAST ? !t->place[x.index] : !t->in.tan[t->map[x.ref]]) continue;
        if (x.kind == ROOT_LAST) graph_root(g, ROOT_LAST, 0, 0, t->s.ncarry + t->place[x.index] - 1);
        else graph_root(g, (RootKind)x.kind, 0, forward_full(&t->in, t->map[x.ref]), 0);
        out[i] = ++k;
    }
}

void forward_scan(Forward *f, Ref r)
{
    Graph *g = f->l.bwd;
    Module *m = g->module;
    Arena *a = f->l.arena;
    TangentScan t = {.f = f, .scan = r, .s = scan_info(g, r)};
    uint32_t *out;
    const Ref *in;
    uint32_t n = node_inputs(g, r, &in);
    bool any = false;
    Ref scan;

    for (uint32_t i = 0; i < n; i++) any |= active(f, in[i]);
    if (!any) return;
    t.src = m->graph.at[t.s.body];
    t.place = NEW_N(a, uint32_t, t.s.ncarry + 1);
    t.s.init = memcpy(NEW_N(a, Ref, n + 1), in, n * sizeof *in); /* the list moves when operands are added */
    t.s.step = t.s.init + t.s.ncarry;
    t.s.capture = t.s.step + t.s.nstep;
    out = NEW_N(a, uint32_t, t.src->root.n + 1);
    find_activity(&t);
    keep_operands(&t);
    t.body = module_add_graph(m);
    sweep_body(&t);
    make_roots(&t, out);
    substitute_scans(&t.in, NULL);
    scan = g_scan(g, t.s.axis, t.s.reverse, t.body->index, t.init.at, t.init.n, t.step.at, t.step.n, t.capture.at, t.capture.n);
    if (!f->subst[r]) f->subst[r] = scan;
    for (Ref q = r + 1; q < f->l.n0; q++) {
        const Node *o = &g->node.at[q];
        if (o->op == OP_OUT && o->in[0] == r && out[o->attr]) f->tan[q] = g_out(g, scan, out[o->attr] - 1);
    }
}
