/* lnarrow: values of 16 lanes of which no more than 8 are ever stored, as in the last panel of a product with 50 columns: half of a vector
   is enough for them. */
#include "ir/loop.h"

enum { WIDE = 16, HALF = 8 };

/* Each lane of the result is made of the same lane of the operands. */
static bool lanewise(LOp op) {
    return (op >= LOP_FCONST && op <= LOP_SEL) || (op >= LOP_VCONST && op <= LOP_MNOT) || (op >= LOP_LD && op <= LOP_LDVB);
}

typedef struct {
    uint8_t *lanes; /* by value: how many of them matter */
    bool changed;
} Demand;

static void want(Demand *d, LV v, uint8_t n) {
    if (!v || d->lanes[v] >= n) return;
    d->lanes[v] = n;
    d->changed = true;
}

/* What a carry is before, inside and after the loop has the lanes of the most that anybody wants. */
static void want_carries(Demand *d, const uint32_t *ext, const uint32_t *next) {
    for (uint32_t k = 0; k < ext[0]; k++) {
        const uint32_t *c = &ext[1 + 3 * k];
        uint8_t n = d->lanes[c[1]] > d->lanes[c[2]] ? d->lanes[c[1]] : d->lanes[c[2]];
        for (int j = 0; j < 3; j++) want(d, c[j], n);
        if (next) want(d, next[1 + k], n);
    }
}

static void want_operands(Demand *d, const LInst *i) {
    LOp op = (LOp)i->op;
    uint8_t n = lanewise(op) ? d->lanes[i->dst] : WIDE;
    if ((op == LOP_STT || op == LOP_STVT) && i->imm < WIDE) n = (uint8_t)(i->imm > 0 ? i->imm : 1);
    if (op == LOP_ST1 || op == LOP_STV1) n = 1;
    if (op == LOP_LANE) n = (uint8_t)(i->imm + 1);
    for (int k = 0; k < 3; k++) want(d, i->a[k], n);
    if (i->dst && !lanewise(op) && op != LOP_LANE) want(d, i->dst, WIDE);
}

const bool *lfunc_narrow(Arena *a, const LFunc *f, int V) {
    Demand d = {.lanes = NEW_N(a, uint8_t, f->type.n + 1)};
    bool *narrow = NEW_N(a, bool, f->type.n + 1);
    const uint32_t **loop = NEW_N(a, const uint32_t *, f->inst.n + 1); /* by instruction: of a YIELD, the carries of its FOR */
    VEC(uint32_t) open = {0};
    if (V != WIDE) return narrow;
    for (uint32_t k = 0; k < f->inst.n; k++) {
        LOp op = (LOp)f->inst.at[k].op;
        if (op == LOP_FOR || op == LOP_IF) VEC_PUSH(a, open) = k;
        if (op == LOP_YIELD) loop[k] = &f->ext.at[f->inst.at[open.at[open.n - 1]].ext];
        if (op == LOP_END) open.n--;
    }
    do {
        d.changed = false;
        for (uint32_t k = f->inst.n; k-- > 0;) {
            const LInst *i = &f->inst.at[k];
            if (i->op == LOP_YIELD) want_carries(&d, loop[k], &f->ext.at[i->ext]);
            else want_operands(&d, i);
        }
    } while (d.changed);
    for (uint32_t v = 1; v < f->type.n; v++) narrow[v] = f->type.at[v] != 'i' && d.lanes[v] <= HALF; /* nobody's too: they may be made of narrow ones */
    return narrow;
}
