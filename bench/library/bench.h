/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of measure-bench know of each other. */

#ifndef BENCH_H
#define BENCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/measure-hash.h"
#include "base/measure-memory.h"

/* measure-bench: what its parts know of each other
 * ================================================
 *
 * A contender is a structure under test.  All contenders get the same packets
 * in bursts of BENCH_BURST, in one thread, and say at the end of an epoch
 * which keys are heavy hitters.  Traffic comes in epochs: the keys of all
 * packets of an epoch lie one after the other in memory, so that reading them
 * costs every contender the same.
 *
 * Beside the key each packet has the number of its flow, which no contender
 * sees.  The exact counts are sums over these numbers and thus depend on no
 * hash and no table. */

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

/* When a flow has changed: see measure-expectations.h. */
#define BENCH_CHANGE_ALPHA 0.25
#define BENCH_CHANGE_FACTOR 2.0

#define BENCH_MAX_ENTRY 4096

/* What contenders are made for. */
struct bench_settings {
    uint32_t n_flows;           /* Most flows in one epoch. */
    size_t memory;              /* Bytes, or 0 to choose by 'n_flows'. */
    uint64_t threshold;         /* Packets of a heavy hitter, at least. */
    uint32_t entry;             /* Bytes of a value, of the task 'entries'. */
    uint64_t total;             /* Packets of an epoch. */
    struct measure_hash_secret secret;
    struct measure_budget budget;
};

/* Takes a key that a contender reports, with its count of packets. */
typedef void bench_report_function(void *aux, const struct bench_key *,
                                   uint64_t packets);

struct bench_contender {
    const char *name;
    bool exact;                 /* Precision and recall must be 1. */

    /* Returns the structure, or NULL after setting '*why_not'. */
    void *(*create)(struct bench_settings *, const char **why_not);
    void (*destroy)(void *, struct bench_settings *);
    void (*clear)(void *);
    void (*begin)(void *);      /* At the begin of a round, or NULL. */

    /* What thread 'i' of two counts in, or NULL for a single thread. */
    void *(*side)(void *, int i);

    /* Counts BENCH_BURST packets. */
    void (*update)(void *, const struct bench_key *, const uint16_t *bytes);

    /* Reports the keys of at least 'threshold' packets, or is NULL. */
    void (*report)(void *, uint64_t threshold, bench_report_function *,
                   void *aux);
    size_t (*memory)(const void *);
    double parameter;           /* The sample rate of a sketch. */
};

extern const struct bench_contender bench_floor;
extern const struct bench_contender bench_count_array;
extern const struct bench_contender bench_linear_table;
extern const struct bench_contender bench_linear_table_pointer;
extern const struct bench_contender bench_count_min;
extern const struct bench_contender bench_cuckoo_1;
extern const struct bench_contender bench_cuckoo_4;
extern const struct bench_contender bench_space_saving;
extern const struct bench_contender bench_rte_hash_bulk;
extern const struct bench_contender bench_rte_member[4];
extern const struct bench_contender bench_cmap;
extern const struct bench_contender bench_spread_derived;
extern const struct bench_contender bench_spread_bloom;
extern const struct bench_contender bench_spread_bitmap;
extern const struct bench_contender bench_change_derived;
extern const struct bench_contender bench_change_table;
extern const struct bench_contender bench_entry_array;
extern const struct bench_contender bench_entry_table;
extern const struct bench_contender bench_entry_pointer;
extern const struct bench_contender bench_variant_plain;
extern const struct bench_contender bench_variant_sparse;
extern const struct bench_contender bench_variant_second_line;
extern const struct bench_contender bench_variant_floor;
extern const struct bench_contender bench_variant_choose;
extern const struct bench_contender bench_variant_next_burst;
extern const struct bench_contender bench_variant_find_first;
extern const struct bench_contender bench_variant_first_row;
extern const struct bench_contender bench_variant_blind;
extern const struct bench_contender bench_separate;
extern const struct bench_contender bench_shared;

enum bench_task {
    BENCH_HEAVY_HITTERS,
    BENCH_SUPERSPREADERS,
    BENCH_CHANGES,
    BENCH_SHARED,
    BENCH_ENTRIES,
    BENCH_VARIANTS,
    BENCH_N_TASKS
};

/* What is true of the current epoch. */
struct bench_truth {
    uint32_t n;                 /* Flows, or sources. */
    uint32_t *values;           /* What they are judged by. */
    uint64_t threshold;
    bool *seen;                 /* Scratch. */

    uint32_t *sources;          /* Superspreaders: sources, in order... */
    uint32_t *source_of;        /* ...and the place of that of each flow. */
    double *expectations;       /* Changes, of each flow. */
    bool *vanished;             /* Reported as such, and not seen since. */
    uint32_t epochs;
};

struct bench_accuracy {
    double precision;
    double recall;
    double count_error;         /* Relative, mean of what was right... */
    double max_count_error;     /* ...and the largest. */
};

void bench_truth_init(struct bench_truth *, const struct bench_traffic *,
                      enum bench_task, uint64_t threshold);
void bench_truth_load(struct bench_truth *, const struct bench_traffic *,
                      uint64_t floor);
void bench_judge(const struct bench_contender *, void *structure,
                 const struct bench_traffic *, const struct bench_truth *,
                 struct bench_accuracy *);

/* The contender whose create() runs, for its parameter. */
extern const struct bench_contender *bench_creating;

/* Whether what a part needs was there when it was built, and what it was. */
const char *bench_dpdk_version(void);
const char *bench_ovs_version(void);

/* Time. */
static inline uint64_t
bench_clock(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t clock;

    __asm__ volatile ("mrs %0, cntvct_el0" : "=r" (clock));
    return clock;
#else
#error "no cycle counter is known for this processor"
#endif
}

/* Random numbers: SplitMix64. */
static inline uint64_t
bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void bench_fail(const char *, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
void *bench_memory(size_t size);
void bench_memory_free(void *, size_t size);

#endif /* bench.h */
