/* A program of a user: trains, predicts and streams through the installed library, in a locale whose numbers have commas. */
#include <rondo.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "model adder[H = 6] {\n"
                           "    input  x: seq [2]\n"
                           "    target y: [1]\n"
                           "    h = lstm[H](x)\n"
                           "    p = dense[1](h.last)\n"
                           "    output p\n"
                           "    loss mse(p, y)\n"
                           "    train { optimizer = adam(lr = 0.02), epochs = 40, batch = 8 }\n"
                           "}\n";

enum { N = 64, T = 5, I = 2 };

static int fail(const rondo_model *m, const char *what) {
    fprintf(stderr, "%s: %s\n", what, rondo_message(m));
    return 1;
}

static int stop_at_3(void *arg, const rondo_progress *p) {
    *(int *)arg = p->epoch;
    return p->epoch == 3 && p->batch == p->batches;
}

static int stream(rondo_model *m, const float *x, float want) {
    rondo_stream *s;
    if (rondo_stream_open(m, 1, &s) != RONDO_OK) return fail(m, "stream_open");
    if (rondo_stream_inputs(s) != I || rondo_stream_outputs(s) != 1) return fail(m, "stream sizes");
    float y = 0, state[6];
    for (int t = 0; t < T; t++)
        if (rondo_stream_step(s, x + t * I, &y) != RONDO_OK) return fail(m, "stream_step");
    if (y != want) return fprintf(stderr, "stream gives %.9g, predict %.9g\n", (double)y, (double)want), 1;
    if (rondo_stream_get(s, "h.c", state, 6) != RONDO_OK) return fail(m, "stream_get");
    if (rondo_stream_reset(s) != RONDO_OK || rondo_stream_run(s, T - 1, x, state) != RONDO_OK) return fail(m, "stream_run");
    rondo_stream_close(s);
    return 0;
}

/* The trained model as C, in this locale and in C's. */
static int emit_twice(rondo_model *m) {
    if (rondo_emit(m, "c", NULL, "comma") != RONDO_OK) return fail(m, "emit");
    setlocale(LC_ALL, "C");
    if (rondo_emit(m, "c", NULL, "plain") != RONDO_OK) return fail(m, "emit");
    setlocale(LC_ALL, "");
    return 0;
}

/* Other weights, and machine code for a processor; what there is not is refused. */
static int emit_options(rondo_model *m) {
    rondo_emit_options o = RONDO_EMIT_OPTIONS_INIT, none = o;
    o.train = o.test = o.blob = 1;
    o.weights = "int8";
    if (rondo_emit(m, "c", &o, "small") != RONDO_OK) return fail(m, "emit with options");
    o.weights = "int7";
    if (rondo_emit(m, "c", &o, "refused") != RONDO_BAD_INPUT || !strstr(rondo_message(m), "int7")) return fail(m, "emit of int7");
    o = none;
    o.simd = 3;
    if (rondo_emit(m, "c", &o, "refused") != RONDO_BAD_INPUT) return fail(m, "emit of 3 lanes");
    o = none;
    o.target = "aarch64-linux-gnu";
    if (rondo_emit(m, "c", &o, "refused") != RONDO_BAD_INPUT) return fail(m, "emit of C for a target");
    o.cpu = "no-such-processor";
    if (rondo_emit(m, "asm", &o, "refused") == RONDO_OK) return fail(m, "emit for no processor");
    o.cpu = "cortex-a53";
    if (rondo_emit(m, "asm", &o, "machine") != RONDO_OK && !strstr(rondo_message(m), "no clang")) return fail(m, "emit for a processor");
    return 0;
}

int main(void) {
    if (!setlocale(LC_ALL, "")) fputs("locale not set\n", stderr);
    char number[16];
    snprintf(number, sizeof number, "%.1f", 0.5);
    if (getenv("WANT_COMMA") && strcmp(number, "0,5")) return fputs("the locale has no comma\n", stderr), 1;

    rondo_model *m;
    if (rondo_open_text(&m, "adder", text, strlen(text), NULL) != RONDO_OK) return fail(m, "open");
    if (rondo_init_weights(m, 1) != RONDO_OK) return fail(m, "init");
    static float x[N * T * I], y[N];
    unsigned r = 1;
    for (int i = 0; i < N * T * I; i++) {
        r = r * 1664525U + 1013904223U;
        x[i] = (float)(r >> 8) / 16777216.0F - 0.5F;
        y[i / (T * I)] += 0.3F * x[i];
    }
    rondo_array data[2] = {{.name = "x", .rank = 3, .dim = {N, T, I}, .data = x}, {.name = "y", .rank = 2, .dim = {N, 1}, .data = y}};
    double before, after;
    if (rondo_evaluate(m, NULL, data, 2, &before, NULL, 0) != RONDO_OK) return fail(m, "evaluate");
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.arrays = data;
    o.narrays = 2;
    int epoch = 0;
    o.progress = stop_at_3;
    o.progress_arg = &epoch;
    if (rondo_train(m, &o, NULL) != RONDO_STOPPED || epoch != 3) return fail(m, "train, stopped");
    o.progress = NULL;
    rondo_train_result result;
    if (rondo_train(m, &o, &result) != RONDO_OK) return fail(m, "train");
    if (rondo_evaluate(m, NULL, data, 2, &after, NULL, 0) != RONDO_OK) return fail(m, "evaluate");
    if (!(after < before / 4)) return fprintf(stderr, "loss went from %g to %g\n", before, after), 1;

    rondo_array out = {.name = "p"};
    if (rondo_predict(m, data, 1, &out, 1) != RONDO_OK) return fail(m, "predict");
    if (out.rank != 2 || out.dim[0] != N || out.dim[1] != 1) return fputs("predict: wrong shape\n", stderr), 1;
    float first = *(float *)out.data;
    if (stream(m, x, first) || emit_twice(m) || emit_options(m)) return 1;

    if (rondo_save_weights(m, "adder.safetensors") != RONDO_OK) return fail(m, "save");
    rondo_model *again;
    if (rondo_open_text(&again, "adder", text, strlen(text), NULL) != RONDO_OK) return fail(again, "open again");
    if (rondo_load_weights(again, "adder.safetensors", NULL, 0) != RONDO_OK) return fail(again, "load");
    float value;
    rondo_array one = {.name = "x", .rank = 3, .dim = {1, T, I}, .data = x}, p = {.name = "p", .rank = 2, .dim = {1, 1}, .data = &value};
    if (rondo_predict(again, &one, 1, &p, 1) != RONDO_OK) return fail(again, "predict again");
    if (value != first) return fprintf(stderr, "%.9g after loading, not %.9g\n", (double)value, (double)first), 1;

    /* what must fail does, with words */
    if (rondo_load_weights(again, "missing.safetensors", NULL, 0) != RONDO_BAD_INPUT || !*rondo_message(again)) return fail(again, "no error");
    rondo_model *bad;
    if (rondo_open_text(&bad, "bad", "model { }", 9, NULL) != RONDO_BAD_INPUT || !*rondo_message(bad)) return fail(bad, "no error");
    rondo_close(bad);
    rondo_close(again);
    rondo_close(m);
    puts("installed library: good");
    return 0;
}
