/* c_note: lines of the model's source as comments in what is emitted for them:
     h: z = gate(Wz @ x + Uz @ h + bz)
   each where its computing begins; and of functions that are written out in full, what they compute and how:
     sigmoid(v18) */
#include "codegen/c_emit.h"

#include <string.h>

bool c_source_line(const Ctx *ctx, uint32_t span, const char **line, const char **past) {
    const Source *s = span ? source_of(ctx, span) : NULL;
    if (!s) return false;
    const char *text = s->text, *at = text + (span - s->base), *stop = text + s->size;
    if (at >= stop) return false;
    while (at > text && at[-1] != '\n') at--;
    while (at < stop && (*at == ' ' || *at == '\t')) at++;
    const char *end = at;
    while (end < stop && *end != '\n' && *end != '#') end++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\r')) end--;
    *line = at;
    *past = end;
    return end > at;
}

void c_comment_text(Str *out, const char *at, const char *past) {
    for (; at < past; at++)
        if (!(*at == '*' && at + 1 < past && at[1] == '/')) str_putc(out, *at);
}

void c_note(CNotes *n, Str *out, Arena *a, const LProgram *p, const LInst *i, int depth) {
    const char *line, *past, *who = name_str(p->ctx, i->who);
    size_t len = strcspn(who, ".");
    if (!i->span || (i->span == n->span && i->who == n->who) || !c_source_line(p->ctx, i->span, &line, &past)) return;
    n->span = i->span;
    n->who = i->who;
    for (uint32_t k = 0; k < n->said.n; k++) {
        const char *other = name_str(p->ctx, n->said.at[k].who);
        if (n->said.at[k].line == line && strcspn(other, ".") == len && strncmp(other, who, len) == 0) return;
    }
    VEC_PUSH(a, n->said) = (CSaid){line, i->who};
    str_printf(out, "%*s/* %.*s%s", 4 * depth, "", (int)len, who, len ? ": " : "");
    c_comment_text(out, line, past);
    str_put(out, " */\n");
}

/* ---- functions that are written out ----------------------------------------------------------------------------------------- */

/* What ir/vmath.c and ir/vmath_f64.c begin with: the argument between two bounds, and behind that a number that rounds. */
static const struct {
    double most, least;
    bool f64;
    const char *name, *how;
} written[] = {
    {87, -87, false, "sigmoid", "1 / (1 + e^-x), where e^-x = 2^n e^r with n = -x / ln 2, rounded, and r = -x - n ln 2"},
    {708, -708, true, "sigmoid", "1 / (1 + e^-x), where e^-x = 2^n e^2w with n = -x / ln 2, rounded, and w = (-x - n ln 2) / 2"},
    {9.02, -9.02, false, "tanh", "(e^2x - 1) / (e^2x + 1), where e^2x = 2^n e^2w with n = 2x / ln 2, rounded, and w = x - n ln 2 / 2"},
    {20, -20, true, "tanh", "(e^2x - 1) / (e^2x + 1), where e^2x = 2^n e^2w with n = 2x / ln 2, rounded, and w = x - n ln 2 / 2"},
    {89, -104, false, "exp", "2^n e^r with n = x / ln 2, rounded, and r = x - n ln 2; e^r is a polynomial, 2^n in two factors"},
    {710, -746, true, "exp", "2^n e^r with n = x / ln 2, rounded, and r = x - n ln 2; e^r is a polynomial, 2^n in two factors"},
};
enum { WRITTEN = sizeof written / sizeof *written, NEAR = 64 };

static bool is_number(const LFunc *f, uint32_t before, LV v, double *x) {
    for (uint32_t k = before; k-- > 0;) {
        const LInst *i = &f->inst.at[k];
        if (i->dst != v) continue;
        memcpy(x, &i->imm, sizeof *x);
        return i->op == LOP_FCONST;
    }
    return false;
}

static bool same(double a, double b, bool f64) { return f64 ? !(a < b || a > b) : !((float)a < (float)b || (float)a > (float)b); }

/* The next instruction of that kind that takes v as its operand `which`; 0: none is near. */
static uint32_t next_of(const LFunc *f, uint32_t from, LOp op, int which, LV v) {
    for (uint32_t k = from + 1; k < f->inst.n && k <= from + NEAR; k++)
        if (f->inst.at[k].op == op && f->inst.at[k].a[which] == v) return k;
    return 0;
}

/* Does a number follow that rounds to integers, behind a factor perhaps? */
static bool is_rounded(const LFunc *f, uint32_t from, LV v) {
    double x;
    uint32_t half = next_of(f, from, LOP_MUL, 0, v), k = next_of(f, from, LOP_FMA, 0, v);
    if (!k && half) k = next_of(f, half, LOP_FMA, 0, f->inst.at[half].dst);
    return k && is_number(f, k, f->inst.at[k].a[2], &x) && x >= 1572864; /* 1.5 * 2^20, in double: where the upper word of a number is looked at; 1.5 * 2^23 in float */
}

const char *c_written(CNotes *n, Arena *a, const LProgram *p, const LFunc *f, uint32_t at, const char *argument) {
    const LInst *i = &f->inst.at[at];
    double most, least;
    if (i->op != LOP_MIN || !is_number(f, at, i->a[0], &most)) return NULL;
    uint32_t k = next_of(f, at, LOP_MAX, 1, i->dst);
    if (!k || !is_number(f, k, f->inst.at[k].a[0], &least) || !is_rounded(f, k, f->inst.at[k].dst)) return NULL;
    for (uint32_t w = 0; w < WRITTEN; w++) {
        if (written[w].f64 != p->f64 || !same(most, written[w].most, p->f64) || !same(least, written[w].least, p->f64)) continue;
        bool first = !(n->written >> w & 1);
        n->written |= 1u << w;
        return arena_printf(a, "/* %s(%s)%s%s */\n", written[w].name, argument, first ? ": " : "", first ? written[w].how : "");
    }
    return NULL;
}
