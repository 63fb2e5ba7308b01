/* plugin: opens librondo_llvm.so, found by RONDO_LIBDIR, or beside the library or executable that this file is part of, or
   where it was to be installed. */
#define _GNU_SOURCE /* dladdr */
#include "codegen/plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const LlvmPlugin *plugin;
    char problem[256];
} Opened;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static Opened opened;

static bool try_file(const char *path) {
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        if (!opened.problem[0] || access(path, F_OK) == 0) snprintf(opened.problem, sizeof opened.problem, "%s", dlerror());
        return false;
    }
    const LlvmPlugin *p = dlsym(so, RONDO_LLVM_SYMBOL);
    if (!p || p->version != RONDO_EMITTER_VERSION || strcmp(p->rondo, RONDO_VERSION) != 0) {
        snprintf(opened.problem, sizeof opened.problem, "%s is of another version", path);
        dlclose(so);
        return false;
    }
    opened.plugin = p;
    return true;
}

static bool try_folder(const char *folder) {
    static const char *const below[] = {"", "/rondo", "/lib/rondo", "/../lib/rondo", "/../lib64/rondo", "/../" RONDO_LIBDIR_NAME "/rondo"};
    char path[PATH_MAX + 64];
    for (size_t k = 0; k < sizeof below / sizeof *below; k++) {
        int n = snprintf(path, sizeof path, "%s%s/%s", folder, below[k], RONDO_LLVM_FILE);
        if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0 && try_file(path)) return true;
    }
    return false;
}

static bool folder_of(const char *file, char path[PATH_MAX]) {
    if (!realpath(file, path)) return false;
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    *slash = 0;
    return true;
}

bool code_folder(char path[PATH_MAX]) {
    Dl_info info;
    return (dladdr((const void *)&once, &info) && info.dli_fname && folder_of(info.dli_fname, path)) ||
           folder_of("/proc/self/exe", path);
}

static void open_plugin(void) {
    const char *dir = getenv("RONDO_LIBDIR");
    char path[PATH_MAX + 64];
    if (dir && *dir) {
        int n = snprintf(path, sizeof path, "%s/%s", dir, RONDO_LLVM_FILE);
        if (n > 0 && (size_t)n < sizeof path) try_file(path);
        return;
    }
    if (code_folder(path) && try_folder(path)) return;
    if (folder_of("/proc/self/exe", path) && try_folder(path)) return;
    if (access(RONDO_PLUGIN_DIR "/" RONDO_LLVM_FILE, F_OK) == 0 && try_file(RONDO_PLUGIN_DIR "/" RONDO_LLVM_FILE)) return;
    try_file(RONDO_LLVM_FILE);
}

const LlvmPlugin *llvm_plugin(Ctx *ctx) {
    pthread_once(&once, open_plugin);
    if (opened.plugin) return opened.plugin;
    diag_error(ctx, 801, (Span){0, 0}, "the LLVM back end cannot be opened: %s", opened.problem);
    diag_help(ctx, (Span){0, 0}, "RONDO_LIBDIR names the folder of " RONDO_LLVM_FILE "; the C engine needs a C compiler only");
    return NULL;
}
