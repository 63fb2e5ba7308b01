/* products: what explain says of a module after the passes, as data: loops, products with weights and place, sums. */
#ifndef RONDO_PRODUCTS_H
#define RONDO_PRODUCTS_H

#include "cli/cli.h"
#include "passes/explain.h"

typedef enum { STAYS, AHEAD, BEHIND } Moved;

typedef struct {
    const char *weights; /* "h.Wi h.Wf"; NULL: of two computed values, example by example */
    const char *key; /* "h.Wi h.Wf [16, 3]": how lowering's lines call it */
    const char *place; /* where it is computed: "in chunks of steps"; NULL: where it stands */
    Weights made;
    uint8_t rank; /* of the weights */
    int32_t dim[MAX_RANK];
    uint32_t stage, loop; /* loop: from 1; 0: outside of the loops */
    Moved moved; /* out of the loop that the cell has it in */
    bool carried; /* a state of its loop is beneath it */
    bool backward; /* only a gradient needs it */
    Ref node;
    uint32_t rows; /* equal numbers in one stage: the same rows times another matrix */
    uint32_t accumulator; /* equal numbers in one stage: added up in one; 0: alone */
    bool from_step; /* it begins with what was computed ahead of the loop */
    uint64_t scans; /* that need it, a bit each */
    const char *twin, *apart; /* the weights of an earlier product of the same rows, and why these are two; NULL */
    double flops; /* of a call */
    double stored; /* bytes that computing it ahead of the loop writes and reads */
} Product;

typedef struct {
    const char *value; /* "mul %12 [16, 16] (std/liquid.rondo:27)" */
    const char *weights; /* whose gradients are made of it; "": of none */
    uint8_t rank;
    bool product; /* one of these weights, of rank 2 or more, is the matrix of a product */
    uint32_t loop;
} LoopSum; /* added up step by step in a loop */

typedef struct {
    const char *head; /* "loop over T, 1 value carried" */
    uint32_t loop; /* 0: none */
    uint32_t gradients; /* of weights, each one product over all rows */
} StageLine;

typedef struct {
    VEC(StageLine) stage;
    VEC(Product) product; /* by stage */
    VEC(LoopSum) sum;
} Stages;

/* before: the module as built; m: after the passes; notes: the lines of lowering. */
Stages find_stages(Arena *a, const Module *before, const Module *m, int64_t batch, int64_t steps, const char *notes);
/* As lines; as JSON: "stages": [..], "products": [..], "sums": [..]. */
void put_stages(Str *s, const Stages *x);
void put_stages_json(Str *s, const Stages *x);

#endif
