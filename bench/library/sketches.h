/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the other structures of the library. */

#ifndef BENCH_SKETCHES_H
#define BENCH_SKETCHES_H 1

#include "contender.h"

extern const struct bench_contender bench_count_array;
extern const struct bench_contender bench_linear_table_pointer;
extern const struct bench_contender bench_count_min;
extern const struct bench_contender bench_cuckoo_1;
extern const struct bench_contender bench_cuckoo_4;
extern const struct bench_contender bench_space_saving;

#endif /* bench/library/sketches.h */
