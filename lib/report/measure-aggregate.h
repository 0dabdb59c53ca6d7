/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up rows by their group. */

#ifndef MEASURE_AGGREGATE_H
#define MEASURE_AGGREGATE_H 1

#include "structures/measure-table.h"

/* Adding up rows
 * ==============
 *
 * Groups are rows of different keys, without gaps, in the order in which the
 * keys came, and an index of them: a hash table, with linear probing, of eight
 * bytes a slot, that has for each row its number and half of its hash.
 *
 * For some thousand rows, one part of a report or one partition
 * (measure-partition.h), the index is in the cache of the processor, and fast
 * to clear.  A row is looked at only if its key most probably is the right
 * one, so that different keys are but written one after the other.  In a
 * linear table (measure-table.h) each would be written to, and then gathered
 * from, another place.
 *
 * Rows are added from where they are; or, if their keys must first be made,
 * they are put behind the groups, at measure_aggregate_tail(), and
 * measure_aggregate_take() then adds them up there.
 *
 * The index is made for as many rows as measure_aggregate_begin() is told, and
 * grows if there are more groups.
 *
 * Memory: 32 bytes for a group of IPv4 and 64 for one of IPv6, and 16 to 32
 * for each row that was expected, or for each group if these are more, of
 * spare blocks (measure-memory.h).
 *
 * Thread safety: none. */

#define MEASURE_AGGREGATE_BATCH 64

struct measure_aggregate_slot {
    uint32_t tag;               /* Of the hash. */
    uint32_t number;            /* Of the row, from 1; 0 is none. */
};

struct measure_aggregate {
    enum measure_layout layout;
    uint32_t n;                 /* Rows. */
    uint32_t first;             /* Of those in the index. */
    const uint64_t *flow;       /* Mask of what is hashed, or NULL for all. */
    bool lasting;               /* Not just for one question. */
    uint64_t *rows;
    size_t size;                /* Bytes at 'rows'. */
    struct measure_aggregate_slot *slots;
    size_t slots_size;          /* Bytes at 'slots'. */
    uint32_t n_slots;           /* In use, a power of 2. */
    const struct measure_hash_secret *secret;
    struct measure_budget *budget;
};

/* What a row adds to its group. */
enum measure_aggregate_value {
    MEASURE_AGGREGATE_SUM,      /* Its packets and its bytes. */
    MEASURE_AGGREGATE_COUNT,    /* 1, and its packets in place of bytes. */
};

void measure_aggregate_init(struct measure_aggregate *, enum measure_layout,
                            const struct measure_hash_secret *,
                            struct measure_budget *);
void measure_aggregate_destroy(struct measure_aggregate *);
bool measure_aggregate_begin(struct measure_aggregate *, uint64_t n_rows);
bool measure_aggregate_reserve(struct measure_aggregate *, uint64_t n_more);
void measure_aggregate_fit(struct measure_aggregate *);
bool measure_aggregate_take(struct measure_aggregate *, size_t n);
bool measure_aggregate_add(struct measure_aggregate *, const uint64_t *rows,
                           size_t n);
bool measure_aggregate_add_flows(struct measure_aggregate *,
                                 const uint64_t *rows, size_t n, bool *differ);
bool measure_aggregate_add_masked(struct measure_aggregate *,
                                  const uint64_t *rows,
                                  size_t n, const uint64_t *mask,
                                  enum measure_aggregate_value);
uint64_t *measure_aggregate_find(const struct measure_aggregate *,
                                 const uint64_t *key);
void measure_aggregate_view(struct measure_aggregate *,
                            struct measure_table *);

/* Where the next rows are to be put. */
static inline uint64_t *
measure_aggregate_tail(const struct measure_aggregate *aggregate)
{
    return &aggregate->rows[aggregate->n
                            * measure_row_words(aggregate->layout)];
}

#endif /* measure-aggregate.h */
