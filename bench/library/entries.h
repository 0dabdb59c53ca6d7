/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders with entries of different sizes. */

#ifndef BENCH_ENTRIES_H
#define BENCH_ENTRIES_H 1

#include "contender.h"

extern const struct bench_contender bench_entry_array;
extern const struct bench_contender bench_entry_table;
extern const struct bench_contender bench_entry_pointer;

#endif /* bench/library/entries.h */
