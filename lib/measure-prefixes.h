/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#ifndef MEASURE_PREFIXES_H
#define MEASURE_PREFIXES_H 1

#include "measure-query.h"

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
 * How.  Only a prefix that is heavy with all that is in it can be one.  From
 * the shortest length to the longest, prefixes are added up in a table, and
 * addresses whose prefix is not heavy are forgotten.  Then, from the longest
 * to the shortest, what was taken out of each prefix is subtracted; if the
 * rest is still heavy, it is listed and taken out of all shorter ones.
 *
 * Memory, while it runs: that of measure_query(), the distinct addresses (32
 * or 64 bytes each), and a table of their prefixes.
 *
 * Thread safety: as measure-query.h. */

struct measure_prefixes_question {
    const struct measure_group *group;      /* By source or destination. */
    const struct measure_totals *totals;
    const struct measure_threshold *threshold;
    enum measure_sort sort;
};

struct measure_heavy_prefix {
    enum measure_family layout;
    uint64_t key[MEASURE_KEY_WORDS];
    unsigned int bits;
    uint64_t packets;           /* Without heavy prefixes in it. */
    uint64_t bytes;
    uint64_t all_packets;       /* With them. */
    uint64_t all_bytes;
};

/* Returns false if there is no memory. */
typedef bool measure_prefixes_function(const struct measure_heavy_prefix *,
                                       void *aux);

bool measure_prefixes_ask(const struct measure_scope *,
                          const struct measure_prefixes_question *,
                          measure_prefixes_function *, void *aux,
                          uint64_t *keys, uint64_t *packets, uint64_t *bytes);

#endif /* measure-prefixes.h */
