/* SPDX-License-Identifier: Apache-2.0 */
/* The options of measure-bench. */

#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contender.h"
#include "tasks.h"

#define BENCH_MAX_CONTENDERS 32

struct bench_options {
    double skew;
    uint32_t flows;
    uint64_t packets;
    uint32_t epoch;
    uint64_t seed;
    uint32_t repeat;
    size_t memory;
    uint32_t entry;
    const char *capture;
    bool pairs;
    bool json;
    enum bench_task task;
    const struct bench_contender *contenders[BENCH_MAX_CONTENDERS];
    size_t n_contenders;
};

void bench_options_parse(int argc, char *argv[], struct bench_options *);

#endif /* bench/library/options.h */
