/* simplify: every graph is emitted again, so that folding and sharing apply, under these rules:
     add(pad x, pad y), disjoint          -> concat(x, y)           (the adjoint of the slices of one value)
     last(stack of next k)                -> last k;   sum of a sum -> one
     sum(W * expand x), x along W's dim   -> dot(x, W)              (a product that was written as a sum; W without axes)
     dot(x, dot(a, b)), a (x) b, over a's -> dot(dot(x, a), b)      (the matrix of all products is not needed)
     carry k with next = carry            -> capture; two carries with one init and one next -> one
     carry k with next = a step input     -> where it is read, that input, shifted; what hangs on it can leave the loop
     step or capture of an expand, const  -> of what it expands; the const itself
     last of a concat or another view     -> of what it views
     scan whose steps are all reverse(x)  -> scan in the other direction; its stacks are reversed
     stack of a step, capture or const    -> the outer value
   then dead code, needless operands and outs of scans (module_dce). Repeated until nothing changes.
   relies on: graph_emit folds; a body refers to outer values only through its leaves. Each scan gets a body of its own. */
#include <string.h>

#include "ir/build.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/* Where a leaf of an old body comes from in the new one. */
typedef struct {
    Op op; /* CARRY STEP CAPTURE CONST */
    uint32_t index;
    double value;
    bool delayed; /* a carry that is read as step input `read` */
    uint32_t read;
    Node type; /* of the leaf in the new body */
    bool expanded; /* then `map` leads to the old leaf's dims */
    int32_t map[MAX_RANK];
} Origin;

typedef struct {
    Origin *carry, *step, *capture;
} Places;

typedef struct {
    Ref scan; /* in the new host */
    bool flipped; /* it runs in the other direction */
    Ref *direct; /* by out: the outer value that it equals, or 0 */
    uint32_t *out; /* by out: its index in the new body */
} NewScan;

static void rebuild(Module *m, const Graph *src, Graph *dst, const Places *places, Ref *map);

/* ---- local rules ---------------------------------------------------------------------------------------------------------- */

/* A value that is zero outside of [start, stop) of one dim: a pad, or a concat that begins or ends with zeros. */
typedef struct {
    uint32_t dim;
    int32_t start, stop, size;
    Ref inner;
} Padded;

static bool padded(const Graph *g, Ref r, Padded *p)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);

    if (n->op != OP_PAD) return false;
    p->dim = w[0];
    p->start = (int32_t)w[1];
    p->size = n->dim[w[0]];
    p->stop = p->size - (int32_t)w[2];
    p->inner = n->in[0];
    return true;
}

/* The sum of two disjoint pads, lower part first; 0 if they are not neighbours. */
static Ref join_pads(Graph *g, Ref a, Ref b)
{
    Padded p, q;
    Ref part[2], r;

    if (!padded(g, a, &p) || !padded(g, b, &q) || p.dim != q.dim) return 0;
    if (q.stop == p.start) {
        Padded t = p;
        p = q;
        q = t;
    }
    if (p.stop != q.start) return 0;
    part[0] = p.inner;
    part[1] = q.inner;
    r = g_concat(g, part, 2, p.dim);
    return g_pad(g, r, p.dim, p.start, q.size - q.stop);
}

/* tree + pad, where the pad joins a neighbour among the addends of the tree (adding zeros is exact). */
static Ref add_pad(Graph *g, Ref tree, Ref pad, int depth)
{
    const Node t = g->node.at[tree];
    Ref v = join_pads(g, tree, pad);

    if (v || t.op != OP_ADD || depth == 0) return v;
    for (int k = 0; k < 2 && !v; k++) {
        v = add_pad(g, t.in[k], pad, depth - 1);
        if (v) v = g_bin(g, OP_ADD, t.in[1 - k], v);
    }
    return v;
}

static Ref simplify_add(Graph *g, Ref r)
{
    const Node n = g->node.at[r];
    Padded p;
    Ref v = 0;

    for (int i = 0; i < 2 && !v; i++) {
        const Node c = g->node.at[n.in[i]];
        if (padded(g, n.in[i], &p)) v = add_pad(g, n.in[1 - i], n.in[i], 8);
        for (int k = 0; k < 2 && !v && c.op == OP_ADD; k++) {
            if (!padded(g, c.in[k], &p)) continue;
            v = add_pad(g, n.in[1 - i], c.in[k], 8);
            if (v) v = g_bin(g, OP_ADD, v, c.in[1 - k]);
        }
    }
    return v ? node_fit(g, v, &n) : 0;
}

/* concat of concats along the same dim */
static Ref flatten_concat(Graph *g, Ref r)
{
    uint32_t n, dim = g->node.at[r].attr;
    const Ref *in = node_ext(g, r, &n);
    RefVec part = {0};
    bool nested = false;

    for (uint32_t i = 0; i < n; i++) {
        const Node *x = &g->node.at[in[i]];
        uint32_t k, count;
        const Ref *inner;
        if (x->op != OP_CONCAT || x->attr != dim) {
            VEC_PUSH(g->module->arena, part) = in[i];
            continue;
        }
        nested = true;
        inner = node_ext(g, in[i], &count);
        for (k = 0; k < count; k++) VEC_PUSH(g->module->arena, part) = inner[k];
    }
    return nested ? g_concat(g, part.at, part.n, dim) : 0;
}

static Ref last_of_stack(Graph *g, Ref r)
{
    const Node *n = &g->node.at[r], *out = &g->node.at[n->in[0]];
    ScanInfo s;
    Graph *body;
    const Root *root;

    if (out->op != OP_OUT) return 0;
    s = scan_info(g, out->in[0]);
    body = g->module->graph.at[s.body];
    root = &body->root.at[s.ncarry + out->attr];
    if (s.axis != n->attr || s.reverse || root->kind != ROOT_STACK) return 0;
    for (uint32_t k = 0; k < s.ncarry; k++)
        if (body->root.at[k].ref == root->ref) return g_out(g, out->in[0], body_out(body, ROOT_LAST, 0, k));
    return 0;
}

/* Views of nothing are 0 like the last of nothing, so they can wait. */
static Ref last_of_view(Graph *g, Ref r)
{
    Node x = g->node.at[g->node.at[r].in[0]];
    uint32_t n, axis = g->node.at[r].attr;
    const Ref *in;
    Ref *part;

    if (x.op == OP_SLICE || x.op == OP_RESHAPE || x.op == OP_TRANSPOSE) {
        x.in[0] = g_last(g, x.in[0], axis);
        return graph_emit(g, &x, NULL);
    }
    if (x.op != OP_CONCAT) return 0;
    in = node_ext(g, g->node.at[r].in[0], &n);
    part = NEW_N(g->module->arena, Ref, n);
    memcpy(part, in, n * sizeof *part);
    for (uint32_t i = 0; i < n; i++) part[i] = g_last(g, part[i], axis);
    return g_concat(g, part, n, x.attr);
}

/* A dot needs no broadcast along axes that it keeps. */
static Ref narrow_dot(Graph *g, Ref r)
{
    Node n = g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    uint8_t label[3][3];
    bool changed = false;
    uint32_t kept = w[9];
    Ref in[2] = {n.in[0], n.in[1]};

    for (int i = 0; i < 9; i++) label[i / 3][i % 3] = (uint8_t)w[i];
    for (int i = 0; i < 2; i++) {
        const Node *e = &g->node.at[in[i]];
        if (e->op != OP_EXPAND || g->node.at[e->in[0]].rank != e->rank) continue;
        if ((e->axes & ~g->node.at[e->in[0]].axes) & ~kept) continue;
        in[i] = e->in[0];
        changed = true;
    }
    if (!changed) return 0;
    kept &= g->node.at[in[0]].axes | g->node.at[in[1]].axes;
    return node_fit(g, g_dot(g, in[0], in[1], label[0], label[1], label[2], kept), &n);
}

typedef struct {
    Ref value;
    uint8_t label[3];
    uint32_t rank;
} Labelled;

static bool has(const Labelled *x, uint8_t label)
{
    for (uint32_t i = 0; i < x->rank; i++)
        if (x->label[i] == label) return true;
    return false;
}

static Labelled operand_of(const Graph *g, Ref r, int k)
{
    Labelled x = {.value = k < 2 ? g->node.at[r].in[k] : r};

    x.rank = g->node.at[x.value].rank;
    for (int i = 0; i < 3; i++) x.label[i] = (uint8_t)node_attr(g, r)[3 * k + i];
    return x;
}

/* The operands of dot r, which sums nothing, by the labels that `as` has for its result. */
static bool outer_of(const Graph *g, const Labelled *as, Labelled *a, Labelled *b)
{
    const Node *n = &g->node.at[as->value];
    Labelled from;
    DotInfo d;

    if (n->op != OP_DOT) return false;
    d = dot_classify(g, as->value);
    if (d.kind != DOT_OUTER || d.nbatch || n->rank < 2) return false;
    from = operand_of(g, as->value, 2);
    *a = operand_of(g, as->value, 0);
    *b = operand_of(g, as->value, 1);
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; i < (k ? b : a)->rank; i++)
            for (uint32_t j = 0; j < from.rank; j++)
                if (operand_of(g, as->value, k).label[i] == from.label[j]) (k ? b : a)->label[i] = as->label[j];
    return true;
}

/* x times the outer product of a and b, where all that is summed is a's: x times a first. 0: not that. */
static Ref dot_of_outer(Graph *g, Ref r)
{
    Labelled out = operand_of(g, r, 2), a, b;
    const Node n = g->node.at[r];

    if (n.axes != (g->node.at[n.in[0]].axes | g->node.at[n.in[1]].axes)) return 0;
    for (int k = 0; k < 4; k++) {
        Labelled x = operand_of(g, r, k & 1), m = operand_of(g, r, !(k & 1)), t = {0};
        bool ok = outer_of(g, &m, k & 2 ? &b : &a, k & 2 ? &a : &b), summed = false;
        for (uint32_t i = 0; ok && i < b.rank; i++) ok = !has(&x, b.label[i]) || has(&out, b.label[i]);
        for (uint32_t i = 0; ok && i < a.rank; i++) summed |= has(&x, a.label[i]) && !has(&out, a.label[i]);
        for (int side = 0; ok && summed && side < 2; side++) {
            const Labelled *y = side ? &a : &x;
            for (uint32_t i = 0; i < y->rank && ok; i++)
                if (has(&out, y->label[i]) && !has(&t, y->label[i])) {
                    ok = t.rank < MAX_RANK;
                    if (ok) t.label[t.rank++] = y->label[i];
                }
        }
        if (!ok || !summed) continue;
        uint32_t axes = g->node.at[x.value].axes | g->node.at[a.value].axes;
        t.value = g_dot(g, x.value, a.value, x.label, a.label, t.label, axes);
        return node_fit(g, g_dot(g, t.value, b.value, t.label, b.label, out.label, n.axes), &n);
    }
    return 0;
}

/* A product with a matrix times a number, one of which the examples have of their own: the product, which is smaller, times the number. */
static Ref scale_after(Graph *g, Ref r)
{
    const Node n = g->node.at[r];
    Labelled in[2] = {operand_of(g, r, 0), operand_of(g, r, 1)}, out = operand_of(g, r, 2);

    for (int k = 0; k < 4; k++) {
        const Node *m = &g->node.at[in[k & 1].value];
        Ref number = m->in[k >> 1], rest = m->in[!(k >> 1)];
        if (m->op != OP_MUL || m->rank < 2 || g->node.at[number].rank || g->node.at[rest].rank != m->rank) continue;
        if (!m->axes || (g->node.at[number].axes & ~n.axes) || node_features(&n) >= node_features(m)) continue;
        in[k & 1].value = rest;
        rest = g_dot(g, in[0].value, in[1].value, in[0].label, in[1].label, out.label,
                     n.axes & (g->node.at[in[0].value].axes | g->node.at[in[1].value].axes));
        return node_fit(g, g_bin(g, OP_MUL, rest, number), &n);
    }
    return 0;
}

/* The sum of all of a matrix times an outer product a b': a times the matrix's product with b. */
static Ref sum_of_outer(Graph *g, Ref r)
{
    const Node n = g->node.at[r], m = g->node.at[n.in[0]];
    const uint32_t *w = node_attr(g, r);

    if (m.op != OP_MUL || m.rank != 2 || w[0] || w[1] != 3) return 0;
    for (int k = 0; k < 2; k++) {
        Labelled a, b, x = {m.in[k], {1, 2, 0}, 2}, outer = {m.in[!k], {1, 2, 0}, 2};
        if (g->node.at[x.value].rank != 2 || !outer_of(g, &outer, &a, &b) || a.rank != 1 || b.rank != 1) continue;
        x.value = g_dot(g, x.value, b.value, x.label, b.label, a.label, g->node.at[x.value].axes | g->node.at[b.value].axes);
        return node_fit(g, g_dot(g, x.value, a.value, a.label, a.label, (uint8_t[3]){0}, n.axes), &n);
    }
    return 0;
}

/* sum of a sum: one */
static Ref merge_sums(Graph *g, Ref r)
{
    const Node *n = &g->node.at[r], *a = &g->node.at[n->in[0]];
    const uint32_t *w = node_attr(g, r), *v;
    uint32_t dims, k = 0;

    if (a->op != OP_SUM) return 0;
    v = node_attr(g, n->in[0]);
    dims = v[1];
    for (uint32_t i = 0; i < MAX_RANK; i++) {
        if (v[1] >> i & 1) continue;
        if (w[1] >> k & 1) dims |= 1u << i;
        k++;
    }
    return g_sum(g, a->in[0], w[0] | v[0], dims);
}

/* The vector that r is spread from along one dim of a matrix or more, *dim; 0: r is something else. */
static Ref spread_vector(const Graph *g, Ref r, uint32_t *dim)
{
    const Node *n = &g->node.at[r], *x;
    const uint32_t *w = node_attr(g, r);
    uint32_t found = 0;

    if (n->op != OP_EXPAND || n->rank < 2) return 0;
    x = &g->node.at[n->in[0]];
    for (uint32_t d = 0; d < n->rank; d++)
        if ((int32_t)w[d] == 0) {
            *dim = d;
            found++;
        }
    return x->rank == 1 && found == 1 && x->axes == n->axes && x->dim[0] == n->dim[*dim] ? n->in[0] : 0;
}

/* sum over one dim of W * x, where x lies along that dim and W, of the product's dims, has no axes: a product of x and W. A W of
   three dims is read as a matrix. */
static Ref sum_as_product(Graph *g, Ref r)
{
    static const uint8_t row[3] = {1, 0, 0}, column[3] = {2, 0, 0}, io[3] = {1, 2, 0}, oi[3] = {2, 1, 0};
    const Node n = g->node.at[r], a = g->node.at[n.in[0]];
    const uint32_t *w = node_attr(g, r);
    uint32_t dim = 0, summed = w[1];

    if (a.op != OP_MUL || a.dtype != DT_F || w[0] || !a.axes || a.rank < 2) return 0;
    for (int k = 0; k < 2; k++) {
        Ref x = spread_vector(g, a.in[k], &dim), m = a.in[1 - k];
        const Node *weight = &g->node.at[m];
        bool last = dim + 1u == a.rank;
        int32_t size[3] = {0};
        if (!x || weight->axes || weight->rank != a.rank || weight->op == OP_EXPAND || summed != 1u << dim) continue;
        if (g->node.at[x].axes != a.axes || (dim && !last)) continue;
        size[!last] = (int32_t)(node_features(weight) / a.dim[dim]);
        size[last] = a.dim[dim];
        x = g_dot(g, x, g_reshape(g, m, 2, size), row, last ? oi : io, column, a.axes);
        return g_reshape(g, x, n.rank, n.dim);
    }
    return 0;
}

static Ref local(Graph *g, Ref r)
{
    Op op = (Op)g->node.at[r].op;
    Ref v = 0;

    if (op == OP_ADD) v = simplify_add(g, r);
    else if (op == OP_CONCAT) v = flatten_concat(g, r);
    else if (op == OP_LAST && (v = last_of_stack(g, r)) == 0) v = last_of_view(g, r);
    else if (op == OP_DOT && (v = narrow_dot(g, r)) == 0 && (v = dot_of_outer(g, r)) == 0) v = scale_after(g, r);
    else if (op == OP_SUM && (v = merge_sums(g, r)) == 0 && (v = sum_as_product(g, r)) == 0) v = sum_of_outer(g, r);
    return v ? v : r;
}

/* ---- operands of a scan ------------------------------------------------------------------------------------------------------ */

typedef struct {
    RefVec init, step, capture; /* of the new scan, in the new host */
    uint32_t axis;
} Operands;

static uint32_t operand(Arena *a, RefVec *v, Ref r)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r) return i;
    VEC_PUSH(a, *v) = r;
    return v->n - 1;
}

/* A step input or capture r of the host, looked through its expand. */
static Origin place_value(Graph *host, Operands *o, Ref r, bool step)
{
    Origin p = {.op = OP_CAPTURE};
    Ref inner = r;

    if (const_value(host, r, &p.value)) {
        p.op = OP_CONST;
        p.type = (Node){.dtype = host->node.at[r].dtype};
        return p;
    }
    if (host->node.at[r].op == OP_EXPAND) {
        const uint32_t *w = node_attr(host, r);
        inner = host->node.at[r].in[0];
        p.expanded = true;
        for (int i = 0; i < MAX_RANK; i++) p.map[i] = (int32_t)w[i];
    }
    p.type = host->node.at[inner];
    if (step && (p.type.axes & AX(o->axis))) p.op = OP_STEP;
    p.index = operand(host->module->arena, p.op == OP_STEP ? &o->step : &o->capture, inner);
    if (p.op == OP_STEP) p.type.axes &= ~AX(o->axis);
    return p;
}

static Ref place_leaf(Graph *body, const Origin *p, const Node *want)
{
    Ref r;

    if (p->op == OP_CONST) {
        r = want->dtype == DT_F ? g_const(body, p->value) : want->dtype == DT_I ? g_int(body, (int32_t)p->value)
                                                                               : g_bool(body, p->value != 0);
        return node_fit(body, r, want);
    }
    r = leaf_like(body, p->delayed ? OP_STEP : p->op, p->delayed ? p->read : p->index, &p->type, 0);
    return p->expanded ? g_expand(body, r, want->rank, want->dim, p->map, want->axes & ~p->type.axes) : r;
}

static bool is_carry(const Graph *body, Ref r, uint32_t k)
{
    return body->node.at[r].op == OP_CARRY && body->node.at[r].attr == k;
}

static bool is_read(const Graph *body, uint32_t k)
{
    for (Ref r = 1; r < body->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(body, r, &in);
        for (uint32_t i = 0; i < n; i++)
            if (is_carry(body, in[i], k)) return true;
    }
    return false;
}

/* A carry that is last step's input: the input shifted by a step, the start first. Its own value stays, for its last one. */
static void delay(Graph *host, Operands *o, const Graph *body, const ScanInfo *s, const Ref *map, uint32_t k, Origin *place)
{
    const Node *next = &body->node.at[body->root.at[k].ref];
    Ref init = map[s->init[k]], x;

    if (next->op != OP_STEP || !is_read(body, k)) return;
    x = map[s->step[next->attr]];
    if (host->node.at[x].axes != (host->node.at[init].axes | AX(o->axis)) || !(host->node.at[init].axes & AX(AXIS_B))) return;
    place->delayed = true;
    place->read = operand(host->module->arena, &o->step, g_shift(host, x, init, s->axis, s->reverse ? -1 : 1));
}

static void place_carries(Graph *host, Operands *o, const Graph *body, const ScanInfo *s, const Ref *map, Origin *place)
{
    for (uint32_t k = 0; k < s->ncarry; k++) {
        Ref init = map[s->init[k]], next = body->root.at[k].ref;
        double a, b;
        uint32_t twin = k;
        if (is_carry(body, next, k)) {
            place[k] = place_value(host, o, init, false);
            continue;
        }
        if (const_value(host, init, &a) && const_value(body, next, &b) && a == b) {
            place[k] = place_value(host, o, init, false);
            continue;
        }
        for (uint32_t i = k; i-- > 0;)
            if (map[s->init[i]] == init && body->root.at[i].ref == next) twin = i;
        if (twin != k) {
            place[k] = place[twin];
            continue;
        }
        place[k] = (Origin){.op = OP_CARRY, .index = o->init.n, .type = host->node.at[init]};
        VEC_PUSH(host->module->arena, o->init) = init;
        delay(host, o, body, s, map, k, &place[k]);
    }
}

static Places place_operands(Graph *host, Operands *o, const Graph *body, const ScanInfo *s, const Ref *map)
{
    Arena *a = host->module->arena;
    Places p = {NEW_N(a, Origin, s->ncarry + 1), NEW_N(a, Origin, s->nstep + 1), NEW_N(a, Origin, s->ncapture + 1)};

    place_carries(host, o, body, s, map, p.carry);
    for (uint32_t i = 0; i < s->nstep; i++) p.step[i] = place_value(host, o, map[s->step[i]], true);
    for (uint32_t i = 0; i < s->ncapture; i++) p.capture[i] = place_value(host, o, map[s->capture[i]], false);
    return p;
}

/* ---- scans -------------------------------------------------------------------------------------------------------------------- */

/* The outer value that an out equals, if no loop is needed for it. */
static Ref direct_out(Graph *host, const Graph *body, const Root *root, const ScanInfo *s, const Places *p, const Ref *map)
{
    const Node *n;
    double v;

    if (root->kind == ROOT_LAST) return p->carry[root->index].op == OP_CARRY ? 0 : map[s->init[root->index]];
    n = &body->node.at[root->ref];
    if (const_value(body, root->ref, &v) && (root->kind == ROOT_STACK || v == 0)) {
        Node type = *n;
        Ref r = n->dtype == DT_F ? g_const(host, v) : n->dtype == DT_I ? g_int(host, (int32_t)v) : g_bool(host, v != 0);
        if (root->kind == ROOT_STACK) type.axes |= AX(s->axis);
        return node_fit(host, r, &type);
    }
    if (root->kind != ROOT_STACK) return 0;
    if (n->op == OP_STEP) return map[s->step[n->attr]];
    if (n->op == OP_CAPTURE) return g_expand_axes(host, map[s->capture[n->attr]], AX(s->axis));
    if (n->op == OP_CARRY && p->carry[n->attr].op != OP_CARRY) return g_expand_axes(host, map[s->init[n->attr]], AX(s->axis));
    return 0;
}

/* Does the body, or one within it, see which step it is at? */
static bool counts_steps(const Module *m, const Graph *body, uint32_t axis)
{
    for (Ref r = 1; r < body->node.n; r++) {
        const Node *n = &body->node.at[r];
        if (n->op == OP_IOTA && n->attr == 1 + axis) return true;
        if (n->op == OP_NOISE && (node_attr(body, r)[2] & AX(axis))) return true;
        if (n->op == OP_SCAN && counts_steps(m, m->graph.at[scan_info(body, r).body], axis)) return true;
    }
    return false;
}

/* Turns the scan around if all that it reads is reversed. */
static bool flip(const Graph *host, const Graph *body, const ScanInfo *s, Operands *o)
{
    const Module *m = host->module;

    if (!o->step.n || counts_steps(m, body, s->axis)) return false;
    for (uint32_t i = 0; i < o->step.n; i++) {
        const Node *n = &host->node.at[o->step.at[i]];
        if (n->op != OP_REVERSE || n->attr != s->axis || host->node.at[n->in[0]].axes != n->axes) return false;
    }
    for (uint32_t i = s->ncarry; i < body->root.n && m->axis[s->axis].ragged; i++)
        if (body->root.at[i].kind == ROOT_STACK && !(body->node.at[body->root.at[i].ref].axes & AX(AXIS_B))) return false;
    for (uint32_t i = 0; i < o->step.n; i++) o->step.at[i] = host->node.at[o->step.at[i]].in[0];
    return true;
}

static NewScan *rebuild_scan(Module *m, const Graph *src, Graph *dst, Ref r, const Ref *map)
{
    Arena *a = m->arena;
    ScanInfo s = scan_info(src, r);
    const Graph *old = m->graph.at[s.body];
    Operands o = {.axis = s.axis};
    Places places = place_operands(dst, &o, old, &s, map);
    NewScan *n = NEW(a, NewScan);
    uint32_t nout = old->root.n - s.ncarry;
    Graph *body = module_add_graph(m);
    Ref *to = NEW_N(a, Ref, old->node.n);

    n->flipped = flip(dst, old, &s, &o);
    rebuild(m, old, body, &places, to);
    for (uint32_t k = 0; k < s.ncarry; k++) {
        const Root *x = &old->root.at[k];
        if (places.carry[k].op == OP_CARRY && places.carry[k].index == next_count(body))
            graph_root(body, ROOT_NEXT, x->name, to[x->ref], places.carry[k].index);
    }
    n->direct = NEW_N(a, Ref, nout + 1);
    n->out = NEW_N(a, uint32_t, nout + 1);
    for (uint32_t i = 0; i < nout; i++) {
        const Root *x = &old->root.at[s.ncarry + i];
        n->direct[i] = direct_out(dst, old, x, &s, &places, map);
        if (n->direct[i]) continue;
        if (x->kind == ROOT_LAST) n->out[i] = body_out(body, ROOT_LAST, 0, places.carry[x->index].index);
        else n->out[i] = body_out(body, (RootKind)x->kind, to[x->ref], 0);
    }
    n->scan = g_scan(dst, s.axis, (s.reverse != 0) != n->flipped, body->index, o.init.at, o.init.n, o.step.at, o.step.n, o.capture.at, o.capture.n);
    return n;
}

/* ---- graphs ------------------------------------------------------------------------------------------------------------------- */

static Ref rebuild_leaf(Graph *dst, const Graph *src, Ref r, const Places *places, const Ref *map)
{
    const Node *n = &src->node.at[r];
    const Origin *p;

    if (n->op != OP_CARRY && n->op != OP_STEP && n->op != OP_CAPTURE) return graph_copy_node(dst, src, r, map);
    p = n->op == OP_CARRY ? places->carry : n->op == OP_STEP ? places->step : places->capture;
    return place_leaf(dst, &p[n->attr], n);
}

static Ref new_out(Graph *g, const NewScan *s, uint32_t i)
{
    ScanInfo f = scan_info(g, s->scan);
    const Root *x = &g->module->graph.at[f.body]->root.at[f.ncarry + s->out[i]];
    Ref r = g_out(g, s->scan, s->out[i]);

    return s->flipped && x->kind == ROOT_STACK ? g_reverse(g, r, f.axis) : r;
}

static void rebuild(Module *m, const Graph *src, Graph *dst, const Places *places, Ref *map)
{
    NewScan **scan = NEW_N(m->arena, NewScan *, src->node.n);
    uint8_t *live = NEW_N(m->arena, uint8_t, src->node.n);

    mark_live(src, live);
    for (Ref r = 1; r < src->node.n; r++) {
        const Node *n = &src->node.at[r];
        if (!live[r]) continue;
        dst->span = n->span;
        dst->name = n->name;
        if (n->op == OP_SCAN) {
            scan[r] = rebuild_scan(m, src, dst, r, map);
            map[r] = scan[r]->scan;
        } else if (n->op == OP_OUT) {
            const NewScan *s = scan[n->in[0]];
            map[r] = s->direct[n->attr] ? s->direct[n->attr] : new_out(dst, s, n->attr);
        } else if (op_info[n->op].cls == OPC_LEAF) {
            map[r] = rebuild_leaf(dst, src, r, places, map);
        } else {
            map[r] = local(dst, graph_copy_node(dst, src, r, map));
        }
    }
    dst->span = dst->name = 0;
}

static void round_once(Module *m)
{
    Graph *src = m->graph.at[0], *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n);

    rebuild(m, src, dst, NULL, map);
    replace_model(m, dst, map);
    module_dce(m);
}

bool pass_simplify(Module *m, const PassOptions *o)
{
    uint64_t before = module_hash(m), last = before, now;

    (void)o;
    for (int i = 0; i < 20; i++, last = now) {
        round_once(m);
        now = module_hash(m);
        if (now == last) break;
    }
    return last != before;
}
