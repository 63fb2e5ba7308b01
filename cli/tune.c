/* rondo tune: trains with many values of settings and ranks them by what validates. Every finished run is a line of a file, from which a
   broken search goes on.

   Halving (Jamieson, Talwalkar 2016, successive halving): all trials train for a part of the epochs, the better half of them goes on
   for twice as long, and so forth. A trial goes on from its checkpoint, to the bits of one run. */
#include "cli/tune.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/train.h"

typedef enum { TUNE_GRID, TUNE_RANDOM, TUNE_HALVING } Method;
static const char *const methods[] = {"grid", "random", "halving", NULL};

typedef struct {
    const char **value, **set;
    double best, seconds;  /* best: of what is watched; NaN: not run yet, or diverged */
    int64_t epochs, asked; /* done; the most it was to do so far */
    bool ended;            /* by itself: there is nothing to go on with */
} Trial;

typedef struct {
    Cli *c;
    Space space;
    int method; /* Method */
    int64_t trials, seed, epochs, at_once;
    double sign; /* 1: less is better */
    const char *path, *watched, *text; /* text: a digest of the model's file */
    FILE *log; /* NULL: there is no line of it yet */
    Trial *trial;
    uint32_t *order; /* trials by rank */
    size_t whole; /* bytes of the lines that an earlier search left */
    /* the present round */
    uint32_t *run; /* job i is trial run[i] */
    int64_t budget;
    bool failed;
} Tune;

/* ---- the file ----------------------------------------------------------------------------------------------------------- */

static json_t *texts(const char *const *text, uint32_t n) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) json_array_append_new(list, json_string(text[i]));
    return list;
}

/* What all trials share and their numbers depend on. */
static json_t *shared_of(const Tune *t) {
    static const Opt telling[] = {OPT_SET, OPT_MODEL, OPT_DATA, OPT_WEIGHTS, OPT_RENAME, OPT_GRADIENT, OPT_DTYPE, OPT_MATH};
    json_t *list = json_array();
    for (uint32_t i = 0; i < t->c->use.n; i++)
        for (size_t k = 0; k < sizeof telling / sizeof *telling; k++)
            if (t->c->use.at[i].opt == telling[k]) json_array_append_new(list, json_string(t->c->use.at[i].value));
    return list;
}

/* What the search is of; the lines after it fit no other. */
static json_t *head_of(const Tune *t) {
    json_t *axes = json_array(), *logs = json_array();
    for (uint32_t i = 0; i < t->space.axis.n; i++) {
        json_array_append_new(axes, json_string(t->space.axis.at[i].name));
        json_array_append_new(logs, json_boolean(t->space.axis.at[i].log));
    }
    json_t *head = json_object();
    json_object_set_new(head, "tune", json_string(t->c->arg[0]));
    json_object_set_new(head, "method", json_string(methods[t->method]));
    json_object_set_new(head, "model", json_string(t->text));
    json_object_set_new(head, "shared", shared_of(t));
    json_object_set_new(head, "set", texts(t->space.text.at, t->space.text.n));
    json_object_set_new(head, "seed", json_integer(t->seed));
    json_object_set_new(head, "epochs", json_integer(t->epochs));
    if (t->method == TUNE_HALVING) json_object_set_new(head, "trials", json_integer(t->trials));
    json_object_set_new(head, "watched", json_string(t->watched));
    json_object_set_new(head, "axes", axes);
    json_object_set_new(head, "log", logs);
    return head;
}

static bool put_object(Tune *t, json_t *o) {
    char *text = json_dumps(o, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    bool ok = text && t->log && fprintf(t->log, "%s\n", text) > 0 && fflush(t->log) == 0 && fsync(fileno(t->log)) == 0;
    free(text);
    json_decref(o);
    if (!ok) diag_error(t->c->ctx, 1, (Span){0, 0}, "cannot write '%s': %s", t->path, strerror(errno));
    return ok;
}

static void take_line(Tune *t, json_t *o) {
    int64_t k = json_integer_value(json_object_get(o, "trial")), asked = json_integer_value(json_object_get(o, "asked"));
    json_t *value = json_object_get(o, "value");
    if (k < 0 || k >= t->trials || asked <= t->trial[k].asked) return;
    t->trial[k].asked = asked;
    t->trial[k].epochs = json_integer_value(json_object_get(o, "epochs"));
    t->trial[k].seconds = json_number_value(json_object_get(o, "seconds"));
    t->trial[k].best = json_is_number(value) ? json_number_value(value) : NAN;
    t->trial[k].ended = json_is_true(json_object_get(o, "ended"));
    if (json_is_number(json_object_get(o, "sign"))) t->sign = json_number_value(json_object_get(o, "sign"));
}

/* Reads what an earlier search left; a last line without its end was being written when that one was ended. *whole: bytes. */
static bool read_earlier(Tune *t, size_t *whole) {
    char *text;
    size_t n;
    Ctx *ctx = t->c->ctx;
    json_t *head = head_of(t);
    bool first = true, ok = true;
    *whole = 0;
    if (!file_read(ctx, ctx_arena(ctx), t->path, &text, &n)) ok = false;
    for (const char *p = text, *e; ok && (e = strchr(p, '\n')); p = e + 1) {
        json_error_t err;
        json_t *o = json_loadb(p, (size_t)(e - p), 0, &err);
        if (!o) {
            diag_error(ctx, 622, (Span){0, 0}, "%s is not what `rondo tune` writes, from which it would go on", t->path);
            diag_help(ctx, (Span){0, 0}, "-o takes another file");
        } else if (first && !json_equal(o, head)) {
            diag_error(ctx, 561, (Span){0, 0}, "%s is of another search: another model, other settings, method or seed", t->path);
            diag_help(ctx, (Span){0, 0}, "-o takes another file for this one");
        }
        ok = o && diag_error_count(ctx) == 0;
        if (ok && !first) take_line(t, o);
        json_decref(o);
        first = false;
        *whole = (size_t)(e - text) + 1;
    }
    json_decref(head);
    return ok;
}

/* What is there must be a file, through links perhaps: a device may have no end. */
static bool read_log(Tune *t) {
    Ctx *ctx = t->c->ctx;
    if (!can_write(t->c, t->path)) return false;
    const char *real = file_real(ctx_arena(ctx), t->path);
    if (!real) return true;
    if (file_is_plain(real)) return read_earlier(t, &t->whole);
    diag_error(ctx, 1, (Span){0, 0}, "%s is no file: a search keeps its trials in one, to go on from", t->path);
    return false;
}

/* The line of a trial; the first of all follows the head of a new file, so that a search that cannot begin leaves none. */
static bool put_trial(Tune *t, json_t *line) {
    if (!t->log) {
        t->log = fopen(t->path, t->whole ? "r+" : "w");
        if (t->log && t->whole && (ftruncate(fileno(t->log), (off_t)t->whole) != 0 || fseek(t->log, 0, SEEK_END) != 0)) {
            fclose(t->log);
            t->log = NULL;
        }
        if (t->log && !t->whole && !put_object(t, head_of(t))) return json_decref(line), false;
    }
    return put_object(t, line);
}

/* ---- runs --------------------------------------------------------------------------------------------------------------- */

static bool on_done(void *arg, uint32_t i, const Outcome *o) {
    Tune *t = arg;
    uint32_t k = t->run[i];
    Trial *x = &t->trial[k];
    if (o->rc != CLI_OK && !o->diverged) {
        fprintf(stderr, "trial %u: %s", k, o->said);
        t->failed = true;
        return false;
    }
    x->best = o->rc == CLI_OK ? o->best : NAN;
    x->epochs = o->epochs;
    x->asked = t->budget;
    x->seconds += o->seconds;
    x->ended = !o->stopped;
    if (o->rc == CLI_OK) t->sign = o->sign;
    json_t *line = json_object();
    json_object_set_new(line, "trial", json_integer(k));
    json_object_set_new(line, "asked", json_integer(t->budget));
    json_object_set_new(line, "epochs", json_integer(x->epochs));
    json_object_set_new(line, "value", isfinite(x->best) ? json_real(x->best) : json_null());
    json_object_set_new(line, "sign", json_real(t->sign));
    json_object_set_new(line, "ended", json_boolean(x->ended));
    json_object_set_new(line, "seconds", json_real(x->seconds));
    json_object_set_new(line, "values", texts(x->value, t->space.axis.n));
    if (!put_trial(t, line)) return false;
    if (!cli_has(t->c, OPT_QUIET)) {
        fprintf(stderr, "trial %u: %s %.5g after %d epochs", k, t->watched, x->best, o->epochs);
        for (uint32_t a = 0; a < t->space.axis.n; a++) fprintf(stderr, "  %s = %s", t->space.axis.at[a].name, x->value[a]);
        fputc('\n', stderr);
    }
    return true;
}

static const char *state_of(const Tune *t, uint32_t k) { return arena_printf(ctx_arena(t->c->ctx), "%s.%u.state", t->path, k); }

/* Trains those of trial[which[0 .. n)] that have not done so many epochs yet. */
static bool train_round(Tune *t, const uint32_t *which, uint32_t n, int64_t budget) {
    Arena *a = ctx_arena(t->c->ctx);
    Job *job = NEW_N(a, Job, n + 1);
    Outcome *out = NEW_N(a, Outcome, n + 1);
    uint32_t jobs = 0;
    t->run = NEW_N(a, uint32_t, n + 1);
    t->budget = budget;
    for (uint32_t i = 0; i < n; i++) {
        Trial *x = &t->trial[which[i]];
        if (x->ended || x->asked >= budget) continue;
        const char *state = t->method == TUNE_HALVING ? state_of(t, which[i]) : NULL;
        t->run[jobs] = which[i];
        job[jobs++] = (Job){.name = arena_printf(a, "trial %u", which[i]),
                            .set = x->set,
                            .nset = t->space.form.n,
                            .search = true,
                            .stop_after = budget < t->epochs ? budget : 0,
                            .checkpoint = state,
                            .resume = state && access(state, R_OK) == 0 ? state : NULL};
    }
    return !jobs || (jobs_run(t->c, job, jobs, t->at_once, on_done, t, out) && !t->failed);
}

static Tune *sorted;
static int by_value(const void *a, const void *b) {
    const Trial *x = &sorted->trial[*(const uint32_t *)a], *y = &sorted->trial[*(const uint32_t *)b];
    if (x->epochs != y->epochs && sorted->method == TUNE_HALVING && x->asked != y->asked) return x->asked > y->asked ? -1 : 1;
    if (isfinite(x->best) != isfinite(y->best)) return isfinite(x->best) ? -1 : 1;
    if (isfinite(x->best) && x->best != y->best) return (x->best - y->best) * sorted->sign < 0 ? -1 : 1;
    return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : 1;
}

static void rank(Tune *t, uint32_t n) {
    sorted = t;
    qsort(t->order, n, sizeof *t->order, by_value);
}

static bool search(Tune *t) {
    uint32_t n = (uint32_t)t->trials, rounds = 1;
    if (t->method != TUNE_HALVING) return train_round(t, t->order, n, t->epochs);
    for (uint32_t k = n; k > 1; k = (k + 1) / 2) rounds++;
    for (uint32_t k = 0; k < rounds; k++, n = (n + 1) / 2) {
        int64_t budget = t->epochs >> (rounds - 1 - k);
        if (!train_round(t, t->order, n, budget > 0 ? budget : 1)) return false;
        rank(t, n);
    }
    for (uint32_t k = 0; k < t->trials; k++) remove(state_of(t, k));
    return true;
}

/* ---- words -------------------------------------------------------------------------------------------------------------- */

static void put_table(Tune *t, Str *s) {
    str_printf(s, "%5s %10s %7s %8s", "trial", t->watched, "epochs", "seconds");
    for (uint32_t a = 0; a < t->space.axis.n; a++) str_printf(s, "  %-12s", t->space.axis.at[a].name);
    str_putc(s, '\n');
    for (uint32_t i = 0; i < t->trials; i++) {
        const Trial *x = &t->trial[t->order[i]];
        str_printf(s, "%5u ", t->order[i]);
        if (isfinite(x->best))
            str_printf(s, "%10.5g", x->best);
        else
            str_printf(s, "%10s", "diverged");
        str_printf(s, " %7" PRId64 " %8.2f", x->epochs, x->seconds);
        for (uint32_t a = 0; a < t->space.axis.n; a++) str_printf(s, "  %-12s", x->value[a]);
        while (s->at[s->n - 1] == ' ') s->n--;
        str_putc(s, '\n');
    }
    str_printf(s, "runs in %s; `rondo plot tune %s -o FILE.svg` draws them\nnext: rondo train %s", t->path, t->path,
               t->c->arg[0]);
    const char *data = cli_get(t->c, OPT_DATA), *set;
    if (data) {
        str_put(s, " --data ");
        put_word(s, data);
    }
    if (cli_has(t->c, OPT_SEED)) str_printf(s, " --seed %s", cli_get(t->c, OPT_SEED));
    for (uint32_t i = 0; (set = cli_nth(t->c, OPT_SET, i)); i++) {
        str_put(s, " --set ");
        put_word(s, set);
    }
    for (uint32_t i = 0; i < t->space.form.n; i++) {
        str_put(s, " --set ");
        put_word(s, t->trial[t->order[0]].set[i]);
    }
    str_putc(s, '\n');
}

/* Trial k of a random search: no point of a finite space twice. */
static void draw(Tune *t, int64_t k) {
    const char **value = t->trial[k].value;
    bool finite = isfinite(space_points(&t->space)), again = true;
    for (int64_t turn = 0; again && turn < 1000; turn++) {
        space_draw(&t->space, ctx_arena(t->c->ctx), (uint64_t)t->seed, k + turn * INT64_C(0x100000000), value);
        again = false;
        for (int64_t j = 0; j < k && finite && !again; j++) {
            uint32_t a = 0;
            while (a < t->space.axis.n && !strcmp(t->trial[j].value[a], value[a])) a++;
            again = a == t->space.axis.n;
        }
    }
}

/* The model with `value` for what varies; NULL with a diagnostic. */
static Program *program_with(Tune *t, const ModelOptions *mo, const char *const *value) {
    Arena *a = ctx_arena(t->c->ctx);
    uint32_t n = t->space.form.n;
    const char **set = NEW_N(a, const char *, mo->nset + n + 1);
    if (mo->nset) memcpy(set, mo->set, mo->nset * sizeof *set);
    memcpy(set + mo->nset, space_settings(&t->space, a, value), n * sizeof *set);
    FrontendOptions o = {.std_dir = mo->std_dir, .set = set, .nset = (uint32_t)mo->nset + n, .model = mo->model};
    return frontend_load(t->c->ctx, a, t->c->arg[0], &o);
}

/* Each choice, and both ends of each range, beside what the first trial has of the others: no trial is run before all can be. */
static bool check_values(Tune *t, const ModelOptions *mo) {
    Arena *a = ctx_arena(t->c->ctx);
    const char **value = NEW_N(a, const char *, t->space.axis.n + 1);
    for (uint32_t i = 0; i < t->space.axis.n; i++) {
        const Varied *x = &t->space.axis.at[i];
        memcpy(value, t->trial[0].value, t->space.axis.n * sizeof *value);
        for (uint32_t k = 0; k < (x->choice.n ? x->choice.n : 2); k++) {
            value[i] = x->choice.n ? x->choice.at[k] : arena_printf(a, "%.6g", k ? x->hi : x->lo);
            if (!program_with(t, mo, value)) return false;
        }
    }
    return true;
}

/* The trials, and what all of them share. Their settings are checked here, so that what is wrong is said once. */
static bool prepare(Tune *t, CliExit *rc) {
    Cli *c = t->c;
    Arena *a = ctx_arena(c->ctx);
    ModelOptions mo;
    int64_t grid = space_grid(&t->space);
    *rc = CLI_USAGE;
    if (t->method == TUNE_GRID && grid < 0)
        return cli_usage(c, "a grid is of choices, {8, 16, 32}, and of a million points at most"), false;
    if (t->method == TUNE_GRID && cli_has(c, OPT_TRIALS))
        return cli_usage(c, "--trials is for random and halving: a grid is run as a whole"), false;
    if (t->method == TUNE_GRID || (double)t->trials > space_points(&t->space)) t->trials = (int64_t)space_points(&t->space);
    t->trial = NEW_N(a, Trial, t->trials + 1);
    t->order = NEW_N(a, uint32_t, t->trials + 1);
    for (int64_t k = 0; k < t->trials; k++) {
        Trial *x = &t->trial[k];
        x->value = NEW_N(a, const char *, t->space.axis.n + 1);
        if (t->method == TUNE_GRID)
            space_grid_point(&t->space, k, x->value);
        else
            draw(t, k);
        x->set = space_settings(&t->space, a, x->value);
        x->best = NAN;
        t->order[k] = (uint32_t)k;
    }
    if (!cli_model_options(c, &mo)) return false;
    *rc = CLI_INPUT;
    Program *p = program_with(t, &mo, t->trial[0].value);
    if (!p || !check_values(t, &mo)) return false;
    const ModelDesc *d = frontend_desc(p);
    const Setting *monitor = settings_find(&d->train, intern(c->ctx, "monitor"));
    t->watched = monitor ? name_str(c->ctx, monitor->name) : "valid_loss";
    t->epochs = (int64_t)settings_number(c->ctx, &d->train, KEYS_TRAIN, "epochs");
    char *text;
    size_t n;
    if (!file_read(c->ctx, a, c->arg[0], &text, &n)) return false;
    t->text = arena_printf(a, "%016" PRIx64, hash_bytes(1, text, n));
    if (!t->path) t->path = arena_printf(a, "%s.tune.jsonl", d->name ? name_str(c->ctx, d->name) : "model");
    return true;
}

CliExit cmd_tune(Cli *c) {
    Tune t = {.c = c, .method = TUNE_GRID, .trials = 20, .seed = 1, .sign = 1, .path = cli_get(c, OPT_OUT)};
    CliExit rc = CLI_USAGE;
    if (!space_read(c, &t.space)) return rc;
    if (space_grid(&t.space) < 0) t.method = TUNE_RANDOM;
    if (!cli_choice(c, OPT_METHOD, methods, &t.method) || !cli_int(c, OPT_TRIALS, 1, 100000, &t.trials) ||
        !cli_int(c, OPT_SEED, 0, INT32_MAX, &t.seed) || !cli_int(c, OPT_JOBS, 1, 1024, &t.at_once) || !prepare(&t, &rc))
        return rc;
    bool ok = read_log(&t) && search(&t);
    if (!ok && t.log && signal_caught()) fprintf(stderr, "stopped: runs that ended are in %s; the same command goes on from there\n", t.path);
    if (t.log) fclose(t.log);
    if (!ok && signal_caught()) raise(signal_caught());
    if (!ok) return CLI_INPUT;
    rank(&t, (uint32_t)t.trials);
    if (!isfinite(t.trial[t.order[0]].best)) {
        diag_error(c->ctx, 555, (Span){0, 0}, "every trial diverged");
        return CLI_INPUT;
    }
    Str s = str_make(ctx_arena(c->ctx));
    put_table(&t, &s);
    return cli_write(c, NULL, s.at, s.n) ? CLI_OK : CLI_INPUT;
}
