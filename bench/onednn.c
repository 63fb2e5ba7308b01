/* oneDNN 2.x: LSTM, GRU (reset after the product) and tanh RNN, left to right. Forward: weights in the layout that the library
   likes best, reordered once. Training: its forward, the loss by a plain loop, its backward with every gradient (that of x cannot
   be left out). Stacks of layers of one width run as one primitive. */
#include <dnnl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { MEMORIES = 32 };
typedef struct {
    dnnl_primitive_t p;
    dnnl_exec_arg_t arg[MEMORIES];
    int n;
} Primitive;

typedef struct {
    const Problem *p;
    int gates, biases;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t forward_desc, backward_desc;
    Primitive forward, backward;
    dnnl_memory_t memory[MEMORIES];
    int nmemory;
    dnnl_memory_t h, dh, dW, dU;
    float *y;
    double loss;
    bool broken;
} Self;

static bool is(const Self *s, const char *model) { return strcmp(s->p->model, model) == 0; }

static void must(Self *s, dnnl_status_t status) {
    if (status != dnnl_success) s->broken = true;
}

static float *data_of(Self *s, dnnl_memory_t m) {
    void *at = NULL;
    must(s, dnnl_memory_get_data_handle(m, &at));
    return at;
}

static dnnl_memory_desc_t plain(Self *s, int rank, const int64_t *dim, dnnl_format_tag_t tag) {
    dnnl_memory_desc_t d;
    dnnl_dims_t all = {0};
    memcpy(all, dim, (size_t)rank * sizeof *dim);
    must(s, dnnl_memory_desc_init_by_tag(&d, rank, all, dnnl_f32, tag));
    return d;
}

static dnnl_memory_t keep(Self *s, const dnnl_memory_desc_t *d) {
    dnnl_memory_t m = NULL;
    must(s, dnnl_memory_create(&m, d, s->engine, DNNL_MEMORY_ALLOCATE));
    if (s->broken || s->nmemory == MEMORIES) {
        s->broken = true;
        return NULL;
    }
    s->memory[s->nmemory++] = m;
    memset(data_of(s, m), 0, dnnl_memory_desc_get_size(d));
    return m;
}

static dnnl_memory_t filled(Self *s, const dnnl_memory_desc_t *d, const float *v) {
    dnnl_memory_t m = keep(s, d);
    if (m) memcpy(data_of(s, m), v, dnnl_memory_desc_get_size(d));
    return m;
}

static dnnl_memory_t reordered(Self *s, dnnl_memory_t from, const dnnl_memory_desc_t *have, const dnnl_memory_desc_t *want) {
    if (s->broken || dnnl_memory_desc_equal(have, want)) return from;
    dnnl_memory_t to = keep(s, want);
    dnnl_primitive_desc_t d = NULL;
    dnnl_primitive_t p = NULL;
    must(s, dnnl_reorder_primitive_desc_create(&d, have, s->engine, want, s->engine, NULL));
    if (!s->broken) must(s, dnnl_primitive_create(&p, d));
    if (!s->broken) must(s, dnnl_primitive_execute(p, s->stream, 2, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}));
    if (!s->broken) must(s, dnnl_stream_wait(s->stream));
    if (p) dnnl_primitive_destroy(p);
    if (d) dnnl_primitive_desc_destroy(d);
    return to;
}

static void give(Primitive *p, int arg, dnnl_memory_t m) {
    p->arg[p->n++] = (dnnl_exec_arg_t){arg, m};
}

static const dnnl_memory_desc_t *asked(dnnl_primitive_desc_t d, int arg) {
    return dnnl_primitive_desc_query_md(d, dnnl_query_exec_arg_md, arg);
}

/* The weights of all layers, as [layer][in][gate][out]. */
static float *weights(Self *s, char kind, int64_t in) {
    static const char *const order[] = {"ifgo", "zrn"};
    int64_t H = s->p->H, one = in * s->gates * H;
    float *all = calloc((size_t)(one * s->p->layers), sizeof *all);
    for (int l = 0; l < s->p->layers; l++)
        for (int g = 0; g < s->gates; g++) {
            char name[32];
            const char *gate = s->gates == 4 ? order[0] : order[1], *layer = s->p->layers == 2 && l == 0 ? "lstm" : "h";
            if (s->gates == 1) snprintf(name, sizeof name, "%s.%c", layer, kind);
            else snprintf(name, sizeof name, "%s.%c%c", layer, kind, gate[g]);
            float *w = stack_weights(s->p, (const char *const[]){name}, 1);
            if (!w) s->broken = true;
            for (int64_t o = 0; w && o < H; o++)
                for (int64_t i = 0; i < in; i++) all[l * one + (i * s->gates + g) * H + o] = w[o * in + i];
            free(w);
        }
    return all;
}

static float *biases(Self *s) {
    static const char *const order[] = {"bi", "bf", "bg", "bo"}, *const gru[] = {"bz", "br", "bn", "cn"};
    int64_t H = s->p->H;
    float *all = calloc((size_t)(s->p->layers * s->biases * H), sizeof *all);
    for (int l = 0; l < s->p->layers; l++)
        for (int g = 0; g < s->biases; g++) {
            char name[32];
            snprintf(name, sizeof name, "%s.%s", s->p->layers == 2 && l == 0 ? "lstm" : "h",
                     s->biases == 1 ? "b" : s->gates == 4 ? order[g] : gru[g]);
            float *b = stack_weights(s->p, (const char *const[]){name}, 1);
            if (b) memcpy(all + (l * s->biases + g) * H, b, (size_t)H * sizeof *b);
            else s->broken = true;
            free(b);
        }
    return all;
}

typedef struct {
    dnnl_memory_desc_t x, h0, W, U, b, y;
} Descs;

static void describe(Self *s, const Descs *d) {
    bool train = s->p->mode == TRAIN;
    dnnl_prop_kind_t kind = train ? dnnl_forward_training : dnnl_forward_inference, back = dnnl_backward;
    dnnl_rnn_direction_t way = dnnl_unidirectional_left2right;
    dnnl_rnn_desc_t f, b;
    if (is(s, "gru")) must(s, dnnl_lbr_gru_forward_desc_init(&f, kind, way, &d->x, &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, 0));
    else if (is(s, "rnn"))
        must(s, dnnl_vanilla_rnn_forward_desc_init(&f, kind, dnnl_eltwise_tanh, way, &d->x, &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, 0, 0, 0));
    else must(s, dnnl_lstm_forward_desc_init(&f, kind, way, &d->x, &d->h0, &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, &d->h0, 0));
    if (!s->broken) must(s, dnnl_primitive_desc_create(&s->forward_desc, &f, NULL, s->engine, NULL));
    if (!train || s->broken) return;
    if (is(s, "gru"))
        must(s, dnnl_lbr_gru_backward_desc_init(&b, back, way, &d->x, &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, &d->x, &d->h0, &d->W, &d->U,
                                                &d->b, &d->y, &d->h0, 0));
    else if (is(s, "rnn"))
        must(s, dnnl_vanilla_rnn_backward_desc_init(&b, back, dnnl_eltwise_tanh, way, &d->x, &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, &d->x,
                                                    &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, 0, 0, 0));
    else
        must(s, dnnl_lstm_backward_desc_init(&b, back, way, &d->x, &d->h0, &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, &d->h0, &d->x, &d->h0,
                                             &d->h0, &d->W, &d->U, &d->b, &d->y, &d->h0, &d->h0, 0));
    if (!s->broken) must(s, dnnl_primitive_desc_create(&s->backward_desc, &b, NULL, s->engine, s->forward_desc));
}

static void copy_args(Primitive *to, const Primitive *from, int arg) {
    for (int i = 0; i < from->n; i++)
        if (from->arg[i].arg == arg) give(to, arg, from->arg[i].memory);
}

static void wire_backward(Self *s, dnnl_memory_t W, const dnnl_memory_desc_t *Wd, dnnl_memory_t U, const dnnl_memory_desc_t *Ud) {
    static const int same[] = {DNNL_ARG_SRC_LAYER, DNNL_ARG_SRC_ITER, DNNL_ARG_SRC_ITER_C, DNNL_ARG_BIAS, DNNL_ARG_DST_LAYER,
                               DNNL_ARG_DST_ITER, DNNL_ARG_DST_ITER_C, DNNL_ARG_WORKSPACE};
    static const int fresh[] = {DNNL_ARG_DIFF_SRC_LAYER, DNNL_ARG_DIFF_SRC_ITER, DNNL_ARG_DIFF_SRC_ITER_C, DNNL_ARG_DIFF_BIAS,
                                DNNL_ARG_DIFF_DST_ITER, DNNL_ARG_DIFF_DST_ITER_C};
    Primitive *b = &s->backward;
    dnnl_primitive_desc_t d = s->backward_desc;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) copy_args(b, &s->forward, same[i]);
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++) {
        bool cell = fresh[i] == DNNL_ARG_DIFF_SRC_ITER_C || fresh[i] == DNNL_ARG_DIFF_DST_ITER_C;
        if (!cell || s->gates == 4) give(b, fresh[i], keep(s, asked(d, fresh[i])));
    }
    give(b, DNNL_ARG_WEIGHTS_LAYER, reordered(s, W, Wd, asked(d, DNNL_ARG_WEIGHTS_LAYER)));
    give(b, DNNL_ARG_WEIGHTS_ITER, reordered(s, U, Ud, asked(d, DNNL_ARG_WEIGHTS_ITER)));
    give(b, DNNL_ARG_DIFF_WEIGHTS_LAYER, s->dW = keep(s, asked(d, DNNL_ARG_DIFF_WEIGHTS_LAYER)));
    give(b, DNNL_ARG_DIFF_WEIGHTS_ITER, s->dU = keep(s, asked(d, DNNL_ARG_DIFF_WEIGHTS_ITER)));
    give(b, DNNL_ARG_DIFF_DST_LAYER, s->dh = keep(s, asked(d, DNNL_ARG_DIFF_DST_LAYER)));
    must(s, dnnl_primitive_create(&b->p, d));
}

static void wire(Self *s) {
    const Problem *p = s->p;
    int64_t L = p->layers, G = s->gates, H = p->H;
    dnnl_memory_desc_t W = plain(s, 5, (int64_t[]){L, 1, p->I, G, H}, dnnl_ldigo), U = plain(s, 5, (int64_t[]){L, 1, H, G, H}, dnnl_ldigo);
    Descs d = {.x = plain(s, 3, (int64_t[]){p->T, p->B, p->I}, dnnl_tnc), .y = plain(s, 3, (int64_t[]){p->T, p->B, H}, dnnl_tnc),
               .h0 = plain(s, 4, (int64_t[]){L, 1, p->B, H}, dnnl_ldnc), .b = plain(s, 4, (int64_t[]){L, 1, s->biases, H}, dnnl_ldgo),
               .W = plain(s, 5, (int64_t[]){L, 1, p->I, G, H}, dnnl_format_tag_any),
               .U = plain(s, 5, (int64_t[]){L, 1, H, G, H}, dnnl_format_tag_any)};
    describe(s, &d);
    if (s->broken) return;
    float *w = weights(s, 'W', p->I), *u = weights(s, 'U', H), *b = biases(s), *x = time_first(p->x, p->B, p->T, p->I);
    Primitive *f = &s->forward;
    dnnl_memory_t plain_W = filled(s, &W, w), plain_U = filled(s, &U, u);
    give(f, DNNL_ARG_SRC_LAYER, filled(s, &d.x, x));
    give(f, DNNL_ARG_SRC_ITER, keep(s, &d.h0));
    give(f, DNNL_ARG_WEIGHTS_LAYER, reordered(s, plain_W, &W, asked(s->forward_desc, DNNL_ARG_WEIGHTS_LAYER)));
    give(f, DNNL_ARG_WEIGHTS_ITER, reordered(s, plain_U, &U, asked(s->forward_desc, DNNL_ARG_WEIGHTS_ITER)));
    give(f, DNNL_ARG_BIAS, filled(s, &d.b, b));
    give(f, DNNL_ARG_DST_LAYER, s->h = keep(s, asked(s->forward_desc, DNNL_ARG_DST_LAYER)));
    give(f, DNNL_ARG_DST_ITER, keep(s, &d.h0));
    if (G == 4) {
        give(f, DNNL_ARG_SRC_ITER_C, keep(s, &d.h0));
        give(f, DNNL_ARG_DST_ITER_C, keep(s, &d.h0));
    }
    if (p->mode == TRAIN) give(f, DNNL_ARG_WORKSPACE, keep(s, asked(s->forward_desc, DNNL_ARG_WORKSPACE)));
    if (!s->broken) must(s, dnnl_primitive_create(&f->p, s->forward_desc));
    if (!s->broken && p->mode == TRAIN) wire_backward(s, plain_W, &W, plain_U, &U);
    free(w), free(u), free(b), free(x);
}

static void execute(Self *s, const Primitive *p) {
    must(s, dnnl_primitive_execute(p->p, s->stream, p->n, p->arg));
    must(s, dnnl_stream_wait(s->stream));
}

static void zero(Self *s, dnnl_memory_t m, int64_t n) {
    memset(data_of(s, m), 0, (size_t)n * sizeof(float));
}

static bool go(void *arg) {
    Self *s = arg;
    const Problem *p = s->p;
    execute(s, &s->forward);
    if (p->mode != TRAIN || s->broken) return !s->broken;
    int64_t n = p->T * p->B * p->H;
    const float *h = data_of(s, s->h);
    float *dh = data_of(s, s->dh), scale = 2.0F / (float)n;
    double loss = 0;
    for (int64_t i = 0; i < n; i++) {
        float e = h[i] - s->y[i];
        loss += (double)(e * e);
        dh[i] = scale * e;
    }
    s->loss = loss / (double)n;
    zero(s, s->dW, p->layers * p->I * s->gates * p->H); /* the library adds to what is there */
    zero(s, s->dU, p->layers * p->H * s->gates * p->H);
    execute(s, &s->backward);
    return !s->broken;
}

/* The norm does not depend on the layout. */
static double norm(Self *s, dnnl_memory_t m, int arg) {
    int64_t n = (int64_t)(dnnl_memory_desc_get_size(asked(s->backward_desc, arg)) / sizeof(float));
    return mean_square(data_of(s, m), n) * (double)n;
}

static void onednn_end(void *self) {
    Self *s = self;
    if (s->forward.p) dnnl_primitive_destroy(s->forward.p);
    if (s->backward.p) dnnl_primitive_destroy(s->backward.p);
    if (s->forward_desc) dnnl_primitive_desc_destroy(s->forward_desc);
    if (s->backward_desc) dnnl_primitive_desc_destroy(s->backward_desc);
    for (int i = 0; i < s->nmemory; i++) dnnl_memory_destroy(s->memory[i]);
    if (s->stream) dnnl_stream_destroy(s->stream);
    if (s->engine) dnnl_engine_destroy(s->engine);
    free(s->y);
    free(s);
}

static void *onednn_make(const Problem *p, Times *t) {
    Self *s = calloc(1, sizeof *s);
    s->p = p;
    bool lstm = is(s, "lstm") || is(s, "lstm2");
    s->gates = lstm ? 4 : is(s, "gru") ? 3 : 1;
    s->biases = is(s, "gru") ? 4 : s->gates;
    if ((p->mode != FORWARD && p->mode != TRAIN) || (!lstm && !is(s, "gru") && !is(s, "rnn")) || (p->layers > 1 && p->I != p->H)) {
        free(s);
        return NULL;
    }
    must(s, dnnl_engine_create(&s->engine, dnnl_cpu, 0));
    if (!s->broken) must(s, dnnl_stream_create(&s->stream, s->engine, dnnl_stream_default_flags));
    s->y = time_first(p->y, p->B, p->T, p->H);
    if (!s->broken) wire(s);
    if (s->broken || !go(s)) {
        snprintf(t->note, sizeof t->note, "oneDNN refused");
        onednn_end(s);
        return NULL;
    }
    const char *impl = "";
    dnnl_primitive_desc_query(s->forward_desc, dnnl_query_impl_info_str, 0, &impl);
    const dnnl_version_t *v = dnnl_version();
    snprintf(t->note, sizeof t->note, "oneDNN %d.%d.%d, %s, weights reordered before timing%s", v->major, v->minor, v->patch, impl,
             p->mode == TRAIN ? ", loss by a C loop" : "");
    t->value = p->mode == TRAIN ? s->loss : mean_square(data_of(s, s->h), p->T * p->B * p->H);
    if (p->mode == TRAIN) t->gnorm = sqrt(norm(s, s->dW, DNNL_ARG_DIFF_WEIGHTS_LAYER) + norm(s, s->dU, DNNL_ARG_DIFF_WEIGHTS_ITER));
    return s;
}

static bool onednn_run(void *self, double seconds, Times *t) {
    return bench_time(go, self, 1, seconds, t);
}

const Contestant onednn_contestant = {"onednn", onednn_make, onednn_run, onednn_end};
