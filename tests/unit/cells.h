/* Hand-made modules for structural tests and for engines: the cells as the front end lifts them, before any pass. */
#ifndef RONDO_CELLS_H
#define RONDO_CELLS_H

#include "ir/graph.h"

typedef enum { CELL_LSTM, CELL_LAYERNORM, CELL_GRU, CELL_GRU_AFTER, CELL_PEEPHOLE, CELL_COUNT } Cell;

/* input x f<T,B>[I], one layer of the cell with H units from zero states, y = V h, loss = mean of y^2 / 2 as a sum. */
Module *cell_module(Ctx *ctx, Arena *a, Cell cell, int32_t I, int32_t H, bool ragged);

#endif
