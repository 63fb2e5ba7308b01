/* Private to ir/: the steps of graph_emit. */
#ifndef RONDO_IR_BUILD_H
#define RONDO_IR_BUILD_H

#include "ir/graph.h"

/* Makes operands fit (casts, expands, sums before a dot), then fills the type of n. NULL, or why not. */
const char *node_infer(Graph *g, Node *n);
/* The value of an already typed node by a local rule, of exactly that type; 0 if no rule applies. */
Ref node_fold(Graph *g, const Node *n);
/* r with the dims and axes of `want`: r itself or an expand. 0 if its dims are others. */
Ref node_fit(Graph *g, Ref r, const Node *want);
bool same_dims(const Node *a, const Node *b);
bool same_type(const Node *a, const Node *b);
/* One element of an elementwise operation; dt: type of the result. */
double op_value(Op op, DType dt, double a, double b, double c);
double cast_value(double v, DType from, DType to);
Ref graph_append(Graph *g, const Node *n); /* finds an equal node or adds one; no checks */
void graph_rehash(Graph *g);
Graph *graph_make(Module *m, uint32_t index);
double words_double(const uint32_t *w);

#endif
