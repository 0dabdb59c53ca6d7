/* SPDX-License-Identifier: Apache-2.0 */
/* merge-scale: what the first bursts in a new tally take. */

#ifndef BENCH_MERGE_HAND_OVER_H
#define BENCH_MERGE_HAND_OVER_H 1

#include "merge-load.h"

/* The hand-over
 * =============
 *
 * One packet thread, bound to a processor of its own, counts in turn for all
 * threads while the control thread, on another one, closes epochs, merges
 * them, and hands the tallies back.  Each burst is timed.  Printed is the
 * histogram of the bursts that were the first in a new tally, beside that of
 * all others.  The machine may take the processor from the thread: bursts
 * during which the kernel counted that are shown apart.  At the end the
 * packets that were counted must be those that were sent.
 *
 * A tally that is new to the packet thread lies in memory that another
 * processor has just cleared.  What that alone costs is shown, too: after each
 * first burst the thread writes to as many lines, at random, of plain memory
 * that is as large and was cleared at the same time ("plain-memory").  And
 * before each of these it adds up numbers for about as long, without any
 * memory: what that shows is the machine alone ("no-memory"). */

bool merge_hand_over(struct merge_load *, struct measure_output *,
                     uint32_t n_epochs, bool *lost);

#endif /* bench/library/merge-hand-over.h */
