/* test_explain RONDO: what `rondo explain --json` says of every recurrent cell of std (the models of tests/models/cells.rondo), forward
   and training:
     a product that needs no state does not stand in a loop, and lowering has placed it by cost
     no gradient of a matrix that a product uses is added up step by step
     the matrices that multiply the same rows are one, or explain says why not and what else it prints bears that out: their
     accumulators add up other rows, or one begins with what was computed ahead of the loop, or other loops need one, or (outside
     of the loops) one is narrower than a tile
     no slow path, nothing for one thread alone
   the same of a cell that writes its products as sums;
   and of models that have each of these faults, that it says so. Run from the source root. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed;
static const char *rondo, *model, *mode;

static void check(bool ok, const char *what, const char *which) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED: %s, %s: %s: %s\n", model, mode, what, which);
}

static json_t *explain(const char *file, const char *name, const char *options) {
    char command[500];
    json_error_t e;
    snprintf(command, sizeof command, "'%s' explain --json %s --model %s %s", rondo, file, name, options);
    FILE *f = popen(command, "r");
    json_t *x = f ? json_loadf(f, 0, &e) : NULL;
    if (f && pclose(f) != 0 && x) {
        json_decref(x);
        x = NULL;
    }
    if (!x) printf("no JSON from: %s\n", command);
    return x;
}

static const char *text(const json_t *x) {
    static char s[400];
    char *t = json_dumps(x, JSON_COMPACT | JSON_ENCODE_ANY);
    snprintf(s, sizeof s, "%s", t ? t : "null");
    free(t);
    return s;
}

static int64_t number(const json_t *x, const char *key) { return json_integer_value(json_object_get(x, key)); }
static bool flag(const json_t *x, const char *key) { return json_is_true(json_object_get(x, key)); }
static bool is_null(const json_t *x, const char *key) { return json_is_null(json_object_get(x, key)); }

/* The least size of the matrix: what has fewer rows or columns than 4 is no tile. */
static int64_t narrow(const json_t *product) {
    const json_t *shape = json_object_get(product, "shape");
    int64_t least = json_array_size(shape) < 2 ? 1 : INT64_MAX;
    for (size_t i = 0; i < json_array_size(shape); i++) {
        int64_t n = json_integer_value(json_array_get(shape, i));
        if (n < least) least = n;
    }
    return least;
}

/* Facts of a module that a cell of std must not have; each returns the number found. */
static int in_loop(const json_t *m, bool tell) {
    int n = 0;
    size_t i;
    const json_t *p;
    json_array_foreach(json_object_get(m, "products"), i, p) {
        if (!json_array_size(json_object_get(p, "weights"))) continue;
        bool bad = (number(p, "loop") && !flag(p, "needs_state")) ||
                   (!is_null(p, "moved") && !strcmp(json_string_value(json_object_get(p, "moved")), "ahead") && narrow(p) >= 4 && is_null(p, "place"));
        if (tell) check(!bad, "needs no state, but is in the loop or has no place", text(p));
        n += bad;
    }
    return n;
}

static int sums(const json_t *m, bool tell) {
    int n = 0;
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(m, "sums"), i, s) {
        if (tell) check(!flag(s, "product"), "the gradient of a product's matrix is added up step by step", text(s));
        n += flag(s, "product");
    }
    return n;
}

/* ---- products of the same rows ------------------------------------------------------------------------------------------- */

static bool together(const json_t *p, const json_t *q, const char *key) { return number(p, "stage") == number(q, "stage") && number(p, key) && number(p, key) == number(q, key); }

/* Whether the k-th product of one accumulator has the rows of the k-th of the other, for all k. */
static bool same_rows(const json_t *all, const json_t *p, const json_t *q) {
    int64_t rows[2][64];
    size_t n[2] = {0}, i;
    const json_t *r;
    json_array_foreach(all, i, r) {
        if (together(r, p, "accumulator") && n[0] < 64) rows[0][n[0]++] = number(r, "rows");
        if (together(r, q, "accumulator") && n[1] < 64) rows[1][n[1]++] = number(r, "rows");
    }
    return n[0] == n[1] && !memcmp(rows[0], rows[1], n[0] * sizeof **rows);
}

static bool borne_out(const json_t *all, const json_t *p, const json_t *q, const char *why) {
    if (!strcmp(why, "adds up products of other rows too")) return !same_rows(all, p, q);
    if (!strcmp(why, "begins with what was computed ahead of the loop")) return flag(p, "from_step") != flag(q, "from_step");
    if (!strcmp(why, "is needed by other loops")) return !json_equal(json_object_get(p, "needed_by"), json_object_get(q, "needed_by"));
    if (!strcmp(why, "is narrower than 4")) return !number(p, "loop") && (narrow(p) < 4 || narrow(q) < 4);
    return false;
}

/* Pairs of matrices of one stage that multiply the same rows in two accumulators for no good reason. */
static int apart(const json_t *m, bool tell) {
    const json_t *all = json_object_get(m, "products"), *p, *q;
    int n = 0;
    size_t i, k;
    json_array_foreach(all, i, p)
        json_array_foreach(all, k, q) {
            const char *why = json_string_value(json_object_get(p, "apart"));
            if (k >= i || !together(p, q, "rows")) continue;
            bool bad = together(p, q, "accumulator") || !why || is_null(p, "apart_from") || !borne_out(all, p, q, why);
            if (tell) check(!bad, "two products of the same rows", text(p));
            n += bad;
            break; /* with the first of them */
        }
    return n;
}

static int slow(const json_t *m, bool tell) {
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(m, "slow"), i, s)
        if (tell) check(false, "a slow path", text(s));
    return (int)json_array_size(json_object_get(m, "slow"));
}

static void one(const char *file, const char *name) {
    static const char *const modes[] = {"forward", "train"};
    json_t *x = explain(file, name, "--set H=16 --batch 32 --steps 100");
    model = name;
    mode = "all";
    check(x != NULL, "explain --json", "");
    for (int i = 0; x && i < 2; i++) {
        const json_t *m = json_object_get(x, mode = modes[i]);
        check(json_is_array(json_object_get(m, "products")) && json_is_array(json_object_get(m, "sums")) && json_is_array(json_object_get(m, "slow")), "lists", "");
        in_loop(m, true);
        sums(m, true);
        slow(m, true);
        apart(m, true);
    }
    json_decref(x);
}

/* ---- that it says so ------------------------------------------------------------------------------------------------------- */

typedef int Fact(const json_t *m, bool tell);

static void faulty(const char *file, const char *options, const char *which, Fact *fact) {
    json_t *x = explain(file, "faulty", options);
    model = "faulty";
    mode = which;
    check(x && fact(json_object_get(x, which), false) > 0, "is not said", options);
    json_decref(x);
}

int main(int argc, char **argv) {
    const char *cells = "tests/models/cells.rondo", *bad = "tests/models/faulty.rondo";
    char line[200];
    FILE *f = fopen(cells, "r");
    if (argc < 2 || !f) return printf("usage, from the source root: test_explain RONDO\n"), 1;
    rondo = argv[1];
    while (fgets(line, sizeof line, f)) {
        char name[100];
        if (sscanf(line, "model %99[a-z_0-9]", name) == 1) one(cells, name);
    }
    fclose(f);
    one("tests/models/sums.rondo", "sums");
    faulty(bad, "--disable-pass distribute", "forward", in_loop);
    faulty(bad, "--disable-pass distribute", "train", sums);
    faulty(bad, "--disable-pass merge_gemm", "forward", apart);
    faulty(bad, "", "forward", slow);
    printf("%d passed, %d failed\n", passed, failed);
    return failed || passed < 200;
}
