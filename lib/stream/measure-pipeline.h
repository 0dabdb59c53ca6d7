/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines: chains of stages, and the threads that run them. */

#ifndef MEASURE_PIPELINE_H
#define MEASURE_PIPELINE_H 1

#include "base/measure-output.h"
#include "stream/measure-source.h"
#include "stream/measure-stage.h"

/* Pipelines
 * =========
 *
 * A pipeline has sources (rings with records of packets) and chains of stages.
 * Each chain sees each packet of each source.  Its threads have a cursor each
 * on each ring: nothing is copied, and a slot is free when all have released
 * it.
 *
 *     source ring ----> chain 1, replica 0 ----.
 *       |   |  |                               +-> ring of rows -> its rows
 *       |   |  `------> chain 1, replica 1 ----'                  (top, write)
 *       |   `---------> chain 2
 *     source ring ...
 *
 * A chain without replicas is one thread from end to end.  With replicas, the
 * stages behind the first one that makes rows are run by a thread of their
 * own, which each replica sends its rows to by a ring.
 *
 * A thread takes turns at its rings, a batch at a time; one without packets
 * does not hold up the others.  When none has any it rests for 50 us.
 *
 * Intervals.  A chain has one length of intervals, or none.  They begin at
 * multiples of it since 1970.  An interval is over when each source has a
 * packet behind its end, or has ended, or, only if the pipeline is 'live', has
 * none waiting while the clock is past the end by 100 ms.  See
 * measure-packet-runner.h for packets that are late.
 *
 * Sources.  Their rings do not take more than there is room for:
 * measure_source_reserve() waits, the switch counts what it drops.  A
 * producer that writes several sources itself must know that a thread may
 * leave packets in one until there are some in the others, or the ring is
 * full.
 *
 * Memory: that of the rings, of the stages, and a few KiB for each thread.
 *
 * Thread safety: the functions here belong to one thread, which is also the
 * writer of sources that are made by measure_pipeline_create_source().  Any
 * thread and signal handler may call measure_pipeline_stop(). */

struct measure_pipeline;
struct measure_stream_account;

struct measure_pipeline_options {
    uint64_t memory_bytes;      /* For stages; 0 for no limit. */
    bool live;                  /* Packets come when they are there: see
                                 * intervals. */
    /* The stages that chains may have, ending with NULL: measure_stages of
     * stages/measure-stages.h, and those of the program, or NULL. */
    const struct measure_stage_class *const *classes;
    const struct measure_stage_class *const *more_classes;
    /* The time in ns since 1970; NULL for that of the system. */
    uint64_t (*now_ns)(void);
};

struct measure_pipeline *
measure_pipeline_create(const struct measure_pipeline_options *);
char *measure_pipeline_add_chain(struct measure_pipeline *, const char *text);
char *measure_pipeline_start(struct measure_pipeline *);

/* Sources, before or after the start; measure-source.h has what is done with
 * one. */
struct measure_source *
measure_pipeline_create_source(struct measure_pipeline *, uint64_t n_slots,
                               uint32_t core_id);
struct measure_source *
measure_pipeline_add_source(struct measure_pipeline *, const void *ring,
                            struct measure_cursor *,
                            struct measure_stream_account *);

void measure_pipeline_set_ports(struct measure_pipeline *,
                                struct measure_port_names *);
bool measure_pipeline_await_ports(const struct measure_pipeline *);
void measure_pipeline_work(struct measure_pipeline *);
void measure_pipeline_stop(struct measure_pipeline *);
bool measure_pipeline_has_failed(const struct measure_pipeline *);
uint64_t measure_pipeline_lost(const struct measure_pipeline *);
char *measure_pipeline_finish(struct measure_pipeline *);
void measure_pipeline_for_each_stage(const struct measure_pipeline *,
                                     void (*)(const struct measure_stage *,
                                              void *aux), void *aux);
void measure_pipeline_write_counters(const struct measure_pipeline *,
                                     struct measure_output *);
void measure_pipeline_destroy(struct measure_pipeline *);

/* Classes. */
const struct measure_stage_class *
measure_pipeline_find_class(const struct measure_pipeline_options *,
                            const char *name);

#endif /* measure-pipeline.h */
