/* Scopes: what a name means where, and statements: in any order in a cell's body (evaluated when first needed, cycles
   found), from top to bottom in a model. */
#include "frontend/sema.h"

#include <string.h>

Scope *scope_make(Elab *e, ScopeKind k, Unit *u)
{
    Scope *s = NEW(e->a, Scope);

    s->e = e;
    s->kind = k;
    s->unit = u;
    s->lazy = k == SC_CELL;
    return s;
}

Binding *scope_bind(Scope *s, Name name, const Val *v, Span span)
{
    Binding *b = NEW(s->e->a, Binding);

    b->name = name;
    b->kind = B_VALUE;
    b->status = 2;
    b->val = v;
    b->span = span;
    VEC_PUSH(s->e->a, s->name) = b;
    return b;
}

/* In a body of any order the place of a statement matters in one case only: a name that a repeat carries is its binding
   before the block, and the block's last value after it. */
Binding *scope_find(Scope *s, Name name, bool primed)
{
    Binding *plain = NULL, *before = NULL, *after = NULL;

    for (uint32_t i = s->name.n; i-- > 0;) {
        Binding *b = s->name.at[i];
        if (b->name != name || b->primed != primed) continue;
        if (!s->lazy) return b;
        if (b->kind != B_REPEAT) plain = b;
        else if (b->pos >= s->pos) after = b;
        else if (!before) before = b;
    }
    return before ? before : plain ? plain : after;
}

/* ---- values of bindings --------------------------------------------------------------------------------------------- */

static const Val *cycle_error(Scope *s, Binding *b)
{
    const char *n = name_str(s->e->ctx, b->name);

    if (sema_error(s->e, 202, b->span, "`%s%s` is defined by itself", n, b->primed ? "'" : "")) {
        for (uint32_t i = 0; i < s->name.n; i++) {
            Binding *o = s->name.at[i];
            if (o != b && o->status == 1 && o->since > b->since) /* what is older led here, and is no part of it */
                diag_note(s->e->ctx, o->span, "by way of `%s%s`", name_str(s->e->ctx, o->name), o->primed ? "'" : "");
        }
        diag_help(s->e->ctx, (Span){0, 0}, "only a state links a step to the one before: `state h: [H]`, then `h' = ...`");
    }
    return &val_poison;
}

/* Every binding of a statement with several targets gets its item; one target takes the value. */
static const Val *target_value(Scope *s, const AstStmt *st, uint32_t i, const Val *v)
{
    if (st->targets.n == 1 || v->kind == V_POISON) return v;
    if (v->kind != V_TUPLE) {
        if (sema_error(s->e, 317, st->value->span, "%u names, but one value", (unsigned)st->targets.n))
            diag_help(s->e->ctx, (Span){0, 0}, "`a, b = split(x, 2)` gives several");
        return &val_poison;
    }
    if (v->nitem != st->targets.n) {
        sema_error(s->e, 317, st->value->span, "%u names, but %u values", (unsigned)st->targets.n, (unsigned)v->nitem);
        return &val_poison;
    }
    return v->item[i];
}

const Val *scope_bind_value(Scope *s, const AstStmt *st)
{
    Graph *g = s->level->g;
    uint32_t old = g->name;
    const Val *v;

    g->name = path_join(s->e, s->state_path, st->targets.at[0].name, 0);
    v = eval(s, st->value);
    g->name = old;
    if (v->kind == V_MAKER) v = instance_make(s, v, scope_instance_name(s, st->value));
    if (v->kind == V_STRING) v = val_tensor(s, v);
    return v;
}

static const Val *with_decl(Elab *e, const Val *v, Span decl)
{
    Val *w;

    if (v->kind == V_POISON) return v;
    w = val_copy(e, v);
    w->decl = decl;
    return w;
}

static void run_bind(Scope *s, Binding *b)
{
    const AstStmt *st = b->stmt;
    const Val *v;

    for (uint32_t i = 0; i < s->name.n; i++)
        if (s->name.at[i]->stmt == st) {
            s->name.at[i]->status = 1;
            s->name.at[i]->since = b->since;
        }
    v = scope_bind_value(s, st);
    for (uint32_t i = 0; i < s->name.n; i++) {
        Binding *o = s->name.at[i];
        if (o->stmt != st) continue;
        o->val = target_value(s, st, o->target, v);
        if (o->primed) o->val = block_names(s, o->val, &st->targets.at[o->target]);
        o->val = with_decl(s->e, o->val, o->span);
        o->status = 2;
    }
}

const Val *scope_value(Scope *s, Binding *b)
{
    uint32_t pos = s->pos;
    const Val *v;

    b->used = true;
    if (b->status == 2) return b->val;
    if (b->status == 1) return cycle_error(s, b);
    if (++s->e->depth > CALL_DEPTH_MAX) {
        s->e->depth--;
        sema_error(s->e, 901, b->span, "definitions are nested too deeply");
        return &val_poison;
    }
    s->pos = b->pos;
    b->status = 1;
    b->since = ++s->e->clock;
    switch (b->kind) {
    case B_VALUE: break;
    case B_BIND: run_bind(s, b); break;
    case B_REPEAT: repeat_run(s, b->stmt, b->pos); break;
    case B_PARAM:
    case B_CONST: v = leaf_param(s, b); b->val = v; break;
    case B_STATE: v = leaf_state(s, b); b->val = v; break;
    case B_NOISE: v = leaf_noise(s, b); b->val = v; break;
    }
    b->status = 2;
    if (!b->val) b->val = &val_poison;
    s->pos = pos;
    s->e->depth--;
    return b->val;
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

const Val *scope_decl(Scope *s, Decl *d, Span span)
{
    Val *v = NULL;

    switch (d->ast->kind) {
    case AST_CELL: v = val_new(s->e, V_MAKER, span); break;
    case AST_FN:
        if (d->ast->refusal) {
            if (sema_error(s->e, 215, d->ast->refused_at, "%s", d->ast->refusal)) diag_note(s->e->ctx, span, "`%s` is used here", name_str(s->e->ctx, d->name));
            return &val_poison;
        }
        v = val_new(s->e, V_FN, span);
        break;
    case AST_INIT: v = val_new(s->e, V_INIT, span); break;
    case AST_MODEL: case AST_DEF_METRIC: case AST_OPTIMIZER: case AST_IMPORT: case AST_IMPORT_C: case AST_DEF_TRAIN: case AST_DEF_DATA:
        if (sema_error(s->e, 204, span, "%s `%s` cannot be used in an expression", decl_kind_name(d->ast), name_str(s->e->ctx, d->name))) {
            diag_note(s->e->ctx, d->ast->name_span, "declared here");
            if (d->ast->kind == AST_DEF_METRIC) diag_help(s->e->ctx, (Span){0, 0}, "it stands behind `metric`; a loss is a function of single examples, as `mse(p, y)` is");
        }
        return &val_poison;
    }
    v->fn = d;
    v->decl = d->ast->name_span;
    return v;
}

const char *scope_nearest(Scope *s, Name name)
{
    VEC(const char *) c = {0};
    Elab *e = s->e;

    for (Scope *o = s; o; o = o->up)
        for (uint32_t i = 0; i < o->name.n; i++) VEC_PUSH(e->a, c) = name_str(e->ctx, o->name.at[i]->name);
    std_open_all(e->p);
    for (uint32_t u = 0; u < e->p->unit.n; u++) {
        Unit *unit = e->p->unit.at[u];
        if (unit != s->unit && !unit->std) continue;
        for (uint32_t i = 0; i < unit->decl.n; i++)
            if (decl_is_callable(unit->decl.at[i])) VEC_PUSH(e->a, c) = name_str(e->ctx, unit->decl.at[i]->name);
    }
    for (uint32_t i = 0; i < builtin_count(); i++) VEC_PUSH(e->a, c) = builtin_name_at(i);
    VEC_PUSH(e->a, c) = "training";
    for (int i = 0; s->draw_names && i < 4; i++) VEC_PUSH(e->a, c) = draw_names[i];
    return nearest_name(name_str(e->ctx, name), c.at, c.n);
}

static const Val *primed_error(Scope *s, const AstExpr *x)
{
    Elab *e = s->e;
    const char *n = name_str(e->ctx, x->name);
    Binding *b = NULL;

    for (Scope *o = s; o && !b; o = o->up) b = scope_find(o, x->name, false);
    if (b) b->used = true;
    if (b && b->kind == B_STATE) {
        b->missed = true;
        if (sema_error(e, 210, x->span, "state `%s` has no next value", n)) {
            diag_note(e->ctx, b->span, "declared here");
            diag_help(e->ctx, (Span){0, 0}, "bind it: `%s' = ...`", n);
        }
    } else if (b && sema_error(e, 209, x->span, "`%s` is no state: only a state has a next value", n)) {
        diag_note(e->ctx, b->span, "`%s` is declared here", n);
        if (b->kind == B_PARAM || b->kind == B_CONST) diag_help(e->ctx, (Span){0, 0}, "transpose is `%s.T`", n);
    } else if (!b && sema_error(e, 200, x->span, "unknown name `%s'`", n)) {
        const char *near = scope_nearest(s, x->name);
        if (near) diag_help(e->ctx, (Span){0, 0}, "did you mean `%s'`?", near);
    }
    return &val_poison;
}

/* h' where no statement binds it but a `repeat` carries h: what the last round left. */
static Binding *repeated(Scope *s, Name name, uint32_t pos)
{
    Binding *b = NULL;

    for (uint32_t i = 0; s->lazy && i < s->name.n; i++)
        if (s->name.at[i]->name == name && s->name.at[i]->kind == B_REPEAT && s->name.at[i]->pos < pos) b = s->name.at[i];
    return b;
}

static const Val *repeated_next(Scope *s, const AstExpr *x)
{
    for (Scope *o = s; o; o = o->up) {
        Binding *b = repeated(o, x->name, o->pos);
        if (!b) b = repeated(o, x->name, UINT32_MAX); /* statements stand in any order */
        if (b) return scope_value(o->origin ? o->origin : o, b);
    }
    return primed_error(s, x);
}

/* What a name of a call's body is outside: of a state that a `repeat` carries the bare name is the value before the step. */
Binding *scope_member(Scope *call, Name name, bool primed)
{
    Binding *b = scope_find(call, name, primed), *state = NULL;

    for (uint32_t i = 0; i < call->name.n; i++)
        if (call->name.at[i]->name == name && call->name.at[i]->kind == B_STATE) state = call->name.at[i];
    if (primed) return b ? b : repeated(call, name, UINT32_MAX);
    return state ? state : b;
}

static const Val *special_name(Scope *s, const AstExpr *x)
{
    const char *n = name_str(s->e->ctx, x->name);
    Ctx *c = s->e->ctx;

    if (x->name == intern(c, "training")) {
        s->e->p->reads_training = true;
        return val_bool(s, s->e->o.training, x->span);
    }
    if (x->name == intern(c, "pi")) return val_num(s->e, 3.14159265358979323846, false, x->span);
    if (x->name == intern(c, "batch_norm") || x->name == intern(c, "batch_mean") || x->name == intern(c, "batch_std")) {
        if (sema_error(s->e, 406, x->span, "`%s`: statistics over a batch are not in the language", n)) {
            diag_note(c, (Span){0, 0}, "a cell is one step for one example: its result must not depend on the other examples");
            diag_help(c, (Span){0, 0}, "use `layer_norm`, which takes its statistics over the features");
        }
        return &val_poison;
    }
    return NULL;
}

/* `output name = expr`: that binds no name of the model. */
static bool is_output(const Scope *s, Name name)
{
    while (s->up) s = s->up;
    for (uint32_t i = 0; s->kind == SC_MODEL && s->body && i < s->body->n; i++) {
        const AstArgs *args = &s->body->at[i]->args;
        for (uint32_t k = 0; s->body->at[i]->kind == AST_OUTPUT && k < args->n; k++)
            if (args->at[k].name == name && (args->at[k].value->kind != AST_NAME || args->at[k].value->name != name)) return true;
    }
    return false;
}

/* What others call what is written otherwise here; NULL: nothing of that name. */
static const char *written_here(const char *name)
{
    static const char *const way[][2] = {
        {"concat", "[a, b]"}, {"concatenate", "[a, b]"}, {"cat", "[a, b]"}, {"matmul", "W @ x"}, {"dot", "a @ b"}, {"transpose", "W.T"},
        {"square", "x^2"}, {"pow", "x^y"}, {"power", "x^y"}, {"reduce_sum", "sum(x)"}, {"reduce_mean", "mean(x)"}, {"maximum", "max(a, b)"},
        {"minimum", "min(a, b)"}, {"MSELoss", "mse(p, y)"}, {"mean_squared_error", "mse(p, y)"}, {"MSE", "mse(p, y)"}, {"mean_absolute_error", "mae(p, y)"},
        {"crossentropy", "softmax_crossentropy(scores, y)"}, {"cross_entropy", "softmax_crossentropy(scores, y)"},
        {"CrossEntropyLoss", "softmax_crossentropy(scores, y)"}, {"sparse_categorical_crossentropy", "sparse_crossentropy(p, y)"},
        {"bce", "binary_crossentropy(p, y)"}, {"BCELoss", "binary_crossentropy(p, y)"}, {"BCEWithLogitsLoss", "sigmoid_crossentropy(z, y)"},
        {"SimpleRNN", "simple_rnn[n](x)"}, {"RNN", "simple_rnn[n](x)"}, {"Embedding", "embedding[V, n](x)"}, {"Dropout", "dropout[p](x)"},
        {"Bidirectional", "bidirectional[lstm[n]](x)"}, {"LayerNorm", "layer_norm(x)"}, {"Dense", "dense[n](x)"}, {"Linear", "dense[n](x)"}, {"LSTM", "lstm[n](x)"}, {"GRU", "gru[n](x)"},
    };

    for (size_t i = 0; i < sizeof way / sizeof *way; i++)
        if (!strcmp(way[i][0], name)) return way[i][1];
    return NULL;
}

const Val *scope_name(Scope *s, const AstExpr *x)
{
    Elab *e = s->e;
    const char *near;
    const Val *v;
    Decl *d;

    for (Scope *o = s; o; o = o->up) {
        Binding *b = scope_find(o, x->name, x->primed);
        if (!b) continue;
        v = scope_value(o->origin ? o->origin : o, b);
        if (v->kind == V_POISON) return v;
        v = with_decl(e, v, v->decl);
        ((Val *)v)->span = x->span;
        return v;
    }
    if (x->primed) return repeated_next(s, x);
    for (uint32_t i = 0; i < s->unit->import.n; i++)
        if (s->unit->import.at[i].as == x->name) {
            Val *w = val_new(e, V_UNIT, x->span);
            w->unit = s->unit->import.at[i].unit;
            return w;
        }
    d = unit_find(e->p, s->unit, x->name);
    if (d) return scope_decl(s, d, x->span);
    if (s->draw_names && (v = draw_name(s, x->name, x->span)) != NULL) return v;
    if (builtin_find(x->name, e->ctx)) {
        Val *w = val_new(e, V_FN, x->span);
        w->builtin = builtin_find(x->name, e->ctx);
        if (builtin_is_draw(w->builtin)) w->kind = V_INIT;
        return w;
    }
    v = special_name(s, x);
    if (v) return v;
    near = scope_nearest(s, x->name);
    if (sema_error(e, 200, x->span, "unknown name `%s`", name_str(e->ctx, x->name))) {
        const char *n = name_str(e->ctx, x->name);
        if (is_output(s, x->name)) diag_help(e->ctx, (Span){0, 0}, "an output is no name in the model: bind `%s = ...`, then `output %s`", n, n);
        else if (written_here(n)) diag_help(e->ctx, (Span){0, 0}, "here that is written `%s`", written_here(n));
        else if (near) diag_help(e->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    }
    return &val_poison;
}

/* ---- names of instances --------------------------------------------------------------------------------------------- */

typedef struct {
    ValKind kind; /* V_MAKER, V_INST, or V_POISON: anything else */
    Decl *cell;
} Static;

static const Static static_other = {V_POISON, NULL};

static Static static_kind(Scope *s, const AstExpr *x, int depth);

static Static static_val(const Val *v)
{
    return v->kind == V_INST || v->kind == V_MAKER ? (Static){v->kind, v->fn} : static_other;
}

static Static static_decl(Decl *d)
{
    return d && d->ast->kind == AST_CELL ? (Static){V_MAKER, d} : static_other;
}

static Static static_kind(Scope *s, const AstExpr *x, int depth)
{
    if (depth > 20) return static_other;
    if (x->kind == AST_BRACKET) {
        Static k = static_kind(s, x->a, depth + 1);
        return k.kind == V_MAKER ? k : static_other;
    }
    if (x->kind == AST_MEMBER && x->a->kind == AST_NAME) {
        for (uint32_t i = 0; i < s->unit->import.n; i++)
            if (s->unit->import.at[i].as == x->a->name) return static_decl(unit_find_own(s->unit->import.at[i].unit, x->name, false));
        return static_other;
    }
    if (x->kind != AST_NAME || x->primed) return static_other;
    for (Scope *o = s; o; o = o->up) {
        Binding *b = scope_find(o, x->name, false);
        if (!b) continue;
        if (b->status == 2) return static_val(b->val);
        if (b->kind == B_BIND && b->stmt->targets.n == 1 && b->stmt->value->kind != AST_CALL) {
            Static k = static_kind(o, b->stmt->value, depth + 1);
            if (k.kind == V_MAKER) k.kind = V_INST;
            return k;
        }
        return static_other;
    }
    return static_decl(unit_find(s->e->p, s->unit, x->name));
}

static bool name_taken(const Scope *s, Name n)
{
    for (uint32_t i = 0; i < s->taken.n; i++)
        if (s->taken.at[i] == n) return true;
    return false;
}

static void give_name(Scope *s, const AstExpr *node, Name want)
{
    Ctx *c = s->e->ctx;
    Name n = want;

    for (uint32_t i = 0; i < s->inst.n; i++)
        if (s->inst.at[i].node == node) return;
    for (uint32_t k = 2; name_taken(s, n); k++) n = intern_printf(c, "%s_%u", name_str(c, want), (unsigned)k);
    VEC_PUSH(s->e->a, s->taken) = n;
    VEC_PUSH(s->e->a, s->inst) = (InstName){node, n};
}

static void walk_expr(Scope *s, const AstExpr *x, Name bound)
{
    if (!x) return;
    if (x->kind == AST_CALL) {
        Static k = static_kind(s, x->a, 0);
        if (k.kind == V_MAKER) give_name(s, x, bound ? bound : k.cell->name);
    } else if (bound) {
        Static k = static_kind(s, x, 0);
        if (k.kind == V_MAKER) give_name(s, x, bound);
    }
    walk_expr(s, x->a, 0);
    walk_expr(s, x->b, 0);
    for (uint32_t i = 0; i < x->args.n; i++) walk_expr(s, x->args.at[i].value, 0);
}

void scope_name_instances(Scope *s, const AstStmt *st)
{
    Name bound = 0;

    while (s->up) s = s->up; /* one namespace for the instances of a body and its blocks */
    if (st->kind == AST_PARAM || st->kind == AST_CONST)
        for (uint32_t i = 0; i < st->targets.n; i++)
            if (!name_taken(s, st->targets.at[i].name)) VEC_PUSH(s->e->a, s->taken) = st->targets.at[i].name;
    if (st->kind == AST_BIND && st->targets.n == 1 && !st->targets.at[0].primed) bound = st->targets.at[0].name;
    if (st->kind == AST_BIND || st->kind == AST_RETURN || st->kind == AST_LOSS) walk_expr(s, st->value, bound);
    if (st->kind == AST_OUTPUT || st->kind == AST_METRIC || st->kind == AST_LOSS)
        for (uint32_t i = 0; i < st->args.n; i++) walk_expr(s, st->args.at[i].value, 0);
    for (uint32_t i = 0; i < st->body.n; i++) scope_name_instances(s, st->body.at[i]);
}

Name scope_instance_name(const Scope *s, const AstExpr *node)
{
    while (s->up) s = s->up;
    for (uint32_t i = 0; i < s->inst.n; i++)
        if (s->inst.at[i].node == node) return s->inst.at[i].name;
    return 0;
}

static bool expr_creates(Scope *s, const AstExpr *x)
{
    if (!x) return false;
    if (x->kind == AST_CALL) {
        Static k = static_kind(s, x->a, 0);
        if (k.kind == V_MAKER || (k.kind == V_INST && cell_stateful(s->e->p, k.cell, NULL, 0))) return true;
    }
    if (expr_creates(s, x->a) || expr_creates(s, x->b)) return true;
    for (uint32_t i = 0; i < x->args.n; i++)
        if (expr_creates(s, x->args.at[i].value)) return true;
    return false;
}

/* Whether a round of a block makes anything of its own: parameters, instances, states. */
bool scope_creates(Scope *s, const AstStmts *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const AstStmt *st = b->at[i];
        if (st->kind != AST_BIND && st->kind != AST_REPEAT) return true;
        if (expr_creates(s, st->value) || scope_creates(s, &st->body)) return true;
        if (st->kind == AST_BIND && st->targets.n == 1 && static_kind(s, st->value, 0).kind == V_MAKER) return true;
    }
    return false;
}

/* ---- statements ----------------------------------------------------------------------------------------------------- */

/* What a cell's body binds is read as a member of its results, beside the members every value has. */
static void check_reserved(Scope *s, Name name, Span span)
{
    static const char *const members[] = {"T", "last", "first", "mean", "sum", "max", "softmax"};

    if (s->kind != SC_CELL || !s->decl || s->decl->ast->kind != AST_CELL) return;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!strcmp(name_str(s->e->ctx, name), members[i]) && sema_error(s->e, 216, span, "`%s` is a member of every value", members[i]))
            diag_help(s->e->ctx, (Span){0, 0}, "choose another name, so that `.%s` of the cell's result stays unambiguous", members[i]);
}

static bool declare(Scope *s, Name name, bool primed, BindingKind k, const AstStmt *st, uint32_t target, uint32_t pos, Span span)
{
    Binding *b, *old = NULL;

    for (uint32_t i = 0; i < s->name.n; i++) {
        Binding *o = s->name.at[i];
        if (o->name == name && o->primed == primed && o->kind != B_REPEAT) old = o;
    }
    if (old && k != B_REPEAT && !(primed && old->kind == B_VALUE)) {
        if (sema_error(s->e, 201, span, "`%s%s` is defined twice", name_str(s->e->ctx, name), primed ? "'" : "")) {
            diag_note(s->e->ctx, old->span, "first here");
            if (old->kind != B_VALUE || !old->size)
                diag_help(s->e->ctx, (Span){0, 0}, "in a cell each name has one definition; a value that changes from step to step is a state");
        }
        return false;
    }
    if (!primed) check_reserved(s, name, span);
    b = scope_bind(s, name, NULL, span);
    b->kind = k;
    b->status = 0;
    b->primed = primed;
    b->stmt = st;
    b->target = target;
    b->pos = pos;
    return true;
}

static BindingKind leaf_kind(AstStmtKind k)
{
    return k == AST_PARAM ? B_PARAM : k == AST_CONST ? B_CONST : k == AST_STATE ? B_STATE : k == AST_NOISE ? B_NOISE : B_BIND;
}

static void declare_statement(Scope *s, const AstStmt *st, uint32_t pos)
{
    if (st->kind == AST_REPEAT) {
        for (uint32_t i = 0; i < st->body.n; i++) {
            const AstStmt *in = st->body.at[i];
            for (uint32_t t = 0; t < in->targets.n; t++)
                if (in->kind == AST_BIND && in->targets.at[t].primed)
                    declare(s, in->targets.at[t].name, false, B_REPEAT, st, t, pos, in->targets.at[t].span);
        }
        return;
    }
    if (st->kind == AST_INPUT || st->kind == AST_TARGET) { /* misplaced, and reported as that: the name has no value */
        for (uint32_t t = 0; t < st->targets.n; t++) scope_bind(s, st->targets.at[t].name, &val_poison, st->targets.at[t].span);
        return;
    }
    for (uint32_t t = 0; t < st->targets.n; t++)
        if (!declare(s, st->targets.at[t].name, st->targets.at[t].primed, leaf_kind(st->kind), st, t, pos, st->targets.at[t].span))
            continue;
}

static bool misplaced(Scope *s, const AstStmt *st)
{
    bool model = st->kind == AST_INPUT || st->kind == AST_TARGET || st->kind == AST_OUTPUT || st->kind == AST_LOSS ||
                 st->kind == AST_METRIC || st->kind == AST_TRAIN || st->kind == AST_DATA;

    if (model && !(s->kind == SC_MODEL)) {
        sema_error(s->e, 408, st->keyword, "this statement belongs at the top of a model");
        return true;
    }
    if (st->kind == AST_RETURN && s->kind == SC_ROUND) {
        sema_error(s->e, 408, st->keyword, "`return` cannot stand in a repeat");
        return true;
    }
    return false;
}

/* The order of the rows is one of a metric, by one of its inputs. */
static void check_falling(Scope *s, const AstStmt *st)
{
    const AstDecl *d = s->decl ? s->decl->ast : NULL;

    if (!d || d->kind != AST_DEF_METRIC) {
        sema_error(s->e, 408, st->falling_span, "`falling` orders the rows of a metric");
        return;
    }
    for (uint32_t i = 0; i < d->inputs.n; i++)
        if (d->inputs.at[i].name == st->falling) return;
    sema_error(s->e, 200, st->falling_span, "`%s` is no input of metric `%s`", name_str(s->e->ctx, st->falling), name_str(s->e->ctx, d->name));
}

static void run_statement(Scope *s, const AstStmt *st)
{
    bool declared = false;

    if (st->kind == AST_RETURN) {
        if (s->result && sema_error(s->e, 201, st->keyword, "a second `return`"))
            diag_help(s->e->ctx, (Span){0, 0}, "several results are read by their names: `out.name`");
        if (st->falling) check_falling(s, st);
        s->result = eval(s, st->value);
        return;
    }
    for (uint32_t i = 0; i < s->name.n; i++) {
        Binding *b = s->name.at[i];
        declared |= b->stmt == st;
        if (b->stmt == st && b->status != 2) {
            bool used = b->used;
            scope_value(s, b);
            b->used = used;
        }
    }
    if (st->kind == AST_REPEAT && !declared) repeat_run(s, st, s->pos);
}

void scope_declare(Scope *s)
{
    const AstStmts *b = s->body;

    for (uint32_t i = 0; i < b->n; i++) declare_statement(s, b->at[i], i);
    for (int leaves = 1; leaves >= 0; leaves--)
        for (uint32_t i = 0; !s->up && i < b->n; i++)
            if ((b->at[i]->kind == AST_PARAM || b->at[i]->kind == AST_CONST) == leaves) scope_name_instances(s, b->at[i]);
}

static bool calls(const AstExpr *x, Name instance)
{
    if (!x) return false;
    if (x->kind == AST_CALL && x->a->kind == AST_NAME && !x->a->primed && x->a->name == instance) return true;
    for (uint32_t i = 0; i < x->args.n; i++)
        if (calls(x->args.at[i].value, instance)) return true;
    return calls(x->a, instance) || calls(x->b, instance);
}

void scope_call(Scope *s, Name instance)
{
    for (uint32_t i = 0; s->lazy && i < s->name.n; i++) {
        Binding *b = s->name.at[i];
        bool used = b->used;
        if (b->kind != B_BIND || b->status || !calls(b->stmt->value, instance)) continue;
        scope_value(s, b);
        b->used = used;
    }
}

void scope_run(Scope *s)
{
    const AstStmts *b = s->body;

    if (s->lazy) scope_declare(s);
    for (uint32_t i = 0; i < b->n; i++) {
        s->pos = i;
        if (misplaced(s, b->at[i])) continue;
        if (s->lazy) run_statement(s, b->at[i]);
        else scope_statement(s, b->at[i], i);
    }
    s->pos = b->n;
}
