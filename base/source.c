/* source: texts in one space of positions, and where in a text a position is. Lines are counted when a message needs them: most texts
   are read without one. */
#include "base/ctx.h"

#include <string.h>

enum { SOURCE_MAX = 64 << 20 };

const Source *source_add(Ctx *ctx, const char *path, const char *text, size_t n) {
    if (n > SOURCE_MAX || n + 1 > UINT32_MAX - ctx->next_base) {
        diag_error(ctx, 2, (Span){0, 0}, "%s: the source text is larger than 64 MiB", path);
        return NULL;
    }
    if (n && memchr(text, 0, n)) {
        diag_error(ctx, 2, (Span){0, 0}, "%s: not a text file: it contains a NUL byte", path);
        return NULL;
    }
    Arena *a = &ctx->arena;
    Source *s = NEW(a, Source);
    s->path = arena_strdup(a, path);
    s->text = arena_strndup(a, text, n);
    s->size = (uint32_t)n;
    s->base = ctx->next_base;
    VEC_PUSH(a, ctx->sources) = s;
    ctx->next_base += s->size + 1; /* the end of a text is a position of its own */
    return s;
}

const Source *source_read(Ctx *ctx, const char *path) {
    Arena tmp = arena_make(ctx);
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        char *text;
        size_t n;
        const Source *s = file_read(ctx, &tmp, path, &text, &n) ? source_add(ctx, path, text, n) : NULL;
        CTX_END(ctx);
        arena_free(&tmp);
        return s;
    }
    arena_free(&tmp);
    ctx_out_of_memory(ctx);
}

const Source *source_of(const Ctx *ctx, uint32_t pos) {
    if (pos == 0 || pos >= ctx->next_base) return NULL;
    uint32_t lo = 0, hi = ctx->sources.n;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ctx->sources.at[mid]->base <= pos) lo = mid;
        else hi = mid;
    }
    return ctx->sources.n ? ctx->sources.at[lo] : NULL;
}

void source_place(const Source *s, uint32_t pos, uint32_t *line, uint32_t *column) {
    uint32_t off = pos < s->base ? 0 : pos - s->base;
    if (off > s->size) off = s->size;
    const char *at = s->text, *end = at + off, *next;
    for (*line = 1; (next = memchr(at, '\n', (size_t)(end - at))) != NULL; at = next + 1) ++*line;
    *column = (uint32_t)(end - at) + 1;
}

const char *source_line(const Source *s, uint32_t line, uint32_t *n) {
    const char *at = s->text, *end = at + s->size, *next = NULL;
    while (line-- > 1 && (next = memchr(at, '\n', (size_t)(end - at))) != NULL) at = next + 1;
    next = memchr(at, '\n', (size_t)(end - at));
    if (!next) next = end;
    if (next > at && next[-1] == '\r') next--;
    *n = (uint32_t)(next - at);
    return at;
}

Span span_join(Span a, Span b) {
    if (a.lo == 0) return b;
    if (b.lo == 0) return a;
    return (Span){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}
