/* textdata: plain text for language models. Input: tokens; target: the token after each. The text is laid out in windows; with
   `stateful` in as many rows as a batch has examples, so that each batch goes on where the one before ended:
     row b holds tokens b R .. b R + R - 1 and is asked for those one further, R = (tokens - 1) / rows */
#include <string.h>

#include "runtime/records.h"

bool text_fit(Model *m, const TextOptions *o, const Counter *c, int32_t size) {
    Fitted *f = fitted(m);
    uint32_t reserved = reserved_ids(o);
    if (!f->vocabulary && o->unit == UNIT_BYTES) f->vocabulary = vocabulary_bytes(&m->arena, o);
    if (!f->vocabulary && !o->unknown && counter_size(c) + reserved > (uint32_t)size) {
        diag_error(m->ctx, 552, m->desc->data.span, "the text has %u different %s, and token[%d] room for %u", counter_size(c),
                   o->unit == UNIT_WORDS ? "words" : "characters", size,
                   (uint32_t)size > reserved ? (uint32_t)size - reserved : 0);
        diag_help(m->ctx, NOWHERE, "write token[%u], or `unknown = true`: what is less frequent then shares one id",
                  counter_size(c) + reserved);
        return false;
    }
    if (!f->vocabulary) {
        f->vocabulary = vocabulary_make(&m->arena, o, c, size);
        model_log(m, "vocabulary: %d of %d ids, %u different %s in what trains", f->vocabulary->n, size, counter_size(c),
                  o->unit == UNIT_WORDS ? "words" : "characters");
    }
    if (f->vocabulary->n <= size) return true;
    diag_error(m->ctx, 552, m->desc->data.span, "the vocabulary has %d ids, and the model token[%d]", f->vocabulary->n, size);
    if (o->unit == UNIT_BYTES) diag_help(m->ctx, NOWHERE, "bytes need token[256]");
    return false;
}

static bool token_port(Model *m, const PortDesc *p, int32_t *size) {
    if (p->seq && p->vocab && (!*size || *size == p->vocab)) {
        *size = p->vocab;
        return true;
    }
    diag_error(m->ctx, 552, p->span,
               "a text needs a model with one input `seq token[V]`, and as its target `seq token[V]`: the next token");
    return false;
}

static bool ports_fit(Model *m, int64_t window, int32_t *size) {
    const ModelDesc *d = m->desc;
    *size = 0;
    if (d->input.n != 1 || d->target.n > 1) {
        diag_error(m->ctx, 552, d->span, "a text needs a model with one input and one target");
        return false;
    }
    if (!token_port(m, &d->input.at[0], size) || (d->target.n && !token_port(m, &d->target.at[0], size))) return false;
    if (!d->input.at[0].steps || d->input.at[0].steps == window) return true;
    diag_error(m->ctx, 552, d->input.at[0].span, "the input has %d steps and the window is %lld", d->input.at[0].steps,
               (long long)window);
    return false;
}

/* The texts: the main one, and that of the key `test` behind it. */
static Text *open_texts(Model *m, Arena *a, const char *path, Unit unit, bool whole, int64_t count[3]) {
    const char *test = whole ? NULL : data_string(m, "test");
    Split s;
    Text *t = text_open(m->ctx, a, path, unit), *more;
    memset(count, 0, 3 * sizeof *count);
    if (!t) return NULL;
    count[0] = text_count(t);
    if (whole) return t;
    s = split_read(m);
    if (!split_in_order(&s)) {
        diag_error(m->ctx, 552, data_setting(m, "split")->span,
                   "a text is split in its order: chronological(0.8, valid = 0.1)");
        return NULL;
    }
    int64_t n = count[0];
    if (!split_counts(m, &s, &n, &count[0], &count[1])) return NULL;
    count[2] = n - count[0] - count[1];
    if (!test) return t;
    if (count[2]) {
        diag_error(m->ctx, 552, data_setting(m, "test")->span,
                   "data: `test` is a file of its own, so the parts of `split` make up all of the other");
        return NULL;
    }
    if (!(more = text_open(m->ctx, a, model_beside(m, a, test), unit))) return NULL;
    count[2] = text_count(more);
    text_append(t, more);
    return t;
}

static bool learn(Model *m, Text *t, const TextOptions *o, int64_t trained, int32_t size) {
    Arena *tmp = scratch_begin(m);
    Fitted *f = fitted(m);
    Counter *c = counter_make(tmp, o);
    bool ok = f->vocabulary || o->unit == UNIT_BYTES || text_learn(m->ctx, t, 0, trained, c);
    ok = ok && text_fit(m, o, c, size);
    scratch_end(m);
    if (!ok) return false;
    text_use(t, f->vocabulary);
    return text_check(m->ctx, t);
}

static void add_field(Arena *a, Feed *f, const char *prefix, const char *name, int64_t shift) {
    VEC_PUSH(a, f->field) =
        (Field){.name = arena_printf(a, "%s%s", prefix, name), .kind = FIELD_TEXT, .type = RONDO_I32, .shift = shift};
}

bool text_load(Model *m, const char *path, Arena *a, bool whole, Dataset *out) {
    TextOptions o;
    Feed *f = NEW(a, Feed);
    int64_t count[3], rows;
    int32_t size;
    double batch = train_number(m, "batch");
    *out = (Dataset){.feed = f};
    if (!text_options(m, UNIT_CHARACTERS, &o)) return false;
    f->window = data_whole(m, "window");
    if (m->fitted && m->fitted->vocabulary) o.unit = m->fitted->vocabulary->unit;
    if (f->window < 1) {
        diag_error(m->ctx, 552, m->desc->data.span, "a text needs `window`: the number of steps of an example");
        return false;
    }
    f->stride = data_setting(m, "stride") ? data_whole(m, "stride") : f->window;
    if (!ports_fit(m, f->window, &size) || !(f->text = open_texts(m, a, path, o.unit, whole, count))) return false;
    if (!learn(m, f->text, &o, count[0], size)) return false;
    f->carry = train_bool(m, "stateful");
    rows = f->carry ? batch >= 1 && batch < 1e6 ? (int64_t)batch : 32 : 0;
    add_field(a, f, "input/", name_str(m->ctx, m->desc->input.at[0].name), 0);
    if (m->desc->target.n) add_field(a, f, "target/", name_str(m->ctx, m->desc->target.at[0].name), 1);
    if (feed_cut(f, count, 1, rows, out)) return true;
    if (!(count[0] + count[1] + count[2])) {
        diag_error(m->ctx, 554, m->desc->data.span, "%s is empty", path);
        return false;
    }
    diag_error(m->ctx, 554, m->desc->data.span,
               "%s: %lld, %lld and %lld tokens to train, validate and test are too few for %s of %lld", path,
               (long long)count[0], (long long)count[1], (long long)count[2], rows ? "a batch of rows" : "windows",
               (long long)(rows ? rows : f->window));
    return false;
}
