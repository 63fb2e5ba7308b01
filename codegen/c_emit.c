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

enum { LONGEST = 1500 }; /* operations of a function that is left whole */

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

/* b3 + (4 * v7 + v2 + 16), b3 + 16 */
static void put_address(CEmit *e, uint32_t buf, uint32_t idx) {
    const LIdx *x = &e->f->idx.at[idx];
    uint32_t terms = x->c0 != 0;
    for (uint32_t k = 0; k < x->n; k++) terms += x->c[k] != 0;
    str_put(e->out, buf_text(e, buf));
    const char *sep = terms > 1 ? " + (" : " + ";
    for (uint32_t k = 0; k < x->n; k++) {
        if (x->c[k] == 0) continue;
        str_put(e->out, sep);
        sep = " + ";
        if (x->c[k] != 1) str_printf(e->out, "%s * ", int_text(e, x->c[k]));
        str_put(e->out, val(e, x->v[k]));
    }
    if (x->c0) {
        str_put(e->out, sep);
        str_put(e->out, int_text(e, x->c0));
    }
    if (terms > 1) str_putc(e->out, ')');
}

/* A float constant. */
static void put_float(CEmit *e, int64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    if (!e->p->f64) d = (double)(float)d;
    if (isnan(d)) {
        e->t->uses.nan = true;
        put(e, "$P_NAN");
    } else if (isinf(d)) {
        e->t->uses.infinity = true;
        put(e, d < 0 ? "(-$P_INFINITY)" : "$P_INFINITY");
    } else {
        c_digits(e->out, d, e->p->f64);
    }
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

/* Constant bounds of a loop's variable, and its step; false: it is none, or nobody knows. */
static bool bounds_of(const CEmit *e, LV v, int64_t *from, int64_t *to, int64_t *step) {
    const LFunc *f = e->f;
    int64_t lo = -1, hi = -1;
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *loop = &f->inst.at[k];
        if (loop->op != LOP_FOR || loop->dst != v) continue;
        *step = loop->imm;
        for (uint32_t q = 0; q < k; q++) {
            const LInst *i = &f->inst.at[q];
            if (i->op == LOP_ICONST && i->dst == loop->a[0]) lo = i->imm;
            if (i->op == LOP_ICONST && i->dst == loop->a[1]) hi = i->imm;
        }
    }
    *from = lo, *to = hi;
    return lo >= 0 && hi >= 0;
}

static int64_t below_of(void *arg, LV v) {
    int64_t from, to, step;
    return bounds_of(arg, v, &from, &to, &step) ? to : -1;
}

static int64_t last_of(void *arg, LV v) {
    int64_t from, to, step;
    return bounds_of(arg, v, &from, &to, &step) && from < to ? from + (to - 1 - from) / step * step : -1;
}

/* Where the scales (q..) of what is read at `idx` are: those of a helper's pointer go along with its columns. */
static void put_scale(CEmit *e, const CNarrow *n, uint32_t buf, uint32_t idx) {
    const LIdx *x = &e->f->idx.at[idx];
    if (buf & LBUF_PARAM) {
        str_printf(e->out, "q%u", buf & ~LBUF_PARAM);
        if (x->c0) str_printf(e->out, " + %s", int_text(e, x->c0));
    } else if (!c_narrow_address(e->out, n, arena_printf(e->t->arena, "q%u", buf), x, &(CNames){val_of, below_of, last_of, e})) {
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
    int lanes = i->op == LOP_LDT ? (int)i->imm : e->p->V;
    if (int8 && !columns && !c_narrow_shared(n, &e->f->idx.at[i->idx], lanes, &(CNames){val_of, below_of, last_of, e})) e->refused[i->buf] = true;
    put(e, type_of(e, i->dst));
    str_printf(e->out, " %s; %s_op_%s(&%s, ", val(e, i->dst), e->o->prefix, !int8 ? "ldh" : columns ? "ldq" : "ldr", val(e, i->dst));
    put_address(e, i->buf, i->idx);
    if (int8) {
        str_put(e->out, ", ");
        put_scale(e, n, i->buf, i->idx);
    }
    str_printf(e->out, ", %d);\n", lanes);
}

static void put_load(CEmit *e, const LInst *i) {
    LOp op = (LOp)i->op;
    const CNarrow *narrow = c_stored(e, i->buf);
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
    } else if (c_is_load(op)) {
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
    str_printf(e->out, "%s_%s(", e->o->prefix, c_instance(e, i)->symbol);
    for (uint32_t k = 0; k < g->param.n; k++) {
        const uint32_t *arg = &e->f->ext.at[i->ext + 1 + 2 * k];
        const CNarrow *narrow = g->param.at[k].pointer ? c_stored(e, arg[0]) : NULL;
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

/* Where there are pieces, each function has the constants and sizes that it wants itself, before all else. */
static void put_constants(CEmit *e) {
    const bool *wanted = c_wanted(e, false);
    for (uint32_t k = 0; k < e->f->inst.n; k++)
        if (wanted[e->f->inst.at[k].dst]) put_pure(e, &e->f->inst.at[k]);
}

static const char *elem_type(uint8_t elem) { return elem == LE_F ? "$F" : "int32_t"; }

/* Between parameters: on a new line where one is full. */
static void put_sep(CEmit *e, const char *sep) {
    size_t at = e->out->n;
    while (at && e->out->at[at - 1] != '\n') at--;
    if (sep[0] == ',' && sep[1] == ' ' && e->out->n - at > 120)
        str_printf(e->out, ",\n%*s", 4 * e->depth + 4, "");
    else
        str_put(e->out, sep);
}

/* A local buffer that a piece uses and others too. */
static bool is_outside(const CEmit *e, uint32_t buf, const CPiece *x) {
    const CPiece *home = e->home[buf];
    return !home || home->from < x->from || home->to > x->to;
}

/* Buffers as parameters, or as arguments: those of an entry that its caller binds, of a piece all. */
static void put_buffers(CEmit *e, const bool *used, const CPiece *x, bool call, const char **sep) {
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (!used[k] || (b->role == LB_LOCAL && !(x && is_outside(e, k, x)))) continue;
        const CNarrow *narrow = c_stored(e, k);
        put_sep(e, *sep);
        *sep = call ? ", " : ",\n    ";
        if (!call) {
            if (!e->wrote[k]) str_put(e->out, "const ");
            put(e, narrow ? c_narrow_type(narrow->storage) : elem_type(b->elem));
            str_putc(e->out, ' ');
            str_putc(e->out, '*');
        }
        str_printf(e->out, "b%u", k);
        if (!call) str_printf(e->out, " /* %s */", name_str(e->p->ctx, b->name));
        if (narrow && narrow->storage == C_INT8) str_printf(e->out, "%s%sq%u", *sep, call ? "" : "const float *", k);
    }
}

/* What a piece takes and gives: as parameters, or as arguments. */
static void put_passed(CEmit *e, const CPiece *x, bool call) {
    const char *sep = call ? "" : "\n    ";
    put_buffers(e, x->buf, x, call, &sep);
    if (x->turn) str_printf(e->out, "%s%sturn", sep, call ? "" : "ptrdiff_t "), sep = ", ";
    if (x->dim) str_printf(e->out, "%s%sdim", sep, call ? "" : e->o->env ? "const int64_t *" : "const ptrdiff_t *"), sep = ", ";
    if (x->env && e->o->env) str_printf(e->out, call ? "%senv" : "%sconst %s_env *env", sep, e->o->prefix), sep = ", ";
    for (uint32_t k = 0; k < x->in.n + x->out.n; k++) {
        bool out = k >= x->in.n;
        LV v = out ? x->out.at[k - x->in.n] : x->in.at[k];
        bool whole = !out && e->f->type.at[v] == 'i';
        put_sep(e, sep);
        sep = ", ";
        if (!call) put(e, out || whole ? "" : "const "), put(e, type_of(e, v));
        str_printf(e->out, call ? "%s%s" : whole ? " %s%s" : out ? " *out_%s%s" : " *in_%s%s", call && !whole ? "&" : "", val(e, v));
    }
    if (!call && sep[0] == '\n') str_put(e->out, "void");
}

static void put_piece_name(CEmit *e, const CPiece *x) {
    str_printf(e->out, "%s_%s_%u(", e->o->prefix, e->at->symbol, (unsigned)(x - e->piece.at) + 1);
}

/* What a piece hands out has a value before it, for tools that do not look so far into a call. */
static void put_piece_call(CEmit *e, const CPiece *x) {
    for (uint32_t k = 0; k < x->out.n; k++) {
        bool lanes = e->f->type.at[x->out.at[k]] != 'i' && e->p->V > 1;
        line(e);
        put(e, type_of(e, x->out.at[k]));
        str_printf(e->out, " %s = %s;\n", val(e, x->out.at[k]), lanes ? "{0}" : "0");
    }
    line(e);
    put_piece_name(e, x);
    put_passed(e, x, true);
    str_put(e->out, ");\n");
}

/* What the source says of an instruction, and what begins with it. */
static void put_notes(CEmit *e, uint32_t at) {
    const LInst *i = &e->f->inst.at[at];
    c_note(&e->notes, e->out, e->t->arena, e->p, i, e->depth);
    const char *written = i->op == LOP_MIN ? c_written(&e->notes, e->t->arena, e->p, e->f, at, val(e, i->a[1])) : NULL;
    if (!written) return;
    line(e);
    str_put(e->out, written);
}

static void put_body(CEmit *e) {
    VEC(const LInst *) open = {0};
    if (e->piece.n) put_constants(e);
    for (uint32_t k = e->from; k < e->to; k++) {
        const LInst *i = &e->f->inst.at[k];
        const CPiece *piece = c_piece_at(e, k);
        LOp op = (LOp)i->op;
        if (piece) {
            put_piece_call(e, piece);
            k = piece->to - 1;
            continue;
        }
        if (e->piece.n && e->again[i->dst]) continue;
        bool shown = c_is_pure(op) ? e->live[i->dst] && op != LOP_ICONST : c_is_store(op) || op == LOP_FOR || op == LOP_CALL;
        if (shown && !e->o->env) put_notes(e, k);
        if (c_is_pure(op)) {
            if (e->live[i->dst]) put_pure(e, i);
        } else if (c_is_store(op)) {
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

static void put_helper_head(CEmit *e) {
    str_printf(e->out, "\nstatic %svoid %s_%s(", e->f->inline_hint ? "inline " : "", e->o->prefix, e->at->symbol);
    if (!e->f->param.n) str_put(e->out, "void");
    for (uint32_t k = 0; k < e->f->param.n; k++) {
        const LParam *q = &e->f->param.at[k];
        if (k) str_put(e->out, ", ");
        if (q->pointer) {
            const CNarrow *narrow = c_stored(e, LBUF_PARAM | k);
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
        const CNarrow *narrow = q->pointer ? c_stored(e, LBUF_PARAM | k) : NULL;
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
    put_buffers(e, e->buf, NULL, false, &sep);
    if (e->turn) str_printf(e->out, "%sptrdiff_t turn", sep), sep = ", ";
    if (e->dim) str_printf(e->out, "%sconst ptrdiff_t *dim", sep);
    if (!e->dim && sep[0] == '\n') str_put(e->out, "void");
    str_put(e->out, ")\n{\n");
}

/* The buffers that a piece, or the function, has itself. */
static void put_locals(CEmit *e, const CPiece *x) {
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (b->role != LB_LOCAL || !e->buf[k] || (e->piece.n && e->home[k] != x)) continue;
        int64_t n = lextent_eval(&b->extent, NULL);
        e->t->uses.locals = true;
        put(e, "    $P_ALIGNED ");
        put(e, elem_type(b->elem));
        str_printf(e->out, " b%u[%" PRId64 "]; /* %s */\n", k, n > 0 ? n : 1, name_str(e->p->ctx, b->name));
    }
}

static void put_piece(CEmit *e, CPiece *x) {
    c_begin_part(e, x->from, x->to);
    x->buf = e->buf;
    x->env = e->env, x->dim = e->dim, x->turn = e->turn;
    str_put(e->out, "\nstatic void ");
    put_piece_name(e, x);
    put_passed(e, x, false);
    str_put(e->out, ")\n{\n");
    put_locals(e, x);
    for (uint32_t k = 0; k < x->in.n; k++) {
        LV v = x->in.at[k];
        if (e->f->type.at[v] == 'i') continue;
        line(e);
        begin_value(e, v);
        str_printf(e->out, "*in_%s;\n", val(e, v));
    }
    put_body(e);
    for (uint32_t k = 0; k < x->out.n; k++) {
        line(e);
        str_printf(e->out, "*out_%s = %s;\n", val(e, x->out.at[k]), val(e, x->out.at[k]));
    }
    str_put(e->out, "}\n");
}

/* A long entry's pieces stand before it. */
static void put_pieces(CEmit *e) {
    e->piece = c_cut(e->t->arena, e->p, e->f, e->live, e->o->longest ? e->o->longest : LONGEST, &e->again);
    e->home = c_homes(e->t->arena, e->p, e->f, &e->piece, e->writes);
    for (uint32_t k = 0; e->piece.n && k < e->f->inst.n; k++) { /* names that are given when a loop is printed */
        const LInst *i = &e->f->inst.at[k];
        const uint32_t *ext = &e->f->ext.at[i->ext];
        for (uint32_t q = 0; i->op == LOP_FOR && q < ext[0]; q++) e->text[ext[2 + 3 * q]] = val(e, ext[3 + 3 * q]);
    }
    for (uint32_t k = 0; k < e->piece.n; k++) put_piece(e, &e->piece.at[k]);
    if (e->piece.n) c_begin_part(e, 0, e->f->inst.n);
}

static void put_function(CEmit *e) {
    if (e->f->kind == LFUNC_ENTRY) put_pieces(e);
    if (e->f->kind != LFUNC_ENTRY)
        put_helper_head(e);
    else if (e->o->env)
        put_kernel_head(e);
    else
        put_entry_head(e);
    put_locals(e, NULL);
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
        c_begin_function(e, e->fn);
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
    c_find_instances(e);
    c_find_uses(e);
    name_functions(e);
    for (uint32_t k = 0; k < p->fn.n; k++)
        for (uint32_t q = 0; q < e->instance[k].n; q++) {
            e->at = &e->instance[k].at[q];
            c_begin_function(e, k);
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
        if (t->uses.fn[k]) return lfn_info[k].cname;
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
    c_begin_function(e, fn);
    str_printf(out, "    %s_%s(", e->o->prefix, e->at->symbol);
    const char *sep = "";
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        if (!is_bound(e, k)) continue;
        const CNarrow *narrow = c_stored(e, k);
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
