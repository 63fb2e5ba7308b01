/* c_emit: private to the C emitter: c_emit.c prints functions, c_prelude.c the types and operations they are written in. */
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
    bool locals, begun;
} CUses;

/* Types, and every operation of `uses` that is not in `seen` (which then has it) three times over: GNU vectors, plain structs of
   lanes, or (V = 1) scalars. */
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
} CNotes;
/* A comment in front of the first instruction that a line of the source makes. */
void c_note(CNotes *n, Str *out, Arena *a, const LProgram *p, const LInst *i, int depth);

/* c_narrow.c */
void c_narrow_prelude(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *fresh);
const char *c_narrow_type(CStorage s); /* of an element */
typedef struct {
    const char *(*val)(void *arg, LV v); /* the name of a value */
    int64_t (*below)(void *arg, LV v);   /* from 0 on it stays below this; -1: unknown */
    void *arg;
} CNames;
/* The scale of what an entry reads at index x of a buffer, as an expression over `scales`. False: there is no such one. */
bool c_narrow_address(Str *out, const CNarrow *n, const char *scales, const LIdx *x, const CNames *names);

/* Copies text with $name replaced: $f $v $m $u $w the lane types, $F $I the C types of a float lane and of a mask lane, $N that of
   an index, $P the prefix, $E the suffix of <math.h> names. */
void c_put(Str *out, const LProgram *p, const CEmitOptions *o, const char *text);

#endif
