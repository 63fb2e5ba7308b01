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
    const char *shifted;               /* what mean and deviation stand in, in the text of std/new/; NULL: in nothing */
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

/* Sequences in a table: a column names them, others hold their steps, and one what is the same in all rows of a sequence. */
bool new_look_runs(NewFile *f, bool classes);
/* The same with a label in each row, beside a word or numbers; what the data block says of the table is put in. */
bool new_look_tagged_runs(NewFile *f, NewNamed *out);

/* Mean and deviation of what trains take the place of those of the made-up data. */
bool new_scale(NewFile *f, Model *m, const Dataset *d);

/* `from` is in the model's text, once or several times. */
void new_change(NewFile *f, const char *from, const char *to);
/* Reads the table, and changes `entry` (NULL: csv = "NAME.csv") of the data block to it and to how it is written. numbers: it may have blanks
   between its cells, and decimal commas. */
bool new_table(NewFile *f, bool numbers, const char *entry, Csv *t);
/* As a string of the language; the column's number where its name cannot be one, or is another's too. */
const char *new_named(NewFile *f, const Csv *t, uint32_t column);

/* Fills in `from`, `to` and `said`; false with a diagnostic. */
bool new_look(NewFile *f, const char *kind);
const char *new_text(NewFile *f, const char *text); /* the model's text with the changes */

#endif
