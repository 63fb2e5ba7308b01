/* image: private to codegen/. Position-independent machine code of one program, linked by ourselves: what the object cache
   keeps, and what is mapped to run. Loading one needs no LLVM.

   An image is a header, the names of the functions it imports, its symbols, strings, and the code region:
       [addresses of imports, 8 bytes each, filled at load][sections][one jump per import]
   All references are relative, so the region runs wherever it is mapped. */
#ifndef RONDO_CODEGEN_IMAGE_H
#define RONDO_CODEGEN_IMAGE_H

#include "codegen/codegen.h"

typedef struct {
    char magic[8];
    uint32_t version, machine; /* RONDO_EMITTER_VERSION; ELF's e_machine */
    uint64_t key[2];
    uint64_t checksum; /* of all that follows the header */
    uint64_t size;     /* of the whole image */
    uint32_t imports, symbols, strings, code; /* offsets from the start of the image */
    uint32_t nimport, nsymbol, string_size, code_size;
    uint32_t instructions, instructions_shared;
} ImageHeader;

typedef struct {
    uint32_t name, offset, size; /* in strings; in the code region; bytes */
} ImageSymbol;

/* Links n ELF relocatable objects into an image (appended to out). False with a diagnostic. */
bool image_link(Ctx *ctx, const Str *object, uint32_t n, const uint64_t key[2], Str *out);
/* Completes an image with the compiler's counts and its checksum. */
void image_seal(char *image, uint32_t instructions, uint32_t instructions_shared);
void image_counts(const char *image, uint32_t *instructions, uint32_t *instructions_shared);
/* Whether at[0..n) is a whole, undamaged image under this key. */
bool image_valid(const char *at, size_t n, const uint64_t key[2]);

typedef struct {
    char *base; /* of the mapped code */
    size_t size;
} LoadedImage;
/* Maps a valid image: written first, then made executable and no longer writable. False with a diagnostic. */
bool image_load(Ctx *ctx, const char *image, LoadedImage *out);
void image_unload(LoadedImage *l);
/* Offset of a symbol in the code, or UINT32_MAX. */
uint32_t image_find(const char *image, const char *name);

/* ---- object cache (cache.c) ------------------------------------------------------------------------------------------- */

/* The folder to use, which what is put there makes; NULL: none. */
const char *cache_folder(Arena *a, const char *wanted);
/* An undamaged image of that key, or NULL. */
const char *cache_get(Arena *a, const char *folder, const uint64_t key[2], size_t *n);
void cache_put(Arena *a, const char *folder, const uint64_t key[2], const char *image, size_t n);
/* Where the folder's files have more than `most` bytes, removes those not used for longest, until a quarter of that is free. */
void cache_trim(Arena *a, const char *folder, int64_t most);

/* ---- gdb and perf (jit_debug.c) ----------------------------------------------------------------------------------------- */

typedef struct JitDebug JitDebug;
JitDebug *jit_debug_add(Ctx *ctx, const char *image, const LoadedImage *l, const char *program);
void jit_debug_remove(Ctx *ctx, JitDebug *d);

/* ---- the C engine (engine_c.c) ---------------------------------------------------------------------------------------- */

/* Compiles and opens the program as C; kernel[] by function. NULL with a diagnostic, else to be dlclosed. */
void *engine_c_open(Ctx *ctx, Arena *a, const LProgram *p, const EngineOptions *o, KernelFn **kernel);

/* ---- the system's compiler (shell.c) -------------------------------------------------------------------------------------- */

const char *shell_quote(Arena *a, const char *text);
/* Runs a command line, its output to the file `log`, which is removed. False with a diagnostic that quotes the output. */
bool shell_compile(Ctx *ctx, Arena *a, const char *command, const char *log);

#endif
