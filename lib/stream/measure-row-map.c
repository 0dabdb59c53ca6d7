/* SPDX-License-Identifier: Apache-2.0 */
/* A map from keys of rows to numbers, from which keys can be removed. */

#include <config.h>

#include "stream/measure-row-map.h"

#define BLOCK_SIZE (16 * MEASURE_KIB)
#define FIRST_INDEX 1024
#define FIRST_BLOCKS 64

static_assert(sizeof(struct measure_row_entry) <= 64, "see the header");

/* Makes 'map' empty, with 'n_values' numbers for each key.  Returns false if
 * there is no memory; it may be destroyed then. */
bool
measure_row_map_init(struct measure_row_map *map, struct measure_stage *stage,
                     size_t n_values)
{
    memset(map, 0, sizeof *map);
    map->stage = stage;
    measure_hash_secret_draw(&map->secret);
    map->entry_size = (sizeof(struct measure_row_entry)
                       + n_values * sizeof(uint64_t));
    map->per_block = BLOCK_SIZE / map->entry_size;
    map->first_free = MEASURE_ROW_MAP_NONE;
    map->index_size = FIRST_INDEX;
    map->index = measure_stage_alloc(stage,
                                     map->index_size * sizeof *map->index);
    map->blocks_allocated = FIRST_BLOCKS;
    map->blocks = measure_stage_alloc(stage,
                                      FIRST_BLOCKS * sizeof *map->blocks);
    return map->per_block && map->index && map->blocks;
}

void
measure_row_map_destroy(struct measure_row_map *map)
{
    if (!map->stage) {
        return;
    }
    for (uint32_t i = 0; i < map->n_blocks; i++) {
        measure_stage_free(map->stage, map->blocks[i], BLOCK_SIZE);
    }
    if (map->blocks) {
        measure_stage_free(map->stage, map->blocks,
                           map->blocks_allocated * sizeof *map->blocks);
    }
    if (map->index) {
        measure_stage_free(map->stage, map->index,
                           map->index_size * sizeof *map->index);
    }
    memset(map, 0, sizeof *map);
}

static uint32_t
home(const struct measure_row_map *map, const uint64_t *key, uint8_t layout)
{
    uint64_t hash = measure_hash(&map->secret, key, MEASURE_KEY_WORDS);

    return (hash + layout) & (map->index_size - 1);
}

static uint32_t
home_of(const struct measure_row_map *map, uint32_t number)
{
    const struct measure_row_entry *entry = measure_row_map_entry(map, number);

    return home(map, entry->key, entry->layout);
}

static void
put_index(struct measure_row_map *map, uint32_t number)
{
    uint32_t i = home_of(map, number);

    while (map->index[i]) {
        i = (i + 1) & (map->index_size - 1);
    }
    map->index[i] = number + 1;
}

/* Makes the index larger if more than half of it is used. */
static bool
grow_index(struct measure_row_map *map)
{
    uint32_t old_size = map->index_size;
    uint32_t *old = map->index;
    uint32_t *index;

    if (map->n_used < old_size / 2) {
        return true;
    }
    index = measure_stage_alloc(map->stage, old_size * 2 * sizeof *index);
    if (!index) {
        return false;
    }
    map->index = index;
    map->index_size = old_size * 2;
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i]) {
            put_index(map, old[i] - 1);
        }
    }
    measure_stage_free(map->stage, old, old_size * sizeof *old);
    return true;
}

static bool
add_block(struct measure_row_map *map)
{
    uint64_t *block;

    if (map->n_blocks == map->blocks_allocated) {
        size_t size = map->blocks_allocated * sizeof *map->blocks;
        uint64_t **blocks = measure_stage_alloc(map->stage, size * 2);

        if (!blocks) {
            return false;
        }
        memcpy(blocks, map->blocks, size);
        measure_stage_free(map->stage, map->blocks, size);
        map->blocks = blocks;
        map->blocks_allocated *= 2;
    }
    block = measure_stage_alloc(map->stage, BLOCK_SIZE);
    if (!block) {
        return false;
    }
    map->blocks[map->n_blocks++] = block;
    return true;
}

/* Returns the number of an entry that is not used, or MEASURE_ROW_MAP_NONE. */
static uint32_t
take_entry(struct measure_row_map *map)
{
    uint32_t number = map->first_free;

    if (number != MEASURE_ROW_MAP_NONE) {
        map->first_free = measure_row_map_entry(map, number)->next_free;
        return number;
    }
    if (map->n_entries == map->n_blocks * map->per_block && !add_block(map)) {
        return MEASURE_ROW_MAP_NONE;
    }
    return map->n_entries++;
}

/* Returns the number of the entry of the key of 'row', or
 * MEASURE_ROW_MAP_NONE.  If it has none and 'add' is true it gets one, with
 * zeros, unless there is no memory. */
uint32_t
measure_row_map_find(struct measure_row_map *map,
                     const struct measure_row *row, bool add)
{
    size_t n_words = measure_key_words(row->layout);
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct measure_row_entry *entry;
    uint32_t number, i;

    memcpy(key, row->key, n_words * sizeof *key);
    i = home(map, key, row->layout);
    for (; map->index[i]; i = (i + 1) & (map->index_size - 1)) {
        number = map->index[i] - 1;
        entry = measure_row_map_entry(map, number);
        if (entry->layout == row->layout
            && !memcmp(entry->key, key, sizeof key)) {
            return number;
        }
    }
    if (!add || !grow_index(map)) {
        return MEASURE_ROW_MAP_NONE;
    }
    number = take_entry(map);
    if (number != MEASURE_ROW_MAP_NONE) {
        entry = measure_row_map_entry(map, number);
        memset(entry, 0, map->entry_size);
        memcpy(entry->key, key, sizeof key);
        entry->layout = row->layout;
        entry->is_used = true;
        map->n_used++;
        put_index(map, number);
    }
    return number;
}

void
measure_row_map_remove(struct measure_row_map *map, uint32_t number)
{
    struct measure_row_entry *entry = measure_row_map_entry(map, number);
    uint32_t mask = map->index_size - 1;
    uint32_t hole = home_of(map, number);

    while (map->index[hole] != number + 1) {
        hole = (hole + 1) & mask;
    }
    for (uint32_t i = (hole + 1) & mask; map->index[i]; i = (i + 1) & mask) {
        uint32_t from = home_of(map, map->index[i] - 1);

        /* It may move to the hole if its home is not behind that. */
        if (((i - from) & mask) >= ((i - hole) & mask)) {
            map->index[hole] = map->index[i];
            hole = i;
        }
    }
    map->index[hole] = 0;
    entry->is_used = false;
    entry->next_free = map->first_free;
    map->first_free = number;
    map->n_used--;
}
