/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of libpcap's filters over records. */

#include <config.h>

#include "check-common.h"
#include "stream-pcap-filter.h"
#include "stream/measure-language.h"
#include "stream/measure-packet-make.h"

#define N_RECORDS 20000
#define TIMED_RECORDS 2000000

/* Records of a few hosts, networks, ports and lengths. */

struct packet {
    struct measure_fields fields;
    uint32_t length;
    uint8_t flags;
    bool tcp;                   /* There is a TCP header. */
    struct measure_slot slots[MEASURE_SLOT_MAX];
};

static struct packet packets[N_RECORDS];

static void
make_packet(struct packet *p, struct random *r, bool headers)
{
    static const uint8_t protocols[] = { 1, 6, 6, 17, 17, 47, 58, 132 };
    struct measure_fields *f = &p->fields;
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout;
    size_t before;
    unsigned int n;

    memset(p, 0, sizeof *p);
    f->family = random_below(r, 3) ? MEASURE_IPV4 : MEASURE_IPV6;
    if (f->family == MEASURE_IPV4) {
        put_be32(f->source, 0x0a000000 + random_below(r, 4) * 256
                            + random_below(r, 4));
        put_be32(f->destination, 0x0a000000 + random_below(r, 4) * 256
                                 + random_below(r, 4));
    } else {
        put_be32(f->source, 0x20010db8);
        put_be32(f->source + 12, random_below(r, 4));
        put_be32(f->destination, 0x20010db8);
        put_be32(f->destination + 12, random_below(r, 4));
    }
    f->protocol = protocols[random_below(r, ARRAY_SIZE(protocols))];
    if (f->protocol == 6 || f->protocol == 17 || f->protocol == 132) {
        f->source_port = 50 + random_below(r, 6);
        f->destination_port = 50 + random_below(r, 6);
    }
    f->vlan = random_below(r, 3) ? 0 : 1 + random_below(r, 2);
    f->port = random_below(r, 3);
    f->tunnelled = !random_below(r, 4);
    f->tunnel = f->tunnelled ? random_below(r, 10) : 0;
    before = (f->vlan ? 18 : 14) + (f->family == MEASURE_IPV4 ? 20 : 40);
    p->length = before + 20 + random_below(r, 100);
    p->tcp = f->protocol == 6;
    p->flags = random_next(r) >> 56;

    layout = measure_key_from_fields(key, f);
    n = measure_slot_write(p->slots, layout, key, random_next(r), p->length,
                           (p->tcp ? measure_slot_tcp(random_next(r) >> 32,
                                                      p->flags, before + 20)
                            : 0));
    if (headers) {
        uint8_t frame[MEASURE_PACKET_MAX];

        measure_packet_make(p->slots, frame);
        frame[0] = 0xff;        /* Not what would be made. */
        measure_slot_write_headers(p->slots, n, frame,
                                   measure_min(p->length, sizeof frame));
    }
}

/* Expressions, and what they mean. */

static bool
has_v4(const struct packet *p, uint32_t address, uint32_t mask)
{
    uint8_t bytes[4], masked[2][4];

    if (p->fields.family != MEASURE_IPV4) {
        return false;
    }
    put_be32(bytes, mask);
    for (int i = 0; i < 4; i++) {
        masked[0][i] = p->fields.source[i] & bytes[i];
        masked[1][i] = p->fields.destination[i] & bytes[i];
    }
    put_be32(bytes, address);
    return !memcmp(masked[0], bytes, 4) || !memcmp(masked[1], bytes, 4);
}

static bool
has_port(const struct packet *p, uint16_t port)
{
    return ((p->fields.protocol == 6 || p->fields.protocol == 17
             || p->fields.protocol == 132)
            && (p->fields.source_port == port
                || p->fields.destination_port == port));
}

/* As tcpdump, an expression without "vlan" knows no tagged packets. */
static bool
untagged(const struct packet *p)
{
    return !p->fields.vlan;
}

static bool
matches(const struct packet *p, int i)
{
    const struct measure_fields *f = &p->fields;
    bool ipv4 = f->family == MEASURE_IPV4;

    switch (i) {
    case 0:
        return (untagged(p) && has_v4(p, 0x0a000001, UINT32_MAX)
                && has_port(p, 53));
    case 1:
        return untagged(p) && has_v4(p, 0x0a000200, 0xffffff00);
    case 2:
        return (untagged(p) && !ipv4
                && f->source[15] == 2 && f->protocol == 6);
    case 3:
        return untagged(p) && ipv4 && p->tcp && (p->flags & 0x12) == 0x02;
    case 4:
        return f->vlan == 2 && has_v4(p, 0x0a000003, UINT32_MAX);
    case 5:
        return p->length >= 100;
    case 6:
        return (untagged(p) && ((ipv4 && f->protocol == 1)
                                || (!ipv4 && f->protocol == 58)));
    case 7:
        return (untagged(p) && f->protocol == 17
                && f->destination_port >= 51 && f->destination_port <= 53);
    case 8:
        return untagged(p) && f->protocol == 132;
    case 9:
        return untagged(p) && ipv4 && f->protocol == 47;
    case 10:
        return !(untagged(p) && ipv4);
    case 11:
        return true;
    case 12:
        return false;           /* Behind what is made. */
    case 13:
        return untagged(p) && ipv4 && has_port(p, 50) && f->protocol == 17;
    default:
        abort();
    }
}

static const char *const expressions[] = {
    "host 10.0.0.1 and port 53",
    "net 10.0.2.0/24",
    "ip6 and src host 2001:db8::2 and tcp",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
    "vlan 2 and host 10.0.0.3",
    "greater 100",
    "icmp or icmp6",
    "udp dst portrange 51-53",
    "sctp",
    "ip proto 47",
    "not ip",
    "",
    "ether[95] == 1",
    "ip and udp port 50",
};

static struct measure_stage *
make_stage(const char *words, char **error)
{
    struct measure_stage *stage = calloc(1, stream_pcap_filter.size);
    char *copy = strdup(words), *rest = NULL;
    bool any = false;

    stage->class = &stream_pcap_filter;
    for (char *s = copy, *word; (word = strtok_r(s, " ", &rest)) != NULL;
         s = NULL) {
        ck_assert_ptr_null(stream_pcap_filter.set(stage, NULL, word));
        any = true;
    }
    if (!any) {
        ck_assert_ptr_null(stream_pcap_filter.set(stage, NULL, ""));
    }
    free(copy);
    *error = stream_pcap_filter.begin(stage, NULL);
    return stage;
}

static void
free_stage(struct measure_stage *stage)
{
    stream_pcap_filter.destroy(stage);
    free(stage);
}

static void
check_expression(int i, bool headers)
{
    struct random r = random_from(test_seed + i);
    const char *text = expressions[i];
    struct measure_stage *stage;
    struct measure_batch batch;
    size_t n = 0, n_matched = 0;
    char *error;

    for (size_t j = 0; j < N_RECORDS; j++) {
        make_packet(&packets[j], &r, headers);
    }
    stage = make_stage(text, &error);
    ck_assert_msg(!error, "%s", error);
    memset(&batch, 0, sizeof batch);
    while (n < N_RECORDS) {
        size_t size = measure_min(1 + random_below(&r, MEASURE_BATCH),
                                  N_RECORDS - n);
        size_t given = 0;

        for (size_t j = 0; j < size; j++) {
            batch.records[j] = packets[n + j].slots;
        }
        batch.n = size;
        stream_pcap_filter.packets(stage, &batch);
        for (size_t j = 0; j < size; j++) {
            if (matches(&packets[n + j], i)) {
                ck_assert_msg(given < batch.n && batch.records[given]
                                                 == packets[n + j].slots,
                              "\"%s\" does not match packet %zu", text,
                              n + j);
                given++;
            }
        }
        ck_assert_msg(given == batch.n, "\"%s\" matches too much", text);
        n_matched += given;
        n += size;
    }
    if (i != 12) {
        ck_assert_msg(n_matched > 20, "\"%s\" matched %zu packets", text,
                      n_matched);
    }
    free_stage(stage);
}

START_TEST(expressions_match_made_headers)
{
    check_expression(_i, false);
}
END_TEST

START_TEST(expressions_match_headers_of_records)
{
    check_expression(_i, true);
}
END_TEST

/* Headers of a record are used, and not what would be made. */
START_TEST(fields_that_are_only_in_headers)
{
    struct random r = random_from(test_seed);
    struct measure_batch batch;
    struct measure_stage *stage;
    char *error;

    memset(&batch, 0, sizeof batch);
    stage = make_stage("ether[0] == 0xff", &error);
    ck_assert_ptr_null(error);
    for (int headers = 0; headers < 2; headers++) {
        make_packet(&packets[0], &r, headers);
        batch.records[0] = packets[0].slots;
        batch.n = 1;
        stream_pcap_filter.packets(stage, &batch);
        ck_assert_uint_eq(batch.n, headers);
    }
    free_stage(stage);
}
END_TEST

START_TEST(wrong_expressions_are_named)
{
    static const char *const wrong[] = {
        "host 10.0.0.1 and and port 53", "port banana", "net 10.0.0.1/24",
        "tcp[", "ip6 host 10.0.0.1", "(", "vlan 5000",
        "inbound", "outbound and tcp", "ifname eth0",
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char quoted[100], *error;
        struct measure_stage *stage = make_stage(wrong[i], &error);

        ck_assert_msg(error != NULL, "\"%s\" is taken", wrong[i]);
        snprintf(quoted, sizeof quoted, "\"%s\": ", wrong[i]);
        ck_assert_msg(!strncmp(error, quoted, strlen(quoted))
                      && strstr(error, "pcap-filter(7)"), "%s", error);
        free(error);
        free_stage(stage);
    }
}
END_TEST

START_TEST(an_expression_is_needed)
{
    struct measure_stage *stage = calloc(1, stream_pcap_filter.size);
    char *error = stream_pcap_filter.begin(stage, NULL);

    ck_assert_str_eq(error, "an expression is missing; valid is one as of "
                     "tcpdump, such as \"host 10.0.0.7 and port 53\"");
    free(error);
    free_stage(stage);
}
END_TEST

START_TEST(expressions_as_text_of_a_stage)
{
    static const char *const texts[][2] = {
        { "tcp[13] & 2|4 != 0", "'tcp[13] & 2|4 != 0'" },
        { "", "''" },
        { "a'b", "'a'\"'\"'b'" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char *text = NULL;

        measure_language_quote(&text, texts[i][0]);
        ck_assert_str_eq(text, texts[i][1]);
        free(text);
    }
}
END_TEST

static double
time_packets(struct measure_stage *stage)
{
    struct timespec start, end;
    struct measure_batch batch;
    size_t n = 0;

    memset(&batch, 0, sizeof batch);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (size_t i = 0; i < TIMED_RECORDS; i += MEASURE_BATCH) {
        for (size_t j = 0; j < MEASURE_BATCH; j++) {
            batch.records[j] = packets[(i + j) % N_RECORDS].slots;
        }
        batch.n = MEASURE_BATCH;
        stream_pcap_filter.packets(stage, &batch);
        n += batch.n;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    ck_assert_uint_lt(n, TIMED_RECORDS + MEASURE_BATCH);
    return (((end.tv_sec - start.tv_sec) * 1e9
             + (end.tv_nsec - start.tv_nsec)) / TIMED_RECORDS);
}

/* No gate: what it costs is printed. */
START_TEST(time_of_a_record)
{
    for (int headers = 0; headers < 2; headers++) {
        struct random r = random_from(test_seed);
        struct measure_stage *stage;
        char *error;

        for (size_t j = 0; j < N_RECORDS; j++) {
            make_packet(&packets[j], &r, headers);
        }
        stage = make_stage(expressions[0], &error);
        printf("\"%s\" on records with%s headers: %.1f ns a record\n",
               expressions[0], headers ? "" : "out", time_packets(stage));
        fflush(stdout);
        free_stage(stage);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("stream-pcap-filter");

    tcase_add_loop_test(tests, expressions_match_made_headers, 0,
                        ARRAY_SIZE(expressions));
    tcase_add_loop_test(tests, expressions_match_headers_of_records, 0,
                        ARRAY_SIZE(expressions));
    tcase_add_test(tests, fields_that_are_only_in_headers);
    tcase_add_test(tests, wrong_expressions_are_named);
    tcase_add_test(tests, an_expression_is_needed);
    tcase_add_test(tests, expressions_as_text_of_a_stage);
    tcase_add_test(tests, time_of_a_record);
    return tests_run(tests);
}
