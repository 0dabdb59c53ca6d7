/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'histogram': how many packets or rows have numbers of a size. */

#include <config.h>

#include "stream/measure-stage.h"

#define N_BUCKETS 65            /* 0, 1, 2 to 3, 4 to 7, and so on. */
#define MAX_RINGS 1024          /* Rings whose last packet is remembered. */
#define NAME_SIZE 64

enum { COUNT, FROM, TO, N_COLUMNS };

struct histogram {
    struct measure_stage stage;
    char of[NAME_SIZE];
    bool is_gap;                /* Of packets: not their length. */
    size_t column;              /* Of rows. */
    bool is_decimal;
    uint64_t counts[N_BUCKETS];
    uint64_t n_without;         /* Packets or rows without a number. */
    uint64_t last_ns[MAX_RINGS];        /* 0: no packet yet. */
};

static struct histogram *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct histogram, stage);
}

static char *
histogram_set(struct measure_stage *stage, const char *name,
              const char *value)
{
    struct histogram *h = cast(stage);

    if (!strcmp(name, "buckets")) {
        return (!strcmp(value, "powers-of-2") ? NULL
                : measure_format("valid is powers-of-2"));
    }
    if (!*value || strlen(value) >= sizeof h->of) {
        return measure_format("valid is length or gap of packets, or the name "
                              "of a column of rows");
    }
    strcpy(h->of, value);
    return NULL;
}

static char *
histogram_begin(struct measure_stage *stage,
                const struct measure_schema *input)
{
    struct histogram *h = cast(stage);
    struct measure_schema *schema = &stage->schema;

    if (!*h->of) {
        strcpy(h->of, input ? input->columns[0].name : "length");
    }
    if (input) {
        int column = measure_schema_find(input, h->of);

        if (column < 0) {
            return measure_schema_unknown(input, "of", h->of);
        }
        h->column = column;
        h->is_decimal = (input->columns[column].kind
                         == MEASURE_COLUMN_DECIMAL);
    } else if (!strcmp(h->of, "gap")) {
        h->is_gap = true;
    } else if (strcmp(h->of, "length")) {
        return measure_format("of=%s: valid of packets is length or gap",
                              h->of);
    }
    schema->of = "histogram";
    schema->order = MEASURE_ORDER_KEPT;
    measure_schema_add(schema, input ? "rows" : "packets",
                       MEASURE_COLUMN_COUNT);
    measure_schema_add(schema, h->is_gap ? "from-ns" : "from",
                       h->is_gap ? MEASURE_COLUMN_NS : MEASURE_COLUMN_GAUGE);
    measure_schema_add(schema, h->is_gap ? "to-ns" : "to",
                       h->is_gap ? MEASURE_COLUMN_NS : MEASURE_COLUMN_GAUGE);
    /* Its lengths are short enough to be told as they are. */
    schema->columns[TO].is_end = h->is_gap;
    return NULL;
}

static void
add(struct histogram *h, uint64_t value)
{
    h->counts[value ? 64 - __builtin_clzll(value) : 0]++;
}

static void
histogram_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct histogram *h = cast(stage);
    uint64_t *last = (batch->ring < MAX_RINGS
                      ? &h->last_ns[batch->ring] : NULL);

    if (!h->is_gap) {
        for (size_t i = 0; i < batch->n; i++) {
            add(h, measure_slot_length(batch->records[i]));
        }
        return;
    }
    for (size_t i = 0; i < batch->n; i++) {
        uint64_t time_ns = measure_slot_time_ns(batch->records[i]);

        if (last && *last && time_ns >= *last) {
            add(h, time_ns - *last);
        } else {
            h->n_without++;
        }
        if (last) {
            *last = time_ns;
        }
    }
}

static void
histogram_ring(struct measure_stage *stage, uint32_t ring)
{
    if (ring < MAX_RINGS) {
        cast(stage)->last_ns[ring] = 0;
    }
}

static void
histogram_row(struct measure_stage *stage, const struct measure_row *row)
{
    struct histogram *h = cast(stage);

    if (h->column >= row->n_present || row->flags & MEASURE_ROW_OTHER) {
        h->n_without++;
    } else if (h->is_decimal) {
        double value;

        memcpy(&value, &row->values[h->column], sizeof value);
        if (value >= 0) {
            add(h, value < 0x1p64 ? (uint64_t) value : UINT64_MAX);
        } else {
            h->n_without++;
        }
    } else {
        add(h, row->values[h->column]);
    }
}

static void
histogram_interval(struct measure_stage *stage, uint64_t start_ns,
                   uint64_t end_ns, bool last)
{
    struct histogram *h = cast(stage);
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    (void) start_ns;
    (void) last;
    memset(row, 0, sizeof *row);
    row->time_ns = end_ns;
    row->n_present = N_COLUMNS;
    for (int i = 0; i < N_BUCKETS; i++) {
        if (h->counts[i]) {
            row->values[COUNT] = h->counts[i];
            row->values[FROM] = i ? UINT64_C(1) << (i - 1) : 0;
            row->values[TO] = i ? UINT64_MAX >> (64 - i) : 0;
            measure_stage_give(stage, row);
        }
    }
    if (h->n_without) {
        row->flags = MEASURE_ROW_OTHER;
        row->values[COUNT] = h->n_without;
        row->values[FROM] = row->values[TO] = 0;
        measure_stage_give(stage, row);
    }
    memset(h->counts, 0, sizeof h->counts);
    h->n_without = 0;
}

static const struct measure_stage_argument arguments[] = {
    { "of", "NAME", "length or gap of packets, or a column of rows" },
    { "buckets", "powers-of-2", "0, 1, 2 to 3, 4 to 7, and so on" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_histogram = {
    .name = "histogram",
    .summary = "how many packets or rows have numbers of each size",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS | MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct histogram),
    .set = histogram_set,
    .begin = histogram_begin,
    .packets = histogram_packets,
    .ring = histogram_ring,
    .row = histogram_row,
    .interval = histogram_interval,
};
