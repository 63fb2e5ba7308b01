/* fuzz_parse: any bytes through the parser, the printer and the formatter; formatted text must parse to the same tree. */
#include <string.h>

#include "frontend/ast.h"
#include "tests/fuzz/fuzz.h"

static bool same(const Str *a, const Str *b) { return a->n == b->n && (!a->n || memcmp(a->at, b->at, a->n) == 0); }

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    const Source *s = source_add(ctx, "fuzz.rondo", (const char *)data, size);
    fuzz_require((s == NULL) == (diag_error_count(ctx) > 0), "a text is refused without a reason");
    if (!s) return;
    const AstFile *file = parse_file(ctx, a, s);
    fuzz_require(file->ok == (diag_error_count(ctx) == 0), "errors and result disagree");
    Str once = str_make(a), twice = str_make(a), tree = str_make(a), tree2 = str_make(a);
    fuzz_render(ctx, a);
    ast_print(ctx, &tree, file);
    if (!file->ok) return;
    format_file(ctx, &once, file);
    const AstFile *again = parse_file(ctx, a, source_add(ctx, "again.rondo", once.at ? once.at : "", once.n));
    fuzz_require_silence(ctx, again->ok, "formatted text does not parse");
    fuzz_require(again->comments.n == file->comments.n, "formatting loses comments");
    ast_print(ctx, &tree2, again);
    format_file(ctx, &twice, again);
    fuzz_require(same(&tree, &tree2), "formatting changes the tree");
    fuzz_require(same(&once, &twice), "formatting twice is not formatting once");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, 64 << 20);
    return 0;
}
