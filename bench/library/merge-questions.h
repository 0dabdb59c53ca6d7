/* SPDX-License-Identifier: Apache-2.0 */
/* merge-scale: what it takes to answer questions. */

#ifndef BENCH_MERGE_QUESTIONS_H
#define BENCH_MERGE_QUESTIONS_H 1

#include "merge-load.h"

/* Questions
 * =========
 *
 * All kinds of questions to one report: the time by the clock of each, the
 * writing of the answer as JSON included.  The first time a question may make
 * groups that the report then keeps.  It is the report of the second epoch,
 * for the first takes its memory from the kernel, which clears it. */

/* Questions from 0 on: each command once by each of its defaults. */
#define MERGE_DEFAULT_QUESTIONS 8

const char *merge_question_name(int i);
uint64_t merge_ask(const struct measure_report *, int i);
bool merge_ask_all(struct merge_load *, struct measure_output *,
                   const char *name);

#endif /* bench/library/merge-questions.h */
