/* file: whole files in and out; a file written is either the old one or the new one, never half. */
#include "base/ctx.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool file_fail(Ctx *ctx, const char *path, const char *what, int err) {
    diag_error(ctx, 1, (Span){0, 0}, "%s '%s': %s", what, path, strerror(err));
    return false;
}

/* Reads fd to its end. 0 or errno. Sizes are not asked for first: pipes have none. */
static int read_all(Arena *a, int fd, char **text, size_t *n) {
    size_t cap = 1 << 16, have = 0;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && (uintmax_t)st.st_size < SIZE_MAX / 4)
        cap = (size_t)st.st_size + 2;
    char *p = arena_alloc(a, cap);
    for (;;) {
        if (have + 1 >= cap) {
            p = arena_grow(a, p, cap, cap * 2);
            cap *= 2;
        }
        ssize_t got = read(fd, p + have, cap - have - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        have += (size_t)got;
    }
    p[have] = 0;
    *text = p;
    *n = have;
    return 0;
}

bool file_read(Ctx *ctx, Arena *a, const char *path, char **text, size_t *n) {
    *text = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return file_fail(ctx, path, "cannot read", errno);
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        int err = read_all(a, fd, text, n);
        CTX_END(ctx);
        close(fd);
        return err ? file_fail(ctx, path, "cannot read", err) : true;
    }
    close(fd);
    ctx_out_of_memory(ctx);
}

static int write_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t put = write(fd, p, n > INT_MAX ? INT_MAX : n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

/* A name must survive a crash too: the directory is synced, where the file system lets us. */
static void sync_directory(Arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *dir = !slash ? "." : slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
    int fd = open(dir, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

static int write_through(const char *path, const char *tmp, mode_t mode, bool keep_mode, const void *data, size_t n) {
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    int err = write_all(fd, data, n);
    if (!err && keep_mode && fchmod(fd, mode & 07777) != 0) err = errno;
    if (!err && fsync(fd) != 0) err = errno;
    if (close(fd) != 0 && !err) err = errno;
    if (!err && rename(tmp, path) != 0) err = errno;
    if (err) unlink(tmp);
    return err;
}

/* Devices and pipes are written as they are: renaming over /dev/stdout would replace it. */
static int write_in_place(const char *path, const void *data, size_t n) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int err = write_all(fd, data, n);
    if (close(fd) != 0 && !err) err = errno;
    return err;
}

const char *file_real(Arena *a, const char *path) {
    char real[PATH_MAX];
    return realpath(path, real) ? arena_strdup(a, real) : NULL;
}

bool file_is_plain(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int write_file(Arena *a, const char *path, const void *data, size_t n) {
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return EISDIR;
    if (exists && !S_ISREG(st.st_mode)) return write_in_place(path, data, n);
    const char *real = exists ? file_real(a, path) : NULL; /* a link keeps pointing at what it points at */
    if (!real) real = path;
    int err = EEXIST;
    for (int k = 0; err == EEXIST && k < 100; k++) {
        const char *tmp = arena_printf(a, "%s.%ld-%d.tmp", real, (long)getpid(), k);
        err = write_through(real, tmp, exists ? st.st_mode : 0, exists, data, n);
    }
    if (!err) sync_directory(a, real);
    return err;
}

bool file_write(Ctx *ctx, const char *path, const void *data, size_t n) {
    Arena tmp = arena_make(ctx);
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        int err = write_file(&tmp, path, data, n);
        CTX_END(ctx);
        arena_free(&tmp);
        return err ? file_fail(ctx, path, "cannot write", err) : true;
    }
    arena_free(&tmp);
    ctx_out_of_memory(ctx);
}
