/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what was read of a ring is what its marks say. */

#ifndef MEASURE_STREAM_ACCOUNT_H
#define MEASURE_STREAM_ACCOUNT_H 1

#include "stream/measure-slot.h"

/* The account of a ring
 * =====================
 *
 * A mark says what became of all packets that a thread has counted since the
 * ring began.  The reader counts records for itself, and looks at each mark
 * whether
 *
 *     offered = records + filtered + dropped          and
 *     records = those that the reader has counted since the ring began,
 *
 * and whether epochs rise and numbers do not fall.  As this holds for any two
 * marks, it holds for what is between them.  What does not hold is counted,
 * and the first is described.
 *
 * Memory: none but the structure, and a text if something does not hold.
 *
 * Thread safety: an account belongs to one thread at a time. */

struct measure_stream_account {
    uint64_t records;           /* Counted by the reader. */
    uint64_t n_marks;
    uint64_t n_differences;     /* Marks for which something did not hold. */
    char *difference;           /* What, of the first; or NULL. */
    struct measure_mark first;  /* If there are marks. */
    struct measure_mark last;
};

size_t measure_stream_account_add(struct measure_stream_account *,
                                  const struct measure_slot *, size_t n);
void measure_stream_account_destroy(struct measure_stream_account *);

#endif /* measure-stream-account.h */
