/* wavout: a sound through a model, sample by sample with its state kept from the first to the last, to a WAV file of 32-bit floats. */
#include <string.h>

#include "runtime/records.h"

enum { HEAD = 44, FLOATS = 3 };

static int64_t channels(const PortDesc *p) {
    int64_t n = 1;
    for (int k = 0; k < p->rank; k++) n *= p->dim[k];
    return p->seq && p->dtype == DT_F ? n : 0;
}

static bool ports_fit(Model *m, const Wav *w, const char *path) {
    const ModelDesc *d = m->desc;
    if (d->input.n == 1 && d->output.n == 1 && channels(&d->input.at[0]) == w->channels && channels(&d->output.at[0])) return true;
    diag_error(m->ctx, 552, d->span, "%s has %d channel%s: one input `seq [%d]` and one output of numbers at each step are needed", path, w->channels,
               w->channels == 1 ? "" : "s", w->channels);
    return false;
}

bool wav_write(Ctx *ctx, Arena *a, const char *path, const float *y, int64_t frames, int64_t n, int rate) {
    uint64_t bytes = (uint64_t)frames * (uint64_t)n * 4;
    if (bytes > UINT32_MAX - HEAD || n > 64) {
        diag_error(ctx, 623, NOWHERE, "%s: more than 4 GB, or 64 channels, are no WAV file", path);
        return false;
    }
    unsigned char *p = NEW_N(a, unsigned char, HEAD + bytes);
    memcpy(p, "RIFF", 4);
    store_le(p + 4, HEAD - 8 + bytes, 4);
    memcpy(p + 8, "WAVEfmt ", 8);
    store_le(p + 16, 16, 4);
    store_le(p + 20, FLOATS, 2);
    store_le(p + 22, (uint64_t)n, 2);
    store_le(p + 24, (uint64_t)rate, 4);
    store_le(p + 28, (uint64_t)rate * (uint64_t)n * 4, 4);
    store_le(p + 32, (uint64_t)n * 4, 2);
    store_le(p + 34, 32, 2);
    memcpy(p + 36, "data", 4);
    store_le(p + 40, bytes, 4);
    for (int64_t i = 0; i < frames * n; i++) {
        uint32_t v;
        memcpy(&v, &y[i], sizeof v);
        store_le(p + HEAD + i * 4, v, 4);
    }
    return file_write(ctx, path, p, HEAD + (size_t)bytes);
}

static bool through(Model *m, Arena *a, const char *in, const char *out) {
    Wav w;
    int got;
    if (!wav_read(m, a, in, &w) || !ports_fit(m, &w, in) || !model_need_weights(m)) return false;
    int64_t n = channels(&m->desc->output.at[0]);
    float *y = NEW_N(a, float, w.frames * n + 1);
    rondo_stream *s = stream_make(m, 1, &got);
    if (got < 0) ctx_out_of_memory(m->ctx);
    if (!s) return false;
    bool ok = stream_steps(s, w.frames, w.sample, y);
    rondo_stream_close(s);
    return ok && wav_write(m->ctx, a, out, y, w.frames, n, w.rate);
}

bool wav_through(Model *m, const char *in, const char *out) {
    const Setting *s = data_setting(m, "wav");
    Arena *a = scratch_begin(m);
    bool pair = s && s->kind == SET_LIST && s->n && s->item[0].kind == SET_STRING;
    if (!in && !pair) diag_error(m->ctx, 552, m->desc->data.span, "there is no WAV file to send through '%s': --data names one", name_str(m->ctx, m->desc->name));
    if (!in && pair) in = model_beside(m, a, name_str(m->ctx, s->item[0].name));
    bool ok = in && through(m, a, in, out);
    scratch_end(m);
    return ok;
}
