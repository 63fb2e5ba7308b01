/* plot forecast: one-step forecasts against the truth and against persistence (the newest value that the model sees, again), over
   the rows that training has not seen and some before them; then what the model makes of its own forecasts. */
#include "cli/plot.h"

#include <math.h>
#include <string.h>

typedef struct {
    Series s;
    int64_t seen, from; /* samples: the first that tests, the first that is drawn */
    double *value, *next;
    bool numeric; /* dates are numbers */
} Forecast;

static bool all_numbers(const Series *s) {
    double v;
    for (int64_t i = 0; s->date && i < s->nrow; i++) {
        char *end;
        v = parse_double(s->date[i], &end);
        if (end == s->date[i] || *end || !isfinite(v)) return false;
    }
    return true;
}

static double number(const char *text) {
    char *end;
    return parse_double(text, &end);
}

static double place(const Forecast *f, int64_t row) {
    if (!f->s.date || !f->numeric) return (double)row;
    if (row < f->s.nrow) return number(f->s.date[row]);
    double last = number(f->s.date[f->s.nrow - 1]), step = f->s.nrow > 1 ? last - number(f->s.date[f->s.nrow - 2]) : 1;
    return last + step * (double)(row - f->s.nrow + 1);
}

/* Squared errors of the forecasts and of persistence over the samples that test. */
static void errors(const Forecast *f, double *model, double *persistence) {
    double e = 0, p = 0;
    int64_t n = f->s.set.n - f->seen;
    for (int64_t k = f->seen; k < f->s.set.n; k++) {
        int64_t row = series_row(&f->s, k);
        double truth = f->s.value[row], d = f->value[k] - truth, q = f->s.value[row - f->s.horizon] - truth;
        e += d * d;
        p += q * q;
    }
    *model = sqrt(e / (double)n);
    *persistence = sqrt(p / (double)n);
}

static void put_rows(Plot *p, const Forecast *f, int64_t future) {
    str_put(&p->data, "$rows << E\n");
    for (int64_t k = f->from; k < f->s.set.n; k++) {
        int64_t row = series_row(&f->s, k);
        str_printf(&p->data, "%.12g,%.9g", place(f, row), f->s.value[row]);
        if (k >= f->seen)
            str_printf(&p->data, ",%.9g,%.9g\n", f->value[k], f->s.value[row - f->s.horizon]);
        else
            str_put(&p->data, ",NaN,NaN\n");
    }
    str_put(&p->data, "E\n");
    if (!future) return;
    str_put(&p->data, "$future << E\n");
    for (int64_t k = 0; k < future; k++) str_printf(&p->data, "%.12g,%.9g\n", place(f, f->s.nrow + k), f->next[k]);
    str_put(&p->data, "E\n");
}

/* Dates that are no numbers stand at eight places of the axis. */
static void put_dates(Plot *p, const Forecast *f) {
    if (!f->s.date || f->numeric) return;
    int64_t first = series_row(&f->s, f->from), n = f->s.nrow - first, step = n > 8 ? n / 8 : 1;
    str_put(&p->script, "set xtics (");
    for (int64_t row = first; row < f->s.nrow; row += step) {
        str_put(&p->script, row > first ? ", " : "");
        plot_text(&p->script, f->s.date[row]);
        str_printf(&p->script, " %lld", (long long)row);
    }
    str_put(&p->script, ")\n");
}

static void put_script(Plot *p, const Forecast *f, const char *name, const char *column, int64_t future) {
    Arena *a = ctx_arena(p->cli->ctx);
    double model, persistence;
    errors(f, &model, &persistence);
    put_dates(p, f);
    str_put(&p->script, "set title ");
    plot_text(&p->script,
              arena_printf(a, "%s: forecasts of rows that training has not seen%s", name, future ? ", then on its own" : ""));
    str_put(&p->script, "\nset ylabel ");
    plot_text(&p->script, column);
    str_printf(
        &p->script,
        "\nset key below\nset arrow from first %.12g, graph 0 to first %.12g, graph 1 nohead dashtype 2 lc rgb '#888888'\n",
        place(f, series_row(&f->s, f->seen)), place(f, series_row(&f->s, f->seen)));
    str_printf(&p->script,
               "plot $rows using 1:2 with lines lw 2 lc rgb '#999999' title 'truth', "
               "'' using 1:4 with lines lw 1 dashtype 3 lc rgb '#2060b0' title 'persistence, RMSE %.4g', "
               "'' using 1:3 with lines lw 2 lc rgb '#c03020' title 'forecast, RMSE %.4g'",
               persistence, model);
    if (future) str_put(&p->script, ", $future using 1:2 with lines lw 2 dashtype 2 lc rgb '#c03020' title 'on its own'");
    str_putc(&p->script, '\n');
    str_printf(&p->said, "%lld forecasts of the test part, RMSE %.4g; persistence %.4g", (long long)(f->s.set.n - f->seen),
               model, persistence);
}

static const char *column_name(const Model *m, Ctx *ctx) {
    const ModelDesc *d = model_desc(m);
    const Setting *s = settings_find(&d->data, intern(ctx, "target_column"));
    if (!s) s = settings_find(&d->data, intern(ctx, "column"));
    if (s && s->kind == SET_LIST && s->n) s = &s->item[0];
    return s && (s->kind == SET_STRING || s->kind == SET_NAME) ? name_str(ctx, s->name) : "";
}

bool plot_forecast(Plot *p, Model *m, const char *data, int64_t future) {
    Ctx *ctx = p->cli->ctx;
    Arena *a = ctx_arena(ctx);
    Forecast f = {0};
    if (!data_is_series(m, data)) {
        if (diag_error_count(ctx) == 0)
            diag_error(ctx, 552, (Span){0, 0}, "a forecast is drawn of a series; these data are examples");
        return false;
    }
    if (!series_load(m, data, a, false, &f.s)) return false;
    f.numeric = all_numbers(&f.s);
    f.seen = f.s.set.train + f.s.set.valid;
    if (f.seen >= f.s.set.n) f.seen = f.s.set.valid ? f.s.set.train : 0; /* no test part: what validates, or all */
    int64_t before = (f.s.set.n - f.seen) / 2;
    f.from = f.seen > before ? f.seen - before : 0;
    f.value = NEW_N(a, double, f.s.set.n + 1);
    f.next = NEW_N(a, double, future + 1);
    if (!series_forecast(m, &f.s, 0, f.s.set.n, f.value) || (future && !series_future(m, &f.s, future, f.next))) return false;
    put_rows(p, &f, future);
    put_script(p, &f, rondo_name(m), column_name(m, ctx), future);
    return true;
}
