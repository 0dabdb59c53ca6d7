/* SPDX-License-Identifier: Apache-2.0 */
/* Makes records of the packets of a capture. */

#ifndef STREAM_CAPTURE_H
#define STREAM_CAPTURE_H 1

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "stream/measure-slot.h"

/* Captures as streams
 * ===================
 *
 * Reads captures in pcap and pcapng format, by libpcap, and makes the records
 * that the switch would make of their packets:
 *
 *   - Packets count by their length on the wire.  Of a capture that holds only
 *     headers, what is not there is taken to be zeros, as "ovs-measure-pcap
 *     extend" does.
 *   - Only packets with a sane IP header have records.  The others are
 *     counted.
 *   - Times are those of the capture, in nanoseconds.
 *
 * Link types are Ethernet, raw IP, Linux cooked (SLL and SLL2) and that of BSD
 * loopback interfaces.  A packet without Ethernet header is given one of 14
 * bytes in place of the header that it has, and counts with it, so that it is
 * the same packet as on an Ethernet.
 *
 * Headers in records ('headers') are zeros behind what was captured.
 *
 * A damaged or truncated capture ends with an error that says behind which
 * packet; packets in front of it are good.
 *
 * Memory: 128 KiB, and that of libpcap.
 *
 * Thread safety: a capture belongs to one thread. */

/* The longest packet on the wire that has a record.  Longer ones, which only
 * damaged captures have, are counted in 'too_long'. */
#define STREAM_CAPTURE_MAX ((uint32_t) MEASURE_SLOT_LENGTH_MASK - 14)

struct stream_capture;

/* Of the packets read so far: the sum of the last five is 'packets'. */
struct stream_capture_counters {
    uint64_t packets;
    uint64_t bytes;             /* On the wire, of those with records. */
    uint64_t narrow;            /* With records, by the layout of their key. */
    uint64_t wide;
    uint64_t not_ip;
    uint64_t malformed;
    uint64_t too_long;
};

struct stream_capture_options {
    bool headers;               /* Records have the first bytes of frames. */

    /* Called now and then with how many bytes have been read, of 'total'; 0 if
     * that is not known, as of a pipe.  May be NULL. */
    void (*progress)(void *aux, uint64_t done, uint64_t total);
    void *aux;
};

struct stream_capture *
stream_capture_open(const char *path, const struct stream_capture_options *,
                    char **error);
struct stream_capture *
stream_capture_open_file(FILE *, const char *name,
                         const struct stream_capture_options *,
                         char **error);
unsigned int stream_capture_next(struct stream_capture *,
                                 struct measure_slot slots[MEASURE_SLOT_MAX],
                                 char **error);
const struct stream_capture_counters *
stream_capture_counters(const struct stream_capture *);
void stream_capture_close(struct stream_capture *);

#endif /* stream-capture.h */
