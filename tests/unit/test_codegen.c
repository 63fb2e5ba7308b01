/* test_codegen: interpreter = emitted C (gcc, clang; -O0 to -O3; GNU vectors and plain) = JIT, bit for bit, on programs that use
   every row of lops.def; the object cache; no memory lost over many compilations. RONDO_TEST_ALL=1 tries every combination. */
#include "codegen/codegen.h"
#include "codegen/image.h"
#include "tests/unit/micro.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int passed, failed;

static void check(bool ok, const char *what, const char *detail) {
    if (ok)
        passed++;
    else
        failed++;
    if (!ok) printf("FAILED: %s %s\n", what, detail);
}

static void show(Ctx *ctx) {
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    diag_render(ctx, &s, false);
    if (s.n) printf("%s\n", s.at);
    diag_clear(ctx);
    arena_free(&a);
}

/* ---- data --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool f64;
    size_t size[MICRO_BUFS];
    void *at[MICRO_BUFS];
} Data;

static uint64_t state;
static uint32_t rnd(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void set(Data *d, int buf, int k, double v) {
    if (d->f64)
        ((double *)d->at[buf])[k] = v;
    else
        ((float *)d->at[buf])[k] = (float)v;
}

static double special(bool f64) {
    switch (rnd() % 16) {
    case 0: return 0.0;
    case 1: return -0.0;
    case 2: return (double)INFINITY;
    case 3: return -(double)INFINITY;
    case 4: return (double)NAN;
    case 5: return f64 ? 5e-324 : 1e-45;
    case 6: return f64 ? -3e-310 : -7e-40;
    case 7: return f64 ? 1.7e308 : 3.4e38;
    case 8: return 2.5;
    case 9: return -1.0;
    case 10: return 88.5;
    case 11: return -103.0;
    default: return ((double)rnd() / 1073741824.0 - 1.0) * pow(10, (int)(rnd() % 9) - 4);
    }
}

static Data data_make(bool f64) {
    Data d = {.f64 = f64};
    size_t n[MICRO_BUFS] = {MICRO_N, MICRO_N, MICRO_N, MICRO_N, MICRO_N, MICRO_OUT, MICRO_IOUT, MICRO_N * 16};
    state = 12345;
    for (int k = 0; k < MICRO_BUFS; k++) {
        bool ints = k == MICRO_P || k == MICRO_Q || k == MICRO_I;
        d.size[k] = n[k] * (ints || !f64 ? 4 : 8);
        d.at[k] = calloc(1, d.size[k]);
        for (size_t j = 0; j < n[k]; j++) {
            if (ints)
                ((int32_t *)d.at[k])[j] = k == MICRO_I ? -77 : (int32_t)(rnd() << 1 ^ rnd());
            else
                set(&d, k, (int)j, k == MICRO_Z ? (rnd() % 2000) / 250.0 - 4.0 : k >= MICRO_F ? (double)NAN : special(f64));
        }
    }
    for (int k = 0; k < MICRO_N; k += 5) /* equal pairs */
        memcpy((char *)d.at[MICRO_Y] + (size_t)k * (f64 ? 8 : 4), (char *)d.at[MICRO_X] + (size_t)k * (f64 ? 8 : 4), f64 ? 8 : 4);
    ((int32_t *)d.at[MICRO_Q])[7] = ((int32_t *)d.at[MICRO_P])[7];
    ((int32_t *)d.at[MICRO_P])[0] = INT32_MIN;
    return d;
}

static void data_free(Data *d) {
    for (int k = 0; k < MICRO_BUFS; k++) free(d->at[k]);
}

static bool same_float(const Data *a, const Data *b, int buf, size_t k, bool loose) {
    double x = a->f64 ? ((double *)a->at[buf])[k] : (double)((float *)a->at[buf])[k];
    double y = a->f64 ? ((double *)b->at[buf])[k] : (double)((float *)b->at[buf])[k];
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    if (loose && fabs(x - y) <= 1e-5 * (1e-30 + fabs(x))) return true;
    return x == y && signbit(x) == signbit(y);
}

/* The first difference, or -1. */
static long difference(const Data *a, const Data *b, bool loose, char *what) {
    size_t size = a->f64 ? 8 : 4;
    for (int k = MICRO_F; k < MICRO_BUFS; k++)
        for (size_t j = 0; j < a->size[k] / (k == MICRO_I ? 4 : size); j++) {
            bool same = k == MICRO_I ? ((int32_t *)a->at[k])[j] == ((int32_t *)b->at[k])[j] : same_float(a, b, k, j, loose);
            if (same) continue;
            *what = k == MICRO_F ? 'f' : k == MICRO_I ? 'i' : 's';
            return (long)j;
        }
    return -1;
}

/* ---- running ------------------------------------------------------------------------------------------------------------- */

static void no_barrier(void *arg) { (void)arg; }

static bool run(Engine *e, uint32_t fn, Data *d) {
    int64_t dim[LDIM_COUNT] = {17, 5};
    KEnv env = {.tid = 0, .nt = 1, .barrier = no_barrier, .arg = NULL};
    return engine_call(e, fn, (void *const *)d->at, dim, &env);
}

static void compare(const char *name, Ctx *ctx, const LProgram *p, Engine *want, Engine *got, bool loose_libm) {
    for (uint32_t k = 0; k < p->fn.n; k++) {
        if (p->fn.at[k]->kind != LFUNC_ENTRY) continue;
        const char *entry = name_str(ctx, p->fn.at[k]->name);
        Data a = data_make(p->f64), b = data_make(p->f64);
        char what = 0, detail[160];
        bool ok = run(want, k, &a) && run(got, k, &b);
        long at = difference(&a, &b, loose_libm && strcmp(entry, "libm") == 0, &what);
        snprintf(detail, sizeof detail, "%s V=%d %s, entry %s: %c[%ld]", p->f64 ? "f64" : "f32", p->V, name, entry, what, at);
        check(ok && at < 0, "same bits", detail);
        data_free(&a);
        data_free(&b);
    }
}

static uint32_t longest; /* of C: operations of a function */

static Engine *make(Ctx *ctx, const LProgram *p, EngineKind kind, const char *cc, const char *cache) {
    EngineOptions o = {.kind = kind, .cc = cc, .cache_dir = cache, .longest = longest};
    Engine *e = engine_make(ctx, p, &o);
    check(e != NULL, "engine", cc ? cc : kind == ENGINE_JIT ? "JIT" : "");
    show(ctx);
    return e;
}

static void try_engine(Ctx *ctx, const LProgram *p, Engine *want, EngineKind kind, const char *cc) {
    Engine *e = make(ctx, p, kind, cc, "");
    if (e) compare(cc ? cc : "JIT", ctx, p, want, e, kind == ENGINE_C);
    engine_destroy(e);
}

static bool have(const char *cc) {
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", cc);
    return system(command) == 0;
}

/* Compilers and options that must give the interpreter's bits without a warning. */
static void try_compilers(Ctx *ctx, const LProgram *p, Engine *want, int index, bool all) {
    static const char warn[] = "-pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror";
    static const char *const cc[] = {"gcc", "clang-14", "clang-19"}, *const opt[] = {"-O0", "-O2", "-O3"};
    static const char *const mode[] = {"-std=c99 -march=native", "-std=gnu11 -march=native", "-std=c99 -march=native -DRONDO_PLAIN_C"};
    int n = 0;
    for (int c = 0; c < 3; c++)
        for (int o = 0; o < 3; o++)
            for (int m = 0; m < 3; m++, n++) {
                char line[256];
                if (!all && (n + 4 * index) % 9 != 0 && !(c == 0 && o == 1 && m == 0)) continue;
                if (m == 2 && o == 2) continue; /* plain lanes at -O3 take gcc half a minute */
                if (!have(cc[c])) continue;
                snprintf(line, sizeof line, "%s %s %s %s", cc[c], mode[m], opt[o], warn);
                longest = n % 2 ? 25 : 0; /* in pieces, within loops and of pieces too */
                try_engine(ctx, p, want, ENGINE_C, line);
            }
    longest = 0;
}

/* ---- threads ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Engine *e;
    uint32_t fn;
    Data *d;
    KEnv env;
} Worker;

static pthread_barrier_t meet;
static void wait_for_all(void *arg) {
    (void)arg;
    pthread_barrier_wait(&meet);
}

static void *work(void *arg) {
    Worker *w = arg;
    int64_t dim[LDIM_COUNT] = {17, 5};
    engine_call(w->e, w->fn, (void *const *)w->d->at, dim, &w->env);
    return NULL;
}

static void try_threads(Ctx *ctx, const LProgram *p, Engine *want, Engine *got) {
    enum { NT = 3 };
    uint32_t fn = 0;
    while (strcmp(name_str(ctx, p->fn.at[fn]->name), "threads") != 0) fn++;
    Data a = data_make(p->f64), b = data_make(p->f64);
    pthread_t t[NT];
    Worker w[NT];
    char what = 0;
    run(want, fn, &a);
    pthread_barrier_init(&meet, NULL, NT);
    for (int k = 0; k < NT; k++) {
        w[k] = (Worker){got, fn, &b, {.tid = k, .nt = NT, .barrier = wait_for_all}};
        pthread_create(&t[k], NULL, work, &w[k]);
    }
    for (int k = 0; k < NT; k++) pthread_join(t[k], NULL);
    pthread_barrier_destroy(&meet);
    check(difference(&a, &b, false, &what) < 0, "three threads", "");
    data_free(&a);
    data_free(&b);
}

/* ---- the cache ------------------------------------------------------------------------------------------------------------ */

static void file_in(const char *dir, char *path, size_t n) {
    DIR *d = opendir(dir);
    struct dirent *e;
    path[0] = 0;
    while (d && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.') snprintf(path, n, "%s/%s", dir, e->d_name);
    if (d) closedir(d);
}

/* Turns one byte over, or cuts the file to `keep` bytes. */
static void damage(const char *path, long keep, long at) {
    if (keep >= 0) {
        check(truncate(path, keep) == 0, "truncate", path);
        return;
    }
    FILE *f = fopen(path, "r+b");
    if (!f) return;
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 0x40, f);
    fclose(f);
}

static void test_cache(Ctx *ctx, const LProgram *p, Engine *want) {
    char dir[] = "/tmp/rondo-test-XXXXXX", path[512];
    if (!mkdtemp(dir)) return;
    Engine *e = make(ctx, p, ENGINE_JIT, NULL, dir);
    check(e && !engine_stats(e).from_cache && engine_stats(e).llvm_instructions > 0, "compiled", "");
    uint32_t count = e ? engine_stats(e).llvm_instructions : 0;
    engine_destroy(e);
    for (int round = 0; round < 6; round++) {
        e = make(ctx, p, ENGINE_JIT, NULL, dir);
        bool expect = round % 2 == 0;
        check(e && engine_stats(e).from_cache == expect && engine_stats(e).llvm_instructions == count, expect ? "from the cache" : "compiled again", "");
        if (e && round == 0) printf("from the cache in %.2f ms\n", 1e3 * engine_stats(e).seconds);
        if (e) compare("cached JIT", ctx, p, want, e, false);
        engine_destroy(e);
        file_in(dir, path, sizeof path);
        struct stat s;
        if (stat(path, &s) == 0 && expect) damage(path, round == 0 ? 100 : round == 2 ? 0 : -1, s.st_size - 777);
    }
    unlink(path);
    rmdir(dir);
}

/* Eight files of 1000 bytes, the second used last: past 5000 bytes the oldest go until 3750 are left. */
static void test_cache_trim(Ctx *ctx) {
    char dir[] = "/tmp/rondo-test-XXXXXX", path[64];
    if (!mkdtemp(dir)) return;
    Arena a = arena_make(ctx);
    static const char bytes[1000] = "";
    for (int round = 0, left = 0; round < 3; round++, left = 0) {
        for (int k = 0; k < 8 && !round; k++) {
            snprintf(path, sizeof path, "%s/%d.img", dir, k);
            FILE *f = fopen(path, "wb");
            if (f) fwrite(bytes, 1, sizeof bytes, f), fclose(f);
            utimensat(AT_FDCWD, path, (struct timespec[2]){{1000 + (k == 1 ? 9 : k), 0}, {1000 + (k == 1 ? 9 : k), 0}}, 0);
        }
        cache_trim(&a, dir, round == 0 ? 8000 : round == 1 ? 5000 : 0);
        for (int k = 0; k < 8; k++) {
            snprintf(path, sizeof path, "%s/%d.img", dir, k);
            if (access(path, F_OK) == 0) left |= 1 << k;
        }
        check(left == (round == 0 ? 0xff : round == 1 ? 1 << 1 | 1 << 6 | 1 << 7 : 0), "the files used last are kept", "");
    }
    check(rmdir(dir) == 0, "an empty folder", dir);
    arena_free(&a);
}

static long resident(void) {
    long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_memory(Ctx *ctx, bool all) {
    int n = all ? 2000 : 200;
    long before = 0;
    Arena a = arena_make(ctx);
    LProgram *p = lprogram_make(ctx, &a, intern(ctx, "small"), false, 8);
    micro_tile(p, 6, 2, 16);
    lprogram_add_fn(p, "run", LFUNC_ENTRY);
    LBuilder b = lb_make(p, 1);
    uint32_t x = lprogram_add_buf(p, "x", LB_OUTPUT, LE_F, 0, (LExtent){.n = 0});
    LArg arg[4] = {{.buf = x}, {.buf = x}, {.buf = x}, {.value = lb_iconst(&b, 4)}};
    lb_call(&b, 0, arg, 4);
    for (int k = 0; k < n + 50; k++) {
        if (k == 50) before = resident();
        EngineOptions o = {.kind = ENGINE_JIT, .cache_dir = "", .debug_symbols = k % 16 == 0};
        engine_destroy(engine_make(ctx, p, &o));
    }
    show(ctx);
    long grown = resident() - before;
    char detail[64];
    snprintf(detail, sizeof detail, "%ld KiB over %d compilations", grown, n);
#ifdef RONDO_SANITIZED
    grown = 0;
#endif
    check(grown < 4096, "memory stays", detail);
    printf("%s\n", detail);
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    check(unlink(path) == 0, "perf map", path);
    arena_free(&a);
}

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

static void test_files(Ctx *ctx) {
    static const struct {
        EmitKind kind;
        EmitTarget target;
        const char *text; /* to be found in it */
    } row[] = {{EMIT_OBJ, {NULL, NULL, NULL}, "\177ELF"},      {EMIT_ASM, {NULL, NULL, NULL}, "my_loops:"},
               {EMIT_LLVM, {NULL, NULL, NULL}, "@llvm.fma"},
               {EMIT_ASM, {"aarch64-linux-gnu", NULL, NULL}, "fmla"}, {EMIT_ASM, {"x86_64-linux-gnu", NULL, NULL}, "mulps"},
               {EMIT_ASM, {"x86_64-linux-gnu", "haswell", NULL}, "vfmadd"}, {EMIT_ASM, {"riscv64-linux-gnu", "generic-rv64", "+d,+f"}, "fmadd.s"}};
    Arena a = arena_make(ctx);
    LProgram *p = micro_program(ctx, &a, false, 8);
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        Str s = str_make(&a);
        bool ok = llvm_kernels(ctx, p, row[k].kind, &row[k].target, "my", &s);
        show(ctx);
        check(ok && s.n > 1000 && strstr(s.at, row[k].text), "file", row[k].text);
    }
    EmitTarget none = {"nowhere-unknown-unknown", NULL, NULL};
    Str s = str_make(&a);
    check(!llvm_kernels(ctx, p, EMIT_OBJ, &none, "my", &s) && diag_error_count(ctx) == 1, "no such target", "");
    diag_clear(ctx);
    arena_free(&a);
}

/* ---- all ------------------------------------------------------------------------------------------------------------------ */

static void test_width(Ctx *ctx, bool f64, int V, int index, bool all) {
    Arena a = arena_make(ctx);
    LProgram *p = micro_program(ctx, &a, f64, V);
    check(lprogram_verify(p, "micro"), "verified", "");
    show(ctx);
    Engine *want = make(ctx, p, ENGINE_LOOPS, NULL, "");
    try_engine(ctx, p, want, ENGINE_JIT, NULL);
    try_compilers(ctx, p, want, index, all);
    if (V == 8) {
        Engine *jit = make(ctx, p, ENGINE_JIT, NULL, "");
        if (jit) printf("micro, %d lanes: %.1f ms, %u + %u LLVM instructions\n", V, 1e3 * engine_stats(jit).seconds,
                        engine_stats(jit).llvm_instructions, engine_stats(jit).llvm_instructions_shared);
        try_threads(ctx, p, want, jit);
        engine_destroy(jit);
        test_cache(ctx, p, want);
        test_cache_trim(ctx);
    }
    engine_destroy(want);
    arena_free(&a);
}

int main(void) {
    const char *every = getenv("RONDO_TEST_ALL");
    bool all = every && *every == '1';
    Ctx *ctx = ctx_make(NULL);
    HostInfo h = host_info();
    printf("host: %s; %d lanes f32, %d f64, %d registers%s\n", h.name, h.lanes_f32, h.lanes_f64, h.registers, h.fma ? ", fma" : "");
    int index = 0;
    for (int f64 = 0; f64 < 2; f64++)
        for (int V = 1; V <= 16; V = V == 1 ? 4 : 2 * V) test_width(ctx, f64 == 1, V, index++, all);
    test_files(ctx);
    test_memory(ctx, all);
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
