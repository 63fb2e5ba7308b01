/* sleef: the functions of LOP_LIBM. SLEEF's bit-consistent names compute the same bits at every width: finz with FMA, cinz
   without. The interpreter calls the scalar ones, the LLVM emitter the vectors; ir/lmath.def has the stems. */
#ifndef RONDO_SLEEF_H
#define RONDO_SLEEF_H

#include "ir/loop.h"

/* Whether this host has FMA: interpreter and JIT must agree on finz or cinz. */
bool sleef_host_fma(void);

/* The symbol of fn for a vector of that many lanes, "" where SLEEF has none (the emitter then splits the vector):
   f32 1, 4, 8, 16; f64 1, 2, 4, 8; the widest of each need AVX-512, so without FMA there are none of these. Vectors go by value, as
   __m128(d), __m256(d), __m512(d); scalars as float, double. Written to name. */
enum { SLEEF_NAME = 48 };
const char *sleef_symbol(LFn fn, bool f64, int lanes, bool fma, char name[SLEEF_NAME]);

/* The scalars of this host. One-argument functions ignore y. */
float sleef_f32(LFn fn, float x, float y);
double sleef_f64(LFn fn, double x, double y);
/* The address of a scalar by its name as sleef_symbol writes it (for a JIT's symbol table), NULL if unknown. */
void (*sleef_scalar_address(const char *name))(void);

#endif
