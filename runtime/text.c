/* text: a long text as a stream of tokens. The file stays on disk: one pass counts the tokens and keeps the place of every
   MARK-th; a window is read from the mark before it. So memory does not depend on what is read, and hardly on the file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/text.h"

enum { MARK = 512, BUFFER = 1 << 18 };

typedef struct {
    const char *path;
    int64_t bytes, start, first, count; /* start: of the text, behind a byte order mark; first: its first token's number */
    struct timespec time;
    VEC(int64_t) mark;
} TextFile;
struct Text {
    Arena *a;
    Unit unit;
    VEC(TextFile) file;
    int64_t count;
    const Vocabulary *v;
};

/* ---- complaints --------------------------------------------------------------------------------------------------------- */

/* Line and column of an offset, found by reading up to it. */
static void find_place(const char *path, int64_t offset, int64_t *line, int64_t *column) {
    FILE *f = fopen(path, "rb");
    *line = *column = 1;
    for (int64_t i = 0; f && i < offset; i++) {
        int c = getc(f);
        if (c == EOF) break;
        ++*column;
        if (c != '\n') continue;
        ++*line;
        *column = 1;
    }
    if (f) fclose(f);
}

static bool bad_at(Ctx *ctx, const TextFile *f, int64_t offset, const char *why) {
    int64_t line, column;
    find_place(f->path, offset, &line, &column);
    diag_error(ctx, 620, NOWHERE, "%s:%lld:%lld: %s", f->path, (long long)line, (long long)column, why);
    return false;
}

static bool cannot_read(Ctx *ctx, const char *path, const char *why) {
    diag_error(ctx, 1, NOWHERE, "cannot read '%s': %s", path, why);
    return false;
}

static bool no_id(Ctx *ctx, const Text *t, const TextFile *f, int64_t offset, const char *token, size_t size) {
    Arena tmp = arena_make(ctx);
    bad_at(ctx, f, offset, arena_printf(&tmp, "'%s' is not in the vocabulary", escape_token(&tmp, token, size)));
    diag_help(ctx, NOWHERE,
              t->unit == UNIT_WORDS ? "`unknown = true` in the data block gives such words an id of their own"
                                    : "`unknown = true` in the data block gives such characters an id of their own");
    arena_free(&tmp);
    return false;
}

/* ---- scanning ----------------------------------------------------------------------------------------------------------- */

typedef enum { SCAN_ON, SCAN_STOP, SCAN_FAIL } ScanStep;
typedef struct Scan {
    Ctx *ctx;
    const Text *t;
    const TextFile *f;
    int fd;
    Arena arena;
    char *buf;
    size_t lo, hi;
    int64_t offset; /* in the file, of buf[lo] */
    bool end;
    ScanStep (*fn)(struct Scan *s, const char *token, size_t size);
    /* of the functions */
    Text *text;
    TextFile *file;
    int64_t at, from, to; /* number of the token; those that count */
    Counter *counter;
} Scan;

static bool refill(Scan *s) {
    memmove(s->buf, s->buf + s->lo, s->hi - s->lo);
    s->hi -= s->lo;
    s->lo = 0;
    while (!s->end && s->hi < BUFFER) {
        ssize_t n = read(s->fd, s->buf + s->hi, BUFFER - s->hi);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot_read(s->ctx, s->f->path, strerror(errno));
        if (n == 0) s->end = true;
        s->hi += (size_t)n;
    }
    return true;
}

static bool token_sound(Scan *s, const char *p, size_t size) {
    int64_t wrong = !size ? 0 : s->t->unit == UNIT_WORDS ? utf8_wrong(p, size) : -1;
    if (wrong >= 0) {
        bad_at(s->ctx, s->f, s->offset + wrong, "this is not UTF-8");
        encoding_help(s->ctx, s->f->path);
        return false;
    }
    if (size > TOKEN_MAX) return bad_at(s->ctx, s->f, s->offset, "a word of more than 1000 bytes; is this a text in words?");
    if (s->t->unit != UNIT_BYTES && memchr(p, 0, size)) return bad_at(s->ctx, s->f, s->offset, "a NUL byte; is this a text?");
    return true;
}

static bool scan_tokens(void *arg) {
    Scan *s = arg;
    for (;;) {
        if (s->hi - s->lo < TOKEN_MAX + 8 && !s->end && !refill(s)) return false;
        const char *at = s->buf + s->lo, *begin = at;
        size_t size;
        const char *p = token_next(s->t->unit, &at, s->buf + s->hi, &size);
        s->offset += (p ? p : s->buf + s->hi) - begin;
        s->lo = (size_t)((p ? p : s->buf + s->hi) - s->buf);
        if (!p && s->end) return true;
        if (!p ||
            (s->lo + size == s->hi && !s->end && s->hi - s->lo <= TOKEN_MAX)) { /* blanks, or a word cut by the buffer's end */
            if (!refill(s)) return false;
            continue;
        }
        if (!token_sound(s, p, size)) return false;
        ScanStep step = s->fn(s, p, size);
        if (step != SCAN_ON) return step == SCAN_STOP;
        s->lo += size;
        s->offset += (int64_t)size;
        s->at++;
    }
}

static bool scan_guarded(void *arg) {
    Scan *s = arg;
    s->buf = arena_alloc(&s->arena, BUFFER);
    if (lseek(s->fd, s->offset, SEEK_SET) < 0) return cannot_read(s->ctx, s->f->path, strerror(errno));
    return scan_tokens(s);
}

static bool scan(Scan *s, int64_t offset) {
    s->fd = open(s->f->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return cannot_read(s->ctx, s->f->path, strerror(errno));
    s->arena = arena_make(s->ctx);
    s->offset = offset;
    int got = guard_call(s->ctx, scan_guarded, s);
    close(s->fd);
    arena_free(&s->arena);
    if (got < 0) ctx_out_of_memory(s->ctx);
    return got;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static ScanStep count_token(Scan *s, const char *token, size_t size) {
    (void)token;
    (void)size;
    if (s->file->count++ % MARK == 0) VEC_PUSH(s->text->a, s->file->mark) = s->offset;
    return SCAN_ON;
}

static bool stat_file(Ctx *ctx, TextFile *f, Unit unit) {
    struct stat st;
    char head[64];
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        cannot_read(ctx, f->path, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    bool regular = S_ISREG(st.st_mode);
    f->bytes = st.st_size;
    f->time = st.st_mtim;
    ssize_t n = regular ? pread(fd, head, sizeof head, 0) : 0;
    f->start = n >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    close(fd);
    if (!regular) return cannot_read(ctx, f->path, "it is no regular file");
    return unit == UNIT_BYTES || n <= 0 || !encoding_wide(ctx, f->path, head, (size_t)n);
}

Text *text_open(Ctx *ctx, Arena *a, const char *path, Unit unit) {
    Text *t = NEW(a, Text);
    TextFile *f = &VEC_PUSH(a, t->file);
    t->a = a;
    t->unit = unit;
    f->path = arena_strdup(a, path);
    if (!stat_file(ctx, f, unit)) return NULL;
    if (unit == UNIT_BYTES) f->start = 0;
    f->count = unit == UNIT_BYTES ? f->bytes : 0;
    Scan s = {.ctx = ctx, .t = t, .f = f, .fn = count_token, .text = t, .file = f};
    if (unit != UNIT_BYTES && !scan(&s, f->start)) return NULL;
    t->count = f->count;
    return t;
}

int64_t text_count(const Text *t) { return t->count; }

void text_use(Text *t, const Vocabulary *v) { t->v = v; }

void text_append(Text *t, const Text *next) {
    for (uint32_t i = 0; i < next->file.n; i++) {
        TextFile *f = &VEC_PUSH(t->a, t->file);
        *f = next->file.at[i];
        f->first = t->count;
        t->count += f->count;
    }
}

static ScanStep learn_token(Scan *s, const char *token, size_t size) {
    if (s->at >= s->to) return SCAN_STOP;
    if (s->at >= s->from) counter_add(s->counter, token, size);
    return SCAN_ON;
}

bool text_learn(Ctx *ctx, Text *t, int64_t from, int64_t to, Counter *c) {
    for (uint32_t i = 0; i < t->file.n; i++) {
        const TextFile *f = &t->file.at[i];
        Scan s = {.ctx = ctx, .t = t, .f = f, .fn = learn_token, .at = f->first, .from = from, .to = to, .counter = c};
        if (f->first < to && f->first + f->count > from && !scan(&s, f->start)) return false;
    }
    return true;
}

static ScanStep check_token(Scan *s, const char *token, size_t size) {
    if (vocabulary_id(s->t->v, token, size) >= 0) return SCAN_ON;
    no_id(s->ctx, s->t, s->f, s->offset, token, size);
    return SCAN_FAIL;
}

bool text_check(Ctx *ctx, Text *t) {
    if (t->unit == UNIT_BYTES || t->v->unknown >= 0) return true;
    for (uint32_t i = 0; i < t->file.n; i++) {
        Scan s = {.ctx = ctx, .t = t, .f = &t->file.at[i], .fn = check_token};
        if (!scan(&s, t->file.at[i].start)) return false;
    }
    return true;
}

/* ---- windows ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Ctx *ctx;
    const Text *t;
    Arena *tmp;
    const TextFile *f;
    int fd;
    int64_t n, steps;
    const int64_t *start;
    int32_t *out;
    char *buf;
    size_t cap;
} Reading;

static bool changed(Reading *r) {
    struct stat st;
    if (fstat(r->fd, &st) == 0 && st.st_size == r->f->bytes && st.st_mtim.tv_sec == r->f->time.tv_sec &&
        st.st_mtim.tv_nsec == r->f->time.tv_nsec)
        return false;
    cannot_read(r->ctx, r->f->path, "it was changed while it was in use");
    return true;
}

static bool read_range(Reading *r, int64_t lo, int64_t hi) {
    size_t n = (size_t)(hi - lo), got = 0;
    if (n > r->cap) {
        r->cap = n * 2;
        r->buf = arena_alloc(r->tmp, r->cap);
    }
    while (got < n) {
        ssize_t k = pread(r->fd, r->buf + got, n - got, (off_t)(lo + (int64_t)got));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return cannot_read(r->ctx, r->f->path, k ? strerror(errno) : "it has become shorter");
        got += (size_t)k;
    }
    return true;
}

/* Tokens start .. start + steps of the file into out. */
static bool read_window(Reading *r, int64_t start, int32_t *out) {
    const TextFile *f = r->f;
    int64_t lo = start, hi = start + r->steps, skip = 0;
    if (r->t->unit != UNIT_BYTES) {
        int64_t last = (start + r->steps - 1) / MARK + 1;
        lo = f->mark.at[start / MARK];
        hi = last < f->mark.n ? f->mark.at[last] : f->bytes;
        skip = start % MARK;
    }
    if (!read_range(r, lo, hi)) return false;
    const char *at = r->buf, *end = r->buf + (hi - lo);
    for (int64_t k = -skip; k < r->steps; k++) {
        size_t size;
        const char *p = token_next(r->t->unit, &at, end, &size);
        if (!p || !size || size > TOKEN_MAX) return cannot_read(r->ctx, f->path, "it was changed while it was in use");
        if (k < 0) continue;
        out[k] = vocabulary_id(r->t->v, p, size);
        if (out[k] < 0) return no_id(r->ctx, r->t, f, lo + (p - r->buf), p, size);
    }
    return true;
}

static bool read_windows(void *arg) {
    Reading *r = arg;
    if (changed(r)) return false;
    for (int64_t k = 0; k < r->n; k++) {
        int64_t at = r->start[k] - r->f->first;
        if (at >= 0 && at + r->steps <= r->f->count && !read_window(r, at, r->out + k * r->steps)) return false;
    }
    return true;
}

static bool any_in(const Reading *r) {
    for (int64_t k = 0; k < r->n; k++)
        if (r->start[k] >= r->f->first && r->start[k] < r->f->first + r->f->count) return true;
    return false;
}

bool text_windows(Ctx *ctx, const Text *t, Arena *tmp, int64_t n, const int64_t *start, int64_t steps, int32_t *out) {
    for (uint32_t i = 0; i < t->file.n; i++) {
        Reading r = {.ctx = ctx, .t = t, .tmp = tmp, .f = &t->file.at[i], .n = n, .steps = steps, .start = start, .out = out};
        if (!any_in(&r)) continue;
        r.fd = open(r.f->path, O_RDONLY | O_CLOEXEC);
        if (r.fd < 0) return cannot_read(ctx, r.f->path, strerror(errno));
        int got = guard_call(ctx, read_windows, &r);
        close(r.fd);
        if (got < 0) ctx_out_of_memory(ctx);
        if (!got) return false;
    }
    return true;
}
