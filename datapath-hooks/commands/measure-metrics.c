/* SPDX-License-Identifier: Apache-2.0 */
/* measure/metrics: numbers for monitoring systems. */

#include <config.h>

#include "measure-answers.h"

#include "base/measure-number.h"
#include "dpdk.h"
#include "measure-sizing.h"
#include "openvswitch/dynamic-string.h"
#include "questions/measure-heavy-hitters.h"
#include "util.h"

/* measure/metrics: numbers for monitoring systems, as OpenMetrics text 1.0.
 *
 * Of each bridge and each core that a thread of it ran on there is a fixed
 * number of samples.  Keys are labels only with top=N, at most 100 of them for
 * a bridge: who asks for more should not do so through a time series
 * database. */

/* The numbers of one bridge. */
struct bridge_metrics {
    const char *bridge;
    struct measure_counters sum;
    uint64_t epochs;
    uint64_t memory_used;
    uint64_t memory_spare;
    uint64_t memory_limit;
    uint64_t history_reports;
    uint64_t history_dropped;
    uint64_t alerts;
    uint64_t alerts_dropped;
    uint64_t alerts_not_raised;
    uint64_t tasks_skipped;
    uint64_t tasks_no_memory;
    uint64_t stream_readers;
    struct stream_counts stream;
    double handover_seconds;
    uint64_t handovers;
    struct core_metrics *cores;
    size_t n_cores;
};

struct core_metrics {
    char labels[64];
    struct measure_counters sum;
    uint64_t flows;
    uint64_t rows;
    uint64_t lost;
    uint64_t sampled_packets;
    uint64_t sampled_cycles;
    uint64_t timing_cycles;
};

/* Adds the rows of the running epoch of 'thread', and its samples. */
static void
add_thread(struct core_metrics *sums, struct monitor_core *samples,
           const struct monitor_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_load load;

    measure_tally_load(measure_thread_tally(&thread->thread), &load);
    sums->lost += load.n_lost;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        sums->flows += load.n_used[layout];
        sums->rows += load.n_lines[layout] * measure_rows_per_line(layout);
    }
    measure_core_add_samples(samples, thread);
}

/* The threads of a core are one, those included that have ended: labels must
 * differ, and counters must not fall.  Adds what they counted to the sum of
 * 'metrics', which has that of merged epochs. */
static void
get_threads(struct bridge_metrics *metrics, const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    const struct monitor_core *core;

    metrics->cores = xcalloc(MAX(ovs_list_size(&monitor->cores), 1),
                             sizeof *metrics->cores);
    LIST_FOR_EACH (core, node, &monitor->cores) {
        struct core_metrics *sums
            = &metrics->cores[metrics->n_cores++];
        struct monitor_core samples = *core;
        const struct monitor_thread *thread;
        struct measure_counters unmerged;

        if (core->core_id == NON_PMD_CORE_ID) {
            snprintf(sums->labels, sizeof sums->labels, "core=\"main\"");
        } else {
            snprintf(sums->labels, sizeof sums->labels,
                     "core=\"%u\",numa=\"%d\"", core->core_id,
                     core->numa_id);
        }
        measure_core_sum_unmerged(monitor, core, &unmerged);
        sums->sum = core->closed;
        measure_counters_add(&sums->sum, &unmerged);
        measure_counters_add(&metrics->sum, &unmerged);
        LIST_FOR_EACH (thread, node, &monitor->threads) {
            if (thread->core == core) {
                add_thread(sums, &samples, thread);
            }
        }
        sums->sampled_packets = samples.sampled_packets;
        sums->sampled_cycles = samples.sampled_cycles;
        sums->timing_cycles = samples.timing_cycles;
    }
}

static void
get_metrics(struct bridge_metrics *metrics,
            const struct measure_subject *subject)
{
    const struct monitor *monitor = subject->monitor;
    const struct measure_findings *findings = &monitor->findings;

    ovs_mutex_lock(&measure_mutex);
    metrics->bridge = subject->name;
    metrics->sum = monitor->closed;
    metrics->epochs = monitor->n_handovers;
    metrics->memory_used = measure_budget_used(&monitor->budget);
    metrics->memory_spare = measure_budget_spare(&monitor->budget);
    metrics->memory_limit = measure_budget_limit(&monitor->budget);
    metrics->history_reports = monitor->history.n;
    metrics->history_dropped = (monitor->history.dropped_memory
                                + monitor->history.dropped_number);
    metrics->alerts = findings->alerts.last;
    metrics->alerts_dropped = measure_alerts_dropped(&findings->alerts, 0);
    metrics->alerts_not_raised = findings->not_listed;
    metrics->tasks_skipped = findings->n_skipped;
    metrics->tasks_no_memory = findings->n_no_memory;
    metrics->stream_readers = ovs_list_size(&monitor->stream.readers);
    measure_stream_counts(&monitor->stream, &metrics->stream);
    metrics->handover_seconds = monitor->handover_us / 1e6;
    metrics->handovers = monitor->n_handovers;
    get_threads(metrics, monitor);
    ovs_mutex_unlock(&measure_mutex);
}

/* Writing. */

static void
put_label(struct ds *out, const char *name, const char *value)
{
    ds_put_format(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n') {
            ds_put_cstr(out, "\\n");
        } else {
            if (*value == '"' || *value == '\\') {
                ds_put_char(out, '\\');
            }
            ds_put_char(out, *value);
        }
    }
    ds_put_char(out, '"');
}

static void
put_layout(struct ds *out, const char *name, const char *type,
           const char *unit, const char *help)
{
    ds_put_format(out, "# TYPE ovs_measure_%s %s\n", name, type);
    if (unit) {
        ds_put_format(out, "# UNIT ovs_measure_%s %s\n", name, unit);
    }
    ds_put_format(out, "# HELP ovs_measure_%s %s\n", name, help);
}

static void
put_sample(struct ds *out, const char *name, const char *suffix,
           const char *bridge, const char *labels, const char *value)
{
    ds_put_format(out, "ovs_measure_%s%s{", name, suffix);
    put_label(out, "bridge", bridge);
    ds_put_format(out, "%s%s} %s\n", labels[0] ? "," : "", labels, value);
}

static void
put_uint(struct ds *out, const char *name, const char *suffix,
         const char *bridge, const char *labels, uint64_t value)
{
    char s[24];

    snprintf(s, sizeof s, "%"PRIu64, value);
    put_sample(out, name, suffix, bridge, labels, s);
}

static void
put_double(struct ds *out, const char *name, const char *suffix,
           const char *bridge, const char *labels, double value)
{
    char s[32];

    measure_decimal_format(s, sizeof s, 6, value);
    put_sample(out, name, suffix, bridge, labels, s);
}

#define BRIDGE_METRICS                                                      \
    METRIC("packets", "counter", NULL, "Packets counted.", sum.packets)     \
    METRIC("bytes", "counter", "bytes", "Bytes of packets counted.",        \
           sum.bytes)                                                       \
    METRIC("not_ip_packets", "counter", NULL, "Packets that are not IP.",   \
           sum.not_ip)                                                      \
    METRIC("malformed_packets", "counter", NULL,                            \
           "Packets with an IP header that cannot be right.",               \
           sum.malformed)                                                   \
    METRIC("overflow_packets", "counter", NULL,                             \
           "Packets counted that found no row: their keys are not exact.",  \
           sum.overflow_packets)                                            \
    METRIC("epochs", "counter", NULL, "Epochs closed.", epochs)             \
    METRIC("memory_used_bytes", "gauge", "bytes", "Memory used.",           \
           memory_used)                                                     \
    METRIC("memory_spare_bytes", "gauge", "bytes",                          \
           "Memory kept for the next report or question.", memory_spare)    \
    METRIC("memory_limit_bytes", "gauge", "bytes",                          \
           "Memory that may be used.", memory_limit)                        \
    METRIC("history_reports", "gauge", NULL, "Reports that are kept.",      \
           history_reports)                                                 \
    METRIC("history_dropped_reports", "counter", NULL,                      \
           "Reports that are not kept any more.", history_dropped)          \
    METRIC("alerts", "counter", NULL, "Alerts raised.", alerts)             \
    METRIC("dropped_alerts", "counter", NULL,                               \
           "Alerts that are not kept any more.", alerts_dropped)            \
    METRIC("not_raised_alerts", "counter", NULL,                            \
           "Alerts that were too many in their epoch.", alerts_not_raised)  \
    METRIC("skipped_epochs", "counter", NULL,                               \
           "Epochs in which nothing was looked for.", tasks_skipped)        \
    METRIC("no_memory_epochs", "counter", NULL,                             \
           "Epochs in which a task had no memory.", tasks_no_memory)        \
    METRIC("stream_readers", "gauge", NULL, "Readers of the stream.",       \
           stream_readers)                                                  \
    METRIC("stream_records", "counter", NULL,                               \
           "Records of packets written for all readers.", stream.records)   \
    METRIC("stream_filtered_packets", "counter", NULL,                      \
           "Packets that measure-stream-where did not let in.",             \
           stream.filtered)                                                 \
    METRIC("stream_dropped_packets", "counter", NULL,                       \
           "Packets for which a reader had no room.", stream.dropped)

#define THREAD_METRICS                                                      \
    METRIC("pmd_packets", "counter", NULL, "Packets that a thread counted.", \
           sum.packets)                                                     \
    METRIC("pmd_bytes", "counter", "bytes",                                 \
           "Bytes of packets that a thread counted.", sum.bytes)            \
    METRIC("pmd_overflow_packets", "counter", NULL,                         \
           "Packets of a thread that found no row.", sum.overflow_packets)  \
    METRIC("pmd_flows", "gauge", NULL, "Rows used in the running epoch.",   \
           flows)                                                           \
    METRIC("pmd_rows", "gauge", NULL, "Rows of the tables in use.", rows)   \
    METRIC("pmd_lost_keys", "gauge", NULL,                                  \
           "Keys without a place in the structure of the running epoch.",   \
           lost)                                                            \
    METRIC("pmd_sampled_packets", "counter", NULL,                          \
           "Packets whose counting was timed.", sampled_packets)            \
    METRIC("pmd_sampled_cycles", "counter", NULL,                           \
           "Cycles that counting these packets took.", sampled_cycles)      \
    METRIC("pmd_timing_cycles", "counter", NULL,                            \
           "Cycles that it took to time these packets.", timing_cycles)

static const char *
suffix_of(const char *type)
{
    return !strcmp(type, "counter") ? "_total" : "";
}

static void
put_bridges(struct ds *out, const struct bridge_metrics *bridges, size_t n)
{
#define METRIC(NAME, TYPE, UNIT, HELP, MEMBER)                              \
    put_layout(out, NAME, TYPE, UNIT, HELP);                                \
    for (size_t i = 0; i < n; i++) {                                        \
        put_uint(out, NAME, suffix_of(TYPE), bridges[i].bridge, "",         \
                 bridges[i].MEMBER);                                        \
    }
    BRIDGE_METRICS
#undef METRIC

    put_layout(out, "hand_over_seconds", "summary", "seconds",
               "From the end of an epoch until all threads have left it.");
    for (size_t i = 0; i < n; i++) {
        put_uint(out, "hand_over_seconds", "_count", bridges[i].bridge, "",
                 bridges[i].handovers);
        put_double(out, "hand_over_seconds", "_sum", bridges[i].bridge, "",
                   bridges[i].handover_seconds);
    }

#define METRIC(NAME, TYPE, UNIT, HELP, MEMBER)                              \
    put_layout(out, NAME, TYPE, UNIT, HELP);                                \
    for (size_t i = 0; i < n; i++) {                                        \
        for (size_t j = 0; j < bridges[i].n_cores; j++) {                   \
            const struct core_metrics *core = &bridges[i].cores[j];         \
                                                                            \
            put_uint(out, NAME, suffix_of(TYPE), bridges[i].bridge,         \
                     core->labels, core->MEMBER);                           \
        }                                                                   \
    }
    THREAD_METRICS
#undef METRIC
}

static void
put_row(struct ds *out, const char *name,
        const struct measure_subject *subject,
        const struct measure_fields *fields, uint64_t value)
{
    struct measure_key_field key[MEASURE_KEY_FIELDS];
    size_t n = measure_key_fields(subject->plain_reports[0]->key_kind, fields,
                                  key);

    ds_put_format(out, "ovs_measure_%s{", name);
    put_label(out, "bridge", subject->name);
    for (size_t i = 0; i < n; i++) {
        char label[32], number[24];

        snprintf(number, sizeof number, "%"PRIu64, key[i].number);
        ovs_strlcpy(label, key[i].name, sizeof label);
        for (char *p = label; *p; p++) {
            *p = *p == '-' ? '_' : *p;
        }
        ds_put_char(out, ',');
        put_label(out, label, key[i].is_number ? number : key[i].text);
    }
    ds_put_format(out, "} %"PRIu64"\n", value);
}

/* Writes the keys with the most packets in the last report, and by how much
 * their counts may be wrong. */
static void
put_top(struct ds *out, const struct measure_request *request)
{
    struct ds errors = DS_EMPTY_INITIALIZER;

    put_layout(out, "top_packets", "gauge", NULL,
               "Packets of the largest keys in the last closed epoch.");
    put_layout(&errors, "top_packets_error_max", "gauge", NULL,
               "By how many packets these are wrong at most.");
    for (size_t i = 0; i < request->n_subjects; i++) {
        const struct measure_subject *subject = &request->subjects[i];
        struct measure_hitters_question question = {
            .n = request->args.top,
            .threshold = subject->config.heavy_hitter,
        };
        struct measure_hitters_answer answer;

        if (!subject->n_reports) {
            continue;
        }
        measure_group_by_of_kind(&question.group_by,
                                 subject->plain_reports[0]->key_kind);
        if (measure_hitters_ask(&subject->scope, &question, &answer)) {
            for (size_t j = 0; j < answer.n_rows; j++) {
                const struct measure_hitters_row *row = &answer.rows[j];

                put_row(out, "top_packets", subject, &row->fields,
                        row->packets);
                put_row(&errors, "top_packets_error_max", subject,
                        &row->fields, row->packets_error_max);
            }
        }
        measure_hitters_answer_destroy(&answer);
    }
    ds_put_cstr(out, ds_cstr(&errors));
    ds_destroy(&errors);
}

char *
measure_metrics(const struct measure_request *request)
{
    size_t n = request->n_subjects;
    struct bridge_metrics *bridges = xcalloc(MAX(n, 1), sizeof *bridges);
    struct ds out = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        get_metrics(&bridges[i], &request->subjects[i]);
    }
    put_bridges(&out, bridges, n);
    if (request->args.top) {
        put_top(&out, request);
    }
    ds_put_cstr(&out, "# EOF\n");

    for (size_t i = 0; i < n; i++) {
        free(bridges[i].cores);
    }
    free(bridges);
    return ds_steal_cstr(&out);
}
