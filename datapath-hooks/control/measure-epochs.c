/* SPDX-License-Identifier: Apache-2.0 */
/* Begins and closes epochs. */

#include <config.h>

#include "measure-epochs.h"

#include "measure-port-table.h"
#include "measure-sizing.h"
#include "measure-supply.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

void
measure_epochs_begin(struct monitor *monitor)
{
    monitor->epoch++;
    monitor->key_kind = monitor->config.key;
    monitor->tiers = monitor->config.tiers;
    monitor->memory_mb = monitor->config.memory_mb;
    monitor->structure = monitor->config.structure;
    monitor->start = time_msec();
    monitor->start_ms = time_wall_msec();
}

/* Closes the running epoch of 'monitor', and begins the next one unless the
 * monitor is not running any more: then it must have idle tallies.  Returns
 * the number of the closed epoch. */
static uint64_t
close_epoch(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    struct closing_epoch *closing = xzalloc(sizeof *closing);
    struct monitor_thread *thread;
    size_t n;

    monitor->close_requested = false;
    measure_ports_number(monitor);
    n = ovs_list_size(&monitor->threads);
    closing->number = monitor->epoch;
    closing->key_kind = monitor->key_kind;
    closing->start_ms = monitor->start_ms;
    closing->duration_ms = time_msec() - monitor->start;
    closing->tallies = xmalloc(n * sizeof *closing->tallies);
    closing->threads = xmalloc(n * sizeof *closing->threads);
    closing->cores = xmalloc(n * sizeof *closing->cores);
    ovs_list_init(&closing->retired);

    if (monitor->running) {
        measure_epochs_begin(monitor);
    }
    LIST_FOR_EACH_SAFE (thread, node, &monitor->threads) {
        struct measure_tally *old = measure_thread_tally(&thread->thread);

        if (!monitor->running || !thread->dp_thread) {
            measure_thread_leave(thread);
            measure_core_add_samples(thread->core, thread);
            ovs_list_remove(&thread->node);
            ovs_list_push_back(&closing->retired, &thread->node);
        } else {
            struct measure_tally *new = thread->idle;

            thread->idle = NULL;
            thread->cache_ticket = 0;
            measure_tally_begin_for(monitor, thread, new);
            measure_thread_swap(&thread->thread, new);
        }
        closing->tallies[closing->n] = old;
        closing->cores[closing->n] = thread->core_id;
        closing->threads[closing->n++] = thread;
    }
    measure_sizing_apply_limit(monitor);
    closing->closed_us = time_usec();
    ovs_list_push_back(&monitor->closing, &closing->node);
    seq_change(measure_merge_seq);
    return closing->number;
}

/* The same for the main thread, with or without idle tallies.  Lets go of
 * 'measure_mutex' to make them.  The report of the closed epoch follows:
 * measure_report_seq() changes then. */
uint64_t
measure_epochs_close(struct monitor *monitor)
{
    if (monitor->running) {
        measure_supply_idle_now(monitor);
    }
    return close_epoch(monitor);
}

/* Closes the epochs of all monitors that are due, and returns when the next
 * one is.  An epoch lasts longer while the one before it is being merged, so
 * that tallies do not pile up, and until there are idle ones for the next. */
long long int
measure_epochs_close_due(void)
{
    long long int next = LLONG_MAX;
    const struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->running) {
            if (ovs_list_is_empty(&monitor->closing)
                && time_msec() >= monitor->start + monitor->config.epoch_ms
                && measure_supply_has_idle(monitor)) {
                close_epoch(monitor);
            }
            next = MIN(next, monitor->start + monitor->config.epoch_ms);
            next = MAX(next, time_msec() + 1);
        }
    }
    return next;
}
