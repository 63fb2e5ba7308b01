/* kinds: what kind of code each node of a legal graph gets. place, fuse and lower_loops all begin with this; it depends on the
   graph alone and decides nothing about order, place or memory. The rules look at classes of operations only.

     %7 = dot %1 %5      chain      }
     %8 = add %3 %7      chain      } one accumulator: starts from %3, adds %1 %5, then %2 %6
     %9 = dot %2 %6      chain      }
     %10 = add %8 %9     product
     %11 = mul %4 %4     inline     only additions read it: it is part of their fma, never rounded on its own
     %12 = add %10 %11   row
     %13 = slice %12     access     read through %12's place */
#include "passes/lower_int.h"

bool is_scalar(const Node *n)
{
    return node_features(n) == 1;
}

LElem elem_of(const Node *n)
{
    return n->dtype == DT_I ? LE_I32 : LE_F;
}

bool is_elementwise(const Node *n)
{
    int c = op_info[n->op].cls;
    return c == OPC_UNARY || c == OPC_BINARY || c == OPC_TERNARY;
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

static bool is_real_reshape(const Graph *g, const Node *n)
{
    return n->op == OP_RESHAPE && !same_dims(n, &g->node.at[n->in[0]]) && !is_scalar(n);
}

static uint8_t first_kind(LowG *lg, Ref r)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    DotInfo info;
    GemmKind kind;
    MatrixForm form;
    PairForm pairs;
    switch (op_info[n->op].cls) {
    case OPC_LEAF:
        return n->op == OP_NOISE ? NK_ROW : NK_FREE;
    case OPC_REDUCE:
        return n->op != OP_ARGMAX && node_attr(g, r)[0] ? NK_AXIS : NK_ROW;
    case OPC_CONTRACT:
        if (dot_is_gemm(g, r, &info, &kind))
            return kind == GEMM_ROWS ? NK_GEMM : NK_GRADIENT;
        if (is_pairs(g, r, &pairs))
            return pairs.outer ? NK_CHAIN : NK_AXIS;
        if (!is_matrix_row(g, r, &form))
            low_fail(lg->L, "a dot of another form");
        return NK_ROW;
    case OPC_SHAPE:
        if (n->op == OP_CONCAT)
            return NK_ROW;
        if (is_real_reshape(g, n))
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
   sum) that nobody else reads. At most one other addend, the value that the accumulator starts from: of more than TILE_SEGMENTS products
   the longer sum is such a value. */
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
        uint32_t more[2] = {ni[n->in[0]].more, ni[n->in[1]].more};
        if (p[0] && p[1] && more[0] + more[1] + 2 > TILE_SEGMENTS)
            p[more[1] > more[0]] = false;
        Ref b0 = p[0] ? ni[n->in[0]].base : n->in[0], b1 = p[1] ? ni[n->in[1]].base : n->in[1];
        if ((!p[0] && !p[1]) || (b0 && b1) || n->in[0] == n->in[1])
            continue;
        if ((b0 || b1) && !same_dims(&g->node.at[b0 ? b0 : b1], n))
            continue; /* one scalar for all columns is added in the body */
        ni[r].kind = NK_GEMM;
        ni[r].base = b0 ? b0 : b1;
        ni[r].more = (p[0] ? more[0] : 0) + (p[1] ? more[1] : 0) + (p[0] && p[1]);
        for (int k = 0; k < 2; k++)
            if (p[k])
                ni[n->in[k]].kind = NK_CHAIN;
    }
}

/* Whether the operand of a sum over features can be part of it, lanes and all. */
static bool takes_product(LowG *lg, Ref sum)
{
    const Node *m = &lg->g->node.at[lg->g->node.at[sum].in[0]];
    bool lanes = m->op == OP_MUL && m->dtype == DT_F;
    for (int k = 0; k < 2 && lanes && full_reduce(lg->g, sum); k++)
        lanes = contiguous(lg, m->in[k], lg->g->node.at[m->in[k]].rank, 0);
    return lanes;
}

/* The sum over steps of a vector of each pair of steps: its carry and one more step's product. */
static void find_pair_sums(LowG *lg)
{
    const Graph *g = lg->g;
    PairForm f;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        for (int k = 0; n->op == OP_ADD && k < 2; k++)
            if (g->node.at[n->in[!k]].op == OP_CARRY && is_pairs(g, n->in[k], &f) && f.outer) {
                lg->ni[r].kind = NK_AXIS;
                lg->ni[r].base = n->in[!k];
            }
    }
}

/* Multiplications that only additions, and sums over features, read are never rounded: they are part of their users' fma, wherever these
   stand. */
static void find_fused(LowG *lg)
{
    const Graph *g = lg->g;
    NodeInfo *ni = lg->ni;
    uint32_t *adds = NEW_N(lg->L->arena, uint32_t, g->node.n);
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        bool itself = n->op == OP_SUB && n->in[0] == n->in[1]; /* x y - x y is 0, not what rounding x y takes */
        if ((n->op == OP_ADD || n->op == OP_SUB) && n->dtype == DT_F && ni[r].kind == NK_ROW && !itself)
            for (int k = 0; k < 2; k++)
                adds[n->in[k]]++;
        if (n->op == OP_SUM && ni[r].kind == NK_ROW && takes_product(lg, r))
            adds[n->in[0]]++;
    }
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        if (n->op == OP_MUL && n->dtype == DT_F && ni[r].kind == NK_ROW && adds[r] == ni[r].uses && ni[r].uses) {
            ni[r].fused = true;
            ni[r].kind = NK_INLINE;
        }
    }
}

bool full_reduce(const Graph *g, Ref r)
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
        bool reduce = (ni[u].kind == NK_AXIS && un->op != OP_DOT) || (ni[u].kind == NK_ROW && un->op != OP_ARGMAX &&
                                                op_info[un->op].cls == OPC_REDUCE && !full_reduce(g, u));
        bool inner = ni[u].kind == NK_INLINE && !ni[u].fused && same_dims(un, n) && un->axes == n->axes;
        if (reduce || inner)
            ni[r].kind = NK_INLINE;
    }
}

/* Made of single numbers and of the index alone. */
static bool reads_no_vector(const LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    return is_scalar(n) || n->op == OP_CONST || (n->op == OP_IOTA && !n->attr && lg->ni[r].kind == NK_FREE);
}

/* Elementwise values that need no vector from memory and that one other elementwise value reads are computed there: they would be
   ready long before, and take memory until then. */
static void find_made_in_place(LowG *lg)
{
    const Graph *g = lg->g;
    NodeInfo *ni = lg->ni;
    bool *cheap = NEW_N(lg->L->arena, bool, g->node.n);
    for (Ref u = 1; u < g->node.n; u++) {
        const Node *un = &g->node.at[u];
        cheap[u] = ni[u].kind == NK_ROW && is_elementwise(un) && !is_scalar(un) && ni[u].uses == 1;
        for (int k = 0; k < op_info[un->op].arity && is_elementwise(un); k++) {
            Ref o = un->in[k];
            if (cheap[o] && ni[u].kind == NK_ROW && same_dims(un, &g->node.at[o]) && un->axes == g->node.at[o].axes)
                ni[o].kind = NK_INLINE;
            cheap[u] &= reads_no_vector(lg, o) || (cheap[o] && ni[o].kind == NK_INLINE);
        }
    }
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
    if (op == OP_IOTA && c == o && lg->ni[o].kind == NK_FREE) /* as an index */
        lg->ni[o].kind = NK_ROW;
    if (lg->ni[o].kind == NK_ACCESS && (op == OP_CONST || op == OP_IOTA || op == OP_LENGTH))
        lg->ni[o].kind = NK_ROW;
}

/* How a body reads what it is given. */
typedef bool Reads(const Graph *g, const Node *n);
static bool in_dense_rows(const Graph *g, const Node *n)
{
    return is_real_reshape(g, n);
}

static bool by_element(const Graph *g, const Node *n)
{
    (void)g;
    return is_elementwise(n);
}

/* Whether a node of the body of s, or of one in it, reads its k-th step input, or beyond these its capture, so. */
static bool read_inside(const Module *m, const ScanInfo *s, uint32_t k, Reads *so)
{
    const Graph *g = m->graph.at[s->body];
    uint16_t op = k < s->nstep ? OP_STEP : OP_CAPTURE;
    uint32_t index = k < s->nstep ? k : k - s->nstep;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        bool scan = n->op == OP_SCAN;
        ScanInfo t = scan ? scan_info(g, r) : (ScanInfo){ .nstep = so(g, n) ? op_info[n->op].arity : 0u, .step = n->in };
        for (uint32_t j = 0; j < t.nstep + t.ncapture; j++) {
            const Node *o = &g->node.at[j < t.nstep ? t.step[j] : t.capture[j - t.nstep]];
            if (o->op == op && o->attr == index && (!scan || read_inside(m, &t, j, so)))
                return true;
        }
    }
    return false;
}

/* Of what is read as it lies elsewhere, a copy: dense rows for a reshape; for the lanes of every step, where all rows have the same
   matrix, its transpose. */
static void need_scan_operands(LowG *lg, Ref r)
{
    ScanInfo s = scan_info(lg->g, r);
    for (uint32_t k = 0; k < s.nstep + s.ncapture; k++) {
        Ref o = k < s.nstep ? s.step[k] : s.capture[k - s.nstep];
        const Node *n = &lg->g->node.at[o];
        need_place(lg, o);
        if (lg->ni[o].kind == NK_ACCESS && (read_inside(lg->L->m, &s, k, in_dense_rows) ||
            (!n->axes && n->rank > 1 && !contiguous(lg, o, n->rank, n->rank - 1u) && read_inside(lg->L->m, &s, k, by_element))))
            lg->ni[o].kind = NK_ROW;
    }
}

static void need_operand_rows(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        DotInfo d;
        GemmKind kind;
        PairForm pairs;
        if (is_pairs(g, r, &pairs)) {
            need_rows(lg, n->in[0]);
            need_rows(lg, n->in[1]);
        } else if (n->op == OP_DOT && dot_is_gemm(g, r, &d, &kind)) {
            Ref left = n->in[d.swapped], right = n->in[!d.swapped];
            need_rows(lg, left);
            if (kind == GEMM_GRADIENT)
                need_rows(lg, right);
            else
                need_place(lg, right);
        } else if (n->op == OP_DOT) {
            need_place(lg, n->in[0]);
            need_place(lg, n->in[1]);
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
        const Ref *in;
        for (uint32_t k = lg->ni[r].load ? node_inputs(g, r, &in) : 0; k-- > 0;) /* constants that got a place have it by then */
            lg->ni[in[k]].load |= lg->ni[in[k]].kind == NK_ROW;
    }
}

void plan_kinds(LowG *lg)
{
    const Graph *g = lg->g;
    const Pin *pin = g->pin;
    lg->ni = NEW_N(lg->L->arena, NodeInfo, g->node.n + 1);
    count_uses(lg);
    find_load_rate(lg);
    for (Ref r = 1; r < g->node.n && pin; r++) {
        lg->ni[r].kind = pin[r].kind;
        lg->ni[r].fused = pin[r].fused;
        lg->ni[r].down = pin[r].down;
        lg->ni[r].base = pin[r].base;
    }
    if (pin)
        return;
    for (Ref r = 1; r < g->node.n; r++)
        lg->ni[r].kind = first_kind(lg, r);
    find_chains(lg);
    find_pair_sums(lg);
    need_operand_rows(lg);
    find_fused(lg);
    find_absorbed(lg);
    find_made_in_place(lg);
}


/* What is computed in the chunks of a scan is there for others when the scan is over. */
bool waits_for_scan(const LowG *lg, Ref r, Ref o)
{
    Ref scan = lg->ni[o].group;
    return scan && lg->g->node.at[scan].op == OP_SCAN && r != scan && lg->ni[r].group != scan && !lg->ni[scan].done;
}

bool inputs_done(const LowG *lg, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    for (uint32_t k = 0; k < n; k++)
        if (!lg->ni[in[k]].done || waits_for_scan(lg, r, in[k]))
            return false;
    return true;
}

/* ---- what a node reads ------------------------------------------------------------------------------------------------ */

/* The values in registers or memory that r reads, through shape operations and inlined nodes. */
void visit_value(LowG *lg, Ref user, Ref o, bool mapped, Visit *f)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[o];
    NodeInfo *ni = &lg->ni[o];
    if (ni->kind == NK_ACCESS) {
        const Node *c = &g->node.at[n->in[0]];
        bool plain = n->op == OP_EXPAND && same_dims(n, c);
        visit_value(lg, user, n->in[0], !is_scalar(c) && (mapped || !plain), f);
    } else if (ni->kind == NK_INLINE || ni->kind == NK_CHAIN) {
        const Ref *in;
        uint32_t k = node_inputs(g, o, &in);
        for (uint32_t i = 0; i < k; i++)
            visit_value(lg, user, in[i], mapped, f);
    } else if (ni->sunk && lg->ni[user].kind == NK_SCAN) { /* its operands are read in the steps */
        visit_inputs(lg, o, f);
    } else if (is_real(ni->kind)) {
        f(lg, user, o, mapped);
    }
}

void visit_inputs(LowG *lg, Ref r, Visit *f)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    for (uint32_t k = 0; k < n; k++)
        visit_value(lg, r, in[k], false, f);
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

bool argmax_in_lanes(LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r], *o = &lg->g->node.at[n->in[0]];
    uint32_t last = o->rank - 1u;
    bool lanes = n->attr == last ? o->dim[last] < 1 << 24 : !is_scalar(n) && o->dim[last] > 1;
    return lanes && contiguous(lg, n->in[0], o->rank, last);
}
