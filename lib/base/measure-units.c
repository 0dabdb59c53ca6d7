/* SPDX-License-Identifier: Apache-2.0 */
/* Reading numbers that have a unit: lengths of time, and rates. */

#include <config.h>

#include "base/measure-units.h"

#include <stddef.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-number.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    { "ns", 1 },
    { "us", UINT64_C(1000) },
    { "ms", UINT64_C(1000000) },
    { "s", UINT64_C(1000000000) },
    { "m", UINT64_C(60000000000) },
    { "h", UINT64_C(3600000000000) },
    { NULL, 0 },
};

static const struct unit rates[] = {
    { "", 1 },
    { "k", UINT64_C(1000) },
    { "M", UINT64_C(1000000) },
    { "G", UINT64_C(1000000000) },
    { "T", UINT64_C(1000000000000) },
    { "b/s", 1 },
    { "kb/s", UINT64_C(1000) },
    { "Mb/s", UINT64_C(1000000) },
    { "Gb/s", UINT64_C(1000000000) },
    { "Tb/s", UINT64_C(1000000000000) },
    { "bps", 1 },
    { "kbps", UINT64_C(1000) },
    { "Mbps", UINT64_C(1000000) },
    { "Gbps", UINT64_C(1000000000) },
    { "Tbps", UINT64_C(1000000000000) },
    { NULL, 0 },
};

static bool
parse(const char *s, const struct unit *unit, uint64_t *value)
{
    size_t n = strspn(s, "0123456789");
    char digits[20];
    uint64_t number;

    if (n >= sizeof digits) {
        return false;
    }
    memcpy(digits, s, n);
    digits[n] = '\0';
    for (; unit->name; unit++) {
        if (!strcmp(s + n, unit->name)) {
            if (!measure_integer_parse(digits, 0, INT64_MAX / unit->factor,
                                       &number)) {
                return false;
            }
            *value = number * unit->factor;
            return true;
        }
    }
    return false;
}

/* Parses a length of time such as "100us".  Returns false if 's' is none, or
 * longer than 292 years, and then leaves '*ns' as it is:
 * MEASURE_DURATION_VALID says what is valid. */
bool
measure_duration_parse(const char *s, uint64_t *ns)
{
    return parse(s, durations, ns);
}

/* Likewise a rate such as "5Gb/s": MEASURE_RATE_VALID. */
bool
measure_rate_parse(const char *s, uint64_t *bits_per_second)
{
    return parse(s, rates, bits_per_second);
}
