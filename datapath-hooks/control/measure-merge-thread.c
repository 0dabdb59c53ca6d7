/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that merges closed epochs into reports. */

#include <config.h>

#include "measure-merge-thread.h"

#include "measure-sizing.h"
#include "measure-supply.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "report/measure-merge.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_merge);

/* Monitors that nobody else knows any more. */
static struct ovs_list dying OVS_GUARDED_BY(measure_mutex)
    = OVS_LIST_INITIALIZER(&dying);

/* The thread "measure-merge" runs. */
static bool started OVS_GUARDED_BY(measure_mutex);

/* Destroys 'monitor', which is in no list any more, when its epochs are
 * merged: at once if no monitor has ever had an epoch, for then there is no
 * thread that could do it later. */
void
measure_merge_retire(struct monitor *monitor)
{
    if (started) {
        ovs_list_push_back(&dying, &monitor->dying_node);
        seq_change(measure_merge_seq);
    } else {
        measure_monitor_unref(monitor);
    }
}

/* Waits until the other thread has let go of all tallies, threads and monitors
 * that it has found before. */
static void
wait_for_growth(void)
{
    ovs_mutex_lock(&measure_grow_mutex);
    ovs_mutex_unlock(&measure_grow_mutex);
}

static void
destroy_dying(void)
{
    struct ovs_list done = OVS_LIST_INITIALIZER(&done);
    struct monitor *monitor;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH_SAFE (monitor, dying_node, &dying) {
        if (ovs_list_is_empty(&monitor->closing)) {
            ovs_list_remove(&monitor->dying_node);
            ovs_list_push_back(&done, &monitor->dying_node);
        }
    }
    ovs_mutex_unlock(&measure_mutex);

    if (!ovs_list_is_empty(&done)) {
        wait_for_growth();
        LIST_FOR_EACH_POP (monitor, dying_node, &done) {
            measure_monitor_unref(monitor);
        }
    }
}

/* The rows of a table that are asked for their probes. */
#define PROBED_ROWS 4096

/* Notes how far packets looked for their rows. */
static void
note_probes(const struct closing_epoch *closing)
    OVS_EXCLUDED(measure_mutex)
{
    for (size_t i = 0; i < closing->n; i++) {
        const struct measure_tally *tally = closing->tallies[i];
        struct measure_probes probes = { 0, 0, 0 };

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            for (uint32_t j = 0; j < tally->n_tables[layout]; j++) {
                measure_table_add_probes(&tally->tables[layout][j],
                                         &measure_secret, PROBED_ROWS,
                                         &probes);
            }
        }
        ovs_mutex_lock(&measure_mutex);
        closing->threads[i]->probes = probes;
        ovs_mutex_unlock(&measure_mutex);
    }
}

/* Notes how many flows the tables of the next epochs must expect.  What is
 * counted in flow caches must not be in the tables yet: larger tables than the
 * packet threads need would take the place of other things in the caches of
 * their cores. */
static void
expect_flows(const struct closing_epoch *closing)
    OVS_EXCLUDED(measure_mutex)
{
    ovs_mutex_lock(&measure_mutex);
    for (size_t i = 0; i < closing->n; i++) {
        struct monitor_thread *thread = closing->threads[i];
        struct measure_load load;

        measure_tally_load(closing->tallies[i], &load);
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            thread->n_flows[layout] = MAX(load.n_used[layout],
                                          thread->n_flows[layout] * 7 / 8);
        }
        if (load.counters.packets) {
            thread->n_quiet = 0;
        } else if (thread->n_quiet < MEASURE_QUIET_EPOCHS) {
            thread->n_quiet++;
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Frees the keys of threads of 'monitor' none of whose tallies counts with
 * them any more. */
static void
free_keys(struct monitor *monitor)
    OVS_EXCLUDED(measure_mutex)
{
    struct measure_cache_keys **keys;
    struct monitor_thread *thread;
    size_t n = 0;

    ovs_mutex_lock(&measure_grow_mutex);
    ovs_mutex_lock(&measure_mutex);
    keys = xmalloc(MAX(ovs_list_size(&monitor->threads), 1) * sizeof *keys);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (ovs_list_is_empty(&monitor->closing)
            && !measure_thread_tally(&thread->thread)->cache_keys
            && measure_thread_keys(&thread->thread)
            && !measure_wants_cache(monitor, thread)) {
            keys[n++] = measure_thread_take_keys(&thread->thread);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
    ovs_mutex_unlock(&measure_grow_mutex);

    if (n) {
        ovsrcu_synchronize();
    }
    for (size_t i = 0; i < n; i++) {
        measure_memory_free(&monitor->budget, keys[i], sizeof *keys[i]);
    }
    free(keys);
}

/* Takes note of the keys that found no room in 'report', and warns of the
 * first ones: one who looks for heavy hitters must know that some may be
 * missing. */
static void
note_lost(struct monitor *monitor, const struct measure_report *report)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_structure_class *class
        = measure_structure_class(report->structure);

    if (report->n_lost && class->loses_heavy_keys && !monitor->lost_warned) {
        monitor->lost_warned = true;
        VLOG_WARN("%s: keys found no room in measure-structure=%s "
                  "(%"PRIu64" times in epoch %"PRIu64"): small heavy hitters "
                  "may be missing; if later epochs lose keys too, "
                  "measure-memory-mb=%u is too little",
                  monitor->name, measure_structure_name(report->structure),
                  report->n_lost, report->number, monitor->config.memory_mb);
    }
    monitor->closed_lost += report->n_lost;
}

/* Adds 'report', that of 'closing', to the history of 'monitor', and takes
 * 'closing' off the monitor's list. */
static void
publish(struct monitor *monitor, struct closing_epoch *closing,
        struct measure_report *report)
{
    struct kept_report *before = NULL;
    struct kept_report *skipped;
    uint64_t want;

    report->number = closing->number;
    report->start_ms = closing->start_ms;
    report->duration_ms = closing->duration_ms;

    ovs_mutex_lock(&measure_mutex);
    measure_counters_add(&monitor->closed, &report->counters);
    note_lost(monitor, report);
    for (size_t i = 0; i < closing->n; i++) {
        measure_counters_add(&closing->threads[i]->core->closed,
                             &closing->tallies[i]->counters);
    }
    monitor->n_handovers++;
    monitor->handover_us += closing->handover_us;
    monitor->max_handover_us = MAX(monitor->max_handover_us,
                                   closing->handover_us);
    if (monitor->history.n) {
        before = measure_kept_report_ref(
            measure_history_newest(&monitor->history));
    }
    measure_history_add(&monitor->history, report);
    skipped = measure_findings_submit(
        &monitor->findings, measure_history_newest(&monitor->history));
    ovs_list_remove(&closing->node);
    measure_port_settle(&monitor->ports, closing->number, monitor->epoch);
    measure_port_recycle(&monitor->ports,
                         measure_monitor_oldest_epoch(monitor));
    monitor->handing_back = true;
    want = measure_memory_limit(monitor) / 8;
    ovs_mutex_unlock(&measure_mutex);

    measure_kept_report_unref(skipped);
    if (before) {
        measure_report_forget_groups(before->report);
        measure_kept_report_unref(before);
    }
    measure_sizing_make_room(monitor, want);
    seq_change(measure_report_seq());
}

/* Takes the threads of 'monitor' that go with 'closing' away from readers.  A
 * number of a port may stand for none now, which readers want to know, too. */
static void
tell_readers(struct monitor *monitor, const struct closing_epoch *closing)
    OVS_EXCLUDED(measure_mutex)
{
    struct monitor_thread *thread;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (thread, node, &closing->retired) {
        measure_readers_thread_gone(&monitor->stream, &thread->thread);
    }
    if (!ovs_list_is_empty(&monitor->stream.readers)) {
        seq_change(measure_stream_seq);
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Makes the report of 'closing', and its tallies ready for another epoch.
 *
 * Merging and clearing take long, and touch nothing that RCU protects:
 * meanwhile this thread must not hold up grace periods.  Between pieces of
 * this work it rests. */
static void
finish_epoch(struct monitor *monitor, struct closing_epoch *closing)
{
    struct monitor_thread *thread;
    struct measure_report *report;
    uint64_t period_ms;

    ovsrcu_synchronize();
    closing->handover_us = time_usec() - closing->closed_us;
    wait_for_growth();
    expect_flows(closing);
    note_probes(closing);
    ovs_mutex_lock(&measure_mutex);
    period_ms = measure_period_ms(closing->duration_ms);
    measure_readers_close_epoch(&monitor->stream, closing->number);
    ovs_mutex_unlock(&measure_mutex);

    ovsrcu_quiesce_start();
    measure_pace_begin(&monitor->merging, period_ms);
    for (size_t i = 0; i < closing->n; i++) {
        measure_tally_move_cache(closing->tallies[i]);
    }
    report = measure_report_merge(closing->tallies, closing->n,
                                  closing->key_kind,
                                  &measure_secret, &monitor->budget);
    measure_report_keep_threads(report, closing->tallies, closing->cores,
                                closing->n);
    ovsrcu_quiesce_end();

    publish(monitor, closing, report);
    tell_readers(monitor, closing);

    ovsrcu_quiesce_start();
    LIST_FOR_EACH_POP (thread, node, &closing->retired) {
        for (size_t i = 0; i < closing->n; i++) {
            if (closing->threads[i] == thread) {
                measure_tally_destroy(closing->tallies[i]);
                closing->threads[i] = NULL;
            }
        }
        measure_tally_destroy(thread->idle);
        measure_thread_free_keys(&thread->thread, &monitor->budget);
        free(thread);
    }
    for (size_t i = 0; i < closing->n; i++) {
        if (closing->threads[i]) {
            measure_supply_hand_back(monitor, closing->threads[i],
                                     closing->tallies[i]);
        }
    }
    measure_pace_end();
    ovsrcu_quiesce_end();

    ovs_mutex_lock(&measure_mutex);
    monitor->handing_back = false;
    ovs_mutex_unlock(&measure_mutex);
    free_keys(monitor);

    free(closing->tallies);
    free(closing->threads);
    free(closing->cores);
    free(closing);
}

/* Returns the oldest closing epoch of some monitor, or NULL. */
static struct closing_epoch *
find_closing(struct monitor **monitorp)
    OVS_REQUIRES(measure_mutex)
{
    const struct shash_node *node;
    struct monitor *monitor;

    SHASH_FOR_EACH (node, &measure_monitors) {
        monitor = node->data;
        if (measure_monitor_oldest_closing(monitor)) {
            *monitorp = monitor;
            return measure_monitor_oldest_closing(monitor);
        }
    }
    LIST_FOR_EACH (monitor, dying_node, &dying) {
        if (measure_monitor_oldest_closing(monitor)) {
            *monitorp = monitor;
            return measure_monitor_oldest_closing(monitor);
        }
    }
    return NULL;
}

static void *
merge_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(measure_merge_seq);
        struct closing_epoch *closing;
        struct monitor *monitor;

        ovs_mutex_lock(&measure_mutex);
        closing = find_closing(&monitor);
        ovs_mutex_unlock(&measure_mutex);

        if (closing) {
            finish_epoch(monitor, closing);
        } else {
            destroy_dying();
            seq_wait(measure_merge_seq, seq);
            poll_block();
        }
    }
    OVS_NOT_REACHED();
}

/* Starts the thread when the first monitor is switched on. */
void
measure_merge_start(void)
{
    if (!started) {
        started = true;
        ovs_thread_create("measure-merge", merge_main, NULL);
    }
}
