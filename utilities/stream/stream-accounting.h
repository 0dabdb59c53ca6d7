/* SPDX-License-Identifier: Apache-2.0 */
/* What the marks of rings say: --accounting. */

#ifndef STREAM_ACCOUNTING_H
#define STREAM_ACCOUNTING_H 1

#include "stream/measure-stage.h"

/* Accounting
 * ==========
 *
 * A stage at the end of a chain of its own.  For each mark in a ring it says
 * what became of the packets of that thread since the mark before:
 *
 *     core 3, epoch 12: offered 1000 = records 900 + filtered 50 + dropped 50
 *
 * and whether 'records' is what has come, or, with of=file, what the file has:
 * less if it was written behind a filter.  offered is what the thread has
 * counted in the tables of that epoch.
 *
 * With n=N it stops after the mark with which N packets are accounted for.
 *
 * Memory: some 100 bytes for each ring.
 *
 * Thread safety: as all stages. */

extern const struct measure_stage_class stream_accounting;

#endif /* stream-accounting.h */
