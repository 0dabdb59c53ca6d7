/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the packet stream of a bridge. */

#include <config.h>

#include "stream/measure-stream-client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/measure-base.h"
#include "stream/measure-stream-connection.h"

#define PAGE_SIZE 4096

/* Between looks at the accounts, and at rings that have ended. */
#define LOOK_NS (5 * MEASURE_NS_PER_MS)

/* Of one turn, so that a timeout is kept. */
#define MAX_MESSAGES 256

enum client_state {
    STATE_WAITING,              /* For 'next_attempt_ns'. */
    STATE_GREETING,             /* For HELLO. */
    STATE_SUBSCRIBED,           /* For READY. */
    STATE_READY,
    STATE_FAILED
};

struct queued_event {
    struct measure_stream_event event;
    char *text;                 /* Or NULL. */
};

/* What is left of rings that are gone. */
struct gone {
    uint64_t n;
    uint64_t records;
    uint64_t n_marks;
    uint64_t n_differences;
    struct measure_mark sum;    /* Of their last marks. */
};

struct measure_stream_client {
    char *run_directory;        /* Or NULL. */
    char *bridge;
    char *name;
    char *path;                 /* Of the socket. */
    uint64_t n_slots;
    bool headers;
    bool wait;
    uint64_t (*now_ns)(void);

    enum client_state state;
    int fd;                     /* Or -1. */
    uint64_t deadline_ns;       /* For HELLO and READY. */
    uint64_t next_attempt_ns;
    uint64_t retry_ns;
    char *said;                 /* Why there is no connection; or NULL. */
    uint64_t connection;        /* Number of the last one. */
    uint64_t n_ready;           /* Connections that were READY. */
    uint64_t lost_ns;           /* When the last one of these was lost. */
    uint64_t away_ns;           /* For how long there was none then. */

    bool wants_missed;          /* To be told when all rings have a mark. */
    bool has_last_epoch;
    uint64_t last_epoch;        /* Of marks of a connection before... */
    uint64_t last_connection;   /* ...which is this one. */

    size_t n_rings;
    struct measure_client_ring *rings[MEASURE_STREAM_MAX_RINGS];
    struct measure_client_ring *freed;  /* With the next call. */
    uint32_t next_number;
    struct gone gone;

    char *port_names[MEASURE_MAX_PORT + 1];     /* Or NULL. */
    bool ports_changed;

    size_t n_events, first_event;
    struct queued_event *events;
    char *text;                 /* Of the last event that was given. */
};

static struct measure_stream_event *
add_event(struct measure_stream_client *c, enum measure_stream_event_kind kind,
          struct measure_client_ring *ring, char *text)
{
    struct queued_event *event;

    c->events = measure_xrealloc(c->events, ((c->n_events + 1)
                                             * sizeof *c->events));
    event = &c->events[c->n_events++];
    memset(event, 0, sizeof *event);
    event->event.kind = kind;
    event->event.ring = ring;
    event->event.text = event->text = text;
    return &event->event;
}

/* Returns a client, which connects when it works. */
struct measure_stream_client *
measure_stream_client_create(
    const struct measure_stream_client_options *options)
{
    struct measure_stream_client *c = measure_xzalloc(sizeof *c);

    c->run_directory = (options->run_directory
                        ? measure_format("%s", options->run_directory) : NULL);
    c->bridge = measure_format("%s", options->bridge);
    c->name = measure_format("%s", options->name ? options->name : "");
    c->path = measure_stream_path(c->run_directory, c->bridge);
    c->n_slots = options->n_slots;
    c->headers = options->headers;
    c->wait = options->wait;
    c->now_ns = options->now_ns ? options->now_ns : measure_monotonic_ns;
    c->fd = -1;
    c->next_attempt_ns = c->now_ns();
    c->retry_ns = MEASURE_STREAM_MIN_RETRY_MS * MEASURE_NS_PER_MS;
    return c;
}

/* Rings. */

static void
ring_free(struct measure_client_ring *ring)
{
    if (ring) {
        if (ring->header) {
            munmap((void *) ring->header, ring->size);
        }
        if (ring->cursor) {
            munmap(ring->cursor, PAGE_SIZE);
        }
        measure_stream_account_destroy(&ring->account);
        free(ring);
    }
}

static uint64_t
ring_head(const struct measure_client_ring *ring)
{
    return __atomic_load_n(&ring->header->head, __ATOMIC_ACQUIRE);
}

static char *
ring_title(const struct measure_client_ring *ring)
{
    return (ring->core_id == UINT32_MAX
            ? measure_format("ring %"PRIu32" of the main thread", ring->id)
            : measure_format("ring %"PRIu32" of core %"PRIu32, ring->id,
                             ring->core_id));
}

/* Maps 'size' bytes of 'fd' to '*memory'.  Returns NULL or why not. */
static char *
map(const char *what, int fd, size_t size, int protection, void **memory)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    *memory = NULL;
    if (seals < 0 || !(seals & F_SEAL_SHRINK)) {
        return measure_format("the memory of %s could become smaller", what);
    }
    if (fstat(fd, &status) || status.st_size < 0
        || (uint64_t) status.st_size < size) {
        return measure_format("%s has less than %zu bytes", what, size);
    }
    *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (*memory == MAP_FAILED) {
        *memory = NULL;
        return measure_format("%s cannot be mapped: %s", what,
                              strerror(errno));
    }
    return NULL;
}

/* Maps what RING has.  Returns NULL or what is wrong with it. */
static char *
map_ring(struct measure_client_ring *ring, const struct measure_stream_ring *m,
         const int fds[MEASURE_STREAM_FDS])
{
    uint64_t tail, used;
    void *memory;
    char *error;

    if (m->n_slots < MEASURE_RING_MIN_SLOTS
        || m->n_slots > MEASURE_RING_MAX_SLOTS
        || m->n_slots & (m->n_slots - 1)) {
        return measure_format("%"PRIu64" slots: valid are powers of 2 from %d "
                              "to %"PRIu64, m->n_slots, MEASURE_RING_MIN_SLOTS,
                              MEASURE_RING_MAX_SLOTS);
    }
    if (m->size < measure_ring_size(m->n_slots)
        || m->size > (measure_ring_size(MEASURE_RING_MAX_SLOTS)
                      + 1024 * MEASURE_MIB)) {
        return measure_format("%"PRIu64" bytes for %"PRIu64" slots", m->size,
                              m->n_slots);
    }
    ring->size = m->size;
    error = map("the ring", fds[0], m->size, PROT_READ, &memory);
    ring->header = memory;
    if (error) {
        return error;
    }
    error = map("the cursor", fds[1], PAGE_SIZE, PROT_READ | PROT_WRITE,
                &memory);
    ring->cursor = memory;
    if (error) {
        return error;
    }
    error = measure_ring_check(ring->header, ring->size);
    if (error) {
        return error;
    }
    if (ring->header->n_slots != m->n_slots) {
        return measure_format("%"PRIu64" slots that should be %"PRIu64,
                              ring->header->n_slots, m->n_slots);
    }
    tail = __atomic_load_n(&ring->cursor->tail, __ATOMIC_ACQUIRE);
    used = ring_head(ring) - tail;
    if (used > m->n_slots) {
        return measure_format("a cursor at slot %"PRIu64" and a head at "
                              "%"PRIu64, tail, tail + used);
    }
    return NULL;
}

static void
give_ring(struct measure_stream_client *c, struct measure_client_ring *ring)
{
    ring->given = true;
    add_event(c, MEASURE_STREAM_RING_ADDED, ring, NULL);
}

/* Adds a ring.  Closes 'fds'.  Returns NULL or what is wrong. */
static char *
add_ring(struct measure_stream_client *c, const struct measure_stream_ring *m,
         const int fds[MEASURE_STREAM_FDS])
{
    struct measure_client_ring *ring = NULL;
    char *error = NULL;

    if (c->n_rings >= MEASURE_STREAM_MAX_RINGS) {
        error = measure_format("more than %d rings", MEASURE_STREAM_MAX_RINGS);
    }
    for (size_t i = 0; i < c->n_rings && !error; i++) {
        if (c->rings[i]->connection == c->connection
            && c->rings[i]->id == m->id) {
            error = measure_format("two rings %"PRIu32, m->id);
        }
    }
    if (!error) {
        ring = measure_xzalloc(sizeof *ring);
        measure_stream_account_init(&ring->account);
        ring->id = m->id;
        ring->core_id = m->core_id;
        ring->numa_id = m->numa_id;
        ring->n_slots = m->n_slots;
        ring->connection = c->connection;
        error = map_ring(ring, m, fds);
    }
    close(fds[0]);
    close(fds[1]);
    if (error) {
        char *text = measure_format("ring %"PRIu32" of the switch: %s", m->id,
                                    error);

        free(error);
        ring_free(ring);
        return text;
    }
    ring->number = c->next_number++;
    c->rings[c->n_rings++] = ring;
    if (c->state == STATE_READY) {
        give_ring(c, ring);
    }
    return NULL;
}

/* Forgets rings of a connection that ends before it was ready: nobody has been
 * told of them. */
static void
forget_rings(struct measure_stream_client *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_rings; i++) {
        if (c->rings[i]->given) {
            c->rings[n++] = c->rings[i];
        } else {
            ring_free(c->rings[i]);
        }
    }
    c->n_rings = n;
}

/* Nothing will follow in rings that came by the connection so far. */
static void
end_rings(struct measure_stream_client *c)
{
    for (size_t i = 0; i < c->n_rings; i++) {
        c->rings[i]->ended = true;
    }
}

/* Takes notice that 'epoch' is the last one that a ring of 'connection' has
 * told.  That of an older connection may have been of a switch that was
 * restarted since, where epochs began anew. */
static void
note_last_epoch(struct measure_stream_client *c, uint64_t connection,
                uint64_t epoch)
{
    if (!c->has_last_epoch || connection > c->last_connection) {
        c->last_epoch = epoch;
        c->last_connection = connection;
        c->has_last_epoch = true;
    } else if (connection == c->last_connection) {
        c->last_epoch = measure_max(c->last_epoch, epoch);
    }
}

static void
add_gone(struct measure_stream_client *c,
         struct measure_client_ring *ring)
{
    struct gone *gone = &c->gone;
    struct measure_stream_sums a;

    measure_stream_account_get(&ring->account, &a);
    gone->n++;
    gone->records += a.records;
    gone->n_marks += a.n_marks;
    gone->n_differences += a.n_differences;
    if (a.n_marks) {
        gone->sum.offered += a.last.offered;
        gone->sum.filtered += a.last.filtered;
        gone->sum.dropped += a.last.dropped;
        gone->sum.records += a.last.records;
        gone->sum.marks_lost += a.last.marks_lost;
        note_last_epoch(c, ring->connection, a.last.epoch);
    }
}

/* Returns true if all that will ever be in 'ring' was released, or nothing
 * more of it can be read. */
static bool
is_done(const struct measure_client_ring *ring)
{
    uint64_t left = ring_head(ring) - __atomic_load_n(&ring->cursor->tail,
                                                      __ATOMIC_ACQUIRE);

    return (ring->ended
            && (!left || left > ring->n_slots || ring->broken));
}

static void
remove_rings(struct measure_stream_client *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_rings; i++) {
        if (c->rings[i]->given && is_done(c->rings[i])) {
            add_gone(c, c->rings[i]);
            add_event(c, MEASURE_STREAM_RING_REMOVED, c->rings[i], NULL);
        } else {
            c->rings[n++] = c->rings[i];
        }
    }
    c->n_rings = n;
}

/* The connection. */

/* There is no connection because of 'why', which is freed.  If 'final', there
 * will be none. */
static void
lose(struct measure_stream_client *c, char *why, bool final)
{
    uint64_t now = c->now_ns();

    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    if (c->state == STATE_READY) {
        c->lost_ns = now;
    }
    forget_rings(c);
    end_rings(c);
    if (final || (!c->n_ready && !c->wait)) {
        c->state = STATE_FAILED;
        add_event(c, MEASURE_STREAM_FAILED, NULL, why);
        return;
    }
    c->state = STATE_WAITING;
    c->next_attempt_ns = now + c->retry_ns;
    c->retry_ns = measure_min(2 * c->retry_ns,
                              MEASURE_STREAM_MAX_RETRY_MS * MEASURE_NS_PER_MS);
    if (c->said && !strcmp(c->said, why)) {
        free(why);
        return;
    }
    free(c->said);
    c->said = why;
    add_event(c, MEASURE_STREAM_LOST, NULL, measure_format("%s", why));
}

/* Why connect() failed with 'error', for people. */
static char *
explain(const struct measure_stream_client *c, int error)
{
    char *text = measure_format("no packet stream of bridge %s: %s: %s",
                                c->bridge, c->path, strerror(error));
    char *bridges;

    switch (error) {
    case ENOENT:
        bridges = measure_stream_bridges(c->run_directory);
        measure_append(&text, "; 'ovs-vsctl set Bridge %s "
                       "other_config:measure=true "
                       "other_config:measure-stream=true' begins it",
                       c->bridge);
        if (bridges) {
            measure_append(&text, "; bridges that have one: %s", bridges);
        }
        free(bridges);
        break;
    case EACCES:
        measure_append(&text, "; valid are root and the user of the switch");
        break;
    case ECONNREFUSED:
        measure_append(&text, "; the switch has ended");
        break;
    }
    return text;
}

static void
try_to_connect(struct measure_stream_client *c)
{
    int fd;

    if (!*c->bridge || strchr(c->bridge, '/')) {
        lose(c, measure_format("'%s' is no name of a bridge", c->bridge),
             true);
        return;
    }
    fd = measure_stream_connect(c->path);
    if (fd < 0) {
        lose(c, explain(c, -fd), false);
        return;
    }
    c->fd = fd;
    c->connection++;
    c->state = STATE_GREETING;
    c->deadline_ns = (c->now_ns()
                      + MEASURE_STREAM_ANSWER_MS * MEASURE_NS_PER_MS);
}

static char *
other_version(uint32_t version)
{
    return measure_format("the switch speaks version %"PRIu32" of the stream "
                          "protocol, and this program version %d", version,
                          MEASURE_STREAM_VERSION);
}

/* A switch that was restarted may have given its numbers to other ports. */
static void
forget_ports(struct measure_stream_client *c)
{
    for (int number = 1; number <= MEASURE_MAX_PORT; number++) {
        c->ports_changed |= c->port_names[number] != NULL;
        free(c->port_names[number]);
        c->port_names[number] = NULL;
    }
}

static void
greet(struct measure_stream_client *c, const struct measure_stream_hello *m)
{
    char *error = NULL;

    if (c->state != STATE_GREETING) {
        error = measure_format("the switch says HELLO again");
    } else if (m->magic != MEASURE_STREAM_MAGIC) {
        error = measure_format("%s is no socket of a packet stream", c->path);
    } else if (m->version != MEASURE_STREAM_VERSION) {
        lose(c, other_version(m->version), true);
        return;
    } else if (strcmp(m->bridge, c->bridge)) {
        error = measure_format("%s is the socket of bridge '%s'", c->path,
                               m->bridge);
    } else {
        error = measure_stream_subscribe(c->fd, c->name, c->n_slots,
                                         (c->headers
                                          ? MEASURE_STREAM_WANTS_HEADERS
                                          : 0));
    }
    if (error) {
        lose(c, error, false);
    } else {
        forget_ports(c);
        c->state = STATE_SUBSCRIBED;
    }
}

static void
tell_ports(struct measure_stream_client *c)
{
    if (c->ports_changed) {
        c->ports_changed = false;
        add_event(c, MEASURE_STREAM_PORTS_CHANGED, NULL, NULL);
    }
}

static void
become_ready(struct measure_stream_client *c)
{
    struct measure_stream_event *event;
    uint64_t away_ns = 0;
    char *text;

    if (c->n_ready++) {
        away_ns = c->now_ns() - c->lost_ns;
        text = measure_format("connected to bridge %s again, after "
                              "%"PRIu64".%03"PRIu64" s", c->bridge,
                              away_ns / MEASURE_NS_PER_S,
                              away_ns / MEASURE_NS_PER_MS % 1000);
        c->wants_missed = true;
        c->away_ns = away_ns;
    } else {
        text = measure_format("connected to bridge %s", c->bridge);
    }
    /* In this order: whoever reads the rings knows what their ports are. */
    tell_ports(c);
    for (size_t i = 0; i < c->n_rings; i++) {
        if (!c->rings[i]->given) {
            give_ring(c, c->rings[i]);
        }
    }
    event = add_event(c, MEASURE_STREAM_CONNECTED, NULL, text);
    event->away_ns = away_ns;
    c->state = STATE_READY;
    c->retry_ns = MEASURE_STREAM_MIN_RETRY_MS * MEASURE_NS_PER_MS;
    free(c->said);
    c->said = NULL;
}

static void
set_port(struct measure_stream_client *c, const struct measure_stream_port *m)
{
    char **name;

    if (!m->number || m->number > MEASURE_MAX_PORT) {
        lose(c, measure_format("the switch names port %"PRIu32": valid are 1 "
                               "to %d", m->number, MEASURE_MAX_PORT), false);
        return;
    }
    name = &c->port_names[m->number];
    free(*name);
    *name = *m->name ? measure_format("%s", m->name) : NULL;
    c->ports_changed = true;
}

static void
end_ring(struct measure_stream_client *c, uint32_t id)
{
    for (size_t i = 0; i < c->n_rings; i++) {
        if (c->rings[i]->connection == c->connection
            && c->rings[i]->id == id) {
            c->rings[i]->ended = true;
            return;
        }
    }
    /* It may have been removed before, if it says itself that it has ended. */
}

static void
handle(struct measure_stream_client *c, struct measure_stream_message *m)
{
    char *error;

    switch (m->head.type) {
    case MEASURE_STREAM_HELLO:
        greet(c, &m->hello);
        return;

    case MEASURE_STREAM_ERROR:
        if (m->error.error == EPROTONOSUPPORT) {
            lose(c, other_version(m->error.version), true);
        } else {
            lose(c, measure_format("the switch says: %s", m->error.text),
                 m->error.error == EINVAL || m->error.error == EACCES);
        }
        return;
    }
    if (m->head.type == MEASURE_STREAM_RING && c->state >= STATE_SUBSCRIBED) {
        error = add_ring(c, &m->ring, m->fds);
        if (!error) {
            error = measure_stream_mapped(c->fd, m->ring.id);
        }
        if (error) {
            lose(c, error, false);
        }
        return;
    }
    if (m->head.type == MEASURE_STREAM_RING) {
        close(m->fds[0]);
        close(m->fds[1]);
    }
    if (c->state < STATE_SUBSCRIBED) {
        lose(c, measure_format("the switch does not say HELLO"), false);
        return;
    }
    switch (m->head.type) {
    case MEASURE_STREAM_READY:
        if (c->state == STATE_READY) {
            lose(c, measure_format("the switch says READY again"), false);
        } else {
            become_ready(c);
        }
        break;
    case MEASURE_STREAM_PORT:
        set_port(c, &m->port);
        break;
    case MEASURE_STREAM_RING_END:
        end_ring(c, m->ring_end.id);
        break;
    }
}

/* Connects, and takes messages. */
static void
talk(struct measure_stream_client *c)
{
    if (c->state == STATE_WAITING && c->now_ns() >= c->next_attempt_ns) {
        try_to_connect(c);
    }
    for (int i = 0; i < MAX_MESSAGES && c->fd >= 0; i++) {
        struct measure_stream_message m;
        char *error = NULL;

        switch (measure_stream_receive(c->fd, &m, &error)) {
        case MEASURE_STREAM_GOT_MESSAGE:
            handle(c, &m);
            break;
        case MEASURE_STREAM_GOT_WRONG:
            lose(c, error, false);
            break;
        case MEASURE_STREAM_GOT_NOTHING:
            if ((c->state == STATE_GREETING || c->state == STATE_SUBSCRIBED)
                && c->now_ns() >= c->deadline_ns) {
                lose(c, measure_format("%s: no answer for %d s", c->path,
                                       MEASURE_STREAM_ANSWER_MS / 1000),
                     false);
            }
            return;
        }
    }
}

/* Accounts. */

/* Tells, once, what is wrong with 'ring'. */
static void
look_at_account(struct measure_stream_client *c,
                struct measure_client_ring *ring)
{
    struct measure_stream_sums a;
    const char *wrong = NULL;
    char *title, *text;

    measure_stream_account_get(&ring->account, &a);
    if (a.broken && !ring->broken) {
        ring->broken = ring->ended = true;
        wrong = "a record reaches over its end";
    } else if (a.difference && !ring->told) {
        ring->told = true;
        wrong = a.difference;
    } else {
        return;
    }
    title = ring_title(ring);
    text = measure_format("%s: %s", title, wrong);
    free(title);
    if (ring->broken && ring->connection == c->connection && c->fd >= 0) {
        lose(c, text, false);
    } else {
        add_event(c, MEASURE_STREAM_DIFFERENCE, ring, text);
    }
}

/* Tells what was missed while there was no connection, as soon as that is
 * known. */
static void
tell_missed(struct measure_stream_client *c)
{
    struct measure_stream_event *event;
    uint64_t epoch_after = UINT64_MAX, offered = 0;
    char *text;

    if (!c->wants_missed || c->state != STATE_READY) {
        return;
    }
    for (size_t i = 0; i < c->n_rings; i++) {
        struct measure_client_ring *ring = c->rings[i];
        struct measure_stream_sums a;

        measure_stream_account_get(&ring->account, &a);
        if (ring->connection == c->connection && !a.n_marks
            && !__atomic_load_n(&ring->header->offered, __ATOMIC_RELAXED)) {
            continue;           /* An idle thread writes no marks. */
        }
        if (ring->connection != c->connection || !a.n_marks) {
            return;
        }
        epoch_after = measure_min(epoch_after, a.first.epoch);
        offered += a.first.offered;
    }
    if (epoch_after == UINT64_MAX) {
        return;
    }
    c->wants_missed = false;
    if (!c->has_last_epoch) {
        text = measure_format("packets before the end of epoch %"PRIu64" are "
                              "missing", epoch_after);
    } else if (epoch_after <= c->last_epoch) {
        text = measure_format("the switch was restarted: packets after epoch "
                              "%"PRIu64" of the old one and before the end of "
                              "epoch %"PRIu64" of the new one are missing",
                              c->last_epoch, epoch_after);
    } else {
        text = measure_format("packets of epochs %"PRIu64" to %"PRIu64" are "
                              "missing", c->last_epoch + 1, epoch_after);
    }
    measure_append(&text, ", all but %"PRIu64" that were offered since",
                   offered);
    event = add_event(c, MEASURE_STREAM_MISSED, NULL, text);
    event->away_ns = c->away_ns;
    event->has_epoch_before = c->has_last_epoch;
    event->epoch_before = c->last_epoch;
    event->epoch_after = epoch_after;
    event->offered = offered;
}

/* The owner. */

/* Does what there is to do. */
static void
work_once(struct measure_stream_client *c)
{
    talk(c);
    for (size_t i = 0; i < c->n_rings; i++) {
        look_at_account(c, c->rings[i]);
    }
    tell_missed(c);
    remove_rings(c);
    /* Many messages, one event. */
    if (c->state == STATE_READY) {
        tell_ports(c);
    }
}

/* Waits for a message, or for 'ns'.  Returns false if a signal came. */
static bool
wait_for_message(int fd, uint64_t ns)
{
    struct pollfd pollfd = { .fd = fd, .events = POLLIN };
    struct timespec time = { ns / MEASURE_NS_PER_S, ns % MEASURE_NS_PER_S };

    return ppoll(&pollfd, fd >= 0, &time, NULL) >= 0 || errno != EINTR;
}

static void
forget_given(struct measure_stream_client *c)
{
    ring_free(c->freed);
    c->freed = NULL;
    free(c->text);
    c->text = NULL;
}

/* Connects, receives and looks at the accounts, until there is an event,
 * 'timeout_ms' have passed, or a signal came. */
void
measure_stream_client_work(struct measure_stream_client *c, int timeout_ms)
{
    uint64_t end = measure_monotonic_ns() + timeout_ms * MEASURE_NS_PER_MS;

    forget_given(c);
    for (;;) {
        uint64_t now, left;

        work_once(c);
        now = measure_monotonic_ns();
        if (now >= end || c->first_event < c->n_events
            || c->state == STATE_FAILED) {
            return;
        }
        left = end - now;
        if (c->n_rings) {
            left = measure_min(left, LOOK_NS);
        }
        if (c->state == STATE_WAITING) {
            uint64_t other_now = c->now_ns();

            left = measure_min(left, (c->next_attempt_ns > other_now
                                      ? c->next_attempt_ns - other_now : 0));
        }
        if (!wait_for_message(c->fd, left)) {
            return;
        }
    }
}

/* Takes the next event to '*event', if there is one. */
bool
measure_stream_client_next(struct measure_stream_client *c,
                           struct measure_stream_event *event)
{
    forget_given(c);
    if (c->first_event == c->n_events) {
        c->first_event = c->n_events = 0;
        return false;
    }
    *event = c->events[c->first_event].event;
    c->text = c->events[c->first_event].text;
    c->first_event++;
    if (event->kind == MEASURE_STREAM_RING_REMOVED) {
        c->freed = event->ring;
    }
    return true;
}

/* Returns a ring of a connection before the last one that is still to be read
 * to its end, each once, beginning with '*at' 0; then NULL. */
struct measure_client_ring *
measure_stream_client_next_old_ring(const struct measure_stream_client *c,
                                    size_t *at)
{
    while (*at < c->n_rings) {
        struct measure_client_ring *ring = c->rings[(*at)++];

        if (ring->connection != c->connection) {
            return ring;
        }
    }
    return NULL;
}

/* Returns the names of all ports as they are now, which the caller destroys
 * and frees. */
struct measure_port_names *
measure_stream_client_take_ports(struct measure_stream_client *c)
{
    struct measure_port_names *ports = measure_xzalloc(sizeof *ports);

    for (int number = 1; number <= MEASURE_MAX_PORT; number++) {
        if (c->port_names[number]) {
            measure_port_adopt(ports, number, c->port_names[number]);
        }
    }
    return ports;
}

static void
write_account(struct measure_output *o, const struct measure_mark *mark,
              uint64_t n_marks, uint64_t records, uint64_t n_differences)
{
    measure_output_uint(o, "marks", n_marks);
    measure_output_uint(o, "offered", mark->offered);
    measure_output_uint(o, "filtered", mark->filtered);
    measure_output_uint(o, "dropped", mark->dropped);
    measure_output_uint(o, "records", mark->records);
    measure_output_uint(o, "marks-lost", mark->marks_lost);
    measure_output_uint(o, "records-read", records);
    measure_output_uint(o, "differences", n_differences);
}

/* Writes, for each ring, what its last mark says and what was read of it, and
 * the sum over those that are gone: members of the object that is open. */
void
measure_stream_client_write_accounting(const struct measure_stream_client *c,
                                       struct measure_output *o)
{
    measure_output_uint(o, "connections", c->n_ready);
    measure_output_note(o, "As of the last mark of each ring:");
    measure_output_open_list(o, "rings");
    for (size_t i = 0; i < c->n_rings; i++) {
        struct measure_client_ring *ring = c->rings[i];
        struct measure_stream_sums a;

        measure_stream_account_get(&ring->account, &a);
        measure_output_open_row(o);
        measure_output_uint(o, "ring", ring->number);
        if (ring->core_id == UINT32_MAX) {
            measure_output_absent(o, "core");
        } else {
            measure_output_uint(o, "core", ring->core_id);
        }
        measure_output_bool(o, "ended", ring->ended);
        if (a.n_marks) {
            measure_output_uint(o, "epoch", a.last.epoch);
        } else {
            measure_output_absent(o, "epoch");
        }
        write_account(o, &a.last, a.n_marks, a.records, a.n_differences);
        measure_output_close(o);
    }
    measure_output_close(o);
    if (!c->gone.n) {
        return;
    }
    measure_output_open_line(o, "rings-gone");
    measure_output_uint(o, "rings", c->gone.n);
    write_account(o, &c->gone.sum, c->gone.n_marks, c->gone.records,
                  c->gone.n_differences);
    measure_output_close(o);
}

/* Hangs up.  Nobody may be reading a ring any more. */
void
measure_stream_client_destroy(struct measure_stream_client *c)
{
    if (!c) {
        return;
    }
    forget_given(c);
    for (size_t i = c->first_event; i < c->n_events; i++) {
        free(c->events[i].text);
        if (c->events[i].event.kind == MEASURE_STREAM_RING_REMOVED) {
            ring_free(c->events[i].event.ring);
        }
    }
    free(c->events);
    for (size_t i = 0; i < c->n_rings; i++) {
        ring_free(c->rings[i]);
    }
    for (int number = 0; number <= MEASURE_MAX_PORT; number++) {
        free(c->port_names[number]);
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    free(c->run_directory);
    free(c->bridge);
    free(c->name);
    free(c->path);
    free(c->said);
    free(c);
}
