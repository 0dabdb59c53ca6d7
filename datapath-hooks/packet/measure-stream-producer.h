/* SPDX-License-Identifier: Apache-2.0 */
/* Writes records of packets to the rings of readers. */

#ifndef MEASURE_STREAM_PRODUCER_H
#define MEASURE_STREAM_PRODUCER_H 1

#include "key/measure-filter.h"
#include "ovs-rcu.h"
#include "stream/measure-ring.h"

/* What a packet thread streams
 * ============================
 *
 * Each reader of a bridge has one ring (measure-ring.h) for each packet
 * thread.  A thread finds all its rings in a struct measure_stream, which
 * struct measure_thread points to and which does not change: for another
 * reader or another filter there is a new one, and the old one is freed when
 * the thread cannot be using it any more, like struct measure_ports.
 *
 * A record is made of exactly those packets that the tally of the thread
 * counts.  The filter comes before the rings.  A ring without room for a
 * record takes none of the rest of the burst: these are counted as dropped.
 * Thus for each ring and epoch
 *
 *     packets of the tally = records + filtered + dropped
 *
 * What makes that sure is that packets are streamed with the number of the
 * epoch that their tally was begun for: when it differs from that of the burst
 * before, a mark goes first (struct measure_mark), for which each ring keeps
 * room.  If there is none all the same, because another mark has taken it, the
 * mark is counted as lost; the next one tells the sums all the same.  A thread
 * that has no packet in an epoch writes no mark for it.
 *
 * Time.  All packets of a burst get the same time, that of the processor's
 * counter which the switch uses anyway, without a system call.
 * measure_stream_clock_set() says from time to time what time it is.  It is
 * the time of the machine, even while tests let the switch have another one.
 *
 * Cost for each burst and ring: one release store and five others.  For each
 * record: 32 bytes written, and for a packet that has found an entry of the
 * exact-match cache its key read.
 *
 * Thread safety: measure_stream_write() and measure_stream_prefetch() belong
 * to the packet thread.  They do not allocate, lock, wait, log or make system
 * calls.  All else belongs to one other thread; measure_producer_init() and
 * _end() while no packet thread uses the producer. */

/* Slots that stay free for a mark, and for what must be filled before it. */
#define MEASURE_STREAM_SPARE (MEASURE_MARK_SLOTS + 1)

/* The ring of a reader and a packet thread. */
struct measure_producer {
    struct measure_ring_writer writer;
    uint64_t epoch;             /* Of the last burst; 0 before the first. */
    uint64_t time_ns;           /* Of the last burst. */
    bool wants_headers;

    /* Since the ring began.  The header of the ring says the same. */
    uint64_t offered;
    uint64_t filtered;
    uint64_t dropped;
    uint64_t records;
    uint64_t marks_lost;
};

struct measure_stream {
    bool has_filter;
    bool headers;               /* For those that want them. */
    struct measure_filter filter;
    size_t n;
    struct measure_producer *producers[];
};

/* A packet of a burst. */
struct measure_stream_packet {
    const uint64_t *key;
    uint64_t tcp;               /* See measure_slot_tcp(). */
    const void *frame;
    uint32_t bytes;
    uint8_t verdict;            /* Only packets that count are streamed. */
};

void measure_stream_write(const struct measure_stream *, uint64_t epoch,
                          uint64_t counter,
                          const struct measure_stream_packet *, size_t n);
void measure_stream_prefetch(const struct measure_stream *, size_t n);

/* Not for the packet path. */

/* What 'counter' of the processor, as cycles_counter_update() returns it, was
 * at 'ns' since 1970, and how long it takes for one more. */
struct measure_stream_clock {
    uint64_t counter;
    uint64_t ns;
    double ns_per_count;
};

void measure_stream_clock_set(const struct measure_stream_clock *);

void measure_producer_init(struct measure_producer *, void *ring,
                           struct measure_cursor *, bool wants_headers);
void measure_producer_end(struct measure_producer *, uint64_t time_ns);

#endif /* measure-stream-producer.h */
