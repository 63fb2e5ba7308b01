/* remat_build: the graphs of a program in segments, from what each sweep needs.
   before:  %5 = scan T fwd @1 carry(%4) step(%1)    %6 = out %5 0 : f<T,B>[4]    %7 = sum %6 <T> : f<B>[4]
   after:   %8 = scan segments fwd @2 carry(%4, 0) capture(%1)      %9 = out %8 1 : f<B>[4]
            graph 2: carry 0, the scan of before from there, next its last; carry 1, next the sum %7 of its stack, added on
   Nodes are copied as they stand: the pins that come along speak about this very structure. */
#include "ir/build.h"
#include "passes/remat.h"
#include "passes/rewrite.h"

/* ---- copies ------------------------------------------------------------------------------------------------------------ */

static Ref pinned(Remat *x, Pins *p, Ref r, Pin pin)
{
    while (p->n <= r)
        VEC_PUSH(x->L->arena, *p) = (Pin){ 0 };
    p->at[r] = pin;
    return r;
}

static Ref pinned_as(Remat *x, Pins *p, Ref r, const NodeInfo *ni, const Ref *map)
{
    return pinned(x, p, r, (Pin){ ni->kind, ni->fused, ni->down, ni->base ? map[ni->base] : 0 });
}

static uint32_t copy_inner(Module *m, uint32_t body);

/* Node r as it stands, without any rule of the emitter: the pins speak about this very structure. A scan gets a body of its
   own. */
static Ref copy_raw(Graph *dst, const Graph *src, Ref r, const Ref *map, Arena *a)
{
    Node n = src->node.at[r];
    const Ref *in;
    uint32_t count = node_inputs(src, r, &in), words = op_words((Op)n.op);
    if (n.op == OP_SCAN || n.op == OP_CONCAT) {
        Ref *to = NEW_N(a, Ref, count + 1);
        for (uint32_t k = 0; k < count; k++)
            to[k] = map[in[k]];
        n.in[0] = graph_ext(dst, to, count);
    } else {
        for (uint32_t k = 0; k < count; k++)
            n.in[k] = map[in[k]];
    }
    if (n.op == OP_SCAN) {
        ScanInfo s = scan_info(src, r);
        uint32_t body = copy_inner(dst->module, s.body);
        n.attr = graph_attr(dst, (uint32_t[]){ s.axis, s.reverse, body, s.ncarry, s.nstep, s.ncapture }, 6);
    } else if (words) {
        n.attr = graph_attr(dst, node_attr(src, r), words);
    }
    return graph_append(dst, &n);
}

static uint32_t copy_inner(Module *m, uint32_t body)
{
    const Graph *src = m->graph.at[body];
    Graph *g = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n + 1);
    Pin *pin = NEW_N(m->arena, Pin, src->node.n + 1);
    for (Ref r = 1; r < src->node.n; r++) {
        map[r] = copy_raw(g, src, r, map, m->arena);
        if (src->pin) {
            pin[map[r]] = src->pin[r];
            pin[map[r]].base = map[src->pin[r].base];
        }
    }
    for (uint32_t i = 0; i < src->root.n; i++)
        graph_root(g, (RootKind)src->root.at[i].kind, src->root.at[i].name, map[src->root.at[i].ref], src->root.at[i].index);
    g->pin = src->pin ? pin : NULL;
    g->cut = src->cut;
    return g->index;
}

static Ref raw_leaf(Graph *g, Op op, uint32_t index, const Node *type, uint32_t axes)
{
    Node n = { .op = (uint16_t)op, .dtype = type->dtype, .rank = type->rank, .axes = axes, .attr = index, .name = type->name };
    memcpy(n.dim, type->dim, sizeof n.dim);
    return graph_append(g, &n);
}

static Ref raw_out(Graph *g, Ref scan, uint32_t index, const Node *type, uint32_t axes)
{
    Node n = { .op = OP_OUT, .dtype = type->dtype, .rank = type->rank, .axes = axes, .in = { scan }, .attr = index, .name = type->name };
    memcpy(n.dim, type->dim, sizeof n.dim);
    return graph_append(g, &n);
}

static Ref raw_scan(Graph *g, ScanInfo s, const Ref *operand)
{
    uint32_t count = s.ncarry + s.nstep + s.ncapture;
    Node n = { .op = OP_SCAN, .in = { graph_ext(g, operand, count), count } };
    n.attr = graph_attr(g, (uint32_t[]){ s.axis, s.reverse, s.body, s.ncarry, s.nstep, s.ncapture }, 6);
    return graph_append(g, &n);
}

static void keep_pins(Remat *x, Graph *g, const Pins *p, uint32_t cut)
{
    Pin *at = NEW_N(x->L->arena, Pin, g->node.n + 1);
    memcpy(at, p->at, sizeof(Pin) * (p->n < g->node.n ? p->n : g->node.n));
    g->pin = at;
    g->cut = cut;
}

/* The body of a scan with those carries and outs that a sweep wants; `last`: the final carries too. */
static Graph *copy_body(Remat *x, Ref r, Part *p, bool last, ScanInfo *s, Ref *step, Ref *capture)
{
    const Graph *b = x->m->graph.at[s->body];
    LowG *lg = x->body[r];
    Graph *g = module_add_graph(x->m);
    Ref *map = NEW_N(x->L->arena, Ref, b->node.n + 1);
    Pins pins = { 0 };
    uint32_t *carry = NEW_N(x->L->arena, uint32_t, s->ncarry + 1), nc = 0, ns = 0, np = 0, outs = 0, old = s->ncarry;
    for (uint32_t c = 0; c < old; c++)
        carry[c] = p->carry[c] ? nc++ : 0;
    for (Ref q = 1; q < b->node.n; q++) {
        const Node *n = &b->node.at[q];
        uint32_t index = n->attr;
        if (!p->node[q])
            continue;
        if (n->op == OP_CARRY)
            map[q] = raw_leaf(g, OP_CARRY, carry[index], n, n->axes);
        else if (n->op == OP_STEP)
            map[q] = raw_leaf(g, OP_STEP, (step[ns] = s->step[index], ns++), n, n->axes);
        else if (n->op == OP_CAPTURE)
            map[q] = raw_leaf(g, OP_CAPTURE, (capture[np] = s->capture[index], np++), n, n->axes);
        else
            map[q] = copy_raw(g, b, q, map, x->L->arena);
        pinned_as(x, &pins, map[q], &lg->ni[q], map);
    }
    for (uint32_t c = 0; c < old; c++)
        if (p->carry[c])
            graph_root(g, ROOT_NEXT, b->root.at[c].name, map[b->root.at[c].ref], carry[c]);
    for (uint32_t c = 0; c < old && last; c++)
        if (p->carry[c]) {
            graph_root(g, ROOT_LAST, 0, 0, carry[c]);
            p->index[b->root.n + c] = outs++;
        }
    for (uint32_t i = old; i < b->root.n; i++)
        if (p->out[i - old]) {
            graph_root(g, ROOT_STACK, b->root.at[i].name, map[b->root.at[i].ref], 0);
            p->index[i - old] = outs++;
        }
    keep_pins(x, g, &pins, 0);
    *s = (ScanInfo){ .axis = s->axis, .reverse = s->reverse, .body = g->index, .ncarry = nc, .nstep = ns, .ncapture = np };
    return g;
}

/* ---- the body of a sweep -------------------------------------------------------------------------------------------------- */

static Ref from_outside(Remat *x, Sweep *w, Ref r)
{
    const Node *n = &x->f.g->node.at[r];
    Ref leaf = pinned(x, &w->pins, raw_leaf(w->g, OP_CAPTURE, w->capture.n, n, n->axes), (Pin){ .kind = NK_FREE });
    VEC_PUSH(x->L->arena, w->capture) = x->map[r];
    return leaf;
}

static Ref into_sweep(Remat *x, Sweep *w, Ref r)
{
    if (!w->map[r])
        w->map[r] = from_outside(x, w, r);
    return w->map[r];
}

/* r as it is at all steps: where it is computed again here, for these steps only, what an earlier sweep kept. */
static Ref whole_into_sweep(Remat *x, Sweep *w, Ref r)
{
    const Graph *g = x->f.g;
    const Ref *in;
    uint32_t count = node_inputs(g, r, &in);
    if (w->whole[r])
        return w->whole[r];
    if (x->f.role[r] != STEP || kept(x, r))
        return w->whole[r] = x->f.role[r] == STEP && w->node[r] ? from_outside(x, w, r) : into_sweep(x, w, r);
    for (uint32_t i = 0; i < count; i++)
        whole_into_sweep(x, w, in[i]);
    w->whole[r] = copy_raw(w->g, g, r, w->whole, x->L->arena);
    return pinned_as(x, &w->pins, w->whole[r], &x->f.lg->ni[r], w->whole);
}

static void sweep_scan(Remat *x, Sweep *w, uint32_t k, Ref r)
{
    Arena *a = x->L->arena;
    ScanInfo s = scan_info(x->f.g, r), old = s;
    const Graph *b = x->m->graph.at[s.body];
    Part *p = w->part[r];
    uint32_t most = b->node.n + s.ncarry + 1, n = 0;
    Ref *step = NEW_N(a, Ref, most), *capture = NEW_N(a, Ref, most), *operand = NEW_N(a, Ref, 3 * most);
    copy_body(x, r, p, x->f.at[r] == k, &s, step, capture);
    for (uint32_t c = 0; c < old.ncarry; c++)
        if (p->carry[c])
            operand[n++] = p->leaf[c];
    for (uint32_t i = 0; i < s.nstep; i++)
        operand[n++] = into_sweep(x, w, step[i]);
    for (uint32_t i = 0; i < s.ncapture; i++)
        operand[n++] = whole_into_sweep(x, w, capture[i]);
    w->map[r] = pinned(x, &w->pins, raw_scan(w->g, s, operand), (Pin){ .kind = NK_SCAN });
}

/* The value of a carry at the start of each segment: a carry of the sweep that runs the scan first, from there on what it kept. */
static void sweep_starts(Remat *x, uint32_t k, Ref r)
{
    Sweep *w = &x->sweep[k];
    ScanInfo s = scan_info(x->f.g, r);
    Part *p = w->part[r];
    for (uint32_t c = 0; c < s.ncarry; c++) {
        const Node *type = &x->f.g->node.at[s.init[c]];
        if (!p->carry[c])
            continue;
        if (x->f.at[r] == k) {
            p->leaf[c] = raw_leaf(w->g, OP_CARRY, w->init.n, type, type->axes);
            VEC_PUSH(x->L->arena, w->init) = x->map[s.init[c]];
            VEC_PUSH(x->L->arena, w->home) = (Home){ r, 0, c };
        } else {
            p->leaf[c] = raw_leaf(w->g, OP_STEP, w->step.n, type, type->axes);
            VEC_PUSH(x->L->arena, w->step) = x->sweep[x->f.at[r]].part[r]->kept[c];
        }
        pinned(x, &w->pins, p->leaf[c], (Pin){ .kind = NK_FREE });
    }
}

static Ref sweep_view(Remat *x, Sweep *w, Ref r)
{
    const Graph *g = x->f.g;
    const Node *n = &g->node.at[r];
    Ref out = n->in[0], scan = g->node.at[out].in[0];
    ScanInfo s = scan_info(g, scan);
    const Graph *b = x->m->graph.at[s.body];
    Ref v = b->root.at[s.ncarry + g->node.at[out].attr].ref, map[2] = { w->map[out], 0 };
    for (uint32_t c = 0; c < s.ncarry && !map[1]; c++)
        if (b->root.at[c].ref == v && s.init[c] == n->in[1])
            map[1] = w->part[scan]->leaf[c];
    Node shift = *n;
    shift.in[0] = map[0];
    shift.in[1] = map[1];
    shift.attr = graph_attr(w->g, node_attr(g, r), 2);
    return pinned(x, &w->pins, graph_append(w->g, &shift), (Pin){ .kind = NK_FREE });
}

static void sweep_node(Remat *x, Sweep *w, uint32_t k, Ref r)
{
    const Graph *g = x->f.g;
    const Node *n = &g->node.at[r];
    const NodeInfo *ni = &x->f.lg->ni[r];
    const Ref *in;
    uint32_t count = node_inputs(g, r, &in);
    if (x->f.role[r] == SCAN) {
        sweep_scan(x, w, k, r);
    } else if (x->f.role[r] == STEP && n->op == OP_OUT) {
        w->map[r] = raw_out(w->g, w->map[n->in[0]], w->part[n->in[0]]->index[n->attr], n, n->axes);
        pinned(x, &w->pins, w->map[r], (Pin){ .kind = NK_FREE });
    } else if (x->f.role[r] == STEP && n->op == OP_SHIFT && ni->kind == NK_FREE) {
        w->map[r] = sweep_view(x, w, r);
    } else {
        bool whole = reads_whole(x, r);
        Ref *map = whole ? w->whole : w->map;
        for (uint32_t i = 0; i < count; i++)
            (whole ? whole_into_sweep : into_sweep)(x, w, in[i]);
        w->map[r] = copy_raw(w->g, g, r, map, x->L->arena);
        pinned_as(x, &w->pins, w->map[r], ni, map);
    }
}

/* ---- graph 0 ------------------------------------------------------------------------------------------------------------ */

/* Everything outside of the sweeps whose operands exist by now. */
static void outside(Remat *x)
{
    const Graph *g = x->f.g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        bool ready = x->f.role[r] == OUTSIDE || (x->f.role[r] == STEP && x->f.whole[r] && !stands(&x->f, r));
        if (x->map[r] || !ready || (n->op == OP_OUT && x->f.role[n->in[0]] == SCAN))
            continue;
        for (uint32_t i = 0; i < count; i++)
            ready &= x->map[in[i]] != 0;
        if (!ready)
            continue;
        x->map[r] = copy_raw(x->g, g, r, x->map, x->L->arena);
        pinned_as(x, &x->pins, x->map[r], &x->f.lg->ni[r], x->map);
    }
}

/* What a sum starts from, so that its first summand stays as it is: -0 where a chain of its own is added, else what the chain
   itself starts from. */
static Ref neutral(Remat *x, Ref r)
{
    const Node type = x->f.g->node.at[r];
    bool product = x->f.lg->ni[r].kind == NK_GRADIENT;
    Ref from = x->g->node.n;
    Ref z = widen(x->g, g_const(x->g, type.op == OP_AMAX ? -HUGE_VAL : product ? -0.0 : 0.0), &type);
    for (Ref q = from; q < x->g->node.n; q++)
        pinned(x, &x->pins, q, (Pin){ .kind = x->g->node.at[q].op == OP_EXPAND ? NK_ACCESS : NK_FREE });
    return z;
}

/* The roots of a sweep's body: next values of carries and sums, then their last ones. */
static void sweep_roots(Remat *x, uint32_t k)
{
    const Graph *g = x->f.g;
    Sweep *w = &x->sweep[k];
    uint32_t nc = 0;
    for (; nc < w->home.n; nc++) {
        Home *h = &w->home.at[nc];
        ScanInfo s = scan_info(g, h->scan);
        const Node *type = &g->node.at[s.init[h->carry]];
        const Part *p = w->part[h->scan];
        h->last = raw_out(w->g, w->map[h->scan], p->index[x->m->graph.at[s.body]->root.n + h->carry], type, type->axes);
        graph_root(w->g, ROOT_NEXT, 0, pinned(x, &w->pins, h->last, (Pin){ .kind = NK_FREE }), nc);
    }
    for (Ref r = 1; r < g->node.n; r++)
        if (x->f.role[r] == REDUCE && x->f.at[r] == k) {
            VEC_PUSH(x->L->arena, w->init) = neutral(x, r);
            graph_root(w->g, ROOT_NEXT, 0, w->map[r], nc++);
        }
    for (uint32_t c = 0; c < nc; c++)
        graph_root(w->g, ROOT_LAST, 0, 0, c);
}

static Ref outer_scan(Remat *x, uint32_t k)
{
    Sweep *w = &x->sweep[k];
    uint32_t nc = w->init.n, ns = w->step.n, np = w->capture.n, n = 0;
    Ref *operand = NEW_N(x->L->arena, Ref, nc + ns + np + 1);
    for (uint32_t i = 0; i < nc; i++)
        operand[n++] = w->init.at[i];
    for (uint32_t i = 0; i < ns; i++)
        operand[n++] = w->step.at[i];
    for (uint32_t i = 0; i < np; i++)
        operand[n++] = w->capture.at[i];
    ScanInfo s = { .axis = x->segments, .reverse = k & 1, .body = w->g->index, .ncarry = nc, .nstep = ns, .ncapture = np };
    return pinned(x, &x->pins, raw_scan(x->g, s, operand), (Pin){ .kind = NK_SCAN });
}

static bool starts_again(const Remat *x, uint32_t k, const Home *h)
{
    for (uint32_t j = k + 1; j < x->sweeps; j++)
        if (x->sweep[j].part[h->scan] && x->sweep[j].part[h->scan]->carry[h->carry])
            return true;
    return false;
}

/* The values of a carry at the starts of the segments: its stack over them, shifted. */
static void keep_starts(Remat *x, uint32_t k, const Home *h, Ref scan, uint32_t out)
{
    Sweep *w = &x->sweep[k];
    Ref init = scan_info(x->f.g, h->scan).init[h->carry];
    const Node *type = &x->f.g->node.at[init];
    graph_root(w->g, ROOT_STACK, 0, h->last, 0);
    Ref stack = pinned(x, &x->pins, raw_out(x->g, scan, out, type, type->axes | AX(x->segments)), (Pin){ .kind = NK_FREE });
    Node view = x->g->node.at[stack];
    view.op = OP_SHIFT;
    view.in[0] = stack;
    view.in[1] = x->map[init];
    view.attr = graph_attr(x->g, (uint32_t[]){ x->segments, k & 1 ? UINT32_MAX : 1 }, 2);
    w->part[h->scan]->kept[h->carry] = pinned(x, &x->pins, graph_append(x->g, &view), (Pin){ .kind = NK_FREE });
}

/* What graph 0 reads of a sweep: final carries, sums, starts of segments, values kept whole. */
static void sweep_results(Remat *x, uint32_t k)
{
    const Graph *g = x->f.g;
    Sweep *w = &x->sweep[k];
    sweep_roots(x, k);
    Ref scan = outer_scan(x, k);
    uint32_t outs = w->init.n, sum = w->home.n;
    for (uint32_t i = 0; i < w->home.n; i++)
        if (starts_again(x, k, &w->home.at[i]))
            keep_starts(x, k, &w->home.at[i], scan, outs++);
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        uint32_t out = UINT32_MAX;
        if (n->op == OP_OUT && x->f.role[r] == OUTSIDE && x->f.role[n->in[0]] == SCAN && x->f.at[n->in[0]] == k) {
            ScanInfo s = scan_info(g, n->in[0]);
            uint32_t c = x->m->graph.at[s.body]->root.at[s.ncarry + n->attr].index;
            for (uint32_t i = 0; i < w->home.n; i++)
                out = w->home.at[i].scan == n->in[0] && w->home.at[i].carry == c ? i : out;
        } else if (x->f.at[r] == k && x->f.role[r] == REDUCE) {
            out = sum++;
        } else if (x->f.at[r] == k && x->f.role[r] == STEP && kept(x, r)) {
            graph_root(w->g, ROOT_STACK, n->name, w->map[r], 0);
            out = outs++;
        }
        if (out != UINT32_MAX)
            x->map[r] = pinned(x, &x->pins, raw_out(x->g, scan, out, n, n->axes), (Pin){ .kind = NK_FREE });
    }
    keep_pins(x, w->g, &w->pins, 1 + x->f.axis);
}

static void build_sweep(Remat *x, uint32_t k)
{
    Sweep *w = &x->sweep[k];
    w->g = module_add_graph(x->m);
    w->map = NEW_N(x->L->arena, Ref, x->f.g->node.n);
    w->whole = NEW_N(x->L->arena, Ref, x->f.g->node.n);
    for (Ref r = 1; r < x->f.g->node.n; r++)
        if (w->node[r] && x->f.role[r] == SCAN)
            sweep_starts(x, k, r);
    for (Ref r = 1; r < x->f.g->node.n; r++)
        if (w->node[r])
            sweep_node(x, w, k, r);
    sweep_results(x, k);
}

static void take_roots(Remat *x)
{
    const Graph *g = x->f.g;
    for (uint32_t i = 0; i < g->root.n; i++) {
        const Root *r = &g->root.at[i];
        graph_root(x->g, (RootKind)r->kind, r->name, x->map[r->ref], r->index);
    }
    keep_pins(x, x->g, &x->pins, 0);
    uint32_t index = x->g->index; /* trade places */
    x->m->graph.at[index] = x->m->graph.at[0];
    x->m->graph.at[index]->index = index;
    x->m->graph.at[0] = x->g;
    x->g->index = 0;
}

void build_graphs(Remat *x)
{
    x->g = module_add_graph(x->m);
    x->map = NEW_N(x->L->arena, Ref, x->f.g->node.n);
    for (uint32_t k = 0; k < x->sweeps; k++) {
        outside(x);
        if (has_work(x, k))
            build_sweep(x, k);
    }
    outside(x);
    take_roots(x);
}
