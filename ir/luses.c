/* luses: what an instruction reads. */
#include "ir/loop.h"

static void use_index(const LFunc *f, const LVisit *v, uint32_t idx) {
    const LIdx *x = &f->idx.at[idx];
    for (uint32_t k = 0; k < x->n; k++) v->value(v->arg, x->v[k]);
}

static void use_memory(const LProgram *p, const LFunc *f, const LInst *i, const LVisit *v) {
    LV side[2];
    v->buffer(v->arg, i->buf, i->op >= LOP_ST);
    use_index(f, v, i->idx);
    if (lfunc_straddles(p, f, i, side)) {
        v->value(v->arg, side[0]);
        v->value(v->arg, side[1]);
    }
}

static void use_arguments(const LProgram *p, const LFunc *f, const LInst *i, const LVisit *v) {
    const LFunc *g = p->fn.at[i->imm];
    for (uint32_t k = 0; k < g->param.n; k++) {
        const uint32_t *arg = &f->ext.at[i->ext + 1 + 2 * k];
        if (g->param.at[k].pointer) {
            v->buffer(v->arg, arg[0], v->writes && v->writes[i->imm][k]);
            use_index(f, v, arg[1]);
        } else {
            v->value(v->arg, arg[0]);
        }
    }
}

void linst_uses(const LProgram *p, const LFunc *f, const LInst *i, const LVisit *v) {
    const uint32_t *ext = f->ext.n > i->ext ? &f->ext.at[i->ext] : NULL;
    if (i->op == LOP_CALL) {
        use_arguments(p, f, i, v);
    } else if (i->op == LOP_YIELD) {
        for (uint32_t k = 0; k < ext[0]; k++) v->value(v->arg, ext[1 + k]);
    } else {
        for (int k = 0; k < 3; k++)
            if (i->a[k]) v->value(v->arg, i->a[k]);
        for (uint32_t k = 0; i->op == LOP_FOR && ext && k < ext[0]; k++) v->value(v->arg, ext[1 + 3 * k]);
        if (i->op >= LOP_LD && i->op <= LOP_STV1) use_memory(p, f, i, v);
    }
}
