/* plugin: shared objects of ours that are opened only when somebody needs them, so that a warm start loads none of the
   libraries behind them (LLVM, libclang). A plugin holds copies of base/ and ir/; both work on the caller's Ctx and arenas. */
#ifndef RONDO_BASE_PLUGIN_H
#define RONDO_BASE_PLUGIN_H

#include <limits.h>

#include "base/base.h"

/* Every plugin's exported table begins with this. */
typedef struct {
    uint32_t version;  /* of the plugin's interface */
    const char *rondo; /* RONDO_VERSION */
} PluginHead;

/* Opens NAME (as in librondo_NAME.so), which is looked for in RONDO_LIBDIR if that is set, else beside the library or
   executable that this code is part of, or where it was to be installed. Its table is the object `symbol`. NULL with the
   reason in problem. Call it once a process (pthread_once). */
const PluginHead *plugin_open(const char *name, const char *symbol, uint32_t version, char problem[256]);

/* The folder of the library or executable that this code is part of. False if it cannot be told. */
bool code_folder(char path[PATH_MAX]);

#endif
