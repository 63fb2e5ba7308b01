/* repeat: unrolled where a round makes something of its own or there are few rounds; else a scan over a counted axis. */
#include "frontend/sema.h"

#include <string.h>

typedef struct {
    Scope *s;
    const AstStmt *st;
    int64_t from, rounds;
    uint32_t n;
    Name *name;   /* carried */
    const Val **val; /* their current values */
    bool scan;
} Repeat;

static bool mentions(const AstExpr *x, Name k)
{
    if (!x) return false;
    if ((x->kind == AST_NAME && x->name == k) || mentions(x->a, k) || mentions(x->b, k)) return true;
    for (uint32_t i = 0; i < x->args.n; i++)
        if (mentions(x->args.at[i].value, k)) return true;
    return false;
}

/* Arguments that have to be known when compiling: shift(x, k), reshape, split, brackets of a declaration, `axis` and `steps`. */
static bool sizes_from(const Scope *s, const AstExpr *x)
{
    static const char *const names[] = {"shift", "reshape", "split"};

    if (x->a->kind != AST_NAME) return false;
    for (size_t i = 0; x->kind == AST_CALL && i < sizeof names / sizeof *names; i++)
        if (!strcmp(name_str(s->e->ctx, x->a->name), names[i])) return true;
    if (x->kind != AST_BRACKET) return false;
    for (const Scope *o = s; o; o = o->up)
        if (scope_find((Scope *)o, x->a->name, false)) return false;
    return unit_find(s->e->p, s->unit, x->a->name) != NULL;
}

/* Does a size depend on the index k? Then each round is a text of its own. */
static bool sized_by(const Scope *s, const AstExpr *x, Name k)
{
    bool sizes;

    if (!x) return false;
    if (x->kind == AST_RANGE && mentions(x, k)) return true;
    sizes = (x->kind == AST_CALL || x->kind == AST_BRACKET) && sizes_from(s, x);
    for (uint32_t i = 0; i < x->args.n; i++) {
        const AstArg *a = &x->args.at[i];
        bool size = a->name ? x->kind == AST_CALL : sizes && (x->kind == AST_BRACKET || i > 0);
        if ((size && mentions(a->value, k)) || sized_by(s, a->value, k)) return true;
    }
    return sized_by(s, x->a, k) || sized_by(s, x->b, k);
}

static bool body_sized_by(const Scope *s, const AstStmts *b, Name k)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const AstStmt *st = b->at[i];
        if (sized_by(s, st->value, k) || mentions(st->from, k) || mentions(st->to, k) || body_sized_by(s, &st->body, k)) return true;
        if (st->kind == AST_REPEAT && st->value && mentions(st->value, k)) return true;
    }
    return false;
}

static bool repeat_rounds(Repeat *r)
{
    const AstStmt *st = r->st;
    const SizeSrc *src;
    int64_t to;

    if (st->value) {
        if (!eval_size(r->s, st->value, 0, 1 << 24, &r->rounds, &src)) return false;
    } else {
        if (!eval_size(r->s, st->from, -(1 << 24), 1 << 24, &r->from, &src) || !eval_size(r->s, st->to, -(1 << 24), 1 << 24, &to, &src)) return false;
        r->rounds = to > r->from ? to - r->from : 0;
    }
    r->scan = r->rounds > 3 && !scope_creates(r->s, &st->body) && !(st->targets.n && body_sized_by(r->s, &st->body, st->targets.at[0].name));
    if (r->s->e->generic && !r->scan && r->rounds > 2) r->rounds = 2;
    if (r->scan || r->rounds <= UNROLL_MAX) return true;
    sema_error(r->s->e, 404, st->keyword, "%lld rounds, each with parameters or states of its own, are too many (%d at most)", (long long)r->rounds, UNROLL_MAX);
    return false;
}

static bool carries(const Repeat *r, Name name)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->name[i] == name) return true;
    return false;
}

/* The names the block carries, with their values before it. */
static bool repeat_names(Repeat *r, uint32_t pos)
{
    const AstStmts *body = &r->st->body;
    Elab *e = r->s->e;
    uint32_t max = 0;
    bool ok = true;

    for (uint32_t i = 0; i < body->n; i++) max += body->at[i]->targets.n;
    r->name = NEW_N(e->a, Name, max + 1);
    r->val = NEW_N(e->a, const Val *, max + 1);
    for (uint32_t i = 0; i < body->n; i++)
        for (uint32_t t = 0; body->at[i]->kind == AST_BIND && t < body->at[i]->targets.n; t++) {
            const AstTarget *target = &body->at[i]->targets.at[t];
            Binding *b = NULL;
            Scope *o = r->s;
            if (!target->primed || carries(r, target->name)) continue;
            for (; o; o = o->up)
                if ((b = scope_find(o, target->name, false)) != NULL) break;
            if (!b || (b->kind == B_REPEAT && b->pos >= pos && o == r->s)) {
                if (sema_error(e, 404, target->span, "`%s` has no value before the block", name_str(e->ctx, target->name)))
                    diag_help(e->ctx, (Span){0, 0}, "bind it: `%s = ...`; that is its value in the first round", name_str(e->ctx, target->name));
                ok = false;
                continue;
            }
            r->name[r->n] = target->name;
            r->val[r->n] = val_float(r->s, scope_value(o->origin ? o->origin : o, b), "a carried name");
            ok &= r->val[r->n++]->kind != V_POISON;
        }
    if (ok && !r->n && sema_error(e, 404, r->st->keyword, "this block carries nothing from round to round")) {
        diag_help(e->ctx, (Span){0, 0}, "bind a primed name in it: `h' = ...`");
        ok = false;
    }
    return ok;
}

static Scope *round_scope(Repeat *r, int64_t k)
{
    Scope *s = r->s, *c = scope_make(s->e, SC_ROUND, s->unit);

    c->up = s;
    c->lazy = s->lazy;
    c->decl = s->decl;
    c->body = &r->st->body;
    c->level = s->level;
    c->hidden = s->hidden;
    c->over = s->over;
    c->rows = s->rows;
    c->scan = s->scan;
    c->param_path = s->param_path;
    c->state_path = s->state_path;
    c->round = r->scan ? s->round : intern_printf(s->e->ctx, "%s.%lld", name_str(s->e->ctx, s->round), (long long)k);
    return c;
}

/* The carried values after a round, in the shapes they had before. */
static bool round_next(Repeat *r, Scope *c, const Val **next)
{
    Elab *e = r->s->e;

    for (uint32_t i = 0; i < r->n; i++) {
        Binding *b = scope_find(c, r->name[i], true);
        const Val *v = b ? scope_value(c, b) : &val_poison, *w;
        Node t = val_type(r->val[i]);
        v = val_float(c, v, "a carried name");
        if (v->kind == V_POISON) return false;
        w = val_type(v).rank <= t.rank ? val_broadcast(c, v, t.rank, t.dim, r->val[i]->src) : &val_poison;
        if (w->kind == V_POISON) {
            if (sema_error(e, 311, v->span, "`%s'` is %s, but `%s` is %s before the round", name_str(e->ctx, r->name[i]), val_text(c, v),
                           name_str(e->ctx, r->name[i]), val_text(r->s, r->val[i])))
                note_sizes(e, v, r->val[i]);
            return false;
        }
        next[i] = w;
    }
    return true;
}

static bool repeat_unrolled(Repeat *r)
{
    const Val **next = NEW_N(r->s->e->a, const Val *, r->n + 1);

    for (int64_t k = 0; k < r->rounds; k++) {
        Scope *c = round_scope(r, k);
        if (r->st->targets.n)
            scope_bind(c, r->st->targets.at[0].name, val_num(r->s->e, (double)(r->from + k), true, r->st->targets.at[0].span), r->st->targets.at[0].span);
        for (uint32_t i = 0; i < r->n; i++) scope_bind(c, r->name[i], r->val[i], r->val[i]->decl);
        scope_run(c);
        if (!round_next(r, c, next)) return false;
        for (uint32_t i = 0; i < r->n; i++) r->val[i] = next[i];
    }
    return true;
}

static uint32_t repeat_axis(Repeat *r)
{
    Elab *e = r->s->e;
    uint32_t depth = 0, a;
    Name name;

    for (uint32_t i = 1; i < e->m->naxis; i++)
        if ((r->s->rows & AX(i)) && name_str(e->ctx, e->m->axis[i].name)[0] == '#') depth++;
    name = intern_printf(e->ctx, "#%lld.%u", (long long)r->rounds, (unsigned)depth);
    for (a = 1; a < e->m->naxis; a++)
        if (e->m->axis[a].name == name) return a;
    if (e->m->naxis == MAX_AXES) return sema_error(e, 901, r->st->span, "more than %d axes", MAX_AXES), 0;
    a = module_add_axis(e->m, AXIS_COUNT, name);
    e->m->axis[a].count = (int32_t)r->rounds;
    return a;
}

static const Val *round_index(Scope *c, int64_t from, uint32_t axis, Span span)
{
    Graph *g = c->level->g;
    Ref i = g_iota_axis(g, axis, true);

    return val_of(c, from ? g_bin(g, OP_ADD, i, g_int(g, (int32_t)from)) : i, span);
}

static bool repeat_scanned(Repeat *r)
{
    Elab *e = r->s->e;
    uint32_t axis = repeat_axis(r), nguess = 0, errors = diag_error_count(e->ctx);
    const Val **next = NEW_N(e->a, const Val *, r->n + 1);
    CarryGuess *guess = NULL;

    for (int round = 0; axis && round < 6; round++) {
        Scan *sc = scan_make(e, r->s->level, axis, r->s->hidden);
        Scope *c = round_scope(r, 0);
        sc->guess = guess;
        sc->nguess = nguess;
        c->level = sc->inner;
        c->rows |= AX(axis);
        if (r->st->targets.n) scope_bind(c, r->st->targets.at[0].name, round_index(c, r->from, axis, r->st->targets.at[0].span), r->st->targets.at[0].span);
        for (uint32_t i = 0; i < r->n; i++) {
            Node t = val_type(r->val[i]);
            uint32_t k = scan_carry(e, sc, r->name[i], r->val[i]->ref, t.axes, &t, r->st->span);
            Val *v = (Val *)val_of(c, sc->carry.at[k].leaf, r->val[i]->span);
            if (v->kind == V_POISON) return false;
            v->decl = r->val[i]->decl;
            for (int d = 0; d < MAX_RANK; d++) v->src[d] = r->val[i]->src[d];
            scope_bind(c, r->name[i], v, v->decl);
        }
        scope_run(c);
        if (!round_next(r, c, next) || diag_error_count(e->ctx) != errors || e->unsure) return false;
        for (uint32_t i = 0; i < r->n; i++) sc->carry.at[i].next = next[i]->ref;
        if (!scan_settle(e, sc, &guess, &nguess)) continue;
        if (!scan_close(e, sc, r->st->span)) break;
        for (uint32_t i = 0; i < r->n; i++) {
            Val *v = val_copy(e, r->val[i]);
            v->ref = scan_last(e, sc, i);
            r->val[i] = v;
        }
        return true;
    }
    sema_internal(e, r->st->span, "the repeat");
    return false;
}

void repeat_run(Scope *s, const AstStmt *st, uint32_t pos)
{
    Repeat r = {.s = s, .st = st};
    bool ok = repeat_rounds(&r), named = repeat_names(&r, pos);

    if (ok && named && r.rounds) ok = r.scan ? repeat_scanned(&r) : repeat_unrolled(&r);
    for (uint32_t i = 0; i < r.n; i++) {
        Val *v = NULL;
        if (ok && named) {
            v = val_copy(s->e, r.val[i]);
            v->call = NULL;
        }
        if (!s->lazy) {
            scope_bind(s, r.name[i], v ? v : &val_poison, st->span);
            continue;
        }
        for (uint32_t k = 0; k < s->name.n; k++)
            if (s->name.at[k]->stmt == st && s->name.at[k]->name == r.name[i]) {
                s->name.at[k]->val = v ? v : &val_poison;
                s->name.at[k]->status = 2;
            }
    }
}
