/* SPDX-License-Identifier: Apache-2.0 */
/* How large the tallies of a monitor are. */

#ifndef MEASURE_SIZING_H
#define MEASURE_SIZING_H 1

#include "base/measure-base.h"
#include "measure-monitor.h"

/* How large the tallies of a monitor are
 * ======================================
 *
 * What must fit measure-memory-mb is all that is allocated, and what the
 * reports of tallies that are not merged yet can take: for tables as much as
 * these, for other structures what measure_structure_load() says.  Hence
 * 'room': what is left of the limit after both.  Expectations and what a tally
 * takes without its tables are set aside first.  Of the rest an epoch begins
 * with at most a quarter, and tables grow by half of the room at a time.
 * What a thread cannot do without adds up to MEASURE_THREAD_LEAST bytes, so
 * that the limit is never less than measure_least_mb() says.
 *
 * A thread that has counted nothing for MEASURE_QUIET_EPOCHS is quiet, and its
 * tallies are as small as measure-idle-memory-mb says.  As soon as it counts
 * something the control thread gives it MEASURE_QUICK_LINES, then the reserve
 * of MEASURE_NEXT_LINES, two tiers, and a larger tally for the next epoch.
 * Until MEASURE_QUICK_LINES are there, a tick and about a millisecond later,
 * more new flows than the small tally takes are counted in the overflow array.
 *
 * Thread safety: 'measure_mutex' protects monitors and their threads.  A tally
 * that is being prepared belongs to the caller alone. */

#define MEASURE_QUIET_EPOCHS 8

/* A tally that must be there at once is no larger, or, if an idle bridge may
 * have more memory, all of them together no larger than the second. */
#define MEASURE_START_BYTES (2 * MEASURE_MIB)
#define MEASURE_MAX_START_BYTES (64 * MEASURE_MIB)

/* What a tally takes without tables, structure and tiers. */
#define MEASURE_TALLY_OWN_BYTES                                             \
    (sizeof(struct measure_tally)                                           \
     + MEASURE_OVERFLOW_CELLS * sizeof(struct measure_overflow_cell))

/* Two tallies, a third one while they are merged, and their smallest
 * tables. */
#define MEASURE_THREAD_LEAST (112 * MEASURE_KIB)

unsigned int measure_thread_weight(const struct monitor_thread *);
uint32_t measure_least_mb(size_t n_threads);
uint64_t measure_memory_limit(const struct monitor *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_start_limit(const struct monitor *);
uint64_t measure_thread_limit(const struct monitor *,
                              const struct monitor_thread *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_tally_limit(const struct monitor *,
                             const struct monitor_thread *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_tally_bytes(const struct measure_tally *);
bool measure_thread_is_quiet(const struct monitor_thread *);
bool measure_wants_cache(const struct monitor *, const struct monitor_thread *)
    OVS_REQUIRES(measure_mutex);

void measure_tally_prepare(struct measure_tally *, enum measure_structure_kind,
                           const uint64_t n_flows[MEASURE_N_LAYOUTS],
                           uint64_t limit);
bool measure_tally_fits(const struct monitor *, const struct monitor_thread *,
                        const struct measure_tally *)
    OVS_REQUIRES(measure_mutex);
void measure_tally_begin_for(struct monitor *, struct monitor_thread *,
                             struct measure_tally *)
    OVS_REQUIRES(measure_mutex);

uint64_t measure_expectations_limit(uint64_t memory_limit);
uint64_t measure_memory_room(const struct monitor *)
    OVS_REQUIRES(measure_mutex);
void measure_sizing_apply_limit(struct monitor *)
    OVS_REQUIRES(measure_mutex);
void measure_sizing_trim(struct monitor *, uint64_t want)
    OVS_EXCLUDED(measure_mutex);
void measure_sizing_make_room(struct monitor *, uint64_t want)
    OVS_EXCLUDED(measure_mutex);

#endif /* measure-sizing.h */
