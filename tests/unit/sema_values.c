/* std's cells, layers, losses, metrics and optimizers through module_eval, against the formulas written out in C doubles. */
#include <math.h>
#include <string.h>

#include "tests/unit/sema.h"

enum { T = 4, B = 3, I = 2, H = 3, ROWS = T * B };

/* A built model with random values everywhere; arrays in canonical layout. */
typedef struct {
    Ctx *ctx;
    Arena a;
    Program *p;
    Module *m;
    double *theta;
    const double **param, **input, **out;
    EvalIn in;
} Run;

static uint64_t dice = 88172645463325252u;

static double rnd(void) { /* in [-1, 1) */
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (double)(dice >> 11) / 4503599627370496.0 - 1;
}

static double sigm(double x) { return 1 / (1 + exp(-x)); }

static bool near(double a, double b) { return fabs(a - b) <= 1e-12 * (1 + fabs(b)); }

static const double *random_input(Run *r, const Input *in) {
    Node n = {.rank = in->rank, .axes = in->axes};
    memcpy(n.dim, in->dim, sizeof n.dim);
    int64_t size = value_size(r->m, &n, r->in.axis);
    double *v = NEW_N(&r->a, double, size + 1);
    for (int64_t i = 0; i < size; i++) {
        v[i] = rnd();
        if (in->vocab) v[i] = floor((v[i] + 1) / 2 * in->vocab);
        else if (in->dtype == DT_B) v[i] = v[i] > 0;
    }
    return v;
}

/* Fills a built module with random values and evaluates it. */
static bool run_module(Run *r) {
    Module *m = r->m;
    r->in.axis[0] = B;
    for (uint32_t i = 1; i < m->naxis; i++) r->in.axis[i] = m->axis[i].count ? m->axis[i].count : T;
    r->theta = NEW_N(&r->a, double, m->theta_size + 1);
    for (int64_t i = 0; i < m->theta_size; i++) r->theta[i] = rnd();
    r->param = NEW_N(&r->a, const double *, m->param.n + 1);
    r->input = NEW_N(&r->a, const double *, m->input.n + 1);
    for (uint32_t i = 0; i < m->param.n; i++) r->param[i] = r->theta + m->param.at[i].offset;
    for (uint32_t i = 0; i < m->input.n; i++)
        if (m->input.at[i].kind != INPUT_SCALAR) r->input[i] = random_input(r, &m->input.at[i]);
    r->in.param = r->param;
    r->in.input = r->input;
    r->out = NEW_N(&r->a, const double *, m->graph.at[0]->root.n + 1);
    return module_eval(m, &r->a, &r->in, r->out);
}

static Run start(void) {
    Run r = {.ctx = ctx_make(NULL)};
    r.a = arena_make(r.ctx);
    return r;
}

static void finish(Run *r) {
    print_diagnostics(r->ctx);
    arena_free(&r->a);
    ctx_destroy(r->ctx);
}

static Run run_text(const char *text, bool training) {
    Run r = start();
    BuildOptions o = {.training = training, .external_states = true};
    r.p = load_text(r.ctx, &r.a, text);
    r.m = r.p ? frontend_model(r.p, &r.a, &o) : NULL;
    check(r.m && module_verify(r.m, "frontend") && run_module(&r), "is built and evaluated", text);
    return r;
}

static const double *param(const Run *r, const char *name) {
    static const double none[64];
    for (uint32_t i = 0; i < r->m->param.n; i++)
        if (!strcmp(name_str(r->ctx, r->m->param.at[i].name), name)) return r->param[i];
    check(false, "has the parameter", name);
    return none;
}

static const double *input(const Run *r, const char *name) {
    static const double none[64];
    for (uint32_t i = 0; i < r->m->input.n; i++)
        if (!strcmp(name_str(r->ctx, r->m->input.at[i].name), name)) return r->input[i];
    check(false, "has the input", name);
    return none;
}

static const double *root(const Run *r, RootKind k, const char *name) {
    const Graph *g = r->m->graph.at[0];
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == k && !strcmp(name_str(r->ctx, g->root.at[i].name), name)) return r->out[i];
    check(false, "has the root", name);
    return NULL;
}

/* out[o] = sum_i W[o, i] x[i] */
static double dot(const double *w, const double *x, int o, int n) {
    double s = 0;
    for (int i = 0; i < n; i++) s += w[o * n + i] * x[i];
    return s;
}

/* ---- cells ------------------------------------------------------------------------------------------------------------ */

/* W_k x + U_k h + b_k of a gate; U or b may be absent. */
static double gate(const Run *r, const char *letter, const double *x, const double *h, int o) {
    char w[16], u[16], b[16];
    snprintf(w, sizeof w, "y.W%s", letter);
    snprintf(u, sizeof u, "y.U%s", letter);
    snprintf(b, sizeof b, "y.b%s", letter);
    return dot(param(r, w), x, o, I) + (h ? dot(param(r, u), h, o, H) : 0) + param(r, b)[o];
}

typedef void Step(const Run *r, const double *x, const double *h, const double *c, double *h2, double *c2);

static void step_rnn(const Run *r, const double *x, const double *h, const double *c, double *h2, double *c2) {
    (void)c, (void)c2;
    for (int o = 0; o < H; o++) h2[o] = tanh(gate(r, "", x, h, o));
}

static void step_lstm(const Run *r, const double *x, const double *h, const double *c, double *h2, double *c2) {
    for (int o = 0; o < H; o++) {
        double i = sigm(gate(r, "i", x, h, o)), f = sigm(gate(r, "f", x, h, o)), g = tanh(gate(r, "g", x, h, o));
        c2[o] = f * c[o] + i * g;
        h2[o] = sigm(gate(r, "o", x, h, o)) * tanh(c2[o]);
    }
}

static void step_peephole(const Run *r, const double *x, const double *h, const double *c, double *h2, double *c2) {
    for (int o = 0; o < H; o++) {
        double i = sigm(gate(r, "i", x, h, o) + param(r, "y.pi")[o] * c[o]);
        double f = sigm(gate(r, "f", x, h, o) + param(r, "y.pf")[o] * c[o]);
        c2[o] = f * c[o] + i * tanh(gate(r, "g", x, h, o));
        h2[o] = sigm(gate(r, "o", x, h, o) + param(r, "y.po")[o] * c2[o]) * tanh(c2[o]);
    }
}

static void step_gru(const Run *r, const double *x, const double *h, const double *c, double *h2, double *c2) {
    (void)c, (void)c2;
    for (int o = 0; o < H; o++) {
        double z = sigm(gate(r, "z", x, h, o)), s = sigm(gate(r, "r", x, h, o));
        double n = tanh(gate(r, "n", x, NULL, o) + s * (dot(param(r, "y.Un"), h, o, H) + param(r, "y.cn")[o]));
        h2[o] = z * h[o] + (1 - z) * n;
    }
}

static void step_gru_v1(const Run *r, const double *x, const double *h, const double *c, double *h2, double *c2) {
    double rh[H];
    (void)c, (void)c2;
    for (int o = 0; o < H; o++) rh[o] = sigm(gate(r, "r", x, h, o)) * h[o];
    for (int o = 0; o < H; o++) {
        double z = sigm(gate(r, "z", x, h, o));
        h2[o] = z * h[o] + (1 - z) * tanh(gate(r, "n", x, NULL, o) + dot(param(r, "y.Un"), rh, o, H));
    }
}

static void test_cell(const char *cell, Step *step, bool has_c) {
    char text[256];
    snprintf(text, sizeof text, "model m { input x: seq [2] y = %s[3](x) output y }", cell);
    Run r = run_text(text, true);
    double h[B][H], c[B][H] = {{0}}, h2[H], c2[H] = {0};
    bool ok = r.m != NULL;
    if (!ok) {
        finish(&r);
        return;
    }
    memcpy(h, input(&r, "y.h"), sizeof h);
    if (has_c) memcpy(c, input(&r, "y.c"), sizeof c);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++) {
            step(&r, input(&r, "x") + (t * B + b) * I, h[b], c[b], h2, c2);
            memcpy(h[b], h2, sizeof h2);
            memcpy(c[b], c2, sizeof c2);
            for (int o = 0; o < H; o++) ok &= near(root(&r, ROOT_OUTPUT, "y")[(t * B + b) * H + o], h2[o]);
        }
    for (int k = 0; k < B * H; k++) {
        ok &= near(root(&r, ROOT_FINAL, "y.h")[k], (&h[0][0])[k]);
        if (has_c) ok &= near(root(&r, ROOT_FINAL, "y.c")[k], (&c[0][0])[k]);
    }
    check(ok, "is the formula", cell);
    finish(&r);
}

/* ---- layers ----------------------------------------------------------------------------------------------------------- */

static void test_dense(void) {
    Run r = run_text("model m { input x: seq [2] y = dense[3, act = relu](x) output y }", true);
    bool ok = r.m != NULL;
    for (int k = 0; ok && k < ROWS * H; k++) {
        double v = dot(param(&r, "y.W"), input(&r, "x") + k / H * I, k % H, I) + param(&r, "y.b")[k % H];
        ok &= near(root(&r, ROOT_OUTPUT, "y")[k], v > 0 ? v : 0);
    }
    check(ok, "is the formula", "dense");
    finish(&r);
}

static void test_dropout(void) {
    const char *text = "model m { input x: seq [50] y = dropout[0.25](x) output y }";
    Run r = run_text(text, false);
    bool ok = r.m != NULL;
    int kept = 0;
    for (int k = 0; ok && k < ROWS * 50; k++) ok &= root(&r, ROOT_OUTPUT, "y")[k] == input(&r, "x")[k];
    check(ok, "does nothing outside of training", "dropout");
    finish(&r);
    r = run_text(text, true);
    for (int k = 0; ok && k < ROWS * 50; k++) {
        double y = root(&r, ROOT_OUTPUT, "y")[k], x = input(&r, "x")[k];
        ok &= y == 0 || near(y, x / 0.75);
        kept += y != 0;
    }
    check(ok && kept > ROWS * 50 * 0.65 && kept < ROWS * 50 * 0.85, "keeps and scales three quarters", "dropout");
    finish(&r);
    r = run_text("model m { input x: seq [9] y = dropout_sequence[0.5](x) output y }", true);
    for (int k = 0; r.m && k < ROWS * 9; k++) {
        int first = k % (B * 9);
        ok &= (root(&r, ROOT_OUTPUT, "y")[k] == 0) == (root(&r, ROOT_OUTPUT, "y")[first] == 0);
    }
    check(ok && r.m, "has one mask a sequence", "dropout_sequence");
    finish(&r);
}

static void test_norms(void) {
    Run r = run_text("model m { input x: [5] y = layer_norm(x) z = rms_norm(x) output y, z }", true);
    bool ok = r.m != NULL;
    for (int b = 0; ok && b < B; b++) {
        const double *x = input(&r, "x") + b * 5;
        double mean = 0, var = 0, sq = 0;
        for (int i = 0; i < 5; i++) mean += x[i] / 5, sq += x[i] * x[i] / 5;
        for (int i = 0; i < 5; i++) var += (x[i] - mean) * (x[i] - mean) / 5;
        for (int i = 0; i < 5; i++) {
            ok &= near(root(&r, ROOT_OUTPUT, "y")[b * 5 + i], param(&r, "y.gain")[i] * (x[i] - mean) / sqrt(var + 1e-5) + param(&r, "y.bias")[i]);
            ok &= near(root(&r, ROOT_OUTPUT, "z")[b * 5 + i], param(&r, "z.gain")[i] * x[i] / sqrt(sq + 1e-6));
        }
    }
    check(ok, "is the formula", "layer_norm, rms_norm");
    finish(&r);
}

static void test_embedding(void) {
    Run r = run_text("model m { input t: seq token[7] y = embedding[7, 3](t) output y }", true);
    bool ok = r.m != NULL;
    for (int k = 0; ok && k < ROWS * 3; k++) ok &= root(&r, ROOT_OUTPUT, "y")[k] == param(&r, "y.E")[(int)input(&r, "t")[k / 3] * 3 + k % 3];
    check(ok, "is the table", "embedding");
    finish(&r);
}

static void test_bidirectional(void) {
    Run r = run_text("model m { input x: seq [2] y = bidirectional[simple_rnn[3]](x) output y }", true);
    bool ok = r.m != NULL;
    double h[B][H] = {{0}};
    if (ok) memcpy(h, input(&r, "y.simple_rnn_2.h"), sizeof h);
    for (int t = T - 1; ok && t >= 0; t--)
        for (int b = 0; b < B; b++) {
            double n[H];
            const double *x = input(&r, "x") + (t * B + b) * I;
            for (int o = 0; o < H; o++)
                n[o] = tanh(dot(param(&r, "y.simple_rnn_2.W"), x, o, I) + dot(param(&r, "y.simple_rnn_2.U"), h[b], o, H) + param(&r, "y.simple_rnn_2.b")[o]);
            memcpy(h[b], n, sizeof n);
            for (int o = 0; o < H; o++) ok &= near(root(&r, ROOT_OUTPUT, "y")[(t * B + b) * 2 * H + H + o], n[o]);
        }
    check(ok, "runs from the end", "bidirectional");
    finish(&r);
}

/* ---- losses ----------------------------------------------------------------------------------------------------------- */

enum { N = 4 };
typedef double Loss(const double *p, const double *y);

static double loss_mse(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) s += (p[i] - y[i]) * (p[i] - y[i]) / N;
    return s;
}
static double loss_mae(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) s += fabs(p[i] - y[i]) / N;
    return s;
}
static double loss_huber(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) {
        double d = fabs(p[i] - y[i]);
        s += (d <= 0.5 ? d * d / 2 : 0.5 * (d - 0.25)) / N;
    }
    return s;
}
static double loss_log_cosh(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) s += log(cosh(p[i] - y[i])) / N;
    return s;
}
static double loss_bce(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) s -= (y[i] * log(sigm(p[i])) + (1 - y[i]) * log(1 - sigm(p[i]))) / N;
    return s;
}
static double lse(const double *z) {
    double s = 0;
    for (int i = 0; i < N; i++) s += exp(z[i]);
    return log(s);
}
static double loss_token(const double *p, const double *y) { return lse(p) - p[(int)y[0]]; }
static double loss_soft(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) s -= y[i] * (p[i] - lse(p));
    return s;
}
static double loss_hinge(const double *p, const double *y) {
    double s = 0;
    for (int i = 0; i < N; i++) s += fmax(0, 1 - (2 * y[i] - 1) * p[i]) / N;
    return s;
}

static void test_loss(const char *target, const char *line, Loss *f) {
    char text[256];
    snprintf(text, sizeof text, "model m { input p: seq [4] target y: seq %s loss %s }", target, line);
    Run r = run_text(text, true);
    double s = 0;
    for (int k = 0; r.m && k < ROWS; k++) s += f(input(&r, "p") + k * N, input(&r, "y") + k * (strcmp(target, "[4]") ? 1 : N)) / ROWS;
    check(r.m && near(root(&r, ROOT_LOSS, "loss")[0], s), "is the formula", line);
    finish(&r);
}

static void test_loss_forms(void) {
    Run r = run_text("model m { input p: seq [4] target y: seq [4] target w: seq [] target ok: seq bool target z: [4] param k: [3] = 1 h = dense[4](p)\n"
                     "loss mse(p, y), weight = w  loss mse(p, y), weight = ok  loss mae(p.last, z)  loss 0.5 * sum(k^2) }", true);
    double num = 0, den = 0, nb = 0, db = 0, last = 0, reg = 0;
    for (int k = 0; r.m && k < ROWS; k++) {
        double e = loss_mse(input(&r, "p") + k * N, input(&r, "y") + k * N);
        num += input(&r, "w")[k] * e, den += input(&r, "w")[k];
        nb += input(&r, "ok")[k] * e, db += input(&r, "ok")[k];
    }
    for (int b = 0; r.m && b < B; b++) last += loss_mae(input(&r, "p") + ((T - 1) * B + b) * N, input(&r, "z") + b * N) / B;
    for (int i = 0; r.m && i < 3; i++) reg += 0.5 * param(&r, "k")[i] * param(&r, "k")[i];
    check(r.m && near(root(&r, ROOT_LOSS, "loss")[0], num / den + nb / db + last + reg), "adds up lines of every kind", "loss");
    finish(&r);
    r = run_text("model m { input p: seq [4] target y: seq [4] loss mse(p, y), weight = p[0] > 1e9 }", true);
    check(r.m && root(&r, ROOT_LOSS, "loss")[0] == 0, "is 0 where nothing has a weight", "loss");
    finish(&r);
}

/* ---- metrics ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    double tp, fp, miss, hit, n;
} Counts;

static double metric_value(const char *name, Counts c) {
    if (!strcmp(name, "accuracy")) return c.hit / c.n;
    if (!strcmp(name, "precision")) return c.tp / fmax(c.tp + c.fp, 1);
    if (!strcmp(name, "recall")) return c.tp / fmax(c.tp + c.miss, 1);
    return 2 * c.tp / fmax(2 * c.tp + c.fp + c.miss, 1);
}

static void test_metric(const char *name, bool from_bool) {
    char text[256];
    enum { R = 20 };
    snprintf(text, sizeof text, "model m { input x: [2] target y: %s p = sigmoid(dense[1](x)) output p metric %s(p, y) }", from_bool ? "bool" : "[1]", name);
    Run r = start();
    r.p = load_text(r.ctx, &r.a, text);
    r.m = r.p ? frontend_metric(r.p, &r.a, 0) : NULL;
    bool ok = r.m && module_verify(r.m, "frontend");
    check(ok && frontend_desc(r.p)->metric.n == 1 && frontend_desc(r.p)->metric.at[0].nargs == 2, "is built", name);
    if (ok) {
        double p[R], y[R], zero[R] = {0};
        Counts c = {.n = R};
        r.in.axis[1] = R;
        r.input = NEW_N(&r.a, const double *, r.m->input.n + 1);
        for (int i = 0; i < R; i++) {
            p[i] = (rnd() + 1) / 2;
            y[i] = rnd() > 0;
            c.tp += p[i] > 0.5 && y[i] > 0.5;
            c.fp += p[i] > 0.5 && !(y[i] > 0.5);
            c.miss += p[i] <= 0.5 && y[i] > 0.5;
            c.hit += (p[i] > 0.5) == (y[i] > 0.5);
        }
        for (uint32_t i = 0; i < r.m->input.n; i++) r.input[i] = i == 0 ? p : i == 1 ? y : zero;
        r.in.input = r.input;
        r.out = NEW_N(&r.a, const double *, r.m->graph.at[0]->root.n + 1);
        ok = module_eval(r.m, &r.a, &r.in, r.out);
        check(ok && near(root(&r, ROOT_OUTPUT, name)[0], metric_value(name, c)), "is the formula", name);
    }
    finish(&r);
}

/* ---- optimizers ------------------------------------------------------------------------------------------------------- */

typedef double Update(int step, double p, double g, double *m, double *v); /* the new parameter; m and v are its memory */

static double up_sgd(int k, double p, double g, double *m, double *v) {
    (void)k, (void)m, (void)v;
    return p - 0.01 * g;
}
static double up_momentum(int k, double p, double g, double *m, double *v) {
    (void)k, (void)v;
    *m = 0.9 * *m - 0.01 * g;
    return p + *m;
}
static double up_nesterov(int k, double p, double g, double *m, double *v) {
    (void)k, (void)v;
    *m = 0.9 * *m - 0.01 * g;
    return p + 0.9 * *m - 0.01 * g;
}
static double up_adagrad(int k, double p, double g, double *m, double *v) {
    (void)v;
    if (k == 1) *m = 0.1;
    *m += g * g;
    return p - 0.01 * g / (sqrt(*m) + 1e-7);
}
static double up_rmsprop(int k, double p, double g, double *m, double *v) {
    (void)k, (void)v;
    *m = 0.9 * *m + 0.1 * g * g;
    return p - 1e-3 * g / (sqrt(*m) + 1e-7);
}
static double up_rmsprop_inside(int k, double p, double g, double *m, double *v) {
    (void)k, (void)v;
    *m = 0.9 * *m + 0.1 * g * g;
    return p - 1e-3 * g / sqrt(*m + 1e-7);
}
static void moments(double g, double *m, double *v) {
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.999 * *v + (1 - 0.999) * g * g;
}
static double up_adam(int k, double p, double g, double *m, double *v) {
    moments(g, m, v);
    return p - 1e-3 * sqrt(1 - pow(0.999, k)) / (1 - pow(0.9, k)) * *m / (sqrt(*v) + 1e-7);
}
static double up_adam_torch(int k, double p, double g, double *m, double *v) {
    moments(g, m, v);
    return p - 1e-3 * (*m / (1 - pow(0.9, k))) / (sqrt(*v / (1 - pow(0.999, k))) + 1e-8);
}
static double up_adamw(int k, double p, double g, double *m, double *v) {
    return up_adam_torch(k, p, g, m, v) - 1e-3 * 0.01 * p;
}

/* Zeiler 2012, algorithm 1. */
static double up_adadelta(int k, double p, double g, double *m, double *v) {
    double step;
    (void)k;
    *m = 0.95 * *m + 0.05 * g * g;
    step = -sqrt(*v + 1e-7) / sqrt(*m + 1e-7) * g;
    *v = 0.95 * *v + 0.05 * step * step;
    return p + step;
}
/* Kingma, Ba 2015, algorithm 2. */
static double up_adamax(int k, double p, double g, double *m, double *v) {
    *m = 0.9 * *m + 0.1 * g;
    *v = fmax(0.999 * *v, fabs(g));
    return p - 1e-3 / (1 - pow(0.9, k)) * *m / (*v + 1e-7);
}
/* Dozat 2016, algorithm 2, momenta as in torch.optim.NAdam. */
static double up_nadam(int k, double p, double g, double *m, double *v) {
    double mu = 0, next = 0, before = 1, product = 1;
    for (int i = 1; i <= k + 1; i++) {
        mu = next;
        next = 0.9 * (1 - 0.5 * pow(0.96, i * 0.004));
        before = product;
        product *= next;
    }
    moments(g, m, v);
    return p - 1e-3 * (next * *m / (1 - product) + (1 - mu) * g / (1 - before)) / (sqrt(*v / (1 - pow(0.999, k))) + 1e-7);
}
/* Chen et al. 2023, algorithm 2. */
static double up_lion(int k, double p, double g, double *m, double *v) {
    double c = 0.9 * *m + 0.1 * g;
    (void)k, (void)v;
    *m = 0.99 * *m + 0.01 * g;
    return p - 1e-4 * ((c > 0) - (c < 0) + 0.1 * p);
}

enum { ELEM = 5, STEPS = 4 };

static void set_input(Run *r, double *state, const double *p, const double *g) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < r->m->input.n; i++) {
        const Input *in = &r->m->input.at[i];
        r->input[i] = NULL;
        if (in->kind == INPUT_DATA) r->input[i] = strcmp(name_str(r->ctx, in->name), "p") ? g : p;
        else if (in->kind == INPUT_STATE) r->input[i] = state + ELEM * k++;
    }
}

/* States start from the INIT roots and go on from the FINAL ones, as the runtime does it. */
static bool copy_states(Run *r, RootKind kind, double *state) {
    const Graph *g = r->m->graph.at[0];
    uint32_t k = 0;
    for (uint32_t s = 0; s < r->m->state.n; s++) {
        bool found = false;
        for (uint32_t i = 0; i < g->root.n; i++)
            if (g->root.at[i].kind == kind && g->root.at[i].index == s) {
                memcpy(state + ELEM * k, r->out[i], sizeof(double) * (g->node.at[g->root.at[i].ref].axes ? ELEM : 1));
                found = true;
            }
        if (!found) return false;
        k++;
    }
    return true;
}

static void test_optimizer(const char *name, const char *setting, Update *up) {
    Run r = start();
    char text[256];
    double state[ELEM * 8] = {0}, p[ELEM], g[ELEM], m[ELEM] = {0}, v[ELEM] = {0};
    snprintf(text, sizeof text, "model m { input x: [2] y = dense[1](x) output y train { optimizer = %s } }", setting);
    r.p = load_text(r.ctx, &r.a, text);
    r.m = r.p ? frontend_optimizer(r.p, &r.a, name, &frontend_desc(r.p)->train.at[0].value) : NULL;
    bool ok = r.m && module_verify(r.m, "frontend");
    r.in.axis[1] = ELEM;
    if (ok) r.input = NEW_N(&r.a, const double *, r.m->input.n + 1);
    if (ok) r.out = NEW_N(&r.a, const double *, r.m->graph.at[0]->root.n + 1);
    r.in.input = r.input;
    for (int i = 0; i < ELEM; i++) p[i] = rnd();
    for (int k = 0; ok && k <= STEPS; k++) {
        for (int i = 0; i < ELEM; i++) g[i] = rnd();
        set_input(&r, state, p, g);
        ok = module_eval(r.m, &r.a, &r.in, r.out) && copy_states(&r, k ? ROOT_FINAL : ROOT_INIT, state);
        for (int i = 0; ok && k && i < ELEM; i++) {
            double want = up(k, p[i], g[i], &m[i], &v[i]);
            ok &= near(root(&r, ROOT_OUTPUT, "p")[i], want);
            p[i] = want;
        }
    }
    check(ok, "is the formula", setting);
    finish(&r);
}

void test_values(void) {
    test_cell("simple_rnn", step_rnn, false);
    test_cell("lstm", step_lstm, true);
    test_cell("lstm_peephole", step_peephole, true);
    test_cell("gru", step_gru, false);
    test_cell("gru_v1", step_gru_v1, false);
    test_dense();
    test_dropout();
    test_norms();
    test_embedding();
    test_bidirectional();
    test_loss("[4]", "mse(p, y)", loss_mse);
    test_loss("[4]", "mae(p, y)", loss_mae);
    test_loss("[4]", "huber[0.5](p, y)", loss_huber);
    test_loss("[4]", "log_cosh(p, y)", loss_log_cosh);
    test_loss("[4]", "hinge(p, y)", loss_hinge);
    test_loss("[4]", "binary_crossentropy(sigmoid(p), y)", loss_bce);
    test_loss("[4]", "sigmoid_crossentropy(p, y)", loss_bce);
    test_loss("[4]", "categorical_crossentropy(softmax(p), y)", loss_soft);
    test_loss("[4]", "softmax_crossentropy_soft(p, y)", loss_soft);
    test_loss("token[4]", "softmax_crossentropy(p, y)", loss_token);
    test_loss("token[4]", "sparse_crossentropy(softmax(p), y)", loss_token);
    test_loss_forms();
    for (int k = 0; k < 2; k++) {
        test_metric("accuracy", k);
        test_metric("precision", k);
        test_metric("recall", k);
        test_metric("f1", k);
    }
    test_optimizer("sgd", "sgd", up_sgd);
    test_optimizer("sgd", "sgd(lr = 0.01)", up_sgd);
    test_optimizer("momentum", "momentum(0.01, mu = 0.9)", up_momentum);
    test_optimizer("nesterov", "nesterov()", up_nesterov);
    test_optimizer("adagrad", "adagrad(start = 0.1)", up_adagrad);
    test_optimizer("rmsprop", "rmsprop", up_rmsprop);
    test_optimizer("rmsprop", "rmsprop(eps_inside = true)", up_rmsprop_inside);
    test_optimizer("adam", "adam(lr = 1e-3)", up_adam);
    test_optimizer("adam_torch", "adam_torch", up_adam_torch);
    test_optimizer("adamw", "adamw(decay = 0.01)", up_adamw);
    test_optimizer("adadelta", "adadelta", up_adadelta);
    test_optimizer("adamax", "adamax", up_adamax);
    test_optimizer("nadam", "nadam", up_nadam);
    test_optimizer("lion", "lion(decay = 0.1)", up_lion);
}
