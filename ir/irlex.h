/* Private to ir/: the words of the textual form of a module. */
#ifndef RONDO_IR_LEX_H
#define RONDO_IR_LEX_H

#include "ir/graph.h"

typedef enum { TOK_END, TOK_WORD, TOK_STRING, TOK_NUMBER, TOK_REF, TOK_INDEX, TOK_ARROW, TOK_PUNCT } TokKind;

typedef struct {
    Ctx *ctx;
    Arena *arena;
    const Source *src;
    uint32_t at; /* offset behind the token */
    bool failed;
    TokKind kind;
    uint32_t lo;      /* offset of the token */
    const char *text; /* WORD, STRING */
    double number;    /* NUMBER, REF, INDEX */
    bool integer;
    char punct;
} Lex;

void lex_next(Lex *l);
Span lex_span(const Lex *l);
void lex_fail(Lex *l, uint16_t code, const char *fmt, ...)
    PORT_PRINTF(3, 4); /* the first failure is reported and ends the text */
bool lex_is(const Lex *l, const char *word);
bool lex_accept(Lex *l, const char *word); /* a word or one punctuation character */
void lex_expect(Lex *l, const char *word);
int64_t lex_int(Lex *l, int64_t lo, int64_t hi); /* with an optional '-' */
double lex_double(Lex *l);
uint32_t lex_ref(Lex *l); /* %n */
Name lex_name(Lex *l);    /* a word or a string */
int lex_one_of(Lex *l, const char *const *word, int n);

#endif
