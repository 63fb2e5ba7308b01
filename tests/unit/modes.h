/* Models of the tests with random arrays, for the drivers that hold one way to a derivative against another. */
#ifndef RONDO_TEST_MODES_H
#define RONDO_TEST_MODES_H

#include "runtime/internal.h"

/* Inputs and targets of batch B and T steps; with ragged, lengths of 1..T for the open time axes too. Weights: seed. */
bool modes_arrays(Model *m, Arena *a, uint64_t seed, int64_t B, int64_t T, bool ragged, Arrays *in);
double modes_largest(const Array *a);
double modes_difference(const Array *a, const Array *b); /* the largest; NaN if there is one in either alone */
bool modes_same_bits(const Array *a, const Array *b);
/* Counts; a failure is printed with v and the diagnostics, which it drops. */
void modes_check(Ctx *ctx, bool ok, const char *cell, const char *what, double v);
int modes_report(void); /* prints the counts; an exit status */

#endif
