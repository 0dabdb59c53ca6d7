/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what was read of a ring is what its marks say. */

#ifndef MEASURE_STREAM_ACCOUNT_H
#define MEASURE_STREAM_ACCOUNT_H 1

#include <pthread.h>

#include "stream/measure-slot.h"

/* The account of a ring
 * =====================
 *
 * A mark says what became of all packets that a thread has counted since the
 * ring began.  Whoever reads the ring feeds its account with the records and
 * marks that it takes, in their order, and the account looks at each mark
 * whether
 *
 *     offered = records + filtered + dropped          and
 *     records = those that were fed since the ring began,
 *
 * and whether epochs rise and numbers do not fall.  As this holds for any two
 * marks, it holds for what is between them.  What does not hold is counted,
 * and the first is described.
 *
 * Memory: none but the structure, and a text if something does not hold.
 *
 * Thread safety: one thread at a time feeds an account; any thread may call
 * measure_stream_account_get().  What was fed before a cursor was released is
 * there for whoever sees the cursor. */

struct measure_stream_sums {
    uint64_t records;           /* Fed. */
    uint64_t n_marks;
    uint64_t n_differences;     /* Marks for which something did not hold. */
    const char *difference;     /* What, of the first; or NULL. */
    bool broken;                /* A record reached over the end of the ring,
                                 * or of what was published. */
    struct measure_mark first;  /* If there are marks. */
    struct measure_mark last;
};

struct measure_stream_account {
    uint64_t records;           /* Atomic. */
    pthread_mutex_t mutex;      /* Of what follows. */
    struct measure_stream_sums sums;    /* But for 'records'. */
    char *difference;
};

void measure_stream_account_init(struct measure_stream_account *);
void measure_stream_account_destroy(struct measure_stream_account *);
void measure_stream_account_get(struct measure_stream_account *,
                                struct measure_stream_sums *);

/* The thread that feeds it. */

void measure_stream_account_mark(struct measure_stream_account *,
                                 const struct measure_mark *);
void measure_stream_account_break(struct measure_stream_account *);

/* 'n' records of packets were taken. */
static inline void
measure_stream_account_packets(struct measure_stream_account *a, uint64_t n)
{
    __atomic_store_n(&a->records, a->records + n, __ATOMIC_RELAXED);
}

#endif /* measure-stream-account.h */
