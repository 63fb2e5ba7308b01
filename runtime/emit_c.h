/* emit_c: what the files runtime/emit_*.c share: a model on its way to C, and its programs.

   A program is a module lowered to a loop program whose kernels are printed, and the C that binds their buffers. Memory is
   laid out in areas, one after another, each aligned to 64 bytes: first the program's slots, then what the functions around
   the kernels need (arrays with time first, next states, example ids). An area's size is the largest of its extents. */
#ifndef RONDO_RUNTIME_EMIT_C_H
#define RONDO_RUNTIME_EMIT_C_H

#include "runtime/internal.h"

enum { NO_AREA = -1 };

typedef struct {
    const char *what; /* for the comment */
    VEC(LExtent) extent;
    uint32_t elem; /* LElem */
    bool whole;    /* not needed by a single step */
} CArea;

/* An input, output or state as C sees it. */
typedef struct {
    const char *id;    /* "x" */
    const char *upper; /* "X" */
    const char *name;  /* as in the model */
    uint32_t index;    /* in Module.input, in graph[0].root or in Module.state */
    uint32_t axes;
    uint8_t dtype;
    int rank;
    int32_t dim[MAX_RANK];
    int64_t n; /* features */
    int32_t vocab;
    int32_t area; /* where it lies with time first; NO_AREA: the caller's own memory will do */
} CPort;
typedef VEC(CPort) CPorts;

typedef struct {
    const char *prefix; /* "sunspots_infer" */
    Module *m;          /* after the passes */
    LProgram *p;
    int64_t run, prepare; /* entries; -1: none */
    bool packed_here;     /* prepare ran at emission: packs are constants */
    bool *used;           /* by buffer */
    int32_t *area_of;     /* by buffer */
    VEC(CArea) area;
    bool noise; /* reads seed or update */
    CPorts in, target, out;
    int32_t example; /* area of example ids */
    const char **pack; /* by buffer: the constant that holds it */
    int32_t *state_next; /* areas by state */
} CProgram;

/* A packed weight, written once for all programs that want it. */
typedef struct {
    const char *name;
    const void *data;
    size_t bytes;
} CPack;
typedef enum { C_FORWARD, C_ONE_STEP, C_GRADIENT } CProgramKind;

typedef struct {
    Ctx *ctx;
    Model *m;
    Arena *a;
    Arena values, digits; /* short-lived: numbers of one array; their text (c_array only) */
    const EmitOptions *o;
    const char *id, *upper; /* "sunspots", "SUNSPOTS" */
    const char *real;       /* "float" */
    Str h, c, t; /* header; the width being written; test */
    Str constants;   /* what all widths share */
    int V;           /* lanes of the width being written; 0: of a program that is no C */
    int64_t scratch; /* of a state, the most that a width needs */
    bool again;      /* not the first width: constants and the header are written */
    bool stream, train;
    const char *optimizer; /* its function's name after the prefix; NULL: none */
    rondo_stream *live;    /* of the runtime, for the test: expected values of single steps */
    Engine *engine;        /* of cprogram_pack, while it works */
    CProgram infer, step, grad, opt;
    VEC(CPack) pack;
    CPorts state;
    int32_t *state_in; /* areas of infer by state */
    double **start;                 /* [state][n] */
    bool swaps;                     /* the helper that transposes is there */
} CModel;

/* emit_bind.c */
bool cprogram_make(CModel *c, CProgram *p, const char *what, const Module *m, CProgramKind kind);
bool cprogram_pack(CModel *c, CProgram *p); /* runs prepare on the model's weights; then it is not printed */
int32_t cprogram_area(CModel *c, CProgram *p, const char *what, uint32_t elem, uint32_t axes, int64_t n, bool whole);
void cprogram_ports(CModel *c, CProgram *p, bool targets);
int64_t cprogram_offset(const CProgram *p, int32_t area, const int64_t *dim); /* in bytes; area = area.n: one step's total */
void cprogram_put(CModel *c, CProgram *p);                                    /* kernels, constants, sizes and layout */
typedef struct {
    const char **in, **out; /* by Module.input and by root: C expressions; NULL: nothing */
    const char *theta, *grad, *example;
    const char *base; /* NULL: areas at `w + at[k]`; else constant offsets in floats from this array, for dim */
    const int64_t *dim;
} CBinding;
CBinding cbinding_make(CModel *c, const CProgram *p);
void cprogram_call(CModel *c, const CProgram *p, const CBinding *b); /* binds buf[] and calls the kernels; dim is set */
void cprogram_one_step(const CProgram *p, int64_t *dim);             /* dim[] for one step of one example */

/* emit_text.c */
const char *c_ident(Arena *a, const char *s, bool upper);
const char *c_type(const CModel *c, uint8_t dtype);
const char *c_number(CModel *c, double v); /* a constant of the model's float */
void c_array(CModel *c, Str *s, const char *type, const char *name, const double *v, int64_t n, bool is_int);
const char *c_shape(CModel *c, const CProgram *p, const CPort *x);   /* "[batch][steps][1]" */
const char *c_size_params(CModel *c, const CProgram *p, bool types); /* "int steps, int batch" or without types */
void c_function(CModel *c, const char *comment, const char *head);   /* declares in the header, begins in the source */

/* emit_infer.c: what wrappers share */
const char *emit_port_address(CModel *c, const CPort *x);
void emit_workspace(CModel *c, const CProgram *p, const char *what);
void emit_enter(CModel *c, const CProgram *p, bool loops); /* buf, dim, at, w */
void emit_examples(CModel *c, const CProgram *p);
void emit_swap_helper(CModel *c, const CProgram *p);
void emit_swaps(CModel *c, const CProgram *p, const CPorts *x, bool input);

/* emit_infer.c, emit_train.c, emit_check.c */
bool emit_infer(CModel *c);
bool emit_train(CModel *c);
bool emit_check(CModel *c);

#endif
