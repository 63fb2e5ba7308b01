/* rondo opt: passes on printed IR, in the order given. A tensor graph goes through graph passes, and by lower_loops becomes a
   loop program; a loop program goes through plan_memory. What comes out is printed. */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

/* A graph's text begins with the word "module", after blanks and comments. */
static bool is_graph(const char *t) {
    for (;;) {
        while (isspace((unsigned char)*t)) t++;
        if (*t != ';' && *t != '/') break;
        while (*t && *t != '\n') t++;
    }
    return !strncmp(t, "module", 6);
}

static bool run_passes(Cli *c, Module *m, LProgram *p, Str *s) {
    ModelOptions mo;
    if (!cli_model_options(c, &mo)) return false;
    LowerOptions lower = {0};
    PassOptions o = {.grad = true, .lower = &lower};
    const char *name;
    bool read = m && m->cut.n; /* what is pinned in a text could be anything */
    for (uint32_t i = 0; (name = cli_nth(c, OPT_PASS, i)); i++) {
        if (read && strcmp(name, "remat") != 0) {
            diag_error(c->ctx, 724, (Span){0, 0}, "pass '%s' takes a graph in segments from remat, not from a text", name);
            return false;
        }
        if (m) lower = exec_lower_options(&mo.exec, m), lower.one_row = mo.exec.batch == 1;
        if (!passes_run_on(m, &p, name, &o, NULL)) return false;
    }
    if (p)
        lprogram_print(s, p);
    else if (cli_has(c, OPT_DOT))
        module_dot(s, m);
    else
        module_print(s, m);
    return true;
}

static bool opt_graph(Cli *c, const Source *source, Str *s) {
    Module *m = module_parse(c->ctx, ctx_arena(c->ctx), source);
    return m && module_verify(m, "parse") && run_passes(c, m, NULL, s);
}

static bool opt_loops(Cli *c, const Source *source, Str *s) {
    LProgram *p = lprogram_parse(c->ctx, ctx_arena(c->ctx), source);
    return p && lprogram_verify(p, "parse") && run_passes(c, NULL, p, s);
}

CliExit cmd_opt(Cli *c) {
    const Source *source = source_read(c->ctx, c->arg[0]);
    if (!source) return CLI_INPUT;
    Str s = str_make(ctx_arena(c->ctx));
    c->usage[0] = 0;
    bool ok = is_graph(source->text) ? opt_graph(c, source, &s) : opt_loops(c, source, &s);
    if (!ok) return c->usage[0] ? CLI_USAGE : CLI_INPUT;
    return cli_write(c, cli_get(c, OPT_OUT), s.at, s.n) ? CLI_OK : CLI_INPUT;
}
