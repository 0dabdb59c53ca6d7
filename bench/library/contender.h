/* SPDX-License-Identifier: Apache-2.0 */
/* What a structure under test must offer. */

#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/measure-hash.h"
#include "base/measure-memory.h"
#include "traffic.h"

/* Contenders
 * ==========
 *
 * A contender is a structure under test.  All contenders get the same packets
 * in bursts of BENCH_BURST, in one thread, and say at the end of an epoch
 * which keys are heavy hitters.
 *
 * A new one is declared in a header beside its source, and listed in
 * tasks.c.  Those of the task 'rings' count nothing: see ring.h.  Those of
 * the task 'pipeline' are several threads: see pipeline.h. */

/* When a flow has changed: see measure-expectations.h. */
#define BENCH_CHANGE_ALPHA 0.25
#define BENCH_CHANGE_FACTOR 2.0

/* What a contender is made for. */
struct bench_settings {
    uint32_t n_flows;           /* Most flows in one epoch. */
    size_t memory;              /* Bytes, or 0 to choose by 'n_flows'. */
    uint64_t threshold;         /* Packets of a heavy hitter, at least. */
    uint32_t entry;             /* Bytes of a value, of the task 'entries'. */
    struct measure_hash_secret secret;
    struct measure_budget budget;
    const struct bench_contender *contender;    /* That is being made. */
};

/* Takes a key that a contender reports, with its count of packets. */
typedef void bench_report_function(void *aux, const struct bench_key *,
                                   uint64_t packets);

struct bench_ring;
struct bench_pipeline;

struct bench_contender {
    const char *name;

    /* Of the task 'rings', or NULL.  Then there is nothing else. */
    const struct bench_ring *ring;

    /* Likewise, of the task 'pipeline'. */
    const struct bench_pipeline *pipeline;

    /* Returns the structure, or NULL after setting '*why_not'. */
    void *(*create)(struct bench_settings *, const char **why_not);
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
    double parameter;           /* Tells variants of one structure apart. */
};

#endif /* bench/library/contender.h */
