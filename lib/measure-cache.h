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

#ifndef MEASURE_CACHE_H
#define MEASURE_CACHE_H 1

#include "measure-record.h"

/* Counts of the entries of a flow cache: the first tier
 * =====================================================
 *
 * A switch that finds most packets in a small cache of exact flows has done
 * for these packets what a flow table would do again: parsed them, hashed
 * them, and compared their keys.  Here each entry of such a cache has one word
 * that counts packets and bytes.  The words of all entries fit a level 2 cache
 * of the processor, thus a packet costs one addition.
 *
 *     entry of the cache --index--> counts[] (hot)   packets, bytes, family
 *                                   keys[]   (cold)  what to count them under
 *
 * The first packet that finds an entry in an epoch brings its key.  When the
 * entry is given to another flow, or its word is nearly full, or the epoch has
 * been closed, the counts move to the flow table (measure_set_move_entry()).
 * The counts belong to a set (measure-epoch.h), hence an epoch ends without
 * any work for the packet thread.
 *
 *     bits 0 to 3    version of IP of the key: 4 or 6
 *     bits 4 to 42   bytes
 *     bits 43 to 63  packets; a word with bit 63 set takes no more
 *
 * A word of 0 counts nothing: as a signed number, a word that takes packets is
 * more than 0.  2^20 packets of at most 2^17 bytes fit.
 *
 * Memory: 56 bytes for each entry.  Error: none.
 *
 * Thread safety: that of the set.  measure_cache_takes() and
 * measure_cache_add() belong to the packet path: they do not allocate, lock,
 * wait, log or clear. */

#define MEASURE_CACHE_ENTRIES 8192

#define MEASURE_CACHE_VERSION_MASK 0xf
#define MEASURE_CACHE_BYTES_SHIFT 4
#define MEASURE_CACHE_BYTES_MASK ((UINT64_C(1) << 39) - 1)
#define MEASURE_CACHE_PACKETS_SHIFT 43
#define MEASURE_CACHE_MAX_FRAME (1u << 17)

static_assert((UINT64_C(1) << (63 - MEASURE_CACHE_PACKETS_SHIFT))
              * MEASURE_CACHE_MAX_FRAME <= MEASURE_CACHE_BYTES_MASK,
              "packets are full before bytes are");

struct measure_cache {
    uint64_t counts[MEASURE_CACHE_ENTRIES];
    uint64_t keys[MEASURE_CACHE_ENTRIES][MEASURE_KEY_WORDS];
};

/* Returns what a packet of 'bytes' bytes adds to a word. */
static inline uint64_t
measure_cache_packet(uint32_t bytes)
{
    return ((uint64_t) bytes << MEASURE_CACHE_BYTES_SHIFT
            | UINT64_C(1) << MEASURE_CACHE_PACKETS_SHIFT);
}

/* Returns what a word counts when a first packet has 'bytes' bytes. */
static inline uint64_t
measure_cache_word(enum measure_family family, uint32_t bytes)
{
    return measure_cache_packet(bytes) | (family == MEASURE_IPV4 ? 4 : 6);
}

/* The version of IP of the key of a word that is not 0. */
static inline unsigned int
measure_cache_version(uint64_t word)
{
    return word & MEASURE_CACHE_VERSION_MASK;
}

static inline uint64_t
measure_cache_packets(uint64_t word)
{
    return word >> MEASURE_CACHE_PACKETS_SHIFT;
}

static inline uint64_t
measure_cache_bytes(uint64_t word)
{
    return word >> MEASURE_CACHE_BYTES_SHIFT & MEASURE_CACHE_BYTES_MASK;
}

/* Returns true if the word of an entry counts and is not full.  Then it takes
 * packets with the version of IP that it has. */
static inline bool
measure_cache_takes(uint64_t word)
{
    return (int64_t) word > 0;
}

/* Counts a packet of 'bytes' bytes, up to MEASURE_CACHE_MAX_FRAME, that found
 * 'entry', which takes it. */
static inline void
measure_cache_add(struct measure_cache *cache, uint32_t entry, uint32_t bytes)
{
    cache->counts[entry] += measure_cache_packet(bytes);
}

#endif /* measure-cache.h */
