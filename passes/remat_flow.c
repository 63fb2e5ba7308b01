/* Where a node can be computed when an axis T is worked through in segments: outside of them, in the segments of a sweep, or as
   a sum over them. The direction in which a sum over T goes follows from it, in every program. */
#include "passes/remat.h"

/* A scan over T; not one whose carries are themselves sequences over T. */
static bool is_scan_of(const Flow *f, Ref r)
{
    ScanInfo s = scan_info(f->g, r);
    for (uint32_t k = 0; k < s.ncarry; k++)
        if (f->g->node.at[s.init[k]].axes & AX(f->axis))
            return false;
    return s.axis == f->axis;
}

bool stands(const Flow *f, Ref r)
{
    uint8_t k = f->lg->ni[r].kind;
    return k >= NK_ROW || k == NK_FREE;
}

/* From when on a value exists for all steps. */
static uint32_t whole_at(Flow *f, Ref r)
{
    if (f->role[r] != STEP)
        return f->at[r] + (f->role[r] == REDUCE);
    f->whole[r] = true;
    if (stands(f, r))
        return f->at[r] + 1;
    const Ref *in;
    uint32_t n = node_inputs(f->g, r, &in), at = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t x = whole_at(f, in[k]);
        at = x > at ? x : at;
    }
    return at;
}

static uint32_t operands_at(Flow *f, const Ref *in, uint32_t n, bool whole)
{
    uint32_t at = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t x = whole || f->role[in[k]] == REDUCE ? whole_at(f, in[k]) : f->at[in[k]];
        at = x > at ? x : at;
    }
    return at;
}

static void flow_scan(Flow *f, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(f->g, r, &in);
    if (!is_scan_of(f, r)) {
        f->at[r] = operands_at(f, in, n, true);
        return;
    }
    ScanInfo s = scan_info(f->g, r);
    uint32_t a = operands_at(f, s.step, s.nstep, false), b = operands_at(f, s.init, s.ncarry, true), c = operands_at(f, s.capture, s.ncapture, true);
    a = a > b ? a : b;
    a = a > c ? a : c;
    f->role[r] = SCAN;
    f->at[r] = a + ((a & 1) != (s.reverse != 0));
}

static void flow_out(Flow *f, Ref r)
{
    const Node *n = &f->g->node.at[r];
    bool mine = f->role[n->in[0]] == SCAN, stack = mine && (n->axes & AX(f->axis));
    f->role[r] = stack ? STEP : OUTSIDE;
    f->at[r] = f->at[n->in[0]] + (mine && !stack);
}

static void flow_time(Flow *f, Ref r)
{
    const Node *n = &f->g->node.at[r];
    const uint32_t *w = node_attr(f->g, r);
    bool view = f->lg->ni[r].kind == NK_FREE, own = w[0] == f->axis, steps = n->axes & AX(f->axis);
    if (view && f->role[n->in[0]] == STEP) {
        f->role[r] = STEP;
        f->at[r] = f->at[n->in[0]];
    } else if (n->op == OP_JOIN || view || !steps) {
        f->at[r] = operands_at(f, n->in, op_info[n->op].arity, true);
    } else {
        f->role[r] = STEP;
        f->at[r] = operands_at(f, n->in, op_info[n->op].arity, own);
    }
}

/* A sum that can be taken segment by segment: T is the outermost axis that it goes over. */
static bool by_segments(const Flow *f, Ref r)
{
    const Node *n = &f->g->node.at[r];
    uint8_t kind = f->lg->ni[r].kind;
    uint32_t axes = 0;
    for (int k = 0; k < op_info[n->op].arity; k++)
        axes |= f->g->node.at[n->in[k]].axes;
    axes &= ~n->axes & ~AX(f->lg->L->bx);
    return (kind == NK_AXIS || kind == NK_GRADIENT || kind == NK_SCATTER) && n->dtype == DT_F && (axes & (~axes + 1)) == AX(f->axis);
}

static void flow_node(Flow *f, Ref r)
{
    const Node *n = &f->g->node.at[r];
    const Ref *in;
    uint32_t count = node_inputs(f->g, r, &in);
    bool steps = n->axes & AX(f->axis), any = false;
    for (uint32_t k = 0; k < count; k++)
        any |= f->role[in[k]] == STEP;
    if (n->op == OP_SCAN)
        flow_scan(f, r);
    else if (n->op == OP_OUT)
        flow_out(f, r);
    else if (op_info[n->op].cls == OPC_TIME)
        flow_time(f, r);
    else if (op_info[n->op].cls == OPC_LEAF) /* the same everywhere, but for noise */
        f->role[r] = n->op == OP_NOISE && steps ? STEP : OUTSIDE;
    else {
        f->role[r] = steps ? STEP : any && by_segments(f, r) ? REDUCE : OUTSIDE;
        f->at[r] = operands_at(f, in, count, any && f->role[r] == OUTSIDE);
    }
}

Flow flow_of(LowG *lg, uint32_t axis)
{
    Arena *a = lg->L->arena;
    uint32_t n = lg->g->node.n;
    Flow f = { lg, lg->g, axis, NEW_N(a, uint8_t, n), NEW_N(a, bool, n), NEW_N(a, uint32_t, n) };
    for (Ref r = 1; r < n; r++)
        flow_node(&f, r);
    for (uint32_t i = 0; i < lg->g->root.n; i++)
        if (lg->g->root.at[i].ref)
            whole_at(&f, lg->g->root.at[i].ref);
    return f;
}

void remat_order(LowG *lg)
{
    for (uint32_t a = 1; a < lg->L->m->naxis; a++) {
        if (a == lg->L->bx)
            continue;
        Flow f = flow_of(lg, a);
        for (Ref r = 1; r < lg->g->node.n; r++)
            if (f.role[r] == REDUCE)
                lg->ni[r].down = f.at[r] & 1;
    }
}
