/* SPDX-License-Identifier: Apache-2.0 */
/* The format 'csv' of the stage 'write': comma-separated values. */

#include <config.h>

#include "stages/measure-write-format.h"
#include "stream/measure-packet-write.h"

struct write_csv {
    struct measure_write w;
    struct measure_text text;
};

static struct write_csv *
cast(struct measure_write *w)
{
    return MEASURE_STAGE_CAST(struct write_csv, w);
}

static void
put_text(struct write_csv *csv)
{
    measure_write_put(&csv->w, csv->text.data, csv->text.length);
    csv->text.length = 0;
}

static struct measure_row_style
style_of(const struct measure_write *w)
{
    return (struct measure_row_style) {
        .schema = w->input, .ports = w->stage->ports,
    };
}

static char *
csv_open(struct measure_write *w)
{
    struct write_csv *csv = cast(w);

    if (w->input) {
        struct measure_row_style style = style_of(w);

        measure_row_write_csv_head(&csv->text, &style);
    } else {
        measure_packet_write_csv_head(&csv->text);
    }
    put_text(csv);
    return NULL;
}

static void
csv_packets(struct measure_write *w, struct measure_batch *batch)
{
    struct write_csv *csv = cast(w);

    for (size_t i = 0; i < batch->n; i++) {
        measure_packet_write_csv(&csv->text, w->stage->ports,
                                 batch->records[i]);
    }
    put_text(csv);
}

static void
csv_rows(struct measure_write *w, const struct measure_row *const *rows,
         size_t n, const struct measure_row_interval *interval)
{
    struct write_csv *csv = cast(w);
    struct measure_row_style style = style_of(w);

    for (size_t i = 0; i < n; i++) {
        measure_row_write_csv(&csv->text, &style, rows[i], interval);
        if (csv->text.length >= 32 * MEASURE_KIB) {
            put_text(csv);
        }
    }
    put_text(csv);
}

static void
csv_destroy(struct measure_write *w)
{
    measure_text_destroy(&cast(w)->text);
}

const struct measure_write_format measure_write_csv = {
    .name = "csv",
    .summary = "comma-separated values (RFC 4180), with a head line",
    .takes = MEASURE_TAKES_PACKETS | MEASURE_TAKES_ROWS,
    .size = sizeof(struct write_csv),
    .open = csv_open,
    .packets = csv_packets,
    .rows = csv_rows,
    .destroy = csv_destroy,
};
