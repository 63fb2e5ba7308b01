/* clang_read: private to librondo_clang.so. A C function is run symbolically: numbers of type int are known when compiling, reals
   are expressions of the language, conditions on reals become `where`, assignments become bindings. What comes out is an AST_FN
   whose body binds names and whose value is the result.

     float f(float x) {                      fn f(x) = {
         float t = x * x;                        t#0 = x * x
         if (x < 0) t = -t;             ->       if#1 = x < 0;  t#2 = where(if#1, -t#0, t#0)
         return t + 1;                           t#2 + 1
     }                                       } */
#ifndef RONDO_FRONTEND_CLANG_READ_H
#define RONDO_FRONTEND_CLANG_READ_H

#include <clang-c/Index.h>

#include "frontend/c_import.h"

enum {
    C_LETS_MAX = 4000,   /* bindings of one function, loops and calls written out */
    C_STEPS_MAX = 50000, /* statements and expressions run for one function */
    C_DEPTH_MAX = 200    /* nesting of C: expressions, statements and calls */
};

typedef enum {
    C_NONE,  /* not assigned yet; or refused */
    C_INT,   /* an integer known when compiling */
    C_REAL,  /* an expression */
    C_BOOL,  /* a condition: an int that is 0 or 1 */
    C_ARRAY  /* a constant array */
} CKind;

typedef struct {
    CKind kind;
    bool whole;     /* REAL of type int: a sum or product of conditions */
    int64_t i;      /* INT */
    AstExpr *x;     /* REAL, BOOL */
    CXCursor array; /* ARRAY: its initialiser */
} CVal;

typedef struct {
    CXCursor decl;
    CVal val;
} CVar;

typedef struct {
    AstExpr *when; /* NULL: always */
    CVal val;
} CReturn;

/* A call being run. */
typedef struct CFrame {
    VEC(CVar) var;
    VEC(CReturn) ret;
    AstExpr *when; /* the conditions around; NULL: none */
    CXCursor fn;
    struct CFrame *up;
} CFrame;

typedef struct {
    Ctx *ctx;
    Arena *a;
    const Source *src;
    CXFile file;
    AstDecl *fn;   /* being made */
    CFrame *frame;
    Span here;     /* the last place in the header: for what stands in other files */
    uint32_t steps, depth;
    uint32_t maybe; /* > 0: in an operand that C may leave unevaluated: it may have no side effects */
} CRead;

/* clang_read.c: cursors, places, refusals, expressions of the language */
typedef struct {
    CXCursor *at;
    uint32_t n;
} CKids;
CKids c_kids(CRead *r, CXCursor c);
Span c_span(CRead *r, CXCursor c);
const char *c_name(CRead *r, CXCursor c); /* its spelling, in the arena */
bool c_is_real(CXType t);
bool c_is_int(CXType t);
bool c_refused(const CRead *r);
/* Notes why the function cannot be expressed (the first reason counts). Gives C_NONE. */
CVal c_refuse(CRead *r, CXCursor at, const char *fmt, ...) PORT_PRINTF(3, 4);
/* Counts a step; false (and refused) when there are too many, or they nest too deeply. Leave with c_leave. */
bool c_enter(CRead *r, CXCursor at);
void c_leave(CRead *r);

AstExpr *c_number(CRead *r, double v);
AstExpr *c_local(CRead *r, Name name);
AstExpr *c_unary(CRead *r, AstOp op, AstExpr *x);
AstExpr *c_binary(CRead *r, AstOp op, AstExpr *x, AstExpr *y);
AstExpr *c_call(CRead *r, const char *fn, AstExpr *x, AstExpr *y, AstExpr *z); /* y, z may be NULL */
AstExpr *c_let(CRead *r, CXCursor at, const char *name, AstExpr *x); /* a name for x */
CVal c_int(int64_t i);
CVal c_real(AstExpr *x);

/* clang_expr.c */
CVal c_eval(CRead *r, CXCursor e);
CVal c_convert(CRead *r, CXCursor at, CVal v, CXType to);
CVal c_choose(CRead *r, CXCursor at, AstExpr *when, CVal yes, CVal no);
/* As a condition: 0 or 1 if known, else -1 and *x. */
int c_truth(CRead *r, CXCursor at, CVal v, AstExpr **x);
bool c_assign(CRead *r, CXCursor at, CXCursor target, CVal v);
CVal c_initial(CRead *r, CXCursor var); /* of a variable */

/* clang_math.c: a function of <math.h>. False: not one of those known. */
bool c_math(CRead *r, CXCursor call, const char *name, const CVal *arg, uint32_t n, CVal *out);

/* clang_stmt.c: runs a function's body with its parameters set in `f`. C_NONE if refused. */
CVal c_run(CRead *r, CXCursor fn, CFrame *f);

#endif
