/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of keys for stages, which grow within the memory of the pipeline. */

#ifndef MEASURE_KEY_TABLE_H
#define MEASURE_KEY_TABLE_H 1

#include "stream/measure-stage.h"
#include "structures/measure-table.h"

/* Tables of keys
 * ==============
 *
 * A linear table (measure-table.h) for each layout of keys.  One that takes no
 * more keys is replaced by one four times larger, or two times, as there is
 * memory.  When there is none for either, new keys are refused until
 * measure_key_table_clear().
 *
 * Error: none.  A key that has a row has all of its counts in it, for a table
 * that has refused a key takes no other one: one that was refused before
 * cannot get a row later.
 *
 * Memory: of the stage, 16 KiB for each layout at first; 64 to 256 bytes for a
 * narrow key, twice that for a wide one.  While it grows the old table is
 * there, too.
 *
 * Thread safety: that of the stage. */

struct measure_key_table {
    struct measure_stage *stage;
    struct measure_hash_secret secret;
    struct measure_table tables[MEASURE_N_LAYOUTS];
    bool full[MEASURE_N_LAYOUTS];
};

bool measure_key_table_init(struct measure_key_table *,
                            struct measure_stage *);
void measure_key_table_destroy(struct measure_key_table *);
void measure_key_table_clear(struct measure_key_table *);
bool measure_key_table_add_growing(struct measure_key_table *,
                                   enum measure_layout, const uint64_t *key,
                                   uint64_t hash, uint64_t packets,
                                   uint64_t bytes);

/* Adds 'packets' (more than 0) and 'bytes' to the row of 'key'.  Returns false
 * if it has none and there is no memory.  Callers pass 'layout' as a
 * constant. */
static inline bool
measure_key_table_add(struct measure_key_table *t, enum measure_layout layout,
                      const uint64_t *key, uint64_t hash, uint64_t packets,
                      uint64_t bytes)
{
    return (__builtin_expect(measure_table_add(&t->tables[layout], layout,
                                               MEASURE_TABLE_ANY_PROBES, key,
                                               hash, packets, bytes), 1)
            || measure_key_table_add_growing(t, layout, key, hash, packets,
                                             bytes));
}

/* Keys of a batch, by layout, with their hashes; their rows are on the way. */
struct measure_key_batch {
    size_t n[MEASURE_N_LAYOUTS];
    uint64_t hashes[MEASURE_N_LAYOUTS][MEASURE_BATCH];
    uint32_t lengths[MEASURE_N_LAYOUTS][MEASURE_BATCH];
    uint64_t narrow[MEASURE_BATCH][2];
    uint64_t wide[MEASURE_BATCH][MEASURE_KEY_WORDS];
};

void measure_key_table_prepare(struct measure_key_table *,
                               const struct measure_group_by *,
                               const struct measure_batch *,
                               struct measure_key_batch *);

#endif /* measure-key-table.h */
