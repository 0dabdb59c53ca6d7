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

/* Bits for the packets of a burst. */
BUILD_ASSERT_DECL(MEASURE_BURST <= 32);

static inline void
set_counter(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* Lets the reader see what has been written, and what has become of the
 * rest. */
static inline void
publish(struct measure_producer *p)
{
    struct measure_ring_header *header = p->writer.header;

    set_counter(&header->offered, p->offered);
    set_counter(&header->filtered, p->filtered);
    set_counter(&header->dropped, p->dropped);
    set_counter(&header->records, p->records);
    measure_ring_publish(&p->writer);
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
        .offered = p->offered,
        .filtered = p->filtered,
        .dropped = p->dropped,
        .records = p->records,
        .marks_lost = p->marks_lost,
        .end = end,
    };

    if (slots) {
        measure_slot_write_mark(slots, &mark);
        measure_ring_advance(&p->writer, MEASURE_MARK_SLOTS);
    } else {
        set_counter(&p->writer.header->marks_lost, ++p->marks_lost);
    }
}

/* Streams those of 'packets' that have a bit in 'wanted', of 'n_offered'. */
static inline void
produce(struct measure_producer *p, uint64_t epoch, uint64_t time_ns,
        bool headers, const struct measure_stream_packet *packets,
        uint32_t wanted, unsigned int n_offered)
{
    unsigned int n_wanted = __builtin_popcount(wanted);
    unsigned int n_dropped;

    if (OVS_UNLIKELY(time_ns < p->time_ns)
        && p->time_ns - time_ns < MAX_STEP_NS) {
        time_ns = p->time_ns;
    }
    p->time_ns = time_ns;
    if (OVS_UNLIKELY(p->epoch != epoch)) {
        if (p->epoch) {
            write_mark(p, time_ns, false);
        }
        p->epoch = epoch;
    }

    headers &= p->wants_headers;
    for (; wanted; wanted &= wanted - 1) {
        const struct measure_stream_packet *packet
            = &packets[__builtin_ctz(wanted)];
        enum measure_layout layout = packet->verdict;
        struct measure_slot *slots;
        unsigned int n;

        slots = measure_ring_reserve(&p->writer,
                                     measure_slot_count(layout, headers),
                                     MEASURE_STREAM_SPARE);
        if (OVS_UNLIKELY(!slots)) {
            break;
        }
        n = measure_slot_write(slots, layout, packet->key, time_ns,
                               packet->bytes, packet->tcp);
        if (OVS_UNLIKELY(headers)) {
            n = measure_slot_write_headers(slots, n, packet->frame,
                                           packet->bytes);
        }
        measure_ring_advance(&p->writer, n);
    }

    n_dropped = __builtin_popcount(wanted);
    p->offered += n_offered;
    p->filtered += n_offered - n_wanted;
    p->dropped += n_dropped;
    p->records += n_wanted - n_dropped;
    publish(p);
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
    uint32_t wanted;

    for (size_t i = 0; i < n; i++) {
        offered |= (uint32_t) (packets[i].verdict < MEASURE_N_LAYOUTS) << i;
    }
    if (!offered) {
        return;
    }
    wanted = offered;
    if (stream->has_filter) {
        for (uint32_t left = offered; left; left &= left - 1) {
            const struct measure_stream_packet *packet
                = &packets[__builtin_ctz(left)];

            if (!measure_filter_matches(&stream->filter,
                                        (enum measure_layout) packet->verdict,
                                        packet->key)) {
                wanted &= ~(left & -left);
            }
        }
    }
    for (size_t i = 0; i < stream->n; i++) {
        produce(stream->producers[i], epoch, time_ns, stream->headers,
                packets, wanted, __builtin_popcount(offered));
    }
}

/* Prefetches where the records of 'n' packets will be written.  The reader's
 * core has these lines. */
void
measure_stream_prefetch(const struct measure_stream *stream, size_t n)
{
    for (size_t i = 0; i < stream->n; i++) {
        const struct measure_ring_writer *w = &stream->producers[i]->writer;

        for (size_t j = 0; j < n; j += 2) {
            __builtin_prefetch(&w->slots[(w->head + j) & w->mask], 1);
        }
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
    memset(p, 0, sizeof *p);
    measure_ring_writer_init(&p->writer, ring);
    measure_ring_add_cursor(&p->writer, cursor);
    p->wants_headers = wants_headers;
}

/* Writes the last mark of a ring. */
void
measure_producer_end(struct measure_producer *p, uint64_t time_ns)
{
    write_mark(p, MAX(time_ns, p->time_ns), true);
    publish(p);
    __atomic_store_n(&p->writer.header->ended, 1, __ATOMIC_RELEASE);
}
