/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the report of an epoch from its closed tallies. */

#ifndef MEASURE_MERGE_H
#define MEASURE_MERGE_H 1

#include "report/measure-report.h"

/* From the tallies of a closed epoch to its report
 * ================================================
 *
 * measure_report_merge() adds the tables of the tallies that an epoch closed,
 * those of all packet threads, by the method of measure-partition.h and
 * measure-aggregate.h: rows are first written to partitions, each of which
 * then fits the cache.  Where there is no memory for that, what was counted is
 * overflow, and the report stays right if not exact.
 *
 * Memory, while a report is made: for each row of the tables as much as the
 * row once more, out of the spare blocks of the budget (measure-memory.h).
 *
 * Thread safety: none.  The tallies must be closed: no packet thread may use
 * them any more. */

struct measure_report *
measure_report_merge(struct measure_tally *const tallies[], size_t n_tallies,
                     enum measure_key_kind, const struct measure_hash_secret *,
                     struct measure_budget *);
void measure_report_keep_threads(struct measure_report *,
                                 struct measure_tally *const tallies[],
                                 const unsigned int cores[], size_t n_tallies);

#endif /* measure-merge.h */
