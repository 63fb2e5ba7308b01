/* See rewrite.h: a reader of plain cells (params, states, assignments), a printer, and the rewrites between them. */
#include "tests/unit/rewrite.h"

#include <ctype.h>
#include <string.h>

enum { MANY = 32, ARGS = 8 };

/* op: 'n' a name or number, 'c' a call, 'l' a list, '~' minus, '\'' the new value of a state; else the operator */
typedef struct Expr {
    char op;
    const char *text;
    int n;
    struct Expr *arg[ARGS];
} Expr;

typedef struct {
    const char *name, *dim, *init;
    Origin origin;
} Decl;
typedef struct {
    const char *target[ARGS];
    int n;
    Expr *value;
} Line;
typedef struct {
    Arena *a;
    const char *at;
    const char *head, *result; /* of the cell: after its name; the returned expression */
    Decl param[MANY], state[ARGS];
    Line line[MANY];
    int nparam, nstate, nline, fresh;
    Str functions;
} Cell;

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static void blanks(Cell *c) {
    while (*c->at == ' ') c->at++;
}

static bool took(Cell *c, char k) {
    blanks(c);
    if (*c->at != k) return false;
    c->at++;
    return true;
}

static const char *word(Cell *c) {
    blanks(c);
    const char *from = c->at;
    while (isalnum((unsigned char)*c->at) || *c->at == '_' || *c->at == '.' || ((*c->at == '-' || *c->at == '+') && c->at[-1] == 'e' && isdigit((unsigned char)*from))) c->at++;
    if (*c->at == '\'') c->at++;
    return arena_strndup(c->a, from, (size_t)(c->at - from));
}

static const char *until(Cell *c, const char *ends) {
    blanks(c);
    const char *from = c->at;
    for (int depth = 0; *c->at && *c->at != '\n' && (depth || !strchr(ends, *c->at)); c->at++)
        depth += (*c->at == '[' || *c->at == '(') - (*c->at == ']' || *c->at == ')');
    const char *to = c->at;
    while (to > from && to[-1] == ' ') to--;
    return arena_strndup(c->a, from, (size_t)(to - from));
}

static Expr *make(Cell *c, char op, const char *text, Expr *l, Expr *r) {
    Expr *e = NEW(c->a, Expr);
    *e = (Expr){.op = op, .text = text, .n = (l != NULL) + (r != NULL), .arg = {l, r}};
    return e;
}

static Expr *sum(Cell *c);

static void args(Cell *c, Expr *e, char end) {
    do e->arg[e->n++] = sum(c);
    while (took(c, ','));
    took(c, end);
}

static Expr *atom(Cell *c) {
    Expr *e;
    if (took(c, '-')) return make(c, '~', NULL, atom(c), NULL);
    if (took(c, '(')) {
        e = sum(c);
        took(c, ')');
    } else if (took(c, '[')) {
        e = make(c, 'l', NULL, NULL, NULL);
        args(c, e, ']');
    } else {
        e = make(c, 'n', word(c), NULL, NULL);
        if (took(c, '(')) {
            e->op = 'c';
            args(c, e, ')');
        }
    }
    return took(c, '^') ? make(c, '^', NULL, e, atom(c)) : e;
}

static Expr *product(Cell *c) {
    Expr *e = atom(c);
    return took(c, '@') ? make(c, '@', NULL, e, product(c)) : e;
}

static Expr *term(Cell *c) {
    Expr *e = product(c);
    for (;;) {
        if (took(c, '*')) e = make(c, '*', NULL, e, product(c));
        else if (took(c, '/')) e = make(c, '/', NULL, e, product(c));
        else return e;
    }
}

static Expr *sum(Cell *c) {
    Expr *e = term(c);
    for (;;) {
        if (took(c, '+')) e = make(c, '+', NULL, e, term(c));
        else if (took(c, '-')) e = make(c, '-', NULL, e, term(c));
        else return e;
    }
}

static void declare(Cell *c, Decl *d, int *n) {
    int from = *n;
    do d[(*n)++].name = word(c);
    while (took(c, ','));
    took(c, ':');
    took(c, '[');
    const char *dim = until(c, "]");
    took(c, ']');
    took(c, '=');
    const char *init = until(c, "");
    for (int i = from; i < *n; i++) {
        d[i].dim = dim;
        d[i].init = init;
        d[i].origin = (Origin){.name = d[i].name, .part = {{d[i].name, false, "", ""}}, .nparts = 1};
    }
}

static bool read_line(Cell *c) {
    const char *start = c->at, *first = word(c);
    if (!strcmp(first, "param")) declare(c, c->param, &c->nparam);
    else if (!strcmp(first, "state")) declare(c, c->state, &c->nstate);
    else if (!strcmp(first, "return")) c->result = until(c, "");
    else if (*first) {
        Line *l = &c->line[c->nline++];
        c->at = start;
        do l->target[l->n++] = word(c);
        while (took(c, ','));
        took(c, '=');
        l->value = sum(c);
    }
    while (*c->at && *c->at != '\n') c->at++;
    if (*c->at) c->at++;
    return !c->result;
}

/* ---- printing ----------------------------------------------------------------------------------------------------------- */

static void put(Str *s, const Expr *e);

static int strength(const Expr *e) {
    switch (e->op) {
    case '+':
    case '-': return 1;
    case '*':
    case '/': return 2;
    case '@': return 3;
    case '~': return 0; /* in parentheses wherever it stands */
    default: return 5;
    }
}

static void put_in(Str *s, const Expr *e, int least) {
    bool close = strength(e) < least;
    if (close) str_putc(s, '(');
    put(s, e);
    if (close) str_putc(s, ')');
}

static void put(Str *s, const Expr *e) {
    if (e->op == 'n') {
        str_put(s, e->text);
    } else if (e->op == 'c' || e->op == 'l') {
        str_printf(s, "%s%c", e->op == 'c' ? e->text : "", e->op == 'c' ? '(' : '[');
        for (int i = 0; i < e->n; i++) {
            str_put(s, i ? ", " : "");
            put(s, e->arg[i]);
        }
        str_putc(s, e->op == 'c' ? ')' : ']');
    } else if (e->op == '~') {
        str_putc(s, '-');
        put_in(s, e->arg[0], 4);
    } else {
        int k = strength(e);
        put_in(s, e->arg[0], e->op == '@' ? 4 : e->op == '^' ? 5 : k);
        str_printf(s, e->op == '^' ? "%c" : " %c ", e->op);
        put_in(s, e->arg[1], e->op == '@' ? 3 : e->op == '^' ? 5 : k + 1);
    }
}

static const char *print(Cell *c, const char *name) {
    Str s = str_make(c->a);
    if (c->functions.n) str_put(&s, c->functions.at);
    str_printf(&s, "cell %s%s {\n", name, c->head);
    for (int i = 0; i < c->nparam; i++) str_printf(&s, "    param %s: [%s] = %s\n", c->param[i].name, c->param[i].dim, c->param[i].init);
    for (int i = 0; i < c->nstate; i++) str_printf(&s, "    state %s: [%s] = %s\n", c->state[i].name, c->state[i].dim, c->state[i].init);
    str_putc(&s, '\n');
    for (int i = 0; i < c->nline; i++) {
        str_put(&s, "    ");
        for (int k = 0; k < c->line[i].n; k++) str_printf(&s, "%s%s", k ? ", " : "", c->line[i].target[k]);
        str_put(&s, " = ");
        put(&s, c->line[i].value);
        str_putc(&s, '\n');
    }
    str_printf(&s, "    return %s\n}\n", c->result);
    return s.at;
}

/* ---- walking ------------------------------------------------------------------------------------------------------------ */

typedef Expr *Visit(Cell *c, Expr *e, void *arg);

static Expr *walk(Cell *c, Expr *e, Visit *visit, void *arg) {
    for (int i = 0; i < e->n; i++) e->arg[i] = walk(c, e->arg[i], visit, arg);
    return visit(c, e, arg);
}

static void walk_all(Cell *c, Visit *visit, void *arg) {
    for (int i = 0; i < c->nline; i++) c->line[i].value = walk(c, c->line[i].value, visit, arg);
}

static bool uses(const Expr *e, const char *name) {
    bool any = e->op == 'n' && !strcmp(e->text, name);
    for (int i = 0; i < e->n; i++) any = any || uses(e->arg[i], name);
    return any;
}

static Decl *find_param(Cell *c, const char *name) {
    for (int i = 0; i < c->nparam; i++)
        if (!strcmp(c->param[i].name, name)) return &c->param[i];
    return NULL;
}

static Line *insert(Cell *c, int at) {
    memmove(&c->line[at + 1], &c->line[at], (size_t)(c->nline++ - at) * sizeof *c->line);
    c->line[at] = (Line){.n = 0};
    return &c->line[at];
}

/* ---- the rewrites ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *from, *to;
} Renaming;

static Expr *rename_one(Cell *c, Expr *e, void *arg) {
    const Renaming *r = arg;
    size_t n = strlen(r->from);
    if (e->op == 'n' && !strncmp(e->text, r->from, n) && (!e->text[n] || !strcmp(e->text + n, "'")))
        e->text = arena_printf(c->a, "%s%s", r->to, e->text + n);
    return e;
}

static void rename_all(Cell *c, const char *from, const char *to) {
    Renaming r = {from, to};
    walk_all(c, rename_one, &r);
    size_t n = strlen(from);
    for (int i = 0; i < c->nline; i++)
        for (int k = 0; k < c->line[i].n; k++)
            if (!strncmp(c->line[i].target[k], from, n) && (!c->line[i].target[k][n] || c->line[i].target[k][n] == '\''))
                c->line[i].target[k] = arena_printf(c->a, "%s%s", to, c->line[i].target[k] + n);
    if (!strncmp(c->result, from, n) && (!c->result[n] || c->result[n] == '\'')) c->result = arena_printf(c->a, "%s%s", to, c->result + n);
}

static bool renamed(Cell *c) {
    for (int i = 0; i < c->nparam; i++) {
        const char *to = arena_printf(c->a, "weight_%c", 'z' - i);
        rename_all(c, c->param[i].name, to);
        c->param[i].name = c->param[i].origin.name = to;
    }
    for (int i = 0; i < c->nstate; i++) {
        const char *to = arena_printf(c->a, "memory_%d", i);
        rename_all(c, c->state[i].name, to);
        c->state[i].name = to;
    }
    for (int i = 0; i < c->nline; i++)
        for (int k = 0; k < c->line[i].n; k++)
            if (!strchr(c->line[i].target[k], '\'')) rename_all(c, c->line[i].target[k], arena_printf(c->a, "value_%d_%d", 9 - i, k));
    return true;
}

/* Lines from the last to the first, as far as what they use allows; weights and states from the last. */
static bool reordered(Cell *c) {
    Line old[MANY];
    bool done[MANY] = {false};
    int n = c->nline;
    memcpy(old, c->line, sizeof old);
    for (int k = 0; k < n; k++) {
        int best = -1;
        for (int i = 0; i < n; i++) {
            bool ready = !done[i];
            for (int j = 0; ready && j < n; j++)
                for (int t = 0; !done[j] && j != i && t < old[j].n; t++) ready = ready && !uses(old[i].value, old[j].target[t]);
            if (ready) best = i;
        }
        done[best] = true;
        c->line[k] = old[best];
    }
    for (int i = 0; i < c->nparam / 2; i++) {
        Decl d = c->param[i];
        c->param[i] = c->param[c->nparam - 1 - i];
        c->param[c->nparam - 1 - i] = d;
    }
    return true;
}

static Expr *swap_one(Cell *c, Expr *e, void *arg) {
    (void)c, (void)arg;
    Expr *l = e->arg[0];
    if (e->op == '+' || e->op == '*') {
        e->arg[0] = e->arg[1];
        e->arg[1] = l;
    }
    return e;
}

static bool swapped(Cell *c) {
    walk_all(c, swap_one, NULL);
    return true;
}

static Expr *put_in_place(Cell *c, Expr *e, void *arg) {
    const Line *l = arg;
    (void)c;
    return e->op == 'n' && !strcmp(e->text, l->target[0]) ? l->value : e;
}

/* Every name for a value is written out where it is used. */
static bool written_out(Cell *c) {
    bool any = false;
    for (int i = 0; i < c->nline;) {
        Line l = c->line[i];
        if (l.n > 1 || strchr(l.target[0], '\'')) {
            i++;
            continue;
        }
        memmove(&c->line[i], &c->line[i + 1], (size_t)(--c->nline - i) * sizeof l);
        for (int k = i; k < c->nline; k++) c->line[k].value = walk(c, c->line[k].value, put_in_place, &l);
        any = true;
    }
    return any;
}

typedef struct {
    int at;
} Naming;

static Expr *name_product(Cell *c, Expr *e, void *arg) {
    Naming *n = arg;
    if (e->op != '@') return e;
    const char *name = arena_printf(c->a, "product_%d", c->fresh++);
    *insert(c, n->at++) = (Line){.target = {name}, .n = 1, .value = e};
    return make(c, 'n', name, NULL, NULL);
}

/* Every product has a name and a line of its own. */
static bool named(Cell *c) {
    for (int i = 0; i < c->nline; i++) {
        Naming n = {i};
        Expr *v = walk(c, c->line[i].value, name_product, &n);
        i = n.at;
        c->line[i].value = v;
    }
    return true;
}

static bool inert(Cell *c) {
    Decl *d = &c->state[c->nstate++];
    *d = (Decl){.name = "unused", .dim = "H", .init = "0"};
    Expr *half = make(c, '*', NULL, make(c, 'n', "0.5", NULL, NULL), make(c, 'n', "unused", NULL, NULL));
    *insert(c, c->nline) = (Line){.target = {"unused'"}, .n = 1, .value = make(c, '+', NULL, half, make(c, 'n', c->state[0].name, NULL, NULL))};
    return true;
}

typedef struct {
    const char *group; /* "W" of Wi, Wf, .. */
    const char *operand;
    const Decl *member[ARGS];
    int n;
} Group;

static bool of_group(const Group *g, const Expr *e) {
    if (e->op != '@' || e->arg[0]->op != 'n' || e->arg[1]->op != 'n' || strcmp(e->arg[1]->text, g->operand) != 0) return false;
    for (int i = 0; i < g->n; i++)
        if (!strcmp(g->member[i]->name, e->arg[0]->text)) return true;
    return false;
}

static Expr *split_name(Cell *c, Expr *e, void *arg) {
    return of_group(arg, e) ? make(c, 'n', arena_printf(c->a, "part_%s", e->arg[0]->text), NULL, NULL) : e;
}

static const char *times_H(Cell *c, int k) {
    return k == 0 ? "" : k == 1 ? "H" : arena_printf(c->a, "%d*H", k);
}

/* Wi, Wf, ..: [H, I] become one W: [n * H, I], and its product is split. */
static bool stack_group(Cell *c, const char *first, const char *operand, const char *dim) {
    Group g = {.group = first, .operand = operand};
    Decl keep[MANY];
    int n = 0;
    for (int i = 0; i < c->nparam; i++)
        if (c->param[i].name[0] == *first && strlen(c->param[i].name) == 2 && !strcmp(c->param[i].dim, dim)) {
            Decl *d = NEW(c->a, Decl);
            *d = c->param[i];
            g.member[g.n++] = d;
        } else keep[n++] = c->param[i];
    if (g.n < 2) return false;
    walk_all(c, split_name, &g);
    Decl all = {.name = first, .dim = arena_printf(c->a, "%d * H, %s", g.n, strstr(dim, ", ") + 2), .init = "glorot_uniform",
                .origin = {.name = first, .nparts = g.n}};
    Expr *split = make(c, 'c', "split", make(c, '@', NULL, make(c, 'n', first, NULL, NULL), make(c, 'n', operand, NULL, NULL)),
                       make(c, 'n', arena_printf(c->a, "%d", g.n), NULL, NULL));
    Line *l = insert(c, 0);
    l->value = split;
    for (int i = 0; i < g.n; i++) {
        all.origin.part[i] = (Part){g.member[i]->name, false, times_H(c, i), ""};
        l->target[l->n++] = arena_printf(c->a, "part_%s", g.member[i]->name);
    }
    keep[n++] = all;
    memcpy(c->param, keep, sizeof keep);
    c->nparam = n;
    return true;
}

static bool stacked(Cell *c) {
    bool any = stack_group(c, "W", "x", "H, I");
    return stack_group(c, "U", c->state[0].name, "H, H") || any;
}

static Expr *cut_one(Cell *c, Expr *e, void *arg) {
    const Decl *d = arg;
    if (e->op != '@' || e->arg[0]->op != 'n' || strcmp(e->arg[0]->text, d->name) != 0) return e;
    Expr *l = make(c, 'l', NULL, NULL, NULL);
    for (l->n = 0; l->n < 4; l->n++)
        l->arg[l->n] = make(c, '@', NULL, make(c, 'n', arena_printf(c->a, "%s%d", d->name, l->n), NULL, NULL), e->arg[1]);
    return l;
}

/* W: [4 * H, I] becomes W0 .. W3: [H, I], and its product the list of theirs. The rows of one weight cannot be taken from
   several: the original has the parts then (rewrite_check turns it round). */
static bool cut(Cell *c) {
    bool any = false;
    for (int i = 0; i < c->nparam; i++) {
        Decl d = c->param[i];
        if (strncmp(d.dim, "4 * H, ", 7) != 0) continue;
        walk_all(c, cut_one, &d);
        memmove(&c->param[i + 4], &c->param[i + 1], (size_t)(c->nparam - i - 1) * sizeof d);
        c->nparam += 3;
        for (int k = 0; k < 4; k++) {
            const char *name = arena_printf(c->a, "%s%d", d.name, k);
            c->param[i + k] = (Decl){.name = name, .dim = arena_strdup(c->a, d.dim + 4), .init = d.init,
                                     .origin = {.name = name, .nparts = 1, .part = {{d.name, false, arena_printf(c->a, "-%d*H", k), ""}}}};
        }
        any = true;
    }
    return any;
}

/* W @ x + U @ h: one product with [x, h]. */
static Expr *join_one(Cell *c, Expr *e, void *arg) {
    bool *any = arg;
    if (e->op != '+' || e->arg[0]->op != '@' || e->arg[1]->op != '@') return e;
    Expr *l = e->arg[0], *r = e->arg[1];
    Decl *w = find_param(c, l->arg[0]->text), *u = find_param(c, r->arg[0]->text);
    if (!w || !u || strcmp(w->dim, "H, I") != 0 || strcmp(u->dim, "H, H") != 0) return e;
    w->dim = "H, I + H";
    w->origin.part[w->origin.nparts++] = (Part){u->name, false, "", "I"};
    memmove(u, u + 1, (size_t)(c->param + --c->nparam - u) * sizeof *u);
    *any = true;
    Expr *both = make(c, 'l', NULL, l->arg[1], r->arg[1]);
    return make(c, '@', NULL, l->arg[0], both);
}

static bool joined(Cell *c) {
    bool any = false;
    walk_all(c, join_one, &any);
    return any;
}

static void names_of(const Expr *e, const char **name, int *n) {
    if (e->op == 'n' && !isdigit((unsigned char)e->text[0])) {
        int i = 0;
        while (i < *n && strcmp(name[i], e->text) != 0) i++;
        if (i == *n) name[(*n)++] = e->text;
    }
    for (int i = 0; i < e->n; i++) names_of(e->arg[i], name, n);
}

/* The value of every line is a function of what it uses. */
static bool functions(Cell *c) {
    for (int i = 0; i < c->nline; i++) {
        const char *name[MANY];
        int n = 0;
        Line *l = &c->line[i];
        names_of(l->value, name, &n);
        if (l->n > 1 || n > ARGS) continue;
        Expr *call = make(c, 'c', arena_printf(c->a, "helper_%d", i), NULL, NULL), *body = l->value;
        for (int k = 0; k < n; k++) call->arg[call->n++] = make(c, 'n', name[k], NULL, NULL);
        Str s = str_make(c->a);
        for (int k = 0; k < n; k++) { /* a parameter's name has no apostrophe */
            Renaming r = {name[k], arena_printf(c->a, "a%d", k)};
            size_t len = strlen(name[k]);
            if (name[k][len - 1] == '\'') {
                Line old = {.target = {name[k]}, .n = 1, .value = make(c, 'n', r.to, NULL, NULL)};
                body = walk(c, body, put_in_place, &old);
            }
        }
        str_printf(&s, "fn %s(", call->text);
        for (int k = 0; k < n; k++) {
            bool primed = name[k][strlen(name[k]) - 1] == '\'';
            str_printf(&s, "%s%s", k ? ", " : "", primed ? arena_printf(c->a, "a%d", k) : name[k]);
        }
        str_put(&s, ") = ");
        put(&s, body);
        str_printf(&c->functions, "%s\n", s.at);
        l->value = call;
    }
    if (c->functions.n) str_putc(&c->functions, '\n');
    return c->functions.n > 0;
}

static Expr *turn_sign(Cell *c, Expr *e, void *arg) {
    (void)arg;
    if (e->op == '-') return make(c, '~', NULL, make(c, '-', NULL, e->arg[1], e->arg[0]), NULL);
    if (e->op == '+' && e->arg[1]->op != '@') return make(c, '-', NULL, e->arg[0], make(c, '~', NULL, e->arg[1], NULL));
    return e;
}

static bool signs(Cell *c) {
    walk_all(c, turn_sign, NULL);
    return true;
}

static Expr *turn_product(Cell *c, Expr *e, void *arg) {
    (void)arg;
    return e->op == '@' && e->arg[0]->op == 'n' && find_param(c, e->arg[0]->text) ? make(c, '@', NULL, e->arg[1], e->arg[0]) : e;
}

/* Weights lie the other way: x @ W. */
static bool turned(Cell *c) {
    walk_all(c, turn_product, NULL);
    for (int i = 0; i < c->nparam; i++) {
        Decl *d = &c->param[i];
        const char *comma = strstr(d->dim, ", ");
        if (!comma) continue;
        d->dim = arena_printf(c->a, "%s, %.*s", comma + 2, (int)(comma - d->dim), d->dim);
        d->origin.part[0].turned = true;
    }
    return true;
}

/* i, f, .. = split(v, n): slices of v. */
static bool sliced(Cell *c) {
    bool any = false;
    for (int i = 0; i < c->nline; i++) {
        Line old = c->line[i];
        if (old.n < 2 || old.value->op != 'c' || strcmp(old.value->text, "split") != 0) continue;
        const char *all = arena_printf(c->a, "all_%d", i);
        c->line[i] = (Line){.target = {all}, .n = 1, .value = old.value->arg[0]};
        for (int k = 0; k < old.n; k++)
            *insert(c, i + 1 + k) = (Line){.target = {old.target[k]}, .n = 1,
                                           .value = make(c, 'n', arena_printf(c->a, "%s[%d * H : %d * H]", all, k, k + 1), NULL, NULL)};
        any = true;
    }
    return any;
}

typedef bool Rewrite(Cell *c);
const char *const rewrite_name[] = {"renamed", "reordered", "swapped", "written_out", "named", "inert", "stacked",
                                    "cut", "joined", "functions", "signs", "turned", "sliced", NULL};
static Rewrite *const rewrite[] = {renamed, reordered, swapped, written_out, named, inert, stacked, cut, joined, functions, signs, turned, sliced};

/* tanh for act and sigmoid for gate, as the arguments in brackets have it. */
static Expr *default_call(Cell *c, Expr *e, void *arg) {
    (void)c, (void)arg;
    if (e->op == 'c' && !strcmp(e->text, "act")) e->text = "tanh";
    if (e->op == 'c' && !strcmp(e->text, "gate")) e->text = "sigmoid";
    if (e->op == 'c' && !strcmp(e->text, "normalised")) e->text = "scaled_rows"; /* a function of its file */
    if (e->op == 'n' && !strcmp(e->text, "eps")) e->text = "1e-5";
    return e;
}

const Rewritten *rewrite_cell(Arena *a, const char *std, const char *cell, int k) {
    const char *from = strstr(std, arena_printf(a, "\ncell %s[", cell));
    Cell c = {.a = a, .functions = str_make(a), .head = "[H](x: [I])"};
    if (!from) return NULL;
    c.at = strchr(strstr(from, "(x: [I]) {"), '\n') + 1;
    while (read_line(&c)) {}
    for (int i = 0; i < c.nparam; i++) c.param[i].init = strchr(c.param[i].dim, ',') ? "glorot_uniform" : "0";
    walk_all(&c, default_call, NULL);
    if (strstr(print(&c, cell), "scaled_rows("))
        str_put(&c.functions, "fn scaled_rows(a, eps) = (a - mean(a)) / sqrt(mean((a - mean(a))^2) + eps)\n\n");
    if (k >= 0 && !rewrite[k](&c)) return NULL;
    Rewritten *r = NEW(a, Rewritten);
    Origin *o = NEW_N(a, Origin, c.nparam + 1);
    for (int i = 0; i < c.nparam; i++) o[i] = c.param[i].origin;
    for (int i = 0; i < c.nparam; i++) o[i].name = c.param[i].name;
    *r = (Rewritten){print(&c, "rewritten"), o, c.nparam};
    return r;
}
