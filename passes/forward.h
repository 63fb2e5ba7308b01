/* Private to passes/: forward mode. Tangents of the nodes of one graph, appended to that graph. A tangent may be narrower than
   its node, as an adjoint may be (then it is the same in all rows, all elements), and may have axes of its own: directions,
   all of which one sweep carries. */
#ifndef RONDO_FORWARD_H
#define RONDO_FORWARD_H

#include "passes/autodiff.h"

typedef struct Forward Forward;
struct Forward {
    Level l; /* fwd and bwd are the graph; n0: nodes from here on have no tangent */
    uint32_t extra; /* axes of directions */
    Ref *tan; /* by node; 0: none. Set for the leaves before the sweep */
    Ref *subst; /* by scan node: a scan whose outs begin with the same ones; shared by the sweeps of a graph */
    /* The tangent of the product or gather r by way of operand i, if another rule than the general one is meant (*done). May be
       NULL. */
    Ref (*via)(Forward *f, Ref r, int i, bool *done);
    /* Leaves whose tangents are unit vectors, one a direction, spelled out by `unit` where `via` does not do without. May be NULL. */
    uint8_t *is_unit;
    Ref (*unit)(Forward *f, Ref leaf);
    void *arg; /* of these functions */
};

Forward forward_make(Arena *a, Graph *g, uint32_t extra, Ref *subst);
void forward_sweep(Forward *f);
void forward_scan(Forward *f, Ref r); /* sets the tangents of the outs of scan r */
/* The tangent of r with the full type of r, zeros where there is none. */
Ref forward_full(Forward *f, Ref r);
/* Rebuilds the graph with every out of a scan that has a substitute taken from that. map (or NULL) gets old -> new. */
void substitute_scans(const Forward *f, Ref **map);
/* dst gets node r of src, a scan with a copy of its body (a body belongs to one scan). */
Ref copy_with_body(Graph *dst, const Graph *src, Ref r, const Ref *map);

#endif
