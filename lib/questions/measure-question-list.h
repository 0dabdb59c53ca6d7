/* SPDX-License-Identifier: Apache-2.0 */
/* The questions that can be asked of reports, one line each. */

/* Each is defined in a file of its own as measure_question_NAME.  Included by
 * measure-question.h and its source, hence without a guard. */

QUESTION(heavy_hitters)
QUESTION(superspreaders)
QUESTION(distribution)
