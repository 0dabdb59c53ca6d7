/* SPDX-License-Identifier: Apache-2.0 */
/* What a question is about: reports, a thread, a filter. */

#ifndef MEASURE_SCOPE_H
#define MEASURE_SCOPE_H 1

#include "key/measure-filter.h"
#include "key/measure-group-by.h"
#include "report/measure-report.h"

/* What a question is about
 * ========================
 *
 * A scope is one report or several (of consecutive epochs), all of their
 * packet threads or one, and a filter.  What is asked of it must first be
 * checked: a report may not have the fields (measure_scope_check()), or not
 * every key (measure_scope_check_complete()).
 *
 * Each answer begins with what the scope adds up to, measure_scope_write(),
 * and writes its keys by measure_key_write().
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
    size_t n_threads;           /* Packet threads, in each epoch. */

    /* See measure-report.h. */
    enum measure_structure_kind structure;
    bool complete;
    bool estimates;
    double error_probability;
    uint64_t n_lost;
    struct measure_cell missed;
};

/* Goes through the threads in a scope: all that each counted in an epoch, or
 * what the one on a core did.  All zeros is before the first. */
struct measure_scope_thread {
    size_t report;
    size_t thread;
    const struct measure_report *of;
    const struct measure_counters *counters;
    const struct measure_table *tables;
};

bool measure_scope_next_thread(const struct measure_scope *,
                               struct measure_scope_thread *);

#define MEASURE_SCOPE_FOR_EACH_THREAD(THREAD, SCOPE)                \
    for (struct measure_scope_thread THREAD = { 0 };                \
         measure_scope_next_thread(SCOPE, &THREAD); )

void measure_scope_sum(const struct measure_scope *, struct measure_totals *);
bool measure_totals_exact(const struct measure_totals *);
const char *measure_totals_estimate(const struct measure_totals *);
uint64_t measure_scope_rows(const struct measure_scope *, uint64_t max);
char *measure_scope_check(const struct measure_scope *,
                          const struct measure_group_by *);
char *measure_scope_check_complete(const struct measure_scope *,
                                   const char *question);
void measure_scope_add_error(const struct measure_scope *,
                             enum measure_layout layout, const uint64_t *key,
                             uint64_t *packets_error, uint64_t *bytes_error);

void measure_scope_write(struct measure_output *, const struct measure_scope *,
                         const struct measure_totals *);
unsigned int measure_key_columns(const struct measure_group_by *,
                                 const struct measure_fields *);
void measure_key_write(struct measure_output *, const struct measure_scope *,
                       const struct measure_group_by *,
                       const struct measure_fields *, unsigned int columns);

#endif /* measure-scope.h */
