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
#include "dpdk.h"
#include "dpif-netdev-measure.h"
#include "flow.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-numa.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "random.h"
#include "seq.h"
#include "smap.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure);

/* Sizes of tables, in lines of 64 bytes.
 *
 * The first table of an epoch should stay in a cache of the core.  The next
 * one must last until the control thread has prepared another, even if each
 * packet is a new flow: 2^18 IPv4 flows last 50 ms at 5 Mpps. */
#define MIN_LINES 16
#define FIRST_LINES_IPV4 2048
#define FIRST_LINES_IPV6 256
#define NEXT_LINES (UINT32_C(1) << 18)
#define GROWTH 4

/* A PMD receives many more packets than the main thread. */
#define PMD_WEIGHT 8
#define MAIN_WEIGHT 1

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

/* Sets that an epoch closed, until they are merged. */
struct closing_epoch {
    struct ovs_list node;           /* In a monitor's 'closing'. */
    uint64_t number;
    enum measure_by by;
    long long int start_ms;
    long long int duration_ms;

    /* The set that each writer counted in.  The writers whose thread has ended
     * or whose monitor is off are in 'retired', too. */
    struct ovs_list retired;
    size_t n;
    struct measure_set **sets;
    struct monitor_writer **writers;
};

struct ovs_mutex measure_mutex = OVS_MUTEX_INITIALIZER;
struct shash measure_monitors OVS_GUARDED_BY(measure_mutex)
    = SHASH_INITIALIZER(&measure_monitors);

/* Monitors whose bridge is gone, until the control thread destroys them. */
static struct shash dying OVS_GUARDED_BY(measure_mutex)
    = SHASH_INITIALIZER(&dying);

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

static struct measure_hash_secret secret;
static struct seq *control_seq;     /* Wakes the control thread. */
static struct seq *report_seq;

static void *control_main(void *);

static void
init(void)
{
    static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;

    if (ovsthread_once_start(&once)) {
        uint64_t seed;

        random_bytes(&seed, sizeof seed);
        measure_hash_secret_init(&secret, seed);
        control_seq = seq_create();
        report_seq = seq_create();
        measure_commands_init();
        ovsthread_once_done(&once);
    }
}

struct seq *
measure_report_seq(void)
{
    return report_seq;
}

/* Starts the control thread when the first monitor is switched on. */
static void
start_control_thread(void)
{
    static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;

    if (ovsthread_once_start(&once)) {
        ovs_thread_create("measure", control_main, NULL);
        ovsthread_once_done(&once);
    }
}

/* Sizes. */

static uint64_t
memory_limit(const struct monitor *monitor)
{
    return (uint64_t) monitor->config.memory_mb * 1024 * 1024;
}

static unsigned int
writer_weight(const struct monitor_writer *writer)
{
    return writer->core_id == NON_PMD_CORE_ID ? MAIN_WEIGHT : PMD_WEIGHT;
}

/* What 'writer' may take for the beginning of an epoch. */
static uint64_t
writer_limit(const struct monitor *monitor,
             const struct monitor_writer *writer)
{
    const struct monitor_writer *other;
    unsigned int sum = 0;

    LIST_FOR_EACH (other, node, &monitor->writers) {
        sum += writer_weight(other);
    }
    return memory_limit(monitor) / 4 * writer_weight(writer) / MAX(sum, 1);
}

/* Returns at least 'lines', if 'limit' bytes allow, as a power of 2: then a
 * table often fits the next epoch, too. */
static uint32_t
choose_lines(uint64_t lines, uint64_t limit)
{
    lines = MIN(lines * 2 - 1, limit / MEASURE_LINE_SIZE);
    lines = MIN(MAX(lines, MIN_LINES), MEASURE_TABLE_MAX_LINES);
    return 1u << log_2_floor(lines);
}

/* Makes 'set' ready for an epoch in which 'writer' sees about as many flows as
 * before, within 'limit' bytes: three quarters for IPv4. */
static void
prepare_set(struct measure_set *set, const struct monitor_writer *writer,
            uint64_t limit)
{
    static const uint32_t least[MEASURE_N_FAMILIES] = {
        [MEASURE_IPV4] = FIRST_LINES_IPV4,
        [MEASURE_IPV6] = FIRST_LINES_IPV6,
    };
    const uint64_t limits[MEASURE_N_FAMILIES] = {
        [MEASURE_IPV4] = limit * 3 / 8,
        [MEASURE_IPV6] = limit / 8,
    };
    uint32_t n_lines[MEASURE_N_FAMILIES];
    uint32_t next_lines[MEASURE_N_FAMILIES];

    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        uint32_t expected = measure_table_lines_for(
            family, writer->n_flows[family] * 5 / 4);

        n_lines[family] = choose_lines(
            MAX(expected, choose_lines(least[family], limit / 16)),
            limits[family]);
        next_lines[family] = MAX(MIN(MAX((uint64_t) n_lines[family] * GROWTH,
                                         NEXT_LINES),
                                     limits[family] / MEASURE_LINE_SIZE),
                                 MIN_LINES);
    }
    if (!measure_set_reset(set, n_lines, next_lines)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_WARN_RL(&rl, "no memory for measurement tables of %"PRIu32
                     " and %"PRIu32" lines: counts will not be exact",
                     n_lines[MEASURE_IPV4], n_lines[MEASURE_IPV6]);
    }
}

static struct measure_set *
create_set(struct monitor *monitor, const struct monitor_writer *writer)
{
    struct measure_set *set = measure_set_create(&secret, &monitor->budget,
                                                 writer->numa_id);
    uint64_t limit = memory_limit(monitor);
    uint64_t used = measure_budget_used(&monitor->budget);

    prepare_set(set, writer, MIN(writer_limit(monitor, writer),
                                 limit > used ? (limit - used) / 2 : 0));
    return set;
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

static struct monitor_writer *
get_writer(struct monitor *monitor, const struct measure_thread *thread)
{
    struct monitor_writer *writer = find_writer(monitor, thread);

    if (!writer) {
        writer = xzalloc(sizeof *writer);
        writer->thread = thread;
        writer->core_id = thread->core_id;
        writer->numa_id = thread->numa_id;
        ovs_list_push_back(&monitor->writers, &writer->node);
        writer->idle = create_set(monitor, writer);

        struct measure_set *set = create_set(monitor, writer);
        measure_set_begin(set, monitor->by);
        measure_writer_swap(&writer->writer, set);
    }
    return writer;
}

static bool
ports_equal(const struct measure_ports *a, const struct measure_ports *b)
{
    return (a && b
            ? a->n == b->n && !memcmp(a->writers, b->writers,
                                      a->n * sizeof a->writers[0])
            : a == b);
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
    size_t n = 0;

    LIST_FOR_EACH (port, node, &ports) {
        if (port->dp == thread->dp && port_monitor(port)) {
            n = MAX(n, odp_to_u32(port->port_no) + 1);
        }
    }
    if (n) {
        new = xzalloc(sizeof *new + n * sizeof new->writers[0]);
        new->n = n;
        LIST_FOR_EACH (port, node, &ports) {
            struct monitor *monitor = port_monitor(port);

            if (port->dp == thread->dp && monitor) {
                new->writers[odp_to_u32(port->port_no)]
                    = &get_writer(monitor, thread)->writer;
            }
        }
    }
    if (ports_equal(old, new)) {
        free(new);
    } else {
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

/* Epochs. */

static void
begin_epoch(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    monitor->epoch++;
    monitor->by = monitor->config.key;
    monitor->start = time_msec();
    monitor->start_ms = time_wall_msec();
}

/* Closes the running epoch of 'monitor', and begins the next one unless the
 * monitor is not running any more.  Returns the number of the closed epoch.
 * Its report follows: measure_report_seq() changes then. */
uint64_t
measure_monitor_close_epoch(struct monitor *monitor)
{
    size_t n = ovs_list_size(&monitor->writers);
    struct closing_epoch *closing = xzalloc(sizeof *closing);
    struct monitor_writer *writer;

    closing->number = monitor->epoch;
    closing->by = monitor->by;
    closing->start_ms = monitor->start_ms;
    closing->duration_ms = time_msec() - monitor->start;
    closing->sets = xmalloc(n * sizeof *closing->sets);
    closing->writers = xmalloc(n * sizeof *closing->writers);
    ovs_list_init(&closing->retired);

    if (monitor->running) {
        begin_epoch(monitor);
    }
    LIST_FOR_EACH_SAFE (writer, node, &monitor->writers) {
        struct measure_set *old = measure_writer_set(&writer->writer);

        if (!monitor->running || !writer->thread) {
            ovs_list_remove(&writer->node);
            ovs_list_push_back(&closing->retired, &writer->node);
        } else {
            struct measure_set *new = writer->idle;

            /* Without an idle set the last epoch is still being merged. */
            if (!new) {
                new = create_set(monitor, writer);
            }
            writer->idle = NULL;
            measure_set_begin(new, monitor->by);
            measure_writer_swap(&writer->writer, new);
        }
        closing->sets[closing->n] = old;
        closing->writers[closing->n++] = writer;
    }
    ovs_list_push_back(&monitor->closing, &closing->node);
    seq_change(control_seq);
    return closing->number;
}

/* Sums up all that 'monitor' counted since its bridge has it, the running
 * epoch included. */
void
measure_monitor_sum(const struct monitor *monitor,
                    struct measure_counters *sum)
{
    const struct closing_epoch *closing;
    const struct monitor_writer *writer;
    struct measure_load load;

    *sum = monitor->closed;
    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            measure_set_load(closing->sets[i], &load);
            measure_counters_add(sum, &load.counters);
        }
    }
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        measure_set_load(measure_writer_set(&writer->writer), &load);
        measure_counters_add(sum, &load.counters);
    }
}

/* Configuration. */

static void
start_monitor(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    start_control_thread();
    monitor->running = true;
    begin_epoch(monitor);
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

/* Begins to tell the configuration of all bridges. */
void
measure_configure_begin(void)
{
    struct shash_node *node;

    init();
    ovs_mutex_lock(&measure_mutex);
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

/* Tells the configuration of bridge 'name'.  Its local port is measured, too,
 * unless measure_configure_port() says otherwise. */
void
measure_configure_bridge(const char *name, const struct smap *config)
{
    struct monitor *monitor = shash_find_data(&measure_monitors, name);

    if (!monitor) {
        if (!smap_get(config, measure_settings[0].name)) {
            return;
        }
        monitor = xzalloc(sizeof *monitor);
        monitor->name = xstrdup(name);
        measure_config_init(&monitor->config);
        ovs_list_init(&monitor->writers);
        ovs_list_init(&monitor->closing);
        shash_add(&measure_monitors, name, monitor);
    }
    monitor->named = true;
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        configure_setting(monitor, i,
                          smap_get(config, measure_settings[i].name));
    }

    name_port(name, name);
}

/* Tells the configuration of an interface of 'bridge' whose name in the
 * datapath is 'port'. */
void
measure_configure_port(const char *bridge, const char *port,
                       const struct smap *config)
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

/* All is told: puts it into effect. */
void
measure_configure_end(void)
{
    struct shash_node *node;

    configure_ports();
    SHASH_FOR_EACH_SAFE (node, &measure_monitors) {
        struct monitor *monitor = node->data;
        bool enable = monitor->named && monitor->config.enable;

        if (enable && !monitor->running) {
            start_monitor(monitor);
        } else if (!enable && monitor->running) {
            stop_monitor(monitor);
        } else if (enable && monitor->config.key != monitor->by) {
            measure_monitor_close_epoch(monitor);
        }
        if (!monitor->named) {
            shash_delete(&measure_monitors, node);
            shash_add(&dying, monitor->name, monitor);
        }
    }
    update_threads();
    seq_change(control_seq);
    ovs_mutex_unlock(&measure_mutex);
}

void
measure_run(void)
{
    measure_commands_run();
}

void
measure_wait(void)
{
    measure_commands_wait();
}

/* The control thread. */

static void
destroy_monitor(struct monitor *monitor)
{
    measure_report_destroy(monitor->report);
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        free(monitor->rejected[i]);
    }
    free(monitor->name);
    free(monitor);
}

static void
destroy_dying(void)
{
    struct shash_node *node;

    ovs_mutex_lock(&measure_mutex);
    SHASH_FOR_EACH_SAFE (node, &dying) {
        struct monitor *monitor = node->data;

        if (ovs_list_is_empty(&monitor->closing)) {
            shash_delete(&dying, node);
            destroy_monitor(monitor);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

static void
expect_flows(struct monitor_writer *writer, const struct measure_set *set)
{
    struct measure_load load;

    measure_set_load(set, &load);
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        writer->n_flows[family] = MAX(load.n_used[family],
                                      writer->n_flows[family] * 7 / 8);
    }
}

/* Merges 'closing', whose sets no packet thread uses any more, publishes the
 * report, and makes the sets ready for another epoch. */
static void
finish_epoch(struct monitor *monitor, struct closing_epoch *closing)
{
    struct measure_report *report
        = measure_report_merge(closing->sets, closing->n, closing->by,
                               &secret, &monitor->budget);
    struct monitor_writer *writer;

    report->number = closing->number;
    report->start_ms = closing->start_ms;
    report->duration_ms = closing->duration_ms;

    ovs_mutex_lock(&measure_mutex);
    struct measure_report *old = monitor->report;
    monitor->report = report;
    measure_counters_add(&monitor->closed, &report->counters);
    ovs_list_remove(&closing->node);
    ovs_mutex_unlock(&measure_mutex);

    seq_change(report_seq);
    measure_report_destroy(old);

    LIST_FOR_EACH_POP (writer, node, &closing->retired) {
        for (size_t i = 0; i < closing->n; i++) {
            if (closing->writers[i] == writer) {
                closing->writers[i] = NULL;
            }
        }
        measure_set_destroy(writer->idle);
        free(writer);
    }
    for (size_t i = 0; i < closing->n; i++) {
        struct measure_set *set = closing->sets[i];

        writer = closing->writers[i];
        if (!writer) {
            measure_set_destroy(set);
            continue;
        }
        ovs_mutex_lock(&measure_mutex);
        uint64_t limit = writer_limit(monitor, writer);
        ovs_mutex_unlock(&measure_mutex);

        expect_flows(writer, set);
        prepare_set(set, writer, limit);

        ovs_mutex_lock(&measure_mutex);
        if (!writer->idle) {
            writer->idle = set;
            set = NULL;
        }
        ovs_mutex_unlock(&measure_mutex);
        measure_set_destroy(set);
    }
    free(closing->sets);
    free(closing->writers);
    free(closing);
}

/* Returns true if the packet thread has begun the last table of 'family', or
 * is about to. */
static bool
needs_table(const struct measure_load *load, enum measure_family family)
{
    return (!load->n_unused[family]
            || (load->n_unused[family] == 1
                && load->current_used[family] > load->max_used[family] / 2));
}

/* Gives 'set' another table if it will need one soon, out of half of the
 * '*left' bytes, and takes its size off those. */
static void
grow_set(struct measure_set *set, uint64_t *left)
{
    struct measure_load load;

    measure_set_load(set, &load);
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        uint64_t want = MAX((uint64_t) load.n_lines[family] * GROWTH,
                            NEXT_LINES);
        uint32_t lines = MIN(MIN(want, *left / 2 / MEASURE_LINE_SIZE),
                             MEASURE_TABLE_MAX_LINES);

        if (needs_table(&load, family) && lines >= MIN_LINES
            && measure_set_add_table(set, family, lines)) {
            *left -= measure_table_size(lines);
        }
    }
}

/* Prepares tables for the writers of 'monitor' that may need one soon.  Large
 * memory is prepared without the lock: the sets stay, for only this thread
 * destroys sets. */
static void
grow_monitor(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    size_t n = ovs_list_size(&monitor->writers);
    struct measure_set **sets = xmalloc(n * sizeof *sets);
    uint64_t used = measure_budget_used(&monitor->budget);
    struct monitor_writer *writer;

    n = 0;
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        struct measure_set *set = measure_writer_set(&writer->writer);
        struct measure_load load;

        measure_set_load(set, &load);
        used += load.table_bytes;
        if (writer->thread && (needs_table(&load, MEASURE_IPV4)
                               || needs_table(&load, MEASURE_IPV6))) {
            sets[n++] = set;
        }
    }
    if (n) {
        /* A table may need its size again in the report. */
        uint64_t limit = memory_limit(monitor);
        uint64_t left = limit > used ? (limit - used) / 2 : 0;

        ovs_mutex_unlock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            grow_set(sets[i], &left);
        }
        ovs_mutex_lock(&measure_mutex);
    }
    free(sets);
}

/* Closes the epochs of all monitors that are due, and returns when the next
 * one is. */
static long long int
close_due_epochs(void)
    OVS_REQUIRES(measure_mutex)
{
    long long int next = LLONG_MAX;
    struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->running) {
            if (time_msec() >= monitor->start + monitor->config.epoch_ms) {
                measure_monitor_close_epoch(monitor);
            }
            next = MIN(next, monitor->start + monitor->config.epoch_ms);
        }
    }
    return next;
}

static void
grow_monitors(void)
    OVS_REQUIRES(measure_mutex)
{
    /* grow_monitor() lets go of the lock: collect the monitors first.  They
     * stay, for only this thread destroys monitors. */
    size_t n = shash_count(&measure_monitors);
    struct monitor **monitors = xmalloc(n * sizeof *monitors);
    struct shash_node *node;

    n = 0;
    SHASH_FOR_EACH (node, &measure_monitors) {
        monitors[n++] = node->data;
    }
    for (size_t i = 0; i < n; i++) {
        grow_monitor(monitors[i]);
    }
    free(monitors);
}

/* Returns the oldest closing epoch of any monitor in 'monitors', or NULL. */
static struct closing_epoch *
first_closing(const struct shash *monitors, struct monitor **monitorp)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, monitors) {
        struct monitor *monitor = node->data;

        if (!ovs_list_is_empty(&monitor->closing)) {
            *monitorp = monitor;
            return CONTAINER_OF(ovs_list_front(&monitor->closing),
                                struct closing_epoch, node);
        }
    }
    return NULL;
}

static void *
control_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(control_seq);
        struct closing_epoch *closing;
        struct monitor *monitor;
        long long int next;

        ovs_mutex_lock(&measure_mutex);
        next = close_due_epochs();
        grow_monitors();
        closing = first_closing(&measure_monitors, &monitor);
        if (!closing) {
            closing = first_closing(&dying, &monitor);
        }
        ovs_mutex_unlock(&measure_mutex);

        if (closing) {
            ovsrcu_synchronize();
            finish_epoch(monitor, closing);
            continue;
        }
        destroy_dying();

        seq_wait(control_seq, seq);
        if (next != LLONG_MAX) {
            poll_timer_wait_until(MIN(next, time_msec() + MEASURE_TICK_MS));
        }
        poll_block();
    }
    OVS_NOT_REACHED();
}
