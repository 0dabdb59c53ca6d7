/* SPDX-License-Identifier: Apache-2.0 */
/* The last reports of a monitor. */

#include <config.h>

#include "measure-history.h"

#include "ovs-thread.h"
#include "util.h"

/* Protects 'live' of all histories.  Nothing else is locked under it. */
static struct ovs_mutex live_mutex = OVS_MUTEX_INITIALIZER;

void
measure_history_init(struct measure_history *history)
{
    memset(history, 0, sizeof *history);
    ovs_list_init(&history->reports);
    ovs_list_init(&history->live);
}

void
measure_history_destroy(struct measure_history *history)
{
    struct kept_report *kept;

    LIST_FOR_EACH_POP (kept, node, &history->reports) {
        measure_kept_report_unref(kept);
    }
}

/* Adds 'report', newer than those that are there, which belongs to 'history'
 * from now on. */
void
measure_history_add(struct measure_history *history,
                    struct measure_report *report)
{
    struct kept_report *kept = xzalloc(sizeof *kept);

    ovs_refcount_init(&kept->refs);
    kept->report = report;
    kept->bytes = measure_report_bytes(report);
    history->n++;
    history->bytes += kept->bytes;
    ovs_list_push_back(&history->reports, &kept->node);
    ovs_mutex_lock(&live_mutex);
    ovs_list_push_back(&history->live, &kept->live_node);
    ovs_mutex_unlock(&live_mutex);
}

/* Returns the number of the oldest epoch that has a report, in 'history' or
 * because somebody still answers from it; UINT64_MAX if there is none. */
uint64_t
measure_history_oldest_live(const struct measure_history *history)
{
    uint64_t oldest = UINT64_MAX;

    ovs_mutex_lock(&live_mutex);
    if (!ovs_list_is_empty(&history->live)) {
        oldest = CONTAINER_OF(ovs_list_front(&history->live),
                              struct kept_report, live_node)->report->number;
    }
    ovs_mutex_unlock(&live_mutex);
    return oldest;
}

/* Returns the newest report, or NULL.  It needs a reference to outlive the
 * lock. */
struct kept_report *
measure_history_newest(const struct measure_history *history)
{
    return (history->n ? CONTAINER_OF(ovs_list_back(&history->reports),
                                      struct kept_report, node) : NULL);
}

/* Returns the report of epoch 'number', or NULL. */
struct kept_report *
measure_history_find(const struct measure_history *history, uint64_t number)
{
    struct kept_report *kept;

    LIST_FOR_EACH_REVERSE (kept, node, &history->reports) {
        if (kept->report->number == number) {
            return kept;
        }
    }
    return NULL;
}

/* Takes the oldest report off 'history', which must have one.  The caller must
 * unref it, best without a lock: that can free much. */
struct kept_report *
measure_history_take_oldest(struct measure_history *history)
{
    struct kept_report *kept
        = CONTAINER_OF(ovs_list_pop_front(&history->reports),
                       struct kept_report, node);

    history->n--;
    history->bytes -= kept->bytes;
    return kept;
}

struct kept_report *
measure_kept_report_ref(struct kept_report *kept)
{
    ovs_refcount_ref(&kept->refs);
    return kept;
}

void
measure_kept_report_unref(struct kept_report *kept)
{
    if (kept && ovs_refcount_unref(&kept->refs) == 1) {
        ovs_mutex_lock(&live_mutex);
        ovs_list_remove(&kept->live_node);
        ovs_mutex_unlock(&live_mutex);
        measure_report_destroy(kept->report);
        free(kept);
    }
}
