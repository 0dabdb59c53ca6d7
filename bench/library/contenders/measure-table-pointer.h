/* SPDX-License-Identifier: Apache-2.0 */
/* A linear hash table with values behind a pointer, for comparison. */

#ifndef MEASURE_TABLE_POINTER_H
#define MEASURE_TABLE_POINTER_H 1

#include "base/measure-hash.h"
#include "key/measure-record.h"
#include "structures/measure-table.h"

/* Linear hash table with values behind a pointer
 * ==============================================
 *
 * Like the linear table of measure-table.h, but a row has only the key and a
 * pointer to its value: "LinearPtr" of Alipourfard et al., SOSR 2018, section
 * 4.  The rows that are probed lie closer together, at the cost of a second
 * cache line for the value.  It pays where values are large; for the two
 * counters of a flow it does not, which is why the switch uses the other one.
 *
 * A value has 'value_words' words: packets, bytes, and what the user puts
 * behind them.  Values are handed out in the order of arrival of their keys.
 *
 * Memory: 24 bytes for an IPv4 row and 56 for an IPv6 row, two rows for each
 * of 'max_keys' keys, and for each key its value.
 *
 * Error: none.  A key has a row with its exact counts, or
 * measure_table_pointer_add() refuses it, and 'n_refused' counts that.
 *
 * Thread safety: as measure-table.h. */

struct measure_table_pointer_params {
    enum measure_layout layout;
    uint32_t max_keys;          /* At least 1. */
    uint32_t value_words;       /* At least 2. */
    const struct measure_hash_secret *secret;
};

struct measure_table_pointer {
    uint64_t *rows;             /* Key words, and the pointer as a word. */
    uint64_t *values;
    uint32_t n_rows;
    uint32_t max_used;          /* Rows that may be used. */
    uint32_t n_used;            /* Rows that are used.  Atomic. */
    uint32_t value_words;
    enum measure_layout layout;
    const struct measure_hash_secret *secret;
    uint64_t n_refused;         /* Packets refused.  Atomic. */
};

/* The packet path. */

static inline uint64_t *
measure_table_pointer_home(const struct measure_table_pointer *table,
                           enum measure_layout layout, uint64_t hash)
{
    uint64_t row = ((hash >> 32) * table->n_rows) >> 32;

    return &table->rows[row * (measure_key_words(layout) + 1)];
}

static inline void
measure_table_pointer_prefetch(const struct measure_table_pointer *table,
                               enum measure_layout layout, uint64_t hash)
{
    __builtin_prefetch(measure_table_pointer_home(table, layout, hash), 1);
}

/* Returns the value of 'key', whose hash is 'hash'; a new one is zeroed.
 * Returns NULL, with nothing changed, if the key has no row and the table
 * takes no new ones, or none within MEASURE_TABLE_MAX_PROBES rows. */
uint64_t *measure_table_pointer_value(struct measure_table_pointer *,
                                      const uint64_t *key, uint64_t hash);

/* Adds to the value of 'key'.  Returns false, with nothing but 'n_refused'
 * changed, if there is none. */
bool measure_table_pointer_add(struct measure_table_pointer *,
                               const uint64_t *key, uint64_t hash,
                               uint64_t packets, uint64_t bytes);

/* Counts the packets of 'records' (at most MEASURE_BURST), all of the layout
 * of the table, by the keys as they are.  Sets their hashes. */
void measure_table_pointer_add_burst(struct measure_table_pointer *,
                                     struct measure_record *records,
                                     size_t n);

/* The control thread. */

size_t measure_table_pointer_size(const struct measure_table_pointer_params *);
void measure_table_pointer_init(struct measure_table_pointer *,
                                const struct measure_table_pointer_params *,
                                void *memory);
uint64_t *measure_table_pointer_next(const struct measure_table_pointer *,
                                     uint64_t *row);
uint64_t *measure_table_pointer_row_value(const struct measure_table_pointer *,
                                          const uint64_t *row);
bool measure_table_pointer_merge(struct measure_table_pointer *,
                                 const struct measure_table_pointer *from);

#define MEASURE_TABLE_POINTER_FOR_EACH(ROW, TABLE)                          \
    for (uint64_t *ROW = measure_table_pointer_next(TABLE, NULL); ROW;      \
         ROW = measure_table_pointer_next(TABLE, ROW))

#endif /* measure-table-pointer.h */
