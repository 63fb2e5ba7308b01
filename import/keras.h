/* keras: what the files of the Keras importer share. */
#ifndef RONDO_IMPORT_KERAS_H
#define RONDO_IMPORT_KERAS_H

#include "import/internal.h"

typedef struct {
    const char *text; /* a Rondo expression; NULL: not made */
    bool seq, token;
    int64_t n; /* features; 0: a token */
} KValue;

typedef struct {
    uint32_t layer, tensor;
} KRef;

enum { OUTS_MAX = 3 };
typedef struct {
    const char *cls, *name;
    const Json *config;
    VEC(Array) weight; /* in the order of Keras's get_weights() */
    uint32_t taken;
    VEC(KRef) in;
    KValue out[OUTS_MAX];
    int state;         /* 0: to do, 1: under way, 2: done */
    const Json *shape; /* of an input, batch first */
    int64_t vocab;     /* of an input that an embedding reads */
    bool is_input;
} KLayer;

typedef struct {
    Writer w;
    int version; /* of Keras: 1, 2, 3 */
    VEC(KLayer) layer;
} Keras;

/* Writes the layer and fills its outputs. False with a diagnostic at the layer. */
bool keras_layer(Keras *k, KLayer *l, const KValue *in, uint32_t nin);
/* The list of cells of an RNN of StackedRNNCells; NULL: it is no such layer. */
const Json *keras_stacked_cells(const Json *config);
bool keras_refuse(Keras *k, const KLayer *l, const char *fmt, ...) PORT_PRINTF(3, 4);

#endif
