/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads the stream of a monitor, and the rings of each reader. */

#ifndef MEASURE_READERS_H
#define MEASURE_READERS_H 1

#include <sys/types.h>

#include "measure-shared-ring.h"
#include "measure-stream-producer.h"
#include "openvswitch/list.h"
#include "tally/measure-config.h"
#include "tally/measure-tally.h"

/* Readers of a stream
 * ===================
 *
 * A reader has a ring for each packet thread of the monitor.  The thread
 * writes to it from measure_readers_attach() on until
 * measure_readers_detach(), or until the merge thread says that the thread is
 * gone (measure_readers_thread_gone()).  When a grace period has passed after
 * that no packet thread writes to it.
 *
 * Memory: rings are outside of measure-memory-mb: 32 bytes for each slot, and
 * two pages.  measure-stream-memory-mb is the limit for all of a monitor.
 *
 * Thread safety: 'measure_mutex', for all functions and members.  Only the
 * thread "measure-stream" (measure-stream.h) changes lists, hence it may go
 * through them without the lock. */

struct stream_counts {
    uint64_t offered;           /* Packets. */
    uint64_t filtered;
    uint64_t dropped;
    uint64_t records;
    uint64_t marks_lost;
    uint64_t bad_cursors;
};

/* The ring of a reader for a packet thread. */
struct stream_ring {
    struct measure_producer producer;   /* Begins a cache line. */
    struct ovs_list node;           /* In a reader. */
    struct measure_shared_ring shared;
    struct measure_thread *thread;  /* NULL if it does not write any more. */
    uint32_t id;
    unsigned int core_id;
    int numa_id;
    bool attached;                  /* 'thread' writes to it. */
    bool told;                      /* The reader has got it... */
    bool mapped;                    /* ...and has answered. */
    bool ending;                    /* It shall end. */
    bool ended;                     /* Nothing follows. */
};

struct stream_reader {
    struct ovs_list node;           /* In a monitor. */
    char *name;
    pid_t pid;
    uint64_t n_slots;
    bool wants_headers;
    struct ovs_list rings;          /* Contains "struct stream_ring"s. */
    struct stream_counts ended;     /* Of the rings that are gone. */
};

/* The stream of a monitor. */
struct monitor_stream {
    struct ovs_list readers;        /* Contains "struct stream_reader"s. */
    struct stream_counts ended;     /* Of the readers that are gone. */
    bool listening;
    bool headers;                   /* In effect, like the filter. */
    bool has_filter;
    struct measure_filter filter;
    char where[512];                /* Its text. */
    char *missing;                  /* A port in it that is not there. */
    uint64_t n_port_changes;        /* See struct measure_port_names. */
};

void measure_readers_init(struct monitor_stream *);
void measure_readers_destroy(struct monitor_stream *);
bool measure_readers_configure(struct monitor_stream *,
                               const struct measure_config *,
                               const struct measure_port_names *);
void measure_readers_update(const struct monitor_stream *,
                            struct measure_thread *);
void measure_readers_add(struct stream_reader *, struct measure_thread *,
                         struct stream_ring *);
void measure_readers_attach(const struct monitor_stream *,
                            struct stream_ring *);
void measure_readers_detach(const struct monitor_stream *,
                            struct stream_ring *);
void measure_readers_thread_gone(const struct monitor_stream *,
                                 struct measure_thread *);
void measure_readers_close_epoch(struct monitor_stream *, uint64_t epoch);
const struct stream_ring *
measure_readers_find_ring(const struct stream_reader *,
                          const struct measure_thread *);

uint64_t measure_readers_bytes(const struct monitor_stream *);
void measure_ring_counts(const struct stream_ring *, struct stream_counts *);
void measure_reader_counts(const struct stream_reader *,
                           struct stream_counts *);
void measure_stream_counts(const struct monitor_stream *,
                           struct stream_counts *);
void measure_stream_counts_add(struct stream_counts *,
                               const struct stream_counts *);

#endif /* measure-readers.h */
