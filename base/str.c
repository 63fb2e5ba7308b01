/* str: growing text, and numbers as text in the C locale whatever the process's locale is. */
#include "base/ctx.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Switches this thread to the C locale for one library call. */
typedef struct {
    locale_t c, before;
} CLocale;

static CLocale c_locale_enter(void) {
    CLocale l = {newlocale(LC_ALL_MASK, "C", (locale_t)0), (locale_t)0};
    if (l.c) l.before = uselocale(l.c);
    return l;
}

static void c_locale_leave(CLocale l) {
    if (!l.c) return;
    uselocale(l.before);
    freelocale(l.c);
}

Str str_make(Arena *a) { return (Str){.arena = a}; }

static void str_room(Str *s, size_t n) {
    if (s->cap - s->n > n) return; /* one byte stays for the NUL */
    size_t cap = s->cap ? s->cap * 2 : 64;
    while (cap - s->n <= n) {
        if (cap > SIZE_MAX / 4) ctx_out_of_memory(s->arena->ctx);
        cap *= 2;
    }
    s->at = arena_grow(s->arena, s->at, s->cap, cap);
    s->cap = cap;
}

void str_putn(Str *s, const char *text, size_t n) {
    if (n > SIZE_MAX / 4) ctx_out_of_memory(s->arena->ctx);
    str_room(s, n);
    if (n) memcpy(s->at + s->n, text, n);
    s->n += n;
    s->at[s->n] = 0;
}

void str_put(Str *s, const char *text) { str_putn(s, text, strlen(text)); }
void str_putc(Str *s, char c) { str_putn(s, &c, 1); }

void str_vprintf(Str *s, const char *fmt, va_list ap) {
    str_room(s, 80);
    va_list again;
    va_copy(again, ap);
    CLocale l = c_locale_enter();
    int n = vsnprintf(s->at + s->n, s->cap - s->n, fmt, ap);
    c_locale_leave(l);
    if (n >= 0 && (size_t)n >= s->cap - s->n) {
        str_room(s, (size_t)n); /* may unwind: the locale is back already */
        l = c_locale_enter();
        n = vsnprintf(s->at + s->n, s->cap - s->n, fmt, again);
        c_locale_leave(l);
    }
    va_end(again);
    if (n > 0) s->n += (size_t)n;
    s->at[s->n] = 0;
}

void str_printf(Str *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(s, fmt, ap);
    va_end(ap);
}

static bool put_special(Str *s, double v) {
    if (isnan(v)) str_put(s, "nan");
    else if (isinf(v)) str_put(s, v < 0 ? "-inf" : "inf");
    else return false;
    return true;
}

/* %g drops trailing zeros, so the first precision that reads back gives the shortest text for normal numbers; subnormal
   numbers carry fewer digits and are tried from one up. */
void str_double(Str *s, double v) {
    if (put_special(s, v)) return;
    char text[40];
    int p = v != 0 && fabs(v) < 2.2250738585072014e-308 ? 1 : 15;
    CLocale l = c_locale_enter();
    for (; p <= 17; p++) {
        snprintf(text, sizeof text, "%.*g", p, v);
        if (strtod(text, NULL) == v) break;
    }
    c_locale_leave(l);
    str_put(s, text);
}

void str_float(Str *s, float v) {
    if (put_special(s, v)) return;
    char text[40];
    int p = v != 0 && fabsf(v) < 1.17549435e-38f ? 1 : 6;
    CLocale l = c_locale_enter();
    for (; p <= 9; p++) {
        snprintf(text, sizeof text, "%.*g", p, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    c_locale_leave(l);
    str_put(s, text);
}

double parse_double(const char *s, char **end) {
    CLocale l = c_locale_enter();
    double v = strtod(s, end);
    c_locale_leave(l);
    return v;
}
