/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the pipeline of the paper, made again. */

#ifndef BENCH_PIPELINE_PAPER_H
#define BENCH_PIPELINE_PAPER_H 1

#include "contender.h"

extern const struct bench_contender bench_paper_pass_through;
extern const struct bench_contender bench_paper_count;

#endif /* bench/library/pipeline-paper.h */
