/* rondo: the command. The table of commands, the reading of the command line, help, and the printing of what went wrong. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name, *arg, *help;
    int letter;
} OptInfo;
static const OptInfo opt_info[OPT_COUNT] = {
#define OPT(ID, name, letter, arg, help) {name, arg, help, letter},
#include "cli/options.def"
#undef OPT
};

#define O(ID) OPT_##ID
#define OPTIONS(...) (const Opt[]){__VA_ARGS__, OPT_HELP} /* --help is of every command and ends its list */
#define NO_OPTIONS (const Opt[]){OPT_HELP}
/* groups of options that go together */
enum { LONG_BASE = 1000 };
#define O_MODEL O(MODEL), O(SET)
#define O_PASSES O(PRINT_AFTER), O(STOP_AFTER), O(DISABLE_PASS), O(TIME_PASSES), O(PLACE)
#define O_ENGINE O(ENGINE), O(MEMORY), O(DTYPE), O(MATH), O(THREADS), O(SEED), O_PASSES
#define O_FILES O(DATA), O(WEIGHTS), O(RENAME)

static const Command command[] = {
    {"new", "forecast|classify|classify-sequences|regress|tagging|language-model|sound|cell NAME", "write a commented model that trains at once, with data or on the file of --data; -o takes the folder", cmd_new,
     2, 2, OPTIONS(O(OUT), O(DATA))},
    {"list", "", "what the standard library holds", cmd_list, 0, 0, NO_OPTIONS},
    {"doc", "NAME", "a declaration of the standard library: its text, where it is from, what it learns", cmd_doc, 1, 1, NO_OPTIONS},
    {"check", "M.rondo", "parse and check a model; print parameters, states and shapes", cmd_check, 1, 1, OPTIONS(O_MODEL, O(JSON))},
    {"fmt", "M.rondo..", "format files in place", cmd_fmt, 1, 1 << 20, OPTIONS(O(CHECK))},
    {"train", "M.rondo", "train a model; -o takes the weights", cmd_train, 1, 1,
     OPTIONS(O_MODEL, O_FILES, O(OUT), O_ENGINE, O(AUTOTUNE), O(GRADIENT), O(LOG), O(CHECKPOINT), O(RESUME), O(SEEDS), O(FOLDS), O(JOBS), O(JSON), O(QUIET))},
    {"tune", "M.rondo -s 'H={8, 16}'", "train with many settings, rank them by what validates; -o takes the runs, from which it goes on", cmd_tune, 1, 1,
     OPTIONS(O_MODEL, O_FILES, O(OUT), O_ENGINE, O(GRADIENT), O(METHOD), O(TRIALS), O(JOBS), O(QUIET))},
    {"eval", "M.rondo -w W", "loss and metrics on the test part of the data, or on all rows of --data", cmd_eval, 1, 1,
     OPTIONS(O_MODEL, O_FILES, O_ENGINE, O(JSON))},
    {"predict", "M.rondo -w W", "outputs as CSV", cmd_predict, 1, 1, OPTIONS(O_MODEL, O_FILES, O_ENGINE, O(OUT), O(FUTURE))},
    {"plot", "learning LOG.. | tune LOG | forecast|scatter|confusion|roc|attention M.rondo -w W", "a picture, SVG or PNG, by gnuplot", cmd_plot, 2, 1 << 20,
     OPTIONS(O_MODEL, O_FILES, O_ENGINE, O(OUT), O(FUTURE), O(PROMPT), O(EXAMPLE))},
    {"generate", "M.rondo -w W", "text from a language model, as it comes", cmd_generate, 1, 1,
     OPTIONS(O_MODEL, O(WEIGHTS), O(RENAME), O_ENGINE, O(PROMPT), O(PROMPTS), O(LENGTH), O(TEMPERATURE), O(TOP_K), O(TOP_P), O(BEAM))},
    {"run", "M.rondo --in X.npz|--trace", "arrays in, arrays out; or one example, step by step", cmd_run, 1, 1,
     OPTIONS(O_MODEL, O(WEIGHTS), O(RENAME), O_ENGINE, O(IN), O(OUT_ARRAYS), O(GRAD), O(GRADIENT), O(JVP), O(COMPARE), O(TRACE), O(DATA), O(EXAMPLE), O(UNROLL))},
    {"gradcheck", "M.rondo", "every gradient against central differences in f64; exit 1 past 1e-6", cmd_gradcheck, 1, 1,
     OPTIONS(O_MODEL, O(ENGINE), O(MEMORY), O(SEED), O(BATCH), O(STEPS), O(GRADIENT), O(ALL), O_PASSES)},
    {"emit", "c|obj|so|asm|llvm M.rondo -o DIR", "write code", cmd_emit, 2, 2,
     OPTIONS(O_MODEL, O(WEIGHTS), O(RENAME), O(TARGET), O(CPU), O(OUT), O(DTYPE), O(MATH), O(DATA), O(TEST), O(TRAIN), O(GRADIENT), O(LAYOUT), O(SIMD),
         O(FREESTANDING), O(WINDOW), O(RAGGED), O_PASSES)},
    {"import", "onnx|keras|torch FILE -o DIR", "write M.rondo and its weights from a model of another program", cmd_import, 2, 2,
     OPTIONS(O(OUT), O(NAME), O(VECTORS), O(WEIGHTS))},
    {"ir", "M.rondo", "print what the compiler thinks", cmd_ir, 1, 1,
     OPTIONS(O_MODEL, O(STAGE), O(AFTER), O(DOT), O(GRAD), O(GRADIENT), O(UNROLL), O(STEPS), O(BATCH), O(MEMORY), O(DTYPE), O(MATH), O(LANES), O(OUT),
         O_PASSES)},
    {"opt", "X.ir --pass NAME", "run passes on a printed graph or loop program", cmd_opt, 1, 1,
     OPTIONS(O(PASS), O(OUT), O(DOT), O(PLACE), O(MEMORY), O(DTYPE), O(MATH), O(LANES), O(BATCH), O(STEPS))},
    {"explain", "M.rondo", "what the compiler did and why", cmd_explain, 1, 1,
     OPTIONS(O_MODEL, O(BATCH), O(STEPS), O(THREADS), O(MEMORY), O(DTYPE), O(MATH), O(LANES), O(JSON), O(MODE), O(GRADIENT), O_PASSES)},
    {"bench", "M.rondo --batch B --steps T", "time of a call, share of the machine's FMA peak", cmd_bench, 1, 1,
     OPTIONS(O_MODEL, O(BATCH), O(STEPS), O(MODE), O(TIME), O(GRADIENT), O_ENGINE, O(AUTOTUNE), O(LANES), O(PROFILE), O(JSON))},
};
enum { COMMANDS = sizeof command / sizeof *command };

static void print_help(FILE *out) {
    fputs("Rondo compiles recurrent neural networks.\n\nusage: rondo COMMAND [options] FILE\n\n", out);
    for (int i = 0; i < COMMANDS; i++) fprintf(out, "  %-10s %s\n", command[i].name, command[i].summary);
    fputs("  help       about a command (rondo help train) or an error (rondo help E0123)\n\n"
          "`rondo COMMAND --help` lists a command's options. Exit codes: 0 good, 1 bad input, 2 wrong usage, 3 internal.\n", out);
}

static bool takes(const Command *c, int option) {
    const Opt *o = c->options;
    while (*o != OPT_HELP && (int)*o != option) o++;
    return (int)*o == option;
}

static void print_command_help(const Command *c) {
    printf("usage: rondo %s%s%s [options]\n\n%s.\n\n", c->name, *c->args ? " " : "", c->args, c->summary);
    for (int i = 0; i < OPT_COUNT; i++) {
        if (!takes(c, i)) continue;
        char left[64];
        const OptInfo *o = &opt_info[i];
        if (o->letter)
            snprintf(left, sizeof left, "-%c, --%s%s%s", o->letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        else
            snprintf(left, sizeof left, "    --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

static const Command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(command[i].name, name)) return &command[i];
    return NULL;
}

const char *cli_option_name(Opt o) { return opt_info[o].name; }

static int wrong_command(const char *what, const char *name) {
    const char *known[COMMANDS + 1];
    for (int i = 0; i < COMMANDS; i++) known[i] = command[i].name;
    known[COMMANDS] = "help";
    const char *near = nearest_name(name, known, COMMANDS + 1);
    fprintf(stderr, "rondo: there is no %s '%s'", what, name);
    if (near) fprintf(stderr, "; did you mean '%s'?", near);
    fputs("\n`rondo --help` lists the commands.\n", stderr);
    return CLI_USAGE;
}

/* A paragraph in lines of at most 100 columns. */
static void print_wrapped(const char *text) {
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (column && column + 1 + n > 100) {
            putchar('\n');
            column = 0;
        }
        if (column) column += (size_t)printf(" ");
        column += fwrite(text, 1, n, stdout);
        text += n;
        if (*text == '\n') {
            putchar('\n');
            column = 0;
        }
        if (*text) text++;
    }
    putchar('\n');
}

static int help(int argc, char **argv) {
    if (argc < 3) {
        print_help(stdout);
        return CLI_OK;
    }
    const char *what = argv[2];
    const Command *c = find_command(what);
    if (c) {
        print_command_help(c);
        return CLI_OK;
    }
    char *end;
    const char *digits = *what == 'E' || *what == 'e' ? what + 1 : what;
    unsigned long code = strtoul(digits, &end, 10);
    const char *summary, *explanation;
    if (end == digits || *end) return wrong_command("command", what);
    if (code > 9999 || !error_explain((uint16_t)code, &summary, &explanation)) {
        fprintf(stderr, "rondo: there is no error %s\n", what);
        return CLI_USAGE;
    }
    printf("E%04lu: %s\n\n", code, summary);
    print_wrapped(explanation);
    return CLI_OK;
}

/* getopt_long over the options of the command. False: c->usage says why. */
static bool read_options(Cli *c, int argc, char **argv, bool *asked_help) {
    struct option lng[OPT_COUNT + 1];
    char shorts[2 * OPT_COUNT + 2];
    size_t nlong = 0, nshort = 0;
    shorts[nshort++] = ':';
    for (int i = 0; i < OPT_COUNT; i++) {
        if (!takes(c->command, i)) continue;
        const OptInfo *o = &opt_info[i];
        lng[nlong++] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL, LONG_BASE + i};
        if (o->letter) shorts[nshort++] = (char)o->letter;
        if (o->letter && o->arg) shorts[nshort++] = ':';
    }
    lng[nlong] = (struct option){NULL, 0, NULL, 0};
    shorts[nshort] = 0;
    opterr = 0;
    for (int k; (k = getopt_long(argc, argv, shorts, lng, NULL)) != -1;) {
        const char *given = argv[optind - 1];
        if (k == '?' && optopt && optopt < LONG_BASE) return cli_usage(c, "unknown option -%c", optopt), false;
        KeyBlock block;
        if (k == '?' && takes(c->command, OPT_SET) && given[0] && given[1] == '-' && settings_is_key(given + 2, &block))
            return cli_usage(c, "unknown option %.80s; a key of the %s block is set by --set %.*s=..", given, block == KEYS_DATA ? "data" : "train",
                             (int)strcspn(given + 2, "="), given + 2), false;
        if (k == '?') {
            const char *known[OPT_COUNT];
            for (size_t i = 0; i < nlong; i++) known[i] = lng[i].name;
            const char *near = nearest_name(given + strspn(given, "-"), known, nlong);
            if (near) return cli_usage(c, "unknown option %.80s; did you mean --%s?", given, near), false;
            return cli_usage(c, "unknown option %.80s", given), false;
        }
        if (k == ':') return cli_usage(c, "option %.80s needs a value", given), false;
        for (int i = 0; i < OPT_COUNT && k < LONG_BASE; i++)
            if (opt_info[i].letter == k) k = LONG_BASE + i;
        Opt o = (Opt)(k - LONG_BASE);
        if (o == OPT_HELP) *asked_help = true;
        VEC_PUSH(ctx_arena(c->ctx), c->use) = (OptUse){o, optarg ? optarg : ""};
    }
    c->arg = argv + optind;
    c->narg = argc - optind;
    if (*asked_help) return true;
    if (c->narg < c->command->min_args) return cli_usage(c, "what to work on is missing: %s", c->command->args), false;
    if (c->narg > c->command->max_args) return cli_usage(c, "one argument too many: '%.80s'", c->arg[c->command->max_args]), false;
    return true;
}

/* Where a model is read: its name without the ending, or the data in its place. */
static void help_with_model(Cli *c) {
    static const char *const data[] = {".csv", ".tsv", ".txt", ".jsonl", ".json", ".ts", ".npz", ".wav"};
    if (strncmp(c->command->args, "M.rondo", 7) != 0 || !c->narg || diag_error_count(c->ctx) != 1) return;
    const char *path = c->arg[0], *dot = strrchr(path, '.'), *model = arena_printf(ctx_arena(c->ctx), "%s.rondo", path);
    uint16_t code = diag_at(c->ctx, 0)->code;
    if (code == 1 && access(path, F_OK) != 0 && access(model, F_OK) == 0) diag_help(c->ctx, (Span){0, 0}, "there is %s", model);
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        if (dot && !strcmp(dot, data[i]) && code >= 100 && code < 200)
            diag_help(c->ctx, (Span){0, 0}, "a model file is needed: `rondo new KIND NAME --data %s` writes one, where KIND is forecast, classify or another of `rondo new --help`", path);
}

static void print_diagnostics(Ctx *ctx) {
    if (diag_count(ctx) == 0) return;
    Str s = str_make(ctx_arena(ctx));
    const char *term = getenv("TERM");
    bool color = isatty(STDERR_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb");
    diag_render(ctx, &s, color);
    fwrite(s.at, 1, s.n, stderr);
}

static int run_command(Cli *c, int argc, char **argv) {
    bool asked_help = false;
    CliExit rc = CLI_USAGE;
    if (read_options(c, argc, argv, &asked_help)) {
        if (asked_help) {
            print_command_help(c->command);
            return CLI_OK;
        }
        rc = c->command->run(c);
    }
    if (rc == CLI_USAGE) {
        fprintf(stderr, "rondo %s: %s\n`rondo %s --help` says more.\n", c->command->name, c->usage, c->command->name);
        return rc;
    }
    if (c->trace.n) fwrite(c->trace.at, 1, c->trace.n, stderr);
    if (c->times.n) fwrite(c->times.at, 1, c->times.n, stderr);
    help_with_model(c);
    print_diagnostics(c->ctx);
    CliExit asked = cli_status(c);
    return asked > rc ? asked : rc;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_help(stdout);
        return CLI_OK;
    }
    if (!strcmp(argv[1], "help")) return help(argc, argv);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
        puts("rondo " RONDO_VERSION);
        return CLI_OK;
    }
    const Command *cmd = find_command(argv[1]);
    if (!cmd) return wrong_command(argv[1][0] == '-' ? "option" : "command", argv[1]);
    Ctx *ctx = ctx_make(NULL);
    if (!ctx) {
        fputs("rondo: out of memory\n", stderr);
        return CLI_INTERNAL;
    }
    Cli cli = {.ctx = ctx, .command = cmd, .trace = str_make(ctx_arena(ctx)), .times = str_make(ctx_arena(ctx))};
    CtxFrame frame;
    int rc = CLI_INTERNAL;
    if (CTX_TRY(ctx, &frame)) {
        rc = run_command(&cli, argc - 1, argv + 1);
        CTX_END(ctx);
    } else {
        fputs("rondo: out of memory\n", stderr);
        rc = CLI_INTERNAL;
    }
    ctx_destroy(ctx);
    return rc;
}

/* A file that is opened must not get the place of an output that the caller closed: what is printed would go into it. Nothing can be
   written to these, and that is an error as it was. */
static void hold_places(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) return;
}

/* What was printed has to arrive: a full disk is no success. */
int main(int argc, char **argv) {
    hold_places();
    signal(SIGXFSZ, SIG_IGN); /* a file past the limit of the shell is an error of the write, as on a full disk */
    int rc = run(argc, argv);
    bool lost = fflush(stdout) != 0;
    lost = ferror(stdout) || lost;
    if (!lost || rc != CLI_OK) return rc;
    fprintf(stderr, "rondo: cannot write to standard output: %s\n", strerror(errno));
    return CLI_INPUT;
}
