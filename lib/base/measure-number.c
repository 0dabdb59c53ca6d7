/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing numbers as text, whatever the locale. */

#include <config.h>

#include "base/measure-number.h"

#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses the integer 's'.  Returns false if it is anything else or not from
 * 'min' to 'max', and then leaves '*number' as it is. */
bool
measure_integer_parse(const char *s, uint64_t min, uint64_t max,
                      uint64_t *number)
{
    uint64_t value = 0;

    if (!*s || strlen(s) > 19) {
        return false;
    }
    for (; *s; s++) {
        if (!isdigit((unsigned char) *s)) {
            return false;
        }
        value = value * 10 + (*s - '0');
    }
    if (value < min || value > max) {
        return false;
    }
    *number = value;
    return true;
}

/* Writes 'value' to the 'size' bytes at 's', with 'digits' digits behind the
 * point. */
void
measure_decimal_format(char *s, size_t size, int digits, double value)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
    locale_t old = uselocale(plain);

    snprintf(s, size, "%.*f", digits, value);
    uselocale(old);
    freelocale(plain);
}

/* Like strtod(). */
double
measure_decimal_parse(const char *s, char **end)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t) 0);
    locale_t old = uselocale(plain);
    double value = strtod(s, end);

    uselocale(old);
    freelocale(plain);
    return value;
}
