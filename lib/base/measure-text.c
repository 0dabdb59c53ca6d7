/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows, and parts of it: numbers, times, JSON and CSV. */

#include <config.h>

#include "base/measure-text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/measure-base.h"

void
measure_text_put_n(struct measure_text *t, const char *s, size_t n)
{
    if (t->allocated - t->length < n) {
        t->allocated = (t->allocated + n) * 2 + 1024;
        t->data = measure_xrealloc(t->data, t->allocated);
    }
    memcpy(t->data + t->length, s, n);
    t->length += n;
}

void
measure_text_put(struct measure_text *t, const char *s)
{
    measure_text_put_n(t, s, strlen(s));
}

void
measure_text_put_uint(struct measure_text *t, uint64_t value)
{
    char digits[20];
    size_t i = sizeof digits;

    do {
        digits[--i] = '0' + value % 10;
        value /= 10;
    } while (value);
    measure_text_put_n(t, digits + i, sizeof digits - i);
}

void
measure_text_destroy(struct measure_text *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

void
measure_text_put_spaces(struct measure_text *t, size_t n)
{
    while (n--) {
        measure_text_put_n(t, " ", 1);
    }
}

/* Times. */

static void
put_utc(struct measure_text *t, const char *format, uint64_t ns)
{
    time_t seconds = ns / MEASURE_NS_PER_S;
    struct tm tm;
    char s[32];

    gmtime_r(&seconds, &tm);
    measure_text_put_n(t, s, strftime(s, sizeof s, format, &tm));
}

static void
put_fraction(struct measure_text *t, uint64_t ns, int digits)
{
    char s[16];

    snprintf(s, sizeof s, ".%09d", (int) (ns % MEASURE_NS_PER_S));
    measure_text_put_n(t, s, 1 + digits);
}

/* Appends a day and time of UTC, with milliseconds. */
void
measure_text_put_date(struct measure_text *t, uint64_t ns)
{
    put_utc(t, "%Y-%m-%dT%H:%M:%S", ns);
    put_fraction(t, ns, 3);
    measure_text_put(t, "Z");
}

/* Appends the time of the day, with microseconds. */
void
measure_text_put_time(struct measure_text *t, uint64_t ns)
{
    put_utc(t, "%H:%M:%S", ns);
    put_fraction(t, ns, 6);
}

/* JSON. */

/* Appends 's' as a string of JSON, in quotes. */
void
measure_text_put_json(struct measure_text *t, const char *s)
{
    measure_text_put_n(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = *s;

        if (c == '"' || c == '\\') {
            measure_text_put_n(t, "\\", 1);
            measure_text_put_n(t, s, 1);
        } else if (c < 0x20 || c == 0x7f) {
            char escape[8];

            snprintf(escape, sizeof escape, "\\u%04x", c);
            measure_text_put(t, escape);
        } else {
            measure_text_put_n(t, s, 1);
        }
    }
    measure_text_put_n(t, "\"", 1);
}

/* Appends the name of a member, and a comma before it if it is not the first
 * one of its object. */
void
measure_text_put_json_name(struct measure_text *t, const char *name)
{
    if (t->length && t->data[t->length - 1] != '{') {
        measure_text_put_n(t, ",", 1);
    }
    measure_text_put_n(t, "\"", 1);
    measure_text_put(t, name);
    measure_text_put_n(t, "\":", 2);
}

void
measure_text_put_json_uint(struct measure_text *t, const char *name,
                           uint64_t value)
{
    measure_text_put_json_name(t, name);
    measure_text_put_uint(t, value);
}

/* CSV. */

/* Appends 's' as a field of RFC 4180, in quotes if it needs them. */
void
measure_text_put_csv(struct measure_text *t, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        measure_text_put(t, s);
        return;
    }
    measure_text_put_n(t, "\"", 1);
    for (; *s; s++) {
        measure_text_put_n(t, "\"\"", *s == '"' ? 2 : 0);
        if (*s != '"') {
            measure_text_put_n(t, s, 1);
        }
    }
    measure_text_put_n(t, "\"", 1);
}

/* Appends a comma unless it is the '*first' field, which it is not then. */
void
measure_text_put_comma(struct measure_text *t, bool *first)
{
    if (!*first) {
        measure_text_put_n(t, ",", 1);
    }
    *first = false;
}

void
measure_text_put_csv_uint(struct measure_text *t, uint64_t value, bool *first)
{
    measure_text_put_comma(t, first);
    measure_text_put_uint(t, value);
}
