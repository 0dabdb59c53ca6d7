/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the first few of many rows. */

#ifndef MEASURE_TOP_H
#define MEASURE_TOP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The first few of many rows
 * ==========================
 *
 * Keeps of all rows that it is given those 'max' that come first by
 * 'compare', which orders as that of qsort() does.  They are in a heap, the
 * last of them at its root; sort them at the end.
 *
 * Thread safety: none. */

typedef int measure_compare(const void *, const void *);

#define MEASURE_TOP_ROW_SIZE 256    /* Largest row. */

static inline void
measure_top_sift_down(void *rows, size_t n, size_t i, size_t size,
                      measure_compare *compare)
{
    char *base = rows;
    char row[MEASURE_TOP_ROW_SIZE];

    memcpy(row, base + i * size, size);
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < n
            && compare(base + (child + 1) * size, base + child * size) > 0) {
            child++;
        }
        if (child >= n || compare(base + child * size, row) <= 0) {
            break;
        }
        memcpy(base + i * size, base + child * size, size);
        i = child;
    }
    memcpy(base + i * size, row, size);
}

/* Adds 'row' to the '*n' of at most 'max' 'rows'.  Returns false if there is
 * one row less now, this or another, than were added. */
static inline bool
measure_top_add(void *rows, size_t *n, size_t max, size_t size,
                const void *row, measure_compare *compare)
{
    char *base = rows;

    if (*n == max) {
        if (max && compare(row, base) < 0) {
            memcpy(base, row, size);
            measure_top_sift_down(rows, *n, 0, size, compare);
        }
        return false;
    }

    memcpy(base + (*n)++ * size, row, size);
    if (*n == max) {
        for (size_t i = *n / 2; i-- > 0; ) {
            measure_top_sift_down(rows, *n, i, size, compare);
        }
    }
    return true;
}

#endif /* measure-top.h */
