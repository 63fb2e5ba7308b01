/* emit_check: NAME_test.c, a program that holds the emitted functions against what the runtime computed when it was written.
   With fused multiply and add (as the runtime has it) the bits are the same; without it they differ by rounding. */
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"
#include "runtime/records.h"
#include "runtime/train.h"

enum { BATCH = 2, STEPS = 5 };
enum { SHOWN = 4096 }; /* expected numbers of one array that stand in the test */

typedef struct {
    CModel *c;
    Arrays in, out; /* as for run_arrays */
    int64_t axis[MAX_AXES];
    uint64_t random;
} Check;

static double draw(Check *x) { /* [0, 1) */
    x->random = x->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(x->random >> 40) / 16777216.0;
}

static void find_axes(Check *x, const Module *m) {
    int64_t steps = data_string(x->c->m, "csv") ? (int64_t)data_number(x->c->m, "window") : STEPS;
    if (steps < 1 || steps > 64) steps = STEPS;
    for (uint32_t k = 0; k < m->naxis; k++) {
        const Axis *a = &m->axis[k];
        x->axis[k] = a->kind == AXIS_COUNT  ? a->count
                     : a->kind == AXIS_JOIN ? x->axis[a->a] + x->axis[a->b]
                     : a->kind == AXIS_TIME ? steps
                                            : BATCH;
    }
}

static bool make_array(Check *x, const Module *m, const CPort *p, const char *prefix) {
    int64_t dim[RONDO_MAX_RANK];
    int rank = 0;
    for (uint32_t k = 0; k < m->naxis; k++)
        if (p->axes & AX(k) && rank < RONDO_MAX_RANK) dim[rank++] = x->axis[k];
    for (int k = 0; k < p->rank && rank < RONDO_MAX_RANK; k++) dim[rank++] = p->dim[k];
    const char *name = arena_printf(x->c->a, "%s%s", p->length ? "length/" : prefix, p->name);
    Array *a =
        arrays_add(x->c->a, &x->in, name, p->dtype == DT_F ? x->c->m->f64 ? RONDO_F64 : RONDO_F32 : RONDO_I32, rank, dim);
    if (!a) return false;
    int64_t n = array_count(a);
    for (int64_t i = 0; i < n && p->length; i++) array_set(a, i, i && x->axis[p->length] > 2 ? (double)(x->axis[p->length] - 2) : (double)x->axis[p->length]);
    for (int64_t i = 0; i < n && !p->length; i++) {
        double v = draw(x);
        array_set(a, i, p->dtype == DT_F ? v : (double)(int64_t)(v * (p->dtype == DT_B || !p->vocab ? 2 : p->vocab)));
    }
    return true;
}

/* ---- expected numbers ----------------------------------------------------------------------------------------------------- */

static int64_t block_of(int64_t n) { return (n + SHOWN - 1) / SHOWN; }

/* An array of expected numbers. A large one as weighted means of blocks, so that a test is no longer than it need be and each number
   counts all the same. Weights are small: products of floats with them are exact, fused or not. */
static void put_want(CModel *c, const char *type, const char *name, const double *v, int64_t n, bool is_int) {
    int64_t block = block_of(n), blocks = block > 1 ? (n + block - 1) / block : 0;
    if (!blocks) {
        c_array(c, &c->t, type, name, v, n, is_int);
        return;
    }
    str_printf(&c->t, "static const double %s[%lld] = { /* means of %lld numbers each */", name, (long long)blocks, (long long)block);
    for (int64_t k = 0; k < blocks; k++) {
        double sum = 0;
        for (int64_t i = k * block; i < n && i < (k + 1) * block; i++) sum += (double)(1 + i % 7) * (double)(float)v[i];
        str_printf(&c->t, "%s %s,", k % 5 ? "" : "\n   ", c_double(c, sum / (4.0 * (double)block)));
    }
    str_put(&c->t, "\n};\n");
}

/* Number i, an expression, of n: `got` against `want`, an array that put_want wrote. */
static const char *differs(CModel *c, const char *what, const char *i, const char *got, const char *want, int64_t n) {
    if (block_of(n) <= 1) return arena_printf(c->a, "differs(\"%s\", %s, (double)%s, (double)%s[%s])", what, i, got, want, i);
    return arena_printf(c->a, "block_differs(\"%s\", %s, (double)%s, %s, %lld, %lld)", what, i, got, want, (long long)block_of(n), (long long)n);
}

static const char block_differs[] =
    "\n/* Of large arrays: weighted means of blocks. i goes from 0 to n - 1. */\n"
    "static int block_differs(const char *what, long i, double got, const double *want, long block, long n)\n{\n"
    "    static double sum;\n    if (i % block == 0) sum = 0;\n    sum += (double)(1 + i % 7) * (double)(float)got;\n"
    "    if ((i + 1) % block != 0 && i + 1 < n) return 0;\n    if (!differs(what, i, sum / (4.0 * (double)block), want[i / block])) return 0;\n"
    "    printf(\"that is a mean of %ld up to it\\n\", block);\n    return 1;\n}\n";

/* ---- arrays of the test --------------------------------------------------------------------------------------------------- */

static void put_values(Check *x, const char *name, const Array *a, uint8_t dtype, bool want) {
    CModel *c = x->c;
    int64_t n = array_count(a);
    double *v = NEW_N(&c->values, double, n + 1);
    for (int64_t i = 0; i < n; i++) v[i] = array_get(a, i);
    if (want) put_want(c, c_type(c, dtype), name, v, n, dtype == DT_I);
    else c_array(c, &c->t, c_type(c, dtype), name, v, n, dtype == DT_I);
    arena_free(&c->values);
}

static bool predict_once(Check *x) {
    ExecOptions *o = model_exec_options(x->c->m);
    ExecEngine keep = o->engine;
    o->engine = EXEC_LOOPS;
    x->out = (Arrays){0};
    bool ok = run_arrays(x->c->m, &(RunOptions){.whole = true}, &x->in, x->c->a, &x->out);
    o->engine = keep;
    return ok;
}

static void put_head(CModel *c) {
    str_printf(&c->t,
               "/* %s_test.c: holds %s.c against the numbers that Rondo computed. Prints PASS, or the first difference.\n"
               "   Written by Rondo %s. This file belongs to you: no licence of Rondo's is attached to it. */\n"
               "#include \"%s.h\"\n\n#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n\n",
               c->id, c->id, RONDO_VERSION, c->id);
    bool exact = c->m->opt.exec.math != MATH_SLEEF && !c->calls;
    str_printf(&c->t,
               "/* Largest difference, relative to 1 + |expected|; clang's -ffast-math fuses products and sums that are written apart. */\n#ifndef TOLERANCE\n"
               "#if %s(defined(%s) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)) && !(defined(__clang__) && defined(__FAST_MATH__))\n"
               "#define TOLERANCE 0.0\n"
               "#else\n#define TOLERANCE %s\n#endif\n#endif\n\n",
               exact ? "" : "0 && ", c->m->f64 ? "FP_FAST_FMA" : "FP_FAST_FMAF", c->m->f64 ? "1e-6" : "1e-5");
    str_printf(&c->t, "static const %s_weights *weights;\n\n", c->id);
    str_put(&c->t, "static int differs(const char *what, long i, double got, double want)\n{\n"
                   "    if ((got != got && want != want) || fabs(got - want) <= TOLERANCE * (1.0 + fabs(want))) return 0;\n"
                   "    printf(\"%s[%ld] is %.9g, not %.9g\\n\", what, i, got, want);\n    return 1;\n}\n\n");
}

static const char *arguments(CModel *c, const CPorts *x, const char *prefix) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < x->n; k++) str_printf(&s, "%s%s, ", prefix, x->at[k].id);
    return s.n ? s.at : "";
}

static const char *sizes(Check *x, const Module *m) {
    Str s = str_make(x->c->a);
    for (uint32_t k = 1; k < m->naxis; k++)
        if (m->axis[k].kind == AXIS_TIME) str_printf(&s, "%lld, ", (long long)x->axis[k]);
    str_printf(&s, "%lld", (long long)x->axis[0]);
    return s.at;
}

static void put_compare(CModel *c, Str *s, const char *what, const char *got, const char *want, int64_t n) {
    str_printf(s, "    for (k = 0; k < %lld; k++)\n        if (%s) return 1;\n", (long long)n, differs(c, what, "k", arena_printf(c->a, "%s[k]", got), want, n));
}

static bool put_predict(Check *x, Str *body) {
    CModel *c = x->c;
    const CProgram *p = &c->infer;
    if (!predict_once(x)) return false;
    str_printf(body, "\nstatic int check_predict(void)\n{\n    long k;\n    void *work = malloc(%s_predict_workspace(%s));\n",
               c->id, sizes(x, p->m));
    Str after = str_make(c->a);
    for (uint32_t k = 0; k < p->out.n; k++) {
        const CPort *q = &p->out.at[k];
        const Array *a = arrays_find(&x->out, arena_printf(c->a, "output/%s", q->name));
        if (!a) return true;
        const char *want = arena_printf(c->a, "want_%s", q->id);
        put_values(x, want, a, q->dtype, true);
        str_printf(body, "    static %s got_%s[%lld];\n", c_type(c, q->dtype), q->id, (long long)array_count(a));
        put_compare(c, &after, q->id, arena_printf(c->a, "got_%s", q->id), want, array_count(a));
    }
    const char *out = arguments(c, &p->out, "got_");
    str_printf(body, "    if (!work) return puts(\"no memory\"), 1;\n    %s_predict(weights, %s%s, %swork);\n    free(work);\n%s    return 0;\n}\n", c->id,
               arguments(c, &p->in, "in_"), sizes(x, p->m), out, after.n ? after.at : "");
    return true;
}

static bool has_time(const Module *m, const CPort *x) {
    for (uint32_t k = 1; k < m->naxis; k++)
        if (x->axes & AX(k) && m->axis[k].kind == AXIS_TIME) return true;
    return false;
}

/* Example 0 step by step, through a stream of the runtime. */
static bool put_steps(Check *x, Str *body) {
    CModel *c = x->c;
    const CProgram *p = &c->step;
    size_t nx = rondo_stream_inputs(c->live), ny = rondo_stream_outputs(c->live);
    int64_t steps = 0;
    for (uint32_t k = 1; k < p->m->naxis; k++)
        if (p->m->axis[k].kind == AXIS_TIME) steps = x->axis[k];
    float *row = NEW_N(c->a, float, nx + 1), *y = NEW_N(c->a, float, ny + 1);
    double *want = NEW_N(c->a, double, (size_t)steps *ny + 1);
    for (int64_t t = 0; t < steps; t++) {
        size_t at = 0;
        for (uint32_t k = 0; k < p->in.n; k++) {
            const Array *a = arrays_find(&x->in, arena_printf(c->a, "input/%s", p->in.at[k].name));
            bool seq = has_time(p->m, &p->in.at[k]);
            for (int64_t i = 0; i < p->in.at[k].n; i++) row[at++] = (float)array_get(a, (seq ? t * p->in.at[k].n : 0) + i);
        }
        if (at != nx) return true; /* an input over an axis of its own */
        if (!stream_steps(c->live, 1, row, y)) return false; /* of floats, in f64 too */
        for (size_t i = 0; i < ny; i++) want[(size_t)t * ny + i] = y[i];
    }
    put_want(c, "float", "want_steps", want, steps * (int64_t)ny, false);
    str_printf(body,
               "\nstatic int check_steps(void)\n{\n    static %s_state s;\n    long t, k, at = 0;\n    %s_init(&s%s);\n    for "
               "(t = 0; t < %lld; t++) {\n",
               c->id, c->id, has_constants(c) ? "" : ", weights", (long long)steps);
    for (uint32_t k = 0; k < p->out.n; k++)
        str_printf(body, "        %s got_%s[%lld];\n", c_type(c, p->out.at[k].dtype), p->out.at[k].id,
                   (long long)p->out.at[k].n);
    str_printf(body, "        %s_step(&s", c->id);
    for (uint32_t k = 0; k < p->in.n; k++)
        str_printf(body, ", in_%s + %s%lld", p->in.at[k].id, has_time(p->m, &p->in.at[k]) ? "t * " : "0 * ",
                   (long long)p->in.at[k].n);
    for (uint32_t k = 0; k < p->out.n; k++) str_printf(body, ", got_%s", p->out.at[k].id);
    str_put(body, ");\n");
    for (uint32_t k = 0; k < p->out.n; k++)
        str_printf(body, "        for (k = 0; k < %lld; k++, at++)\n            if (%s) return 1;\n", (long long)p->out.at[k].n,
                   differs(c, arena_printf(c->a, "step: %s", p->out.at[k].id), "at", arena_printf(c->a, c->m->f64 ? "(float)got_%s[k]" : "got_%s[k]", p->out.at[k].id), "want_steps", steps * (int64_t)ny));
    str_put(body, "    }\n    return 0;\n}\n");
    return true;
}

/* All examples as one stream through the window: what the runtime says of each window. */
typedef struct {
    Check *x;
    int64_t delay, steps; /* of the stream */
    double **want;        /* by output */
    int64_t *n;           /* numbers in it */
} Seen;

static bool run_seen(Seen *s, int64_t from, int64_t to) {
    Check *x = s->x;
    CModel *c = x->c;
    Arrays in = {0}, keep = x->in;
    for (uint32_t k = 0; k < c->infer.in.n; k++) {
        const CPort *p = &c->infer.in.at[k];
        const char *name = arena_printf(c->a, "input/%s", p->name);
        const Array *all = arrays_find(&x->in, name);
        bool seq = p->axes & ~AX(AXIS_B);
        int64_t dim[RONDO_MAX_RANK];
        for (int d = 0; d < all->rank; d++) dim[d] = d == 0 ? 1 : d == 1 && seq ? to - from : all->dim[d];
        Array *one = arrays_add(c->a, &in, name, all->type, all->rank, dim);
        for (int64_t i = 0; one && i < array_count(one); i++) array_set(one, i, array_get(all, (seq ? from * p->n : 0) + i));
        if (!one) return false;
    }
    x->in = in;
    bool ok = predict_once(x);
    x->in = keep;
    return ok;
}

/* Outputs of steps [first, last) of the window that has just been run; of those without steps once, if wanted. */
static void take_seen(Seen *s, int64_t first, int64_t last, bool whole) {
    CModel *c = s->x->c;
    for (uint32_t k = 0; k < c->infer.out.n; k++) {
        const CPort *p = &c->infer.out.at[k];
        bool seq = p->axes & ~AX(AXIS_B);
        const Array *a = arrays_find(&s->x->out, arena_printf(c->a, "output/%s", p->name));
        for (int64_t t = seq ? first : 0; t < (seq ? last : whole); t++)
            for (int64_t i = 0; i < p->n; i++) s->want[k][s->n[k]++] = array_get(a, t * p->n + i);
    }
}

static bool put_window(Check *x, Str *body) {
    CModel *c = x->c;
    Seen s = {x, c->delay, 0, NEW_N(c->a, double *, c->infer.out.n + 1), NEW_N(c->a, int64_t, c->infer.out.n + 1)};
    if (!c->o->window) return true;
    for (uint32_t k = 1; k < c->infer.m->naxis; k++)
        if (c->infer.m->axis[k].kind == AXIS_TIME) s.steps = BATCH * x->axis[k];
    for (uint32_t k = 0; k < c->infer.out.n; k++) s.want[k] = NEW_N(c->a, double, s.steps * c->infer.out.at[k].n + 1);
    for (int64_t t = 1; t <= s.steps; t++) {
        int64_t from = t > c->o->window ? t - c->o->window : 0, n = t - from;
        if ((n > s.delay || t == s.steps) && !run_seen(&s, from, t)) return false;
        if (n > s.delay) take_seen(&s, n - 1 - s.delay, n - s.delay, true);
        if (t == s.steps) take_seen(&s, n > s.delay ? n - s.delay : 0, n, false);
    }
    Str in = str_make(c->a), out = str_make(c->a), rest = str_make(c->a), after = str_make(c->a);
    for (uint32_t k = 0; k < c->infer.in.n; k++) {
        const CPort *p = &c->infer.in.at[k];
        str_printf(&in, ", in_%s + %s", p->id, p->axes & ~AX(AXIS_B) ? arena_printf(c->a, "t * %lld", (long long)p->n) : "0");
    }
    str_printf(body, "\nstatic int check_window(void)\n{\n    static %s_state s;\n    long t, k, got = 0;\n", c->id);
    for (uint32_t k = 0; k < c->infer.out.n; k++) {
        const CPort *p = &c->infer.out.at[k];
        const char *name = arena_printf(c->a, "seen_%s", p->id), *want = arena_printf(c->a, "want_%s", name);
        put_want(c, c_type(c, p->dtype), want, s.want[k], s.n[k], p->dtype != DT_F);
        str_printf(body, "    static %s %s[%lld];\n", c_type(c, p->dtype), name, (long long)(s.steps * p->n));
        str_printf(&out, ", %s + got * %lld", name, (long long)p->n);
        if (p->axes & ~AX(AXIS_B)) str_printf(&rest, ", %s + got * %lld", name, (long long)p->n);
        put_compare(c, &after, name, name, want, s.n[k]);
    }
    str_printf(body, "    %s_init(&s%s);\n    for (t = 0; t < %lld; t++) got += %s_step(&s%s%s);\n", c->id, has_constants(c) ? "" : ", weights", (long long)s.steps,
               c->id, in.n ? in.at : "", out.at);
    if (s.delay) str_printf(body, "    got += %s_finish(&s%s);\n", c->id, rest.at);
    str_printf(body, "    if (differs(\"outputs of the stream\", 0, (double)got, %lld)) return 1;\n%s    return 0;\n}\n", (long long)s.steps, after.at);
    return true;
}

/* What the model answers to example 0. */
static bool put_decoding(Check *x, Str *body) {
    enum { MOST = 12 };
    CModel *c = x->c;
    const Vocabulary *v = c->m->fitted ? c->m->fitted->vocabulary : NULL;
    DecodePorts port;
    if (!c->decodes || !v || v->end < 0 || decode_unsuited(c->m, &port)) return true;
    const Array *source = arrays_find(&x->in, arena_printf(c->a, "input/%s", name_str(c->ctx, port.source)));
    int32_t token[MOST];
    double want[MOST];
    int64_t n = source->dim[1], count;
    if (!decode_ids(c->m, source->data, n, MOST, token, &count)) return false;
    for (int64_t k = 0; k < count; k++) want[k] = token[k];
    c_array(c, &c->t, "int32_t", "want_tokens", want, count, true);
    str_printf(body,
               "\nstatic int check_decode(void)\n{\n    int32_t got_tokens[%d];\n    int k, n;\n    void *work = malloc(%s_decode_workspace(%lld));\n"
               "    if (!work) return puts(\"no memory\"), 1;\n    n = %s_decode(weights, in_%s, %lld, %s_END, %d, got_tokens, work);\n    free(work);\n"
               "    if (differs(\"number of tokens\", 0, (double)n, %lld)) return 1;\n",
               MOST, c->id, (long long)n, c->id, c_ident(c->a, name_str(c->ctx, port.source), false), (long long)n, c->upper, MOST, (long long)count);
    put_compare(c, body, "tokens", "got_tokens", "want_tokens", count);
    str_put(body, "    return 0;\n}\n");
    return true;
}

typedef struct {
    Check *x;
    Exec *exec;
    double loss, *grad;
} Trained;

/* One batch as `rondo train` runs it: the module of which the gradient is emitted. Another one, with outputs and with gradients of
   the inputs, adds what a value receives from several uses in another order. */
static bool train_once(void *arg) {
    Trained *t = arg;
    CModel *c = t->x->c;
    int64_t n = model_theta_size(c->m);
    const Module *mod = emit_weighed_module(c, false);
    void *slab = arena_alloc_n(c->a, (size_t)n + 16, c->m->f64 ? 8 : 4);
    ExecOptions o = *model_exec_options(c->m);
    o.engine = EXEC_LOOPS;
    o.grad = true;
    t->exec = mod ? exec_make(c->ctx, mod, &o, NULL) : NULL;
    if (!t->exec || !run_exec(c->m, t->exec, &t->x->in, 1u << INPUT_DATA | 1u << INPUT_TARGET, 0, slab)) return false;
    t->loss = exec_get_scalar(t->exec, (uint32_t)exec_root(t->exec, ROOT_LOSS, 0, 0));
    for (int64_t i = 0; i < n; i++) t->grad[i] = c->m->f64 ? ((const double *)slab)[i] : (double)((const float *)slab)[i];
    return true;
}

/* What the factors of the loss are in the runtime: those of the test's array and those of the classes of the first target in one. */
static bool weigh_rows(Check *x, const CProgram *p) {
    CModel *c = x->c;
    if (p->weight < 0) return true;
    const Input *in = &p->m->input.at[p->weight];
    const Array *given = p->weight_port < 0 ? NULL : arrays_find(&x->in, arena_printf(c->a, "given/%s", ROW_WEIGHT_NAME));
    const Array *y = c->weigh.class_weight ? arrays_find(&x->in, arena_printf(c->a, "target/%s", name_str(c->ctx, c->m->desc->target.at[0].name))) : NULL;
    int64_t dim[RONDO_MAX_RANK], steps = 1;
    int rank = 0;
    for (uint32_t k = 0; k < p->m->naxis; k++)
        if (in->axes & AX(k) && rank < RONDO_MAX_RANK) dim[rank++] = x->axis[k];
    for (int k = 1; k < rank; k++) steps *= dim[k];
    Array *w = arrays_add(c->a, &x->in, ROW_WEIGHT_NAME, c->m->f64 ? RONDO_F64 : RONDO_F32, rank, dim);
    for (int64_t i = 0; w && i < array_count(w); i++) {
        double f = given ? array_get(given, array_count(given) == array_count(w) ? i : i / steps) : 1;
        int64_t class = y ? (int64_t)array_get(y, array_count(y) == array_count(w) ? i : i / steps) : -1;
        double of_class = class < 0 ? 1 : class < c->weigh.nclass ? c->weigh.class_weight[class] : 0;
        array_set(w, i, f * (c->m->f64 ? of_class : (double)(float)of_class));
    }
    return w != NULL;
}

static bool put_gradient(Check *x, Str *body) {
    CModel *c = x->c;
    const CProgram *p = &c->grad;
    int64_t n = model_theta_size(c->m);
    for (uint32_t k = 0; k < p->target.n; k++) {
        if (!make_array(x, p->m, &p->target.at[k], k == p->weight_port ? "given/" : "target/")) return false;
        put_values(x, arena_printf(c->a, "target_%s", p->target.at[k].id), &x->in.array.at[x->in.array.n - 1],
                   p->target.at[k].dtype, false);
    }
    if (!weigh_rows(x, p)) return false;
    double *grad = NEW_N(c->a, double, n + 1);
    Trained t = {.x = x, .grad = grad};
    int got = guard_call(c->ctx, train_once, &t);
    exec_destroy(t.exec);
    if (got < 0) ctx_out_of_memory(c->ctx);
    if (!got) return false;
    put_want(c, c->real, "want_grad", grad, n, false);
    c_array(c, &c->t, c->real, "want_loss", &t.loss, 1, false);
    str_printf(
        body,
        "\nstatic int check_grad(void)\n{\n    static %s got_grad[%lld];\n    %s got_loss[1];\n    long k;\n"
        "    void *work = malloc(%s_train_workspace(%s));\n    if (!work) return puts(\"no memory\"), 1;\n    got_loss[0] = %s_grad(weights->theta, %s",
        c->real, (long long)n, c->real, c->id, sizes(x, p->m), c->id, arguments(c, &p->in, "in_"));
    str_printf(body, "%s%s, %sgot_grad, work);\n    free(work);\n", arguments(c, &p->target, "target_"), sizes(x, p->m),
               p->noise ? arena_printf(c->a, "UINT64_C(%llu), 0, %s", (unsigned long long)c->m->seed, p->example == NO_AREA ? "" : "NULL, ") : "");
    put_compare(c, body, "loss", "got_loss", "want_loss", 1);
    put_compare(c, body, "grad", "got_grad", "want_grad", n);
    str_put(body, "    return 0;\n}\n");
    return true;
}

/* ---- learning on a stream ------------------------------------------------------------------------------------------------- */

/* Loss and gradient of each window of example 0, by the runtime, and the arrays that the test reads: [window][..]. */
static bool run_windows(Check *x, Windows *w, int64_t count, double *loss, double *grad) {
    CModel *c = x->c;
    int64_t n = model_theta_size(c->m), one = 0;
    void *slab = arena_alloc_n(c->a, (size_t)n + 16, c->m->f64 ? 8 : 4);
    if (!windows_make(w, c->m, c->window, &(BuildOptions){.training = true, .weights = c->weigh.kind}, &x->in, false, false) || !windows_begin(w, &x->in, 1, &one, &one, false))
        return false;
    for (int64_t k = 0; k < count; k++) {
        Exec *e = windows_set(w, k);
        if (!e || !exec_run(e, c->m->theta, c->m->theta_version, slab, c->m->seed, (uint64_t)k, w->id)) return false;
        loss[k] = exec_get_scalar(e, (uint32_t)exec_root(e, ROOT_LOSS, 0, 0));
        for (int64_t i = 0; i < n; i++) grad[k * n + i] = c->m->f64 ? ((const double *)slab)[i] : (double)((const float *)slab)[i];
        if (!windows_done(w, e)) return false;
    }
    return true;
}

typedef struct {
    Check *x;
    Windows *w;
    int64_t count;
    double *loss, *grad;
} WindowsJob;

static bool windows_job(void *arg) {
    WindowsJob *j = arg;
    return run_windows(j->x, j->w, j->count, j->loss, j->grad);
}

static const char *window_arguments(CModel *c, const CPorts *x, const char *prefix) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < x->n; k++)
        str_printf(&s, "%s%s + %s%lld, ", prefix, x->at[k].id, has_time(c->learn.m, &x->at[k]) ? "t * " : "0 * ", (long long)emit_learn_numbers(c, &x->at[k]));
    return s.n ? s.at : "";
}

static bool put_learning(Check *x, Str *body) {
    CModel *c = x->c;
    const CProgram *p = &c->learn;
    int64_t n = model_theta_size(c->m), steps = 0;
    for (uint32_t k = 1; k < p->m->naxis; k++)
        if (p->m->axis[k].kind == AXIS_TIME) steps = x->axis[k];
    int64_t count = steps / c->window < 4 ? steps / c->window : 4;
    if (!count) return true;
    Windows w = {0};
    WindowsJob j = {x, &w, count, NEW_N(c->a, double, count), NEW_N(c->a, double, count * n + 1)};
    ExecOptions *o = model_exec_options(c->m);
    ExecEngine keep = o->engine;
    o->engine = EXEC_LOOPS;
    int got = guard_call(c->ctx, windows_job, &j);
    o->engine = keep;
    windows_free(&w);
    if (got < 0) ctx_out_of_memory(c->ctx);
    if (!got) return false;
    c_array(c, &c->t, c->real, "want_learn_loss", j.loss, count, false);
    put_want(c, c->real, "want_learn", j.grad, count * n, false);
    str_printf(body,
               "\nstatic int check_learn(void)\n{\n    static %s_learner l;\n    static %s got_grad[%lld];\n    %s loss;\n    long t, k;\n"
               "    %s_learn_begin(&l);\n    for (t = 0; t < %lld; t++) {\n        loss = %s_learn(&l, weights->theta, %s",
               c->id, c->real, (long long)n, c->real, c->id, (long long)count, c->id, window_arguments(c, &p->in, "in_"));
    str_printf(body, "%s%sgot_grad);\n        if (differs(\"learn: loss\", t, (double)loss, (double)want_learn_loss[t])) return 1;\n",
               window_arguments(c, &p->target, "target_"),
               p->noise ? arena_printf(c->a, "UINT64_C(%llu), (uint32_t)t, %s", (unsigned long long)c->m->seed, p->example == NO_AREA ? "" : "0, ") : "");
    str_printf(body,
               "        for (k = 0; k < %lld; k++)\n            if (%s) return 1;\n    }\n    return 0;\n}\n", (long long)n,
               differs(c, "learn: grad", arena_printf(c->a, "t * %lld + k", (long long)n), "got_grad[k]", "want_learn", count * n));
    return true;
}

/* ---- updates ------------------------------------------------------------------------------------------------------------------ */

enum { UPDATES = 4, PLATEAU = 12 }; /* gradients of an epoch; epochs in which nothing becomes better */

/* Of weight k: some are 0, all are exact. */
static double drawn(int64_t k) {
    uint32_t h = (uint32_t)k * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    return h >> 29 ? (double)((int32_t)(h >> 20) - 2048) / 16384 : 0;
}

typedef struct {
    Check *x;
    Optimizer opt;
    Schedule schedule;
    bool varies; /* the learning rate, with time */
    void *grad;
} Updates;

/* Time of update k, with UPDATES gradients an epoch; a plateau has been seen by then. */
static double factor_at(Updates *u, int k) {
    int64_t n = update_gradients(u->x->c), updates = (UPDATES + n - 1) / n, first = k % updates * n;
    return schedule_factor(&u->schedule, (double)(k / updates) + (double)first / UPDATES, (double)(UPDATES - first < n ? UPDATES - first : n) / UPDATES);
}

static bool update_twice(void *arg) {
    Updates *u = arg;
    Check *x = u->x;
    CModel *c = x->c;
    int64_t n = model_theta_size(c->m);
    const Setting *s = train_setting(c->m, "optimizer");
    const char *name = s && (s->kind == SET_CALL || s->kind == SET_NAME) ? name_str(c->ctx, s->name) : "adam";
    schedule_make(&u->schedule, c->m);
    bool ok = optimizer_make(&u->opt, c->m, name, s && s->kind == SET_CALL ? s : NULL);
    u->varies = u->opt.in_lr >= 0 && schedule_varies(&u->schedule);
    for (int k = 0; ok && k < PLATEAU; k++) schedule_epoch(&u->schedule, 1, fmax(0, train_number(c->m, "min_delta")));
    for (int k = 0; ok && k < 2; k++) {
        for (int64_t i = 0; i < n; i++)
            if (c->m->f64)
                ((double *)u->grad)[i] = drawn(i);
            else
                ((float *)u->grad)[i] = (float)drawn(i);
        ok = gradient_clip(&u->opt, u->grad, train_number(c->m, "clip_norm"), train_number(c->m, "clip_value")) &&
             optimizer_step(&u->opt, u->grad, factor_at(u, k));
    }
    return ok;
}

/* Two updates from the weights. */
static bool put_updates(Check *x, Str *body) {
    CModel *c = x->c;
    int64_t n = model_theta_size(c->m);
    size_t bytes = (size_t)n * (c->m->f64 ? 8 : 4);
    ExecOptions *o = model_exec_options(c->m);
    ExecEngine keep = o->engine;
    void *theta = arena_alloc(c->a, bytes + 16);
    double *want = NEW_N(c->a, double, n + 1);
    Updates u = {.x = x, .grad = arena_alloc(c->a, bytes + 16)};
    memcpy(theta, c->m->theta, bytes);
    o->engine = EXEC_LOOPS;
    int got = guard_call(c->ctx, update_twice, &u);
    o->engine = keep;
    for (int64_t i = 0; i < n; i++) want[i] = model_theta_get(c->m, i);
    memcpy(c->m->theta, theta, bytes);
    c->m->theta_version++;
    optimizer_free(&u.opt);
    if (got < 0) ctx_out_of_memory(c->ctx);
    if (!got) return false;
    put_want(c, c->real, "want_theta", want, n, false);
    bool plateau = u.varies && u.schedule.kind == SCHEDULE_PLATEAU;
    Monitor watched;
    const char *sign = plateau && monitor_make(&watched, c->m) && watched.sign < 0 ? "-" : "";
    str_printf(body,
               "\n/* A gradient, of weight k. */\nstatic %s drawn(long k)\n{\n    uint32_t h = (uint32_t)k * 2654435761u;\n    h ^= h >> 15;\n"
               "    h *= 2246822519u;\n    return h >> 29 ? (%s)((int32_t)(h >> 20) - 2048) / 16384 : 0;\n}\n",
               c->real, c->real);
    str_printf(body,
               "\nstatic int check_updates(void)\n{\n    static %s got_theta[%lld], grad[%lld], moments[%s_MOMENTS];\n    long k;\n%s"
               "    for (k = 0; k < %lld; k++) got_theta[k] = weights->theta[k];\n    for (k = 0; k < %lld; k++) grad[k] = drawn(k);\n"
               "    for (k = 0; k < 2; k++) %s_%s(got_theta, grad, moments, k%s);\n",
               c->real, (long long)n, (long long)n, c->upper,
               plateau ? arena_printf(c->a, "    static %s_plateau seen;\n    for (k = 0; k < %d; k++) %s_watch(&seen, %s1);\n", c->id, PLATEAU, c->id, sign) : "", (long long)n,
               (long long)n, c->id, c->optimizer, plateau ? arena_printf(c->a, "%s, &seen", u.schedule.warmup > 0 ? arena_printf(c->a, ", %d", UPDATES) : "") : u.varies ? arena_printf(c->a, ", %d", UPDATES) : "");
    put_compare(c, body, "theta", "got_theta", "want_theta", n);
    str_put(body, "    return 0;\n}\n");
    return true;
}

/* Where the functions get their weights from. */
static const char *begin_main(CModel *c) {
    const char *open = c->o->blob ? arena_printf(c->a, "%s_open(blob, read_blob(argc > 1 ? argv[1] : \"%s.blob\"))", c->id, c->id)
                                  : arena_printf(c->a, "%s_builtin()", c->id);
    Str s = str_make(c->a);
    if (c->o->blob) {
        str_printf(&s,
                   "\nstatic %s blob[%lld];\n\nstatic size_t read_blob(const char *path)\n{\n    FILE *f = fopen(path, \"rb\");\n"
                   "    size_t n = f ? fread(blob, 1, sizeof blob, f) : 0;\n    if (f) fclose(f);\n    return n;\n}\n",
                   c->m->f64 ? "double" : "uint32_t", (long long)(c->blob.n / (c->m->f64 ? 8 : 4) + 1));
    }
    str_printf(&s, "\nint main(%s)\n{\n", c->o->blob ? "int argc, char **argv" : "void");
    if (unpacks(c))
        str_printf(&s, "    static %s_weights ram;\n    static unsigned char work[%s_PREPARE_WORK];\n    const %s_stored *stored = %s;\n"
                   "    if (stored) %s_unpack(&ram, stored, work);\n    weights = stored ? &ram : NULL;\n", c->id, c->upper, c->id, open, c->id);
    else
        str_printf(&s, "    weights = %s;\n", open);
    if (c->o->blob) str_put(&s, "    if (!weights) return puts(\"the blob is refused\"), 1;\n");
    return s.at;
}

bool emit_check(CModel *c) {
    Check x = {.c = c, .random = 1};
    const CProgram *p = &c->infer;
    Str body = str_make(c->a);
    put_head(c);
    find_axes(&x, p->m);
    for (uint32_t k = 0; k < p->in.n; k++) {
        if (!make_array(&x, p->m, &p->in.at[k], "input/")) return false;
        put_values(&x, arena_printf(c->a, "in_%s", p->in.at[k].id), &x.in.array.at[x.in.array.n - 1], p->in.at[k].dtype, false);
    }
    if (!put_predict(&x, &body) || (c->stream && !put_steps(&x, &body)) || !put_window(&x, &body) || !put_decoding(&x, &body) || (c->train && !put_gradient(&x, &body)) ||
        (c->window && !put_learning(&x, &body)) || (c->optimizer && !put_updates(&x, &body)))
        return false;
    if (strstr(body.at, "block_differs(")) str_put(&c->t, block_differs);
    str_put(&c->t, body.at);
    static const char *const check[] = {"predict", "steps", "window", "decode", "grad", "learn", "updates"};
    str_printf(&c->t, "%s    if (", begin_main(c));
    for (size_t k = 0, n = 0; k < sizeof check / sizeof *check; k++)
        if (strstr(body.at, arena_printf(c->a, "check_%s(", check[k]))) str_printf(&c->t, "%scheck_%s()", n++ ? " || " : "", check[k]);
    str_put(&c->t, ") return 1;\n    puts(\"PASS\");\n    return 0;\n}\n");
    return true;
}
