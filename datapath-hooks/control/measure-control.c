/* SPDX-License-Identifier: Apache-2.0 */
/* The control threads: the end of an epoch, merging, growth. */

#include <config.h>

#include "measure-monitor.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "dpdk.h"
#include "entropy.h"
#include "measure-sizing.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "report/measure-merge.h"
#include "seq.h"
#include "tally/measure-growth.h"
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
 * "measure-merge" waits until the packet threads have let go of closed
 * tallies, merges them into reports, and makes the tallies ready to be used
 * again.  Only this thread destroys tallies that packet threads have used,
 * threads and monitors, and only while "measure" grows nothing, which
 * 'grow_mutex' makes sure of.  How large tallies are is in measure-sizing.h.
 *
 * The main thread makes small tallies for new threads, and for an epoch that
 * must end before "measure" has made idle ones; all else is left to "measure",
 * which does the smallest and most urgent things for all monitors first. */

/* Sets that an epoch closed, until they are merged. */
struct closing_epoch {
    struct ovs_list node;           /* In a monitor's 'closing'. */
    uint64_t number;
    enum measure_key_kind key_kind;
    long long int start_ms;
    long long int duration_ms;
    long long int closed_us;
    uint64_t handover_us;

    /* The tally that each thread counted in.  The threads that have ended, or
     * whose monitor is off, are in 'retired', too. */
    struct ovs_list retired;
    size_t n;
    struct measure_tally **tallies;
    struct monitor_thread **threads;
    unsigned int *cores;            /* Of the threads. */
};

/* Taken before 'measure_mutex'. */
static struct ovs_mutex grow_mutex = OVS_MUTEX_INITIALIZER;

/* Monitors that nobody else knows any more. */
static struct ovs_list dying OVS_GUARDED_BY(measure_mutex)
    = OVS_LIST_INITIALIZER(&dying);

static bool threads_started OVS_GUARDED_BY(measure_mutex);

static struct measure_hash_secret secret;
/* Grace periods that "measure" has asked for, and the last of them that has
 * passed. */
static uint64_t grace_asked;        /* The thread only. */
static uint64_t grace_passed;       /* Atomic. */

static struct seq *control_seq;     /* Wakes "measure". */
static struct seq *merge_seq;       /* Wakes "measure-merge". */
static struct seq *report_seq;

static void *control_main(void *);
static void *merge_main(void *);

/* Maps of memory take long, and others wait for the lock. */
static void
check_no_lock(size_t size OVS_UNUSED)
{
#ifdef __GLIBC__
    if (measure_mutex.lock.__data.__owner == (int) syscall(SYS_gettid)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_ERR_RL(&rl, "%"PRIuSIZE" bytes of memory are mapped or unmapped "
                    "with the lock of the monitors held", size);
    }
#endif
}

void
measure_control_init(void)
{
    measure_memory_maps = check_no_lock;
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
        measure_watch_start();
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
report_bytes(const struct measure_tally *tally)
{
    struct measure_load load;

    measure_tally_load(tally, &load);
    return load.report_bytes;
}

/* Returns the bytes that 'monitor' may still allocate: see
 * measure-sizing.h. */
uint64_t
measure_memory_room(const struct monitor *monitor)
{
    uint64_t used = (measure_budget_used(&monitor->budget)
                     + measure_budget_spare(&monitor->budget)
                     + measure_watch_missing_bytes(monitor));
    uint64_t limit = measure_memory_limit(monitor);
    const struct closing_epoch *closing;
    const struct monitor_thread *thread;

    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            used += report_bytes(closing->tallies[i]);
        }
    }
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        struct measure_tally *tally = measure_thread_tally(&thread->thread);

        if (tally) {
            used += report_bytes(tally);
        }
    }
    return limit > used ? limit - used : 0;
}

/* Returns a tally for 'thread' of 'monitor' that is there soon, within
 * 'limit'. Nobody else must know the thread, or its number of flows change. */
struct measure_tally *
measure_control_create_tally(struct monitor *monitor,
                             const struct monitor_thread *thread,
                             uint64_t limit)
{
    struct measure_tally *tally = measure_tally_create(&secret,
                                                       &monitor->budget,
                                                       thread->numa_id);

    measure_tally_prepare(tally, monitor->config.structure, thread->n_flows,
                          MIN(limit, measure_start_limit(monitor)));
    return tally;
}

/* Epochs. */

/* Adds to 'core' what 'thread' sampled. */
void
measure_core_add_samples(struct monitor_core *core,
                         const struct monitor_thread *thread)
{
    core->sampled_packets += __atomic_load_n(&thread->thread.sampled_packets,
                                             __ATOMIC_RELAXED);
    core->sampled_cycles += __atomic_load_n(&thread->thread.sampled_cycles,
                                            __ATOMIC_RELAXED);
    core->timing_cycles += __atomic_load_n(&thread->thread.timing_cycles,
                                           __ATOMIC_RELAXED);
}

/* Has 'thread', new in 'monitor', count in its idle tally. */
void
measure_control_add_tally(struct monitor *monitor,
                          struct monitor_thread *thread)
{
    struct measure_tally *tally = thread->idle;

    thread->idle = NULL;
    measure_tally_begin_for(monitor, thread, tally);
    measure_thread_swap(&thread->thread, tally);
    measure_control_wake();
}

/* A tally that is made, or made anew, for a thread of a monitor. */
struct supply {
    struct monitor *monitor;
    struct monitor_thread *thread;
    struct measure_tally *tally;    /* Or NULL. */
    enum measure_structure_kind kind;
    uint64_t n_flows[MEASURE_N_LAYOUTS];
    uint64_t limit;
    bool quiet;
    bool hold_cache;
};

/* Takes the idle tally of 'thread', which need not have one, to make it fit
 * the next epoch. */
static void
take_idle(struct monitor *monitor, struct monitor_thread *thread,
          struct supply *supply)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_load load;

    supply->monitor = monitor;
    supply->thread = thread;
    supply->tally = thread->idle;
    thread->idle = NULL;
    supply->kind = monitor->config.structure;
    supply->limit = measure_tally_limit(monitor, thread);
    supply->quiet = measure_thread_is_quiet(thread);
    supply->hold_cache = (measure_wants_cache(monitor, thread)
                          && measure_thread_keys(&thread->thread));
    measure_tally_load(measure_thread_tally(&thread->thread), &load);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        supply->n_flows[layout] = MAX(thread->n_flows[layout],
                                      load.n_used[layout]);
    }
}

static void
make_idle(struct supply *supply)
    OVS_EXCLUDED(measure_mutex)
{
    if (!supply->tally) {
        supply->tally = measure_tally_create(&secret, &supply->monitor->budget,
                                             supply->thread->numa_id);
    }
    measure_tally_prepare(supply->tally, supply->kind, supply->n_flows,
                          supply->limit);
    measure_tally_hold_cache(supply->tally, supply->hold_cache);
}

/* Gives the thread the tally that is made.  The caller must destroy what is
 * left in 'supply', without the lock. */
static void
give_idle(struct supply *supply)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_thread *thread = supply->thread;

    if (!thread->idle) {
        thread->idle = supply->tally;
        thread->idle_kind = supply->kind;
        thread->idle_limit = supply->limit;
        thread->idle_quiet = supply->quiet;
        supply->tally = NULL;
    }
}

/* Returns true if the next epoch of 'monitor' can begin. */
static bool
has_idle_tallies(const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    const struct monitor_thread *thread;

    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (thread->dp_thread && !measure_tally_fits(monitor, thread,
                                                     thread->idle)) {
            return false;
        }
    }
    return true;
}

/* Gives each thread of 'monitor' that has no idle tally that fits a small one,
 * without the lock.  For the main thread, while which nobody adds threads. */
static void
make_idle_tallies(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    while (!has_idle_tallies(monitor)) {
        size_t n = 0;
        struct supply *supplies = xcalloc(ovs_list_size(&monitor->threads),
                                          sizeof *supplies);
        struct monitor_thread *thread;

        LIST_FOR_EACH (thread, node, &monitor->threads) {
            if (thread->dp_thread
                && !measure_tally_fits(monitor, thread, thread->idle)) {
                take_idle(monitor, thread, &supplies[n]);
                supplies[n].limit = MIN(supplies[n].limit,
                                        measure_start_limit(monitor));
                n++;
            }
        }
        ovs_mutex_unlock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            make_idle(&supplies[i]);
        }
        ovs_mutex_lock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            give_idle(&supplies[i]);
        }
        ovs_mutex_unlock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            measure_tally_destroy(supplies[i].tally);
        }
        free(supplies);
        ovs_mutex_lock(&measure_mutex);
    }
}

void
measure_monitor_begin_epoch(struct monitor *monitor)
{
    start_threads();
    monitor->epoch++;
    monitor->key_kind = monitor->config.key;
    monitor->tiers = monitor->config.tiers;
    monitor->memory_mb = monitor->config.memory_mb;
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
 * counts: in a report, in tallies that are being merged, or running. */
uint64_t
measure_monitor_oldest_epoch(const struct monitor *monitor)
{
    const struct closing_epoch *closing = oldest_closing(monitor);
    uint64_t oldest = measure_history_oldest_live(&monitor->history);

    return MIN(oldest, closing ? closing->number : monitor->epoch);
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
    measure_monitor_number_ports(monitor);
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
        measure_monitor_begin_epoch(monitor);
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
    measure_monitor_apply_limit(monitor);
    closing->closed_us = time_usec();
    ovs_list_push_back(&monitor->closing, &closing->node);
    seq_change(merge_seq);
    return closing->number;
}

/* The same for the main thread, with or without idle tallies.  Lets go of
 * 'measure_mutex' to make them.  The report of the closed epoch follows:
 * measure_report_seq() changes then. */
uint64_t
measure_monitor_close_epoch(struct monitor *monitor)
{
    if (monitor->running) {
        make_idle_tallies(monitor);
    }
    return close_epoch(monitor);
}

/* Sums up what 'monitor' counted in all epochs that are closed, in '*lost'
 * what found no place in a structure.
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
            measure_tally_load(closing->tallies[i], &load);
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
    const struct monitor_thread *thread;
    struct measure_load load;

    memset(sum, 0, sizeof *sum);
    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            if (closing->threads[i]->core == core) {
                measure_tally_load(closing->tallies[i], &load);
                measure_counters_add(sum, &load.counters);
            }
        }
    }
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (thread->core == core) {
            measure_tally_load(measure_thread_tally(&thread->thread), &load);
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

/* Waits until the other thread has let go of all tallies, threads and monitors
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
    for (size_t i = 0; i < closing->n; i++) {
        const struct measure_tally *tally = closing->tallies[i];
        struct measure_probes probes = { 0, 0, 0 };

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            for (uint32_t j = 0; j < tally->n_tables[layout]; j++) {
                measure_table_add_probes(&tally->tables[layout][j], &secret,
                                         PROBED_ROWS, &probes);
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

/* Makes 'tally', which is merged, the idle one of 'thread'. */
static void
hand_back(struct monitor *monitor, struct monitor_thread *thread,
          struct measure_tally *tally)
{
    struct supply supply;

    ovs_mutex_lock(&measure_mutex);
    struct measure_tally *idle = thread->idle;
    take_idle(monitor, thread, &supply);
    thread->idle = idle;
    supply.tally = tally;
    supply.limit = MIN(supply.limit, (measure_tally_bytes(tally)
                                      + measure_memory_room(monitor) / 2));
    ovs_mutex_unlock(&measure_mutex);

    make_idle(&supply);

    ovs_mutex_lock(&measure_mutex);
    give_idle(&supply);
    ovs_mutex_unlock(&measure_mutex);
    measure_tally_destroy(supply.tally);
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

    ovs_mutex_lock(&grow_mutex);
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
    ovs_mutex_unlock(&grow_mutex);

    if (n) {
        ovsrcu_synchronize();
    }
    for (size_t i = 0; i < n; i++) {
        measure_memory_free(&monitor->budget, keys[i], sizeof *keys[i]);
    }
    free(keys);
}

/* Takes old reports off the history of 'monitor' into 'dropped', which the
 * caller must free without the lock: those that are too many, and further
 * ones until they take no more than a quarter of the memory, or a 32nd of it
 * while the tables have less than 'want' bytes left to grow.  To drop small
 * reports, too, would not help the tables.  The newest stays in any case; it
 * alone when measurement is off.
 *
 * Spare blocks go before reports do: measure_monitor_trim() must come
 * before. */
static void
trim_history(struct monitor *monitor, uint64_t want, struct ovs_list *dropped)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_history *history = &monitor->history;
    uint64_t free_bytes = measure_memory_room(monitor);
    size_t max = monitor->running ? monitor->config.history : 1;

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
    struct ovs_list dropped = OVS_LIST_INITIALIZER(&dropped);
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
    skipped = measure_watch_submit(monitor,
                                   measure_history_newest(&monitor->history));
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
    measure_monitor_trim(monitor, want);
    ovs_mutex_lock(&measure_mutex);
    trim_history(monitor, want, &dropped);
    ovs_mutex_unlock(&measure_mutex);
    free_dropped(&dropped);
    seq_change(report_seq);
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
    ovs_mutex_unlock(&measure_mutex);

    ovsrcu_quiesce_start();
    measure_pace_begin(&monitor->merging, period_ms);
    for (size_t i = 0; i < closing->n; i++) {
        measure_tally_move_cache(closing->tallies[i]);
    }
    report = measure_report_merge(closing->tallies, closing->n,
                                  closing->key_kind,
                                  &secret, &monitor->budget);
    measure_report_keep_threads(report, closing->tallies, closing->cores,
                                closing->n);
    ovsrcu_quiesce_end();

    publish(monitor, closing, report);

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
            hand_back(monitor, closing->threads[i], closing->tallies[i]);
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

/* Memory that the thread takes at most before it looks at what is urgent
 * again. */
#define PASS_BYTES (UINT64_C(32) << 20)

static void
take_off(uint64_t *left, uint64_t bytes)
{
    *left -= MIN(*left, bytes);
}

/* Prepares tables for the threads of 'monitor' that need one, out of
 * '*pass_left' bytes: if 'quick', only small ones for those that need one at
 * once. */
static void
grow_monitor(struct monitor *monitor, bool quick, uint64_t *pass_left)
    OVS_REQUIRES(grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    struct { struct measure_tally *tally; uint64_t limit; } *grow;
    const struct monitor_thread *thread;
    size_t n = 0;
    uint64_t want;

    ovs_mutex_lock(&measure_mutex);
    grow = xmalloc(MAX(ovs_list_size(&monitor->threads), 1) * sizeof *grow);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        struct measure_tally *tally = measure_thread_tally(&thread->thread);
        uint64_t limit = measure_thread_limit(monitor, thread);

        if (thread->dp_thread && measure_tally_needs_table(tally, limit,
                                                           quick)) {
            grow[n].tally = tally;
            grow[n++].limit = limit;
        }
    }
    want = measure_memory_limit(monitor) / 4;
    ovs_mutex_unlock(&measure_mutex);

    if (n) {
        struct ovs_list dropped = OVS_LIST_INITIALIZER(&dropped);
        uint64_t *left = &monitor->growth_left;
        bool interlude = monitor->growing;
        uint64_t room;

        measure_monitor_trim(monitor, want);
        ovs_mutex_lock(&measure_mutex);
        trim_history(monitor, want, &dropped);
        ovs_mutex_unlock(&measure_mutex);
        free_dropped(&dropped);
        ovs_mutex_lock(&measure_mutex);
        room = measure_memory_room(monitor);
        ovs_mutex_unlock(&measure_mutex);
        *left = interlude ? MIN(*left, room) : room;
        monitor->growing = true;
        ovsrcu_quiesce_start();
        for (size_t i = 0; i < n && *pass_left; i++) {
            take_off(pass_left,
                     measure_tally_grow(grow[i].tally, grow[i].limit, left));
        }
        ovsrcu_quiesce_end();
        monitor->growing = interlude;
    }
    free(grow);
}

/* Two tiers for threads that have begun to count.
 *
 * Packet threads may not use them before each of them has been seen between
 * two bursts: one that still knew an older number of a port could give it to
 * an entry for good.  Hence the ticket, the number of the grace period that
 * must pass. */

static void
note_grace_period(uint64_t *ticket)
{
    __atomic_store_n(&grace_passed, *ticket, __ATOMIC_RELEASE);
    free(ticket);
}

static uint64_t
ask_grace_period(void)
{
    uint64_t *ticket = xmalloc(sizeof *ticket);

    *ticket = ++grace_asked;
    ovsrcu_postpone(note_grace_period, ticket);
    return grace_asked;
}

/* Gives the threads of 'monitor' two tiers that shall have them. */
static void
join_caches(struct monitor *monitor, uint64_t *pass_left)
    OVS_REQUIRES(grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    uint64_t passed = __atomic_load_n(&grace_passed, __ATOMIC_ACQUIRE);
    struct {
        struct monitor_thread *thread;
        struct measure_tally *tally;
    } *join;
    struct monitor_thread *thread;
    uint64_t ticket = 0;
    size_t n = 0;

    ovs_mutex_lock(&measure_mutex);
    join = xmalloc(MAX(ovs_list_size(&monitor->threads), 1) * sizeof *join);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        struct measure_tally *tally = measure_thread_tally(&thread->thread);

        if (thread->cache_ticket && thread->cache_ticket <= passed) {
            thread->cache_ticket = 0;
            measure_tally_begin_cache(tally);
        } else if (thread->dp_thread && monitor->tiers == 2
                   && !tally->cache_keys && !tally->structure
                   && measure_wants_cache(monitor, thread)) {
            join[n].thread = thread;
            join[n++].tally = tally;
        }
    }
    ovs_mutex_unlock(&measure_mutex);

    for (size_t i = 0; i < n && *pass_left; i++) {
        struct measure_cache_keys *keys;

        thread = join[i].thread;
        keys = measure_thread_get_keys(&thread->thread, &monitor->budget,
                                       thread->numa_id);
        if (!keys || !measure_tally_hold_cache(join[i].tally, true)) {
            continue;
        }
        take_off(pass_left, sizeof *keys + sizeof *join[i].tally->held_cache);
        ovs_mutex_lock(&measure_mutex);
        if (measure_thread_tally(&thread->thread) == join[i].tally) {
            ticket = ticket ? ticket : ask_grace_period();
            measure_tally_join_cache(join[i].tally, keys);
            thread->cache_ticket = ticket;
        }
        ovs_mutex_unlock(&measure_mutex);
    }
    free(join);
}

/* Gives the threads of 'monitor' idle tallies that fit the next epoch, unless
 * the merge thread is about to. */
static void
supply_idle_tallies(struct monitor *monitor, uint64_t *pass_left)
    OVS_REQUIRES(grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    struct monitor_thread *thread;
    struct supply *supplies;
    size_t n = 0;

    ovs_mutex_lock(&measure_mutex);
    supplies = xcalloc(MAX(ovs_list_size(&monitor->threads), 1),
                       sizeof *supplies);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (thread->dp_thread && *pass_left && !monitor->handing_back
            && ovs_list_is_empty(&monitor->closing)
            && !measure_tally_fits(monitor, thread, thread->idle)) {
            take_idle(monitor, thread, &supplies[n]);
            take_off(pass_left, supplies[n++].limit);
        }
    }
    ovs_mutex_unlock(&measure_mutex);

    ovsrcu_quiesce_start();
    for (size_t i = 0; i < n; i++) {
        make_idle(&supplies[i]);
        ovs_mutex_lock(&measure_mutex);
        give_idle(&supplies[i]);
        ovs_mutex_unlock(&measure_mutex);
        measure_tally_destroy(supplies[i].tally);
    }
    ovsrcu_quiesce_end();
    free(supplies);
}

/* Closes the epochs of all monitors that are due, and returns when the next
 * one is.  An epoch lasts longer while the one before it is being merged, so
 * that tallies do not pile up, and until there are sets for the next one. */
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
                && time_msec() >= monitor->start + monitor->config.epoch_ms
                && has_idle_tallies(monitor)) {
                close_epoch(monitor);
            }
            next = MIN(next, monitor->start + monitor->config.epoch_ms);
            next = MAX(next, time_msec() + 1);
        }
    }
    return next;
}

/* Looks for what is urgent are at least so far apart. */
#define URGENT_NS (UINT64_C(1000) * 1000)

/* The monitors that "measure" supplies at the moment.  They are not destroyed
 * while it has 'grow_mutex'. */
static struct monitor **supplied;
static size_t n_supplied;

/* Gives all monitors what their threads need at once, if the last look at them
 * was a while ago. */
static void
supply_urgent(void)
    OVS_REQUIRES(grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    bool quiescent = ovsrcu_is_quiescent();
    uint64_t now = measure_pace_clock.now_ns();
    static uint64_t last;
    uint64_t left = UINT64_MAX;

    measure_memory_interlude = supply_urgent;
    if (now - last < URGENT_NS) {
        return;
    }
    last = now;
    measure_memory_interlude = NULL;
    for (size_t i = 0; i < n_supplied; i++) {
        grow_monitor(supplied[i], true, &left);
    }
    measure_memory_interlude = supply_urgent;
    if (quiescent) {
        ovsrcu_quiesce_start();
    }
}

/* Gives all monitors what their threads need, the most urgent first, also
 * while memory for the rest is being prepared.  Returns false if there is more
 * to do. */
static bool
supply_monitors(void)
    OVS_REQUIRES(grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    const struct shash_node *node;
    uint64_t left = PASS_BYTES;

    ovs_mutex_lock(&measure_mutex);
    n_supplied = 0;
    supplied = xmalloc(MAX(shash_count(&measure_monitors), 1)
                       * sizeof *supplied);
    SHASH_FOR_EACH (node, &measure_monitors) {
        supplied[n_supplied++] = node->data;
    }
    ovs_mutex_unlock(&measure_mutex);

    supply_urgent();
    for (size_t i = 0; i < n_supplied && left; i++) {
        grow_monitor(supplied[i], false, &left);
        join_caches(supplied[i], &left);
        supply_idle_tallies(supplied[i], &left);
    }
    measure_memory_interlude = NULL;
    free(supplied);
    return left;
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
        ovs_mutex_unlock(&measure_mutex);
        if (!supply_monitors()) {
            poll_immediate_wake();
        }
        ovs_mutex_unlock(&grow_mutex);

        seq_wait(control_seq, seq);
        if (next != LLONG_MAX) {
            poll_timer_wait_until(MIN(next, time_msec() + MEASURE_TICK_MS));
        }
        poll_block();
    }
    OVS_NOT_REACHED();
}
