/* micro: small loop programs that between them use every row of lops.def, for tests of engines.
   Inputs are buffers of `n` elements: x, y, z (floats) and p, q (int32); what a program computes goes to its outputs. */
#ifndef RONDO_TESTS_MICRO_H
#define RONDO_TESTS_MICRO_H

#include "ir/loop.h"

enum { MICRO_N = 96 /* elements of the inputs */, MICRO_OUT = 8192, MICRO_IOUT = 8192 };

/* The buffers of every micro program, in this order. */
enum { MICRO_X, MICRO_Y, MICRO_Z, MICRO_P, MICRO_Q, MICRO_F, MICRO_I, MICRO_SLAB, MICRO_BUFS };

/* The entries: ops, ints, trees, tails, loops, tile, threads, vmath, libm. */
LProgram *micro_program(Ctx *ctx, Arena *a, bool f64, int V);

/* Adds a helper tile(A, panel, C, K): C[r][V*j..] += sum over k < K of A[r*lda + k] * panel[k*nv*V + V*j ..]; K even. */
uint32_t micro_tile(LProgram *p, int rows, int nv, int64_t lda);

#endif
