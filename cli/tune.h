/* tune: what varies. A --set value with braces is a template: H={8, 16, 32} names choices, {1e-4 .. 1e-1 log} a range. */
#ifndef RONDO_CLI_TUNE_H
#define RONDO_CLI_TUNE_H

#include "cli/cli.h"

typedef struct {
    const char *name;         /* what stands before the brace: "H", "optimizer=adam(lr" */
    VEC(const char *) choice; /* n = 0: a range */
    double lo, hi;
    bool log, whole;
} Varied;
typedef struct {
    VEC(Varied) axis;
    VEC(const char *) form; /* each template, with \1 where an axis' value goes */
    VEC(const char *) text; /* each as it was given */
} Space;

/* Takes the templates out of the command line. False with usage set. */
bool space_read(Cli *c, Space *s);
/* The number of points of a grid; -1: there are ranges, or they are more than a million. */
int64_t space_grid(const Space *s);
/* The values of point k of the grid, or of the k-th one drawn. */
void space_grid_point(const Space *s, int64_t k, const char **value);
double space_points(const Space *s); /* how many there are; infinity: a range of real numbers varies */
void space_draw(const Space *s, Arena *a, uint64_t seed, int64_t k, const char **value);
/* "H=8", ..: one text a template. */
const char **space_settings(const Space *s, Arena *a, const char *const *value);

#endif
