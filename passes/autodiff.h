/* Private to autodiff*.c: one level of the reverse sweep. Level 0 is graph[0], where adjoints are appended to the graph they
   belong to; a deeper level is the body of a scan, whose adjoints go to a draft that becomes the body of the adjoint scan. */
#ifndef RONDO_AUTODIFF_H
#define RONDO_AUTODIFF_H

#include "passes/passes.h"

/* What depends on something wanted; body[r] of a scan node r belongs to its body. */
typedef struct Activity {
    uint8_t *node;
    struct Activity **body;
} Activity;

typedef enum { LEAF_STEP, LEAF_CAPTURE, LEAF_NEED } LeafKind;
typedef struct {
    LeafKind kind;
    Ref ref; /* LEAF_STEP, LEAF_CAPTURE: in up->bwd. LEAF_NEED: in fwd */
} TapeLeaf;

typedef struct Level Level;
struct Level {
    Arena *arena;
    Level *up; /* the level of the scan node; NULL for graph[0] */
    Graph *fwd, *bwd; /* where values and adjoints live; the same at level 0, else bwd is the draft */
    Ref n0; /* forward nodes when the sweep began; later ones have no adjoint */
    const Activity *act;
    uint8_t *bits; /* FINITE_*: what a value may be although the operands are finite */
    uint8_t *guard; /* the adjoint came through a select: zeros in it must stay zero */
    Ref *adj; /* in bwd, by forward ref; 0: none */
    Ref scan; /* in up->fwd */
    ScanInfo info;
    VEC(TapeLeaf) leaf; /* of the draft: its `step i` stands for leaf.at[i] */
    const uint8_t *cut; /* nodes whose adjoint goes no further; NULL: none */
    uint32_t keep; /* axes that adjoints of captures keep although the captures lack them */
    GradientMode online; /* of graph[0]: the rule for its scans over time */
    const PassOptions *options; /* with online */
    Ref *subst; /* with online: by scan, what takes its place */
    VEC(Ref) prim; /* forward ref -> node of the draft that stands for it */
};

enum { MAY_INF = 1, MAY_NAN = 2 };

/* A forward value as a node of bwd. */
Ref need(Level *l, Ref v);
/* Adds v to the adjoint of n. v stands for a value over `axes` with the features of `shape`, but may lack some of both
   (then all rows or elements are v). The only place that undoes broadcasting. */
void adj_add(Level *l, Ref n, Ref v, uint32_t axes, const Node *shape, bool guard);
/* v, standing for a value over `axes`, about to be summed over `summed`: which rows are real depends on a ragged axis and B
   together, so neither may be missing when the other is summed. */
Ref with_rows(Level *l, Ref v, uint32_t axes, uint32_t summed);
uint32_t kept_axes(const Level *l, Ref n); /* that the adjoint of n may have */
void level_sweep(Level *l);
void back_elementwise(Level *l, Ref r);
void back_structural(Level *l, Ref r);
/* g times the derivative of r by operand i; 0 where none flows. */
Ref elementwise_times(Level *l, Ref r, uint32_t i, Ref g);
Ref amax_mask(Level *l, Ref r); /* the elements of the operand of r that are the first largest ones */
void back_scan(Level *l, Ref r);
void online_scan(Level *l, Ref r); /* online.c: the rule for a scan over time in the modes that are carried forward */
uint8_t *finite_bits(Arena *a, const Graph *g);
Activity *graph_activity(Arena *a, const Graph *g, const uint8_t *param, const uint8_t *input, const uint8_t *carry,
                         const uint8_t *step, const uint8_t *capture);

#endif
