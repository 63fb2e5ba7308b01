/* Scans in the making: carries with the least axes they need, step inputs, captures, stacks. */
#include "frontend/sema.h"

#include <string.h>

Scan *scan_make(Elab *e, Level *outer, uint32_t axis, uint32_t outer_hidden)
{
    Scan *sc = NEW(e->a, Scan);
    Level *l = NEW(e->a, Level);

    l->g = module_add_graph(e->m);
    l->g->span = outer->g->span;
    l->g->name = outer->g->name;
    l->up = outer;
    l->scan = sc;
    sc->outer = outer;
    sc->inner = l;
    sc->axis = axis;
    sc->outer_hidden = outer_hidden;
    return sc;
}

Ref scan_step(Scan *sc, Ref outer)
{
    Node n = sc->outer->g->node.at[outer];
    uint32_t i = 0;

    while (i < sc->step.n && sc->step.at[i] != outer) i++;
    if (i == sc->step.n) VEC_PUSH(sc->inner->g->module->arena, sc->step) = outer;
    return g_leaf_typed(sc->inner->g, OP_STEP, i, (DType)n.dtype, n.rank, n.dim, n.axes & ~AX(sc->axis));
}

uint32_t scan_axes(Elab *e, const Scan *sc, Name name, uint32_t init)
{
    for (uint32_t i = 0; i < sc->nguess; i++)
        if (sc->guess[i].name == name) return sc->guess[i].axes;
    return init | e->batch;
}

uint32_t scan_carry(Elab *e, Scan *sc, Name name, Ref init, uint32_t axes0, const Node *type, Span span)
{
    Carry *c = &VEC_PUSH(e->a, sc->carry);
    uint32_t axes = scan_axes(e, sc, name, axes0);

    c->name = name;
    c->init = init;
    c->axes0 = axes0;
    c->span = span;
    if (sc->axis) c->leaf = g_leaf_typed(sc->inner->g, OP_CARRY, sc->carry.n - 1, (DType)type->dtype, type->rank, type->dim, axes);
    else c->leaf = init; /* one step outside of a scan */
    return sc->carry.n - 1;
}

/* ---- least axes ------------------------------------------------------------------------------------------------------- */

/* The axes each node needs if the carries had those of `cur`: what an operation adds itself, and what its operands need. */
static uint32_t needed(const Graph *g, Ref r, const uint32_t *need, const uint32_t *cur)
{
    const Node *n = &g->node.at[r];
    const Ref *in;
    uint32_t count, below = 0, have = 0;

    if (n->op == OP_CARRY) return cur[n->attr];
    if (n->op == OP_SCAN) {
        count = node_inputs(g, r, &in);
        for (uint32_t i = 0; i < count; i++) below |= need[in[i]];
        return below;
    }
    if (n->op == OP_OUT) return n->axes & (need[n->in[0]] | AX(scan_info(g, n->in[0]).axis));
    count = node_inputs(g, r, &in);
    for (uint32_t i = 0; i < count; i++) {
        below |= need[in[i]];
        have |= g->node.at[in[i]].axes;
    }
    return (n->axes & ~have) | (n->axes & below);
}

bool scan_settle(Elab *e, Scan *sc, CarryGuess **guess, uint32_t *n)
{
    const Graph *g = sc->inner->g;
    uint32_t k = sc->carry.n, always = e->m->axis[sc->axis].ragged ? AX(AXIS_B) : 0;
    uint32_t *cur = NEW_N(e->a, uint32_t, k + 1), *need = NEW_N(e->a, uint32_t, g->node.n);
    bool changed = true, settled = true;

    for (uint32_t i = 0; i < k; i++) {
        cur[i] = sc->carry.at[i].axes0 | always;
        /* a state of the model is one of each example, whatever it depends on: it can be given */
        if (sc->carry.at[i].state) cur[i] |= e->batch & AX(AXIS_B);
        /* after the first try needs only grow: what folds depends on the axes, so two tries could take turns for ever */
        if (sc->nguess) cur[i] |= scan_axes(e, sc, sc->carry.at[i].name, 0);
    }
    while (changed) {
        changed = false;
        for (Ref r = 1; r < g->node.n; r++) need[r] = needed(g, r, need, cur);
        for (uint32_t i = 0; i < k; i++) {
            uint32_t want = cur[i] | need[sc->carry.at[i].next];
            changed |= want != cur[i];
            cur[i] = want;
        }
    }
    *guess = NEW_N(e->a, CarryGuess, k + 1);
    *n = k;
    for (uint32_t i = 0; i < k; i++) {
        (*guess)[i] = (CarryGuess){sc->carry.at[i].name, cur[i]};
        settled &= g->node.at[sc->carry.at[i].leaf].axes == cur[i];
    }
    return settled;
}

/* ---- the node --------------------------------------------------------------------------------------------------------- */

Ref scan_close(Elab *e, Scan *sc, Span span)
{
    Graph *g = sc->outer->g, *b = sc->inner->g;
    Ref *init = NEW_N(e->a, Ref, sc->carry.n + 1);
    uint32_t old = g->span;

    for (uint32_t i = 0; i < sc->carry.n; i++) {
        init[i] = sc->carry.at[i].init;
        graph_root(b, ROOT_NEXT, sc->carry.at[i].name, sc->carry.at[i].next, i);
    }
    g->span = span.lo;
    sc->node = g_scan(g, sc->axis, false, b->index, init, sc->carry.n, sc->step.at, sc->step.n, sc->inner->outer.at, sc->inner->outer.n);
    g->span = old;
    sc->done = true;
    for (uint32_t i = 0; sc->node && i < sc->carry.n; i++) sc->carry.at[i].next = b->root.at[i].ref;
    for (uint32_t i = 0; sc->node && sc->top && i < sc->carry.n; i++) {
        Carry *c = &sc->carry.at[i];
        State *st = c->state ? &e->m->state.at[c->state - 1] : NULL;
        if (!st) continue;
        st->axes = b->node.at[c->leaf].axes;
        for (uint32_t k = 0; k < e->state_root.n; k++)
            if (e->state_root.at[k].state == c->state - 1) e->state_root.at[k].final = scan_last(e, sc, i);
    }
    return sc->node;
}

static Ref scan_out(Elab *e, Scan *sc, RootKind k, Name name, Ref ref, uint32_t index)
{
    (void)e;
    graph_root(sc->inner->g, k, name, ref, index);
    return g_out(sc->outer->g, sc->node, sc->nroot++);
}

Ref scan_stack(Elab *e, Scan *sc, Ref inner)
{
    const Graph *b = sc->inner->g;

    for (uint32_t i = sc->carry.n; i < b->root.n; i++)
        if (b->root.at[i].kind == ROOT_STACK && b->root.at[i].ref == inner) return g_out(sc->outer->g, sc->node, i - sc->carry.n);
    if (b->node.at[inner].axes & AX(sc->axis)) return 0;
    return scan_out(e, sc, ROOT_STACK, b->node.at[inner].name, inner, 0);
}

Ref scan_last(Elab *e, Scan *sc, uint32_t carry)
{
    const Graph *b = sc->inner->g;

    for (uint32_t i = sc->carry.n; i < b->root.n; i++)
        if (b->root.at[i].kind == ROOT_LAST && b->root.at[i].index == carry) return g_out(sc->outer->g, sc->node, i - sc->carry.n);
    return scan_out(e, sc, ROOT_LAST, sc->carry.at[carry].name, 0, carry);
}
