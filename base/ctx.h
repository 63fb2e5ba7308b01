/* ctx: the inside of a context; for the files of base/ only. */
#ifndef RONDO_BASE_CTX_H
#define RONDO_BASE_CTX_H

#include "base/base.h"

enum { DIAG_KEEP = 50 }; /* errors and warnings kept, each */

typedef struct {
    uint64_t hash;
    const char *text;
} NameEntry;

struct Ctx {
    Allocator alloc;
    CtxFrame *frame; /* innermost CTX_TRY */
    Arena arena;
    /* names: entries by Name, and an open-addressed table of Name (0: empty slot; "" itself is never in it) */
    VEC(NameEntry) names;
    Name *slot;
    uint32_t nslot;
    VEC(Source *) sources; /* by rising base */
    uint32_t next_base;
    /* There is always room for one more entry, so that running out of memory can be reported. */
    VEC(Diag) diags;
    Arena diag_arena; /* texts and the vector; diag_clear frees it */
    uint32_t nerror, nwarning;
    bool dropping; /* the last error or warning was not kept: neither are its notes */
    bool oom_told;
};

/* Appends the out-of-memory error without allocating; once until diag_clear. */
void diag_out_of_memory(Ctx *ctx);
void diag_init(Ctx *ctx);
void names_init(Ctx *ctx);

#endif
