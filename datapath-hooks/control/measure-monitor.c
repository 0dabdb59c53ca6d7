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

#include "coverage.h"
#include "dpif-netdev-measure.h"
#include "flow.h"
#include "hash.h"
#include "measure-sets.h"
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

/* A thread of a datapath.
 *
 * The map of its ports (struct measure_ports) is read by the thread itself,
 * without a lock.  A port that has no writer gets one in place.  Any other
 * change needs another map: 'next', a copy that collects all changes of a
 * configuration and is then put into effect. */
struct measure_thread {
    struct ovs_list node;           /* In 'threads'. */
    const void *dp;
    struct pmd_perf_stats *perf;
    unsigned int core_id;
    int numa_id;
    struct hmap writers;            /* "struct monitor_writer"s. */
    size_t n_ports;                 /* That have a writer. */
    struct measure_ports *next;     /* Its 'writers' are not set yet. */
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

/* Writers and the ports of threads. */

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

/* Returns the core of 'thread' in 'monitor'. */
static struct monitor_core *
get_core(struct monitor *monitor, const struct measure_thread *thread)
{
    struct monitor_core *core, *next = NULL;

    LIST_FOR_EACH (core, node, &monitor->cores) {
        if (core->core_id == thread->core_id) {
            core->numa_id = thread->numa_id;
            return core;
        }
        /* The main thread, whose number is the largest, comes first. */
        if (core->core_id + 1 > thread->core_id + 1) {
            next = core;
            break;
        }
    }
    core = xzalloc(sizeof *core);
    core->core_id = thread->core_id;
    core->numa_id = thread->numa_id;
    ovs_list_insert(next ? &next->node : &monitor->cores, &core->node);
    return core;
}

/* Returns the writer of 'monitor' for 'thread', or NULL. */
static struct monitor_writer *
find_writer(const struct monitor *monitor, const struct measure_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_writer *writer;

    HMAP_FOR_EACH_WITH_HASH (writer, thread_node, hash_pointer(monitor, 0),
                             &thread->writers) {
        if (writer->monitor == monitor) {
            return writer;
        }
    }
    return NULL;
}

/* Adds to 'new' a writer of 'monitor' for 'thread' if it has none.
 * add_writers() must follow. */
static void
need_writer(struct monitor *monitor, struct measure_thread *thread,
            struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_writer *writer;

    if (find_writer(monitor, thread)) {
        return;
    }
    writer = xzalloc(sizeof *writer);
    writer->monitor = monitor;
    writer->thread = thread;
    writer->core = get_core(monitor, thread);
    writer->core_id = thread->core_id;
    writer->numa_id = thread->numa_id;
    writer->n_quiet = MEASURE_QUIET_EPOCHS;
    ovs_list_push_back(new, &writer->node);
    hmap_insert(&thread->writers, &writer->thread_node,
                hash_pointer(monitor, 0));
}

/* Puts the limit of the memory of 'monitor' into effect, which depends on its
 * writers.  Warns if those that have a thread need more than its setting. */
void
measure_monitor_apply_limit(struct monitor *monitor)
{
    const struct monitor_writer *writer;
    uint32_t least_mb;
    size_t n = 0;

    __atomic_store_n(&monitor->budget.limit, measure_memory_limit(monitor),
                     __ATOMIC_RELAXED);
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        n += writer->thread != NULL;
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

/* Gives the writers in 'new' sets, and their monitors the writers.  Lets go of
 * 'measure_mutex' to make the sets: only the main thread adds and removes
 * threads, ports and monitors, and others do not know of a writer before it is
 * in its monitor. */
static void
add_writers(struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_writer *writer;
    const struct shash_node *node;

    LIST_FOR_EACH (writer, node, new) {
        writer->monitor->n_new++;
        writer->monitor->new_weight += measure_writer_weight(writer);
    }
    LIST_FOR_EACH (writer, node, new) {
        writer->idle_limit = measure_set_limit(writer->monitor, writer);
    }
    LIST_FOR_EACH (writer, node, new) {
        writer->monitor->n_new = writer->monitor->new_weight = 0;
    }
    if (ovs_list_is_empty(new)) {
        return;
    }
    ovs_mutex_unlock(&measure_mutex);
    LIST_FOR_EACH (writer, node, new) {
        writer->idle = measure_control_create_set(writer->monitor, writer,
                                                  writer->idle_limit);
    }
    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH_POP (writer, node, new) {
        ovs_list_push_back(&writer->monitor->writers, &writer->node);
        measure_control_add_set(writer->monitor, writer);
    }
    SHASH_FOR_EACH (node, &measure_monitors) {
        measure_monitor_apply_limit(node->data);
    }
}

/* Takes 'writer', which no map names any more, away from its thread. */
void
measure_writer_leave_thread(struct monitor_writer *writer)
{
    if (writer->thread) {
        hmap_remove(&writer->thread->writers, &writer->thread_node);
        writer->thread = NULL;
    }
}

/* Makes 'writer' forget what entries of the flow cache stand for. */
static void
forget_keys(struct measure_writer *writer)
{
    struct measure_cache_keys *keys = measure_writer_keys(writer);

    if (keys) {
        measure_cache_forget(keys);
    }
}

static struct measure_ports *
get_map(const struct measure_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    return (thread->next ? thread->next
            : ovsrcu_get_protected(struct measure_ports *,
                                   &thread->perf->measure_ports));
}

/* Returns the next map of 'thread', with room for port 'i'.  It is as large
 * again, so that ports which are added one by one are seldom copied. */
static struct measure_ports *
get_next_map(struct measure_thread *thread, uint32_t i)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_ports *map = get_map(thread);
    size_t n = map ? map->n : 0;

    if (!thread->next || i >= n) {
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
        free(thread->next);
        thread->next = new;
    }
    return thread->next;
}

/* Has no writer count what 'thread' receives from port 'i' any more.
 *
 * From now on a port may be called by another number, or a writer be left out
 * when an entry of the flow cache is given to another flow: the writer forgets
 * what entries stand for. */
static void
remove_port_writer(struct measure_thread *thread, uint32_t i)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_ports *map = get_map(thread);

    if (map && i < map->n && map->ports[i].writer) {
        struct monitor_writer *writer = CONTAINER_OF(map->ports[i].writer,
                                                     struct monitor_writer,
                                                     writer);
        struct measure_ports *next = get_next_map(thread, i);

        next->ports[i] = (struct measure_port_writer) { NULL, 0 };
        COVERAGE_INC(measure_port_entries);
        forget_keys(&writer->writer);
        writer->n_ports--;
        writer->left_out = !writer->n_ports;
        thread->n_ports--;
    }
}

/* Has 'writer' count what 'thread' receives from port 'i', which nobody counts
 * yet and which keys call 'number'. */
static void
add_port_writer(struct measure_thread *thread, uint32_t i,
                struct monitor_writer *writer, uint16_t number)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_ports *map = get_map(thread);

    if (!map || i >= map->n || !writer->n_ports) {
        map = get_next_map(thread, i);
    }
    if (writer->left_out) {
        /* Nobody has told it of entries that were given to other flows. */
        forget_keys(&writer->writer);
        writer->left_out = false;
    }
    COVERAGE_INC(measure_port_entries);
    map->ports[i].number = number;
    __atomic_store_n(&map->ports[i].writer, &writer->writer,
                     __ATOMIC_RELEASE);
    writer->n_ports++;
    thread->n_ports++;
}

/* Puts the next map of 'thread' into effect if there is one.  Without a
 * measured port the thread gets NULL. */
static void
update_thread(struct measure_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_ports *old
        = ovsrcu_get_protected(struct measure_ports *,
                               &thread->perf->measure_ports);
    struct measure_ports *new = thread->next;

    if (!new) {
        return;
    }
    thread->next = NULL;
    if (thread->n_ports) {
        const struct monitor_writer *writer;

        new = xrealloc(new, sizeof *new + new->n * sizeof new->ports[0]
                       + (hmap_count(&thread->writers)
                          * sizeof new->writers[0]));
        new->writers = (struct measure_writer **) &new->ports[new->n];
        HMAP_FOR_EACH (writer, thread_node, &thread->writers) {
            if (writer->n_ports) {
                new->writers[new->n_writers++]
                    = CONST_CAST(struct measure_writer *, &writer->writer);
            }
        }
    } else {
        free(new);
        new = NULL;
    }
    ovsrcu_set(&thread->perf->measure_ports, new);
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

static void
update_threads(void)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_thread *thread;

    LIST_FOR_EACH (thread, node, &threads) {
        update_thread(thread);
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
    struct measure_thread *thread;

    LIST_FOR_EACH (thread, node, &threads) {
        if (thread->dp == port->dp) {
            remove_port_writer(thread, i);
            if (port->monitor) {
                add_port_writer(thread, i, find_writer(port->monitor, thread),
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

/* Adds to 'new' the writers that are missing for 'monitor', or nobody if it is
 * NULL, to measure 'port'. */
static void
need_port_writers(const struct measure_port *port, struct monitor *monitor,
                  struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_thread *thread;

    if (monitor && monitor != port->monitor) {
        LIST_FOR_EACH (thread, node, &threads) {
            if (thread->dp == port->dp) {
                need_writer(monitor, thread, new);
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
        need_port_writers(port, port_monitor(port->name), &new);
    }
    add_writers(&new);
    HMAP_FOR_EACH (port, number_node, &ports) {
        measure_port_by(port, port_monitor(port->name));
    }
    update_threads();
}

void
measure_thread_added(const void *dp, struct pmd_perf_stats *perf,
                     unsigned int core_id, int numa_id)
{
    struct measure_thread *thread = xzalloc(sizeof *thread);
    struct ovs_list new = OVS_LIST_INITIALIZER(&new);
    const struct measure_port *port;

    init();
    thread->dp = dp;
    thread->perf = perf;
    thread->core_id = core_id;
    thread->numa_id = numa_id == OVS_NUMA_UNSPEC ? MEASURE_ANY_NODE : numa_id;
    hmap_init(&thread->writers);
    ovsrcu_init(&perf->measure_ports, NULL);
    perf->measure_port = NULL;

    ovs_mutex_lock(&measure_mutex);
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->dp == dp && port->monitor) {
            need_writer(port->monitor, thread, &new);
        }
    }
    add_writers(&new);
    /* Not before: others can change the ports of threads that are in there. */
    ovs_list_push_back(&threads, &thread->node);
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->dp == dp && port->monitor) {
            add_port_writer(thread, odp_to_u32(port->port_no),
                            find_writer(port->monitor, thread), port->number);
        }
    }
    update_thread(thread);
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
    need_port_writers(port, port_monitor(name), &new);
    add_writers(&new);
    measure_port_by(port, port_monitor(name));
    update_threads();
    ovs_mutex_unlock(&measure_mutex);
}

static bool
datapath_has_threads(const void *dp)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_thread *thread;

    LIST_FOR_EACH (thread, node, &threads) {
        if (thread->dp == dp) {
            return true;
        }
    }
    return false;
}

/* What the thread counted stays with the writers until their epoch ends. */
void
measure_thread_removed(struct pmd_perf_stats *perf)
{
    struct monitor_writer *writer;
    struct measure_thread *thread;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (thread, node, &threads) {
        if (thread->perf == perf) {
            break;
        }
    }
    HMAP_FOR_EACH_SAFE (writer, thread_node, &thread->writers) {
        measure_writer_leave_thread(writer);
    }
    struct measure_ports *old
        = ovsrcu_get_protected(struct measure_ports *, &perf->measure_ports);
    ovsrcu_set(&perf->measure_ports, NULL);
    if (old) {
        ovsrcu_postpone(free, old);
    }
    ovs_list_remove(&thread->node);
    if (!datapath_has_threads(thread->dp)) {
        forget_ports(thread->dp);
    }
    ovs_mutex_unlock(&measure_mutex);

    hmap_destroy(&thread->writers);
    free(thread);
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
    const struct monitor_writer *writer;

    LIST_FOR_EACH (writer, node, &monitor->writers) {
        if (!measure_writer_is_quiet(writer)) {
            return false;
        }
    }
    return true;
}

/* Frees spare memory of 'monitor': what is more than an eighth of its memory,
 * and all of it if less than 'want' bytes are left, all writers are quiet or
 * measurement is off.  If these bytes are not left, the newest report forgets
 * its groupings, too. */
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
        measure_report_forget_groupings(newest->report);
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
        measure_tasks_destroy(monitor);
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
        VLOG_WARN("%s: other_config:%s=%s is not valid, the old setting stays;"
                  " valid is %s", monitor->name, info->name, value,
                  info->valid);
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
        ovs_list_init(&monitor->writers);
        ovs_list_init(&monitor->cores);
        ovs_list_init(&monitor->closing);
        measure_history_init(&monitor->history);
        measure_tasks_init(&monitor->tasks);
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
        } else if (enable && (monitor->config.key != monitor->by
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

/* Returns why the thread of 'writer' counts with one tier at the moment,
 * whatever its set is ready for, or NULL.  'has_polled' says whether it is
 * sure to have polled a port. */
const char *
measure_writer_one_tier_cause(const struct monitor_writer *writer,
                              bool has_polled)
{
    return (writer->thread
            ? measure_one_tier_cause(writer->thread->perf, has_polled)
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
