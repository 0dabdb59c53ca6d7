/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the switch and readers of its packet streams. */

#ifndef MEASURE_STREAM_PROTOCOL_H
#define MEASURE_STREAM_PROTOCOL_H 1

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* How a reader gets the rings of a bridge
 * =======================================
 *
 * For each bridge with measure-stream=true the switch listens on the UNIX
 * socket RUNDIR/measure-stream.BRIDGE, of type SOCK_SEQPACKET, which only root
 * and the user of ovs-vswitchd may connect to.  Each message is one packet of
 * the socket and one of the structures below:
 *
 *     switch                          reader
 *     HELLO          ------------>
 *                    <------------    SUBSCRIBE
 *     RING           ------------>    for each packet thread, with two file
 *     ...                             descriptors
 *                    <------------    MAPPED for each RING
 *     PORT           ------------>    for each port that has a number
 *     ...
 *     READY          ------------>
 *     RING, RING_END, PORT ------>    whenever something changes
 *     ERROR          ------------>    before the switch hangs up
 *
 * The first message of each side has the magic number and the version.  A
 * switch that does not speak the reader's version says ERROR EPROTONOSUPPORT,
 * and in it the version that it speaks.
 *
 * File descriptors of RING.  The first is the ring (measure-ring.h), 'size'
 * bytes that the reader maps read-only; more it cannot.  The second is the
 * page with the reader's cursor (struct measure_cursor), which the reader maps
 * to read and write.  Neither can be made smaller or larger.
 *
 * MAPPED says that both are mapped.  From then on nobody can map the cursor to
 * write, or take its page away (F_SEAL_FUTURE_WRITE), and only then the thread
 * begins to write to the ring: packets that it counts are in the ring, or
 * counted as filtered or dropped.  READY follows when all rings have been
 * MAPPED: packets received after READY was sent are in a ring for all threads.
 * A reader that does not say MAPPED, or leaves what it is sent in its socket,
 * for some seconds is hung up on.
 *
 * RING_END says that a thread has ended, after its last mark (with 'end') has
 * been written: what is in the ring can still be read.  If there was no room
 * for that mark, the counters in the header of the ring say the same.
 *
 * PORT says what port the number in a key stands for from now on, an empty
 * name that it stands for none.  Keys can be faster than this message.
 *
 * Numbers are in the byte order of the host; a name is a string that ends with
 * a zero.  Readers ignore messages of types that they do not know. */

#define MEASURE_STREAM_MAGIC UINT64_C(0x6d7274732d73766f)   /* "ovs-strm" */
#define MEASURE_STREAM_VERSION 1
#define MEASURE_STREAM_MAX_READERS 8        /* Of a bridge. */
#define MEASURE_STREAM_MIN_SLOTS 4096
#define MEASURE_STREAM_MAX_SLOTS 1048576
#define MEASURE_STREAM_FDS 2
#define MEASURE_STREAM_MAX_MESSAGE 256

enum measure_stream_type {
    MEASURE_STREAM_HELLO = 1,
    MEASURE_STREAM_SUBSCRIBE,
    MEASURE_STREAM_RING,
    MEASURE_STREAM_PORT,
    MEASURE_STREAM_READY,
    MEASURE_STREAM_RING_END,
    MEASURE_STREAM_ERROR,
    MEASURE_STREAM_MAPPED
};

/* Begins each message, and is all of READY. */
struct measure_stream_head {
    uint32_t type;              /* enum measure_stream_type. */
    uint32_t length;            /* Of the message, in bytes. */
};

struct measure_stream_hello {
    struct measure_stream_head head;
    uint64_t magic;
    uint32_t version;
    uint32_t unused;
    char bridge[232];
};

/* The reader wants the first bytes of each frame, too.  It gets them while
 * measure-stream-headers=true. */
#define MEASURE_STREAM_WANTS_HEADERS 1

struct measure_stream_subscribe {
    struct measure_stream_head head;
    uint64_t magic;
    uint32_t version;
    uint32_t flags;             /* MEASURE_STREAM_WANTS_*. */
    uint64_t n_slots;           /* A power of 2 from MEASURE_STREAM_MIN_SLOTS
                                 * to MEASURE_STREAM_MAX_SLOTS, or 0 for what
                                 * measure-stream-slots says. */
    char name[224];             /* Of the reader, for people. */
};

struct measure_stream_ring {
    struct measure_stream_head head;
    uint32_t id;                /* No other ring of the reader ever has it. */
    uint32_t core_id;           /* Of the thread; UINT32_MAX for the main
                                 * thread. */
    int32_t numa_id;            /* Negative if not known. */
    uint32_t unused;
    uint64_t n_slots;
    uint64_t size;              /* Of the ring, in bytes, to map. */
};

struct measure_stream_port {
    struct measure_stream_head head;
    uint32_t number;            /* 1 to MEASURE_MAX_PORT. */
    uint32_t unused;
    char name[240];             /* Cut if it is longer. */
};

struct measure_stream_ring_end {
    struct measure_stream_head head;
    uint32_t id;
    uint32_t unused;
};

/* From the reader, once for each RING, also if RING_END has come. */
struct measure_stream_mapped {
    struct measure_stream_head head;
    uint32_t id;
    uint32_t unused;
};

/* 'error' is one of errno, with the values of Linux:
 *
 *     EPROTONOSUPPORT   unknown version, or not our magic number
 *     EINVAL            a SUBSCRIBE that is not valid, or a message that was
 *                       not expected
 *     EACCES            another user
 *     EUSERS            too many readers
 *     ENOMEM            no memory, or file descriptors, for rings
 *     ETIMEDOUT         no SUBSCRIBE, or no MAPPED, for some seconds
 *     ESHUTDOWN         the stream was switched off */
struct measure_stream_error {
    struct measure_stream_head head;
    uint32_t error;
    uint32_t version;           /* That the switch speaks. */
    char text[240];             /* What is wrong, and what is valid. */
};

static_assert(sizeof(struct measure_stream_head) == 8
              && sizeof(struct measure_stream_hello) == 256
              && offsetof(struct measure_stream_hello, bridge) == 24
              && sizeof(struct measure_stream_subscribe) == 256
              && offsetof(struct measure_stream_subscribe, name) == 32
              && sizeof(struct measure_stream_ring) == 40
              && offsetof(struct measure_stream_ring, n_slots) == 24
              && sizeof(struct measure_stream_port) == 256
              && offsetof(struct measure_stream_port, name) == 16
              && sizeof(struct measure_stream_ring_end) == 16
              && sizeof(struct measure_stream_mapped) == 16
              && sizeof(struct measure_stream_error) == 256
              && offsetof(struct measure_stream_error, text) == 16,
              "programs in other languages know the layout");

#endif /* measure-stream-protocol.h */
