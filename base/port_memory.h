/* port_memory: what may be asked of the system's memory; like base/port.h past ISO C11 and POSIX. */
#ifndef RONDO_PORT_MEMORY_H
#define RONDO_PORT_MEMORY_H

#include <stddef.h>
#include <sys/mman.h>

/* Whole pages of the system's large size from p on are better than many small ones. A wish: nothing fails. */
static inline void port_large_pages(void *p, size_t n) {
#if defined(MADV_HUGEPAGE)
    (void)madvise(p, n, MADV_HUGEPAGE);
#else
    (void)p;
    (void)n;
#endif
}

#endif
