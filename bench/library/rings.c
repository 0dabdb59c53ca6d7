/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: our ring, and the queues that the paper has tried. */

/* Our ring, and the queues of "Packet-Level Analytics in Software" (HotCloud
 * 2018), section 5: an array with a lock, a lock-free linked list, and a ring
 * of atomic variables.  The fourth, cameron314's queue, is C++ and left out.
 *
 * Each is used as it is meant: where there is room in the queue itself,
 * records are made there and read there. */

#include <config.h>

#include "rings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "paper-ring.h"
#include "ring.h"
#include "stream/measure-ring.h"
#include "support.h"

#define MASK (BENCH_RING_RECORDS - 1)
#define LINE 64

/* An array with a lock, which is taken once for each batch. */

struct mutex_ring {
    pthread_mutex_t mutex;
    uint64_t head;
    uint64_t tail;
    _Alignas(LINE) uint8_t records[];
};

static void *
mutex_create(uint32_t bytes, const char **why_not)
{
    struct mutex_ring *r = bench_memory(sizeof *r
                                        + BENCH_RING_RECORDS * bytes);

    (void) why_not;
    pthread_mutex_init(&r->mutex, NULL);
    return r;
}

static void
mutex_destroy(void *ring, uint32_t bytes)
{
    bench_memory_free(ring, (sizeof(struct mutex_ring)
                             + BENCH_RING_RECORDS * bytes));
}

BENCH_RING_SOME
mutex_write_some(void *ring, uint64_t first, size_t n, size_t bytes)
{
    struct mutex_ring *r = ring;

    pthread_mutex_lock(&r->mutex);
    n = measure_min(n, BENCH_RING_RECORDS - (r->head - r->tail));
    for (size_t i = 0; i < n; i++) {
        bench_ring_make(&r->records[(r->head++ & MASK) * bytes], first + i,
                        bytes);
    }
    pthread_mutex_unlock(&r->mutex);
    return n;
}

BENCH_RING_SOME
mutex_read_some(void *ring, uint64_t first, size_t n, size_t bytes,
                struct bench_ring_sum *sum)
{
    struct mutex_ring *r = ring;

    pthread_mutex_lock(&r->mutex);
    n = measure_min(n, r->head - r->tail);
    for (size_t i = 0; i < n; i++) {
        bench_ring_add(&r->records[(r->tail++ & MASK) * bytes], first + i,
                       bytes, sum);
    }
    pthread_mutex_unlock(&r->mutex);
    return n;
}

BENCH_RING_LOOPS(mutex)

/* A linked list without a lock, with a node for each record.  The first node
 * has been read. */

struct node {
    struct node *_Atomic next;
    uint32_t unused;
    uint64_t record[];
};

struct list_ring {
    _Alignas(LINE) struct node *last;       /* Of the writer. */
    uint64_t n_written;
    uint64_t n_read_seen;
    _Alignas(LINE) struct node *first;      /* Of the reader. */
    _Alignas(LINE) _Atomic uint64_t n_read;
};

static void *
list_create(uint32_t bytes, const char **why_not)
{
    struct list_ring *r = bench_memory(sizeof *r);

    (void) why_not;
    r->first = r->last = measure_xzalloc(sizeof *r->first + bytes);
    return r;
}

static void
list_destroy(void *ring, uint32_t bytes)
{
    struct list_ring *r = ring;

    (void) bytes;
    free(r->first);
    bench_memory_free(r, sizeof *r);
}

BENCH_RING_SOME
list_write_some(void *ring, uint64_t first, size_t n, size_t bytes)
{
    struct list_ring *r = ring;

    /* A list has no end: it is kept from taking all memory. */
    if (r->n_written + n - r->n_read_seen > BENCH_RING_RECORDS) {
        r->n_read_seen = atomic_load_explicit(&r->n_read,
                                              memory_order_relaxed);
        if (r->n_written + n - r->n_read_seen > BENCH_RING_RECORDS) {
            return 0;
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct node *node = measure_check_memory(malloc(sizeof *node + bytes));

        atomic_init(&node->next, NULL);
        bench_ring_make(node->record, first + i, bytes);
        atomic_store_explicit(&r->last->next, node, memory_order_release);
        r->last = node;
    }
    r->n_written += n;
    return n;
}

BENCH_RING_SOME
list_read_some(void *ring, uint64_t first, size_t n, size_t bytes,
               struct bench_ring_sum *sum)
{
    struct list_ring *r = ring;
    size_t i;

    for (i = 0; i < n; i++) {
        struct node *next = atomic_load_explicit(&r->first->next,
                                                 memory_order_acquire);

        if (!next) {
            break;
        }
        bench_ring_add(next->record, first + i, bytes, sum);
        free(r->first);
        r->first = next;
    }
    atomic_store_explicit(&r->n_read, first + i, memory_order_relaxed);
    return i;
}

BENCH_RING_LOOPS(list)

/* The ring of the paper. */

static void *
paper_create(uint32_t bytes, const char **why_not)
{
    (void) why_not;
    return bench_memory(paper_ring_size(bytes));
}

static void
paper_destroy(void *ring, uint32_t bytes)
{
    bench_memory_free(ring, paper_ring_size(bytes));
}

BENCH_RING_SOME
paper_write_some(void *ring, uint64_t first, size_t n, size_t bytes)
{
    void *record;
    size_t i;

    for (i = 0; i < n; i++) {
        record = paper_ring_reserve(ring, bytes);
        if (!record) {
            break;
        }
        bench_ring_make(record, first + i, bytes);
        paper_ring_publish(ring);
    }
    return i;
}

BENCH_RING_SOME
paper_read_some(void *ring, uint64_t first, size_t n, size_t bytes,
                struct bench_ring_sum *sum)
{
    const void *record;
    size_t i;

    for (i = 0; i < n; i++) {
        record = paper_ring_peek(ring, bytes);
        if (!record) {
            break;
        }
        bench_ring_add(record, first + i, bytes, sum);
        paper_ring_release(ring);
    }
    return i;
}

BENCH_RING_LOOPS(paper)

/* Ours.  A record of 32 bytes is a slot and one of 64 bytes is two, as records
 * of packets with narrow and wide keys, each reserved by itself as in the
 * switch.  Of records of 4 bytes, 8 are packed into a slot: as a stage does
 * that hands over small results of a batch.  In batches of 1 each takes a
 * slot for itself. */

struct our_ring {
    struct measure_ring_writer writer;
    _Alignas(LINE) struct measure_ring_reader reader;
    _Alignas(LINE) struct measure_cursor cursor;
    void *memory;
};

static uint64_t
our_slots(uint32_t bytes)
{
    return BENCH_RING_RECORDS * (bytes == 64 ? 2 : 1);
}

static void *
our_create(uint32_t bytes, const char **why_not)
{
    struct our_ring *r = bench_memory(sizeof *r);

    (void) why_not;
    r->memory = bench_memory(measure_ring_size(our_slots(bytes)));
    measure_ring_header_init(r->memory, our_slots(bytes), 0, -1);
    measure_ring_writer_init(&r->writer, r->memory);
    measure_ring_add_cursor(&r->writer, &r->cursor);
    measure_ring_reader_init(&r->reader, r->memory, &r->cursor, NULL);
    return r;
}

static void
our_destroy(void *ring, uint32_t bytes)
{
    struct our_ring *r = ring;

    bench_memory_free(r->memory, measure_ring_size(our_slots(bytes)));
    bench_memory_free(r, sizeof *r);
}

/* Slots that a piece takes, and records in it, if 'n' are in a batch. */
#define OUR_SLOTS(BYTES) ((BYTES) == 64 ? 2 : 1)
#define OUR_RECORDS(BYTES, N) ((BYTES) == 4 && (N) >= 8 ? 8 : 1)

BENCH_RING_SOME
our_write_some(void *ring, uint64_t first, size_t n, size_t bytes)
{
    struct measure_ring_writer *w = &((struct our_ring *) ring)->writer;
    size_t n_records = OUR_RECORDS(bytes, n), i;

    for (i = 0; i + n_records <= n; i += n_records) {
        struct measure_slot *slots = measure_ring_reserve(w, OUR_SLOTS(bytes),
                                                          0);

        if (!slots) {
            break;
        }
        for (size_t j = 0; j < n_records; j++) {
            bench_ring_make((uint8_t *) slots + j * bytes, first + i + j,
                            bytes);
        }
        measure_ring_advance(w, OUR_SLOTS(bytes));
    }
    if (i) {
        measure_ring_publish(w);
    }
    return i;
}

BENCH_RING_SOME
our_read_some(void *ring, uint64_t first, size_t n, size_t bytes,
              struct bench_ring_sum *sum)
{
    struct measure_ring_reader *r = &((struct our_ring *) ring)->reader;
    size_t n_records = OUR_RECORDS(bytes, n);
    const struct measure_slot *slots;
    uint64_t n_slots = measure_min(measure_ring_peek(r, &slots),
                                   n / n_records * OUR_SLOTS(bytes));
    size_t i = 0;

    for (uint64_t k = 0; k < n_slots; k += OUR_SLOTS(bytes)) {
        for (size_t j = 0; j < n_records; j++) {
            bench_ring_add((const uint8_t *) &slots[k] + j * bytes, first + i,
                           bytes, sum);
            i++;
        }
    }
    if (n_slots) {
        measure_ring_take(r, n_slots);
        measure_ring_release(r);
    }
    return i;
}

BENCH_RING_LOOPS(our)

#define RING(FUNCTIONS)                         \
    &(const struct bench_ring) {                \
        .create = FUNCTIONS##_create,           \
        .destroy = FUNCTIONS##_destroy,         \
        .write = FUNCTIONS##_write,             \
        .read = FUNCTIONS##_read,               \
    }

const struct bench_contender bench_ring_mutex = {
    .name = "mutex", .ring = RING(mutex),
};
const struct bench_contender bench_ring_list = {
    .name = "list", .ring = RING(list),
};
const struct bench_contender bench_ring_paper = {
    .name = "paper", .ring = RING(paper),
};
const struct bench_contender bench_ring_ours = {
    .name = "ours", .ring = RING(our),
};
