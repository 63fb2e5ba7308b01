/* fuzz_files: any bytes as safetensors, npy, npz and CSV. A file that is refused says why; no block is out of proportion to
   the file. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "tests/fuzz/fuzz.h"

static void refused(Ctx *ctx, Arena *a, bool ok) {
    fuzz_require_silence(ctx, ok == !diag_error_count(ctx), "errors and result disagree");
    fuzz_require_silence(ctx, !fuzz_has_code(ctx, 999), "an internal error");
    fuzz_render(ctx, a);
    diag_clear(ctx);
}

static void touch(const Array *x) {
    int64_t n = array_count(x);
    fuzz_require(n >= 0, "an array has no size");
    for (int64_t i = 0; i < n; i++) {
        double v = array_get(x, i);
        (void)v;
    }
}

/* libzip reads a file. */
static void run_npz(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    char path[] = "/tmp/rondo-fuzz-XXXXXX";
    int fd = mkstemp(path);
    fuzz_require(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0, "no temporary file");
    Arrays s;
    bool ok = npz_read(ctx, a, path, &s);
    unlink(path);
    for (uint32_t i = 0; ok && i < s.array.n; i++) touch(&s.array.at[i]);
    refused(ctx, a, ok);
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    Safetensors st;
    Array x;
    Csv csv;
    double *column;
    char *text = arena_strndup(a, (const char *)data, size); /* readers of text may look at the NUL behind it */
    bool ok = safetensors_parse(ctx, a, "f", (const char *)data, size, &st);
    for (uint32_t i = 0; ok && i < st.tensor.array.n; i++) touch(&st.tensor.array.at[i]);
    refused(ctx, a, ok);
    ok = npy_parse(ctx, a, "f", data, size, &x);
    if (ok) touch(&x);
    refused(ctx, a, ok);
    ok = csv_parse(ctx, a, "f", text, size, (CsvForm){size % 2 ? ',' : ' ', size % 3 ? '.' : ','}, &csv);
    refused(ctx, a, ok);
    for (uint32_t k = 0; ok && k < csv.ncol && k < 4; k++) refused(ctx, a, csv_numbers(ctx, a, &csv, k, &column));
    if (ok) refused(ctx, a, csv_column(ctx, &csv, "year", (Span){0, 0}) >= 0);
    for (size_t i = 0; i + 1 < size && i < 64; i++)
        if (data[i] == 'P' && data[i + 1] == 'K') {
            run_npz(ctx, a, data, size);
            break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, (4 << 20) + 64 * size);
    return 0;
}
