/* SPDX-License-Identifier: Apache-2.0 */
/* Groups all rows in the scope of a question. */

#ifndef MEASURE_QUERY_H
#define MEASURE_QUERY_H 1

#include "questions/measure-scope.h"
#include "report/measure-aggregate.h"

/* Questions to reports
 * ====================
 *
 * measure_query() groups all rows in a scope (measure-scope.h).
 *
 * How.  Groups that have a whole source address are answered part by part as
 * the report is (measure-report.h): all rows of a group are in one part, whose
 * groups fit the cache of the processor.  For other groups the rows that the
 * filter lets through are masked and written to partitions of another order
 * first (measure-partition.h).  Where few groups have many rows these are
 * added up on their way to the partitions, in a small cache.
 *
 * A part that is much larger than others, as where one source has millions of
 * flows, is gone through in up to 16 passes, each for a share of its groups:
 * that bounds the memory as that of parts of the usual size.
 *
 * Of one report, of all threads, the groups by pair, source and destination
 * are kept when somebody needs them (measure-group-cache.h), and are where all
 * begins that can be made from them.
 *
 * Memory, while it runs: for other groups 32 bytes for each narrow row and 64
 * for each wide one; some hundred kilobytes besides.  The large blocks are
 * spare ones of the budget of the newest report, or become such.  What the
 * limit of that budget does not allow is refused.
 *
 * Error.  Groups miss what overflowed (measure-report.h).  Counts are never
 * too high but for reports of structures that estimate; of these only rows of
 * the counted key, in one epoch, can be asked for.
 *
 * Thread safety: a report does not change, so any number of threads may ask at
 * the same time.  None may destroy it meanwhile. */

/* Rows of any answer, however many are asked for. */
#define MEASURE_ANSWER_MAX_ROWS 100000

/* What the rows of an answer are sorted by. */
enum measure_sort {
    MEASURE_SORT_PACKETS,
    MEASURE_SORT_BYTES
};

/* Called with groups, each in one call.  The table has no gaps, and is only to
 * be gone through.  A key may have, besides the fields of its group, the port
 * of the switch: measure_group_by_key() leaves only its group.  Returns false
 * if there is no memory. */
typedef bool measure_aggregate_function(const struct measure_table *,
                                        void *aux);

/* Called with some wholes, and their groups: see measure_query_wholes().
 * 'more' says that the next call, for these layouts, is for the same wholes
 * and more of their groups. */
typedef bool measure_wholes_function(const struct measure_aggregate *aggregate,
                                     const struct measure_aggregate *wholes,
                                     bool more, void *aux);

bool measure_query(const struct measure_scope *,
                   const struct measure_group_by *,
                   measure_aggregate_function *, void *aux);
bool measure_query_wholes(const struct measure_scope *,
                          const struct measure_group_by *group_by,
                          const struct measure_group_by *together,
                          const struct measure_group_by *whole,
                          uint64_t min_packets,
                          measure_wholes_function *, void *aux);
bool measure_query_all_light(const struct measure_scope *,
                             const struct measure_group_by *,
                             uint64_t min_packets, uint64_t *keys);

#endif /* measure-query.h */
