/* plugin: opens librondo_llvm.so. */
#include "codegen/plugin.h"

#include <pthread.h>
#include <string.h>

#include "ir/pack.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const LlvmPlugin *plugin;
static char problem[256];

static void open_plugin(void) {
    plugin = (const LlvmPlugin *)plugin_open("llvm", RONDO_LLVM_SYMBOL, RONDO_EMITTER_VERSION, problem);
    if (!plugin || strcmp(plugin->compiler, rondo_compiler_id) == 0) return;
    plugin = NULL;
    snprintf(problem, sizeof problem, "librondo_llvm.so is of another build than the rest of Rondo");
}

const LlvmPlugin *llvm_plugin(Ctx *ctx) {
    pthread_once(&once, open_plugin);
    if (plugin) return plugin;
    diag_error(ctx, 801, (Span){0, 0}, "the LLVM back end cannot be opened: %s", problem);
    diag_help(ctx, (Span){0, 0}, "RONDO_LIBDIR names the folder of librondo_llvm.so; the C engine needs a C compiler only");
    return NULL;
}
