/* Random draws and initial values: initialisers are expressions over fan_in, fan_out, row and col, drawn for each element of a
   parameter, in a graph of their own. */
#include "frontend/sema.h"

#include <string.h>

/* ---- draws ------------------------------------------------------------------------------------------------------------ */

static Ref draw_noise(Scope *s, NoiseKind k)
{
    const Node *d = s->draw;

    return g_noise(s->level->g, k, s->stream + (*s->ndraw)++, s->counter, d->rank, d->dim, d->axes);
}

static const Val *draw_orthogonal(Scope *s, Span span)
{
    if (!s->level->init || s->draw->rank < 2) {
        if (sema_error(s->e, 315, span, "`orthogonal` is for matrices of parameters, not for %s", !s->level->init ? "noise" : s->draw->rank == 0 ? "a scalar" : "a vector"))
            diag_help(s->e->ctx, (Span){0, 0}, "vectors and scalars start from a number or `normal(0, sd)`");
        return &val_poison;
    }
    return val_of(s, draw_noise(s, NOISE_ORTHOGONAL), span);
}

static const Val *late_draw(Scope *s, const Builtin *b, const Val *lo, const Val *hi, Span span)
{
    Val *v = val_new(s->e, V_INIT, span);

    v->builtin = b;
    v->lo = lo;
    v->hi = hi;
    return v;
}

/* An argument of a draw: one for all elements, or of the shape that is drawn. */
static bool fits_draw(Scope *s, const Val *v, const char *name)
{
    Node t = val_type(v);
    int more = s->draw->rank - t.rank;
    bool fits = more >= 0;

    for (int d = 0; fits && d < t.rank; d++) fits = t.dim[d] == 1 || t.dim[d] == s->draw->dim[more + d];
    if (!fits) sema_error(s->e, 315, v->span, "`%s` draws another shape; this argument is %s", name, val_text(s, v));
    return fits;
}

/* a op b, broadcast. */
static const Val *draw_arith(Scope *s, Op op, const Val *a, const Val *b, Span span)
{
    if (b->kind == V_POISON || !broadcast_pair(s, span, op_info[op].text, &a, &b)) return &val_poison;
    return val_of(s, g_bin(s->level->g, op, a->ref, b->ref), span);
}

const Val *draw_builtin(Scope *s, const Builtin *b, const Val *lo, const Val *hi, Span span)
{
    const char *n = builtin_name(b);
    const Val *u;

    if (!s->draw || !s->ndraw) return late_draw(s, b, lo, hi, span);
    if (!strcmp(n, "orthogonal")) return draw_orthogonal(s, span);
    if (!lo) {
        sema_error(s->e, 207, span, "`%s` needs its arguments: `%s`", n, !strcmp(n, "uniform") ? "uniform(lo, hi)" : !strcmp(n, "normal") ? "normal(mean, sd)" : "bernoulli(p)");
        return &val_poison;
    }
    if (!strcmp(n, "bernoulli") && lo->kind == V_NUM && !(lo->num >= 0 && lo->num <= 1)) {
        sema_error(s->e, 319, span, "`bernoulli(%.10g)`: a probability is from 0 to 1", lo->num);
        return &val_poison;
    }
    lo = val_float(s, lo, n);
    if (lo->kind == V_POISON || !fits_draw(s, lo, n)) return &val_poison;
    u = val_of(s, draw_noise(s, !strcmp(n, "normal") ? NOISE_NORMAL : NOISE_UNIFORM), span);
    if (!strcmp(n, "bernoulli")) return draw_arith(s, OP_LT, u, lo, span);
    hi = val_float(s, hi, n);
    if (hi->kind == V_POISON || !fits_draw(s, hi, n)) return &val_poison;
    if (!strcmp(n, "uniform")) hi = draw_arith(s, OP_SUB, hi, lo, span);
    return draw_arith(s, OP_ADD, lo, draw_arith(s, OP_MUL, hi, u, span), span);
}

/* ---- initialisers ----------------------------------------------------------------------------------------------------- */

const char *const draw_names[4] = {"fan_in", "fan_out", "row", "col"};

/* The index of each element along a dim. */
static const Val *position(Scope *s, uint32_t dim, Span span)
{
    const Node *d = s->draw;
    int32_t map[3] = {-1, -1, -1};
    Ref r;

    if (!d->rank) return val_of(s, g_const(s->level->g, 0), span);
    map[dim] = 0;
    r = g_cast(s->level->g, g_iota(s->level->g, d->dim[dim]), DT_F);
    return val_of(s, g_expand(s->level->g, r, d->rank, d->dim, map, 0), span);
}

const Val *draw_name(Scope *s, Name name, Span span)
{
    const Node *d = s->draw;
    uint32_t out = d->rank > 2 ? d->rank - 2u : 0; /* of matrices by heads, those of each head */
    int k = 0;

    while (k < 4 && strcmp(name_str(s->e->ctx, name), draw_names[k])) k++;
    switch (k) {
    case 0: return val_num(s->e, d->rank ? d->dim[d->rank - 1] : 1, true, span);
    case 1: return val_num(s->e, d->rank ? d->dim[out] : 1, true, span);
    case 2: return position(s, 0, span);
    case 3: return position(s, d->rank ? d->rank - 1u : 0, span);
    default: return NULL;
    }
}

const Val *draw_init(Scope *s, const Val *init, Span span)
{
    const Bound *bound = init->bound;
    uint32_t n = init->nbound;
    const Val *v;
    Trail here;
    Scope *c;

    if (!init->fn) return draw_builtin(s, init->builtin, init->lo, init->hi, span);
    if (s->e->depth >= CALL_DEPTH_MAX) {
        sema_error(s->e, 213, span, "`%s` uses itself without end", name_str(s->e->ctx, init->fn->name));
        return &val_poison;
    }
    c = scope_make(s->e, SC_FN, init->fn->unit);
    c->decl = init->fn;
    c->level = s->level;
    c->draw = s->draw;
    c->draw_names = true;
    c->stream = s->stream;
    c->counter = s->counter;
    c->ndraw = s->ndraw;
    if (bound)
        for (uint32_t i = 0; i < n; i++) scope_bind(c, bound[i].name, bound[i].val, span);
    else if (!bind_brackets(s, c, init->fn, NULL, span, &bound, &n)) return &val_poison;
    init->fn->used |= !s->e->generic;
    here = (Trail){span, init->fn, s->e->trail};
    s->e->trail = &here;
    s->e->depth++;
    v = val_tensor(c, eval(c, init->fn->ast->value));
    s->e->depth--;
    s->e->trail = here.up;
    return v;
}

/* ---- values of the model as initial values ----------------------------------------------------------------------------- */

static Ref copy_node(Scope *s, Level *from, Ref r, Ref *map, int depth)
{
    const Graph *src = from->g;
    Module *m = s->e->m;
    const Ref *in;
    uint32_t n;
    Node node = src->node.at[r];

    if (map[r] || depth > 2000) return map[r];
    if (node.op == OP_PARAM) return map[r] = m->param.at[node.attr].init;
    if (node.op == OP_CAPTURE) {
        Ref *up = NEW_N(s->e->a, Ref, from->up->g->node.n);
        return map[r] = copy_node(s, from->up, from->outer.at[node.attr], up, depth + 1);
    }
    if (!(op_info[node.op].flags & OPF_ROW) && node.op != OP_SUM && node.op != OP_AMAX && node.op != OP_DOT) return 0;
    if (node.axes || node.op == OP_INPUT || node.op == OP_NOISE || node.op == OP_CARRY || node.op == OP_STEP || node.op == OP_LENGTH) return 0;
    n = node_inputs(src, r, &in);
    for (uint32_t i = 0; i < n; i++)
        if (!copy_node(s, from, in[i], map, depth + 1)) return 0;
    return map[r] = graph_copy_node(s->level->g, src, r, map);
}

const Val *init_copy(Scope *s, const Val *v)
{
    Ref *map = NEW_N(s->e->a, Ref, v->level->g->node.n);
    Ref r = copy_node(s, v->level, v->ref, map, 0);
    Val *w;

    if (!r) {
        if (sema_error(s->e, 402, v->span, "an initial value can use only sizes, params and consts") && v->decl.lo)
            diag_note(s->e->ctx, v->decl, "declared here");
        return &val_poison;
    }
    w = val_copy(s->e, v);
    w->level = s->level;
    w->ref = r;
    return w;
}
