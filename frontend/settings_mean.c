/* What the values of train and data keys must be beyond their type: ranges (settings_range.c), what can be watched, splits, patterns
   that match. Checked when a file is loaded and when the command line sets a key, so that `check` refuses what training would. */
#include "frontend/sema.h"

#include <string.h>

/* ---- what is watched ---------------------------------------------------------------------------------------------------- */

static bool monitor_fits(Program *p, const Setting *v)
{
    const char *name = name_str(p->ctx, v->name), *names[66], *near;
    uint32_t n = 0;

    if (!strncmp(name, "max ", 4) || !strncmp(name, "min ", 4)) name += 4;
    names[n++] = "loss";
    for (uint32_t i = 0; i < p->desc.metric.n && n < 65; i++) names[n++] = name_str(p->ctx, p->desc.metric.at[i].name);
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(names[i], name)) return true;
    near = nearest_name(name, names, n);
    diag_error(p->ctx, 551, v->span, "`%s` cannot be monitored: it is neither `loss` nor a metric of `%s`", name, name_str(p->ctx, p->desc.name));
    if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    return false;
}

/* ---- how the data are split ---------------------------------------------------------------------------------------------- */

static bool bad_split(Program *p, Span at, const char *why)
{
    diag_error(p->ctx, 552, at, "`split`: %s", why);
    return false;
}

static bool among(const Setting *s, double v)
{
    if (s->kind == SET_NUMBER) return s->number == v;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].number == v) return true;
    return false;
}

/* What every(n) sets apart: places below n, each for one purpose. */
static bool places_fit(Program *p, const Setting *v, const Setting *places, const Setting *others)
{
    double n = settings_argument(p->ctx, "split", v, "n");

    for (uint32_t i = 0; places && i < (places->kind == SET_LIST ? places->n : 1); i++) {
        const Setting *x = places->kind == SET_LIST ? &places->item[i] : places;
        if (x->number >= n) return bad_split(p, x->span, "every(n) sets apart whole numbers from 0 to n - 1");
        if (others && among(others, x->number)) return bad_split(p, x->span, "what validates does not test");
    }
    return true;
}

/* What its arguments are together. */
static bool split_fits(Program *p, const Setting *v)
{
    Ctx *ctx = p->ctx;
    const Setting *valid = v->kind == SET_CALL ? settings_written(ctx, "split", v, "valid") : NULL;
    const char *way = v->kind == SET_CALL ? name_str(ctx, v->name) : "";

    if (!strcmp(way, "folds")) {
        if (settings_argument(ctx, "split", v, "fold") < settings_argument(ctx, "split", v, "n")) return true;
        return bad_split(p, settings_written(ctx, "split", v, "fold")->span, "the fold that tests counts from 0 to one less than there are folds");
    }
    if (!strcmp(way, "every")) return places_fit(p, v, valid, NULL) && places_fit(p, v, settings_written(ctx, "split", v, "test"), valid);
    if (!valid || settings_argument(ctx, "split", v, "train") + valid->number <= 1 + 1e-9) return true;
    return bad_split(p, valid->span, "the parts that train and validate are more than all together");
}

/* ---- patterns ----------------------------------------------------------------------------------------------------------- */

bool settings_match(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            from = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

/* A pattern that matches nothing is most often a slip: said, but no error, since one block may serve several models. */
static void check_pattern(Program *p, const char *key, const Setting *v)
{
    const Setting *name = v->kind == SET_PAIR ? &v->item[0] : v;
    const char **names = NEW_N(p->arena, const char *, p->desc.param.n + 1), *text, *near;

    if (name->kind != SET_STRING && name->kind != SET_NAME) return;
    text = name_str(p->ctx, name->name);
    for (uint32_t i = 0; i < p->desc.param.n; i++) {
        names[i] = name_str(p->ctx, p->desc.param.at[i].name);
        if (settings_match(text, names[i])) return;
    }
    near = nearest_name(text, names, p->desc.param.n);
    diag_warning(p->ctx, 506, name->span, "`%s`: no weight is called `%s`", key, text);
    if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    else diag_help(p->ctx, (Span){0, 0}, "patterns are held against whole names, as `rondo check` prints them; `*` stands for any characters");
}

static void check_patterns(Program *p, const char *key, const Setting *v)
{
    if (v->kind != SET_LIST) check_pattern(p, key, v);
    for (uint32_t i = 0; v->kind == SET_LIST && i < v->n; i++) check_pattern(p, key, &v->item[i]);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------- */

bool settings_meaning(Program *p, KeyBlock b, const Entry *e)
{
    const char *key = name_str(p->ctx, e->key);

    if (!settings_range(p, settings_row(b, key), &e->value)) return false;
    if (b == KEYS_DATA) return strcmp(key, "split") || split_fits(p, &e->value);
    if (!strcmp(key, "monitor")) return monitor_fits(p, &e->value);
    if (!strcmp(key, "decay") || !strcmp(key, "no_decay") || !strcmp(key, "freeze") || !strcmp(key, "lr_scale")) check_patterns(p, key, &e->value);
    return true;
}
