/* plugin: opens librondo_onnx.so. */
#include "base/plugin.h"

#include <pthread.h>

#include "import/onnx.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const OnnxReader *reader;
static char problem[256];

static void open_reader(void) {
    reader = (const OnnxReader *)plugin_open("onnx", RONDO_ONNX_SYMBOL, RONDO_ONNX_VERSION, problem);
}

const OnnxReader *onnx_reader(Ctx *ctx) {
    pthread_once(&once, open_reader);
    if (reader) return reader;
    diag_error(ctx, 654, (Span){0, 0}, "the reader of ONNX files cannot be opened: %s", problem);
    diag_help(ctx, (Span){0, 0}, "it is librondo_onnx.so and needs Debian's libprotobuf-c1; RONDO_LIBDIR names its folder");
    return NULL;
}
