/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'ewma': the numbers of each key, and what its past lets expect. */

#include <config.h>

#include <stdlib.h>

#include "base/measure-number.h"
#include "stream/measure-row-map.h"

#define DEFAULT_ALPHA 0.3
#define MIN_ALPHA 0.001
#define MAX_THRESHOLD 1e6

/* A key without packets is forgotten when less than this is expected of each
 * of its columns. */
#define FLOOR 0.5

struct ewma {
    struct measure_stage stage;
    double alpha;
    double threshold;           /* 0 for none. */
    const struct measure_schema *input;
    size_t n_expected;          /* Columns of kind MEASURE_COLUMN_COUNT. */
    size_t expected[MEASURE_ROW_COLUMNS];       /* Which. */
    char *names[MEASURE_ROW_COLUMNS];
    /* The numbers of the interval, then the expectations, as doubles. */
    struct measure_row_map map;
    uint64_t other[MEASURE_ROW_COLUMNS];
    bool has_other;
    bool has_past;              /* There was an interval. */
};

static struct ewma *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct ewma, stage);
}

static bool
parse(const char *value, double min, double max, double *number)
{
    char *end;
    double x = measure_decimal_parse(value, &end);

    if (end == value || *end || !(x >= min && x <= max)) {
        return false;
    }
    *number = x;
    return true;
}

static char *
ewma_set(struct measure_stage *stage, const char *name, const char *value)
{
    struct ewma *ewma = cast(stage);

    if (!strcmp(name, "alpha")) {
        return (parse(value, MIN_ALPHA, 1, &ewma->alpha) ? NULL
                : measure_format("valid is a number from 0.001 to 1"));
    }
    return (parse(value, 1, MAX_THRESHOLD, &ewma->threshold) ? NULL
            : measure_format("valid is a number from 1 to 1000000"));
}

static char *
ewma_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct ewma *ewma = cast(stage);
    struct measure_schema *schema = &stage->schema;
    char *error = measure_schema_check_sums(input);

    if (error) {
        return error;
    }
    for (size_t i = 0; i < input->n; i++) {
        if (input->columns[i].kind == MEASURE_COLUMN_COUNT) {
            ewma->expected[ewma->n_expected++] = i;
        }
    }
    if (!ewma->n_expected
        || input->n + ewma->n_expected > MEASURE_ROW_COLUMNS) {
        return measure_format("takes 1 to %d columns that add up, and %s has "
                              "%zu", MEASURE_ROW_COLUMNS / 2, input->of,
                              ewma->n_expected);
    }
    ewma->input = input;
    ewma->alpha = ewma->alpha ? ewma->alpha : DEFAULT_ALPHA;
    *schema = *input;
    schema->of = "ewma";
    schema->order = MEASURE_ORDER_ANY;
    schema->repeats_keys = false;
    for (size_t i = 0; i < ewma->n_expected; i++) {
        const char *name = input->columns[ewma->expected[i]].name;

        ewma->names[i] = measure_format("%s-expected", name);
        measure_schema_add(schema, ewma->names[i], MEASURE_COLUMN_DECIMAL);
    }
    return (measure_row_map_init(&ewma->map, stage,
                                 input->n + ewma->n_expected) ? NULL
            : measure_format("no memory for a first table"));
}

static void
ewma_row(struct measure_stage *stage, const struct measure_row *row)
{
    struct ewma *ewma = cast(stage);
    uint32_t number = MEASURE_ROW_MAP_NONE;

    if (!(row->flags & MEASURE_ROW_OTHER)) {
        number = measure_row_map_find(&ewma->map, row, true);
        measure_stage_lose(stage, number == MEASURE_ROW_MAP_NONE);
    }
    if (number == MEASURE_ROW_MAP_NONE) {
        measure_row_add_up(ewma->input, ewma->other, row);
        ewma->has_other = true;
    } else {
        measure_row_add_up(ewma->input,
                           measure_row_map_entry(&ewma->map, number)->values,
                           row);
    }
}

/* Returns true if the numbers of an entry are far above the expectations. */
static bool
is_above(const struct ewma *ewma, const uint64_t *values,
         const double *expected)
{
    for (size_t i = 0; i < ewma->n_expected; i++) {
        uint64_t value = values[ewma->expected[i]];

        if (value && value >= ewma->threshold * expected[i]) {
            return true;
        }
    }
    return false;
}

/* Makes the expectations of an entry for the next interval.  Returns false if
 * it can be forgotten. */
static bool
learn(const struct ewma *ewma, uint64_t *values, double *expected)
{
    uint64_t any = 0;
    bool keep = false;

    for (size_t i = 0; i < ewma->n_expected; i++) {
        uint64_t value = values[ewma->expected[i]];

        /* Of the first interval nothing is known but itself.  A key that comes
         * later had nothing until then. */
        expected[i] = (ewma->has_past
                       ? ewma->alpha * value + (1 - ewma->alpha) * expected[i]
                       : value);
        keep |= expected[i] >= FLOOR;
        any |= value;
    }
    memset(values, 0, ewma->input->n * sizeof *values);
    return keep || any;
}

static void
ewma_interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
              bool last)
{
    struct ewma *ewma = cast(stage);
    size_t n = ewma->input->n;
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    if (last && start_ns == end_ns) {
        /* There was nothing since the last one. */
        return;
    }
    for (uint32_t i = 0; i < ewma->map.n_entries; i++) {
        struct measure_row_entry *entry = measure_row_map_entry(&ewma->map, i);
        double expected[MEASURE_ROW_COLUMNS];

        if (!entry->is_used) {
            continue;
        }
        memcpy(expected, entry->values + n,
               ewma->n_expected * sizeof *expected);
        measure_row_make(row, entry->layout, entry->key, end_ns, entry->values,
                         ewma->has_past ? n + ewma->n_expected : n);
        if (!ewma->threshold
            || (ewma->has_past && is_above(ewma, entry->values, expected))) {
            measure_stage_give(stage, row);
        } else {
            row->n_present = n;
            measure_row_add_up(ewma->input, ewma->other, row);
            ewma->has_other = true;
        }
        if (learn(ewma, entry->values, expected)) {
            memcpy(entry->values + n, expected,
                   ewma->n_expected * sizeof *expected);
        } else {
            measure_row_map_remove(&ewma->map, i);
        }
    }
    if (ewma->has_other) {
        measure_row_make(row, MEASURE_NARROW, NULL, end_ns, ewma->other, n);
        measure_stage_give(stage, row);
    }
    memset(ewma->other, 0, sizeof ewma->other);
    ewma->has_other = false;
    ewma->has_past = true;
}

static void
ewma_destroy(struct measure_stage *stage)
{
    struct ewma *ewma = cast(stage);

    measure_row_map_destroy(&ewma->map);
    for (size_t i = 0; i < ewma->n_expected; i++) {
        free(ewma->names[i]);
    }
}

static const struct measure_stage_argument arguments[] = {
    { "alpha", "0.001 to 1", "weight of the last interval; 0.3 by default" },
    { "threshold", "1 to 1000000", "gives only keys so many times above what "
      "is expected, the others as one row" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_ewma = {
    .name = "ewma",
    .summary = "adds to each row what the past of its key lets expect",
    .arguments = arguments,
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct ewma),
    .set = ewma_set,
    .begin = ewma_begin,
    .row = ewma_row,
    .interval = ewma_interval,
    .destroy = ewma_destroy,
};
