/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a key heavy. */

#include <config.h>

#include "questions/measure-threshold.h"

/* Returns true if 'packets' and 'bytes' are at or above 'threshold', for which
 * a share is one of what the scope adds up to. */
bool
measure_is_heavy(const struct measure_totals *totals,
                 const struct measure_threshold *threshold,
                 enum measure_sort sort, uint64_t packets, uint64_t bytes)
{
    /* At least the resolution of the clock. */
    double seconds = (totals->duration_ms ? totals->duration_ms : 1) / 1000.0;
    double size, least;

    switch (threshold->unit) {
    case MEASURE_BITS_PER_SECOND:
        size = bytes * 8.0;
        least = threshold->value * seconds;
        break;

    case MEASURE_PACKETS_PER_SECOND:
        size = packets;
        least = threshold->value * seconds;
        break;

    case MEASURE_SHARE:
    default:
        if (sort == MEASURE_SORT_BYTES) {
            size = bytes * 100.0;
            least = threshold->value * totals->counters.bytes;
        } else {
            size = packets * 100.0;
            least = threshold->value * totals->counters.packets;
        }
        break;
    }

    /* A key just at the threshold must not be lost to rounding. */
    return size >= least * (1 - 1e-12);
}
