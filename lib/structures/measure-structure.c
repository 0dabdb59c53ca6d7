/* SPDX-License-Identifier: Apache-2.0 */
/* One face for all structures that a tally can count in. */

#include <config.h>

#include "structures/measure-structure.h"

#include <stdlib.h>

/* Of the memory of a sketch, the part that recorded keys take. */
#define HEAVY_DIVISOR 8

#define MIN_BYTES 4096

/* e^-3 */
#define COUNT_MIN_ERROR_PROBABILITY 0.0497871
static_assert(MEASURE_COUNT_MIN_DEPTH == 3, "see above");

static const char *const names[MEASURE_N_STRUCTURES] = {
    [MEASURE_LINEAR_TABLE] = "linear-table",
    [MEASURE_COUNT_ARRAY] = "count-array",
    [MEASURE_COUNT_MIN] = "count-min",
    [MEASURE_CUCKOO_TABLE] = "cuckoo-table",
    [MEASURE_SPACE_SAVING] = "space-saving",
};

const char *
measure_structure_name(enum measure_structure_kind kind)
{
    return names[kind];
}

bool
measure_structure_from_name(const char *name,
                            enum measure_structure_kind *kind)
{
    for (int i = 0; i < MEASURE_N_STRUCTURES; i++) {
        if (!strcmp(name, names[i])) {
            *kind = i;
            return true;
        }
    }
    return false;
}

/* Returns true if a structure of 'kind' has a row for each key that it counts,
 * so that rows can be grouped and counted. */
bool
measure_structure_is_complete(enum measure_structure_kind kind)
{
    return kind == MEASURE_LINEAR_TABLE || kind == MEASURE_CUCKOO_TABLE;
}

/* Returns how many items of 'item_size' bytes fit 'size' bytes, at least
 * 'min'. */
static uint32_t
items_for(size_t size, size_t item_size, uint32_t min)
{
    size_t n = size / item_size;

    return n < min ? min : n > 1u << 30 ? 1u << 30 : n;
}

/* The parameters of the instance of 'layout' in 'size' bytes. */

static struct measure_heavy_params
heavy_params(enum measure_layout layout, size_t size)
{
    size_t key_size = 2 * measure_row_words(layout) * sizeof(uint64_t);

    return (struct measure_heavy_params) {
        .max_keys = items_for(size / HEAVY_DIVISOR, key_size, 4),
        .min_packets = 1,
        .min_bytes = 1,
    };
}

static size_t
cells_size(size_t size)
{
    return size - size / HEAVY_DIVISOR;
}

static struct measure_count_array_params
count_array_params(const struct measure_structure *structure,
                   enum measure_layout layout, size_t size)
{
    return (struct measure_count_array_params) {
        .layout = layout,
        .n_cells = items_for(cells_size(size), sizeof(struct measure_cell),
                             16),
        .heavy = heavy_params(layout, size),
        .secret = structure->secret,
    };
}

static struct measure_count_min_params
count_min_params(const struct measure_structure *structure,
                 enum measure_layout layout, size_t size)
{
    size_t column_size = (MEASURE_COUNT_MIN_DEPTH
                          * sizeof(struct measure_cell));

    return (struct measure_count_min_params) {
        .layout = layout,
        .depth = MEASURE_COUNT_MIN_DEPTH,
        .width = items_for(cells_size(size), column_size, 16),
        .heavy = heavy_params(layout, size),
        .secret = structure->secret,
    };
}

static struct measure_cuckoo_params
cuckoo_params(const struct measure_structure *structure,
              enum measure_layout layout, size_t size)
{
    size_t row_size = measure_row_words(layout) * sizeof(uint64_t);
    size_t stash_size = MEASURE_CUCKOO_STASH * row_size;

    return (struct measure_cuckoo_params) {
        .layout = layout,
        .rows_per_bucket = 4,
        .n_buckets = items_for(size > stash_size ? size - stash_size : 0,
                               4 * row_size, 2),
        .secret = structure->secret,
    };
}

static struct measure_space_saving_params
space_saving_params(const struct measure_structure *structure,
                    enum measure_layout layout, size_t size)
{
    struct measure_space_saving_params params = {
        .layout = layout,
        .n_entries = 1024,
        .secret = structure->secret,
    };
    size_t entry_size = (measure_space_saving_size(&params) / 1024) + 1;

    params.n_entries = items_for(size, entry_size, 2);
    return params;
}

static size_t
layout_limit(const struct measure_structure *structure,
             enum measure_layout layout)
{
    return (layout == MEASURE_NARROW
            ? structure->limit - structure->limit / 4 : structure->limit / 4);
}

/* Initializes the instance of 'layout' at 'memory', or does nothing if that is
 * NULL.  Returns its size, in lines. */
static size_t
init_layout(struct measure_structure *structure, enum measure_layout layout,
            void *memory)
{
    size_t limit = layout_limit(structure, layout);
    size_t size = 0;

    switch (structure->kind) {
    case MEASURE_COUNT_ARRAY: {
        struct measure_count_array_params params
            = count_array_params(structure, layout, limit);

        size = measure_count_array_size(&params);
        if (memory) {
            measure_count_array_init(&structure->u[layout].count_array,
                                     &params, memory);
        }
        break;
    }

    case MEASURE_COUNT_MIN: {
        struct measure_count_min_params params
            = count_min_params(structure, layout, limit);

        size = measure_count_min_size(&params);
        if (memory) {
            measure_count_min_init(&structure->u[layout].count_min, &params,
                                   memory);
        }
        break;
    }

    case MEASURE_CUCKOO_TABLE: {
        struct measure_cuckoo_params params
            = cuckoo_params(structure, layout, limit);

        size = measure_cuckoo_size(&params);
        if (memory) {
            measure_cuckoo_init(&structure->u[layout].cuckoo, &params,
                                memory);
        }
        break;
    }

    case MEASURE_SPACE_SAVING: {
        struct measure_space_saving_params params
            = space_saving_params(structure, layout, limit);

        size = measure_space_saving_size(&params);
        if (memory) {
            measure_space_saving_init(&structure->u[layout].space_saving,
                                      &params, memory);
        }
        break;
    }

    case MEASURE_LINEAR_TABLE:
    case MEASURE_N_STRUCTURES:
        assert(false);
    }
    return ((size + MEASURE_LINE_SIZE - 1) / MEASURE_LINE_SIZE
            * MEASURE_LINE_SIZE);
}

static void
init_layouts(struct measure_structure *structure)
{
    char *memory = structure->memory;

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        memory += init_layout(structure, layout, memory);
    }
}

/* Makes an empty structure of 'kind', other than MEASURE_LINEAR_TABLE, in
 * about 'limit' bytes from NUMA node 'node', accounted in 'budget'.  Returns
 * NULL if there is no memory.  measure_structure_begin() must follow. */
struct measure_structure *
measure_structure_create(enum measure_structure_kind kind, size_t limit,
                         const struct measure_hash_secret *secret,
                         struct measure_budget *budget, int node)
{
    struct measure_structure *structure = measure_xzalloc(sizeof *structure);

    structure->kind = kind;
    structure->secret = secret;
    structure->budget = budget;
    structure->limit = limit > MIN_BYTES ? limit : MIN_BYTES;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        structure->size += init_layout(structure, layout, NULL);
    }
    structure->memory = measure_memory_alloc(budget, structure->size, node);
    if (!structure->memory) {
        free(structure);
        return NULL;
    }
    init_layouts(structure);
    return structure;
}

void
measure_structure_destroy(struct measure_structure *structure)
{
    if (structure) {
        measure_memory_free(structure->budget, structure->memory,
                            structure->size);
        free(structure);
    }
}

/* Empties 'structure', at the cost of its whole size.
 * measure_structure_begin() must follow. */
void
measure_structure_clear(struct measure_structure *structure)
{
    measure_memory_clear(structure->memory, structure->size);
    memset(structure->packets, 0, sizeof structure->packets);
    memset(structure->bytes, 0, sizeof structure->bytes);
    init_layouts(structure);
}

static struct measure_heavy_keys *
heavy_keys(const struct measure_structure *structure,
           enum measure_layout layout)
{
    struct measure_structure *s = (struct measure_structure *) structure;

    return (s->kind == MEASURE_COUNT_ARRAY ? &s->u[layout].count_array.heavy
            : s->kind == MEASURE_COUNT_MIN ? &s->u[layout].count_min.heavy
            : NULL);
}

/* Says from where on 'structure', which is empty, records keys. */
void
measure_structure_begin(struct measure_structure *structure,
                        const struct measure_structure_threshold *threshold)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_heavy_keys *heavy = heavy_keys(structure, layout);

        if (heavy) {
            heavy->params.min_packets = threshold->min_packets;
            heavy->params.min_bytes = threshold->min_bytes;
            heavy->params.packets_share = threshold->packets_share;
            heavy->params.bytes_share = threshold->bytes_share;
            measure_heavy_keys_advance(heavy, 0, 0);
        }
    }
}

/* Returns the number of keys of 'layout' that 'structure' has. */
uint64_t
measure_structure_n_keys(const struct measure_structure *structure,
                         enum measure_layout layout)
{
    const struct measure_heavy_keys *heavy = heavy_keys(structure, layout);

    return (heavy ? measure_table_n_used(&heavy->table)
            : structure->kind == MEASURE_CUCKOO_TABLE
            ? measure_cuckoo_n_used(&structure->u[layout].cuckoo)
            : measure_space_saving_n_used(
                &structure->u[layout].space_saving));
}

static uint64_t
n_lost(const struct measure_structure *structure, enum measure_layout layout)
{
    const struct measure_heavy_keys *heavy = heavy_keys(structure, layout);

    return (heavy ? measure_heavy_keys_lost(heavy)
            : structure->kind == MEASURE_CUCKOO_TABLE
            ? measure_cuckoo_n_refused(&structure->u[layout].cuckoo)
            : measure_space_saving_n_refused(
                &structure->u[layout].space_saving));
}

void
measure_structure_load(const struct measure_structure *structure,
                       struct measure_structure_load *load)
{
    bool complete = measure_structure_is_complete(structure->kind);

    load->bytes = structure->size;
    load->report_bytes = 0;
    load->n_lost = 0;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        uint64_t row = measure_row_words(layout) * sizeof(uint64_t);
        uint64_t n = measure_structure_n_keys(structure, layout);

        /* A row in a table at half load, and one of the thread alone; of
         * estimates a row and an error, of the thread alone as well, and a
         * row while keys are collected. */
        load->report_bytes += n * row * (complete ? 2 + 1 : 5 * 2);
        load->n_keys[layout] = n;
        load->n_lost += n_lost(structure, layout);
    }
}

/* Returns the probability that an estimate of 'structure' is wrong by more
 * than its error. */
double
measure_structure_error_probability(const struct measure_structure *structure)
{
    return (structure->kind == MEASURE_COUNT_ARRAY
            ? 1.0 / MEASURE_COUNT_ARRAY_ERROR_FACTOR
            : structure->kind == MEASURE_COUNT_MIN
            ? COUNT_MIN_ERROR_PROBABILITY
            : 0);
}

/* Returns true if what 'structure' has counted is exact, and complete. */
bool
measure_structure_is_exact(const struct measure_structure *structure)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_heavy_keys *heavy = heavy_keys(structure,
                                                            layout);

        if (heavy ? heavy->packets != 0
            : (structure->kind == MEASURE_SPACE_SAVING
               && structure->u[layout].space_saving.evicted_packets)) {
            return false;
        }
    }
    return true;
}

/* UINT64_MAX, which nobody knows, and a threshold that nothing crosses stay
 * what they are. */
static uint64_t
add_missed(uint64_t a, uint64_t b)
{
    return (a >= MEASURE_NEVER - 1 || b >= MEASURE_NEVER - 1 - a
            ? UINT64_MAX : a + b);
}

/* Stores in '*missed' how many packets and bytes a key can have that
 * 'structure', which is not complete, does not have: UINT64_MAX if nobody
 * knows. */
void
measure_structure_missed(const struct measure_structure *structure,
                         struct measure_cell *missed)
{
    missed->packets = missed->bytes = 0;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_heavy_keys *heavy = heavy_keys(structure,
                                                            layout);
        uint64_t packets, bytes;

        if (!structure->packets[layout]) {
            continue;
        }
        if (!heavy) {
            packets = structure->u[layout].space_saving.evicted_packets;
            bytes = structure->u[layout].space_saving.evicted_bytes;
        } else if (structure->kind == MEASURE_COUNT_MIN) {
            /* It is below these thresholds, even if it was lost. */
            packets = heavy->packets_threshold - 1;
            bytes = heavy->bytes_threshold - 1;
        } else {
            packets = bytes = UINT64_MAX;
        }
        missed->packets = add_missed(missed->packets, packets);
        missed->bytes = add_missed(missed->bytes, bytes);
    }
}

static void
add_key(struct measure_table *keys, const struct measure_structure *structure,
        const uint64_t *key)
{
    measure_table_insert(keys, structure->secret, key, 1, 0);
}

/* Adds the keys of 'layout' that 'structure' has to 'keys', which must take
 * them. */
void
measure_structure_collect(const struct measure_structure *structure,
                          enum measure_layout layout,
                          struct measure_table *keys)
{
    const struct measure_heavy_keys *heavy = heavy_keys(structure, layout);

    if (heavy) {
        MEASURE_TABLE_FOR_EACH (row, &heavy->table) {
            add_key(keys, structure, row);
        }
    } else if (structure->kind == MEASURE_CUCKOO_TABLE) {
        MEASURE_CUCKOO_FOR_EACH (row, &structure->u[layout].cuckoo) {
            add_key(keys, structure, row);
        }
    } else {
        const struct measure_space_saving *summary
            = &structure->u[layout].space_saving;

        for (uint32_t i = 0; i < summary->n_used; i++) {
            add_key(keys, structure,
                    measure_space_saving_entry(summary, i)->key);
        }
    }
}

/* Adds to 'sum' what 'structure' knows of 'key', whose hash is 'hash'. */
void
measure_structure_estimate(const struct measure_structure *structure,
                           enum measure_layout layout, const uint64_t *key,
                           uint64_t hash, struct measure_estimate_sum *sum)
{
    struct measure_estimate estimate = { 0 };

    switch (structure->kind) {
    case MEASURE_COUNT_ARRAY:
        measure_count_array_estimate(&structure->u[layout].count_array, hash,
                                     &estimate);
        measure_count_array_add_error(&structure->u[layout].count_array, sum);
        break;

    case MEASURE_COUNT_MIN:
        measure_count_min_estimate(&structure->u[layout].count_min, hash,
                                   &estimate);
        measure_count_min_add_error(&structure->u[layout].count_min, sum);
        break;

    case MEASURE_CUCKOO_TABLE: {
        const uint64_t *row
            = measure_cuckoo_find(&structure->u[layout].cuckoo, key, hash);

        if (row) {
            estimate.packets = row[measure_key_words(layout)];
            estimate.bytes = row[measure_key_words(layout) + 1];
        }
        break;
    }

    case MEASURE_SPACE_SAVING:
        measure_space_saving_estimate(&structure->u[layout].space_saving,
                                      key, hash, &estimate);
        sum->packets_error += estimate.packets_error;
        sum->bytes_error += estimate.bytes_error;
        break;

    case MEASURE_LINEAR_TABLE:
    case MEASURE_N_STRUCTURES:
        assert(false);
    }
    sum->packets += estimate.packets;
    sum->bytes += estimate.bytes;
}
