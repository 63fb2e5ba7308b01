/* test_fault: what happens when the Nth allocation fails, for every N, and when a file cannot be written to its end. Each piece of
   work is done with every N until it succeeds: it must end with its "no memory" status, give all memory back, leave files whole,
   and succeed on the same handle once there is memory again. Run from the project's root. */
#include "import/import.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int passed, failed;
static const char *dir;
static char path_buffer[8][256];

static void check(bool ok, const char *what, const char *where, long n) {
    if (ok) passed++;
    else if (failed++ < 40) printf("FAILED: %s, allocation %ld: %s\n", where, n, what);
}

/* The files stand in a folder of this run's own; where it is removed or its disk is full, every write fails and nothing else does. */
static void need_folder(void) {
    FILE *f;
    char path[600];
    snprintf(path, sizeof path, "%s/room", dir);
    bool room = (f = fopen(path, "wb")) != NULL && fputs("0123456789", f) >= 0;
    if (f) room = fclose(f) == 0 && room;
    remove(path);
    if (room) return;
    printf("FAILED: %s was removed or has no room: this says nothing about the library\n", dir);
    exit(1);
}

/* ---- scarce memory ------------------------------------------------------------------------------------------------------ */

typedef struct {
    long left, alive; /* allocations granted; blocks held */
    bool once; /* only the one after `left` fails */
    bool failed;
} Faulty;

static void *scarce(void *arg, void *p, size_t n) {
    Faulty *f = arg;
    if (n == 0) {
        f->alive -= p != NULL;
        free(p);
        return NULL;
    }
    if (f->left-- <= 0 && !(f->once && f->failed)) {
        f->failed = true;
        return NULL;
    }
    f->alive += p == NULL;
    return realloc(p, n);
}

static void plenty(Faulty *f) {
    f->left = 1L << 40;
    f->once = false;
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */

static char *path_of(const char *name) {
    static int k;
    char *p = path_buffer[k++ % 8];
    snprintf(p, sizeof path_buffer[0], "%s/%s", dir, name);
    return p;
}

static size_t slurp(const char *path, char *out, size_t cap) {
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(out, 1, cap, f) : 0;
    if (f) fclose(f);
    return n;
}

static void put(const char *path, const char *text, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f) return;
    if (fwrite(text, 1, n, f) != n) failed++;
    fclose(f);
}

/* Removes what is in the folder; counts temporary files. */
static int sweep(const char *folder, bool clear) {
    int temporary = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char p[600];
        struct stat st;
        if (e->d_name[0] == '.') continue;
        snprintf(p, sizeof p, "%s/%s", folder, e->d_name);
        if (stat(p, &st) == 0 && S_ISDIR(st.st_mode)) {
            temporary += sweep(p, clear);
            if (clear) rmdir(p);
            continue;
        }
        temporary += strstr(e->d_name, ".tmp") != NULL || strncmp(e->d_name, "new-", 4) == 0;
        if (clear) unlink(p);
    }
    if (d) closedir(d);
    return temporary;
}

static int open_files(void) {
    volatile int n = 0; /* inlined beside setjmp */
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) != -1;
    return n;
}

/* ---- work through rondo.h ----------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    rondo_engine engine;
    rondo_status (*run)(rondo_model *m);
    const char *file; /* that it writes; NULL: none */
    bool no_weights;
} Work;

static float x_data[3 * 4 * 2], y_data[3 * 4];
static rondo_array arrays[] = {{.name = "x", .rank = 3, .dim = {3, 4, 2}, .data = x_data}, {.name = "y", .rank = 2, .dim = {3, 4}, .data = y_data}};

static rondo_status do_nothing(rondo_model *m) {
    (void)m;
    return RONDO_OK;
}
static rondo_status do_init(rondo_model *m) { return rondo_init_weights(m, 3); }
static rondo_status do_save(rondo_model *m) { return rondo_save_weights(m, path_of("out")); }
static rondo_status do_load(rondo_model *m) { return rondo_load_weights(m, path_of("w.safetensors"), NULL, 0); }
static rondo_status do_predict(rondo_model *m) {
    rondo_array out = {.name = "h"};
    return rondo_predict(m, arrays, 1, &out, 1);
}
static rondo_status do_evaluate(rondo_model *m) {
    double loss;
    return rondo_evaluate(m, NULL, arrays, 2, &loss, NULL, 0);
}
static rondo_status do_train(rondo_model *m) {
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.arrays = arrays;
    o.narrays = 2;
    o.checkpoint = path_of("out");
    return rondo_train(m, &o, NULL);
}
static rondo_status do_stream(rondo_model *m) {
    rondo_stream *s;
    float y[4];
    rondo_status got = rondo_stream_open(m, 1, &s);
    if (got == RONDO_OK) got = rondo_stream_step(s, x_data, y);
    rondo_stream_close(s);
    return got;
}
static rondo_status do_emit(rondo_model *m) { return rondo_emit(m, "c", NULL, path_of("emitted")); }

static rondo_status open_model(rondo_model **m, const Work *w, Faulty *f, const char *text) {
    static const char *const set[] = {"epochs=2", "batch=2"};
    rondo_options o = RONDO_OPTIONS_INIT;
    o.engine = w->engine;
    o.std_dir = "std";
    o.realloc_fn = scarce;
    o.realloc_arg = f;
    o.set = set;
    o.nset = 2;
    return rondo_open_text(m, "fault.rondo", text, strlen(text), &o);
}

/* One piece of work with allocation n failing: first the opening alone, then the work on an open model. True when nothing failed. */
static bool attempt(const Work *w, const char *text, long n, bool once, bool opening) {
    static char before[1 << 16], after[1 << 16];
    Faulty f = {n, 0, once, false};
    rondo_model *m;
    int files = open_files();
    if (!opening) plenty(&f);
    rondo_status s = open_model(&m, w, &f, text);
    if (!opening) {
        check(s == RONDO_OK && (w->no_weights || rondo_init_weights(m, 7) == RONDO_OK), "the model opens", w->name, n);
        put(path_of("out"), "old", 3);
        f.left = n;
        f.once = once;
        s = w->run(m);
        size_t old = slurp(path_of("out"), before, sizeof before);
        bool whole = old == 3 && memcmp(before, "old", 3) == 0;
        if (f.failed && s != RONDO_OK) {
            check(s == RONDO_NO_MEMORY, "the status is RONDO_NO_MEMORY", w->name, n);
            check(rondo_message(m)[0] != 0, "there is a message", w->name, n);
            check(whole || !w->file || w->run == do_train, "the old file stays", w->name, n);
        } else check(s == RONDO_OK, f.failed ? "success without that memory" : "it works", w->name, n);
        plenty(&f);
        s = w->run(m);
        check(s == RONDO_OK, s == RONDO_OK ? "" : rondo_message(m), w->name, n);
        if (s != RONDO_OK) need_folder();
        if (w->file && w->run != do_train) {
            size_t a = slurp(path_of("out"), after, sizeof after);
            check(whole || (a == old && memcmp(before, after, a) == 0), "the file is the old one or the new one", w->name, n);
        }
    } else check(f.failed ? s == RONDO_NO_MEMORY || (once && s == RONDO_OK) : s == RONDO_OK, "the status of opening", w->name, n);
    bool done = !f.failed;
    rondo_close(m);
    check(f.alive == 0, "all memory comes back", w->name, n);
    check(open_files() == files, "no file stays open", w->name, n);
    check(sweep(dir, false) == 0, "no temporary file stays", w->name, n);
    return done;
}

static void test_work(const Work *w, const char *text) {
    static const char *const what[] = {"opening", "work"};
    for (int k = 0; k < 4; k++) {
        bool opening = k < 2, done = false;
        if (opening && w->run != do_nothing) continue;
        if (!opening && w->run == do_nothing) continue;
        long n = 0;
        for (; !done && n < 3000; n++) done = attempt(w, text, n, k & 1, opening);
        check(done, "it ends", what[!opening], n);
    }
}

static const char text[] = "cell rnn[H](x: [I]) {\n param W: [H, I] = glorot_uniform\n param U: [H, H] = orthogonal\n state h: [H] = 0\n"
                           " h' = tanh(W @ x + U @ h)\n return h'\n}\nmodel tiny {\n input x: seq [2]\n target y: [4]\n"
                           " h = rnn[4](x)\n output h = h.last\n loss mse(h.last, y)\n metric mae(h.last, y)\n}\n";

/* ---- data --------------------------------------------------------------------------------------------------------------- */

static const char text_model[] = "model t { input x: seq token[9] target y: seq token[9] z = dense[9](gru[2](embedding[9, 2](x))) output logits = z\n"
                                 " loss softmax_crossentropy(z, y) metric sparse_accuracy(z, y)\n"
                                 " train { stateful = true } data { text = \"%s\", window = 3, split = chronological(0.7, valid = 0.3) } }";
static const char line_model[] = "model l { input x: seq token[9] target y: bool p = sigmoid(dense[1](gru[2](embedding[9, 2](x)).last)) output p\n"
                                 " loss binary_crossentropy(p, y) data { lines = [\"%s\", \"%s\"], split = stratified(0.5) } }";
static const char json_model[] = "model j { input x: seq [1] target y: token[2] z = dense[2](gru[2](x).last) output z\n"
                                 " loss softmax_crossentropy(z, y) data { jsonl = \"%s\", split = 1 } }";

static rondo_status do_data(rondo_model *m) {
    double loss;
    return rondo_evaluate(m, NULL, NULL, 0, &loss, NULL, 0);
}
static int on_text(void *arg, const char *piece, size_t n) {
    *(size_t *)arg += n;
    return piece == NULL;
}
static rondo_status do_text(rondo_model *m) {
    size_t n = 0;
    rondo_generate_options o = RONDO_GENERATE_OPTIONS_INIT;
    rondo_status s = rondo_train(m, NULL, NULL);
    o.length = 5;
    o.write = on_text;
    o.write_arg = &n;
    if (s == RONDO_OK) s = rondo_generate(m, &o);
    check(s != RONDO_OK || n == 5, "five characters come", "generate", 0);
    return s;
}

static void test_data(void) {
    static const Work work[] = {{"train on a text and write", RONDO_ENGINE_LOOPS, do_text, NULL, false},
                                {"evaluate lines", RONDO_ENGINE_LOOPS, do_data, NULL, false},
                                {"evaluate JSON lines", RONDO_ENGINE_LOOPS, do_data, NULL, false}};
    static char model[3][1000];
    static const char json[] = "{\"x\": [1, 2], \"y\": \"a\"}\n{\"x\": [3], \"y\": \"b\"}\n";
    put(path_of("text"), "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc", 48);
    put(path_of("lines"), "a b\nc\nb\n", 8);
    put(path_of("json"), json, sizeof json - 1);
    snprintf(model[0], sizeof model[0], text_model, path_of("text"));
    snprintf(model[1], sizeof model[1], line_model, path_of("lines"), path_of("lines"));
    snprintf(model[2], sizeof model[2], json_model, path_of("json"));
    for (size_t i = 0; i < 3; i++) {
        int before = passed;
        test_work(&work[i], model[i]);
        printf("%s: %d checks\n", work[i].name, passed - before);
    }
}

static void test_api(void) {
    static const Work work[] = {
        {"open", RONDO_ENGINE_LOOPS, do_nothing, NULL, true}, {"init", RONDO_ENGINE_LOOPS, do_init, NULL, true},
        {"save", RONDO_ENGINE_LOOPS, do_save, "out", false},  {"load", RONDO_ENGINE_LOOPS, do_load, NULL, true},
        {"predict", RONDO_ENGINE_LOOPS, do_predict, NULL, false}, {"predict, eval", RONDO_ENGINE_EVAL, do_predict, NULL, false},
        {"evaluate", RONDO_ENGINE_LOOPS, do_evaluate, NULL, false}, {"train", RONDO_ENGINE_LOOPS, do_train, "out", false},
        {"train, eval", RONDO_ENGINE_EVAL, do_train, "out", false}, {"stream", RONDO_ENGINE_LOOPS, do_stream, NULL, false},
        {"emit c", RONDO_ENGINE_LOOPS, do_emit, NULL, false}, {"predict, jit", RONDO_ENGINE_JIT, do_predict, NULL, false},
    };
    Faulty f = {0, 0, false, false};
    rondo_model *m;
    plenty(&f);
    check(open_model(&m, &work[0], &f, text) == RONDO_OK && rondo_init_weights(m, 9) == RONDO_OK &&
              rondo_save_weights(m, path_of("w.safetensors")) == RONDO_OK,
          "weights are made", "setup", 0);
    if (failed) printf("%s", rondo_message(m));
    rondo_close(m);
    for (size_t i = 0; i < sizeof work / sizeof *work; i++) {
        int before = passed;
        test_work(&work[i], text);
        printf("%s: %d checks\n", work[i].name, passed - before);
    }
}

/* ---- the compiler without the runtime ----------------------------------------------------------------------------------- */

/* Text to loops and C and back; `ballast` moves the ends of the arenas' chunks. */
static bool compile(Ctx *ctx, Arena *a, const char *source, size_t ballast) {
    arena_alloc(a, ballast);
    FrontendOptions o = {.std_dir = "std", .text = source};
    Program *p = frontend_load(ctx, a, "fault.rondo", &o);
    Module *m = p ? frontend_model(p, a, &(BuildOptions){.training = true, .ragged = true}) : NULL;
    if (!m || !passes_run(m, &(PassOptions){.grad = true}) || !module_verify(m, "passes")) return false;
    Str graph = str_make(a), loops = str_make(a), c = str_make(a);
    module_print(&graph, m);
    Module *again = module_parse(ctx, a, source_add(ctx, "again", graph.at, graph.n));
    LProgram *l = again ? lower_module(ctx, a, again, &(LowerOptions){.V = 4, .registers = 16}, NULL) : NULL;
    if (!l || !lprogram_verify(l, "lower")) return false;
    lprogram_print(&loops, l);
    LProgram *back = lprogram_parse(ctx, a, source_add(ctx, "back", loops.at, loops.n));
    if (!back || !lprogram_verify(back, "parse")) return false;
    return emit_c_kernels(&c, back, &(CEmitOptions){.prefix = "k", .exported = true, .env = true});
}

/* Models of each kind, as bytes and as archives, to text and weights. */
static bool import_models(Ctx *ctx, Arena *a, const char *source, size_t ballast) {
    (void)source;
    arena_alloc(a, ballast);
    Imported im;
    return import_onnx(ctx, a, "tests/import/onnx/embed/model.onnx", NULL, &im) && import_keras(ctx, a, "tests/import/keras/text.keras", NULL, &im) &&
           import_torch(ctx, a, "tests/import/torch/tagger.json", NULL, &im);
}

typedef bool (*Piece)(Ctx *ctx, Arena *a, const char *source, size_t ballast);

static bool attempt_piece(Piece piece, const char *what, const char *source, long n, size_t ballast) {
    Faulty f = {n, 0, false, false};
    int files = open_files();
    volatile bool ok = false, unwound = false;
    Ctx *ctx = ctx_make(&(Allocator){scarce, &f});
    if (ctx) {
        Arena a = arena_make(ctx);
        CtxFrame frame;
        if (CTX_TRY(ctx, &frame)) {
            ok = piece(ctx, &a, source, ballast);
            CTX_END(ctx);
        } else unwound = true;
        bool told = false;
        for (uint32_t i = 0; i < diag_count(ctx); i++) {
            told = told || diag_at(ctx, i)->code == 900;
            if (diag_at(ctx, i)->kind == DIAG_ERROR && diag_at(ctx, i)->code != 900) printf("%s\n", diag_at(ctx, i)->text);
        }
        check(ok != unwound && told == unwound, "a result, or a message that memory ran out", what, n);
        arena_free(&a);
        ctx_destroy(ctx);
    }
    check(f.alive == 0, "all memory comes back", what, n);
    check(open_files() == files, "no file stays open", what, n);
    return ok;
}

static void test_piece(Piece piece, const char *what) {
    int before = passed;
    for (size_t ballast = 16; ballast < 40000; ballast += 9000) {
        bool done = false;
        long n = 0;
        for (; !done && n < 2000; n++) done = attempt_piece(piece, what, text, n, ballast);
        check(done, "it ends", what, n);
    }
    printf("%s: %d checks\n", what, passed - before);
}

/* ---- files that cannot be written to their end -------------------------------------------------------------------------- */

static void limit_files(rlim_t n) {
    struct rlimit r;
    getrlimit(RLIMIT_FSIZE, &r);
    r.rlim_cur = n;
    setrlimit(RLIMIT_FSIZE, &r);
}

static rondo_status do_npz(rondo_model *m) {
    Arrays s = {0};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) VEC_PUSH(&m->result, s.array) = arrays[i];
    diag_clear(m->ctx);
    return npz_write(m->ctx, path_of("out"), &s) ? RONDO_OK : RONDO_BAD_INPUT;
}

/* Files stop growing at `limit` bytes, as on a full disk. */
static void attempt_full(const Work *w, rlim_t limit) {
    static char now[1 << 16];
    Faulty f = {0, 0, false, false};
    rondo_model *m;
    plenty(&f);
    check(open_model(&m, w, &f, text) == RONDO_OK && rondo_init_weights(m, 7) == RONDO_OK, "the model opens", w->name, (long)limit);
    put(path_of("out"), "old", 3);
    limit_files(limit);
    rondo_status s = w->run(m);
    limit_files(RLIM_INFINITY);
    size_t n = slurp(path_of("out"), now, sizeof now);
    check(s == RONDO_BAD_INPUT && rondo_message(m)[0], "a full disk is an error with a message", w->name, (long)limit);
    check(n == 3 && memcmp(now, "old", 3) == 0, "the old file stays", w->name, (long)limit);
    check(sweep(dir, false) == 0, "no temporary file stays", w->name, (long)limit);
    check(w->run(m) == RONDO_OK, "it works again with room", w->name, (long)limit);
    rondo_close(m);
    check(f.alive == 0, "all memory comes back", w->name, (long)limit);
}

static rondo_status do_device(rondo_model *m) { return rondo_save_weights(m, "/dev/full"); }

static void test_full(void) {
    static const Work work[] = {{"save on a full disk", RONDO_ENGINE_LOOPS, do_save, "out", false},
                                {"checkpoint on a full disk", RONDO_ENGINE_LOOPS, do_train, "out", false},
                                {"npz on a full disk", RONDO_ENGINE_LOOPS, do_npz, "out", false},
                                {"emit on a full disk", RONDO_ENGINE_LOOPS, do_emit, "out", false}};
    static const rlim_t limits[] = {0, 1, 8, 100, 200};
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) attempt_full(&work[i], limits[k]);
    Faulty f = {0, 0, false, false};
    rondo_model *m;
    plenty(&f);
    check(open_model(&m, &work[0], &f, text) == RONDO_OK && rondo_init_weights(m, 7) == RONDO_OK, "the model opens", "/dev/full", 0);
    if (access("/dev/full", W_OK) == 0)
        check(do_device(m) == RONDO_BAD_INPUT && strstr(rondo_message(m), "/dev/full"), "a full device is an error", "/dev/full", 0);
    rondo_close(m);
}

int main(void) {
    static char tmp[200];
    const char *base = getenv("TMPDIR");
    snprintf(tmp, sizeof tmp, "%s/rondo-fault-XXXXXX", base && *base ? base : "/tmp");
    dir = mkdtemp(tmp);
    if (!dir || setenv("XDG_CACHE_HOME", dir, 1) != 0) return 1;
    for (size_t i = 0; i < sizeof x_data / sizeof *x_data; i++) x_data[i] = (float)(i % 5) * 0.2f;
    for (size_t i = 0; i < sizeof y_data / sizeof *y_data; i++) y_data[i] = (float)(i % 3) * 0.3f;
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_piece(compile, "compile");
    test_piece(import_models, "import");
    test_api();
    test_data();
    test_full();
    sweep(dir, true);
    rmdir(dir);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
