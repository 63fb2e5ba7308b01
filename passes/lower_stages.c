/* lower_loops, first of all with each graph: takes the stages that fuse wrote, after checking that they are an order in which
   everything is computed before it is read; then finds which values need memory.
   before:  run row <B> : %4 %5 | %7      run product <B> : %9 %8      (%5 = sum %4, %7 = div %4 %5, %8 = dot %7 %3)
   after:   %4 in a local of the row (another level reads it), %5 in a register, %7 in the slab (another stage reads it) */
#include "passes/lower_int.h"
#include "passes/rewrite.h"

#include <string.h>

/* ---- stages ------------------------------------------------------------------------------------------------------------ */

static bool misfit(LowG *lg, const Stage *s, Ref r, const char *what)
{
    Low *L = lg->L;
    if (!L->failed)
        diag_error(L->ctx, 723, (Span){ 0, 0 }, "the %s stage of %%%u in graph %u: %s", stage_text[s->kind], r, lg->g->index, what);
    L->failed = true;
    return false;
}

/* What is computed so far. A value is looked at again when something that it waits for is there: look. */
typedef struct {
    LowG *lg;
    Users users;
    uint8_t *look;
    Ref *first, *next; /* by group, by member: who is in it */
} Order;

static Order order_make(LowG *lg)
{
    uint32_t n = lg->g->node.n;
    Arena *a = lg->L->arena;
    Order x = { lg, find_users(a, lg->g), NEW_N(a, uint8_t, n + 1), NEW_N(a, Ref, n + 1), NEW_N(a, Ref, n + 1) };
    for (Ref r = n; r-- > 1;) {
        x.look[r] = 1;
        x.next[r] = x.first[lg->ni[r].group];
        x.first[lg->ni[r].group] = r;
    }
    return x;
}

/* The next one to look at, from r on; past the last one: there is none. */
static Ref next_look(const Order *x, Ref r)
{
    const uint8_t *p = memchr(x->look + r, 1, x->lg->g->node.n - r);
    return p ? (Ref)(p - x->look) : x->lg->g->node.n;
}

static void look_at_users(Order *x, Ref r)
{
    for (uint32_t k = x->users.at[r]; k < x->users.at[r + 1]; k++)
        x->look[x->users.of[k]] = 1;
}

static void set_done(Order *x, Ref r)
{
    x->lg->ni[r].done = true;
    x->look[r] = 0;
    look_at_users(x, r);
    for (Ref o = x->lg->g->node.at[r].op == OP_SCAN ? x->first[r] : 0; o; o = x->next[o]) /* others wait for the scan with them */
        look_at_users(x, o);
}

/* Marks what exists without a stage of its own once its operands do. `group`: the group whose stages are being checked; the
   nodes of every other come with their scan. */
static void settle(Order *x, Ref group)
{
    LowG *lg = x->lg;
    for (Ref r = next_look(x, 1); r < lg->g->node.n; r = next_look(x, r + 1)) {
        const NodeInfo *ni = &lg->ni[r];
        bool elsewhere = ni->group && ni->group != group && !is_section(lg, ni->group);
        x->look[r] = !ni->done && inputs_done(lg, r);
        if (x->look[r] && (!is_real(ni->kind) || elsewhere) && (!group || ni->group))
            set_done(x, r);
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
static bool check_order(Order *x, uint32_t index)
{
    LowG *lg = x->lg;
    const Stage *s = &lg->g->stage.at[index];
    settle(x, s->group);
    for (uint32_t k = 0; k < s->node.n; k++)
        x->look[s->node.at[k].ref] = 1;
    for (Ref r = next_look(x, 1); r < lg->g->node.n; r = next_look(x, r + 1)) {
        const NodeInfo *ni = &lg->ni[r];
        bool free = s->kind == STAGE_ROW && (!is_real(ni->kind) || (ni->group && ni->group != s->group && !is_section(lg, ni->group)));
        x->look[r] = !ni->done && inputs_done(lg, r);
        if (ni->item == index + 1 && !ni->done && !x->look[r])
            return misfit(lg, s, r, "it comes before something that it is computed from");
        if (x->look[r] && (ni->item == index + 1 || free))
            set_done(x, r);
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
    Order x = order_make(lg);
    for (uint32_t i = 0; i < g->stage.n; i++) {
        const Stage *s = &g->stage.at[i];
        if (s->load != lg->load_phase)
            continue;
        if (!take_stage(lg, i))
            return false;
        settle(&x, 0);
        for (Ref r = s->group != group ? x.first[s->group] : 0; r && r < s->group; r = x.next[r]) {
            lg->ni[r].done = false;
            x.look[r] = 1;
        }
        group = s->group;
        if (!check_order(&x, i))
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
