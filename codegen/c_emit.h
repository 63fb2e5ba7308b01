/* c_emit: private to the C emitter: c_emit.c prints functions, c_prelude.c the types and operations they are written in, c_bare.c what
   stands in place of a library. */
#ifndef RONDO_C_EMIT_H
#define RONDO_C_EMIT_H

#include "codegen/codegen.h"

/* What the live instructions of the functions to print need. Of bools alone. */
typedef struct {
    bool op[LOP_COUNT];
    bool fn[LFN_COUNT];
    bool straddle[17]; /* loads of lanes of two vectors just stored, by lanes left out; [0] the others */
    bool ldt[17], ldvt[17], stt[17], stvt[17]; /* by number of lanes */
    bool columns, blocks, bf16, f16; /* loads of buffers in fewer bits: int8 with a scale a column, or for all lanes */
    bool locals, infinity, nan, begun;
} CUses;

/* Types, and every operation of `uses` that is not in `seen` (which then has it) three times over: GNU vectors, plain structs of
   lanes, or (V = 1) scalars. */
/* Roots and the like without a library. */
void c_bare_functions(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *u);
void c_prelude(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *uses, CUses *seen);

#define C_GNU_VECTORS "\n#if !defined(RONDO_PLAIN_C) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 9))\n"

/* A number by the fewest digits that mean it alone (hexadecimal ones are no C++ before 2017). It may only start a variable, where a
   compiler that computes wider than float rounds it. */
void c_digits(Str *out, double v, bool f64);

/* c_note.c */
typedef struct {
    const char *line;
    Name who;
} CSaid;
typedef struct {
    uint32_t span; /* of the instruction before */
    Name who;
    VEC(CSaid) said; /* in this function */
    uint32_t written; /* functions that have been explained */
} CNotes;
/* A comment in front of the first instruction that a line of the source makes. */
void c_note(CNotes *n, Str *out, Arena *a, const LProgram *p, const LInst *i, int depth);
/* A comment where exp, tanh or sigmoid of the argument begins to be written out; NULL: none does. */
const char *c_written(CNotes *n, Arena *a, const LProgram *p, const LFunc *f, uint32_t at, const char *argument);

/* c_narrow.c */
void c_narrow_prelude(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *fresh);
const char *c_narrow_type(CStorage s); /* of an element */
typedef struct {
    const char *(*val)(void *arg, LV v); /* the name of a value */
    int64_t (*below)(void *arg, LV v);   /* from 0 on it stays below this; -1: unknown */
    int64_t (*last)(void *arg, LV v);    /* and this is its last value; -1: unknown */
    void *arg;
} CNames;
/* The scale of what an entry reads at index x of a buffer, as an expression over `scales`. False: there is no such one. */
/* Do `lanes` neighbours at index x have one scale, where a scale is that of elements on end? */
bool c_narrow_shared(const CNarrow *n, const LIdx *x, int64_t lanes, const CNames *names);
bool c_narrow_address(Str *out, const CNarrow *n, const char *scales, const LIdx *x, const CNames *names);

/* Copies text with $name replaced: $f $v $m $u $w the lane types, $F $I the C types of a float lane and of a mask lane, $N that of
   an index, $P the prefix, $E the suffix of <math.h> names. */
void c_put(Str *out, const LProgram *p, const CEmitOptions *o, const char *text);

/* ---- functions: c_uses.c, c_cut.c, c_emit.c ---------------------------------------------------------------------------- */

/* Instructions of an entry that are a function of their own. */
typedef struct {
    uint32_t from, to;
    VEC(LV) in, out; /* values from outside, and those that are wanted outside; but for what each function makes itself */
    const bool *buf; /* by buffer: used; known once it is printed, as what of the environment is */
    bool env, dim, turn;
} CPiece;
typedef VEC(CPiece) CPieces; /* one that lies in another stands before it */
/* longest: operations of a function that is left whole. again: by value, where there are pieces: constants and sizes, made where they
   are wanted. */
CPieces c_cut(Arena *a, const LProgram *p, const LFunc *f, const bool *live, uint32_t longest, const bool **again);
/* By buffer, of the function's own ones: the innermost piece that can have it as its own; NULL: none. writes: as of linst_uses. */
const CPiece **c_homes(Arena *a, const LProgram *p, const LFunc *f, const CPieces *all, bool *const *writes);

typedef struct {
    const char *name, *text; /* of a helper that is printed */
} CHelper;

struct CText {
    const CEmitOptions *o;
    const LProgram *p; /* one of them: f64 and V are those of all */
    Arena *arena;
    CUses uses, seen;
    VEC(CHelper) helper;
};

/* A helper is printed once for each way that its pointers are stored. */
typedef struct {
    const CNarrow **param; /* NULL: floats */
    const char *symbol;    /* after the prefix */
} CInstance;
typedef VEC(CInstance) CInstances;

struct CUnit {
    Str *out;
    const LProgram *p;
    const CEmitOptions *o;
    CText *t;
    const char *name;    /* in the names of entries; NULL: none */
    CInstances *instance; /* by function: as entries call it; of an entry one */
    const CNarrow *narrow; /* by buffer; NULL: none */
    bool *refused;         /* by buffer */
    bool **writes; /* by function: of each parameter, stored through */
    /* of the function being printed */
    const LFunc *f;
    uint32_t fn;
    CInstance *at;
    bool *live;        /* by value */
    bool *buf, *wrote; /* by buffer: used, stored through */
    const char **text; /* of values */
    CPieces piece;
    const CPiece **home; /* by buffer, where there are pieces */
    const bool *again;   /* by value, where there are pieces */
    uint32_t from, to; /* the instructions being printed: of one piece, or all */
    bool env, dim, turn; /* used */
    int depth;
    CNotes notes;
};
typedef CUnit CEmit;

bool c_is_load(LOp op);
bool c_is_store(LOp op);
bool c_is_pure(LOp op);
bool c_is_shown(const LInst *i, const bool *live); /* not a value that nobody uses; C does without prefetching */
/* How what a pointer shows is stored; NULL: as it is. */
const CNarrow *c_stored(const CEmit *e, uint32_t buf);
CInstance *c_instance(CEmit *e, const LInst *call);
void c_find_instances(CEmit *e);
void c_find_uses(CEmit *e);
void c_begin_function(CEmit *e, uint32_t fn);
/* The piece that begins at an instruction, but for the one that is being printed. */
const CPiece *c_piece_at(const CEmit *e, uint32_t at);
/* By value: of those that are made again, what the instructions being printed want; inner: with those of the pieces within. */
const bool *c_wanted(const CEmit *e, bool inner);
/* Enters instructions of the function: which buffers they use, and what of the environment. */
void c_begin_part(CEmit *e, uint32_t from, uint32_t to);

#endif
