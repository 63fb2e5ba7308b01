/* test_language: every rule of docs/language.md by a small program and its numbers, worked out by hand. Each file of
   tests/language holds models; before each stand comments that say what it is given and what must come of it:

     #: model NAME             what follows is about this model; options may follow: H=3
     #: x [2,3,1] 1 2 3 4 5 6  an input, target, length/T, init/h.h; batch first
     #: weight h.W 1 2         a weight; what is not given starts as the model says
     #= y 1 2 3                an output, or final/h.h, as predicted (`training` is false)
     #= metric/f1 0.5          a metric over the examples
     #= loss 0.5               the loss of training, and
     #= grad/param/h.W 1 2     a gradient
     #= weight/h.W 1 2         a weight as initialised
     #= names h.W[3,2] | h.h   weights with shapes, states
     #= trains                 with the JIT, two epochs on random arrays: the loss is a number

   Each is run by the evaluator and by the loop program, both in f64; the numbers agree to 1e-9. */
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rondo.h"

enum { ARRAYS_MAX = 24, WANTS_MAX = 64 };

static int passed, failed;

typedef struct {
    char name[64];
    rondo_array a;
    double value[256];
    int n;
} Numbers;

/* What the comments say about one model. */
typedef struct {
    const char *file;
    char model[64], set[4][64];
    int nset;
    Numbers in[ARRAYS_MAX], weight[ARRAYS_MAX], want[WANTS_MAX];
    int nin, nweight, nwant;
    char names[1024];
    bool trains;
} Case;

static void check(bool ok, const Case *c, const char *engine, const char *what) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED %s, model %s (%s): %s\n", c->file, c->model, engine, what);
    }
}

/* ---- reading the comments --------------------------------------------------------------------------------------------- */

static void blanks(char **s) { *s += strspn(*s, " \t"); }

static void word(char **s, char *out, size_t size) {
    blanks(s);
    size_t n = strcspn(*s, " \t\n");
    snprintf(out, size, "%.*s", (int)n, *s);
    *s += n;
}

/* name [dims] numbers */
static void read_numbers(char *s, Numbers *out) {
    word(&s, out->name, sizeof out->name);
    out->a = (rondo_array){.name = out->name, .type = RONDO_F64, .data = out->value};
    blanks(&s);
    if (*s == '[')
        while (*s && *s++ != ']') {
            char *end;
            long d = strtol(s, &end, 10);
            if (end != s) out->a.dim[out->a.rank++] = d;
            s = end;
        }
    for (;;) {
        char *end;
        double v = strtod(s, &end);
        if (end == s || out->n == 256) break;
        out->value[out->n++] = v;
        s = end;
    }
}

static void read_line(Case *c, bool given, char *s) {
    char first[64], *rest = s;
    word(&rest, first, sizeof first);
    if (given && !strcmp(first, "model")) return;
    if (!strcmp(first, "names")) snprintf(c->names, sizeof c->names, "%.*s", (int)strcspn(rest + 1, "\n"), rest + 1);
    else if (!given && !strcmp(first, "trains")) c->trains = true;
    else if (given && !strcmp(first, "weight") && c->nweight < ARRAYS_MAX) read_numbers(rest, &c->weight[c->nweight++]);
    else if (given && c->nin < ARRAYS_MAX) read_numbers(s, &c->in[c->nin++]);
    else if (!given && c->nwant < WANTS_MAX) read_numbers(s, &c->want[c->nwant++]);
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

static bool near(double a, double b) { return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-9 * (1 + fabs(b)); }

static double element(const rondo_array *a, int64_t i) {
    switch (a->type) {
    case RONDO_F32: return (double)((const float *)a->data)[i];
    case RONDO_F64: return ((const double *)a->data)[i];
    case RONDO_I32: return ((const int32_t *)a->data)[i];
    case RONDO_I64: return (double)((const int64_t *)a->data)[i];
    case RONDO_U8: return ((const uint8_t *)a->data)[i];
    }
    return (double)NAN;
}

static void compare(const Case *c, const char *engine, const Numbers *want, const rondo_array *got) {
    int64_t n = 1;
    bool ok;
    char text[512];
    size_t at = 0;
    for (int i = 0; i < got->rank; i++) n *= got->dim[i];
    ok = n == want->n;
    for (int64_t i = 0; ok && i < n; i++) ok = near(element(got, i), want->value[i]);
    if (ok && want->a.rank) {
        ok = want->a.rank == got->rank;
        for (int i = 0; ok && i < got->rank; i++) ok = want->a.dim[i] == got->dim[i];
    }
    at += (size_t)snprintf(text, sizeof text, "%s is", want->name);
    for (int64_t i = 0; !ok && i < n && at < 400; i++) at += (size_t)snprintf(text + at, sizeof text - at, " %.12g", element(got, i));
    for (int i = 0; !ok && i < got->rank && at < 480; i++) at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", i ? "," : " of shape ", (int)got->dim[i]);
    check(ok, c, engine, text);
}

static int arrays_of(const Case *c, bool targets, rondo_model *m, rondo_array *out) {
    int n = 0;
    for (int i = 0; i < c->nin; i++) {
        bool target = !strncmp(c->in[i].name, "target/", 7);
        for (size_t k = 0; k < rondo_count(m, RONDO_TARGET); k++) {
            rondo_info info;
            if (rondo_describe(m, RONDO_TARGET, k, &info) == RONDO_OK && !strcmp(info.name, c->in[i].name)) target = true;
        }
        if (targets || !target) out[n++] = c->in[i].a;
    }
    return n;
}

static void test_weight(const Case *c, const char *engine, rondo_model *m, Numbers *w) {
    float value[256];
    char *s = w->name;
    bool ok = rondo_get_weight(m, s, value, (size_t)w->n) == RONDO_OK;
    for (int i = 0; ok && i < w->n; i++) ok = fabs((double)value[i] - w->value[i]) <= 1e-6 * (1 + fabs(w->value[i]));
    check(ok, c, engine, w->name);
    if (!ok) {
        printf("  is");
        for (int i = 0; i < w->n; i++) printf(" %g", (double)value[i]);
        printf("\n%s", rondo_message(m));
    }
}

static void test_names(const Case *c, const char *engine, rondo_model *m) {
    char got[1024] = "";
    size_t at = 0;
    static const rondo_kind kinds[] = {RONDO_PARAM, RONDO_STATE};
    for (int k = 0; k < 2; k++) {
        if (k) at += (size_t)snprintf(got + at, sizeof got - at, "%s|", at ? " " : "");
        for (size_t i = 0; i < rondo_count(m, kinds[k]) && at < 900; i++) {
            rondo_info info;
            if (rondo_describe(m, kinds[k], i, &info) != RONDO_OK) continue;
            at += (size_t)snprintf(got + at, sizeof got - at, "%s%s", at ? " " : "", info.name);
            for (int d = 0; !k && d < info.rank; d++) at += (size_t)snprintf(got + at, sizeof got - at, "%s%d%s", d ? "," : "[", (int)info.dim[d], d + 1 == info.rank ? "]" : "");
        }
    }
    check(!strcmp(got, c->names), c, engine, got);
}

static rondo_status test_metric(const Case *c, const char *engine, rondo_model *m, const Numbers *w) {
    double value[64], loss;
    rondo_array in[ARRAYS_MAX];
    size_t n = rondo_count(m, RONDO_METRIC);
    rondo_status s = rondo_evaluate(m, NULL, in, (size_t)arrays_of(c, true, m, in), &loss, value, n < 64 ? n : 64);
    for (size_t i = 0; s == RONDO_OK && i < n && i < 64; i++) {
        rondo_info info;
        char text[160];
        if (rondo_describe(m, RONDO_METRIC, i, &info) != RONDO_OK || strcmp(info.name, w->name + 7)) continue;
        snprintf(text, sizeof text, "%s is %.12g", w->name, value[i]);
        check(near(value[i], w->value[0]), c, engine, text);
        return s;
    }
    if (s == RONDO_OK) check(false, c, engine, w->name);
    return s;
}

static void run(const Case *c, rondo_engine which) {
    const char *engine = which == RONDO_ENGINE_EVAL ? "eval" : "loops", *set[4];
    rondo_options o = RONDO_OPTIONS_INIT;
    rondo_array in[ARRAYS_MAX];
    rondo_model *m;
    o.model = c->model;
    o.engine = which;
    o.f64 = 1;
    o.std_dir = "std";
    for (int i = 0; i < c->nset; i++) set[i] = c->set[i];
    o.set = set;
    o.nset = (size_t)c->nset;
    rondo_status s = rondo_open(&m, c->file, &o);
    if (s == RONDO_OK) s = rondo_init_weights(m, 1);
    for (int i = 0; s == RONDO_OK && i < c->nweight; i++) {
        float value[256];
        for (int k = 0; k < c->weight[i].n; k++) value[k] = (float)c->weight[i].value[k];
        s = rondo_set_weight(m, c->weight[i].name, value, (size_t)c->weight[i].n);
    }
    check(s == RONDO_OK, c, engine, s == RONDO_OK ? "" : rondo_message(m));
    if (s == RONDO_OK && c->names[0]) test_names(c, engine, m);
    for (int i = 0; s == RONDO_OK && i < c->nwant; i++) {
        Numbers w = c->want[i];
        rondo_array got = {.type = RONDO_F64};
        double loss = 0;
        if (!strncmp(w.name, "weight/", 7)) {
            memmove(w.name, w.name + 7, strlen(w.name + 7) + 1);
            test_weight(c, engine, m, &w);
            continue;
        }
        if (!strncmp(w.name, "metric/", 7)) {
            s = test_metric(c, engine, m, &w);
        } else if (!strcmp(w.name, "loss")) {
            s = rondo_gradient(m, in, (size_t)arrays_of(c, true, m, in), 0, &loss, NULL, 0);
            got.data = &loss;
        } else if (!strncmp(w.name, "grad/", 5)) {
            got.name = w.name + 5;
            s = rondo_gradient(m, in, (size_t)arrays_of(c, true, m, in), 0, NULL, &got, 1);
        } else {
            got.name = w.name;
            s = rondo_predict(m, in, (size_t)arrays_of(c, false, m, in), &got, 1);
        }
        check(s == RONDO_OK, c, engine, s == RONDO_OK ? "" : rondo_message(m));
        if (s == RONDO_OK && got.data) compare(c, engine, &w, &got);
        s = RONDO_OK;
    }
    rondo_close(m);
}

/* ---- training --------------------------------------------------------------------------------------------------------- */

/* Random values for everything the model asks for: four examples, five steps. */
static int random_arrays(rondo_model *m, Numbers *out) {
    static const rondo_kind kinds[] = {RONDO_INPUT, RONDO_TARGET};
    uint32_t dice = 12345;
    int n = 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < rondo_count(m, kinds[k]) && n < ARRAYS_MAX; i++, n++) {
            rondo_info info;
            rondo_array *a = &out[n].a;
            if (rondo_describe(m, kinds[k], i, &info) != RONDO_OK) continue;
            snprintf(out[n].name, sizeof out[n].name, "%s%s", k ? "target/" : "", info.name);
            *a = (rondo_array){.name = out[n].name, .type = RONDO_F64, .rank = info.rank, .data = out[n].value};
            for (int d = 0; d < info.rank; d++) a->dim[d] = info.dim[d] != RONDO_ANY ? info.dim[d] : d ? 5 : 4;
            for (int v = 0; v < 256; v++) {
                dice = dice * 1664525u + 1013904223u;
                double u = dice / 4294967296.0;
                out[n].value[v] = info.vocabulary ? floor(u * (double)info.vocabulary) : info.type == RONDO_U8 ? u > 0.5 : u - 0.5;
            }
        }
    return n;
}

static void train(const Case *c) {
    static const char *const set[] = {"epochs=2"};
    static Numbers value[ARRAYS_MAX];
    rondo_options o = RONDO_OPTIONS_INIT;
    rondo_train_options t = RONDO_TRAIN_OPTIONS_INIT;
    rondo_train_result r = {0};
    rondo_array array[ARRAYS_MAX];
    rondo_model *m;
    o.model = c->model;
    o.std_dir = "std";
    o.set = set;
    o.nset = 1;
    rondo_status s = rondo_open(&m, c->file, &o);
    if (s == RONDO_OK) s = rondo_init_weights(m, 1);
    if (s == RONDO_OK) {
        t.narrays = (size_t)random_arrays(m, value);
        for (size_t i = 0; i < t.narrays; i++) array[i] = value[i].a;
        t.arrays = array;
        s = rondo_train(m, &t, &r);
    }
    check(s == RONDO_OK && r.epochs == 2 && isfinite(r.loss), c, "jit", s == RONDO_OK ? "trains" : rondo_message(m));
    rondo_close(m);
}

static void run_case(Case *c) {
    if (!c->model[0]) return;
    if (c->trains) train(c);
    if (!c->nwant && !c->names[0] && c->trains) return;
    run(c, RONDO_ENGINE_EVAL);
    run(c, RONDO_ENGINE_LOOPS);
}

static void begin(Case *c, char *s) {
    const char *file = c->file;
    *c = (Case){.file = file};
    word(&s, c->model, sizeof c->model); /* the word model */
    word(&s, c->model, sizeof c->model);
    for (c->nset = 0; c->nset < 4; c->nset++) {
        word(&s, c->set[c->nset], sizeof c->set[0]);
        if (!c->set[c->nset][0]) break;
    }
}

static void run_file(const char *path, const char *only) {
    static Case c;
    static char line[8192];
    FILE *f = fopen(path, "r");
    c = (Case){.file = path};
    while (f && fgets(line, sizeof line, f)) {
        if (line[0] != '#' || (line[1] != ':' && line[1] != '=')) continue;
        char *s = line + 2;
        blanks(&s);
        if (line[1] == ':' && !strncmp(s, "model ", 6)) {
            if (!only || !strcmp(c.model, only)) run_case(&c);
            begin(&c, s);
        } else read_line(&c, line[1] == ':', s);
    }
    if (!only || !strcmp(c.model, only)) run_case(&c);
    if (f) fclose(f);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* test_language [FILE [MODEL]] */
int main(int argc, char **argv) {
    static char path[200][300];
    int n = 0;
    if (argc > 1) run_file(argv[1], argc > 2 ? argv[2] : NULL);
    else {
        DIR *d = opendir("tests/language");
        for (struct dirent *e; d && n < 200 && (e = readdir(d)) != NULL;) {
            size_t len = strlen(e->d_name);
            if (len > 6 && !strcmp(e->d_name + len - 6, ".rondo")) snprintf(path[n++], sizeof path[0], "tests/language/%s", e->d_name);
        }
        if (d) closedir(d);
        qsort(path, (size_t)n, sizeof path[0], by_name);
        for (int i = 0; i < n; i++) run_file(path[i], NULL);
        if (n == 0) failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
