/* SPDX-License-Identifier: Apache-2.0 */
/* When the tables of a tally grow, and by how much. */

#include <config.h>

#include "tally/measure-growth.h"

#include "base/measure-base.h"

#define GROWTH 4

/* Returns the lines that the table in reserve should have at least. */
static uint64_t
reserve_lines(enum measure_layout layout, uint64_t limit)
{
    return measure_min(MEASURE_NEXT_LINES,
                       measure_table_limit(layout, limit) / MEASURE_LINE_SIZE);
}

/* Returns true if the packet thread has flows of 'layout' and has begun its
 * last table for them, or has less than 'lines' in reserve. */
static bool
needs_table(const struct measure_load *load, enum measure_layout layout,
            uint64_t lines)
{
    return (load->n_used[layout]
            && (!load->n_unused[layout]
                || (load->n_unused[layout] == 1
                    && load->last_lines[layout] < lines)));
}

/* Returns true if it needs one at once, before a large one: it has filled half
 * of its last table, or a large one would come too late for a small one.  A
 * tally can have MEASURE_TALLY_TABLES: some are left for large ones. */
static bool
needs_quick_table(const struct measure_load *load, enum measure_layout layout,
                  uint64_t limit)
{
    uint32_t n_tables = load->n_tables[layout] + load->n_unused[layout];
    bool small = load->n_lines[layout] <= MEASURE_QUICK_LINES;
    uint64_t lines = (small
                      ? measure_min(reserve_lines(layout, limit),
                                    MEASURE_QUICK_LINES)
                      : 1);

    return (n_tables + 4 <= MEASURE_TALLY_TABLES
            && (small || load->current_used[layout]
                         > load->max_used[layout] / 2)
            && needs_table(load, layout, lines));
}

/* Returns true if 'tally', whose thread has 'limit', needs another table: if
 * 'quick', one before all that can wait. */
bool
measure_tally_needs_table(const struct measure_tally *tally, uint64_t limit,
                          bool quick)
{
    struct measure_load load;

    measure_tally_load(tally, &load);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (quick ? needs_quick_table(&load, layout, limit)
            : needs_table(&load, layout, reserve_lines(layout, limit))) {
            return !tally->structure;
        }
    }
    return false;
}

/* Gives 'tally', whose thread has 'limit', another table if it needs one, out
 * of half of the '*left' bytes.  The table counts twice, for its report can be
 * as large.  Returns the bytes of the new tables.
 *
 * An interlude may take from '*left', too. */
uint64_t
measure_tally_grow(struct measure_tally *tally, uint64_t limit, uint64_t *left)
{
    struct measure_load load;
    uint64_t bytes = 0;

    measure_tally_load(tally, &load);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        uint64_t larger = (uint64_t) load.n_lines[layout] * GROWTH;
        uint64_t want = (needs_quick_table(&load, layout, limit)
                         ? MEASURE_QUICK_LINES
                         : measure_max(larger, MEASURE_NEXT_LINES));
        uint64_t most = measure_min(*left / 4 / MEASURE_LINE_SIZE,
                                    MEASURE_TABLE_MAX_LINES);
        uint32_t lines = measure_min(want, most);
        uint64_t size = measure_table_size(lines);

        if (needs_table(&load, layout, reserve_lines(layout, limit))
            && lines >= MEASURE_TALLY_MIN_LINES) {
            *left -= 2 * size;
            if (measure_tally_add_table(tally, layout, lines)) {
                bytes += size;
            } else {
                *left += 2 * size;
            }
        }
    }
    return bytes;
}
