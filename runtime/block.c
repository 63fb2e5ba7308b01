/* block: memory for arrays, scratch and packs. Large blocks ask for large pages: a pass over all steps meets a new page every few
   rows, and the hardware's prefetching ends where a page ends (training steps take 2 to 5 % less). */
#include "base/port_memory.h"
#include "runtime/internal.h"

/* A load waits for a store just before it whose address has the same place in its page: rows of what a loop reads and of what it writes lie
   as they were counted from the beginning of a page (minGRU's way forward takes 13 % less than where packs begin anywhere). */
enum { LARGE_PAGE = 2 << 20, PAGE = 4 << 10, LINE = 64 };

/* A piece of one large page for blocks that would have none of their own: to touch hundreds of pages costs more than to touch that
   one, and they miss in the processor's table of pages. A piece is given once. NULL: too small, too large, no room left. */
static char *share(Ctx *ctx, ExecMemory *m, size_t size) {
    if (size < LARGE_PAGE / 4 || size > LARGE_PAGE - m->page_used) return NULL;
    block_reserve(ctx, &m->page, LARGE_PAGE);
    char *at = m->page.at + m->page_used;
    m->page_used += (size + PAGE - 1) / PAGE * PAGE;
    return at;
}

bool memory_reserve(Ctx *ctx, ExecMemory *m, Block *b, size_t size) {
    if (size <= b->size && b->at) return false;
    char *piece = size < LARGE_PAGE / 2 ? share(ctx, m, size) : NULL;
    if (!piece) return block_reserve(ctx, b, size);
    ctx_free(ctx, b->raw);
    *b = (Block){.at = piece, .size = size};
    return true;
}

void memory_free(Ctx *ctx, ExecMemory *m) {
    ctx_free(ctx, m->slab.raw);
    ctx_free(ctx, m->page.raw);
}

bool block_reserve(Ctx *ctx, Block *b, size_t size) {
    if (size <= b->size && b->at) return false;
    size_t large = (size + LARGE_PAGE / 2) / LARGE_PAGE * LARGE_PAGE; /* a last page only where half of it is used */
    size_t align = large ? LARGE_PAGE : size < PAGE ? LINE : PAGE;
    ctx_free(ctx, b->raw);
    *b = (Block){0};
    b->raw = ctx_alloc(ctx, (large > size ? large : size) + align);
    b->at = b->raw + (align - (uintptr_t)b->raw % align) % align;
    b->size = size;
    if (large) port_large_pages(b->at, large);
    return true;
}
