/* SPDX-License-Identifier: Apache-2.0 */
/* The question for superspreaders. */

#ifndef MEASURE_SUPERSPREADERS_H
#define MEASURE_SUPERSPREADERS_H 1

#include "questions/measure-query.h"

/* Superspreaders of reports
 * =========================
 *
 * Exactly how many distinct destinations each source has, counted in the
 * tables of closed epochs: no packet pays for it.  (measure-superspreader.h
 * estimates the same from a stream.)
 *
 *     by            what a row is about   what is counted
 *     source        a source address      destination addresses, and pairs of
 *                                         destination address and port
 *     source-port   a source address      likewise
 *                   and port: a socket, which tells a service, or a scanner
 *                   that keeps its port, from the rest of its host
 *     destination   a destination         source addresses
 *
 * How.  measure_query_wholes() gives all of some sources at a time: their
 * sizes, and their groups by source, destination and destination port.  A
 * source with fewer packets than 'min' has fewer destinations, too: it has no
 * groups there; and if that holds for all, no rows are looked at.  From the
 * groups the pairs are made, and from the pairs the sources, by counting what
 * falls together.
 *
 * Error.  None without overflow.  With it each row can have missed at most as
 * many destinations as packets overflowed.
 *
 * Thread safety: as measure-query.h. */

enum measure_superspreaders_by {
    MEASURE_SUPERSPREADERS_BY_SOURCE,
    MEASURE_SUPERSPREADERS_BY_DESTINATION,
    MEASURE_SUPERSPREADERS_BY_SOURCE_PORT,
    MEASURE_N_SPREADERS_BY
};

#define MEASURE_SUPERSPREADERS_BY_VALID "source, destination or source-port"
#define MEASURE_SUPERSPREADERS_MIN 128

struct measure_superspreaders_question {
    enum measure_superspreaders_by by;
    bool sort_by_ports;         /* By address and port, not by address. */
    uint64_t min;               /* Of what rows are sorted by. */
    uint64_t n;                 /* 0 means all. */
    const struct measure_prefixes *exclude;     /* NULL for none. */
};

struct measure_superspreaders_row {
    struct measure_fields fields;
    uint64_t spread;            /* Destinations, or sources. */
    uint64_t ports;             /* Destination addresses and ports. */
    uint64_t packets;
    uint64_t bytes;
};

struct measure_superspreaders_answer {
    struct measure_superspreaders_row *rows;    /* Largest first. */
    size_t n_rows;
    uint64_t omitted_rows;      /* At least 'min', but not in 'rows'. */
    uint64_t excluded_rows;     /* At least 'min', but excluded. */
    uint64_t keys;              /* Of any spread. */
    uint64_t error_max;         /* Of spreads and packets, too low. */
};

bool measure_superspreaders_by_from_name(const char *,
                                         enum measure_superspreaders_by *);
void measure_superspreaders_group(enum measure_superspreaders_by,
                                  struct measure_group_by *);
bool measure_superspreaders_ask(const struct measure_scope *,
                                const struct measure_superspreaders_question *,
                                struct measure_superspreaders_answer *);
void measure_superspreaders_answer_destroy(
    struct measure_superspreaders_answer *);
bool measure_superspreaders_write(
    struct measure_output *, const struct measure_scope *,
    const struct measure_superspreaders_question *);

#endif /* measure-superspreaders.h */
