/* SPDX-License-Identifier: Apache-2.0 */
/* Writes rows to partitions that each fit the cache. */

#ifndef MEASURE_PARTITION_H
#define MEASURE_PARTITION_H 1

#include "structures/measure-table.h"

/* Rows in partitions
 * ==================
 *
 * To group many rows in one large table is to wait for memory at each row.
 * Hence rows are first written to partitions, chosen by some bits of a hash
 * such that all rows of a group are in the same one; then the rows of each
 * partition are grouped in a small table that fits the cache of the processor.
 * The memory is gone through in order, twice, whatever the number of rows: the
 * partitioned aggregation of databases (Manegold, Boncz, Kersten, "Optimizing
 * Main-Memory Join on Modern Hardware", TKDE 2002).
 *
 * If one group has many of the rows, its partition is much larger than others.
 * measure_partition_pieces() says in how many pieces it is to be taken, by
 * another hash, that of a finer group.
 *
 * The rows of a partition are in a list of chunks, so that nobody must know in
 * advance how many there will be.
 *
 * Memory: 32 bytes for each narrow row and 64 for a wide one, and one chunk of
 * MEASURE_CHUNK_ROWS rows for each partition.
 *
 * Thread safety: none. */

#define MEASURE_CHUNK_ROWS 64
#define MEASURE_PARTITION_ROWS 2048     /* About so many in each, until... */
#define MEASURE_MAX_PARTITIONS 1024     /* ...there are so many. */
#define MEASURE_LARGE_PARTITION 8       /* So many times as large. */

/* The rows of one partition. */
struct measure_partition {
    uint64_t *next_row;         /* To be written. */
    uint32_t room;              /* Rows left in the last chunk. */
    uint32_t first;             /* Chunk, from 1; 0 is none. */
    uint32_t last;
    uint32_t n_chunks;
};

/* All rows of one layout. */
struct measure_partitions {
    enum measure_layout layout;
    uint64_t *rows;             /* 'n_chunks' chunks. */
    size_t size;                /* Bytes of 'rows'. */
    uint32_t *next;             /* Of each chunk the next, likewise from 1. */
    uint32_t n_chunks;
    uint32_t n_used;            /* Chunks used. */
    uint32_t n;                 /* Partitions. */
    struct measure_partition *partitions;
};

/* Of the rows of one partition, some that are together.  All zeros is before
 * the first. */
struct measure_chunk {
    uint64_t *rows;
    size_t n;
    uint32_t number;            /* From 1. */
};

uint32_t measure_partitions_for(uint64_t n_rows);
uint32_t measure_partition_pieces(uint64_t n_rows, uint64_t all_rows,
                                  uint32_t n, uint32_t max);
uint64_t measure_partitions_bytes(enum measure_layout, uint64_t max_rows,
                                  uint32_t n);
bool measure_partitions_init(struct measure_partitions *, enum measure_layout,
                             uint64_t max_rows, uint32_t n,
                             struct measure_budget *);
void measure_partitions_destroy(struct measure_partitions *,
                                struct measure_budget *);
void measure_partitions_begin_chunk(struct measure_partitions *,
                                    struct measure_partition *);
uint64_t measure_partition_n_rows(const struct measure_partitions *,
                                  uint32_t i);
bool measure_partition_next_chunk(const struct measure_partitions *,
                                  uint32_t i, struct measure_chunk *);

/* Adds a row to the partition with index 'number'.  'layout' is that of 'p';
 * callers pass a constant. */
static inline void
measure_partitions_add_to(struct measure_partitions *p,
                          enum measure_layout layout, uint32_t number,
                          const uint64_t *key, uint64_t packets,
                          uint64_t bytes)
{
    struct measure_partition *partition = &p->partitions[number];
    unsigned int n_words = measure_key_words(layout);
    uint64_t *row;

    if (!partition->room) {
        measure_partitions_begin_chunk(p, partition);
    }
    row = partition->next_row;
    for (unsigned int i = 0; i < n_words; i++) {
        row[i] = key[i];
    }
    row[n_words] = packets;
    row[n_words + 1] = bytes;
    partition->next_row = row + measure_row_words(layout);
    partition->room--;
}

/* Adds a row to the partition, of a power of 2, that 'hash' chooses. */
static inline void
measure_partitions_add(struct measure_partitions *p,
                       enum measure_layout layout, uint64_t hash,
                       const uint64_t *key, uint64_t packets, uint64_t bytes)
{
    measure_partitions_add_to(p, layout, hash & (p->n - 1), key, packets,
                              bytes);
}

#endif /* measure-partition.h */
