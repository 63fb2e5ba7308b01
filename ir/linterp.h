/* Private to ir/: the interpreter's machine (linterp.c) and its shadow memory (lshadow.c). */
#ifndef RONDO_LINTERP_H
#define RONDO_LINTERP_H

#include "ir/loop.h"

enum { LANES_MAX = 16 };

typedef union {
    int64_t i;
    float f[LANES_MAX];
    double d[LANES_MAX];
    int32_t v[LANES_MAX];
    uint8_t m[LANES_MAX]; /* 0 or 1 */
} Slot;

/* A buffer as an instruction sees it: of the program, or a pointer argument. */
typedef struct {
    char *base;     /* of element 0 */
    uint32_t size;  /* of an element, bytes */
    uint32_t id;    /* tag: buffer + 1 */
    int64_t lo, hi; /* shadow: indices allowed */
    uint32_t *tag;  /* shadow: of element 0, one per 4 bytes; NULL: read only memory of the caller */
} Bound;

typedef struct {
    int64_t i, left; /* loop variable, iterations to come */
} Counter;

/* What one function needs; one at a time is enough, for there is no recursion. */
typedef struct {
    uint32_t *match;  /* of FOR and IF: its END; of END: its FOR or IF */
    Slot *val, *next; /* by value; the yielded values on their way */
    Counter *loop;    /* by depth */
    Bound *arg;       /* by parameter */
} Frame;

typedef struct Machine {
    const LProgram *p;
    const int64_t *dim;
    const KEnv *env;
    Frame *frame; /* by function; match == NULL: not reached */
    Bound *bound; /* by buffer */
    bool shadow;
    InterpWatch *watch;
    void *tags; /* to free */
    uint64_t *executed; /* by operation; may be NULL */
    bool no_memory; /* a fault could not be told */
} Machine;

/* Shadow memory: tag words for everything written by kernels. False without memory. */
bool shadow_make(Machine *m, uint32_t fn, void *const *buf);
/* LOCAL buffers hold nothing when their function is entered. */
void shadow_enter(Machine *m, uint32_t fn);
/* May instruction pc of fn touch n elements from idx of b? False with a diagnostic. A store tags them. */
bool shadow_access(Machine *m, uint32_t fn, uint32_t pc, const Bound *b, int64_t idx, int64_t n, bool store);

#endif
