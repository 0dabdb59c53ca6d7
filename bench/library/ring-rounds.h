/* SPDX-License-Identifier: Apache-2.0 */
/* The task 'rings': what it costs to hand records to another thread. */

#ifndef BENCH_RING_ROUNDS_H
#define BENCH_RING_ROUNDS_H 1

#include "options.h"

void bench_rings_run(const struct bench_options *, const char *command_line);

#endif /* bench/library/ring-rounds.h */
