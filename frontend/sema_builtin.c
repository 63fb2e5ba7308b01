/* The functions the compiler knows, one handler a kind, and the members that act on time. */
#include "frontend/sema.h"

#include <string.h>

typedef enum {
    BK_UNARY, BK_SUM, BK_MEAN, BK_MAX, BK_MIN, BK_SOFTMAX, BK_ARGMAX, BK_WHERE, BK_OUTER, BK_COLUMN, BK_ROW, BK_RESHAPE,
    BK_SPLIT, BK_REVERSE, BK_SHIFT, BK_THEN, BK_DRAW
} BuiltinKind;

struct Builtin {
    const char *name;
    BuiltinKind kind;
    Op op;
    uint32_t min, max;
    const char *named, *doc;
};

static const Builtin builtins[] = {
#define B(name, kind, op, min, max, named, doc) {name, BK_##kind, op, min, max, named, doc},
#include "frontend/builtins.def"
#undef B
};

enum { NBUILTIN = sizeof builtins / sizeof builtins[0] };

const Builtin *builtin_find(Name name, Ctx *ctx)
{
    const char *n = name_str(ctx, name);

    for (uint32_t i = 0; i < NBUILTIN; i++)
        if (!strcmp(n, builtins[i].name)) return &builtins[i];
    return NULL;
}

const char *builtin_name(const Builtin *b)
{
    return b ? b->name : "f";
}

bool builtin_is_draw(const Builtin *b)
{
    return b->kind == BK_DRAW;
}

uint32_t builtin_count(void)
{
    return NBUILTIN;
}

const char *builtin_name_at(uint32_t i)
{
    return builtins[i].name;
}

static Val *value(Scope *s, Ref r, Span span, const Val *like)
{
    Val *w = (Val *)val_of(s, r, span);

    if (w->kind == V_TENSOR && like) take_sizes(w, like);
    return w;
}

/* ---- reductions ------------------------------------------------------------------------------------------------------- */

static Ref real_steps(Scope *s, uint32_t axes)
{
    Graph *g = s->level->g;
    Ref n = 0;

    for (uint32_t a = 1; a < s->e->m->naxis; a++)
        if (axes & AX(a)) {
            Ref l = g_cast(g, g_length(g, a), DT_F);
            n = n ? g_bin(g, OP_MUL, n, l) : l;
        }
    return n;
}

const Val *reduce(Scope *s, const Val *v, Op op, bool mean, uint32_t axes, uint32_t dims, Span span)
{
    Graph *g = s->level->g;
    double count = 1;
    Val *w;
    Node n;
    Ref r;
    int k = 0;

    v = val_float(s, v, "a reduction");
    if (v->kind == V_POISON) return v;
    n = val_type(v);
    if (!axes && !dims) r = v->ref; /* of a scalar */
    else r = op == OP_SUM ? g_sum(g, v->ref, axes, dims) : g_amax(g, op == OP_MIN ? g_un(g, OP_NEG, v->ref) : v->ref, axes, dims);
    if (op == OP_MIN && (axes || dims)) r = g_un(g, OP_NEG, r);
    for (int i = 0; i < n.rank; i++)
        if (dims >> i & 1) count *= n.dim[i];
    if (mean && dims) r = g_bin(g, OP_DIV, r, g_const(g, count));
    if (mean && axes) r = g_bin(g, OP_DIV, r, real_steps(s, axes));
    w = (Val *)val_of(s, r, span);
    if (w->kind == V_POISON) return w;
    for (int i = 0; i < n.rank; i++)
        if (!(dims >> i & 1)) w->src[k++] = v->src[i];
    return w;
}

/* A reduced value back to the shape it had: r has `dims` of v dropped. */
static Ref spread(Scope *s, Ref r, const Val *v, uint32_t dims)
{
    Node n = val_type(v);
    int32_t map[3] = {-1, -1, -1};
    int k = 0;

    for (int i = 0; i < n.rank; i++)
        if (!(dims >> i & 1)) map[i] = k++;
    return dims && k ? g_expand(s->level->g, r, n.rank, n.dim, map, 0) : r;
}

const Val *softmax_over(Scope *s, const Val *v, uint32_t axes, uint32_t dims, Span span)
{
    Graph *g = s->level->g;
    Ref m, ex;

    v = val_float(s, v, "softmax");
    if (v->kind == V_POISON) return v;
    m = g_un(g, OP_STOP, g_amax(g, v->ref, axes, dims));
    ex = g_un(g, OP_EXP, g_bin(g, OP_SUB, v->ref, spread(s, m, v, dims)));
    return value(s, g_bin(g, OP_DIV, ex, spread(s, g_sum(g, ex, axes, dims), v, dims)), span, v);
}

/* The dim named by `axis = k`, or what the function takes without. False with an error. */
static bool dims_of(Scope *s, const AstArg *axis, const Val *v, uint32_t without, uint32_t *dims)
{
    const SizeSrc *src;
    int64_t k;
    int rank = val_type(v).rank;

    if (!axis) {
        *dims = without;
        return true;
    }
    if (!eval_size(s, axis->value, -rank, rank - 1, &k, &src)) {
        if (!s->e->unsure) diag_note(s->e->ctx, v->span, "this is %s", val_text(s, v));
        return false;
    }
    *dims = 1u << (k < 0 ? k + rank : k);
    return true;
}

static const Val *call_reduce(Scope *s, const AstExpr *x, const Builtin *b, const Val *v, const AstArg *axis)
{
    uint32_t dims, last;
    int rank;

    v = val_float(s, v, b->name);
    if (v->kind == V_POISON) return v;
    rank = val_type(v).rank;
    last = rank ? 1u << (rank - 1) : 0;
    if (!dims_of(s, axis, v, b->kind == BK_SOFTMAX || b->kind == BK_ARGMAX ? last : (1u << rank) - 1, &dims)) return &val_poison;
    if ((b->kind == BK_SOFTMAX || b->kind == BK_ARGMAX) && !rank) {
        if (sema_error(s->e, 312, x->span, "%s takes features; this is %s", b->name, val_text(s, v)) && val_seq(s, v) && b->kind == BK_SOFTMAX)
            diag_help(s->e->ctx, (Span){0, 0}, "over the steps of a sequence: `x.softmax`");
        return &val_poison;
    }
    if (b->kind == BK_SOFTMAX) return softmax_over(s, v, 0, dims, x->span);
    if (b->kind == BK_ARGMAX) {
        uint32_t d = 0;
        Val *w;
        while (!(dims >> d & 1)) d++;
        w = (Val *)val_of(s, g_argmax(s->level->g, v->ref, d), x->span);
        if (w->kind == V_TENSOR) w->vocab = val_type(v).dim[d];
        return w;
    }
    return reduce(s, v, b->kind == BK_MAX ? OP_AMAX : b->kind == BK_MIN ? OP_MIN : OP_SUM, b->kind == BK_MEAN, 0, dims, x->span);
}

/* ---- elementwise ------------------------------------------------------------------------------------------------------ */

static const Val *call_pair(Scope *s, const AstExpr *x, const Builtin *b, const Val *u, const Val *v)
{
    u = val_float(s, u, b->name);
    v = val_float(s, v, b->name);
    if (u->kind == V_POISON || v->kind == V_POISON) return &val_poison;
    if (!broadcast_pair(s, x->span, "and", &u, &v)) return &val_poison;
    return value(s, g_bin(s->level->g, b->op, u->ref, v->ref), x->span, val_type(u).rank ? u : v);
}

static const Val *call_where(Scope *s, const AstExpr *x, const Val *c, const Val *u, const Val *v)
{
    const Val *c1, *c2;
    Val *w;

    c = val_tensor(s, c);
    u = val_tensor(s, val_token(s, u, v->vocab));
    v = val_tensor(s, val_token(s, v, u->vocab));
    if (c->kind == V_POISON || u->kind == V_POISON || v->kind == V_POISON) return &val_poison;
    if (val_type(c).dtype != DT_B && !c->flag) {
        if (sema_error(s->e, 308, c->span, "the first argument of `where` is a bool; this is %s", val_text(s, c)))
            diag_help(s->e->ctx, (Span){0, 0}, "compare it: `where(x > 0, a, b)`");
        return &val_poison;
    }
    if (u->vocab != v->vocab || !u->vocab) {
        u = val_float(s, u, "`where`");
        v = val_float(s, v, "`where`");
        if (u->kind == V_POISON || v->kind == V_POISON) return &val_poison;
    }
    if (!broadcast_pair(s, x->span, "and", &u, &v)) return &val_poison;
    c1 = c2 = c;
    if (!broadcast_pair(s, x->span, "and", &c1, &u) || !broadcast_pair(s, x->span, "and", &c2, &v)) return &val_poison;
    w = value(s, g_select(s->level->g, c1->ref, u->ref, v->ref), x->span, val_type(u).rank ? u : v);
    if (w->kind == V_TENSOR) w->vocab = u->vocab;
    return w;
}

/* ---- shapes ----------------------------------------------------------------------------------------------------------- */

static const Val *call_outer(Scope *s, const AstExpr *x, const Val *u, const Val *v)
{
    static const uint8_t label[2][3][3] = {{{1}, {2}, {1, 2}}, {{9, 1}, {9, 2}, {9, 1, 2}}}; /* 9 counts the heads */
    const uint8_t (*l)[3];
    bool heads;
    Node m, n;
    Val *w;

    u = val_float(s, u, "outer");
    v = val_float(s, v, "outer");
    if (u->kind == V_POISON || v->kind == V_POISON) return &val_poison;
    m = val_type(u);
    n = val_type(v);
    heads = m.rank == 2 && n.rank == 2;
    if (!(m.rank == 1 && n.rank == 1) && !(heads && m.dim[0] == n.dim[0])) {
        if (sema_error(s->e, 309, x->span, "`outer` takes two vectors, or [N, A] and [N, B] by N heads: these are %s and %s", val_text(s, u), val_text(s, v))) {
            note_sizes(s->e, u, v);
            if (m.rank == 2 && n.rank == 1) diag_help(s->e->ctx, (Span){0, 0}, "`column(u) * v` gives every head of u the same vector v");
            if (m.rank == 1 && n.rank == 2) diag_help(s->e->ctx, (Span){0, 0}, "`column(u) * row(v)` gives every head of v the same vector u");
        }
        return &val_poison;
    }
    if (!same_sequences(s, x->span, u, v)) return &val_poison;
    l = label[heads];
    w = (Val *)val_of(s, g_dot(s->level->g, u->ref, v->ref, l[0], l[1], l[2], m.axes | n.axes), x->span);
    if (w->kind == V_POISON) return w;
    for (int d = 0; d < m.rank; d++) w->src[d] = u->src[d];
    w->src[m.rank] = v->src[heads];
    return w;
}

/* A dim of 1 behind, or before, the last one. */
static const Val *call_vector_shape(Scope *s, const AstExpr *x, const Builtin *b, const Val *v)
{
    int32_t dim[MAX_RANK] = {0};
    int one, rank;
    Val *w;

    v = val_float(s, v, b->name);
    if (v->kind == V_POISON) return v;
    rank = val_type(v).rank;
    if (rank < 1 || rank >= MAX_RANK) {
        sema_error(s->e, 309, v->span, "`%s` takes a vector, or a vector for each head; this is %s", b->name, val_text(s, v));
        return &val_poison;
    }
    one = b->kind == BK_COLUMN ? rank : rank - 1;
    for (int d = 0; d <= rank; d++) dim[d] = d == one ? 1 : val_type(v).dim[d - (d > one)];
    w = (Val *)val_of(s, g_reshape(s->level->g, v->ref, rank + 1, dim), x->span);
    if (w->kind != V_TENSOR) return w;
    for (int d = 0; d <= rank; d++) w->src[d] = d == one ? NULL : v->src[d - (d > one)];
    return w;
}

static const Val *call_reshape(Scope *s, const AstExpr *x, const Val *v)
{
    int32_t dim[MAX_RANK] = {0};
    const SizeSrc *src[MAX_RANK] = {NULL};
    int64_t n, total = 1;
    int rank = (int)x->args.n - 1;
    Val *w;
    Node t;

    v = val_float(s, v, "reshape");
    if (v->kind == V_POISON) return v;
    for (int i = 0; i < rank; i++) {
        if (!eval_size(s, x->args.at[i + 1].value, 1, 1 << 24, &n, &src[i])) return &val_poison;
        dim[i] = (int32_t)n;
        total *= n;
    }
    t = val_type(v);
    if (total != node_features(&t)) {
        if (s->e->generic) s->e->unsure = true;
        if (sema_error(s->e, 310, x->span, "%s has %lld numbers, the new shape %s has %lld", val_text(s, v), (long long)node_features(&t),
                       dims_text(s->e, rank, dim, src), (long long)total))
            note_sizes(s->e, v, NULL);
        return &val_poison;
    }
    w = (Val *)val_of(s, g_reshape(s->level->g, v->ref, rank, dim), x->span);
    if (w->kind == V_TENSOR) memcpy(w->src, src, sizeof src);
    return w;
}

static const Val *call_split(Scope *s, const AstExpr *x, const Val *v, const AstArg *axis)
{
    const SizeSrc *src;
    const Val **item;
    uint32_t dims, d = 0;
    int64_t n;
    Val *w;
    Node t;

    v = val_float(s, v, "split");
    if (v->kind == V_POISON || !eval_size(s, x->args.at[1].value, 1, 64, &n, &src)) return &val_poison;
    t = val_type(v);
    if (!t.rank) {
        sema_error(s->e, 317, x->span, "a scalar cannot be split");
        return &val_poison;
    }
    if (!dims_of(s, axis, v, 1, &dims)) return &val_poison;
    while (!(dims >> d & 1)) d++;
    if (t.dim[d] % n) {
        if (s->e->generic) s->e->unsure = true;
        if (sema_error(s->e, 317, x->span, "%d entries cannot be split into %lld equal parts", (int)t.dim[d], (long long)n)) note_sizes(s->e, v, NULL);
        return &val_poison;
    }
    w = val_new(s->e, V_TUPLE, x->span);
    item = NEW_N(s->e->a, const Val *, n);
    for (int32_t i = 0, step = t.dim[d] / (int32_t)n; i < n; i++) {
        Val *p = (Val *)val_of(s, g_slice(s->level->g, v->ref, d, i * step, (i + 1) * step), x->span);
        if (p->kind == V_TENSOR) {
            memcpy(p->src, v->src, sizeof p->src);
            p->src[d] = v->src[d] ? size_src(s->e, arena_printf(s->e->a, "%s/%lld", v->src[d]->text, (long long)n), (Span){0, 0}) : NULL;
        }
        item[i] = p;
    }
    w->item = item;
    w->nitem = (uint32_t)n;
    return w;
}

/* ---- time ------------------------------------------------------------------------------------------------------------- */

static bool one_axis(Scope *s, Span at, const Val *v, const char *what, uint32_t *axis)
{
    uint32_t seq = val_seq(s, v);

    *axis = 0;
    for (uint32_t a = 1; a < s->e->m->naxis; a++)
        if (seq & AX(a)) *axis = a;
    if (seq && seq == AX(*axis)) return true;
    if (seq) {
        sema_error(s->e, 313, at, "`%s` of a value over two sequences: %s", what, val_text(s, v));
    } else if (sema_error(s->e, 313, at, "`%s` is for sequences; this is %s", what, val_text(s, v))) {
        if (v->decl.lo) diag_note(s->e->ctx, v->decl, "declared here");
        if (!strcmp(what, "mean") || !strcmp(what, "sum") || !strcmp(what, "max") || !strcmp(what, "softmax"))
            diag_help(s->e->ctx, (Span){0, 0}, "over features: `%s(x)`", what);
        else if (s->kind != SC_MODEL)
            diag_help(s->e->ctx, (Span){0, 0}, "a cell sees one step; an input declared `x: seq [I]` is seen whole");
    }
    return false;
}

static Val *keep_kind(Val *w, const Val *v)
{
    if (w->kind == V_TENSOR) w->vocab = v->vocab;
    return w;
}

static const Val *call_shift(Scope *s, const AstExpr *x, const Val *v, const AstArg *fill)
{
    Graph *g = s->level->g;
    const SizeSrc *src;
    const Val *f;
    uint32_t axis;
    int64_t n;
    Node t, u;
    Ref r;

    v = val_tensor(s, v);
    if (v->kind == V_POISON || !one_axis(s, x->span, v, "shift", &axis)) return &val_poison;
    if (!eval_size(s, x->args.at[1].value, -1000000, 1000000, &n, &src)) return &val_poison;
    t = val_type(v);
    f = fill ? val_tensor(s, eval(s, fill->value)) : val_of(s, t.dtype == DT_F ? g_const(g, 0) : g_int(g, 0), x->span);
    if (f->kind == V_POISON) return f;
    u = val_type(f);
    if (u.axes & AX(axis)) {
        sema_error(s->e, 313, f->span, "the fill of a shift is one value, not a sequence");
        return &val_poison;
    }
    if (u.dtype != t.dtype) f = val_of(s, g_cast(g, f->ref, (DType)t.dtype), f->span);
    r = g_broadcast(g, f->ref, t.rank, t.dim);
    if (!r) {
        sema_error(s->e, 300, f->span, "the fill is %s, the sequence %s", val_text(s, f), val_text(s, v));
        return &val_poison;
    }
    r = g_expand_axes(g, r, t.axes & ~AX(axis) & ~val_type(f).axes);
    return keep_kind(value(s, g_shift(g, v->ref, r, axis, (int32_t)n), x->span, v), v);
}

static const Val *call_reverse(Scope *s, const AstExpr *x, const Val *v)
{
    uint32_t axis;

    v = val_tensor(s, v);
    if (v->kind == V_POISON || !one_axis(s, x->span, v, "reverse", &axis)) return &val_poison;
    return keep_kind(value(s, g_reverse(s->level->g, v->ref, axis), x->span, v), v);
}

/* An operand of `then`: a value without an axis is one step. */
static Ref then_part(Scope *s, const Val *v, uint32_t *axis)
{
    if (val_seq(s, v)) return one_axis(s, v->span, v, "then", axis) ? v->ref : 0;
    *axis = elab_count_axis(s->e, 1);
    return g_expand_axes(s->level->g, v->ref, AX(*axis));
}

static const Val *call_then(Scope *s, const AstExpr *x, const Val *u, const Val *v)
{
    uint32_t a, b, axis;
    Ref p, q;
    Node m, n;

    u = val_tensor(s, val_token(s, u, v->vocab));
    v = val_tensor(s, val_token(s, v, u->vocab));
    if (u->kind == V_POISON || v->kind == V_POISON) return &val_poison;
    if (val_type(u).dtype == DT_B && val_type(v).dtype == DT_F) u = val_float(s, u, "`then`"); /* beside a number a bool is 0 or 1 */
    if (val_type(v).dtype == DT_B && val_type(u).dtype == DT_F) v = val_float(s, v, "`then`");
    m = val_type(u);
    n = val_type(v);
    if (m.rank != n.rank || memcmp(m.dim, n.dim, sizeof m.dim) || m.dtype != n.dtype || u->vocab != v->vocab) {
        if (sema_error(s->e, 305, x->span, "`then` joins sequences of one kind: %s and %s", val_text(s, u), val_text(s, v))) note_sizes(s->e, u, v);
        return &val_poison;
    }
    p = then_part(s, u, &a);
    q = then_part(s, v, &b);
    axis = p && q ? elab_join_axis(s->e, a, b) : 0;
    return axis ? keep_kind(value(s, g_join(s->level->g, p, q, a, b, axis), x->span, u), u) : &val_poison;
}

const Val *eval_time_member(Scope *s, const AstExpr *x, const Val *v)
{
    static const char *const names[] = {"last", "first", "mean", "sum", "max", "softmax"};
    const char *n = name_str(s->e->ctx, x->name);
    Graph *g = s->level->g;
    uint32_t axis;
    int k = 0;

    while (k < 6 && strcmp(n, names[k])) k++;
    if (k == 6) return NULL;
    v = val_tensor(s, v);
    if (v->kind == V_POISON || !one_axis(s, x->at, v, n, &axis)) return &val_poison;
    if (k == 0) return keep_kind(value(s, g_last(g, v->ref, axis), x->span, v), v);
    if (k == 1) return keep_kind(value(s, g_last(g, g_reverse(g, v->ref, axis), axis), x->span, v), v);
    if (k == 5) return softmax_over(s, v, AX(axis), 0, x->span);
    return reduce(s, v, k == 4 ? OP_AMAX : OP_SUM, k == 2, AX(axis), 0, x->span);
}

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

static bool builtin_args(Scope *s, const AstExpr *x, const Builtin *b, uint32_t *npos, const AstArg **named)
{
    Ctx *c = s->e->ctx;

    *named = NULL;
    *npos = 0;
    for (uint32_t i = 0; i < x->args.n; i++) {
        const AstArg *a = &x->args.at[i];
        if (!a->name) ++*npos;
        else if (b->named[0] && !strcmp(name_str(c, a->name), b->named)) *named = a;
        else {
            if (sema_error(s->e, 206, a->name_span, "`%s` has no argument `%s`", b->name, name_str(c, a->name)) && b->named[0])
                diag_help(c, (Span){0, 0}, "it has `%s`", b->named);
            return false;
        }
        if (!a->name && *named) {
            sema_error(s->e, 207, a->span, "an argument by position after one by name");
            return false;
        }
    }
    if (*npos >= b->min && *npos <= b->max) return true;
    if (b->min == b->max) sema_error(s->e, 207, x->span, "`%s` takes %u argument%s, not %u", b->name, (unsigned)b->min, b->min == 1 ? "" : "s", (unsigned)*npos);
    else sema_error(s->e, 207, x->span, "`%s` takes %u to %u arguments, not %u", b->name, (unsigned)b->min, (unsigned)b->max, (unsigned)*npos);
    return false;
}

const Val *builtin_call(Scope *s, const AstExpr *x, const Builtin *b)
{
    const AstArg *named;
    const Val *v[3] = {NULL, NULL, NULL}, *t;
    uint32_t n, evaluated;
    Val *w;

    if (!builtin_args(s, x, b, &n, &named)) return &val_poison;
    evaluated = b->kind == BK_RESHAPE || b->kind == BK_SPLIT || b->kind == BK_SHIFT ? 1 : n;
    for (uint32_t i = 0; i < evaluated; i++) v[i] = eval(s, x->args.at[i].value);
    for (uint32_t i = 0; i < evaluated; i++)
        if (v[i]->kind == V_POISON) return &val_poison;
    s->level->g->span = x->span.lo;
    switch (b->kind) {
    case BK_UNARY:
        t = val_float(s, v[0], b->name);
        if (t->kind == V_POISON) return t;
        w = (Val *)val_of(s, g_un(s->level->g, b->op, t->ref), x->span);
        if (w->kind == V_TENSOR) memcpy(w->src, t->src, sizeof w->src);
        return w;
    case BK_SUM: case BK_MEAN: case BK_SOFTMAX: case BK_ARGMAX: return call_reduce(s, x, b, v[0], named);
    case BK_MAX: case BK_MIN: return n == 2 ? call_pair(s, x, b, v[0], v[1]) : call_reduce(s, x, b, v[0], named);
    case BK_WHERE: return call_where(s, x, v[0], v[1], v[2]);
    case BK_OUTER: return call_outer(s, x, v[0], v[1]);
    case BK_COLUMN: case BK_ROW: return call_vector_shape(s, x, b, v[0]);
    case BK_RESHAPE: return call_reshape(s, x, v[0]);
    case BK_SPLIT: return call_split(s, x, v[0], named);
    case BK_REVERSE: return call_reverse(s, x, v[0]);
    case BK_SHIFT: return call_shift(s, x, v[0], named);
    case BK_THEN: return call_then(s, x, v[0], v[1]);
    case BK_DRAW: return draw_builtin(s, b, v[0], v[1], x->span);
    }
    return &val_poison;
}
