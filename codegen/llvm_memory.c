/* llvm_memory: addresses, loads and stores. Vectors are aligned as their elements; tails are masked with constant masks. */
#include "codegen/llvm_emit.h"

#include <string.h>

static uint8_t elem_of(LlvmFunc *C, uint32_t buf) {
    return buf & LBUF_PARAM ? C->func->param.at[buf & ~LBUF_PARAM].elem : C->p->buf.at[buf].elem;
}

/* The constant goes last, so that accesses that differ by it share the rest and it becomes a displacement. */
LLVMValueRef llvm_address(LlvmFunc *C, uint32_t buf, uint32_t idx) {
    LLVMBuilderRef B = C->B;
    const LIdx *x = &C->func->idx.at[idx];
    LLVMValueRef at = buf & LBUF_PARAM ? C->param[buf & ~LBUF_PARAM] : C->buf[buf], sum = NULL;
    LLVMTypeRef t = elem_of(C, buf) == LE_F ? C->scalar : C->i32;
    for (uint32_t k = 0; k < x->n; k++) {
        LLVMValueRef term = C->val[x->v[k]];
        if (x->c[k] != 1) term = LLVMBuildMul(B, term, LLVMConstInt(C->i64, (unsigned long long)x->c[k], 1), "");
        sum = sum ? LLVMBuildAdd(B, sum, term, "") : term;
    }
    if (sum) at = LLVMBuildGEP2(B, t, at, &sum, 1, "");
    if (!x->c0) return at;
    LLVMValueRef c0 = LLVMConstInt(C->i64, (unsigned long long)x->c0, 1);
    return LLVMBuildGEP2(B, t, at, &c0, 1, "");
}

static unsigned size_of(LlvmFunc *C, bool floats) { return floats && C->p->f64 ? 8 : 4; }

static LLVMValueRef first_lanes(LlvmFunc *C, int64_t n) {
    LLVMValueRef k[16];
    for (int i = 0; i < C->V; i++) k[i] = LLVMConstInt(C->i1, i < n, 0);
    return LLVMConstVector(k, (unsigned)C->V);
}

static LLVMValueRef masked(LlvmFunc *C, bool store, LLVMTypeRef t, LLVMValueRef at, LLVMValueRef value, unsigned align, int64_t n) {
    const char *name = store ? "llvm.masked.store" : "llvm.masked.load";
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMTypeRef types[2] = {t, C->ptr};
    LLVMValueRef fn = LLVMGetIntrinsicDeclaration(C->mod, id, types, 2), al = LLVMConstInt(C->i32, align, 0);
    LLVMValueRef load[4] = {at, al, first_lanes(C, n), LLVMConstNull(t)}, put[4] = {value, at, al, first_lanes(C, n)};
    return LLVMBuildCall2(C->B, LLVMIntrinsicGetType(C->ctx, id, types, 2), fn, store ? put : load, 4, "");
}

static LLVMValueRef load_of(LlvmFunc *C, LLVMTypeRef t, LLVMValueRef at, unsigned align) {
    LLVMValueRef x = LLVMBuildLoad2(C->B, t, at, "");
    LLVMSetAlignment(x, align);
    return x;
}

/* Lanes of two vectors just stored, or NULL. */
static LLVMValueRef straddling(LlvmFunc *C, const LInst *i) {
    LV v[2];
    LLVMValueRef lane[16];
    int past = lfunc_straddles(C->p, C->func, i, v);
    if (!past || C->V != C->lanes || C->narrow[v[0]] || C->narrow[v[1]]) return NULL;
    for (int k = 0; k < C->V; k++) lane[k] = LLVMConstInt(C->i32, (unsigned)(past + k), 0);
    return LLVMBuildShuffleVector(C->B, C->val[v[0]], C->val[v[1]], LLVMConstVector(lane, (unsigned)C->V), "");
}

LLVMValueRef llvm_load(LlvmFunc *C, const LInst *i) {
    LOp op = (LOp)i->op;
    LLVMValueRef both = straddling(C, i);
    if (both) return both;
    bool floats = op == LOP_LD || op == LOP_LDT || op == LOP_LDB;
    LLVMTypeRef scalar = floats ? C->scalar : C->i32, lanes = floats ? C->f : C->v;
    unsigned align = size_of(C, floats);
    LLVMValueRef at = llvm_address(C, i->buf, i->idx);
    if (op == LOP_LDI) return LLVMBuildSExt(C->B, load_of(C, C->i32, at, 4), C->i64, "");
    if (op == LOP_LDB || op == LOP_LDVB) return llvm_splat(C, load_of(C, scalar, at, align));
    if (op == LOP_LD || op == LOP_LDV || i->imm >= C->V) return load_of(C, lanes, at, align);
    if (i->imm <= 0) return LLVMConstNull(lanes);
    return masked(C, false, lanes, at, NULL, align, i->imm);
}

static void store_lanes(LlvmFunc *C, LLVMTypeRef scalar, LLVMValueRef at, LLVMValueRef x, unsigned align, int from, int n) {
    LLVMValueRef lane[16], i = LLVMConstInt(C->i64, (unsigned)from, 0);
    for (int k = 0; k < n; k++) lane[k] = LLVMConstInt(C->i32, (unsigned)(from + k), 0);
    x = LLVMBuildShuffleVector(C->B, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(lane, (unsigned)n), "");
    LLVMSetAlignment(LLVMBuildStore(C->B, x, LLVMBuildGEP2(C->B, scalar, at, &i, 1, "")), align);
}

/* The first n lanes as one or two narrower vectors, if they are: a store with a mask takes longer. */
static bool stored_in_parts(LlvmFunc *C, LLVMTypeRef scalar, LLVMValueRef at, LLVMValueRef x, unsigned align, int n) {
    int first = C->V;
    while (first > n) first /= 2;
    int rest = n - first;
    if (rest & (rest - 1)) return false;
    store_lanes(C, scalar, at, x, align, 0, first);
    if (rest) store_lanes(C, scalar, at, x, align, first, rest);
    return true;
}

void llvm_prefetch(LlvmFunc *C, const LInst *i) {
    enum { READ = 0, SECOND_CACHE = 2, DATA = 1 };
    unsigned id = LLVMLookupIntrinsicID("llvm.prefetch", strlen("llvm.prefetch"));
    LLVMValueRef fn = LLVMGetIntrinsicDeclaration(C->mod, id, &C->ptr, 1), arg[4] = {llvm_address(C, i->buf, i->idx)};
    const int how[3] = {READ, SECOND_CACHE, DATA};
    for (int k = 0; k < 3; k++) arg[1 + k] = LLVMConstInt(C->i32, (unsigned)how[k], 0);
    LLVMBuildCall2(C->B, LLVMIntrinsicGetType(C->ctx, id, &C->ptr, 1), fn, arg, 4, "");
}

void llvm_store(LlvmFunc *C, const LInst *i) {
    LOp op = (LOp)i->op;
    bool floats = op == LOP_ST || op == LOP_STT || op == LOP_ST1, tail = op == LOP_STT || op == LOP_STVT;
    unsigned align = size_of(C, floats);
    LLVMValueRef at = llvm_address(C, i->buf, i->idx), x = llvm_value(C, i->a[0]);
    if (tail && i->imm <= 0) return;
    if (tail && i->imm < C->V) {
        if (stored_in_parts(C, floats ? C->scalar : C->i32, at, x, align, (int)i->imm)) return;
        masked(C, true, floats ? C->f : C->v, at, x, align, i->imm);
        return;
    }
    /* LLVM 19 makes lane 0 of a select of a select (x86 with AVX-512) a scalar select that it then cannot emit; not of integers. */
    if (op == LOP_ST1 && C->V > 1 && LLVMIsASelectInst(x))
        x = LLVMBuildBitCast(C->B, x, LLVMVectorType(LLVMIntTypeInContext(LLVMGetTypeContext(LLVMTypeOf(x)), size_of(C, true) * 8), (unsigned)C->V), "");
    if (op == LOP_ST1 || op == LOP_STV1) x = llvm_lane0(C, x);
    LLVMSetAlignment(LLVMBuildStore(C->B, x, at), align);
}
