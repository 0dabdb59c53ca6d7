/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of headers that are made from records. */

#include <config.h>

#include "check-common.h"
#include "key/measure-parse.h"
#include "stream/measure-packet-make.h"

#define MAX_LENGTH 131071

/* A record, and what it was made of. */
struct made_record {
    struct measure_fields fields;
    uint32_t length;
    uint32_t sequence;
    uint8_t flags;
    uint32_t not_payload;       /* 0 without a TCP header. */
    uint64_t time_ns;
    struct measure_slot slots[MEASURE_SLOT_MAX];
};

static uint8_t extended[MAX_LENGTH + 1];

static bool
protocol_has_ports(uint8_t protocol)
{
    return protocol == 6 || protocol == 17 || protocol == 132;
}

static size_t
size_to_ip(const struct measure_fields *fields)
{
    return fields->vlan ? 18 : 14;
}

static size_t
size_of_ip(const struct measure_fields *fields)
{
    return fields->family == MEASURE_IPV4 ? 20 : 40;
}

static void
write_record(struct made_record *m)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_key_from_fields(key, &m->fields);

    measure_slot_write(m->slots, layout, key, m->time_ns, m->length,
                       (m->not_payload
                        ? measure_slot_tcp(m->sequence, m->flags,
                                           m->not_payload) : 0));
}

/* A record as it can come from a frame that begins with Ethernet. */
static struct made_record
random_record(struct random *r)
{
    static const uint8_t protocols[] = {
        6, 6, 6, 17, 17, 132, 1, 58, 0, 43, 44, 47, 50, 51, 60, 135, 2, 89,
    };
    struct made_record m;
    size_t headers, room;

    memset(&m, 0, sizeof m);
    m.fields = random_fields(r);
    m.fields.tunnelled = !random_below(r, 4);
    m.fields.tunnel = m.fields.tunnelled ? random_next(r) >> 32 : 0;
    if (random_below(r, 8)) {
        m.fields.protocol = protocols[random_below(r, ARRAY_SIZE(protocols))];
    }
    if (random_below(r, 2)) {
        m.fields.vlan = 0;
    }
    if (!protocol_has_ports(m.fields.protocol) || !random_below(r, 6)) {
        m.fields.source_port = m.fields.destination_port = 0;
    }
    headers = size_to_ip(&m.fields) + size_of_ip(&m.fields);
    room = (m.fields.source_port || m.fields.destination_port ? 4 : 0);
    room += random_below(r, (random_below(r, 2) ? 50
                             : random_below(r, 100) ? 1500
                             : MAX_LENGTH - headers - 4));
    m.length = headers + room;
    m.time_ns = random_next(r) & MEASURE_SLOT_TIME_MASK;

    if (m.fields.protocol == 6 && room >= 20 && random_below(r, 4)) {
        size_t rest = room - 20;

        rest = measure_min(rest, random_below(r, 2)
                           ? random_below(r, 11) * 4 : random_below(r, 60));
        m.not_payload = headers + 20 + rest;
        m.sequence = random_next(r) >> 32;
        m.flags = random_next(r) >> 56;
    }
    write_record(&m);
    return m;
}

/* The sum over 'size' bytes, as of RFC 1071. */
static uint16_t
internet_sum(const uint8_t *p, size_t size, uint64_t sum)
{
    for (size_t i = 0; i < size; i++) {
        sum += i % 2 ? p[i] : p[i] * 256;
    }
    while (sum > 0xffff) {
        sum = sum / 65536 + sum % 65536;
    }
    return sum;
}

/* Fills 'extended' with the frame of 'm', with zeros up to its length. */
static size_t
make_extended(const struct made_record *m, struct measure_packet *packet)
{
    uint8_t buffer[MEASURE_PACKET_MAX + 8];
    size_t captured;

    memset(buffer, 0x5a, sizeof buffer);
    captured = measure_packet_make(m->slots, buffer);
    REQUIRE(captured <= MEASURE_PACKET_MAX);
    for (size_t i = captured; i < sizeof buffer; i++) {
        REQUIRE(buffer[i] == (i < MEASURE_PACKET_MAX ? 0 : 0x5a));
    }

    measure_packet_get(m->slots, extended, packet);
    REQUIRE(packet->made && packet->captured == captured
            && packet->data == extended
            && !memcmp(extended, buffer, captured));
    REQUIRE(packet->length >= captured);
    memset(extended + captured, 0, sizeof extended - captured);
    return packet->length;
}

static void
check_checksums(const struct made_record *m)
{
    const uint8_t *ip = extended + size_to_ip(&m->fields);
    const uint8_t *transport = ip + size_of_ip(&m->fields);
    bool ipv4 = m->fields.family == MEASURE_IPV4;
    size_t size = (ipv4 ? (ip[2] << 8 | ip[3]) - 20 : ip[4] << 8 | ip[5]);
    uint8_t next = ipv4 ? ip[9] : ip[6];
    size_t least = next == 6 ? 20 : 8;
    uint64_t pseudo;

    if (ipv4) {
        REQUIRE(internet_sum(ip, 20, 0) == 0xffff);
    }
    if ((next != 6 && next != 17 && next != 1 && next != 58)
        || size < least || (ipv4 && (ip[6] || ip[7]))
        || (next == 6 && !m->not_payload)) {
        return;
    }
    pseudo = next == 1 ? 0 : next + size;
    if (next != 1) {
        pseudo += (ipv4 ? internet_sum(ip + 12, 8, 0)
                   : internet_sum(ip + 8, 32, 0));
    }
    REQUIRE(internet_sum(transport, size, pseudo) == 0xffff);
    if (next == 17) {
        REQUIRE((transport[4] << 8 | transport[5]) == (int) size);
        REQUIRE(transport[6] || transport[7]);
    }
}

/* What a reader of the frame says of TCP. */
static void
check_tcp(const struct made_record *m, size_t captured)
{
    const uint8_t *ip = extended + size_to_ip(&m->fields);
    const uint8_t *tcp = ip + size_of_ip(&m->fields);
    uint32_t end = (tcp - extended) + (tcp[12] >> 4) * 4;
    uint32_t ip_end = (m->fields.family == MEASURE_IPV4
                       ? (ip - extended) + (ip[2] << 8 | ip[3])
                       : (ip - extended) + 40 + (ip[4] << 8 | ip[5]));

    REQUIRE(m->length >= ip_end);
    REQUIRE(end <= ip_end && end >= (tcp - extended) + 20u);
    REQUIRE(captured == measure_min(end, MEASURE_PACKET_MAX));
    REQUIRE(tcp[13] == m->flags);
    REQUIRE(((uint32_t) tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7])
            == m->sequence);
    if (measure_slot_payload(m->slots) >= 0 && m->length < 65535) {
        REQUIRE(ip_end - end == m->length - m->not_payload);
        REQUIRE((int) (ip_end - end) == measure_slot_payload(m->slots));
    }
}

static void
check_key(const struct made_record *m, size_t length)
{
    struct measure_record record;
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(m->slots, key);

    memset(&record, 0x5a, sizeof record);
    measure_parse(extended, length, MEASURE_ETHERTYPE_ETHERNET, &record);
    REQUIRE(record.verdict < MEASURE_N_LAYOUTS);
    REQUIRE(record.bytes == length);
    if (m->fields.tunnelled) {
        measure_record_set_tunnel(&record, m->fields.tunnel);
    }
    measure_record_set_port(&record, m->fields.port);
    if (record.verdict != layout
        || memcmp(record.key, key, measure_key_words(layout) * sizeof *key)) {
        struct measure_fields fields;

        measure_fields_from_key(&fields, record.verdict, record.key);
        ck_abort_msg("family %d protocol %u ports %u %u vlan %u length %u: "
                     "became family %d protocol %u ports %u %u vlan %u",
                     m->fields.family, m->fields.protocol,
                     m->fields.source_port, m->fields.destination_port,
                     m->fields.vlan, m->length,
                     fields.family, fields.protocol, fields.source_port,
                     fields.destination_port, fields.vlan);
    }
}

START_TEST(made_headers_have_the_key_and_length)
{
    struct random r = random_from(test_seed);
    unsigned int n_tcp = 0, n_tunnelled = 0, n_fragments = 0;

    for (int i = 0; i < 200000; i++) {
        struct made_record m = random_record(&r);
        struct measure_packet packet;
        size_t length = make_extended(&m, &packet);

        REQUIRE(length == m.length);
        check_key(&m, length);
        check_checksums(&m);
        if (m.not_payload) {
            check_tcp(&m, packet.captured);
            n_tcp++;
        } else if (protocol_has_ports(m.fields.protocol)
                   && !m.fields.source_port && !m.fields.destination_port) {
            n_fragments++;
        }
        n_tunnelled += m.fields.tunnelled;
    }
    ck_assert_uint_gt(n_tcp, 1000);
    ck_assert_uint_gt(n_tunnelled, 1000);
    ck_assert_uint_gt(n_fragments, 1000);
}
END_TEST

/* From packets that were none of Ethernet, and whatever else slots can
 * say. */
START_TEST(short_records_are_made_longer)
{
    struct random r = random_from(test_seed);
    unsigned int n_longer = 0;

    for (int i = 0; i < 200000; i++) {
        struct made_record m = random_record(&r);
        struct measure_packet packet;
        size_t length;

        m.length = random_below(&r, 80);
        if (random_below(&r, 2)) {
            m.not_payload = 13 + random_below(&r, 140);
        }
        write_record(&m);
        length = make_extended(&m, &packet);
        check_key(&m, length);
        REQUIRE(length == m.length
                || (length > m.length && length == packet.captured));
        n_longer += length > m.length;
    }
    ck_assert_uint_gt(n_longer, 1000);
}
END_TEST

START_TEST(any_words_make_headers)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 200000; i++) {
        struct measure_slot slots[MEASURE_SLOT_MAX];
        uint8_t frame[MEASURE_PACKET_MAX];

        random_fill(&r, slots, sizeof slots);
        slots->words[2] &= ~(UINT64_C(1) << 63 | MEASURE_SLOT_HAS_HEADERS);
        REQUIRE(measure_packet_make(slots, frame) <= sizeof frame);
    }
}
END_TEST

START_TEST(headers_of_a_record_are_used)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 20000; i++) {
        struct made_record m = random_record(&r);
        uint8_t frame[200], buffer[MEASURE_PACKET_MAX];
        struct measure_packet packet;
        unsigned int n;

        m.length = random_below(&r, sizeof frame);
        write_record(&m);
        random_fill(&r, frame, sizeof frame);
        n = measure_slot_count(measure_slot_layout(m.slots), false);
        measure_slot_write_headers(m.slots, n, frame, m.length);
        measure_packet_get(m.slots, buffer, &packet);
        REQUIRE(!packet.made);
        REQUIRE(packet.length == m.length);
        REQUIRE(packet.captured == measure_min(m.length, 96));
        REQUIRE(!memcmp(packet.data, frame, packet.captured));
    }
}
END_TEST

/* Byte by byte. */

static size_t
from_hex(const char *hex, uint8_t *bytes)
{
    size_t n = 0;

    for (; hex[0]; hex += 2) {
        char digits[3] = { hex[0], hex[1], '\0' };

        bytes[n++] = strtoul(digits, NULL, 16);
    }
    return n;
}

#define MACS "020000000002" "020000000001"
#define V4 "0a000001" "0a000002"
#define V6 "20010db8000000000000000000000001" \
           "20010db8000000000000000000000002"

static const struct {
    const char *name;
    enum measure_family family;
    uint8_t protocol;
    uint16_t source_port, destination_port, vlan;
    uint32_t length, sequence;
    uint8_t flags;
    uint32_t not_payload;
    const char *hex;
} examples[] = {
    { "TCP SYN", MEASURE_IPV4, 6, 1000, 443, 0, 60, 0x01020304, 0x02, 60,
      MACS "0800" "45000028" "00000000" "400666ce" V4
      "03e801bb" "01020304" "00000000" "5002ffff" "92370000" },
    { "TCP with options and payload", MEASURE_IPV4, 6, 1000, 443, 0, 1514, 1,
      0x18, 66,
      MACS "0800" "450005dc" "00000000" "4006611a" V4
      "03e801bb" "00000001" "00000000" "8018ffff" "60720000"
      "000000000000000000000000" },
    { "UDP in a VLAN", MEASURE_IPV4, 17, 1000, 53, 5, 90, 0, 0, 0,
      MACS "8100" "0005" "0800" "45000048" "00000000" "401166a3" V4
      "03e80035" "0034e766" },
    { "UDP over IPv6", MEASURE_IPV6, 17, 1000, 53, 0, 90, 0, 0, 0,
      MACS "86dd" "60000000" "0024" "1140" V6 "03e80035" "0024a014" },
    { "ICMP", MEASURE_IPV4, 1, 0, 0, 0, 98, 0, 0, 0,
      MACS "0800" "45000054" "00000000" "400166a7" V4
      "ff0000ff" "00000000" },
    { "SCTP", MEASURE_IPV4, 132, 1000, 2000, 0, 100, 0, 0, 0,
      MACS "0800" "45000056" "00000000" "40846622" V4
      "03e807d0" "0000000000000000" },
    { "later fragment", MEASURE_IPV4, 17, 0, 0, 0, 100, 0, 0, 0,
      MACS "0800" "45000056" "00000001" "40116694" V4 },
    { "later fragment of IPv6", MEASURE_IPV6, 17, 0, 0, 0, 100, 0, 0, 0,
      MACS "86dd" "60000000" "002e" "2c40" V6 "1100000800000000" },
    { "TCP without a whole header", MEASURE_IPV4, 6, 1000, 443, 0, 60, 0, 0,
      0, MACS "0800" "4500002e" "00000000" "400666c8" V4 "03e801bb" },
    { "GRE", MEASURE_IPV4, 47, 0, 0, 0, 100, 0, 0, 0,
      MACS "0800" "45000056" "00000000" "402f6677" V4 },
};

START_TEST(examples_byte_by_byte)
{
    struct made_record m;
    struct measure_packet packet;
    uint8_t expected[200];
    size_t n = from_hex(examples[_i].hex, expected);

    memset(&m, 0, sizeof m);
    m.fields.family = examples[_i].family;
    if (m.fields.family == MEASURE_IPV4) {
        from_hex("0a000001", m.fields.source);
        from_hex("0a000002", m.fields.destination);
    } else {
        from_hex("20010db8000000000000000000000001", m.fields.source);
        from_hex("20010db8000000000000000000000002", m.fields.destination);
    }
    m.fields.protocol = examples[_i].protocol;
    m.fields.source_port = examples[_i].source_port;
    m.fields.destination_port = examples[_i].destination_port;
    m.fields.vlan = examples[_i].vlan;
    m.length = examples[_i].length;
    m.sequence = examples[_i].sequence;
    m.flags = examples[_i].flags;
    m.not_payload = examples[_i].not_payload;
    write_record(&m);

    make_extended(&m, &packet);
    check_checksums(&m);
    if (packet.captured != n || memcmp(packet.data, expected, n)) {
        printf("%s:\n", examples[_i].name);
        for (size_t i = 0; i < packet.captured; i++) {
            printf("%02x", packet.data[i]);
        }
        printf("\nexpected:\n");
        for (size_t i = 0; i < n; i++) {
            printf("%02x", expected[i]);
        }
        printf("\n");
        fflush(stdout);
    }
    ck_assert_uint_eq(packet.captured, n);
    ck_assert_mem_eq(packet.data, expected, n);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-packet-make");

    tcase_add_test(tests, made_headers_have_the_key_and_length);
    tcase_add_test(tests, short_records_are_made_longer);
    tcase_add_test(tests, any_words_make_headers);
    tcase_add_test(tests, headers_of_a_record_are_used);
    tcase_add_loop_test(tests, examples_byte_by_byte, 0,
                        ARRAY_SIZE(examples));
    return tests_run(tests);
}
