/* See prog_expr.h: operators, functions, reductions, products, parts, by the shape that is wanted. */
#include "tests/unit/prog_expr.h"

#include <string.h>

#include "tests/unit/gen.h"

uint32_t pg_below(Gen *g, uint32_t n) { return gen_below(&g->rng, n); }

bool pg_equal(Shape x, Shape y) {
    if (x.rank != y.rank) return false;
    for (int i = 0; i < x.rank; i++)
        if (strcmp(x.d[i], y.d[i]) != 0) return false;
    return true;
}

static Shape vec(const char *d) { return (Shape){1, {d, NULL}}; }
static Shape mat(const char *a, const char *b) { return (Shape){2, {a, b}}; }
static const Shape scalar = {0, {NULL, NULL}};

static const char *any_dim(Scope *c) { return c->dim[pg_below(c->g, (uint32_t)c->ndim)]; }

Shape pg_shape(Scope *c) {
    uint32_t k = pg_below(c->g, 10);
    return k < 2 ? scalar : k < 8 ? vec(any_dim(c)) : mat(any_dim(c), any_dim(c));
}

const char *pg_name(Gen *g, const char *stem) { return arena_printf(g->a, "%s%d", stem, g->serial++); }

const char *pg_type(Gen *g, Shape s) {
    return s.rank == 0 ? "[]" : s.rank == 1 ? arena_printf(g->a, "[%s]", s.d[0]) : arena_printf(g->a, "[%s, %s]", s.d[0], s.d[1]);
}

const Var *pg_add(Scope *c, const char *name, char kind, Shape s, uint32_t axis) {
    Var *v = &VEC_PUSH(c->g->a, c->pool);
    *v = (Var){name, kind, s, NULL, axis};
    return v;
}

const Var *pg_pick(Scope *c, char kind, uint32_t axis) {
    const Var *found = NULL;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < c->pool.n; i++) {
        const Var *v = &c->pool.at[i];
        uint32_t weight = 1 + i * 4 / c->pool.n; /* later ones more often */
        if (v->kind != kind || v->axis != axis) continue;
        seen += weight;
        if (pg_below(c->g, seen) < weight) found = v;
    }
    return found;
}

static const Var *pick_shape(Scope *c, Shape s, uint32_t axis) {
    const Var *found = NULL;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < c->pool.n; i++) {
        const Var *v = &c->pool.at[i];
        uint32_t weight = (1 + i * 4 / c->pool.n) * (v->axis ? 3 : 1);
        if (v->kind != 'f' || !pg_equal(v->s, s) || (v->axis && v->axis != axis)) continue;
        seen += weight;
        if (pg_below(c->g, seen) < weight) found = v;
    }
    return found;
}

const char *pg_param(Scope *c, Shape s) {
    static const char *const starts[] = {"normal(0, 0.5)", "uniform(-0.4, 0.6)", "0.3"};
    Gen *g = c->g;
    const char *name = pg_name(g, s.rank == 2 ? "W" : "b");
    bool fixed = pg_below(g, 8) == 0;
    str_printf(&c->decl, "%s%s %s: %s = %s\n", c->indent, fixed ? "const" : "param", name, pg_type(g, s),
               fixed ? (s.rank ? "0.3" : "0.7") : starts[pg_below(g, 3)]);
    if (pg_below(g, 2)) pg_add(c, name, 'f', s, 0);
    return name;
}

/* ---- any value as some shape -------------------------------------------------------------------------------------------------- */

static const char *coerce_vec(Scope *c, const Var *v, const char *d) {
    Gen *g = c->g;
    if (v->s.rank == 0) return arena_printf(g->a, "(%s * %s)", v->name, pg_param(c, vec(d)));
    if (v->s.rank == 1) {
        if (!strcmp(v->s.d[0], d)) return v->name;
        if (pg_below(g, 4)) return arena_printf(g->a, "(%s @ %s)", pg_param(c, mat(d, v->s.d[0])), v->name);
        return arena_printf(g->a, "(%s @ %s)", v->name, pg_param(c, mat(v->s.d[0], d)));
    }
    if (!strcmp(v->s.d[0], d)) return arena_printf(g->a, "%s(%s, axis = 1)", pg_below(g, 2) ? "sum" : "mean", v->name);
    if (!strcmp(v->s.d[1], d)) return arena_printf(g->a, "%s(%s, axis = 0)", pg_below(g, 2) ? "max" : "sum", v->name);
    return arena_printf(g->a, "(%s @ sum(%s, axis = 1))", pg_param(c, mat(d, v->s.d[0])), v->name);
}

const char *pg_coerce(Scope *c, const Var *v, Shape s) {
    Gen *g = c->g;
    if (pg_equal(v->s, s)) return v->name;
    if (s.rank == 0) {
        if (v->s.rank == 1 && pg_below(g, 2)) return arena_printf(g->a, "(%s @ %s)", pg_param(c, v->s), v->name);
        return arena_printf(g->a, "%s(%s)", pg_below(g, 3) ? "mean" : "max", v->name);
    }
    if (s.rank == 1) return coerce_vec(c, v, s.d[0]);
    if (pg_below(g, 2)) return arena_printf(g->a, "(%s * %s)", pg_param(c, s), coerce_vec(c, v, s.d[1]));
    return arena_printf(g->a, "outer(%s, %s)", coerce_vec(c, v, s.d[0]), pg_param(c, vec(s.d[1])));
}

/* ---- leaves -------------------------------------------------------------------------------------------------------------------- */

static Ex leaf(Scope *c, Shape s, uint32_t axis) {
    Gen *g = c->g;
    const Var *v = pick_shape(c, s, axis);
    if (v && pg_below(g, 8)) return (Ex){v->name, v->axis};
    if (s.rank == 0 && pg_below(g, 3) == 0) return (Ex){arena_printf(g->a, "%u.%u", pg_below(g, 2), 1 + pg_below(g, 9)), 0};
    v = pg_pick(c, 'f', pg_below(g, 3) ? axis : 0);
    if (!v) v = pg_pick(c, 'f', 0);
    if (v) return (Ex){pg_coerce(c, v, s), v->axis};
    return (Ex){pg_param(c, s), 0};
}

/* ---- elementwise ----------------------------------------------------------------------------------------------------------------- */

static const char *const smooth1[] = {
    "tanh(%s)", "sigmoid(%s)", "tanh(%s)", "sin(%s)", "cos(%s)", "erf(%s)", "(-%s)", "exp(tanh(%s))", "log(1.5 + %s^2)",
    "sqrt(0.5 + %s^2)", "log1p(exp(tanh(%s)))", "expm1(sin(%s))", "(1 + sigmoid(%s))^1.7", "tanh(%s)^3", "tanh(%s)^2", "1 / (1.5 + %s^2)",
    "(0.5 + %s^2)^-1", "(0.5 + %s^2)^0.5", "gelu(tanh(%s))", "silu(%s)", "softplus(%s)", "log_sigmoid(%s)", "softsign(%s)",
    "2^tanh(%s)", "log(sigmoid(%s))", "log(1 + exp(%s))", "mish(tanh(%s))", "(%s * 0.7)",
};
static const char *const rough1[] = {
    "abs(%s)", "relu(%s)", "elu(%s)", "hard_tanh(%s)", "leaky_relu[slope = 0.2](%s)", "max(%s, 0.2)", "min(%s, 0.3)", "clip(%s, -0.7, 0.9)",
    "(%s mod 1.3)", "(0.2 * floor(1.7 * %s + 0.3))", "hard_sigmoid(%s)", "celu[alpha = 0.7](%s)", "stop(%s)", "relu6(%s)",
};
enum { NSMOOTH1 = sizeof smooth1 / sizeof *smooth1, NROUGH1 = sizeof rough1 / sizeof *rough1 };

static const char *fill(Gen *g, const char *form, const char *x) {
    const char *at = strstr(form, "%s");
    return arena_printf(g->a, "%.*s%s%s", (int)(at - form), form, x, at + 2);
}

static Ex unary(Scope *c, Shape s, uint32_t axis, int depth) {
    Gen *g = c->g;
    Ex x = pg_want(c, s, axis, depth - 1);
    bool rough = !g->gentle && pg_below(g, 3) == 0;
    const char *form = rough ? rough1[pg_below(g, NROUGH1)] : smooth1[pg_below(g, NSMOOTH1)];
    if (g->nfn1 && pg_below(g, 8) == 0) return (Ex){arena_printf(g->a, "one%u(%s)", pg_below(g, (uint32_t)g->nfn1), x.t), x.axis};
    if (c->in_cell && pg_below(g, 12) == 0) return (Ex){arena_printf(g->a, "act(%s)", x.t), x.axis};
    return (Ex){arena_printf(g->a, "(%s)", fill(g, form, x.t)), x.axis};
}

/* Something that broadcasts to s. */
static Ex narrower(Scope *c, Shape s, uint32_t axis, int depth) {
    Gen *g = c->g;
    uint32_t k = pg_below(g, 6);
    if (s.rank == 2 && k == 0) {
        Ex x = pg_want(c, vec(s.d[0]), axis, depth - 1);
        return (Ex){arena_printf(g->a, "column(%s)", x.t), x.axis};
    }
    if (s.rank == 2 && k == 1) {
        Ex x = pg_want(c, vec(s.d[1]), axis, depth - 1);
        return (Ex){arena_printf(g->a, "row(%s)", x.t), x.axis};
    }
    if (s.rank == 2 && k == 2) return pg_want(c, vec(s.d[1]), axis, depth - 1);
    if (s.rank && k == 3) return pg_want(c, scalar, axis, depth - 1);
    if (s.rank == 1 && k == 4) {
        Ex x = pg_want(c, scalar, axis, depth - 1);
        return (Ex){arena_printf(g->a, "[%s]", x.t), x.axis};
    }
    return pg_want(c, s, axis, depth - 1);
}

Ex pg_bool(Scope *c, Shape s, uint32_t axis, int depth) {
    static const char *const relation[] = {"<", "<=", ">", ">="};
    Gen *g = c->g;
    Ex a, b;
    switch (depth > 0 ? pg_below(g, 8) : 4 + pg_below(g, 2)) {
    case 0: a = pg_bool(c, s, axis, depth - 1); return (Ex){arena_printf(g->a, "(not %s)", a.t), a.axis};
    case 1: case 2:
        a = pg_bool(c, s, axis, depth - 1);
        b = pg_bool(c, s, axis, depth - 1);
        return (Ex){arena_printf(g->a, "(%s %s %s)", a.t, pg_below(g, 2) ? "and" : "or", b.t), a.axis | b.axis};
    case 3: if (pg_below(g, 4) == 0) return (Ex){"training", 0}; break;
    case 4: {
        const Var *v = pg_pick(c, 'b', pg_below(g, 2) ? axis : 0);
        if (v) return (Ex){v->name, v->axis};
        break;
    }
    case 5: {
        const Var *v = pg_pick(c, 't', axis), *w = pg_pick(c, 't', pg_below(g, 2) ? axis : 0);
        if (v && w && v != w && !strcmp(v->vocab, w->vocab))
            return (Ex){arena_printf(g->a, "(%s %s %s)", v->name, pg_below(g, 2) ? "==" : "!=", w->name), v->axis | w->axis};
        break;
    }
    default: break;
    }
    a = pg_want(c, s, axis, depth - 1);
    b = narrower(c, s, axis, depth - 1);
    return (Ex){arena_printf(g->a, "(%s %s %s + 0.137)", a.t, relation[pg_below(g, 4)], b.t), a.axis | b.axis};
}

static const Var *pick_token(Scope *c, const char *vocab, uint32_t axis) {
    const Var *v = pg_pick(c, 't', pg_below(c->g, 2) ? axis : 0);
    return v && !strcmp(v->vocab, vocab) ? v : NULL;
}

Ex pg_token(Scope *c, const char *vocab, uint32_t axis, int depth) {
    Gen *g = c->g;
    const Var *v = pick_token(c, vocab, axis), *w = pick_token(c, vocab, axis);
    if (v && pg_below(g, 3) == 0) {
        Ex q = pg_bool(c, scalar, axis, depth - 1);
        return (Ex){arena_printf(g->a, "where(%s, %s, %s)", q.t, v->name, w && pg_below(g, 2) ? w->name : "1"), v->axis | q.axis | (w ? w->axis : 0)};
    }
    if (v && (g->gentle || pg_below(g, 2))) return (Ex){v->name, v->axis};
    Ex x = pg_want(c, vec(vocab), axis, depth - 1);
    return (Ex){arena_printf(g->a, "argmax(%s)", x.t), x.axis};
}

static Ex binary(Scope *c, Shape s, uint32_t axis, int depth) {
    static const char *const form[] = {"(%s + %s)", "(%s - %s)", "(tanh(%s) * %s)", "(%s * sigmoid(%s))", "(%s / (1.5 + %s^2))",
                                       "((1 + sigmoid(%s))^tanh(%s))", "(%s + 0.5 * %s)", "(%s - sin(%s))"};
    static const char *const rough[] = {"max(%s, %s)", "min(%s, %s)", "(%s mod (1.5 + sigmoid(%s)))"};
    Gen *g = c->g;
    Ex a = pg_want(c, s, axis, depth - 1), b = narrower(c, s, axis, depth);
    uint32_t k = pg_below(g, 10);
    if (k == 0) {
        Ex q = pg_bool(c, pg_below(g, 2) ? s : scalar, axis, depth - 1);
        return (Ex){arena_printf(g->a, "where(%s, %s, %s)", q.t, a.t, b.t), a.axis | b.axis | q.axis};
    }
    if (k == 1) {
        Ex q = pg_bool(c, s, axis, depth - 1);
        return (Ex){arena_printf(g->a, "(%s * %s)", q.t, a.t), a.axis | q.axis};
    }
    if (k == 2 && g->nfn2) return (Ex){arena_printf(g->a, "two%u(%s, %s)", pg_below(g, (uint32_t)g->nfn2), a.t, b.t), a.axis | b.axis};
    const char *f = k == 3 && !g->gentle ? rough[pg_below(g, 3)] : form[pg_below(g, 8)];
    const char *half = fill(g, f, a.t), *at = strstr(half + (strstr(f, "%s") - f) + strlen(a.t), "%s");
    return (Ex){arena_printf(g->a, "%.*s%s%s", (int)(at - half), half, b.t, at + 2), a.axis | b.axis};
}

/* ---- over features, parts, products --------------------------------------------------------------------------------------------- */

static Ex make_scalar(Scope *c, uint32_t axis, int depth) {
    static const char *const form[] = {"sum(%s)", "mean(%s)", "max(%s)", "min(%s)", "log(sum(exp(%s)))", "norm(%s)", "logsumexp(%s)"};
    Gen *g = c->g;
    const char *d = any_dim(c);
    uint32_t k = pg_below(g, 10);
    if (k < 2) {
        Ex a = pg_want(c, vec(d), axis, depth - 1), b = pg_want(c, vec(d), axis, depth - 1);
        return (Ex){arena_printf(g->a, "(%s @ %s)", a.t, b.t), a.axis | b.axis};
    }
    Ex a = pg_want(c, k == 2 ? mat(d, any_dim(c)) : vec(d), axis, depth - 1);
    if (k == 3) return (Ex){arena_printf(g->a, "%s[0]", a.t), a.axis};
    if (k == 4) {
        const Var *t = pg_pick(c, 't', axis);
        Ex e = t ? pg_want(c, vec(t->vocab), axis, depth - 1) : a;
        return t ? (Ex){arena_printf(g->a, "(%s)[%s]", e.t, t->name), e.axis | t->axis} : (Ex){arena_printf(g->a, "mean(%s)", a.t), a.axis};
    }
    if (k == 5) return (Ex){arena_printf(g->a, "sqrt(0.3 + mean((%s)^2))", a.t), a.axis};
    const char *f = form[pg_below(g, k == 2 ? 4 : 7)];
    if (strstr(f, "norm(")) a.t = arena_printf(g->a, "(1.2 + 0.5 * tanh(%s))", a.t);
    return (Ex){fill(g, f, a.t), a.axis};
}

static Ex product(Scope *c, const char *d, uint32_t axis, int depth) {
    Gen *g = c->g;
    const char *e = any_dim(c);
    Ex a = pg_want(c, vec(e), axis, depth - 1);
    bool right = pg_below(g, 4) == 0;
    Shape s = right ? mat(e, d) : mat(d, e);
    Ex w = pg_below(g, 3) ? (Ex){pg_param(c, s), 0} : pg_want(c, s, axis, depth - 2);
    if (pg_below(g, 8) == 0) {
        w = (Ex){arena_printf(g->a, "%s.T", pg_param(c, right ? mat(d, e) : mat(e, d))), 0};
    }
    return (Ex){right ? arena_printf(g->a, "(%s @ %s)", a.t, w.t) : arena_printf(g->a, "(%s @ %s)", w.t, a.t), a.axis | w.axis};
}

static Ex part_of_join(Scope *c, const char *d, uint32_t axis, int depth) {
    Gen *g = c->g;
    const char *e = any_dim(c), *form;
    uint32_t k = pg_below(g, 5);
    Ex a = pg_want(c, vec(d), axis, depth - 1), b = pg_want(c, k == 4 ? scalar : vec(k == 3 ? d : e), axis, depth - 1);
    switch (k) {
    case 0: form = arena_printf(g->a, "[%s, %s][:%s]", a.t, b.t, d); break;
    case 1: form = arena_printf(g->a, "[%s, %s][%s:]", b.t, a.t, e); break;
    case 2: form = arena_printf(g->a, "(%s @ [%s, %s])", pg_param(c, mat(d, arena_printf(g->a, "(%s + %s)", d, e))), a.t, b.t); break;
    case 3: form = arena_printf(g->a, "[%s, %s][%s:2 * %s]", a.t, b.t, d, d); break;
    default: form = arena_printf(g->a, "[%s, %s][1:]", b.t, a.t); break;
    }
    return (Ex){form, a.axis | b.axis};
}

static Ex make_vec(Scope *c, const char *d, uint32_t axis, int depth) {
    Gen *g = c->g;
    const char *e = any_dim(c);
    Ex a;
    switch (pg_below(g, 12)) {
    case 0: case 1: case 2: case 3: return product(c, d, axis, depth);
    case 4: a = pg_want(c, vec(d), axis, depth - 1); return (Ex){arena_printf(g->a, "softmax(%s)", a.t), a.axis};
    case 5: a = pg_want(c, mat(d, e), axis, depth - 1);
        return (Ex){arena_printf(g->a, "%s(%s, axis = %s)", pg_below(g, 2) ? "sum" : "max", a.t, pg_below(g, 2) ? "1" : "-1"), a.axis};
    case 6: a = pg_want(c, mat(e, d), axis, depth - 1);
        return pg_below(g, 2) ? (Ex){arena_printf(g->a, "mean(%s, axis = 0)", a.t), a.axis} : (Ex){arena_printf(g->a, "%s[0]", a.t), a.axis};
    case 7: return part_of_join(c, d, axis, depth);
    case 8: {
        const Var *t = pg_pick(c, 't', axis);
        if (!t) break;
        if (pg_below(g, 2)) return (Ex){arena_printf(g->a, "%s[%s]", pg_param(c, mat(t->vocab, d)), t->name), t->axis};
        a = pg_want(c, mat(t->vocab, d), axis, depth - 2);
        return (Ex){arena_printf(g->a, "(%s)[%s]", a.t, t->name), a.axis | t->axis};
    }
    case 9: a = pg_want(c, vec(d), axis, depth - 1); return (Ex){arena_printf(g->a, "reshape(column(%s), %s)", a.t, d), a.axis};
    case 10: a = pg_want(c, mat(e, d), axis, depth - 1);
        return (Ex){arena_printf(g->a, "(sum(%s, axis = 0) * mean(reshape(%s, %s, 1, %s), axis = 0)[0])", a.t, a.t, e, d), a.axis};
    default: break;
    }
    a = pg_want(c, vec(e), axis, depth - 1);
    if (g->gentle) return product(c, d, axis, depth);
    return (Ex){arena_printf(g->a, "%s[argmax(%s)]", pg_param(c, mat(e, d)), a.t), a.axis};
}

/* Weights of three dims: a matrix for each of the first. */
static const char *matrices(Scope *c, const char *n, const char *a, const char *b) {
    const char *name = pg_name(c->g, "R");
    str_printf(&c->decl, "%sparam %s: [%s, %s, %s] = normal(0, 0.5)\n", c->indent, name, n, a, b);
    return name;
}

/* [N, D] of products by N heads, and joins along the second dim. */
static Ex by_heads(Scope *c, const char *n, const char *d, uint32_t axis, int depth) {
    Gen *g = c->g;
    const char *e = any_dim(c), *form;
    uint32_t k = pg_below(g, 10);
    Ex a = k == 4 ? pg_want(c, vec(e), axis, depth - 1) : pg_want(c, mat(n, e), axis, depth - 1), b = {"", 0};
    if (k > 4) b = pg_want(c, mat(n, d), axis, depth - 1);
    switch (k) {
    case 0: case 1: form = arena_printf(g->a, "(%s @ %s)", matrices(c, n, d, e), a.t); break;
    case 2: form = arena_printf(g->a, "(%s @ %s)", a.t, pg_below(g, 2) ? matrices(c, n, e, d) : arena_printf(g->a, "%s.T", matrices(c, n, d, e))); break;
    case 3: form = arena_printf(g->a, "sum(%s * row(%s), axis = 2)", matrices(c, n, d, e), a.t); break;
    case 4: form = arena_printf(g->a, "(%s @ %s)", matrices(c, n, d, e), a.t); break;
    case 5: form = arena_printf(g->a, "(outer(%s, %s) @ tanh(%s))", b.t, a.t, a.t); break;
    case 6: form = arena_printf(g->a, "(tanh(%s) @ outer(%s, %s))", a.t, a.t, b.t); break;
    case 7: form = arena_printf(g->a, "sum(%s @ outer(%s, %s), axis = 2)", matrices(c, n, d, e), a.t, b.t); break;
    case 8: form = arena_printf(g->a, "[%s, %s, axis = 1][:, :%s]", b.t, a.t, d); break;
    default: form = arena_printf(g->a, "[%s, %s, axis = -1][:, %s:]", a.t, b.t, e); break;
    }
    return (Ex){form, a.axis | b.axis};
}

static Ex make_mat(Scope *c, Shape s, uint32_t axis, int depth) {
    Gen *g = c->g;
    const char *e = any_dim(c);
    Ex a, b;
    switch (pg_below(g, 11)) {
    case 7: case 8: case 9: return by_heads(c, s.d[0], s.d[1], axis, depth);
    case 0: case 1: case 2:
        a = pg_want(c, vec(s.d[0]), axis, depth - 1);
        b = pg_want(c, vec(s.d[1]), axis, depth - 1);
        return (Ex){arena_printf(g->a, pg_below(g, 2) ? "outer(%s, %s)" : "(column(%s) - row(%s))", a.t, b.t), a.axis | b.axis};
    case 3: case 4:
        a = pg_want(c, mat(s.d[0], e), axis, depth - 1);
        b = pg_below(g, 2) ? (Ex){pg_param(c, mat(e, s.d[1])), 0} : pg_want(c, mat(e, s.d[1]), axis, depth - 1);
        return (Ex){arena_printf(g->a, "(%s @ %s)", a.t, b.t), a.axis | b.axis};
    case 5: a = pg_want(c, mat(s.d[1], s.d[0]), axis, depth - 1); return (Ex){arena_printf(g->a, "(%s).T", a.t), a.axis};
    case 6: a = pg_want(c, s, axis, depth - 1);
        return (Ex){arena_printf(g->a, "softmax(%s, axis = %u)", a.t, pg_below(g, 2)), a.axis};
    default:
        a = pg_want(c, s, axis, depth - 1);
        b = pg_want(c, s, axis, depth - 1);
        return (Ex){arena_printf(g->a, "[%s, %s][:%s, 0:%s]", a.t, b.t, s.d[0], s.d[1]), a.axis | b.axis};
    }
}

Ex pg_want(Scope *c, Shape s, uint32_t axis, int depth) {
    Gen *g = c->g;
    uint32_t k = pg_below(g, 10);
    if (depth <= 0 || k == 0) return leaf(c, s, axis);
    if (k < 4) return unary(c, s, axis, depth);
    if (k < 7) return binary(c, s, axis, depth);
    return s.rank == 0 ? make_scalar(c, axis, depth) : s.rank == 1 ? make_vec(c, s.d[0], axis, depth) : make_mat(c, s, axis, depth);
}

Ex pg_need(Scope *c, Shape s, uint32_t axis, int depth) {
    Ex x = pg_want(c, s, axis, depth);
    const Var *v = axis && x.axis != axis ? pg_pick(c, 'f', axis) : NULL;
    if (!v) return x;
    return (Ex){arena_printf(c->g->a, "(%s + %s)", x.t, pg_coerce(c, v, s)), axis};
}
