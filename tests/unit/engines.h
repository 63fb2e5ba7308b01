/* Running a module through a loop program, for tests: arrays as the evaluator takes them, results as it gives them. */
#ifndef RONDO_TEST_ENGINES_H
#define RONDO_TEST_ENGINES_H

#include "codegen/codegen.h"
#include "ir/graph.h"
#include "passes/lower.h"
#include "tests/unit/join.h"

/* Runs "prepare" and "run" of p (a lowering of m) on `nt` threads. out[i] = root i of graph[0] (as doubles), in a. With e = NULL
   the interpreter with shadow memory runs on this thread alone. */
bool program_run(const Module *m, const LProgram *p, Engine *e, Arena *a, const EvalIn *in, int nt, const double **out);
/* NULL, or [LOP_COUNT]: how often each operation runs in the interpreter is added. */
extern uint64_t *program_executed;
/* The same where e is an engine of a program that p was joined to (join.h). */
bool program_run_part(const Module *m, const LProgram *p, Engine *e, const JoinPart *part, Arena *a, const EvalIn *in, int nt,
                      const double **out);
/* max |x - y| / max(|y|, 1e-6 of nothing): the largest error of a root against the evaluator's, NaN counting as infinite */
double root_error(const Module *m, uint32_t root, const EvalIn *in, const double *x, const double *y);
int64_t root_size(const Module *m, uint32_t root, const EvalIn *in);

#endif
