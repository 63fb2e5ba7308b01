/* Private to the generator of programs: expressions of a wanted shape, by the names in scope. */
#ifndef RONDO_TEST_PROG_EXPR_H
#define RONDO_TEST_PROG_EXPR_H

#include "base/base.h"

typedef struct {
    int rank;
    const char *d[2]; /* sizes as text: "H", "1", "(2 * H)"; equal iff the text is */
} Shape;

typedef struct {
    const char *name;
    char kind; /* 'f' float, 'b' bool, 't' token */
    Shape s;
    const char *vocab;
    uint32_t axis; /* a sequence over this axis of the scope; 0: none */
} Var;

typedef struct {
    const char *name;
    const char *size[2]; /* its bracket sizes */
    int nsize;
    const char *more; /* further brackets, as written in a call: ", act = sin" */
    Var in[3];        /* inputs; axis != 0: a whole sequence */
    int nin;
    Var state[3];
    int nstate;
    Var look[4]; /* names of the body */
    int nlook;
    Shape ret;
} Cell;

typedef struct {
    Arena *a;
    uint64_t rng;
    VEC(Cell) cell;
    int nfn1, nfn2; /* functions f0.. of one value, g0.. of two */
    int serial;     /* of names */
    bool gentle;    /* no kinks: for programs of many steps */
    int depth;      /* 1 or 2: of expressions, and number of statements */
} Gen;

typedef struct {
    Gen *g;
    Str decl, body;
    VEC(Var) pool;
    const char *dim[8];
    int ndim;
    uint32_t naxis; /* 1.. */
    bool in_cell;
    const char *indent;
} Scope;

typedef struct {
    const char *t;
    uint32_t axis;
} Ex;

uint32_t pg_below(Gen *g, uint32_t n);
bool pg_equal(Shape x, Shape y);
Shape pg_shape(Scope *c); /* scalar, vector or matrix over the scope's sizes */
const char *pg_name(Gen *g, const char *stem);
const char *pg_type(Gen *g, Shape s); /* "[H, I]" */
const Var *pg_add(Scope *c, const char *name, char kind, Shape s, uint32_t axis);
const Var *pg_pick(Scope *c, char kind, uint32_t axis); /* a recent one with exactly this axis, or NULL */

/* A float of shape s that is constant over time or a sequence over `axis`. */
Ex pg_want(Scope *c, Shape s, uint32_t axis, int depth);
Ex pg_need(Scope *c, Shape s, uint32_t axis, int depth); /* certainly over the axis */
Ex pg_bool(Scope *c, Shape s, uint32_t axis, int depth);
Ex pg_token(Scope *c, const char *vocab, uint32_t axis, int depth);
const char *pg_coerce(Scope *c, const Var *v, Shape s); /* any value as shape s */
const char *pg_param(Scope *c, Shape s);

#endif
