/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a key heavy. */

#ifndef MEASURE_THRESHOLD_H
#define MEASURE_THRESHOLD_H 1

#include "questions/measure-query.h"

/* What makes a key heavy
 * ======================
 *
 * The configured threshold (measure-config.h): a share of what a scope adds up
 * to, or a rate.
 *
 * Thread safety: a plain function. */

bool measure_is_heavy(const struct measure_totals *,
                      const struct measure_threshold *, enum measure_sort,
                      uint64_t packets, uint64_t bytes);

#endif /* measure-threshold.h */
