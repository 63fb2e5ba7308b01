/* test_data: what the data block reads, on files that the test makes: values, classes, vocabularies, parts, windows, batches; and
   malformed ones, refused with their place. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "runtime/records.h"

static int passed, failed;
static Ctx *ctx;
static Arena arena;
static const char *dir;

#define CHECK(ok) check((ok), #ok, __LINE__)
static void check(bool ok, const char *what, int line) {
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAILED: line %d: %s\n", line, what);
    }
}

static VEC(const char *) made;
static void put(const char *name, const char *text, size_t n) {
    VEC_PUSH(&arena, made) = arena_printf(&arena, "%s/%s", dir, name);
    CHECK(file_write(ctx, arena_printf(&arena, "%s/%s", dir, name), text, n));
}
static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static Model *model;
static Dataset set;

/* Opens a model with this data block (and train block `train`) and loads its data. */
static bool load_with(const char *ports, const char *data, const char *train, const char *path, bool whole) {
    const char *text = arena_printf(&arena, "model m { %s train { %s } data { %s } }", ports, train, data);
    ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_LOOPS, .f64 = true, .V = 4, .registers = 16}};
    model_close(model);
    diag_clear(ctx);
    model = model_open_text(ctx, arena_printf(&arena, "%s/m.rondo", dir), text, strlen(text), &o);
    return model && dataset_load(model, path, &arena, whole, &set);
}

#define CLASSIFY(K) \
    "input x: seq [2] target y: token[" #K "] z = dense[" #K "](gru[2](x).last) output z loss softmax_crossentropy(z, y)"
#define SENTENCE(V) \
    "input x: seq token[" #V "] target y: bool p = sigmoid(dense[1](gru[2](embedding[" #V \
    ", 2](x)).last)) output p loss binary_crossentropy(p, y)"
#define LANGUAGE(V) \
    "input x: seq token[" #V "] target y: seq token[" #V "] z = dense[" #V "](gru[2](embedding[" #V \
    ", 2](x))) output z loss softmax_crossentropy(z, y)"

static bool says(uint16_t code, const char *words) {
    Str s = str_make(&arena);
    bool found = false;
    for (uint32_t i = 0; i < diag_count(ctx); i++)
        found = found || (diag_at(ctx, i)->code == code && strstr(diag_at(ctx, i)->text, words));
    diag_render(ctx, &s, false);
    if (!found) printf("  wanted E%04d '%s', got: %s\n", code, words, s.n ? s.at : "nothing");
    diag_clear(ctx);
    return found;
}

static void show(void) {
    Str s = str_make(&arena);
    diag_render(ctx, &s, false);
    if (s.n) printf("%s", s.at);
    diag_clear(ctx);
}

static bool good(const char *ports, const char *data) {
    bool ok = load_with(ports, data, "batch = 2", NULL, false);
    if (!ok) show();
    return ok;
}

static bool refused(const char *ports, const char *data, uint16_t code, const char *words) {
    return !load_with(ports, data, "batch = 2", NULL, false) && says(code, words);
}

static Batch batch;
static const Array *get(const char *name, int64_t B, const int64_t *example) {
    CHECK(batch_fill(&batch, ctx, &set, B, example));
    const Array *x = arrays_find(&batch.array, name);
    CHECK(x != NULL);
    static double zero;
    static Array none = {.rank = 0, .data = &zero, .type = RONDO_F64};
    return x ? x : &none;
}
static bool holds(const Array *x, int64_t n, const double *want) {
    bool ok = array_count(x) == n;
    for (int64_t i = 0; ok && i < n; i++) ok = array_get(x, i) == want[i];
    if (!ok)
        for (int64_t i = 0; i < array_count(x); i++) printf(" %g", array_get(x, i));
    if (!ok) printf("\n");
    return ok;
}
#define HOLDS(x, ...) CHECK(holds(x, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__}))
static const int64_t first[] = {0, 1, 2, 3, 4, 5, 6, 7};

/* ---- series of classes -------------------------------------------------------------------------------------------------- */

static void test_ts(void) {
    put_text("a.ts", "# made up\n@problemName x\n@classLabel true low high\n@data\n1,2,3:4,5,6:high\n7:8:low\r\n");
    put_text("b.ts", "@classLabel true low high\n@data\n9,9:9,9:low\n");
    CHECK(good(CLASSIFY(2), "ts = \"a.ts\", split = 1, test = \"b.ts\"") && set.n == 3 && set.train == 2 &&
          dataset_ragged(&set));
    HOLDS(get("input/x", 2, first), 1, 4, 2, 5, 3, 6, 7, 8, 0, 0, 0, 0);
    HOLDS(get("length/x", 2, first), 3, 1);
    HOLDS(get("target/y", 3, first), 1, 0, 0);
    CHECK(batch.real == 6 && batch.padded == 9);
    CHECK(good(CLASSIFY(2), "ts = \"a.ts\", split = 1, max_length = 2"));
    HOLDS(get("length/x", 2, first), 2, 1);
    CHECK(good(CLASSIFY(2), "ts = \"a.ts\", classes = [\"high\", \"low\"], split = 1"));
    HOLDS(get("target/y", 2, first), 0, 1);
    put_text("plain.txt", " 1.0000e+00 0.5 0.25\n2,0.75,1\n");
    CHECK(good("input x: seq [1] target y: token[3] z = dense[3](gru[2](x).last) output z loss softmax_crossentropy(z, y)",
               "ts = \"plain.txt\", split = 1"));
    HOLDS(get("input/x", 2, first), 0.5, 0.25, 0.75, 1);
    HOLDS(get("target/y", 2, first), 1, 2);
    static const char *const bad[][3] = {
        {"@classLabel true a b\n@data\n1,2:3:a\n", "bad.ts:3:5: dimension 2 has 1 steps where the first has 2", "621"},
        {"@classLabel true a b\n@data\n1,2:3,4\n", "bad.ts:3:5: '3,4' is no class", "609"},
        {"@classLabel true a b\n@data\n1,2:3,4:c\n", "bad.ts:3: 'c' is no class of 'y'", "609"},
        {"@classLabel true a b\n@data\n1,?:3,4:a\n", "bad.ts:3:3: a missing value", "612"},
        {"@classLabel true a b\n@data\n1,:3,4:a\n", "bad.ts:3:3: a number is needed", "612"},
        {"@classLabel true a b\n@data\n1,2:a\n", "bad.ts:3:1: this example has 1 dimension where the input 'x' has 2", "613"},
        {"@classLabel true a b\n@data\n1,2:3,4:\n", "bad.ts:3:9: the class is missing", "621"},
        {"@timeStamps true\n@data\n", "bad.ts:1:", "621"},
        {"@classLabel true a b\n1,2:3,4:a\n", "bad.ts:2:1: @data is needed", "621"},
        {"@problemName x\n", "the file ends before @data", "621"},
        {"@classLabel true a b\n@data\n", "holds no examples", "554"},
        {"@classLabel true a b c\n@data\n1:2:a\n", "the data have 3 classes", "552"},
        {"@classLabel true a b\n@data\n1e999:2:a\n", "bad.ts:3:1: a value that is not finite", "612"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("bad.ts", bad[i][0]);
        if (i == 1) continue; /* a dimension taken for a class: the count of dimensions says so first */
        CHECK(refused(CLASSIFY(2), "ts = \"bad.ts\", split = 1", (uint16_t)strtol(bad[i][2], NULL, 10), bad[i][1]));
    }
}

/* ---- labelled text ------------------------------------------------------------------------------------------------------ */

static void test_lines(void) {
    put_text("pos", "good good film\nfine\n\nvery Good\n");
    put_text("neg", "bad film\nbad\nvery bad film\nawful\n");
    CHECK(good(SENTENCE(6), "lines = [\"pos\": 1, \"neg\": 0], split = every(4, valid = 2, test = 3)"));
    CHECK(set.n == 8 && set.train == 4 && set.valid == 2);
    /* in turn: pos 0, neg 0, pos 1, neg 1 train: good good film / bad film / fine / bad; frequent first, ties as they come */
    const Vocabulary *v = model->fitted->vocabulary;
    CHECK(v->n == 5 && v->unknown == 0 && strcmp(v->token[1], "good") == 0 && strcmp(v->token[2], "film") == 0 &&
          strcmp(v->token[3], "bad") == 0);
    HOLDS(get("input/x", 4, first), 1, 1, 2, 3, 2, 0, 4, 0, 0, 3, 0, 0);
    HOLDS(get("length/x", 4, first), 3, 2, 1, 1);
    HOLDS(get("target/y", 8, first), 1, 0, 1, 0, 1, 0, 1, 0);
    HOLDS(get("input/x", 2, (int64_t[]){4, 6}), 0, 0, 0, 0); /* an empty line is one unknown word; "very Good" is not known */
    CHECK(good(SENTENCE(6),
               "lines = [\"pos\": 1, \"neg\": 0], split = every(4, valid = 2, test = 3), padding = true, lower_case = true"));
    CHECK(model->fitted->vocabulary->unknown == 1);
    HOLDS(get("input/x", 1, (int64_t[]){6}), 1, 2);
    CHECK(good(SENTENCE(3), "lines = [\"neg\", \"pos\"], split = 1") && model->fitted->vocabulary->n == 3);
    HOLDS(get("target/y", 2, first), 0, 1);
    CHECK(good(SENTENCE(40), "lines = [\"neg\", \"pos\"], split = 1, unit = characters, unknown = true"));
    HOLDS(get("length/x", 2, first), 8, 14);
    CHECK(refused(SENTENCE(3), "lines = [\"neg\", \"pos\"], split = 1, unknown = false", 552, "different words"));
    CHECK(refused(SENTENCE(6), "lines = [\"neg\", \"none\"]", 1, "none"));
    CHECK(refused(SENTENCE(6), "lines = [\"neg\", \"pos\", \"pos\"]", 552, "the data have 3 classes"));
    CHECK(refused(SENTENCE(6), "lines = [\"neg\", \"pos\"], unit = letters", 552, "bytes, characters, words"));
    put("odd",
        "fine\nb\xff"
        "d\n",
        8);
    CHECK(refused(SENTENCE(30), "lines = [\"neg\", \"odd\"], split = 1, unit = characters", 620, "odd:2:2: this is not UTF-8"));
    CHECK(refused(SENTENCE(30), "lines = [\"neg\", \"odd\"], split = 1", 620, "odd:2:2: this is not UTF-8"));
}

static void test_splits(void) {
    Str s = str_make(&arena);
    for (int i = 0; i < 40; i++) str_printf(&s, "{\"x\": [[%d, 0]], \"y\": %d}\n", i, i % 4 == 0);
    put("s.jsonl", s.at, s.n);
    int64_t ones = 0, moved = 0;
    CHECK(good(CLASSIFY(2), "jsonl = \"s.jsonl\", split = stratified(0.5, valid = 0.25, seed = 3)") && set.train == 20 &&
          set.valid == 9);
    const Array *y = arrays_find(&set.array, "target/y");
    for (int64_t i = 0; i < 20; i++) ones += array_get(y, i) == 1;
    CHECK(ones == 5);
    CHECK(good(CLASSIFY(2), "jsonl = \"s.jsonl\", split = random(0.5, seed = 3)") && set.train == 20 && set.valid == 0);
    for (int64_t i = 0; i < 20; i++) moved += array_get(get("input/x", 1, &i), 0) >= 20;
    CHECK(moved > 3 && moved < 17);
    CHECK(good(CLASSIFY(2), "jsonl = \"s.jsonl\", split = every(10, valid = [7, 8], test = 9)") && set.train == 28 &&
          set.valid == 8);
    CHECK(good(CLASSIFY(2), "jsonl = \"s.jsonl\", split = chronological(0.8, valid = 0.2)") && set.train == 32 &&
          set.valid == 8);
    CHECK(good(CLASSIFY(2), "jsonl = \"s.jsonl\"") && set.train == 32 && set.valid == 0);
    CHECK(load_with(CLASSIFY(2), "jsonl = \"s.jsonl\"", "validation = 0.25", NULL, false) && set.train == 24 && set.valid == 8);
    CHECK(load_with(CLASSIFY(2), "jsonl = \"s.jsonl\"", "", arena_printf(&arena, "%s/s.jsonl", dir), true) && set.train == 40);
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = 1.5", 552, "from 0 to 1"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = sometimes(0.5)", 552, "there is no `sometimes`"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = every(valid = 2)", 552, "needs `n`"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = every(10, test = 10)", 552, "from 0 to n - 1"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = every(10, valid = [7, -1])", 552, "`valid` is -1; it must be a whole number from 0"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = every(10, valid = [7, 8], test = 8)", 552, "does not test"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", split = random(0.5, sed = 2)", 552, "has no argument `sed`"));
    CHECK(refused(CLASSIFY(2), "jsonl = \"s.jsonl\", ts = \"a.ts\"", 552, "both name the data"));
}

static void test_bucket(void) {
    Str s = str_make(&arena);
    for (int i = 0; i < 103; i++) {
        str_put(&s, "{\"x\": [[0, 0]");
        for (int k = 0; k < i * 37 % 50; k++) str_put(&s, ", [1, 1]");
        str_put(&s, "], \"y\": 1}\n");
    }
    put("l.jsonl", s.at, s.n);
    int64_t order[2][103], padded[2] = {0}, real[2] = {0};
    for (int sorted = 0; sorted < 2; sorted++) {
        CHECK(good(CLASSIFY(2), arena_printf(&arena, "jsonl = \"l.jsonl\", split = 1, bucket = %d", sorted ? 50 : 0)));
        bool seen[103] = {0};
        shuffle_order(1, 2, 103, order[sorted]);
        order_by_length(set.feed, 1, 2, 103, 10, order[sorted], &arena);
        for (int i = 0; i < 103; i++) seen[order[sorted][i]] = true;
        for (int i = 0; i < 103; i++) CHECK(seen[i]);
        for (int i = 0; i < 103; i += 10) {
            get("input/x", i < 100 ? 10 : 3, order[sorted] + i);
            padded[sorted] += batch.padded;
            real[sorted] += batch.real;
        }
    }
    CHECK(real[0] == real[1] && padded[1] - real[1] < (padded[0] - real[0]) / 3);
}

/* ---- JSON lines --------------------------------------------------------------------------------------------------------- */

static void test_jsonl(void) {
    put_text("a.jsonl", "{\"x\": [[1, 2], [3, 4]], \"y\": 1, \"id\": \"a\"}\n\n{\"y\": 0, \"x\": [[5, 6]]}\n");
    CHECK(good(CLASSIFY(2), "jsonl = \"a.jsonl\", split = 1"));
    HOLDS(get("input/x", 2, first), 1, 2, 3, 4, 5, 6, 0, 0);
    HOLDS(get("target/y", 2, first), 1, 0);
    put_text("t.jsonl", "{\"x\": \"so so\", \"y\": false}\n{\"x\": \"good\", \"y\": true}\n");
    CHECK(good(SENTENCE(8), "jsonl = \"t.jsonl\", split = 1"));
    HOLDS(get("input/x", 2, first), 1, 1, 2, 0);
    static const char *const bad[][3] = {
        {"{\"x\": [[1, 2], [3]], \"y\": 1}\n", "bad.jsonl:1: \"x\" has 1 numbers where 2 are needed", "622"},
        {"{\"x\": [[1, 2]], \"y\": 1}\n{\"x\": [[1, 2]}\n", "bad.jsonl:2:", "622"},
        {"{\"x\": [[1, 2]]}\n", "bad.jsonl:1: there is no \"y\"", "605"},
        {"{\"x\": [[1, 2]], \"y\": 1, \"Y\": 2}\n", "bad.jsonl:1: the model has neither input nor target \"Y\"", "607"},
        {"{\"x\": [], \"y\": 1}\n", "bad.jsonl:1: \"x\" has no steps", "622"},
        {"{\"x\": [[1, \"2\"]], \"y\": 1}\n", "a number is needed", "622"},
        {"[1]\n", "bad.jsonl:1:1: an object {..} is needed", "622"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("bad.jsonl", bad[i][0]);
        CHECK(refused(CLASSIFY(2), "jsonl = \"bad.jsonl\", split = 1", (uint16_t)strtol(bad[i][2], NULL, 10), bad[i][1]));
    }
}

/* ---- plain text --------------------------------------------------------------------------------------------------------- */

/* Bytes that this process has read so far; -1: the system does not tell. */
static long long bytes_read(void) {
    long long n = -1;
    FILE *f = fopen("/proc/self/io", "r");
    if (!f) return -1;
    if (fscanf(f, "rchar: %lld", &n) != 1) n = -1;
    fclose(f);
    return n;
}

/* Input and target are the same tokens but for one: a batch reads its part of the text once. */
static void test_text_once(void) {
    enum { WINDOW = 100000 };
    char *text = NEW_N(&arena, char, 2 * WINDOW + 10);
    for (int k = 0; k < 2 * WINDOW + 5; k++) text[k] = (char)('a' + k % 7 + k / 11 % 5);
    put_text("long.txt", text);
    CHECK(good(LANGUAGE(256), "text = \"long.txt\", window = 100000, split = 1, unit = bytes") && set.n == 2);
    long long before = bytes_read();
    CHECK(batch_fill(&batch, ctx, &set, 2, first));
    long long got = bytes_read() - before;
    CHECK(before < 0 || (got >= 2 * WINDOW && got < 3 * WINDOW));
    const Array *x = arrays_find(&batch.array, "input/x"), *y = arrays_find(&batch.array, "target/y");
    CHECK(array_get(x, 2 * WINDOW - 1) == text[2 * WINDOW - 1] && array_get(y, 2 * WINDOW - 1) == text[2 * WINDOW] && array_get(y, 0) == text[1]);
}

static void test_text(void) {
    put_text("t.txt", "abcabcabcabcabcabcab\xc3\xa4"); /* 20 characters and an umlaut of two bytes */
    CHECK(load_with(LANGUAGE(4), "text = \"t.txt\", window = 3, split = 1", "stateful = true, batch = 2", NULL, false));
    show();
    /* 2 rows of (21 - 1) / 2 = 10 steps, 3 whole windows in each; the last is left out of training */
    CHECK(set.n == 6 && set.train == 6 && set.feed->carry && !dataset_ragged(&set));
    HOLDS(get("input/x", 2, first), 0, 1, 2, 1, 2, 0);
    HOLDS(get("target/y", 2, first), 1, 2, 0, 2, 0, 1);
    HOLDS(get("target/y", 2, first + 4), 1, 2, 0, 2, 0, 1);
    CHECK(load_with(LANGUAGE(4), "text = \"t.txt\", window = 3", "stateful = true, batch = 2",
                    arena_printf(&arena, "%s/t.txt", dir), true) &&
          set.n == 6);
    put_text("letters.txt", "abcdefghijklmnopqrstu");
    CHECK(load_with(LANGUAGE(21), "text = \"letters.txt\", window = 4, split = 1", "stateful = true, batch = 2", NULL, false) &&
          set.n == 4);
    HOLDS(get("input/x", 4, first), 0, 1, 2, 3, 10, 11, 12, 13, 4, 5, 6, 7, 14, 15, 16, 17);
    CHECK(load_with(LANGUAGE(256), "text = \"letters.txt\", window = 4, unit = bytes, split = chronological(0, valid = 1)",
                    "stateful = true, batch = 2", NULL, false));
    show();
    CHECK(set.train == 0 && set.valid == 6); /* evaluation also sees the short window at the end of the rows */
    HOLDS(get("target/y", 2, first + 4), 'j', 'k', 't', 'u');
    CHECK(good(LANGUAGE(4), "text = \"t.txt\", window = 4, split = 1") && set.n == 5 && !set.feed->carry);
    HOLDS(get("target/y", 1, first + 4), 2, 0, 1, 3);
    CHECK(good(LANGUAGE(4), "text = \"t.txt\", window = 4, split = 1, stride = 1") && set.n == 17);
    CHECK(good(LANGUAGE(256), "text = \"t.txt\", window = 4, split = 1, unit = bytes") && set.n == 5);
    HOLDS(get("input/x", 1, first), 'a', 'b', 'c', 'a');
    CHECK(refused(LANGUAGE(4), "text = \"t.txt\", window = 4, split = 0.8", 620,
                  "t.txt:1:21: '\xc3\xa4' is not in the vocabulary"));
    CHECK(good(LANGUAGE(4), "text = \"t.txt\", window = 4, split = 0.7, unknown = true"));
    CHECK(refused(LANGUAGE(3), "text = \"t.txt\", window = 4, split = 1", 552,
                  "4 different characters, and token[3] room for 3"));
    CHECK(refused(LANGUAGE(4), "text = \"t.txt\"", 552, "window"));
    CHECK(refused(LANGUAGE(4), "text = \"t.txt\", window = 40, split = 1", 554, "too few"));
    put("bad.txt", "ab\nc\xc3", 5);
    CHECK(refused(LANGUAGE(4), "text = \"bad.txt\", window = 2, split = 1", 620, "bad.txt:2:2: this is not UTF-8"));
    /* many words: windows over marks and buffers, against the plain count */
    Str s = str_make(&arena);
    for (int i = 0; i < 70000; i++) str_printf(&s, "w%d%s", i % 977, i % 11 ? " " : "\n\t");
    put("many.txt", s.at, s.n);
    CHECK(refused(LANGUAGE(978), "text = \"many.txt\", unit = words, window = 50, split = 0.9, test = \"t.txt\"", 552,
                  "a file of its own"));
    put_text("end.txt", "w1 w2 w976 new w5");
    CHECK(good(LANGUAGE(978), "text = \"many.txt\", unit = words, window = 4, test = \"end.txt\"") && set.train == set.n - 1);
    HOLDS(get("target/y", 1, &(int64_t){set.n - 1}), vocabulary_id(model->fitted->vocabulary, "w2", 2),
          vocabulary_id(model->fitted->vocabulary, "w976", 4), 0, vocabulary_id(model->fitted->vocabulary, "w5", 2));
    CHECK(good(LANGUAGE(978), "text = \"many.txt\", unit = words, window = 50, split = 1, stride = 7"));
    for (int64_t e = 0; e < set.n; e += 97) {
        const Array *x = get("input/x", 1, &e);
        for (int64_t i = 0; i < 50; i += 7) {
            int32_t id = (int32_t)array_get(x, i);
            const char *want = arena_printf(&arena, "w%lld", (long long)((e * 7 + i) % 977));
            if (strcmp(model->fitted->vocabulary->token[id], want) != 0) CHECK(!"the right word");
        }
    }
}

static void test_vocabulary(void) {
    TextOptions o = {.unit = UNIT_WORDS, .lower = true, .unknown = true};
    Counter *c = counter_make(&arena, &o);
    static const char *const words[] = {"b\xff%", "The", "the", "\xc3\x84", "x y"};
    for (int i = 0; i < 5; i++) counter_add(c, words[i], strlen(words[i]));
    Vocabulary *v = vocabulary_make(&arena, &o, c, 10), *w = vocabulary_parse(&arena, vocabulary_text(&arena, v));
    CHECK(v->n == 5 && w && w->n == v->n && w->unknown == 0 && w->lower && w->unit == UNIT_WORDS);
    for (int i = 0; w && i < 5; i++)
        CHECK(vocabulary_id(v, words[i], strlen(words[i])) == vocabulary_id(w, words[i], strlen(words[i])));
    CHECK(vocabulary_id(v, "\xc3\xa4", 2) == vocabulary_id(v, "\xc3\x84", 2) && vocabulary_id(v, "none", 4) == 0);
    static const char *const bad[] = {"", "q :", "w", "w what : a", "w : a a", "w : %4", "w : %GG"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!vocabulary_parse(&arena, bad[i]));
}

/* ---- tables ------------------------------------------------------------------------------------------------------------- */

static void test_tables(void) {
    put_text("t.csv", "review,mark\n\"good, good\",up\nbad,down\n");
    put_text("t.tsv", "review\tmark\n\"good, good\tup\nbad\tdown\n");
    put_text("n.csv", "a;b;kind\n1;2;x\n3;4;y\n");
    CHECK(good(SENTENCE(8), "csv = \"t.csv\", column = \"review\", target_column = \"mark\", split = 1"));
    HOLDS(get("target/y", 2, first), 1, 0); /* down, up */
    HOLDS(get("length/x", 2, first), 2, 1);
    CHECK(good(SENTENCE(8), "csv = \"t.tsv\", column = \"review\", target_column = \"mark\", split = 1"));
    CHECK(strcmp(model->fitted->vocabulary->token[1], "\"good,") == 0);
    CHECK(good("input x: [2] target y: token[2] z = dense[2](x) output z loss softmax_crossentropy(z, y)",
               "csv = \"n.csv\", separator = \";\", column = [\"a\", \"b\"], target_column = \"kind\", split = 1"));
    HOLDS(get("input/x", 2, first), 1, 2, 3, 4);
    CHECK(refused("input x: [2] target y: token[2] z = dense[2](x) output z loss softmax_crossentropy(z, y)",
                  "csv = \"n.csv\", separator = \";\", column = [\"a\", \"kind\"], target_column = \"kind\"", 612,
                  "n.csv:2: column 'kind' holds 'x'"));
    put_text("g.csv", "t,a,b\n1,,10\n2,2,20\n3,NA,30\n4,?,40\n5,8,50\n6,,60\n");
    static const char two[] = "input a: seq [1] input b: seq [1] target y: [1] p = dense[1]([gru[2](a).last, gru[2](b).last]) "
                              "output p loss mse(p, y)";
    CHECK(good(two, "csv = \"g.csv\", target_column = \"b\", window = 5, split = 1, gaps = interpolate"));
    HOLDS(arrays_find(&set.array, "input/a"), 2, 2, 4, 6, 8);
    HOLDS(arrays_find(&set.array, "input/b"), 10, 20, 30, 40, 50);
    HOLDS(arrays_find(&set.array, "target/y"), 60);
    CHECK(good(two, "csv = \"g.csv\", target_column = \"b\", window = 5, split = 1, gaps = previous"));
    HOLDS(arrays_find(&set.array, "input/a"), 2, 2, 2, 2, 8);
    CHECK(refused(two, "csv = \"g.csv\", target_column = \"b\", window = 5", 612, "g.csv:2: column 'a' holds ''"));
    CHECK(refused(two, "csv = \"g.csv\", target_column = \"b\", window = 3, gaps = previous, split = random(0.5)", 552,
                  "a series is one record"));
}

/* ---- classes in arrays -------------------------------------------------------------------------------------------------- */

static bool sees_truth(void *arg, const OutputRow *r) {
    if (r->target && array_get(r->target, r->row) == (r->example < 3)) ++*(int *)arg;
    return true;
}

/* A file of arrays calls the target as the model does, without "target/". A class out of range is not counted. */
static void test_arrays(void) {
    Arrays a = {0};
    const char *ports = "input x: [1] target y: token[2] p = dense[2](x) output p loss softmax_crossentropy(p, y)", *data = "npz = \"c.npz\", split = 1";
    double share = 0;
    int seen = 0;
    Array *x = arrays_add(&arena, &a, "x", RONDO_F32, 2, (int64_t[]){6, 1}), *y = arrays_add(&arena, &a, "y", RONDO_I32, 1, (int64_t[]){6});
    for (int i = 0; i < 6; i++) {
        array_set(x, i, i);
        array_set(y, i, i < 3 ? 1 : i == 3 ? 7 : 0);
    }
    const char *path = arena_printf(&arena, "%s/c.npz", dir);
    CHECK(npz_write(ctx, path, &a));
    VEC_PUSH(&arena, made) = path;
    CHECK(good(ports, data));
    CHECK(majority_share(model, &set, 0, 6, &share) && share == 0.5);
    CHECK(weights_init(model, 1) && !dataset_outputs(model, &set, sees_truth, &seen) && says(609, "token 'y' of example 3 is 7"));
    array_set(y, 3, 0);
    CHECK(npz_write(ctx, path, &a) && good(ports, data) && weights_init(model, 1) && dataset_outputs(model, &set, sees_truth, &seen) && seen == 6);
    /* the rows of all arrays change places together, each class alike, and keep their numbers; in order unless it is said */
    CHECK(good(ports, "npz = \"c.npz\", split = 0.5") && set.train == 3 && !set.place && array_get(arrays_find(&set.array, "x"), 5) == 5);
    CHECK(good(ports, "npz = \"c.npz\", split = stratified(0.7, seed = 1)") && set.n == 6 && set.train == 4);
    const Array *to = arrays_find(&set.array, "x"), *class = arrays_find(&set.array, "y");
    int ones = 0, places = 0, moved = 0;
    for (int i = 0; i < 6; i++) {
        ones += i < 4 && array_get(class, i) == 1;
        places += set.place[i].number == (int64_t)array_get(to, i) && array_get(class, i) == (array_get(to, i) < 3) && set.by_place[set.place[i].number] == i;
        moved += array_get(to, i) != i;
    }
    CHECK(ones == 2 && places == 6 && moved > 0);
    CHECK(good(ports, "npz = \"c.npz\", split = every(3, test = 1)") && set.train == 4 && array_get(arrays_find(&set.array, "x"), 4) == 1 && set.place[4].number == 1);
}

/* ---- sound -------------------------------------------------------------------------------------------------------------- */

static void put_wav(const char *name, int format, int bits, int n, int channels) {
    unsigned char f[4096] = "RIFF....WAVEfmt ";
    int size = bits / 8, bytes = n * channels * size;
    store_le(f + 4, (uint64_t)(36 + bytes), 4);
    store_le(f + 16, 16, 4);
    store_le(f + 20, (uint64_t)format, 2);
    store_le(f + 22, (uint64_t)channels, 2);
    store_le(f + 24, 44100, 4);
    store_le(f + 32, (uint64_t)(size * channels), 2);
    store_le(f + 34, (uint64_t)bits, 2);
    memcpy(f + 36, "data", 4);
    store_le(f + 40, (uint64_t)bytes, 4);
    for (int i = 0; i < n * channels; i++) {
        double v = (i % 2 ? -0.5 : 0.25) / (1 + i / 2);
        float x = (float)v;
        uint32_t b;
        memcpy(&b, &x, 4);
        store_le(f + 44 + i * size, format == 3 ? b : (uint64_t)(int64_t)(v * ldexp(1, bits - 1)), size);
    }
    put(name, (char *)f, (size_t)(44 + bytes));
}

static void test_wav(void) {
    static const char pair[] = "input x: seq [1] target y: seq [1] p = dense[1](gru[2](x)) output p loss mse(p, y)";
    static const int kind[][2] = {{1, 16}, {1, 24}, {1, 32}, {3, 32}};
    put_wav("in.wav", 1, 16, 10, 1);
    for (int k = 0; k < 4; k++) {
        put_wav("out.wav", kind[k][0], kind[k][1], 10, 1);
        CHECK(good(pair, "wav = [\"in.wav\", \"out.wav\"], window = 4, split = 1") && set.n == 2);
        const Array *y = get("target/y", 2, first);
        CHECK(array_get(y, 0) == 0.25 && array_get(y, 1) == -0.5 && fabs(array_get(y, 4) - 0.25 / 3) < 1e-4);
    }
    CHECK(good(pair, "wav = [\"in.wav\", \"out.wav\"], window = 2, split = 0.5") && set.n == 4 && set.train == 2);
    put_wav("short.wav", 1, 16, 9, 1);
    put_wav("two.wav", 1, 16, 10, 2);
    CHECK(refused(pair, "wav = [\"in.wav\", \"short.wav\"], window = 2", 613, "'in.wav' has 10 samples at 44100 Hz, 'short.wav' 9"));
    CHECK(refused(pair, "wav = [\"in.wav\", \"two.wav\"], window = 2", 552, "has 2 channels"));
    CHECK(refused(pair, "wav = [\"in.wav\"], window = 2", 552, "a pair of files"));
    CHECK(refused(pair, "wav = [\"in.wav\", \"t.csv\"], window = 2", 623, "this is no WAV file"));
    put_wav("bits.wav", 1, 8, 10, 1);
    CHECK(refused(pair, "wav = [\"in.wav\", \"bits.wav\"], window = 2", 623, "neither PCM"));
    char *whole;
    size_t n;
    Wav w;
    CHECK(file_read(ctx, &arena, arena_printf(&arena, "%s/in.wav", dir), &whole, &n) &&
          wav_parse(ctx, &arena, "w", whole, n, &w));
    for (size_t k = 0; k < n; k++) CHECK(!wav_parse(ctx, &arena, "w", whole, k, &w) && says(623, k < 12 ? "no WAV" : "byte "));
}

static void test_made(void) {
    static const char ports[] = "input x: seq [1] target y: [1] p = dense[1](gru[2](x).last) output p loss mse(p, y)";
    CHECK(good(ports, "made = uniform(100, steps = 10, seed = 1), split = 0.75") && set.n == 100 && set.train == 75);
    const Array *x = arrays_find(&set.array, "input/x"), *y = arrays_find(&set.array, "target/y");
    /* what numpy.random.seed(1); rand(100, 10) begins with */
    CHECK(array_get(x, 0) == 0.417022004702574 && array_get(x, 1) == 0.7203244934421581 &&
          array_get(x, 2) == 0.00011437481734488664);
    CHECK(array_count(y) == 100 && array_get(y, 0) != array_get(x, 0));
    CHECK(refused(ports, "made = uniform(0, steps = 3)", 552, "`examples` is 0; it must be a whole number from 1"));
    CHECK(refused(ports, "made = uniform(5)", 552, "is a sequence"));
    CHECK(refused(CLASSIFY(2), "made = uniform(5, steps = 2)", 552, "is no number"));
}

int main(void) {
    static char tmp[] = "/tmp/rondo-data-XXXXXX";
    dir = mkdtemp(tmp);
    ctx = ctx_make(NULL);
    if (!dir || !ctx) return 1;
    arena = arena_make(ctx);
    test_ts();
    test_lines();
    test_splits();
    test_bucket();
    test_jsonl();
    test_text();
    test_text_once();
    test_vocabulary();
    test_tables();
    test_arrays();
    test_wav();
    test_made();
    model_close(model);
    batch_free(&batch);
    for (uint32_t i = 0; i < made.n; i++) unlink(made.at[i]);
    rmdir(dir);
    printf("%d passed, %d failed\n", passed, failed);
    arena_free(&arena);
    ctx_destroy(ctx);
    return failed != 0;
}
