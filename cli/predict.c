/* rondo predict: outputs as CSV. For a model with a data block: one row a forecast, in order of the series, and with --future
   rows past its end. For arrays (--data X.npz): one row a step of an example. To a file .wav: the sound that comes out. */
#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_cell(Str *s, const char *text) {
    if (!strpbrk(text, ",\"\n\r")) {
        str_put(s, text);
        return;
    }
    str_putc(s, '"');
    for (; *text; text++) {
        if (*text == '"') str_putc(s, '"');
        str_putc(s, *text);
    }
    str_putc(s, '"');
}

static void put_columns(Str *s, Cli *c, const Model *m, uint32_t n) {
    for (uint32_t k = 0; k < n; k++) {
        const char *name = series_target_name(c->ctx, model_desc(m), k);
        str_put(s, ",");
        put_cell(s, n == 1 ? "truth" : arena_printf(ctx_arena(c->ctx), "truth %s", name));
        str_put(s, ",");
        put_cell(s, n == 1 ? "forecast" : arena_printf(ctx_arena(c->ctx), "forecast %s", name));
    }
}

static bool predict_series(Cli *c, Model *m, int64_t future, Str *s) {
    Arena *a = ctx_arena(c->ctx);
    Series series;
    if (!series_load(m, cli_get(c, OPT_DATA), a, false, &series)) return false;
    int64_t n = series.set.n, first = series.window + series.horizon - 1, seen = series.set.train + series.set.valid;
    int64_t ny = series.ny;
    double *value = NEW_N(a, double, n * ny + 1), *next = NEW_N(a, double, future * ny + 1);
    if (!series_forecast(m, &series, 0, n, value) || (future && !series_future(m, &series, future, next))) return false;
    str_put(s, series.date ? "date" : "row");
    put_columns(s, c, m, series.ny);
    str_put(s, ",part\n");
    for (int64_t k = 0; k < n; k++) {
        int64_t row = first + k;
        if (series.date)
            put_cell(s, series.date[row]);
        else
            str_printf(s, "%" PRId64, row);
        for (int64_t i = 0; i < ny; i++) {
            str_putc(s, ',');
            str_double(s, series.y[i].value[row]);
            str_putc(s, ',');
            str_double(s, value[k * ny + i]);
        }
        str_printf(s, ",%s\n", k < series.set.train ? "train" : k < seen ? "valid" : "test");
    }
    const char **date;
    if (!series_next_dates(c->ctx, a, &series, future, &date)) return false;
    for (int64_t k = 1; k <= future; k++) {
        if (date) put_cell(s, date[k - 1]);
        else str_printf(s, "%" PRId64, series.nrow + k - 1);
        for (int64_t i = 0; i < ny; i++) {
            str_put(s, ",,");
            str_double(s, next[(k - 1) * ny + i]);
        }
        str_put(s, ",future\n");
    }
    return true;
}

typedef struct {
    Cli *c;
    Model *m;
    const Dataset *d;
    bool given; /* all of a file of --data, which has no parts */
    Str *text; /* of each output */
} Rows;

static void put_head(Str *s, const Dataset *d, bool steps, bool classes, int64_t truths, int64_t n) {
    str_printf(s, "output,example%s%s,part%s", d->place && d->place[0].run ? ",run" : "", d->several_files ? ",file,line" : "", classes ? ",truth,class" : truths == 1 ? ",truth" : "");
    for (int64_t i = 0; truths > 1 && i < truths; i++) str_printf(s, ",truth %" PRId64, i);
    str_put(s, steps ? ",step" : "");
    for (int64_t i = 0; i < n; i++) str_printf(s, ",%" PRId64, i);
    str_putc(s, '\n');
}

/* The example's number in the user's file, and its name there if it has one; where there are several, these one after another, and the line of its own. */
static void put_place(Str *s, const Dataset *d, int64_t example) {
    str_printf(s, ",%" PRId64, d->place ? d->place[example].number : example);
    if (d->place && d->place[example].run) {
        str_putc(s, ',');
        put_cell(s, d->place[example].run);
    }
    if (!d->several_files) return;
    str_putc(s, ',');
    put_cell(s, d->place[example].file);
    str_printf(s, ",%" PRId64, d->place[example].line);
}

static void put_classes(const Rows *r, Str *s, double truth, double class) {
    Arena *a = ctx_arena(r->c->ctx);
    str_putc(s, ',');
    if (truth >= 0) put_cell(s, cli_class_name(r->m, a, truth));
    str_putc(s, ',');
    put_cell(s, cli_class_name(r->m, a, class));
}

/* With as many digits as its array has. */
static void put_number(Str *s, const Array *of, double v) {
    if (of->type == RONDO_F32) str_float(s, (float)v);
    else str_double(s, v);
}

static bool put_rows(void *arg, const OutputRow *o) {
    Rows *r = arg;
    Str *s = &r->text[o->output];
    const Array *x = o->x;
    const Dataset *d = r->d;
    const char *name = name_str(r->c->ctx, model_desc(r->m)->output.at[o->output].name);
    int64_t row = 1, lines = o->steps ? o->steps : 1, most = o->steps ? x->dim[1] : 1;
    for (int k = 1; k < x->rank; k++) row *= x->dim[k];
    int64_t n = row / most;
    for (int64_t t = 0; t < lines; t++) {
        int64_t at = o->b * most + t;
        double class = cli_class(r->m, x, at, n, o->steps > 0);
        int64_t truths = class >= 0 ? 0 : cli_numbers(r->m, o->output);
        if (!s->n) put_head(s, d, o->steps > 0, class >= 0, truths, n);
        put_cell(s, name);
        const char *part = r->given ? "data" : o->example < d->train ? "train" : o->example < d->train + d->valid ? "valid" : "test";
        put_place(s, d, o->example);
        str_printf(s, ",%s", part);
        if (class >= 0) put_classes(r, s, cli_truth(o, t), class);
        for (int64_t i = 0; i < truths; i++) {
            double truth = cli_true_number(o, t * n + i);
            str_putc(s, ',');
            if (!isnan(truth)) put_number(s, o->target, truth);
        }
        if (o->steps) str_printf(s, ",%" PRId64, t);
        for (int64_t i = 0; i < n; i++) {
            str_putc(s, ',');
            put_number(s, x, array_get(x, at * n + i));
        }
        str_putc(s, '\n');
    }
    return true;
}

/* Examples of a data set: a row an example, or a step of one. */
static bool predict_examples(Cli *c, Model *m, const char *path, Str *s) {
    Arena *a = ctx_arena(c->ctx);
    Dataset d;
    uint32_t n = model_desc(m)->output.n;
    Rows r = {.c = c, .m = m, .d = &d, .given = path != NULL, .text = NEW_N(a, Str, n + 1)};
    for (uint32_t i = 0; i < n; i++) r.text[i] = str_make(a);
    if (!dataset_load(m, path, a, path != NULL, &d) || !dataset_outputs(m, &d, put_rows, &r)) return false;
    for (uint32_t i = 0; i < n; i++) str_putn(s, r.text[i].at, r.text[i].n);
    return true;
}

static bool has_steps(const Cli *c, const Model *m, const char *output) {
    const ModelDesc *d = model_desc(m);
    for (uint32_t i = 0; i < d->output.n; i++)
        if (!strcmp(name_str(c->ctx, d->output.at[i].name), output)) return d->output.at[i].seq;
    return false;
}

/* Outputs [B, rest..] or [B, T, rest..]: rows are (example) or (example, step), columns the outputs' elements. */
static bool predict_arrays(Cli *c, Model *m, const char *path, Str *s) {
    Arena *a = ctx_arena(c->ctx);
    Arrays in = {0}, out = {0};
    if (!npz_read(c->ctx, a, path, &in) || !run_arrays(m, &(RunOptions){0}, &in, a, &out)) return false;
    for (uint32_t k = 0; k < out.array.n; k++) {
        const Array *v = &out.array.at[k];
        if (strncmp(v->name, "output/", 7)) continue;
        int lead = has_steps(c, m, v->name + 7) ? 2 : 1;
        int64_t rows = 1, columns = 1;
        for (int i = 0; i < v->rank; i++) *(i < lead ? &rows : &columns) *= v->dim[i];
        str_printf(s, "output,example%s", lead == 2 ? ",step" : "");
        for (int64_t j = 0; j < columns; j++) str_printf(s, ",%" PRId64, j);
        str_putc(s, '\n');
        for (int64_t r = 0; r < rows; r++) {
            put_cell(s, v->name + 7);
            if (lead == 2)
                str_printf(s, ",%" PRId64 ",%" PRId64, r / v->dim[1], r % v->dim[1]);
            else
                str_printf(s, ",%" PRId64, r);
            for (int64_t j = 0; j < columns; j++) {
                str_putc(s, ',');
                put_number(s, v, array_get(v, r * columns + j));
            }
            str_putc(s, '\n');
        }
    }
    return true;
}

static bool ends_in_wav(const char *path) {
    size_t n = strlen(path);
    return n >= 4 && !strcmp(path + n - 4, ".wav");
}

CliExit cmd_predict(Cli *c) {
    CliExit rc;
    int64_t future = 0;
    if (!cli_int(c, OPT_FUTURE, 0, 10000000, &future)) return CLI_USAGE;
    const char *data = cli_get(c, OPT_DATA), *dot = data ? strrchr(data, '.') : NULL;
    bool arrays = dot && !strcmp(dot, ".npz"), sound = cli_get(c, OPT_OUT) && ends_in_wav(cli_get(c, OPT_OUT));
    if (sound && future) return cli_usage(c, "--future goes on a series: a sound has no next row");
    if (arrays && future) return cli_usage(c, "--future goes on a series (.csv): arrays have no next row");
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    if (cli_weights(c, m, true, &rc)) {
        Str s = str_make(ctx_arena(c->ctx));
        bool ok = false;
        if (!model_need_output(m)) ok = false;
        else if (sound) ok = wav_through(m, data, cli_get(c, OPT_OUT));
        else if (arrays) ok = predict_arrays(c, m, data, &s);
        else if (data_is_series(m, data)) ok = predict_series(c, m, future, &s);
        else if (future) diag_error(c->ctx, 552, (Span){0, 0}, "--future goes on a series; these data are examples");
        else if (diag_error_count(c->ctx) == 0) ok = predict_examples(c, m, data, &s);
        rc = ok && (sound || cli_write(c, cli_get(c, OPT_OUT), s.at, s.n)) ? CLI_OK : CLI_INPUT;
    }
    model_close(m);
    return rc;
}
