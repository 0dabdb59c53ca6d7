/* SPDX-License-Identifier: Apache-2.0 */
/* SpaceSaving: the largest keys of a stream. */

#include <config.h>

#include "structures/measure-space-saving.h"

/* Slots of the index for each entry: at most half are used. */
#define SLOTS_PER_ENTRY 2

static inline size_t
entry_size(enum measure_layout layout)
{
    return (sizeof(struct measure_space_saving_entry)
            + measure_key_words(layout) * sizeof(uint64_t));
}

static inline struct measure_space_saving_entry *
get_entry(const struct measure_space_saving *summary,
          enum measure_layout layout, uint32_t i)
{
    void *entry = (char *) summary->entries + i * entry_size(layout);

    return entry;
}

/* The heap: packets of the parent are not more than those of its children. */

static inline void
heap_put(struct measure_space_saving *summary, enum measure_layout layout,
         uint32_t place, struct measure_space_saving_heap item)
{
    summary->heap[place] = item;
    get_entry(summary, layout, item.entry)->heap = place;
}

static inline void
heap_down(struct measure_space_saving *summary, enum measure_layout layout,
          uint32_t place, struct measure_space_saving_heap item)
{
    uint32_t n = summary->n_used;

    for (;;) {
        uint64_t child = 2 * (uint64_t) place + 1;

        if (child + 1 < n && (summary->heap[child + 1].packets
                              < summary->heap[child].packets)) {
            child++;
        }
        if (child >= n || summary->heap[child].packets >= item.packets) {
            break;
        }
        heap_put(summary, layout, place, summary->heap[child]);
        place = child;
    }
    heap_put(summary, layout, place, item);
}

static inline void
heap_up(struct measure_space_saving *summary, enum measure_layout layout,
        uint32_t place, struct measure_space_saving_heap item)
{
    while (place) {
        uint32_t parent = (place - 1) / 2;

        if (summary->heap[parent].packets <= item.packets) {
            break;
        }
        heap_put(summary, layout, place, summary->heap[parent]);
        place = parent;
    }
    heap_put(summary, layout, place, item);
}

/* The index: linear probing. */

static inline uint32_t
next_slot(const struct measure_space_saving *summary, uint32_t slot)
{
    return slot + 1 < summary->n_slots ? slot + 1 : 0;
}

/* Returns the entry of 'key', or NULL with '*slot' set to the empty slot where
 * it belongs, or to UINT32_MAX if there is none within reach. */
static inline struct measure_space_saving_entry *
find(const struct measure_space_saving *summary, enum measure_layout layout,
     const uint64_t *key, uint64_t hash, uint32_t *slot)
{
    uint32_t short_hash = hash >> 32;

    *slot = measure_space_saving_home(summary, short_hash);
    for (uint32_t i = 0; i < MEASURE_SPACE_SAVING_MAX_PROBES; i++) {
        const struct measure_space_saving_slot *s = &summary->index[*slot];

        if (!s->entry) {
            return NULL;
        }
        if (s->hash == short_hash) {
            struct measure_space_saving_entry *entry
                = get_entry(summary, layout, s->entry - 1);

            if (measure_key_equal(entry->key, key, layout)) {
                return entry;
            }
        }
        *slot = next_slot(summary, *slot);
    }
    *slot = UINT32_MAX;
    return NULL;
}

/* Empties the slot of entry 'number', whose hash is 'hash', and moves slots
 * behind it there, so that no key is further from its home than the slots
 * between are used.
 *
 * Where the run of used slots does not end within reach, the last slot that
 * was moved stays as it is, lest keys behind it be out of reach.  To find() a
 * slot whose entry has another key is that of another key. */
static void
remove_slot(struct measure_space_saving *summary, uint32_t hash,
            uint32_t number)
{
    uint32_t n = summary->n_slots;
    uint32_t hole = measure_space_saving_home(summary, hash);
    uint32_t slot;

    /* It is within reach. */
    while (summary->index[hole].entry != number + 1
           || summary->index[hole].hash != hash) {
        hole = next_slot(summary, hole);
    }
    slot = hole;
    for (uint32_t i = 0; i < MEASURE_SPACE_SAVING_MAX_PROBES; i++) {
        uint32_t home, from_home, from_hole;

        slot = next_slot(summary, slot);
        if (!summary->index[slot].entry) {
            summary->index[hole].entry = 0;
            return;
        }
        home = measure_space_saving_home(summary, summary->index[slot].hash);
        from_home = slot >= home ? slot - home : slot + n - home;
        from_hole = slot >= hole ? slot - hole : slot + n - hole;
        if (from_home >= from_hole) {
            summary->index[hole] = summary->index[slot];
            hole = slot;
        }
    }
}

/* Gives 'key', which has no entry, one.  'slot' is where it belongs. */
static void
add_new(struct measure_space_saving *summary, enum measure_layout layout,
        const uint64_t *key, uint64_t hash, uint32_t slot,
        const struct measure_estimate *estimate)
{
    struct measure_space_saving_entry *entry;
    struct measure_space_saving_heap item;
    uint32_t number = summary->n_used;

    item.packets = estimate->packets;
    item.reserved = 0;
    if (number < summary->n_entries) {
        entry = get_entry(summary, layout, number);
        __atomic_store_n(&summary->n_used, number + 1, __ATOMIC_RELAXED);
        item.entry = number;
        heap_up(summary, layout, number, item);
    } else {
        number = item.entry = summary->heap[0].entry;
        entry = get_entry(summary, layout, number);
        heap_down(summary, layout, 0, item);
    }
    entry->estimate = *estimate;
    entry->hash = hash;
    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        entry->key[i] = key[i];
    }
    summary->index[slot].hash = hash >> 32;
    summary->index[slot].entry = number + 1;
}

/* Takes the smallest entry from its key, which frees its slot. */
static void
evict(struct measure_space_saving *summary, enum measure_layout layout)
{
    uint32_t number = summary->heap[0].entry;
    const struct measure_space_saving_entry *entry
        = get_entry(summary, layout, number);

    if (entry->estimate.packets > summary->evicted_packets) {
        summary->evicted_packets = entry->estimate.packets;
    }
    if (entry->estimate.bytes > summary->evicted_bytes) {
        summary->evicted_bytes = entry->estimate.bytes;
    }
    remove_slot(summary, entry->hash >> 32, number);
}

static bool __attribute__((noinline))
replace(struct measure_space_saving *summary, enum measure_layout layout,
        const uint64_t *key, uint64_t hash, uint32_t slot, uint64_t packets,
        uint64_t bytes)
{
    struct measure_estimate estimate = { 0 };

    if (slot == UINT32_MAX) {
        __atomic_store_n(&summary->n_refused, summary->n_refused + packets,
                         __ATOMIC_RELAXED);
        return false;
    }
    if (summary->n_used == summary->n_entries) {
        evict(summary, layout);
        estimate.packets = summary->heap[0].packets;
        estimate.bytes = summary->evicted_bytes;
        /* Slots may have moved. */
        find(summary, layout, key, hash, &slot);
    }
    estimate.packets_error = estimate.packets;
    estimate.bytes_error = estimate.bytes;
    estimate.packets += packets;
    estimate.bytes += bytes;
    add_new(summary, layout, key, hash, slot, &estimate);
    return true;
}

static inline bool __attribute__((always_inline))
add(struct measure_space_saving *summary, enum measure_layout layout,
    const uint64_t *key, uint64_t hash, uint64_t packets, uint64_t bytes)
{
    struct measure_space_saving_entry *entry;
    struct measure_space_saving_heap item;
    uint32_t slot;

    entry = find(summary, layout, key, hash, &slot);
    if (__builtin_expect(!entry, 0)) {
        return replace(summary, layout, key, hash, slot, packets, bytes);
    }
    entry->estimate.packets += packets;
    entry->estimate.bytes += bytes;
    item = summary->heap[entry->heap];
    item.packets += packets;
    heap_down(summary, layout, entry->heap, item);
    return true;
}

bool
measure_space_saving_add(struct measure_space_saving *summary,
                         const uint64_t *key, uint64_t hash,
                         uint64_t packets, uint64_t bytes)
{
    return (summary->layout == MEASURE_NARROW
            ? add(summary, MEASURE_NARROW, key, hash, packets, bytes)
            : add(summary, MEASURE_WIDE, key, hash, packets, bytes));
}

/* Outside the packet path. */

static size_t
to_lines(size_t size)
{
    return ((size + MEASURE_LINE_SIZE - 1) / MEASURE_LINE_SIZE
            * MEASURE_LINE_SIZE);
}

static uint32_t
slots_for(uint32_t n_entries)
{
    return n_entries * SLOTS_PER_ENTRY + 1;
}

static size_t
entries_size(const struct measure_space_saving_params *params)
{
    return to_lines(params->n_entries * entry_size(params->layout));
}

static size_t
heap_size(const struct measure_space_saving_params *params)
{
    return to_lines(params->n_entries
                    * sizeof(struct measure_space_saving_heap));
}

/* Returns the bytes of memory that a summary of 'params' takes. */
size_t
measure_space_saving_size(const struct measure_space_saving_params *params)
{
    return (entries_size(params) + heap_size(params)
            + to_lines(slots_for(params->n_entries)
                       * sizeof(struct measure_space_saving_slot)));
}

/* Makes an empty summary in 'memory', measure_space_saving_size() bytes of
 * zeros that begin with a cache line. */
void
measure_space_saving_init(struct measure_space_saving *summary,
                          const struct measure_space_saving_params *params,
                          void *memory)
{
    char *p = memory;

    assert(params->n_entries >= 1
           && params->n_entries <= MEASURE_SPACE_SAVING_MAX_ENTRIES);
    memset(summary, 0, sizeof *summary);
    summary->entries = memory;
    summary->heap = (void *) (p + entries_size(params));
    summary->index = (void *) (p + entries_size(params) + heap_size(params));
    summary->n_entries = params->n_entries;
    summary->n_slots = slots_for(params->n_entries);
    summary->layout = params->layout;
    summary->secret = params->secret;
}

uint32_t
measure_space_saving_n_used(const struct measure_space_saving *summary)
{
    return __atomic_load_n(&summary->n_used, __ATOMIC_RELAXED);
}

uint64_t
measure_space_saving_n_refused(const struct measure_space_saving *summary)
{
    return __atomic_load_n(&summary->n_refused, __ATOMIC_RELAXED);
}

/* Returns entry 'i', which must be less than the number of used ones. */
const struct measure_space_saving_entry *
measure_space_saving_entry(const struct measure_space_saving *summary,
                           uint32_t i)
{
    return get_entry(summary, summary->layout, i);
}

/* Stores what the summary knows of 'key', whose hash is 'hash', in
 * '*estimate'.  Returns false if it has no entry. */
bool
measure_space_saving_estimate(const struct measure_space_saving *summary,
                              const uint64_t *key, uint64_t hash,
                              struct measure_estimate *estimate)
{
    const struct measure_space_saving_entry *entry;
    uint32_t slot;

    entry = find(summary, summary->layout, key, hash, &slot);
    if (entry) {
        *estimate = entry->estimate;
    } else {
        estimate->packets = summary->evicted_packets;
        estimate->bytes = summary->evicted_bytes;
        estimate->packets_error = estimate->packets;
        estimate->bytes_error = estimate->bytes;
    }
    return entry != NULL;
}

/* Its class. */

static struct measure_space_saving_params
params_for(enum measure_layout layout, size_t limit)
{
    struct measure_space_saving_params params = {
        .layout = layout,
        .n_entries = 1024,
    };
    size_t one = measure_space_saving_size(&params) / 1024 + 1;

    params.n_entries = measure_items_for(limit, one, 2);
    return params;
}

static size_t
size_for(enum measure_layout layout, size_t limit)
{
    struct measure_space_saving_params params = params_for(layout, limit);

    return measure_space_saving_size(&params);
}

static void
init_for(void *summary, enum measure_layout layout, size_t limit,
         const struct measure_hash_secret *secret, void *memory)
{
    struct measure_space_saving_params params = params_for(layout, limit);

    params.secret = secret;
    measure_space_saving_init(summary, &params, memory);
}

static uint64_t
n_keys(const void *summary)
{
    return measure_space_saving_n_used(summary);
}

static uint64_t
n_lost(const void *summary)
{
    return measure_space_saving_n_refused(summary);
}

static bool
is_exact(const void *summary_)
{
    const struct measure_space_saving *summary = summary_;

    return !summary->evicted_packets;
}

static void
get_missed(const void *summary_, struct measure_cell *missed)
{
    const struct measure_space_saving *summary = summary_;

    missed->packets = summary->evicted_packets;
    missed->bytes = summary->evicted_bytes;
}

/* Entries lie one behind the other. */
static uint64_t *
next_key(const void *summary_, uint64_t *key)
{
    const struct measure_space_saving *summary = summary_;
    size_t size = entry_size(summary->layout);
    size_t i = 0;

    if (key) {
        i = ((char *) key - (char *) summary->entries) / size + 1;
    }
    return (i < summary->n_used
            ? get_entry(summary, summary->layout, i)->key : NULL);
}

static void
add_estimate(const void *summary, const uint64_t *key, uint64_t hash,
             struct measure_estimate_sum *sum)
{
    struct measure_estimate estimate = { 0 };

    measure_space_saving_estimate(summary, key, hash, &estimate);
    sum->packets_error += estimate.packets_error;
    sum->bytes_error += estimate.bytes_error;
    sum->packets += estimate.packets;
    sum->bytes += estimate.bytes;
}

const struct measure_structure_class measure_space_saving_class = {
    .name = "space-saving",
    .memory_divisor = 2,
    .size = size_for,
    .init = init_for,
    .n_keys = n_keys,
    .n_lost = n_lost,
    .is_exact = is_exact,
    .missed = get_missed,
    .next = next_key,
    .estimate = add_estimate,
};
