/* outcome: one training from the command line's options to weights on the disk; what came of it, beside what needs no learning. */
#include "cli/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool can_write(Cli *c, const char *path) {
    if (!path) return true;
    const char *slash = strrchr(path, '/');
    const char *folder = !slash ? "." : slash == path ? "/" : arena_strndup(ctx_arena(c->ctx), path, (size_t)(slash - path));
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (access(folder, W_OK | X_OK) == 0)
        return true;
    diag_error(c->ctx, 1, (Span){0, 0}, "cannot write '%s': %s", path, strerror(errno));
    return false;
}

/* A file of the model's name that nobody asked to be written may hold what another one learnt: a copy's model has the same name. */
static bool is_own(Cli *c, Model *m, const char *path) {
    const char *other, *weights = cli_get(c, OPT_WEIGHTS);
    if (cli_has(c, OPT_OUT) || access(path, F_OK) != 0 || (weights && !strcmp(weights, path))) return true;
    bool known = weights_of_other(m, path, &other);
    if (known && !other) return true;
    if (known) diag_error(c->ctx, 1, (Span){0, 0}, "'%s' is not written: it holds weights of %s", path, other);
    diag_help(c->ctx, (Span){0, 0}, "weights go to a file of the model's name, '%s'; give it another name, or say where they go: -o FILE", rondo_name(m));
    return false;
}

/* ---- data --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    TrainData d;
    Series series;
    bool is_series;
} Data;

static bool load(Cli *c, Model *m, Data *out) {
    Arena *a = ctx_arena(c->ctx);
    const char *path = cli_get(c, OPT_DATA);
    out->is_series = data_is_series(m, path);
    if (diag_error_count(c->ctx)) return false;
    bool ok = out->is_series ? series_load(m, path, a, false, &out->series) : dataset_load(m, path, a, false, &out->d.set);
    if (out->is_series) out->d.set = out->series.set;
    return ok && several_classes(m, &out->d.set) && validation_load(m, a, &out->d);
}

static bool validates(Cli *c, Model *m, const TrainData *d) {
    if (d->has_other || d->set.valid > 0) return true;
    diag_error(c->ctx, 551, model_desc(m)->train.span,
               "trials are compared by what validates, and '%s' has none: validation = 0.2 holds a part back", rondo_name(m));
    return false;
}

/* ---- what came of it ---------------------------------------------------------------------------------------------------- */

/* Names of the target's classes, if they find room. */
static void name_classes(Model *m, Outcome *out) {
    const PortDesc *y = model_desc(m)->target.n ? &model_desc(m)->target.at[0] : NULL;
    int64_t classes = !y ? 0 : y->vocab ? y->vocab : y->dtype == DT_B ? 2 : 0;
    size_t n = 0;
    for (int64_t k = 0; k < classes && k < OUTCOME_SAID; k++) {
        const char *name = data_class(m, ctx_arena(model_ctx(m)), (double)k);
        if (n + strlen(name) + 1 > sizeof out->said) return;
        memcpy(out->said + n, name, strlen(name) + 1);
        n += strlen(name) + 1;
    }
    out->classes = (int)classes;
}

static bool judge_series(Cli *c, Model *m, const Series *s, int64_t from, int64_t to, Outcome *out) {
    double *rmse = NEW_N(ctx_arena(c->ctx), double, s->ny + 1);
    if (!series_rmse(m, s, from, to, rmse)) return false;
    for (uint32_t k = 0; k < s->ny && k < OUTCOME_COLUMNS && !isnan(rmse[k]); k++) {
        out->column[k].rmse = rmse[k];
        series_baselines(m, s, k, from, to, &out->column[k].persistence, &out->column[k].autoregression);
        out->columns = k + 1;
    }
    out->order = s->window * s->nx;
    return true;
}

static bool evaluate(Cli *c, Model *m, Data *data, Outcome *out) {
    const Dataset *d = &data->d.set;
    int64_t from = d->train + d->valid, to = d->n;
    double *metric = NEW_N(ctx_arena(c->ctx), double, metric_count(m) + 1);
    out->tested = from < to;
    if (!out->tested && d->valid) from = d->train;
    bool per_step = token_baselines(m, d, from, to, &out->entropy, &out->majority);
    if (from >= to || (d->valid && !out->tested && !data->is_series)) return true; /* the last epoch has said it already */
    if (!evaluate_set(m, d, from, to, &out->test_loss, metric)) return false;
    out->examples = to - from;
    for (uint32_t i = 0; i < model_desc(m)->metric.n && metric_first(m, i + 1) <= OUTCOME_METRICS; i++) out->nmetric = metric_first(m, i + 1);
    for (uint32_t i = 0; i < out->nmetric; i++) out->metric[i] = metric[i];
    name_classes(m, out);
    if (!per_step) majority_share(m, d, from, to, &out->majority);
    if (!data->is_series) out->mean = mean_rmse(m, d, from, to);
    return !data->is_series || !model_desc(m)->output.n ? diag_error_count(c->ctx) == 0 : judge_series(c, m, &data->series, from, to, out);
}

static rondo_status status_of(Cli *c, bool ok, bool stopped) {
    if (ok) return stopped ? RONDO_STOPPED : RONDO_OK;
    for (uint32_t i = 0; i < diag_count(c->ctx); i++)
        if (diag_at(c->ctx, i)->kind == DIAG_ERROR && (diag_at(c->ctx, i)->code == 900 || diag_at(c->ctx, i)->code == 902))
            return RONDO_NO_MEMORY;
    return cli_status(c) == CLI_INTERNAL ? RONDO_INTERNAL : RONDO_BAD_INPUT;
}

static CliExit train(Cli *c, const TrainTask *t, Model *m, Outcome *out) {
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    rondo_train_result r = {0};
    Data *data = NEW(ctx_arena(c->ctx), Data);
    o.checkpoint = t->checkpoint;
    o.resume = t->resume;
    o.stop_after = t->stop_after;
    o.progress = progress_line;
    o.progress_arg = t->progress;
    bool ok = load(c, m, data) && (!t->must_validate || validates(c, m, &data->d));
    /* While data are read a signal ends all at once: nothing has been learnt that it could cost. So it ends a job of several: what was
       trained in part would pass for the whole. */
    if (!t->progress->tell) signals_catch();
    ok = ok && train_set(m, &data->d.set, data->d.has_other ? &data->d.other : NULL, &o, &r, &out->stopped);
    if (!t->progress->tell) signals_leave();
    progress_end(t->progress);
    out->epochs = r.epochs;
    out->updates = r.updates;
    out->seconds = r.seconds;
    out->loss = r.loss;
    out->valid_loss = r.valid_loss;
    out->best = r.best;
    out->sign = r.best_sign;
    CliExit rc = cli_result(c, m, status_of(c, ok, out->stopped));
    if (rc == CLI_OK && t->save && !weights_save(m, t->weights)) rc = CLI_INPUT;
    if (rc == CLI_OK && t->summary && !out->stopped && !evaluate(c, m, data, out)) rc = CLI_INPUT;
    return rc;
}

CliExit train_task(Cli *c, TrainTask *t, Model **m, Outcome *out) {
    CliExit rc;
    *out = (Outcome){.test_loss = NAN,
                     .majority = NAN,
                     .entropy = NAN,
                     .mean = NAN,
                     .loss = NAN,
                     .valid_loss = NAN};
    *m = cli_model(c, c->arg[0], &rc);
    if (!*m) return rc;
    model_set_log(*m, progress_note, t->progress);
    if (!cli_weights(c, *m, false, &rc)) return rc;
    if (t->save && !t->weights) t->weights = arena_printf(ctx_arena(c->ctx), "%s.safetensors", rondo_name(*m));
    if (!can_write(c, t->weights) || !can_write(c, t->checkpoint) || (t->save && !is_own(c, *m, t->weights))) return CLI_INPUT;
    if (!progress_log(t->progress, t->log)) return *c->usage ? CLI_USAGE : CLI_INPUT;
    rc = train(c, t, *m, out);
    if (t->progress->log && fclose(t->progress->log) != 0)
        diag_error(c->ctx, 1, (Span){0, 0}, "cannot write '%s': %s", t->log, strerror(errno));
    t->progress->log = NULL;
    return rc;
}

/* ---- in words ----------------------------------------------------------------------------------------------------------- */

/* In one line what is one number; in JSON all. */
static void put_metrics(Str *s, Model *m, const Outcome *r, bool json) {
    for (uint32_t i = 0; i < model_desc(m)->metric.n && metric_first(m, i) < r->nmetric; i++) {
        const MetricDesc *d = &model_desc(m)->metric.at[i];
        const char *name = name_str(model_ctx(m), d->name);
        if (!json && d->rank) continue;
        str_put(s, json ? ", " : "  ");
        if (json)
            put_json_string(s, arena_printf(ctx_arena(model_ctx(m)), "test_%s", name));
        else
            str_printf(s, "%s ", name);
        if (json) str_put(s, ": ");
        if (json)
            put_json_metric(s, d, &r->metric[metric_first(m, i)]);
        else
            str_printf(s, "%.5g", r->metric[metric_first(m, i)]);
    }
}

const char *const *class_names(Arena *a, const Outcome *r) {
    const char **name = NEW_N(a, const char *, r->classes + 1), *at = r->said;
    for (int k = 0; k < r->classes; at += strlen(at) + 1) name[k++] = at;
    return name;
}

/* The others, by the names of the target's classes. */
static void put_tables(Str *s, Model *m, const Outcome *r) {
    const ModelDesc *d = model_desc(m);
    Arena *a = ctx_arena(model_ctx(m));
    const char *const *name = class_names(a, r);
    for (uint32_t i = 0; i < d->metric.n && metric_first(m, i) < r->nmetric; i++)
        if (d->metric.at[i].rank)
            put_metric_table(s, a, name_str(model_ctx(m), d->metric.at[i].name), &d->metric.at[i], &r->metric[metric_first(m, i)], NULL, name, r->classes);
}

static void put_json_value(Str *s, const char *name, double v) {
    if (isnan(v)) return;
    str_put(s, ", ");
    put_json_string(s, name);
    str_put(s, ": ");
    put_json_number(s, v);
}

static void put_json(Str *s, Model *m, const Outcome *r, const char *path) {
    str_put(s, "{\"model\": ");
    put_json_string(s, rondo_name(m));
    str_printf(s, ", \"epochs\": %d, \"updates\": %" PRId64 ", \"loss\": ", r->epochs, r->updates);
    put_json_number(s, r->loss);
    str_put(s, ", \"valid_loss\": ");
    put_json_number(s, r->valid_loss);
    str_put(s, ", \"seconds\": ");
    put_json_number(s, r->seconds);
    put_json_value(s, "test_loss", r->test_loss);
    put_metrics(s, m, r, true);
    for (uint32_t k = 0; k < r->columns; k++) {
        put_json_value(s, cli_of_column(model_ctx(m), model_desc(m), "unscaled_rmse", k), r->column[k].rmse);
        put_json_value(s, cli_of_column(model_ctx(m), model_desc(m), "persistence_rmse", k), r->column[k].persistence);
        put_json_value(s, cli_of_column(model_ctx(m), model_desc(m), "autoregression_rmse", k), r->column[k].autoregression);
    }
    put_json_value(s, "majority_share", r->majority);
    put_json_value(s, "shares_loss", r->entropy);
    put_json_value(s, "mean_rmse", r->mean);
    str_printf(s, ", \"stopped\": %s, \"weights\": ", r->stopped ? "true" : "false");
    put_json_string(s, path);
    str_put(s, "}\n");
}

static void put_option(Str *s, const char *option, const char *value) {
    str_printf(s, " %s ", option);
    put_word(s, value);
}

/* The next command to type: what such a model is for. */
static void put_next(Cli *c, Str *s, Model *m, const Outcome *r, const char *path) {
    const ModelDesc *d = model_desc(m);
    const PortDesc *in = d->input.n == 1 ? &d->input.at[0] : NULL, *y = d->target.n ? &d->target.at[0] : NULL;
    const char *data = cli_get(c, OPT_DATA), *kind = settings_find(&d->data, intern(c->ctx, "wav")) ? "wav" : "csv";
    bool writes = settings_find(&d->data, intern(c->ctx, "teacher")) != NULL, reads = settings_find(&d->data, intern(c->ctx, "text")) != NULL;
    bool language = writes || (reads && in && in->seq && in->vocab && y && y->seq && y->vocab);
    bool forecast = r->columns > 0, classes = !isnan(r->majority), numbers = false;
    for (uint32_t k = 0; k < d->output.n && strcmp(kind, "wav"); k++) numbers = numbers || cli_numbers(m, k);
    bool picture = forecast || classes || numbers;
    str_printf(s, "next: rondo %s ", language ? "generate" : forecast ? "plot forecast" : classes ? "plot confusion" : picture ? "plot scatter" : "predict");
    put_word(s, c->arg[0]);
    put_option(s, "-w", path);
    Arena *a = ctx_arena(c->ctx);
    if (!language) put_option(s, "-o", picture ? arena_printf(a, "%s.svg", rondo_name(m)) : arena_printf(a, "%s-predicted.%s", rondo_name(m), kind));
    if (writes) str_put(s, " --beam 4 --prompt TEXT");
    if (cli_get(c, OPT_MODEL)) put_option(s, "--model", cli_get(c, OPT_MODEL));
    if (data && !language) put_option(s, "--data", data);
    const char *set;
    for (uint32_t k = 0; !language && (set = cli_nth(c, OPT_SET, k)); k++)
        if (names_data(set)) put_option(s, "--set", set);
    str_putc(s, '\n');
}

/* What forecasts of a column are worth, beside those that need no network. */
static void put_forecast(Str *s, Model *m, const Outcome *r, uint32_t k) {
    Ctx *ctx = model_ctx(m);
    bool several = series_targets(ctx, model_desc(m)) > 1;
    str_printf(s, "%s%sin the units of the data: RMSE %.4g; persistence %.4g", several ? series_target_name(ctx, model_desc(m), k) : "", several ? ", " : "", r->column[k].rmse, r->column[k].persistence);
    if (!isnan(r->column[k].autoregression)) str_printf(s, "; linear autoregression of %" PRId64 " values %.4g", r->order, r->column[k].autoregression);
    str_putc(s, '\n');
}

static void put_summary(Cli *c, Str *s, Model *m, const Outcome *r, const char *path) {
    if (r->examples) {
        str_printf(s, "%s part, %" PRId64 " examples: loss %.5g", r->tested ? "test" : "validation", r->examples, r->test_loss);
        put_metrics(s, m, r, false);
        str_putc(s, '\n');
        put_tables(s, m, r);
    }
    else if (isfinite(r->valid_loss)) str_printf(s, "validation part, after the last epoch: loss %.5g\n", r->valid_loss);
    for (uint32_t k = 0; k < r->columns; k++) put_forecast(s, m, r, k);
    uint32_t columns = series_targets(c->ctx, model_desc(m));
    if (r->columns && r->columns < columns) str_printf(s, "and %u more columns, which rondo eval lists\n", columns - r->columns);
    if (!isnan(r->majority)) str_printf(s, "always the most frequent class would be right in %.4g of them\n", r->majority);
    if (!isnan(r->entropy)) str_printf(s, "always the shares that they have in training: cross entropy %.4g\n", r->entropy);
    if (!isnan(r->mean)) str_printf(s, "always the mean that it has in training: RMSE %.4g\n", r->mean);
    put_next(c, s, m, r, path);
}

void print_outcome(Cli *c, Model *m, const Outcome *r, const char *path) {
    Str s = str_make(ctx_arena(c->ctx));
    if (cli_has(c, OPT_JSON)) {
        put_json(&s, m, r, path);
    } else {
        str_printf(&s, "%s: %d epoch%s, %" PRId64 " updates in %.2f s", r->stopped ? "stopped" : "trained", r->epochs,
                   r->epochs == 1 ? "" : "s", r->updates, r->seconds);
        if (!isnan(r->loss)) str_printf(&s, ", loss %.6g", r->loss);
        str_printf(&s, "; weights in %s\n", path);
        if (!cli_has(c, OPT_QUIET) && !r->stopped) put_summary(c, &s, m, r, path);
    }
    cli_write(c, NULL, s.at, s.n);
}
