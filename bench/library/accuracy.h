/* SPDX-License-Identifier: Apache-2.0 */
/* Exact answers, and how right those of a contender are. */

#ifndef BENCH_ACCURACY_H
#define BENCH_ACCURACY_H 1

#include <stdbool.h>
#include <stdint.h>

#include "contender.h"
#include "tasks.h"
#include "traffic.h"

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

#endif /* bench/library/accuracy.h */
