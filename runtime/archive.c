/* archive: opens librondo_zip.so. */
#include "runtime/archive.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const ArchivePlugin *plugin;
static char problem[256];

static void open_plugin(void) {
    plugin = (const ArchivePlugin *)plugin_open("zip", RONDO_ZIP_SYMBOL, RONDO_ZIP_VERSION, problem);
}

const ArchivePlugin *archive_plugin(Ctx *ctx) {
    pthread_once(&once, open_plugin);
    if (plugin) return plugin;
    diag_error(ctx, 616, (Span){0, 0}, "the reader of archives cannot be opened: %s", problem);
    diag_help(ctx, (Span){0, 0}, "it is librondo_zip.so and needs Debian's libzip4; RONDO_LIBDIR names its folder");
    return NULL;
}
