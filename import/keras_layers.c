/* keras_layers: Keras's layers as text (keras.io/api/layers). Kernels lie as [inputs, gates * units], recurrent kernels as
   [units, gates * units]; gates in the order i, f, c, o (LSTM) and z, r, h (GRU, whose z keeps the old state). */
#include <math.h>
#include <string.h>

#include "import/keras.h"

bool keras_refuse(Keras *k, const KLayer *l, const char *fmt, ...) {
    Str s = str_make(k->w.a);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    return import_refuse(k->w.ctx, k->w.what, arena_printf(k->w.a, "layer '%.80s' (%.60s)", l->name, l->cls), "%s", s.at);
}

/* The next weight; it has to have these dims (0: no such dim). NULL with a diagnostic. */
static const double *weight(Keras *k, KLayer *l, const char *what, int64_t d0, int64_t d1) {
    const Array *x = l->taken < l->weight.n ? &l->weight.at[l->taken] : NULL;
    int rank = d1 ? 2 : 1;
    if (x && x->rank == rank && x->dim[0] == d0 && (rank == 1 || x->dim[1] == d1)) {
        l->taken++;
        return x->data;
    }
    const char *want =
        d1 ? arena_printf(k->w.a, "[%lld, %lld]", (long long)d0, (long long)d1) : arena_printf(k->w.a, "[%lld]", (long long)d0);
    diag_error(k->w.ctx, 652, NOWHERE, "%s: layer '%.80s' (%.60s): its %s %s %s", k->w.what, l->name, l->cls, what,
               x ? "should have the dims" : "is missing; it has the dims", want);
    return NULL;
}

/* A size of the config. 0 with a diagnostic. */
static int64_t size_of(Keras *k, const KLayer *l, const Json *c, const char *key) {
    double v = json_number_of(c, key, 0);
    if (v >= 1 && v <= 1 << 20 && v == floor(v)) return (int64_t)v;
    keras_refuse(k, l, "'%s' is missing or no size", key);
    return 0;
}

static const char *activation(Keras *k, const KLayer *l, const Json *c, const char *key, const char *otherwise) {
    const Json *j = json_get(c, key);
    const char *name =
        j && j->kind == JSON_OBJECT_ ? json_text(j, "config", json_text(j, "class_name", "?")) : json_text(c, key, otherwise);
    const char *fn = keras_activation(&k->w, name, k->version);
    if (!fn) keras_refuse(k, l, "there is no activation like Keras's '%.60s' in Rondo's library", name);
    return fn;
}

/* The features that an activation leaves of n. 0 with a diagnostic. */
static int64_t activated(Keras *k, const KLayer *l, const char *act, int64_t n) {
    if (strcmp(act, "glu") != 0) return n;
    if (n % 2) keras_refuse(k, l, "glu halves its features, here %lld", (long long)n);
    return n % 2 ? 0 : n / 2;
}

static bool one_input(Keras *k, KLayer *l, const KValue *in, uint32_t nin) {
    if (nin != 1) return keras_refuse(k, l, "it has %u inputs", (unsigned)nin);
    return !in[0].token || keras_refuse(k, l, "it computes with whole numbers; only an Embedding takes them");
}

static bool plain(Keras *k, KLayer *l, const KValue *in, const char *fmt, ...) PORT_PRINTF(4, 5);
static bool plain(Keras *k, KLayer *l, const KValue *in, const char *fmt, ...) {
    Str s = str_make(k->w.a);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    l->out[0] = *in;
    l->out[0].text = writer_name(&k->w, l->name);
    writer_line(&k->w, "%s = %s", l->out[0].text, s.at);
    return true;
}

static const char *number(Keras *k, double v) {
    Str s = str_make(k->w.a);
    if (v < 0) str_putc(&s, '(');
    str_double(&s, v);
    if (v < 0) str_putc(&s, ')');
    return s.at;
}

/* ---- layers without a state ---------------------------------------------------------------------------------------------- */

static bool dense(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    int64_t O = size_of(k, l, c, "units");
    const char *act = O ? activation(k, l, c, "activation", "linear") : NULL;
    const double *W = act ? weight(k, l, "kernel", in->n, O) : NULL, *b = NULL;
    if (!W || (json_flag(c, "use_bias", true) && !(b = weight(k, l, "bias", O, 0)))) return false;
    l->out[0] = (KValue){.seq = in->seq, .n = activated(k, l, act, O)};
    if (!l->out[0].n) return false;
    l->out[0].text = dense_write(&k->w, l->name, O, in->n, transposed(k->w.a, W, in->n, O), b, act, in->text);
    return l->out[0].text != NULL;
}

static bool activation_layer(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    const char *f = activation(k, l, c, "activation", "linear");
    KValue v = *in;
    v.n = f ? activated(k, l, f, in->n) : 0;
    return v.n && plain(k, l, &v, "%s(%s)", f, in->text);
}

static bool relu(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    double most = json_number_of(c, "max_value", INFINITY), slope = json_number_of(c, "negative_slope", 0),
           from = json_number_of(c, "threshold", 0);
    if (slope == 0 && from == 0 && isinf(most)) return plain(k, l, in, "relu(%s)", in->text);
    const char *x = in->text, *t = number(k, from);
    const char *y = arena_printf(k->w.a, "where(%s >= %s, %s, %s * (%s - %s))", x, t, x, number(k, slope), x, t);
    return isinf(most) ? plain(k, l, in, "%s", y) : plain(k, l, in, "min(%s, %s)", y, number(k, most));
}

static bool leaky(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    double slope = json_number_of(c, "negative_slope", json_number_of(c, "alpha", 0.3));
    return plain(k, l, in, "where(%s > 0, %s, %s * %s)", in->text, in->text, number(k, slope), in->text);
}

static bool elu(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    return plain(k, l, in, "where(%s > 0, %s, %s * expm1(min(%s, 0)))", in->text, in->text,
                 number(k, json_number_of(c, "alpha", 1)), in->text);
}

static bool prelu(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    (void)c;
    if (l->weight.n != 1 || array_count(&l->weight.at[0]) != in->n)
        return keras_refuse(k, l, "its slopes differ from step to step");
    l->taken++;
    const char *a = writer_param(&k->w, "alpha", 1, &in->n, l->weight.at[0].data);
    return a && plain(k, l, in, "where(%s > 0, %s, %s * %s)", in->text, in->text, a, in->text);
}

static bool softmax(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    if (json_number_of(c, "axis", -1) != -1) return keras_refuse(k, l, "only axis -1 is read");
    return plain(k, l, in, "softmax(%s)", in->text);
}

static bool dropout(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    double rate = json_number_of(c, "rate", 0);
    if (!(rate >= 0 && rate < 1)) return keras_refuse(k, l, "its rate is not between 0 and 1");
    bool whole = !strcmp(l->cls, "SpatialDropout1D");
    return plain(k, l, in, "%s[rate = %s](%s)", whole ? "dropout_sequence" : "dropout", number(k, rate), in->text);
}

static bool nothing(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    (void)c;
    l->out[0] = *in;
    if (!strcmp(l->cls, "Masking"))
        writer_note(&k->w, "layer '%s' (Masking) is left out: give the lengths of the sequences with the data", l->name);
    else if (strcmp(l->cls, "Identity"))
        writer_note(&k->w, "layer '%s' (%s) does nothing but in training, and is left out", l->name, l->cls);
    return true;
}

static bool rescaling(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    return plain(k, l, in, "%s * %s + %s", in->text, number(k, json_number_of(c, "scale", 1)),
                 number(k, json_number_of(c, "offset", 0)));
}

static bool last_axis(const Json *c, const KValue *in) {
    const Json *j = json_get(c, "axis");
    double v = !j ? -1 : j->kind == JSON_NUMBER_ ? j->number : j->kind == JSON_LIST_ && j->n == 1 ? j->item[0].number : 0;
    return v == -1 || v == (in->seq ? 2 : 1);
}

static bool unit_norm(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    if (!last_axis(c, in)) return keras_refuse(k, l, "only the last axis is read");
    return plain(k, l, in, "%s / max(norm(%s), 1e-12)", in->text, in->text);
}

static bool layer_norm(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    if (!last_axis(c, in) || json_flag(c, "rms_scaling", false))
        return keras_refuse(k, l, "only the last axis, with mean and variance, is read");
    double *one = NEW_N(k->w.a, double, in->n + 1), *zero = NEW_N(k->w.a, double, in->n + 1);
    for (int64_t i = 0; i < in->n; i++) one[i] = 1;
    const double *gain = one, *bias = zero;
    if (json_flag(c, "scale", true) && !(gain = weight(k, l, "gamma", in->n, 0))) return false;
    if (json_flag(c, "center", true) && !(bias = weight(k, l, "beta", in->n, 0))) return false;
    if (!plain(k, l, in, "layer_norm[eps = %s](%s)", number(k, json_number_of(c, "epsilon", 1e-3)), in->text)) return false;
    return writer_weight(&k->w, arena_printf(k->w.a, "%s.gain", l->out[0].text), 1, &in->n, gain) &&
           writer_weight(&k->w, arena_printf(k->w.a, "%s.bias", l->out[0].text), 1, &in->n, bias);
}

static bool rms_norm(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    if (!last_axis(c, in)) return keras_refuse(k, l, "only the last axis is read");
    const double *gain = weight(k, l, "scale", in->n, 0);
    return gain && plain(k, l, in, "rms_norm[eps = %s](%s)", number(k, json_number_of(c, "epsilon", 1e-6)), in->text) &&
           writer_weight(&k->w, arena_printf(k->w.a, "%s.gain", l->out[0].text), 1, &in->n, gain);
}

/* In use, batch statistics are constants: a scale and a shift. */
static bool batch_norm(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    const double *gamma = NULL, *beta = NULL, *mean, *var;
    double eps = json_number_of(c, "epsilon", 1e-3);
    if (!last_axis(c, in)) return keras_refuse(k, l, "only the last axis is read");
    if (json_flag(c, "scale", true) && !(gamma = weight(k, l, "gamma", in->n, 0))) return false;
    if (json_flag(c, "center", true) && !(beta = weight(k, l, "beta", in->n, 0))) return false;
    if (!(mean = weight(k, l, "moving mean", in->n, 0)) || !(var = weight(k, l, "moving variance", in->n, 0))) return false;
    double *scale = NEW_N(k->w.a, double, in->n + 1), *shift = NEW_N(k->w.a, double, in->n + 1);
    for (int64_t i = 0; i < in->n; i++) {
        scale[i] = (gamma ? gamma[i] : 1) / sqrt(var[i] + eps);
        shift[i] = (beta ? beta[i] : 0) - mean[i] * scale[i];
    }
    writer_note(&k->w, "layer '%s' (BatchNormalization) is the scale and shift of its moving statistics", l->name);
    const char *s = writer_param(&k->w, arena_printf(k->w.a, "%s_scale", l->name), 1, &in->n, scale);
    const char *t = s ? writer_param(&k->w, arena_printf(k->w.a, "%s_shift", l->name), 1, &in->n, shift) : NULL;
    return t && plain(k, l, in, "%s * %s + %s", s, in->text, t);
}

static bool flatten(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    (void)c;
    if (in->seq) return keras_refuse(k, l, "it would make features of the steps, whose number is not fixed");
    l->out[0] = *in;
    return true;
}

static bool pooling(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    if (!in->seq || json_flag(c, "keepdims", false) || !strcmp(json_text(c, "data_format", ""), "channels_first"))
        return keras_refuse(k, l, "it works on something else than the steps of a sequence");
    if (!plain(k, l, in, "%s.%s", in->text, strstr(l->cls, "Max") ? "max" : "mean")) return false;
    l->out[0].seq = false;
    return true;
}

/* A number that Keras writes as 3 or [3]. */
static int64_t whole(const Json *c, const char *key, int64_t otherwise) {
    const Json *j = json_get(c, key);
    if (j && j->kind == JSON_LIST_ && j->n == 1) j = &j->item[0];
    double v = j && j->kind == JSON_NUMBER_ ? j->number : j ? -1 : (double)otherwise;
    return v >= 1 && v <= 10000 && v == floor(v) ? (int64_t)v : -1;
}

/* A causal convolution is a product with each of the steps it reaches back to. */
static bool conv(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    int64_t O = size_of(k, l, c, "filters"), K = whole(c, "kernel_size", 1), D = whole(c, "dilation_rate", 1);
    if (!O) return false;
    if (!in->seq || K < 1 || D < 1 || whole(c, "strides", 1) != 1 || whole(c, "groups", 1) != 1 ||
        (K > 1 && strcmp(json_text(c, "padding", "valid"), "causal")) ||
        !strcmp(json_text(c, "data_format", ""), "channels_first"))
        return keras_refuse(k, l, "only causal convolutions over the steps, without strides and groups, are read");
    const char *act = activation(k, l, c, "activation", "linear");
    const Array *W = l->weight.n > l->taken ? &l->weight.at[l->taken++] : NULL;
    if (!act) return false;
    if (!W || W->rank != 3 || W->dim[0] != K || W->dim[1] != in->n || W->dim[2] != O) {
        diag_error(k->w.ctx, 652, NOWHERE,
                   "%s: layer '%.80s' (%.60s): its kernel is missing or has other dims than [%lld, %lld, %lld]", k->w.what,
                   l->name, l->cls, (long long)K, (long long)in->n, (long long)O);
        return false;
    }
    const double *b = json_flag(c, "use_bias", true) ? weight(k, l, "bias", O, 0) : NEW_N(k->w.a, double, O);
    Str s = str_make(k->w.a);
    for (int64_t i = 0; b && i < K; i++) {
        int64_t back = (K - 1 - i) * D;
        const double *tap = transposed(k->w.a, (const double *)W->data + i * in->n * O, in->n, O);
        const char *name =
            writer_param(&k->w, arena_printf(k->w.a, "%.50s_W%lld", l->name, (long long)i), 2, (int64_t[]){O, in->n}, tap);
        if (!name) return false;
        if (back)
            str_printf(&s, "%s @ shift(%s, %lld) + ", name, in->text, (long long)back);
        else
            str_printf(&s, "%s @ %s + ", name, in->text);
    }
    const char *bias = b ? writer_param(&k->w, arena_printf(k->w.a, "%.50s_b", l->name), 1, &O, b) : NULL;
    KValue v = {.seq = true, .n = activated(k, l, act, O)};
    return bias && v.n && plain(k, l, &v, "%s(%s%s)", act, s.at, bias);
}

/* ---- recurrent layers ---------------------------------------------------------------------------------------------------- */

typedef struct {
    RnnKind kind;
    bool sequences, state, backwards, reset_after, bias;
    int64_t H;
    const char *act, *gate;
} Recurrent;

static bool recurrent_kind(const char *cls, RnnKind *kind) {
    *kind = RNN_SIMPLE;
    if (!strcmp(cls, "SimpleRNN") || !strcmp(cls, "SimpleRNNCell")) return true;
    *kind = RNN_LSTM;
    if (!strcmp(cls, "LSTM") || !strcmp(cls, "LSTMCell")) return true;
    *kind = RNN_GRU;
    return !strcmp(cls, "GRU") || !strcmp(cls, "GRUCell");
}

const Json *keras_stacked_cells(const Json *config) {
    const Json *cell = json_get(config, "cell"), *cells = json_get(json_get(cell, "config"), "cells");
    bool stacked = cell && !strcmp(json_text(cell, "class_name", "?"), "StackedRNNCells");
    return stacked && cells && cells->kind == JSON_LIST_ && cells->n ? cells : NULL;
}

/* cell: of RNN(LSTMCell(..)); NULL: the layer is the cell. */
static bool read_recurrent(Keras *k, KLayer *l, const char *cls, const Json *c, const Json *cell, Recurrent *r) {
    const Json *own = cell ? json_get(cell, "config") : c;
    if (!recurrent_kind(cell ? json_text(cell, "class_name", "?") : cls, &r->kind))
        return keras_refuse(k, l, "its cell is not one of Keras's own");
    r->sequences = json_flag(c, "return_sequences", false);
    r->state = json_flag(c, "return_state", false);
    r->backwards = json_flag(c, "go_backwards", false);
    r->reset_after = r->kind == RNN_GRU && json_flag(own, "reset_after", cell != NULL && k->version >= 3);
    r->bias = json_flag(own, "use_bias", true);
    r->H = size_of(k, l, own, "units");
    if (!r->H || !(r->act = activation(k, l, own, "activation", "tanh"))) return false;
    if (!(r->gate = activation(k, l, own, "recurrent_activation", k->version >= 3 ? "sigmoid" : "hard_sigmoid"))) return false;
    if (json_flag(c, "time_major", false)) return keras_refuse(k, l, "time_major is not read");
    if (json_flag(c, "stateful", false))
        writer_note(&k->w, "layer '%s' is stateful: give the final states of a run as the initial ones of the next (init/..)",
                    l->name);
    if (json_number_of(own, "dropout", 0) > 0 || json_number_of(own, "recurrent_dropout", 0) > 0)
        writer_note(&k->w, "layer '%s' drops inputs or states of its cell in training: left out", l->name);
    return true;
}

/* Columns [g H, (g + 1) H) of a [rows, gates H] matrix, as [H, rows]. */
static const double *gate_of(Arena *a, const double *m, int64_t rows, int64_t cols, int64_t H, int g) {
    double *v = NEW_N(a, double, rows *H + 1);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t h = 0; h < H; h++) v[h * rows + i] = m[i * cols + g * H + h];
    return v;
}

static const char *one_direction(Keras *k, KLayer *l, const Recurrent *r, const char *wanted, const char *x, int64_t I,
                                 const char *h, const char *c) {
    Arena *a = k->w.a;
    int G = rnn_gates(r->kind);
    int64_t H = r->H, cols = G * H;
    const double *W = weight(k, l, "kernel", I, cols), *U = W ? weight(k, l, "recurrent kernel", H, cols) : NULL, *b = NULL;
    if (!U ||
        (r->bias && !(b = r->reset_after ? weight(k, l, "bias (of input and state)", 2, cols) : weight(k, l, "bias", cols, 0))))
        return NULL;
    Rnn out = {.kind = r->kind,
               .H = H,
               .I = I,
               .gate = r->gate,
               .act = r->act,
               .out = r->act,
               .reset_after = r->reset_after,
               .h = h,
               .c = c};
    for (int g = 0; g < G; g++) {
        out.W[g] = gate_of(a, W, I, cols, H, g);
        out.U[g] = gate_of(a, U, H, cols, H, g);
        if (!b) continue;
        double *sum = NEW_N(a, double, H + 1);
        bool inner = r->reset_after && g == GATE_N;
        for (int64_t i = 0; i < H; i++) sum[i] = b[g * H + i] + (r->reset_after && !inner ? b[cols + g * H + i] : 0);
        out.b[g] = sum;
        if (inner) out.bn = b + cols + g * H;
    }
    out.order = r->kind == RNN_LSTM  ? "i, f, c, o"
                : r->kind == RNN_GRU ? (r->reset_after ? "z, r, h; reset_after" : "z, r, h; reset before the product")
                                     : NULL;
    return rnn_write(&k->w, wanted, &out, x);
}

static bool recurrent(Keras *k, KLayer *l, const Json *c, const KValue *in, uint32_t nin) {
    const Json *cell = json_get(c, "cell"), *stack = keras_stacked_cells(c);
    const char *x = in[0].text, *name = NULL;
    int64_t I = in[0].n;
    uint32_t states = 1, n = stack ? stack->n : 1;
    Recurrent r = {.H = 0};
    for (uint32_t j = 0; j < n; j++) {
        if (!read_recurrent(k, l, l->cls, c, stack ? &stack->item[j] : cell, &r)) return false;
        states = r.kind == RNN_LSTM ? 2 : 1;
        if (!in[0].seq || in[0].token || (nin != 1 && nin != 1 + states))
            return keras_refuse(k, l, "its input is no sequence of numbers, with or without initial states");
        if (n > 1 && (nin > 1 || r.state)) return keras_refuse(k, l, "the states of stacked cells are not read or returned");
        for (uint32_t i = 1; i < nin; i++)
            if (in[i].seq || in[i].n != r.H) return keras_refuse(k, l, "an initial state does not fit");
        if (j == 0 && r.backwards) x = arena_printf(k->w.a, "reverse(%s)", x);
        name = j + 1 < n ? arena_printf(k->w.a, "%.50s_%u", l->name, (unsigned)j) : l->name;
        name = one_direction(k, l, &r, name, x, I, nin > 1 ? in[1].text : NULL, nin > 2 ? in[2].text : NULL);
        if (!name) return false;
        x = name, I = r.H;
    }
    l->out[0] = (KValue){.seq = r.sequences, .n = r.H, .text = r.sequences ? name : arena_printf(k->w.a, "%s.last", name)};
    for (uint32_t i = 0; r.state && i < states; i++)
        l->out[1 + i] = (KValue){.n = r.H, .text = arena_printf(k->w.a, "%s.%c'.last", name, "hc"[i])};
    return true;
}

static bool bidirectional(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    static const char *const mode[] = {"concat", "sum", "mul", "ave"};
    static const char *const form[] = {"[%s, %s]", "%s + %s", "%s * %s", "0.5 * (%s + %s)"};
    const Json *inner = json_get(c, "layer"), *back = json_get(c, "backward_layer");
    const Json *config = json_get(inner, "config");
    const char *merge = json_text(c, "merge_mode", "concat"), *name[2];
    Recurrent r, rb;
    size_t m = 0;
    while (m < 4 && strcmp(mode[m], merge)) m++;
    if (m == 4 || !config) return keras_refuse(k, l, "merge_mode '%.40s' is not read, or there is no layer in it", merge);
    if (!read_recurrent(k, l, json_text(inner, "class_name", "?"), config, json_get(config, "cell"), &r)) return false;
    rb = r;
    config = json_get(back, "config");
    if (back && !read_recurrent(k, l, json_text(back, "class_name", "?"), config, json_get(config, "cell"), &rb)) return false;
    if (r.backwards || r.state || rb.H != r.H || rb.sequences != r.sequences || (back && !rb.backwards) || !in->seq)
        return keras_refuse(k, l, "its two directions differ in size, go the wrong way or return states");
    name[0] = one_direction(k, l, &r, arena_printf(k->w.a, "%.50s_forth", l->name), in->text, in->n, NULL, NULL);
    name[1] = name[0] ? one_direction(k, l, &rb, arena_printf(k->w.a, "%.50s_back", l->name),
                                      arena_printf(k->w.a, "reverse(%s)", in->text), in->n, NULL, NULL)
                      : NULL;
    if (!name[1]) return false;
    const char *a = r.sequences ? name[0] : arena_printf(k->w.a, "%s.last", name[0]);
    const char *b = arena_printf(k->w.a, r.sequences ? "reverse(%s)" : "%s.last", name[1]);
    Str s = str_make(k->w.a);
    for (const char *p = form[m], *next = a; *p; p++) {
        if (*p == '%')
            str_put(&s, next), next = b, p++;
        else
            str_putc(&s, *p);
    }
    KValue v = {.seq = r.sequences, .n = m == 0 ? 2 * r.H : r.H};
    return plain(k, l, &v, "%s", s.at);
}

/* ---- several inputs ------------------------------------------------------------------------------------------------------ */

static bool merge(Keras *k, KLayer *l, const Json *c, const KValue *in, uint32_t nin) {
    static const struct {
        const char *cls, *start, *between, *end;
    } kind[] = {{"Concatenate", "[", ", ", "]"}, {"Add", "", " + ", ""},       {"Subtract", "", " - ", ""},
                {"Multiply", "", " * ", ""},     {"Average", "(", " + ", ")"}, {"Maximum", "max(", ", ", ")"},
                {"Minimum", "min(", ", ", ")"}};
    size_t m = 0;
    while (strcmp(kind[m].cls, l->cls)) m++;
    KValue v = in[0];
    Str s = str_make(k->w.a);
    if (nin < 2 || (m >= 5 && nin > 2)) return keras_refuse(k, l, "it has %u inputs", (unsigned)nin);
    if (m == 0 && !last_axis(c, &v)) return keras_refuse(k, l, "only features are joined, along axis -1");
    str_put(&s, kind[m].start);
    for (uint32_t i = 0; i < nin; i++) {
        if (in[i].token || in[i].seq != in[0].seq || (m && in[i].n != in[0].n))
            return keras_refuse(k, l, "its inputs have different dims");
        if (i && m == 0) v.n += in[i].n;
        str_printf(&s, "%s%s", i ? kind[m].between : "", in[i].text);
    }
    str_put(&s, kind[m].end);
    if (m == 4) str_printf(&s, " / %u", (unsigned)nin);
    return plain(k, l, &v, "%s", s.at);
}

/* ---- the table ----------------------------------------------------------------------------------------------------------- */

typedef bool (*LayerFn)(Keras *k, KLayer *l, const Json *c, const KValue *in);
static const struct {
    const char *cls;
    LayerFn fn;
} layers[] = {
    {"Dense", dense},
    {"Conv1D", conv},
    {"Activation", activation_layer},
    {"ReLU", relu},
    {"LeakyReLU", leaky},
    {"ELU", elu},
    {"PReLU", prelu},
    {"Softmax", softmax},
    {"UnitNormalization", unit_norm},
    {"Dropout", dropout},
    {"SpatialDropout1D", dropout},
    {"GaussianNoise", nothing},
    {"GaussianDropout", nothing},
    {"AlphaDropout", nothing},
    {"ActivityRegularization", nothing},
    {"Masking", nothing},
    {"Identity", nothing},
    {"Rescaling", rescaling},
    {"LayerNormalization", layer_norm},
    {"RMSNormalization", rms_norm},
    {"BatchNormalization", batch_norm},
    {"Flatten", flatten},
    {"GlobalAveragePooling1D", pooling},
    {"GlobalMaxPooling1D", pooling},
    {"Bidirectional", bidirectional},
};

static LayerFn find_layer(const char *cls) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (!strcmp(layers[i].cls, cls)) return layers[i].fn;
    return NULL;
}

static bool embedding(Keras *k, KLayer *l, const Json *c, const KValue *in, uint32_t nin) {
    int64_t V = size_of(k, l, c, "input_dim"), D = V ? size_of(k, l, c, "output_dim") : 0;
    KLayer *from = l->in.n == 1 ? &k->layer.at[l->in.at[0].layer] : NULL;
    if (!D) return false;
    if (nin != 1 || !in[0].token || !from || !from->is_input || (from->vocab && from->vocab != V))
        return keras_refuse(k, l, "its input is no input of the model, or also one of another table");
    from->vocab = V;
    const double *E
    = weight(k, l, "table", V, D);
    if (!E) return false;
    if (json_flag(c, "mask_zero", false))
        writer_note(&k->w, "layer '%s' has mask_zero: give the lengths of the sequences with the data, padding at their ends",
                    l->name);
    KValue v = {.seq = in[0].seq, .n = D};
    return plain(k, l, &v, "embedding[%lld, %lld](%s)", (long long)V, (long long)D, in[0].text) &&
           writer_weight(&k->w, arena_printf(k->w.a, "%s.E", l->out[0].text), 2, (int64_t[]){V, D}, E);
}

static bool time_distributed(Keras *k, KLayer *l, const Json *c, const KValue *in) {
    const Json *inner = json_get(c, "layer"), *config = json_get(inner, "config");
    const char *cls = json_text(inner, "class_name", "?"), *outer = l->cls;
    LayerFn fn = find_layer(cls);
    if (!in->seq || !config || !fn || fn == bidirectional || fn == conv || fn == pooling || fn == flatten)
        return keras_refuse(k, l, "a '%.60s' at each step has no counterpart in Rondo", cls);
    l->cls = cls;
    bool ok = fn(k, l, config, in);
    l->cls = outer;
    return ok;
}

bool keras_layer(Keras *k, KLayer *l, const KValue *in, uint32_t nin) {
    static const char *const merges[] = {"Concatenate", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"};
    RnnKind kind;
    LayerFn fn = find_layer(l->cls);
    bool ok;
    if (nin < 1) return keras_refuse(k, l, "it has no input");
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        if (!strcmp(merges[i], l->cls)) return merge(k, l, l->config, in, nin);
    if (!strcmp(l->cls, "Embedding"))
        ok = embedding(k, l, l->config, in, nin);
    else if (recurrent_kind(l->cls, &kind) || !strcmp(l->cls, "RNN"))
        ok = recurrent(k, l, l->config, in, nin);
    else if (!strcmp(l->cls, "TimeDistributed"))
        ok = one_input(k, l, in, nin) && time_distributed(k, l, l->config, in);
    else if (fn)
        ok = one_input(k, l, in, nin) && fn(k, l, l->config, in);
    else
        return keras_refuse(k, l, "Rondo's importer does not know this layer");
    if (!ok || l->taken == l->weight.n) return ok;
    diag_error(k->w.ctx, 652, NOWHERE, "%s: layer '%.80s' (%.60s): there are %u weights, it has %u", k->w.what, l->name, l->cls,
               (unsigned)l->weight.n, (unsigned)l->taken);
    return false;
}
