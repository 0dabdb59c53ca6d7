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

#include "measure-query.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure-partition.h"
#include "measure-report-structures.h"

/* Rows on their way to the partitions: one of each hash, to which the next
 * ones of the same key are added. */
#define WAITING_ROWS 1024
#define WAITING_TRIAL 8192      /* Rows after which to see if that pays. */

struct waiting {
    bool on;
    uint32_t n_tried;
    uint32_t n_added;           /* Of these, to one that waited. */
    uint64_t rows[WAITING_ROWS][MEASURE_KEY_WORDS + 2];
};

/* One query. */
struct query {
    const struct measure_scope *scope;
    const struct measure_group *group;
    const struct measure_group *whole;
    const struct measure_hash_secret *secret;
    struct measure_budget *budget;
    uint64_t min_packets;       /* Of a whole. */

    /* The rows of all parts, if those of the reports do not do. */
    bool split;
    uint32_t n_parts;
    struct measure_partitions partitions[MEASURE_N_FAMILIES];
    struct waiting *waiting[MEASURE_N_FAMILIES];

    /* Of one part. */
    bool distinct;              /* Each row is a group. */
    struct measure_groups groups[MEASURE_N_FAMILIES];
    struct measure_groups wholes[MEASURE_N_FAMILIES];
};

static const uint64_t *
whole_mask(const struct query *q, enum measure_family layout)
{
    return (layout == MEASURE_IPV4 ? q->whole->narrow : q->whole->wide6);
}

/* Splitting. */

static inline void
split_row(struct query *q, enum measure_family layout, const uint64_t *row)
{
    const uint64_t *mask = whole_mask(q, layout);
    unsigned int n_words = measure_key_words(layout);
    uint64_t key[MEASURE_KEY_WORDS];

    for (unsigned int i = 0; i < n_words; i++) {
        key[i] = row[i] & mask[i];
    }
    measure_partitions_add(&q->partitions[layout], layout,
                           measure_key_hash(q->secret, layout, key), row,
                           row[n_words], row[n_words + 1]);
}

static inline void
stop_waiting(struct query *q, enum measure_family layout)
{
    struct waiting *waiting = q->waiting[layout];

    for (int i = 0; i < WAITING_ROWS; i++) {
        if (waiting->rows[i][measure_key_words(layout)]) {
            split_row(q, layout, waiting->rows[i]);
        }
    }
    waiting->on = false;
}

static inline void
wait_for_others(struct query *q, enum measure_family layout,
                const uint64_t *row)
{
    unsigned int n_words = measure_key_words(layout);
    struct waiting *waiting = q->waiting[layout];
    uint64_t hash = measure_key_hash(q->secret, layout, row);
    uint64_t *other = waiting->rows[(hash >> 32) % WAITING_ROWS];

    if (other[n_words] && measure_key_equal(other, row, layout)) {
        other[n_words] += row[n_words];
        other[n_words + 1] += row[n_words + 1];
        waiting->n_added++;
    } else {
        if (other[n_words]) {
            split_row(q, layout, other);
        }
        for (unsigned int i = 0; i < n_words + 2; i++) {
            other[i] = row[i];
        }
    }
    if (++waiting->n_tried == WAITING_TRIAL
        && waiting->n_added < WAITING_TRIAL / 2) {
        stop_waiting(q, layout);
    }
}

static inline void
split_table__(struct query *q, enum measure_family layout,
              const struct measure_table *table)
{
    const struct measure_filter *filter = q->scope->filter;

    MEASURE_TABLE_FOR_EACH (key, table) {
        uint64_t row[MEASURE_KEY_WORDS + 2];
        enum measure_family to;

        if (filter && !measure_filter_matches(filter, layout, key)) {
            continue;
        }
        to = measure_group_key(q->group, layout, key, row);
        row[measure_key_words(to)] = *measure_row_packets(key, layout);
        row[measure_key_words(to) + 1] = *measure_row_bytes(key, layout);
        if (to == MEASURE_IPV4) {
            if (q->waiting[MEASURE_IPV4]->on) {
                wait_for_others(q, MEASURE_IPV4, row);
            } else {
                split_row(q, MEASURE_IPV4, row);
            }
        } else {
            if (q->waiting[MEASURE_IPV6]->on) {
                wait_for_others(q, MEASURE_IPV6, row);
            } else {
                split_row(q, MEASURE_IPV6, row);
            }
        }
    }
}

/* Writes all rows in the scope to partitions.  Returns false if there is no
 * memory. */
static bool
split_scope(struct query *q)
{
    uint64_t n_rows[MEASURE_N_FAMILIES] = { 0, 0 };

    MEASURE_SCOPE_FOR_EACH_SECTION (section, q->scope) {
        for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
            n_rows[layout] += measure_table_n_used(&section.tables[layout]);
        }
    }
    /* Some rows in the layout of IPv6 may have groups in that of IPv4. */
    n_rows[MEASURE_IPV4] += n_rows[MEASURE_IPV6];
    q->n_parts = measure_partitions_for(n_rows[MEASURE_IPV4]);
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        q->waiting[layout] = measure_xzalloc(sizeof *q->waiting[layout]);
        q->waiting[layout]->on = true;
        if (!measure_partitions_init(&q->partitions[layout], layout,
                                     n_rows[layout], q->n_parts, q->budget)) {
            return false;
        }
    }
    MEASURE_SCOPE_FOR_EACH_SECTION (section, q->scope) {
        split_table__(q, MEASURE_IPV4, &section.tables[MEASURE_IPV4]);
        split_table__(q, MEASURE_IPV6, &section.tables[MEASURE_IPV6]);
    }
    if (q->waiting[MEASURE_IPV4]->on) {
        stop_waiting(q, MEASURE_IPV4);
    }
    if (q->waiting[MEASURE_IPV6]->on) {
        stop_waiting(q, MEASURE_IPV6);
    }
    return true;
}

/* The rows of one part. */

/* Takes the 'n' rows that were put behind those of the part. */
static inline void
take(struct query *q, enum measure_family layout, size_t n)
{
    if (q->distinct) {
        q->groups[layout].n += n;
    } else {
        measure_groups_take(&q->groups[layout], n);
    }
}

/* Adds up the 'n' (up to MEASURE_GROUPS_BATCH) 'rows' of a report. */
static inline bool
load_rows__(struct query *q, enum measure_family layout, const uint64_t *rows,
            size_t n)
{
    const struct measure_filter *filter = q->scope->filter;
    size_t n_new[MEASURE_N_FAMILIES] = { 0, 0 };

    if (!measure_groups_reserve(&q->groups[layout], n)
        || (layout == MEASURE_IPV6
            && !measure_groups_reserve(&q->groups[MEASURE_IPV4], n))) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t *key = &rows[i * measure_row_words(layout)];
        uint64_t group[MEASURE_KEY_WORDS];
        enum measure_family to;
        uint64_t *row;

        if (filter && !measure_filter_matches(filter, layout, key)) {
            continue;
        }
        to = measure_group_key(q->group, layout, key, group);
        row = (measure_groups_tail(&q->groups[to])
               + n_new[to]++ * measure_row_words(to));
        for (unsigned int j = 0; j < measure_key_words(to); j++) {
            row[j] = group[j];
        }
        row[measure_key_words(to)] = key[measure_key_words(layout)];
        row[measure_key_words(to) + 1] = key[measure_key_words(layout) + 1];
    }
    take(q, MEASURE_IPV4, n_new[MEASURE_IPV4]);
    if (layout == MEASURE_IPV6) {
        take(q, MEASURE_IPV6, n_new[MEASURE_IPV6]);
    }
    return true;
}

/* Adds up the rows of part 'i' of 'report'. */
static inline bool
load_report__(struct query *q, enum measure_family layout,
              const struct measure_report *report, uint32_t i)
{
    size_t row_words = measure_row_words(layout);
    uint32_t end = report->parts[layout][i + 1];

    for (uint32_t j = report->parts[layout][i]; j < end; ) {
        uint32_t n = (end - j < MEASURE_GROUPS_BATCH
                      ? end - j : MEASURE_GROUPS_BATCH);

        if (!load_rows__(q, layout,
                         &report->tables[layout].rows[j * row_words], n)) {
            return false;
        }
        j += n;
    }
    return true;
}

/* Makes the groups of part 'i' of the reports as they are.  Returns false if
 * there is no memory. */
static bool
load_reports_part(struct query *q, uint32_t i)
{
    const struct measure_scope *scope = q->scope;
    uint64_t n_rows[MEASURE_N_FAMILIES] = { 0, 0 };

    for (size_t j = 0; j < scope->n_reports; j++) {
        for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
            const uint32_t *parts = scope->reports[j]->parts[layout];

            n_rows[layout] += parts[i + 1] - parts[i];
        }
    }
    /* Some rows in the layout of IPv6 may have groups in that of IPv4. */
    if (q->distinct && n_rows[MEASURE_IPV6]) {
        q->distinct = false;
    }
    n_rows[MEASURE_IPV4] += n_rows[MEASURE_IPV6];
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        q->groups[layout].n = 0;
        if (!q->distinct && !measure_groups_begin(&q->groups[layout],
                                                  n_rows[layout])) {
            return false;
        }
    }
    for (size_t j = 0; j < scope->n_reports; j++) {
        if (!load_report__(q, MEASURE_IPV4, scope->reports[j], i)
            || !load_report__(q, MEASURE_IPV6, scope->reports[j], i)) {
            return false;
        }
    }
    return true;
}

/* Makes the groups of partition 'i'.  Returns false if there is no memory. */
static bool
load_partition(struct query *q, uint32_t i)
{
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        const struct measure_partitions *p = &q->partitions[layout];
        struct measure_groups *groups = &q->groups[layout];
        struct measure_chunk chunk = { .number = 0 };

        groups->n = 0;
        if (!measure_groups_begin(groups, measure_partition_n_rows(p, i))) {
            return false;
        }
        while (measure_partition_next_chunk(p, i, &chunk)) {
            if (!measure_groups_add(groups, chunk.rows, chunk.n)) {
                return false;
            }
        }
    }
    return true;
}

/* Counts the wholes of the groups, and removes the groups of those with too
 * few packets.  Returns false if there is no memory. */
static inline bool
count_wholes__(struct query *q, enum measure_family layout)
{
    const uint64_t *mask = whole_mask(q, layout);
    unsigned int n_words = measure_key_words(layout);
    size_t row_words = measure_row_words(layout);
    struct measure_groups *groups = &q->groups[layout];
    struct measure_groups *wholes = &q->wholes[layout];
    uint64_t *to = groups->rows;
    uint64_t most = 0;
    uint32_t n = 0;

    wholes->n = 0;
    if (!measure_groups_begin(wholes, groups->n)) {
        return false;
    }
    for (uint32_t i = 0; i < groups->n; ) {
        size_t n_batch = (groups->n - i < MEASURE_GROUPS_BATCH
                          ? groups->n - i : MEASURE_GROUPS_BATCH);
        uint64_t *row;

        if (!measure_groups_reserve(wholes, n_batch)) {
            return false;
        }
        row = measure_groups_tail(wholes);
        for (size_t j = 0; j < n_batch; j++, i++, row += row_words) {
            const uint64_t *from = &groups->rows[i * row_words];

            for (unsigned int k = 0; k < n_words; k++) {
                row[k] = from[k] & mask[k];
            }
            row[n_words] = from[n_words];
            row[n_words + 1] = from[n_words + 1];
        }
        measure_groups_take(wholes, n_batch);
    }
    if (q->min_packets <= 1) {
        return true;
    }

    for (uint32_t i = 0; i < wholes->n; i++) {
        uint64_t packets = wholes->rows[i * row_words + n_words];

        most = packets > most ? packets : most;
    }
    for (uint32_t i = 0; i < groups->n && most >= q->min_packets; i++) {
        const uint64_t *from = &groups->rows[i * row_words];
        uint64_t key[MEASURE_KEY_WORDS];

        for (unsigned int j = 0; j < n_words; j++) {
            key[j] = from[j] & mask[j];
        }
        if (measure_groups_find(wholes, key)[n_words] >= q->min_packets) {
            memmove(to, from, row_words * sizeof *to);
            to += row_words;
            n++;
        }
    }
    groups->n = n;
    return true;
}

/* Gives the groups of the part that is loaded to one of the functions. */
static bool
give_groups(struct query *q, enum measure_family layout,
            measure_groups_function *f, measure_wholes_function *wholes_f,
            void *aux)
{
    struct measure_groups *groups = &q->groups[layout];
    struct measure_table table;

    if (!groups->n) {
        return true;
    }
    if (wholes_f) {
        return ((layout == MEASURE_IPV4 ? count_wholes__(q, MEASURE_IPV4)
                 : count_wholes__(q, MEASURE_IPV6))
                && wholes_f(groups, &q->wholes[layout], aux));
    }
    measure_groups_view(groups, &table);
    return f(&table, aux);
}

/* Returns true if all rows of a whole are in one part of all reports. */
static bool
parts_do(const struct measure_scope *scope, const struct measure_group *whole)
{
    unsigned int fields = scope->reports[0]->part_group.fields;

    for (size_t i = 0; i < scope->n_reports; i++) {
        if (scope->reports[i]->n_parts != scope->reports[0]->n_parts
            || scope->reports[i]->part_group.fields != fields) {
            return false;
        }
    }
    return (scope->reports[0]->n_parts && !scope->one_core
            && whole->fields & fields
            && (fields == MEASURE_FIELD_SOURCE ? whole->source_prefix
                : whole->destination_prefix) == 128);
}

/* Returns true if no two rows in the scope of 'q' are of one group, where all
 * have one layout. */
static bool
rows_are_groups(const struct query *q)
{
    const struct measure_report *report = q->scope->reports[0];

    return (q->scope->n_reports == 1 && !q->split
            && measure_group_is_by(q->group, report->by)
            && !(report->by == MEASURE_BY_FLOW && report->several_ports));
}

static bool
query(struct query *q, measure_groups_function *f,
      measure_wholes_function *wholes_f, void *aux)
{
    const struct measure_scope *scope = q->scope;
    bool distinct, ok;

    if (!scope->n_reports) {
        return true;
    }
    q->secret = scope->reports[0]->secret;
    q->budget = scope->reports[scope->n_reports - 1]->budget;
    q->split = !parts_do(scope, q->whole);
    q->n_parts = scope->reports[0]->n_parts;
    distinct = rows_are_groups(q);
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        measure_groups_init(&q->groups[layout], layout, q->secret, q->budget);
        measure_groups_init(&q->wholes[layout], layout, q->secret, q->budget);
    }

    ok = !q->split || split_scope(q);
    for (uint32_t i = 0; ok && i < q->n_parts; i++) {
        q->distinct = distinct;
        ok = ((q->split ? load_partition(q, i) : load_reports_part(q, i))
              && give_groups(q, MEASURE_IPV4, f, wholes_f, aux)
              && give_groups(q, MEASURE_IPV6, f, wholes_f, aux));
    }
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        measure_partitions_destroy(&q->partitions[layout], q->budget);
        free(q->waiting[layout]);
        measure_groups_destroy(&q->groups[layout]);
        measure_groups_destroy(&q->wholes[layout]);
    }
    return ok;
}

/* Gives all groups in 'scope' to 'f', part by part.  measure_scope_check()
 * must allow it.  Returns false if there was no memory, or 'f' said so. */
bool
measure_query(const struct measure_scope *scope,
              const struct measure_group *group,
              measure_groups_function *f, void *aux)
{
    struct query q = { .scope = scope, .group = group, .whole = group };

    return query(&q, f, NULL, aux);
}

/* Like measure_query(), with all groups that are one by 'whole', whose fields
 * 'group' must have, in one call.  'f' also gets all wholes with their packets
 * and bytes, but of those with less than 'min_packets' packets no groups.
 * Neither may have tunnels. */
bool
measure_query_wholes(const struct measure_scope *scope,
                     const struct measure_group *group,
                     const struct measure_group *whole, uint64_t min_packets,
                     measure_wholes_function *f, void *aux)
{
    struct query q = {
        .scope = scope, .group = group, .whole = whole,
        .min_packets = min_packets,
    };

    assert(!(group->fields & MEASURE_FIELD_TUNNEL));
    return query(&q, NULL, f, aux);
}
