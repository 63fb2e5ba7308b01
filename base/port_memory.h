/* port_memory: what may be asked of the system's memory; like base/port.h past ISO C11 and POSIX. */
#ifndef RONDO_PORT_MEMORY_H
#define RONDO_PORT_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* Asks for large pages where whole ones fit into [p, p + n), before the first touch: a walk down the columns of a matrix, or over all
   steps, meets a new page every few rows. A wish: nothing fails. */
static inline void port_large_pages(void *p, size_t n) {
#if defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)1 << 21;
    uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1), to = ((uintptr_t)p + n) & ~(page - 1);
    if (to > from) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)p, (void)n;
#endif
}

/* Asks for all pages of new memory that will be written whole: at once they cost two thirds of what they
   cost one by one, when they are touched. A wish too. */
static inline void port_all_pages(void *p, size_t n) {
#if defined(MADV_POPULATE_WRITE)
    const uintptr_t page = 4096;
    uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1), to = ((uintptr_t)p + n) & ~(page - 1);
    if (to > from) (void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
#else
    (void)p, (void)n;
#endif
}

#endif
