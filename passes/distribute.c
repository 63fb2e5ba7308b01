/* distribute: what does not recur leaves the loop of its scan.
   before:  scan(h) { P = W x[t]; h' = tanh(P + U h); y = V h'; sum dW: dot(dz, x[t]) }
   after:   P = W x;  scan(h) { h' = tanh(P[t] + U h) };  y = V h';  dW = dot(dz, x) over T and B
   Products are the seeds: those without a carry beneath go before the loop, those that no next needs go after it, sums of
   products over the steps become one product; invariants leave the loop. Elementwise work only goes along, but a scan without
   carries is no loop at all and dissolves.
   relies on: a body refers to outer values only through its leaves; rows of a product are independent; padded rows are left
   out by definition; nothing that depends on a carry (through nested bodies too) moves before the loop. */
#include "passes/distribute.h"

#include <string.h>

#include "passes/rewrite.h"

static void rebuild(Module *m, const Graph *src, Graph *dst, int depth, Ref *map);

static const Node *at(const Split *s, Ref r)
{
    return &s->g->node.at[r];
}

/* ---- values of the body, in the host ------------------------------------------------------------------------------------------ */

/* Node r with operands that may have gained the axis; what it keeps, it keeps for all steps. */
static Ref lift_node(Split *s, Ref r, const Ref *map)
{
    const Node *n = at(s, r);
    const uint32_t *w = node_attr(s->g, r);
    Graph *h = s->host;
    uint32_t axes = 0;
    uint8_t label[3][3];

    h->span = n->span;
    h->name = n->name;
    if (n->op != OP_DOT && n->op != OP_SCATTER_ADD) return graph_copy_node(h, s->g, r, map);
    for (int i = 0; i < 2 && s->vary[r]; i++) axes |= h->node.at[map[n->in[i]]].axes & AX(s->axis);
    if (n->op == OP_SCATTER_ADD) return g_scatter_add(h, map[n->in[0]], map[n->in[1]], (int32_t)w[0], w[1] | axes);
    for (int i = 0; i < 9; i++) label[i / 3][i % 3] = (uint8_t)w[i];
    return g_dot(h, map[n->in[0]], map[n->in[1]], label[0], label[1], label[2], w[9] | axes);
}

static Ref lift_leaf(Split *s, Ref r)
{
    const Node *n = at(s, r);
    Graph *h = s->host;

    if (n->op == OP_STEP) return s->step[n->attr];
    if (n->op == OP_CAPTURE) return s->capture[n->attr];
    if (n->op == OP_IOTA && s->vary[r]) return g_iota_axis(h, s->axis, false);
    if (n->op == OP_NOISE && s->vary[r]) {
        const uint32_t *w = node_attr(s->g, r);
        return g_noise(h, (NoiseKind)w[0], w[1], w[2], n->rank, n->dim, n->axes | AX(s->axis));
    }
    return graph_copy_node(h, s->g, r, NULL);
}

/* A value without a carry beneath, of all steps at once. */
static Ref host_before(Split *s, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(s->g, r, &in);

    if (s->pre[r]) return s->pre[r];
    if (op_info[at(s, r)->op].cls == OPC_LEAF) {
        s->pre[r] = lift_leaf(s, r);
        return s->pre[r];
    }
    for (uint32_t i = 0; i < n; i++) host_before(s, in[i]);
    s->pre[r] = lift_node(s, r, s->pre);
    return s->pre[r];
}

static Ref with_steps(Split *s, Ref v, Ref r)
{
    Node type = *at(s, r);

    type.axes |= AX(s->axis);
    return widen(s->host, v, &type);
}

/* The carry before each step: the stack of its next, one step later, beginning with the initial value. */
static Ref carries(Split *s, Ref r)
{
    uint32_t k = at(s, r)->attr;
    Ref v = with_steps(s, host_after(s, s->g->root.at[k].ref), r);

    return g_shift(s->host, v, s->init[k], s->axis, s->reverse ? -1 : 1);
}

Ref host_after(Split *s, Ref r)
{
    const Ref *in;
    uint32_t n;
    Ref v;

    if (s->post[r]) return s->post[r];
    if (s->stacked[r]) {
        s->host->span = at(s, r)->span;
        s->host->name = at(s, r)->name;
        v = g_out(s->host, s->scan, body_out(s->body, ROOT_STACK, s->in[r], 0));
    } else if (at(s, r)->op == OP_CARRY) {
        v = carries(s, r);
    } else if (!s->vary[r] || s->where[r] == PRE || op_info[at(s, r)->op].cls == OPC_LEAF) {
        v = host_before(s, r);
    } else {
        n = node_inputs(s->g, r, &in);
        for (uint32_t i = 0; i < n; i++) host_after(s, in[i]);
        v = lift_node(s, r, s->post);
    }
    if (s->vary[r]) v = with_steps(s, v, r);
    s->post[r] = v;
    return v;
}

/* ---- the new body ---------------------------------------------------------------------------------------------------------------- */

static Ref operand_leaf(Split *s, Ref outer, bool step)
{
    RefVec *list = step ? &s->new_step : &s->new_capture;
    Node type = s->host->node.at[outer];
    uint32_t i = 0;

    while (i < list->n && list->at[i] != outer) i++;
    if (i == list->n) VEC_PUSH(s->a, *list) = outer;
    return leaf_like(s->body, step ? OP_STEP : OP_CAPTURE, i, &type, step ? AX(s->axis) : 0);
}

/* Invariants worth a capture: not what is free to make again inside. */
static bool hoisted(const Split *s, Ref r)
{
    const Node *n = at(s, r);

    return !s->vary[r] && op_info[n->op].cls != OPC_LEAF && n->op != OP_EXPAND && n->op != OP_SCAN;
}

static bool enters(const Split *s, Ref r)
{
    return s->where[r] == PRE && !s->copied[r];
}

static void mark_body(const Split *s, uint8_t *need)
{
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!s->gone[k]) need[s->g->root.at[k].ref] = 1;
    for (Ref r = s->g->node.n - 1; r > 0; r--) {
        const Ref *in;
        uint32_t n;
        if (s->stacked[r]) need[r] = 1;
        if (s->summed[r]) need[split_summed(s, r)] = 1;
        if (!need[r] || hoisted(s, r) || enters(s, r)) continue;
        n = node_inputs(s->g, r, &in);
        for (uint32_t i = 0; i < n; i++) need[in[i]] = 1;
    }
}

static Ref body_node(Split *s, Ref r)
{
    const Node *n = at(s, r);

    s->body->span = n->span;
    s->body->name = n->name;
    if (n->op == OP_CARRY) return leaf_like(s->body, OP_CARRY, s->carry_to[n->attr], n, 0);
    if (n->op == OP_STEP) return operand_leaf(s, s->step[n->attr], true);
    if (n->op == OP_CAPTURE) return operand_leaf(s, s->capture[n->attr], false);
    if (hoisted(s, r)) return operand_leaf(s, host_before(s, r), false);
    if (enters(s, r)) {
        Ref v = host_before(s, r), x;
        x = operand_leaf(s, v, (s->host->node.at[v].axes & AX(s->axis)) != 0);
        return widen(s->body, x, n);
    }
    return graph_copy_node(s->body, s->g, r, s->in);
}

static void build_body(Split *s)
{
    uint8_t *need = NEW_N(s->a, uint8_t, s->g->node.n);
    uint32_t n = 0;

    for (uint32_t k = 0; k < s->ncarry; k++) s->carry_to[k] = s->gone[k] ? UINT32_MAX : n++;
    mark_body(s, need);
    for (Ref r = 1; r < s->g->node.n; r++)
        if (need[r]) s->in[r] = body_node(s, r);
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!s->gone[k]) graph_root(s->body, ROOT_NEXT, s->g->root.at[k].name, s->in[s->g->root.at[k].ref], s->carry_to[k]);
}

static void emit_scan(Split *s)
{
    Ref *init = NEW_N(s->a, Ref, s->ncarry + 1);
    uint32_t n = 0;

    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!s->gone[k]) init[n++] = s->init[k];
    s->scan = g_scan(s->host, s->axis, s->reverse, s->body->index, init, n, s->new_step.at, s->new_step.n, s->new_capture.at,
                     s->new_capture.n);
}

/* ---- sums that pose as carries ----------------------------------------------------------------------------------------------------- */

/* c' = c + X where nothing else reads c, and only its last value is wanted. */
static void find_sums(Split *s)
{
    const Graph *g = s->g;

    for (uint32_t k = 0; k < s->ncarry; k++) {
        Ref next = g->root.at[k].ref, carry = 0;
        const Node *n = &g->node.at[next];
        bool wanted = false;
        uint32_t uses = 0;
        if ((n->op != OP_ADD && n->op != OP_SUB) || n->dtype != DT_F) continue;
        for (int i = 0; i < (n->op == OP_ADD ? 2 : 1); i++)
            if (g->node.at[n->in[i]].op == OP_CARRY && g->node.at[n->in[i]].attr == k) carry = n->in[i];
        if (!carry || n->in[0] == n->in[1]) continue;
        s->term[k] = n->in[n->in[0] == carry ? 1 : 0];
        for (Ref r = 1; r < g->node.n; r++) {
            const Ref *in;
            uint32_t count = node_inputs(g, r, &in);
            for (uint32_t i = 0; i < count; i++) uses += in[i] == carry || in[i] == next;
        }
        for (uint32_t i = 0; i < g->root.n; i++) wanted |= i != k && (g->root.at[i].ref == next || g->root.at[i].ref == carry);
        if (s->ragged && !(g->node.at[s->term[k]].axes & AX(AXIS_B))) wanted = true;
        if (uses != 1 || wanted) continue;
        s->gone[k] = 1;
        s->sign[k] = n->op == OP_ADD ? 1 : -1;
    }
}

/* ---- one scan ------------------------------------------------------------------------------------------------------------------------ */

static Ref new_out(Split *s, const Root *x)
{
    uint32_t k = x->index;
    Node type;
    Ref v;

    if (x->kind == ROOT_LAST && !s->gone[k]) return g_out(s->host, s->scan, body_out(s->body, ROOT_LAST, 0, s->carry_to[k]));
    if (x->kind == ROOT_LAST) {
        type = s->host->node.at[s->init[k]];
        v = widen(s->host, split_sum(s, s->term[k]), &type);
        return g_bin(s->host, s->sign[k] > 0 ? OP_ADD : OP_SUB, s->init[k], v);
    }
    if (x->kind == ROOT_STACK) return with_steps(s, host_after(s, x->ref), x->ref);
    return widen(s->host, split_sum(s, x->ref), at(s, x->ref));
}

static Split split_make(Module *m, const Graph *src, Graph *host, Ref r, const Graph *body, const Ref *map, int depth)
{
    ScanInfo f = scan_info(src, r);
    Arena *a = m->arena;
    uint32_t n = body->node.n, total;
    const Ref *in = node_ext(src, r, &total);
    Ref *operand = NEW_N(a, Ref, total + 1);
    Split s = {.m = m, .a = a, .host = host, .g = body, .axis = f.axis, .ncarry = f.ncarry, .reverse = f.reverse != 0};

    for (uint32_t i = 0; i < total; i++) operand[i] = map[in[i]];
    s.ragged = m->axis[f.axis].ragged;
    s.nested = depth > 0;
    s.init = operand;
    s.step = operand + f.ncarry;
    s.capture = operand + f.ncarry + f.nstep;
    s.vary = NEW_N(a, uint8_t, n);
    s.lift = NEW_N(a, uint8_t, n);
    s.product = NEW_N(a, uint8_t, n);
    s.reaches_next = NEW_N(a, uint8_t, n);
    s.where = NEW_N(a, uint8_t, n);
    s.copied = NEW_N(a, uint8_t, n);
    s.stacked = NEW_N(a, uint8_t, n);
    s.summed = NEW_N(a, uint8_t, n);
    s.pre = NEW_N(a, Ref, n);
    s.post = NEW_N(a, Ref, n);
    s.in = NEW_N(a, Ref, n);
    s.gone = NEW_N(a, uint8_t, f.ncarry + 1);
    s.sign = NEW_N(a, int8_t, f.ncarry + 1);
    s.term = NEW_N(a, Ref, f.ncarry + 1);
    s.carry_to = NEW_N(a, uint32_t, f.ncarry + 1);
    return s;
}

/* The outs of scan r of src, as values of host. */
static Ref *split_scan(Module *m, const Graph *src, Graph *host, Ref r, const Ref *map, int depth)
{
    const Graph *old = m->graph.at[scan_info(src, r).body];
    Graph *body = module_add_graph(m);
    Ref *to = NEW_N(m->arena, Ref, old->node.n + 1), *out;
    Split s;

    rebuild(m, old, body, depth + 1, to);
    for (uint32_t i = 0; i < old->root.n; i++) {
        const Root *x = &old->root.at[i];
        graph_root(body, (RootKind)x->kind, x->name, to[x->ref], x->index);
    }
    s = split_make(m, src, host, r, body, map, depth);
    s.body = module_add_graph(m);
    find_sums(&s);
    split_analyse(&s);
    split_choose(&s);
    split_plan_sums(&s);
    build_body(&s);
    emit_scan(&s);
    out = NEW_N(m->arena, Ref, body->root.n + 1);
    for (uint32_t i = s.ncarry; i < body->root.n; i++) out[i - s.ncarry] = new_out(&s, &body->root.at[i]);
    return out;
}

static void rebuild(Module *m, const Graph *src, Graph *dst, int depth, Ref *map)
{
    Ref **out = NEW_N(m->arena, Ref *, src->node.n);

    for (Ref r = 1; r < src->node.n; r++) {
        const Node *n = &src->node.at[r];
        dst->span = n->span;
        dst->name = n->name;
        if (n->op == OP_SCAN) {
            out[r] = split_scan(m, src, dst, r, map, depth);
            continue;
        }
        map[r] = n->op == OP_OUT ? out[n->in[0]][n->attr] : graph_copy_node(dst, src, r, map);
    }
    dst->span = dst->name = 0;
}

static void round_once(Module *m)
{
    Graph *src = m->graph.at[0], *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n + 1);

    rebuild(m, src, dst, 0, map);
    replace_model(m, dst, map);
    module_dce(m);
}

bool pass_distribute(Module *m, const PassOptions *o)
{
    uint64_t before, last, now;

    (void)o;
    module_dce(m);
    before = last = module_hash(m);
    for (int i = 0; i < 6; i++, last = now) {
        round_once(m);
        now = module_hash(m);
        if (now == last) break;
    }
    return last != before;
}
