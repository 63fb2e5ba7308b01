/* zip_archive: librondo_zip.so. Archives in memory, through libzip. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "runtime/archive.h"

typedef struct {
    zip_t *z; /* NULL: packed */
    zip_source_t *src; /* of one that is written */
} Zip;

static void *zip_wrap(zip_t *z, zip_source_t *src) {
    Zip *a = calloc(1, sizeof *a);
    if (a) *a = (Zip){z, src};
    else zip_discard(z);
    if (!a && src) zip_source_free(src);
    return a;
}

static void *open_bytes(const void *data, size_t n, char why[128]) {
    zip_error_t e;
    zip_error_init(&e);
    zip_source_t *src = zip_source_buffer_create(data, n, 0, &e);
    zip_t *z = src ? zip_open_from_source(src, ZIP_RDONLY | ZIP_CHECKCONS, &e) : NULL;
    if (!z) snprintf(why, 128, "%s", zip_error_strerror(&e));
    if (!z && src) zip_source_free(src);
    zip_error_fini(&e);
    return z ? zip_wrap(z, NULL) : NULL;
}

static int64_t count(void *archive) {
    return zip_get_num_entries(((Zip *)archive)->z, 0);
}

static bool entry(void *archive, int64_t i, const char **name, uint64_t *size) {
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_stat_index(((Zip *)archive)->z, (zip_uint64_t)i, 0, &st) || !(st.valid & ZIP_STAT_NAME) || !(st.valid & ZIP_STAT_SIZE)) return false;
    *name = st.name;
    *size = st.size;
    return true;
}

static int64_t find(void *archive, const char *name) {
    return zip_name_locate(((Zip *)archive)->z, name, 0);
}

static void *unpack(void *archive, int64_t i) {
    return zip_fopen_index(((Zip *)archive)->z, (zip_uint64_t)i, 0);
}

static int64_t read_bytes(void *f, void *to, size_t n) {
    return zip_fread(f, to, n);
}

static void end(void *f) {
    zip_fclose(f);
}

static void *make(void) {
    zip_error_t e;
    zip_error_init(&e);
    zip_source_t *src = zip_source_buffer_create(NULL, 0, 0, &e);
    if (src) zip_source_keep(src); /* it outlives its archive, to be read */
    zip_t *z = src ? zip_open_from_source(src, ZIP_TRUNCATE, &e) : NULL;
    zip_error_fini(&e);
    if (z) return zip_wrap(z, src);
    if (src) {
        zip_source_free(src);
        zip_source_free(src);
    }
    return NULL;
}

static bool add(void *archive, const char *name, const void *data, size_t n) {
    zip_t *z = ((Zip *)archive)->z;
    zip_source_t *src = zip_source_buffer(z, data, n, 0);
    zip_int64_t i = src ? zip_file_add(z, name, src, ZIP_FL_ENC_UTF_8) : -1;
    if (i < 0) {
        if (src) zip_source_free(src);
        return false;
    }
    zip_set_file_compression(z, (zip_uint64_t)i, ZIP_CM_STORE, 0);
    zip_file_set_dostime(z, (zip_uint64_t)i, 0, 0x21, 0); /* 1980-01-01 */
    return true;
}

static bool pack(void *archive, size_t *n) {
    Zip *a = archive;
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_close(a->z)) return false;
    a->z = NULL;
    if (zip_source_open(a->src)) return false;
    bool ok = zip_source_stat(a->src, &st) == 0 && st.valid & ZIP_STAT_SIZE;
    if (ok) *n = (size_t)st.size;
    else zip_source_close(a->src);
    return ok;
}

static bool take(void *archive, void *to, size_t n) {
    Zip *a = archive;
    bool ok = zip_source_read(a->src, to, n) == (zip_int64_t)n;
    zip_source_close(a->src);
    return ok;
}

static void close_archive(void *archive) {
    Zip *a = archive;
    if (a->z) zip_discard(a->z);
    if (a->src) zip_source_free(a->src);
    free(a);
}

PORT_EXPORT extern const ArchivePlugin rondo_zip_plugin;
const ArchivePlugin rondo_zip_plugin = {{RONDO_ZIP_VERSION, RONDO_VERSION}, open_bytes, count, entry, find, unpack, read_bytes, end,
                                        make, add, pack, take, close_archive};
