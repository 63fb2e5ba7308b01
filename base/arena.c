/* arena: memory by lifetime: chunks handed out from the front, freed together. */
#include "base/ctx.h"
#include "base/port_memory.h"

#include <string.h>

enum { ALIGN = 16, CHUNK_MIN = 4096, CHUNK_MAX = 1 << 20, LARGE = 4 << 20 };

struct ArenaChunk {
    ArenaChunk *next;
    char *at;         /* first byte, aligned */
    size_t used, cap; /* bytes from at */
};

Arena arena_make(Ctx *ctx) { return (Arena){.ctx = ctx}; }

void arena_free(Arena *a) {
    for (ArenaChunk *c = a->head; c;) {
        ArenaChunk *next = c->next;
        ctx_free(a->ctx, c);
        c = next;
    }
    a->head = NULL;
    a->used = 0;
}

bool arena_holds(const Arena *a, const void *p) {
    uintptr_t at = (uintptr_t)p;
    for (const ArenaChunk *c = a->head; c; c = c->next)
        if (at >= (uintptr_t)c->at && at - (uintptr_t)c->at < c->used) return true;
    return false;
}

static ArenaChunk *chunk_add(Arena *a, size_t n) {
    size_t cap = a->head ? a->head->cap * 2 : CHUNK_MIN;
    if (cap > CHUNK_MAX) cap = CHUNK_MAX;
    if (cap < n) cap = n;
    size_t total = cap + sizeof(ArenaChunk) + ALIGN;
    if (total < cap) ctx_out_of_memory(a->ctx);
    Allocator *al = &a->ctx->alloc;
    ArenaChunk *c = al->realloc(al->arg, NULL, total);
    if (!c) ctx_out_of_memory(a->ctx);
    if (total >= LARGE) port_large_pages(c, total);
    char *p = (char *)(c + 1);
    c->at = p + (ALIGN - (uintptr_t)p % ALIGN) % ALIGN;
    c->used = 0;
    c->cap = cap;
    /* A big block goes behind the head, so that the head's free room is not lost. */
    if (a->head && n > CHUNK_MAX / 4) {
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    return c;
}

static size_t round_up(Arena *a, size_t n) {
    if (n > SIZE_MAX / 2) ctx_out_of_memory(a->ctx);
    return n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

void *arena_alloc(Arena *a, size_t n) {
    n = round_up(a, n);
    ArenaChunk *c = a->head;
    if (!c || c->cap - c->used < n) c = chunk_add(a, n);
    void *p = c->at + c->used;
    c->used += n;
    a->used += n;
    return memset(p, 0, n);
}

void *arena_alloc_n(Arena *a, size_t n, size_t size) {
    if (size && n > SIZE_MAX / size) ctx_out_of_memory(a->ctx);
    return arena_alloc(a, n * size);
}

void *arena_grow(Arena *a, void *p, size_t old, size_t n) {
    if (n <= old && p) return p;
    size_t have = round_up(a, old), want = round_up(a, n);
    ArenaChunk *c = a->head;
    /* The last block of the head grows in place. */
    if (p && c && (char *)p + have == c->at + c->used && c->cap - c->used >= want - have) {
        memset((char *)p + old, 0, want - old);
        c->used += want - have;
        a->used += want - have;
        return p;
    }
    void *q = arena_alloc(a, n);
    if (p && old) memcpy(q, p, old);
    return q;
}

void vec_reserve(Arena *a, void **at, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap) return;
    uint32_t want = *cap < 4 ? 4 : *cap * 2;
    if (want <= n || (size && want > SIZE_MAX / size)) ctx_out_of_memory(a->ctx);
    /* *at is a T* seen through void**; copied as bytes so that no access has the wrong type. */
    void *p;
    memcpy(&p, at, sizeof p);
    p = arena_grow(a, p, (size_t)*cap * size, (size_t)want * size);
    memcpy(at, &p, sizeof p);
    *cap = want;
}

char *arena_strndup(Arena *a, const char *s, size_t n) {
    char *p = arena_alloc(a, n + 1);
    if (n) memcpy(p, s, n);
    return p;
}

char *arena_strdup(Arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(Arena *a, const char *fmt, ...) {
    Str s = str_make(a);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (!s.at) str_put(&s, "");
    return s.at;
}
