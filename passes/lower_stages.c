/* lower_loops, first of all with each graph: takes the stages that fuse wrote, after checking that they are an order in which
   everything is computed before it is read; then finds which values need memory.
   before:  run row <B> : %4 %5 | %7      run product <B> : %9 %8      (%5 = sum %4, %7 = div %4 %5, %8 = dot %7 %3)
   after:   %4 in a local of the row (another level reads it), %5 in a register, %7 in the slab (another stage reads it) */
#include "passes/lower_int.h"

/* ---- stages ------------------------------------------------------------------------------------------------------------ */

static bool misfit(LowG *lg, const Stage *s, Ref r, const char *what)
{
    Low *L = lg->L;
    if (!L->failed)
        diag_error(L->ctx, 723, (Span){ 0, 0 }, "the %s stage of %%%u in graph %u: %s", stage_text[s->kind], r, lg->g->index, what);
    L->failed = true;
    return false;
}

/* Marks what exists without a stage of its own once its operands do. `group`: the group whose stages are being checked; the
   nodes of every other come with their scan. */
static void settle(LowG *lg, Ref group)
{
    for (Ref r = 1; r < lg->g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        bool elsewhere = ni->group && ni->group != group && !is_section(lg, ni->group);
        if (!ni->done && (!is_real(ni->kind) || elsewhere) && (!group || ni->group) && inputs_done(lg, r))
            ni->done = true;
    }
}

static bool take_stage(LowG *lg, uint32_t index)
{
    const Stage *s = &lg->g->stage.at[index];
    uint32_t members = s->kind == STAGE_ROW ? s->node.n : 1;
    if (!s->node.n)
        return misfit(lg, s, 0, "it has no values");
    if (is_section(lg, s->group) && lg->g->stage.at[index - (index > 0)].group != s->group)
        for (uint32_t i = 0; i < index; i++)
            if (lg->g->stage.at[i].group == s->group)
                return misfit(lg, s, s->node.at[0].ref, "the stages of a section follow one another");
    for (uint32_t k = 0; k < members; k++) {
        Ref r = s->node.at[k].ref;
        NodeInfo *ni = &lg->ni[r];
        if (ni->kind != NK_ROW + s->kind || ni->load != s->load || ni->group != s->group || lg->g->node.at[r].axes != s->axes)
            return misfit(lg, s, r, "not a value of this kind, rate, group and axes");
        if (ni->item)
            return misfit(lg, s, r, "the value is in another stage, too");
        ni->item = index + 1;
    }
    return true;
}

/* Every member is computed from what exists. */
static bool check_order(LowG *lg, uint32_t index)
{
    const Stage *s = &lg->g->stage.at[index];
    settle(lg, s->group);
    for (Ref r = 1; r < lg->g->node.n; r++) {
        NodeInfo *ni = &lg->ni[r];
        if (ni->done)
            continue;
        bool free = s->kind == STAGE_ROW && (!is_real(ni->kind) || (ni->group && ni->group != s->group && !is_section(lg, ni->group)));
        if (ni->item == index + 1 && !inputs_done(lg, r))
            return misfit(lg, s, r, "it comes before something that it is computed from");
        if (ni->item == index + 1 || (free && inputs_done(lg, r)))
            ni->done = true;
    }
    return true;
}

static bool check_levels(LowG *lg)
{
    for (uint32_t i = 0; i < lg->g->stage.n; i++) {
        const Stage *s = &lg->g->stage.at[i];
        for (uint32_t k = 0; s->load == lg->load_phase && s->kind == STAGE_ROW && k < s->node.n; k++)
            if (s->node.at[k].level != lg->ni[s->node.at[k].ref].loop_phase || (k && s->node.at[k].level < s->node.at[k - 1].level))
                return misfit(lg, s, s->node.at[k].ref, "a level does not follow from what the value reads");
    }
    return true;
}

static bool take_stages(LowG *lg)
{
    const Graph *g = lg->g;
    Ref group = 0;
    for (Ref r = 1; r < g->node.n; r++) {
        lg->ni[r].done = other_rate(lg, r);
        lg->ni[r].item = other_rate(lg, r) ? lg->ni[r].item : 0;
    }
    for (uint32_t i = 0; i < g->stage.n; i++) {
        const Stage *s = &g->stage.at[i];
        if (s->load != lg->load_phase)
            continue;
        if (!take_stage(lg, i))
            return false;
        settle(lg, 0);
        if (s->group && s->group != group)
            for (Ref r = 1; r < s->group; r++)
                lg->ni[r].done = lg->ni[r].done && lg->ni[r].group != s->group;
        group = s->group;
        if (!check_order(lg, i))
            return false;
    }
    for (Ref r = 1; r < g->node.n; r++)
        if (!other_rate(lg, r) && is_real(lg->ni[r].kind) && !lg->ni[r].item) {
            diag_error(lg->L->ctx, 723, (Span){ 0, 0 }, "%%%u of graph %u is in no stage: run pass fuse first", r, g->index);
            lg->L->failed = true;
            return false;
        }
    fuse_levels(lg);
    return check_levels(lg);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static void mark_memory(LowG *lg, Ref user, Ref o, bool mapped)
{
    (void)mapped;
    if (lg->ni[user].kind == NK_ROW && lg->ni[o].kind == NK_ROW && lg->ni[user].item == lg->ni[o].item &&
        other_rate(lg, user) == other_rate(lg, o))
        return;
    lg->ni[o].mem = true;
}

static void mark_scratch(LowG *lg, Ref user, Ref o, bool mapped)
{
    NodeInfo *u = &lg->ni[user], *v = &lg->ni[o];
    if (u->kind != NK_ROW || v->item != u->item || v->kind != NK_ROW || other_rate(lg, o))
        return;
    const Node *vn = &lg->g->node.at[o], *un = &lg->g->node.at[user];
    if (v->loop_phase == u->loop_phase && sweeps_together(lg, user, o)) {
        v->scratch_row |= v->sweep == SWEEP_MATRIX && v->turn != u->turn;
        return;
    }
    const Node *loop = full_reduce(lg->g, user) || u->sweep >= SWEEP_ROW ? &lg->g->node.at[un->in[0]] : un;
    bool from_memory = un->op == OP_GATHER || un->op == OP_DOT;
    if (is_scalar(vn) ? from_memory : v->sweep > SWEEP_MATRIX || u->sweep == SWEEP_VALUE || mapped || v->phase != u->loop_phase || u->nest || v->nest || u->scalar_loop || v->scalar_loop || !same_dims(loop, vn))
        v->scratch = true;
}


static void mark_row_memory(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++)
        if (!other_rate(lg, r) && lg->ni[r].kind == NK_ROW)
            visit_inputs(lg, r, mark_scratch);
    for (Ref r = 1; r < g->node.n; r++)
        if (!other_rate(lg, r) && lg->ni[r].kind == NK_ROW && (lg->ni[r].nest || lg->ni[r].scalar_loop || lg->ni[r].sweep == SWEEP_COLUMN) && !is_scalar(&g->node.at[r]))
            lg->ni[r].scratch = true; /* its loops write it, others read it */
}

static void mark_roots(LowG *lg)
{
    const Graph *g = lg->g;
    for (uint32_t i = 0; i < g->root.n; i++) {
        Ref r = g->root.at[i].ref;
        if (r && is_real(lg->ni[r].kind))
            lg->ni[r].mem = true;
        else if (r)
            visit_value(lg, r, r, true, mark_memory);
    }
}

bool plan_graph(LowG *lg)
{
    const Graph *g = lg->g;
    if (!take_stages(lg))
        return false;
    for (Ref r = 1; r < g->node.n; r++) /* what is inlined asks through its users */
        if (is_real(lg->ni[r].kind) && (!other_rate(lg, r) || lg->load_phase)) /* in the load phase run-rate users ask for memory too */
            visit_inputs(lg, r, mark_memory);
    mark_roots(lg);
    mark_row_memory(lg);
    if (!lg->load_phase)
        explain_slow(lg);
    return true;
}
