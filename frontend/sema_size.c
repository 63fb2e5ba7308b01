/* Sizes: whole numbers known when compiling; shapes and sequence axes made of them; arguments checked against them. */
#include "frontend/sema.h"

#include <math.h>

enum { SIZE_MAX_DIM = 1 << 24 };

static const char *expr_text(Elab *e, const AstExpr *x)
{
    Str s = str_make(e->a);

    ast_print_expr(e->ctx, &s, x);
    return s.at ? s.at : "";
}

/* ---- size expressions ----------------------------------------------------------------------------------------------- */

static bool size_of_value(Scope *s, const AstExpr *x, const Val *v, int64_t *n, const SizeSrc **src)
{
    Elab *e = s->e;

    if (v->kind == V_POISON) return false;
    if (v->kind == V_NUM && fabs(v->num) >= 1e15) {
        sema_error(e, 304, x->span, "%g is too large for a size", v->num);
        return false;
    }
    if (v->kind == V_NUM && (v->is_int || v->num == floor(v->num))) {
        *n = (int64_t)v->num;
        *src = v->size ? v->size : size_src(e, expr_text(e, x), v->decl);
        return true;
    }
    if (v->kind == V_NUM) sema_error(e, 304, x->span, "a size is a whole number; this is %g", v->num);
    else if (sema_error(e, 304, x->span, "a size is a number known when compiling; this is %s", val_text(s, v)))
        if (v->decl.lo) diag_note(e->ctx, v->decl, "declared here");
    return false;
}

static bool size_binary(Scope *s, const AstExpr *x, int64_t *n)
{
    const SizeSrc *sa, *sb;
    int64_t a, b;
    bool ok = true;

    if (!eval_size(s, x->a, INT64_MIN, INT64_MAX, &a, &sa) || !eval_size(s, x->b, INT64_MIN, INT64_MAX, &b, &sb)) return false;
    if (a > INT32_MAX || a < -INT32_MAX || b > INT32_MAX || b < -INT32_MAX) ok = false;
    if (ok && x->op == AST_ADD) *n = a + b;
    else if (ok && x->op == AST_SUB) *n = a - b;
    else if (ok && x->op == AST_MUL) *n = a * b;
    else if (ok && b != 0 && x->op == AST_MOD) *n = a - b * (int64_t)floor((double)a / (double)b);
    else if (ok && b != 0 && x->op == AST_DIV) {
        if (a % b) {
            if (s->e->generic) s->e->unsure = true;
            else if (sema_error(s->e, 304, x->span, "%lld / %lld is no whole number", (long long)a, (long long)b)) {
                if (sa->span.lo) diag_note(s->e->ctx, sa->span, "`%s` is %lld, declared here", sa->text, (long long)a);
                if (sb->span.lo) diag_note(s->e->ctx, sb->span, "`%s` is %lld, declared here", sb->text, (long long)b);
            }
            return false;
        }
        *n = a / b;
    } else if (ok && x->op == AST_POW && b >= 0 && b < 32) {
        double p = pow((double)a, (double)b);
        if (fabs(p) > INT32_MAX) ok = false;
        else *n = (int64_t)p;
    } else ok = false;
    if (!ok) sema_error(s->e, 304, x->at, "this size cannot be computed");
    return ok;
}

bool eval_size(Scope *s, const AstExpr *x, int64_t lo, int64_t hi, int64_t *n, const SizeSrc **src)
{
    Elab *e = s->e;
    bool ok;

    if (x->kind == AST_ERROR) return false;
    if (x->kind == AST_BINARY && x->op <= AST_SUB && x->op != AST_MATMUL) {
        ok = size_binary(s, x, n);
        *src = size_src(e, expr_text(e, x), x->span);
    } else if (x->kind == AST_UNARY && x->op == AST_NEG) {
        ok = eval_size(s, x->a, INT64_MIN, INT64_MAX, n, src);
        *n = ok ? -*n : 0;
        *src = size_src(e, expr_text(e, x), x->span);
    } else if (x->kind == AST_NUMBER && x->is_int && x->number < 1e15) {
        ok = true;
        *n = (int64_t)x->number;
        *src = size_src(e, expr_text(e, x), (Span){0, 0});
    } else {
        ok = size_of_value(s, x, eval(s, x), n, src);
    }
    if (!ok) return false;
    if (*n >= lo && *n <= hi) return true;
    if (e->generic && x->kind != AST_NUMBER) e->unsure = true;
    if (lo == 1 && *n < 1) sema_error(e, 304, x->span, "a size is at least 1; this is %lld", (long long)*n);
    else sema_error(e, 304, x->span, "%lld is out of range here: %lld to %lld", (long long)*n, (long long)lo, (long long)hi);
    return false;
}

bool eval_dims(Scope *s, const AstType *t, int *rank, int32_t dim[MAX_RANK], const SizeSrc *src[MAX_RANK])
{
    const int64_t most = (int64_t)1 << 40;
    int64_t n, total = 1;
    bool ok = true;

    *rank = 0;
    if (t->dims.n > MAX_RANK) {
        sema_error(s->e, 309, t->span, "a shape has at most %d dims", MAX_RANK);
        return false;
    }
    for (uint32_t i = 0; i < t->dims.n; i++) {
        if (!eval_size(s, t->dims.at[i], 1, SIZE_MAX_DIM, &n, &src[i])) {
            ok = false;
            continue;
        }
        dim[i] = (int32_t)n;
        total = total > most / n ? most + 1 : total * n;
    }
    if (ok && total > most) {
        sema_error(s->e, 304, t->span, "this shape is too large");
        ok = false;
    }
    *rank = (int)t->dims.n;
    return ok;
}

/* ---- sequence axes -------------------------------------------------------------------------------------------------- */

uint32_t elab_time_axis(Elab *e, Name name, Span span)
{
    uint32_t a;

    for (uint32_t i = 0; i < e->axis.n; i++)
        if (e->axis.at[i].name == name) {
            if (!e->axis.at[i].span.lo) e->axis.at[i].span = span;
            return e->axis.at[i].axis;
        }
    if (e->m->naxis == MAX_AXES) {
        sema_error(e, 901, span, "more than %d axes", MAX_AXES);
        return 0;
    }
    a = module_add_axis(e->m, AXIS_TIME, name);
    if (e->o.ragged) {
        e->m->axis[a].ragged = true;
        e->m->axis[a].length = 1 + module_add_input(e->m, INPUT_LENGTH, name, DT_I, 0, NULL, AX(AXIS_B));
    }
    VEC_PUSH(e->a, e->axis) = (AxisName){name, a, span};
    return a;
}

/* The axis of exactly n steps of the text, if there is one; the counters of repeats are none. */
static uint32_t fixed_axis(const Elab *e, int32_t n)
{
    for (uint32_t a = 1; a < e->m->naxis; a++)
        if (e->m->axis[a].count == n && name_str(e->ctx, e->m->axis[a].name)[0] != '#') return a;
    return 0;
}

static bool is_fixed(const Axis *a)
{
    return a->count && (a->kind == AXIS_COUNT || a->kind == AXIS_JOIN);
}

static uint32_t add_join(Elab *e, uint32_t a, uint32_t b)
{
    Module *m = e->m;
    uint32_t r;

    if (m->naxis == MAX_AXES) {
        sema_error(e, 901, (Span){0, 0}, "more than %d axes", MAX_AXES);
        return 0;
    }
    r = module_add_axis(m, AXIS_JOIN, intern_printf(e->ctx, "%s+%s", name_str(e->ctx, m->axis[a].name), name_str(e->ctx, m->axis[b].name)));
    m->axis[r].a = a;
    m->axis[r].b = b;
    m->axis[r].ragged = m->axis[a].ragged || m->axis[b].ragged;
    if (is_fixed(&m->axis[a]) && is_fixed(&m->axis[b])) m->axis[r].count = m->axis[a].count + m->axis[b].count;
    return r;
}

/* Fixed axes of equal length are one. A join of fixed axes met after an axis of that length was made is therefore noted in the
   program, and the elaboration begins again: the axis is then made as the join. */
uint32_t elab_join_axis(Elab *e, uint32_t a, uint32_t b)
{
    const Axis *x = &e->m->axis[a], *y = &e->m->axis[b];
    uint32_t old;

    for (uint32_t r = 1; r < e->m->naxis; r++)
        if (e->m->axis[r].kind == AXIS_JOIN && e->m->axis[r].a == a && e->m->axis[r].b == b) return r;
    if (is_fixed(x) && is_fixed(y) && (old = fixed_axis(e, x->count + y->count)) != 0 && e->m->axis[old].kind == AXIS_COUNT && !e->generic) {
        VEC_PUSH(e->p->arena, e->p->join) = (FixedJoin){x->count, y->count};
        e->unsure = e->again = true;
        return 0;
    }
    return add_join(e, a, b);
}

uint32_t elab_count_axis(Elab *e, int32_t n)
{
    uint32_t a = fixed_axis(e, n), b;

    if (a) return a;
    for (uint32_t i = 0; i < e->p->join.n; i++)
        if (e->p->join.at[i].a + e->p->join.at[i].b == n) {
            a = elab_count_axis(e, e->p->join.at[i].a);
            b = elab_count_axis(e, e->p->join.at[i].b);
            return a && b ? add_join(e, a, b) : 0;
        }
    if (e->m->naxis == MAX_AXES) {
        sema_error(e, 901, (Span){0, 0}, "more than %d axes", MAX_AXES);
        return 0;
    }
    a = module_add_axis(e->m, AXIS_COUNT, intern_printf(e->ctx, "%d", (int)n));
    e->m->axis[a].count = n;
    return a;
}

static AxisName *scope_axis(Scope *s, Name name)
{
    for (uint32_t i = 0; i < s->axis.n; i++)
        if (s->axis.at[i].name == name) return &s->axis.at[i];
    return NULL;
}

/* A name that no size has names an axis; everything else is a number of steps. */
static Name axis_name(Scope *s, const AstType *t)
{
    if (!t->axis) return intern(s->e->ctx, "T");
    if (t->axis->kind != AST_NAME || t->axis->primed || scope_find(s, t->axis->name, false)) return 0;
    return t->axis->name;
}

uint32_t eval_axis(Scope *s, const AstType *t)
{
    Name name = axis_name(s, t);
    const SizeSrc *src;
    int64_t n;

    if (name) return elab_time_axis(s->e, name, t->axis ? t->axis->span : t->span);
    if (!eval_size(s, t->axis, 1, SIZE_MAX_DIM, &n, &src)) return 0;
    return elab_count_axis(s->e, (int32_t)n);
}

/* ---- arguments ------------------------------------------------------------------------------------------------------ */

static const char *type_text(Scope *s, const AstType *t)
{
    Str str = str_make(s->e->a);

    if (t->seq) str_put(&str, "seq ");
    if (t->kind == AST_TYPE_BOOL) str_put(&str, "bool");
    else if (t->kind == AST_TYPE_TOKEN) str_printf(&str, "token[%s]", expr_text(s->e, t->size));
    else {
        str_putc(&str, '[');
        for (uint32_t i = 0; i < t->dims.n; i++) str_printf(&str, "%s%s", i ? ", " : "", expr_text(s->e, t->dims.at[i]));
        str_putc(&str, ']');
    }
    return str.at;
}

static const Val *mismatch(Scope *callee, Scope *caller, const AstFormal *f, const Val *v, const char *what, Binding *size, int32_t got)
{
    Elab *e = callee->e;

    if (!sema_error(e, 301, v->span, "%s `%s` is declared %s, but this is %s", what, name_str(e->ctx, f->name), type_text(callee, f->type),
                    val_text(caller, v)))
        return &val_poison;
    if (size && !e->generic) diag_note(e->ctx, size->span, "`%s` is %g here, not %d", name_str(e->ctx, size->name), size->val->num, (int)got);
    diag_note(e->ctx, f->span, "`%s` is declared here", name_str(e->ctx, f->name));
    note_sizes(e, v, NULL);
    Node n = val_type(v);
    bool input = v->level && v->level->g->node.at[v->ref].op == OP_INPUT && !val_seq(caller, v);
    if (input && f->type && f->type->kind == AST_TYPE_TENSOR && !f->type->seq && n.rank == (int)f->type->dims.n + 1)
        diag_help(e->ctx, (Span){0, 0}, "a sequence of %s is `seq %s`: its steps are none of its dims", n.rank == 2 && n.dim[1] == 1 ? "numbers" : "vectors",
                  arena_printf(e->a, "[%d]", n.dim[n.rank - 1]));
    if (f->type && f->type->kind == AST_TYPE_TENSOR && f->type->dims.n == 1 && n.rank == 0 && n.dtype == DT_F)
        diag_help(e->ctx, (Span){0, 0}, "a vector of one number is `[..]` around it, or `v[0:1]` of a vector in place of `v[0]`");
    return &val_poison;
}

/* One size of a declared type against what the argument has. */
static bool bind_dim(Scope *callee, const AstExpr *x, int32_t n, const SizeSrc **src, Binding **clash)
{
    Elab *e = callee->e;
    Binding *b;
    int64_t want;

    *clash = NULL;
    if (x->kind == AST_NAME && !x->primed) {
        b = scope_find(callee, x->name, false);
        if (!b) {
            Val *v = val_new(e, V_NUM, x->span);
            v->num = n;
            v->is_int = true;
            v->decl = x->span;
            v->size = size_src(e, name_str(e->ctx, x->name), x->span);
            b = scope_bind(callee, x->name, v, x->span);
            b->size = true;
        }
        if (b->val && b->val->kind == V_NUM && b->val->num != n) *clash = b;
    }
    if (!eval_size(callee, x, 1, SIZE_MAX_DIM, &want, src)) return true; /* said; go on with what is there */
    return want == n;
}

static bool bind_axis(Scope *callee, Scope *caller, const AstFormal *f, const Val *v, uint32_t seq)
{
    Elab *e = callee->e;
    Name name = axis_name(callee, f->type);
    uint32_t axis = 0;
    AxisName *old;
    int64_t n;
    const SizeSrc *src;

    if (!seq) {
        if (sema_error(e, 314, v->span, "`%s` is a sequence, but this is %s: one value", name_str(e->ctx, f->name), val_text(caller, v)))
            diag_note(e->ctx, f->span, "declared here");
        return false;
    }
    for (uint32_t a = 1; a < e->m->naxis; a++)
        if (seq & AX(a)) axis = a;
    if (!name) {
        if (!eval_size(callee, f->type->axis, 1, SIZE_MAX_DIM, &n, &src)) return false;
        if (is_fixed(&e->m->axis[axis]) && e->m->axis[axis].count == n) return true;
        if (sema_error(e, 303, v->span, "`%s` has exactly %lld steps; this is %s", name_str(e->ctx, f->name), (long long)n, val_text(caller, v)))
            diag_note(e->ctx, f->span, "declared here");
        return false;
    }
    old = scope_axis(callee, name);
    if (!old) VEC_PUSH(e->a, callee->axis) = (AxisName){name, axis, f->span};
    else if (old->axis != axis) {
        if (sema_error(e, 303, v->span, "`%s` runs over `%s`, this over another sequence", name_str(e->ctx, f->name), name_str(e->ctx, name))) {
            diag_note(e->ctx, f->span, "declared here");
            diag_note(e->ctx, old->span, "`%s` was bound here first", name_str(e->ctx, name));
            diag_help(e->ctx, (Span){0, 0}, "name the axes apart: `seq(S)`");
        }
        return false;
    }
    return true;
}

/* The value with the names the body knows its sizes by. */
static const Val *bind_tensor(Scope *callee, Scope *caller, const AstFormal *f, const Val *v, const char *what)
{
    const AstType *t = f->type;
    Elab *e = callee->e;
    Binding *clash;
    Val *w;
    Node n;

    v = val_tensor(caller, v);
    if (v->kind == V_POISON) return v;
    n = val_type(v);
    if (t->kind == AST_TYPE_BOOL) {
        if (n.dtype != DT_B || n.rank) return mismatch(callee, caller, f, v, what, NULL, 0);
        return v;
    }
    if (t->kind == AST_TYPE_TOKEN) {
        const SizeSrc *src;
        if (!v->vocab || n.rank) return mismatch(callee, caller, f, v, what, NULL, 0);
        if (!bind_dim(callee, t->size, v->vocab, &src, &clash)) return mismatch(callee, caller, f, v, what, clash, v->vocab);
        return v;
    }
    if (v->vocab) {
        mismatch(callee, caller, f, v, what, NULL, 0);
        return &val_poison;
    }
    if ((int)t->dims.n != n.rank) {
        if (callee->decl && callee->decl->ast->kind == AST_DEF_METRIC && t->dims.n == 0 && n.rank == 1 && n.dim[0] == 1) {
            w = val_copy(e, v);
            w->ref = g_reshape(caller->level->g, v->ref, 0, NULL);
            return w;
        }
        return mismatch(callee, caller, f, v, what, NULL, 0);
    }
    v = val_float(caller, v, "this");
    if (v->kind == V_POISON) return v;
    w = val_copy(e, v);
    for (int i = 0; i < n.rank; i++)
        if (!bind_dim(callee, t->dims.at[i], n.dim[i], &w->src[i], &clash)) return mismatch(callee, caller, f, v, what, clash, n.dim[i]);
    return w;
}

const Val *bind_argument(Scope *callee, Scope *caller, const AstFormal *f, const Val *v, const char *what)
{
    uint32_t seq = val_seq(caller, v);
    Val *w;

    if (v->kind == V_POISON) return v;
    if (f->type && f->type->kind == AST_TYPE_CELL) {
        if (v->kind == V_MAKER || v->kind == V_INST) return v;
        sema_error(callee->e, 204, v->span, "`%s` is a cell, but this is %s", name_str(callee->e->ctx, f->name), val_text(caller, v));
        return &val_poison;
    }
    if (f->type) v = bind_tensor(callee, caller, f, v, what);
    else if (v->kind == V_NUM) v = val_tensor(caller, v);
    if (v->kind == V_POISON) return v;
    if (f->type && f->type->seq && !bind_axis(callee, caller, f, v, seq & ~callee->hidden)) return &val_poison;
    w = val_copy(callee->e, v);
    w->decl = f->name_span;
    return w;
}
