/* fuzz_parse: any bytes through the parser, the printer and the formatter; formatted text must parse to the same tree. */
#include <stdlib.h>
#include <string.h>

#include "frontend/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    const Source *s = source_add(ctx, "fuzz.rondo", (const char *)data, size);
    if (!s) return;
    const AstFile *file = parse_file(ctx, a, s);
    if (file->ok != (diag_error_count(ctx) == 0)) abort();
    Str out = str_make(a), once = str_make(a), twice = str_make(a), tree = str_make(a), tree2 = str_make(a);
    diag_render(ctx, &out, true);
    ast_print(ctx, &tree, file);
    if (!file->ok) return;
    format_file(ctx, &once, file);
    const AstFile *again = parse_file(ctx, a, source_add(ctx, "again.rondo", once.at ? once.at : "", once.n));
    if (!again->ok || again->comments.n != file->comments.n) abort();
    ast_print(ctx, &tree2, again);
    format_file(ctx, &twice, again);
    if (tree.n != tree2.n || (tree.n && memcmp(tree.at, tree2.at, tree.n) != 0)) abort();
    if (once.n != twice.n || (once.n && memcmp(once.at, twice.at, once.n) != 0)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Ctx *ctx = ctx_make(NULL);
    if (!ctx) return 0;
    Arena a = arena_make(ctx);
    run(ctx, &a, data, size);
    arena_free(&a);
    ctx_destroy(ctx);
    return 0;
}
