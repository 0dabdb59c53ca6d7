/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that structures which estimate record, and their sums. */

#ifndef MEASURE_HEAVY_KEYS_H
#define MEASURE_HEAVY_KEYS_H 1

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/measure-hash.h"
#include "key/measure-record.h"
#include "structures/measure-table.h"

/* What estimating structures share
 * ================================
 *
 * An estimate is what a structure knows of one key: a number of packets and
 * bytes that is never too low, and by how much it may be too high.
 *
 * A cell is what sketches are made of.
 *
 * Bounds.  A sketch says by how much the estimate of a key may be too high
 * with at most some probability.  That is one over the secret of the hash,
 * which is as good as random, for one key and whatever traffic, both chosen
 * without knowledge of the secret; for packets and for bytes each by itself.
 * It says nothing about several keys together, nor about the keys that a
 * report lists: these are listed because their estimates are large, and where
 * many small keys share their cells with few large ones, those that come to be
 * listed can be a larger part of the list than of all keys.
 *
 * Sums.  The bound of a sum of estimates is the sum of their bounds, none of
 * them cut: a key that has all of its packets in one sketch can have, in each
 * other one, an estimate of others' packets that is beyond the bound there,
 * and within the sum.  Only the sum is cut, to the sum of the estimates, and
 * rounded down: many bounds below 1 add up, too.
 *
 * Heavy keys.  A sketch has no keys, and to ask it for many keys afterwards
 * finds, beside the heavy ones, all that share their cells.  So the packet
 * that lifts an estimate over the threshold has its key recorded, at once, in
 * a table.  The threshold is the larger of a fixed number and a share of what
 * was counted so far: a key that has that share in the end had its estimate
 * lifted over the threshold at the latest by its last packet, for at that time
 * the threshold was not higher.  Packets and bytes have a threshold each.
 *
 * A threshold that follows a share grows, and leaves behind keys that were
 * large only while little had been counted.  They keep their rows as long as
 * there is room, and then give way: a key has two buckets of
 * MEASURE_HEAVY_BUCKET rows, and where these are full, or 'max_keys' are
 * recorded, it takes the row of one whose estimate has been below both
 * thresholds when asked last, the smallest of them, if the sketch says that it
 * still is.  (At most MEASURE_HEAVY_TRIES are asked about.)  Such a key is
 * recorded again when its estimate is lifted over the threshold again.
 *
 * If there is none, a key is lost, and 'lost' counts that.  Then the fixed
 * threshold becomes a quarter more than the estimate of that key.  Thus what
 * was first is not what stays: keys below the new threshold can give way, and
 * a key that becomes larger finds a row.  And in any case the thresholds say
 * what is missing: where all keys above them are recorded
 * (measure-count-min.h), a key without a row has fewer packets and bytes than
 * they are in the end.  A key without a row in any of several sketches has
 * fewer than the sums of their thresholds.
 *
 * Memory: that of rows for twice 'max_keys' keys, 64 bytes a key for IPv4 and
 * 128 for IPv6.  For a share s no more than 1/s keys are above the threshold
 * at any time, and sketches add those that share their cells.  With half of
 * its rows used, practically no key finds both of its buckets full.
 *
 * Thread safety: one thread writes.  'lost' may be read by any thread at any
 * time, the rest when that has let go. */

struct measure_estimate {
    uint64_t packets;
    uint64_t bytes;
    uint64_t packets_error;     /* 'packets' is too high by at most that... */
    uint64_t bytes_error;       /* ...and 'bytes' by at most that. */
};

/* What several structures know of one key, added up.  A long double takes any
 * number of packets and bytes as it is, and fractions. */
struct measure_estimate_sum {
    uint64_t packets;
    uint64_t bytes;
    long double packets_error;  /* May be more than 'packets'. */
    long double bytes_error;
};

struct measure_cell {
    uint64_t bytes;
    uint64_t packets;
} __attribute__((aligned(16)));

static_assert(MEASURE_LINE_SIZE % sizeof(struct measure_cell) == 0,
              "no cell straddles two cache lines");

/* A share as a fixed-point number: 1 is MEASURE_WHOLE. */
#define MEASURE_WHOLE (UINT64_C(1) << 32)
#define MEASURE_NEVER UINT64_MAX    /* A threshold that nothing crosses. */

#define MEASURE_HEAVY_BUCKET 8      /* Rows. */
#define MEASURE_HEAVY_TRIES 4

/* From where on keys are recorded: the larger of a number and a share of the
 * packets or bytes so far.  See measure-heavy-keys.h. */
struct measure_structure_threshold {
    uint64_t min_packets;
    uint64_t min_bytes;
    uint64_t packets_share;     /* Of MEASURE_WHOLE. */
    uint64_t bytes_share;
};

struct measure_heavy_params {
    uint32_t max_keys;          /* Keys that can be recorded. */
    uint64_t min_packets;       /* Fixed thresholds, from 1.  They rise... */
    uint64_t min_bytes;         /* ...when keys are lost. */
    uint64_t packets_share;     /* Of MEASURE_WHOLE; 0 for none. */
    uint64_t bytes_share;
};

/* The numbers of a cell side by side, as processors add them at once.  They
 * stay below 2^63, so that the highest bit is the sign of a difference. */
typedef uint64_t measure_pair __attribute__((vector_size(16), may_alias));

static inline measure_pair
measure_pair_from(uint64_t packets, uint64_t bytes)
{
    /* The packets are a constant, nearly always: to add them is less than to
     * put two numbers side by side. */
    return (measure_pair) { bytes, 0 } + (measure_pair) { 0, packets };
}

static inline uint64_t
measure_pair_clamp(uint64_t number)
{
    const uint64_t highest = UINT64_C(1) << 63;

    return number < highest ? number : highest;
}

struct measure_heavy_keys {
    uint64_t packets_threshold;
    uint64_t bytes_threshold;

    /* Both, or 2^63, which nothing crosses: what a packet is compared with. */
    measure_pair thresholds;

    uint64_t packets;           /* Counted so far... */
    uint64_t bytes;             /* ...until the last burst. */
    uint64_t lost;              /* Keys not recorded.  Atomic. */
    struct measure_heavy_params params;

    /* The keys, in buckets that are filled from their first row on.  Their
     * counters are their estimates when these were last asked for. */
    struct measure_table table;
    uint32_t n_buckets;
};

/* A kind of sketch, to heavy keys. */
struct measure_heavy_class {
    /* Stores in '*cell' the estimate of the key with 'hash'. */
    void (*estimate)(const void *sketch, uint64_t hash,
                     struct measure_cell *cell);

    /* Says that the key with 'hash' has given way; NULL where nobody cares. */
    void (*forget)(void *sketch, uint64_t hash);
};

/* The packet path. */

/* Returns true if adding 'more' (at least 1) to 'old' crosses 'threshold',
 * that is, leads from below it to it or above it. */
static inline bool
measure_crosses(uint64_t old, uint64_t more, uint64_t threshold)
{
    return threshold - 1 - old < more;
}

/* Returns a bit for each of the two numbers that is negative.  The generic
 * function is for processors without an instruction for that. */
static inline unsigned int
measure_pair_negative_generic(measure_pair pair)
{
    return pair[0] >> 63 | pair[1] >> 63 << 1;
}

static inline unsigned int
measure_pair_negative(measure_pair pair)
{
#ifdef __SSE2__
    return _mm_movemask_pd((__m128d) pair);
#else
    return measure_pair_negative_generic(pair);
#endif
}

/* Adds 'more' to 'cell'.  Returns true if that leads from below one of
 * 'thresholds' to it or above it. */
static inline bool
measure_cell_add(struct measure_cell *cell, measure_pair more,
                 measure_pair thresholds)
{
    measure_pair old = *(measure_pair *) cell;
    measure_pair sum = old + more;

    *(measure_pair *) cell = sum;
    return measure_pair_negative((old - thresholds) & ~(sum - thresholds));
}

bool measure_heavy_keys_record(struct measure_heavy_keys *,
                               const struct measure_heavy_class *,
                               void *sketch,
                               const struct measure_hash_secret *,
                               const uint64_t *key, uint64_t hash);

/* Says that 'packets' and 'bytes' were counted: the thresholds follow. */
static inline void
measure_heavy_keys_advance(struct measure_heavy_keys *heavy, uint64_t packets,
                           uint64_t bytes)
{
    const struct measure_heavy_params *params = &heavy->params;
    __extension__ unsigned __int128 share;
    uint64_t threshold;

    heavy->packets += packets;
    heavy->bytes += bytes;

    share = heavy->packets;
    threshold = share * params->packets_share / MEASURE_WHOLE;
    heavy->packets_threshold = (threshold > params->min_packets
                                ? threshold : params->min_packets);
    share = heavy->bytes;
    threshold = share * params->bytes_share / MEASURE_WHOLE;
    heavy->bytes_threshold = (threshold > params->min_bytes
                              ? threshold : params->min_bytes);
    heavy->thresholds = measure_pair_from(
        measure_pair_clamp(heavy->packets_threshold),
        measure_pair_clamp(heavy->bytes_threshold));
}

/* Outside the packet path. */

void measure_estimate_sum_get(const struct measure_estimate_sum *,
                              struct measure_estimate *);
long double measure_cell_share(uint32_t n_cells);

size_t measure_heavy_keys_size(enum measure_layout,
                               const struct measure_heavy_params *);
void measure_heavy_keys_init(struct measure_heavy_keys *, enum measure_layout,
                             const struct measure_heavy_params *,
                             void *memory);
uint64_t measure_heavy_keys_lost(const struct measure_heavy_keys *);

/* Recorded keys take so much of the memory of a sketch. */
#define MEASURE_HEAVY_DIVISOR 8

struct measure_heavy_params
measure_heavy_params_for(enum measure_layout, size_t limit);
void measure_heavy_keys_begin(struct measure_heavy_keys *,
                              const struct measure_structure_threshold *);

#endif /* measure-heavy-keys.h */
