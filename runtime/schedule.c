/* schedule: the learning rate over time, as a factor of the optimizer's own; and what early stopping and plateau watch.
   Time is counted in epochs, with a fraction for each update. */
#include <math.h>
#include <string.h>

#include "runtime/train.h"

static const struct {
    const char *name;
    ScheduleKind kind;
    const char *arg[2];
    double init[2];
} rows[] = {
    {"constant", SCHEDULE_CONSTANT, {"warmup", NULL}, {0, 0}},
    {"linear", SCHEDULE_LINEAR, {"warmup", "to"}, {0, 0}},
    {"cosine", SCHEDULE_COSINE, {"warmup", "to"}, {0, 0}},
    {"step", SCHEDULE_STEP, {"every", "factor"}, {10, 0.1}},
    {"exponential", SCHEDULE_EXPONENTIAL, {"factor", "warmup"}, {0.95, 0}},
    {"plateau", SCHEDULE_PLATEAU, {"patience", "factor"}, {10, 0.1}},
};

static bool take_arguments(Model *m, const Setting *s, size_t row, double *value) {
    memcpy(value, rows[row].init, sizeof rows[row].init);
    for (uint32_t k = 0, pos = 0; s->kind == SET_CALL && k < s->n; k++) {
        uint32_t at = 0;
        if (!s->arg[k]) at = pos++;
        else
            while (at < 2 && rows[row].arg[at] && strcmp(name_str(m->ctx, s->arg[k]), rows[row].arg[at]) != 0) at++;
        if (at >= 2 || !rows[row].arg[at] || s->item[k].kind != SET_NUMBER || !(s->item[k].number >= 0)) {
            diag_error(m->ctx, 551, s->item[k].span, "schedule '%s' takes numbers of at least 0: %s%s%s", rows[row].name,
                       rows[row].arg[0], rows[row].arg[1] ? ", " : "", rows[row].arg[1] ? rows[row].arg[1] : "");
            return false;
        }
        value[at] = s->item[k].number;
    }
    return true;
}

bool schedule_make(Schedule *c, Model *m) {
    const Setting *s = train_setting(m, "schedule");
    *c = (Schedule){.drop = 1, .best = NAN, .total = train_number(m, "epochs")};
    if (!s) return true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v[2];
        if ((s->kind != SET_CALL && s->kind != SET_NAME) || strcmp(name_str(m->ctx, s->name), rows[i].name) != 0) continue;
        if (!take_arguments(m, s, i, v)) return false;
        c->kind = rows[i].kind;
        for (int k = 0; k < 2; k++) {
            const char *arg = rows[i].arg[k] ? rows[i].arg[k] : "";
            if (strcmp(arg, "warmup") == 0) c->warmup = v[k];
            else if (strcmp(arg, "to") == 0 || strcmp(arg, "factor") == 0) c->factor = v[k];
            else c->every = v[k];
        }
        if (c->kind != SCHEDULE_STEP || c->every > 0) return true;
        diag_error(m->ctx, 551, s->span, "schedule 'step' needs every > 0");
        return false;
    }
    diag_error(m->ctx, 551, s->span, "there is no such schedule");
    diag_help(m->ctx, NOWHERE, "constant, linear, cosine, step, exponential and plateau are known");
    return false;
}

double schedule_factor(const Schedule *c, double epoch, double one) {
    if (c->warmup > 0 && epoch + one < c->warmup) return (epoch + one) / c->warmup;
    double past = epoch - c->warmup, span = c->total - c->warmup, part = span > 0 ? fmin(1, fmax(0, past / span)) : 1;
    switch (c->kind) {
    case SCHEDULE_CONSTANT: return 1;
    case SCHEDULE_LINEAR: return 1 + (c->factor - 1) * part;
    case SCHEDULE_COSINE: return c->factor + (1 - c->factor) * 0.5 * (1 + cos(3.14159265358979323846 * part));
    case SCHEDULE_STEP: return pow(c->factor, floor(epoch / c->every));
    case SCHEDULE_EXPONENTIAL: return pow(c->factor, fmax(0, past));
    case SCHEDULE_PLATEAU: return c->drop;
    }
    return 1;
}

void schedule_epoch(Schedule *c, double value, double min_delta) {
    if (c->kind != SCHEDULE_PLATEAU) return;
    if (isnan(c->best) || value < c->best - min_delta) {
        c->best = value;
        c->waited = 0;
    } else if ((double)++c->waited >= c->every) {
        c->drop *= c->factor;
        c->waited = 0;
    }
}

/* ---- what is watched ---------------------------------------------------------------------------------------------------- */

/* "max NAME" and "min NAME" say which way is better; otherwise these are better when they are larger. */
bool monitor_make(Monitor *w, Model *m) {
    static const char *const larger[] = {"precision", "recall", "f1", "auc", "r2"};
    const Setting *s = train_setting(m, "monitor");
    const char *name = s ? name_str(m->ctx, s->name) : "loss", *given = name;
    *w = (Monitor){.metric = -1, .sign = 1};
    if (strcmp(name, "loss") == 0) return true;
    bool max = strncmp(name, "max ", 4) == 0, min = strncmp(name, "min ", 4) == 0;
    if (max || min) name += 4;
    for (size_t k = 0; k < sizeof larger / sizeof *larger && !min; k++) max = max || strcmp(name, larger[k]) == 0;
    max = max || (!min && strstr(name, "accuracy"));
    for (uint32_t i = 0; i < m->desc->metric.n; i++)
        if (strcmp(name_str(m->ctx, m->desc->metric.at[i].name), name) == 0) w->metric = i;
    w->sign = max ? -1 : 1;
    if (w->metric >= 0) return true;
    diag_error(m->ctx, 551, s->span, "train: '%s' cannot be monitored: it is neither loss nor a metric of '%s'", given,
               name_str(m->ctx, m->desc->name));
    return false;
}
