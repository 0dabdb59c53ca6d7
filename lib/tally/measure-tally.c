/* SPDX-License-Identifier: Apache-2.0 */
/* What one packet thread counts for one monitor in one epoch. */

#include <config.h>

#include "tally/measure-tally.h"

#include "base/measure-base.h"
#include "base/measure-pace.h"

static inline uint64_t
counter_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Returns the hash of what 'mask' leaves of 'key'. */
uint64_t
measure_masked_hash(const struct measure_hash_secret *secret,
                    enum measure_layout layout, const uint64_t *key,
                    const struct measure_mask *mask)
{
    uint64_t masked[MEASURE_KEY_WORDS];

    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        masked[i] = key[i] & mask->words[layout][i];
    }
    return measure_hash(secret, masked, measure_key_words(layout));
}

/* Returns the cell of the overflow count array of a key with 'hash', that of
 * the key without the port of the switch (see measure_masks).  Not the
 * bits that choose the line of a table, so that keys of one line spread. */
uint32_t
measure_overflow_cell(uint64_t hash)
{
    return hash % MEASURE_OVERFLOW_CELLS;
}

/* Moves on to the next table of 'layout' if it has been given one.
 * Returns false if not. */
static bool
next_table(struct measure_tally *tally, enum measure_layout layout)
{
    struct measure_table *next = tally->current[layout] + 1;
    uint32_t n = __atomic_load_n(&tally->n_tables[layout], __ATOMIC_ACQUIRE);

    if (next >= &tally->tables[layout][n]) {
        return false;
    }
    /* A reader that sees this must see at least as many tables:
     * measure_tally_load(). */
    __atomic_store_n(&tally->current[layout], next, __ATOMIC_RELEASE);
    return true;
}

static void __attribute__((noinline))
add_in_next(struct measure_tally *tally, enum measure_layout layout,
            const uint64_t *key, uint64_t hash, uint64_t packets,
            uint64_t bytes)
{
    if (next_table(tally, layout)
        && measure_table_add(tally->current[layout], layout,
                             MEASURE_TABLE_MAX_PROBES, key, hash, packets,
                             bytes)) {
        return;
    }

    uint64_t cell_hash = measure_masked_hash(tally->secret, layout, key,
                                             &measure_masks[tally->key_kind]);
    struct measure_overflow_cell *cell
        = &tally->overflow[measure_overflow_cell(cell_hash)];

    cell->packets += packets;
    cell->bytes += bytes;
    measure_counter_add(&tally->counters.overflow_packets, packets);
    measure_counter_add(&tally->counters.overflow_bytes, bytes);
}

/* Masks and hashes the key of 'record', and prefetches its place. */
static inline void __attribute__((always_inline))
prepare(const struct measure_tally *tally, enum measure_structure_kind kind,
        enum measure_layout layout, struct measure_record *record)
{
    const uint64_t *mask = tally->mask->words[layout];

    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        record->key[i] &= mask[i];
    }
    record->hash = measure_hash(tally->secret, record->key,
                                measure_key_words(layout));
    if (kind == MEASURE_LINEAR_TABLE) {
        measure_table_prefetch(tally->current[layout], record->hash);
    } else {
        measure_structure_prefetch(tally->structure, kind, layout,
                                   record->hash);
    }
}

static inline void
count(struct measure_tally *tally, enum measure_layout layout,
      const struct measure_record *record)
{
    if (!measure_table_add(tally->current[layout], layout,
                           MEASURE_TABLE_MAX_PROBES, record->key,
                           record->hash, 1, record->bytes)) {
        add_in_next(tally, layout, record->key, record->hash, 1,
                    record->bytes);
    }
}

/* Counts the packet of 'record' in the structure if there is one and the key
 * finds a place there, else in the tables. */
static inline void __attribute__((always_inline))
count_in(struct measure_tally *tally, enum measure_structure_kind kind,
         enum measure_layout layout, const struct measure_record *record)
{
    if (kind == MEASURE_LINEAR_TABLE
        || !measure_structure_add(tally->structure, kind, layout, record->key,
                                  record->hash, 1, record->bytes)) {
        count(tally, layout, record);
    }
}

static inline void __attribute__((always_inline))
count_burst(struct measure_tally *tally, enum measure_structure_kind kind,
            struct measure_record *records, size_t n)
{
    uint64_t packets[MEASURE_N_LAYOUTS] = { 0 };
    uint64_t bytes[MEASURE_N_LAYOUTS] = { 0 };
    /* Linear tables need no more than the sum. */
    const int ipv6 = (kind == MEASURE_LINEAR_TABLE
                      ? MEASURE_NARROW : MEASURE_WIDE);
    uint64_t not_ip = 0, malformed = 0;

    for (size_t i = 0; i < n; i++) {
        struct measure_record *record = &records[i];

        if (record->verdict == MEASURE_COUNT_NARROW) {
            prepare(tally, kind, MEASURE_NARROW, record);
        } else if (record->verdict == MEASURE_COUNT_WIDE) {
            prepare(tally, kind, MEASURE_WIDE, record);
        } else if (record->verdict == MEASURE_NOT_IP) {
            not_ip++;
        } else {
            malformed++;
        }
    }

    for (size_t i = 0; i < n; i++) {
        const struct measure_record *record = &records[i];

        if (record->verdict == MEASURE_COUNT_NARROW) {
            count_in(tally, kind, MEASURE_NARROW, record);
            packets[MEASURE_NARROW]++;
            bytes[MEASURE_NARROW] += record->bytes;
        } else if (record->verdict == MEASURE_COUNT_WIDE) {
            count_in(tally, kind, MEASURE_WIDE, record);
            packets[ipv6]++;
            bytes[ipv6] += record->bytes;
        }
    }

    measure_counter_add(&tally->counters.packets,
                        packets[MEASURE_NARROW] + packets[MEASURE_WIDE]);
    measure_counter_add(&tally->counters.bytes,
                        bytes[MEASURE_NARROW] + bytes[MEASURE_WIDE]);
    if (not_ip) {
        measure_counter_add(&tally->counters.not_ip, not_ip);
    }
    if (malformed) {
        measure_counter_add(&tally->counters.malformed, malformed);
    }
    if (kind != MEASURE_LINEAR_TABLE) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            measure_structure_end_burst(tally->structure, kind, layout,
                                        packets[layout], bytes[layout]);
        }
    }
}

static void __attribute__((noinline))
count_in_structure(struct measure_tally *tally, struct measure_record *records,
                   size_t n)
{
    switch (tally->structure->kind) {
#define STRUCTURE(KIND, NAME)                                               \
    case MEASURE_##KIND:                                                    \
        count_burst(tally, MEASURE_##KIND, records, n);                     \
        break;
#include "structures/measure-structure-list.h"
#undef STRUCTURE

    case MEASURE_LINEAR_TABLE:
    case MEASURE_N_STRUCTURES:
        break;
    }
}

/* Counts the 'n' packets (at most MEASURE_BURST) that 'records' describe as
 * measure_parse() left them.  Masks their keys and sets their hashes. */
void
measure_tally_count(struct measure_tally *tally,
                    struct measure_record *records, size_t n)
{
    if (__builtin_expect(tally->structure != NULL, 0)) {
        count_in_structure(tally, records, n);
    } else {
        count_burst(tally, MEASURE_LINEAR_TABLE, records, n);
    }
}

static inline void
move_entry(struct measure_tally *tally, enum measure_layout layout,
           const uint64_t *whole, uint64_t word)
{
    const uint64_t *mask = tally->mask->words[layout];
    uint64_t packets = measure_cache_packets(word);
    uint64_t bytes = measure_cache_bytes(word);
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t hash;

    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        key[i] = whole[i] & mask[i];
    }
    hash = measure_hash(tally->secret, key, measure_key_words(layout));

    if (!measure_table_add(tally->current[layout], layout,
                           MEASURE_TABLE_MAX_PROBES, key, hash, packets,
                           bytes)) {
        add_in_next(tally, layout, key, hash, packets, bytes);
    }
}

/* Moves what 'tally', which has two tiers, counts for 'entry' to the tables,
 * after which the entry may stand for another flow. */
void
measure_tally_move_entry(struct measure_tally *tally, uint32_t entry)
{
    uint64_t word = tally->cache->counts[entry];
    const uint64_t *key
        = tally->cache_keys->keys[entry][measure_cache_place(word)];

    tally->cache->counts[entry] = 0;
    if (!measure_cache_packets(word)) {
        return;
    }
    if (measure_cache_version(word) == 4) {
        move_entry(tally, MEASURE_NARROW, key, word);
    } else {
        move_entry(tally, MEASURE_WIDE, key, word);
    }
}

/* Of the MEASURE_CACHE_CARRIED entries from 'first' on, leaves out those that
 * got their keys in tallies up to 'forgotten'. */
static void __attribute__((noinline))
leave_forgotten(struct measure_cache_keys *keys, uint32_t first,
                uint32_t forgotten)
{
    for (uint32_t i = first; i < first + MEASURE_CACHE_CARRIED; i++) {
        if (keys->states[i].since <= forgotten) {
            keys->low[i] = 0;
        }
    }
}

/* Makes the words of the next MEASURE_CACHE_CARRIED entries of 'tally', in
 * whose epoch they may have counted nothing yet, take packets under the keys
 * that the entries have from epochs before.
 *
 * All words are cold, for they have been cleared: those of the
 * next burst are prefetched. */
void
measure_tally_carry_entries(struct measure_tally *tally)
{
    struct measure_cache_keys *keys = tally->cache_keys;
    const uint8_t *low = &keys->low[tally->n_carried];
    uint64_t *counts = &tally->cache->counts[tally->n_carried];

    if (!tally->n_carried) {
        tally->carry_forgotten = __atomic_load_n(&keys->forgotten,
                                                 __ATOMIC_RELAXED);
    }
    if (tally->carry_forgotten != keys->unready) {
        leave_forgotten(keys, tally->n_carried, tally->carry_forgotten);
    }
    for (uint32_t i = 0; i < MEASURE_CACHE_CARRIED; i++) {
        /* A word that counts already has these bits. */
        counts[i] |= low[i];
    }
    tally->n_carried += MEASURE_CACHE_CARRIED;
    if (tally->n_carried < MEASURE_CACHE_ENTRIES) {
        for (uint32_t i = 0; i < MEASURE_CACHE_CARRIED; i += 8) {
            __builtin_prefetch(&counts[MEASURE_CACHE_CARRIED + i], 1);
        }
    } else {
        keys->unready = tally->carry_forgotten;
    }
}

/* Counts the packet of 'record', which came in by 'port' and whose key is that
 * of a flow, for 'entry' of the flow cache, which stands for it from now on.
 * Returns false, with nothing changed, if the packet is none that counts, or
 * the entry is in use, or has no place for another key yet. */
bool
measure_tally_begin_entry(struct measure_tally *tally, uint32_t entry,
                          uint16_t port, const struct measure_record *record)
{
    struct measure_cache_keys *keys = tally->cache_keys;
    struct measure_cache_state *state = &keys->states[entry];
    unsigned int place = state->place;
    enum measure_layout layout = record->verdict;

    if (record->verdict >= MEASURE_N_LAYOUTS
        || record->bytes > MEASURE_CACHE_MAX_FRAME
        || tally->cache->counts[entry]) {
        return false;
    }
    if (state->since != tally->number) {
        /* The other place is named by tallies before 'since'. */
        if (state->since
            > __atomic_load_n(&keys->n_moved, __ATOMIC_ACQUIRE) + 1) {
            return false;
        }
        place = !place;
    }
    for (unsigned int i = 0; i < measure_key_words(layout); i++) {
        keys->keys[entry][place][i] = record->key[i];
    }
    state->since = tally->number;
    state->port = port;
    state->place = place;
    keys->low[entry] = ((layout == MEASURE_NARROW ? 4 : 6)
                        | place << MEASURE_CACHE_PLACE_SHIFT);
    tally->cache->counts[entry] = (measure_cache_packet(record->bytes)
                                   | keys->low[entry]);
    return true;
}

static inline void
count_oldest(struct measure_tally *tally)
{
    const struct measure_record *record
        = &tally->waiting[tally->n_counted++ % MEASURE_WAITING];

    if (record->verdict == MEASURE_COUNT_NARROW) {
        count(tally, MEASURE_NARROW, record);
    } else if (record->verdict == MEASURE_COUNT_WIDE) {
        count(tally, MEASURE_WIDE, record);
    }
}

/* Fetches the rows of the 'n' (up to MEASURE_BURST) packets that
 * measure_parse() has described in measure_tally_record(tally, 0) and so on,
 * which then wait to be counted.  Packets for which there is no more room are
 * counted, one for each new one: as many rows are always on their way.
 *
 * The records stay where they are parsed: what was just written in small
 * pieces cannot be copied in large ones without a wait. */
void
measure_tally_fetch(struct measure_tally *tally, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct measure_record *record = measure_tally_record(tally, 0);

        if (record->verdict == MEASURE_COUNT_NARROW) {
            prepare(tally, MEASURE_LINEAR_TABLE, MEASURE_NARROW, record);
        } else if (record->verdict == MEASURE_COUNT_WIDE) {
            prepare(tally, MEASURE_LINEAR_TABLE, MEASURE_WIDE, record);
        } else {
            tally->received_packets--;
            tally->received_bytes -= record->bytes;
            measure_counter_add(record->verdict == MEASURE_NOT_IP
                                ? &tally->counters.not_ip
                                : &tally->counters.malformed, 1);
        }
        if (++tally->n_fetched - tally->n_counted > MEASURE_BURST) {
            count_oldest(tally);
        }
    }
}

/* Counts the packets that wait, and all that were received in the totals,
 * which other threads may read: there they must never become fewer.  It must
 * come before the thread lets go of the tally. */
void
measure_tally_count_fetched(struct measure_tally *tally)
{
    while (tally->n_counted != tally->n_fetched) {
        count_oldest(tally);
    }
    /* The same few lines again for the next few packets. */
    tally->n_counted = tally->n_fetched = 0;

    measure_counter_add(&tally->counters.packets, tally->received_packets);
    measure_counter_add(&tally->counters.bytes, tally->received_bytes);
    tally->received_packets = tally->received_bytes = 0;
}

/* Makes the packet thread count in 'tally' from its next burst on.  Returns
 * the tally that it counted in until now, which it may still use until a grace
 * period has passed. */
struct measure_tally *
measure_thread_swap(struct measure_thread *thread, struct measure_tally *tally)
{
    return __atomic_exchange_n(&thread->tally, tally, __ATOMIC_ACQ_REL);
}

/* Returns the keys of 'thread' for two tiers, with memory from 'node' the
 * first time, or NULL if there is none. */
struct measure_cache_keys *
measure_thread_get_keys(struct measure_thread *thread,
                        struct measure_budget *budget, int node)
{
    if (!thread->cache_keys) {
        __atomic_store_n(&thread->cache_keys,
                         measure_memory_alloc(budget,
                                              sizeof *thread->cache_keys,
                                              node),
                         __ATOMIC_RELEASE);
    }
    return thread->cache_keys;
}

/* Takes the keys of 'thread', with which no tally counts any more, for the
 * caller to free when a grace period has passed. */
struct measure_cache_keys *
measure_thread_take_keys(struct measure_thread *thread)
{
    return __atomic_exchange_n(&thread->cache_keys, NULL, __ATOMIC_ACQ_REL);
}

/* Frees the keys of 'thread', of which no tally is left. */
void
measure_thread_free_keys(struct measure_thread *thread,
                         struct measure_budget *budget)
{
    measure_memory_free(budget, thread->cache_keys,
                        sizeof *thread->cache_keys);
    thread->cache_keys = NULL;
}

/* A tally and its overflow count array, on pages of their own: no other thread
 * writes to their cache lines. */
struct tally_memory {
    struct measure_tally tally;
    struct measure_overflow_cell overflow[MEASURE_OVERFLOW_CELLS];
};

/* Makes a tally whose memory comes from NUMA node 'node' (or MEASURE_ANY_NODE)
 * and is accounted in 'budget'.  measure_tally_reset() must follow. */
struct measure_tally *
measure_tally_create(const struct measure_hash_secret *secret,
                     struct measure_budget *budget, int node)
{
    struct tally_memory *memory
        = measure_check_memory(measure_memory_alloc(budget, sizeof *memory,
                                                    node));
    struct measure_tally *tally = &memory->tally;

    tally->secret = secret;
    tally->budget = budget;
    tally->node = node;
    tally->overflow = memory->overflow;
    return tally;
}

void
measure_tally_destroy(struct measure_tally *tally)
{
    if (tally) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            for (uint32_t i = 0; i < tally->n_tables[layout]; i++) {
                measure_table_destroy(&tally->tables[layout][i],
                                      tally->budget);
            }
        }
        measure_tally_hold_cache(tally, false);
        measure_structure_destroy(tally->structure);
        measure_memory_free(tally->budget, tally, sizeof(struct tally_memory));
    }
}

/* Gives 'tally' memory for two tiers if 'hold', which may be while the packet
 * thread counts in it, or frees what it has, which may not.  Returns false if
 * there is no memory. */
bool
measure_tally_hold_cache(struct measure_tally *tally, bool hold)
{
    if (hold && !tally->held_cache) {
        tally->held_cache = measure_memory_alloc(tally->budget,
                                                 sizeof *tally->held_cache,
                                                 tally->node);
    } else if (!hold && tally->held_cache) {
        measure_memory_free(tally->budget, tally->held_cache,
                            sizeof *tally->held_cache);
        tally->held_cache = tally->cache = NULL;
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            measure_table_destroy(&tally->spare[layout], tally->budget);
        }
    }
    return !hold || tally->held_cache;
}

/* Makes 'tally', which has memory for two tiers and counts with one, the next
 * tally that counts with 'keys', those of its thread. */
void
measure_tally_join_cache(struct measure_tally *tally,
                         struct measure_cache_keys *keys)
{
    tally->cache_keys = keys;
    tally->number = ++keys->n_tallies;
    tally->n_carried = 0;
}

/* Makes 'tally' count with two tiers from now on. */
void
measure_tally_begin_cache(struct measure_tally *tally)
{
    __atomic_store_n(&tally->cache, tally->held_cache, __ATOMIC_RELEASE);
}

/* Gives the empty 'tally', which is the next one of its thread, two tiers with
 * 'keys', those of the thread, or one if 'keys' is NULL.  Returns false if
 * there is no memory: then it has one.
 *
 * It has one, too, if 'keys' have been forgotten since the last tally began
 * with them, or none has.  A burst that began before that may still come to
 * this tally, and must not give an entry for good what is no longer true: two
 * tiers must wait for a grace period, see measure_tally_join_cache(). */
bool
measure_tally_use_cache(struct measure_tally *tally,
                        struct measure_cache_keys *keys)
{
    tally->cache = NULL;
    tally->cache_keys = NULL;
    if (!keys || measure_cache_is_forgotten(keys, keys->n_tallies)) {
        return true;
    }
    if (!measure_tally_hold_cache(tally, true)) {
        return false;
    }
    measure_tally_join_cache(tally, keys);
    measure_tally_begin_cache(tally);
    return true;
}

/* Returns the kind of structure that 'tally' counts in. */
enum measure_structure_kind
measure_tally_structure(const struct measure_tally *tally)
{
    return tally->structure ? tally->structure->kind : MEASURE_LINEAR_TABLE;
}

/* Makes the empty 'tally' count in a structure of 'kind' of about 'limit'
 * bytes.  One that it has stays if it is of that kind, and not larger nor much
 * smaller.  Returns false if there is no memory: then the tally counts in its
 * tables.  measure_tally_begin() must follow. */
bool
measure_tally_use_structure(struct measure_tally *tally,
                            enum measure_structure_kind kind, size_t limit)
{
    if (measure_tally_structure(tally) == kind
        && (!tally->structure || (tally->structure->limit <= limit
                                  && tally->structure->limit >= limit / 2))) {
        return true;
    }
    measure_structure_destroy(tally->structure);
    tally->structure = NULL;
    if (kind != MEASURE_LINEAR_TABLE) {
        tally->structure = measure_structure_create(
            kind, limit, tally->secret, tally->budget, tally->node);
    }
    return measure_tally_structure(tally) == kind;
}

/* Lines of a table for all entries of a flow cache. */
static uint32_t
spare_lines(enum measure_layout layout)
{
    return measure_table_lines_for(layout, MEASURE_CACHE_ENTRIES);
}

/* Makes what is counted in 'tally' for 'layout' from now on go to its spare
 * table, if there is memory for one. */
static void
begin_spare_table(struct measure_tally *tally, enum measure_layout layout)
{
    struct measure_table *spare = &tally->spare[layout];
    uint32_t n = tally->n_tables[layout];

    if (n >= MEASURE_TALLY_TABLES
        || (!spare->rows
            && !measure_table_init(spare, layout, spare_lines(layout),
                                   tally->budget, MEASURE_ANY_NODE))) {
        measure_table_destroy(spare, tally->budget);
        return;
    }
    tally->tables[layout][n] = *spare;
    memset(spare, 0, sizeof *spare);
    __atomic_store_n(&tally->n_tables[layout], n + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&tally->current[layout], &tally->tables[layout][n],
                     __ATOMIC_RELEASE);
}

/* Moves what 'tally', which is closed, counts for the entries of the flow
 * cache to a table. */
void
measure_tally_move_cache(struct measure_tally *tally)
{
    bool begun[MEASURE_N_LAYOUTS] = { false, false };

    if (!tally->cache) {
        return;
    }
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        uint64_t word = tally->cache->counts[i];

        if (measure_cache_packets(word)) {
            enum measure_layout layout
                = (measure_cache_version(word) == 4
                   ? MEASURE_NARROW : MEASURE_WIDE);

            if (!begun[layout]) {
                begin_spare_table(tally, layout);
                begun[layout] = true;
            }
            measure_tally_move_entry(tally, i);
        }
        measure_pace(1);
    }
    /* The packet thread may overwrite the keys that only this tally named. */
    __atomic_store_n(&tally->cache_keys->n_moved, tally->number,
                     __ATOMIC_RELEASE);
}

/* Returns what the tables of a tally may take whose thread, of 'weight', has
 * not had a packet for a while, if an idle bridge may take 'idle_bytes'.  Of
 * such a limit measure_tally_choose_lines() uses 5/8. */
uint64_t
measure_tally_quiet_limit(uint64_t idle_bytes, unsigned int weight,
                          unsigned int all_weights)
{
    uint64_t share = idle_bytes * 3 / 2 * weight / all_weights;
    uint64_t least = MEASURE_QUIET_LEAST_BYTES * weight / MEASURE_QUIET_WEIGHT;

    return measure_max(share, least) / 2;
}

/* Returns what each table of 'layout' in a tally for which there are 'limit'
 * bytes may take: of two tables for each layout, three quarters are for
 * IPv4. */
uint64_t
measure_table_limit(enum measure_layout layout, uint64_t limit)
{
    return layout == MEASURE_NARROW ? limit * 3 / 8 : limit / 8;
}

/* Returns at least 'lines', if 'limit' bytes allow, as a power of 2: then a
 * table often fits the next epoch, too. */
static uint32_t
choose_lines(uint64_t lines, uint64_t limit)
{
    lines = measure_min(lines * 2 - 1, limit / MEASURE_LINE_SIZE);
    lines = measure_max(lines, MEASURE_TALLY_MIN_LINES);
    lines = measure_min(lines, MEASURE_TABLE_MAX_LINES);
    return UINT64_C(1) << (63 - __builtin_clzll(lines));
}

/* Chooses the sizes of the first table of a tally and of the one in reserve,
 * for an epoch of about 'n_flows' flows, within 'limit' bytes. */
void
measure_tally_choose_lines(const uint64_t n_flows[MEASURE_N_LAYOUTS],
                           uint64_t limit,
                           uint32_t n_lines[MEASURE_N_LAYOUTS],
                           uint32_t next_lines[MEASURE_N_LAYOUTS])
{
    static const uint32_t first[MEASURE_N_LAYOUTS] = {
        [MEASURE_NARROW] = 2048,
        [MEASURE_WIDE] = 256,
    };

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        uint64_t most = measure_table_limit(layout, limit);
        uint32_t expected = measure_table_lines_for(layout,
                                                    n_flows[layout] * 5 / 4);
        uint32_t least = choose_lines(first[layout], limit / 16);
        uint64_t next;

        n_lines[layout] = choose_lines(measure_max(expected, least), most);
        next = measure_max(UINT64_C(4) * n_lines[layout], MEASURE_NEXT_LINES);
        next = measure_min(next, most / MEASURE_LINE_SIZE);
        next_lines[layout] = measure_max(next, MEASURE_TALLY_MIN_LINES);
    }
}

/* Takes from 'pool' a table of 'n_lines' lines, and empties it.  Returns false
 * if there is none. */
static bool
take_table(struct measure_table *pool, uint32_t n_pool, uint32_t n_lines,
           struct measure_table *table)
{
    for (uint32_t i = 0; i < n_pool; i++) {
        if (pool[i].max_used && pool[i].n_lines == n_lines) {
            *table = pool[i];
            pool[i].max_used = 0;
            pool[i].rows = NULL;
            measure_table_clear(table);
            return true;
        }
    }
    return false;
}

/* Empties 'tally' and gives it, for each layout, one table of 'n_lines' lines,
 * and unless that is 0 a next one of 'next_lines' lines.  Tables that have the
 * right size already are cleared and kept.  measure_tally_begin() must follow.
 *
 * Returns false if there is no memory.  The tally is usable all the same, but
 * counts in the overflow count array what finds no table. */
bool
measure_tally_reset(struct measure_tally *tally,
                    const uint32_t n_lines[MEASURE_N_LAYOUTS],
                    const uint32_t next_lines[MEASURE_N_LAYOUTS])
{
    bool complete = true;

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_table *tables = tally->tables[layout];
        struct measure_table pool[MEASURE_TALLY_TABLES];
        uint32_t n_pool = tally->n_tables[layout];
        bool have_first, have_next;

        memcpy(pool, tables, n_pool * sizeof *pool);
        have_first = take_table(pool, n_pool, n_lines[layout], &tables[0]);
        have_next = (next_lines[layout]
                     && take_table(pool, n_pool, next_lines[layout],
                                   &tables[1]));
        if (tally->held_cache && !tally->spare[layout].rows) {
            take_table(pool, n_pool, spare_lines(layout),
                       &tally->spare[layout]);
        }
        for (uint32_t i = 0; i < n_pool; i++) {
            measure_table_destroy(&pool[i], tally->budget);
        }

        if (!have_first) {
            complete &= measure_table_init(&tables[0], layout, n_lines[layout],
                                           tally->budget, tally->node);
        }
        tally->n_tables[layout] = have_next ? 2 : 1;
        tally->current[layout] = &tables[0];
        if (next_lines[layout] && !have_next) {
            complete &= measure_tally_add_table(tally, layout,
                                                next_lines[layout]);
        }
    }

    if (tally->counters.overflow_packets) {
        memset(tally->overflow, 0,
               MEASURE_OVERFLOW_CELLS * sizeof *tally->overflow);
    }
    if (tally->structure && tally->counters.packets) {
        measure_structure_clear(tally->structure);
    }
    memset(&tally->counters, 0, sizeof tally->counters);
    if (tally->held_cache) {
        memset(tally->held_cache->counts, 0, sizeof tally->held_cache->counts);
    }
    return complete;
}

/* Says that 'tally', which is empty, will count keys of kind 'key_kind'.  What
 * a structure estimates is the whole of a key, whichever port it came in
 * by. */
void
measure_tally_begin(struct measure_tally *tally,
                    enum measure_key_kind key_kind)
{
    enum measure_structure_kind kind = measure_tally_structure(tally);

    tally->key_kind = key_kind;
    tally->mask = (measure_structure_is_complete(kind)
                   ? &measure_count_masks[key_kind]
                   : &measure_masks[key_kind]);
}

/* Gives 'tally' another table of 'layout', of 'n_lines' lines, for when the
 * ones that it has are full.  May be called while the packet thread counts.
 * Returns false if the tally has MEASURE_TALLY_TABLES tables, or there is no
 * memory. */
bool
measure_tally_add_table(struct measure_tally *tally,
                        enum measure_layout layout, uint32_t n_lines)
{
    struct measure_table table;
    uint32_t n;

    if (tally->n_tables[layout] >= MEASURE_TALLY_TABLES
        || !measure_table_init(&table, layout, n_lines, tally->budget,
                               tally->node)) {
        return false;
    }
    /* While memory was prepared the tally may have been given another one. */
    n = tally->n_tables[layout];
    if (n >= MEASURE_TALLY_TABLES) {
        measure_table_destroy(&table, tally->budget);
        return false;
    }
    tally->tables[layout][n] = table;
    __atomic_store_n(&tally->n_tables[layout], n + 1, __ATOMIC_RELEASE);
    return true;
}

void
measure_counters_add(struct measure_counters *sum,
                     const struct measure_counters *counters)
{
    sum->packets += counters->packets;
    sum->bytes += counters->bytes;
    sum->not_ip += counters->not_ip;
    sum->malformed += counters->malformed;
    sum->overflow_packets += counters->overflow_packets;
    sum->overflow_bytes += counters->overflow_bytes;
}

void
measure_tally_load(const struct measure_tally *tally,
                   struct measure_load *load)
{
    memset(load, 0, sizeof *load);
    load->counters.packets = counter_get(&tally->counters.packets);
    load->counters.bytes = counter_get(&tally->counters.bytes);
    load->counters.not_ip = counter_get(&tally->counters.not_ip);
    load->counters.malformed = counter_get(&tally->counters.malformed);
    load->counters.overflow_packets
        = counter_get(&tally->counters.overflow_packets);
    load->counters.overflow_bytes
        = counter_get(&tally->counters.overflow_bytes);

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_table *tables = tally->tables[layout];
        const struct measure_table *current
            = __atomic_load_n(&tally->current[layout], __ATOMIC_ACQUIRE);
        uint32_t n = __atomic_load_n(&tally->n_tables[layout],
                                     __ATOMIC_ACQUIRE);

        for (uint32_t i = 0; i < n; i++) {
            load->table_bytes += measure_table_size(tables[i].n_lines);
            load->n_used[layout] += measure_table_n_used(&tables[i]);
        }
        load->n_tables[layout] = current - tables + 1;
        load->n_unused[layout] = n - load->n_tables[layout];
        load->n_lines[layout] = current->n_lines;
        load->max_used[layout] = current->max_used;
        load->current_used[layout] = measure_table_n_used(current);
        load->last_lines[layout] = tables[n - 1].n_lines;
    }
    load->report_bytes = load->table_bytes;
    if (tally->structure) {
        struct measure_structure_load structure;

        measure_structure_load(tally->structure, &structure);
        load->table_bytes += structure.bytes;
        load->structure_bytes = structure.bytes;
        load->n_lost = structure.n_lost;
        load->report_bytes += structure.report_bytes;
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            load->n_used[layout] += structure.n_keys[layout];
        }
    }
}
