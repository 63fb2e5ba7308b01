/* batch: the arrays of a few examples of a data set, and the order that keeps padding small. */
#include <string.h>

#include "runtime/feed.h"
#include "runtime/text.h"

void batch_free(Batch *b) {
    if (b->ctx) arena_free(&b->arena);
    *b = (Batch){0};
}

bool dataset_ragged(const Dataset *d) {
    for (uint32_t i = 0; d->feed && i < d->feed->field.n; i++)
        if (d->feed->field.at[i].kind == FIELD_RAGGED) return true;
    return !d->feed && arrays_ragged(&d->array);
}

/* ---- windows ------------------------------------------------------------------------------------------------------------ */

void feed_window(const Feed *f, int64_t example, int64_t *start, int64_t *steps) {
    const TrackPart *p = &f->part[0];
    while (p < &f->part[2] && example >= p->example + p->n) p++;
    int64_t k = example - p->example;
    *steps = f->window;
    if (!p->rows) {
        *start = p->first + k * f->stride;
        return;
    }
    int64_t at = k / p->rows * f->window;
    *start = p->first + k % p->rows * p->per_row + at;
    if (p->per_row - at < *steps) *steps = p->per_row - at;
}

bool feed_cut(Feed *f, const int64_t count[3], int64_t ahead, int64_t rows, Dataset *d) {
    int64_t first = 0, example = 0;
    bool ok = true;
    for (int k = 0; k < 3; first += count[k], k++) {
        TrackPart *p = &f->part[k];
        int64_t usable = count[k] - ahead;
        *p = (TrackPart){.example = example, .first = first, .count = count[k], .rows = rows};
        if (usable < 1) {
            ok = ok && count[k] < 1;
            continue;
        }
        if (rows) {
            p->per_row = usable / rows;
            /* training leaves the short window at the end of the rows out: every update sees as many steps */
            p->n =
                rows * (k == 0 && p->per_row >= f->window ? p->per_row / f->window : (p->per_row + f->window - 1) / f->window);
        } else
            p->n = usable < f->window ? 0 : (usable - f->window) / f->stride + 1;
        ok = ok && p->n > 0;
        example += p->n;
    }
    d->train = f->part[0].n;
    d->valid = f->part[1].n;
    d->n = example;
    return ok && example > 0;
}

/* ---- gathering ---------------------------------------------------------------------------------------------------------- */

static size_t step_bytes(const Field *f) {
    size_t n = rondo_type_size(f->type);
    for (int k = 0; k < f->rank; k++) n *= (size_t)f->dim[k];
    return n;
}

static int64_t steps_of(const Feed *f, const Field *x, int64_t example) {
    int64_t start, steps;
    if (x->kind == FIELD_RAGGED) return x->steps[example];
    feed_window(f, example, &start, &steps);
    return steps;
}

static Array *make_array(Batch *b, const Field *x, int64_t B, int64_t steps) {
    int64_t dim[RONDO_MAX_RANK] = {B};
    int rank = 1;
    if (x->kind != FIELD_ROW) dim[rank++] = steps;
    for (int k = 0; k < x->rank && rank < RONDO_MAX_RANK; k++) dim[rank++] = x->dim[k];
    return arrays_add(&b->arena, &b->array, x->name, x->type, rank, dim);
}

static bool add_lengths(Batch *b, const Feed *f, const Field *x, int64_t B, const int64_t *example) {
    const char *slash = strchr(x->name, '/');
    Array *a =
        arrays_add(&b->arena, &b->array, arena_printf(&b->arena, "length/%s", slash ? slash + 1 : x->name), RONDO_I64, 1, &B);
    for (int64_t i = 0; a && i < B; i++) ((int64_t *)a->data)[i] = steps_of(f, x, example[i]);
    return a != NULL;
}

/* Tokens of each example from its window's first one on. */
static bool read_text(Batch *b, const Feed *f, int64_t B, const int64_t *example, int64_t tokens) {
    int64_t *start = NEW_N(&b->arena, int64_t, B + 1);
    b->token = NEW_N(&b->arena, int32_t, B * tokens + 1);
    for (int64_t i = 0, steps; i < B; i++) feed_window(f, example[i], &start[i], &steps);
    return text_windows(b->ctx, f->text, &b->arena, B, start, tokens, b->token);
}

/* The input is the window and the target the same one step on: the text is read once for both. */
static bool fill_text(Batch *b, const Feed *f, const Field *x, int64_t B, const int64_t *example, Array *a) {
    int64_t steps = a->dim[1], ahead = 0;
    for (uint32_t k = 0; k < f->field.n; k++)
        if (f->field.at[k].kind == FIELD_TEXT && f->field.at[k].shift > ahead) ahead = f->field.at[k].shift;
    if (!b->token && !read_text(b, f, B, example, steps + ahead)) return false;
    for (int64_t i = 0; i < B; i++) memcpy((int32_t *)a->data + i * steps, b->token + i * (steps + ahead) + x->shift, (size_t)steps * sizeof *b->token);
    return true;
}

static bool fill_field(Batch *b, const Feed *f, const Field *x, int64_t B, const int64_t *example) {
    int64_t most = 0, real = 0;
    for (int64_t i = 0; x->kind != FIELD_ROW && i < B; i++) {
        int64_t n = steps_of(f, x, example[i]);
        real += n;
        if (n > most) most = n;
    }
    if (most * B > b->padded) {
        b->padded = most * B;
        b->real = real;
    }
    Array *a = make_array(b, x, B, most);
    if (!a) {
        diag_error(b->ctx, 902, NOWHERE, "a batch of %lld examples of %lld steps is larger than any memory", (long long)B,
                   (long long)most);
        return false;
    }
    if (x->kind == FIELD_TEXT) return fill_text(b, f, x, B, example, a);
    size_t step = step_bytes(x), row = x->kind == FIELD_ROW ? step : step * (size_t)most;
    for (int64_t i = 0; i < B; i++) {
        int64_t start = example[i], steps = 1;
        if (x->kind == FIELD_RAGGED) {
            start = x->start[example[i]];
            steps = x->steps[example[i]];
        } else if (x->kind == FIELD_TRACK) {
            feed_window(f, example[i], &start, &steps);
            start += x->shift;
        }
        memcpy((char *)a->data + (size_t)i * row, (const char *)x->data + (size_t)start * step, (size_t)steps * step);
    }
    return x->kind != FIELD_RAGGED || add_lengths(b, f, x, B, example);
}

/* The rows of an array of the data set itself. */
static bool fill_row(Batch *b, const Array *x, int64_t B, const int64_t *example) {
    Field f = {.name = x->name, .kind = FIELD_ROW, .type = x->type, .rank = x->rank - 1, .data = x->data};
    for (int k = 1; k < x->rank; k++) f.dim[k - 1] = x->dim[k];
    return fill_field(b, NULL, &f, B, example);
}

bool batch_fill(Batch *b, Ctx *ctx, const Dataset *d, int64_t B, const int64_t *example) {
    if (!b->ctx) *b = (Batch){.ctx = ctx, .arena = arena_make(ctx)};
    b->real = b->padded = 0;
    b->row = NULL;
    b->token = NULL;
    if (!d->feed) {
        b->array = d->array;
        b->row = example;
        return true;
    }
    arena_free(&b->arena);
    b->array = (Arrays){0};
    for (uint32_t i = 0; i < d->array.array.n; i++)
        if (!fill_row(b, &d->array.array.at[i], B, example)) return false;
    for (uint32_t i = 0; i < d->feed->field.n; i++)
        if (!fill_field(b, d->feed, &d->feed->field.at[i], B, example)) return false;
    return true;
}

/* ---- order -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t length, at, example;
} Sorted;

static int by_length(const void *a, const void *b) {
    const Sorted *x = a, *y = b;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

void order_by_length(const Feed *f, uint64_t seed, uint64_t epoch, int64_t n, int64_t batch, int64_t *order, Arena *tmp) {
    int64_t pool = f->bucket * batch, full = n / batch;
    if (!f->length || pool < 1) return;
    Sorted *p = NEW_N(tmp, Sorted, n + 1);
    int64_t *draw = NEW_N(tmp, int64_t, full + 1);
    for (int64_t i = 0; i < n; i++) p[i] = (Sorted){f->length[order[i]], i, order[i]};
    for (int64_t i = 0; i < n; i += pool) qsort(p + i, (size_t)(n - i < pool ? n - i : pool), sizeof *p, by_length);
    shuffle_order(seed ^ UINT64_C(0x5851f42d4c957f2d), epoch, full, draw);
    for (int64_t k = 0; k < full; k++) /* the short batch stays the last */
        for (int64_t i = 0; i < batch; i++) order[k * batch + i] = p[draw[k] * batch + i].example;
    for (int64_t i = full * batch; i < n; i++) order[i] = p[i].example;
}
