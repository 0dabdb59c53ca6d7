/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a packet record of a frame. */

#include <config.h>

#include "key/measure-parse.h"

#include <string.h>

#include "base/measure-base.h"

#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_VLAN_SERVICE 0x88a8
#define ETHERTYPE_MIN 0x0600

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_SCTP 132
#define PROTOCOL_MOBILITY 135

#define TCP_HEADER_MIN 20

static inline uint16_t
load16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

/* The last word of a key.  'p' points at the transport header, 'end' behind
 * the frame. */
static inline uint64_t
parse_ports(const uint8_t *p, const uint8_t *end, uint8_t protocol)
{
    bool has_ports = (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP
                      || protocol == PROTOCOL_SCTP);

    return (has_ports && end - p >= 4
            ? measure_ports_word(load16(p), load16(p + 2), protocol)
            : measure_ports_word(0, 0, protocol));
}

/* Tells where the TCP header is that 'p' points at if 'protocol' is TCP, in an
 * IP packet that ends at 'ip_end'. */
static inline void
tell_transport(const uint8_t *p, const uint8_t *ip_end, uint8_t protocol,
               const uint8_t *frame, struct measure_record *record)
{
    if (protocol == PROTOCOL_TCP && ip_end - p >= TCP_HEADER_MIN) {
        record->transport = p - frame;
    }
}

static inline void
tell_padding(const uint8_t *ip_end, const uint8_t *end,
             struct measure_record *record)
{
    record->padding = measure_min(end - ip_end, MEASURE_MAX_PADDING);
}

static inline __attribute__((always_inline)) enum measure_verdict
parse_ipv4(const uint8_t *p, const uint8_t *end, const uint8_t *frame,
           bool transport, struct measure_record *record)
{
    uint64_t *key = record->key;
    size_t size = end - p;

    if (size < 20) {
        return MEASURE_MALFORMED;
    }

    size_t header = (p[0] & 0x0f) * 4;
    size_t total = load16(p + 2);

    if (p[0] >> 4 != 4 || header < 20 || header > total || total > size) {
        return MEASURE_MALFORMED;
    }

    bool later_fragment = load16(p + 6) & 0x1fff;
    uint8_t protocol = p[9];

    memcpy(key, p + 12, 8);
    key[1] = (later_fragment
              ? measure_ports_word(0, 0, protocol)
              : parse_ports(p + header, end, protocol));
    if (transport) {
        tell_padding(p + total, end, record);
        if (!later_fragment) {
            tell_transport(p + header, p + total, protocol, frame, record);
        }
    }
    return MEASURE_COUNT_NARROW;
}

static inline __attribute__((always_inline)) enum measure_verdict
parse_ipv6(const uint8_t *p, const uint8_t *end, const uint8_t *frame,
           bool transport, struct measure_record *record)
{
    uint64_t *key = record->key;

    if (end - p < 40 || p[0] >> 4 != 6 || load16(p + 4) + 40 > end - p) {
        return MEASURE_MALFORMED;
    }

    const uint8_t *ip_end = p + 40 + load16(p + 4);
    uint8_t protocol = p[6];

    if (transport) {
        tell_padding(ip_end, end, record);
    }
    memcpy(key, p + 8, 32);
    key[5] = 0;
    p += 40;

    for (int i = 0; ; i++) {
        size_t length;

        switch (protocol) {
        case PROTOCOL_HOP_BY_HOP:
        case PROTOCOL_ROUTING:
        case PROTOCOL_DESTINATION_OPTIONS:
        case PROTOCOL_MOBILITY:
        case PROTOCOL_AUTHENTICATION:
        case PROTOCOL_FRAGMENT:
            break;
        default:
            key[4] = parse_ports(p, end, protocol);
            if (transport) {
                tell_transport(p, ip_end, protocol, frame, record);
            }
            return MEASURE_COUNT_WIDE;
        }

        if (end - p < 8 || i == MEASURE_MAX_EXTENSIONS) {
            break;
        }
        if (protocol == PROTOCOL_FRAGMENT) {
            if (load16(p + 2) & 0xfff8) {
                protocol = p[0];
                break;
            }
            length = 8;
        } else if (protocol == PROTOCOL_AUTHENTICATION) {
            length = (p[1] + 2) * 4;
        } else {
            length = (p[1] + 1) * 8;
        }
        protocol = p[0];
        if ((size_t) (end - p) < length) {
            break;
        }
        p += length;
    }

    /* A later fragment, or a chain that is too long or leaves the frame. */
    key[4] = measure_ports_word(0, 0, protocol);
    return MEASURE_COUNT_WIDE;
}

/* Not in a function of its own: see measure_parse_transport(). */
static inline __attribute__((always_inline)) void
parse(const void *frame, size_t size, uint16_t ethertype, bool transport,
      struct measure_record *record)
{
    const uint8_t *p = frame;
    const uint8_t *end = p + size;
    enum measure_verdict verdict;

    uint64_t vlan = 0;

    record->bytes = size;
    if (transport) {
        record->padding = 0;
        record->transport = 0;
    }

    if (ethertype == MEASURE_ETHERTYPE_ETHERNET) {
        if (size < 14) {
            record->verdict = MEASURE_NOT_IP;
            return;
        }
        ethertype = load16(p + 12);
        p += 14;
        for (int i = 0; (i < MEASURE_MAX_TAGS && end - p >= 4
                         && (ethertype == ETHERTYPE_VLAN
                             || ethertype == ETHERTYPE_VLAN_SERVICE)); i++) {
            if (!i) {
                vlan = load16(p) & 0xfff;
            }
            ethertype = load16(p + 2);
            p += 4;
        }
        if (ethertype < ETHERTYPE_MIN && end - p >= 8
            && !memcmp(p, "\xaa\xaa\x03\x00\x00\x00", 6)) {
            ethertype = load16(p + 6);
            p += 8;
        }
    }

    if (ethertype == MEASURE_ETHERTYPE_IPV4) {
        verdict = parse_ipv4(p, end, frame, transport, record);
        record->key[1] |= vlan << MEASURE_VLAN_SHIFT;
    } else if (ethertype == MEASURE_ETHERTYPE_IPV6) {
        verdict = parse_ipv6(p, end, frame, transport, record);
        record->key[4] |= vlan << MEASURE_VLAN_SHIFT;
    } else {
        verdict = MEASURE_NOT_IP;
    }
    record->verdict = verdict;
}

/* Parses the 'size' bytes at 'frame', which start with an Ethernet header if
 * 'ethertype' is MEASURE_ETHERTYPE_ETHERNET, else with the header that
 * 'ethertype' names. */
void
measure_parse(const void *frame, size_t size, uint16_t ethertype,
              struct measure_record *record)
{
    parse(frame, size, ethertype, false, record);
}

/* The same, and tells where the TCP header is and where the IP packet ends. */
void
measure_parse_transport(const void *frame, size_t size, uint16_t ethertype,
                        struct measure_record *record)
{
    parse(frame, size, ethertype, true, record);
}
