/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that structures which estimate record, and their sums. */

#include <config.h>

#include "structures/measure-heavy-keys.h"

#include "base/measure-base.h"

static uint64_t
cut(long double error, uint64_t estimate)
{
    return error < estimate ? error : estimate;
}

/* Stores 'sum' in '*estimate', with errors that are no larger than what they
 * are of. */
void
measure_estimate_sum_get(const struct measure_estimate_sum *sum,
                         struct measure_estimate *estimate)
{
    estimate->packets = sum->packets;
    estimate->bytes = sum->bytes;
    estimate->packets_error = cut(sum->packets_error, sum->packets);
    estimate->bytes_error = cut(sum->bytes_error, sum->bytes);
}

/* Returns the probability that two keys share one of 'n_cells' cells, at most:
 * the 2^32 values of half a hash are not spread evenly unless 'n_cells' is a
 * power of 2.  Of a cell with f of the last value more than the others, the
 * square of the share is larger than 1 / n_cells^2 by f * (1 - f) / 2^64. */
long double
measure_cell_share(uint32_t n_cells)
{
    return 1.0L / n_cells + n_cells / 0x1p66L;
}

/* Heavy keys. */

static inline uint64_t *
get_bucket(const struct measure_heavy_keys *heavy, enum measure_layout layout,
           uint32_t half_hash)
{
    uint64_t bucket = ((uint64_t) half_hash * heavy->n_buckets) >> 32;

    return &heavy->table.rows[(bucket * MEASURE_HEAVY_BUCKET
                               * measure_row_words(layout))];
}

/* Returns the row of 'key' in the bucket whose first row is 'row', or NULL
 * with the number of its used rows in '*n'. */
static inline uint64_t *
find(uint64_t *row, enum measure_layout layout, const uint64_t *key,
     uint32_t *n)
{
    for (*n = 0; *n < MEASURE_HEAVY_BUCKET; ++*n) {
        if (!*measure_row_packets(row, layout)) {
            break;
        }
        if (measure_key_equal(row, key, layout)) {
            return row;
        }
        row += measure_row_words(layout);
    }
    return NULL;
}

static inline void
put(uint64_t *row, enum measure_layout layout, const uint64_t *key,
    const struct measure_cell *estimate)
{
    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        row[i] = key[i];
    }
    *measure_row_packets(row, layout) = estimate->packets;
    *measure_row_bytes(row, layout) = estimate->bytes;
}

static inline bool
is_below(const struct measure_heavy_keys *heavy, uint64_t packets,
         uint64_t bytes)
{
    return (packets < heavy->packets_threshold
            && bytes < heavy->bytes_threshold);
}

/* Returns the smallest of the rows in both buckets that may give way, or
 * NULL. */
static uint64_t *
find_small(const struct measure_heavy_keys *heavy, enum measure_layout layout,
           uint64_t *const buckets[2])
{
    uint64_t *smallest = NULL;

    for (int i = 0; i < 2; i++) {
        uint64_t *row = buckets[i];

        for (int j = 0; j < MEASURE_HEAVY_BUCKET; j++) {
            uint64_t packets = *measure_row_packets(row, layout);

            if (packets
                && is_below(heavy, packets, *measure_row_bytes(row, layout))
                && (!smallest
                    || packets < *measure_row_packets(smallest, layout))) {
                smallest = row;
            }
            row += measure_row_words(layout);
        }
    }
    return smallest;
}

/* Says that a key with 'estimate' found no room. */
static void
lose(struct measure_heavy_keys *heavy, const struct measure_cell *estimate)
{
    __atomic_store_n(&heavy->lost, heavy->lost + 1, __ATOMIC_RELAXED);
    if (estimate->packets >= heavy->packets_threshold) {
        heavy->params.min_packets = (estimate->packets
                                     + estimate->packets / 4 + 1);
    }
    if (estimate->bytes >= heavy->bytes_threshold) {
        heavy->params.min_bytes = estimate->bytes + estimate->bytes / 4 + 1;
    }
    measure_heavy_keys_advance(heavy, 0, 0);
}

static inline bool __attribute__((always_inline))
record(struct measure_heavy_keys *heavy, enum measure_layout layout,
       const struct measure_heavy_class *class, void *sketch,
       const struct measure_hash_secret *secret, const uint64_t *key,
       uint64_t hash)
{
    struct measure_table *table = &heavy->table;
    uint64_t *buckets[2];
    struct measure_cell estimate;
    uint32_t n[2];
    uint64_t *row;

    buckets[0] = get_bucket(heavy, layout, hash >> 32);
    buckets[1] = get_bucket(heavy, layout, hash);
    if (find(buckets[0], layout, key, &n[0])) {
        return true;
    }
    /* Nothing is put into the second bucket while the first one is empty. */
    n[1] = 0;
    if (n[0] && find(buckets[1], layout, key, &n[1])) {
        return true;
    }
    class->estimate(sketch, hash, &estimate);

    if (table->n_used < table->max_used) {
        int emptier = n[1] < n[0];

        if (n[emptier] < MEASURE_HEAVY_BUCKET) {
            put(buckets[emptier] + n[emptier] * measure_row_words(layout),
                layout, key, &estimate);
            __atomic_store_n(&table->n_used, table->n_used + 1,
                             __ATOMIC_RELAXED);
            return true;
        }
    }

    for (int i = 0; i < MEASURE_HEAVY_TRIES; i++) {
        struct measure_cell now;
        uint64_t row_hash;

        row = find_small(heavy, layout, buckets);
        if (!row) {
            break;
        }
        row_hash = measure_hash(secret, row, measure_key_words(layout));
        class->estimate(sketch, row_hash, &now);
        if (is_below(heavy, now.packets, now.bytes)) {
            if (class->forget) {
                class->forget(sketch, row_hash);
            }
            put(row, layout, key, &estimate);
            return true;
        }
        *measure_row_packets(row, layout) = now.packets;
        *measure_row_bytes(row, layout) = now.bytes;
    }
    if (!is_below(heavy, estimate.packets, estimate.bytes)) {
        lose(heavy, &estimate);
    }
    return false;
}

/* Records 'key', whose hash is 'hash', of 'sketch', which is of 'class' and
 * hashes with 'secret'.  Returns false if the key has no row then. */
bool __attribute__((noinline))
measure_heavy_keys_record(struct measure_heavy_keys *heavy,
                          const struct measure_heavy_class *class,
                          void *sketch,
                          const struct measure_hash_secret *secret,
                          const uint64_t *key, uint64_t hash)
{
    return (heavy->table.layout == MEASURE_NARROW
            ? record(heavy, MEASURE_NARROW, class, sketch, secret, key, hash)
            : record(heavy, MEASURE_WIDE, class, sketch, secret, key, hash));
}

/* Returns the lines that rows for 'max_keys' keys take, at least those of a
 * bucket. */
static uint32_t
lines_for(enum measure_layout layout, uint32_t max_keys)
{
    uint32_t lines = measure_table_lines_for(layout, max_keys);
    uint32_t least = MEASURE_HEAVY_BUCKET / measure_rows_per_line(layout);

    return measure_max(lines, least);
}

/* Returns the bytes of memory that the keys take. */
size_t
measure_heavy_keys_size(enum measure_layout layout,
                        const struct measure_heavy_params *params)
{
    return measure_table_size(lines_for(layout, params->max_keys));
}

/* Makes an empty record of keys in 'memory', measure_heavy_keys_size() bytes
 * of zeros that begin with a cache line. */
void
measure_heavy_keys_init(struct measure_heavy_keys *heavy,
                        enum measure_layout layout,
                        const struct measure_heavy_params *params,
                        void *memory)
{
    memset(heavy, 0, sizeof *heavy);
    heavy->params = *params;
    heavy->table.rows = memory;
    heavy->table.n_lines = lines_for(layout, params->max_keys);
    heavy->table.max_used = params->max_keys;
    heavy->table.layout = layout;
    heavy->n_buckets = (heavy->table.n_lines * measure_rows_per_line(layout)
                        / MEASURE_HEAVY_BUCKET);
    measure_heavy_keys_advance(heavy, 0, 0);
}

/* Returns how often a key found no room. */
uint64_t
measure_heavy_keys_lost(const struct measure_heavy_keys *heavy)
{
    return __atomic_load_n(&heavy->lost, __ATOMIC_RELAXED);
}

/* Returns the parameters of a sketch for keys in 'layout' that takes about
 * 'limit' bytes.  measure_heavy_keys_begin() must follow. */
struct measure_heavy_params
measure_heavy_params_for(enum measure_layout layout, size_t limit)
{
    size_t key_size = 2 * measure_row_words(layout) * sizeof(uint64_t);

    return (struct measure_heavy_params) {
        .max_keys = measure_items_for(limit / MEASURE_HEAVY_DIVISOR, key_size,
                                      4),
        .min_packets = 1,
        .min_bytes = 1,
    };
}

/* Says from where on 'heavy', which is empty, records keys. */
void
measure_heavy_keys_begin(struct measure_heavy_keys *heavy,
                         const struct measure_structure_threshold *threshold)
{
    heavy->params.min_packets = threshold->min_packets;
    heavy->params.min_bytes = threshold->min_bytes;
    heavy->params.packets_share = threshold->packets_share;
    heavy->params.bytes_share = threshold->bytes_share;
    measure_heavy_keys_advance(heavy, 0, 0);
}
