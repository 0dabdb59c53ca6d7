/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of datapaths, and which ports each of them counts. */

#include <config.h>

#include "measure-threads.h"

#include "coverage.h"
#include "dpif-netdev-measure.h"
#include "hash.h"
#include "measure-sizing.h"
#include "measure-supply.h"
#include "ovs-numa.h"
#include "ovs-rcu.h"
#include "seq.h"
#include "util.h"

static struct ovs_list threads OVS_GUARDED_BY(measure_mutex)
    = OVS_LIST_INITIALIZER(&threads);

/* Entries of the maps of threads that were written or copied: adding or
 * removing a port should cost few for each thread, however many ports there
 * are. */
COVERAGE_DEFINE(measure_port_entries);

/* Returns the core of 'dp_thread' in 'monitor'. */
static struct monitor_core *
get_core(struct monitor *monitor, const struct datapath_thread *dp_thread)
{
    struct monitor_core *core, *next = NULL;

    LIST_FOR_EACH (core, node, &monitor->cores) {
        if (core->core_id == dp_thread->core_id) {
            core->numa_id = dp_thread->numa_id;
            return core;
        }
        /* The main thread, whose number is the largest, comes first. */
        if (core->core_id + 1 > dp_thread->core_id + 1) {
            next = core;
            break;
        }
    }
    core = xzalloc(sizeof *core);
    core->core_id = dp_thread->core_id;
    core->numa_id = dp_thread->numa_id;
    ovs_list_insert(next ? &next->node : &monitor->cores, &core->node);
    return core;
}

/* Returns the thread of 'monitor' for 'dp_thread', or NULL. */
static struct monitor_thread *
find_thread(const struct monitor *monitor,
            const struct datapath_thread *dp_thread)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_thread *thread;

    HMAP_FOR_EACH_WITH_HASH (thread, dp_thread_node, hash_pointer(monitor, 0),
                             &dp_thread->threads) {
        if (thread->monitor == monitor) {
            return thread;
        }
    }
    return NULL;
}

/* Adds to 'new' a thread of 'monitor' for 'dp_thread' if it has none.
 * measure_threads_add() must follow. */
void
measure_threads_need(struct monitor *monitor,
                     struct datapath_thread *dp_thread, struct ovs_list *new)
{
    struct monitor_thread *thread;

    if (find_thread(monitor, dp_thread)) {
        return;
    }
    thread = xzalloc(sizeof *thread);
    thread->monitor = monitor;
    thread->dp_thread = dp_thread;
    thread->core = get_core(monitor, dp_thread);
    thread->core_id = dp_thread->core_id;
    thread->numa_id = dp_thread->numa_id;
    thread->n_quiet = MEASURE_QUIET_EPOCHS;
    ovs_list_push_back(new, &thread->node);
    hmap_insert(&dp_thread->threads, &thread->dp_thread_node,
                hash_pointer(monitor, 0));
}

/* Gives the threads in 'new' tallies, and their monitors the threads.  Lets go
 * of 'measure_mutex' to make the tallies: only the main thread adds and
 * removes threads, ports and monitors, and others do not know of a thread
 * before it is in its monitor. */
void
measure_threads_add(struct ovs_list *new)
{
    struct monitor_thread *thread;
    const struct shash_node *node;

    LIST_FOR_EACH (thread, node, new) {
        thread->monitor->n_new++;
        thread->monitor->new_weight += measure_thread_weight(thread);
    }
    LIST_FOR_EACH (thread, node, new) {
        thread->idle_limit = measure_tally_limit(thread->monitor, thread);
    }
    LIST_FOR_EACH (thread, node, new) {
        thread->monitor->n_new = thread->monitor->new_weight = 0;
    }
    if (ovs_list_is_empty(new)) {
        return;
    }
    ovs_mutex_unlock(&measure_mutex);
    LIST_FOR_EACH (thread, node, new) {
        thread->idle = measure_supply_create(thread->monitor, thread,
                                             thread->idle_limit);
    }
    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH_POP (thread, node, new) {
        ovs_list_push_back(&thread->monitor->threads, &thread->node);
        measure_supply_first(thread->monitor, thread);
    }
    SHASH_FOR_EACH (node, &measure_monitors) {
        measure_sizing_apply_limit(node->data);
    }
    seq_change(measure_stream_seq);
}

/* Makes 'thread' forget what entries of the flow cache stand for. */
static void
forget_keys(struct measure_thread *thread)
{
    struct measure_cache_keys *keys = measure_thread_keys(thread);

    if (keys) {
        measure_cache_forget(keys);
    }
}

static struct measure_ports *
get_map(const struct datapath_thread *dp_thread)
    OVS_REQUIRES(measure_mutex)
{
    return (dp_thread->next ? dp_thread->next
            : ovsrcu_get_protected(struct measure_ports *,
                                   &dp_thread->perf->measure->ports));
}

/* Returns the next map of 'dp_thread', with room for port 'i'.  It is as large
 * again, so that ports which are added one by one are seldom copied. */
static struct measure_ports *
get_next_map(struct datapath_thread *dp_thread, uint32_t i)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_ports *map = get_map(dp_thread);
    size_t n = map ? map->n : 0;

    if (!dp_thread->next || i >= n) {
        size_t new_n = MAX(n, 16);
        struct measure_ports *new;

        while (i >= new_n) {
            new_n *= 2;
        }
        new = xzalloc(sizeof *new + new_n * sizeof new->ports[0]);
        new->n = new_n;
        if (map) {
            memcpy(new->ports, map->ports, n * sizeof map->ports[0]);
            COVERAGE_ADD(measure_port_entries, n);
        }
        free(dp_thread->next);
        dp_thread->next = new;
    }
    return dp_thread->next;
}

/* Has nobody count what 'dp_thread' receives from port 'i' any more.
 *
 * From now on a port may be called by another number, or a thread be left out
 * when an entry of the flow cache is given to another flow: the thread forgets
 * what entries stand for. */
static void
remove_port_thread(struct datapath_thread *dp_thread, uint32_t i)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_ports *map = get_map(dp_thread);

    if (map && i < map->n && map->ports[i].thread) {
        struct monitor_thread *thread = CONTAINER_OF(map->ports[i].thread,
                                                     struct monitor_thread,
                                                     thread);
        struct measure_ports *next = get_next_map(dp_thread, i);

        next->ports[i] = (struct measure_port_thread) { NULL, 0 };
        COVERAGE_INC(measure_port_entries);
        forget_keys(&thread->thread);
        thread->n_ports--;
        thread->left_out = !thread->n_ports;
        dp_thread->n_ports--;
    }
}

/* Has 'thread' count what 'dp_thread' receives from port 'i', which nobody
 * counts yet and which keys call 'number'. */
static void
add_port_thread(struct datapath_thread *dp_thread, uint32_t i,
                struct monitor_thread *thread, uint16_t number)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_ports *map = get_map(dp_thread);

    if (!map || i >= map->n || !thread->n_ports) {
        map = get_next_map(dp_thread, i);
    }
    if (thread->left_out) {
        /* Nobody has told it of entries that were given to other flows. */
        forget_keys(&thread->thread);
        thread->left_out = false;
    }
    COVERAGE_INC(measure_port_entries);
    map->ports[i].number = number;
    __atomic_store_n(&map->ports[i].thread, &thread->thread,
                     __ATOMIC_RELEASE);
    thread->n_ports++;
    dp_thread->n_ports++;
}

/* Puts the next map of 'dp_thread' into effect if there is one.  Without a
 * measured port the thread gets NULL. */
void
measure_datapath_thread_update(struct datapath_thread *dp_thread)
{
    struct measure_ports *old
        = ovsrcu_get_protected(struct measure_ports *,
                               &dp_thread->perf->measure->ports);
    struct measure_ports *new = dp_thread->next;

    if (!new) {
        return;
    }
    dp_thread->next = NULL;
    if (dp_thread->n_ports) {
        const struct monitor_thread *thread;

        new = xrealloc(new, sizeof *new + new->n * sizeof new->ports[0]
                       + (hmap_count(&dp_thread->threads)
                          * sizeof new->threads[0]));
        new->threads = (struct measure_thread **) &new->ports[new->n];
        HMAP_FOR_EACH (thread, dp_thread_node, &dp_thread->threads) {
            if (thread->n_ports) {
                new->threads[new->n_threads++]
                    = CONST_CAST(struct measure_thread *, &thread->thread);
            }
        }
    } else {
        free(new);
        new = NULL;
    }
    ovsrcu_set(&dp_thread->perf->measure->ports, new);
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

void
measure_threads_update(void)
{
    struct datapath_thread *dp_thread;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        measure_datapath_thread_update(dp_thread);
    }
}

/* Has each thread of 'dp' count what it receives from port 'i' for 'monitor',
 * or for nobody if that is NULL.  measure_threads_update() must follow. */
void
measure_threads_count_port(const void *dp, uint32_t i,
                           const struct monitor *monitor, uint16_t number)
{
    struct datapath_thread *dp_thread;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        if (dp_thread->dp == dp) {
            remove_port_thread(dp_thread, i);
            if (monitor) {
                add_port_thread(dp_thread, i, find_thread(monitor, dp_thread),
                                number);
            }
        }
    }
}

/* Adds to 'new' the threads that 'monitor' lacks to measure ports of 'dp'.
 * measure_threads_add() must follow. */
void
measure_threads_need_all(struct monitor *monitor, const void *dp,
                         struct ovs_list *new)
{
    struct datapath_thread *dp_thread;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        if (dp_thread->dp == dp) {
            measure_threads_need(monitor, dp_thread, new);
        }
    }
}

/* Returns a thread of 'dp' that counts no ports and that others do not see
 * before measure_datapath_thread_insert(). */
struct datapath_thread *
measure_datapath_thread_create(const void *dp, struct pmd_perf_stats *perf,
                               unsigned int core_id, int numa_id)
{
    struct datapath_thread *dp_thread = xzalloc(sizeof *dp_thread);

    dp_thread->dp = dp;
    dp_thread->perf = perf;
    dp_thread->core_id = core_id;
    dp_thread->numa_id
        = numa_id == OVS_NUMA_UNSPEC ? MEASURE_ANY_NODE : numa_id;
    hmap_init(&dp_thread->threads);
    perf->measure = xzalloc_cacheline(sizeof *perf->measure);
    ovsrcu_init(&perf->measure->ports, NULL);
    return dp_thread;
}

void
measure_datapath_thread_insert(struct datapath_thread *dp_thread)
{
    ovs_list_push_back(&threads, &dp_thread->node);
}

/* Has 'dp_thread', which is new, count what it receives from port 'i'. */
void
measure_datapath_thread_count_port(struct datapath_thread *dp_thread,
                                   uint32_t i, const struct monitor *monitor,
                                   uint16_t number)
{
    add_port_thread(dp_thread, i, find_thread(monitor, dp_thread), number);
}

/* Takes the thread with 'perf' away.  What it counted stays with the monitors'
 * threads until their epoch ends.  Returns its datapath if it was the last of
 * it, else NULL. */
const void *
measure_datapath_thread_remove(const struct pmd_perf_stats *perf)
{
    struct datapath_thread *dp_thread, *other;
    struct monitor_thread *thread;
    const void *dp;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        if (dp_thread->perf == perf) {
            break;
        }
    }
    HMAP_FOR_EACH_SAFE (thread, dp_thread_node, &dp_thread->threads) {
        measure_thread_leave(thread);
    }
    seq_change(measure_stream_seq);
    /* Whoever found the thread before it was taken out of its datapath may
     * still execute packets in it, until the grace period ends. */
    struct measure_input *input = dp_thread->perf->measure;
    struct measure_ports *old = ovsrcu_get_protected(struct measure_ports *,
                                                     &input->ports);
    ovsrcu_set(&input->ports, NULL);
    if (old) {
        ovsrcu_postpone(free, old);
    }
    ovsrcu_postpone(free_cacheline, input);
    ovs_list_remove(&dp_thread->node);
    dp = dp_thread->dp;
    hmap_destroy(&dp_thread->threads);
    free(dp_thread);
    LIST_FOR_EACH (other, node, &threads) {
        if (other->dp == dp) {
            return NULL;
        }
    }
    return dp;
}

/* Returns why 'thread' counts with one tier at the moment, whatever its tally
 * is ready for, or NULL.  'has_polled' says whether it is sure to have polled
 * a port. */
const char *
measure_thread_one_tier_cause(const struct monitor_thread *thread,
                              bool has_polled)
{
    return (thread->dp_thread
            ? measure_one_tier_cause(thread->dp_thread->perf, has_polled)
            : NULL);
}
