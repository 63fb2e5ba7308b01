/* The lexer of the textual form: words, "strings", numbers, %refs, #indices, -> and single characters. Comments: // */
#include "ir/irlex.h"

#include <ctype.h>
#include <string.h>

#define MAX_REF (1u << 24)

Span lex_span(const Lex *l) { return (Span){l->src->base + l->lo, l->src->base + l->at}; }

void lex_fail(Lex *l, uint16_t code, const char *fmt, ...) {
    va_list ap;
    Str s = str_make(l->arena);

    if (l->failed) return;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    diag_error(l->ctx, code, lex_span(l), "%s", s.at);
    l->failed = true;
    l->kind = TOK_END;
}

static bool word_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

static void lex_string(Lex *l) {
    const char *p = l->src->text + l->at + 1;
    Str s = str_make(l->arena);

    str_put(&s, "");
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            str_putc(&s, *p == 'n' ? '\n' : *p);
        } else {
            str_putc(&s, *p);
        }
    }
    l->kind = TOK_STRING;
    l->text = s.at ? s.at : "";
    l->at = (uint32_t)(p - l->src->text) + (*p == '"');
    if (*p != '"') lex_fail(l, 720, "a string does not end");
}

static void lex_number(Lex *l) {
    const char *p = l->src->text + l->at;
    char *end = NULL;

    l->kind = TOK_NUMBER;
    l->number = parse_double(p, &end);
    if (end == p) {
        l->at++;
        lex_fail(l, 720, "expected a number");
        return;
    }
    l->integer = true;
    for (; p < end; p++) l->integer &= isdigit((unsigned char)*p) != 0;
    l->at = (uint32_t)(end - l->src->text);
}

void lex_next(Lex *l) {
    const char *t = l->src->text, *p;

    if (l->failed) return;
    for (;;) {
        while (isspace((unsigned char)t[l->at])) l->at++;
        if (t[l->at] != '/' || t[l->at + 1] != '/') break;
        while (t[l->at] && t[l->at] != '\n') l->at++;
    }
    l->lo = l->at;
    p = t + l->at;
    if (!*p) {
        l->kind = TOK_END;
    } else if (isalpha((unsigned char)*p) || *p == '_') {
        while (word_char(*p)) p++;
        l->kind = TOK_WORD;
        l->text = arena_strndup(l->arena, t + l->lo, (size_t)(p - t) - l->lo);
        l->at = (uint32_t)(p - t);
    } else if (*p == '"') {
        lex_string(l);
    } else if (isdigit((unsigned char)*p)) {
        lex_number(l);
    } else if ((*p == '%' || *p == '#') && isdigit((unsigned char)p[1])) {
        l->at++;
        lex_number(l);
        l->kind = *p == '%' ? TOK_REF : TOK_INDEX;
        if (!l->failed && (!l->integer || l->number >= MAX_REF)) lex_fail(l, 720, "the number is too large");
    } else if (*p == '-' && p[1] == '>') {
        l->kind = TOK_ARROW;
        l->at += 2;
    } else {
        l->kind = TOK_PUNCT;
        l->punct = *p;
        l->at++;
    }
}

bool lex_is(const Lex *l, const char *word) {
    if (l->kind == TOK_WORD) return !strcmp(l->text, word);
    return l->kind == TOK_PUNCT && l->punct == word[0] && !word[1];
}

bool lex_accept(Lex *l, const char *word) {
    if (!lex_is(l, word)) return false;
    lex_next(l);
    return true;
}

void lex_expect(Lex *l, const char *word) {
    if (!lex_accept(l, word)) lex_fail(l, 720, "expected '%s'", word);
}

int64_t lex_int(Lex *l, int64_t lo, int64_t hi) {
    bool minus = lex_accept(l, "-");
    double v = l->kind == TOK_NUMBER ? minus ? -l->number : l->number : 0;

    if (l->kind != TOK_NUMBER || !l->integer || v < (double)lo || v > (double)hi || v > 9e18) {
        lex_fail(l, 720, "expected an integer from %lld to %lld", (long long)lo, (long long)hi);
        return 0;
    }
    lex_next(l);
    return (int64_t)v;
}

double lex_double(Lex *l) {
    bool minus = lex_accept(l, "-");
    double v;

    if (l->kind == TOK_WORD && (!strcmp(l->text, "inf") || !strcmp(l->text, "nan")))
        v = parse_double(l->text, NULL);
    else if (l->kind == TOK_NUMBER)
        v = l->number;
    else {
        lex_fail(l, 720, "expected a number");
        return 0;
    }
    lex_next(l);
    return minus ? -v : v;
}

uint32_t lex_ref(Lex *l) {
    uint32_t r = l->kind == TOK_REF ? (uint32_t)l->number : 0;

    if (!r)
        lex_fail(l, 720, "expected a value (%%1, %%2, ..)");
    else
        lex_next(l);
    return r;
}

Name lex_name(Lex *l) {
    Name n;

    if (l->kind != TOK_WORD && l->kind != TOK_STRING) {
        lex_fail(l, 720, "expected a name");
        return 0;
    }
    n = intern(l->ctx, l->text);
    lex_next(l);
    return n;
}

int lex_one_of(Lex *l, const char *const *word, int n) {
    for (int i = 0; i < n; i++)
        if (lex_accept(l, word[i])) return i;
    lex_fail(l, 720, "unexpected%s%s", l->kind == TOK_WORD ? " word " : " character", l->kind == TOK_WORD ? l->text : "");
    return 0;
}
