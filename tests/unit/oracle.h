/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: what the packets of a world add up to, found out slowly. */

#ifndef ORACLE_H
#define ORACLE_H 1

#include "oracle-world.h"

#include "questions/measure-scope.h"

/* The oracle
 * ==========
 *
 * It goes through the list of all packets for each question, shares no code
 * with the library, and is as plain as it can be. */

#define MAX_CONDITIONS 3

/* Of a filter. */
struct condition {
    enum measure_field field;
    int family;
    uint8_t address[16];
    unsigned int bits;
    uint32_t number;
};

/* What a question is about. */
struct scope {
    int first, n;               /* Epochs. */
    int thread;                 /* -1 for all. */
    int n_conditions;
    struct condition conditions[MAX_CONDITIONS];
    char where[300];

    /* The same for the library. */
    struct measure_filter filter;
    struct measure_scope scope;
};

struct group_by {
    unsigned int fields;
    unsigned int source_bits, destination_bits;
};

struct row {
    struct key key;
    uint64_t packets, bytes;
    uint64_t spread, ports;     /* For superspreaders. */
    bool seen;                  /* For the user. */
};

struct rows {
    struct row *rows;           /* In the order of memcmp(). */
    size_t n;
    uint64_t packets, bytes;
};

/* Returns what is left of 'key' when it is grouped by 'g'. */
struct key group_key(const struct key *key, const struct group_by *g);

/* Orders keys, or rows, by memcmp(). */
int compare_keys(const void *, const void *);

/* Orders keys as answers order rows of the same size. */
int compare_order(const struct key *, const struct key *);

/* Returns the rows of all packets in 's', grouped by 'g'. */
struct rows group_packets(const struct scope *s, const struct group_by *g);

/* Adds up rows of the same key, which 'rows' may have in any order. */
void add_up(struct rows *rows);

/* Returns the row of 'key', or NULL if there is none. */
struct row *find_row(const struct rows *rows, const struct key *key);

/* Returns the sum of all packets in 's', whatever the filter. */
struct row all_packets(const struct scope *s);

#endif /* oracle.h */
