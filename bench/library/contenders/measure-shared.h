/* SPDX-License-Identifier: Apache-2.0 */
/* Structures that several threads share, for comparison. */

#ifndef MEASURE_SHARED_H
#define MEASURE_SHARED_H 1

#include "base/measure-hash.h"
#include "key/measure-record.h"
#include "structures/measure-heavy-keys.h"
#include "structures/measure-table.h"

/* Structures that several threads share, without locks
 * ====================================================
 *
 * A count array and a linear table that any number of threads count in at
 * once, for comparison with one structure for each thread: section 5 of
 * Alipourfard et al., SOSR 2018.  The switch does not use them.
 *
 * Shared linear table.  The first word of a row is its tag, the hash of its
 * key, whose lowest two bits say whether the row is taken and whether its key
 * is written.  A thread takes an empty row by compare-and-swap of the tag,
 * writes the key, and sets the other bit.  A thread that finds its own tag
 * with a key that is not written yet does not wait: it adds to that row.  Two
 * keys of the same tag would be mixed up then, with probability 2^-62 a pair.
 * Counters are added to atomically.
 *
 * Shared count array.  Packets and bytes are added to atomically.  The one
 * addition that crosses the threshold, which is fixed here, records its key in
 * a shared linear table.
 *
 * Memory: 64 bytes for an IPv4 row and 128 for an IPv6 row, two rows a key;
 * 16 bytes a cell.
 *
 * Error: the linear table none, but a key that finds no row is refused, and
 * 'n_refused' counts that.  Up to one key for each thread more than 'max_used'
 * finds a row.  The count array that of measure-count-array.h.
 *
 * Thread safety: all functions of the packet path may be called by any number
 * of threads at once; they do not wait for each other.  Rows may be read at
 * any time: each number by itself is right.  _init() is for one thread
 * before all others. */

struct measure_shared_table_params {
    enum measure_layout layout;
    uint32_t max_keys;          /* At least 1. */
    const struct measure_hash_secret *secret;
};

struct measure_shared_table {
    uint64_t *rows;
    uint32_t n_rows;
    uint32_t max_used;
    enum measure_layout layout;
    const struct measure_hash_secret *secret;

    /* Written by all, on a line of their own. */
    uint32_t n_used __attribute__((aligned(MEASURE_LINE_SIZE)));
    uint64_t n_refused;         /* Packets. */
};

struct measure_shared_array_params {
    enum measure_layout layout;
    uint32_t n_cells;           /* At least 1. */
    uint32_t max_keys;          /* Keys that can be recorded. */
    uint64_t threshold;         /* Packets, from 1. */
    const struct measure_hash_secret *secret;
};

struct measure_shared_array {
    struct measure_cell *cells;
    uint32_t n_cells;
    enum measure_layout layout;
    uint64_t threshold;
    const struct measure_hash_secret *secret;
    struct measure_shared_table heavy;  /* 'n_refused' is keys lost. */
};

/* Layout of a row: tag, key, packets, bytes. */

static inline size_t
measure_shared_row_words(enum measure_layout layout)
{
    return (layout == MEASURE_NARROW ? 1 : 2) * MEASURE_LINE_SIZE / 8;
}

static inline uint64_t *
measure_shared_row_key(uint64_t *row)
{
    return row + 1;
}

static inline uint64_t *
measure_shared_row_packets(uint64_t *row, enum measure_layout layout)
{
    return row + 1 + measure_key_words(layout);
}

static inline uint64_t *
measure_shared_row_bytes(uint64_t *row, enum measure_layout layout)
{
    return row + 2 + measure_key_words(layout);
}

static_assert(3 + MEASURE_KEY_WORDS <= 2 * MEASURE_LINE_SIZE / 8,
              "a row has room for tag, key and counters");

/* The packet path.  Bursts are of at most MEASURE_BURST records, all of the
 * layout of the structure. */

bool measure_shared_table_add(struct measure_shared_table *,
                              const uint64_t *key, uint64_t hash,
                              uint64_t packets, uint64_t bytes);
void measure_shared_table_add_burst(struct measure_shared_table *,
                                    struct measure_record *records, size_t n);
void measure_shared_array_add(struct measure_shared_array *,
                              const uint64_t *key, uint64_t hash,
                              uint64_t packets, uint64_t bytes);
void measure_shared_array_add_burst(struct measure_shared_array *,
                                    struct measure_record *records, size_t n);

/* The control thread. */

size_t measure_shared_table_size(const struct measure_shared_table_params *);
void measure_shared_table_init(struct measure_shared_table *,
                               const struct measure_shared_table_params *,
                               void *memory);
uint64_t *measure_shared_table_next(const struct measure_shared_table *,
                                    uint64_t *row);

size_t measure_shared_array_size(const struct measure_shared_array_params *);
void measure_shared_array_init(struct measure_shared_array *,
                               const struct measure_shared_array_params *,
                               void *memory);
void measure_shared_array_estimate(const struct measure_shared_array *,
                                   uint64_t hash, uint64_t *packets,
                                   uint64_t *bytes);

#define MEASURE_SHARED_TABLE_FOR_EACH(ROW, TABLE)                           \
    for (uint64_t *ROW = measure_shared_table_next(TABLE, NULL); ROW;       \
         ROW = measure_shared_table_next(TABLE, ROW))

#endif /* measure-shared.h */
