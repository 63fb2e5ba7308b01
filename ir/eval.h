/* Private to ir/: the evaluator's state. */
#ifndef RONDO_IR_EVAL_H
#define RONDO_IR_EVAL_H

#include "ir/build.h"

/* One evaluation of a graph; a body's frame is kept and reused for every step. */
typedef struct Frame {
    const Graph *g;
    double **v;           /* by Ref */
    int64_t *size;        /* by Ref; elements */
    struct Frame **child; /* by Ref: of scans */
    double **out;         /* of a body: its outs */
    double **carry, **next;
    bool *active; /* [B] */
    uint64_t *bad; /* by Ref: when it first was no finite number, from 1; 0: never. Kept where the origin is asked for */
    double *from;  /* by Ref: of an operation with one operand, what that was then */
    struct Frame *up;
    Ref scan; /* the node of `up` */
} Frame;

typedef struct {
    const Module *m;
    Arena *a;
    const EvalIn *in;
    int64_t size[MAX_AXES];
    const double *length[MAX_AXES]; /* [B], ragged axes only */
    int64_t now[MAX_AXES];          /* steps of the enclosing scans */
    const bool *active;             /* [B]: in a body; NULL: all */
    uint64_t events;                /* values that were found bad */
    uint64_t draw;                  /* the state of the generator of in->f32_draw or f64_draw */
} Eval;

/* Rows of a set of axes in canonical order. */
typedef struct {
    int n;
    uint32_t axis[MAX_AXES];
    int64_t size[MAX_AXES], stride[MAX_AXES]; /* strides in rows */
    int64_t rows;
} Layout;

void layout_of(const Eval *e, uint32_t axes, Layout *l); /* fills: 700 bytes, asked for at every node, are not to be copied */
int64_t rows_of(const Eval *e, uint32_t axes);
int64_t row_at(const Layout *l, const int64_t *idx); /* idx by axis */
bool row_next(const Layout *l, int64_t *idx);
bool row_valid(const Eval *e, uint32_t axes, const int64_t *idx);
int64_t axis_length(const Eval *e, uint32_t axis, uint32_t axes, const int64_t *idx);

void eval_noise(const Eval *e, const Node *n, const uint32_t *w, double *out);
void eval_structural(Eval *e, const Frame *f, Ref r, double *out); /* reduce, contract, shape, index, time */
void eval_note_bad(Eval *e, Frame *f, Ref r); /* evalbad.c: looks at the value of r; */
void eval_find_origin(const Eval *e, const Frame *f); /* after all of them: fills in->origin */
double eval_rounded(Eval *e, double v); /* v, or where in->f32_draw or f64_draw is set: as EvalIn says */
double eval_draw(Eval *e); /* the next draw, from 0 to 1 */

#endif
