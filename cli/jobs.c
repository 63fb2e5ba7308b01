/* jobs: trainings side by side, each a process: what one does cannot reach another, so the numbers are those of one at a time. All write
   to one pipe, in messages so short that the system keeps them whole. */
#include "cli/train.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    uint32_t job;
    bool over;
    double done; /* 0 to 1 */
    Outcome out;
} Message;
_Static_assert(sizeof(Message) <= 4096, "a message is written at once");

typedef struct {
    Cli *c;
    const Job *job;
    uint32_t n, begun, ended, at_once;
    pid_t *child; /* [n]; 0: not begun, or ended */
    bool *over;   /* [n] its message has come */
    double *part; /* [n] how far each is */
    int in, out;  /* the pipe */
    bool (*done)(void *arg, uint32_t i, const Outcome *o);
    void *arg;
    Outcome *result;
    bool stop;
    int shown; /* columns of the line on the terminal */
} Runner;

/* ---- in the child ------------------------------------------------------------------------------------------------------- */

typedef struct {
    int fd;
    Message m;
} Teller;

static void tell(void *arg, double done) {
    Teller *t = arg;
    t->m.done = done;
    if (write(t->fd, &t->m, sizeof t->m) != (ssize_t)sizeof t->m) _exit(CLI_INTERNAL); /* nobody listens any more */
}

static void child(Runner *r, uint32_t i) {
    Cli *c = r->c;
    const Job *job = &r->job[i];
    Teller t = {.fd = r->out, .m = {.job = i}};
    Progress g = {.cli = c, .quiet = true, .first_done = -1, .tell = tell, .tell_arg = &t};
    TrainTask task = {.weights = job->weights,
                      .log = job->log,
                      .checkpoint = job->checkpoint,
                      .resume = job->resume,
                      .save = job->weights != NULL,
                      .stop_after = job->stop_after,
                      .must_validate = job->search,
                      .summary = !job->search,
                      .progress = &g};
    Model *m = NULL;
    signals_leave();
    signal(SIGPIPE, SIG_DFL);
    for (uint32_t k = 0; k < job->nset; k++) VEC_PUSH(ctx_arena(c->ctx), c->use) = (OptUse){OPT_SET, job->set[k]};
    if (job->seed) VEC_PUSH(ctx_arena(c->ctx), c->use) = (OptUse){OPT_SEED, job->seed};
    take_seed(c);
    *c->usage = 0;
    CliExit rc = train_task(c, &task, &m, &t.m.out), asked = cli_status(c);
    t.m.out.rc = asked > rc ? asked : rc;
    for (uint32_t k = 0; k < diag_count(c->ctx); k++) t.m.out.diverged = t.m.out.diverged || diag_at(c->ctx, k)->code == 555;
    Str s = str_make(ctx_arena(c->ctx));
    str_put(&s, rc == CLI_USAGE ? c->usage : "");
    diag_render(c->ctx, &s, false);
    if (*s.at) {
        snprintf(t.m.out.said, sizeof t.m.out.said, "%s", s.at);
        t.m.out.classes = 0;
    }
    t.m.over = true;
    tell(&t, 1);
    model_close(m);
    _exit(0);
}

/* ---- in the parent ------------------------------------------------------------------------------------------------------ */

static bool begin(Runner *r) {
    uint32_t i = r->begun;
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid < 0) {
        if (r->begun > r->ended) { /* later, when another has ended */
            r->at_once = r->begun - r->ended;
            return true;
        }
        diag_error(r->c->ctx, 553, (Span){0, 0}, "a process cannot be started: %s", strerror(errno));
        return false;
    }
    if (pid == 0) {
        close(r->in);
        child(r, i);
    }
    r->child[i] = pid;
    r->begun++;
    return true;
}

static void show(Runner *r) {
    if (!isatty(STDERR_FILENO) || cli_has(r->c, OPT_QUIET)) return;
    double sum = 0;
    for (uint32_t i = 0; i < r->n; i++) sum += r->part[i];
    char line[512];
    snprintf(line, sizeof line, "%u of %u done, %u under way, %3.0f %%", r->ended, r->n, r->begun - r->ended, 100 * sum / r->n);
    r->shown = draw_over(line, r->shown);
}

static void end(Runner *r, uint32_t i, const Outcome *o) {
    r->over[i] = true;
    r->part[i] = 1;
    r->ended++;
    r->result[i] = *o;
    if (r->shown) fputs("\r\033[K", stderr);
    if (r->done && !r->done(r->arg, i, o)) r->stop = true;
}

static void take(Runner *r) {
    Message m;
    while (read(r->in, &m, sizeof m) == (ssize_t)sizeof m) {
        if (m.over)
            end(r, m.job, &m.out);
        else
            r->part[m.job] = m.done;
    }
}

/* Those that ended without a word. */
static void reap(Runner *r) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        uint32_t i = 0;
        while (i < r->n && r->child[i] != pid) i++;
        take(r);
        if (i == r->n) continue;
        r->child[i] = 0;
        if (r->over[i]) continue;
        Outcome o = {.rc = CLI_INTERNAL};
        if (WIFSIGNALED(status))
            snprintf(o.said, sizeof o.said, "error: the process was ended by signal %d\n", WTERMSIG(status));
        else
            snprintf(o.said, sizeof o.said, "error: the process ended with %d\n", WEXITSTATUS(status));
        end(r, i, &o);
    }
}

/* The first one alone until it computes: the others then find its kernels in the cache. */
static uint32_t allowed(const Runner *r) { return r->begun && !r->ended && r->part[0] == 0 ? 1 : r->at_once; }

static void run(Runner *r) {
    while (!r->stop && !signal_caught() && (r->ended < r->n)) {
        while (r->begun < r->n && r->begun - r->ended < allowed(r))
            if (!begin(r)) return;
        struct pollfd p = {.fd = r->in, .events = POLLIN};
        poll(&p, 1, 100);
        if (signal_caught()) return; /* the jobs had it too: what they say now is not what they were asked for */
        take(r);
        reap(r);
        show(r);
    }
}

/* The cores that this process may use. */
static long cores(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN), allowed_ones = 0;
    FILE *f = fopen("/proc/self/status", "r");
    char line[4096];
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "Cpus_allowed:", 13)) continue;
        for (const char *p = line + 13; *p; p++) {
            char digit[2] = {*p, 0};
            for (long v = strtol(digit, NULL, 16); v; v >>= 1) allowed_ones += v & 1;
        }
    }
    if (f) fclose(f);
    if (allowed_ones && (allowed_ones < n || n < 1)) n = allowed_ones;
    return n < 1 ? 1 : n;
}

bool jobs_run(Cli *c, const Job *job, uint32_t n, int64_t at_once, bool (*done)(void *arg, uint32_t i, const Outcome *o),
              void *arg, Outcome *out) {
    Arena *a = ctx_arena(c->ctx);
    int fd[2];
    int64_t threads = 1;
    if (!cli_int(c, OPT_THREADS, 1, 1024, &threads)) return false;
    if (!at_once) at_once = cores() / threads > 1 ? cores() / threads : 1;
    Runner r = {
        .c = c, .job = job, .n = n, .at_once = (uint32_t)(at_once < n ? at_once : n), .done = done, .arg = arg, .result = out};
    r.child = NEW_N(a, pid_t, n + 1);
    r.over = NEW_N(a, bool, n + 1);
    r.part = NEW_N(a, double, n + 1);
    if (pipe(fd) != 0) {
        diag_error(c->ctx, 553, (Span){0, 0}, "a pipe cannot be made: %s", strerror(errno));
        return false;
    }
    r.in = fd[0];
    r.out = fd[1];
    fcntl(r.in, F_SETFL, O_NONBLOCK);
    signals_catch();
    run(&r);
    for (uint32_t i = 0; i < n; i++)
        if (r.child[i]) kill(r.child[i], SIGKILL); /* what they would have written is written whole or not at all */
    for (uint32_t i = 0; i < n; i++)
        if (r.child[i]) waitpid(r.child[i], NULL, 0);
    signals_leave();
    if (r.shown) fputs("\r\033[K", stderr);
    close(r.in);
    close(r.out);
    return r.ended == n && diag_error_count(c->ctx) == 0;
}

const char *numbered_path(Arena *a, const char *path, const char *what) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    if (!dot) dot = path + strlen(path);
    return arena_printf(a, "%.*s.%s%s", (int)(dot - path), path, what, dot);
}
