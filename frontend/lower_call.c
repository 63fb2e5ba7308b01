/* Calls: functions, cells, instances. A call of a cell scans if and only if an argument is a sequence where the cell declares
   one step, or `steps` is given; a cell that keeps no state is then emitted at all rows at once, without a scan. */
#include "frontend/sema.h"

#include <string.h>

/* ---- bracket arguments ------------------------------------------------------------------------------------------------ */

static bool is_size_formal(Ctx *c, const AstFormal *f)
{
    char first = name_str(c, f->name)[0];

    return !f->type && first >= 'A' && first <= 'Z';
}

static const AstFormal *find_formal(const AstFormals *f, Name name, uint32_t *i)
{
    for (*i = 0; *i < f->n; ++*i)
        if (f->at[*i].name == name) return &f->at[*i];
    return NULL;
}

static void unknown_argument(Scope *s, const Decl *d, const AstFormals *f, const AstArg *a)
{
    VEC(const char *) c = {0};
    Ctx *ctx = s->e->ctx;
    const char *near;

    for (uint32_t i = 0; i < f->n; i++) VEC_PUSH(s->e->a, c) = name_str(ctx, f->at[i].name);
    near = nearest_name(name_str(ctx, a->name), c.at, c.n);
    if (!sema_error(s->e, 206, a->name_span, "`%s` has no argument `%s`", name_str(ctx, d->name), name_str(ctx, a->name))) return;
    diag_note(ctx, d->ast->head, "declared here");
    if (near) diag_help(ctx, (Span){0, 0}, "did you mean `%s`?", near);
}

static const Val *bracket_value(Scope *s, Scope *callee, const AstFormal *f, const AstExpr *x)
{
    Elab *e = callee->e;
    Val *w;

    if (is_size_formal(e->ctx, f)) {
        const SizeSrc *src;
        int64_t n;
        if (!eval_size(s, x, 1, 1 << 24, &n, &src)) return &val_poison;
        w = val_new(e, V_NUM, x->span);
        w->num = (double)n;
        w->is_int = true;
        w->size = size_src(e, name_str(e->ctx, f->name), f->name_span);
    } else {
        const Val *v = eval(s, x);
        if (v->kind == V_POISON) return v;
        if (f->type && f->type->kind == AST_TYPE_CELL && v->kind != V_MAKER && v->kind != V_INST) {
            if (sema_error(e, 204, x->span, "`%s` takes a cell, but this is %s", name_str(e->ctx, f->name), val_text(s, v)))
                diag_note(e->ctx, f->span, "declared here");
            return &val_poison;
        }
        w = val_copy(e, v);
    }
    w->decl = f->name_span;
    return w;
}

/* A lower-case argument's default tells its kind. */
static bool same_sort(const Val *given, const Val *def)
{
    if (given->kind == V_POISON || def->kind == V_POISON || given->kind == def->kind) return true;
    if (def->kind == V_NUM) return given->kind == V_TENSOR;
    if (def->kind == V_TENSOR) return given->kind == V_NUM; /* `s = sqrt(2)` */
    if (def->kind == V_INIT) return given->kind == V_NUM;
    if (def->kind == V_MAKER) return given->kind == V_INST;
    return false;
}

/* A bracket argument that is given. An initialiser is handed on as it is, where random numbers are drawn too. */
static const Val *given_value(Scope *s, Scope *callee, const AstFormal *f, const AstArg *a)
{
    bool lower = f->value && !is_size_formal(s->e->ctx, f);
    const Val *def = lower ? bracket_value(callee, callee, f, f->value) : &val_poison, *v;
    const Node *draw = s->draw;

    if (def->kind == V_INIT) s->draw = NULL;
    v = bracket_value(s, callee, f, a->value);
    s->draw = draw;
    if (same_sort(v, def)) return v;
    if (sema_error(s->e, 204, a->value->span, "`%s` takes %s, but this is %s", name_str(s->e->ctx, f->name), val_text(s, def), val_text(s, v)))
        diag_note(s->e->ctx, f->span, "its default tells its kind");
    return &val_poison;
}

/* `V, D, ..`: those without a default, and whether there are others. */
static const char *formal_names(Elab *e, const AstFormals *f)
{
    Str s = str_make(e->a);
    bool more = false;

    str_put(&s, "");
    for (uint32_t i = 0; i < f->n; i++) {
        more |= f->at[i].value != NULL;
        if (!f->at[i].value) str_printf(&s, "%s%s", s.n ? ", " : "", name_str(e->ctx, f->at[i].name));
    }
    if (more) str_put(&s, ", ..");
    return s.at;
}

/* Evaluates bracket arguments in `in`, defaults in `callee`, and binds both there. */
bool bind_brackets(Scope *in, Scope *callee, const Decl *d, const AstArgs *args, Span at, const Bound **out, uint32_t *n)
{
    const AstFormals *f = &d->ast->brackets;
    const AstArg **given = NEW_N(in->e->a, const AstArg *, f->n + 1);
    Bound *b = NEW_N(in->e->a, Bound, f->n + 1);
    uint32_t next = 0, i;
    bool ok = true;

    for (uint32_t k = 0; args && k < args->n; k++) {
        const AstArg *a = &args->at[k];
        i = next;
        if (a->name && !find_formal(f, a->name, &i)) {
            unknown_argument(in, d, f, a);
            ok = false;
            continue;
        }
        if (!a->name) next++;
        if (i >= f->n) {
            if (sema_error(in->e, 207, a->span, "`%s` has %u bracket argument%s, not %u", name_str(in->e->ctx, d->name), (unsigned)f->n,
                           f->n == 1 ? "" : "s", (unsigned)args->n))
                diag_note(in->e->ctx, d->ast->head, "declared here");
            return false;
        }
        if (given[i] && sema_error(in->e, 201, a->span, "`%s` is given twice", name_str(in->e->ctx, f->at[i].name))) ok = false;
        given[i] = a;
    }
    for (i = 0; i < f->n; i++) {
        const Val *v;
        if (given[i]) v = given_value(in, callee, &f->at[i], given[i]);
        else if (f->at[i].value) v = bracket_value(callee, callee, &f->at[i], f->at[i].value);
        else {
            if (sema_error(in->e, 208, at, "`%s` needs `%s`", name_str(in->e->ctx, d->name), name_str(in->e->ctx, f->at[i].name))) {
                diag_note(in->e->ctx, f->at[i].span, "declared here");
                diag_help(in->e->ctx, (Span){0, 0}, "bracket arguments: `%s[%s]`", name_str(in->e->ctx, d->name), formal_names(in->e, f));
            }
            v = &val_poison;
        }
        ok &= v->kind != V_POISON;
        b[i] = (Bound){f->at[i].name, v};
        scope_bind(callee, b[i].name, v, f->at[i].name_span);
    }
    *out = b;
    *n = f->n;
    return ok;
}

const Val *eval_bracket(Scope *s, const AstExpr *x)
{
    const Val *v = eval(s, x->a);
    Scope *callee;
    Val *w;

    if (v->kind == V_POISON) return v;
    if ((v->kind == V_MAKER || v->kind == V_FN || v->kind == V_INIT) && v->fn) {
        if (v->bound) {
            sema_error(s->e, 206, x->span, "`%s` has its bracket arguments already", name_str(s->e->ctx, v->fn->name));
            return &val_poison;
        }
        callee = scope_make(s->e, SC_FN, v->fn->unit);
        callee->level = s->level;
        w = val_copy(s->e, v);
        w->span = x->span;
        return bind_brackets(s, callee, v->fn, &x->args, x->span, &w->bound, &w->nbound) ? w : &val_poison;
    }
    if (v->kind == V_FN || v->kind == V_INIT) {
        sema_error(s->e, 206, x->span, "`%s` has no bracket arguments", builtin_name(v->builtin));
        return &val_poison;
    }
    return eval_index(s, x, v);
}

/* Bracket arguments of something used without brackets: all defaults. */
static bool complete(Scope *s, const Val **v)
{
    Scope *callee;
    Val *w;

    if (!(*v)->fn || (*v)->bound) return true;
    callee = scope_make(s->e, SC_FN, (*v)->fn->unit);
    callee->level = s->level;
    w = val_copy(s->e, *v);
    if (!bind_brackets(s, callee, w->fn, NULL, w->span, &w->bound, &w->nbound)) return false;
    *v = w;
    return true;
}

/* Whatever else the program holds would be said once for each of the many calls under way: say no more. */
static void endless(Scope *s, const AstExpr *x, const Decl *d)
{
    if (sema_error(s->e, 213, x->span, "`%s` calls itself without end", name_str(s->e->ctx, d->name)))
        diag_note(s->e->ctx, d->ast->name_span, "declared here");
    for (const Trail *t = s->e->trail; t; t = t->up) t->decl->used = true;
    s->e->budget = -2;
}

/* ---- functions -------------------------------------------------------------------------------------------------------- */

static Scope *inner_scope(Scope *s, ScopeKind k, const Decl *d, const Bound *bound, uint32_t n)
{
    Scope *c = scope_make(s->e, k, d->unit);

    c->decl = (Decl *)d;
    c->level = s->level;
    c->hidden = s->hidden;
    c->over = s->over;
    c->rows = s->rows;
    for (uint32_t i = 0; i < n; i++) scope_bind(c, bound[i].name, bound[i].val, bound[i].val->decl);
    return c;
}

static bool arity(Scope *s, const AstExpr *x, const Decl *d, uint32_t n)
{
    const AstFormals *f = &d->ast->inputs;

    if (n == f->n) return true;
    if (sema_error(s->e, 207, x->span, "`%s` takes %u input%s, not %u", name_str(s->e->ctx, d->name), (unsigned)f->n, f->n == 1 ? "" : "s", (unsigned)n))
        diag_note(s->e->ctx, d->ast->head, "declared here");
    return false;
}

/* One term of a derivative: d times x, where d is a constant to the derivatives of all that follows. */
static const Val *grad_term(Scope *c, const AstDecl *d, const AstArg *a, const Val *result)
{
    Binding *b = scope_find(c, a->name, false);
    const Val *k = eval(c, a->value), *x, *w;
    Node t = val_type(result);
    Graph *g = c->level->g;
    uint32_t i;

    if (!find_formal(&d->inputs, a->name, &i)) {
        unknown_argument(c, c->decl, &d->inputs, a);
        return &val_poison;
    }
    if (!b || b->val->kind == V_NUM || k->kind == V_POISON) return k->kind == V_POISON ? k : NULL;
    x = val_float(c, b->val, "a derivative");
    k = val_float(c, k, "a derivative");
    if (x->kind == V_POISON || k->kind == V_POISON) return &val_poison;
    if (!broadcast_pair(c, a->span, "*", &k, &x)) return &val_poison;
    w = val_of(c, g_bin(g, OP_MUL, g_un(g, OP_STOP, k->ref), x->ref), a->span);
    if (w->kind == V_TENSOR && val_type(w).rank <= t.rank) w = val_broadcast(c, w, t.rank, t.dim, result->src);
    else w = &val_poison;
    if (w->kind == V_POISON && sema_error(c->e, 415, a->span, "this derivative is %s, the result of `%s` %s", val_text(c, x), name_str(c->e->ctx, d->name), val_text(c, result)))
        diag_help(c->e->ctx, (Span){0, 0}, "`grad %s = d`: d times `%s` has the shape of the result", name_str(c->e->ctx, a->name), name_str(c->e->ctx, a->name));
    return w;
}

/* A function with a grad clause: its value, the derivative of the sum of derivatives times inputs. */
static const Val *with_derivative(Scope *c, const AstDecl *d, const Val *v)
{
    Graph *g = c->level->g;
    Ref sum = 0;
    Val *w;

    v = val_float(c, v, "a function with a derivative");
    for (uint32_t i = 0; i < d->grad.n; i++) {
        const Val *t;
        if (v->kind == V_POISON) eval(c, d->grad.at[i].value); /* its own errors */
        else if ((t = grad_term(c, d, &d->grad.at[i], v)) != NULL) {
            if (t->kind == V_POISON) return t;
            sum = sum ? g_bin(g, OP_ADD, sum, t->ref) : t->ref;
        }
    }
    if (v->kind == V_POISON) return v;
    w = val_copy(c->e, v);
    w->ref = sum ? g_bin(g, d->straight_through ? OP_SURROGATE : OP_VIA, v->ref, sum) : g_un(g, OP_STOP, v->ref);
    return w;
}

const Val *fn_value(Scope *c, const AstDecl *d)
{
    for (uint32_t i = 0; i < d->body.n; i++) {
        const AstStmt *st = d->body.at[i];
        scope_bind(c, st->targets.at[0].name, eval(c, st->value), st->span);
    }
    return d->has_grad ? with_derivative(c, d, eval(c, d->value)) : eval(c, d->value);
}

static const Val *fn_body(Scope *c, Decl *d, Span call)
{
    Elab *e = c->e;
    Trail here = {call, d, e->trail};
    const Val *v;

    d->used |= !e->generic;
    e->trail = &here;
    v = fn_value(c, d->ast);
    e->trail = here.up;
    return v;
}

static const Val *call_fn(Scope *s, const AstExpr *x, const Val *fn)
{
    const AstFormals *f = &fn->fn->ast->inputs;
    const Val *v, **arg = NEW_N(s->e->a, const Val *, f->n + 1);
    const AstExpr **given = NEW_N(s->e->a, const AstExpr *, f->n + 1);
    Scope *c;
    bool ok = true;
    uint32_t next = 0, i;

    for (uint32_t k = 0; k < x->args.n; k++) {
        const AstArg *a = &x->args.at[k];
        i = next;
        if (a->name && !find_formal(f, a->name, &i)) {
            unknown_argument(s, fn->fn, f, a);
            return &val_poison;
        }
        if (!a->name) next++;
        if (i >= f->n) return arity(s, x, fn->fn, x->args.n), &val_poison;
        given[i] = a->value;
    }
    c = inner_scope(s, SC_FN, fn->fn, fn->bound, fn->nbound);
    c->draw = s->draw;
    c->stream = s->stream;
    c->counter = s->counter;
    c->ndraw = s->ndraw;
    for (i = 0; i < f->n; i++) {
        if (!given[i] && !f->at[i].value) return arity(s, x, fn->fn, next), &val_poison;
        arg[i] = eval(given[i] ? s : c, given[i] ? given[i] : f->at[i].value);
        if (arg[i]->kind != V_POISON && (f->at[i].type || arg[i]->kind != V_NUM)) arg[i] = bind_argument(c, c, &f->at[i], arg[i], "argument");
        ok &= arg[i]->kind != V_POISON;
        scope_bind(c, f->at[i].name, arg[i], f->at[i].name_span);
    }
    if (!ok && !s->e->generic) return &val_poison;
    v = fn_body(c, fn->fn, x->span);
    if (v->kind == V_POISON) return v;
    {
        Val *w = val_copy(s->e, v);
        w->span = x->span;
        w->decl = (Span){0, 0};
        w->call = NULL;
        return w;
    }
}

/* ---- is there state? -------------------------------------------------------------------------------------------------- */

static bool expr_stateful(Program *p, Unit *u, const AstExpr *x)
{
    if (!x) return false;
    if (x->kind == AST_NAME && !x->primed) {
        Decl *d = unit_find(p, u, x->name);
        if (d && d->ast->kind == AST_CELL && cell_stateful(p, d, NULL, 0)) return true;
    }
    if (x->kind == AST_MEMBER && x->a->kind == AST_NAME)
        for (uint32_t i = 0; i < u->import.n; i++) {
            Decl *d = u->import.at[i].as == x->a->name ? unit_find_own(u->import.at[i].unit, x->name, false) : NULL;
            if (d && d->ast->kind == AST_CELL && cell_stateful(p, d, NULL, 0)) return true;
        }
    if (expr_stateful(p, u, x->a) || expr_stateful(p, u, x->b)) return true;
    for (uint32_t i = 0; i < x->args.n; i++)
        if (expr_stateful(p, u, x->args.at[i].value)) return true;
    return false;
}

static bool body_stateful(Program *p, Unit *u, const AstStmts *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const AstStmt *st = b->at[i];
        if (st->kind == AST_STATE || expr_stateful(p, u, st->value) || body_stateful(p, u, &st->body)) return true;
    }
    return false;
}

/* By the text alone, so it may say yes where it need not; what depends on it is speed, not meaning. */
bool cell_stateful(Program *p, Decl *d, const Bound *bound, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const Val *v = bound[i].val;
        if ((v->kind == V_MAKER || v->kind == V_INST) && cell_stateful(p, v->fn, v->bound, v->nbound)) return true;
    }
    if (d->stateful == 0) {
        d->stateful = 1;
        d->stateful = body_stateful(p, d->unit, &d->ast->body) ? 3 : 2;
        for (uint32_t i = 0; i < d->ast->brackets.n && d->stateful == 2; i++)
            if (expr_stateful(p, d->unit, d->ast->brackets.at[i].value)) d->stateful = 3;
    }
    return d->stateful == 3;
}

/* ---- cells ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Scope *from;
    const AstExpr *x;
    Decl *d;
    const Val *cell; /* MAKER completed, or INST */
    const Val **arg; /* by input */
    Given *given;
    uint32_t ngiven;
    Name param_path, state_path;
    InstCalls *calls;
    uint32_t scan_axes; /* axes that one-step inputs bring */
    uint32_t axis;      /* what is scanned; 0: one step */
} Call;

const Val *instance_make(Scope *s, const Val *maker, Name name)
{
    Val *w;

    if (!complete(s, &maker)) return &val_poison;
    w = val_copy(s->e, maker);
    w->kind = V_INST;
    if (!name) name = maker->fn->name;
    w->param_path = path_join(s->e, s->param_path, name, s->round);
    w->state_path = path_join(s->e, s->state_path, name, s->round);
    w->calls = NEW(s->e->a, InstCalls);
    return w;
}

static void bind_unknown(Scope *c, const AstExpr *size)
{
    if (size && size->kind == AST_NAME && !scope_find(c, size->name, false)) scope_bind(c, size->name, &val_poison, size->span)->size = true;
}

static EarlyRead *early_read(Program *p, Name path)
{
    for (uint32_t i = 0; i < p->early.n; i++)
        if (p->early.at[i].model == p->model && p->early.at[i].path == path) return &p->early.at[i];
    return NULL;
}

static bool declares(const AstStmts *body, Name name)
{
    for (uint32_t i = 0; i < body->n; i++) {
        const AstStmt *st = body->at[i];
        for (uint32_t k = 0; (st->kind == AST_PARAM || st->kind == AST_CONST) && k < st->targets.n; k++)
            if (st->targets.at[k].name == name) return true;
    }
    return false;
}

bool instance_early(Scope *s, const Val *inst, Name name)
{
    Elab *e = s->e;

    if (e->generic || diag_error_count(e->ctx) != e->errors || !declares(&inst->fn->ast->body, name) || early_read(e->p, inst->param_path))
        return false;
    VEC_PUSH(e->p->arena, e->p->early) = (EarlyRead){.model = e->p->model, .path = inst->param_path};
    e->unsure = e->again = true;
    return true;
}

/* The inputs of a call are bound: the sizes that somebody asked for before. */
static void note_sizes_of(const Scope *b)
{
    EarlyRead *r = early_read(b->e->p, b->param_path);

    if (!r || r->known) return;
    r->known = true;
    for (uint32_t i = 0; i < b->name.n; i++)
        if (b->name.at[i]->size && b->name.at[i]->val->kind == V_NUM)
            VEC_PUSH(b->e->p->arena, r->size) = (KnownSize){b->name.at[i]->name, b->name.at[i]->val->num};
}

/* What its inputs would bind is unknown, but where a later call has told: poison, silent, as is what is made of it. */
const Val *instance_leaf(Scope *s, const Val *inst, Name name)
{
    Scope *c = inner_scope(s, SC_CELL, inst->fn, inst->bound, inst->nbound);
    const AstFormals *f = &inst->fn->ast->inputs;
    const EarlyRead *early = early_read(s->e->p, inst->param_path);
    const Val *v;
    Binding *b;

    for (uint32_t i = 0; early && i < early->size.n; i++)
        if (!scope_find(c, early->size.at[i].name, false))
            scope_bind(c, early->size.at[i].name, val_num(s->e, early->size.at[i].value, true, inst->span), inst->span)->size = true;
    c->body = &inst->fn->ast->body;
    c->param_path = inst->param_path;
    c->state_path = inst->state_path;
    for (uint32_t i = 0; i < f->n; i++) {
        const AstType *t = f->at[i].type;
        scope_bind(c, f->at[i].name, &val_poison, f->at[i].name_span);
        for (uint32_t k = 0; t && k < t->dims.n; k++) bind_unknown(c, t->dims.at[k]);
        if (t) bind_unknown(c, t->size);
        if (t) bind_unknown(c, t->axis);
    }
    scope_declare(c);
    b = scope_find(c, name, false);
    if (!b || (b->kind != B_PARAM && b->kind != B_CONST)) return NULL;
    for (uint32_t i = 0; c->name.at[i] != b; i++) /* weights come in the order of their declaration, whichever is read first */
        if (c->name.at[i]->kind == B_PARAM || c->name.at[i]->kind == B_CONST) (void)scope_value(c, c->name.at[i]);
    v = scope_value(c, b);
    return v && v->kind != V_POISON ? v : NULL;
}

/* The how-manieth call of its instance this is; the same when a body is elaborated again. */
static uint32_t call_number(Scope *s, const AstExpr *x, const Val *inst)
{
    Elab *e = s->e;
    Name path = intern_printf(e->ctx, "%s|%s|%s", name_str(e->ctx, s->state_path), name_str(e->ctx, s->round), name_str(e->ctx, inst->param_path));
    uint32_t n = 0;
    Name prefix = inst->param_path;

    for (uint32_t i = 0; i < e->call_index.n; i++) {
        const CallIndex *c = &e->call_index.at[i];
        if (c->node == x && c->path == path) return c->index;
    }
    for (uint32_t i = 0; i < e->call_index.n; i++) {
        const char *t = strrchr(name_str(e->ctx, e->call_index.at[i].path), '|');
        if (t && intern(e->ctx, t + 1) == prefix) n++;
    }
    VEC_PUSH(e->a, e->call_index) = (CallIndex){x, path, n + 1};
    return n + 1;
}

static bool call_paths(Call *c)
{
    Scope *s = c->from;
    uint32_t n;

    if (c->cell->kind == V_MAKER) {
        c->cell = instance_make(s, c->cell, scope_instance_name(s, c->x));
        if (c->cell->kind == V_POISON) return false;
        c->state_path = c->cell->state_path;
    } else {
        n = call_number(s, c->x, c->cell);
        c->state_path = n == 1 ? c->cell->state_path : intern_printf(s->e->ctx, "%s_%u", name_str(s->e->ctx, c->cell->state_path), (unsigned)n);
    }
    c->param_path = c->cell->param_path;
    c->calls = c->cell->calls;
    return true;
}

/* Splits the arguments into inputs, states and `steps`. */
static bool call_arguments(Call *c)
{
    Scope *s = c->from;
    const AstArgs *a = &c->x->args;
    const AstFormals *f = &c->d->ast->inputs;
    uint32_t n = 0;
    bool ok = true;

    c->arg = NEW_N(s->e->a, const Val *, a->n + 1);
    c->given = NEW_N(s->e->a, Given, a->n + 1);
    for (uint32_t i = 0; i < a->n; i++) {
        const AstArg *g = &a->at[i];
        if (!g->name) {
            c->arg[n++] = eval(s, g->value);
            ok &= c->arg[n - 1]->kind != V_POISON;
        } else if (g->name == intern(s->e->ctx, "steps")) {
            const SizeSrc *src;
            int64_t k;
            if (!eval_size(s, g->value, 1, 1 << 24, &k, &src)) ok = false;
            else c->axis = elab_count_axis(s->e, (int32_t)k);
        } else {
            const Val *v = eval(s, g->value);
            ok &= v->kind != V_POISON;
            c->given[c->ngiven++] = (Given){g->name, v, g->name_span, false};
        }
    }
    if (!arity(s, c->x, c->d, n)) return false;
    for (uint32_t i = 0; ok && i < n; i++) {
        uint32_t seq = val_seq(s, c->arg[i]);
        if (c->arg[i]->kind == V_TENSOR && !(f->at[i].type && f->at[i].type->seq)) c->scan_axes |= seq;
    }
    return ok;
}

static bool call_axis(Call *c)
{
    Scope *s = c->from;
    uint32_t axis = 0;

    for (uint32_t a = 1; a < s->e->m->naxis; a++)
        if (c->scan_axes & AX(a)) axis = a;
    if (c->axis && axis) {
        sema_error(s->e, 412, c->x->span, "`steps` is for cells without a one-step input; this call scans a sequence already");
        return false;
    }
    if (c->scan_axes & ~AX(axis) & ~1u) {
        if (sema_error(s->e, 303, c->x->span, "the inputs of `%s` run over two different sequences", name_str(s->e->ctx, c->d->name))) {
            for (uint32_t i = 0; i < c->d->ast->inputs.n; i++)
                if (c->arg[i]->kind == V_TENSOR && val_seq(s, c->arg[i])) diag_note(s->e->ctx, c->arg[i]->span, "this is %s", val_text(s, c->arg[i]));
            diag_help(s->e->ctx, (Span){0, 0}, "an input that is to be seen whole is declared `x: seq(S) [I]`");
        }
        return false;
    }
    if (axis) c->axis = axis;
    return true;
}

static Scope *call_scope(Call *c)
{
    Scope *s = c->from, *b = inner_scope(s, SC_CELL, c->d, c->cell->bound, c->cell->nbound);

    b->body = &c->d->ast->body;
    b->param_path = c->param_path;
    b->state_path = c->state_path;
    if (!b->over) b->over = c->axis;
    b->steps = c->axis;
    b->given = c->given;
    b->ngiven = c->ngiven;
    b->scan = s->scan;
    return b;
}

static void run_body(Scope *b, const Call *c)
{
    Elab *e = b->e;
    Trail here = {c->x->span, c->d, e->trail};

    c->d->used |= !e->generic;
    e->trail = &here;
    scope_run(b);
    cell_finish(b);
    e->trail = here.up;
}

/* Binds the inputs and evaluates the body. False on an error. */
static bool call_body(Call *c, Scope *b)
{
    const AstFormals *f = &c->d->ast->inputs;
    bool ok = true;

    for (uint32_t i = 0; i < f->n; i++) {
        const Val *v = c->arg[i];
        bool whole = f->at[i].type && f->at[i].type->seq;
        if (v->kind == V_TENSOR && b->scanned && !whole && (val_type(v).axes & AX(c->axis))) {
            Val *w = val_copy(b->e, v);
            w->level = b->level;
            w->ref = scan_step(b->scan, val_use(c->from, v));
            w->call = NULL;
            v = w;
        }
        v = bind_argument(b, b, &f->at[i], v, "input");
        ok &= v->kind != V_POISON;
        scope_bind(b, f->at[i].name, v, f->at[i].name_span);
    }
    if (!ok) return false;
    note_sizes_of(b);
    run_body(b, c);
    for (uint32_t i = 0; i < c->ngiven; i++)
        if (!c->given[i].used) {
            VEC(const char *) names = {0};
            const char *near;
            for (uint32_t k = 0; k < b->name.n; k++)
                if (b->name.at[k]->kind == B_STATE) VEC_PUSH(b->e->a, names) = name_str(b->e->ctx, b->name.at[k]->name);
            near = nearest_name(name_str(b->e->ctx, c->given[i].name), names.at, names.n);
            if (sema_error(b->e, 410, c->given[i].span, "`%s` has no state `%s`", name_str(b->e->ctx, c->d->name), name_str(b->e->ctx, c->given[i].name))) {
                diag_note(b->e->ctx, c->d->ast->head, "declared here");
                if (near) diag_help(b->e->ctx, (Span){0, 0}, "did you mean `%s`?", near);
            }
            return false;
        }
    return b->result && b->result->kind != V_POISON;
}

/* Carries start as if they depended on the batch; where they need less, the body is elaborated once more. */
static Scope *call_scan(Call *c)
{
    Scope *s = c->from, *b = NULL;
    CarryGuess *guess = NULL;
    uint32_t nguess = 0, errors = diag_error_count(s->e->ctx);

    for (int round = 0; round < 6; round++) {
        Scan *sc = scan_make(s->e, s->level, c->axis, s->hidden);
        sc->guess = guess;
        sc->nguess = nguess;
        sc->top = s->e->root == s->level && !(s->rows & ~s->e->batch);
        b = call_scope(c);
        b->level = sc->inner;
        b->hidden = s->hidden & ~AX(c->axis);
        b->rows = s->rows | AX(c->axis);
        b->scan = sc;
        b->scanned = true;
        for (uint32_t i = 0; i < c->ngiven; i++) c->given[i].used = false;
        if (!call_body(c, b) || diag_error_count(s->e->ctx) != errors || s->e->unsure) return NULL;
        if (scan_settle(s->e, sc, &guess, &nguess)) {
            if (scan_close(s->e, sc, c->x->span)) return b;
            break;
        }
    }
    sema_internal(s->e, c->x->span, "the scan");
    return NULL;
}

/* Whether an argument that is seen whole runs over the scanned axis itself (self-attention): then rows cannot be merged. */
static bool sees_axis_whole(const Call *c)
{
    const AstFormals *f = &c->d->ast->inputs;

    for (uint32_t i = 0; i < f->n; i++)
        if (f->at[i].type && f->at[i].type->seq && c->arg[i]->kind == V_TENSOR && (val_type(c->arg[i]).axes & AX(c->axis))) return true;
    return false;
}

static const Val *call_result(Call *c, Scope *b)
{
    const Val *v = b->result;
    Val *w;

    if (v->kind == V_NUM) v = val_tensor(b, v);
    if (v->kind != V_TENSOR) {
        if (v->kind != V_POISON) sema_error(c->from->e, 403, c->x->span, "`%s` returns %s, not a value", name_str(c->from->e->ctx, c->d->name), val_text(b, v));
        return &val_poison;
    }
    w = val_copy(b->e, v);
    w->span = c->x->span;
    w->decl = (Span){0, 0};
    v = val_at_steps(c->from, val_bring(c->from, w), c->axis);
    if (v->kind == V_POISON) return v;
    w = val_copy(b->e, v);
    w->call = b;
    w->outer = b->over;
    c->calls->last = b;
    c->calls->n++;
    return w;
}

static const Val *call_cell(Scope *s, const AstExpr *x, const Val *cell)
{
    Call c = {.from = s, .x = x, .cell = cell, .d = cell->fn};
    Scope *b;

    if (s->kind == SC_FN && sema_error(s->e, 409, x->span, "a function cannot call a cell")) {
        diag_help(s->e->ctx, (Span){0, 0}, "what needs parameters, states or names is a `cell`");
        return &val_poison;
    }
    if (s->e->depth >= CALL_DEPTH_MAX) {
        endless(s, x, c.d);
        return &val_poison;
    }
    if (++s->e->ncall > CALLS_MAX) {
        sema_error(s->e, 901, x->span, "this program expands to more than %d calls of cells", CALLS_MAX);
        s->e->budget = -2;
        return &val_poison;
    }
    if (!complete(s, &c.cell) || !call_arguments(&c) || !call_axis(&c) || !call_paths(&c)) return &val_poison;
    if (c.axis && (cell_stateful(s->e->p, c.d, c.cell->bound, c.cell->nbound) || sees_axis_whole(&c) || !c.scan_axes)) {
        b = call_scan(&c);
        return b ? call_result(&c, b) : &val_poison;
    }
    b = call_scope(&c);
    if (c.axis) {
        b->hidden |= AX(c.axis);
        b->rows |= AX(c.axis);
        b->scan = NULL;
    }
    return call_body(&c, b) ? call_result(&c, b) : &val_poison;
}

/* ---- any call --------------------------------------------------------------------------------------------------------- */

/* What is called: `row(x)` is the function, in an initial value too. */
static const Val *eval_callee(Scope *s, const AstExpr *f)
{
    bool names = s->draw_names;
    const Val *v;

    s->draw_names &= f->kind != AST_NAME;
    v = eval(s, f);
    s->draw_names = names;
    return v;
}

const Val *eval_call(Scope *s, const AstExpr *x)
{
    const Val *f = eval_callee(s, x->a), *v;
    uint32_t depth = s->e->depth;

    if (f->kind == V_POISON) {
        if (x->a->kind == AST_NAME)
            for (uint32_t i = 0; i < x->args.n; i++) eval(s, x->args.at[i].value); /* their own errors */
        return f;
    }
    s->e->depth++;
    if (f->kind == V_MAKER || f->kind == V_INST) v = call_cell(s, x, f);
    else if ((f->kind == V_FN || f->kind == V_INIT) && f->builtin && !f->fn) v = builtin_call(s, x, f->builtin);
    else if (f->kind == V_FN) {
        if (depth >= CALL_DEPTH_MAX) {
            endless(s, x, f->fn);
            v = &val_poison;
        } else v = complete(s, &f) ? call_fn(s, x, f) : &val_poison;
    } else {
        if (sema_error(s->e, 204, x->a->span, "%s cannot be called", val_text(s, f)) && f->decl.lo) diag_note(s->e->ctx, f->decl, "declared here");
        v = &val_poison;
    }
    s->e->depth = depth;
    return v;
}
