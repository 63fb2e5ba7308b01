/* file: whole files in and out; a file written is either the old one or the new one, never half. */
#include "base/ctx.h"
#include "base/port_file.h"

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

/* Does the name still lead to the file that is open? */
static bool is_at(const char *path, int fd) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && S_ISREG(b.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Files are written under temporary names, NAME.rondo-0.tmp and so on, and are locked until they have their own. Who finds one that
   nobody holds removes it: its writer was killed. Only who holds a file's lock may take its name away, so a name that leads to a locked
   file stays. Where the system has no locks nothing is removed, and the next name is taken. True: the name is free. */
static bool reclaim(const char *tmp) {
    int fd = open(tmp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT;
    bool stale = port_lock(fd) == 0 && is_at(tmp, fd) && unlink(tmp) == 0;
    close(fd);
    return stale;
}

/* A new file of that name, locked; else -1 and errno, EEXIST where it is another's. */
static int open_locked(const char *tmp) {
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST && reclaim(tmp)) fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    if (port_lock(fd) != EWOULDBLOCK && is_at(tmp, fd)) return fd;
    close(fd); /* taken for a stale one before the lock was there */
    errno = EEXIST;
    return -1;
}

static int write_through(const char *path, const char *tmp, mode_t mode, bool keep_mode, const void *data, size_t n) {
    int fd = open_locked(tmp);
    if (fd < 0) return errno;
    int err = write_all(fd, data, n);
    if (!err && keep_mode && fchmod(fd, mode & 07777) != 0) err = errno;
    if (!err && fsync(fd) != 0) err = errno;
    if (!err && rename(tmp, path) != 0) err = errno;
    if (err) unlink(tmp);
    if (close(fd) != 0 && !err) err = errno;
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

static const char *temporary(Arena *a, const char *path, int k) { return arena_printf(a, "%s.rondo-%d.tmp", path, k); }

static int write_file(Arena *a, const char *path, const void *data, size_t n) {
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return EISDIR;
    if (exists && !S_ISREG(st.st_mode)) return write_in_place(path, data, n);
    const char *real = exists ? file_real(a, path) : NULL; /* a link keeps pointing at what it points at */
    if (!real) real = path;
    int err = EEXIST;
    for (int k = 0; err == EEXIST && k < 100; k++) {
        err = write_through(real, temporary(a, real, k), exists ? st.st_mode : 0, exists, data, n);
        while (!err && access(temporary(a, real, ++k), F_OK) == 0) (void)reclaim(temporary(a, real, k));
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
