/* test_syntax: the files of tests/syntax (trees, exact) and tests/errors (diagnostics, exact); the formatter on all of them
   and on std and examples. `test_syntax --update` writes the expectations that are missing; read them before they are kept. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/ast.h"

static int passed, failed;
static bool update;

static void check(bool ok, const char *what, const char *path) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED %s: %s\n", path, what);
    }
}

static char *read_text(Ctx *ctx, Arena *a, const char *path) {
    char *text;
    size_t n;
    if (file_read(ctx, a, path, &text, &n)) return text;
    diag_clear(ctx);
    return NULL;
}

static const char *text_of(const Str *s) { return s->at ? s->at : ""; }

static void show_difference(const char *want, const char *got) {
    int line = 1;
    while (*want && *want == *got) {
        line += *want == '\n';
        want++;
        got++;
    }
    printf("  first difference in line %d:\n  want: %.*s\n  got:  %.*s\n", line, (int)strcspn(want, "\n"), want,
           (int)strcspn(got, "\n"), got);
}

/* Compares with the file beside path that has another ending. */
static void compare(Ctx *ctx, Arena *a, const char *path, const char *ending, const char *got) {
    const char *want_path = arena_printf(a, "%.*s%s", (int)(strlen(path) - strlen(".rondo")), path, ending);
    const char *want = read_text(ctx, a, want_path);
    if (!want && update) {
        check(file_write(ctx, want_path, got, strlen(got)), "cannot write the expectation", path);
        return;
    }
    bool same = want && strcmp(want, got) == 0;
    check(same, want ? ending : "no expectation; run with --update", path);
    if (want && !same) show_difference(want, got);
}

/* Formatting keeps the tree and is done once. */
static void check_format(Ctx *ctx, Arena *a, const AstFile *file, const char *path) {
    Str tree = str_make(a), once = str_make(a), tree2 = str_make(a), twice = str_make(a);
    ast_print(ctx, &tree, file);
    check(format_file(ctx, &once, file), "format", path);
    const Source *s = source_add(ctx, "formatted", text_of(&once), once.n);
    const AstFile *file2 = parse_file(ctx, a, s);
    ast_print(ctx, &tree2, file2);
    bool same = file2->ok && strcmp(text_of(&tree), text_of(&tree2)) == 0;
    check(same, "formatting keeps the tree", path);
    check(file2->comments.n == file->comments.n, "formatting keeps comments", path);
    check(format_file(ctx, &twice, file2) && strcmp(text_of(&once), text_of(&twice)) == 0, "formatting twice is formatting once", path);
    if (strcmp(text_of(&once), text_of(&twice)) != 0) show_difference(text_of(&once), text_of(&twice));
}

static void run_syntax(Ctx *ctx, Arena *a, const Source *s, const char *path) {
    const AstFile *file = parse_file(ctx, a, s);
    Str tree = str_make(a), errors = str_make(a), formatted = str_make(a);
    diag_render(ctx, &errors, false);
    check(file->ok && diag_error_count(ctx) == 0, "parses", path);
    if (errors.n) printf("%s", errors.at);
    ast_print(ctx, &tree, file);
    compare(ctx, a, path, ".ast", text_of(&tree));
    format_file(ctx, &formatted, file);
    compare(ctx, a, path, ".fmt", text_of(&formatted));
    check_format(ctx, a, file, path);
}

static void run_error(Ctx *ctx, Arena *a, const Source *s, const char *path) {
    const AstFile *file = parse_file(ctx, a, s);
    /* A file that parses belongs to whoever checks names and shapes; its expectation is not ours. */
    if (file->ok) return;
    Str errors = str_make(a), formatted = str_make(a);
    check(diag_error_count(ctx) > 0, "says why", path);
    diag_render(ctx, &errors, false);
    compare(ctx, a, path, ".err", text_of(&errors));
    check(!format_file(ctx, &formatted, file) && formatted.n == 0, "is not formatted", path);
}

static void run_format(Ctx *ctx, Arena *a, const Source *s, const char *path) {
    const AstFile *file = parse_file(ctx, a, s);
    check(file->ok, "parses", path);
    if (file->ok) check_format(ctx, a, file, path);
}

typedef void Runner(Ctx *ctx, Arena *a, const Source *s, const char *path);

static void run_file(const char *path, Runner *run) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    const Source *s = source_read(ctx, path);
    check(s != NULL, "is read", path);
    if (s) run(ctx, &a, s, path);
    arena_free(&a);
    ctx_destroy(ctx);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void run_folder(const char *folder, Runner *run) {
    DIR *d = opendir(folder);
    if (!d) return;
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    VEC(char *) files = {0}, folders = {0};
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name);
        char *path = arena_printf(a, "%s/%s", folder, e->d_name);
        if (n > 6 && strcmp(e->d_name + n - 6, ".rondo") == 0) VEC_PUSH(a, files) = path;
        else if (!strchr(e->d_name, '.')) VEC_PUSH(a, folders) = path;
    }
    closedir(d);
    if (files.n) qsort(files.at, files.n, sizeof *files.at, by_name);
    if (folders.n) qsort(folders.at, folders.n, sizeof *folders.at, by_name);
    for (uint32_t i = 0; i < files.n; i++) run_file(files.at[i], run);
    for (uint32_t i = 0; i < folders.n; i++) run_folder(folders.at[i], run);
    ctx_destroy(ctx);
}

/* Inputs of one repeated piece: an answer, not a crash, and in bounded time. */
static void run_deep(const char *head, const char *piece, int times, const char *tail) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Str text = str_make(&a), formatted = str_make(&a);
    str_put(&text, head);
    for (int i = 0; i < times; i++) str_put(&text, piece);
    str_put(&text, tail);
    const AstFile *file = parse_file(ctx, &a, source_add(ctx, "deep", text.at, text.n));
    check(file->ok == (diag_error_count(ctx) == 0), "an error is told", piece);
    check(diag_error_count(ctx) <= 3, "no cascade", piece);
    if (file->ok) check_format(ctx, &a, file, piece);
    format_file(ctx, &formatted, file);
    arena_free(&a);
    ctx_destroy(ctx);
}

static void run_deeps(void) {
    static const char *const pieces[] = {"(", "[", "f(", "x[", "-", "not ", "x + ", "x @ ", "2^", "x.y(", "[[", "x, ", "(-", "x < "};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        run_deep("fn f(x) = ", pieces[i], 20000, "x");
        run_deep("fn f(x) = ", pieces[i], 300, "x");
        run_deep("cell c() { y = ", pieces[i], 1100, "x }\nfn g(x) = x\n");
    }
    run_deep("cell c() {", " repeat 2 {", 5000, "");
    run_deep("fn f(x) = x", ".y", 5000, "");
    run_deep("fn f(x) = x", "(1)", 5000, "");
    run_deep("", "fn f(x) = x + 1\n", 5000, "");
    run_deep("cell c() {\n", "x = y\n", 5000, "}");
    run_deep("", "}", 5000, "");
    run_deep("", ")", 5000, "");
}

int main(int argc, char **argv) {
    update = argc > 1 && strcmp(argv[1], "--update") == 0;
    run_folder("tests/syntax", run_syntax);
    run_folder("tests/errors", run_error);
    run_folder("std", run_format);
    run_folder("examples", run_format);
    run_deeps();
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
