/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of datapaths, and who measures them. */

#include <config.h>

#include "measure-port-table.h"

#include "dpif-netdev-measure.h"
#include "flow.h"
#include "hash.h"
#include "measure-threads.h"
#include "openvswitch/vlog.h"
#include "seq.h"
#include "smap.h"
#include "sset.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_port_table);

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

/* The ports of all datapaths, by number and by name. */
static struct hmap ports OVS_GUARDED_BY(measure_mutex)
    = HMAP_INITIALIZER(&ports);
static struct hmap ports_by_name OVS_GUARDED_BY(measure_mutex)
    = HMAP_INITIALIZER(&ports_by_name);

/* By the name of the port. */
static struct hmap port_configs OVS_GUARDED_BY(measure_mutex)
    = HMAP_INITIALIZER(&port_configs);

/* Ports as configured. */

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

/* Has 'monitor' measure the port that is called 'port' in the datapath, unless
 * measure_port_configure() says otherwise. */
void
measure_port_config_add(struct monitor *monitor, const char *port)
{
    name_port(monitor, port);
}

/* Configures an interface of 'monitor' whose name in the datapath is
 * 'port'. */
void
measure_port_configure(struct monitor *monitor, const char *port,
                       const struct smap *config)
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

/* What is not configured anew will be gone. */
void
measure_port_configs_begin(void)
{
    struct port_config *config;

    HMAP_FOR_EACH (config, node, &port_configs) {
        config->named = false;
    }
}

/* Forgets the ports that are not there any more.  The last valid settings of a
 * bridge that is not measured now stay. */
void
measure_port_configs_forget(void)
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

/* Ports of datapaths. */

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
    seq_change(measure_stream_seq);
}

/* Has each thread count what it receives from 'port' for the monitor that
 * measures it, if any.  measure_threads_update() must follow. */
static void
update_port(const struct measure_port *port)
    OVS_REQUIRES(measure_mutex)
{
    measure_threads_count_port(port->dp, odp_to_u32(port->port_no),
                               port->monitor, port->number);
}

/* Has 'monitor', or nobody if it is NULL, measure 'port'.
 * measure_threads_update() must follow. */
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
measure_ports_number(struct monitor *monitor)
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
    measure_threads_update();
}

/* Adds to 'new' the threads that are missing for 'monitor', or nobody if it is
 * NULL, to measure 'port'. */
static void
need_threads(const struct measure_port *port, struct monitor *monitor,
             struct ovs_list *new)
    OVS_REQUIRES(measure_mutex)
{
    if (monitor && monitor != port->monitor) {
        measure_threads_need_all(monitor, port->dp, new);
    }
}

/* Brings all ports in line with the configuration. */
void
measure_port_table_update(void)
{
    struct ovs_list new = OVS_LIST_INITIALIZER(&new);
    struct measure_port *port;

    HMAP_FOR_EACH (port, number_node, &ports) {
        need_threads(port, port_monitor(port->name), &new);
    }
    measure_threads_add(&new);
    HMAP_FOR_EACH (port, number_node, &ports) {
        measure_port_by(port, port_monitor(port->name));
    }
    measure_threads_update();
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
    need_threads(port, port_monitor(name), &new);
    measure_threads_add(&new);
    measure_port_by(port, port_monitor(name));
    measure_threads_update();
    ovs_mutex_unlock(&measure_mutex);
}

void
measure_thread_added(const void *dp, struct pmd_perf_stats *perf,
                     unsigned int core_id, int numa_id)
{
    struct ovs_list new = OVS_LIST_INITIALIZER(&new);
    struct datapath_thread *dp_thread;
    const struct measure_port *port;

    measure_init();
    dp_thread = measure_datapath_thread_create(dp, perf, core_id, numa_id);

    ovs_mutex_lock(&measure_mutex);
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->dp == dp && port->monitor) {
            measure_threads_need(port->monitor, dp_thread, &new);
        }
    }
    measure_threads_add(&new);
    /* Not before: others can change the ports of threads that are in there. */
    measure_datapath_thread_insert(dp_thread);
    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->dp == dp && port->monitor) {
            measure_datapath_thread_count_port(dp_thread,
                                               odp_to_u32(port->port_no),
                                               port->monitor, port->number);
        }
    }
    measure_datapath_thread_update(dp_thread);
    ovs_mutex_unlock(&measure_mutex);
}

void
measure_thread_removed(struct pmd_perf_stats *perf)
{
    const void *dp;

    ovs_mutex_lock(&measure_mutex);
    dp = measure_datapath_thread_remove(perf);
    if (dp) {
        forget_ports(dp);
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Adds the names of the datapath ports that 'monitor' measures to 'names'. */
void
measure_ports_names(const struct monitor *monitor, struct sset *names)
{
    const struct measure_port *port;

    HMAP_FOR_EACH (port, number_node, &ports) {
        if (port->monitor == monitor) {
            sset_add(names, port->name);
        }
    }
}
