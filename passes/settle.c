/* settle: what only a derivative needed goes, once the derivatives are made or none are wanted.
   before:  y = via f, s       (the value f, the derivative of s)
   after:   y = f
   relies on: no pass after this one makes derivatives. */
#include "passes/passes.h"
#include "passes/rewrite.h"

static bool has_via(const Graph *g)
{
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_VIA || g->node.at[r].op == OP_SURROGATE) return true;
    return false;
}

static void settle_graph(Module *m, uint32_t index)
{
    const Graph *g = m->graph.at[index];
    Graph *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, g->node.n + 1);

    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        bool via = n->op == OP_VIA || n->op == OP_SURROGATE;
        dst->span = n->span;
        dst->name = n->name;
        map[r] = via ? g_expand_axes(dst, map[n->in[0]], n->axes & ~dst->node.at[map[n->in[0]]].axes) : graph_copy_node(dst, g, r, map);
    }
    dst->span = dst->name = 0;
    replace_graph(m, index, dst, map);
}

bool pass_settle(Module *m, const PassOptions *o)
{
    uint32_t graphs = m->graph.n;
    bool changed = false;

    (void)o;
    for (uint32_t i = 0; i < graphs; i++)
        if (has_via(m->graph.at[i])) {
            settle_graph(m, i);
            changed = true;
        }
    if (changed) module_dce(m);
    return changed;
}
