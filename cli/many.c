/* many: rondo train --seeds, --folds: a run for each, a table of them, mean and standard deviation. */
#include "cli/train.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>

typedef struct {
    Cli *c;
    const ModelDesc *d;
    Job *job;
    Outcome *out;
    uint32_t n;
    bool failed;
} Many;

/* A column of the table: of each run a number, or NaN. */
typedef struct {
    const char *name;
    double (*get)(const Outcome *o, uint32_t k);
    uint32_t k;
} Quantity;

static double get_loss(const Outcome *o, uint32_t k) { return (void)k, o->loss; }
static double get_valid(const Outcome *o, uint32_t k) { return (void)k, o->valid_loss; }
static double get_test(const Outcome *o, uint32_t k) { return (void)k, o->test_loss; }
static double get_metric(const Outcome *o, uint32_t k) { return k < o->nmetric ? o->metric[k] : NAN; }
static const char *metric_title(const Many *m, uint32_t k) { return name_str(m->c->ctx, m->d->metric.at[k].name); }
static double get_rmse(const Outcome *o, uint32_t k) { return k < o->columns ? o->column[k].rmse : NAN; }
static double get_persistence(const Outcome *o, uint32_t k) { return k < o->columns ? o->column[k].persistence : NAN; }
static double get_autoregression(const Outcome *o, uint32_t k) { return k < o->columns ? o->column[k].autoregression : NAN; }
static double get_majority(const Outcome *o, uint32_t k) { return (void)k, o->majority; }
static double get_shares(const Outcome *o, uint32_t k) { return (void)k, o->entropy; }
static double get_mean(const Outcome *o, uint32_t k) { return (void)k, o->mean; }
static double get_examples(const Outcome *o, uint32_t k) { return (void)k, o->examples ? (double)o->examples : NAN; }

typedef VEC(Quantity) Quantities;
/* Those that a run has something for. */
static void list_columns(const Many *m, Quantities *out) {
    Arena *a = ctx_arena(m->c->ctx);
    Quantities all = {0};
    VEC_PUSH(a, all) = (Quantity){"loss", get_loss, 0};
    VEC_PUSH(a, all) = (Quantity){"valid_loss", get_valid, 0};
    VEC_PUSH(a, all) = (Quantity){"test_examples", get_examples, 0};
    VEC_PUSH(a, all) = (Quantity){"test_loss", get_test, 0};
    for (uint32_t k = 0, at = 0; k < m->d->metric.n; at += metric_numbers(&m->d->metric.at[k++]))
        if (!m->d->metric.at[k].rank) VEC_PUSH(a, all) = (Quantity){arena_printf(a, "test_%s", metric_title(m, k)), get_metric, at};
    for (uint32_t k = 0; k < OUTCOME_COLUMNS && k < series_targets(m->c->ctx, m->d); k++) {
        VEC_PUSH(a, all) = (Quantity){cli_of_column(m->c->ctx, m->d, "unscaled_rmse", k), get_rmse, k};
        VEC_PUSH(a, all) = (Quantity){cli_of_column(m->c->ctx, m->d, "persistence_rmse", k), get_persistence, k};
        VEC_PUSH(a, all) = (Quantity){cli_of_column(m->c->ctx, m->d, "autoregression_rmse", k), get_autoregression, k};
    }
    VEC_PUSH(a, all) = (Quantity){"majority_share", get_majority, 0};
    VEC_PUSH(a, all) = (Quantity){"shares_loss", get_shares, 0};
    VEC_PUSH(a, all) = (Quantity){"mean_rmse", get_mean, 0};
    for (uint32_t i = 0; i < all.n; i++) {
        bool any = false;
        for (uint32_t k = 0; k < m->n; k++) any = any || !isnan(all.at[i].get(&m->out[k], all.at[i].k));
        if (any) VEC_PUSH(a, *out) = all.at[i];
    }
}

static void spread(const Many *m, const Quantity *c, double *mean, double *sd) {
    double sum = 0, square = 0;
    for (uint32_t i = 0; i < m->n; i++) sum += c->get(&m->out[i], c->k);
    *mean = sum / m->n;
    for (uint32_t i = 0; i < m->n; i++) square += pow(c->get(&m->out[i], c->k) - *mean, 2);
    *sd = m->n > 1 ? sqrt(square / (m->n - 1)) : NAN;
}

static void put_row(Str *s, const char *name, const Quantities *col, const double *v) {
    str_printf(s, "%-20s", name);
    for (uint32_t i = 0; i < col->n; i++) {
        int width = (int)strlen(col->at[i].name) > 9 ? (int)strlen(col->at[i].name) : 9;
        if (isnan(v[i]))
            str_printf(s, "  %*s", width, "");
        else
            str_printf(s, "  %*.5g", width, v[i]);
    }
    str_putc(s, '\n');
}

/* The metrics of more than one number: of each the mean over the runs, of a row the deviation too. */
static void each_table(const Many *m, Str *s, bool json) {
    Arena *a = ctx_arena(m->c->ctx);
    const char *const *name = class_names(a, &m->out[0]);
    for (uint32_t k = 0, at = 0; k < m->d->metric.n; at += metric_numbers(&m->d->metric.at[k++])) {
        const MetricDesc *d = &m->d->metric.at[k];
        uint32_t n = metric_numbers(d);
        bool known = d->rank > 0;
        for (uint32_t i = 0; i < m->n; i++) known = known && at + n <= m->out[i].nmetric;
        if (!known) continue;
        double *v = NEW_N(a, double, n), *sd = NEW_N(a, double, n);
        for (uint32_t i = 0; i < n; i++) spread(m, &(Quantity){NULL, get_metric, at + i}, &v[i], &sd[i]);
        if (json) {
            str_put(s, ", ");
            put_json_string(s, arena_printf(a, "test_%s", metric_title(m, k)));
            str_put(s, ": ");
            put_json_metric(s, d, v);
        } else
            put_metric_table(s, a, arena_printf(a, "mean of test_%s", metric_title(m, k)), d, v, m->n > 1 ? sd : NULL, name, m->out[0].classes);
    }
}

static void put_table(const Many *m, const Quantities *col, Str *s) {
    double *v = NEW_N(ctx_arena(m->c->ctx), double, col->n + 1), *sd = NEW_N(ctx_arena(m->c->ctx), double, col->n + 1);
    str_printf(s, "%-20s", "");
    for (uint32_t i = 0; i < col->n; i++) str_printf(s, "  %9s", col->at[i].name);
    str_putc(s, '\n');
    for (uint32_t k = 0; k < m->n; k++) {
        for (uint32_t i = 0; i < col->n; i++) v[i] = col->at[i].get(&m->out[k], col->at[i].k);
        put_row(s, m->job[k].name, col, v);
    }
    for (uint32_t i = 0; i < col->n; i++) spread(m, &col->at[i], &v[i], &sd[i]);
    put_row(s, "mean", col, v);
    put_row(s, "standard deviation", col, sd);
    each_table(m, s, false);
    str_printf(s, "weights in %s", m->job[0].weights);
    if (m->n > 1) str_printf(s, " to %s", m->job[m->n - 1].weights);
    str_putc(s, '\n');
}

static void put_object(Str *s, const Quantities *col, const double *v) {
    bool any = false;
    for (uint32_t i = 0; i < col->n; i++) {
        if (isnan(v[i])) continue;
        str_put(s, any ? ", " : "");
        put_json_string(s, col->at[i].name);
        str_put(s, ": ");
        put_json_number(s, v[i]);
        any = true;
    }
}

static void put_json(const Many *m, const Quantities *col, Str *s) {
    double *v = NEW_N(ctx_arena(m->c->ctx), double, col->n + 1), *sd = NEW_N(ctx_arena(m->c->ctx), double, col->n + 1);
    str_put(s, "{\"runs\": [");
    for (uint32_t k = 0; k < m->n; k++) {
        str_put(s, k ? ", {\"run\": " : "{\"run\": ");
        put_json_string(s, m->job[k].name);
        str_printf(s, ", \"epochs\": %d, \"weights\": ", m->out[k].epochs);
        put_json_string(s, m->job[k].weights);
        str_put(s, ", ");
        for (uint32_t i = 0; i < col->n; i++) v[i] = col->at[i].get(&m->out[k], col->at[i].k);
        put_object(s, col, v);
        str_putc(s, '}');
    }
    for (uint32_t i = 0; i < col->n; i++) spread(m, &col->at[i], &v[i], &sd[i]);
    str_put(s, "], \"mean\": {");
    put_object(s, col, v);
    each_table(m, s, true);
    str_put(s, "}, \"standard_deviation\": {");
    put_object(s, col, sd);
    str_put(s, "}}\n");
}

static bool on_done(void *arg, uint32_t i, const Outcome *o) {
    Many *m = arg;
    if (o->rc == CLI_OK) {
        if (!cli_has(m->c, OPT_QUIET))
            fprintf(stderr, "%s: %d epochs in %.2f s, loss %.5g\n", m->job[i].name, o->epochs, o->seconds, o->loss);
        return true;
    }
    fprintf(stderr, "%s: %s", m->job[i].name, o->said);
    m->failed = true;
    return false;
}

static double how_many(const Setting *s) { return !s ? 0 : s->kind == SET_LIST ? s->n : 1; }

/* Folds stand in place of `split`. What that holds back to validate, early stopping asks for: the same part of what does not test. */
static const char *held_back(const Many *m) {
    Ctx *ctx = m->c->ctx;
    const Setting *s = settings_find(&m->d->data, intern(ctx, "split"));
    const Setting *valid = s && s->kind == SET_CALL ? settings_written(ctx, "split", s, "valid") : NULL;
    if (!valid) return "";
    const char *way = name_str(ctx, s->name);
    double share = valid->number, all = 1;
    if (!strcmp(way, "every")) {
        share = how_many(valid);
        all = settings_argument(ctx, "split", s, "n") - how_many(settings_written(ctx, "split", s, "test"));
    } else if (strcmp(way, "folds"))
        all = settings_argument(ctx, "split", s, "train") + share;
    return share > 0 && share < all ? arena_printf(ctx_arena(ctx), ", valid = %.6g", share / all) : "";
}

static void make_jobs(Many *m, int64_t seeds, int64_t folds, int64_t first, const char *path) {
    Cli *c = m->c;
    Arena *a = ctx_arena(c->ctx);
    const char *log = cli_get(c, OPT_LOG);
    const char *valid = folds ? held_back(m) : "";
    for (int64_t s = 0; s < (seeds ? seeds : 1); s++)
        for (int64_t f = 0; f < (folds ? folds : 1); f++) {
            const char **set = NEW_N(a, const char *, 1), *name = "", *file = "", *seed = NULL;
            if (seeds) seed = arena_printf(a, "%" PRId64, first + s);
            if (seeds) name = arena_printf(a, "seed %" PRId64, first + s);
            if (seeds) file = arena_printf(a, "seed%" PRId64, first + s);
            if (folds) set[0] = arena_printf(a, "split=folds(%" PRId64 ", fold = %" PRId64 "%s)", folds, f, valid);
            if (folds) name = arena_printf(a, "%s%sfold %" PRId64, name, *name ? ", " : "", f);
            if (folds) file = arena_printf(a, "%s%sfold%" PRId64, file, *file ? "-" : "", f);
            m->job[m->n++] = (Job){.name = name,
                                   .set = set,
                                   .nset = folds ? 1 : 0,
                                   .seed = seed,
                                   .weights = numbered_path(a, path, file),
                                   .log = log ? numbered_path(a, log, file) : NULL};
        }
}

CliExit train_many(Cli *c, int64_t seeds, int64_t folds) {
    Arena *a = ctx_arena(c->ctx);
    ModelOptions mo;
    int64_t first = 1, at_once = 0;
    if (!cli_int(c, OPT_SEED, 0, INT32_MAX, &first) || !cli_int(c, OPT_JOBS, 1, 1024, &at_once) || !cli_model_options(c, &mo))
        return CLI_USAGE;
    FrontendOptions o = {.std_dir = mo.std_dir, .set = mo.set, .nset = (uint32_t)mo.nset, .model = mo.model};
    Program *p = frontend_load(c->ctx, a, c->arg[0], &o); /* what is wrong with the file is said once */
    if (!p) return CLI_INPUT;
    Many m = {.c = c, .d = frontend_desc(p)};
    uint32_t n = (uint32_t)((seeds ? seeds : 1) * (folds ? folds : 1));
    const char *path = cli_get(c, OPT_OUT);
    if (!path) path = arena_printf(a, "%s.safetensors", m.d->name ? name_str(c->ctx, m.d->name) : "model");
    if (!can_write(c, path)) return CLI_INPUT;
    m.job = NEW_N(a, Job, n + 1);
    m.out = NEW_N(a, Outcome, n + 1);
    make_jobs(&m, seeds, folds, first, path);
    bool all = jobs_run(c, m.job, n, at_once, on_done, &m, m.out);
    if (!all && signal_caught()) raise(signal_caught());
    if (!all || m.failed) return CLI_INPUT;
    Quantities col = {0};
    Str s = str_make(a);
    list_columns(&m, &col);
    if (cli_has(c, OPT_JSON))
        put_json(&m, &col, &s);
    else
        put_table(&m, &col, &s);
    return cli_write(c, NULL, s.at, s.n) ? CLI_OK : CLI_INPUT;
}
