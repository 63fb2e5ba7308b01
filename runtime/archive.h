/* archive: zip files, through librondo_zip.so (runtime/zip_archive.c, the one door to libzip), which is opened when an archive is
   first read or written. */
#ifndef RONDO_RUNTIME_ARCHIVE_H
#define RONDO_RUNTIME_ARCHIVE_H

#include "base/plugin.h"

enum { RONDO_ZIP_VERSION = 1 };
#define RONDO_ZIP_SYMBOL "rondo_zip_plugin"

typedef struct {
    PluginHead head; /* RONDO_ZIP_VERSION */
    /* Reading; the bytes must outlive the archive. NULL with the reason in why. */
    void *(*open)(const void *data, size_t n, char why[128]);
    int64_t (*count)(void *archive);
    bool (*entry)(void *archive, int64_t i, const char **name, uint64_t *size); /* as stated: data may be other than that */
    int64_t (*find)(void *archive, const char *name); /* < 0: absent */
    void *(*unpack)(void *archive, int64_t i); /* NULL: cannot be unpacked */
    int64_t (*read)(void *entry, void *to, size_t n); /* bytes; 0: its end, < 0: damaged */
    void (*end)(void *entry);
    /* Writing: members are stored and dated 1980-01-01, the same bytes for the same members. Data must live until pack. */
    void *(*make)(void); /* NULL: no memory */
    bool (*add)(void *archive, const char *name, const void *data, size_t n);
    bool (*pack)(void *archive, size_t *n); /* *n: its bytes; nothing can be added any more */
    bool (*take)(void *archive, void *to, size_t n);
    void (*close)(void *archive); /* of either kind */
} ArchivePlugin;

/* Opens the plugin once a process. NULL with a diagnostic. */
const ArchivePlugin *archive_plugin(Ctx *ctx);

#endif
