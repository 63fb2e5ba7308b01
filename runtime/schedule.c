/* schedule: the learning rate over time, as a factor of the optimizer's own; and what early stopping and plateau watch.
   Time is counted in epochs, with a fraction for each update. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/train.h"

void schedule_make(Schedule *c, Model *m) {
    const Setting *s = train_setting(m, "schedule");
    *c = (Schedule){.drop = 1, .best = NAN, .total = train_number(m, "epochs")};
    if (!s) return;
    c->kind = (ScheduleKind)settings_way(m->ctx, "schedule", s);
    c->warmup = settings_argument(m->ctx, "schedule", s, "warmup");
    c->factor = settings_argument(m->ctx, "schedule", s, c->kind == SCHEDULE_LINEAR || c->kind == SCHEDULE_COSINE ? "to" : "factor");
    c->every = settings_argument(m->ctx, "schedule", s, c->kind == SCHEDULE_PLATEAU ? "patience" : "every");
}

/* Written out, here and in emitted C (emit_rules.c): libraries differ in a learning rate's last bit. */

/* cos(part * pi / 2)^2, from 1 at part 0 to 0 at 1 */
static double cosine(double part) {
    const double z = part * part * 2.4674011002723395; /* (pi/2)^2 */
    double sum = 1;
    for (int k = 22; k > 0; k -= 2) sum = 1 - z * sum / (k * (k - 1));
    return sum * sum;
}

/* factor to the whole part of n */
static double power(double factor, double n) {
    double all = 1;
    for (long left = n < 1e9 ? (long)n : 1000000000; left > 0; left /= 2) {
        if (left % 2) all *= factor;
        factor *= factor;
    }
    return all;
}

/* e^x */
static double grow(double x) {
    double sum = 1;
    if (x < -700) return 0;
    if (x > 700) x = 700;
    long n = (long)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
    x -= (double)n * 0.6931471805599453;
    for (int k = 18; k > 0; k--) sum = 1 + x * sum / k;
    for (; n > 0; n--) sum *= 2;
    for (; n < 0; n++) sum *= 0.5;
    return sum;
}

double schedule_rate(const Schedule *c) { return c->factor > 0 ? log(c->factor) : -DBL_MAX; }

double schedule_factor(const Schedule *c, double epoch, double one) {
    if (c->warmup > 0 && epoch + one < c->warmup) return (epoch + one) / c->warmup;
    double past = fmax(0, epoch - c->warmup), span = c->total - c->warmup, part = span > 0 ? fmin(1, past / span) : 1;
    switch (c->kind) {
    case SCHEDULE_CONSTANT: return 1;
    case SCHEDULE_LINEAR: return 1 + (c->factor - 1) * part;
    case SCHEDULE_COSINE: return c->factor + (1 - c->factor) * cosine(part);
    case SCHEDULE_STEP: return power(c->factor, past / c->every);
    case SCHEDULE_EXPONENTIAL: return past > 0 ? grow(past * schedule_rate(c)) : 1;
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
        if (!m->desc->metric.at[i].rank && strcmp(name_str(m->ctx, m->desc->metric.at[i].name), name) == 0) w->metric = metric_first(m, i);
    w->sign = max ? -1 : 1;
    if (w->metric >= 0) return true;
    diag_error(m->ctx, 551, s->span, "train: '%s' cannot be monitored: it is neither loss nor a metric (of one number) of '%s'", given,
               name_str(m->ctx, m->desc->name));
    return false;
}
