/* onnx_graph: what the files of the ONNX importer share. A graph is translated node by node, in its order.

   ONNX's tensors carry batch and time as dims like any other; Rondo's values have neither. So every value of a run keeps the roles
   of its ONNX dims beside the Rondo value, which is always one vector with all features in row-major order: moving batch or time,
   adding and dropping dims of 1, joining and cutting neighbouring feature dims then cost nothing and write nothing. */
#ifndef RONDO_IMPORT_ONNX_GRAPH_H
#define RONDO_IMPORT_ONNX_GRAPH_H

#include "import/internal.h"
#include "import/onnx.h"

typedef enum {
    VALUE_RUN,    /* computed: text */
    VALUE_CONST,  /* known: t. Whole numbers may be the marks below */
    VALUE_LENGTHS /* sequence_lens */
} ValueKind;

/* In a tensor that Shape made: "as many as there are examples", ".. steps". */
#define MARK_BATCH (-4503599627370001.0)
#define MARK_TIME (-4503599627370002.0)

typedef struct Value {
    ValueKind kind;
    const char *source; /* ONNX's name */
    const char *text;   /* a Rondo name */
    OnnxTensor t;
    int rank;
    DimRole role[RONDO_MAX_RANK];
    int64_t dim[RONDO_MAX_RANK]; /* batch, time: -1 if not fixed */
    bool seq, truth;     /* truth: of a comparison */
    int64_t n;           /* features */
    struct Value *input; /* the graph's input that this is under another name, or itself; NULL: neither */
    int64_t vocab;       /* of an input that a table is looked up with; 0: none */
    Name name;
    struct Value *next; /* of the same bucket */
} Value;

enum {
    BUCKETS = 1024,
    FEATURES_MAX = 1 << 20
}; /* the second: of a value and of a constant that is made, so that no file costs more */
/* Names of a graph; those of the graph around it are seen too. */
typedef struct Frame {
    struct Frame *up;
    Value *bucket[BUCKETS];
    uint32_t *uses; /* by Name: times read */
    uint32_t nuses;
} Frame;

/* A param made of a constant; the same constant in the same scope is the same param. */
typedef struct {
    const double *from;
    const Scope *scope;
    int64_t rows, cols;
    const char *name;
} OnnxParam;

typedef struct {
    Writer w;
    VEC(OnnxParam) param;
    const OnnxModel *m;
    const OnnxGraph *g;
    Frame *frame;
    Arrays given;         /* vectors by ONNX's names of the inputs; empty: none */
    VEC(Value *) input;   /* of the run, in order */
    const OnnxNode *node; /* under translation, for messages */
    const char *lengths;  /* sequence_lens of the recurrent layers so far; NULL: none has them */
    uint32_t unrolled;    /* nodes of loops so far, each once a round */
    bool without;         /* a recurrent layer or a Scan ran over all steps */
} Onnx;

bool onnx_translate(Onnx *o, const ImportOptions *opt, const char *path);
bool onnx_nodes(Onnx *o, const OnnxGraph *g);                 /* of o->frame */
Value *onnx_find(const Onnx *o, const char *name);            /* NULL: not there yet */
Value *onnx_in(Onnx *o, const OnnxNode *n, uint32_t k);       /* NULL: left out. What is not there was refused before */
bool onnx_used(const Onnx *o, const OnnxNode *n, uint32_t k); /* is output k named and read? */
/* Output k of the node. NULL with a diagnostic if the name is taken. */
Value *onnx_out(Onnx *o, const OnnxNode *n, uint32_t k, ValueKind kind);
/* A value of the run: `name = ...` is written as a statement; roles and dims are those of `like` (may be NULL). */
Value *onnx_emit(Onnx *o, const OnnxNode *n, uint32_t k, const Value *like, int64_t features, const char *fmt, ...)
    PORT_PRINTF(6, 7);
Value *onnx_alias(Onnx *o, const OnnxNode *n, uint32_t k, const Value *like); /* the same Rondo value */
void value_add_dim(Value *v, DimRole role, int64_t dim);
bool onnx_refuse(const Onnx *o, const char *fmt, ...) PORT_PRINTF(2, 3); /* 651, at o->node */

/* What runs over time without lengths, padding and all. False with a diagnostic if something else in the graph has lengths: in Rondo
   they hold for a sequence wherever it is used. */
bool onnx_all_steps(Onnx *o);
bool onnx_recurrent(Onnx *o, const OnnxNode *n); /* RNN, GRU, LSTM */
bool onnx_scan(Onnx *o, const OnnxNode *n);
bool onnx_shape_op(Onnx *o, const OnnxNode *n, bool *done); /* *done: it was one */
bool onnx_math_op(Onnx *o, const OnnxNode *n, bool *done);
int64_t onnx_int(const OnnxNode *n, const char *name, int64_t otherwise);
double onnx_float(const OnnxNode *n, const char *name, double otherwise);
/* Axes of an attribute or of a constant input k, made positive for `rank`. False if there are none or they are wrong. */
bool onnx_axes(Onnx *o, const OnnxNode *n, uint32_t k, int rank, bool axis[RONDO_MAX_RANK], bool *given);
/* The constant elements, repeated over the features of v where they are broadcast to it. NULL if they reach into batch or time. */
const double *onnx_spread(Onnx *o, const OnnxTensor *t, const Value *v, int64_t *n);
/* `param` of the constant `from`, whose numbers are v as [rows, cols], or [cols] with rows 0. */
const char *onnx_param(Onnx *o, const char *wanted, const double *from, int64_t rows, int64_t cols, const double *v);
bool onnx_loop(Onnx *o, const OnnxNode *n);
/* Roles of the graph's inputs: role[i][k] of input i. */
typedef struct {
    DimRole role[RONDO_MAX_RANK];
    bool weight, lengths; /* used as a recurrent layer's weights or a loop's count, as lengths */
} InputRoles;
InputRoles *onnx_roles(Onnx *o);

#endif
