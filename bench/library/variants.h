/* SPDX-License-Identifier: Apache-2.0 */
/* What was tried to make the linear table faster. */

#ifndef BENCH_VARIANTS_H
#define BENCH_VARIANTS_H 1

#include "contender.h"

extern const struct bench_contender bench_variant_plain;
extern const struct bench_contender bench_variant_sparse;
extern const struct bench_contender bench_variant_second_line;
extern const struct bench_contender bench_variant_floor;
extern const struct bench_contender bench_variant_choose;
extern const struct bench_contender bench_variant_next_burst;
extern const struct bench_contender bench_variant_find_first;
extern const struct bench_contender bench_variant_first_row;
extern const struct bench_contender bench_variant_blind;

#endif /* bench/library/variants.h */
