/* SPDX-License-Identifier: Apache-2.0 */
/* The cuckoo table. */

#include <config.h>

#include "structures/measure-cuckoo.h"

#define BUCKET_ROWS_MAX 4

/* A way from a full bucket to an empty row: the row at each place goes to the
 * next place, from the last on. */
struct way {
    uint64_t *rows[MEASURE_CUCKOO_MAX_MOVES + 1];
    uint32_t n;
};

static inline bool
is_empty(uint64_t *row, enum measure_layout layout)
{
    return !*measure_row_packets(row, layout);
}

static inline uint64_t *
stash(const struct measure_cuckoo *table, enum measure_layout layout)
{
    return table->rows + ((size_t) table->n_buckets * table->rows_per_bucket
                          * measure_row_words(layout));
}

/* Returns the row of 'key' among the 'n' rows at 'row', or NULL. */
static inline uint64_t *
find_key(uint64_t *row, uint32_t n, enum measure_layout layout,
         const uint64_t *key)
{
    for (uint32_t i = 0; i < n; i++) {
        if (measure_key_equal(row, key, layout) && !is_empty(row, layout)) {
            return row;
        }
        row += measure_row_words(layout);
    }
    return NULL;
}

static inline uint64_t *
find_empty(uint64_t *row, uint32_t n, enum measure_layout layout)
{
    for (uint32_t i = 0; i < n; i++) {
        if (is_empty(row, layout)) {
            return row;
        }
        row += measure_row_words(layout);
    }
    return NULL;
}

static bool
on_way(const struct way *way, const uint64_t *row)
{
    for (uint32_t i = 0; i < way->n; i++) {
        if (way->rows[i] == row) {
            return true;
        }
    }
    return false;
}

/* Looks for a way from 'bucket', which is full, to an empty row.  No row is on
 * the way twice: it can be moved only once. */
static bool
find_way(const struct measure_cuckoo *table, enum measure_layout layout,
         uint64_t *bucket, uint64_t choice, struct way *way)
{
    uint32_t n = table->rows_per_bucket;

    way->n = 0;
    while (way->n < MEASURE_CUCKOO_MAX_MOVES) {
        uint64_t *row = NULL;

        for (uint32_t i = 0; i < n; i++) {
            uint64_t *candidate = bucket + ((choice + i) % n
                                            * measure_row_words(layout));

            if (!on_way(way, candidate)) {
                row = candidate;
                break;
            }
        }
        if (!row) {
            return false;
        }
        way->rows[way->n++] = row;

        /* The other bucket of the key in 'row', which may be the same. */
        uint64_t hash = measure_hash(table->secret, row,
                                     measure_key_words(layout));
        uint64_t *first = measure_cuckoo_bucket(table, layout, hash, 0);

        bucket = (bucket == first
                  ? measure_cuckoo_bucket(table, layout, hash, 1) : first);
        row = find_empty(bucket, n, layout);
        if (row) {
            way->rows[way->n] = row;
            return true;
        }
        /* Any of the rows will do, if it is not always the same. */
        choice = hash >> 16;
    }
    return false;
}

static void
put(uint64_t *row, enum measure_layout layout, const uint64_t *key,
    uint64_t packets, uint64_t bytes)
{
    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        row[i] = key[i];
    }
    *measure_row_packets(row, layout) = packets;
    *measure_row_bytes(row, layout) = bytes;
}

/* Makes room for a key with 'hash' whose buckets are full.  Returns NULL if
 * there is none. */
static uint64_t * __attribute__((noinline))
make_room(struct measure_cuckoo *table, enum measure_layout layout,
          uint64_t hash)
{
    for (int which = 0; which < 2; which++) {
        struct way way;

        if (find_way(table, layout,
                     measure_cuckoo_bucket(table, layout, hash, which), 0,
                     &way)) {
            for (uint32_t i = way.n; i > 0; i--) {
                memcpy(way.rows[i], way.rows[i - 1],
                       measure_row_words(layout) * sizeof(uint64_t));
            }
            return way.rows[0];
        }
    }
    if (table->n_stash < MEASURE_CUCKOO_STASH) {
        return (stash(table, layout)
                + table->n_stash++ * measure_row_words(layout));
    }
    /* From now on no search fails again. */
    table->max_used = table->n_used;
    return NULL;
}

/* Adds to a key that is neither in its buckets nor... */
static bool __attribute__((noinline))
add_new(struct measure_cuckoo *table, enum measure_layout layout,
        const uint64_t *key, uint64_t hash, uint64_t packets, uint64_t bytes)
{
    uint64_t *row = NULL;

    /* ...perhaps in the stash. */
    if (table->n_stash) {
        row = find_key(stash(table, layout), table->n_stash, layout, key);
        if (row) {
            *measure_row_packets(row, layout) += packets;
            *measure_row_bytes(row, layout) += bytes;
            return true;
        }
    }

    if (table->n_used < table->max_used) {
        for (int i = 0; i < 2 && !row; i++) {
            row = find_empty(measure_cuckoo_bucket(table, layout, hash, i),
                             table->rows_per_bucket, layout);
        }
        if (!row) {
            row = make_room(table, layout, hash);
        }
    }
    if (!row) {
        __atomic_store_n(&table->n_refused, table->n_refused + packets,
                         __ATOMIC_RELAXED);
        return false;
    }
    put(row, layout, key, packets, bytes);
    __atomic_store_n(&table->n_used, table->n_used + 1, __ATOMIC_RELAXED);
    return true;
}

static inline bool __attribute__((always_inline))
add(struct measure_cuckoo *table, enum measure_layout layout,
    uint32_t rows_per_bucket, const uint64_t *key, uint64_t hash,
    uint64_t packets, uint64_t bytes)
{
    for (int i = 0; i < 2; i++) {
        uint64_t *bucket = measure_cuckoo_bucket(table, layout, hash, i);
        uint64_t *row = find_key(bucket, rows_per_bucket, layout, key);

        if (row) {
            *measure_row_packets(row, layout) += packets;
            *measure_row_bytes(row, layout) += bytes;
            return true;
        }
    }
    return add_new(table, layout, key, hash, packets, bytes);
}

bool
measure_cuckoo_add(struct measure_cuckoo *table, const uint64_t *key,
                   uint64_t hash, uint64_t packets, uint64_t bytes)
{
    enum measure_layout layout = table->layout;

    return (table->rows_per_bucket == 1
            ? (layout == MEASURE_NARROW
               ? add(table, MEASURE_NARROW, 1, key, hash, packets, bytes)
               : add(table, MEASURE_WIDE, 1, key, hash, packets, bytes))
            : (layout == MEASURE_NARROW
               ? add(table, MEASURE_NARROW, 4, key, hash, packets, bytes)
               : add(table, MEASURE_WIDE, 4, key, hash, packets, bytes)));
}

static uint32_t
max_load_percentage(uint32_t rows_per_bucket)
{
    return rows_per_bucket == 1 ? 45 : 90;
}

/* Returns the number of buckets of a table that takes 'n_keys' keys. */
uint32_t
measure_cuckoo_buckets_for(uint32_t rows_per_bucket, uint64_t n_keys)
{
    uint64_t per_bucket = (uint64_t) rows_per_bucket
                          * max_load_percentage(rows_per_bucket);
    uint64_t buckets = (n_keys * 100 + per_bucket - 1) / per_bucket;

    return buckets < 2 ? 2 : buckets < UINT32_MAX ? buckets : UINT32_MAX;
}

/* Returns the bytes of memory that a table of 'params' takes. */
size_t
measure_cuckoo_size(const struct measure_cuckoo_params *params)
{
    return (((size_t) params->n_buckets * params->rows_per_bucket
             + MEASURE_CUCKOO_STASH)
            * measure_row_words(params->layout) * sizeof(uint64_t));
}

/* Makes an empty table in 'memory', measure_cuckoo_size() bytes of zeros that
 * begin with a cache line. */
void
measure_cuckoo_init(struct measure_cuckoo *table,
                    const struct measure_cuckoo_params *params, void *memory)
{
    assert(params->rows_per_bucket == 1
           || params->rows_per_bucket == BUCKET_ROWS_MAX);
    memset(table, 0, sizeof *table);
    table->rows = memory;
    table->n_buckets = params->n_buckets;
    table->rows_per_bucket = params->rows_per_bucket;
    table->max_used = ((uint64_t) params->n_buckets * params->rows_per_bucket
                       * max_load_percentage(params->rows_per_bucket) / 100);
    table->layout = params->layout;
    table->secret = params->secret;
}

uint32_t
measure_cuckoo_n_used(const struct measure_cuckoo *table)
{
    return __atomic_load_n(&table->n_used, __ATOMIC_RELAXED);
}

uint64_t
measure_cuckoo_n_refused(const struct measure_cuckoo *table)
{
    return __atomic_load_n(&table->n_refused, __ATOMIC_RELAXED);
}

/* Returns the row of 'key', whose hash is 'hash', or NULL if it has none. */
const uint64_t *
measure_cuckoo_find(const struct measure_cuckoo *table, const uint64_t *key,
                    uint64_t hash)
{
    enum measure_layout layout = table->layout;
    uint64_t *row = NULL;

    for (int i = 0; i < 2 && !row; i++) {
        row = find_key(measure_cuckoo_bucket(table, layout, hash, i),
                       table->rows_per_bucket, layout, key);
    }
    return (row ? row
            : find_key(stash(table, layout), table->n_stash, layout, key));
}

/* Returns the used row behind 'row', or the first one if 'row' is NULL, or
 * NULL if there is none. */
uint64_t *
measure_cuckoo_next(const struct measure_cuckoo *table, uint64_t *row)
{
    size_t row_words = measure_row_words(table->layout);
    uint64_t *end = (stash(table, table->layout)
                     + table->n_stash * row_words);

    for (row = row ? row + row_words : table->rows; row < end;
         row += row_words) {
        if (!is_empty(row, table->layout)) {
            return row;
        }
    }
    return NULL;
}

/* Its class. */

static struct measure_cuckoo_params
params_for(enum measure_layout layout, size_t limit)
{
    size_t row_size = measure_row_words(layout) * sizeof(uint64_t);
    size_t stash_size = MEASURE_CUCKOO_STASH * row_size;

    return (struct measure_cuckoo_params) {
        .layout = layout,
        .rows_per_bucket = 4,
        .n_buckets = measure_items_for((limit > stash_size
                                        ? limit - stash_size : 0),
                                       4 * row_size, 2),
    };
}

static size_t
size_for(enum measure_layout layout, size_t limit)
{
    struct measure_cuckoo_params params = params_for(layout, limit);

    return measure_cuckoo_size(&params);
}

static void
init_for(void *table, enum measure_layout layout, size_t limit,
         const struct measure_hash_secret *secret, void *memory)
{
    struct measure_cuckoo_params params = params_for(layout, limit);

    params.secret = secret;
    measure_cuckoo_init(table, &params, memory);
}

static uint64_t
n_keys(const void *table)
{
    return measure_cuckoo_n_used(table);
}

static uint64_t
n_lost(const void *table)
{
    return measure_cuckoo_n_refused(table);
}

static uint64_t *
next_row(const void *table, uint64_t *row)
{
    return measure_cuckoo_next(table, row);
}

static void
add_estimate(const void *table_, const uint64_t *key, uint64_t hash,
             struct measure_estimate_sum *sum)
{
    const struct measure_cuckoo *table = table_;
    const uint64_t *row = measure_cuckoo_find(table, key, hash);

    if (row) {
        sum->packets += row[measure_key_words(table->layout)];
        sum->bytes += row[measure_key_words(table->layout) + 1];
    }
}

const struct measure_structure_class measure_cuckoo_class = {
    .name = "cuckoo-table",
    .complete = true,
    .memory_divisor = 2,
    .size = size_for,
    .init = init_for,
    .n_keys = n_keys,
    .n_lost = n_lost,
    .next = next_row,
    .estimate = add_estimate,
};
