/* SPDX-License-Identifier: Apache-2.0 */
/* The rings that a pipeline reads, and the place of each of its threads. */

#ifndef MEASURE_PLACE_H
#define MEASURE_PLACE_H 1

#include <pthread.h>

#include "base/measure-output.h"
#include "stream/measure-ring.h"
#include "stream/measure-stream-account.h"

/* Sources and places
 * ==================
 *
 * For pipelines; measure-source.h is for those who use them.
 *
 * A source is a ring that a pipeline reads.  Its writer knows one cursor, the
 * shared one.  If the pipeline has one thread for packets it uses that; if it
 * has several, each has a cursor of its own, in a cache line of its own, and
 * the shared cursor is moved to the smallest of them by whichever thread was
 * the last one there.  No other thread is needed for that, and none can hold
 * it up.
 *
 * Two threads that release at the same time may each see that the other is
 * behind only if they read before the other wrote, which sequential
 * consistency excludes; and the shared cursor never goes back, for it is
 * moved by compare and swap.
 *
 * A source may have an account (measure-stream-account.h).  The first thread
 * feeds it with what it takes, before it releases that.
 *
 * The writer of a ring may be another program.  Its head may be anywhere, and
 * its records may have any size: one that is cut, by the end of the ring or of
 * what is published, is left out with what is behind it, and breaks the
 * account.  The writer is trusted in two things: the header says what it said
 * when measure_ring_check() looked at it, and what is published stays as it is
 * until it was released.
 *
 * Sources come and go while threads run.  The list is changed under a lock;
 * threads look at a number that counts changes, and take the lock only when it
 * has changed.  The counters of a source that was removed stay until another
 * one takes over its number, and are then added to those of all that are gone.
 *
 * Memory: 256 bytes for each source and thread, and own rings.
 *
 * Thread safety: as said at each function.  The owner is the thread that uses
 * the pipeline. */

/* Sums of sources whose numbers others have now. */
struct measure_gone_sources {
    uint64_t n;
    uint64_t records;
    uint64_t waits;
    uint64_t offered;
    uint64_t filtered;
    uint64_t dropped;
    uint64_t marks_lost;
};

/* What all threads of a pipeline share. */
struct measure_sources {
    bool live;
    uint64_t (*now_ns)(void);
    size_t n_threads;           /* For packets; 0 until the pipeline runs. */

    bool ended;                 /* The threads have. */

    pthread_mutex_t mutex;      /* Of the list. */
    struct measure_source **list;       /* By number, removed ones as well. */
    size_t n;
    struct measure_gone_sources gone;

    uint64_t version;           /* Of the list.  Atomic, as all below. */
    bool finishing;             /* Threads end when all is read. */
    bool stopping;              /* Producers do not wait any more. */
    bool failed;                /* A stage cannot go on. */
    const struct measure_port_names *ports;
};

/* The place of a thread in a source. */
struct measure_place {
    struct measure_cursor own;  /* Released by the thread. */

    /* Of the thread. */
    struct measure_ring_reader reader;
    struct measure_source *source;
    struct measure_stream_account *account;     /* To feed, or NULL. */
    uint64_t hysteresis;        /* Slots that are released together. */
    uint64_t next_ns;           /* If held: time of the next packet. */
    bool several;               /* 'own' is in use. */
    bool held;                  /* Until the interval is over. */
    bool begun;                 /* The stages know of it. */
    bool left;                  /* Atomic.  It will not come back. */

    /* Counters.  Atomic. */
    uint64_t records;
    uint64_t max_occupancy;     /* Slots. */
};

struct measure_source {
    struct measure_sources *all;
    uint32_t number;            /* The smallest that was free. */
    uint32_t core_id;
    uint64_t n_slots;

    void *memory;               /* Of an own ring, or NULL. */
    const struct measure_ring_header *header;   /* NULL when removed. */
    struct measure_cursor *shared;
    struct measure_stream_account *account;     /* Or NULL. */
    struct measure_ring_writer writer;          /* Of an own ring. */
    struct measure_place *places;       /* One for each thread. */

    uint64_t stop_at;           /* Atomic.  Slots to be read, or UINT64_MAX. */
    bool removing;              /* Atomic. */
    bool waiting;               /* Atomic.  Its writer waits for room... */
    bool draining;              /* ...or until all is taken.  Atomic. */
    uint64_t waits;             /* Times that it did. */

    /* Kept when it is removed. */
    struct measure_ring_header last_header;
    uint64_t records;
    uint64_t max_occupancy;
};

/* The owner. */

void measure_sources_init(struct measure_sources *);
void measure_sources_start(struct measure_sources *, size_t n_threads);
void measure_sources_finish(struct measure_sources *);
void measure_sources_destroy(struct measure_sources *);
void measure_sources_write(const struct measure_sources *,
                           struct measure_output *);

struct measure_source *measure_source_create(struct measure_sources *,
                                             uint64_t n_slots,
                                             uint32_t core_id);
struct measure_source *measure_source_attach(struct measure_sources *,
                                             const void *ring,
                                             struct measure_cursor *,
                                             struct measure_stream_account *);

/* The threads. */

size_t measure_sources_enter(struct measure_sources *, size_t thread,
                             uint64_t *version, struct measure_place ***);
void measure_place_release(struct measure_place *);

/* Returns true if everything that will ever be in the source was taken. */
static inline bool
measure_place_is_done(const struct measure_place *place)
{
    return place->reader.tail >= __atomic_load_n(&place->source->stop_at,
                                                 __ATOMIC_ACQUIRE);
}

/* Slots that are published and not taken. */
static inline uint64_t
measure_place_waiting(const struct measure_place *place)
{
    return (__atomic_load_n(place->reader.published, __ATOMIC_ACQUIRE)
            - place->reader.tail);
}

#endif /* measure-place.h */
