/* plan: what kind of code each node gets, in which item it stands, and which values need memory.
   Works on one graph; nothing is emitted here. The rules look at classes of operations only. */
#include "passes/lower_int.h"

static bool is_elementwise(const Node *n)
{
    int c = op_info[n->op].cls;
    return c == OPC_UNARY || c == OPC_BINARY || c == OPC_TERNARY;
}

static bool same_dims(const Node *a, const Node *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dim[d] != b->dim[d])
            return false;
    return true;
}

static bool real(uint8_t kind)
{
    return kind >= NK_ROW;
}

/* Nodes that this phase of the plan leaves alone: those of the other rate. */
static bool other_rate(const LowG *lg, Ref r)
{
    return lg->ni[r].load != lg->load_phase;
}

static void count_uses(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t k = 0; k < n; k++)
            lg->ni[in[k]].uses++;
    }
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref)
            lg->ni[g->root.at[i].ref].uses += 2; /* a root is never folded into a user */
}

static void find_load_rate(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n && !lg->body; r++) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t k = node_inputs(g, r, &in);
        bool any = n->op == OP_PARAM, all = n->axes == 0 && op_info[n->op].cls != OPC_CONTROL && op_info[n->op].cls != OPC_TIME;
        if (op_info[n->op].cls == OPC_LEAF)
            all = n->op == OP_PARAM || n->op == OP_CONST || (n->op == OP_IOTA && !n->attr);
        for (uint32_t i = 0; i < k; i++) {
            any |= lg->ni[in[i]].load;
            all &= lg->ni[in[i]].load || g->node.at[in[i]].op == OP_CONST ||
                   (g->node.at[in[i]].op == OP_EXPAND && g->node.at[g->node.at[in[i]].in[0]].op == OP_CONST);
        }
        lg->ni[r].load = any && all;
    }
}

/* shift(stack of a carry's next, its initial value) one step back in the scan's direction: the carry before each step. */
static bool is_carry_view(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    const Node *o = &g->node.at[n->in[0]];
    if (o->op != OP_OUT || g->node.at[o->in[0]].op != OP_SCAN)
        return false;
    ScanInfo s = scan_info(g, o->in[0]);
    const Graph *b = g->module->graph.at[s.body];
    const Root *root = &b->root.at[s.ncarry + o->attr];
    if (root->kind != ROOT_STACK || w[0] != s.axis || (int32_t)w[1] != (s.reverse ? -1 : 1))
        return false;
    for (uint32_t k = 0; k < s.ncarry; k++)
        if (b->root.at[k].ref == root->ref && s.init[k] == n->in[1])
            return true;
    return false;
}

static uint8_t first_kind(LowG *lg, Ref r)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    DotInfo info;
    GemmKind kind;
    switch (op_info[n->op].cls) {
    case OPC_LEAF:
        return n->op == OP_NOISE ? NK_ROW : NK_FREE;
    case OPC_REDUCE:
        return n->op != OP_ARGMAX && node_attr(g, r)[0] ? NK_AXIS : NK_ROW;
    case OPC_CONTRACT:
        if (!dot_is_gemm(g, r, &info, &kind))
            low_fail(lg->L, "a dot of another form");
        return kind == GEMM_ROWS ? NK_GEMM : NK_GRADIENT;
    case OPC_SHAPE:
        if (n->op == OP_CONCAT)
            return NK_ROW;
        if (n->op == OP_RESHAPE && !same_dims(n, &g->node.at[n->in[0]]) && !is_scalar(n))
            for (Ref o = n->in[0]; lg->ni[o].kind == NK_ACCESS; o = g->node.at[o].in[0])
                lg->ni[o].kind = NK_ROW; /* a reshape reads dense rows */
        return NK_ACCESS;
    case OPC_INDEX:
        return n->op == OP_GATHER ? NK_ROW : NK_SCATTER;
    case OPC_TIME:
        return n->op == OP_SHIFT && is_carry_view(g, r) ? NK_FREE : NK_TIME;
    case OPC_CONTROL:
        return n->op == OP_SCAN ? NK_SCAN : NK_FREE;
    default:
        return NK_ROW;
    }
}

/* Sums of products with the same rows become one accumulator: an addition joins when one operand is a product (or such a
   sum) that nobody else reads. At most one other addend, the value that the accumulator starts from. */
static void find_chains(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        NodeInfo *ni = lg->ni;
        if (n->op != OP_ADD || n->dtype != DT_F || ni[r].kind != NK_ROW)
            continue;
        bool p[2];
        for (int k = 0; k < 2; k++) {
            const Node *o = &g->node.at[n->in[k]];
            p[k] = ni[n->in[k]].kind == NK_GEMM && ni[n->in[k]].uses == 1 && o->axes == n->axes && same_dims(o, n);
        }
        Ref b0 = p[0] ? ni[n->in[0]].base : n->in[0], b1 = p[1] ? ni[n->in[1]].base : n->in[1];
        if ((!p[0] && !p[1]) || (b0 && b1) || n->in[0] == n->in[1])
            continue;
        if ((b0 || b1) && !same_dims(&g->node.at[b0 ? b0 : b1], n))
            continue; /* one scalar for all columns is added in the body */
        ni[r].kind = NK_GEMM;
        ni[r].base = b0 ? b0 : b1;
        for (int k = 0; k < 2; k++)
            if (p[k])
                ni[n->in[k]].kind = NK_CHAIN;
    }
}

/* Multiplications that only additions read are never rounded: they are part of their users' fma, wherever these stand. */
static void find_fused(LowG *lg)
{
    const Graph *g = lg->g;
    NodeInfo *ni = lg->ni;
    uint32_t *adds = NEW_N(lg->L->arena, uint32_t, g->node.n);
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        if ((n->op == OP_ADD || n->op == OP_SUB) && n->dtype == DT_F && ni[r].kind == NK_ROW)
            for (int k = 0; k < 2; k++)
                adds[n->in[k]]++;
    }
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        if (n->op == OP_MUL && n->dtype == DT_F && ni[r].kind == NK_ROW && adds[r] == ni[r].uses && ni[r].uses) {
            ni[r].fused = true;
            ni[r].kind = NK_INLINE;
        }
    }
}

static bool full_reduce(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r], *o = &g->node.at[n->in[0]];
    return (n->op == OP_SUM || n->op == OP_AMAX) && o->rank == 1 && n->rank == 0 && node_attr(g, r)[1];
}

/* Elementwise values that one reduction alone reads are computed in its loops. */
static void find_absorbed(LowG *lg)
{
    const Graph *g = lg->g;
    NodeInfo *ni = lg->ni;
    Ref *user = NEW_N(lg->L->arena, Ref, g->node.n);
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t k = 0; k < n; k++)
            user[in[k]] = r;
    }
    for (Ref r = g->node.n; r-- > 1;) {
        const Node *n = &g->node.at[r];
        if (ni[r].kind != NK_ROW || !is_elementwise(n) || ni[r].uses != 1 || !user[r] || is_scalar(n))
            continue;
        Ref u = user[r];
        const Node *un = &g->node.at[u];
        bool reduce = ni[u].kind == NK_AXIS || (ni[u].kind == NK_ROW && un->op != OP_ARGMAX &&
                                                op_info[un->op].cls == OPC_REDUCE && !full_reduce(g, u));
        bool inner = ni[u].kind == NK_INLINE && !ni[u].fused && same_dims(un, n) && un->axes == n->axes;
        if (reduce || inner)
            ni[r].kind = NK_INLINE;
    }
}

/* ---- order ------------------------------------------------------------------------------------------------------------ */

/* Whether the values that r is computed from exist, given the nodes marked done. */
static bool inputs_done(const LowG *lg, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    for (uint32_t k = 0; k < n; k++)
        if (!lg->ni[in[k]].done)
            return false;
    return true;
}

static bool settle_free(LowG *lg)
{
    bool any = false;
    for (Ref r = 1; r < lg->g->node.n; r++)
        if (!lg->ni[r].done && (!real(lg->ni[r].kind) || lg->ni[r].group) && inputs_done(lg, r))
            lg->ni[r].done = any = true; /* a group's nodes come with their scan */
    return any;
}

static Item *add_item(LowG *lg, uint8_t kind, uint32_t axes)
{
    Item *it = &VEC_PUSH(lg->L->arena, lg->item);
    *it = (Item){ .kind = kind, .axes = axes };
    return it;
}

static void add_row_item(LowG *lg, uint32_t axes, Ref group)
{
    Item *it = add_item(lg, NK_ROW, axes);
    it->group = group;
    for (Ref r = 1; r < lg->g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        if (ni->done || !inputs_done(lg, r))
            continue;
        if (ni->kind == NK_ROW && lg->g->node.at[r].axes == axes && ni->group == group) {
            VEC_PUSH(lg->L->arena, it->node) = r;
            ni->item = lg->item.n;
            ni->done = true;
        } else if (!real(ni->kind) || (ni->group && ni->group != group)) {
            ni->done = true;
        }
    }
}

static int count_bits(uint32_t x)
{
    int n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

static void schedule(LowG *lg, Ref group);

/* The items that a scan's chunks begin with. */
static void schedule_group(LowG *lg, Ref scan)
{
    bool any = false;
    for (Ref r = 1; r < scan; r++)
        if (lg->ni[r].group == scan)
            lg->ni[r].done = !(any = true);
    if (any)
        schedule(lg, scan);
}

/* The items of a group (0: of none), in order. */
static void schedule(LowG *lg, Ref group)
{
    const Graph *g = lg->g;
    for (;;) {
        if (!group)
            settle_free(lg);
        bool any = false;
        Ref row = 0;
        for (Ref r = 1; r < g->node.n; r++) {
            NodeInfo *ni = &lg->ni[r];
            if (ni->done || ni->group != group || !inputs_done(lg, r))
                continue;
            if (!real(ni->kind)) { /* of a group: nothing to do */
                ni->done = true;
                continue;
            }
            if (ni->kind == NK_SCAN)
                schedule_group(lg, r);
            if (ni->kind == NK_ROW) {
                if (!row || count_bits(g->node.at[r].axes) < count_bits(g->node.at[row].axes))
                    row = r;
                continue;
            }
            Item *it = add_item(lg, ni->kind, g->node.at[r].axes);
            it->group = group;
            VEC_PUSH(lg->L->arena, it->node) = r;
            ni->item = lg->item.n;
            any = true;
        }
        for (uint32_t i = 0; i < lg->item.n; i++)
            for (uint32_t k = 0; k < lg->item.at[i].node.n; k++)
                lg->ni[lg->item.at[i].node.at[k]].done = true;
        if (any)
            continue;
        if (!row)
            break;
        add_row_item(lg, g->node.at[row].axes, group);
    }
}

/* ---- memory and phases --------------------------------------------------------------------------------------------------- */

/* The values in registers or memory that r reads, through shape operations and inlined nodes. */
typedef void Visit(LowG *lg, Ref user, Ref value, bool mapped);
static void visit_inputs(LowG *lg, Ref r, Visit *f);

static void visit(LowG *lg, Ref user, Ref o, bool mapped, Visit *f)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[o];
    NodeInfo *ni = &lg->ni[o];
    if (ni->kind == NK_ACCESS) {
        const Node *c = &g->node.at[n->in[0]];
        bool plain = n->op == OP_EXPAND && same_dims(n, c);
        visit(lg, user, n->in[0], !is_scalar(c) && (mapped || !plain), f);
    } else if (ni->kind == NK_INLINE || ni->kind == NK_CHAIN) {
        const Ref *in;
        uint32_t k = node_inputs(g, o, &in);
        for (uint32_t i = 0; i < k; i++)
            visit(lg, user, in[i], mapped, f);
    } else if (ni->sunk && lg->ni[user].kind == NK_SCAN) { /* its operands are read in the steps */
        visit_inputs(lg, o, f);
    } else if (real(ni->kind)) {
        f(lg, user, o, mapped);
    }
}

static void visit_inputs(LowG *lg, Ref r, Visit *f)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    for (uint32_t k = 0; k < n; k++)
        visit(lg, r, in[k], false, f);
}

static void mark_memory(LowG *lg, Ref user, Ref o, bool mapped)
{
    (void)mapped;
    if (lg->ni[user].kind == NK_ROW && lg->ni[o].kind == NK_ROW && lg->ni[user].item == lg->ni[o].item &&
        other_rate(lg, user) == other_rate(lg, o))
        return;
    lg->ni[o].mem = true;
}

/* Whether a vector loop over the last dimension of `user` reads every operand contiguously or as one value. */
bool contiguous(LowG *lg, Ref o, uint32_t rank, uint32_t lane)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[o];
    NodeInfo *ni = &lg->ni[o];
    if (is_scalar(n))
        return true;
    if (ni->kind == NK_INLINE) {
        const Ref *in;
        uint32_t k = node_inputs(g, o, &in);
        for (uint32_t i = 0; i < k; i++)
            if (g->node.at[in[i]].rank && !contiguous(lg, in[i], rank, lane))
                return false;
        return true;
    }
    if ((n->op == OP_STEP || n->op == OP_CAPTURE) && lg->up) /* a view outside is a view here */
        return contiguous(lg->up, n->op == OP_STEP ? lg->scan.step[n->attr] : lg->scan.capture[n->attr], rank, lane);
    if (ni->kind != NK_ACCESS)
        return lane == UINT32_MAX || lane + 1 == n->rank;
    const uint32_t *w = n->op == OP_RESHAPE ? NULL : node_attr(g, o);
    const Node *c = &g->node.at[n->in[0]];
    if (is_scalar(c))
        return true;
    if (n->op == OP_TRANSPOSE)
        return contiguous(lg, n->in[0], c->rank, lane == UINT32_MAX ? lane : w[lane]);
    if (n->op == OP_EXPAND) {
        uint32_t to = UINT32_MAX;
        if (lane != UINT32_MAX && (int32_t)w[lane] >= 0 && c->dim[w[lane]] > 1)
            to = w[lane];
        return contiguous(lg, n->in[0], c->rank, to);
    }
    if (n->op == OP_SLICE)
        return contiguous(lg, n->in[0], c->rank, lane);
    return lane == UINT32_MAX || lane + 1 == n->rank; /* reshape of dense rows */
}

static void find_loops(LowG *lg, Ref r)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    NodeInfo *ni = &lg->ni[r];
    if (ni->kind != NK_ROW)
        return;
    ni->nest = n->op == OP_CONCAT || n->op == OP_ARGMAX || ((n->op == OP_SUM || n->op == OP_AMAX) && !full_reduce(g, r));
    if (ni->nest || is_scalar(n))
        return;
    if (n->op == OP_GATHER)
        ni->scalar_loop = g->node.at[n->in[1]].rank == n->rank || !contiguous(lg, n->in[0], n->rank, g->node.at[n->in[0]].rank - 1u);
    else if (is_elementwise(n))
        for (int k = 0; k < op_info[n->op].arity; k++)
            ni->scalar_loop |= g->node.at[n->in[k]].rank && !contiguous(lg, n->in[k], n->rank, n->rank - 1u);
    else if (op_info[n->op].cls == OPC_SHAPE) { /* a copy that a reshape or a product asked for */
        ni->kind = NK_ACCESS;
        ni->scalar_loop = !contiguous(lg, r, n->rank, n->rank - 1u);
        ni->kind = NK_ROW;
    }
}

static uint32_t need_phase(const LowG *lg, Ref user, Ref o, bool mapped)
{
    const NodeInfo *u = &lg->ni[user], *v = &lg->ni[o];
    const Node *un = &lg->g->node.at[user], *vn = &lg->g->node.at[o];
    if (is_scalar(vn))
        return v->phase + (un->op == OP_GATHER || v->nest || v->scalar_loop || (mapped && u->nest));
    const Node *loop = full_reduce(lg->g, user) ? &lg->g->node.at[un->in[0]] : un;
    bool apart = mapped || u->nest || v->nest || u->scalar_loop || v->scalar_loop || !same_dims(loop, vn);
    return v->phase + apart;
}

static void set_phase(LowG *lg, Ref user, Ref o, bool mapped)
{
    if (lg->ni[user].kind != NK_ROW || lg->ni[o].item != lg->ni[user].item || lg->ni[o].kind != NK_ROW || other_rate(lg, o))
        return;
    uint32_t p = need_phase(lg, user, o, mapped);
    if (p > lg->ni[user].loop_phase)
        lg->ni[user].loop_phase = p;
}

static void mark_scratch(LowG *lg, Ref user, Ref o, bool mapped)
{
    NodeInfo *u = &lg->ni[user], *v = &lg->ni[o];
    if (u->kind != NK_ROW || v->item != u->item || v->kind != NK_ROW || other_rate(lg, o))
        return;
    const Node *vn = &lg->g->node.at[o], *un = &lg->g->node.at[user];
    const Node *loop = full_reduce(lg->g, user) ? &lg->g->node.at[un->in[0]] : un;
    bool gathered = un->op == OP_GATHER; /* an index is read from memory */
    if (is_scalar(vn) ? gathered : mapped || v->phase != u->loop_phase || u->nest || v->nest || u->scalar_loop || v->scalar_loop || !same_dims(loop, vn))
        v->scratch = true;
}

static void set_phases(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        if (other_rate(lg, r) || ni->kind != NK_ROW)
            continue;
        find_loops(lg, r);
        visit_inputs(lg, r, set_phase);
        bool later = full_reduce(g, r) || (is_scalar(&g->node.at[r]) && (ni->nest || ni->scalar_loop));
        ni->phase = ni->loop_phase + later;
    }
    for (Ref r = 1; r < g->node.n; r++)
        if (!other_rate(lg, r) && lg->ni[r].kind == NK_ROW)
            visit_inputs(lg, r, mark_scratch);
    for (Ref r = 1; r < g->node.n; r++)
        if (!other_rate(lg, r) && lg->ni[r].kind == NK_ROW && (lg->ni[r].nest || lg->ni[r].scalar_loop) && !is_scalar(&g->node.at[r]))
            lg->ni[r].scratch = true; /* its loops write it, others read it */
}

/* The row operand of a product is read along its features: anything else gets a dense copy. */
static void need_rows(LowG *lg, Ref o)
{
    const Graph *g = lg->g;
    NodeInfo *ni = &lg->ni[o];
    const Node *n = &g->node.at[o];
    if (n->op == OP_CONST) {
        low_fail(lg->L, "a constant as the row operand of a product");
        return;
    }
    if (ni->kind != NK_ACCESS)
        return;
    if (n->op == OP_SLICE || (n->op == OP_EXPAND && same_dims(n, &g->node.at[n->in[0]])) ||
        (n->op == OP_RESHAPE && n->rank == 1 && lg->ni[n->in[0]].kind != NK_ACCESS && g->node.at[n->in[0]].op != OP_CONST)) {
        need_rows(lg, n->in[0]);
        return;
    }
    ni->kind = NK_ROW;
}

/* A shape operation of a constant gets a place where its reader wants memory: a scan's step inputs and captures, a gather. */
static void need_place(LowG *lg, Ref o)
{
    const Graph *g = lg->g;
    Ref c = o;
    while (lg->ni[c].kind == NK_ACCESS)
        c = g->node.at[c].in[0];
    int op = g->node.at[c].op;
    if (lg->ni[o].kind == NK_ACCESS && (op == OP_CONST || op == OP_IOTA || op == OP_LENGTH))
        lg->ni[o].kind = NK_ROW;
}

static void need_scan_operands(LowG *lg, Ref r)
{
    ScanInfo s = scan_info(lg->g, r);
    for (uint32_t k = 0; k < s.nstep + s.ncapture; k++)
        need_place(lg, k < s.nstep ? s.step[k] : s.capture[k - s.nstep]);
}

static void need_operand_rows(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        DotInfo d;
        GemmKind kind;
        if (n->op == OP_DOT && dot_is_gemm(g, r, &d, &kind)) {
            Ref left = n->in[d.swapped], right = n->in[!d.swapped];
            need_rows(lg, left);
            if (kind == GEMM_GRADIENT)
                need_rows(lg, right);
        }
        if (lg->ni[r].kind == NK_GEMM && lg->ni[r].base) {
            Ref b = lg->ni[r].base;
            if (lg->ni[b].kind == NK_ACCESS && !(g->node.at[b].op == OP_SLICE || (g->node.at[b].op == OP_EXPAND && same_dims(&g->node.at[b], &g->node.at[g->node.at[b].in[0]]))))
                lg->ni[b].kind = NK_ROW; /* for instance one scalar for all columns */
            if (lg->ni[b].kind == NK_INLINE)
                lg->ni[b].kind = NK_ROW, lg->ni[b].fused = false;
        }
        if (n->op == OP_SCAN)
            need_scan_operands(lg, r);
        if (n->op == OP_GATHER || n->op == OP_SCATTER_ADD)
            for (int k = 0; k < 2; k++)
                need_place(lg, n->in[k]);
    }
}

void plan_kinds(LowG *lg)
{
    const Graph *g = lg->g;
    const Pin *pin = lg->L->pin ? lg->L->pin[g->index] : NULL;
    lg->ni = NEW_N(lg->L->arena, NodeInfo, g->node.n + 1);
    count_uses(lg);
    find_load_rate(lg);
    for (Ref r = 1; r < g->node.n && pin; r++) {
        lg->ni[r].kind = pin[r].kind;
        lg->ni[r].fused = pin[r].fused;
        lg->ni[r].down = pin[r].down;
        lg->ni[r].base = pin[r].base;
    }
    if (pin) {
        plan_place(lg);
        return;
    }
    for (Ref r = 1; r < g->node.n; r++)
        lg->ni[r].kind = first_kind(lg, r);
    find_chains(lg);
    need_operand_rows(lg);
    find_fused(lg);
    find_absorbed(lg);
    plan_place(lg);
}

static void mark_roots(LowG *lg)
{
    const Graph *g = lg->g;
    for (uint32_t i = 0; i < g->root.n; i++) {
        Ref r = g->root.at[i].ref;
        if (r && real(lg->ni[r].kind))
            lg->ni[r].mem = true;
        else if (r)
            visit(lg, r, r, true, mark_memory);
    }
}

void plan_graph(LowG *lg)
{
    const Graph *g = lg->g;
    if (!lg->ni)
        plan_kinds(lg);
    lg->item.n = 0;
    for (Ref r = 1; r < g->node.n; r++)
        lg->ni[r].done = other_rate(lg, r);
    schedule(lg, 0);
    for (Ref r = 1; r < g->node.n; r++) /* what is inlined asks through its users */
        if (real(lg->ni[r].kind) && (!other_rate(lg, r) || lg->load_phase)) /* in the load phase run-rate users ask for memory too */
            visit_inputs(lg, r, mark_memory);
    mark_roots(lg);
    set_phases(lg);
    if (!lg->load_phase)
        explain_slow(lg);
}
