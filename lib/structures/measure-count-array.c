/* SPDX-License-Identifier: Apache-2.0 */
/* The count array. */

#include <config.h>

#include "structures/measure-count-array.h"

static void
get_estimate(const void *array, uint64_t hash, struct measure_cell *estimate)
{
    *estimate = *measure_count_array_cell(array, hash);
}

static const struct measure_heavy_class heavy_class = {
    .estimate = get_estimate,
};

/* Records 'key', which has lifted its cell over the threshold.  Returns false
 * if it finds no room. */
bool
measure_count_array_record(struct measure_count_array *array,
                           const uint64_t *key, uint64_t hash)
{
    return measure_heavy_keys_record(&array->heavy, &heavy_class, array,
                                     array->secret, key, hash);
}

static size_t
cells_size(uint32_t n_cells)
{
    size_t per_line = MEASURE_LINE_SIZE / sizeof(struct measure_cell);

    return (n_cells + per_line - 1) / per_line * MEASURE_LINE_SIZE;
}

/* Returns the bytes of memory that an array of 'params' takes. */
size_t
measure_count_array_size(const struct measure_count_array_params *params)
{
    return (cells_size(params->n_cells)
            + measure_heavy_keys_size(params->layout, &params->heavy));
}

/* Makes an empty array in 'memory', measure_count_array_size() bytes of zeros
 * that begin with a cache line. */
void
measure_count_array_init(struct measure_count_array *array,
                         const struct measure_count_array_params *params,
                         void *memory)
{
    memset(array, 0, sizeof *array);
    array->cells = memory;
    array->n_cells = params->n_cells;
    array->layout = params->layout;
    array->secret = params->secret;
    measure_heavy_keys_init(&array->heavy, params->layout, &params->heavy,
                            (char *) memory + cells_size(params->n_cells));
}

/* Adds to 'sum' by how much any estimate of 'array' is too high at most, with
 * probability 1 - 1 / MEASURE_COUNT_ARRAY_ERROR_FACTOR. */
void
measure_count_array_add_error(const struct measure_count_array *array,
                              struct measure_estimate_sum *sum)
{
    long double factor = (measure_cell_share(array->n_cells)
                          * MEASURE_COUNT_ARRAY_ERROR_FACTOR);

    sum->packets_error += array->heavy.packets * factor;
    sum->bytes_error += array->heavy.bytes * factor;
}

/* Stores what the array knows of the key with 'hash' in '*estimate'.  Its
 * errors hold with probability 1 - 1 / MEASURE_COUNT_ARRAY_ERROR_FACTOR. */
void
measure_count_array_estimate(const struct measure_count_array *array,
                             uint64_t hash,
                             struct measure_estimate *estimate)
{
    const struct measure_cell *cell = measure_count_array_cell(array, hash);
    struct measure_estimate_sum sum = { cell->packets, cell->bytes, 0, 0 };

    measure_count_array_add_error(array, &sum);
    measure_estimate_sum_get(&sum, estimate);
}

/* Its class. */

static struct measure_count_array_params
params_for(enum measure_layout layout, size_t limit)
{
    return (struct measure_count_array_params) {
        .layout = layout,
        .n_cells = measure_items_for(limit - limit / MEASURE_HEAVY_DIVISOR,
                                     sizeof(struct measure_cell), 16),
        .heavy = measure_heavy_params_for(layout, limit),
    };
}

static size_t
size_for(enum measure_layout layout, size_t limit)
{
    struct measure_count_array_params params = params_for(layout, limit);

    return measure_count_array_size(&params);
}

static void
init_for(void *array, enum measure_layout layout, size_t limit,
         const struct measure_hash_secret *secret, void *memory)
{
    struct measure_count_array_params params = params_for(layout, limit);

    params.secret = secret;
    measure_count_array_init(array, &params, memory);
}

static void
begin(void *array_, const struct measure_structure_threshold *threshold)
{
    struct measure_count_array *array = array_;

    measure_heavy_keys_begin(&array->heavy, threshold);
}

static uint64_t
n_keys(const void *array_)
{
    const struct measure_count_array *array = array_;

    return measure_table_n_used(&array->heavy.table);
}

static uint64_t
n_lost(const void *array_)
{
    const struct measure_count_array *array = array_;

    return measure_heavy_keys_lost(&array->heavy);
}

static bool
is_exact(const void *array_)
{
    const struct measure_count_array *array = array_;

    return !array->heavy.packets;
}

/* A key is missed, however large, where another of its cell was there
 * first. */
static void
get_missed(const void *array, struct measure_cell *missed)
{
    (void) array;
    missed->packets = missed->bytes = UINT64_MAX;
}

static uint64_t *
next_key(const void *array_, uint64_t *key)
{
    const struct measure_count_array *array = array_;

    return measure_table_next(&array->heavy.table, key);
}

static void
add_estimate(const void *array_, const uint64_t *key, uint64_t hash,
             struct measure_estimate_sum *sum)
{
    const struct measure_count_array *array = array_;
    struct measure_estimate estimate = { 0 };

    (void) key;
    measure_count_array_estimate(array, hash, &estimate);
    measure_count_array_add_error(array, sum);
    sum->packets += estimate.packets;
    sum->bytes += estimate.bytes;
}

const struct measure_structure_class measure_count_array_class = {
    .name = "count-array",
    .loses_heavy_keys = true,
    .memory_divisor = 1,
    .error_probability = 1.0 / MEASURE_COUNT_ARRAY_ERROR_FACTOR,
    .size = size_for,
    .init = init_for,
    .begin = begin,
    .n_keys = n_keys,
    .n_lost = n_lost,
    .is_exact = is_exact,
    .missed = get_missed,
    .next = next_key,
    .estimate = add_estimate,
};
