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

#include "dpif-netdev-measure.h"
#include "flow.h"
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

/* A thread of a datapath. */
struct measure_thread {
    struct ovs_list node;           /* In 'threads'. */
    const void *dp;
    struct pmd_perf_stats *perf;
    unsigned int core_id;
    int numa_id;
};

/* A port of a datapath. */
struct measure_port {
    struct ovs_list node;           /* In 'ports'. */
    const void *dp;
    odp_port_t port_no;
    char *name;
};

/* A port of a bridge, as configured.  A tunnel port of the datapath can stand
 * for several interfaces: one of them is enough to leave it out. */
struct port_config {
    char *bridge;
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
static struct ovs_list ports OVS_GUARDED_BY(measure_mutex)
    = OVS_LIST_INITIALIZER(&ports);

/* The configuration of ports: "BRIDGE PORT" to struct port_config, and the
 * monitor of each measured port. */
static struct shash port_configs OVS_GUARDED_BY(measure_mutex)
    = SHASH_INITIALIZER(&port_configs);
static struct shash port_monitors OVS_GUARDED_BY(measure_mutex)
    = SHASH_INITIALIZER(&port_monitors);

static bool configured;             /* Main thread only. */

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

static struct monitor *
port_monitor(const struct measure_port *port)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor *monitor = shash_find_data(&port_monitors, port->name);

    return monitor && monitor->running ? monitor : NULL;
}

static struct monitor_writer *
find_writer(const struct monitor *monitor, const struct measure_thread *thread)
{
    struct monitor_writer *writer;

    LIST_FOR_EACH (writer, node, &monitor->writers) {
        if (writer->thread == thread) {
            return writer;
        }
    }
    return NULL;
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

static struct measure_writer *
get_writer(struct monitor *monitor, const struct measure_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_writer *writer = find_writer(monitor, thread);

    if (!writer) {
        writer = xzalloc(sizeof *writer);
        writer->thread = thread;
        writer->core = get_core(monitor, thread);
        writer->core_id = thread->core_id;
        writer->numa_id = thread->numa_id;
        ovs_list_push_back(&monitor->writers, &writer->node);
        measure_control_add_set(monitor, writer);
    }
    return &writer->writer;
}

static bool
ports_equal(const struct measure_ports *a, const struct measure_ports *b)
{
    return (a && b
            ? a->n == b->n && !memcmp(a->ports, b->ports,
                                      a->n * sizeof a->ports[0])
            : a == b);
}

static bool
has_writer(const struct measure_ports *measure_ports,
           const struct measure_writer *writer)
{
    for (size_t i = 0; measure_ports && i < measure_ports->n_writers; i++) {
        if (measure_ports->writers[i] == writer) {
            return true;
        }
    }
    return false;
}

static void
add_port_writer(struct measure_ports *measure_ports,
                struct measure_writer *writer)
{
    if (!has_writer(measure_ports, writer)) {
        measure_ports->writers[measure_ports->n_writers++] = writer;
    }
}

static void
forget_keys(struct measure_writer *writer)
{
    struct measure_cache_keys *keys = measure_writer_keys(writer);

    if (keys) {
        measure_cache_forget(keys);
    }
}

/* Makes the writers of ports of 'old' that are not the same in 'new' forget
 * what entries of the flow cache stand for.  From now on a port may be called
 * by another number, or a writer be left out when an entry is given to another
 * flow. */
static void
forget_keys_of_changed_ports(const struct measure_ports *old,
                             const struct measure_ports *new)
{
    for (size_t i = 0; old && i < old->n; i++) {
        const struct measure_port_writer *port = &old->ports[i];

        if (port->writer
            && (!new || i >= new->n
                || memcmp(port, &new->ports[i], sizeof *port))) {
            forget_keys(port->writer);
        }
    }
}

/* Tells 'thread' which writer counts the packets of each port.  Without a
 * measured port it gets NULL. */
static void
update_thread(struct measure_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_ports *old
        = ovsrcu_get_protected(struct measure_ports *,
                               &thread->perf->measure_ports);
    struct measure_ports *new = NULL;
    const struct measure_port *port;
    size_t n = 0, n_measured = 0;

    LIST_FOR_EACH (port, node, &ports) {
        if (port->dp == thread->dp && port_monitor(port)) {
            n = MAX(n, odp_to_u32(port->port_no) + 1);
            n_measured++;
        }
    }
    if (n) {
        new = xzalloc(sizeof *new + n * sizeof new->ports[0]
                      + n_measured * sizeof new->writers[0]);
        new->n = n;
        new->writers = (struct measure_writer **) &new->ports[n];
        LIST_FOR_EACH (port, node, &ports) {
            struct monitor *monitor = port_monitor(port);

            if (port->dp == thread->dp && monitor) {
                struct measure_port_writer *port_writer
                    = &new->ports[odp_to_u32(port->port_no)];
                bool is_new = !find_writer(monitor, thread);

                port_writer->writer = get_writer(monitor, thread);
                if (!is_new && !has_writer(old, port_writer->writer)
                    && !has_writer(new, port_writer->writer)) {
                    /* It has been left out for a while. */
                    forget_keys(port_writer->writer);
                }
                add_port_writer(new, port_writer->writer);
                port_writer->number = measure_port_number(&monitor->ports,
                                                          port->name);
            }
        }
    }
    if (ports_equal(old, new)) {
        free(new);
    } else {
        forget_keys_of_changed_ports(old, new);
        ovsrcu_set(&thread->perf->measure_ports, new);
        if (old) {
            ovsrcu_postpone(free, old);
        }
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

void
measure_thread_added(const void *dp, struct pmd_perf_stats *perf,
                     unsigned int core_id, int numa_id)
{
    struct measure_thread *thread = xzalloc(sizeof *thread);

    init();
    thread->dp = dp;
    thread->perf = perf;
    thread->core_id = core_id;
    thread->numa_id = numa_id == OVS_NUMA_UNSPEC ? MEASURE_ANY_NODE : numa_id;
    ovsrcu_init(&perf->measure_ports, NULL);
    perf->measure_port = NULL;

    ovs_mutex_lock(&measure_mutex);
    ovs_list_push_back(&threads, &thread->node);
    update_thread(thread);
    ovs_mutex_unlock(&measure_mutex);
}

static void
forget_port(struct measure_port *port)
    OVS_REQUIRES(measure_mutex)
{
    ovs_list_remove(&port->node);
    free(port->name);
    free(port);
}

static void
forget_ports(const void *dp)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_port *port;

    LIST_FOR_EACH_SAFE (port, node, &ports) {
        if (port->dp == dp) {
            forget_port(port);
        }
    }
}

void
measure_port_added(const void *dp, odp_port_t port_no, const char *name)
{
    struct measure_port *port;

    /* Numbers of ports are indexes here. */
    if (odp_to_u32(port_no) > UINT16_MAX) {
        VLOG_WARN("port %s: datapath port number %"PRIu32" is above %d, it "
                  "is not measured", name, odp_to_u32(port_no), UINT16_MAX);
        return;
    }

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH_SAFE (port, node, &ports) {
        if (port->dp == dp
            && (port->port_no == port_no || !strcmp(port->name, name))) {
            forget_port(port);
        }
    }
    port = xzalloc(sizeof *port);
    port->dp = dp;
    port->port_no = port_no;
    port->name = xstrdup(name);
    ovs_list_push_back(&ports, &port->node);
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
    struct measure_thread *thread;
    struct shash_node *node;

    ovs_mutex_lock(&measure_mutex);
    LIST_FOR_EACH (thread, node, &threads) {
        if (thread->perf == perf) {
            break;
        }
    }
    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor_writer *writer = find_writer(node->data, thread);

        if (writer) {
            writer->thread = NULL;
        }
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

    free(thread);
}

/* Adds the names of the datapath ports that 'monitor' measures to 'names'. */
void
measure_monitor_ports(const struct monitor *monitor, struct sset *names)
{
    const struct measure_port *port;

    LIST_FOR_EACH (port, node, &ports) {
        if (port_monitor(port) == monitor) {
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

/* Frees spare memory of 'monitor': what is more than an eighth of its memory,
 * and all of it if memory is short or measurement is off.  If memory is short
 * the newest report forgets its groupings, too. */
void
measure_monitor_trim(struct monitor *monitor, bool short_of_memory)
{
    const struct measure_history *history = &monitor->history;

    measure_memory_trim(&monitor->budget,
                        (short_of_memory || !monitor->running
                         ? 0 : measure_memory_limit(monitor) / 8));
    if (short_of_memory && history->n) {
        measure_report_forget_groupings(
            measure_history_newest(history)->report);
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

static void
stop_monitor(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    monitor->running = false;
    update_threads();
    measure_monitor_close_epoch(monitor);
    VLOG_INFO("%s: measurement is off", monitor->name);
}

/* What is not configured anew will be gone. */
static void
configure_begin(void)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        monitor->named = false;
    }
    SHASH_FOR_EACH (node, &port_configs) {
        struct port_config *port_config = node->data;

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
name_port(const char *bridge, const char *port)
    OVS_REQUIRES(measure_mutex)
{
    char *key = xasprintf("%s %s", bridge, port);
    struct port_config *port_config = shash_find_data(&port_configs, key);

    if (!port_config) {
        port_config = xzalloc(sizeof *port_config);
        port_config->bridge = xstrdup(bridge);
        port_config->port = xstrdup(port);
        port_config->valid_measure = true;
        shash_add(&port_configs, key, port_config);
    }
    free(key);
    if (!port_config->named) {
        port_config->named = true;
        port_config->measure = true;
    }
    return port_config;
}

/* Configures the bridge 'name'.  Its local port is measured, too, unless
 * configure_port() says otherwise. */
static void
configure_bridge(const char *name, const struct smap *config)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor *monitor = shash_find_data(&measure_monitors, name);

    if (!monitor) {
        if (!smap_get(config, measure_settings[0].name)) {
            return;
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

    name_port(name, name);
}

/* Configures an interface of 'bridge' whose name in the datapath is 'port'. */
static void
configure_port(const char *bridge, const char *port, const struct smap *config)
    OVS_REQUIRES(measure_mutex)
{
    const char *value = smap_get(config, "measure");
    struct port_config *port_config;

    if (!shash_find(&measure_monitors, bridge)) {
        return;
    }
    port_config = name_port(bridge, port);
    if (!value || !strcmp(value, "true") || !strcmp(value, "false")) {
        port_config->valid_measure = !value || value[0] == 't';
        free(port_config->rejected);
        port_config->rejected = NULL;
    } else if (!nullable_string_is_equal(port_config->rejected, value)) {
        VLOG_WARN("%s: port %s: Interface other_config:measure=%s is not "
                  "valid, the old setting stays; valid is true or false",
                  bridge, port, value);
        free(port_config->rejected);
        port_config->rejected = xstrdup(value);
    }
    port_config->measure &= port_config->valid_measure;
}

/* Decides which monitor measures each port. */
static void
configure_ports(void)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    shash_clear(&port_monitors);
    SHASH_FOR_EACH_SAFE (node, &port_configs) {
        struct port_config *config = node->data;

        if (!config->named) {
            free(config->bridge);
            free(config->port);
            free(config->rejected);
            free(config);
            shash_delete(&port_configs, node);
            continue;
        }

        struct monitor *monitor = shash_find_data(&measure_monitors,
                                                  config->bridge);
        struct monitor *other = shash_find_data(&port_monitors, config->port);

        if (monitor->config.enable && config->measure
            && (!other || strcmp(monitor->name, other->name) < 0)) {
            shash_replace(&port_monitors, config->port, monitor);
        }
    }
}

/* Puts the configuration into effect. */
static void
configure_end(void)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    configure_ports();
    SHASH_FOR_EACH_SAFE (node, &measure_monitors) {
        struct monitor *monitor = node->data;
        bool enable = monitor->named && monitor->config.enable;

        __atomic_store_n(&monitor->budget.limit,
                         measure_memory_limit(monitor), __ATOMIC_RELAXED);
        if (enable && !monitor->running) {
            start_monitor(monitor);
        } else if (!enable && monitor->running) {
            stop_monitor(monitor);
        } else if (enable && (monitor->config.key != monitor->by
                              || monitor->config.tiers != monitor->tiers
                              || (monitor->config.structure
                                  != monitor->structure))) {
            measure_monitor_close_epoch(monitor);
        }
        if (!monitor->named) {
            shash_delete(&measure_monitors, node);
            measure_control_destroy(monitor);
        }
    }
    update_threads();
    measure_control_wake();
}

/* Configures an interface of 'bridge'.  A tunnel port has another name in the
 * datapath, which is known once it exists. */
static void
configure_interface(const char *bridge, const struct ovsrec_interface *iface)
    OVS_REQUIRES(measure_mutex)
{
    struct netdev *netdev = netdev_from_name(iface->name);
    char namebuf[NETDEV_VPORT_NAME_BUFSIZE];

    configure_port(bridge, netdev
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

        configure_bridge(bridge->name, &bridge->other_config);
        for (size_t j = 0; j < bridge->n_ports; j++) {
            const struct ovsrec_port *port = bridge->ports[j];

            for (size_t k = 0; k < port->n_interfaces; k++) {
                configure_interface(bridge->name, port->interfaces[k]);
            }
        }
    }
    configure_end();
    ovs_mutex_unlock(&measure_mutex);
    configured = true;
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
