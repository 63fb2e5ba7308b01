/* driver: a target of this folder without libFuzzer: the same mutations of the given files for the same seed, everywhere.
   usage: fuzz_x_smoke SEED RUNS PATH..   every file as it is, then RUNS mutations; folders stand for their files
          fuzz_x_smoke SEED -N PATH..     prints mutation N (from 1) */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { SIZE_MAX_SEED = 16 << 10, SECONDS_MAX = 10 };

typedef struct {
    uint8_t *at;
    size_t n, cap;
} Bytes;

static struct {
    Ctx *ctx;
    Arena *arena;
    VEC(Bytes) seed;
    VEC(Bytes) word; /* the words of the seeds: the dictionary */
} all;

static uint64_t state;
static char place[96]; /* what a crash prints */

static uint64_t next(void) { return fuzz_next(&state); }

static size_t below(size_t n) { return n ? (size_t)(next() % n) : 0; }

static void crashed(int signal_number) {
    if (write(2, place, strlen(place)) < 0) _exit(1);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* ---- seeds -------------------------------------------------------------------------------------------------------------- */

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '%';
}

static void add_words(const Bytes *b) {
    for (size_t i = 0, start = 0; i <= b->n; i++) {
        if (i < b->n && is_word(b->at[i]) && i - start < 20) continue;
        if (i > start) VEC_PUSH(all.arena, all.word) = (Bytes){b->at + start, i - start, 0};
        start = i + 1;
    }
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void add_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) return;
    if (S_ISDIR(st.st_mode)) {
        VEC(char *) name = {0};
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d)) != NULL;)
            if (e->d_name[0] != '.') VEC_PUSH(all.arena, name) = arena_printf(all.arena, "%s/%s", path, e->d_name);
        if (d) closedir(d);
        if (name.n) qsort(name.at, name.n, sizeof *name.at, by_name);
        for (uint32_t i = 0; i < name.n; i++) add_path(name.at[i]);
        return;
    }
    char *text;
    size_t n;
    if (st.st_size > SIZE_MAX_SEED || !file_read(all.ctx, all.arena, path, &text, &n)) return;
    VEC_PUSH(all.arena, all.seed) = (Bytes){(uint8_t *)text, n, n};
    add_words(&all.seed.at[all.seed.n - 1]);
}

/* ---- mutations ---------------------------------------------------------------------------------------------------------- */

/* Puts n bytes in place of `cut` bytes at `at`. */
static void splice(Bytes *b, size_t at, size_t cut, const uint8_t *p, size_t n) {
    if (b->n - cut + n > b->cap) n = b->cap - (b->n - cut);
    memmove(b->at + at + n, b->at + at + cut, b->n - at - cut);
    if (n) memcpy(b->at + at, p, n);
    b->n = b->n - cut + n;
}

static void mutate_once(Bytes *b) {
    static const uint8_t odd[] = "\0\xff\x80 \n\"(){}[]<>%#,.:='@-+*/0";
    size_t at = below(b->n + 1), left = b->n - at, cut = below(left < 40 ? left + 1 : 40);
    const Bytes *other = &all.seed.at[below(all.seed.n)], *word = &all.word.at[below(all.word.n)];
    size_t from = below(other->n + 1), len = below(other->n - from < 60 ? other->n - from + 1 : 60);
    char number[24];
    uint8_t c = odd[below(sizeof odd)];
    switch (below(10)) {
    case 0: splice(b, at, left > 0, &c, 1); break;
    case 1: splice(b, at, 0, &c, 1); break;
    case 2:
        if (left) b->at[at] ^= (uint8_t)(1u << below(8));
        break;
    case 3: splice(b, at, cut, NULL, 0); break;
    case 4: splice(b, at, 0, other->at + from, len); break;
    case 5: splice(b, at, cut, other->at + from, len); break;
    case 6: splice(b, at, 0, word->at, word->n); break;
    case 9:
        if (b->n > 4 && below(8) == 0) {
            b->n = at;
            break;
        }
        snprintf(number, sizeof number, "%" PRId64, (int64_t)(next() >> below(64)) * (below(4) ? 1 : -1));
        word = &(Bytes){(uint8_t *)number, strlen(number), 0};
        splice(b, at, 0, word->at, word->n);
        break;
    default: /* a word for a word */
        while (at < b->n && !is_word(b->at[at])) at++;
        for (cut = 0; at + cut < b->n && is_word(b->at[at + cut]);) cut++;
        splice(b, at, cut, word->at, word->n);
        break;
    }
}

static void mutation(Bytes *b, uint64_t seed, long i) {
    state = seed + (uint64_t)i * UINT64_C(0xD1342543DE82EF95);
    const Bytes *s = &all.seed.at[below(all.seed.n)];
    memcpy(b->at, s->at, b->n = s->n);
    if (i % 2) { /* by tokens, which keeps more of the text's sense, or by bytes */
        b->n = fuzz_mutate(b->at, b->n, b->cap, &state);
        return;
    }
    for (size_t k = 1 + below(5); k > 0; k--) mutate_once(b);
}

/* The target gets a block of exactly the right size, so that sanitizers see a step outside. */
static bool run(const uint8_t *p, size_t n, long i) {
    clock_t start = clock();
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact) return false;
    if (n) memcpy(exact, p, n);
    snprintf(place, sizeof place, "fuzz: %s %ld crashes\n", i > 0 ? "mutation" : "file", i > 0 ? i : -i);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    if (clock() - start < (clock_t)SECONDS_MAX * CLOCKS_PER_SEC) return true;
    printf("FAILED: %s %ld takes %.1f s\n", i > 0 ? "mutation" : "file", i > 0 ? i : -i, (double)(clock() - start) / CLOCKS_PER_SEC);
    return false;
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    long failed = 0;
    if (argc < 4 || !(all.ctx = ctx_make(NULL))) return 2;
    all.arena = ctx_arena(all.ctx);
    uint64_t seed = strtoull(argv[1], NULL, 10);
    long runs = strtol(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++) add_path(argv[i]);
    if (!all.seed.n || !all.word.n) return 2;
    Bytes b = {arena_alloc(all.arena, 2 * SIZE_MAX_SEED), 0, 2 * SIZE_MAX_SEED};
    if (runs < 0) {
        mutation(&b, seed, -runs);
        fwrite(b.at, 1, b.n, stdout);
        ctx_destroy(all.ctx);
        return 0;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], crashed);
    for (uint32_t i = 0; i < all.seed.n; i++) failed += !run(all.seed.at[i].at, all.seed.at[i].n, -(long)i);
    for (long i = 1; i <= runs; i++) {
        mutation(&b, seed, i);
        failed += !run(b.at, b.n, i);
    }
    printf("%u files, %ld mutations, seed %" PRIu64 ": %ld failed\n", (unsigned)all.seed.n, runs, seed, failed);
    ctx_destroy(all.ctx);
    return failed != 0;
}
