/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's end of the socket of a packet stream. */

#include <config.h>

#include "stream/measure-stream-connection.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/measure-base.h"

#define PREFIX "measure-stream."

/* More than any message has, so that there is none that we do not know of. */
#define MAX_FDS 32

/* Returns 'run_directory', or if that is NULL the one of the switch: the value
 * of the environment variable OVS_RUNDIR, or what was configured.  The caller
 * frees it. */
char *
measure_stream_directory(const char *run_directory)
{
    if (!run_directory) {
        run_directory = getenv("OVS_RUNDIR");
    }
    return measure_format("%s", (run_directory && *run_directory
                                 ? run_directory : MEASURE_RUNDIR));
}

/* Returns the name of the socket of 'bridge', which the caller frees. */
char *
measure_stream_path(const char *run_directory, const char *bridge)
{
    char *directory = measure_stream_directory(run_directory);
    char *path = measure_format("%s/" PREFIX "%s", directory, bridge);

    free(directory);
    return path;
}

/* Returns the names of the bridges that have a socket, "br0, br1", or NULL if
 * there is none.  The caller frees them. */
char *
measure_stream_bridges(const char *run_directory)
{
    char *directory = measure_stream_directory(run_directory);
    DIR *dir = opendir(directory);
    struct dirent *entry;
    char *bridges = NULL;

    while (dir && (entry = readdir(dir))) {
        if (!strncmp(entry->d_name, PREFIX, strlen(PREFIX))) {
            measure_append(&bridges, "%s%s", bridges ? ", " : "",
                           entry->d_name + strlen(PREFIX));
        }
    }
    if (dir) {
        closedir(dir);
    }
    free(directory);
    return bridges;
}

/* Connects to the socket 'path'.  Returns a file descriptor that never blocks,
 * or an errno as a negative number. */
int
measure_stream_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int directory = -1, error = 0;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    if (strlen(path) < sizeof address.sun_path) {
        strcpy(address.sun_path, path);
    } else {
        /* Addresses of sockets are short.  This is a short name of its
         * directory. */
        const char *file = strrchr(path, '/');
        char *parent = measure_format("%.*s", (int) (file ? file - path : 0),
                                      path);

        directory = file ? open(parent, O_PATH | O_CLOEXEC) : -1;
        error = directory < 0 ? (file ? errno : ENAMETOOLONG) : 0;
        free(parent);
        if (!error
            && (snprintf(address.sun_path, sizeof address.sun_path,
                         "/proc/self/fd/%d%s", directory, file)
                >= (int) sizeof address.sun_path)) {
            error = ENAMETOOLONG;
        }
    }
    if (!error
        && connect(fd, (struct sockaddr *) &address, sizeof address)) {
        error = errno;
    }
    if (directory >= 0) {
        close(directory);
    }
    if (error) {
        close(fd);
        return -error;
    }
    return fd;
}

/* Asks for rings of 'n_slots' each, 0 for what the bridge has; 'name' is that
 * of the reader, 'flags' OR of MEASURE_STREAM_WANTS_*.  If the switch has hung
 * up, what it said before that is still to be received.  Returns NULL or what
 * went wrong. */
char *
measure_stream_subscribe(int fd, const char *name, uint64_t n_slots,
                         uint32_t flags)
{
    struct measure_stream_subscribe message = {
        .head = { MEASURE_STREAM_SUBSCRIBE, sizeof message },
        .magic = MEASURE_STREAM_MAGIC,
        .version = MEASURE_STREAM_VERSION,
        .flags = flags,
        .n_slots = n_slots,
    };

    snprintf(message.name, sizeof message.name, "%s", name);
    if (send(fd, &message, sizeof message, MSG_NOSIGNAL)
        != (ssize_t) sizeof message
        && errno != EPIPE && errno != ECONNRESET) {
        return measure_format("cannot subscribe: %s", strerror(errno));
    }
    return NULL;
}

/* Says that ring 'id' is mapped.  If the switch has hung up, what it said
 * before that is still to be received.  Returns NULL or what went wrong. */
char *
measure_stream_mapped(int fd, uint32_t id)
{
    struct measure_stream_mapped message = {
        .head = { MEASURE_STREAM_MAPPED, sizeof message },
        .id = id,
    };

    if (send(fd, &message, sizeof message, MSG_NOSIGNAL)
        != (ssize_t) sizeof message
        && errno != EPIPE && errno != ECONNRESET) {
        return measure_format("cannot answer: %s", strerror(errno));
    }
    return NULL;
}

/* Returns NULL or what is wrong with string 'name' of 'size' bytes. */
static char *
check_string(const char *what, const char *s, size_t size)
{
    return (memchr(s, '\0', size) ? NULL
            : measure_format("%s of a message does not end", what));
}

/* Returns NULL or what is wrong with a message of 'size' bytes and 'n_fds'
 * file descriptors. */
static char *
check_message(const struct measure_stream_message *m, size_t size,
              size_t n_fds)
{
    size_t expected, expected_fds = 0;

    if (size < sizeof m->head || m->head.length != size) {
        return measure_format("a message of %zu bytes says that it has "
                              "%"PRIu32, size,
                              size < sizeof m->head ? 0 : m->head.length);
    }
    switch (m->head.type) {
    case MEASURE_STREAM_HELLO:
        expected = sizeof m->hello;
        break;
    case MEASURE_STREAM_RING:
        expected = sizeof m->ring;
        expected_fds = MEASURE_STREAM_FDS;
        break;
    case MEASURE_STREAM_PORT:
        expected = sizeof m->port;
        break;
    case MEASURE_STREAM_READY:
        expected = sizeof m->head;
        break;
    case MEASURE_STREAM_RING_END:
        expected = sizeof m->ring_end;
        break;
    case MEASURE_STREAM_ERROR:
        expected = sizeof m->error;
        break;
    default:
        /* Of a later version of the switch, or of a reader. */
        return NULL;
    }
    if (size != expected) {
        return measure_format("a message of type %"PRIu32" has %zu bytes, not "
                              "%zu", m->head.type, size, expected);
    }
    if (n_fds != expected_fds) {
        return measure_format("a message of type %"PRIu32" has %zu file "
                              "descriptors, not %zu", m->head.type, n_fds,
                              expected_fds);
    }
    switch (m->head.type) {
    case MEASURE_STREAM_HELLO:
        return check_string("the bridge", m->hello.bridge,
                            sizeof m->hello.bridge);
    case MEASURE_STREAM_PORT:
        return check_string("the name", m->port.name, sizeof m->port.name);
    case MEASURE_STREAM_ERROR:
        return check_string("the text", m->error.text, sizeof m->error.text);
    default:
        return NULL;
    }
}

/* Receives a message, if there is one.  '*error' must be freed. */
enum measure_stream_received
measure_stream_receive(int fd, struct measure_stream_message *m, char **error)
{
    union {
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { m->bytes, sizeof m->bytes };
    struct msghdr header = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    int fds[MAX_FDS];
    size_t n_fds = 0;
    ssize_t n;

    memset(m->bytes, 0, sizeof m->bytes);
    do {
        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return MEASURE_STREAM_GOT_NOTHING;
        }
        *error = measure_format("connection lost: %s", strerror(errno));
        return MEASURE_STREAM_GOT_WRONG;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c;
         c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            size_t n_here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            n_here = measure_min(n_here, MAX_FDS - n_fds);
            memcpy(fds + n_fds, CMSG_DATA(c), n_here * sizeof(int));
            n_fds += n_here;
        }
    }
    if (!n && !n_fds) {
        *error = measure_format("the switch has closed the connection");
    } else if (header.msg_flags & MSG_TRUNC) {
        *error = measure_format("a message of more than %d bytes",
                                MEASURE_STREAM_MAX_MESSAGE);
    } else if (header.msg_flags & MSG_CTRUNC) {
        *error = measure_format("file descriptors of a message are missing: "
                                "too many of them, or too many files are "
                                "open here");
    } else {
        *error = check_message(m, n, n_fds);
    }
    if (!*error && m->head.type == MEASURE_STREAM_RING) {
        memcpy(m->fds, fds, sizeof m->fds);
        return MEASURE_STREAM_GOT_MESSAGE;
    }
    for (size_t i = 0; i < n_fds; i++) {
        close(fds[i]);
    }
    return *error ? MEASURE_STREAM_GOT_WRONG : MEASURE_STREAM_GOT_MESSAGE;
}
