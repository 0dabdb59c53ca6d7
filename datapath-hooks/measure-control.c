/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "measure-monitor.h"

#include "dpdk.h"
#include "entropy.h"
#include "measure-sets.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_control);

/* Epochs, their memory, and the two control threads
 * =================================================
 *
 * "measure" closes epochs when they are due and gives the packet threads
 * larger tables before they need them.  It never waits for packet threads nor
 * for the other one, so that it is in time.
 *
 * "measure-merge" waits until the packet threads have let go of closed sets,
 * merges them into reports, and makes the sets ready to be used again.  Only
 * this thread destroys sets, writers and monitors, and only while "measure"
 * grows nothing, which 'grow_mutex' makes sure of.  How large sets are is in
 * measure-sets.h. */

/* Sets that an epoch closed, until they are merged. */
struct closing_epoch {
    struct ovs_list node;           /* In a monitor's 'closing'. */
    uint64_t number;
    enum measure_by by;
    long long int start_ms;
    long long int duration_ms;
    long long int closed_us;
    uint64_t handover_us;

    /* The set that each writer counted in.  The writers whose thread has ended
     * or whose monitor is off are in 'retired', too. */
    struct ovs_list retired;
    size_t n;
    struct measure_set **sets;
    struct monitor_writer **writers;
    unsigned int *cores;            /* Of the writers. */
};

/* Taken before 'measure_mutex'. */
static struct ovs_mutex grow_mutex = OVS_MUTEX_INITIALIZER;

/* Monitors that nobody else knows any more. */
static struct ovs_list dying OVS_GUARDED_BY(measure_mutex)
    = OVS_LIST_INITIALIZER(&dying);

static bool threads_started OVS_GUARDED_BY(measure_mutex);

static struct measure_hash_secret secret;
static struct seq *control_seq;     /* Wakes "measure". */
static struct seq *merge_seq;       /* Wakes "measure-merge". */
static struct seq *report_seq;

static void *control_main(void *);
static void *merge_main(void *);

void
measure_control_init(void)
{
    get_entropy_or_die(&secret, sizeof secret);
    control_seq = seq_create();
    merge_seq = seq_create();
    report_seq = seq_create();
}

/* Starts the threads when the first monitor is switched on. */
static void
start_threads(void)
    OVS_REQUIRES(measure_mutex)
{
    if (!threads_started) {
        threads_started = true;
        ovs_thread_create("measure", control_main, NULL);
        ovs_thread_create("measure-merge", merge_main, NULL);
        measure_tasks_start();
    }
}

/* Makes the control thread look at the configuration of all monitors. */
void
measure_control_wake(void)
{
    seq_change(control_seq);
}

/* Changes when a report is made. */
struct seq *
measure_report_seq(void)
{
    return report_seq;
}

static uint64_t
report_bytes(const struct measure_set *set)
{
    struct measure_load load;

    measure_set_load(set, &load);
    return load.report_bytes;
}

/* Returns the bytes that 'monitor' may still allocate: see
 * measure-sets.h. */
uint64_t
measure_memory_room(const struct monitor *monitor)
{
    uint64_t used = (measure_budget_used(&monitor->budget)
                     + measure_budget_spare(&monitor->budget)
                     + measure_tasks_missing_bytes(monitor));
    uint64_t limit = measure_memory_limit(monitor);
    const struct closing_epoch *closing;
    const struct monitor_writer *writer;

    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            used += report_bytes(closing->sets[i]);
        }
    }
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        struct measure_set *set = measure_writer_set(&writer->writer);

        if (set) {
            used += report_bytes(set);
        }
    }
    return limit > used ? limit - used : 0;
}

static struct measure_set *
create_set(struct monitor *monitor, const struct monitor_writer *writer)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_set *set = measure_set_create(&secret, &monitor->budget,
                                                 writer->numa_id);

    measure_start_set(monitor, writer, set, 0);
    return set;
}

/* Epochs. */

/* Adds to 'core' what 'writer' sampled. */
void
measure_core_add_samples(struct monitor_core *core,
                         const struct monitor_writer *writer)
{
    core->sampled_packets += __atomic_load_n(&writer->writer.sampled_packets,
                                             __ATOMIC_RELAXED);
    core->sampled_cycles += __atomic_load_n(&writer->writer.sampled_cycles,
                                            __ATOMIC_RELAXED);
    core->timing_cycles += __atomic_load_n(&writer->writer.timing_cycles,
                                           __ATOMIC_RELAXED);
}

/* Gives 'writer', new in 'monitor', a set to count in. */
void
measure_control_add_set(struct monitor *monitor,
                        struct monitor_writer *writer)
{
    struct measure_set *set = create_set(monitor, writer);

    measure_begin_set(monitor, writer, set);
    measure_writer_swap(&writer->writer, set);
}

void
measure_monitor_begin_epoch(struct monitor *monitor)
{
    start_threads();
    monitor->epoch++;
    monitor->by = monitor->config.key;
    monitor->tiers = monitor->config.tiers;
    monitor->structure = monitor->config.structure;
    monitor->start = time_msec();
    monitor->start_ms = time_wall_msec();
}

static struct closing_epoch *
oldest_closing(const struct monitor *monitor)
{
    return (ovs_list_is_empty(&monitor->closing) ? NULL
            : CONTAINER_OF(ovs_list_front(&monitor->closing),
                           struct closing_epoch, node));
}

/* Returns the number of the oldest epoch of 'monitor' of which there are
 * counts: in a report, in sets that are being merged, or running. */
uint64_t
measure_monitor_oldest_epoch(const struct monitor *monitor)
{
    const struct closing_epoch *closing = oldest_closing(monitor);
    uint64_t oldest = measure_history_oldest_live(&monitor->history);

    return MIN(oldest, closing ? closing->number : monitor->epoch);
}

/* Closes the running epoch of 'monitor', and begins the next one unless the
 * monitor is not running any more.  Returns the number of the closed epoch.
 * Its report follows: measure_report_seq() changes then. */
uint64_t
measure_monitor_close_epoch(struct monitor *monitor)
{
    struct closing_epoch *closing = xzalloc(sizeof *closing);
    struct monitor_writer *writer;
    size_t n;

    measure_monitor_number_ports(monitor);
    n = ovs_list_size(&monitor->writers);
    closing->number = monitor->epoch;
    closing->by = monitor->by;
    closing->start_ms = monitor->start_ms;
    closing->duration_ms = time_msec() - monitor->start;
    closing->sets = xmalloc(n * sizeof *closing->sets);
    closing->writers = xmalloc(n * sizeof *closing->writers);
    closing->cores = xmalloc(n * sizeof *closing->cores);
    ovs_list_init(&closing->retired);

    if (monitor->running) {
        measure_monitor_begin_epoch(monitor);
    }
    LIST_FOR_EACH_SAFE (writer, node, &monitor->writers) {
        struct measure_set *old = measure_writer_set(&writer->writer);

        if (!monitor->running || !writer->thread) {
            measure_writer_leave_thread(writer);
            measure_core_add_samples(writer->core, writer);
            ovs_list_remove(&writer->node);
            ovs_list_push_back(&closing->retired, &writer->node);
        } else {
            struct measure_set *new = writer->idle;

            /* Without an idle set the last epoch is still being merged. */
            if (!new) {
                new = create_set(monitor, writer);
            } else if (measure_set_structure(new) != monitor->structure) {
                measure_start_set(monitor, writer, new,
                                  measure_set_bytes(new));
            }
            writer->idle = NULL;
            measure_begin_set(monitor, writer, new);
            measure_writer_swap(&writer->writer, new);
        }
        closing->sets[closing->n] = old;
        closing->cores[closing->n] = writer->core_id;
        closing->writers[closing->n++] = writer;
    }
    closing->closed_us = time_usec();
    ovs_list_push_back(&monitor->closing, &closing->node);
    seq_change(merge_seq);
    return closing->number;
}

/* Sums up what 'monitor' counted in all epochs that are closed, in '*lost' what
 * found no place in a structure.
 *
 * An answer that also says what the threads counted adds that itself: they go
 * on counting, and to ask them twice would give two numbers. */
void
measure_monitor_sum_closed(const struct monitor *monitor,
                           struct measure_counters *sum, uint64_t *lost)
{
    const struct closing_epoch *closing;
    struct measure_load load;

    *sum = monitor->closed;
    *lost = monitor->closed_lost;
    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            measure_set_load(closing->sets[i], &load);
            measure_counters_add(sum, &load.counters);
            *lost += load.n_lost;
        }
    }
}

/* Sums up what the threads of 'core' counted for 'monitor' in epochs that are
 * not merged yet, the running one included. */
void
measure_core_sum_unmerged(const struct monitor *monitor,
                          const struct monitor_core *core,
                          struct measure_counters *sum)
{
    const struct closing_epoch *closing;
    const struct monitor_writer *writer;
    struct measure_load load;

    memset(sum, 0, sizeof *sum);
    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            if (closing->writers[i]->core == core) {
                measure_set_load(closing->sets[i], &load);
                measure_counters_add(sum, &load.counters);
            }
        }
    }
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        if (writer->core == core) {
            measure_set_load(measure_writer_set(&writer->writer), &load);
            measure_counters_add(sum, &load.counters);
        }
    }
}

/* Destroys 'monitor', which is in no list any more, when its epochs are
 * merged: at once if no monitor has ever had an epoch, for then there is no
 * thread that could do it later. */
void
measure_control_destroy(struct monitor *monitor)
{
    if (threads_started) {
        ovs_list_push_back(&dying, &monitor->dying_node);
        seq_change(merge_seq);
    } else {
        measure_monitor_unref(monitor);
    }
}

/* The thread "measure-merge". */

/* Waits until the other thread has let go of all sets, writers and monitors
 * that it has found before. */
static void
wait_for_growth(void)
{
    ovs_mutex_lock(&grow_mutex);
    ovs_mutex_unlock(&grow_mutex);
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

/* Returns after how many milliseconds a thread that works for the epochs of
 * all monitors comes back to one whose epoch took 'duration_ms', at the
 * soonest: while it rests for the one, others must not wait too long. */
uint64_t
measure_period_ms(long long int duration_ms)
{
    uint64_t shortest = MAX(duration_ms, 0);
    const struct shash_node *node;
    uint64_t n_running = 0;

    SHASH_FOR_EACH (node, &measure_monitors) {
        const struct monitor *monitor = node->data;

        if (monitor->running) {
            shortest = MIN(shortest, monitor->config.epoch_ms);
            n_running++;
        }
    }
    return shortest / MAX(n_running, 1);
}

/* The rows of a table that are asked for their probes. */
#define PROBED_ROWS 4096

/* Notes how far packets looked for their rows. */
static void
note_probes(const struct closing_epoch *closing)
    OVS_EXCLUDED(measure_mutex)
{
    ovs_mutex_lock(&measure_mutex);
    for (size_t i = 0; i < closing->n; i++) {
        const struct measure_set *set = closing->sets[i];
        struct measure_probes probes = { 0, 0, 0 };

        for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
            for (uint32_t j = 0; j < set->n_tables[family]; j++) {
                measure_table_add_probes(&set->tables[family][j], &secret,
                                         PROBED_ROWS, &probes);
            }
        }
        closing->writers[i]->probes = probes;
    }
    ovs_mutex_unlock(&measure_mutex);
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
        struct monitor_writer *writer = closing->writers[i];
        struct measure_load load;

        measure_set_load(closing->sets[i], &load);
        for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
            writer->n_flows[family] = MAX(load.n_used[family],
                                          writer->n_flows[family] * 7 / 8);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Makes 'set', which is merged, the idle one of 'writer'. */
static void
hand_back(const struct monitor *monitor, struct monitor_writer *writer,
          struct measure_set *set)
{
    enum measure_structure_kind kind;
    uint64_t limit;

    ovs_mutex_lock(&measure_mutex);
    kind = monitor->config.structure;
    limit = MIN(measure_writer_limit(monitor, writer),
                measure_set_bytes(set) + measure_memory_room(monitor) / 2);
    ovs_mutex_unlock(&measure_mutex);

    measure_prepare_set(set, kind, writer->n_flows, limit);

    ovs_mutex_lock(&measure_mutex);
    if (!writer->idle) {
        writer->idle = set;
        set = NULL;
    }
    ovs_mutex_unlock(&measure_mutex);
    measure_set_destroy(set);
}

/* Takes old reports off the history of 'monitor' into 'dropped', which the
 * caller must free without the lock: those that are too many, and further
 * ones until they take no more than a quarter of the memory, or a 32nd of it
 * while the tables have less than 'want' bytes left to grow.  To drop small
 * reports, too, would not help the tables.  The newest stays in any case; it
 * alone when measurement is off. */
static void
trim_history(struct monitor *monitor, uint64_t want, struct ovs_list *dropped)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_history *history = &monitor->history;
    uint64_t free_bytes = measure_memory_room(monitor);
    size_t max = monitor->running ? monitor->config.history : 1;

    /* Spare blocks go before reports do. */
    measure_monitor_trim(monitor, free_bytes < want);
    free_bytes = measure_memory_room(monitor);

    while (history->n > 1) {
        bool too_many = history->n > max;
        uint64_t share = free_bytes >= want ? 4 : 32;
        struct kept_report *oldest;

        if (!too_many
            && history->bytes <= measure_memory_limit(monitor) / share) {
            break;
        }
        oldest = measure_history_take_oldest(history);
        free_bytes += oldest->bytes;
        history->dropped_number += too_many;
        history->dropped_memory += !too_many;
        ovs_list_push_back(dropped, &oldest->node);
    }
}

static void
free_dropped(struct ovs_list *dropped)
{
    struct kept_report *kept;

    LIST_FOR_EACH_POP (kept, node, dropped) {
        measure_kept_report_unref(kept);
    }
}

/* Takes note of the keys that found no room in 'report', and warns of the first
 * ones: one who looks for heavy hitters must know that some may be missing. */
static void
note_lost(struct monitor *monitor, const struct measure_report *report)
    OVS_REQUIRES(measure_mutex)
{
    bool sketch = (report->structure == MEASURE_COUNT_ARRAY
                   || report->structure == MEASURE_COUNT_MIN);

    if (report->n_lost && sketch && !monitor->lost_warned) {
        monitor->lost_warned = true;
        VLOG_WARN("%s: keys found no room in measure-structure=%s "
                  "(%"PRIu64" times in epoch %"PRIu64"), for which "
                  "measure-memory-mb=%u is too little: small heavy hitters "
                  "may be missing",
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
    struct ovs_list dropped = OVS_LIST_INITIALIZER(&dropped);
    struct kept_report *before = NULL;

    report->number = closing->number;
    report->start_ms = closing->start_ms;
    report->duration_ms = closing->duration_ms;

    ovs_mutex_lock(&measure_mutex);
    measure_counters_add(&monitor->closed, &report->counters);
    note_lost(monitor, report);
    for (size_t i = 0; i < closing->n; i++) {
        measure_counters_add(&closing->writers[i]->core->closed,
                             &closing->sets[i]->counters);
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
    measure_tasks_submit(monitor, measure_history_newest(&monitor->history));
    ovs_list_remove(&closing->node);
    measure_port_settle(&monitor->ports, closing->number, monitor->epoch);
    measure_port_recycle(&monitor->ports,
                         measure_monitor_oldest_epoch(monitor));
    trim_history(monitor, measure_memory_limit(monitor) / 8, &dropped);
    ovs_mutex_unlock(&measure_mutex);

    free_dropped(&dropped);
    if (before) {
        measure_report_forget_groupings(before->report);
        measure_kept_report_unref(before);
    }
    seq_change(report_seq);
}

/* Makes the report of 'closing', and its sets ready for another epoch.
 *
 * Merging and clearing take long, and touch nothing that RCU protects:
 * meanwhile this thread must not hold up grace periods.  Between pieces of
 * this work it rests. */
static void
finish_epoch(struct monitor *monitor, struct closing_epoch *closing)
{
    struct monitor_writer *writer;
    struct measure_report *report;
    uint64_t period_ms;

    ovsrcu_synchronize();
    closing->handover_us = time_usec() - closing->closed_us;
    wait_for_growth();
    expect_flows(closing);
    note_probes(closing);
    ovs_mutex_lock(&measure_mutex);
    period_ms = measure_period_ms(closing->duration_ms);
    ovs_mutex_unlock(&measure_mutex);

    ovsrcu_quiesce_start();
    measure_pace_begin(&monitor->merging, period_ms);
    for (size_t i = 0; i < closing->n; i++) {
        measure_set_move_cache(closing->sets[i]);
    }
    report = measure_report_merge(closing->sets, closing->n, closing->by,
                                  &secret, &monitor->budget);
    measure_report_keep_sections(report, closing->sets, closing->cores,
                                 closing->n);
    ovsrcu_quiesce_end();

    publish(monitor, closing, report);

    ovsrcu_quiesce_start();
    LIST_FOR_EACH_POP (writer, node, &closing->retired) {
        for (size_t i = 0; i < closing->n; i++) {
            if (closing->writers[i] == writer) {
                measure_set_destroy(closing->sets[i]);
                closing->writers[i] = NULL;
            }
        }
        measure_set_destroy(writer->idle);
        measure_writer_free_keys(&writer->writer, &monitor->budget);
        free(writer);
    }
    for (size_t i = 0; i < closing->n; i++) {
        if (closing->writers[i]) {
            hand_back(monitor, closing->writers[i], closing->sets[i]);
        }
    }
    measure_pace_end();
    ovsrcu_quiesce_end();

    free(closing->sets);
    free(closing->writers);
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
        if (oldest_closing(monitor)) {
            *monitorp = monitor;
            return oldest_closing(monitor);
        }
    }
    LIST_FOR_EACH (monitor, dying_node, &dying) {
        if (oldest_closing(monitor)) {
            *monitorp = monitor;
            return oldest_closing(monitor);
        }
    }
    return NULL;
}

static void *
merge_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(merge_seq);
        struct closing_epoch *closing;
        struct monitor *monitor;

        ovs_mutex_lock(&measure_mutex);
        closing = find_closing(&monitor);
        ovs_mutex_unlock(&measure_mutex);

        if (closing) {
            finish_epoch(monitor, closing);
        } else {
            destroy_dying();
            seq_wait(merge_seq, seq);
            poll_block();
        }
    }
    OVS_NOT_REACHED();
}

/* The thread "measure". */

/* Prepares tables for the writers of 'monitor' that need one soon.  Large
 * memory is prepared without 'measure_mutex'. */
static void
grow_monitor(struct monitor *monitor)
    OVS_REQUIRES(grow_mutex, measure_mutex)
{
    size_t n = ovs_list_size(&monitor->writers);
    struct { struct measure_set *set; uint64_t limit; } *grow;
    const struct monitor_writer *writer;

    grow = xmalloc(n * sizeof *grow);
    n = 0;
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        struct measure_set *set = measure_writer_set(&writer->writer);
        uint64_t limit = measure_writer_limit(monitor, writer);

        if (writer->thread && measure_set_needs_table(set, limit)) {
            grow[n].set = set;
            grow[n++].limit = limit;
        }
    }
    if (n) {
        struct ovs_list dropped = OVS_LIST_INITIALIZER(&dropped);
        uint64_t left;

        trim_history(monitor, measure_memory_limit(monitor) / 4, &dropped);
        ovs_mutex_unlock(&measure_mutex);
        free_dropped(&dropped);
        ovs_mutex_lock(&measure_mutex);
        left = measure_memory_room(monitor);
        ovs_mutex_unlock(&measure_mutex);
        ovsrcu_quiesce_start();
        for (size_t i = 0; i < n; i++) {
            measure_grow_set(grow[i].set, grow[i].limit, &left);
        }
        ovsrcu_quiesce_end();
        ovs_mutex_lock(&measure_mutex);
    }
    free(grow);
}

/* Closes the epochs of all monitors that are due, and returns when the next
 * one is.  An epoch lasts longer while the one before it is being merged, so
 * that sets do not pile up. */
static long long int
close_due_epochs(void)
    OVS_REQUIRES(measure_mutex)
{
    long long int next = LLONG_MAX;
    const struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->running) {
            if (ovs_list_is_empty(&monitor->closing)
                && time_msec() >= monitor->start + monitor->config.epoch_ms) {
                measure_monitor_close_epoch(monitor);
            }
            next = MIN(next, monitor->start + monitor->config.epoch_ms);
            next = MAX(next, time_msec() + 1);
        }
    }
    return next;
}

static void
grow_monitors(void)
    OVS_REQUIRES(grow_mutex, measure_mutex)
{
    /* grow_monitor() lets go of 'measure_mutex': collect the monitors
     * first. */
    size_t n = shash_count(&measure_monitors);
    struct monitor **monitors = xmalloc(n * sizeof *monitors);
    const struct shash_node *node;

    n = 0;
    SHASH_FOR_EACH (node, &measure_monitors) {
        monitors[n++] = node->data;
    }
    for (size_t i = 0; i < n; i++) {
        grow_monitor(monitors[i]);
    }
    free(monitors);
}

static void *
control_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(control_seq);
        long long int next;

        ovs_mutex_lock(&grow_mutex);
        ovs_mutex_lock(&measure_mutex);
        next = close_due_epochs();
        grow_monitors();
        ovs_mutex_unlock(&measure_mutex);
        ovs_mutex_unlock(&grow_mutex);

        seq_wait(control_seq, seq);
        if (next != LLONG_MAX) {
            poll_timer_wait_until(MIN(next, time_msec() + MEASURE_TICK_MS));
        }
        poll_block();
    }
    OVS_NOT_REACHED();
}
