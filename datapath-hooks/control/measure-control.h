/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that closes epochs in time and supplies the packet threads. */

#ifndef MEASURE_CONTROL_H
#define MEASURE_CONTROL_H 1

#include "measure-monitor.h"

/* The threads "measure" and "measure-merge"
 * =========================================
 *
 * "measure" closes epochs when they are due and gives the packet threads
 * larger tables before they need them.  It never waits for packet threads nor
 * for the other one, so that it is in time.
 *
 * "measure-merge" waits until the packet threads have let go of closed
 * tallies, merges them into reports, and makes the tallies ready to be used
 * again.  Only this thread destroys tallies that packet threads have used,
 * places and monitors, and only while "measure" grows nothing, which
 * 'measure_grow_mutex' makes sure of.  How large tallies are is in
 * measure-sizing.h.
 *
 * The main thread makes small tallies for new threads, and for an epoch that
 * must end before "measure" has made idle ones; all else is left to "measure",
 * which does the smallest and most urgent things for all monitors first.
 *
 * Thread safety: the main thread starts them; all else is their own. */

void measure_control_start(void)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-control.h */
