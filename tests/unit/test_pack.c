/* test_pack: modules and programs as bytes come back as they were, in another context too; bytes that end early are refused; and the
   key under which the cache keeps a plan changes with everything that a plan depends on. usage: test_pack [first seed] [count] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/pack.h"
#include "passes/passes.h"
#include "runtime/exec_int.h"
#include "tests/unit/gen.h"

static int passed, failed;
#define CHECK(ok, ...) ((ok) ? (void)passed++ : (failed++, printf("FAILED: line %d: ", __LINE__), printf(__VA_ARGS__), (void)putchar('\n')))

static bool same(const Str *a, const Str *b) { return a->n == b->n && !memcmp(a->at, b->at, a->n); }

static GenOptions options(uint64_t seed) {
    return (GenOptions){.batch = true, .ragged = seed % 3 == 2, .matrix = seed % 3 == 0, .nested = seed % 4 == 0, .gather = seed % 3 == 1,
                        .reverse = seed % 2 == 1, .noise = seed % 5 == 0, .size = 4 + (int)(seed % 12)};
}

/* What `pack` wrote of x, read in a context that knows other names, is the same text and the same bytes; less of it is refused. */
static void module_returns(const Module *m, Ctx *other, uint64_t seed) {
    Arena a = arena_make(m->ctx), b = arena_make(other);
    Str bytes = str_make(&a), text = str_make(&a), again = str_make(&b), read = str_make(&b);
    size_t at = 0;
    module_pack(&bytes, m);
    module_print(&text, m);
    Module *back = module_unpack(other, &b, bytes.at, bytes.n, &at);
    CHECK(back && at == bytes.n, "seed %lu: the module is refused", (unsigned long)seed);
    if (back) {
        module_pack(&again, back);
        module_print(&read, back);
        CHECK(same(&text, &read) && same(&bytes, &again) && module_verify(back, "unpack"), "seed %lu: another module", (unsigned long)seed);
    }
    for (size_t n = 0; n < bytes.n; n += 1 + bytes.n / 97) {
        char *part = malloc(n + 1); /* its end is watched by a sanitizer */
        memcpy(part, bytes.at, n);
        at = 0;
        CHECK(!module_unpack(other, &b, part, n, &at), "seed %lu: %zu of %zu bytes are taken", (unsigned long)seed, n, bytes.n);
        free(part);
    }
    arena_free(&a);
    arena_free(&b);
}

static void program_returns(const LProgram *p, Ctx *other, uint64_t seed) {
    Arena a = arena_make(p->ctx), b = arena_make(other);
    Str bytes = str_make(&a), text = str_make(&a), again = str_make(&b), read = str_make(&b);
    size_t at = 0;
    lprogram_pack(&bytes, p);
    lprogram_print(&text, p);
    LProgram *back = lprogram_unpack(other, &b, bytes.at, bytes.n, &at);
    CHECK(back && at == bytes.n, "seed %lu: the program is refused", (unsigned long)seed);
    if (back) {
        lprogram_pack(&again, back);
        lprogram_print(&read, back);
        CHECK(same(&text, &read) && same(&bytes, &again) && lprogram_verify(back, "unpack"), "seed %lu: another program", (unsigned long)seed);
    }
    for (size_t n = 0; n < bytes.n; n += 1 + bytes.n / 53) {
        char *part = malloc(n + 1);
        memcpy(part, bytes.at, n);
        at = 0;
        CHECK(!lprogram_unpack(other, &b, part, n, &at), "seed %lu: %zu of %zu bytes are taken", (unsigned long)seed, n, bytes.n);
        free(part);
    }
    arena_free(&a);
    arena_free(&b);
}

static void one(uint64_t seed) {
    Ctx *ctx = ctx_make(NULL), *other = ctx_make(NULL);
    Arena a = arena_make(ctx);
    LowerOptions lo = {.V = 8, .registers = 16};
    PassOptions po = {.grad = true, .lower = &lo};
    for (int k = 0; k < (int)(seed % 7); k++) intern_printf(other, "taken %d", k);
    Module *m = gen_module(ctx, &a, seed, options(seed));
    LProgram *p = NULL;
    module_returns(m, other, seed);
    CHECK(passes_run(m, &po) && passes_lower(m, &po, &p) && p, "seed %lu: no program", (unsigned long)seed);
    module_returns(m, other, seed); /* with what place and fuse decided */
    if (p) program_returns(p, other, seed);
    arena_free(&a);
    ctx_destroy(other);
    ctx_destroy(ctx);
}

/* ---- keys ----------------------------------------------------------------------------------------------------------------- */

enum { KEYS = 64 };
static uint64_t seen[KEYS][2];
static int nseen;

static void new_key(Exec *e, const Module *m, const char *what) {
    uint64_t k[2], again[2];
    kept_key(e, m, k);
    kept_key(e, m, again);
    CHECK(k[0] == again[0] && k[1] == again[1], "%s: two keys of one thing", what);
    for (int i = 0; i < nseen; i++) CHECK(k[0] != seen[i][0] && k[1] != seen[i][1], "%s does not change the key", what);
    if (nseen < KEYS) memcpy(seen[nseen++], k, sizeof k);
}

static void keys_of_options(Ctx *ctx, const Module *m) {
    static const bool flags[64] = {true}, others[64] = {false, true};
    Exec e = {.ctx = ctx, .eval_arena = arena_make(ctx)};
    e.pool = pool_make(ctx, 1);
    new_key(&e, m, "nothing");
#define OPTION(field, value) \
    do { \
        e.opt = (ExecOptions){.field = value}; \
        new_key(&e, m, #field " " #value); \
    } while (0)
    OPTION(f64, true);
    OPTION(math, MATH_PRECISE);
    OPTION(math, MATH_SLEEF);
    OPTION(place, PLACE_STEP);
    OPTION(place, PLACE_WHOLE);
    OPTION(V, 4);
    OPTION(V, 8);
    OPTION(registers, 16);
    OPTION(batch, 1);
    OPTION(steps, 1);
    OPTION(one_row, true);
    OPTION(no_reuse, true);
    OPTION(grad, true);
    OPTION(gradient, GRADIENT_RTRL);
    OPTION(gradient, GRADIENT_SNAP1);
    OPTION(influence, INFLUENCE_OUT);
    OPTION(influence, INFLUENCE_IN_OUT);
    OPTION(jvp, true);
    OPTION(want_input, flags);
    OPTION(want_input, others);
    OPTION(tangent_param, flags);
    OPTION(tangent_input, flags);
    OPTION(tangent_input, others);
    e.opt = (ExecOptions){0};
    pool_destroy(e.pool);
    e.pool = pool_make(ctx, 2);
    new_key(&e, m, "two threads");
    pool_destroy(e.pool);
}

/* One thing of the module at a time. */
static void keys_of_module(Ctx *ctx, Module *m) {
    Exec e = {.ctx = ctx, .eval_arena = arena_make(ctx)};
    Graph *g = m->graph.at[0], *body = m->graph.at[1];
    e.pool = pool_make(ctx, 1);
#define CHANGED(place, value) \
    do { \
        int64_t before_ = (int64_t)(place); \
        (place) = (value); \
        new_key(&e, m, #place); \
        (place) = before_; \
    } while (0)
    CHANGED(m->name, intern(ctx, "another name"));
    CHANGED(m->axis[1].name, intern(ctx, "another name"));
    CHANGED(m->axis[1].count, 7);
    CHANGED(m->param.at[0].name, intern(ctx, "another name"));
    CHANGED(m->param.at[0].dim[0], 99);
    CHANGED(m->param.at[0].offset, 99);
    CHANGED(m->param.at[0].is_const, true);
    CHANGED(m->input.at[0].axes, 9);
    CHANGED(m->input.at[0].value, 0.5);
    CHANGED(m->input.at[0].vocab, 9);
    VEC_PUSH(m->arena, m->state) = (State){.name = intern(ctx, "t"), .dtype = DT_I};
    new_key(&e, m, "a state");
    CHANGED(m->state.at[0].vocab, 9);
    CHANGED(m->state.at[0].axes, 1);
    m->state.n = 0;
    CHANGED(m->theta_size, 999);
    CHANGED(g->node.at[g->node.n - 1].op, OP_NEG);
    CHANGED(g->node.at[g->node.n - 1].span, 12345);
    CHANGED(g->node.at[g->node.n - 1].name, intern(ctx, "another name"));
    CHANGED(g->root.at[0].ref, 1);
    CHANGED(g->root.at[0].name, intern(ctx, "another name"));
    CHANGED(body->node.at[body->node.n - 1].in[0], 1);
    CHANGED(body->attr.at[body->attr.n - 1], 77);
    CHANGED(m->init->node.at[m->init->node.n - 1].dim[0], 77);
    pool_destroy(e.pool);
}

/* What another process finds: the program, and the key of its code. */
static void kept(Ctx *ctx, const Module *m) {
    char folder[] = "/tmp/rondo-kept-XXXXXX", command[64];
    if (!mkdtemp(folder)) return;
    Exec e[2] = {{.ctx = ctx}, {.ctx = ctx}};
    LowerOptions lo = {.V = 8, .registers = 16};
    PassOptions po = {.lower = &lo};
    uint64_t plan[2], code[2];
    for (int i = 0; i < 2; i++) {
        e[i].arena = arena_make(ctx);
        e[i].eval_arena = arena_make(ctx);
        e[i].opt.cache_dir = folder;
        e[i].pool = pool_make(ctx, 1);
    }
    kept_key(&e[0], m, plan);
    CHECK(!kept_get(&e[1], plan), "a plan out of an empty folder");
    e[0].m = module_copy(m, &e[0].arena);
    CHECK(passes_run(e[0].m, &po) && passes_lower(e[0].m, &po, &e[0].plan[0].p), "no program to keep");
    kept_put(&e[0], plan);
    CHECK(kept_get(&e[1], plan) && e[1].plan[0].has_key, "what was kept is not found");
    EngineOptions o = exec_engine_options(&e[1].opt);
    engine_key(&e[1].arena, e[1].plan[0].p, &o, code);
    CHECK(!memcmp(code, e[1].plan[0].key, sizeof code), "the key kept is not that of the program kept");
    plan[1]++;
    CHECK(!kept_get(&e[1], plan), "another key's plan");
    for (int i = 0; i < 2; i++) {
        pool_destroy(e[i].pool);
        arena_free(&e[i].arena);
        arena_free(&e[i].eval_arena);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(system(command) == 0, "%s stays", folder);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 60;
    for (uint64_t k = 0; k < count; k++) one(first + k);
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = gen_module(ctx, &a, 3, options(3));
    keys_of_options(ctx, m);
    keys_of_module(ctx, m);
    kept(ctx, m);
    arena_free(&a);
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
