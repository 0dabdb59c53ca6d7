/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that ovs-measure-stream waits by. */

#ifndef STREAM_CLOCK_H
#define STREAM_CLOCK_H 1

#include <stdint.h>
#include <time.h>

/* Thread safety: any thread. */

#define STREAM_NS_PER_S UINT64_C(1000000000)

/* Nanoseconds of a clock that nobody sets. */
static inline uint64_t
stream_clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * STREAM_NS_PER_S + t.tv_nsec;
}

#endif /* stream-clock.h */
