/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need. */

#include <config.h>

#include "base/measure-base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
