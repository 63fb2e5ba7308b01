/* plot confusion, roc: what a classifier makes of the examples that test. plot attention: what it looks at in one of them. */
#include "cli/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t truth, said;
    double *score; /* [classes]: probabilities; NULL: the output is the class itself */
} Guess;
typedef struct {
    Cli *cli;
    Model *m;
    int64_t from, classes, width; /* examples from `from` on; width: numbers of a row of the output */
    uint32_t output;
    bool scored;
    VEC(Guess) guess; /* of each example, or each of its steps */
    const char *what;
} Classes;

static const PortDesc *class_target(const Model *m) {
    const ModelDesc *d = model_desc(m);
    const PortDesc *y = d->target.n ? &d->target.at[0] : NULL;
    return y && (y->vocab || y->dtype == DT_B) && y->rank == 0 ? y : NULL;
}

/* Probabilities of the classes: of a bool that of class 1, else what stands there or the softmax of it. */
static void put_scores(const Classes *k, const Array *x, int64_t at, double *score) {
    double sum = 0, most = -INFINITY, least = INFINITY;
    for (int64_t i = 0; i < k->width; i++) {
        score[i] = array_get(x, at * k->width + i);
        sum += score[i];
        most = fmax(most, score[i]);
        least = fmin(least, score[i]);
    }
    if (k->width == 1) {
        score[1] = score[0];
        score[0] = 1 - score[0];
    } else if (least < 0 || fabs(sum - 1) > 1e-3) { /* logits */
        sum = 0;
        for (int64_t i = 0; i < k->width; i++) sum += score[i] = exp(score[i] - most);
        for (int64_t i = 0; i < k->width; i++) score[i] /= sum;
    }
}

static bool take(void *arg, const OutputRow *r) {
    Classes *k = arg;
    if (r->output != k->output || r->example < k->from) return true;
    int64_t lines = r->steps ? r->steps : 1, most = r->steps ? r->x->dim[1] : 1;
    for (int64_t t = 0; t < lines; t++) {
        double truth = cli_truth(r, t);
        if (truth < 0) {
            diag_error(k->cli->ctx, 554, (Span){0, 0}, "these data do not say which class is right");
            return false;
        }
        Guess g = {.truth = (int64_t)truth, .said = (int64_t)cli_class(k->m, r->x, r->b * most + t, k->width, r->steps > 0)};
        if (k->scored) put_scores(k, r->x, r->b * most + t, g.score = NEW_N(ctx_arena(k->cli->ctx), double, k->classes));
        VEC_PUSH(ctx_arena(k->cli->ctx), k->guess) = g;
    }
    return true;
}

/* The output of a score for each class, of a bool of one; else, if it will do, the output that is a class. */
static bool find_output(Classes *k, const PortDesc *y, bool need_scores) {
    const ModelDesc *d = model_desc(k->m);
    for (int scored = 1; scored >= need_scores; scored--)
        for (k->output = 0; k->output < d->output.n; k->output++) {
            const PortDesc *o = &d->output.at[k->output];
            k->width = scored && y->vocab ? k->classes : 1;
            k->scored = scored;
            if (o->seq == y->seq && cli_features(o) == k->width && (scored ? o->dtype == DT_F : o->dtype == DT_I)) return true;
        }
    return false;
}

static bool classify(Plot *p, Model *m, const char *data, bool need_scores, Classes *k) {
    Ctx *ctx = p->cli->ctx;
    Arena *a = ctx_arena(ctx);
    Dataset d;
    const PortDesc *y = class_target(m);
    *k = (Classes){.cli = p->cli, .m = m, .classes = y && y->vocab ? y->vocab : 2};
    if (!y || !find_output(k, y, need_scores)) {
        diag_error(ctx, 552, model_desc(m)->span,
                   "'%s' does not classify: it needs a target bool or token[K], and an output of a score for each class%s",
                   rondo_name(m), y && y->seq ? ", for each step" : "");
        return false;
    }
    if (k->classes > 1000) {
        diag_error(ctx, 552, y->span, "'%s' tells %lld classes apart: more than 1000 cannot be seen in a picture", rondo_name(m), (long long)k->classes);
        return false;
    }
    if (!dataset_load(m, data, a, data != NULL, &d)) return false;
    k->from = data ? 0 : d.train + d.valid;
    if (k->from == d.n) k->from = d.valid ? d.train : 0; /* as `rondo eval` */
    k->what = y->seq ? "steps" : "examples";
    return dataset_outputs(m, &d, take, k);
}

/* ---- confusion ---------------------------------------------------------------------------------------------------------- */

static void put_class_tics(Plot *p, const Classes *k, const char *axis) {
    Arena *a = ctx_arena(p->cli->ctx);
    str_printf(&p->script, "set %stics (", axis);
    for (int64_t i = 0; i < k->classes; i++) {
        str_put(&p->script, i ? ", " : "");
        plot_text(&p->script, cli_class_name(k->m, a, (double)i));
        str_printf(&p->script, " %lld", (long long)i);
    }
    str_printf(&p->script, ")%s\n", *axis == 'x' ? " rotate by -35" : "");
}

bool plot_confusion(Plot *p, Model *m, const char *data) {
    Classes k;
    if (!classify(p, m, data, false, &k)) return false;
    int64_t K = k.classes, right = 0, *count = NEW_N(ctx_arena(p->cli->ctx), int64_t, K * K + 1);
    for (uint32_t i = 0; i < k.guess.n; i++) {
        const Guess *g = &k.guess.at[i];
        if (g->truth >= K || g->said < 0 || g->said >= K) continue;
        count[g->truth * K + g->said]++;
        right += g->truth == g->said;
    }
    str_put(&p->data, "$cells << E\n"); /* said, truth, share of the truth's examples, number */
    for (int64_t t = 0; t < K; t++) {
        int64_t all = 0;
        for (int64_t s = 0; s < K; s++) all += count[t * K + s];
        for (int64_t s = 0; s < K; s++)
            str_printf(&p->data, "%lld,%lld,%.6g,%lld\n", (long long)s, (long long)t,
                       all ? (double)count[t * K + s] / (double)all : 0, (long long)count[t * K + s]);
    }
    str_put(&p->data, "E\n");
    p->width = 420 + (int)(K < 30 ? K : 30) * 40;
    p->height = 260 + (int)(K < 30 ? K : 30) * 40;
    put_class_tics(p, &k, "x");
    put_class_tics(p, &k, "y");
    str_printf(&p->script,
               "set title '%lld of %lld right'\nset xlabel 'the model says'\nset ylabel 'truth'\n"
               "set yrange [%g:-0.5]\nset xrange [-0.5:%g]\nset cbrange [0:1]\nset cblabel 'share of the class'\n"
               "set palette defined (0 '#ffffff', 1 '#3070b0')\nunset grid\nunset key\n"
               "plot $cells using 1:2:3 with image",
               (long long)right, (long long)k.guess.n, (double)K - 0.5, (double)K - 0.5);
    if (K <= 40) str_put(&p->script, ", '' using 1:2:4 with labels");
    str_putc(&p->script, '\n');
    str_printf(&p->said, "%lld %s, %lld right, in %lld classes", (long long)k.guess.n, k.what, (long long)right, (long long)K);
    return true;
}

/* ---- roc ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    double score;
    bool positive;
} Ranked;

static int by_score(const void *a, const void *b) {
    const Ranked *x = a, *y = b;
    return x->score == y->score ? 0 : x->score < y->score ? 1 : -1;
}

/* Of class c against the others; examples of one score are one corner. The area, or NaN where one side is empty. */
static double put_roc(Plot *p, const Classes *k, int64_t c, Ranked *rank) {
    double positive = 0, tp = 0, fp = 0, area = 0, x = 0, y = 0;
    int64_t n = k->guess.n;
    for (int64_t i = 0; i < n; i++) {
        rank[i] = (Ranked){k->guess.at[i].score[c], k->guess.at[i].truth == c};
        positive += rank[i].positive;
    }
    double negative = (double)n - positive;
    if (positive == 0 || negative == 0) return NAN;
    qsort(rank, (size_t)n, sizeof *rank, by_score);
    str_printf(&p->data, "$roc%lld << E\n0,0\n", (long long)c);
    for (int64_t i = 0; i < n; i++) {
        if (rank[i].positive)
            tp++;
        else
            fp++;
        if (i + 1 < n && rank[i + 1].score == rank[i].score) continue;
        area += (fp / negative - x) * (tp / positive + y) / 2;
        x = fp / negative;
        y = tp / positive;
        str_printf(&p->data, "%.6g,%.6g\n", x, y);
    }
    str_put(&p->data, "E\n");
    return area;
}

bool plot_roc(Plot *p, Model *m, const char *data) {
    Classes k;
    if (!classify(p, m, data, true, &k)) return false;
    Arena *a = ctx_arena(p->cli->ctx);
    Ranked *rank = NEW_N(a, Ranked, k.guess.n + 1);
    Str s = str_make(a);
    for (int64_t c = k.classes == 2 ? 1 : 0; c < k.classes; c++) {
        double area = put_roc(p, &k, c, rank);
        if (isnan(area)) continue;
        const char *name = arena_printf(a, "%s, AUC %.4f", cli_class_name(m, a, (double)c), area);
        str_printf(&s, "$roc%lld using 1:2 with lines lw 2 title ", (long long)c);
        plot_text(&s, name);
        str_put(&s, ", ");
        str_printf(&p->said, "%s%s", p->said.n ? "; " : "", name);
    }
    if (!s.n) {
        diag_error(p->cli->ctx, 554, (Span){0, 0}, "all examples are of one class: there is nothing to tell apart");
        return false;
    }
    p->width = 560;
    p->height = 480;
    str_printf(
        &p->script,
        "set xlabel 'share of the others that are taken for it'\nset ylabel 'share that is found'\nset key bottom right\n"
        "set xrange [0:1]\nset yrange [0:1]\nplot %sx with lines dashtype 3 lc rgb '#888888' title 'by chance'\n",
        s.at);
    return true;
}

/* ---- attention ---------------------------------------------------------------------------------------------------------- */

/* One input of tokens and what stands in it, or steps by their number. */
static const char *step_name(Model *m, const Arrays *in, Arena *a, int64_t steps, int64_t t) {
    for (uint32_t i = 0; i < in->array.n; i++) {
        const Array *x = &in->array.at[i];
        bool tokens = !strncmp(x->name, "input/", 6) && x->rank == 2 && x->dim[1] == steps &&
                      (x->type == RONDO_I32 || x->type == RONDO_I64);
        const char *text = tokens ? data_token(m, a, (int64_t)array_get(x, t)) : NULL;
        if (text) return text;
    }
    return arena_printf(a, "%lld", (long long)t + 1);
}

static void put_step_tics(Plot *p, Model *m, const Arrays *in, const char *axis, int64_t steps) {
    Arena *a = ctx_arena(p->cli->ctx);
    str_printf(&p->script, "set %stics (", axis);
    for (int64_t t = 0; t < steps; t++) {
        str_put(&p->script, t ? ", " : "");
        plot_text(&p->script, step_name(m, in, a, steps, t));
        str_printf(&p->script, " %lld", (long long)t);
    }
    str_printf(&p->script, ")%s\n", *axis == 'x' ? " rotate by -60" : "");
}

/* The weights: the first output that has a value, or a row of them, for each step. */
static const Array *find_weights(Model *m, const Arrays *out) {
    const ModelDesc *d = model_desc(m);
    for (uint32_t i = 0; i < d->output.n; i++) {
        const char *name = name_str(model_ctx(m), d->output.at[i].name);
        const Array *x = NULL;
        for (uint32_t k = 0; k < out->array.n; k++)
            if (!strncmp(out->array.at[k].name, "output/", 7) && !strcmp(out->array.at[k].name + 7, name))
                x = &out->array.at[k];
        bool one = x && (x->rank == 2 || (x->rank == 3 && x->dim[2] == 1));
        if (x && d->output.at[i].seq && (one || (x->rank == 3 && cli_features(&d->output.at[i]) == 1))) return x;
    }
    return NULL;
}

static bool find_example(Plot *p, Model *m, const char *data, const char *text, int64_t example, Arrays *in) {
    return text ? data_text(m, ctx_arena(p->cli->ctx), text, in) : cli_example(p->cli, m, data, example, in);
}

bool plot_attention(Plot *p, Model *m, const char *data, const char *text, int64_t example) {
    Arena *a = ctx_arena(p->cli->ctx);
    Arrays in = {0}, out = {0};
    if (!find_example(p, m, data, text, example, &in) || !run_arrays(m, &(RunOptions){0}, &in, a, &out)) return false;
    const Array *w = find_weights(m, &out);
    if (!w) {
        diag_error(p->cli->ctx, 552, model_desc(m)->span,
                   "'%s' has no output of attention: a number, or a row of them, for each step", rondo_name(m));
        diag_help(p->cli->ctx, (Span){0, 0},
                  "with `look = attention_pool[A]` and `s = look(h)`, `output p, attention = look.alpha` names its weights");
        return false;
    }
    int64_t rows = w->rank == 3 && w->dim[2] > 1 ? w->dim[1] : 1, steps = rows > 1 ? w->dim[2] : w->dim[1], most = 0;
    str_put(&p->data, "$cells << E\n");
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = 0; t < steps; t++) {
            str_printf(&p->data, "%lld,%lld,%.9g\n", (long long)t, (long long)r, array_get(w, r * steps + t));
            if (r == 0 && array_get(w, t) > array_get(w, most)) most = t;
        }
    str_put(&p->data, "E\n");
    p->width = 200 + (int)(steps < 60 ? steps : 60) * 28;
    p->height = rows > 1 ? 200 + (int)(rows < 60 ? rows : 60) * 24 : 320;
    put_step_tics(p, m, &in, "x", steps);
    if (rows > 1) {
        put_step_tics(p, m, &in, "y", rows);
        str_printf(&p->script,
                   "set yrange [%g:-0.5]\nset xrange [-0.5:%g]\nset palette defined (0 '#ffffff', 1 '#c03020')\nunset "
                   "grid\nunset key\n"
                   "plot $cells using 1:2:3 with image\n",
                   (double)rows - 0.5, (double)steps - 0.5);
    } else {
        str_printf(&p->script,
                   "set ylabel 'attention'\nset yrange [0:*]\nset xrange [-0.6:%g]\nset boxwidth 0.8\nset style fill "
                   "solid\nunset key\n"
                   "plot $cells using 1:3 with boxes lc rgb '#c03020'\n",
                   (double)steps - 0.4);
    }
    str_printf(&p->said, "%lld steps; most on '%s'", (long long)steps, step_name(m, &in, a, steps, most));
    return true;
}
