/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of a pipeline that reads the rows of replicas. */

#ifndef MEASURE_ROW_RUNNER_H
#define MEASURE_ROW_RUNNER_H 1

#include <pthread.h>

#include "stream/measure-chain.h"
#include "stream/measure-place.h"

/* Row runners
 * ===========
 *
 * Runs the stages of a chain that stand behind those of its replicas.  It
 * takes the rows of each replica up to the end of an interval.  When all
 * replicas are there, or have said that they are farther and have nothing
 * more, the interval is over.  Of several ends the earliest is taken.
 *
 * Replicas see the same packets, so they have the same intervals.  Only with
 * several sources, and packets that are out of order, can one have counted a
 * packet in another interval; it is never lost or counted twice.
 *
 * Thread safety: made and destroyed by the owner; everything else belongs to
 * the thread. */

struct measure_row_replica {
    struct measure_chain_ring *ring;
    const uint64_t *reached;    /* Atomic.  Of its thread. */
    bool at_end;                /* Of an interval... */
    uint64_t start_ns;          /* ...which is this... */
    uint64_t end_ns;
    bool last;                  /* ...and is its last one. */
    bool ended;                 /* It is over. */
};

struct measure_row_runner {
    struct measure_sources *sources;
    const struct measure_chain *chain;
    pthread_t thread;
    struct measure_stage **stages;
    size_t n_stages;
    unsigned int row_slots;
    const struct measure_port_names *ports;     /* Atomic.  In use. */
    struct measure_row_replica *replicas;
    bool done;
};

void measure_row_runner_init(struct measure_row_runner *,
                             struct measure_sources *,
                             const struct measure_chain *);
void measure_row_runner_set_replica(struct measure_row_runner *,
                                    unsigned int replica,
                                    const uint64_t *reached);
void *measure_row_runner_main(void *);
void measure_row_runner_destroy(struct measure_row_runner *);

/* Tells of a mark in the ring of 'stage'. */
void measure_row_ring_send_mark(struct measure_stage *stage,
                                const struct measure_batch *,
                                const struct measure_mark *);

/* What both kinds of threads do. */
void measure_runner_rest(unsigned int n_idle);
void measure_runner_set_ports(struct measure_stage **, size_t n,
                              const struct measure_port_names *);
bool measure_runner_failed(struct measure_stage **, size_t n);

#endif /* measure-row-runner.h */
