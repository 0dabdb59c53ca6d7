/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks of the paper, and which contenders each compares. */

#ifndef BENCH_TASKS_H
#define BENCH_TASKS_H 1

#include <stddef.h>

#include "contender.h"

enum bench_task {
    BENCH_HEAVY_HITTERS,
    BENCH_SUPERSPREADERS,
    BENCH_CHANGES,
    BENCH_SHARED,
    BENCH_ENTRIES,
    BENCH_VARIANTS,
    BENCH_RINGS,
    BENCH_PIPELINE,
    BENCH_BESIDE,
    BENCH_N_TASKS
};

struct bench_task_class {
    const char *name;
    const struct bench_contender *const *contenders;
    size_t n;
};

extern const struct bench_task_class bench_tasks[BENCH_N_TASKS];

#endif /* bench/library/tasks.h */
