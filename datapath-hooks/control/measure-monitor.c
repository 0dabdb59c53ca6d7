/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors: the measurement of bridges. */

#include <config.h>

#include "measure-monitor.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "entropy.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure);

struct ovs_mutex measure_mutex = OVS_MUTEX_INITIALIZER;
struct shash measure_monitors OVS_GUARDED_BY(measure_mutex)
    = SHASH_INITIALIZER(&measure_monitors);

struct ovs_mutex measure_grow_mutex = OVS_MUTEX_INITIALIZER;

struct measure_hash_secret measure_secret;

struct seq *measure_control_seq;
struct seq *measure_merge_seq;
struct seq *measure_stream_seq;
static struct seq *report_seq;

/* Maps of memory take long, and others wait for the lock.  Only builds for
 * tests look, for no interface tells who has a lock. */
#if defined(__GLIBC__) && defined(__SANITIZE_ADDRESS__)
static void
check_no_lock(size_t size)
{
    if (measure_mutex.lock.__data.__owner == (int) syscall(SYS_gettid)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_ERR_RL(&rl, "%"PRIuSIZE" bytes of memory are mapped or unmapped "
                    "with the lock of the monitors held", size);
    }
}
#else
#define check_no_lock NULL
#endif

/* Must come before all else; the second time it does nothing. */
void
measure_init(void)
{
    static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;

    if (ovsthread_once_start(&once)) {
        measure_memory_maps = check_no_lock;
        get_entropy_or_die(&measure_secret, sizeof measure_secret);
        measure_control_seq = seq_create();
        measure_merge_seq = seq_create();
        report_seq = seq_create();
        measure_findings_seq = seq_create();
        measure_stream_seq = seq_create();
        ovsthread_once_done(&once);
    }
}

/* Makes the control thread look at the configuration of all monitors. */
void
measure_control_wake(void)
{
    seq_change(measure_control_seq);
}

/* Changes when a report is made. */
struct seq *
measure_report_seq(void)
{
    return report_seq;
}

/* Returns a new monitor of the bridge 'name'. */
struct monitor *
measure_monitor_create(const char *name)
{
    struct monitor *monitor = xzalloc(sizeof *monitor);

    ovs_refcount_init(&monitor->refs);
    monitor->name = xstrdup(name);
    measure_config_init(&monitor->config);
    sset_init(&monitor->unknown);
    ovs_list_init(&monitor->threads);
    ovs_list_init(&monitor->cores);
    ovs_list_init(&monitor->closing);
    measure_history_init(&monitor->history);
    measure_findings_init(&monitor->findings);
    measure_readers_init(&monitor->stream);
    return monitor;
}

struct monitor *
measure_monitor_ref(struct monitor *monitor)
{
    ovs_refcount_ref(&monitor->refs);
    return monitor;
}

void
measure_monitor_unref(struct monitor *monitor)
{
    if (monitor && ovs_refcount_unref(&monitor->refs) == 1) {
        struct monitor_core *core;

        VLOG_DBG("%s: forgotten", monitor->name);
        measure_findings_destroy(&monitor->findings, &monitor->budget);
        measure_history_destroy(&monitor->history);
        measure_readers_destroy(&monitor->stream);
        measure_memory_trim(&monitor->budget, 0);
        for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
            free(monitor->rejected[i]);
        }
        LIST_FOR_EACH_POP (core, node, &monitor->cores) {
            free(core);
        }
        sset_destroy(&monitor->unknown);
        measure_port_names_destroy(&monitor->ports);
        free(monitor->name);
        free(monitor);
    }
}

/* Takes 'thread', which no map names any more, away from its datapath
 * thread. */
void
measure_thread_leave(struct monitor_thread *thread)
{
    if (thread->dp_thread) {
        hmap_remove(&thread->dp_thread->threads, &thread->dp_thread_node);
        thread->dp_thread = NULL;
    }
}

/* Returns the oldest epoch of 'monitor' that is not merged, or NULL. */
struct closing_epoch *
measure_monitor_oldest_closing(const struct monitor *monitor)
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
    const struct closing_epoch *closing
        = measure_monitor_oldest_closing(monitor);
    uint64_t oldest = measure_history_oldest_live(&monitor->history);

    return MIN(oldest, closing ? closing->number : monitor->epoch);
}

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
