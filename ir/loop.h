/* ir: the loop program. Structured, typed, SSA for values, memory only through buffers. Emitters print it, one operation a
   line, in order, and decide nothing; the interpreter computes the same bits.

   Types: i (int64 scalar), f (V lanes of the build's float), v (V lanes of int32), m (V mask lanes). There are no float
   scalars: a scalar is a vector whose lanes are equal. V is fixed for a program (1, 4, 8, 16).

   A function is a flat list of instructions; FOR and IF open a block that END closes. Values are numbered from 1 and defined
   once; a value defined in a block is not visible after its END (but for the results of FOR's carries). */
#ifndef RONDO_LOOP_H
#define RONDO_LOOP_H

#include "base/base.h"

typedef uint32_t LV; /* value; 0 = none */

typedef enum {
#define LOP(NAME, text, res, args, lane, llvm) LOP_##NAME,
#include "ir/lops.def"
#undef LOP
    LOP_COUNT
} LOp;

typedef enum {
#define LFN(NAME, cname, sleef, acc, args) LFN_##NAME,
#include "ir/lmath.def"
#undef LFN
    LFN_COUNT
} LFn;

typedef struct {
    const char *text;
    char result;
    const char *args;
} LOpInfo;
extern const LOpInfo lop_info[LOP_COUNT];
typedef struct {
    const char *cname, *sleef, *acc;
    uint8_t args;
} LFnInfo;
extern const LFnInfo lfn_info[LFN_COUNT];

/* index = c0 + sum of c[k] * v[k], in elements */
#define LIDX_TERMS 4
typedef struct {
    int64_t c0;
    uint32_t n;
    LV v[LIDX_TERMS];
    int64_t c[LIDX_TERMS];
} LIdx;

/* FOR   dst = loop variable; a[0] = lo, a[1] = hi (values of type i; half open); imm = step > 0; flag LF_DOWN: from the last
         value of the sequence lo, lo+imm, .. < hi down to lo. ext: count, then per carry (init, inner, result): `inner` is
         the value in the body, `result` the value after the loop (= init when it runs zero times)
   YIELD ext: count, values: the carries' next values; right before the END of a FOR with carries
   IF    runs the block when a[0] < a[1] (type i)
   CALL  imm = function index; ext: count, then per parameter: a pointer takes (buffer, index into LFunc.idx), an int takes (value, 0)
   LD .. LDVB, PREFETCH, ST .. STV1: buf, idx; stores: a[0] = value; imm = lanes for LDT STT LDVT STVT
   all others: a[0..2] by the row's args, imm where the row says so */
typedef struct {
    uint16_t op;
    uint16_t flags;
    LV dst;
    LV a[3];
    uint32_t buf; /* index in LProgram.buf, or LBUF_PARAM | parameter */
    uint32_t idx; /* index in LFunc.idx */
    uint32_t ext; /* offset in LFunc.ext */
    int64_t imm;
    uint32_t span; /* of the node that first wanted it, and its name: for comments, not in the text; 0: unknown */
    Name who;
} LInst;

enum { LF_DOWN = 1 };
#define LBUF_PARAM UINT32_C(0x80000000)

typedef enum { LE_F, LE_I32 } LElem;

/* kind of a function */
typedef enum {
    LFUNC_ENTRY, /* a kernel: no parameters; sees every buffer of the program */
    LFUNC_HELPER, /* has parameters, sees only these and LOCAL buffers of its own: no DIM, TID, NT, BARRIER either */
} LFuncKind;

typedef struct {
    Name name;
    bool pointer; /* else an int */
    uint8_t elem;
    LV value; /* of an int */
} LParam;

typedef struct LFunc {
    Name name; /* "run", "tile_6x2_a64_1_p32" */
    uint8_t kind;
    bool inline_hint; /* helper worth inlining at every call */
    VEC(LParam) param;
    VEC(LInst) inst;
    VEC(LIdx) idx;
    VEC(uint32_t) ext;
    VEC(char) type; /* of value k: 'i' 'f' 'v' 'm'; [0] unused */
} LFunc;

/* What the caller of a kernel binds to a buffer. Arrays of the caller have the canonical layout of ir/graph.h. */
typedef enum {
    LB_THETA, /* [theta_size], read only */
    LB_GRAD, /* gradient of theta: every float of a trained parameter is written (not added to) */
    LB_INPUT, /* index = Module.input */
    LB_OUTPUT, /* index = root of graph[0] (but GRAD_PARAM roots, which are in LB_GRAD) */
    LB_EXAMPLE, /* int32 [B]: example ids, for noise */
    LB_PACK, /* filled by kernel "prepare" from theta, read by "run"; lives until theta changes */
    LB_SLAB, /* scratch of one call */
    LB_LOCAL /* constant size, in the stack frame of the one function that uses it */
} LBufRole;
extern const char *const lrole_text[LB_LOCAL + 1];

/* dim[] of a kernel: 0..31 the axes' steps ([0] = B; COUNT and JOIN filled in too), then these */
enum { LDIM_SEED_LO = 32, LDIM_SEED_HI, LDIM_UPDATE, LDIM_NT, LDIM_TURN /* 0, in every other step 1: no bit depends on it */,
       LDIM_STEP /* of a stream: the steps before this call, from which noise goes on counting; else 0 */, LDIM_COUNT };

/* size in elements: sum of coef * product of the dims in the mask */
typedef struct {
    int64_t coef;
    uint64_t dims; /* bit k: dim[k] */
} LMono;
#define LEXTENT_TERMS 4
typedef struct {
    LMono term[LEXTENT_TERMS];
    uint32_t n;
    LMono most; /* no more than this; coef 0: no such bound */
} LExtent;

typedef struct {
    Name name; /* for reading only */
    uint8_t role, elem;
    uint32_t index; /* see LBufRole; LOCAL: the function */
    LExtent extent; /* PACK, SLAB, LOCAL: allocation (aligned to 64 bytes); others: documentation */
    uint32_t slot; /* SLAB and PACK: buffers of one slot share memory (plan_memory) */
    uint32_t first, last; /* SLAB: lifetime as instruction positions of the entry that uses it; UINT32_MAX: whole call */
} LBuf;

/* An axis of the module that is worked through in segments (recomputation, docs/ir.md): dim[count] of them, of dim[steps] steps
   each, the last one shorter. Whoever runs the program chooses them. */
typedef struct {
    uint32_t axis, count, steps;
    double work, plain; /* a step of the axis costs, here and without segments: cycles of arithmetic a row, estimated */
} LCut;
#define CUT_ROWS 256 /* a segment has a multiple of ceil(CUT_ROWS / B) steps */

typedef struct LProgram {
    Ctx *ctx;
    Arena *arena;
    Name name;
    bool f64; /* the build's float */
    int V;
    VEC(LBuf) buf;
    VEC(LFunc *) fn; /* callees before callers */
    uint32_t nslot;
    bool one_thread; /* thread 0 does everything */
    uint32_t row_axis; /* else each thread has its share of this one: B, or ELEM in an optimizer */
    VEC(uint32_t) barrier; /* positions of "run", as in LBuf.first, that all threads enter together */
    VEC(LCut) cut; /* not in the text: a program that was parsed is run with dims as given */
    int64_t fixed[LDIM_COUNT]; /* a dim that every caller gives the same value; 0: any. While building only */
    bool alone;                /* one thread runs it, the others are not called */
} LProgram;

/* By value, whether no more than 8 of its lanes ever matter in a program of V = 16; of other V none (lnarrow.c). */
const bool *lfunc_narrow(Arena *a, const LFunc *f, int V);
/* Whether a load is of lanes of two vectors that its block has stored side by side: how many of the first one's it leaves out, and the
   values in v; else 0 (lstraddle.c). */
int lfunc_straddles(const LProgram *p, const LFunc *f, const LInst *load, LV v[2]);
/* What an instruction reads: values, and buffers (written, where `store`). writes: by function, which parameters are stored through;
   NULL: unknown (luses.c). */
typedef struct {
    void (*value)(void *arg, LV v);
    void (*buffer)(void *arg, uint32_t buf, bool store);
    bool *const *writes;
    void *arg;
} LVisit;
void linst_uses(const LProgram *p, const LFunc *f, const LInst *i, const LVisit *v);
/* Whether buffers `in`, read, and `out`, written, of an entry may be the same memory (linplace.c). */
bool lprogram_in_place(const LProgram *p, uint32_t fn, uint32_t in, uint32_t out);

/* ---- building ------------------------------------------------------------------------------------------------------- */

LProgram *lprogram_make(Ctx *ctx, Arena *a, Name name, bool f64, int V);
uint32_t lprogram_add_buf(LProgram *p, const char *name, LBufRole role, LElem e, uint32_t index, LExtent extent);
LFunc *lprogram_add_fn(LProgram *p, const char *name, LFuncKind kind); /* index = p->fn.n - 1 */

/* A builder over one function. Integer operations fold and are shared within the block they stand in; a load of a vector stored
   before in that block is its value; a loop of one known round or a condition known to hold leaves its body, a loop of no round or a
   condition known to fail leaves nothing. */
typedef struct {
    uint32_t buf;
    LIdx idx;
    LV v;
    bool lasting; /* known after a block that stores nothing to buf, too */
} LStored;
typedef struct {
    uint32_t at;     /* index of its FOR or IF; of the first instruction inside where it has none */
    bool inlined;    /* its body stands without it */
    bool dropped;    /* and will be taken back */
    uint32_t carry;  /* inlined FOR: its initial carries in ext */
    VEC(LStored) lasting; /* of what was known before it */
} LOpen;
enum { LSTORED = 32 };
typedef struct LBuilder {
    LProgram *p;
    LFunc *f;
    uint32_t fn; /* index of f */
    VEC(LOpen) open; /* open blocks */
    VEC(uint32_t) known; /* pure instructions visible here, for sharing; cut back at END */
    VEC(uint32_t) link; /* of known: the one before in its hash bucket + 1 */
    VEC(uint32_t) scope; /* of open: known.n outside the block */
    VEC(uint32_t) def; /* of a value: the instruction it is the result of; UINT32_MAX: none */
    uint32_t *head, nhead; /* hash buckets */
    uint32_t span; /* of what is being lowered */
    Name who;
    LStored stored[LSTORED]; /* whole vectors that stand in memory since a store in this block: a load of one is its value */
    uint32_t nstored;
} LBuilder;
LBuilder lb_make(LProgram *p, uint32_t fn);
LV lb_param_int(LBuilder *b, const char *name);
uint32_t lb_param_ptr(LBuilder *b, const char *name, LElem e); /* gives the buf operand */

LV lb_op(LBuilder *b, LOp op, LV x, LV y, LV z, int64_t imm); /* any pure row; shared with an equal visible one; folds integers */
LV lb_iconst(LBuilder *b, int64_t v);
LV lb_fconst(LBuilder *b, double v);
LV lb_fbits(LBuilder *b, uint32_t bits); /* f32 constant by its bits */
LV lb_libm(LBuilder *b, LFn fn, LV x, LV y);
bool lb_known_int(const LBuilder *b, LV v, int64_t *out);
bool lb_known_apart(const LBuilder *b, LV x, LV y, int64_t *out); /* y - x */
bool lb_known_float(const LBuilder *b, LV v, double *out);

LIdx lidx(int64_t c0);
LIdx lidx_add(LIdx i, LV v, int64_t c); /* merges equal values; a term too many makes it invalid: see lb_idx_term */
LIdx lb_idx_term(LBuilder *b, LIdx i, LV v, int64_t c); /* as lidx_add, folding known ints and spilling terms into IADD/IMUL */

LV lb_load(LBuilder *b, LOp op, uint32_t buf, LIdx i, int64_t lanes);
/* v, a whole vector, stands at a place, here and after blocks that store nothing to its buffer. */
void lb_hold(LBuilder *b, uint32_t buf, LIdx i, LV v);
LV lb_held(const LBuilder *b, uint32_t buf, LIdx i); /* the vector that is known to stand there; 0: none is */
void lb_prefetch(LBuilder *b, uint32_t buf, LIdx i);
void lb_store(LBuilder *b, LOp op, uint32_t buf, LIdx i, LV v, int64_t lanes);

/* The instructions from `first` and those from `second` on do the same at two places, none of which the other reads: puts them in
   turns, for a processor that looks ahead less far than either is long. Not where one calls or has blocks. */
void lb_interleave(LBuilder *b, uint32_t first, uint32_t second);

/* for (dst = lo; dst < hi; dst += step). Carries: n initial values; inner[] gets the values in the body. */
LV lb_for(LBuilder *b, LV lo, LV hi, int64_t step, bool down, uint32_t n, const LV *init, LV *inner);
void lb_end_for(LBuilder *b, uint32_t n, const LV *next, LV *result); /* emits YIELD when n > 0, and END */
void lb_if_lt(LBuilder *b, LV x, LV y);
void lb_end_if(LBuilder *b);
void lb_barrier(LBuilder *b);
typedef struct {
    uint32_t buf; /* pointer argument */
    LIdx idx;
    LV value; /* int argument, when not 0 */
} LArg;
void lb_call(LBuilder *b, uint32_t fn, const LArg *arg, uint32_t n);

/* Mathematics written out as operations (ir/vmath.c, ir/vmath_f64.c, docs/ir.md): tiers fast and precise, of f64 fast. The others are
   LIBM calls; SIGMOID then 1 / (1 + exp(-x)) by way of a stable form. */
typedef enum { MATH_FAST, MATH_PRECISE, MATH_SLEEF } MathTier;
LV lb_exp(LBuilder *b, MathTier t, LV x);
LV lb_expm1(LBuilder *b, MathTier t, LV x);
LV lb_tanh(LBuilder *b, MathTier t, LV x);
LV lb_sigmoid(LBuilder *b, MathTier t, LV x);
LV lb_log(LBuilder *b, MathTier t, LV x);
LV lb_log1p(LBuilder *b, MathTier t, LV x);
LV lb_erf(LBuilder *b, MathTier t, LV x);
LV lb_sin(LBuilder *b, MathTier t, LV x);
LV lb_cos(LBuilder *b, MathTier t, LV x);
LV lb_pow(LBuilder *b, MathTier t, LV x, LV y); /* integral y with |y| < 2^24: repeated squaring, in f64 too */
/* Philox4x32-10 of ir/graph.h in lanes: the random word of (seed, update, stream, step, example, element); the arguments but
   element are lanes too (splats). */
typedef struct {
    LV seed_lo, seed_hi, update, stream, step, example, element; /* all v */
} LNoise;
LV lb_noise_uniform(LBuilder *b, const LNoise *n);
LV lb_noise_normal(LBuilder *b, MathTier t, const LNoise *n);

/* ---- text, checks, execution ------------------------------------------------------------------------------------------ */

void lprogram_print(Str *s, const LProgram *p); /* parses again to an equal program */
void linst_print(Str *s, const LProgram *p, const LFunc *f, uint32_t pc); /* one instruction, for messages */
LProgram *lprogram_parse(Ctx *ctx, Arena *a, const Source *src);
bool lprogram_verify(const LProgram *p, const char *pass); /* false with diagnostics */

int64_t lextent_eval(const LExtent *e, const int64_t *dim); /* elements; -1 on overflow */

/* ---- kernel ABI: what engines make and the runtime calls ---------------------------------------------------------------- */

typedef struct KEnv {
    int64_t tid, nt;
    void (*barrier)(void *arg);
    void *arg;
} KEnv;
/* buf[k] = address of LProgram.buf[k] (LOCAL: unused); dim as above. Kernels never fail and allocate nothing. */
typedef void KernelFn(void *const *buf, const int64_t *dim, const KEnv *env);

/* The interpreter. With `shadow`, every byte of SLAB, PACK, LOCAL and output memory is tagged: reading what this call (or, for
   PACK, prepare) has not written, what another buffer of the slot wrote, or out of range, is an error. Returns false with a
   diagnostic (code 890); without shadow it cannot fail (but for memory: 900). With nt > 1 a call knows only its own writes, so
   only ranges and LOCAL memory are checked. A program must have passed lprogram_verify. */
typedef struct {
    uint32_t buf; /* the buffer that got the first NaN or +infinity; UINT32_MAX: none so far (-infinity is what masks are made of) */
    int64_t at; /* its element */
    int64_t left; /* loads and stores after which to give up */
} InterpWatch;
typedef struct {
    bool shadow;
    InterpWatch *watch; /* may be NULL; the run ends, false without a diagnostic, where it has found something or gives up */
    uint64_t *executed; /* NULL, or [LOP_COUNT]: how often each operation ran is added */
} InterpOptions;
bool lprogram_interp(const LProgram *p, uint32_t fn, void *const *buf, const int64_t *dim, const KEnv *env, const InterpOptions *o);

#endif
