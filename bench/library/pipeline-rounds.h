/* SPDX-License-Identifier: Apache-2.0 */
/* The task 'pipeline': records through three stages, with replicas. */

#ifndef BENCH_PIPELINE_ROUNDS_H
#define BENCH_PIPELINE_ROUNDS_H 1

#include "options.h"

void bench_pipelines_run(const struct bench_options *,
                         const char *command_line);

#endif /* bench/library/pipeline-rounds.h */
