/* Leaves of a body (param, const, state, noise), and what must hold when a body is complete. */
#include "frontend/sema.h"

#include <string.h>

static Node shape_node(int rank, const int32_t *dim, uint32_t axes)
{
    Node n = {.dtype = DT_F, .rank = (uint8_t)rank, .axes = axes};

    for (int i = 0; i < rank; i++) n.dim[i] = dim[i];
    return n;
}

/* The declared shape of a leaf; without a type a scalar. */
static bool leaf_shape(Scope *s, const AstStmt *st, int *rank, int32_t *dim, const SizeSrc **src)
{
    *rank = 0;
    if (!st->type) return true;
    if (st->type->seq || st->type->kind != AST_TYPE_TENSOR) {
        if (st->kind == AST_STATE) sema_error(s->e, 309, st->type->span, "the type of a state is a shape, `bool` or `token[V]`");
        else sema_error(s->e, 309, st->type->span, "the type of a param, const or noise is a shape: `[H, I]`");
        return false;
    }
    return eval_dims(s, st->type, rank, dim, src);
}

static uint32_t name_stream(Elab *e, Name path)
{
    const char *t = name_str(e->ctx, path);
    uint64_t h = hash_bytes(1, t, strlen(t));

    return (uint32_t)(h ^ h >> 32) & ~15u;
}

Scope *scope_initial(Scope *s, Level *level, uint32_t hidden)
{
    Scope *c = NEW(s->e->a, Scope);

    *c = *s;
    c->origin = s->origin ? s->origin : s;
    c->level = level;
    c->hidden = hidden;
    c->draw = NULL;
    c->draw_names = false;
    c->initial = true;
    return c;
}

static const Val *fit_shape(Scope *s, const Val *v, int rank, const int32_t *dim, const SizeSrc *const *src, const char *what, Name name, Span decl)
{
    const Val *w;

    if (v->kind == V_POISON) return v;
    w = val_broadcast(s, v, rank, dim, src);
    if (w->kind != V_POISON) return w;
    if (sema_error(s->e, 315, v->span, "%s of `%s` is %s, but its shape is %s", what, name_str(s->e->ctx, name), val_text(s, v), dims_text(s->e, rank, dim, src))) {
        diag_note(s->e->ctx, decl, "declared here");
        note_sizes(s->e, v, NULL);
    }
    return w;
}

/* A state may also be a token or a bool, both without dims. It is carried as a float, which holds each of them exactly, so that
   nothing below has carries of several kinds; what stands outside of the scan has its own kind. */
static bool state_type(Scope *s, const AstStmt *st, Node *type, int32_t *vocab, const SizeSrc **src)
{
    const SizeSrc *vs;
    int64_t v = 0;
    int rank;

    *type = (Node){.dtype = DT_F};
    *vocab = 0;
    if (st->type && !st->type->seq && st->type->kind == AST_TYPE_BOOL) {
        type->dtype = DT_B;
        return true;
    }
    if (st->type && !st->type->seq && st->type->kind == AST_TYPE_TOKEN) {
        type->dtype = DT_I;
        if (!eval_size(s, st->type->size, 1, 1 << 24, &v, &vs)) return false;
        *vocab = (int32_t)v;
        return true;
    }
    if (!leaf_shape(s, st, &rank, type->dim, src)) return false;
    type->rank = (uint8_t)rank;
    return true;
}

/* v as a value of the state: floats of its shape, a token of its vocabulary (or a whole number below it), a bool. */
static const Val *state_fit(Scope *s, const Val *v, const Node *type, int32_t vocab, const SizeSrc *const *src, const char *what, Name name, Span decl)
{
    const Val *t;

    if (v->kind == V_POISON) return v;
    if (type->dtype == DT_F) return fit_shape(s, val_float(s, v, "a state"), type->rank, type->dim, src, what, name, decl);
    if (v->kind == V_NUM && type->dtype == DT_B && (v->flag || v->num == 0 || v->num == 1)) return val_bool(s, v->num != 0, v->span);
    t = val_tensor(s, val_token(s, v, vocab));
    if (t->kind == V_POISON) return t;
    if (val_type(t).dtype == type->dtype && !val_type(t).rank && (t->vocab == vocab || !t->vocab)) return t;
    if (sema_error(s->e, 315, v->span, "%s of `%s` is %s, but the state is %s", what, name_str(s->e->ctx, name), val_text(s, v),
                   vocab ? arena_printf(s->e->a, "token[%d]", (int)vocab) : "a bool"))
        diag_note(s->e->ctx, decl, "declared here");
    return &val_poison;
}

/* ---- parameters ------------------------------------------------------------------------------------------------------- */

static uint32_t param_index(const Module *m, Name name)
{
    for (uint32_t i = 0; i < m->param.n; i++)
        if (m->param.at[i].name == name) return i + 1;
    return 0;
}

static const Val *param_value(Scope *s, uint32_t i, const SizeSrc *const *src, Span span)
{
    Val *v = val_new(s->e, V_TENSOR, span);

    v->level = s->e->root;
    v->ref = g_param(s->e->root->g, i);
    v->decl = span;
    for (int k = 0; k < MAX_RANK; k++) v->src[k] = src[k];
    return v;
}

/* The initial value in Module.init, of the declared shape; a const without a type has the shape of its expression. */
static Ref param_init(Scope *s, Binding *b, Name path, bool typed, int *rank, int32_t *dim, const SizeSrc **src)
{
    Node shape = shape_node(*rank, dim, 0);
    Scope *in = scope_initial(s, s->e->init, 0);
    uint32_t ndraw = 0;
    const Val *v;

    in->stream = name_stream(s->e, path);
    in->ndraw = &ndraw;
    in->draw = typed || b->kind == B_PARAM ? &shape : NULL;
    in->draw_names = in->draw != NULL;
    v = eval(in, b->stmt->value);
    if (v->kind == V_POISON) return 0;
    v = val_float(in, v, "an initial value");
    if (v->kind == V_POISON) return 0;
    if (!typed && b->kind == B_CONST) {
        Node n = val_type(v);
        *rank = n.rank;
        memcpy(dim, n.dim, sizeof n.dim);
        memcpy(src, v->src, sizeof v->src);
        return v->ref;
    }
    v = fit_shape(in, v, *rank, dim, src, "the initial value", b->name, b->span);
    return v->kind == V_POISON ? 0 : v->ref;
}

static const Val *param_again(Scope *s, Binding *b, uint32_t i, int rank, const int32_t *dim, const SizeSrc *const *src)
{
    const Param *p = &s->e->m->param.at[i];

    if (p->rank == rank && !memcmp(p->dim, dim, (size_t)rank * sizeof *dim)) return param_value(s, i, src, b->span);
    if (sema_error(s->e, 301, b->span, "`%s` is shared, but this call needs it as %s and an earlier one as %s", name_str(s->e->ctx, p->name),
                   dims_text(s->e, rank, dim, src), dims_text(s->e, p->rank, p->dim, NULL)))
        note_sizes(s->e, param_value(s, i, src, b->span), NULL);
    return &val_poison;
}

/* Whether theta has room for one more; past this its places overflow. */
static bool has_room(const Module *m, int rank, const int32_t *dim)
{
    int64_t size = 1;

    for (int d = 0; d < rank; d++)
        if (!checked_mul(size, dim[d], &size)) return false;
    return checked_add(size, m->theta_size, &size) && size <= INT64_MAX / 16;
}

const Val *leaf_param(Scope *s, Binding *b)
{
    Elab *e = s->e;
    const AstStmt *st = b->stmt;
    Name path = path_join(e, s->param_path, b->name, s->round);
    const SizeSrc *src[MAX_RANK] = {NULL};
    int32_t dim[MAX_RANK] = {0};
    uint32_t i = param_index(e->m, path);
    Ref init = 0;
    int rank;

    if (s->decl && (s->decl->ast->kind == AST_OPTIMIZER || s->decl->ast->kind == AST_DEF_METRIC)) {
        sema_error(e, 413, b->span, "%s `%s` cannot have parameters of its own", decl_kind_name(s->decl->ast), name_str(e->ctx, s->decl->name));
        return &val_poison;
    }
    if (!leaf_shape(s, st, &rank, dim, src)) return &val_poison;
    if (i && (st->type || b->kind == B_PARAM)) return param_again(s, b, i - 1, rank, dim, src);
    if (i) {
        const Param *p = &e->m->param.at[i - 1];
        return param_value(s, i - 1, src, (Span){p->span, p->span});
    }
    if (!st->value && b->kind == B_PARAM) {
        if (sema_error(e, 208, b->span, "param `%s` has no initial value", name_str(e->ctx, b->name)))
            diag_help(e->ctx, (Span){0, 0}, "for example `param %s: [..] = glorot_uniform`", name_str(e->ctx, b->name));
        return &val_poison;
    }
    if (st->value && !(init = param_init(s, b, path, st->type != NULL, &rank, dim, src))) return &val_poison;
    if (!has_room(e->m, rank, dim)) {
        sema_error(e, 701, b->span, "the parameters are too large (with `%s`)", name_str(e->ctx, path));
        return &val_poison;
    }
    i = module_add_param(e->m, path, rank, dim, b->kind == B_CONST);
    e->m->param.at[i].init = init;
    e->m->param.at[i].from_file = !st->value;
    e->m->param.at[i].span = b->span.lo;
    return param_value(s, i, src, b->span);
}

/* ---- states ----------------------------------------------------------------------------------------------------------- */

static Given *find_given(Scope *s, Name name)
{
    for (uint32_t i = 0; i < s->ngiven; i++)
        if (s->given[i].name == name) {
            s->given[i].used = true;
            return &s->given[i];
        }
    return NULL;
}

static uint32_t state_index(Elab *e, Name path, const Node *type, int32_t vocab, uint32_t axes)
{
    Module *m = e->m;
    uint32_t i = 0;

    while (i < m->state.n && m->state.at[i].name != path) i++;
    if (i == m->state.n) {
        State *st = &VEC_PUSH(m->arena, m->state);
        st->name = path;
        st->dtype = type->dtype;
        st->vocab = vocab;
        st->rank = type->rank;
        for (int d = 0; d < type->rank; d++) st->dim[d] = type->dim[d];
        if (e->o.external_states) {
            st->input = 1 + module_add_input(m, INPUT_STATE, path, (DType)type->dtype, type->rank, type->dim, axes);
            m->input.at[st->input - 1].vocab = vocab;
        }
        VEC_PUSH(e->a, e->state_root) = (StateRoot){i, 0, 0};
    }
    m->state.at[i].axes = axes;
    if (e->o.external_states) m->input.at[m->state.at[i].input - 1].axes = axes;
    return i;
}

/* The value before the first step, at the level outside of the scan. */
static const Val *state_start(Scope *s, Binding *b, Given *g, Scope *out, const Node *type, int32_t vocab, const SizeSrc *const *src)
{
    const Val *v = g ? g->val : b->stmt->value ? eval(out, b->stmt->value) : val_num(s->e, 0, true, b->span);

    if (v->kind == V_TENSOR && val_seq(out, v)) {
        if (sema_error(s->e, 315, v->span, "state `%s` starts from one value, not from a sequence", name_str(s->e->ctx, b->name)))
            diag_help(s->e->ctx, (Span){0, 0}, "the last step of a sequence: `.last`");
        return &val_poison;
    }
    return state_fit(out, v, type, vocab, src, "the start", b->name, b->span);
}

static const Val *state_value(Scope *s, Ref leaf, Binding *b, DType dtype, int32_t vocab, const SizeSrc *const *src)
{
    Val *v = (Val *)val_of(s, g_cast(s->level->g, leaf, dtype), b->span);

    if (v->kind == V_POISON) return v;
    v->decl = b->span;
    v->vocab = vocab;
    for (int i = 0; i < MAX_RANK; i++) v->src[i] = src[i];
    return v;
}

const Val *leaf_state(Scope *s, Binding *b)
{
    Elab *e = s->e;
    Scan *sc = s->scan;
    const SizeSrc *src[MAX_RANK] = {NULL};
    Given *g = find_given(s, b->name);
    Name path = path_join(e, s->state_path, b->name, s->round);
    uint32_t axes0, st = 0;
    int32_t vocab;
    Scope *out;
    const Val *v;
    Node type, carried;
    Ref init;

    if (s->kind != SC_CELL || !sc) {
        if (sema_error(e, 400, b->span, "a state can stand only in the body of a cell"))
            diag_help(e->ctx, (Span){0, 0}, "a model applies cells to sequences; a value that changes from round to round is carried by `repeat { v' = ... }`");
        return &val_poison;
    }
    if (!state_type(s, b->stmt, &type, &vocab, src)) return &val_poison;
    if (g && !s->scanned) { /* owned by the caller: the state before this one step */
        v = state_start(s, b, g, s, &type, vocab, src);
        return v->kind == V_POISON ? v : state_value(s, v->ref, b, (DType)type.dtype, vocab, src);
    }
    out = scope_initial(s, sc->outer, sc->outer_hidden);
    out->draw = &type; /* for row and col; there is nothing to draw from */
    out->draw_names = true;
    out->ndraw = NULL;
    v = state_start(s, b, g, out, &type, vocab, src);
    if (v->kind == V_POISON) return v;
    init = v->ref;
    axes0 = val_type(v).axes;
    if (sc->top) {
        st = 1 + state_index(e, path, &type, vocab, scan_axes(e, sc, path, axes0));
        for (uint32_t i = 0; i < e->state_root.n; i++)
            if (e->state_root.at[i].state == st - 1) e->state_root.at[i].init = init;
        if (e->o.external_states) {
            Ref given = g_input(sc->outer->g, e->m->state.at[st - 1].input - 1);
            init = e->o.moved_states && type.dtype == DT_F ? g_bin(sc->outer->g, OP_ADD, init, given) : given;
        }
    }
    carried = type;
    carried.dtype = DT_F;
    b->carry = 1 + scan_carry(e, sc, path, g_cast(sc->outer->g, init, DT_F), axes0, &carried, b->span);
    sc->carry.at[b->carry - 1].state = st;
    return state_value(s, sc->carry.at[b->carry - 1].leaf, b, (DType)type.dtype, vocab, src);
}

/* The next value of a token or a bool. */
static const Val *next_of_kind(Scope *s, const Val *v, const Node *type, const Val *state, const AstTarget *t, Span decl)
{
    v = state_fit(s, v, type, state->vocab, NULL, "the next value", t->name, decl);
    if (v->kind != V_TENSOR || !val_seq(s, v)) return v;
    if (sema_error(s->e, 311, v->span, "the next value of `%s` is %s, but the state is %s", name_str(s->e->ctx, t->name), val_text(s, v), val_text(s, state)))
        diag_note(s->e->ctx, decl, "the state is declared here");
    return &val_poison;
}

/* The value bound to a primed name, in the shape of its state. */
const Val *block_names(Scope *s, const Val *v, const AstTarget *t)
{
    Elab *e = s->e;
    const char *n = name_str(e->ctx, t->name);
    Binding *b = scope_find(s, t->name, false);
    const Val *st, *w;
    Node type;

    if (s->kind == SC_ROUND || v->kind == V_POISON) return v;
    if (!b || (b->kind != B_STATE && !b->parameter)) {
        if (sema_error(e, 209, t->span, "`%s` is no state: only a state has a next value", n)) {
            if (b && (b->kind == B_PARAM || b->kind == B_CONST)) diag_help(e->ctx, (Span){0, 0}, "transpose is `%s.T`", n);
            else if (b) diag_note(e->ctx, b->span, "`%s` is declared here", n);
            else if (s->kind == SC_CELL) diag_help(e->ctx, (Span){0, 0}, "declare it: `state %s: [..]`", n);
        }
        return &val_poison;
    }
    st = scope_value(s, b);
    if (st->kind == V_POISON) return &val_poison;
    type = val_type(st);
    if (type.dtype != DT_F) return next_of_kind(s, v, &type, st, t, b->span);
    v = val_float(s, v, "a state");
    if (v->kind == V_POISON) return v;
    w = val_type(v).rank <= type.rank ? val_broadcast(s, v, type.rank, type.dim, st->src) : &val_poison;
    if (w->kind != V_POISON && !val_seq(s, v)) return w;
    if (sema_error(e, 311, v->span, "the next value of `%s` is %s, but the state is %s", n, val_text(s, v), val_text(s, st))) {
        diag_note(e->ctx, b->span, "the state is declared here");
        note_sizes(e, v, st);
    }
    return &val_poison;
}

bool state_next(Scope *s, Binding *state, const Val **v)
{
    Elab *e = s->e;
    const char *n = name_str(e->ctx, state->name);
    Binding *b;

    s->pos = UINT32_MAX;
    b = scope_find(s, state->name, true);
    if (!b) {
        Binding *r = scope_find(s, state->name, false);
        if (r && r->kind == B_REPEAT) b = r;
    }
    if (b) {
        *v = scope_value(s, b);
        return (*v)->kind != V_POISON;
    }
    if (!state->missed && sema_error(e, 210, state->span, "state `%s` is never updated", n)) {
        diag_help(e->ctx, (Span){0, 0}, "bind its next value: `%s' = ...`; a value that stays is a `const` or a `param`", n);
    }
    return false;
}

/* ---- noise ------------------------------------------------------------------------------------------------------------ */

const Val *leaf_noise(Scope *s, Binding *b)
{
    Elab *e = s->e;
    Scope *in = scope_initial(s, s->level, s->hidden);
    const SizeSrc *src[MAX_RANK] = {NULL};
    int32_t dim[MAX_RANK] = {0};
    uint32_t ndraw = 0;
    Node shape;
    const Val *v;
    Val *w;
    int rank;

    if (!leaf_shape(s, b->stmt, &rank, dim, src)) return &val_poison;
    shape = shape_node(rank, dim, e->batch | (b->stmt->per_sequence ? 0 : s->hidden & ~e->batch));
    in->initial = false;
    in->draw = &shape;
    in->stream = name_stream(e, path_join(e, s->state_path, b->name, s->round));
    in->counter = b->stmt->per_sequence ? 0 : s->rows & ~AX(AXIS_B) & ~e->batch;
    in->ndraw = &ndraw;
    v = val_tensor(in, eval(in, b->stmt->value));
    if (v->kind == V_POISON) return v;
    v = fit_shape(in, v, rank, dim, src, "the value", b->name, b->span);
    if (v->kind == V_POISON) return v;
    w = val_copy(e, v);
    w->decl = b->span;
    return w;
}

/* ---- the end of a body ------------------------------------------------------------------------------------------------ */

void warn_unused(Scope *s)
{
    if (s->decl->warned || s->decl->unit->std) return;
    s->decl->warned = true;
    for (uint32_t i = 0; i < s->name.n; i++) {
        Binding *b = s->name.at[i];
        if (b->kind == B_PARAM && !b->used && sema_warning(s->e, 212, b->span, "param `%s` is never used", name_str(s->e->ctx, b->name)))
            diag_help(s->e->ctx, (Span){0, 0}, "it would be saved and never change; remove it");
    }
}

void cell_finish(Scope *s)
{
    bool ok = true;

    for (uint32_t i = 0; i < s->name.n; i++) {
        Binding *b = s->name.at[i];
        const Val *v;
        if (b->kind != B_STATE) continue;
        if (b->val->kind == V_POISON) ok = false;
        else if (b->carry) {
            if (!state_next(s, b, &v)) {
                ok = false;
                continue;
            }
            v = val_tensor(s, v);
            if (v->kind == V_POISON) ok = false;
            else s->scan->carry.at[b->carry - 1].next = g_cast(s->level->g, v->ref, DT_F);
        }
    }
    if (!s->result && s->decl->ast->kind == AST_CELL) {
        if (sema_error(s->e, 403, s->decl->ast->head, "`%s` returns nothing", name_str(s->e->ctx, s->decl->name)))
            diag_help(s->e->ctx, (Span){0, 0}, "end its body with `return ...`");
        ok = false;
    }
    if (!ok) s->result = &val_poison;
    if (!s->result || s->result->kind != V_POISON) warn_unused(s);
}
