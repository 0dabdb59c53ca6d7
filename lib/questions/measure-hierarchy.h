/* SPDX-License-Identifier: Apache-2.0 */
/* The question for hierarchical heavy hitters. */

#ifndef MEASURE_HIERARCHY_H
#define MEASURE_HIERARCHY_H 1

#include "questions/measure-query.h"

/* Hierarchical heavy hitters
 * ==========================
 *
 * Prefixes of addresses that are heavy when all heavy prefixes within them are
 * taken out.  Source: Cormode, Korn, Muthukrishnan, Srivastava, "Finding
 * Hierarchical Heavy Hitters in Data Streams", VLDB 2003, with exact counts.
 *
 * Prefixes end at each byte for IPv4 (/8, /16, /24, /32) and at each 16 bits
 * for IPv6 (/16, /32, ... /128).
 *
 * How.  The addresses are sorted in place, byte by byte, but for those of
 * prefixes that are not heavy with all that is in them.  Then all addresses of
 * a prefix are neighbours, and one look at each is enough: a prefix ends where
 * the next address has another one, and what it leaves is added to the prefix
 * around it.  No address takes more than a few steps for each of its bytes.
 *
 * Error.  Packets that overflowed can be of any address.  So a prefix has
 *
 *     at least   what was counted in it, but not in a prefix within it that is
 *                listed
 *     at most    what was counted in it, but not in a prefix within it that is
 *                surely heavy, and all that overflowed
 *
 * and the number of its packets that are in no heavy prefix within it, if all
 * packets had been counted, lies between the two.  It is surely heavy if the
 * first number is, and is listed if the second is: then it may be.  A prefix
 * that is not listed is not heavy, but for one in which nothing was counted:
 * that has no more than overflowed.  Without overflow both numbers are equal.
 *
 * Memory, while it runs: that of measure_query(), and the distinct addresses
 * (32 or 64 bytes each), of spare blocks of the budget of the newest report,
 * as far as that allows it.
 *
 * Thread safety: as measure-query.h. */

struct measure_hierarchy_question {
    const struct measure_group_by *group_by;    /* By source or destination. */
    const struct measure_totals *totals;
    const struct measure_threshold *threshold;
    enum measure_sort sort;
};

struct measure_heavy_prefix {
    enum measure_layout layout;
    uint64_t key[MEASURE_KEY_WORDS];
    unsigned int bits;
    uint64_t packets;           /* Counted, not in listed ones within it. */
    uint64_t bytes;
    uint64_t max_packets;       /* At most, not in heavy ones within it. */
    uint64_t max_bytes;
    uint64_t all_packets;       /* Counted in all of it. */
    uint64_t all_bytes;
    bool heavy;                 /* Surely; else it may be. */
};

/* Returns false if there is no memory. */
typedef bool measure_hierarchy_function(const struct measure_heavy_prefix *,
                                        void *aux);

bool measure_hierarchy_ask(const struct measure_scope *,
                           const struct measure_hierarchy_question *,
                           measure_hierarchy_function *, void *aux,
                           uint64_t *keys, uint64_t *packets, uint64_t *bytes);

#endif /* measure-hierarchy.h */
