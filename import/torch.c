/* torch: state dicts of PyTorch, named by a small description:
     {"model": "lm", "layers": [{"kind": "lstm", "name": "rnn"}, {"kind": "relu"}, {"kind": "linear", "name": "head"}], "weights": "m.safetensors"}
   Sizes, layers on each other and directions are read from the names and shapes of the tensors (torch.nn.LSTM: weight_ih_l0,
   weight_hh_l0, bias_ih_l0, bias_hh_l0, .._l1, .._reverse, weight_hr_l0). Gates lie in the order i, f, g, o and r, z, n. */
#include <math.h>
#include <string.h>

#include "import/internal.h"

typedef struct {
    Writer w;
    Arrays state;
    bool *read;    /* of these, by index */
    const char *x; /* the value so far */
    bool seq, token;
    int64_t n;              /* features; 0: not known yet */
    const char *input;      /* its name */
    int64_t input_n, vocab; /* its features, or its tokens */
} Torch;

static bool refuse(Torch *t, const char *name, const char *why) {
    return import_refuse(t->w.ctx, t->w.what, arena_printf(t->w.a, "layer '%.80s'", name), "%s", why);
}

/* NULL with a diagnostic if `needed`, else NULL in silence. rank and dims (0: any) have to fit. */
static const Array *tensor(Torch *t, const char *layer, const char *part, bool needed, int rank, int64_t d0, int64_t d1) {
    const char *name = *layer ? arena_printf(t->w.a, "%s.%s", layer, part) : part;
    const Array *x = arrays_find(&t->state, name);
    if (x) t->read[x - t->state.array.at] = true;
    bool fits = x && x->rank == rank && (!d0 || x->dim[0] == d0) && (rank < 2 || !d1 || x->dim[1] == d1) && array_count(x) > 0;
    if (fits || (!x && !needed)) return x;
    if (!x)
        diag_error(t->w.ctx, 652, NOWHERE, "%s: there is no tensor '%.120s'", t->w.what, name);
    else
        diag_error(t->w.ctx, 652, NOWHERE, "%s: tensor '%.120s' has other dims than its layer needs", t->w.what, name);
    return NULL;
}

static bool has(Torch *t, const char *layer, const char *part) {
    return arrays_find(&t->state, *layer ? arena_printf(t->w.a, "%s.%s", layer, part) : part) != NULL;
}

/* The model's input is known with the first layer: its size, and whether it has steps. */
static bool meet(Torch *t, const char *layer, int64_t n) {
    if (!t->n) t->n = t->input_n = n;
    return t->n == n || refuse(t, layer, "its inputs are not as many as the outputs before it");
}

/* ---- recurrent layers ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name, *act; /* nonlinearity of an RNN */
    RnnKind kind;
    int64_t H, P;
    bool two;
} Stack;

static const double *rows(const Array *x, int64_t H, int gate) {
    return x ? (const double *)x->data + gate * H * (x->rank == 2 ? x->dim[1] : 1) : NULL;
}

/* One direction of layer `l`. NULL with a diagnostic. */
static const char *one_direction(Torch *t, const Stack *s, int l, bool back, const char *x) {
    static const int place[3][4] = {{0}, {1, 0, 2}, {0, 1, 2, 3}}; /* of our z r n in PyTorch's r z n */
    Arena *a = t->w.a;
    const char *end = arena_printf(a, "_l%d%s", l, back ? "_reverse" : "");
    int G = rnn_gates(s->kind);
    int64_t H = s->H, K = s->P ? s->P : H;
    const Array *W = tensor(t, s->name, arena_printf(a, "weight_ih%s", end), true, 2, G * H, t->n);
    const Array *U = W ? tensor(t, s->name, arena_printf(a, "weight_hh%s", end), true, 2, G * H, K) : NULL;
    const char *bi_name = arena_printf(a, "bias_ih%s", end);
    bool bias = has(t, s->name, bi_name);
    const Array *bi = U && bias ? tensor(t, s->name, bi_name, true, 1, G * H, 0) : NULL;
    const Array *bh = U && bias ? tensor(t, s->name, arena_printf(a, "bias_hh%s", end), true, 1, G * H, 0) : NULL;
    const Array *proj = U && s->P ? tensor(t, s->name, arena_printf(a, "weight_hr%s", end), true, 2, s->P, H) : NULL;
    if (!U || (bias && (!bi || !bh)) || (s->P && !proj)) return NULL;
    Rnn r = {
        .kind = s->kind, .H = H, .I = t->n, .P = s->P, .gate = "sigmoid", .act = s->act, .out = "tanh", .reset_after = true};
    for (int g = 0; g < G; g++) {
        int from = place[s->kind][g];
        r.W[g] = rows(W, H, from);
        r.U[g] = rows(U, H, from);
        bool inner = s->kind == RNN_GRU && g == GATE_N;
        double *sum = NEW_N(a, double, H + 1);
        for (int64_t i = 0; bias && i < H; i++) sum[i] = rows(bi, H, from)[i] + (inner ? 0 : rows(bh, H, from)[i]);
        r.b[g] = sum;
        if (inner && bias) r.bn = rows(bh, H, from);
    }
    if (proj) r.proj = proj->data;
    r.order = s->kind == RNN_LSTM ? "i, f, g, o" : s->kind == RNN_GRU ? "r, z, n; reset after the product" : NULL;
    Str name = str_make(a);
    str_printf(&name, "%.40s", *s->name ? s->name : "rnn");
    if (l || has(t, s->name, "weight_ih_l1")) str_printf(&name, "_%d", l);
    if (s->two) str_put(&name, back ? "_back" : "_forth");
    return rnn_write(&t->w, name.at, &r, back ? arena_printf(a, "reverse(%s)", x) : x);
}

/* Batch first, then time, then features (0: none). */
static void port_dims(ImportPort *p, bool seq, int64_t n) {
    p->seq = seq;
    p->n = n;
    p->role[p->rank++] = DIM_BATCH;
    if (seq) p->role[p->rank++] = DIM_TIME;
    if (n) p->role[p->rank++] = DIM_FEATURE;
}

static void output_state(Torch *t, const char *layer, const char *text, int64_t n, const char *source) {
    const char *name = writer_name(&t->w, layer);
    writer_output(&t->w, name, text);
    port_dims(writer_port(&t->w, false, "output", name, source), false, n);
}

static bool recurrent(Torch *t, const Json *j, const char *kind, const char *name) {
    enum { LAYERS_MAX = 1000 };
    Stack s = {.name = name, .act = "tanh", .two = has(t, name, "weight_ih_l0_reverse")};
    const Array *W = tensor(t, name, "weight_ih_l0", true, 2, 0, 0),
                *U = W ? tensor(t, name, "weight_hh_l0", true, 2, W->dim[0], 0) : NULL;
    if (!U || !meet(t, name, W->dim[1])) return false;
    s.kind = !strcmp(kind, "lstm") ? RNN_LSTM : !strcmp(kind, "gru") ? RNN_GRU : RNN_SIMPLE;
    if (W->dim[0] % rnn_gates(s.kind)) return refuse(t, name, "its weights are of another kind of layer");
    s.H = W->dim[0] / rnn_gates(s.kind);
    s.P = s.kind == RNN_LSTM && U->dim[1] != s.H ? U->dim[1] : 0;
    if (!s.P && U->dim[1] != s.H) return refuse(t, name, "its weights are of another kind of layer");
    if (s.kind == RNN_SIMPLE) s.act = json_text(j, "nonlinearity", "tanh");
    if (strcmp(s.act, "tanh") && strcmp(s.act, "relu")) return refuse(t, name, "\"nonlinearity\" is tanh or relu");
    if (t->token) return refuse(t, name, "its input is a token; an embedding comes before it");
    if (!t->seq) return refuse(t, name, "its input has no steps any more");
    bool states = json_flag(j, "states", false);
    for (int l = 0; l < LAYERS_MAX && has(t, name, arena_printf(t->w.a, "weight_ih_l%d", l)); l++) {
        const char *f = one_direction(t, &s, l, false, t->x), *b = f && s.two ? one_direction(t, &s, l, true, t->x) : NULL;
        if (!f || (s.two && !b)) return false;
        int64_t K = s.P ? s.P : s.H;
        for (int c = 0; states && c < (s.kind == RNN_LSTM ? 2 : 1); c++) {
            const char *source = arena_printf(t->w.a, "%s_n of layer %d", c ? "c" : "h", l);
            char state = c ? 'c' : s.P ? 'r' : 'h';
            const char *text = b ? arena_printf(t->w.a, "[%s.%c'.last, %s.%c'.last]", f, state, b, state)
                                 : arena_printf(t->w.a, "%s.%c'.last", f, state);
            output_state(t, arena_printf(t->w.a, "%s_%s", f, c ? "c_n" : "h_n"), text, (b ? 2 : 1) * (c ? s.H : K), source);
        }
        t->x = f;
        t->n = b ? 2 * K : K;
        if (!b) continue;
        t->x = writer_name(&t->w, arena_printf(t->w.a, "%.40s_%d_both", *name ? name : "rnn", l));
        writer_line(&t->w, "%s = [%s, reverse(%s)]", t->x, f, b);
    }
    return true;
}

/* ---- other layers -------------------------------------------------------------------------------------------------------- */

static bool linear(Torch *t, const char *name) {
    const Array *W = tensor(t, name, "weight", true, 2, 0, 0);
    if (!W || !meet(t, name, W->dim[1])) return false;
    const Array *b = tensor(t, name, "bias", false, 1, W->dim[0], 0);
    if (!b && has(t, name, "bias")) return false;
    t->n = W->dim[0];
    t->x = dense_write(&t->w, *name ? name : "linear", W->dim[0], W->dim[1], W->data, b ? b->data : NULL, NULL, t->x);
    return t->x != NULL;
}

static bool embedding(Torch *t, const char *name) {
    const Array *E = tensor(t, name, "weight", true, 2, 0, 0);
    if (!E) return false;
    if (!t->token) return refuse(t, name, "an embedding has to be the first layer");
    const char *e = writer_name(&t->w, *name ? name : "embedding");
    writer_line(&t->w, "%s = embedding[%lld, %lld](%s)", e, (long long)E->dim[0], (long long)E->dim[1], t->x);
    t->token = false;
    t->vocab = E->dim[0];
    t->n = E->dim[1];
    t->x = e;
    return writer_weight(&t->w, arena_printf(t->w.a, "%s.E", e), 2, E->dim, E->data);
}

static bool layer_norm(Torch *t, const Json *j, const char *name) {
    const Array *g = tensor(t, name, "weight", true, 1, t->n, 0),
                *b = g ? tensor(t, name, "bias", false, 1, g->dim[0], 0) : NULL;
    double eps = json_number_of(j, "eps", 1e-5);
    if (!g || (!b && has(t, name, "bias")) || !meet(t, name, g->dim[0])) return false;
    if (!(eps > 0 && eps < 1)) return refuse(t, name, "\"eps\" is not between 0 and 1");
    const char *v = writer_name(&t->w, *name ? name : "norm");
    Str s = str_make(t->w.a);
    str_double(&s, eps);
    writer_line(&t->w, "%s = layer_norm[eps = %s](%s)", v, s.at, t->x);
    t->x = v;
    const double *zero = NEW_N(t->w.a, double, t->n + 1);
    return writer_weight(&t->w, arena_printf(t->w.a, "%s.gain", v), 1, &t->n, g->data) &&
           writer_weight(&t->w, arena_printf(t->w.a, "%s.bias", v), 1, &t->n, b ? b->data : zero);
}

/* What has no weights: a function, or a member over time. */
static bool plain(Torch *t, const Json *j, const char *kind, bool *known) {
    static const char *const fn[][2] = {{"relu", "relu"},          {"tanh", "tanh"},
                                        {"sigmoid", "sigmoid"},    {"elu", "elu"},
                                        {"selu", "selu"},          {"gelu", "gelu"},
                                        {"silu", "silu"},          {"softplus", "softplus"},
                                        {"softsign", "softsign"},  {"mish", "mish"},
                                        {"softmax", "softmax"},    {"log_softmax", "log_softmax"},
                                        {"hardtanh", "hard_tanh"}, {"hardsigmoid", "hard_sigmoid6"},
                                        {"relu6", "relu6"},        {"logsigmoid", "log_sigmoid"}};
    static const char *const time[][2] = {{"last", "last"}, {"mean", "mean"}, {"max", "max"}};
    *known = true;
    if (!strcmp(kind, "dropout")) {
        double p = json_number_of(j, "p", 0.5);
        if (!(p >= 0 && p < 1)) return refuse(t, kind, "\"p\" is not between 0 and 1");
        const char *v = writer_name(&t->w, "dropout");
        Str s = str_make(t->w.a);
        str_double(&s, p);
        writer_line(&t->w, "%s = dropout[rate = %s](%s)", v, s.at, t->x);
        return t->x = v, true;
    }
    for (size_t k = 0; k < sizeof fn / sizeof *fn; k++)
        if (!strcmp(kind, fn[k][0])) {
            const char *v = writer_name(&t->w, fn[k][1]);
            writer_line(&t->w, "%s = %s(%s)", v, fn[k][1], t->x);
            return t->x = v, true;
        }
    for (size_t k = 0; k < sizeof time / sizeof *time; k++)
        if (!strcmp(kind, time[k][0])) {
            if (!t->seq) return refuse(t, kind, "there are no steps any more");
            t->seq = false;
            t->x = arena_printf(t->w.a, "%s.%s", t->x, time[k][1]);
            return true;
        }
    return *known = false, true;
}

/* What a layer can say beside its kind and name. */
static const char *option_of(const char *kind) {
    static const char *const option[][2] = {{"lstm", "states"}, {"gru", "states"}, {"rnn", "states"}, {"layer_norm", "eps"}, {"dropout", "p"}};
    for (size_t k = 0; k < sizeof option / sizeof *option; k++)
        if (!strcmp(kind, option[k][0])) return option[k][1];
    return "kind";
}

/* No key that nobody reads: a word spelled wrong would be a layer of another meaning. */
static bool keys_known(Torch *t, const Json *j, const char *where, const char *const *known, size_t n) {
    for (uint32_t i = 0; i < j->n; i++) {
        size_t k = 0;
        while (k < n && strcmp(j->key[i], known[k]) != 0) k++;
        if (k < n) continue;
        const char *near = nearest_name(j->key[i], known, n);
        import_refuse(t->w.ctx, t->w.what, where, "there is no key \"%.60s\" here", j->key[i]);
        if (near) diag_help(t->w.ctx, NOWHERE, "did you mean \"%s\"?", near);
        return false;
    }
    return true;
}

static bool layer(Torch *t, const Json *j) {
    const char *kind = json_text(j, "kind", NULL), *name = json_text(j, "name", "");
    if (!kind) return import_bad(t->w.ctx, t->w.what, "a layer has no \"kind\"");
    const char *const known[] = {"kind", "name", option_of(kind), "nonlinearity"}, *shown = *name ? name : kind;
    if (!keys_known(t, j, arena_printf(t->w.a, "layer '%.80s'", shown), known, strcmp(kind, "rnn") ? 3 : 4)) return false;
    if (t->token && strcmp(kind, "embedding"))
        return refuse(t, name, "the input is a token; an embedding has to be the first layer");
    if (!strcmp(kind, "lstm") || !strcmp(kind, "gru") || !strcmp(kind, "rnn")) return recurrent(t, j, kind, name);
    if (!strcmp(kind, "linear")) return linear(t, name);
    if (!strcmp(kind, "embedding")) return embedding(t, name);
    if (!strcmp(kind, "layer_norm")) return layer_norm(t, j, name);
    bool there, ok = plain(t, j, kind, &there);
    if (!there) return refuse(t, shown, arena_printf(t->w.a, "there is no kind '%.60s'", kind));
    return ok && (t->n || refuse(t, kind, "the first layer has to have weights: they say how large the input is"));
}

/* ---- state dicts --------------------------------------------------------------------------------------------------------- */

static bool state_json(Torch *t, const char *what, const Json *j) {
    if (!j || j->kind != JSON_OBJECT_) return import_bad(t->w.ctx, what, "is no state dict: not an object of tensors by name");
    for (uint32_t i = 0; i < j->n; i++) {
        Array x;
        if (!json_array_of(t->w.ctx, t->w.a, what, j->key[i], &j->item[i], &x)) return false;
        x.name = j->key[i];
        VEC_PUSH(t->w.a, t->state.array) = x;
    }
    return true;
}

/* Every tensor as f64. */
static void widen(Torch *t, const Safetensors *s) {
    for (uint32_t i = 0; i < s->tensor.array.n; i++) {
        const Array *x = &s->tensor.array.at[i];
        Array *y = arrays_add(t->w.a, &t->state, x->name, RONDO_F64, x->rank, x->dim);
        for (int64_t k = 0, n = array_count(x); y && k < n; k++) array_set(y, k, array_get(x, k));
    }
}

static bool state_dict(Torch *t, const Json *j, const char *path) {
    if (j->kind == JSON_OBJECT_) return state_json(t, t->w.what, j);
    if (j->kind != JSON_STRING_) return import_bad(t->w.ctx, t->w.what, "\"weights\" is neither a file nor an object");
    const char *slash = *j->text == '/' ? NULL : strrchr(path, '/');
    const char *file = slash ? arena_printf(t->w.a, "%.*s%s", (int)(slash - path + 1), path, j->text) : j->text;
    char *data;
    size_t n;
    if (!file_read(t->w.ctx, t->w.a, file, &data, &n)) return false;
    if (n && *data == '{') {
        const Json *state = json_read(t->w.ctx, t->w.a, file, data, n);
        return state && state_json(t, file, state);
    }
    if (n >= 2 && !memcmp(data, "PK", 2)) {
        import_refuse(t->w.ctx, file, "the file",
                      "it is a pickle of torch.save, which can run any code; safetensors.torch.save_file writes what is read");
        return false;
    }
    Safetensors s;
    if (!safetensors_parse(t->w.ctx, t->w.a, file, data, n, &s)) return false;
    widen(t, &s);
    return true;
}

/* Tensors that no layer has read: the description may lack a layer. */
static void tell_unread(Torch *t) {
    const char *first = NULL;
    unsigned n = 0;
    for (uint32_t i = 0; i < t->state.array.n; i++) {
        if (t->read[i]) continue;
        if (!n++) first = t->state.array.at[i].name;
    }
    if (n == 1) diag_warning(t->w.ctx, 655, NOWHERE, "%s: tensor '%.120s' belongs to no layer of the description", t->w.what, first);
    if (n > 1) diag_warning(t->w.ctx, 655, NOWHERE, "%s: %u tensors, '%.120s' the first, belong to no layer of the description", t->w.what, n, first);
}

static bool finish(Torch *t, const ImportOptions *o, bool seq) {
    const char *steps = seq ? "seq " : "";
    writer_input(&t->w, t->input,
                 t->vocab ? arena_printf(t->w.a, "%stoken[%lld]", steps, (long long)t->vocab)
                          : arena_printf(t->w.a, "%s[%lld]", steps, (long long)t->input_n));
    ImportPort *p = writer_port(&t->w, true, "input", t->input, "the input");
    port_dims(p, seq, t->vocab ? 0 : t->input_n);
    const char *name = strchr(t->x, '.') ? writer_name(&t->w, "y") : t->x;
    writer_output(&t->w, name, t->x);
    port_dims(writer_port(&t->w, false, "output", name, "the output"), t->seq, t->n);
    return writer_finish(&t->w, writer_model_name(&t->w, o, t->w.what), "a state dict of PyTorch");
}

bool import_torch_text(Ctx *ctx, Arena *a, const char *what, const char *text, size_t n, const ImportOptions *o,
                       Imported *out) {
    Torch *t = NEW(a, Torch);
    ImportOptions with = o ? *o : (ImportOptions){0};
    writer_init(&t->w, ctx, a, what, out);
    const Json *j = json_read(ctx, a, what, text, n), *layers = json_get(j, "layers"), *weights = json_get(j, "weights");
    if (!j) return false;
    if (!layers || layers->kind != JSON_LIST_ || !layers->n)
        return import_bad(ctx, what, "is no description of a model: it has no \"layers\"");
    if (!weights) return import_bad(ctx, what, "it has no \"weights\": a file, or tensors by name");
    if (!with.name) with.name = json_text(j, "model", NULL);
    if (!state_dict(t, weights, what)) return false;
    static const char *const keys[] = {"layers", "weights", "model", "sequence"};
    if (!keys_known(t, j, "the description", keys, sizeof keys / sizeof *keys)) return false;
    t->read = NEW_N(a, bool, t->state.array.n + 1);
    t->seq = json_flag(j, "sequence", true);
    const bool seq = t->seq;
    t->token = !strcmp(json_text(&layers->item[0], "kind", ""), "embedding");
    t->x = t->input = writer_name(&t->w, "x");
    for (uint32_t i = 0; i < layers->n; i++)
        if (!layer(t, &layers->item[i])) return false;
    tell_unread(t);
    return finish(t, &with, seq);
}

bool import_torch(Ctx *ctx, Arena *a, const char *path, const ImportOptions *o, Imported *out) {
    char *text;
    size_t n;
    return file_read(ctx, a, path, &text, &n) && import_torch_text(ctx, a, path, text, n, o, out);
}
