/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of slots, with one writer and several cursors. */

#include <config.h>

#include "stream/measure-ring.h"

#include <inttypes.h>

#include "base/measure-base.h"

/* Looks where the cursors are.  Returns true if there is room for 'needed'
 * more slots.
 *
 * What stands in a cursor may be anything.  Only a place from where it was
 * last to the head can be right. */
bool
measure_ring_look(struct measure_ring_writer *w, uint64_t needed)
{
    uint64_t oldest = w->head;

    for (size_t i = 0; i < w->n_cursors; i++) {
        uint64_t tail = __atomic_load_n(&w->cursors[i].cursor->tail,
                                        __ATOMIC_ACQUIRE);

        if (tail - w->cursors[i].tail <= w->head - w->cursors[i].tail) {
            w->cursors[i].tail = tail;
        } else {
            __atomic_store_n(&w->header->bad_cursors,
                             w->header->bad_cursors + 1, __ATOMIC_RELAXED);
        }
        oldest = measure_min(oldest, w->cursors[i].tail);
    }
    w->limit = oldest + w->mask + 1;
    return w->head + needed <= w->limit;
}

/* Returns how many bytes a ring of 'n_slots' takes, a power of 2 from
 * MEASURE_RING_MIN_SLOTS to MEASURE_RING_MAX_SLOTS, without cursors. */
size_t
measure_ring_size(uint64_t n_slots)
{
    return MEASURE_RING_HEADER_SIZE + n_slots * sizeof(struct measure_slot);
}

/* Begins a ring in memory of measure_ring_size() bytes, which is zero. */
void
measure_ring_header_init(struct measure_ring_header *header, uint64_t n_slots,
                         uint32_t core_id, int32_t numa_id)
{
    header->magic = MEASURE_RING_MAGIC;
    header->version = MEASURE_RING_VERSION;
    header->slot_size = sizeof(struct measure_slot);
    header->n_slots = n_slots;
    header->core_id = core_id;
    header->numa_id = numa_id;
}

void
measure_ring_writer_init(struct measure_ring_writer *w, void *memory)
{
    struct measure_ring_header *header = memory;

    *w = (struct measure_ring_writer) {
        .slots = (struct measure_slot *) ((uint8_t *) memory
                                          + MEASURE_RING_HEADER_SIZE),
        .mask = header->n_slots - 1,
        .limit = header->n_slots,
        .header = header,
    };
}

/* Has the writer mind 'cursor', which begins at what is written next.  Returns
 * false if it has too many. */
bool
measure_ring_add_cursor(struct measure_ring_writer *w,
                        struct measure_cursor *cursor)
{
    if (w->n_cursors >= MEASURE_RING_MAX_CURSORS) {
        return false;
    }
    __atomic_store_n(&cursor->tail, w->head, __ATOMIC_RELEASE);
    w->cursors[w->n_cursors].cursor = cursor;
    w->cursors[w->n_cursors++].tail = w->head;
    return true;
}

/* Returns NULL if 'memory' of 'size' bytes is a ring that we can read, else
 * why not, which the caller frees. */
char *
measure_ring_check(const void *memory, size_t size)
{
    const struct measure_ring_header *header = memory;

    if (size < MEASURE_RING_HEADER_SIZE
        || header->magic != MEASURE_RING_MAGIC) {
        return measure_format("not a ring of ovs-measure");
    }
    if (header->version != MEASURE_RING_VERSION
        || header->slot_size != sizeof(struct measure_slot)) {
        return measure_format("ring of version %"PRIu32" with slots of %"PRIu32
                              " bytes: this program reads version %d with "
                              "slots of %zu bytes", header->version,
                              header->slot_size, MEASURE_RING_VERSION,
                              sizeof(struct measure_slot));
    }
    if (header->n_slots < MEASURE_RING_MIN_SLOTS
        || header->n_slots > MEASURE_RING_MAX_SLOTS
        || header->n_slots & (header->n_slots - 1)
        || size < measure_ring_size(header->n_slots)) {
        return measure_format("ring of %"PRIu64" slots in %zu bytes",
                              header->n_slots, size);
    }
    return NULL;
}

/* Begins to read the ring in 'memory' where 'cursor' is: all that is
 * published, or only what the reader of 'behind' has released unless that is
 * NULL. */
void
measure_ring_reader_init(struct measure_ring_reader *r, const void *memory,
                         struct measure_cursor *cursor,
                         const struct measure_cursor *behind)
{
    const struct measure_ring_header *header = memory;
    uint64_t tail = __atomic_load_n(&cursor->tail, __ATOMIC_ACQUIRE);

    *r = (struct measure_ring_reader) {
        .slots = (const struct measure_slot *) ((const uint8_t *) memory
                                                + MEASURE_RING_HEADER_SIZE),
        .mask = header->n_slots - 1,
        .tail = tail,
        .seen = tail,
        .published = behind ? &behind->tail : &header->head,
        .cursor = cursor,
        .header = header,
    };
}
