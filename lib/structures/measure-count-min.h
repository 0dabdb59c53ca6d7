/* SPDX-License-Identifier: Apache-2.0 */
/* The Count-Min sketch. */

#ifdef STRUCTURE
STRUCTURE(COUNT_MIN, count_min)
#elif !defined MEASURE_COUNT_MIN_H
#define MEASURE_COUNT_MIN_H 1

#include "structures/measure-structure-class.h"

/* Count-Min sketch
 * ================
 *
 * 'depth' rows of 'width' cells, each row with a hash of its own; a packet is
 * added to one cell of each, and the estimate of a key is its smallest cell.
 * Cormode, Muthukrishnan, "An Improved Data Stream Summary: The Count-Min
 * Sketch and its Applications", Journal of Algorithms 55 (2005).
 *
 * The key's hash of 64 bits has the hashes of two rows, in one half each; of
 * the next two rows it is multiplied and folded once more with two secret
 * words, and so on.  Keys that share a cell of one row share one of another
 * row no more often than any two keys.  (With CRC32C and a seed for each row
 * they would share all: keys that collide under one seed collide under every
 * seed.)
 *
 * Conservative update (Estan, Varghese, SIGCOMM 2002) only lifts the cells
 * that are below the new estimate.  Estimates are still never too low, and
 * less often too high; it costs a second look at the cells.
 *
 * The key of each packet whose estimate is above the threshold is recorded
 * (see measure-heavy-keys.h), so that no key with that many packets is
 * missing: one without a row was below the threshold with its last packet, or
 * when it gave way, or has raised the threshold above itself, and thresholds
 * never fall.  Most such packets are of keys that have a row: 'known' has the
 * hashes of some of them, for which nothing more is to do.  A key is missing
 * only if a known one has the same 64-bit hash.
 *
 * Memory: 16 * depth * width bytes, the heavy keys, and 4 KiB in the structure
 * itself.
 *
 * Error: an estimate is never too low.  For N packets it is too high by more
 * than e * N / width with probability at most e^-depth: in each row on average
 * by no more than N / width (see measure_cell_share() for the exact number),
 * thus by Markov's inequality by more than e times that with probability at
 * most 1/e, and the rows are independent of each other.  The same holds for
 * bytes.  It holds, too, for the sum of the estimates of several sketches of
 * the same secret and depth, of any widths, and the sum of their bounds: the
 * sum of their smallest cells is at most the smallest of the sums over all
 * first rows, all second rows and so on; averages add up, and what happens in
 * the first rows is independent of what happens in the second ones.
 * measure-heavy-keys.h says what the probability is of.
 *
 * Thread safety: one thread writes, others read when it has let go.
 * measure_count_min_prefetch(), _add() and _end_burst() belong to the packet
 * path: they do not allocate, lock, wait, log or clear. */

#define MEASURE_COUNT_MIN_MAX_DEPTH 8
#define MEASURE_COUNT_MIN_DEPTH 3       /* That of the SOSR paper. */
#define MEASURE_COUNT_MIN_KNOWN 512

struct measure_count_min_params {
    enum measure_layout layout;
    uint32_t depth;             /* 1 to MEASURE_COUNT_MIN_MAX_DEPTH. */
    uint32_t width;             /* At least 1. */
    bool conservative;
    struct measure_heavy_params heavy;
    const struct measure_hash_secret *secret;
};

struct measure_count_min {
    struct measure_cell *cells;
    uint32_t depth;
    uint32_t width;
    bool conservative;
    enum measure_layout layout;
    const struct measure_hash_secret *secret;
    struct measure_hash_secret rows;    /* Two words for each two rows. */
    struct measure_heavy_keys heavy;

    /* Hashes of keys that have a row: the one in the place of a key says that
     * it need not be recorded again. */
    uint64_t known[MEASURE_COUNT_MIN_KNOWN];
};

/* The packet path. */

/* Returns the hash of which the rows 2 * 'i' and 2 * 'i' + 1 use one half
 * each. */
static inline uint64_t
measure_count_min_hash(const struct measure_count_min *sketch, uint32_t i,
                       uint64_t hash)
{
    const uint64_t *s = sketch->rows.words + i * 2;

    return i ? measure_hash_fold(hash ^ s[0], s[1]) : hash;
}

/* Stores the cells of the key with 'hash' in 'cells'.  'depth' is that of the
 * sketch, a constant where the loop is to be unrolled. */
static inline void __attribute__((always_inline))
measure_count_min_find(const struct measure_count_min *sketch, uint32_t depth,
                       uint64_t hash, struct measure_cell **cells)
{
    struct measure_cell *row = sketch->cells;

    /* gcc would not by itself, even if it knows 'depth'. */
#pragma GCC unroll 8
    for (uint32_t i = 0; i < depth; i++) {
        uint64_t h = measure_count_min_hash(sketch, i / 2, hash);
        uint64_t half = i % 2 ? (uint32_t) h : h >> 32;

        cells[i] = &row[(half * sketch->width) >> 32];
        row += sketch->width;
    }
}

static inline void
measure_count_min_prefetch(const struct measure_count_min *sketch,
                           enum measure_layout layout, uint64_t hash)
{
    struct measure_cell *cells[MEASURE_COUNT_MIN_MAX_DEPTH];

    (void) layout;
    measure_count_min_find(sketch, sketch->depth, hash, cells);
    for (uint32_t i = 0; i < sketch->depth; i++) {
        __builtin_prefetch(cells[i], 1);
    }
}

static inline bool
measure_count_min_is_known(const struct measure_count_min *sketch,
                           uint64_t hash)
{
    return sketch->known[hash % MEASURE_COUNT_MIN_KNOWN] == hash;
}

/* Adds 'more' to 'cells', those of a key.  Returns true if its estimate is
 * above one of 'thresholds' then. */
static inline bool __attribute__((always_inline))
measure_count_min_add_to(uint32_t depth, struct measure_cell *const *cells,
                         measure_pair more, measure_pair thresholds)
{
    measure_pair below = { 0, 0 };

#pragma GCC unroll 8
    for (uint32_t i = 0; i < depth; i++) {
        measure_pair sum = *(measure_pair *) cells[i] + more;

        *(measure_pair *) cells[i] = sum;
        below |= sum - thresholds;
    }
    return measure_pair_negative(below) != 3;
}

void measure_count_min_record(struct measure_count_min *, const uint64_t *key,
                              uint64_t hash);

/* Adds 'packets' (at least 1) and 'bytes' to 'key', whose hash is 'hash'.
 * measure_count_min_end_burst() must follow after each burst.  Returns
 * true. */
bool measure_count_min_add(struct measure_count_min *, const uint64_t *key,
                           uint64_t hash, uint64_t packets, uint64_t bytes);

/* Says that a burst of 'packets' and 'bytes' has been added. */
static inline void
measure_count_min_end_burst(struct measure_count_min *sketch,
                            uint64_t packets, uint64_t bytes)
{
    measure_heavy_keys_advance(&sketch->heavy, packets, bytes);
}

/* Outside the packet path. */

size_t measure_count_min_size(const struct measure_count_min_params *);
void measure_count_min_init(struct measure_count_min *,
                            const struct measure_count_min_params *,
                            void *memory);
void measure_count_min_add_error(const struct measure_count_min *,
                                 struct measure_estimate_sum *);
void measure_count_min_estimate(const struct measure_count_min *,
                                uint64_t hash, struct measure_estimate *);

extern const struct measure_structure_class measure_count_min_class;

#endif /* measure-count-min.h */
