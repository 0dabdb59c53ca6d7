/* SPDX-License-Identifier: Apache-2.0 */
/* Packet records and flow keys. */

#ifndef MEASURE_RECORD_H
#define MEASURE_RECORD_H 1

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Packet records and flow keys
 * ============================
 *
 * A packet record is what the packet path knows of one packet: the verdict of
 * the parser, the flow key, and the length of the frame.  It is filled by
 * measure-parse.h, and counted by measure-tally.h.
 *
 * A flow key is an array of 64-bit words in one of two layouts:
 *
 *     narrow word 0  source address (low half), destination address
 *            word 1  "ports word"
 *
 *     wide   words 0 and 1  source address
 *            words 2 and 3  destination address
 *            word 4         "ports word"
 *            word 5         tunnel id, MEASURE_KEY_TUNNELLED,
 *                           MEASURE_KEY_IPV4
 *
 * The ports word has, from its low end, the source port (16 bits), the
 * destination port (16), the protocol (8), the VLAN id of the outermost tag or
 * 0 (12), and the number that the monitor gave to the port of the switch that
 * the packet came in by (12; 0 is none).
 *
 * Packets of IPv4 have a narrow key, those of IPv6 a wide one.  So does a
 * packet of either family that comes out of a tunnel, for there is its tunnel
 * id: if it is IPv4, MEASURE_KEY_IPV4 is set and its addresses are in the last
 * four bytes of those of IPv6, the rest zero.
 *
 * Addresses are kept in network byte order as they are in the packet, all else
 * in host byte order.
 *
 * A key that is less than a flow (a pair of addresses, a source, a
 * destination) has the same layout with the other fields zero, which is what
 * masking it with struct measure_mask makes of it.
 *
 * Thread safety: plain data, no shared state. */

#define MEASURE_KEY_WORDS 6     /* Words of the longest key. */

/* In the last word of a wide key, above the tunnel id. */
#define MEASURE_KEY_TUNNELLED (UINT64_C(1) << 32)
#define MEASURE_KEY_IPV4 (UINT64_C(1) << 33)

#define MEASURE_VLAN_SHIFT 40
#define MEASURE_PORT_SHIFT 52
#define MEASURE_MAX_PORT 4095   /* Largest number of a port of the switch. */

enum measure_layout {
    MEASURE_NARROW,
    MEASURE_WIDE,
    MEASURE_N_LAYOUTS
};

/* Of addresses.  Not the same: IPv4 is narrow or, out of a tunnel, wide. */
enum measure_family {
    MEASURE_IPV4,
    MEASURE_IPV6,
    MEASURE_N_FAMILIES
};

/* Begins a function whose callers pass a layout as a constant: each call
 * becomes code of its own, in which loops over the words of a key are
 * unrolled.  By itself the compiler makes one slow function of them. */
#define MEASURE_SPECIALISED static inline __attribute__((always_inline))

static inline unsigned int
measure_key_words(enum measure_layout layout)
{
    return layout == MEASURE_NARROW ? 2 : MEASURE_KEY_WORDS;
}

/* The index of the ports word. */
static inline unsigned int
measure_key_ports(enum measure_layout layout)
{
    return layout == MEASURE_NARROW ? 1 : 4;
}

/* What became of a packet.  Each packet has exactly one verdict.  The first
 * MEASURE_N_LAYOUTS are the layouts of the keys of packets that count. */
enum measure_verdict {
    MEASURE_COUNT_NARROW = MEASURE_NARROW,
    MEASURE_COUNT_WIDE = MEASURE_WIDE,
    MEASURE_NOT_IP,             /* Neither IPv4 nor IPv6. */
    MEASURE_MALFORMED,          /* An IP header that cannot be right. */
    MEASURE_N_VERDICTS
};

#define MEASURE_BURST 32            /* Records counted at a time. */

struct measure_record {
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t hash;              /* Set by measure_tally_count(). */
    uint32_t bytes;             /* Length of the frame without its FCS. */
    uint8_t verdict;            /* enum measure_verdict. */

    /* Set by measure_parse_transport() only, for packets that count. */
    uint8_t padding;            /* Bytes of the frame behind the IP packet;
                                 * MEASURE_MAX_PADDING is that or more. */
    uint16_t transport;         /* Offset of the TCP header, whose first 20
                                 * bytes are in the IP packet; or 0. */
};

#define MEASURE_MAX_PADDING 255

static_assert(sizeof(struct measure_record) <= 64,
              "a packet record fits a cache line");

/* The fields by which packets are grouped, from the finest. */
enum measure_key_kind {
    MEASURE_KIND_FLOW,
    MEASURE_KIND_PAIR,
    MEASURE_KIND_SOURCE,
    MEASURE_KIND_DESTINATION,
    MEASURE_N_KINDS
};

struct measure_mask {
    uint64_t words[MEASURE_N_LAYOUTS][MEASURE_KEY_WORDS];
};

/* A key taken apart, for people. */
struct measure_fields {
    enum measure_family family;
    uint8_t source[16];         /* First 4 bytes only for IPv4. */
    uint8_t destination[16];    /* Likewise. */
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t protocol;
    uint16_t vlan;              /* 0 without one. */
    uint16_t port;              /* Of the switch; 0 for none. */
    bool tunnelled;
    uint32_t tunnel;            /* Tunnel id, if 'tunnelled'. */
};

static inline uint64_t
measure_ports_word(uint16_t source_port, uint16_t destination_port,
                   uint8_t protocol)
{
    return (source_port
            | (uint64_t) destination_port << 16
            | (uint64_t) protocol << 32);
}

/* Says that the packet of 'record' came in by the switch's port 'port', up to
 * MEASURE_MAX_PORT. */
static inline void
measure_record_set_port(struct measure_record *record, uint16_t port)
{
    if (record->verdict < MEASURE_N_LAYOUTS) {
        record->key[measure_key_ports(record->verdict)]
            |= (uint64_t) port << MEASURE_PORT_SHIFT;
    }
}

void measure_key_widen(const uint64_t *narrow, uint64_t *wide);
void measure_record_set_tunnel(struct measure_record *, uint32_t tunnel);

/* What remains of a key when it is grouped by something. */
extern const struct measure_mask measure_masks[MEASURE_N_KINDS];

/* What is counted with that key.  A flow keeps the port of the switch, which
 * is no part of it. */
extern const struct measure_mask measure_count_masks[MEASURE_N_KINDS];

const char *measure_kind_name(enum measure_key_kind);
bool measure_kind_from_name(const char *name, enum measure_key_kind *);
bool measure_kind_derives(enum measure_key_kind from,
                          enum measure_key_kind key_kind);

static inline bool
measure_kind_has_source(enum measure_key_kind key_kind)
{
    return key_kind != MEASURE_KIND_DESTINATION;
}

static inline bool
measure_kind_has_destination(enum measure_key_kind key_kind)
{
    return key_kind != MEASURE_KIND_SOURCE;
}

void measure_fields_from_key(struct measure_fields *, enum measure_layout,
                             const uint64_t *key);
enum measure_layout measure_key_from_fields(uint64_t *key,
                                            const struct measure_fields *);
int measure_fields_compare(const struct measure_fields *,
                           const struct measure_fields *);

/* Returns true if the fields of 'key' certainly come behind 'fields' in the
 * order of measure_fields_compare(); of most keys, this is fast to see. */
static inline bool
measure_key_follows(enum measure_layout layout, const uint64_t *key,
                    const struct measure_fields *fields)
{
    uint32_t addresses[2], source, destination;

    if (layout != MEASURE_NARROW) {
        return false;
    }
    memcpy(addresses, key, sizeof addresses);
    memcpy(&source, fields->source, sizeof source);
    memcpy(&destination, fields->destination, sizeof destination);
    return (addresses[0] != source
            ? ntohl(addresses[0]) > ntohl(source)
            : (fields->family == MEASURE_IPV4
               && ntohl(addresses[1]) > ntohl(destination)));
}

#endif /* measure-record.h */
