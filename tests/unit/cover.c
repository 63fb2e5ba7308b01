/* See cover.h. A greedy construction: start from an open pair, give each other factor the level that meets most open pairs. */
#include <string.h>

#include "tests/unit/cover.h"
#include "tests/unit/gen.h"

static bool may(const Cover *c, uint32_t f, uint8_t a, uint32_t g, uint8_t b) {
    return !c->allowed || c->allowed(c, f, a, g, b);
}

void cover_start(Cover *c) {
    memset(c->open, 0, sizeof c->open);
    c->nopen = 0;
    for (uint32_t f = 0; f < c->n; f++)
        for (uint32_t g = f + 1; g < c->n; g++)
            for (uint8_t a = 0; a < c->levels[f]; a++)
                for (uint8_t b = 0; b < c->levels[g]; b++)
                    if (may(c, f, a, g, b)) {
                        c->open[f][a][g][b] = c->open[g][b][f][a] = true;
                        c->nopen++;
                    }
}

static bool close_pair(Cover *c, uint32_t f, uint8_t a, uint32_t g, uint8_t b) {
    bool was = c->open[f][a][g][b];
    c->open[f][a][g][b] = c->open[g][b][f][a] = false;
    c->nopen -= was;
    return was;
}

void cover_drop(Cover *c, uint32_t f, uint32_t g) {
    for (uint8_t a = 0; a < c->levels[f]; a++)
        for (uint8_t b = 0; b < c->levels[g]; b++) close_pair(c, f, a, g, b);
}

uint32_t cover_close(Cover *c, const CoverRow *r) {
    uint32_t n = 0;
    for (uint32_t f = 0; f < c->n; f++)
        for (uint32_t g = f + 1; g < c->n; g++) n += close_pair(c, f, r->level[f], g, r->level[g]);
    return n;
}

static bool set(const CoverRow *r, uint32_t f) { return r->level[f] != UINT8_MAX; }

/* Open pairs that factor f at level a makes with the factors that are set; -1: not allowed. */
static int gain(const Cover *c, const CoverRow *r, uint32_t f, uint8_t a) {
    int n = 0;
    for (uint32_t g = 0; g < c->n; g++) {
        if (g == f || !set(r, g)) continue;
        if (!may(c, f < g ? f : g, f < g ? a : r->level[g], f < g ? g : f, f < g ? r->level[g] : a)) return -1;
        n += c->open[f][a][g][r->level[g]];
    }
    return n;
}

/* An open pair that the row still has room for, at random. */
static void plant(Cover *c, CoverRow *r) {
    uint32_t seen = 0;
    CoverRow best = *r;
    for (uint32_t f = 0; f < c->n; f++)
        for (uint32_t g = f + 1; g < c->n; g++)
            for (uint8_t a = 0; a < c->levels[f]; a++)
                for (uint8_t b = 0; b < c->levels[g]; b++) {
                    if (!c->open[f][a][g][b]) continue;
                    if ((set(r, f) && r->level[f] != a) || (set(r, g) && r->level[g] != b)) continue;
                    if (gain(c, r, f, a) < 0 || gain(c, r, g, b) < 0 || gen_below(&c->rng, ++seen)) continue;
                    best = *r;
                    best.level[f] = a;
                    best.level[g] = b;
                }
    *r = best;
}

static bool fill(Cover *c, CoverRow *r, const uint8_t *mild) {
    uint32_t order[COVER_FACTORS];
    for (uint32_t k = 0; k < c->n; k++) {
        uint32_t at = gen_below(&c->rng, k + 1);
        order[k] = order[at];
        order[at] = k;
    }
    for (uint32_t k = 0; k < c->n; k++) {
        uint32_t f = order[k], ties = 0;
        int most = -1;
        uint8_t pick = UINT8_MAX;
        for (uint8_t a = 0; !set(r, f) && a < c->levels[f]; a++) {
            int n = gain(c, r, f, a);
            bool milder = mild && mild[f] == a && n == most;
            if (n < most || n < 0) continue;
            ties = n > most ? 1 : ties + 1;
            if (milder || (n > most) || (!(mild && mild[f] == pick) && gen_below(&c->rng, ties) == 0)) pick = a;
            most = n;
        }
        if (set(r, f)) continue;
        if (pick == UINT8_MAX) return false;
        r->level[f] = pick;
    }
    return true;
}

static uint32_t count(const Cover *c, const CoverRow *r) {
    uint32_t n = 0;
    for (uint32_t f = 0; f < c->n; f++)
        for (uint32_t g = f + 1; g < c->n; g++) n += c->open[f][r->level[f]][g][r->level[g]];
    return n;
}

uint32_t cover_grow(Cover *c, CoverRow *r, int tries, const uint8_t *mild) {
    CoverRow from = *r;
    uint32_t most = 0;
    for (int k = 0; k < tries; k++) {
        CoverRow x = from;
        plant(c, &x);
        uint32_t n = fill(c, &x, mild) ? count(c, &x) : 0;
        if (n > most) {
            most = n;
            *r = x;
        }
    }
    return most;
}
