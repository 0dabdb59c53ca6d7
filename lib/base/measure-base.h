/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need. */

#ifndef MEASURE_BASE_H
#define MEASURE_BASE_H 1

#include <stddef.h>
#include <stdint.h>

/* Small things
 * ============
 *
 * Units of memory, the smaller and the larger of two numbers, counters that
 * others read, the little memory that cannot be done without, text as printf()
 * makes it, the time, and a short rest.
 *
 * Thread safety: no shared state. */

#define MEASURE_CACHE_LINE 64               /* Bytes. */
#define MEASURE_KIB UINT64_C(1024)
#define MEASURE_MIB (1024 * MEASURE_KIB)

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

/* Adds to a counter that other threads read while this one, the only one that
 * writes it, counts: no locked instruction, just no torn value. */
static inline void
measure_counter_add(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

void *measure_check_memory(void *);
void *measure_xzalloc(size_t size);
void *measure_xrealloc(void *, size_t size);
void *measure_xzalloc_lines(size_t size);

#define MEASURE_NS_PER_MS UINT64_C(1000000)
#define MEASURE_NS_PER_S (1000 * MEASURE_NS_PER_MS)

/* In nanoseconds. */
uint64_t measure_monotonic_ns(void);
uint64_t measure_realtime_ns(void);         /* Since 1970, in UTC. */

void measure_nap(void);

char *measure_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void measure_append(char **text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* measure-base.h */
