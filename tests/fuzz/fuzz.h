/* fuzz: what the targets share. A target is LLVMFuzzerTestOneInput, as libFuzzer wants it; driver.c calls it without libFuzzer.
   A target aborts on what must not happen: a check that fails, an absurd allocation, memory that is not given back. */
#ifndef RONDO_FUZZ_H
#define RONDO_FUZZ_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs fn with a context and an arena of its own, which are freed afterwards. Nothing may be left, no block may be larger than
   `largest` bytes, and memory does not run out. */
void fuzz_run(void (*fn)(Ctx *ctx, Arena *a, const uint8_t *data, size_t size), const uint8_t *data, size_t size, size_t largest);
void fuzz_require(bool ok, const char *what);
/* Prints the diagnostics as well, when not ok. */
void fuzz_require_silence(Ctx *ctx, bool ok, const char *what);
bool fuzz_has_code(const Ctx *ctx, uint16_t code);
void fuzz_render(Ctx *ctx, Arena *a); /* the diagnostics as text, thrown away */
const char *fuzz_std(void); /* $RONDO_FUZZ_STD, or std */

/* mutate.c: changes text in place by tokens and lines; returns its new length, at most cap. The state is splitmix64's. */
size_t fuzz_mutate(uint8_t *data, size_t n, size_t cap, uint64_t *state);
uint64_t fuzz_next(uint64_t *state);

#endif
