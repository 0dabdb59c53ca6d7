/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the report of an epoch from its closed tallies. */

#include <config.h>

#include "report/measure-merge.h"

#include <stdlib.h>

#include "base/measure-base.h"
#include "report/measure-aggregate.h"
#include "report/measure-partition.h"
#include "report/measure-report-estimates.h"

#define SAMPLE_ROWS 64          /* Of each part, to find large ones. */

/* Counts 'row' in the overflow array, for there was no memory for it. */
static void
overflow_row(struct measure_report *report, enum measure_layout layout,
             uint64_t *row)
{
    uint64_t hash = measure_masked_hash(report->secret, layout, row,
                                        &measure_masks[report->key_kind]);
    uint64_t packets = *measure_row_packets(row, layout);
    uint64_t bytes = *measure_row_bytes(row, layout);

    measure_report_add_overflow(report, hash, packets, bytes);
    report->counters.overflow_packets += packets;
    report->counters.overflow_bytes += bytes;
}

/* All that an epoch closed in one layout: linear tables, and, for a complete
 * report, structures. */
struct closed_tables {
    enum measure_layout layout;
    const struct measure_table **tables;
    size_t n;
    const struct measure_structure **structures;
    size_t n_structures;
    uint64_t n_rows;
    uint64_t n_structure_rows;  /* Of these. */
};

static void
find_tables(const struct measure_report *report,
            struct closed_tables *closed, enum measure_layout layout,
            struct measure_tally *const tallies[], size_t n_tallies)
{
    memset(closed, 0, sizeof *closed);
    closed->layout = layout;
    closed->tables = measure_xzalloc(n_tallies * MEASURE_TALLY_TABLES
                                     * sizeof *closed->tables);
    closed->structures = measure_xzalloc(n_tallies
                                         * sizeof *closed->structures);
    for (size_t i = 0; i < n_tallies; i++) {
        const struct measure_structure *structure = tallies[i]->structure;

        for (uint32_t j = 0; j < tallies[i]->n_tables[layout]; j++) {
            const struct measure_table *from = &tallies[i]->tables[layout][j];

            if (measure_table_n_used(from)) {
                closed->n_rows += measure_table_n_used(from);
                closed->tables[closed->n++] = from;
            }
        }
        if (report->complete && structure
            && measure_structure_n_keys(structure, layout)) {
            closed->n_structure_rows += measure_structure_n_keys(structure,
                                                                 layout);
            closed->structures[closed->n_structures++] = structure;
        }
    }
    closed->n_rows += closed->n_structure_rows;
}

/* Counts all of 'closed' as overflow.  The report stays right that way, if not
 * exact. */
static void
overflow_tables(struct measure_report *report,
                const struct closed_tables *closed)
{
    for (size_t i = 0; i < closed->n; i++) {
        MEASURE_TABLE_FOR_EACH (row, closed->tables[i]) {
            overflow_row(report, closed->layout, row);
        }
    }
    for (size_t i = 0; i < closed->n_structures; i++) {
        MEASURE_STRUCTURE_FOR_EACH (row, closed->structures[i],
                                    closed->layout) {
            overflow_row(report, closed->layout, row);
        }
    }
}

/* What one source has most of the rows of would be a partition that no cache
 * holds.  Hence the rows of a large part are written to several partitions, by
 * the hash of their flows: those of part 'i' to partitions 'first[i]' to
 * 'first[i + 1]' - 1.  'first' is NULL if each part is one partition. */
struct pieces {
    uint32_t *first;
    uint32_t n;                 /* Partitions. */
};

static inline uint32_t
part_of(const struct measure_report *report, enum measure_layout layout,
        const uint64_t *row)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout key_layout = measure_group_by_key(&report->part_group,
                                                          layout, row, key);

    return (measure_key_hash(report->secret, key_layout, key)
            & (report->n_parts - 1));
}

/* Adds to 'counts' the parts of the first 'n' rows of 'table'.  These are as
 * good as any: rows lie in the order of a hash.  Returns their number. */
static uint64_t
sample_table(const struct measure_report *report,
             const struct measure_table *table, uint64_t n, uint64_t *counts)
{
    uint64_t i = 0;

    MEASURE_TABLE_FOR_EACH (row, table) {
        if (i++ == n) {
            return n;
        }
        counts[part_of(report, table->layout, row)]++;
    }
    return i;
}

static uint64_t
sample_structure(const struct measure_report *report,
                 const struct measure_structure *structure,
                 enum measure_layout layout, uint64_t n, uint64_t *counts)
{
    uint64_t i = 0;

    MEASURE_STRUCTURE_FOR_EACH (row, structure, layout) {
        if (i++ == n) {
            return n;
        }
        counts[part_of(report, layout, row)]++;
    }
    return i;
}

/* Finds, by a few of the rows of 'closed', which parts are large. */
static void
find_pieces(const struct measure_report *report,
            const struct closed_tables *closed, struct pieces *pieces)
{
    enum measure_layout layout = closed->layout;
    uint32_t n_parts = report->n_parts;
    uint64_t *counts = measure_xzalloc(n_parts * sizeof *counts);
    uint64_t one_of = 1 + closed->n_rows / (n_parts * (uint64_t) SAMPLE_ROWS);
    uint64_t n = 0;

    for (size_t i = 0; i < closed->n; i++) {
        const struct measure_table *table = closed->tables[i];

        n += sample_table(report, table, measure_table_n_used(table) / one_of,
                          counts);
    }
    for (size_t i = 0; i < closed->n_structures; i++) {
        n += sample_structure(report, closed->structures[i], layout,
                              (closed->n_structure_rows
                               / closed->n_structures / one_of), counts);
    }
    pieces->first = measure_xzalloc((n_parts + 1) * sizeof *pieces->first);
    for (uint32_t i = 0; i < n_parts; i++) {
        uint64_t n_rows = n ? (double) counts[i] / n * closed->n_rows : 0;

        pieces->first[i + 1]
            = (pieces->first[i]
               + measure_partition_pieces(n_rows, closed->n_rows, n_parts,
                                          MEASURE_MAX_PARTITIONS));
    }
    pieces->n = pieces->first[n_parts];
    if (pieces->n == n_parts) {
        free(pieces->first);
        pieces->first = NULL;
    }
    free(counts);
}

MEASURE_SPECIALISED void
split_row(const struct measure_report *report, enum measure_layout layout,
          const struct pieces *pieces, uint64_t *row,
          struct measure_partitions *partitions)
{
    uint32_t i = part_of(report, layout, row);

    if (pieces->first) {
        uint32_t first = pieces->first[i];
        uint32_t n = pieces->first[i + 1] - first;

        i = first;
        if (n > 1) {
            i += (measure_masked_hash(report->secret, layout, row,
                                      &measure_masks[MEASURE_KIND_FLOW])
                  & (n - 1));
        }
    }
    measure_partitions_add_to(partitions, layout, i, row,
                              *measure_row_packets(row, layout),
                              *measure_row_bytes(row, layout));
}

/* Writes the rows of 'closed', which are of 'layout', to 'partitions'. */
MEASURE_SPECIALISED void
split_tables(const struct measure_report *report, enum measure_layout layout,
             const struct closed_tables *closed, const struct pieces *pieces,
             struct measure_partitions *partitions)
{
    for (size_t i = 0; i < closed->n; i++) {
        MEASURE_TABLE_FOR_EACH (row, closed->tables[i]) {
            split_row(report, layout, pieces, row, partitions);
        }
    }
    for (size_t i = 0; i < closed->n_structures; i++) {
        MEASURE_STRUCTURE_FOR_EACH (row, closed->structures[i],
                                    closed->layout) {
            split_row(report, layout, pieces, row, partitions);
        }
    }
}

/* Adds up the rows of one partition, behind those that 'aggregate' has.
 * Returns false if there is no memory. */
static bool
merge_partition(struct measure_report *report,
                const struct measure_partitions *partitions, uint32_t i,
                struct measure_aggregate *aggregate)
{
    struct measure_chunk chunk = { .number = 0 };

    if (!measure_aggregate_begin(aggregate,
                                 measure_partition_n_rows(partitions, i))) {
        return false;
    }
    while (measure_partition_next_chunk(partitions, i, &chunk)) {
        if (!measure_aggregate_add_flows(aggregate, chunk.rows, chunk.n,
                                         &report->several_ports)) {
            return false;
        }
    }
    return true;
}

/* Returns false if there is no memory, with nothing changed. */
MEASURE_SPECIALISED bool
merge__(struct measure_report *report, enum measure_layout layout,
        const struct closed_tables *closed)
{
    const uint64_t *mask
        = measure_count_masks[MEASURE_KIND_FLOW].words[layout];
    struct measure_partitions partitions;
    struct measure_aggregate aggregate;
    struct pieces pieces;
    uint32_t partition = 0;
    uint64_t n_keys;
    bool ok;

    /* A little more than expected, lest all must be copied. */
    n_keys = (measure_table_estimate(closed->tables, closed->n, mask,
                                     report->secret) * 1.06
              + closed->n_structure_rows);
    measure_aggregate_init(&aggregate, layout, report->secret, report->budget);
    aggregate.lasting = true;
    find_pieces(report, closed, &pieces);
    ok = (measure_partitions_init(&partitions, layout, closed->n_rows,
                                  pieces.n, report->budget)
          && measure_aggregate_reserve(&aggregate,
                                       measure_min(n_keys, closed->n_rows)
                                       + MEASURE_AGGREGATE_BATCH));
    if (ok) {
        split_tables(report, layout, closed, &pieces, &partitions);
    }
    for (uint32_t i = 0; ok && i < report->n_parts; i++) {
        uint32_t end = pieces.first ? pieces.first[i + 1] : i + 1;

        report->parts[layout][i] = aggregate.n;
        while (ok && partition < end) {
            ok = merge_partition(report, &partitions, partition++, &aggregate);
        }
    }
    free(pieces.first);
    measure_partitions_destroy(&partitions, report->budget);
    if (ok) {
        measure_aggregate_fit(&aggregate);
        report->parts[layout][report->n_parts] = aggregate.n;
        report->table_sizes[layout] = aggregate.size;
        measure_aggregate_view(&aggregate, &report->tables[layout]);
        aggregate.rows = NULL;  /* They stay. */
    }
    measure_aggregate_destroy(&aggregate);
    return ok;
}

/* Puts the rows of 'closed' into parts.  Returns false if there is no
 * memory. */
static bool
merge_parts(struct measure_report *report, const struct closed_tables *closed)
{
    enum measure_layout layout = closed->layout;
    size_t size = (report->n_parts + 1) * sizeof *report->parts[layout];

    report->parts[layout] = measure_xzalloc(size);
    if (closed->n_rows
        && !(layout == MEASURE_NARROW ? merge__(report, MEASURE_NARROW, closed)
             : merge__(report, MEASURE_WIDE, closed))) {
        memset(report->parts[layout], 0, size);
        return false;
    }
    return true;
}

/* The same for a report that will not have every key: its rows are those of
 * its own kind of key, in a linear table.  There are few here, those of
 * tallies that had no memory for their structure. */
static bool
merge_linear(struct measure_report *report, const struct closed_tables *closed)
{
    struct measure_table *table = &report->tables[closed->layout];
    const uint64_t *mask
        = measure_masks[report->key_kind].words[closed->layout];

    if (closed->n
        && !measure_table_reserve(table, closed->n_rows, report->secret,
                                  report->budget)) {
        return false;
    }
    for (size_t i = 0; i < closed->n; i++) {
        measure_table_merge(table, closed->tables[i], mask, report->secret);
    }
    return true;
}

static void
merge_layout(struct measure_report *report, const struct closed_tables *closed)
{
    report->tables[closed->layout].layout = closed->layout;
    report->n_tables += closed->n + closed->n_structures;
    if (!(report->complete ? merge_parts(report, closed)
          : merge_linear(report, closed))) {
        overflow_tables(report, closed);
    }
}

/* Returns the report of what the 'n_tallies' tallies counted, all of which
 * must have counted keys of kind 'key_kind' hashed with 'secret'.  No packet
 * thread may use them any more. */
struct measure_report *
measure_report_merge(struct measure_tally *const tallies[], size_t n_tallies,
                     enum measure_key_kind key_kind,
                     const struct measure_hash_secret *secret,
                     struct measure_budget *budget)
{
    struct measure_report *report = measure_xzalloc(sizeof *report);
    struct closed_tables closed[MEASURE_N_LAYOUTS];
    uint64_t n_rows = 0;

    report->key_kind = key_kind;
    report->secret = secret;
    report->budget = budget;
    report->complete = true;

    for (size_t i = 0; i < n_tallies; i++) {
        const struct measure_tally *tally = tallies[i];

        assert(tally->key_kind == key_kind && tally->secret == secret);
        measure_counters_add(&report->counters, &tally->counters);
        if (tally->structure) {
            measure_report_note_structure(report, tally->structure);
        }
        if (tally->counters.overflow_packets) {
            for (uint32_t j = 0; j < MEASURE_OVERFLOW_CELLS; j++) {
                measure_report_add_overflow(report, j,
                                            tally->overflow[j].packets,
                                            tally->overflow[j].bytes);
            }
        }
    }

    measure_group_by_init(&report->part_group,
                          (measure_kind_has_source(key_kind)
                           ? MEASURE_FIELD_SOURCE : MEASURE_FIELD_DESTINATION),
                          128, 128);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        find_tables(report, &closed[layout], layout, tallies, n_tallies);
        n_rows += closed[layout].n_rows;
    }
    report->n_parts = report->complete ? measure_partitions_for(n_rows) : 0;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        merge_layout(report, &closed[layout]);
        free(closed[layout].tables);
        free(closed[layout].structures);
    }
    if (report->complete) {
        report->group_cache = measure_group_cache_create(budget);
    } else {
        measure_report_merge_structures(report, tallies, n_tallies);
    }
    return report;
}

/* Adds a copy of 'row' at '*to', or counts it as overflow if that is NULL. */
MEASURE_SPECIALISED void
keep_row(struct measure_report_thread *thread, enum measure_layout layout,
         uint64_t *row, uint64_t **to)
{
    if (*to) {
        size_t row_words = measure_row_words(layout);

        memcpy(*to, row, row_words * sizeof *row);
        *to += row_words;
        thread->tables[layout].n_used++;
    } else {
        thread->counters.overflow_packets
            += *measure_row_packets(row, layout);
        thread->counters.overflow_bytes += *measure_row_bytes(row, layout);
    }
}

/* Copies the rows of 'tally' to 'thread', or counts them as overflow if there
 * is no memory. */
static void
keep_rows(struct measure_report *report, struct measure_report_thread *thread,
          enum measure_layout layout, const struct measure_tally *tally)
{
    struct measure_table *table = &thread->tables[layout];
    size_t per_line = measure_rows_per_line(layout);
    uint64_t n_rows = 0;
    uint64_t *to;

    table->layout = layout;
    for (uint32_t i = 0; i < tally->n_tables[layout]; i++) {
        n_rows += measure_table_n_used(&tally->tables[layout][i]);
    }
    if (tally->structure) {
        n_rows += measure_structure_n_keys(tally->structure, layout);
    }
    if (!n_rows) {
        return;
    }
    to = (measure_table_init(table, layout,
                             (n_rows + per_line - 1) / per_line,
                             report->budget, MEASURE_ANY_NODE)
          ? table->rows : NULL);
    for (uint32_t i = 0; i < tally->n_tables[layout]; i++) {
        MEASURE_TABLE_FOR_EACH (row, &tally->tables[layout][i]) {
            keep_row(thread, layout, row, &to);
        }
    }
    if (tally->structure) {
        MEASURE_STRUCTURE_FOR_EACH (row, tally->structure, layout) {
            keep_row(thread, layout, row, &to);
        }
    }
}

/* Keeps in 'thread' the report of what the threads on its core counted in
 * structures that do not have every key: what each of them knows of a key must
 * be added up now. */
static void
keep_report(struct measure_report *report,
            struct measure_report_thread *thread,
            struct measure_tally *const tallies[], const unsigned int cores[],
            size_t n_tallies)
{
    struct measure_tally **chosen
        = measure_xzalloc(n_tallies * sizeof *chosen);
    size_t n = 0;

    for (size_t i = 0; i < n_tallies; i++) {
        if (cores[i] == thread->core) {
            chosen[n++] = tallies[i];
        }
    }
    thread->report = measure_report_merge(chosen, n, report->key_kind,
                                          report->secret, report->budget);
    thread->counters = thread->report->counters;
    free(chosen);
}

static bool
has_thread(const struct measure_report *report, unsigned int core)
{
    for (size_t i = 0; i < report->n_threads; i++) {
        if (report->threads[i].core == core) {
            return true;
        }
    }
    return false;
}

/* Keeps in 'report', which was made from the 'n_tallies' 'tallies', what each
 * of them counted, so that it can be asked about the threads on 'cores' one by
 * one.  Several tallies may be of the same core. */
void
measure_report_keep_threads(struct measure_report *report,
                            struct measure_tally *const tallies[],
                            const unsigned int cores[], size_t n_tallies)
{
    report->threads = measure_xzalloc(n_tallies * sizeof *report->threads);
    for (size_t i = 0; i < n_tallies; i++) {
        struct measure_report_thread *thread
            = &report->threads[report->n_threads];

        if (!report->complete && has_thread(report, cores[i])) {
            continue;
        }
        report->n_threads++;
        thread->core = cores[i];
        thread->counters = tallies[i]->counters;
        if (!report->complete) {
            if (n_tallies > 1) {
                keep_report(report, thread, tallies, cores, n_tallies);
            }
            continue;
        }
        for (int layout = 0; layout < MEASURE_N_LAYOUTS && n_tallies > 1;
             layout++) {
            keep_rows(report, thread, layout, tallies[i]);
        }
    }
}
