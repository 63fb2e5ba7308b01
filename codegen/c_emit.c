/* c_emit: the functions of a loop program as strict C99, one operation a line, in order.
   before:  7 = fma 5 6 4
   after:   const m_f v7 = m_op_fma(v5, v6, v4);
   The operations are macros and functions of c_prelude.c. A loop's carry is one variable: what the program calls the carry
   in the body and the result after the loop. Values nobody uses are not printed (compilers warn of them). */
#include "codegen/c_emit.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct {
    const char *name, *text; /* of a helper that is printed */
} CHelper;

struct CText {
    const CEmitOptions *o;
    const LProgram *p; /* one of them: f64 and V are those of all */
    Arena *arena;
    CUses uses, seen;
    VEC(CHelper) helper;
};

/* A helper is printed once for each way that its pointers are stored. */
typedef struct {
    const CNarrow **param; /* NULL: floats */
    const char *symbol;    /* after the prefix */
} CInstance;
typedef VEC(CInstance) CInstances;

struct CUnit {
    Str *out;
    const LProgram *p;
    const CEmitOptions *o;
    CText *t;
    const char *name;    /* in the names of entries; NULL: none */
    CInstances *instance; /* by function: as entries call it; of an entry one */
    const CNarrow *narrow; /* by buffer; NULL: none */
    bool *refused;         /* by buffer */
    bool **writes; /* by function: of each parameter, stored through */
    /* of the function being printed */
    const LFunc *f;
    uint32_t fn;
    CInstance *at;
    bool *live;        /* by value */
    bool *buf, *wrote; /* by buffer: used, stored through */
    const char **text; /* of values */
    bool env, dim, turn; /* used */
    int depth;
    CNotes notes;
};
typedef CUnit CEmit;

/* ---- what is used --------------------------------------------------------------------------------------------------- */

static bool is_load(LOp op) { return op >= LOP_LD && op <= LOP_LDVB; }
static bool is_store(LOp op) { return op >= LOP_ST && op <= LOP_STV1; }
static bool is_pure(LOp op) { return op >= LOP_ICONST && !is_store(op) && op != LOP_PREFETCH; }

static void mark_idx(CEmit *e, uint32_t idx) {
    const LIdx *x = &e->f->idx.at[idx];
    for (uint32_t k = 0; k < x->n; k++) e->live[x->v[k]] = true;
}

static void mark_buf(CEmit *e, uint32_t buf, bool store) {
    if (buf & LBUF_PARAM) {
        e->writes[e->fn][buf & ~LBUF_PARAM] |= store;
        return;
    }
    e->buf[buf] = true;
    e->wrote[buf] |= store;
}

static void mark_call(CEmit *e, const LInst *i) {
    const LFunc *g = e->p->fn.at[i->imm];
    for (uint32_t k = 0; k < g->param.n; k++) {
        const uint32_t *arg = &e->f->ext.at[i->ext + 1 + 2 * k];
        if (g->param.at[k].pointer) {
            mark_buf(e, arg[0], e->writes[i->imm][k]);
            mark_idx(e, arg[1]);
        } else {
            e->live[arg[0]] = true;
        }
    }
}

static void mark_operands(CEmit *e, const LInst *i) {
    LOp op = (LOp)i->op;
    const uint32_t *ext = e->f->ext.n > i->ext ? &e->f->ext.at[i->ext] : NULL;
    if (op == LOP_CALL) {
        mark_call(e, i);
    } else if (op == LOP_YIELD) {
        for (uint32_t k = 0; k < ext[0]; k++) e->live[ext[1 + k]] = true;
    } else {
        for (int k = 0; k < 3; k++) e->live[i->a[k]] = true;
        if (op == LOP_FOR)
            for (uint32_t k = 0; ext && k < ext[0]; k++) e->live[ext[1 + 3 * k]] = true;
        if (is_load(op) || is_store(op)) {
            mark_buf(e, i->buf, is_store(op));
            mark_idx(e, i->idx);
        }
    }
}

/* How what a pointer shows is stored; NULL: as it is. */
static const CNarrow *stored(const CEmit *e, uint32_t buf) {
    const CNarrow *n = buf & LBUF_PARAM ? e->at->param[buf & ~LBUF_PARAM] : e->narrow ? &e->narrow[buf] : NULL;
    return n && n->storage != C_FLOAT ? n : NULL;
}

static CInstance *instance_of(CEmit *e, const LInst *call) {
    const LFunc *g = e->p->fn.at[call->imm];
    CInstances *all = &e->instance[call->imm];
    const CNarrow **param = NEW_N(e->t->arena, const CNarrow *, g->param.n + 1);
    for (uint32_t k = 0; k < g->param.n; k++)
        if (g->param.at[k].pointer) param[k] = stored(e, e->f->ext.at[call->ext + 1 + 2 * k]);
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

static void find_instances(CEmit *e) {
    e->instance = NEW_N(e->t->arena, CInstances, e->p->fn.n + 1);
    for (uint32_t k = e->p->fn.n; k-- > 0;) {
        e->f = e->p->fn.at[k];
        if (e->f->kind == LFUNC_ENTRY) VEC_PUSH(e->t->arena, e->instance[k]) = (CInstance){0};
        for (uint32_t q = 0; q < e->instance[k].n; q++) {
            e->at = &e->instance[k].at[q];
            for (uint32_t j = 0; j < e->f->inst.n; j++)
                if (e->f->inst.at[j].op == LOP_CALL) (void)instance_of(e, &e->f->inst.at[j]);
        }
    }
}

/* Enters a function: which values are used (one backward walk: uses follow definitions), which buffers, which operations. */
static void begin_function(CEmit *e, uint32_t fn) {
    Arena *a = e->t->arena;
    e->fn = fn;
    e->f = e->p->fn.at[fn];
    e->live = NEW_N(a, bool, e->f->type.n);
    e->text = NEW_N(a, const char *, e->f->type.n);
    e->buf = NEW_N(a, bool, e->p->buf.n);
    e->wrote = NEW_N(a, bool, e->p->buf.n);
    e->env = e->dim = e->turn = false;
    e->notes = (CNotes){0};
    e->depth = 1;
    for (uint32_t k = e->f->inst.n; k-- > 0;) {
        const LInst *i = &e->f->inst.at[k];
        if (i->op == LOP_PREFETCH || (is_pure((LOp)i->op) && !e->live[i->dst])) continue; /* C does without prefetching */
        mark_operands(e, i);
        note_uses(e, i);
    }
}

static void find_uses(CEmit *e) {
    Arena *a = e->t->arena;
    uint32_t n = e->p->fn.n;
    e->writes = NEW_N(a, bool *, n);
    for (uint32_t k = 0; k < n; k++) {
        e->writes[k] = NEW_N(a, bool, e->p->fn.at[k]->param.n + 1);
        if (e->instance[k].n) begin_function(e, k);
    }
}

/* ---- operands ------------------------------------------------------------------------------------------------------- */

static const char *type_of(const CEmit *e, LV v) {
    char t = e->f->type.at[v];
    return t == 'i' ? "$N" : t == 'f' ? "$f" : t == 'v' ? "$v" : "$m";
}

static void put(CEmit *e, const char *text) { c_put(e->out, e->p, e->o, text); }

static void line(CEmit *e) { str_printf(e->out, "%*s", 4 * e->depth, ""); }

static const char *val(CEmit *e, LV v) {
    if (!e->text[v]) e->text[v] = arena_printf(e->out->arena, "v%u", v);
    return e->text[v];
}

static const char *int_text(CEmit *e, int64_t v) {
    Arena *a = e->t->arena;
    if (v == INT64_MIN) return "INT64_MIN";
    if (v > INT32_MAX || v < -INT32_MAX) return arena_printf(a, v < 0 ? "(-INT64_C(%" PRId64 "))" : "INT64_C(%" PRId64 ")", v < 0 ? -v : v);
    return arena_printf(a, v < 0 ? "(%" PRId64 ")" : "%" PRId64, v);
}

static const char *buf_text(CEmit *e, uint32_t buf) {
    return arena_printf(e->out->arena, buf & LBUF_PARAM ? "p%u" : "b%u", buf & ~LBUF_PARAM);
}

/* b3 + (4 * v7 + v2 + 16) */
static void put_address(CEmit *e, uint32_t buf, uint32_t idx) {
    const LIdx *x = &e->f->idx.at[idx];
    str_put(e->out, buf_text(e, buf));
    const char *sep = " + (";
    for (uint32_t k = 0; k < x->n; k++) {
        if (x->c[k] == 0) continue;
        str_put(e->out, sep);
        sep = " + ";
        if (x->c[k] != 1) str_printf(e->out, "%s * ", int_text(e, x->c[k]));
        str_put(e->out, val(e, x->v[k]));
    }
    if (x->c0) {
        str_put(e->out, sep);
        sep = " + ";
        str_put(e->out, int_text(e, x->c0));
    }
    if (sep[3] != '(') str_putc(e->out, ')');
}

/* A float constant. */
static void put_float(CEmit *e, int64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    if (!e->p->f64) d = (double)(float)d;
    if (isnan(d))
        put(e, "($F)NAN");
    else if (isinf(d))
        put(e, d < 0 ? "(-($F)INFINITY)" : "($F)INFINITY");
    else
        c_digits(e->out, d, e->p->f64);
}

/* A scalar expression of lops.def over a and b, with operands in their place. */
static void put_int_expr(CEmit *e, const char *s, const LInst *i) {
    for (; *s; s++) {
        if (*s == 'a' || *s == 'b')
            str_put(e->out, val(e, i->a[*s - 'a']));
        else
            str_putc(e->out, *s);
    }
}

static const char *int_expr(LOp op) {
    static const char *const text[LOP_COUNT] = {
#define LOP(NAME, text, res, args, lane, llvm) #lane,
#include "ir/lops.def"
#undef LOP
    };
    return text[op];
}

/* ---- instructions --------------------------------------------------------------------------------------------------- */

static void begin_value(CEmit *e, LV v) {
    put(e, "const ");
    put(e, type_of(e, v));
    str_printf(e->out, " %s = ", val(e, v));
}

static const char *val_of(void *arg, LV v) { return val(arg, v); }

/* A loop's variable from 0 on stays below this; -1: it is none, or nobody knows. */
static int64_t below_of(void *arg, LV v) {
    const LFunc *f = ((CEmit *)arg)->f;
    int64_t lo = -1, hi = -1;
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *loop = &f->inst.at[k];
        if (loop->op != LOP_FOR || loop->dst != v) continue;
        for (uint32_t q = 0; q < k; q++) {
            const LInst *i = &f->inst.at[q];
            if (i->op == LOP_ICONST && i->dst == loop->a[0]) lo = i->imm;
            if (i->op == LOP_ICONST && i->dst == loop->a[1]) hi = i->imm;
        }
    }
    return lo >= 0 ? hi : -1;
}

/* Where the scales (q..) of what is read at `idx` are: those of a helper's pointer go along with its columns. */
static void put_scale(CEmit *e, const CNarrow *n, uint32_t buf, uint32_t idx) {
    const LIdx *x = &e->f->idx.at[idx];
    if (buf & LBUF_PARAM) {
        str_printf(e->out, "q%u", buf & ~LBUF_PARAM);
        if (x->c0) str_printf(e->out, " + %s", int_text(e, x->c0));
    } else if (!c_narrow_address(e->out, n, arena_printf(e->t->arena, "q%u", buf), x, &(CNames){val_of, below_of, e})) {
        e->refused[buf] = true;
    }
}

/* One element in all lanes. */
static void put_narrow_splat(CEmit *e, const LInst *i, const CNarrow *n) {
    put(e, "const float ");
    str_printf(e->out, "s_%u = ", i->dst);
    put(e, n->storage == C_INT8 ? "(float)*(" : "$P_half(*(");
    put_address(e, i->buf, i->idx);
    str_put(e->out, n->storage == C_INT8 ? ") * *(" : "));");
    if (n->storage == C_INT8) {
        put_scale(e, n, i->buf, i->idx);
        str_put(e->out, ");");
    }
    str_putc(e->out, ' ');
    begin_value(e, i->dst);
    put(e, "$P_splat(");
    str_printf(e->out, "s_%u);\n", i->dst);
}

static void put_narrow_load(CEmit *e, const LInst *i, const CNarrow *n) {
    CUses *u = &e->t->uses;
    bool int8 = n->storage == C_INT8, columns = int8 && (n->panel || i->buf & LBUF_PARAM);
    *(!int8 ? n->storage == C_BF16 ? &u->bf16 : &u->f16 : columns ? &u->columns : &u->blocks) = true;
    if (i->op == LOP_LDB) {
        put_narrow_splat(e, i, n);
        return;
    }
    put(e, type_of(e, i->dst));
    str_printf(e->out, " %s; %s_op_%s(&%s, ", val(e, i->dst), e->o->prefix, !int8 ? "ldh" : columns ? "ldq" : "ldr", val(e, i->dst));
    put_address(e, i->buf, i->idx);
    if (int8) {
        str_put(e->out, ", ");
        put_scale(e, n, i->buf, i->idx);
    }
    str_printf(e->out, ", %d);\n", i->op == LOP_LDT ? (int)i->imm : e->p->V);
}

static void put_load(CEmit *e, const LInst *i) {
    LOp op = (LOp)i->op;
    const CNarrow *narrow = stored(e, i->buf);
    if (narrow) {
        put_narrow_load(e, i, narrow);
        return;
    }
    if (op == LOP_LDB || op == LOP_LDVB) {
        put(e, op == LOP_LDB ? "const $F " : "const int32_t ");
        str_printf(e->out, "s%u = *(", i->dst);
        put_address(e, i->buf, i->idx);
        str_put(e->out, "); ");
        begin_value(e, i->dst);
        put(e, op == LOP_LDB ? "$P_splat(" : "$P_vsplat(");
        str_printf(e->out, "s%u);\n", i->dst);
        return;
    }
    begin_value(e, i->dst);
    LV v[2];
    int past = lfunc_straddles(e->p, e->f, i, v);
    if (past) {
        str_printf(e->out, "%s_op_ld_past%d(%s, %s, ", e->o->prefix, past, val(e, v[0]), val(e, v[1]));
        put_address(e, i->buf, i->idx);
        str_put(e->out, ");\n");
        return;
    }
    if (op == LOP_LDI)
        str_put(e->out, "*");
    else
        str_printf(e->out, "%s_op_%s", e->o->prefix, lop_info[op].text);
    if (op == LOP_LDT || op == LOP_LDVT) str_printf(e->out, "%" PRId64, i->imm);
    str_putc(e->out, '(');
    put_address(e, i->buf, i->idx);
    str_put(e->out, ");\n");
}

static void put_store(CEmit *e, const LInst *i) {
    LOp op = (LOp)i->op;
    str_printf(e->out, "%s_op_%s", e->o->prefix, lop_info[op].text);
    if (op == LOP_STT || op == LOP_STVT) str_printf(e->out, "%" PRId64, i->imm);
    str_putc(e->out, '(');
    put_address(e, i->buf, i->idx);
    str_printf(e->out, ", %s);\n", val(e, i->a[0]));
}

/* Operations that are functions over pointers: r, a [, b]. */
static void put_whole(CEmit *e, const LInst *i, const char *name, bool two) {
    put(e, type_of(e, i->dst));
    str_printf(e->out, " %s; %s_op_%s(&%s, &%s", val(e, i->dst), e->o->prefix, name, val(e, i->dst), val(e, i->a[0]));
    if (two) str_printf(e->out, ", &%s", val(e, i->a[1]));
    str_put(e->out, ");\n");
}

static void put_int(CEmit *e, const LInst *i) {
    LOp op = (LOp)i->op;
    begin_value(e, i->dst);
    if (op == LOP_DIM && e->turn && i->imm == LDIM_TURN)
        str_put(e->out, "turn");
    else if (op == LOP_DIM)
        str_printf(e->out, "dim[%" PRId64 "]", i->imm);
    else if (op == LOP_TID)
        str_put(e->out, e->o->env ? "env->tid" : "0");
    else if (op == LOP_NT)
        str_put(e->out, e->o->env ? "env->nt" : "1");
    else
        put_int_expr(e, int_expr(op), i);
    str_put(e->out, ";\n");
}

static void put_pure(CEmit *e, const LInst *i) {
    LOp op = (LOp)i->op;
    if (op == LOP_ICONST) {
        e->text[i->dst] = int_text(e, i->imm);
        return;
    }
    line(e);
    if (lop_info[op].result == 'i' && op != LOP_LDI) {
        put_int(e, i);
    } else if (is_load(op)) {
        put_load(e, i);
    } else if (op == LOP_HSUM || op == LOP_HMAX) {
        put_whole(e, i, lop_info[op].text, false);
    } else if (op == LOP_LIBM) {
        put_whole(e, i, lfn_info[i->imm].cname, lfn_info[i->imm].args == 2);
    } else if (op == LOP_FCONST) {
        begin_value(e, i->dst);
        put(e, "$P_splat(");
        put_float(e, i->imm);
        str_put(e->out, ");\n");
    } else {
        begin_value(e, i->dst);
        str_printf(e->out, "%s_op_%s(", e->o->prefix, lop_info[op].text);
        size_t n = strlen(lop_info[op].args);
        for (size_t k = 0; k < n; k++) str_printf(e->out, "%s%s", k ? ", " : "", val(e, i->a[k]));
        if (op == LOP_VSHL || op == LOP_VSHR || op == LOP_LANE) str_printf(e->out, ", %d", (int)i->imm);
        if (op == LOP_VCONST) str_put(e->out, int_text(e, (int32_t)i->imm));
        str_put(e->out, ");\n");
    }
}

/* ---- control -------------------------------------------------------------------------------------------------------- */

static void put_for(CEmit *e, const LInst *i) {
    const uint32_t *ext = &e->f->ext.at[i->ext];
    for (uint32_t k = 0; k < ext[0]; k++) {
        LV init = ext[1 + 3 * k], inner = ext[2 + 3 * k], result = ext[3 + 3 * k];
        line(e);
        put(e, type_of(e, result));
        e->text[inner] = val(e, result);
        str_printf(e->out, " %s = %s;\n", val(e, result), val(e, init));
    }
    const char *v = val(e, i->dst), *lo = val(e, i->a[0]), *hi = val(e, i->a[1]), *step = int_text(e, i->imm);
    const char *t = e->o->env ? "int64_t" : "ptrdiff_t";
    line(e);
    if (!(i->flags & LF_DOWN))
        str_printf(e->out, "for (%s %s = %s; %s < %s; %s += %s) {\n", t, v, lo, v, hi, v, step);
    else if (i->imm == 1)
        str_printf(e->out, "for (%s %s = %s - 1; %s >= %s; %s--) {\n", t, v, hi, v, lo, v);
    else
        str_printf(e->out, "for (%s %s = %s + (%s - %s + %s - 1) / %s * %s - %s; %s >= %s; %s -= %s) {\n", t, v, lo, hi, lo,
                   step, step, step, step, v, lo, v, step);
    e->depth++;
}

/* The carries' next values, all at once: by way of temporaries where one is assigned before it is read. */
static void put_yield(CEmit *e, const LInst *i, const LInst *loop) {
    const uint32_t *y = &e->f->ext.at[i->ext], *c = &e->f->ext.at[loop->ext];
    bool clash = false;
    for (uint32_t k = 0; k < y[0]; k++)
        for (uint32_t j = k + 1; j < y[0]; j++) clash |= val(e, y[1 + j]) == val(e, c[3 + 3 * k]);
    for (uint32_t k = 0; clash && k < y[0]; k++) {
        line(e);
        put(e, "const ");
        put(e, type_of(e, y[1 + k]));
        str_printf(e->out, " n%u = %s;\n", c[3 + 3 * k], val(e, y[1 + k]));
    }
    for (uint32_t k = 0; k < y[0]; k++) {
        const char *to = val(e, c[3 + 3 * k]), *from = val(e, y[1 + k]);
        if (to == from) continue;
        line(e);
        if (clash)
            str_printf(e->out, "%s = n%u;\n", to, c[3 + 3 * k]);
        else
            str_printf(e->out, "%s = %s;\n", to, from);
    }
}

static void put_end(CEmit *e, const LInst *open) {
    e->depth--;
    line(e);
    str_put(e->out, "}\n");
    if (open->op != LOP_FOR) return;
    const uint32_t *ext = &e->f->ext.at[open->ext];
    for (uint32_t k = 0; k < ext[0]; k++) {
        if (e->live[ext[2 + 3 * k]] || e->live[ext[3 + 3 * k]]) continue;
        line(e);
        str_printf(e->out, "(void)%s;\n", val(e, ext[3 + 3 * k]));
    }
}

static void put_call(CEmit *e, const LInst *i) {
    const LFunc *g = e->p->fn.at[i->imm];
    line(e);
    str_printf(e->out, "%s_%s(", e->o->prefix, instance_of(e, i)->symbol);
    for (uint32_t k = 0; k < g->param.n; k++) {
        const uint32_t *arg = &e->f->ext.at[i->ext + 1 + 2 * k];
        const CNarrow *narrow = g->param.at[k].pointer ? stored(e, arg[0]) : NULL;
        if (k) str_put(e->out, ", ");
        if (narrow && narrow->storage == C_INT8 && !(arg[0] & LBUF_PARAM) && !narrow->panel) e->refused[arg[0]] = true;
        if (g->param.at[k].pointer)
            put_address(e, arg[0], arg[1]);
        if (narrow && narrow->storage == C_INT8) {
            str_put(e->out, ", ");
            put_scale(e, narrow, arg[0], arg[1]);
        }
        if (!g->param.at[k].pointer) str_put(e->out, val(e, arg[0]));
    }
    str_put(e->out, ");\n");
}

static void put_body(CEmit *e) {
    VEC(const LInst *) open = {0};
    for (uint32_t k = 0; k < e->f->inst.n; k++) {
        const LInst *i = &e->f->inst.at[k];
        LOp op = (LOp)i->op;
        bool shown = is_pure(op) ? e->live[i->dst] && op != LOP_ICONST : is_store(op) || op == LOP_FOR || op == LOP_CALL;
        if (shown && !e->o->env) c_note(&e->notes, e->out, e->t->arena, e->p, i, e->depth);
        if (is_pure(op)) {
            if (e->live[i->dst]) put_pure(e, i);
        } else if (is_store(op)) {
            line(e);
            put_store(e, i);
        } else if (op == LOP_FOR) {
            VEC_PUSH(e->out->arena, open) = i;
            put_for(e, i);
        } else if (op == LOP_IF) {
            VEC_PUSH(e->out->arena, open) = i;
            line(e);
            str_printf(e->out, "if (%s < %s) {\n", val(e, i->a[0]), val(e, i->a[1]));
            e->depth++;
        } else if (op == LOP_YIELD) {
            put_yield(e, i, open.at[open.n - 1]);
        } else if (op == LOP_END) {
            put_end(e, open.at[--open.n]);
        } else if (op == LOP_CALL) {
            put_call(e, i);
        } else if (op == LOP_BARRIER && e->o->env) {
            line(e);
            str_put(e->out, "env->barrier(env->arg);\n");
        }
    }
}

/* ---- functions ------------------------------------------------------------------------------------------------------ */

static const char *elem_type(uint8_t elem) { return elem == LE_F ? "$F" : "int32_t"; }

static void put_helper_head(CEmit *e) {
    str_printf(e->out, "\nstatic %svoid %s_%s(", e->f->inline_hint ? "inline " : "", e->o->prefix, e->at->symbol);
    if (!e->f->param.n) str_put(e->out, "void");
    for (uint32_t k = 0; k < e->f->param.n; k++) {
        const LParam *q = &e->f->param.at[k];
        if (k) str_put(e->out, ", ");
        if (q->pointer) {
            const CNarrow *narrow = stored(e, LBUF_PARAM | k);
            if (!e->writes[e->fn][k]) str_put(e->out, "const ");
            put(e, narrow ? c_narrow_type(narrow->storage) : elem_type(q->elem));
            str_printf(e->out, " *p%u", k);
            if (narrow && narrow->storage == C_INT8) str_printf(e->out, ", const float *q%u", k);
        } else {
            put(e, "$N ");
            str_printf(e->out, "v%u", q->value);
        }
    }
    str_put(e->out, ") {\n");
    for (uint32_t k = 0; k < e->f->param.n; k++) {
        const LParam *q = &e->f->param.at[k];
        const CNarrow *narrow = q->pointer ? stored(e, LBUF_PARAM | k) : NULL;
        if (narrow && narrow->storage == C_INT8) str_printf(e->out, "    (void)q%u;\n", k);
        if (q->pointer)
            str_printf(e->out, "    (void)p%u;", k);
        else if (!e->live[q->value])
            str_printf(e->out, "    (void)v%u;", q->value);
        else
            continue;
        str_printf(e->out, " /* %s */\n", name_str(e->p->ctx, q->name));
    }
}

static bool is_bound(const CEmit *e, uint32_t k) { return e->buf[k] && e->p->buf.at[k].role != LB_LOCAL; }

/* An entry of the kernels' ABI. */
static void put_kernel_head(CEmit *e) {
    str_put(e->out, e->o->exported ? "\n" : "\nstatic ");
    str_printf(e->out, "void %s_%s(void *const *buf, const int64_t *dim, const %s_env *env) {\n", e->o->prefix, e->at->symbol,
               e->o->prefix);
    bool any = false;
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (!is_bound(e, k)) continue;
        any = true;
        str_put(e->out, e->wrote[k] ? "    " : "    const ");
        put(e, elem_type(b->elem));
        str_printf(e->out, " *const b%u = buf[%u]; /* %s */\n", k, k, name_str(e->p->ctx, b->name));
    }
    if (!any) str_put(e->out, "    (void)buf;\n");
    if (!e->dim) str_put(e->out, "    (void)dim;\n");
    if (!e->env) str_put(e->out, "    (void)env;\n");
}

/* An entry over the buffers that it uses. */
static void put_entry_head(CEmit *e) {
    str_printf(e->out, "\nstatic void %s_%s(", e->o->prefix, e->at->symbol);
    const char *sep = "\n    ";
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (!is_bound(e, k)) continue;
        str_put(e->out, sep);
        sep = ",\n    ";
        const CNarrow *narrow = stored(e, k);
        if (!e->wrote[k]) str_put(e->out, "const ");
        put(e, narrow ? c_narrow_type(narrow->storage) : elem_type(b->elem));
        str_printf(e->out, " *b%u /* %s */", k, name_str(e->p->ctx, b->name));
        if (narrow && narrow->storage == C_INT8) str_printf(e->out, "%sconst float *q%u", sep, k);
    }
    if (e->turn) str_printf(e->out, "%sptrdiff_t turn", sep), sep = ", ";
    if (e->dim) str_printf(e->out, "%sconst ptrdiff_t *dim", sep);
    if (!e->dim && sep[0] == '\n') str_put(e->out, "void");
    str_put(e->out, ")\n{\n");
}

static void put_function(CEmit *e) {
    if (e->f->kind != LFUNC_ENTRY)
        put_helper_head(e);
    else if (e->o->env)
        put_kernel_head(e);
    else
        put_entry_head(e);
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (b->role != LB_LOCAL || !e->buf[k]) continue;
        int64_t n = lextent_eval(&b->extent, NULL);
        e->t->uses.locals = true;
        put(e, "    $P_ALIGNED ");
        put(e, elem_type(b->elem));
        str_printf(e->out, " b%u[%" PRId64 "]; /* %s */\n", k, n > 0 ? n : 1, name_str(e->p->ctx, b->name));
    }
    put_body(e);
    str_put(e->out, "}\n");
}

/* A helper of the same name and text may be there from another program. */
static void put_helper(CEmit *e) {
    Str *out = e->out, text = str_make(out->arena);
    CText *t = e->t;
    e->out = &text;
    put_function(e);
    for (uint32_t k = 0; k < t->helper.n; k++) {
        if (strcmp(t->helper.at[k].name, e->at->symbol) != 0) continue;
        if (strcmp(t->helper.at[k].text, text.at) == 0) {
            e->out = out;
            return;
        }
        e->at->symbol = arena_printf(t->arena, "%s_%s", e->name ? e->name : "own", e->at->symbol);
        text.n = 0;
        begin_function(e, e->fn);
        put_function(e);
        break;
    }
    e->out = out;
    str_putn(out, text.at, text.n);
    VEC_PUSH(t->arena, t->helper) = (CHelper){e->at->symbol, text.at};
}

/* Entries' declarations before their definitions: -Wmissing-prototypes is common. */
static void put_prototypes(CEmit *e) {
    for (uint32_t k = 0; e->o->exported && k < e->p->fn.n; k++)
        if (e->p->fn.at[k]->kind == LFUNC_ENTRY)
            str_printf(e->out, "void %s_%s(void *const *buf, const int64_t *dim, const %s_env *env);\n", e->o->prefix, e->instance[k].at[0].symbol,
                       e->o->prefix);
}

/* "tile_4x2", of one whose pointers are stored in fewer bits "tile_4x2_q", a further one "tile_4x2_q2". */
static void name_functions(CEmit *e) {
    Arena *a = e->t->arena;
    for (uint32_t k = 0; k < e->p->fn.n; k++) {
        const LFunc *f = e->p->fn.at[k];
        const char *s = name_str(e->p->ctx, f->name);
        uint32_t more = 0;
        for (uint32_t q = 0; q < e->instance[k].n; q++) {
            CInstance *x = &e->instance[k].at[q];
            bool narrow = false;
            for (uint32_t i = 0; i < f->param.n; i++) narrow = narrow || x->param[i];
            x->symbol = e->name && f->kind == LFUNC_ENTRY ? arena_printf(a, "%s_%s", e->name, s)
                        : !narrow                         ? s
                        : more++                          ? arena_printf(a, "%s_q%u", s, more)
                                                          : arena_printf(a, "%s_q", s);
        }
    }
}

CText *c_text_make(Arena *a, const CEmitOptions *o) {
    CText *t = NEW(a, CText);
    t->o = o;
    t->arena = a;
    t->uses.begun = true;
    return t;
}

CUnit *c_text_functions(CText *t, Str *out, const LProgram *p, const char *name, const CNarrow *narrow) {
    CEmit *e = NEW(t->arena, CEmit);
    t->p = p;
    *e = (CEmit){.out = out, .p = p, .o = t->o, .t = t, .name = name, .narrow = narrow};
    e->refused = NEW_N(t->arena, bool, p->buf.n + 1);
    find_instances(e);
    find_uses(e);
    name_functions(e);
    for (uint32_t k = 0; k < p->fn.n; k++)
        for (uint32_t q = 0; q < e->instance[k].n; q++) {
            e->at = &e->instance[k].at[q];
            begin_function(e, k);
            if (p->fn.at[k]->kind == LFUNC_ENTRY)
                put_function(e);
            else
                put_helper(e);
        }
    return e;
}

bool c_text_refused(const CUnit *u, uint32_t buf) { return u->refused[buf]; }

void c_text_prelude(CText *t, Str *out) { c_prelude(out, t->p, t->o, &t->uses, &t->seen); }

const char *c_text_library(const CText *t) {
    for (int k = 0; k < LFN_COUNT; k++)
        if (t->uses.fn[k] && (k != LFN_POW || t->p->f64 || !t->o->freestanding)) return lfn_info[k].cname;
    if (t->p->f64 && t->uses.op[LOP_SQRT]) return "sqrt"; /* written out in f32 only */
    return NULL;
}

bool c_text_calls(const CText *t) {
    for (int k = 0; k < LFN_COUNT; k++)
        if (t->uses.fn[k]) return true;
    return false;
}

void c_text_call(CUnit *e, Str *out, uint32_t fn, const char *const *buf, const char *turn) {
    e->out = out;
    e->at = &e->instance[fn].at[0];
    begin_function(e, fn);
    str_printf(out, "    %s_%s(", e->o->prefix, e->at->symbol);
    const char *sep = "";
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        if (!is_bound(e, k)) continue;
        const CNarrow *narrow = stored(e, k);
        str_printf(out, "%s%s", sep, buf[k] ? buf[k] : "NULL");
        sep = ", ";
        if (narrow && narrow->storage == C_INT8) str_printf(out, ", %s_scale", buf[k]);
    }
    if (e->turn) str_printf(out, "%s%s", sep, turn), sep = ", ";
    str_printf(out, "%s);\n", !e->dim ? "" : *sep ? ", dim" : "dim");
}

bool emit_c_kernels(Str *out, const LProgram *p, const CEmitOptions *o) {
    CText *t = c_text_make(out->arena, o);
    Str body = str_make(out->arena);
    CUnit *u = c_text_functions(t, &body, p, NULL, NULL);
    c_text_prelude(t, out);
    u->out = out;
    put_prototypes(u);
    str_putn(out, body.at, body.n);
    return true;
}
