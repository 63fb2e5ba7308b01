/* lower_loops: values of a row stage that stand where one stood that nobody reads after them.
   before:  run product <B> : %8        run row <B> : %9 | %11        (%9 = amax %8, %11 = sub %8 %9, nobody else reads %8)
   after:   for features { st %8[..] (ld %8[..] - %9) }              (%11 has no memory of its own)
   So a row is written where it has just been read, and rows that are wider than the near cache come into it once.
   Sound because a stage works through all levels of a row before the next row: the last load of each element comes before the
   store there. No bit depends on it.
   relies on: levels (fuse_levels); a vector loop computes all its nodes before it stores one. */
#include "passes/lower_int.h"

#define SEVERAL UINT32_MAX /* stages, or one that is no row stage */

static void note_reader(LowG *lg, Ref user, Ref o, bool mapped)
{
    const NodeInfo *u = &lg->ni[user];
    NodeInfo *v = &lg->ni[o];
    const Node *n = &lg->g->node.at[user];
    if (u->kind != NK_ROW || u->sweep || other_rate(lg, user) || (v->reader && v->reader != u->item)) {
        v->reader = SEVERAL;
        return;
    }
    uint32_t level = full_reduce(lg->g, user) ? u->loop_phase : u->phase;
    bool apart = mapped || u->nest || u->scalar_loop || !is_elementwise(n) || !same_dims(n, &lg->g->node.at[o]);
    if (!v->reader || level > v->reader_level) {
        v->reader_level = level;
        v->reader_apart = apart;
    } else if (level == v->reader_level) {
        v->reader_apart |= apart;
    }
    v->reader = u->item;
}

static void note_root(LowG *lg, Ref user, Ref o, bool mapped)
{
    (void)user, (void)mapped;
    lg->ni[o].reader = SEVERAL;
}

Ref *find_lenders(LowG *lg)
{
    const Graph *g = lg->g;
    Ref *first = NEW_N(lg->L->arena, Ref, g->stage.n + 2);
    for (Ref r = 1; r < g->node.n; r++)
        if (is_real(lg->ni[r].kind))
            visit_inputs(lg, r, note_reader);
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref)
            visit_value(lg, g->root.at[i].ref, g->root.at[i].ref, true, note_root);
    for (Ref r = g->node.n; r-- > 1;) {
        NodeInfo *ni = &lg->ni[r];
        if (ni->reader && ni->reader != SEVERAL) {
            ni->next_lender = first[ni->reader];
            first[ni->reader] = r;
        }
    }
    return first;
}

/* Whether r, a vector of a row stage, may stand where o stands, which that stage alone reads. */
static bool may_take(const LowG *lg, Ref r, Ref o)
{
    const NodeInfo *ni = &lg->ni[r], *v = &lg->ni[o];
    const Node *n = &lg->g->node.at[r], *on = &lg->g->node.at[o];
    uint32_t chunk = !ni->mem ? v->loc.chunk : ni->chunk_only ? 1 + group_axis(lg, ni->group) : 0;
    bool before = v->reader_level < ni->loop_phase || (v->reader_level == ni->loop_phase && !v->reader_apart && is_elementwise(n));
    return before && v->lends && v->loc.axes == n->axes && v->loc.chunk == chunk && on->dtype == DT_F && same_dims(n, on);
}

bool take_place(LowG *lg, const Ref *first, Ref r)
{
    NodeInfo *ni = &lg->ni[r];
    const Node *n = &lg->g->node.at[r];
    if (ni->kind != NK_ROW || ni->nest || ni->sweep || ni->scalar_loop || is_scalar(n) || full_reduce(lg->g, r) || n->dtype != DT_F || !(n->axes & AX(lg->L->bx)))
        return false;
    for (Ref o = first[ni->item]; o; o = lg->ni[o].next_lender)
        if (o != r && may_take(lg, r, o)) {
            ni->loc = lg->ni[o].loc;
            ni->lends = true;
            lg->ni[o].lends = false;
            return true;
        }
    return false;
}
