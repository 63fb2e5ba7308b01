/* fuzz_pack: modules and loop programs as bytes (ir/pack.h), a few of them changed: what a damaged plan of the cache would be behind
   its checksum. Reading never steps outside; what is read is refused by the verifiers, or prints and becomes the same bytes again.
   The bytes are of one build alone, so no seed holds them: an input is the number of a random module, then edits of 8 bytes each:
   place (4, little endian), how, value (3). How: 0 cut there, 1 a byte, 2 a word, 3 a bit, 4 add to a word; from 5 on the same again. */
#include <stdlib.h>
#include <string.h>

#include "ir/pack.h"
#include "passes/passes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/gen.h"

enum { BASES = 16, EDIT = 8, HOW = 5 };

typedef struct {
    char *at;
    size_t n, program; /* where the loop program begins */
} Base;

static Base base[BASES];

static bool make_base(Base *b, uint64_t seed) {
    GenOptions o = {.batch = true, .ragged = seed % 3 == 2, .matrix = seed % 3 == 0, .nested = seed % 4 == 0, .gather = seed % 3 == 1,
                    .reverse = seed % 2 == 1, .noise = seed % 5 == 0, .size = 4 + (int)(seed % 12)};
    LowerOptions lo = {.V = 4, .registers = 16};
    PassOptions po = {.grad = seed % 2 == 0, .lower = &lo};
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    LProgram *p = NULL;
    Module *m = gen_module(ctx, &a, seed, o);
    bool ok = passes_run(m, &po) && passes_lower(m, &po, &p) && p;
    if (ok) {
        module_pack(&s, m);
        b->program = s.n;
        lprogram_pack(&s, p);
        b->n = s.n;
        b->at = malloc(s.n);
        memcpy(b->at, s.at, s.n);
    }
    arena_free(&a);
    ctx_destroy(ctx);
    return ok && b->at;
}

static uint32_t little(const uint8_t *p, int n) {
    uint32_t x = 0;
    while (n-- > 0) x = x << 8 | p[n];
    return x;
}

static size_t edit(char *bytes, size_t n, const uint8_t *e) {
    size_t at = n ? little(e, 4) % n : 0;
    uint32_t value = little(e + 5, 3), word = 0, how = e[4] % HOW;
    if (!n || how == 0) return at;
    if (how == 1) bytes[at] = (char)value;
    if (how == 3) bytes[at] ^= (char)(1 << value % 8);
    if (how == 1 || how == 3 || n - at < sizeof word) return n;
    memcpy(&word, bytes + at, sizeof word);
    word = how == 2 ? (uint32_t)((int32_t)(value << 8) >> 8) : word + value - (1 << 23);
    memcpy(bytes + at, &word, sizeof word);
    return n;
}

/* What verifies prints; its bytes, read again, are the same bytes. */
static void check_module(Ctx *ctx, Arena *a, const Module *m) {
    Str text = str_make(a), once = str_make(a), twice = str_make(a);
    size_t at = 0;
    if (!module_verify(m, "unpack")) return;
    module_print(&text, m);
    module_pack(&once, m);
    m = module_unpack(ctx, a, once.at, once.n, &at);
    if (m) module_pack(&twice, m);
    fuzz_require(once.n == twice.n && !memcmp(once.at, twice.at, once.n), "a module that is read is written otherwise");
}

static void check_program(Ctx *ctx, Arena *a, const LProgram *p) {
    Str text = str_make(a), once = str_make(a), twice = str_make(a);
    size_t at = 0;
    if (!lprogram_verify(p, "unpack")) return;
    lprogram_print(&text, p);
    lprogram_pack(&once, p);
    p = lprogram_unpack(ctx, a, once.at, once.n, &at);
    if (p) lprogram_pack(&twice, p);
    fuzz_require(once.n == twice.n && !memcmp(once.at, twice.at, once.n), "a program that is read is written otherwise");
}

static void read_all(Ctx *ctx, Arena *a, const char *bytes, size_t n, size_t program) {
    size_t at = 0;
    const Module *m = module_unpack(ctx, a, bytes, n, &at);
    fuzz_require(at <= n, "a module ends behind its bytes");
    if (m) check_module(ctx, a, m);
    at = program < n ? program : n;
    const LProgram *p = lprogram_unpack(ctx, a, bytes, n, &at);
    fuzz_require(at <= n, "a program ends behind its bytes");
    if (p) check_program(ctx, a, p);
    fuzz_render(ctx, a);
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    uint32_t k = size ? data[0] % BASES : 0;
    if (!base[k].at && !make_base(&base[k], k)) return;
    size_t n = base[k].n;
    char *bytes = NEW_N(a, char, n);
    memcpy(bytes, base[k].at, n);
    for (size_t i = 1; i + EDIT <= size; i += EDIT) n = edit(bytes, n, data + i);
    char *exact = malloc(n + 1); /* its end is watched by a sanitizer */
    memcpy(exact, bytes, n);
    read_all(ctx, a, exact, n, base[k].program);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, 64 << 20);
    return 0;
}
