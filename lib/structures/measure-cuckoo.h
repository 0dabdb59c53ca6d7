/* SPDX-License-Identifier: Apache-2.0 */
/* The cuckoo table. */

#ifdef STRUCTURE
STRUCTURE(CUCKOO_TABLE, cuckoo)
#elif !defined MEASURE_CUCKOO_H
#define MEASURE_CUCKOO_H 1

#include "base/measure-hash.h"
#include "key/measure-record.h"
#include "structures/measure-structure-class.h"
#include "structures/measure-table.h"

/* Cuckoo table
 * ============
 *
 * Each key has two buckets, chosen by the two halves of its hash, of one or of
 * four rows.  A new key that finds both full moves another one to that one's
 * other bucket, which may have to move a third, and so on.  Pagh, Rodler,
 * "Cuckoo hashing", Journal of Algorithms 51 (2004); with four rows a bucket,
 * Dietzfelbinger, Weidling, "Balanced allocation and dictionaries with tightly
 * packed constant size bins" (2007).
 *
 * The way to an empty row is searched first, over at most
 * MEASURE_CUCKOO_MAX_MOVES keys from each bucket, and only then are keys
 * moved: no key loses its row.  A key for which there is no way goes to a
 * stash of MEASURE_CUCKOO_STASH rows (Kirsch, Mitzenmacher, Wieder, "More
 * Robust Hashing: Cuckoo Hashing with a Stash", 2009).  When that is full,
 * the table takes no more new keys, so that the search fails a bounded number
 * of times.  Near its limit few buckets of a table have an empty row: with
 * half as many moves check-cuckoo finds more keys in the stash than it allows,
 * with some of its seeds.
 *
 * A row is that of the linear table (measure-table.h): the key, packets,
 * bytes; one that counts no packet is empty.
 *
 * Memory: 32 bytes for an IPv4 row and 64 for an IPv6 row, in a table that
 * takes keys until 45 % of its rows are used (one row a bucket; above 50 % no
 * table exists) or 90 % (four rows; above 98 % none exists).
 *
 * Error: none.  A key has a row with its exact counts, or measure_cuckoo_add()
 * refuses it, and 'n_refused' counts that.
 *
 * Thread safety: one thread writes.  'n_used' and 'n_refused' may be read by
 * any thread at any time, rows when that has let go.
 * measure_cuckoo_prefetch(), _add() and _end_burst() belong to the packet
 * path: they do not allocate, lock, wait, log or clear, and the number of
 * their steps is bounded. */

#define MEASURE_CUCKOO_MAX_MOVES 128
#define MEASURE_CUCKOO_STASH 8

struct measure_cuckoo_params {
    enum measure_layout layout;
    uint32_t n_buckets;         /* At least 2. */
    uint32_t rows_per_bucket;   /* 1 or 4. */
    const struct measure_hash_secret *secret;
};

struct measure_cuckoo {
    uint64_t *rows;             /* The stash is behind the buckets. */
    uint32_t n_buckets;
    uint32_t rows_per_bucket;
    uint32_t max_used;          /* Rows that may be used. */
    uint32_t n_used;            /* Rows that are used.  Atomic. */
    uint32_t n_stash;           /* Of them, in the stash. */
    enum measure_layout layout;
    const struct measure_hash_secret *secret;
    uint64_t n_refused;         /* Packets refused.  Atomic. */
};

/* The packet path. */

/* Returns the first row of bucket 'which' (0 or 1) of the keys with 'hash'. */
static inline uint64_t *
measure_cuckoo_bucket(const struct measure_cuckoo *table,
                      enum measure_layout layout, uint64_t hash, int which)
{
    uint64_t half = which ? (uint32_t) hash : hash >> 32;
    uint64_t bucket = (half * table->n_buckets) >> 32;

    return &table->rows[(bucket * table->rows_per_bucket
                         * measure_row_words(layout))];
}

static inline void
measure_cuckoo_prefetch(const struct measure_cuckoo *table,
                        enum measure_layout layout, uint64_t hash)
{
    for (int i = 0; i < 2; i++) {
        const uint64_t *bucket = measure_cuckoo_bucket(table, layout, hash, i);

        __builtin_prefetch(bucket, 1);
        if (table->rows_per_bucket > 1 && layout == MEASURE_NARROW && !i) {
            __builtin_prefetch(bucket + MEASURE_LINE_SIZE / 8, 1);
        }
    }
}

/* Adds 'packets' (at least 1) and 'bytes' to 'key', whose hash is 'hash'.
 * Returns false, with nothing but 'n_refused' changed, if the key has no row
 * and the table has none for it. */
bool measure_cuckoo_add(struct measure_cuckoo *, const uint64_t *key,
                        uint64_t hash, uint64_t packets, uint64_t bytes);

/* Nothing depends on bursts. */
static inline void
measure_cuckoo_end_burst(struct measure_cuckoo *table, uint64_t packets,
                         uint64_t bytes)
{
    (void) table;
    (void) packets;
    (void) bytes;
}

/* Outside the packet path. */

uint32_t measure_cuckoo_buckets_for(uint32_t rows_per_bucket,
                                    uint64_t n_keys);
size_t measure_cuckoo_size(const struct measure_cuckoo_params *);
void measure_cuckoo_init(struct measure_cuckoo *,
                         const struct measure_cuckoo_params *, void *memory);
uint32_t measure_cuckoo_n_used(const struct measure_cuckoo *);
uint64_t measure_cuckoo_n_refused(const struct measure_cuckoo *);
const uint64_t *measure_cuckoo_find(const struct measure_cuckoo *,
                                    const uint64_t *key, uint64_t hash);
uint64_t *measure_cuckoo_next(const struct measure_cuckoo *, uint64_t *row);

#define MEASURE_CUCKOO_FOR_EACH(ROW, TABLE)                             \
    for (uint64_t *ROW = measure_cuckoo_next(TABLE, NULL); ROW;         \
         ROW = measure_cuckoo_next(TABLE, ROW))

extern const struct measure_structure_class measure_cuckoo_class;

#endif /* measure-cuckoo.h */
