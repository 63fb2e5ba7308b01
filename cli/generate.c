/* rondo generate: text from a language model, written as it comes. */
#include "cli/cli.h"
#include "runtime/text.h"

#include <errno.h>
#include <string.h>

static int on_text(void *arg, const char *text, size_t n) {
    bool *failed = arg;
    *failed = fwrite(text, 1, n, stdout) != n || fflush(stdout) != 0;
    return *failed;
}

typedef struct {
    Cli *c;
    Model *m;
    rondo_generate_options o;
    bool failed; /* the output cannot be written */
} Task;

/* The text that goes on from a prompt, and a line's end. */
static CliExit one(Task *t, const char *prompt) {
    t->o.prompt = prompt;
    CliExit rc = cli_result(t->c, t->m, rondo_generate(t->m, &t->o));
    if (rc == CLI_OK && !t->failed) on_text(&t->failed, "\n", 1);
    if (t->failed) diag_error(t->c->ctx, 1, NOWHERE, "cannot write to standard output: %s", strerror(errno));
    return t->failed ? CLI_INPUT : rc;
}

/* A prompt in each line: what --prompt would write of it, with the same seed. */
static CliExit each_line(Task *t, const char *path) {
    Arena *a = ctx_arena(t->c->ctx);
    char *text;
    size_t n;
    CliExit rc = CLI_OK;
    if (!text_whole(t->c->ctx, a, path, UNIT_WORDS, &text, &n)) return CLI_INPUT;
    if (!n) {
        diag_error(t->c->ctx, 554, NOWHERE, "%s is empty", path);
        return CLI_INPUT;
    }
    int line = 1;
    for (const char *at = text, *end = text + n; at < end && rc == CLI_OK; line++) {
        size_t size = strcspn(at, "\n"), prompt = size && at[size - 1] == '\r' ? size - 1 : size;
        rc = one(t, arena_strndup(a, at, prompt));
        if (rc != CLI_OK && !t->failed) diag_note(t->c->ctx, NOWHERE, "the prompt is line %d of %s", line, path);
        at += size + 1;
    }
    return rc;
}

CliExit cmd_generate(Cli *c) {
    CliExit rc;
    int64_t seed = 0;
    Task t = {.c = c, .o = RONDO_GENERATE_OPTIONS_INIT};
    rondo_generate_options *o = &t.o;
    const char *prompts = cli_get(c, OPT_PROMPTS);
    if (!cli_int(c, OPT_LENGTH, 1, INT64_MAX, &o->length) || !cli_int(c, OPT_TOP_K, 1, INT32_MAX, &o->top_k) ||
        !cli_int(c, OPT_SEED, 0, INT64_MAX, &seed) || !cli_int(c, OPT_BEAM, 1, 1000, &o->beam) || !cli_number(c, OPT_TEMPERATURE, 0, 1e6, &o->temperature) ||
        !cli_number(c, OPT_TOP_P, 1e-12, 1, &o->top_p))
        return CLI_USAGE;
    if (prompts && cli_has(c, OPT_PROMPT)) return cli_usage(c, "either --prompt or --prompts: one text, or a file of them");
    o->seed = (uint64_t)seed;
    o->write = on_text;
    o->write_arg = &t.failed;
    t.m = cli_model(c, c->arg[0], &rc);
    if (!t.m) return rc;
    if (cli_weights(c, t.m, true, &rc)) rc = prompts ? each_line(&t, prompts) : one(&t, cli_get(c, OPT_PROMPT));
    model_close(t.m);
    return rc;
}
