/* SPDX-License-Identifier: Apache-2.0 */
/* One interface to all structures that a tally can count in. */

#include <config.h>

#include "structures/measure-structure.h"

#include <stdlib.h>

#include "base/measure-base.h"

#define MIN_BYTES 4096

/* Counts no keys here: a tally without a structure has tables. */
static const struct measure_structure_class linear_table_class = {
    .name = "linear-table",
    .complete = true,
    .memory_divisor = 1,
};

static const struct measure_structure_class *const classes[] = {
    [MEASURE_LINEAR_TABLE] = &linear_table_class,
#define STRUCTURE(KIND, NAME) [MEASURE_##KIND] = &measure_##NAME##_class,
#include "structures/measure-structure-list.h"
#undef STRUCTURE
};

const struct measure_structure_class *
measure_structure_class(enum measure_structure_kind kind)
{
    return classes[kind];
}

const char *
measure_structure_name(enum measure_structure_kind kind)
{
    return classes[kind]->name;
}

bool
measure_structure_from_name(const char *name,
                            enum measure_structure_kind *kind)
{
    for (int i = 0; i < MEASURE_N_STRUCTURES; i++) {
        if (!strcmp(name, classes[i]->name)) {
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
    return classes[kind]->complete;
}

static size_t
layout_limit(const struct measure_structure *structure,
             enum measure_layout layout)
{
    return (layout == MEASURE_NARROW
            ? structure->limit - structure->limit / 4 : structure->limit / 4);
}

/* Returns the size of the instance of 'layout', in whole lines. */
static size_t
layout_size(const struct measure_structure *structure,
            enum measure_layout layout)
{
    size_t limit = layout_limit(structure, layout);
    size_t size = structure->class->size(layout, limit);

    return ((size + MEASURE_LINE_SIZE - 1) / MEASURE_LINE_SIZE
            * MEASURE_LINE_SIZE);
}

static void
init_layouts(struct measure_structure *structure)
{
    char *memory = structure->memory;

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        structure->class->init(&structure->u[layout], layout,
                               layout_limit(structure, layout),
                               structure->secret, memory);
        memory += layout_size(structure, layout);
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
    structure->class = classes[kind];
    structure->secret = secret;
    structure->budget = budget;
    structure->limit = measure_max(limit, MIN_BYTES);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        structure->size += layout_size(structure, layout);
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

/* Says from where on 'structure', which is empty, records keys. */
void
measure_structure_begin(struct measure_structure *structure,
                        const struct measure_structure_threshold *threshold)
{
    if (structure->class->begin) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            structure->class->begin(&structure->u[layout], threshold);
        }
    }
}

/* Returns the number of keys of 'layout' that 'structure' has. */
uint64_t
measure_structure_n_keys(const struct measure_structure *structure,
                         enum measure_layout layout)
{
    return structure->class->n_keys(&structure->u[layout]);
}

void
measure_structure_load(const struct measure_structure *structure,
                       struct measure_structure_load *load)
{
    const struct measure_structure_class *class = structure->class;

    load->bytes = structure->size;
    load->report_bytes = 0;
    load->n_lost = 0;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        uint64_t row = measure_row_words(layout) * sizeof(uint64_t);
        uint64_t n = measure_structure_n_keys(structure, layout);

        /* A row in a table at half load, and one of the thread alone; of
         * estimates a row and an error, of the thread alone as well, and a
         * row while keys are collected. */
        load->report_bytes += n * row * (class->complete ? 2 + 1 : 5 * 2);
        load->n_keys[layout] = n;
        load->n_lost += class->n_lost(&structure->u[layout]);
    }
}

/* Returns true if what 'structure' has counted is exact, and complete. */
bool
measure_structure_is_exact(const struct measure_structure *structure)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (structure->class->is_exact
            && !structure->class->is_exact(&structure->u[layout])) {
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
        struct measure_cell more;

        if (structure->packets[layout]) {
            structure->class->missed(&structure->u[layout], &more);
            missed->packets = add_missed(missed->packets, more.packets);
            missed->bytes = add_missed(missed->bytes, more.bytes);
        }
    }
}

/* Returns the first key of 'layout' in 'structure' if 'key' is NULL, else the
 * one after 'key', or NULL. */
uint64_t *
measure_structure_next(const struct measure_structure *structure,
                       enum measure_layout layout, uint64_t *key)
{
    return structure->class->next(&structure->u[layout], key);
}

/* Adds to 'sum' what 'structure' knows of 'key', whose hash is 'hash'. */
void
measure_structure_estimate(const struct measure_structure *structure,
                           enum measure_layout layout, const uint64_t *key,
                           uint64_t hash, struct measure_estimate_sum *sum)
{
    structure->class->estimate(&structure->u[layout], key, hash, sum);
}
