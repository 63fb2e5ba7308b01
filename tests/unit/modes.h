/* Models of the tests with random arrays, for the drivers that hold one way to a derivative against another. */
#ifndef RONDO_TEST_MODES_H
#define RONDO_TEST_MODES_H

#include "runtime/internal.h"

/* Inputs and targets of batch B and T steps; with ragged, lengths of 1..T for the open time axes too. Weights: seed. */
bool modes_arrays(Model *m, Arena *a, uint64_t seed, int64_t B, int64_t T, bool ragged, Arrays *in);
/* The worst difference of two arrays of numbers relative to the largest of b. */
double modes_error(const Array *a, const Array *b);
bool modes_same_bits(const Array *a, const Array *b);

#endif
