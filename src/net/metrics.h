/*
 * The figures of a server, from one list: for INFO (info.c) and for Prometheus.
 */
#ifndef STEM_NET_METRICS_H
#define STEM_NET_METRICS_H

#include "server.h"

/* One figure. Prometheus has "stem_" before its name. */
typedef struct stem_figure {
    const char *section, *name, *help; /* the first is INFO's */
    bool is_counter;
    uint64_t value;
} stem_figure;

enum { STEM_MOST_FIGURES = 40 };

typedef struct stem_figures {
    stem_figure all[STEM_MOST_FIGURES];
    size_t n;
    uint64_t used_bytes; /* memory that the server knows to be in use */
} stem_figures;

void stem_metrics_list(const stem_server *server, stem_figures *figures);
/* All of it as Prometheus has it. */
void stem_metrics_text(const stem_server *server, stem_buffer *out);

#endif
