/* test_graph: builder (folding, sharing, types), text round trip, the verifier (every rule has a graph that breaks it).
   The evaluator and dead code: graph_eval.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/graph_test.h"

int passed, failed;
Ctx *ctx;
Arena arena;
Module *m;
Graph *g;

void check(bool ok, const char *what) {
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAILED %s\n", what);
    }
}

Module *fresh(void) {
    m = module_make(ctx, &arena, intern(ctx, "test"));
    g = m->graph.at[0];
    return m;
}

Name nm(const char *s) { return intern(ctx, s); }

uint32_t input(const char *name, DType dt, uint32_t axes, int rank, int32_t d0, int32_t d1) {
    return module_add_input(m, INPUT_DATA, nm(name), dt, rank, (int32_t[]){d0, d1, 0}, axes);
}

/* a time axis; ragged ones get the input len.NAME */
uint32_t time_axis(const char *name, bool ragged) {
    uint32_t t = module_add_axis(m, AXIS_TIME, nm(name));
    if (!ragged) return t;
    m->axis[t].ragged = true;
    m->axis[t].length = 1 + module_add_input(m, INPUT_LENGTH, intern_printf(ctx, "len.%s", name), DT_I, 0, NULL, AX(AXIS_B));
    return t;
}

/* ---- builder ---------------------------------------------------------------------------------------------------------- */

static void test_fold_elementwise(void) {
    fresh();
    Ref x = g_input(g, input("x", DT_F, 1, 1, 4, 0)), y = g_input(g, input("y", DT_F, 1, 1, 4, 0));
    Ref zero = g_const(g, 0), one = g_const(g, 1), s = g_input(g, input("s", DT_F, 1, 0, 0, 0));
    double v;

    check(g_const(g, 1) == one, "constants are shared");
    check(g_bin(g, OP_ADD, x, y) == g_bin(g, OP_ADD, y, x), "a + b is b + a");
    check(g_bin(g, OP_SUB, x, y) != g_bin(g, OP_SUB, y, x), "a - b is not b - a");
    check(g_bin(g, OP_ADD, x, zero) == x && g_bin(g, OP_ADD, zero, x) == x, "x + 0");
    check(g_bin(g, OP_MUL, one, x) == x && g_bin(g, OP_DIV, x, one) == x, "1 * x, x / 1");
    check(g_bin(g, OP_SUB, x, zero) == x && g_bin(g, OP_SUB, zero, x) == g_un(g, OP_NEG, x), "x - 0, 0 - x");
    check(g_un(g, OP_NEG, g_un(g, OP_NEG, x)) == x, "--x");
    check(g_bin(g, OP_POW, x, g_const(g, 2)) == g_bin(g, OP_MUL, x, x), "x ^ 2");
    check(g_bin(g, OP_ADD, x, g_un(g, OP_NEG, y)) == g_bin(g, OP_SUB, x, y), "x + -y");
    Ref z = g_bin(g, OP_MUL, zero, x);
    check(const_value(g, z, &v) && v == 0 && g->node.at[z].rank == 1 && g->node.at[z].axes == 1, "0 * x is 0, of x's type");
    check(g_bin(g, OP_ADD, s, z) != s && g->node.at[g_bin(g, OP_ADD, s, z)].rank == 1, "adding a wide 0 keeps the type");
    check(g_bin(g, OP_ADD, x, z) == x, "adding an expanded 0");
    check(const_value(g, g_bin(g, OP_ADD, g_const(g, 2), g_const(g, 3)), &v) && v == 5, "2 + 3");
    check(const_value(g, g_un(g, OP_EXP, zero), &v) && v == 1, "exp 0");
    check(const_value(g, g_bin(g, OP_DIV, g_int(g, -7), g_int(g, 2)), &v) && v == -3, "int division");
    check(const_value(g, g_bin(g, OP_ADD, g_int(g, INT32_MAX), g_int(g, 1)), &v) && v == INT32_MIN, "int wraps");
    check(g_cast(g, x, DT_F) == x && const_value(g, g_cast(g, g_const(g, 2.7), DT_I), &v) && v == 2, "casts");
    Ref c = g_bin(g, OP_LT, x, y);
    check(g_un(g, OP_NOT, g_un(g, OP_NOT, c)) == c && g->node.at[c].dtype == DT_B, "not not");
    check(g_select(g, g_bool(g, true), x, y) == x && g_select(g, c, x, x) == x, "select");
    check(g_select(g, g_un(g, OP_NOT, c), x, y) == g_select(g, c, y, x), "select not");
    check(g_bin(g, OP_AND, c, g_bool(g, true)) == c && const_value(g, g_bin(g, OP_AND, c, g_bool(g, false)), &v) && v == 0,
          "and");
    Ref i = g_int(g, 3);
    check(g->node.at[g_bin(g, OP_MUL, x, i)].dtype == DT_F, "an int operand is cast");
    Ref wide = g_broadcast(g, s, 1, (int32_t[]){4});
    check(g->node.at[wide].op == OP_EXPAND && g_bin(g, OP_MUL, x, wide) == g_bin(g, OP_MUL, x, s),
          "expand of a scalar is dropped");
    check(g_un(g, OP_STOP, g_un(g, OP_STOP, x)) == g_un(g, OP_STOP, x) && g_bin(g, OP_SUB, g_un(g, OP_STOP, x), x) != zero,
          "stop");
    check(g_bin(g, OP_ADD, x, 0) == 0 && g_un(g, OP_EXP, 0) == 0, "0 propagates");
    check(module_verify(m, "test"), "folded graph verifies");
}

static void test_fold_shapes(void) {
    fresh();
    Ref x = g_input(g, input("x", DT_F, 1, 2, 4, 6)), y = g_input(g, input("y", DT_F, 1, 2, 4, 6)), part[2] = {x, y}, r;
    uint32_t swap[3] = {1, 0, 0}, same[3] = {0, 1, 2};
    double v;

    check(g_transpose(g, x, same) == x && g_transpose(g, g_transpose(g, x, swap), swap) == x, "transposes");
    check(g_reshape(g, x, 2, (int32_t[]){4, 6}) == x, "reshape to itself");
    check(g_reshape(g, g_reshape(g, x, 1, (int32_t[]){24}), 2, (int32_t[]){4, 6}) == x, "reshape and back");
    check(g_slice(g, x, 1, 0, 6) == x, "slice of all");
    check(g_slice(g, g_slice(g, x, 1, 1, 5), 1, 1, 3) == g_slice(g, x, 1, 2, 4), "slice of a slice");
    check(g_slice(g, g_concat(g, part, 2, 1), 1, 7, 9) == g_slice(g, y, 1, 1, 3), "slice of a concat");
    check(g_slice(g, g_pad(g, x, 0, 2, 3), 0, 2, 6) == x, "slice of a pad");
    r = g_slice(g, g_pad(g, x, 0, 2, 3), 0, 0, 2);
    check(const_value(g, r, &v) && v == 0 && g->node.at[r].dim[0] == 2, "slice of the zeros of a pad");
    check(g_pad(g, x, 0, 0, 0) == x && g_concat(g, part, 1, 0) == x, "pad by 0, concat of one");
    part[0] = g_slice(g, x, 1, 0, 2);
    part[1] = g_slice(g, x, 1, 2, 6);
    check(g_concat(g, part, 2, 1) == x, "concat of slices");
    check(g_sum(g, x, 0, 0) == x, "sum over nothing");
    Ref row = g_input(g, input("row", DT_F, 1, 1, 6, 0)), e = g_broadcast(g, row, 2, (int32_t[]){4, 6});
    check(g_sum(g, e, 0, 1) == g_bin(g, OP_MUL, row, g_const(g, 4)), "sum of an expand");
    check(g_broadcast(g, g_broadcast(g, row, 2, (int32_t[]){1, 6}), 2, (int32_t[]){4, 6}) == e, "expand of an expand");
    check(g_expand_axes(g, x, AX(AXIS_B)) == x, "expand to itself");
    check(g_slice(g, x, 1, 4, 4) == 0 && g_slice(g, x, 2, 0, 1) == 0, "bad slices are refused");
    const char *why = NULL;
    check(!graph_emit(g, &(Node){.op = OP_ADD, .in = {x, row}}, &why) && why, "a type error says why");
    Node n = {.op = OP_SUM, .in = {x}, .attr = graph_attr(g, (uint32_t[]){AX(3), 0}, 2)};
    check(!graph_emit(g, &n, &why), "sum over an axis that is not there");
    check(module_verify(m, "test"), "shapes verify");
}

static void test_dot_types(void) {
    fresh();
    uint32_t T = time_axis("T", false), w = module_add_param(m, nm("W"), 2, (int32_t[]){3, 4}, false);
    Ref W = g_param(g, w), x = g_input(g, input("x", DT_F, AX(T) | 1, 1, 4, 0));
    Ref dy = g_input(g, input("dy", DT_F, AX(T) | 1, 1, 3, 0)), y = g_matvec(g, W, x);
    static const uint8_t i[3] = {1}, o[3] = {2}, oi[3] = {2, 1}, i2[3] = {7}, o2[3] = {4}, oi2[3] = {4, 7}, none[3] = {0};

    check(g->node.at[y].rank == 1 && g->node.at[y].dim[0] == 3 && g->node.at[y].axes == (AX(T) | 1), "type of a product");
    check(g_dot(g, x, W, i2, oi2, o2, AX(T) | 1) == y, "labels are canonical");
    check(dot_classify(g, y).kind == DOT_PRODUCT && dot_classify(g, y).nk == 1, "product");
    Ref dW = g_dot(g, dy, x, o, i, oi, 0);
    check(g->node.at[dW].rank == 2 && dot_classify(g, dW).kind == DOT_GRADIENT, "gradient");
    check(dot_classify(g, g_dot(g, dy, x, o, i, oi, AX(T) | 1)).kind == DOT_OUTER, "outer");
    check(dot_classify(g, g_dot(g, x, x, i, i, none, AX(T) | 1)).kind == DOT_OTHER, "other");
    Ref s = g_dot(g, x, W, i, oi, none, 0); /* B, T and o in one operand only: summed first */
    check(s && g->node.at[s].rank == 0 && g->node.at[g->node.at[s].in[0]].op == OP_SUM, "sums before a dot");
    DotInfo d = dot_classify(g, g_matvec(g, W, x));
    check(!d.swapped && d.m_axes == (AX(T) | 1) && d.nn == 1, "left is the one with rows");
    check(module_verify(m, "test"), "dots verify");
}
/* ---- text ------------------------------------------------------------------------------------------------------------- */

static const char sample[] =
    "module lstm\n"
    "axis 0 B batch\n"
    "axis 1 T time length(len.x)\n"
    "axis 2 K count 4\n"
    "param 0 h.W [64,32] @0 init %1\n"
    "param 1 \"odd name\" [64,64] @2048 const file\n"
    "input 0 x data f<T,B>[32] vocab 7\n"
    "input 1 len.x lengths i<B>[]\n"
    "input 2 lr scalar f[] value 0.1\n"
    "state 0 h f<B>[64]\n"
    "graph model { // a comment\n"
    "  %1 = input x : f<T,B>[32]  %2 = param h.W : f[64,32]  %3 = param \"odd name\" : f[64,64]\n"
    "  %4 = const 0 : f[]  %5 = expand %4 : f<B>[64]\n"
    "  %6 = scan T fwd @1 carry(%5) step(%1) capture(%2,%3)\n"
    "  %7 = out %6 0 : f<T,B>[64] as y  %8 = sum %7 <T,B> {0} %9 = noise normal stream 3 per(T) : f<T,B>[]\n"
    "  %20 = transpose %2 {1,0} %21 = slice %7 {0} 1 5 %22 = pad %21 {0} 1 2 %23 = concat (%21,%22) {0}\n"
    "  %24 = shift %1 %25 T -1\n" /* replaced below */
    "  output \"y\" %7  loss %8\n"
    "}\n"
    "graph 1 { %1 = carry 0 : f<B>[64]  %2 = step 0 : f<B>[32]  %3 = capture 0 : f[64,32]\n"
    "  %4 = capture 1 : f[64,64]  %5 = dot %2 %3 {i,oi->o} : f<B>[64]  %6 = dot %1 %4 {i,oi->o} : f<B>[64]\n"
    "  %7 = add %5 %6  %8 = tanh %7  next %8  stack %8 }\n"
    "init { %1 = noise normal stream 1 : f[64,32]  value 0 %1 }\n";

static const char *text_for_verify(void);

static Module *parse(const char *text) {
    const Source *s = source_add(ctx, "test.ir", text, strlen(text));
    return s ? module_parse(ctx, &arena, s) : NULL;
}

bool round_trip(const Module *a, const char *what) {
    Str one = str_make(&arena), two = str_make(&arena);
    module_print(&one, a);
    Module *b = parse(one.at);
    if (b) module_print(&two, b);
    bool ok = b && two.at && !strcmp(one.at, two.at);
    check(ok, what);
    if (!ok) printf("%s\n---- %s\n", one.at, two.at ? two.at : "does not parse");
    return ok;
}

void show_diags(void) {
    Str s = str_make(&arena);
    if (!diag_count(ctx)) return;
    diag_render(ctx, &s, false);
    printf("%s", s.at);
    diag_clear(ctx);
}

static void test_text(void) {
    char *text = arena_strdup(&arena, sample), *cut = strstr(text, "  %24");
    memset(cut, ' ', strlen("  %24 = shift %1 %25 T -1"));
    Module *a = parse(text);
    check(a != NULL, "the sample parses");
    show_diags();
    if (a) {
        check(module_verify(a, "parse"), "the sample verifies");
        show_diags();
        round_trip(a, "the sample prints and parses to itself");
        Str d = str_make(&arena);
        module_dot(&d, a);
        check(strstr(d.at, "digraph") != NULL, "graphviz");
    }
    check(!parse(sample) && diag_error_count(ctx) == 1 && diag_at(ctx, 0)->code == 721 && diag_at(ctx, 0)->span.lo,
          "an undefined value");
    diag_clear(ctx);
    /* every prefix fails cleanly or parses */
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i += 3) {
        char *part = arena_strndup(&arena, text, i);
        if (!parse(part)) check(diag_error_count(ctx) == 1, "a cut text gives one diagnostic");
        diag_clear(ctx);
    }
    static const char *const bad[] = {"",
                                      "module",
                                      "module x axis 1 T what",
                                      "module x graph model { %1 = foo }",
                                      "module x graph model { %1 = const } ",
                                      "module x graph model { %1 = const 1 %2 = add %1 %1 : f[1,2,3,4] }",
                                      "module x graph 2 { }",
                                      "module x param 0 a [2] @0 init %3 init { }",
                                      "module x graph model { loss %99999999 }",
                                      "module x input 0 a data f<T>[]",
                                      "module x graph model { %1 = reshape %1 }",
                                      "module x \"",
                                      "module x %"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check(!parse(bad[i]) && diag_error_count(ctx) == 1, bad[i]);
        diag_clear(ctx);
    }
}

/* Damaged texts: whatever still parses and verifies must print and parse to itself. */
static void test_text_damaged(void) {
    uint32_t seed = 1, good = 0;
    for (int k = 0; k < 3000; k++) {
        char *text = arena_strdup(&arena, text_for_verify());
        size_t n = strlen(text);
        for (int j = 0; j < 1 + (k & 1); j++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = (seed >> 10) % n;
            seed = seed * 1664525u + 1013904223u;
            text[at] = "0123456789%,<>[]{}()TBKxfib- "[(seed >> 16) % (k & 2 ? 29 : 10)];
        }
        Module *a = parse(text);
        if (a && module_verify(a, "damage")) {
            Str one = str_make(&arena), two = str_make(&arena);
            module_print(&one, a);
            Module *b = parse(one.at);
            if (b) module_print(&two, b);
            if (!b || strcmp(one.at, two.at)) check(false, one.at);
            good++;
        }
        diag_clear(ctx);
    }
    check(good > 10, "some damage is harmless");
}

/* ---- the verifier ----------------------------------------------------------------------------------------------------- */

static Module *broken; /* the sample, parsed again for each rule */
static Graph *bg, *bb;

static Node *bnode(Graph *gr, Op op) {
    for (Ref r = 1; r < gr->node.n; r++)
        if (gr->node.at[r].op == op) return &gr->node.at[r];
    return NULL;
}

static uint32_t *bword(Graph *gr, Op op) { return gr->attr.at + bnode(gr, op)->attr; }

static const char *text_for_verify(void) {
    char *text = arena_strdup(&arena, sample), *cut = strstr(text, "  %24");
    memcpy(cut, "%24=const 2 %25=mul %7 %24", strlen("%24=const 2 %25=mul %7 %24"));
    return text;
}

#define BREAK(what, ...) \
    do { \
        broken = parse(text_for_verify()); \
        check(broken &&module_verify(broken, "parse"), "the base is fine"); \
        if (!broken) break; \
        bg = broken->graph.at[0]; \
        bb = broken->graph.at[1]; \
        __VA_ARGS__; \
        check(!module_verify(broken, "a test") && diag_error_count(ctx) > 0 && diag_at(ctx, 0)->code == 999 && \
                  strstr(diag_at(ctx, 0)->text, "a test"), \
              what); \
        diag_clear(ctx); \
    } while (0)

static void test_verify_nodes(void) {
    BREAK("operand after its user", bnode(bg, OP_MUL)->in[0] = bg->node.n - 1);
    BREAK("operand 0", bnode(bg, OP_MUL)->in[0] = 0);
    BREAK("no such op", bnode(bg, OP_MUL)->op = OP_COUNT);
    BREAK("dim of 0", bnode(bg, OP_MUL)->dim[0] = 0);
    BREAK("unused dim set", bnode(bg, OP_MUL)->dim[2] = 1);
    BREAK("axis that is not there", bnode(bg, OP_MUL)->axes |= AX(9));
    BREAK("attr out of range", bnode(bg, OP_SUM)->attr = 100000);
    BREAK("elementwise axes", bnode(bg, OP_MUL)->axes = 1);
    BREAK("elementwise dims", bnode(bg, OP_MUL)->dim[0] = 63);
    BREAK("elementwise rank", bnode(bg, OP_MUL)->rank = 0; bnode(bg, OP_MUL)->dim[0] = 0);
    BREAK("elementwise dtype", bnode(bg, OP_MUL)->dtype = DT_I);
    BREAK("operands of two dtypes", bnode(bg, OP_CONST)->dtype = DT_I);
    BREAK("const with dims", bnode(bg, OP_CONST)->rank = 1; bnode(bg, OP_CONST)->dim[0] = 1);
    BREAK("param type", bnode(bg, OP_PARAM)->dim[0] = 1);
    BREAK("param index", bnode(bg, OP_PARAM)->attr = 10);
    BREAK("input type", bnode(bg, OP_INPUT)->axes = 1);
    BREAK("param in a body", bnode(bb, OP_CAPTURE)->op = OP_PARAM);
    BREAK("carry in the model", bnode(bg, OP_INPUT)->op = OP_CARRY);
    BREAK("noise kind", bword(bg, OP_NOISE)[0] = 9);
    BREAK("noise axes", bword(bg, OP_NOISE)[2] = AX(2));
    BREAK("noise over B", bword(bg, OP_NOISE)[2] = 1);
    BREAK("orthogonal noise in the model", bword(bg, OP_NOISE)[0] = NOISE_ORTHOGONAL);
    BREAK("sum axes", bword(bg, OP_SUM)[0] = AX(2));
    BREAK("sum dims", bword(bg, OP_SUM)[1] = 2);
    BREAK("sum of nothing", bword(bg, OP_SUM)[0] = 0; bword(bg, OP_SUM)[1] = 0);
    BREAK("sum type", bnode(bg, OP_SUM)->axes = 1);
    BREAK("sum dtype", bnode(bg, OP_SUM)->dtype = DT_I);
    BREAK("dot labels", bword(bb, OP_DOT)[0] = 0);
    BREAK("dot sizes", bword(bb, OP_DOT)[3] = 1; bword(bb, OP_DOT)[4] = 2);
    BREAK("dot twice", bword(bb, OP_DOT)[3] = 1);
    BREAK("dot kept axes", bword(bb, OP_DOT)[9] = 0);
    BREAK("dot result", bnode(bb, OP_DOT)->dim[0] = 32);
    BREAK("transpose", bword(bg, OP_TRANSPOSE)[0] = 0);
    BREAK("slice range", bword(bg, OP_SLICE)[2] = 65);
    BREAK("slice dims", bword(bg, OP_SLICE)[1] = 2);
    BREAK("pad", bword(bg, OP_PAD)[1] = 2);
    BREAK("concat", bnode(bg, OP_CONCAT)->attr = 1);
    BREAK("concat size", bnode(bg, OP_CONCAT)->dim[0] = 5);
    BREAK("expand map", bword(bg, OP_EXPAND)[0] = 0);
    BREAK("expand axes", bword(bg, OP_EXPAND)[3] = 0);
    broken = parse("module m theta 0 axis 0 B batch input 0 x data f<B>[4] graph model { %1 = input x : f<B>[4] %2 = argmax %1 {0} : i<B>[] output \"y\" %2 } init { }");
    check(broken && module_verify(broken, "parse"), "argmax");
    bnode(broken->graph.at[0], OP_ARGMAX)->attr = 32;
    check(!module_verify(broken, "a test"), "argmax over a dim past 31");
    diag_clear(ctx);
}

static void test_verify_scans(void) {
    BREAK("scan axis", bword(bg, OP_SCAN)[0] = 0);
    BREAK("scan direction", bword(bg, OP_SCAN)[1] = 2);
    BREAK("scan body", bword(bg, OP_SCAN)[2] = 5);
    BREAK("scan counts", bword(bg, OP_SCAN)[3] = 2);
    BREAK("step without the axis", bg->ext.at[bnode(bg, OP_SCAN)->in[0] + 1] = bnode(bg, OP_SCAN)->in[0] ? 5 : 5);
    BREAK("carry type", bnode(bb, OP_CARRY)->axes = 0);
    BREAK("step type", bnode(bb, OP_STEP)->dim[0] = 31);
    BREAK("capture index", bnode(bb, OP_CAPTURE)->attr = 2);
    BREAK("next missing", bb->root.n = 0);
    BREAK("next order", bb->root.at[0].index = 1);
    BREAK("next type", bb->root.at[0].ref = 2);
    BREAK("root kind of a body", bb->root.at[1].kind = ROOT_OUTPUT);
    BREAK("last of no carry", bb->root.at[1] = (Root){.kind = ROOT_LAST, .index = 3});
    BREAK("out index", bnode(bg, OP_OUT)->attr = 1);
    BREAK("out type", bnode(bg, OP_OUT)->axes = 1);
    BREAK("out of no scan", bnode(bg, OP_OUT)->in[0] = 1);
    BREAK("somebody reads a scan", bnode(bg, OP_MUL)->in[0] = bnode(bg, OP_OUT)->in[0]);
}

static void test_verify_tables(void) {
    BREAK("root without a value", bg->root.at[0].ref = 0);
    BREAK("body root in the model", bg->root.at[0].kind = ROOT_STACK);
    BREAK("loss type", bg->root.at[1].ref = bg->root.at[0].ref);
    BREAK("gradient type", bg->root.at[1].kind = ROOT_GRAD_PARAM);
    BREAK("state index", bg->root.at[1].kind = ROOT_FINAL; bg->root.at[1].index = 4);
    BREAK("lengths", broken->axis[1].length = 1);
    BREAK("no lengths", broken->axis[1].length = 0);
    BREAK("join", broken->axis[2].kind = AXIS_JOIN; broken->axis[2].a = 2);
    BREAK("second batch", broken->axis[2].kind = AXIS_BATCH);
    BREAK("param offset", broken->param.at[1].offset = 2047);
    BREAK("theta size", broken->theta_size--);
    BREAK("param init", broken->param.at[0].init = 7);
    BREAK("init type", broken->init->node.at[1].dim[0] = 63);
    BREAK("axes in init", broken->init->node.at[1].axes = 1);
    BREAK("init root", broken->init->root.at[0].kind = ROOT_OUTPUT);
    BREAK("state type", broken->state.at[0].input = 1);
    BREAK("graph index", bb->index = 0);
}

/* time and index operations, built and then bent */
static void test_verify_time(void) {
    for (int k = 0; k < 12; k++) {
        start(2, 2);
        uint32_t T = time_axis("T", true), S = time_axis("S", false), J = module_add_axis(m, AXIS_JOIN, nm("J"));
        m->axis[J].a = T;
        m->axis[J].b = S;
        m->axis[J].ragged = true;
        Ref x = g_input(g, input("x", DT_F, AX(T) | 1, 1, 2, 0)), y = g_input(g, input("y", DT_F, AX(S) | 1, 1, 2, 0));
        Ref i = g_input(g, input("i", DT_I, 1, 0, 0, 0)), fill = g_const(g, 1);
        Ref shift = g_shift(g, x, fill, T, 1), last = g_last(g, x, T), join = g_join(g, x, y, T, S, J),
            ga = g_gather(g, last, i);
        Ref sc = g_scatter_add(g, i, ga, 2, 1), sel = g_select(g, g_bin(g, OP_LT, i, g_int(g, 3)), x, last),
            am = g_argmax(g, x, 0);
        Node *n = g->node.at;
        check(module_verify(m, "test"), "time verifies");
        if (k == 0) n[shift].in[1] = fill;
        if (k == 1) g->attr.at[n[shift].attr] = S;
        if (k == 2) n[last].axes |= AX(T);
        if (k == 3) g->attr.at[n[join].attr] = S;
        if (k == 4) n[join].dim[0] = 3;
        if (k == 5) n[ga].attr = 5;
        if (k == 6) n[ga].dtype = DT_I;
        if (k == 7) n[sc].axes = 0;
        if (k == 8) n[sc].in[0] = ga;
        if (k == 9) n[sel].in[0] = i;
        if (k == 10) n[am].attr = 1;
        if (k == 11) n[am].dtype = DT_F;
        check(!module_verify(m, "bent"), arena_printf(&arena, "time rule %d", k));
        diag_clear(ctx);
    }
}

/* ---- memory running out ----------------------------------------------------------------------------------------------- */

static long allowance, held;

static void *scarce(void *arg, void *p, size_t n) {
    (void)arg;
    if (n == 0) {
        held -= p != NULL;
        free(p);
        return NULL;
    }
    if (allowance-- <= 0) return NULL;
    held += p == NULL;
    return realloc(p, n);
}

/* Parse, copy, clean, print, evaluate with the n-th allocation failing: always a clean end with nothing left. */
static void test_out_of_memory(void) {
    const char *text = text_for_verify();
    Ctx *outer = ctx;
    Arena outer_arena = arena;
    static double x[2 * 2 * 32], w[64 * 64];
    bool done = false;
    for (long n = 0; n < 400 && !done; n++) {
        CtxFrame frame;
        allowance = n;
        held = 0;
        ctx = ctx_make(&(Allocator){scarce, NULL});
        if (!ctx) continue;
        arena = arena_make(ctx);
        if (CTX_TRY(ctx, &frame)) {
            Module *a = parse(text), *c = a ? module_copy(a, &arena) : NULL;
            const double *result[4], *const lens = (const double[]){2, 1}, *ins[3] = {x, lens, NULL}, *params[2] = {w, w};
            EvalIn e = {.axis = {2, 2}, .param = params, .input = ins};
            Str s = str_make(&arena);
            if (c) {
                module_dce(c);
                module_print(&s, c);
                done = module_verify(c, "test") && module_eval(c, &arena, &e, result);
            }
            CTX_END(ctx);
        }
        arena_free(&arena);
        ctx_destroy(ctx);
        if (held) break;
    }
    ctx = outer;
    arena = outer_arena;
    check(done && held == 0, "out of memory at every allocation ends cleanly");
}

int main(void) {
    CtxFrame frame;
    ctx = ctx_make(NULL);
    if (!ctx) return 1;
    arena = arena_make(ctx);
    if (CTX_TRY(ctx, &frame)) {
        test_fold_elementwise();
        test_fold_shapes();
        test_dot_types();
        test_eval_elementwise();
        test_eval_reduce();
        test_eval_dot();
        test_eval_shape();
        test_eval_index();
        test_eval_time();
        test_eval_scan();
        round_trip(m, "scans round trip");
        test_eval_nested();
        round_trip(m, "nested scans round trip");
        test_eval_draws();
        test_noise();
        round_trip(m, "noise round trip");
        test_init();
        test_text();
        test_text_damaged();
        test_dce();
        test_out_of_memory();
        test_verify_nodes();
        test_verify_scans();
        test_verify_tables();
        test_verify_time();
        show_diags();
        CTX_END(ctx);
    } else {
        failed++;
    }
    arena_free(&arena);
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
