/* SPDX-License-Identifier: Apache-2.0 */
/* When the tables of a tally grow, and by how much. */

#ifndef MEASURE_GROWTH_H
#define MEASURE_GROWTH_H 1

#include "tally/measure-tally.h"

/* When tables grow, and by how much
 * =================================
 *
 * The packet thread that fills the last table of its tally has nowhere to put
 * a new flow.  Hence another thread looks again and again whether a tally
 * has enough in reserve: MEASURE_NEXT_LINES, or what its limit allows.  A new
 * table has four times the lines of the one in use, within half of the memory
 * that is left.
 *
 * To prepare a large table can take longer than the packet thread needs to
 * fill the rest of a small one.  Tables of MEASURE_QUICK_LINES, which are
 * there at once, come before it and, in the interludes of measure-memory.h,
 * while it is prepared.  A tally has MEASURE_TALLY_TABLES places: quick tables
 * leave four of them, for the large ones are what counts in a flood of new
 * flows.
 *
 * Thread safety: called by one other thread, while the packet thread counts in
 * the tally. */

bool measure_tally_needs_table(const struct measure_tally *, uint64_t limit,
                               bool quick);
uint64_t measure_tally_grow(struct measure_tally *, uint64_t limit,
                            uint64_t *left);

#endif /* measure-growth.h */
