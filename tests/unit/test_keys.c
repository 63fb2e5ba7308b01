/* test_keys: every key of the train and data blocks changes what it should, and nothing else. Run from the project's root. */
#include "runtime/train.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { N = 7, T = 6 };
static int passed, failed, skipped;
static Ctx *ctx;
static Arena arena;
static const char *dir;

#define CHECK(ok) check((ok), #ok, __LINE__)
static void check(bool ok, const char *what, int line) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED: line %d: %s\n", line, what);
    }
}

static void show(void) {
    Str s = str_make(&arena);
    diag_render(ctx, &s, false);
    if (s.n) printf("%s", s.at);
    diag_clear(ctx);
}

static bool refused(uint16_t code) {
    bool found = false;
    for (uint32_t i = 0; i < diag_count(ctx); i++) found = found || diag_at(ctx, i)->code == code;
    diag_clear(ctx);
    return found;
}

/* ---- training ----------------------------------------------------------------------------------------------------------- */

static const char steps_model[] = "model m { input x: seq [2] target y: seq [1] h = gru[3](x) p = dense[1](h) output p loss mse(p, y) metric mae(p, y)"
                                  " train { optimizer = sgd(lr = 0.1), epochs = 3, batch = 3 } }";
static const char last_model[] = "model m { input x: seq [2] target c: bool h = gru[3](x) p = sigmoid(dense[1](h.last)) output p"
                                 " loss binary_crossentropy(p, c) train { optimizer = sgd(lr = 0.1), epochs = 2, batch = 7, shuffle = false } }";

static const char masked_model[] = "model m { input x: seq [2] target y: seq [1] h = gru[3](x) p = dense[1](h) output p loss mse(p, y), weight = x[0] > 100"
                                   " train { optimizer = sgd(lr = 0.1), epochs = 3, batch = 3 } }";

static Array *random_array(Arrays *s, const char *name, int rank, const int64_t *dim, uint64_t seed) {
    Array *x = arrays_add(&arena, s, name, RONDO_F64, rank, dim);
    for (int64_t i = 0; x && i < array_count(x); i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        array_set(x, i, (double)(seed >> 40) / (1 << 24) - 0.5);
    }
    return x;
}

static Dataset steps_data(int64_t n, int64_t steps) {
    Dataset d = {.n = n, .train = n};
    random_array(&d.array, "input/x", 3, (int64_t[]){n, steps, 2}, 1);
    random_array(&d.array, "target/y", 3, (int64_t[]){n, steps, 1}, 2);
    return d;
}

static Dataset last_data(int64_t n, int ones) {
    Dataset d = {.n = n, .train = n};
    random_array(&d.array, "input/x", 3, (int64_t[]){n, T, 2}, 1);
    Array *c = arrays_add(&arena, &d.array, "target/c", RONDO_U8, 1, (int64_t[]){n});
    for (int64_t i = 0; i < n; i++) array_set(c, i, ones ? 1 : i % 2);
    return d;
}

typedef struct {
    bool ok;
    int64_t n;
    double *start, *theta;
    rondo_train_result r;
    const ModelDesc *desc;
} Trained;

static Model *open_model(const char *text, const char *sets) {
    const char *set[8];
    size_t nset = 0;
    for (char *s = arena_strdup(&arena, sets); s && *s && nset < 8;) {
        char *end = strchr(s, ';');
        if (end) *end++ = 0;
        set[nset++] = s;
        s = end;
    }
    ModelOptions o = {.std_dir = "std", .set = set, .nset = nset, .exec = {.engine = EXEC_LOOPS, .f64 = true, .V = 4, .registers = 16}};
    return model_open_text(ctx, arena_printf(&arena, "%s/m.rondo", dir), text, strlen(text), &o);
}

/* sets: "key=value;key=value". */
static Trained train_with(const char *text, const char *sets, const Dataset *d, const rondo_train_options *o) {
    Trained t = {0};
    Model *m = open_model(text, sets);
    if (!m) return t;
    CHECK(weights_init(m, 3));
    t.n = model_theta_size(m);
    t.start = NEW_N(&arena, double, t.n);
    t.theta = NEW_N(&arena, double, t.n);
    memcpy(t.start, m->theta, (size_t)t.n * sizeof(double));
    bool stopped;
    t.ok = train_set(m, d, NULL, o, &t.r, &stopped);
    memcpy(t.theta, m->theta, (size_t)t.n * sizeof(double));
    model_close(m);
    return t;
}

static Trained train(const char *text, const char *sets, const Dataset *d) {
    Trained t = train_with(text, sets, d, NULL);
    CHECK(t.ok);
    if (!t.ok) printf("  with %s\n", sets);
    show();
    return t;
}

static double apart(const Trained *a, const Trained *b) {
    double worst = a->n == b->n && a->ok && b->ok ? 0 : INFINITY;
    for (int64_t i = 0; worst < INFINITY && i < a->n; i++) worst = fmax(worst, fabs(a->theta[i] - b->theta[i]));
    return worst;
}

static bool same(const char *text, const char *a, const char *b, const Dataset *d) {
    Trained x = train(text, a, d), y = train(text, b, d);
    double e = apart(&x, &y);
    if (e >= 1e-13) printf("  %s | %s: %g apart\n", a, b, e);
    return e < 1e-13;
}

static bool differ(const char *text, const char *a, const char *b, const Dataset *d) {
    Trained x = train(text, a, d), y = train(text, b, d);
    double e = apart(&x, &y);
    if (!(e > 1e-9)) printf("  %s | %s: no difference\n", a, b);
    return e > 1e-9 && e < INFINITY;
}

/* ---- keys of train ------------------------------------------------------------------------------------------------------ */

/* Updates of sgd with lr 1 and one update: how far the weights went. */
static double moved(const char *sets, const Dataset *d, bool largest) {
    Trained t = train(steps_model, arena_printf(&arena, "optimizer=sgd(lr = 1);epochs=1;batch=7;%s", sets), d);
    double sum = 0, most = 0;
    for (int64_t i = 0; i < t.n; i++) {
        sum += (t.theta[i] - t.start[i]) * (t.theta[i] - t.start[i]);
        most = fmax(most, fabs(t.theta[i] - t.start[i]));
    }
    return largest ? most : sqrt(sum);
}

static void test_plain(void) {
    Dataset d = steps_data(N, T);
    CHECK(differ(steps_model, "", "optimizer=adam(lr = 0.1)", &d));
    CHECK(differ(steps_model, "", "shuffle=false", &d));
    CHECK(differ(steps_model, "seed=5", "seed=6", &d) && same(steps_model, "seed=5;shuffle=false", "seed=6;shuffle=false", &d));
    Trained t = train(steps_model, "epochs=4;batch=2", &d);
    CHECK(t.r.epochs == 4 && t.r.updates == 16);
    CHECK(fabs(moved("clip_norm=0.01", &d, false) - 0.01) < 1e-12 && moved("", &d, false) > 0.02);
    CHECK(fabs(moved("clip_value=0.001", &d, true) - 0.001) < 1e-12 && moved("", &d, true) > 0.002);
    CHECK(same(steps_model, "clip_value=0.00001;clip_norm=0.01", "clip_value=0.00001", &d)); /* the norm is that of what the other limit leaves, */
    CHECK(fabs(moved("freeze=[\"h.*\"];clip_norm=0.01", &d, false) - 0.01) < 1e-12);        /* and of what trains */
    Dataset v = d;
    v.train = 5;
    v.valid = 2;
    t = train(steps_model, "", &v);
    CHECK(isfinite(t.r.valid_loss));
    Model *m = open_model(steps_model, "validation=0.3");
    v = d;
    CHECK(m && dataset_holdback(m, &v) && v.train == 5 && v.valid == 2);
    model_close(m);
}

static void test_patterns(void) {
    Dataset d = steps_data(N, T);
    Trained a = train(steps_model, "epochs=1;batch=7", &d), b = train(steps_model, "epochs=1;batch=7;decay=[\"p.W\": 0.5]", &d);
    Model *m = open_model(steps_model, "");
    int64_t offset = 0;
    for (uint32_t i = 0; m && i < m->desc->param.n; i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        double f = strcmp(name_str(ctx, p->name), "p.W") == 0 ? 0.1 * 0.5 : 0;
        for (int64_t k = offset; k < offset + p->count; k++) CHECK(fabs(a.theta[k] - b.theta[k] - f * a.start[k]) < 1e-14);
        offset += p->count;
    }
    model_close(m);
    CHECK(same(steps_model, "freeze=[\"p.*\"]", "lr_scale=[\"p.*\": 0]", &d) && differ(steps_model, "", "freeze=[\"p.*\"]", &d));
    CHECK(same(steps_model, "lr_scale=[\"*\": 2]", "optimizer=sgd(lr = 0.2)", &d) && same(steps_model, "lr_scale=2", "optimizer=sgd(lr = 0.2)", &d));
    CHECK(same(steps_model, "decay=0.5", "decay=[\"*\": 0.5]", &d) && differ(steps_model, "decay=0.5", "", &d));
    b = train(steps_model, "freeze=[\"h.*\"]", &d);
    for (int64_t k = 0; k < b.n - 4; k++) CHECK(b.theta[k] == b.start[k]);
    CHECK(b.theta[b.n - 1] != b.start[b.n - 1]);
    CHECK(same(steps_model, "optimizer=adamw(decay = 0.1);no_decay=[\"*\"]", "optimizer=adamw(decay = 0)", &d));
    CHECK(differ(steps_model, "optimizer=adamw(decay = 0.1);no_decay=[\"*.b*\"]", "optimizer=adamw(decay = 0.1);no_decay=[\"*\"]", &d));
}

/* What schedules compute by themselves, against the C library. */
static void test_factors(void) {
    bool near = true;
    for (int k = 0; k <= 400; k++) {
        double epoch = k * 0.025, factor = 0.03 + k % 7 * 0.3;
        Schedule c = {.kind = SCHEDULE_COSINE, .factor = factor, .total = 10, .every = 1.5};
        near = near && fabs(schedule_factor(&c, epoch, 0.1) - (factor + (1 - factor) * 0.5 * (1 + cos(3.14159265358979323846 * epoch / 10)))) < 1e-15;
        c.kind = SCHEDULE_STEP;
        double step = pow(factor, floor(epoch / 1.5)), grown = pow(factor, epoch);
        near = near && fabs(schedule_factor(&c, epoch, 0.1) - step) <= 1e-15 * step;
        c.kind = SCHEDULE_EXPONENTIAL;
        near = near && fabs(schedule_factor(&c, epoch, 0.1) - grown) <= 1e-14 * grown;
    }
    CHECK(near);
    Schedule none = {.kind = SCHEDULE_EXPONENTIAL, .factor = 0};
    CHECK(schedule_factor(&none, 0, 0.1) == 1 && schedule_factor(&none, 0.5, 0.1) == 0);
}

static void test_schedule(void) {
    Dataset d = steps_data(N, T);
    CHECK(same(steps_model, "", "schedule=constant", &d));
    CHECK(same(steps_model, "batch=7;schedule=exponential(0.5)", "batch=7;schedule=step(every = 1, factor = 0.5)", &d));
    CHECK(differ(steps_model, "", "schedule=linear", &d) && differ(steps_model, "schedule=cosine(warmup = 1)", "schedule=linear(warmup = 1)", &d));
    CHECK(differ(steps_model, "", "schedule=constant(warmup = 2)", &d));
    CHECK(same(steps_model, "epochs=1;batch=7;schedule=constant(warmup = 4)", "epochs=1;batch=7;optimizer=sgd(lr = 0.025)", &d));
    CHECK(same(steps_model, "epochs=3;schedule=step(every = 9, factor = 0.5, warmup = 2)", "epochs=3;schedule=constant(warmup = 2)", &d));
    CHECK(same(steps_model, "epochs=5;batch=7;schedule=step(1, 0.5, 2)", "epochs=5;batch=7;schedule=exponential(factor = 0.5, warmup = 2)", &d));
    CHECK(same(steps_model, "epochs=3;schedule=plateau(9, 0.5, 2)", "epochs=3;schedule=constant(warmup = 2)", &d));
    CHECK(same(steps_model, "epochs=2;min_delta=1e9;schedule=plateau(1, 0.5)", "epochs=2", &d));
    CHECK(differ(steps_model, "epochs=3;min_delta=1e9;schedule=plateau(1, 0.5)", "epochs=3", &d));
    Schedule c = {.kind = SCHEDULE_COSINE, .warmup = 2, .factor = 0.1, .total = 10, .drop = 1};
    CHECK(fabs(schedule_factor(&c, 0.5, 0.5) - 0.5) < 1e-15 && schedule_factor(&c, 2, 0.5) == 1);
    CHECK(fabs(schedule_factor(&c, 6, 0.5) - 0.55) < 1e-12 && fabs(schedule_factor(&c, 10, 0.5) - 0.1) < 1e-12);
    c.kind = SCHEDULE_LINEAR;
    CHECK(fabs(schedule_factor(&c, 4, 0.5) - 0.775) < 1e-12);
    CHECK(!train_with(steps_model, "schedule=cosin", &d, NULL).ok && refused(551));
    CHECK(!train_with(steps_model, "schedule=step(evry = 2)", &d, NULL).ok && refused(551));
}

static void test_monitor(void) {
    Dataset d = steps_data(N, T);
    Trained t = train(steps_model, "epochs=6;monitor=mae;early_stopping=1", &d);
    CHECK(t.r.epochs == 6);
    t = train(steps_model, "epochs=6;early_stopping=1;min_delta=1e9", &d);
    CHECK(t.r.epochs == 2);
    t = train(steps_model, "epochs=6;monitor=\"max mae\";early_stopping=1", &d);
    CHECK(t.r.epochs == 2);
    CHECK(same(steps_model, "epochs=6;monitor=\"max mae\";early_stopping=1", "epochs=1", &d));
    CHECK(same(steps_model, "epochs=6;monitor=\"max mae\";early_stopping=1;restore_best=false", "epochs=2", &d));
    CHECK(same(steps_model, "epochs=3;monitor=\"max mae\";early_stopping=10", "epochs=1", &d)); /* the best, also without stopping early */
    CHECK(!train_with(steps_model, "monitor=f1", &d, NULL).ok && refused(551));
}

static void test_weights(void) {
    Dataset d = last_data(N, 0), ones = last_data(N, 1), s = steps_data(N, T), few = last_data(3, 0);
    CHECK(same(last_model, "", "class_weights=[1, 1]", &d) && same(last_model, "optimizer=sgd(lr = 0.3)", "class_weights=[3, 3]", &d));
    CHECK(differ(last_model, "", "class_weights=[1, 4]", &d) && same(last_model, "optimizer=sgd(lr = 0.4)", "class_weights=[1, 4]", &ones));
    CHECK(!train_with(last_model, "class_weights=[1]", &d, NULL).ok && refused(551));
    /* balanced: n / (classes * its number) */
    Dataset third = last_data(9, 0);
    Array *c = &third.array.array.at[1];
    for (int64_t i = 0; i < 9; i++) array_set(c, i, i % 3 == 0);
    CHECK(same(last_model, "class_weights=balanced", "class_weights=[0.75, 1.5]", &third) && differ(last_model, "class_weights=balanced", "", &third));
    CHECK(!train_with(last_model, "class_weights=balanced", &ones, NULL).ok && refused(551));
    CHECK(!train_with(last_model, "class_weights=even", &d, NULL).ok && refused(551));
    /* a loss of which nothing counts moves nothing */
    Dataset all = steps_data(N, T);
    CHECK(same(masked_model, "", "epochs=0", &all));
    CHECK(!train_with(last_model, "sample_weights=w", &d, NULL).ok && refused(551));
    Array *w = arrays_add(&arena, &d.array, "w", RONDO_F64, 1, (int64_t[]){N});
    for (int64_t i = 0; i < 3; i++) array_set(w, i, 7);
    few.array.array.at[0] = d.array.array.at[0]; /* the same first examples, by themselves */
    few.array.array.at[0].dim[0] = 3;
    Trained a = train(last_model, "sample_weights=w", &d), b = train(last_model, "optimizer=sgd(lr = 0.3)", &few);
    CHECK(apart(&a, &b) < 1e-13);
    b = train(last_model, "sample_weights=w;class_weights=[2, 2];optimizer=sgd(lr = 0.05)", &d);
    CHECK(apart(&a, &b) < 1e-13);
    /* a weight for each step, whole and in windows */
    w = arrays_add(&arena, &s.array, "w", RONDO_F64, 2, (int64_t[]){N, T});
    for (int64_t i = 0; i < N * T; i++) array_set(w, i, 2);
    CHECK(same(steps_model, "sample_weights=w", "optimizer=sgd(lr = 0.2)", &s));
    CHECK(same(steps_model, "sample_weights=w;bptt=4", "optimizer=sgd(lr = 0.2);bptt=4", &s));
    for (int64_t i = 0; i < N * T; i++) array_set(w, i, i % T < 4); /* nothing of the second window */
    Dataset cut = steps_data(N, 4);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0, f = 2 - k; i < N * 4 * f; i++)
            array_set(&cut.array.array.at[k], i, array_get(&s.array.array.at[k], i / (4 * f) * T * f + i % (4 * f)));
    a = train(steps_model, "sample_weights=w;bptt=4", &s);
    b = train(steps_model, "", &cut);
    CHECK(apart(&a, &b) < 1e-13 && a.r.updates == 2 * b.r.updates);
}

/* ---- windows ------------------------------------------------------------------------------------------------------------ */

static int stop_at(void *arg, const rondo_progress *p) {
    return p->update >= *(int64_t *)arg;
}

static int stop_within(void *arg, const rondo_progress *p) {
    (void)arg;
    return p->epoch == 2 && p->batch == 5;
}

/* Gradients of several batches as one update: the training of larger batches, also after a checkpoint between two of them. */
static void test_accumulate(void) {
    Dataset d = steps_data(N, T), six = d;
    six.n = six.train = 6;
    CHECK(same(steps_model, "batch=6", "batch=2;accumulate=3", &d) && differ(steps_model, "batch=2", "batch=2;accumulate=3", &d));
    CHECK(same(steps_model, "batch=7;clip_norm=0.01", "batch=1;accumulate=100;clip_norm=0.01", &d));
    CHECK(same(steps_model, "batch=6;schedule=linear(warmup = 2)", "batch=2;accumulate=3;schedule=linear(warmup = 2)", &six));
    CHECK(train(steps_model, "batch=2;accumulate=3", &d).r.updates == 6);
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.progress = stop_within;
    o.checkpoint = arena_printf(&arena, "%s/checkpoint", dir);
    const char *sets = "batch=1;accumulate=3;epochs=3";
    Trained a = train(steps_model, sets, &d), b = train_with(steps_model, sets, &d, &o);
    CHECK(b.ok && b.r.updates == 4 && a.r.updates == 9);
    o.resume = o.checkpoint;
    o.checkpoint = NULL;
    o.progress = NULL;
    b = train_with(steps_model, sets, &d, &o);
    CHECK(b.ok && memcmp(a.theta, b.theta, (size_t)a.n * sizeof(double)) == 0 && a.r.loss == b.r.loss);
    show();
}

/* The windows of one update are not under the same mask: two of the same numbers are not one of them. Batches of other examples are as one large batch. */
static void test_accumulated_noise(void) {
    static const char model[] = "model m { input x: seq [2] target y: seq [1] p = dense[1](dropout[0.5](dense[4](x))) output p loss mse(p, y)"
                                " train { optimizer = sgd(lr = 0.1), epochs = 1, batch = 1 } }";
    Dataset once = steps_data(1, T / 2), twice = steps_data(1, T), all = steps_data(N, T);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0, n = array_count(&once.array.array.at[k]); i < 2 * n; i++)
            array_set(&twice.array.array.at[k], i, array_get(&once.array.array.at[k], i % n));
    Trained a = train(model, "", &once), b = train(model, "bptt=3;accumulate=2", &twice);
    CHECK(b.r.updates == 1 && apart(&a, &b) > 1e-6);
    CHECK(same(model, "batch=6", "batch=2;accumulate=3", &all));
    show();
}

static void test_windows(void) {
    Dataset d = steps_data(N, T), halves = steps_data(2, T / 2), whole = steps_data(1, T);
    Trained t = train(steps_model, "bptt=4;batch=7", &d);
    CHECK(t.r.updates == 6 && same(steps_model, "", "bptt=6", &d) && same(steps_model, "", "bptt=9", &d));
    CHECK(differ(steps_model, "", "bptt=4", &d));
    /* two halves of one sequence as two batches, stateful, are the two windows of the whole */
    CHECK(differ(steps_model, "shuffle=false", "stateful=true", &d));
    Trained a = train(steps_model, "batch=1;stateful=true", &halves), b = train(steps_model, "bptt=3", &whole);
    CHECK(apart(&a, &b) < 1e-13 && a.r.updates == 6);
    /* cut in the middle of an epoch and resumed: the same bits */
    const char *sets = "bptt=4;stateful=true;schedule=plateau(1, 0.5);min_delta=0.5;batch=2;epochs=4";
    int64_t at = 11;
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.progress = stop_at;
    o.progress_arg = &at;
    o.checkpoint = arena_printf(&arena, "%s/checkpoint", dir);
    a = train(steps_model, sets, &d);
    b = train_with(steps_model, sets, &d, &o);
    CHECK(b.ok && b.r.updates == 12 && a.r.updates == 32 && apart(&a, &b) > 1e-9);
    o.resume = o.checkpoint;
    o.checkpoint = NULL;
    o.progress = NULL;
    b = train_with(steps_model, sets, &d, &o);
    CHECK(b.ok && memcmp(a.theta, b.theta, (size_t)a.n * sizeof(double)) == 0 && a.r.loss == b.r.loss);
    show();
    static const char both[] = "model m { input x: seq [2] target y: [1] h = bidirectional[gru[2]](x) p = dense[1](h.last) output p loss mse(p, y)"
                               " train { bptt = 2 } }";
    Dataset e = d;
    CHECK(!train_with(both, "", &e, NULL).ok && refused(551));
    diag_clear(ctx);
}

/* Gradients carried forward: on whole sequences the training of bptt, by windows another one, which goes on after a checkpoint. */
static void test_gradient(void) {
    Dataset d = steps_data(N, T);
    Trained a = train(steps_model, "", &d), b = train(steps_model, "gradient=rtrl", &d);
    CHECK(apart(&a, &b) < 1e-12 && differ(steps_model, "gradient=rtrl", "gradient=snap1", &d));
    CHECK(differ(steps_model, "bptt=2", "bptt=2;gradient=rtrl", &d));
    const char *sets = "bptt=1;gradient=rtrl;stateful=true;batch=2;epochs=3";
    int64_t at = 15;
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.progress = stop_at;
    o.progress_arg = &at;
    o.checkpoint = arena_printf(&arena, "%s/checkpoint", dir);
    a = train(steps_model, sets, &d);
    b = train_with(steps_model, sets, &d, &o);
    CHECK(b.ok && a.r.updates > b.r.updates && apart(&a, &b) > 1e-9);
    o.resume = o.checkpoint;
    o.checkpoint = NULL;
    o.progress = NULL;
    b = train_with(steps_model, sets, &d, &o);
    CHECK(b.ok && memcmp(a.theta, b.theta, (size_t)a.n * sizeof(double)) == 0);
    show();
    static const char both[] = "model m { input x: seq [2] target y: [1] h = bidirectional[gru[2]](x) p = dense[1](h.last) output p loss mse(p, y) }";
    CHECK(!train_with(both, "gradient=rtrl", &d, NULL).ok && refused(570));
    CHECK(!train_with(both, "gradient=forward", &d, NULL).ok && refused(551));
    diag_clear(ctx);
}

/* Examples of 3 and 6 steps in windows of 3: the mean of what both parts give by themselves. */
static void test_ragged(void) {
    Model *m = open_model(steps_model, "bptt=3"), *p = open_model(steps_model, "");
    Arrays in = steps_data(2, 6).array, first = {0}, second = {0}, out = {0}, out1 = {0}, out2 = {0};
    Array *len = arrays_add(&arena, &in, "length/x", RONDO_I64, 1, (int64_t[]){2});
    array_set(len, 0, 3);
    array_set(len, 1, 6);
    CHECK(m && p && weights_init(m, 3) && weights_init(p, 3));
    for (int k = 0; k < 2; k++) {
        const Array *x = &in.array.at[k];
        int64_t f = 2 - k;
        Array *u = arrays_add(&arena, &first, x->name, RONDO_F64, 3, (int64_t[]){2, 3, f});
        Array *v = arrays_add(&arena, &second, x->name, RONDO_F64, 3, (int64_t[]){1, 3, f});
        for (int64_t i = 0; i < 6 * f; i++) array_set(u, i, array_get(x, i / (3 * f) * 6 * f + i % (3 * f)));
        for (int64_t i = 0; i < 3 * f; i++) array_set(v, i, array_get(x, 9 * f + i));
    }
    RunOptions o = {.grad = true};
    CHECK(run_arrays(m, &o, &in, &arena, &out) && run_arrays(p, &o, &first, &arena, &out1));
    const Array *final = arrays_find(&out1, "final/h.h");
    CHECK(final != NULL);
    Array *init = final ? arrays_add(&arena, &second, "init/h.h", RONDO_F64, 2, (int64_t[]){1, 3}) : NULL;
    for (int64_t i = 0; init && i < 3; i++) array_set(init, i, array_get(final, 3 + i));
    CHECK(run_arrays(p, &o, &second, &arena, &out2));
    for (uint32_t i = 0; i < out.array.n; i++) {
        const Array *x = &out.array.at[i], *y = arrays_find(&out1, x->name), *z = arrays_find(&out2, x->name);
        if (strncmp(x->name, "grad/param/", 11) != 0 && strcmp(x->name, "loss") != 0) continue;
        for (int64_t k = 0; k < array_count(x); k++) CHECK(y && z && fabs(array_get(x, k) - (array_get(y, k) + array_get(z, k)) / 2) < 1e-14);
    }
    show();
    model_close(m);
    model_close(p);
}

/* Two epochs of three windows with Adam, against shared/conformance. */
static void test_conformance(void) {
    const char *shared = getenv("RONDO_SHARED") ? getenv("RONDO_SHARED") : "../shared";
    const char *npz = arena_printf(&arena, "%s/conformance/cells/tbptt_lstm.npz", shared);
    if (access(npz, R_OK) != 0) {
        printf("skipped: %s is not there\n", npz);
        skipped++;
        return;
    }
    const char *set[] = {"epochs=2", "batch=3", "shuffle=false", "optimizer=adam(lr = 1e-2, b1 = 0.9, b2 = 0.999, eps = 1e-7)"};
    ModelOptions o = {.std_dir = "std", .set = set, .nset = 4, .exec = {.engine = EXEC_LOOPS, .f64 = true, .V = 4, .registers = 16}};
    Model *m = model_open(ctx, "tests/conform/cells/tbptt_lstm.rondo", &o);
    Arrays in;
    Dataset d = {.n = 3, .train = 3};
    CHECK(m && npz_read(ctx, &arena, npz, &in) && weights_from_arrays(m, &in, true));
    for (uint32_t i = 0; i < in.array.n; i++) {
        const char *name = in.array.at[i].name;
        if (strncmp(name, "input/", 6) == 0 || strncmp(name, "target/", 7) == 0) VEC_PUSH(&arena, d.array.array) = in.array.at[i];
    }
    rondo_train_result r;
    bool stopped;
    m->ready = true;
    CHECK(train_set(m, &d, NULL, NULL, &r, &stopped) && r.updates == 6);
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n; i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        const Array *want = arrays_find(&in, arena_printf(&arena, "extra/train.%s", name_str(ctx, p->name)));
        for (int64_t k = 0; want && k < p->count; k++) CHECK(fabs(model_theta_get(m, offset + k) - array_get(want, k)) < 1e-10);
        CHECK(want != NULL);
        offset += p->count;
    }
    show();
    model_close(m);
}

/* ---- keys of data ------------------------------------------------------------------------------------------------------- */

static bool load(const char *sets, Series *s) {
    static const char text[] = "model m { input x: seq [1] target y: [1] h = gru[2](x) p = dense[1](h.last) output p loss mse(p, y)"
                               " data { csv = \"s.csv\", column = \"a\", window = 3 } }";
    Model *m = open_model(text, sets);
    bool ok = m && series_load(m, NULL, &arena, false, s);
    show();
    model_close(m);
    return ok;
}

static double at(const Series *s, const char *name, int64_t i) {
    const Array *x = arrays_find(&s->set.array, name);
    return x && i < array_count(x) ? array_get(x, i) : NAN;
}

static void test_data(void) {
    Str csv = str_make(&arena);
    str_put(&csv, "year,a,b,w\n");
    for (int i = 0; i < 12; i++) str_printf(&csv, "%d,%d,%d,%d\n", 1990 + i, i, 100 + i * i, i % 3);
    CHECK(file_write(ctx, arena_printf(&arena, "%s/s.csv", dir), csv.at, csv.n));
    Series s;
    CHECK(load("", &s) && s.set.n == 9 && s.set.train == 7 && at(&s, "input/x", 4) == 2 && at(&s, "target/y", 1) == 4 && !s.date);
    CHECK(load("column=\"b\"", &s) && at(&s, "input/x", 1) == 101 && at(&s, "target/y", 0) == 109);
    CHECK(load("target_column=\"b\"", &s) && at(&s, "input/x", 1) == 1 && at(&s, "target/y", 0) == 109);
    CHECK(load("date=\"year\"", &s) && strcmp(s.date[2], "1992") == 0);
    CHECK(load("window=5", &s) && s.window == 5 && s.set.n == 7 && at(&s, "target/y", 0) == 5);
    CHECK(load("window=0", &s) && s.window == 11 && s.set.n == 1);
    CHECK(load("horizon=2", &s) && s.set.n == 8 && at(&s, "target/y", 0) == 4);
    CHECK(load("stride=2", &s) && s.set.n == 5 && at(&s, "input/x", 3) == 2);
    CHECK(load("split=0.5", &s) && s.set.train == 4);
    CHECK(load("scale=minmax", &s) && fabs(at(&s, "input/x", 1) - 1.0 / 9) < 1e-15);
    CHECK(load("scale=standard", &s) && fabs(at(&s, "input/x", 0) + 4.5 / sqrt(8.25)) < 1e-12);
    CHECK(load("sample_weights=\"w\"", &s) && at(&s, "w", 0) == 0 && at(&s, "w", 1) == 1 && at(&s, "w", 2) == 2);
    /* arrays */
    static const char text[] = "model m { input x: seq [2] target y: seq [1] h = gru[3](x) p = dense[1](h) output p loss mse(p, y)"
                               " data { npz = \"d.npz\", split = 1 } }";
    Arrays a = steps_data(4, 5).array;
    Array *len = arrays_add(&arena, &a, "length/x", RONDO_I64, 1, (int64_t[]){4});
    for (int64_t i = 0; i < 4; i++) array_set(len, i, (double)i + 2);
    CHECK(npz_write(ctx, arena_printf(&arena, "%s/d.npz", dir), &a));
    for (int cut = 0; cut < 2; cut++) {
        Model *m = open_model(text, cut ? "max_length=3" : "");
        Dataset d;
        CHECK(m && dataset_load(m, NULL, &arena, false, &d) && d.n == 4 && d.train == 4);
        const Array *x = arrays_find(&d.array, "input/x"), *l = arrays_find(&d.array, "length/x");
        CHECK(x && l && x->dim[1] == (cut ? 3 : 5) && array_get(l, 3) == (cut ? 3 : 5) && array_get(l, 0) == 2);
        CHECK(x && array_get(x, 2 * x->dim[1]) == array_get(arrays_find(&a, "input/x"), 10));
        bool stopped;
        CHECK(m && weights_init(m, 1) && train_set(m, &d, NULL, NULL, NULL, &stopped));
        show();
        model_close(m);
    }
}

int main(void) {
    static char tmp[] = "/tmp/rondo-keys-XXXXXX";
    dir = mkdtemp(tmp);
    ctx = ctx_make(NULL);
    if (!dir || !ctx) return 1;
    arena = arena_make(ctx);
    test_plain();
    test_patterns();
    test_factors();
    test_schedule();
    test_monitor();
    test_weights();
    test_accumulate();
    test_accumulated_noise();
    test_windows();
    test_gradient();
    test_ragged();
    test_conformance();
    test_data();
    show();
    static const char *const files[] = {"checkpoint", "s.csv", "d.npz"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(arena_printf(&arena, "%s/%s", dir, files[i]));
    rmdir(dir);
    arena_free(&arena);
    ctx_destroy(ctx);
    printf("%d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
