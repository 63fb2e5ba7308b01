#include "cells.h"

typedef struct {
    Ctx *ctx;
    Module *m;
    Graph *g, *body;
    Ref capture[64];
    uint32_t ncapture;
} Make;

static Ref weight(Make *k, const char *name, int rank, int32_t d0, int32_t d1)
{
    int32_t dim[3] = {d0, d1, 0};
    uint32_t p = module_add_param(k->m, intern(k->ctx, name), rank, dim, false);

    k->capture[k->ncapture] = g_param(k->g, p);
    return g_leaf_typed(k->body, OP_CAPTURE, k->ncapture++, DT_F, rank, dim, 0);
}

static Ref affine(Make *k, const char *gate, Ref x, Ref h, int32_t I, int32_t H)
{
    char name[3] = {'W', gate[0], 0};
    Ref wx = g_matvec(k->body, weight(k, name, 2, H, I), x), uh, b;

    name[0] = 'U';
    uh = g_matvec(k->body, weight(k, name, 2, H, H), h);
    name[0] = 'b';
    b = weight(k, name, 1, H, 0);
    return g_bin(k->body, OP_ADD, g_bin(k->body, OP_ADD, wx, uh), b);
}

static Ref layer_norm(Make *k, Ref v, const char *gain)
{
    Graph *g = k->body;
    int32_t n = g->node.at[v].dim[0];
    Ref inv = g_const(g, 1.0 / n), d, s;

    d = g_bin(g, OP_SUB, v, g_bin(g, OP_MUL, g_sum(g, v, 0, 1), inv));
    s = g_bin(g, OP_MUL, g_sum(g, g_bin(g, OP_MUL, d, d), 0, 1), inv);
    d = g_bin(g, OP_DIV, d, g_un(g, OP_SQRT, g_bin(g, OP_ADD, s, g_const(g, 1e-5))));
    return g_bin(g, OP_MUL, d, weight(k, gain, 1, n, 0));
}

static Ref lstm_gates(Make *k, Ref z[4], Ref c, Ref *next_c)
{
    Graph *g = k->body;

    *next_c = g_bin(g, OP_ADD, g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[1]), c),
                    g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[0]), g_un(g, OP_TANH, z[2])));
    return g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[3]), g_un(g, OP_TANH, *next_c));
}

static Ref lstm(Make *k, Ref x, Ref h, Ref c, int32_t I, int32_t H, Ref *next_c)
{
    static const char *const gate[4] = {"i", "f", "g", "o"};
    Ref z[4];

    for (int i = 0; i < 4; i++) z[i] = affine(k, gate[i], x, h, I, H);
    return lstm_gates(k, z, c, next_c);
}

/* LN(W x) + LN(U h) + b for all gates together, then slices; LN of the new cell state too */
static Ref ln_lstm(Make *k, Ref x, Ref h, Ref c, int32_t I, int32_t H, Ref *next_c)
{
    Graph *g = k->body;
    Ref wx = layer_norm(k, g_matvec(g, weight(k, "W", 2, 4 * H, I), x), "g1");
    Ref uh = layer_norm(k, g_matvec(g, weight(k, "U", 2, 4 * H, H), h), "g2");
    Ref zz = g_bin(g, OP_ADD, g_bin(g, OP_ADD, wx, uh), weight(k, "b", 1, 4 * H, 0)), z[4];

    for (int i = 0; i < 4; i++) z[i] = g_slice(g, zz, 0, i * H, (i + 1) * H);
    (void)lstm_gates(k, z, c, next_c);
    return g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[3]), g_un(g, OP_TANH, layer_norm(k, *next_c, "g3")));
}

static Ref gru(Make *k, Ref x, Ref h, int32_t I, int32_t H)
{
    Graph *g = k->body;
    Ref z = g_un(g, OP_SIGMOID, affine(k, "z", x, h, I, H)), r = g_un(g, OP_SIGMOID, affine(k, "r", x, h, I, H));
    Ref n = g_un(g, OP_TANH, affine(k, "n", x, g_bin(g, OP_MUL, r, h), I, H));

    return g_bin(g, OP_ADD, g_bin(g, OP_MUL, g_bin(g, OP_SUB, g_const(g, 1), z), n), g_bin(g, OP_MUL, z, h));
}

/* reset after the product */
static Ref gru_after(Make *k, Ref x, Ref h, int32_t I, int32_t H)
{
    Graph *g = k->body;
    Ref z = g_un(g, OP_SIGMOID, affine(k, "z", x, h, I, H)), r = g_un(g, OP_SIGMOID, affine(k, "r", x, h, I, H));
    Ref nx = g_bin(g, OP_ADD, g_matvec(g, weight(k, "Wn", 2, H, I), x), weight(k, "bn", 1, H, 0));
    Ref nh = g_bin(g, OP_ADD, g_matvec(g, weight(k, "Un", 2, H, H), h), weight(k, "cn", 1, H, 0));
    Ref n = g_un(g, OP_TANH, g_bin(g, OP_ADD, nx, g_bin(g, OP_MUL, r, nh)));

    return g_bin(g, OP_ADD, g_bin(g, OP_MUL, g_bin(g, OP_SUB, g_const(g, 1), z), n), g_bin(g, OP_MUL, z, h));
}

/* the gates see the cell; the bias is added last */
static Ref peephole(Make *k, Ref x, Ref h, Ref c, int32_t I, int32_t H, Ref *next_c)
{
    static const char *const gate[4] = {"i", "f", "g", "o"}, *const peep[3] = {"pi", "pf", "po"};
    Graph *g = k->body;
    Ref z[4];

    for (int i = 0; i < 3; i++) z[i] = affine(k, gate[i], x, h, I, H);
    for (int i = 0; i < 2; i++) z[i] = g_bin(g, OP_ADD, z[i], g_bin(g, OP_MUL, weight(k, peep[i], 1, H, 0), c));
    *next_c = g_bin(g, OP_ADD, g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[1]), c),
                    g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[0]), g_un(g, OP_TANH, z[2])));
    z[3] = g_bin(g, OP_ADD, g_bin(g, OP_MUL, weight(k, peep[2], 1, H, 0), *next_c), affine(k, gate[3], x, h, I, H));
    return g_bin(g, OP_MUL, g_un(g, OP_SIGMOID, z[3]), g_un(g, OP_TANH, *next_c));
}

Module *cell_module(Ctx *ctx, Arena *a, Cell cell, int32_t I, int32_t H, bool ragged)
{
    static const char *const name[CELL_COUNT] = {"lstm", "layernorm", "gru", "gru_after", "peephole"};
    static const int32_t none[3] = {-1, -1, -1};
    Make k = {.ctx = ctx, .m = module_make(ctx, a, intern(ctx, name[cell]))};
    uint32_t T = module_add_axis(k.m, AXIS_TIME, intern(ctx, "T")), ncarry = cell == CELL_GRU || cell == CELL_GRU_AFTER ? 1 : 2, i, B = AX(AXIS_B);
    Ref x, h, c, hn = 0, cn = 0, zero, init[2], scan, y;

    k.g = k.m->graph.at[0];
    k.body = module_add_graph(k.m);
    if (ragged) {
        i = module_add_input(k.m, INPUT_LENGTH, intern(ctx, "len.T"), DT_I, 0, NULL, B);
        k.m->axis[T].ragged = true;
        k.m->axis[T].length = 1 + i;
    }
    i = module_add_input(k.m, INPUT_DATA, intern(ctx, "x"), DT_F, 1, &I, AX(T) | B);
    x = g_input(k.g, i);
    zero = g_expand(k.g, g_const(k.g, 0), 1, &H, none, B);
    init[0] = init[1] = zero;
    h = g_leaf_typed(k.body, OP_CARRY, 0, DT_F, 1, &H, B);
    c = ncarry > 1 ? g_leaf_typed(k.body, OP_CARRY, 1, DT_F, 1, &H, B) : 0;
    y = g_leaf_typed(k.body, OP_STEP, 0, DT_F, 1, &I, B);
    if (cell == CELL_LSTM) hn = lstm(&k, y, h, c, I, H, &cn);
    if (cell == CELL_LAYERNORM) hn = ln_lstm(&k, y, h, c, I, H, &cn);
    if (cell == CELL_GRU) hn = gru(&k, y, h, I, H);
    if (cell == CELL_GRU_AFTER) hn = gru_after(&k, y, h, I, H);
    if (cell == CELL_PEEPHOLE) hn = peephole(&k, y, h, c, I, H, &cn);
    graph_root(k.body, ROOT_NEXT, 0, hn, 0);
    if (ncarry > 1) graph_root(k.body, ROOT_NEXT, 0, cn, 1);
    y = g_matvec(k.body, weight(&k, "V", 2, 3, H), hn);
    graph_root(k.body, ROOT_STACK, 0, y, 0);
    scan = g_scan(k.g, T, false, k.body->index, init, ncarry, &x, 1, k.capture, k.ncapture);
    y = g_out(k.g, scan, 0);
    graph_root(k.g, ROOT_OUTPUT, intern(ctx, "y"), y, 0);
    y = g_sum(k.g, g_bin(k.g, OP_MUL, y, y), AX(T) | B, 1);
    graph_root(k.g, ROOT_LOSS, 0, g_bin(k.g, OP_MUL, y, g_const(k.g, 0.5)), 0);
    return k.m;
}
