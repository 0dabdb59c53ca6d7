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

#ifndef MEASURE_QUERY_H
#define MEASURE_QUERY_H 1

#include "measure-filter.h"
#include "measure-group.h"
#include "measure-groups.h"
#include "measure-report.h"

/* Questions to reports
 * ====================
 *
 * A scope says what a question is about: one report or several (of
 * consecutive epochs), all of their packet threads or one, and a filter.
 * measure_query() groups all rows in the scope.
 *
 * How.  Groups that have a whole source address are answered part by part as
 * the report is (measure-report.h): all rows of a group are in one part, whose
 * groups fit the cache of the processor.  For other groups the rows that the
 * filter lets through are masked and written to partitions of another order
 * first (measure-partition.h).  Where few groups have many rows these are
 * added up on their way to the partitions, in a small cache.
 *
 * Memory, while it runs: for other groups 32 bytes for each row in the layout
 * of IPv4 and 64 for the other; some hundred kilobytes besides.  The large
 * blocks are spare ones of the budget of the newest report, or become such.
 *
 * Error.  Groups miss what overflowed (measure-report.h).  Counts are never
 * too high but for reports of structures that estimate; of these only rows of
 * the counted key, in one epoch, can be asked for.
 *
 * Thread safety: a report does not change, so any number of threads may ask at
 * the same time.  None may destroy it meanwhile. */

struct measure_scope {
    const struct measure_report *const *reports;    /* Oldest first. */
    size_t n_reports;
    bool one_core;              /* Only what the thread on 'core' counted. */
    unsigned int core;
    const struct measure_filter *filter;        /* NULL for all rows. */
    const struct measure_port_names *ports;     /* NULL without names. */
};

/* What the scope adds up to, whatever the filter. */
struct measure_totals {
    struct measure_counters counters;
    uint64_t number;            /* Of the newest epoch. */
    uint64_t first_number;      /* Of the oldest. */
    int64_t start_ms;           /* Of the oldest. */
    uint64_t duration_ms;       /* Of all. */
    size_t n_sections;          /* Packet threads, in each epoch. */

    /* See measure-report.h. */
    enum measure_structure_kind structure;
    bool complete;
    bool estimates;
    double error_probability;
    uint64_t n_lost;
    struct measure_cell missed;
};

/* Rows of any answer, however many are asked for. */
#define MEASURE_ANSWER_MAX_ROWS 100000

/* Called with the groups of a part of the rows; each group in one call.  The
 * table is only to be gone through.  Returns false if there is no memory. */
typedef bool measure_groups_function(struct measure_table *, void *aux);

/* Likewise with those groups that 'wholes' has, and all wholes of the part:
 * see measure_query_wholes(). */
typedef bool measure_wholes_function(const struct measure_groups *groups,
                                     const struct measure_groups *wholes,
                                     void *aux);

void measure_scope_sum(const struct measure_scope *, struct measure_totals *);
bool measure_totals_exact(const struct measure_totals *);
uint64_t measure_scope_rows(const struct measure_scope *, uint64_t max);
bool measure_scope_exact(const struct measure_scope *);
char *measure_scope_check(const struct measure_scope *,
                          const struct measure_group *);
char *measure_scope_check_complete(const struct measure_scope *,
                                   const char *question);
void measure_scope_add_error(const struct measure_scope *,
                             enum measure_family layout, const uint64_t *key,
                             uint64_t *packets_error, uint64_t *bytes_error);
bool measure_query(const struct measure_scope *, const struct measure_group *,
                   measure_groups_function *, void *aux);
bool measure_query_wholes(const struct measure_scope *,
                          const struct measure_group *group,
                          const struct measure_group *whole,
                          uint64_t min_packets,
                          measure_wholes_function *, void *aux);

void measure_scope_write(struct measure_output *, const struct measure_scope *,
                         const struct measure_totals *);
unsigned int measure_key_columns(const struct measure_group *,
                                 const struct measure_fields *);
void measure_key_write(struct measure_output *, const struct measure_scope *,
                       const struct measure_group *,
                       const struct measure_fields *, unsigned int columns);

#endif /* measure-query.h */
