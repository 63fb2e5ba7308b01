/* new: what `rondo new` and its look at a user's file share. */
#ifndef RONDO_CLI_NEW_H
#define RONDO_CLI_NEW_H

#include "cli/cli.h"

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *name, *path, *written; /* of the model; of the file; as it stands in the model */
    const char *second, *second_written; /* of a pair of sounds what comes out */
    const char **each;                 /* all files as they stand there, where each holds a class; NULL behind the last */
    VEC(const char *) from, to;        /* what is changed in the model's text, in this order */
    const char *said;                  /* what the file is, in a line */
    const char *keys;                  /* of JSON lines and arrays: those that the model has as names; else NULL */
} NewFile;

/* Examples by names, of JSON lines or arrays: which is the input and which the target, and of what form they are. */
typedef struct {
    const char *source; /* the key of the data block */
    const char *input, *target;
    bool text;           /* words; else `dims` numbers a step */
    const char *letters; /* all of them, where the texts are single words, mostly others; else NULL */
    int64_t lines, dims;
    uint32_t classes;
} NewNamed;
bool new_look_json(NewFile *f, const char *kind, NewNamed *out);
bool new_look_arrays(NewFile *f, const char *kind, NewNamed *out);

/* Fills in `from`, `to` and `said`; false with a diagnostic. */
bool new_look(NewFile *f, const char *kind);
const char *new_text(NewFile *f, const char *text); /* the model's text with the changes */

#endif
