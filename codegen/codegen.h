/* codegen: loop programs become machine code or portable C. Nothing here knows the tensor graph. */
#ifndef RONDO_CODEGEN_H
#define RONDO_CODEGEN_H


#include "ir/loop.h"

/* ---- engines: one kernel ABI (KernelFn), whoever made the kernel ------------------------------------------------------- */

typedef enum { ENGINE_JIT, ENGINE_C, ENGINE_LOOPS } EngineKind;

typedef struct {
    EngineKind kind;
    const char *cc; /* C: compiler command with flags; NULL: "cc -O2" with what the host offers (-march=native) */
    const char *cache_dir; /* JIT: object cache; NULL: $XDG_CACHE_HOME/rondo; "": none */
    const char *cpu, *features; /* JIT: NULL: the host's */
    const uint64_t *key; /* JIT: engine_key of the program and these options, by who has it already; NULL: it is made */
    bool shadow; /* LOOPS: shadow memory */
    uint32_t longest; /* C: as in CEmitOptions */
    bool debug_symbols; /* JIT: register objects with gdb and perf */
} EngineOptions;

typedef struct {
    double seconds; /* spent making the kernels */
    bool from_cache;
    uint32_t llvm_instructions, llvm_instructions_shared; /* besides helpers; of helpers (tiles, mathematics) */
} EngineStats;

typedef struct Engine Engine;
/* NULL with a diagnostic (codes 800-899). The program must outlive the engine (LOOPS interprets it). */
Engine *engine_make(Ctx *ctx, const LProgram *p, const EngineOptions *o);
/* Calls entry `fn` (index in LProgram.fn) on the calling thread. False with a diagnostic only for LOOPS with shadow. */
bool engine_call(Engine *e, uint32_t fn, void *const *buf, const int64_t *dim, const KEnv *env);
KernelFn *engine_kernel(Engine *e, uint32_t fn); /* NULL for LOOPS */
EngineStats engine_stats(const Engine *e);
void engine_destroy(Engine *e);
/* Of everything that machine code depends on: what the cache keeps it under. */
void engine_key(Arena *a, const LProgram *p, const EngineOptions *o, uint64_t key[2]);

/* A short text kept beside the code of the cache, under a key of the caller's (what a tuner found); NULL: none. cache_dir as in
   EngineOptions. Nothing fails: what cannot be kept is not there. */
const char *cache_note(Arena *a, const char *cache_dir, const uint64_t key[2]);
void cache_note_put(Arena *a, const char *cache_dir, const uint64_t key[2], const char *text);

/* Bytes of the caller's kept there too, whole and undamaged or not at all: what compilation gave before there was code (exec_kept.c). */
const char *cache_plan(Arena *a, const char *cache_dir, const uint64_t key[2], size_t *n);
void cache_plan_put(Arena *a, const char *cache_dir, const uint64_t key[2], const char *bytes, size_t n);

/* What the host offers: lanes of f32 and f64 in its widest useful vectors, number of vector registers, a name to print.
   Found without loading LLVM. */
typedef struct {
    int lanes_f32, lanes_f64, registers;
    bool fma;
    char name[64];
} HostInfo;
HostInfo host_info(void);
enum { HOST_WORDS = 32 };
void host_words(uint32_t w[HOST_WORDS]); /* distinguish processors for which other code is made */

/* ---- C ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *prefix; /* of every symbol */
    bool exported; /* entries are extern; else static */
    bool sleef; /* mathematical functions are libsleef's, with the bits of the other engines; else <math.h> */
    bool env; /* entries are KernelFn; else they take the buffers that they use as parameters, and run on one thread */
    uint32_t longest; /* operations of an entry that is not cut into functions; 0: 1500 */
    bool freestanding; /* no header but <stddef.h> and <stdint.h>, no function of a library */
} CEmitOptions;
/* The program's functions as strict C99: GNU vector types where the compiler has them, plain C elsewhere, the same bits. */
bool emit_c_kernels(Str *out, const LProgram *p, const CEmitOptions *o);

/* Several programs of one width in one text: types, operations and equal helpers stand there once. Print the functions of a
   program, then the prelude (what they need and nobody before), which goes in front. Entries are <prefix>_<name>_<entry>. o and
   the programs must outlive it. */
typedef struct CText CText;
typedef struct CUnit CUnit;
/* The line of the source around a position, without blanks in front and without a comment. False: there is none. */
bool c_source_line(const Ctx *ctx, uint32_t span, const char **line, const char **past);
void c_comment_text(Str *out, const char *at, const char *past); /* without what would end a comment */

CText *c_text_make(Arena *a, const CEmitOptions *o);

/* Buffers of floats that are stored in fewer bits and widened where they are read. C_INT8 takes scales, in an array whose expression is
   the buffer's with "_scale" behind it: one a column where the buffer is a matrix of `rows` rows in panels of `panel` columns (the
   last one may be narrower), else (panel 0) one for each `rows` elements. */
typedef enum { C_FLOAT, C_BF16, C_F16, C_INT8 } CStorage;
typedef struct {
    CStorage storage;
    int64_t rows, columns, panel;
} CNarrow;
int64_t c_narrow_scale(const CNarrow *n, int64_t element); /* which scale it takes */
/* narrow: by buffer; NULL: all are floats. */
CUnit *c_text_functions(CText *t, Str *out, const LProgram *p, const char *name, const CNarrow *narrow);
bool c_text_refused(const CUnit *u, uint32_t buf); /* is it read in a way that does not go with its scales? The text is of no use then */
void c_text_prelude(CText *t, Str *out);
/* Lines before and behind all of a file's functions: how their arithmetic is compiled, whatever the options say. */
void c_text_begin(Str *s, bool freestanding);
void c_text_end(Str *s, bool freestanding);
extern const char c_text_aligned[]; /* lines before the definition of an object that vectors are read from */
/* A function of <math.h> that what is printed calls; NULL: none. */
const char *c_text_library(const CText *t);
bool c_text_calls(const CText *t); /* any mathematical function that is not written out, whose bits are the library's */
/* A call of entry `fn`: buf[k] is what buffer k is bound to, as an expression. */
void c_text_call(CUnit *u, Str *out, uint32_t fn, const char *const *buf, const char *turn);

/* ---- from LLVM --------------------------------------------------------------------------------------------------------- */

typedef enum { EMIT_OBJ, EMIT_ASM, EMIT_LLVM, EMIT_SO } EmitKind;
typedef struct {
    const char *triple, *cpu, *features; /* NULL: the host's */
} EmitTarget;
/* Appends what LLVM makes of the kernels of p (KernelFn ABI, names <prefix>_<entry>); no EMIT_SO. False with a diagnostic. */
bool llvm_kernels(Ctx *ctx, const LProgram *p, EmitKind kind, const EmitTarget *t, const char *prefix, Str *out);

typedef struct {
    const char *name, *c, *h; /* NAME.c, which includes NAME.h and of a library <math.h> and <string.h> alone */
} EmitSource;
/* Appends what clang makes of a source; of the machine that t->triple names (NULL: the host) it needs nothing, but for EMIT_SO a linker.
   t->cpu: NULL: of the host what it can do, of others the least that bears the triple's name. False with a diagnostic. */
bool clang_compile(Ctx *ctx, const EmitSource *s, EmitKind kind, const EmitTarget *t, Str *out);

#endif
