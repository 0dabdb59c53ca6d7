/* SPDX-License-Identifier: Apache-2.0 */
/* Packets drawn by Zipf's law, or read from a capture. */

#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H 1

#include <stdbool.h>
#include <stdint.h>

/* The packets
 * ===========
 *
 * Traffic comes in epochs: the keys of all packets of an epoch lie one after
 * the other in memory, so that reading them costs every contender the same.
 *
 * Beside the key each packet has the number of its flow, which no contender
 * sees.  The exact counts are sums over these numbers and thus depend on no
 * hash and no table.
 *
 * Thread safety: several threads may read the current epoch at once. */

#define BENCH_BURST 32          /* Packets in one update. */
#define BENCH_LATENCY_BATCH 64  /* Packets in one sample of the latency. */

struct bench_key {
    uint64_t words[2];          /* Of MEASURE_NARROW. */
};

/* Packets to draw, and what they really were. */
struct bench_traffic {
    /* Of all epochs. */
    struct bench_key *flows;    /* The key of each flow. */
    uint32_t n_flows;
    uint64_t n_packets;
    uint32_t epoch_packets;     /* Packets of an epoch. */
    uint32_t n_epochs;
    uint32_t max_present;       /* Most flows in one epoch. */

    /* Of the epoch that was loaded last. */
    struct bench_key *keys;     /* The key of each packet. */
    uint16_t *bytes;            /* Its length. */
    uint32_t *numbers;          /* Its flow. */
    uint32_t n;                 /* Packets, a multiple of BENCH_BURST. */
    uint32_t *packets;          /* Packets of each flow. */
    uint32_t n_present;         /* Flows with packets. */

    struct bench_source *source;
    bool churn;                 /* Let flows change from epoch to epoch. */
    uint32_t *order;            /* Flows by their key. */
};

struct bench_traffic *bench_traffic_zipf(double skew, uint32_t n_flows,
                                         uint64_t n_packets,
                                         uint32_t epoch_packets,
                                         uint64_t seed, bool churn);
struct bench_traffic *bench_traffic_capture(const char *file, bool pairs,
                                            uint32_t epoch_packets);
void bench_traffic_load(struct bench_traffic *, uint32_t epoch);
int64_t bench_traffic_find(const struct bench_traffic *,
                           const struct bench_key *);

#endif /* bench/library/traffic.h */
