/* plugin: what librondo_llvm.so offers. It is opened only when something has to be compiled by LLVM: libLLVM takes 11 to 160 ms
   to load. */
#ifndef RONDO_CODEGEN_PLUGIN_H
#define RONDO_CODEGEN_PLUGIN_H

#include "base/plugin.h"
#include "codegen/codegen.h"

/* Raised whenever the head of LlvmPlugin or the shape of an image changes. */
enum { RONDO_EMITTER_VERSION = 6 };

typedef struct {
    EmitKind kind; /* OBJ, ASM or LLVM */
    const char *triple, *cpu, *features; /* NULL: the host's */
    const char *prefix; /* of the entries' names; "": none */
    bool apart; /* OBJ: two objects, made by two threads: the longest entry, and all other functions */
} LlvmJob;

typedef struct {
    uint32_t instructions, instructions_shared; /* entries; helpers */
} LlvmCounts;

typedef struct {
    PluginHead head; /* RONDO_EMITTER_VERSION */
    const char *compiler; /* rondo_compiler_id: it reads the structures of ir/ */
    /* Appends the file to out, the second one to out[1]. False with a diagnostic. Thread-safe for different contexts. */
    bool (*compile)(Ctx *ctx, const LProgram *p, const LlvmJob *job, Str *out, LlvmCounts *counts);
} LlvmPlugin;

#define RONDO_LLVM_SYMBOL "rondo_llvm_plugin"

/* Opens the plugin once a process. NULL with a diagnostic. */
const LlvmPlugin *llvm_plugin(Ctx *ctx);

#endif
