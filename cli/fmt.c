/* rondo fmt: the one layout, in place; with --check only says which files are not in it. */
#include "cli/cli.h"
#include "frontend/ast.h"

#include <string.h>

CliExit cmd_fmt(Cli *c) {
    bool check = cli_has(c, OPT_CHECK);
    CliExit rc = CLI_OK;
    for (int i = 0; i < c->narg; i++) {
        const char *path = c->arg[i];
        const Source *source = source_read(c->ctx, path);
        if (!source) continue;
        Arena a = arena_make(c->ctx);
        Str text = str_make(&a);
        AstFile *file = parse_file(c->ctx, &a, source);
        if (file->ok && format_file(c->ctx, &text, file)) {
            bool same = text.n == source->size && !memcmp(text.n ? text.at : "", source->text, text.n);
            if (!same && check) {
                printf("%s is not formatted\n", path);
                rc = CLI_INPUT;
            } else if (!same) {
                file_write(c->ctx, path, text.at, text.n);
            }
        }
        arena_free(&a);
    }
    return rc;
}
