/* products: finds the loops over time in their order and the products between and inside of them, with the weights they stand for,
   where these were before the passes and where lowering puts them; and what is added up step by step. */
#include "cli/products.h"

#include <inttypes.h>
#include <string.h>

typedef struct {
    Arena *a;
    const Module *before, *m;
    const char *notes;
    int64_t axis[MAX_AXES];
    uint32_t *loop; /* by Param: which loop reads it before the passes, from 1; 0: none */
    bool *forward; /* by node of the model's graph: an output, the loss or a metric needs it */
    bool *multiplied; /* by Param: of rank 2 or more, and in the matrix of a product */
    const ProductNote *note; /* of the model's graph */
    Stages out;
} Find;

/* The operand of a product that is made of weights: 0, 1, or -1. */
static int weight_side(const Module *m, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan) {
    for (int k = 0; k < 2; k++)
        if (put_weights(NULL, m, g, g->node.at[r].in[k], outer, scan, NULL, NULL)) return k;
    return -1;
}

/* Marks the parameters that scan r of the model's graph reads. */
static void mark_captured(const Module *m, Ref r, bool *mark) {
    const Graph *g = m->graph.at[0];
    ScanInfo scan = scan_info(g, r);
    for (uint32_t k = 0; k < scan.ncapture; k++) put_weights(NULL, m, g, scan.capture[k], NULL, NULL, mark, NULL);
}

/* Marks the parameters, of rank 2 or more, that the products of a graph multiply by. */
static void mark_multiplied(const Module *m, const Graph *g, const ScanInfo *scan, bool *mark) {
    for (Ref r = 1; r < g->node.n; r++) {
        int side = g->node.at[r].op == OP_DOT ? weight_side(m, g, r, m->graph.at[0], scan) : -1;
        if (side >= 0) put_weights(NULL, m, g, g->node.at[r].in[side], m->graph.at[0], scan, mark, NULL);
    }
    for (uint32_t i = 0; i < m->param.n; i++) mark[i] = mark[i] && m->param.at[i].rank >= 2;
}

/* In which loop each parameter is read before the passes; which of them products multiply by. */
static void mark_weights(Find *x) {
    const Graph *g = x->before->graph.at[0];
    uint32_t number = 0;
    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_SCAN) continue;
        bool *mark = NEW_N(x->a, bool, x->before->param.n + 1);
        mark_captured(x->before, r, mark);
        number++;
        for (uint32_t i = 0; i < x->before->param.n; i++)
            if (mark[i] && !x->loop[i]) x->loop[i] = number;
    }
    g = x->m->graph.at[0];
    mark_multiplied(x->m, g, NULL, x->multiplied);
    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_SCAN) continue;
        ScanInfo scan = scan_info(g, r);
        mark_multiplied(x->m, x->m->graph.at[scan.body], &scan, x->multiplied);
    }
}

static void needs(const Graph *g, bool *need) {
    for (Ref r = g->node.n; r-- > 1;) {
        const Ref *in;
        uint32_t n = need[r] ? node_inputs(g, r, &in) : 0;
        for (uint32_t k = 0; k < n; k++) need[in[k]] = true;
    }
}

/* ---- one product ---------------------------------------------------------------------------------------------------------- */

static const char *place_of(const Find *x, const char *key) {
    static const char word[] = "place: product ";
    size_t n = strlen(key);
    for (const char *s = x->notes; s && (s = strstr(s, word)) != NULL; s++) {
        const char *at = s + sizeof word - 1;
        if (strncmp(at, key, n) == 0 && strncmp(at + n, ": ", 2) == 0) return arena_strndup(x->a, at + n + 2, strcspn(at + n + 2, "\n"));
    }
    return NULL;
}

static double rows_of(const Find *x, uint32_t axes) {
    double rows = 1;
    for (uint32_t i = 0; i < x->m->naxis; i++)
        if (axes >> i & 1) rows *= (double)x->axis[i];
    return rows;
}

static bool *carried(Find *x, const Graph *g) {
    bool *c = NEW_N(x->a, bool, g->node.n + 1);
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        c[r] = g->node.at[r].op == OP_CARRY;
        for (uint32_t k = 0; k < n; k++) c[r] |= c[in[k]];
    }
    return c;
}

/* In which accumulator it is, and why it is not one with an earlier product of its rows. */
static void add_note(const Find *x, Product *p, const ProductNote *note) {
    p->accumulator = note->accumulator;
    p->from_step = note->from_step;
    p->scans = note->scans;
    p->apart = note->apart;
    for (uint32_t i = 0; i < x->out.product.n && note->twin; i++)
        if (x->out.product.at[i].stage == p->stage && x->out.product.at[i].node == note->twin) p->twin = x->out.product.at[i].key;
}

/* next: which loop comes after the product, from 1, if it is outside of them. */
static void add_product(Find *x, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan, const ProductNote *note, Product p, uint32_t next) {
    const Node *n = &g->node.at[r];
    int side = weight_side(x->m, g, r, outer, scan);
    p.node = r;
    uint32_t axes = n->axes | (scan ? AX(scan->axis) : 0), from = 0;
    if (side >= 0) {
        const Node *w = &g->node.at[n->in[side]];
        bool *mark = NEW_N(x->a, bool, x->m->param.n + 1);
        Str s = str_make(x->a);
        put_weights(&s, x->m, g, n->in[side], outer, scan, mark, &p.made);
        p.weights = arena_strndup(x->a, s.at, s.n);
        put_dims(&s, w);
        p.key = s.at;
        p.rank = w->rank;
        memcpy(p.dim, w->dim, sizeof p.dim);
        p.rows = n->in[1 - side];
        add_note(x, &p, &note[r]);
        for (uint32_t i = 0; i < x->m->param.n; i++)
            if (mark[i] && x->loop[i]) from = x->loop[i];
        if (from && !scan && !p.backward) p.moved = next <= from ? AHEAD : BEHIND;
        if (p.moved == AHEAD) p.place = place_of(x, p.key);
        p.flops = 2 * (double)node_features(w) * rows_of(x, axes);
        p.stored = p.moved == AHEAD ? 8 * (double)node_features(n) * rows_of(x, axes) : 0;
    } else {
        Flops f = {0};
        flops_of_dot(g, r, x->axis, &f);
        p.flops = f.product * (scan ? (double)x->axis[scan->axis] : 1);
    }
    VEC_PUSH(x->a, x->out.product) = p;
}

/* ---- sums in a loop -------------------------------------------------------------------------------------------------------- */

/* The parameters whose gradients are made of value r of the model's graph. */
static const char *gradients_of(Find *x, Ref r, bool *product) {
    const Graph *g = x->m->graph.at[0];
    bool *from = NEW_N(x->a, bool, g->node.n + 1);
    Str s = str_make(x->a);
    from[r] = true;
    for (Ref q = r + 1; q < g->node.n; q++) {
        const Ref *in;
        uint32_t n = node_inputs(g, q, &in);
        for (uint32_t k = 0; k < n; k++) from[q] |= from[in[k]];
    }
    str_put(&s, "");
    for (uint32_t i = 0; i < g->root.n; i++) {
        const Root *o = &g->root.at[i];
        if (o->kind != ROOT_GRAD_PARAM || !from[o->ref]) continue;
        str_printf(&s, "%s%s", s.n ? " " : "", name_str(x->m->ctx, x->m->param.at[o->index].name));
        *product |= x->multiplied[o->index];
    }
    return s.at;
}

/* A sum over the steps, and a carry that something is added to in each step: of out k of the scan at r. */
static void add_sum(Find *x, Ref r, uint32_t k, const Graph *body, Ref value, uint32_t loop) {
    const Graph *g = x->m->graph.at[0];
    LoopSum sum = {.rank = body->node.at[value].rank, .loop = loop, .weights = ""};
    Str s = str_make(x->a);
    put_node(&s, x->m->ctx, body, value);
    sum.value = s.at;
    for (Ref q = r + 1; q < g->node.n; q++)
        if (g->node.at[q].op == OP_OUT && g->node.at[q].in[0] == r && g->node.at[q].attr == k) sum.weights = gradients_of(x, q, &sum.product);
    sum.product = sum.product && sum.rank >= 2;
    VEC_PUSH(x->a, x->out.sum) = sum;
}

static void find_sums(Find *x, Ref r, uint32_t loop) {
    ScanInfo scan = scan_info(x->m->graph.at[0], r);
    const Graph *body = x->m->graph.at[scan.body];
    for (uint32_t i = scan.ncarry; i < body->root.n; i++)
        if (body->root.at[i].kind == ROOT_SUM) add_sum(x, r, i - scan.ncarry, body, body->root.at[i].ref, loop);
}

/* ---- stages ---------------------------------------------------------------------------------------------------------------- */

/* A sum over examples: the gradient of weights. */
static bool is_gradient(const Graph *g, Ref r) {
    const Node *n = &g->node.at[r];
    return (g->node.at[n->in[0]].axes | g->node.at[n->in[1]].axes) & ~n->axes & AX(AXIS_B);
}

static StageLine *add_stage(Find *x, const char *head, uint32_t loop) {
    StageLine *s = &VEC_PUSH(x->a, x->out.stage);
    *s = (StageLine){.head = head, .loop = loop};
    return s;
}

static void find_loop(Find *x, Ref r, uint32_t loop) {
    const Graph *g = x->m->graph.at[0];
    ScanInfo scan = scan_info(g, r);
    const Graph *body = x->m->graph.at[scan.body];
    const bool *c = carried(x, body);
    const ProductNote *note = product_notes(x->a, x->m, r);
    add_stage(x, arena_printf(x->a, "loop over %s%s, %u value%s carried", name_str(x->m->ctx, x->m->axis[scan.axis].name),
                              scan.reverse ? ", backwards" : "", scan.ncarry, scan.ncarry == 1 ? "" : "s"), loop);
    Product p = {.stage = x->out.stage.n, .loop = loop, .backward = !x->forward[r]};
    for (Ref q = 1; q < body->node.n; q++) {
        p.carried = c[q];
        if (body->node.at[q].op == OP_DOT) add_product(x, body, q, g, &scan, note, p, 0);
    }
    find_sums(x, r, loop);
}

/* The products that loop `next` (from 1; end is its scan) needs, or after the last one all others. */
static void find_between(Find *x, Ref end, uint32_t next, bool last, bool *done) {
    const Graph *g = x->m->graph.at[0];
    bool *need = NEW_N(x->a, bool, g->node.n + 1), headed = false;
    if (!last) need[end] = true;
    needs(g, need);
    for (Ref r = 1; r < end; r++) {
        if (g->node.at[r].op != OP_DOT || done[r] || (!last && !need[r])) continue;
        if (!headed) add_stage(x, next > 1 || !last ? "outside of the loops" : "no loop", 0);
        headed = done[r] = true;
        Product p = {.stage = x->out.stage.n, .backward = !x->forward[r]};
        if (is_gradient(g, r)) x->out.stage.at[x->out.stage.n - 1].gradients++;
        else add_product(x, g, r, NULL, NULL, x->note, p, next);
    }
}

Stages find_stages(Arena *a, const Module *before, const Module *m, int64_t batch, int64_t steps, const char *notes) {
    const Graph *g = m->graph.at[0];
    Find x = {.a = a, .before = before, .m = m, .notes = notes};
    module_axes(m, batch, steps, x.axis);
    x.loop = NEW_N(a, uint32_t, before->param.n + 1);
    x.multiplied = NEW_N(a, bool, m->param.n + 1);
    x.forward = NEW_N(a, bool, g->node.n + 1);
    x.note = product_notes(a, m, 0);
    mark_weights(&x);
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind != ROOT_GRAD_PARAM && g->root.at[i].kind != ROOT_GRAD_INPUT) x.forward[g->root.at[i].ref] = true;
    needs(g, x.forward);
    bool *done = NEW_N(a, bool, g->node.n + 1);
    uint32_t loop = 0;
    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_SCAN) continue;
        find_between(&x, r, ++loop, false, done);
        find_loop(&x, r, loop);
    }
    find_between(&x, g->node.n, loop + 1, true, done);
    return x.out;
}
