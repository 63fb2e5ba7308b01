/* A Python rival: bench/peers.py in a process that works only when it is asked to. It finds the problem in a folder, says what it
   is ("ready" with value and norm, or "skip" with the reason), and answers every "run SECONDS" with a line of times in ms. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

const char *const python_peer[] = {"jax-scan", "torch", "ort", "openvino", NULL};

typedef struct {
    char folder[64];
    pid_t child;
    FILE *to, *from;
} Self;

static bool put_array(const char *folder, const char *name, const float *v, int64_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(v, sizeof *v, (size_t)n, f) == (size_t)n;
    return f && fclose(f) == 0 && ok;
}

static bool put_problem(const char *folder, const Problem *p) {
    static const char *const mode[] = {"forward", "train", "step", "compile"};
    char path[256];
    snprintf(path, sizeof path, "%s/problem.json", folder);
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fprintf(f, "{\"model\": \"%s\", \"mode\": \"%s\", \"B\": %lld, \"T\": %lld, \"I\": %lld, \"H\": %lld, \"layers\": %lld, \"threads\": %d, \"weights\": {",
            p->model, mode[p->mode], (long long)p->B, (long long)p->T, (long long)p->I, (long long)p->H, (long long)p->layers, p->threads);
    bool ok = put_array(folder, "x", p->x, p->B * p->T * p->I) && put_array(folder, "y", p->y, p->B * p->T * p->H);
    for (int i = 0; i < p->nweight; i++) {
        const Weight *w = &p->weight[i];
        fprintf(f, "%s\"%s\": [", i ? ", " : "", w->name);
        for (int k = 0; k < w->rank; k++) fprintf(f, "%s%lld", k ? ", " : "", (long long)w->dim[k]);
        fprintf(f, "]");
        ok = ok && put_array(folder, w->name, w->at, w->n);
    }
    fprintf(f, "}}\n");
    return fclose(f) == 0 && ok;
}

/* Closed by exec: else a later child would keep an earlier one's end open. */
static bool private_pipe(int end[2]) {
    return pipe(end) == 0 && fcntl(end[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(end[1], F_SETFD, FD_CLOEXEC) == 0;
}

static bool start(Self *s, const Problem *p, const char *peer) {
    int in[2], out[2];
    char script[640];
    const char *python = getenv("PEERS_PYTHON");
    snprintf(script, sizeof script, "%speers.py", p->folder);
    if (!python) python = "python3";
    if (!private_pipe(in) || !private_pipe(out)) return false;
    s->child = fork();
    if (s->child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execlp(python, python, script, peer, s->folder, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    s->to = fdopen(in[1], "w");
    s->from = fdopen(out[0], "r");
    return s->child > 0 && s->to && s->from;
}

void python_end(void *self) {
    Self *s = self;
    char command[128];
    if (s->to) fclose(s->to);
    if (s->from) fclose(s->from);
    if (s->child > 0) waitpid(s->child, NULL, 0);
    snprintf(command, sizeof command, "rm -rf %s", s->folder);
    if (*s->folder && system(command)) fprintf(stderr, "cannot remove %s\n", s->folder);
    free(s);
}

void *python_make(const char *peer, const Problem *p, Times *t) {
    Self *s = calloc(1, sizeof *s);
    char line[1024] = "";
    snprintf(s->folder, sizeof s->folder, "/tmp/rondo-peer-XXXXXX");
    if (!mkdtemp(s->folder)) s->folder[0] = 0;
    if (*s->folder && put_problem(s->folder, p) && start(s, p, peer) && fgets(line, sizeof line, s->from)) {
        line[strcspn(line, "\n")] = 0;
        int at = 0;
        if (sscanf(line, "ready %lf %lf %n", &t->value, &t->gnorm, &at) >= 2) {
            snprintf(t->note, sizeof t->note, "%.255s", line + at);
            return s;
        }
    }
    if (!strncmp(line, "skip ", 5)) snprintf(t->note, sizeof t->note, "%.255s", line + 5);
    else if (strcmp(line, "pass") != 0) snprintf(t->note, sizeof t->note, "no Python, or it died");
    python_end(s);
    return NULL;
}

bool python_run(void *self, double seconds, Times *t) {
    Self *s = self;
    int n = 0;
    fprintf(s->to, "run %g\n", seconds);
    if (fflush(s->to) || fscanf(s->from, "%d", &n) != 1) return false;
    for (int i = 0; i < n; i++) {
        double ms;
        if (fscanf(s->from, "%lf", &ms) != 1) return false;
        if (t->n < TIMES) t->ms[t->n++] = ms;
    }
    return n > 0;
}
