/* thin: a product with few inputs that only elementwise loops read is computed in their steps, where it stays in registers. Of a product
   of several parts (matrices that were merged) those of which this holds; the others stay a product, in one piece.
   before:  %4 = dot %1 %2 {i,oi->o} : f<T,B>[64]    %5 = add %4 %3    %7 = scan T fwd @1 .. step(%5)        %1 : f<T,B>[2]
   after:   %7 = scan T fwd @1 .. step(%1) capture(%3, columns of %2)       in @1: add (add %3 (mul x0 column0)) (mul x1 column1)
   Such as the gates of a minGRU that reads five sensors: as products of all steps they were written and read once in each loop, which
   costs more than their few multiply-adds, so that each loop makes them anew. With what they are added to, and parts of them; all
   sums in the order of a product's accumulator, so that no bit changes. Only where all of its readers are such loops, so that it is not
   made besides. Not among the passes that say what a model's work is: first of those that lower it. */
#include "ir/build.h"
#include "passes/explain.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

enum { INPUTS = 8, LEAST = 16 }; /* inputs at most, units at least */

/* A thin product of the same rows, or a vector that no step changes. What is the same at all steps of some rows is no step of a loop. */
static bool is_addend(const Graph *g, const Node *n, int k, const uint32_t *thin)
{
    const Node *a = &g->node.at[n->in[k]];

    return same_dims(a, n) && (!a->axes || (a->axes == n->axes && thin[n->in[k]]));
}

/* Of a product with a matrix, of its parts and its sums with such and with vectors that no step changes: its inputs. 0: something else. */
static uint32_t inputs_of(const Graph *g, Ref r, const uint32_t *thin)
{
    const Node *n = &g->node.at[r], *a = &g->node.at[n->in[0]], *b = &g->node.at[n->in[1]];
    const uint32_t *w = node_attr(g, r);

    if (n->dtype != DT_F || n->rank != 1 || !n->axes || n->dim[0] < LEAST) return 0;
    if (n->op == OP_SLICE) return thin[n->in[0]];
    if (n->op == OP_ADD && is_addend(g, n, 0, thin) && is_addend(g, n, 1, thin)) return thin[n->in[0]] + thin[n->in[1]];
    if (n->op != OP_DOT || a->rank != 1 || b->rank != 2 || b->axes || a->axes != n->axes) return 0;
    return w[0] == w[3] || w[0] == w[4] ? (uint32_t)a->dim[0] : 0;
}

/* A product that is elementwise work and sums: of a matrix that each example has for itself, and a vector. */
static bool is_own_product(const Graph *body, Ref r)
{
    const Node *n = &body->node.at[r], *a = &body->node.at[n->in[0]], *b = &body->node.at[n->in[1]];

    return (n->axes & a->axes & b->axes & AX(AXIS_B)) && a->rank + b->rank < 4;
}

static bool is_elementwise(const Graph *body)
{
    for (Ref r = 1; r < body->node.n; r++)
        if (body->node.at[r].op == OP_SCAN || (body->node.at[r].op == OP_DOT && !is_own_product(body, r))) return false;
    return true;
}

static bool is_in(const Ref *list, uint32_t n, Ref r)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == r) return true;
    return false;
}

/* Whether a reader of r makes it for itself. */
static bool takes(const Graph *g, Ref reader, Ref r, const uint32_t *thin)
{
    ScanInfo s;

    if (g->node.at[reader].op != OP_SCAN) return thin[reader];
    s = scan_info(g, reader);
    return g->node.at[r].axes == (AX(s.axis) | AX(AXIS_B)) && is_elementwise(g->module->graph.at[s.body]) && !is_in(s.init, s.ncarry, r) &&
           !is_in(s.capture, s.ncapture, r);
}

/* By value: its inputs, where it is a thin product that nobody else reads; else 0. parts: of a product each part is judged for itself. */
static uint32_t *find_thin(const Graph *g, bool parts)
{
    uint32_t *thin = NEW_N(g->module->arena, uint32_t, g->node.n);
    bool more = true;

    for (Ref r = 1; r < g->node.n; r++) thin[r] = inputs_of(g, r, thin);
    for (Ref r = 1; r < g->node.n; r++) thin[r] = thin[r] > INPUTS ? 0 : thin[r];
    for (uint32_t i = 0; i < g->root.n; i++) thin[g->root.at[i].ref] = 0;
    while (more) {
        more = false;
        for (Ref r = g->node.n; r-- > 1;) {
            const Ref *in;
            uint32_t k = node_inputs(g, r, &in);
            bool lost = thin[r] && !inputs_of(g, r, thin);
            if (lost) thin[r] = 0;
            for (uint32_t i = 0; i < k; i++) {
                bool part = parts && g->node.at[r].op == OP_SLICE && g->node.at[in[i]].op == OP_DOT;
                bool drop = thin[in[i]] && !part && !takes(g, r, in[i], thin);
                if (drop) thin[in[i]] = 0;
                lost |= drop;
            }
            more |= lost;
        }
    }
    return thin;
}

/* ---- products of which some parts are thin -------------------------------------------------------------------------------------- */

/* Which dimension of product r's matrix its columns are. */
static uint32_t columns_of(const Graph *g, Ref r)
{
    const uint32_t *w = node_attr(g, r);
    return w[0] == w[3];
}

static Ref cut_columns(Graph *dst, const Graph *src, Ref r, const Ref *map, int32_t lo, int32_t hi)
{
    return g_slice(dst, map[src->node.at[r].in[1]], columns_of(src, r), lo, hi);
}

static Ref part_product(Graph *dst, const Graph *src, Ref r, const Ref *map, Ref matrix)
{
    const Node *n = &src->node.at[r];
    const uint32_t *w = node_attr(src, r);
    return g_dot(dst, map[n->in[0]], matrix, (uint8_t[]){(uint8_t)w[0], (uint8_t)w[1], (uint8_t)w[2]}, (uint8_t[]){(uint8_t)w[3], (uint8_t)w[4], (uint8_t)w[5]},
                 (uint8_t[]){(uint8_t)w[6], (uint8_t)w[7], (uint8_t)w[8]}, w[9]);
}

/* The columns of product r that some part needs which is not thin, by column; false: there are none, or no others. */
static bool find_rest(const Graph *g, Ref r, const uint32_t *thin, bool *rest)
{
    bool any = false, other = false;
    for (Ref u = r + 1; u < g->node.n; u++) {
        const uint32_t *w = g->node.at[u].op == OP_SLICE && g->node.at[u].in[0] == r ? node_attr(g, u) : NULL;
        if (!w) continue;
        any |= thin[u] != 0;
        other |= !thin[u];
        for (uint32_t i = w[1]; i < w[2] && !thin[u]; i++) rest[i] = true;
    }
    return any && other;
}

/* The product of those columns. */
static Ref rest_product(Graph *dst, const Graph *src, Ref r, const Ref *map, const bool *rest)
{
    int32_t N = src->node.at[r].dim[0];
    Ref *part = NEW_N(src->module->arena, Ref, (size_t)N);
    uint32_t n = 0;
    for (int32_t i = 0, from = 0; i <= N; i++) {
        if (i < N && rest[i]) continue;
        if (i > from) part[n++] = cut_columns(dst, src, r, map, from, i);
        from = i + 1;
    }
    return part_product(dst, src, r, map, g_concat(dst, part, n, columns_of(src, r)));
}

/* A part of product r: one of its own, or columns of what is left of it. */
static Ref cut_part(Graph *dst, const Graph *src, Ref u, const Ref *map, const bool *rest, bool thin)
{
    const uint32_t *w = node_attr(src, u);
    Ref r = src->node.at[u].in[0];
    int32_t lo = (int32_t)w[1], hi = (int32_t)w[2], before = 0;
    if (thin) return part_product(dst, src, r, map, cut_columns(dst, src, r, map, lo, hi));
    for (int32_t i = 0; i < lo; i++) before += rest[i];
    return before == 0 && dst->node.at[map[r]].dim[0] == hi - lo ? map[r] : g_slice(dst, map[r], 0, before, before + hi - lo);
}

/* Takes apart the products of which some parts are thin. */
static void cut_products(Module *m, const PassOptions *o)
{
    const Graph *src = m->graph.at[0];
    uint32_t *thin = find_thin(src, true);
    bool **rest = NEW_N(m->arena, bool *, src->node.n), any = false;
    for (Ref r = 1; r < src->node.n; r++) {
        const Node *n = &src->node.at[r];
        if (n->op != OP_DOT || !thin[r]) continue;
        rest[r] = NEW_N(m->arena, bool, (size_t)n->dim[0]);
        if (!find_rest(src, r, thin, rest[r])) rest[r] = NULL;
        any |= rest[r] != NULL;
        if (rest[r] && o->explain) put_place(o->explain, src, r, "in parts, of which some are made in the steps of each loop that reads them");
    }
    if (!any) return;
    Graph *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n);
    for (Ref r = 1; r < src->node.n; r++) {
        const Node *n = &src->node.at[r];
        dst->span = n->span;
        dst->name = n->name;
        if (rest[r])
            map[r] = rest_product(dst, src, r, map, rest[r]);
        else if (n->op == OP_SLICE && rest[n->in[0]])
            map[r] = cut_part(dst, src, r, map, rest[n->in[0]], thin[r]);
        else
            map[r] = graph_copy_node(dst, src, r, map);
    }
    dst->span = dst->name = 0;
    replace_model(m, dst, map);
}

/* ---- in the steps ------------------------------------------------------------------------------------------------------------------ */

/* Input i of the row times elements `at` and following of the weights, on top of base. */
static Ref add_input(Graph *body, Ref base, Ref row, int32_t i, Ref weights, int32_t at, int32_t wide)
{
    Ref input = g_reshape(body, g_slice(body, row, 0, i, i + 1), 0, NULL);
    Ref m = g_bin(body, OP_MUL, input, g_slice(body, weights, 0, at, at + wide));

    return base ? g_bin(body, OP_ADD, base, m) : m;
}

/* Elements lo to hi of thin product r on top of base. */
static Ref make_part(Sink *x, Graph *body, Ref r, int32_t lo, int32_t hi, Ref base)
{
    const Node n = x->host->node.at[r];
    const uint32_t *w = node_attr(x->host, r), *thin = x->more;
    int32_t from = n.op == OP_SLICE ? (int32_t)w[1] : 0;
    int32_t inputs, size;
    Ref weights, row;

    if (n.op == OP_SLICE) return make_part(x, body, n.in[0], from + lo, from + hi, base);
    for (int i = 0; i < 2 && n.op == OP_ADD; i++) {
        Ref v = thin[n.in[i]] ? 0 : sink_capture(x, body, g_slice(x->dst, x->map[n.in[i]], 0, lo, hi));
        if (v) return make_part(x, body, n.in[!i], lo, hi, base ? g_bin(body, OP_ADD, base, v) : v);
    }
    if (n.op == OP_ADD) return make_part(x, body, n.in[1], lo, hi, make_part(x, body, n.in[0], lo, hi, base));
    row = sink_step(x, body, n.in[0]);
    inputs = x->host->node.at[n.in[0]].dim[0];
    size = inputs * n.dim[0];
    weights = x->map[n.in[1]];
    if (w[0] == w[4]) weights = g_transpose(x->dst, weights, (uint32_t[]){1, 0, 2});
    weights = sink_capture(x, body, g_reshape(x->dst, weights, 1, &size));
    for (int32_t i = 0; i < inputs; i++) base = add_input(body, base, row, i, weights, i * n.dim[0] + lo, hi - lo);
    return base;
}

static Ref make(Sink *x, Graph *body, Ref r)
{
    return make_part(x, body, r, 0, x->host->node.at[r].dim[0], 0);
}

static Ref thin_scan(Module *m, const Graph *src, Graph *dst, Ref r, const Ref *map, uint32_t *thin)
{
    Sink x = {.host = src, .dst = dst, .map = map, .s = scan_info(src, r), .sunk = NEW_N(m->arena, bool, src->node.n), .more = thin};
    bool any = false;

    for (uint32_t i = 0; i < x.s.nstep; i++) any |= x.sunk[i] = thin[x.s.step[i]];
    return any ? sink_steps(m, &x, make) : graph_copy_node(dst, src, r, map);
}

bool pass_thin(Module *m, const PassOptions *o)
{
    cut_products(m, o);
    const Graph *src = m->graph.at[0];
    Graph *dst;
    Ref *map = NEW_N(m->arena, Ref, src->node.n);
    uint32_t *thin = find_thin(src, false);
    bool any = false;

    for (Ref r = 1; r < src->node.n; r++) {
        any |= thin[r];
        if (thin[r] && src->node.at[r].op == OP_DOT && o->explain) put_place(o->explain, src, r, "in the steps of each loop that reads it");
    }
    if (!any) return false;
    dst = module_add_graph(m);
    for (Ref r = 1; r < src->node.n; r++) {
        dst->span = src->node.at[r].span;
        dst->name = src->node.at[r].name;
        map[r] = src->node.at[r].op == OP_SCAN ? thin_scan(m, src, dst, r, map, thin) : graph_copy_node(dst, src, r, map);
    }
    dst->span = dst->name = 0;
    replace_model(m, dst, map);
    module_dce(m);
    return true;
}
