/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: our pipeline, with its stages. */

#ifndef BENCH_PIPELINE_OURS_H
#define BENCH_PIPELINE_OURS_H 1

#include "contender.h"

extern const struct bench_contender bench_our_pass_through;
extern const struct bench_contender bench_our_count;

#endif /* bench/library/pipeline-ours.h */
