/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing numbers as text, whatever the locale. */

#ifndef MEASURE_NUMBER_H
#define MEASURE_NUMBER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers as text
 * ===============
 *
 * Integers are digits and nothing else: no sign, no space, at most 19 of them.
 *
 * For numbers with a fraction, printf() and strtod() have the decimal point of
 * the locale of the program, and JSON, OpenMetrics and our settings have a
 * point.  These are what writes and reads them instead.
 *
 * Thread safety: plain functions, which leave the locale as it is for other
 * threads. */

bool measure_integer_parse(const char *, uint64_t min, uint64_t max,
                           uint64_t *);
void measure_decimal_format(char *, size_t size, int digits, double);
double measure_decimal_parse(const char *, char **end);

#endif /* measure-number.h */
