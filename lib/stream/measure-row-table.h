/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text for people of rows: tables, and lines of events. */

#ifndef MEASURE_ROW_TABLE_H
#define MEASURE_ROW_TABLE_H 1

#include "stream/measure-row-write.h"

/* Text of rows
 * ============
 *
 * The rows of an interval are a table, an event is a line, or several if it is
 * too wide.
 *
 * Text is at most MEASURE_TEXT_WIDTH wide, as long as its keys are not wider.
 * It has units: KiB for bytes, K for other counts, us for nanoseconds.  Where
 * key and numbers do not fit one line the numbers are in the next one; columns
 * that do not fit that either are left out, and a line says how many.
 *
 * Memory: that of the text.
 *
 * Thread safety: no shared state. */

#define MEASURE_TEXT_WIDTH 100

void measure_row_write_table(struct measure_text *,
                             const struct measure_row_style *,
                             const struct measure_row *const *, size_t n,
                             const struct measure_row_interval *);
void measure_row_write_event(struct measure_text *,
                             const struct measure_row_style *,
                             const struct measure_row *);

#endif /* measure-row-table.h */
