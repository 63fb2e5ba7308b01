/* sema: private to the front end's checking and lowering. One elaborator does both: it evaluates the tree of a model (cells
   are instantiated at each call, with concrete sizes) and emits graph nodes; a type error is found where a node would be
   emitted. frontend_load elaborates once to check; frontend_model elaborates again where a build has other options.

   Three ideas carry it.
   - A Level is a graph being filled: the model's, the body of a scan, or the graph of initial values. A value belongs to a
     level; using it further in captures it, using it further out stacks it.
   - A Scope is a namespace under evaluation: a model or a block (top to bottom), a cell's body (any order, on demand), a
     function's arguments.
   - Rows. `hidden` are the time axes that the values of a scope have although its text does not see them: a cell without
     state applied to a sequence is emitted with the axes {T,B} directly. What remains of a value's axes is what the text
     sees as a sequence. */
#ifndef RONDO_FRONTEND_SEMA_H
#define RONDO_FRONTEND_SEMA_H

#include "frontend/ast.h"
#include "frontend/frontend.h"

typedef struct Unit Unit;
typedef struct Decl Decl;
typedef struct Elab Elab;
typedef struct Scope Scope;
typedef struct Scan Scan;
typedef struct Level Level;
typedef struct Val Val;
typedef struct Trail Trail;

enum { CALL_DEPTH_MAX = 100, EVAL_NEST_MAX = 3000, UNROLL_MAX = 1024, CALLS_MAX = 10000 };

/* ---- program ------------------------------------------------------------------------------------------------------ */

typedef struct {
    Name as; /* 0: its names are visible directly */
    Unit *unit;
    Span span;
    bool used;
} Import;

/* A file of std is parsed in pieces, each when a name is asked for that it may declare. */
typedef struct {
    uint32_t lo; /* up to the next one's */
    bool parsed;
} StdPiece;
typedef struct {
    Name name;
    uint32_t piece;
} StdName;

struct Unit {
    AstFile *ast; /* NULL: in pieces */
    const char *path, *key; /* as given; without . and .. */
    bool std;
    const Source *source;
    VEC(StdPiece) piece;
    VEC(StdName) may; /* every name that a piece may declare */
    VEC(Decl *) decl;
    VEC(Import) import;
};

struct Decl {
    AstDecl *ast;
    Unit *unit;
    Name name;
    uint8_t stateful; /* memo of cell_stateful: 0 unknown, 1 being found, 2 no, 3 yes */
    bool used;        /* its body was elaborated with the sizes of the model */
    bool warned;      /* its unused names were reported */
};

/* What a metric of the model needs to be built on its own. */
typedef struct {
    Decl *decl;               /* NULL: there is no `average` for the mean over rows of the one argument */
    const struct Bound *bound;
    uint32_t nbound;
    uint32_t nargs;
    Input arg[8];
    uint32_t scores, shares; /* bits of the arguments that may be of either sign, that are probabilities */
} MetricInfo;

/* then(a, b) of fixed axes gives a fixed axis: every axis of a + b steps of the model is this one. */
typedef struct {
    int32_t a, b;
} FixedJoin;

/* An instance of the model whose param is read before its call, which tells the sizes: they are noted, and elaboration begins again. */
typedef struct {
    Name name;
    double value;
} KnownSize;
typedef struct {
    Decl *model;
    Name path; /* of the instance */
    bool known;
    VEC(KnownSize) size;
} EarlyRead;

struct Program {
    Ctx *ctx;
    Arena *arena;
    FrontendOptions opt;
    VEC(Unit *) unit; /* [0] = the user's file; std's last */
    bool broken; /* a file is missing or did not parse */
    Decl *model;
    ModelDesc desc;
    VEC(MetricInfo) metric;
    VEC(Name) model_name;
    VEC(FixedJoin) join;
    VEC(Name) outer_axis; /* of outputs over two axes: the scan that is outside comes first in the array, so its axis is made first */
    VEC(EarlyRead) early;
    Module *checked;     /* what the check has elaborated: as for training */
    bool reads_training; /* the check has met the name `training`, so other modules are not like it */
};

/* The declaration a name means in a unit: its own, its imports', std's. NULL if none. */
Decl *unit_find(Program *p, Unit *u, Name name);
Decl *unit_find_own(Unit *u, Name name, bool model);
Decl *unit_find_in(Unit *u, Name as, Name name); /* `as.name` of an import with a name; NULL if none */
Decl *unit_find_dotted(Program *p, Unit *u, Name name); /* of a text: "adam" or "c.adam" */
void std_open_all(Program *p); /* parses what is not yet parsed of std: for suggestions, which look at all names */
bool decl_is_callable(const Decl *d);
const char *decl_kind_name(const AstDecl *d);

/* ---- values ------------------------------------------------------------------------------------------------------- */

/* Where a size came from, for messages. */
typedef struct {
    const char *text; /* "H", "2*H" */
    Span span;        /* its declaration; {0,0}: none */
} SizeSrc;

typedef enum {
    V_POISON, /* an error was reported; stay silent */
    V_TENSOR,
    V_NUM,    /* a number known when compiling: literal, size, numeric argument */
    V_STRING,
    V_FN,     /* function: fn, builtin */
    V_MAKER,  /* cell with its bracket arguments */
    V_INST,   /* instance */
    V_INIT,   /* initialiser */
    V_TUPLE,  /* of split */
    V_UNIT    /* an import with a name */
} ValKind;

typedef struct Builtin Builtin;

/* A bracket argument bound to a value. */
typedef struct Bound {
    Name name;
    const Val *val;
} Bound;

struct Val {
    ValKind kind;
    Span span;              /* the expression */
    Span decl;              /* where the name was declared, if it has one */
    /* TENSOR: a node of a level's graph */
    Level *level;
    Ref ref;
    int32_t vocab;          /* token[V]: V; else 0 */
    bool flag;              /* a number that was written as a bool */
    const SizeSrc *src[MAX_RANK];
    Scope *call;            /* the body whose result it is */
    uint32_t outer;         /* the axis of that call, 0: none */
    Scan *carry_of;         /* a state before the step: its scan and carry */
    uint32_t carry;
    /* NUM */
    double num;
    bool is_int;
    const SizeSrc *size;
    Name text;              /* STRING */
    /* FN, MAKER, INST, INIT */
    Decl *fn;
    const Builtin *builtin;
    const Bound *bound;
    uint32_t nbound;
    Name param_path, state_path; /* INST: "enc", "" for none */
    struct InstCalls *calls; /* INST */
    const Val *lo, *hi;     /* INIT of a builtin: its arguments */
    Unit *unit;             /* UNIT */
    const Val *const *item; /* TUPLE */
    uint32_t nitem;
};

extern const Val val_poison;

/* ---- levels, scans, scopes ---------------------------------------------------------------------------------------- */

/* What all uses of an instance share. */
typedef struct InstCalls {
    Scope *last; /* its last call */
    uint32_t n;
} InstCalls;

struct Level {
    Graph *g;
    Level *up;  /* NULL: the model's graph, and the graph of initial values */
    Scan *scan; /* whose body it is */
    bool init;  /* the graph of initial values */
    VEC(Ref) outer; /* captures: what they are one level up */
    VEC(Ref) inner; /* and here */
    VEC(Ref) stacked; /* values stacked outside so far; out index = nlast + position */
};

typedef struct {
    Name name;       /* full state name, or a name carried by repeat */
    Ref leaf;        /* at inner */
    Ref init, next;  /* at outer; at inner */
    uint32_t axes0;  /* of the initial value as the model defines it */
    Span span;
    uint32_t state;  /* 1 + Module.state; 0: none */
    const SizeSrc *src[MAX_RANK];
} Carry;

typedef struct {
    Name name;
    uint32_t axes;
} CarryGuess;

/* A scan in the making; or, with axis 0, one step outside of any scan (its states start and end in the same graph). */
struct Scan {
    Level *outer, *inner;
    uint32_t axis;
    uint32_t outer_hidden;
    bool top;  /* its states are the model's */
    bool done; /* the node exists */
    Ref node;
    uint32_t nroot; /* outs of the body so far */
    VEC(Carry) carry;
    VEC(Ref) step;
    const CarryGuess *guess;
    uint32_t nguess;
};

typedef enum { SC_MODEL, SC_CELL, SC_FN, SC_ROUND } ScopeKind;
typedef enum { B_VALUE, B_BIND, B_PARAM, B_CONST, B_STATE, B_NOISE, B_REPEAT } BindingKind;

typedef struct Binding {
    Name name;
    bool primed;
    BindingKind kind;
    uint8_t status; /* 0 not evaluated, 1 being evaluated, 2 done */
    uint32_t since; /* when its evaluation began, by Elab.clock */
    bool used;      /* read by somebody */
    bool missed;    /* a state whose next value was read but is not bound: said already */
    bool size;      /* bound by a shape: may be bound only once, is checked afterwards */
    const AstStmt *stmt;
    uint32_t target; /* which of the statement's targets */
    uint32_t pos;    /* index of the statement in its body */
    Span span;
    const Val *val;
    uint32_t carry;  /* STATE: 1 + index in scan->carry; 0: given, not owned */
    bool parameter;  /* p of an optimizer: p' is its next value */
} Binding;

/* A state given by the caller: h = value. */
typedef struct {
    Name name;
    const Val *val;
    Span span;
    bool used;
} Given;

typedef struct {
    const AstExpr *node;
    Name name;
} InstName;

typedef struct {
    Name name;
    uint32_t axis;
    Span span;
} AxisName;

struct Scope {
    Elab *e;
    ScopeKind kind;
    Scope *up; /* ROUND: the scope around; others: NULL */
    Scope *origin; /* of a copy that evaluates elsewhere (scope_initial): where its names are evaluated */
    Unit *unit; /* global names */
    Decl *decl;
    const AstStmts *body;
    bool lazy; /* statements in any order */
    Level *level;
    uint32_t hidden; /* time axes that the text does not see */
    uint32_t over;   /* the axis of the outermost call around that scans or repeats this body */
    uint32_t steps;  /* the axis that this very call scans; 0: it is one step, or no call */
    uint32_t rows;   /* all axes that enclose a step of this scope, scanned or hidden: the counters of noise */
    Scan *scan;      /* who owns states made here; NULL: nobody (a function, or rows without state) */
    bool scanned;    /* this very call is what `scan` scans */
    Name param_path, state_path; /* "enc", "" at a model's top */
    Name round;      /* ROUND: ".0": components that follow the name of what is created */
    VEC(Binding *) name;
    VEC(InstName) inst; /* names of instances, by the expression that makes them */
    VEC(Name) taken;
    VEC(AxisName) axis;
    Given *given;
    uint32_t ngiven;
    uint32_t pos; /* the statement being evaluated */
    const Val *result;
    bool initial; /* evaluating an initial value: only sizes, params and consts */
    /* initial values of parameters, draws of noise */
    const Node *draw; /* shape and axes of what is drawn; NULL: random numbers are an error */
    uint32_t stream, counter, *ndraw;
    bool draw_names; /* fan_in fan_out row col are visible */
};

/* ---- elaborator --------------------------------------------------------------------------------------------------- */

typedef struct {
    const void *node;
    Name path;
    uint32_t index;
} CallIndex;

typedef struct {
    uint32_t state;
    Ref final, init;
} StateRoot;

struct Elab {
    Program *p;
    Ctx *ctx;
    Arena *a;
    Module *m;
    BuildOptions o;
    uint32_t batch;  /* AX(B); the axis ELEM of an optimizer; 0 in a metric */
    bool generic;    /* checking a cell on its own: sizes are stand-ins */
    bool unsure;     /* generic: something depends on the stand-in sizes; say nothing */
    uint32_t errors; /* reported before it began */
    bool again;      /* Program.join, outer_axis or early has grown: elaborate from the beginning (unsure is set too) */
    uint32_t depth;  /* of calls */
    uint32_t clock;  /* evaluations of bindings begun */
    const Trail *trail; /* of the bodies under evaluation, innermost first */
    uint32_t ncall;  /* calls of cells so far, of one body after the other */
    uint32_t nest;   /* of expressions under evaluation, over all calls */
    int64_t budget;  /* evaluations left */
    Level *root, *init;
    VEC(CallIndex) call_index;
    VEC(StateRoot) state_root;
    VEC(uint64_t) told; /* diagnostics given: code and place */
    VEC(AxisName) axis;  /* of the model, by name */
};

/* A body under evaluation on behalf of a call: for "called from here". */
struct Trail {
    Span call;
    Decl *decl;
    const Trail *up;
};

Elab *elab_make(Program *p, Arena *a, Name name);

/* ---- sema_value.c ------------------------------------------------------------------------------------------------- */

/* An error unless the same was said of the same place. True if said: notes and helps may follow. */
bool sema_error(Elab *e, uint16_t code, Span at, const char *fmt, ...) PORT_PRINTF(4, 5);
bool sema_warning(Elab *e, uint16_t code, Span at, const char *fmt, ...) PORT_PRINTF(4, 5);
const Val *sema_internal(Elab *e, Span at, const char *what); /* poison */

Val *val_new(Elab *e, ValKind k, Span span);
Val *val_copy(Elab *e, const Val *v);
const Val *val_of(Scope *s, Ref r, Span span); /* a tensor at the scope's level; r = 0: internal error */
const Val *val_num(Elab *e, double v, bool is_int, Span span);
const Val *val_bool(Scope *s, bool v, Span span);
Node val_type(const Val *v); /* of a TENSOR */
uint32_t val_seq(const Scope *s, const Val *v); /* axes the text sees */
Ref val_use(Scope *s, const Val *v); /* as a node of the scope's level; TENSOR only; 0 on an error that was reported */
const Val *val_bring(Scope *s, const Val *v); /* a value from inside a scan, stacked as far out as the scope */
const Val *val_at_steps(Scope *s, const Val *v, uint32_t axis); /* NUM or TENSOR that is the same at each step of axis (0: none), as a sequence */
const Val *val_tensor(Scope *s, const Val *v); /* NUM, INIT (where drawn) and TENSOR as a TENSOR at s; else an error */
const Val *val_float(Scope *s, const Val *v, const char *what); /* and with dtype f; a token is an error */
const Val *val_token(Scope *s, const Val *v, int32_t vocab); /* a whole number below vocab as a token of it; else v */
bool val_is_poison(const Val *v);
const char *val_text(const Scope *s, const Val *v); /* "seq [H]", "token[10]", "a function" */
const char *val_names(const Scope *s, const Val *v); /* the same, sizes by name only */
const char *dims_text(Elab *e, int rank, const int32_t *dim, const SizeSrc *const *src);
void note_sizes(Elab *e, const Val *a, const Val *b); /* where the sizes in their shapes were declared; b may be NULL */
void take_sizes(Val *v, const Val *from); /* sizes' sources, where the dims are equal */
const SizeSrc *size_src(Elab *e, const char *text, Span span);
Name path_join(Elab *e, Name path, Name name, Name round);

/* ---- sema_scope.c ------------------------------------------------------------------------------------------------- */

Scope *scope_make(Elab *e, ScopeKind k, Unit *u);
Binding *scope_bind(Scope *s, Name name, const Val *v, Span span);
Binding *scope_find(Scope *s, Name name, bool primed); /* this scope only */
Binding *scope_member(Scope *call, Name name, bool primed); /* of the body of a call, as its caller reads it */
const Val *scope_value(Scope *s, Binding *b);
const Val *scope_name(Scope *s, const AstExpr *e); /* a NAME anywhere */
const Val *scope_decl(Scope *s, Decl *d, Span span);
const char *scope_nearest(Scope *s, Name name);
void scope_run(Scope *s); /* the statements of a cell's body or of a block */
void scope_declare(Scope *s); /* the names of a cell's body, not evaluated */
void scope_call(Scope *s, Name instance); /* evaluates what stands in any order and calls this instance */
void scope_statement(Scope *s, const AstStmt *st, uint32_t pos); /* of a scope read from top to bottom */
void scope_name_instances(Scope *s, const AstStmt *st);
bool scope_creates(Scope *s, const AstStmts *b);
Name scope_instance_name(const Scope *s, const AstExpr *node);
const Val *scope_bind_value(Scope *s, const AstStmt *st);
const Val *block_names(Scope *s, const Val *v, const AstTarget *t);

/* ---- sema_size.c -------------------------------------------------------------------------------------------------- */

bool eval_size(Scope *s, const AstExpr *e, int64_t lo, int64_t hi, int64_t *n, const SizeSrc **src);
bool eval_dims(Scope *s, const AstType *t, int *rank, int32_t dim[MAX_RANK], const SizeSrc *src[MAX_RANK]);
/* Checks an argument against a declared type, binding sizes that occur first. The value as the body sees it; poison if wrong.
   whole: the caller passes a sequence as such. */
const Val *bind_argument(Scope *callee, Scope *caller, const AstFormal *f, const Val *v, const char *what);
uint32_t eval_axis(Scope *s, const AstType *t); /* of `seq`: axis index */
uint32_t elab_time_axis(Elab *e, Name name, Span span);
uint32_t elab_count_axis(Elab *e, int32_t n);
uint32_t elab_join_axis(Elab *e, uint32_t a, uint32_t b);

/* ---- sema_expr.c, sema_ops.c, sema_builtin.c ---------------------------------------------------------------------- */

const Val *eval(Scope *s, const AstExpr *e);
const Val *eval_binary(Scope *s, const AstExpr *e, AstOp op, const Val *a, const Val *b);
const Val *eval_unary(Scope *s, const AstExpr *e, const Val *a);
const Val *eval_matmul(Scope *s, const AstExpr *e, const Val *a, const Val *b);
const Val *eval_join(Scope *s, const AstExpr *e);
const Val *eval_index(Scope *s, const AstExpr *e, const Val *base);
/* Broadcasts two tensors to common features (NumPy); false with an error at `at`. */
bool broadcast_pair(Scope *s, Span at, const char *what, const Val **a, const Val **b);
const Val *val_broadcast(Scope *s, const Val *v, int rank, const int32_t *dim, const SizeSrc *const *src); /* poison, silent, if it does not fit */
bool same_sequences(Scope *s, Span at, const Val *a, const Val *b);

const Builtin *builtin_find(Name name, Ctx *ctx);
const char *builtin_name(const Builtin *b);
bool builtin_is_draw(const Builtin *b);
uint32_t builtin_count(void);
const char *builtin_name_at(uint32_t i);
const Val *builtin_call(Scope *s, const AstExpr *e, const Builtin *b);
const Val *eval_time_member(Scope *s, const AstExpr *e, const Val *v); /* NULL: no such member */
const Val *softmax_over(Scope *s, const Val *v, uint32_t axes, uint32_t dims, Span span);
const Val *reduce(Scope *s, const Val *v, Op op, bool mean, uint32_t axes, uint32_t dims, Span span);

/* ---- lower_call.c, lower_scan.c, lower_cell.c, lower_repeat.c, lower_init.c ---------------------------------------- */

const Val *eval_call(Scope *s, const AstExpr *e);
const Val *eval_bracket(Scope *s, const AstExpr *e);
const Val *fn_value(Scope *s, const AstDecl *d); /* of a function, its arguments bound in s */
bool bind_brackets(Scope *in, Scope *callee, const Decl *d, const AstArgs *args, Span at, const Bound **out, uint32_t *n);
bool cell_stateful(Program *p, Decl *d, const Bound *bound, uint32_t nbound);
const Val *instance_make(Scope *s, const Val *maker, Name name);
bool instance_early(Scope *s, const Val *inst, Name name); /* whether a call further on may tell the sizes of this param or const */
const Val *instance_leaf(Scope *s, const Val *inst, Name name); /* a param or const before any call; NULL: sizes unknown, or another name */

const Val *leaf_param(Scope *s, Binding *b);
const Val *leaf_state(Scope *s, Binding *b);
const Val *leaf_noise(Scope *s, Binding *b);
bool state_next(Scope *s, Binding *state, const Val **v); /* its next value; false with an error if there is none */
void cell_finish(Scope *s); /* next values of the states, unused names */
void warn_unused(Scope *s);  /* of a body without errors */

Scan *scan_make(Elab *e, Level *outer, uint32_t axis, uint32_t outer_hidden);
Ref scan_step(Scan *sc, Ref outer); /* a step input, as seen inside */
uint32_t scan_axes(Elab *e, const Scan *sc, Name name, uint32_t init); /* a carry's axes as guessed */
uint32_t scan_carry(Elab *e, Scan *sc, Name name, Ref init, uint32_t axes0, const Node *type, Span span); /* its index */
bool scan_settle(Elab *e, Scan *sc, CarryGuess **guess, uint32_t *n); /* true: the carries' axes are the least ones */
Ref scan_close(Elab *e, Scan *sc, Span span); /* emits the node; 0 on an internal error */
Ref scan_stack(Elab *e, Scan *sc, Ref inner);
Ref scan_last(Elab *e, Scan *sc, uint32_t carry);

void repeat_run(Scope *s, const AstStmt *st, uint32_t pos);

const Val *draw_builtin(Scope *s, const Builtin *b, const Val *lo, const Val *hi, Span span);
const Val *draw_init(Scope *s, const Val *init, Span span);
extern const char *const draw_names[4]; /* fan_in fan_out row col */
const Val *draw_name(Scope *s, Name name, Span span); /* their value for what is drawn in s; NULL: none of them */
Scope *scope_initial(Scope *s, Level *level, uint32_t hidden); /* the same names, evaluated elsewhere */
const Val *init_copy(Scope *s, const Val *v); /* a value of the model's graph as one of the graph of initial values */

/* ---- unroll.c ----------------------------------------------------------------------------------------------------- */

/* Writes every scan of the model's graph out, for time axes of this many steps. False with a diagnostic if that is too much. */
bool module_unroll(Module *m, Arena *a, int32_t steps);

/* ---- lower_model.c, settings*.c ------------------------------------------------------------------------------------ */

/* The whole model, elaborated; NULL with diagnostics. desc may be NULL. */
Elab *elab_model(Program *p, Arena *a, const BuildOptions *o, ModelDesc *desc);
void elab_state_roots(Elab *e, Scan *outside);
void loss_hints(Scope *s, const AstExpr *call, Ref mark); /* sema_loss.c: warnings of a loss; its own nodes begin at mark */
void metric_scale(const Graph *g, Ref arg, uint32_t i, MetricInfo *out); /* what argument i is, in the model's graph */
void metric_hints(Elab *e, const MetricInfo *mi, const Graph *g, const Ref *arg, Span at); /* what its body, g, does to them */
Module *optimizer_module(Program *p, Arena *a, Decl *d, const Setting *given);
bool elab_check_kinds(Program *p, const Unit *u); /* what can be said of the heads of all declarations; false on an error */
void elab_check_alone(Program *p); /* declarations that the model does not use */
/* What an entry says beyond its type, given the model; false with a diagnostic. */
bool settings_meaning(Program *p, KeyBlock b, const Entry *e);
const KeyRow *settings_row(KeyBlock b, const char *key); /* of keys.def; NULL: none */
bool settings_range(Program *p, const KeyRow *row, const Setting *v); /* is it what keys.def allows? False with a diagnostic */
bool settings_optimizer_argument(Program *p, const char *arg, const Setting *v);
bool settings_check(Program *p, Scope *s, const AstEntries *at, KeyBlock b, Settings *out);

#endif
