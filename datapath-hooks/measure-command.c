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
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "seq.h"
#include "svec.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* The ovs-appctl commands measure/...
 * ===================================
 *
 * All take the arguments '[bridge] [NAME=VALUE]...' in any order.  Without a
 * bridge the answer covers every bridge that has a monitor.
 *
 * Thread safety: main thread only. */

/* The arguments of a command. */
struct arguments {
    const char *bridge;             /* NULL for all. */
    enum measure_format format;
    enum measure_by by;
    bool by_given;
    enum measure_sort sort;
    uint64_t n;
    bool n_given;
};

enum argument {
    ARGUMENT_FORMAT = 1 << 0,
    ARGUMENT_BY = 1 << 1,
    ARGUMENT_SORT = 1 << 2,
    ARGUMENT_N = 1 << 3,
};

static const struct {
    enum argument argument;
    const char *prefix;
    const char *valid;
} argument_infos[] = {
    { ARGUMENT_BY, "by=", "by=flow, by=pair, by=source or by=destination" },
    { ARGUMENT_SORT, "sort=", "sort=packets or sort=bytes" },
    { ARGUMENT_N, "n=", "n=N with a whole number from 0 (all)" },
    { ARGUMENT_FORMAT, "format=", "format=text or format=json" },
};

/* A command that waits for reports. */
struct waiting {
    struct ovs_list node;
    struct unixctl_conn *conn;
    struct shash epochs;            /* Bridge name to uint64_t: its epoch. */
};

static struct ovs_list all_waiting = OVS_LIST_INITIALIZER(&all_waiting);

/* Arguments. */

static bool
parse_argument(enum argument argument, const char *value,
               struct arguments *args)
{
    switch (argument) {
    case ARGUMENT_FORMAT:
        args->format = !strcmp(value, "json") ? MEASURE_JSON : MEASURE_TEXT;
        return !strcmp(value, "json") || !strcmp(value, "text");

    case ARGUMENT_BY:
        args->by_given = true;
        return measure_by_from_name(value, &args->by);

    case ARGUMENT_SORT:
        args->sort = (!strcmp(value, "bytes")
                      ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS);
        return !strcmp(value, "bytes") || !strcmp(value, "packets");

    case ARGUMENT_N:
        args->n_given = true;
        return measure_parse_number(value, 0, UINT64_MAX, &args->n);
    }
    OVS_NOT_REACHED();
}

/* Parses the arguments of a command that takes 'allowed', an OR of
 * ARGUMENT_*.  Returns NULL if all is well, else an error message, which the
 * caller must free(). */
static char *
parse_arguments(int argc, const char *argv[], unsigned int allowed,
                struct arguments *args)
{
    memset(args, 0, sizeof *args);
    for (int i = 1; i < argc; i++) {
        struct ds valid = DS_EMPTY_INITIALIZER;
        bool matched = false;

        for (size_t j = 0; j < ARRAY_SIZE(argument_infos); j++) {
            const char *prefix = argument_infos[j].prefix;

            if (!(argument_infos[j].argument & allowed)) {
                continue;
            }
            if (!strncmp(argv[i], prefix, strlen(prefix))) {
                if (!parse_argument(argument_infos[j].argument,
                                    argv[i] + strlen(prefix), args)) {
                    ds_destroy(&valid);
                    return xasprintf("%s: valid is %s", argv[i],
                                     argument_infos[j].valid);
                }
                matched = true;
            }
            ds_put_format(&valid, ", %s", argument_infos[j].valid);
        }
        if (!matched && (strchr(argv[i], '=') || args->bridge)) {
            char *error = xasprintf("%s: unknown argument; valid is one "
                                    "bridge%s", argv[i], ds_cstr(&valid));
            ds_destroy(&valid);
            return error;
        }
        ds_destroy(&valid);
        if (!matched) {
            args->bridge = argv[i];
        }
    }
    return NULL;
}

/* Returns the monitors that 'args' mean, sorted by name, in an array of '*n'
 * elements that the caller must free.  Returns NULL with '*error' set if the
 * bridge has none. */
static const struct shash_node **
find_monitors(const struct arguments *args, size_t *n, char **error)
    OVS_REQUIRES(measure_mutex)
{
    const struct shash_node **nodes = shash_sort(&measure_monitors);

    *n = shash_count(&measure_monitors);
    *error = NULL;
    if (args->bridge) {
        const struct shash_node *node = shash_find(&measure_monitors,
                                                   args->bridge);

        if (node) {
            nodes[0] = node;
            *n = 1;
        } else {
            struct ds known = DS_EMPTY_INITIALIZER;

            for (size_t i = 0; i < *n; i++) {
                ds_put_format(&known, "%s%s", i ? ", " : "", nodes[i]->name);
            }
            *error = xasprintf(
                "%s: no such bridge, or it has never been measured (measured: "
                "%s); 'ovs-vsctl set Bridge %s other_config:measure=true' "
                "switches measurement on", args->bridge,
                known.length ? ds_cstr(&known) : "none", args->bridge);
            ds_destroy(&known);
            free(nodes);
            return NULL;
        }
    }
    return nodes;
}

static void
reply_error(struct unixctl_conn *conn, char *error)
{
    unixctl_command_reply_error(conn, error);
    free(error);
}

/* Answers 'conn' with what 'write' writes about each monitor that the
 * arguments mean.  'write' returns NULL or an error message.
 *
 * It runs without the lock: monitors come and go in this thread, and the
 * packet threads' tables must grow meanwhile. */
static void
answer(struct unixctl_conn *conn, const struct arguments *args,
       char *(*write)(struct measure_output *, const struct monitor *,
                      const struct arguments *))
{
    struct measure_output *o = measure_output_create(args->format);
    char *error;
    size_t n;

    if (args->format == MEASURE_JSON) {
        measure_output_uint(o, "schema-version", 1);
    }
    ovs_mutex_lock(&measure_mutex);
    const struct shash_node **nodes = find_monitors(args, &n, &error);
    ovs_mutex_unlock(&measure_mutex);
    for (size_t i = 0; !error && i < n; i++) {
        measure_output_open_object(o, nodes[i]->name);
        error = write(o, nodes[i]->data, args);
        measure_output_close(o);
    }
    if (!error && !n) {
        measure_output_note(o, "No bridge is measured; 'ovs-vsctl set Bridge "
                            "BRIDGE other_config:measure=true' switches "
                            "measurement on.");
    }
    free(nodes);

    char *text = measure_output_finish(o);
    if (error) {
        reply_error(conn, error);
    } else {
        unixctl_command_reply(conn, text);
    }
    free(text);
}

/* measure/heavy-hitters */

static char *
write_heavy_hitters(struct measure_output *o, const struct monitor *monitor,
                    const struct arguments *args)
{
    const struct measure_report *report
        = ovsrcu_get(struct measure_report *, &monitor->report);

    if (!report) {
        measure_output_note(o, "No epoch has been closed yet.");
        return NULL;
    }

    struct measure_question question = {
        .by = args->by_given ? args->by : report->by,
        .sort = args->sort,
        .heavy_only = !args->n_given,
        .n = args->n,
        .threshold = monitor->config.heavy_hitter,
    };

    if (!measure_by_derives(report->by, question.by)) {
        return xasprintf("%s: by=%s needs more than epoch %"PRIu64" counted: "
                         "it ran with measure-key=%s", monitor->name,
                         measure_by_name(question.by), report->number,
                         measure_by_name(report->by));
    }
    if (!measure_report_write(o, report, &question,
                              monitor->config.heavy_hitter_text)) {
        return xasprintf("%s: no memory for the answer", monitor->name);
    }
    return NULL;
}

static void
heavy_hitters(struct unixctl_conn *conn, int argc, const char *argv[],
              void *aux OVS_UNUSED)
{
    struct arguments args;
    char *error = parse_arguments(argc, argv, (ARGUMENT_BY | ARGUMENT_SORT
                                               | ARGUMENT_N
                                               | ARGUMENT_FORMAT), &args);

    if (error) {
        reply_error(conn, error);
    } else {
        answer(conn, &args, write_heavy_hitters);
    }
}

/* measure/status */

static void
write_tables(struct measure_output *o, const char *name,
             enum measure_family family, const struct measure_load *load)
{
    measure_output_open_line(o, name);
    measure_output_uint(o, "flows", load->n_used[family]);
    measure_output_uint(o, "tables", load->n_tables[family]);
    measure_output_uint(o, "current-rows", (load->n_lines[family]
                                            * measure_rows_per_line(family)));
    measure_output_percentage(o, "current-load-percentage",
                              load->current_used[family],
                              (load->n_lines[family]
                               * measure_rows_per_line(family)));
    measure_output_uint(o, "reserve-tables", load->n_unused[family]);
    measure_output_close(o);
}

static void
write_writer(struct measure_output *o, const struct monitor_writer *writer)
    OVS_REQUIRES(measure_mutex)
{
    bool main_thread = writer->core_id == NON_PMD_CORE_ID;
    struct measure_load load;
    char *title;

    title = (main_thread
             ? xstrdup("main thread")
             : xasprintf("pmd thread numa_id %d core_id %u%s",
                         writer->numa_id, writer->core_id,
                         writer->thread ? "" : " (ended)"));
    measure_output_open_block(o, title);
    free(title);

    if (!main_thread && !measure_output_is_text(o)) {
        measure_output_uint(o, "numa-id", MAX(writer->numa_id, 0));
        measure_output_uint(o, "core-id", writer->core_id);
    }
    measure_set_load(measure_writer_set(&writer->writer), &load);
    measure_counters_write(o, &load.counters, true);
    write_tables(o, "ipv4", MEASURE_IPV4, &load);
    write_tables(o, "ipv6", MEASURE_IPV6, &load);
    measure_output_close(o);
}

static char *
write_status(struct measure_output *o, const struct monitor *monitor,
             const struct arguments *args OVS_UNUSED)
{
    struct sset names = SSET_INITIALIZER(&names);
    struct measure_counters sum;

    ovs_mutex_lock(&measure_mutex);
    measure_output_string(o, "state", monitor->running ? "on" : "off");
    measure_output_string(o, "key", measure_by_name(monitor->config.key));
    measure_output_string(o, "heavy-hitter",
                          monitor->config.heavy_hitter_text);
    measure_output_open_line(o, "epoch");
    measure_output_uint(o, "number", monitor->epoch);
    measure_output_time_ms(o, "start-ms", monitor->start_ms);
    if (monitor->running) {
        measure_output_uint(o, "running-ms", time_msec() - monitor->start);
    }
    measure_output_uint(o, "length-ms", monitor->config.epoch_ms);
    measure_output_close(o);
    measure_output_open_line(o, "memory");
    measure_output_uint(o, "used-bytes",
                        measure_budget_used(&monitor->budget));
    measure_output_uint(o, "limit-bytes", ((uint64_t) 1024 * 1024
                                           * monitor->config.memory_mb));
    measure_output_close(o);

    measure_output_note(o, "Since measurement was first switched on:");
    measure_monitor_sum(monitor, &sum);
    measure_counters_write(o, &sum, true);

    measure_monitor_ports(monitor, &names);
    const char **sorted = sset_sort(&names);
    measure_output_open_list(o, "ports");
    for (size_t i = 0; i < sset_count(&names); i++) {
        measure_output_open_row(o);
        measure_output_string(o, "name", sorted[i]);
        measure_output_close(o);
    }
    measure_output_close(o);
    if (sset_is_empty(&names)) {
        measure_output_note(o, "No port of this bridge is in the userspace "
                            "datapath (datapath_type=netdev).");
    }
    free(sorted);
    sset_destroy(&names);

    const struct monitor_writer *writer;
    measure_output_note(o, "The running epoch:");
    measure_output_open_list(o, "pmds");
    LIST_FOR_EACH (writer, node, &monitor->writers) {
        write_writer(o, writer);
    }
    measure_output_close(o);
    ovs_mutex_unlock(&measure_mutex);
    return NULL;
}

static void
status(struct unixctl_conn *conn, int argc, const char *argv[],
       void *aux OVS_UNUSED)
{
    struct arguments args;
    char *error = parse_arguments(argc, argv, ARGUMENT_FORMAT, &args);

    if (error) {
        reply_error(conn, error);
    } else {
        answer(conn, &args, write_status);
    }
}

/* measure/close-epoch */

static void
close_epoch(struct unixctl_conn *conn, int argc, const char *argv[],
            void *aux OVS_UNUSED)
{
    struct arguments args;
    char *error = parse_arguments(argc, argv, 0, &args);
    size_t n;

    if (error) {
        reply_error(conn, error);
        return;
    }

    ovs_mutex_lock(&measure_mutex);
    const struct shash_node **nodes = find_monitors(&args, &n, &error);
    struct waiting *waiting = xzalloc(sizeof *waiting);
    waiting->conn = conn;
    shash_init(&waiting->epochs);
    for (size_t i = 0; !error && i < n; i++) {
        struct monitor *monitor = nodes[i]->data;

        if (monitor->running) {
            uint64_t number = measure_monitor_close_epoch(monitor);

            shash_add(&waiting->epochs, monitor->name,
                      xmemdup(&number, sizeof number));
        } else if (args.bridge) {
            error = xasprintf("%s: measurement is off", monitor->name);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
    free(nodes);

    if (!error && shash_is_empty(&waiting->epochs)) {
        error = xstrdup("measurement is off on all bridges");
    }
    if (error) {
        reply_error(conn, error);
        shash_destroy_free_data(&waiting->epochs);
        free(waiting);
    } else {
        ovs_list_push_back(&all_waiting, &waiting->node);
    }
}

/* Returns true if the reports that 'waiting' waits for are there, or their
 * bridges gone.  A monitor that has not come as far as the epoch is a new one,
 * of a bridge that was deleted and made again. */
static bool
is_ready(const struct waiting *waiting)
    OVS_REQUIRES(measure_mutex)
{
    const struct shash_node *node;

    SHASH_FOR_EACH (node, &waiting->epochs) {
        const struct monitor *monitor = shash_find_data(&measure_monitors,
                                                        node->name);
        const uint64_t *number = node->data;
        const struct measure_report *report
            = monitor ? ovsrcu_get(struct measure_report *, &monitor->report)
              : NULL;

        if (monitor && monitor->epoch > *number
            && (!report || report->number < *number)) {
            return false;
        }
    }
    return true;
}

static void
reply_closed(struct waiting *waiting)
{
    const struct shash_node **nodes = shash_sort(&waiting->epochs);
    struct ds reply = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < shash_count(&waiting->epochs); i++) {
        const uint64_t *number = nodes[i]->data;

        ds_put_format(&reply, "%s: closed epoch %"PRIu64"\n", nodes[i]->name,
                      *number);
    }
    unixctl_command_reply(waiting->conn, ds_cstr(&reply));
    ds_destroy(&reply);
    free(nodes);
}

void
measure_commands_run(void)
{
    struct waiting *waiting;

    LIST_FOR_EACH_SAFE (waiting, node, &all_waiting) {
        ovs_mutex_lock(&measure_mutex);
        bool ready = is_ready(waiting);
        ovs_mutex_unlock(&measure_mutex);

        if (ready) {
            reply_closed(waiting);
            ovs_list_remove(&waiting->node);
            shash_destroy_free_data(&waiting->epochs);
            free(waiting);
        }
    }
}

void
measure_commands_wait(void)
{
    static uint64_t seen;

    if (!ovs_list_is_empty(&all_waiting)) {
        struct seq *seq = measure_report_seq();
        uint64_t now = seq_read(seq);

        /* What came since the last look may be what somebody waits for. */
        if (now != seen) {
            seen = now;
            poll_immediate_wake();
        }
        seq_wait(seq, now);
    }
}

void
measure_commands_init(void)
{
    unixctl_command_register("measure/heavy-hitters",
                             "[bridge] [by=flow|by=pair|by=source|"
                             "by=destination] [sort=packets|sort=bytes] "
                             "[n=N] [format=json]",
                             0, 5, heavy_hitters, NULL);
    unixctl_command_register("measure/status", "[bridge] [format=json]",
                             0, 2, status, NULL);
    unixctl_command_register("measure/close-epoch", "[bridge]",
                             0, 1, close_epoch, NULL);
}
