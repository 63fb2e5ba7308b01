/* emit: private to emit.c and emit_c.c. */
#ifndef RONDO_RUNTIME_EMIT_H
#define RONDO_RUNTIME_EMIT_H

#include "runtime/internal.h"

/* <dir>/<model>.h and <dir>/<model>.c: the model with its weights as strict C99; a stream if the model can run step by step,
   else whole sequences. */
bool emit_c(Model *m, const char *dir);

#endif
