/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of captures in pcapng format. */

#include <config.h>

#include <errno.h>
#include <pcap/pcap.h>

#include "check-common.h"
#include "stream/measure-pcapng.h"

#define PROGRAM "check 1"
#define N_PORTS 3               /* Of the switch, and 0. */
#define MAX_INTERFACES 16
#define TEN_POWER_9 UINT64_C(1000000000)

/* A reader of pcapng that knows what the format says and nothing of the
 * writer. */

struct reader {
    const uint8_t *p;
    size_t size;
    size_t n_interfaces;
    char names[MAX_INTERFACES][64];
    size_t n_packets;
    uint64_t dropped;           /* Sum of epb_dropcount. */
    size_t n_statistics;
    uint64_t statistics[9];     /* The last, by code; UINT64_MAX if absent. */
    uint64_t statistics_time_ns;

    /* The last packet. */
    uint32_t interface;
    uint64_t time_ns;
    uint32_t captured, length;
    const uint8_t *data;
    char comment[300];
};

static uint32_t
le(const uint8_t *p, size_t n)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n; i++) {
        value |= (uint32_t) p[i] << 8 * i;
    }
    return value;
}

static uint64_t
le64(const uint8_t *p)
{
    return le(p, 4) | (uint64_t) le(p + 4, 4) << 32;
}

/* Reads the option at 'p'.  Returns what is behind it, or NULL at the end of
 * options. */
static const uint8_t *
read_option(const uint8_t *p, const uint8_t *end, uint32_t *code,
            const uint8_t **value, uint32_t *length)
{
    if (p == end) {
        return NULL;
    }
    REQUIRE(end - p >= 4);
    *code = le(p, 2);
    *length = le(p + 2, 2);
    *value = p + 4;
    if (!*code) {
        REQUIRE(!*length && p + 4 == end);
        return NULL;
    }
    p += 4 + (*length + 3) / 4 * 4;
    REQUIRE(p <= end);
    for (const uint8_t *pad = *value + *length; pad < p; pad++) {
        REQUIRE(!*pad);
    }
    return p;
}

static void
read_section(const uint8_t *p, const uint8_t *end)
{
    uint32_t code, length;
    const uint8_t *value;
    bool program = false, comment = false;

    REQUIRE(le(p, 4) == 0x1a2b3c4d);
    REQUIRE(le(p + 4, 2) == 1 && le(p + 6, 2) == 0);
    REQUIRE(le64(p + 8) == UINT64_MAX);
    p += 16;
    while ((p = read_option(p, end, &code, &value, &length)) != NULL) {
        comment |= code == 1;
        if (code == 4) {
            REQUIRE(length == strlen(PROGRAM)
                    && !memcmp(value, PROGRAM, length));
            program = true;
        }
    }
    REQUIRE(program && comment);
}

static void
read_interface(struct reader *r, const uint8_t *p, const uint8_t *end)
{
    uint32_t code, length;
    const uint8_t *value;
    bool resolution = false;

    REQUIRE(r->n_interfaces < MAX_INTERFACES);
    REQUIRE(le(p, 2) == DLT_EN10MB && le(p + 2, 2) == 0);
    REQUIRE(le(p + 4, 4) == 96);
    p += 8;
    while ((p = read_option(p, end, &code, &value, &length)) != NULL) {
        if (code == 2) {
            REQUIRE(length < sizeof r->names[0]);
            memcpy(r->names[r->n_interfaces], value, length);
            r->names[r->n_interfaces][length] = '\0';
        } else if (code == 9) {
            REQUIRE(length == 1 && *value == 9);
            resolution = true;
        }
    }
    REQUIRE(resolution && r->names[r->n_interfaces][0]);
    r->n_interfaces++;
}

static void
read_packet(struct reader *r, const uint8_t *p, const uint8_t *end)
{
    uint32_t code, length;
    const uint8_t *value;

    r->interface = le(p, 4);
    REQUIRE(r->interface < r->n_interfaces);
    r->time_ns = (uint64_t) le(p + 4, 4) << 32 | le(p + 8, 4);
    r->captured = le(p + 12, 4);
    r->length = le(p + 16, 4);
    r->data = p + 20;
    r->comment[0] = '\0';
    REQUIRE(r->captured <= r->length && r->captured <= 96);
    p += 20 + (r->captured + 3) / 4 * 4;
    REQUIRE(p <= end);
    while ((p = read_option(p, end, &code, &value, &length)) != NULL) {
        if (code == 1) {
            memcpy(r->comment, value, length);
            r->comment[length] = '\0';
        } else {
            REQUIRE(code == 4 && length == 8 && le64(value));
            r->dropped += le64(value);
        }
    }
    r->n_packets++;
}

static void
read_statistics(struct reader *r, const uint8_t *p, const uint8_t *end)
{
    uint32_t code, length;
    const uint8_t *value;

    REQUIRE(le(p, 4) == 0);
    r->statistics_time_ns = (uint64_t) le(p + 4, 4) << 32 | le(p + 8, 4);
    memset(r->statistics, 0xff, sizeof r->statistics);
    p += 12;
    while ((p = read_option(p, end, &code, &value, &length)) != NULL) {
        REQUIRE(code < ARRAY_SIZE(r->statistics) && length == 8);
        r->statistics[code] = le64(value);
    }
    r->n_statistics++;
}

/* Reads a block.  Returns its type, or 0 at the end. */
static uint32_t
read_block(struct reader *r)
{
    const uint8_t *p = r->p;
    uint32_t type, length;

    if (!r->size) {
        return 0;
    }
    REQUIRE(r->size >= 12);
    type = le(p, 4);
    length = le(p + 4, 4);
    REQUIRE(length >= 12 && length % 4 == 0 && length <= r->size);
    REQUIRE(le(p + length - 4, 4) == length);
    r->p += length;
    r->size -= length;

    const uint8_t *end = p + length - 4;

    p += 8;
    switch (type) {
    case 0x0a0d0d0a:
        read_section(p, end);
        break;
    case 1:
        read_interface(r, p, end);
        break;
    case 5:
        read_statistics(r, p, end);
        break;
    case 6:
        read_packet(r, p, end);
        break;
    default:
        ck_abort_msg("block of type %u", type);
    }
    return type;
}

/* Packets of all kinds, and a capture of them. */

struct packet {
    struct measure_fields fields;
    uint32_t ring;
    uint64_t time_ns;
    uint32_t length;
    uint64_t dropped;           /* Told with it. */
    struct measure_slot slots[MEASURE_SLOT_MAX];
};

#define N_PACKETS 5000
#define N_RINGS 3
static struct packet packets[N_PACKETS];

static void
make_packets(struct random *r)
{
    uint64_t time_ns = UINT64_C(1700000000123456789);

    for (size_t i = 0; i < N_PACKETS; i++) {
        struct packet *p = &packets[i];
        uint64_t key[MEASURE_KEY_WORDS];
        enum measure_layout layout;
        unsigned int n;

        memset(p, 0, sizeof *p);
        p->fields = random_fields(r);
        p->fields.protocol = random_below(r, 2) ? 6 : 17;
        p->fields.port = random_below(r, N_PORTS + 1);
        p->ring = random_below(r, N_RINGS);
        p->time_ns = time_ns += random_below(r, 100000);
        p->length = 80 + random_below(r, 1400);
        layout = measure_key_from_fields(key, &p->fields);
        n = measure_slot_write(p->slots, layout, key, p->time_ns, p->length,
                               (p->fields.protocol == 6
                                ? measure_slot_tcp(i, 0x10, 78) : 0));
        if (!random_below(r, 4)) {
            uint8_t frame[96];

            random_fill(r, frame, sizeof frame);
            measure_slot_write_headers(p->slots, n, frame, sizeof frame);
        }
    }
}

struct capture {
    char *bytes;
    size_t size;
    FILE *stream;
    struct measure_pcapng *pcapng;
};

static void
put_block(void *stream, const void *block, size_t size)
{
    REQUIRE(fwrite(block, size, 1, stream) == 1);
}

static void
capture_open(struct capture *c)
{
    c->stream = open_memstream(&c->bytes, &c->size);
    c->pcapng = measure_pcapng_create(put_block, c->stream, PROGRAM);
}

static void
capture_close(struct capture *c)
{
    measure_pcapng_finish(c->pcapng);
    measure_pcapng_destroy(c->pcapng);
    fclose(c->stream);
}

static struct measure_port_names ports;

static void
name_ports(void)
{
    static const char *const names[N_PORTS] = {
        "eth0", "dpdk-p1", "vhost-user-7",
    };

    for (int i = 0; i < N_PORTS; i++) {
        ck_assert_int_eq(measure_port_number(&ports, names[i]), i + 1);
    }
}

/* The packets, and marks after some of them that tell of losses.  The last of
 * the marks are sums of rings that have left their numbers to others. */
static void
capture_packets(struct capture *c, struct random *r,
                struct measure_mark marks[N_RINGS + 1])
{
    uint64_t pending[N_RINGS] = { 0 };

    memset(marks, 0, (N_RINGS + 1) * sizeof *marks);
    capture_open(c);
    for (size_t i = 0; i < N_PACKETS; i++) {
        struct packet *p = &packets[i];
        uint32_t ring = random_below(r, N_RINGS);
        struct measure_mark *mark = &marks[ring];

        if (!random_below(r, 100) && !pending[ring]) {
            marks[N_RINGS].offered += mark->offered;
            marks[N_RINGS].filtered += mark->filtered;
            marks[N_RINGS].dropped += mark->dropped;
            memset(mark, 0, sizeof *mark);
            measure_pcapng_begin_ring(c->pcapng, ring);
        }
        if (!random_below(r, 50) && i + 100 < N_PACKETS) {
            uint64_t dropped = random_below(r, 2) ? random_below(r, 1000) : 0;

            mark->epoch++;
            mark->time_ns = p->time_ns;
            mark->dropped += dropped;
            pending[ring] += dropped;
            mark->filtered += random_below(r, 100);
            mark->records += random_below(r, 100);
            mark->offered = mark->records + mark->filtered + mark->dropped;
            measure_pcapng_mark(c->pcapng, mark, ring);
        }
        p->dropped = pending[p->ring];
        pending[p->ring] = 0;
        measure_pcapng_packet(c->pcapng, p->slots, p->ring, &ports);
    }
    capture_close(c);
}

START_TEST(blocks_are_what_the_format_says)
{
    struct random r = random_from(test_seed);
    struct measure_mark marks[N_RINGS + 1];
    struct reader reader;
    struct capture c;
    uint64_t offered = 0, filtered = 0, dropped = 0, told = 0;
    uint32_t type;
    size_t n = 0;

    name_ports();
    make_packets(&r);
    capture_packets(&c, &r, marks);
    memset(&reader, 0, sizeof reader);
    reader.p = (const uint8_t *) c.bytes;
    reader.size = c.size;

    ck_assert_uint_eq(read_block(&reader), 0x0a0d0d0a);
    ck_assert_uint_eq(read_block(&reader), 1);
    ck_assert_str_eq(reader.names[0], "stream");
    while ((type = read_block(&reader)) != 0) {
        const struct packet *p = &packets[n];
        uint8_t buffer[MEASURE_PACKET_MAX];
        struct measure_packet expected;
        const char *name;
        char comment[32] = "";

        REQUIRE(type != 0x0a0d0d0a);
        if (type != 6) {
            continue;
        }
        name = p->fields.port ? measure_port_name(&ports, p->fields.port)
               : "no-port";
        REQUIRE(!strcmp(reader.names[reader.interface], name));
        REQUIRE(reader.time_ns == p->time_ns);
        REQUIRE(reader.length == p->length);
        measure_packet_get(p->slots, buffer, &expected);
        REQUIRE(reader.captured == expected.captured);
        REQUIRE(!memcmp(reader.data, expected.data, expected.captured));
        if (p->fields.tunnelled) {
            snprintf(comment, sizeof comment, "tunnel %u", p->fields.tunnel);
        }
        REQUIRE(!strcmp(reader.comment, comment));
        REQUIRE(reader.dropped - told == p->dropped);
        told = reader.dropped;
        n++;
    }
    ck_assert_uint_eq(n, N_PACKETS);
    ck_assert_uint_eq(reader.n_interfaces, N_PORTS + 2);

    for (size_t i = 0; i <= N_RINGS; i++) {
        offered += marks[i].offered;
        filtered += marks[i].filtered;
        dropped += marks[i].dropped;
    }
    ck_assert_uint_gt(dropped, 0);
    ck_assert_uint_gt(reader.n_statistics, 10);
    ck_assert_uint_eq(reader.statistics[4], offered);
    ck_assert_uint_eq(reader.statistics[5], dropped);
    ck_assert_uint_eq(reader.statistics[6], offered - filtered);
    ck_assert_uint_eq(reader.statistics[8], N_PACKETS);
    ck_assert_uint_eq(reader.dropped, dropped);
    ck_assert_uint_eq(reader.statistics_time_ns,
                      packets[N_PACKETS - 1].time_ns);
    free(c.bytes);
    measure_port_names_destroy(&ports);
}
END_TEST

/* One whole capture, written by hand. */
START_TEST(capture_byte_by_byte)
{
    static const uint8_t expected[] = {
        /* Interface "stream". */
        1, 0, 0, 0,  80, 0, 0, 0,  1, 0,  0, 0,  96, 0, 0, 0,
        2, 0,  6, 0,  's', 't', 'r', 'e', 'a', 'm', 0, 0,
        3, 0,  30, 0,  'A', 'l', 'l', ' ', 'p', 'a', 'c', 'k', 'e', 't', 's',
        ',', ' ', 'i', 'n', ' ', 't', 'h', 'e', ' ', 's', 't', 'a', 't', 'i',
        's', 't', 'i', 'c', 's', 0, 0,
        9, 0,  1, 0,  9, 0, 0, 0,  0, 0,  0, 0,  80, 0, 0, 0,
        /* Statistics of a mark. */
        5, 0, 0, 0,  76, 0, 0, 0,  0, 0, 0, 0,
        0x67, 0x45, 0x23, 0x01,  0xef, 0xcd, 0xab, 0x89,
        4, 0,  8, 0,  10, 0, 0, 0, 0, 0, 0, 0,
        5, 0,  8, 0,  3, 0, 0, 0, 0, 0, 0, 0,
        6, 0,  8, 0,  8, 0, 0, 0, 0, 0, 0, 0,
        8, 0,  8, 0,  0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,  0, 0,  76, 0, 0, 0,
        /* Interface "port-7". */
        1, 0, 0, 0,  44, 0, 0, 0,  1, 0,  0, 0,  96, 0, 0, 0,
        2, 0,  6, 0,  'p', 'o', 'r', 't', '-', '7', 0, 0,
        9, 0,  1, 0,  9, 0, 0, 0,  0, 0,  0, 0,  44, 0, 0, 0,
        /* A packet out of tunnel 5, with headers of 14 bytes. */
        6, 0, 0, 0,  76, 0, 0, 0,  1, 0, 0, 0,
        0x67, 0x45, 0x23, 0x01,  0xf0, 0xcd, 0xab, 0x89,
        14, 0, 0, 0,  14, 0, 0, 0,
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0, 0,
        1, 0,  8, 0,  't', 'u', 'n', 'n', 'e', 'l', ' ', '5',
        4, 0,  8, 0,  3, 0, 0, 0, 0, 0, 0, 0,
        0, 0,  0, 0,  76, 0, 0, 0,
    };
    static const uint8_t frame[14] = {
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    };
    struct measure_mark mark = {
        .offered = 10, .filtered = 2, .dropped = 3, .records = 5,
        .time_ns = UINT64_C(0x0123456789abcdef),
    };
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct measure_slot slots[MEASURE_SLOT_MAX];
    struct capture c;
    size_t section, n;

    key[4] = UINT64_C(7) << MEASURE_PORT_SHIFT;
    key[5] = MEASURE_KEY_TUNNELLED | 5;
    n = measure_slot_write(slots, MEASURE_WIDE, key,
                           UINT64_C(0x0123456789abcdf0), 14, 0);
    measure_slot_write_headers(slots, n, frame, sizeof frame);

    capture_open(&c);
    fflush(c.stream);
    section = le((const uint8_t *) c.bytes + 4, 4);
    measure_pcapng_mark(c.pcapng, &mark, 9);
    measure_pcapng_packet(c.pcapng, slots, 9, NULL);
    fflush(c.stream);
    ck_assert_uint_eq(c.size - section, sizeof expected);
    ck_assert_mem_eq(c.bytes + section, expected, sizeof expected);
    capture_close(&c);
    free(c.bytes);
}
END_TEST

START_TEST(renamed_ports_are_other_interfaces)
{
    struct random r = random_from(test_seed);
    struct reader reader;
    struct capture c;

    make_packets(&r);
    packets[0].fields.port = 1;
    name_ports();
    capture_open(&c);
    for (int i = 0; i < 3; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        enum measure_layout layout
            = measure_key_from_fields(key, &packets[0].fields);

        measure_slot_write(packets[0].slots, layout, key, i, 100, 0);
        measure_pcapng_packet(c.pcapng, packets[0].slots, 0, &ports);
        if (!i) {
            measure_port_release(&ports, 1, 1);
            measure_port_settle(&ports, 1, 2);
            measure_port_recycle(&ports, 5);
            ck_assert_ptr_null(measure_port_name(&ports, 1));
        } else if (i == 1) {
            ck_assert_int_eq(measure_port_number(&ports, "new"), 1);
        }
    }
    capture_close(&c);
    memset(&reader, 0, sizeof reader);
    reader.p = (const uint8_t *) c.bytes;
    reader.size = c.size;
    for (size_t n = 0; n < 3; ) {
        uint32_t type = read_block(&reader);

        REQUIRE(type);
        if (type == 6) {
            ck_assert_str_eq(reader.names[reader.interface],
                             n < 2 ? "eth0" : "new");
            n++;
        }
    }
    ck_assert_uint_eq(reader.n_interfaces, 3);
    ck_assert_uint_eq(read_block(&reader), 5);
    ck_assert_uint_eq(reader.statistics[5], UINT64_MAX);
    ck_assert_uint_eq(reader.statistics[8], 3);
    free(c.bytes);
    measure_port_names_destroy(&ports);
}
END_TEST

START_TEST(libpcap_reads_the_same)
{
    struct random r = random_from(test_seed);
    struct measure_mark marks[N_RINGS + 1];
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    struct capture c;
    pcap_t *pcap;
    size_t n = 0;
    int result;

    name_ports();
    make_packets(&r);
    capture_packets(&c, &r, marks);
    pcap = pcap_fopen_offline_with_tstamp_precision(
        fmemopen(c.bytes, c.size, "rb"), PCAP_TSTAMP_PRECISION_NANO, error);
    ck_assert_msg(pcap != NULL, "%s", error);
    ck_assert_int_eq(pcap_datalink(pcap), DLT_EN10MB);
    while ((result = pcap_next_ex(pcap, &header, &data)) == 1) {
        const struct packet *p = &packets[n++];
        uint8_t buffer[MEASURE_PACKET_MAX];
        struct measure_packet expected;

        REQUIRE(n <= N_PACKETS);
        measure_packet_get(p->slots, buffer, &expected);
        REQUIRE(header->ts.tv_sec * TEN_POWER_9 + header->ts.tv_usec
                == p->time_ns);
        REQUIRE(header->len == p->length);
        REQUIRE(header->caplen == expected.captured);
        REQUIRE(!memcmp(data, expected.data, expected.captured));
    }
    ck_assert_msg(result == PCAP_ERROR_BREAK, "%s", pcap_geterr(pcap));
    ck_assert_uint_eq(n, N_PACKETS);
    pcap_close(pcap);
    free(c.bytes);
    measure_port_names_destroy(&ports);
}
END_TEST

/* An empty stream is a capture without packets, and no error. */
START_TEST(libpcap_reads_an_empty_capture)
{
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    struct capture c;
    pcap_t *pcap;

    capture_open(&c);
    capture_close(&c);
    pcap = pcap_fopen_offline(fmemopen(c.bytes, c.size, "rb"), error);
    ck_assert_msg(pcap != NULL, "%s", error);
    ck_assert_int_eq(pcap_next_ex(pcap, &header, &data), PCAP_ERROR_BREAK);
    pcap_close(pcap);
    free(c.bytes);
}
END_TEST

/* What tcpdump prints, with checksums looked at. */
START_TEST(tcpdump_reads_the_same)
{
    struct random r = random_from(test_seed);
    char name[] = "check-pcapng-XXXXXX";
    char command[100], line[1000];
    size_t n_lines = 0, n_tcp = 0, n_udp = 0, n_packets = 0;
    size_t expected_tcp = 0, expected_udp = 0;
    struct capture c;
    FILE *output;
    int fd;

    name_ports();
    make_packets(&r);
    capture_open(&c);
    for (size_t i = 0; i < N_PACKETS; i++) {
        const struct packet *p = &packets[i];

        if (p->slots[0].words[2] & MEASURE_SLOT_HAS_HEADERS
            || (!p->fields.source_port && !p->fields.destination_port)) {
            continue;
        }
        n_packets++;
        expected_tcp += p->fields.protocol == 6;
        expected_udp += p->fields.protocol == 17;
        measure_pcapng_packet(c.pcapng, p->slots, p->ring, &ports);
    }
    capture_close(&c);
    fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    unlink(name);
    ck_assert_int_eq(write(fd, c.bytes, c.size), c.size);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);

    snprintf(command, sizeof command,
             "tcpdump -nvr - <&%d 2>&1 | grep -v '^reading'", fd);
    output = popen(command, "r");
    while (fgets(line, sizeof line, output)) {
        /* Only the first line of a packet begins with its time. */
        n_lines += line[0] >= '0' && line[0] <= '9' && line[2] == ':';
        n_tcp += strstr(line, "proto TCP (6)") || strstr(line, "header TCP");
        n_udp += strstr(line, "proto UDP (17)") || strstr(line, "header UDP");
        /* Addresses may have the word, and checksums end with it. */
        if (strstr(line, " bad ") || strstr(line, "[bad ")
            || strstr(line, "incorrect")
            || strstr(line, "invalid") || strstr(line, "unknown")) {
            ck_abort_msg("%s", line);
        }
    }
    ck_assert_int_eq(pclose(output), 0);
    close(fd);
    ck_assert_uint_eq(n_lines, n_packets);
    ck_assert_uint_eq(n_tcp, expected_tcp);
    ck_assert_uint_eq(n_udp, expected_udp);
    free(c.bytes);
    measure_port_names_destroy(&ports);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-pcapng");

    tcase_add_test(tests, blocks_are_what_the_format_says);
    tcase_add_test(tests, capture_byte_by_byte);
    tcase_add_test(tests, renamed_ports_are_other_interfaces);
    tcase_add_test(tests, libpcap_reads_the_same);
    tcase_add_test(tests, libpcap_reads_an_empty_capture);
    if (!system("tcpdump --version >/dev/null 2>&1")) {
        tcase_add_test(tests, tcpdump_reads_the_same);
    } else {
        test_skipped("tcpdump_reads_the_same", "tcpdump is not installed");
    }
    return tests_run(tests);
}
