/* upend: a state that is a tall, narrow matrix is carried upside down, so that loops along rows are long.
   before:  %8 = expand 0 : f<B>[128,4]   %9 = scan T fwd @1 carry(%8) ..   %10 = out %9 0 : f<B>[128,4]
            in @1: %1 = carry 0 : f<B>[128,4]   %5 = dot %1 %2 {ij,j->i}   %6 = dot %4 %2 {i,j->ij}   %7 = add %1 %6   next %7
   after:   %8 = expand 0 : f<B>[4,128]   %9 = scan T fwd @1 carry(%8) ..   %11 = out %9 0 : f<B>[4,128]   %10 = transpose %11 {1,0}
            in @1: %1 = carry 0 : f<B>[4,128]   %5 = dot %1 %2 {ji,j->i}   %6 = dot %4 %2 {i,j->ji}   %7 = add %1 %6   next %7
   Lanes run along the last dimension: here 128 of them, in place of 4 at a time that have to be summed each time. All values of the
   body that have the dimensions of the state go with it, and only if each is elementwise, an expand of less or a product, and read by
   nothing but such, sums, and products with vectors; no sequence of them may be a result. What the body captures of these dimensions is
   turned before the loop, if all examples have the same. Parameters, inputs and final states keep their dimensions. Before autodiff: the
   adjoints then lie the same way. */
#include "ir/build.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

enum { NARROW = 32, TALL = 32 }; /* measured: at 16 columns 1.2 times as fast, at 32 as fast, at 64 slower */

typedef struct {
    const Graph *old;
    int32_t dim[2];
} Tall;

static bool is_tall(const Tall *t, const Node *n)
{
    return n->rank == 2 && n->dim[0] == t->dim[0] && n->dim[1] == t->dim[1];
}

static bool is_elementwise_op(const Node *n)
{
    uint8_t c = op_info[n->op].cls;

    return c == OPC_UNARY || c == OPC_BINARY || c == OPC_TERNARY;
}

/* Whether a tall value can be made upside down from what it is made of. */
static bool can_be_made(const Tall *t, const Node *n)
{
    return is_elementwise_op(n) || n->op == OP_CARRY || (n->op == OP_CAPTURE && !n->axes) || n->op == OP_DOT ||
           (n->op == OP_EXPAND && t->old->node.at[n->in[0]].rank < 2);
}

/* Whether a reader of a tall value can read it upside down. */
static bool can_be_read(const Tall *t, const Node *n)
{
    if (n->op == OP_DOT) return t->old->node.at[n->in[0]].rank + t->old->node.at[n->in[1]].rank == 3;
    return is_elementwise_op(n) || n->op == OP_SUM || n->op == OP_AMAX;
}

static bool can_turn(const Tall *t)
{
    for (Ref r = 1; r < t->old->node.n; r++) {
        const Node *n = &t->old->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(t->old, r, &in);
        if (is_tall(t, n) && !can_be_made(t, n)) return false;
        for (uint32_t i = 0; i < count; i++)
            if (is_tall(t, &t->old->node.at[in[i]]) && !can_be_read(t, n)) return false;
    }
    for (uint32_t i = 0; i < t->old->root.n; i++) { /* whole sequences of them are read elsewhere, as they are */
        const Root *o = &t->old->root.at[i];
        if (o->kind != ROOT_NEXT && o->ref && is_tall(t, &t->old->node.at[o->ref])) return false;
    }
    return true;
}

/* The dimensions of a narrow state of the body that can be turned. */
static bool find_tall(const Graph *body, Tall *t)
{
    for (Ref r = 1; r < body->node.n; r++) {
        const Node *n = &body->node.at[r];
        *t = (Tall){body, {n->dim[0], n->dim[1]}};
        if (n->op == OP_CARRY && n->rank == 2 && n->dim[1] > 1 && n->dim[1] < NARROW && n->dim[0] >= TALL && can_turn(t)) return true;
    }
    return false;
}

static Ref upside_down(Graph *g, Ref r)
{
    return g_transpose(g, r, (uint32_t[]){1, 0, 2});
}

/* Of a tall value, what lies upside down in its place; turned: the operands, those that are tall upside down. */
static Ref make_tall(Graph *g, const Tall *t, Ref r, const Ref *turned)
{
    Node n = t->old->node.at[r];
    const uint32_t *w = node_attr(t->old, r);
    Node type = n;

    type.dim[0] = n.dim[1];
    type.dim[1] = n.dim[0];
    if (n.op == OP_CARRY || n.op == OP_CAPTURE) return leaf_like(g, n.op, n.attr, &type, 0);
    if (n.op == OP_EXPAND) return g_expand(g, turned[n.in[0]], 2, type.dim, (int32_t[]){(int32_t)w[1], (int32_t)w[0], -1}, w[3]);
    if (n.op == OP_DOT) {
        uint8_t l[3][3];
        for (int i = 0; i < 9; i++) l[i / 3][i % 3] = (uint8_t)w[i];
        return g_dot(g, turned[n.in[0]], turned[n.in[1]], l[0], l[1], (uint8_t[]){l[2][1], l[2][0], 0}, w[9]);
    }
    return node_fit(g, graph_copy_node(g, t->old, r, turned), &type);
}

static uint32_t make_body(Module *m, const Tall *t)
{
    Graph *body = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, t->old->node.n), *turned = NEW_N(m->arena, Ref, t->old->node.n);

    for (Ref r = 1; r < t->old->node.n; r++) {
        const Node n = t->old->node.at[r];
        const uint32_t *w = node_attr(t->old, r);
        body->span = n.span;
        body->name = n.name;
        if (is_tall(t, &n)) {
            turned[r] = make_tall(body, t, r, n.op == OP_DOT ? map : turned);
            map[r] = upside_down(body, turned[r]);
        } else if ((n.op == OP_SUM || n.op == OP_AMAX) && is_tall(t, &t->old->node.at[n.in[0]])) {
            uint32_t dims = (w[1] & 1) << 1 | w[1] >> 1;
            map[r] = turned[r] = (n.op == OP_SUM ? g_sum : g_amax)(body, turned[n.in[0]], w[0], dims);
        } else {
            map[r] = turned[r] = graph_copy_node(body, t->old, r, map);
        }
    }
    body->span = body->name = 0;
    for (uint32_t i = 0; i < t->old->root.n; i++) {
        const Root *o = &t->old->root.at[i];
        graph_root(body, (RootKind)o->kind, o->name, turned[o->ref], o->index);
    }
    return body->index;
}

/* An operand of the scan, which is upside down there if it is tall. */
static Ref turn_operand(const Graph *src, Graph *dst, Ref r, const Ref *map, const Tall *t)
{
    return is_tall(t, &src->node.at[r]) ? upside_down(dst, map[r]) : map[r];
}

static Ref turn_scan(Module *m, const Graph *src, Graph *dst, Ref r, const Ref *map, const Tall *t)
{
    ScanInfo s = scan_info(src, r);
    uint32_t body = make_body(m, t);
    Ref *in[3] = {NEW_N(m->arena, Ref, s.ncarry + 1), NEW_N(m->arena, Ref, s.nstep + 1), NEW_N(m->arena, Ref, s.ncapture + 1)};

    for (uint32_t i = 0; i < s.ncarry; i++) in[0][i] = turn_operand(src, dst, s.init[i], map, t);
    for (uint32_t i = 0; i < s.nstep; i++) in[1][i] = map[s.step[i]];
    for (uint32_t i = 0; i < s.ncapture; i++) in[2][i] = turn_operand(src, dst, s.capture[i], map, t);
    return g_scan(dst, s.axis, s.reverse, body, in[0], s.ncarry, in[1], s.nstep, in[2], s.ncapture);
}

/* The shape to turn in each scan of the model; whether there is any. */
static bool find_all(const Module *m, Tall *tall)
{
    const Graph *g = m->graph.at[0];
    bool any = false;

    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_SCAN) continue;
        if (find_tall(m->graph.at[scan_info(g, r).body], &tall[r])) any = true;
        else tall[r].old = NULL;
    }
    return any;
}

static void turn_all(Module *m, const Tall *tall)
{
    const Graph *src = m->graph.at[0];
    Graph *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n);

    for (Ref r = 1; r < src->node.n; r++) {
        const Node n = src->node.at[r];
        const Tall *t = n.op == OP_SCAN ? &tall[r] : n.op == OP_OUT ? &tall[n.in[0]] : NULL;
        dst->span = n.span;
        dst->name = n.name;
        if (n.op == OP_SCAN && t->old) map[r] = turn_scan(m, src, dst, r, map, t);
        else map[r] = graph_copy_node(dst, src, r, map);
        if (n.op == OP_OUT && t->old && is_tall(t, &n)) map[r] = upside_down(dst, map[r]);
    }
    dst->span = dst->name = 0;
    replace_model(m, dst, map);
}

bool pass_upend(Module *m, const PassOptions *o)
{
    bool changed = false;
    Tall *tall;

    (void)o;
    for (;;) { /* a shape at a time */
        module_dce(m);
        tall = NEW_N(m->arena, Tall, m->graph.at[0]->node.n);
        if (!find_all(m, tall)) return changed;
        turn_all(m, tall);
        changed = true;
    }
}
