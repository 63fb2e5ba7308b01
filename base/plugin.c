/* plugin: where our shared objects are, and opening them. */
#define _GNU_SOURCE /* dladdr */
#include "base/plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__APPLE__)
#define SUFFIX "dylib"
#else
#define SUFFIX "so"
#endif

typedef struct {
    char file[64];
    const char *symbol;
    uint32_t version;
    char *problem; /* [256] */
} Wanted;

static const PluginHead *try_file(const Wanted *w, const char *path) {
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        if (!w->problem[0] || access(path, F_OK) == 0) snprintf(w->problem, 256, "%s", dlerror());
        return NULL;
    }
    const PluginHead *p = dlsym(so, w->symbol);
    if (!p || p->version != w->version || strcmp(p->rondo, RONDO_VERSION) != 0) {
        snprintf(w->problem, 256, "%s is of another version", path);
        dlclose(so);
        return NULL;
    }
    return p;
}

static const PluginHead *try_folder(const Wanted *w, const char *folder) {
    static const char *const below[] = {"", "/rondo", "/lib/rondo", "/../lib/rondo", "/../lib64/rondo", "/../" RONDO_LIBDIR_NAME "/rondo"};
    char path[PATH_MAX + 64];
    const PluginHead *p = NULL;
    for (size_t k = 0; !p && k < sizeof below / sizeof *below; k++) {
        int n = snprintf(path, sizeof path, "%s%s/%s", folder, below[k], w->file);
        if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0) p = try_file(w, path);
    }
    return p;
}

static bool folder_of(const char *file, char path[PATH_MAX]) {
    if (!realpath(file, path)) return false;
    char *slash = strrchr(path, '/');
    if (!slash) return false;
    *slash = 0;
    return true;
}

bool code_folder(char path[PATH_MAX]) {
    static const char here = 0;
    Dl_info info;
    return (dladdr(&here, &info) && info.dli_fname && folder_of(info.dli_fname, path)) || folder_of("/proc/self/exe", path);
}

const PluginHead *plugin_open(const char *name, const char *symbol, uint32_t version, char problem[256]) {
    Wanted w = {.symbol = symbol, .version = version, .problem = problem};
    const char *dir = getenv("RONDO_LIBDIR");
    char path[PATH_MAX + 64];
    const PluginHead *p = NULL;

    problem[0] = 0;
    snprintf(w.file, sizeof w.file, "librondo_%s." SUFFIX, name);
    if (dir && *dir) {
        int n = snprintf(path, sizeof path, "%s/%s", dir, w.file);
        return n > 0 && (size_t)n < sizeof path ? try_file(&w, path) : NULL;
    }
    if (code_folder(path)) p = try_folder(&w, path);
    if (!p && folder_of("/proc/self/exe", path)) p = try_folder(&w, path);
    snprintf(path, sizeof path, RONDO_PLUGIN_DIR "/%s", w.file);
    if (!p && access(path, F_OK) == 0) p = try_file(&w, path);
    return p ? p : try_file(&w, w.file);
}
