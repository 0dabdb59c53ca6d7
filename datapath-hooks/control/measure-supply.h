/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the packet threads the tallies and tables that they need. */

#ifndef MEASURE_SUPPLY_H
#define MEASURE_SUPPLY_H 1

#include "measure-monitor.h"

/* What packet threads need, before they need it
 * =============================================
 *
 * An idle tally for the next epoch, larger tables when those in use are
 * filled, and two tiers when packets find the exact-match cache.  The smallest
 * and most urgent things come first, for all monitors, also in the interludes
 * of measure-memory.h while memory for the rest is prepared.
 *
 * Thread safety: the main thread makes first tallies, and idle ones for an
 * epoch that must end at once; "measure-merge" hands back what it has merged;
 * all else belongs to "measure". */

struct measure_tally *
measure_supply_create(struct monitor *, const struct monitor_thread *,
                      uint64_t limit);
void measure_supply_first(struct monitor *, struct monitor_thread *)
    OVS_REQUIRES(measure_mutex);
bool measure_supply_has_idle(const struct monitor *)
    OVS_REQUIRES(measure_mutex);
void measure_supply_idle_now(struct monitor *)
    OVS_REQUIRES(measure_mutex);
void measure_supply_hand_back(struct monitor *, struct monitor_thread *,
                              struct measure_tally *)
    OVS_EXCLUDED(measure_mutex);
bool measure_supply_monitors(void)
    OVS_REQUIRES(measure_grow_mutex) OVS_EXCLUDED(measure_mutex);

#endif /* measure-supply.h */
