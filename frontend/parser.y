/* parser: the grammar. Each action is one call; tokens, errors and recovery are in parse.c, nodes in build.c. */
%define api.pure full
%define api.prefix {rondo_yy}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%define parse.lac.es-capacity-initial "1000"
%locations
%expect 0
%parse-param {struct Parser *p}
%lex-param {struct Parser *p}

%code requires {
#include "frontend/parse.h"
}

%code {
#define YYLLOC_DEFAULT(out, rhs, n) \
    ((out) = (n) ? (Span){YYRHSLOC(rhs, 1).lo, YYRHSLOC(rhs, n).hi} : (Span){YYRHSLOC(rhs, 0).hi, YYRHSLOC(rhs, 0).hi})

/* The stack is as large as it ever gets, so that bison never asks malloc for more; nesting is capped long before. */
#define YYINITDEPTH 4000
#define YYMAXDEPTH 4000

int rondo_yylex(YYSTYPE *value, Span *span, Parser *p);
void rondo_yyerror(Span *at, Parser *p, const char *text);

#define RECOVER(mode) \
    do { \
        if (!parse_recover(p, mode)) YYABORT; \
        yyclearin; \
        yyerrok; \
    } while (0)

static AstStmt *with_args(AstStmt *s, AstExpr *value, AstArgs *args) {
    s->value = value;
    if (args) s->args = *args;
    return s;
}

static AstStmt *with_entries(AstStmt *s, AstEntries *entries) {
    if (entries) s->entries = *entries;
    return s;
}

static AstStmts *add_stmt(Parser *p, AstStmts *list, AstStmt *s) {
    if (!list) list = NEW(p->a, AstStmts);
    if (s) {
        VEC_PUSH(p->a, *list) = s;
        parse_settle(p, s->span.hi);
    }
    return list;
}

static AstEntries *add_entry(Parser *p, AstEntries *list, AstEntry e) {
    if (!list) list = NEW(p->a, AstEntries);
    if (e.key) {
        VEC_PUSH(p->a, *list) = e;
        parse_settle(p, e.span.hi);
    }
    return list;
}

static AstExprs *add_expr(Parser *p, AstExprs *list, AstExpr *e) {
    if (!list) list = NEW(p->a, AstExprs);
    VEC_PUSH(p->a, *list) = e;
    return list;
}

static void add_decl(Parser *p, AstDecl *d) {
    if (!d) return;
    VEC_PUSH(p->a, p->file->decls) = d;
    parse_settle(p, d->span.hi);
}

/* A declaration up to its body; last is where the parameter lists end. */
static AstDecl *head(Parser *p, AstDeclKind kind, Span all, Span keyword, Span name, Span last, AstFormals *brackets, AstFormals *inputs) {
    AstDecl *d = ast_decl(p, kind, keyword, ast_text(p, name), name, all);
    d->head = (Span){keyword.lo, last.hi};
    d->has_brackets = brackets != NULL;
    d->has_inputs = inputs != NULL;
    if (brackets) d->brackets = *brackets;
    if (inputs) d->inputs = *inputs;
    return d;
}

static AstDecl *block_decl(Parser *p, AstDeclKind kind, Span all, Span keyword, Span name, AstEntries *entries) {
    AstDecl *d = head(p, kind, all, keyword, name, name, NULL, NULL);
    d->entries = *entries;
    return d;
}

static AstExpr *name_expr(Parser *p, Span at, bool primed) {
    AstExpr *e = ast_expr(p, AST_NAME, at);
    e->name = ast_text(p, at);
    e->primed = primed;
    return e;
}

static AstDecl *with_body(AstDecl *d, AstStmts *body) {
    if (body) d->body = *body;
    return d;
}

static AstDecl *with_value(AstDecl *d, AstExpr *value) {
    d->value = value;
    return d;
}

static AstDecl *with_grad(Parser *p, AstDecl *d, AstArgs *grads) {
    d->has_grad = true;
    for (uint32_t i = 0; i < grads->n; i++) {
        const AstArg *a = &grads->at[i];
        bool word = !a->name && a->value->name == intern(p->ctx, "straight_through");
        if (a->name) VEC_PUSH(p->a, d->grad) = *a;
        else if (word && i + 1 == grads->n) d->straight_through = true;
        else if (parse_error(p, 100, a->span, word ? "`straight_through` ends the clause" : "expected `=` after name `%s`", name_str(p->ctx, a->value->name)))
            diag_help(p->ctx, (Span){0, 0}, "a derivative for each input: `grad x = 1 - tanh(x)^2`, then `, straight_through` if it is not the function's own");
    }
    return d;
}

static AstDecl *model_checked(Parser *p, AstDecl *d, Span inputs) {
    if (d->has_inputs && parse_error(p, 117, inputs, "a model has no list of inputs"))
        diag_help(p->ctx, (Span){0, 0}, "declare each in its body: `input x: seq [8]`");
    return d;
}

static AstDecl *ast_import(Parser *p, Span all, Span keyword, Span path, Span word, Span name) {
    AstDecl *d = ast_decl(p, AST_IMPORT, keyword, name.lo ? ast_text(p, name) : 0, name, all);
    d->path = ast_string_text(p, path);
    d->path_span = path;
    d->head = all;
    if (word.lo && ast_text(p, word) != intern(p->ctx, "as"))
        parse_error(p, 114, word, "expected `as` or a new declaration after an import, found name `%s`",
                    name_str(p->ctx, ast_text(p, word)));
    return d;
}

static AstDecl *ast_import_c(Parser *p, Span all, Span keyword, Span word, Span path) {
    AstDecl *d = ast_decl(p, AST_IMPORT_C, keyword, 0, (Span){0, 0}, all);
    d->path = ast_string_text(p, path);
    d->path_span = path;
    d->head = all;
    if (ast_text(p, word) != intern(p->ctx, "c"))
        if (parse_error(p, 114, word, "cannot import `%s`: a path or `c` was expected", name_str(p->ctx, ast_text(p, word))))
            diag_help(p->ctx, (Span){0, 0}, "write `import \"file.rondo\"`, or `import c \"file.h\"` for a header of C");
    return d;
}

static void ast_falling(Parser *p, AstStmt *s, Span word, Span name) {
    s->falling = ast_text(p, name);
    s->falling_span = name;
    if (ast_text(p, word) != intern(p->ctx, "falling") && parse_error(p, 100, word, "expected `falling` after `,` behind a return"))
        diag_help(p->ctx, (Span){0, 0}, "a metric whose rows come in the order of its input p, the largest first: `return area, falling p`");
}

static AstStmt *ast_noise(Parser *p, AstStmt *s, Span a, Span b) {
    s->per_sequence = true;
    if (ast_text(p, a) != intern(p->ctx, "per") || ast_text(p, b) != intern(p->ctx, "sequence"))
        if (parse_error(p, 100, span_join(a, b), "expected `per sequence` after `,` in a noise statement"))
            diag_help(p->ctx, (Span){0, 0}, "noise is drawn at each step, or once: `noise k: [N] = bernoulli(0.5), per sequence`");
    return s;
}
}

%union {
    AstExpr *expr;
    AstArgs *args;
    AstExprs *exprs;
    AstType *type;
    AstFormal formal;
    AstFormals *formals;
    AstTargets *targets;
    AstEntry entry;
    AstEntries *entries;
    AstStmt *stmt;
    AstStmts *stmts;
    AstDecl *decl;
    AstStmtKind leaf;
}

%token END 0 "the end of the file"
%token START_FILE START_EXPR BAD
%token CELL "`cell`" FN "`fn`" MODEL "`model`" IMPORT "`import`" PARAM "`param`" CONST "`const`" STATE "`state`"
%token RETURN "`return`" REPEAT "`repeat`" IN "`in`" SEQ "`seq`" TOKEN "`token`" BOOL "`bool`" TRUE "`true`" FALSE "`false`"
%token NOISE "`noise`" INPUT "`input`" TARGET "`target`" OUTPUT "`output`" LOSS "`loss`" METRIC "`metric`"
%token GRAD "`grad`" TRAIN "`train`" DATA "`data`" OPTIMIZER "`optimizer`" INIT "`init`"
%token NAME "a name" PRIMED "a primed name" NUMBER "a number" STRING "a string"
%token AND "`and`" OR "`or`" NOT "`not`" MOD "`mod`" EQ "`==`" NE "`!=`" LE "`<=`" GE "`>=`" DOTDOT "`..`"

%left OR
%left AND
%precedence NOT
%nonassoc EQ NE '<' LE '>' GE
%left '+' '-'
%left '*' '/' MOD
%right '@'
%precedence UMINUS
%right '^'
%precedence '.' '[' '('

%type <expr> expr init
%type <args> args arg_list arg items item_list item outputs output metrics loss_tail grads grad
%type <exprs> dims dim_list
%type <type> type base_type type_opt
%type <formal> formal
%type <formals> formals formal_list brackets inputs
%type <targets> targets target
%type <entry> entry
%type <entries> entry_block entries entry_list
%type <stmt> stmt
%type <stmts> stmts block
%type <decl> decl
%type <leaf> leaf

%%

start: START_FILE decls
     | START_EXPR expr                    { p->expr = $2; }
     ;

decls: %empty
     | decls decl                         { add_decl(p, $2); }
     | decls error                        { RECOVER(SKIP_DECL); }
     ;

decl: CELL NAME brackets inputs block     { $$ = with_body(head(p, AST_CELL, @$, @1, @2, @4, $3, $4), $5); }
    | METRIC NAME brackets inputs block   { $$ = with_body(head(p, AST_DEF_METRIC, @$, @1, @2, @4, $3, $4), $5); }
    | OPTIMIZER NAME brackets inputs block { $$ = with_body(head(p, AST_OPTIMIZER, @$, @1, @2, @4, $3, $4), $5); }
    | MODEL NAME brackets block           { $$ = with_body(head(p, AST_MODEL, @$, @1, @2, @3, $3, NULL), $4); }
    | MODEL NAME brackets inputs block    { $$ = model_checked(p, with_body(head(p, AST_MODEL, @$, @1, @2, @4, $3, $4), $5), @4); }
    | FN NAME brackets inputs '=' expr    { $$ = with_value(head(p, AST_FN, @$, @1, @2, @4, $3, $4), $6); }
    | FN NAME brackets inputs '=' expr GRAD grads
                                          { $$ = with_grad(p, with_value(head(p, AST_FN, @$, @1, @2, @4, $3, $4), $6), $8); }
    | INIT NAME brackets '=' expr         { $$ = with_value(head(p, AST_INIT, @$, @1, @2, @3, $3, NULL), $5); }
    | INIT NAME brackets inputs '=' expr  { $$ = with_value(head(p, AST_INIT, @$, @1, @2, @4, $3, $4), $6); }
    | IMPORT STRING                       { $$ = ast_import(p, @$, @1, @2, (Span){0, 0}, (Span){0, 0}); }
    | IMPORT STRING NAME NAME             { $$ = ast_import(p, @$, @1, @2, @3, @4); }
    | IMPORT NAME STRING                  { $$ = ast_import_c(p, @$, @1, @2, @3); }
    | TRAIN NAME entry_block              { $$ = block_decl(p, AST_DEF_TRAIN, @$, @1, @2, $3); }
    | DATA NAME entry_block               { $$ = block_decl(p, AST_DEF_DATA, @$, @1, @2, $3); }
    | CELL error head_sync body_opt       { $$ = NULL; }
    | METRIC error head_sync body_opt     { $$ = NULL; }
    | OPTIMIZER error head_sync body_opt  { $$ = NULL; }
    | MODEL error head_sync body_opt      { $$ = NULL; }
    ;

/* A word alone is kept with itself as value: `straight_through`. */
grads: grad
     | grads ',' grad                     { $$ = $1; VEC_PUSH(p->a, *$$) = $3->at[0]; }
     ;
grad: NAME '=' expr                       { $$ = ast_arg(p, NULL, ast_text(p, @1), @1, $3, @$); }
    | NAME                                { $$ = ast_arg(p, NULL, 0, @1, name_expr(p, @1, false), @1); }
    ;

/* A head that did not parse does not hide the errors of its body. */
head_sync: %empty                         { RECOVER(SKIP_HEAD); }
         ;
body_opt: %empty
        | block                           { }
        ;

brackets: %empty                          { $$ = NULL; }
        | '[' formals ']'                 { $$ = $2; }
        ;
inputs: '(' formals ')'                   { $$ = $2; }
      ;
formals: %empty                           { $$ = NEW(p->a, AstFormals); }
       | formal_list
       | formal_list ','
       ;
formal_list: formal                       { $$ = ast_formal(p, NULL, $1); }
           | formal_list ',' formal       { $$ = ast_formal(p, $1, $3); }
           ;
formal: NAME                              { $$ = (AstFormal){@$, ast_text(p, @1), @1, NULL, NULL}; }
      | NAME ':' type                     { $$ = (AstFormal){@$, ast_text(p, @1), @1, $3, NULL}; }
      | NAME '=' expr                     { $$ = (AstFormal){@$, ast_text(p, @1), @1, NULL, $3}; }
      | NAME ':' type '=' expr            { $$ = (AstFormal){@$, ast_text(p, @1), @1, $3, $5}; }
      ;

type: base_type
    | SEQ base_type                       { $$ = $2; $$->seq = true; $$->span = @$; }
    | SEQ '(' expr ')' base_type          { $$ = $5; $$->seq = true; $$->axis = $3; $$->span = @$; }
    ;
base_type: '[' dims ']'                   { $$ = ast_type(p, AST_TYPE_TENSOR, @$); if ($2) $$->dims = *$2; }
         | BOOL                           { $$ = ast_type(p, AST_TYPE_BOOL, @$); }
         | TOKEN '[' expr ']'             { $$ = ast_type(p, AST_TYPE_TOKEN, @$); $$->size = $3; }
         | CELL                           { $$ = ast_type(p, AST_TYPE_CELL, @$); }
         ;
dims: %empty                              { $$ = NULL; }
    | dim_list
    | dim_list ','
    ;
dim_list: expr                            { $$ = add_expr(p, NULL, $1); }
        | dim_list ',' expr               { $$ = add_expr(p, $1, $3); }
        ;

block: '{' stmts '}'                      { $$ = $2; }
     ;
stmts: %empty                             { $$ = add_stmt(p, NULL, NULL); }
     | stmts stmt                         { $$ = add_stmt(p, $1, $2); }
     | stmts error                        { $$ = $1; RECOVER(SKIP_STMT); }
     ;

stmt: leaf targets type_opt init          { $$ = ast_leaf(p, $1, @1, $2, $3, $4, @$); if (!$4) $$->span.hi = $3 ? @3.hi : @2.hi; }
    | NOISE targets type_opt '=' expr     { $$ = ast_leaf(p, AST_NOISE, @1, $2, $3, $5, @$); }
    | NOISE targets type_opt '=' expr ',' NAME NAME { $$ = ast_noise(p, ast_leaf(p, AST_NOISE, @1, $2, $3, $5, @$), @7, @8); }
    | INPUT targets ':' type              { $$ = ast_leaf(p, AST_INPUT, @1, $2, $4, NULL, @$); }
    | TARGET targets ':' type             { $$ = ast_leaf(p, AST_TARGET, @1, $2, $4, NULL, @$); }
    | targets '=' expr                    { $$ = ast_stmt(p, AST_BIND, @1, @$); $$->targets = *$1; $$->value = $3; }
    | RETURN expr                         { $$ = ast_stmt(p, AST_RETURN, @1, @$); $$->value = $2; }
    | RETURN expr ',' NAME NAME           { $$ = ast_stmt(p, AST_RETURN, @1, @$); $$->value = $2; ast_falling(p, $$, @4, @5); }
    | REPEAT expr block                   { $$ = ast_stmt(p, AST_REPEAT, @1, @$); $$->value = $2; $$->body = *$3; }
    | REPEAT NAME IN expr DOTDOT expr block
                                          { $$ = ast_stmt(p, AST_REPEAT, @1, @$); $$->targets = *ast_target(p, NULL, ast_text(p, @2), false, @2);
                                            $$->from = $4; $$->to = $6; $$->body = *$7; }
    | OUTPUT outputs                      { $$ = with_args(ast_stmt(p, AST_OUTPUT, @1, @$), NULL, $2); }
    | LOSS expr loss_tail                 { $$ = with_args(ast_stmt(p, AST_LOSS, @1, @$), $2, $3); }
    | METRIC metrics                      { $$ = with_args(ast_stmt(p, AST_METRIC, @1, @$), NULL, $2); }
    | TRAIN entry_block                   { $$ = with_entries(ast_stmt(p, AST_TRAIN, @1, @$), $2); }
    | DATA entry_block                    { $$ = with_entries(ast_stmt(p, AST_DATA, @1, @$), $2); }
    ;
leaf: PARAM                               { $$ = AST_PARAM; }
    | CONST                               { $$ = AST_CONST; }
    | STATE                               { $$ = AST_STATE; }
    ;
targets: target
       | targets ',' NAME                 { $$ = ast_target(p, $1, ast_text(p, @3), false, @3); }
       | targets ',' PRIMED               { $$ = ast_target(p, $1, ast_text(p, @3), true, @3); }
       ;
target: NAME                              { $$ = ast_target(p, NULL, ast_text(p, @1), false, @1); }
      | PRIMED                            { $$ = ast_target(p, NULL, ast_text(p, @1), true, @1); }
      ;
type_opt: %empty                          { $$ = NULL; }
        | ':' type                        { $$ = $2; }
        ;
init: %empty                              { $$ = NULL; }
    | '=' expr                            { $$ = $2; }
    ;
outputs: output
       | outputs ',' NAME                 { $$ = ast_arg(p, $1, ast_text(p, @3), @3, name_expr(p, @3, false), @3); }
       | outputs ',' NAME '=' expr        { $$ = ast_arg(p, $1, ast_text(p, @3), @3, $5, (Span){@3.lo, @5.hi}); }
       ;
output: NAME                              { $$ = ast_arg(p, NULL, ast_text(p, @1), @1, name_expr(p, @1, false), @1); }
      | NAME '=' expr                     { $$ = ast_arg(p, NULL, ast_text(p, @1), @1, $3, @$); }
      ;
metrics: arg
       | metrics ',' arg                  { $$ = $1; VEC_PUSH(p->a, *$$) = $3->at[0]; }
       ;
loss_tail: %empty                         { $$ = NULL; }
         | loss_tail ',' NAME '=' expr    { $$ = ast_arg(p, $1, ast_text(p, @3), @3, $5, (Span){@3.lo, @5.hi}); }
         ;

entry_block: '{' entries '}'              { $$ = $2; }
           ;
entries: %empty                           { $$ = NEW(p->a, AstEntries); }
       | entry_list
       | entry_list ','
       ;
entry_list: entry                         { $$ = add_entry(p, NULL, $1); }
          | error                         { $$ = NEW(p->a, AstEntries); RECOVER(SKIP_ENTRY); }
          | entry_list entry              { $$ = add_entry(p, $1, $2); }
          | entry_list ',' entry          { $$ = add_entry(p, $1, $3); }
          | entry_list error              { $$ = $1; RECOVER(SKIP_ENTRY); }
          ;
entry: NAME '=' expr                      { $$ = (AstEntry){@$, ast_text(p, @1), @1, $3}; }
     ;

expr: NUMBER                              { $$ = ast_number(p, @1); }
    | STRING                              { $$ = ast_string(p, @1); }
    | TRUE                                { $$ = ast_expr(p, AST_BOOL, @1); $$->number = 1; }
    | FALSE                               { $$ = ast_expr(p, AST_BOOL, @1); }
    | NAME                                { $$ = name_expr(p, @1, false); }
    | PRIMED                              { $$ = name_expr(p, @1, true); }
    | '(' expr ')'                        { $$ = $2; $$->span = @$; $$->parens = true; }
    | '[' items ']'                       { $$ = ast_items(p, AST_JOIN, NULL, $2, @$); }
    | expr '.' NAME                       { $$ = ast_member(p, $1, ast_text(p, @3), false, @3, @$); }
    | expr '.' PRIMED                     { $$ = ast_member(p, $1, ast_text(p, @3), true, @3, @$); }
    | expr '[' items ']'                  { $$ = ast_items(p, AST_BRACKET, $1, $3, @$); }
    | expr '(' args ')'                   { $$ = ast_items(p, AST_CALL, $1, $3, @$); }
    | '-' expr %prec UMINUS               { $$ = ast_unary(p, AST_NEG, @1, $2, @$); }
    | NOT expr                            { $$ = ast_unary(p, AST_NOT, @1, $2, @$); }
    | expr '^' expr                       { $$ = ast_binary(p, AST_POW, @2, $1, $3, @$); }
    | expr '@' expr                       { $$ = ast_binary(p, AST_MATMUL, @2, $1, $3, @$); }
    | expr '*' expr                       { $$ = ast_binary(p, AST_MUL, @2, $1, $3, @$); }
    | expr '/' expr                       { $$ = ast_binary(p, AST_DIV, @2, $1, $3, @$); }
    | expr MOD expr                       { $$ = ast_binary(p, AST_MOD, @2, $1, $3, @$); }
    | expr '+' expr                       { $$ = ast_binary(p, AST_ADD, @2, $1, $3, @$); }
    | expr '-' expr                       { $$ = ast_binary(p, AST_SUB, @2, $1, $3, @$); }
    | expr EQ expr                        { $$ = ast_binary(p, AST_EQ, @2, $1, $3, @$); }
    | expr NE expr                        { $$ = ast_binary(p, AST_NE, @2, $1, $3, @$); }
    | expr '<' expr                       { $$ = ast_binary(p, AST_LT, @2, $1, $3, @$); }
    | expr LE expr                        { $$ = ast_binary(p, AST_LE, @2, $1, $3, @$); }
    | expr '>' expr                       { $$ = ast_binary(p, AST_GT, @2, $1, $3, @$); }
    | expr GE expr                        { $$ = ast_binary(p, AST_GE, @2, $1, $3, @$); }
    | expr AND expr                       { $$ = ast_binary(p, AST_AND, @2, $1, $3, @$); }
    | expr OR expr                        { $$ = ast_binary(p, AST_OR, @2, $1, $3, @$); }
    ;

args: %empty                              { $$ = NULL; }
    | arg_list
    | arg_list ','
    ;
arg_list: arg
        | arg_list ',' arg                { $$ = $1; VEC_PUSH(p->a, *$$) = $3->at[0]; }
        ;
arg: expr                                 { $$ = ast_arg(p, NULL, 0, (Span){0, 0}, $1, @$); }
   | NAME '=' expr                        { $$ = ast_arg(p, NULL, ast_text(p, @1), @1, $3, @$); }
   ;

items: %empty                             { $$ = NULL; }
     | item_list
     | item_list ','
     ;
item_list: item
         | item_list ',' item             { $$ = $1; VEC_PUSH(p->a, *$$) = $3->at[0]; }
         ;
item: arg
    | expr ':' expr                       { $$ = ast_arg(p, NULL, 0, (Span){0, 0}, ast_range(p, $1, $3, @$), @$); }
    | expr ':'                            { $$ = ast_arg(p, NULL, 0, (Span){0, 0}, ast_range(p, $1, NULL, @$), @$); }
    | ':' expr                            { $$ = ast_arg(p, NULL, 0, (Span){0, 0}, ast_range(p, NULL, $2, @$), @$); }
    | ':'                                 { $$ = ast_arg(p, NULL, 0, (Span){0, 0}, ast_range(p, NULL, NULL, @$), @$); }
    ;

%%

/* Hands what the grammar could have taken to parse.c, by token kind. */
static int yyreport_syntax_error(const yypcontext_t *context, Parser *p) {
    yysymbol_kind_t symbols[YYNTOKENS];
    bool can[TOKEN_KINDS] = {false};
    int n = yypcontext_expected_tokens(context, symbols, YYNTOKENS);
    for (int kind = 0; kind < TOKEN_KINDS && kind <= YYMAXUTOK; kind++)
        for (int i = 0; i < n; i++)
            if (YYTRANSLATE(kind) == symbols[i]) can[kind] = true;
    parse_unexpected(p, can);
    return 0;
}
