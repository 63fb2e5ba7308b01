/* See prog.h: a failing program made small. Lines go, right sides become names bound before, numbers of the run and sizes become 1;
   what the front end refuses, or what passes, is put back. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/prog.h"

typedef struct {
    const char *wrong;
    int left; /* tries */
} Shrink;

static bool still_fails(Shrink *k, const char *text) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Prog p = {.ctx = ctx, .a = &a, .text = text};
    k->left--;
    bool fails = !prog_check_alone(&p) && strcmp(p.wrong, k->wrong) == 0;
    arena_free(&a);
    ctx_destroy(ctx);
    return fails;
}

typedef VEC(const char *) Lines;

static Lines split_lines(Arena *a, const char *text) {
    Lines l = {0};
    while (*text) {
        size_t n = strcspn(text, "\n");
        VEC_PUSH(a, l) = arena_strndup(a, text, n);
        text += n + (text[n] == '\n');
    }
    return l;
}

static char *join_lines(Arena *a, const Lines *l, uint32_t from, uint32_t without) {
    Str s = str_make(a);
    str_put(&s, "");
    for (uint32_t i = 0; i < l->n; i++)
        if (i < from || i >= from + without) str_printf(&s, "%s\n", l->at[i]);
    return s.at;
}

static bool drop_cells(Shrink *k, Arena *a, char **text) {
    bool any = false;
    Lines l = split_lines(a, *text);
    for (uint32_t i = 1; i < l.n && k->left > 0; i++) {
        uint32_t n = 1;
        if (strncmp(l.at[i], "cell ", 5) != 0) continue;
        while (i + n < l.n && l.at[i + n - 1][0] != '}') n++;
        char *t = join_lines(a, &l, i, n);
        if (!still_fails(k, t)) continue;
        *text = t;
        l = split_lines(a, t);
        any = true;
        i--;
    }
    return any;
}

static bool drop_lines(Shrink *k, Arena *a, char **text) {
    bool any = false;
    for (uint32_t n = 16; n; n /= 2) {
        Lines l = split_lines(a, *text);
        for (uint32_t i = 1; i < l.n && k->left > 0;) {
            char *t = join_lines(a, &l, i, n);
            if (strcmp(t, *text) != 0 && still_fails(k, t)) {
                *text = t;
                l = split_lines(a, t);
                any = true;
            } else i++;
        }
    }
    return any;
}

/* The right side of line i becomes `e`. */
static bool put_side(Shrink *k, Arena *a, char **text, uint32_t i, const char *e) {
    Lines l = split_lines(a, *text);
    const char *eq = strstr(l.at[i], " = "), *ret = strstr(l.at[i], "return ");
    size_t keep = eq ? (size_t)(eq - l.at[i]) + 3 : ret ? (size_t)(ret - l.at[i]) + 7 : 0;
    if (!keep || strlen(l.at[i]) <= keep + strlen(e)) return false;
    l.at[i] = arena_printf(a, "%.*s%s", (int)keep, l.at[i], e);
    char *t = join_lines(a, &l, 0, 0);
    if (!still_fails(k, t)) return false;
    *text = t;
    return true;
}

/* Each bracketed part of a right side, and each name bound in the file, instead of the whole. */
static bool simplify_sides(Shrink *k, Arena *a, char **text) {
    bool any = false;
    Lines l = split_lines(a, *text);
    for (uint32_t i = l.n; i-- > 1 && k->left > 0;) {
        const char *line = split_lines(a, *text).at[i];
        bool done = false;
        if (strstr(line, "loss ") || strstr(line, "param ") || strstr(line, "model ") || strstr(line, "cell ")) continue;
        for (uint32_t j = i; j-- > 1 && !done && k->left > 0;) {
            const char *s = l.at[j] + strspn(l.at[j], " ");
            static const char *const words[] = {"input ", "state ", "noise "};
            for (int w = 0; w < 3; w++)
                if (!strncmp(s, words[w], strlen(words[w]))) s += strlen(words[w]);
            size_t n = strcspn(s, " :,=");
            if (n && n < 12 && strcspn(s, "{}[]()") > n) done = put_side(k, a, text, i, arena_strndup(a, s, n));
        }
        for (const char *s = line; *s && !done && k->left > 0; s++) {
            int depth = 0;
            size_t n = 0;
            if (*s != '(') continue;
            do depth += (s[n] == '(') - (s[n] == ')');
            while (s[n++] && depth);
            if (!depth) done = put_side(k, a, text, i, arena_strndup(a, s, n));
        }
        any |= done;
    }
    return any;
}

/* Numbers after '=' in the first line and in the head of the model become 1 (or the seed stays). */
static bool shrink_numbers(Shrink *k, Arena *a, char **text) {
    static const char *const key[] = {" B=", " T=", " S=", " ragged=", " states=", " place=", " threads=", " V=", " one=", " cut=",
                                      "H = ", "K = ", "D = "};
    static const char *const to[] = {"1", "1", "1", "0", "0", "0", "1", "1", "0", "0", "1", "1", "1"};
    bool any = false;
    for (size_t i = 0; i < sizeof key / sizeof *key && k->left > 0; i++) {
        char *at = strstr(*text, key[i]);
        if (!at) continue;
        at += strlen(key[i]);
        for (int half = 0; half < 2; half++) {
            long v = strtol(at, NULL, 10);
            size_t n = strspn(at, "0123456789");
            const char *put = half ? arena_printf(a, "%ld", (v + 1) / 2) : to[i];
            if (n == strlen(put) && !strncmp(at, put, n)) break;
            char *t = arena_printf(a, "%.*s%s%s", (int)(at - *text), *text, put, at + n);
            if (!still_fails(k, t)) continue;
            at = t + (at - *text);
            *text = t;
            any = true;
            break;
        }
    }
    return any;
}

char *prog_shrink(Arena *a, const char *text, const char *wrong, int tries) {
    Shrink k = {wrong, tries};
    char *t = arena_strdup(a, text);
    for (bool any = true; any && k.left > 0;) {
        any = drop_cells(&k, a, &t);
        any |= drop_lines(&k, a, &t);
        any |= shrink_numbers(&k, a, &t);
        any |= simplify_sides(&k, a, &t);
    }
    return t;
}
