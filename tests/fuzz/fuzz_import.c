/* fuzz_import: any bytes as models of other programs. A file that is refused says why; a model that is written is one that Rondo
   accepts, with weights that fit. Beside the contents, the readers below are called on their own. */
#include <string.h>

#include "import/hdf5.h"
#include "import/import.h"
#include "import/internal.h"
#include "import/onnx.h"
#include "tests/fuzz/fuzz.h"

static const ImportOptions options = {.name = "net"};

static void refused(Ctx *ctx, Arena *a, bool ok) {
    fuzz_require_silence(ctx, ok == !diag_error_count(ctx), "errors and result disagree");
    fuzz_require_silence(ctx, !fuzz_has_code(ctx, 999), "an internal error");
    fuzz_render(ctx, a);
    diag_clear(ctx);
}

/* Sizes that would only cost time are left alone. */
static bool is_small(const Imported *im) {
    int64_t n = 0;
    for (uint32_t i = 0; i < im->weight.array.n; i++) n += array_count(&im->weight.array.at[i]);
    for (uint32_t i = 0; i < im->in.n; i++) n += im->in.at[i].n;
    return n < 100000;
}

static void written(Ctx *ctx, Arena *a, bool ok, const Imported *im) {
    refused(ctx, a, ok);
    if (!ok || !is_small(im)) return;
    ModelOptions o = {.std_dir = fuzz_std(), .exec = {.engine = EXEC_EVAL, .f64 = true}};
    Model *m = imported_open(ctx, im, &o);
    bool limit = fuzz_has_code(ctx, 901);
    fuzz_require_silence(ctx, m != NULL || limit, "a model was written that Rondo does not accept");
    if (m) model_close(m);
    diag_clear(ctx);
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    Imported im;
    Arrays h5;
    OnnxTensor t;
    const char *text = arena_strndup(a, (const char *)data, size);
    const OnnxReader *reader = onnx_reader(ctx);
    fuzz_require_silence(ctx, reader != NULL, "librondo_onnx.so is not there; RONDO_LIBDIR names its folder");
    written(ctx, a, import_keras_bytes(ctx, a, "f", data, size, &options, &im), &im);
    if (size && *data == '{') {
        written(ctx, a, import_torch_text(ctx, a, "f", text, size, &options, &im), &im);
        written(ctx, a, import_onnx_json(ctx, a, "f", text, size, &options, &im), &im);
        return;
    }
    written(ctx, a, import_onnx_bytes(ctx, a, "f", data, size, &options, &im), &im);
    refused(ctx, a, reader->tensor(ctx, a, "f", data, size, &t));
    refused(ctx, a, hdf5_read(ctx, a, "f", data, size, &h5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, (8 << 20) + 256 * size);
    return 0;
}
