/* rnn: recurrent layers and their activations as text. A layer that std has is a call of std's cell; any other gets a cell of its
   own in the file, with the same names for its weights. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "import/internal.h"

/* ---- activations --------------------------------------------------------------------------------------------------------- */

/* Activations of the ONNX operators RNN, GRU and LSTM (onnx.ai/onnx/operators, attribute `activations`). */
static const struct {
    const char *name, *plain; /* std's function for the defaults; NULL: none */
    double alpha, beta;       /* defaults; NAN: takes none */
    const char *form;         /* with A and B for alpha and beta */
} onnx_act[] = {
    {"relu", "relu", NAN, NAN, NULL},
    {"tanh", "tanh", NAN, NAN, NULL},
    {"sigmoid", "sigmoid", NAN, NAN, NULL},
    {"softsign", "softsign", NAN, NAN, NULL},
    {"softplus", "softplus", NAN, NAN, NULL},
    {"affine", "linear", 1, 0, "A * x + B"},
    {"leakyrelu", "leaky_relu", 0.01, NAN, "where(x > 0, x, A * x)"},
    {"thresholdedrelu", NULL, 1, NAN, "where(x > A, x, 0)"},
    {"scaledtanh", NULL, 1, 1, "A * tanh(B * x)"},
    {"hardsigmoid", "hard_sigmoid", 0.2, 0.5, "min(max(A * x + B, 0), 1)"},
    {"elu", "elu", 1, NAN, "where(x > 0, x, A * expm1(min(x, 0)))"},
};

static int onnx_find(const char *name) {
    for (size_t k = 0; k < sizeof onnx_act / sizeof *onnx_act; k++) {
        const char *p = onnx_act[k].name, *q = name;
        while (*p && tolower((unsigned char)*q) == *p) p++, q++;
        if (!*p && !*q) return (int)k;
    }
    return -1;
}

bool onnx_activation_has(const char *name, bool *alpha, bool *beta) {
    int k = onnx_find(name);
    if (k < 0) return false;
    *alpha = !isnan(onnx_act[k].alpha);
    *beta = !isnan(onnx_act[k].beta);
    return true;
}

const char *onnx_activation(Writer *w, const char *name, double alpha, double beta) {
    int k = onnx_find(name);
    if (k < 0) return NULL;
    if (isnan(alpha)) alpha = onnx_act[k].alpha;
    if (isnan(beta)) beta = onnx_act[k].beta;
    bool plain = (float)alpha == (float)onnx_act[k].alpha || isnan(onnx_act[k].alpha);
    plain = plain && ((float)beta == (float)onnx_act[k].beta || isnan(onnx_act[k].beta));
    if (plain && onnx_act[k].plain) return onnx_act[k].plain;
    if (!isfinite(alpha) || (!isnan(beta) && !isfinite(beta))) return NULL;
    Str s = str_make(w->a);
    str_put(&s, "(x) = ");
    for (const char *p = onnx_act[k].form; *p; p++) {
        if (*p == 'A' || *p == 'B') {
            double v = *p == 'A' ? alpha : beta;
            if (v < 0) str_putc(&s, '(');
            str_float(&s, (float)v);
            if (v < 0) str_putc(&s, ')');
        } else
            str_putc(&s, *p);
    }
    return writer_declare(w, arena_printf(w->a, "act_%s", onnx_act[k].name), NULL, "fn", s.at);
}

const char *keras_activation(Writer *w, const char *name, int version) {
    static const char *const pairs[][2] = {
        {"linear", "linear"},
        {"tanh", "tanh"},
        {"sigmoid", "sigmoid"},
        {"relu", "relu"},
        {"elu", "elu"},
        {"selu", "selu"},
        {"softplus", "softplus"},
        {"softsign", "softsign"},
        {"silu", "silu"},
        {"swish", "silu"},
        {"gelu", "gelu"},
        {"exponential", "exponential"},
        {"mish", "mish"},
        {"relu6", "relu6"},
        {"softmax", "softmax"},
        {"log_softmax", "log_softmax"},
        {"log_sigmoid", "log_sigmoid"},
        {"hard_tanh", "hard_tanh"},
        {"tanh_shrink", "tanh_shrink"},
        {"celu", "celu"},
        {"hard_silu", "hard_silu"},
        {"hard_swish", "hard_silu"},
        {"hard_shrink", "hard_shrink"},
        {"soft_shrink", "soft_shrink"},
        {"threshold", "threshold"},
        {"squareplus", "squareplus"},
        {"sparse_plus", "sparse_plus"},
        {"sparse_sigmoid", "sparse_sigmoid"},
        {"glu", "glu"},
    };
    if (!strcmp(name, "hard_sigmoid")) return version >= 3 ? "hard_sigmoid6" : "hard_sigmoid";
    if (!strcmp(name, "leaky_relu")) return writer_declare(w, "leaky_relu_02", NULL, "fn", "(x) = where(x > 0, x, 0.2 * x)");
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        if (!strcmp(pairs[k][0], name)) return pairs[k][1];
    return NULL;
}

/* ---- layers -------------------------------------------------------------------------------------------------------------- */

int rnn_gates(RnnKind k) { return k == RNN_LSTM ? 4 : k == RNN_GRU ? 3 : 1; }

char rnn_state(const Rnn *r) { return r->P ? 'r' : 'h'; }

static const char *const letter[3][4] = {{""}, {"z", "r", "n"}, {"i", "f", "g", "o"}};

/* What goes into an activation, with the clip around it. */
static void put_in(Str *s, const Rnn *r, const char *act, const char *sum) {
    if (r->clip > 0) {
        str_printf(s, "%s(clip(%s, -", act, sum);
        str_float(s, (float)r->clip);
        str_put(s, ", ");
        str_float(s, (float)r->clip);
        str_put(s, "))");
    } else
        str_printf(s, "%s(%s)", act, sum);
}

static void put_gate(Str *s, const Rnn *r, const char *left, const char *act, const char *sum) {
    str_printf(s, "    %s = ", left);
    put_in(s, r, act, sum);
    str_putc(s, '\n');
}

/* Matrices and biases of the gates named by `gates`, one letter each. */
static void put_params(Str *s, const char *gates) {
    static const char *const type[] = {"[H, I] = glorot_uniform", "[H, H] = glorot_uniform", "[H] = 0"};
    for (int m = 0; m < 3; m++) {
        str_put(s, "    param ");
        for (const char *g = gates; *g; g++) str_printf(s, "%s%c%c", g == gates ? "" : ", ", "WUb"[m], *g);
        str_printf(s, ": %s\n", type[m]);
    }
}

static void put_lstm(Str *s, const Rnn *r) {
    put_params(s, r->coupled ? "igo" : "ifgo");
    if (r->peephole) str_printf(s, "    param pi, %spo: [H] = 0\n", r->coupled ? "" : "pf, ");
    str_put(s, "    state h, c: [H] = 0\n");
    put_gate(s, r, "i", r->gate, r->peephole ? "Wi @ x + Ui @ h + pi * c + bi" : "Wi @ x + Ui @ h + bi");
    if (r->coupled)
        str_put(s, "    f = 1 - i\n");
    else
        put_gate(s, r, "f", r->gate, r->peephole ? "Wf @ x + Uf @ h + pf * c + bf" : "Wf @ x + Uf @ h + bf");
    put_gate(s, r, "g", r->act, "Wg @ x + Ug @ h + bg");
    str_put(s, "    c' = f * c + i * g\n");
    put_gate(s, r, "o", r->gate, r->peephole ? "Wo @ x + Uo @ h + po * c' + bo" : "Wo @ x + Uo @ h + bo");
    str_printf(s, "    h' = o * %s(c')\n", r->out);
}

static void put_gru(Str *s, const Rnn *r) {
    put_params(s, "zrn");
    if (r->reset_after) str_put(s, "    param cn: [H] = 0\n");
    str_put(s, "    state h: [H] = 0\n");
    put_gate(s, r, "z", r->gate, "Wz @ x + Uz @ h + bz");
    put_gate(s, r, "r", r->gate, "Wr @ x + Ur @ h + br");
    put_gate(s, r, "n", r->act, r->reset_after ? "Wn @ x + bn + r * (Un @ h + cn)" : "Wn @ x + Un @ (r * h) + bn");
    str_put(s, "    h' = z * h + (1 - z) * n\n");
}

static bool is_std(const Rnn *r) {
    if (r->clip > 0 || r->coupled) return false;
    return r->kind != RNN_LSTM || !strcmp(r->act, r->out);
}

/* The cell as it stands before the call's parentheses: "lstm[4, act = relu]". */
static const char *cell_text(Writer *w, const Rnn *r) {
    Str s = str_make(w->a);
    if (is_std(r)) {
        const char *name = r->kind == RNN_SIMPLE ? "simple_rnn"
                           : r->kind == RNN_GRU  ? (r->reset_after ? "gru" : "gru_v1")
                           : r->peephole         ? "lstm_peephole"
                           : r->P                ? "lstm_projected"
                                                 : "lstm";
        str_printf(&s, "%s[%lld", name, (long long)r->H);
        if (r->P) str_printf(&s, ", %lld", (long long)r->P);
        if (strcmp(r->act, "tanh")) str_printf(&s, ", act = %s", r->act);
        if (r->kind != RNN_SIMPLE && strcmp(r->gate, "sigmoid")) str_printf(&s, ", gate = %s", r->gate);
        str_putc(&s, ']');
        return s.at;
    }
    Str body = str_make(w->a);
    str_put(&body, "[H](x: [I]) {\n");
    if (r->kind == RNN_LSTM)
        put_lstm(&body, r);
    else if (r->kind == RNN_GRU)
        put_gru(&body, r);
    else {
        str_put(&body, "    param W: [H, I] = glorot_uniform\n    param U: [H, H] = glorot_uniform\n    param b: [H] = 0\n"
                       "    state h: [H] = 0\n");
        put_gate(&body, r, "h'", r->act, "W @ x + U @ h + b");
    }
    str_put(&body, "    return h'\n}\n");
    const char *kind = r->kind == RNN_LSTM ? "LSTM" : r->kind == RNN_GRU ? "GRU" : "RNN";
    Str why = str_make(w->a);
    str_printf(&why, "%s, not of std:", kind);
    if (r->clip > 0) {
        str_put(&why, " what enters an activation is clipped to +-");
        str_float(&why, (float)r->clip);
        str_putc(&why, ';');
    }
    if (r->coupled) str_put(&why, " the forget gate is 1 - i (input_forget);");
    if (r->kind == RNN_LSTM && strcmp(r->act, r->out))
        str_printf(&why, " %s for the candidate, %s for the cell state;", r->act, r->out);
    why.at[why.n - 1] = '.';
    const char *wanted = r->kind == RNN_LSTM ? "imported_lstm" : r->kind == RNN_GRU ? "imported_gru" : "imported_rnn";
    const char *name = writer_declare(w, wanted, why.at, "cell", body.at);
    str_printf(&s, "%s[%lld]", name, (long long)r->H);
    return s.at;
}

static bool put_weights(Writer *w, const char *name, const Rnn *r) {
    int64_t K = r->P ? r->P : r->H;
    const double *zero = NEW_N(w->a, double, r->H);
    for (int m = 0; m < 3; m++)
        for (int k = 0; k < rnn_gates(r->kind); k++) {
            if (r->kind == RNN_LSTM && r->coupled && k == GATE_F) continue;
            const char *full = arena_printf(w->a, "%s.%c%s", name, "WUb"[m], letter[r->kind][k]);
            const double *v = m == 0 ? r->W[k] : m == 1 ? r->U[k] : r->b[k] ? r->b[k] : zero;
            if (!writer_weight(w, full, m < 2 ? 2 : 1, (int64_t[]){r->H, m == 0 ? r->I : K}, v)) return false;
        }
    if (r->kind == RNN_GRU && r->reset_after &&
        !writer_weight(w, arena_printf(w->a, "%s.cn", name), 1, &r->H, r->bn ? r->bn : zero))
        return false;
    for (int k = 0; r->peephole && k < 3; k++)
        if (!(r->coupled && k == 1) &&
            !writer_weight(w, arena_printf(w->a, "%s.p%c", name, "ifo"[k]), 1, &r->H, r->p[k] ? r->p[k] : zero))
            return false;
    return !r->P || writer_weight(w, arena_printf(w->a, "%s.Wr", name), 2, (int64_t[]){r->P, r->H}, r->proj);
}

const char *rnn_write(Writer *w, const char *wanted, const Rnn *r, const char *x) {
    const char *name = writer_name(w, wanted), *cell = cell_text(w, r);
    Str s = str_make(w->a);
    str_printf(&s, "%s = %s(%s", name, cell, x);
    if (r->h) str_printf(&s, ", %c = %s", rnn_state(r), r->h);
    if (r->c) str_printf(&s, ", c = %s", r->c);
    str_putc(&s, ')');
    if (r->order) str_printf(&s, "  # gates in the source: %s", r->order);
    writer_line(w, "%s", s.at);
    return put_weights(w, name, r) ? name : NULL;
}
