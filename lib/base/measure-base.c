/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file may need. */

#include <config.h>

#include "base/measure-base.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/measure-memory.h"

/* Returns a text, which the caller must free().  Aborts without memory. */
char *
measure_format(const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    return measure_check_memory(n < 0 ? NULL : text);
}
