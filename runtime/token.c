/* token: bytes, UTF-8 characters and words; lower case. */
#include <string.h>

#include "runtime/text.h"

static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int utf8_size(const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s;
    int size = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    if (!size || (size_t)size > n) return 0;
    for (int k = 1; k < size; k++)
        if ((p[k] & 0xc0) != 0x80) return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0;  /* overlong */
    if (p[0] == 0xed && p[1] >= 0xa0) return 0; /* surrogates */
    if (p[0] == 0xf0 && p[1] < 0x90) return 0;
    if (p[0] == 0xf4 && p[1] >= 0x90) return 0; /* past U+10FFFF */
    return size;
}

const char *token_next(Unit unit, const char **at, const char *end, size_t *size) {
    const char *p = *at;
    *size = 0;
    if (unit == UNIT_WORDS)
        while (p < end && blank(*p)) p++;
    *at = p;
    if (p >= end) return NULL;
    if (unit == UNIT_BYTES)
        *size = 1;
    else if (unit == UNIT_CHARACTERS)
        *size = (size_t)utf8_size(p, (size_t)(end - p));
    else
        while (p + *size < end && !blank(p[*size])) ++*size;
    *at = p + *size;
    return p;
}

/* Lower case of a code point: Latin, Greek, Cyrillic letters; others have none or stay as they are. */
static uint32_t lower_point(uint32_t c) {
    if (c >= 'A' && c <= 'Z') return c + 32;
    if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
    if ((c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14a && c <= 0x177)) return c | 1;
    if (c >= 0x139 && c <= 0x148) return c + (c & 1);
    if (c == 0x178) return 0xff;
    if (c >= 0x179 && c <= 0x17e) return c + (c & 1);
    if (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) return c + 32;
    if (c >= 0x400 && c <= 0x40f) return c + 80;
    if (c >= 0x410 && c <= 0x42f) return c + 32;
    return c;
}

static size_t lower_two(const char *p, char *out) {
    uint32_t c = lower_point(((uint32_t)(unsigned char)p[0] & 0x1f) << 6 | ((uint32_t)(unsigned char)p[1] & 0x3f));
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 0x3f));
    return 2;
}

size_t token_lower(Unit unit, const char *token, size_t size, char *out) {
    for (size_t i = 0; i < size;) {
        int n = unit == UNIT_BYTES ? 1 : utf8_size(token + i, size - i);
        if (n == 2)
            lower_two(token + i, out + i);
        else
            memcpy(out + i, token + i, n ? (size_t)n : 1);
        if (out[i] >= 'A' && out[i] <= 'Z') out[i] = (char)(out[i] + 32);
        i += n ? (size_t)n : 1;
    }
    return size;
}
