/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need. */

#ifndef MEASURE_BASE_H
#define MEASURE_BASE_H 1

#include <stdint.h>

/* Of two numbers
 * ==============
 *
 * Thread safety: plain functions. */

static inline uint64_t
measure_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
measure_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif /* measure-base.h */
