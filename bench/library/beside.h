/* SPDX-License-Identifier: Apache-2.0 */
/* The task 'beside': counting beside a program that uses the cache. */

#ifndef BENCH_BESIDE_H
#define BENCH_BESIDE_H 1

#include "contender.h"
#include "options.h"
#include "traffic.h"

void bench_beside_run(const struct bench_options *, struct bench_traffic *,
                      struct bench_settings *, const char *command_line);

#endif /* bench/library/beside.h */
