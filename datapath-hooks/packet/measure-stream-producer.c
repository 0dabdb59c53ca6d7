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

/* Bits for the packets of a burst. */
BUILD_ASSERT_DECL(MEASURE_BURST <= 32);

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

/* Writes the record of 'packet' to 'slots'.  Returns how many it has. */
static inline unsigned int
write_record(struct measure_slot *slots,
             const struct measure_stream_packet *packet, uint64_t time_ns,
             bool headers)
{
    unsigned int n = measure_slot_write(slots, packet->verdict, packet->key,
                                        time_ns, packet->bytes, packet->tcp);

    return (OVS_UNLIKELY(headers)
            ? measure_slot_write_headers(slots, n, packet->frame,
                                         packet->bytes)
            : n);
}

/* Writes records of the 'wanted' packets, which take 'n_slots'.  Returns those
 * that found no room. */
static inline uint32_t
write_records(struct measure_ring_writer *w,
              const struct measure_stream_packet *packets, uint32_t wanted,
              unsigned int n_slots, uint64_t time_ns, bool headers)
{
    struct measure_slot *slots = NULL;

    /* The usual: all together. */
    if (OVS_LIKELY(n_slots <= w->mask + 1 - (w->head & w->mask))) {
        slots = measure_ring_reserve(w, n_slots, MEASURE_STREAM_SPARE);
    }
    if (OVS_LIKELY(slots)) {
        for (; wanted; wanted &= wanted - 1) {
            slots += write_record(slots, &packets[__builtin_ctz(wanted)],
                                  time_ns, headers);
        }
        measure_ring_advance(w, n_slots);
        return 0;
    }

    /* As far as there is room, and over the end of the ring. */
    for (; wanted; wanted &= wanted - 1) {
        const struct measure_stream_packet *packet
            = &packets[__builtin_ctz(wanted)];

        slots = measure_ring_reserve(
            w, measure_slot_count((enum measure_layout) packet->verdict,
                                  headers), MEASURE_STREAM_SPARE);
        if (!slots) {
            break;
        }
        measure_ring_advance(w, write_record(slots, packet, time_ns,
                                             headers));
    }
    return wanted;
}

/* Streams those of 'packets' that have a bit in 'wanted', of 'n_offered'.
 * Those in 'wide' have wide keys. */
static inline void
produce(struct measure_producer *p, uint64_t epoch, uint64_t time_ns,
        bool headers, const struct measure_stream_packet *packets,
        uint32_t wanted, uint32_t wide, unsigned int n_offered)
{
    unsigned int n_wanted = __builtin_popcount(wanted);
    unsigned int n_slots = n_wanted + __builtin_popcount(wanted & wide);
    uint64_t head = p->writer.head;
    uint32_t left = wanted;
    unsigned int n_dropped;
    bool fast;

    if (OVS_UNLIKELY(time_ns < p->time_ns)
        && p->time_ns - time_ns < MAX_STEP_NS) {
        time_ns = p->time_ns;
    }
    fast = time_ns - p->time_ns < MAX_GAP_NS;
    p->time_ns = time_ns;
    if (OVS_UNLIKELY(p->epoch != epoch)) {
        if (p->epoch) {
            write_mark(p, time_ns, false);
        }
        p->epoch = epoch;
        set_counter(&p->writer.header->epoch, epoch);
    }

    headers &= p->wants_headers;
    if (OVS_UNLIKELY(headers)) {
        n_slots += n_wanted * (MEASURE_SLOT_HEADERS
                               / sizeof(struct measure_slot));
    }
    if (OVS_LIKELY(!p->pause || !fast)) {
        left = write_records(&p->writer, packets, wanted, n_slots, time_ns,
                             headers);
        if (OVS_LIKELY(!left)) {
            p->backoff = p->pause = 0;
        } else {
            p->backoff = (left == wanted && p->backoff
                          ? MIN(2 * p->backoff, MEASURE_STREAM_MAX_BACKOFF)
                          : 2);
            p->pause = p->backoff;
        }
    } else if (wanted) {
        p->pause--;
    }
    if (OVS_LIKELY(p->writer.head != head)) {
        measure_ring_publish(&p->writer);
    }

    n_dropped = __builtin_popcount(left);
    set_counter(&p->counts.filtered,
                p->counts.filtered + n_offered - n_wanted);
    set_counter(&p->counts.dropped, p->counts.dropped + n_dropped);
    set_counter(&p->counts.records, p->counts.records + n_wanted - n_dropped);
    __atomic_store_n(&p->counts.offered, p->counts.offered + n_offered,
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

/* Streams 'packets', up to MEASURE_BURST, which a tally of 'epoch' counts,
 * except those that do not count.  They have come when the processor's counter
 * was 'counter'. */
void
measure_stream_write(const struct measure_stream *stream, uint64_t epoch,
                     uint64_t counter,
                     const struct measure_stream_packet *packets, size_t n)
{
    uint64_t time_ns = time_of(counter);
    uint32_t offered = 0;
    uint32_t wide = 0;
    uint32_t wanted;

    for (size_t i = 0; i < n; i++) {
        offered |= (uint32_t) (packets[i].verdict < MEASURE_N_LAYOUTS) << i;
        wide |= (uint32_t) (packets[i].verdict == MEASURE_COUNT_WIDE) << i;
    }
    if (!offered) {
        return;
    }
    wanted = offered;
    if (stream->filter) {
        for (uint32_t left = offered; left; left &= left - 1) {
            const struct measure_stream_packet *packet
                = &packets[__builtin_ctz(left)];

            if (!measure_filter_matches(stream->filter,
                                        (enum measure_layout) packet->verdict,
                                        packet->key)) {
                wanted &= ~(left & -left);
            }
        }
    }
    for (size_t i = 0; i < stream->n; i++) {
        produce(stream->producers[i], epoch, time_ns, stream->headers,
                packets, wanted, wide, __builtin_popcount(offered));
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
