/* plot scatter: what the model says against what is true, a point for each example that tests, or each of its steps. */
#include "cli/plot.h"

#include <math.h>
#include <string.h>

enum { MOST_NUMBERS = 16, MOST_POINTS = 5000 };

typedef struct {
    double truth, said;
} Point;
typedef struct {
    Ctx *ctx;
    int64_t from, n; /* examples from `from` on; numbers of an output's row */
    uint32_t output;
    VEC(Point) point; /* n each */
} Numbers;

static bool take(void *arg, const OutputRow *r) {
    Numbers *k = arg;
    if (r->output != k->output || r->example < k->from) return true;
    int64_t lines = r->steps ? r->steps : 1, most = r->steps ? r->x->dim[1] : 1;
    for (int64_t i = 0; i < lines * k->n; i++) {
        double truth = cli_true_number(r, i);
        if (isnan(truth)) {
            diag_error(k->ctx, 554, (Span){0, 0}, "these data do not say which number is right");
            return false;
        }
        VEC_PUSH(ctx_arena(k->ctx), k->point) = (Point){truth, array_get(r->x, r->b * most * k->n + i)};
    }
    return true;
}

/* Of number i; all points count in what is said, and of many as many are drawn as can be seen. */
static void put_panel(Plot *p, const Numbers *k, int64_t i, const char *name) {
    int64_t n = k->point.n / k->n, each = (n + MOST_POINTS - 1) / MOST_POINTS;
    double mean = 0, all = 0, error = 0, lo = INFINITY, hi = -INFINITY;
    for (int64_t r = 0; r < n; r++) mean += k->point.at[r * k->n + i].truth / (double)n;
    str_printf(&p->data, "$points%lld << E\n", (long long)i);
    for (int64_t r = 0; r < n; r++) {
        Point x = k->point.at[r * k->n + i];
        all += (x.truth - mean) * (x.truth - mean);
        error += (x.truth - x.said) * (x.truth - x.said);
        lo = fmin(lo, fmin(x.truth, x.said));
        hi = fmax(hi, fmax(x.truth, x.said));
        if (r % each == 0) str_printf(&p->data, "%.9g,%.9g\n", x.truth, x.said);
    }
    str_put(&p->data, "E\n");
    double room = hi > lo ? 0.03 * (hi - lo) : 1;
    const char *said = arena_printf(ctx_arena(k->ctx), "%s: RMSE %.4g, R2 %.4g; the mean %.4g", name, sqrt(error / (double)n), 1 - error / all, sqrt(all / (double)n));
    str_printf(&p->said, "%s%s", p->said.n ? "; " : "", said);
    str_put(&p->script, "set title ");
    plot_text(&p->script, said);
    str_printf(&p->script, "\nset xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\nplot $points%lld using 1:2 with points pt 7 ps 0.4 lc rgb '#2060b0', x with lines dashtype 3 lc rgb '#888888'\n",
               lo - room, hi + room, lo - room, hi + room, (long long)i);
}

bool plot_scatter(Plot *p, Model *m, const char *data) {
    Ctx *ctx = p->cli->ctx;
    Arena *a = ctx_arena(ctx);
    const ModelDesc *d = model_desc(m);
    Numbers k = {.ctx = ctx};
    Dataset set;
    while (k.output < d->output.n && !(k.n = cli_numbers(m, k.output))) k.output++;
    if (!k.n || k.n > MOST_NUMBERS) {
        diag_error(ctx, 552, d->span, "'%s' has no picture of numbers: it needs a target of 1 to %d numbers, and an output of as many%s", rondo_name(m), MOST_NUMBERS,
                   d->target.n && d->target.at[0].seq ? ", for each step" : "");
        return false;
    }
    if (data_is_series(m, data)) {
        diag_error(ctx, 552, d->span, "'%s' forecasts a series: `rondo plot forecast` draws it", rondo_name(m));
        return false;
    }
    if (diag_error_count(ctx) || !dataset_load(m, data, a, data != NULL, &set)) return false;
    k.from = data ? 0 : set.train + set.valid;
    if (k.from == set.n) k.from = set.valid ? set.train : 0; /* as `rondo eval` */
    if (!dataset_outputs(m, &set, take, &k)) return false;
    const char *name = name_str(ctx, d->output.at[k.output].name);
    int columns = k.n < 3 ? (int)k.n : 3, rows = ((int)k.n + columns - 1) / columns;
    p->width = 120 + 420 * columns;
    p->height = 60 + 420 * rows;
    str_printf(&p->script, "set xlabel 'truth'\nset ylabel 'the model says'\nunset key\nset size square\nset multiplot layout %d,%d\n", rows, columns);
    for (int64_t i = 0; i < k.n; i++) put_panel(p, &k, i, k.n > 1 ? arena_printf(a, "%s[%lld]", name, (long long)i) : name);
    str_put(&p->script, "unset multiplot\n");
    return true;
}
