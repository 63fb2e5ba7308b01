/* base: what every other folder stands on: memory by lifetime, interned names, source text, diagnostics, text buffers.
   Nothing here prints, exits or aborts. Running out of memory unwinds to the innermost CTX_TRY of the Ctx. */
#ifndef RONDO_BASE_H
#define RONDO_BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/port.h"

typedef struct Ctx Ctx;
typedef uint32_t Name; /* interned string; 0 is "" */

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* The caller's allocator: realloc semantics (p == NULL allocates, n == 0 frees). */
typedef struct {
    void *(*realloc)(void *arg, void *p, size_t n);
    void *arg;
} Allocator;

typedef struct ArenaChunk ArenaChunk;
typedef struct Arena {
    Ctx *ctx;
    ArenaChunk *head;
    size_t used; /* bytes handed out */
} Arena;

Arena arena_make(Ctx *ctx);
void arena_free(Arena *a); /* everything at once; the arena can be used again */
bool arena_holds(const Arena *a, const void *p); /* of memory that it handed out */
void *arena_alloc(Arena *a, size_t n); /* zeroed, aligned to 16; never NULL (see CTX_TRY) */
void *arena_grow(Arena *a, void *p, size_t old, size_t n); /* copies; the old block stays until arena_free */
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) PORT_PRINTF(2, 3);

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_N(arena, T, n) ((T *)arena_alloc_n((arena), (size_t)(n), sizeof(T)))
void *arena_alloc_n(Arena *a, size_t n, size_t size); /* checked n * size */

/* A vector in an arena: struct { T *at; uint32_t n, cap; }. VEC_PUSH returns an lvalue of the new, zeroed element. */
#define VEC(T) \
    struct { \
        T *at; \
        uint32_t n, cap; \
    }
#define VEC_PUSH(arena, v) \
    (*(vec_reserve((arena), (void **)&(v).at, (v).n, &(v).cap, sizeof *(v).at), &(v).at[(v).n++]))
void vec_reserve(Arena *a, void **at, uint32_t n, uint32_t *cap, size_t size);

/* Memory of other lifetimes, through the same allocator; never NULL, zeroed. */
void *ctx_alloc(Ctx *ctx, size_t n);
void ctx_free(Ctx *ctx, void *p);

/* Run a statement list that may run out of memory:  if (CTX_TRY(ctx)) { ...; CTX_END(ctx); } else { out of memory }.
   Nests. The body must not return or jump out without CTX_END, and locals changed in it are volatile or unused after. */
typedef struct CtxFrame {
    jmp_buf jmp;
    struct CtxFrame *up;
} CtxFrame;
void ctx_push_frame(Ctx *ctx, CtxFrame *f);
void ctx_pop_frame(Ctx *ctx);
PORT_NORETURN void ctx_out_of_memory(Ctx *ctx);

/* ---- names -------------------------------------------------------------------------------------------------------- */

Name intern(Ctx *ctx, const char *s);
Name intern_n(Ctx *ctx, const char *s, size_t n);
Name intern_printf(Ctx *ctx, const char *fmt, ...) PORT_PRINTF(2, 3);
const char *name_str(const Ctx *ctx, Name n);

/* ---- source text and diagnostics ---------------------------------------------------------------------------------- */

/* Every file read gets a range of one position space (as in rustc), so a place is one pair of numbers. 0 = nowhere. */
typedef struct {
    uint32_t lo, hi; /* half open */
} Span;

typedef struct {
    const char *path;
    const char *text; /* NUL-terminated */
    uint32_t base, size;
} Source;

/* Adds a text under a path (copied). NULL with a diagnostic when it is too large (64 MiB) or contains a NUL. */
const Source *source_add(Ctx *ctx, const char *path, const char *text, size_t n);
const Source *source_read(Ctx *ctx, const char *path); /* reads the file; NULL with a diagnostic */
const Source *source_of(const Ctx *ctx, uint32_t pos); /* NULL if nowhere */
void source_place(const Source *s, uint32_t pos, uint32_t *line, uint32_t *column); /* from 1; columns in bytes */
const char *source_line(const Source *s, uint32_t line, uint32_t *n); /* the text of a line (from 1) without its end */
Span span_join(Span a, Span b);

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_HELP } DiagKind;
typedef struct {
    DiagKind kind; /* NOTE and HELP belong to the ERROR or WARNING before them */
    uint16_t code; /* 123 for E0123; 0: none */
    Span span; /* {0,0}: no place */
    const char *text;
} Diag;

/* All take printf formats. Errors past 50 are counted, not kept. The codes are the rows of base/errors.def. */
void diag_error(Ctx *ctx, uint16_t code, Span at, const char *fmt, ...) PORT_PRINTF(4, 5);
void diag_warning(Ctx *ctx, uint16_t code, Span at, const char *fmt, ...) PORT_PRINTF(4, 5);
void diag_note(Ctx *ctx, Span at, const char *fmt, ...) PORT_PRINTF(3, 4);
void diag_help(Ctx *ctx, Span at, const char *fmt, ...) PORT_PRINTF(3, 4);
uint32_t diag_error_count(const Ctx *ctx);
uint32_t diag_count(const Ctx *ctx);
const Diag *diag_at(const Ctx *ctx, uint32_t i);
void diag_clear(Ctx *ctx);
void diag_drop(Ctx *ctx, uint32_t from); /* forgets those from index `from` on: a failure that was expected */
/* What `rondo help E0123` prints, from base/errors.def. False if there is no such code. */
bool error_explain(uint16_t code, const char **summary, const char **explanation);
uint16_t error_code_at(uint32_t i); /* the codes in table order; 0 past the end */

/* ---- text --------------------------------------------------------------------------------------------------------- */

typedef struct {
    Arena *arena;
    char *at; /* NUL-terminated once anything was put */
    size_t n, cap;
} Str;

Str str_make(Arena *a);
void str_put(Str *s, const char *text);
void str_putn(Str *s, const char *text, size_t n);
void str_putc(Str *s, char c);
void str_printf(Str *s, const char *fmt, ...) PORT_PRINTF(2, 3);
void str_vprintf(Str *s, const char *fmt, va_list ap);
/* A number that reads back to the same value, in the C locale whatever the process's ("0.1", "-inf", "nan", "1e-07"). */
void str_double(Str *s, double v);
void str_float(Str *s, float v);
/* strtod in the C locale; *end as strtod's. */
double parse_double(const char *s, char **end);

/* Renders every diagnostic as text: place, source line, carets, notes, helps. */
void diag_render(Ctx *ctx, Str *out, bool color);

/* Edit distance for "did you mean"; the candidate nearest to want, or NULL when none is near. */
const char *nearest_name(const char *want, const char *const *candidate, size_t n);

/* Reads a whole file. False with a diagnostic (code 1). The text is NUL-terminated; *n excludes that. */
bool file_read(Ctx *ctx, Arena *a, const char *path, char **text, size_t *n);
/* Writes through a temporary file, fsync and rename: the old file stays whole on any failure. False with a diagnostic. */
bool file_write(Ctx *ctx, const char *path, const void *data, size_t n);
const char *file_real(Arena *a, const char *path); /* the one path of an existing file, links followed; NULL if there is none */
bool file_is_plain(const char *path); /* a file that is no link */

/* ---- context ------------------------------------------------------------------------------------------------------ */

Ctx *ctx_make(const Allocator *alloc); /* NULL: malloc; returns NULL when out of memory */
void ctx_destroy(Ctx *ctx); /* frees names, sources, diagnostics; arenas made from it must be freed before */
Arena *ctx_arena(Ctx *ctx); /* lives as long as the context */

#define CTX_TRY(ctx, frame) (ctx_push_frame((ctx), (frame)), setjmp((frame)->jmp) == 0)
#define CTX_END(ctx) ctx_pop_frame(ctx)

/* Checked arithmetic for sizes: false on overflow or a negative operand. */
bool checked_mul(int64_t a, int64_t b, int64_t *out);
bool checked_add(int64_t a, int64_t b, int64_t *out);

uint64_t hash_bytes(uint64_t seed, const void *p, size_t n); /* the same everywhere: may be stored, and streams of noise hang on it */
uint64_t hash_words(uint64_t seed, const void *p, size_t n); /* eight bytes at a time; for tables and caches of this machine */

#endif
