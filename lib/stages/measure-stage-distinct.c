/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'distinct': how many different keys there are within each key. */

#include <config.h>

#include "stream/measure-key-table.h"

enum { DISTINCT, ERROR_MAX, N_COLUMNS };

struct distinct {
    struct measure_stage stage;         /* 'group_by' is that of by=. */
    struct measure_group_by of;
    bool has_of, has_by;
    struct measure_group_by both;       /* The fields of either. */
    struct measure_key_table pairs;     /* Keys of 'both' that there were. */
    struct measure_key_table counts;    /* How many of each key of by=. */
    uint64_t lost;                      /* Packets, of the interval. */
    struct measure_key_batch keys;
};

static struct distinct *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct distinct, stage);
}

static char *
distinct_set(struct measure_stage *stage, const char *name, const char *value)
{
    struct distinct *distinct = cast(stage);
    bool of = !strcmp(name, "of");

    if (!measure_group_by_parse(value, (of ? &distinct->of
                                        : &stage->group_by))) {
        return measure_format("valid is " MEASURE_GROUP_BY_VALID);
    }
    if (of) {
        distinct->has_of = true;
    } else {
        distinct->has_by = true;
    }
    return NULL;
}

static unsigned int
longest(unsigned int a_fields, unsigned int a_bits, unsigned int b_fields,
        unsigned int b_bits, unsigned int field)
{
    return measure_max(a_fields & field ? a_bits : 0,
                       b_fields & field ? b_bits : 0);
}

/* What is counted is called as in the answer for superspreaders. */
static const char *
column_name(const struct measure_group_by *of)
{
    return (of->fields == MEASURE_FIELD_DESTINATION ? "destinations"
            : of->fields == MEASURE_FIELD_SOURCE ? "sources" : "distinct");
}

static char *
distinct_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct distinct *distinct = cast(stage);
    struct measure_schema *schema = &stage->schema;
    const struct measure_group_by *of = &distinct->of, *by = &stage->group_by;

    (void) input;
    if (!distinct->has_of || !distinct->has_by) {
        return measure_format("needs %s=GROUP, which is %s",
                              distinct->has_of ? "by" : "of",
                              MEASURE_GROUP_BY_VALID);
    }
    measure_group_by_init(&distinct->both, of->fields | by->fields,
                          longest(of->fields, of->source_prefix, by->fields,
                                  by->source_prefix, MEASURE_FIELD_SOURCE),
                          longest(of->fields, of->destination_prefix,
                                  by->fields, by->destination_prefix,
                                  MEASURE_FIELD_DESTINATION));
    schema->of = "distinct";
    schema->has_key = true;
    schema->group_by = *by;
    measure_schema_add(schema, column_name(of), MEASURE_COLUMN_GAUGE);
    measure_schema_add(schema, (of->fields == MEASURE_FIELD_DESTINATION
                                ? "destinations-error-max"
                                : of->fields == MEASURE_FIELD_SOURCE
                                ? "sources-error-max" : "distinct-error-max"),
                       MEASURE_COLUMN_ERROR);
    schema->columns[ERROR_MAX].error_of = DISTINCT;
    return (measure_key_table_init(&distinct->pairs, stage)
            && measure_key_table_init(&distinct->counts, stage)
            ? NULL : measure_format("no memory for a first table"));
}

/* A pair that was not there before. */
static bool
add_new(struct distinct *distinct, enum measure_layout layout,
        const uint64_t *pair)
{
    struct measure_key_table *counts = &distinct->counts;
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t hash;

    layout = measure_group_by_key(&distinct->stage.group_by, layout, pair,
                                  key);
    hash = measure_key_hash(&counts->secret, layout, key);
    return (layout == MEASURE_NARROW
            ? measure_key_table_add(counts, MEASURE_NARROW, key, hash, 1, 0)
            : measure_key_table_add(counts, MEASURE_WIDE, key, hash, 1, 0));
}

MEASURE_SPECIALISED void
add(struct distinct *distinct, enum measure_layout layout,
    const uint64_t *keys)
{
    const struct measure_key_batch *batch = &distinct->keys;
    const struct measure_table *table = &distinct->pairs.tables[layout];

    for (size_t i = 0; i < batch->n[layout]; i++) {
        const uint64_t *key = keys + i * measure_key_words(layout);
        uint32_t n_before = table->n_used;

        if (!measure_key_table_add(&distinct->pairs, layout, key,
                                   batch->hashes[layout][i], 1, 0)
            || (table->n_used != n_before
                && !add_new(distinct, layout, key))) {
            distinct->lost++;
            measure_counter_add(&distinct->stage.lost, 1);
        }
    }
}

static void
distinct_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct distinct *distinct = cast(stage);

    measure_key_table_prepare(&distinct->pairs, &distinct->both, batch,
                              &distinct->keys);
    add(distinct, MEASURE_NARROW, distinct->keys.narrow[0]);
    if (distinct->keys.n[MEASURE_WIDE]) {
        add(distinct, MEASURE_WIDE, distinct->keys.wide[0]);
    }
}

static void
distinct_interval(struct measure_stage *stage, uint64_t start_ns,
                  uint64_t end_ns, bool last)
{
    struct distinct *distinct = cast(stage);

    (void) start_ns;
    (void) last;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        MEASURE_TABLE_FOR_EACH (key, &distinct->counts.tables[layout]) {
            union measure_row_buffer buffer;
            struct measure_row *row = &buffer.row;

            memset(row, 0, sizeof *row);
            memcpy(row->key, key, measure_key_words(layout) * sizeof *key);
            row->layout = layout;
            row->n_present = N_COLUMNS;
            row->time_ns = end_ns;
            row->values[DISTINCT] = *measure_row_packets(key, layout);
            /* Each of them could have been of a pair of this key. */
            row->values[ERROR_MAX] = distinct->lost;
            measure_stage_give(stage, row);
        }
    }
    distinct->lost = 0;
    measure_key_table_clear(&distinct->pairs);
    measure_key_table_clear(&distinct->counts);
}

static void
distinct_destroy(struct measure_stage *stage)
{
    measure_key_table_destroy(&cast(stage)->pairs);
    measure_key_table_destroy(&cast(stage)->counts);
}

static const struct measure_stage_argument arguments[] = {
    { "of", "GROUP", "what is to be different" },
    { "by", "GROUP", "within which key" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_distinct = {
    .name = "distinct",
    .summary = "how many different keys there are within each key",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_KEY,
    .size = sizeof(struct distinct),
    .set = distinct_set,
    .begin = distinct_begin,
    .packets = distinct_packets,
    .interval = distinct_interval,
    .destroy = distinct_destroy,
};
