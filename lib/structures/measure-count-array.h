/* SPDX-License-Identifier: Apache-2.0 */
/* The count array. */

#ifdef STRUCTURE
STRUCTURE(COUNT_ARRAY, count_array)
#elif !defined MEASURE_COUNT_ARRAY_H
#define MEASURE_COUNT_ARRAY_H 1

#include "structures/measure-structure-class.h"

/* Count array
 * ===========
 *
 * An array of cells, one of them for each hash: keys that share a cell are
 * added up.  It is the fastest structure of Alipourfard, Moshref, Zhou, Yang,
 * Yu, "A Comparison of Performance and Accuracy of Measurement Algorithms in
 * Software", SOSR 2018: one hash, one cache line, no comparison of keys.
 *
 * The key whose packet lifts a cell over the threshold is recorded (see
 * measure-heavy-keys.h), and no other one of that cell as long as the cell
 * stays above it: in a heavy cell nearly all packets are of the heavy key.  It
 * does not give way as long as the cell stays above it.
 *
 * Memory: 16 bytes a cell, and the heavy keys.
 *
 * Error: an estimate is never too low.  It is too high by what the other keys
 * of its cell have, at most N / m on average over the secret for N packets in
 * m cells (see measure_cell_share() for the exact number), so that by Markov's
 * inequality it is too high by more than k * N / m with probability at most
 * 1 / k: the Count-Min sketch of Cormode and Muthukrishnan with a single row.
 * MEASURE_COUNT_ARRAY_ERROR_FACTOR is k.  The same holds for bytes, and, since
 * averages add up whatever depends on what, for the sum of the estimates of
 * several arrays of any sizes and the sum of their k * N / m.
 * measure-heavy-keys.h says what the probability is of.
 *
 * A heavy key is not recorded if another key of its cell crosses the threshold
 * first.  That key must have a share of the cell, thus for a threshold of T
 * packets the probability is about N / (m T).
 *
 * Thread safety: one thread writes, others read when it has let go.
 * measure_count_array_prefetch(), _add() and _end_burst() belong to the packet
 * path: they do not allocate, lock, wait, log or clear. */

#define MEASURE_COUNT_ARRAY_ERROR_FACTOR 20

struct measure_count_array_params {
    enum measure_layout layout;
    uint32_t n_cells;           /* At least 1. */
    struct measure_heavy_params heavy;
    const struct measure_hash_secret *secret;
};

struct measure_count_array {
    struct measure_cell *cells;
    uint32_t n_cells;
    enum measure_layout layout;
    const struct measure_hash_secret *secret;
    struct measure_heavy_keys heavy;
};

/* The packet path. */

static inline struct measure_cell *
measure_count_array_cell(const struct measure_count_array *array,
                         uint64_t hash)
{
    return &array->cells[((hash >> 32) * array->n_cells) >> 32];
}

static inline void
measure_count_array_prefetch(const struct measure_count_array *array,
                             enum measure_layout layout, uint64_t hash)
{
    (void) layout;
    __builtin_prefetch(measure_count_array_cell(array, hash), 1);
}

bool measure_count_array_record(struct measure_count_array *,
                                const uint64_t *key, uint64_t hash);

/* Adds 'packets' (at least 1) and 'bytes' to 'key', whose hash is 'hash'.
 * measure_count_array_end_burst() must follow after each burst.  Returns
 * true. */
static inline bool
measure_count_array_add(struct measure_count_array *array,
                        const uint64_t *key, uint64_t hash, uint64_t packets,
                        uint64_t bytes)
{
    if (__builtin_expect(measure_cell_add(
            measure_count_array_cell(array, hash),
            measure_pair_from(packets, bytes),
            array->heavy.thresholds), 0)) {
        measure_count_array_record(array, key, hash);
    }
    return true;
}

/* Says that a burst of 'packets' and 'bytes' has been added. */
static inline void
measure_count_array_end_burst(struct measure_count_array *array,
                              uint64_t packets, uint64_t bytes)
{
    measure_heavy_keys_advance(&array->heavy, packets, bytes);
}

/* Outside the packet path. */

size_t measure_count_array_size(const struct measure_count_array_params *);
void measure_count_array_init(struct measure_count_array *,
                              const struct measure_count_array_params *,
                              void *memory);
void measure_count_array_add_error(const struct measure_count_array *,
                                   struct measure_estimate_sum *);
void measure_count_array_estimate(const struct measure_count_array *,
                                  uint64_t hash, struct measure_estimate *);

extern const struct measure_structure_class measure_count_array_class;

#endif /* measure-count-array.h */
