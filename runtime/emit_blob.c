/* emit_blob: the weights as a file of their own, read where it lies: 64 bytes of head, then the struct as a little-endian machine
   has it. Head: magic, version, layout (a hash of the model's name, of every field and of where each weight stands in it), size and CRC-32 of what follows, zeros. */
#include <string.h>

#include "runtime/emit_c.h"

enum { HEAD = 64, VERSION = 3 }; /* version 2 hashed no places of weights, 1 comments too */
#define MAGIC UINT32_C(0x424f4e52) /* "RNOB" */

static uint32_t crc32_of(const unsigned char *p, size_t n) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
    }
    return ~crc;
}

/* FNV-1a over the text of the struct that a program expects, without what is there for a reader (comments, blanks), and over what
   its fields are made of: what the same weights, of any model of these parameters, give there. */
static uint32_t layout_of(const CModel *c, const char *type) {
    uint32_t h = UINT32_C(2166136261);
    for (const char *s = c->id; *s; s++) h = (h ^ (unsigned char)*s) * UINT32_C(16777619);
    for (uint32_t k = 0; k < c->field.n; k++)
        for (int64_t i = 0; i < c->field.at[k].n; i++) {
            uint64_t bits;
            memcpy(&bits, &c->field.at[k].probe[i], sizeof bits);
            for (int b = 0; b < 64; b += 8) h = (h ^ (uint32_t)(bits >> b & 0xff)) * UINT32_C(16777619);
        }
    for (const char *s = type; *s; s++) {
        const char *end = strncmp(s, "/*", 2) == 0 ? strstr(s + 2, "*/") : NULL;
        if (end)
            s = end + 1;
        else if (*s != ' ' && *s != '\n')
            h = (h ^ (unsigned char)*s) * UINT32_C(16777619);
    }
    return h;
}

/* The members of the struct, as the header declares them. */
static const char *type_text(CModel *c) {
    Str keep = c->h;
    c->h = str_make(c->a);
    if (unpacks(c))
        emit_storage_type(c);
    else
        emit_weights_type(c);
    const char *text = c->h.at;
    c->h = keep;
    return text;
}

static void put_member(CModel *c, const CMember *m) {
    if (m->n && m->bytes > c->payload_align) c->payload_align = m->bytes;
    for (int64_t i = 0; i < m->n; i++) {
        unsigned char b[8];
        float f = (float)m->value[i];
        uint32_t u;
        uint64_t w;
        memcpy(&u, &f, sizeof u);
        memcpy(&w, &m->value[i], sizeof w);
        store_le(b, !m->is_real ? (uint64_t)(int64_t)m->value[i] : m->bytes == 4 ? u : w, m->bytes);
        str_putn(c->payload, (const char *)b, (size_t)m->bytes);
    }
}

static void put_payload(CModel *c) {
    if (unpacks(c))
        emit_storage_bytes(c);
    else
        weights_members(c, put_member);
    int align = c->payload_align ? c->payload_align : c->m->f64 ? 8 : 4; /* a compiler pads the struct to its largest member */
    while (!c->payload->n || c->payload->n % (size_t)align) str_putc(c->payload, 0);
}

void emit_blob(CModel *c) {
    Str body = str_make(c->a);
    unsigned char head[HEAD] = {0};
    c->payload = &body;
    put_payload(c);
    c->layout = layout_of(c, type_text(c));
    const uint32_t word[] = {MAGIC, VERSION, c->layout, (uint32_t)body.n, crc32_of((const unsigned char *)body.at, body.n)};
    for (size_t k = 0; k < sizeof word / sizeof *word; k++) store_le(head + 4 * k, word[k], 4);
    c->blob = str_make(c->a);
    str_putn(&c->blob, (const char *)head, sizeof head);
    str_putn(&c->blob, body.at, body.n);
    c->payload = NULL;
}

void emit_open(CModel *c) {
    const char *type = arena_printf(c->a, "%s_%s", c->id, unpacks(c) ? "stored" : "weights");
    c_function(c,
               arena_printf(c->a,
                            "The weights of a blob (%s.blob), read where they lie, in flash or memory; keep it as long as they are used. "
                            "NULL: it is damaged, of another model, layout or byte order, or does not begin at a multiple of %d.",
                            c->id, c->m->f64 ? 8 : 4),
               arena_printf(c->a, "const %s *%s_open(const void *blob, size_t bytes)", type, c->id));
    str_printf(&c->c,
               "    static const uint32_t want[%d] = {0x%xu, %d, 0x%xu, sizeof(%s)}; /* then the checksum, then zeros */\n"
               "    const unsigned char *p = (const unsigned char *)blob;\n"
               "    const uint32_t one = 1;\n    uint32_t crc = 0xffffffffu, sum = 0, word = 0;\n    size_t i;\n    int k;\n"
               "    if (!p || bytes < %d + sizeof(%s) || (uintptr_t)p %% %d || !*(const unsigned char *)&one) return NULL;\n",
               HEAD / 4, MAGIC, VERSION, c->layout, type, HEAD, type, c->m->f64 ? 8 : 4);
    str_printf(&c->c,
               "    for (i = 0; i < %d; i++) {\n        word = word >> 8 | (uint32_t)p[i] << 24;\n        if (i == 19) sum = word;\n"
               "        else if (i %% 4 == 3 && word != want[i / 4]) return NULL;\n    }\n"
               "    for (i = %d; i < %d + sizeof(%s); i++) {\n        crc ^= p[i];\n"
               "        for (k = 0; k < 8; k++) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));\n    }\n"
               "    return ~crc == sum ? (const %s *)(const void *)(p + %d) : NULL;\n}\n",
               HEAD, HEAD, HEAD, type, type, HEAD);
}
