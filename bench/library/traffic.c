/* SPDX-License-Identifier: Apache-2.0 */
/* Packets drawn by Zipf's law, or read from a capture. */

/* Zipf: the flow of rank r (from 1) has a share proportional to r^-skew, as
 * in the paper, where skew 1.1 means that the first flow has ten times the
 * packets of the eighth.  The pool of pairs has a tenth as many sources as
 * flows; how many destinations a source has follows Zipf's law with skew 1,
 * so that some sources are superspreaders.  Packets have 64 bytes. */

#include <config.h>

#include "traffic.h"

#include <inttypes.h>
#include <math.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "key/measure-parse.h"
#include "support.h"

/* A discrete distribution: alias method of Walker and Vose. */
struct alias {
    uint32_t n;
    uint32_t *other;
    double *own;                /* Probability of not taking 'other'. */
};

struct bench_source {
    struct alias alias;         /* Zipf. */
    uint64_t seed;
    uint32_t *all_numbers;      /* Capture: the flow of each packet... */
    uint16_t *all_bytes;        /* ...and its length. */
};

static void
alias_init(struct alias *alias, uint32_t n, double skew)
{
    double *p = bench_memory(n * sizeof *p);
    uint32_t *small = bench_memory(n * sizeof *small);
    uint32_t *large = bench_memory(n * sizeof *large);
    uint32_t n_small = 0, n_large = 0;
    double sum = 0;

    alias->n = n;
    alias->other = bench_memory(n * sizeof *alias->other);
    alias->own = bench_memory(n * sizeof *alias->own);
    for (uint32_t i = 0; i < n; i++) {
        sum += p[i] = pow(i + 1.0, -skew);
    }
    for (uint32_t i = 0; i < n; i++) {
        p[i] *= n / sum;
        if (p[i] < 1) {
            small[n_small++] = i;
        } else {
            large[n_large++] = i;
        }
    }
    while (n_small && n_large) {
        uint32_t s = small[--n_small], l = large[n_large - 1];

        alias->own[s] = p[s];
        alias->other[s] = l;
        p[l] -= 1 - p[s];
        if (p[l] < 1) {
            n_large--;
            small[n_small++] = l;
        }
    }
    while (n_small || n_large) {
        uint32_t i = n_small ? small[--n_small] : large[--n_large];

        alias->own[i] = 1;
        alias->other[i] = i;
    }
    bench_memory_free(p, n * sizeof *p);
    bench_memory_free(small, n * sizeof *small);
    bench_memory_free(large, n * sizeof *large);
}

static uint32_t
alias_draw(const struct alias *alias, uint64_t *state)
{
    uint64_t random = bench_random(state);
    uint32_t i = ((random >> 32) * alias->n) >> 32;
    double fraction = (uint32_t) random * 0x1p-32;

    return fraction < alias->own[i] ? i : alias->other[i];
}

static void
alias_destroy(struct alias *alias)
{
    bench_memory_free(alias->other, alias->n * sizeof *alias->other);
    bench_memory_free(alias->own, alias->n * sizeof *alias->own);
}

static int
compare_keys(const struct bench_key *a, const struct bench_key *b)
{
    int order = ((a->words[0] > b->words[0]) - (a->words[0] < b->words[0]));

    return (order ? order
            : (a->words[1] > b->words[1]) - (a->words[1] < b->words[1]));
}

static const struct bench_key *sorted_keys;

static int
compare_numbers(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return compare_keys(&sorted_keys[*a], &sorted_keys[*b]);
}

static void
traffic_finish(struct bench_traffic *traffic)
{
    uint32_t n = traffic->n_flows;

    if (traffic->epoch_packets > traffic->n_packets) {
        traffic->epoch_packets = traffic->n_packets;
    }
    traffic->epoch_packets -= traffic->epoch_packets % BENCH_LATENCY_BATCH;
    if (!traffic->epoch_packets) {
        bench_fail("%"PRIu64" packets are too few: give at least %d",
                   traffic->n_packets, BENCH_LATENCY_BATCH);
    }
    traffic->n_epochs = traffic->n_packets / traffic->epoch_packets;
    traffic->keys = bench_memory(traffic->epoch_packets
                                 * sizeof *traffic->keys);
    traffic->bytes = bench_memory(traffic->epoch_packets
                                  * sizeof *traffic->bytes);
    traffic->numbers = bench_memory(traffic->epoch_packets
                                    * sizeof *traffic->numbers);
    traffic->packets = bench_memory(n * sizeof *traffic->packets);

    traffic->order = bench_memory(n * sizeof *traffic->order);
    for (uint32_t i = 0; i < n; i++) {
        traffic->order[i] = i;
    }
    sorted_keys = traffic->flows;
    qsort(traffic->order, n, sizeof *traffic->order, compare_numbers);

    for (uint32_t i = 0; i < traffic->n_epochs; i++) {
        bench_traffic_load(traffic, i);
        if (traffic->n_present > traffic->max_present) {
            traffic->max_present = traffic->n_present;
        }
    }
}

struct bench_traffic *
bench_traffic_zipf(double skew, uint32_t n_flows, uint64_t n_packets,
                   uint32_t epoch_packets, uint64_t seed, bool churn)
{
    struct bench_traffic *traffic = measure_xzalloc(sizeof *traffic);
    uint32_t n_sources = n_flows / 10 + 1;
    uint32_t spread = seed * 2654435761u | 1;
    uint64_t state = seed;
    struct alias sources;

    traffic->source = measure_xzalloc(sizeof *traffic->source);
    traffic->source->seed = seed;
    traffic->churn = churn;
    alias_init(&traffic->source->alias, n_flows, skew);

    /* Destinations are all different, thus pairs are. */
    alias_init(&sources, n_sources, 1.0);
    traffic->flows = bench_memory(n_flows * sizeof *traffic->flows);
    for (uint32_t i = 0; i < n_flows; i++) {
        uint32_t source = alias_draw(&sources, &state) * 2654435761u;
        uint32_t destination = i * spread;

        traffic->flows[i].words[0] = source | (uint64_t) destination << 32;
    }
    alias_destroy(&sources);

    traffic->n_flows = n_flows;
    traffic->n_packets = n_packets;
    traffic->epoch_packets = epoch_packets;
    traffic_finish(traffic);
    return traffic;
}

/* Growing arrays, for captures. */
static void *
grow(void *p, uint64_t n, size_t size)
{
    return n & (n - 1) ? p : measure_xrealloc(p, (n ? 2 * n : 1) * size);
}

/* Reads the IPv4 packets of 'file'.  With 'pairs', ports and protocol are
 * left out of the keys. */
struct bench_traffic *
bench_traffic_capture(const char *file, bool pairs, uint32_t epoch_packets)
{
    struct bench_traffic *traffic = measure_xzalloc(sizeof *traffic);
    struct bench_key *keys = NULL;
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    struct measure_record record;
    const u_char *frame;
    uint64_t n = 0;
    int status;
    pcap_t *pcap;

    traffic->source = measure_xzalloc(sizeof *traffic->source);
    pcap = pcap_open_offline(file, error);
    if (!pcap) {
        bench_fail("%s", error);
    }
    if (pcap_datalink(pcap) != DLT_EN10MB) {
        bench_fail("%s: not a capture of Ethernet frames", file);
    }
    while ((status = pcap_next_ex(pcap, &header, &frame)) == 1) {
        /* Captures that hold headers only count as if complete: the bytes
         * that are missing are those behind the headers. */
        u_char whole[65600];
        size_t size = header->len;

        if (size > sizeof whole) {
            size = sizeof whole;
        }
        memcpy(whole, frame, header->caplen < size ? header->caplen : size);
        if (header->caplen < size) {
            memset(whole + header->caplen, 0, size - header->caplen);
        }
        measure_parse(whole, size, MEASURE_ETHERTYPE_ETHERNET, &record);
        if (record.verdict != MEASURE_COUNT_NARROW) {
            continue;
        }
        keys = grow(keys, n, sizeof *keys);
        traffic->source->all_bytes = grow(traffic->source->all_bytes, n,
                                          sizeof(uint16_t));
        keys[n].words[0] = record.key[0];
        keys[n].words[1] = pairs ? 0 : record.key[1];
        traffic->source->all_bytes[n] = record.bytes;
        n++;
    }
    if (status == -1) {
        bench_fail("%s: %s", file, pcap_geterr(pcap));
    }
    pcap_close(pcap);
    if (n < BENCH_LATENCY_BATCH || n > UINT32_MAX) {
        bench_fail("%s: %"PRIu64" IPv4 packets; from %d to %"PRIu32" can be "
                   "used", file, n, BENCH_LATENCY_BATCH, UINT32_MAX);
    }

    /* Number the flows: equal keys stand together once sorted. */
    uint32_t *order = measure_xzalloc(n * sizeof *order);

    for (uint64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    sorted_keys = keys;
    qsort(order, n, sizeof *order, compare_numbers);
    traffic->source->all_numbers = measure_xzalloc(n * sizeof(uint32_t));
    traffic->flows = bench_memory(n * sizeof *traffic->flows);
    for (uint64_t i = 0; i < n; i++) {
        if (!i || compare_keys(&keys[order[i]], &keys[order[i - 1]])) {
            traffic->flows[traffic->n_flows++] = keys[order[i]];
        }
        traffic->source->all_numbers[order[i]] = traffic->n_flows - 1;
    }
    free(order);
    free(keys);

    traffic->n_packets = n;
    traffic->epoch_packets = epoch_packets;
    traffic_finish(traffic);
    return traffic;
}

/* Makes the packets of 'epoch' (from 0) the current ones. */
void
bench_traffic_load(struct bench_traffic *traffic, uint32_t epoch)
{
    const struct bench_source *source = traffic->source;
    uint64_t state = source->seed + 0x5eed * (epoch + UINT64_C(1));

    memset(traffic->packets, 0, traffic->n_flows * sizeof *traffic->packets);
    traffic->n = traffic->epoch_packets;
    traffic->n_present = 0;
    state = bench_random(&state);
    for (uint32_t i = 0; i < traffic->n; i++) {
        uint64_t packet = (uint64_t) epoch * traffic->epoch_packets + i;
        uint32_t number = (source->all_numbers
                           ? source->all_numbers[packet]
                           : alias_draw(&source->alias, &state));

        /* In each epoch, one flow of 16 trades its rank. */
        if (traffic->churn) {
            uint64_t draw = (uint64_t) epoch << 32 | number;

            if (bench_random(&draw) % 16 == 0) {
                number = (number + traffic->n_flows / 2) % traffic->n_flows;
            }
        }

        traffic->numbers[i] = number;
        traffic->keys[i] = traffic->flows[number];
        traffic->bytes[i] = (source->all_bytes ? source->all_bytes[packet]
                             : 64);
        traffic->n_present += !traffic->packets[number]++;
    }
}

/* Returns the number of the flow of 'key', or -1 if there is none. */
int64_t
bench_traffic_find(const struct bench_traffic *traffic,
                   const struct bench_key *key)
{
    uint32_t low = 0, high = traffic->n_flows;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_keys(key, &traffic->flows[traffic->order[middle]]);

        if (!order) {
            return traffic->order[middle];
        } else if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return -1;
}
