/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of ovs-measure-stream, on standard error. */

#include <config.h>

#include "stream-message.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The line that stream_show() replaces is there.  Under the lock of stderr. */
static bool shown;

static void
erase(void)
{
    if (shown) {
        fputs("\r\033[K", stderr);
        shown = false;
    }
}

static void say(const char *format, va_list)
    __attribute__((format(printf, 1, 0)));

static void
say(const char *format, va_list args)
{
    flockfile(stderr);
    erase();
    fputs(STREAM_PROGRAM": ", stderr);
    vfprintf(stderr, format, args);
    putc('\n', stderr);
    funlockfile(stderr);
}

void
stream_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
}

/* Says it and ends the program. */
void
stream_fail(enum stream_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
    exit(status);
}

/* Writes lines that are not a message. */
void
stream_print(const char *text)
{
    flockfile(stderr);
    erase();
    fputs(text, stderr);
    fflush(stderr);
    funlockfile(stderr);
}

/* Writes 'line' in place of the line written before, on a terminal.  NULL
 * removes that one. */
void
stream_show(const char *line)
{
    flockfile(stderr);
    erase();
    if (line) {
        fputs(line, stderr);
        shown = true;
    }
    fflush(stderr);
    funlockfile(stderr);
}
