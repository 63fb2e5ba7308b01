/* llvm_emit: functions and control of a loop program as LLVM IR. A FOR is a guarded loop with its test at the end:
       before: br (lo < hi), body, after
       body:   i = phi [lo, before], [i + step, latch]   carry = phi [init, before], [next, latch]
       latch:  br (i + step < hi), body, after
       after:  result = phi [init, before], [next, latch]
   The guard is left out where the bounds are constants. */
#include "codegen/llvm_emit.h"

#include <string.h>

static void add_attribute(LlvmFunc *C, LLVMValueRef fn, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(C->ctx, kind, 0));
}

static void add_string(LlvmFunc *C, LLVMValueRef fn, const char *name, const char *value) {
    LLVMAttributeRef a =
        LLVMCreateStringAttribute(C->ctx, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void declare(LlvmFunc *C, uint32_t fn) {
    const LFunc *f = C->p->fn.at[fn];
    bool entry = f->kind == LFUNC_ENTRY;
    unsigned n = entry ? 3 : f->param.n;
    LLVMTypeRef *t = NEW_N(C->arena, LLVMTypeRef, n + 1);
    for (unsigned k = 0; k < n; k++) t[k] = entry || f->param.at[k].pointer ? C->ptr : C->i64;
    C->fn_type[fn] = LLVMFunctionType(LLVMVoidTypeInContext(C->ctx), t, n, 0);
    const char *name = name_str(C->p->ctx, f->name);
    if (entry && C->job->prefix[0]) name = arena_printf(C->arena, "%s_%s", C->job->prefix, name);
    C->fn[fn] = LLVMAddFunction(C->mod, name, C->fn_type[fn]);
    bool local = !entry && (C->longest == C->others || f->inline_hint);
    LLVMSetLinkage(C->fn[fn], local ? LLVMInternalLinkage : LLVMExternalLinkage);
    if (!entry && !local) LLVMSetVisibility(C->fn[fn], LLVMHiddenVisibility);
    add_attribute(C, C->fn[fn], "nounwind");
    if (f->inline_hint && !entry) add_attribute(C, C->fn[fn], "alwaysinline");
    if (C->cpu[0]) add_string(C, C->fn[fn], "target-cpu", C->cpu);
    if (C->features[0]) add_string(C, C->fn[fn], "target-features", C->features);
}

/* ---- the start of a function ----------------------------------------------------------------------------------------- */

static LLVMValueRef load_at(LlvmFunc *C, LLVMTypeRef t, LLVMValueRef base, uint32_t k) {
    LLVMValueRef index = LLVMConstInt(C->i64, k, 0);
    return LLVMBuildLoad2(C->B, t, LLVMBuildGEP2(C->B, t, base, &index, 1, ""), "");
}

static LLVMTypeRef env_type(LlvmFunc *C) {
    LLVMTypeRef t[4] = {C->i64, C->i64, C->ptr, C->ptr};
    return LLVMStructTypeInContext(C->ctx, t, 4, 0);
}

static LLVMValueRef env_field(LlvmFunc *C, unsigned k) {
    LLVMTypeRef t = env_type(C);
    return LLVMBuildLoad2(C->B, LLVMStructGetTypeAtIndex(t, k), LLVMBuildStructGEP2(C->B, t, C->env, k, ""), "");
}

static void local_buffer(LlvmFunc *C, uint32_t k) {
    const LBuf *b = &C->p->buf.at[k];
    int64_t n = lextent_eval(&b->extent, NULL);
    LLVMTypeRef t = LLVMArrayType2(b->elem == LE_F ? C->scalar : C->i32, n > 0 ? (uint64_t)n : 1);
    C->buf[k] = LLVMBuildAlloca(C->B, t, "");
    LLVMSetAlignment(C->buf[k], 64);
}

static bool is_local(const LlvmFunc *C, uint32_t k) { return !(k & LBUF_PARAM) && C->p->buf.at[k].role == LB_LOCAL; }

static void need_buffer(LlvmFunc *C, uint32_t k) {
    if (k & LBUF_PARAM || C->buf[k]) return;
    if (is_local(C, k))
        local_buffer(C, k);
    else
        C->buf[k] = load_at(C, C->ptr, LLVMGetParam(C->self, 0), k);
}

/* Buffers' addresses, dims and the thread's number are loaded once, before anything is stored. Not addresses that only calls outside of
   all loops want: a long entry has hundreds, more than any register allocator likes. */
static void load_environment(LlvmFunc *C, const bool *here) {
    const LFunc *f = C->func;
    uint32_t loops = 0, depth = 0, *loop = NEW_N(C->arena, uint32_t, f->inst.n + 1);
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        LOp op = (LOp)i->op;
        if (op == LOP_FOR || op == LOP_IF) loops += loop[depth++] = op == LOP_FOR;
        if (op == LOP_END) loops -= loop[--depth];
        if (!here[k]) continue;
        if (op >= LOP_LD && op <= LOP_STV1) need_buffer(C, i->buf);
        if (op == LOP_DIM && !C->dim[i->imm]) C->dim[i->imm] = load_at(C, C->i64, LLVMGetParam(C->self, 1), (uint32_t)i->imm);
        if (op == LOP_TID && !C->tid) C->tid = env_field(C, 0);
        if (op == LOP_NT && !C->nt) C->nt = env_field(C, 1);
        if (op != LOP_CALL) continue;
        const LFunc *g = C->p->fn.at[i->imm];
        for (uint32_t j = 0; j < g->param.n; j++) {
            uint32_t buf = f->ext.at[i->ext + 1 + 2 * j];
            if (g->param.at[j].pointer && (loops || is_local(C, buf))) need_buffer(C, buf);
        }
    }
}

/* ---- control --------------------------------------------------------------------------------------------------------- */

static LLVMBasicBlockRef new_block(LlvmFunc *C, const char *name) { return LLVMAppendBasicBlockInContext(C->ctx, C->self, name); }

/* Branches to body when a < b, else to after. False if a constant condition leaves one way only: always the body. */
static bool guard(LlvmFunc *C, LLVMValueRef cond, LLVMBasicBlockRef body, LLVMBasicBlockRef after) {
    if (LLVMIsAConstantInt(cond) && LLVMConstIntGetZExtValue(cond)) {
        LLVMBuildBr(C->B, body);
        return false;
    }
    LLVMBuildCondBr(C->B, cond, body, after);
    return true;
}

/* Value v as the carry `inner` has it. */
static LLVMValueRef carried(LlvmFunc *C, LV v, LV inner) {
    llvm_lanes(C, &(LInst){.dst = inner});
    return llvm_value(C, v);
}

static void begin_for(LlvmFunc *C, const LInst *i) {
    LLVMBuilderRef B = C->B;
    const uint32_t *ext = &C->func->ext.at[i->ext];
    LLVMValueRef lo = C->val[i->a[0]], hi = C->val[i->a[1]], first = lo;
    LlvmBlock *b = &VEC_PUSH(C->arena, C->open);
    b->inst = i;
    b->before = LLVMGetInsertBlock(B);
    b->body = new_block(C, "for");
    b->after = new_block(C, "end");
    b->carry = NEW_N(C->arena, LLVMValueRef, ext[0] + 1);
    b->next = NEW_N(C->arena, LLVMValueRef, ext[0] + 1);
    b->init = NEW_N(C->arena, LLVMValueRef, ext[0] + 1);
    for (uint32_t k = 0; k < ext[0]; k++) b->init[k] = carried(C, ext[1 + 3 * k], ext[2 + 3 * k]);
    if (i->flags & LF_DOWN) {
        LLVMValueRef step = LLVMConstInt(C->i64, (unsigned long long)i->imm, 1), one = LLVMConstInt(C->i64, 1, 1);
        LLVMValueRef n = LLVMBuildSDiv(B, LLVMBuildSub(B, LLVMBuildSub(B, hi, lo, ""), one, ""), step, "");
        first = LLVMBuildAdd(B, lo, LLVMBuildMul(B, n, step, ""), "");
    }
    b->guarded = guard(C, LLVMBuildICmp(B, LLVMIntSLT, lo, hi, ""), b->body, b->after);
    LLVMPositionBuilderAtEnd(B, b->body);
    b->index = LLVMBuildPhi(B, C->i64, "");
    LLVMAddIncoming(b->index, &first, &b->before, 1);
    C->val[i->dst] = b->index;
    for (uint32_t k = 0; k < ext[0]; k++) {
        LLVMValueRef init = b->init[k];
        b->carry[k] = LLVMBuildPhi(B, LLVMTypeOf(init), "");
        LLVMAddIncoming(b->carry[k], &init, &b->before, 1);
        C->val[ext[2 + 3 * k]] = b->carry[k];
    }
}

static void end_for(LlvmFunc *C, LlvmBlock *b) {
    LLVMBuilderRef B = C->B;
    const LInst *i = b->inst;
    const uint32_t *ext = &C->func->ext.at[i->ext];
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(B);
    LLVMValueRef step = LLVMConstInt(C->i64, (unsigned long long)i->imm, 1), next, more;
    if (i->flags & LF_DOWN) {
        next = LLVMBuildNSWSub(B, b->index, step, "");
        more = LLVMBuildICmp(B, LLVMIntSGE, next, C->val[i->a[0]], "");
    } else {
        next = LLVMBuildNSWAdd(B, b->index, step, "");
        more = LLVMBuildICmp(B, LLVMIntSLT, next, C->val[i->a[1]], "");
    }
    LLVMBuildCondBr(B, more, b->body, b->after);
    LLVMAddIncoming(b->index, &next, &latch, 1);
    LLVMPositionBuilderAtEnd(B, b->after);
    for (uint32_t k = 0; k < ext[0]; k++) {
        LLVMAddIncoming(b->carry[k], &b->next[k], &latch, 1);
        LLVMValueRef result = LLVMBuildPhi(B, LLVMTypeOf(b->carry[k]), "");
        if (b->guarded) LLVMAddIncoming(result, &b->init[k], &b->before, 1);
        LLVMAddIncoming(result, &b->next[k], &latch, 1);
        C->val[ext[3 + 3 * k]] = result;
    }
}

static void begin_if(LlvmFunc *C, const LInst *i) {
    LlvmBlock *b = &VEC_PUSH(C->arena, C->open);
    b->inst = i;
    b->body = new_block(C, "if");
    b->after = new_block(C, "end");
    guard(C, LLVMBuildICmp(C->B, LLVMIntSLT, C->val[i->a[0]], C->val[i->a[1]], ""), b->body, b->after);
    LLVMPositionBuilderAtEnd(C->B, b->body);
}

static void end_block(LlvmFunc *C) {
    LlvmBlock b = C->open.at[--C->open.n];
    if (b.inst->op == LOP_FOR) {
        end_for(C, &b);
        return;
    }
    LLVMBuildBr(C->B, b.after);
    LLVMPositionBuilderAtEnd(C->B, b.after);
}

static void yield(LlvmFunc *C, const LInst *i) {
    const uint32_t *y = &C->func->ext.at[i->ext];
    LlvmBlock *b = &C->open.at[C->open.n - 1];
    for (uint32_t k = 0; k < y[0]; k++) b->next[k] = carried(C, y[1 + k], C->func->ext.at[b->inst->ext + 2 + 3 * k]);
}

/* An argument; of a buffer whose address nobody else here wants, loaded for this call. */
static LLVMValueRef pointer_argument(LlvmFunc *C, uint32_t buf, uint32_t idx) {
    bool once = !(buf & LBUF_PARAM) && !C->buf[buf];
    need_buffer(C, buf);
    LLVMValueRef at = llvm_address(C, buf, idx);
    if (once) C->buf[buf] = NULL;
    return at;
}

static void call(LlvmFunc *C, const LInst *i) {
    const LFunc *g = C->p->fn.at[i->imm];
    LLVMValueRef *arg = NEW_N(C->arena, LLVMValueRef, g->param.n + 1);
    for (uint32_t k = 0; k < g->param.n; k++) {
        const uint32_t *x = &C->func->ext.at[i->ext + 1 + 2 * k];
        arg[k] = g->param.at[k].pointer ? pointer_argument(C, x[0], x[1]) : C->val[x[0]];
    }
    LLVMBuildCall2(C->B, C->fn_type[i->imm], C->fn[i->imm], arg, g->param.n, "");
}

static void barrier(LlvmFunc *C) {
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(C->ctx), &C->ptr, 1, 0);
    LLVMValueRef fn = env_field(C, 2), arg = env_field(C, 3);
    LLVMBuildCall2(C->B, type, fn, &arg, 1, "");
}

/* ---- functions ------------------------------------------------------------------------------------------------------- */

static void instruction(LlvmFunc *C, const LInst *i) {
    LOp op = (LOp)i->op;
    llvm_lanes(C, i);
    if (op == LOP_FOR)
        begin_for(C, i);
    else if (op == LOP_IF)
        begin_if(C, i);
    else if (op == LOP_YIELD)
        yield(C, i);
    else if (op == LOP_END)
        end_block(C);
    else if (op == LOP_CALL)
        call(C, i);
    else if (op == LOP_BARRIER)
        barrier(C);
    else if (op >= LOP_LD && op <= LOP_LDVB)
        C->val[i->dst] = llvm_load(C, i);
    else if (op == LOP_PREFETCH)
        llvm_prefetch(C, i);
    else if (op >= LOP_ST && op <= LOP_STV1)
        llvm_store(C, i);
    else if (op != LOP_NONE)
        C->val[i->dst] = llvm_pure(C, i);
}

/* Depends on nothing but its operands, and has no block: can be made again. */
static bool is_pure(const LInst *i) {
    return i->op == LOP_NONE || i->op > LOP_STV1 || (i->op >= LOP_ICONST && i->op < LOP_LD);
}

/* By value: whether it can be made again anywhere, from nothing but values that can. */
static const bool *made_again(LlvmFunc *C, const LFunc *f) {
    bool *again = NEW_N(C->arena, bool, f->type.n + 1);
    uint32_t depth = 0;
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        bool ok = !depth && i->dst && is_pure(i);
        for (int j = 0; j < 3; j++) ok = ok && (!i->a[j] || again[i->a[j]]);
        if (ok) again[i->dst] = true;
        depth += i->op == LOP_FOR || i->op == LOP_IF;
        depth -= i->op == LOP_END;
    }
    return again;
}

/* The instructions from..to of a function, and those before that others may need and that can be made again. */
static const bool *part_of(LlvmFunc *C, const LFunc *f, uint32_t from, uint32_t to) {
    bool *here = NEW_N(C->arena, bool, f->inst.n + 1);
    const bool *again = made_again(C, f);
    for (uint32_t k = 0; k < to; k++) here[k] = k >= from || again[f->inst.at[k].dst];
    return here;
}

static void define(LlvmFunc *C, uint32_t fn, LLVMValueRef self, const LlvmPiece *x, LLVMValueRef next) {
    const LFunc *f = C->p->fn.at[fn];
    const bool *here = part_of(C, f, x->from, x->to);
    C->func = f;
    C->self = self;
    C->val = NEW_N(C->arena, LLVMValueRef, f->type.n);
    C->narrow = lfunc_narrow(C->arena, f, C->lanes);
    C->buf = NEW_N(C->arena, LLVMValueRef, C->p->buf.n);
    C->param = NEW_N(C->arena, LLVMValueRef, f->param.n + 1);
    memset(C->dim, 0, sizeof C->dim);
    C->tid = C->nt = NULL;
    C->open.n = 0;
    LLVMPositionBuilderAtEnd(C->B, new_block(C, ""));
    C->env = f->kind == LFUNC_ENTRY ? LLVMGetParam(C->self, 2) : NULL;
    for (uint32_t k = 0; k < f->param.n; k++) {
        C->param[k] = LLVMGetParam(C->self, k);
        if (!f->param.at[k].pointer) C->val[f->param.at[k].value] = C->param[k];
    }
    load_environment(C, here);
    for (uint32_t k = 0; k < x->to; k++)
        if (here[k]) instruction(C, &f->inst.at[k]);
    if (next) {
        LLVMValueRef arg[3] = {LLVMGetParam(self, 0), LLVMGetParam(self, 1), LLVMGetParam(self, 2)};
        LLVMBuildCall2(C->B, C->fn_type[fn], next, arg, 3, "");
    }
    LLVMBuildRetVoid(C->B);
}

static uint32_t longest_entry(const LProgram *p) {
    uint32_t best = UINT32_MAX;
    for (uint32_t k = 0; k < p->fn.n; k++)
        if (p->fn.at[k]->kind == LFUNC_ENTRY && (best == UINT32_MAX || p->fn.at[k]->inst.n > p->fn.at[best]->inst.n)) best = k;
    return best;
}

/* ---- one entry in pieces, in two modules ---------------------------------------------------------------------------------- */

enum { PIECE = 1500 }; /* loop instructions */

typedef struct {
    const LProgram *p;
    uint32_t *first, *last; /* by value, then by buffer: uses; of a value that can be made again, none */
    uint32_t nval, at;
} Uses;

static void use(Uses *u, uint32_t what, uint32_t at) {
    if (u->first[what] == UINT32_MAX) return; /* made again where it is wanted */
    if (!u->first[what]) u->first[what] = at + 1;
    u->last[what] = at + 1;
}

static void use_value(void *arg, LV v) {
    Uses *u = arg;
    use(u, v, u->at);
}

static void use_buffer(void *arg, uint32_t buf, bool store) {
    Uses *u = arg;
    (void)store;
    if (!(buf & LBUF_PARAM) && u->p->buf.at[buf].role == LB_LOCAL) use(u, u->nval + buf, u->at);
}

/* By place: what is open there: blocks, and what is known on both sides but cannot be made again. */
static const uint32_t *find_open(LlvmFunc *C, const LFunc *f) {
    const LProgram *p = C->p;
    Uses u = {p, NEW_N(C->arena, uint32_t, f->type.n + p->buf.n), NEW_N(C->arena, uint32_t, f->type.n + p->buf.n), f->type.n, 0};
    const LVisit visit = {use_value, use_buffer, NULL, &u};
    const bool *again = made_again(C, f);
    uint32_t depth = 0, *open = NEW_N(C->arena, uint32_t, f->inst.n + 2), *change = NEW_N(C->arena, uint32_t, f->inst.n + 2);
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        if (i->dst) {
            if (again[i->dst]) u.first[i->dst] = UINT32_MAX;
            else use(&u, i->dst, k);
        }
        u.at = k;
        linst_uses(p, f, i, &visit);
        for (uint32_t q = 0; i->op == LOP_FOR && q < f->ext.at[i->ext]; q++) use(&u, f->ext.at[i->ext + 3 + 3 * q], k);
        depth += i->op == LOP_FOR || i->op == LOP_IF;
        depth -= i->op == LOP_END;
        open[k + 1] = depth;
    }
    for (uint32_t v = 1; v < f->type.n + p->buf.n; v++) { /* a use at 3 and one at 7: no cut from 4 to 7 */
        if (!u.first[v] || u.first[v] == UINT32_MAX) continue;
        change[u.first[v]]++;
        change[u.last[v]]--; /* sums that wrap around come out */
    }
    for (uint32_t k = 1, across = 0; k <= f->inst.n; k++) open[k] += across += change[k];
    return open;
}

/* The place between from and to nearest to `want` where nothing is open; 0: none. */
static uint32_t nearest_cut(const uint32_t *open, uint32_t from, uint32_t to, uint32_t want) {
    uint32_t best = 0, least = UINT32_MAX;
    for (uint32_t k = from + 1; k < to; k++) {
        uint32_t d = k > want ? k - want : want - k;
        if (open[k] || d >= least) continue;
        least = d;
        best = k;
    }
    return best;
}

/* A tile's instructions compile in three quarters of the time of an entry's. */
static uint32_t weight_of(const LFunc *f) { return f->inst.n - (f->kind == LFUNC_HELPER ? f->inst.n / 4 : 0); }

static uint32_t weight_of_all(const LProgram *p) {
    uint32_t all = 0;
    for (uint32_t k = 0; k < p->fn.n; k++) all += weight_of(p->fn.at[k]);
    return all;
}

/* By function: whether it is made beside the longest entry: that, and, where it is less than half of all, others that fill the half. */
static const bool *made_beside(LlvmFunc *C, uint32_t longest) {
    const LProgram *p = C->p;
    bool *beside = NEW_N(C->arena, bool, p->fn.n + 1);
    uint32_t half = weight_of_all(p) / 2, sum = longest == UINT32_MAX ? half : weight_of(p->fn.at[longest]);
    for (uint32_t k = p->fn.n; k-- > 0;) {
        uint32_t weight = weight_of(p->fn.at[k]);
        beside[k] = k == longest || (sum + weight <= half && !p->fn.at[k]->inline_hint);
        sum += beside[k] && k != longest ? weight : 0;
    }
    return beside;
}

/* Where the longest entry can be cut in two, so that two threads have the same to do. 0: nowhere worth it. */
static uint32_t find_cut(LlvmFunc *C, const LFunc *f, const uint32_t *open) {
    uint32_t best = nearest_cut(open, 0, f->inst.n, weight_of_all(C->p) / 2);
    return f->inst.n - best > f->inst.n / 16 && best > f->inst.n / 4 ? best : 0;
}

/* Instructions from..to in pieces of about PIECE: the time that LLVM takes for a function grows faster than the function. */
static void cut_pieces(LlvmFunc *C, const uint32_t *open, uint32_t from, uint32_t to) {
    while (from < to) {
        uint32_t n = (to - from + PIECE - 1) / PIECE, cut = n > 1 ? nearest_cut(open, from, to, from + (to - from) / n) : 0;
        VEC_PUSH(C->arena, C->piece) = (LlvmPiece){.from = from, .to = cut ? cut : to};
        from = cut ? cut : to;
    }
}

/* A piece is a function with the entry's parameters; each but the last ends with a call of the next. */
static void plan_pieces(LlvmFunc *C, uint32_t longest) {
    const LFunc *f = C->p->fn.at[longest];
    const uint32_t *open = find_open(C, f);
    bool apart = C->longest != C->others;
    uint32_t cut = apart ? find_cut(C, f, open) : 0;
    C->piece.n = 0;
    if (cut) cut_pieces(C, open, 0, cut);
    C->first_apart = cut ? C->piece.n : UINT32_MAX;
    cut_pieces(C, open, cut, f->inst.n);
    for (uint32_t k = 0; k < C->piece.n; k++) {
        LlvmPiece *x = &C->piece.at[k];
        x->here = k < C->first_apart ? C->longest : C->others;
        x->fn = k ? NULL : C->fn[longest];
        if (!k || (!x->here && k != C->first_apart)) continue;
        x->fn = LLVMAddFunction(C->mod, arena_printf(C->arena, "piece%u", k), C->fn_type[longest]);
        if (k == C->first_apart) LLVMSetVisibility(x->fn, LLVMHiddenVisibility);
        else LLVMSetLinkage(x->fn, LLVMInternalLinkage);
        add_attribute(C, x->fn, "nounwind");
        add_attribute(C, x->fn, "noinline");
        if (C->cpu[0]) add_string(C, x->fn, "target-cpu", C->cpu);
        if (C->features[0]) add_string(C, x->fn, "target-features", C->features);
    }
}

LLVMModuleRef llvm_emit_module(LlvmFunc *C) {
    uint32_t n = C->p->fn.n, longest = longest_entry(C->p);
    C->V = C->lanes = C->p->V;
    C->mod = LLVMModuleCreateWithNameInContext(name_str(C->p->ctx, C->p->name), C->ctx);
    C->B = LLVMCreateBuilderInContext(C->ctx);
    C->fn = NEW_N(C->arena, LLVMValueRef, n + 1);
    C->fn_type = NEW_N(C->arena, LLVMTypeRef, n + 1);
    llvm_types(C);
    for (uint32_t k = 0; k < n; k++) declare(C, k);
    if (longest != UINT32_MAX) plan_pieces(C, longest);
    const bool *beside = made_beside(C, longest);
    for (uint32_t k = 0; k < n; k++)
        if (k != longest && ((beside[k] ? C->longest : C->others) || C->p->fn.at[k]->inline_hint)) /* what is inlined: everywhere */
            define(C, k, C->fn[k], &(LlvmPiece){.to = C->p->fn.at[k]->inst.n}, NULL);
    for (uint32_t k = 0; k < C->piece.n; k++)
        if (C->piece.at[k].here) define(C, longest, C->piece.at[k].fn, &C->piece.at[k], k + 1 < C->piece.n ? C->piece.at[k + 1].fn : NULL);
    LLVMDisposeBuilder(C->B);
    return C->mod;
}
