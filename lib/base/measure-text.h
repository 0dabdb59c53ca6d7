/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows, and parts of it: numbers, times, JSON and CSV. */

#ifndef MEASURE_TEXT_H
#define MEASURE_TEXT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that grows
 * ===============
 *
 * What writes many lines appends them here, and uses the memory again.  It
 * knows nothing of trees and tables: that is measure-output.h.
 *
 * Memory: at most twice the text and 1 KiB.
 *
 * Thread safety: no shared state. */

/* All zeros is empty. */
struct measure_text {
    char *data;                 /* Not terminated. */
    size_t length;
    size_t allocated;
};

void measure_text_put_n(struct measure_text *, const char *, size_t n);
void measure_text_put(struct measure_text *, const char *);
void measure_text_put_uint(struct measure_text *, uint64_t);
void measure_text_put_spaces(struct measure_text *, size_t n);
void measure_text_destroy(struct measure_text *);

/* Times in UTC. */
void measure_text_put_date(struct measure_text *, uint64_t ns);
void measure_text_put_time(struct measure_text *, uint64_t ns);

/* JSON. */
void measure_text_put_json(struct measure_text *, const char *);
void measure_text_put_json_name(struct measure_text *, const char *name);
void measure_text_put_json_uint(struct measure_text *, const char *name,
                                uint64_t);

/* CSV. */
void measure_text_put_csv(struct measure_text *, const char *);
void measure_text_put_comma(struct measure_text *, bool *first);
void measure_text_put_csv_uint(struct measure_text *, uint64_t, bool *first);

#endif /* measure-text.h */
