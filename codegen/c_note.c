/* c_note: lines of the model's source as comments in what is emitted for them:
     h: z = gate(Wz @ x + Uz @ h + bz)
   each where its computing begins. */
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
