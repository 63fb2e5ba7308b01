/* rondo opt: passes on printed IR. A tensor graph goes through the passes given, in order; the pass "lower" makes a loop
   program of it. A loop program is parsed, verified and printed. */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

/* A graph's text begins with the word "module", after blanks and comments. */
static bool is_graph(const char *t) {
    for (;;) {
        while (isspace((unsigned char)*t)) t++;
        if (*t != ';' && *t != '#') break;
        while (*t && *t != '\n') t++;
    }
    return !strncmp(t, "module", 6);
}

static bool opt_graph(Cli *c, const Source *source, Str *s) {
    Arena *a = ctx_arena(c->ctx);
    Module *m = module_parse(c->ctx, a, source);
    if (!m || !module_verify(m, "parse")) return false;
    ModelOptions mo;
    if (!cli_model_options(c, &mo)) return false;
    PassOptions o = {.grad = true};
    const char *name;
    for (uint32_t i = 0; (name = cli_nth(c, OPT_PASS, i)); i++) {
        if (strcmp(name, "lower")) {
            if (!passes_run_named(m, name, &o, NULL)) return false;
            continue;
        }
        HostInfo h = host_info();
        bool f64 = mo.exec.f64;
        LowerOptions lo = {.f64 = f64,
                           .V = mo.exec.V ? mo.exec.V : f64 ? h.lanes_f64 : h.lanes_f32,
                           .registers = mo.exec.registers ? mo.exec.registers : h.registers,
                           .math = mo.exec.math,
                           .place = mo.exec.place,
                           .batch = mo.exec.batch,
                           .steps = mo.exec.steps};
        LProgram *p = lower_module(c->ctx, a, m, &lo, NULL);
        if (!p || !lprogram_verify(p, "lower")) return false;
        lprogram_print(s, p);
        return true;
    }
    if (cli_has(c, OPT_DOT))
        module_dot(s, m);
    else
        module_print(s, m);
    return true;
}

CliExit cmd_opt(Cli *c) {
    const Source *source = source_read(c->ctx, c->arg[0]);
    if (!source) return CLI_INPUT;
    Str s = str_make(ctx_arena(c->ctx));
    c->usage[0] = 0;
    bool ok;
    if (is_graph(source->text)) {
        ok = opt_graph(c, source, &s);
    } else {
        if (cli_has(c, OPT_PASS)) return cli_usage(c, "graph passes need a tensor graph; %.80s is none", c->arg[0]);
        LProgram *p = lprogram_parse(c->ctx, ctx_arena(c->ctx), source);
        ok = p && lprogram_verify(p, "parse");
        if (ok) lprogram_print(&s, p);
    }
    if (!ok) return c->usage[0] ? CLI_USAGE : CLI_INPUT;
    return cli_write(c, cli_get(c, OPT_OUT), s.at, s.n) ? CLI_OK : CLI_INPUT;
}
