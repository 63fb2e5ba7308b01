/* The adjoint of a scan S with body G is a scan over the same axis in the opposite direction.
   before:  S = scan T fwd G carry(h0) step(x) capture(W)        G: next h', stack y
   after:   Sb = scan T rev Gb carry(adj last h) step(adj y, x, tape ..) capture(W ..)
            Gb: next adj h, stack adj x, sum adj W               adj h0 += last, adj x += stack, adj W += sum
   Captures' adjoints are sums, not carries: that is what distribute sinks.
   The tape: Gb is first built as a draft whose leaves `step i` stand for entries of Level.leaf. When the sweep is done it is
   known which forward values the draft reads; those are made again from what is there if that is cheap, else S stacks them.
   relies on: a body refers to outer values only through its leaves; frozen rows of a ragged axis are the meaning of scan. */
#include "passes/autodiff.h"
#include "passes/rewrite.h"

/* ---- leaves of the draft -------------------------------------------------------------------------------------------------- */

static Ref draft_leaf(Level *l, LeafKind kind, Ref ref, const Node *type, uint32_t less)
{
    for (uint32_t i = 0; i < l->leaf.n; i++)
        if (l->leaf.at[i].kind == kind && l->leaf.at[i].ref == ref) return leaf_like(l->bwd, OP_STEP, i, type, less);
    VEC_PUSH(l->arena, l->leaf) = (TapeLeaf){kind, ref};
    return leaf_like(l->bwd, OP_STEP, l->leaf.n - 1, type, less);
}

static bool made_again(const Node *n)
{
    return n->op == OP_CONST || n->op == OP_IOTA || n->op == OP_NOISE || n->op == OP_LENGTH;
}

Ref need(Level *l, Ref v)
{
    Node n = l->fwd->node.at[v];

    if (!l->up) return v;
    while (l->prim.n <= v) VEC_PUSH(l->arena, l->prim) = 0;
    if (l->prim.at[v]) return l->prim.at[v];
    if (made_again(&n)) {
        l->prim.at[v] = graph_copy_node(l->bwd, l->fwd, v, NULL);
    } else if (n.op == OP_SHIFT && v >= l->n0) { /* a state before its step, made below for an inner scan */
        const uint32_t *w = node_attr(l->fwd, v);
        uint32_t axis = w[0], by = w[1];
        Ref x = need(l, n.in[0]), fill = need(l, n.in[1]);
        l->prim.at[v] = g_shift(l->bwd, x, fill, axis, (int32_t)by);
    } else {
        l->prim.at[v] = draft_leaf(l, LEAF_NEED, v, &n, 0);
    }
    return l->prim.at[v];
}

/* ---- the tape ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Level *l;
    Graph *body; /* the finished adjoint body */
    uint8_t *wanted, *stacked, *there; /* by forward ref: read by the draft; on the tape; can be had without a new stack */
    Ref *made; /* forward ref -> body */
    RefVec step, capture; /* operands of the adjoint scan, in up->bwd */
} Tape;

static uint32_t operand(Arena *a, RefVec *v, Ref r)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r) return i;
    VEC_PUSH(a, *v) = r;
    return v->n - 1;
}

/* A value with the scanned axis itself (it comes from a captured sequence) cannot be stacked: it is always made again. */
static void want_operands(Tape *t)
{
    const Graph *g = t->l->fwd;

    for (Ref r = g->node.n - 1; r > 0; r--) {
        const Ref *in;
        uint32_t n = t->wanted[r] && (g->node.at[r].axes & AX(t->l->info.axis)) ? node_inputs(g, r, &in) : 0;
        for (uint32_t i = 0; i < n; i++) t->wanted[in[i]] = 1;
    }
}

static void plan_tape(Tape *t)
{
    const Graph *g = t->l->fwd;

    want_operands(t);
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == ROOT_STACK) t->stacked[g->root.at[i].ref] = 1;
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_CARRY && t->wanted[r]) t->stacked[g->root.at[g->node.at[r].attr].ref] = 1;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        bool ok = is_cheap(g, r);
        for (uint32_t i = 0; i < count; i++) ok = ok && t->there[in[i]];
        if (made_again(n) || n->op == OP_CAPTURE || n->op == OP_STEP || n->op == OP_SCAN) ok = true;
        if (t->wanted[r] && (n->axes & AX(t->l->info.axis))) ok = true;
        if (n->op == OP_CARRY) ok = t->stacked[g->root.at[n->attr].ref];
        if (t->wanted[r] && !ok) t->stacked[r] = 1;
        t->there[r] = ok || t->stacked[r];
    }
}

/* The sequence of forward value v, as a value of up->fwd. */
static Ref stack_of(Level *l, Ref v)
{
    Graph *up = l->up->fwd;
    uint32_t span = up->span, name = up->name;
    Ref r;

    up->span = l->fwd->node.at[v].span;
    up->name = l->fwd->node.at[v].name;
    r = g_out(up, l->scan, body_out(l->fwd, ROOT_STACK, v, 0));
    up->span = span;
    up->name = name;
    return r;
}

static Ref step_leaf(Tape *t, Ref outer)
{
    Level *l = t->l;
    Node type = l->up->bwd->node.at[outer];

    return leaf_like(t->body, OP_STEP, operand(l->arena, &t->step, outer), &type, AX(l->info.axis));
}

static Ref capture_leaf(Tape *t, Ref outer)
{
    Level *l = t->l;
    Node type = l->up->bwd->node.at[outer];

    return leaf_like(t->body, OP_CAPTURE, operand(l->arena, &t->capture, outer), &type, 0);
}

static Ref carry_before(Tape *t, Ref v)
{
    Level *l = t->l;
    uint32_t k = l->fwd->node.at[v].attr;
    Ref stack = stack_of(l, l->fwd->root.at[k].ref);
    Ref before = g_shift(l->up->fwd, stack, l->info.init[k], l->info.axis, l->info.reverse ? -1 : 1);

    return step_leaf(t, need(l->up, before));
}

static Ref make(Tape *t, Ref v)
{
    Level *l = t->l;
    Node n = l->fwd->node.at[v];
    const Ref *in;
    uint32_t count;

    if (t->made[v]) return t->made[v];
    if (made_again(&n)) t->made[v] = graph_copy_node(t->body, l->fwd, v, t->made);
    else if (n.op == OP_CAPTURE) t->made[v] = capture_leaf(t, need(l->up, l->info.capture[n.attr]));
    else if (n.op == OP_STEP) t->made[v] = step_leaf(t, need(l->up, l->info.step[n.attr]));
    else if (n.op == OP_CARRY) t->made[v] = carry_before(t, v);
    else if (t->stacked[v]) t->made[v] = step_leaf(t, need(l->up, stack_of(l, v)));
    else {
        count = node_inputs(l->fwd, v, &in);
        for (uint32_t i = 0; i < count; i++) make(t, in[i]);
        t->made[v] = graph_copy_node(t->body, l->fwd, v, t->made);
    }
    return t->made[v];
}

/* The draft becomes the body: its leaves get their places among the operands of the adjoint scan. */
static void finish_body(Tape *t)
{
    Level *l = t->l;
    Graph *draft = l->bwd;
    uint8_t *live = NEW_N(l->arena, uint8_t, draft->node.n);
    Ref *map = NEW_N(l->arena, Ref, draft->node.n);

    mark_live(draft, live);
    for (Ref r = 1; r < draft->node.n; r++)
        if (live[r] && draft->node.at[r].op == OP_STEP && l->leaf.at[draft->node.at[r].attr].kind == LEAF_NEED)
            t->wanted[l->leaf.at[draft->node.at[r].attr].ref] = 1;
    plan_tape(t);
    for (Ref r = 1; r < draft->node.n; r++) {
        const TapeLeaf *leaf;
        if (!live[r]) continue;
        if (draft->node.at[r].op != OP_STEP) {
            map[r] = graph_copy_node(t->body, draft, r, map);
            continue;
        }
        leaf = &l->leaf.at[draft->node.at[r].attr];
        if (leaf->kind == LEAF_NEED) map[r] = make(t, leaf->ref);
        else map[r] = leaf->kind == LEAF_STEP ? step_leaf(t, leaf->ref) : capture_leaf(t, leaf->ref);
    }
    for (uint32_t i = 0; i < draft->root.n; i++) {
        Root root = draft->root.at[i];
        graph_root(t->body, (RootKind)root.kind, root.name, map[root.ref], root.index);
    }
}

/* ---- seeds ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Ref *last; /* by carry: adjoint of its final value, in up->bwd; 0: none */
    bool guarded; /* a seed came through a select */
    uint32_t *place; /* by carry: 1 + its place among the carries of the adjoint scan; 0: its adjoint is nothing */
    uint32_t ncarry;
} Seeds;

/* The root that out r reads, if the out has an adjoint. */
static const Root *seeded(const Level *l, Ref r)
{
    const Level *up = l->up;
    const Node *n = &up->fwd->node.at[r];

    if (n->op != OP_OUT || n->in[0] != l->scan || !up->adj[r]) return NULL;
    return &l->fwd->root.at[l->info.ncarry + n->attr];
}

/* Which carries have an adjoint: those read on a path to a seed, through other such carries too. */
static void find_carries(Level *l, Seeds *s)
{
    const Graph *g = l->fwd;
    uint8_t *live = NEW_N(l->arena, uint8_t, l->n0);
    bool *on = NEW_N(l->arena, bool, l->info.ncarry + 1), changed = true;
    const Root *root;

    for (Ref r = l->scan + 1; r < l->up->n0; r++)
        if ((root = seeded(l, r)) != NULL && root->kind != ROOT_LAST) live[root->ref] = 1;
    for (uint32_t k = 0; k < l->info.ncarry; k++) on[k] = s->last[k] != 0;
    while (changed) {
        changed = false;
        for (uint32_t k = 0; k < l->info.ncarry; k++)
            if (on[k]) live[g->root.at[k].ref] = 1;
        for (Ref r = l->n0 - 1; r > 0; r--) {
            const Node *n = &g->node.at[r];
            const Ref *in;
            uint32_t count = live[r] && l->act->node[r] ? node_inputs(g, r, &in) : 0;
            for (uint32_t i = 0; i < count; i++) live[in[i]] = 1;
            if (n->op != OP_CARRY || !live[r] || !l->act->node[r] || on[n->attr]) continue;
            on[n->attr] = changed = true;
        }
    }
    for (uint32_t k = 0; k < l->info.ncarry; k++) {
        bool active = l->up->act->node[l->info.init[k]] || l->act->node[g->root.at[k].ref];
        if (on[k] && active && l->up->fwd->node.at[l->info.init[k]].dtype == DT_F) s->place[k] = ++s->ncarry;
    }
}

static void seed_outs(Level *l, Seeds *s)
{
    const Level *up = l->up;
    const Root *root;

    for (Ref r = l->scan + 1; r < up->n0; r++) {
        Node out = up->fwd->node.at[r], type;
        bool steps;
        if (!(root = seeded(l, r))) continue;
        s->guarded |= up->guard[r];
        if (root->kind == ROOT_LAST) {
            Ref *last = &s->last[root->index];
            *last = *last ? g_bin(up->bwd, OP_ADD, *last, up->adj[r]) : up->adj[r];
            continue;
        }
        type = up->bwd->node.at[up->adj[r]];
        steps = root->kind == ROOT_STACK && (type.axes & AX(l->info.axis));
        adj_add(l, root->ref, draft_leaf(l, steps ? LEAF_STEP : LEAF_CAPTURE, up->adj[r], &type, steps ? AX(l->info.axis) : 0),
                out.axes & ~AX(l->info.axis), &out, up->guard[r]);
    }
}

/* Carries a_k of the adjoint, seeded into next_k. An adjoint that went through a select once is guarded ever after. */
static void seed_carries(Level *l, const Seeds *s)
{
    bool guarded = s->guarded;

    for (Ref r = 1; r < l->n0; r++) guarded |= l->fwd->node.at[r].op == OP_SELECT;
    for (uint32_t k = 0; k < l->info.ncarry; k++) {
        Node type = l->up->fwd->node.at[l->info.init[k]];
        if (s->place[k])
            adj_add(l, l->fwd->root.at[k].ref, leaf_like(l->bwd, OP_CARRY, s->place[k] - 1, &type, 0), type.axes, &type, guarded);
    }
}

/* ---- the adjoint scan ------------------------------------------------------------------------------------------------------ */

static Ref find_leaf(const Level *l, Op op, uint32_t index)
{
    for (Ref r = 1; r < l->n0; r++)
        if (l->fwd->node.at[r].op == op && l->fwd->node.at[r].attr == index) return r;
    return 0;
}

/* Roots of the draft: nexts, then stacks, sums and lasts; out[i] gets 1 + out index of operand i (in the order of the scan). */
static void draft_roots(Level *l, const Seeds *s, uint32_t *out)
{
    const ScanInfo *f = &l->info;
    uint32_t n = 0;
    Ref r;

    for (uint32_t k = 0; k < f->ncarry; k++) {
        Node type = l->up->fwd->node.at[f->init[k]];
        if (!s->place[k]) continue;
        r = find_leaf(l, OP_CARRY, k);
        r = r && l->adj[r] ? widen(l->bwd, l->adj[r], &type) : splat(l->bwd, 0, &type);
        graph_root(l->bwd, ROOT_NEXT, 0, r, s->place[k] - 1);
    }
    for (uint32_t i = 0; i < f->nstep + f->ncapture; i++) {
        bool step = i < f->nstep;
        r = find_leaf(l, step ? OP_STEP : OP_CAPTURE, step ? i : i - f->nstep);
        if (!r || !l->act->node[r] || !l->adj[r]) continue;
        if (!step && l->fwd->module->axis[f->axis].ragged) /* each example sums its own steps */
            l->adj[r] = g_expand_axes(l->bwd, l->adj[r], l->fwd->node.at[r].axes & AX(AXIS_B));
        graph_root(l->bwd, step ? ROOT_STACK : ROOT_SUM, 0, l->adj[r], 0);
        out[f->ncarry + i] = ++n;
    }
    for (uint32_t k = 0; k < f->ncarry; k++) {
        if (!s->place[k] || !l->up->act->node[f->init[k]]) continue;
        graph_root(l->bwd, ROOT_LAST, 0, 0, s->place[k] - 1);
        out[k] = ++n;
    }
}

static Ref emit_scan(Tape *t, const Seeds *s)
{
    Level *l = t->l;
    Graph *g = l->up->bwd;
    Ref *init = NEW_N(l->arena, Ref, s->ncarry + 1);

    for (uint32_t k = 0; k < l->info.ncarry; k++) {
        Node type = l->up->fwd->node.at[l->info.init[k]];
        if (s->place[k]) init[s->place[k] - 1] = s->last[k] ? widen(g, s->last[k], &type) : splat(g, 0, &type);
    }
    return g_scan(g, l->info.axis, !l->info.reverse, t->body->index, init, s->ncarry, t->step.at, t->step.n, t->capture.at,
                  t->capture.n);
}

/* What the adjoint scan yields goes to the operands of S. */
static void give_operands(Level *l, Ref scan, const uint32_t *out, bool guarded)
{
    Level *up = l->up;
    const ScanInfo *f = &l->info;
    uint32_t n;
    const Ref *in = node_ext(up->fwd, l->scan, &n);

    for (uint32_t i = 0; i < n; i++) {
        Node x = up->fwd->node.at[in[i]];
        Ref v;
        if (!out[i]) continue;
        v = g_out(up->bwd, scan, out[i] - 1);
        adj_add(up, in[i], v, x.axes | (i < f->ncarry + f->nstep ? 0 : up->bwd->node.at[v].axes), &x, guarded);
    }
}

void back_scan(Level *up, Ref r)
{
    Module *m = up->fwd->module;
    Arena *a = up->arena;
    Level l = {.arena = a, .up = up, .scan = r, .info = scan_info(up->fwd, r), .act = up->act->body[r], .keep = up->keep};
    Tape t = {.l = &l};
    Seeds s = {0};
    uint32_t *out;
    bool guarded;

    if (!l.act) return;
    l.fwd = m->graph.at[l.info.body];
    l.n0 = l.fwd->node.n;
    l.bwd = module_add_graph(m);
    l.bits = finite_bits(a, l.fwd);
    l.adj = NEW_N(a, Ref, l.n0);
    l.guard = NEW_N(a, uint8_t, l.n0);
    s.last = NEW_N(a, Ref, l.info.ncarry + 1);
    s.place = NEW_N(a, uint32_t, l.info.ncarry + 1);
    out = NEW_N(a, uint32_t, l.info.ncarry + l.info.nstep + l.info.ncapture + 1);
    seed_outs(&l, &s);
    find_carries(&l, &s);
    seed_carries(&l, &s);
    level_sweep(&l);
    draft_roots(&l, &s, out);
    if (!l.bwd->root.n) return;
    t.body = module_add_graph(m);
    t.wanted = NEW_N(a, uint8_t, l.fwd->node.n);
    t.stacked = NEW_N(a, uint8_t, l.fwd->node.n);
    t.there = NEW_N(a, uint8_t, l.fwd->node.n);
    t.made = NEW_N(a, Ref, l.fwd->node.n);
    finish_body(&t);
    guarded = s.guarded;
    for (Ref i = 1; i < l.n0; i++) guarded |= l.guard[i];
    give_operands(&l, emit_scan(&t, &s), out, guarded);
}
