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

#include "measure-report.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure-groups.h"
#include "measure-partition.h"
#include "measure-report-structures.h"

/* Groups of that share of the keys are expected at first. */
#define FEWEST_GROUPS 16

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

/* Counts 'row' in the overflow array, for there was no memory for it. */
static void
overflow_row(struct measure_report *report, enum measure_family family,
             uint64_t *row)
{
    uint64_t hash = measure_masked_hash(report->secret, family, row,
                                        &measure_masks[report->by]);
    uint64_t packets = *measure_row_packets(row, family);
    uint64_t bytes = *measure_row_bytes(row, family);

    measure_report_add_overflow(report, hash, packets, bytes);
    report->counters.overflow_packets += packets;
    report->counters.overflow_bytes += bytes;
}

/* All that an epoch closed in tables of one family: linear ones, and, for a
 * complete report, cuckoo tables. */
struct closed_tables {
    enum measure_family family;
    const struct measure_table **tables;
    size_t n;
    const struct measure_cuckoo **cuckoos;
    size_t n_cuckoos;
    uint64_t n_rows;
    uint64_t n_cuckoo_rows;     /* Of these. */
};

static void
find_tables(const struct measure_report *report,
            struct closed_tables *closed, enum measure_family family,
            struct measure_set *const sets[], size_t n_sets)
{
    memset(closed, 0, sizeof *closed);
    closed->family = family;
    closed->tables = measure_xzalloc(n_sets * MEASURE_SET_TABLES
                                     * sizeof *closed->tables);
    closed->cuckoos = measure_xzalloc(n_sets * sizeof *closed->cuckoos);
    for (size_t i = 0; i < n_sets; i++) {
        const struct measure_structure *structure = sets[i]->structure;

        for (uint32_t j = 0; j < sets[i]->n_tables[family]; j++) {
            const struct measure_table *from = &sets[i]->tables[family][j];

            if (measure_table_n_used(from)) {
                closed->n_rows += measure_table_n_used(from);
                closed->tables[closed->n++] = from;
            }
        }
        if (report->complete && structure
            && measure_structure_n_keys(structure, family)) {
            closed->n_cuckoo_rows += measure_structure_n_keys(structure,
                                                              family);
            closed->cuckoos[closed->n_cuckoos++]
                = &structure->u[family].cuckoo;
        }
    }
    closed->n_rows += closed->n_cuckoo_rows;
}

/* Counts all of 'closed' as overflow.  The report stays right that way, if not
 * exact. */
static void
overflow_tables(struct measure_report *report,
                const struct closed_tables *closed)
{
    for (size_t i = 0; i < closed->n; i++) {
        MEASURE_TABLE_FOR_EACH (row, closed->tables[i]) {
            overflow_row(report, closed->family, row);
        }
    }
    for (size_t i = 0; i < closed->n_cuckoos; i++) {
        MEASURE_CUCKOO_FOR_EACH (row, closed->cuckoos[i]) {
            overflow_row(report, closed->family, row);
        }
    }
}

static inline void
split_row(const struct measure_report *report, enum measure_family family,
          uint64_t *row, struct measure_partitions *partitions)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_family layout = measure_group_key(&report->part_group,
                                                   family, row, key);

    measure_partitions_add(partitions, family,
                           measure_key_hash(report->secret, layout, key),
                           row, *measure_row_packets(row, family),
                           *measure_row_bytes(row, family));
}

/* Writes the rows of 'closed', which are of 'family', to 'partitions'. */
static inline void
split_tables(const struct measure_report *report, enum measure_family family,
             const struct closed_tables *closed,
             struct measure_partitions *partitions)
{
    for (size_t i = 0; i < closed->n; i++) {
        MEASURE_TABLE_FOR_EACH (row, closed->tables[i]) {
            split_row(report, family, row, partitions);
        }
    }
    for (size_t i = 0; i < closed->n_cuckoos; i++) {
        MEASURE_CUCKOO_FOR_EACH (row, closed->cuckoos[i]) {
            split_row(report, family, row, partitions);
        }
    }
}

/* Adds up the rows of the 'part'th partition, behind those that 'groups' has.
 * Returns false if there is no memory. */
static bool
merge_part(struct measure_report *report,
           const struct measure_partitions *partitions, uint32_t part,
           struct measure_groups *groups)
{
    size_t row_size = measure_row_words(groups->layout) * sizeof(uint64_t);
    struct measure_chunk chunk = { .number = 0 };

    if (!measure_groups_begin(groups, measure_partition_n_rows(partitions,
                                                               part))) {
        return false;
    }
    while (measure_partition_next_chunk(partitions, part, &chunk)) {
        if (!measure_groups_reserve(groups, chunk.n)) {
            return false;
        }
        memcpy(measure_groups_tail(groups), chunk.rows, chunk.n * row_size);
        if (measure_groups_take_flows(groups, chunk.n)) {
            report->several_ports = true;
        }
    }
    return true;
}

/* Returns false if there is no memory, with nothing changed. */
static inline bool
merge__(struct measure_report *report, enum measure_family family,
        const struct closed_tables *closed)
{
    const uint64_t *mask = measure_count_masks[MEASURE_BY_FLOW].words[family];
    struct measure_partitions partitions;
    struct measure_groups groups;
    uint64_t n_keys;
    bool ok;

    /* A little more than expected, lest all must be copied. */
    n_keys = (measure_table_estimate(closed->tables, closed->n, mask,
                                     report->secret) * 1.06
              + closed->n_cuckoo_rows);
    measure_groups_init(&groups, family, report->secret, report->budget);
    groups.lasting = true;
    ok = (measure_partitions_init(&partitions, family, closed->n_rows,
                                  report->n_parts, report->budget)
          && measure_groups_reserve(&groups, (n_keys < closed->n_rows
                                              ? n_keys : closed->n_rows)
                                             + MEASURE_GROUPS_BATCH));
    if (ok) {
        split_tables(report, family, closed, &partitions);
    }
    for (uint32_t i = 0; ok && i < report->n_parts; i++) {
        report->parts[family][i] = groups.n;
        ok = merge_part(report, &partitions, i, &groups);
    }
    measure_partitions_destroy(&partitions, report->budget);
    if (ok) {
        measure_groups_fit(&groups);
        report->parts[family][report->n_parts] = groups.n;
        report->table_sizes[family] = groups.size;
        measure_groups_view(&groups, &report->tables[family]);
        groups.rows = NULL;     /* They stay. */
    }
    measure_groups_destroy(&groups);
    return ok;
}

/* Puts the rows of 'closed' into parts.  Returns false if there is no
 * memory. */
static bool
merge_parts(struct measure_report *report, const struct closed_tables *closed)
{
    enum measure_family family = closed->family;
    size_t size = (report->n_parts + 1) * sizeof *report->parts[family];

    report->parts[family] = measure_xzalloc(size);
    if (closed->n_rows
        && !(family == MEASURE_IPV4 ? merge__(report, MEASURE_IPV4, closed)
             : merge__(report, MEASURE_IPV6, closed))) {
        memset(report->parts[family], 0, size);
        return false;
    }
    return true;
}

/* The same for a report that will not have every key: its rows are those of
 * its own kind of key, in a linear table.  There are few here, those of sets
 * that had no memory for their structure. */
static bool
merge_linear(struct measure_report *report, const struct closed_tables *closed)
{
    struct measure_table *table = &report->tables[closed->family];

    if (closed->n
        && !measure_table_reserve(table, closed->n_rows, report->secret,
                                  report->budget)) {
        return false;
    }
    for (size_t i = 0; i < closed->n; i++) {
        measure_table_merge(table, closed->tables[i],
                            measure_masks[report->by].words[closed->family],
                            report->secret);
    }
    return true;
}

static void
merge_family(struct measure_report *report, const struct closed_tables *closed)
{
    report->tables[closed->family].family = closed->family;
    report->n_tables += closed->n + closed->n_cuckoos;
    if (!(report->complete ? merge_parts(report, closed)
          : merge_linear(report, closed))) {
        overflow_tables(report, closed);
    }
}

/* Returns the report of what the 'n_sets' sets counted, all of which must have
 * counted keys of kind 'by' hashed with 'secret'.  No packet thread may use
 * them any more. */
struct measure_report *
measure_report_merge(struct measure_set *const sets[], size_t n_sets,
                     enum measure_by by,
                     const struct measure_hash_secret *secret,
                     struct measure_budget *budget)
{
    struct measure_report *report = measure_xzalloc(sizeof *report);
    struct closed_tables closed[MEASURE_N_FAMILIES];
    uint64_t n_rows = 0;

    report->by = by;
    report->secret = secret;
    report->budget = budget;
    report->complete = true;

    for (size_t i = 0; i < n_sets; i++) {
        const struct measure_set *set = sets[i];

        assert(set->by == by && set->secret == secret);
        measure_counters_add(&report->counters, &set->counters);
        if (set->structure) {
            measure_report_note_structure(report, set->structure);
        }
        if (set->counters.overflow_packets) {
            for (uint32_t j = 0; j < MEASURE_OVERFLOW_CELLS; j++) {
                measure_report_add_overflow(report, j,
                                            set->overflow[j].packets,
                                            set->overflow[j].bytes);
            }
        }
    }

    measure_group_init(&report->part_group,
                       (measure_by_has_source(by) ? MEASURE_FIELD_SOURCE
                        : MEASURE_FIELD_DESTINATION), 128, 128);
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        find_tables(report, &closed[family], family, sets, n_sets);
        n_rows += closed[family].n_rows;
    }
    report->n_parts = report->complete ? measure_partitions_for(n_rows) : 0;
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        merge_family(report, &closed[family]);
        free(closed[family].tables);
        free(closed[family].cuckoos);
    }
    if (!report->complete) {
        measure_report_merge_structures(report, sets, n_sets);
    }
    return report;
}

/* Adds a copy of 'row' at '*to', or counts it as overflow if that is NULL. */
static inline void
keep_row(struct measure_section *section, enum measure_family family,
         uint64_t *row, uint64_t **to)
{
    if (*to) {
        size_t row_words = measure_row_words(family);

        memcpy(*to, row, row_words * sizeof *row);
        *to += row_words;
        section->tables[family].n_used++;
    } else {
        section->counters.overflow_packets
            += *measure_row_packets(row, family);
        section->counters.overflow_bytes += *measure_row_bytes(row, family);
    }
}

/* Copies the rows of 'set' to 'section', or counts them as overflow if there
 * is no memory. */
static void
keep_rows(struct measure_report *report, struct measure_section *section,
          enum measure_family family, const struct measure_set *set)
{
    struct measure_table *table = &section->tables[family];
    size_t per_line = measure_rows_per_line(family);
    uint64_t n_rows = 0;
    uint64_t *to;

    table->family = family;
    for (uint32_t i = 0; i < set->n_tables[family]; i++) {
        n_rows += measure_table_n_used(&set->tables[family][i]);
    }
    if (set->structure) {
        n_rows += measure_structure_n_keys(set->structure, family);
    }
    if (!n_rows) {
        return;
    }
    to = (measure_table_init(table, family,
                             (n_rows + per_line - 1) / per_line,
                             report->budget, MEASURE_ANY_NODE)
          ? table->rows : NULL);
    for (uint32_t i = 0; i < set->n_tables[family]; i++) {
        MEASURE_TABLE_FOR_EACH (row, &set->tables[family][i]) {
            keep_row(section, family, row, &to);
        }
    }
    if (set->structure) {
        MEASURE_CUCKOO_FOR_EACH (row, &set->structure->u[family].cuckoo) {
            keep_row(section, family, row, &to);
        }
    }
}

/* Keeps in 'section' the report of what the threads on its core counted in
 * structures that do not have every key: what each of them knows of a key must
 * be added up now. */
static void
keep_report(struct measure_report *report, struct measure_section *section,
            struct measure_set *const sets[], const unsigned int cores[],
            size_t n_sets)
{
    struct measure_set **chosen = measure_xzalloc(n_sets * sizeof *chosen);
    size_t n = 0;

    for (size_t i = 0; i < n_sets; i++) {
        if (cores[i] == section->core) {
            chosen[n++] = sets[i];
        }
    }
    section->report = measure_report_merge(chosen, n, report->by,
                                           report->secret, report->budget);
    section->counters = section->report->counters;
    free(chosen);
}

static bool
has_section(const struct measure_report *report, unsigned int core)
{
    for (size_t i = 0; i < report->n_sections; i++) {
        if (report->sections[i].core == core) {
            return true;
        }
    }
    return false;
}

/* Keeps in 'report', which was made from the 'n_sets' 'sets', what each of
 * them counted, so that it can be asked about the threads on 'cores' one by
 * one.  Several sets may be of the same core. */
void
measure_report_keep_sections(struct measure_report *report,
                             struct measure_set *const sets[],
                             const unsigned int cores[], size_t n_sets)
{
    report->sections = measure_xzalloc(n_sets * sizeof *report->sections);
    for (size_t i = 0; i < n_sets; i++) {
        struct measure_section *section
            = &report->sections[report->n_sections];

        if (!report->complete && has_section(report, cores[i])) {
            continue;
        }
        report->n_sections++;
        section->core = cores[i];
        section->counters = sets[i]->counters;
        if (!report->complete) {
            if (n_sets > 1) {
                keep_report(report, section, sets, cores, n_sets);
            }
            continue;
        }
        for (int family = 0; family < MEASURE_N_FAMILIES && n_sets > 1;
             family++) {
            keep_rows(report, section, family, sets[i]);
        }
    }
}

void
measure_report_destroy(struct measure_report *report)
{
    if (report) {
        for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
            if (report->complete) {
                measure_memory_give(report->budget,
                                    report->tables[family].rows,
                                    report->table_sizes[family], true);
            } else {
                measure_table_destroy(&report->tables[family],
                                      report->budget);
            }
            measure_table_destroy(&report->errors[family], report->budget);
            free(report->parts[family]);
        }
        for (size_t i = 0; i < report->n_sections; i++) {
            for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
                measure_table_destroy(&report->sections[i].tables[family],
                                      report->budget);
            }
            measure_report_destroy(report->sections[i].report);
        }
        free(report->sections);
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
                      + report->n_sections * sizeof *report->sections);

    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        bytes += ((report->complete
                   ? (report->table_sizes[family]
                      + ((report->n_parts + 1)
                         * sizeof *report->parts[family]))
                   : measure_table_bytes(&report->tables[family]))
                  + measure_table_bytes(&report->errors[family]));
    }
    for (size_t i = 0; i < report->n_sections; i++) {
        const struct measure_section *section = &report->sections[i];

        for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
            bytes += measure_table_bytes(&section->tables[family]);
        }
        if (section->report) {
            bytes += measure_report_bytes(section->report);
        }
    }
    return bytes;
}

/* Returns true if every count of the report is exact. */
bool
measure_report_exact(const struct measure_report *report)
{
    return !report->counters.overflow_packets && !report->estimates;
}

/* Returns which of its counts the true ones are not beyond, if 'report' is not
 * exact: a count with its error subtracted is not too high for an upper bound,
 * and one with its error added not too low for a lower bound. */
const char *
measure_report_estimate(const struct measure_report *report)
{
    return (!report->estimates ? "lower-bound"
            : report->counters.overflow_packets ? "either" : "upper-bound");
}

/* Returns true if rows of kind 'by' can be made of those of 'report'. */
bool
measure_report_derives(const struct measure_report *report,
                       enum measure_by by)
{
    return (report->complete ? measure_by_derives(report->by, by)
            : report->by == by);
}

static bool
is_heavy(const struct measure_report *report,
         const struct measure_question *question,
         const struct measure_row *row)
{
    /* At least the resolution of the clock. */
    double seconds = (report->duration_ms ? report->duration_ms : 1) / 1000.0;
    double value = question->threshold.value;
    double size, threshold;

    switch (question->threshold.unit) {
    case MEASURE_BITS_PER_SECOND:
        size = row->bytes * 8.0;
        threshold = value * seconds;
        break;

    case MEASURE_PACKETS_PER_SECOND:
        size = row->packets;
        threshold = value * seconds;
        break;

    case MEASURE_SHARE:
    default:
        if (question->sort == MEASURE_SORT_BYTES) {
            size = row->bytes * 100.0;
            threshold = value * report->counters.bytes;
        } else {
            size = row->packets * 100.0;
            threshold = value * report->counters.packets;
        }
        break;
    }

    /* A key just at the threshold must not be lost to rounding. */
    return size >= threshold * (1 - 1e-12);
}

static void
bound_error(const struct measure_report *report, enum measure_by by,
            enum measure_family family, const uint64_t *key,
            struct measure_row *row)
{
    if (measure_report_exact(report)) {
        return;
    }

    if (report->counters.overflow_packets) {
        uint64_t hash = measure_key_hash(report->secret, family, key);
        const struct measure_overflow_cell *cell
            = &report->overflow[measure_overflow_cell(hash)];

        row->packets_error_max = (by == report->by ? cell->packets
                                  : report->counters.overflow_packets);
        row->bytes_error_max = (by == report->by ? cell->bytes
                                : report->counters.overflow_bytes);
    }
    measure_report_add_error(report, family, key, &row->packets_error_max,
                             &row->bytes_error_max);
}

static int
compare_rows(const struct measure_row *a, const struct measure_row *b,
             enum measure_sort sort)
{
    uint64_t a_size = sort == MEASURE_SORT_BYTES ? a->bytes : a->packets;
    uint64_t b_size = sort == MEASURE_SORT_BYTES ? b->bytes : b->packets;

    return (a_size > b_size ? -1
            : a_size < b_size ? 1
            : measure_fields_compare(&a->fields, &b->fields));
}

static int
compare_packets(const void *a, const void *b)
{
    return compare_rows(a, b, MEASURE_SORT_PACKETS);
}

static int
compare_bytes(const void *a, const void *b)
{
    return compare_rows(a, b, MEASURE_SORT_BYTES);
}

/* Restores the heap order of 'rows', smallest first, from 'i' down. */
static void
sift_down(struct measure_row *rows, size_t n, size_t i,
          enum measure_sort sort)
{
    for (;;) {
        size_t child = 2 * i + 1;
        struct measure_row row = rows[i];

        if (child + 1 < n
            && compare_rows(&rows[child + 1], &rows[child], sort) > 0) {
            child++;
        }
        if (child >= n || compare_rows(&rows[child], &row, sort) <= 0) {
            return;
        }
        rows[i] = rows[child];
        rows[child] = row;
        i = child;
    }
}

/* Adds 'row' to 'answer'.  Of more than 'question->n' rows the largest stay:
 * they are in a heap then, the smallest first.  Returns false if there is no
 * memory. */
static bool
add_row(struct measure_answer *answer, size_t *allocated,
        const struct measure_question *question, const struct measure_row *row)
{
    struct measure_row *rows = answer->rows;
    size_t n = answer->n_rows;

    if (question->n && n == question->n) {
        if (compare_rows(row, &rows[0], question->sort) < 0) {
            rows[0] = *row;
            sift_down(rows, n, 0, question->sort);
        }
        return true;
    }
    if (n == *allocated) {
        *allocated = *allocated * 2 + 64;
        rows = realloc(rows, *allocated * sizeof *rows);
        if (!rows) {
            return false;
        }
        answer->rows = rows;
    }
    rows[answer->n_rows++] = *row;
    if (answer->n_rows == question->n) {
        for (size_t i = answer->n_rows / 2; i-- > 0; ) {
            sift_down(rows, answer->n_rows, i, question->sort);
        }
    }
    return true;
}

/* Adds the rows of 'table', of keys of kind 'question->by', to 'answer'. */
static bool
add_table(const struct measure_report *report,
          const struct measure_question *question,
          const struct measure_table *table, struct measure_answer *answer,
          size_t *allocated)
{
    enum measure_family family = table->family;

    answer->other_keys += measure_table_n_used(table);
    MEASURE_TABLE_FOR_EACH (key, table) {
        struct measure_row row = {
            .packets = *measure_row_packets(key, family),
            .bytes = *measure_row_bytes(key, family),
        };

        row.heavy = is_heavy(report, question, &row);
        if (question->heavy_only && !row.heavy) {
            continue;
        }
        measure_fields_from_key(&row.fields, family, key);
        bound_error(report, question->by, family, key, &row);
        if (!add_row(answer, allocated, question, &row)) {
            return false;
        }
    }
    return true;
}

/* Like add_table(), for a 'table' of finer keys. */
static bool
add_groups(const struct measure_report *report,
           const struct measure_question *question,
           const struct measure_table *table, struct measure_answer *answer,
           size_t *allocated)
{
    enum measure_family family = table->family;
    struct measure_budget scratch = { 0 };
    struct measure_table groups;
    uint64_t n_keys = measure_table_n_used(table);
    uint32_t n_lines
        = measure_table_lines_for(family, n_keys / FEWEST_GROUPS + 1);
    bool ok = (measure_table_init(&groups, family, n_lines, &scratch,
                                  MEASURE_ANY_NODE)
               && measure_table_merge_growing(
                   &groups, table, measure_masks[question->by].words[family],
                   report->secret, n_keys, &scratch)
               && add_table(report, question, &groups, answer, allocated));

    measure_table_destroy(&groups, &scratch);
    return ok;
}

static uint64_t
subtract(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Answers 'question', whose 'by' must derive from the key of the report (see
 * measure_report_derives()).  Rows of equal size are in the order of
 * measure_fields_compare().  Returns false, with no rows, if there is no
 * memory.  In any case the caller must destroy the answer. */
bool
measure_report_ask(const struct measure_report *report,
                   const struct measure_question *question,
                   struct measure_answer *answer)
{
    bool group = (question->by != report->by
                  || report->by == MEASURE_BY_FLOW);
    size_t allocated = 0;

    assert(measure_report_derives(report, question->by));
    memset(answer, 0, sizeof *answer);

    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        const struct measure_table *table = &report->tables[family];

        if (!(group
              ? add_groups(report, question, table, answer, &allocated)
              : add_table(report, question, table, answer, &allocated))) {
            answer->n_rows = 0;
            return false;
        }
    }

    if (answer->n_rows) {
        qsort(answer->rows, answer->n_rows, sizeof *answer->rows,
              (question->sort == MEASURE_SORT_BYTES
               ? compare_bytes : compare_packets));
    }

    answer->other_keys -= answer->n_rows;
    answer->other_packets = report->counters.packets;
    answer->other_bytes = report->counters.bytes;
    for (size_t i = 0; i < answer->n_rows; i++) {
        /* Estimates may add up to more than there is. */
        answer->other_packets = subtract(answer->other_packets,
                                         answer->rows[i].packets);
        answer->other_bytes = subtract(answer->other_bytes,
                                       answer->rows[i].bytes);
    }
    return true;
}

void
measure_answer_destroy(struct measure_answer *answer)
{
    free(answer->rows);
}

static void
write_address(struct measure_output *o, const char *name,
              enum measure_family family, const uint8_t *address)
{
    char s[INET6_ADDRSTRLEN];

    inet_ntop(family == MEASURE_IPV4 ? AF_INET : AF_INET6, address, s,
              sizeof s);
    measure_output_string(o, name, s);
}

static void
write_row(struct measure_output *o, const struct measure_report *report,
          const struct measure_question *question,
          const struct measure_row *row)
{
    const struct measure_fields *fields = &row->fields;

    measure_output_open_row(o);
    if (measure_by_has_source(question->by)) {
        write_address(o, "source", fields->family, fields->source);
    }
    if (measure_by_has_destination(question->by)) {
        write_address(o, "destination", fields->family, fields->destination);
    }
    if (question->by == MEASURE_BY_FLOW) {
        measure_output_uint(o, "protocol", fields->protocol);
        measure_output_uint(o, "source-port", fields->source_port);
        measure_output_uint(o, "destination-port", fields->destination_port);
        if (fields->vlan && !measure_output_is_text(o)) {
            measure_output_uint(o, "vlan", fields->vlan);
        }
        if (fields->tunnelled && !measure_output_is_text(o)) {
            measure_output_uint(o, "tunnel", fields->tunnel);
        }
    }
    measure_output_uint(o, "packets", row->packets);
    measure_output_uint(o, "bytes", row->bytes);
    if (!measure_report_exact(report) || !measure_output_is_text(o)) {
        measure_output_uint(o, "packets-error-max", row->packets_error_max);
        measure_output_uint(o, "bytes-error-max", row->bytes_error_max);
    }
    measure_output_percentage(o, "packets-percentage-of-total", row->packets,
                              report->counters.packets);
    measure_output_bool(o, "heavy", row->heavy);
    measure_output_close(o);
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

/* Writes the members of one bridge: the epoch, its totals, and the heavy
 * hitters that 'question' asks for.  'threshold_text' says the threshold as
 * it was configured.  Returns false if there is no memory. */
bool
measure_report_write(struct measure_output *o,
                     const struct measure_report *report,
                     const struct measure_question *question,
                     const char *threshold_text)
{
    const struct measure_counters *counters = &report->counters;
    struct measure_answer answer;
    char note[128];

    if (!measure_report_ask(report, question, &answer)) {
        measure_answer_destroy(&answer);
        return false;
    }

    measure_output_open_line(o, "epoch");
    measure_output_uint(o, "number", report->number);
    measure_output_time_ms(o, "start-ms", report->start_ms);
    measure_output_uint(o, "duration-ms", report->duration_ms);
    measure_output_close(o);

    measure_output_bool(o, "exact", measure_report_exact(report));
    measure_counters_write(o, counters, !measure_report_exact(report));
    if (!measure_report_exact(report)) {
        measure_output_note(o, "Not all keys found a place in the tables: "
                            "counts may be too low by up to their error.");
    }

    snprintf(note, sizeof note, "Keys by %s, largest %s first, heavy from %s.",
             measure_by_name(question->by),
             question->sort == MEASURE_SORT_BYTES ? "bytes" : "packets",
             threshold_text);
    measure_output_note(o, note);
    measure_output_open_list(o, "heavy-hitters");
    for (size_t i = 0; i < answer.n_rows; i++) {
        write_row(o, report, question, &answer.rows[i]);
    }
    measure_output_close(o);

    measure_output_open_line(o, "other");
    measure_output_uint(o, "keys", answer.other_keys);
    measure_output_uint(o, "packets", answer.other_packets);
    measure_output_uint(o, "bytes", answer.other_bytes);
    measure_output_close(o);

    measure_answer_destroy(&answer);
    return true;
}
