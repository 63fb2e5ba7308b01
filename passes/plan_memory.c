/* plan_memory: scratch buffers whose lifetimes do not meet share a slot.
   before:  buf 5 "a" slab f index 0 extent 16*d0 slot 0 life 1..3
            buf 6 "b" slab f index 0 extent 64*d0 slot 1 life 2..4
            buf 7 "c" slab f index 0 extent 32*d0 slot 2 life 4..6
   after:   a and c in slot 0, b in slot 1
   A slot is as large as its largest member; slots lie one after another in one block, so that its size is known from the dims
   before anything runs. Packs have slots of their own.
   With several threads, each owns rows of the batch: a slot changes hands freely between buffers of rows of one shape (a thread's
   rows are at the same addresses in both), else only across a barrier (LProgram.barrier). What has no rows is read by all.
   relies on: a buffer that is live across iterations of a loop has a lifetime that covers the loop (close_lifetimes). */
#include "passes/passes.h"

static bool same_extent(const LExtent *a, const LExtent *b, bool exactly)
{
    if (a->n != b->n || a->most.dims != b->most.dims || !a->most.coef != !b->most.coef || (exactly && a->most.coef != b->most.coef))
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->term[i].dims != b->term[i].dims || (exactly && a->term[i].coef != b->term[i].coef))
            return false;
    return true;
}

typedef struct {
    uint32_t last;
    const LBuf *of;
} Slot;

/* The last barrier up to there; 0: there is none. */
static uint32_t barrier_before(const LProgram *p, uint32_t first)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < p->barrier.n; i++)
        if (p->barrier.at[i] <= first && p->barrier.at[i] > last)
            last = p->barrier.at[i];
    return last;
}

/* Whether all of it belongs to rows of that axis. */
static bool has_rows(const LExtent *e, uint32_t axis)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (!(e->term[i].dims >> axis & 1))
            return false;
    return e->n > 0;
}

/* Whether b, whose life begins behind that barrier, may have the memory of a slot that held s->of until s->last. */
static bool may_share(const LProgram *p, const Slot *s, const LBuf *b, uint32_t barrier)
{
    if (b->first == UINT32_MAX || s->last >= b->first || s->of->elem != b->elem || !same_extent(&s->of->extent, &b->extent, false))
        return false;
    return p->one_thread || s->last < barrier ||
           (has_rows(&b->extent, p->row_axis) && same_extent(&s->of->extent, &b->extent, true));
}

/* Scratch buffers by start of life; stable. */
static uint32_t by_start(const LProgram *p, uint32_t *order)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->buf.n; i++)
        if (p->buf.at[i].role == LB_SLAB)
            order[count++] = i;
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t k = i; k > 0 && p->buf.at[order[k]].first < p->buf.at[order[k - 1]].first; k--) {
            uint32_t t = order[k];
            order[k] = order[k - 1];
            order[k - 1] = t;
        }
    return count;
}

bool pass_plan_memory(LProgram *p, const PassOptions *o)
{
    bool reuse = !o->lower || !o->lower->no_reuse, changed = false;
    uint32_t n = p->buf.n, nslot = 0, *was = NEW_N(p->arena, uint32_t, n + 1), *order = NEW_N(p->arena, uint32_t, n + 1);
    Slot *slot = NEW_N(p->arena, Slot, n + 1);
    for (uint32_t i = 0; i < n; i++)
        was[i] = p->buf.at[i].slot;
    for (uint32_t i = 0, count = by_start(p, order); i < count; i++) {
        LBuf *b = &p->buf.at[order[i]];
        uint32_t s = 0, barrier = barrier_before(p, b->first);
        while (s < nslot && !(reuse && may_share(p, &slot[s], b, barrier)))
            s++;
        nslot += s == nslot;
        slot[s] = (Slot){ b->first == UINT32_MAX ? UINT32_MAX : b->last, b };
        b->slot = s;
    }
    for (uint32_t i = 0; i < n; i++)
        if (p->buf.at[i].role == LB_PACK)
            p->buf.at[i].slot = nslot++;
    p->nslot = nslot;
    for (uint32_t i = 0; i < n; i++)
        changed |= was[i] != p->buf.at[i].slot;
    return changed;
}
