/* SPDX-License-Identifier: Apache-2.0 */
/* Raises alerts of what a report has above the thresholds. */

#ifndef MEASURE_RAISE_H
#define MEASURE_RAISE_H 1

#include "questions/measure-alert.h"
#include "questions/measure-changes.h"
#include "questions/measure-superspreaders.h"

/* From a report to alerts
 * =======================
 *
 * An alert of a heavy hitter or superspreader is raised when it becomes one,
 * and not again while it stays one.  In one epoch each task raises at most
 * MEASURE_RAISED_ALERTS alerts, of the largest; the others are counted.
 *
 * Only what is certain makes an alert: a heavy hitter whose count is above the
 * threshold with any error that it can have, a superspreader of which so many
 * destinations are known, a change as measure-changes.h has it.  One that may
 * still be what it was, because the epoch missed packets, makes no alert when
 * it certainly is again.
 *
 * Memory: up to MEASURE_RAISED_KEYS keys that are known for each task.
 *
 * Thread safety: none. */

#define MEASURE_RAISED_ALERTS 256
#define MEASURE_RAISED_KEYS 10000   /* That have an alert at a time. */

/* Keys that have an alert, in the order of measure_fields_compare().  All
 * zeros: none. */
struct measure_known {
    struct measure_fields *keys;
    size_t n;
};

/* Alerts of one epoch.  All zeros: none.  The caller frees 'alerts'. */
struct measure_raised {
    struct measure_alert *alerts;
    size_t n;
    size_t allocated;
    uint64_t not_listed;        /* That were too many. */
};

bool measure_raise_heavy_hitters(struct measure_raised *,
                                 struct measure_known *,
                                 const struct measure_scope *,
                                 const struct measure_config *);
bool measure_raise_superspreaders(struct measure_raised *,
                                  struct measure_known *,
                                  const struct measure_scope *,
                                  const struct measure_config *,
                                  enum measure_superspreaders_by);
void measure_raise_changes(struct measure_raised *,
                           const struct measure_changes *,
                           const struct measure_report *,
                           const struct measure_config *);

#endif /* measure-raise.h */
