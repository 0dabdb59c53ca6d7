/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders that find changes. */

#ifndef BENCH_CHANGES_H
#define BENCH_CHANGES_H 1

#include "contender.h"

extern const struct bench_contender bench_change_derived;
extern const struct bench_contender bench_change_table;

#endif /* bench/library/changes.h */
