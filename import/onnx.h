/* onnx: an ONNX model as plain structs, and the shared object that reads them from protobuf. Everything lies in the caller's arena. */
#ifndef RONDO_IMPORT_ONNX_H
#define RONDO_IMPORT_ONNX_H

#include "runtime/runtime.h"

typedef struct OnnxGraph OnnxGraph;

/* Elements are doubles whatever the file has; whole numbers are exact up to 2^53. */
typedef struct {
    const char *name;
    int rank;
    int64_t dim[RONDO_MAX_RANK], n;
    const double *v;
    bool whole; /* of a type of whole numbers, so that Div rounds towards 0 */
} OnnxTensor;

typedef struct {
    const char *name;
    bool has_f, has_i;
    double f;
    int64_t i;
    const char *s; /* NULL: none */
    const OnnxTensor *t;
    const OnnxGraph *g;
    uint32_t nf, ni, ns;
    const double *fs;
    const int64_t *is;
    const char *const *ss;
} OnnxAttr;

typedef struct {
    const char *name, *op, *domain;
    uint32_t nin, nout, nattr;
    const char *const *in, *const *out; /* "": left out */
    const OnnxAttr *attr;
} OnnxNode;

typedef struct {
    const char *name;
    bool tensor;                       /* false for sequences and maps */
    int rank;                          /* -1: unknown */
    int64_t dim[RONDO_MAX_RANK];       /* -1: not fixed */
    const char *param[RONDO_MAX_RANK]; /* its name, or NULL */
} OnnxPort;

struct OnnxGraph {
    const char *name;
    uint32_t nnode, ninit, nin, nout;
    const OnnxNode *node;
    const OnnxTensor *init;
    const OnnxPort *in, *out;
};

typedef struct {
    const char *producer;
    int64_t opset; /* of the default domain; 0: not said */
    OnnxGraph graph;
} OnnxModel;

/* ---- the shared object ---------------------------------------------------------------------------------------------------- */

enum { RONDO_ONNX_VERSION = 1 }; /* raised when a struct above changes */
typedef struct {
    uint32_t version;
    const char *rondo;
    /* False with a diagnostic. `what` is the file. May run out of memory (CTX_TRY). */
    bool (*model)(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, OnnxModel *out);
    bool (*tensor)(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, OnnxTensor *out);
} OnnxReader;
#define RONDO_ONNX_SYMBOL "rondo_onnx_reader"

const OnnxReader *onnx_reader(Ctx *ctx); /* opened once a process. NULL with a diagnostic */

const OnnxAttr *onnx_attr(const OnnxNode *n, const char *name);

#endif
