/* compare: results against expected arrays, with the bars of the conformance files. */
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "runtime/internal.h"

/* What float32_noise of NAME.json calls each kind of array, and the least bar in float32. */
static const struct {
    const char *prefix, *noise;
    double least;
} kinds[] = {
    {"output/", "output", 1e-5},       {"final/", "final", 1e-5},         {"grad/param/", "grad_param", 1e-4},
    {"grad/init/", "grad_init", 1e-4}, {"grad/input/", "grad_input", 1e-4}, {"adam/param/", "adam_param", 1e-4},
    {"adam/loss", "adam_param", 1e-4}, {"loss", "loss", 1e-5},
};

static int kind_of(const char *name) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t n = strlen(kinds[k].prefix);
        if (strncmp(name, kinds[k].prefix, n) == 0 && (kinds[k].prefix[n - 1] == '/' || !name[n])) return (int)k;
    }
    return -1;
}

/* NAME.json beside NAME.npz; NULL if there is none that can be read. */
static json_t *read_noise(Model *m, Arena *a, const char *npz) {
    size_t n = npz ? strlen(npz) : 0, size;
    if (n < 4 || strcmp(npz + n - 4, ".npz") != 0) return NULL;
    const char *path = arena_printf(a, "%.*s.json", (int)n - 4, npz);
    char *text;
    if (access(path, R_OK) != 0 || !file_read(m->ctx, a, path, &text, &size)) return NULL;
    return json_loadb(text, size, 0, NULL);
}

static double bar_of(const Model *m, const json_t *root, int kind) {
    if (m->f64) return 1e-10;
    const json_t *v = json_object_get(json_object_get(root, "float32_noise"), kinds[kind].noise);
    double noise = json_is_number(v) ? json_number_value(v) : 0;
    return fmax(20 * noise, kinds[kind].least);
}

/* 1 for elements at real steps of an output of the shape [B, T, ..]; NULL when there are no lengths along its second dim. */
static uint8_t *real_mask(Model *m, Arena *a, const Arrays *file, const Array *x, const char *output) {
    const PortDesc *port = NULL;
    for (uint32_t i = 0; i < m->desc->output.n; i++)
        if (strcmp(name_str(m->ctx, m->desc->output.at[i].name), output) == 0) port = &m->desc->output.at[i];
    if (!port || !port->seq || x->rank < 2) return NULL;
    const Array *len = NULL;
    for (uint32_t i = 0; !len && i < m->desc->input.n + m->desc->target.n; i++) {
        const PortDesc *p = i < m->desc->input.n ? &m->desc->input.at[i] : &m->desc->target.at[i - m->desc->input.n];
        if (p->seq && p->axis == port->axis) len = arrays_find(file, arena_printf(a, "length/%s", name_str(m->ctx, p->name)));
    }
    if (!len) len = arrays_find(file, arena_printf(a, "length/%s", name_str(m->ctx, port->axis)));
    if (!len || array_count(len) != x->dim[0]) return NULL;
    int64_t n = array_count(x), per = n / (x->dim[0] * x->dim[1]);
    uint8_t *mask = NEW_N(a, uint8_t, n + 1);
    for (int64_t i = 0; i < n; i++) mask[i] = i / per % x->dim[1] < (int64_t)array_get(len, i / (per * x->dim[1]));
    return mask;
}

Comparison *compare_arrays(Model *m, Arena *a, const Arrays *out, const Arrays *file, const char *npz_path, uint32_t *n) {
    VEC(Comparison) list = {0};
    double bar[sizeof kinds / sizeof *kinds];
    json_t *noise = read_noise(m, a, npz_path);
    for (int kind = 0; kind < (int)(sizeof kinds / sizeof *kinds); kind++) bar[kind] = bar_of(m, noise, kind);
    json_decref(noise);
    for (uint32_t i = 0; i < file->array.n; i++) {
        const Array *want = &file->array.at[i];
        int kind = kind_of(want->name);
        if (kind < 0) continue;
        const Array *got = arrays_find(out, want->name);
        Comparison c = {.name = want->name, .error = INFINITY, .bar = bar[kind]};
        const uint8_t *mask = strncmp(want->name, "output/", 7) == 0 ? real_mask(m, a, file, want, want->name + 7) : NULL;
        if (got) c.error = array_difference(got, want, mask);
        c.ok = c.error <= c.bar;
        VEC_PUSH(a, list) = c;
    }
    *n = list.n;
    if (list.n) return list.at;
    diag_error(m->ctx, 605, NOWHERE, "there are no expected arrays (output/ final/ loss grad/ adam/) to compare with");
    return NULL;
}
