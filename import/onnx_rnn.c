/* onnx_rnn: the operators RNN, GRU and LSTM (onnx.ai/onnx/operators). Gates lie in the order i, o, f, c (LSTM) and z, r, h (GRU);
   W [D, gates H, I], R [D, gates H, H], B [D, 2 gates H] with the biases of W before those of R, P [D, 3 H] in the order i, o, f. */
#include <math.h>
#include <string.h>

#include "import/onnx_graph.h"

typedef struct {
    RnnKind kind;
    int64_t H, I, D, G;
    bool reversed, batch_first;
    const double *W, *R, *B, *P; /* B, P: NULL if absent */
    const Value *X;
    const char *act[6]; /* functions, of both directions */
    double clip;
    bool coupled, reset_after;
} Layer;

/* A weight of the given dims; 0 for a dim: any. */
static bool weight(Onnx *o, const OnnxNode *n, uint32_t k, const char *what, int rank, int64_t d0, int64_t d1, int64_t d2,
                   const double **out) {
    const Value *v = onnx_in(o, n, k);
    *out = NULL;
    if (!v) return true;
    if (v->kind != VALUE_CONST) return onnx_refuse(o, "its %s is computed; Rondo's weights are constants", what);
    const int64_t want[] = {d0, d1, d2};
    bool fits = v->t.rank == rank;
    for (int i = 0; fits && i < rank; i++) fits = v->t.dim[i] == want[i];
    if (fits) return *out = v->t.v, true;
    diag_error(o->w.ctx, 652, NOWHERE, "%s: node '%.80s' (%s): its %s '%.80s' has other dims than [%lld, %lld%s", o->w.what,
               *n->name ? n->name : n->out[0], n->op, what, v->source, (long long)d0, (long long)d1,
               rank == 3 ? arena_printf(o->w.a, ", %lld]", (long long)d2) : "]");
    return false;
}

/* alpha and beta go to those activations, in order, that take one. */
static bool activations(Onnx *o, const OnnxNode *n, Layer *l) {
    static const char *const plain[3][3] = {{"Tanh"}, {"Sigmoid", "Tanh"}, {"Sigmoid", "Tanh", "Tanh"}};
    const OnnxAttr *names = onnx_attr(n, "activations"), *alpha = onnx_attr(n, "activation_alpha"),
                   *beta = onnx_attr(n, "activation_beta");
    uint32_t each = l->kind == RNN_LSTM ? 3 : l->kind == RNN_GRU ? 2 : 1, na = 0, nb = 0;
    uint32_t total = each * (uint32_t)l->D;
    if (names && names->ns && names->ns != total)
        return onnx_refuse(o, "it names %u activations, %u are needed", (unsigned)names->ns, (unsigned)total);
    for (uint32_t k = 0; k < total; k++) {
        const char *name = names && names->ns ? names->ss[k] : plain[l->kind][k % each];
        bool has_alpha, has_beta;
        if (!onnx_activation_has(name, &has_alpha, &has_beta)) return onnx_refuse(o, "there is no activation '%.60s'", name);
        double a = has_alpha && alpha && na < alpha->nf ? alpha->fs[na++] : NAN;
        double b = has_beta && beta && nb < beta->nf ? beta->fs[nb++] : NAN;
        l->act[k] = onnx_activation(&o->w, name, a, b);
        if (!l->act[k]) return onnx_refuse(o, "alpha or beta of its activation '%.60s' is not finite", name);
    }
    return true;
}

static bool direction(Onnx *o, const OnnxNode *n, Layer *l) {
    const OnnxAttr *d = onnx_attr(n, "direction");
    const char *s = d && d->s && *d->s ? d->s : "forward";
    l->D = strcmp(s, "bidirectional") == 0 ? 2 : 1;
    l->reversed = strcmp(s, "reverse") == 0;
    return l->D == 2 || l->reversed || !strcmp(s, "forward") || onnx_refuse(o, "there is no direction '%.40s'", s);
}

bool onnx_all_steps(Onnx *o) {
    o->without = true;
    return !o->lengths ||
           onnx_refuse(o, "it runs over the padding of sequences, which have lengths ('%.60s') elsewhere in the graph",
                       o->lengths);
}

/* The lengths of one node are those of all. */
static bool take_lengths(Onnx *o, const Value *len) {
    if (!len) return onnx_all_steps(o);
    if (len->kind != VALUE_LENGTHS) return onnx_refuse(o, "its lengths are fixed in the file; Rondo takes them with the data");
    if (o->without || (o->lengths && strcmp(o->lengths, len->source)))
        return onnx_refuse(o, "it has lengths ('%.60s'), but something else in the graph runs over all steps or has others",
                           len->source);
    o->lengths = len->source;
    return true;
}

static bool sequence(Onnx *o, const OnnxNode *n, Layer *l) {
    const Value *x = l->X = onnx_in(o, n, 0), *len = onnx_in(o, n, 4);
    if (!x || x->kind != VALUE_RUN) return onnx_refuse(o, "its X is not computed from an input");
    int t = l->batch_first ? 1 : 0;
    if (x->rank != 3 || x->role[t] != DIM_TIME || x->role[!t] != DIM_BATCH || x->role[2] != DIM_FEATURE)
        return onnx_refuse(o, "the dims of its X are not %s",
                           l->batch_first ? "batch, time, features" : "time, batch, features");
    l->I = x->n;
    return take_lengths(o, len);
}

static bool read_layer(Onnx *o, const OnnxNode *n, Layer *l) {
    l->kind = n->op[0] == 'L' ? RNN_LSTM : n->op[0] == 'G' ? RNN_GRU : RNN_SIMPLE;
    l->G = rnn_gates(l->kind);
    l->batch_first = onnx_int(n, "layout", 0) == 1;
    const Value *w = onnx_in(o, n, 1);
    l->H = onnx_int(n, "hidden_size", w && w->kind == VALUE_CONST && w->t.rank == 3 ? w->t.dim[1] / l->G : 0);
    if (l->H < 1 || l->H > 1 << 20) return onnx_refuse(o, "hidden_size %lld is impossible", (long long)l->H);
    l->clip = onnx_float(n, "clip", 0);
    if (!isfinite(l->clip) || l->clip < 0) return onnx_refuse(o, "clip has to be finite and not negative");
    l->coupled = l->kind == RNN_LSTM && onnx_int(n, "input_forget", 0) != 0;
    l->reset_after = l->kind == RNN_GRU && onnx_int(n, "linear_before_reset", 0) != 0;
    if (!direction(o, n, l) || !sequence(o, n, l) || !activations(o, n, l)) return false;
    int64_t rows = l->G * l->H;
    if (!weight(o, n, 1, "W", 3, l->D, rows, l->I, &l->W) || !weight(o, n, 2, "R", 3, l->D, rows, l->H, &l->R) ||
        !weight(o, n, 3, "B", 2, l->D, 2 * rows, 0, &l->B))
        return false;
    l->P = NULL;
    if (l->kind == RNN_LSTM && !weight(o, n, 7, "P", 2, l->D, 3 * l->H, 0, &l->P)) return false;
    return (l->W && l->R) || onnx_refuse(o, "it has no weights W or R");
}

/* The initial state of direction d: NULL in *text for zeros. */
static bool initial(Onnx *o, const OnnxNode *n, const Layer *l, uint32_t k, int64_t d, const char *wanted, const char **text) {
    const Value *v = onnx_in(o, n, k);
    *text = NULL;
    if (!v) return true;
    int b = l->batch_first ? 0 : 1;
    if (v->kind == VALUE_RUN) {
        if (v->rank != 3 || v->role[b] != DIM_BATCH || v->seq || v->n != l->D * l->H)
            return onnx_refuse(o, "the dims of its initial state are not %s",
                               b ? "direction, batch, hidden" : "batch, direction, hidden");
        if (l->D == 1)
            *text = v->text;
        else
            *text = arena_printf(o->w.a, "%s[%lld:%lld]", v->text, (long long)(d * l->H), (long long)((d + 1) * l->H));
        return true;
    }
    if (v->kind != VALUE_CONST || v->t.rank != 3 || v->t.dim[!b] != l->D || v->t.dim[2] != l->H || v->t.dim[b] < 1)
        return onnx_refuse(o, "its initial state '%.80s' does not fit", v->source);
    int64_t B = v->t.dim[b];
    bool zero = true;
    const double *row = NULL;
    for (int64_t e = 0; e < B; e++) {
        const double *at = v->t.v + (b ? d * B + e : e * l->D + d) * l->H;
        for (int64_t i = 0; i < l->H; i++) zero = zero && at[i] == 0;
        if (row && memcmp(row, at, (size_t)l->H * sizeof *at))
            return onnx_refuse(o, "its initial state differs from example to example but is fixed");
        row = at;
    }
    return zero || (*text = writer_param(&o->w, wanted, 1, &l->H, row)) != NULL;
}

static void gates(const Layer *l, Arena *a, int64_t d, Rnn *r) {
    static const int place[3][4] = {{0}, {0, 1, 2}, {0, 2, 3, 1}}; /* of our gate (i f g o; z r n) in ONNX's order */
    int64_t rows = l->G * l->H;
    for (int64_t g = 0; g < l->G; g++) {
        int64_t at = place[l->kind][g] * l->H;
        r->W[g] = l->W + (d * rows + at) * l->I;
        r->U[g] = l->R + (d * rows + at) * l->H;
        if (!l->B) continue;
        const double *wb = l->B + d * 2 * rows + at, *rb = wb + rows;
        if (l->reset_after && g == GATE_N) {
            r->b[g] = wb;
            r->bn = rb;
            continue;
        }
        double *sum = NEW_N(a, double, l->H);
        for (int64_t i = 0; i < l->H; i++) sum[i] = wb[i] + rb[i];
        r->b[g] = sum;
    }
    static const int peep[] = {0, 2, 1}; /* ours i, f, o */
    for (int k = 0; l->P && k < 3; k++) r->p[k] = l->P + d * 3 * l->H + peep[k] * l->H;
}

static const char *one_direction(Onnx *o, const OnnxNode *n, const Layer *l, int64_t d) {
    Rnn r = {.kind = l->kind,
             .H = l->H,
             .I = l->I,
             .clip = l->clip,
             .coupled = l->coupled,
             .reset_after = l->reset_after,
             .peephole = l->P != NULL};
    uint32_t each = l->kind == RNN_LSTM ? 3 : l->kind == RNN_GRU ? 2 : 1;
    const char *const *act = l->act + d * each;
    r.gate = act[0];
    r.act = each == 1 ? act[0] : act[1];
    r.out = each == 3 ? act[2] : r.act;
    r.order = l->kind == RNN_LSTM  ? "i, o, f, c"
              : l->kind == RNN_GRU ? (l->reset_after ? "z, r, h; linear_before_reset = 1" : "z, r, h; linear_before_reset = 0")
                                   : NULL;
    gates(l, o->w.a, d, &r);
    const char *base = *n->name ? n->name : l->kind == RNN_LSTM ? "lstm" : l->kind == RNN_GRU ? "gru" : "rnn";
    bool back = l->reversed || d == 1;
    const char *wanted = l->D == 2 ? arena_printf(o->w.a, "%.50s_%s", base, back ? "back" : "forth") : base;
    if (!initial(o, n, l, 5, d, "h0", &r.h) || (l->kind == RNN_LSTM && !initial(o, n, l, 6, d, "c0", &r.c))) return NULL;
    return rnn_write(&o->w, wanted, &r, back ? arena_printf(o->w.a, "reverse(%s)", l->X->text) : l->X->text);
}

static bool state_output(Onnx *o, const OnnxNode *n, const Layer *l, uint32_t k, const char *const *name, char state) {
    if (!onnx_used(o, n, k)) return true;
    Value *v = l->D == 2 ? onnx_emit(o, n, k, NULL, 2 * l->H, "[%s.%c'.last, %s.%c'.last]", name[0], state, name[1], state)
                         : onnx_emit(o, n, k, NULL, l->H, "%s.%c'.last", name[0], state);
    if (!v) return false;
    value_add_dim(v, l->batch_first ? DIM_BATCH : DIM_FEATURE, l->batch_first ? l->X->dim[0] : l->D);
    value_add_dim(v, l->batch_first ? DIM_FEATURE : DIM_BATCH, l->batch_first ? l->D : l->X->dim[1]);
    value_add_dim(v, DIM_FEATURE, l->H);
    return true;
}

bool onnx_recurrent(Onnx *o, const OnnxNode *n) {
    Layer l = {0};
    if (o->w.scope->cell) return onnx_refuse(o, "a recurrent layer inside the body of a Scan");
    if (!read_layer(o, n, &l)) return false;
    const char *name[2] = {NULL, NULL};
    for (int64_t d = 0; d < l.D; d++)
        if (!(name[d] = one_direction(o, n, &l, d))) return false;
    if (onnx_used(o, n, 0)) {
        Value *v;
        if (l.D == 2)
            v = onnx_emit(o, n, 0, NULL, 2 * l.H, "[%s, reverse(%s)]", name[0], name[1]);
        else if (l.reversed)
            v = onnx_emit(o, n, 0, NULL, l.H, "reverse(%s)", name[0]);
        else if ((v = onnx_out(o, n, 0, VALUE_RUN)) != NULL)
            v->text = name[0], v->n = l.H;
        if (!v) return false;
        if (l.batch_first) value_add_dim(v, DIM_BATCH, l.X->dim[0]);
        value_add_dim(v, DIM_TIME, l.X->dim[l.batch_first ? 1 : 0]);
        value_add_dim(v, DIM_FEATURE, l.D);
        if (!l.batch_first) value_add_dim(v, DIM_BATCH, l.X->dim[1]);
        value_add_dim(v, DIM_FEATURE, l.H);
    }
    return state_output(o, n, &l, 1, name, 'h') && (l.kind != RNN_LSTM || state_output(o, n, &l, 2, name, 'c'));
}
