/* Random programs, many to one compilation: front end, printed forms, passes, gradients, and the same bits from interpreter, JIT and C.

   usage: test_progs [--seed FIRST] [--count N] [--every N] [--engine jit|c] [--cc COMMAND] [--no-shrink] [--joint] [--print]     generated programs
          test_progs FILE.rondo ..                                                   files, with a "# run:" line or without
   --joint, for long runs: differences along one direction of everything, one by one only where these disagree */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/prog.h"

enum { BATCH = 300, TRIES = 1500 };

static int passed, failed;
static bool no_shrink;
static uint64_t every = 1; /* one in so many programs is compiled, by both compilers */
static const char *only; /* by this one alone; NULL: both */
static const char *cc = "cc -std=c99 -O1 -march=native -ffp-contract=off";

static void report(Prog *p, const char *replay) {
    failed++;
    printf("FAILED: %s: %s: %s\n", replay, p->wrong, p->detail.at);
    if (no_shrink) return;
    char *small = prog_shrink(p->a, p->text, p->wrong, TRIES);
    printf("---- the program, made small: test_progs FILE runs it again\n%s----\n", small);
    fflush(stdout);
}

static const char *replay_of(Prog *p) { return arena_printf(p->a, "test_progs --seed %llu --count 1", (unsigned long long)p->run.seed); }

static bool compiled(const Prog *p, bool f64, int V) {
    return !p->wrong && p->run.f64 == f64 && p->run.V == V && p->run.seed % every == 0;
}

/* Programs of one float and one width, compiled together by both compilers. */
static void run_group(Ctx *ctx, Prog *at, uint32_t n, bool f64, int V) {
    static const struct {
        EngineKind kind;
        const char *name;
    } engine[] = {{ENGINE_JIT, "jit"}, {ENGINE_C, "c"}};
    Arena a = arena_make(ctx);
    LProgram *all = lprogram_make(ctx, &a, intern(ctx, "joined"), f64, V);
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (!compiled(&at[i], f64, V)) continue;
        join_add(all, at[i].p, &at[i].part);
        any = true;
    }
    for (int k = 0; k < 2 && any; k++) {
        if (only && strcmp(only, engine[k].name)) continue;
        Engine *e = engine_make(ctx, all, &(EngineOptions){.kind = engine[k].kind, .cache_dir = "", .cc = cc, .longest = (uint32_t)(at[0].run.seed % 3 * 200)});
        for (uint32_t i = 0; i < n; i++)
            if (compiled(&at[i], f64, V)) (void)prog_check_engine(&at[i], e, true, engine[k].name);
        if (e) engine_destroy(e);
    }
    arena_free(&a);
}

/* Programs of n seeds from `first` on, or of n files. */
static void run_batch(uint64_t first, char **file, uint32_t n) {
    static Prog at[BATCH];
    static Arena arena[BATCH];
    Ctx *ctx = ctx_make(NULL);
    for (uint32_t i = 0; i < n; i++) {
        char *text = NULL;
        size_t size;
        arena[i] = arena_make(ctx);
        if (!file) text = prog_generate(&arena[i], first + i);
        else if (!file_read(ctx, &arena[i], file[i], &text, &size)) text = "";
        at[i] = (Prog){.ctx = ctx, .a = &arena[i], .text = text};
        (void)prog_check(&at[i]);
    }
    for (int f64 = 0; f64 < 2; f64++)
        for (int V = 1; V <= 16; V *= 2) run_group(ctx, at, n, f64, V);
    for (uint32_t i = 0; i < n; i++) {
        if (at[i].wrong) report(&at[i], file ? file[i] : replay_of(&at[i]));
        else passed++;
        arena_free(&arena[i]);
    }
    ctx_destroy(ctx);
}

static void print_programs(uint64_t first, uint64_t n) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    for (uint64_t i = 0; i < n; i++) fputs(prog_generate(&a, first + i), stdout);
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(int argc, char **argv) {
    uint64_t first = 1, count = 300;
    uint32_t nfile = 0;
    bool print = false;
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--every") && *v) every = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--engine") && *v) only = argv[++i];
        else if (!strcmp(argv[i], "--cc") && *v) cc = argv[++i];
        else if (!strcmp(argv[i], "--no-shrink")) no_shrink = true;
        else if (!strcmp(argv[i], "--joint")) prog_joint = true;
        else if (!strcmp(argv[i], "--print")) print = true;
        else if (!strcmp(argv[i], "--seed") && *v) first = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--count") && *v) count = strtoull(argv[++i], NULL, 10);
        else if (argv[i][0] == '-') return fprintf(stderr, "test_progs: %s\n", argv[i]), 2;
        else argv[nfile++] = argv[i];
    }
    if (print) print_programs(first, count);
    else if (nfile) run_batch(0, argv, nfile < BATCH ? nfile : BATCH);
    else {
        printf("seeds %llu to %llu\n", (unsigned long long)first, (unsigned long long)(first + count - 1));
        for (uint64_t k = 0; k < count; k += BATCH) run_batch(first + k, NULL, count - k < BATCH ? (uint32_t)(count - k) : BATCH);
    }
    if (!print) printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
