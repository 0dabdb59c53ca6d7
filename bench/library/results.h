/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured of the contenders, as text and as JSON. */

#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H 1

#include <stddef.h>
#include <stdint.h>

#include "accuracy.h"
#include "contender.h"
#include "options.h"
#include "traffic.h"

/* The histogram of the paper has buckets of 2 cycles for one packet.  These
 * are finer: half a tick of the clock for one packet. */
#define BENCH_BUCKETS 16384
#define BENCH_BUCKET_TICKS (BENCH_LATENCY_BATCH / 2)

struct bench_result {
    const struct bench_contender *contender;
    void *structure;
    const char *why_not;        /* If there is no structure. */
    size_t memory;              /* Largest at the end of an epoch. */

    double *ns;                 /* Mean of each timed run... */
    double *to_floor;           /* ...as a ratio to the floor's beside it... */
    double *to_table;           /* ...and to the linear table's nearest one. */
    uint32_t n_runs;
    uint64_t *histogram;
    uint64_t n_samples;

    double precision;           /* Sums over the rounds, as are... */
    double recall;
    double count_error;
    uint32_t n_accuracy;        /* ...these rounds. */
    double max_count_error;
};

struct bench_results {
    struct bench_result all[BENCH_MAX_CONTENDERS];
    size_t n;
    struct bench_result *floor; /* Of these, or NULL. */
    struct bench_result *table; /* Likewise. */
    double ns_per_tick;
};

/* Counts, in any thread, a sample of BENCH_LATENCY_BATCH packets. */
static inline void
bench_histogram_add(uint64_t *histogram, uint64_t ticks)
{
    uint64_t bucket = ticks / BENCH_BUCKET_TICKS;

    __atomic_fetch_add(&histogram[bucket < BENCH_BUCKETS
                                  ? bucket : BENCH_BUCKETS - 1],
                       1, __ATOMIC_RELAXED);
}

void bench_print_string(const char *);
void bench_print_member(const char *name, const char *value);
void bench_print_origin(const char *command_line);
void bench_result_init(struct bench_result *, const struct bench_contender *,
                       uint32_t max_runs);
void bench_result_add_accuracy(struct bench_result *,
                               const struct bench_accuracy *);
void bench_results_print_text(const struct bench_results *,
                              const struct bench_traffic *,
                              const struct bench_settings *);
void bench_results_print_json(const struct bench_results *,
                              const struct bench_options *,
                              const struct bench_traffic *,
                              const struct bench_settings *,
                              const char *command_line);

#endif /* bench/library/results.h */
