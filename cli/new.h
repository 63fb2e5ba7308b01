/* new: what `rondo new` and its look at a user's file share. */
#ifndef RONDO_CLI_NEW_H
#define RONDO_CLI_NEW_H

#include "cli/cli.h"

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *name, *path, *written; /* of the model; of the file; as it stands in the model */
    VEC(const char *) from, to;        /* what is changed in the model's text, in this order */
    const char *said;                  /* what the file is, in a line */
} NewFile;

/* Fills in `from`, `to` and `said`; false with a diagnostic. */
bool new_look(NewFile *f, const char *kind);
const char *new_text(NewFile *f, const char *text); /* the model's text with the changes */

#endif
