/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of captures that are read as streams. */

#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pcap/pcap.h>

#include "check-common.h"
#include "stream-capture.h"
#include "stream/measure-packet-make.h"

/* Captures written by hand. */

#define MAX_CAPTURE 20000
#define TIME_S 1700000000

struct capture {
    uint8_t bytes[MAX_CAPTURE];
    size_t n;
};

static void
put_le32(struct capture *c, uint32_t value)
{
    REQUIRE(c->n + 4 <= MAX_CAPTURE);
    for (int i = 0; i < 4; i++) {
        c->bytes[c->n++] = value >> 8 * i;
    }
}

/* A capture with nanoseconds. */
static void
capture_begin(struct capture *c, uint32_t link)
{
    c->n = 0;
    put_le32(c, 0xa1b23c4d);
    put_le32(c, 2 | 4 << 16);
    put_le32(c, 0);
    put_le32(c, 0);
    put_le32(c, 65535);
    put_le32(c, link);
}

static void
capture_add(struct capture *c, uint32_t ns, const void *data,
            uint32_t captured, uint32_t length)
{
    put_le32(c, TIME_S);
    put_le32(c, ns);
    put_le32(c, captured);
    put_le32(c, length);
    REQUIRE(c->n + captured <= MAX_CAPTURE);
    memcpy(c->bytes + c->n, data, captured);
    c->n += captured;
}

static const struct stream_capture_options no_options;

static struct stream_capture *
open_bytes(const void *bytes, size_t size,
           const struct stream_capture_options *options, char **error)
{
    FILE *file = fmemopen((void *) bytes, size, "rb");

    REQUIRE(file);
    return stream_capture_open_file(file, "test.pcap", options, error);
}

static struct stream_capture *
open_capture(const struct capture *c,
             const struct stream_capture_options *options)
{
    char *error;
    struct stream_capture *capture = open_bytes(c->bytes, c->n, options,
                                                &error);

    ck_assert_msg(capture != NULL, "%s", error);
    ck_assert_ptr_null(error);
    return capture;
}

/* The only packet of 'c'. */
static unsigned int
only_record(const struct capture *c, struct measure_slot *slots,
            const struct stream_capture_options *options)
{
    struct stream_capture *capture = open_capture(c, options);
    struct measure_slot more[MEASURE_SLOT_MAX];
    char *error;
    unsigned int n = stream_capture_next(capture, slots, &error);

    ck_assert_ptr_null(error);
    ck_assert_uint_eq(stream_capture_next(capture, more, &error), 0);
    ck_assert_ptr_null(error);
    stream_capture_close(capture);
    return n;
}

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

/* From port 1000 to port 443, 100 bytes of payload. */
#define IPV4 "4500008c" "00000000" "40060000" "0a000001" "0a000002"
#define IPV6 "60000000" "0078" "0640" "20010db8000000000000000000000001" \
             "20010db8000000000000000000000002"
#define TCP "03e801bb" "01020304" "00000000" "5012ffff" "00000000"
#define ETHERNET "020000000002" "020000000001"
#define SLL "0000" "0001" "0006" "0200000000010000"
#define SLL2 "0000" "00000001" "0001" "00" "06" "0200000000010000"

static const struct {
    const char *name;
    uint32_t link;
    const char *hex;
    size_t link_size;           /* On the wire, of the header of the link. */
    bool ipv6;
    uint16_t vlan;
} links[] = {
    { "Ethernet", 1, ETHERNET "0800" IPV4 TCP, 14, false, 0 },
    { "Ethernet, VLAN", 1, ETHERNET "8100" "0007" "86dd" IPV6 TCP, 18, true,
      7 },
    { "raw IPv4", 101, IPV4 TCP, 0, false, 0 },
    { "raw IPv6", 101, IPV6 TCP, 0, true, 0 },
    { "IPv4", 228, IPV4 TCP, 0, false, 0 },
    { "IPv6", 229, IPV6 TCP, 0, true, 0 },
    { "SLL", 113, SLL "0800" IPV4 TCP, 16, false, 0 },
    { "SLL, VLAN", 113, SLL "8100" "0007" "86dd" IPV6 TCP, 20, true, 7 },
    { "SLL2", 276, "0800" SLL2 IPV4 TCP, 20, false, 0 },
    { "SLL2, IPv6", 276, "86dd" SLL2 IPV6 TCP, 20, true, 0 },
    { "loopback, little-endian", 0, "02000000" IPV4 TCP, 4, false, 0 },
    { "loopback, big-endian", 0, "00000002" IPV4 TCP, 4, false, 0 },
    { "loopback, IPv6 of FreeBSD", 0, "1c000000" IPV6 TCP, 4, true, 0 },
    { "loopback, IPv6 of macOS", 0, "0000001e" IPV6 TCP, 4, true, 0 },
    { "loopback of OpenBSD", 108, "00000018" IPV6 TCP, 4, true, 0 },
};

/* Each has the same record, whatever it was captured from. */
START_TEST(link_types)
{
    static const struct stream_capture_options headers = { .headers = true };
    size_t ip_size = links[_i].ipv6 ? 40 : 20;
    size_t tag = links[_i].vlan ? 4 : 0;
    size_t expected = 14 + tag + ip_size + 20 + 100;
    struct measure_slot slots[MEASURE_SLOT_MAX];
    struct measure_fields fields;
    uint64_t key[MEASURE_KEY_WORDS];
    static struct capture c;
    uint8_t data[200] = { 0 };
    size_t captured = from_hex(links[_i].hex, data);
    size_t length = links[_i].link_size + ip_size + 20 + 100;
    const uint8_t *first;
    size_t n;

    capture_begin(&c, links[_i].link);
    capture_add(&c, 123456789, data, captured, length);
    ck_assert_uint_eq(only_record(&c, slots, &no_options),
                      links[_i].ipv6 ? 2 : 1);
    ck_assert_uint_eq(measure_slot_length(slots), expected);
    ck_assert_uint_eq(measure_slot_time_ns(slots),
                      TIME_S * UINT64_C(1000000000) + 123456789);
    ck_assert_uint_eq(measure_slot_sequence(slots), 0x01020304);
    ck_assert_uint_eq(measure_slot_tcp_flags(slots), 0x12);
    ck_assert_int_eq(measure_slot_payload(slots), 100);
    measure_fields_from_key(&fields, measure_slot_key(slots, key), key);
    ck_assert_int_eq(fields.family,
                     links[_i].ipv6 ? MEASURE_IPV6 : MEASURE_IPV4);
    ck_assert_uint_eq(fields.source[links[_i].ipv6 ? 15 : 3], 1);
    ck_assert_uint_eq(fields.destination[links[_i].ipv6 ? 15 : 3], 2);
    ck_assert_uint_eq(fields.source_port, 1000);
    ck_assert_uint_eq(fields.destination_port, 443);
    ck_assert_uint_eq(fields.protocol, 6);
    ck_assert_uint_eq(fields.vlan, links[_i].vlan);
    ck_assert_uint_eq(fields.port, 0);

    ck_assert_uint_eq(only_record(&c, slots, &headers),
                      links[_i].ipv6 ? 5 : 4);
    first = measure_slot_headers(slots, &n);
    ck_assert_uint_eq(n, 96);
    ck_assert_mem_eq(first + 14 + tag, data + links[_i].link_size,
                     ip_size + 20);
    for (size_t i = 14 + tag + ip_size + 20; i < n; i++) {
        ck_assert_uint_eq(first[i], 0);
    }
}
END_TEST

/* Each packet, cut anywhere, counts by its length. */
START_TEST(packets_cut_anywhere)
{
    struct measure_slot slots[MEASURE_SLOT_MAX], whole[MEASURE_SLOT_MAX];
    static struct capture c;
    uint8_t data[200] = { 0 };
    size_t size = from_hex(links[_i].hex, data);
    uint32_t length = size + 100;
    size_t ip_size = links[_i].ipv6 ? 40 : 20;

    capture_begin(&c, links[_i].link);
    capture_add(&c, 1, data, size, length);
    only_record(&c, whole, &no_options);
    for (size_t captured = 0; captured < size; captured++) {
        struct stream_capture *capture;
        const struct stream_capture_counters *counters;
        unsigned int n;
        char *error;

        capture_begin(&c, links[_i].link);
        capture_add(&c, 1, data, captured, length);
        /* What was left from the one before must not show. */
        capture_add(&c, 1, data, size, length);
        capture_add(&c, 1, data, captured, length);
        capture = open_capture(&c, &no_options);
        while ((n = stream_capture_next(capture, slots, &error)) > 0) {
            ck_assert_uint_eq(measure_slot_length(slots),
                              measure_slot_length(whole));
        }
        ck_assert_ptr_null(error);
        counters = stream_capture_counters(capture);
        ck_assert_uint_eq(counters->packets, 3);
        ck_assert_uint_eq(counters->narrow + counters->wide
                          + counters->malformed + counters->not_ip, 3);
        ck_assert_uint_eq(counters->bytes,
                          (counters->narrow + counters->wide)
                          * measure_slot_length(whole));
        ck_assert(counters->narrow + counters->wide == 1
                  || counters->narrow + counters->wide == 3);
        if (captured >= links[_i].link_size + ip_size) {
            ck_assert_uint_eq(counters->narrow + counters->wide, 3);
        }
        stream_capture_close(capture);
    }
}
END_TEST

START_TEST(other_link_types_are_named)
{
    static struct capture c;
    char *error;

    capture_begin(&c, 105);     /* 802.11 */
    ck_assert_ptr_null(open_bytes(c.bytes, c.n, &no_options, &error));
    ck_assert_str_eq(error, "test.pcap: link type is IEEE802_11 (105); valid "
                     "are Ethernet (EN10MB), raw IP (RAW, IPV4, IPV6), Linux "
                     "cooked (LINUX_SLL, LINUX_SLL2) and BSD loopback (NULL, "
                     "LOOP)");
    free(error);
}
END_TEST

START_TEST(what_is_no_capture_is_refused)
{
    char *error;

    ck_assert_ptr_null(open_bytes("no capture, and long enough for one", 35,
                                  &no_options, &error));
    ck_assert_ptr_nonnull(strstr(error, "test.pcap: not a capture in pcap or "
                                 "pcapng format ("));
    free(error);
    ck_assert_ptr_null(stream_capture_open("missing.pcap", &no_options,
                                           &error));
    ck_assert_str_eq(error, "missing.pcap: No such file or directory");
    free(error);
    ck_assert_ptr_null(stream_capture_open(".", &no_options, &error));
    ck_assert_str_eq(error, ".: Is a directory");
    free(error);
}
END_TEST

/* A capture that ends anywhere: what is in front of it counts. */
START_TEST(truncated_captures)
{
    static struct capture c;
    uint8_t data[200] = { 0 };
    size_t size = from_hex(links[0].hex, data);
    size_t record = 16 + size;

    capture_begin(&c, 1);
    for (int i = 0; i < 5; i++) {
        capture_add(&c, i, data, size, size + 100);
    }
    for (size_t n = 24; n <= c.n; n++) {
        struct measure_slot slots[MEASURE_SLOT_MAX];
        struct stream_capture *capture;
        size_t n_whole = (n - 24) / record;
        bool whole = (n - 24) % record == 0;
        char *error;

        capture = open_bytes(c.bytes, n, &no_options, &error);
        ck_assert_msg(capture != NULL, "%s", error);
        for (size_t i = 0; i < n_whole; i++) {
            ck_assert_uint_eq(stream_capture_next(capture, slots, &error), 1);
        }
        ck_assert_uint_eq(stream_capture_next(capture, slots, &error), 0);
        if (whole) {
            ck_assert_ptr_null(error);
        } else {
            char expected[100];

            snprintf(expected, sizeof expected,
                     "test.pcap: damaged behind packet %zu (truncated dump "
                     "file;", n_whole);
            ck_assert_msg(error && !strncmp(error, expected,
                                            strlen(expected)),
                          "%s", error);
            free(error);
        }
        stream_capture_close(capture);
    }
}
END_TEST

/* Lengths that no frame has. */
START_TEST(packets_that_are_too_long)
{
    static const uint32_t lengths[] = {
        STREAM_CAPTURE_MAX, STREAM_CAPTURE_MAX + 1, UINT32_MAX, 0, 10,
    };
    struct measure_slot slots[MEASURE_SLOT_MAX];
    const struct stream_capture_counters *counters;
    struct stream_capture *capture;
    static struct capture c;
    uint8_t data[200] = { 0 };
    size_t size = from_hex(links[0].hex, data);
    char *error;

    capture_begin(&c, 1);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        capture_add(&c, 0, data, size, lengths[i]);
    }
    capture = open_capture(&c, &no_options);
    ck_assert_uint_eq(stream_capture_next(capture, slots, &error), 1);
    ck_assert_uint_eq(measure_slot_length(slots), STREAM_CAPTURE_MAX);
    ck_assert_uint_eq(stream_capture_next(capture, slots, &error), 0);
    ck_assert_ptr_null(error);
    counters = stream_capture_counters(capture);
    ck_assert_uint_eq(counters->packets, 5);
    ck_assert_uint_eq(counters->narrow, 1);
    ck_assert_uint_eq(counters->too_long, 2);
    ck_assert_uint_eq(counters->not_ip, 2);
    stream_capture_close(capture);
}
END_TEST

/* The shared captures. */

static char traces[PATH_MAX - 300];

static void
find_traces(void)
{
    const char *directory = getenv("MEASURE_TRACES");
    const char *source = getenv("MEASURE_SOURCE");

    if (directory && directory[0]) {
        snprintf(traces, sizeof traces, "%s", directory);
    } else {
        snprintf(traces, sizeof traces, "%s%s../shared/traces",
                 source && source[0] ? source : "",
                 source && source[0] ? "/" : "");
    }
}

static const char *const big_captures[] = {
    "real-mix-oss", "scan", "ipv6", "vlan", "tunnel"
};

static uint64_t
read_total(FILE *truth, const char *name)
{
    char line[512], what[64];
    uint64_t value;

    rewind(truth);
    while (fgets(line, sizeof line, truth)) {
        if (sscanf(line, "#total %63s %"SCNu64, what, &value) == 2
            && !strcmp(what, name)) {
            return value;
        }
    }
    ck_abort_msg("truth file has no total \"%s\"", name);
    return 0;
}

struct progress {
    uint64_t n, done, total;
};

static void
keep_progress(void *progress_, uint64_t done, uint64_t total)
{
    struct progress *progress = progress_;

    REQUIRE(done >= progress->done && done <= total);
    progress->n++;
    progress->done = done;
    progress->total = total;
}

/* TCP has 20 bytes at least, behind others; nothing else has its words. */
static void
check_tcp(const struct measure_slot *slots)
{
    int payload = measure_slot_payload(slots);

    if (measure_slot_protocol(slots) == 6 && payload >= 0) {
        REQUIRE((uint32_t) payload + 54 <= measure_slot_length(slots));
    } else if (measure_slot_protocol(slots) != 6) {
        REQUIRE(payload < 0 && !measure_slot_sequence(slots)
                && !measure_slot_tcp_flags(slots));
    }
}

START_TEST(captures_add_up_to_their_truth)
{
    struct progress progress = { 0, 0, 0 };
    struct stream_capture_options options = {
        .headers = _i % 2, .progress = keep_progress, .aux = &progress,
    };
    struct measure_slot slots[MEASURE_SLOT_MAX];
    const struct stream_capture_counters *counters;
    struct stream_capture *capture;
    uint64_t n_records = 0, bytes = 0, n_tcp = 0;
    char name[PATH_MAX];
    unsigned int n;
    FILE *truth;
    char *error;

    snprintf(name, sizeof name, "%s/%s.pcap", traces, big_captures[_i]);
    capture = stream_capture_open(name, &options, &error);
    ck_assert_msg(capture != NULL, "%s", error);
    while ((n = stream_capture_next(capture, slots, &error)) > 0) {
        REQUIRE(n == measure_slot_size(slots));
        n_records++;
        bytes += measure_slot_length(slots);
        n_tcp += measure_slot_payload(slots) >= 0;
        check_tcp(slots);
    }
    ck_assert_msg(!error, "%s", error);
    ck_assert_uint_gt(progress.n, 0);
    ck_assert_uint_eq(progress.done, progress.total);
    if (strcmp(big_captures[_i], "tunnel")) {
        ck_assert_uint_gt(n_tcp, n_records / 50);
    }

    snprintf(name, sizeof name, "%s/%s.truth.tsv", traces, big_captures[_i]);
    truth = fopen(name, "r");
    ck_assert_msg(truth != NULL, "%s: %s", name, strerror(errno));
    counters = stream_capture_counters(capture);
    ck_assert_uint_eq(counters->packets, read_total(truth, "packets"));
    ck_assert_uint_eq(n_records, read_total(truth, "counted_packets"));
    ck_assert_uint_eq(bytes, read_total(truth, "counted_bytes"));
    ck_assert_uint_eq(counters->bytes, bytes);
    ck_assert_uint_eq(counters->narrow, read_total(truth, "ipv4"));
    ck_assert_uint_eq(counters->wide, read_total(truth, "ipv6"));
    ck_assert_uint_eq(counters->not_ip, read_total(truth, "not_ip"));
    ck_assert_uint_eq(counters->malformed,
                      read_total(truth, "bad_length")
                      + read_total(truth, "bad_version")
                      + read_total(truth, "short_header"));
    ck_assert_uint_eq(counters->too_long, 0);
    fclose(truth);
    stream_capture_close(capture);
}
END_TEST

/* No crash, and each packet is counted once. */
START_TEST(malformed_captures)
{
    unsigned int n_read = 0, n_refused = 0, n_damaged = 0;
    char name[PATH_MAX];
    struct dirent *entry;
    DIR *directory;

    snprintf(name, sizeof name, "%s/malformed", traces);
    directory = opendir(name);
    ck_assert_msg(directory != NULL, "%s: %s", name, strerror(errno));
    while ((entry = readdir(directory)) != NULL) {
        struct stream_capture_options options = { .headers = n_read % 2 };
        struct measure_slot slots[MEASURE_SLOT_MAX];
        const struct stream_capture_counters *c;
        struct stream_capture *capture;
        char *error;

        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".tsv")) {
            continue;
        }
        snprintf(name, sizeof name, "%s/malformed/%s", traces,
                 entry->d_name);
        capture = stream_capture_open(name, &options, &error);
        if (!capture) {
            ck_assert_msg(!strncmp(error, name, strlen(name)), "%s", error);
            free(error);
            n_refused++;
            continue;
        }
        while (stream_capture_next(capture, slots, &error)) {
            uint8_t buffer[MEASURE_PACKET_MAX];
            struct measure_packet packet;

            measure_packet_get(slots, buffer, &packet);
            REQUIRE(packet.captured <= packet.length);
        }
        n_damaged += error != NULL;
        free(error);
        c = stream_capture_counters(capture);
        ck_assert_uint_eq(c->packets, c->narrow + c->wide + c->not_ip
                                      + c->malformed + c->too_long);
        stream_capture_close(capture);
        n_read++;
    }
    closedir(directory);
    printf("%u captures read, %u of them damaged, %u refused\n", n_read,
           n_damaged, n_refused);
    fflush(stdout);
    ck_assert_uint_gt(n_read, 100);
    ck_assert_uint_gt(n_damaged, 5);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("stream-capture");

    tcase_add_loop_test(tests, link_types, 0, ARRAY_SIZE(links));
    tcase_add_loop_test(tests, packets_cut_anywhere, 0, ARRAY_SIZE(links));
    tcase_add_test(tests, other_link_types_are_named);
    tcase_add_test(tests, what_is_no_capture_is_refused);
    tcase_add_test(tests, truncated_captures);
    tcase_add_test(tests, packets_that_are_too_long);

    find_traces();
    if (!access(traces, R_OK)) {
        tcase_add_loop_test(tests, captures_add_up_to_their_truth,
                            0, ARRAY_SIZE(big_captures));
        tcase_add_test(tests, malformed_captures);
    } else {
        test_skipped("captures_add_up_to_their_truth",
                     "no captures (set MEASURE_TRACES to their directory)");
        test_skipped("malformed_captures",
                     "no captures (set MEASURE_TRACES to their directory)");
    }
    return tests_run(tests);
}
