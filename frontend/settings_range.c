/* What keys of train and data, and the arguments of those that are calls, may be: the ranges of keys.def, read in one way for all. */
#include "frontend/sema.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *key, *way, *arg, *type, *range, *init; /* a row W of keys.def */
} WayRow;
static const WayRow way_rows[] = {
#define K(block, key, type, range, init, doc)
#define W(key, way, arg, type, range, init) {key, way, arg, type, range, init},
#include "frontend/keys.def"
#undef W
#undef K
};
enum { WAY_ROWS = sizeof way_rows / sizeof *way_rows };

/* ---- ranges ----------------------------------------------------------------------------------------------------------- */

/* "[0, 1)": from 0 to below 1. */
typedef struct {
    double lo, hi; /* hi INFINITY: any finite number */
    bool above, below; /* lo, hi are not in it */
} Range;

static Range read_range(const char *text)
{
    char *end;
    Range r = {.above = *text == '(', .below = text[strlen(text) - 1] == ')'};

    r.lo = parse_double(text + 1, &end);
    r.hi = strncmp(end, ", inf", 5) ? parse_double(end + 2, &end) : (double)INFINITY;
    return r;
}

static bool holds(const Range *r, double v)
{
    return (r->above ? v > r->lo : v >= r->lo) && (r->below ? v < r->hi : v <= r->hi);
}

static const char *range_words(Arena *a, const Range *r, bool whole)
{
    const char *kind = whole ? "a whole number " : "", *from = r->above ? "above" : whole && isinf(r->hi) ? "of at least" : isinf(r->hi) ? "at least" : "from";

    if (isinf(r->hi)) return arena_printf(a, "%s%s %.10g", kind, from, r->lo);
    return arena_printf(a, "%s%s %.10g to %s%.10g", kind, from, r->lo, r->below ? "below " : "", r->hi);
}

static bool number_fits(Program *p, uint16_t code, const char *name, bool whole, const char *text, const Setting *v)
{
    Range r = read_range(text);

    if (holds(&r, v->number) && (!whole || (v->number == floor(v->number) && v->number <= 9007199254740992.0))) return true;
    diag_error(p->ctx, code, v->span, "`%s` is %.10g; it must be %s", name, v->number, range_words(p->arena, &r, whole));
    return false;
}

/* `none, minmax, standard`: one of them. */
static bool word_fits(Program *p, uint16_t code, const char *name, const char *text, const Setting *v)
{
    const char *given = name_str(p->ctx, v->name), *word[8], *near;
    uint32_t n = 0;

    for (const char *at = text; *at && n < 8; at += strspn(at, ", ")) {
        size_t size = strcspn(at, ",");
        word[n++] = arena_strndup(p->arena, at, size);
        at += size;
        if (!strcmp(word[n - 1], given)) return true;
    }
    near = nearest_name(given, word, n);
    diag_error(p->ctx, code, v->span, "`%s` is `%s`; it must be one of %s", name, given, text);
    if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    return false;
}

/* Of a list each number, of a pair the number behind the pattern. */
static bool value_fits(Program *p, uint16_t code, const char *name, bool whole, const char *range, const Setting *v)
{
    if (!*range) return true;
    if (*range != '[' && *range != '(') return (v->kind != SET_NAME && v->kind != SET_STRING) || word_fits(p, code, name, range, v);
    if (v->kind == SET_NUMBER) return number_fits(p, code, name, whole, range, v);
    if (v->kind == SET_PAIR) return value_fits(p, code, name, whole, range, &v->item[1]);
    for (uint32_t i = 0; v->kind == SET_LIST && i < v->n; i++)
        if (!value_fits(p, code, name, whole, range, &v->item[i])) return false;
    return true;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

static bool row_is(const WayRow *r, const char *key, const char *way)
{
    return !strcmp(r->key, key) && !strcmp(r->way, way);
}

static const WayRow *find_row(const char *key, const char *way, const char *arg, uint32_t position)
{
    for (uint32_t i = 0; i < WAY_ROWS; i++)
        if (row_is(&way_rows[i], key, way) && (arg ? !strcmp(way_rows[i].arg, arg) : !position--)) return &way_rows[i];
    return NULL;
}

int settings_way(Ctx *ctx, const char *key, const Setting *s)
{
    const char *before = "";
    int k = -1;

    for (uint32_t i = 0; i < WAY_ROWS; i++) {
        if (strcmp(way_rows[i].key, key) != 0 || !strcmp(way_rows[i].way, before)) continue;
        before = way_rows[i].way;
        k++;
        if (!strcmp(before, name_str(ctx, s->name))) return k;
    }
    return -1;
}

const Setting *settings_written(Ctx *ctx, const char *key, const Setting *s, const char *arg)
{
    for (uint32_t k = 0, at = 0; s->kind == SET_CALL && k < s->n; k++) {
        const WayRow *r = find_row(key, name_str(ctx, s->name), s->arg[k] ? name_str(ctx, s->arg[k]) : NULL, s->arg[k] ? 0 : at++);
        if (r && !strcmp(r->arg, arg)) return &s->item[k];
    }
    return NULL;
}

double settings_argument(Ctx *ctx, const char *key, const Setting *s, const char *arg)
{
    const WayRow *r = find_row(key, name_str(ctx, s->name), arg, 0);
    const Setting *v = settings_written(ctx, key, s, arg);
    char *end;

    if (v) return v->number;
    return r && *r->init && strcmp(r->init, "needed") != 0 ? parse_double(r->init, &end) : (double)NAN;
}

static bool no_way(Program *p, uint16_t code, const char *key, const Setting *s, const char *doc)
{
    const char *name[16], *near;
    uint32_t n = 0;

    for (uint32_t i = 0; i < WAY_ROWS && n < 16; i++)
        if (!strcmp(way_rows[i].key, key) && (!n || strcmp(name[n - 1], way_rows[i].way) != 0)) name[n++] = way_rows[i].way;
    near = nearest_name(name_str(p->ctx, s->name), name, n);
    diag_error(p->ctx, code, s->span, "`%s`: there is no `%s`", key, name_str(p->ctx, s->name));
    if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    else diag_help(p->ctx, (Span){0, 0}, "%s", doc);
    return false;
}

static bool no_argument(Program *p, uint16_t code, const char *way, const char *key, Span at, const char *given, bool twice)
{
    Str known = str_make(p->arena);

    for (uint32_t i = 0; i < WAY_ROWS; i++)
        if (row_is(&way_rows[i], key, way)) str_printf(&known, "%s`%s`", known.n ? ", " : "", way_rows[i].arg);
    if (twice) diag_error(p->ctx, code, at, "`%s` is given twice", given);
    else if (given) diag_error(p->ctx, code, at, "`%s` has no argument `%s`", way, given);
    else diag_error(p->ctx, code, at, "an argument more than `%s` has", way);
    diag_help(p->ctx, (Span){0, 0}, "`%s` has %s", way, known.at);
    return false;
}

static bool argument_fits(Program *p, uint16_t code, const WayRow *r, const Setting *v)
{
    bool places = !strcmp(r->type, "places"), whole = places || !strcmp(r->type, "int"), ok = v->kind == SET_NUMBER || (places && v->kind == SET_LIST);

    for (uint32_t i = 0; ok && v->kind == SET_LIST && i < v->n; i++) ok = v->item[i].kind == SET_NUMBER;
    if (ok) return value_fits(p, code, arena_printf(p->arena, "%s`: `%s", r->way, r->arg), whole, r->range, v);
    diag_error(p->ctx, code, v->span, "`%s` is %s", r->arg, places ? "a whole number, or a list of them: [8, 9]" : "a number");
    return false;
}

static bool call_fits(Program *p, uint16_t code, const char *key, const char *doc, const Setting *s)
{
    const char *way = name_str(p->ctx, s->name);

    if (settings_way(p->ctx, key, s) < 0) return no_way(p, code, key, s, doc);
    for (uint32_t k = 0, at = 0; s->kind == SET_CALL && k < s->n; k++) {
        const char *given = s->arg[k] ? name_str(p->ctx, s->arg[k]) : NULL;
        const WayRow *r = find_row(key, way, given, given ? 0 : at++);
        if (!r) return no_argument(p, code, way, key, s->arg_span[k], given, false);
        if (settings_written(p->ctx, key, s, r->arg) != &s->item[k]) return no_argument(p, code, way, key, s->arg_span[k], r->arg, true);
        if (!argument_fits(p, code, r, &s->item[k])) return false;
    }
    for (uint32_t i = 0; i < WAY_ROWS; i++)
        if (row_is(&way_rows[i], key, way) && !strcmp(way_rows[i].init, "needed") && !settings_written(p->ctx, key, s, way_rows[i].arg)) {
            diag_error(p->ctx, code, s->span, "`%s` needs `%s`, a whole number", way, way_rows[i].arg);
            diag_help(p->ctx, (Span){0, 0}, "%s", doc);
            return false;
        }
    return true;
}

/* ---- both ------------------------------------------------------------------------------------------------------------- */

bool settings_range(Program *p, const KeyRow *row, const Setting *v)
{
    uint16_t code = strcmp(row->block, "data") ? 551 : 552;
    bool calls = false;

    for (uint32_t i = 0; i < WAY_ROWS; i++) calls = calls || (!strcmp(way_rows[i].key, row->key) && strcmp(way_rows[i].way, "*") != 0);
    if (calls && (v->kind == SET_CALL || v->kind == SET_NAME)) return call_fits(p, code, row->key, row->doc, v);
    return value_fits(p, code, row->key, !strcmp(row->type, "int"), row->range, v);
}

bool settings_optimizer_argument(Program *p, const char *arg, const Setting *v)
{
    const WayRow *r = find_row("optimizer", "*", arg, 0);

    return !r || v->kind != SET_NUMBER || value_fits(p, 551, arg, false, r->range, v);
}
