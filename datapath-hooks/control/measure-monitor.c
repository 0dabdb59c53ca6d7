/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors: the measurement of bridges. */

#include <config.h>

#include "measure-monitor.h"

#include "coverage.h"
#include "dpif-netdev-measure.h"
#include "flow.h"
#include "hash.h"
#include "measure-sizing.h"
#include "netdev-provider.h"
#include "netdev-vport.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "ovs-numa.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "smap.h"
#include "util.h"
#include "vswitch-idl.h"

VLOG_DEFINE_THIS_MODULE(measure);

/* A thread of a datapath: what monitors have a thread for, each its own.
 *
 * The map of its ports (struct measure_ports) is read by the thread itself,
 * without a lock.  A port that nobody counts gets a thread in place.  Any
 * other change needs another map: 'next', a copy that collects all changes of
 * a configuration and is then put into effect. */
struct datapath_thread {
    struct ovs_list node;           /* In 'threads'. */
    const void *dp;
    struct pmd_perf_stats *perf;
    unsigned int core_id;
    int numa_id;
    struct hmap threads;            /* "struct monitor_thread"s. */
    size_t n_ports;                 /* That have a thread. */
    struct measure_ports *next;     /* Its 'threads' are not set yet. */
};

/* A port of a datapath. */
struct measure_port {
    struct hmap_node number_node;   /* In 'ports'. */
    struct hmap_node name_node;     /* In 'ports_by_name'. */
    const void *dp;
    odp_port_t port_no;
    char *name;
    struct monitor *monitor;        /* That measures it, or NULL. */
    uint16_t number;                /* In the keys of 'monitor', or 0. */
};

/* A port of a bridge, as configured.  A tunnel port of the datapath can stand
 * for several interfaces: one of them is enough to leave it out. */
struct port_config {
    struct hmap_node node;          /* In 'port_configs'. */
    struct monitor *monitor;
    char *port;
    bool named;                     /* In the configuration being told. */
    bool measure;                   /* Of all interfaces so far. */
    bool valid_measure;             /* The last valid setting. */
    char *rejected;                 /* Value that was refused. */
};

struct ovs_mutex measure_mutex = OVS_MUTEX_INITIALIZER;
struct shash measure_monitors OVS_GUARDED_BY(measure_mutex)
    = SHASH_INITIALIZER(&measure_monitors);

static struct ovs_list threads OVS_GUARDED_BY(measure_mutex)
    = OVS_LIST_INITIALIZER(&threads);

/* The ports of all datapaths, by number and by name. */
static struct hmap ports OVS_GUARDED_BY(measure_mutex)
    = HMAP_INITIALIZER(&ports);
static struct hmap ports_by_name OVS_GUARDED_BY(measure_mutex)
    = HMAP_INITIALIZER(&ports_by_name);

static bool configured;             /* Main thread only. */

/* By the name of the port. */
static struct hmap port_configs OVS_GUARDED_BY(measure_mutex)
    = HMAP_INITIALIZER(&port_configs);

/* Entries of the maps of threads that were written or copied: adding or
 * removing a port should cost few for each thread, however many ports there
 * are. */
COVERAGE_DEFINE(measure_port_entries);

static void
init(void)
{
    static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;

    if (ovsthread_once_start(&once)) {
        measure_control_init();
        measure_commands_init();
        ovsthread_once_done(&once);
    }
}

/* Threads and the ports of threads. */

/* Returns the running monitor that measures the ports called 'name', or
 * NULL. */
static struct monitor *
port_monitor(const char *name)
    OVS_REQUIRES(measure_mutex)
{
    const struct port_config *config;
    struct monitor *monitor = NULL;

    HMAP_FOR_EACH_WITH_HASH (config, node, hash_string(name, 0),
                             &port_configs) {
        if (!strcmp(config->port, name) && config->measure
            && config->monitor->running
            && (!monitor
                || strcmp(config->monitor->name, monitor->name) < 0)) {
            monitor = config->monitor;
        }
    }
    return monitor;
}

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
 * add_threads() must follow. */
static void
need_thread(struct monitor *monitor, struct datapath_thread *dp_thread,
            struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
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

/* Puts the limit of the memory of 'monitor' into effect, which depends on its
 * threads.  Warns if those that have not ended need more than its setting. */
void
measure_monitor_apply_limit(struct monitor *monitor)
{
    const struct monitor_thread *thread;
    uint32_t least_mb;
    size_t n = 0;

    __atomic_store_n(&monitor->budget.limit, measure_memory_limit(monitor),
                     __ATOMIC_RELAXED);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        n += thread->dp_thread != NULL;
    }
    least_mb = measure_least_mb(n);
    if (monitor->config.memory_mb >= least_mb) {
        monitor->raised_mb = 0;
    } else if (monitor->raised_mb < least_mb) {
        monitor->raised_mb = least_mb;
        VLOG_WARN("%s: other_config:measure-memory-mb=%"PRIu32" is too little "
                  "for %"PRIuSIZE" packet threads: %"PRIu32" MiB, the least "
                  "that they need, are the limit", monitor->name,
                  monitor->config.memory_mb, n, least_mb);
    }
}

/* Gives the threads in 'new' tallies, and their monitors the threads.  Lets go
 * of 'measure_mutex' to make the tallies: only the main thread adds and
 * removes threads, ports and monitors, and others do not know of a thread
 * before it is in its monitor. */
static void
add_threads(struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
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
        thread->idle = measure_control_create_tally(thread->monitor, thread,
                                                    thread->idle_limit);
    }
    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH_POP (thread, node, new) {
        ovs_list_push_back(&thread->monitor->threads, &thread->node);
        measure_control_add_tally(thread->monitor, thread);
    }
    SHASH_FOR_EACH (node, &measure_monitors) {
        measure_monitor_apply_limit(node->data);
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
                                   &dp_thread->perf->measure_ports));
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
static void
update_thread(struct datapath_thread *dp_thread)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_ports *old
        = ovsrcu_get_protected(struct measure_ports *,
                               &dp_thread->perf->measure_ports);
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
    ovsrcu_set(&dp_thread->perf->measure_ports, new);
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

static void
update_threads(void)
    OVS_REQUIRES(measure_mutex)
{
    struct datapath_thread *dp_thread;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        update_thread(dp_thread);
    }
}

/* Ports. */

static uint32_t
hash_port_number(const void *dp, odp_port_t port_no)
{
    return hash_pointer(dp, odp_to_u32(port_no));
}

static struct measure_port *
find_port_by_number(const void *dp, odp_port_t port_no)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_port *port;

    HMAP_FOR_EACH_WITH_HASH (port, number_node, hash_port_number(dp, port_no),
                             &ports) {
        if (port->dp == dp && port->port_no == port_no) {
            return port;
        }
    }
    return NULL;
}

static struct measure_port *
find_port_by_name(const void *dp, const char *name)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_port *port;

    HMAP_FOR_EACH_WITH_HASH (port, name_node, hash_string(name, 0),
                             &ports_by_name) {
        if (port->dp == dp && !strcmp(port->name, name)) {
            return port;
        }
    }
    return NULL;
}

/* Gives 'port' a number in the keys of its monitor if there is one left. */
static void
number_port(struct measure_port *port)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor *monitor = port->monitor;

    measure_port_recycle(&monitor->ports,
                         measure_monitor_oldest_epoch(monitor));
    port->number = measure_port_number(&monitor->ports, port->name);
}

/* Has each thread count what it receives from 'port' for the monitor that
 * measures it, if any.  update_threads() must follow. */
static void
update_port(const struct measure_port *port)
    OVS_REQUIRES(measure_mutex)
{
    uint32_t i = odp_to_u32(port->port_no);
    struct datapath_thread *dp_thread;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        if (dp_thread->dp == port->dp) {
            remove_port_thread(dp_thread, i);
            if (port->monitor) {
                add_port_thread(dp_thread, i,
                                find_thread(port->monitor, dp_thread),
                                port->number);
            }
        }
    }
}

/* Has 'monitor', or nobody if it is NULL, measure 'port'.  update_threads()
 * must follow. */
static void
measure_port_by(struct measure_port *port, struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor *old = port->monitor;

    if (old == monitor) {
        return;
    }
    if (old) {
        measure_port_release(&old->ports, port->number, old->epoch);
        old->n_unnumbered -= !port->number;
    }
    port->monitor = monitor;
    port->number = 0;
    if (monitor) {
        number_port(port);
        if (!port->number) {
            static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);

            VLOG_WARN_RL(&rl, "%s: no number is left for port %s, as reports "
                         "that are kept name %d others: rows will not say "
                         "that packets came in by it; a smaller "
                         "measure-history makes numbers free sooner",
                         monitor->name, port->name, MEASURE_MAX_PORT);
            monitor->n_unnumbered++;
        }
    }
    update_port(port);
}

/* Gives the ports of 'monitor' that have no number one, as far as there are
 * any by now. */
void
measure_monitor_number_ports(struct monitor *monitor)
{
    struct measure_port *port;

    if (!monitor->n_unnumbered) {
        return;
    }
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->monitor == monitor && !port->number) {
            number_port(port);
            if (!port->number) {
                break;
            }
            monitor->n_unnumbered--;
            update_port(port);
        }
    }
    update_threads();
}

/* Adds to 'new' the threads that are missing for 'monitor', or nobody if it is
 * NULL, to measure 'port'. */
static void
need_port_threads(const struct measure_port *port, struct monitor *monitor,
                  struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
{
    struct datapath_thread *dp_thread;

    if (monitor && monitor != port->monitor) {
        LIST_FOR_EACH (dp_thread, node, &threads) {
            if (dp_thread->dp == port->dp) {
                need_thread(monitor, dp_thread, new);
            }
        }
    }
}

/* Brings all ports in line with the configuration. */
static void
update_ports(void)
    OVS_REQUIRES(measure_mutex)
{
    struct ovs_list new = OVS_LIST_INITIALIZER(&new);
    struct measure_port *port;

    HMAP_FOR_EACH (port, number_node, &ports) {
        need_port_threads(port, port_monitor(port->name), &new);
    }
    add_threads(&new);
    HMAP_FOR_EACH (port, number_node, &ports) {
        measure_port_by(port, port_monitor(port->name));
    }
    update_threads();
}

void
measure_thread_added(const void *dp, struct pmd_perf_stats *perf,
                     unsigned int core_id, int numa_id)
{
    struct datapath_thread *dp_thread = xzalloc(sizeof *dp_thread);
    struct ovs_list new = OVS_LIST_INITIALIZER(&new);
    const struct measure_port *port;

    init();
    dp_thread->dp = dp;
    dp_thread->perf = perf;
    dp_thread->core_id = core_id;
    dp_thread->numa_id
        = numa_id == OVS_NUMA_UNSPEC ? MEASURE_ANY_NODE : numa_id;
    hmap_init(&dp_thread->threads);
    ovsrcu_init(&perf->measure_ports, NULL);
    perf->measure_port = NULL;

    ovs_mutex_lock(&measure_mutex);
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->dp == dp && port->monitor) {
            need_thread(port->monitor, dp_thread, &new);
        }
    }
    add_threads(&new);
    /* Not before: others can change the ports of threads that are in there. */
    ovs_list_push_back(&threads, &dp_thread->node);
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->dp == dp && port->monitor) {
            add_port_thread(dp_thread, odp_to_u32(port->port_no),
                            find_thread(port->monitor,
                                        dp_thread), port->number);
        }
    }
    update_thread(dp_thread);
    ovs_mutex_unlock(&measure_mutex);
}

static void
forget_port(struct measure_port *port)
    OVS_REQUIRES(measure_mutex)
{
    measure_port_by(port, NULL);
    hmap_remove(&ports, &port->number_node);
    hmap_remove(&ports_by_name, &port->name_node);
    free(port->name);
    free(port);
}

static void
forget_ports(const void *dp)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_port *port;

    HMAP_FOR_EACH_SAFE (port, number_node, &ports) {
        if (port->dp == dp) {
            forget_port(port);
        }
    }
}

void
measure_port_added(const void *dp, odp_port_t port_no, const char *name)
{
    struct ovs_list new = OVS_LIST_INITIALIZER(&new);
    struct measure_port *port, *other;

    /* Numbers of ports are indexes here. */
    if (odp_to_u32(port_no) > UINT16_MAX) {
        VLOG_WARN("port %s: datapath port number %"PRIu32" is above %d, it "
                  "is not measured", name, odp_to_u32(port_no), UINT16_MAX);
        return;
    }

    ovs_mutex_lock(&measure_mutex);
    port = find_port_by_name(dp, name);
    other = find_port_by_number(dp, port_no);
    if (!port || port != other) {
        if (port) {
            forget_port(port);
        }
        if (other) {
            forget_port(other);
        }
        port = xzalloc(sizeof *port);
        port->dp = dp;
        port->port_no = port_no;
        port->name = xstrdup(name);
        hmap_insert(&ports, &port->number_node,
                    hash_port_number(dp, port_no));
        hmap_insert(&ports_by_name, &port->name_node, hash_string(name, 0));
    }
    need_port_threads(port, port_monitor(name), &new);
    add_threads(&new);
    measure_port_by(port, port_monitor(name));
    update_threads();
    ovs_mutex_unlock(&measure_mutex);
}

static bool
datapath_has_threads(const void *dp)
    OVS_REQUIRES(measure_mutex)
{
    const struct datapath_thread *dp_thread;

    LIST_FOR_EACH (dp_thread, node, &threads) {
        if (dp_thread->dp == dp) {
            return true;
        }
    }
    return false;
}

/* What the datapath thread counted stays with the monitors' threads until
 * their epoch ends. */
void
measure_thread_removed(struct pmd_perf_stats *perf)
{
    struct monitor_thread *thread;
    struct datapath_thread *dp_thread;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (dp_thread, node, &threads) {
        if (dp_thread->perf == perf) {
            break;
        }
    }
    HMAP_FOR_EACH_SAFE (thread, dp_thread_node, &dp_thread->threads) {
        measure_thread_leave(thread);
    }
    struct measure_ports *old
        = ovsrcu_get_protected(struct measure_ports *, &perf->measure_ports);
    ovsrcu_set(&perf->measure_ports, NULL);
    if (old) {
        ovsrcu_postpone(free, old);
    }
    ovs_list_remove(&dp_thread->node);
    if (!datapath_has_threads(dp_thread->dp)) {
        forget_ports(dp_thread->dp);
    }
    ovs_mutex_unlock(&measure_mutex);

    hmap_destroy(&dp_thread->threads);
    free(dp_thread);
}

/* Adds the names of the datapath ports that 'monitor' measures to 'names'. */
void
measure_monitor_ports(const struct monitor *monitor, struct sset *names)
{
    const struct measure_port *port;

    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->monitor == monitor) {
            sset_add(names, port->name);
        }
    }
}

struct monitor *
measure_monitor_ref(struct monitor *monitor)
{
    ovs_refcount_ref(&monitor->refs);
    return monitor;
}

static bool
is_quiet(const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    const struct monitor_thread *thread;

    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (!measure_thread_is_quiet(thread)) {
            return false;
        }
    }
    return true;
}

/* Frees spare memory of 'monitor': what is more than an eighth of its memory,
 * and all of it if less than 'want' bytes are left, all threads are quiet or
 * measurement is off.  If these bytes are not left, the newest report forgets
 * its cached groups, too. */
void
measure_monitor_trim(struct monitor *monitor, uint64_t want)
{
    const struct measure_history *history = &monitor->history;
    struct kept_report *newest = NULL;
    uint64_t max_spare = 0;

    ovs_mutex_lock(&measure_mutex);
    if (measure_memory_room(monitor) < want) {
        if (history->n) {
            newest = measure_kept_report_ref(measure_history_newest(history));
        }
    } else if (monitor->running && !is_quiet(monitor)) {
        max_spare = measure_memory_limit(monitor) / 8;
    }
    ovs_mutex_unlock(&measure_mutex);

    measure_memory_trim(&monitor->budget, max_spare);
    if (newest) {
        measure_report_forget_groups(newest->report);
        measure_kept_report_unref(newest);
        measure_memory_trim(&monitor->budget, 0);
    }
}

void
measure_monitor_unref(struct monitor *monitor)
{
    if (monitor && ovs_refcount_unref(&monitor->refs) == 1) {
        struct monitor_core *core;

        VLOG_DBG("%s: forgotten", monitor->name);
        measure_watch_destroy(monitor);
        measure_history_destroy(&monitor->history);
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

/* Configuration. */

static void
start_monitor(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    monitor->running = true;
    measure_monitor_begin_epoch(monitor);
    VLOG_INFO("%s: measurement is on", monitor->name);
}

/* What is not configured anew will be gone. */
static void
configure_begin(void)
    OVS_REQUIRES(measure_mutex)
{
    struct port_config *port_config;
    struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        monitor->named = false;
    }
    HMAP_FOR_EACH (port_config, node, &port_configs) {
        port_config->named = false;
    }
}

static void
configure_setting(struct monitor *monitor, enum measure_setting setting,
                  const char *value)
{
    const struct measure_setting_info *info = &measure_settings[setting];
    char **rejected = &monitor->rejected[setting];

    if (measure_config_set(&monitor->config, setting,
                           value ? value : info->default_value)) {
        free(*rejected);
        *rejected = NULL;
    } else if (!nullable_string_is_equal(*rejected, value)) {
        char *valid = measure_setting_valid(setting);

        VLOG_WARN("%s: other_config:%s=%s is not valid, the old setting stays;"
                  " valid is %s", monitor->name, info->name, value, valid);
        free(valid);
        free(*rejected);
        *rejected = xstrdup(value);
    }
}

static bool
is_setting(const char *key)
{
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        if (!strcmp(key, measure_settings[i].name)) {
            return true;
        }
    }
    return false;
}

/* A mistyped key would otherwise do nothing and say nothing. */
static void
warn_of_unknown_keys(struct monitor *monitor, const struct smap *config)
{
    const struct smap_node *node;

    SMAP_FOR_EACH (node, config) {
        if (!strncmp(node->key, "measure", strlen("measure"))
            && !is_setting(node->key)
            && sset_add(&monitor->unknown, node->key)) {
            struct ds valid = DS_EMPTY_INITIALIZER;

            for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
                ds_put_format(&valid, "%s%s", i ? ", " : "",
                              measure_settings[i].name);
            }
            VLOG_WARN("%s: other_config:%s=%s is not a known key; valid are "
                      "%s", monitor->name, node->key, node->value,
                      ds_cstr(&valid));
            ds_destroy(&valid);
        }
    }
}

static struct port_config *
find_port_config(const struct monitor *monitor, const char *port)
    OVS_REQUIRES(measure_mutex)
{
    struct port_config *config;

    HMAP_FOR_EACH_WITH_HASH (config, node, hash_string(port, 0),
                             &port_configs) {
        if (config->monitor == monitor && !strcmp(config->port, port)) {
            return config;
        }
    }
    return NULL;
}

static struct port_config *
name_port(struct monitor *monitor, const char *port)
    OVS_REQUIRES(measure_mutex)
{
    struct port_config *config = find_port_config(monitor, port);

    if (!config) {
        config = xzalloc(sizeof *config);
        config->monitor = monitor;
        config->port = xstrdup(port);
        config->valid_measure = true;
        hmap_insert(&port_configs, &config->node, hash_string(port, 0));
    }
    if (!config->named) {
        config->named = true;
        config->measure = true;
    }
    return config;
}

/* Configures the bridge 'name'.  Its local port is measured, too, unless
 * configure_port() says otherwise.  Returns its monitor if it is measured,
 * else NULL. */
static struct monitor *
configure_bridge(const char *name, const struct smap *config)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor *monitor = shash_find_data(&measure_monitors, name);

    if (!monitor) {
        if (!smap_get(config, measure_settings[0].name)) {
            return NULL;
        }
        monitor = xzalloc(sizeof *monitor);
        ovs_refcount_init(&monitor->refs);
        monitor->name = xstrdup(name);
        measure_config_init(&monitor->config);
        sset_init(&monitor->unknown);
        ovs_list_init(&monitor->threads);
        ovs_list_init(&monitor->cores);
        ovs_list_init(&monitor->closing);
        measure_history_init(&monitor->history);
        measure_watch_init(&monitor->tasks);
        shash_add(&measure_monitors, name, monitor);
    }
    monitor->named = true;
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        configure_setting(monitor, i,
                          smap_get(config, measure_settings[i].name));
    }
    warn_of_unknown_keys(monitor, config);
    if (!monitor->config.enable) {
        return NULL;
    }
    name_port(monitor, name);
    return monitor;
}

/* Configures an interface of 'monitor' whose name in the datapath is
 * 'port'. */
static void
configure_port(struct monitor *monitor, const char *port,
               const struct smap *config)
    OVS_REQUIRES(measure_mutex)
{
    struct port_config *port_config = name_port(monitor, port);
    const char *value = smap_get(config, "measure");

    if (!value || !strcmp(value, "true") || !strcmp(value, "false")) {
        port_config->valid_measure = !value || value[0] == 't';
        free(port_config->rejected);
        port_config->rejected = NULL;
    } else if (!nullable_string_is_equal(port_config->rejected, value)) {
        VLOG_WARN("%s: port %s: Interface other_config:measure=%s is not "
                  "valid, the old setting stays; valid is true or false",
                  monitor->name, port, value);
        free(port_config->rejected);
        port_config->rejected = xstrdup(value);
    }
    port_config->measure &= port_config->valid_measure;
}

/* Forgets the ports that are not there any more.  The last valid settings of a
 * bridge that is not measured now stay. */
static void
forget_port_configs(void)
    OVS_REQUIRES(measure_mutex)
{
    struct port_config *config;

    HMAP_FOR_EACH_SAFE (config, node, &port_configs) {
        const struct monitor *monitor = config->monitor;

        if (!config->named && (!monitor->named || monitor->config.enable)) {
            hmap_remove(&port_configs, &config->node);
            free(config->port);
            free(config->rejected);
            free(config);
        }
    }
}

/* Puts the configuration into effect. */
static void
configure_end(void)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    forget_port_configs();
    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;
        bool enable = monitor->named && monitor->config.enable;

        measure_monitor_apply_limit(monitor);
        monitor->stopping = monitor->running && !enable;
        if (monitor->stopping) {
            monitor->running = false;
        } else if (enable && !monitor->running) {
            start_monitor(monitor);
        } else if (enable && (monitor->config.key != monitor->key_kind
                              || monitor->config.tiers != monitor->tiers
                              || (monitor->config.memory_mb
                                  < monitor->memory_mb)
                              || (monitor->config.structure
                                  != monitor->structure))) {
            measure_monitor_close_epoch(monitor);
        }
    }
    update_ports();
    SHASH_FOR_EACH_SAFE (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->stopping) {
            measure_monitor_close_epoch(monitor);
            VLOG_INFO("%s: measurement is off", monitor->name);
        }
        measure_monitor_apply_limit(monitor);
        if (!monitor->named) {
            shash_delete(&measure_monitors, node);
            measure_control_destroy(monitor);
        }
    }
    measure_control_wake();
}

/* Configures an interface of 'monitor'.  A tunnel port has another name in the
 * datapath, which is known once it exists. */
static void
configure_interface(struct monitor *monitor,
                    const struct ovsrec_interface *iface)
    OVS_REQUIRES(measure_mutex)
{
    struct netdev *netdev = netdev_from_name(iface->name);
    char namebuf[NETDEV_VPORT_NAME_BUFSIZE];

    configure_port(monitor, netdev
                   ? netdev_vport_get_dpif_port(netdev, namebuf,
                                                sizeof namebuf)
                   : iface->name, &iface->other_config);
    netdev_close(netdev);
}

/* Measures the bridges and ports that 'cfg' says. */
void
measure_configure(const struct ovsrec_open_vswitch *cfg)
{
    init();
    ovs_mutex_lock(&measure_mutex);
    configure_begin();
    for (size_t i = 0; i < cfg->n_bridges; i++) {
        const struct ovsrec_bridge *bridge = cfg->bridges[i];

        struct monitor *monitor = configure_bridge(bridge->name,
                                                   &bridge->other_config);

        for (size_t j = 0; monitor && j < bridge->n_ports; j++) {
            const struct ovsrec_port *port = bridge->ports[j];

            for (size_t k = 0; k < port->n_interfaces; k++) {
                configure_interface(monitor, port->interfaces[k]);
            }
        }
    }
    configure_end();
    ovs_mutex_unlock(&measure_mutex);
    configured = true;
}

/* Returns why 'thread' counts with one tier at the moment, whatever its tally
 * is ready for, or NULL.  'has_polled' says whether it is
 * sure to have polled a port. */
const char *
measure_thread_one_tier_cause(const struct monitor_thread *thread,
                              bool has_polled)
{
    return (thread->dp_thread
            ? measure_one_tier_cause(thread->dp_thread->perf, has_polled)
            : NULL);
}

/* Returns false as long as the bridges are not known. */
bool
measure_is_configured(void)
{
    return configured;
}

/* Does not depend on the database: commands exist and are answered before it
 * is there, and while it is away. */
void
measure_run(void)
{
    init();
    measure_commands_run();
}

void
measure_wait(void)
{
    measure_commands_wait();
}
