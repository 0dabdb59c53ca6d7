/* SPDX-License-Identifier: Apache-2.0 */
/* The question for heavy hitters. */

#ifndef MEASURE_HEAVY_HITTERS_H
#define MEASURE_HEAVY_HITTERS_H 1

#include "questions/measure-query.h"

/* Heavy hitters of reports
 * ========================
 *
 * The groups with the most packets or bytes, those above a threshold or the
 * first N.  Rows of equal size are in the order of measure_fields_compare().
 *
 * Or, by source/N or destination/N with a star for N, hierarchical heavy
 * hitters: see measure-hierarchy.h.
 *
 * Error bound: of a group that is the configured key, what the cell of its
 * hash holds in the overflow count arrays of the scope; of all others, all
 * that overflowed; of prefixes, see measure-hierarchy.h.  Of estimates, what
 * the report says of the key, too.
 *
 * A key that may be heavy or not, as far as is known, is listed as well: only
 * one that is so in any case is 'heavy', the others 'may_be_heavy'.  A key
 * without a row has no more than the answer says, in 'missed'.
 *
 * Thread safety: as measure-query.h. */

struct measure_hitters_question {
    struct measure_group_by group_by;
    bool prefixes;              /* Hierarchical; 'group_by' is source or
                                 * destination. */
    enum measure_sort sort;
    bool heavy_only;            /* Else the 'n' largest keys. */
    uint64_t n;                 /* 0 means all. */
    struct measure_threshold threshold;
    const char *threshold_text; /* As it was configured. */
};

struct measure_hitters_row {
    struct measure_fields fields;
    unsigned int bits;          /* Of the prefix, if 'prefixes'. */
    uint64_t packets;
    uint64_t bytes;
    uint64_t packets_error_max;
    uint64_t bytes_error_max;
    uint64_t prefix_packets;    /* With the heavy prefixes in it. */
    uint64_t prefix_bytes;
    bool heavy;                 /* At or above the threshold, surely... */
    bool may_be_heavy;          /* ...or as far as is known. */
};

struct measure_hitters_answer {
    struct measure_hitters_row *rows;   /* Largest first. */
    size_t n_rows;
    uint64_t omitted_rows;      /* Beyond MEASURE_ANSWER_MAX_ROWS. */
    uint64_t keys;              /* All that the filter lets through... */
    uint64_t packets;
    uint64_t bytes;
    uint64_t other_keys;        /* ...and what of it is not in 'rows'. */
    uint64_t other_packets;     /* Without a filter with what overflowed. */
    uint64_t other_bytes;
    bool other_known;           /* Else 'keys' and all behind it is not. */
    struct measure_cell missed; /* A key without row has no more. */
};

bool measure_hitters_parse_by(const char *, struct measure_hitters_question *);
bool measure_hitters_ask(const struct measure_scope *,
                         const struct measure_hitters_question *,
                         struct measure_hitters_answer *);
void measure_hitters_answer_destroy(struct measure_hitters_answer *);
bool measure_hitters_write(struct measure_output *,
                           const struct measure_scope *,
                           const struct measure_hitters_question *);

#endif /* measure-heavy-hitters.h */
