/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of tallies that counted in structures. */

#include <config.h>

#include "report/measure-report-estimates.h"

#include <stdlib.h>

#include "base/measure-base.h"
#include "key/measure-group-by.h"

/* All structures of a report. */
struct merging {
    struct measure_report *report;
    struct measure_structure **structures;
    size_t n;
    uint64_t packets[MEASURE_N_LAYOUTS];    /* What they counted. */
};

static uint64_t
saturating_add(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

/* Takes note, in 'report', of what it means that one of its tallies counted in
 * 'structure'. */
void
measure_report_note_structure(struct measure_report *report,
                              const struct measure_structure *structure)
{
    double probability = structure->class->error_probability;
    enum measure_structure_kind other = report->structure;
    struct measure_structure_load load;
    struct measure_cell missed;

    measure_structure_load(structure, &load);
    report->structure = structure->kind;
    report->n_lost += load.n_lost;
    if (measure_structure_is_complete(structure->kind)) {
        return;
    }
    report->complete = false;
    if (!measure_structure_is_exact(structure)) {
        report->estimates = true;
        /* All structures of a kind have one bound together. */
        if (!report->error_probability || other != structure->kind) {
            report->error_probability += probability;
        }
    }
    measure_structure_missed(structure, &missed);
    report->missed.packets = saturating_add(report->missed.packets,
                                            missed.packets);
    report->missed.bytes = saturating_add(report->missed.bytes, missed.bytes);
}

/* Keys of either layout that stand for the same. */

/* Makes in 'narrow', which must have room for MEASURE_KEY_WORDS words, the
 * narrow key that stands for 'key', a wide one of kind 'key_kind'.  Returns
 * false if there is none. */
static bool
narrow_key(enum measure_key_kind key_kind, const uint64_t *key,
           uint64_t *narrow)
{
    struct measure_group_by group_by;

    if (key_kind == MEASURE_KIND_FLOW || !(key[5] & MEASURE_KEY_IPV4)) {
        /* The tunnel of a flow is a part of it. */
        return false;
    }
    measure_group_by_of_kind(&group_by, key_kind);
    return measure_group_by_key(&group_by, MEASURE_WIDE, key,
                                narrow) == MEASURE_NARROW;
}

static void
estimate(const struct merging *m, enum measure_layout layout,
         const uint64_t *key, struct measure_estimate_sum *sum)
{
    uint64_t hash = measure_key_hash(m->report->secret, layout, key);

    for (size_t i = 0; i < m->n; i++) {
        measure_structure_estimate(m->structures[i], layout, key, hash, sum);
    }
}

/* Adds to the rows of 'layout', which have room, what the structures know of
 * each of 'keys'. */
static void
read_structures(const struct merging *m, enum measure_layout layout,
                const struct measure_table *keys)
{
    struct measure_report *report = m->report;

    MEASURE_TABLE_FOR_EACH (key, keys) {
        struct measure_estimate_sum sum = { 0 };
        struct measure_estimate total;
        uint64_t other[MEASURE_KEY_WORDS];

        if (layout == MEASURE_WIDE && narrow_key(report->key_kind, key,
                                                 other)) {
            continue;
        }
        estimate(m, layout, key, &sum);
        /* Where no packet came in, nothing is known of any key. */
        if (layout == MEASURE_NARROW && report->key_kind != MEASURE_KIND_FLOW
            && m->packets[MEASURE_WIDE]) {
            measure_key_widen(key, other);
            estimate(m, MEASURE_WIDE, other, &sum);
        }
        measure_estimate_sum_get(&sum, &total);
        if (total.packets) {
            measure_table_insert(&report->tables[layout], report->secret, key,
                                 total.packets, total.bytes);
        }
        if (total.packets_error || total.bytes_error) {
            measure_table_insert(&report->errors[layout], report->secret, key,
                                 total.packets_error + 1, total.bytes_error);
        }
    }
}

/* Adds to 'keys' those of 'layout' that the report or a structure has. */
static void
collect_keys(const struct merging *m, enum measure_layout layout,
             struct measure_table *keys)
{
    MEASURE_TABLE_FOR_EACH (key, &m->report->tables[layout]) {
        measure_table_insert(keys, m->report->secret, key, 1, 0);
    }
    for (size_t i = 0; i < m->n; i++) {
        MEASURE_STRUCTURE_FOR_EACH (key, m->structures[i], layout) {
            measure_table_insert(keys, m->report->secret, key, 1, 0);
        }
    }
}

/* Makes room for 'n' keys in 'table', if there are any. */
static bool
reserve(const struct merging *m, struct measure_table *table, uint64_t n)
{
    return (!n || measure_table_reserve(table, n, m->report->secret,
                                        m->report->budget));
}

/* Returns false, with nothing changed, if there is no memory. */
static bool
merge_estimates(const struct merging *m)
{
    struct measure_report *report = m->report;
    struct measure_table keys[MEASURE_N_LAYOUTS];
    uint64_t n_keys[MEASURE_N_LAYOUTS];
    bool ok;

    memset(keys, 0, sizeof keys);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        keys[layout].layout = report->errors[layout].layout = layout;
        n_keys[layout] = measure_table_n_used(&report->tables[layout]);
        for (size_t i = 0; i < m->n; i++) {
            n_keys[layout] += measure_structure_n_keys(m->structures[i],
                                                       layout);
        }
    }
    ok = (reserve(m, &keys[MEASURE_NARROW],
                  n_keys[MEASURE_NARROW] + n_keys[MEASURE_WIDE])
          && reserve(m, &keys[MEASURE_WIDE], n_keys[MEASURE_WIDE]));
    if (ok) {
        collect_keys(m, MEASURE_NARROW, &keys[MEASURE_NARROW]);
        collect_keys(m, MEASURE_WIDE, &keys[MEASURE_WIDE]);
        MEASURE_TABLE_FOR_EACH (key, &keys[MEASURE_WIDE]) {
            uint64_t narrow[MEASURE_KEY_WORDS];

            if (narrow_key(report->key_kind, key, narrow)) {
                measure_table_insert(&keys[MEASURE_NARROW], report->secret,
                                     narrow, 1, 0);
            }
        }
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS && ok; layout++) {
        uint64_t n = measure_table_n_used(&keys[layout]);

        ok = (reserve(m, &report->tables[layout], n)
              && (!report->estimates
                  || reserve(m, &report->errors[layout], n)));
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (ok) {
            read_structures(m, layout, &keys[layout]);
        }
        measure_table_destroy(&keys[layout], report->budget);
    }
    return ok;
}

/* Counts as overflow what the structures counted: any key can have missed all
 * of it. */
static void
overflow_structures(const struct merging *m)
{
    struct measure_cell sum = { 0, 0 };

    for (size_t i = 0; i < m->n; i++) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            sum.packets += m->structures[i]->packets[layout];
            sum.bytes += m->structures[i]->bytes[layout];
        }
    }
    for (uint32_t i = 0; i < MEASURE_OVERFLOW_CELLS; i++) {
        measure_report_add_overflow(m->report, i, sum.packets, sum.bytes);
    }
    m->report->counters.overflow_packets += sum.packets;
    m->report->counters.overflow_bytes += sum.bytes;
}

/* Adds to the rows of 'report' what the structures of the 'n_tallies' tallies
 * know.  measure_report_note_structure() must have been told of all of
 * them. */
void
measure_report_merge_structures(struct measure_report *report,
                                struct measure_tally *const tallies[],
                                size_t n_tallies)
{
    struct merging m = {
        .report = report,
        .structures = measure_xzalloc(n_tallies * sizeof *m.structures),
    };

    for (size_t i = 0; i < n_tallies; i++) {
        struct measure_structure *structure = tallies[i]->structure;

        if (structure && tallies[i]->counters.packets) {
            m.structures[m.n++] = structure;
            for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
                m.packets[layout] += structure->packets[layout];
            }
        }
    }
    report->n_tables += m.n;
    if (m.n && !merge_estimates(&m)) {
        overflow_structures(&m);
    }
    free(m.structures);
}

/* Adds to '*packets_error' and '*bytes_error' by how much the count of 'key',
 * of the kind of key that 'report' is of, is too high at most. */
void
measure_report_add_error(const struct measure_report *report,
                         enum measure_layout layout, const uint64_t *key,
                         uint64_t *packets_error, uint64_t *bytes_error)
{
    uint64_t *error;

    if (report->estimates) {
        error = measure_table_find(&report->errors[layout], report->secret,
                                   key);
        if (error) {
            *packets_error += *measure_row_packets(error, layout) - 1;
            *bytes_error += *measure_row_bytes(error, layout);
        }
    }
}
