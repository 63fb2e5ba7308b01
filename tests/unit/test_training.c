/* test_training: the 21 training runs of shared/conformance/training (TensorFlow.js): predictions, loss, gradients, the loss
   before each of 20 full-batch steps and the weights after them, to 1e-4 of each tensor's largest number, with the jit and the
   loop interpreter. Skipped (77) where the files are absent. Run from the project's root. */
#include "runtime/internal.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { STEPS = 20 };
static const double bar = 1e-4;
static int passed, failed;
static double worst_seen;
static Ctx *ctx;

/* One case: its model as text, and how Keras's joint kernels fall apart into ours. */
typedef struct {
    json_t *json, *config;
    Arena arena;
    const char *kind; /* "simpleRNN", "gru", "lstm" */
    int64_t I, H, O;
    int layers; /* recurrent ones */
    char label[120];
} Case;

static const char *gates_of(const char *kind) {
    return strcmp(kind, "lstm") == 0 ? "ifgo" : strcmp(kind, "gru") == 0 ? "zrn" : " ";
}

static void verdict(const Case *c, const char *engine, const char *what, double error) {
    if (error <= bar) {
        worst_seen = fmax(worst_seen, error);
        passed++;
        return;
    }
    failed++;
    printf("FAILED: %s, %s: %s differs by %.3g\n", c->label, engine, what, error);
}

static void show(void) {
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    diag_render(ctx, &s, false);
    if (s.n) printf("%.*s", (int)s.n, s.at);
    diag_clear(ctx);
    arena_free(&a);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static double number(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}
static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool read_case(Case *c, json_t *j) {
    c->json = j;
    c->config = json_object_get(j, "config");
    c->kind = text(c->config, "kind");
    c->I = (int64_t)number(c->config, "I");
    c->H = (int64_t)number(c->config, "H");
    c->O = (int64_t)number(c->config, "O");
    c->layers = json_is_true(json_object_get(c->config, "two")) ? 2 : 1;
    snprintf(c->label, sizeof c->label, "%s%s, %s, %s, %s", c->layers == 2 ? "two " : "", c->kind,
             json_is_true(json_object_get(c->config, "return_sequences")) ? "every step" : "last step", text(c->config, "loss"),
             text(c->config, "optimizer"));
    return c->I > 0 && c->H > 0 && c->O > 0 && c->kind[0];
}

/* {shape, data} under a name; transposed: a matrix [n, columns] of which `width` columns from `from` become rows. */
static bool add_array(Case *c, Arrays *to, const char *name, const json_t *j, int64_t from, int64_t width) {
    const json_t *shape = json_object_get(j, "shape"), *data = json_object_get(j, "data");
    int64_t dim[RONDO_MAX_RANK];
    int rank = (int)json_array_size(shape);
    if (rank > RONDO_MAX_RANK) return false;
    for (int k = 0; k < rank; k++) dim[k] = json_integer_value(json_array_get(shape, (size_t)k));
    int64_t columns = rank ? dim[rank - 1] : 1, rows = rank > 1 ? dim[0] : 1;
    if (width) {
        dim[rank - 1] = rows;
        dim[0] = width;
    }
    Array *x = arrays_add(&c->arena, to, name, RONDO_F32, rank, dim);
    if (!x) return false;
    for (int64_t i = 0; i < array_count(x); i++) {
        int64_t at = width ? i % rows * columns + from + i / rows : i;
        array_set(x, i, json_number_value(json_array_get(data, (size_t)at)));
    }
    return true;
}

/* A list of tensors in Keras's order and layout, as arrays named PREFIX + our weights' names. */
static bool add_weights(Case *c, Arrays *to, const char *prefix, const json_t *list) {
    static const char letter[] = "WUb";
    const char *gates = gates_of(c->kind);
    size_t at = 0;
    for (int l = 0; l <= c->layers; l++) {
        bool dense = l == c->layers;
        int64_t width = dense ? c->O : c->H;
        for (int k = 0; k < 3; k++) {
            if (dense && k == 1) continue;
            const json_t *t = json_array_get(list, at++);
            for (int64_t g = 0; dense ? g < 1 : gates[g] != 0; g++) {
                char suffix[2] = {dense || gates[g] == ' ' ? 0 : gates[g], 0};
                const char *name = arena_printf(&c->arena, "%s%s.%c%s", prefix, dense ? "p" : l ? "h2" : "h", letter[k], suffix);
                if (!add_array(c, to, name, t, g * width, width)) return false;
            }
        }
    }
    return at == json_array_size(list);
}

/* ---- the model ---------------------------------------------------------------------------------------------------------- */

static const char *optimizer(const Case *c) {
    static const struct {
        const char *name, *ours;
    } list[] = {{"sgd", "sgd(lr = %g)"},
                {"momentum", "momentum(lr = %g, mu = 0.9)"},
                {"rmsprop", "rmsprop(lr = %g, rho = 0.9, eps = 1e-8, eps_inside = true)"},
                {"adagrad", "adagrad(lr = %g, start = 0.1, eps = 1e-7)"},
                {"adam", "adam_torch(lr = %g, b1 = 0.9, b2 = 0.999, eps = 1e-8)"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(list[i].name, text(c->config, "optimizer")) == 0) return list[i].ours;
    return "";
}

static const char *model_text(Case *c, size_t *n) {
    bool seq = json_is_true(json_object_get(c->config, "return_sequences")), mse = strcmp(text(c->config, "loss"), "mse") == 0;
    const char *cell = strcmp(c->kind, "lstm") == 0 ? "lstm" : strcmp(c->kind, "gru") == 0 ? "gru_v1" : "simple_rnn";
    Str s = str_make(&c->arena);
    str_printf(&s, "model t {\n    input x: seq [%d]\n    target y: %s[%d]\n    h = %s[%d](x)\n", (int)c->I, seq ? "seq " : "",
               (int)c->O, cell, (int)c->H);
    if (c->layers == 2) str_printf(&s, "    h2 = %s[%d](h)\n", cell, (int)c->H);
    str_printf(&s, "    p = dense[%d](%s%s)\n    output p\n", (int)c->O, c->layers == 2 ? "h2" : "h", seq ? "" : ".last");
    str_printf(&s, "    loss %s(p, y)\n    train { optimizer = ", mse ? "mse" : "softmax_crossentropy_soft");
    str_printf(&s, optimizer(c), number(c->config, "lr"));
    str_printf(&s, ", epochs = %d, batch = %d, shuffle = false }\n}\n", STEPS, (int)number(c->config, "B"));
    *n = s.n;
    return s.at;
}

static Model *open_model(Case *c, ExecEngine engine) {
    size_t n;
    const char *src = model_text(c, &n);
    ModelOptions o = {.std_dir = "std", .exec = {.engine = engine}};
    return model_open_text(ctx, "case.rondo", src, n, &o);
}

/* ---- comparing ---------------------------------------------------------------------------------------------------------- */

static void compare(Case *c, const char *engine, const Arrays *got, const Arrays *want) {
    for (uint32_t i = 0; i < want->array.n; i++) {
        const Array *w = &want->array.at[i], *g = arrays_find(got, w->name);
        verdict(c, engine, w->name, g ? array_difference(g, w, NULL) : INFINITY);
    }
}

typedef struct {
    double loss[STEPS];
    int n;
} Losses;

static int keep_loss(void *arg, const rondo_progress *p) {
    Losses *l = arg;
    if (p->batch == p->batches && l->n < STEPS) l->loss[l->n++] = p->loss;
    return 0;
}

static void check_losses(Case *c, const char *engine, const Losses *l) {
    const json_t *want = json_object_get(c->json, "losses_before_each_of_20_steps");
    double worst = 0, most = 0;
    for (int k = 0; k < STEPS; k++) {
        double w = json_number_value(json_array_get(want, (size_t)k)), d = k < l->n ? fabs(l->loss[k] - w) : INFINITY;
        if (!(d <= worst)) worst = d;
        most = fmax(most, fabs(w));
    }
    verdict(c, engine, "the loss before a step", json_array_size(want) == STEPS ? worst / most : INFINITY);
}

static void weights_of(Case *c, Model *m, Arrays *to) {
    int64_t offset = 0;
    for (uint32_t i = 0; i < model_desc(m)->param.n; i++) {
        const ParamDesc *p = &model_desc(m)->param.at[i];
        int64_t dim[MAX_RANK];
        for (int k = 0; k < p->rank; k++) dim[k] = p->dim[k];
        Array *x = arrays_add(&c->arena, to, arena_printf(&c->arena, "after/%s", name_str(ctx, p->name)), RONDO_F64, p->rank, dim);
        for (int64_t k = 0; x && k < p->count; k++) array_set(x, k, model_theta_get(m, offset + k));
        offset += p->count;
    }
}

static bool run_case(Case *c, ExecEngine engine, const char *name) {
    Arrays in = {0}, out = {0}, want = {0}, after = {0}, want_after = {0};
    Model *m = open_model(c, engine);
    if (!m) return false;
    json_t *j = c->json, *loss = json_pack("{s:[], s:[f]}", "shape", "data", number(j, "loss"));
    bool ok = add_weights(c, &in, "param/", json_object_get(j, "weights")) && add_array(c, &in, "input/x", json_object_get(j, "x"), 0, 0) &&
              add_array(c, &in, "target/y", json_object_get(j, "y"), 0, 0) && add_weights(c, &want, "grad/param/", json_object_get(j, "grads")) &&
              add_array(c, &want, "output/p", json_object_get(j, "prediction"), 0, 0) && add_array(c, &want, "loss", loss, 0, 0) &&
              add_weights(c, &want_after, "after/", json_object_get(j, "weights_after_20_steps"));
    json_decref(loss);
    RunOptions o = {.grad = true};
    ok = ok && run_arrays(m, &o, &in, &c->arena, &out);
    if (ok) compare(c, name, &out, &want);
    Losses losses = {.n = 0};
    rondo_train_options t = RONDO_TRAIN_OPTIONS_INIT;
    t.progress = keep_loss;
    t.progress_arg = &losses;
    Dataset d = {.array = in, .n = (int64_t)number(c->config, "B"), .train = (int64_t)number(c->config, "B")};
    ok = ok && train_set(m, &d, NULL, &t, NULL, NULL);
    if (ok) {
        check_losses(c, name, &losses);
        weights_of(c, m, &after);
        compare(c, name, &after, &want_after);
    }
    model_close(m);
    return ok;
}

static json_t *read_cases(void) {
    const char *shared = getenv("RONDO_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/conformance/training/cases.json", shared ? shared : "../shared");
    json_error_t e;
    json_t *root = json_load_file(path, 0, &e);
    if (!root) printf("skipped: %s: %s\n", path, e.text);
    return root;
}

int main(void) {
    static const struct {
        ExecEngine engine;
        const char *name;
    } engine[] = {{EXEC_JIT, "jit"}, {EXEC_LOOPS, "loops"}};
    json_t *root = read_cases(), *cases = json_object_get(root, "cases");
    if (!root) return 77;
    ctx = ctx_make(NULL);
    if (!ctx) return 1;
    for (size_t i = 0; i < json_array_size(cases); i++)
        for (size_t e = 0; e < sizeof engine / sizeof *engine; e++) {
            Case c = {.arena = arena_make(ctx)};
            if (!read_case(&c, json_array_get(cases, i)) || !run_case(&c, engine[e].engine, engine[e].name)) {
                failed++;
                printf("FAILED: case %zu, %s, %s\n", i, c.label, engine[e].name);
            }
            show();
            arena_free(&c.arena);
        }
    ctx_destroy(ctx);
    size_t n = json_array_size(cases);
    if (n != 21) failed++, printf("FAILED: %zu cases, not 21\n", n);
    json_decref(root);
    printf("%zu cases, worst %.2g; %d passed, %d failed\n", n, worst_seen, passed, failed);
    return failed != 0;
}
