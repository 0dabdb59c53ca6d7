/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that merges closed epochs into reports. */

#ifndef MEASURE_MERGE_THREAD_H
#define MEASURE_MERGE_THREAD_H 1

#include "measure-monitor.h"

/* The thread "measure-merge"
 * ==========================
 *
 * It waits until every packet thread has let go of the tallies of a closing
 * epoch, merges them (measure-merge.h) into a report, and hands them back for
 * another epoch.  Only this thread destroys tallies that packet threads have
 * used, places and monitors.
 *
 * Thread safety: both functions belong to the main thread. */

void measure_merge_start(void)
    OVS_REQUIRES(measure_mutex);
void measure_merge_retire(struct monitor *)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-merge-thread.h */
