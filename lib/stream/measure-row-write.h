/* SPDX-License-Identifier: Apache-2.0 */
/* Makes JSON and CSV of rows. */

#ifndef MEASURE_ROW_WRITE_H
#define MEASURE_ROW_WRITE_H 1

#include "base/measure-text.h"
#include "key/measure-switch-port.h"
#include "stream/measure-row.h"

/* JSON and CSV of rows
 * ====================
 *
 * A row is an object of JSON or a line of CSV.
 *
 * JSON has the fields of a key as "measure/heavy-hitters format=json" has
 * them, and the columns as they are called.  What is absent is not there.
 * Rows of an interval have "start-ms" and "end-ms", those of events "time-ns".
 * A row of all that is not listed has "other":true in place of a key.
 *
 * CSV is that of RFC 4180: the head is one line, and lines end with CR LF.
 * What is absent is empty.
 *
 * Memory: that of the text.
 *
 * Thread safety: no shared state. */

/* The interval of rows, or NULL for events. */
struct measure_row_interval {
    uint64_t start_ns;          /* Not known if it is cut. */
    uint64_t end_ns;            /* 0 if there were no packets. */
    uint64_t number;            /* From 1. */
    bool cut;                   /* It has not ended: there is no memory for
                                 * more rows of it. */
    /* Sums of the columns of kind MEASURE_COLUMN_COUNT, or NULL. */
    const uint64_t *totals;
};

static inline bool
measure_row_interval_has_start(const struct measure_row_interval *interval)
{
    return !interval->cut && interval->end_ns;
}

/* What rows are written with. */
struct measure_row_style {
    const struct measure_schema *schema;
    const struct measure_port_names *ports;     /* NULL without names. */
};

void measure_row_write_json(struct measure_text *,
                            const struct measure_row_style *,
                            const struct measure_row *,
                            const struct measure_row_interval *);
void measure_row_write_json_key(struct measure_text *,
                                const struct measure_row_style *,
                                const struct measure_row *);
void measure_row_write_csv_head(struct measure_text *,
                                const struct measure_row_style *);
void measure_row_write_csv(struct measure_text *,
                           const struct measure_row_style *,
                           const struct measure_row *,
                           const struct measure_row_interval *);

#endif /* measure-row-write.h */
