/* text: from bytes to tokens, vocabularies, and long texts that stay on disk. */
#ifndef RONDO_RUNTIME_TEXT_H
#define RONDO_RUNTIME_TEXT_H

#include "runtime/internal.h"

typedef enum { UNIT_BYTES, UNIT_CHARACTERS, UNIT_WORDS } Unit;
typedef struct Text Text;
enum { TOKEN_MAX = 1000 }; /* bytes of a word */

/* Ids: 0 for padding and then one for what is unknown, where these are asked for; then the tokens. */
typedef struct {
    Unit unit;
    bool lower;
    int32_t padding, unknown, end; /* ids; -1: none. end: behind (and before) a text that is written token by token */
    int32_t n;                     /* ids that mean something */
    const char **token;            /* [n]; NULL for padding, unknown and end */
    uint32_t *slot, nslot;    /* hash table: id + 1 */
} Vocabulary;

typedef struct {
    Unit unit;
    bool lower, padding, unknown, end;
} TextOptions;
uint32_t reserved_ids(const TextOptions *o);
/* The keys unit, lower_case, padding, unknown, teacher; `unit`: where none is written. */
bool text_options(Model *m, Unit unit, TextOptions *o);

/* Bytes of the character at p (n > 0 bytes left): 1 to 4, 0 where it is not UTF-8. */
int utf8_size(const char *p, size_t n);
/* ---- files of text ------------------------------------------------------------------------------------------------------ */

int64_t utf8_wrong(const char *text, size_t n); /* the first byte that is not UTF-8; -1: all of it is */
/* Does a file that begins like this hold UTF-16 or UTF-32? Then there is a diagnostic. */
bool encoding_wide(Ctx *ctx, const char *path, const char *text, size_t n);
void encoding_help(Ctx *ctx, const char *path); /* after "this is not UTF-8": what to do */
/* All of a file behind its byte order mark, with a NUL after it. Unless the unit is bytes it is UTF-8 and holds no NUL byte. */
bool text_whole(Ctx *ctx, Arena *a, const char *path, Unit unit, char **text, size_t *n);

/* The next token at or after *at; *size bytes of it, *at behind it. NULL at the end; a malformed character has *size 0. */
const char *token_next(Unit unit, const char **at, const char *end, size_t *size);
/* Lower case of a token into out (at least as long as TOKEN_MAX + 1); returns its size. */
size_t token_lower(Unit unit, const char *token, size_t size, char *out);

/* Counts tokens, then makes ids of the most frequent ones, ties by first appearance (characters: all that fit in the order of
   their code points). */
typedef struct Counter Counter;
Counter *counter_make(Arena *a, const TextOptions *o);
void counter_add(Counter *c, const char *token, size_t size);
uint32_t counter_size(const Counter *c); /* different ones */
Vocabulary *vocabulary_make(Arena *a, const TextOptions *o, const Counter *c, int32_t size);
Vocabulary *vocabulary_bytes(Arena *a, const TextOptions *o);               /* 0 .. 255 as they are */
int32_t vocabulary_id(const Vocabulary *v, const char *token, size_t size); /* -1: not in it, and there is no unknown */
/* As one text for the metadata of a weights file, and back; NULL where it is not such a text. */
const char *vocabulary_text(Arena *a, const Vocabulary *v);
Vocabulary *vocabulary_parse(Arena *a, const char *text);
const char *escape_token(Arena *a, const char *token, size_t size);  /* %XX for what is not printable UTF-8, blanks and % */
const char *unescape_token(Arena *a, const char *text, size_t size); /* NULL: it is not of that form */
/* Sees to it that the model has a vocabulary of at most `size` ids: that of its weights, or one of what was counted. */
bool text_fit(Model *m, const TextOptions *o, const Counter *c, int32_t size);

/* ---- long texts --------------------------------------------------------------------------------------------------------- */

/* A file as a stream of tokens: every MARK-th one's place is kept, the rest is read when needed. */
Text *text_open(Ctx *ctx, Arena *a, const char *path, Unit unit); /* counts; NULL with a diagnostic */
int64_t text_count(const Text *t);
bool text_learn(Ctx *ctx, Text *t, int64_t from, int64_t to, Counter *c); /* counts tokens [from, to) */
void text_use(Text *t, const Vocabulary *v);
bool text_check(Ctx *ctx, Text *t); /* every token has an id? */
/* out[k * steps + i] = id of token start[k] + i. */
bool text_windows(Ctx *ctx, const Text *t, Arena *tmp, int64_t n, const int64_t *start, int64_t steps, int32_t *out);
void text_append(Text *t, const Text *next); /* the tokens of another file behind these */

#endif
