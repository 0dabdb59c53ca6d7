/* SPDX-License-Identifier: Apache-2.0 */
/* The format 'text' of the stage 'write': tables and lines for people. */

#include <config.h>

#include "stages/measure-write-format.h"
#include "stream/measure-packet-write.h"
#include "stream/measure-row-table.h"

#define NS_PER_DAY (UINT64_C(86400) * 1000000000)

struct write_text {
    struct measure_write w;
    struct measure_text text;
    uint64_t day;               /* Since 1970, of the last line; 0 for none. */
};

static struct write_text *
cast(struct measure_write *w)
{
    return MEASURE_STAGE_CAST(struct write_text, w);
}

static void
put_text(struct write_text *text)
{
    measure_write_put(&text->w, text->text.data, text->text.length);
    text->text.length = 0;
}

/* Lines have the time of the day: says which day, if it is another. */
static void
put_day(struct write_text *text, uint64_t time_ns)
{
    uint64_t day = time_ns / NS_PER_DAY;

    if (day != text->day) {
        text->day = day;
        measure_text_put_date(&text->text, day * NS_PER_DAY);
        /* Without the time. */
        text->text.length -= strlen("T00:00:00.000Z");
        measure_text_put(&text->text, " (UTC)\n");
    }
}

static void
text_packets(struct measure_write *w, struct measure_batch *batch)
{
    struct write_text *text = cast(w);

    for (size_t i = 0; i < batch->n; i++) {
        put_day(text, measure_slot_time_ns(batch->records[i]));
        measure_packet_write_text(&text->text, w->stage->ports,
                                  batch->records[i]);
    }
    put_text(text);
}

static void
text_rows(struct measure_write *w, const struct measure_row *const *rows,
          size_t n, const struct measure_row_interval *interval)
{
    struct write_text *text = cast(w);
    struct measure_row_style style = {
        .schema = w->input, .ports = w->stage->ports,
    };

    if (interval) {
        measure_row_write_table(&text->text, &style, rows, n, interval);
    } else {
        for (size_t i = 0; i < n; i++) {
            put_day(text, rows[i]->time_ns);
            measure_row_write_event(&text->text, &style, rows[i]);
        }
    }
    put_text(text);
}

static void
text_destroy(struct measure_write *w)
{
    measure_text_destroy(&cast(w)->text);
}

const struct measure_write_format measure_write_text = {
    .name = "text",
    .summary = "tables and lines for people",
    .takes = MEASURE_TAKES_PACKETS | MEASURE_TAKES_ROWS,
    .size = sizeof(struct write_text),
    .packets = text_packets,
    .rows = text_rows,
    .destroy = text_destroy,
};
