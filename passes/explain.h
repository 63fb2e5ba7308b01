/* explain: values and weights of a graph by the names that users gave them. */
#ifndef RONDO_EXPLAIN_H
#define RONDO_EXPLAIN_H

#include "ir/graph.h"

/* Appends "h.S [8, 4] (std/fast_weights.rondo:31)", or the operation and its number where the source gave no name. */
void put_node(Str *s, Ctx *ctx, const Graph *g, Ref r);

/* A value that is made of parameters alone. */
typedef struct {
    uint32_t count; /* of the parameters, each counted once */
    bool computed; /* not only by moving and joining: W - W.T */
} Weights;

/* Whether r is made of parameters alone; outer and scan: of a body, where it is captured from, else NULL. Appends the names to s
   and sets mark[param], either of which may be NULL. */
bool put_weights(Str *s, const Module *m, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan, bool *mark, Weights *w);

/* Of a product of a row operand and a matrix: where it is added up, as merge_gemm sees it. */
typedef struct {
    Ref accumulator; /* the last addition of the accumulator it is part of, or it itself; 0: no such product */
    bool from_step; /* the accumulator begins with a value of the step, as what was computed ahead of the loop */
    uint64_t scans; /* of the model's graph that need it, a bit each, the last one's first */
    Ref twin; /* the first product of the same row operand, in another accumulator; 0: none */
    const char *apart; /* why these are two; NULL: for no reason */
} ProductNote;

/* By node of the body of a scan of the model's graph; scan = 0: of that graph itself. */
ProductNote *product_notes(Arena *a, const Module *m, Ref scan);

/* A line that says where product r of rows with a matrix of parameters is computed; nothing for others. */
void put_place(Str *s, const Graph *g, Ref r, const char *how);

/* Appends " [256, 64]"; nothing for a scalar. */
void put_dims(Str *s, const Node *n);

#endif
