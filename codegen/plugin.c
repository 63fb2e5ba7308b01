/* plugin: opens librondo_llvm.so. */
#include "codegen/plugin.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const LlvmPlugin *plugin;
static char problem[256];

static void open_plugin(void) {
    plugin = (const LlvmPlugin *)plugin_open("llvm", RONDO_LLVM_SYMBOL, RONDO_EMITTER_VERSION, problem);
}

const LlvmPlugin *llvm_plugin(Ctx *ctx) {
    pthread_once(&once, open_plugin);
    if (plugin) return plugin;
    diag_error(ctx, 801, (Span){0, 0}, "the LLVM back end cannot be opened: %s", problem);
    diag_help(ctx, (Span){0, 0}, "RONDO_LIBDIR names the folder of librondo_llvm.so; the C engine needs a C compiler only");
    return NULL;
}
