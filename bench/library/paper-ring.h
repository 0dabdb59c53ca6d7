/* SPDX-License-Identifier: Apache-2.0 */
/* A ring as "Packet-Level Analytics in Software" describes it. */

#ifndef BENCH_PAPER_RING_H
#define BENCH_PAPER_RING_H 1

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/* The ring of the paper
 * =====================
 *
 * An array and two atomic indexes with the order of memory that they need,
 * which each side looks at for each record (HotCloud 2018, section 5).  The
 * paper does not say how they lie in memory; here each has a cache line of its
 * own.
 *
 * Memory: BENCH_RING_RECORDS records, and two cache lines.
 *
 * Thread safety: one thread writes and one reads. */

struct paper_ring {
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
    _Alignas(64) uint8_t records[];
};

/* Returns the bytes of a ring for records of 'bytes'. */
static inline size_t
paper_ring_size(size_t bytes)
{
    return sizeof(struct paper_ring) + BENCH_RING_RECORDS * bytes;
}

static inline void *
paper_ring_record(struct paper_ring *r, uint64_t i, size_t bytes)
{
    return &r->records[i % BENCH_RING_RECORDS * bytes];
}

/* Returns the place for a record, or NULL if the ring is full. */
static inline void *
paper_ring_reserve(struct paper_ring *r, size_t bytes)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (head - atomic_load_explicit(&r->tail, memory_order_acquire)
        == BENCH_RING_RECORDS) {
        return NULL;
    }
    return paper_ring_record(r, head, bytes);
}

/* Lets the reader see the record that was written to that place. */
static inline void
paper_ring_publish(struct paper_ring *r)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

/* Returns the next record, or NULL if there is none. */
static inline const void *
paper_ring_peek(struct paper_ring *r, size_t bytes)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    if (tail == atomic_load_explicit(&r->head, memory_order_acquire)) {
        return NULL;
    }
    return paper_ring_record(r, tail, bytes);
}

/* Gives the place of that record back. */
static inline void
paper_ring_release(struct paper_ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

#endif /* bench/library/paper-ring.h */
