/* stages: what explain says of a module after the passes: the loops over time in their order and the products between and inside
   of them, with the weights they stand for and where these were before. */
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
    const Module *before, *m;
    uint32_t *loop; /* by Param: which loop's body had a product of it before the passes, from 1; 0: none */
    bool *seen; /* by Param: it was in a product already; what comes later is of the way back */
    Str *s;
} Stages;

/* Appends the parameters that `r` is made of by moving and joining only; *n counts them. False: something else is in it. */
static bool weights_of(const Module *m, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan, Str *s, uint32_t *n,
                       bool *mark) {
    const Node *x = &g->node.at[r];
    if (x->op == OP_PARAM) {
        if (s) str_printf(s, "%s%s", *n ? " " : "", name_str(m->ctx, m->param.at[x->attr].name));
        if (mark) mark[x->attr] = true;
        ++*n;
        return true;
    }
    if (x->op == OP_CAPTURE && scan) return weights_of(m, outer, scan->capture[x->attr], NULL, NULL, s, n, mark);
    if (op_info[x->op].cls != OPC_SHAPE) return false;
    const Ref *in;
    uint32_t count = node_inputs(g, r, &in);
    bool ok = count > 0;
    for (uint32_t k = 0; ok && k < count; k++) ok = weights_of(m, g, in[k], outer, scan, s, n, mark);
    return ok;
}

/* The operand of a product that is made of weights: 0, 1, or -1. */
static int weight_side(const Module *m, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan) {
    for (int k = 0; k < 2; k++) {
        uint32_t n = 0;
        if (weights_of(m, g, g->node.at[r].in[k], outer, scan, NULL, &n, NULL)) return k;
    }
    return -1;
}

static void find_loops(Stages *x) {
    const Module *m = x->before;
    const Graph *g = m->graph.at[0];
    uint32_t loop = 0;
    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_SCAN) continue;
        ScanInfo scan = scan_info(g, r);
        const Graph *body = m->graph.at[scan.body];
        bool *mark = NEW_N(x->s->arena, bool, m->param.n + 1);
        for (Ref q = 1; q < body->node.n; q++) {
            uint32_t n = 0;
            int side = body->node.at[q].op == OP_DOT ? weight_side(m, body, q, g, &scan) : -1;
            if (side >= 0) weights_of(m, body, body->node.at[q].in[side], g, &scan, NULL, &n, mark);
        }
        loop++;
        for (uint32_t i = 0; i < m->param.n; i++)
            if (mark[i] && !x->loop[i]) x->loop[i] = loop;
    }
}

/* A sum over examples: the gradient of weights. */
static bool is_gradient(const Graph *g, Ref r) {
    const Node *n = &g->node.at[r];
    return (g->node.at[n->in[0]].axes | g->node.at[n->in[1]].axes) & ~n->axes & AX(AXIS_B);
}

/* next: which loop comes after the product, from 1, if it is outside of them. */
static void put_product(Stages *x, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan, uint32_t next) {
    int side = weight_side(x->m, g, r, outer, scan);
    if (side < 0) {
        str_printf(x->s, "    product %%%u of two computed values\n", r);
        return;
    }
    Ref w = g->node.at[r].in[side];
    bool *mark = NEW_N(x->s->arena, bool, x->m->param.n + 1), seen = true;
    uint32_t count = 0, from = 0;
    str_put(x->s, "    product ");
    weights_of(x->m, g, w, outer, scan, x->s, &count, mark);
    for (uint32_t i = 0; i < x->m->param.n; i++) {
        if (!mark[i]) continue;
        if (x->loop[i]) from = x->loop[i];
        seen = seen && x->seen[i];
        x->seen[i] = true;
    }
    str_put(x->s, " [");
    const Node *n = &g->node.at[w];
    for (int d = 0; d < n->rank; d++) str_printf(x->s, "%s%" PRId32, d ? ", " : "", n->dim[d]);
    const char *moved = !from || scan ? "" : next <= from ? ", hoisted out of the loop" : ", sunk out of the loop";
    str_printf(x->s, "]%s%s\n", count > 1 ? ", merged" : "", seen ? ", on the way back" : moved);
}

/* Which nodes of the outer graph something in `to` needs. */
static void needed_by(const Graph *g, Ref to, bool *need) {
    need[to] = true;
    for (Ref r = to; r > 0; r--) {
        const Ref *in;
        uint32_t n = need[r] ? node_inputs(g, r, &in) : 0;
        for (uint32_t k = 0; k < n; k++) need[in[k]] = true;
    }
}

static void put_loop(Stages *x, const Graph *g, Ref r, int number) {
    ScanInfo scan = scan_info(g, r);
    const Graph *body = x->m->graph.at[scan.body];
    str_printf(x->s, "  stage %d: loop over %s%s, %u value%s carried\n", number, name_str(x->m->ctx, x->m->axis[scan.axis].name),
               scan.reverse ? ", backwards" : "", scan.ncarry, scan.ncarry == 1 ? "" : "s");
    for (Ref q = 1; q < body->node.n; q++)
        if (body->node.at[q].op == OP_DOT) put_product(x, body, q, g, &scan, 0);
}

void put_stages(Str *s, const Module *before, const Module *m) {
    const Graph *g = m->graph.at[0];
    Stages x = {.before = before, .m = m, .s = s};
    x.loop = NEW_N(s->arena, uint32_t, before->param.n + 1);
    x.seen = NEW_N(s->arena, bool, m->param.n + 1);
    find_loops(&x);
    Ref *loop = NEW_N(s->arena, Ref, g->node.n + 1);
    uint32_t nloop = 0;
    bool *done = NEW_N(s->arena, bool, g->node.n + 1);
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_SCAN) loop[nloop++] = r;
    int number = 0;
    for (uint32_t k = 0; k <= nloop; k++) {
        bool *need = NEW_N(s->arena, bool, g->node.n + 1), headed = false;
        Ref end = k < nloop ? loop[k] : g->node.n;
        if (k < nloop) needed_by(g, end, need);
        uint32_t gradients = 0;
        for (Ref r = 1; r < end; r++) {
            if (g->node.at[r].op != OP_DOT || done[r] || (k < nloop && !need[r])) continue;
            if (!headed) str_printf(s, "  stage %d: %s\n", ++number, nloop ? "outside of the loops" : "no loop");
            headed = done[r] = true;
            if (is_gradient(g, r)) gradients++;
            else put_product(&x, g, r, NULL, NULL, k + 1);
        }
        if (gradients) str_printf(s, "    %u gradient%s of weights, each one product over all rows\n", gradients, gradients == 1 ? "" : "s");
        if (k < nloop) put_loop(&x, g, loop[k], ++number);
    }
}
