/*
 * Distributions of latency as a picture: SVG, with the share of puts on the one axis, in
 * nines, and their time on the other, both logarithmic.
 */
#ifndef STEM_BENCH_CHART_H
#define STEM_BENCH_CHART_H

#include <stdbool.h>

#include "histogram.h"

typedef struct chart_line {
    const char *name;
    const char *colour; /* of SVG */
    bool is_dashed;
    const histogram *times;
} chart_line;

/* Writes the file, or ends the program. */
void chart_write(const char *path, const char *title, const chart_line *lines, size_t n);

#endif
