/* emit_decode: a model with the data key `teacher` on its own writing, in C: what is read is computed once, then each step writes the
   likeliest token, which the next one is told, as decode.c does it with a beam of one. */
#include <string.h>

#include "runtime/emit_c.h"
#include "runtime/records.h"

typedef struct {
    CModel *c;
    const CPort *source;
    Name teacher;
    int32_t *read;            /* areas of the step's program: what it reads of the first part */
    int32_t *state, *next, z; /* states, the next ones, the scores */
    int32_t size;             /* V */
} CDecode;

static const CPort *find(const CModel *c, const CPorts *x, Name name) {
    for (uint32_t k = 0; k < x->n; k++)
        if (strcmp(x->at[k].name, name_str(c->ctx, name)) == 0) return &x->at[k];
    return NULL;
}

static bool is(const CModel *c, Name name, const char *what, uint32_t k) { return !strcmp(name_str(c->ctx, name), arena_printf(c->a, "%s_%u", what, k)); }

/* Arrays that both programs see, as areas of the second one. */
static void add_areas(CDecode *d) {
    CModel *c = d->c;
    CProgram *p = &c->write;
    const Module *m = p->m;
    d->read = NEW_N(c->a, int32_t, m->input.n + 1);
    d->state = NEW_N(c->a, int32_t, m->state.n + 1);
    d->next = NEW_N(c->a, int32_t, m->state.n + 1);
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *x = &m->input.at[i];
        int64_t n = 1;
        d->read[i] = NO_AREA;
        if (x->kind != INPUT_DATA || strncmp(name_str(c->ctx, x->name), "read_", 5)) continue;
        for (int k = 0; k < x->rank; k++) n *= x->dim[k];
        d->read[i] = cprogram_area(c, p, name_str(c->ctx, x->name), x->dtype == DT_F ? LE_F : LE_I32, x->axes, n, false);
    }
    for (uint32_t k = 0; k < m->state.n; k++) {
        const State *x = &m->state.at[k];
        int64_t n = 1;
        if (!x->input) continue;
        for (int q = 0; q < x->rank; q++) n *= x->dim[q];
        for (int next = 0; next < 2; next++)
            (next ? d->next : d->state)[k] = cprogram_area(c, p, arena_printf(c->a, next ? "next %s" : "%s", name_str(c->ctx, x->name)),
                                                           x->dtype == DT_F ? LE_F : LE_I32, x->axes, n, false);
    }
    d->z = cprogram_area(c, p, "scores", LE_F, AX(AXIS_B), d->size, false);
}

static const char *names(const CDecode *d, bool types) {
    const CProgram *p = &d->c->write;
    Str s = str_make(d->c->a);
    const char *all = c_size_params(d->c, p, false);
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        if (p->m->axis[k].kind != AXIS_TIME) continue;
        size_t n = strcspn(all, ",");
        if (AX(k) == (d->source->axes & ~AX(AXIS_B))) str_printf(&s, "%s%.*s", types ? "int " : "", (int)n, all);
        all += n + 2;
    }
    return s.n ? s.at : "";
}

/* The sizes of both programs: one step of one text is written. */
static const char *sizes(const CDecode *d) {
    const CProgram *p = &d->c->write;
    Str s = str_make(d->c->a);
    for (uint32_t k = 1; k < p->m->naxis; k++)
        if (p->m->axis[k].kind == AXIS_TIME) str_printf(&s, "%s, ", AX(k) == (d->source->axes & ~AX(AXIS_B)) ? names(d, false) : "1");
    str_put(&s, "1");
    return s.at;
}

static void put_room(const CDecode *d) {
    CModel *c = d->c;
    uint32_t n = c->begin.area.n > c->write.area.n ? c->begin.area.n : c->write.area.n;
    c_function(c, "Bytes that decode needs as `work`.", arena_printf(c->a, "size_t %s_decode_workspace(%s)", c->id, names(d, true)));
    str_printf(&c->c, "    ptrdiff_t dim[%d];\n    size_t at[%u], total;\n    %s_write_dims(dim, %s);\n    total = %s_write_layout(dim, at);\n"
                      "    %s_begin_dims(dim, %s);\n    return total + %s_begin_layout(dim, at) + 64;\n}\n",
               LDIM_COUNT, n + 1, c->id, sizes(d), c->id, c->id, sizes(d), c->id);
    str_printf(&c->h, "\n/* The same for constant sizes. */\n#define %s_DECODE_WORK(%s) (%s_BEGIN_WORK(%s) + %s_WRITE_WORK(%s))\n", c->upper, names(d, false),
               c->upper, sizes(d), c->upper, sizes(d));
    emit_room(c, &c->begin, "begin");
    emit_room(c, &c->write, "write");
}

/* The next token, of those that a text may have: all that the vocabulary has a text for, and the end. */
static void put_choice(const CDecode *d) {
    CModel *c = d->c;
    const Vocabulary *v = c->m->fitted ? c->m->fitted->vocabulary : NULL;
    int32_t V = d->size, n = v && v->n < V ? v->n : V;
    Str holes = str_make(c->a);
    for (int32_t i = 0; v && i < n && v->unit != UNIT_BYTES; i++)
        if (i != v->end && !v->token[i]) str_printf(&holes, " && k != %d", i);
    str_printf(&c->c, "        best = -1;\n        for (k = 0; k < %d; k++)\n            if ((best < 0 || z[k] > z[best])%s) best = k;\n", n, holes.n ? holes.at : "");
}

static CBinding bind_begin(const CDecode *d) {
    CModel *c = d->c;
    const CProgram *p = &c->begin, *q = &c->write;
    CBinding b = cbinding_make(c, p);
    const Graph *g = p->m->graph.at[0];
    b.theta = "weights->theta";
    for (uint32_t i = 0; i < p->m->input.n; i++)
        if (!strcmp(name_str(c->ctx, p->m->input.at[i].name), d->source->name)) b.in[i] = d->source->id;
    for (uint32_t r = 0; r < g->root.n; r++) {
        for (uint32_t i = 0; i < q->m->input.n; i++)
            if (d->read[i] != NO_AREA && g->root.at[r].name == q->m->input.at[i].name) b.out[r] = name_str(c->ctx, q->m->input.at[i].name);
        for (uint32_t k = 0; k < q->m->state.n; k++)
            if (is(c, g->root.at[r].name, "start", k)) b.out[r] = arena_printf(c->a, "state_%u", k);
    }
    return b;
}

static CBinding bind_write(const CDecode *d) {
    CModel *c = d->c;
    const CProgram *p = &c->write;
    CBinding b = cbinding_make(c, p);
    const Graph *g = p->m->graph.at[0];
    b.theta = "weights->theta";
    for (uint32_t i = 0; i < p->m->input.n; i++) {
        const Input *x = &p->m->input.at[i];
        if (x->kind == INPUT_DATA) b.in[i] = x->name == d->teacher ? "&before" : name_str(c->ctx, x->name);
    }
    for (uint32_t k = 0; k < p->m->state.n; k++)
        if (p->m->state.at[k].input) b.in[p->m->state.at[k].input - 1] = arena_printf(c->a, "state_%u", k);
    for (uint32_t r = 0; r < g->root.n; r++)
        b.out[r] = g->root.at[r].kind == ROOT_OUTPUT ? "z" : arena_printf(c->a, "next_%u", g->root.at[r].index);
    return b;
}

static const char *type_of(const CDecode *d, int32_t area) { return d->c->write.area.at[area].elem == LE_F ? d->c->real : "int32_t"; }

/* Names for the areas that both programs see. */
static void put_names(const CDecode *d, bool set) {
    CModel *c = d->c;
    const CProgram *p = &c->write;
    for (uint32_t i = 0; i < p->m->input.n; i++) {
        if (d->read[i] == NO_AREA) continue;
        if (set) str_printf(&c->c, "    %s = %s;\n", name_str(c->ctx, p->m->input.at[i].name), cprogram_at(c, p, d->read[i]));
        else str_printf(&c->c, "    %s *%s;\n", type_of(d, d->read[i]), name_str(c->ctx, p->m->input.at[i].name));
    }
    for (uint32_t k = 0; k < p->m->state.n; k++) {
        if (!p->m->state.at[k].input) continue;
        if (!set) str_printf(&c->c, "    %s *state_%u, *next_%u; /* %s */\n", type_of(d, d->state[k]), k, k, name_str(c->ctx, p->m->state.at[k].name));
        else str_printf(&c->c, "    state_%u = %s;\n    next_%u = %s;\n", k, cprogram_at(c, p, d->state[k]), k, cprogram_at(c, p, d->next[k]));
    }
    if (set) str_printf(&c->c, "    z = %s;\n", cprogram_at(c, p, d->z));
    else str_printf(&c->c, "    %s *z;\n", c->real);
}

static void put_decode(const CDecode *d) {
    CModel *c = d->c;
    uint32_t areas = c->begin.area.n > c->write.area.n ? c->begin.area.n : c->write.area.n;
    c_function(c,
               arena_printf(c->a, "The model on its own writing, as `rondo generate` has it: the likeliest token of a step is what %s is told at the next one, until it "
                                  "is `end` or there are `most`. tokens [most]; returns how many there are, without the end. work: %s_decode_workspace bytes, of any alignment.%s",
                            name_str(c->ctx, d->teacher), c->id, has_constants(c) ? " weights: NULL for those of this file." : " -1: weights is NULL."),
               arena_printf(c->a, "int %s_decode(const %s_weights *weights, const int32_t *%s, %s, int32_t end, int most, int32_t *tokens, void *work)", c->id, c->id,
                            d->source->id, names(d, true)));
    str_printf(&c->c, "    ptrdiff_t dim[%d];\n    size_t at[%u], total;\n    unsigned char *w = (unsigned char *)work;\n    int32_t before = end, k, best;\n    int n;\n",
               LDIM_COUNT, areas + 1);
    put_names(d, false);
    str_printf(&c->c, "    w += (64 - (uintptr_t)w %% 64) %% 64;\n    %s_write_dims(dim, %s);\n    total = %s_write_layout(dim, at);\n", c->id, sizes(d), c->id);
    put_names(d, true);
    emit_given_weights(c, "-1");
    str_printf(&c->c, "    (void)%s;\n    w += total;\n    (void)%s_begin_layout(dim, at);\n", d->source->id, c->id);
    CBinding begin = bind_begin(d), write = bind_write(d);
    cprogram_call(c, &c->begin, &begin);
    str_printf(&c->c, "    w -= total;\n    (void)%s_write_layout(dim, at);\n    for (n = 0; n < most; n++) {\n", c->id);
    cprogram_call(c, &c->write, &write);
    for (uint32_t q = 0; q < c->write.m->state.n; q++) {
        const CArea *x = c->write.m->state.at[q].input ? &c->write.area.at[d->next[q]] : NULL;
        if (x) str_printf(&c->c, "        %s_copy(state_%u, next_%u, %lld);\n", c->id, q, q, (long long)x->extent.at[0].term[0].coef);
    }
    put_choice(d);
    str_put(&c->c, "        if (best == end) break;\n        tokens[n] = before = best;\n    }\n    return n;\n}\n");
}

bool emit_decode(CModel *c) {
    DecodePorts x;
    Module *early, *late;
    c->decodes = false;
    c->begin.p = c->write.p = NULL;
    if (!data_setting(c->m, "teacher") || decode_unsuited(c->m, &x)) return true;
    CDecode d = {.c = c, .source = find(c, &c->infer.in, x.source), .teacher = x.teacher, .size = x.size};
    const CPort *teacher = find(c, &c->infer.in, x.teacher);
    uint32_t along = teacher ? teacher->axes & ~AX(AXIS_B) : 0;
    if (!d.source || !along || along == (d.source->axes & ~AX(AXIS_B))) return true;
    if (!emit_split(c, x.teacher, x.scores, along, &early, &late)) return !diag_error_count(c->ctx);
    if (!cprogram_make(c, &c->begin, "begin", early, C_FORWARD) || !cprogram_pack(c, &c->begin)) return false;
    if (!cprogram_make(c, &c->write, "write", late, C_FORWARD) || !cprogram_pack(c, &c->write)) return false;
    add_areas(&d);
    emit_note_theta(c, &c->begin);
    emit_note_theta(c, &c->write);
    cprogram_put(c, &c->begin);
    cprogram_put(c, &c->write);
    cprogram_put_sizes(c, &c->begin);
    cprogram_put_sizes(c, &c->write);
    put_room(&d);
    put_decode(&d);
    c->decodes = true;
    return true;
}
