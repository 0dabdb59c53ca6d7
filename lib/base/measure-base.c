/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need. */

#include <config.h>

#include "base/measure-base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Returns 'p', which must not be NULL: like Open vSwitch, this library does
 * not go on without the little memory that it cannot do without. */
void *
measure_check_memory(void *p)
{
    if (!p) {
        fputs("measure: out of memory\n", stderr);
        abort();
    }
    return p;
}

/* For small things outside the packet path: zeroed, and never NULL. */
void *
measure_xzalloc(size_t size)
{
    return measure_check_memory(calloc(1, size ? size : 1));
}

void *
measure_xrealloc(void *p, size_t size)
{
    return measure_check_memory(realloc(p, size ? size : 1));
}

/* Likewise whole cache lines, that no other memory shares.  For free(). */
void *
measure_xzalloc_lines(size_t size)
{
    size_t lines = ((size + MEASURE_CACHE_LINE - 1) / MEASURE_CACHE_LINE
                    * MEASURE_CACHE_LINE);
    void *p = measure_check_memory(aligned_alloc(MEASURE_CACHE_LINE, lines));

    return memset(p, 0, lines);
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * MEASURE_NS_PER_S + now.tv_nsec;
}

/* A clock that nobody sets. */
uint64_t
measure_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
measure_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* Rests for 50 us, of a thread that waits for another one. */
void
measure_nap(void)
{
    static const struct timespec time = { .tv_nsec = 50000 };

    nanosleep(&time, NULL);
}

static char *
format_args(const char *format, va_list args)
{
    char *text;
    int n = vasprintf(&text, format, args);

    return measure_check_memory(n < 0 ? NULL : text);
}

/* Returns a text, which the caller must free().  Aborts without memory. */
char *
measure_format(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = format_args(format, args);
    va_end(args);
    return text;
}

/* Appends to '*text', which measure_format() made or which is NULL.  Aborts
 * without memory. */
void
measure_append(char **text, const char *format, ...)
{
    size_t length = *text ? strlen(*text) : 0;
    va_list args;
    char *more;

    va_start(args, format);
    more = format_args(format, args);
    va_end(args);
    *text = measure_xrealloc(*text, length + strlen(more) + 1);
    strcpy(*text + length, more);
    free(more);
}
