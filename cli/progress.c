/* progress: the line on the terminal while a model trains, plain lines where there is none, and the log. */
#include "base/port_terminal.h"
#include "cli/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* ---- signals ------------------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop_signal;
static struct sigaction old_int, old_term;

static void on_signal(int sig) { stop_signal = sig; }

/* What was to be ignored from the beginning stays so: Ctrl-C ends no job of a shell's background. */
static void catch_signal(int sig, struct sigaction *old) {
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(sig, NULL, old);
    if (old->sa_handler != SIG_IGN) sigaction(sig, &act, NULL);
}

void signals_catch(void) {
    catch_signal(SIGINT, &old_int);
    catch_signal(SIGTERM, &old_term);
}

void signals_leave(void) {
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
}

int signal_caught(void) { return stop_signal; }

/* ---- the line ----------------------------------------------------------------------------------------------------------- */

void put_duration(char *out, size_t n, double s) {
    if (s < 90)
        snprintf(out, n, "%.0f s", s);
    else if (s < 5400)
        snprintf(out, n, "%.0f min", s / 60);
    else
        snprintf(out, n, "%.1f h", s / 3600);
}

static void put_rate(char *out, size_t n, double v) {
    if (v >= 1e6)
        snprintf(out, n, "%.3gM", v / 1e6);
    else if (v >= 1e3)
        snprintf(out, n, "%.3gk", v / 1e3);
    else
        snprintf(out, n, "%.0f", v);
}

static double epochs_done(const rondo_progress *p) {
    return (p->epoch - 1) + (p->batches ? (double)p->batch / (double)p->batches : 1);
}

/* "epoch 12/100  loss 0.0123  valid 0.0131  mae 0.09  210k steps/s  3 s left"; between the ends of epochs with what the last one
   gave. */
static void put_line(char *out, size_t n, const Progress *g, const rondo_progress *p) {
    char text[32];
    int k = snprintf(out, n, "epoch %d/%d  loss %.5g", p->epoch, p->epochs, p->loss);
    if (isfinite(g->valid)) k += snprintf(out + k, n - (size_t)k, "  valid %.5g", g->valid);
    for (size_t i = 0; i < g->nmetric && (size_t)k + 120 < n; i++)
        k += snprintf(out + k, n - (size_t)k, "  %.40s %.5g", g->metric_name[i], g->metric[i]);
    put_rate(text, sizeof text, p->steps_per_second);
    k += snprintf(out + k, n - (size_t)k, "  %s steps/s", text);
    double done = epochs_done(p) - g->first_done, left = p->epochs - epochs_done(p);
    if (done > 0 && p->seconds / done * left >= 0.5) {
        put_duration(text, sizeof text, p->seconds / done * left);
        snprintf(out + k, n - (size_t)k, "  %s left", text);
    }
}

static void keep(Progress *g, const rondo_progress *p, bool complete) {
    if (g->first_done < 0) g->first_done = epochs_done(p) - (p->batches ? 1 / (double)p->batches : 1);
    if (!complete) return;
    g->valid = p->valid_loss;
    g->nmetric = 0;
    for (size_t i = 0; i < p->nmetric && g->nmetric < sizeof g->metric / sizeof *g->metric; i++) {
        if (strchr(p->metric_name[i], '[')) continue; /* one number of a table: in the log */
        g->metric_name[g->nmetric] = p->metric_name[i];
        g->metric[g->nmetric++] = p->metric[i];
    }
}

/* What is wider than the terminal is cut: it would go on in the next line, from where the next one drawn would not come back. */
int draw_over(const char *line, int width) {
    int columns = port_columns(STDERR_FILENO), most = columns > 1 && columns <= 110 ? columns - 1 : 110, n = (int)strlen(line);
    if (n > most) n = most;
    if (width > most) width = most;
    fprintf(stderr, "\r%.*s%*s", n, line, width > n ? width - n : 0, "");
    fflush(stderr);
    return n;
}

static void draw(Progress *g, const rondo_progress *p) {
    char line[512];
    g->next_draw = p->seconds + 0.05;
    put_line(line, sizeof line, g, p);
    g->width = draw_over(line, g->width);
}

/* ---- the log ------------------------------------------------------------------------------------------------------------ */

static void put_json_epoch(Str *s, const rondo_progress *p) {
    str_printf(s, "{\"epoch\": %d, \"update\": %" PRId64 ", \"loss\": ", p->epoch, p->update);
    put_json_number(s, p->loss);
    if (isfinite(p->valid_loss)) {
        str_put(s, ", \"valid_loss\": ");
        put_json_number(s, p->valid_loss);
    }
    for (size_t i = 0; i < p->nmetric; i++) {
        str_put(s, ", ");
        put_json_string(s, p->metric_name[i]);
        str_put(s, ": ");
        put_json_number(s, p->metric[i]);
    }
    str_put(s, ", \"seconds\": ");
    put_json_number(s, p->seconds);
    str_put(s, "}\n");
}

static void put_csv_epoch(Progress *g, Str *s, const rondo_progress *p) {
    if (!g->wrote_header) {
        str_put(s, "epoch,update,loss,valid_loss");
        for (size_t i = 0; i < p->nmetric; i++) str_printf(s, ",\"%s\"", p->metric_name[i]);
        str_put(s, ",seconds\n");
        g->wrote_header = true;
    }
    str_printf(s, "%d,%" PRId64 ",", p->epoch, p->update);
    str_double(s, p->loss);
    str_putc(s, ',');
    if (isfinite(p->valid_loss)) str_double(s, p->valid_loss);
    for (size_t i = 0; i < p->nmetric; i++) {
        str_putc(s, ',');
        str_double(s, p->metric[i]);
    }
    str_putc(s, ',');
    str_double(s, p->seconds);
    str_putc(s, '\n');
}

/* Of a log that a resumed run goes on with: rows of epochs that are now done again, and a last one that was not written whole, go. */
static bool drop_rows(Progress *g, int epoch) {
    long end = 0;
    bool begins = true, goes = false;
    char piece[256];
    rewind(g->log);
    while (!goes && fgets(piece, sizeof piece, g->log)) {
        int k = 0;
        if (begins && sscanf(piece, g->jsonl ? "{\"epoch\": %d" : "%d", &k) == 1 && k >= epoch) goes = true;
        begins = strchr(piece, '\n') != NULL;
        if (!goes && begins) end = ftell(g->log);
    }
    g->wrote_header = end > 0;
    return !ferror(g->log) && end >= 0 && fseek(g->log, end, SEEK_SET) == 0 && ftruncate(fileno(g->log), end) == 0;
}

static void log_epoch(Progress *g, const rondo_progress *p) {
    Arena tmp = arena_make(g->cli->ctx); /* of 10,000 epochs nothing is to be left */
    Str s = str_make(&tmp);
    bool ready = !g->old_rows || drop_rows(g, p->epoch);
    g->old_rows = false;
    if (g->jsonl)
        put_json_epoch(&s, p);
    else
        put_csv_epoch(g, &s, p);
    if (!ready || fwrite(s.at, 1, s.n, g->log) != s.n || fflush(g->log) != 0) {
        diag_error(g->cli->ctx, 1, (Span){0, 0}, "cannot write to the log: %s", strerror(errno));
        fclose(g->log);
        g->log = NULL;
    }
    arena_free(&tmp);
}

bool progress_log(Progress *g, const char *path) {
    if (!path) return true;
    const char *dot = strrchr(path, '.');
    bool resumed = cli_has(g->cli, OPT_RESUME);
    g->jsonl = dot && !strcmp(dot, ".jsonl");
    if (!g->jsonl && !(dot && !strcmp(dot, ".csv")))
        return cli_usage(g->cli, "--log takes a name that ends in .csv or .jsonl"), false;
    g->wrote_header = resumed && access(path, R_OK) == 0;
    g->old_rows = g->wrote_header;
    g->log = fopen(path, g->old_rows ? "r+" : "w");
    if (!g->log) diag_error(g->cli->ctx, 1, (Span){0, 0}, "cannot write '%s': %s", path, strerror(errno));
    return g->log != NULL;
}

/* ---- from the library --------------------------------------------------------------------------------------------------- */

int progress_line(void *arg, const rondo_progress *p) {
    Progress *g = arg;
    bool complete = p->batch == p->batches;
    keep(g, p, complete);
    if (complete && g->log) log_epoch(g, p);
    if (g->tell && p->seconds >= g->next_draw) {
        g->next_draw = p->seconds + 0.1;
        g->tell(g->tell_arg, epochs_done(p) / (p->epochs ? p->epochs : 1));
    }
    if (g->quiet) return stop_signal;
    if (g->terminal && (p->seconds >= g->next_draw || (complete && p->epoch == p->epochs))) {
        draw(g, p);
    } else if (!g->terminal && complete) {
        int every = p->epochs > 20 ? p->epochs / 10 : 1;
        char line[512];
        put_line(line, sizeof line, g, p);
        if (p->epoch == 1 || p->epoch == p->epochs || p->epoch % every == 0) fprintf(stderr, "%s\n", line);
    }
    return stop_signal;
}

void progress_end(Progress *g) {
    if (g->width) fputc('\n', stderr);
    g->width = 0;
}

void progress_note(void *arg, const char *line) {
    Progress *g = arg;
    if (g->quiet) return;
    progress_end(g);
    fprintf(stderr, "%s\n", line);
}
