/* SPDX-License-Identifier: Apache-2.0 */
/* A map from keys of rows to numbers, from which keys can be removed. */

#ifndef MEASURE_ROW_MAP_H
#define MEASURE_ROW_MAP_H 1

#include "base/measure-hash.h"
#include "stream/measure-stage.h"

/* A map from keys of rows to numbers
 * ==================================
 *
 * For stages that remember keys over several intervals.  Each key has an
 * entry, at the same address until it is removed; a hash table with linear
 * probing has their numbers.  Removing moves those behind it back, so that it
 * never fills up with what was removed (Knuth, The Art of Computer
 * Programming, volume 3, 6.4, algorithm R).
 *
 * Memory: of the stage, 16 KiB for each block of entries, of which one takes
 * 64 bytes and 8 for each number; and 8 to 32 bytes for a key in the hash
 * table.  Blocks are kept until the map is destroyed.
 *
 * Thread safety: that of the stage. */

#define MEASURE_ROW_MAP_NONE UINT32_MAX

struct measure_row_entry {
    uint64_t key[MEASURE_KEY_WORDS];    /* Zeros behind a narrow key. */
    uint8_t layout;
    bool is_used;
    uint32_t next_free;
    uint64_t values[];
};

struct measure_row_map {
    struct measure_stage *stage;
    struct measure_hash_secret secret;
    size_t entry_size;
    uint32_t per_block;
    uint32_t n_entries;         /* Used, and free ones. */
    uint32_t n_used;
    uint32_t first_free;        /* Or MEASURE_ROW_MAP_NONE. */
    uint64_t **blocks;
    uint32_t n_blocks, blocks_allocated;
    uint32_t *index;            /* Number of an entry, from 1; 0 is none. */
    uint32_t index_size;        /* A power of 2. */
};

bool measure_row_map_init(struct measure_row_map *, struct measure_stage *,
                          size_t n_values);
void measure_row_map_destroy(struct measure_row_map *);
uint32_t measure_row_map_find(struct measure_row_map *,
                              const struct measure_row *, bool add);
void measure_row_map_remove(struct measure_row_map *, uint32_t number);

static inline struct measure_row_entry *
measure_row_map_entry(const struct measure_row_map *map, uint32_t number)
{
    char *block = (char *) map->blocks[number / map->per_block];

    return (struct measure_row_entry *) (void *)
           (block + number % map->per_block * map->entry_size);
}

#endif /* measure-row-map.h */
