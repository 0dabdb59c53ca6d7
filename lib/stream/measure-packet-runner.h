/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of a pipeline that reads packets. */

#ifndef MEASURE_PACKET_RUNNER_H
#define MEASURE_PACKET_RUNNER_H 1

#include <pthread.h>

#include "base/measure-hash.h"
#include "stream/measure-chain.h"
#include "stream/measure-place.h"

/* Packet runners
 * ==============
 *
 * Each runs a chain, or what one replica has of it, in a thread of its own.
 * It takes turns at its places in the sources: makes a list of up to
 * MEASURE_BATCH records that lie next to each other, keeps those of its own
 * replica, has each stage look at the list, and releases them.
 *
 * A thread that has caught up with its sources (each has less slots than it
 * releases together) rests for 50 us.  Close behind a writer it would read the
 * lines that are being written, which costs either side several times what a
 * record does otherwise; the processor prefetches them even if it does not.
 * With the slack of the kernel's timers that is up to 110 us, in which 15
 * million packets a second fill 8200 slots at most: a thread does not rest if
 * it has a smaller ring than MEASURE_RUNNER_REST_SLOTS whose writer does not
 * wait.
 *
 * Intervals begin at multiples of their length since 1970.  A packet behind
 * the end of the current one is left where it is, and its source held, until
 * the interval may end: when no other source has packets before that end.  A
 * packet that is late by up to an interval, and at least a second, counts in
 * the current one; one that is earlier than that ends it and begins its own.
 * Thus one packet with a time in the far future does no harm.
 *
 * Others are not waited for if the writer of the held ring waits for room in
 * it, and in live pipelines if the packet is in the future by more than a
 * second.
 *
 * With replicas, each ends its interval by a row in its ring, if there was a
 * packet for any replica, and publishes in 'reached' how far it is.
 *
 * Thread safety: made and destroyed by the owner; everything else belongs to
 * the thread, and 'reached' is atomic. */

#define MEASURE_RUNNER_REST_SLOTS 16384

struct measure_packet_runner {
    struct measure_sources *sources;
    const struct measure_chain *chain;
    unsigned int replica;
    size_t number;              /* Of its places. */
    const struct measure_hash_secret *secret;
    pthread_t thread;

    struct measure_stage **stages;
    size_t n_stages;
    struct measure_stage *last; /* That writes to a ring of rows, or NULL. */
    const struct measure_port_names *ports;     /* Atomic.  In use. */

    struct measure_place **places;
    size_t n_places;
    uint64_t version;           /* Of the list of sources. */
    bool may_rest;              /* No ring of them is too small. */
    bool behind;                /* After its last turn, in a source. */

    /* The interval.  Without intervals, the times of packets. */
    uint64_t every_ns;          /* 0 for none. */
    uint64_t late_ns;
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t n_counted;         /* Packets in it. */

    struct measure_batch batch;

    uint8_t unused[MEASURE_RING_LINE];
    uint64_t reached;           /* Atomic.  All that it gives from now on is
                                 * of intervals that end behind this. */
};

void measure_packet_runner_init(struct measure_packet_runner *,
                                struct measure_sources *,
                                const struct measure_chain *,
                                unsigned int replica, size_t number,
                                const struct measure_hash_secret *);
void *measure_packet_runner_main(void *);
void measure_packet_runner_destroy(struct measure_packet_runner *);

#endif /* measure-packet-runner.h */
