/* test_calls: what rondo.h promises of calls that keep something: steps at once are steps one by one, to the bit, with several
   inputs, outputs and examples; gradients of weights by kept kernels are those of a call that makes its own, before and after the
   weights change and for batches of one and of three; memory with time first gives the bits of memory with the batch first; a failed
   call says what failed; a weight without a gradient stays; results go round, and stay while other calls are made; callbacks cannot call; a process that is forked goes
   on. Run from the source root. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/rondo.h"

enum { B = 3, STEPS = 150, NX = 5, NY = 11, T = 7 };

static int passed, failed;
static void check(bool ok, const char *what) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED: %s\n", what);
    }
}

static const char model[] = "model two[H = 8] {\n"
                            "    input x: seq [3]\n"
                            "    input z: seq [2]\n"
                            "    target y: seq [3]\n"
                            "    h = lstm[H](x)\n"
                            "    g = gru[3](z)\n"
                            "    p = dense[3](h) * g\n"
                            "    output h\n"
                            "    output p\n"
                            "    loss mse(p, y)\n"
                            "}\n";

static float wave(int k) { return (float)sin(0.3 + 1.7 * k + 0.001 * k * k); }

static rondo_model *open_model(const char *text, bool f64) {
    rondo_options o = RONDO_OPTIONS_INIT;
    o.engine = RONDO_ENGINE_LOOPS;
    o.f64 = f64;
    rondo_model *m;
    if (rondo_open_text(&m, "two.rondo", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(m, 3) == RONDO_OK) return m;
    printf("%s", rondo_message(m));
    exit(1);
}

static void streams(const char *text, int n, int nx, int ny, const char *what) {
    static float x[STEPS * B * NX], one[STEPS * B * NY], all[STEPS * B * NY];
    rondo_model *m = open_model(text, false);
    rondo_stream *s;
    memset(all, 0, sizeof all);
    for (int k = 0; k < STEPS * n * nx; k++) x[k] = wave(k);
    if (rondo_stream_open(m, n, &s) != RONDO_OK) {
        printf("%s", rondo_message(m));
        exit(1);
    }
    check(rondo_stream_inputs(s) == (size_t)(n * nx) && rondo_stream_outputs(s) == (size_t)(n * ny), what);
    for (int t = 0; t < STEPS; t++) rondo_stream_step(s, x + t * n * nx, one + t * n * ny);
    rondo_stream_reset(s);
    static const int cut[] = {0, 1, 66, 67, 149, STEPS}; /* runs between single steps, longer and shorter than a block */
    for (int k = 0; k < 5; k++)
        check(rondo_stream_run(s, cut[k + 1] - cut[k], x + cut[k] * n * nx, all + cut[k] * n * ny) == RONDO_OK, what);
    check(memcmp(one, all, (size_t)(STEPS * n * ny) * sizeof *one) == 0 && one[STEPS * n * ny - 1] != 0, what);
    if (nx == ny) { /* answers where the questions stood */
        rondo_stream_reset(s);
        check(rondo_stream_run(s, STEPS, x, x) == RONDO_OK && memcmp(x, one, sizeof *x * (size_t)(STEPS * n * ny)) == 0, what);
    }
    rondo_stream_close(s);
    rondo_close(m);
}

/* The largest difference of the gradients of every weight, kept kernels against a call that asks for that of x too. */
static double difference(rondo_model *m, int batch, double *loss) {
    static double x[B * T * 3], z[B * T * 2], y[B * T * 3], dx[B * T * 3], kept[4096], made[4096];
    for (int k = 0; k < B * T * 3; k++) x[k] = wave(k), y[k] = wave(2 * k + 1);
    for (int k = 0; k < B * T * 2; k++) z[k] = wave(5 * k);
    rondo_array in[] = {{.name = "x", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 3}, .data = x},
                        {.name = "z", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 2}, .data = z},
                        {.name = "y", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 3}, .data = y}};
    rondo_array grad[40];
    char name[40][64];
    size_t n = rondo_count(m, RONDO_PARAM);
    double other, worst = 0;
    int64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        rondo_info w;
        rondo_describe(m, RONDO_PARAM, i, &w);
        snprintf(name[i], sizeof name[i], "param/%s", w.name);
        grad[i] = (rondo_array){.name = name[i], .type = RONDO_F64, .rank = w.rank, .data = kept + at};
        int64_t count = 1;
        for (int k = 0; k < w.rank; k++) count *= grad[i].dim[k] = w.dim[k];
        at += count;
    }
    if (rondo_gradient(m, in, 3, 0, loss, grad, n) != RONDO_OK) return 1;
    for (size_t i = 0; i < n; i++) grad[i].data = made + ((double *)grad[i].data - kept);
    grad[n] = (rondo_array){.name = "input/x", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 3}, .data = dx};
    if (rondo_gradient(m, in, 3, 0, &other, grad, n + 1) != RONDO_OK) return 1;
    for (int64_t k = 0; k < at; k++) worst = fmax(worst, fabs(kept[k] - made[k]));
    return fmax(worst, fabs(*loss - other));
}

static void gradients(void) {
    rondo_model *m = open_model(model, true);
    double before, after, one;
    float w[8 * 3];
    check(difference(m, B, &before) < 1e-14, "gradients by kept kernels");
    check(rondo_get_weight(m, "h.Wi", w, 24) == RONDO_OK, "a weight");
    for (int k = 0; k < 24; k++) w[k] += 0.5F;
    rondo_set_weight(m, "h.Wi", w, 24);
    check(difference(m, B, &after) < 1e-14 && after != before, "gradients after the weights change");
    check(difference(m, 1, &one) < 1e-14 && one != after, "gradients of one example");
    check(difference(m, B, &one) < 1e-14 && one == after, "gradients of three again");
    rondo_array bad = {.name = "param/none"};
    rondo_array in = {.name = "x", .rank = 3, .dim = {1, 1, 3}, .data = w};
    check(rondo_gradient(m, &in, 1, 0, NULL, &bad, 1) == RONDO_BAD_INPUT, "targets are missing");
    rondo_close(m);
}

static void turn(const double *from, double *to, int batch, int features) {
    for (int b = 0; b < batch; b++)
        for (int t = 0; t < T; t++) memcpy(to + (t * batch + b) * features, from + (b * T + t) * features, (size_t)features * sizeof *to);
}

/* Results of a call, batch first: h, p, and the last h. first: inputs and sequences among the results have time first in memory. */
static bool predict(rondo_model *m, int batch, bool first, bool mine, const double *x, const double *z, double *h, double *p, double *last) {
    static double xt[B * T * 3], zt[B * T * 2], ht[B * T * 8];
    rondo_order order = first ? RONDO_TIME_FIRST : RONDO_BATCH_FIRST;
    turn(x, xt, batch, 3);
    turn(z, zt, batch, 2);
    rondo_array in[] = {{.name = "x", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 3}, .data = first ? xt : (double *)x, .order = order},
                        {.name = "z", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 2}, .data = first ? zt : (double *)z, .order = order}};
    rondo_array out[] = {{.name = "h", .type = RONDO_F64, .order = order}, {.name = "final/h.h", .type = RONDO_F64, .order = order},
                         {.name = "p", .type = RONDO_F64, .rank = 3, .dim = {batch, T, 3}, .data = first ? xt : p, .order = order}};
    if (mine) {
        out[0].rank = 3, out[0].dim[0] = batch, out[0].dim[1] = T, out[0].dim[2] = 8;
        out[0].data = ht;
    }
    if (rondo_predict(m, in, 2, out, 3) != RONDO_OK) return false;
    const double *got = out[0].data;
    for (int b = 0; b < batch; b++)
        for (int t = 0; t < T; t++) {
            memcpy(h + (b * T + t) * 8, got + (first ? t * batch + b : b * T + t) * 8, 8 * sizeof *h);
            if (first) memcpy(p + (b * T + t) * 3, xt + (t * batch + b) * 3, 3 * sizeof *p); /* written over its input */
        }
    memcpy(last, out[1].data, (size_t)batch * 8 * sizeof *last);
    return true;
}

static void orders(bool f64) {
    static double x[B * T * 3], z[B * T * 2], y[B * T * 3], xt[B * T * 3], yt[B * T * 3], h[2][B * T * 8], p[2][B * T * 3], last[2][B * 8], g[2][96];
    rondo_model *m = open_model(model, f64);
    for (int k = 0; k < B * T * 3; k++) x[k] = wave(k), y[k] = wave(2 * k + 1);
    for (int k = 0; k < B * T * 2; k++) z[k] = wave(5 * k);
    for (int batch = B; batch > 0; batch -= 2)
        for (int mine = 0; mine < 2; mine++) {
            bool ok = predict(m, batch, false, mine, x, z, h[0], p[0], last[0]) && predict(m, batch, true, mine, x, z, h[1], p[1], last[1]);
            check(ok && !memcmp(h[0], h[1], (size_t)(batch * T * 8) * sizeof *h[0]), "outputs with time first");
            check(ok && !memcmp(p[0], p[1], (size_t)(batch * T * 3) * sizeof *p[0]) && p[0][1] != p[0][4], "an output over an input");
            check(ok && !memcmp(last[0], last[1], (size_t)(batch * 8) * sizeof *last[0]), "final states");
        }
    turn(x, xt, B, 3);
    turn(y, yt, B, 3);
    double loss[2] = {0, 1};
    for (int k = 0; k < 2; k++) { /* the second also with a gradient that kernels are not kept for */
        rondo_array in[] = {{.name = "x", .type = RONDO_F64, .rank = 3, .dim = {B, T, 3}, .data = k ? xt : x, .order = (rondo_order)k},
                            {.name = "z", .type = RONDO_F64, .rank = 3, .dim = {B, T, 2}, .data = z},
                            {.name = "y", .type = RONDO_F64, .rank = 3, .dim = {B, T, 3}, .data = k ? yt : y, .order = (rondo_order)k}};
        rondo_array grad[] = {{.name = "param/h.Wi", .type = RONDO_F64, .rank = 2, .dim = {8, 3}, .data = g[k]}, {.name = "input/z"}};
        check(rondo_gradient(m, in, 3, 0, &loss[k], grad, 1) == RONDO_OK && rondo_gradient(m, in, 3, 0, NULL, grad, 2) == RONDO_OK, "gradients of either order");
        grad[1].order = RONDO_TIME_FIRST;
        check(rondo_gradient(m, in, 3, 0, NULL, grad, 2) == RONDO_BAD_USAGE, "a gradient with time first");
        check(rondo_evaluate(m, NULL, in, 3, NULL, NULL, 0) == (k ? RONDO_BAD_USAGE : RONDO_OK), "a data set with time first");
        in[0].order = (rondo_order)9;
        check(rondo_gradient(m, in, 3, 0, NULL, grad, 1) == RONDO_BAD_USAGE, "an order that is none");
    }
    check(loss[0] == loss[1] && !memcmp(g[0], g[1], 24 * sizeof *g[0]) && g[0][0] != 0, "loss and gradients of either order");
    rondo_close(m);
}

static bool says(const rondo_model *m, rondo_status s, rondo_status want, const char *text) {
    const char *first = strstr(rondo_message(m), "error["), *more = first ? strstr(first + 1, "error[") : NULL;
    return s == want && first && !more && strstr(first, text);
}

/* Each failed call says what failed, and nothing of those before it. */
static void refusals(void) {
    rondo_model *m = open_model(model, false);
    rondo_stream *s;
    float x[64] = {0}, y[64];
    check(rondo_stream_open(m, 1, &s) == RONDO_OK, "a stream");
    check(says(m, rondo_stream_get(s, "h.h", y, 7), RONDO_BAD_USAGE, "8 numbers, not 7"), "a state of another size");
    check(says(m, rondo_stream_set(s, "h.q", y, 8), RONDO_BAD_USAGE, "no state 'h.q'"), "a state that there is not");
    check(says(m, rondo_stream_set(s, "h.h", NULL, 8), RONDO_BAD_USAGE, "memory"), "a state without values");
    check(says(m, rondo_stream_run(s, -1, x, y), RONDO_BAD_USAGE, "less than 0"), "fewer steps than none");
    check(says(m, rondo_stream_step(s, NULL, y), RONDO_BAD_USAGE, "memory"), "a step without inputs");
    check(rondo_stream_step(s, x, y) == RONDO_OK && !*rondo_message(m), "nothing is said after a good step");
    rondo_stream_close(s);
    rondo_info info;
    check(says(m, rondo_describe(m, RONDO_INPUT, 2, &info), RONDO_BAD_USAGE, "index"), "an input that there is not");
    check(says(m, rondo_describe(m, RONDO_INPUT, 1, NULL), RONDO_BAD_USAGE, "no room"), "a description without room");
    check(rondo_describe(m, RONDO_INPUT, 1, &info) == RONDO_OK && !strcmp(info.name, "z"), "a description");
    check(says(m, rondo_stream_open(m, 0, &s), RONDO_BAD_USAGE, "one example") && !s, "a stream of no example");
    check(says(m, rondo_stream_open(m, INT64_C(1) << 40, &s), RONDO_BAD_INPUT, "axis 'B'") && !s, "a stream of too many examples");
    check(says(m, rondo_stream_open(m, 1, NULL), RONDO_BAD_USAGE, "handle"), "a stream without a handle");
    rondo_array in[] = {{.name = "x", .rank = 3, .dim = {1, 2, 3}, .data = x}, {.name = "z", .rank = 3, .dim = {1, 2, 2}, .data = x},
                        {.name = "init/h.c", .rank = 2, .dim = {1, 8}, .data = x}};
    rondo_array out = {.name = "p"}, grad = {.name = "param/h.Wi"};
    check(rondo_predict(m, in, 3, &out, 1) == RONDO_OK, "a start of a state");
    in[2].name = "init/h.cc";
    check(says(m, rondo_predict(m, in, 3, &out, 1), RONDO_BAD_INPUT, "'init/h.c'"), "a start of no state");
    check(says(m, rondo_gradient(m, in, 3, 0, NULL, &grad, 1), RONDO_BAD_INPUT, "'init/h.c'"), "a start of no state, for gradients");
    in[2] = in[0];
    check(says(m, rondo_predict(m, in, 3, &out, 1), RONDO_BAD_USAGE, "two arrays x"), "one input twice");
    in[2] = (rondo_array){.name = "y", .rank = 3, .dim = {1, 2, 3}, .data = x};
    static const char *const near[][2] = {{"param/h.Wj", "'param/h.Wi'"}, {"h.Wi", "'param/h.Wi'"}, {"input/u", "'input/x'"}, {"x", "'input/x'"},
                                          {"init/h", "'init/h.h'"}, {"weights", "param/NAME, input/NAME and init/NAME"}, {NULL, "param/NAME"}};
    for (int k = 0; k < 7; k++) {
        grad.name = near[k][0];
        check(says(m, rondo_gradient(m, in, 3, 0, NULL, &grad, 1), RONDO_BAD_USAGE, near[k][1]), near[k][1]);
    }
    rondo_close(m);
}

/* Results go into the next call as they are, and an array that had one is filled again. */
static void results_again(void) {
    rondo_model *m = open_model(model, false);
    float x[18], whole[16], parts[16];
    for (int k = 0; k < 18; k++) x[k] = wave(k);
    rondo_array in[] = {{.name = "x", .rank = 3, .dim = {1, 4, 3}, .data = x}, {.name = "z", .rank = 3, .dim = {1, 4, 2}, .data = x}, {.name = "init/h.h"}, {.name = "init/h.c"}};
    rondo_array out[] = {{.name = "final/h.h"}, {.name = "final/h.c"}};
    for (int k = 0; k < 2; k++) { /* the second time with data of the first in `out` */
        check(rondo_predict(m, in, 2, out, 2) == RONDO_OK, "final states");
        memcpy(whole, out[0].data, 8 * sizeof *whole);
        memcpy(whole + 8, out[1].data, 8 * sizeof *whole);
    }
    for (int t = 0; t < 4; t++) {
        in[0].dim[1] = in[1].dim[1] = 1;
        in[0].data = x + 3 * t;
        in[1].data = x + 2 * t;
        check(rondo_predict(m, in, t ? 4 : 2, out, 2) == RONDO_OK, "a step from states that the last one gave");
        for (int k = 0; k < 2; k++) {
            const char *name = in[2 + k].name;
            in[2 + k] = out[k];
            in[2 + k].name = name;
        }
    }
    memcpy(parts, out[0].data, 8 * sizeof *parts);
    memcpy(parts + 8, out[1].data, 8 * sizeof *parts);
    check(memcmp(whole, parts, sizeof whole) == 0, "states that go round");
    rondo_close(m);
}

/* Memory that is not read again once it is freed, nor given out. */
typedef struct Block {
    size_t n;
    struct Block *dead;
    double at[];
} Block;

static void *spoiling(void *arg, void *p, size_t n) {
    Block **dead = arg, *old = p ? (Block *)((char *)p - offsetof(Block, at)) : NULL, *b = n ? malloc(sizeof *b + n) : NULL;
    if (b) b->n = n;
    if (b && old) memcpy(b->at, old->at, n < old->n ? n : old->n);
    if (old && (b || !n)) {
        memset(old->at, 0xdd, old->n);
        old->dead = *dead;
        *dead = old;
    }
    return b ? b->at : NULL;
}

/* Whether all of what was freed is as it was left. */
static bool unwritten(Block *dead) {
    bool ok = true;
    for (Block *b = dead, *next; b; b = next) {
        for (size_t k = 0; k < b->n; k++) ok = ok && ((unsigned char *)b->at)[k] == 0xdd;
        next = b->dead;
        free(b);
    }
    return ok;
}

/* A loop as programs have it, over the same few arrays: results outlive the calls that give others, and go where there is room. */
static void results_stay(void) {
    static const char text[] = "model m {\n    input x: seq [3]\n    target y: seq [3]\n    p = dense[3](gru[4](x))\n    output p\n    metric e = mae(p, y)\n    loss mse(p, y)\n"
                               "    train {\n        epochs = 1\n    }\n}\n";
    rondo_options o = RONDO_OPTIONS_INIT;
    Block *dead = NULL;
    rondo_model *m;
    o.engine = RONDO_ENGINE_LOOPS;
    o.realloc_fn = spoiling;
    o.realloc_arg = &dead;
    check(rondo_open_text(&m, "stay.rondo", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(m, 3) == RONDO_OK, "a model in memory that is spoiled");
    float x[24], before[24], b[3];
    double loss[3];
    for (int k = 0; k < 24; k++) x[k] = wave(k);
    rondo_array in[] = {{.name = "x", .rank = 3, .dim = {2, 4, 3}, .data = x}, {.name = "y", .rank = 3, .dim = {2, 4, 3}, .data = x}};
    rondo_array out = {.name = "p"}, grad = {.name = "param/p.b"};
    for (int k = 0; k < 3; k++) {
        check(rondo_predict(m, in, 1, &out, 1) == RONDO_OK, "results again");
        memcpy(before, out.data, sizeof before);
        check(rondo_gradient(m, in, 2, 0, &loss[k], &grad, 1) == RONDO_OK && rondo_get_weight(m, "p.b", b, 3) == RONDO_OK, "gradients again");
        for (int i = 0; i < 3; i++) b[i] -= 0.1f * ((float *)grad.data)[i];
        check(rondo_set_weight(m, "p.b", b, 3) == RONDO_OK && memcmp(before, out.data, sizeof before) == 0, "results outlive other calls");
    }
    check(loss[2] < loss[1] && loss[1] < loss[0], "steps against the gradient");
    rondo_array again[] = {in[0], out};
    again[1].name = "y";
    rondo_train_options t = RONDO_TRAIN_OPTIONS_INIT;
    t.arrays = again;
    t.narrays = 2;
    check(rondo_evaluate(m, NULL, again, 2, &loss[0], NULL, 0) == RONDO_OK && rondo_train(m, &t, NULL) == RONDO_OK, "results as targets");
    check(memcmp(before, out.data, sizeof before) == 0, "results outlive training");
    rondo_close(m);
    check(unwritten(dead), "nothing is written once it is freed");
}

/* Weights that the loss does not depend on: 0 in any array of the caller's, and in training only what decays changes. */
static void unreached(const char *decay, double left) {
    static const char text[] = "model apart {\n    input x: [3]\n    target y: [3]\n    param u: [3] = 0.5\n    param w: [3] = 0.5\n    param v: [4] = 2\n"
                               "    output p = w * x\n    output q = v\n    loss mse(w * x, y)\n"
                               "    train {\n        optimizer = sgd(lr = 0.5)\n        epochs = 3\n        batch = 2\n        decay = [%s]\n    }\n}\n";
    char model_text[512];
    float x[6], got[2][4], w[3], v[4];
    snprintf(model_text, sizeof model_text, text, decay);
    rondo_model *m = open_model(model_text, false);
    for (int k = 0; k < 6; k++) x[k] = wave(k);
    rondo_array data[] = {{.name = "x", .rank = 2, .dim = {2, 3}, .data = x}, {.name = "y", .rank = 2, .dim = {2, 3}, .data = (float[6]){0}}};
    for (int k = 0; k < 2; k++) { /* the second time what the model has kept is there */
        for (int i = 0; i < 4; i++) got[k][i] = 7;
        rondo_array grad[] = {{.name = "param/v", .rank = 1, .dim = {4}, .data = got[k]}, {.name = "param/w", .rank = 1, .dim = {3}, .data = w}};
        check(rondo_gradient(m, data, 2, 0, NULL, grad, 2) == RONDO_OK && w[0] != 0, "gradients beside one that is 0");
        check(got[k][0] == 0 && got[k][3] == 0, "the gradient of a weight that the loss does not depend on");
    }
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.arrays = data;
    o.narrays = 2;
    check(rondo_train(m, &o, NULL) == RONDO_OK && rondo_get_weight(m, "v", v, 4) == RONDO_OK && rondo_get_weight(m, "w", w, 3) == RONDO_OK, "training beside a weight without a gradient");
    check(fabs(v[0] - left) < 1e-6 && v[0] == v[3] && w[0] != 0.5f, "a weight without a gradient changes by its decay alone");
    rondo_close(m);
}

typedef struct {
    rondo_model *m;
    rondo_stream *s;
    int calls;
    bool refused;
} Inside;

static int from_inside(void *arg, const rondo_progress *p) {
    Inside *i = arg;
    float x[5] = {0}, y[11];
    rondo_array in = {.name = "x", .rank = 3, .dim = {1, 1, 3}, .data = x}, out = {.name = "h"};
    (void)p;
    i->calls++;
    i->refused = rondo_predict(i->m, &in, 1, &out, 1) == RONDO_BAD_USAGE && strstr(rondo_message(i->m), "under way") && rondo_train(i->m, NULL, NULL) == RONDO_BAD_USAGE &&
                 rondo_save_weights(i->m, "none") == RONDO_BAD_USAGE && rondo_stream_step(i->s, x, y) == RONDO_BAD_USAGE;
    rondo_close(i->m);
    return 0;
}

/* What a call calls back finds the model busy. */
static void inside(void) {
    Inside i = {.m = open_model(model, false)};
    float x[5] = {0}, y[11], all[2 * 2 * 3] = {0};
    rondo_array data[] = {{.name = "x", .rank = 3, .dim = {2, 2, 3}, .data = all}, {.name = "z", .rank = 3, .dim = {2, 2, 2}, .data = all}, {.name = "y", .rank = 3, .dim = {2, 2, 3}, .data = all}};
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.arrays = data;
    o.narrays = 3;
    o.progress = from_inside;
    o.progress_arg = &i;
    check(rondo_stream_open(i.m, 1, &i.s) == RONDO_OK && rondo_train(i.m, &o, NULL) == RONDO_OK && i.calls > 0 && i.refused, "calls from inside of a call");
    check(rondo_stream_step(i.s, x, y) == RONDO_OK && !*rondo_message(i.m), "and after it");
    rondo_stream_close(i.s);
    rondo_close(i.m);
}

#if defined __SANITIZE_THREAD__
enum { CHILD_HAS_THREADS = 0 }; /* that sanitizer dies of threads started after a fork of several */
#else
enum { CHILD_HAS_THREADS = 1 };
#endif

/* No thread goes along with a fork: the child starts its own, and closes without waiting for its parent's. */
static void forked(void) {
    rondo_options o = RONDO_OPTIONS_INIT;
    o.engine = RONDO_ENGINE_LOOPS;
    o.threads = 3;
    rondo_model *m;
    float x[4 * 6 * 3], z[4 * 6 * 2], before[4 * 6 * 8];
    int status = -1;
    for (int k = 0; k < 72; k++) x[k] = wave(k);
    for (int k = 0; k < 48; k++) z[k] = wave(3 * k);
    rondo_array in[] = {{.name = "x", .rank = 3, .dim = {4, 6, 3}, .data = x}, {.name = "z", .rank = 3, .dim = {4, 6, 2}, .data = z}};
    rondo_array out = {.name = "h"};
    check(rondo_open_text(&m, "two.rondo", model, strlen(model), &o) == RONDO_OK && rondo_init_weights(m, 3) == RONDO_OK, "three threads");
    check(rondo_predict(m, in, 2, &out, 1) == RONDO_OK, "a call before the fork");
    memcpy(before, out.data, sizeof before);
    for (int call = !CHILD_HAS_THREADS; call < 2; call++) { /* a child that calls, one that only closes */
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            bool same = call || (rondo_predict(m, in, 2, &out, 1) == RONDO_OK && memcmp(before, out.data, sizeof before) == 0);
            rondo_close(m);
            _exit(!same);
        }
        check(child > 0 && waitpid(child, &status, 0) == child && status == 0, call ? "a fork closes" : "a fork computes");
    }
    check(rondo_predict(m, in, 2, &out, 1) == RONDO_OK && memcmp(before, out.data, sizeof before) == 0, "the parent goes on");
    rondo_close(m);
}

/* A model whose kernel is so long that it is made in pieces, with threads: the bits of the interpreter. */
static void deep(void) {
    enum { LAYERS = 12 };
    char text[2000] = "model deep {\n    input x: seq [3]\n    target y: seq [3]\n    h = x\n";
    for (int k = 0; k < LAYERS; k++) strcat(text, "    h = gru[3](h)\n");
    strcat(text, "    output h\n    loss mse(h, y)\n}\n");
    static float x[B * T * 3], y[B * T * 3], got[2][LAYERS][9];
    static char name[LAYERS][24];
    double loss[2] = {0, 0};
    for (int k = 0; k < B * T * 3; k++) x[k] = wave(k), y[k] = wave(3 * k);
    for (int e = 0; e < 2; e++) {
        rondo_options o = RONDO_OPTIONS_INIT;
        o.engine = e ? RONDO_ENGINE_LOOPS : RONDO_ENGINE_JIT;
        o.threads = 2;
        rondo_model *m;
        rondo_array in[] = {{.name = "x", .rank = 3, .dim = {B, T, 3}, .data = x}, {.name = "y", .rank = 3, .dim = {B, T, 3}, .data = y}}, grad[LAYERS];
        for (int k = 0; k < LAYERS; k++) {
            snprintf(name[k], sizeof name[k], k ? "param/h_%d.Un" : "param/h.Un", k + 1);
            grad[k] = (rondo_array){.name = name[k], .rank = 2, .dim = {3, 3}, .data = got[e][k]};
        }
        check(rondo_open_text(&m, "deep.rondo", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(m, 3) == RONDO_OK, "a deep model");
        check(rondo_gradient(m, in, 2, 0, &loss[e], grad, LAYERS) == RONDO_OK, "gradients of a deep model");
        printf("%s", rondo_message(m));
        rondo_close(m);
    }
    check(loss[0] == loss[1] && memcmp(got[0], got[1], sizeof got[0]) == 0 && got[0][0][0] != 0, "a kernel in pieces computes what it is made of");
}

int main(void) {
    streams(model, B, 5, 11, "steps at once: two inputs, two outputs");
    streams(model, 1, 5, 11, "steps at once: one example");
    static const char one[] = "model one {\n    input x: seq [5]\n    h = gru[5](x)\n    output h\n}\n";
    streams(one, 1, 5, 5, "steps at once, in the caller's arrays");
    streams(one, B, 5, 5, "steps at once, in the caller's arrays, three examples");
    streams("model few {\n    input x: seq [1]\n    h = gru[5](x)\n    output h\n}\n", 1, 1, 5, "steps at once: an input's product in each step");
    streams("model last[H = 4] {\n    input x: seq [5]\n    h = lstm[H](x)\n    output y = h.last\n}\n", B, 5, 4, "steps at once: an output without time");
    gradients();
    refusals();
    results_again();
    results_stay();
    unreached("", 2);
    unreached("\"v\": 0.5", 2 * 0.75 * 0.75 * 0.75);
    inside();
    forked();
    deep();
    orders(true);
    orders(false);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
