/* SPDX-License-Identifier: Apache-2.0 */
/* A contender: Open vSwitch's concurrent hash map. */

/* Open vSwitch's concurrent hash map, cmap: batch lookup of a burst, then an
 * insertion for the keys that were not found. */

#include <config.h>

#ifdef BENCH_HAVE_OVS
#include "cmap.h"
#include "ovs-rcu.h"
#include "util.h"
#endif

#include "peer-cmap.h"

#ifdef BENCH_HAVE_OVS

#include <stdlib.h>

#include "base/measure-base.h"
#include "support.h"

struct flow {
    struct bench_key key;
    uint64_t packets;
    uint64_t bytes;
    struct cmap_node node;
};

struct map {
    struct cmap cmap;
    struct flow *flows;
    uint32_t n_flows;
    uint32_t max_flows;
    uint64_t refused;
    struct measure_hash_secret secret;
};

const char *
bench_ovs_version(void)
{
    return BENCH_OVS_VERSION;
}

static void *
cmap_create(struct bench_settings *settings, const char **why_not)
{
    struct map *map = measure_xzalloc(sizeof *map);

    (void) why_not;
    map->secret = settings->secret;
    map->max_flows = (settings->memory
                      ? settings->memory / (sizeof *map->flows + 16)
                      : settings->n_flows);
    map->flows = bench_memory(map->max_flows * sizeof *map->flows);
    cmap_init(&map->cmap);
    return map;
}

static void
cmap_clear(void *map_)
{
    struct map *map = map_;

    cmap_destroy(&map->cmap);
    cmap_init(&map->cmap);
    ovsrcu_quiesce();
    map->n_flows = 0;
    map->refused = 0;
}

static void
cmap_update(void *map_, const struct bench_key *keys, const uint16_t *bytes)
{
    struct map *map = map_;
    const struct cmap_node *nodes[BENCH_BURST];
    uint32_t hashes[BENCH_BURST];
    unsigned long int found;

    for (int i = 0; i < BENCH_BURST; i++) {
        hashes[i] = measure_hash(&map->secret, keys[i].words, 2);
    }
    found = cmap_find_batch(&map->cmap, (1ul << BENCH_BURST) - 1, hashes,
                            nodes);
    for (int i = 0; i < BENCH_BURST; i++) {
        struct flow *flow = NULL;

        if (found & 1ul << i) {
            CMAP_NODE_FOR_EACH (flow, node, nodes[i]) {
                if (flow->key.words[0] == keys[i].words[0]
                    && flow->key.words[1] == keys[i].words[1]) {
                    break;
                }
            }
        } else {
            /* May have been inserted for an earlier packet of the burst. */
            CMAP_FOR_EACH_WITH_HASH (flow, node, hashes[i], &map->cmap) {
                if (flow->key.words[0] == keys[i].words[0]
                    && flow->key.words[1] == keys[i].words[1]) {
                    break;
                }
            }
        }
        if (!flow) {
            if (map->n_flows >= map->max_flows) {
                map->refused++;
                continue;
            }
            flow = &map->flows[map->n_flows++];
            flow->key = keys[i];
            flow->packets = 0;
            flow->bytes = 0;
            cmap_insert(&map->cmap, &flow->node, hashes[i]);
        }
        flow->packets++;
        flow->bytes += bytes[i];
    }
}

static void
cmap_report(void *map_, uint64_t threshold, bench_report_function *report,
            void *aux)
{
    struct map *map = map_;

    for (uint32_t i = 0; i < map->n_flows; i++) {
        if (map->flows[i].packets >= threshold) {
            report(aux, &map->flows[i].key, map->flows[i].packets);
        }
    }
}

/* cmap does not tell its memory: buckets of 64 bytes hold 5 flows, and their
 * number, a power of two, doubles when 85 % are used. */
static size_t
cmap_memory(const void *map_)
{
    const struct map *map = map_;
    size_t n = 1;

    while (n * 5 * 85 / 100 < cmap_count(&map->cmap)) {
        n *= 2;
    }
    return n * 64 + map->n_flows * sizeof *map->flows;
}

#else /* !BENCH_HAVE_OVS */

const char *
bench_ovs_version(void)
{
    return "none";
}

static void *
cmap_create(struct bench_settings *settings, const char **why_not)
{
    (void) settings;
    *why_not = "built without Open vSwitch";
    return NULL;
}

#define cmap_clear NULL
#define cmap_update NULL
#define cmap_report NULL
#define cmap_memory NULL
#endif

const struct bench_contender bench_cmap = {
    .name = "cmap",
    .create = cmap_create,
    .clear = cmap_clear,
    .update = cmap_update,
    .report = cmap_report,
    .memory = cmap_memory,
};
