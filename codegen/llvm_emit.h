/* llvm_emit: private to the LLVM back end. A loop program becomes one module; nothing is decided here. */
#ifndef RONDO_LLVM_EMIT_H
#define RONDO_LLVM_EMIT_H

#include "codegen/plugin.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

typedef struct {
    const LInst *inst;
    LLVMBasicBlockRef before, body, after;
    LLVMValueRef index;
    LLVMValueRef *init, *carry, *next; /* before; phis in the body; values of the latch */
    bool guarded; /* the block can be skipped */
} LlvmBlock;

/* Instructions of an entry that are a function. */
typedef struct {
    uint32_t from, to;
    LLVMValueRef fn; /* NULL: neither made nor called here */
    bool here;       /* made in this module */
} LlvmPiece;

typedef struct {
    Arena *arena;
    const LProgram *p;
    const LlvmJob *job;
    const char *cpu, *features;
    bool longest, others; /* which functions are defined in this module: the longest entry, all others; all are declared */
    VEC(LlvmPiece) piece; /* of the longest entry */
    uint32_t first_apart; /* the first one that is with the others */
    bool fma;   /* the target fuses; else multiply and add */
    bool sleef; /* SLEEF's functions; else <math.h> lane by lane */
    int V, vector_bits; /* the target's widest registers */
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    LLVMBuilderRef B;
    LLVMTypeRef i1, i32, i64, ptr, scalar; /* scalar: float or double */
    LLVMTypeRef f, v, m;                   /* lanes; the scalar itself when V = 1 */
    int lanes;                             /* the program's V; V and the types are those of half as many while a narrow value is made */
    LLVMValueRef *fn;
    LLVMTypeRef *fn_type;
    /* of the function being built */
    const LFunc *func;
    LLVMValueRef self;
    LLVMValueRef *val;   /* by LV */
    const bool *narrow;  /* by LV: it has half as many lanes */
    LLVMValueRef *buf;   /* addresses by buffer */
    LLVMValueRef *param; /* by parameter */
    LLVMValueRef dim[LDIM_COUNT], tid, nt, env;
    VEC(LlvmBlock) open;
} LlvmFunc;

/* The module of p, to be disposed of by the caller. */
LLVMModuleRef llvm_emit_module(LlvmFunc *C);

/* llvm_narrow.c */
/* V and the types of the value that instruction i makes or stores. */
void llvm_lanes(LlvmFunc *C, const LInst *i);
LLVMValueRef llvm_value(LlvmFunc *C, LV v); /* with the lanes of now */

/* llvm_ops.c: a pure operation by its row of lops.def (or written out, where the row has none) */
LLVMValueRef llvm_pure(LlvmFunc *C, const LInst *i);
void llvm_types(LlvmFunc *C);
LLVMTypeRef llvm_type(LlvmFunc *C, char t);
LLVMValueRef llvm_splat(LlvmFunc *C, LLVMValueRef scalar);
LLVMValueRef llvm_lane0(LlvmFunc *C, LLVMValueRef lanes);

/* llvm_memory.c: addresses, loads and stores */
LLVMValueRef llvm_address(LlvmFunc *C, uint32_t buf, uint32_t idx);
LLVMValueRef llvm_load(LlvmFunc *C, const LInst *i);
void llvm_store(LlvmFunc *C, const LInst *i);
void llvm_prefetch(LlvmFunc *C, const LInst *i);

#endif
