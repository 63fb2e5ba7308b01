/* fuzz_data: any bytes as the files of a data block. The first byte chooses the reader, the rest is the file: t .ts, j JSON lines,
   w WAV, c characters, b words, l lines of labelled text, r rows of a table, v a vocabulary of weights. What is read can be put
   together to batches; what is refused says why. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/records.h"
#include "tests/fuzz/fuzz.h"

#define CLASSES "input x: seq [2] target y: token[3] z = dense[3](gru[2](x).last) output z loss softmax_crossentropy(z, y)"
#define TEXT(target, result) "input x: seq token[9] target y: " target " h = gru[2](embedding[9, 2](x)) " result
#define LANGUAGE TEXT("seq token[9]", "z = dense[9](h) output z loss softmax_crossentropy(z, y)")
#define SENTENCE TEXT("bool", "p = sigmoid(dense[1](h.last)) output p loss binary_crossentropy(p, y)")

static const struct {
    char letter;
    const char *ports, *data;
} kind[] = {
    {'t', CLASSES, "ts = \"%s\", max_length = 50"},
    {'j', CLASSES, "jsonl = \"%s\", split = random(0.5)"},
    {'w', "input x: seq [1] target y: seq [1] p = dense[1](gru[2](x)) output p loss mse(p, y)",
     "wav = [\"%s\", \"%s\"], window = 2, split = 1"},
    {'c', LANGUAGE, "text = \"%s\", window = 2, split = 1, unknown = true"},
    {'b', LANGUAGE, "text = \"%s\", window = 2, unit = words, split = 0.7, lower_case = true"},
    {'l', SENTENCE, "lines = [\"%s\", \"%s\"], split = stratified(0.6), lower_case = true"},
    {'r', SENTENCE, "csv = \"%s\", column = 0, target_column = 1, split = every(3, valid = 1, test = 2)"},
};
enum { KINDS = sizeof kind / sizeof *kind };

static void batches(Ctx *ctx, const Dataset *d) {
    Batch b = {0};
    int64_t example[4];
    fuzz_require(d->n > 0 && d->train >= 0 && d->valid >= 0 && d->train + d->valid <= d->n, "parts that cannot be");
    for (int64_t at = 0; at < d->n; at += d->n / 3 + 1) {
        int64_t B = d->n - at < 4 ? d->n - at : 4;
        for (int64_t k = 0; k < B; k++) example[k] = at + k;
        fuzz_require_silence(ctx, batch_fill(&b, ctx, d, B, example), "a batch that cannot be put together");
        for (uint32_t i = 0; i < b.array.array.n; i++)
            for (int64_t k = 0; k < array_count(&b.array.array.at[i]); k++) (void)array_get(&b.array.array.at[i], k);
    }
    batch_free(&b);
}

static void vocabulary(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    const char *text = arena_strndup(a, (const char *)data, size);
    Vocabulary *v = vocabulary_parse(a, text);
    (void)ctx;
    if (!v) return;
    Vocabulary *w = vocabulary_parse(a, vocabulary_text(a, v));
    fuzz_require(w && w->n == v->n && w->unit == v->unit && w->unknown == v->unknown,
                 "a vocabulary that changes when it is saved");
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    char path[] = "/tmp/rondo-fuzz-XXXXXX";
    size_t k = 0;
    if (!size) return;
    if (*data == 'v') {
        vocabulary(ctx, a, data + 1, size - 1);
        return;
    }
    while (k < KINDS && kind[k].letter != (char)*data) k++;
    if (k == KINDS) k = *data % KINDS;
    int fd = mkstemp(path);
    fuzz_require(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1 && close(fd) == 0, "no temporary file");
    const char *block = arena_printf(a, kind[k].data, path, path);
    const char *text = arena_printf(a, "model m { %s train { batch = 2 } data { %s } }", kind[k].ports, block);
    Model *m = model_open_text(ctx, "m.rondo", text, strlen(text), &(ModelOptions){.std_dir = fuzz_std()});
    fuzz_require_silence(ctx, m != NULL, "the model does not open");
    Dataset d;
    bool ok = dataset_load(m, NULL, a, false, &d);
    fuzz_require_silence(ctx, ok == !diag_error_count(ctx), "errors and result disagree");
    fuzz_require_silence(ctx, !fuzz_has_code(ctx, 999), "an internal error");
    fuzz_render(ctx, a);
    if (ok) batches(ctx, &d);
    model_close(m);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, (4 << 20) + 64 * size);
    return 0;
}
