/* vocabulary: tokens and their ids. */
#include <stdlib.h>
#include <string.h>

#include "runtime/text.h"

typedef struct {
    const char *text;
    uint32_t size, first; /* first: order of appearance */
    int64_t count;
} Counted;
struct Counter {
    Arena *a;
    TextOptions o;
    VEC(Counted) token;
    uint32_t *slot, nslot;
};

static uint32_t hash(const char *p, size_t n) { return (uint32_t)hash_bytes(UINT64_C(0x9e3779b97f4a7c15), p, n); }

bool text_options(Model *m, Unit unit, TextOptions *o) {
    static const char *const names[] = {"bytes", "characters", "words"};
    const Setting *s = data_setting(m, "unit"), *unknown = data_setting(m, "unknown");
    int found = (int)unit;
    for (int k = 0; s && k < 3; k++)
        if (strcmp(name_str(m->ctx, s->name), names[k]) == 0) found = k;
    *o = (TextOptions){(Unit)found, data_bool(m, "lower_case"), data_bool(m, "padding"),
                       unknown ? unknown->number != 0 : found == UNIT_WORDS, data_setting(m, "teacher") != NULL};
    if (o->unit != UNIT_BYTES || !reserved_ids(o)) return true;
    diag_error(m->ctx, 552, m->desc->data.span,
               "data: bytes are their own ids, 0 to 255: there is none for padding, the unknown or a text's end");
    return false;
}

uint32_t reserved_ids(const TextOptions *o) { return (uint32_t)o->padding + (uint32_t)o->unknown + (uint32_t)o->end; }

/* ---- counting ----------------------------------------------------------------------------------------------------------- */

Counter *counter_make(Arena *a, const TextOptions *o) {
    Counter *c = NEW(a, Counter);
    *c = (Counter){.a = a, .o = *o, .nslot = 1024};
    c->slot = NEW_N(a, uint32_t, c->nslot);
    return c;
}

uint32_t counter_size(const Counter *c) { return c->token.n; }

static void counter_grow(Counter *c) {
    c->nslot *= 2;
    c->slot = NEW_N(c->a, uint32_t, c->nslot);
    for (uint32_t i = 0; i < c->token.n; i++) {
        uint32_t k = hash(c->token.at[i].text, c->token.at[i].size) & (c->nslot - 1);
        while (c->slot[k]) k = (k + 1) & (c->nslot - 1);
        c->slot[k] = i + 1;
    }
}

void counter_add(Counter *c, const char *token, size_t size) {
    char lower[TOKEN_MAX + 1];
    if (c->o.lower) {
        size = token_lower(c->o.unit, token, size, lower);
        token = lower;
    }
    if (c->token.n * 2 >= c->nslot) counter_grow(c);
    uint32_t k = hash(token, size) & (c->nslot - 1);
    for (; c->slot[k]; k = (k + 1) & (c->nslot - 1)) {
        Counted *x = &c->token.at[c->slot[k] - 1];
        if (x->size != size || memcmp(x->text, token, size) != 0) continue;
        x->count++;
        return;
    }
    uint32_t number = c->token.n;
    Counted new = {arena_strndup(c->a, token, size), (uint32_t)size, number, 1};
    VEC_PUSH(c->a, c->token) = new;
    c->slot[k] = number + 1;
}

static int more_frequent(const void *a, const void *b) {
    const Counted *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int by_text(const void *a, const void *b) {
    const Counted *x = a, *y = b;
    int d = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
    return d ? d : (int)x->size - (int)y->size;
}

/* ---- ids ---------------------------------------------------------------------------------------------------------------- */

static Vocabulary *empty(Arena *a, const TextOptions *o, uint32_t most) {
    Vocabulary *v = NEW(a, Vocabulary);
    *v = (Vocabulary){.unit = o->unit, .lower = o->lower, .padding = -1, .unknown = -1, .end = -1};
    v->token = NEW_N(a, const char *, most + 4);
    for (v->nslot = 64; v->nslot < 4 * most;) v->nslot *= 2;
    v->slot = NEW_N(a, uint32_t, v->nslot);
    if (o->padding) v->padding = v->n++;
    if (o->unknown) v->unknown = v->n++;
    if (o->end) v->end = v->n++;
    return v;
}

/* False: it is there already. */
static bool enter(Vocabulary *v, const char *text) {
    uint32_t k = hash(text, strlen(text)) & (v->nslot - 1);
    for (; v->slot[k]; k = (k + 1) & (v->nslot - 1))
        if (strcmp(v->token[v->slot[k] - 1], text) == 0) return false;
    v->token[v->n++] = text;
    v->slot[k] = (uint32_t)v->n;
    return true;
}

Vocabulary *vocabulary_make(Arena *a, const TextOptions *o, const Counter *c, int32_t size) {
    uint32_t reserved = reserved_ids(o), n = c->token.n;
    Counted *all = NEW_N(a, Counted, n + 1);
    if (n) memcpy(all, c->token.at, n * sizeof *all);
    qsort(all, n, sizeof *all, more_frequent);
    if (n + reserved > (uint32_t)size) n = (uint32_t)size > reserved ? (uint32_t)size - reserved : 0;
    if (o->unit == UNIT_CHARACTERS) qsort(all, n, sizeof *all, by_text);
    Vocabulary *v = empty(a, o, n);
    for (uint32_t i = 0; i < n; i++) enter(v, arena_strdup(a, all[i].text)); /* the counter may live shorter */
    return v;
}

Vocabulary *vocabulary_bytes(Arena *a, const TextOptions *o) {
    Vocabulary *v = empty(a, o, 0);
    v->n = 256;
    return v;
}

static int32_t find(const Vocabulary *v, const char *token, size_t size) {
    if (v->unit == UNIT_BYTES) return (unsigned char)*token;
    for (uint32_t k = hash(token, size) & (v->nslot - 1); v->slot[k]; k = (k + 1) & (v->nslot - 1)) {
        const char *t = v->token[v->slot[k] - 1];
        if (strncmp(t, token, size) == 0 && !t[size]) return (int32_t)v->slot[k] - 1;
    }
    return v->unknown;
}

int32_t vocabulary_id(const Vocabulary *v, const char *token, size_t size) {
    char lower[TOKEN_MAX + 1];
    if (!v->lower) return find(v, token, size);
    return find(v, lower, token_lower(v->unit, token, size, lower));
}

/* ---- as text ------------------------------------------------------------------------------------------------------------ */

const char *escape_token(Arena *a, const char *token, size_t size) {
    Str s = str_make(a);
    str_put(&s, "");
    for (size_t i = 0; i < size;) {
        int n = utf8_size(token + i, size - i);
        unsigned char c = (unsigned char)token[i];
        if (n == 0 || c <= ' ' || c == '%' || c == 0x7f) {
            str_printf(&s, "%%%02X", c);
            i++;
        } else {
            str_putn(&s, token + i, (size_t)n);
            i += (size_t)n;
        }
    }
    return s.at ? s.at : "";
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

const char *unescape_token(Arena *a, const char *p, size_t n) {
    Str s = str_make(a);
    str_put(&s, "");
    for (size_t i = 0; i < n; i++) {
        int hi = p[i] == '%' && i + 2 < n ? hex(p[i + 1]) : -1, lo = hi >= 0 ? hex(p[i + 2]) : -1;
        if (p[i] == '%' && lo < 0) return NULL;
        str_putc(&s, lo < 0 ? p[i] : (char)(hi << 4 | lo));
        if (lo >= 0) i += 2;
    }
    return s.at;
}

static const char *const unit_letter = "bcw";

/* "w lower padding unknown end : the of and" */
const char *vocabulary_text(Arena *a, const Vocabulary *v) {
    Str s = str_make(a);
    str_printf(&s, "%c%s%s%s%s :", unit_letter[v->unit], v->lower ? " lower" : "", v->padding >= 0 ? " padding" : "",
               v->unknown >= 0 ? " unknown" : "", v->end >= 0 ? " end" : "");
    for (int32_t i = 0; v->unit != UNIT_BYTES && i < v->n; i++)
        if (v->token[i]) str_printf(&s, " %s", escape_token(a, v->token[i], strlen(v->token[i])));
    return s.at;
}

static size_t word(const char **p) {
    *p += strspn(*p, " ");
    return strcspn(*p, " ");
}

Vocabulary *vocabulary_parse(Arena *a, const char *p) {
    TextOptions o = {0};
    size_t n = word(&p);
    const char *unit = n == 1 ? strchr(unit_letter, *p) : NULL;
    if (!unit) return NULL;
    o.unit = (Unit)(unit - unit_letter);
    for (p += n; (n = word(&p)) && !(n == 1 && *p == ':'); p += n) {
        if (n == 5 && !strncmp(p, "lower", n))
            o.lower = true;
        else if (n == 7 && !strncmp(p, "padding", n))
            o.padding = true;
        else if (n == 7 && !strncmp(p, "unknown", n))
            o.unknown = true;
        else if (n == 3 && !strncmp(p, "end", n))
            o.end = true;
        else
            return NULL;
    }
    if (n != 1) return NULL;
    p++;
    if (o.unit == UNIT_BYTES) return vocabulary_bytes(a, &o);
    uint32_t most = 0;
    for (const char *q = p; (n = word(&q)); q += n) most++;
    Vocabulary *v = empty(a, &o, most);
    for (; (n = word(&p)); p += n) {
        const char *t = unescape_token(a, p, n);
        if (!t || !*t || strlen(t) > TOKEN_MAX || !enter(v, t)) return NULL;
    }
    return v;
}
