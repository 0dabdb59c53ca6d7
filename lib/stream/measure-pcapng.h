/* SPDX-License-Identifier: Apache-2.0 */
/* Writes captures in pcapng format. */

#ifndef MEASURE_PCAPNG_H
#define MEASURE_PCAPNG_H 1

#include "key/measure-switch-port.h"
#include "stream/measure-packet-make.h"

/* Captures in pcapng format
 * =========================
 *
 * As in draft-ietf-opsawg-pcapng: one section, little-endian, of
 *
 *     Section Header          with a comment that headers may be made
 *     Interface Description   0, "stream": all packets together
 *     Interface Description   for each port of the switch, in front of its
 *                             first packet, with the name of the port
 *     Enhanced Packet         Ethernet, nanoseconds, at most 96 bytes, and the
 *                             length on the wire; a comment with the tunnel
 *                             id, if the packet came out of a tunnel
 *     Interface Statistics    of interface 0, at marks and at the end
 *
 * A port without a number, as in a capture, is interface "no-port".
 *
 * What was lost is known for all packets of a thread together, at each mark
 * (struct measure_mark).  It stands
 *
 *   - in the statistics of interface 0, added up over the threads since the
 *     stream began: isb_ifrecv is what was offered, isb_filteraccept what the
 *     filter of the stream let in, isb_ifdrop what was dropped, isb_usrdeliv
 *     what was written here.  Without a mark, as from a capture, only the last
 *     is known;
 *   - in epb_dropcount of the next packet of that thread: what was dropped
 *     since the mark that the one before told of.
 *
 * The sum of all epb_dropcount and the last isb_ifdrop are equal if a packet
 * of each thread follows its last loss; only one of them is to be counted.
 *
 * Memory: 64 KiB, the names of interfaces, and 72 bytes for each ring.
 *
 * Each block is given to a function of the user as one piece, who keeps what
 * goes wrong.
 *
 * Thread safety: a writer belongs to one thread. */

#define MEASURE_PCAPNG_STREAM "stream"          /* Name of interface 0. */
#define MEASURE_PCAPNG_NO_PORT "no-port"

struct measure_pcapng;

typedef void measure_pcapng_put(void *aux, const void *block, size_t size);

struct measure_pcapng *measure_pcapng_create(measure_pcapng_put *, void *aux,
                                             const char *program);
void measure_pcapng_begin_ring(struct measure_pcapng *, uint32_t ring);
void measure_pcapng_packet(struct measure_pcapng *,
                           const struct measure_slot *, uint32_t ring,
                           const struct measure_port_names *);
void measure_pcapng_mark(struct measure_pcapng *, const struct measure_mark *,
                         uint32_t ring);
void measure_pcapng_finish(struct measure_pcapng *);
void measure_pcapng_destroy(struct measure_pcapng *);

#endif /* measure-pcapng.h */
