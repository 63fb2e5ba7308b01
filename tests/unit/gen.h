/* Random modules for property tests: seeded, small, smooth almost everywhere and bounded (states pass through tanh). */
#ifndef RONDO_GEN_H
#define RONDO_GEN_H

#include "ir/graph.h"

typedef struct {
    bool batch; /* an axis B; without it only T (and S) */
    bool ragged; /* T (and S) have lengths; needs batch */
    bool matrix; /* carries and values of rank 2 */
    bool nested; /* scans over S inside scans over T */
    bool gather; /* token inputs, embeddings */
    bool reverse; /* scans from the end; reverse, shift */
    bool noise;
    bool mixing; /* sums over B inside bodies: not row-local */
    int size; /* operations per graph; 0: 12 */
    int hidden; /* features; 0: 3 */
} GenOptions;

/* Roots: one or two outputs, and a loss over several values. */
Module *gen_module(Ctx *ctx, Arena *a, uint64_t seed, GenOptions o);

typedef struct {
    EvalIn in;
    double **param, **input; /* the same arrays, to be changed by tests */
    int64_t *param_size, *input_size;
} GenInputs;
/* Random sizes (T 1..4, S 1..3, B 1..4), lengths (each 1..T) and values for any module, generated or parsed. */
GenInputs gen_inputs(const Module *m, Arena *a, uint64_t seed);
GenInputs gen_inputs_long(const Module *m, Arena *a, uint64_t seed, int64_t steps); /* T = steps; 0: random */

uint64_t gen_next(uint64_t *state); /* splitmix64 */
uint32_t gen_below(uint64_t *state, uint32_t n);
double gen_real(uint64_t *state, double lo, double hi);

#endif
