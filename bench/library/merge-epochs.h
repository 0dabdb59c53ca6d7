/* SPDX-License-Identifier: Apache-2.0 */
/* merge-scale: what the end of an epoch takes. */

#ifndef BENCH_MERGE_EPOCHS_H
#define BENCH_MERGE_EPOCHS_H 1

#include "merge-load.h"

/* Epochs
 * ======
 *
 * Packet threads count as many flows as they are told to, each in its own
 * tally.  Then one control thread merges the closed tallies, answers all
 * questions, and clears the tallies.  The processor time of each step is
 * measured.  The first epoch takes its memory from the kernel, the others
 * reuse it: both are shown.
 *
 * "All" is: merging, each command once by each of its defaults (heavy hitters
 * by each key that can be configured, superspreaders by all three, changes,
 * the distribution), freeing the report, and clearing the tallies.  What the
 * thread that raises alerts asks by itself after each epoch (heavy hitters,
 * both kinds of superspreaders, changes) are four of these. */

bool merge_epochs(struct merge_load *, struct measure_output *,
                  const char *name);

#endif /* bench/library/merge-epochs.h */
