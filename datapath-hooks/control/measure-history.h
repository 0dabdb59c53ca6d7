/* SPDX-License-Identifier: Apache-2.0 */
/* The last reports of a monitor. */

#ifndef MEASURE_HISTORY_H
#define MEASURE_HISTORY_H 1

#include "openvswitch/list.h"
#include "ovs-atomic.h"
#include "report/measure-report.h"

/* The last reports of a monitor
 * =============================
 *
 * A report is kept until enough newer ones are there or the memory of the
 * monitor is needed for something else, and longer while somebody answers from
 * it: each user has a reference.  Reports do not change any more.
 *
 * Thread safety: 'measure_mutex' protects a history and its list; a
 * reference, once taken, may be used and given back by any thread, for which
 * 'live' has a lock of its own.  The budget of a report is that of its
 * monitor, which must live longer. */

struct kept_report {
    struct ovs_list node;           /* In a history, newest last. */
    struct ovs_list live_node;      /* In the history until it is freed. */
    struct ovs_refcount refs;
    struct measure_report *report;
    uint64_t bytes;                 /* What it holds. */
};

struct measure_history {
    struct ovs_list reports;        /* Contains "struct kept_report"s. */
    struct ovs_list live;           /* These, and those that somebody still
                                     * answers from; oldest first. */
    size_t n;
    uint64_t bytes;                 /* Sum of theirs. */
    uint64_t dropped_memory;        /* Because memory was short... */
    uint64_t dropped_number;        /* ...or there were enough newer ones. */
};

void measure_history_init(struct measure_history *);
void measure_history_destroy(struct measure_history *);
void measure_history_add(struct measure_history *, struct measure_report *);
struct kept_report *measure_history_newest(const struct measure_history *);
struct kept_report *measure_history_find(const struct measure_history *,
                                         uint64_t number);
struct kept_report *measure_history_take_oldest(struct measure_history *);
uint64_t measure_history_oldest_live(const struct measure_history *);

struct kept_report *measure_kept_report_ref(struct kept_report *);
void measure_kept_report_unref(struct kept_report *);

#endif /* measure-history.h */
