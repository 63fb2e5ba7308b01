/* mutate: changes that keep most of a text's grammar: a token for another of its kind, a number beside another one, lines
   doubled, moved or left out. */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <string.h>

uint64_t fuzz_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t n) { return n ? (size_t)(fuzz_next(state) % n) : 0; }

typedef struct {
    uint8_t *at;
    size_t n, cap;
    uint64_t *state;
} Text;

typedef struct {
    size_t lo, hi;
    char kind; /* 'w' word, 'n' number, '%' reference, 'l' line; 0: none */
} Token;

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_letter(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* The first token from `at` on. */
static Token token(const Text *t, size_t at) {
    for (; at < t->n; at++) {
        uint8_t c = t->at[at];
        Token k = {at, at + 1, 0};
        if (is_letter(c)) k.kind = 'w';
        else if (is_digit(c)) k.kind = 'n';
        else if ((c == '%' || c == '#') && at + 1 < t->n && is_digit(t->at[at + 1])) k.kind = '%';
        else continue;
        while (k.hi < t->n && (is_digit(t->at[k.hi]) || (k.kind == 'w' && is_letter(t->at[k.hi])))) k.hi++;
        return k;
    }
    return (Token){0, 0, 0};
}

/* A token somewhere, from its beginning. */
static Token any_token(const Text *t) {
    size_t at = below(t->state, t->n);
    while (at > 0 && (is_letter(t->at[at - 1]) || is_digit(t->at[at - 1]) || t->at[at - 1] == '%')) at--;
    return token(t, at);
}

static Token any_line(const Text *t) {
    size_t at = below(t->state, t->n);
    Token k = {at, at, 'l'};
    while (k.lo > 0 && t->at[k.lo - 1] != '\n') k.lo--;
    while (k.hi < t->n && t->at[k.hi] != '\n') k.hi++;
    if (k.hi < t->n) k.hi++;
    return k;
}

static void splice(Text *t, size_t lo, size_t hi, const uint8_t *p, size_t n) {
    uint8_t copy[256];
    if (n > sizeof copy || t->n - (hi - lo) + n > t->cap) return;
    if (n) memcpy(copy, p, n);
    memmove(t->at + lo + n, t->at + hi, t->n - hi);
    if (n) memcpy(t->at + lo, copy, n);
    t->n = t->n - (hi - lo) + n;
}

static void other_number(Text *t, Token k) {
    static const int64_t odd[] = {0, 1, 2, 3, 4, 31, 32, 2147483647, INT64_C(4294967296)};
    int64_t v = 0;
    size_t mark = k.kind == '%';
    char text[24];
    for (size_t i = k.lo + mark; i < k.hi && v < INT64_C(1) << 40; i++) v = v * 10 + (t->at[i] - '0');
    switch (below(t->state, 4)) {
    case 0: v = odd[below(t->state, sizeof odd / sizeof *odd)]; break;
    case 1: v += 1; break;
    case 2: v -= v > 0; break;
    default: v = (int64_t)below(t->state, 12); break;
    }
    snprintf(text, sizeof text, "%" PRId64, v);
    splice(t, k.lo + mark, k.hi, (const uint8_t *)text, strlen(text));
}

static void change(Text *t) {
    Token k = any_token(t), o;
    uint64_t what = below(t->state, 10);
    if (!k.kind) return;
    if (what < 5) { /* another one of its kind */
        for (int tries = 0; tries < 20; tries++) {
            o = any_token(t);
            if (o.kind != k.kind) continue;
            splice(t, k.lo, k.hi, t->at + o.lo, o.hi - o.lo);
            return;
        }
    } else if (what < 7) {
        if (k.kind != 'w') other_number(t, k);
    } else {
        k = any_line(t);
        o = any_line(t);
        if (what == 7) splice(t, k.lo, k.hi, NULL, 0);
        else splice(t, k.lo, what == 8 ? k.lo : k.hi, t->at + o.lo, o.hi - o.lo);
    }
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t cap, uint64_t *state) {
    Text t = {data, n, cap, state};
    for (size_t k = 1 + below(state, 3); k > 0 && t.n > 0; k--) change(&t);
    return t.n;
}
