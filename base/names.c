/* names: interned strings; equal texts have equal Names for the life of the context. */
#include "base/ctx.h"

#include <string.h>

void names_init(Ctx *ctx) {
    VEC_PUSH(&ctx->arena, ctx->names) = (NameEntry){0, ""};
    ctx->nslot = 256;
    ctx->slot = NEW_N(&ctx->arena, Name, ctx->nslot);
}

static void slots_double(Ctx *ctx) {
    uint32_t n = ctx->nslot * 2;
    Name *slot = NEW_N(&ctx->arena, Name, n);
    for (Name k = 1; k < ctx->names.n; k++) {
        uint32_t i = (uint32_t)ctx->names.at[k].hash & (n - 1);
        while (slot[i]) i = (i + 1) & (n - 1);
        slot[i] = k;
    }
    ctx->slot = slot;
    ctx->nslot = n;
}

Name intern_n(Ctx *ctx, const char *s, size_t n) {
    if (n == 0) return 0;
    uint64_t h = hash_bytes(0, s, n);
    uint32_t mask = ctx->nslot - 1, i = (uint32_t)h & mask;
    for (; ctx->slot[i]; i = (i + 1) & mask) {
        const NameEntry *e = &ctx->names.at[ctx->slot[i]];
        if (e->hash == h && strlen(e->text) == n && memcmp(e->text, s, n) == 0) return ctx->slot[i];
    }
    if (ctx->names.n >= ctx->nslot / 2) {
        slots_double(ctx);
        mask = ctx->nslot - 1;
        for (i = (uint32_t)h & mask; ctx->slot[i];) i = (i + 1) & mask;
    }
    /* Text first: were memory to run out between the two, a half-made entry must not be visible. */
    const char *text = arena_strndup(&ctx->arena, s, n);
    Name k = ctx->names.n;
    VEC_PUSH(&ctx->arena, ctx->names) = (NameEntry){h, text};
    ctx->slot[i] = k;
    return k;
}

Name intern(Ctx *ctx, const char *s) { return intern_n(ctx, s, strlen(s)); }

Name intern_printf(Ctx *ctx, const char *fmt, ...) {
    Arena tmp = arena_make(ctx);
    CtxFrame frame;
    va_list ap;
    va_start(ap, fmt);
    if (CTX_TRY(ctx, &frame)) {
        Str s = str_make(&tmp);
        str_vprintf(&s, fmt, ap);
        va_end(ap);
        Name n = intern_n(ctx, s.at ? s.at : "", s.n);
        CTX_END(ctx);
        arena_free(&tmp);
        return n;
    }
    arena_free(&tmp);
    ctx_out_of_memory(ctx);
}

const char *name_str(const Ctx *ctx, Name n) { return n < ctx->names.n ? ctx->names.at[n].text : ""; }
