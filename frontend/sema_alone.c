/* Declarations on their own: every cell, function, metric, optimizer and initialiser of the user that the model does not use is
   checked once with stand-ins: sizes that differ from each other and divide by the small numbers, values without a meaning
   where the text leaves the kind open. What hangs on the stand-ins is not reported (Elab.unsure). */
#include "frontend/sema.h"

#include <string.h>

enum { STANDIN = 120 };

static int64_t standin(uint32_t *k)
{
    static const int64_t prime[] = {7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67};

    return STANDIN * prime[(*k)++ % (sizeof prime / sizeof prime[0])];
}

/* ---- arguments -------------------------------------------------------------------------------------------------------- */

static bool is_size_name(Ctx *c, const AstFormal *f)
{
    char first = name_str(c, f->name)[0];

    return !f->type && first >= 'A' && first <= 'Z';
}

static const Val *size_value(Elab *e, const AstFormal *f, int64_t n)
{
    Val *v = val_new(e, V_NUM, f->span);

    v->num = (double)n;
    v->is_int = true;
    v->decl = f->name_span;
    v->size = size_src(e, name_str(e->ctx, f->name), f->name_span);
    return v;
}

/* Sizes are stand-ins unless they have a default; cells are unknown. */
static void bind_standins(Scope *s, const Decl *d, uint32_t *k)
{
    for (uint32_t i = 0; i < d->ast->brackets.n; i++) {
        const AstFormal *f = &d->ast->brackets.at[i];
        const Val *v = &val_poison;
        int64_t n;
        const SizeSrc *src;
        if (is_size_name(s->e->ctx, f)) {
            n = standin(k);
            if (!f->value || eval_size(s, f->value, 1, 1 << 24, &n, &src)) v = size_value(s->e, f, n);
        } else if (f->value) {
            v = eval(s, f->value);
        }
        scope_bind(s, f->name, v, f->name_span);
    }
}

/* One size of a declared type: a new name gets a stand-in. */
static bool dim_standin(Scope *s, const AstExpr *x, uint32_t *k, int64_t *n, int64_t hi)
{
    const SizeSrc *src;
    Binding *b;
    AstFormal f = {.span = x->span, .name = x->name, .name_span = x->span};

    if (x->kind != AST_NAME || x->primed || scope_find(s, x->name, false)) return eval_size(s, x, 1, hi, n, &src);
    *n = standin(k);
    b = scope_bind(s, x->name, size_value(s->e, &f, *n), x->span);
    b->size = true;
    return true;
}

/* A value of the declared type, as an input of the module; NULL if there is no such type. */
static const Val *typed_standin(Scope *s, const AstFormal *f, uint32_t axis, uint32_t *k, Scan *sc)
{
    const AstType *t = f->type;
    Elab *e = s->e;
    int32_t dim[MAX_RANK] = {0};
    uint32_t axes = AX(AXIS_B), i;
    int64_t n, vocab = 0;
    Ref r;
    Val *v;

    if (t->dims.n > MAX_RANK) {
        sema_error(e, 309, t->span, "a shape has at most %d dims", MAX_RANK);
        return NULL;
    }
    for (i = 0; i < t->dims.n; i++) {
        if (!dim_standin(s, t->dims.at[i], k, &n, 1 << 24)) return NULL;
        dim[i] = (int32_t)n;
    }
    if (t->kind == AST_TYPE_TOKEN && !dim_standin(s, t->size, k, &vocab, INT32_MAX)) return NULL;
    if (t->seq && !(axis = eval_axis(s, t))) return NULL;
    i = module_add_input(e->m, INPUT_DATA, f->name, t->kind == AST_TYPE_TOKEN ? DT_I : t->kind == AST_TYPE_BOOL ? DT_B : DT_F, (int)t->dims.n, dim,
                         axes | (axis ? AX(axis) : 0));
    r = g_input(e->root->g, i);
    v = val_new(e, V_TENSOR, f->name_span);
    v->level = e->root;
    v->ref = r;
    if (!t->seq && sc) {
        v->level = sc->inner;
        v->ref = scan_step(sc, r);
    }
    v->decl = f->name_span;
    v->vocab = (int32_t)vocab;
    return v;
}

/* ---- bodies ----------------------------------------------------------------------------------------------------------- */

static bool has_step_input(const Decl *d)
{
    for (uint32_t i = 0; i < d->ast->inputs.n; i++)
        if (!d->ast->inputs.at[i].type || !d->ast->inputs.at[i].type->seq) return true;
    return d->ast->inputs.n == 0;
}

/* The step of a scan over an axis of its own; a cell that sees only whole sequences stands outside of any. */
static void check_body(Elab *e, Decl *d)
{
    bool step = has_step_input(d);
    Scan *sc = NEW(e->a, Scan);
    Scope *s = scope_make(e, SC_CELL, d->unit);
    uint32_t k = 0, axis = 0;
    bool ok = true;

    sc->outer = sc->inner = e->root;
    if (step) {
        axis = elab_time_axis(e, intern(e->ctx, "step"), d->ast->head);
        sc = scan_make(e, e->root, axis, 0);
    }
    s->decl = d;
    s->body = &d->ast->body;
    s->level = sc->inner;
    s->rows = e->batch | (axis ? AX(axis) : 0);
    s->scan = sc;
    s->scanned = step;
    bind_standins(s, d, &k);
    for (uint32_t i = 0; i < d->ast->inputs.n; i++) {
        const AstFormal *f = &d->ast->inputs.at[i];
        const Val *v = f->type ? typed_standin(s, f, f->type->seq ? 0 : axis, &k, step ? sc : NULL) : &val_poison;
        if (v && v->kind == V_TENSOR) v = bind_argument(s, s, f, v, "input");
        ok &= v != NULL;
        scope_bind(s, f->name, v ? v : &val_poison, f->name_span);
    }
    if (!ok) return;
    scope_run(s);
    cell_finish(s);
    if (s->result && s->result->kind != V_POISON && s->result->kind != V_TENSOR && s->result->kind != V_NUM)
        sema_error(e, 403, s->result->span, "`%s` returns %s, not a value", name_str(e->ctx, d->name), val_text(s, s->result));
    if (!s->result && d->ast->kind == AST_DEF_METRIC && sema_error(e, 403, d->ast->head, "metric `%s` returns nothing", name_str(e->ctx, d->name)))
        diag_help(e->ctx, (Span){0, 0}, "its value is what it returns at the last row: `return ...`");
}

static void check_function(Elab *e, Decl *d)
{
    Scope *s = scope_make(e, SC_FN, d->unit);
    uint32_t k = 0;

    s->decl = d;
    s->level = e->root;
    bind_standins(s, d, &k);
    for (uint32_t i = 0; i < d->ast->inputs.n; i++) {
        const AstFormal *f = &d->ast->inputs.at[i];
        const Val *v = f->type ? typed_standin(s, f, 0, &k, NULL) : &val_poison;
        scope_bind(s, f->name, v ? v : &val_poison, f->name_span);
    }
    fn_value(s, d->ast);
}

static void check_init(Elab *e, Decl *d)
{
    uint32_t ndraw = 0, k = 0;
    Node shape = {.dtype = DT_F, .rank = 2, .dim = {(int32_t)standin(&k), (int32_t)standin(&k)}};
    Scope *s = scope_make(e, SC_FN, d->unit);
    Val *v = val_new(e, V_INIT, d->ast->name_span);

    v->fn = d;
    s->level = e->init;
    s->draw = &shape;
    s->ndraw = &ndraw;
    draw_init(s, v, d->ast->name_span);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

/* A lower-case bracket argument has a default, which tells its kind, or is marked `: cell`. */
static bool kinds_told(Program *p, const Decl *d)
{
    bool ok = true;

    for (uint32_t i = 0; i < d->ast->brackets.n; i++) {
        const AstFormal *f = &d->ast->brackets.at[i];
        if (f->value || f->type || is_size_name(p->ctx, f)) continue;
        diag_error(p->ctx, 208, f->span, "`%s` needs a default, which tells its kind", name_str(p->ctx, f->name));
        diag_help(p->ctx, (Span){0, 0}, "a number `%s = 0.1`, a function `%s = tanh`, a cell `%s: cell`; sizes begin with a capital", name_str(p->ctx, f->name),
                  name_str(p->ctx, f->name), name_str(p->ctx, f->name));
        ok = false;
    }
    return ok;
}

static void check_alone(Program *p, Decl *d)
{
    Elab *e = elab_make(p, p->arena, d->name);

    e->generic = true;
    switch (d->ast->kind) {
    case AST_CELL: case AST_DEF_METRIC: check_body(e, d); return;
    case AST_FN:
        if (!d->ast->refusal) check_function(e, d);
        return;
    case AST_INIT: check_init(e, d); return;
    case AST_OPTIMIZER: optimizer_module(p, p->arena, d, NULL); return;
    case AST_MODEL: case AST_IMPORT: case AST_IMPORT_C: case AST_DEF_TRAIN: case AST_DEF_DATA: return;
    }
}

bool elab_check_kinds(Program *p, const Unit *u)
{
    bool ok = true;

    for (uint32_t i = 0; i < u->decl.n; i++) ok &= kinds_told(p, u->decl.at[i]);
    return ok;
}

void elab_check_alone(Program *p)
{
    for (uint32_t u = 0; u < p->unit.n; u++)
        for (uint32_t i = 0; !p->unit.at[u]->std && i < p->unit.at[u]->decl.n; i++) {
            Decl *d = p->unit.at[u]->decl.at[i];
            if (!d->used) check_alone(p, d);
        }
}
