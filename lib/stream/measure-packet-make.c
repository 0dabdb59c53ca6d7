/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the headers of a packet from its record. */

#include <config.h>

#include "stream/measure-packet-make.h"

#include <string.h>

#define ETHERNET_SIZE 14
#define TAG_SIZE 4
#define IPV4_SIZE 20
#define IPV6_SIZE 40
#define FRAGMENT_SIZE 8
#define PORTS_SIZE 4
#define TCP_SIZE 20
#define TCP_OPTIONS_MAX 40
#define UDP_SIZE 8
#define SCTP_SIZE 12
#define ICMP_SIZE 8

#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_SCTP 132
#define PROTOCOL_MOBILITY 135

#define MAX_LENGTH 65535        /* What length fields of 16 bits can say. */

static_assert(ETHERNET_SIZE + TAG_SIZE + IPV6_SIZE + TCP_SIZE
              <= MEASURE_PACKET_MAX, "all but the options of TCP fits");

static inline void
put16(uint8_t *p, uint16_t value)
{
    p[0] = value >> 8;
    p[1] = value;
}

static inline void
put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

/* Adds the words at 'p', of 'size' bytes, a multiple of 4, to 'sum'.  A
 * checksum does not depend on the order of bytes and can be made of larger
 * words (RFC 1071): these are as they are in memory. */
static inline uint64_t
sum_words(const uint8_t *p, size_t size, uint64_t sum)
{
    for (size_t i = 0; i < size; i += 4) {
        uint32_t word;

        memcpy(&word, p + i, sizeof word);
        sum += word;
    }
    return sum;
}

static inline void
put_sum(uint8_t *p, uint64_t sum)
{
    uint16_t checksum;

    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    checksum = ~sum;
    memcpy(p, &checksum, sizeof checksum);
}

static bool
has_ports(uint8_t protocol)
{
    return (protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP
            || protocol == PROTOCOL_SCTP);
}

/* The extension headers that measure_parse() walks. */
static bool
is_extension(uint8_t protocol)
{
    switch (protocol) {
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_FRAGMENT:
    case PROTOCOL_AUTHENTICATION:
    case PROTOCOL_DESTINATION_OPTIONS:
    case PROTOCOL_MOBILITY:
        return true;
    default:
        return false;
    }
}

/* What is made, step by step. */
struct maker {
    const struct measure_slot *slot;
    struct measure_fields fields;
    uint8_t *ip;
    uint8_t *transport;         /* Behind the IP header. */
    size_t room;                /* Bytes of the IP packet from there on. */
    size_t made;                /* Of them, those to write. */
};

static void
put_ethernet(struct maker *m, uint8_t *frame)
{
    static const uint8_t addresses[2][6] = {
        MEASURE_PACKET_DESTINATION_MAC, MEASURE_PACKET_SOURCE_MAC,
    };
    uint8_t *p = frame + sizeof addresses;

    memcpy(frame, addresses, sizeof addresses);
    if (m->fields.vlan) {
        put16(p, ETHERTYPE_VLAN);
        put16(p + 2, m->fields.vlan);
        p += TAG_SIZE;
    }
    put16(p, (m->fields.family == MEASURE_IPV4
              ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6));
    m->ip = p + 2;
}

/* Sums what the checksum of a transport header has besides the header. */
static uint64_t
sum_pseudo_header(const struct maker *m)
{
    size_t size = m->fields.family == MEASURE_IPV4 ? 4 : 16;
    uint64_t sum = htonl(m->fields.protocol + m->room);

    sum = sum_words(m->fields.source, size, sum);
    return sum_words(m->fields.destination, size, sum);
}

/* Puts the checksum of 'size' bytes of header at 'checksum'.  A header that is
 * cut has none. */
static void
put_checksum(const struct maker *m, size_t size, uint8_t *checksum,
             uint64_t sum)
{
    if (size <= m->room) {
        put_sum(checksum, sum_words(m->transport, size, sum));
    }
}

static void
put_tcp(struct maker *m)
{
    uint64_t known = m->slot->words[3] & ~(MEASURE_SLOT_LENGTH_MASK
                                           << MEASURE_SLOT_LENGTH_SHIFT);
    int payload = measure_slot_payload(m->slot);
    size_t header = TCP_SIZE;
    uint8_t *tcp = m->transport;

    m->made = PORTS_SIZE;
    if (!known) {
        return;
    }
    if (payload >= 0 && m->room > header + payload) {
        size_t rest = m->room - header - payload;

        if (rest <= TCP_OPTIONS_MAX && rest % 4 == 0) {
            header += rest;
        } else {
            m->room = header + payload;
        }
    }
    put32(tcp + 4, measure_slot_sequence(m->slot));
    tcp[12] = header / 4 << 4;
    tcp[13] = measure_slot_tcp_flags(m->slot);
    put16(tcp + 14, MEASURE_PACKET_WINDOW);
    put_checksum(m, TCP_SIZE, tcp + 16, sum_pseudo_header(m));
    m->made = header;
}

static void
put_udp(struct maker *m)
{
    uint8_t *udp = m->transport;

    put16(udp + 4, m->room);
    put_checksum(m, UDP_SIZE, udp + 6, sum_pseudo_header(m));
    if (!udp[6] && !udp[7]) {
        put16(udp + 6, 0xffff); /* 0 would say that there is none. */
    }
    m->made = UDP_SIZE;
}

static void
put_icmp(struct maker *m)
{
    uint8_t *icmp = m->transport;

    icmp[0] = MEASURE_PACKET_ICMP_TYPE;
    put_checksum(m, ICMP_SIZE, icmp + 2,
                 (m->fields.protocol == PROTOCOL_ICMPV6
                  ? sum_pseudo_header(m) : 0));
    m->made = ICMP_SIZE;
}

static void
put_transport(struct maker *m)
{
    switch (m->fields.protocol) {
    case PROTOCOL_TCP:
    case PROTOCOL_UDP:
    case PROTOCOL_SCTP:
        put16(m->transport, m->fields.source_port);
        put16(m->transport + 2, m->fields.destination_port);
        if (m->fields.protocol == PROTOCOL_TCP) {
            put_tcp(m);
        } else if (m->fields.protocol == PROTOCOL_UDP) {
            put_udp(m);
        } else {
            m->made = SCTP_SIZE;
        }
        break;
    case PROTOCOL_ICMP:
    case PROTOCOL_ICMPV6:
        put_icmp(m);
        break;
    default:
        break;
    }
    m->made = measure_min(m->made, m->room);
}

/* Whether the packet is one whose ports are not there to be seen. */
static bool
is_later_fragment(const struct maker *m)
{
    return (has_ports(m->fields.protocol)
            && !m->fields.source_port && !m->fields.destination_port
            && (m->fields.protocol != PROTOCOL_TCP
                || !(m->slot->words[3] & ~(MEASURE_SLOT_LENGTH_MASK
                                           << MEASURE_SLOT_LENGTH_SHIFT))));
}

static void
put_ipv4(struct maker *m)
{
    uint8_t *ip = m->ip;

    if (is_later_fragment(m)) {
        put16(ip + 6, MEASURE_PACKET_FRAGMENT);
    } else {
        put_transport(m);
    }
    ip[0] = 0x45;
    put16(ip + 2, IPV4_SIZE + m->room);
    ip[8] = MEASURE_PACKET_TTL;
    ip[9] = m->fields.protocol;
    memcpy(ip + 12, m->fields.source, 4);
    memcpy(ip + 16, m->fields.destination, 4);
    put_sum(ip + 10, sum_words(ip, IPV4_SIZE, 0));
}

static void
put_ipv6(struct maker *m)
{
    uint8_t *ip = m->ip;

    ip[6] = m->fields.protocol;
    if (is_extension(m->fields.protocol) || is_later_fragment(m)) {
        /* With less room, measure_parse() stops at the IPv6 header. */
        if (m->room >= FRAGMENT_SIZE) {
            ip[6] = PROTOCOL_FRAGMENT;
            m->transport[0] = m->fields.protocol;
            put16(m->transport + 2, MEASURE_PACKET_FRAGMENT << 3);
            m->made = FRAGMENT_SIZE;
        }
    } else {
        put_transport(m);
    }
    ip[0] = 0x60;
    put16(ip + 4, m->room);
    ip[7] = MEASURE_PACKET_TTL;
    memcpy(ip + 8, m->fields.source, 16);
    memcpy(ip + 24, m->fields.destination, 16);
}

/* Makes the headers of the packet of the record in 'slot'.  Returns how many
 * bytes of 'frame' are theirs; those behind them are zero. */
size_t
measure_packet_make(const struct measure_slot *slot,
                    uint8_t frame[MEASURE_PACKET_MAX])
{
    /* Options of TCP, which are zeros, may be behind the end. */
    struct maker m = { .slot = slot };
    uint64_t key[MEASURE_KEY_WORDS];
    size_t length = measure_slot_length(slot);
    size_t before, room;

    measure_fields_from_key(&m.fields, measure_slot_key(slot, key), key);
    memset(frame, 0, MEASURE_PACKET_MAX);
    put_ethernet(&m, frame);

    m.transport = m.ip + (m.fields.family == MEASURE_IPV4
                          ? IPV4_SIZE : IPV6_SIZE);
    before = m.transport - frame;
    room = length > before ? length - before : 0;
    if (m.fields.source_port || m.fields.destination_port) {
        room = measure_max(room, PORTS_SIZE);
    }
    m.room = measure_min(room, (m.fields.family == MEASURE_IPV4
                                ? MAX_LENGTH - IPV4_SIZE : MAX_LENGTH));
    if (m.fields.family == MEASURE_IPV4) {
        put_ipv4(&m);
    } else {
        put_ipv6(&m);
    }

    before += m.made;
    if (before < MEASURE_PACKET_MAX) {
        memset(frame + before, 0, MEASURE_PACKET_MAX - before);
    }
    return measure_min(before, MEASURE_PACKET_MAX);
}

/* Says what there is of the packet of the record in 'slot': the headers that
 * the record has, or else those that are made in 'buffer'. */
void
measure_packet_get(const struct measure_slot *slot,
                   uint8_t buffer[MEASURE_PACKET_MAX],
                   struct measure_packet *packet)
{
    size_t captured;

    packet->data = measure_slot_headers(slot, &captured);
    packet->made = !packet->data;
    if (packet->made) {
        packet->data = buffer;
        captured = measure_packet_make(slot, buffer);
    }
    packet->captured = captured;
    packet->length = measure_max(captured, measure_slot_length(slot));
}
