/* SPDX-License-Identifier: Apache-2.0 */
/* What a pipeline under test must offer. */

#ifndef BENCH_PIPELINE_H
#define BENCH_PIPELINE_H 1

#include "pipeline-records.h"

/* Pipelines under test
 * ====================
 *
 * A pipeline has a source, r replicas of a stage, and a sink.  It is given
 * records and either only passes them through, or counts the packets and
 * bytes of each source; the sink counts all of them in any case.  Each run
 * makes a pipeline, has it take all records, ends it, and checks its counts
 * against the exact ones.
 *
 * The source is the thread that calls run(), on the first processor; all other
 * threads have the others (or the same one, if there is one only).
 *
 * Thread safety: one thread at a time. */

struct bench_pipeline_load {
    struct bench_records *records;
    uint64_t sweeps;
    unsigned int replicas;
    bool counts;                /* Or passes records through. */
    const char *name;           /* Of the contender. */
};

/* Nanoseconds of a run, from before its threads begin until they have
 * ended. */
struct bench_pipeline_times {
    double wall_ns;
    double processor_ns;        /* Of all threads together. */
    double source_ns;           /* Of these, of the source... */
    double replicas_ns;         /* ...and of all replicas. */
};

struct bench_pipeline {
    bool counts;
    void (*run)(const struct bench_pipeline_load *,
                struct bench_pipeline_times *);

    /* Threads of a run, with those that wait for the end. */
    unsigned int (*threads)(unsigned int replicas);
};

#endif /* bench/library/pipeline.h */
