/* render: diagnostics as text: place, source line, carets, notes, helps; colored on request. */
#include "base/ctx.h"

#include <string.h>

enum { WINDOW = 160, BEFORE = 60 }; /* of a very long line only this many bytes are shown */

#define BOLD "\x1b[1m"
#define RED "\x1b[1;31m"
#define YELLOW "\x1b[1;33m"
#define GREEN "\x1b[1;32m"
#define CYAN "\x1b[1;36m"
#define BLUE "\x1b[1;34m"
#define PLAIN "\x1b[0m"

typedef struct {
    Str *out;
    bool color;
    int gutter; /* digits of the largest line number shown */
} Render;

static void paint(Render *r, const char *color, const char *text) {
    if (r->color) str_put(r->out, color);
    str_put(r->out, text);
    if (r->color) str_put(r->out, PLAIN);
}

static const char *kind_word(DiagKind k) {
    switch (k) {
    case DIAG_ERROR: return "error";
    case DIAG_WARNING: return "warning";
    case DIAG_NOTE: return "note";
    case DIAG_HELP: return "help";
    }
    return "error";
}

static const char *kind_color(DiagKind k) {
    switch (k) {
    case DIAG_ERROR: return RED;
    case DIAG_WARNING: return YELLOW;
    case DIAG_NOTE: return CYAN;
    case DIAG_HELP: return GREEN;
    }
    return RED;
}

static void pad(Render *r, int n) {
    for (; n > 0; n--) str_putc(r->out, ' ');
}

static bool is_continuation(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

static void put_source(Render *r, const char *t, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)t[i];
        /* Control characters must not reach a terminal. */
        str_putc(r->out, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : t[i]);
    }
}

/* One source line with carets under the bytes lo to hi (from 0, in the line). */
static void put_line(Render *r, const Source *s, uint32_t line, uint32_t lo, uint32_t hi, DiagKind kind) {
    uint32_t n, from = 0;
    const char *t = source_line(s, line, &n);
    if (lo > n) lo = n;
    if (hi > n) hi = n;
    uint32_t to = n;
    if (n > WINDOW) {
        from = lo > BEFORE ? lo - BEFORE : 0;
        while (from && is_continuation(t[from])) from--;
        to = n - from > WINDOW ? from + WINDOW : n;
        while (to < n && is_continuation(t[to])) to++;
        if (hi > to) hi = to;
    }
    char number[16];
    int digits = snprintf(number, sizeof number, "%u", line);
    pad(r, r->gutter - digits);
    paint(r, BLUE, number);
    paint(r, BLUE, " |");
    if (n) str_putc(r->out, ' ');
    if (from) str_put(r->out, "...");
    put_source(r, t + from, to - from);
    if (to < n) str_put(r->out, "...");
    str_putc(r->out, '\n');
    pad(r, r->gutter);
    paint(r, BLUE, " |");
    str_putc(r->out, ' ');
    if (from) str_put(r->out, "   ");
    for (uint32_t i = from; i < lo; i++)
        if (!is_continuation(t[i])) str_putc(r->out, t[i] == '\t' ? '\t' : ' ');
    if (r->color) str_put(r->out, kind_color(kind));
    bool any = false;
    for (uint32_t i = lo; i < hi; i++)
        if (!is_continuation(t[i])) {
            str_putc(r->out, '^');
            any = true;
        }
    if (!any) str_putc(r->out, '^'); /* an empty span still has a place */
    if (r->color) str_put(r->out, PLAIN);
    str_putc(r->out, '\n');
}

static uint32_t first_text(const Source *s, uint32_t line) {
    uint32_t n, i = 0;
    const char *t = source_line(s, line, &n);
    while (i < n && (t[i] == ' ' || t[i] == '\t')) i++;
    return i;
}

static void put_snippet(Render *r, const Source *s, Span at, DiagKind kind) {
    uint32_t l0, c0, l1, c1;
    uint32_t hi = at.hi > s->base + s->size ? s->base + s->size : at.hi < at.lo ? at.lo : at.hi;
    source_place(s, at.lo, &l0, &c0);
    source_place(s, hi, &l1, &c1);
    if (c1 == 1 && l1 > l0) { /* ends with the line before */
        uint32_t n;
        l1--;
        source_line(s, l1, &n);
        c1 = n + 1;
    }
    pad(r, r->gutter);
    paint(r, BLUE, "--> ");
    str_printf(r->out, "%s:%u:%u\n", s->path, l0, c0);
    pad(r, r->gutter);
    paint(r, BLUE, " |\n");
    put_line(r, s, l0, c0 - 1, l0 == l1 ? c1 - 1 : UINT32_MAX, kind);
    if (l0 == l1) return;
    if (l1 > l0 + 1) paint(r, BLUE, "...\n");
    put_line(r, s, l1, first_text(s, l1), c1 - 1, kind);
}

/* The width of the line numbers of the error at i and of its notes, so that they stand under one another. */
static int gutter_width(const Ctx *ctx, uint32_t i) {
    uint32_t most = 1;
    for (uint32_t k = i; k < ctx->diags.n; k++) {
        const Diag *d = &ctx->diags.at[k];
        if (k > i && d->kind != DIAG_NOTE && d->kind != DIAG_HELP) break;
        const Source *s = source_of(ctx, d->span.lo);
        if (!s) continue;
        uint32_t line, column;
        source_place(s, d->span.hi > d->span.lo ? d->span.hi : d->span.lo, &line, &column);
        if (line > most) most = line;
    }
    int w = 1;
    for (; most >= 10; most /= 10) w++;
    return w;
}

/* main: the error or warning that d belongs to; a help for the same place does not show it twice. */
static void put_diag(Render *r, const Ctx *ctx, const Diag *d, const Diag *main) {
    const Source *s = source_of(ctx, d->span.lo);
    bool sub = d->kind == DIAG_NOTE || d->kind == DIAG_HELP;
    if (sub && main && main->span.lo == d->span.lo && main->span.hi == d->span.hi) s = NULL;
    if (sub && !s) {
        pad(r, r->gutter);
        paint(r, BLUE, " = ");
    }
    if (r->color) str_put(r->out, sub && !s ? BOLD : kind_color(d->kind));
    str_put(r->out, kind_word(d->kind));
    if (d->code) str_printf(r->out, "[E%04u]", d->code);
    if (r->color) str_put(r->out, PLAIN);
    if (r->color && !sub) str_put(r->out, BOLD);
    str_put(r->out, ": ");
    str_put(r->out, d->text);
    if (r->color && !sub) str_put(r->out, PLAIN);
    str_putc(r->out, '\n');
    if (s) put_snippet(r, s, d->span, d->kind);
}

/* Where each error or warning begins, by place; what has no place stays behind what was said before it. */
static uint32_t by_place(Ctx *ctx, uint32_t *head) {
    uint32_t n = 0, place = 0, *key = NEW_N(ctx_arena(ctx), uint32_t, ctx->diags.n + 1);
    for (uint32_t i = 0; i < ctx->diags.n; i++) {
        const Diag *d = &ctx->diags.at[i];
        if (d->kind != DIAG_ERROR && d->kind != DIAG_WARNING) continue;
        if (d->span.lo) place = d->span.lo;
        uint32_t k = n++;
        for (; k > 0 && key[k - 1] > place; k--) {
            key[k] = key[k - 1];
            head[k] = head[k - 1];
        }
        key[k] = place;
        head[k] = i;
    }
    return n;
}

void diag_render(Ctx *ctx, Str *out, bool color) {
    Render r = {out, color, 1};
    uint32_t *head = NEW_N(ctx_arena(ctx), uint32_t, ctx->diags.n + 1), n = by_place(ctx, head);
    for (uint32_t k = 0; k < n; k++) {
        const Diag *main = &ctx->diags.at[head[k]], *end = ctx->diags.at + ctx->diags.n;
        if (k) str_putc(out, '\n');
        r.gutter = gutter_width(ctx, head[k]);
        put_diag(&r, ctx, main, main);
        for (const Diag *d = main + 1; d < end && d->kind != DIAG_ERROR && d->kind != DIAG_WARNING; d++) put_diag(&r, ctx, d, main);
    }
    if (ctx->nerror > DIAG_KEEP) str_printf(out, "\n%u more errors not shown\n", ctx->nerror - DIAG_KEEP);
    if (ctx->nwarning > DIAG_KEEP) str_printf(out, "\n%u more warnings not shown\n", ctx->nwarning - DIAG_KEEP);
}
