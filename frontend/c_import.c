/* c_import: opens librondo_clang.so. */
#include "frontend/c_import.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const ClangPlugin *plugin;
static char problem[256];

static void open_plugin(void)
{
    plugin = (const ClangPlugin *)plugin_open("clang", RONDO_CLANG_SYMBOL, RONDO_CLANG_VERSION, problem);
}

bool c_import(Ctx *ctx, Arena *a, const Source *header, Span at, CDecls *out)
{
    pthread_once(&once, open_plugin);
    if (plugin) return plugin->read(ctx, a, header, out);
    diag_error(ctx, 215, at, "the reader of C headers cannot be opened: %s", problem);
    diag_help(ctx, (Span){0, 0}, "RONDO_LIBDIR names the folder of librondo_clang.so");
    return false;
}
