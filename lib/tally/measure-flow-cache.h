/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of the entries of a flow cache: the first tier. */

#ifndef MEASURE_FLOW_CACHE_H
#define MEASURE_FLOW_CACHE_H 1

#include "key/measure-record.h"

/* Counts of the entries of a flow cache: the first tier
 * =====================================================
 *
 * A switch that finds most packets in a small cache of exact flows has done
 * for these packets what a flow table would do again: parsed them, hashed
 * them, and compared their keys.  Here each entry of such a cache has one word
 * that counts packets and bytes.  The words of all entries fit a level 2 cache
 * of the processor, thus a packet costs one addition.
 *
 *     entry of the cache --index--> counts[] (hot)   packets, bytes, version
 *                                   low[]    (warm)  is there a key?
 *                                   states[] (cold)  since when, by which port
 *                                   keys[]   (cold)  what to count them under
 *
 * The first packet that finds an entry brings its key.  When the entry is
 * given to another flow, or its word is nearly full, or the epoch has been
 * closed, the counts move to the flow table (measure_tally_move_entry()).
 *
 * The counts belong to a tally (measure-tally.h), hence an epoch ends without
 * any work for the packet thread.  The keys belong to the thread, for its
 * entries outlast the epoch.  In the first bursts of an epoch
 * measure_tally_carry_entries() gives the words of the entries that have keys
 * their low bits, some in each burst: the first packet of an entry in the
 * epoch is then counted like any other.  While a closed tally is being moved
 * to the flow table its keys must stay as they were.  Hence each entry has two
 * places for a key, of which a word names its own.  A new key goes to the
 * other place than the one before it, and only if no tally is left that could
 * name that.
 *
 *     bits 0 to 2    version of IP of the key: 4 or 6
 *     bit 3          place of the key
 *     bits 4 to 42   bytes
 *     bits 43 to 63  packets; a word with bit 63 set takes no more
 *
 * A word of 0 counts nothing: as a signed number, a word that takes packets is
 * more than 0, whether it has counted any or not.  2^20 packets of at most
 * 2^17 bytes fit.
 *
 * Memory: 8 bytes for each entry in each tally, and 105 in each thread.
 * Error: none.
 *
 * Thread safety: that of the tally.  measure_cache_takes(),
 * measure_cache_add(), and the functions of an entry belong to the packet
 * path: they do not allocate, lock, wait, log or clear.
 * measure_cache_forget() belongs to another thread. */

#define MEASURE_CACHE_ENTRIES 8192
#define MEASURE_CACHE_CARRIED 1024      /* Entries that a burst carries. */

static_assert(MEASURE_CACHE_ENTRIES % MEASURE_CACHE_CARRIED == 0,
              "entries are carried in equal parts");

#define MEASURE_CACHE_VERSION_MASK 0x7
#define MEASURE_CACHE_PLACE_SHIFT 3
#define MEASURE_CACHE_BYTES_SHIFT 4
#define MEASURE_CACHE_BYTES_MASK ((UINT64_C(1) << 39) - 1)
#define MEASURE_CACHE_PACKETS_SHIFT 43
#define MEASURE_CACHE_MAX_FRAME (1u << 17)

static_assert((UINT64_C(1) << (63 - MEASURE_CACHE_PACKETS_SHIFT))
              * MEASURE_CACHE_MAX_FRAME <= MEASURE_CACHE_BYTES_MASK,
              "packets are full before bytes are");

struct measure_cache {
    uint64_t counts[MEASURE_CACHE_ENTRIES];
};

/* What an entry stands for. */
struct measure_cache_state {
    uint32_t since;             /* The tally in which it got its last key. */
    uint16_t port;              /* That its packets come in by. */
    uint8_t place;              /* Of that key. */
};

static_assert(sizeof(struct measure_cache_state) == 8,
              "states of entries are as small as their counts");

struct measure_cache_keys {
    uint32_t n_tallies;         /* Begun with these keys. */
    uint32_t n_moved;           /* Of these, moved to tables.  Atomic. */
    uint32_t forgotten;         /* Tally up to which keys mean nothing.
                                 * Atomic. */
    uint32_t unready;           /* What that was when 'low' was last freed of
                                 * such keys. */

    /* Bits 0 to 3 of the words of each entry that stands for its key, or 0.
     * They are few bytes, for all of them are read when an epoch begins. */
    uint8_t low[MEASURE_CACHE_ENTRIES];
    struct measure_cache_state states[MEASURE_CACHE_ENTRIES];
    uint64_t keys[MEASURE_CACHE_ENTRIES][2][MEASURE_KEY_WORDS];
};

/* Returns what a packet of 'bytes' bytes adds to a word. */
static inline uint64_t
measure_cache_packet(uint32_t bytes)
{
    return ((uint64_t) bytes << MEASURE_CACHE_BYTES_SHIFT
            | UINT64_C(1) << MEASURE_CACHE_PACKETS_SHIFT);
}

/* The version of IP of the key of a word that is not 0. */
static inline unsigned int
measure_cache_version(uint64_t word)
{
    return word & MEASURE_CACHE_VERSION_MASK;
}

/* Where the key of a word is: 0 or 1. */
static inline unsigned int
measure_cache_place(uint64_t word)
{
    return word >> MEASURE_CACHE_PLACE_SHIFT & 1;
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

/* Returns bits 0 to 3 of the word that counts packets which come in by 'port'
 * for 'entry', or 0 if there is no key to count them under. */
static inline uint64_t
measure_cache_known(const struct measure_cache_keys *keys, uint32_t entry,
                    uint16_t port)
{
    const struct measure_cache_state *state = &keys->states[entry];

    return (state->port == port
            && state->since > __atomic_load_n(&keys->forgotten,
                                              __ATOMIC_RELAXED)
            ? keys->low[entry] : 0);
}

/* Says that 'entry' is going to stand for another flow. */
static inline void
measure_cache_forget_entry(struct measure_cache_keys *keys, uint32_t entry)
{
    keys->low[entry] = 0;
}

/* Returns true if words of the tally 'number' may belong to entries that stand
 * for another flow by now: in the rest of its epoch they must not count. */
static inline bool
measure_cache_is_forgotten(const struct measure_cache_keys *keys,
                           uint32_t number)
{
    return __atomic_load_n(&keys->forgotten, __ATOMIC_RELAXED) >= number;
}

/* Says that any entry may stand for another flow without a word to the packet
 * thread.  Must come before the packet thread can see what made it so.  The
 * next tally waits for a grace period before it counts with two tiers, see
 * measure_tally_use_cache(). */
static inline void
measure_cache_forget(struct measure_cache_keys *keys)
{
    __atomic_store_n(&keys->forgotten, keys->n_tallies, __ATOMIC_RELAXED);
}

#endif /* measure-flow-cache.h */
