/* shell: runs the system's compiler. */
#include "codegen/image.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char *shell_quote(Arena *a, const char *text) {
    Str s = str_make(a);
    str_putc(&s, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            str_put(&s, "'\\''");
        else
            str_putc(&s, *text);
    }
    str_putc(&s, '\'');
    return s.at;
}

static int run(char *command) {
    char sh[] = "sh", c[] = "-c";
    char *args[] = {sh, c, command, NULL};
    pid_t pid;
    int status = -1;
    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, args, environ) != 0) return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return status;
}

bool shell_compile(Ctx *ctx, Arena *a, const char *command, const char *log) {
    if (run(arena_printf(a, "%s > %s 2>&1", command, shell_quote(a, log))) == 0) {
        unlink(log);
        return true;
    }
    char *said = NULL;
    size_t n = 0;
    if (access(log, R_OK) == 0) file_read(ctx, a, log, &said, &n);
    diag_error(ctx, 804, (Span){0, 0}, "the compiler failed: %.200s: %.600s", command, said ? said : "it could not be run");
    unlink(log);
    return false;
}
