/* rondo eval: loss and metrics; of a scaled series also the forecast's error in the data's own units. */
#include "cli/cli.h"

#include <math.h>

static void put_value(Str *s, bool json, const char *name, double v) {
    if (s->n) str_put(s, json ? ", " : "\n");
    if (json)
        put_json_string(s, name);
    else
        str_put(s, name);
    str_put(s, json ? ": " : " ");
    put_json_number(s, v);
}

/* Metric d, whose numbers stand at v. */
static void put_metric(Str *s, bool json, const char *name, const MetricDesc *d, const double *v) {
    if (!d->rank) {
        put_value(s, json, name, *v);
        return;
    }
    if (s->n) str_put(s, json ? ", " : "\n");
    if (json) {
        put_json_string(s, name);
        str_put(s, ": ");
        put_json_metric(s, d, v);
        return;
    }
    str_printf(s, "%s%s", name, d->rank > 1 ? "\n" : "");
    for (uint32_t i = 0, columns = (uint32_t)d->dim[d->rank - 1]; i < metric_numbers(d); i++) {
        str_put(s, i && i % columns == 0 ? "\n " : " ");
        put_json_number(s, v[i]);
    }
}

/* What is said on the way (on which examples) comes behind the values. */
static void on_line(void *arg, const char *line) {
    Str *s = arg;
    str_printf(s, "%s\n", line);
}

/* The model's loss and metrics are of scaled values; a reader wants sunspots. */
static bool put_units(Cli *c, Model *m, Str *s, bool json) {
    const char *data = cli_get(c, OPT_DATA);
    Series series;
    if (!data_is_series(m, data)) return diag_error_count(c->ctx) == 0;
    if (!series_load(m, data, ctx_arena(c->ctx), data != NULL, &series)) return false;
    bool in_units = true;
    for (uint32_t k = 0; k < series.ny; k++) in_units = in_units && series.y[k].scale == 1 && series.y[k].shift == 0;
    if (in_units && series.ny == 1) return true;
    double *rmse = NEW_N(ctx_arena(c->ctx), double, series.ny + 1);
    int64_t seen = series.set.train + series.set.valid, from = data                  ? 0
                                                               : seen < series.set.n ? seen
                                                               : series.set.valid    ? series.set.train
                                                                                     : 0;
    if (!series_rmse(m, &series, from, series.set.n, rmse)) return false;
    for (uint32_t k = 0; k < series.ny && !isnan(rmse[k]); k++) put_value(s, json, cli_of_column(c->ctx, model_desc(m), "unscaled_rmse", k), rmse[k]);
    return true;
}

CliExit cmd_eval(Cli *c) {
    CliExit rc;
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    bool json = cli_has(c, OPT_JSON);
    Str said = str_make(ctx_arena(c->ctx));
    str_put(&said, "");
    if (!json) model_set_log(m, on_line, &said);
    if (cli_weights(c, m, true, &rc)) {
        size_t n = rondo_count(m, RONDO_METRIC), at = 0;
        const ModelDesc *d = model_desc(m);
        double *metric = NEW_N(ctx_arena(c->ctx), double, n + 1), loss = 0;
        rc = cli_result(c, m, rondo_evaluate(m, cli_get(c, OPT_DATA), NULL, 0, &loss, metric, n));
        if (rc == CLI_OK) {
            Str s = str_make(ctx_arena(c->ctx)), out = str_make(ctx_arena(c->ctx));
            put_value(&s, json, "loss", loss);
            for (uint32_t i = 0; i < d->metric.n; i++) {
                put_metric(&s, json, name_str(c->ctx, d->metric.at[i].name), &d->metric.at[i], metric + at);
                at += metric_numbers(&d->metric.at[i]);
            }
            rc = put_units(c, m, &s, json) ? CLI_OK : CLI_INPUT;
            str_printf(&out, json ? "{%s}\n" : "%s\n", s.at);
            str_put(&out, said.at);
            if (rc == CLI_OK) cli_write(c, NULL, out.at, out.n);
        }
    }
    model_close(m);
    return rc;
}
