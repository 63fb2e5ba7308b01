/* settings: reading the train and data blocks. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

static bool has_row(KeyBlock b, const char *key) {
    for (uint32_t i = 0; i < key_row_count; i++)
        if (strcmp(key_rows[i].key, key) == 0 && strcmp(key_rows[i].block, b == KEYS_DATA ? "data" : "train") == 0) return true;
    return false;
}

double train_number(const Model *m, const char *key) {
    return has_row(KEYS_TRAIN, key) ? settings_number(m->ctx, &m->desc->train, KEYS_TRAIN, key) : NAN;
}

bool train_bool(const Model *m, const char *key) {
    return has_row(KEYS_TRAIN, key) && settings_bool(m->ctx, &m->desc->train, KEYS_TRAIN, key);
}

const Setting *train_setting(const Model *m, const char *key) {
    return settings_find(&m->desc->train, intern(m->ctx, key));
}

void train_gradient(Model *m) {
    const Setting *s = train_setting(m, "gradient");
    if (!s) return;
    const char *name = name_str(m->ctx, s->name);
    for (uint32_t k = 0; gradient_name[k]; k++)
        if (strcmp(gradient_name[k], name) == 0) m->opt.exec.gradient = (GradientMode)k;
}

double data_number(const Model *m, const char *key) {
    return has_row(KEYS_DATA, key) ? settings_number(m->ctx, &m->desc->data, KEYS_DATA, key) : NAN;
}

const char *data_string(const Model *m, const char *key) {
    return has_row(KEYS_DATA, key) ? settings_string(m->ctx, &m->desc->data, KEYS_DATA, key) : NULL;
}

bool data_bool(const Model *m, const char *key) {
    return has_row(KEYS_DATA, key) && settings_bool(m->ctx, &m->desc->data, KEYS_DATA, key);
}

bool model_need_output(Model *m) {
    if (m->desc->output.n) return true;
    diag_error(m->ctx, 552, m->desc->span, "'%s' has no output to predict with", name_str(m->ctx, m->desc->name));
    diag_help(m->ctx, NOWHERE, "`output p` in the model says what it gives; trained weights stay as they are");
    return false;
}

const Setting *data_setting(const Model *m, const char *key) {
    return settings_find(&m->desc->data, intern(m->ctx, key));
}

int64_t data_whole(const Model *m, const char *key) { return (int64_t)data_number(m, key); }

/* Does one item, "pattern", ["pattern": value] or a number for all, speak of the weight? */
static bool item_matches(const Model *m, const Setting *s, const char *weight, double *value) {
    if (s->kind == SET_NUMBER) return *value = s->number, true;
    const Setting *name = s->kind == SET_PAIR ? &s->item[0] : s;
    if (name->kind != SET_STRING && name->kind != SET_NAME) return false;
    if (!settings_match(name_str(m->ctx, name->name), weight)) return false;
    *value = s->kind == SET_PAIR ? s->item[1].number : 1;
    return true;
}

double train_pattern(const Model *m, const char *key, const char *weight, double otherwise) {
    const Setting *s = train_setting(m, key);
    double value = otherwise;
    if (!s) return value;
    if (s->kind != SET_LIST) {
        item_matches(m, s, weight, &value);
        return value;
    }
    for (uint32_t i = 0; i < s->n; i++) item_matches(m, &s->item[i], weight, &value); /* the last one that matches */
    return value;
}
