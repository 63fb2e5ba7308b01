/* llvm_narrow: values of 16 lanes of which no more than 8 ever matter are made with 8. Where vectors of 16 floats go through units of 8 that
   halves their time; elsewhere it costs nothing, since the lower half of a register is a register. */
#include "codegen/llvm_emit.h"

enum { HALF = 8 };

void llvm_lanes(LlvmFunc *C, const LInst *i) {
    bool stores = i->op >= LOP_ST && i->op <= LOP_STV1;
    LV v = stores ? i->a[0] : i->dst;
    int lanes = v && C->narrow[v] ? HALF : C->lanes;
    if (C->V == lanes) return;
    C->V = lanes;
    llvm_types(C);
}

LLVMValueRef llvm_value(LlvmFunc *C, LV v) {
    LLVMValueRef x = C->val[v], lane[HALF];
    if (!x || C->V == C->lanes || C->func->type.at[v] == 'i' || C->narrow[v]) return x;
    for (int k = 0; k < HALF; k++) lane[k] = LLVMConstInt(C->i32, (unsigned)k, 0);
    return LLVMBuildShuffleVector(C->B, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(lane, HALF), "");
}
