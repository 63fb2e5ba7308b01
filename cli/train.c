/* rondo train: the model's train block, with a progress line on a terminal; Ctrl-C keeps what was learned. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

static void on_signal(int sig) { stop_signal = sig; }

typedef struct {
    Cli *cli;
    bool terminal, quiet;
    FILE *log;
    bool jsonl, wrote_header;
    double next_draw; /* seconds since training began */
    int width; /* columns of the line on the terminal */
} Progress;

static void put_time(char *out, size_t n, double s) {
    if (s < 90)
        snprintf(out, n, "%.0f s", s);
    else if (s < 5400)
        snprintf(out, n, "%.0f min", s / 60);
    else
        snprintf(out, n, "%.1f h", s / 3600);
}

/* "epoch 12/100  loss 0.0123  valid 0.0131  3 s left" */
static void put_line(char *out, size_t n, const rondo_progress *p) {
    int k = snprintf(out, n, "epoch %d/%d  loss %.5g", p->epoch, p->epochs, p->loss);
    if (isfinite(p->valid_loss)) k += snprintf(out + k, n - (size_t)k, "  valid %.5g", p->valid_loss);
    for (size_t i = 0; i < p->nmetric && p->batch == p->batches && (size_t)k + 80 < n; i++)
        k += snprintf(out + k, n - (size_t)k, "  %.40s %.5g", p->metric_name[i], p->metric[i]);
    double done = (p->epoch - 1) + (p->batches ? (double)p->batch / (double)p->batches : 1);
    if (done > 0 && done < p->epochs && p->seconds / done * (p->epochs - done) >= 0.5) {
        char left[32];
        put_time(left, sizeof left, p->seconds / done * (p->epochs - done));
        snprintf(out + k, n - (size_t)k, "  %s left", left);
    }
}

static void log_epoch(Progress *g, const rondo_progress *p) {
    Str s = str_make(ctx_arena(g->cli->ctx));
    if (g->jsonl) {
        str_printf(&s, "{\"epoch\": %d, \"update\": %" PRId64 ", \"loss\": ", p->epoch, p->update);
        put_json_number(&s, p->loss);
        if (isfinite(p->valid_loss)) {
            str_put(&s, ", \"valid_loss\": ");
            put_json_number(&s, p->valid_loss);
        }
        for (size_t i = 0; i < p->nmetric; i++) {
            str_put(&s, ", ");
            put_json_string(&s, p->metric_name[i]);
            str_put(&s, ": ");
            put_json_number(&s, p->metric[i]);
        }
        str_put(&s, ", \"seconds\": ");
        put_json_number(&s, p->seconds);
        str_put(&s, "}\n");
    } else {
        if (!g->wrote_header) {
            str_put(&s, "epoch,update,loss,valid_loss");
            for (size_t i = 0; i < p->nmetric; i++) str_printf(&s, ",\"%s\"", p->metric_name[i]);
            str_put(&s, ",seconds\n");
            g->wrote_header = true;
        }
        str_printf(&s, "%d,%" PRId64 ",", p->epoch, p->update);
        str_double(&s, p->loss);
        str_putc(&s, ',');
        if (isfinite(p->valid_loss)) str_double(&s, p->valid_loss);
        for (size_t i = 0; i < p->nmetric; i++) {
            str_putc(&s, ',');
            str_double(&s, p->metric[i]);
        }
        str_putc(&s, ',');
        str_double(&s, p->seconds);
        str_putc(&s, '\n');
    }
    fwrite(s.at, 1, s.n, g->log);
    fflush(g->log);
}

static int on_progress(void *arg, const rondo_progress *p) {
    Progress *g = arg;
    bool complete = p->batch == p->batches;
    char line[512];
    if (complete && g->log) log_epoch(g, p);
    if (g->quiet) return stop_signal;
    if (g->terminal && (p->seconds >= g->next_draw || (complete && p->epoch == p->epochs))) {
        g->next_draw = p->seconds + 0.05;
        put_line(line, sizeof line, p);
        int n = (int)strlen(line);
        if (n > 110) line[n = 110] = 0;
        fprintf(stderr, "\r%s%*s", line, g->width > n ? g->width - n : 0, "");
        fflush(stderr);
        g->width = n;
    } else if (!g->terminal && complete) {
        int every = p->epochs > 20 ? p->epochs / 10 : 1;
        if (p->epoch == 1 || p->epoch == p->epochs || p->epoch % every == 0) {
            put_line(line, sizeof line, p);
            fprintf(stderr, "%s\n", line);
        }
    }
    return stop_signal;
}

static void on_line(void *arg, const char *line) {
    Progress *g = arg;
    if (g->quiet) return;
    if (g->width) fputc('\n', stderr);
    g->width = 0;
    fprintf(stderr, "%s\n", line);
}

static bool open_log(Cli *c, Progress *g) {
    const char *path = cli_get(c, OPT_LOG);
    if (!path) return true;
    const char *dot = strrchr(path, '.');
    g->jsonl = dot && !strcmp(dot, ".jsonl");
    if (!g->jsonl && !(dot && !strcmp(dot, ".csv"))) return cli_usage(c, "--log takes a name that ends in .csv or .jsonl"), false;
    g->wrote_header = cli_has(c, OPT_RESUME) && access(path, R_OK) == 0;
    g->log = fopen(path, cli_has(c, OPT_RESUME) ? "a" : "w");
    if (!g->log) diag_error(c->ctx, 1, (Span){0, 0}, "cannot write %s: %s", path, strerror(errno));
    return true;
}

/* Says before an hour of training what would be said after it. */
static bool can_write(Cli *c, const char *path) {
    if (!path) return true;
    const char *slash = strrchr(path, '/');
    const char *folder = !slash ? "." : slash == path ? "/" : arena_strndup(ctx_arena(c->ctx), path, (size_t)(slash - path));
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) errno = EISDIR;
    else if (access(folder, W_OK | X_OK) == 0) return true;
    diag_error(c->ctx, 1, (Span){0, 0}, "cannot write '%s': %s", path, strerror(errno));
    return false;
}

static void print_result(Cli *c, Model *m, const rondo_train_result *r, const char *path, bool stopped) {
    Str s = str_make(ctx_arena(c->ctx));
    if (cli_has(c, OPT_JSON)) {
        str_put(&s, "{\"model\": ");
        put_json_string(&s, rondo_name(m));
        str_printf(&s, ", \"epochs\": %d, \"updates\": %" PRId64 ", \"loss\": ", r->epochs, r->updates);
        put_json_number(&s, r->loss);
        str_put(&s, ", \"valid_loss\": ");
        put_json_number(&s, r->valid_loss);
        str_put(&s, ", \"seconds\": ");
        put_json_number(&s, r->seconds);
        str_printf(&s, ", \"stopped\": %s, \"weights\": ", stopped ? "true" : "false");
        put_json_string(&s, path);
        str_put(&s, "}\n");
    } else {
        str_printf(&s, "%s: %d epoch%s, %" PRId64 " updates in %.2f s", stopped ? "stopped" : "trained", r->epochs,
                   r->epochs == 1 ? "" : "s", r->updates, r->seconds);
        if (!isnan(r->loss)) str_printf(&s, ", loss %.6g", r->loss);
        str_printf(&s, "; weights in %s\n", path);
    }
    cli_write(c, NULL, s.at, s.n);
}

CliExit cmd_train(Cli *c) {
    CliExit rc;
    Progress g = {.cli = c, .terminal = isatty(STDERR_FILENO), .quiet = cli_has(c, OPT_QUIET)};
    const char *seed = cli_get(c, OPT_SEED);
    if (seed) VEC_PUSH(ctx_arena(c->ctx), c->use) = (OptUse){OPT_SET, arena_printf(ctx_arena(c->ctx), "seed=%s", seed)};
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    model_set_log(m, on_line, &g);
    if (!cli_weights(c, m, false, &rc)) goto done;
    const char *path = cli_get(c, OPT_OUT);
    if (!path) path = arena_printf(ctx_arena(c->ctx), "%s.safetensors", rondo_name(m));
    rc = CLI_INPUT;
    if (!can_write(c, path) || !can_write(c, cli_get(c, OPT_CHECKPOINT))) goto done;
    if (!open_log(c, &g)) {
        rc = CLI_USAGE;
        goto done;
    }
    if (diag_error_count(c->ctx)) goto done;
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    o.data_file = cli_get(c, OPT_DATA);
    o.checkpoint = cli_get(c, OPT_CHECKPOINT);
    o.resume = cli_get(c, OPT_RESUME);
    o.progress = on_progress;
    o.progress_arg = &g;

    /* The first Ctrl-C asks to stop after the batch, the second ends the process. */
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND}, old_int, old_term;
    sigaction(SIGINT, &act, &old_int);
    sigaction(SIGTERM, &act, &old_term);
    rondo_train_result r = {0};
    rondo_status status = rondo_train(m, &o, &r);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    if (g.width) fputc('\n', stderr);
    rc = cli_result(c, m, status);
    if (rc == CLI_OK && weights_save(m, path)) print_result(c, m, &r, path, status == RONDO_STOPPED);
done:
    if (g.log) fclose(g.log);
    model_close(m);
    if (rc == CLI_OK && stop_signal) raise(stop_signal);
    return rc;
}
