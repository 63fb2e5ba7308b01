/* rewrite: the same cell in other words. Reads a cell of std and writes it as somebody else might have: what the compiler makes of
   it should not depend on that. */
#ifndef RONDO_TEST_REWRITE_H
#define RONDO_TEST_REWRITE_H

#include "base/base.h"

enum { PARTS_MAX = 8 };

/* Where a block of a rewritten weight comes from: rows and columns from (row, col) of it are the weight `from` of the original,
   turned where it was turned. A vector has one column. */
typedef struct {
    const char *from;
    bool turned;
    const char *row, *col; /* sizes before it, in names: "", "H", "2*H", "I" */
} Part;
typedef struct {
    const char *name;
    Part part[PARTS_MAX];
    int nparts;
} Origin;

typedef struct {
    const char *text; /* a file with the cell, and functions it needs */
    Origin *origin; /* every weight of it */
    int norigins;
} Rewritten;

extern const char *const rewrite_name[]; /* "renamed", ..; NULL ends it */
/* Cell `cell` of the text `std`, by rewrite k (-1: as it is, printed again). NULL: the rewrite finds nothing to do in it. */
const Rewritten *rewrite_cell(Arena *a, const char *std, const char *cell, int k);

#endif
