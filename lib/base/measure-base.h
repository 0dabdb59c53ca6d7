/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need. */

#ifndef MEASURE_BASE_H
#define MEASURE_BASE_H 1

#include <stdint.h>

/* Small things
 * ============
 *
 * The smaller and the larger of two numbers, and text as printf() makes it.
 *
 * Thread safety: no shared state. */

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

char *measure_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif /* measure-base.h */
