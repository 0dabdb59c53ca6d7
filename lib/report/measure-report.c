/* SPDX-License-Identifier: Apache-2.0 */
/* What all packet threads together counted in an epoch. */

#include <config.h>

#include "report/measure-report.h"

#include <stdlib.h>

#include "base/measure-base.h"

#define OVERFLOW_SIZE (MEASURE_OVERFLOW_CELLS                               \
                       * sizeof(struct measure_overflow_cell))

/* Adds to the overflow array of 'report' what keys with 'hash' can have
 * missed. */
void
measure_report_add_overflow(struct measure_report *report, uint64_t hash,
                            uint64_t packets, uint64_t bytes)
{
    struct measure_overflow_cell *cell;

    if (!report->overflow) {
        report->overflow = measure_xzalloc(OVERFLOW_SIZE);
    }
    cell = &report->overflow[measure_overflow_cell(hash)];
    cell->packets += packets;
    cell->bytes += bytes;
}

static void
add_cell(const struct measure_report *report, enum measure_layout layout,
         const uint64_t *key, uint64_t *packets, uint64_t *bytes)
{
    uint64_t hash = measure_key_hash(report->secret, layout, key);
    uint32_t cell = measure_overflow_cell(hash);

    *packets += report->overflow[cell].packets;
    *bytes += report->overflow[cell].bytes;
}

/* Adds to '*packets' and '*bytes' what 'key', which is in 'layout' and of the
 * kind that 'report' counted, can have missed at most. */
void
measure_report_add_missed(const struct measure_report *report,
                          enum measure_layout layout, const uint64_t *key,
                          uint64_t *packets, uint64_t *bytes)
{
    if (!report->overflow) {
        return;
    }
    add_cell(report, layout, key, packets, bytes);
    if (layout == MEASURE_NARROW && report->key_kind != MEASURE_KIND_FLOW) {
        /* What came in a tunnel has the other layout, and another cell. */
        uint64_t wide[MEASURE_KEY_WORDS];

        measure_key_widen(key, wide);
        add_cell(report, MEASURE_WIDE, wide, packets, bytes);
    }
}

/* Frees what 'report' keeps of answers. */
void
measure_report_forget_groups(const struct measure_report *report)
{
    if (report->group_cache) {
        measure_group_cache_forget(report->group_cache);
    }
}

void
measure_report_destroy(struct measure_report *report)
{
    if (report) {
        measure_group_cache_destroy(report->group_cache);
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            if (report->complete) {
                measure_memory_give(report->budget,
                                    report->tables[layout].rows,
                                    report->table_sizes[layout], true);
            } else {
                measure_table_destroy(&report->tables[layout],
                                      report->budget);
            }
            measure_table_destroy(&report->errors[layout], report->budget);
            free(report->parts[layout]);
        }
        for (size_t i = 0; i < report->n_threads; i++) {
            for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
                measure_table_destroy(&report->threads[i].tables[layout],
                                      report->budget);
            }
            measure_report_destroy(report->threads[i].report);
        }
        free(report->threads);
        free(report->overflow);
        free(report);
    }
}

/* Returns how much memory 'report' takes. */
uint64_t
measure_report_bytes(const struct measure_report *report)
{
    uint64_t bytes = (sizeof *report
                      + (report->overflow ? OVERFLOW_SIZE : 0)
                      + report->n_threads * sizeof *report->threads);

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        bytes += ((report->complete
                   ? (report->table_sizes[layout]
                      + ((report->n_parts + 1)
                         * sizeof *report->parts[layout]))
                   : measure_table_bytes(&report->tables[layout]))
                  + measure_table_bytes(&report->errors[layout]));
    }
    for (size_t i = 0; i < report->n_threads; i++) {
        const struct measure_report_thread *thread = &report->threads[i];

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            bytes += measure_table_bytes(&thread->tables[layout]);
        }
        if (thread->report) {
            bytes += measure_report_bytes(thread->report);
        }
    }
    return bytes;
}

/* Writes 'counters', those of the overflow array only if 'overflow'. */
void
measure_counters_write(struct measure_output *o,
                       const struct measure_counters *counters, bool overflow)
{
    measure_output_open_line(o, "total");
    measure_output_uint(o, "packets", counters->packets);
    measure_output_uint(o, "bytes", counters->bytes);
    measure_output_close(o);
    measure_output_open_line(o, "not-counted");
    measure_output_uint(o, "not-ip", counters->not_ip);
    measure_output_uint(o, "malformed", counters->malformed);
    measure_output_close(o);
    if (overflow) {
        measure_output_open_line(o, "overflow");
        measure_output_uint(o, "packets", counters->overflow_packets);
        measure_output_uint(o, "bytes", counters->overflow_bytes);
        measure_output_close(o);
    }
}
