/* lower_loops: a loop over steps that carry nothing but sums, and that look at all steps of a sequence (attention of a sequence to itself).
   before:  run scan : %8      in @1: %4 = dot %2 %1 : f<T,B>[] (%1 a step, %2 a whole sequence)   %6 = .. %4   %7 = dot %6 %3 : f<B>[64]
   after:   for blocks of 12 steps { for the steps of T, 4 by 4 .. %4;   for steps { for T { for rows { %6 } } };   for steps, 6 by 6 .. %7 }
   Each stage of the body does all steps of a block before the next stage begins; values of the body have memory for a block. Products of the
   steps with a whole sequence are then tiles (lower_pairs.c), which load what they read of that sequence once for several steps. A sum
   over steps goes on from its carry, in the order of the steps: no bit depends on the blocks. */
#include "passes/lower_int.h"

static bool over_steps(const LowG *bg, const Stage *s)
{
    const Graph *g = bg->g;
    Ref r = s->node.at[0].ref;
    PairForm f;
    if (s->kind != STAGE_REDUCE)
        return false;
    if (g->node.at[r].op == OP_ADD)
        return true;
    return is_pairs(g, r, &f) && (!f.rows || !f.other);
}

bool jam_fits(const LowG *bg)
{
    const Low *L = bg->L;
    bool any = false;
    if (bg->segment || L->idx[L->bx])
        return false;
    for (const LowG *up = bg->up; up; up = up->up)
        if (up->body && !up->segment && (up->axis == bg->axis || up->jam))
            return false;
    for (uint32_t i = 0; i < bg->g->stage.n; i++) {
        const Stage *s = &bg->g->stage.at[i];
        if (s->group || s->load || !(s->axes & AX(L->bx)) || (s->kind != STAGE_ROW && s->kind != STAGE_REDUCE))
            return false;
        any |= over_steps(bg, s);
    }
    return any;
}

void jam_begin(LowG *bg, LV lo, LV hi)
{
    LBuilder *b = &bg->L->b;
    Jam *j = bg->jam = NEW(bg->L->arena, Jam);
    LV size = lb_iconst(b, JAM_STEPS), n = lb_op(b, LOP_ISUB, hi, lo, 0, 0);
    LV count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, n, lb_iconst(b, JAM_STEPS - 1), 0, 0), size, 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), count, 1, bg->scan.reverse, 0, NULL, NULL);
    j->lo = lb_op(b, LOP_IADD, lo, lb_op(b, LOP_IMUL, k, size, 0, 0), 0, 0);
    j->hi = lb_op(b, LOP_IMIN, hi, lb_op(b, LOP_IADD, j->lo, size, 0, 0), 0, 0);
}

void jam_bind(LowG *bg, Loc *l)
{
    VEC_PUSH(bg->L->arena, bg->jam->place) = (JamPlace){ l, *l };
}

static void at_step(LowG *bg, LV t)
{
    Jam *j = bg->jam;
    bg->t = t;
    bg->L->jam_at = lb_op(&bg->L->b, LOP_ISUB, t, j->lo, 0, 0);
    for (uint32_t k = 0; k < j->place.n; k++)
        *j->place.at[k].place = low_at_step(bg, j->place.at[k].unbound);
}

void jam_steps(LowG *bg)
{
    at_step(bg, lb_for(&bg->L->b, bg->jam->lo, bg->jam->hi, 1, bg->scan.reverse, 0, NULL, NULL));
}

void jam_steps_end(LowG *bg)
{
    lb_end_for(&bg->L->b, 0, NULL, NULL);
}

bool jam_stage(LowG *bg, const Stage *s)
{
    if (over_steps(bg, s)) {
        at_step(bg, bg->jam->lo);
        return false;
    }
    jam_steps(bg);
    return true;
}
