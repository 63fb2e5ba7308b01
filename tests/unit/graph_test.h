/* What the drivers of the tensor graph share: one module under construction, and counts of what held. */
#ifndef RONDO_GRAPH_TEST_H
#define RONDO_GRAPH_TEST_H

#include "ir/graph.h"

extern int passed, failed;
extern Ctx *ctx;
extern Arena arena;
extern Module *m;
extern Graph *g;

void check(bool ok, const char *what);
Module *fresh(void); /* m and its graph g */
Name nm(const char *s);
uint32_t input(const char *name, DType dt, uint32_t axes, int rank, int32_t d0, int32_t d1);
uint32_t time_axis(const char *name, bool ragged); /* ragged ones get the input len.NAME */
void show_diags(void);
bool round_trip(const Module *a, const char *what); /* what is printed parses to the same */

/* graph_eval.c: the evaluator against values computed by hand; dead code */
void start(int64_t b, int64_t t); /* a fresh module for examples b and steps t */
void test_eval_elementwise(void);
void test_eval_reduce(void);
void test_eval_dot(void);
void test_eval_shape(void);
void test_eval_index(void);
void test_eval_time(void);
void test_eval_scan(void);
void test_eval_nested(void);
void test_eval_draws(void);
void test_noise(void);
void test_init(void);
void test_dce(void);

#endif
