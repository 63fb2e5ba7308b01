/* Random programs of the language: text made from a seed, held to what every program must keep, made small when it fails.

   A program's first line says how it is run: "# run: seed=7 B=3 T=4 S=2 f64=1 V=4 ...". A file with such a line, written by hand
   or found by the generator, is checked in the same way (tests/progs). */
#ifndef RONDO_TEST_PROG_H
#define RONDO_TEST_PROG_H

#include "ir/graph.h"
#include "tests/unit/engines.h"

/* ---- text ------------------------------------------------------------------------------------------------------------------- */

/* A program from a seed, with its "# run:" line. Smooth almost everywhere and bounded: states pass through tanh or a gate. */
char *prog_generate(Arena *a, uint64_t seed);

typedef struct {
    uint64_t seed; /* of the data */
    int64_t B, T, S, f64, V, ragged, states, training, place, off, threads, reuse;
    int64_t one, cut; /* lowered for calls of one example (with B=1); in segments that recompute */
} ProgRun;
ProgRun prog_run(const char *text); /* from the first line; what is not said there has a small default */
void prog_run_print(Str *s, const ProgRun *r);

/* ---- checks ----------------------------------------------------------------------------------------------------------------- */

typedef struct Prog {
    Ctx *ctx;
    Arena *a; /* of this program */
    const char *text;
    ProgRun run;
    const char *wrong; /* which check failed; NULL: none yet */
    Str detail;
    const Module *plain, *forward, *m; /* as built; after the passes; with gradients */
    LProgram *ref, *p;       /* one lane, own buffers; as the run says */
    EvalIn in;
    const double **want; /* roots of m, by the interpreter of ref */
    JoinPart part;
} Prog;

/* Front end, round trips, passes, evaluator, gradients, interpreter. False: wrong and detail say why. */
bool prog_check(Prog *p);
extern bool prog_joint; /* gradients are held to differences along one direction of everything at once */
/* The bits of the interpreter from another engine, alone or joined to others. */
bool prog_check_engine(Prog *p, Engine *e, bool joined, const char *name);
/* All of that for a program alone, with engines of its own. */
bool prog_check_alone(Prog *p);

/* A smaller text that still fails the same check (the text itself when there is none). */
char *prog_shrink(Arena *a, const char *text, const char *wrong, int tries);

#endif
