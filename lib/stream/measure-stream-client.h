/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the packet stream of a bridge. */

#ifndef MEASURE_STREAM_CLIENT_H
#define MEASURE_STREAM_CLIENT_H 1

#include "base/measure-output.h"
#include "key/measure-switch-port.h"
#include "stream/measure-ring.h"
#include "stream/measure-stream-account.h"

/* The reader of a bridge
 * ======================
 *
 * Connects to the switch (measure-stream-protocol.h), maps the rings that it
 * is given, and tells its owner of them by events:
 *
 *     while (!stopped) {
 *         measure_stream_client_work(client, 100);
 *         while (measure_stream_client_next(client, &event)) {
 *             ...
 *         }
 *         ... read the rings ...
 *     }
 *
 * (With a pipeline, measure_stream_client_feed() of measure-stream-feed.h
 * takes the place of measure_stream_client_next(), and threads of the pipeline
 * read the rings.)
 *
 * Whoever reads a ring releases it to the switch by its 'cursor', and feeds
 * its account (measure-stream-account.h) with what it takes before that, as a
 * pipeline does.  The client looks at the account, and tells what is wrong.
 * An owner that does not feed it is told nothing of that, nor of what was
 * missed.
 *
 * A connection that is lost is made again, at first after
 * MEASURE_STREAM_MIN_RETRY_MS, then after twice that and so on up to
 * MEASURE_STREAM_MAX_RETRY_MS.  Rings of the lost connection can be read to
 * their end.  Each new reason why there is no connection is told once.  When
 * the connection is back, the client tells for how long it was away, and, when
 * each new ring that was offered packets has a mark, of which epochs packets
 * are missing.
 *
 * What the switch sends is not trusted: sizes, descriptors, the header of a
 * ring and cursors are checked, memory that could shrink is refused, and what
 * is wrong ends the connection.
 *
 * Memory: 70 KiB, the rings, and a page for each of them.
 *
 * Thread safety: a client belongs to one thread.  Other threads may read the
 * rings and feed their accounts. */

#define MEASURE_STREAM_MIN_RETRY_MS 100
#define MEASURE_STREAM_MAX_RETRY_MS 2000
#define MEASURE_STREAM_ANSWER_MS 5000   /* For a switch to be READY in. */
#define MEASURE_STREAM_MAX_RINGS 1024   /* At a time. */

struct measure_stream_client_options {
    const char *run_directory;  /* NULL: as of measure_stream_directory(). */
    const char *bridge;
    const char *name;           /* Of the reader, for people. */
    uint64_t n_slots;           /* Of a ring; 0 for what the bridge has. */
    bool headers;               /* First bytes of each frame, too. */
    bool wait;                  /* For a switch that is not there at first. */
    /* Monotonic time in ns, for retries; NULL for that of the system. */
    uint64_t (*now_ns)(void);
};

struct measure_client_ring {
    uint32_t number;            /* From 0 on; none is used twice. */
    uint32_t id;                /* In messages of the switch. */
    uint32_t core_id;           /* UINT32_MAX for the main thread. */
    int32_t numa_id;            /* Negative if not known. */
    uint64_t n_slots;
    bool ended;                 /* Nothing follows what is in it. */
    const struct measure_ring_header *header;   /* Mapped read-only. */
    struct measure_cursor *cursor;      /* Mapped.  Of whoever reads it. */
    struct measure_stream_account account;      /* Fed by whoever does. */
    void *aux;                  /* For the owner. */

    /* Of the client. */
    size_t size;
    uint64_t connection;        /* Number of the one that it came by. */
    bool given;                 /* The owner has been told of it. */
    bool broken;
    bool told;                  /* That its account is wrong. */
};

enum measure_stream_event_kind {
    MEASURE_STREAM_RING_ADDED,  /* The owner begins to read 'ring', with the
                                 * names of ports that there are now. */
    MEASURE_STREAM_RING_REMOVED,        /* All of 'ring' was read.  It is freed
                                         * with the next call. */
    MEASURE_STREAM_PORTS_CHANGED,       /* See
                                         * measure_stream_client_take_ports. */
    MEASURE_STREAM_CONNECTED,   /* All rings there are were added. */
    MEASURE_STREAM_LOST,        /* No connection, for a new reason. */
    MEASURE_STREAM_MISSED,      /* What, while there was no connection. */
    MEASURE_STREAM_DIFFERENCE,  /* The account of 'ring' is wrong. */
    MEASURE_STREAM_FAILED       /* There will be no connection any more. */
};

struct measure_stream_event {
    enum measure_stream_event_kind kind;
    struct measure_client_ring *ring;   /* Or NULL. */
    const char *text;           /* For people, until the next call; or NULL. */

    /* Of MEASURE_STREAM_CONNECTED and MEASURE_STREAM_MISSED. */
    uint64_t away_ns;           /* Since the connection was lost; or 0. */

    /* Of MEASURE_STREAM_MISSED. */
    bool has_epoch_before;
    uint64_t epoch_before;      /* Last one whose end was seen before... */
    uint64_t epoch_after;       /* ...and the first one since. */
    uint64_t offered;           /* Packets of 'epoch_after' since then. */
};

struct measure_stream_client;

struct measure_stream_client *
measure_stream_client_create(const struct measure_stream_client_options *);
void measure_stream_client_destroy(struct measure_stream_client *);
void measure_stream_client_work(struct measure_stream_client *,
                                int timeout_ms);
bool measure_stream_client_next(struct measure_stream_client *,
                                struct measure_stream_event *);
struct measure_client_ring *
measure_stream_client_next_old_ring(const struct measure_stream_client *,
                                    size_t *at);
struct measure_port_names *
measure_stream_client_take_ports(struct measure_stream_client *);
void measure_stream_client_write_accounting(
    const struct measure_stream_client *, struct measure_output *);

#endif /* measure-stream-client.h */
