/* print: the syntax tree as indented text for tests, and expressions as source text for messages. */
#include "frontend/ast.h"

typedef struct {
    Ctx *ctx;
    Str *out;
} Print;

const char *ast_op_name(AstOp op) {
    switch (op) {
    case AST_NEG: return "-";
    case AST_NOT: return "not";
    case AST_POW: return "^";
    case AST_MATMUL: return "@";
    case AST_MUL: return "*";
    case AST_DIV: return "/";
    case AST_MOD: return "mod";
    case AST_ADD: return "+";
    case AST_SUB: return "-";
    case AST_EQ: return "==";
    case AST_NE: return "!=";
    case AST_LT: return "<";
    case AST_LE: return "<=";
    case AST_GT: return ">";
    case AST_GE: return ">=";
    case AST_AND: return "and";
    case AST_OR: return "or";
    }
    return "?";
}

static void put_string(Print *p, Name name) {
    str_putc(p->out, '"');
    for (const char *s = name_str(p->ctx, name); *s; s++) {
        if (*s == '"' || *s == '\\') str_putc(p->out, '\\');
        if (*s == '\n') str_put(p->out, "\\n");
        else if (*s == '\t') str_put(p->out, "\\t");
        else str_putc(p->out, *s);
    }
    str_putc(p->out, '"');
}

static void put_name(Print *p, Name name, bool primed) {
    str_put(p->out, name_str(p->ctx, name));
    if (primed) str_putc(p->out, '\'');
}

/* ---- expressions as source ---------------------------------------------------------------------------------------- */

/* How tightly an expression holds together; larger is tighter. */
static int op_level(AstOp op) {
    switch (op) {
    case AST_OR: return 1;
    case AST_AND: return 2;
    case AST_NOT: return 3;
    case AST_EQ: case AST_NE: case AST_LT: case AST_LE: case AST_GT: case AST_GE: return 4;
    case AST_ADD: case AST_SUB: return 5;
    case AST_MUL: case AST_DIV: case AST_MOD: return 6;
    case AST_MATMUL: return 7;
    case AST_NEG: return 8;
    case AST_POW: return 9;
    }
    return 0;
}

static int expr_level(const AstExpr *e) { return e->kind == AST_UNARY || e->kind == AST_BINARY ? op_level(e->op) : 10; }

static void put_source(Print *p, const AstExpr *e, int least);

static void put_items(Print *p, const AstArgs *args) {
    for (uint32_t i = 0; i < args->n; i++) {
        if (i) str_put(p->out, ", ");
        if (args->at[i].name) {
            put_name(p, args->at[i].name, false);
            str_put(p->out, " = ");
        }
        put_source(p, args->at[i].value, 0);
    }
}

static void put_binary(Print *p, const AstExpr *e) {
    int level = op_level(e->op);
    bool right = e->op == AST_POW || e->op == AST_MATMUL, chains = level != 4;
    put_source(p, e->a, right || !chains ? level + 1 : level);
    if (e->op == AST_POW) str_putc(p->out, '^');
    else str_printf(p->out, " %s ", ast_op_name(e->op));
    /* 2^-1 needs no parentheses: a minus right of ^ binds its operand first. */
    bool negative = e->op == AST_POW && e->b->kind == AST_UNARY && e->b->op == AST_NEG;
    put_source(p, e->b, negative ? 8 : right ? level : level + 1);
}

static void put_source(Print *p, const AstExpr *e, int least) {
    bool wrap = expr_level(e) < least;
    if (wrap) str_putc(p->out, '(');
    switch (e->kind) {
    case AST_ERROR: str_put(p->out, "?"); break;
    case AST_NUMBER: str_double(p->out, e->number); break;
    case AST_STRING: put_string(p, e->name); break;
    case AST_BOOL: str_put(p->out, e->number != 0 ? "true" : "false"); break;
    case AST_NAME: put_name(p, e->name, e->primed); break;
    case AST_MEMBER:
        put_source(p, e->a, 10);
        str_putc(p->out, '.');
        put_name(p, e->name, e->primed);
        break;
    case AST_BRACKET: case AST_JOIN: case AST_CALL:
        if (e->a) put_source(p, e->a, 10);
        str_putc(p->out, e->kind == AST_CALL ? '(' : '[');
        put_items(p, &e->args);
        str_putc(p->out, e->kind == AST_CALL ? ')' : ']');
        break;
    case AST_RANGE:
        if (e->a) put_source(p, e->a, 0);
        str_putc(p->out, ':');
        if (e->b) put_source(p, e->b, 0);
        break;
    case AST_UNARY:
        str_put(p->out, e->op == AST_NEG ? "-" : "not ");
        put_source(p, e->a, op_level(e->op));
        break;
    case AST_BINARY: put_binary(p, e); break;
    }
    if (wrap) str_putc(p->out, ')');
}

void ast_print_expr(Ctx *ctx, Str *out, const AstExpr *e) { put_source(&(Print){ctx, out}, e, 0); }

/* ---- the tree ----------------------------------------------------------------------------------------------------- */

static void line(Print *p, int depth, const char *word) {
    for (int i = 0; i < depth; i++) str_put(p->out, "  ");
    str_put(p->out, word);
}

static void end(Print *p) { str_putc(p->out, '\n'); }

static void put_expr(Print *p, int depth, const AstExpr *e);

static void put_args(Print *p, int depth, const AstArgs *args) {
    for (uint32_t i = 0; i < args->n; i++) {
        const AstArg *g = &args->at[i];
        if (!g->name) {
            put_expr(p, depth, g->value);
            continue;
        }
        line(p, depth, "named ");
        put_name(p, g->name, false);
        end(p);
        put_expr(p, depth + 1, g->value);
    }
}

static void put_range(Print *p, int depth, const AstExpr *e) {
    line(p, depth, e->a ? e->b ? "range" : "range from" : e->b ? "range to" : "range all");
    end(p);
    if (e->a) put_expr(p, depth + 1, e->a);
    if (e->b) put_expr(p, depth + 1, e->b);
}

static void put_expr(Print *p, int depth, const AstExpr *e) {
    switch (e->kind) {
    case AST_ERROR: line(p, depth, "error"); break;
    case AST_NUMBER:
        line(p, depth, e->is_int ? "int " : "number ");
        str_double(p->out, e->number);
        break;
    case AST_STRING:
        line(p, depth, "string ");
        put_string(p, e->name);
        break;
    case AST_BOOL: line(p, depth, e->number != 0 ? "true" : "false"); break;
    case AST_NAME:
        line(p, depth, "name ");
        put_name(p, e->name, e->primed);
        break;
    case AST_MEMBER:
        line(p, depth, "member ");
        put_name(p, e->name, e->primed);
        break;
    case AST_BRACKET: line(p, depth, "bracket"); break;
    case AST_CALL: line(p, depth, "call"); break;
    case AST_JOIN: line(p, depth, "join"); break;
    case AST_RANGE: put_range(p, depth, e); return;
    case AST_UNARY:
        line(p, depth, "unary ");
        str_put(p->out, ast_op_name(e->op));
        break;
    case AST_BINARY:
        line(p, depth, "binary ");
        str_put(p->out, ast_op_name(e->op));
        break;
    }
    end(p);
    if (e->a) put_expr(p, depth + 1, e->a);
    if (e->b) put_expr(p, depth + 1, e->b);
    put_args(p, depth + 1, &e->args);
}

static void put_type(Print *p, int depth, const AstType *t) {
    line(p, depth, "type ");
    if (t->seq) str_put(p->out, "seq ");
    switch (t->kind) {
    case AST_TYPE_TENSOR: str_put(p->out, "tensor"); break;
    case AST_TYPE_BOOL: str_put(p->out, "bool"); break;
    case AST_TYPE_TOKEN: str_put(p->out, "token"); break;
    case AST_TYPE_CELL: str_put(p->out, "cell"); break;
    }
    end(p);
    if (t->axis) {
        line(p, depth + 1, "axis");
        end(p);
        put_expr(p, depth + 2, t->axis);
    }
    for (uint32_t i = 0; i < t->dims.n; i++) put_expr(p, depth + 1, t->dims.at[i]);
    if (t->size) put_expr(p, depth + 1, t->size);
}

static void put_formals(Print *p, int depth, const char *what, const AstFormals *f) {
    line(p, depth, what);
    end(p);
    for (uint32_t i = 0; i < f->n; i++) {
        line(p, depth + 1, "formal ");
        put_name(p, f->at[i].name, false);
        end(p);
        if (f->at[i].type) put_type(p, depth + 2, f->at[i].type);
        if (f->at[i].value) put_expr(p, depth + 2, f->at[i].value);
    }
}

static void put_entries(Print *p, int depth, const AstEntries *entries) {
    for (uint32_t i = 0; i < entries->n; i++) {
        line(p, depth, "entry ");
        put_name(p, entries->at[i].key, false);
        end(p);
        put_expr(p, depth + 1, entries->at[i].value);
    }
}

static const char *stmt_word(AstStmtKind kind) {
    switch (kind) {
    case AST_PARAM: return "param";
    case AST_CONST: return "const";
    case AST_STATE: return "state";
    case AST_NOISE: return "noise";
    case AST_INPUT: return "input";
    case AST_TARGET: return "target";
    case AST_BIND: return "bind";
    case AST_RETURN: return "return";
    case AST_REPEAT: return "repeat";
    case AST_OUTPUT: return "output";
    case AST_LOSS: return "loss";
    case AST_METRIC: return "metric";
    case AST_TRAIN: return "train";
    case AST_DATA: return "data";
    }
    return "?";
}

static void put_stmt(Print *p, int depth, const AstStmt *s) {
    line(p, depth, stmt_word(s->kind));
    for (uint32_t i = 0; i < s->targets.n; i++) {
        str_put(p->out, i ? ", " : " ");
        put_name(p, s->targets.at[i].name, s->targets.at[i].primed);
    }
    if (s->per_sequence) str_put(p->out, " per sequence");
    if (s->falling) {
        str_put(p->out, " falling ");
        put_name(p, s->falling, false);
    }
    end(p);
    if (s->type) put_type(p, depth + 1, s->type);
    if (s->value) put_expr(p, depth + 1, s->value);
    if (s->from) put_expr(p, depth + 1, s->from);
    if (s->to) put_expr(p, depth + 1, s->to);
    put_args(p, depth + 1, &s->args);
    put_entries(p, depth + 1, &s->entries);
    for (uint32_t i = 0; i < s->body.n; i++) put_stmt(p, depth + 1, s->body.at[i]);
}

static const char *decl_word(AstDeclKind kind) {
    switch (kind) {
    case AST_CELL: return "cell ";
    case AST_FN: return "fn ";
    case AST_MODEL: return "model ";
    case AST_DEF_METRIC: return "metric ";
    case AST_OPTIMIZER: return "optimizer ";
    case AST_INIT: return "init ";
    case AST_IMPORT: return "import ";
    case AST_IMPORT_C: return "import c ";
    case AST_DEF_TRAIN: return "train ";
    case AST_DEF_DATA: return "data ";
    }
    return "?";
}

static void put_decl(Print *p, const AstDecl *d) {
    line(p, 0, decl_word(d->kind));
    if (d->path_span.lo) {
        put_string(p, d->path);
        if (d->name) str_put(p->out, " as ");
    }
    put_name(p, d->name, false);
    end(p);
    if (d->has_brackets) put_formals(p, 1, "brackets", &d->brackets);
    if (d->has_inputs) put_formals(p, 1, "inputs", &d->inputs);
    if (d->value) put_expr(p, 1, d->value);
    if (d->has_grad) {
        line(p, 1, d->straight_through ? "grad straight_through" : "grad");
        end(p);
        put_args(p, 2, &d->grad);
    }
    for (uint32_t i = 0; i < d->body.n; i++) put_stmt(p, 1, d->body.at[i]);
    put_entries(p, 1, &d->entries);
}

void ast_print(Ctx *ctx, Str *out, const AstFile *file) {
    Print p = {ctx, out};
    for (uint32_t i = 0; i < file->decls.n; i++) put_decl(&p, file->decls.at[i]);
}
