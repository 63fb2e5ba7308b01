/* guess: which keys are likely next, for a C program or, compiled to WebAssembly, for a page. */
#ifndef GUESS_H
#define GUESS_H

void guess_reset(void);            /* a new text */
void guess_key(int byte);          /* this one was typed, 0 to 255 */
int guess_next(int rank);          /* the byte that is likeliest next (rank 0), the second, .. */
double guess_probability(int byte); /* of this byte to come next */

#endif
