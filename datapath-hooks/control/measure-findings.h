/* SPDX-License-Identifier: Apache-2.0 */
/* What watching found for a monitor: alerts, changes, expectations. */

#ifndef MEASURE_FINDINGS_H
#define MEASURE_FINDINGS_H 1

#include "base/measure-pace.h"
#include "measure-history.h"
#include "questions/measure-raise.h"

/* What watching found for a monitor
 * =================================
 *
 * The alerts, the changes of the last epoch, and what is expected of keys:
 * measure-watch.h says how they come about.
 *
 * Memory: the ring of alerts is small; what expectations may take says
 * measure-watch.h.
 *
 * Thread safety: what is said with each member. */

struct seq;

#define MEASURE_ALERTS_KEPT 4096

/* Whose alerts must be remembered. */
enum measure_task {
    MEASURE_TASK_HEAVY_HITTERS,
    MEASURE_TASK_SOURCES,       /* Superspreaders. */
    MEASURE_TASK_DESTINATIONS,  /* The same. */
    MEASURE_N_TASKS
};

/* Of one monitor. */
struct measure_findings {
    /* Protected by 'measure_mutex'. */
    struct kept_report *pending;    /* A reference, or NULL. */
    struct measure_alerts alerts;
    struct measure_changes *changes;    /* The last; a reference, or NULL. */
    uint64_t evaluated;         /* Number of the last epoch that is done. */
    uint64_t n_evaluated;       /* Epochs. */
    uint64_t n_skipped;         /* Epochs. */
    uint64_t n_no_memory;       /* Epochs in which a task had none. */
    uint64_t not_listed;        /* Alerts that were too many in an epoch. */
    uint64_t time_us;           /* Work for the last epoch, without rests... */
    uint64_t max_time_us;       /* ...and the longest. */

    /* The thread only. */
    struct measure_pace pace;
    struct measure_known known[MEASURE_N_TASKS];
    struct measure_expected expected;
};

extern struct seq *measure_findings_seq;    /* Wakes "measure-watch". */

void measure_findings_init(struct measure_findings *);
void measure_findings_destroy(struct measure_findings *,
                              struct measure_budget *);
struct kept_report *measure_findings_submit(struct measure_findings *,
                                            struct kept_report *);

#endif /* measure-findings.h */
