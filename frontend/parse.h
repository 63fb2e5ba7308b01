/* parse: what the lexer, the grammar and the recovery share; private to the parser and the formatter. */
#ifndef RONDO_FRONTEND_PARSE_H
#define RONDO_FRONTEND_PARSE_H

#include "frontend/ast.h"

/* Slips that the scanner recognises so that the parser can say what was meant. */
typedef enum {
    LEX_OK,
    LEX_SEMICOLON,    /* ; */
    LEX_SLASHES,      /* a comment of C */
    LEX_SPELLING,     /* an operator as other languages or a keyboard spell it: ** && % etc.; kind is the one meant */
    LEX_AUGMENT,      /* += -= *= /= */
    LEX_POINT_FIRST,  /* .5 */
    LEX_POINT_LAST,   /* 5. */
    LEX_NUMBER_WORD,  /* 2x 0x10 1e */
    LEX_STRING_OPEN,  /* no closing quote on the line */
    LEX_STRING_SINGLE,/* 'adam' */
    LEX_PRIMES,       /* h'' */
    LEX_CHAR          /* nothing of ours starts with it */
} LexSlip;

/* A token as scanned. Block words (train, loss, ...) are still names here: what they are depends on what stands around. */
typedef struct {
    int kind; /* a token kind of the grammar, or one character */
    LexSlip slip;
    Span span;
    uint32_t column; /* from 1 */
    bool first;      /* on its line */
} Token;
typedef VEC(Token) Tokens;
typedef VEC(AstComment) AstComments;

/* Scans a whole source; the last token is the end of file. Memory from a. */
void scan_source(Ctx *ctx, Arena *a, const Source *source, Tokens *tokens, AstComments *comments);

typedef struct {
    int close; /* the token that closes it */
    Span span;
} Open;

typedef struct Parser {
    Ctx *ctx;
    Arena *a;      /* nodes */
    Arena scratch; /* tokens and open brackets */
    const Source *source;
    AstFile *file;
    AstExpr *expr; /* of parse_expr */
    Tokens tokens;
    AstComments comments;
    uint32_t pos; /* next token */
    VEC(Open) open;
    bool started, only_expr, stop;
    /* before the token last given to the grammar, to take it back */
    uint32_t cur_pos, cur_open;
    int prev_kind; /* the token last given, and the one before it */
    Token cur, prev;
    uint32_t stmt_column, stmt_at; /* column and index of the first token of the statement */
    uint32_t recover_pos; /* where the last recovery resumed + 1 */
    /* One error a statement: quiet from an error until a statement ends behind error_pos. */
    bool quiet, failed, semicolon_told, slashes_told;
    uint32_t error_pos;
} Parser;

/* Reports an error unless one was reported in this statement. False if it was not (then give no notes either). */
bool parse_error(Parser *p, uint16_t code, Span at, const char *fmt, ...) PORT_PRINTF(4, 5);
/* A statement has ended at pos: errors before it have been told, the next one is news. */
void parse_settle(Parser *p, uint32_t pos);
/* Can a token of this kind be the last of a statement? */
bool token_can_end(int kind);

typedef enum { SKIP_DECL, SKIP_HEAD, SKIP_STMT, SKIP_ENTRY } SkipMode;
/* Takes back the token that did not fit and skips to where parsing can resume. False if parsing must end. */
bool parse_recover(Parser *p, SkipMode mode);

enum { TOKEN_KINDS = 512 };
/* Reports the current token as unexpected, where the kinds in can[TOKEN_KINDS] would have fitted (complain.c). */
void parse_unexpected(Parser *p, const bool *can);
/* Reports the slip of a token, once (complain.c). */
void parse_slip(Parser *p, const Token *t);

/* How a token is called in a message: "name `x`", "`=`", "the end of the file". */
const char *token_describe(Parser *p, const Token *t);
bool token_is(const Parser *p, const Token *t, const char *text);

/* Builds nodes (build.c). */
AstExpr *ast_expr(Parser *p, AstExprKind kind, Span span);
AstExpr *ast_unary(Parser *p, AstOp op, Span at, AstExpr *a, Span span);
AstExpr *ast_binary(Parser *p, AstOp op, Span at, AstExpr *a, AstExpr *b, Span span);
AstExpr *ast_member(Parser *p, AstExpr *a, Name name, bool primed, Span at, Span span);
AstExpr *ast_items(Parser *p, AstExprKind kind, AstExpr *a, AstArgs *args, Span span);
AstExpr *ast_range(Parser *p, AstExpr *a, AstExpr *b, Span span);
AstExpr *ast_number(Parser *p, Span span);
AstExpr *ast_string(Parser *p, Span span);
AstArgs *ast_arg(Parser *p, AstArgs *list, Name name, Span name_span, AstExpr *value, Span span);
AstFormals *ast_formal(Parser *p, AstFormals *list, AstFormal f);
AstTargets *ast_target(Parser *p, AstTargets *list, Name name, bool primed, Span span);
AstStmt *ast_stmt(Parser *p, AstStmtKind kind, Span keyword, Span span);
AstStmt *ast_leaf(Parser *p, AstStmtKind kind, Span keyword, AstTargets *names, AstType *type, AstExpr *value, Span span);
AstDecl *ast_decl(Parser *p, AstDeclKind kind, Span keyword, Name name, Span name_span, Span span);
AstType *ast_type(Parser *p, AstTypeKind kind, Span span);
Name ast_text(Parser *p, Span span); /* the source text of a span as a name; of h' it is h */
Name ast_string_text(Parser *p, Span span); /* of a string token, escapes resolved */

#endif
