/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a packet record of a frame. */

#ifndef MEASURE_PARSE_H
#define MEASURE_PARSE_H 1

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "key/measure-record.h"

/* From a frame to a packet record
 * ===============================
 *
 * What counts: a frame whose outermost IP header, behind up to
 * MEASURE_MAX_TAGS 802.1Q and 802.1ad tags or an 802.2 SNAP header with OUI 0,
 * is sane:
 *
 *     IPv4   version 4, header at least 20 bytes, header length <= total
 *            length <= what the frame holds
 *     IPv6   version 6, 40 + payload length <= what the frame holds
 *
 * A frame without an IP header is MEASURE_NOT_IP, one whose IP header is not
 * sane or not all there is MEASURE_MALFORMED.  MPLS, PPPoE and tunnels are
 * not looked through (tunnels that the switch itself ends are measured at
 * their tunnel port, with the inner frame).
 *
 * Ports are those of TCP, UDP and SCTP in unfragmented packets and first
 * fragments, else 0; they are looked for where the headers say, to the end of
 * the frame.  For IPv6 the extension headers that say nothing of the
 * transport (hop-by-hop, routing, destination options, mobility,
 * authentication, fragment) are walked, MEASURE_MAX_EXTENSIONS of them at
 * most; the protocol of the key is what follows them.
 *
 * The VLAN id is that of the outermost tag, 0 without a tag.
 *
 * Each function reads 'size' bytes at 'frame' at most, whatever they hold.
 * Those with a record fill its key, bytes and verdict.  What the frame does
 * not say is added by measure_record_set_port() and _tunnel().
 *
 * measure_parse_plain() knows the usual frame only, and is short enough to be
 * part of a loop over packets.  It makes the key, and nothing else.
 *
 * measure_parse_transport() also fills 'transport' and 'padding', for records
 * of a stream.  It is code of its own, so that packets that are only counted
 * cost no instruction more.
 *
 * Thread safety: pure functions.  They belong to the packet path: they do not
 * allocate, lock, wait or log. */

#define MEASURE_MAX_TAGS 8
#define MEASURE_MAX_EXTENSIONS 8

#define MEASURE_ETHERTYPE_ETHERNET 0    /* The frame starts with Ethernet. */
#define MEASURE_ETHERTYPE_IPV4 0x0800
#define MEASURE_ETHERTYPE_IPV6 0x86dd

#define MEASURE_PLAIN_TRANSPORT 34      /* Offset in a plain frame. */

/* Makes the two words of the key that measure_parse() makes of the 'size'
 * bytes at 'frame', which start with an Ethernet header, if that is a plain
 * frame: IPv4 without VLAN tags or options, no later fragment, with TCP or
 * UDP.  Returns false if it is another one, for measure_parse(). */
static inline bool
measure_parse_plain(const void *frame, size_t size, uint64_t *key)
{
    const uint8_t *p = (const uint8_t *) frame;
    uint32_t type_and_version, ports;
    uint16_t total, fragment;
    uint8_t protocol;

    if (__builtin_expect(size < MEASURE_PLAIN_TRANSPORT + sizeof ports, 0)) {
        return false;
    }
    memcpy(&type_and_version, p + 12, sizeof type_and_version);
    memcpy(&total, p + 16, sizeof total);
    memcpy(&fragment, p + 20, sizeof fragment);
    protocol = p[23];
    total = ntohs(total);
    if (__builtin_expect((type_and_version & htonl(0xffffff00))
                         != htonl(0x08004500)
                         || fragment & htons(0x1fff)
                         || total < 20 || total + UINT32_C(14) > size
                         || (protocol != IPPROTO_TCP
                             && protocol != IPPROTO_UDP), 0)) {
        return false;
    }
    memcpy(&key[0], p + 26, sizeof key[0]);
    memcpy(&ports, p + MEASURE_PLAIN_TRANSPORT, sizeof ports);
    ports = ntohl(ports);
    /* Both at once: what measure_ports_word() makes of them. */
    key[1] = (ports >> 16 | ports << 16) | (uint64_t) protocol << 32;
    return true;
}

void measure_parse(const void *frame, size_t size, uint16_t ethertype,
                   struct measure_record *);
void measure_parse_transport(const void *frame, size_t size,
                             uint16_t ethertype, struct measure_record *);

#endif /* measure-parse.h */
