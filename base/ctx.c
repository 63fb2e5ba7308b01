/* ctx: the context: allocator, unwinding, and what lives as long as it. */
#include "base/ctx.h"

#include <stdlib.h>
#include <string.h>

static void *default_realloc(void *arg, void *p, size_t n) {
    (void)arg;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return realloc(p, n);
}

Ctx *ctx_make(const Allocator *alloc) {
    Allocator al = alloc ? *alloc : (Allocator){default_realloc, NULL};
    Ctx *ctx = al.realloc(al.arg, NULL, sizeof *ctx);
    if (!ctx) return NULL;
    memset(ctx, 0, sizeof *ctx);
    ctx->alloc = al;
    ctx->arena = arena_make(ctx);
    ctx->diag_arena = arena_make(ctx);
    ctx->next_base = 1; /* 0 is nowhere */
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        diag_init(ctx);
        names_init(ctx);
        CTX_END(ctx);
        return ctx;
    }
    ctx_destroy(ctx);
    return NULL;
}

void ctx_destroy(Ctx *ctx) {
    if (!ctx) return;
    Allocator al = ctx->alloc;
    arena_free(&ctx->arena);
    arena_free(&ctx->diag_arena);
    al.realloc(al.arg, ctx, 0);
}

Arena *ctx_arena(Ctx *ctx) { return &ctx->arena; }

/* The system gives large blocks as zeros that take no memory before somebody writes: half of a small model's start is such blocks. */
void *ctx_alloc(Ctx *ctx, size_t n) {
    if (ctx->alloc.realloc == default_realloc) {
        void *z = calloc(1, n ? n : 1);
        if (!z) ctx_out_of_memory(ctx);
        return z;
    }
    void *p = ctx->alloc.realloc(ctx->alloc.arg, NULL, n ? n : 1);
    if (!p) ctx_out_of_memory(ctx);
    return memset(p, 0, n ? n : 1);
}

void ctx_free(Ctx *ctx, void *p) {
    if (p) ctx->alloc.realloc(ctx->alloc.arg, p, 0);
}

void ctx_push_frame(Ctx *ctx, CtxFrame *f) {
    f->up = ctx->frame;
    ctx->frame = f;
}

void ctx_pop_frame(Ctx *ctx) { ctx->frame = ctx->frame->up; }

void ctx_out_of_memory(Ctx *ctx) {
    CtxFrame *f = ctx->frame;
    diag_out_of_memory(ctx);
    /* Without a CTX_TRY there is nowhere to go: a mistake of the caller, not an effect of any input. */
    if (!f) abort();
    ctx->frame = f->up;
    longjmp(f->jmp, 1);
}
