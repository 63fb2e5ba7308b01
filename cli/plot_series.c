/* plot forecast: one-step forecasts against the truth and against persistence (the newest value that the model sees, again), over
   the rows that training has not seen and some before them; then what the model makes of its own forecasts. */
#include "cli/plot.h"

#include <math.h>
#include <string.h>

typedef struct {
    Series s;
    int64_t seen, from; /* samples: the first that tests, the first that is drawn */
    double *value, *next; /* [samples, ny], [future, ny] */
    int64_t future;
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

static double forecast(const Forecast *f, int64_t k, uint32_t c) { return f->value[k * f->s.ny + c]; }

/* Errors of the forecasts of column c and of persistence over the samples that test. */
static void errors(const Forecast *f, uint32_t c, double *model, double *persistence) {
    double e = 0, p = 0;
    int64_t n = f->s.set.n - f->seen;
    for (int64_t k = f->seen; k < f->s.set.n; k++) {
        int64_t row = series_row(&f->s, k);
        double truth = f->s.y[c].value[row], d = forecast(f, k, c) - truth, q = f->s.y[c].value[row - f->s.horizon] - truth;
        e += d * d;
        p += q * q;
    }
    *model = sqrt(e / (double)n);
    *persistence = sqrt(p / (double)n);
}

/* The blocks of column c, the first one's without a number. */
static const char *block(Plot *p, const char *name, uint32_t c) {
    Arena *a = ctx_arena(p->cli->ctx);
    return c ? arena_printf(a, "$%s%u", name, c) : arena_printf(a, "$%s", name);
}

static void put_rows(Plot *p, const Forecast *f, uint32_t c) {
    str_printf(&p->data, "%s << E\n", block(p, "rows", c));
    for (int64_t k = f->from; k < f->s.set.n; k++) {
        int64_t row = series_row(&f->s, k);
        str_printf(&p->data, "%.12g,%.9g", place(f, row), f->s.y[c].value[row]);
        if (k >= f->seen)
            str_printf(&p->data, ",%.9g,%.9g\n", forecast(f, k, c), f->s.y[c].value[row - f->s.horizon]);
        else
            str_put(&p->data, ",NaN,NaN\n");
    }
    str_put(&p->data, "E\n");
    if (!f->future) return;
    str_printf(&p->data, "%s << E\n", block(p, "future", c));
    for (int64_t k = 0; k < f->future; k++) str_printf(&p->data, "%.12g,%.9g\n", place(f, f->s.nrow + k), f->next[k * f->s.ny + c]);
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

/* What all panels share. */
static void put_style(Plot *p, const Forecast *f, const char *name) {
    put_dates(p, f);
    if (f->s.ny > 1) str_printf(&p->script, "set multiplot layout %u,1\n", f->s.ny);
    str_put(&p->script, "set title ");
    plot_text(&p->script, arena_printf(ctx_arena(p->cli->ctx), "%s: forecasts of rows that training has not seen%s", name, f->future ? ", then on its own" : ""));
    str_printf(
        &p->script,
        "\nset key below\nset arrow from first %.12g, graph 0 to first %.12g, graph 1 nohead dashtype 2 lc rgb '#888888'\n",
        place(f, series_row(&f->s, f->seen)), place(f, series_row(&f->s, f->seen)));
}

/* The panel of column c. */
static void put_panel(Plot *p, const Forecast *f, const char *column, uint32_t c) {
    double model, persistence;
    errors(f, c, &model, &persistence);
    if (c) str_put(&p->script, "unset title\n");
    str_put(&p->script, "set ylabel ");
    plot_text(&p->script, column);
    str_printf(&p->script,
               "\nplot %s using 1:2 with lines lw 2 lc rgb '#999999' title 'truth', "
               "'' using 1:4 with lines lw 1 dashtype 3 lc rgb '#2060b0' title 'persistence, RMSE %.4g', "
               "'' using 1:3 with lines lw 2 lc rgb '#c03020' title 'forecast, RMSE %.4g'",
               block(p, "rows", c), persistence, model);
    if (f->future) str_printf(&p->script, ", %s using 1:2 with lines lw 2 dashtype 2 lc rgb '#c03020' title 'on its own'", block(p, "future", c));
    str_putc(&p->script, '\n');
    if (!c) str_printf(&p->said, "%lld forecasts of the test part", (long long)(f->s.set.n - f->seen));
    if (f->s.ny > 1) str_printf(&p->said, "%s %s:", c ? ";" : ",", column);
    else str_put(&p->said, ",");
    str_printf(&p->said, " RMSE %.4g%s persistence %.4g", model, f->s.ny > 1 ? "," : ";", persistence);
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
    f.future = future;
    f.value = NEW_N(a, double, f.s.set.n * f.s.ny + 1);
    f.next = NEW_N(a, double, future * f.s.ny + 1);
    if (!series_forecast(m, &f.s, 0, f.s.set.n, f.value) || (future && !series_future(m, &f.s, future, f.next))) return false;
    if (f.s.ny > 1) p->height = (int)(300 * f.s.ny);
    put_style(p, &f, rondo_name(m));
    for (uint32_t c = 0; c < f.s.ny; c++) {
        put_rows(p, &f, c);
        put_panel(p, &f, series_target_name(ctx, model_desc(m), c), c);
    }
    if (f.s.ny > 1) str_put(&p->script, "unset multiplot\n");
    return true;
}
