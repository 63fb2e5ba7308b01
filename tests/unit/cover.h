/* Covering arrays: rows of factor levels in which every allowed pair of levels of two factors occurs. */
#ifndef RONDO_TEST_COVER_H
#define RONDO_TEST_COVER_H

#include "base/base.h"

enum { COVER_FACTORS = 20, COVER_LEVELS = 12 };

typedef struct {
    uint8_t level[COVER_FACTORS];
} CoverRow;

typedef struct Cover {
    uint32_t n;                  /* factors */
    uint8_t levels[COVER_FACTORS];
    bool (*allowed)(const struct Cover *c, uint32_t f, uint8_t a, uint32_t g, uint8_t b); /* may two levels meet? NULL: all */
    const void *arg;
    uint64_t rng;
    bool open[COVER_FACTORS][COVER_LEVELS][COVER_FACTORS][COVER_LEVELS]; /* pairs not met yet, both ways round */
    uint32_t nopen;              /* each pair once */
} Cover;

/* Opens all allowed pairs. n, levels, allowed, rng are set before. */
void cover_start(Cover *c);
/* Pairs of factors f and g shall not be asked for. */
void cover_drop(Cover *c, uint32_t f, uint32_t g);
/* Closes the pairs of a row and says how many there were. */
uint32_t cover_close(Cover *c, const CoverRow *r);
/* The best of some rows grown at random that keep the nfixed factors of `fixed` at their levels in *r (UINT8_MAX elsewhere);
   its open pairs, which are not closed. `mild` (by factor, may be NULL): levels to prefer where nothing is gained. */
uint32_t cover_grow(Cover *c, CoverRow *r, int tries, const uint8_t *mild);

#endif
