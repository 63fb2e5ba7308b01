/* generate: text from a language model, token by token. The model runs as a stream; each token that is drawn is the next input. */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

typedef struct {
    double weight;
    int32_t id;
} Candidate;
typedef struct {
    Model *m;
    const rondo_generate_options *o;
    const Vocabulary *v;
    rondo_stream *stream;
    float *out;   /* all outputs of a step */
    size_t at;    /* where the logits begin */
    int32_t size; /* V */
    Candidate *all;
    uint64_t random;
    bool stopped;
} Generation;

static bool refuse(Generation *g, const char *why, const char *help) {
    diag_error(g->m->ctx, 558, g->m->desc->span, "'%s' cannot generate text: %s", rondo_name(g->m), why);
    if (help) diag_help(g->m->ctx, NOWHERE, "%s", help);
    return false;
}

/* ---- the model ---------------------------------------------------------------------------------------------------------- */

static bool find_logits(Generation *g) {
    const ModelDesc *d = g->m->desc;
    const PortDesc *found = NULL;
    size_t at = 0;
    for (uint32_t i = 0; i < d->output.n; i++) {
        const PortDesc *p = &d->output.at[i];
        size_t n = 1;
        for (int k = 0; k < p->rank; k++) n *= (size_t)p->dim[k];
        bool fits = p->dtype == DT_F && p->rank == 1 && p->dim[0] == g->size,
             named = strcmp(name_str(g->m->ctx, p->name), "logits") == 0;
        if (fits && (named || !found)) {
            found = p;
            g->at = at;
        }
        at += n;
    }
    return found || refuse(g, "it has no output with a number for each token",
                           "the scores of the next token are an output: output logits");
}

static bool open_stream(Generation *g) {
    const ModelDesc *d = g->m->desc;
    int got;
    if (!model_need_weights(g->m)) return false;
    g->v = g->m->fitted ? g->m->fitted->vocabulary : NULL;
    if (!g->v)
        return refuse(g, "its weights hold no vocabulary",
                      "models that were trained on texts (`text` in the data block) have one");
    if (d->input.n != 1 || !d->input.at[0].vocab || !d->input.at[0].seq)
        return refuse(g, "its only input has to be `seq token[V]`", NULL);
    g->size = d->input.at[0].vocab;
    if (g->v->n > g->size) return refuse(g, "the vocabulary of its weights has more ids than its tokens", NULL);
    if (!find_logits(g)) return false;
    g->stream = stream_make(g->m, 1, &got);
    if (got < 0) ctx_out_of_memory(g->m->ctx);
    return g->stream != NULL;
}

static bool step(Generation *g, int32_t id) {
    float x = (float)id;
    return stream_steps(g->stream, 1, &x, g->out);
}

/* Scores that add up to 1 are probabilities: a softmax of them would be nearly flat. */
static bool are_logits(Generation *g) {
    double sum = 0;
    const float *z = g->out + g->at;
    for (int32_t i = 0; i < g->size; i++) {
        if (!isfinite(z[i])) return refuse(g, "a score is not a finite number", NULL);
        if (z[i] < 0) return true;
        sum += z[i];
    }
    return fabs(sum - 1) > 1e-3 ||
           refuse(g, "its output holds probabilities", "the output is to hold logits, the values before the softmax");
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------ */

static int by_weight(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return x->id - y->id;
}

/* The tokens that can be written, with their scores. */
static int32_t candidates(Generation *g) {
    int32_t n = 0;
    for (int32_t i = 0; i < g->v->n; i++)
        if (g->v->token[i] || g->v->unit == UNIT_BYTES) g->all[n++] = (Candidate){g->out[g->at + (size_t)i], i};
    return n;
}

static int32_t draw(Generation *g) {
    int32_t n = candidates(g), best = 0;
    double t = g->o->temperature, sum = 0;
    for (int32_t i = 1; i < n; i++)
        if (g->all[i].weight > g->all[best].weight) best = i;
    if (t <= 0) return g->all[best].id;
    double most = g->all[best].weight;
    for (int32_t i = 0; i < n; i++) g->all[i].weight = exp((g->all[i].weight - most) / t);
    if (g->o->top_k > 0 || g->o->top_p < 1) qsort(g->all, (size_t)n, sizeof *g->all, by_weight);
    if (g->o->top_k > 0 && g->o->top_k < n) n = (int32_t)g->o->top_k;
    for (int32_t i = 0; i < n; i++) sum += g->all[i].weight;
    if (g->o->top_p < 1) { /* the most likely ones that make up this part */
        double part = g->o->top_p * sum;
        sum = 0;
        int32_t k = 0;
        do sum += g->all[k++].weight;
        while (k < n && sum < part);
        n = k;
    }
    double u = (double)(random_next(&g->random) >> 11) * 0x1p-53 * sum;
    for (int32_t i = 0; i < n - 1; i++) {
        if (u < g->all[i].weight) return g->all[i].id;
        u -= g->all[i].weight;
    }
    return g->all[n - 1].id;
}

static bool put(Generation *g, const char *text, size_t n) {
    if (n && g->o->write(g->o->write_arg, text, n) != 0) g->stopped = true;
    return !g->stopped;
}

static bool put_token(Generation *g, int32_t id, bool first) {
    char byte = (char)id;
    if (g->v->unit == UNIT_BYTES) return put(g, &byte, 1);
    if (g->v->unit == UNIT_WORDS && !first && !put(g, " ", 1)) return false;
    return put(g, g->v->token[id], strlen(g->v->token[id]));
}

/* ---- prompt and text ---------------------------------------------------------------------------------------------------- */

/* What the text is to go on from; nothing: a line's end, or the first token. The scores of the next token are then there. */
static bool read_prompt(Generation *g) {
    const char *at = g->o->prompt ? g->o->prompt : "", *begin = at, *end = at + strlen(at), *p;
    size_t size;
    bool any = false;
    for (; (p = token_next(g->v->unit, &at, end, &size)); any = true) {
        int32_t id = size && size <= TOKEN_MAX ? vocabulary_id(g->v, p, size) : -1;
        if (id < 0) {
            Arena *tmp = scratch_begin(g->m);
            diag_error(g->m->ctx, 620, NOWHERE, "the prompt, byte %lld: '%s' is not in the vocabulary",
                       (long long)(p - begin) + 1, escape_token(tmp, p, size ? size : 1));
            scratch_end(g->m);
            return false;
        }
        if (!step(g, id)) return false;
    }
    int32_t start = g->v->unit == UNIT_WORDS ? -1 : vocabulary_id(g->v, "\n", 1);
    for (int32_t i = 0; start < 0 && i < g->v->n; i++)
        if (g->v->token[i] || g->v->unit == UNIT_BYTES) start = i;
    if (start < 0) return refuse(g, "its vocabulary is empty", NULL);
    return (any || step(g, start)) && put(g, begin, (size_t)(end - begin));
}

static bool generate(void *arg) {
    Generation *g = arg;
    Arena *tmp = scratch_begin(g->m);
    g->out = NEW_N(tmp, float, rondo_stream_outputs(g->stream) + 1);
    g->all = NEW_N(tmp, Candidate, g->size + 1);
    g->random = g->o->seed;
    bool ok = read_prompt(g) && are_logits(g), first = !g->o->prompt || !*g->o->prompt;
    for (int64_t i = 0; ok && i < g->o->length; i++, first = false) {
        int32_t id = draw(g);
        ok = put_token(g, id, first) && (i + 1 == g->o->length || step(g, id));
    }
    scratch_end(g->m);
    return ok;
}

bool generate_text(Model *m, const rondo_generate_options *o, bool *stopped) {
    Generation g = {.m = m, .o = o};
    if (!o->write || o->length < 0 || !(o->temperature >= 0 && isfinite(o->temperature)) || o->top_k < 0 || o->beam < 0 || !(o->top_p > 0 && o->top_p <= 1)) {
        diag_error(m->ctx, 556, NOWHERE,
                   "generate: a function that writes is needed, length, temperature, top_k and beam of at least 0, top_p above 0, at most 1");
        return false;
    }
    if (data_setting(m, "teacher")) {
        bool drawn = (o->temperature > 0 && o->temperature != 1) || o->top_k || o->top_p < 1;
        if (drawn)
            return refuse(&g, "with the data key `teacher` it writes the likeliest text, and draws nothing by temperature, top-k or top-p",
                          "--beam 4 follows more texts than one");
        return decode_text(m, o, stopped);
    }
    if (o->beam > 1) return refuse(&g, "a beam is for models with the data key `teacher`, which turn one text into another", NULL);
    if (!open_stream(&g)) return false;
    int got = guard_call(m->ctx, generate, &g);
    rondo_stream_close(g.stream);
    if (got < 0) ctx_out_of_memory(m->ctx);
    *stopped = g.stopped;
    return got || g.stopped;
}
