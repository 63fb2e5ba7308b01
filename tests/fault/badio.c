/* badio: for LD_PRELOAD. Of the calls by which a program changes files (open for writing, write, fsync, ftruncate, rename, and the flush
   and close of a stream), the one that BADIO_AT counts fails with the error BADIO names, or ends the process (BADIO=KILL). At the end the
   number of calls is written into the file BADIO_COUNT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static int bad(void) {
    const char *at = getenv("BADIO_AT"), *how = getenv("BADIO");
    if (atomic_fetch_add(&calls, 1) + 1 != (at ? atol(at) : 0) || !how) return 0;
    if (strcmp(how, "KILL") == 0) kill(getpid(), SIGKILL);
    errno = strcmp(how, "ENOSPC") == 0 ? ENOSPC : EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

int open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    return writes(flags) && bad() ? -1 : REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    return writes(flags) && bad() ? -1 : REAL(open)(path, flags, mode);
}
FILE *fopen(const char *path, const char *mode) { return *mode != 'r' && bad() ? NULL : REAL(fopen)(path, mode); }
ssize_t write(int fd, const void *data, size_t n) {
    if (!bad()) return REAL(write)(fd, data, n);
    if (n > 1) { /* a part gets through, as on a disk that fills up */
        ssize_t put = REAL(write)(fd, data, n / 2);
        (void)put;
        errno = ENOSPC;
    }
    return -1;
}
int fsync(int fd) { return bad() ? -1 : REAL(fsync)(fd); }
int ftruncate(int fd, off_t n) { return bad() ? -1 : REAL(ftruncate)(fd, n); }
int rename(const char *from, const char *to) { return bad() ? -1 : REAL(rename)(from, to); }
int fflush(FILE *f) { return f && bad() ? EOF : REAL(fflush)(f); }
int fclose(FILE *f) {
    int failed = bad(), got = REAL(fclose)(f);
    return failed ? (errno = EIO, EOF) : got;
}

__attribute__((destructor)) static void say(void) {
    const char *path = getenv("BADIO_COUNT");
    FILE *f = path ? REAL(fopen)(path, "w") : NULL;
    if (!f) return;
    fprintf(f, "%ld\n", (long)calls);
    REAL(fclose)(f);
}
