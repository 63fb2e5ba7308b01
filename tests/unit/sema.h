/* Shared by the parts of test_sema. */
#ifndef RONDO_TEST_SEMA_H
#define RONDO_TEST_SEMA_H

#include "frontend/frontend.h"

void check(bool ok, const char *what, const char *where);
/* Loads a program from text; on errors prints them and returns NULL. */
Program *load_text(Ctx *ctx, Arena *a, const char *text);
void print_diagnostics(Ctx *ctx);

void test_values(void); /* std against formulas written out in C */
void test_unroll(void); /* scans against the same models expanded step by step */
void test_pieces(void); /* std declaration by declaration */
void test_checked(void); /* the module of the check against one built without it */
void test_mutations(const char *seed, int rounds); /* edits of valid programs: an answer, never a crash */

#endif
