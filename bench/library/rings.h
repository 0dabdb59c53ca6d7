/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: our ring, and the queues that the paper has tried. */

#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H 1

#include "contender.h"

extern const struct bench_contender bench_ring_mutex;
extern const struct bench_contender bench_ring_list;
extern const struct bench_contender bench_ring_paper;
extern const struct bench_contender bench_ring_ours;

#endif /* bench/library/rings.h */
