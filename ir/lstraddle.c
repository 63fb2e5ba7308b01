/* lstraddle: loads that lie in two vectors which have just been stored, as a gate's that begins inside of a vector of sums: a processor
   waits for both stores before it loads what lies in two, where a shuffle of what was stored is there at once. */
#include <string.h>

#include "ir/loop.h"

/* What an instruction's index and the load's have in common is all but the constant. */
static bool same_terms(const LIdx *x, const LIdx *y) {
    return x->n == y->n && memcmp(x->v, y->v, x->n * sizeof *x->v) == 0 && memcmp(x->c, y->c, x->n * sizeof *x->c) == 0;
}

int lfunc_straddles(const LProgram *p, const LFunc *f, const LInst *load, LV v[2]) {
    const LIdx *x = &f->idx.at[load->idx];
    if (load->op != LOP_LD || (load->buf & LBUF_PARAM) || p->buf.at[load->buf].role != LB_SLAB) return 0;
    int64_t V = p->V, past = 0;
    v[0] = v[1] = 0;
    for (const LInst *i = load; i-- > f->inst.at && i->op > LOP_BARRIER;) {
        if (i->op < LOP_ST || i->op > LOP_STV1 || i->buf != load->buf) continue;
        const LIdx *y = &f->idx.at[i->idx];
        int64_t before = x->c0 - y->c0;
        if (i->op != LOP_ST || !same_terms(x, y)) return 0;
        if (before <= -V || before >= V) continue;
        LV *to = before > 0 ? &v[0] : &v[1];
        if (!before || *to || (past && past != (before > 0 ? before : V + before))) return 0;
        past = before > 0 ? before : V + before;
        *to = i->a[0];
        if (v[0] && v[1]) return (int)past;
    }
    return 0;
}
