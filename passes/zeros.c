/* zeros: which values are 0 in the steps that a loop begins with, and which ones of its last step nobody reads. Products leave those
   steps out (lower_gemm.c), weight gradients those rows (lower_gradient.c).
   before:  %5 = scan T fwd @1 carry(%4) ..     (%4 = const 0)      in @1:  dot %2 %3   (%2 = carry 0)      outside:  dot %8 %9   (%9 = shift %7 %4 T 1)
   after:   in step 0 the first dot has a K of 0; the second one sums from row B on
   and      %6 = scan T rev @2 ..               in @2:  next %4     (%4 = dot %3 %1, which nothing else reads, nor anybody the last carry)
   after:   in the last step it makes, step 0, that dot has a K of 0
   As folding has it, a product with a constant 0 is 0, whatever it is multiplied by. Of the graph alone, but for segments: what one of them
   begins with is what the one before it left. */
#include "passes/lower_int.h"

enum { ALL = INT32_MAX, DEPTH = 6 };

typedef struct {
    const Graph *g, *outer; /* outer: that of the scan, if g is its body */
    const ScanInfo *scan;
    uint32_t axis;
    bool reverse; /* the last steps, not the first ones */
} Zeros;

static int32_t zero_steps(const Zeros *z, Ref r, int depth);

/* Of values all of which, or one of which, must be 0. */
static int32_t of_operands(const Zeros *z, const Ref *in, uint32_t n, bool one, int depth)
{
    int32_t steps = one ? 0 : ALL;
    for (uint32_t k = 0; k < n; k++) {
        int32_t x = zero_steps(z, in[k], depth - 1);
        steps = one == (x > steps) ? x : steps;
    }
    return steps;
}

/* What a scan stacks is 0 where it is so in the body. */
static int32_t of_stack(const Zeros *z, const Node *n, int depth)
{
    if (z->g->node.at[n->in[0]].op != OP_SCAN)
        return 0;
    ScanInfo s = scan_info(z->g, n->in[0]);
    const Graph *body = z->g->module->graph.at[s.body];
    const Root *root = &body->root.at[s.ncarry + n->attr];
    Zeros in = { body, z->g, &s, z->axis, z->reverse };
    return root->kind == ROOT_STACK && s.axis == z->axis && !body->cut ? zero_steps(&in, root->ref, depth - 1) : 0;
}

/* What a body begins with, and what it reads at each step. */
static int32_t of_leaf(const Zeros *z, const Node *n, int depth)
{
    Zeros up = { .g = z->outer, .axis = z->axis, .reverse = z->reverse };
    double v;
    if (n->op == OP_STEP)
        return zero_steps(&up, z->scan->step[n->attr], depth - 1);
    return !z->scan->reverse == !z->reverse && const_value(z->outer, z->scan->init[n->attr], &v) && v == 0;
}

static int32_t of_shift(const Zeros *z, const Node *n)
{
    const uint32_t *w = node_attr(z->g, (Ref)(n - z->g->node.at));
    int32_t by = (int32_t)w[1];
    double fill;
    if (z->scan || w[0] != z->axis || !const_value(z->g, n->in[1], &fill) || fill != 0)
        return 0;
    return z->reverse ? (by < 0 ? -by : 0) : by > 0 ? by : 0;
}

/* In so many of the first steps (ALL: in every one) r is certainly 0. */
static int32_t zero_steps(const Zeros *z, Ref r, int depth)
{
    const Node *n = &z->g->node.at[r];
    const Ref *in;
    uint32_t count = node_inputs(z->g, r, &in);
    double v;
    if (const_value(z->g, r, &v))
        return v == 0 ? ALL : 0;
    if (n->dtype != DT_F || depth == 0)
        return 0;
    if ((n->op == OP_CARRY || n->op == OP_STEP) && z->scan)
        return of_leaf(z, n, depth);
    if (op_info[n->op].cls == OPC_SHAPE || n->op == OP_NEG || n->op == OP_ABS || n->op == OP_TANH || n->op == OP_ADD || n->op == OP_SUB)
        return of_operands(z, in, count, false, depth);
    if (n->op == OP_SELECT)
        return of_operands(z, in + 1, 2, false, depth);
    if (n->op == OP_MUL)
        return of_operands(z, in, 2, true, depth);
    return n->op == OP_SHIFT ? of_shift(z, n) : n->op == OP_OUT ? of_stack(z, n, depth) : 0;
}

bool zero_at_first(const LowG *bg, Ref r)
{
    Zeros z = { bg->g, bg->up->g, &bg->scan, bg->axis, bg->scan.reverse };
    return bg->body && !bg->segment && zero_steps(&z, r, DEPTH) > 0;
}

int32_t zero_rows(const LowG *lg, Ref r, uint32_t axis, bool last)
{
    Zeros z = { .g = lg->g, .axis = axis, .reverse = last };
    return lg->body || lg->L->seg == 1 + axis ? 0 : zero_steps(&z, r, DEPTH);
}

bool *read_at_last(const LowG *bg)
{
    const Graph *g = bg->g;
    bool *read = NEW_N(bg->L->arena, bool, g->node.n);
    const Ref *in;
    for (uint32_t k = 0; k < g->root.n; k++) {
        const Root *o = &g->root.at[k];
        if (o->kind == ROOT_LAST && !bg->segment)
            read[g->root.at[o->index].ref] = true;
        else if (o->kind != ROOT_NEXT || bg->segment)
            read[o->ref] = true;
    }
    for (Ref r = g->node.n; r-- > 1;)
        for (uint32_t n = read[r] ? node_inputs(g, r, &in) : 0; n-- > 0;)
            read[in[n]] = true;
    return read;
}
