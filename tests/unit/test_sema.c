/* test_sema: names, shapes and values of what the front end builds from std; the wrong programs of tests/errors/sema with
   their diagnostics, exact; the models of tests/conform against the lists of arrays; docs/language.md against keys.def.
   `test_sema --update` writes the expectations that are missing; read them before they are kept.
   `test_sema --mutate SEED ROUNDS` only edits valid programs at random. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sema.h"

static int passed, failed;
static bool update;

void check(bool ok, const char *what, const char *where) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED %s: %s\n", where, what);
    }
}

void print_diagnostics(Ctx *ctx) {
    Str s = str_make(ctx_arena(ctx));
    if (!diag_error_count(ctx)) return;
    diag_render(ctx, &s, false);
    printf("%s", s.at ? s.at : "");
}

Program *load_text(Ctx *ctx, Arena *a, const char *text) {
    FrontendOptions o = {.std_dir = "std", .text = text};
    return frontend_load(ctx, a, "test.rondo", &o);
}

/* ---- weight names ----------------------------------------------------------------------------------------------------- */

static void put_shape(Str *s, Ctx *ctx, Name name, int rank, const int32_t *dim) {
    str_printf(s, "%s[", name_str(ctx, name));
    for (int i = 0; i < rank; i++) str_printf(s, "%s%d", i ? "," : "", (int)dim[i]);
    str_put(s, "] ");
}

/* "h.W[3,2] h.b[3] | h.h[3]": parameters in order, then states. */
static void test_names(const char *text, const char *want) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    const Program *p = load_text(ctx, &a, text);
    check(p != NULL, "loads", text);
    print_diagnostics(ctx);
    if (p) {
        const ModelDesc *d = frontend_desc(p);
        int64_t total = 0;
        for (uint32_t i = 0; i < d->param.n; i++) {
            put_shape(&s, ctx, d->param.at[i].name, d->param.at[i].rank, d->param.at[i].dim);
            total += d->param.at[i].count;
        }
        str_put(&s, "|");
        for (uint32_t i = 0; i < d->state.n; i++) {
            str_put(&s, " ");
            put_shape(&s, ctx, d->state.at[i].name, d->state.at[i].rank, d->state.at[i].dim);
            s.at[--s.n] = 0;
        }
        check(total == d->theta_size, "counts its parameters", text);
        check(!strcmp(s.at, want), "names", text);
        if (strcmp(s.at, want)) printf("  want: %s\n  got:  %s\n", want, s.at);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

#define M(body) "model m { input x: seq [2] " body " }"

static void test_weight_names(void) {
    test_names(M("y = lstm[3](x) output y"),
               "y.Wi[3,2] y.Wf[3,2] y.Wg[3,2] y.Wo[3,2] y.Ui[3,3] y.Uf[3,3] y.Ug[3,3] y.Uo[3,3] y.bi[3] y.bg[3] y.bo[3] y.bf[3] | y.h[3] y.c[3]");
    test_names(M("y = gru[1](x) output y"),
               "y.Wz[1,2] y.Wr[1,2] y.Wn[1,2] y.Uz[1,1] y.Ur[1,1] y.Un[1,1] y.bz[1] y.br[1] y.bn[1] y.cn[1] | y.h[1]");
    test_names(M("p = sigmoid(dense[1](simple_rnn[3](x).last)) output p"),
               "simple_rnn.W[3,2] simple_rnn.U[3,3] simple_rnn.b[3] dense.W[1,3] dense.b[1] | simple_rnn.h[3]");
    test_names(M("a = dense[3](x) b = dense[4](a) + dense[4](x) output b"),
               "a.W[3,2] a.b[3] dense.W[4,3] dense.b[4] dense_2.W[4,2] dense_2.b[4] |");
    test_names(M("h = simple_rnn[2](x) h = simple_rnn[2](h) output h"),
               "h.W[2,2] h.U[2,2] h.b[2] h_2.W[2,2] h_2.U[2,2] h_2.b[2] | h.h[2] h_2.h[2]");
    test_names(M("e = simple_rnn[2] a = e(x) b = e(a) output b"), "e.W[2,2] e.U[2,2] e.b[2] | e.h[2] e_2.h[2]");
    test_names(M("param W: [3, 2] = 0 param s: [] = 1 y = s * (W @ x) output y"), "W[3,2] s[] |");
    test_names(M("h = dense[4](x) repeat 2 { h' = h + gru_v1[4](h) } output h"),
               "h.W[4,2] h.b[4] gru_v1.0.Wz[4,4] gru_v1.0.Wr[4,4] gru_v1.0.Wn[4,4] gru_v1.0.Uz[4,4] gru_v1.0.Ur[4,4] gru_v1.0.Un[4,4] gru_v1.0.bz[4] "
               "gru_v1.0.br[4] gru_v1.0.bn[4] gru_v1.1.Wz[4,4] gru_v1.1.Wr[4,4] gru_v1.1.Wn[4,4] gru_v1.1.Uz[4,4] gru_v1.1.Ur[4,4] gru_v1.1.Un[4,4] "
               "gru_v1.1.bz[4] gru_v1.1.br[4] gru_v1.1.bn[4] | gru_v1.0.h[4] gru_v1.1.h[4]");
    test_names("cell outer_cell[H](x: [I]) { state s: [H] = 0 s' = simple_rnn[H](x, h = s) return s' }\n" M("d = outer_cell[3](x) output d"),
               "d.simple_rnn.W[3,2] d.simple_rnn.U[3,3] d.simple_rnn.b[3] | d.s[3]");
    test_names("model m { input t: seq token[5] e = embedding[5, 3] h = simple_rnn[3](e(t)) y = e.E @ h output y }",
               "e.E[5,3] h.W[3,3] h.U[3,3] h.b[3] | h.h[3]");
    test_names(M("const k = 2 const w: [2] y = k * x * w output y"), "k[] w[2] |");
}

/* ---- settings --------------------------------------------------------------------------------------------------------- */

static const char sized[] = "model m[H = 3] { input x: seq [2] y = dense[H](x) output y train { epochs = 7, optimizer = adam(lr = 1 / H) } data { window = 2 * H } }";

/* --set: the size of the output, or the code of the error. */
static void test_set(const char *set, int size, int code) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = "std", .text = sized, .set = &set, .nset = 1};
    const Program *p = frontend_load(ctx, &a, "test.rondo", &o);
    check((p != NULL) == (code == 0), "--set", set);
    if (p) check(frontend_desc(p)->output.at[0].dim[0] == size, "sets a size", set);
    else check(diag_count(ctx) > 0 && diag_at(ctx, 0)->code == code, "says why", set);
    arena_free(&a);
    ctx_destroy(ctx);
}

static void test_override(Ctx *ctx, Program *p, const char *assignment, int code) {
    check(settings_override(p, KEYS_TRAIN, assignment) == (code == 0), "is set or refused", assignment);
    check(code == 0 || (diag_count(ctx) > 0 && diag_at(ctx, 0)->code == code), "says why", assignment);
    diag_clear(ctx);
}

static void test_settings(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Program *p = load_text(ctx, &a, sized);
    check(p != NULL, "loads", "settings");
    if (p) {
        const ModelDesc *d = frontend_desc(p);
        const Setting *v = settings_find(&d->train, intern(ctx, "optimizer"));
        check(settings_number(ctx, &d->train, KEYS_TRAIN, "epochs") == 7, "as written", "epochs");
        check(settings_number(ctx, &d->train, KEYS_TRAIN, "batch") == 32, "its default", "batch");
        check(settings_bool(ctx, &d->train, KEYS_TRAIN, "shuffle"), "its default", "shuffle");
        check(settings_number(ctx, &d->data, KEYS_DATA, "window") == 6, "computed from a size", "window");
        check(v && v->kind == SET_CALL && v->n == 1 && v->item[0].number == 1.0 / 3, "with its argument", "optimizer");
        test_override(ctx, p, "epochs=3", 0);
        check(settings_number(ctx, &d->train, KEYS_TRAIN, "epochs") == 3, "replaced", "epochs");
        test_override(ctx, p, "epoch=3", 500);
        test_override(ctx, p, "epochs=many", 501);
        test_override(ctx, p, "epochs", 504);
        test_override(ctx, p, "epochs=3 4", 100);
        test_override(ctx, p, "optimizer=adma(lr = 1)", 505);
        test_override(ctx, p, "optimizer=sgd(lr = 1)", 0);
        test_override(ctx, p, "optimizer=sgd(rl = 1)", 206);
        test_override(ctx, p, "lr_scale=[\"y.*\": 0.1]", 0);
    }
    test_set("H=5", 5, 0);
    test_set("H=2*4", 8, 0);
    test_set("H", 0, 504);
    test_set("K=5", 0, 504);
    test_set("H=0", 0, 304);
    test_set("H=x", 0, 200);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Files that import each other, by whatever spelling, are each read once. */
static void test_imports(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = "std"};
    const char *folder = "tests/imports";
    const Program *p = frontend_load(ctx, &a, arena_printf(&a, "%s/./ring.rondo", folder), &o);
    check(p && frontend_desc(p)->output.n == 1 && diag_count(ctx) == 0, "loads", "tests/imports/ring.rondo");
    print_diagnostics(ctx);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* ---- models of other projects' vectors --------------------------------------------------------------------------------- */

/* The arrays `"param/y.W": "float64[9, 5]"` of the list are the model's parameters, no more and no fewer; its
   states are among the model's (std's qrnn remembers an input besides). */
static void test_conform(const char *name, const char *json) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = "std"};
    uint32_t found = 0;
    char *text;
    size_t n;
    const Program *p = frontend_load(ctx, &a, name, &o);
    check(p != NULL, "loads", name);
    print_diagnostics(ctx);
    if (p && file_read(ctx, &a, json, &text, &n)) {
        const ModelDesc *d = frontend_desc(p);
        for (uint32_t i = 0; i < d->param.n; i++) {
            Str s = str_make(&a);
            str_printf(&s, "\"%s/%s\": \"float64[", d->param.at[i].is_const ? "const" : "param", name_str(ctx, d->param.at[i].name));
            for (int k = 0; k < d->param.at[i].rank; k++) str_printf(&s, "%s%d", k ? ", " : "", (int)d->param.at[i].dim[k]);
            str_put(&s, "]\"");
            check(strstr(text, s.at) != NULL, s.at, name);
        }
        for (const char *at = text; (at = strstr(at, "\"param/")) != NULL; at++) found++;
        check(found == d->param.n, "has every parameter of the list", name);
        found = 0;
        for (uint32_t i = 0; i < d->state.n; i++)
            found -= strstr(text, arena_printf(&a, "\"final/%s\"", name_str(ctx, d->state.at[i].name))) != NULL;
        for (const char *at = text; (at = strstr(at, "\"final/")) != NULL; at++) found += at[7] != '*'; /* a note speaks of all */
        check(found == 0, "has every state of the list", name);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

/* ---- folders ---------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef void Runner(const char *path, const char *stem);

static void run_folder(const char *folder, Runner *run) {
    DIR *d = opendir(folder);
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    VEC(char *) files = {0};
    check(d != NULL, "can be read", folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        if (n > 6 && strcmp(e->d_name + n - 6, ".rondo") == 0) VEC_PUSH(a, files) = arena_strndup(a, e->d_name, n - 6);
    }
    if (d) closedir(d);
    if (files.n) qsort(files.at, files.n, sizeof *files.at, by_name);
    for (uint32_t i = 0; i < files.n; i++) run(arena_printf(a, "%s/%s", folder, files.at[i]), files.at[i]);
    ctx_destroy(ctx);
}

static void run_conform(const char *path, const char *stem) {
    char file[512], json[512];
    snprintf(file, sizeof file, "%s.rondo", path);
    snprintf(json, sizeof json, "../shared/conformance/cells/%s.json", stem);
    test_conform(file, json);
}

/* Every code that is reported has an explanation. */
static void check_codes(Ctx *ctx, const char *path) {
    for (uint32_t i = 0; i < diag_count(ctx); i++) {
        const Diag *d = diag_at(ctx, i);
        const char *summary, *text;
        if (d->kind != DIAG_ERROR && d->kind != DIAG_WARNING) continue;
        check(error_explain(d->code, &summary, &text) && strlen(text) > 20, "its code has an explanation", path);
        check(d->code != 999, "is not internal", path);
    }
}

static void run_error(const char *path, const char *stem) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = "std"};
    const char *source = arena_printf(&a, "%s.rondo", path), *want_path = arena_printf(&a, "%s.err", path);
    Str got = str_make(&a);
    char *want = NULL;
    size_t n;
    Program *p = frontend_load(ctx, &a, source, &o);
    check((p == NULL) == (diag_error_count(ctx) > 0), "fails if and only if it says why", path);
    check(diag_count(ctx) > 0, "says something", path);
    check_codes(ctx, path);
    diag_render(ctx, &got, false);
    diag_clear(ctx);
    if (!file_read(ctx, &a, want_path, &want, &n)) want = NULL;
    if (!want && update) check(file_write(ctx, want_path, got.at, got.n), "cannot write the expectation", path);
    else check(want && got.at && !strcmp(want, got.at), want ? "other diagnostics" : "no expectation; run with --update", path);
    if (want && got.at && strcmp(want, got.at)) printf("--- want\n%s--- got\n%s", want, got.at);
    (void)stem;
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Every declaration of std and every example, also those that no model uses. */
static void run_valid(const char *path, const char *stem) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = "std"};
    check(frontend_load(ctx, &a, arena_printf(&a, "%s.rondo", path), &o) != NULL, "is correct", path);
    print_diagnostics(ctx);
    (void)stem;
    arena_free(&a);
    ctx_destroy(ctx);
}

/* The cells of a model's file without the model: checked alone they are as correct as in use. */
static void run_alone(const char *path, const char *stem) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    char *text, *end;
    size_t n;
    if (file_read(ctx, &a, arena_printf(&a, "%s.rondo", path), &text, &n) && (end = strstr(text, "\nmodel ")) != NULL) {
        *end = 0;
        check(load_text(ctx, &a, text) != NULL && diag_count(ctx) == 0, "its cells are correct alone", path);
        print_diagnostics(ctx);
    }
    (void)stem;
    arena_free(&a);
    ctx_destroy(ctx);
}

/* ---- documentation ---------------------------------------------------------------------------------------------------- */

/* A row of keys.def is a row of the table: "| `epochs` | int [0, inf) | `10` |". */
static void test_docs(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    char *text;
    size_t n;
    bool ok = file_read(ctx, &a, "docs/language.md", &text, &n);
    check(ok, "can be read", "docs/language.md");
    for (uint32_t i = 0; ok && i < key_row_count; i++) {
        const KeyRow *r = &key_rows[i];
        const char *init = r->init[0] ? arena_printf(&a, "`%s`", r->init) : "none";
        const char *apart = !r->range[0] ? "" : strchr("[(", r->range[0]) ? " " : ": ";
        const char *row = arena_printf(&a, "| `%s` | %s%s%s | %s |", r->key, r->type, apart, r->range, init);
        const char *head = strstr(text, arena_printf(&a, "### Keys of `%s`", r->block));
        const char *end = head ? strstr(head + 1, "\n#") : NULL, *at = head ? strstr(head, row) : NULL;
        check(at && (!end || at < end), "is not in docs/language.md", row);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(int argc, char **argv) {
    update = argc > 1 && strcmp(argv[1], "--update") == 0;
    if (argc > 3 && strcmp(argv[1], "--mutate") == 0) test_mutations(argv[2], atoi(argv[3]));
    else {
        test_weight_names();
        test_settings();
        test_imports();
        test_values();
        test_unroll();
        test_pieces();
        test_checked();
        run_folder("tests/conform/cells", run_conform);
        run_folder("tests/conform/cells", run_alone);
        run_folder("tests/unroll", run_alone);
        run_folder("tests/errors/sema", run_error);
        run_folder("std", run_valid);
        run_folder("examples", run_valid);
        test_docs();
        test_mutations("1", 400);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
