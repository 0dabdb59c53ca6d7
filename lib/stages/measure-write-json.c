/* SPDX-License-Identifier: Apache-2.0 */
/* The format 'json' of the stage 'write': an object in each line. */

#include <config.h>

#include "questions/measure-threshold.h"
#include "stages/measure-write-format.h"
#include "stream/measure-packet-write.h"

struct write_json {
    struct measure_write w;
    struct measure_text text;
    struct measure_config config;       /* For what makes a key heavy. */
    bool configured;
    int packets, bytes;                 /* Columns, or -1. */
    int packets_error, bytes_error;
};

static struct write_json *
cast(struct measure_write *w)
{
    return MEASURE_STAGE_CAST(struct write_json, w);
}

static void
configure(struct write_json *json)
{
    if (!json->configured) {
        measure_config_init(&json->config);
        json->configured = true;
    }
}

static char *
json_set(struct measure_write *w, const char *name, const char *value)
{
    struct write_json *json = cast(w);

    (void) name;
    configure(json);
    return (measure_config_set(&json->config, MEASURE_SETTING_HEAVY_HITTER,
                               value)
            ? NULL
            : measure_format("valid is what measure-heavy-hitter takes, as "
                             "1%%, 10Mbps or 1000pps"));
}

static char *
json_begin(struct measure_write *w)
{
    struct write_json *json = cast(w);

    configure(json);
    json->packets = json->bytes = -1;
    json->packets_error = json->bytes_error = -1;
    if (w->input && w->input->has_key && !w->input->of_other_time) {
        json->packets = measure_schema_find(w->input, "packets");
        json->bytes = measure_schema_find(w->input, "bytes");
        json->packets_error = measure_schema_find(w->input,
                                                  "packets-error-max");
        json->bytes_error = measure_schema_find(w->input, "bytes-error-max");
    }
    return NULL;
}

static void
put_line(struct write_json *json, size_t *begin)
{
    measure_text_put(&json->text, "}\n");
    *begin = json->text.length;
}

static void
put_text(struct write_json *json)
{
    measure_write_put(&json->w, json->text.data, json->text.length);
    json->text.length = 0;
}

static void
json_packets(struct measure_write *w, struct measure_batch *batch)
{
    struct write_json *json = cast(w);
    size_t begin;

    for (size_t i = 0; i < batch->n; i++) {
        measure_text_put(&json->text, "{");
        measure_packet_write_json(&json->text, w->stage->ports,
                                  batch->records[i]);
        put_line(json, &begin);
    }
    put_text(json);
}

/* Appends whether a key is heavy, as "measure/heavy-hitters" says it. */
static void
put_heavy(struct write_json *json, const struct measure_row *row,
          const struct measure_row_interval *interval)
{
    const struct measure_threshold *threshold = &json->config.heavy_hitter;
    struct measure_totals totals;
    uint64_t packets = row->values[json->packets];
    uint64_t bytes = row->values[json->bytes];

    memset(&totals, 0, sizeof totals);
    totals.counters.packets = interval->totals[json->packets];
    totals.counters.bytes = interval->totals[json->bytes];
    totals.duration_ms = (interval->end_ns - interval->start_ns) / 1000000;
    measure_text_put(&json->text,
                     measure_is_heavy(&totals, threshold, MEASURE_SORT_PACKETS,
                                      packets, bytes)
                     ? ",\"heavy\":true" : ",\"heavy\":false");
    packets += row->values[json->packets_error];
    bytes += row->values[json->bytes_error];
    measure_text_put(&json->text,
                     measure_is_heavy(&totals, threshold, MEASURE_SORT_PACKETS,
                                      packets, bytes)
                     ? ",\"may-be-heavy\":true"
                     : ",\"may-be-heavy\":false");
}

static void
json_rows(struct measure_write *w, const struct measure_row *const *rows,
          size_t n, const struct measure_row_interval *interval)
{
    struct write_json *json = cast(w);
    struct measure_row_style style = {
        .schema = w->input, .ports = w->stage->ports,
    };
    size_t begin;

    for (size_t i = 0; i < n; i++) {
        measure_text_put(&json->text, "{");
        measure_row_write_json(&json->text, &style, rows[i], interval);
        if (interval && interval->totals && json->packets >= 0
            && json->bytes >= 0 && json->packets_error >= 0
            && json->bytes_error >= 0
            && !(rows[i]->flags & MEASURE_ROW_OTHER)) {
            put_heavy(json, rows[i], interval);
        }
        put_line(json, &begin);
        if (begin >= 32 * MEASURE_KIB) {
            put_text(json);
        }
    }
    put_text(json);
}

static void
json_destroy(struct measure_write *w)
{
    measure_text_destroy(&cast(w)->text);
}

static const char *const arguments[] = { "heavy", NULL };

const struct measure_write_format measure_write_json = {
    .name = "json",
    .summary = "an object of JSON in each line",
    .takes = MEASURE_TAKES_PACKETS | MEASURE_TAKES_ROWS,
    .size = sizeof(struct write_json),
    .arguments = arguments,
    .set = json_set,
    .begin = json_begin,
    .packets = json_packets,
    .rows = json_rows,
    .destroy = json_destroy,
};
