/* Private to passes/: gradients carried forward with the state (RTRL, SnAp-1). */
#ifndef RONDO_ONLINE_H
#define RONDO_ONLINE_H

#include "passes/forward.h"

/* stepwise.c: the model as one scan over its time axis. False: *why and where it cannot be; the module is as it was. */
bool stepwise(Module *m, const char **why, uint32_t *span);

/* labels.c: on which elements of one value (the base) each element of the others depends. */
enum { LABEL_NONE = -1, LABEL_MIXED = -2 }; /* on none; on several */
typedef struct {
    Arena *arena;
    const Graph *g;
    Ref n0;
    int32_t **at; /* by node, [features]; NULL: on none of them */
    /* Diagonal only: where a product of a matrix and a vector of n labels 0..n-1 has a multiple of n elements, element o keeps what
       depends on label o mod n, once on a way. picked: by node, 1 + the operand that is the vector. */
    bool pick;
    int64_t n;
    uint32_t axes; /* of the base */
    uint8_t *picked;
    bool rows; /* examples were mixed */
} Labels;
void labels_run(Labels *l); /* `at` of the base is set */
/* The map of n labels over size elements as element i -> (i / inner) % n, some elements perhaps without; false if it is none. */
bool labels_regular(const int32_t *label, int64_t size, int64_t n, int64_t *inner);
bool labels_identity(const int32_t *label, int64_t size, int64_t n); /* label i at element i, or none */

/* online.c: what is carried. */
typedef struct {
    uint32_t carry;
    Ref leaf, next; /* in the body */
    Node type; /* of the carry */
    int64_t size; /* features */
    Ref before, after, last; /* adjoints: of the leaf, of next, (outside) of the final value */
} OnlineState;

typedef enum { EDGE_NONE, EDGE_DIAGONAL, EDGE_PICK, EDGE_FULL } Edge; /* how a state's next depends on a state */
typedef enum { USE_NONE, USE_DOT, USE_ELEMENT, USE_GATHER, USE_INIT, USE_OTHER } Use;

typedef struct {
    bool on;
    int64_t inner;
    Ref leaf, next; /* the influence: [U, size] or [size]; of the full form f<D>[..] */
    uint32_t carry;
    uint32_t sum, last; /* 1 + out */
    bool lasts; /* its last value is wanted for itself */
    uint32_t state; /* then: of the module */
} Influence;

enum { MAX_BASES = 8, MAX_BLOCKS = 8, MOST_DIRECTIONS = 1 << 22 };
typedef struct {
    uint32_t operand; /* among those of the scan */
    Ref outer, leaf; /* leaf: of a capture, in the body */
    Node type; /* of outer */
    Use use;
    Ref base[MAX_BASES]; /* nodes of the body by which it enters */
    uint32_t nbase;
    int64_t U; /* directions: elements that one element of a base depends on alike */
    int64_t n; /* elements of a block of a base */
    uint32_t blocks;
    bool full; /* carried as a whole, every element a direction */
    int64_t offset; /* then: of its directions in its group */
    Influence *on[MAX_BLOCKS]; /* [state] */
} Unit;

/* Full units share one axis of directions. */
typedef struct {
    uint32_t axis; /* 0: there are none */
    int64_t directions;
    Influence *on; /* [state] */
} FullGroup;

typedef struct {
    Level *up;
    Arena *arena;
    Ref scan; /* in up->fwd */
    ScanInfo info;
    bool snap, ragged;
    bool inexact; /* something was left out */
    Graph *src, *body;
    Ref n0; /* nodes of body before anything was added */
    Ref *map; /* src -> body */
    Ref *subst; /* as Forward's, of body */
    Activity *act; /* of body */
    OnlineState *state;
    uint32_t nstate;
    Edge *edge; /* [to][from] */
    uint8_t **picked; /* [from] */
    VEC(Unit) unit;
    VEC(Ref) init, capture, carry, next; /* of the new scan; carry, next: from info.ncarry on */
    VEC(Root) out;
    uint32_t *accumulator; /* by original out: 1 + carry that a sum has become */
    FullGroup full[2]; /* of captures; of initial states */
    bool *lasting; /* by carry: it is a state of the model, whose influence a next window needs */
    VEC(Influence *) given; /* influences that were made states of the module, in their order */
} Online;

/* Is r a product of the unit, its operand i, where each label of the other operand is summed with one of the unit's? */
bool online_plain_product(const Graph *g, Ref r, int i);
uint32_t online_summed_dims(const Graph *g, Ref r, Ref leaf); /* the dims of the unit that it sums over, a mask */
bool online_plan(Online *o); /* false with a diagnostic */
void online_emit(Online *o);

/* Of the three files that build. */
Graph *online_outer(Online *o);
Ref online_plus(Graph *g, Ref a, Ref b); /* either may be 0 */
Ref online_flatten(Graph *g, Ref v, int64_t n); /* as [n] */
/* A carry for an influence on a state; of: the state, if a next window goes on from it. */
void online_start(Online *o, Influence *x, const Node *type, Ref init, const OnlineState *of);
void online_next(Online *o, Influence *x, Ref v);
uint32_t online_out(Online *o, RootKind kind, Ref ref, uint32_t index); /* 1 + out */
Ref online_sum_all_but(Graph *g, Ref v, uint32_t keep); /* axes */
void online_give(Online *o, const Unit *u, Ref v); /* v, of the shape of the unit, to its adjoint */
Ref *online_coefficients(Online *o);
void online_start_rows(Online *o, Unit *u);
void online_step_rows(Online *o, Unit *u, const Ref *c);
void online_sum_rows(Online *o, Unit *u);
void online_give_rows(Online *o, Unit *u, Ref scan);
void online_start_full(Online *o, FullGroup *d);
void online_step_full(Online *o, FullGroup *d);
void online_sum_full(Online *o, FullGroup *d);
void online_give_full(Online *o, Ref scan);

/* Of a unit that is carried as a whole. */
FullGroup *online_group(Online *o, const Unit *u);
Ref online_capture(Online *o, Ref outer);

#endif
