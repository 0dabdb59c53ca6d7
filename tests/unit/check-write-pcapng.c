/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of pipelines that filter by libpcap's language and write pcapng. */

#include <config.h>

#include <pcap/pcap.h>
#include <poll.h>

#include "check-common.h"
#include "stages/measure-stages.h"
#include "stream-pcap-filter.h"
#include "stream/measure-pipeline.h"

#define N_PACKETS 5000
#define START UINT64_C(1700000000000000000)
#define WAIT_MS 20000           /* At most, for what must come. */

static const struct measure_stage_class *const more_classes[] = {
    &stream_pcap_filter, NULL
};

static struct measure_pipeline *
make_pipeline(const char *text, bool live)
{
    struct measure_pipeline_options options = {
        .live = live,
        .classes = measure_stages,
        .more_classes = more_classes,
    };
    struct measure_pipeline *p = measure_pipeline_create(&options);
    char *error = measure_pipeline_add_chain(p, text);

    ck_assert_msg(!error, "%s", error);
    return p;
}

static void
start(struct measure_pipeline *p)
{
    char *error = measure_pipeline_start(p);

    ck_assert_msg(!error, "%s", error);
}

static void
finish(struct measure_pipeline *p)
{
    char *error = measure_pipeline_finish(p);

    ck_assert_msg(!error, "%s", error);
    measure_pipeline_destroy(p);
}

static void
write_packet(struct measure_source *source, uint64_t time_ns,
             const struct measure_fields *fields, uint32_t length)
{
    struct measure_slot *slots = measure_source_reserve(source, 2);
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_key_from_fields(key, fields);

    REQUIRE(slots);
    measure_ring_advance(measure_source_writer(source),
                         measure_slot_write(slots, layout, key, time_ns,
                                            length, 0));
    measure_ring_publish(measure_source_writer(source));
}

static struct measure_fields
some_fields(struct random *r)
{
    struct measure_fields fields = make_fields(random_below(r, 2)
                                               ? MEASURE_WIDE
                                               : MEASURE_NARROW,
                                               random_below(r, 1000));

    fields.vlan = random_below(r, 2) ? 0 : 7;
    fields.port = random_below(r, 4);
    return fields;
}

/* An expression with a bar and spaces, in the text of a chain. */
START_TEST(filtered_packets_are_in_the_file)
{
    struct random r = random_from(test_seed);
    char name[] = "check-write-XXXXXX";
    int fd = mkstemp(name);
    char *text = measure_format("pcap-filter 'udp port 53 and ether[12] | 0 "
                                "!= 0x81' | write pcapng file=%s", name);
    struct measure_pipeline *p = make_pipeline(text, false);
    struct measure_source *source = measure_pipeline_create_source(p, 1024,
                                                                   0);
    uint64_t expected = 0, expected_bytes = 0, packets = 0, bytes = 0;
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    pcap_t *pcap;

    start(p);
    for (int i = 0; i < N_PACKETS; i++) {
        struct measure_fields fields = some_fields(&r);
        uint32_t length = 80 + random_below(&r, 1000);

        write_packet(source, START + i, &fields, length);
        if (fields.protocol == 17 && !fields.vlan) {
            expected++;
            expected_bytes += length;
        }
    }
    finish(p);
    pcap = pcap_open_offline(name, error);
    unlink(name);
    close(fd);
    ck_assert_msg(pcap != NULL, "%s", error);
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        packets++;
        bytes += header->len;
    }
    pcap_close(pcap);
    ck_assert_uint_gt(expected, 500);
    ck_assert_uint_eq(packets, expected);
    ck_assert_uint_eq(bytes, expected_bytes);
    free(text);
}
END_TEST

START_TEST(wrong_expressions_are_errors_of_the_chain)
{
    struct measure_pipeline_options options = {
        .classes = measure_stages, .more_classes = more_classes,
    };
    struct measure_pipeline *p = measure_pipeline_create(&options);
    char *error = measure_pipeline_add_chain(
        p, "pcap-filter 'port banana' | write pcapng");

    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error, "pcap-filter: \"port banana\": ")
                  && strstr(error, "see pcap-filter(7)"), "%s", error);
    free(error);
    error = measure_pipeline_add_chain(p, "count by=source | write pcapng");
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error, "takes packets") != NULL, "%s", error);
    free(error);
    measure_pipeline_destroy(p);
}
END_TEST

/* Reads from 'fd' until 'n' blocks of 'type' are there, in time. */
static void
wait_for_blocks(int fd, uint32_t type, size_t n)
{
    static uint8_t bytes[1 << 20];
    static size_t size, at;

    while (n) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        uint32_t block[2];
        ssize_t got;

        if (size - at >= sizeof block) {
            memcpy(block, bytes + at, sizeof block);
            if (size - at >= block[1]) {
                at += block[1];
                n -= block[0] == type;
                continue;
            }
        }
        ck_assert_msg(poll(&poll_fd, 1, WAIT_MS) == 1,
                      "%zu blocks of type %u did not come", n, type);
        got = read(fd, bytes + size, sizeof bytes - size);
        ck_assert_int_gt(got, 0);
        size += got;
    }
}

/* What was written to a pipe is there while the pipeline waits for more. */
START_TEST(a_reader_of_a_pipe_sees_live_packets)
{
    static const size_t bursts[] = { 1, 300, 2, 128, 256, 255, 1000 };
    struct random r = random_from(test_seed);
    struct measure_pipeline *p;
    struct measure_source *source;
    int fds[2];
    char *text;

    ck_assert_int_eq(pipe(fds), 0);
    text = measure_format("write pcapng file=/dev/fd/%d", fds[1]);
    p = make_pipeline(text, true);
    source = measure_pipeline_create_source(p, 4096, 0);
    start(p);
    close(fds[1]);
    wait_for_blocks(fds[0], 0x0a0d0d0a, 1);
    wait_for_blocks(fds[0], 1, 1);
    for (size_t i = 0; i < ARRAY_SIZE(bursts); i++) {
        for (size_t j = 0; j < bursts[i]; j++) {
            struct measure_fields fields = some_fields(&r);

            write_packet(source, START + i, &fields, 100);
        }
        wait_for_blocks(fds[0], 6, bursts[i]);
    }
    free(text);
    finish(p);
    close(fds[0]);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-write-pcapng");

    tcase_add_test(tests, filtered_packets_are_in_the_file);
    tcase_add_test(tests, wrong_expressions_are_errors_of_the_chain);
    tcase_add_test(tests, a_reader_of_a_pipe_sees_live_packets);
    return tests_run(tests);
}
