/* llvm_ops: pure operations of a loop program as LLVM instructions; the rows of lops.def are the builder calls. */
#include "codegen/llvm_emit.h"
#include "ir/sleef.h"

#include <string.h>

/* ---- types and constants --------------------------------------------------------------------------------------------- */

static LLVMTypeRef lanes_of(LlvmFunc *C, LLVMTypeRef t) { return C->V == 1 ? t : LLVMVectorType(t, (unsigned)C->V); }

void llvm_types(LlvmFunc *C) {
    C->i1 = LLVMInt1TypeInContext(C->ctx);
    C->i32 = LLVMInt32TypeInContext(C->ctx);
    C->i64 = LLVMInt64TypeInContext(C->ctx);
    C->ptr = LLVMPointerTypeInContext(C->ctx, 0);
    C->scalar = C->p->f64 ? LLVMDoubleTypeInContext(C->ctx) : LLVMFloatTypeInContext(C->ctx);
    C->f = lanes_of(C, C->scalar);
    C->v = lanes_of(C, C->i32);
    C->m = lanes_of(C, C->i1);
}

LLVMTypeRef llvm_type(LlvmFunc *C, char t) { return t == 'f' ? C->f : t == 'v' ? C->v : t == 'm' ? C->m : C->i64; }

static LLVMValueRef const_lanes(LlvmFunc *C, LLVMValueRef c) {
    LLVMValueRef all[16];
    if (C->V == 1) return c;
    for (int k = 0; k < C->V; k++) all[k] = c;
    return LLVMConstVector(all, (unsigned)C->V);
}

static LLVMValueRef llvm_splat32(LlvmFunc *C, int64_t imm) {
    return const_lanes(C, LLVMConstInt(C->i32, (unsigned long long)(uint32_t)imm, 0));
}

/* <from, from+1, .. from+n-1> as a shuffle mask */
static LLVMValueRef run_mask(LlvmFunc *C, int from, int n) {
    LLVMValueRef k[16];
    for (int i = 0; i < n; i++) k[i] = LLVMConstInt(C->i32, (unsigned long long)(from + i), 0);
    return LLVMConstVector(k, (unsigned)n);
}

LLVMValueRef llvm_splat(LlvmFunc *C, LLVMValueRef scalar) {
    if (C->V == 1) return scalar;
    if (LLVMIsConstant(scalar)) return const_lanes(C, scalar);
    LLVMValueRef undef = LLVMGetPoison(LLVMVectorType(LLVMTypeOf(scalar), (unsigned)C->V));
    LLVMValueRef one = LLVMBuildInsertElement(C->B, undef, scalar, LLVMConstInt(C->i32, 0, 0), "");
    return LLVMBuildShuffleVector(C->B, one, undef, LLVMConstNull(C->v), "");
}

LLVMValueRef llvm_lane0(LlvmFunc *C, LLVMValueRef lanes) {
    return C->V == 1 ? lanes : LLVMBuildExtractElement(C->B, lanes, LLVMConstInt(C->i32, 0, 0), "");
}

/* ---- operations of more than one instruction ------------------------------------------------------------------------- */

static LLVMValueRef llvm_intrinsic(LlvmFunc *C, const char *name, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    LLVMValueRef args[3] = {a, b, c};
    unsigned n = c ? 3 : b ? 2 : 1, id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMTypeRef t = LLVMTypeOf(a);
    LLVMValueRef fn = LLVMGetIntrinsicDeclaration(C->mod, id, &t, 1);
    return LLVMBuildCall2(C->B, LLVMIntrinsicGetType(C->ctx, id, &t, 1), fn, args, n, "");
}

static LLVMValueRef llvm_mulhi(LlvmFunc *C, LLVMValueRef a, LLVMValueRef b) {
    LLVMTypeRef wide = lanes_of(C, C->i64);
    LLVMValueRef x = LLVMBuildMul(C->B, LLVMBuildZExt(C->B, a, wide, ""), LLVMBuildZExt(C->B, b, wide, ""), "");
    x = LLVMBuildLShr(C->B, x, const_lanes(C, LLVMConstInt(C->i64, 32, 0)), "");
    return LLVMBuildTrunc(C->B, x, C->v, "");
}

static LLVMValueRef llvm_bits(LlvmFunc *C, LLVMValueRef a) {
    if (!C->p->f64) return LLVMBuildBitCast(C->B, a, C->v, "");
    LLVMValueRef w = LLVMBuildBitCast(C->B, a, lanes_of(C, C->i64), "");
    w = LLVMBuildLShr(C->B, w, const_lanes(C, LLVMConstInt(C->i64, 32, 0)), "");
    return LLVMBuildTrunc(C->B, w, C->v, "");
}

static LLVMValueRef llvm_frombits(LlvmFunc *C, LLVMValueRef a) {
    if (!C->p->f64) return LLVMBuildBitCast(C->B, a, C->f, "");
    LLVMValueRef w = LLVMBuildZExt(C->B, a, lanes_of(C, C->i64), "");
    w = LLVMBuildShl(C->B, w, const_lanes(C, LLVMConstInt(C->i64, 32, 0)), "");
    return LLVMBuildBitCast(C->B, w, C->f, "");
}

/* x[i] and x[i + n/2] together, and so on; the result in every lane */
static LLVMValueRef tree(LlvmFunc *C, LLVMValueRef x, bool max) {
    if (C->V == 1) return x;
    LLVMBuilderRef B = C->B;
    for (int n = C->V / 2; n >= 1; n /= 2) {
        LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(x));
        LLVMValueRef lo = LLVMBuildShuffleVector(B, x, none, run_mask(C, 0, n), "");
        LLVMValueRef hi = LLVMBuildShuffleVector(B, x, none, run_mask(C, n, n), "");
        x = max ? LLVMBuildSelect(B, LLVMBuildFCmp(B, LLVMRealOLT, lo, hi, ""), hi, lo, "") : LLVMBuildFAdd(B, lo, hi, "");
    }
    return LLVMBuildShuffleVector(B, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstNull(C->v), "");
}

/* One lane of x, which may have more or fewer lanes than the result. */
static LLVMValueRef lane(LlvmFunc *C, LLVMValueRef x, int64_t from) {
    if (C->V == 1) return x;
    return LLVMBuildShuffleVector(C->B, x, LLVMGetPoison(LLVMTypeOf(x)), llvm_splat32(C, from), "");
}

/* ---- functions of the mathematical library --------------------------------------------------------------------------- */

static LLVMValueRef call_external(LlvmFunc *C, const char *name, LLVMTypeRef t, LLVMValueRef *arg, unsigned n) {
    LLVMTypeRef params[2] = {t, t};
    LLVMTypeRef type = LLVMFunctionType(t, params, n, 0);
    LLVMValueRef fn = LLVMGetNamedFunction(C->mod, name);
    if (!fn) {
        fn = LLVMAddFunction(C->mod, name, type);
        static const char *const attribute[] = {"nounwind", "willreturn", "memory"};
        for (int k = 0; k < 3; k++) {
            unsigned kind = LLVMGetEnumAttributeKindForName(attribute[k], strlen(attribute[k]));
            LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(C->ctx, kind, 0));
        }
    }
    return LLVMBuildCall2(C->B, type, fn, arg, n, "");
}

/* The function over `n` of the lanes from `from`: by SLEEF's widest name that fits, else in halves. */
static LLVMValueRef libm_part(LlvmFunc *C, LFn fn, LLVMValueRef *x, int from, int n) {
    LLVMBuilderRef B = C->B;
    unsigned nargs = lfn_info[fn].args;
    char name[SLEEF_NAME] = "";
    if (C->sleef && n * (C->p->f64 ? 64 : 32) <= C->vector_bits) sleef_symbol(fn, C->p->f64, n, C->fma, name);
    if (!name[0] && n == 1) snprintf(name, sizeof name, "%s%s", lfn_info[fn].cname, C->p->f64 ? "" : "f");
    if (name[0]) {
        LLVMValueRef part[2] = {x[0], x[1]};
        for (unsigned k = 0; k < nargs && n != C->V; k++) {
            if (n == 1)
                part[k] = LLVMBuildExtractElement(B, x[k], LLVMConstInt(C->i32, (unsigned long long)from, 0), "");
            else
                part[k] = LLVMBuildShuffleVector(B, x[k], LLVMGetPoison(C->f), run_mask(C, from, n), "");
        }
        LLVMTypeRef t = n == 1 ? C->scalar : LLVMVectorType(C->scalar, (unsigned)n);
        LLVMValueRef r = call_external(C, name, t, part, nargs);
        if (n > 1 || C->V == 1) return r;
        return LLVMBuildInsertElement(B, LLVMGetPoison(LLVMVectorType(C->scalar, 1)), r, LLVMConstInt(C->i32, 0, 0), "");
    }
    LLVMValueRef lo = libm_part(C, fn, x, from, n / 2), hi = libm_part(C, fn, x, from + n / 2, n / 2);
    return LLVMBuildShuffleVector(B, lo, hi, run_mask(C, 0, n), "");
}

/* ---- rows ------------------------------------------------------------------------------------------------------------- */

static LLVMValueRef by_row(LlvmFunc *C, LOp op, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c, LLVMTypeRef t, int64_t imm) {
    LLVMBuilderRef B = C->B;
    switch (op) {
#define LOP(NAME, text, res, args, lane, llvm) \
    case LOP_##NAME: \
        return llvm;
#include "ir/lops.def"
#undef LOP
    case LOP_COUNT:
        break;
    }
    return NULL;
}

LLVMValueRef llvm_pure(LlvmFunc *C, const LInst *i) {
    LOp op = (LOp)i->op;
    LLVMValueRef a = llvm_value(C, i->a[0]), b = llvm_value(C, i->a[1]), c = llvm_value(C, i->a[2]), arg[2] = {a, b};
    if (op == LOP_ICONST) return LLVMConstInt(C->i64, (unsigned long long)i->imm, 1);
    if (op == LOP_DIM) return C->dim[i->imm];
    if (op == LOP_TID) return C->tid;
    if (op == LOP_NT) return C->nt;
    if (op == LOP_FCONST) {
        double d;
        memcpy(&d, &i->imm, sizeof d);
        return const_lanes(C, LLVMConstReal(C->scalar, d));
    }
    if (op == LOP_FMA && !C->fma) return LLVMBuildFAdd(C->B, LLVMBuildFMul(C->B, a, b, ""), c, "");
    if (op == LOP_LANE) return lane(C, C->val[i->a[0]], i->imm);
    if (op == LOP_HSUM || op == LOP_HMAX) return tree(C, a, op == LOP_HMAX);
    if (op == LOP_LIBM) return libm_part(C, (LFn)i->imm, arg, 0, C->V);
    if (op == LOP_VCONST) return llvm_splat32(C, i->imm);
    if (op == LOP_VSPLAT) return llvm_splat(C, LLVMBuildTrunc(C->B, a, C->i32, ""));
    if (op == LOP_VIOTA) return C->V == 1 ? LLVMConstInt(C->i32, 0, 0) : run_mask(C, 0, C->V);
    return by_row(C, op, a, b, c, llvm_type(C, lop_info[op].result), i->imm);
}
