/* gnuplot: runs it on a script; the picture is written beside its place and moved there when it is whole. */
#include "cli/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const endings[] = {".svg", ".png", ".gp"};
enum { SVG, PNG, SCRIPT, ENDINGS };

static int ending(const char *path) {
    const char *dot = strrchr(path, '.');
    for (int k = 0; dot && k < ENDINGS; k++)
        if (!strcmp(dot, endings[k])) return k;
    return -1;
}

bool plot_can_draw(Cli *c, const char *path) {
    if (path && ending(path) >= 0) return true;
    if (path)
        cli_usage(c, "-o takes a name that ends in .svg, .png or .gp (the script for gnuplot), not '%.80s'", path);
    else
        cli_usage(c, "-o FILE is missing: the picture, .svg or .png");
    return false;
}

void plot_text(Str *s, const char *text) {
    str_putc(s, '\'');
    for (; *text; text++) {
        if (*text == '\'') str_putc(s, '\'');
        str_putc(s, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    str_putc(s, '\'');
}

/* Its exit status, with what it said in a file; -1: it could not be run. */
static int run_gnuplot(const char *script, const char *log) {
    char name[] = "gnuplot";
    char *args[] = {name, NULL};
    posix_spawn_file_actions_t to;
    pid_t pid;
    int status = -1;
    if (posix_spawn_file_actions_init(&to) != 0) return -1;
    posix_spawn_file_actions_addopen(&to, 0, script, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&to, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&to, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    bool began = posix_spawnp(&pid, name, &to, NULL, args, environ) == 0;
    posix_spawn_file_actions_destroy(&to);
    while (began && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return began ? status : -1;
}

static void put_head(Plot *p, Str *s, int kind, const char *out) {
    str_printf(s, "set terminal %s size %d,%d noenhanced %s background rgb 'white'\n", kind == PNG ? "pngcairo" : "svg",
               p->width, p->height, kind == PNG ? "font 'sans,10'" : "font 'sans-serif,13'");
    str_put(s, "set output ");
    plot_text(s, out);
    str_put(s, "\nset encoding utf8\nset datafile separator ','\nset datafile missing 'NaN'\nset grid lc rgb '#dddddd'\nset "
               "key noenhanced\n");
}

static bool could_not(Plot *p, int status, const char *log) {
    char *said = NULL;
    size_t n = 0;
    Ctx *ctx = p->cli->ctx;
    if (status == -1 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
        diag_error(ctx, 560, (Span){0, 0}, "gnuplot cannot be run");
        diag_help(ctx, (Span){0, 0},
                  "it draws the pictures: install the package gnuplot-nox, or write its script with -o NAME.gp");
        return false;
    }
    if (access(log, R_OK) == 0) file_read(ctx, ctx_arena(ctx), log, &said, &n);
    diag_error(ctx, 560, (Span){0, 0}, "gnuplot failed: %.400s", said ? said : "");
    return false;
}

bool plot_draw(Plot *p, const char *path) {
    Arena *a = ctx_arena(p->cli->ctx);
    Ctx *ctx = p->cli->ctx;
    int kind = ending(path);
    const char *script = arena_printf(a, "%s.%ld.gp", path, (long)getpid()), *log = arena_printf(a, "%s.log", script),
               *out = arena_printf(a, "%s.out", script);
    Str s = str_make(a);
    put_head(p, &s, kind, kind == SCRIPT ? arena_printf(a, "%.*s.svg", (int)(strlen(path) - 3), path) : out);
    if (p->data.n) str_putn(&s, p->data.at, p->data.n);
    str_putn(&s, p->script.at, p->script.n);
    if (kind == SCRIPT) return file_write(ctx, path, s.at, s.n);
    if (!file_write(ctx, script, s.at, s.n)) return false;
    int status = run_gnuplot(script, log);
    bool ok = status == 0 || could_not(p, status, log);
    if (ok && rename(out, path) != 0) {
        diag_error(ctx, 1, (Span){0, 0}, "cannot write '%s': %s", path, strerror(errno));
        ok = false;
    }
    unlink(script);
    unlink(log);
    if (!ok) unlink(out);
    return ok;
}
