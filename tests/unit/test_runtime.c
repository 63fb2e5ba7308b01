/* test_runtime: array files (round trips, and files that are truncated or lie), series cut into windows, the thread pool,
   training that resumes to the same bits, streams, and misuse of rondo.h. Run from the project's root. */
#include "ir/pack.h"
#include "runtime/exec_int.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static int passed, failed, skipped;
static const char *dir;

#define CHECK(ok) check((ok), #ok, __LINE__)
static void check(bool ok, const char *what, int line) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED: line %d: %s\n", line, what);
    }
}

/* An allocator that remembers the largest block asked for. */
static size_t largest;
static void *counting(void *arg, void *p, size_t n) {
    (void)arg;
    if (n > largest) largest = n;
    if (n) return realloc(p, n);
    free(p);
    return NULL;
}

static Ctx *ctx;
static Arena arena;

static bool has_code(uint16_t code) {
    bool found = false;
    for (uint32_t i = 0; i < diag_count(ctx); i++) found = found || diag_at(ctx, i)->code == code;
    diag_clear(ctx);
    return found;
}

static void show(void) {
    Str s = str_make(&arena);
    diag_render(ctx, &s, false);
    if (s.n) printf("%s", s.at);
    diag_clear(ctx);
}

static char *path_of(const char *name) {
    return arena_printf(&arena, "%s/%s", dir, name);
}

/* ---- safetensors -------------------------------------------------------------------------------------------------------- */

static bool parse_st(const char *header, size_t data_bytes, Safetensors *out) {
    size_t n = strlen(header);
    char *p = arena_alloc(&arena, 8 + n + data_bytes + 1);
    store_le((unsigned char *)p, n, 8);
    memcpy(p + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++) p[8 + n + i] = (char)i;
    return safetensors_parse(ctx, &arena, "test", p, 8 + n + data_bytes, out);
}

static void test_safetensors_round_trip(void) {
    Safetensors s = {0}, r;
    Array *a = arrays_add(&arena, &s.tensor, "h.W", RONDO_F32, 2, (int64_t[]){2, 3});
    Array *b = arrays_add(&arena, &s.tensor, "a \"quoted\" name", RONDO_F64, 0, NULL);
    Array *c = arrays_add(&arena, &s.tensor, "empty", RONDO_F32, 2, (int64_t[]){0, 3});
    Array *d = arrays_add(&arena, &s.tensor, "i", RONDO_I32, 1, (int64_t[]){4});
    CHECK(a && b && c && d);
    a = arrays_find(&s.tensor, "h.W");
    for (int i = 0; i < 6; i++) array_set(a, i, i * 0.1);
    array_set(arrays_find(&s.tensor, "a \"quoted\" name"), 0, -1e300);
    array_set(arrays_find(&s.tensor, "i"), 3, -7);
    VEC_PUSH(&arena, s.meta) = "key";
    VEC_PUSH(&arena, s.meta) = "value";
    char *path = path_of("a.safetensors");
    CHECK(safetensors_write(ctx, path, &s) && safetensors_read(ctx, &arena, path, &r));
    CHECK(r.tensor.array.n == 4 && r.meta.n == 2 && strcmp(r.meta.at[1], "value") == 0);
    for (uint32_t i = 0; i < r.tensor.array.n; i++) {
        const Array *x = &r.tensor.array.at[i], *y = &s.tensor.array.at[i];
        CHECK(strcmp(x->name, y->name) == 0 && x->type == y->type && array_difference(x, y, NULL) == 0);
    }
    /* every truncation is an error, none a crash */
    char *text;
    size_t n;
    CHECK(file_read(ctx, &arena, path, &text, &n));
    bool all = true;
    for (size_t k = 0; k < n; k++) {
        char *part = malloc(k ? k : 1); /* exact size, for the sanitizers */
        memcpy(part, text, k);
        if (safetensors_parse(ctx, &arena, "truncated", part, k, &r)) all = false;
        diag_clear(ctx);
        free(part);
    }
    CHECK(all);
}

static void test_safetensors_malformed(void) {
    static const char *const bad[] = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", /* shape and offsets disagree */
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", /* gap */
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", /* data left over */
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1000000000000],\"data_offsets\":[0,4000000000000]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551615]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}",
        "{\"a\":[]}",
        "{\"a\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}",
        "{\"__metadata__\":{\"a\":1}}",
        "[]",
    };
    Safetensors s;
    largest = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool ok = parse_st(bad[i], 8, &s);
        if (ok || !has_code(601)) printf("accepted or wrong code: %s\n", bad[i]);
        CHECK(!ok);
    }
    CHECK(largest < 1 << 20);
    CHECK(!parse_st("{\"a\":{\"dtype\":\"Q4\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, &s) && has_code(604));
    char lie[16] = {0};
    store_le((unsigned char *)lie, UINT64_MAX - 4, 8);
    CHECK(!safetensors_parse(ctx, &arena, "lie", lie, sizeof lie, &s) && has_code(601));
    store_le((unsigned char *)lie, 99000000, 8);
    lie[8] = '{';
    CHECK(!safetensors_parse(ctx, &arena, "lie", lie, sizeof lie, &s) && has_code(601));
    CHECK(parse_st("{\"a\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}", 8, &s));
    CHECK(s.tensor.array.at[0].type == RONDO_F32 && fabs(array_get(&s.tensor.array.at[0], 0) - 0x100 * ldexp(1, -24)) < 1e-12);
    CHECK(parse_st("{\"a\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}   ", 8, &s));
}

/* ---- npz ---------------------------------------------------------------------------------------------------------------- */

static bool parse_npy(const char *dict, size_t data_bytes, Array *out) {
    size_t n = strlen(dict), all = 10 + n + data_bytes;
    char *p = malloc(all);
    memcpy(p, "\x93NUMPY\x01\x00", 8);
    store_le((unsigned char *)p + 8, n, 2);
    memcpy(p + 10, dict, n);
    for (size_t i = 0; i < data_bytes; i++) p[10 + n + i] = (char)i;
    bool ok = npy_parse(ctx, &arena, "test", p, all, out);
    free(p);
    return ok;
}

static void test_npz_round_trip(void) {
    Arrays s = {0}, r;
    static const rondo_type type[] = {RONDO_F32, RONDO_F64, RONDO_I32, RONDO_I64, RONDO_U8};
    for (int k = 0; k < 5; k++) {
        Array *x = arrays_add(&arena, &s, arena_printf(&arena, "input/x%d", k), type[k], k, (int64_t[]){2, 3, 1, 2});
        for (int64_t i = 0; i < array_count(x); i++) array_set(x, i, (double)(i + k));
    }
    char *path = path_of("a.npz");
    CHECK(npz_write(ctx, path, &s) && npz_read(ctx, &arena, path, &r) && r.array.n == 5);
    for (int k = 0; k < 5; k++) {
        const Array *x = arrays_find(&r, s.array.at[k].name);
        CHECK(x && x->type == s.array.at[k].type && x->rank == k && array_difference(x, &s.array.at[k], NULL) == 0);
    }
    char *text, *cut = path_of("cut.npz");
    size_t n;
    bool all = true;
    CHECK(file_read(ctx, &arena, path, &text, &n));
    for (size_t k = 0; k < n; k += 7) {
        if (!file_write(ctx, cut, text, k) || npz_read(ctx, &arena, cut, &r)) all = false;
        diag_clear(ctx);
    }
    for (size_t k = 0; k < n; k += 3) { /* a flipped byte: read or refused, never a crash */
        text[k] ^= (char)0x55;
        if (!file_write(ctx, cut, text, n)) all = false;
        npz_read(ctx, &arena, cut, &r);
        diag_clear(ctx);
        text[k] ^= (char)0x55;
    }
    CHECK(all);
}

static void test_npy_malformed(void) {
    Array x;
    CHECK(parse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n", 8, &x) && x.rank == 2);
    CHECK(parse_npy("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", 1, &x) && x.rank == 0);
    CHECK(parse_npy("{'shape': (2, 3), 'fortran_order': True, 'descr': '|u1'}", 6, &x));
    CHECK(array_get(&x, 0) == 0 && array_get(&x, 1) == 2 && array_get(&x, 2) == 4 && array_get(&x, 3) == 1);
    CHECK(!parse_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8, &x) && has_code(604));
    CHECK(!parse_npy("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }", 24, &x) && has_code(604));
    static const char *const bad[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }",
        "{'descr': '<f4', 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,",
        "",
    };
    largest = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!parse_npy(bad[i], 8, &x) && has_code(603));
    CHECK(largest < 1 << 20);
}

/* ---- csv ---------------------------------------------------------------------------------------------------------------- */

static bool parse(const char *text, Csv *c) {
    return csv_parse(ctx, &arena, "t.csv", text, strlen(text), (CsvForm){',', '.'}, c);
}

static void test_csv(void) {
    Csv c;
    double *v;
    CHECK(parse("\"year\",sun\r\n1700, 5\r\n\r\n1701,1.5e1\r\n", &c) && c.nrow == 2 && c.ncol == 2 && c.header && c.line[1] == 4);
    CHECK(csv_column(ctx, &c, "sun", (Span){0, 0}) == 1 && csv_numbers(ctx, &arena, &c, 1, &v) && v[0] == 5 && v[1] == 15);
    CHECK(csv_column(ctx, &c, "sum", (Span){0, 0}) == -1 && has_code(611));
    CHECK(parse("a,\"b \"\"x\"\"\n,y\"\n1,2", &c) && c.nrow == 1 && strcmp(c.header[1], "b \"x\"\n,y") == 0 && c.line[0] == 3);
    CHECK(parse("1,2\n3,x\n", &c) && !c.header && c.nrow == 2);
    CHECK(!csv_numbers(ctx, &arena, &c, 1, &v) && has_code(612));
    CHECK(!parse("a,b\n1,2,3\n", &c) && has_code(610));
    CHECK(!parse("a,\"b\n1,2\n", &c) && has_code(610));
    CHECK(!parse("a,b\"c\n", &c) && has_code(610));
    CHECK(!parse("a,\"b\"c\n", &c) && has_code(610));
    CHECK(!parse("a\rb\n", &c) && has_code(610));
    CHECK(!parse("", &c) && has_code(610));
    CHECK(!csv_parse(ctx, &arena, "t.csv", "a\0b\n", 4, (CsvForm){',', '.'}, &c) && has_code(610));
    CHECK(parse("a\n1,5\n", &c) == false && has_code(610));
}

/* ---- order and threads -------------------------------------------------------------------------------------------------- */

static void test_shuffle(void) {
    int64_t a[100], b[100], c[100], sum = 0;
    shuffle_order(7, 3, 100, a);
    shuffle_order(7, 3, 100, b);
    shuffle_order(7, 4, 100, c);
    bool seen[100] = {0}, once = true;
    for (int i = 0; i < 100; i++) {
        once = once && a[i] >= 0 && a[i] < 100 && !seen[a[i]];
        seen[a[i]] = true;
        sum += a[i] == i;
    }
    CHECK(once && sum < 20 && memcmp(a, b, sizeof a) == 0 && memcmp(a, c, sizeof a) != 0);
}

enum { ROUNDS = 300 };
static atomic_int arrived[ROUNDS];
static atomic_bool early;

static void pool_job(void *arg, const KEnv *env) {
    (void)arg;
    for (int r = 0; r < ROUNDS; r++) {
        atomic_fetch_add(&arrived[r], 1);
        env->barrier(env->arg);
        if (atomic_load(&arrived[r]) != env->nt) atomic_store(&early, true);
        env->barrier(env->arg);
    }
}

static void test_pool(void) {
    for (int n = 1; n <= 5; n++) {
        Pool *p = pool_make(ctx, n);
        CHECK(p && pool_threads(p) == n);
        for (int call = 0; call < 20; call++) {
            for (int r = 0; r < ROUNDS; r++) atomic_store(&arrived[r], 0);
            pool_run(p, pool_job, NULL);
        }
        CHECK(!atomic_load(&early));
        pool_destroy(p);
    }
    CHECK(!pool_make(ctx, 0) && has_code(553));
}

/* ---- models ------------------------------------------------------------------------------------------------------------- */

static Model *sunspots(rondo_engine engine, int threads, const char *epochs) {
    rondo_options o = RONDO_OPTIONS_INIT;
    const char *set[] = {"H=3", epochs, "batch=32", "validation=0.1", "early_stopping=9"};
    rondo_model *m;
    o.engine = engine;
    o.threads = threads;
    o.set = set;
    o.nset = 5;
    o.std_dir = "std";
    if (rondo_open(&m, "examples/sunspots.rondo", &o) == RONDO_OK && rondo_init_weights(m, 5) == RONDO_OK) return m;
    fputs(rondo_message(m), stdout);
    rondo_close(m);
    return NULL;
}

/* Blocks of a quarter to half of a large page share one; others, and what does not fit, are their own. A block that grows moves. */
static void test_shared_page(void) {
    enum { K = 1 << 10 };
    ExecMemory m = {0};
    Block a = {0}, b = {0}, c = {0}, d = {0};
    CHECK(memory_reserve(ctx, &m, &a, 769 * K + 1) && memory_reserve(ctx, &m, &b, 520 * K) && !a.raw && !b.raw);
    CHECK(a.at == m.page.at && b.at >= a.at + 769 * K + 1 && (uintptr_t)b.at % 64 == 0 && b.at + b.size <= m.page.at + m.page.size);
    CHECK(memory_reserve(ctx, &m, &c, 800 * K) && c.raw && memory_reserve(ctx, &m, &d, 64 * K) && d.raw);
    bool zero = true;
    for (size_t i = 0; i < b.size; i++) zero = zero && !b.at[i];
    CHECK(zero && !memory_reserve(ctx, &m, &b, 520 * K) && memory_reserve(ctx, &m, &b, 3000 * K) && b.raw && a.at == m.page.at);
    ctx_free(ctx, b.raw);
    ctx_free(ctx, c.raw);
    ctx_free(ctx, d.raw);
    memory_free(ctx, &m);
}

static void test_series(void) {
    Model *m = sunspots(RONDO_ENGINE_EVAL, 1, "epochs=1");
    CHECK(m != NULL);
    if (!m) return;
    Series s;
    CHECK(series_load(m, NULL, &m->result, false, &s));
    CHECK(s.nrow == 309 && s.set.n == 299 && s.set.train + s.set.valid == 239 && s.set.valid == 23 && series_row(&s, 0) == 10);
    CHECK(s.y[0].shift == 0 && fabs(s.y[0].scale - 154.4) < 1e-9); /* 1778, the most of the first 249 years */
    const Array *x = arrays_find(&s.set.array, "input/x"), *y = arrays_find(&s.set.array, "target/y");
    CHECK(x && y && x->rank == 3 && x->dim[1] == 10 && y->rank == 2);
    CHECK(fabs(array_get(x, 0) - 5 / 154.4) < 1e-12 && fabs(array_get(x, 11) - array_get(x, 2)) < 1e-15 && array_get(y, 0) == array_get(x, 19));
    CHECK(series_row(&s, 298) == 308 && array_get(y, 298) * s.y[0].scale + s.y[0].shift - s.y[0].value[308] < 1e-9);
    rondo_close(m);
}

/* Two arrays of different numbers of examples: the message says which, and of which file. */
static void test_counts(void) {
    static const char text[] = "model m { input x: seq [1] target y: [1] h = simple_rnn[3](x) p = dense[1](h.last) output p loss mse(p, y) }";
    rondo_options o = RONDO_OPTIONS_INIT;
    Model *m = NULL;
    o.std_dir = "std";
    o.engine = RONDO_ENGINE_EVAL;
    CHECK(rondo_open_text(&m, "text.rondo", text, sizeof text - 1, &o) == RONDO_OK);
    char *path = path_of("counts.npz");
    Arrays s = {0};
    Dataset d;
    CHECK(arrays_add(&arena, &s, "x", RONDO_F32, 3, (int64_t[]){2, 4, 1}) && arrays_add(&arena, &s, "y", RONDO_F32, 2, (int64_t[]){3, 1}));
    CHECK(m && npz_write(ctx, path, &s) && !dataset_load(m, path, &arena, false, &d));
    if (m) CHECK(strstr(rondo_message(m), arena_printf(&arena, "%s: 'y' has 3 examples where 'x' has 2", path)) != NULL);
    rondo_close(m);
}

/* The last rows of a column of dates, and the one two rows further on; NULL: it cannot go on. */
static void test_dates(void) {
    const char *last[][4] = {
        {"2006", "2007", "2008", "2010"},
        {"1599996400", "1600000000", "1600003600", "1600010800"},
        {"2008-10", "2008-11", "2008-12", "2009-02"},
        {"2008/10", "2008/11", "2008/12", "2009/02"},
        {"10/2008", "11/2008", "12/2008", "02/2009"},
        {"2008-10-31", "2008-11-30", "2008-12-31", "2009-02-28"},
        {"2008-12-29", "2008-12-30", "2008-12-31", "2009-01-02"},
        {"2008/12/29", "2008/12/30", "2008/12/31", "2009/01/02"},
        {"20011215", "20011222", "20011229", "20020112"},
        {"20010801", "20011131", "20011399", "20011935"},
        {"20010227", "20010228", "20010301", "20010303"},
        {"29.12.2008", "30.12.2008", "31.12.2008", "02.01.2009"},
        {"1.2.2008", "1.3.2008", "1.4.2008", "1.6.2008"},
        {"29/12/2008", "30/12/2008", "31/12/2008", "02/01/2009"},
        {"12/29/2008", "12/30/2008", "12/31/2008", "01/02/2009"},
        {"1/1/2008", "2/1/2008", "3/1/2008", "5/1/2008"}, /* days: they are evenly apart */
        {"3/1/2008", "3/2/2008", "3/3/2008", "3/5/2008"},
        {"2008Q2", "2008Q3", "2008Q4", "2009Q2"},
        {"2008-Q2", "2008-Q3", "2008-Q4", "2009-Q2"},
        {"2008-12-31 21:30", "2008-12-31 22:30", "2008-12-31 23:30", "2009-01-01 01:30"},
        {"2008-12-31T23:59:40Z", "2008-12-31T23:59:50Z", "2009-01-01T00:00:00Z", "2009-01-01T00:00:20Z"},
        {"31.12.2008 22:00", "31.12.2008 23:00", "01.01.2009 00:00", "01.01.2009 02:00"},
        {"2008-12-30 06:00:00+01:00", "2008-12-31 06:00:00+01:00", "2009-01-01 06:00:00+01:00", "2009-01-03 06:00:00+01:00"},
        {"20081231 2200", "20081231 2300", "20090101 0000", NULL},
        {"a", "b", "c", NULL},
        {"2008-13", "2008-14", "2008-15", NULL},
        {"2008-02-29", "2009-02-28", "2009-02-29", NULL},
        {"2008-01-01 10:00", "2008-01-01 25:00", "2008-01-02 10:00", NULL},
        {"12/29/2008", "30/12/2008", "12/31/2008", NULL},
        {"2008-01-01 10:00:00.5", "2008-01-01 10:00:01.0", "2008-01-01 10:00:01.5", NULL},
    };
    for (size_t k = 0; k < sizeof last / sizeof *last; k++) {
        Series d = {.date = last[k], .nrow = 3, .path = "d"};
        const char **next = NULL;
        bool ok = series_next_dates(ctx, &arena, &d, 2, &next), want = last[k][3] != NULL;
        if (ok != want || (ok && strcmp(next[1], last[k][3]))) printf("%s: %s\n", last[k][2], ok ? next[1] : "no date");
        CHECK(ok == want && (ok ? strcmp(next[1], last[k][3]) == 0 : has_code(554)));
    }
    CHECK(dates_fall((const char *[]){"03/02/2008", "02/02/2008", "01/02/2008"}, 3) && !dates_fall((const char *[]){"3", "2", "1"}, 3));
    CHECK(!dates_fall((const char *[]){"2008-01-03", "2008-01-01", "2008-01-02"}, 3));
    CHECK(!dates_go_on((const char *[]){"01/02/2008", "02/02/2008"}, 2, true)); /* a day later, or a month */
    CHECK(dates_go_on((const char *[]){"01.02.2008", "02.02.2008"}, 2, true) && !dates_go_on((const char *[]){"1", "2"}, 2, true));
}

typedef struct {
    int64_t stop_at, calls;
} Stop;
static int progress(void *arg, const rondo_progress *p) {
    Stop *s = arg;
    s->calls++;
    return p->update == s->stop_at;
}

static bool same_weights(Model *a, Model *b) {
    return a->desc->theta_size == b->desc->theta_size && memcmp(a->theta, b->theta, (size_t)a->desc->theta_size * (a->f64 ? 8 : 4)) == 0;
}

/* Stopped in the middle of an epoch and resumed, on another number of threads: the same bits. */
static int swallow(void *arg, const char *text, size_t n) { return (void)arg, (void)text, (void)n, 0; }

/* What cannot be meant is refused before anything is looked at. */
static void test_generate_options(void) {
    rondo_generate_options good = RONDO_GENERATE_OPTIONS_INIT;
    good.write = swallow;
    rondo_generate_options o[7];
    for (int i = 0; i < 7; i++) o[i] = good;
    o[0].temperature = -1;
    o[1].temperature = (double)INFINITY;
    o[2].top_p = 0;
    o[3].top_p = 1.5;
    o[4].top_k = -1;
    o[5].beam = -1;
    o[6].write = NULL;
    rondo_model *m = sunspots(RONDO_ENGINE_LOOPS, 1, "epochs=1");
    CHECK(m);
    for (int i = 0; m && i < 7; i++) CHECK(rondo_generate(m, &o[i]) != RONDO_OK && strstr(rondo_message(m), "E0556"));
    CHECK(m && rondo_generate(m, &good) != RONDO_OK && strstr(rondo_message(m), "E0558"));
    rondo_close(m);
}

static void test_train(rondo_engine engine) {
    Model *a = sunspots(engine, 1, "epochs=3"), *b = sunspots(engine, 1, "epochs=3"), *c = sunspots(engine, 2, "epochs=3");
    CHECK(a && b && c);
    if (!a || !b || !c) return;
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    rondo_train_result ra, rc;
    Stop stop = {-1, 0}, half = {10, 0};
    o.progress = progress;
    o.progress_arg = &stop;
    CHECK(rondo_train(a, &o, &ra) == RONDO_OK && ra.epochs == 3 && ra.updates == 21 && stop.calls == 21);
    o.progress_arg = &half;
    o.checkpoint = path_of("checkpoint");
    CHECK(rondo_train(b, &o, NULL) == RONDO_STOPPED);
    o.resume = o.checkpoint;
    o.checkpoint = NULL;
    o.progress = NULL;
    CHECK(rondo_train(c, &o, &rc) == RONDO_OK);
    CHECK(rc.loss == ra.loss);
    CHECK(rc.valid_loss == ra.valid_loss);
    if (rc.valid_loss != ra.valid_loss) printf("%.17g %.17g\n", ra.valid_loss, rc.valid_loss);
    CHECK(same_weights(a, c) && !same_weights(a, b));
    char *text;
    size_t n;
    CHECK(file_read(ctx, &arena, o.resume, &text, &n));
    text[n - 100] ^= 1;
    CHECK(file_write(ctx, path_of("damaged"), text, n));
    o.resume = path_of("damaged");
    CHECK(rondo_train(c, &o, NULL) == RONDO_BAD_INPUT && strstr(rondo_message(c), "checksum"));
    char *w = path_of("w.safetensors");
    CHECK(rondo_save_weights(a, w) == RONDO_OK && rondo_load_weights(b, w, NULL, 0) == RONDO_OK && same_weights(a, b));
    const char *rename[] = {"h.Wi=h.W1"};
    CHECK(rondo_load_weights(b, w, rename, 1) == RONDO_BAD_INPUT && strstr(rondo_message(b), "h.W1"));
    const char *there[] = {"h.*=other.*.x"}, *back[] = {"h.*=other.*.x", "other.*.x=h.*"}, *none[] = {"g.*=h.*"}, *onto[] = {"h.Wi=h.Wf"}, *stars[] = {"*.*=h.*"};
    CHECK(rondo_load_weights(b, w, there, 1) == RONDO_BAD_INPUT && strstr(rondo_message(b), "other.Wi.x"));
    CHECK(rondo_load_weights(b, w, back, 2) == RONDO_OK && same_weights(a, b));
    CHECK(rondo_load_weights(b, w, none, 1) == RONDO_BAD_INPUT && strstr(rondo_message(b), "no tensor 'g.*'"));
    CHECK(rondo_load_weights(b, w, onto, 1) == RONDO_BAD_INPUT && strstr(rondo_message(b), "'h.Wf' too"));
    CHECK(rondo_load_weights(b, w, stars, 1) == RONDO_BAD_INPUT && strstr(rondo_message(b), "one `*`"));
    rondo_close(a);
    rondo_close(b);
    rondo_close(c);
}

static void test_stream(rondo_engine engine) {
    Model *m = sunspots(engine, 1, "epochs=1");
    CHECK(m != NULL);
    if (!m) return;
    float x[20], y[2], h[6];
    for (int i = 0; i < 20; i++) x[i] = (float)(i * 7 % 11) * 0.1f; /* [2, 10, 1] */
    rondo_array in = {.name = "x", .rank = 3, .dim = {2, 10, 1}, .data = x}, out[2] = {{.name = "p"}, {.name = "final/h.h", .type = RONDO_F64}};
    CHECK(rondo_predict(m, &in, 1, out, 2) == RONDO_OK && out[0].rank == 2 && out[1].dim[1] == 3);
    float want[2] = {((float *)out[0].data)[0], ((float *)out[0].data)[1]};
    double final = ((double *)out[1].data)[4];
    rondo_stream *s;
    CHECK(rondo_stream_open(m, 2, &s) == RONDO_OK && rondo_stream_inputs(s) == 2 && rondo_stream_outputs(s) == 2);
    for (int round = 0; round < 2; round++) {
        for (int t = 0; t < 10; t++) CHECK(rondo_stream_step(s, (float[]){x[t], x[10 + t]}, y) == RONDO_OK);
        CHECK(y[0] == want[0] && y[1] == want[1]);
        CHECK(rondo_stream_get(s, "h.h", h, 6) == RONDO_OK && h[4] == (float)final);
        CHECK(rondo_stream_reset(s) == RONDO_OK);
    }
    CHECK(rondo_stream_get(s, "h.h", h, 5) == RONDO_BAD_USAGE && rondo_stream_set(s, "nope", h, 6) == RONDO_BAD_USAGE);
    rondo_stream_close(s);
    CHECK(rondo_predict(m, &in, 0, out, 1) == RONDO_BAD_INPUT && strstr(rondo_message(m), "'x'"));
    in.dim[2] = 2;
    in.dim[1] = 5;
    CHECK(rondo_predict(m, &in, 1, out, 1) == RONDO_BAD_INPUT && strstr(rondo_message(m), "shape"));
    CHECK(rondo_get_weight(m, "h.Wx", x, 3) == RONDO_BAD_USAGE && rondo_get_weight(m, "h.Wi", x, 4) == RONDO_BAD_USAGE);
    CHECK(rondo_get_weight(m, "h.Wi", x, 3) == RONDO_OK && rondo_set_weight(m, "h.Wi", x, 3) == RONDO_OK);
    rondo_close(m);
}

/* Arrays in, arrays out against a file of the conformance set, on the evaluator and the interpreter. */
static void test_conformance(void) {
    const char *shared = getenv("RONDO_SHARED") ? getenv("RONDO_SHARED") : "../shared";
    const char *npz = arena_printf(&arena, "%s/conformance/cells/lstm.npz", shared), *model = path_of("lstm.rondo");
    static const char text[] = "model m {\n input x: seq [5]\n target goal: seq [9]\n y = lstm[9](x)\n output y\n loss mse(y, goal)\n}\n";
    if (access(npz, R_OK) != 0) {
        printf("skipped: %s is not there (RONDO_SHARED names its folder)\n", npz);
        skipped++;
        return;
    }
    CHECK(file_write(ctx, model, text, sizeof text - 1));
    for (int engine = EXEC_LOOPS; engine <= EXEC_EVAL; engine++)
        for (int f64 = 0; f64 < 2; f64++) {
            ModelOptions o = {.std_dir = "std", .exec = {.engine = (ExecEngine)engine, .f64 = f64, .V = 4, .registers = 16}};
            Model *m = model_open(ctx, model, &o);
            Arrays in, out = {0};
            uint32_t n = 0, bad = 0;
            CHECK(m && npz_read(ctx, &arena, npz, &in) && run_arrays(m, &(RunOptions){.grad = true, .adam = true}, &in, &arena, &out));
            Comparison *c = m ? compare_arrays(m, &arena, &out, &in, npz, &n) : NULL;
            for (uint32_t i = 0; c && i < n; i++) bad += !c[i].ok;
            CHECK(n == 32 && bad == 0);
            uint32_t count = 0;
            GradCheck *g = m && engine == EXEC_EVAL ? grad_check(m, &(GradCheckOptions){.limit = 5}, &arena, &count) : NULL;
            for (uint32_t i = 0; i < count; i++) CHECK(g[i].error < 1e-6 || g[i].note);
            model_close(m);
            show();
        }
}

/* A model from text; arrays to train on; a weighted evaluation. */
static void test_text(void) {
    static const char text[] = "model m { input x: seq [2] target y: [1] h = simple_rnn[3](x) p = dense[1](h.last) output p loss mse(p, y)"
                               " train { optimizer = sgd(lr = 0.1), epochs = 2, batch = 3, freeze = [\"h.*\"] } }";
    rondo_options o = RONDO_OPTIONS_INIT;
    rondo_model *m;
    o.std_dir = "std";
    o.engine = RONDO_ENGINE_LOOPS;
    CHECK(rondo_open_text(&m, "text.rondo", text, sizeof text - 1, &o) == RONDO_OK && rondo_init_weights(m, 1) == RONDO_OK);
    CHECK(strcmp(rondo_name(m), "m") == 0 && rondo_count(m, RONDO_INPUT) == 1 && rondo_count(m, RONDO_STATE) == 1);
    rondo_info info;
    CHECK(rondo_describe(m, RONDO_INPUT, 0, &info) == RONDO_OK && info.rank == 3 && info.dim[1] == RONDO_ANY && info.dim[2] == 2);
    float x[5 * 4 * 2], y[5], before[9], after[9], loss_grad[3];
    double loss = 0, again = 0;
    for (int i = 0; i < 40; i++) x[i] = (float)(i % 7) * 0.1f;
    for (int i = 0; i < 5; i++) y[i] = (float)i * 0.2f;
    rondo_array a[] = {{.name = "x", .rank = 3, .dim = {5, 4, 2}, .data = x}, {.name = "y", .rank = 2, .dim = {5, 1}, .data = y}};
    rondo_train_options t = RONDO_TRAIN_OPTIONS_INIT;
    t.arrays = a;
    t.narrays = 2;
    CHECK(rondo_get_weight(m, "h.U", before, 9) == RONDO_OK && rondo_train(m, &t, NULL) == RONDO_OK);
    CHECK(rondo_get_weight(m, "h.U", after, 9) == RONDO_OK && memcmp(before, after, sizeof before) == 0);
    CHECK(rondo_evaluate(m, NULL, a, 2, &loss, NULL, 0) == RONDO_OK);
    rondo_array g = {.name = "param/p.W", .rank = 2, .dim = {1, 3}, .data = loss_grad};
    CHECK(rondo_gradient(m, a, 2, 0, &again, &g, 1) == RONDO_OK && fabs(loss - again) < 1e-6 && loss_grad[0] != 0);
    a[0].dim[0] = 4;
    CHECK(rondo_train(m, &t, NULL) == RONDO_BAD_INPUT);
    rondo_close(m);
    CHECK(rondo_open_text(&m, "text.rondo", "model m { output q }", 20, &o) == RONDO_BAD_INPUT && strstr(rondo_message(m), "text.rondo:1"));
    rondo_close(m);
}

static void test_limits(void) {
    rondo_options o = RONDO_OPTIONS_INIT;
    rondo_model *m;
    o.std_dir = "std";
    o.engine = RONDO_ENGINE_LOOPS;
    o.memory_limit = 50000;
    CHECK(rondo_open(&m, "examples/sunspots.rondo", &o) == RONDO_OK && rondo_init_weights(m, 1) == RONDO_OK);
    rondo_train_options t = RONDO_TRAIN_OPTIONS_INIT;
    CHECK(rondo_train(m, &t, NULL) == RONDO_NO_MEMORY && strstr(rondo_message(m), "limit"));
    rondo_close(m);
    o.memory_limit = 0;
    CHECK(rondo_open(&m, "examples/none.rondo", &o) == RONDO_BAD_INPUT && strstr(rondo_message(m), "none.rondo"));
    CHECK(rondo_init_weights(m, 1) == RONDO_BAD_USAGE);
    rondo_close(m);
    CHECK(rondo_open(&m, "examples/sunspots.rondo", &o) == RONDO_OK);
    CHECK(rondo_save_weights(m, path_of("never")) == RONDO_BAD_INPUT && strstr(rondo_message(m), "E0608"));
    rondo_close(m);
    rondo_close(NULL);
    CHECK(rondo_open(NULL, "x", NULL) == RONDO_BAD_USAGE && rondo_message(NULL)[0]);
}

/* What a program gets wrong about the calls is a status and a message, with a handle that can be closed. */
static bool refused(const char *text, const rondo_options *o) {
    rondo_model *m = NULL;
    bool ok = rondo_open_text(&m, "m", text, text ? strlen(text) : 0, o) == RONDO_BAD_USAGE && m && rondo_message(m)[0];
    rondo_close(m);
    return ok;
}

static void test_usage(void) {
    static const char text[] = "model m { input k: seq token[4] e = embedding[4, 2] output p = e(k).last }";
    rondo_options o = RONDO_OPTIONS_INIT, none = {0}, wrong;
    const char *null = NULL;
    rondo_model *m;
    o.std_dir = "std";
    o.engine = RONDO_ENGINE_LOOPS;
    CHECK(refused(NULL, &o) && refused(text, &none));
    wrong = o, wrong.engine = (rondo_engine)7;
    CHECK(refused(text, &wrong));
    wrong = o, wrong.threads = -1;
    CHECK(refused(text, &wrong));
    wrong = o, wrong.nset = 1;
    CHECK(refused(text, &wrong));
    wrong.set = &null;
    CHECK(refused(text, &wrong));
    CHECK(rondo_open_text(&m, "m", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(m, 1) == RONDO_OK);
    CHECK(rondo_load_weights(m, "none", NULL, 1) != RONDO_OK);
    CHECK(rondo_save_weights(m, path_of("a.safetensors")) == RONDO_OK);
    CHECK(rondo_load_weights(m, path_of("a.safetensors"), &null, 1) == RONDO_BAD_USAGE);
    CHECK(rondo_train(m, &(rondo_train_options){0}, NULL) == RONDO_BAD_USAGE && strstr(rondo_message(m), "no size"));
    CHECK(rondo_predict(m, NULL, 1, NULL, 0) == RONDO_BAD_USAGE && rondo_predict(m, NULL, 0, NULL, 1) == RONDO_BAD_USAGE);
    static const double token[] = {1.5, -0.5, 1e20, NAN, 4, 3};
    rondo_stream *s;
    CHECK(rondo_stream_open(m, 1, &s) == RONDO_OK);
    for (int i = 0; i < 6; i++) {
        rondo_status want = i < 5 ? RONDO_BAD_INPUT : RONDO_OK;
        double k[] = {0, token[i], 1};
        rondo_array in = {.name = "k", .type = RONDO_F64, .rank = 2, .dim = {1, 3}, .data = k}, out = {.name = "p"};
        CHECK(rondo_predict(m, &in, 1, &out, 1) == want);
        float x = (float)token[i], y[2];
        CHECK(rondo_stream_step(s, &x, y) == want && rondo_stream_run(s, -1, &x, y) == RONDO_BAD_USAGE);
        in.type = (rondo_type)9;
        CHECK(rondo_predict(m, &in, 1, &out, 1) == RONDO_BAD_USAGE);
    }
    rondo_stream_close(s);
    rondo_close(m);
}

/* A state that is a token or a bool goes from step to step like any other: the steps of a stream are those of a whole sequence. */
static void test_discrete(rondo_engine engine, int f64) {
    static const char text[] = "cell g[V](x: []) { state t: token[V] = 1 state b: bool = true state n = 0 param E: [V, V] = normal(0, 1)\n"
                               "t' = argmax(E[t] + x * E[0]) b' = not b n' = n + where(b, 2, 1) return E[t'] + n }\n"
                               "model m { input x: seq [] h = g[4](x) output h }";
    rondo_options o = RONDO_OPTIONS_INIT;
    rondo_model *m;
    rondo_stream *s;
    rondo_info info;
    o.std_dir = "std";
    o.engine = engine;
    o.f64 = f64;
    CHECK(rondo_open_text(&m, "m", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(m, 2) == RONDO_OK);
    CHECK(rondo_describe(m, RONDO_STATE, 0, &info) == RONDO_OK && info.type == RONDO_I32 && info.vocabulary == 4);
    CHECK(rondo_describe(m, RONDO_STATE, 1, &info) == RONDO_OK && info.type == RONDO_U8);
    float x[12], want[48], y[8], t[2] = {3, 0};
    for (int i = 0; i < 12; i++) x[i] = 2 * sinf((float)(3 * i));
    rondo_array in = {.name = "x", .rank = 2, .dim = {2, 6}, .data = x}, out = {.name = "h", .rank = 3, .dim = {2, 6, 4}, .data = want};
    CHECK(rondo_predict(m, &in, 1, &out, 1) == RONDO_OK && rondo_stream_open(m, 2, &s) == RONDO_OK);
    for (int again = 0; again < 2; again++) {
        for (int k = 0; k < 6; k++) {
            CHECK(rondo_stream_step(s, (float[]){x[k], x[6 + k]}, y) == RONDO_OK);
            CHECK(memcmp(y, want + 4 * k, 16) == 0 && memcmp(y + 4, want + 24 + 4 * k, 16) == 0);
        }
        CHECK(rondo_stream_set(s, "h.t", t, 2) == RONDO_OK && rondo_stream_get(s, "h.t", y, 2) == RONDO_OK && y[0] == 3 && y[1] == 0);
        CHECK(rondo_stream_set(s, "h.t", (float[]){4, 0}, 2) == RONDO_BAD_INPUT && rondo_stream_set(s, "h.b", (float[]){0.5f, 0}, 2) == RONDO_BAD_INPUT);
        CHECK(rondo_stream_reset(s) == RONDO_OK);
    }
    rondo_stream_close(s);
    rondo_close(m);
}

/* The noise of a stream is that of a whole sequence, however its steps are cut: of each step, and one for all of them. */
static void test_stream_noise(rondo_engine engine, int f64) {
    static const char text[] = "cell g[H](x: []) { noise e: [H] = normal(0, 1) noise k: [H] = uniform(0, 1), per sequence state h: [H] = 0\n"
                               "h' = 0.5 * h + x + e + k return h' }\nmodel m { input x: seq [] h = g[3](x) output h }";
    static const int64_t cut[] = {1, 2, 1, 3};
    rondo_options o = RONDO_OPTIONS_INIT;
    rondo_model *m;
    rondo_stream *s;
    o.std_dir = "std";
    o.engine = engine;
    o.f64 = f64;
    CHECK(rondo_open_text(&m, "m", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(m, 2) == RONDO_OK);
    float x[14] = {0.5f, -1}, want[42], y[42], steps[14];
    rondo_array in = {.name = "x", .rank = 2, .dim = {2, 7}, .data = x}, out = {.name = "h", .rank = 3, .dim = {2, 7, 3}, .data = want};
    CHECK(rondo_predict(m, &in, 1, &out, 1) == RONDO_OK && rondo_stream_open(m, 2, &s) == RONDO_OK);
    CHECK(want[0] - x[0] != want[3] - 0.5f * want[0] - x[1]);
    for (int again = 0; again < 2; again++) {
        for (int t = 0, c = 0; t < 7; t += (int)cut[c++])
            for (int k = 0; k < cut[c]; k++) {
                for (int b = 0; b < 2; b++) steps[2 * (t + k) + b] = x[7 * b + t + k];
                if (k + 1 == cut[c]) CHECK(rondo_stream_run(s, cut[c], steps + 2 * t, y + 6 * t) == RONDO_OK);
            }
        for (int t = 0; t < 7; t++) CHECK(memcmp(y + 6 * t, want + 3 * t, 12) == 0 && memcmp(y + 6 * t + 3, want + 21 + 3 * t, 12) == 0);
        CHECK(rondo_stream_reset(s) == RONDO_OK);
    }
    rondo_stream_close(s);
    rondo_close(m);
}

/* A call's first step goes through its weights from where the last step before ended: odd numbers of steps turn it round. How a
   stream's steps are spread over calls changes no bit. */
static void test_turn(void) {
    static const char text[] = "model m {\n input x: seq [1]\n y = lstm[2](x)\n output y\n}\n";
    static const int64_t steps[] = {1, 2, 1, 3}, turn[] = {1, 1, 0, 1};
    static const float theta[64];
    ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_LOOPS, .V = 4, .registers = 16, .batch = 1, .one_row = true}};
    Model *m = model_open_text(ctx, "turn.rondo", text, strlen(text), &o);
    Exec *e = m ? exec_make(ctx, model_module(m, MODULE_STEP, false), &o.exec, NULL) : NULL;
    for (int k = 0; k < 4; k++) {
        int64_t axis[MAX_AXES] = {1, steps[k]};
        CHECK(e && exec_dims(e, axis) && exec_run(e, theta, 1, NULL, 0, 0, NULL) && exec_dim(e)[LDIM_TURN] == turn[k]);
    }
    exec_destroy(e);
    rondo_stream *s = NULL;
    float x[9], y[2][18];
    for (int t = 0; t < 9; t++) x[t] = (float)(t * 7 % 11) * 0.1f;
    CHECK(m && rondo_init_weights(m, 1) == RONDO_OK && rondo_stream_open(m, 1, &s) == RONDO_OK && rondo_stream_run(s, 9, x, y[0]) == RONDO_OK);
    CHECK(rondo_stream_reset(s) == RONDO_OK);
    for (int t = 0, k = 0; t < 9; t += (int)steps[k++ % 4]) CHECK(rondo_stream_run(s, steps[k % 4] < 9 - t ? steps[k % 4] : 9 - t, x + t, y[1] + 2 * (size_t)t) == RONDO_OK);
    CHECK(memcmp(y[0], y[1], sizeof y[0]) == 0);
    rondo_stream_close(s);
    model_close(m);
}

/* A kept plan that is no sound one, behind a right checksum, is made and kept anew. */
static void test_unsound_plan(void) {
    static const char text[] = "model m {\n input x: seq [1]\n y = lstm[2](x)\n output y\n}\n";
    uint64_t key[2] = {0};
    size_t n = 0, again = 0, at = 0;
    ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_JIT, .V = 4, .registers = 16, .cache_dir = dir}};
    Model *m = model_open_text(ctx, "plan.rondo", text, strlen(text), &o);
    Exec *e = exec_make(ctx, model_module(m, MODULE_STEP, false), &o.exec, NULL);
    CHECK(e != NULL);
    if (!e) return;
    kept_key(e, model_module(m, MODULE_STEP, false), key);
    const char *first = cache_plan(&arena, dir, key, &n);
    char *bytes = NEW_N(&arena, char, n + 1);
    CHECK(first && n > 1000);
    for (size_t k = n / 2; k < n && !at; k++) { /* what can be read, and is wrong */
        size_t to = 1 + sizeof(uint64_t[2]);
        memcpy(bytes, first, n);
        bytes[k] ^= 0x10;
        Module *x = module_unpack(ctx, &arena, bytes, n, &to);
        LProgram *p = x ? lprogram_unpack(ctx, &arena, bytes, n, &to) : NULL;
        if (p && to == n && (!module_verify(x, "test") || !lprogram_verify(p, "test"))) at = k;
        diag_clear(ctx);
    }
    CHECK(at > 0);
    cache_plan_put(&arena, dir, key, bytes, n);
    exec_destroy(e);
    e = exec_make(ctx, model_module(m, MODULE_STEP, false), &o.exec, NULL);
    const char *now = cache_plan(&arena, dir, key, &again);
    CHECK(e && !diag_count(ctx) && now && again == n && !memcmp(now, first, n));
    exec_destroy(e);
    model_close(m);
}

int main(void) {
    static char tmp[] = "/tmp/rondo-runtime-XXXXXX";
    dir = mkdtemp(tmp);
    ctx = ctx_make(&(Allocator){counting, NULL});
    if (!dir || !ctx) return 1;
    arena = arena_make(ctx);
    test_safetensors_round_trip();
    test_safetensors_malformed();
    test_npz_round_trip();
    test_npy_malformed();
    test_csv();
    test_shuffle();
    test_pool();
    test_shared_page();
    test_dates();
    test_counts();
    test_series();
    test_generate_options();
    test_train(RONDO_ENGINE_EVAL);
    test_train(RONDO_ENGINE_LOOPS);
    test_stream(RONDO_ENGINE_EVAL);
    test_stream(RONDO_ENGINE_LOOPS);
    test_turn();
    test_conformance();
    test_text();
    test_limits();
    test_usage();
    test_unsound_plan();
    test_discrete(RONDO_ENGINE_EVAL, 1);
    test_discrete(RONDO_ENGINE_LOOPS, 0);
    test_discrete(RONDO_ENGINE_LOOPS, 1);
    test_stream_noise(RONDO_ENGINE_EVAL, 1);
    test_stream_noise(RONDO_ENGINE_LOOPS, 0);
    show();
    DIR *files = opendir(dir);
    for (struct dirent *f; files && (f = readdir(files));) unlink(path_of(f->d_name));
    if (files) closedir(files);
    rmdir(dir);
    arena_free(&arena);
    ctx_destroy(ctx);
    printf("%d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
