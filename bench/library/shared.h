/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: a count array that two threads share, and one for each. */

#ifndef BENCH_SHARED_H
#define BENCH_SHARED_H 1

#include "contender.h"

extern const struct bench_contender bench_separate;
extern const struct bench_contender bench_shared;

#endif /* bench/library/shared.h */
