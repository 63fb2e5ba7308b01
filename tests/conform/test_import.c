/* test_import: models and vectors of other projects through the importers: each is imported, run by the f64 evaluator and by the
   JIT in f32, and held against the source's expected outputs. What is not imported is listed with the importer's reason.
   usage: test_import; the vectors are in $RONDO_SHARED, or ../shared */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conform/sets.h"

static struct {
    const char *shared;
    long passed, skipped, failed;
    long runs; /* for every 40th the engine that compiles C, too */
} all;

void set_fail(Set *s, Ctx *ctx, const char *name, const char *why) {
    s->failed++;
    fprintf(stderr, "FAILED: %s %s: %s\n", s->name, name, why);
    for (uint32_t i = 0; ctx && i < diag_count(ctx); i++) fprintf(stderr, "    %s\n", diag_at(ctx, i)->text);
}

const char *set_error(const Ctx *ctx) {
    for (uint32_t i = 0; i < diag_count(ctx); i++)
        if (diag_at(ctx, i)->kind == DIAG_ERROR) return diag_at(ctx, i)->text;
    return "";
}

static bool run_one(Set *s, Ctx *ctx, const Imported *im, ExecEngine engine, double bar) {
    bool f64 = engine == EXEC_EVAL;
    ModelOptions o = {.std_dir = std_folder(ctx_arena(ctx)), .exec = {.engine = engine, .f64 = f64, .threads = 1}};
    Model *m = imported_open(ctx, im, &o);
    double worst = 0;
    bool ok = m && imported_check(m, ctx_arena(ctx), im, bar, &worst);
    if (m) model_close(m);
    if (worst > s->worst[!f64]) s->worst[!f64] = worst;
    return ok;
}

bool set_run(Set *s, Ctx *ctx, const Imported *im, double bar) {
    bool c = all.runs++ % 40 == 0;
    return run_one(s, ctx, im, EXEC_EVAL, bar) && run_one(s, ctx, im, EXEC_JIT, bar) &&
           (!c || run_one(s, ctx, im, EXEC_C, bar));
}

void set_end(const Set *s, double bar) {
    printf("%-10s %3ld passed, %ld refused, %ld failed; worst difference %.2g in f64, %.2g in f32, bar %g\n", s->name,
           s->passed, s->refused, s->failed, s->worst[0], s->worst[1], bar);
    all.passed += s->passed;
    all.failed += s->failed;
}

const char *set_find(Ctx *ctx, const char *path) {
    const char *full = arena_printf(ctx_arena(ctx), "%s/conformance/%s", all.shared, path);
    struct stat st;
    if (stat(full, &st) == 0) return full;
    printf("skipped: there is no %s\n", full);
    all.skipped++;
    return NULL;
}

void set_with_context(void (*fn)(Ctx *ctx, Set *s, const void *arg), Set *s, const void *arg) {
    Ctx *ctx = ctx_make(NULL);
    CtxFrame frame;
    if (ctx && CTX_TRY(ctx, &frame)) {
        fn(ctx, s, arg);
        CTX_END(ctx);
    } else
        set_fail(s, NULL, "", "memory ran out");
    if (ctx) ctx_destroy(ctx);
}

/* ---- ONNX models with their vectors -------------------------------------------------------------------------------------- */

static void onnx_model(Ctx *ctx, Set *s, const void *arg) {
    const char *path = arg;
    Imported im;
    if (!import_onnx(ctx, ctx_arena(ctx), path, &(ImportOptions){.name = "net"}, &im)) {
        if (!diag_count(ctx) || diag_at(ctx, 0)->code != 651)
            set_fail(s, ctx, path, "not imported");
        else
            printf("  left out: %s\n", strstr(set_error(ctx), ": ") + 2);
        s->refused++;
    } else if (!im.expected.array.n)
        set_fail(s, ctx, path, "it has no vectors");
    else if (!set_run(s, ctx, &im, 1e-5))
        set_fail(s, ctx, path, "other numbers");
    else
        s->passed++;
}

typedef VEC(char *) Paths;

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Paths of a folder's models, in order: DIR/NAME/model.onnx, or the files with a suffix. */
static void list_models(Ctx *ctx, const char *dir, const char *suffix, Paths *out) {
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name), k = strlen(suffix);
        if (e->d_name[0] == '.' || (*suffix == '.' && (n < k || strcmp(e->d_name + n - k, suffix)))) continue;
        char *path = arena_printf(ctx_arena(ctx), "%s/%s%s", dir, e->d_name, *suffix == '/' ? suffix : "");
        if (access(path, R_OK) == 0) VEC_PUSH(ctx_arena(ctx), *out) = path;
    }
    if (d) closedir(d);
    if (out->n) qsort(out->at, out->n, sizeof *out->at, by_name);
}

/* dir NULL: nothing to do. */
static void onnx_folder(Ctx *ctx, const char *name, const char *dir, long want, long want_refused) {
    Set s = {.name = name};
    Paths path = {0};
    if (!dir) return;
    list_models(ctx, dir, "/model.onnx", &path);
    for (uint32_t i = 0; i < path.n; i++) set_with_context(onnx_model, &s, path.at[i]);
    if (s.passed != want || s.refused != want_refused) set_fail(&s, NULL, dir, "other counts than known");
    set_end(&s, 1e-5);
}

/* ---- the tree's own models ----------------------------------------------------------------------------------------------- */

static void own_model(Ctx *ctx, Set *s, const void *arg) {
    const char *path = arg;
    Arena *a = ctx_arena(ctx);
    Imported im;
    Arrays v;
    bool keras = strstr(path, ".keras") != NULL;
    const char *npz = arena_printf(a, "%.*s.npz", (int)(strrchr(path, '.') - path), path);
    bool ok = (keras ? import_keras : import_torch)(ctx, a, path, NULL, &im) && npz_read(ctx, a, npz, &v);
    for (int in = 1; ok && in >= 0; in--)
        for (uint32_t i = 0; ok && i < (in ? im.in.n : im.out.n); i++) {
            const Array *x = arrays_find(&v, arena_printf(a, "%c%u", in ? 'x' : 'y', (unsigned)i));
            const Array *y = x ? import_arrange(ctx, a, in ? &im.in.at[i] : &im.out.at[i], x) : NULL;
            ok = y != NULL;
            if (ok) VEC_PUSH(a, (in ? &im.given : &im.expected)->array) = *y;
        }
    if (ok && set_run(s, ctx, &im, 1e-5))
        s->passed++;
    else
        set_fail(s, ctx, path, "not imported, or other numbers");
}

static void own_models(Ctx *ctx) {
    Set s = {.name = "own"};
    Paths path = {0};
    list_models(ctx, "tests/import/keras", ".keras", &path);
    list_models(ctx, "tests/import/torch", ".json", &path);
    for (uint32_t i = 0; i < path.n; i++) set_with_context(own_model, &s, path.at[i]);
    if (s.passed != 7) set_fail(&s, NULL, "tests/import", "other counts than known");
    set_end(&s, 1e-5);
    onnx_folder(ctx, "own onnx", "tests/import/onnx", 9, 0);
}

/* ---- runs of ONNX Runtime's tests: one operator a line ------------------------------------------------------------------- */

static bool expects_failure(const char *line) { return strstr(line, "\"expect\":\"failure\"") != NULL; }

static long without_steps; /* runs in which an example has no steps */

static void ort_line(Ctx *ctx, Set *s, const void *arg) {
    const char *line = arg;
    Imported im;
    char name[120];
    snprintf(name, sizeof name, "%.100s", line + 1);
    bool ok = import_onnx_json(ctx, ctx_arena(ctx), "run", line, strlen(line), &(ImportOptions){.name = "net"}, &im);
    if (strstr(line, "AttnLSTM")) { /* refused by domain */
        if (s->refused == 0) printf("  left out: %s\n", set_error(ctx));
        if (ok || !strstr(set_error(ctx), "com.microsoft"))
            set_fail(s, ctx, name, "an operator of another domain was imported");
        else
            s->refused++;
        return;
    }
    if (ok && im.empty.n) without_steps++;
    ok = ok && set_run(s, ctx, &im, 1e-4);
    if (!expects_failure(line)) {
        if (ok)
            s->passed++;
        else
            set_fail(s, ctx, name, "not imported, or other numbers");
        return;
    }
    /* the source gives three wrong inputs: an unknown activation, too few lengths, lengths past the end */
    const char *why = set_error(ctx);
    bool says = strstr(why, "Invalid_activation") || strstr(why, "length");
    if (ok || !says)
        set_fail(s, ctx, name, "wrong input was not refused with its reason");
    else
        printf("  refused as it must be: %s\n", why);
    s->refused++;
}

static void ort_file(const char *name, const char *file, long want, long want_refused) {
    Set s = {.name = name};
    Ctx *ctx = ctx_make(NULL);
    const char *path = ctx ? set_find(ctx, file) : NULL;
    char *text = NULL;
    size_t n = 0;
    if (path && !file_read(ctx, ctx_arena(ctx), path, &text, &n)) set_fail(&s, ctx, file, "cannot be read");
    for (char *line = text, *next; line && *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        set_with_context(ort_line, &s, line);
    }
    if (path && (s.passed != want || s.refused != want_refused)) set_fail(&s, NULL, file, "other counts than known");
    if (path) set_end(&s, 1e-4);
    if (ctx) ctx_destroy(ctx);
}

int main(void) {
    const char *shared = getenv("RONDO_SHARED");
    Ctx *ctx = ctx_make(NULL);
    if (!ctx) return 2;
    all.shared = shared && *shared ? shared : "../shared";
    setvbuf(stdout, NULL, _IOLBF, 0);
    own_models(ctx);
    onnx_folder(ctx, "onnx", set_find(ctx, "onnx"), 17, 1);
    onnx_folder(ctx, "onnx2c", set_find(ctx, "onnx2c"), 11, 0);
    onnx_folder(ctx, "cntk", set_find(ctx, "ort/cntk"), 2, 0);
    ort_file("ort lstm", "ort/lstm.jsonl", 58, 0);
    ort_file("ort gru", "ort/gru.jsonl", 58, 0);
    ort_file("ort rnn", "ort/rnn.jsonl", 19, 3);
    ort_file("ort attn", "ort/attn_lstm.jsonl", 0, 6);
    sets_keras();
    sets_rtneural();
    sets_pytorch();
    if (without_steps)
        printf("  %ld runs of ort hold examples with a length of 0: ONNX expects zeros of those, Rondo's lengths start at 1; "
               "the other\n"
               "  examples of these runs are compared\n",
               without_steps);
    printf("%ld passed, %ld failed, %ld sets missing\n", all.passed, all.failed, all.skipped);
    ctx_destroy(ctx);
    return all.failed ? 1 : all.skipped ? 77 : 0;
}
