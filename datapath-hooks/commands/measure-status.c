/* SPDX-License-Identifier: Apache-2.0 */
/* measure/status: what a monitor does, and with how much memory. */

#include <config.h>

#include "measure-answers.h"

#include "dpdk.h"
#include "measure-port-table.h"
#include "measure-sizing.h"
#include "measure-threads.h"
#include "timeval.h"
#include "util.h"

static void
write_tables(struct measure_output *o, const char *name,
             enum measure_layout layout, const struct measure_load *load)
{
    measure_output_open_line(o, name);
    measure_output_uint(o, "flows", load->n_used[layout]);
    measure_output_uint(o, "tables", load->n_tables[layout]);
    measure_output_uint(o, "current-rows", (load->n_lines[layout]
                                            * measure_rows_per_line(layout)));
    measure_output_percentage(o, "current-load-percentage",
                              load->current_used[layout],
                              (load->n_lines[layout]
                               * measure_rows_per_line(layout)));
    measure_output_uint(o, "reserve-tables", load->n_unused[layout]);
    measure_output_close(o);
}

/* Returns true if the core of 'thread' of 'monitor' has ever had a packet. */
static bool
has_had_packets(const struct monitor *monitor,
                const struct monitor_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_counters sum;

    measure_core_sum_unmerged(monitor, thread->core, &sum);
    measure_counters_add(&sum, &thread->core->closed);
    return sum.packets || sum.not_ip || sum.malformed;
}

/* Writes how many tiers 'thread' of 'monitor' counts with, and the reason if
 * it is one.  A reason that outlasts the epoch comes before one that does
 * not. */
static void
write_tiers(struct measure_output *o, const struct monitor *monitor,
            const struct monitor_thread *thread)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_tally *tally = measure_thread_tally(&thread->thread);
    bool had_packets = has_had_packets(monitor, thread);
    const char *cause = measure_thread_one_tier_cause(thread, had_packets);
    char *reason = NULL;

    if (monitor->tiers == 1) {
        reason = xstrdup("measure-tiers=1");
    } else if (monitor->structure != MEASURE_LINEAR_TABLE) {
        reason = xasprintf("measure-structure=%s",
                           measure_structure_name(monitor->structure));
    } else if (cause) {
        reason = xstrdup(cause);
    } else if (!tally->cache && measure_thread_is_quiet(thread)) {
        reason = xstrdup(had_packets
                         ? "no packets for some epochs" : "no packets yet");
    } else if (!tally->cache && measure_wants_cache(monitor, thread)) {
        reason = xstrdup("two begin soon");
    } else if (!tally->cache) {
        reason = xasprintf("measure-memory-mb=%"PRIu32" leaves no room",
                           monitor->config.memory_mb);
    } else if (measure_cache_is_forgotten(tally->cache_keys, tally->number)) {
        reason = xstrdup("ports changed in this epoch");
    }
    measure_output_open_line(o, "tiers");
    measure_output_uint(o, "number", reason ? 1 : 2);
    if (reason) {
        measure_output_string(o, "reason", reason);
    }
    measure_output_close(o);
    free(reason);
}

static void
write_thread(struct measure_output *o, const struct monitor *monitor,
             const struct monitor_thread *thread,
             const struct measure_load *load)
    OVS_REQUIRES(measure_mutex)
{
    bool main_thread = thread->core_id == NON_PMD_CORE_ID;
    uint64_t packets = __atomic_load_n(&thread->thread.sampled_packets,
                                       __ATOMIC_RELAXED);
    uint64_t cycles = __atomic_load_n(&thread->thread.sampled_cycles,
                                      __ATOMIC_RELAXED);
    uint64_t timing = __atomic_load_n(&thread->thread.timing_cycles,
                                      __ATOMIC_RELAXED);
    char *title;

    title = (main_thread
             ? xstrdup("main thread")
             : xasprintf("pmd thread numa_id %d core_id %u%s",
                         thread->numa_id, thread->core_id,
                         thread->dp_thread ? "" : " (ended)"));
    measure_output_open_block(o, title);
    free(title);

    if (!main_thread && !measure_output_is_text(o)) {
        measure_output_uint(o, "numa-id", MAX(thread->numa_id, 0));
        measure_output_uint(o, "core-id", thread->core_id);
    }
    measure_counters_write(o, &load->counters, true);
    write_tiers(o, monitor, thread);
    measure_output_open_line(o, "cost");
    measure_output_uint(o, "sampled-packets", packets);
    if (packets) {
        measure_output_decimal(o, "cycles-per-packet",
                               (double) cycles / packets);
        /* Spread over the packets that are not timed. */
        measure_output_decimal(o, "timing-cycles-per-packet",
                               ((double) timing / packets
                                / MEASURE_SAMPLE_BATCHES));
    }
    measure_output_close(o);
    if (load->structure_bytes) {
        measure_output_open_line(o, "structure");
        measure_output_uint(o, "used-bytes", load->structure_bytes);
        measure_output_uint(o, "keys-lost", load->n_lost);
        measure_output_close(o);
    }
    if (thread->probes.n_rows) {
        measure_output_open_line(o, "probes-of-last-epoch");
        measure_output_uint(o, "sampled-rows", thread->probes.n_rows);
        measure_output_decimal(o, "mean", ((double) thread->probes.n_probes
                                           / thread->probes.n_rows));
        measure_output_uint(o, "max", thread->probes.max_probes);
        measure_output_close(o);
    }
    write_tables(o, "narrow-keys", MEASURE_NARROW, load);
    write_tables(o, "wide-keys", MEASURE_WIDE, load);
    measure_output_close(o);
}

static int
compare_threads(const void *a_, const void *b_)
{
    const struct monitor_thread *const *a = a_;
    const struct monitor_thread *const *b = b_;

    /* The main thread, whose number is the largest, comes first. */
    unsigned int a_core = (*a)->core_id + 1;
    unsigned int b_core = (*b)->core_id + 1;

    return (a_core > b_core) - (a_core < b_core);
}

/* Returns the threads of 'monitor', '*n' of them, by core.  The caller must
 * free the array. */
static const struct monitor_thread **
sort_threads(const struct monitor *monitor, size_t *n)
{
    const struct monitor_thread **threads
        = xmalloc((ovs_list_size(&monitor->threads) + 1) * sizeof *threads);
    const struct monitor_thread *thread;

    *n = 0;
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        threads[(*n)++] = thread;
    }
    qsort(threads, *n, sizeof *threads, compare_threads);
    return threads;
}

/* What becomes of closed epochs. */
static void
write_control(struct measure_output *o, const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    const struct measure_history *history = &monitor->history;
    const struct measure_findings *findings = &monitor->findings;
    struct measure_requests_state requests;

    measure_requests_state(&requests);
    measure_output_open_line(o, "hand-over");
    measure_output_uint(o, "epochs", monitor->n_handovers);
    measure_output_uint(o, "mean-us", (monitor->handover_us
                                       / MAX(monitor->n_handovers, 1)));
    measure_output_uint(o, "max-us", monitor->max_handover_us);
    measure_output_close(o);
    measure_output_open_line(o, "history");
    measure_output_uint(o, "reports", history->n);
    measure_output_uint(o, "used-bytes", history->bytes);
    measure_output_uint(o, "dropped-old", history->dropped_number);
    measure_output_uint(o, "dropped-memory", history->dropped_memory);
    measure_output_close(o);
    measure_output_open_line(o, "tasks");
    measure_output_uint(o, "epochs", findings->n_evaluated);
    measure_output_uint(o, "skipped-epochs", findings->n_skipped);
    measure_output_uint(o, "no-memory-epochs", findings->n_no_memory);
    measure_output_uint(o, "last-us", findings->time_us);
    measure_output_uint(o, "max-us", findings->max_time_us);
    measure_output_close(o);
    measure_output_open_line(o, "alerts");
    measure_output_uint(o, "raised", findings->alerts.last);
    measure_output_uint(o, "dropped",
                        measure_alerts_dropped(&findings->alerts, 0));
    measure_output_uint(o, "not-raised", findings->not_listed);
    measure_output_close(o);
    measure_output_open_line(o, "questions");
    measure_output_uint(o, "waiting", requests.n_waiting);
    measure_output_uint(o, "answered", requests.answered);
    measure_output_uint(o, "refused", requests.refused);
    measure_output_close(o);
}

/* Writes what became of the packets of a reader, or of one of its rings. */
static void
write_stream_counts(struct measure_output *o,
                    const struct stream_counts *counts)
{
    measure_output_uint(o, "offered", counts->offered);
    measure_output_uint(o, "records", counts->records);
    measure_output_uint(o, "filtered", counts->filtered);
    measure_output_uint(o, "dropped", counts->dropped);
    measure_output_uint(o, "marks-lost", counts->marks_lost);
    measure_output_uint(o, "bad-cursors", counts->bad_cursors);
}

/* Returns how many slots of 'ring' its reader has not released.  The cursor
 * may be anything. */
static uint64_t
slots_waiting(const struct stream_ring *ring)
{
    const struct measure_ring_header *header = ring->shared.memory;
    uint64_t tail = __atomic_load_n(&ring->shared.cursor->tail,
                                    __ATOMIC_RELAXED);
    uint64_t head = __atomic_load_n(&header->head, __ATOMIC_RELAXED);

    return MIN(head - tail, header->n_slots);
}

static void
write_reader(struct measure_output *o, const struct stream_reader *reader)
    OVS_REQUIRES(measure_mutex)
{
    const struct stream_ring *ring;
    struct stream_counts counts;
    char *title = xasprintf("reader \"%s\"", reader->name);

    measure_output_open_block(o, title);
    free(title);
    if (!measure_output_is_text(o)) {
        measure_output_string(o, "name", reader->name);
    }
    measure_output_uint(o, "process-id", reader->pid);
    measure_output_uint(o, "slots", reader->n_slots);
    measure_output_bool(o, "wants-headers", reader->wants_headers);
    measure_reader_counts(reader, &counts);
    measure_output_open_line(o, "total");
    write_stream_counts(o, &counts);
    measure_output_close(o);
    measure_output_open_list(o, "rings");
    LIST_FOR_EACH (ring, node, &reader->rings) {
        measure_output_open_row(o);
        if (ring->core_id == NON_PMD_CORE_ID) {
            measure_output_absent(o, "core-id");
        } else {
            if (!measure_output_is_text(o)) {
                measure_output_uint(o, "numa-id", MAX(ring->numa_id, 0));
            }
            measure_output_uint(o, "core-id", ring->core_id);
        }
        measure_output_uint(o, "waiting-slots", slots_waiting(ring));
        measure_ring_counts(ring, &counts);
        write_stream_counts(o, &counts);
        measure_output_close(o);
    }
    measure_output_close(o);
    measure_output_close(o);
}

/* Who reads the packets of 'monitor', if anybody may. */
static void
write_stream(struct measure_output *o, const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    const struct monitor_stream *stream = &monitor->stream;
    const struct stream_reader *reader;

    if (!stream->listening) {
        return;
    }
    measure_output_open_object(o, "stream");
    measure_output_string(o, "where",
                          stream->where[0] || !measure_output_is_text(o)
                          ? stream->where : "any packet");
    if (stream->missing) {
        measure_output_string(o, "missing-port", stream->missing);
        measure_output_note(o, "Nothing matches before that port is "
                            "measured.");
    }
    measure_output_bool(o, "headers", stream->headers);
    measure_output_open_line(o, "memory");
    measure_output_uint(o, "used-bytes", measure_readers_bytes(stream));
    measure_output_uint(o, "limit-bytes",
                        monitor->config.stream_memory_mb * MEASURE_MIB);
    measure_output_close(o);
    measure_output_open_list(o, "readers");
    LIST_FOR_EACH (reader, node, &stream->readers) {
        write_reader(o, reader);
    }
    measure_output_close(o);
    measure_output_close(o);
}

/* Returns true if keys find no room in the structure that 'monitor' counts in:
 * 'lost' of the running epoch, or some of the last one. */
static bool
is_losing_keys(const struct monitor *monitor, uint64_t lost)
    OVS_REQUIRES(measure_mutex)
{
    const struct kept_report *newest
        = measure_history_newest(&monitor->history);

    if (newest && newest->report->structure == monitor->structure) {
        lost += newest->report->n_lost;
    }
    return (monitor->lost_warned && lost
            && !measure_structure_is_complete(monitor->structure));
}

char *
measure_write_status(struct measure_output *o,
                     const struct measure_subject *subject,
                     const struct measure_request *request OVS_UNUSED)
{
    const struct monitor *monitor = subject->monitor;
    struct sset names = SSET_INITIALIZER(&names);
    const struct monitor_thread **threads;
    struct measure_counters sum;
    struct measure_load *loads;
    uint64_t lost, running_lost = 0;
    size_t n;

    ovs_mutex_lock(&measure_mutex);
    measure_output_string(o, "state", monitor->running ? "on" : "off");
    measure_output_string(o, "key", measure_kind_name(monitor->config.key));
    measure_output_string(o, "structure",
                          measure_structure_name(monitor->config.structure));
    measure_output_string(o, "heavy-hitter",
                          monitor->config.heavy_hitter_text);
    if (monitor->epoch) {
        measure_output_open_line(o, "epoch");
        measure_output_uint(o, "number", monitor->epoch);
        measure_output_time_ms(o, "start-ms", monitor->start_ms);
        if (monitor->running) {
            measure_output_uint(o, "running-ms",
                                time_msec() - monitor->start);
        }
        measure_output_uint(o, "length-ms", monitor->config.epoch_ms);
        measure_output_close(o);
    }
    measure_output_open_line(o, "memory");
    measure_output_uint(o, "used-bytes",
                        measure_budget_used(&monitor->budget));
    measure_output_uint(o, "spare-bytes",
                        measure_budget_spare(&monitor->budget));
    measure_output_uint(o, "limit-bytes",
                        measure_budget_limit(&monitor->budget));
    measure_output_close(o);

    measure_output_note(o, "Since measurement was first switched on:");
    threads = sort_threads(monitor, &n);
    loads = xmalloc(MAX(n, 1) * sizeof *loads);
    measure_monitor_sum_closed(monitor, &sum, &lost);
    for (size_t i = 0; i < n; i++) {
        measure_tally_load(measure_thread_tally(&threads[i]->thread),
                           &loads[i]);
        measure_counters_add(&sum, &loads[i].counters);
        running_lost += loads[i].n_lost;
    }
    lost += running_lost;
    measure_counters_write(o, &sum, true);
    if (lost || monitor->config.structure != MEASURE_LINEAR_TABLE) {
        measure_output_uint(o, "keys-lost", lost);
    }
    if (is_losing_keys(monitor, running_lost)) {
        measure_output_note(o, "Keys found no room in the structure: small "
                            "heavy hitters may be missing.  A larger "
                            "measure-memory-mb helps.");
    }

    measure_ports_names(monitor, &names);
    const char **sorted = sset_sort(&names);
    measure_output_open_list(o, "ports");
    for (size_t i = 0; i < sset_count(&names); i++) {
        measure_output_open_row(o);
        measure_output_string(o, "name", sorted[i]);
        measure_output_close(o);
    }
    measure_output_close(o);
    if (monitor->running && sset_is_empty(&names)) {
        measure_output_note(o, "No port of this bridge is in the userspace "
                            "datapath (datapath_type=netdev).");
    }
    if (monitor->n_unnumbered) {
        measure_output_uint(o, "ports-without-number", monitor->n_unnumbered);
        measure_output_note(o, "Rows do not say that packets came in by "
                            "these: reports that are kept name as many other "
                            "ports as can be told apart.");
    }
    free(sorted);
    sset_destroy(&names);

    write_control(o, monitor);
    write_stream(o, monitor);

    measure_output_note(o, "The running epoch:");
    measure_output_open_list(o, "pmds");
    for (size_t i = 0; i < n; i++) {
        write_thread(o, monitor, threads[i], &loads[i]);
    }
    measure_output_close(o);
    free(threads);
    free(loads);
    ovs_mutex_unlock(&measure_mutex);
    return NULL;
}

