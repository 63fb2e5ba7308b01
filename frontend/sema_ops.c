/* Operators on tensors: broadcasting, arithmetic, comparison, products. */
#include "frontend/sema.h"

#include <math.h>
#include <string.h>

/* ---- broadcasting ----------------------------------------------------------------------------------------------------- */

static const char *axis_text(Elab *e, uint32_t axes)
{
    for (uint32_t a = 1; a < e->m->naxis; a++)
        if (axes & AX(a)) return name_str(e->ctx, e->m->axis[a].name);
    return "?";
}

bool same_sequences(Scope *s, Span at, const Val *a, const Val *b)
{
    uint32_t x = val_seq(s, a), y = val_seq(s, b);
    Elab *e = s->e;

    if (!(x & ~y) || !(y & ~x)) return true;
    if (sema_error(e, 303, at, "two different sequences meet: one runs over `%s`, the other over `%s`", axis_text(e, x & ~y), axis_text(e, y & ~x)))
        for (uint32_t i = 0; i < e->axis.n; i++)
            if ((x ^ y) & AX(e->axis.at[i].axis))
                diag_note(e->ctx, e->axis.at[i].span, "`%s` is declared here", name_str(e->ctx, e->axis.at[i].name));
    return false;
}

const Val *val_broadcast(Scope *s, const Val *v, int rank, const int32_t *dim, const SizeSrc *const *src)
{
    Node n = val_type(v);
    Val *w;
    Ref r = v->ref;

    if (n.rank != rank || memcmp(n.dim, dim, (size_t)rank * sizeof *dim)) r = g_broadcast(s->level->g, v->ref, rank, dim);
    if (!r) return &val_poison;
    w = val_copy(s->e, v);
    w->ref = r;
    for (int i = 0; i < rank; i++) w->src[i] = src ? src[i] : NULL;
    return w;
}

/* NumPy's rule: dims are aligned at the last one; equal, or one of them 1, or absent. */
bool broadcast_pair(Scope *s, Span at, const char *what, const Val **a, const Val **b)
{
    Node x = val_type(*a), y = val_type(*b);
    int rank = x.rank > y.rank ? x.rank : y.rank;
    int32_t dim[MAX_RANK] = {0};
    const SizeSrc *src[MAX_RANK] = {NULL};
    bool fits = true;

    for (int i = 0; i < rank; i++) {
        int ix = i - (rank - x.rank), iy = i - (rank - y.rank);
        int32_t dx = ix < 0 ? 1 : x.dim[ix], dy = iy < 0 ? 1 : y.dim[iy];
        bool left = iy < 0 || (ix >= 0 && (dy == 1 || dx == dy));
        if (dx != dy && dx != 1 && dy != 1) fits = false;
        dim[i] = left ? dx : dy;
        src[i] = left ? (*a)->src[ix] : (*b)->src[iy];
        if (dx == dy && ix >= 0 && iy >= 0 && (!src[i] || !src[i]->span.lo) && (*b)->src[iy]) src[i] = (*b)->src[iy];
    }
    if (!fits) {
        if (sema_error(s->e, 300, at, "shapes do not fit: %s %s %s", val_names(s, *a), what, val_names(s, *b))) {
            diag_note(s->e->ctx, (*a)->span, "this is %s", val_text(s, *a));
            diag_note(s->e->ctx, (*b)->span, "this is %s", val_text(s, *b));
            note_sizes(s->e, *a, *b);
            if (x.rank == 2 && y.rank == 1 && x.dim[0] == y.dim[0])
                diag_help(s->e->ctx, (Span){0, 0}, "to scale the rows of the matrix, make the vector a column: `column(v)`");
            if (x.rank == 2 && y.rank == 1 && x.dim[1] == y.dim[0] && !strcmp(what, "*"))
                diag_help(s->e->ctx, (Span){0, 0}, "the product of matrix and vector is `@`");
        }
        return false;
    }
    if (!same_sequences(s, at, *a, *b)) return false;
    if (x.rank) *a = val_broadcast(s, *a, rank, dim, src);
    if (y.rank) *b = val_broadcast(s, *b, rank, dim, src);
    if ((*a)->kind == V_POISON || (*b)->kind == V_POISON) {
        sema_internal(s->e, at, "broadcast");
        return false;
    }
    return true;
}

/* ---- arithmetic ------------------------------------------------------------------------------------------------------- */

static const Val *fold_numbers(Scope *s, const AstExpr *x, AstOp op, const Val *a, const Val *b)
{
    double u = a->num, v = b->num, r = 0;
    bool is_int = a->is_int && b->is_int;

    switch (op) {
    case AST_ADD: r = u + v; break;
    case AST_SUB: r = u - v; break;
    case AST_MUL: r = u * v; break;
    case AST_DIV: r = u / v; is_int = false; break;
    case AST_MOD: r = u - v * floor(u / v); break;
    case AST_POW: r = pow(u, v); is_int &= v >= 0; break;
    case AST_NEG: case AST_NOT: case AST_MATMUL: case AST_EQ: case AST_NE: case AST_LT: case AST_LE: case AST_GT: case AST_GE:
    case AST_AND: case AST_OR: return NULL;
    }
    return val_num(s->e, r, is_int && fabs(r) < 1e15, x->span);
}

/* x^2 and its kin without pow: the common powers of models. */
static Ref emit_pow(Graph *g, Ref a, Ref b)
{
    double k;

    if (!const_value(g, b, &k)) return g_bin(g, OP_POW, a, b);
    if (k == 2) return g_bin(g, OP_MUL, a, a);
    if (k == 3) return g_bin(g, OP_MUL, g_bin(g, OP_MUL, a, a), a);
    if (k == 1) return a;
    if (k == 0.5) return g_un(g, OP_SQRT, a);
    if (k == -1) return g_bin(g, OP_DIV, g_const(g, 1), a);
    return g_bin(g, OP_POW, a, b);
}

static Ref emit_arith(Graph *g, AstOp op, Ref a, Ref b)
{
    switch (op) {
    case AST_ADD: return g_bin(g, OP_ADD, a, b);
    case AST_SUB: return g_bin(g, OP_SUB, a, b);
    case AST_MUL: return g_bin(g, OP_MUL, a, b);
    case AST_DIV: return g_bin(g, OP_DIV, a, b);
    case AST_MOD: return g_bin(g, OP_SUB, a, g_bin(g, OP_MUL, b, g_un(g, OP_FLOOR, g_bin(g, OP_DIV, a, b))));
    case AST_POW: return emit_pow(g, a, b);
    case AST_EQ: return g_bin(g, OP_EQ, a, b);
    case AST_NE: return g_un(g, OP_NOT, g_bin(g, OP_EQ, a, b));
    case AST_LT: return g_bin(g, OP_LT, a, b);
    case AST_LE: return g_bin(g, OP_LE, a, b);
    case AST_GT: return g_bin(g, OP_LT, b, a);
    case AST_GE: return g_bin(g, OP_LE, b, a);
    case AST_AND: return g_bin(g, OP_AND, a, b);
    case AST_OR: return g_bin(g, OP_OR, a, b);
    case AST_NEG: case AST_NOT: case AST_MATMUL: break;
    }
    return 0;
}

static const Val *result(Scope *s, const AstExpr *x, Ref r, const Val *a, const Val *b)
{
    Val *w = (Val *)val_of(s, r, x->span);
    Node n;

    if (w->kind == V_POISON) return w;
    n = val_type(w);
    if (n.rank) {
        for (int i = 0; i < n.rank; i++) w->src[i] = val_type(a).rank == n.rank ? a->src[i] : b->src[i];
    }
    return w;
}

static const Val *need_bool(Scope *s, const AstExpr *x, const Val *v)
{
    v = val_tensor(s, v);
    if (v->kind == V_POISON || val_type(v).dtype == DT_B) return v;
    if (v->flag) {
        Val *w = val_copy(s->e, v);
        w->ref = g_cast(s->level->g, v->ref, DT_B);
        return w;
    }
    if (sema_error(s->e, 308, v->span, "`%s` needs a bool; this is %s", ast_op_name(x->op), val_text(s, v)))
        diag_help(s->e->ctx, (Span){0, 0}, "compare it: `x > 0.5`");
    return &val_poison;
}

static bool is_equality(AstOp op)
{
    return op == AST_EQ || op == AST_NE;
}

/* A token meets a token of the same vocabulary, or a whole number. */
static bool token_pair(Scope *s, const AstExpr *x, const Val *a, const Val *b)
{
    if (a->vocab && b->vocab && a->vocab != b->vocab) {
        if (sema_error(s->e, 307, x->at, "%s is compared with %s", val_text(s, a), val_text(s, b))) {
            diag_note(s->e->ctx, a->span, "this is %s", val_text(s, a));
            diag_note(s->e->ctx, b->span, "this is %s", val_text(s, b));
        }
        return false;
    }
    return true;
}

const Val *eval_binary(Scope *s, const AstExpr *x, AstOp op, const Val *a, const Val *b)
{
    const char *text = ast_op_name(op);
    const Val *r;

    if (op == AST_DIV && b->kind == V_NUM && b->num == 0) {
        sema_error(s->e, 318, x->b ? x->b->span : x->span, "a division by 0");
        return &val_poison;
    }
    if (a->kind == V_NUM && b->kind == V_NUM && (r = fold_numbers(s, x, op, a, b)) != NULL) return r;
    if (op == AST_AND || op == AST_OR) {
        a = need_bool(s, x, a);
        b = need_bool(s, x, b);
    } else if (is_equality(op)) {
        a = val_tensor(s, a);
        b = val_tensor(s, b);
        if (a->kind != V_POISON && b->kind != V_POISON && !token_pair(s, x, a, b)) return &val_poison;
    } else {
        a = val_float(s, a, arena_printf(s->e->a, "`%s`", text));
        b = val_float(s, b, arena_printf(s->e->a, "`%s`", text));
    }
    if (a->kind == V_POISON || b->kind == V_POISON) return &val_poison;
    if (!broadcast_pair(s, x->at, text, &a, &b)) return &val_poison;
    return result(s, x, emit_arith(s->level->g, op, a->ref, b->ref), a, b);
}

const Val *eval_unary(Scope *s, const AstExpr *x, const Val *a)
{
    Val *w;

    if (x->op == AST_NEG && a->kind == V_NUM) return val_num(s->e, -a->num, a->is_int, x->span);
    a = x->op == AST_NOT ? need_bool(s, x, a) : val_float(s, a, "`-`");
    if (a->kind == V_POISON) return a;
    w = (Val *)val_of(s, g_un(s->level->g, x->op == AST_NOT ? OP_NOT : OP_NEG, a->ref), x->span);
    if (w->kind != V_POISON) memcpy(w->src, a->src, sizeof w->src);
    return w;
}

/* ---- products --------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t a[3], b[3], o[3]; /* 1 is summed; 9 counts the heads */
} Labels;

/* By the ranks of the operands. */
static const Labels product_labels[4][4] = {
    [1] = {[1] = {{1}, {1}, {0}}, [2] = {{1}, {1, 2}, {2}}, [3] = {{1}, {9, 1, 2}, {9, 2}}},
    [2] = {[1] = {{2, 1}, {1}, {2}}, [2] = {{2, 1}, {1, 3}, {2, 3}}, [3] = {{9, 1}, {9, 1, 2}, {9, 2}}},
    [3] = {[1] = {{9, 2, 1}, {1}, {9, 2}}, [2] = {{9, 2, 1}, {9, 1}, {9, 2}}, [3] = {{9, 2, 1}, {9, 1, 3}, {9, 2, 3}}},
};

/* Whether dims with one label agree. */
static bool labels_agree(const Labels *l, const Node *m, const Node *n)
{
    for (int i = 0; i < m->rank; i++)
        for (int k = 0; k < n->rank; k++)
            if (l->a[i] == l->b[k] && m->dim[i] != n->dim[k]) return false;
    return true;
}

static void label_sizes(Val *w, const Labels *l, const Val *a, const Val *b)
{
    for (int d = 0; d < MAX_RANK; d++)
        for (int i = 0; i < MAX_RANK && l->o[d]; i++) {
            if (l->a[i] == l->o[d] && !w->src[d]) w->src[d] = a->src[i];
            else if (l->b[i] == l->o[d] && !w->src[d]) w->src[d] = b->src[i];
        }
}

static void matmul_error(Scope *s, const AstExpr *x, const Val *a, const Val *b)
{
    Elab *e = s->e;
    Node m = val_type(a), n = val_type(b);

    if (!sema_error(e, 302, x->at, "`@` does not fit: %s @ %s", val_names(s, a), val_names(s, b))) return;
    diag_note(e->ctx, a->span, "this is %s", val_text(s, a));
    diag_note(e->ctx, b->span, "this is %s", val_text(s, b));
    note_sizes(e, a, b);
    if (m.rank == 0 || n.rank == 0) diag_help(e->ctx, (Span){0, 0}, "the product with a scalar is `*`");
    else if (m.rank + n.rank > 4 && m.rank > 1 && n.rank > 1 && m.dim[0] != n.dim[0])
        diag_help(e->ctx, (Span){0, 0}, "beside an operand of three dims the first dim of both counts the heads: [N, A, B] @ [N, B] is [N, A]");
    else if (m.rank == 2 && m.dim[0] == n.dim[0]) diag_help(e->ctx, (Span){0, 0}, "the transpose of the left operand would fit: `.T`");
    else if (n.rank == 2 && m.dim[m.rank - 1] == n.dim[1]) diag_help(e->ctx, (Span){0, 0}, "the transpose of the right operand would fit: `.T`");
}

const Val *eval_matmul(Scope *s, const AstExpr *x, const Val *a, const Val *b)
{
    Graph *g = s->level->g;
    const Labels *l;
    Node m, n;
    Val *w;

    a = val_float(s, a, "`@`");
    b = val_float(s, b, "`@`");
    if (a->kind == V_POISON || b->kind == V_POISON) return &val_poison;
    m = val_type(a);
    n = val_type(b);
    l = &product_labels[m.rank][n.rank];
    if (!l->a[0] || !labels_agree(l, &m, &n)) {
        matmul_error(s, x, a, b);
        return &val_poison;
    }
    if (!same_sequences(s, x->at, a, b)) return &val_poison;
    if (m.rank == 2 && n.rank == 1) w = (Val *)val_of(s, g_matvec(g, a->ref, b->ref), x->span);
    else w = (Val *)val_of(s, g_dot(g, a->ref, b->ref, l->a, l->b, l->o, m.axes | n.axes), x->span);
    if (w->kind != V_POISON) label_sizes(w, l, a, b);
    return w;
}
