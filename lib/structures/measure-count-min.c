/* SPDX-License-Identifier: Apache-2.0 */
/* The Count-Min sketch. */

#include <config.h>

#include "structures/measure-count-min.h"

#include "base/measure-base.h"

#define E 2.718281828459045235L

/* Only lifts what is below the new estimate. */
static inline bool __attribute__((always_inline))
lift(uint32_t depth, struct measure_cell *const *cells, uint64_t packets,
     uint64_t bytes, const struct measure_heavy_keys *heavy)
{
    uint64_t min_packets = UINT64_MAX;
    uint64_t min_bytes = UINT64_MAX;

    for (uint32_t i = 0; i < depth; i++) {
        min_packets = measure_min(min_packets, cells[i]->packets);
        min_bytes = measure_min(min_bytes, cells[i]->bytes);
    }
    min_packets += packets;
    min_bytes += bytes;
    for (uint32_t i = 0; i < depth; i++) {
        cells[i]->packets = measure_max(cells[i]->packets, min_packets);
        cells[i]->bytes = measure_max(cells[i]->bytes, min_bytes);
    }
    return ((min_packets >= heavy->packets_threshold)
            | (min_bytes >= heavy->bytes_threshold));
}

/* 'conservative' and 'depth' below are those of the sketch, constants where
 * they are the usual ones. */
static inline bool __attribute__((always_inline))
add_to(const struct measure_count_min *sketch, bool conservative,
       uint32_t depth, struct measure_cell *const *cells, uint64_t packets,
       uint64_t bytes, measure_pair thresholds)
{
    return (conservative
            ? lift(depth, cells, packets, bytes, &sketch->heavy)
            : measure_count_min_add_to(depth, cells,
                                       measure_pair_from(packets, bytes),
                                       thresholds));
}

static void
get_estimate(const void *sketch_, uint64_t hash,
             struct measure_cell *estimate)
{
    struct measure_cell *cells[MEASURE_COUNT_MIN_MAX_DEPTH];
    const struct measure_count_min *sketch = sketch_;

    measure_count_min_find(sketch, sketch->depth, hash, cells);
    estimate->packets = estimate->bytes = UINT64_MAX;
    for (uint32_t i = 0; i < sketch->depth; i++) {
        estimate->packets = measure_min(estimate->packets, cells[i]->packets);
        estimate->bytes = measure_min(estimate->bytes, cells[i]->bytes);
    }
}

static void
forget(void *sketch_, uint64_t hash)
{
    struct measure_count_min *sketch = sketch_;

    if (measure_count_min_is_known(sketch, hash)) {
        /* No key with that hash has its place here. */
        sketch->known[hash % MEASURE_COUNT_MIN_KNOWN] = ~hash;
    }
}

static const struct measure_heavy_class heavy_class = {
    .estimate = get_estimate,
    .forget = forget,
};

/* Records 'key', whose estimate is above the threshold. */
void __attribute__((noinline))
measure_count_min_record(struct measure_count_min *sketch,
                         const uint64_t *key, uint64_t hash)
{
    if (!measure_count_min_is_known(sketch, hash)
        && measure_heavy_keys_record(&sketch->heavy, &heavy_class, sketch,
                                     sketch->secret, key, hash)) {
        sketch->known[hash % MEASURE_COUNT_MIN_KNOWN] = hash;
    }
}

static inline void __attribute__((always_inline))
add(struct measure_count_min *sketch, bool conservative, uint32_t depth,
    const uint64_t *key, uint64_t hash, uint64_t packets, uint64_t bytes)
{
    struct measure_cell *cells[MEASURE_COUNT_MIN_MAX_DEPTH];
    bool unknown = !measure_count_min_is_known(sketch, hash);

    measure_count_min_find(sketch, depth, hash, cells);
    if (__builtin_expect(
            add_to(sketch, conservative, depth, cells, packets, bytes,
                   sketch->heavy.thresholds)
            & unknown, 0)) {
        measure_count_min_record(sketch, key, hash);
    }
}

bool
measure_count_min_add(struct measure_count_min *sketch, const uint64_t *key,
                      uint64_t hash, uint64_t packets, uint64_t bytes)
{
    if (sketch->depth == MEASURE_COUNT_MIN_DEPTH && !sketch->conservative) {
        add(sketch, false, MEASURE_COUNT_MIN_DEPTH, key, hash, packets,
            bytes);
    } else {
        add(sketch, sketch->conservative, sketch->depth, key, hash, packets,
            bytes);
    }
    return true;
}

static size_t
cells_size(uint32_t depth, uint32_t width)
{
    size_t per_line = MEASURE_LINE_SIZE / sizeof(struct measure_cell);
    size_t n_cells = (size_t) depth * width;

    return (n_cells + per_line - 1) / per_line * MEASURE_LINE_SIZE;
}

/* Returns the bytes of memory that a sketch of 'params' takes. */
size_t
measure_count_min_size(const struct measure_count_min_params *params)
{
    return (cells_size(params->depth, params->width)
            + measure_heavy_keys_size(params->layout, &params->heavy));
}

/* Makes an empty sketch in 'memory', measure_count_min_size() bytes of zeros
 * that begin with a cache line. */
void
measure_count_min_init(struct measure_count_min *sketch,
                       const struct measure_count_min_params *params,
                       void *memory)
{
    assert(params->depth >= 1 && params->depth <= MEASURE_COUNT_MIN_MAX_DEPTH);
    memset(sketch, 0, sizeof *sketch);
    sketch->cells = memory;
    sketch->depth = params->depth;
    sketch->width = params->width;
    sketch->conservative = params->conservative;
    sketch->layout = params->layout;
    sketch->secret = params->secret;
    /* Words that the hash of the key does not use. */
    measure_hash_secret_init(&sketch->rows,
                             measure_hash_fold(params->secret->words[6],
                                               params->secret->words[7]));
    for (int i = 1; i < 8; i += 2) {
        sketch->rows.words[i] |= 1;
    }
    /* Zero is the hash of no key but in its own place. */
    sketch->known[0] = 1;
    measure_heavy_keys_init(&sketch->heavy, params->layout, &params->heavy,
                            ((char *) memory
                             + cells_size(params->depth, params->width)));
}

/* Adds to 'sum' by how much any estimate of 'sketch' is too high at most, with
 * probability 1 - e^-depth. */
void
measure_count_min_add_error(const struct measure_count_min *sketch,
                            struct measure_estimate_sum *sum)
{
    long double factor = measure_cell_share(sketch->width) * E;

    sum->packets_error += sketch->heavy.packets * factor;
    sum->bytes_error += sketch->heavy.bytes * factor;
}

/* Stores what the sketch knows of the key with 'hash' in '*estimate'.  Its
 * errors hold with probability 1 - e^-depth. */
void
measure_count_min_estimate(const struct measure_count_min *sketch,
                           uint64_t hash, struct measure_estimate *estimate)
{
    struct measure_estimate_sum sum = { 0 };
    struct measure_cell cell;

    get_estimate(sketch, hash, &cell);
    sum.packets = cell.packets;
    sum.bytes = cell.bytes;
    measure_count_min_add_error(sketch, &sum);
    measure_estimate_sum_get(&sum, estimate);
}

/* Its class. */

static struct measure_count_min_params
params_for(enum measure_layout layout, size_t limit)
{
    return (struct measure_count_min_params) {
        .layout = layout,
        .depth = MEASURE_COUNT_MIN_DEPTH,
        .width = measure_items_for(limit - limit / MEASURE_HEAVY_DIVISOR,
                                   (MEASURE_COUNT_MIN_DEPTH
                                    * sizeof(struct measure_cell)), 16),
        .heavy = measure_heavy_params_for(layout, limit),
    };
}

static size_t
size_for(enum measure_layout layout, size_t limit)
{
    struct measure_count_min_params params = params_for(layout, limit);

    return measure_count_min_size(&params);
}

static void
init_for(void *sketch, enum measure_layout layout, size_t limit,
         const struct measure_hash_secret *secret, void *memory)
{
    struct measure_count_min_params params = params_for(layout, limit);

    params.secret = secret;
    measure_count_min_init(sketch, &params, memory);
}

static void
begin(void *sketch_, const struct measure_structure_threshold *threshold)
{
    struct measure_count_min *sketch = sketch_;

    measure_heavy_keys_begin(&sketch->heavy, threshold);
}

static uint64_t
n_keys(const void *sketch_)
{
    const struct measure_count_min *sketch = sketch_;

    return measure_table_n_used(&sketch->heavy.table);
}

static uint64_t
n_lost(const void *sketch_)
{
    const struct measure_count_min *sketch = sketch_;

    return measure_heavy_keys_lost(&sketch->heavy);
}

static bool
is_exact(const void *sketch_)
{
    const struct measure_count_min *sketch = sketch_;

    return !sketch->heavy.packets;
}

/* It is below these thresholds, even if it was lost. */
static void
get_missed(const void *sketch_, struct measure_cell *missed)
{
    const struct measure_count_min *sketch = sketch_;

    missed->packets = sketch->heavy.packets_threshold - 1;
    missed->bytes = sketch->heavy.bytes_threshold - 1;
}

static uint64_t *
next_key(const void *sketch_, uint64_t *key)
{
    const struct measure_count_min *sketch = sketch_;

    return measure_table_next(&sketch->heavy.table, key);
}

static void
add_estimate(const void *sketch_, const uint64_t *key, uint64_t hash,
             struct measure_estimate_sum *sum)
{
    const struct measure_count_min *sketch = sketch_;
    struct measure_estimate estimate = { 0 };

    (void) key;
    measure_count_min_estimate(sketch, hash, &estimate);
    measure_count_min_add_error(sketch, sum);
    sum->packets += estimate.packets;
    sum->bytes += estimate.bytes;
}

/* e^-3 */
#define ERROR_PROBABILITY 0.0497871
static_assert(MEASURE_COUNT_MIN_DEPTH == 3, "see above");

const struct measure_structure_class measure_count_min_class = {
    .name = "count-min",
    .loses_heavy_keys = true,
    .memory_divisor = 1,
    .error_probability = ERROR_PROBABILITY,
    .size = size_for,
    .init = init_for,
    .begin = begin,
    .n_keys = n_keys,
    .n_lost = n_lost,
    .is_exact = is_exact,
    .missed = get_missed,
    .next = next_key,
    .estimate = add_estimate,
};
