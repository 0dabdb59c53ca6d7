/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked for in every epoch: heavy hitters, changes, alerts. */

#ifndef MEASURE_WATCH_H
#define MEASURE_WATCH_H 1

#include "measure-findings.h"

/* What is looked for in every epoch
 * =================================
 *
 * Of each closed epoch the thread "measure-watch" finds the heavy hitters,
 * superspreaders and changes, and raises alerts of them, as measure-raise.h
 * and measure-changes.h say.  An epoch for which a task finds no memory makes
 * no alerts of that task, changes nothing for later ones, and is counted.
 *
 * It has one report at most to look at: when the next one comes before it has
 * begun with that, the older is skipped and counted.  So reports never queue,
 * and neither merging nor answers wait for it.
 *
 * Memory: the expectations of changes (measure-changes.h) may take an
 * eighth of measure-memory-mb, and count in it; the ring of alerts is small.
 *
 * Thread safety: the main thread starts it; all else is the thread's own. */

void measure_watch_start(void);

#endif /* measure-watch.h */
