/* Shared by the files of test_passes. */
#ifndef RONDO_PASSES_TEST_H
#define RONDO_PASSES_TEST_H

#include "gen.h"
#include "passes/passes.h"

void check(bool ok, const char *what, uint64_t seed);
void show(const Module *m, Arena *a, const char *title); /* if SHOW is set */
void diagnostics(Ctx *ctx, Arena *a);
bool reads_back(Ctx *ctx, Arena *a, const Module *m); /* the printed module parses to one that prints the same */
/* All roots of before (the first n of after) have equal values. */
bool same_values(const Module *before, const Module *after, const GenInputs *in, Arena *a, double tol);
/* The gradients of `after` against differences of `before`, one or all elements an array. */
void check_gradients(const Module *before, const Module *after, Ctx *ctx, Arena *a, GenInputs *in, uint64_t seed, bool all);
/* The loss's derivative in a random direction by jvp, against the gradient by autodiff. */
void check_forward(const Module *m, Ctx *ctx, Arena *a, const GenInputs *in, uint64_t seed, bool pipeline);
/* Gradients of parameters by `mode` against those of bptt; false if the mode does not suit the module. */
bool check_online(const Module *m, Ctx *ctx, Arena *a, const GenInputs *in, uint64_t seed, GradientMode mode);

void test_merged(void); /* passes_shape.c: what is left of the products of some cells */
void test_texts(void); /* passes_shape.c: tests/passes/NAME.ir, one pass, NAME.out */
void test_stable(void); /* passes_values.c: losses far from 0 */
void test_operations(void); /* passes_values.c: the derivative of every row of ops.def */
void test_unrolled(uint64_t first, uint64_t last); /* passes_unroll.c: a scan = its steps one by one */

#endif
