/* SPDX-License-Identifier: Apache-2.0 */
/* A model of our pipeline with more replicas than were measured. */

#ifndef BENCH_PIPELINE_MODEL_H
#define BENCH_PIPELINE_MODEL_H 1

#include <stddef.h>

/* A model of our pipeline
 * =======================
 *
 * It is a model and not a measurement.  For each record, in nanoseconds of
 * processor time,
 *
 *     the source         takes s
 *     each of r replicas takes k + w / r
 *
 * where k is what it takes to look at a record and see whose it is, which each
 * replica does with all records, and w the work on one's own: passing it on,
 * or counting it.  A single replica asks for no owner: it takes what was
 * measured.
 *
 * s is a mean over the numbers of replicas that were measured, from two on; k
 * and w are fitted to them by least squares.  With a processor for each thread
 *
 *     records per second           10^9 / max(s, k + w / r)
 *     records per second per core  10^9 / (s + r k + w)
 *
 * That lines have to be handed to more processors, and that these share
 * caches and memory, is not in the model.
 *
 * Thread safety: pure functions. */

/* Measured with a number of replicas. */
struct bench_model_point {
    unsigned int replicas;
    double source_ns;           /* Of a record. */
    double replica_ns;          /* Of a record, of each replica. */
};

struct bench_model {
    double source_ns;           /* s */
    double skip_ns;             /* k */
    double work_ns;             /* w */
    struct bench_model_point single;
    double residual;            /* Largest, as a share of what was measured. */
};

void bench_model_fit(struct bench_model *, const struct bench_model_point *,
                     size_t n);
double bench_model_rate(const struct bench_model *, unsigned int replicas);
double bench_model_rate_per_core(const struct bench_model *,
                                 unsigned int replicas);

#endif /* bench/library/pipeline-model.h */
