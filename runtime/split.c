/* split: which examples train, validate and test. The key `split`: a number, of examples with a class as stratified, of all else as chronological; or
     chronological(0.8, valid = 0.1)        in the order of the data
     random(0.8, valid = 0.1, seed = 0)     drawn
     stratified(0.8, valid = 0.1, seed = 0) drawn from each class alike
     every(10, valid = 8, test = 9)         by the example's number in its own file, modulo 10
     folds(5, fold = 0, valid = 0.1, seed = 0) fold 0 of 5 tests: examples are dealt out class by class as they are drawn; a record is cut
                                            into 6 blocks, and block fold + 1 tests what those before it train */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

static bool bad(Model *m, Span at, const char *why) {
    diag_error(m->ctx, 552, at, "data: split: %s", why);
    diag_help(m->ctx, NOWHERE,
              "a part that trains (0.8), chronological(0.8, valid = 0.1), random(0.8, seed = 1), stratified(0.8), "
              "every(10, valid = 8, test = 9) or folds(5, fold = 0)");
    return false;
}

/* Of what is dealt out each fold gets one; a record is cut into a block more. */
static bool enough_for_folds(Model *m, const Split *s, int64_t n, bool record) {
    int64_t needs = s->folds + record;
    if (n >= needs) return true;
    diag_error(m->ctx, 552, data_setting(m, "split")->span, "%lld folds need at least %lld examples%s, and the data hold %lld", (long long)s->folds, (long long)needs,
               record ? " in a row" : "", (long long)n);
    return false;
}

static bool among(const Setting *s, int64_t k) {
    if (!s) return false;
    if (s->kind == SET_NUMBER) return s->number == (double)k;
    for (uint32_t i = 0; s->kind == SET_LIST && i < s->n; i++)
        if (s->item[i].kind == SET_NUMBER && s->item[i].number == (double)k) return true;
    return false;
}

Split split_read(Model *m) {
    const Setting *s = data_setting(m, "split");
    double otherwise = data_setting(m, "test") ? 1 : data_number(m, "split");
    Split out = {.train = s && s->kind == SET_NUMBER ? s->number : otherwise, .valid = NAN, .plain = !s || s->kind == SET_NUMBER};
    if (out.plain) return out;
    out.kind = (SplitKind)settings_way(m->ctx, "split", s);
    out.valid_at = settings_written(m->ctx, "split", s, "valid");
    out.test_at = settings_written(m->ctx, "split", s, "test");
    double n = settings_argument(m->ctx, "split", s, "n"), seed = settings_argument(m->ctx, "split", s, "seed");
    if (!isnan(seed)) out.seed = (uint64_t)seed;
    if (out.kind == SPLIT_EVERY) out.every = (int64_t)n;
    if (out.kind == SPLIT_FOLDS) out.folds = (int64_t)n, out.fold = (int64_t)settings_argument(m->ctx, "split", s, "fold");
    if (out.kind == SPLIT_FOLDS && out.valid_at) out.valid = out.valid_at->number;
    if (out.kind == SPLIT_EVERY || out.kind == SPLIT_FOLDS) return out;
    const Setting *train = settings_written(m->ctx, "split", s, "train");
    if (out.valid_at) out.valid = out.valid_at->number;
    if (train || !data_setting(m, "test")) out.train = settings_argument(m->ctx, "split", s, "train");
    else out.train = out.valid_at ? 1 - out.valid : 1;
    return out;
}

bool split_in_order(const Split *s) { return s->kind == SPLIT_CHRONOLOGICAL || s->kind == SPLIT_FOLDS; }

/* What validates of d->train: as the split says of a fold, else as the key `validation` does. */
static bool hold_back(Model *m, const Split *s, Dataset *d) {
    if (isnan(s->valid)) return dataset_holdback(m, d);
    d->valid = (int64_t)(s->valid * (double)d->train);
    d->train -= d->valid;
    return true;
}

bool split_counts(Model *m, const Split *s, int64_t *n, int64_t *train, int64_t *valid) {
    int64_t all = *n;
    if (s->kind == SPLIT_FOLDS && !enough_for_folds(m, s, all, true)) return false;
    if (s->kind == SPLIT_FOLDS) *n = (int64_t)((double)all * (double)(s->fold + 2) / (double)(s->folds + 1));
    *train = s->kind == SPLIT_FOLDS ? (int64_t)((double)all * (double)(s->fold + 1) / (double)(s->folds + 1)) : (int64_t)(s->train * (double)all);
    *valid = 0;
    if (isnan(s->valid) || s->kind == SPLIT_FOLDS) {
        Dataset d = {.n = all, .train = *train};
        if (!hold_back(m, s, &d)) return false;
        *train = d.train;
        *valid = d.valid;
    } else if (s->train + s->valid >= 1 - 1e-9)
        *valid = all - *train;
    else
        *valid = (int64_t)((s->train + s->valid) * (double)all) - *train;
    return true;
}

/* ---- of single examples ------------------------------------------------------------------------------------------------- */

/* part[i] of each of the `n` examples in at[]: the first of them train, and so on. */
static bool parts_in_order(Model *m, const Split *s, const int64_t *at, int64_t n, uint8_t *part) {
    int64_t train, valid, all = n;
    if (!split_counts(m, s, &all, &train, &valid)) return false;
    for (int64_t i = 0; i < n; i++) part[at[i]] = i < train ? 0 : i < train + valid ? 1 : 2;
    return true;
}

/* Drawn, or drawn class by class. */
static bool parts_drawn(Model *m, const Split *s, const Records *r, const int64_t *at, int64_t n, uint8_t *part, Arena *tmp) {
    int64_t *draw = NEW_N(tmp, int64_t, n + 1), *mine = NEW_N(tmp, int64_t, n + 1), classes = 1;
    shuffle_order(s->seed, 0, n, draw);
    for (int64_t i = 0; i < n && s->kind == SPLIT_STRATIFIED; i++)
        if (r->record.at[at[i]].label >= classes) classes = r->record.at[at[i]].label + 1;
    for (int64_t c = 0; c < classes; c++) {
        int64_t k = 0;
        for (int64_t i = 0; i < n; i++)
            if (s->kind == SPLIT_RANDOM || r->record.at[at[draw[i]]].label == c) mine[k++] = at[draw[i]];
        if (!parts_in_order(m, s, mine, k, part)) return false;
    }
    return true;
}

/* Dealt out to the folds as they are drawn, one class after the other; of those that do not test, the last ones validate. */
static bool parts_dealt(Model *m, const Split *s, const Records *r, const int64_t *at, int64_t n, uint8_t *part, Arena *tmp) {
    int64_t *draw = NEW_N(tmp, int64_t, n + 1), *rest = NEW_N(tmp, int64_t, n + 1), classes = 1, dealt = 0;
    Dataset d = {0};
    if (!enough_for_folds(m, s, n, false)) return false;
    shuffle_order(s->seed, 0, n, draw);
    for (int64_t i = 0; i < n && r->classes; i++)
        if (r->record.at[at[i]].label >= classes) classes = r->record.at[at[i]].label + 1;
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < n; i++)
            if (!r->classes || r->record.at[at[draw[i]]].label == c) part[at[draw[i]]] = dealt++ % s->folds == s->fold ? 2 : 0;
    for (int64_t i = 0; i < n; i++)
        if (!part[at[draw[i]]]) rest[d.train++] = at[draw[i]];
    if (!hold_back(m, s, &d)) return false;
    for (int64_t i = d.train; i < d.train + d.valid; i++) part[rest[i]] = 1;
    return true;
}

bool split_records(Model *m, const Records *r, Arena *tmp, uint8_t *part) {
    Split s;
    uint32_t n = r->record.n, k = 0;
    int64_t *at = NEW_N(tmp, int64_t, n + 1);
    memset(part, 0, n);
    if (r->whole) return true;
    s = split_read(m);
    if (s.plain && r->classes) s.kind = SPLIT_STRATIFIED; /* files are often sorted by class */
    for (uint32_t i = 0; i < n; i++) {
        if (r->record.at[i].test)
            part[i] = 2;
        else
            at[k++] = i;
    }
    for (uint32_t i = 0; s.kind == SPLIT_EVERY && i < k; i++) {
        int64_t rest = r->record.at[at[i]].within % s.every;
        part[at[i]] = among(s.test_at, rest) ? 2 : among(s.valid_at, rest) ? 1 : 0;
    }
    if (s.kind == SPLIT_EVERY) return true;
    if (s.kind == SPLIT_FOLDS && k < n) return bad(m, data_setting(m, "test")->span, "each fold tests in its turn, so that there is no file that tests");
    if (s.kind == SPLIT_FOLDS) return parts_dealt(m, &s, r, at, k, part, tmp);
    if (s.kind == SPLIT_STRATIFIED && !r->classes)
        return bad(m, data_setting(m, "split")->span, "stratified needs a target of classes");
    return s.kind == SPLIT_CHRONOLOGICAL ? parts_in_order(m, &s, at, k, part) : parts_drawn(m, &s, r, at, k, part, tmp);
}
