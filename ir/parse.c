/* The textual form of a module back into arrays, exactly: no folding, no sharing, the numbers kept in order (they may have
   gaps). A type may be left out where the operation implies it. The result is not yet verified. Format: ir/print.c. */
#include <string.h>

#include "ir/build.h"
#include "ir/irlex.h"
#include "ir/text.h"

typedef struct {
    Lex l;
    Module *m;
    Graph *g;
    VEC(Ref) map;  /* number in the text -> Ref of g */
    VEC(Ref) list; /* operands of a scan or concat */
    Pin *pin;      /* of g, by Ref */
    struct {
        Name name;
        uint32_t index;
        Span span;
    } length[MAX_AXES]; /* resolved when the inputs are known */
} Parse;

/* ---- pieces ----------------------------------------------------------------------------------------------------------- */

static Ref operand(Parse *p) {
    Span span = lex_span(&p->l);
    uint32_t n = lex_ref(&p->l);

    if (p->l.failed) return 0;
    if (n < p->map.n && p->map.at[n]) return p->map.at[n];
    diag_error(p->m->ctx, 721, span, "value %%%u is not defined above", n);
    p->l.failed = true;
    p->l.kind = TOK_END;
    return 0;
}

static void operands(Parse *p) {
    lex_expect(&p->l, "(");
    while (!p->l.failed && !lex_is(&p->l, ")")) {
        Ref r = operand(p);
        VEC_PUSH(p->m->arena, p->list) = r;
        if (!lex_accept(&p->l, ",")) break;
    }
    lex_expect(&p->l, ")");
}

static uint32_t index_below(Parse *p, uint32_t n) {
    uint32_t i = (uint32_t)p->l.number;

    if (i >= n)
        lex_fail(&p->l, 721, "no such index");
    else
        lex_next(&p->l);
    return p->l.failed ? 0 : i;
}

static uint32_t axis(Parse *p) {
    Module *m = p->m;

    if (p->l.kind == TOK_INDEX) return index_below(p, m->naxis);
    if (p->l.kind == TOK_WORD || p->l.kind == TOK_STRING)
        for (uint32_t i = 0; i < m->naxis; i++)
            if (!strcmp(name_str(m->ctx, m->axis[i].name), p->l.text)) {
                lex_next(&p->l);
                return i;
            }
    lex_fail(&p->l, 721, "expected an axis");
    return 0;
}

static uint32_t axes(Parse *p, const char *open, const char *close) {
    uint32_t set = 0;

    if (!lex_accept(&p->l, open)) return 0;
    do set |= AX(axis(p));
    while (lex_accept(&p->l, ","));
    lex_expect(&p->l, close);
    return set;
}

static uint8_t dims(Parse *p, int32_t dim[MAX_RANK]) {
    uint8_t rank = 0;

    memset(dim, 0, MAX_RANK * sizeof *dim);
    lex_expect(&p->l, "[");
    while (!p->l.failed && !lex_is(&p->l, "]")) {
        if (rank == MAX_RANK) {
            lex_fail(&p->l, 720, "more than %d dims", MAX_RANK);
            break;
        }
        dim[rank++] = (int32_t)lex_int(&p->l, 1, INT32_MAX);
        if (!lex_accept(&p->l, ",")) break;
    }
    lex_expect(&p->l, "]");
    return rank;
}

static void type(Parse *p, uint8_t *dtype, uint8_t *rank, int32_t *dim, uint32_t *set) {
    static const char *const word[] = {"f", "i", "b"};

    *dtype = (uint8_t)lex_one_of(&p->l, word, 3);
    *set = axes(p, "<", ">");
    *rank = dims(p, dim);
}

static uint32_t brace_index(Parse *p) {
    uint32_t i;

    lex_expect(&p->l, "{");
    i = (uint32_t)lex_int(&p->l, 0, MAX_RANK - 1);
    lex_expect(&p->l, "}");
    return i;
}

static uint32_t param_index(Parse *p) {
    Name name;

    if (p->l.kind == TOK_INDEX) return index_below(p, p->m->param.n);
    name = p->l.kind == TOK_WORD || p->l.kind == TOK_STRING ? intern(p->m->ctx, p->l.text) : 0;
    for (uint32_t i = 0; i < p->m->param.n; i++)
        if (p->m->param.at[i].name == name) {
            lex_next(&p->l);
            return i;
        }
    lex_fail(&p->l, 721, "no such parameter");
    return 0;
}

static uint32_t input_index(Parse *p) {
    Name name;

    if (p->l.kind == TOK_INDEX) return index_below(p, p->m->input.n);
    name = p->l.kind == TOK_WORD || p->l.kind == TOK_STRING ? intern(p->m->ctx, p->l.text) : 0;
    for (uint32_t i = 0; i < p->m->input.n; i++)
        if (p->m->input.at[i].name == name) {
            lex_next(&p->l);
            return i;
        }
    lex_fail(&p->l, 721, "no such input");
    return 0;
}

/* ---- attributes ------------------------------------------------------------------------------------------------------- */

static void words(Parse *p, Node *n, const uint32_t *w) { n->attr = graph_attr(p->g, w, op_words((Op)n->op)); }

static void leaf_attr(Parse *p, Node *n) {
    uint32_t w[3] = {0, 0, 0};
    uint64_t bits;
    double v;

    if (n->op == OP_CONST) {
        v = lex_double(&p->l);
        memcpy(&bits, &v, sizeof bits);
        w[0] = (uint32_t)bits;
        w[1] = (uint32_t)(bits >> 32);
        words(p, n, w);
    } else if (n->op == OP_PARAM) {
        n->attr = param_index(p);
    } else if (n->op == OP_INPUT) {
        n->attr = input_index(p);
    } else if (n->op == OP_NOISE) {
        w[0] = (uint32_t)lex_one_of(&p->l, noise_kind_text, 3);
        lex_expect(&p->l, "stream");
        w[1] = (uint32_t)lex_int(&p->l, 0, UINT32_MAX);
        if (lex_accept(&p->l, "per")) w[2] = axes(p, "(", ")");
        words(p, n, w);
    } else if (n->op == OP_IOTA) {
        if (p->l.kind == TOK_WORD || p->l.kind == TOK_STRING || p->l.kind == TOK_INDEX) n->attr = 1 + axis(p);
    } else if (n->op == OP_LENGTH) {
        n->attr = axis(p);
    } else {
        n->attr = (uint32_t)lex_int(&p->l, 0, UINT32_MAX);
    }
}

static void reduce_attr(Parse *p, Node *n) {
    uint32_t w[2] = {0, 0};

    if (n->op == OP_ARGMAX) {
        n->attr = brace_index(p);
        return;
    }
    w[0] = axes(p, "<", ">");
    if (lex_accept(&p->l, "{")) {
        do w[1] |= 1u << lex_int(&p->l, 0, MAX_RANK - 1);
        while (lex_accept(&p->l, ","));
        lex_expect(&p->l, "}");
    }
    words(p, n, w);
}

static void labels(Parse *p, uint32_t *w) {
    uint32_t k = 0;

    if (p->l.kind != TOK_WORD) return;
    for (const char *s = p->l.text; *s; s++) {
        const char *at = strchr(label_text + 1, *s);
        if (!at || k == 3) {
            lex_fail(&p->l, 720, "the labels of a dot are up to 3 of '%s'", label_text + 1);
            return;
        }
        w[k++] = (uint32_t)(at - label_text);
    }
    lex_next(&p->l);
}

static void dot_attr(Parse *p, Node *n) {
    uint32_t w[10] = {0};

    lex_expect(&p->l, "{");
    labels(p, w);
    lex_expect(&p->l, ",");
    labels(p, w + 3);
    if (p->l.kind != TOK_ARROW)
        lex_fail(&p->l, 720, "expected '->'");
    else
        lex_next(&p->l);
    labels(p, w + 6);
    lex_expect(&p->l, "}");
    w[9] = p->g->node.at[n->in[0]].axes | p->g->node.at[n->in[1]].axes; /* until the type says it */
    words(p, n, w);
}

static void shape_attr(Parse *p, Node *n) {
    uint32_t w[4] = {0, 0, 0, 0};

    if (n->op == OP_CONCAT) {
        n->attr = brace_index(p);
    } else if (n->op == OP_SLICE || n->op == OP_PAD) {
        w[0] = brace_index(p);
        w[1] = (uint32_t)lex_int(&p->l, 0, INT32_MAX);
        w[2] = (uint32_t)lex_int(&p->l, 0, INT32_MAX);
        words(p, n, w);
    } else if (n->op == OP_TRANSPOSE || n->op == OP_EXPAND) {
        for (int i = 0; n->op == OP_EXPAND && i < 3; i++) w[i] = UINT32_MAX;
        if (n->op == OP_EXPAND && !lex_is(&p->l, "{")) {
            words(p, n, w);
            return;
        }
        lex_expect(&p->l, "{");
        for (int i = 0; i < MAX_RANK && !lex_is(&p->l, "}"); i++) {
            w[i] = lex_accept(&p->l, "-") ? UINT32_MAX : (uint32_t)lex_int(&p->l, 0, MAX_RANK - 1);
            if (!lex_accept(&p->l, ",")) break;
        }
        lex_expect(&p->l, "}");
        words(p, n, w);
    }
}

static void time_attr(Parse *p, Node *n) {
    uint32_t w[3] = {0, 0, 0};

    w[0] = axis(p);
    if (n->op == OP_SHIFT) w[1] = (uint32_t)lex_int(&p->l, -INT32_MAX, INT32_MAX);
    if (n->op == OP_JOIN) {
        w[1] = axis(p);
        w[2] = axis(p);
    }
    if (op_words((Op)n->op))
        words(p, n, w);
    else
        n->attr = w[0];
}

static void scan_attr(Parse *p, Node *n) {
    static const char *const dir[] = {"fwd", "rev"}, *const part[] = {"carry", "step", "capture"};
    uint32_t w[6] = {0}, before = 0;

    w[0] = axis(p);
    w[1] = (uint32_t)lex_one_of(&p->l, dir, 2);
    lex_expect(&p->l, "@");
    w[2] = (uint32_t)lex_int(&p->l, 1, 1 << 24);
    p->list.n = 0;
    for (int i = 0; i < 3; i++) {
        if (lex_accept(&p->l, part[i])) operands(p);
        w[3 + i] = p->list.n - before;
        before = p->list.n;
    }
    n->in[0] = graph_ext(p->g, p->list.at, p->list.n);
    n->in[1] = p->list.n;
    words(p, n, w);
}

static void attributes(Parse *p, Node *n) {
    switch ((OpClass)op_info[n->op].cls) {
    case OPC_LEAF: leaf_attr(p, n); break;
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY:
    case OPC_INDEX: break;
    case OPC_REDUCE: reduce_attr(p, n); break;
    case OPC_CONTRACT: dot_attr(p, n); break;
    case OPC_SHAPE: shape_attr(p, n); break;
    case OPC_TIME: time_attr(p, n); break;
    case OPC_CONTROL:
        if (n->op == OP_SCAN)
            scan_attr(p, n);
        else
            n->attr = (uint32_t)lex_int(&p->l, 0, 1 << 24);
        break;
    }
}

/* What attributes and type say together. */
static void attr_of_type(Parse *p, Node *n) {
    const Node *a = &p->g->node.at[n->in[0]];
    uint32_t w[10];

    if (n->op == OP_CAST) n->attr = n->dtype;
    if (n->op == OP_GATHER) n->attr = (uint32_t)a->dim[0];
    if (n->op == OP_SCATTER_ADD) words(p, n, (uint32_t[]){(uint32_t)n->dim[0], n->axes});
    if (n->op != OP_DOT && n->op != OP_EXPAND) return;
    memcpy(w, p->g->attr.at + n->attr, op_words((Op)n->op) * sizeof *w);
    if (n->op == OP_DOT)
        w[9] = n->axes;
    else
        w[3] = n->axes & ~a->axes;
    for (int i = n->rank; n->op == OP_EXPAND && i < 3; i++) w[i] = 0;
    words(p, n, w);
}

/* ---- graphs ----------------------------------------------------------------------------------------------------------- */

static uint16_t op_named(Lex *l) {
    for (uint16_t i = 1; l->kind == TOK_WORD && i < OP_COUNT; i++)
        if (!strcmp(op_info[i].text, l->text)) {
            lex_next(l);
            return i;
        }
    lex_fail(l, 720, "expected an operation");
    return 0;
}

static void node(Parse *p) {
    Span span = lex_span(&p->l);
    uint32_t number = lex_ref(&p->l);
    Node n = {.span = span.lo};
    const char *err = NULL;

    lex_expect(&p->l, "=");
    n.op = op_named(&p->l);
    if (n.op == OP_CONCAT) {
        p->list.n = 0;
        operands(p);
        n.in[0] = graph_ext(p->g, p->list.at, p->list.n);
        n.in[1] = p->list.n;
    }
    for (int i = 0; i < op_info[n.op].arity; i++) n.in[i] = operand(p);
    if (!p->l.failed) attributes(p, &n);
    if (lex_accept(&p->l, ":")) {
        type(p, &n.dtype, &n.rank, n.dim, &n.axes);
        if (!p->l.failed) attr_of_type(p, &n);
    } else if (!p->l.failed && n.op != OP_SCAN) {
        if (n.op == OP_SCATTER_ADD || n.op == OP_CAST || n.op == OP_RESHAPE || n.op == OP_EXPAND)
            err = "its type must be given";
        else
            err = node_infer(p->g, &n);
        if (err) lex_fail(&p->l, 722, "'%s': %s", op_info[n.op].text, err);
    }
    if (lex_accept(&p->l, "as")) n.name = lex_name(&p->l);
    if (p->l.failed) return;
    while (p->map.n <= number) VEC_PUSH(p->m->arena, p->map) = 0;
    p->map.at[number] = p->g->node.n;
    VEC_PUSH(p->m->arena, p->g->node) = n;
}

static void root(Parse *p) {
    RootKind kind = (RootKind)lex_one_of(&p->l, root_kind_text, 12);
    uint32_t index = kind == ROOT_NEXT ? p->g->root.n : 0;
    Name name = 0;
    Ref ref = 0;

    if (p->l.kind == TOK_STRING) name = lex_name(&p->l);
    if (p->l.kind == TOK_NUMBER) index = (uint32_t)lex_int(&p->l, 0, UINT32_MAX);
    if (kind != ROOT_LAST) ref = operand(p);
    graph_root(p->g, kind, name, ref, index);
}

static void placed(Parse *p) {
    Placed x = {.product = operand(p)};

    x.where = (uint8_t)(PLACE_STEP + lex_one_of(&p->l, place_text + PLACE_STEP, PLACE_BESIDE));
    if (lex_accept(&p->l, "of")) x.scan = operand(p);
    lex_expect(&p->l, "rows");
    x.rows = lex_int(&p->l, 0, INT64_MAX / 16);
    lex_expect(&p->l, "weights");
    x.weights = lex_int(&p->l, 0, INT64_MAX / 16);
    lex_expect(&p->l, "traffic");
    x.traffic = lex_int(&p->l, 0, INT64_MAX / 16);
    VEC_PUSH(p->m->arena, p->g->placed) = x;
}

static void pin(Parse *p) {
    Pin x = {.kind = (uint8_t)lex_one_of(&p->l, node_kind_text, NK_SCAN + 1)};

    x.fused = lex_accept(&p->l, "fused");
    x.down = lex_accept(&p->l, "down");
    if (lex_accept(&p->l, "base")) x.base = operand(p);
    lex_expect(&p->l, ":");
    if (!p->pin) p->pin = NEW_N(p->m->arena, Pin, p->g->node.n + 1);
    p->g->pin = p->pin;
    while (!p->l.failed && p->l.kind == TOK_REF) {
        Ref r = operand(p);
        p->pin[r] = x;
    }
}

static void stage(Parse *p, bool load) {
    Stage x = {.load = load, .kind = (uint8_t)lex_one_of(&p->l, stage_text, STAGE_SCAN + 1)};
    uint32_t level = 0;

    x.axes = axes(p, "<", ">");
    if (lex_accept(&p->l, "in")) x.group = operand(p);
    lex_expect(&p->l, ":");
    while (!p->l.failed && (p->l.kind == TOK_REF || lex_is(&p->l, "|"))) {
        if (lex_accept(&p->l, "|"))
            level++;
        else
            VEC_PUSH(p->m->arena, x.node) = (StageNode){operand(p), level};
    }
    VEC_PUSH(p->m->arena, p->g->stage) = x;
}

static void graph(Parse *p, Graph *g) {
    p->g = g;
    p->map.n = 0;
    p->pin = NULL;
    lex_expect(&p->l, "{");
    while (!p->l.failed && !lex_is(&p->l, "}")) {
        if (p->l.kind == TOK_REF && !p->g->stage.n && !p->g->placed.n && !p->pin)
            node(p);
        else if (lex_accept(&p->l, "pin"))
            pin(p);
        else if (lex_accept(&p->l, "place"))
            placed(p);
        else if (lex_is(&p->l, "load") || lex_is(&p->l, "run"))
            stage(p, lex_accept(&p->l, "load") || (lex_next(&p->l), false));
        else
            root(p);
    }
    lex_expect(&p->l, "}");
    graph_rehash(g);
}

/* ---- tables ----------------------------------------------------------------------------------------------------------- */

static void axis_line(Parse *p) {
    Module *m = p->m;
    uint32_t i = (uint32_t)lex_int(&p->l, 0, MAX_AXES - 1);
    Name name = lex_name(&p->l);
    AxisKind kind = (AxisKind)lex_one_of(&p->l, axis_kind_text, 5);
    Axis *a;

    if (i == 0 && !p->l.failed && kind == AXIS_BATCH)
        m->axis[0].name = name;
    else if (i != m->naxis || kind == AXIS_BATCH)
        lex_fail(&p->l, 720, "axes are numbered in order; 0 is the batch");
    else
        (void)module_add_axis(m, kind, name);
    if (p->l.failed) return;
    a = &m->axis[i];
    if (kind == AXIS_COUNT) a->count = (int32_t)lex_int(&p->l, 0, INT32_MAX);
    if (kind == AXIS_JOIN) {
        lex_expect(&p->l, "(");
        a->a = axis(p);
        lex_expect(&p->l, ",");
        a->b = axis(p);
        lex_expect(&p->l, ")");
    }
    if (lex_accept(&p->l, "ragged")) a->ragged = true;
    if (!lex_accept(&p->l, "length")) return;
    a->ragged = true;
    lex_expect(&p->l, "(");
    p->length[i].span = lex_span(&p->l);
    if (p->l.kind == TOK_INDEX) {
        p->length[i].index = 1 + (uint32_t)p->l.number;
        lex_next(&p->l);
    } else {
        p->length[i].name = lex_name(&p->l);
    }
    lex_expect(&p->l, ")");
}

static void param_line(Parse *p) {
    uint32_t span = lex_span(&p->l).lo;
    uint32_t i = (uint32_t)lex_int(&p->l, 0, UINT32_MAX);
    Name name = lex_name(&p->l);
    int32_t dim[MAX_RANK];
    uint8_t rank = dims(p, dim);
    Param *q;

    if (!p->l.failed && i != p->m->param.n) lex_fail(&p->l, 720, "parameters are numbered in order");
    if (p->l.failed) return;
    i = module_add_param(p->m, name, rank, dim, false);
    q = &p->m->param.at[i];
    q->span = span;
    lex_expect(&p->l, "@");
    q->offset = lex_int(&p->l, 0, INT64_MAX / 16);
    q->is_const = lex_accept(&p->l, "const");
    q->from_file = lex_accept(&p->l, "file");
    if (lex_accept(&p->l, "init")) q->init = lex_ref(&p->l); /* a number in the text until init is read */
}

static void input_line(Parse *p) {
    uint32_t span = lex_span(&p->l).lo;
    uint32_t i = (uint32_t)lex_int(&p->l, 0, UINT32_MAX);
    Name name = lex_name(&p->l);
    InputKind kind = (InputKind)lex_one_of(&p->l, input_kind_text, 5);
    Input *q;

    if (!p->l.failed && i != p->m->input.n) lex_fail(&p->l, 720, "inputs are numbered in order");
    if (p->l.failed) return;
    i = module_add_input(p->m, kind, name, DT_F, 0, NULL, 0);
    q = &p->m->input.at[i];
    q->span = span;
    type(p, &q->dtype, &q->rank, q->dim, &q->axes);
    if (lex_accept(&p->l, "vocab")) q->vocab = (int32_t)lex_int(&p->l, 0, INT32_MAX);
    if (lex_accept(&p->l, "value")) q->value = lex_double(&p->l);
}

static void state_line(Parse *p) {
    uint32_t i = (uint32_t)lex_int(&p->l, 0, UINT32_MAX);
    Name name = lex_name(&p->l);
    State *q;

    if (!p->l.failed && i != p->m->state.n) lex_fail(&p->l, 720, "states are numbered in order");
    if (p->l.failed) return;
    q = &VEC_PUSH(p->m->arena, p->m->state);
    q->name = name;
    type(p, &q->dtype, &q->rank, q->dim, &q->axes);
    if (lex_accept(&p->l, "from")) q->input = 1 + (uint32_t)lex_int(&p->l, 0, INT32_MAX);
}

static void graph_line(Parse *p) {
    uint32_t i, cut = 0;

    if (lex_accept(&p->l, "model")) {
        graph(p, p->m->graph.at[0]);
        return;
    }
    i = (uint32_t)lex_int(&p->l, 1, INT32_MAX);
    if (lex_accept(&p->l, "segment")) cut = 1 + axis(p);
    if (!p->l.failed && i != p->m->graph.n) lex_fail(&p->l, 720, "graphs are numbered in order");
    if (p->l.failed) return;
    graph(p, module_add_graph(p->m));
    p->m->graph.at[i]->cut = cut;
}

static void cut_line(Parse *p) {
    Cut c = {.axis = axis(p)};

    lex_expect(&p->l, "into");
    c.count = axis(p);
    lex_expect(&p->l, "of");
    c.steps = axis(p);
    lex_expect(&p->l, "work");
    c.work = lex_double(&p->l);
    lex_expect(&p->l, "plain");
    c.plain = lex_double(&p->l);
    VEC_PUSH(p->m->arena, p->m->cut) = c;
}

static void init_line(Parse *p) {
    graph(p, p->m->init);
    for (uint32_t i = 0; i < p->m->param.n; i++) {
        Param *q = &p->m->param.at[i];
        if (q->init >= p->map.n || (q->init && !p->map.at[q->init]))
            lex_fail(&p->l, 721, "init does not define %%%u", q->init);
        else
            q->init = p->map.at[q->init];
    }
}

static void resolve_lengths(Parse *p) {
    for (uint32_t i = 0; i < p->m->naxis; i++) {
        uint32_t found = p->length[i].index;
        if (!found && !p->length[i].name) continue;
        for (uint32_t k = 0; !found && k < p->m->input.n; k++)
            if (p->m->input.at[k].name == p->length[i].name) found = k + 1;
        if (!found || found > p->m->input.n) {
            diag_error(p->m->ctx, 721, p->length[i].span, "no such input");
            p->l.failed = true;
            return;
        }
        p->m->axis[i].length = found;
    }
}

Module *module_parse(Ctx *ctx, Arena *a, const Source *src) {
    static const char *const line[] = {"axis", "param", "input", "state", "graph", "init", "cut", "theta"};
    static void (*const handler[])(Parse *) = {axis_line, param_line, input_line, state_line, graph_line, init_line, cut_line};
    Parse *p = NEW(a, Parse);
    int64_t theta = -1;
    bool inits = false;

    p->l = (Lex){.ctx = ctx, .arena = a, .src = src};
    lex_next(&p->l);
    lex_expect(&p->l, "module");
    p->m = module_make(ctx, a, lex_name(&p->l));
    while (!p->l.failed && p->l.kind != TOK_END) {
        int k = lex_one_of(&p->l, line, 8);
        if (p->l.failed) break;
        if (k == 7)
            theta = lex_int(&p->l, 0, INT64_MAX / 16);
        else
            handler[k](p);
        inits |= k == 5;
    }
    if (!p->l.failed) resolve_lengths(p);
    for (uint32_t i = 0; !inits && i < p->m->param.n; i++)
        if (p->m->param.at[i].init) lex_fail(&p->l, 721, "init does not define %%%u", p->m->param.at[i].init);
    if (theta >= 0) p->m->theta_size = theta;
    return p->l.failed ? NULL : p->m;
}
