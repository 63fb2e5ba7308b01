/* plot: what the kinds of pictures share. A picture is a script of gnuplot with its numbers in it. */
#ifndef RONDO_CLI_PLOT_H
#define RONDO_CLI_PLOT_H

#include "cli/cli.h"

typedef struct {
    Cli *cli;
    Str script; /* what comes after the terminal and the style */
    Str data;   /* blocks of numbers, before it */
    int width, height;
    Str said; /* what is printed beside the picture's name */
} Plot;

void plot_text(Str *s, const char *text); /* 'text' for gnuplot */
/* Draws it into path: .svg, .png, or .gp, the script itself. False with a diagnostic; the file is then what it was. */
bool plot_draw(Plot *p, const char *path);
bool plot_can_draw(Cli *c, const char *path); /* its ending is one of these; else usage is set */

/* The kinds, by the model's data. */
bool plot_learning(Plot *p, char **log, int n);
bool plot_tune(Plot *p, const char *path);
bool plot_forecast(Plot *p, Model *m, const char *data, int64_t future);
bool plot_scatter(Plot *p, Model *m, const char *data);
bool plot_confusion(Plot *p, Model *m, const char *data);
bool plot_roc(Plot *p, Model *m, const char *data);
bool plot_attention(Plot *p, Model *m, const char *data, const char *text, int64_t example);

#endif
