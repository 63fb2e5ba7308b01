/* lverify: what a loop program may contain. One finding a function, so that one mistake is told once. */
#include "ir/loop.h"

#include <string.h>

typedef struct {
    const LProgram *p;
    const char *pass;
    Arena *arena;
    bool **stores; /* by function and parameter: something is stored through it */
    bool ok;

    uint32_t fn, pc;
    const LFunc *f;
    bool printable; /* the instruction's references are within their arrays */
    bool *visible;  /* by value */
    bool *defined;
    VEC(LV) scope; /* visible values in order of definition */
    struct Open {
        uint32_t pc, scope;
    } * open;
    uint32_t depth;
} Verifier;

/* ---- findings ----------------------------------------------------------------------------------------------------------- */

static bool bad(Verifier *v, const char *what) {
    Str s = str_make(v->arena);
    if (v->printable) {
        str_put(&s, " \"");
        linst_print(&s, v->p, v->f, v->pc);
        str_put(&s, "\"");
    }
    diag_error(v->p->ctx, 999, (Span){0, 0}, "after %s: loop function %s, instruction %u%s: %s", v->pass,
               name_str(v->p->ctx, v->f->name), (unsigned)v->pc, s.n ? s.at : "", what);
    v->ok = false;
    return false;
}

static bool bad_program(Verifier *v, const char *what, Name name) {
    diag_error(v->p->ctx, 999, (Span){0, 0}, "after %s: loop program: %s %s", v->pass, name_str(v->p->ctx, name), what);
    v->ok = false;
    return false;
}

/* ---- values ------------------------------------------------------------------------------------------------------------- */

static bool use(Verifier *v, LV x, char type) {
    if (x == 0 || x >= v->f->type.n) return bad(v, "an operand is no value");
    if (!v->visible[x]) return bad(v, v->defined[x] ? "an operand is not visible here" : "an operand is not defined before");
    if (v->f->type.at[x] != type) return bad(v, "an operand has the wrong type");
    return true;
}

static bool define(Verifier *v, LV x, char type) {
    if (x == 0 || x >= v->f->type.n) return bad(v, "the result is no value");
    if (v->defined[x]) return bad(v, "a value is defined twice");
    if (v->f->type.at[x] != type) return bad(v, "the result has the wrong type");
    v->defined[x] = v->visible[x] = true;
    VEC_PUSH(v->arena, v->scope) = x;
    return true;
}

static char type_of(const Verifier *v, LV x) { return x < v->f->type.n ? v->f->type.at[x] : '-'; }

static bool check_idx(Verifier *v, uint32_t idx) {
    const LIdx *x = &v->f->idx.at[idx];
    if (x->n > LIDX_TERMS) return bad(v, "an index has too many terms");
    for (uint32_t k = 0; k < x->n; k++)
        if (!use(v, x->v[k], 'i')) return false;
    return true;
}

/* ---- buffers ------------------------------------------------------------------------------------------------------------ */

/* May this function touch the buffer, and is it of that element? */
static bool check_buf(Verifier *v, uint32_t buf, LElem elem, bool store) {
    const LProgram *p = v->p;
    if (buf & LBUF_PARAM) {
        uint32_t k = buf & ~LBUF_PARAM;
        if (k >= v->f->param.n || !v->f->param.at[k].pointer) return bad(v, "there is no such pointer parameter");
        if (v->f->param.at[k].elem != elem) return bad(v, "the elements of the parameter are of another type");
        if (store) v->stores[v->fn][k] = true;
        return true;
    }
    if (buf >= p->buf.n) return bad(v, "there is no such buffer");
    const LBuf *b = &p->buf.at[buf];
    if (b->elem != elem) return bad(v, "the elements of the buffer are of another type");
    if (b->role == LB_LOCAL ? b->index != v->fn : v->f->kind == LFUNC_HELPER)
        return bad(v, "this buffer cannot be seen from this function");
    if (store && (b->role == LB_THETA || b->role == LB_INPUT || b->role == LB_EXAMPLE))
        return bad(v, "this buffer is read only");
    return true;
}

static bool check_memory(Verifier *v, const LInst *i) {
    bool store = i->op >= LOP_ST;
    bool ints = i->op == LOP_LDI || i->op == LOP_LDV || i->op == LOP_LDVT || i->op == LOP_LDVB || i->op >= LOP_STV;
    bool part = i->op == LOP_LDT || i->op == LOP_LDVT || i->op == LOP_STT || i->op == LOP_STVT;
    if (!check_idx(v, i->idx) || !check_buf(v, i->buf, ints ? LE_I32 : LE_F, store)) return false;
    if (part && (i->imm < 1 || i->imm > v->p->V)) return bad(v, "the number of lanes is not in 1..V");
    if (i->op == LOP_PREFETCH) return true;
    return store ? use(v, i->a[0], ints ? 'v' : 'f') : define(v, i->dst, lop_info[i->op].result);
}

/* ---- control ------------------------------------------------------------------------------------------------------------ */

static bool check_for(Verifier *v, const LInst *i) {
    const uint32_t *e = &v->f->ext.at[i->ext];
    if (!use(v, i->a[0], 'i') || !use(v, i->a[1], 'i')) return false;
    if (i->imm <= 0) return bad(v, "the step is not positive");
    for (uint32_t k = 0; k < e[0]; k++)
        if (!use(v, e[3 * k + 1], type_of(v, e[3 * k + 1]))) return false;
    v->open[v->depth++] = (struct Open){v->pc, v->scope.n};
    if (!define(v, i->dst, 'i')) return false;
    for (uint32_t k = 0; k < e[0]; k++)
        if (!define(v, e[3 * k + 2], type_of(v, e[3 * k + 1]))) return false;
    return true;
}

static bool check_yield(Verifier *v, const LInst *i) {
    const LInst *head = v->depth ? &v->f->inst.at[v->open[v->depth - 1].pc] : NULL;
    const uint32_t *e = &v->f->ext.at[i->ext];
    if (!head || head->op != LOP_FOR) return bad(v, "a yield outside of a for");
    if (v->pc + 1 >= v->f->inst.n || v->f->inst.at[v->pc + 1].op != LOP_END)
        return bad(v, "a yield is not at the end of its for");
    const uint32_t *c = &v->f->ext.at[head->ext];
    if (c[0] != e[0] || e[0] == 0) return bad(v, "yields and carries differ in number");
    for (uint32_t k = 0; k < e[0]; k++)
        if (!use(v, e[1 + k], type_of(v, c[3 * k + 1]))) return false;
    return true;
}

static bool check_end(Verifier *v) {
    if (!v->depth) return bad(v, "an end without a block");
    struct Open o = v->open[--v->depth];
    const LInst *head = &v->f->inst.at[o.pc];
    while (v->scope.n > o.scope) v->visible[v->scope.at[--v->scope.n]] = false;
    if (head->op != LOP_FOR) return true;
    const uint32_t *e = &v->f->ext.at[head->ext];
    if (e[0] && v->f->inst.at[v->pc - 1].op != LOP_YIELD) return bad(v, "a for with carries ends without a yield");
    for (uint32_t k = 0; k < e[0]; k++)
        if (!define(v, e[3 * k + 3], type_of(v, e[3 * k + 1]))) return false;
    return true;
}

static bool check_call(Verifier *v, const LInst *i) {
    if (i->imm < 0 || i->imm >= (int64_t)v->fn) return bad(v, "the called function does not stand before this one");
    const LFunc *g = v->p->fn.at[i->imm];
    const uint32_t *e = &v->f->ext.at[i->ext];
    if (g->kind != LFUNC_HELPER) return bad(v, "an entry is called");
    if (e[0] != g->param.n) return bad(v, "arguments and parameters differ in number");
    for (uint32_t k = 0; k < g->param.n; k++) {
        const LParam *q = &g->param.at[k];
        if (!q->pointer) {
            if (!use(v, e[1 + 2 * k], 'i')) return false;
        } else if (!check_idx(v, e[2 + 2 * k]) || !check_buf(v, e[1 + 2 * k], (LElem)q->elem, v->stores[i->imm][k]))
            return false;
    }
    return true;
}

/* ---- instructions ------------------------------------------------------------------------------------------------------- */

static bool check_imm(Verifier *v, const LInst *i) {
    if (i->op == LOP_DIM && (i->imm < 0 || i->imm >= LDIM_COUNT)) return bad(v, "there is no such dimension");
    if (i->op == LOP_LIBM && (i->imm < 0 || i->imm >= LFN_COUNT)) return bad(v, "there is no such function");
    if ((i->op == LOP_VSHL || i->op == LOP_VSHR) && (i->imm < 0 || i->imm > 31)) return bad(v, "a shift is not in 0..31");
    if (i->op == LOP_LANE && (i->imm < 0 || i->imm >= v->p->V)) return bad(v, "there is no such lane");
    if ((i->op == LOP_DIM || i->op == LOP_TID || i->op == LOP_NT) && v->f->kind == LFUNC_HELPER)
        return bad(v, "a helper sees only its parameters");
    return true;
}

/* References into the function's arrays: what printing needs. */
static bool in_arrays(const Verifier *v, const LInst *i) {
    const LFunc *f = v->f;
    if (i->op == LOP_NONE || i->op >= LOP_COUNT) return false;
    if (i->op >= LOP_LD && i->op <= LOP_STV1) return i->idx < f->idx.n;
    uint32_t per = i->op == LOP_FOR ? 3 : i->op == LOP_CALL ? 2 : i->op == LOP_YIELD ? 1 : 0;
    if (!per) return true;
    if (i->ext >= f->ext.n || (uint64_t)f->ext.at[i->ext] * per >= f->ext.n - i->ext) return false;
    if (i->op != LOP_CALL || i->imm < 0 || i->imm >= (int64_t)v->p->fn.n) return true;
    const LFunc *g = v->p->fn.at[i->imm];
    for (uint32_t k = 0; k < f->ext.at[i->ext] && k < g->param.n; k++)
        if (g->param.at[k].pointer && f->ext.at[i->ext + 2 + 2 * k] >= f->idx.n) return false;
    return true;
}

static bool check_inst(Verifier *v, const LInst *i) {
    v->printable = in_arrays(v, i);
    if (!v->printable) return bad(v, "it is no instruction, or refers to something outside its function");
    if (i->flags & ~(i->op == LOP_FOR ? LF_DOWN : 0)) return bad(v, "unknown flags");
    if (i->op == LOP_FOR) return check_for(v, i);
    if (i->op == LOP_YIELD) return check_yield(v, i);
    if (i->op == LOP_END) return check_end(v);
    if (i->op == LOP_CALL) return check_call(v, i);
    if (i->op == LOP_BARRIER) return v->f->kind == LFUNC_ENTRY || bad(v, "a barrier in a helper");
    if (i->op >= LOP_LD && i->op <= LOP_STV1) return check_memory(v, i);
    if (i->op == LOP_IF) {
        v->open[v->depth++] = (struct Open){v->pc, v->scope.n};
        return use(v, i->a[0], 'i') && use(v, i->a[1], 'i');
    }
    const char *args = lop_info[i->op].args;
    for (uint32_t k = 0; args[k]; k++)
        if (!use(v, i->a[k], args[k])) return false;
    return check_imm(v, i) && define(v, i->dst, lop_info[i->op].result);
}

static bool check_func(Verifier *v, uint32_t fn) {
    const LFunc *f = v->p->fn.at[fn];
    v->fn = fn;
    v->f = f;
    v->pc = 0;
    v->depth = v->scope.n = 0;
    v->printable = false;
    v->visible = NEW_N(v->arena, bool, f->type.n + 1);
    v->defined = NEW_N(v->arena, bool, f->type.n + 1);
    v->open = NEW_N(v->arena, struct Open, f->inst.n + 1);
    v->stores[fn] = NEW_N(v->arena, bool, f->param.n + 1);
    if (f->kind == LFUNC_ENTRY && f->param.n) return bad(v, "an entry has parameters");
    for (uint32_t k = 0; k < f->param.n; k++)
        if (!f->param.at[k].pointer && !define(v, f->param.at[k].value, 'i')) return false;
    for (v->pc = 0; v->pc < f->inst.n; v->pc++)
        if (!check_inst(v, &f->inst.at[v->pc])) return false;
    v->printable = false;
    return v->depth == 0 || bad(v, "a block is not closed");
}

static bool check_program_buf(Verifier *v, const LBuf *b) {
    if (b->role > LB_LOCAL || b->elem > LE_I32) return bad_program(v, "has no role or element", b->name);
    if (b->extent.n > LEXTENT_TERMS) return bad_program(v, "has too many terms of extent", b->name);
    for (uint32_t k = 0; k < b->extent.n; k++) {
        const LMono *m = &b->extent.term[k];
        if (m->dims >> LDIM_COUNT || (b->role == LB_LOCAL && m->coef < 0))
            return bad_program(v, "has an impossible extent", b->name);
        if (b->role == LB_LOCAL && m->dims) return bad_program(v, "is local and has no constant size", b->name);
    }
    if (b->extent.most.dims >> LDIM_COUNT || b->extent.most.coef < 0 || (b->role == LB_LOCAL && b->extent.most.coef))
        return bad_program(v, "has an impossible extent", b->name);
    if (b->role == LB_LOCAL && b->index >= v->p->fn.n) return bad_program(v, "is local to no function", b->name);
    if ((b->role == LB_SLAB || b->role == LB_PACK) && b->slot >= v->p->nslot) return bad_program(v, "has no slot", b->name);
    if (b->role == LB_EXAMPLE && b->elem != LE_I32) return bad_program(v, "must hold integers", b->name);
    if ((b->role == LB_THETA || b->role == LB_GRAD) && b->elem != LE_F) return bad_program(v, "must hold floats", b->name);
    return true;
}

static bool check_program(const LProgram *p, const char *pass, Arena *a) {
    Verifier v;
    memset(&v, 0, sizeof v);
    v.p = p;
    v.pass = pass;
    v.arena = a;
    v.ok = true;
    v.stores = NEW_N(a, bool *, p->fn.n + 1);
    if (p->V != 1 && p->V != 4 && p->V != 8 && p->V != 16) bad_program(&v, "has another V than 1, 4, 8, 16", p->name);
    for (uint32_t k = 0; k < p->buf.n; k++) check_program_buf(&v, &p->buf.at[k]);
    for (uint32_t k = 0; k < p->fn.n; k++) check_func(&v, k);
    return v.ok;
}

bool lprogram_verify(const LProgram *p, const char *pass) {
    Arena a = arena_make(p->ctx);
    CtxFrame frame;
    if (CTX_TRY(p->ctx, &frame)) {
        bool ok = check_program(p, pass, &a);
        CTX_END(p->ctx);
        arena_free(&a);
        return ok;
    }
    arena_free(&a);
    ctx_out_of_memory(p->ctx);
}
