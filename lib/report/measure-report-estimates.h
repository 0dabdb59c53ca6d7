/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of tallies that counted in structures. */

#ifndef MEASURE_REPORT_ESTIMATES_H
#define MEASURE_REPORT_ESTIMATES_H 1

#include "report/measure-report.h"

/* Reports of structures
 * =====================
 *
 * What measure-report.h says of tables, for tallies that counted in one of the
 * other structures (measure-structure.h).
 *
 * Complete or not.  A cuckoo table has a row for each key, which is merged
 * like those of the linear tables.  A report is complete then: it can be asked
 * whatever one of linear tables can.  The other structures have only some
 * keys.  Of each key that any tally has, what all tallies know of it is added
 * up, and nothing can be made of other keys.
 *
 * One key may be in two layouts (measure-record.h): without its tunnel, a
 * packet of IPv4 that came out of one is of the same pair, source or
 * destination as one that did not.  What is known of it in both is added up
 * in the narrow one.
 *
 * Keys without a row.  For Count-Min and SpaceSaving, 'missed' in the report
 * is the number of packets and bytes that a key without a row can have, with
 * certainty.  For a count array there is no such number: a key is missed, even
 * if it is large, where another one of its cell was there first.
 *
 * Thread safety: as measure-report.h. */

void measure_report_note_structure(struct measure_report *,
                                   const struct measure_structure *);
void measure_report_merge_structures(struct measure_report *,
                                     struct measure_tally *const tallies[],
                                     size_t n_tallies);
void measure_report_add_error(const struct measure_report *,
                              enum measure_layout layout, const uint64_t *key,
                              uint64_t *packets_error,
                              uint64_t *bytes_error);

#endif /* measure-report-estimates.h */
