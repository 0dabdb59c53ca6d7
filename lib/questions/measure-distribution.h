/* SPDX-License-Identifier: Apache-2.0 */
/* The question for sizes of flows and their entropy. */

#ifndef MEASURE_DISTRIBUTION_H
#define MEASURE_DISTRIBUTION_H 1

#include "questions/measure-query.h"

/* Sizes of flows, and how evenly packets spread
 * =============================================
 *
 * What measure/distribution says of an epoch: the distribution and quantiles
 * of the packets and bytes of its flows, and the entropy of addresses and
 * ports (measure-quantiles.h).
 *
 * Memory: a megabyte, 8 bytes for each flow of more than 65535 packets and
 * each of more than 65535 bytes, and that of measure-query.h.
 *
 * Thread safety: as measure-query.h. */

void measure_distribution_group(const struct measure_scope *,
                                struct measure_group_by *);
bool measure_distribution_write(struct measure_output *,
                                const struct measure_scope *);

#endif /* measure-distribution.h */
