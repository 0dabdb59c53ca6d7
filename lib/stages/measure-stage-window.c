/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'window': sums over the last intervals, for each key. */

#include <config.h>

#include <stdlib.h>

#include "base/measure-number.h"
#include "stream/measure-row-map.h"

#define MAX_N 10000
#define CHUNK_BYTES (8 * MEASURE_KIB)
#define MAX_COLUMNS ((MEASURE_ROW_COLUMNS - 1) / 2)     /* And their bounds. */

/* What rows of one interval added to their keys. */
struct chunk {
    struct chunk *next;
    size_t n;
    uint64_t words[];           /* Number of the entry, and the values. */
};

struct window {
    struct measure_stage stage;
    uint64_t max;               /* Intervals. */
    size_t n_values;
    char *names[MEASURE_ROW_COLUMNS];   /* Of error bounds that it adds. */
    size_t n_names;
    struct measure_row_map map; /* Values, and in how many intervals. */
    size_t per_chunk;

    struct chunk **chunks;      /* Of each of the last intervals. */
    uint64_t *others;           /* Likewise: of what is not listed... */
    uint64_t *other;            /* ...and their sums. */
    size_t memory;              /* Bytes of these three. */
    size_t current;             /* Index of the interval that runs. */
    size_t n;                   /* Intervals that there are. */
};

static struct window *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct window, stage);
}

static char *
window_set(struct measure_stage *stage, const char *name, const char *value)
{
    (void) name;
    return (measure_integer_parse(value, 1, MAX_N, &cast(stage)->max) ? NULL
            : measure_format("valid is a number of intervals from 1 to %d",
                             MAX_N));
}

/* Adds an error bound for each column that has none. */
static void
add_bounds(struct window *window, const struct measure_schema *input)
{
    struct measure_schema *schema = &window->stage.schema;

    for (size_t i = 0; i < input->n; i++) {
        char *name;

        if (input->columns[i].kind == MEASURE_COLUMN_ERROR
            || measure_schema_find_error(input, i) >= 0) {
            continue;
        }
        name = measure_format("%s-error-max", input->columns[i].name);
        window->names[window->n_names++] = name;
        measure_schema_add(schema, name, MEASURE_COLUMN_ERROR);
        schema->columns[schema->n - 1].error_of = i;
    }
}

static char *
window_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct window *window = cast(stage);
    struct measure_schema *schema = &stage->schema;
    char *error;

    if (!window->max) {
        return measure_format("needs n=, a number of intervals from 1 to %d",
                              MAX_N);
    }
    error = measure_schema_check_sums(input);
    if (error) {
        return error;
    }
    if (input->n > MAX_COLUMNS || !input->n) {
        return measure_format("takes 1 to %d columns, and %s has %zu",
                              MAX_COLUMNS, input->of, input->n);
    }
    *schema = *input;
    schema->of = "window";
    schema->order = MEASURE_ORDER_ANY;
    schema->repeats_keys = false;
    schema->of_other_time = true;
    add_bounds(window, input);
    measure_schema_add(schema, "intervals", MEASURE_COLUMN_GAUGE);

    window->n_values = input->n;
    window->per_chunk = ((CHUNK_BYTES - sizeof(struct chunk))
                         / sizeof(uint64_t) / (1 + input->n));
    window->memory = (window->max * sizeof *window->chunks
                      + (window->max + 1) * input->n * sizeof(uint64_t));
    window->chunks = measure_stage_alloc(stage, window->memory);
    if (!window->chunks
        || !measure_row_map_init(&window->map, stage, input->n + 1)) {
        return measure_format("n=%llu: no memory for as many intervals",
                              (unsigned long long) window->max);
    }
    window->others = (uint64_t *) (void *) &window->chunks[window->max];
    window->other = &window->others[window->max * input->n];
    return NULL;
}

/* Makes room for what a row adds.  Returns NULL if there is no memory. */
static uint64_t *
add_to_chunk(struct window *window)
{
    struct chunk **first = &window->chunks[window->current];
    struct chunk *chunk = *first;

    if (!chunk || chunk->n == window->per_chunk) {
        chunk = measure_stage_alloc(&window->stage, CHUNK_BYTES);
        if (!chunk) {
            return NULL;
        }
        chunk->next = *first;
        *first = chunk;
    }
    return &chunk->words[chunk->n++ * (1 + window->n_values)];
}

static void
add_other(struct window *window, const struct measure_row *row)
{
    const struct measure_schema *schema = &window->stage.schema;
    uint64_t *others = &window->others[window->current * window->n_values];

    measure_row_add_up(schema, others, row);
    measure_row_add_up(schema, window->other, row);
}

static void
window_row(struct measure_stage *stage, const struct measure_row *row)
{
    struct window *window = cast(stage);
    struct measure_row_entry *entry;
    uint32_t number;
    uint64_t *added;

    if (row->flags & MEASURE_ROW_OTHER) {
        add_other(window, row);
        return;
    }
    number = measure_row_map_find(&window->map, row, true);
    if (number == MEASURE_ROW_MAP_NONE) {
        add_other(window, row);
        measure_stage_lose(stage, 1);
        return;
    }
    entry = measure_row_map_entry(&window->map, number);
    added = add_to_chunk(window);
    if (!added) {
        if (!entry->values[window->n_values]) {
            measure_row_map_remove(&window->map, number);
        }
        add_other(window, row);
        measure_stage_lose(stage, 1);
        return;
    }
    added[0] = number;
    for (size_t i = 0; i < window->n_values; i++) {
        added[1 + i] = i < row->n_present ? row->values[i] : 0;
        entry->values[i] += added[1 + i];
    }
    entry->values[window->n_values]++;
}

/* Takes back what the rows of the interval 'i' have added. */
static void
forget(struct window *window, size_t i)
{
    uint64_t *others = &window->others[i * window->n_values];

    while (window->chunks[i]) {
        struct chunk *chunk = window->chunks[i];

        for (size_t j = 0; j < chunk->n; j++) {
            uint64_t *added = &chunk->words[j * (1 + window->n_values)];
            struct measure_row_entry *entry;

            entry = measure_row_map_entry(&window->map, added[0]);
            for (size_t k = 0; k < window->n_values; k++) {
                entry->values[k] -= added[1 + k];
            }
            if (!--entry->values[window->n_values]) {
                measure_row_map_remove(&window->map, added[0]);
            }
        }
        window->chunks[i] = chunk->next;
        measure_stage_free(&window->stage, chunk, CHUNK_BYTES);
    }
    for (size_t k = 0; k < window->n_values; k++) {
        window->other[k] -= others[k];
        others[k] = 0;
    }
}

/* What a key has beyond its row can be in the rows of others: it found no
 * place here, or in the stage before. */
static void
bound(const struct window *window, struct measure_row *row)
{
    const struct measure_schema *schema = &window->stage.schema;

    for (size_t i = 0; i < schema->n; i++) {
        size_t of = schema->columns[i].error_of;

        if (schema->columns[i].kind == MEASURE_COLUMN_ERROR) {
            row->values[i] += window->other[of];
            row->values[i] += i < window->n_values ? window->other[i] : 0;
        }
    }
}

static void
give(struct window *window, uint64_t end_ns,
     const struct measure_row_entry *entry, const uint64_t *values)
{
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    measure_row_make(row, entry ? entry->layout : MEASURE_NARROW,
                     entry ? entry->key : NULL, end_ns, values,
                     window->n_values);
    while (row->n_present + 1U < window->stage.schema.n) {
        row->values[row->n_present++] = 0;
    }
    if (entry) {
        bound(window, row);
    }
    row->values[row->n_present++] = window->n;
    measure_stage_give(&window->stage, row);
}

static void
window_interval(struct measure_stage *stage, uint64_t start_ns,
                uint64_t end_ns, bool last)
{
    struct window *window = cast(stage);
    uint64_t other = 0;

    if (last && start_ns == end_ns) {
        /* There was nothing since the last one. */
        return;
    }
    window->n = measure_min(window->n + 1, window->max);
    for (uint32_t i = 0; i < window->map.n_entries; i++) {
        const struct measure_row_entry *entry;

        entry = measure_row_map_entry(&window->map, i);
        if (entry->is_used) {
            give(window, end_ns, entry, entry->values);
        }
    }
    for (size_t i = 0; i < window->n_values; i++) {
        other |= window->other[i];
    }
    if (other) {
        give(window, end_ns, NULL, window->other);
    }
    window->current = (window->current + 1) % window->max;
    forget(window, window->current);
}

static void
window_destroy(struct measure_stage *stage)
{
    struct window *window = cast(stage);

    for (size_t i = 0; window->others && i < window->max; i++) {
        forget(window, i);
    }
    measure_row_map_destroy(&window->map);
    for (size_t i = 0; i < window->n_names; i++) {
        free(window->names[i]);
    }
    if (window->chunks) {
        measure_stage_free(stage, window->chunks, window->memory);
    }
}

static const struct measure_stage_argument arguments[] = {
    { "n", "1 to 10000", "how many intervals" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_window = {
    .name = "window",
    .summary = "sums over the last intervals, for each key",
    .arguments = arguments,
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct window),
    .set = window_set,
    .begin = window_begin,
    .row = window_row,
    .interval = window_interval,
    .destroy = window_destroy,
};
