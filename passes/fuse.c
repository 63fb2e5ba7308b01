/* fuse: from nodes to stages, graph by graph: in which order what runs, and what shares a loop.
   before:  %1 = step 0    %2 = carry 0    %3 = capture 0
            %4 = dot %2 %3 {i,oi->o} : f<B>[64]     %5 = add %1 %4      %6 = mul %5 %5     %7 = sum %6 {0} : f<B>[]
            %8 = div %5 %7    next %8
   after:   the same, and       run product <B> : %5 %4
                                run row <B> : %7 | %8
   A stage is a loop over rows. A row stage holds nodes over the same axes, as many as are ready; its members are cut into
   levels (|), each one vector loop a shape of features: a reduction ends its level, what reads it comes in a later one (what
   reads a sum of a matrix's row in that row alone: in a later turn of the row, lower_sweep.c). A matrix is not computed before it
   is read, unless that takes more memory. A product stage is one
   accumulator (its end, then its dots in order); every other node is a stage alone. Values of rate load come first,
   as stages of "prepare". Nodes in no stage are evaluated where they are read: %6 here.
   relies on: place (a scan's chunks begin with stages of their own: in %n); the order is a function of the graph alone.
   lower_loops takes what stands here, after checking it. */
#include "passes/lower_int.h"
#include "passes/rewrite.h"

static Graph *own(const LowG *lg)
{
    return lg->L->m->graph.at[lg->g->index];
}

/* ---- order ------------------------------------------------------------------------------------------------------------ */

static void settle_free(LowG *lg)
{
    for (Ref r = 1; r < lg->g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        if (!is_section(lg, ni->group) && (!is_real(ni->kind) || ni->group) && inputs_done(lg, r))
            ni->done = true; /* the nodes of a scan's chunks come with it */
    }
}

static Stage *add_stage(LowG *lg, uint8_t node_kind, uint32_t axes, Ref group)
{
    Stage *s = &VEC_PUSH(lg->L->m->arena, own(lg)->stage);
    *s = (Stage){ .kind = (uint8_t)(node_kind - NK_ROW), .load = lg->load_phase, .axes = axes, .group = group };
    return s;
}

static void add_member(LowG *lg, Stage *s, Ref r)
{
    VEC_PUSH(lg->L->m->arena, s->node) = (StageNode){ r, 0 };
    lg->ni[r].item = own(lg)->stage.n;
}

static void add_row_stage(LowG *lg, uint32_t axes, Ref group)
{
    Stage *s = add_stage(lg, NK_ROW, axes, group);
    for (Ref r = 1; r < lg->g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        if (ni->done || !inputs_done(lg, r) || (ni->group != group && is_section(lg, ni->group)))
            continue;
        if (ni->kind == NK_ROW && lg->g->node.at[r].axes == axes && ni->group == group) {
            add_member(lg, s, r);
            ni->done = true;
        } else if (!is_real(ni->kind) || (ni->group && ni->group != group)) {
            ni->done = true;
        }
    }
}

/* The dots of the accumulator that ends at r, in the order in which it adds them: the part that has the base comes first. */
static void add_dots(LowG *lg, Stage *s, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    if (n->op == OP_DOT) {
        if (r != s->node.at[0].ref)
            VEC_PUSH(lg->L->m->arena, s->node) = (StageNode){ r, 0 };
        return;
    }
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < 2; k++) {
            Ref o = n->in[k];
            if (lg->ni[o].kind == NK_CHAIN && (lg->ni[o].base != 0) == (pass == 0))
                add_dots(lg, s, o);
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

/* The stages that a scan's chunks begin with; those of a section. */
static void schedule_group(LowG *lg, Ref group)
{
    bool any = false;
    for (Ref r = 1; r < lg->g->node.n; r++)
        if (lg->ni[r].group == group)
            lg->ni[r].done = !(any = true);
    if (any)
        schedule(lg, group);
}

/* Whether all exists that a section reads. */
static bool section_ready(const LowG *lg, Ref group)
{
    for (Ref r = 1; r < lg->g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(lg->g, r, &in);
        for (uint32_t k = 0; k < n && lg->ni[r].group == group; k++)
            if (lg->ni[in[k]].group != group && (!lg->ni[in[k]].done || waits_for_scan(lg, r, in[k])))
                return false;
    }
    return true;
}

/* The stages of a group (0: of none), in order. */
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
            if (!group && ni->group == r && !ni->done && section_ready(lg, r)) {
                schedule_group(lg, r);
                any = true;
            }
            if (ni->done || ni->group != group || !inputs_done(lg, r))
                continue;
            if (!is_real(ni->kind)) { /* of a group: nothing to do */
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
            Stage *s = add_stage(lg, ni->kind, g->node.at[r].axes, group);
            add_member(lg, s, r);
            if (ni->kind == NK_GEMM)
                add_dots(lg, s, r);
            any = true;
        }
        for (uint32_t i = 0; i < g->stage.n; i++)
            if (g->stage.at[i].load == lg->load_phase)
                lg->ni[g->stage.at[i].node.at[0].ref].done = true;
        if (any)
            continue;
        if (!row)
            break;
        add_row_stage(lg, g->node.at[row].axes, group);
    }
}

/* ---- levels ------------------------------------------------------------------------------------------------------------ */

/* Which kind of loop computes a row node. sums: how many are in sweeps, each of which has accumulators. */
static void find_loops(LowG *lg, Ref r, uint32_t *sums)
{
    enum { MANY = 24 };
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    NodeInfo *ni = &lg->ni[r];
    if (ni->kind != NK_ROW)
        return;
    ni->sweep = SWEEP_NONE;
    ni->turn = 0;
    if ((n->op == OP_SUM || n->op == OP_AMAX) && *sums < MANY)
        ni->sweep = (uint8_t)sweep_sum(lg, r);
    *sums += ni->sweep != SWEEP_NONE;
    ni->nest = n->op == OP_CONCAT || n->op == OP_ARGMAX || n->op == OP_DOT || ((n->op == OP_SUM || n->op == OP_AMAX) && !full_reduce(g, r) && !ni->sweep);
    if (ni->nest || ni->sweep || is_scalar(n))
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
    if (n->rank > 1 && n->dim[n->rank - 1u] > 1 && !ni->scalar_loop)
        ni->sweep = SWEEP_MATRIX;
}

static uint32_t need_phase(const LowG *lg, Ref user, Ref o, bool mapped)
{
    const NodeInfo *u = &lg->ni[user], *v = &lg->ni[o];
    const Node *un = &lg->g->node.at[user], *vn = &lg->g->node.at[o];
    if (sweeps_together(lg, user, o))
        return v->loop_phase;
    if (is_scalar(vn))
        return v->phase + (un->op == OP_GATHER || v->nest || v->scalar_loop || (mapped && u->nest));
    if (v->sweep > SWEEP_MATRIX)
        return v->phase;
    const Node *loop = full_reduce(lg->g, user) || u->sweep >= SWEEP_ROW ? &lg->g->node.at[un->in[0]] : un;
    if (u->sweep == SWEEP_VALUE) /* a level's vector loops come before its sweeps */
        return v->phase + (v->nest || v->scalar_loop);
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

/* In the rows of a sweep: after the sums of rows that it reads there. */
static void set_turn(LowG *lg, Ref user, Ref o, bool mapped)
{
    (void)mapped;
    const NodeInfo *v = &lg->ni[o];
    uint32_t turn = v->turn + (v->sweep == SWEEP_ROW);
    if (v->item == lg->ni[user].item && v->kind == NK_ROW && v->loop_phase == lg->ni[user].loop_phase && turn > lg->ni[user].turn &&
        sweeps_together(lg, user, o))
        lg->ni[user].turn = turn;
}

/* The last level in which o can be computed for this reader. */
static void limit_level(LowG *lg, Ref user, Ref o, bool mapped)
{
    const NodeInfo *u = &lg->ni[user];
    NodeInfo *v = &lg->ni[o];
    bool here = u->kind == NK_ROW && v->kind == NK_ROW && u->item == v->item && !other_rate(lg, o);
    uint32_t apart = here && !sweeps_together(lg, user, o) ? need_phase(lg, user, o, mapped) - v->phase : 0;
    uint32_t level = here ? u->loop_phase - apart : 0;
    v->latest = level < v->latest ? level : v->latest;
}

static void pin_level(LowG *lg, Ref user, Ref o, bool mapped)
{
    (void)user, (void)mapped;
    lg->ni[o].latest = 0;
}

/* A value stays if o, which was computed beside it, would now be in memory for it. */
static void keep_beside(LowG *lg, Ref user, Ref o, bool mapped)
{
    NodeInfo *u = &lg->ni[user];
    const NodeInfo *v = &lg->ni[o];
    bool here = v->kind == NK_ROW && u->item == v->item && !other_rate(lg, o);
    (void)mapped;
    uint32_t before = v->loop_phase != v->early ? v->early : v->phase;
    if (here && !is_scalar(&lg->g->node.at[o]) && before == u->early && v->phase != u->loop_phase)
        u->stays = true;
}

static bool reads_carry(const LowG *lg, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in);
    for (uint32_t k = 0; k < n; k++)
        if (lg->g->node.at[in[k]].op == OP_CARRY ||
            ((lg->ni[in[k]].kind == NK_ACCESS || lg->ni[in[k]].kind == NK_INLINE) && reads_carry(lg, in[k])))
            return true;
    return false;
}

/* A matrix that later levels alone read is computed there, where it needs no memory, unless what it is made of would need some instead.
   Not what reads a carry: the next value may stand in its place by then. */
static void delay(LowG *lg)
{
    const Graph *g = lg->g;
    for (bool again = true; again;) {
        again = false;
        for (Ref r = 1; r < g->node.n; r++)
            lg->ni[r].latest = UINT32_MAX;
        for (uint32_t i = 0; i < g->root.n; i++)
            if (g->root.at[i].ref)
                visit_value(lg, g->root.at[i].ref, g->root.at[i].ref, true, pin_level);
        for (Ref r = g->node.n; r-- > 1;) {
            NodeInfo *ni = &lg->ni[r];
            bool row = ni->kind == NK_ROW && !other_rate(lg, r);
            if (row && ni->sweep == SWEEP_MATRIX && is_elementwise(&g->node.at[r]) && !ni->stays && !reads_carry(lg, r))
                ni->loop_phase = ni->phase = ni->latest != UINT32_MAX && ni->latest > ni->early ? ni->latest : ni->early;
            if (is_real(ni->kind))
                visit_inputs(lg, r, limit_level);
        }
        for (Ref r = 1; r < g->node.n; r++)
            if (lg->ni[r].kind == NK_ROW && !other_rate(lg, r) && lg->ni[r].loop_phase != lg->ni[r].early) {
                visit_inputs(lg, r, keep_beside);
                again |= lg->ni[r].stays;
                if (lg->ni[r].stays)
                    lg->ni[r].loop_phase = lg->ni[r].phase = lg->ni[r].early;
            }
    }
}

void fuse_levels(LowG *lg)
{
    const Graph *g = lg->g;
    bool *wanted = NEW_N(lg->L->arena, bool, g->node.n + 1);
    uint32_t sums = 0;
    sweep_wanted(lg, wanted);
    for (Ref r = 1; r < g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        if (other_rate(lg, r) || ni->kind != NK_ROW)
            continue;
        find_loops(lg, r, &sums);
        if (!ni->sweep && wanted[r] && !ni->scalar_loop && sweep_value(lg, r))
            ni->sweep = SWEEP_VALUE;
        visit_inputs(lg, r, set_phase);
        bool later = full_reduce(g, r) || ni->sweep > SWEEP_MATRIX || (is_scalar(&g->node.at[r]) && (ni->nest || ni->scalar_loop));
        ni->early = ni->loop_phase;
        ni->phase = ni->loop_phase + later;
    }
    delay(lg);
    for (Ref r = 1; r < g->node.n; r++)
        if (lg->ni[r].kind == NK_ROW && lg->ni[r].sweep && !other_rate(lg, r))
            visit_inputs(lg, r, set_turn);
}

/* Members by level, else as they were. */
static void sort_members(LowG *lg)
{
    for (uint32_t i = 0; i < lg->g->stage.n; i++) {
        Stage *s = &own(lg)->stage.at[i];
        if (s->kind != STAGE_ROW || s->load != lg->load_phase)
            continue;
        for (uint32_t k = 0; k < s->node.n; k++) {
            StageNode x = { s->node.at[k].ref, lg->ni[s->node.at[k].ref].loop_phase };
            uint32_t to = k;
            for (; to > 0 && s->node.at[to - 1].level > x.level; to--)
                s->node.at[to] = s->node.at[to - 1];
            s->node.at[to] = x;
        }
    }
}

/* ---- the pass ------------------------------------------------------------------------------------------------------------ */

static void fuse_graph(LowG *lg, bool load)
{
    lg->load_phase = load;
    for (Ref r = 1; r < lg->g->node.n; r++)
        lg->ni[r].done = other_rate(lg, r);
    schedule(lg, 0);
    fuse_levels(lg);
    sort_members(lg);
}

static void fuse_bodies(LowG *lg)
{
    for (uint32_t i = 0; i < lg->g->stage.n; i++) {
        if (lg->g->stage.at[i].kind != STAGE_SCAN)
            continue;
        LowG *body = low_body(lg, lg->g->stage.at[i].node.at[0].ref);
        fuse_graph(body, false);
        fuse_bodies(body);
    }
}

bool pass_fuse(Module *m, const PassOptions *o)
{
    Low *L = low_make(m, o);
    if (!L)
        return false;
    uint64_t before = decisions_hash(m);
    for (uint32_t i = 0; i < m->graph.n; i++)
        m->graph.at[i]->stage.n = 0;
    LowG *lg = low_outer(L);
    if (L->failed)
        return false;
    fuse_graph(lg, true);
    fuse_graph(lg, false);
    fuse_bodies(lg);
    return decisions_hash(m) != before;
}
