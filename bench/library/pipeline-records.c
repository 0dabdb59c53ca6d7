/* SPDX-License-Identifier: Apache-2.0 */
/* Records for pipelines, and what they count exactly. */

#include <config.h>

#include "pipeline-records.h"

#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "key/measure-parse.h"
#include "support.h"
#include "traffic.h"

#define START_NS (UINT64_C(1700000000) * 1000000000)
#define GAP_NS UINT64_C(100)    /* Between two packets that are drawn. */
#define LEAST_BYTES 64          /* Lengths of packets that are drawn... */
#define LENGTHS 1455            /* ...of which there are so many. */
#define FRAME_MAX 65600

/* What a record adds to its source. */
struct part {
    struct bench_address address;
    uint32_t bytes;
};

static int
compare_addresses(const struct bench_address *a,
                  const struct bench_address *b)
{
    if (a->is_ipv4 != b->is_ipv4) {
        return a->is_ipv4 - b->is_ipv4;
    }
    for (int i = 0; i < 2; i++) {
        if (a->words[i] != b->words[i]) {
            return a->words[i] < b->words[i] ? -1 : 1;
        }
    }
    return 0;
}

static int
compare_parts(const void *a_, const void *b_)
{
    const struct part *a = a_, *b = b_;

    return compare_addresses(&a->address, &b->address);
}

/* Counts the records, all of which are there. */
static void
count_exactly(struct bench_records *records)
{
    struct part *parts = measure_xzalloc(records->n * sizeof *parts);
    const struct measure_slot *slot = records->slots;
    struct bench_address_count *count = NULL;

    for (uint64_t i = 0; i < records->n; i++) {
        parts[i].address = bench_record_source(slot);
        parts[i].bytes = measure_slot_length(slot);
        slot += measure_slot_size(slot);
    }
    qsort(parts, records->n, sizeof *parts, compare_parts);
    records->sources = measure_xzalloc(records->n * sizeof *count);
    for (uint64_t i = 0; i < records->n; i++) {
        if (!i || compare_parts(&parts[i - 1], &parts[i])) {
            count = &records->sources[records->n_sources++];
            count->address = parts[i].address;
        }
        count->packets++;
        count->bytes += parts[i].bytes;
        records->bytes += parts[i].bytes;
    }
    free(parts);
}

static void
add_record(struct bench_records *records, enum measure_layout layout,
           const uint64_t *key, uint64_t time_ns, uint32_t bytes)
{
    records->n_slots += measure_slot_write(&records->slots[records->n_slots],
                                           layout, key, time_ns, bytes, 0);
    records->n++;
}

/* Draws 'n' records by Zipf's law: see traffic.c.  The length of a packet
 * depends on its flow. */
void
bench_records_zipf(struct bench_records *records, double skew, uint32_t flows,
                   uint64_t n, uint64_t seed)
{
    struct bench_traffic *traffic = bench_traffic_zipf(skew, flows, n, n, seed,
                                                       false);

    bench_traffic_load(traffic, 0);
    *records = (struct bench_records) {
        .name = measure_format("zipf-%g", skew),
        .slots = bench_memory(traffic->n * sizeof *records->slots),
    };
    for (uint32_t i = 0; i < traffic->n; i++) {
        add_record(records, MEASURE_NARROW, traffic->keys[i].words,
                   START_NS + i * GAP_NS,
                   LEAST_BYTES + traffic->numbers[i] % LENGTHS);
    }
    count_exactly(records);
}

static uint64_t
time_of(const struct pcap_pkthdr *header)
{
    return (header->ts.tv_sec * UINT64_C(1000000000)
            + header->ts.tv_usec * UINT64_C(1000));
}

/* Reads the first 'max' IP packets of 'file', with the length that they had
 * on the wire. */
void
bench_records_capture(struct bench_records *records, const char *file,
                      uint64_t max)
{
    static uint8_t whole[FRAME_MAX];
    const char *slash = strrchr(file, '/');
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    struct measure_record record;
    const u_char *frame;
    uint64_t room = 0;
    pcap_t *pcap;
    int status = 0;

    *records = (struct bench_records) {
        .name = measure_format("%s", slash ? slash + 1 : file),
    };
    pcap = pcap_open_offline(file, error);
    if (!pcap) {
        bench_fail("%s", error);
    }
    if (pcap_datalink(pcap) != DLT_EN10MB) {
        bench_fail("%s: not a capture of Ethernet frames", file);
    }
    while (records->n < max
           && (status = pcap_next_ex(pcap, &header, &frame)) == 1) {
        size_t size = measure_min(header->len, FRAME_MAX);
        size_t captured = measure_min(header->caplen, size);

        /* What a capture of headers has left out counts as zeros. */
        memcpy(whole, frame, captured);
        memset(whole + captured, 0, size - captured);
        measure_parse(whole, size, MEASURE_ETHERTYPE_ETHERNET, &record);
        if (record.verdict >= MEASURE_N_LAYOUTS) {
            continue;
        }
        if (records->n_slots + 2 > room) {
            room = room ? 2 * room : 1024;
            records->slots = measure_xrealloc(records->slots,
                                              room * sizeof *records->slots);
        }
        add_record(records, (enum measure_layout) record.verdict, record.key,
                   time_of(header), record.bytes);
    }
    if (status == -1) {
        bench_fail("%s: %s", file, pcap_geterr(pcap));
    }
    pcap_close(pcap);
    if (!records->n) {
        bench_fail("%s: no IP packets", file);
    }
    count_exactly(records);
}

/* Checking. */

static int
compare_counts(const void *address, const void *count_)
{
    const struct bench_address_count *count = count_;

    return compare_addresses(address, &count->address);
}

/* A run has found that 'address' has 'packets' and 'bytes'. */
void
bench_records_check(struct bench_records *records,
                    const struct bench_address *address, uint64_t packets,
                    uint64_t bytes, const char *who)
{
    struct bench_address_count *count
        = bsearch(address, records->sources, records->n_sources,
                  sizeof *records->sources, compare_counts);

    if (!count) {
        bench_fail("%s: %s has found a source that there is not",
                   records->name, who);
    }
    count->found_packets += packets;
    count->found_bytes += bytes;
}

/* It has found nothing else.  Ends the program unless that is exact. */
void
bench_records_check_end(struct bench_records *records, uint64_t sweeps,
                        const char *who)
{
    for (size_t i = 0; i < records->n_sources; i++) {
        struct bench_address_count *count = &records->sources[i];

        if (count->found_packets != sweeps * count->packets
            || count->found_bytes != sweeps * count->bytes) {
            bench_fail("%s: %s has counted %"PRIu64" packets and %"PRIu64
                       " bytes of a source that has %"PRIu64" and %"PRIu64,
                       records->name, who, count->found_packets,
                       count->found_bytes, sweeps * count->packets,
                       sweeps * count->bytes);
        }
        count->found_packets = count->found_bytes = 0;
    }
}

/* Ends the program unless 'packets' and 'bytes' are those of all records. */
void
bench_records_check_total(const struct bench_records *records,
                          uint64_t sweeps, uint64_t packets, uint64_t bytes,
                          const char *who)
{
    if (packets != sweeps * records->n || bytes != sweeps * records->bytes) {
        bench_fail("%s: %"PRIu64" packets and %"PRIu64" bytes have come to "
                   "the end of %s; there were %"PRIu64" and %"PRIu64,
                   records->name, packets, bytes, who, sweeps * records->n,
                   sweeps * records->bytes);
    }
}
