/* What the values of train and data keys must be beyond their type: ranges, schedules, what can be watched, patterns that
   match. Checked when a file is loaded and when the command line sets a key, so that `check` refuses what training would. */
#include "frontend/sema.h"

#include <math.h>
#include <string.h>

/* lo <= value <= hi; below_hi: value < hi. */
static const struct {
    KeyBlock block;
    const char *key;
    double lo, hi;
    bool below_hi;
} ranges[] = {
    {KEYS_TRAIN, "epochs", 0, 1e15, false},       {KEYS_TRAIN, "batch", 1, 1e15, false},   {KEYS_TRAIN, "bptt", 0, 1e9, false},
    {KEYS_TRAIN, "clip_norm", 0, INFINITY, false}, {KEYS_TRAIN, "clip_value", 0, INFINITY, false},
    {KEYS_TRAIN, "early_stopping", 0, 1e15, false}, {KEYS_TRAIN, "min_delta", 0, INFINITY, false},
    {KEYS_TRAIN, "validation", 0, 1, true},       {KEYS_DATA, "window", 0, 1e9, false},    {KEYS_DATA, "horizon", 1, 1e9, false},
    {KEYS_DATA, "stride", 1, 1e9, false},         {KEYS_DATA, "max_length", 0, 1e9, false},
};

static bool range_fits(Ctx *ctx, KeyBlock b, const char *key, const Setting *v)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        double lo = ranges[i].lo, hi = ranges[i].hi;
        if (ranges[i].block != b || strcmp(ranges[i].key, key) != 0 || v->kind != SET_NUMBER) continue;
        if (v->number >= lo && (ranges[i].below_hi ? v->number < hi : v->number <= hi)) return true;
        if (isinf(hi) || hi >= 1e15) diag_error(ctx, b == KEYS_DATA ? 552 : 551, v->span, "`%s` is %g; it must be at least %g", key, v->number, lo);
        else diag_error(ctx, b == KEYS_DATA ? 552 : 551, v->span, "`%s` is %g; it must be from %g to %s%g", key, v->number, lo, ranges[i].below_hi ? "below " : "", hi);
        return false;
    }
    return true;
}

/* ---- schedules -------------------------------------------------------------------------------------------------------- */

const ScheduleRow schedule_rows[] = {
    {"constant", {"warmup"}, {0}},
    {"linear", {"warmup", "to"}, {0, 0}},
    {"cosine", {"warmup", "to"}, {0, 0}},
    {"step", {"every", "factor", "warmup"}, {10, 0.1, 0}},
    {"exponential", {"factor", "warmup"}, {0.95, 0}},
    {"plateau", {"patience", "factor", "warmup"}, {10, 0.1, 0}},
};
const uint32_t schedule_row_count = sizeof schedule_rows / sizeof *schedule_rows;

static bool schedule_argument(Ctx *ctx, const ScheduleRow *row, const Setting *s, uint32_t k, uint32_t at, double *value)
{
    const Setting *v = &s->item[k];

    if (at < SCHEDULE_ARGS && row->arg[at] && v->kind == SET_NUMBER && v->number >= 0) {
        value[at] = v->number;
        return true;
    }
    const char *second = row->arg[1], *third = row->arg[2];
    diag_error(ctx, 551, at >= SCHEDULE_ARGS || !row->arg[at] ? s->arg_span[k] : v->span, "schedule `%s` takes numbers of at least 0: %s%s%s%s%s", row->name,
               row->arg[0], second ? ", " : "", second ? second : "", third ? ", " : "", third ? third : "");
    return false;
}

int settings_schedule(Ctx *ctx, const Setting *s, double value[SCHEDULE_ARGS])
{
    const char *names[8], *near;
    uint32_t row = 0;

    while (row < schedule_row_count && strcmp(name_str(ctx, s->name), schedule_rows[row].name) != 0) row++;
    if (row == schedule_row_count) {
        for (uint32_t i = 0; i < schedule_row_count; i++) names[i] = schedule_rows[i].name;
        near = nearest_name(name_str(ctx, s->name), names, schedule_row_count);
        diag_error(ctx, 551, s->span, "no schedule `%s`", name_str(ctx, s->name));
        if (near) diag_help(ctx, (Span){0, 0}, "did you mean `%s`?", near);
        else diag_help(ctx, (Span){0, 0}, "constant, linear, cosine, step, exponential and plateau are known");
        return -1;
    }
    memcpy(value, schedule_rows[row].init, sizeof schedule_rows[row].init);
    for (uint32_t k = 0, pos = 0; s->kind == SET_CALL && k < s->n; k++) {
        uint32_t at = s->arg[k] ? 0 : pos++;
        while (s->arg[k] && at < SCHEDULE_ARGS && schedule_rows[row].arg[at] && strcmp(name_str(ctx, s->arg[k]), schedule_rows[row].arg[at]) != 0) at++;
        if (!schedule_argument(ctx, &schedule_rows[row], s, k, at, value)) return -1;
    }
    if (!strcmp(schedule_rows[row].arg[0], "every") && !(value[0] > 0)) {
        diag_error(ctx, 551, s->span, "schedule `step` needs every > 0");
        return -1;
    }
    return (int)row;
}

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

const char *const split_ways[SPLIT_WAYS] = {"chronological", "random", "stratified", "every", "folds"};

static bool split_fits(Program *p, const Setting *v)
{
    const char *name, *near;

    if (v->kind != SET_NAME && v->kind != SET_CALL) return true;
    name = name_str(p->ctx, v->name);
    for (size_t i = 0; i < SPLIT_WAYS; i++)
        if (!strcmp(split_ways[i], name)) return true;
    near = nearest_name(name, split_ways, SPLIT_WAYS);
    diag_error(p->ctx, 552, v->span, "data: split: there is no way `%s` to split", name);
    if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    else diag_help(p->ctx, (Span){0, 0}, "a part that trains (0.8), chronological(0.8, valid = 0.1), random(0.8, seed = 1), stratified(0.8), every(10, valid = 8, test = 9) or folds(5, fold = 0)");
    return false;
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
    double value[SCHEDULE_ARGS];

    if (!range_fits(p->ctx, b, key, &e->value)) return false;
    if (b == KEYS_DATA) return strcmp(key, "split") || split_fits(p, &e->value);
    if (!strcmp(key, "schedule")) return settings_schedule(p->ctx, &e->value, value) >= 0;
    if (!strcmp(key, "monitor")) return monitor_fits(p, &e->value);
    if (!strcmp(key, "decay") || !strcmp(key, "no_decay") || !strcmp(key, "freeze") || !strcmp(key, "lr_scale")) check_patterns(p, key, &e->value);
    return true;
}
