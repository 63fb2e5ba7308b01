/* emit_vocabulary: the texts of tokens, where the weights hold a vocabulary (bytes are their own), and the names of classes. */
#include <string.h>

#include "runtime/emit_c.h"
#include "runtime/records.h"

static void put_string(Str *s, const char *text) {
    str_putc(s, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p >= 32 && *p < 127 && !strchr("\"\\?", *p)) str_putc(s, (char)*p);
        else str_printf(s, "\\%03o", *p);
    }
    str_putc(s, '"');
}

/* The function `what` gives the text of a number from 0 on. */
static void put_texts(CModel *c, const char *what, const char *about, const char *const *text, int64_t n) {
    c_function(c, about, arena_printf(c->a, "const char *%s_%s(int32_t id)", c->id, what));
    str_printf(&c->c, "    static const char *const text[%lld] = {", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        str_put(&c->c, i % 8 ? " " : "\n        ");
        if (text[i]) put_string(&c->c, text[i]);
        else str_put(&c->c, "NULL");
        str_putc(&c->c, ',');
    }
    str_printf(&c->c, "\n    };\n    return id >= 0 && id < %lld ? text[id] : NULL;\n}\n", (long long)n);
}

/* Which class a score stands for is learnt from the data: nothing else in the file says it. */
static void put_classes(CModel *c) {
    const Fitted *f = c->m->fitted;
    if (!f || !f->nclass) return;
    str_printf(&c->h, "\n#define %s_CLASSES %u /* of the target */\n", c->upper, f->nclass);
    put_texts(c, "class", "The name of a class, in UTF-8; NULL: there is none.", f->class_name, f->nclass);
}

void emit_vocabulary(CModel *c) {
    put_classes(c);
    const Vocabulary *v = c->m->fitted ? c->m->fitted->vocabulary : NULL;
    if (!v || v->unit == UNIT_BYTES || !v->n) return;
    int32_t unknown = vocabulary_id(v, "", 0); /* what stands for a token that is not there; -1: nothing */
    str_printf(&c->h, "\n#define %s_TOKENS %d /* of the vocabulary */\n", c->upper, v->n);
    if (v->end >= 0) str_printf(&c->h, "#define %s_END %d /* the token that ends a text */\n", c->upper, v->end);
    put_texts(c, "token", "The text of a token, in UTF-8; NULL: it has none.", v->token, v->n);
    c_function(c, arena_printf(c->a, "The token that has this text, of so many bytes; %d where there is none.", unknown),
               arena_printf(c->a, "int32_t %s_token_id(const char *text, size_t bytes)", c->id));
    str_printf(&c->c,
               "    int32_t id;\n    for (id = 0; id < %d; id++) {\n        const char *own = %s_token(id);\n        size_t k = 0;\n"
               "        while (own && k < bytes && own[k] && own[k] == text[k]) k++;\n        if (own && k == bytes && !own[k]) return id;\n    }\n    return %d;\n}\n",
               v->n, c->id, unknown);
}
