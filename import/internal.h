/* internal: what the files of import/ share: the writer of models, recurrent layers, JSON. */
#ifndef RONDO_IMPORT_INTERNAL_H
#define RONDO_IMPORT_INTERNAL_H

#include "import/import.h"

#define NOWHERE ((Span){0, 0})

/* ---- the writer ---------------------------------------------------------------------------------------------------------- */

/* Text under way. A cell that is being written has params of its own; `up` is the model's. */
typedef struct Scope {
    struct Scope *up;
    const char *prefix; /* of its weights: "" or "scan_1." */
    Str text;           /* statements */
    bool cell;
} Scope;

typedef struct Writer {
    Ctx *ctx;
    Arena *a;
    const char *what; /* file */
    Imported *out;
    Str notes, decls, inputs, outputs; /* comment lines at the top; fns and cells; statements of the model */
    VEC(const char *) cell;            /* pairs: text after the name, name */
    uint32_t *copy, ncopy;             /* by Name: see writer_name */
    Scope *scope;
    Scope model;
} Writer;

void writer_init(Writer *w, Ctx *ctx, Arena *a, const char *what, Imported *out);
/* A name that the file does not have yet, made of what the source says ("Block 1/y:0" gives Block_1_y_0). */
const char *writer_name(Writer *w, const char *wanted);
void writer_line(Writer *w, const char *fmt, ...) PORT_PRINTF(2, 3); /* a statement of the scope */
void writer_note(Writer *w, const char *fmt, ...) PORT_PRINTF(2, 3); /* a comment line at the top of the file */
/* Declares `before NAME after`, as in "fn", "(x) = 2 * x". Equal texts are declared once; returns the name. comment may be NULL. */
const char *writer_declare(Writer *w, const char *wanted, const char *comment, const char *before, const char *after);
/* Weights of the model: rank 0 to 2, row-major. False with a diagnostic (652) if one is not finite. */
bool writer_weight(Writer *w, const char *name, int rank, const int64_t *dim, const double *v);
/* `param NAME: [..]` in the scope, with its weight. NULL on error. */
const char *writer_param(Writer *w, const char *wanted, int rank, const int64_t *dim, const double *v);
void writer_input(Writer *w, const char *name, const char *type);
void writer_output(Writer *w, const char *name, const char *expr);
ImportPort *writer_port(Writer *w, bool in, const char *kind, const char *name, const char *source);
/* Puts the parts together, formatted. from: what the model was made of. */
bool writer_finish(Writer *w, const char *model, const char *from);
/* The model's name: o->name, or made of the path's. */
const char *writer_model_name(Writer *w, const ImportOptions *o, const char *path);
bool import_bad(Ctx *ctx, const char *what, const char *fmt, ...) PORT_PRINTF(3, 4);                       /* 650 */
bool import_refuse(Ctx *ctx, const char *what, const char *where, const char *fmt, ...) PORT_PRINTF(4, 5); /* 651 */

/* ---- activations --------------------------------------------------------------------------------------------------------- */

/* A function of the text for an activation of ONNX's operators (RNN, GRU, LSTM; any case). alpha, beta: NAN: its default. NULL if
   there is no such activation. */
const char *onnx_activation(Writer *w, const char *name, double alpha, double beta);
bool onnx_activation_has(const char *name, bool *alpha, bool *beta); /* false: unknown */
/* hard_sigmoid is 0.2 x + 0.5 in Keras 1 and 2 and x / 6 + 0.5 in Keras 3. NULL if unknown. */
const char *keras_activation(Writer *w, const char *name, int version);

/* ---- recurrent layers ---------------------------------------------------------------------------------------------------- */

typedef enum { RNN_SIMPLE, RNN_GRU, RNN_LSTM } RnnKind;
enum { GATE_I = 0, GATE_F, GATE_G, GATE_O, GATE_Z = 0, GATE_R, GATE_N };
/* One direction of one layer. Matrices [H, I] and [H, K] row-major, K = P with a projection, else H. */
typedef struct {
    RnnKind kind;
    int64_t H, I, P;                     /* P: size after the projection of an LSTM without peepholes, 0: none */
    const char *gate, *act, *out;        /* functions; out: LSTM's of the cell state */
    double clip;                         /* of what goes into the activations; 0: none */
    bool coupled, reset_after, peephole; /* coupled: f = 1 - i */
    const double *W[4], *U[4], *b[4];    /* i f g o; z r n; b NULL: 0 */
    const double *bn;                    /* GRU reset_after: inner bias; NULL: 0 */
    const double *p[3];                  /* peepholes i f o */
    const double *proj;                  /* [P, H] */
    const char *h, *c;                   /* initial states, or NULL */
    const char *order;                   /* of the gates in the source, for the comment */
} Rnn;
/* `name = CELL[H](x)` and its weights. Returns the name; NULL with a diagnostic. */
const char *rnn_write(Writer *w, const char *wanted, const Rnn *r, const char *x);
int rnn_gates(RnnKind k);     /* 1, 3, 4 */
char rnn_state(const Rnn *r); /* the name of the state that is its output: h, or r of std's projected LSTM */

/* `name = dense[O](x)`: W [O, I] row-major, b may be NULL. */
const char *dense_write(Writer *w, const char *wanted, int64_t O, int64_t I, const double *W, const double *b, const char *act,
                        const char *x);
/* [rows, cols] to [cols, rows] in the arena. */
double *transposed(Arena *a, const double *v, int64_t rows, int64_t cols);

/* ---- JSON ---------------------------------------------------------------------------------------------------------------- */

typedef enum { JSON_NULL_, JSON_BOOL_, JSON_NUMBER_, JSON_STRING_, JSON_LIST_, JSON_OBJECT_ } JsonKind;
typedef struct Json {
    JsonKind kind;
    double number;    /* BOOL: 0 or 1 */
    const char *text; /* STRING */
    uint32_t n;
    const struct Json *item; /* LIST, OBJECT */
    const char *const *key;  /* OBJECT */
} Json;
/* Parses (RFC 8259, duplicate keys refused). NULL with a diagnostic that names line and column. */
const Json *json_read(Ctx *ctx, Arena *a, const char *what, const char *text, size_t n);
const Json *json_get(const Json *j, const char *key); /* NULL: absent or null, or j is no object */
const char *json_text(const Json *j, const char *key, const char *otherwise);
double json_number_of(const Json *j, const char *key, double otherwise);
bool json_flag(const Json *j, const char *key, bool otherwise);
/* Nested lists, or {"shape": [..], "data": [..]}, of numbers. False with a diagnostic (650). */
bool json_array_of(Ctx *ctx, Arena *a, const char *what, const char *where, const Json *j, Array *out);

#endif
