/* port_mem: a hint about memory that POSIX does not have. */
#ifndef RONDO_PORT_MEM_H
#define RONDO_PORT_MEM_H

#include <stddef.h>

#if defined(__linux__)
#include <stdint.h>
#include <sys/mman.h>
#endif

/* Asks for large pages in [p, p + n), where whole ones fit into it: a product that walks down the columns of a matrix with rows of
   many kilobytes meets another page at every row. Before the first touch, or it says nothing. */
static inline void port_large_pages(void *p, size_t n) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)1 << 21;
    uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1), to = ((uintptr_t)p + n) & ~(page - 1);
    if (n >= 2 * page && to > from) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)p, (void)n;
#endif
}

#endif
