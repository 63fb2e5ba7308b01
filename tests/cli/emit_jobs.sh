# The models of `rondo new` for sequences on their way to a program: trained, written as C, fed from the same file, the numbers and the names
# of classes and labels are those of `rondo predict`.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror"
quick="-q --seed 1 --set epochs=4"
compare() { # compare NAME FIELD: what the program says of rows, to a row of `rondo predict` from that field on: names alike, numbers up to what is printed
    expect 0 ./program <rows
    cp out got
    expect 0 "$RONDO" predict $1.rondo -w $1.safetensors -o $1-said.csv
    sed 1d $1-said.csv | cut -d, -f$2- >want
    [ -s want ] && [ "$(wc -l <want)" = "$(wc -l <got)" ] || fail "$1: $(wc -l <got) rows for $(wc -l <want)"
    paste -d, want got | awk -F, '{ n = NF / 2; for (k = 1; k <= n; k++) {
            d = $k - $(k + n)
            if ($k ~ /^[-0-9.e]+$/ ? !(d < 1e-4 && d > -1e-4) : $k != $(k + n)) bad = 1 } }
        END { exit bad || NF % 2 }' || { paste want got | head; fail "$1: the program says something else than rondo predict"; }
}
build() { # build NAME OPTION: the program of main.c
    expect 0 "$RONDO" emit c $1.rondo -w $1.safetensors -o . ${2-}
    expect 0 "$CC" $strict -O1 $fused -o program main.c $1.c -lm
}

# ---- classify-sequences: the class of the largest score ----
expect 0 "$RONDO" new classify-sequences moves
expect 0 "$RONDO" train moves.rondo $quick
cat >main.c <<'END'
#include "moves.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    float x[2000], score[MOVES_OUT_SCORES];
    for (int n; scanf("%d", &n) == 1;) {
        void *work = malloc(moves_predict_workspace(n, 1));
        for (int k = 0; k < 2 * n; k++) if (scanf("%f", x + k) != 1) return 1;
        moves_predict(NULL, x, n, 1, score, work);
        free(work);
        int best = 0;
        for (int k = 1; k < MOVES_CLASSES; k++) if (score[k] > score[best]) best = k;
        printf("%s", moves_class(best));
        for (int k = 0; k < MOVES_CLASSES; k++) printf(",%.7g", (double)score[k]);
        puts("");
    }
    return moves_class(-1) || moves_class(MOVES_CLASSES);
}
END
build moves
# dimensions stand one behind the other in a line of .ts
sed '1,/@data/d' moves.ts | awk -F: '
    { n = split($1, a, ","); split($2, b, ","); printf "%d", n; for (k = 1; k <= n; k++) printf " %s %s", a[k], b[k]; print "" }' >rows
compare moves 5

# ---- regress: a batch of unequal lengths, in the units of the data ----
expect 0 "$RONDO" new regress pulls
expect 0 "$RONDO" train pulls.rondo $quick
cat >main.c <<'END'
#include "pulls.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXAMPLES = 400, STEPS = 200 };
static float x[EXAMPLES * STEPS], p[EXAMPLES];
static int32_t length[EXAMPLES];

int main(void) {
    int run, last = -1, n = 0;
    for (float height; scanf("%d,%f,%*f", &run, &height) == 2; last = run) {
        n += run != last;
        x[(n - 1) * STEPS + length[n - 1]++] = height;
    }
    void *work = malloc(pulls_predict_workspace(STEPS, n));
    pulls_predict(NULL, x, length, STEPS, n, p, work);
    free(work);
    for (int k = 0; k < n; k++) printf("%.7g\n", (double)p[k]);
    return 0;
}
END
build pulls --ragged
sed 1d pulls.csv >rows
compare pulls 6

# ---- tagging: words in, their labels out ----
expect 0 "$RONDO" new tagging orders
expect 0 "$RONDO" train orders.rondo $quick
cat >main.c <<'END'
#include "orders.h"

#include <stdio.h>
#include <string.h>

int main(void) {
    static unsigned char work[ORDERS_PREDICT_WORK(60, 1)];
    static float score[60 * ORDERS_CLASSES];
    for (char line[1000]; fgets(line, sizeof line, stdin);) {
        int32_t words[60];
        int n = 0;
        for (const char *s = strtok(line, " \n"); s; s = strtok(NULL, " \n")) words[n++] = orders_token_id(s, strlen(s));
        orders_predict(NULL, words, n, 1, score, work);
        for (int t = 0; t < n; t++) {
            const float *at = score + t * ORDERS_CLASSES;
            int best = 0;
            for (int k = 1; k < ORDERS_CLASSES; k++) if (at[k] > at[best]) best = k;
            printf("%s,%d", orders_class(best), t);
            for (int k = 0; k < ORDERS_CLASSES; k++) printf(",%.7g", (double)at[k]);
            puts("");
        }
    }
    return 0;
}
END
build orders
sed 's/{"words": "\([^"]*\)".*/\1/' orders.jsonl | tr 'A-Z' 'a-z' >rows
compare orders 5

# classes that are numbers by themselves have no names
expect 0 "$RONDO" emit c "$SRC/examples/sunspots.rondo" -o plain
! grep -q CLASSES plain/sunspots.h || fail "classes of a forecast"
