/* c_uses: what emitted functions use: values, buffers, operations, helpers by how their pointers are stored. */
#include "codegen/c_emit.h"

bool c_is_load(LOp op) { return op >= LOP_LD && op <= LOP_LDVB; }
bool c_is_store(LOp op) { return op >= LOP_ST && op <= LOP_STV1; }
bool c_is_pure(LOp op) { return op >= LOP_ICONST && !c_is_store(op) && op != LOP_PREFETCH; }
bool c_is_shown(const LInst *i, const bool *live) { return i->op != LOP_PREFETCH && (!c_is_pure((LOp)i->op) || live[i->dst]); }

static void mark_value(void *arg, LV v) { ((CEmit *)arg)->live[v] = true; }

static void mark_buffer(void *arg, uint32_t buf, bool store) {
    CEmit *e = arg;
    if (buf & LBUF_PARAM) {
        e->writes[e->fn][buf & ~LBUF_PARAM] |= store;
        return;
    }
    e->buf[buf] = true;
    e->wrote[buf] |= store;
}

const CNarrow *c_stored(const CEmit *e, uint32_t buf) {
    const CNarrow *n = buf & LBUF_PARAM ? e->at->param[buf & ~LBUF_PARAM] : e->narrow ? &e->narrow[buf] : NULL;
    return n && n->storage != C_FLOAT ? n : NULL;
}

CInstance *c_instance(CEmit *e, const LInst *call) {
    const LFunc *g = e->p->fn.at[call->imm];
    CInstances *all = &e->instance[call->imm];
    const CNarrow **param = NEW_N(e->t->arena, const CNarrow *, g->param.n + 1);
    for (uint32_t k = 0; k < g->param.n; k++)
        if (g->param.at[k].pointer) param[k] = c_stored(e, e->f->ext.at[call->ext + 1 + 2 * k]);
    for (uint32_t k = 0; k < all->n; k++) {
        bool same = true;
        for (uint32_t q = 0; q < g->param.n; q++)
            same = same && (all->at[k].param[q] ? all->at[k].param[q]->storage : C_FLOAT) == (param[q] ? param[q]->storage : C_FLOAT);
        if (same) return &all->at[k];
    }
    VEC_PUSH(e->t->arena, *all) = (CInstance){.param = param};
    return &all->at[all->n - 1];
}

static void note_uses(CEmit *e, const LInst *i) {
    LV v[2];
    LOp op = (LOp)i->op;
    CUses *u = &e->t->uses;
    u->op[op] = true;
    if (op == LOP_LIBM) u->fn[i->imm] = true;
    if (op == LOP_LD) u->straddle[lfunc_straddles(e->p, e->f, i, v)] = true;
    if (op == LOP_LDT) u->ldt[i->imm] = true;
    if (op == LOP_LDVT) u->ldvt[i->imm] = true;
    if (op == LOP_STT) u->stt[i->imm] = true;
    if (op == LOP_STVT) u->stvt[i->imm] = true;
    if (op == LOP_TID || op == LOP_NT || op == LOP_BARRIER) e->env = true;
    if (op == LOP_DIM) *(i->imm == LDIM_TURN && !e->o->env ? &e->turn : &e->dim) = true;
}

void c_find_instances(CEmit *e) {
    e->instance = NEW_N(e->t->arena, CInstances, e->p->fn.n + 1);
    for (uint32_t k = e->p->fn.n; k-- > 0;) {
        e->f = e->p->fn.at[k];
        if (e->f->kind == LFUNC_ENTRY) VEC_PUSH(e->t->arena, e->instance[k]) = (CInstance){0};
        for (uint32_t q = 0; q < e->instance[k].n; q++) {
            e->at = &e->instance[k].at[q];
            for (uint32_t j = 0; j < e->f->inst.n; j++)
                if (e->f->inst.at[j].op == LOP_CALL) (void)c_instance(e, &e->f->inst.at[j]);
        }
    }
}

void c_begin_part(CEmit *e, uint32_t from, uint32_t to) {
    const LVisit visit = {mark_value, mark_buffer, e->writes, e};
    e->from = from;
    e->to = to;
    e->buf = NEW_N(e->t->arena, bool, e->p->buf.n);
    e->wrote = NEW_N(e->t->arena, bool, e->p->buf.n);
    e->env = e->dim = e->turn = false;
    e->notes = (CNotes){0};
    e->depth = 1;
    for (uint32_t k = to; k-- > from;) { /* uses follow definitions */
        const LInst *i = &e->f->inst.at[k];
        if (!c_is_shown(i, e->live)) continue;
        linst_uses(e->p, e->f, i, &visit);
        note_uses(e, i);
    }
    const bool *wanted = e->piece.n ? c_wanted(e, true) : NULL;
    for (uint32_t k = 0; wanted && k < e->f->inst.n; k++)
        if (wanted[e->f->inst.at[k].dst]) note_uses(e, &e->f->inst.at[k]);
}

void c_begin_function(CEmit *e, uint32_t fn) {
    e->fn = fn;
    e->f = e->p->fn.at[fn];
    e->live = NEW_N(e->t->arena, bool, e->f->type.n);
    e->text = NEW_N(e->t->arena, const char *, e->f->type.n);
    e->piece.n = 0;
    c_begin_part(e, 0, e->f->inst.n);
}

void c_find_uses(CEmit *e) {
    Arena *a = e->t->arena;
    uint32_t n = e->p->fn.n;
    e->writes = NEW_N(a, bool *, n);
    for (uint32_t k = 0; k < n; k++) {
        e->writes[k] = NEW_N(a, bool, e->p->fn.at[k]->param.n + 1);
        if (e->instance[k].n) c_begin_function(e, k);
    }
}
