/* SPDX-License-Identifier: Apache-2.0 */
/* A linear hash table with values behind a pointer, for comparison. */

#include <config.h>

#include "contenders/measure-table-pointer.h"

/* Of the rows, half, as in the linear table. */
#define ROWS_PER_KEY 2

static inline size_t
row_words(enum measure_layout layout)
{
    return measure_key_words(layout) + 1;
}

/* The word of a row that is a pointer: the address of its value. */
static inline uint64_t *
get_pointer(const uint64_t *row, enum measure_layout layout)
{
    return (uint64_t *) (uintptr_t) row[measure_key_words(layout)];
}

static inline uint64_t * __attribute__((always_inline))
get_value(struct measure_table_pointer *table, enum measure_layout layout,
          const uint64_t *key, uint64_t hash)
{
    uint64_t *row = measure_table_pointer_home(table, layout, hash);
    uint64_t *end = table->rows + table->n_rows * row_words(layout);

    for (uint32_t i = 0; i < MEASURE_TABLE_MAX_PROBES; i++) {
        uint64_t *value = get_pointer(row, layout);

        if (!value) {
            if (table->n_used >= table->max_used) {
                return NULL;
            }
            value = table->values + ((size_t) table->n_used
                                     * table->value_words);
            __atomic_store_n(&table->n_used, table->n_used + 1,
                             __ATOMIC_RELAXED);
            for (unsigned int j = 0; j < measure_key_words(layout); j++) {
                row[j] = key[j];
            }
            row[measure_key_words(layout)] = (uintptr_t) value;
            return value;
        }
        if (measure_key_equal(row, key, layout)) {
            return value;
        }
        row += row_words(layout);
        if (row == end) {
            row = table->rows;
        }
    }
    return NULL;
}

uint64_t *
measure_table_pointer_value(struct measure_table_pointer *table,
                            const uint64_t *key, uint64_t hash)
{
    return (table->layout == MEASURE_NARROW
            ? get_value(table, MEASURE_NARROW, key, hash)
            : get_value(table, MEASURE_WIDE, key, hash));
}

static inline bool
add_to(struct measure_table_pointer *table, uint64_t *value,
       uint64_t packets, uint64_t bytes)
{
    if (!value) {
        __atomic_store_n(&table->n_refused, table->n_refused + packets,
                         __ATOMIC_RELAXED);
        return false;
    }
    value[0] += packets;
    value[1] += bytes;
    return true;
}

bool
measure_table_pointer_add(struct measure_table_pointer *table,
                          const uint64_t *key, uint64_t hash,
                          uint64_t packets, uint64_t bytes)
{
    return add_to(table, measure_table_pointer_value(table, key, hash),
                  packets, bytes);
}

static inline void __attribute__((always_inline))
add_burst(struct measure_table_pointer *table, enum measure_layout layout,
          struct measure_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        records[i].hash = measure_hash(table->secret, records[i].key,
                                       measure_key_words(layout));
        measure_table_pointer_prefetch(table, layout, records[i].hash);
    }
    /* The pointer in the home row is that of the value, nearly always: in the
     * meantime the value comes, too. */
    for (size_t i = 0; i < n; i++) {
        const uint64_t *home = measure_table_pointer_home(table, layout,
                                                          records[i].hash);

        __builtin_prefetch(get_pointer(home, layout), 1);
    }
    for (size_t i = 0; i < n; i++) {
        add_to(table, get_value(table, layout, records[i].key,
                                records[i].hash), 1, records[i].bytes);
    }
}

void
measure_table_pointer_add_burst(struct measure_table_pointer *table,
                                struct measure_record *records, size_t n)
{
    if (table->layout == MEASURE_NARROW) {
        add_burst(table, MEASURE_NARROW, records, n);
    } else {
        add_burst(table, MEASURE_WIDE, records, n);
    }
}

static uint32_t
rows_for(uint32_t max_keys)
{
    return max_keys < UINT32_MAX / ROWS_PER_KEY ? max_keys * ROWS_PER_KEY
                                                : UINT32_MAX;
}

static size_t
rows_size(const struct measure_table_pointer_params *params)
{
    size_t size = (rows_for(params->max_keys) * row_words(params->layout)
                   * sizeof(uint64_t));

    return ((size + MEASURE_LINE_SIZE - 1) / MEASURE_LINE_SIZE
            * MEASURE_LINE_SIZE);
}

/* Returns the bytes of memory that a table of 'params' takes. */
size_t
measure_table_pointer_size(const struct measure_table_pointer_params *params)
{
    return rows_size(params) + ((size_t) params->max_keys * params->value_words
                                * sizeof(uint64_t));
}

/* Makes an empty table in 'memory', measure_table_pointer_size() bytes of
 * zeros that begin with a cache line. */
void
measure_table_pointer_init(struct measure_table_pointer *table,
                           const struct measure_table_pointer_params *params,
                           void *memory)
{
    assert(params->value_words >= 2);
    memset(table, 0, sizeof *table);
    table->rows = memory;
    table->values = (void *) ((char *) memory + rows_size(params));
    table->n_rows = rows_for(params->max_keys);
    table->max_used = params->max_keys;
    table->value_words = params->value_words;
    table->layout = params->layout;
    table->secret = params->secret;
}

/* Returns the used row behind 'row', or the first one if 'row' is NULL, or
 * NULL if there is none. */
uint64_t *
measure_table_pointer_next(const struct measure_table_pointer *table,
                           uint64_t *row)
{
    size_t words = row_words(table->layout);
    uint64_t *end = table->rows + table->n_rows * words;

    for (row = row ? row + words : table->rows; row < end; row += words) {
        if (get_pointer(row, table->layout)) {
            return row;
        }
    }
    return NULL;
}

/* Returns the value of a used row. */
uint64_t *
measure_table_pointer_row_value(const struct measure_table_pointer *table,
                                const uint64_t *row)
{
    return get_pointer(row, table->layout);
}

/* Adds the packets and bytes of the rows of 'from' to 'table', which has the
 * same layout and secret.  Returns false if some were refused. */
bool
measure_table_pointer_merge(struct measure_table_pointer *table,
                            const struct measure_table_pointer *from)
{
    bool complete = true;

    assert(table->layout == from->layout);
    MEASURE_TABLE_POINTER_FOR_EACH (row, from) {
        const uint64_t *value = get_pointer(row, from->layout);
        uint64_t hash = measure_hash(table->secret, row,
                                     measure_key_words(from->layout));

        complete &= measure_table_pointer_add(table, row, hash, value[0],
                                              value[1]);
    }
    return complete;
}
