/* SPDX-License-Identifier: Apache-2.0 */
/* Structures that several threads share, for comparison. */

#include <config.h>

#include "contenders/measure-shared.h"

/* Of the rows, half, as in the linear table. */
#define ROWS_PER_KEY 2

#define TAG_TAKEN UINT64_C(1)
#define TAG_WRITTEN UINT64_C(2)

/* The shared linear table. */

static inline uint64_t *
home_row(const struct measure_shared_table *table, enum measure_layout layout,
         uint64_t hash)
{
    uint64_t row = ((hash >> 32) * table->n_rows) >> 32;

    return &table->rows[row * measure_shared_row_words(layout)];
}

/* Tries to take the empty 'row' for 'key'.  Returns the tag that the row has
 * afterwards. */
static uint64_t __attribute__((noinline))
take_row(struct measure_shared_table *table, enum measure_layout layout,
         uint64_t *row, const uint64_t *key, uint64_t tag)
{
    uint64_t found = 0;

    if (__atomic_load_n(&table->n_used, __ATOMIC_RELAXED)
        >= table->max_used) {
        return 0;
    }
    if (!__atomic_compare_exchange_n(row, &found, tag, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
        return found;
    }
    __atomic_fetch_add(&table->n_used, 1, __ATOMIC_RELAXED);
    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        measure_shared_row_key(row)[i] = key[i];
    }
    __atomic_store_n(row, tag | TAG_WRITTEN, __ATOMIC_RELEASE);
    return tag | TAG_WRITTEN;
}

static inline bool __attribute__((always_inline))
table_add(struct measure_shared_table *table, enum measure_layout layout,
          const uint64_t *key, uint64_t hash, uint64_t packets,
          uint64_t bytes)
{
    uint64_t tag = (hash & ~TAG_WRITTEN) | TAG_TAKEN;
    size_t row_words = measure_shared_row_words(layout);
    uint64_t *end = table->rows + table->n_rows * row_words;
    uint64_t *row = home_row(table, layout, hash);

    for (uint32_t i = 0; i < MEASURE_TABLE_MAX_PROBES; i++) {
        uint64_t found = __atomic_load_n(row, __ATOMIC_ACQUIRE);

        if (!found) {
            found = take_row(table, layout, row, key, tag);
            if (!found) {
                break;
            }
        }
        if ((found & ~TAG_WRITTEN) == tag
            && (!(found & TAG_WRITTEN)
                || measure_key_equal(measure_shared_row_key(row), key,
                                     layout))) {
            __atomic_fetch_add(measure_shared_row_packets(row, layout),
                               packets, __ATOMIC_RELAXED);
            __atomic_fetch_add(measure_shared_row_bytes(row, layout), bytes,
                               __ATOMIC_RELAXED);
            return true;
        }
        row += row_words;
        if (row == end) {
            row = table->rows;
        }
    }
    __atomic_fetch_add(&table->n_refused, packets, __ATOMIC_RELAXED);
    return false;
}

/* Adds 'packets' and 'bytes' to 'key', whose hash is 'hash'.  Returns false,
 * with nothing but 'n_refused' changed, if the key has no row and the table
 * takes no new ones, or none within MEASURE_TABLE_MAX_PROBES rows. */
bool
measure_shared_table_add(struct measure_shared_table *table,
                         const uint64_t *key, uint64_t hash,
                         uint64_t packets, uint64_t bytes)
{
    return (table->layout == MEASURE_NARROW
            ? table_add(table, MEASURE_NARROW, key, hash, packets, bytes)
            : table_add(table, MEASURE_WIDE, key, hash, packets, bytes));
}

static inline void __attribute__((always_inline))
table_add_burst(struct measure_shared_table *table,
                enum measure_layout layout, struct measure_record *records,
                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        records[i].hash = measure_hash(table->secret, records[i].key,
                                       measure_key_words(layout));
        __builtin_prefetch(home_row(table, layout, records[i].hash), 1);
    }
    for (size_t i = 0; i < n; i++) {
        table_add(table, layout, records[i].key, records[i].hash, 1,
                  records[i].bytes);
    }
}

/* Counts the packets of 'records' by the keys as they are.  Sets their
 * hashes. */
void
measure_shared_table_add_burst(struct measure_shared_table *table,
                               struct measure_record *records, size_t n)
{
    if (table->layout == MEASURE_NARROW) {
        table_add_burst(table, MEASURE_NARROW, records, n);
    } else {
        table_add_burst(table, MEASURE_WIDE, records, n);
    }
}

static uint32_t
rows_for(uint32_t max_keys)
{
    return max_keys < UINT32_MAX / ROWS_PER_KEY ? max_keys * ROWS_PER_KEY
                                                : UINT32_MAX;
}

/* Returns the bytes of memory that a table of 'params' takes. */
size_t
measure_shared_table_size(const struct measure_shared_table_params *params)
{
    return (rows_for(params->max_keys)
            * measure_shared_row_words(params->layout) * sizeof(uint64_t));
}

/* Makes an empty table in 'memory', measure_shared_table_size() bytes of zeros
 * that begin with a cache line. */
void
measure_shared_table_init(struct measure_shared_table *table,
                          const struct measure_shared_table_params *params,
                          void *memory)
{
    memset(table, 0, sizeof *table);
    table->rows = memory;
    table->n_rows = rows_for(params->max_keys);
    table->max_used = params->max_keys;
    table->layout = params->layout;
    table->secret = params->secret;
}

/* Returns the used row behind 'row', or the first one if 'row' is NULL, or
 * NULL if there is none.  A row whose key is not written yet is left out. */
uint64_t *
measure_shared_table_next(const struct measure_shared_table *table,
                          uint64_t *row)
{
    size_t row_words = measure_shared_row_words(table->layout);
    uint64_t *end = table->rows + table->n_rows * row_words;

    for (row = row ? row + row_words : table->rows; row < end;
         row += row_words) {
        if (__atomic_load_n(row, __ATOMIC_ACQUIRE) & TAG_WRITTEN) {
            return row;
        }
    }
    return NULL;
}

/* The shared count array. */

static inline struct measure_cell *
get_cell(const struct measure_shared_array *array, uint64_t hash)
{
    return &array->cells[((hash >> 32) * array->n_cells) >> 32];
}

static inline void
array_add(struct measure_shared_array *array, const uint64_t *key,
          uint64_t hash, uint64_t packets, uint64_t bytes)
{
    struct measure_cell *cell = get_cell(array, hash);
    uint64_t old = __atomic_fetch_add(&cell->packets, packets,
                                      __ATOMIC_RELAXED);

    __atomic_fetch_add(&cell->bytes, bytes, __ATOMIC_RELAXED);
    if (__builtin_expect(measure_crosses(old, packets, array->threshold),
                         0)) {
        measure_shared_table_add(&array->heavy, key, hash, packets, bytes);
    }
}

/* Adds 'packets' (at least 1) and 'bytes' to 'key', whose hash is 'hash'. */
void
measure_shared_array_add(struct measure_shared_array *array,
                         const uint64_t *key, uint64_t hash,
                         uint64_t packets, uint64_t bytes)
{
    array_add(array, key, hash, packets, bytes);
}

static inline void __attribute__((always_inline))
array_add_burst(struct measure_shared_array *array,
                enum measure_layout layout, struct measure_record *records,
                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        records[i].hash = measure_hash(array->secret, records[i].key,
                                       measure_key_words(layout));
        __builtin_prefetch(get_cell(array, records[i].hash), 1);
    }
    for (size_t i = 0; i < n; i++) {
        array_add(array, records[i].key, records[i].hash, 1,
                  records[i].bytes);
    }
}

/* Counts the packets of 'records' by the keys as they are.  Sets their
 * hashes. */
void
measure_shared_array_add_burst(struct measure_shared_array *array,
                               struct measure_record *records, size_t n)
{
    if (array->layout == MEASURE_NARROW) {
        array_add_burst(array, MEASURE_NARROW, records, n);
    } else {
        array_add_burst(array, MEASURE_WIDE, records, n);
    }
}

static size_t
cells_size(uint32_t n_cells)
{
    size_t per_line = MEASURE_LINE_SIZE / sizeof(struct measure_cell);

    return (n_cells + per_line - 1) / per_line * MEASURE_LINE_SIZE;
}

static struct measure_shared_table_params
heavy_params(const struct measure_shared_array_params *params)
{
    return (struct measure_shared_table_params) {
        .layout = params->layout,
        .max_keys = params->max_keys,
        .secret = params->secret,
    };
}

/* Returns the bytes of memory that an array of 'params' takes. */
size_t
measure_shared_array_size(const struct measure_shared_array_params *params)
{
    struct measure_shared_table_params heavy = heavy_params(params);

    return cells_size(params->n_cells) + measure_shared_table_size(&heavy);
}

/* Makes an empty array in 'memory', measure_shared_array_size() bytes of zeros
 * that begin with a cache line. */
void
measure_shared_array_init(struct measure_shared_array *array,
                          const struct measure_shared_array_params *params,
                          void *memory)
{
    struct measure_shared_table_params heavy = heavy_params(params);

    memset(array, 0, sizeof *array);
    array->cells = memory;
    array->n_cells = params->n_cells;
    array->layout = params->layout;
    array->threshold = params->threshold;
    array->secret = params->secret;
    measure_shared_table_init(&array->heavy, &heavy,
                              ((char *) memory
                               + cells_size(params->n_cells)));
}

/* Stores in '*packets' and '*bytes' the estimates of the key with 'hash'. */
void
measure_shared_array_estimate(const struct measure_shared_array *array,
                              uint64_t hash, uint64_t *packets,
                              uint64_t *bytes)
{
    const struct measure_cell *cell = get_cell(array, hash);

    *packets = __atomic_load_n(&cell->packets, __ATOMIC_RELAXED);
    *bytes = __atomic_load_n(&cell->bytes, __ATOMIC_RELAXED);
}
