/* block: memory for arrays, scratch and packs. Large blocks ask for large pages: a pass over all steps meets a new page every few
   rows, and the hardware's prefetching ends where a page ends (training steps take 2 to 5 % less). */
#include "base/port_memory.h"
#include "runtime/internal.h"

enum { LARGE_PAGE = 2 << 20, LINE = 64 };

bool block_reserve(Ctx *ctx, Block *b, size_t size) {
    if (size <= b->size && b->at) return false;
    size_t large = (size + LARGE_PAGE / 2) / LARGE_PAGE * LARGE_PAGE; /* a last page only where half of it is used */
    size_t align = large ? LARGE_PAGE : LINE;
    ctx_free(ctx, b->raw);
    *b = (Block){0};
    b->raw = ctx_alloc(ctx, (large > size ? large : size) + align);
    b->at = b->raw + (align - (uintptr_t)b->raw % align) % align;
    b->size = size;
    if (large) port_large_pages(b->at, large);
    return true;
}
