/* SPDX-License-Identifier: Apache-2.0 */
/* Tallies with linear tables, for the unit tests. */

#ifndef CHECK_TALLY_H
#define CHECK_TALLY_H 1

#include "check-common.h"
#include "check-secret.h"

#include "tally/measure-tally.h"

/* Returns a tally that has begun to count, with a table of 'n_lines' for each
 * layout and another of 'next_lines' for when that is full. */
static UNUSED struct measure_tally *
make_tally(enum measure_key_kind key_kind, uint32_t n_lines,
           uint32_t next_lines)
{
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);
    uint32_t first[MEASURE_N_LAYOUTS] = { n_lines, n_lines };
    uint32_t next[MEASURE_N_LAYOUTS] = { next_lines, next_lines };

    ck_assert(measure_tally_reset(tally, first, next));
    measure_tally_begin(tally, key_kind);
    return tally;
}

#endif /* check-tally.h */
