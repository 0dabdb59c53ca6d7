/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'count': packets and bytes of each key. */

#include <config.h>

#include "stream/measure-key-table.h"

enum { PACKETS, BYTES, PACKETS_ERROR, BYTES_ERROR, N_COLUMNS };

struct count {
    struct measure_stage stage;
    bool has_group_by;
    struct measure_key_table table;
    uint64_t other_packets;     /* Of keys that found no place. */
    uint64_t other_bytes;
    struct measure_key_batch keys;
};

static struct count *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct count, stage);
}

static char *
count_set(struct measure_stage *stage, const char *name, const char *value)
{
    (void) name;
    if (!measure_group_by_parse(value, &stage->group_by)) {
        return measure_format("valid is " MEASURE_GROUP_BY_VALID);
    }
    cast(stage)->has_group_by = true;
    return NULL;
}

static char *
count_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct measure_schema *schema = &stage->schema;
    struct count *count = cast(stage);

    (void) input;
    if (!count->has_group_by) {
        measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_FLOW);
    }
    schema->of = "count";
    schema->has_key = true;
    schema->group_by = stage->group_by;
    measure_schema_add(schema, "packets", MEASURE_COLUMN_COUNT);
    measure_schema_add(schema, "bytes", MEASURE_COLUMN_COUNT);
    measure_schema_add(schema, "packets-error-max", MEASURE_COLUMN_ERROR);
    schema->columns[PACKETS_ERROR].error_of = PACKETS;
    measure_schema_add(schema, "bytes-error-max", MEASURE_COLUMN_ERROR);
    schema->columns[BYTES_ERROR].error_of = BYTES;
    return (measure_key_table_init(&count->table, stage) ? NULL
            : measure_format("no memory for a first table"));
}

MEASURE_SPECIALISED void
add(struct count *count, enum measure_layout layout, const uint64_t *keys)
{
    const struct measure_key_batch *batch = &count->keys;

    for (size_t i = 0; i < batch->n[layout]; i++) {
        uint32_t length = batch->lengths[layout][i];

        if (!measure_key_table_add(&count->table, layout,
                                   keys + i * measure_key_words(layout),
                                   batch->hashes[layout][i], 1, length)) {
            count->other_packets++;
            count->other_bytes += length;
            measure_counter_add(&count->stage.lost, 1);
        }
    }
}

static void
count_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct count *count = cast(stage);

    measure_key_table_prepare(&count->table, &stage->group_by, batch,
                              &count->keys);
    add(count, MEASURE_NARROW, count->keys.narrow[0]);
    if (count->keys.n[MEASURE_WIDE]) {
        add(count, MEASURE_WIDE, count->keys.wide[0]);
    }
}

static void
give(struct count *count, uint64_t time_ns, enum measure_layout layout,
     const uint64_t *key, uint8_t flags, uint64_t packets, uint64_t bytes)
{
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    memset(row, 0, sizeof *row);
    if (key) {
        memcpy(row->key, key, measure_key_words(layout) * sizeof *key);
    }
    row->layout = layout;
    row->flags = flags;
    row->n_present = N_COLUMNS;
    row->time_ns = time_ns;
    row->values[PACKETS] = packets;
    row->values[BYTES] = bytes;
    row->values[PACKETS_ERROR] = row->values[BYTES_ERROR] = 0;
    measure_stage_give(&count->stage, row);
}

static void
count_interval(struct measure_stage *stage, uint64_t start_ns,
               uint64_t end_ns, bool last)
{
    struct count *count = cast(stage);

    (void) start_ns;
    (void) last;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        MEASURE_TABLE_FOR_EACH (key, &count->table.tables[layout]) {
            give(count, end_ns, layout, key, 0,
                 *measure_row_packets(key, layout),
                 *measure_row_bytes(key, layout));
        }
    }
    if (count->other_packets) {
        give(count, end_ns, MEASURE_NARROW, NULL, MEASURE_ROW_OTHER,
             count->other_packets, count->other_bytes);
    }
    count->other_packets = count->other_bytes = 0;
    measure_key_table_clear(&count->table);
}

static void
count_destroy(struct measure_stage *stage)
{
    measure_key_table_destroy(&cast(stage)->table);
}

static const struct measure_stage_argument arguments[] = {
    { "by", "GROUP", "fields of the key; flow by default" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_count = {
    .name = "count",
    .summary = "counts packets and bytes of each key",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_KEY,
    .size = sizeof(struct count),
    .set = count_set,
    .begin = count_begin,
    .packets = count_packets,
    .interval = count_interval,
    .destroy = count_destroy,
};
