/* stepwise: one scan over the steps in place of everything that has them.
   before:  a = W @ x : <T,B>;  h = scan T { h' = tanh(a[t] + U @ h) };  y = V @ h : <T,B>;  L = sum over <T,B> of loss(y, target)
   after:   L = sum over <B> of scan T { h' = tanh(W @ x[t] + U @ h);  sum loss(V @ h', target[t]) }
   The inverse of distribute: no value over T is left but inputs, targets and results, so the memory of the model does not depend on
   the number of steps. What the loop does not change stands before it; what reads a sum or a last value, after it. A shift to the
   past is a delay line of carries, a largest value over time a carry.
   It is for gradients that are carried forward (online.c). What needs a step before it has come is refused.
   relies on: operands precede users; a body refers to outer values only through its leaves. */
#include <math.h>
#include <string.h>

#include "passes/forward.h"
#include "passes/online.h"
#include "passes/rewrite.h"

typedef VEC(Root) RootVec;

/* A value of the old graphs: outside of the loop, in its body, or (late) behind it. */
typedef struct {
    Ref outer, inner;
    bool late;
} Spot;

typedef struct {
    Module *m;
    uint32_t T;
    const Graph *src;
    Graph *dst, *body;
    Spot *at; /* by node of src */
    RefVec init, step, capture, leaf, next; /* leaf, next: of carries, in the body */
    RootVec out;
    Ref scan;
    const char *why; /* why it cannot be done; NULL: so far it can */
    uint32_t span;
} Stepwise;

static Spot refuse(Stepwise *w, const Node *n, const char *why)
{
    if (!w->why) {
        w->why = why;
        w->span = n->span;
    }
    return (Spot){0};
}

static Arena *arena(Stepwise *w)
{
    return w->m->arena;
}

static uint32_t operand(Stepwise *w, RefVec *v, Ref r)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r) return i;
    VEC_PUSH(arena(w), *v) = r;
    return v->n - 1;
}

/* The value in the body: a capture of what stands outside. */
static Ref inner(Stepwise *w, Spot *p)
{
    Node type;

    if (p->inner) return p->inner;
    type = w->dst->node.at[p->outer];
    if (type.op == OP_CONST) return p->inner = graph_copy_node(w->body, w->dst, p->outer, NULL);
    return p->inner = leaf_like(w->body, OP_CAPTURE, operand(w, &w->capture, p->outer), &type, 0);
}

static uint32_t add_carry(Stepwise *w, Ref init, Ref leaf)
{
    VEC_PUSH(arena(w), w->init) = init;
    VEC_PUSH(arena(w), w->leaf) = leaf;
    VEC_PUSH(arena(w), w->next) = 0;
    return w->init.n - 1;
}

/* A new carry of the type of `like` (in the body) that starts at v. */
static uint32_t new_carry(Stepwise *w, Node like, Ref v)
{
    Ref leaf;

    if (w->m->axis[w->T].ragged) like.axes |= AX(AXIS_B);
    leaf = leaf_like(w->body, OP_CARRY, w->init.n, &like, 0);
    return add_carry(w, widen(w->dst, v, &like), leaf);
}

static Ref widened(Stepwise *w, Ref v, uint32_t carry)
{
    Node type = w->body->node.at[w->leaf.at[carry]];

    return widen(w->body, v, &type);
}

static uint32_t out(Stepwise *w, RootKind kind, Ref ref, uint32_t index)
{
    for (uint32_t i = 0; i < w->out.n; i++)
        if (w->out.at[i].kind == kind && w->out.at[i].ref == ref && w->out.at[i].index == index) return i;
    VEC_PUSH(arena(w), w->out) = (Root){.kind = (uint8_t)kind, .ref = ref, .index = index};
    return w->out.n - 1;
}

/* ---- a node of all steps becomes one of a step ---------------------------------------------------------------------------- */

/* Words without the axis T. */
static uint32_t without_axis(Stepwise *w, Graph *g, const Node *n, const uint32_t *old)
{
    uint32_t word[10], count = op_words((Op)n->op);

    if (!count) return n->attr;
    memcpy(word, old, count * sizeof *word);
    if (n->op == OP_EXPAND) word[3] &= ~AX(w->T);
    if (n->op == OP_DOT) word[9] &= ~AX(w->T);
    if (n->op == OP_SCATTER_ADD) word[1] &= ~AX(w->T);
    return graph_attr(g, word, count);
}

static Graph *step_body(Stepwise *w, const Graph *src);

static Ref step_node(Stepwise *w, Graph *dst, const Graph *src, Ref r, const Ref *map)
{
    Node n = src->node.at[r];
    uint32_t count;
    const Ref *in = node_ext(src, r, &count);

    n.axes &= ~AX(w->T);
    if (n.op == OP_IOTA && n.attr == 1 + w->T) return g_iota_axis(dst, w->T, true);
    if (n.op == OP_SCAN) {
        ScanInfo s = scan_info(src, r);
        Ref *x = NEW_N(arena(w), Ref, count + 1);
        for (uint32_t i = 0; i < count; i++) x[i] = map[in[i]];
        return g_scan(dst, s.axis, s.reverse, step_body(w, w->m->graph.at[s.body])->index, x, s.ncarry, x + s.ncarry, s.nstep,
                      x + s.ncarry + s.nstep, s.ncapture);
    }
    if (op_words((Op)n.op)) n.attr = without_axis(w, dst, &n, node_attr(src, r));
    if (n.op == OP_CONCAT) {
        n.in[0] = dst->ext.n;
        for (uint32_t i = 0; i < count; i++) VEC_PUSH(arena(w), dst->ext) = map[in[i]];
    } else {
        for (int i = 0; i < op_info[n.op].arity; i++) n.in[i] = map[n.in[i]];
    }
    return graph_emit(dst, &n, NULL);
}

/* The body of an inner scan whose rows were those of all steps. */
static Graph *step_body(Stepwise *w, const Graph *src)
{
    Graph *dst = module_add_graph(w->m);
    Ref *map = NEW_N(arena(w), Ref, src->node.n + 1);

    for (Ref r = 1; r < src->node.n; r++) map[r] = step_node(w, dst, src, r, map);
    for (uint32_t i = 0; i < src->root.n; i++) {
        Root x = src->root.at[i];
        graph_root(dst, (RootKind)x.kind, x.name, map[x.ref], x.index);
    }
    return dst;
}

/* ---- reductions over the steps --------------------------------------------------------------------------------------------- */

static Spot late(Stepwise *w, uint32_t i)
{
    (void)w;
    return (Spot){.outer = i + 1, .late = true}; /* an out, until the scan is there */
}

static uint32_t last_of(Stepwise *w, Ref v, Node like)
{
    uint32_t k = 0;

    while (k < w->next.n && (w->next.at[k] != v || w->body->node.at[w->leaf.at[k]].axes != like.axes)) k++;
    if (k == w->next.n) {
        k = new_carry(w, like, splat(w->dst, 0, &(Node){.rank = like.rank, .dim = {like.dim[0], like.dim[1], like.dim[2]}}));
        w->next.at[k] = widened(w, v, k);
    }
    return out(w, ROOT_LAST, 0, k);
}

/* What a reduction over T (and maybe B) yields: per step and example in the body, over the steps by the scan, over B after it. */
static Spot reduced(Stepwise *w, Ref r)
{
    const Node n = w->src->node.at[r];
    Graph *b = w->body;
    uint32_t word[10];
    Ref v = 0;

    for (int i = 0; i < op_info[n.op].arity; i++)
        if (!w->at[n.in[i]].outer && !w->at[n.in[i]].inner) return (Spot){0};
    memcpy(word, node_attr(w->src, r), (op_words((Op)n.op) ? op_words((Op)n.op) : 1) * sizeof *word);
    if (n.op == OP_LAST) {
        Ref x = inner(w, &w->at[n.in[0]]);
        Node like = b->node.at[x];
        like.axes |= n.axes;
        return late(w, last_of(w, x, like));
    }
    if (n.op == OP_SUM) v = g_sum(b, inner(w, &w->at[n.in[0]]), word[0] & ~AX(w->T) & ~AX(AXIS_B), word[1]);
    if (n.op == OP_AMAX) {
        v = g_amax(b, inner(w, &w->at[n.in[0]]), word[0] & ~AX(w->T) & ~AX(AXIS_B), word[1]);
        uint32_t k = new_carry(w, b->node.at[v], g_const(w->dst, -INFINITY));
        w->next.at[k] = widened(w, g_bin(b, OP_MAX, w->leaf.at[k], v), k);
        return late(w, out(w, ROOT_LAST, 0, k));
    }
    if (n.op == OP_DOT) {
        uint8_t l[3][3];
        Ref x = inner(w, &w->at[n.in[0]]), y = inner(w, &w->at[n.in[1]]);
        for (int i = 0; i < 9; i++) l[i / 3][i % 3] = (uint8_t)word[i];
        v = g_dot(b, x, y, l[0], l[1], l[2], word[9] | ((b->node.at[x].axes | b->node.at[y].axes) & AX(AXIS_B)));
    }
    if (n.op == OP_SCATTER_ADD) {
        Ref i = inner(w, &w->at[n.in[0]]), x = inner(w, &w->at[n.in[1]]);
        v = g_scatter_add(b, i, x, (int32_t)word[0], word[1] | ((b->node.at[i].axes | b->node.at[x].axes) & AX(AXIS_B)));
    }
    return v ? late(w, out(w, ROOT_SUM, v, 0)) : (Spot){0};
}

/* The rest of a reduction, behind the loop: over the examples. */
static Ref over_examples(Stepwise *w, Ref r, Ref v)
{
    const Node n = w->src->node.at[r];

    if (!(w->dst->node.at[v].axes & AX(AXIS_B) & ~n.axes)) return v;
    if (n.op == OP_AMAX) return g_amax(w->dst, v, AX(AXIS_B), 0);
    return g_sum(w->dst, v, AX(AXIS_B), 0);
}

/* ---- scans over T ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Spot *at; /* by node of the body */
    uint32_t first; /* of its carries among all */
} Inlined;

static Spot inline_node(Stepwise *w, const ScanInfo *s, const Graph *g, Ref r, Inlined *in)
{
    const Node n = g->node.at[r];
    const Ref *arg;
    uint32_t count = node_inputs(g, r, &arg);
    bool outside = n.op != OP_NOISE && !(n.op == OP_IOTA && n.attr == 1 + s->axis);
    Ref *map;

    if (n.op == OP_CARRY) return (Spot){.inner = w->leaf.at[in->first + n.attr]};
    if (n.op == OP_STEP) return (Spot){.inner = inner(w, &w->at[s->step[n.attr]])};
    if (n.op == OP_CAPTURE) {
        Ref v = s->capture[n.attr];
        if (w->at[v].inner && !w->at[v].outer)
            return refuse(w, &n, "a step reads whole sequences (attention over all of its own steps)");
        return w->at[v];
    }
    map = NEW_N(arena(w), Ref, g->node.n + 1);
    for (uint32_t i = 0; i < count; i++) {
        outside &= in->at[arg[i]].outer != 0;
        if (!in->at[arg[i]].outer && !in->at[arg[i]].inner) return (Spot){0};
    }
    for (uint32_t i = 0; i < count; i++) map[arg[i]] = outside ? in->at[arg[i]].outer : inner(w, &in->at[arg[i]]);
    if (outside) return (Spot){.outer = copy_with_body(w->dst, g, r, map)};
    return (Spot){.inner = copy_with_body(w->body, g, r, map)};
}

static bool inline_carries(Stepwise *w, const ScanInfo *s)
{
    for (uint32_t k = 0; k < s->ncarry; k++) {
        Spot *p = &w->at[s->init[k]];
        Node type = w->src->node.at[s->init[k]];
        if (p->late || !p->outer) return refuse(w, &type, "a state starts from a value of the end of the sequence"), false;
        add_carry(w, p->outer, leaf_like(w->body, OP_CARRY, w->init.n, &type, 0));
    }
    return true;
}

static void inline_scan(Stepwise *w, Ref r)
{
    ScanInfo s = scan_info(w->src, r);
    const Graph *g = w->m->graph.at[s.body];
    Inlined in = {.at = NEW_N(arena(w), Spot, g->node.n + 1), .first = w->init.n};

    if (s.reverse) {
        refuse(w, &w->src->node.at[r], "it runs backwards over the sequence");
        return;
    }
    for (uint32_t i = 0; i < s.ncapture; i++)
        if (w->at[s.capture[i]].late) {
            refuse(w, &w->src->node.at[r], "a step reads a value of the end of the sequence");
            return;
        }
    if (!inline_carries(w, &s)) return;
    for (Ref q = 1; q < g->node.n && !w->why; q++) in.at[q] = inline_node(w, &s, g, q, &in);
    for (uint32_t k = 0; k < s.ncarry && !w->why; k++)
        w->next.at[in.first + k] = widened(w, inner(w, &in.at[g->root.at[k].ref]), in.first + k);
    for (Ref q = r + 1; q < w->src->node.n && !w->why; q++) {
        const Node *o = &w->src->node.at[q];
        Root x;
        if (o->op != OP_OUT || o->in[0] != r) continue;
        x = g->root.at[s.ncarry + o->attr];
        if (x.kind == ROOT_STACK) w->at[q] = (Spot){.inner = inner(w, &in.at[x.ref])};
        else if (x.kind == ROOT_SUM) w->at[q] = late(w, out(w, ROOT_SUM, inner(w, &in.at[x.ref]), 0));
        else w->at[q] = late(w, out(w, ROOT_LAST, 0, in.first + x.index));
    }
}

/* ---- time -------------------------------------------------------------------------------------------------------------------- */

/* The state before each step: shift by 1 of a stacked carry, filled with its start. */
static Ref carry_before(Stepwise *w, Ref r)
{
    const Node n = w->src->node.at[r];
    Ref v = w->at[n.in[0]].inner, fill = w->at[n.in[1]].outer;

    for (uint32_t k = 0; k < w->next.n; k++)
        if (w->next.at[k] == v && w->init.at[k] == fill) return w->leaf.at[k];
    return 0;
}

static Spot delayed(Stepwise *w, Ref r)
{
    const Node n = w->src->node.at[r];
    int32_t by = (int32_t)node_attr(w->src, r)[1];
    Ref v = inner(w, &w->at[n.in[0]]), before;

    if (by < 0) return refuse(w, &n, "a shift reads steps that have not come yet");
    if (w->at[n.in[1]].late || !w->at[n.in[1]].outer) return refuse(w, &n, "a shift is filled from the end of the sequence");
    if (by == 0) return (Spot){.inner = v};
    before = by == 1 ? carry_before(w, r) : 0;
    for (int32_t i = 0; i < by && !before; i++) {
        uint32_t k = new_carry(w, w->body->node.at[v], w->at[n.in[1]].outer);
        w->next.at[k] = widened(w, v, k);
        v = w->leaf.at[k];
    }
    return (Spot){.inner = before ? before : v};
}

/* ---- the walk ------------------------------------------------------------------------------------------------------------------ */

static bool over_time(const Stepwise *w, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(w->src, r, &in);

    for (uint32_t i = 0; i < n; i++)
        if (w->src->node.at[in[i]].axes & AX(w->T)) return true;
    return (w->src->node.at[r].axes & AX(w->T)) != 0;
}

static Spot map_node(Stepwise *w, Ref r)
{
    const Node n = w->src->node.at[r];
    const Ref *in;
    uint32_t count = node_inputs(w->src, r, &in);
    Ref *map = NEW_N(arena(w), Ref, w->src->node.n + 1);
    bool any_late = false;

    for (uint32_t i = 0; i < count; i++) any_late |= w->at[in[i]].late;
    if (n.op == OP_SCAN && scan_info(w->src, r).axis == w->T) {
        inline_scan(w, r);
        return (Spot){0};
    }
    if (n.op == OP_OUT && (w->at[r].inner || w->at[r].outer)) return w->at[r];
    if (n.op == OP_SCAN ? !over_time(w, r) : !(n.axes & AX(w->T)) && !over_time(w, r)) {
        if (n.op == OP_OUT && w->at[n.in[0]].inner) return (Spot){.inner = g_out(w->body, w->at[n.in[0]].inner, n.attr)};
        if (any_late) return (Spot){.late = true};
        for (uint32_t i = 0; i < count; i++) map[in[i]] = w->at[in[i]].outer;
        return (Spot){.outer = copy_with_body(w->dst, w->src, r, map)};
    }
    if (any_late) return refuse(w, &n, "every step reads a value of the end of the sequence");
    if (n.op == OP_INPUT)
        return (Spot){.inner = leaf_like(w->body, OP_STEP, operand(w, &w->step, g_input(w->dst, n.attr)), &n, AX(w->T))};
    if (n.op == OP_REVERSE && n.attr == w->T) return refuse(w, &n, "it reverses the sequence");
    if (n.op == OP_JOIN) return refuse(w, &n, "sequences are joined");
    if (n.op == OP_SHIFT && node_attr(w->src, r)[0] == w->T) return delayed(w, r);
    if (!(n.axes & AX(w->T)) && n.op != OP_SCAN) return reduced(w, r);
    for (uint32_t i = 0; i < count; i++) map[in[i]] = inner(w, &w->at[in[i]]);
    return (Spot){.inner = step_node(w, w->body, w->src, r, map)};
}

static void close_scan(Stepwise *w)
{
    for (uint32_t k = 0; k < w->next.n; k++) graph_root(w->body, ROOT_NEXT, 0, w->next.at[k], k);
    for (uint32_t i = 0; i < w->out.n; i++) graph_root(w->body, (RootKind)w->out.at[i].kind, 0, w->out.at[i].ref, w->out.at[i].index);
    w->scan = g_scan(w->dst, w->T, false, w->body->index, w->init.at, w->init.n, w->step.at, w->step.n, w->capture.at, w->capture.n);
}

/* Second walk: what comes behind the loop. */
static void finish(Stepwise *w, Ref *map)
{
    for (Ref r = 1; r < w->src->node.n; r++) {
        Spot *p = &w->at[r];
        if (p->late && p->outer) map[r] = over_examples(w, r, g_out(w->dst, w->scan, p->outer - 1));
        else if (p->late) map[r] = copy_with_body(w->dst, w->src, r, map);
        else map[r] = p->outer;
    }
}

/* Sequences that roots ask for are stacked. */
static void stack_roots(Stepwise *w)
{
    for (uint32_t i = 0; i < w->src->root.n; i++) {
        Spot *p = &w->at[w->src->root.at[i].ref];
        if (p->inner && !p->outer && !p->late) *p = late(w, out(w, ROOT_STACK, p->inner, 0));
    }
}

static uint32_t time_axis(const Module *m, const char **why)
{
    const Graph *g = m->graph.at[0];
    uint32_t T = 0;

    for (Ref r = 1; r < g->node.n; r++) {
        uint32_t axis = g->node.at[r].op == OP_SCAN ? scan_info(g, r).axis : 0;
        if (!axis || m->axis[axis].kind == AXIS_COUNT) continue;
        if (m->axis[axis].kind != AXIS_TIME || (T && T != axis)) *why = "its scans run over several time axes";
        T = axis;
    }
    if (!T) *why = "it has no scan over time";
    return T;
}

bool stepwise(Module *m, const char **why, uint32_t *span)
{
    Graph *g = m->graph.at[0];
    Stepwise w = {.m = m, .src = g, .T = time_axis(m, why)};
    uint8_t *live = NEW_N(m->arena, uint8_t, g->node.n + 1);
    Ref *map;

    *span = 0;
    if (*why) return false;
    w.dst = module_add_graph(m);
    w.body = module_add_graph(m);
    w.at = NEW_N(m->arena, Spot, g->node.n + 1);
    map = NEW_N(m->arena, Ref, g->node.n + 1);
    mark_live(g, live);
    for (Ref r = 1; r < g->node.n && !w.why; r++) {
        w.dst->span = w.body->span = g->node.at[r].span;
        w.dst->name = w.body->name = g->node.at[r].name;
        if (live[r]) w.at[r] = map_node(&w, r);
    }
    *why = w.why;
    *span = w.span;
    if (w.why) return false;
    stack_roots(&w);
    close_scan(&w);
    finish(&w, map);
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref && !map[g->root.at[i].ref]) *why = "it has a value that the steps do not make";
    if (*why) return false;
    replace_model(m, w.dst, map);
    module_dce(m);
    return true;
}
