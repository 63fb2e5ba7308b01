/* pb_onnx: librondo_onnx.so. Protobuf to the structs of onnx.h, through libprotobuf-c and what protoc-c makes of onnx.proto. */
#include <limits.h>
#include <string.h>

#include "import/onnx.h"
#include "onnx.pb-c.h"

enum { DEPTH_MAX = 40, TENSOR_MAX = 1 << 30 };
#define NOWHERE ((Span){0, 0})

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *what;
    uint32_t depth;
} Reader;

static bool bad(const Reader *r, const char *name, const char *why) {
    if (name && *name)
        diag_error(r->ctx, 650, NOWHERE, "%s: '%.100s' %s", r->what, name, why);
    else
        diag_error(r->ctx, 650, NOWHERE, "%s: %s", r->what, why);
    return false;
}

/* ---- depth --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *p, *end;
} Wire;

static bool varint(Wire *w, uint64_t *v) {
    *v = 0;
    for (int shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        uint8_t b = *w->p++;
        *v |= (uint64_t)(b & 127) << shift;
        if (b < 128) return true;
    }
    return false;
}

/* protobuf-c's reader calls itself for every message inside a message, without a bound: nesting is bounded here before. It also
   makes a struct of every empty message: what they would take is bounded by the size of the file. */
static bool depth_ok(Wire w, const ProtobufCMessageDescriptor *d, int depth, size_t *memory) {
    if (depth > DEPTH_MAX || d->sizeof_message > *memory) return false;
    *memory -= d->sizeof_message;
    while (w.p < w.end) {
        uint64_t tag, n = 0;
        if (!varint(&w, &tag)) return false;
        switch (tag & 7) {
        case 0:
            if (!varint(&w, &n)) return false;
            n = 0;
            break;
        case 1: n = 8; break;
        case 2:
            if (!varint(&w, &n)) return false;
            break;
        case 5: n = 4; break;
        default: return false;
        }
        if (n > (uint64_t)(w.end - w.p)) return false;
        const ProtobufCFieldDescriptor *f =
            tag >> 3 > UINT_MAX ? NULL : protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
        if ((tag & 7) == 2 && f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
            !depth_ok((Wire){w.p, w.p + n}, f->descriptor, depth + 1, memory))
            return false;
        w.p += n;
    }
    return true;
}

/* Everything in the arena: nothing to free, whatever happens. */
static void *take(void *arena, size_t n) { return arena_alloc(arena, n); }
static void give(void *arena, void *p) {
    (void)arena;
    (void)p;
}

static ProtobufCMessage *unpack(Reader *r, const ProtobufCMessageDescriptor *d, const void *data, size_t n) {
    size_t memory = n > SIZE_MAX / 64 - 65536 ? SIZE_MAX : 64 * n + 65536;
    ProtobufCAllocator alloc = {take, give, r->a};
    ProtobufCMessage *m = NULL;
    if (n && depth_ok((Wire){data, (const uint8_t *)data + n}, d, 0, &memory))
        m = protobuf_c_message_unpack(d, &alloc, n, data);
    if (!m) bad(r, NULL, "is no sound ONNX file: the protobuf is damaged, truncated, or nested past all reason");
    return m;
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------- */

static double half(uint32_t h) {
    int e = (int)(h >> 10 & 31);
    double m = h & 1023, v = e == 31 ? (m != 0 ? 0.0 / 0.0 : 1e308 * 10) : e ? (m + 1024) : m;
    for (int k = e ? e - 25 : -24; e != 31 && k; k += k < 0 ? 1 : -1) v = k < 0 ? v / 2 : v * 2;
    return h >> 15 ? -v : v;
}

static uint64_t load(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int k = bytes; k-- > 0;) v = v << 8 | p[k];
    return v;
}

static double single(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static double element(int type, const uint8_t *p) {
    uint64_t b;
    double d;
    switch (type) {
    case 1: return single((uint32_t)load(p, 4));
    case 2:
    case 9: return *p;
    case 3: return (int8_t)*p;
    case 4: return (double)load(p, 2);
    case 5: return (int16_t)load(p, 2);
    case 6: return (int32_t)load(p, 4);
    case 7: return (double)(int64_t)load(p, 8);
    case 10: return half((uint32_t)load(p, 2));
    case 11:
        b = load(p, 8);
        memcpy(&d, &b, 8);
        return d;
    case 12: return (double)load(p, 4);
    case 13: return (double)load(p, 8);
    case 16: return single((uint32_t)load(p, 2) << 16);
    default: return 0;
    }
}

/* Bytes of an element by TensorProto.DataType: float, uint8, int8, uint16, int16, int32, int64, -, bool, float16, double, uint32,
   uint64, -, -, bfloat16. */
static const uint8_t type_size[17] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2};

/* The typed lists: float_data for float; double_data; int64_data; int32_data for all small types, 16-bit floats as their bits. */
static double listed(const Onnx__TensorProto *t, size_t i) {
    switch (t->data_type) {
    case 1: return t->float_data[i];
    case 11: return t->double_data[i];
    case 7: return (double)t->int64_data[i];
    case 10: return half((uint32_t)t->int32_data[i] & 0xffff);
    case 16: return single((uint32_t)t->int32_data[i] << 16);
    default: return t->int32_data[i];
    }
}

static size_t listed_count(const Onnx__TensorProto *t) {
    if (t->data_type == 1) return t->n_float_data;
    if (t->data_type == 11) return t->n_double_data;
    return t->data_type == 7 ? t->n_int64_data : t->n_int32_data;
}

static bool tensor(const Reader *r, const Onnx__TensorProto *t, OnnxTensor *out) {
    *out = (OnnxTensor){.name = t->name ? t->name : "", .n = 1, .rank = (int)t->n_dims};
    int type = t->data_type;
    if (type < 1 || type > 16 || !type_size[type]) return bad(r, out->name, "is a tensor of a type that Rondo does not read");
    if (t->data_location) return bad(r, out->name, "keeps its numbers in another file; save the model as one file");
    if (t->n_dims > RONDO_MAX_RANK) return bad(r, out->name, "is a tensor of more than 8 dims");
    for (size_t k = 0; k < t->n_dims; k++) {
        out->dim[k] = t->dims[k];
        if (!checked_mul(out->n, t->dims[k], &out->n)) return bad(r, out->name, "is a tensor with impossible dims");
    }
    bool raw = t->has_raw_data && t->raw_data.len > 0;
    uint64_t have = raw ? t->raw_data.len / type_size[type] : listed_count(t);
    if (have != (uint64_t)out->n || (raw && t->raw_data.len % type_size[type]))
        return bad(r, out->name, "is a tensor whose dims do not fit its numbers");
    double *v = NEW_N(r->a, double, out->n + 1);
    for (size_t i = 0; i < (size_t)out->n; i++)
        v[i] = raw ? element(type, t->raw_data.data + i * type_size[type]) : listed(t, i);
    out->v = v;
    out->whole = type != 1 && type != 10 && type != 11 && type != 16;
    return true;
}

/* ---- graphs -------------------------------------------------------------------------------------------------------------- */

static const char *text(const char *s) { return s ? s : ""; }

static const char *bytes(const Reader *r, ProtobufCBinaryData b) {
    return arena_strndup(r->a, b.data ? (const char *)b.data : "", b.len);
}

static bool graph(Reader *r, const Onnx__GraphProto *g, OnnxGraph *out);

static bool attribute(Reader *r, const Onnx__AttributeProto *x, OnnxAttr *out) {
    *out = (OnnxAttr){.name = text(x->name),
                      .has_f = x->has_f,
                      .has_i = x->has_i,
                      .f = x->f,
                      .i = x->i,
                      .nf = (uint32_t)x->n_floats,
                      .ni = (uint32_t)x->n_ints,
                      .ns = (uint32_t)x->n_strings,
                      .is = x->ints};
    if (x->has_s) out->s = bytes(r, x->s);
    double *fs = NEW_N(r->a, double, out->nf + 1);
    for (uint32_t i = 0; i < out->nf; i++) fs[i] = x->floats[i];
    out->fs = fs;
    const char **ss = NEW_N(r->a, const char *, out->ns + 1);
    for (uint32_t i = 0; i < out->ns; i++) ss[i] = bytes(r, x->strings[i]);
    out->ss = ss;
    if (x->t) {
        OnnxTensor *t = NEW(r->a, OnnxTensor);
        out->t = t;
        if (!tensor(r, x->t, t)) return false;
    }
    if (!x->g) return true;
    OnnxGraph *g = NEW(r->a, OnnxGraph);
    out->g = g;
    return graph(r, x->g, g);
}

static bool node(Reader *r, const Onnx__NodeProto *x, OnnxNode *out) {
    *out = (OnnxNode){.name = text(x->name),
                      .op = text(x->op_type),
                      .domain = text(x->domain),
                      .nin = (uint32_t)x->n_input,
                      .nout = (uint32_t)x->n_output,
                      .nattr = (uint32_t)x->n_attribute,
                      .in = (const char *const *)x->input,
                      .out = (const char *const *)x->output};
    OnnxAttr *attr = NEW_N(r->a, OnnxAttr, x->n_attribute + 1);
    out->attr = attr;
    for (size_t i = 0; i < x->n_attribute; i++)
        if (!attribute(r, x->attribute[i], &attr[i])) return false;
    return true;
}

static bool port(const Reader *r, const Onnx__ValueInfoProto *x, OnnxPort *out) {
    *out = (OnnxPort){.name = text(x->name), .rank = -1};
    const Onnx__TypeProto__Tensor *t = x->type ? x->type->tensor_type : NULL;
    if (!t) return true;
    out->tensor = true;
    if (!t->shape) return true;
    if (t->shape->n_dim > RONDO_MAX_RANK) return bad(r, out->name, "has more than 8 dims");
    out->rank = (int)t->shape->n_dim;
    for (size_t k = 0; k < t->shape->n_dim; k++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[k];
        out->dim[k] = d->has_dim_value && d->dim_value > 0 ? d->dim_value : -1;
        out->param[k] = d->dim_param;
    }
    return true;
}

static bool ports(const Reader *r, Onnx__ValueInfoProto **x, size_t n, const OnnxPort **out) {
    OnnxPort *p = NEW_N(r->a, OnnxPort, n + 1);
    *out = p;
    for (size_t i = 0; i < n; i++)
        if (!port(r, x[i], &p[i])) return false;
    return true;
}

static bool graph(Reader *r, const Onnx__GraphProto *g, OnnxGraph *out) {
    *out = (OnnxGraph){.name = text(g->name),
                       .nnode = (uint32_t)g->n_node,
                       .ninit = (uint32_t)g->n_initializer,
                       .nin = (uint32_t)g->n_input,
                       .nout = (uint32_t)g->n_output};
    OnnxTensor *init = NEW_N(r->a, OnnxTensor, g->n_initializer + 1);
    OnnxNode *list = NEW_N(r->a, OnnxNode, g->n_node + 1);
    out->init = init;
    out->node = list;
    for (size_t i = 0; i < g->n_initializer; i++)
        if (!tensor(r, g->initializer[i], &init[i])) return false;
    for (size_t i = 0; i < g->n_node; i++)
        if (!node(r, g->node[i], &list[i])) return false;
    return ports(r, g->input, g->n_input, &out->in) && ports(r, g->output, g->n_output, &out->out);
}

/* ---- the interface ------------------------------------------------------------------------------------------------------- */

static bool read_model(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, OnnxModel *out) {
    Reader r = {ctx, a, what, 0};
    *out = (OnnxModel){0};
    const Onnx__ModelProto *m = (const Onnx__ModelProto *)unpack(&r, &onnx__model_proto__descriptor, data, n);
    if (!m) return false;
    if (!m->graph) return bad(&r, NULL, "is no ONNX model: it has no graph");
    out->producer = text(m->producer_name);
    for (size_t i = 0; i < m->n_opset_import; i++)
        if (!m->opset_import[i]->domain || !*m->opset_import[i]->domain) out->opset = m->opset_import[i]->version;
    return graph(&r, m->graph, &out->graph);
}

static bool read_tensor(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, OnnxTensor *out) {
    Reader r = {ctx, a, what, 0};
    const Onnx__TensorProto *t = (const Onnx__TensorProto *)unpack(&r, &onnx__tensor_proto__descriptor, data, n);
    return t && tensor(&r, t, out);
}

PORT_EXPORT extern const OnnxReader rondo_onnx_reader;
const OnnxReader rondo_onnx_reader = {RONDO_ONNX_VERSION, RONDO_VERSION, read_model, read_tensor};
