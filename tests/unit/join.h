/* Several loop programs of one float and one width as one, so that a C compiler starts once and meets each tile once. */
#ifndef RONDO_TEST_JOIN_H
#define RONDO_TEST_JOIN_H

#include "ir/loop.h"

typedef struct {
    uint32_t buf; /* where the part's buffers begin */
    uint32_t *fn; /* of each function of the part, its index */
} JoinPart;

/* p has the float, width and context of q. Entries get names of their own; equal helpers are shared. */
void join_add(LProgram *p, const LProgram *q, JoinPart *part);

#endif
