/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of slots, with one writer and several cursors. */

#ifndef MEASURE_RING_H
#define MEASURE_RING_H 1

#include "stream/measure-slot.h"

/* Rings
 * =====
 *
 * A ring hands slots (measure-slot.h) from one thread to others, in their
 * order and without a lock.  It is a single-producer queue as Lamport
 * described it (1977), with three additions: the writer publishes a burst with
 * one release store; either side keeps what it has last seen of the other's
 * index, and looks again only when that does not suffice (as in FastForward
 * and B-Queue); and there may be several cursors, each the place of a reader,
 * so that several read the same slots without a copy:
 *
 *     slots     ....|3|4|5|6|7|8|9|....
 *                    ^   ^         ^
 *                    |   |         head: published up to here
 *                    |   cursor of one reader
 *                    cursor of another: the writer must not overtake it
 *
 * A cursor may be behind another one: then it reads only what that one has
 * released, as one stage behind another.
 *
 * Memory.  A ring for readers in other processes is two parts of shared
 * memory: what the writer writes, which is mapped read-only by readers (the
 * header, one page, and the slots), and one page with the cursor of the
 * reader.  Readers cannot harm the writer: neither part can be made smaller,
 * and a cursor that cannot be right (in front of the head, or behind where it
 * was) is taken as one that has not moved, and counted.
 *
 *     memory = n_slots * 32 + 4096 bytes, and a page for each cursor
 *
 * Slots begin to count at 0 and never wrap: slot i is at i % n_slots.  Records
 * do not reach over the end of the ring; what is left there is filled.
 *
 * A ring that is full takes nothing.  What that means is the writer's affair:
 * the switch counts the record as dropped, a stage waits.
 *
 * Thread safety: functions with a writer belong to one thread, those with a
 * reader to one thread for each reader.  The packet path uses the inline
 * functions of the writer: they do not allocate, lock, wait, log or make
 * system calls.  Everything else is for when neither side uses the ring. */

#define MEASURE_RING_MAGIC UINT64_C(0x676e69722d73766f)     /* "ovs-ring" */
#define MEASURE_RING_VERSION 1
#define MEASURE_RING_HEADER_SIZE 4096
#define MEASURE_RING_MIN_SLOTS 64
#define MEASURE_RING_MAX_SLOTS (UINT64_C(1) << 26)
#define MEASURE_RING_MAX_CURSORS 16
#define MEASURE_RING_LINE 64

/* Slots that either side fetches ahead of where it is.  Lines come from the
 * other side's cache, which takes as long as to write and read many slots.
 * See doc/notes/rings.md. */
#define MEASURE_RING_AHEAD 32

/* The first page of a ring. */
struct measure_ring_header {
    uint64_t magic;
    uint32_t version;
    uint32_t slot_size;
    uint64_t n_slots;           /* A power of 2. */
    uint32_t core_id;           /* Of the thread that writes. */
    int32_t numa_id;            /* Of its memory, or negative. */
    uint8_t unused1[32];

    uint64_t head;              /* Slots published.  Atomic. */
    uint8_t unused2[56];

    /* Of a ring of the switch, exact when it has ended and when an epoch has
     * been closed (doc/stream-protocol.md says how to read them), until then
     * some 100 ms old.  Atomic. */
    uint64_t offered;
    uint64_t filtered;
    uint64_t dropped;
    uint64_t records;
    uint64_t marks_lost;
    uint64_t bad_cursors;       /* Times that a cursor could not be right. */
    uint64_t ended;             /* Not 0: nothing follows. */
    uint8_t unused3[8];

    /* Of a ring of the switch.  Atomic. */
    uint64_t closed_epoch;      /* All of it, and of those before, has been
                                 * published.  0 before the first... */
    uint64_t epoch;             /* ...and before the last packet, whose epoch
                                 * this is. */
    uint8_t unused4[48];
};

static_assert(offsetof(struct measure_ring_header, head) == 64
              && offsetof(struct measure_ring_header, offered) == 128
              && offsetof(struct measure_ring_header, closed_epoch) == 192
              && sizeof(struct measure_ring_header) == 256,
              "what is read often has a cache line of its own");

/* A page of shared memory, or a cache line. */
struct measure_cursor {
    uint64_t tail;              /* Slots released by the reader.  Atomic. */
    uint8_t unused[56];
};

static_assert(sizeof(struct measure_cursor) == 64, "a cache line");

struct measure_ring_writer {
    struct measure_slot *slots;
    uint64_t mask;              /* n_slots - 1. */
    uint64_t head;              /* Slots written. */
    uint64_t limit;             /* Up to where there was room at least. */
    struct measure_ring_header *header;
    size_t n_cursors;
    struct {
        const struct measure_cursor *cursor;
        uint64_t tail;          /* Where it has last been. */
    } cursors[MEASURE_RING_MAX_CURSORS];
};

struct measure_ring_reader {
    const struct measure_slot *slots;
    uint64_t mask;
    uint64_t tail;              /* Slots taken. */
    uint64_t seen;              /* Slots known to be published. */
    const uint64_t *published;  /* head, or the tail of another cursor. */
    struct measure_cursor *cursor;
    const struct measure_ring_header *header;
};

/* Fetches the line of 'slot' to write to it.  On x86 __builtin_prefetch() only
 * fetches it to read, unless compiled for a processor that is known to have
 * this instruction: then the other core would have to be asked again. */
static inline void
measure_ring_fetch_to_write(const struct measure_slot *slot)
{
#if defined(__x86_64__)
    __asm__ volatile ("prefetchw %0" : : "m" (*slot));
#else
    __builtin_prefetch(slot, 1);
#endif
}

/* The writer. */

bool measure_ring_look(struct measure_ring_writer *, uint64_t needed);

/* Slots from the next one to the end of the ring. */
static inline uint64_t
measure_ring_left(const struct measure_ring_writer *w)
{
    return w->mask + 1 - (w->head & w->mask);
}

/* Returns room for 'n' neighbouring slots behind those already written, or
 * NULL if there is none.  'spare' slots more must be there, which the caller
 * keeps for later. */
static inline struct measure_slot *
measure_ring_reserve(struct measure_ring_writer *w, unsigned int n,
                     unsigned int spare)
{
    uint64_t left = measure_ring_left(w);
    uint64_t fill = n > left ? left : 0;

    if (__builtin_expect(w->head + fill + n + spare > w->limit, 0)
        && !measure_ring_look(w, fill + n + spare)) {
        return NULL;
    }
    if (__builtin_expect(fill != 0, 0)) {
        for (uint64_t i = 0; i < fill; i++) {
            measure_slot_write_fill(&w->slots[w->head++ & w->mask]);
        }
    }
    return &w->slots[w->head & w->mask];
}

/* The first 'n' of the slots that were reserved last have been written. */
static inline void
measure_ring_advance(struct measure_ring_writer *w, unsigned int n)
{
    for (unsigned int i = 0; i < n; i += 2) {
        measure_ring_fetch_to_write(
            &w->slots[(w->head + MEASURE_RING_AHEAD + i) & w->mask]);
    }
    w->head += n;
}

/* Lets readers see all that has been written. */
static inline void
measure_ring_publish(struct measure_ring_writer *w)
{
    __atomic_store_n(&w->header->head, w->head, __ATOMIC_RELEASE);
}

/* A reader. */

/* Fetches slots from number 'from' to before 'to', as far as they are known to
 * be published: what is not is best left to the writer. */
static inline void
measure_ring_fetch(const struct measure_ring_reader *r, uint64_t from,
                   uint64_t to)
{
    to = measure_min(to, r->seen);
    for (uint64_t i = from; i < to; i += 2) {
        __builtin_prefetch(&r->slots[i & r->mask]);
    }
}

/* Returns how many slots there are to read from '*first' on that are
 * neighbours.  They stay as they are until measure_ring_release(). */
static inline uint64_t
measure_ring_peek(struct measure_ring_reader *r,
                  const struct measure_slot **first)
{
    uint64_t left = r->mask + 1 - (r->tail & r->mask);

    *first = &r->slots[r->tail & r->mask];
    if (r->seen == r->tail) {
        r->seen = __atomic_load_n(r->published, __ATOMIC_ACQUIRE);
        if (__builtin_expect(r->seen - r->tail > r->mask + 1, 0)) {
            /* A writer that has lost its mind. */
            r->seen = r->tail;
        }
        measure_ring_fetch(r, r->tail, r->tail + 2 * MEASURE_RING_AHEAD);
    }
    return measure_min(r->seen - r->tail, left);
}

/* The next 'n' slots have been read, but their memory is still in use. */
static inline void
measure_ring_take(struct measure_ring_reader *r, uint64_t n)
{
    uint64_t fetched = r->tail + 2 * MEASURE_RING_AHEAD;

    r->tail += n;
    measure_ring_fetch(r, measure_max(fetched, r->tail),
                       r->tail + 2 * MEASURE_RING_AHEAD);
}

/* Lets the writer reuse all slots that were taken. */
static inline void
measure_ring_release(struct measure_ring_reader *r)
{
    __atomic_store_n(&r->cursor->tail, r->tail, __ATOMIC_RELEASE);
}

/* Making rings. */

size_t measure_ring_size(uint64_t n_slots);
void measure_ring_header_init(struct measure_ring_header *, uint64_t n_slots,
                              uint32_t core_id, int32_t numa_id);
void measure_ring_writer_init(struct measure_ring_writer *, void *memory);
bool measure_ring_add_cursor(struct measure_ring_writer *,
                             struct measure_cursor *);
char *measure_ring_check(const void *memory, size_t size);
void measure_ring_reader_init(struct measure_ring_reader *, const void *memory,
                              struct measure_cursor *,
                              const struct measure_cursor *behind);

#endif /* measure-ring.h */
