/* SPDX-License-Identifier: Apache-2.0 */
/* What the hook of the switch does with its flow cache, for tests. */

#ifndef CHECK_FLOW_CACHE_H
#define CHECK_FLOW_CACHE_H 1

#include "check-common.h"

#include "tally/measure-tally.h"

/* What the hook of the switch does with packets that find an entry of its flow
 * cache. */

/* Makes 'tally' the next one of its thread, whose keys are 'keys', that counts
 * with two tiers: at once, or when a grace period has passed. */
static UNUSED void
flow_cache_begin(struct measure_tally *tally, struct measure_cache_keys *keys)
{
    ck_assert(measure_tally_use_cache(tally, keys));
    if (!tally->cache) {
        ck_assert(measure_tally_hold_cache(tally, true));
        measure_tally_join_cache(tally, keys);
        measure_tally_begin_cache(tally);
    }
}

/* Counts a packet for 'entry' if that takes it. */
static UNUSED bool
flow_cache_add(struct measure_cache *cache, uint32_t entry,
               enum measure_layout layout, uint32_t bytes)
{
    uint64_t word = cache->counts[entry];

    if (!measure_cache_takes(word)
        || measure_cache_version(word) != (layout == MEASURE_NARROW ? 4 : 6)) {
        return false;
    }
    measure_cache_add(cache, entry, bytes);
    return true;
}

/* Counts a packet that found no entry. */
static UNUSED void
flow_cache_miss(struct measure_tally *tally,
                const struct measure_record *record)
{
    *measure_tally_record(tally, 0) = *record;
    measure_tally_fetch(tally, 1);
}

/* Counts a packet of 'fields' that came in by 'port' and found 'entry'. */
static UNUSED void
flow_cache_hit(struct measure_tally *tally, uint32_t entry, uint16_t port,
               const struct measure_fields *fields, uint32_t bytes)
{
    struct measure_record record = make_record(fields, bytes);
    uint64_t known;

    measure_tally_receive(tally, 1, bytes);
    if (flow_cache_add(tally->cache, entry, record.verdict, bytes)) {
        return;
    }
    known = measure_cache_known(tally->cache_keys, entry, port);
    if (known && !tally->cache->counts[entry]
        && bytes <= MEASURE_CACHE_MAX_FRAME) {
        tally->cache->counts[entry] = known | measure_cache_packet(bytes);
        return;
    }
    measure_tally_move_entry(tally, entry);
    if (!measure_tally_begin_entry(tally, entry, port, &record)) {
        flow_cache_miss(tally, &record);
    }
}

/* Gives 'entry' to another flow. */
static UNUSED void
flow_cache_replace(struct measure_tally *tally, uint32_t entry)
{
    measure_tally_move_entry(tally, entry);
    measure_cache_forget_entry(tally->cache_keys, entry);
}

#endif /* check-flow-cache.h */
