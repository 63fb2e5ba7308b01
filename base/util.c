/* util: checked arithmetic, hashing, and the nearest name. */
#include "base/base.h"

#include <string.h>

bool checked_mul(int64_t a, int64_t b, int64_t *out) {
    if (a < 0 || b < 0 || (b != 0 && a > INT64_MAX / b)) return false;
    *out = a * b;
    return true;
}

bool checked_add(int64_t a, int64_t b, int64_t *out) {
    if (a < 0 || b < 0 || a > INT64_MAX - b) return false;
    *out = a + b;
    return true;
}

/* The finalizer of MurmurHash3. */
static uint64_t mixed(uint64_t h) {
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

/* FNV-1a with a final mix. Bytes are taken in order, never as words. */
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n) {
    const unsigned char *b = p;
    uint64_t h = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001b3u;
    return mixed(h);
}

static uint64_t fold_word(uint64_t h, const unsigned char *at) {
    uint64_t w;
    memcpy(&w, at, sizeof w);
    h = (h ^ w) * 0x9fb21c651e98df25u;
    return h ^ h >> 32;
}

/* Four chains of multiplications where there is much: one of them waits for itself. */
static uint64_t hash_lanes(uint64_t h, const unsigned char *b, size_t n) {
    uint64_t lane[4] = {h, ~h, h << 1, h >> 1};
    for (; n; n -= sizeof lane, b += sizeof lane)
        for (int k = 0; k < 4; k++) lane[k] = fold_word(lane[k], b + 8 * k);
    for (int k = 0; k < 4; k++) h = fold_word(h, (const unsigned char *)&lane[k]);
    return h;
}

uint64_t hash_words(uint64_t seed, const void *p, size_t n) {
    const unsigned char *b = p;
    uint64_t h = seed ^ n * 0x9e3779b97f4a7c15u, w = 0;
    size_t many = n < 256 ? 0 : n / 32 * 32;
    if (many) h = hash_lanes(h, b, many);
    for (b += many, n -= many; n >= sizeof w; n -= sizeof w, b += sizeof w) h = fold_word(h, b);
    memcpy(&w, b, n);
    return mixed((h ^ w) * 0x9fb21c651e98df25u);
}

enum { NEAR_MAX = 64 }; /* longer names get no suggestion */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* Edits (insert, delete, replace, swap of neighbours) in half units: a change of case alone counts one half. */
static int edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    int row[3][NEAR_MAX + 1];
    for (size_t j = 0; j <= nb; j++) row[0][j] = (int)j * 2;
    for (size_t i = 1; i <= na; i++) {
        int *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];
        now[0] = (int)i * 2;
        for (size_t j = 1; j <= nb; j++) {
            int same = a[i - 1] == b[j - 1] ? 0 : lower(a[i - 1]) == lower(b[j - 1]) ? 1 : 2;
            int d = up[j - 1] + same;
            if (up[j] + 2 < d) d = up[j] + 2;
            if (now[j - 1] + 2 < d) d = now[j - 1] + 2;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 2 < d) d = up2[j - 2] + 2;
            now[j] = d;
        }
    }
    return row[na % 3][nb];
}

const char *nearest_name(const char *want, const char *const *candidate, size_t n) {
    size_t nw = strlen(want);
    if (nw == 0 || nw > NEAR_MAX) return NULL;
    int limit = nw < 3 ? 1 : (int)(nw + 2) / 3 * 2, best = limit + 1;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t nc = candidate[i] ? strlen(candidate[i]) : 0;
        if (nc == 0 || nc > NEAR_MAX) continue;
        int d = edit_distance(want, nw, candidate[i], nc);
        if (d < best) {
            best = d;
            found = candidate[i];
        }
    }
    return found;
}
