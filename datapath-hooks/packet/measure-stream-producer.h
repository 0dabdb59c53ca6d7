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
 * So are those of the next 2 bursts, and of 4, 8, 16 and 32 if there is still
 * no room for a single record, while they follow fast: a reader that has
 * stopped costs little.  Thus for each ring and epoch
 *
 *     packets of the tally = records + filtered + dropped
 *
 * What makes that sure is that packets are streamed with the number of the
 * epoch that their tally was begun for: when it differs from that of the burst
 * before, a mark goes first (struct measure_mark), for which each ring keeps
 * room.  If there is none all the same, because another mark has taken it, the
 * mark is counted as lost; the next one tells the sums all the same.  A thread
 * that has no packet in an epoch writes no mark for it: that there was none is
 * seen in the header of the ring, by the number of the epoch that has been
 * closed, which measure_producer_close_epoch() tells when all threads are
 * known to be done with it, and by that of the last packet.
 *
 * A mark tells the sums exactly.  What the header of a ring says is for people
 * to look at: another thread copies it there (measure_producer_tell()), at
 * least ten times a second while there are readers, and when the ring ends.
 *
 * Time.  All packets of a burst get the same time, which the switch has read
 * from the processor's counter right before it received them.
 * (Packets that come out of a tunnel in the main thread, which has received
 * nothing, get the time of its last look at the counter.)
 * measure_stream_clock_set() says from time to time what time it is.  It is
 * the time of the machine, even while tests let the switch have another one.
 *
 * Cost for each burst and ring: two cache lines of the thread itself, and a
 * release store.  For each record: 32 bytes put together on the stack, and
 * copied to each ring.
 *
 * Thread safety: functions with a burst belong to the packet thread.  They do
 * not allocate, lock, wait, log or make system calls.  All else belongs to one
 * other thread at a time; measure_producer_init() and _end() while no packet
 * thread uses the producer. */

/* Slots that stay free for a mark, and for what must be filled before it. */
#define MEASURE_STREAM_SPARE (MEASURE_MARK_SLOTS + 1)

/* What became of the packets of a ring since it began.  Only the packet thread
 * writes; others see a sum of all that is at least 'offered' if they read that
 * first. */
struct measure_producer_counts {
    uint64_t offered;
    uint64_t filtered;
    uint64_t dropped;
    uint64_t records;
    uint64_t marks_lost;
};

/* The ring of a reader and a packet thread. */
struct measure_producer {
    struct measure_producer_counts counts;
    uint64_t epoch;             /* Of the last burst; 0 before the first. */
    uint64_t time_ns;           /* Of the last burst. */
    bool wants_headers;
    uint8_t backoff;            /* Bursts that it did not look for room... */
    uint8_t pause;              /* ...and still will not. */
    struct measure_ring_writer writer;
};

BUILD_ASSERT_DECL(offsetof(struct measure_producer, writer)
                  == MEASURE_RING_LINE);

struct measure_stream {
    size_t n;
    const struct measure_filter *filter;    /* Behind the producers; NULL. */
    bool headers;               /* For those that want them. */
    struct measure_producer *producers[];
};

/* Packets that are received together, and their records as they will stand in
 * rings, without headers. */
struct measure_stream_burst {
    uint64_t time_ns;
    unsigned int n_offered;     /* Packets that count. */
    unsigned int n_records;     /* Of those, let in by the filter. */
    unsigned int n_slots;
    struct measure_slot slots[2 * MEASURE_BURST];
    const void *frames[MEASURE_BURST];  /* Of the records. */
};

uint64_t measure_stream_time_ns(const struct measure_stream *,
                                uint64_t counter);
void measure_stream_write(const struct measure_stream *, uint64_t epoch,
                          const struct measure_stream_burst *);

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
void measure_producer_get(const struct measure_producer *,
                          struct measure_producer_counts *);
void measure_producer_tell(struct measure_producer *);
void measure_producer_close_epoch(struct measure_producer *, uint64_t epoch);
void measure_producer_end(struct measure_producer *, uint64_t time_ns);

#endif /* measure-stream-producer.h */
