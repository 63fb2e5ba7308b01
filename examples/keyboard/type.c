/* type TEXT: types it, key by key, and shows before each key the three that the network would have offered. */
#include <math.h>
#include <stdio.h>

#include "guess.h"

static int shown(int byte) { return byte < ' ' || byte > '~' ? '.' : byte; }

int main(int argc, char **argv) {
    int keys = 0, offered = 0;
    double bits = 0;
    if (argc != 2) return fputs("usage: type TEXT\n", stderr), 2;
    guess_reset();
    for (const char *s = argv[1]; *s; s++, keys++) {
        int key = (unsigned char)*s, hit = 0;
        for (int rank = 0; rank < 3; rank++) hit |= guess_next(rank) == key;
        printf("%c offered: [%c] [%c] [%c] %c %.2f bits\n", shown(key), shown(guess_next(0)), shown(guess_next(1)), shown(guess_next(2)), hit ? '*' : '-',
               -log2(guess_probability(key)));
        offered += hit;
        bits -= log2(guess_probability(key));
        guess_key(key);
    }
    printf("%d of %d keys were among the three; %.2f bits a key\n", offered, keys, bits / (keys ? keys : 1));
    return 0;
}
