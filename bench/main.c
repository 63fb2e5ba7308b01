/* bench: runs workloads, alone or with rivals that take turns with Rondo on the same cores, and prints a JSON object a line.
     bench [--peers] [--seconds S] [--threads N] [--rounds N] FOLDER [PATTERN..]
     bench --read                           the rate of reading from each cache and from memory
     bench --first [--threads N] FOLDER PATTERN   milliseconds from reading the model to its first gradients of two steps, in this process
   FOLDER is bench/; patterns as of a shell. Fields: ms_min, ms_median over all calls; flops of the products; bytes: weights once a step, x, y and
   h once, for a training step three times; gflops = flops / ms_min; peak_gflops the best multiply-add rate of the same minute, all threads together; peak_fraction; value, gnorm: what came
   out, to be the same for all; note. A contestant that is not there says so, once, as {"peer", "skipped"}. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "bench/rondo_model.h"
#include "cli/cli.h"

extern const Contestant rondo_compiler, rondo_cached;

enum { ENTRANTS = 16 };
typedef struct {
    const char *name;
    const Contestant *c; /* NULL: Python */
    void *self;
    bool broken;
    Times t;
} Entrant;

typedef struct {
    bool peers, read, first;
    double seconds;
    int threads, rounds;
} Options;

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double cli_now(void) { /* what cli/peak.c needs of the command */
    return bench_now();
}

bool bench_time(bool (*fn)(void *arg), void *arg, double calls, double seconds, Times *t) {
    double end = bench_now() + seconds;
    do {
        double from = bench_now();
        if (!fn(arg)) return false;
        if (t->n < TIMES) t->ms[t->n++] = 1e3 * (bench_now() - from) / calls;
    } while (bench_now() < end);
    return true;
}

double mean_square(const float *v, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)v[i] * (double)v[i];
    return sum / (double)n;
}

float *stack_weights(const Problem *p, const char *const *name, int n) {
    const Weight *part[8];
    int64_t all = 0;
    for (int i = 0; i < n; i++) {
        part[i] = NULL;
        for (int k = 0; k < p->nweight; k++)
            if (strcmp(p->weight[k].name, name[i]) == 0) part[i] = &p->weight[k];
        if (!part[i]) return NULL;
        all += part[i]->n;
    }
    float *out = malloc((size_t)all * sizeof *out), *at = out;
    for (int i = 0; i < n; at += part[i]->n, i++) memcpy(at, part[i]->at, (size_t)part[i]->n * sizeof *at);
    return out;
}

float *time_first(const float *a, int64_t B, int64_t T, int64_t F) {
    float *out = malloc((size_t)(B * T * F) * sizeof *out);
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++) memcpy(out + (t * B + b) * F, a + (b * T + t) * F, (size_t)F * sizeof *out);
    return out;
}

/* ---- problems ----------------------------------------------------------------------------------------------------------- */

static double uniform(uint64_t *state) { /* splitmix64; in (0, 1) */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static float *normal(int64_t n, uint64_t seed) { /* times 0.5 */
    float *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = (float)(0.5 * sqrt(-2 * log(uniform(&seed))) * cos(6.283185307179586 * uniform(&seed)));
    return v;
}

/* name model mode B T then sizes as for --set, which are I, H and others. */
static bool parse(char *line, Problem *p) {
    static const char *const mode[] = {"forward", "train", "step", "compile"};
    char word[16], *rest;
    long long B, T;
    int at = 0;
    if (sscanf(line, "%63s %63s %15s %lld %lld %n", p->name, p->model, word, &B, &T, &at) != 5) return false;
    p->model[strcspn(p->model, ".")] = 0;
    for (int i = 0; i < 4; i++)
        if (strcmp(word, mode[i]) == 0) p->mode = (Mode)i;
    p->B = B;
    p->T = T;
    p->layers = strcmp(p->model, "lstm2") == 0 ? 2 : 1;
    for (char *s = strtok_r(line + at, " \n", &rest); s && p->nset < SETS; s = strtok_r(NULL, " \n", &rest)) {
        snprintf(p->set[p->nset++], sizeof p->set[0], "%s", s);
        if (!strncmp(s, "I=", 2)) p->I = atoll(s + 2);
        if (!strncmp(s, "H=", 2)) p->H = atoll(s + 2);
    }
    return p->I > 0 && p->H > 0;
}

/* As the model draws them; a vector that it begins as a constant gets noise, so that no gate is like another. */
static bool draw_weights(Problem *p) {
    rondo_model *m = open_problem(p);
    bool ok = m != NULL;
    uint64_t seed = 3;
    for (size_t i = 0; ok && i < rondo_count(m, RONDO_PARAM) && p->nweight < WEIGHTS; i++) {
        rondo_info info;
        Weight *w = &p->weight[p->nweight++];
        ok = rondo_describe(m, RONDO_PARAM, i, &info) == RONDO_OK;
        snprintf(w->name, sizeof w->name, "%s", info.name);
        w->rank = info.rank;
        w->n = 1;
        for (int k = 0; k < info.rank; k++) w->n *= w->dim[k] = info.dim[k];
        w->at = malloc((size_t)w->n * sizeof *w->at);
        ok = ok && rondo_get_weight(m, w->name, w->at, (size_t)w->n) == RONDO_OK;
        bool same = ok && w->rank == 1;
        for (int64_t k = 1; same && k < w->n; k++) same = w->at[k] == w->at[0];
        for (int64_t k = 0; same && k < w->n; k++) w->at[k] += (float)((2 * uniform(&seed) - 1) / sqrt((double)p->H));
    }
    rondo_close(m);
    return ok;
}

/* Three products for a weight of the recurrence (forward, its gradient, that of its operand), two for one of the model's input. */
static void count_flops(Problem *p) {
    for (int i = 0; i < p->nweight; i++) {
        const Weight *w = &p->weight[i];
        const char *dot = strrchr(w->name, '.');
        if (w->rank != 2) continue;
        bool first = p->layers == 1 || strncmp(w->name, "lstm.", 5) == 0, mixed = strcmp(p->model, "cfc") == 0;
        double in = first && dot && dot[1] == 'W' && !mixed ? (double)w->n : 0;
        if (first && mixed && dot && strcmp(dot, ".Wb") == 0) in = (double)(w->dim[0] * p->I);
        bool train = p->mode == TRAIN || p->mode == COMPILE;
        p->flops += 2 * (double)(p->B * p->T) * (train ? 3 * (double)w->n - in : (double)w->n);
    }
}

static double bytes_of(const Problem *p) {
    double weights = 0, sequences = (double)(p->B * p->T * (p->I + p->layers * p->H + (p->mode == FORWARD ? 0 : p->H)));
    for (int i = 0; i < p->nweight; i++) weights += (double)p->weight[i].n;
    return 4 * (p->mode == TRAIN ? 3 : 1) * ((double)p->T * weights + sequences);
}

static void problem_free(Problem *p) {
    for (int i = 0; i < p->nweight; i++) free(p->weight[i].at);
    free(p->x);
    free(p->y);
}

/* ---- turns -------------------------------------------------------------------------------------------------------------- */

static void say_skipped(const char *peer, const char *why) {
    static char said[ENTRANTS][32];
    for (int i = 0; i < ENTRANTS; i++) {
        if (strcmp(said[i], peer) == 0) return;
        if (said[i][0]) continue;
        snprintf(said[i], sizeof said[i], "%s", peer);
        printf("{\"peer\": \"%s\", \"skipped\": \"%s\"}\n", peer, why);
        return;
    }
}

static void enter(Entrant *e, int *n, const char *name, const Contestant *c, const Problem *p) {
    Entrant *x = &e[*n];
    *x = (Entrant){.name = name, .c = c};
    x->t.value = x->t.gnorm = NAN;
    x->self = c ? c->make(p, &x->t) : python_make(name, p, &x->t);
    if (x->self) ++*n;
    else if (x->t.note[0]) say_skipped(name, x->t.note);
}

static int enter_all(Entrant *e, const Problem *p, bool peers) {
    static const Contestant *const rival[] = {
#ifdef WITH_ONEDNN
        &onednn_contestant,
#endif
#ifdef WITH_OPENBLAS
        &openblas_contestant,
#endif
        &naive_contestant};
    int n = 0;
    if (p->mode == COMPILE) {
        enter(e, &n, "rondo", &rondo_compiler, p);
        enter(e, &n, "rondo-cached", &rondo_cached, p);
    } else {
        enter(e, &n, "rondo", &rondo_contestant, p);
    }
    for (size_t i = 0; peers && p->mode != COMPILE && i < sizeof rival / sizeof *rival; i++) enter(e, &n, rival[i]->name, rival[i], p);
    for (int i = 0; peers && python_peer[i]; i++) enter(e, &n, python_peer[i], NULL, p);
    return n;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_number(const char *key, double v) {
    if (isfinite(v)) printf(", \"%s\": %.7g", key, v);
}

static void print_entrant(const Problem *p, Entrant *e, double peak) {
    printf("{\"workload\": \"%s\", \"peer\": \"%s\", \"threads\": %d", p->name, e->name, p->threads);
    if (e->broken || !e->t.n) {
        printf(", \"error\": \"it stopped\"}\n");
        return;
    }
    qsort(e->t.ms, (size_t)e->t.n, sizeof *e->t.ms, by_value);
    double rate = p->flops / e->t.ms[0] * 1e-6;
    printf(", \"ms_min\": %.6g, \"ms_median\": %.6g, \"reps\": %d", e->t.ms[0], e->t.ms[e->t.n / 2], e->t.n);
    if (p->mode != COMPILE)
        printf(", \"flops\": %.0f, \"bytes\": %.0f, \"gflops\": %.2f, \"peak_gflops\": %.1f, \"peak_fraction\": %.4f", p->flops, bytes_of(p), rate, peak,
               rate / peak);
    print_number("value", e->t.value);
    print_number("gnorm", e->t.gnorm);
    for (char *c = e->t.note; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') *c = ' ';
    printf(", \"note\": \"%s\"}\n", e->t.note);
}

static bool run_workload(Ctx *ctx, Problem *p, const Options *o) {
    static Entrant e[ENTRANTS];
    uint64_t I = (uint64_t)p->I;
    p->x = normal(p->B * p->T * p->I, 1);
    p->y = normal(p->B * p->T * p->H, 2 + I);
    if (!draw_weights(p)) return false;
    count_flops(p);
    if (o->first) return printf("%.17g\n", first_gradients(p)) > 0;
    int n = enter_all(e, p, o->peers);
    double peak = 0;
    for (int round = 0; round < o->rounds; round++) {
        double now = fma_peak(ctx, false, 0.02);
        if (now > peak) peak = now;
        for (int i = 0; i < n; i++) {
            if (e[i].broken) continue;
            bool ok = e[i].c ? e[i].c->run(e[i].self, o->seconds / o->rounds, &e[i].t) : python_run(e[i].self, o->seconds / o->rounds, &e[i].t);
            if (round == 0 && o->rounds > 1) e[i].t.n = 0; /* the first turn warms up */
            e[i].broken = !ok;
        }
    }
    bool good = n > 0 && !e[0].broken;
    for (int i = 0; i < n; i++) {
        print_entrant(p, &e[i], peak * 1e-9 * p->threads);
        if (e[i].c) e[i].c->end(e[i].self);
        else python_end(e[i].self);
    }
    fflush(stdout);
    return good;
}

static bool wanted(const char *name, char **pattern, int n) {
    for (int i = 0; i < n; i++)
        if (fnmatch(pattern[i], name, 0) == 0) return true;
    return n == 0;
}

static const char usage[] = "usage: bench [--peers] [--seconds S] [--threads N] [--rounds N] FOLDER [PATTERN..]\n       bench --first [--threads N] FOLDER PATTERN\n       bench --read\n";

static int read_options(int argc, char **argv, Options *o) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--peers") == 0) o->peers = true;
        else if (strcmp(argv[i], "--read") == 0) o->read = true;
        else if (strcmp(argv[i], "--first") == 0) o->first = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) o->seconds = atof(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) o->threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) o->rounds = atoi(argv[++i]);
        else return argc;
    }
    return o->seconds > 0 && o->threads > 0 && o->rounds > 0 ? i : argc;
}

int main(int argc, char **argv) {
    Options o = {.seconds = 0.5, .threads = 1, .rounds = 8};
    char path[600], line[256];
    int at = read_options(argc, argv, &o), failed = 0;
    if (o.read) {
        print_bandwidth();
        return 0;
    }
    if (at >= argc) {
        fputs(usage, stderr);
        return 2;
    }
    snprintf(path, sizeof path, "%s/workloads.txt", argv[at]);
    FILE *f = fopen(path, "r");
    Ctx *ctx = ctx_make(NULL);
    if (!f || !ctx) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    while (fgets(line, sizeof line, f)) {
        Problem p = {.threads = o.threads};
        snprintf(p.folder, sizeof p.folder, "%.500s/", argv[at]);
        if (line[0] == '#' || !parse(line, &p) || !wanted(p.name, argv + at + 1, argc - at - 1)) continue;
        if (!run_workload(ctx, &p, &o)) failed = 1;
        problem_free(&p);
    }
    fclose(f);
    ctx_destroy(ctx);
    return failed;
}
