/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's end of the socket of a packet stream. */

#ifndef MEASURE_STREAM_CONNECTION_H
#define MEASURE_STREAM_CONNECTION_H 1

#include <stdbool.h>

#include "stream/measure-stream-protocol.h"

/* The reader's end of the socket
 * ==============================
 *
 * Finds the socket of a bridge, connects to it, and receives messages
 * (measure-stream-protocol.h).  A message that is given to the caller has the
 * length of its type, its strings end, and it has the file descriptors that
 * belong to it: nothing that comes through the socket can make the reader read
 * beyond a message, or leave a file descriptor open.
 *
 * None of the functions waits.
 *
 * Memory: none but the structures.
 *
 * Thread safety: a socket belongs to one thread at a time. */

/* A message that was received. */
struct measure_stream_message {
    union {
        struct measure_stream_head head;
        struct measure_stream_hello hello;
        struct measure_stream_ring ring;
        struct measure_stream_port port;
        struct measure_stream_ring_end ring_end;
        struct measure_stream_error error;
        uint8_t bytes[MEASURE_STREAM_MAX_MESSAGE];
    };
    int fds[MEASURE_STREAM_FDS];        /* Of RING: the caller closes them. */
};

enum measure_stream_received {
    MEASURE_STREAM_GOT_MESSAGE,
    MEASURE_STREAM_GOT_NOTHING, /* For now. */
    MEASURE_STREAM_GOT_WRONG    /* '*error' says what is wrong. */
};

char *measure_stream_directory(const char *run_directory);
char *measure_stream_path(const char *run_directory, const char *bridge);
char *measure_stream_bridges(const char *run_directory);
int measure_stream_connect(const char *path);
char *measure_stream_subscribe(int fd, const char *name, uint64_t n_slots,
                               uint32_t flags);
char *measure_stream_mapped(int fd, uint32_t id);
enum measure_stream_received
measure_stream_receive(int fd, struct measure_stream_message *, char **error);

#endif /* measure-stream-connection.h */
