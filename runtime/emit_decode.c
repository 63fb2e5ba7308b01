/* emit_decode: a model with the data key `teacher` on its own writing, in C: each step runs it over what has been written so far, and the
   likeliest token comes next, as decode.c does it with a beam of one. */
#include <string.h>

#include "runtime/emit_c.h"
#include "runtime/records.h"

typedef struct {
    CModel *c;
    const CPort *source, *teacher, *scores;
    uint32_t along; /* the axis of what is written */
} CDecode;

static const CPort *find(const CModel *c, const CPorts *x, Name name) {
    for (uint32_t k = 0; k < x->n; k++)
        if (strcmp(x->at[k].name, name_str(c->ctx, name)) == 0) return &x->at[k];
    return NULL;
}

/* The sizes of predict's axes in their order, each with a comma behind it: `written` for that of what is written. */
static const char *sizes(const CDecode *d, const char *written, bool types) {
    const CProgram *p = &d->c->infer;
    const char *names = c_size_params(d->c, p, false);
    Str s = str_make(d->c->a);
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        if (p->m->axis[k].kind != AXIS_TIME) continue;
        size_t n = strcspn(names, ",");
        if (AX(k) == d->along) str_put(&s, written);
        else str_printf(&s, "%s%.*s, ", types ? "int " : "", (int)n, names);
        names += n + 2;
    }
    return s.n ? s.at : "";
}

/* Bytes of an array for `most` steps, in multiples of 8. */
static const char *bytes(const CDecode *d, const CPort *x) {
    return arena_printf(d->c->a, "(%s%lld * sizeof(%s) + 7) / 8 * 8", x->axes & d->along ? "((size_t)(most) + 1) * " : "", (long long)x->n, c_type(d->c, x->dtype));
}

static void put_room(const CDecode *d) {
    CModel *c = d->c;
    c_function(c, "Bytes that decode needs as `work`.", arena_printf(c->a, "size_t %s_decode_workspace(%sint most)", c->id, sizes(d, "", true)));
    str_printf(&c->c, "    size_t total = %s_predict_workspace(%s1) + 64 + %s;\n", c->id, sizes(d, "most + 1, ", false), bytes(d, d->teacher));
    for (uint32_t k = 0; k < c->infer.out.n; k++) str_printf(&c->c, "    total += %s;\n", bytes(d, &c->infer.out.at[k]));
    str_put(&c->c, "    return total;\n}\n");
    str_printf(&c->h, "\n/* The same for constant sizes. */\n#define %s_DECODE_WORK(%smost) (%s_PREDICT_WORK(%s1) + 64 + %s", c->upper, sizes(d, "", false), c->upper,
               sizes(d, "(most) + 1, ", false), bytes(d, d->teacher));
    for (uint32_t k = 0; k < c->infer.out.n; k++) str_printf(&c->h, " + %s", bytes(d, &c->infer.out.at[k]));
    str_put(&c->h, ")\n");
}

/* The next token, of those that a text may have: all that the vocabulary has a text for, and the end. */
static void put_choice(const CDecode *d) {
    CModel *c = d->c;
    const Vocabulary *v = c->m->fitted ? c->m->fitted->vocabulary : NULL;
    int32_t V = (int32_t)d->scores->n, n = v && v->n < V ? v->n : V;
    Str holes = str_make(c->a);
    for (int32_t i = 0; v && i < n && v->unit != UNIT_BYTES; i++)
        if (i != v->end && !v->token[i]) str_printf(&holes, " && k != %d", i);
    str_printf(&c->c, "        best = -1;\n        for (k = 0; k < %d; k++)\n            if ((best < 0 || z[k] > z[best])%s) best = k;\n", n, holes.n ? holes.at : "");
}

/* The number of steps of the other text. */
static const char *only(const CDecode *d) {
    const char *names = sizes(d, "", false);
    return arena_strndup(d->c->a, names, strcspn(names, ","));
}

static void put_decode(const CDecode *d) {
    CModel *c = d->c;
    Str in = str_make(c->a), out = str_make(c->a), lengths = str_make(c->a);
    c_function(c,
               arena_printf(c->a, "The model on its own writing, as `rondo generate` has it: the likeliest token of a step is what %s is told at the next one, until it "
                                  "is `end` or there are `most`. tokens [most]; returns how many there are, without the end. Each step runs the model over all "
                                  "before it. work: %s_decode_workspace bytes.%s",
                            d->teacher->name, c->id, has_constants(c) ? " weights: NULL for those of this file." : ""),
               arena_printf(c->a, "int %s_decode(const %s_weights *weights, const int32_t *%s, %sint32_t end, int most, int32_t *tokens, void *work)", c->id, c->id,
                            d->source->id, sizes(d, "", true)));
    str_put(&c->c, "    unsigned char *w = (unsigned char *)work;\n    int32_t *before, k, best;\n    int n;\n");
    for (uint32_t k = 0; k < c->infer.out.n; k++) str_printf(&c->c, "    %s *out_%u;\n", c_type(c, c->infer.out.at[k].dtype), k);
    str_put(&c->c, "    w += (64 - (uintptr_t)w % 64) % 64;\n");
    for (uint32_t k = 0; k < c->infer.out.n; k++) {
        const CPort *x = &c->infer.out.at[k];
        str_printf(&c->c, "    out_%u = (%s *)(void *)w; /* %s */\n    w += %s;\n", k, c_type(c, x->dtype), x->name, bytes(d, x));
        str_printf(&out, "out_%u, ", k);
    }
    for (uint32_t k = 0; k < c->infer.in.n; k++) {
        const CPort *x = &c->infer.in.at[k];
        if (!x->length) str_printf(&in, "%s, ", x == d->teacher ? "before" : x->id);
        else str_printf(&in, "&%s, ", x->id);
        if (x->length) str_printf(&lengths, "        const int32_t %s = %s;\n", x->id, AX(x->length) == d->along ? "n + 1" : only(d));
    }
    str_printf(&c->c,
               "    before = (int32_t *)(void *)w;\n    w += %s;\n    before[0] = end;\n    for (n = 0; n < most; n++) {\n"
               "        const %s *const z = out_%u + (ptrdiff_t)n * %lld;\n%s        %s_predict(weights, %s%s1, %sw);\n",
               bytes(d, d->teacher), c->real, (unsigned)(d->scores - c->infer.out.at), (long long)d->scores->n, lengths.n ? lengths.at : "", c->id, in.at, sizes(d, "n + 1, ", false), out.at);
    put_choice(d);
    str_put(&c->c, "        if (best == end) break;\n        tokens[n] = before[n + 1] = best;\n    }\n    return n;\n}\n");
}

void emit_decode(CModel *c) {
    DecodePorts x;
    if (!data_setting(c->m, "teacher") || decode_unsuited(c->m, &x)) return;
    CDecode d = {c, find(c, &c->infer.in, x.source), find(c, &c->infer.in, x.teacher), find(c, &c->infer.out, x.scores), 0};
    if (!d.source || !d.teacher || !d.scores) return;
    d.along = d.teacher->axes & ~AX(AXIS_B);
    put_room(&d);
    put_decode(&d);
    c->decodes = true;
}
