/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of keys for stages, which grow within the memory of the pipeline. */

#include <config.h>

#include "stream/measure-key-table.h"

#define FIRST_LINES 256
#define GROWTH 4

/* Makes 'table' an empty one, with memory of 'stage'. */
static bool
table_init(struct measure_stage *stage, struct measure_table *table,
           enum measure_layout layout, uint64_t n_lines)
{
    uint64_t *rows;

    if (n_lines > MEASURE_TABLE_MAX_LINES) {
        return false;
    }
    rows = measure_stage_alloc(stage, measure_table_size(n_lines));
    if (!rows) {
        return false;
    }
    *table = (struct measure_table) {
        .rows = rows,
        .n_lines = n_lines,
        .max_used = n_lines * measure_rows_per_line(layout) / 2,
        .layout = layout,
    };
    return true;
}

static void
table_destroy(struct measure_stage *stage, struct measure_table *table)
{
    if (table->rows) {
        measure_stage_free(stage, table->rows, measure_table_bytes(table));
    }
    memset(table, 0, sizeof *table);
}

/* Makes 't' empty.  Returns false if there is no memory; it may be destroyed
 * then. */
bool
measure_key_table_init(struct measure_key_table *t,
                       struct measure_stage *stage)
{
    memset(t, 0, sizeof *t);
    t->stage = stage;
    measure_hash_secret_draw(&t->secret);
    return (table_init(stage, &t->tables[MEASURE_NARROW], MEASURE_NARROW,
                       FIRST_LINES)
            && table_init(stage, &t->tables[MEASURE_WIDE], MEASURE_WIDE,
                          FIRST_LINES));
}

void
measure_key_table_destroy(struct measure_key_table *t)
{
    for (int layout = 0; t->stage && layout < MEASURE_N_LAYOUTS; layout++) {
        table_destroy(t->stage, &t->tables[layout]);
    }
}

/* Forgets all keys. */
void
measure_key_table_clear(struct measure_key_table *t)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        measure_table_clear(&t->tables[layout]);
        t->full[layout] = false;
    }
}

static bool
grow(struct measure_key_table *t, enum measure_layout layout)
{
    static const uint64_t all[MEASURE_KEY_WORDS] = {
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX
    };
    struct measure_table *table = &t->tables[layout];
    struct measure_table larger;

    for (uint64_t factor = GROWTH; factor > 1; factor /= 2) {
        if (table_init(t->stage, &larger, layout, table->n_lines * factor)) {
            measure_table_merge(&larger, table, all, &t->secret);
            table_destroy(t->stage, table);
            *table = larger;
            return true;
        }
    }
    return false;
}

/* For measure_key_table_add(), of a key that finds no place. */
bool
measure_key_table_add_growing(struct measure_key_table *t,
                              enum measure_layout layout, const uint64_t *key,
                              uint64_t hash, uint64_t packets, uint64_t bytes)
{
    struct measure_table *table = &t->tables[layout];

    if (t->full[layout] || !grow(t, layout)) {
        t->full[layout] = true;
        return false;
    }
    return (layout == MEASURE_NARROW
            ? measure_table_add(table, MEASURE_NARROW,
                                MEASURE_TABLE_ANY_PROBES, key, hash, packets,
                                bytes)
            : measure_table_add(table, MEASURE_WIDE, MEASURE_TABLE_ANY_PROBES,
                                key, hash, packets, bytes));
}

static void
prepare_wide(struct measure_key_table *t,
             const struct measure_group_by *group_by,
             const struct measure_slot *slot, struct measure_key_batch *keys)
{
    uint64_t key[MEASURE_KEY_WORDS], group_key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(slot, key);
    uint64_t hash;
    size_t i;

    layout = measure_group_by_key(group_by, layout, key, group_key);
    i = keys->n[layout]++;
    if (layout == MEASURE_NARROW) {
        memcpy(keys->narrow[i], group_key, sizeof keys->narrow[i]);
        hash = measure_hash(&t->secret, group_key, 2);
    } else {
        memcpy(keys->wide[i], group_key, sizeof keys->wide[i]);
        hash = measure_hash(&t->secret, group_key, MEASURE_KEY_WORDS);
    }
    keys->hashes[layout][i] = hash;
    keys->lengths[layout][i] = measure_slot_length(slot);
    measure_table_prefetch(&t->tables[layout], hash);
}

/* Makes of the packets of 'batch' their keys by 'group_by', and lets the
 * processor fetch their rows. */
void
measure_key_table_prepare(struct measure_key_table *t,
                          const struct measure_group_by *group_by,
                          const struct measure_batch *batch,
                          struct measure_key_batch *keys)
{
    const struct measure_table *narrow = &t->tables[MEASURE_NARROW];
    uint64_t mask0 = group_by->narrow[0], mask1 = group_by->narrow[1];

    keys->n[MEASURE_NARROW] = keys->n[MEASURE_WIDE] = 0;
    for (size_t i = 0; i < batch->n; i++) {
        const struct measure_slot *slot = batch->records[i];

        if (measure_slot_layout(slot) == MEASURE_NARROW) {
            size_t j = keys->n[MEASURE_NARROW]++;
            uint64_t *key = keys->narrow[j];

            key[0] = slot->words[0] & mask0;
            key[1] = slot->words[1] & mask1;
            keys->hashes[MEASURE_NARROW][j] = measure_hash(&t->secret, key, 2);
            keys->lengths[MEASURE_NARROW][j] = measure_slot_length(slot);
            measure_table_prefetch(narrow, keys->hashes[MEASURE_NARROW][j]);
        } else {
            prepare_wide(t, group_by, slot, keys);
        }
    }
}
