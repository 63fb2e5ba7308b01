/* rondo plot: learning curves of logs, and what a trained model makes of its data. */
#include "cli/plot.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* ---- logs --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *path;
    Csv csv;
} Log;
typedef VEC(const char *) Names;

/* An epoch's JSON object as a row; the keys of the first one are the columns. */
static bool read_json_lines(Cli *c, const char *path, const char *text, Csv *out) {
    Arena *a = ctx_arena(c->ctx);
    Str s = str_make(a);
    Names key = {0};
    int line = 0;
    for (const char *p = text, *e; *p; p = *e ? e + 1 : e) {
        json_error_t err;
        e = p + strcspn(p, "\n");
        line++;
        json_t *row = json_loadb(p, (size_t)(e - p), 0, &err);
        const char *name;
        json_t *v;
        if (!json_is_object(row)) {
            json_decref(row);
            diag_error(c->ctx, 622, (Span){0, 0}, "%s:%d: this line is no JSON object", path, line);
            return false;
        }
        if (!key.n) {
            json_object_foreach(row, name, v) VEC_PUSH(a, key) = arena_strdup(a, name);
            for (uint32_t i = 0; i < key.n; i++) str_printf(&s, "%s%s", i ? "," : "", key.at[i]);
            str_putc(&s, '\n');
        }
        for (uint32_t i = 0; i < key.n; i++) {
            v = json_object_get(row, key.at[i]);
            if (i) str_putc(&s, ',');
            if (json_is_number(v)) str_double(&s, json_number_value(v));
        }
        str_putc(&s, '\n');
        json_decref(row);
    }
    str_put(&s, "");
    return csv_parse(c->ctx, a, path, s.at, s.n, (CsvForm){',', '.'}, out);
}

static bool read_log(Cli *c, const char *path, Log *out) {
    const char *dot = strrchr(path, '.');
    char *text;
    size_t n;
    out->path = path;
    if (dot && !strcmp(dot, ".jsonl")) {
        if (!file_read(c->ctx, ctx_arena(c->ctx), path, &text, &n) || !read_json_lines(c, path, text, &out->csv)) return false;
    } else if (!csv_read(c->ctx, ctx_arena(c->ctx), path, (CsvForm){',', '.'}, &out->csv))
        return false;
    bool ok = out->csv.nrow > 0 && out->csv.header;
    bool epoch = false, loss = false;
    for (uint32_t k = 0; ok && k < out->csv.ncol; k++) {
        epoch = epoch || !strcmp(out->csv.header[k], "epoch");
        loss = loss || !strcmp(out->csv.header[k], "loss");
    }
    if (epoch && loss) return true;
    diag_error(c->ctx, 554, (Span){0, 0}, "%s is no log of a training: `rondo train M.rondo --log FILE.csv` writes one", path);
    return false;
}

static int64_t column(const Csv *c, const char *name) {
    for (uint32_t k = 0; k < c->ncol; k++)
        if (!strcmp(c->header[k], name)) return k;
    return -1;
}

static bool cell_at(const Csv *c, uint32_t row, int64_t k, double *v) {
    char *end;
    const char *text = c->cell[(size_t)row * c->ncol + (size_t)k];
    *v = parse_double(text, &end);
    return end != text && isfinite(*v);
}

/* ---- learning curves ---------------------------------------------------------------------------------------------------- */

/* A block of epoch, value; false if there are no values. */
static bool put_curve(Plot *p, const Log *log, const char *name, int id, int metric, double *lo, double *hi) {
    int64_t x = column(&log->csv, "epoch"), y = column(&log->csv, name);
    bool any = false;
    if (y < 0) return false;
    size_t before = p->data.n;
    str_printf(&p->data, "$d%d_%d << E\n", id, metric);
    for (uint32_t r = 0; r < log->csv.nrow; r++) {
        double e, v;
        if (!cell_at(&log->csv, r, x, &e) || !cell_at(&log->csv, r, y, &v)) continue;
        str_printf(&p->data, "%g,%.9g\n", e, v);
        *lo = fmin(*lo, v);
        *hi = fmax(*hi, v);
        any = true;
    }
    str_put(&p->data, "E\n");
    if (!any) p->data.n = before;
    return any;
}

static const char *const colours[] = {"#c03020", "#2060b0", "#208040", "#a06000", "#803090", "#404040"};
enum { COLOURS = sizeof colours / sizeof *colours };

/* Losses of all logs as one picture (metric -1), or one metric. What differs between logs is the colour, between training and
   validation the stroke. */
static void put_panel(Plot *p, const Log *log, int n, const char *const *name, const char *const *stroke, int names,
                      int first) {
    double lo = INFINITY, hi = -INFINITY;
    Str s = str_make(ctx_arena(p->cli->ctx));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < names; k++) {
            if (!put_curve(p, &log[i], name[k], i, first + k, &lo, &hi)) continue;
            str_printf(&s, "%s$d%d_%d using 1:2 with lines lw 2 %s lc rgb '%s' title ", s.n ? ", " : "plot ", i, first + k,
                       stroke[k], colours[i % COLOURS]);
            plot_text(&s, n > 1 ? arena_printf(ctx_arena(p->cli->ctx), "%s, %s", log[i].path, name[k]) : name[k]);
        }
    if (!s.n) return;
    bool wide = lo > 0 && hi > 30 * lo;
    str_printf(&p->script, "set xlabel 'epoch'\nset ylabel ");
    plot_text(&p->script, name[0]);
    str_printf(&p->script, "\n%s logscale y\n%s\n", wide ? "set" : "unset", s.at);
}

static bool known(const Names *v, const char *name) {
    for (uint32_t i = 0; i < v->n; i++)
        if (!strcmp(v->at[i], name)) return true;
    return false;
}

bool plot_learning(Plot *p, char **path, int n) {
    static const char *const losses[] = {"loss", "valid_loss"}, *const strokes[] = {"", "dashtype 2"};
    static const char *const not_metrics[] = {"epoch", "update", "loss", "valid_loss", "seconds"};
    Arena *a = ctx_arena(p->cli->ctx);
    Log *log = NEW_N(a, Log, n + 1);
    Names metric = {0};
    for (int i = 0; i < n; i++)
        if (!read_log(p->cli, path[i], &log[i])) return false;
    for (int i = 0; i < n; i++)
        for (uint32_t k = 0; k < log[i].csv.ncol; k++) {
            bool other = known(&metric, log[i].csv.header[k]) || strchr(log[i].csv.header[k], '['); /* a table has no curve */
            for (size_t j = 0; j < sizeof not_metrics / sizeof *not_metrics; j++)
                other = other || !strcmp(log[i].csv.header[k], not_metrics[j]);
            if (!other) VEC_PUSH(a, metric) = log[i].csv.header[k];
        }
    int panels = 1 + (int)metric.n, columns = panels > 1 ? 2 : 1, rows = (panels + 1) / columns;
    p->width = 450 * columns + (columns == 1 ? 250 : 0);
    p->height = 320 * rows;
    str_printf(&p->script, "set multiplot layout %d,%d\n", rows, columns);
    put_panel(p, log, n, losses, strokes, 2, 0);
    for (uint32_t k = 0; k < metric.n; k++) put_panel(p, log, n, &metric.at[k], strokes, 1, 2 + (int)k);
    str_put(&p->script, "unset multiplot\n");
    str_printf(&p->said, "%u epoch%s", log[0].csv.nrow, log[0].csv.nrow == 1 ? "" : "s");
    return true;
}

/* ---- the command -------------------------------------------------------------------------------------------------------- */

typedef enum { LEARNING, TUNE, FORECAST, SCATTER, CONFUSION, ROC, ATTENTION, KINDS } Kind;
static const char *const kinds[] = {"learning", "tune", "forecast", "scatter", "confusion", "roc", "attention"};

static bool model_plot(Plot *p, Kind kind, Model *m) {
    Cli *c = p->cli;
    const char *data = cli_get(c, OPT_DATA);
    int64_t future = 0, example = 0;
    if (!cli_int(c, OPT_FUTURE, 0, 10000000, &future) || !cli_int(c, OPT_EXAMPLE, 0, INT64_MAX, &example)) return false;
    if (kind == FORECAST) return plot_forecast(p, m, data, future);
    if (kind == SCATTER) return plot_scatter(p, m, data);
    if (kind == CONFUSION) return plot_confusion(p, m, data);
    if (kind == ROC) return plot_roc(p, m, data);
    return plot_attention(p, m, data, cli_get(c, OPT_PROMPT), cli_has(c, OPT_EXAMPLE) ? example : -1);
}

/* Options that another kind of picture takes. */
static const char *stray_option(const Cli *c, Kind kind) {
    for (uint32_t i = 0; i < c->use.n; i++) {
        Opt o = c->use.at[i].opt;
        bool taken = kind > TUNE || o == OPT_OUT;
        if (o == OPT_FUTURE) taken = kind == FORECAST;
        if (o == OPT_PROMPT || o == OPT_EXAMPLE) taken = kind == ATTENTION;
        if (!taken) return cli_option_name(o);
    }
    return NULL;
}

CliExit cmd_plot(Cli *c) {
    Arena *a = ctx_arena(c->ctx);
    const char *path = cli_get(c, OPT_OUT);
    Kind kind = LEARNING;
    CliExit rc = CLI_INPUT;
    while (kind < KINDS && strcmp(kinds[kind], c->arg[0])) kind++;
    if (kind == KINDS)
        return cli_usage(c, "plot draws learning, tune, forecast, scatter, confusion, roc or attention, not '%.40s'", c->arg[0]);
    const char *stray = stray_option(c, kind);
    if (stray) return cli_usage(c, "plot %s does not take --%s", kinds[kind], stray);
    if (kind && c->narg > 2) return cli_usage(c, "one argument too many: '%.80s'", c->arg[2]);
    if (!plot_can_draw(c, path)) return CLI_USAGE;
    Plot p = {.cli = c, .script = str_make(a), .data = str_make(a), .said = str_make(a), .width = 900, .height = 360};
    if (kind <= TUNE) {
        if (!(kind == TUNE ? plot_tune(&p, c->arg[1]) : plot_learning(&p, c->arg + 1, c->narg - 1))) return CLI_INPUT;
    } else {
        Model *m = cli_model(c, c->arg[1], &rc);
        if (!m) return rc;
        bool ok = cli_weights(c, m, true, &rc);
        if (ok) ok = model_plot(&p, kind, m);
        model_close(m);
        if (!ok) return *c->usage ? CLI_USAGE : rc;
    }
    if (!plot_draw(&p, path)) return CLI_INPUT;
    printf("%s: %s\n", path, p.said.n ? p.said.at : "drawn");
    return CLI_OK;
}
