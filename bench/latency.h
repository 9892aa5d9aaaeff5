/*
 * How long single puts take, over seconds to minutes, on either side of the benchmark of
 * write-back. Keys come at random out of four million.
 */
#ifndef STEM_BENCH_LATENCY_H
#define STEM_BENCH_LATENCY_H

#include "histogram.h"
#include "rival.h"

/* Puts one after the other, each as soon as the last has returned; returns how many there
 * were a second. */
double latency_saturate(rival *to, size_t seconds, histogram *taken);

/* Puts that many a second, each due at its moment whether or not the last has returned: what
 * is counted is the time from when it was due. Without a side nothing is put, and what is
 * counted is what the machine adds. */
void latency_open_loop(rival *to, double per_second, size_t seconds, histogram *taken);

/* Gives the calling thread a processor of its own, the last one, and keeps every other thread
 * of the process off it; ends the program when there is only one. */
void latency_set_apart(void);
/* All threads run wherever the kernel has them again. */
void latency_set_free(void);

#endif
