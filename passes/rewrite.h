/* Private to passes/: small builders and walks that several passes use. */
#ifndef RONDO_REWRITE_H
#define RONDO_REWRITE_H

#include "ir/graph.h"

/* v with exactly the dims and leading axes of `type` (v may lack axes, or have rank 0). */
Ref widen(Graph *g, Ref v, const Node *type);
/* v with the dims of `type`; its axes stay. */
Ref widen_dims(Graph *g, Ref v, const Node *type);
/* A constant of the type's dims and axes. */
Ref splat(Graph *g, double v, const Node *type);
/* A leaf (carry, step, capture) of the type of `type` less the axes in `less`. */
Ref leaf_like(Graph *g, Op op, uint32_t index, const Node *type, uint32_t less);
/* Marks what the roots of g reach: mark[ref] != 0. */
void mark_live(const Graph *g, uint8_t *mark);
/* Who reads node r: of[at[r] .. at[r + 1]). */
typedef struct {
    uint32_t *at;
    Ref *of;
} Users;
Users find_users(Arena *a, const Graph *g);
/* Number of NEXT roots (they come first), and the out with this kind, ref and index, added if new. */
uint32_t next_count(const Graph *body);
uint32_t body_out(Graph *body, RootKind kind, Ref ref, uint32_t index);
/* Elementwise and shape operations: each element of the result needs one element of each operand. */
bool is_map(Op op);
bool is_cheap(const Graph *g, Ref r); /* a map, or an outer product, under 4 cycles per 8 floats */
/* dst becomes graph[index]; the roots of the old one come along, their values mapped. */
void replace_graph(Module *m, uint32_t index, Graph *dst, const Ref *map);
void replace_model(Module *m, Graph *dst, const Ref *map);
/* Copies every graph, each live value as what fn makes of its copy in the new graph. */
void rewrite_nodes(Module *m, Ref (*fn)(Graph *g, Ref r));
/* Products by heads that no loop nest of three dimensions can compute: one a head. For legalize. */
void split_wide_products(Module *m);

/* A scan of the model that is made anew: some of its steps are computed in its body. */
typedef struct {
    const Graph *host;
    Graph *dst; /* the new host */
    const Ref *map; /* into it */
    ScanInfo s;
    bool *sunk; /* by step of the old scan */
    void *more; /* of the pass */
    RefVec step, capture; /* made by the functions below: values of the old host, of the new one */
    Ref *made; /* in the new body, by value of the old host */
} Sink;

/* The new scan; value: of the sunk step r in the new body, made of these. */
Ref sink_steps(Module *m, Sink *x, Ref (*value)(Sink *x, Graph *body, Ref r));
Ref sink_step(Sink *x, Graph *body, Ref r); /* r, of the old host, as the loop's step reads it */
Ref sink_capture(Sink *x, Graph *body, Ref v); /* v, of the new host, which no step changes */
/* Equal for modules that print alike but for the numbering of bodies; names and spans do not count. */
uint64_t module_hash(const Module *m);
uint64_t decisions_hash(const Module *m); /* of what place and fuse wrote */

#endif
