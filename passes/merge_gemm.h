/* Private to merge_gemm*.c: one graph being rewritten, and the chains in it. Arrays are by node of the old graph. */
#ifndef RONDO_MERGE_GEMM_H
#define RONDO_MERGE_GEMM_H

#include "passes/passes.h"

/* (((base + products) + rest): see merge_gemm.c. */
typedef struct {
    Ref root; /* the last addition, or the product itself */
    RefVec base, product, rest;
    RefVec same; /* products of rows that `product` has already: their weights are added to its */
    bool step_base; /* the base is a step input */
    uint32_t group; /* 1 + index; 0: cannot merge */
} Chain;

typedef struct {
    VEC(uint32_t) member; /* chains, ascending */
    Ref value; /* in dst, when it is made */
} Group;

/* A row operand times a matrix without axes. */
typedef struct {
    Ref row, weight; /* row = 0: not such a product */
    uint32_t dim; /* of the weight: its columns */
} Product;

typedef struct Merge Merge;
struct Merge {
    Arena *arena;
    Merge *up; /* the graph of the scan; NULL for graph[0] */
    const Graph *src;
    Graph *dst;
    ScanInfo info; /* of a body: the scan in up->src */
    RefVec capture; /* of a body: operands of the new scan, in up->dst */
    Ref *map, *lifted; /* old node -> dst; invariants: -> up->dst */

    uint8_t *live, *load, *invariant, *carry, *reaches_next; /* load: depends on parameters and constants only */
    uint32_t *uses;
    uint64_t *feeds; /* which scans of this graph it leads to, a bit each */
    uint8_t *inner; /* part of a chain, not its root */
    uint32_t *chain_at; /* of a root: 1 + index of its chain */
    VEC(Chain) chain;
    VEC(Group) group;
};

Product product_of(const Graph *g, Ref r);
void merge_analyse(Merge *l); /* finds chains and groups */
void merge_split(Module *m); /* products of a concat of values before and in the loop */

#endif
