/* feed: examples that are not kept as padded arrays. A batch is put together when it is needed, from ragged sequences laid end
   to end, from windows of one long record, or from windows of a text that stays on disk; it is as long as its longest example. */
#ifndef RONDO_RUNTIME_FEED_H
#define RONDO_RUNTIME_FEED_H

#include "runtime/internal.h"

typedef enum {
    FIELD_ROW,    /* an array [n, ..] of the data set */
    FIELD_RAGGED, /* steps of all examples end to end */
    FIELD_TRACK,  /* one record [steps, ..], cut into windows */
    FIELD_TEXT    /* tokens of Feed.text, cut into windows */
} FieldKind;
typedef struct {
    const char *name; /* "input/x", "target/y" */
    FieldKind kind;
    rondo_type type;
    int rank;
    int64_t dim[RONDO_MAX_RANK]; /* of one step, or (ROW) of one example */
    const void *data;
    const int64_t *start, *steps; /* RAGGED: of each example, in steps */
    int64_t shift;                /* TRACK, TEXT: steps ahead of the window */
} Field;

/* Windows of a record: a part of it for each of training, validation, test. */
typedef struct {
    int64_t example, n;   /* its examples: [example, example + n) */
    int64_t first, count; /* its steps */
    int64_t rows,
        per_row; /* rows > 0: example k is window k / rows of row k % rows; else the windows follow each other by stride */
} TrackPart;

typedef struct Text Text;
struct Feed {
    VEC(Field) field;
    int64_t window, stride;
    TrackPart part[3];
    Text *text;            /* NULL: none */
    bool carry;            /* in rows: the state goes on from batch to batch */
    int64_t bucket;        /* batches of a pool that is sorted by length; 0: as they come */
    const int64_t *length; /* [n] for sorting by length; NULL: all alike */
};

/* Window k of the feed: its first step and how many it has. */
void feed_window(const Feed *f, int64_t example, int64_t *start, int64_t *steps);
/* Lays windows into the parts: count[i] steps each, of which the last `ahead` are targets only. False: one holds no window. */
bool feed_cut(Feed *f, const int64_t count[3], int64_t ahead, int64_t rows, Dataset *d);

struct Batch {
    Ctx *ctx;
    Arena arena;
    Arrays array;
    const int64_t *row;   /* example k of the batch is row row[k] of the arrays; NULL: k */
    int64_t real, padded; /* steps of the batch's longest field: those that are there, those of its array */
    int32_t *token;       /* [examples, steps and those ahead] of a text, which all its fields are parts of; NULL: not read yet */
};
/* The arrays of these examples. What it held before is gone. */
bool batch_fill(Batch *b, Ctx *ctx, const Dataset *d, int64_t B, const int64_t *example);
void batch_free(Batch *b);
bool dataset_ragged(const Dataset *d); /* do its batches come with lengths? */
/* Sorts what shuffle_order made, so that batches hold examples of similar lengths; the batches are drawn in random order. */
void order_by_length(const Feed *f, uint64_t seed, uint64_t epoch, int64_t n, int64_t batch, int64_t *order, Arena *tmp);

#endif
