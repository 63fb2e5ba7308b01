/* wav: sound as RIFF/WAVE files have it (Microsoft, Multimedia Programming Interface and Data Specifications 1.0): PCM of 16, 24
   and 32 bits and 32-bit floats, also in the extensible form. A pair of files is one long record: what goes into a device and
   what comes out, sample by sample; the model sees windows of it. */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

enum { FORMAT_PCM = 1, FORMAT_FLOAT = 3, FORMAT_EXTENSIBLE = 0xfffe };

typedef struct {
    Ctx *ctx;
    const char *path;
    const unsigned char *p;
    size_t n, data, bytes; /* data chunk */
    int format, channels, rate, bits, block;
} Reader;

static bool bad(const Reader *r, size_t at, const char *why) {
    diag_error(r->ctx, 623, NOWHERE, "%s: byte %zu: %s", r->path, at, why);
    return false;
}

static bool read_format(Reader *r, size_t at, size_t size) {
    if (r->format) return bad(r, at, "a second 'fmt ' chunk");
    if (size < 16) return bad(r, at, "the 'fmt ' chunk is shorter than 16 bytes");
    const unsigned char *p = r->p + at;
    r->format = (int)load_le(p, 2);
    r->channels = (int)load_le(p + 2, 2);
    uint64_t rate = load_le(p + 4, 4);
    r->block = (int)load_le(p + 12, 2);
    r->bits = (int)load_le(p + 14, 2);
    if (r->format == FORMAT_EXTENSIBLE && size >= 40) r->format = (int)load_le(p + 24, 2);
    bool known = (r->format == FORMAT_PCM && (r->bits == 16 || r->bits == 24 || r->bits == 32)) ||
                 (r->format == FORMAT_FLOAT && r->bits == 32);
    if (!known) return bad(r, at, "the samples are neither PCM of 16, 24 or 32 bits nor 32-bit floats");
    if (!r->channels || r->channels > 64) return bad(r, at + 2, "the number of channels is not from 1 to 64");
    if (!rate || rate > 10000000) return bad(r, at + 4, "the sampling rate makes no sense");
    if (r->block != r->channels * r->bits / 8) return bad(r, at + 12, "the size of a frame is not that of its samples");
    r->rate = (int)rate;
    return true;
}

static bool read_chunks(Reader *r) {
    if (r->n < 12 || memcmp(r->p, "RIFF", 4) != 0 || memcmp(r->p + 8, "WAVE", 4) != 0)
        return bad(r, 0, "this is no WAV file: RIFF....WAVE is needed");
    for (size_t at = 12; at < r->n;) {
        if (r->n - at < 8) return r->data || bad(r, at, "the file ends within the head of a chunk");
        size_t size = (size_t)load_le(r->p + at + 4, 4), begin = at + 8;
        if (size > r->n - begin)
            return bad(r, at + 4, "the file is truncated: this chunk is said to be longer than what is left");
        if (memcmp(r->p + at, "fmt ", 4) == 0 && !read_format(r, begin, size)) return false;
        if (memcmp(r->p + at, "data", 4) == 0) {
            if (!r->format) return bad(r, at, "the samples come before the 'fmt ' chunk");
            if (r->data) return bad(r, at, "a second 'data' chunk");
            if (size % (size_t)r->block) return bad(r, at + 4, "the data do not end with a whole frame");
            r->data = begin;
            r->bytes = size;
        }
        at = begin + size + (size & 1 && size < r->n - begin);
    }
    return (r->data && r->bytes) || bad(r, r->n, "there are no samples");
}

static float sample(const Reader *r, const unsigned char *p) {
    uint32_t v = (uint32_t)load_le(p, r->bits / 8) << (32 - r->bits);
    float f;
    if (r->format == FORMAT_FLOAT) {
        memcpy(&f, &v, sizeof f);
        return f;
    }
    return (float)((double)(v < UINT32_C(0x80000000) ? (int64_t)v : (int64_t)v - INT64_C(0x100000000)) / 2147483648.0);
}

bool wav_parse(Ctx *ctx, Arena *a, const char *path, const char *data, size_t n, Wav *out) {
    Reader r = {.ctx = ctx, .path = path, .p = (const unsigned char *)data, .n = n};
    if (!read_chunks(&r)) return false;
    int64_t count = (int64_t)(r.bytes / (size_t)(r.bits / 8));
    *out = (Wav){.channels = r.channels, .rate = r.rate, .frames = count / r.channels};
    out->sample = NEW_N(a, float, count + 1);
    for (int64_t i = 0; i < count; i++) {
        size_t at = r.data + (size_t)i * (size_t)(r.bits / 8);
        out->sample[i] = sample(&r, r.p + at);
        if (!isfinite(out->sample[i])) return bad(&r, at, "a sample that is not finite");
    }
    return true;
}

/* ---- pairs -------------------------------------------------------------------------------------------------------------- */

bool wav_read(Model *m, Arena *a, const char *path, Wav *out) {
    Arena *tmp = scratch_begin(m);
    char *data;
    size_t n;
    bool ok = file_read(m->ctx, tmp, path, &data, &n) && wav_parse(m->ctx, a, path, data, n, out);
    scratch_end(m);
    return ok;
}

static bool add_field(Model *m, Arena *a, Feed *f, const PortDesc *p, const char *prefix, const Wav *w, const char *path) {
    int64_t per = 1;
    for (int k = 0; k < p->rank; k++) per *= p->dim[k];
    if (!p->seq || p->dtype != DT_F || per != w->channels) {
        diag_error(m->ctx, 552, p->span, "%s has %d channel%s: '%s' has to be `seq [%d]`", path, w->channels,
                   w->channels == 1 ? "" : "s", name_str(m->ctx, p->name), w->channels);
        return false;
    }
    Field x = {.name = arena_printf(a, "%s%s", prefix, name_str(m->ctx, p->name)),
               .kind = FIELD_TRACK,
               .type = RONDO_F32,
               .rank = p->rank,
               .data = w->sample};
    for (int k = 0; k < p->rank; k++) x.dim[k] = p->dim[k];
    VEC_PUSH(a, f->field) = x;
    return true;
}

static bool cut(Model *m, Arena *a, bool whole, int64_t frames, Feed *f, Dataset *out) {
    Split s;
    int64_t count[3] = {frames, 0, 0};
    double batch = train_number(m, "batch");
    f->window = data_whole(m, "window");
    if (!f->window) f->window = frames;
    f->stride = data_setting(m, "stride") ? data_whole(m, "stride") : f->window;
    if (!whole) {
        s = split_read(m);
        if (!split_counts(m, &s, &frames, &count[0], &count[1])) return false;
        count[2] = frames - count[0] - count[1];
    }
    f->carry = train_bool(m, "stateful");
    (void)a;
    if (feed_cut(f, count, 0, f->carry ? batch >= 1 && batch < 1e6 ? (int64_t)batch : 32 : 0, out)) return true;
    diag_error(m->ctx, 554, m->desc->data.span, "%lld samples are too few for windows of %lld in each part", (long long)frames,
               (long long)f->window);
    return false;
}

bool wav_load(Model *m, const char *path, Arena *a, bool whole, Dataset *out) {
    const Setting *s = data_setting(m, "wav");
    const ModelDesc *d = m->desc;
    Feed *f = NEW(a, Feed);
    Wav w[2] = {{0}, {0}};
    *out = (Dataset){.feed = f};
    if (path) {
        diag_error(m->ctx, 552, s ? s->span : NOWHERE, "the files of a pair are named in the data block: %s alone does not say what comes out", path);
        diag_help(m->ctx, NOWHERE, "`rondo predict -o OUT.wav --data IN.wav` sends a sound through the model");
        return false;
    }
    if (s->kind != SET_LIST || s->n != 2 || s->item[0].kind != SET_STRING || s->item[1].kind != SET_STRING) {
        diag_error(m->ctx, 552, s ? s->span : NOWHERE,
                   "data: wav is a pair of files, what goes in and what comes out: [\"in.wav\", \"out.wav\"]");
        return false;
    }
    if (d->input.n != 1 || d->target.n != 1) {
        diag_error(m->ctx, 552, d->span, "a pair of WAV files needs a model with one input and one target");
        return false;
    }
    for (int k = 0; k < 2; k++) {
        const char *file = model_beside(m, a, name_str(m->ctx, s->item[k].name));
        if (!wav_read(m, a, file, &w[k]) ||
            !add_field(m, a, f, k ? &d->target.at[0] : &d->input.at[0], k ? "target/" : "input/", &w[k], file))
            return false;
    }
    if (w[0].frames == w[1].frames && w[0].rate == w[1].rate) return cut(m, a, whole, w[0].frames, f, out);
    diag_error(m->ctx, 613, s->span, "the two files differ: '%s' has %lld samples at %d Hz, '%s' %lld at %d Hz",
               name_str(m->ctx, s->item[0].name), (long long)w[0].frames, w[0].rate, name_str(m->ctx, s->item[1].name), (long long)w[1].frames,
               w[1].rate);
    return false;
}
