/* Expressions: what is not an operator on tensors: names, members, brackets, joins, slices. */
#include "frontend/sema.h"

#include <string.h>

/* ---- members -------------------------------------------------------------------------------------------------------- */

static const Val *member_transpose(Scope *s, const AstExpr *x, const Val *v)
{
    static const uint32_t perm[2][3] = {{1, 0, 2}, {0, 2, 1}};
    Val *w;
    int d;
    Node n;

    v = val_tensor(s, v);
    if (v->kind == V_POISON) return v;
    n = val_type(v);
    if (n.rank < 2) {
        sema_error(s->e, 302, x->at, "`.T` transposes a matrix, or the matrix of each head; this is %s", val_text(s, v));
        return &val_poison;
    }
    d = n.rank - 2;
    w = val_copy(s->e, v);
    w->ref = g_transpose(s->level->g, v->ref, perm[d]);
    w->span = x->span;
    w->src[d] = v->src[d + 1];
    w->src[d + 1] = v->src[d];
    w->call = NULL;
    return w;
}

/* A name of the body of a call: `dec.alpha`, `enc.c'`, `e.E`. */
static const Val *member_of_call(Scope *s, const AstExpr *x, Scope *call)
{
    Elab *e = s->e;
    Binding *b;
    const Val *v;
    Val *w;
    VEC(const char *) c = {0};
    const char *near;

    b = scope_member(call, x->name, x->primed);
    if (!b && x->primed && (b = scope_find(call, x->name, false)) != NULL && b->kind == B_STATE) {
        sema_error(e, 210, x->at, "state `%s` has no next value", name_str(e->ctx, x->name));
        return &val_poison;
    }
    if (!b || (x->primed && !b->primed && b->kind != B_REPEAT)) {
        for (uint32_t i = 0; i < call->name.n; i++)
            if (call->name.at[i]->primed == x->primed) VEC_PUSH(e->a, c) = name_str(e->ctx, call->name.at[i]->name);
        near = nearest_name(name_str(e->ctx, x->name), c.at, c.n);
        if (sema_error(e, 205, x->at, "`%s` has no `%s%s`", name_str(e->ctx, call->decl->name), name_str(e->ctx, x->name), x->primed ? "'" : "")) {
            diag_note(e->ctx, call->decl->ast->name_span, "declared here");
            if (near) diag_help(e->ctx, (Span){0, 0}, "did you mean `.%s%s`?", near, x->primed ? "'" : "");
        }
        return &val_poison;
    }
    v = scope_value(call, b);
    if (v->kind == V_POISON) return v;
    w = val_copy(e, v);
    w->span = x->span;
    w->outer = call->over;
    v = val_bring(s, w);
    if (b->kind != B_BIND && b->kind != B_REPEAT) return v;
    v = val_at_steps(s, v, call->steps);
    return s->over ? v : val_at_steps(s, v, call->over);
}

static const Val *member_unknown(Scope *s, const AstExpr *x, const Val *v)
{
    static const char *const known[] = {"T", "last", "first", "mean", "sum", "max", "softmax"};
    const char *near = nearest_name(name_str(s->e->ctx, x->name), known, 7);

    if (v->kind == V_INST && !v->calls->last) {
        if (sema_error(s->e, 205, x->at, "this instance has not been called yet: only a param or const can be read whose size its brackets or a later call tell"))
            diag_help(s->e->ctx, (Span){0, 0}, "read `.%s` after the call", name_str(s->e->ctx, x->name));
        return &val_poison;
    }
    if (sema_error(s->e, 205, x->at, "%s has no member `%s%s`", val_text(s, v), name_str(s->e->ctx, x->name), x->primed ? "'" : "") && near)
        diag_help(s->e->ctx, (Span){0, 0}, "did you mean `.%s`?", near);
    return &val_poison;
}

static const Val *member_copy(Scope *s, const AstExpr *x, const Val *v)
{
    Val *w = val_copy(s->e, v);

    w->span = x->span;
    return val_bring(s, w);
}

static const Val *eval_member(Scope *s, const AstExpr *x)
{
    const Val *v = eval(s, x->a), *r;

    if (v->kind == V_POISON) return v;
    if (v->kind == V_UNIT) {
        Decl *d = unit_find_own(v->unit, x->name, false);
        if (d) return scope_decl(s, d, x->span);
        sema_error(s->e, 200, x->at, "the imported file has no `%s`", name_str(s->e->ctx, x->name));
        return &val_poison;
    }
    if (!x->primed && (v->kind == V_TENSOR || v->kind == V_NUM)) {
        if (x->name == intern(s->e->ctx, "T")) return member_transpose(s, x, v);
        r = eval_time_member(s, x, v);
        if (r) return r;
    }
    if (v->kind == V_TENSOR && v->call) return member_of_call(s, x, v->call);
    if (v->kind == V_INST && !v->calls->last) {
        uint32_t errors = diag_error_count(s->e->ctx);
        if (!x->primed && (r = instance_leaf(s, v, x->name)) != NULL) return member_copy(s, x, r);
        if (diag_error_count(s->e->ctx) != errors) return &val_poison;
        if (x->a->kind == AST_NAME) scope_call(s, x->a->name);
        if (!x->primed && !v->calls->last && instance_early(s, v, x->name)) return &val_poison;
    }
    if (v->kind == V_INST && v->calls->last) return member_of_call(s, x, v->calls->last);
    return member_unknown(s, x, v);
}

/* ---- slices and gathers ----------------------------------------------------------------------------------------------- */

static const Val *slice_range(Scope *s, const AstExpr *item, const Val *v, uint32_t dim)
{
    Node n = val_type(v);
    int64_t lo = 0, hi = n.dim[dim];
    const SizeSrc *a = NULL, *b = v->src[dim];
    Val *w;

    if (item->a && !eval_size(s, item->a, 0, INT32_MAX, &lo, &a)) return &val_poison;
    if (item->b && !eval_size(s, item->b, 0, INT32_MAX, &hi, &b)) return &val_poison;
    if (lo >= hi || hi > n.dim[dim]) {
        if (s->e->generic) s->e->unsure = true;
        if (sema_error(s->e, 306, item->span, "the slice %lld:%lld does not fit: this dim has %d entries", (long long)lo, (long long)hi, (int)n.dim[dim]))
            note_sizes(s->e, v, NULL);
        return &val_poison;
    }
    w = val_copy(s->e, v);
    w->ref = g_slice(s->level->g, v->ref, dim, (int32_t)lo, (int32_t)hi);
    w->src[dim] = NULL;
    if (!lo) w->src[dim] = b;
    else if (b) w->src[dim] = size_src(s->e, arena_printf(s->e->a, "%s - %s", b->text, a && a->text ? a->text : "?"), item->span);
    return w;
}

/* x[3], x[:, 3]: the entry of a dim, which goes away. */
static const Val *entry(Scope *s, const AstExpr *item, const Val *i, const Val *v, uint32_t dim)
{
    Node n = val_type(v);
    int32_t left[MAX_RANK] = {0};
    Val *w;

    if (!i->is_int || i->num < 0 || i->num >= n.dim[dim]) {
        if (s->e->generic && i->is_int) s->e->unsure = true;
        if (!i->is_int) sema_error(s->e, 306, item->span, "an index is a whole number; this is %g", i->num);
        else sema_error(s->e, 306, item->span, "index %g is out of range: this dim has %d entries", i->num, (int)n.dim[dim]);
        return &val_poison;
    }
    w = val_copy(s->e, v);
    for (uint32_t d = 0; d + 1 < MAX_RANK; d++) {
        left[d] = n.dim[d + (d >= dim)];
        w->src[d] = v->src[d + (d >= dim)];
    }
    w->src[MAX_RANK - 1] = NULL;
    w->ref = g_reshape(s->level->g, g_slice(s->level->g, v->ref, dim, (int32_t)i->num, (int32_t)i->num + 1), n.rank - 1, left);
    return w;
}

/* x[t], t a token or index: a gather from dim 0. */
static const Val *gather(Scope *s, const AstExpr *x, const AstExpr *item, const Val *i, const Val *v)
{
    Node n = val_type(v), k;
    Val *w;

    i = val_tensor(s, i);
    if (i->kind == V_POISON) return i;
    k = val_type(i);
    if (k.dtype != DT_I || k.rank + n.rank - 1 > MAX_RANK) {
        sema_error(s->e, 306, item->span, "an index is a token or a whole number; this is %s", val_text(s, i));
        return &val_poison;
    }
    if (i->vocab && i->vocab != n.dim[0]) {
        if (sema_error(s->e, 306, item->span, "%s looks up a table of %s", val_text(s, i), val_text(s, v))) {
            note_sizes(s->e, v, NULL);
            if (i->decl.lo) diag_note(s->e->ctx, i->decl, "the token is declared here");
        }
        return &val_poison;
    }
    if (!same_sequences(s, x->span, v, i)) return &val_poison;
    w = val_copy(s->e, v);
    w->ref = g_gather(s->level->g, v->ref, i->ref);
    if (k.rank) {
        w->src[0] = i->src[0];
        return w;
    }
    for (int d = 0; d < MAX_RANK; d++) w->src[d] = d + 1 < MAX_RANK ? v->src[d + 1] : NULL;
    return w;
}

const Val *eval_index(Scope *s, const AstExpr *x, const Val *base)
{
    const Val *v = val_tensor(s, base), *i;
    uint32_t dim = 0;
    Val *w;
    Node n;

    if (v->kind == V_POISON) return v;
    n = val_type(v);
    if (v->vocab || n.rank == 0 || x->args.n == 0 || (int)x->args.n > n.rank) {
        sema_error(s->e, 306, x->span, "%u slices or indices of %s", (unsigned)x->args.n, val_text(s, v));
        return &val_poison;
    }
    for (uint32_t k = 0; k < x->args.n && v->kind != V_POISON; k++) {
        const AstExpr *item = x->args.at[k].value;
        if (x->args.at[k].name) {
            sema_error(s->e, 206, x->args.at[k].name_span, "a slice has no names");
            return &val_poison;
        }
        if (item->kind == AST_RANGE) {
            v = slice_range(s, item, v, dim++);
            continue;
        }
        i = eval(s, item);
        if (i->kind == V_NUM) v = entry(s, item, i, v, dim);
        else if (i->kind == V_POISON || x->args.n == 1) v = i->kind == V_POISON ? i : gather(s, x, item, i, v);
        else {
            sema_error(s->e, 306, item->span, "beside other slices only a range `a:b` or a number known when compiling can stand here");
            return &val_poison;
        }
    }
    if (v->kind == V_POISON) return v;
    w = val_copy(s->e, v);
    w->span = x->span;
    w->call = NULL;
    w->decl = (Span){0, 0};
    return w;
}

/* ---- joins ------------------------------------------------------------------------------------------------------------ */

static bool join_fits(Scope *s, const AstExpr *x, const Val *first, const Val *v, int along)
{
    Node a = val_type(first), b = val_type(v);
    int ra = a.rank ? a.rank : 1, rb = b.rank ? b.rank : 1;
    bool fits = ra == rb && a.dtype == b.dtype;

    for (int d = 0; fits && d < ra; d++) fits = d == along || a.dim[d] == b.dim[d];
    if (!fits && sema_error(s->e, 305, v->span, "%s and %s cannot be joined along %s", val_text(s, first), val_text(s, v),
                            along ? arena_printf(s->e->a, "dim %d", along) : "the first dim")) {
        diag_note(s->e->ctx, first->span, "joined with this");
        note_sizes(s->e, first, v);
    }
    return fits && same_sequences(s, x->span, first, v);
}

/* The dim that `axis = k` behind the parts names. */
static bool join_along(Scope *s, const AstArg *axis, const Val *first, int *along)
{
    int rank = val_type(first).rank ? val_type(first).rank : 1;
    const SizeSrc *src;
    int64_t k = 0;

    if (axis && !eval_size(s, axis->value, -rank, rank - 1, &k, &src)) {
        if (!s->e->unsure) diag_note(s->e->ctx, first->span, "this is %s", val_text(s, first));
        return false;
    }
    *along = (int)(k < 0 ? k + rank : k);
    return true;
}

const Val *eval_join(Scope *s, const AstExpr *x)
{
    const AstArg *axis = x->args.n && x->args.at[x->args.n - 1].name == intern(s->e->ctx, "axis") ? &x->args.at[x->args.n - 1] : NULL;
    uint32_t n = x->args.n - (axis != NULL);
    const Val **v = NEW_N(s->e->a, const Val *, n ? n : 1);
    Ref *part = NEW_N(s->e->a, Ref, n ? n : 1);
    const char *text = NULL;
    bool poison = false, named = false;
    static const int32_t one = 1;
    int along = 0;
    Val *w;

    if (!n) {
        sema_error(s->e, 305, x->span, "nothing to join");
        return &val_poison;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (x->args.at[i].value->kind == AST_RANGE || x->args.at[i].name) {
            if (sema_error(s->e, 305, x->args.at[i].span, "a join takes values"))
                diag_help(s->e->ctx, (Span){0, 0}, "the dim stands behind them: `[a, b, axis = 1]`");
            return &val_poison;
        }
        v[i] = val_float(s, eval(s, x->args.at[i].value), "a join");
        poison |= v[i]->kind == V_POISON;
    }
    if (poison || !join_along(s, axis, v[0], &along)) return &val_poison;
    for (uint32_t i = 0; i < n; i++) {
        Node t = val_type(v[i]);
        const char *d = t.rank > along && v[i]->src[along] ? v[i]->src[along]->text : arena_printf(s->e->a, "%d", t.rank > along ? (int)t.dim[along] : 1);
        if (i && !join_fits(s, x, v[0], v[i], along)) return &val_poison;
        part[i] = t.rank ? v[i]->ref : g_reshape(s->level->g, v[i]->ref, 1, &one);
        text = i ? arena_printf(s->e->a, "%s + %s", text, d) : d;
        named |= t.rank && v[i]->src[along] && v[i]->src[along]->span.lo;
    }
    w = (Val *)val_of(s, g_concat(s->level->g, part, n, (uint32_t)along), x->span);
    if (w->kind == V_POISON) return w;
    if (!named) text = arena_printf(s->e->a, "%d", (int)val_type(w).dim[along]);
    for (int d = 0; d < MAX_RANK; d++) w->src[d] = d == along ? size_src(s->e, text, (Span){0, 0}) : v[0]->src[d];
    return w;
}

/* ---- dispatch --------------------------------------------------------------------------------------------------------- */

static const Val *eval_number(Scope *s, const AstExpr *x)
{
    Val *v = val_new(s->e, V_NUM, x->span);

    v->num = x->number;
    v->is_int = x->kind == AST_NUMBER && x->is_int;
    v->flag = x->kind == AST_BOOL;
    return v;
}

static const Val *eval_kind(Scope *s, const AstExpr *x)
{
    const Val *a, *b;
    Val *w;

    switch (x->kind) {
    case AST_ERROR: return &val_poison;
    case AST_NUMBER:
    case AST_BOOL: return eval_number(s, x);
    case AST_STRING:
        w = val_new(s->e, V_STRING, x->span);
        w->text = x->name;
        return w;
    case AST_NAME: return scope_name(s, x);
    case AST_MEMBER: return eval_member(s, x);
    case AST_BRACKET: return eval_bracket(s, x);
    case AST_CALL: return eval_call(s, x);
    case AST_JOIN: return eval_join(s, x);
    case AST_RANGE:
        sema_error(s->e, 306, x->span, "a range can stand only in a slice");
        return &val_poison;
    case AST_UNARY:
        a = eval(s, x->a);
        return a->kind == V_POISON ? a : eval_unary(s, x, a);
    case AST_BINARY:
        a = eval(s, x->a);
        b = eval(s, x->b);
        if (a->kind == V_POISON || b->kind == V_POISON) return &val_poison;
        s->level->g->span = x->at.lo;
        return x->op == AST_MATMUL ? eval_matmul(s, x, a, b) : eval_binary(s, x, x->op, a, b);
    }
    return &val_poison;
}

const Val *eval(Scope *s, const AstExpr *x)
{
    Graph *g = s->level->g;
    uint32_t old = g->span;
    const Val *v;

    if (--s->e->budget < 0) {
        if (s->e->budget == -1) sema_error(s->e, 901, x->span, "this program expands to too many operations");
        return &val_poison;
    }
    if (s->e->nest >= EVAL_NEST_MAX) {
        sema_error(s->e, 901, x->span, "this expands to an expression that is nested too deeply");
        return &val_poison;
    }
    s->e->nest++;
    g->span = x->at.lo ? x->at.lo : x->span.lo;
    v = eval_kind(s, x);
    g->span = old;
    s->e->nest--;
    return v;
}
