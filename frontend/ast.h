/* ast: what the parser makes of a source file: the whole grammar of docs/language.md, names not yet resolved.
   Nodes live in an arena and are never freed one by one. Every node has a Span in the position space of base.h.
   After an error the tree is partial: statements that did not parse are absent, expressions may be AST_ERROR (say nothing
   about those: the parser has already). Depth is bounded by AST_MAX_DEPTH, so that recursion over a tree is safe. */
#ifndef RONDO_FRONTEND_AST_H
#define RONDO_FRONTEND_AST_H

#include "base/base.h"

enum {
    AST_MAX_NESTING = 200, /* brackets, braces and parentheses inside one another */
    AST_MAX_DEPTH = 1000   /* height of an expression tree, for chains such as a + a + a + ... */
};

typedef struct AstExpr AstExpr;
typedef struct AstStmt AstStmt;
typedef struct AstDecl AstDecl;

/* ---- expressions -------------------------------------------------------------------------------------------------- */

typedef enum {
    AST_ERROR,   /* did not parse; a diagnostic exists */
    AST_NUMBER,  /* number, is_int */
    AST_STRING,  /* name: the text, escapes resolved */
    AST_BOOL,    /* number is 0 or 1 */
    AST_NAME,    /* name; primed for h' (name is then "h") */
    AST_MEMBER,  /* a.name; primed for a.h' */
    AST_BRACKET, /* a[args]: arguments, slice or gather, by what a is; args may be empty */
    AST_CALL,    /* a(args) */
    AST_JOIN,    /* [args]: args without names */
    AST_RANGE,   /* a:b, only as the value of an AstArg of BRACKET or JOIN; a and b may be NULL (x[:3], x[2:], x[:]).
                    In a train list it is a pair: lr_scale = ["embedding.*": 0.1] */
    AST_UNARY,   /* op a */
    AST_BINARY   /* a op b */
} AstExprKind;

typedef enum {
    AST_NEG, AST_NOT,                                           /* unary */
    AST_POW, AST_MATMUL, AST_MUL, AST_DIV, AST_MOD,             /* binary, high to low */
    AST_ADD, AST_SUB,
    AST_EQ, AST_NE, AST_LT, AST_LE, AST_GT, AST_GE,
    AST_AND, AST_OR
} AstOp;

/* One item between brackets or parentheses: `value` or `name = value`. */
typedef struct {
    Span span;      /* with the name */
    Name name;      /* 0: by position */
    Span name_span;
    AstExpr *value; /* never NULL */
} AstArg;
typedef VEC(AstArg) AstArgs;

struct AstExpr {
    AstExprKind kind;
    AstOp op;       /* UNARY, BINARY */
    Span span;      /* whole expression; parentheses around it included */
    Span at;        /* its telling token: the operator, the name, the member's name; otherwise span */
    Name name;      /* NAME, MEMBER, STRING */
    bool primed;    /* NAME, MEMBER */
    bool is_int;    /* NUMBER without point and exponent */
    bool parens;    /* stood in parentheses */
    uint16_t depth; /* height of the tree */
    double number;  /* NUMBER, BOOL */
    AstExpr *a, *b; /* operands; a is the base of MEMBER and BRACKET and the callee of CALL */
    AstArgs args;   /* BRACKET, CALL, JOIN */
};
typedef VEC(AstExpr *) AstExprs;

/* ---- types -------------------------------------------------------------------------------------------------------- */

typedef enum {
    AST_TYPE_TENSOR, /* [dims]; no dims: [] a scalar */
    AST_TYPE_BOOL,   /* bool */
    AST_TYPE_TOKEN,  /* token[V]; size is V */
    AST_TYPE_CELL    /* cell: only for formal bracket arguments */
} AstTypeKind;

typedef struct {
    AstTypeKind kind;
    Span span;
    bool seq;       /* `seq` or `seq(axis)` stood before it */
    AstExpr *axis;  /* of seq(axis); NULL for a plain seq, which means seq(T) */
    AstExprs dims;  /* TENSOR */
    AstExpr *size;  /* TOKEN */
} AstType;

/* A declared name with what may follow it: `x: [I]`, `lr = 1e-3`, `C: cell`, `H`. */
typedef struct {
    Span span;
    Name name;
    Span name_span;
    AstType *type;  /* NULL if none was written */
    AstExpr *value; /* default; NULL if none */
} AstFormal;
typedef VEC(AstFormal) AstFormals;

/* ---- statements --------------------------------------------------------------------------------------------------- */

/* A name being defined, on the left of `=` or after a keyword: `h'` has primed set and name "h". */
typedef struct {
    Span span;
    Name name;
    bool primed;
} AstTarget;
typedef VEC(AstTarget) AstTargets;

/* An entry of a train or data block: `key = value`. Values are any expression; lists are JOIN, calls CALL. */
typedef struct {
    Span span;
    Name key;
    Span key_span;
    AstExpr *value;
} AstEntry;
typedef VEC(AstEntry) AstEntries;
typedef VEC(AstStmt *) AstStmts;

typedef enum {
    AST_PARAM,  /* param targets: type = value    type and value may be NULL in each of the leaves */
    AST_CONST,  /* const targets: type = value    value NULL: read from the weights file */
    AST_STATE,  /* state targets: type = value */
    AST_NOISE,  /* noise targets: type = value [, per sequence] */
    AST_INPUT,  /* input targets: type */
    AST_TARGET, /* target targets: type */
    AST_BIND,   /* targets = value: one target, or several for `i, f = split(z, 2)`; targets may be primed */
    AST_RETURN, /* return value [, falling NAME] */
    AST_REPEAT, /* repeat value { body }, or repeat targets[0] in from..to { body }: then value is NULL */
    AST_OUTPUT, /* output args: each has a name and a value; `output p` is stored as p = p */
    AST_LOSS,   /* loss value, args; args are named: weight = w */
    AST_METRIC, /* metric args: each a value, with a name if `name = value` was written */
    AST_TRAIN,  /* train { entries } */
    AST_DATA    /* data { entries } */
} AstStmtKind;

struct AstStmt {
    AstStmtKind kind;
    Span span;
    Span keyword;       /* its first token */
    AstTargets targets;
    AstType *type;
    AstExpr *value;
    bool per_sequence;  /* NOISE */
    Name falling;       /* RETURN of a metric: the input whose largest value comes first; 0: rows come as they are */
    Span falling_span;
    AstExpr *from, *to; /* REPEAT over a range, half open */
    AstStmts body;      /* REPEAT */
    AstArgs args;       /* OUTPUT, LOSS, METRIC */
    AstEntries entries; /* TRAIN, DATA */
};

/* ---- declarations ------------------------------------------------------------------------------------------------- */

typedef enum {
    AST_CELL,      /* cell name[brackets](inputs) { body } */
    AST_FN,        /* fn name[brackets](inputs) = value [grad x = d, .. [, straight_through]] */
    AST_MODEL,     /* model name[brackets] { body } */
    AST_DEF_METRIC,/* metric name[brackets](inputs) { body } */
    AST_OPTIMIZER, /* optimizer name[brackets](inputs) { body } */
    AST_INIT,      /* init name[brackets](inputs) = value; both lists usually absent */
    AST_IMPORT,    /* import "path" [as name]: name 0 if none */
    AST_IMPORT_C,  /* import c "path" */
    AST_DEF_TRAIN, /* train name { entries }, beside the model of that name */
    AST_DEF_DATA   /* data name { entries } */
} AstDeclKind;

struct AstDecl {
    AstDeclKind kind;
    Span span;
    Span keyword;
    Name name;
    Span name_span;
    Span head;           /* keyword to the end of the parameter lists: for messages about the whole */
    bool has_brackets, has_inputs; /* the list was written, perhaps empty */
    AstFormals brackets; /* [H, act = tanh, C: cell] */
    AstFormals inputs;   /* (x: [I], lr = 1e-3) */
    AstStmts body;       /* of a FN that was read from C: bindings, before its value */
    AstExpr *value;      /* FN, INIT */
    AstArgs grad;        /* FN: grad x = ...: the derivative with respect to each named input; empty: that of value */
    bool has_grad, straight_through; /* FN: the clause was written; its last word */
    const char *refusal; /* FN read from C: why it cannot be expressed; NULL: it can */
    Span refused_at;
    Name path;           /* IMPORT, IMPORT_C */
    Span path_span;
    AstEntries entries;  /* DEF_TRAIN, DEF_DATA */
};

typedef struct {
    Span span;     /* from # to the end of the line, without the newline */
    bool own_line; /* nothing but blanks before it */
} AstComment;

typedef struct {
    const Source *source;
    VEC(AstDecl *) decls;      /* in source order */
    VEC(AstComment) comments;  /* in source order */
    bool ok;                   /* no syntax errors */
} AstFile;

/* Parses a source. Always returns a file; on syntax errors it is partial, ok is false and diagnostics exist (E0100-E0199). */
AstFile *parse_file(Ctx *ctx, Arena *a, const Source *source);
/* Parses one expression (for `--set H=64` and the like). NULL with diagnostics on an error. */
AstExpr *parse_expr(Ctx *ctx, Arena *a, const Source *source);

/* Prints the tree as indented text, one node a line; two trees print alike iff they differ at most in places. */
void ast_print(Ctx *ctx, Str *out, const AstFile *file);
/* Prints an expression as source text on one line, with no more parentheses than needed. For messages. */
void ast_print_expr(Ctx *ctx, Str *out, const AstExpr *e);
const char *ast_op_name(AstOp op); /* "+", "mod", ... */

/* Prints the file in the one layout. Keeps every comment. False, and nothing printed, if the file has syntax errors. */
bool format_file(Ctx *ctx, Str *out, const AstFile *file);

#endif
