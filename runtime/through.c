/* Which params and inputs reach a straight-through function: the derivatives that go back through it are not those of the
   values, so differences of the values cannot check them. */
#include "runtime/internal.h"

typedef struct {
    const Module *m;
    bool **need; /* by graph and node: a straight-through function depends on it */
    bool changed;
} Through;

static void need(Through *t, const Graph *g, Ref r) {
    if (!r || t->need[g->index][r]) return;
    t->need[g->index][r] = t->changed = true;
}

/* Out i of a scan: the final carry, or what the body stacks or sums. */
static void need_out(Through *t, const Graph *body, uint32_t i) {
    uint32_t next = 0;
    while (next < body->root.n && body->root.at[next].kind == ROOT_NEXT) next++;
    if (next + i >= body->root.n) return;
    const Root *root = &body->root.at[next + i];
    need(t, body, root->kind == ROOT_LAST ? body->root.at[root->index].ref : root->ref);
}

/* A leaf of the body needs what the scan gives it; a carry its next value too. */
static void need_leaf(Through *t, const Graph *g, const ScanInfo *s, const Graph *body, const Node *leaf) {
    if (leaf->op == OP_CARRY) {
        need(t, g, s->init[leaf->attr]);
        need(t, body, body->root.at[leaf->attr].ref);
    } else if (leaf->op == OP_STEP) {
        need(t, g, s->step[leaf->attr]);
    } else if (leaf->op == OP_CAPTURE) {
        need(t, g, s->capture[leaf->attr]);
    }
}

static void spread(Through *t, const Graph *g) {
    for (Ref r = g->node.n - 1; r > 0; r--) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        if (n->op == OP_SCAN) {
            ScanInfo s = scan_info(g, r);
            const Graph *body = t->m->graph.at[s.body];
            for (Ref k = 1; k < body->node.n; k++)
                if (t->need[body->index][k]) need_leaf(t, g, &s, body, &body->node.at[k]);
        } else if (n->op == OP_OUT) {
            if (t->need[g->index][r]) need_out(t, t->m->graph.at[scan_info(g, n->in[0]).body], n->attr);
        } else if (t->need[g->index][r] || n->op == OP_SURROGATE) {
            for (uint32_t i = 0; i < count; i++) need(t, g, in[i]);
        }
    }
}

void reach_straight_through(const Module *m, Arena *a, bool *param, bool *input) {
    Through t = {.m = m, .need = NEW_N(a, bool *, m->graph.n + 1), .changed = true};
    for (uint32_t i = 0; i < m->graph.n; i++) t.need[i] = NEW_N(a, bool, m->graph.at[i]->node.n + 1);
    while (t.changed) {
        t.changed = false;
        for (uint32_t i = 0; i < m->graph.n; i++) spread(&t, m->graph.at[i]);
    }
    for (uint32_t i = 0; i < m->graph.n; i++)
        for (Ref r = 1; r < m->graph.at[i]->node.n; r++) {
            const Node *n = &m->graph.at[i]->node.at[r];
            if (n->op == OP_PARAM) param[n->attr] |= t.need[i][r];
            if (n->op == OP_INPUT) input[n->attr] |= t.need[i][r];
        }
}
