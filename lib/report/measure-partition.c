/* SPDX-License-Identifier: Apache-2.0 */
/* Writes rows to partitions that each fit the cache. */

#include <config.h>

#include "report/measure-partition.h"

#include <stdlib.h>

#include "base/measure-base.h"

/* Returns how many partitions are good for 'n_rows' rows. */
uint32_t
measure_partitions_for(uint64_t n_rows)
{
    uint32_t n = 1;

    while (n < MEASURE_MAX_PARTITIONS && n_rows / n > MEASURE_PARTITION_ROWS) {
        n *= 2;
    }
    return n;
}

/* Returns in how many pieces, a power of 2 up to 'max', one of 'n' partitions,
 * of 'all_rows' rows, is to be taken that has 'n_rows' of them. */
uint32_t
measure_partition_pieces(uint64_t n_rows, uint64_t all_rows, uint32_t n,
                         uint32_t max)
{
    uint64_t usual = measure_max(all_rows / n, MEASURE_PARTITION_ROWS);
    uint32_t pieces = 1;

    if (n_rows > usual * MEASURE_LARGE_PARTITION) {
        while (pieces < max && n_rows / pieces > usual) {
            pieces *= 2;
        }
    }
    return pieces;
}

static size_t
chunk_words(enum measure_layout layout)
{
    return MEASURE_CHUNK_ROWS * measure_row_words(layout);
}

static uint32_t
n_chunks(uint64_t max_rows, uint32_t n)
{
    return max_rows ? max_rows / MEASURE_CHUNK_ROWS + n : 0;
}

/* Returns about how many bytes 'n' partitions take that take 'max_rows' rows
 * of 'layout' in all. */
uint64_t
measure_partitions_bytes(enum measure_layout layout, uint64_t max_rows,
                         uint32_t n)
{
    return ((uint64_t) n_chunks(max_rows, n) * chunk_words(layout)
            * sizeof(uint64_t));
}

static uint64_t *
chunk_rows(const struct measure_partitions *p, uint32_t number)
{
    return &p->rows[(number - 1) * chunk_words(p->layout)];
}

/* Makes 'n' empty partitions that take 'max_rows' rows of 'layout' in all.
 * Returns false if there is no memory; they may be destroyed then. */
bool
measure_partitions_init(struct measure_partitions *p,
                        enum measure_layout layout, uint64_t max_rows,
                        uint32_t n, struct measure_budget *budget)
{
    memset(p, 0, sizeof *p);
    p->layout = layout;
    p->n = n;
    p->partitions = measure_xzalloc(n * sizeof *p->partitions);
    if (!max_rows) {
        return true;
    }
    p->n_chunks = n_chunks(max_rows, n);
    p->next = measure_xzalloc(p->n_chunks * sizeof *p->next);
    p->size = p->n_chunks * chunk_words(layout) * sizeof *p->rows;
    p->rows = measure_memory_take(budget, &p->size, SIZE_MAX, false);
    return p->rows != NULL;
}

void
measure_partitions_destroy(struct measure_partitions *p,
                           struct measure_budget *budget)
{
    measure_memory_give(budget, p->rows, p->size, false);
    free(p->next);
    free(p->partitions);
}

void
measure_partitions_begin_chunk(struct measure_partitions *p,
                               struct measure_partition *partition)
{
    uint32_t chunk = ++p->n_used;

    assert(chunk <= p->n_chunks);
    if (partition->last) {
        p->next[partition->last - 1] = chunk;
    } else {
        partition->first = chunk;
    }
    partition->last = chunk;
    partition->n_chunks++;
    partition->next_row = chunk_rows(p, chunk);
    partition->room = MEASURE_CHUNK_ROWS;
}

/* Returns the number of rows in the 'i'th partition. */
uint64_t
measure_partition_n_rows(const struct measure_partitions *p, uint32_t i)
{
    const struct measure_partition *partition = &p->partitions[i];

    return ((uint64_t) partition->n_chunks * MEASURE_CHUNK_ROWS
            - partition->room);
}

/* Moves 'chunk' to the next one of the 'i'th partition.  Returns false if
 * there is none. */
bool
measure_partition_next_chunk(const struct measure_partitions *p, uint32_t i,
                             struct measure_chunk *chunk)
{
    const struct measure_partition *partition = &p->partitions[i];
    uint32_t next;

    chunk->number = (chunk->number ? p->next[chunk->number - 1]
                     : partition->first);
    if (!chunk->number) {
        return false;
    }
    chunk->rows = chunk_rows(p, chunk->number);
    chunk->n = (chunk->number == partition->last
                ? MEASURE_CHUNK_ROWS - partition->room : MEASURE_CHUNK_ROWS);

    /* The processor does not guess where the next one is. */
    next = p->next[chunk->number - 1];
    if (next) {
        const uint64_t *rows = chunk_rows(p, next);

        for (size_t j = 0; j < chunk_words(p->layout);
             j += MEASURE_LINE_SIZE / sizeof *rows) {
            __builtin_prefetch(&rows[j]);
        }
    }
    return true;
}
