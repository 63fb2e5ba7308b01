/* c_import: what librondo_clang.so offers: functions of a C header as functions of the language. It is opened only by
   `import c`, so that nobody else loads libclang. */
#ifndef RONDO_FRONTEND_C_IMPORT_H
#define RONDO_FRONTEND_C_IMPORT_H

#include "base/plugin.h"
#include "frontend/ast.h"

typedef VEC(AstDecl *) CDecls;

typedef struct {
    PluginHead head; /* RONDO_CLANG_VERSION */
    /* Appends an AST_FN for every function that the header itself defines; one that cannot be expressed has `refusal` set.
       Places are places in `header`. False with diagnostics (215) when it is no valid C. */
    bool (*read)(Ctx *ctx, Arena *a, const Source *header, CDecls *out);
} ClangPlugin;

enum { RONDO_CLANG_VERSION = 1 };
#define RONDO_CLANG_SYMBOL "rondo_clang_plugin"

/* Reads the functions of a header; `at` is the import. False with diagnostics. */
bool c_import(Ctx *ctx, Arena *a, const Source *header, Span at, CDecls *out);

#endif
