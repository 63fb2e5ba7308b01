/* decode: a text turned into another one. The prompt is the input that is not the teacher's; what has been written so far, behind the id of
   an end, is the teacher's input, and the scores at its last step say what comes next. A beam follows the texts of the largest products
   of probabilities, until none of those under way can pass the best that has ended. Each step runs the model over what there is of every
   text, so that a text of n tokens takes n runs of growing length. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/records.h"

typedef struct {
    int32_t *id;
    int64_t n;
    double score; /* sum of logarithms of probabilities */
} Written;
typedef struct {
    double score;
    int32_t from, id;
} Step;
typedef struct {
    Model *m;
    const rondo_generate_options *o;
    const Vocabulary *v;
    Exec *exec;
    uint32_t root;
    const char *source, *teacher; /* "input/x" */
    int32_t size;                 /* V */
    int64_t beam;
    int32_t *prompt;
    int64_t nprompt;
    Arena *tmp;
    Written best;
    bool stopped;
} Decoding;

static bool refuse(Decoding *d, const char *why) {
    diag_error(d->m->ctx, 558, d->m->desc->span, "'%s' cannot turn one text into another: %s", rondo_name(d->m), why);
    return false;
}

/* ---- the model ---------------------------------------------------------------------------------------------------------- */

const char *decode_unsuited(const Model *m, DecodePorts *x) {
    const ModelDesc *d = m->desc;
    Name teacher = data_setting(m, "teacher")->name;
    bool named = false, found = false;
    *x = (DecodePorts){0};
    for (uint32_t i = 0; i < d->input.n; i++) {
        const PortDesc *p = &d->input.at[i];
        if (!p->seq || !p->vocab || p->steps) return "its inputs have to be `seq token[V]`";
        *(p->name == teacher ? &x->teacher : &x->source) = p->name;
        named = named || p->name == teacher;
        x->size = p->vocab;
    }
    if (d->input.n != 2 || !named) return "it needs two inputs, the text and the one that the data key `teacher` names";
    for (uint32_t i = 0; i < d->output.n; i++) {
        const PortDesc *p = &d->output.at[i];
        bool logits = strcmp(name_str(m->ctx, p->name), "logits") == 0;
        if (!p->seq || p->dtype != DT_F || p->rank != 1 || p->dim[0] != x->size || (found && !logits)) continue;
        x->scores = p->name;
        found = true;
    }
    return found ? NULL : "it has no output `logits`, the scores of the next token at each step";
}

static bool find_ports(Decoding *d) {
    DecodePorts x;
    const char *why = decode_unsuited(d->m, &x);
    if (why) return refuse(d, why);
    d->source = arena_printf(d->tmp, "input/%s", name_str(d->m->ctx, x.source));
    d->teacher = arena_printf(d->tmp, "input/%s", name_str(d->m->ctx, x.teacher));
    d->size = x.size;
    d->root = (uint32_t)exec_root(d->exec, ROOT_OUTPUT, 0, x.scores);
    return true;
}

static bool read_prompt(Decoding *d) {
    const char *at = d->o->prompt ? d->o->prompt : "", *begin = at, *end = at + strlen(at), *p;
    size_t size;
    d->prompt = NEW_N(d->tmp, int32_t, (size_t)(end - begin) + 1);
    while ((p = token_next(d->v->unit, &at, end, &size))) {
        int32_t id = size && size <= TOKEN_MAX ? vocabulary_id(d->v, p, size) : -1;
        if (id < 0) {
            diag_error(d->m->ctx, 620, NOWHERE, "the prompt, byte %lld: '%s' is not in the vocabulary", (long long)(p - begin) + 1,
                       escape_token(d->tmp, p, size ? size : 1));
            return false;
        }
        d->prompt[d->nprompt++] = id;
    }
    return d->nprompt || refuse(d, "the prompt is empty (--prompt TEXT)");
}

/* ---- a step ------------------------------------------------------------------------------------------------------------- */

static bool add_tokens(Arena *a, Arrays *s, const char *name, int64_t B, int64_t steps, const int32_t *const *row, int64_t stride) {
    Array *x = arrays_add(a, s, name, RONDO_I32, 2, (int64_t[]){B, steps}), *l = arrays_add(a, s, arena_printf(a, "length/%s", strchr(name, '/') + 1), RONDO_I64, 1, &B);
    for (int64_t b = 0; x && l && b < B; b++) {
        memcpy((int32_t *)x->data + b * steps, row[b * stride], (size_t)steps * sizeof(int32_t));
        ((int64_t *)l->data)[b] = steps;
    }
    return x && l;
}

/* log_p[b * V + id]: of what comes behind text b; all texts are of one length. */
static bool next_scores(Decoding *d, const Written *w, int64_t B, double *log_p) {
    Batch batch = {0};
    Arena *a = scratch_begin(d->m);
    const int32_t **row = NEW_N(a, const int32_t *, B + 1);
    int64_t *example = NEW_N(a, int64_t, B + 1), steps = w[0].n + 1;
    for (int64_t b = 0; b < B; b++) {
        int32_t *before = NEW_N(a, int32_t, steps);
        before[0] = d->v->end;
        if (steps > 1) memcpy(before + 1, w[b].id, (size_t)(steps - 1) * sizeof *before);
        row[b] = before;
        example[b] = b;
    }
    const int32_t *prompt = d->prompt;
    Array z;
    bool ok = add_tokens(a, &batch.array, d->source, B, d->nprompt, &prompt, 0) && add_tokens(a, &batch.array, d->teacher, B, steps, row, 1) &&
              exec_set_batch(d->exec, &batch, B) && exec_run(d->exec, d->m->theta, d->m->theta_version, NULL, d->m->seed, 0, example) &&
              exec_get(d->exec, a, d->root, &z);
    for (int64_t b = 0; ok && b < B; b++) {
        double most = -INFINITY, sum = 0, *out = log_p + b * d->size;
        for (int32_t i = 0; i < d->size; i++) {
            out[i] = array_get(&z, (b * steps + steps - 1) * d->size + i);
            most = fmax(most, out[i]);
        }
        for (int32_t i = 0; i < d->size; i++) sum += exp(out[i] - most);
        for (int32_t i = 0; i < d->size; i++) out[i] -= most + log(sum);
    }
    scratch_end(d->m);
    return ok;
}

/* ---- the beam ----------------------------------------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b) {
    const Step *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->from != y->from ? x->from - y->from : x->id - y->id;
}

static bool writable(const Decoding *d, int32_t id) { return id == d->v->end || (id < d->v->n && d->v->token[id]); }

static Written longer(Decoding *d, const Written *w, const Step *s) {
    Written x = {NEW_N(d->tmp, int32_t, w->n + 1), w->n + 1, s->score};
    if (w->n) memcpy(x.id, w->id, (size_t)w->n * sizeof *x.id);
    x.id[w->n] = s->id;
    return x;
}

static bool search(Decoding *d) {
    int64_t alive = 1;
    Written *w = NEW_N(d->tmp, Written, d->beam), *next = NEW_N(d->tmp, Written, d->beam);
    double *log_p = NEW_N(d->tmp, double, d->beam *d->size);
    Step *all = NEW_N(d->tmp, Step, d->beam *d->size);
    bool ended = false;
    for (int64_t t = 0; t < d->o->length && alive && !(ended && d->best.score >= w[0].score); t++) {
        int64_t n = 0, kept = 0;
        if (!next_scores(d, w, alive, log_p)) return false;
        for (int64_t b = 0; b < alive; b++)
            for (int32_t i = 0; i < d->size; i++)
                if (writable(d, i)) all[n++] = (Step){w[b].score + log_p[b * d->size + i], (int32_t)b, i};
        qsort(all, (size_t)n, sizeof *all, by_score);
        for (int64_t k = 0; k < n && k < d->beam; k++) { /* one that ends keeps its place: a beam of one takes the likeliest step */
            if (all[k].id != d->v->end) next[kept++] = longer(d, &w[all[k].from], &all[k]);
            else if (!ended || all[k].score > d->best.score) {
                d->best = w[all[k].from];
                d->best.score = all[k].score;
                ended = true;
            }
        }
        memcpy(w, next, (size_t)kept * sizeof *w);
        alive = kept;
    }
    if (!ended) d->best = w[0]; /* as far as `length` goes */
    return true;
}

bool decode_ids(Model *m, const int32_t *source, int64_t n, int64_t most, int32_t *token, int64_t *count) {
    rondo_generate_options o = {.length = most};
    Decoding d = {.m = m, .o = &o, .beam = 1, .v = m->fitted->vocabulary, .exec = model_exec(m, MODULE_PREDICT, true, false), .nprompt = n};
    d.tmp = scratch_begin(m);
    d.prompt = NEW_N(d.tmp, int32_t, n + 1);
    memcpy(d.prompt, source, (size_t)n * sizeof *source);
    bool ok = d.exec && find_ports(&d) && search(&d);
    *count = ok ? d.best.n : 0;
    if (*count) memcpy(token, d.best.id, (size_t)d.best.n * sizeof *token);
    scratch_end(m);
    return ok;
}

static bool decode(void *arg) {
    Decoding *d = arg;
    d->tmp = scratch_begin(d->m);
    bool ok = find_ports(d) && read_prompt(d) && search(d);
    for (int64_t i = 0; ok && !d->stopped && i < d->best.n; i++) {
        const char *token = d->v->token[d->best.id[i]];
        if (i && d->v->unit == UNIT_WORDS) d->stopped = d->o->write(d->o->write_arg, " ", 1) != 0;
        if (!d->stopped) d->stopped = d->o->write(d->o->write_arg, token, strlen(token)) != 0;
    }
    scratch_end(d->m);
    return ok;
}

bool decode_text(Model *m, const rondo_generate_options *o, bool *stopped) {
    Decoding d = {.m = m, .o = o, .beam = o->beam > 1 ? o->beam : 1};
    if (!model_need_weights(m)) return false;
    d.v = m->fitted ? m->fitted->vocabulary : NULL;
    if (!d.v || d.v->end < 0) return refuse(&d, "its weights hold no vocabulary with an end of a text; they are not those of a model with `teacher`");
    if (!(d.exec = model_exec(m, MODULE_PREDICT, true, false))) return false;
    int got = guard_call(m->ctx, decode, &d);
    if (got < 0) ctx_out_of_memory(m->ctx);
    *stopped = d.stopped;
    return got > 0 || d.stopped;
}
