/* A model from top to bottom: inputs, bindings, outputs, losses, metrics, and the roots of its graph. */
#include "frontend/sema.h"

#include <string.h>

typedef struct {
    Elab *e;
    Scope *s;
    ModelDesc *desc;
    Ref loss;
    uint32_t row_weights; /* 1 + the input of the rows' weights */
    uint32_t nmetric, noutput;
} Build;

static const char *source_text(Elab *e, Span span)
{
    const Source *s = source_of(e->ctx, span.lo);

    return s ? arena_strndup(e->a, s->text + (span.lo - s->base), span.hi - span.lo) : "";
}

/* ---- inputs ----------------------------------------------------------------------------------------------------------- */

static PortDesc port_desc(Elab *e, Name name, const Node *n, int32_t vocab, uint32_t axes, Span span)
{
    PortDesc d = {.name = name, .dtype = n->dtype, .rank = n->rank, .vocab = vocab, .span = span};

    memcpy(d.dim, n->dim, sizeof d.dim);
    for (uint32_t a = 1; a < e->m->naxis; a++)
        if (!d.seq && (axes & AX(a))) {
            d.seq = true;
            d.axis = e->m->axis[a].name;
            d.steps = e->m->axis[a].count;
        }
    return d;
}

static void run_input(Build *b, const AstStmt *st, const AstTarget *t)
{
    const AstType *ty = st->type;
    Elab *e = b->e;
    const SizeSrc *src[MAX_RANK] = {NULL};
    int32_t dim[MAX_RANK] = {0};
    uint32_t axes = AX(AXIS_B), i;
    DType dt = ty->kind == AST_TYPE_BOOL ? DT_B : ty->kind == AST_TYPE_TOKEN ? DT_I : DT_F;
    int64_t vocab = 0;
    int rank = 0;
    const SizeSrc *vs;
    Val *v;
    Node n;
    InputKind kind = st->kind == AST_TARGET ? INPUT_TARGET : INPUT_DATA;

    for (i = 0; i < e->m->input.n; i++)
        if (e->m->input.at[i].name == t->name && e->m->input.at[i].kind == kind) {
            if (sema_error(e, 201, t->span, "a second %s `%s`", kind == INPUT_TARGET ? "target" : "input", name_str(e->ctx, t->name)))
                diag_note(e->ctx, (Span){e->m->input.at[i].span, e->m->input.at[i].span + 1}, "first here");
            return;
        }
    if (t->primed || ty->kind == AST_TYPE_CELL) {
        sema_error(e, 309, t->primed ? t->span : ty->span, t->primed ? "an input has no next value" : "an input is a value, not a cell");
        return;
    }
    if (ty->kind == AST_TYPE_TENSOR && !eval_dims(b->s, ty, &rank, dim, src)) goto poison;
    if (ty->kind == AST_TYPE_TOKEN && !eval_size(b->s, ty->size, 1, INT32_MAX, &vocab, &vs)) goto poison;
    if (ty->seq) {
        uint32_t axis = eval_axis(b->s, ty);
        if (!axis) goto poison;
        axes |= AX(axis);
    }
    i = module_add_input(e->m, kind, t->name, dt, rank, dim, axes);
    e->m->input.at[i].vocab = (int32_t)vocab;
    e->m->input.at[i].span = t->span.lo;
    v = (Val *)val_of(b->s, g_input(b->s->level->g, i), t->span);
    if (v->kind == V_POISON) return;
    v->decl = t->span;
    v->vocab = (int32_t)vocab;
    memcpy(v->src, src, sizeof src);
    scope_bind(b->s, t->name, v, t->span);
    n = val_type(v);
    if (b->desc) {
        PortDesc d = port_desc(e, t->name, &n, v->vocab, axes, t->span);
        if (kind == INPUT_TARGET) VEC_PUSH(e->p->arena, b->desc->target) = d;
        else VEC_PUSH(e->p->arena, b->desc->input) = d;
    }
    return;
poison:
    scope_bind(b->s, t->name, &val_poison, t->span);
}

/* ---- outputs ---------------------------------------------------------------------------------------------------------- */

/* Arrays have their axes in the order of the module, and the outer scan first: if it is not so yet, begin again so. */
static void order_axes(Build *b, const Val *v)
{
    Elab *e = b->e;
    uint32_t seq = val_seq(b->s, v);
    Name name = e->m->axis[v->outer].name;

    if (!v->outer || !(seq & AX(v->outer)) || !(seq & (AX(v->outer) - 1)) || e->m->axis[v->outer].kind != AXIS_TIME) return;
    for (uint32_t i = 0; i < e->p->outer_axis.n; i++)
        if (e->p->outer_axis.at[i] == name) return;
    VEC_PUSH(e->p->arena, e->p->outer_axis) = name;
    e->unsure = e->again = true;
}

static void run_output(Build *b, const AstArg *a)
{
    Elab *e = b->e;
    Graph *g = b->s->level->g;
    const Val *v = val_tensor(b->s, eval(b->s, a->value));
    Node n;

    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == ROOT_OUTPUT && g->root.at[i].name == a->name) {
            sema_error(e, 201, a->name_span, "a second output `%s`", name_str(e->ctx, a->name));
            return;
        }
    b->noutput++;
    if (v->kind == V_POISON) return;
    order_axes(b, v);
    n = val_type(v);
    graph_root(g, ROOT_OUTPUT, a->name, g_expand_axes(g, v->ref, e->batch & ~n.axes), 0);
    if (b->desc) VEC_PUSH(e->p->arena, b->desc->output) = port_desc(e, a->name, &n, v->vocab, val_seq(b->s, v), a->span);
}

/* ---- losses ----------------------------------------------------------------------------------------------------------- */

/* A scalar of each step or example: [1] passes as []. */
static const Val *loss_scalar(Build *b, const Val *v, const char *what)
{
    Val *w;
    Node n;

    v = val_float(b->s, v, what);
    if (v->kind == V_POISON) return v;
    n = val_type(v);
    if (node_features(&n) == 1 && n.rank) {
        w = val_copy(b->e, v);
        w->ref = g_reshape(b->s->level->g, v->ref, 0, NULL);
        return w;
    }
    if (!n.rank) return v;
    if (sema_error(b->e, 316, v->span, "%s is a scalar of each step or example; this is %s", what, val_text(b->s, v))) {
        note_sizes(b->e, v, NULL);
        diag_help(b->e->ctx, (Span){0, 0}, "take the mean over the features: `mean(...)`");
    }
    return &val_poison;
}

static LossKind loss_kind(const Scope *s, const Val *v)
{
    if (val_seq(s, v)) return LOSS_PER_STEP;
    return val_type(v).axes & AX(AXIS_B) ? LOSS_PER_EXAMPLE : LOSS_PARAMS;
}

static const char *kind_name(LossKind k)
{
    return k == LOSS_PER_STEP ? "per step" : k == LOSS_PER_EXAMPLE ? "per example" : "of parameters only";
}

/* Terms of one line must be of one kind; plain numbers go with any. */
static bool loss_terms(Build *b, const AstExpr *x, const AstExpr **first, LossKind *kind)
{
    uint32_t errors = diag_error_count(b->e->ctx);
    const Val *v;
    LossKind k;
    double c;

    if (x->kind == AST_BINARY && (x->op == AST_ADD || x->op == AST_SUB))
        return loss_terms(b, x->a, first, kind) && loss_terms(b, x->b, first, kind);
    v = val_tensor(b->s, eval(b->s, x));
    if (v->kind == V_POISON || diag_error_count(b->e->ctx) != errors) return false;
    if (const_value(b->s->level->g, v->ref, &c) && !val_type(v).axes) return true;
    k = loss_kind(b->s, v);
    if (!*first) {
        *first = x;
        *kind = k;
    }
    if (*kind == k) return true;
    if (sema_error(b->e, 405, x->span, "this term is %s, the one before it %s", kind_name(k), kind_name(*kind))) {
        diag_note(b->e->ctx, (*first)->span, "the other term");
        diag_help(b->e->ctx, (Span){0, 0}, "write them as two `loss` lines: each is averaged by its own kind, and the lines add up");
    }
    return false;
}

static Ref row_count(Elab *e, Graph *g, uint32_t axes)
{
    Ref n = 0;

    for (uint32_t a = 1; a < e->m->naxis; a++)
        if (axes & AX(a)) {
            Ref l = g_cast(g, g_length(g, a), DT_F);
            n = n ? g_bin(g, OP_MUL, n, l) : l;
        }
    if (n && (g->node.at[n].axes & AX(AXIS_B))) return g_sum(g, n, AX(AXIS_B), 0);
    if (axes & AX(AXIS_B)) {
        Ref l = g_cast(g, g_length(g, AXIS_B), DT_F);
        n = n ? g_bin(g, OP_MUL, n, l) : l;
    }
    return n;
}

/* The loss of each row times its weight from outside. */
static Ref row_weighted(Build *b, Ref r, LossKind kind, Span span)
{
    Graph *g = b->s->level->g;
    uint32_t have = g->node.at[r].axes | AX(AXIS_B), axes = AX(AXIS_B);
    Ref w;

    switch (b->e->o.weights) {
    case ROW_WEIGHTS_NONE: return r;
    case ROW_WEIGHTS_EXAMPLE: break;
    case ROW_WEIGHTS_STEP: axes = have; break;
    }
    if (b->row_weights && b->e->m->input.at[b->row_weights - 1].axes != axes) kind = LOSS_PARAMS;
    if (b->e->o.weights == ROW_WEIGHTS_STEP && kind != LOSS_PER_STEP) {
        sema_error(b->e, 414, span, "weights of steps (class_weights, sample_weights) do not fit this loss");
        return r;
    }
    if (!b->row_weights)
        b->row_weights = module_add_input(b->e->m, INPUT_DATA, intern(b->e->ctx, ROW_WEIGHT_NAME), DT_F, 0, NULL, axes) + 1;
    w = g_input(g, b->row_weights - 1);
    if (have & ~axes) w = g_expand_axes(g, w, have & ~axes);
    if (have & ~g->node.at[r].axes) r = g_expand_axes(g, r, have & ~g->node.at[r].axes);
    return g_bin(g, OP_MUL, r, w);
}

/* The values of the rows that count: what a mask leaves out may be infinite or no number. */
static Ref masked(Graph *g, Ref r, Ref w)
{
    const Node *n = &g->node.at[w];
    bool mask = n->op == OP_CAST && g->node.at[n->in[0]].dtype == DT_B;

    return mask ? g_select(g, n->in[0], r, g_const(g, 0)) : r;
}

/* Mean over the rows; weighted by w if there is one, and 0 where all weights are. */
static Ref loss_mean(Build *b, const Val *v, const Val *w, LossKind kind)
{
    Graph *g = b->s->level->g;
    uint32_t axes = val_type(v).axes | (w ? val_type(w).axes : 0);
    Ref r = v->ref, k, sum;

    if (kind == LOSS_PARAMS) return r;
    axes |= AX(AXIS_B);
    if (w) r = masked(g, r, w->ref);
    r = row_weighted(b, g_expand_axes(g, r, axes & ~val_type(v).axes), kind, v->span);
    if (!w) return g_bin(g, OP_DIV, g_sum(g, r, axes, 0), row_count(b->e, g, axes));
    k = g_expand_axes(g, w->ref, axes & ~val_type(w).axes);
    sum = g_sum(g, k, axes, 0);
    r = g_bin(g, OP_DIV, g_sum(g, g_bin(g, OP_MUL, r, k), axes, 0), sum);
    return g_select(g, g_bin(g, OP_EQ, sum, g_const(g, 0)), g_const(g, 0), r);
}

static const Val *loss_weight(Build *b, const AstStmt *st)
{
    const Val *w = NULL;

    for (uint32_t i = 0; i < st->args.n; i++) {
        const AstArg *a = &st->args.at[i];
        if (a->name != intern(b->e->ctx, "weight")) {
            if (sema_error(b->e, 206, a->name_span, "a loss has no `%s`", name_str(b->e->ctx, a->name)))
                diag_help(b->e->ctx, (Span){0, 0}, "it may have `weight = w`");
            return &val_poison;
        }
        w = loss_scalar(b, eval(b->s, a->value), "a weight");
    }
    return w;
}

static void run_loss(Build *b, const AstStmt *st)
{
    Graph *g = b->s->level->g;
    const AstExpr *first = NULL;
    LossKind kind = LOSS_PARAMS;
    const Val *v, *w;
    Ref r, mark = g->node.n;

    if (!loss_terms(b, st->value, &first, &kind)) return;
    v = loss_scalar(b, eval(b->s, st->value), "a loss");
    w = loss_weight(b, st);
    if (v->kind == V_POISON || (w && w->kind == V_POISON)) return;
    if (w && kind == LOSS_PARAMS) {
        sema_error(b->e, 414, w->span, "a loss of parameters only has no rows to weight");
        return;
    }
    if (w && !same_sequences(b->s, st->span, v, w)) return;
    if (b->desc) loss_hints(b->s, st->value, mark);
    g->span = st->value->span.lo;
    r = loss_mean(b, v, w, kind);
    if (!r) {
        sema_internal(b->e, st->span, "the loss");
        return;
    }
    b->loss = b->loss ? g_bin(g, OP_ADD, b->loss, r) : r;
    if (b->desc)
        VEC_PUSH(b->e->p->arena, b->desc->loss) = (LossDesc){source_text(b->e, st->value->span), kind, w != NULL, st->span};
}

/* ---- metrics ---------------------------------------------------------------------------------------------------------- */

static Decl *metric_decl(Build *b, const AstExpr *x, const AstArgs **brackets)
{
    const AstExpr *f = x->kind == AST_CALL ? x->a : NULL;
    Decl *d;

    *brackets = NULL;
    if (f && f->kind == AST_BRACKET) {
        *brackets = &f->args;
        f = f->a;
    }
    if (f && f->kind == AST_MEMBER && f->a->kind == AST_NAME && !scope_find(b->s, f->a->name, false)) d = unit_find_in(b->s->unit, f->a->name, f->name);
    else if (f && f->kind == AST_NAME && !scope_find(b->s, f->name, false)) d = unit_find(b->e->p, b->s->unit, f->name);
    else return NULL;
    return d && d->ast->kind == AST_DEF_METRIC ? d : NULL;
}

/* 1 + the input that orders the rows of a metric; 0: none does. */
static uint32_t falling_input(const Decl *d)
{
    for (uint32_t i = 0; d && i < d->ast->body.n; i++)
        for (uint32_t k = 0; d->ast->body.at[i]->falling && k < d->ast->inputs.n; k++)
            if (d->ast->inputs.at[k].name == d->ast->body.at[i]->falling) return k + 1;
    return 0;
}

static void metric_roots(Build *b, MetricInfo *mi, const Val **v, Name name, const AstArg *a)
{
    Graph *g = b->s->level->g;
    uint32_t axes = 0;
    Elab *e = b->e;

    for (uint32_t i = 0; i < mi->nargs; i++) axes |= val_type(v[i]).axes;
    if (!(axes & AX(AXIS_B))) {
        sema_error(e, 413, a->span, "a metric is taken over the data; this does not depend on it");
        return;
    }
    for (uint32_t i = 0; i < mi->nargs; i++) {
        Node n = val_type(v[i]);
        if (i && !same_sequences(b->s, a->span, v[0], v[i])) return;
        mi->arg[i] = (Input){.name = intern_printf(e->ctx, "arg%u", (unsigned)i), .dtype = n.dtype, .rank = n.rank, .vocab = v[i]->vocab, .kind = INPUT_DATA};
        memcpy(mi->arg[i].dim, n.dim, sizeof n.dim);
        metric_scale(g, v[i]->ref, i, mi);
        graph_root(g, ROOT_METRIC, name, g_expand_axes(g, v[i]->ref, axes & ~n.axes), b->nmetric << 8 | i);
    }
    if (b->desc) {
        VEC_PUSH(e->p->arena, e->p->metric) = *mi;
        VEC_PUSH(e->p->arena, b->desc->metric) = (MetricDesc){.name = name,
                                                              .text = source_text(e, a->value->span),
                                                              .nargs = mi->nargs,
                                                              .per_step = (axes & ~AX(AXIS_B)) != 0,
                                                              .falling = falling_input(mi->decl),
                                                              .span = a->span};
    }
    b->nmetric++;
}

/* Without a type an input of a metric is a scalar, a bool or a token; [1] passes as a scalar. */
static bool metric_scalar(Build *b, const Decl *d, const AstFormal *f, const Val *v)
{
    Node n = val_type(v);

    if (f->type || node_features(&n) == 1) return true;
    if (!sema_error(b->e, 301, v->span, "input `%s` of `%s` is a scalar of each step or example; this is %s", name_str(b->e->ctx, f->name),
                    name_str(b->e->ctx, d->name), val_text(b->s, v)))
        return false;
    diag_note(b->e->ctx, d->ast->head, "declared here");
    if (n.rank == 1) diag_help(b->e->ctx, (Span){0, 0}, "of a vector, `v[0]` is one number");
    return false;
}

/* Inputs with a default (`w = 1`) may be left out, from the last one on. */
static unsigned needed_inputs(const Decl *d)
{
    unsigned n = d->ast->inputs.n;

    while (n && d->ast->inputs.at[n - 1].value) n--;
    return n;
}

static void default_inputs(Build *b, Scope *callee, const Decl *d, MetricInfo *mi)
{
    Bound *all = NEW_N(b->e->p->arena, Bound, mi->nbound + d->ast->inputs.n + 1);

    if (mi->nbound) memcpy(all, mi->bound, mi->nbound * sizeof *all);
    for (uint32_t i = mi->nargs; i < d->ast->inputs.n; i++)
        all[mi->nbound++] = (Bound){d->ast->inputs.at[i].name, eval(callee, d->ast->inputs.at[i].value)};
    mi->bound = all;
}

static Decl *metric_average(Program *p)
{
    Decl *d = unit_find(p, p->unit.at[0], intern(p->ctx, "average"));

    return d && d->ast->kind == AST_DEF_METRIC ? d : NULL;
}

static bool metric_taken(const Build *b, Name name)
{
    for (uint32_t i = 0; b->desc && i < b->desc->metric.n; i++)
        if (b->desc->metric.at[i].name == name) return true;
    return false;
}

/* The name that a metric is reported under: of its own, and none of a log's other columns. 0 with a diagnostic. */
static Name metric_name(Build *b, const AstArg *a, Name name)
{
    static const char *const column[] = {"epoch", "update", "loss", "valid_loss", "seconds"};
    Elab *e = b->e;
    Name tried = name;

    for (size_t k = 0; a->name && k < sizeof column / sizeof *column; k++)
        if (!strcmp(name_str(e->ctx, name), column[k])) return sema_error(e, 216, a->span, "`%s` stands in every log; the metric needs another name", column[k]), 0;
    if (a->name && metric_taken(b, name)) return sema_error(e, 201, a->span, "there is a metric `%s` already", name_str(e->ctx, name)), 0;
    for (unsigned k = 2; metric_taken(b, tried); k++) tried = intern_printf(e->ctx, "%s_%u", name_str(e->ctx, name), k);
    return tried;
}

static void run_metric(Build *b, const AstArg *a)
{
    const AstArgs *brackets;
    Elab *e = b->e;
    Decl *d = metric_decl(b, a->value, &brackets);
    MetricInfo mi = {.decl = d};
    const Val *v[8];
    Name name = a->name;

    if (!d) {
        v[0] = loss_scalar(b, eval(b->s, a->value), "a metric");
        if (v[0]->kind == V_POISON) return;
        mi.nargs = 1;
        mi.decl = metric_average(e->p);
        if (mi.decl) {
            Scope *callee = scope_make(b->e, SC_FN, mi.decl->unit);
            callee->level = b->s->level;
            default_inputs(b, callee, mi.decl, &mi);
        }
        if (!name) name = a->value->kind == AST_CALL && a->value->a->kind == AST_NAME ? a->value->a->name : intern_printf(e->ctx, "metric%u", (unsigned)b->nmetric + 1);
    } else {
        const AstArgs *args = &a->value->args;
        Scope *callee = scope_make(e, SC_FN, d->unit);
        callee->level = b->s->level;
        if (!name) name = d->name;
        if (args->n < needed_inputs(d) || args->n > d->ast->inputs.n || args->n > 8) {
            if (sema_error(e, 207, a->value->span, "metric `%s` takes %u inputs, not %u", name_str(e->ctx, d->name), needed_inputs(d), (unsigned)args->n))
                diag_note(e->ctx, d->ast->head, "declared here");
            return;
        }
        if (!bind_brackets(b->s, callee, d, brackets, a->value->span, &mi.bound, &mi.nbound)) return;
        for (uint32_t i = 0; i < args->n; i++) {
            v[i] = val_tensor(b->s, eval(b->s, args->at[i].value));
            if (v[i]->kind == V_POISON || !metric_scalar(b, d, &d->ast->inputs.at[i], v[i]) || bind_argument(callee, b->s, &d->ast->inputs.at[i], v[i], "input")->kind == V_POISON) return;
        }
        mi.nargs = args->n;
        default_inputs(b, callee, d, &mi);
        uint32_t order = falling_input(d);
        Node n = order ? val_type(v[order - 1]) : (Node){0};
        if (order && node_features(&n) != 1) {
            sema_error(e, 301, v[order - 1]->span, "the rows of `%s` come in the order of this, which is not one number", name_str(e->ctx, d->name));
            return;
        }
    }
    name = metric_name(b, a, name);
    if (name) metric_roots(b, &mi, v, name, a);
}

/* ---- statements ------------------------------------------------------------------------------------------------------- */

static void run_leaf(Scope *s, const AstStmt *st)
{
    for (uint32_t i = 0; i < st->targets.n; i++) {
        const AstTarget *t = &st->targets.at[i];
        Binding *old = scope_find(s, t->name, false), *b;
        if (old && (old->kind == B_PARAM || old->kind == B_CONST) && s->kind == SC_MODEL) {
            if (sema_error(s->e, 201, t->span, "`%s` is defined twice", name_str(s->e->ctx, t->name))) diag_note(s->e->ctx, old->span, "first here");
            continue;
        }
        b = scope_bind(s, t->name, NULL, t->span);
        b->kind = st->kind == AST_PARAM ? B_PARAM : st->kind == AST_CONST ? B_CONST : st->kind == AST_STATE ? B_STATE : B_NOISE;
        b->status = 0;
        b->stmt = st;
        b->target = i;
        scope_value(s, b);
        b->used = false;
    }
}

static void run_bind_down(Scope *s, const AstStmt *st)
{
    const Val *v = scope_bind_value(s, st);

    for (uint32_t i = 0; i < st->targets.n; i++) {
        const AstTarget *t = &st->targets.at[i];
        const Val *item = v;
        Binding *b;
        if (st->targets.n > 1 && v->kind == V_TUPLE && v->nitem == st->targets.n) item = v->item[i];
        else if (st->targets.n > 1 && v->kind != V_POISON) {
            if (sema_error(s->e, 317, st->value->span, "%u names, but %s", (unsigned)st->targets.n,
                           v->kind == V_TUPLE ? arena_printf(s->e->a, "%u values", (unsigned)v->nitem) : "one value"))
                diag_help(s->e->ctx, (Span){0, 0}, "`a, b = split(x, 2)` gives several");
            item = &val_poison;
        }
        if (t->primed && s->kind == SC_MODEL) {
            if (sema_error(s->e, 209, t->span, "`%s` is no state: only a state has a next value", name_str(s->e->ctx, t->name)))
                diag_help(s->e->ctx, (Span){0, 0}, "states stand in cells; in a `repeat` a primed name is the next round's value");
            continue;
        }
        if (item->kind != V_POISON) {
            Val *w = val_copy(s->e, item);
            w->decl = t->span;
            item = w;
        }
        b = scope_bind(s, t->name, item, t->span);
        b->primed = t->primed;
    }
}

void scope_statement(Scope *s, const AstStmt *st, uint32_t pos)
{
    if (!s->up) scope_name_instances(s, st);
    switch (st->kind) {
    case AST_PARAM: case AST_CONST: case AST_NOISE: case AST_STATE: run_leaf(s, st); return;
    case AST_BIND: run_bind_down(s, st); return;
    case AST_REPEAT: repeat_run(s, st, pos); return;
    case AST_RETURN:
        if (sema_error(s->e, 408, st->keyword, "a model has outputs, not a return value"))
            diag_help(s->e->ctx, (Span){0, 0}, "write `output y = ...`");
        return;
    case AST_INPUT: case AST_TARGET: case AST_OUTPUT: case AST_LOSS: case AST_METRIC: case AST_TRAIN: case AST_DATA: return;
    }
}

static void run_model_statement(Build *b, const AstStmt *st, uint32_t pos)
{
    switch (st->kind) {
    case AST_INPUT: case AST_TARGET:
        for (uint32_t i = 0; i < st->targets.n; i++) run_input(b, st, &st->targets.at[i]);
        return;
    case AST_OUTPUT:
        scope_name_instances(b->s, st);
        for (uint32_t i = 0; i < st->args.n; i++) run_output(b, &st->args.at[i]);
        return;
    case AST_LOSS:
        scope_name_instances(b->s, st);
        run_loss(b, st);
        return;
    case AST_METRIC:
        scope_name_instances(b->s, st);
        for (uint32_t i = 0; i < st->args.n; i++) run_metric(b, &st->args.at[i]);
        return;
    case AST_TRAIN: case AST_DATA: return; /* model_settings */
    case AST_PARAM: case AST_CONST: case AST_STATE: case AST_NOISE: case AST_BIND: case AST_RETURN: case AST_REPEAT:
        scope_statement(b->s, st, pos);
        return;
    }
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

/* Roots FINAL and INIT of every state, in the state's own type. */
void elab_state_roots(Elab *e, Scan *outside)
{
    Graph *g = e->root->g;
    Module *m = e->m;

    for (uint32_t i = 0; i < outside->carry.n; i++) {
        Carry *c = &outside->carry.at[i];
        for (uint32_t k = 0; c->state && k < e->state_root.n; k++)
            if (e->state_root.at[k].state == c->state - 1) e->state_root.at[k].final = c->next;
    }
    for (uint32_t k = 0; k < e->state_root.n; k++) {
        StateRoot *r = &e->state_root.at[k];
        State *st = &m->state.at[r->state];
        if (!r->final || !r->init) continue;
        r->final = g_cast(g, r->final, (DType)st->dtype);
        st->axes |= g->node.at[r->final].axes | g->node.at[r->init].axes;
        graph_root(g, ROOT_FINAL, st->name, g_expand_axes(g, r->final, st->axes & ~g->node.at[r->final].axes), r->state);
        graph_root(g, ROOT_INIT, st->name, g_expand_axes(g, r->init, st->axes & ~g->node.at[r->init].axes), r->state);
    }
}

/* `--set NAME=..` where NAME is a bracket argument of the model: else an error with what may have been meant. */
static bool known_argument(Build *b, const Decl *d, const char *set, size_t n)
{
    const AstFormals *f = &d->ast->brackets;
    VEC(const char *) names = {0};
    Ctx *ctx = b->e->ctx;
    Name name = intern_n(ctx, set, n);
    const char *near;

    for (uint32_t i = 0; i < f->n; i++) {
        if (f->at[i].name == name) return true;
        VEC_PUSH(b->e->a, names) = name_str(ctx, f->at[i].name);
    }
    for (uint32_t i = 0; i < key_row_count; i++) VEC_PUSH(b->e->a, names) = key_rows[i].key;
    near = nearest_name(name_str(ctx, name), names.at, names.n);
    diag_error(ctx, 504, (Span){0, 0}, "`--set %s`: `%s` is neither a bracket argument of model `%s` nor a key of train or data", set, name_str(ctx, name),
               name_str(ctx, d->name));
    if (name == intern(ctx, "lr")) diag_help(ctx, (Span){0, 0}, "an argument of the optimizer is set with it: `--set 'optimizer=adam(lr = 0.01)'`");
    else if (near) diag_help(ctx, (Span){0, 0}, "did you mean `%s`?", near);
    return false;
}

static void model_sizes(Build *b, Decl *d)
{
    const FrontendOptions *o = &b->e->p->opt;
    Ctx *ctx = b->e->ctx;
    AstArgs args = {0};
    const Bound *bound;
    uint32_t n;

    for (uint32_t i = 0; i < o->nset; i++) {
        const char *eq = strchr(o->set[i], '=');
        const Source *src;
        AstArg a = {0};
        KeyBlock block;
        if (settings_is_key(o->set[i], &block)) continue;
        if (eq && !known_argument(b, d, o->set[i], (size_t)(eq - o->set[i]))) continue;
        if (!eq) {
            sema_error(b->e, 504, (Span){0, 0}, "`--set %s`: write `--set NAME=value`", o->set[i]);
            continue;
        }
        src = source_add(ctx, arena_printf(b->e->a, "--set %s", o->set[i]), eq + 1, strlen(eq + 1));
        a.name = intern_n(ctx, o->set[i], (size_t)(eq - o->set[i]));
        a.value = src ? parse_expr(ctx, b->e->p->arena, src) : NULL;
        if (!a.value) continue;
        a.span = a.name_span = a.value->span;
        VEC_PUSH(b->e->p->arena, args) = a;
    }
    bind_brackets(b->s, b->s, d, &args, d->ast->head, &bound, &n);
    for (uint32_t i = 0; i < b->s->name.n; i++)
        if (b->s->name.at[i]->val->kind == V_NUM) {
            Val *v = val_copy(b->e, b->s->name.at[i]->val);
            v->decl = b->s->name.at[i]->span;
            b->s->name.at[i]->val = v;
        }
}

/* The blocks in the model, then those beside it. */
static void model_settings(Build *b, Decl *model)
{
    const AstStmts *body = &model->ast->body;
    Unit *u = model->unit;

    for (uint32_t i = 0; b->desc && i < body->n; i++) {
        const AstStmt *st = body->at[i];
        if (st->kind == AST_TRAIN) settings_check(b->e->p, b->s, &st->entries, KEYS_TRAIN, &b->desc->train);
        if (st->kind == AST_DATA) settings_check(b->e->p, b->s, &st->entries, KEYS_DATA, &b->desc->data);
    }
    for (uint32_t i = 0; b->desc && i < u->ast->decls.n; i++) {
        const AstDecl *d = u->ast->decls.at[i];
        if (d->name != model->name) continue;
        if (d->kind == AST_DEF_TRAIN) settings_check(b->e->p, b->s, &d->entries, KEYS_TRAIN, &b->desc->train);
        if (d->kind == AST_DEF_DATA) settings_check(b->e->p, b->s, &d->entries, KEYS_DATA, &b->desc->data);
    }
}

static bool model_once(Elab *e, ModelDesc *desc)
{
    uint32_t errors = diag_error_count(e->ctx);
    Decl *d = e->p->model;
    Build b = {.e = e, .desc = desc};
    Scan *outside = NEW(e->a, Scan);

    outside->outer = outside->inner = e->root;
    outside->top = true;
    b.s = scope_make(e, SC_MODEL, d->unit);
    b.s->level = e->root;
    b.s->decl = d;
    b.s->body = &d->ast->body;
    b.s->scan = outside;
    model_sizes(&b, d);
    for (uint32_t i = 0; i < e->p->outer_axis.n; i++) elab_time_axis(e, e->p->outer_axis.at[i], (Span){0, 0});
    for (uint32_t i = 0; i < d->ast->body.n; i++) run_model_statement(&b, d->ast->body.at[i], i);
    if (!e->again) model_settings(&b, d);
    if (!b.noutput && !b.loss && !e->unsure && diag_error_count(e->ctx) == errors && sema_error(e, 407, d->ast->head, "model `%s` has neither output nor loss", name_str(e->ctx, d->name)))
        diag_help(e->ctx, (Span){0, 0}, "say what it computes: `output y = ...`");
    if (desc && !e->unsure && diag_error_count(e->ctx) == errors) warn_unused(b.s);
    if (b.loss) graph_root(e->root->g, ROOT_LOSS, intern(e->ctx, "loss"), b.loss, 0);
    elab_state_roots(e, outside);
    return diag_error_count(e->ctx) == errors;
}

Elab *elab_model(Program *p, Arena *a, const BuildOptions *o, ModelDesc *desc)
{
    uint32_t errors = diag_error_count(p->ctx);

    for (uint32_t round = 0; round <= MAX_AXES; round++) {
        Elab *e = elab_make(p, a, p->model->name);
        e->o = *o;
        if (desc) {
            *desc = (ModelDesc){0};
            p->metric.n = 0;
        }
        if (model_once(e, desc) && !e->again) return e;
        if (!e->again || diag_error_count(p->ctx) != errors) return NULL;
    }
    diag_error(p->ctx, 901, p->model->ast->head, "more than %d axes", MAX_AXES);
    return NULL;
}
