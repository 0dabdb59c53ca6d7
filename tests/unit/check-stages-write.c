/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the stage 'write': text, JSON, CSV and alerts. */

#include "check-json.h"
#include "check-stage.h"

#include "stages/measure-write-format.h"
#include "stream/measure-row-table.h"

extern const struct measure_stage_class measure_stage_write;

#define START UINT64_C(1700000000000000000)     /* 2023-11-14T22:13:20Z */
#define SECOND UINT64_C(1000000000)

/* The file that the stage writes to. */

static char path[64];

static void
make_path(void)
{
    int fd;

    strcpy(path, "check-stages-write.XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void
remove_path(void)
{
    unlink(path);
}

/* What is in the file, which the caller frees. */
static char *
written(void)
{
    FILE *f = fopen(path, "r");
    size_t n = 0, allocated = 1 << 20;
    char *text = malloc(allocated);

    ck_assert_ptr_nonnull(f);
    while ((n += fread(text + n, 1, allocated - n - 1, f))
           == allocated - 1) {
        allocated *= 2;
        text = realloc(text, allocated);
    }
    text[n] = '\0';
    fclose(f);
    return text;
}

static void
check_written(const char *expected)
{
    char *text = written();

    ck_assert_str_eq(text, expected);
    free(text);
}

static struct measure_stage *
open_write(const char *arguments, const struct measure_schema *input)
{
    char *text = measure_format("write %s file=%s", arguments, path);
    struct measure_stage *stage = check_stage(text, input,
                                              &measure_stage_write);

    free(text);
    return stage;
}

/* Rows. */

static struct measure_schema input;

static void
begin(const char *by)
{
    memset(&input, 0, sizeof input);
    input.of = "count";
    input.has_key = by != NULL;
    ck_assert(!by || measure_group_by_parse(by, &input.group_by));
    measure_schema_add(&input, "packets", MEASURE_COLUMN_COUNT);
    measure_schema_add(&input, "bytes", MEASURE_COLUMN_COUNT);
    measure_schema_add(&input, "packets-error-max", MEASURE_COLUMN_ERROR);
    measure_schema_add(&input, "bytes-error-max", MEASURE_COLUMN_ERROR);
    input.columns[3].error_of = 1;
}

static void
give_row(struct measure_stage *stage, const struct measure_fields *fields,
         uint8_t flags, uint64_t time_ns, const uint64_t *values, size_t n)
{
    union measure_row_buffer buffer;

    memset(&buffer, 0, sizeof buffer);
    if (fields) {
        uint64_t key[MEASURE_KEY_WORDS] = { 0 };
        enum measure_layout layout = measure_key_from_fields(key, fields);

        buffer.row.layout = measure_group_by_key(&input.group_by, layout, key,
                                                 buffer.row.key);
    }
    buffer.row.flags = flags;
    buffer.row.time_ns = time_ns;
    buffer.row.n_present = n;
    memcpy(buffer.row.values, values, n * sizeof *values);
    check_stage_row(stage, &buffer.row);
}

static void
give_counts(struct measure_stage *stage, const struct measure_fields *fields,
            uint64_t packets, uint64_t bytes)
{
    uint64_t values[] = { packets, bytes, 0, 0 };

    give_row(stage, fields, fields ? 0 : MEASURE_ROW_OTHER, START + SECOND,
             values, 4);
}

/* Three flows and two rows of others, in this order. */
static void
give_some(struct measure_stage *stage)
{
    struct measure_fields a = make_fields(MEASURE_NARROW, 1);
    struct measure_fields b = make_fields(MEASURE_NARROW, 2);
    struct measure_fields c = make_fields(MEASURE_WIDE, 3);

    b.vlan = 7;
    c.tunnelled = true;
    c.tunnel = 99;
    give_counts(stage, &b, 20, 2000);
    give_counts(stage, NULL, 10, 640);
    give_counts(stage, &c, 150, 15000);
    give_counts(stage, NULL, 10, 1360);
    give_counts(stage, &a, 10, 1000);
}

START_TEST(json_has_rows_of_heavy_hitters)
{
    struct measure_stage *stage;

    begin("flow");
    stage = open_write("json heavy=10%", &input);
    give_some(stage);
    check_stage_interval(stage, START, START + SECOND, true);
    check_stage_close(stage);
    check_written(
        "{\"start-ms\":1700000000000,\"end-ms\":1700000001000,"
        "\"source\":\"2001:db8::\",\"destination\":\"2001:db8:1::\","
        "\"protocol\":6,\"source-port\":1027,\"destination-port\":443,"
        "\"tunnel\":99,\"packets\":150,\"bytes\":15000,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":75.000,"
        "\"bytes-percentage-of-total\":75.000,"
        "\"heavy\":true,\"may-be-heavy\":true}\n"
        "{\"start-ms\":1700000000000,\"end-ms\":1700000001000,"
        "\"source\":\"10.0.0.0\",\"destination\":\"192.168.0.0\","
        "\"protocol\":17,\"source-port\":1026,\"destination-port\":53,"
        "\"vlan\":7,\"packets\":20,\"bytes\":2000,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":10.000,"
        "\"bytes-percentage-of-total\":10.000,"
        "\"heavy\":true,\"may-be-heavy\":true}\n"
        "{\"start-ms\":1700000000000,\"end-ms\":1700000001000,"
        "\"source\":\"10.0.0.0\",\"destination\":\"192.168.0.0\","
        "\"protocol\":6,\"source-port\":1025,\"destination-port\":443,"
        "\"packets\":10,\"bytes\":1000,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":5.000,"
        "\"bytes-percentage-of-total\":5.000,"
        "\"heavy\":false,\"may-be-heavy\":false}\n"
        "{\"start-ms\":1700000000000,\"end-ms\":1700000001000,"
        "\"other\":true,\"packets\":20,\"bytes\":2000,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":10.000,"
        "\"bytes-percentage-of-total\":10.000}\n");
}
END_TEST

/* Sums over several intervals are not compared with a rate. */
START_TEST(json_of_a_window_is_not_heavy)
{
    struct measure_fields a = make_fields(MEASURE_NARROW, 1);
    struct measure_stage *stage;

    begin("source");
    input.of_other_time = true;
    stage = open_write("json heavy=1Mbps", &input);
    give_counts(stage, &a, 10, 1000);
    check_stage_interval(stage, START, START + SECOND, true);
    check_stage_close(stage);
    check_written(
        "{\"start-ms\":1700000000000,\"end-ms\":1700000001000,"
        "\"source\":\"10.0.0.0\",\"packets\":10,\"bytes\":1000,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":100.000,"
        "\"bytes-percentage-of-total\":100.000}\n");
}
END_TEST

START_TEST(csv_has_a_head_once)
{
    struct measure_stage *stage;

    begin("flow");
    stage = open_write("csv", &input);
    give_some(stage);
    check_stage_interval(stage, START, START + SECOND, false);
    check_stage_interval(stage, START + SECOND, START + 2 * SECOND, true);
    check_stage_close(stage);
    check_written(
        "start-ms,end-ms,source,destination,protocol,source-port,"
        "destination-port,vlan,tunnel,packets,bytes,packets-error-max,"
        "bytes-error-max,other\r\n"
        "1700000000000,1700000001000,2001:db8::,2001:db8:1::,6,1027,443,,99,"
        "150,15000,0,0,false\r\n"
        "1700000000000,1700000001000,10.0.0.0,192.168.0.0,17,1026,53,7,,"
        "20,2000,0,0,false\r\n"
        "1700000000000,1700000001000,10.0.0.0,192.168.0.0,6,1025,443,,,"
        "10,1000,0,0,false\r\n"
        "1700000000000,1700000001000,,,,,,,,20,2000,0,0,true\r\n");
}
END_TEST

START_TEST(text_is_a_table)
{
    struct measure_stage *stage;

    begin("flow");
    stage = open_write("text", &input);
    give_some(stage);
    check_stage_interval(stage, START, START + SECOND, false);
    check_stage_interval(stage, START + SECOND, START + 2 * SECOND, true);
    check_stage_close(stage);
    check_written(
        "2023-11-14T22:13:20.000Z to 2023-11-14T22:13:21.000Z: 3 rows, "
        "200 packets, 19.5 KiB\n"
        "source             destination         protocol  vlan  tunnel  "
        "packets       %     bytes       %\n"
        "[2001:db8::]:1027  [2001:db8:1::]:443  tcp          -      99  "
        "    150  75.000  14.6 KiB  75.000\n"
        "10.0.0.0:1026      192.168.0.0:53      udp          7       -  "
        "     20  10.000  1.95 KiB  10.000\n"
        "10.0.0.0:1025      192.168.0.0:443     tcp          -       -  "
        "     10   5.000    1000 B   5.000\n"
        "other                                                          "
        "     20  10.000  1.95 KiB  10.000\n"
        "\n"
        "2023-11-14T22:13:21.000Z to 2023-11-14T22:13:22.000Z: 0 rows, "
        "0 packets, 0 B\n"
        "\n");
}
END_TEST

/* A name needs quotes in JSON and CSV. */
START_TEST(names_are_quoted)
{
    static const struct {
        const char *format;
        const char *expected;
    } cases[] = {
        { "json", "\"port\":\"a,\\\"b\\\\c\\u000a\"," },
        { "csv", "1700000001000,\"a,\"\"b\\c\n\",1,2,0,0,false\r\n" },
    };
    struct measure_port_names *ports = calloc(1, sizeof *ports);
    struct measure_fields fields = make_fields(MEASURE_NARROW, 1);
    struct measure_stage *stage;
    char *text;

    begin("port");
    fields.port = measure_port_number(ports, "a,\"b\\c\n");
    stage = open_write(cases[_i].format, &input);
    stage->ports = ports;
    give_counts(stage, &fields, 1, 2);
    check_stage_interval(stage, START, START + SECOND, true);
    check_stage_close(stage);
    text = written();
    ck_assert_msg(strstr(text, cases[_i].expected) != NULL, "%s", text);
    free(text);
    measure_port_names_destroy(ports);
    free(ports);
}
END_TEST

/* Rows come in any order, and more than the memory holds: nothing is lost, and
 * what is written is the same whatever the order, if they fit. */
static char *
write_shuffled(uint64_t limit, struct random *r, uint64_t *n_packets)
{
    enum { N = 5000 };
    uint32_t order[N];
    struct measure_stage *stage;

    begin("flow");
    budget.limit = limit;
    stage = open_write("csv", &input);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t j = random_below(r, i + 1);

        order[i] = order[j];
        order[j] = i;
    }
    *n_packets = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct measure_fields fields = make_fields(order[i] % 2
                                                   ? MEASURE_WIDE
                                                   : MEASURE_NARROW,
                                                   order[i] / 2);

        give_counts(stage, &fields, 1 + order[i] % 7, 64);
        *n_packets += 1 + order[i] % 7;
    }
    ck_assert(!limit || measure_budget_used(&budget) <= limit);
    check_stage_interval(stage, START, START + SECOND, true);
    ck_assert(stage->lost == 0);
    check_stage_close(stage);
    budget.limit = 0;
    return written();
}

/* Adds up a column of CSV. */
static uint64_t
sum_column(const char *text, int column, size_t *n_lines)
{
    uint64_t sum = 0;

    *n_lines = 0;
    for (const char *line = strchr(text, '\n'); line && line[1];
         line = strchr(line + 1, '\n')) {
        const char *s = line + 1;

        for (int i = 0; i < column; i++) {
            s = strchr(s, ',') + 1;
        }
        sum += strtoull(s, NULL, 10);
        ++*n_lines;
    }
    return sum;
}

START_TEST(order_of_rows_does_not_matter)
{
    struct random r = random_from(test_seed);
    uint64_t n_packets;
    size_t n_lines;
    char *first = write_shuffled(0, &r, &n_packets);
    char *again = write_shuffled(0, &r, &n_packets);
    char *little = write_shuffled(MEASURE_MIB / 4, &r, &n_packets);

    ck_assert(!strcmp(first, again));
    ck_assert_uint_eq(sum_column(first, 9, &n_lines), n_packets);
    ck_assert_uint_eq(n_lines, 5000);
    ck_assert(strcmp(first, little));
    ck_assert_uint_eq(sum_column(little, 9, &n_lines), n_packets);
    ck_assert_uint_eq(n_lines, 5000);
    free(first);
    free(again);
    free(little);
}
END_TEST

/* Order is kept where it means something. */
/* What a key has in several rows is one. */
START_TEST(rows_of_a_key_are_one)
{
    struct measure_fields a = make_fields(MEASURE_NARROW, 1);
    struct measure_fields b = make_fields(MEASURE_WIDE, 3);
    struct measure_stage *stage;

    begin("source");
    input.n = 2;
    input.repeats_keys = true;
    stage = open_write("csv", &input);
    for (uint64_t i = 1; i <= 3; i++) {
        give_row(stage, &a, 0, START + SECOND, (uint64_t[]) { i, 100 * i }, 2);
        give_row(stage, &b, 0, START + SECOND, (uint64_t[]) { 5, 9 }, 2);
    }
    check_stage_interval(stage, START, START + SECOND, true);
    check_stage_close(stage);
    check_written("start-ms,end-ms,source,packets,bytes,other\r\n"
                  "1700000000000,1700000001000,2001:db8::,15,27,false\r\n"
                  "1700000000000,1700000001000,10.0.0.0,6,600,false\r\n");
}
END_TEST

START_TEST(kept_order_is_kept)
{
    struct measure_fields a = make_fields(MEASURE_NARROW, 1);
    struct measure_fields b = make_fields(MEASURE_NARROW, 2);
    struct measure_stage *stage;

    begin("source-port");
    input.order = MEASURE_ORDER_KEPT;
    stage = open_write("csv", &input);
    give_counts(stage, &a, 1, 5);
    give_counts(stage, &b, 2, 4);
    check_stage_interval(stage, 0, 0, true);
    check_stage_close(stage);
    check_written("start-ms,end-ms,source-port,packets,bytes,"
                  "packets-error-max,bytes-error-max,other\r\n"
                  ",,1025,1,5,0,0,false\r\n"
                  ",,1026,2,4,0,0,false\r\n");
}
END_TEST

/* Events are there at once, with their time. */
static const struct {
    const char *format;
    const char *expected;
} events[] = {
    { "text", "2023-11-14 (UTC)\n"
      "22:13:20.000001 10.0.0.0 > 192.168.0.0: rtt 1.25 ms, ratio 0.500\n"
      "22:13:20.000002 10.0.0.0 > 192.168.0.0: rtt 900 ns\n" },
    { "json", "{\"time-ns\":1700000000000001000,\"source\":\"10.0.0.0\","
      "\"destination\":\"192.168.0.0\",\"rtt-ns\":1250000,\"ratio\":0.500}\n"
      "{\"time-ns\":1700000000000002000,\"source\":\"10.0.0.0\","
      "\"destination\":\"192.168.0.0\",\"rtt-ns\":900}\n" },
    { "csv", "time-ns,source,destination,rtt-ns,ratio\r\n"
      "1700000000000001000,10.0.0.0,192.168.0.0,1250000,0.500\r\n"
      "1700000000000002000,10.0.0.0,192.168.0.0,900,\r\n" },
};

START_TEST(events_do_not_wait)
{
    struct measure_fields fields = make_fields(MEASURE_NARROW, 1);
    uint64_t values[] = { 1250000, 0 };
    double ratio = 0.5;
    struct measure_batch none;
    struct measure_stage *stage;

    begin("pair");
    input.order = MEASURE_ORDER_TIME;
    input.n = 0;
    measure_schema_add(&input, "rtt-ns", MEASURE_COLUMN_NS);
    measure_schema_add(&input, "ratio", MEASURE_COLUMN_DECIMAL);
    stage = open_write(events[_i].format, &input);
    memcpy(&values[1], &ratio, sizeof ratio);
    give_row(stage, &fields, 0, START + 1000, values, 2);
    values[0] = 900;
    give_row(stage, &fields, 0, START + 2000, values, 1);
    memset(&none, 0, sizeof none);
    check_stage_interval(stage, START, START + SECOND, false);
    check_written(events[_i].expected);
    check_stage_close(stage);
}
END_TEST

/* A line of an event that is too wide goes on below. */
START_TEST(wide_events_are_several_lines)
{
    static const char *const names[] = {
        "burst-bytes", "burst-packets", "rank", "bytes", "bytes-error-max",
        "packets",
    };
    struct measure_fields fields = make_fields(MEASURE_NARROW, 1);
    uint64_t values[] = { 1000, 2000, 3, 4, 5, 6 };
    struct measure_stage *stage;

    begin("flow");
    input.order = MEASURE_ORDER_TIME;
    input.n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        measure_schema_add(&input, names[i], MEASURE_COLUMN_GAUGE);
    }
    stage = open_write("text", &input);
    give_row(stage, &fields, 0, START + 1000, values, 6);
    values[0] = 1;
    give_row(stage, &fields, 0, START + 2000, values, 2);
    check_stage_interval(stage, START, START + SECOND, true);
    check_stage_close(stage);
    check_written(
        "2023-11-14 (UTC)\n"
        "22:13:20.000001 10.0.0.0:1025 > 192.168.0.0:443 tcp: burst bytes "
        "1000 B, burst packets 2000, rank 3,\n"
        "    bytes 4 B, bytes error max 5 B, packets 6\n"
        "22:13:20.000002 10.0.0.0:1025 > 192.168.0.0:443 tcp: burst bytes "
        "1 B, burst packets 2000\n");
}
END_TEST

/* The end of a range is the beginning of the next one, and not a number that
 * is rounded like it. */
START_TEST(ranges_do_not_touch)
{
    static const uint64_t values[][3] = {
        { 5, 0, 0 }, { 7, 1024, 2047 }, { 9, 2048, 4095 },
        { 1, UINT64_C(1) << 63, UINT64_MAX },
    };
    struct measure_stage *stage;

    begin(NULL);
    input.order = MEASURE_ORDER_KEPT;
    input.n = 0;
    measure_schema_add(&input, "rows", MEASURE_COLUMN_COUNT);
    measure_schema_add(&input, "from-ns", MEASURE_COLUMN_NS);
    measure_schema_add(&input, "to-ns", MEASURE_COLUMN_NS);
    input.columns[2].is_end = true;
    stage = open_write("text", &input);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        give_row(stage, NULL, 0, START, values[i], 3);
    }
    check_stage_interval(stage, START, START + SECOND, true);
    check_stage_close(stage);
    check_written("2023-11-14T22:13:20.000Z to 2023-11-14T22:13:21.000Z: "
                  "4 rows\n"
                  "rows          from               to\n"
                  "   5          0 ns           < 1 ns\n"
                  "   7       1.02 us        < 2.05 us\n"
                  "   9       2.05 us        < 4.10 us\n"
                  "   1  9223372037 s  < 18446744074 s\n"
                  "\n");
}
END_TEST

/* Packets. */

static const struct {
    const char *format;
    const char *expected;
} packet_cases[] = {
    { "text", "2023-11-14 (UTC)\n"
      "22:13:20.000001 10.0.0.0:1025 > 192.168.0.0:443 tcp SA length 66 "
      "vlan 5\n"
      "22:13:20.000002 [2001:db8::]:1026 > [2001:db8:1::]:53 udp length 90 "
      "tunnel 8 port p1\n"
      "22:13:20.000003 10.0.0.0 > 192.168.0.0 icmp length 98\n"
      "22:13:20.000004 10.0.0.0 > 192.168.0.0 protocol 89 length 64\n"
      "22:13:20.000005 10.0.0.0:1024 > 192.168.0.1:443 tcp length 60\n" },
    { "json", "{\"time-ns\":1700000000000001000,\"source\":\"10.0.0.0\","
      "\"destination\":\"192.168.0.0\",\"protocol\":6,\"source-port\":1025,"
      "\"destination-port\":443,\"vlan\":5,\"length\":66,\"tcp-flags\":18,"
      "\"sequence\":4000000000}\n"
      "{\"time-ns\":1700000000000002000,\"source\":\"2001:db8::\","
      "\"destination\":\"2001:db8:1::\",\"protocol\":17,\"source-port\":1026,"
      "\"destination-port\":53,\"tunnel\":8,\"port\":\"p1\",\"length\":90}\n"
      "{\"time-ns\":1700000000000003000,\"source\":\"10.0.0.0\","
      "\"destination\":\"192.168.0.0\",\"protocol\":1,\"source-port\":0,"
      "\"destination-port\":0,\"length\":98}\n"
      "{\"time-ns\":1700000000000004000,\"source\":\"10.0.0.0\","
      "\"destination\":\"192.168.0.0\",\"protocol\":89,\"source-port\":0,"
      "\"destination-port\":0,\"length\":64}\n"
      "{\"time-ns\":1700000000000005000,\"source\":\"10.0.0.0\","
      "\"destination\":\"192.168.0.1\",\"protocol\":6,\"source-port\":1024,"
      "\"destination-port\":443,\"length\":60,\"tcp-flags\":0,"
      "\"sequence\":9}\n" },
    { "csv", "time-ns,source,destination,protocol,source-port,"
      "destination-port,vlan,tunnel,port,length,tcp-flags,sequence\r\n"
      "1700000000000001000,10.0.0.0,192.168.0.0,6,1025,443,5,,,66,18,"
      "4000000000\r\n"
      "1700000000000002000,2001:db8::,2001:db8:1::,17,1026,53,,8,p1,90,,\r\n"
      "1700000000000003000,10.0.0.0,192.168.0.0,1,0,0,,,,98,,\r\n"
      "1700000000000004000,10.0.0.0,192.168.0.0,89,0,0,,,,64,,\r\n"
      "1700000000000005000,10.0.0.0,192.168.0.1,6,1024,443,,,,60,0,9\r\n" },
};

START_TEST(packets_are_lines)
{
    struct measure_port_names *ports = calloc(1, sizeof *ports);
    struct random r = random_from(test_seed);
    struct check_packets packets = { NULL, 0, 0 };
    struct measure_stage *stage;
    struct check_packet p = {
        .fields = make_fields(MEASURE_NARROW, 1), .time_ns = START + 1000,
        .length = 66, .sequence = 4000000000u, .tcp_flags = 0x12,
        .payload = 0,
    };

    p.fields.vlan = 5;
    check_packets_add(&packets, &p);
    p = (struct check_packet) { .fields = make_fields(MEASURE_WIDE, 2),
                                .time_ns = START + 2000, .length = 90 };
    p.fields.tunnelled = true;
    p.fields.tunnel = 8;
    p.fields.port = measure_port_number(ports, "p1");
    check_packets_add(&packets, &p);
    p = (struct check_packet) { .fields = make_fields(MEASURE_NARROW, 3),
                                .time_ns = START + 3000, .length = 98 };
    p.fields.protocol = 1;
    p.fields.source_port = p.fields.destination_port = 0;
    check_packets_add(&packets, &p);
    p.time_ns = START + 4000;
    p.length = 64;
    p.fields.protocol = 89;
    check_packets_add(&packets, &p);
    /* No flag is set: of malformed packets, or a scan. */
    p = (struct check_packet) { .fields = make_fields(MEASURE_NARROW, 4),
                                .time_ns = START + 5000, .length = 60,
                                .sequence = 9 };
    p.fields.protocol = 6;
    p.fields.destination_port = 443;
    check_packets_add(&packets, &p);

    stage = open_write(packet_cases[_i].format, NULL);
    stage->ports = ports;
    check_stage_packets(stage, &packets, &r);
    /* No more are waiting. */
    check_written(packet_cases[_i].expected);
    check_stage_close(stage);
    measure_port_names_destroy(ports);
    free(ports);
    check_packets_free(&packets);
}
END_TEST

/* Alerts. */

START_TEST(alerts_are_of_large_rows)
{
    struct measure_fields a = make_fields(MEASURE_NARROW, 1);
    struct measure_fields b = make_fields(MEASURE_NARROW, 2);
    struct measure_fields c = make_fields(MEASURE_NARROW, 3);
    uint64_t inexact[] = { 5, 1500, 2, 300 };
    struct measure_stage *stage;

    begin("source-port");
    stage = open_write("alerts threshold=1000 of=bytes", &input);
    give_counts(stage, &a, 5, 999);
    give_counts(stage, &b, 1, 1000);
    give_counts(stage, NULL, 1, 100000);
    give_row(stage, &c, 0, START + SECOND, inexact, 4);
    check_stage_interval(stage, START, START + SECOND, false);
    give_counts(stage, &b, 1, 2000);
    check_stage_interval(stage, START + SECOND, START + 2 * SECOND, true);
    check_stage_close(stage);
    check_written(
        "{\"sequence\":1,\"task\":\"count\",\"interval\":1,"
        "\"time-ms\":1700000001000,\"key\":{\"source-port\":1027},"
        "\"unit\":\"bytes\",\"value\":1500,\"exact\":false,"
        "\"estimate\":\"lower-bound\",\"value-error-max\":300,"
        "\"threshold\":1000,"
        "\"rule\":\"bytes of count at or above threshold=1000\"}\n"
        "{\"sequence\":2,\"task\":\"count\",\"interval\":1,"
        "\"time-ms\":1700000001000,\"key\":{\"source-port\":1026},"
        "\"unit\":\"bytes\",\"value\":1000,\"exact\":true,"
        "\"threshold\":1000,"
        "\"rule\":\"bytes of count at or above threshold=1000\"}\n"
        "{\"sequence\":3,\"task\":\"count\",\"interval\":2,"
        "\"time-ms\":1700000001000,\"key\":{\"source-port\":1026},"
        "\"unit\":\"bytes\",\"value\":2000,\"exact\":true,"
        "\"threshold\":1000,"
        "\"rule\":\"bytes of count at or above threshold=1000\"}\n");
}
END_TEST

/* A rate is as much as it makes in the interval. */
START_TEST(alerts_have_rates)
{
    static const struct {
        const char *arguments;
        const char *unit;
        unsigned int threshold;     /* In half a second. */
        const char *rule;
    } cases[] = {
        { "threshold=80kbps", "bytes", 5000, "80kbps" },
        { "threshold=0.05Mbps", "bytes", 3125, "0.05Mbps" },
        { "threshold=15bps", "bytes", 1, "15bps" },
        { "threshold=5kpps", "packets", 2500, "5kpps" },
        { "threshold=80kbps of=bytes", "bytes", 5000, "80kbps" },
        { "of=packets threshold=9pps", "packets", 5, "9pps" },
    };
    struct measure_fields a = make_fields(MEASURE_NARROW, 1);
    struct measure_fields b = make_fields(MEASURE_NARROW, 2);
    bool bytes = !strcmp(cases[_i].unit, "bytes");
    struct measure_stage *stage;
    char *arguments, *expected;

    uint64_t start_ns = _i == 5 ? 0 : START;

    begin("source-port");
    arguments = measure_format("alerts %s", cases[_i].arguments);
    stage = open_write(arguments, &input);
    give_counts(stage, &a, bytes ? 1 : cases[_i].threshold,
                bytes ? cases[_i].threshold : 1);
    give_counts(stage, &b, bytes ? 1000000 : cases[_i].threshold - 1,
                bytes ? cases[_i].threshold - 1 : 1000000);
    /* The last one in a capture without a clock. */
    check_stage_interval(stage, start_ns, start_ns + SECOND / 2, true);
    check_stage_close(stage);
    expected = measure_format(
        "{\"sequence\":1,\"task\":\"count\",\"interval\":1,"
        "\"time-ms\":1700000001000,\"key\":{\"source-port\":1025},"
        "\"unit\":\"%s\",\"value\":%u,\"exact\":true,\"threshold\":%u,"
        "\"rule\":\"%s of count at or above threshold=%s\"}\n",
        cases[_i].unit, cases[_i].threshold, cases[_i].threshold,
        cases[_i].unit, cases[_i].rule);
    check_written(expected);
    free(expected);
    free(arguments);
}
END_TEST

/* Rows that must go before their interval has ended have no rate: it is said
 * how many they are. */
START_TEST(rates_without_memory_are_told)
{
    struct measure_stage *stage;
    uint64_t lost;

    begin("source-port");
    budget.limit = MEASURE_MIB / 16;
    stage = open_write("alerts threshold=1bps", &input);
    for (uint32_t i = 0; i < 5000; i++) {
        struct measure_fields fields = make_fields(MEASURE_NARROW, i);

        give_counts(stage, &fields, 1, 64);
    }
    check_stage_interval(stage, START, START + SECOND, true);
    lost = stage->lost;
    check_stage_close(stage);
    budget.limit = 0;
    ck_assert_uint_gt(lost, 0);
    {
        char *text = written();
        uint64_t n_lines = 0;

        for (const char *s = text; (s = strchr(s, '\n')) != NULL; s++) {
            n_lines++;
        }
        ck_assert_uint_eq(n_lines + lost, 5000);
        free(text);
    }
}
END_TEST

/* Random rows of all groups: each line of JSON is valid, each line of text at
 * most 100 wide. */

static const char *const groups[] = {
    "flow", "pair", "source", "source/24+destination/100", "flow+port",
    "protocol+destination-port", "vlan+tunnel+port", "source+tunnel+vlan",
};

START_TEST(lines_are_sound)
{
    struct random r = random_from(test_seed + _i);
    struct measure_stage *json, *table;
    char *text, *line, *rest = NULL;
    size_t n_lines = 0;
    /* Two addresses with ports alone are wider. */
    bool wide = !strncmp(groups[_i], "flow", 4);

    begin(groups[_i]);
    measure_schema_add(&input, "first-ns", MEASURE_COLUMN_TIME);
    measure_schema_add(&input, "rtt-ns", MEASURE_COLUMN_NS);
    measure_schema_add(&input, "packets-expected", MEASURE_COLUMN_DECIMAL);
    measure_schema_add(&input, "of-something-with-a-long-name",
                       MEASURE_COLUMN_GAUGE);
    for (int format = 0; format < 2; format++) {
        struct random same = r;

        json = table = open_write(format ? "text" : "json", &input);
        for (int i = 0; i < 500; i++) {
            struct measure_fields fields = random_fields(&same);
            uint64_t values[8];

            for (size_t j = 0; j < 8; j++) {
                values[j] = random_next(&same) >> random_below(&same, 64);
            }
            values[4] %= UINT64_C(1) << 61;
            give_row(json, &fields, 0, START, values,
                     random_below(&same, 9));
        }
        check_stage_interval(table, START, START + SECOND, true);
        check_stage_close(json);
        text = written();
        n_lines = 0;
        for (line = strtok_r(text, "\n", &rest); line;
             line = strtok_r(NULL, "\n", &rest)) {
            ck_assert_msg(format ? strlen(line) <= MEASURE_TEXT_WIDTH || wide
                          : json_valid(line), "%s", line);
            n_lines++;
        }
        ck_assert_uint_ge(n_lines, 500);
        free(text);
        if (!format) {
            ck_assert_uint_eq(n_lines, 500);
        }
    }
}
END_TEST

/* Errors. */

START_TEST(a_full_disk_is_told)
{
    struct random r = random_from(test_seed);
    struct check_packets packets = check_packets_random(&r, 2000, 60);
    struct measure_stage *stage;
    char *error;

    if (access("/dev/full", W_OK)) {
        test_skipped("a_full_disk_is_told", "no /dev/full");
        check_packets_free(&packets);
        return;
    }
    stage = check_stage("write json file=/dev/full", NULL,
                        &measure_stage_write);
    ck_assert(!stage->failed);
    check_stage_packets(stage, &packets, &r);
    ck_assert(stage->failed);
    error = stage->class->close(stage);
    ck_assert_str_eq(error, "/dev/full: No space left on device");
    free(error);
    check_stage_destroy(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_told)
{
    struct measure_stage *stage = check_stage_new(&measure_stage_write);
    char *error;

    ck_assert_ptr_null(check_stage_begin(stage, "write file=/no/such/file",
                                         NULL));
    error = stage->class->open(stage);
    ck_assert_str_eq(error, "/no/such/file: No such file or directory");
    free(error);
    check_stage_destroy(stage);
}
END_TEST

static const char *const no_thresholds[] = {
    "write alerts threshold=0", "write alerts threshold=1%",
    "write alerts threshold=Mbps", "write alerts threshold=0pps",
    "write alerts threshold=-1", "write alerts threshold=",
};

START_TEST(what_is_wrong_is_refused)
{
    begin("flow");
    check_stage_error("write xml", NULL, &measure_stage_write,
                      "unknown format: valid is alerts, csv, json, pcapng, "
                      "records, text");
    check_stage_error("write json csv", NULL, &measure_stage_write,
                      "there is a format already, json");
    check_stage_error("write file=", NULL, &measure_stage_write,
                      "valid is the path of a file");
    check_stage_error("write heavy=1% json", NULL, &measure_stage_write,
                      "the format must come before it, as in \"write json "
                      "heavy=1%\"");
    check_stage_error("write csv heavy=1%", NULL, &measure_stage_write,
                      "the format csv takes no heavy=");
    check_stage_error("write json heavy=much", NULL, &measure_stage_write,
                      "valid is what measure-heavy-hitter takes, as 1%, "
                      "10Mbps or 1000pps");
    check_stage_error("write alerts", &input, &measure_stage_write,
                      "alerts: needs threshold=, a number from 1 on, or a "
                      "rate, as 100Mbps or 1000pps");
    for (size_t i = 0; i < ARRAY_SIZE(no_thresholds); i++) {
        check_stage_error(no_thresholds[i], &input, &measure_stage_write,
                          "valid is a number from 1 on, or a rate, as 100Mbps "
                          "or 1000pps");
    }
    check_stage_error("write alerts threshold=1Mbps of=packets-error-max",
                      &input, &measure_stage_write,
                      "of=packets-error-max: a rate is of a column that adds "
                      "up over packets");
    check_stage_error("write alerts threshold=1Mbps of=packets", &input,
                      &measure_stage_write,
                      "threshold=1Mbps: packets are not counted in bits");
    check_stage_error("write alerts threshold=1kpps of=bytes", &input,
                      &measure_stage_write,
                      "threshold=1kpps: bytes are not counted in packets");
    check_stage_error("write alerts threshold=1 of=x", &input,
                      &measure_stage_write,
                      "of=x: count has no such column; valid is packets, "
                      "bytes, packets-error-max, bytes-error-max");
    check_stage_error("write alerts threshold=1 of=", &input,
                      &measure_stage_write, "valid is the name of a column");
    check_stage_error("write alerts threshold=1", NULL, &measure_stage_write,
                      "alerts: takes rows, as of \"count\", and is given "
                      "packets");
    input.order = MEASURE_ORDER_TIME;
    check_stage_error("write alerts threshold=1Mbps", &input,
                      &measure_stage_write,
                      "threshold=1Mbps: a rate is one in an interval, and the "
                      "rows of count come when they happen: valid is a number "
                      "from 1 on");
    input.order = MEASURE_ORDER_ANY;
    input.of_other_time = true;
    check_stage_error("write alerts threshold=1Mbps", &input,
                      &measure_stage_write,
                      "threshold=1Mbps: a rate is one in an interval, and the "
                      "rows of count are of another time: valid is a number "
                      "from 1 on");
    input.of_other_time = false;
    input.n = 1;
    check_stage_error("write alerts threshold=1Mbps", &input,
                      &measure_stage_write,
                      "threshold=1Mbps: count has no column bytes");
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-stages-write");

    tcase_add_checked_fixture(tests, make_path, remove_path);
    tcase_add_test(tests, json_has_rows_of_heavy_hitters);
    tcase_add_test(tests, json_of_a_window_is_not_heavy);
    tcase_add_test(tests, csv_has_a_head_once);
    tcase_add_test(tests, text_is_a_table);
    tcase_add_loop_test(tests, names_are_quoted, 0, 2);
    tcase_add_test(tests, order_of_rows_does_not_matter);
    tcase_add_test(tests, rows_of_a_key_are_one);
    tcase_add_test(tests, kept_order_is_kept);
    tcase_add_loop_test(tests, events_do_not_wait, 0, ARRAY_SIZE(events));
    tcase_add_test(tests, wide_events_are_several_lines);
    tcase_add_test(tests, ranges_do_not_touch);
    tcase_add_loop_test(tests, packets_are_lines, 0,
                        ARRAY_SIZE(packet_cases));
    tcase_add_test(tests, alerts_are_of_large_rows);
    tcase_add_loop_test(tests, alerts_have_rates, 0, 6);
    tcase_add_test(tests, rates_without_memory_are_told);
    tcase_add_loop_test(tests, lines_are_sound, 0, ARRAY_SIZE(groups));
    tcase_add_test(tests, a_full_disk_is_told);
    tcase_add_test(tests, a_file_that_cannot_be_opened_is_told);
    tcase_add_test(tests, what_is_wrong_is_refused);
    return tests_run(tests);
}
