/* SPDX-License-Identifier: Apache-2.0 */
/* Reading numbers that have a unit: lengths of time, and rates. */

#ifndef MEASURE_UNITS_H
#define MEASURE_UNITS_H 1

#include <stdbool.h>
#include <stdint.h>

/* Numbers with a unit
 * ===================
 *
 * A length of time is an integer and a unit without a space between them:
 * ns, us, ms, s, m (minutes) or h.  There is no default unit.
 *
 * A rate is an integer, a prefix (none, k, M, G or T, powers of 1000), and
 * "b/s" or nothing, for bits per second: 5Gb/s, 200M.
 *
 * Thread safety: pure functions. */

/* What is valid, for error messages. */
#define MEASURE_DURATION_VALID "a number and ns, us, ms, s, m or h"
#define MEASURE_RATE_VALID "a number, k, M, G or T, and b/s or bps"

bool measure_duration_parse(const char *, uint64_t *ns);
bool measure_rate_parse(const char *, uint64_t *bits_per_second);

#endif /* measure-units.h */
