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

#include "measure-answer.h"

#include "dpdk.h"
#include "timeval.h"
#include "util.h"

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

char *
measure_write_status(struct measure_output *o,
                     const struct measure_subject *subject,
                     const struct measure_arguments *args OVS_UNUSED)
{
    const struct monitor *monitor = subject->monitor;
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

