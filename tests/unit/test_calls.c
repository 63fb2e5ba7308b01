/* test_calls: what rondo.h promises of calls that keep something: steps at once are steps one by one, to the bit, with several
   inputs, outputs and examples; gradients of weights by kept kernels are those of a call that makes its own, before and after the
   weights change and for batches of one and of three. Run from the source root. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void streams(const char *text, int nx, int ny, const char *what) {
    static float x[STEPS * B * NX], one[STEPS * B * NY], all[STEPS * B * NY];
    rondo_model *m = open_model(text, false);
    rondo_stream *s;
    memset(all, 0, sizeof all);
    for (int k = 0; k < STEPS * B * nx; k++) x[k] = wave(k);
    if (rondo_stream_open(m, B, &s) != RONDO_OK) {
        printf("%s", rondo_message(m));
        exit(1);
    }
    check(rondo_stream_inputs(s) == (size_t)(B * nx) && rondo_stream_outputs(s) == (size_t)(B * ny), what);
    for (int t = 0; t < STEPS; t++) rondo_stream_step(s, x + t * B * nx, one + t * B * ny);
    rondo_stream_reset(s);
    static const int cut[] = {0, 1, 66, 67, 149, STEPS}; /* runs between single steps, longer and shorter than a block */
    for (int k = 0; k < 5; k++)
        check(rondo_stream_run(s, cut[k + 1] - cut[k], x + cut[k] * B * nx, all + cut[k] * B * ny) == RONDO_OK, what);
    check(memcmp(one, all, (size_t)(STEPS * B * ny) * sizeof *one) == 0 && one[STEPS * B * ny - 1] != 0, what);
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

int main(void) {
    streams(model, 5, 11, "steps at once: two inputs, two outputs");
    streams("model last[H = 4] {\n    input x: seq [5]\n    h = lstm[H](x)\n    output y = h.last\n}\n", 5, 4, "steps at once: an output without time");
    gradients();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
