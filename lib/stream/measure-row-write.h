/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text, JSON and CSV of rows and of packets. */

#ifndef MEASURE_ROW_WRITE_H
#define MEASURE_ROW_WRITE_H 1

#include "stream/measure-row.h"
#include "key/measure-switch-port.h"

/* Text, JSON and CSV of rows and packets
 * ======================================
 *
 *           rows of an interval       rows of events, and packets
 *     text  a table                   a line each
 *     JSON  an object in a line each  likewise
 *     CSV   a line each               likewise
 *
 * JSON has the fields of a key as "measure/heavy-hitters format=json" has
 * them, and the columns as they are called.  What is absent is not there.
 * Rows of an interval have "start-ms" and "end-ms", those of events "time-ns".
 * A row of all that is not listed has "other":true in place of a key.
 *
 * CSV is that of RFC 4180: the head is one line, and lines end with CR LF.
 * What is absent is empty.
 *
 * Text is at most MEASURE_TEXT_WIDTH wide, as long as its keys are not wider.
 * It has units: KiB for bytes, K for other counts, us for nanoseconds.  Where
 * key and numbers do not fit one line the numbers are in the next one; columns
 * that do not fit that either are left out, and a line says how many.
 *
 * All of it is appended to a struct measure_text, which grows.
 *
 * Memory: that of the text.
 *
 * Thread safety: no shared state. */

#define MEASURE_TEXT_WIDTH 100

/* All zeros is empty. */
struct measure_text {
    char *data;                 /* Not terminated. */
    size_t length;
    size_t allocated;
};

void measure_text_put_n(struct measure_text *, const char *, size_t n);
void measure_text_put(struct measure_text *, const char *);
void measure_text_put_uint(struct measure_text *, uint64_t);
void measure_text_destroy(struct measure_text *);

/* The interval of rows, or NULL for events. */
struct measure_row_interval {
    uint64_t start_ns;          /* 0 if it is not known. */
    uint64_t end_ns;
    /* Sums of the columns of kind MEASURE_COLUMN_COUNT, or NULL. */
    const uint64_t *totals;
};

/* What rows are written with. */
struct measure_row_style {
    const struct measure_schema *schema;
    const struct measure_port_names *ports;     /* NULL without names. */
};

void measure_row_write_json(struct measure_text *,
                            const struct measure_row_style *,
                            const struct measure_row *,
                            const struct measure_row_interval *);
void measure_row_write_csv_head(struct measure_text *,
                                const struct measure_row_style *);
void measure_row_write_csv(struct measure_text *,
                           const struct measure_row_style *,
                           const struct measure_row *,
                           const struct measure_row_interval *);
void measure_row_write_table(struct measure_text *,
                             const struct measure_row_style *,
                             const struct measure_row *const *, size_t n,
                             const struct measure_row_interval *);
void measure_row_write_event(struct measure_text *,
                             const struct measure_row_style *,
                             const struct measure_row *);
void measure_row_write_json_key(struct measure_text *,
                                const struct measure_row_style *,
                                const struct measure_row *);

/* Packets. */

void measure_packet_write_json(struct measure_text *,
                               const struct measure_port_names *,
                               const struct measure_slot *);
void measure_packet_write_csv_head(struct measure_text *);
void measure_packet_write_csv(struct measure_text *,
                              const struct measure_port_names *,
                              const struct measure_slot *);
void measure_packet_write_text(struct measure_text *,
                               const struct measure_port_names *,
                               const struct measure_slot *);

/* Parts of text. */
void measure_text_put_json(struct measure_text *, const char *);
void measure_text_put_date(struct measure_text *, uint64_t ns);
void measure_text_put_time(struct measure_text *, uint64_t ns);

#endif /* measure-row-write.h */
