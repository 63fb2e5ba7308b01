/* plan_memory: scratch buffers whose lifetimes do not meet share a slot.
   before:  every SLAB buffer has a lifetime [first, last] in items
   after:   LBuf.slot; a slot is as large as its largest member, slots lie one after another
   With several threads, each owns rows of the batch: a slot changes hands freely between buffers of rows of one shape (a thread's
   rows are at the same addresses in both), else only across a barrier. What has no rows is read by all.
   relies on: a buffer that is live across iterations of a loop has a lifetime that covers the loop (lowering's loop ranges). */
#include "passes/lower_int.h"

static bool same_extent(const LExtent *a, const LExtent *b, bool exactly)
{
    if (a->n != b->n)
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

static bool barrier_between(const uint32_t *barrier, uint32_t n, uint32_t last, uint32_t first)
{
    for (uint32_t i = 0; i < n; i++)
        if (last < barrier[i] && barrier[i] <= first)
            return true;
    return false;
}

/* Whether all of it belongs to rows of that axis. */
static bool has_rows(const LExtent *e, uint32_t axis)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (!(e->term[i].dims >> axis & 1))
            return false;
    return e->n > 0;
}

/* barrier: positions that every thread reaches only when all have left those before; serial: one thread does it all */
void plan_memory(LProgram *p, bool reuse, const uint32_t *barrier, uint32_t nbarrier, bool serial, uint32_t row_axis)
{
    uint32_t n = p->buf.n, count = 0;
    uint32_t *order = NEW_N(p->arena, uint32_t, n + 1);
    Slot *slot = NEW_N(p->arena, Slot, n + 1);
    uint32_t nslot = 0;
    for (uint32_t i = 0; i < n; i++)
        if (p->buf.at[i].role == LB_SLAB)
            order[count++] = i;
    for (uint32_t i = 1; i < count; i++) /* by start of life; stable */
        for (uint32_t k = i; k > 0 && p->buf.at[order[k]].first < p->buf.at[order[k - 1]].first; k--) {
            uint32_t t = order[k];
            order[k] = order[k - 1];
            order[k - 1] = t;
        }
    for (uint32_t i = 0; i < count; i++) {
        LBuf *b = &p->buf.at[order[i]];
        uint32_t s = nslot;
        for (uint32_t k = 0; reuse && k < nslot && s == nslot; k++)
            if (b->first != UINT32_MAX && slot[k].last < b->first && slot[k].of->elem == b->elem &&
                same_extent(&slot[k].of->extent, &b->extent, false) &&
                (serial || barrier_between(barrier, nbarrier, slot[k].last, b->first) ||
                 (has_rows(&b->extent, row_axis) && same_extent(&slot[k].of->extent, &b->extent, true))))
                s = k;
        if (s == nslot)
            slot[nslot++].of = b;
        slot[s].of = b;
        slot[s].last = b->first == UINT32_MAX ? UINT32_MAX : b->last;
        b->slot = s;
    }
    for (uint32_t i = 0; i < n; i++)
        if (p->buf.at[i].role == LB_PACK)
            p->buf.at[i].slot = nslot++;
    p->nslot = nslot;
}
