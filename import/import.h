/* import: models of other programs as Rondo text and weights. ONNX graphs, Keras models, PyTorch state dicts.

   An importer reads everything, writes the model as text, and takes the weights under the names that the text gives them; nothing
   is written to disk before the written model was checked. What a source has and Rondo has not is refused at the node or layer,
   with codes 650 to 653. docs/import.md says what is understood.

   Above runtime/, below cli/. Reading protobuf needs libprotobuf-c, which only librondo_onnx.so is linked with (import/plugin.c);
   it is opened when an ONNX file is read. */
#ifndef RONDO_IMPORT_H
#define RONDO_IMPORT_H

#include "runtime/runtime.h"

typedef struct {
    const char *name; /* of the model that is written; NULL: from the file's name */
    const char
        *vectors; /* ONNX: folder with input_K.pb and output_K.pb; NULL: test_data_set_0 beside the model, if it is there */
    const char *weights; /* Keras: file with the weights of an architecture in JSON; NULL: they stand in the JSON */
} ImportOptions;

/* What a dim of the source's array is. Rondo's arrays have the batch first, then time, then one dim with all features. */
typedef enum { DIM_FEATURE, DIM_BATCH, DIM_TIME } DimRole;

typedef struct {
    const char *source; /* the source's name */
    const char *name;   /* "input/x", "length/x", "output/y" */
    bool seq;           /* has time */
    int64_t n;          /* features; 0: none ("[]", token, length) */
    int rank;
    DimRole role[RONDO_MAX_RANK]; /* of the dims of the source's array */
} ImportPort;

typedef struct {
    const char *model; /* its name */
    const char *text;
    size_t ntext;
    Arrays weight; /* "param/N", f64 */
    VEC(ImportPort) in, out;
    Arrays given, expected; /* the source's vectors, as run_arrays takes and gives them; empty if it has none */
    VEC(int64_t) empty;     /* examples of `given` without any step: they were left out, and all expected of them is 0 */
} Imported;

/* False with diagnostics, nothing is left behind. The arena keeps the result. */
bool import_onnx(Ctx *ctx, Arena *a, const char *path, const ImportOptions *o, Imported *out);
bool import_keras(Ctx *ctx, Arena *a, const char *path, const ImportOptions *o, Imported *out);
bool import_torch(Ctx *ctx, Arena *a, const char *path, const ImportOptions *o, Imported *out);
/* The same from memory; `what` stands for the path in messages. */
bool import_onnx_bytes(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, const ImportOptions *o, Imported *out);
bool import_onnx_json(Ctx *ctx, Arena *a, const char *what, const char *text, size_t n, const ImportOptions *o, Imported *out);
bool import_keras_bytes(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, const ImportOptions *o,
                        Imported *out);
bool import_torch_text(Ctx *ctx, Arena *a, const char *what, const char *text, size_t n, const ImportOptions *o, Imported *out);

/* The source's array as the port's. NULL with a diagnostic where it does not fit. */
const Array *import_arrange(Ctx *ctx, Arena *a, const ImportPort *p, const Array *src);
/* The written model with its weights, ready to run. NULL with diagnostics. */
Model *imported_open(Ctx *ctx, const Imported *im, const ModelOptions *o);
/* Runs the model on the vectors and holds it against what they expect: |a - b| <= bar * max(1, max |b|). False with diagnostics
   (653). *worst is the largest difference. True without vectors. */
bool imported_check(Model *m, Arena *a, const Imported *im, double bar, double *worst);
/* M.rondo and M.safetensors in the folder `dir`, which is made if absent. */
bool imported_write(Ctx *ctx, Model *m, const Imported *im, const char *dir);

#endif
