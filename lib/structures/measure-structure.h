/* SPDX-License-Identifier: Apache-2.0 */
/* One face for all structures that a tally can count in. */

#ifndef MEASURE_STRUCTURE_H
#define MEASURE_STRUCTURE_H 1

#include "base/measure-memory.h"
#include "structures/measure-count-array.h"
#include "structures/measure-count-min.h"
#include "structures/measure-cuckoo.h"
#include "structures/measure-space-saving.h"

/* The structures that a tally can count in
 * ======================================
 *
 * A tally (measure-tally.h) counts in linear tables, which grow with the
 * flows, or in one of the structures here, whose memory is fixed for the
 * epoch.
 *
 * A structure has an instance for each layout; three quarters of the memory
 * are for IPv4.  Of the memory of a count array or Count-Min sketch, an eighth
 * is for the keys that it records.
 *
 * At the end of an epoch rows are made of the structures of all threads
 * (measure-report-estimates.h): for each key that one of them recorded, the
 * sum of what all of them know of it.  Estimates are sums of estimates, and
 * their errors sums of errors, over all structures in which packets of the
 * key's layout (or layouts) were counted, whether any were the key's or not:
 *
 *     count array   at most k * sum(N / m), with probability 1 - 1/k
 *     Count-Min     at most e * sum(N / width), with probability 1 - e^-depth
 *     SpaceSaving   the sum of what each summary says, certainly
 *     cuckoo table  0
 *
 * and no more than the sum of the estimates.  measure-count-array.h and
 * measure-count-min.h say why, and measure-heavy-keys.h what the probability
 * is of.  It is for structures of one kind; structures of several kinds in one
 * report have the sum of their probabilities.
 *
 * Thread safety: measure_structure_prefetch(), _add() and _end_burst() belong
 * to the one thread that counts and to the packet path, and
 * measure_structure_load() to any thread; all else to the control thread when
 * the structure is not in use. */

enum measure_structure_kind {
    MEASURE_LINEAR_TABLE,
    MEASURE_COUNT_ARRAY,
    MEASURE_COUNT_MIN,
    MEASURE_CUCKOO_TABLE,
    MEASURE_SPACE_SAVING,
    MEASURE_N_STRUCTURES
};

/* From where on keys are recorded: the larger of a number and a share of the
 * packets or bytes so far.  See measure-heavy-keys.h. */
struct measure_structure_threshold {
    uint64_t min_packets;
    uint64_t min_bytes;
    uint64_t packets_share;     /* Of MEASURE_WHOLE. */
    uint64_t bytes_share;
};

struct measure_structure {
    enum measure_structure_kind kind;
    union {
        struct measure_count_array count_array;
        struct measure_count_min count_min;
        struct measure_cuckoo cuckoo;
        struct measure_space_saving space_saving;
    } u[MEASURE_N_LAYOUTS];

    /* Counted in all. */
    uint64_t packets[MEASURE_N_LAYOUTS];
    uint64_t bytes[MEASURE_N_LAYOUTS];

    const struct measure_hash_secret *secret;
    struct measure_budget *budget;
    char *memory;
    size_t size;                /* Of 'memory'. */
    size_t limit;               /* What the size was chosen for. */
};

/* The packet path.  'kind' is that of the structure; callers pass a
 * constant, for which one of the branches remains. */

static inline void __attribute__((always_inline))
measure_structure_prefetch(const struct measure_structure *structure,
                           enum measure_structure_kind kind,
                           enum measure_layout layout, uint64_t hash)
{
    if (kind == MEASURE_COUNT_ARRAY) {
        measure_count_array_prefetch(&structure->u[layout].count_array, hash);
    } else if (kind == MEASURE_COUNT_MIN) {
        measure_count_min_prefetch(&structure->u[layout].count_min, hash);
    } else if (kind == MEASURE_CUCKOO_TABLE) {
        measure_cuckoo_prefetch(&structure->u[layout].cuckoo, layout, hash);
    } else {
        measure_space_saving_prefetch(&structure->u[layout].space_saving,
                                      hash);
    }
}

/* Adds to 'key'.  Returns false, with nothing counted, if there is no place
 * for it. */
static inline bool __attribute__((always_inline))
measure_structure_add(struct measure_structure *structure,
                      enum measure_structure_kind kind,
                      enum measure_layout layout, const uint64_t *key,
                      uint64_t hash, uint64_t packets, uint64_t bytes)
{
    if (kind == MEASURE_COUNT_ARRAY) {
        measure_count_array_add(&structure->u[layout].count_array, key, hash,
                                packets, bytes);
        return true;
    } else if (kind == MEASURE_COUNT_MIN) {
        measure_count_min_add(&structure->u[layout].count_min, key, hash,
                              packets, bytes);
        return true;
    } else if (kind == MEASURE_CUCKOO_TABLE) {
        return measure_cuckoo_add(&structure->u[layout].cuckoo, key, hash,
                                  packets, bytes);
    } else {
        return measure_space_saving_add(&structure->u[layout].space_saving,
                                        key, hash, packets, bytes);
    }
}

/* Says that a burst of 'packets' and 'bytes' of 'layout' has been added. */
static inline void __attribute__((always_inline))
measure_structure_end_burst(struct measure_structure *structure,
                            enum measure_structure_kind kind,
                            enum measure_layout layout, uint64_t packets,
                            uint64_t bytes)
{
    structure->packets[layout] += packets;
    structure->bytes[layout] += bytes;
    if (kind == MEASURE_COUNT_ARRAY) {
        measure_heavy_keys_advance(&structure->u[layout].count_array.heavy,
                                   packets, bytes);
    } else if (kind == MEASURE_COUNT_MIN) {
        measure_heavy_keys_advance(&structure->u[layout].count_min.heavy,
                                   packets, bytes);
    }
}

/* What a structure holds, read while the packet thread counts. */
struct measure_structure_load {
    uint64_t bytes;             /* Memory... */
    uint64_t report_bytes;      /* ...and that of its report, at most. */
    uint64_t n_keys[MEASURE_N_LAYOUTS];
    uint64_t n_lost;            /* Keys, or packets, without a place. */
};

void measure_structure_load(const struct measure_structure *,
                            struct measure_structure_load *);

/* The control thread. */

const char *measure_structure_name(enum measure_structure_kind);
bool measure_structure_from_name(const char *name,
                                 enum measure_structure_kind *);
bool measure_structure_is_complete(enum measure_structure_kind);

struct measure_structure *
measure_structure_create(enum measure_structure_kind, size_t limit,
                         const struct measure_hash_secret *,
                         struct measure_budget *, int node);
void measure_structure_destroy(struct measure_structure *);
void measure_structure_clear(struct measure_structure *);
void measure_structure_begin(struct measure_structure *,
                             const struct measure_structure_threshold *);

double
measure_structure_error_probability(const struct measure_structure *);
bool measure_structure_is_exact(const struct measure_structure *);
uint64_t measure_structure_n_keys(const struct measure_structure *,
                                  enum measure_layout);
void measure_structure_missed(const struct measure_structure *,
                              struct measure_cell *);
void measure_structure_collect(const struct measure_structure *,
                               enum measure_layout,
                               struct measure_table *keys);
void measure_structure_estimate(const struct measure_structure *,
                                enum measure_layout, const uint64_t *key,
                                uint64_t hash,
                                struct measure_estimate_sum *);

#endif /* measure-structure.h */
