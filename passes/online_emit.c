/* online_emit: the scan that carries influences, and what stands around it. See online.c; online_rows.c and online_full.c have the
   influences.
   The gradient of a step's loss by a unit is the sum over the states of their adjoints times their influences. It is summed over the
   steps as it stands, over examples within the step where no axis is ragged, and brought to the shape of the unit behind the loop.
   What a step's loss reads by way of no next state is differentiated directly. */
#include <string.h>

#include "passes/online.h"
#include "passes/rewrite.h"

Graph *online_outer(Online *o)
{
    return o->up->bwd;
}

Ref online_capture(Online *o, Ref v)
{
    Node type = online_outer(o)->node.at[v];
    uint32_t i = 0;

    while (i < o->capture.n && o->capture.at[i] != v) i++;
    if (i == o->capture.n) VEC_PUSH(o->arena, o->capture) = v;
    return leaf_like(o->body, OP_CAPTURE, i, &type, 0);
}

static uint32_t add_carry(Online *o, const Node *type, Ref init)
{
    uint32_t k = o->init.n;

    VEC_PUSH(o->arena, o->carry) = leaf_like(o->body, OP_CARRY, k, type, 0);
    VEC_PUSH(o->arena, o->next) = 0;
    VEC_PUSH(o->arena, o->init) = widen(online_outer(o), init, type);
    return k;
}

static void set_next(Online *o, uint32_t k, Ref v)
{
    Node type = o->body->node.at[o->carry.at[k - o->info.ncarry]];

    o->next.at[k - o->info.ncarry] = widen(o->body, v, &type);
}

void online_start(Online *o, Influence *x, const Node *type, Ref init, const OnlineState *of)
{
    Module *m = o->body->module;
    State st = {.dtype = DT_F, .rank = type->rank, .dim = {type->dim[0], type->dim[1], type->dim[2]}, .axes = type->axes};

    x->lasts = of && o->up->options->influence != INFLUENCE_INSIDE && of->carry < o->info.ncarry && o->lasting[of->carry];
    if (x->lasts) {
        st.name = intern(m->ctx, arena_printf(o->arena, "influence %u", o->given.n)); /* no name that a model can have */
        if (o->up->options->influence == INFLUENCE_IN_OUT) {
            st.input = 1 + module_add_input(m, INPUT_STATE, st.name, DT_F, st.rank, st.dim, st.axes);
            init = g_input(online_outer(o), st.input - 1);
        }
        x->state = m->state.n;
        VEC_PUSH(m->arena, m->state) = st;
        VEC_PUSH(o->arena, o->given) = x;
    }
    x->carry = add_carry(o, type, init);
    x->leaf = o->carry.at[x->carry - o->info.ncarry];
}

void online_next(Online *o, Influence *x, Ref v)
{
    set_next(o, x->carry, v);
    x->next = o->next.at[x->carry - o->info.ncarry];
}

uint32_t online_out(Online *o, RootKind kind, Ref ref, uint32_t index)
{
    VEC_PUSH(o->arena, o->out) = (Root){.kind = (uint8_t)kind, .ref = ref, .index = index};
    return o->out.n; /* 1 + its place */
}

Ref online_flatten(Graph *g, Ref v, int64_t n)
{
    int32_t dim = (int32_t)n;

    if (!v || (g->node.at[v].rank == 1 && g->node.at[v].dim[0] == dim)) return v;
    if (g->node.at[v].rank == 0) return g_expand(g, v, 1, &dim, (const int32_t[]){-1, -1, -1}, 0);
    return g_reshape(g, v, 1, &dim);
}

Ref online_plus(Graph *g, Ref a, Ref b)
{
    return a && b ? g_bin(g, OP_ADD, a, b) : a ? a : b;
}

/* Summed over all axes but those in `keep`. */
Ref online_sum_all_but(Graph *g, Ref v, uint32_t keep)
{
    uint32_t axes = v ? g->node.at[v].axes & ~keep : 0;

    return axes ? g_sum(g, v, axes, 0) : v;
}

void online_give(Online *o, const Unit *u, Ref v)
{
    Node type = u->type;

    if (v) adj_add(o->up, u->outer, v, online_outer(o)->node.at[v].axes, &type, false);
}

/* ---- the step's loss, backwards as far as the next states --------------------------------------------------------------------------- */

static bool depends_on(const Graph *g, Ref v, Ref on)
{
    uint8_t *mark = NEW_N(g->module->arena, uint8_t, v + 1);

    mark[v] = 1;
    for (Ref r = v; r > on; r--) {
        const Ref *in;
        uint32_t n = mark[r] ? node_inputs(g, r, &in) : 0;
        for (uint32_t i = 0; i < n; i++) mark[in[i]] = 1;
    }
    return v >= on && mark[on];
}

static void seed_sum(Online *o, Level *l, Ref out, const Root *root)
{
    Level *up = o->up;
    Node type = up->fwd->node.at[out];

    adj_add(l, o->map[root->ref], online_capture(o, up->adj[out]), type.axes, &type, up->guard[out]);
}

/* Sums whose adjoint is known before the loop are swept; others have become states (find_accumulators). */
static void sweep_back(Online *o, Level *l)
{
    uint8_t *cut = NEW_N(o->arena, uint8_t, o->body->node.n + 1);

    for (Ref r = o->scan + 1; r < o->up->n0; r++) {
        const Node *n = &o->up->fwd->node.at[r];
        const Root *root;
        if (n->op != OP_OUT || n->in[0] != o->scan || !o->up->adj[r]) continue;
        root = &o->src->root.at[o->info.ncarry + n->attr];
        if (root->kind == ROOT_SUM && !o->accumulator[n->attr]) seed_sum(o, l, r, root);
    }
    for (uint32_t s = 0; s < o->nstate; s++)
        if (op_info[o->body->node.at[o->state[s].next].op].cls != OPC_LEAF) cut[o->state[s].next] = 1;
    l->cut = cut;
    level_sweep(l);
    for (uint32_t s = 0; s < o->nstate; s++) {
        OnlineState *x = &o->state[s];
        bool taken = false; /* two states with one next: its adjoint counts once */
        for (uint32_t k = 0; k < s; k++) taken |= o->state[k].next == x->next;
        if (cut[x->next] && !taken) x->after = l->adj[x->next];
        if (x->leaf && x->leaf < l->n0) x->before = l->adj[x->leaf];
    }
}

static void final_adjoints(Online *o)
{
    for (Ref r = o->scan + 1; r < o->up->n0; r++) {
        const Node *n = &o->up->fwd->node.at[r];
        Root root;
        if (n->op != OP_OUT || n->in[0] != o->scan || !o->up->adj[r]) continue;
        root = o->src->root.at[o->info.ncarry + n->attr];
        if (root.kind == ROOT_SUM && o->accumulator[n->attr]) root.index = o->accumulator[n->attr] - 1;
        else if (root.kind != ROOT_LAST) continue;
        for (uint32_t s = 0; s < o->nstate; s++)
            if (o->state[s].carry == root.index) o->state[s].last = online_plus(online_outer(o), o->state[s].last, o->up->adj[r]);
    }
}

/* ---- the scan --------------------------------------------------------------------------------------------------------------------------------- */

static void copy_scan(Online *o)
{
    const ScanInfo *s = &o->info;

    o->body = module_add_graph(o->src->module);
    o->map = NEW_N(o->arena, Ref, o->src->node.n + 1);
    for (Ref r = 1; r < o->src->node.n; r++) o->map[r] = copy_with_body(o->body, o->src, r, o->map);
    for (uint32_t k = 0; k < s->ncarry; k++) VEC_PUSH(o->arena, o->init) = s->init[k];
    for (uint32_t k = 0; k < s->ncapture; k++) VEC_PUSH(o->arena, o->capture) = s->capture[k];
}

/* Sums over the steps whose adjoint is only known after the loop become states; the others are linear in the loss. */
static void find_accumulators(Online *o)
{
    o->accumulator = NEW_N(o->arena, uint32_t, o->src->root.n + 1);
    for (Ref r = o->scan + 1; r < o->up->n0; r++) {
        Node n = o->up->fwd->node.at[r], type;
        const Root *root;
        uint32_t k;
        if (n.op != OP_OUT || n.in[0] != o->scan || !o->up->adj[r]) continue;
        root = &o->src->root.at[o->info.ncarry + n.attr];
        if (root->kind != ROOT_SUM || !depends_on(online_outer(o), o->up->adj[r], o->scan)) continue;
        type = n;
        if (o->ragged) type.axes |= AX(AXIS_B);
        k = add_carry(o, &type, g_const(online_outer(o), 0));
        set_next(o, k, g_bin(o->body, OP_ADD, o->carry.at[k - o->info.ncarry], o->map[root->ref]));
        o->accumulator[n.attr] = 1 + k;
    }
}

static void body_activity(Online *o)
{
    const ScanInfo *s = &o->info;
    const uint8_t *on = o->up->act->node;
    uint32_t n = o->init.n;
    uint8_t *carry = NEW_N(o->arena, uint8_t, n + 1), *step = NEW_N(o->arena, uint8_t, s->nstep + 1);
    uint8_t *capture = NEW_N(o->arena, uint8_t, s->ncapture + 1);
    bool grown = true;

    for (uint32_t i = 0; i < s->ncarry; i++) carry[i] = on[s->init[i]];
    for (uint32_t i = 0; i < s->nstep; i++) step[i] = on[s->step[i]];
    for (uint32_t i = 0; i < s->ncapture; i++) capture[i] = on[s->capture[i]];
    while (grown) {
        grown = false;
        o->act = graph_activity(o->arena, o->body, NULL, NULL, carry, step, capture);
        for (uint32_t i = 0; i < n; i++) {
            Ref next = i < s->ncarry ? o->map[o->src->root.at[i].ref] : o->next.at[i - s->ncarry];
            if (carry[i] || !o->act->node[next]) continue;
            carry[i] = 1;
            grown = true;
        }
    }
}

static void original_outs(Online *o)
{
    for (uint32_t i = o->info.ncarry; i < o->src->root.n; i++) {
        Root x = o->src->root.at[i];
        uint32_t acc = o->accumulator[i - o->info.ncarry];
        x.ref = o->map[x.ref];
        if (acc) x = (Root){.kind = ROOT_LAST, .index = acc - 1};
        VEC_PUSH(o->arena, o->out) = x;
    }
}

/* Gradients of a step by way of no state: parameters of what reads it. */
typedef struct {
    uint32_t capture, out;
} Direct;

static Direct *direct_gradients(Online *o, const Level *l, uint32_t *n)
{
    Direct *d = NEW_N(o->arena, Direct, o->info.ncapture + 1);

    *n = 0;
    for (Ref r = 1; r < l->n0; r++) {
        const Node *x = &o->body->node.at[r];
        Ref v = x->op == OP_CAPTURE && l->act->node[r] ? l->adj[r] : 0;
        if (!v) continue;
        v = g_expand_axes(o->body, v, o->body->node.at[r].axes & ~o->body->node.at[v].axes);
        d[*n].capture = o->body->node.at[r].attr;
        d[(*n)++].out = online_out(o, ROOT_SUM, v, 0);
    }
    return d;
}

/* The value outside that node r of the body always is; 0: none. */
static Ref invariant(Online *o, const Graph *body, Ref r, const Ref *out)
{
    const Node *n = &body->node.at[r];
    const Ref *in;
    uint32_t count = node_inputs(body, r, &in);

    if (n->op == OP_CAPTURE) return o->capture.at[n->attr];
    if (n->op == OP_CARRY || n->op == OP_STEP || n->op == OP_NOISE || n->op == OP_SCAN || n->op == OP_OUT) return 0;
    if (n->op == OP_IOTA && n->attr == 1 + o->info.axis) return 0;
    for (uint32_t i = 0; i < count; i++)
        if (!out[in[i]]) return 0;
    return graph_copy_node(online_outer(o), body, r, out);
}

/* What the sweeps have made of values that the loop does not change goes before it: in the body it would keep threads waiting for
   each other in every step. */
static void hoist(Online *o, uint32_t index)
{
    Module *m = o->src->module;
    const Graph *src = m->graph.at[index];
    Graph *dst = module_add_graph(m);
    Ref *out = NEW_N(o->arena, Ref, src->node.n + 1), *map = NEW_N(o->arena, Ref, src->node.n + 1);

    for (Ref r = 1; r < src->node.n; r++) {
        bool leaf = op_info[src->node.at[r].op].cls == OPC_LEAF;
        out[r] = invariant(o, src, r, out);
        if (out[r] && !leaf) {
            Node type = online_outer(o)->node.at[out[r]];
            uint32_t i = 0;
            while (i < o->capture.n && o->capture.at[i] != out[r]) i++;
            if (i == o->capture.n) VEC_PUSH(o->arena, o->capture) = out[r];
            map[r] = leaf_like(dst, OP_CAPTURE, i, &type, 0);
        } else {
            map[r] = graph_copy_node(dst, src, r, map);
        }
    }
    replace_graph(m, index, dst, map);
}

static Ref close_scan(Online *o)
{
    const ScanInfo *s = &o->info;
    uint32_t body = o->body->index;

    for (uint32_t k = 0; k < s->ncarry; k++) graph_root(o->body, ROOT_NEXT, o->src->root.at[k].name, o->map[o->src->root.at[k].ref], k);
    for (uint32_t k = 0; k < o->next.n; k++) graph_root(o->body, ROOT_NEXT, 0, o->next.at[k], s->ncarry + k);
    for (uint32_t i = 0; i < o->out.n; i++)
        graph_root(o->body, (RootKind)o->out.at[i].kind, o->out.at[i].name, o->out.at[i].ref, o->out.at[i].index);
    substitute_scans(&(Forward){.l = {.fwd = o->body, .n0 = o->n0}, .subst = o->subst}, NULL);
    hoist(o, body);
    return g_scan(online_outer(o), s->axis, false, body, o->init.at, o->init.n, s->step, s->nstep, o->capture.at, o->capture.n);
}

void online_emit(Online *o)
{
    Level l = {.arena = o->arena, .fwd = o->body, .bwd = o->body, .n0 = o->n0, .act = o->act};
    Direct *direct;
    uint32_t n;
    Ref scan, *c;

    l.adj = NEW_N(o->arena, Ref, o->n0);
    l.guard = NEW_N(o->arena, uint8_t, o->n0);
    l.bits = finite_bits(o->arena, o->body);
    l.keep = AX(AXIS_B); /* each example has its own sum over the steps: no thread waits for another */
    original_outs(o);
    sweep_back(o, &l);
    final_adjoints(o);
    direct = direct_gradients(o, &l, &n);
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (!o->unit.at[i].full) online_start_rows(o, &o->unit.at[i]);
    for (int d = 0; d < 2; d++) online_start_full(o, &o->full[d]);
    c = online_coefficients(o);
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (!o->unit.at[i].full) online_step_rows(o, &o->unit.at[i], c);
    for (int d = 0; d < 2; d++) online_step_full(o, &o->full[d]);
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (!o->unit.at[i].full) online_sum_rows(o, &o->unit.at[i]);
    for (int d = 0; d < 2; d++) online_sum_full(o, &o->full[d]);
    scan = close_scan(o);
    if (!scan) diag_error(o->body->module->ctx, 999, (Span){0, 0}, "the scan that carries gradients forward has no type");
    o->up->subst[o->scan] = scan;
    for (uint32_t i = 0; i < n; i++) {
        Ref v = g_out(online_outer(o), scan, direct[i].out - 1), q = o->info.capture[direct[i].capture];
        Node type = o->up->fwd->node.at[q];
        adj_add(o->up, q, v, online_outer(o)->node.at[v].axes, &type, false);
    }
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (!o->unit.at[i].full) online_give_rows(o, &o->unit.at[i], scan);
    online_give_full(o, scan);
    for (uint32_t i = 0; i < o->given.n; i++) {
        const Influence *x = o->given.at[i];
        graph_root(online_outer(o), ROOT_FINAL, o->body->module->state.at[x->state].name, g_out(online_outer(o), scan, x->last - 1),
                   x->state);
    }
}

/* The carries whose final values are states of the model. */
static void find_lasting(Online *o)
{
    const Graph *g = o->up->fwd;

    o->lasting = NEW_N(o->arena, bool, o->info.ncarry + 1);
    for (uint32_t i = 0; i < g->root.n; i++) {
        const Node *n = &g->node.at[g->root.at[i].ref];
        const Root *x;
        if (g->root.at[i].kind != ROOT_FINAL || n->op != OP_OUT || n->in[0] != o->scan) continue;
        x = &o->src->root.at[o->info.ncarry + n->attr];
        if (x->kind == ROOT_LAST) o->lasting[x->index] = true;
    }
}

/* ---- what it takes ---------------------------------------------------------------------------------------------------------------- */

static void put_unit(Str *s, const Online *o, const Unit *u, bool first)
{
    const Module *m = o->body->module;
    const Node *n = &o->up->fwd->node.at[u->outer];
    Name name = n->op == OP_PARAM ? m->param.at[n->attr].name : n->op == OP_INPUT ? m->input.at[n->attr].name : n->name;

    str_printf(s, "%s%s%s", first ? "" : " ", u->use == USE_INIT ? "the start of " : "", name ? name_str(m->ctx, name) : "a value");
}

static bool touches(const Online *o, const Unit *u)
{
    for (uint32_t b = 0; b < u->blocks; b++)
        for (uint32_t k = 0; k < o->nstate; k++)
            if (u->on[b][k].on) return true;
    return false;
}

static void add_rows(const Online *o, const Unit *u, int64_t *numbers, int64_t *work)
{
    for (uint32_t b = 0; b < u->blocks; b++)
        for (uint32_t k = 0; k < o->nstate; k++) {
            int64_t size = u->on[b][k].on ? u->U * o->state[k].size : 0;
            *numbers += size;
            *work += (u->nbase + 1) * size;
            for (uint32_t f = 0; f < o->nstate; f++)
                if (o->edge[k * o->nstate + f] && u->on[b][f].on) *work += size;
        }
}

static void note_rows(const Online *o, Str *s)
{
    int64_t numbers = 0, work = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < o->unit.n; i++) {
        const Unit *u = &o->unit.at[i];
        if (u->full || !touches(o, u)) continue;
        if (!n) str_printf(s, "gradient %s: influence of ", gradient_name[o->up->online]);
        put_unit(s, o, u, n++ == 0);
        add_rows(o, u, &numbers, &work);
    }
    if (n)
        str_printf(s, ": in rows, %lld numbers an example, %lld multiply-adds an example and step\n", (long long)numbers, (long long)work);
}

static void note_full(const Online *o, const FullGroup *d, Str *s)
{
    int64_t size = 0;
    uint32_t n = 0;

    if (!d->axis) return;
    for (uint32_t k = 0; k < o->nstate; k++) size += o->state[k].size;
    str_printf(s, "gradient %s: influence of ", gradient_name[o->up->online]);
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (o->unit.at[i].full && d == &o->full[o->unit.at[i].use == USE_INIT]) put_unit(s, o, &o->unit.at[i], n++ == 0);
    str_printf(s, ": as a whole, %lld directions of %lld elements of states: %lld numbers an example, each step for every direction\n",
               (long long)d->directions, (long long)size, (long long)(d->directions * size));
}

void online_scan(Level *up, Ref r)
{
    Arena *a = up->arena;
    Online o = {.up = up, .arena = a, .scan = r, .info = scan_info(up->fwd, r), .snap = up->online == GRADIENT_SNAP1};
    const Ref *in;
    uint32_t n = node_inputs(up->fwd, r, &in);

    o.ragged = up->fwd->module->axis[o.info.axis].ragged;
    o.src = up->fwd->module->graph.at[o.info.body];
    o.info.init = memcpy(NEW_N(a, Ref, n + 1), in, n * sizeof *in); /* the list moves when operands are added */
    o.info.step = o.info.init + o.info.ncarry;
    o.info.capture = o.info.step + o.info.nstep;
    find_lasting(&o);
    copy_scan(&o);
    find_accumulators(&o);
    o.n0 = o.body->node.n;
    o.subst = NEW_N(a, Ref, o.n0);
    body_activity(&o);
    if (!online_plan(&o)) return;
    online_emit(&o);
    if (o.inexact && up->options->inexact) *up->options->inexact = true;
    if (!up->options->explain) return;
    note_rows(&o, up->options->explain);
    for (int d = 0; d < 2; d++) note_full(&o, &o.full[d], up->options->explain);
    if (o.inexact) str_put(up->options->explain, "gradient snap1: what passes between different elements of states is left out\n");
}
