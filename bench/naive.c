/* What a careful C programmer writes: plain loops, weights as [in][gate], gcc -O3 -march=native -ffast-math. Sizes are constants
   of the compiler's, so each size is a function of its own. Steps only. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { STEPS_A_CALL = 2000 };

typedef void Steps(const float *W, const float *U, const float *b, const float *bn, const float *x, float *h, float *c, float *y, int steps);

static float sigmoid(float v) { return 1.0F / (1.0F + expf(-v)); }

/* One function a size: lstm_I_H, gru_I_H. */
#define GATES(n, I, H)                                                                   \
    float z[n * H];                                                                      \
    memcpy(z, b, sizeof z);                                                              \
    for (int k = 0; k < I; k++)                                                          \
        for (int j = 0; j < n * H; j++) z[j] += x[k] * W[k * n * H + j];

#define LSTM(I, H)                                                                       \
    static void lstm_##I##_##H(const float *W, const float *U, const float *b, const float *bn, const float *x, float *h, float *c, \
                               float *y, int steps) {                                    \
        (void)bn;                                                                        \
        for (int s = 0; s < steps; s++) {                                                \
            GATES(4, I, H)                                                               \
            for (int k = 0; k < H; k++)                                                  \
                for (int j = 0; j < 4 * H; j++) z[j] += h[k] * U[k * 4 * H + j];         \
            for (int j = 0; j < H; j++) {                                                \
                c[j] = sigmoid(z[H + j]) * c[j] + sigmoid(z[j]) * tanhf(z[2 * H + j]);   \
                h[j] = sigmoid(z[3 * H + j]) * tanhf(c[j]);                              \
            }                                                                            \
            memcpy(y + s * H, h, H * sizeof *y);                                         \
        }                                                                                \
    }

#define GRU(I, H)                                                                        \
    static void gru_##I##_##H(const float *W, const float *U, const float *b, const float *bn, const float *x, float *h, float *c, \
                              float *y, int steps) {                                     \
        (void)c;                                                                         \
        for (int s = 0; s < steps; s++) {                                                \
            GATES(3, I, H)                                                               \
            float u[3 * H];                                                              \
            for (int j = 0; j < 3 * H; j++) u[j] = j < 2 * H ? 0 : bn[j - 2 * H];        \
            for (int k = 0; k < H; k++)                                                  \
                for (int j = 0; j < 3 * H; j++) u[j] += h[k] * U[k * 3 * H + j];         \
            for (int j = 0; j < H; j++) {                                                \
                float r = sigmoid(z[j] + u[j]), q = sigmoid(z[H + j] + u[H + j]);        \
                float n = tanhf(z[2 * H + j] + r * u[2 * H + j]);                        \
                h[j] = (1 - q) * n + q * h[j];                                           \
            }                                                                            \
            memcpy(y + s * H, h, H * sizeof *y);                                         \
        }                                                                                \
    }

LSTM(1, 8)
LSTM(1, 20)
LSTM(128, 128)
GRU(1, 32)

static const struct {
    const char *model;
    int64_t I, H;
    Steps *steps;
} size[] = {{"lstm", 1, 8, lstm_1_8}, {"lstm", 1, 20, lstm_1_20}, {"lstm", 128, 128, lstm_128_128}, {"gru", 1, 32, gru_1_32}};

typedef struct {
    const Problem *p;
    Steps *steps;
    float *W, *U, *b, *bn, *h, *c, *y; /* y: of every step, as a stream of Rondo's gives it */
} Self;

/* At the start of a cache line: where malloc happens to put a matrix makes a quarter of the time. */
static float *aligned(int64_t n) {
    size_t bytes = ((size_t)n * sizeof(float) + 63) / 64 * 64;
    float *a = aligned_alloc(64, bytes);
    return a ? memset(a, 0, bytes) : NULL;
}

static float *turned(float *a, int64_t rows, int64_t columns) {
    float *t = a ? aligned(rows * columns) : NULL;
    for (int64_t i = 0; t && i < rows; i++)
        for (int64_t k = 0; k < columns; k++) t[k * rows + i] = a[i * columns + k];
    free(a);
    return t;
}

static bool go(void *arg) {
    Self *s = arg;
    s->steps(s->W, s->U, s->b, s->bn, s->p->x, s->h, s->c, s->y, STEPS_A_CALL);
    return true;
}

static void naive_end(void *self) {
    Self *s = self;
    free(s->W), free(s->U), free(s->b), free(s->bn), free(s->h), free(s->c), free(s->y);
    free(s);
}

static void *naive_make(const Problem *p, Times *t) {
    static const char *const lstm[] = {"h.Wi", "h.Wf", "h.Wg", "h.Wo", "h.Ui", "h.Uf", "h.Ug", "h.Uo", "h.bi", "h.bf", "h.bg", "h.bo"};
    static const char *const gru[] = {"h.Wr", "h.Wz", "h.Wn", "h.Ur", "h.Uz", "h.Un", "h.br", "h.bz", "h.bn", "h.cn"};
    bool is_lstm = strcmp(p->model, "lstm") == 0;
    const char *const *name = is_lstm ? lstm : gru;
    int G = is_lstm ? 4 : 3;
    Steps *steps = NULL;
    for (size_t i = 0; p->mode == STEP && i < sizeof size / sizeof *size; i++)
        if (strcmp(size[i].model, p->model) == 0 && size[i].I == p->I && size[i].H == p->H) steps = size[i].steps;
    if (!steps) return NULL;
    Self *s = calloc(1, sizeof *s);
    s->p = p;
    s->steps = steps;
    s->W = turned(stack_weights(p, name, G), G * p->H, p->I);
    s->U = turned(stack_weights(p, name + G, G), G * p->H, p->H);
    s->b = stack_weights(p, name + 2 * G, G);
    if (!is_lstm) s->bn = stack_weights(p, name + 3 * G, 1);
    s->h = aligned(p->H);
    s->c = aligned(p->H);
    s->y = aligned(p->H * STEPS_A_CALL);
    s->steps(s->W, s->U, s->b, s->bn, p->x, s->h, s->c, s->y, 1);
    t->value = mean_square(s->h, p->H);
    snprintf(t->note, sizeof t->note, "plain C loops, -O3 -march=native -ffast-math, sizes known to the compiler, %d steps a call", STEPS_A_CALL);
    return s;
}

static bool naive_run(void *self, double seconds, Times *t) {
    return bench_time(go, self, STEPS_A_CALL, seconds, t);
}

const Contestant naive_contestant = {"c-naive", naive_make, naive_run, naive_end};
