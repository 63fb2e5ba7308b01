/* See join.h. */
#include <string.h>

#include "tests/unit/join.h"

static uint32_t moved(const JoinPart *part, uint32_t buf) { return buf & LBUF_PARAM ? buf : buf + part->buf; }

static bool touches(LOp op) {
    return op >= LOP_LD && op <= LOP_STV1;
}

static void *copy(Arena *a, const void *from, size_t bytes) {
    void *to = arena_alloc(a, bytes + 1);
    if (bytes) memcpy(to, from, bytes);
    return to;
}

static LFunc *copy_fn(Arena *a, const LFunc *f, const JoinPart *part, const LProgram *q) {
    LFunc *c = NEW(a, LFunc);
    *c = *f;
    c->inst.at = copy(a, f->inst.at, f->inst.n * sizeof *f->inst.at);
    c->ext.at = copy(a, f->ext.at, f->ext.n * sizeof *f->ext.at);
    c->inst.cap = f->inst.n;
    c->ext.cap = f->ext.n;
    for (uint32_t k = 0; k < c->inst.n; k++) {
        LInst *i = &c->inst.at[k];
        if (touches((LOp)i->op)) i->buf = moved(part, i->buf);
        if (i->op != LOP_CALL) continue;
        const LFunc *g = q->fn.at[i->imm];
        for (uint32_t n = 0; n < g->param.n; n++)
            if (g->param.at[n].pointer) c->ext.at[i->ext + 1 + 2 * n] = moved(part, c->ext.at[i->ext + 1 + 2 * n]);
        i->imm = part->fn[i->imm];
    }
    return c;
}

static bool idx_equal(const LIdx *x, const LIdx *y) {
    if (x->c0 != y->c0 || x->n != y->n) return false;
    for (uint32_t k = 0; k < x->n; k++)
        if (x->v[k] != y->v[k] || x->c[k] != y->c[k]) return false;
    return true;
}

static bool fn_equal(const LFunc *x, const LFunc *y) {
    if (x->kind != y->kind || x->inst.n != y->inst.n || x->ext.n != y->ext.n || x->idx.n != y->idx.n ||
        x->param.n != y->param.n || x->type.n != y->type.n || x->inline_hint != y->inline_hint)
        return false;
    for (uint32_t k = 0; k < x->inst.n; k++) {
        const LInst *i = &x->inst.at[k], *j = &y->inst.at[k];
        if (i->op != j->op || i->flags != j->flags || i->dst != j->dst || memcmp(i->a, j->a, sizeof i->a) || i->buf != j->buf ||
            i->idx != j->idx || i->ext != j->ext || i->imm != j->imm)
            return false;
    }
    for (uint32_t k = 0; k < x->idx.n; k++)
        if (!idx_equal(&x->idx.at[k], &y->idx.at[k])) return false;
    for (uint32_t k = 0; k < x->param.n; k++)
        if (x->param.at[k].pointer != y->param.at[k].pointer || x->param.at[k].value != y->param.at[k].value ||
            x->param.at[k].elem != y->param.at[k].elem)
            return false;
    for (uint32_t k = 0; k < x->ext.n; k++)
        if (x->ext.at[k] != y->ext.at[k]) return false;
    return !memcmp(x->type.at, y->type.at, x->type.n);
}

/* An equal helper, or UINT32_MAX; *name becomes one that is free. */
static uint32_t find_helper(LProgram *p, const LFunc *f, Name *name) {
    for (uint32_t version = 0;; version++) {
        uint32_t k = 0;
        *name = version ? intern_printf(p->ctx, "%s_v%u", name_str(p->ctx, f->name), version) : f->name;
        while (k < p->fn.n && p->fn.at[k]->name != *name) k++;
        if (k == p->fn.n) return UINT32_MAX;
        if (fn_equal(p->fn.at[k], f)) return k;
    }
}

void join_add(LProgram *p, const LProgram *q, JoinPart *part) {
    part->buf = p->buf.n;
    part->fn = NEW_N(p->arena, uint32_t, q->fn.n + 1);
    for (uint32_t k = 0; k < q->fn.n; k++) {
        LFunc *f = copy_fn(p->arena, q->fn.at[k], part, q);
        Name name = 0;
        uint32_t old = UINT32_MAX;
        if (f->kind == LFUNC_HELPER) old = find_helper(p, f, &name);
        else name = intern_printf(p->ctx, "%s_%u", name_str(p->ctx, f->name), p->fn.n);
        part->fn[k] = old == UINT32_MAX ? p->fn.n : old;
        if (old != UINT32_MAX) continue;
        f->name = name;
        VEC_PUSH(p->arena, p->fn) = f;
    }
    for (uint32_t k = 0; k < q->buf.n; k++) {
        LBuf b = q->buf.at[k];
        if (b.role == LB_LOCAL) b.index = part->fn[b.index];
        VEC_PUSH(p->arena, p->buf) = b;
    }
    p->nslot += q->nslot;
}
