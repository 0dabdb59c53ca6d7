/* SPDX-License-Identifier: Apache-2.0 */
/* Writes records of packets to the rings of readers. */

#include <config.h>

#include "measure-stream-producer.h"

#include "ovs-atomic.h"
#include "util.h"

/* Times that fall by less than this do so because the clock was read anew. */
#define MAX_STEP_NS 1000000

static OVSRCU_TYPE(struct measure_stream_clock *) the_clock
    = OVSRCU_INITIALIZER(NULL);

/* A full ring is left alone for some bursts, if they come as fast as that:
 * else looking costs little, and records would be lost for nothing. */
#define MAX_GAP_NS 20000
#define MAX_BACKOFF 32

static inline void
set_counter(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* Writes a mark for the epoch of the last burst. */
static void
write_mark(struct measure_producer *p, uint64_t time_ns, bool end)
{
    struct measure_slot *slots = measure_ring_reserve(&p->writer,
                                                      MEASURE_MARK_SLOTS, 0);
    const struct measure_mark mark = {
        .epoch = p->epoch,
        .time_ns = time_ns,
        .offered = p->counts.offered,
        .filtered = p->counts.filtered,
        .dropped = p->counts.dropped,
        .records = p->counts.records,
        .marks_lost = p->counts.marks_lost,
        .end = end,
    };

    if (slots) {
        measure_slot_write_mark(slots, &mark);
        measure_ring_advance(&p->writer, MEASURE_MARK_SLOTS);
    } else {
        set_counter(&p->counts.marks_lost, p->counts.marks_lost + 1);
    }
}

/* Writes 'burst' to the ring of 'w' as far as there is room, record by record,
 * each followed by the first bytes of its frame if 'headers'.  Returns how
 * many records found room. */
static unsigned int __attribute__((noinline))
write_records(struct measure_ring_writer *w,
              const struct measure_stream_burst *burst, bool headers)
{
    const struct measure_slot *from = burst->slots;
    unsigned int i;

    for (i = 0; i < burst->n_records; i++) {
        unsigned int n = measure_slot_size(from);
        struct measure_slot *slots = measure_ring_reserve(
            w, measure_slot_count(measure_slot_layout(from), headers),
            MEASURE_STREAM_SPARE);

        if (!slots) {
            break;
        }
        memcpy(slots, from, n * sizeof *slots);
        measure_ring_advance(w, (headers
                                 ? measure_slot_write_headers(
                                     slots, n, burst->frames[i],
                                     measure_slot_length(from))
                                 : n));
        from += n;
    }
    return i;
}

/* The same, all at once where that can be done. */
static inline unsigned int
write_burst(struct measure_ring_writer *w,
            const struct measure_stream_burst *burst, bool headers)
{
    if (OVS_LIKELY(!headers && burst->n_slots <= measure_ring_left(w))) {
        struct measure_slot *slots = measure_ring_reserve(
            w, burst->n_slots, MEASURE_STREAM_SPARE);

        if (OVS_LIKELY(slots)) {
            for (unsigned int i = 0; i < burst->n_slots; i++) {
                slots[i] = burst->slots[i];
            }
            measure_ring_advance(w, burst->n_slots);
            return burst->n_records;
        }
    }
    return write_records(w, burst, headers);
}

/* Writes 'burst', of 'epoch', to the ring of 'p'. */
static inline void
produce(struct measure_producer *p, uint64_t epoch, bool headers,
        const struct measure_stream_burst *burst)
{
    bool fast = burst->time_ns - p->time_ns < MAX_GAP_NS;
    uint64_t head = p->writer.head;
    unsigned int n = 0;

    p->time_ns = burst->time_ns;
    if (OVS_UNLIKELY(p->epoch != epoch)) {
        if (p->epoch) {
            write_mark(p, burst->time_ns, false);
        }
        p->epoch = epoch;
        set_counter(&p->writer.header->epoch, epoch);
    }

    if (OVS_UNLIKELY(p->pause && fast)) {
        p->pause--;
    } else if (burst->n_records) {
        n = write_burst(&p->writer, burst, headers && p->wants_headers);
        if (OVS_LIKELY(n == burst->n_records)) {
            p->backoff = p->pause = 0;
        } else {
            p->backoff = (!n && p->backoff
                          ? MIN(2 * p->backoff, MAX_BACKOFF)
                          : 2);
            p->pause = p->backoff;
        }
    }
    if (OVS_LIKELY(p->writer.head != head)) {
        measure_ring_publish(&p->writer);
    }

    set_counter(&p->counts.filtered, (p->counts.filtered + burst->n_offered
                                      - burst->n_records));
    set_counter(&p->counts.dropped, p->counts.dropped + burst->n_records - n);
    set_counter(&p->counts.records, p->counts.records + n);
    __atomic_store_n(&p->counts.offered, p->counts.offered + burst->n_offered,
                     __ATOMIC_RELEASE);
}

static inline uint64_t
time_of(uint64_t counter)
{
    const struct measure_stream_clock *clock
        = ovsrcu_get(struct measure_stream_clock *, &the_clock);

    return (clock->ns
            + (int64_t) ((int64_t) (counter - clock->counter)
                         * clock->ns_per_count));
}

/* Returns the time for records of packets that have come when the processor's
 * counter was 'counter'. */
uint64_t
measure_stream_time_ns(const struct measure_stream *stream, uint64_t counter)
{
    uint64_t time_ns = time_of(counter);

    for (size_t i = 0; i < stream->n; i++) {
        uint64_t last_ns = stream->producers[i]->time_ns;

        if (OVS_UNLIKELY(time_ns < last_ns)
            && last_ns - time_ns < MAX_STEP_NS) {
            time_ns = last_ns;
        }
    }
    return time_ns;
}

/* Streams 'burst', whose packets a tally of 'epoch' counts. */
void
measure_stream_write(const struct measure_stream *stream, uint64_t epoch,
                     const struct measure_stream_burst *burst)
{
    if (OVS_UNLIKELY(!burst->n_offered)) {
        return;
    }
    for (size_t i = 0; i < stream->n; i++) {
        produce(stream->producers[i], epoch, stream->headers, burst);
    }
}

/* Says what time it is: before the first packet is streamed, and often enough
 * that the clock of the machine does not run away. */
void
measure_stream_clock_set(const struct measure_stream_clock *clock)
{
    struct measure_stream_clock *old
        = ovsrcu_get_protected(struct measure_stream_clock *, &the_clock);

    ovsrcu_set(&the_clock, xmemdup(clock, sizeof *clock));
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

/* Begins to write to 'ring', which measure_ring_header_init() has begun. */
void
measure_producer_init(struct measure_producer *p, void *ring,
                      struct measure_cursor *cursor, bool wants_headers)
{
    *p = (struct measure_producer) { .wants_headers = wants_headers };
    measure_ring_writer_init(&p->writer, ring);
    measure_ring_add_cursor(&p->writer, cursor);
}

static uint64_t
get_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Returns in 'counts' what has become of packets until now.  The packet thread
 * may be in a burst: then they add up to a few more than 'offered'. */
void
measure_producer_get(const struct measure_producer *p,
                     struct measure_producer_counts *counts)
{
    counts->offered = __atomic_load_n(&p->counts.offered, __ATOMIC_ACQUIRE);
    counts->filtered = get_counter(&p->counts.filtered);
    counts->dropped = get_counter(&p->counts.dropped);
    counts->records = get_counter(&p->counts.records);
    counts->marks_lost = get_counter(&p->counts.marks_lost);
}

/* Tells the reader in the header of the ring what has become of packets. */
void
measure_producer_tell(struct measure_producer *p)
{
    struct measure_ring_header *header = p->writer.header;
    struct measure_producer_counts counts;

    measure_producer_get(p, &counts);
    set_counter(&header->filtered, counts.filtered);
    set_counter(&header->dropped, counts.dropped);
    set_counter(&header->records, counts.records);
    set_counter(&header->marks_lost, counts.marks_lost);
    __atomic_store_n(&header->offered, counts.offered, __ATOMIC_RELEASE);
}

/* Tells the reader that 'epoch' has been closed, and that a grace period has
 * passed since: all that the packet thread counts in it is in the ring. */
void
measure_producer_close_epoch(struct measure_producer *p, uint64_t epoch)
{
    measure_producer_tell(p);
    __atomic_store_n(&p->writer.header->closed_epoch, epoch,
                     __ATOMIC_RELEASE);
}

/* Writes the last mark of a ring. */
void
measure_producer_end(struct measure_producer *p, uint64_t time_ns)
{
    write_mark(p, MAX(time_ns, p->time_ns), true);
    measure_producer_tell(p);
    measure_ring_publish(&p->writer);
    __atomic_store_n(&p->writer.header->ended, 1, __ATOMIC_RELEASE);
}
