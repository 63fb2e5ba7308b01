/* The model of a problem, opened with its sizes and first weights; NULL after a message on standard error. */
#ifndef RONDO_BENCH_MODEL_H
#define RONDO_BENCH_MODEL_H

#include "bench/bench.h"
#include "runtime/rondo.h"

rondo_model *open_problem(const Problem *p);

#endif
