/* A recurrent layer as one writes it on a BLAS: the product with the input for all steps at once, then a product and a loop over
   the gates in each step. OpenBLAS's sgemm; the loops by gcc -O3 -march=native -ffast-math. Forward of one layer. */
#include <cblas.h> /* brings complex.h */
#undef I
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef struct {
    const Problem *p;
    int64_t width; /* gates x H */
    float *x, *W, *U, *b, *bn; /* time first; [width, I], [width, H] */
    float *z, *u, *h, *c; /* [T, B, width], [B, width], [T + 1, B, H], [B, H] */
} Self;

static float sigmoid(float v) { return 1.0F / (1.0F + expf(-v)); }

static void product(const Self *s, int64_t rows, const float *a, int64_t k, const float *w, float add, float *out) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)s->width, (int)k, 1, a, (int)k, w, (int)k, add, out, (int)s->width);
}

static void lstm_gates(const float *restrict z, float *restrict c, float *restrict h, int64_t H) {
    for (int64_t j = 0; j < H; j++) {
        c[j] = sigmoid(z[H + j]) * c[j] + sigmoid(z[j]) * tanhf(z[2 * H + j]);
        h[j] = sigmoid(z[3 * H + j]) * tanhf(c[j]);
    }
}

static void gru_gates(const float *restrict z, const float *restrict u, const float *restrict bn, const float *restrict before,
                      float *restrict h, int64_t H) {
    for (int64_t j = 0; j < H; j++) {
        float r = sigmoid(z[j] + u[j]), q = sigmoid(z[H + j] + u[H + j]), n = tanhf(z[2 * H + j] + r * (u[2 * H + j] + bn[j]));
        h[j] = n + q * (before[j] - n);
    }
}

static bool go(void *arg) {
    Self *s = arg;
    int64_t B = s->p->B, T = s->p->T, H = s->p->H, N = s->width;
    for (int64_t r = 0; r < T * B; r++) memcpy(s->z + r * N, s->b, (size_t)N * sizeof(float));
    product(s, T * B, s->x, s->p->I, s->W, 1, s->z);
    memset(s->c, 0, (size_t)(B * H) * sizeof(float));
    for (int64_t t = 0; t < T; t++) {
        float *z = s->z + t * B * N, *before = s->h + t * B * H, *h = before + B * H;
        product(s, B, before, H, s->U, s->bn ? 0 : 1, s->bn ? s->u : z);
        for (int64_t b = 0; b < B; b++) {
            if (s->bn) gru_gates(z + b * N, s->u + b * N, s->bn, before + b * H, h + b * H, H);
            else if (N == 4 * H) lstm_gates(z + b * N, s->c + b * H, h + b * H, H);
            else
                for (int64_t j = 0; j < H; j++) h[b * H + j] = tanhf(z[b * N + j]);
        }
    }
    return true;
}

static void openblas_end(void *self) {
    Self *s = self;
    free(s->x), free(s->W), free(s->U), free(s->b), free(s->bn), free(s->z), free(s->u), free(s->h), free(s->c);
    free(s);
}

static const struct {
    const char *model;
    int gates;
    const char *W[4], *U[4], *b[4], *bn;
} cell[] = {
    {"lstm", 4, {"h.Wi", "h.Wf", "h.Wg", "h.Wo"}, {"h.Ui", "h.Uf", "h.Ug", "h.Uo"}, {"h.bi", "h.bf", "h.bg", "h.bo"}, NULL},
    {"gru", 3, {"h.Wr", "h.Wz", "h.Wn"}, {"h.Ur", "h.Uz", "h.Un"}, {"h.br", "h.bz", "h.bn"}, "h.cn"},
    {"rnn", 1, {"h.W"}, {"h.U"}, {"h.b"}, NULL},
};

static void *openblas_make(const Problem *p, Times *t) {
    size_t k = 0, n = sizeof cell / sizeof *cell;
    while (k < n && strcmp(cell[k].model, p->model) != 0) k++;
    if (p->mode != FORWARD || k == n) return NULL;
    Self *s = calloc(1, sizeof *s);
    int64_t rows = p->T * p->B;
    s->p = p;
    s->width = cell[k].gates * p->H;
    s->x = time_first(p->x, p->B, p->T, p->I);
    s->W = stack_weights(p, cell[k].W, cell[k].gates);
    s->U = stack_weights(p, cell[k].U, cell[k].gates);
    s->b = stack_weights(p, cell[k].b, cell[k].gates);
    if (cell[k].bn) s->bn = stack_weights(p, &cell[k].bn, 1);
    s->z = malloc((size_t)(rows * s->width) * sizeof(float));
    s->u = malloc((size_t)(p->B * s->width) * sizeof(float));
    s->h = calloc((size_t)((rows + p->B) * p->H), sizeof(float));
    s->c = calloc((size_t)(p->B * p->H), sizeof(float));
    go(s);
    t->value = mean_square(s->h + p->B * p->H, rows * p->H);
    snprintf(t->note, sizeof t->note, "%s, kernels for %s", openblas_get_config(), openblas_get_corename());
    return s;
}

static bool openblas_run(void *self, double seconds, Times *t) {
    return bench_time(go, self, 1, seconds, t);
}

const Contestant openblas_contestant = {"openblas", openblas_make, openblas_run, openblas_end};
