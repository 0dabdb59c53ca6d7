/* SPDX-License-Identifier: Apache-2.0 */
/* What merge-scale counts: many flows, in the tallies of many threads. */

#ifndef BENCH_MERGE_LOAD_H
#define BENCH_MERGE_LOAD_H 1

#include <stdbool.h>
#include <stdint.h>

#include "base/measure-hash.h"
#include "base/measure-memory.h"
#include "base/measure-output.h"
#include "report/measure-expectations.h"
#include "report/measure-report.h"
#include "tally/measure-tally.h"

#define MERGE_MAX_THREADS 64
#define MERGE_MAX_ROUNDS 20

struct merge_load {
    uint32_t n_threads;
    uint32_t n_flows;           /* Of each thread. */
    uint32_t n_rounds;
    uint64_t seed;

    /* What the flows are. */
    bool same_flows;            /* In all threads. */
    bool random_addresses;

    struct measure_hash_secret secret;
    struct measure_budget budget;
    struct measure_expectations changes[MEASURE_N_LAYOUTS];
    struct measure_tally *tallies[MERGE_MAX_THREADS];
};

void merge_load_init(struct merge_load *);
struct measure_tally *merge_new_tally(struct merge_load *);
void merge_reset_tally(const struct merge_load *, struct measure_tally *);
void merge_make_record(const struct merge_load *, struct measure_record *,
                       uint32_t i);
void merge_count_flows(const struct merge_load *, uint32_t number);
struct measure_report *merge_tallies(struct merge_load *,
                                     struct measure_tally *const tallies[],
                                     uint32_t n_tallies);
void merge_write_step(const struct merge_load *, struct measure_output *,
                      const char *name, const double *ms);

#endif /* bench/library/merge-load.h */
