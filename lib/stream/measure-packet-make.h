/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the headers of a packet from its record. */

#ifndef MEASURE_PACKET_MAKE_H
#define MEASURE_PACKET_MAKE_H 1

#include "stream/measure-slot.h"

/* Headers of packets
 * ==================
 *
 * A record (measure-slot.h) may have the first bytes of its frame.  If it has
 * not, they are made from what it knows, for programs that want packets:
 *
 *     Ethernet    with one 802.1Q tag if the VLAN id is not 0
 *     IPv4, IPv6  addresses, protocol, length
 *     TCP         ports, sequence number, flags
 *     UDP         ports, length
 *     SCTP        ports
 *     ICMP        nothing that is in a record
 *
 * measure_parse() makes the same key and length of them as it made of the
 * frame.  Of a packet out of a tunnel, they are those of the inner packet.
 *
 * What is not in a record is constant: the MEASURE_PACKET_* below, else 0.
 * Payload is taken to be zeros, and checksums are right for that, except that
 * of SCTP, which is 0.
 *
 * Nobody should take for known what is not:
 *
 *   - A packet of TCP, UDP or SCTP without ports is made a later fragment,
 *     for almost all of those are.
 *   - Of a TCP header that was not whole, only the ports are made: nothing
 *     behind them is captured.
 *   - The type of ICMP is 255, which is reserved; SCTP has no chunks.
 *   - TCP headers have options of unknown kind (zeros) if that explains how
 *     many bytes are not payload, else padding behind the IP packet explains
 *     them.
 *
 * A record whose length has no room for the headers that its key needs came
 * without an Ethernet header; it is made longer by that.
 *
 * Work: constant, some 70 ns.
 *
 * Thread safety: pure functions. */

/* Bytes that are made, at most. */
#define MEASURE_PACKET_MAX MEASURE_SLOT_HEADERS

#define MEASURE_PACKET_DESTINATION_MAC { 0x02, 0, 0, 0, 0, 0x02 }
#define MEASURE_PACKET_SOURCE_MAC { 0x02, 0, 0, 0, 0, 0x01 }
#define MEASURE_PACKET_TTL 64           /* Or hop limit. */
#define MEASURE_PACKET_WINDOW 65535
#define MEASURE_PACKET_ICMP_TYPE 255
#define MEASURE_PACKET_FRAGMENT 1       /* Offset, in 8 bytes. */

/* The beginning of a packet. */
struct measure_packet {
    const uint8_t *data;
    uint32_t captured;          /* Bytes at 'data'. */
    uint32_t length;            /* On the wire; at least 'captured'. */
    bool made;                  /* Not as received. */
};

size_t measure_packet_make(const struct measure_slot *,
                           uint8_t frame[MEASURE_PACKET_MAX]);
void measure_packet_get(const struct measure_slot *,
                        uint8_t buffer[MEASURE_PACKET_MAX],
                        struct measure_packet *);

#endif /* measure-packet-make.h */
