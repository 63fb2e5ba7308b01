/* autodiff: reverse mode.
   before:  roots { loss L }                    L : f[]
   after:   roots { loss L, grad_param i .., grad_input j .. }, each of the full type of its parameter or input
   One backward sweep over graph[0]; a scan is swept in its body (autodiff_scan.c), structural operations have their rules in
   autodiff_ops.c, elementwise ones in the da/db/dc columns of ops.def (autodiff_elem.c).
   relies on: operands precede users; nodes are pure, so a forward value may be used again anywhere in its graph. */
#include "passes/autodiff.h"

#include "passes/online.h"
#include "passes/rewrite.h"

const char *const gradient_name[] = {"bptt", "rtrl", "snap1", NULL};

/* ---- activity ----------------------------------------------------------------------------------------------------------- */

static bool any(const uint8_t *set, const Ref *in, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (set[in[i]]) return true;
    return false;
}

/* The least fixpoint of "depends on something wanted" over the carries of a scan. */
static Activity *scan_activity(Arena *a, const Graph *g, Ref r, const uint8_t *active)
{
    ScanInfo s = scan_info(g, r);
    const Graph *body = g->module->graph.at[s.body];
    uint8_t *carry = NEW_N(a, uint8_t, s.ncarry + 1), *step = NEW_N(a, uint8_t, s.nstep + 1);
    uint8_t *capture = NEW_N(a, uint8_t, s.ncapture + 1);
    Activity *act;
    bool grown;

    for (uint32_t i = 0; i < s.ncarry; i++) carry[i] = active[s.init[i]];
    for (uint32_t i = 0; i < s.nstep; i++) step[i] = active[s.step[i]];
    for (uint32_t i = 0; i < s.ncapture; i++) capture[i] = active[s.capture[i]];
    do {
        act = graph_activity(a, body, NULL, NULL, carry, step, capture);
        grown = false;
        for (uint32_t i = 0; i < s.ncarry; i++) {
            if (carry[i] || !act->node[body->root.at[i].ref]) continue;
            carry[i] = 1;
            grown = true;
        }
    } while (grown);
    return act;
}

static bool out_active(const Graph *g, const Node *n, const Activity *act)
{
    const Graph *body = g->module->graph.at[scan_info(g, n->in[0]).body];
    const Root *out = &body->root.at[next_count(body) + n->attr];
    const Activity *in = act->body[n->in[0]];
    Ref r = out->kind == ROOT_LAST ? body->root.at[out->index].ref : out->ref;

    if (in->node[r]) return true;
    if (out->kind != ROOT_LAST) return false;
    return act->node[scan_info(g, n->in[0]).init[out->index]]; /* after no step at all */
}

Activity *graph_activity(Arena *a, const Graph *g, const uint8_t *param, const uint8_t *input, const uint8_t *carry,
                         const uint8_t *step, const uint8_t *capture)
{
    Activity *act = NEW(a, Activity);

    act->node = NEW_N(a, uint8_t, g->node.n + 1);
    act->body = NEW_N(a, Activity *, g->node.n + 1);
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        bool on;

        if (n->op == OP_SCAN) {
            if (any(act->node, in, count)) act->body[r] = scan_activity(a, g, r, act->node);
            act->node[r] = act->body[r] != NULL;
            continue;
        }
        if (n->op == OP_PARAM) on = param && param[n->attr];
        else if (n->op == OP_INPUT) on = input && input[n->attr];
        else if (n->op == OP_CARRY) on = carry && carry[n->attr];
        else if (n->op == OP_STEP) on = step && step[n->attr];
        else if (n->op == OP_CAPTURE) on = capture && capture[n->attr];
        else if (n->op == OP_OUT) on = act->node[n->in[0]] && out_active(g, n, act);
        else on = !(op_info[n->op].flags & OPF_INACTIVE) && any(act->node, in, count);
        act->node[r] = on && n->dtype == DT_F;
    }
    return act;
}

/* ---- the sweep ---------------------------------------------------------------------------------------------------------- */

Ref with_rows(Level *l, Ref v, uint32_t axes, uint32_t summed)
{
    const Module *m = l->bwd->module;
    uint32_t ragged = 0, add = 0;

    for (uint32_t t = 1; t < m->naxis; t++) ragged |= m->axis[t].ragged ? AX(t) : 0;
    if (summed & ragged) add |= axes & AX(AXIS_B);
    if (summed & AX(AXIS_B)) add |= axes & ragged;
    return g_expand_axes(l->bwd, v, add);
}

uint32_t kept_axes(const Level *l, Ref n)
{
    const Node *x = &l->fwd->node.at[n];

    return x->axes | (x->op == OP_CAPTURE ? l->keep : 0);
}

/* v of two adjoints of n that are added: where one has summed its rows, the other does. */
static Ref like_rows(Level *l, Ref n, Ref v, Ref other)
{
    Graph *g = l->bwd;
    uint32_t more = kept_axes(l, n) & ~l->fwd->node.at[n].axes & g->node.at[v].axes & ~g->node.at[other].axes;

    return more ? g_sum(g, v, more, 0) : v;
}

void adj_add(Level *l, Ref n, Ref v, uint32_t axes, const Node *shape, bool guard)
{
    Graph *g = l->bwd;
    const Node *x = &l->fwd->node.at[n];
    uint32_t sum, dims = 0, missing, kept = kept_axes(l, n);
    double zero;

    if (!v || !l->act->node[n] || (const_value(g, v, &zero) && zero == 0)) return;
    missing = axes & (~kept | (kept & ~x->axes)) & ~g->node.at[v].axes;
    if (missing) v = g_expand_axes(g, v, missing);
    v = with_rows(l, v, axes, axes & ~kept);
    if (x->rank == 0 && shape->rank > 0) {
        if (g->node.at[v].rank == 0) v = g_bin(g, OP_MUL, v, g_const(g, (double)node_features(shape)));
        else dims = (1u << shape->rank) - 1;
    }
    sum = g->node.at[v].axes & ~kept;
    if (sum || dims) v = g_sum(g, v, sum, dims);
    l->adj[n] = l->adj[n] ? g_bin(g, OP_ADD, like_rows(l, n, l->adj[n], v), like_rows(l, n, v, l->adj[n])) : v;
    if (guard) l->guard[n] = 1;
}

static void back_node(Level *l, Ref r)
{
    const Node *n = &l->fwd->node.at[r];

    switch ((OpClass)op_info[n->op].cls) {
    case OPC_LEAF: return;
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY: back_elementwise(l, r); return;
    case OPC_REDUCE:
    case OPC_CONTRACT:
    case OPC_SHAPE:
    case OPC_INDEX:
    case OPC_TIME: back_structural(l, r); return;
    case OPC_CONTROL:
        if (n->op != OP_SCAN) l->adj[n->in[0]] = r; /* a mark only: back_scan looks at its outs */
        else if (l->online && l->fwd->module->axis[scan_info(l->fwd, r).axis].kind == AXIS_TIME) online_scan(l, r);
        else back_scan(l, r);
        return;
    }
}

void level_sweep(Level *l)
{
    uint32_t span = l->bwd->span, name = l->bwd->name;

    for (Ref r = l->n0 - 1; r > 0; r--) {
        if (!l->adj[r] || !l->act->node[r] || (l->cut && l->cut[r])) continue;
        l->bwd->span = l->fwd->node.at[r].span;
        l->bwd->name = 0;
        back_node(l, r);
    }
    l->bwd->span = span;
    l->bwd->name = name;
}

static Ref loss_of(const Graph *g)
{
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == ROOT_LOSS) return g->root.at[i].ref;
    return 0;
}

static void add_root(Level *l, RootKind kind, Op op, uint32_t index, const Node *type, Name name)
{
    Graph *g = l->fwd;
    Ref v = 0;

    for (Ref r = 1; r < l->n0 && !v; r++)
        if (g->node.at[r].op == op && g->node.at[r].attr == index) v = l->adj[r];
    graph_root(g, kind, name, v ? widen(g, v, type) : splat(g, 0, type), index);
}

static Node param_type(const Param *p)
{
    return (Node){.dtype = DT_F, .rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}};
}

static Node input_type(const Input *p)
{
    return (Node){.dtype = p->dtype, .rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
}

/* What gradients carried forward need of a model. */
static bool one_loop(Module *m, GradientMode mode)
{
    const char *why = NULL;
    uint32_t span;

    if (stepwise(m, &why, &span)) return true;
    diag_error(m->ctx, 570, (Span){span, span + (span != 0)}, "the gradient %s does not suit '%s': %s", gradient_name[mode],
               name_str(m->ctx, m->name), why);
    diag_help(m->ctx, (Span){0, 0}, "the gradient bptt suits every model");
    return false;
}

bool pass_autodiff(Module *m, const PassOptions *o)
{
    Arena *a = m->arena;
    Graph *g = m->graph.at[0];
    Ref loss = loss_of(g);
    uint8_t *param = NEW_N(a, uint8_t, m->param.n + 1), *input = NEW_N(a, uint8_t, m->input.n + 1);
    GradientMode mode = o ? o->gradient : GRADIENT_BPTT;
    uint32_t ninput = m->input.n; /* influences that come from outside are inputs more: nobody asks for their gradients */
    Level l = {.arena = a};

    if (!loss) {
        diag_error(m->ctx, 551, (Span){0, 0}, "there is no loss, so there are no gradients");
        diag_help(m->ctx, (Span){0, 0}, "give the model a `loss` line, or ask for the forward pass alone");
        return false;
    }
    if (mode && !one_loop(m, mode)) return false;
    l.fwd = l.bwd = g = m->graph.at[0];
    l.n0 = g->node.n;
    loss = loss_of(g);
    for (uint32_t i = 0; i < m->param.n; i++) param[i] = !m->param.at[i].is_const;
    for (uint32_t i = 0; i < m->input.n; i++)
        input[i] = o && o->want_input && o->want_input[i] && m->input.at[i].dtype == DT_F;
    l.act = graph_activity(a, g, param, input, NULL, NULL, NULL);
    l.bits = finite_bits(a, g);
    l.adj = NEW_N(a, Ref, l.n0);
    l.guard = NEW_N(a, uint8_t, l.n0);
    l.adj[loss] = g_const(g, 1);
    l.online = mode;
    l.options = o;
    if (mode) l.subst = NEW_N(a, Ref, l.n0);
    level_sweep(&l);
    for (uint32_t i = 0; i < m->param.n; i++) {
        Node type = param_type(&m->param.at[i]);
        if (param[i]) add_root(&l, ROOT_GRAD_PARAM, OP_PARAM, i, &type, m->param.at[i].name);
    }
    for (uint32_t i = 0; i < ninput; i++) {
        Node type = input_type(&m->input.at[i]);
        if (input[i]) add_root(&l, ROOT_GRAD_INPUT, OP_INPUT, i, &type, m->input.at[i].name);
    }
    if (mode) substitute_scans(&(Forward){.l = l, .subst = l.subst}, NULL);
    module_dce(m);
    return true;
}
