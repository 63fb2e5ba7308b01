/* See prog.h: cells, models and their losses from a seed. A cell is known by its signature only, so that calls of cells of the
   library and of the program's own are made alike. */
#include "tests/unit/prog.h"
#include "tests/unit/prog_expr.h"

#include <string.h>

#include "tests/unit/gen.h"

static Shape vec(const char *d) { return (Shape){1, {d, NULL}}; }
static const Shape scalar = {0, {NULL, NULL}};

/* ---- calls ------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *from[8], *to[8];
    int n;
} Sizes;

static const char *size_of(const Sizes *z, const char *d) {
    for (int i = 0; i < z->n; i++)
        if (!strcmp(z->from[i], d)) return z->to[i];
    return d;
}

static Shape through(const Sizes *z, Shape s) {
    for (int i = 0; i < s.rank; i++) s.d[i] = size_of(z, s.d[i]);
    return s;
}

/* Sizes that the callee has not met yet are bound to any of ours. */
static Shape bind(Scope *c, Sizes *z, Shape s) {
    for (int i = 0; i < s.rank; i++) {
        bool known = s.d[i][0] >= '0' && s.d[i][0] <= '9';
        for (int k = 0; k < z->n; k++) known |= !strcmp(z->from[k], s.d[i]);
        if (known) continue;
        z->from[z->n] = s.d[i];
        z->to[z->n++] = c->dim[pg_below(c->g, (uint32_t)c->ndim)];
    }
    return through(z, s);
}

static Sizes sizes_for(Scope *c, const Cell *f, Shape s) {
    Sizes z = {.n = 0};
    for (int i = 0; i < f->ret.rank; i++)
        if (f->ret.d[i][0] >= 'A') {
            z.from[z.n] = f->ret.d[i];
            z.to[z.n++] = s.d[i];
        }
    for (int i = 0; i < f->nsize; i++) (void)bind(c, &z, vec(f->size[i]));
    return z;
}

static const char *make_text(Gen *g, const Cell *f, const Sizes *z) {
    Str s = str_make(g->a);
    str_printf(&s, "%s", f->name);
    if (f->nsize || f->more[0]) str_put(&s, "[");
    for (int i = 0; i < f->nsize; i++) str_printf(&s, "%s%s", i ? ", " : "", size_of(z, f->size[i]));
    str_printf(&s, "%s", f->nsize || !f->more[0] ? f->more : f->more + 2);
    if (f->nsize || f->more[0]) str_put(&s, "]");
    return s.at;
}

/* Arguments of a call over `axis` (0: one step); `whole` is the axis of arguments that are passed whole. */
static Ex arguments(Scope *c, const Cell *f, Sizes *z, uint32_t axis, uint32_t whole, int depth) {
    Gen *g = c->g;
    Str s = str_make(g->a);
    uint32_t over = 0;
    str_put(&s, "");
    for (int i = 0; i < f->nin; i++) {
        Shape want = bind(c, z, f->in[i].s);
        Ex x = f->in[i].kind == 't' ? pg_token(c, f->in[i].vocab, axis, 1)
               : f->in[i].axis      ? pg_need(c, want, whole, 1)
               : !over              ? pg_need(c, want, axis, depth)
                                    : pg_want(c, want, axis, depth - 1);
        if (!f->in[i].axis) over |= x.axis;
        str_printf(&s, "%s%s", i ? ", " : "", x.t);
    }
    return (Ex){s.at, over};
}

static bool has_whole(const Cell *f) {
    for (int i = 0; i < f->nin; i++)
        if (f->in[i].axis) return true;
    return false;
}

static int steps_inputs(const Cell *f) {
    int n = 0;
    for (int i = 0; i < f->nin; i++) n += !f->in[i].axis;
    return n;
}

/* The names of the body that a caller may read: after a call bound to `name`. */
static void add_members(Scope *c, const Cell *f, const Sizes *z, const char *name, uint32_t axis) {
    Gen *g = c->g;
    for (int i = 0; i < f->nlook; i++)
        if (pg_below(g, 2)) pg_add(c, arena_printf(g->a, "%s.%s", name, f->look[i].name), 'f', through(z, f->look[i].s), axis);
    for (int i = 0; i < f->nstate; i++)
        if (pg_below(g, 2))
            pg_add(c, arena_printf(g->a, "%s.%s%s", name, f->state[i].name, pg_below(g, 2) ? "'" : ""), 'f', through(z, f->state[i].s), axis);
}

static const Cell *pick_cell(Scope *c, int rank) {
    Gen *g = c->g;
    for (int k = 0; k < 12; k++) {
        const Cell *f = &g->cell.at[pg_below(g, g->cell.n)];
        if (f->ret.rank == rank) return f;
    }
    return NULL;
}

static uint32_t other_axis(Scope *c, uint32_t axis) {
    uint32_t a = c->naxis ? 1 + pg_below(c->g, c->naxis) : 0;
    return a != axis && a && pg_pick(c, 'f', a) ? a : 0;
}

/* NAME = cell(...), over an axis or as one step, from states of ours or its own. */
static void statement_call(Scope *c, uint32_t axis) {
    Gen *g = c->g;
    Shape s = pg_shape(c);
    const Cell *f = pick_cell(c, s.rank);
    uint32_t whole = other_axis(c, axis);
    if (!f || (has_whole(f) && !whole)) return;
    Sizes z = sizes_for(c, f, s);
    const char *name = pg_name(g, "y"), *maker = make_text(g, f, &z), *given = "";
    Ex x = arguments(c, f, &z, axis, whole, g->depth);
    bool closed = !steps_inputs(f);
    if (closed) return;
    maker = make_text(g, f, &z);
    for (int i = 0; i < f->nstate; i++)
        if (pg_below(g, 4) == 0) {
            Ex h = pg_want(c, through(&z, f->state[i].s), 0, 1);
            given = arena_printf(g->a, "%s%s%s = tanh(%s)", given, f->nin || given[0] ? ", " : "", f->state[i].name, h.t);
        }
    if (pg_below(g, 5) == 0) { /* an instance, called twice */
        const char *e = pg_name(g, "e");
        Ex x2 = arguments(c, f, &z, axis, whole, 1);
        const char *name2 = pg_name(g, "y");
        str_printf(&c->body, "%s%s = %s\n%s%s = %s(%s)\n", c->indent, e, maker, c->indent, name2, e, x2.t);
        pg_add(c, name2, 'f', through(&z, f->ret), x2.axis);
        maker = e;
    }
    str_printf(&c->body, "%s%s = %s(%s%s)\n", c->indent, name, maker, x.t, given);
    pg_add(c, name, 'f', through(&z, f->ret), x.axis);
    add_members(c, f, &z, name, x.axis);
}

/* ---- statements of any body ---------------------------------------------------------------------------------------------------------- */

static void statement_value(Scope *c, uint32_t axis) {
    Gen *g = c->g;
    Shape s = pg_shape(c);
    Ex x = pg_want(c, s, axis, g->depth + (int)pg_below(g, 2));
    const char *name = pg_name(g, "v");
    str_printf(&c->body, pg_below(g, 3) ? "%s%s = %s\n" : "%s%s = tanh(%s)\n", c->indent, name, x.t);
    pg_add(c, name, 'f', s, x.axis);
}

static void statement_time(Scope *c) {
    Gen *g = c->g;
    uint32_t axis = c->naxis ? 1 + pg_below(g, c->naxis) : 0, over = 0;
    const Var *v = axis ? pg_pick(c, 'f', axis) : NULL;
    if (!v) return;
    Shape s = v->s;
    const char *name = pg_name(g, "t"), *x = v->name, *r;
    Ex e;
    switch (pg_below(g, 11)) {
    case 0: r = arena_printf(g->a, "tanh(%s.sum)", x); break;
    case 1: r = arena_printf(g->a, "%s.mean", x); break;
    case 2: r = arena_printf(g->a, "%s.%s", x, pg_below(g, 2) ? "max" : "first"); break;
    case 3: r = arena_printf(g->a, "%s.last", x); break;
    case 4: case 5: r = arena_printf(g->a, "reverse(%s)", x); over = axis; break;
    case 6: r = arena_printf(g->a, "shift(%s, %d)", x, (int)pg_below(g, 5) - 2); over = axis; break;
    case 7:
        e = pg_want(c, s, 0, 1);
        r = arena_printf(g->a, "shift(%s, %d, fill = %s)", x, (int)pg_below(g, 5) - 2, e.t);
        over = axis;
        break;
    case 8:
        if (pg_below(g, 2)) {
            r = arena_printf(g->a, "%s.softmax", x);
            over = axis;
            break;
        }
        e = pg_need(c, scalar, axis, 2);
        if (e.axis != axis) return;
        r = arena_printf(g->a, "((%s).softmax * %s).sum", e.t, x);
        break;
    default:
        if (c->in_cell) {
            r = arena_printf(g->a, "%s.last", x);
            break;
        }
        e = pg_want(c, s, pg_below(g, 2) ? axis : 0, 1);
        r = pg_below(g, 2) ? arena_printf(g->a, "then(%s, %s)", e.t, x) : arena_printf(g->a, "then(%s, %s)", x, e.t);
        over = ++c->naxis;
        break;
    }
    str_printf(&c->body, "%s%s = %s\n", c->indent, name, r);
    pg_add(c, name, 'f', s, over);
}

/* Tokens and bools: named, moved in time. */
static void statement_discrete(Scope *c, uint32_t axis) {
    Gen *g = c->g;
    bool token = pg_below(g, 2);
    const Var *v = pg_pick(c, token ? 't' : 'b', axis);
    const char *name = pg_name(g, token ? "k" : "q"), *vocab = token ? "3" : NULL;
    Ex x = token ? pg_token(c, vocab, axis, 2) : pg_bool(c, scalar, axis, 2);
    if (v && axis && !c->in_cell && pg_below(g, 2)) {
        static const char *const form[] = {"reverse(%s)", "shift(%s, 1)", "shift(%s, -1)", "%s.last", "%s.first"};
        uint32_t k = pg_below(g, 5);
        x = (Ex){arena_printf(g->a, form[k], v->name), k < 3 ? axis : 0};
    }
    str_printf(&c->body, "%s%s = %s\n", c->indent, name, x.t);
    ((Var *)pg_add(c, name, token ? 't' : 'b', scalar, x.axis))->vocab = vocab;
}

/* An instance whose weights are read beside its calls. */
static void statement_tied(Scope *c, uint32_t axis) {
    Gen *g = c->g;
    const char *d = c->dim[pg_below(g, (uint32_t)c->ndim)], *e = c->dim[pg_below(g, (uint32_t)c->ndim)];
    const char *maker = pg_name(g, "e"), *y = pg_name(g, "y"), *back = pg_name(g, "v");
    Ex x = pg_want(c, vec(e), axis, 1);
    str_printf(&c->body, "%s%s = dense[%s, act = tanh]\n%s%s = %s(%s)\n%s%s = %s @ %s.W\n", c->indent, maker, d, c->indent, y, maker, x.t, c->indent, back, y, maker);
    pg_add(c, y, 'f', vec(d), x.axis);
    pg_add(c, back, 'f', vec(e), x.axis);
}

static void statement_split(Scope *c, uint32_t axis) {
    Gen *g = c->g;
    const char *d = c->dim[pg_below(g, (uint32_t)c->ndim)], *a = pg_name(g, "p"), *b = pg_name(g, "p");
    Ex x = pg_want(c, vec(d), axis, 2), y = pg_want(c, vec(d), axis, 1);
    if (pg_below(g, 2)) {
        const char *w = pg_param(c, (Shape){2, {arena_printf(g->a, "(2 * %s)", d), d}});
        str_printf(&c->body, "%s%s, %s = split(%s @ %s, 2)\n", c->indent, a, b, w, x.t);
        y.axis = x.axis;
    } else {
        str_printf(&c->body, "%s%s, %s = split([%s, %s], 2)\n", c->indent, a, b, x.t, y.t);
    }
    pg_add(c, a, 'f', vec(d), x.axis | y.axis);
    pg_add(c, b, 'f', vec(d), x.axis | y.axis);
}

/* A counted block: its value is v's successor; with calls its rounds are written out. */
static void statement_repeat(Scope *c, uint32_t axis) {
    Gen *g = c->g;
    Shape s = pg_shape(c);
    const char *v = pg_name(g, "r"), *was = c->indent, *q = pg_name(g, "q");
    Ex start = pg_need(c, s, axis, 1), x, gate;
    bool counted = pg_below(g, 2);
    uint32_t mark;
    if (start.axis != axis) axis = 0;
    if (axis != start.axis) return;
    str_printf(&c->body, "%s%s = %s\n%srepeat %s%u {\n", was, v, start.t, was, counted ? "k in 0.." : "", 1 + pg_below(g, 4));
    mark = c->pool.n;
    pg_add(c, v, 'f', s, axis);
    c->indent = arena_printf(g->a, "%s    ", was);
    const Cell *f = !c->in_cell && s.rank == 1 && pg_below(g, 2) ? &g->cell.at[0] : NULL;
    x = pg_want(c, s, axis, 2);
    str_printf(&c->body, "%s%s = %s%s\n", c->indent, q, x.t, counted && pg_below(g, 2) ? " + 0.1 * k" : "");
    pg_add(c, q, 'f', s, x.axis);
    gate = pg_want(c, s, axis, 1);
    if (f && axis) str_printf(&c->body, "%s%s' = tanh(%s + gru[%s](%s))\n", c->indent, v, v, s.d[0], q);
    else str_printf(&c->body, "%s%s' = tanh(%s * sigmoid(%s) + %s)\n", c->indent, v, v, gate.t, q);
    c->indent = was;
    str_printf(&c->body, "%s}\n", was);
    c->pool.n = mark;
    pg_add(c, v, 'f', s, axis);
}

static void statements(Scope *c, uint32_t n, uint32_t axis) {
    Gen *g = c->g;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t over = axis == UINT32_MAX ? (c->naxis ? pg_below(g, c->naxis + 1) : 0) : axis;
        if (over && !pg_pick(c, 'f', over)) over = 0;
        switch (pg_below(g, 13)) {
        case 0: case 1: case 2: case 3: statement_value(c, over); break;
        case 4: case 5: if (c->in_cell) statement_value(c, over); else statement_call(c, over); break;
        case 6: if (!c->in_cell || pg_below(g, 2)) statement_call(c, over); break;
        case 7: statement_split(c, over); break;
        case 8: if (pg_below(g, 2)) statement_repeat(c, over); break;
        case 9: if (pg_below(g, 2)) statement_discrete(c, over); else statement_tied(c, over); break;
        default: if (c->naxis) statement_time(c); else statement_value(c, over); break;
        }
    }
}

/* ---- cells ---------------------------------------------------------------------------------------------------------------------------- */

static Cell *add_cell(Gen *g, const char *name, int nsize, Shape ret) {
    Cell *f = &VEC_PUSH(g->a, g->cell);
    *f = (Cell){.name = name, .size = {"H", "J"}, .nsize = nsize, .more = "", .ret = ret};
    return f;
}

/* Cells of the library. */
static void add_std(Gen *g) {
    static const struct {
        const char *name, *state[2], *more;
        bool own; /* its output has its input's size */
    } at[] = {{"gru", {"h"}, "", false}, {"lstm", {"h", "c"}, "", false}, {"simple_rnn", {"h"}, ", act = sin", false},
              {"gru_v1", {"h"}, "", false}, {"dense", {0}, ", act = tanh", false}, {"dense", {0}, "", false},
              {"layer_norm", {0}, "", true}, {"dropout", {0}, ", rate = 0.3", true}, {"rms_norm", {0}, "", true},
              {"mingru", {"h"}, "", false}, {"indrnn", {"h"}, ", act = tanh", false}, {"minlstm", {"h"}, "", false}, {"sru", {"c"}, "", true}, {"qrnn", {"c"}, "", false}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        const char *size = at[i].own ? "I" : "H";
        if (pg_below(g, i < 9 ? 2 : 4)) continue;
        Cell *f = add_cell(g, at[i].name, !at[i].own, vec(size));
        f->more = at[i].more;
        f->nin = 1;
        f->in[0] = (Var){"x", 'f', vec("I"), NULL, 0};
        for (; f->nstate < 2 && at[i].state[f->nstate]; f->nstate++) f->state[f->nstate] = (Var){at[i].state[f->nstate], 'f', vec(size), NULL, 0};
    }
    if (pg_below(g, 6)) return;
    Cell *f = add_cell(g, "additive_attention", 1, vec("D"));
    f->size[0] = "A";
    f->nin = 2;
    f->in[0] = (Var){"q", 'f', vec("Q"), NULL, 0};
    f->in[1] = (Var){"m", 'f', vec("D"), NULL, 1};
}

/* A cell that takes another one as an argument. */
static void add_wrapper(Gen *g, Str *out) {
    static const char *const inner[] = {"", ", C = gru[4]", ", C = mingru[4]", ", C = dense[4, act = tanh]", ", C = lstm[4]"};
    if (pg_below(g, 5)) return;
    Cell *f = add_cell(g, pg_name(g, "w"), 1, vec("H"));
    f->more = inner[pg_below(g, 5)];
    f->nin = 1;
    f->in[0] = (Var){"a", 'f', vec("I"), NULL, 0};
    str_printf(out, "cell %s[H, C: cell = simple_rnn[4]](a: [I]) {\n    param W: [H, 4] = normal(0, 0.5)\n    y = C(a)\n    return tanh(W @ y%s)\n}\n", f->name,
               pg_below(g, 2) ? "" : " + sum(C(0.5 * a))");
}

static void add_noise(Scope *c) {
    static const char *const dist[] = {"normal(0, 0.3)", "uniform(-0.5, 0.5)", "bernoulli(0.6)"};
    Gen *g = c->g;
    const char *name = pg_name(g, "n");
    Shape s = pg_shape(c);
    str_printf(&c->decl, "%snoise %s: %s = %s%s\n", c->indent, name, pg_type(g, s), dist[pg_below(g, 3)], pg_below(g, 3) ? "" : ", per sequence");
    pg_add(c, name, 'f', s, 0);
}

/* The next value of a state: bounded. */
static void next_state(Scope *c, const Var *h) {
    Gen *g = c->g;
    Ex x = pg_want(c, h->s, 0, g->depth + 1), z;
    switch (pg_below(g, 9)) {
    case 0: case 1: case 2: str_printf(&c->body, "%s%s' = tanh(%s)\n", c->indent, h->name, x.t); break;
    case 7: /* the last of some rounds */
        str_printf(&c->body, "%srepeat %u { %s' = tanh(0.7 * %s + %s) }\n", c->indent, 1 + pg_below(g, 3), h->name, h->name, x.t);
        break;
    case 3:
        z = pg_want(c, h->s, 0, g->depth);
        str_printf(&c->body, "%s%s' = %s + sigmoid(%s) * (tanh(%s) - %s)\n", c->indent, h->name, h->name, z.t, x.t, h->name);
        break;
    case 4: str_printf(&c->body, "%s%s' = 0.8 * %s + tanh(%s)\n", c->indent, h->name, h->name, x.t); break;
    case 5: str_printf(&c->body, "%s%s' = sigmoid(%s) * %s\n", c->indent, h->name, x.t, h->name); break;
    case 6:
        str_printf(&c->body, "%s%s' = tanh(%s %s %s + %s)\n", c->indent, h->name, h->s.rank == 1 ? pg_param(c, (Shape){2, {h->s.d[0], h->s.d[0]}}) : "2",
                   h->s.rank == 1 ? "@" : "*", h->name, x.t);
        break;
    default: str_printf(&c->body, "%s%s' = %s\n", c->indent, h->name, pg_below(g, 2) ? h->name : arena_printf(g->a, "tanh(%s + %s)", x.t, h->name)); break;
    }
    pg_add(c, arena_printf(g->a, "%s'", h->name), 'f', h->s, 0);
}

/* state s of ours, which another cell computes the next value of. */
static void borrowed_state(Scope *c, Cell *own) {
    Gen *g = c->g;
    const Cell *f = &g->cell.at[pg_below(g, g->cell.n)];
    if (!f->nstate || has_whole(f) || !steps_inputs(f) || f->ret.rank > 1 || own->nstate >= 3) return;
    Sizes z = sizes_for(c, f, vec(c->dim[0]));
    Ex x = arguments(c, f, &z, 0, 0, 2);
    const char *maker = make_text(g, f, &z), *name = pg_name(g, "s"), *y = pg_name(g, "y");
    const Var *inner = &f->state[pg_below(g, (uint32_t)f->nstate)];
    Shape s = through(&z, inner->s);
    for (int i = 0; i < s.rank; i++)
        if (s.d[i][0] == '(') return;
    str_printf(&c->decl, "%sstate %s: %s = 0.2\n", c->indent, name, pg_type(g, s));
    str_printf(&c->body, "%s%s = %s(%s%s%s = %s)\n%s%s' = %s.%s'%s\n", c->indent, y, maker, x.t, f->nin ? ", " : "", inner->name, name, c->indent,
               name, y, inner->name, pg_below(g, 2) ? "" : arena_printf(g->a, " + 0.1 * tanh(%s)", name));
    pg_add(c, y, 'f', through(&z, f->ret), 0);
    pg_add(c, name, 'f', s, 0);
    own->state[own->nstate++] = (Var){name, 'f', s, NULL, 0};
}

/* A matrix for a memory, by heads, written by an outer product and read by a product. */
static void matrix_memory(Scope *c) {
    Gen *g = c->g;
    const char *n = c->dim[pg_below(g, (uint32_t)c->ndim)], *d = c->dim[pg_below(g, (uint32_t)c->ndim)], *e = c->dim[pg_below(g, (uint32_t)c->ndim)];
    const char *s = pg_name(g, "S"), *y = pg_name(g, "y");
    Ex v = pg_want(c, (Shape){2, {n, d}}, 0, 2), k = pg_want(c, (Shape){2, {n, e}}, 0, 2), f = pg_want(c, vec(n), 0, 2);
    str_printf(&c->decl, "%sstate %s: [%s, %s, %s] = 0.1\n", c->indent, s, n, d, e);
    str_printf(&c->body, "%s%s' = column(column(sigmoid(%s))) * %s + outer(tanh(%s%s), tanh(%s))\n", c->indent, s, f.t, s, v.t,
               pg_below(g, 2) ? "" : arena_printf(g->a, " - %s @ tanh(%s)", s, k.t), k.t);
    str_printf(&c->body, "%s%s = tanh(%s' @ %s)\n", c->indent, y, s, k.t);
    pg_add(c, y, 'f', (Shape){2, {n, d}}, 0);
}

static void declare_states(Scope *c, Cell *f) {
    static const char *const start[] = {"0", "0.1", "0"};
    Gen *g = c->g;
    int n = (int)pg_below(g, 4);
    for (int i = 0; i < n && f->nstate < 3; i++) {
        Shape s = pg_shape(c);
        const char *name = pg_name(g, "s"), *from = start[pg_below(g, 3)];
        if (pg_below(g, 4) == 0) from = arena_printf(g->a, pg_below(g, 2) ? "%s" : "0.3 * tanh(%s) + 0.1", pg_param(c, s));
        str_printf(&c->decl, "%sstate %s: %s = %s\n", c->indent, name, pg_type(g, s), from);
        pg_add(c, name, 'f', s, 0);
        f->state[f->nstate++] = (Var){name, 'f', s, NULL, 0};
    }
}

/* States that are a class or a bool; what they become. */
static void discrete_states(Scope *c, bool next) {
    Gen *g = c->g;
    const char *token = NULL, *on = NULL;
    for (uint32_t i = 0; next && i < c->pool.n; i++) {
        const Var *v = &c->pool.at[i];
        if (v->name[0] == 'z') *(v->kind == 't' ? &token : &on) = v->name;
    }
    if (token) str_printf(&c->body, "%s%s' = %s\n", c->indent, token, pg_token(c, "3", 0, 2).t);
    if (on) str_printf(&c->body, "%s%s' = %s\n", c->indent, on, pg_bool(c, scalar, 0, 2).t);
    if (next) return;
    if (pg_below(g, 6) == 0) {
        token = pg_name(g, "z");
        str_printf(&c->decl, "%sstate %s: token[3] = %u\n", c->indent, token, pg_below(g, 3));
        ((Var *)pg_add(c, token, 't', scalar, 0))->vocab = "3";
    }
    if (pg_below(g, 8) == 0) {
        on = pg_name(g, "z");
        str_printf(&c->decl, "%sstate %s: bool = %s\n", c->indent, on, pg_below(g, 2) ? "true" : "false");
        pg_add(c, on, 'b', scalar, 0);
    }
}

static void declare_inputs(Scope *c, Cell *f, Str *head) {
    static const char *const names[] = {"a", "b", "c"};
    Gen *g = c->g;
    f->nin = (int)pg_below(g, 8) ? 1 + (int)pg_below(g, 3) : 0;
    for (int i = 0; i < f->nin; i++) {
        uint32_t k = pg_below(g, 8), whole = i && pg_below(g, 3) == 0;
        Shape s = k < 6 ? vec(i ? "K" : "I") : k == 6 ? scalar : (Shape){2, {"H", "I"}};
        if (i && k < 3) s = vec("I");
        f->in[i] = (Var){names[i], 'f', s, NULL, whole};
        str_printf(head, "%s%s: %s%s", i ? ", " : "", names[i], whole ? "seq(S) " : "", pg_type(g, s));
        pg_add(c, names[i], 'f', s, whole);
        c->naxis |= whole;
        for (int r = 0; r < s.rank; r++) {
            bool known = false;
            for (int d = 0; d < c->ndim; d++) known |= !strcmp(c->dim[d], s.d[r]);
            if (!known) c->dim[c->ndim++] = s.d[r];
        }
    }
    if (f->nin && f->nin < 3 && !g->gentle && pg_below(g, 6) == 0) {
        f->in[f->nin++] = (Var){"d", 't', scalar, "3", 0};
        str_put(head, ", d: token[3]");
        ((Var *)pg_add(c, "d", 't', scalar, 0))->vocab = "3";
    }
}

/* What a caller can name: values over no axis, of sizes that it can know. */
static void find_look(const Scope *c, Cell *f, uint32_t from) {
    for (uint32_t i = from; i < c->pool.n && f->nlook < 4; i++) {
        const Var *v = &c->pool.at[i];
        bool simple = v->kind == 'f' && !v->axis && v->name[0] == 'v';
        for (int k = 0; k < v->s.rank; k++) simple &= v->s.d[k][0] >= 'A';
        if (simple && !strchr(v->name, '.')) f->look[f->nlook++] = *v;
    }
}

static void make_cell(Gen *g, Str *out) {
    Scope c = {.g = g, .decl = str_make(g->a), .body = str_make(g->a), .in_cell = true, .indent = "    ", .dim = {"H"}, .ndim = 1};
    Cell f = {.name = pg_name(g, "c"), .size = {"H", "J"}, .nsize = 1 + (pg_below(g, 3) == 0)};
    Str head = str_make(g->a);
    const char *act = pg_below(g, 2) ? ", act = sin" : "";
    f.more = act;
    if (f.nsize == 2) c.dim[c.ndim++] = "J";
    str_put(&head, "");
    declare_inputs(&c, &f, &head);
    declare_states(&c, &f);
    discrete_states(&c, false);
    if (pg_below(g, 4) == 0) add_noise(&c);
    int own = f.nstate;
    uint32_t mark = c.pool.n;
    statements(&c, 1 + pg_below(g, (uint32_t)g->depth * 2), UINT32_MAX);
    if (g->cell.n && pg_below(g, 3) == 0) borrowed_state(&c, &f);
    if (pg_below(g, 5) == 0) matrix_memory(&c);
    discrete_states(&c, true);
    for (int i = 0; i < own; i++) next_state(&c, &f.state[i]);
    f.ret = pg_below(g, 5) == 0 ? scalar : f.nsize == 2 && pg_below(g, 3) == 0 ? (Shape){2, {"H", "J"}} : vec("H");
    Ex y = pg_want(&c, f.ret, 0, 2);
    find_look(&c, &f, mark);
    str_printf(out, "cell %s[H%s, act = tanh](%s) {\n%s%s    return %s\n}\n", f.name, f.nsize == 2 ? ", J" : "", head.at,
               c.decl.n ? c.decl.at : "", c.body.n ? c.body.at : "", y.t);
    VEC_PUSH(g->a, g->cell) = f;
}

static void make_functions(Gen *g, Str *out) {
    static const char *const one[] = {"x * sigmoid(1.3 * x)", "sin(x) + 0.3 * x", "where(x > 0.1, x, 0.4 * tanh(x))", "1 / (1 + exp(-x))",
                                      "x * tanh(x) grad x = tanh(x) + x * (1 - tanh(x)^2)"};
    static const char *const two[] = {"a * tanh(b)", "a + sin(b) * b / (1 + b^2)", "where(a < b, a, 0.5 * (a + b))",
                                      "a * sin(b) grad a = sin(b), b = a * cos(b)"};
    g->nfn1 = (int)pg_below(g, 3);
    g->nfn2 = (int)pg_below(g, 2);
    for (int i = 0; i < g->nfn1; i++) str_printf(out, "fn one%d(x) = %s\n", i, one[pg_below(g, 5)]);
    for (int i = 0; i < g->nfn2; i++) str_printf(out, "fn two%d(a, b) = %s\n", i, two[pg_below(g, 4)]);
}

/* ---- models --------------------------------------------------------------------------------------------------------------------------- */

static void model_inputs(Scope *c) {
    Gen *g = c->g;
    str_put(&c->decl, "    input x: seq [K]\n");
    pg_add(c, "x", 'f', vec("K"), 1);
    c->naxis = 1;
    if (pg_below(g, 2)) {
        str_put(&c->decl, "    input w: seq(S) [D]\n");
        pg_add(c, "w", 'f', vec("D"), ++c->naxis);
    }
    if (pg_below(g, 3) == 0) {
        str_put(&c->decl, "    input z: seq(3) [H]\n");
        pg_add(c, "z", 'f', vec("H"), ++c->naxis);
    }
    if (pg_below(g, 2)) {
        str_put(&c->decl, "    input v: [H]\n");
        pg_add(c, "v", 'f', vec("H"), 0);
    }
    if (pg_below(g, 4) == 0) {
        str_put(&c->decl, "    input m: [D, H]\n");
        pg_add(c, "m", 'f', (Shape){2, {"D", "H"}}, 0);
    }
    if (pg_below(g, 3) == 0) {
        str_put(&c->decl, "    input t: seq token[3]\n    input u: token[3]\n");
        ((Var *)pg_add(c, "t", 't', scalar, 1))->vocab = "3";
        ((Var *)pg_add(c, "u", 't', scalar, 0))->vocab = "3";
    }
    if (pg_below(g, 3) == 0) {
        str_put(&c->decl, "    input q: seq bool\n    input i: seq []\n");
        pg_add(c, "q", 'b', scalar, 1);
        pg_add(c, "i", 'f', scalar, 1);
    }
}

static void closed_loop(Scope *c) {
    Gen *g = c->g;
    for (uint32_t k = 0; k < g->cell.n; k++) {
        const Cell *f = &g->cell.at[k];
        if (f->nin || pg_below(g, 2)) continue;
        Shape s = f->ret;
        for (int i = 0; i < s.rank; i++) s.d[i] = c->dim[pg_below(g, (uint32_t)c->ndim)];
        Sizes z = sizes_for(c, f, s);
        const char *name = pg_name(g, "y"), *given = "";
        if (f->nstate && pg_below(g, 2))
            given = arena_printf(g->a, "%s = tanh(%s), ", f->state[0].name, pg_want(c, through(&z, f->state[0].s), 0, 1).t);
        str_printf(&c->body, "    %s = %s(%ssteps = %u)\n", name, make_text(g, f, &z), given, 1 + pg_below(g, 5));
        pg_add(c, name, 'f', s, ++c->naxis);
    }
}

static void both_ways(Scope *c) {
    Gen *g = c->g;
    const Cell *f = pick_cell(c, 1);
    uint32_t axis = 1 + pg_below(g, c->naxis);
    const Var *v = pg_pick(c, 'f', axis);
    if (!f || !v || f->nin != 1 || f->in[0].s.rank != 1 || strcmp(f->ret.d[0], "H") != 0) return;
    const char *d = c->dim[pg_below(g, (uint32_t)c->ndim)], *name = pg_name(g, "y");
    Sizes z = sizes_for(c, f, vec(d));
    Ex x = pg_need(c, vec(strcmp(f->in[0].s.d[0], "H") == 0 ? d : c->dim[0]), axis, 1);
    if (x.axis != axis) return;
    str_printf(&c->body, "    %s = bidirectional[%s](%s)\n", name, make_text(g, f, &z), x.t);
    pg_add(c, name, 'f', vec(arena_printf(g->a, "(2 * %s)", d)), axis);
}

static const char *loss_of(Scope *c, uint32_t axis, bool *target) {
    Gen *g = c->g;
    const char *d = c->dim[pg_below(g, (uint32_t)c->ndim)];
    Ex p = pg_need(c, vec(d), axis, 1);
    const Var *t = pg_pick(c, 't', axis), *q = pg_pick(c, 'b', axis);
    switch (pg_below(g, 6)) {
    case 0: return arena_printf(g->a, "sum(sin(%s))", p.t);
    case 1: return arena_printf(g->a, "log_cosh(%s, 0.2)", p.t);
    case 2:
        if (t && axis) return arena_printf(g->a, "softmax_crossentropy(%s, %s)", pg_need(c, vec("3"), axis, 2).t, t->name);
        break;
    case 3:
        if (q && axis) return arena_printf(g->a, "binary_crossentropy(sigmoid(%s), %s)", pg_need(c, scalar, axis, 2).t, q->name);
        break;
    case 4:
        if (axis > 1) break;
        *target = true;
        return arena_printf(g->a, "mse(%s, %s)", pg_need(c, vec("D"), axis, 1).t, axis ? "goal" : "aim");
    default: break;
    }
    return arena_printf(g->a, "mean((%s)^2)", p.t);
}

static void make_losses(Scope *c, Str *tail) {
    Gen *g = c->g;
    bool target = false;
    uint32_t n = 1 + pg_below(g, 3);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t axis = pg_below(g, c->naxis + 1);
        if (axis && !pg_pick(c, 'f', axis)) axis = 1;
        const char *text = loss_of(c, axis, &target);
        str_printf(tail, "    loss %s", text);
        if (axis && pg_below(g, 4) == 0) str_printf(tail, ", weight = 0.2 + sigmoid(%s)", pg_need(c, scalar, axis, 1).t);
        else if (axis && pg_below(g, 4) == 0 && pg_pick(c, 'b', axis)) str_printf(tail, ", weight = %s", pg_pick(c, 'b', axis)->name);
        str_put(tail, "\n");
    }
    if (pg_below(g, 4) == 0) {
        const char *w = pg_name(g, "W");
        str_printf(&c->decl, "    param %s: [H, D] = normal(0, 0.5)\n", w);
        str_printf(tail, "    loss 0.01 * sum(%s^2)\n", w);
    }
    if (target) str_put(&c->decl, "    target goal: seq [D]\n    target aim: [D]\n");
}

static void make_outputs(Scope *c, Str *tail) {
    Gen *g = c->g;
    uint32_t n = 1 + pg_below(g, 3);
    for (uint32_t i = 0; i < n; i++) {
        const Var *v = pg_pick(c, 'f', pg_below(g, c->naxis + 1));
        if (!v) v = pg_pick(c, 'f', 1);
        str_printf(tail, "    output o%u = %s\n", i, v->name);
    }
}

static void make_model(Gen *g, Str *out, const int sizes[3]) {
    Scope c = {.g = g, .decl = str_make(g->a), .body = str_make(g->a), .indent = "    ", .dim = {"H", "K", "D"}, .ndim = 3};
    Str tail = str_make(g->a);
    model_inputs(&c);
    for (uint32_t k = 0; k < (uint32_t)g->depth; k++) { /* at least one scan, if there is a cell for it */
        uint32_t mark = c.pool.n;
        for (int i = 0; i < 6 && c.pool.n == mark; i++) statement_call(&c, 1);
        statements(&c, (uint32_t)g->depth + pg_below(g, 2) - k, UINT32_MAX);
    }
    if (pg_below(g, 3) == 0) closed_loop(&c);
    if (pg_below(g, 4) == 0) both_ways(&c);
    if (pg_below(g, 2)) statements(&c, 1 + pg_below(g, 2), UINT32_MAX);
    make_outputs(&c, &tail);
    make_losses(&c, &tail);
    str_printf(out, "model m[H = %d, K = %d, D = %d] {\n%s%s%s}\n", sizes[0], sizes[1], sizes[2], c.decl.at, c.body.n ? c.body.at : "", tail.at);
}

char *prog_generate(Arena *a, uint64_t seed) {
    static const int size[] = {1, 2, 3, 3, 5, 4, 8, 9, 17, 7, 16, 33}, wide[] = {1, 4, 8, 16};
    Gen g = {.a = a, .rng = seed};
    g.rng = gen_next(&g.rng);
    Str s = str_make(a);
    ProgRun r = {.seed = seed, .B = 1 + pg_below(&g, 5), .T = 1 + pg_below(&g, 5), .S = 1 + pg_below(&g, 4), .f64 = pg_below(&g, 2),
                 .ragged = pg_below(&g, 2), .states = pg_below(&g, 2), .training = pg_below(&g, 4) != 0, .place = pg_below(&g, 4),
                 .off = pg_below(&g, 10), .threads = 1 + pg_below(&g, 3), .reuse = pg_below(&g, 4) != 0};
    r.V = wide[pg_below(&g, r.f64 ? 3 : 4)];
    if (pg_below(&g, 24) == 0) { /* more steps than a chunk or a block holds */
        g.gentle = true;
        r.T = 100 + pg_below(&g, 200);
        r.f64 = 1;
        r.V = r.V == 16 ? 8 : r.V;
    }
    r.cut = seed % 5 == 0;
    bool beside = seed % 4 == 1;
    if (beside) { /* an example whose columns and steps have room for products beside those of the steps */
        r.B = 1;
        r.place = PLACE_BESIDE;
        r.T += 7 + seed / 8 % 16;
        r.V = r.V > 4 ? 4 : r.V;
    }
    g.depth = pg_below(&g, 4) ? 1 : 2;
    int sizes[3];
    for (int i = 0; i < 3; i++) sizes[i] = size[pg_below(&g, g.gentle ? 5 : i ? 10 : 12)];
    r.one = r.B == 1 && (beside || seed % 3);
    if (beside) sizes[0] = 9 + (int)(seed / 8 % 24);
    prog_run_print(&s, &r);
    make_functions(&g, &s);
    add_std(&g);
    if (!g.cell.n) add_std(&g);
    uint32_t n = (uint32_t)g.depth + pg_below(&g, 2);
    add_wrapper(&g, &s);
    for (uint32_t i = 0; i < n; i++) make_cell(&g, &s);
    make_model(&g, &s, sizes);
    return s.at;
}
