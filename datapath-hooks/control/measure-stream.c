/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that gives readers their rings. */

#include <config.h>

#include "measure-stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dirs.h"
#include "dpif-netdev-perf.h"
#include "fatal-signal.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "seq.h"
#include "socket-util.h"
#include "stream/measure-stream-protocol.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_stream);

#define CLOCK_MS 100                /* How often packet threads get it. */
#define CALIBRATION_NS 5000000      /* Before it is good enough. */
#define ANSWER_MS 10000             /* A reader has so long to answer. */
#define ACCEPT_MS 1000              /* Rest after accept() has failed... */
#define OPEN_MS 1000                /* ...or a socket could not be opened. */

/* At a time, of a bridge and of a reader: between them grace periods end. */
#define MAX_ACCEPTS 16
#define MAX_MESSAGES 8

/* Who has connected to the socket of a bridge. */
struct connection {
    struct ovs_list node;           /* In a listener. */
    struct listener *listener;
    int fd;                         /* Negative if it is to be destroyed. */
    bool subscribed;                /* 'reader' is in the monitor. */
    bool ready;                     /* It has been told all that there was. */
    bool blocked;                   /* Its socket has no room. */
    long long int stuck;            /* Since when nothing could be sent; 0. */
    long long int deadline;         /* To answer; see must_answer(). */
    struct stream_reader reader;
    uint32_t next_id;               /* Of a ring. */
    uint32_t n_told;                /* Rings... */
    uint32_t n_mapped;              /* ...and answers. */
    char *ports[MEASURE_MAX_PORT + 1];      /* As it was told; or NULL... */
    bool knows_ports;               /* ...all of them as of... */
    uint64_t n_port_changes;        /* ...so many changes. */
};

/* The socket of a bridge. */
struct listener {
    struct ovs_list node;
    struct monitor *monitor;        /* A reference. */
    char *path;
    int fd;                         /* Negative if there is none. */
    bool wanted;
    bool warned;                    /* That there can be none... */
    long long int next_open;        /* ...before. */
    long long int next_accept;      /* Not before. */
    struct ovs_list connections;
};

/* Only the thread itself uses it. */
static struct ovs_list listeners = OVS_LIST_INITIALIZER(&listeners);

/* The time, which tests do not change. */

static uint64_t
now_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static long long int
now_ms(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000000;
}

struct clock_sample {
    uint64_t counter;
    uint64_t ns;                    /* Since 1970. */
    uint64_t monotonic_ns;
};

static uint64_t
read_counter(void)
{
    /* It is large, but nothing else of it is ever touched. */
    static struct pmd_perf_stats perf;

    return cycles_counter_update(&perf);
}

/* Reads the clocks and the processor's counter at the same time, as far as
 * that is possible: of some tries, the one that took the shortest counts. */
static void
take_sample(struct clock_sample *sample)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 5; i++) {
        uint64_t before = read_counter();
        uint64_t ns = now_ns(CLOCK_REALTIME);
        uint64_t monotonic_ns = now_ns(CLOCK_MONOTONIC);
        uint64_t took = read_counter() - before;

        if (took < best) {
            best = took;
            sample->counter = before + took / 2;
            sample->ns = ns;
            sample->monotonic_ns = monotonic_ns;
        }
    }
}

/* Tells the packet threads what time it is, if they do not know it, or their
 * last time is CLOCK_MS old. */
static void
update_clock(void)
{
    static struct clock_sample last;
    static bool calibrated;
    struct clock_sample sample;
    uint64_t elapsed;

    if (!last.counter) {
        take_sample(&last);
    }
    do {
        take_sample(&sample);
        elapsed = sample.monotonic_ns - last.monotonic_ns;
        if (calibrated && elapsed < CLOCK_MS * UINT64_C(1000000)) {
            return;
        }
        if (elapsed < CALIBRATION_NS) {
            struct timespec rest = { .tv_nsec = CALIBRATION_NS - elapsed };

            nanosleep(&rest, NULL);
        }
    } while (elapsed < CALIBRATION_NS);

    const struct measure_stream_clock clock = {
        .counter = sample.counter,
        .ns = sample.ns,
        .ns_per_count = ((double) elapsed
                         / MAX(sample.counter - last.counter, 1)),
    };
    measure_stream_clock_set(&clock);
    last = sample;
    calibrated = true;
}

/* Messages. */

/* Sends a message of 'length' bytes, with the 'n_fds' descriptors in 'fds'.
 * Returns true if it has been sent.  If there is no room for it now, the
 * caller must try again later; if the reader is gone, that is found out when
 * it is received from. */
static bool
send_message(struct connection *c, const void *message, size_t length,
             const int *fds, size_t n_fds)
{
    union {
        struct cmsghdr header;
        char buffer[CMSG_SPACE(MEASURE_STREAM_FDS * sizeof(int))];
    } control;
    struct iovec iov = {
        .iov_base = CONST_CAST(void *, message),
        .iov_len = length,
    };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    if (n_fds) {
        memset(&control, 0, sizeof control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(n_fds * sizeof *fds);
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof *fds);
        msg.msg_control = control.buffer;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof *fds);
    }
    do {
        n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    c->blocked = n < 0 && (errno == EAGAIN || errno == ENOBUFS);
    c->stuck = n >= 0 ? 0 : c->stuck ? c->stuck : now_ms();
    if (n < 0 && !c->blocked && errno != EPIPE && errno != ECONNRESET) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        /* Such as too many descriptors that nobody has received yet. */
        VLOG_WARN_RL(&rl, "%s: cannot send to a reader of the stream: %s",
                     c->listener->monitor->name, ovs_strerror(errno));
    }
    return n >= 0;
}

#define HEAD(TYPE, MESSAGE) \
    .head = { .type = MEASURE_STREAM_##TYPE, .length = sizeof(MESSAGE) }

static void
send_hello(struct connection *c)
{
    struct measure_stream_hello hello = {
        HEAD(HELLO, hello),
        .magic = MEASURE_STREAM_MAGIC,
        .version = MEASURE_STREAM_VERSION,
    };

    ovs_strlcpy(hello.bridge, c->listener->monitor->name,
                sizeof hello.bridge);
    send_message(c, &hello, sizeof hello, NULL, 0);
}

static void OVS_PRINTF_FORMAT(3, 4)
send_error(struct connection *c, int error, const char *format, ...)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);
    struct measure_stream_error message = {
        HEAD(ERROR, message),
        .error = error,
        .version = MEASURE_STREAM_VERSION,
    };
    va_list args;

    va_start(args, format);
    vsnprintf(message.text, sizeof message.text, format, args);
    va_end(args);
    send_message(c, &message, sizeof message, NULL, 0);
    VLOG_INFO_RL(&rl, "%s: stream: %s", c->listener->monitor->name,
                 message.text);
}

static bool
send_ring(struct connection *c, struct stream_ring *ring)
{
    const struct measure_stream_ring message = {
        HEAD(RING, message),
        .id = ring->id,
        .core_id = ring->core_id,
        .numa_id = ring->numa_id,
        .n_slots = c->reader.n_slots,
        .size = ring->shared.size,
    };
    const int fds[MEASURE_STREAM_FDS] = { ring->shared.fd,
                                          ring->shared.cursor_fd };

    if (!send_message(c, &message, sizeof message, fds, MEASURE_STREAM_FDS)) {
        return false;
    }
    measure_shared_ring_close(&ring->shared);
    ring->told = true;
    c->n_told++;
    c->deadline = now_ms() + ANSWER_MS;
    return true;
}

static bool
send_ring_end(struct connection *c, const struct stream_ring *ring)
{
    const struct measure_stream_ring_end message = {
        HEAD(RING_END, message),
        .id = ring->id,
    };

    return send_message(c, &message, sizeof message, NULL, 0);
}

/* Begins to find what ports 'c' does not know.  Returns false if there are
 * none. */
static bool
begin_ports(struct connection *c)
{
    const struct monitor *monitor = c->listener->monitor;
    uint64_t n_changes;

    ovs_mutex_lock(&measure_mutex);
    n_changes = monitor->ports.n_changes;
    ovs_mutex_unlock(&measure_mutex);
    if (c->knows_ports && n_changes == c->n_port_changes) {
        return false;
    }
    c->knows_ports = false;
    c->n_port_changes = n_changes;
    return true;
}

/* Finds the next number from 'number' on that stands for another port than 'c'
 * was told, and sets '*name' to the port that it stands for, "" for none.  The
 * caller must free it. */
static bool
find_changed_port(struct connection *c, int *number, char **name)
{
    const struct monitor *monitor = c->listener->monitor;
    bool found = false;

    ovs_mutex_lock(&measure_mutex);
    for (; *number <= MEASURE_MAX_PORT; ++*number) {
        const char *now = measure_port_name(&monitor->ports, *number);
        const char *told = c->ports[*number];

        if (strcmp(now ? now : "", told ? told : "")) {
            *name = xstrdup(now ? now : "");
            found = true;
            break;
        }
    }
    ovs_mutex_unlock(&measure_mutex);
    return found;
}

static bool
send_ports(struct connection *c)
{
    char *name;

    if (!begin_ports(c)) {
        return true;
    }
    for (int i = 1; find_changed_port(c, &i, &name); i++) {
        struct measure_stream_port message = {
            HEAD(PORT, message),
            .number = i,
        };

        ovs_strlcpy(message.name, name, sizeof message.name);
        if (!send_message(c, &message, sizeof message, NULL, 0)) {
            free(name);
            return false;
        }
        free(c->ports[i]);
        c->ports[i] = name;
    }
    c->knows_ports = true;
    return true;
}

static bool
send_ready(struct connection *c)
{
    const struct measure_stream_head message = {
        .type = MEASURE_STREAM_READY,
        .length = sizeof message,
    };

    c->ready = send_message(c, &message, sizeof message, NULL, 0);
    return c->ready;
}

/* Ends 'c', which is destroyed when its rings have ended. */
static void
hang_up(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

/* Rings. */

/* A ring that a thread lacks. */
struct lack {
    struct ovs_list node;
    struct connection *connection;
    struct monitor_thread *thread;
    struct stream_ring *ring;
};

/* Adds to 'lacks' what rings 'l' lacks for its readers. */
static void
find_lacks(struct listener *l, struct ovs_list *lacks)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_thread *thread;
    struct connection *c;

    LIST_FOR_EACH (c, node, &l->connections) {
        LIST_FOR_EACH (thread, node, &l->monitor->threads) {
            if (c->subscribed && c->fd >= 0 && thread->dp_thread
                && !measure_readers_find_ring(&c->reader,
                                              &thread->thread)) {
                struct lack *lack = xmalloc(sizeof *lack);

                lack->connection = c;
                lack->thread = thread;
                lack->ring = xzalloc_cacheline(sizeof *lack->ring);
                lack->ring->core_id = thread->core_id;
                lack->ring->numa_id = thread->numa_id;
                ovs_list_push_back(lacks, &lack->node);
            }
        }
    }
}

static void
destroy_ring(struct stream_ring *ring)
{
    measure_shared_ring_destroy(&ring->shared);
    free_cacheline(ring);
}

/* Returns true if 'lack' is still one. */
static bool
still_lacks(const struct listener *l, const struct lack *lack)
    OVS_REQUIRES(measure_mutex)
{
    const struct monitor_thread *thread;

    LIST_FOR_EACH (thread, node, &l->monitor->threads) {
        if (thread == lack->thread) {
            return (thread->dp_thread
                    && thread->core_id == lack->ring->core_id);
        }
    }
    return false;
}

/* Ends 'c', whose rings found no memory. */
static void
refuse_memory(struct connection *c, int error)
{
    send_error(c, ENOMEM, "no memory for a ring of %"PRIu64" slots: %s; fewer "
               "slots or readers take less", c->reader.n_slots,
               ovs_strerror(error));
    hang_up(c);
}

/* Returns true if there may be another ring for 'c', else ends it. */
static bool
check_limit(struct connection *c)
{
    const struct monitor *monitor = c->listener->monitor;
    uint64_t size = measure_shared_ring_size(c->reader.n_slots);
    uint64_t used;
    uint32_t limit_mb;

    ovs_mutex_lock(&measure_mutex);
    used = measure_readers_bytes(&monitor->stream);
    limit_mb = monitor->config.stream_memory_mb;
    ovs_mutex_unlock(&measure_mutex);
    if (used + size <= limit_mb * MEASURE_MIB) {
        return true;
    }
    send_error(c, ENOMEM, "a ring of %"PRIu64" slots takes %"PRIu64" KiB, "
               "those that are there %"PRIu64" KiB, and "
               "measure-stream-memory-mb is %"PRIu32"; fewer slots or readers "
               "take less", c->reader.n_slots, size / MEASURE_KIB,
               used / MEASURE_KIB, limit_mb);
    hang_up(c);
    return false;
}

static void
init_producer(const struct connection *c, struct stream_ring *ring)
{
    measure_producer_init(&ring->producer, ring->shared.memory,
                          ring->shared.cursor, c->reader.wants_headers);
}

/* Makes the rings that the readers of 'l' lack. */
static void
make_rings(struct listener *l)
{
    struct ovs_list lacks = OVS_LIST_INITIALIZER(&lacks);
    struct lack *lack;

    ovs_mutex_lock(&measure_mutex);
    find_lacks(l, &lacks);
    ovs_mutex_unlock(&measure_mutex);

    LIST_FOR_EACH_POP (lack, node, &lacks) {
        struct connection *c = lack->connection;
        struct stream_ring *ring = lack->ring;
        bool added = false;
        int error;

        if (c->fd < 0 || !check_limit(c)) {
            free_cacheline(ring);
            free(lack);
            continue;
        }

        /* It takes long, and must not hold up grace periods. */
        ovsrcu_quiesce_start();
        error = measure_shared_ring_create(&ring->shared, c->reader.n_slots,
                                           ring->core_id, ring->numa_id);
        ovsrcu_quiesce_end();

        if (!error) {
            init_producer(c, ring);
            ring->id = c->next_id++;
            ovs_mutex_lock(&measure_mutex);
            if (still_lacks(l, lack)) {
                measure_readers_add(&c->reader, &lack->thread->thread, ring);
                added = true;
            }
            ovs_mutex_unlock(&measure_mutex);
            if (!added) {
                destroy_ring(ring);
            } else {
                /* At once, for it holds descriptors. */
                send_ring(c, ring);
            }
        } else {
            refuse_memory(c, error);
            free_cacheline(ring);
        }
        free(lack);
    }
}

/* Returns true if 'ring' of 'l' shall end: its thread has ended, or the stream
 * has, or the reader. */
static bool
must_end(const struct listener *l, const struct connection *c,
         const struct stream_ring *ring)
    OVS_REQUIRES(measure_mutex)
{
    return (!ring->ended
            && (!l->wanted || c->fd < 0 || !ring->thread
                || !CONTAINER_OF(ring->thread, struct monitor_thread,
                                 thread)->dp_thread));
}

/* Ends those rings of 'l' that must, and no others: only for these the first
 * grace period is known to have begun late enough. */
static void
end_rings(struct listener *l)
{
    struct connection *c;
    struct stream_ring *ring;
    bool any = false;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (c, node, &l->connections) {
        LIST_FOR_EACH (ring, node, &c->reader.rings) {
            ring->ending = must_end(l, c, ring);
            any |= ring->ending;
        }
    }
    ovs_mutex_unlock(&measure_mutex);
    if (!any) {
        return;
    }

    /* A thread that has ended may still count what it has received... */
    ovsrcu_synchronize();
    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (c, node, &l->connections) {
        LIST_FOR_EACH (ring, node, &c->reader.rings) {
            if (ring->ending) {
                measure_readers_detach(&l->monitor->stream, ring);
            }
        }
    }
    ovs_mutex_unlock(&measure_mutex);

    /* ...and one that has not may have found the ring before. */
    ovsrcu_synchronize();
    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (c, node, &l->connections) {
        LIST_FOR_EACH (ring, node, &c->reader.rings) {
            if (ring->ending && !ring->ended) {
                measure_producer_end(&ring->producer, now_ns(CLOCK_REALTIME));
                ring->ended = true;
            }
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Brings up to date what the headers of the rings of 'l' say. */
static void
update_headers(struct listener *l)
{
    struct connection *c;
    struct stream_ring *ring;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (c, node, &l->connections) {
        LIST_FOR_EACH (ring, node, &c->reader.rings) {
            if (ring->attached) {
                measure_producer_tell(&ring->producer);
            }
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Takes away 'ring' of 'c', which has ended. */
static void
remove_ring(struct connection *c, struct stream_ring *ring)
{
    struct stream_counts counts;

    ovs_mutex_lock(&measure_mutex);
    measure_ring_counts(ring, &counts);
    measure_stream_counts_add(&c->reader.ended, &counts);
    ovs_list_remove(&ring->node);
    ovs_mutex_unlock(&measure_mutex);
    destroy_ring(ring);
}

/* Puts into effect what 'monitor' is configured to stream. */
static void
configure(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_thread *thread;

    if (measure_readers_configure(&monitor->stream, &monitor->config,
                                  &monitor->ports)) {
        LIST_FOR_EACH (thread, node, &monitor->threads) {
            measure_readers_update(&monitor->stream, &thread->thread);
        }
    }
}

/* Connections. */

static void
accept_connection(struct listener *l, int fd)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);
    struct connection *c = xzalloc(sizeof *c);
    struct ucred cred = { .pid = 0, .uid = -1 };
    socklen_t size = sizeof cred;

    c->listener = l;
    c->fd = fd;
    c->next_id = 1;
    c->deadline = now_ms() + ANSWER_MS;
    ovs_list_init(&c->reader.rings);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size)) {
        cred.uid = -1;
    }
    c->reader.pid = cred.pid;
    if (cred.uid && cred.uid != geteuid()) {
        VLOG_WARN_RL(&rl, "%s: stream: user %u is neither root nor the user "
                     "of ovs-vswitchd", l->monitor->name,
                     (unsigned int) cred.uid);
        send_error(c, EACCES, "only root and the user of ovs-vswitchd may "
                   "read the stream");
    } else if (ovs_list_size(&l->connections) >= MEASURE_STREAM_MAX_READERS) {
        send_error(c, EUSERS, "bridge %s has %d readers, and it may not have "
                   "more", l->monitor->name, MEASURE_STREAM_MAX_READERS);
    } else {
        send_hello(c);
        ovs_list_push_back(&l->connections, &c->node);
        return;
    }
    close(fd);
    free(c);
}

static void
accept_connections(struct listener *l)
{
    for (int i = 0; l->fd >= 0 && now_ms() >= l->next_accept; i++) {
        if (i >= MAX_ACCEPTS) {
            poll_immediate_wake();
            break;
        }

        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            accept_connection(l, fd);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);

            VLOG_WARN_RL(&rl, "%s: cannot accept a reader of the stream: %s",
                         l->monitor->name, ovs_strerror(errno));
            l->next_accept = now_ms() + ACCEPT_MS;
        }
    }
}

/* Returns a copy of 's', of 'size' bytes at most, that can be printed. */
static char *
copy_name(const char *s, size_t size)
{
    char *name = xmemdup0(s, strnlen(s, size));

    for (char *p = name; *p; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }
    return name;
}

/* Makes a reader of 'c', which sent 'm'. */
static void
subscribe(struct connection *c, const struct measure_stream_subscribe *m,
          size_t length)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(20, 20);
    struct monitor *monitor = c->listener->monitor;
    struct stream_reader *reader = &c->reader;

    if (length < offsetof(struct measure_stream_subscribe, flags)
        || m->head.type != MEASURE_STREAM_SUBSCRIBE
        || m->magic != MEASURE_STREAM_MAGIC) {
        send_error(c, EPROTONOSUPPORT, "the first message of a reader must be "
                   "SUBSCRIBE with the magic number");
    } else if (m->version != MEASURE_STREAM_VERSION) {
        send_error(c, EPROTONOSUPPORT, "version %"PRIu32": valid is %d",
                   m->version, MEASURE_STREAM_VERSION);
    } else if (length != sizeof *m || m->head.length != length) {
        send_error(c, EINVAL, "SUBSCRIBE of %"PRIuSIZE" bytes: valid is "
                   "%"PRIuSIZE, length, sizeof *m);
    } else if (m->flags & ~MEASURE_STREAM_WANTS_HEADERS) {
        send_error(c, EINVAL, "flags %#"PRIx32": valid is 0 or %#x", m->flags,
                   MEASURE_STREAM_WANTS_HEADERS);
    } else if (m->n_slots && (m->n_slots < MEASURE_STREAM_MIN_SLOTS
                              || m->n_slots > MEASURE_STREAM_MAX_SLOTS
                              || m->n_slots & (m->n_slots - 1))) {
        send_error(c, EINVAL, "%"PRIu64" slots: valid is 0 or a power of 2 "
                   "from %d to %d", m->n_slots, MEASURE_STREAM_MIN_SLOTS,
                   MEASURE_STREAM_MAX_SLOTS);
    } else {
        update_clock();
        reader->name = copy_name(m->name, sizeof m->name);
        reader->wants_headers = m->flags & MEASURE_STREAM_WANTS_HEADERS;
        ovs_mutex_lock(&measure_mutex);
        reader->n_slots = (m->n_slots ? m->n_slots
                           : monitor->config.stream_slots);
        configure(monitor);
        ovs_list_push_back(&monitor->stream.readers, &reader->node);
        ovs_mutex_unlock(&measure_mutex);
        c->subscribed = true;
        VLOG_INFO_RL(&rl, "%s: stream: reader \"%s\" (process %d) has come, "
                     "rings of %"PRIu64" slots", monitor->name, reader->name,
                     (int) reader->pid, reader->n_slots);
        return;
    }
    hang_up(c);
}

/* Returns the ring of 'c' that it was told as 'id', or NULL. */
static struct stream_ring *
find_told_ring(const struct connection *c, uint32_t id)
{
    struct stream_ring *ring;

    LIST_FOR_EACH (ring, node, &c->reader.rings) {
        if (ring->told && ring->id == id) {
            return ring;
        }
    }
    return NULL;
}

/* Handles 'm' of a reader that has subscribed: it can only be MAPPED, once for
 * each ring that it was told, also for one that has ended meanwhile. */
static void
take_answer(struct connection *c, const struct measure_stream_mapped *m,
            size_t length)
{
    struct monitor *monitor = c->listener->monitor;
    struct stream_ring *ring;
    int error;

    ring = (length == sizeof *m && m->head.length == length
            && m->head.type == MEASURE_STREAM_MAPPED
            ? find_told_ring(c, m->id) : NULL);
    if (length != sizeof *m || m->head.length != length
        || m->head.type != MEASURE_STREAM_MAPPED || c->n_mapped >= c->n_told
        || m->id >= c->next_id || (ring && ring->mapped)) {
        send_error(c, EINVAL, "a message of %"PRIuSIZE" bytes is not expected:"
                   " valid is MAPPED, once for each RING", length);
        hang_up(c);
        return;
    }
    c->n_mapped++;
    c->deadline = now_ms() + ANSWER_MS;
    if (!ring) {
        return;
    }
    ring->mapped = true;
    error = measure_shared_ring_seal_cursor(&ring->shared);
    if (error) {
        send_error(c, EINVAL, "the cursor of ring %"PRIu32" cannot be sealed: "
                   "%s", ring->id, ovs_strerror(error));
        hang_up(c);
    } else if (!ring->ended) {
        ovs_mutex_lock(&measure_mutex);
        init_producer(c, ring);
        measure_readers_attach(&monitor->stream, ring);
        ovs_mutex_unlock(&measure_mutex);
    }
}

/* Returns true if it is the reader's turn to say something. */
static bool
must_answer(const struct connection *c)
{
    return !c->subscribed || c->n_mapped < c->n_told;
}

/* Receives what the reader has sent, or a part of it. */
static void
receive(struct connection *c)
{
    for (int i = 0; c->fd >= 0; i++) {
        union {
            struct measure_stream_subscribe subscribe;
            struct measure_stream_mapped mapped;
            char bytes[MEASURE_STREAM_MAX_MESSAGE + 1];
        } message;
        ssize_t n;

        if (i >= MAX_MESSAGES) {
            poll_immediate_wake();
            break;
        }
        n = recv(c->fd, &message, sizeof message, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else if (n <= 0) {
            hang_up(c);
        } else if (!c->subscribed) {
            subscribe(c, &message.subscribe, n);
        } else {
            take_answer(c, &message.mapped, n);
        }
    }
    if (c->fd >= 0 && must_answer(c) && now_ms() >= c->deadline) {
        send_error(c, ETIMEDOUT, "no %s within %d s",
                   c->subscribed ? "MAPPED" : "SUBSCRIBE", ANSWER_MS / 1000);
        hang_up(c);
    }
}

/* Tells 'c' what it does not know yet. */
static void
tell(struct connection *c)
{
    struct stream_ring *ring;

    if (c->fd < 0 || !c->subscribed) {
        return;
    }
    LIST_FOR_EACH_SAFE (ring, node, &c->reader.rings) {
        if (!ring->told && !send_ring(c, ring)) {
            return;
        }
        if (ring->ended) {
            if (!send_ring_end(c, ring)) {
                return;
            }
            remove_ring(c, ring);
        }
    }
    if (send_ports(c) && !c->ready && !must_answer(c)) {
        send_ready(c);
    }
}

/* Hangs up on 'c' if it has left what it was sent in its socket for too long:
 * its rings take memory. */
static void
give_up(struct connection *c)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

    if (c->fd >= 0 && c->stuck && now_ms() >= c->stuck + ANSWER_MS) {
        VLOG_WARN_RL(&rl, "%s: stream: reader \"%s\" (process %d) has not "
                     "received what it was sent for %d s",
                     c->listener->monitor->name, c->reader.name,
                     (int) c->reader.pid, ANSWER_MS / 1000);
        hang_up(c);
    }
}

/* Destroys 'c', whose rings have ended. */
static void
destroy_connection(struct connection *c)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(20, 20);
    struct monitor *monitor = c->listener->monitor;
    struct stream_ring *ring;

    if (c->fd >= 0) {
        close(c->fd);
    }
    LIST_FOR_EACH_SAFE (ring, node, &c->reader.rings) {
        remove_ring(c, ring);
    }
    if (c->subscribed) {
        ovs_mutex_lock(&measure_mutex);
        ovs_list_remove(&c->reader.node);
        measure_stream_counts_add(&monitor->stream.ended, &c->reader.ended);
        ovs_mutex_unlock(&measure_mutex);
        VLOG_INFO_RL(&rl, "%s: stream: reader \"%s\" (process %d) is gone; "
                     "records %"PRIu64", filtered %"PRIu64", dropped "
                     "%"PRIu64, monitor->name, c->reader.name,
                     (int) c->reader.pid, c->reader.ended.records,
                     c->reader.ended.filtered, c->reader.ended.dropped);
    }
    for (int i = 0; i <= MEASURE_MAX_PORT; i++) {
        free(c->ports[i]);
    }
    free(c->reader.name);
    ovs_list_remove(&c->node);
    free(c);
}

/* Listeners. */

/* Opens the socket of 'l'.  Nobody can connect before it listens, and then
 * only its owner.  If that fails it is tried again later. */
static void
open_socket(struct listener *l)
{
    const char *name = l->monitor->name;
    int error = 0;

    if (strchr(name, '/')) {
        error = EINVAL;
    } else {
        l->path = xasprintf("%s/measure-stream.%s", ovs_rundir(), name);
        l->fd = make_unix_socket(SOCK_SEQPACKET, true, l->path, NULL);
        if (l->fd < 0) {
            error = -l->fd;
            l->fd = -1;
        } else if (chmod(l->path, 0600) || listen(l->fd, 16)) {
            error = errno;
            fatal_signal_unlink_file_now(l->path);
            close(l->fd);
            l->fd = -1;
        }
    }
    if (error && !l->warned) {
        VLOG_WARN("%s: no stream as long as nobody can listen on %s: %s",
                  name,
                  l->path ? l->path : "a socket with a slash in its name",
                  ovs_strerror(error));
    }
    l->warned = error != 0;
    l->next_open = l->path ? now_ms() + OPEN_MS : LLONG_MAX;
    if (l->fd < 0) {
        free(l->path);
        l->path = NULL;
    } else {
        VLOG_INFO("%s: readers of the stream connect to %s", name, l->path);
    }
    ovs_mutex_lock(&measure_mutex);
    l->monitor->stream.listening = l->fd >= 0;
    ovs_mutex_unlock(&measure_mutex);
}

static struct listener *
find_listener(const struct monitor *monitor)
{
    struct listener *l;

    LIST_FOR_EACH (l, node, &listeners) {
        if (l->monitor == monitor) {
            return l;
        }
    }
    return NULL;
}

/* Notes for which monitors a socket is wanted. */
static void
update_listeners(void)
{
    const struct shash_node *node;
    struct listener *l;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (l, node, &listeners) {
        /* Threads still count for a monitor that is being switched off. */
        l->wanted = ((l->monitor->running || l->monitor->stopping)
                     && l->monitor->config.stream);
    }
    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->running && monitor->config.stream
            && !find_listener(monitor)) {
            l = xzalloc(sizeof *l);
            l->monitor = measure_monitor_ref(monitor);
            l->fd = -1;
            l->wanted = true;
            ovs_list_init(&l->connections);
            ovs_list_push_back(&listeners, &l->node);
        }
        if (monitor->config.stream) {
            configure(monitor);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Ends the stream of 'l'. */
static void
close_listener(struct listener *l)
{
    struct connection *c;

    if (l->fd >= 0) {
        fatal_signal_unlink_file_now(l->path);
        close(l->fd);
    }
    end_rings(l);
    LIST_FOR_EACH_SAFE (c, node, &l->connections) {
        tell(c);
        if (c->fd >= 0) {
            send_error(c, ESHUTDOWN, "the stream of bridge %s was switched "
                       "off", l->monitor->name);
        }
        destroy_connection(c);
    }
    ovs_mutex_lock(&measure_mutex);
    l->monitor->stream.listening = false;
    ovs_mutex_unlock(&measure_mutex);
    measure_monitor_unref(l->monitor);
    ovs_list_remove(&l->node);
    free(l->path);
    free(l);
}

static void
run_listener(struct listener *l)
{
    struct connection *c;

    accept_connections(l);
    LIST_FOR_EACH (c, node, &l->connections) {
        receive(c);
    }
    make_rings(l);
    end_rings(l);
    update_headers(l);
    LIST_FOR_EACH_SAFE (c, node, &l->connections) {
        tell(c);
        give_up(c);
        if (c->fd < 0) {
            end_rings(l);
            destroy_connection(c);
        }
    }
}

/* Waits for what 'l' has to do next.  Returns true if packet threads want to
 * know the time. */
static bool
wait_for_listener(const struct listener *l)
{
    const struct connection *c;
    bool clock = false;

    if (l->fd >= 0 && now_ms() >= l->next_accept) {
        poll_fd_wait(l->fd, POLLIN);
    } else if (l->fd >= 0) {
        poll_timer_wait(ACCEPT_MS);
    } else if (l->next_open != LLONG_MAX) {
        poll_timer_wait(OPEN_MS);
    }
    LIST_FOR_EACH (c, node, &l->connections) {
        poll_fd_wait(c->fd, c->blocked ? POLLIN | POLLOUT : POLLIN);
        if (must_answer(c)) {
            poll_timer_wait(MAX(c->deadline - now_ms(), 0));
        }
        if (c->stuck) {
            poll_timer_wait(MAX(c->stuck + ANSWER_MS - now_ms(), 0));
        }
        clock |= c->subscribed;
    }
    return clock;
}

static void *
stream_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(measure_stream_seq);
        struct listener *l;
        bool clock = false;

        update_listeners();
        LIST_FOR_EACH_SAFE (l, node, &listeners) {
            if (!l->wanted) {
                close_listener(l);
            }
        }
        LIST_FOR_EACH (l, node, &listeners) {
            if (l->fd < 0 && now_ms() >= l->next_open) {
                open_socket(l);
            }
            run_listener(l);
            clock |= wait_for_listener(l);
        }
        if (clock) {
            update_clock();
            poll_timer_wait(CLOCK_MS);
        }
        seq_wait(measure_stream_seq, seq);
        poll_block();
    }
    OVS_NOT_REACHED();
}

void
measure_stream_start(void)
{
    ovs_thread_create("measure-stream", stream_main, NULL);
}
