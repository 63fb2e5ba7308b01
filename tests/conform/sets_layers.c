/* sets_layers: the vectors of keras-js, RTNeural and PyTorch. Models are built from the vectors' own description. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "import/internal.h"
#include "tests/conform/sets.h"

static const Json *load(Ctx *ctx, const char *path) {
    char *text;
    size_t n;
    return file_read(ctx, ctx_arena(ctx), path, &text, &n) ? json_read(ctx, ctx_arena(ctx), path, text, n) : NULL;
}

/* The tree as text again. */
static void put(Str *s, const Json *j) {
    switch (j->kind) {
    case JSON_NULL_: str_put(s, "null"); return;
    case JSON_BOOL_: str_put(s, j->number != 0 ? "true" : "false"); return;
    case JSON_NUMBER_: str_double(s, j->number); return;
    case JSON_STRING_: str_printf(s, "\"%s\"", j->text); return;
    case JSON_LIST_:
    case JSON_OBJECT_: break;
    }
    str_putc(s, j->kind == JSON_LIST_ ? '[' : '{');
    for (uint32_t i = 0; i < j->n; i++) {
        if (i) str_putc(s, ',');
        if (j->kind == JSON_OBJECT_) str_printf(s, "\"%s\":", j->key[i]);
        put(s, &j->item[i]);
    }
    str_putc(s, j->kind == JSON_LIST_ ? ']' : '}');
}

/* An array of the source, with the batch in front, as a value of the model. */
static bool add(Ctx *ctx, const ImportPort *p, const Array *x, Arrays *out) {
    Array y = *x;
    if (y.rank == p->rank - 1) {
        memmove(y.dim + 1, y.dim, (size_t)y.rank * sizeof *y.dim);
        y.dim[0] = 1;
        y.rank++;
    }
    const Array *z = import_arrange(ctx, ctx_arena(ctx), p, &y);
    if (z) VEC_PUSH(ctx_arena(ctx), out->array) = *z;
    return z != NULL;
}

/* ---- keras-js ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *cls, *name;
    const Json *params, *vectors;
} KerasCase;

/* A stateful layer's expected output is that of the second pass over the input. */
static bool second_pass(Ctx *ctx, Imported *im) {
    Arena *a = ctx_arena(ctx);
    ModelOptions o = {.std_dir = std_folder(a), .exec = {.engine = EXEC_EVAL, .f64 = true, .threads = 1}};
    Model *m = imported_open(ctx, im, &o);
    Arrays first = {0};
    bool ok = m && run_arrays(m, &(RunOptions){0}, &im->given, a, &first);
    uint32_t states = 0;
    for (uint32_t i = 0; ok && i < first.array.n; i++) {
        Array x = first.array.at[i];
        if (strncmp(x.name, "final/", 6)) continue;
        x.name = arena_printf(a, "init/%s", x.name + 6);
        VEC_PUSH(a, im->given.array) = x;
        states++;
    }
    if (m) model_close(m);
    return ok && states > 0;
}

static void keras_case(Ctx *ctx, Set *s, const void *arg) {
    const KerasCase *c = arg;
    const Json *attrs = json_get(c->params, "attrs"), *shape = json_get(c->params, "inputShape");
    Imported im;
    Array x, y;
    Str text = str_make(ctx_arena(ctx));
    str_printf(
        &text,
        "{\"class_name\":\"Sequential\",\"keras_version\":\"2.1\",\"config\":{\"layers\":[{\"class_name\":\"%s\",\"config\":{",
        c->cls);
    str_put(&text, "\"batch_input_shape\":[null");
    for (uint32_t i = 0; shape && i < shape->n; i++) str_printf(&text, ",%.0f", shape->item[i].number);
    str_put(&text, "]");
    for (uint32_t i = 0; attrs && i < attrs->n; i++) {
        str_printf(&text, ",\"%s\":", attrs->key[i]);
        put(&text, &attrs->item[i]);
    }
    str_put(&text, "},\"weights\":");
    put(&text, json_get(c->vectors, "weights"));
    str_put(&text, "}]}}");
    if (!import_keras_bytes(ctx, ctx_arena(ctx), c->name, text.at, text.n, &(ImportOptions){.name = "net"}, &im)) {
        if (diag_at(ctx, 0)->code == 651)
            printf("  left out: %s\n", set_error(ctx));
        else
            set_fail(s, ctx, c->name, "not imported");
        s->refused++;
        return;
    }
    bool ok = json_array_of(ctx, ctx_arena(ctx), c->name, "input", json_get(c->vectors, "input"), &x) &&
              json_array_of(ctx, ctx_arena(ctx), c->name, "expected", json_get(c->vectors, "expected"), &y) &&
              add(ctx, &im.in.at[0], &x, &im.given) && add(ctx, &im.out.at[0], &y, &im.expected);
    if (ok && json_flag(attrs, "stateful", false)) ok = second_pass(ctx, &im);
    if (ok && set_run(s, ctx, &im, 1e-5))
        s->passed++;
    else
        set_fail(s, ctx, c->name, "other numbers");
}

/* keras-js keeps no description of these: the table's shape is one. */
static void embedding_cases(Ctx *ctx, Set *s) {
    Arena *a = ctx_arena(ctx);
    const char *path = set_find(ctx, "keras_js/embeddings/Embedding.json");
    const Json *vectors = path ? load(ctx, path) : NULL;
    for (uint32_t i = 0; vectors && i < vectors->n; i++) {
        const Json *in = json_get(json_get(&vectors->item[i], "input"), "shape"), *w = json_get(&vectors->item[i], "weights");
        const Json *table = w && w->n ? json_get(&w->item[0], "shape") : NULL;
        if (!in || !table || table->n != 2) {
            set_fail(s, ctx, vectors->key[i], "its arrays have no shapes");
            continue;
        }
        const char *text = arena_printf(a, "{\"inputShape\": [%.0f], \"attrs\": {\"input_dim\": %.0f, \"output_dim\": %.0f}}",
                                        in->item[0].number, table->item[0].number, table->item[1].number);
        KerasCase c = {"Embedding", vectors->key[i], json_read(ctx, a, "params", text, strlen(text)), &vectors->item[i]};
        set_with_context(keras_case, s, &c);
    }
}

void sets_keras(void) {
    static const char *const file[][2] = {{"LSTM", "recurrent/LSTM"},
                                          {"GRU", "recurrent/GRU"},
                                          {"SimpleRNN", "recurrent/SimpleRNN"},
                                          {"Bidirectional", "wrappers/Bidirectional"},
                                          {"TimeDistributed", "wrappers/TimeDistributed"}};
    Set s = {.name = "keras_js"};
    Ctx *ctx = ctx_make(NULL);
    const char *path = ctx ? set_find(ctx, "keras_js/test_params.json") : NULL;
    const Json *params = path ? load(ctx, path) : NULL;
    for (size_t f = 0; params && f < sizeof file / sizeof *file; f++) {
        const Json *vectors = load(ctx, set_find(ctx, arena_printf(ctx_arena(ctx), "keras_js/%s.json", file[f][1])));
        const Json *list = json_get(json_get(params, file[f][0]), "params");
        for (uint32_t i = 0; list && i < list->n; i++) {
            const char *folder = arena_strndup(ctx_arena(ctx), file[f][1], strcspn(file[f][1], "/"));
            KerasCase c = {.cls = file[f][0],
                           .params = &list->item[i],
                           .name = arena_printf(ctx_arena(ctx), "%s.%s.%u", folder, file[f][0], (unsigned)i)};
            if ((c.vectors = json_get(vectors, c.name)) != NULL)
                set_with_context(keras_case, &s, &c);
            else
                set_fail(&s, ctx, c.name, "there are no vectors");
        }
    }
    if (params) embedding_cases(ctx, &s);
    if (params && (s.passed != 27 + 8 + 1 + 3 || s.refused != 1)) set_fail(&s, NULL, "keras_js", "other counts than known");
    if (params) set_end(&s, 1e-5);
    if (ctx) ctx_destroy(ctx);
}

/* ---- RTNeural ------------------------------------------------------------------------------------------------------------ */

/* One column of numbers, as one example with steps, or as examples. */
static bool column(Ctx *ctx, const char *path, bool seq, Array *out) {
    Csv csv;
    double *v;
    if (!csv_read(ctx, ctx_arena(ctx), path, (CsvForm){',', '.'}, &csv) || !csv_numbers(ctx, ctx_arena(ctx), &csv, 0, &v)) return false;
    *out = (Array){.type = RONDO_F64, .name = "", .rank = seq ? 3 : 2, .data = v};
    out->dim[0] = seq ? 1 : csv.nrow;
    out->dim[1] = seq ? csv.nrow : 1;
    out->dim[2] = 1;
    return true;
}

static void rtneural_case(Ctx *ctx, Set *s, const void *arg) {
    const char *path = arg;
    Imported im;
    Array x, y;
    char *text;
    size_t n;
    Arena *a = ctx_arena(ctx);
    const char *base = arena_strndup(a, path, strlen(path) - 5), *kind = strstr(path, "lstm_torch")  ? "lstm"
                                                                         : strstr(path, "gru_torch") ? "gru"
                                                                                                     : NULL;
    bool ok = file_read(ctx, a, path, &text, &n);
    if (ok && kind) {
        const char *all =
            arena_printf(a,
                         "{\"layers\": [{\"kind\": \"%s\", \"name\": \"%s\"}, {\"kind\": \"%s\", \"name\": \"%s2\"}, "
                         "{\"kind\": \"linear\", \"name\": \"dense\"}], \"weights\": %s}",
                         kind, kind, kind, kind, text);
        ok = import_torch_text(ctx, a, path, all, strlen(all), &(ImportOptions){.name = "net"}, &im);
    } else
        ok = ok && import_keras_bytes(ctx, a, path, text, n, &(ImportOptions){.name = "net"}, &im);
    if (!ok) {
        printf("  left out: %s\n", set_error(ctx));
        s->refused++;
        return;
    }
    if (access(arena_printf(a, "%s_y_python.csv", base), R_OK) != 0) {
        printf("  left out: %s is imported, but has no expected outputs\n", path);
        s->refused++;
        return;
    }
    bool seq = im.in.at[0].seq;
    ok = column(ctx, arena_printf(a, "%s_x_python.csv", base), seq, &x) &&
         column(ctx, arena_printf(a, "%s_y_python.csv", base), seq, &y) && add(ctx, &im.in.at[0], &x, &im.given) &&
         add(ctx, &im.out.at[0], &y, &im.expected);
    if (ok && set_run(s, ctx, &im, 1e-6))
        s->passed++;
    else
        set_fail(s, ctx, path, "other numbers");
}

void sets_rtneural(void) {
    /* full_model has no expected outputs, bad_lstm contradicts itself (RTNeural keeps it for that) */
    static const char *const name[] = {"lstm",       "lstm_1d",   "gru",        "gru_1d",  "dense",
                                       "lstm_torch", "gru_torch", "full_model", "bad_lstm"};
    Set s = {.name = "rtneural"};
    Ctx *ctx = ctx_make(NULL);
    const char *dir = ctx ? set_find(ctx, "rtneural/rnn") : NULL;
    for (size_t i = 0; dir && i < sizeof name / sizeof *name; i++)
        set_with_context(rtneural_case, &s, arena_printf(ctx_arena(ctx), "%s/%s.json", dir, name[i]));
    if (dir && (s.passed != 7 || s.refused != 2)) set_fail(&s, NULL, dir, "other counts than known");
    if (dir) set_end(&s, 1e-6);
    if (ctx) ctx_destroy(ctx);
}

/* ---- PyTorch ------------------------------------------------------------------------------------------------------------- */

/* weight_ih, weight_hh [8, 2], bias_ih, bias_hh [8]: element k of n is k / n; x [T = 3, N = 4, 2]: (24 - k) / 24. */
static void pytorch_case(Ctx *ctx, Set *s, const void *arg) {
    static const char *const tensor[] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"};
    static const char *const out[] = {"h_n", "c_n", "output"}; /* in the order of the model's outputs */
    Arena *a = ctx_arena(ctx);
    const Json *j = load(ctx, arg);
    Imported im;
    Str text = str_make(a);
    str_put(&text, "{\"layers\": [{\"kind\": \"lstm\", \"states\": true}], \"weights\": {");
    for (int t = 0; t < 4; t++) {
        int n = t < 2 ? 16 : 8;
        str_printf(&text, "%s\"%s\": {\"shape\": [8%s], \"data\": [", t ? ", " : "", tensor[t], t < 2 ? ", 2" : "");
        for (int k = 0; k < n; k++) str_printf(&text, "%s%.9g", k ? ", " : "", (double)k / n);
        str_put(&text, "]}");
    }
    str_put(&text, "}}");
    bool ok = j && import_torch_text(ctx, a, "lstm_cpp_api", text.at, text.n, &(ImportOptions){.name = "net"}, &im);
    double x[24];
    for (int k = 0; k < 24; k++) x[k] = (24 - k) / 24.0;
    Array given = {.type = RONDO_F64, .rank = 3, .dim = {3, 4, 2}, .data = x, .name = ""};
    for (uint32_t i = 0; ok && i < 4; i++) { /* PyTorch's sequences have time first */
        ImportPort p = i ? im.out.at[i - 1] : im.in.at[0];
        Array y = given;
        if (i) ok = json_array_of(ctx, a, "lstm_cpp_api", out[i - 1], json_get(j, out[i - 1]), &y);
        if (p.seq) p.role[0] = DIM_TIME, p.role[1] = DIM_BATCH;
        const Array *z = ok ? import_arrange(ctx, a, &p, &y) : NULL;
        ok = z != NULL;
        if (ok) VEC_PUSH(a, (i ? &im.expected : &im.given)->array) = *z;
    }
    double bar = json_number_of(j, "tolerance", 1e-3);
    if (ok && set_run(s, ctx, &im, bar))
        s->passed++;
    else
        set_fail(s, ctx, "lstm_cpp_api", "not imported, or other numbers");
    set_end(s, bar);
}

void sets_pytorch(void) {
    Set s = {.name = "pytorch"};
    Ctx *ctx = ctx_make(NULL);
    const char *path = ctx ? set_find(ctx, "pytorch/lstm_cpp_api.json") : NULL;
    if (path) set_with_context(pytorch_case, &s, path);
    if (ctx) ctx_destroy(ctx);
}
