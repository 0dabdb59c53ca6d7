/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands measure/... answer about one bridge. */

#ifndef MEASURE_ANSWERS_H
#define MEASURE_ANSWERS_H 1

#include "measure-requests.h"

/* What the commands measure/... answer about one bridge
 * =====================================================
 *
 * Questions (measure-question.h) and what else there is to tell, each a
 * measure_write_func (measure-requests.h).
 *
 * Thread safety: measure_write_status() and measure_write_alerts() take the
 * lock for what takes no time; the others use references only. */

#define MEASURE_DEFAULT_ROWS 100

char *measure_subject_choose_reports(struct measure_subject *,
                                     const struct measure_arguments *)
    OVS_REQUIRES(measure_mutex);

char *measure_subject_error(const struct measure_subject *, char *error);

measure_write_func measure_write_question;
measure_write_func measure_write_changes;
measure_write_func measure_write_alerts;
measure_write_func measure_write_status;
measure_raw_func measure_metrics;

#endif /* measure-answers.h */
