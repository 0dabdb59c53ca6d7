/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders that find superspreaders. */

#ifndef BENCH_SUPERSPREADERS_H
#define BENCH_SUPERSPREADERS_H 1

#include "contender.h"

extern const struct bench_contender bench_spread_derived;
extern const struct bench_contender bench_spread_bloom;
extern const struct bench_contender bench_spread_bitmap;

#endif /* bench/library/superspreaders.h */
