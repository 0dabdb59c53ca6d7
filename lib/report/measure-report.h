/* SPDX-License-Identifier: Apache-2.0 */
/* What all packet threads together counted in an epoch. */

#ifndef MEASURE_REPORT_H
#define MEASURE_REPORT_H 1

#include "base/measure-output.h"
#include "key/measure-group-by.h"
#include "report/measure-group-cache.h"
#include "tally/measure-config.h"
#include "tally/measure-tally.h"

/* The report of a closed epoch
 * ============================
 *
 * What all packet threads together counted in an epoch: measure-merge.h makes
 * it when the epoch has closed.  Questions come later (measure-query.h):
 * whatever 'key_kind' the configured key has the fields for can be asked.
 *
 * Error bound.  Packets that found no row are in the overflow count array,
 * summed over the threads.  A key of the configured kind can have missed at
 * most what the cell of its hash holds; a key grouped from those can have
 * missed at most what all cells hold together.  Counts are never too high.
 * Without overflow each count is exact and the bound is 0.
 *
 * Where the tallies counted in a structure that estimates
 * (measure-structure.h), counts are never too low, but by at most their error
 * too high, each with the probability 1 - 'error_probability'.  Only keys that
 * were recorded have a row, so that only rows of the configured key can be
 * asked for.
 *
 * Parts.  The rows of a report lie without gaps, and those of one source (of
 * one destination, if the key has no source) together, in one of 'n_parts'
 * parts that are small enough for the cache of the processor.  Most questions
 * are thus answered part by part (measure-query.h).  A report that does not
 * have every key keeps its rows, which are few, in linear tables.
 *
 * Memory: 32 bytes for an IPv4 key and 64 for an IPv6 key of the merged
 * epoch, rounded up by an eighth.  The large blocks go to the spare ones of
 * the budget (measure-memory.h).  A key in a linear table takes twice as much,
 * and once more as much for its error if counts are estimates.
 *
 * Threads.  For questions about one packet thread a report keeps, if there
 * is more than one, also what each of them counted: 32 bytes for a row of IPv4
 * and 64 for one of IPv6, without gaps, or of estimates a report of its own.
 *
 * Thread safety: none.  One thread makes a report.  Then it does not change,
 * but for what it keeps of answers (measure-group-cache.h). */

/* What one packet thread counted.  The tables are only to be gone through:
 * they have no gaps. */
struct measure_report_thread {
    unsigned int core;
    struct measure_counters counters;
    struct measure_table tables[MEASURE_N_LAYOUTS];
    struct measure_report *report;  /* In place of 'tables', if estimated. */
};

struct measure_report {
    uint64_t number;            /* Of the epoch, from 1. */
    int64_t start_ms;           /* Wall clock, since 1970. */
    uint64_t duration_ms;
    enum measure_key_kind key_kind;         /* The configured key. */
    struct measure_counters counters;
    uint64_t n_tables;          /* Tables that were merged. */

    const struct measure_hash_secret *secret;
    struct measure_budget *budget;

    /* If complete only to be gone through: they have no gaps.  The 'i'th part
     * is of the rows 'parts[layout][i]' to 'parts[layout][i + 1]' - 1. */
    struct measure_table tables[MEASURE_N_LAYOUTS];
    size_t table_sizes[MEASURE_N_LAYOUTS];      /* Bytes. */
    uint32_t *parts[MEASURE_N_LAYOUTS];
    uint32_t n_parts;           /* A power of 2, or 0 if not complete. */
    struct measure_group_by part_group; /* Of a group, all are in one part. */
    bool several_ports;         /* Flows came in by several switch ports. */
    struct measure_group_cache *group_cache;    /* NULL if not complete. */

    struct measure_overflow_cell *overflow; /* NULL if nothing overflowed. */

    /* See measure-merge.h. */
    size_t n_threads;
    struct measure_report_thread *threads;

    /* See measure-report-estimates.h. */
    enum measure_structure_kind structure;
    bool complete;              /* Each key has a row, by port, too. */
    bool estimates;             /* Counts may be too high. */
    double error_probability;   /* That of one count. */
    uint64_t n_lost;            /* Times that a key found no place. */
    struct measure_cell missed; /* A key without row has no more. */

    /* By how much counts are too high at most, and 1 packet more, lest a row
     * be empty. */
    struct measure_table errors[MEASURE_N_LAYOUTS];
};

void measure_report_add_overflow(struct measure_report *, uint64_t hash,
                                 uint64_t packets, uint64_t bytes);
void measure_report_add_missed(const struct measure_report *,
                               enum measure_layout layout,
                               const uint64_t *key, uint64_t *packets,
                               uint64_t *bytes);
void measure_report_destroy(struct measure_report *);
void measure_report_forget_groups(const struct measure_report *);
uint64_t measure_report_bytes(const struct measure_report *);

void measure_counters_write(struct measure_output *,
                            const struct measure_counters *, bool overflow);

#endif /* measure-report.h */
