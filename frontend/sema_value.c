/* Values: making them, moving them between levels, describing them in messages. */
#include "frontend/sema.h"

#include <string.h>

const Val val_poison = {.kind = V_POISON};

/* A whole number beside a token of this vocabulary is one. */
const Val *val_token(Scope *s, const Val *v, int32_t vocab)
{
    Val *w;

    if (v->kind != V_NUM || !vocab || !v->is_int || v->num < 0 || v->num >= vocab) return v;
    w = (Val *)val_of(s, g_int(s->level->g, (int32_t)v->num), v->span);
    w->vocab = vocab;
    return w;
}

bool val_is_poison(const Val *v)
{
    return v->kind == V_POISON;
}

/* ---- diagnostics ---------------------------------------------------------------------------------------------------- */

static bool first_time(Elab *e, uint16_t code, Span at)
{
    uint64_t key = (uint64_t)code << 32 | at.lo;

    if (e->unsure) return false;
    for (uint32_t i = 0; i < e->told.n; i++)
        if (e->told.at[i] == key) return false;
    VEC_PUSH(e->a, e->told) = key;
    for (uint32_t i = 0; i < diag_count(e->ctx); i++) { /* said by an earlier elaboration */
        const Diag *d = diag_at(e->ctx, i);
        if (d->code == code && d->span.lo == at.lo && at.lo) return false;
    }
    return true;
}

static bool within(Span at, Span all)
{
    return at.lo >= all.lo && at.hi <= all.hi;
}

/* An error in the body of something called: what called it, out to the user's own text. A name that is wrong in the user's own
   body is wrong whoever calls it. */
static void note_trail(Elab *e, uint16_t code, Span at)
{
    const Trail *t = e->trail;

    if (!t || e->generic || !within(at, t->decl->ast->span) || (!t->decl->unit->std && (code < 300 || code > 399))) return;
    for (int n = 0; t && n < 4; t = t->up, n++) {
        const Source *s = source_of(e->ctx, t->call.lo);
        diag_note(e->ctx, t->call, "called from here");
        if (s && s == e->p->unit.at[0]->ast->source) return;
    }
}

bool sema_error(Elab *e, uint16_t code, Span at, const char *fmt, ...)
{
    va_list ap;
    Str s = str_make(e->a);

    if (!first_time(e, code, at)) return false;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    diag_error(e->ctx, code, at, "%s", s.at);
    note_trail(e, code, at);
    return true;
}

bool sema_warning(Elab *e, uint16_t code, Span at, const char *fmt, ...)
{
    va_list ap;
    Str s = str_make(e->a);

    if (!first_time(e, code, at)) return false;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    diag_warning(e->ctx, code, at, "%s", s.at);
    return true;
}

const Val *sema_internal(Elab *e, Span at, const char *what)
{
    sema_error(e, 999, at, "this could not be built (%s)", what);
    return &val_poison;
}

/* ---- making --------------------------------------------------------------------------------------------------------- */

Val *val_new(Elab *e, ValKind k, Span span)
{
    Val *v = NEW(e->a, Val);

    v->kind = k;
    v->span = span;
    return v;
}

Val *val_copy(Elab *e, const Val *from)
{
    Val *v = NEW(e->a, Val);

    *v = *from;
    return v;
}

const Val *val_of(Scope *s, Ref r, Span span)
{
    Val *v;

    if (!r) return sema_internal(s->e, span, "a node was refused");
    v = val_new(s->e, V_TENSOR, span);
    v->level = s->level;
    v->ref = r;
    return v;
}

const Val *val_num(Elab *e, double num, bool is_int, Span span)
{
    Val *v = val_new(e, V_NUM, span);

    v->num = num;
    v->is_int = is_int;
    return v;
}

const Val *val_bool(Scope *s, bool b, Span span)
{
    return val_of(s, g_bool(s->level->g, b), span);
}

const SizeSrc *size_src(Elab *e, const char *text, Span span)
{
    SizeSrc *s = NEW(e->a, SizeSrc);

    s->text = text;
    s->span = span;
    return s;
}

void take_sizes(Val *v, const Val *from)
{
    Node a = val_type(v), b = val_type(from);

    for (int i = 0; i < a.rank && i < b.rank; i++)
        if (a.dim[i] == b.dim[i] && !v->src[i]) v->src[i] = from->src[i];
}

Name path_join(Elab *e, Name path, Name name, Name round)
{
    if (!path) return intern_printf(e->ctx, "%s%s", name_str(e->ctx, name), name_str(e->ctx, round));
    return intern_printf(e->ctx, "%s.%s%s", name_str(e->ctx, path), name_str(e->ctx, name), name_str(e->ctx, round));
}

/* ---- levels --------------------------------------------------------------------------------------------------------- */

Node val_type(const Val *v)
{
    return v->level->g->node.at[v->ref];
}

uint32_t val_seq(const Scope *s, const Val *v)
{
    if (v->kind != V_TENSOR) return 0;
    return val_type(v).axes & ~s->hidden & ~s->e->batch & ~AX(AXIS_B);
}

static bool is_outside(const Level *outer, const Level *l)
{
    for (; l; l = l->up)
        if (l == outer) return true;
    return false;
}

static Ref same_const(Graph *g, const Graph *from, Ref r)
{
    const Node *n = &from->node.at[r];
    double v;

    if (n->op != OP_CONST || !const_value(from, r, &v)) return 0;
    return n->dtype == DT_F ? g_const(g, v) : n->dtype == DT_I ? g_int(g, (int32_t)v) : g_bool(g, v != 0);
}

static Ref level_capture(Elab *e, Level *l, const Level *from, Ref r)
{
    Node n;
    Ref c;

    if (l == from) return r;
    r = level_capture(e, l->up, from, r);
    if ((c = same_const(l->g, l->up->g, r))) return c;
    for (uint32_t i = 0; i < l->outer.n; i++)
        if (l->outer.at[i] == r) return l->inner.at[i];
    n = l->up->g->node.at[r];
    c = g_leaf_typed(l->g, OP_CAPTURE, l->outer.n, (DType)n.dtype, n.rank, n.dim, n.axes);
    VEC_PUSH(e->a, l->outer) = r;
    VEC_PUSH(e->a, l->inner) = c;
    return c;
}

/* One level out. A state before its step is the sequence of next values, one later. */
static const Val *stack_out(Elab *e, const Val *v)
{
    Scan *sc = v->level->scan;
    Val *w = val_copy(e, v);
    Graph *g = sc->outer->g;

    w->level = sc->outer;
    w->ref = 0;
    if (sc->axis && (val_type(v).axes & AX(sc->axis))) {
        if (sema_error(e, 303, v->span, "at each step of `%s` this is a sequence over `%s` itself: it cannot be read outside of the call",
                       name_str(e->ctx, e->m->axis[sc->axis].name), name_str(e->ctx, e->m->axis[sc->axis].name)))
            diag_help(e->ctx, (Span){0, 0}, "an array has each axis once; inside the cell it can be used, or summed over its steps");
        return &val_poison;
    }
    for (uint32_t i = 0; i < sc->carry.n && !w->ref; i++)
        if (sc->carry.at[i].leaf == v->ref)
            w->ref = g_shift(g, scan_stack(e, sc, sc->carry.at[i].next), sc->carry.at[i].init, sc->axis, 1);
    if (!w->ref) w->ref = scan_stack(e, sc, v->ref);
    return w->ref ? w : sema_internal(e, v->span, "a value inside a loop cannot be read outside");
}

const Val *val_bring(Scope *s, const Val *v)
{
    if (v->kind != V_TENSOR || s->level->init) return v;
    while (v->kind == V_TENSOR && !is_outside(v->level, s->level)) {
        if (!v->level->scan || !v->level->scan->done) {
            sema_error(s->e, 402, v->span, "an initial value cannot use what changes from step to step");
            return &val_poison;
        }
        v = stack_out(s->e, v);
    }
    return v;
}

const Val *val_at_steps(Scope *s, const Val *v, uint32_t axis)
{
    if (axis && v->kind == V_NUM) v = val_tensor(s, v);
    if (!axis || v->kind != V_TENSOR || (val_type(v).axes & AX(axis))) return v;
    Val *w = val_copy(s->e, v);
    w->ref = g_expand_axes(s->level->g, val_use(s, v), AX(axis));
    w->level = s->level;
    return w;
}

Ref val_use(Scope *s, const Val *v)
{
    if (v->kind != V_TENSOR) return 0;
    if (v->level == s->level) return v->ref;
    if (s->level->init) v = init_copy(s, v);
    else v = val_bring(s, v);
    if (v->kind != V_TENSOR) return 0;
    return level_capture(s->e, s->level, v->level, v->ref);
}

/* ---- conversions ---------------------------------------------------------------------------------------------------- */

static const char *kind_text(const Val *v)
{
    switch (v->kind) {
    case V_POISON: return "an error";
    case V_TENSOR: return "a value";
    case V_NUM: return "a number";
    case V_STRING: return "a text";
    case V_FN: return "a function";
    case V_MAKER: return "a cell";
    case V_INST: return "an instance of a cell";
    case V_INIT: return "an initialiser";
    case V_TUPLE: return "several values";
    case V_UNIT: return "an imported file";
    }
    return "?";
}

static void help_not_value(Elab *e, const Val *v)
{
    const char *name = v->fn ? name_str(e->ctx, v->fn->name) : NULL;

    if (v->kind == V_INST && v->calls && v->calls->n == 0) diag_help(e->ctx, (Span){0, 0}, "call it: `name(x)`");
    else if (v->kind == V_MAKER && name) diag_help(e->ctx, (Span){0, 0}, "apply it to an input: `%s%s(x)`", name, v->nbound ? "[..]" : "");
    else if (v->kind == V_FN) diag_help(e->ctx, (Span){0, 0}, "call it: `%s(x)`", name ? name : builtin_name(v->builtin));
}

const Val *val_tensor(Scope *s, const Val *v)
{
    Elab *e = s->e;
    Ref r;
    Val *w;

    if (v->kind == V_POISON) return v;
    if (v->kind == V_INIT && s->draw) return draw_init(s, v, v->span);
    if (v->kind == V_NUM) return val_of(s, v->flag ? g_bool(s->level->g, v->num != 0) : g_const(s->level->g, v->num), v->span);
    if (v->kind != V_TENSOR) {
        if (sema_error(e, 204, v->span, "%s where a value is needed", kind_text(v))) {
            if (v->kind == V_INIT)
                diag_help(e->ctx, (Span){0, 0}, "initialisers stand after `=` of a param; random numbers of a step come from `noise`");
            help_not_value(e, v);
        }
        return &val_poison;
    }
    if (v->level == s->level) return v;
    r = val_use(s, v);
    if (!r) return &val_poison;
    w = val_copy(e, v);
    w->level = s->level;
    w->ref = r;
    return w;
}

const Val *val_float(Scope *s, const Val *v, const char *what)
{
    Val *w;

    v = val_tensor(s, v);
    if (v->kind == V_POISON || val_type(v).dtype == DT_F) return v;
    if (v->vocab) {
        if (sema_error(s->e, 307, v->span, "a token has no arithmetic: %s needs a number", what))
            diag_help(s->e->ctx, (Span){0, 0}, "look it up in a table (`E[t]`, `embedding[V, D](t)`) or compare it with `==`");
        return &val_poison;
    }
    w = val_copy(s->e, v);
    w->ref = g_cast(s->level->g, v->ref, DT_F);
    return w;
}

/* ---- text ----------------------------------------------------------------------------------------------------------- */

static const char *dims_print(Elab *e, int rank, const int32_t *dim, const SizeSrc *const *src, bool numbers)
{
    Str s = str_make(e->a);
    bool names = false;

    str_putc(&s, '[');
    for (int i = 0; i < rank; i++) {
        if (i) str_put(&s, ", ");
        if (src && src[i] && src[i]->text) {
            str_put(&s, src[i]->text);
            names |= src[i]->span.lo != 0;
        } else if (e->generic) str_putc(&s, '?');
        else str_printf(&s, "%d", (int)dim[i]);
    }
    str_putc(&s, ']');
    if (!names || e->generic || !numbers) return s.at;
    str_put(&s, " = [");
    for (int i = 0; i < rank; i++) str_printf(&s, "%s%d", i ? ", " : "", (int)dim[i]);
    str_putc(&s, ']');
    return s.at;
}

const char *dims_text(Elab *e, int rank, const int32_t *dim, const SizeSrc *const *src)
{
    return dims_print(e, rank, dim, src, true);
}

static const char *val_print(const Scope *s, const Val *v, bool numbers)
{
    Elab *e = s->e;
    const char *base;
    uint32_t seq;
    Node n;

    if (v->kind != V_TENSOR) return kind_text(v);
    n = val_type(v);
    if (v->vocab) base = arena_printf(e->a, "token[%d]%s", (int)v->vocab, n.rank ? dims_print(e, n.rank, n.dim, v->src, numbers) : "");
    else if (n.dtype == DT_B) base = n.rank ? arena_printf(e->a, "bool %s", dims_print(e, n.rank, n.dim, v->src, numbers)) : "bool";
    else base = dims_print(e, n.rank, n.dim, v->src, numbers);
    seq = val_seq(s, v);
    for (uint32_t a = 1; a < e->m->naxis; a++)
        if (seq & AX(a)) base = arena_printf(e->a, "seq(%s) %s", name_str(e->ctx, e->m->axis[a].name), base);
    return base;
}

const char *val_text(const Scope *s, const Val *v)
{
    return val_print(s, v, true);
}

const char *val_names(const Scope *s, const Val *v)
{
    return val_print(s, v, false);
}

static void note_size(Elab *e, const SizeSrc *src, int32_t n, Span *said, int *nsaid)
{
    if (!src || !src->span.lo || *nsaid == 8) return;
    for (int i = 0; i < *nsaid; i++)
        if (said[i].lo == src->span.lo) return;
    said[(*nsaid)++] = src->span;
    if (e->generic) diag_note(e->ctx, src->span, "`%s` is declared here", src->text);
    else diag_note(e->ctx, src->span, "`%s` is %d, declared here", src->text, (int)n);
}

void note_sizes(Elab *e, const Val *a, const Val *b)
{
    Span said[8];
    int nsaid = 0;

    for (int k = 0; k < 2; k++) {
        const Val *v = k ? b : a;
        Node n;
        if (!v || v->kind != V_TENSOR) continue;
        n = val_type(v);
        for (int i = 0; i < n.rank; i++) note_size(e, v->src[i], n.dim[i], said, &nsaid);
    }
}
