/* test_base: arenas, unwinding, names, sources, diagnostics, numbers as text, files. */
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/port_file.h"
#include "frontend/ast.h"

static int passed, failed;

static void check_at(bool ok, const char *what, int line) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED line %d: %s\n", line, what);
    }
}
#define CHECK(x) check_at((x), #x, __LINE__)

/* An allocator that fails from the nth allocation on, and counts what is alive. */
typedef struct {
    long left, alive;
} Faulty;

static void *faulty_realloc(void *arg, void *p, size_t n) {
    Faulty *f = arg;
    if (n == 0) {
        f->alive -= p != NULL;
        free(p);
        return NULL;
    }
    if (f->left-- <= 0) return NULL;
    f->alive += p == NULL;
    return realloc(p, n);
}

static void test_arena(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    char *p = arena_alloc(&a, 5);
    CHECK((uintptr_t)p % 16 == 0 && p[0] == 0 && p[4] == 0);
    memcpy(p, "abcd", 5);
    char *q = arena_grow(&a, p, 5, 100000);
    CHECK(strcmp(q, "abcd") == 0 && q[99999] == 0);
    char *big = arena_alloc(&a, 3 << 20), *small = arena_alloc(&a, 1);
    CHECK(big && small && (uintptr_t)big % 16 == 0);
    VEC(int) v = {0};
    for (int i = 0; i < 1000; i++) VEC_PUSH(&a, v) = i;
    CHECK(v.n == 1000 && v.at[0] == 0 && v.at[999] == 999);
    CHECK(strcmp(arena_printf(&a, "%s-%d", "x", 7), "x-7") == 0 && strcmp(arena_printf(&a, "%s", ""), "") == 0);
    arena_free(&a);
    CHECK(a.used == 0 && arena_alloc(&a, 1) != NULL);
    arena_free(&a);
    CtxFrame frame;
    volatile bool caught = false;
    if (CTX_TRY(ctx, &frame)) {
        arena_alloc_n(&a, SIZE_MAX / 2, 4);
        CTX_END(ctx);
    } else caught = true;
    CHECK(caught && diag_error_count(ctx) == 1 && diag_at(ctx, 0)->code == 900);
    diag_clear(ctx);
    CHECK(diag_error_count(ctx) == 0 && diag_at(ctx, 0) == NULL);
    ctx_destroy(ctx);
}

static void test_names(void) {
    Ctx *ctx = ctx_make(NULL);
    Name a = intern(ctx, "alpha"), b = intern_n(ctx, "alphabet", 5);
    CHECK(a == b && a != 0 && intern(ctx, "") == 0 && strcmp(name_str(ctx, 0), "") == 0);
    CHECK(strcmp(name_str(ctx, intern_printf(ctx, "%s_%d", "h", 2)), "h_2") == 0);
    for (int i = 0; i < 5000; i++) intern_printf(ctx, "n%d", i);
    bool same = true;
    for (int i = 0; i < 5000; i++) {
        Name n = intern_printf(ctx, "n%d", i);
        char text[16];
        snprintf(text, sizeof text, "n%d", i);
        same = same && strcmp(name_str(ctx, n), text) == 0;
    }
    CHECK(same && intern(ctx, "alpha") == a);
    ctx_destroy(ctx);
}

static void test_source(void) {
    Ctx *ctx = ctx_make(NULL);
    const Source *a = source_add(ctx, "a", "one\ntwo\n", 8), *b = source_add(ctx, "b", "", 0), *c = source_add(ctx, "c", "x", 1);
    CHECK(source_of(ctx, 0) == NULL && source_of(ctx, a->base) == a && source_of(ctx, a->base + 8) == a);
    CHECK(source_of(ctx, b->base) == b && source_of(ctx, c->base + 1) == c && source_of(ctx, c->base + 2) == NULL);
    uint32_t line, column;
    source_place(a, a->base + 5, &line, &column);
    CHECK(line == 2 && column == 2);
    source_place(a, a->base + 8, &line, &column);
    CHECK(line == 3 && column == 1);
    const Source *d = source_add(ctx, "d", "x\r\n\nlast", 8);
    uint32_t n1, n2, n3, past;
    const char *first = source_line(d, 1, &n1), *second = source_line(d, 2, &n2), *third = source_line(d, 3, &n3);
    CHECK(first == d->text && n1 == 1 && second == d->text + 3 && n2 == 0 && third == d->text + 4 && n3 == 4);
    CHECK(source_line(a, 3, &past) == a->text + 8 && past == 0);
    CHECK(source_add(ctx, "nul", "a\0b", 3) == NULL && diag_at(ctx, 0)->code == 2);
    CHECK(source_read(ctx, "/nonexistent/x") == NULL && diag_at(ctx, 1)->code == 1);
    CHECK(source_read(ctx, "/tmp") == NULL);
    Span s = span_join((Span){5, 7}, (Span){2, 3});
    CHECK(s.lo == 2 && s.hi == 7 && span_join((Span){0, 0}, (Span){2, 3}).lo == 2);
    ctx_destroy(ctx);
}

static void test_render(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    const Source *s = source_add(ctx, "f.rondo", "cell a {\n\tx = \xCF\x83 y\n  z\n}\n", 25);
    uint32_t b = s->base;
    diag_error(ctx, 301, (Span){b + 17, b + 18}, "no `%s`", "y");
    diag_note(ctx, (Span){b, b + 24}, "in this");
    diag_help(ctx, (Span){0, 0}, "drop it");
    diag_warning(ctx, 0, (Span){0, 0}, "plain");
    Str out = str_make(a), color = str_make(a);
    diag_render(ctx, &out, false);
    CHECK(strcmp(out.at, "error[E0301]: no `y`\n"
                         " --> f.rondo:2:9\n"
                         "  |\n"
                         "2 | \tx = \xCF\x83 y\n"
                         "  | \t      ^\n"
                         "note: in this\n"
                         " --> f.rondo:1:1\n"
                         "  |\n"
                         "1 | cell a {\n"
                         "  | ^^^^^^^^\n"
                         "...\n"
                         "4 | }\n"
                         "  | ^\n"
                         "  = help: drop it\n"
                         "\n"
                         "warning: plain\n") == 0);
    if (failed) printf("%s", out.at);
    diag_render(ctx, &color, true);
    CHECK(strstr(color.at, "\x1b[1;31merror[E0301]\x1b[0m") != NULL);
    diag_clear(ctx);
    for (int i = 0; i < 60; i++) {
        diag_error(ctx, 100, (Span){b, b + 1}, "e%d", i);
        diag_note(ctx, (Span){0, 0}, "n");
    }
    CHECK(diag_count(ctx) == 100 && diag_error_count(ctx) == 60);
    out = str_make(a);
    diag_render(ctx, &out, false);
    CHECK(strstr(out.at, "10 more errors not shown") != NULL);
    ctx_destroy(ctx);
}

static void test_codes(void) {
    const char *summary, *explanation;
    CHECK(error_explain(900, &summary, &explanation) && strcmp(summary, "out of memory") == 0);
    CHECK(!error_explain(9999, &summary, &explanation));
    for (uint32_t i = 0; error_code_at(i); i++)
        for (uint32_t k = 0; k < i; k++)
            if (error_code_at(k) == error_code_at(i)) {
                printf("code %u has two rows\n", error_code_at(i));
                CHECK(!"codes are unique");
            }
}

static bool same_double(Arena *a, double v) {
    Str s = str_make(a);
    str_double(&s, v);
    double back = parse_double(s.at, NULL);
    return memcmp(&back, &v, sizeof v) == 0;
}

static const char *double_text(Arena *a, double v) {
    Str s = str_make(a);
    str_double(&s, v);
    return s.at;
}

static const char *float_text(Arena *a, float v) {
    Str s = str_make(a);
    str_float(&s, v);
    return s.at;
}

static void test_numbers(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    const char *locales[] = {"C", "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    for (int l = 0; l < 4; l++) {
        if (!setlocale(LC_ALL, locales[l])) continue;
        CHECK(strcmp(double_text(a, 0.1), "0.1") == 0 && strcmp(double_text(a, 1e-7), "1e-07") == 0);
        CHECK(strcmp(double_text(a, -0.0), "-0") == 0 && strcmp(double_text(a, 5e-324), "5e-324") == 0);
        CHECK(strcmp(double_text(a, (double)-INFINITY), "-inf") == 0 && strcmp(double_text(a, -(double)NAN), "nan") == 0);
        CHECK(strcmp(float_text(a, 0.1f), "0.1") == 0 && strcmp(float_text(a, 16777216.0f), "16777216") == 0);
        CHECK(strcmp(float_text(a, 1e-45f), "1e-45") == 0);
        uint64_t bits = 88172645463325252u;
        bool all = true;
        for (int i = 0; i < 20000; i++) {
            bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
            double v;
            memcpy(&v, &bits, sizeof v);
            if (isfinite(v)) all = all && same_double(a, v);
        }
        CHECK(all);
        char *end;
        const char *text = "1.5,x";
        CHECK(parse_double(text, &end) == 1.5 && *end == ',');
        Str s = str_make(a);
        str_printf(&s, "%g", 1.5);
        CHECK(strcmp(s.at, "1.5") == 0);
    }
    setlocale(LC_ALL, "C");
    ctx_destroy(ctx);
}

static void test_text(void) {
    Ctx *ctx = ctx_make(NULL);
    Str s = str_make(ctx_arena(ctx));
    for (int i = 0; i < 1000; i++) str_printf(&s, "%d,%0100d;", i, i);
    CHECK(s.n == strlen(s.at) && strncmp(s.at, "0,", 2) == 0);
    const char *names[] = {"sigmoid", "softmax", "tanh", "Tanh2"};
    CHECK(strcmp(nearest_name("sigmiod", names, 4), "sigmoid") == 0 && strcmp(nearest_name("Tanh", names, 4), "tanh") == 0);
    CHECK(nearest_name("relu", names, 4) == NULL && nearest_name("", names, 4) == NULL && nearest_name("x", NULL, 0) == NULL);
    int64_t v;
    CHECK(checked_mul(3, 4, &v) && v == 12 && !checked_mul(INT64_MAX, 2, &v) && !checked_mul(-1, 2, &v) && checked_mul(0, 5, &v));
    CHECK(checked_add(INT64_MAX, 0, &v) && !checked_add(INT64_MAX, 1, &v) && !checked_add(-1, 1, &v));
    CHECK(hash_bytes(0, "ab", 2) == hash_bytes(0, "abc", 2) && hash_bytes(0, "", 0) != 0 && hash_bytes(0, "ab", 2) != hash_bytes(1, "ab", 2));
    CHECK(hash_words(0, "0123456789a", 10) == hash_words(0, "0123456789b", 10) && hash_words(0, "0123456789a", 11) != hash_words(0, "0123456789b", 11));
    char long_text[600] = {0};
    uint64_t before = hash_words(0, long_text, sizeof long_text);
    for (size_t i = 0; i < sizeof long_text; i++) { /* every byte counts, and where it stands */
        long_text[i] = 1;
        uint64_t h = hash_words(0, long_text, sizeof long_text);
        CHECK(h != before && h != hash_words(0, "\1", 1));
        before = h;
        long_text[i] = 0;
    }
    CHECK(hash_words(0, long_text, 300) != hash_words(0, long_text, 301) && hash_words(1, long_text, 300) != hash_words(0, long_text, 300));
    CHECK(hash_words(0, "\0", 1) != hash_words(0, "", 0) && hash_words(0, "a0123456", 8) != hash_words(0, "b0123456", 8));
    ctx_destroy(ctx);
}

static void test_file(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    char dir[] = "/tmp/rondo_base_XXXXXX";
    if (!mkdtemp(dir)) return;
    const char *path = arena_printf(a, "%s/f", dir), *link_path = arena_printf(a, "%s/l", dir);
    char *text;
    size_t n;
    CHECK(file_write(ctx, path, "hello", 5) && file_read(ctx, a, path, &text, &n) && n == 5 && strcmp(text, "hello") == 0);
    CHECK(chmod(path, 0600) == 0 && file_write(ctx, path, "", 0) && file_read(ctx, a, path, &text, &n) && n == 0);
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(symlink(path, link_path) == 0 && file_write(ctx, link_path, "x", 1) && lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(file_read(ctx, a, path, &text, &n) && n == 1);
    CHECK(file_write(ctx, "/dev/null", "x", 1) && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    CHECK(!file_write(ctx, dir, "x", 1) && !file_write(ctx, arena_printf(a, "%s/none/f", dir), "x", 1) && diag_error_count(ctx) == 2);
    unlink(link_path);
    unlink(path);
    CHECK(rmdir(dir) == 0); /* no temporary file is left */
    ctx_destroy(ctx);
}

static bool there(const char *path) { return access(path, F_OK) == 0; }

/* What a writer that was killed left beside its file is removed by the next one; what another one is at is left alone, and so is
   anything that is no file of ours. */
static void test_left_over(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    char dir[] = "/tmp/rondo_base_XXXXXX";
    if (!mkdtemp(dir)) return;
    const char *path = arena_printf(a, "%s/f", dir), *tmp[3];
    for (int k = 0; k < 3; k++) tmp[k] = arena_printf(a, "%s.rondo-%d.tmp", path, k);
    int fd[3];
    for (int k = 0; k < 3; k++) fd[k] = open(tmp[k], O_WRONLY | O_CREAT, 0666);
    CHECK(fd[0] >= 0 && fd[1] >= 0 && fd[2] >= 0 && port_lock(fd[1]) == 0);
    CHECK(file_write(ctx, path, "x", 1) && there(path) && !there(tmp[0]) && there(tmp[1]) && !there(tmp[2]));
    CHECK(open(tmp[0], O_WRONLY | O_CREAT, 0666) >= 0 && symlink(path, tmp[2]) == 0);
    struct stat before, after;
    CHECK(stat(tmp[1], &before) == 0 && file_write(ctx, path, "xy", 2) && stat(tmp[1], &after) == 0 && before.st_ino == after.st_ino && !there(tmp[0]) && there(tmp[2]));
    for (int k = 0; k < 3; k++) close(fd[k]);
    unlink(tmp[2]);
    CHECK(file_write(ctx, path, "x", 1) && !there(tmp[1]));
    unlink(path);
    CHECK(rmdir(dir) == 0 && !diag_error_count(ctx));
    ctx_destroy(ctx);
}

/* Every allocation fails once: a clean end, and nothing stays allocated. */
static void test_out_of_memory(void) {
    const char *text = "import \"x\" cell a[H](x: [I]) { # c\n param W: [H, I] = 1\n y = W @ x + \"s\" ( \n return y }\nfn f(x) = x^2 %";
    volatile bool done = false;
    volatile long k = 0, leaks = 0, silent = 0; /* seen again after unwinding */
    for (; !done && k < 2000; k++) {
        Faulty f = {k, 0};
        Ctx *ctx = ctx_make(&(Allocator){faulty_realloc, &f});
        if (!ctx) {
            leaks += f.alive != 0;
            continue;
        }
        Arena a = arena_make(ctx);
        CtxFrame frame;
        if (CTX_TRY(ctx, &frame)) {
            const Source *s = source_add(ctx, "t", text, strlen(text));
            parse_file(ctx, &a, s);
            Str out = str_make(&a);
            diag_render(ctx, &out, false);
            CTX_END(ctx);
            done = true;
        } else {
            bool told = false;
            for (uint32_t i = 0; i < diag_count(ctx); i++) told |= diag_at(ctx, i)->code == 900;
            silent += !told;
        }
        arena_free(&a);
        ctx_destroy(ctx);
        leaks += f.alive != 0;
    }
    CHECK(done && k > 5);
    CHECK(leaks == 0);
    CHECK(silent == 0);
}

int main(void) {
    test_arena();
    test_names();
    test_source();
    test_render();
    test_codes();
    test_numbers();
    test_text();
    test_file();
    test_left_over();
    test_out_of_memory();
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
