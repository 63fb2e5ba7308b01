/* sets: what the conformance tests of the importers share. A set is one project's vectors. */
#ifndef RONDO_TESTS_CONFORM_SETS_H
#define RONDO_TESTS_CONFORM_SETS_H

#include "import/import.h"

typedef struct {
    const char *name;
    long passed, refused, failed;
    double worst[2]; /* f64, f32 */
} Set;

void set_fail(Set *s, Ctx *ctx, const char *name, const char *why); /* ctx: its diagnostics are printed; may be NULL */
const char *set_error(const Ctx *ctx);                              /* the first error; "" if there is none */
/* Runs what was imported, by the evaluator in f64 and by the JIT in f32 (at times as C, too), against what it expects. */
bool set_run(Set *s, Ctx *ctx, const Imported *im, double bar);
void set_end(const Set *s, double bar);
const char *set_find(Ctx *ctx, const char *path); /* in conformance/; NULL, with a line that says so */
void set_with_context(void (*fn)(Ctx *ctx, Set *s, const void *arg), Set *s, const void *arg);

void sets_keras(void);
void sets_rtneural(void);
void sets_pytorch(void);

#endif
