/* What the front end builds: the module of a model, of an optimizer (lifted over the parameter slab), of a metric
   (scanned over rows). */
#include "frontend/sema.h"

#include <string.h>

Elab *elab_make(Program *p, Arena *a, Name name)
{
    Elab *e = NEW(a, Elab);

    e->p = p;
    e->ctx = p->ctx;
    e->a = a;
    e->m = module_make(p->ctx, a, name);
    e->batch = AX(AXIS_B);
    e->budget = 4000000;
    e->errors = diag_error_count(p->ctx);
    e->root = NEW(a, Level);
    e->root->g = e->m->graph.at[0];
    e->init = NEW(a, Level);
    e->init->g = e->m->init;
    e->init->init = true;
    return e;
}

static Scan *outside_scan(Elab *e)
{
    Scan *sc = NEW(e->a, Scan);

    sc->outer = sc->inner = e->root;
    sc->top = true;
    return sc;
}

static bool is_as_checked(const Program *p, const BuildOptions *o)
{
    bool other = o->external_states || o->moved_states || o->ragged || o->weights || o->unroll;

    return !other && (o->training || !p->reads_training);
}

Module *frontend_model(Program *p, Arena *a, const BuildOptions *o)
{
    Elab *e;

    if (p->checked && is_as_checked(p, o)) return module_copy(p->checked, a);
    if (!p->model) {
        diag_error(p->ctx, 407, (Span){0, 0}, "%s has no model", p->unit.at[0]->path);
        return NULL;
    }
    e = elab_model(p, a, o, NULL);
    if (!e) return NULL;
    module_dce(e->m);
    return o->unroll && !module_unroll(e->m, a, o->unroll) ? NULL : e->m;
}

/* ---- optimizers ------------------------------------------------------------------------------------------------------- */

static const Setting *given_argument(Elab *e, const Decl *d, const Setting *given, uint32_t i)
{
    uint32_t pos = 2;

    for (uint32_t k = 0; given && given->kind == SET_CALL && k < given->n; k++) {
        if (given->arg[k] ? given->arg[k] == d->ast->inputs.at[i].name : pos++ == i) return &given->item[k];
    }
    (void)e;
    return NULL;
}

static bool known_arguments(Elab *e, const Decl *d, const Setting *given)
{
    const AstFormals *f = &d->ast->inputs;
    uint32_t pos = 2;
    bool ok = true;

    for (uint32_t k = 0; given && given->kind == SET_CALL && k < given->n; k++) {
        VEC(const char *) names = {0};
        const char *near;
        bool known = false;
        if (!given->arg[k]) known = pos++ < f->n;
        for (uint32_t i = 2; i < f->n; i++) {
            VEC_PUSH(e->a, names) = name_str(e->ctx, f->at[i].name);
            known |= given->arg[k] && given->arg[k] == f->at[i].name;
        }
        bool twice = false;
        for (uint32_t i = 0; i < k && given->arg[k]; i++) twice = twice || given->arg[i] == given->arg[k];
        if (known && !twice) continue;
        ok = false;
        if (twice) {
            sema_error(e, 206, given->arg_span[k], "`%s` is given twice", name_str(e->ctx, given->arg[k]));
            continue;
        }
        if (!given->arg[k]) {
            sema_error(e, 207, given->item[k].span, "optimizer `%s` has %u arguments", name_str(e->ctx, d->name), (unsigned)(f->n - 2));
            continue;
        }
        near = nearest_name(name_str(e->ctx, given->arg[k]), names.at, names.n);
        if (sema_error(e, 206, given->arg_span ? given->arg_span[k] : given->item[k].span, "optimizer `%s` has no argument `%s`", name_str(e->ctx, d->name), name_str(e->ctx, given->arg[k]))) {
            diag_note(e->ctx, d->ast->head, "declared here");
            if (near) diag_help(e->ctx, (Span){0, 0}, "did you mean `%s`?", near);
        }
    }
    return ok;
}

/* Numeric arguments stay inputs of the module, so that a schedule can change them. */
static bool optimizer_argument(Scope *s, const Decl *d, uint32_t i, const Setting *given)
{
    const AstFormal *f = &d->ast->inputs.at[i];
    Elab *e = s->e;
    const Setting *g = given_argument(e, d, given, i);
    const Val *v = &val_poison;
    Val *w;
    uint32_t k;

    if (i >= 2 && !f->value) {
        if (sema_error(e, 413, f->span, "`%s` needs a default", name_str(e->ctx, f->name)))
            diag_help(e->ctx, (Span){0, 0}, "an optimizer is given as `name(key = value)`: write `%s = 0.1` here", name_str(e->ctx, f->name));
        return false;
    }
    if (i < 2) {
        k = module_add_input(e->m, INPUT_DATA, intern(e->ctx, i ? "g" : "p"), DT_F, 0, NULL, AX(1));
    } else {
        v = eval(s, f->value);
        if (v->kind == V_POISON) return false;
        if (v->kind != V_NUM) {
            scope_bind(s, f->name, v, f->name_span);
            return true;
        }
        k = module_add_input(e->m, INPUT_SCALAR, f->name, DT_F, 0, NULL, 0);
        e->m->input.at[k].value = v->num;
        if (g && !settings_optimizer_argument(e->p, name_str(e->ctx, f->name), g)) return false;
        if (g && (g->kind == SET_NUMBER || g->kind == SET_BOOL)) e->m->input.at[k].value = g->number;
        else if (g) {
            sema_error(e, 501, g->span, "`%s` is a number", name_str(e->ctx, f->name));
            return false;
        }
    }
    e->m->input.at[k].span = f->name_span.lo;
    w = (Val *)val_of(s, g_input(s->level->g, k), f->name_span);
    if (w->kind == V_POISON) return false;
    w->decl = f->name_span;
    w->flag = v->flag;
    scope_bind(s, f->name, w, f->name_span)->parameter = i == 0;
    return true;
}

static Scope *optimizer_scope(Elab *e, Decl *d, Scan *sc)
{
    Scope *s = scope_make(e, SC_CELL, d->unit);

    s->decl = d;
    s->body = &d->ast->body;
    s->level = e->root;
    s->hidden = s->rows = AX(1);
    s->scan = sc;
    return s;
}

/* One attempt with the states' axes as guessed; grows the guess where a next value needs ELEM. */
static Module *optimizer_try(Program *p, Arena *a, Decl *d, const Setting *given, CarryGuess **guess, uint32_t *n, bool *again)
{
    Elab *e = elab_make(p, a, d->name);
    Scan *sc = outside_scan(e);
    uint32_t errors = diag_error_count(p->ctx);
    const Bound *bound;
    uint32_t nb;
    Scope *s;
    Binding *next;

    e->batch = 0;
    e->o.external_states = true;
    module_add_axis(e->m, AXIS_ELEM, intern(p->ctx, "ELEM"));
    sc->guess = *guess;
    sc->nguess = *n;
    s = optimizer_scope(e, d, sc);
    if (d->ast->inputs.n < 2) {
        sema_error(e, 413, d->ast->head, "an optimizer has two inputs: a parameter and its gradient");
        return NULL;
    }
    if (!known_arguments(e, d, given) || !bind_brackets(s, s, d, NULL, d->ast->head, &bound, &nb)) return NULL;
    for (uint32_t i = 0; i < d->ast->inputs.n; i++)
        if (!optimizer_argument(s, d, i, given)) return NULL;
    scope_run(s);
    cell_finish(s);
    next = scope_find(s, d->ast->inputs.at[0].name, true);
    if (!next && sema_error(e, 413, d->ast->head, "optimizer `%s` never gives the new parameter", name_str(p->ctx, d->name)))
        diag_help(p->ctx, (Span){0, 0}, "bind `%s' = ...`", name_str(p->ctx, d->ast->inputs.at[0].name));
    if (!next || next->val->kind == V_POISON || (s->result && s->result->kind == V_POISON) || diag_error_count(p->ctx) != errors) return NULL;
    *guess = NEW_N(a, CarryGuess, sc->carry.n + 1);
    *n = sc->carry.n;
    for (uint32_t i = 0; i < sc->carry.n; i++) {
        uint32_t have = e->root->g->node.at[sc->carry.at[i].leaf].axes, want = have | e->root->g->node.at[sc->carry.at[i].next].axes;
        (*guess)[i] = (CarryGuess){sc->carry.at[i].name, want};
        *again |= want != have;
    }
    graph_root(e->root->g, ROOT_OUTPUT, intern(p->ctx, "p"), g_expand_axes(e->root->g, val_use(s, next->val), AX(1)), 0);
    elab_state_roots(e, sc);
    return e->m;
}

Module *optimizer_module(Program *p, Arena *a, Decl *d, const Setting *given)
{
    CarryGuess *guess = NULL;
    uint32_t n = 0;

    d->used = true;
    for (int round = 0; round < 20; round++) {
        bool again = false;
        Module *m = optimizer_try(p, a, d, given, &guess, &n, &again);
        if (!m) return NULL;
        if (again) continue;
        module_dce(m);
        return m;
    }
    return NULL;
}

Module *frontend_optimizer(Program *p, Arena *a, const char *name, const Setting *given)
{
    Decl *d = unit_find_dotted(p, p->unit.at[0], intern(p->ctx, name));

    if (d && d->ast->kind == AST_OPTIMIZER) return optimizer_module(p, a, d, given);
    diag_error(p->ctx, 505, given ? given->span : (Span){0, 0}, "no optimizer `%s`", name);
    return NULL;
}

/* ---- metrics ---------------------------------------------------------------------------------------------------------- */

/* One attempt at the scan over rows. NULL on an error; *again if the carries' axes have to be other ones. */
static Scope *metric_try(Elab *e, const MetricInfo *mi, Decl *d, CarryGuess **guess, uint32_t *n, bool *again)
{
    Scan *sc = scan_make(e, e->root, 1, 0);
    Scope *s = scope_make(e, SC_CELL, d->unit);
    uint32_t errors = diag_error_count(e->ctx);
    Ref arg[8];

    d->used = true;
    sc->guess = *guess;
    sc->nguess = *n;
    sc->top = true;
    s->decl = d;
    s->body = &d->ast->body;
    s->level = sc->inner;
    s->rows = AX(1);
    s->scan = sc;
    s->scanned = true;
    for (uint32_t i = 0; i < mi->nbound; i++) scope_bind(s, mi->bound[i].name, mi->bound[i].val, mi->bound[i].val->decl);
    for (uint32_t i = 0; i < mi->nargs; i++) {
        const AstFormal *f = &d->ast->inputs.at[i];
        Val *w = (Val *)val_of(s, scan_step(sc, g_input(e->root->g, i)), f->span);
        AstFormal scalar = *f;
        AstType none = {.kind = mi->arg[i].dtype == DT_B ? AST_TYPE_BOOL : AST_TYPE_TENSOR, .span = f->span};
        if (w->kind == V_POISON) return NULL;
        w->vocab = mi->arg[i].vocab;
        arg[i] = w->ref;
        if (!f->type && !w->vocab) scalar.type = &none;
        scope_bind(s, f->name, bind_argument(s, s, &scalar, w, "input"), f->name_span);
    }
    scope_run(s);
    cell_finish(s);
    if (!s->result && sema_error(e, 403, d->ast->head, "metric `%s` returns nothing", name_str(e->ctx, d->name)))
        diag_help(e->ctx, (Span){0, 0}, "its value is what it returns at the last row: `return ...`");
    if (!s->result || s->result->kind == V_POISON || diag_error_count(e->ctx) != errors) return NULL;
    s->result = val_float(s, s->result, "a metric");
    if (s->result->kind == V_POISON || !scan_settle(e, sc, guess, n)) {
        *again = s->result->kind != V_POISON;
        return s;
    }
    Node result = val_type(s->result);
    if (result.rank > 2 || node_features(&result) > 4096) {
        sema_error(e, 316, s->result->span, "a metric returns a scalar, or up to 4096 numbers as a vector or matrix; this is %s", val_text(s, s->result));
        return NULL;
    }
    metric_hints(e, mi, sc->inner->g, arg, e->p->desc.metric.at[mi - e->p->metric.at].span);
    return scan_close(e, sc, d->ast->head) ? s : NULL;
}

Module *frontend_metric(Program *p, Arena *a, uint32_t i)
{
    const MetricInfo *mi = &p->metric.at[i];
    Decl *d = mi->decl;
    CarryGuess *guess = NULL;
    uint32_t n = 0;
    Elab *e;

    if (!d) {
        diag_error(p->ctx, 413, p->desc.metric.at[i].span, "the mean over the data needs `average` of the standard library");
        return NULL;
    }
    e = elab_make(p, a, p->desc.metric.at[i].name);
    e->batch = 0;
    e->o.external_states = true;
    module_add_axis(e->m, AXIS_TIME, intern(p->ctx, "row"));
    for (uint32_t k = 0; k < mi->nargs; k++) {
        const Input *in = &mi->arg[k];
        module_add_input(e->m, INPUT_DATA, d->ast->inputs.at[k].name, (DType)in->dtype, in->rank, in->dim, AX(1));
        e->m->input.at[k].vocab = in->vocab;
    }
    for (int round = 0; round < 6; round++) {
        bool again = false;
        Scope *s = metric_try(e, mi, d, &guess, &n, &again);
        Graph *g = e->root->g;
        if (!s) return NULL;
        if (again) continue;
        Node result = val_type(s->result);
        p->desc.metric.at[i].rank = result.rank;
        memcpy(p->desc.metric.at[i].dim, result.dim, sizeof p->desc.metric.at[i].dim);
        graph_root(g, ROOT_OUTPUT, p->desc.metric.at[i].name, g_last(g, scan_stack(e, s->scan, val_use(s, s->result)), 1), 0);
        elab_state_roots(e, outside_scan(e));
        module_dce(e->m);
        return e->m;
    }
    return NULL;
}
