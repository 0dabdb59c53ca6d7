/* SPDX-License-Identifier: Apache-2.0 */
/* What dpif-netdev calls: the hooks in the packet path. */

#ifndef DPIF_NETDEV_MEASURE_H
#define DPIF_NETDEV_MEASURE_H 1

#include <stddef.h>

#include "dp-packet.h"
#include "dpif-netdev-perf.h"
#if __has_include("dpif-netdev-private-dfc.h")
#include "dpif-netdev-private-dfc.h"
#else
#include "dpif-netdev-dfc.h"
#endif
#if __has_include("dpif-netdev-private-flow.h")
#include "dpif-netdev-private-flow.h"
#else
#include "dpif-netdev-flow.h"
#endif
#include "openvswitch/types.h"
#include "ovs-rcu.h"
#include "tally/measure-tally.h"

/* What dpif-netdev calls: the hooks of the measurement
 * ====================================================
 *
 * In the packet path:
 *
 *     measure_batch()            with each batch that a port received, before
 *                                classification, or instead of it
 *     measure_tunnel_batch()     with each batch of inner packets behind a
 *                                tunnel pop, for the tunnel port
 *     measure_classify()         before the packets of a batch are classified
 *     measure_emc_lookup()       instead of emc_lookup()
 *     measure_packet()           for a packet that is dropped before that
 *     measure_missed()           with the packets that it did not find
 *     measure_batch_end()        when the batch has been processed
 *     measure_emc_replace()      before an entry is given to another flow
 *
 * Where they are counted:
 *
 *     measure_batch() --one tier--> parse, fetch the row --------------.
 *           |                                                            |
 *           `--two tiers--> measure_classify() --no cache--> as above ---|
 *                             |                                          |
 *                             |--not in the exact-match cache--> as above|
 *                             |                                          v
 *                             `--found there--> entry    measure_batch_end():
 *                                                                flow table
 *
 * With two tiers (measure-flow-cache.h) the batch waits for its
 * classification: packets that the exact-match cache knows are counted in
 * words that belong to its entries, which are prefetched for the whole batch
 * before (measure-prefetch.h).  The row of any other packet is fetched while
 * the switch works on the batch, and counts it at the end.  There is one tier
 * where the cache is not asked: with simple match or a cache that is switched
 * off, and where the classification has no hooks: with hardware offload and
 * the AVX512 input of 3.x.
 *
 * One of many batches is timed, so that measure/status can tell what counting
 * costs.
 *
 * From the control threads:
 *
 *     measure_port_added()       before any thread polls the port
 *     measure_thread_added()     before the thread runs
 *     measure_thread_removed()   when the thread has ended
 *
 * Nobody tells when a port is removed: its number means nothing until another
 * port is added under it, or the last thread of the datapath has ended.
 *
 * Thread safety: the hooks of the packet path are called by the thread that
 * 'perf' belongs to, or with the lock held that makes its callers one (the
 * threads that share the non-PMD).  They do not allocate, lock, wait, log or
 * clear. */

BUILD_ASSERT_DECL(EM_FLOW_HASH_ENTRIES == MEASURE_CACHE_ENTRIES);

/* Who counts the packets that a thread receives from a port.  Once there is a
 * thread, neither member changes. */
struct measure_port_thread {
    struct measure_thread *thread;  /* NULL if the port is not measured.
                                     * Atomic. */
    uint16_t number;            /* Of the port, in the keys of the monitor. */
};

/* By datapath port number.  A port of one of the threads that are there can be
 * added while the thread reads; any other change makes a map of its own. */
struct measure_ports {
    size_t n;                   /* A power of 2. */
    size_t n_threads;
    struct measure_thread **threads;    /* Each one that 'ports' names. */
    struct measure_port_thread ports[];
};

bool measure_batch__(struct pmd_perf_stats *, const struct measure_ports *,
                     struct dp_packet_batch *, odp_port_t);
void measure_tunnel_batch__(const struct measure_ports *,
                            const struct dp_packet_batch *, odp_port_t);
struct measure_tally *measure_classify__(struct pmd_perf_stats *,
                                         const struct dp_packet_batch *,
                                         bool ask_cache);
void measure_packet__(struct pmd_perf_stats *, const struct dp_packet *);
void measure_missed__(struct pmd_perf_stats *, const struct dp_packet_batch *);
void measure_batch_end__(struct pmd_perf_stats *);
void measure_first_hit(struct pmd_perf_stats *, struct measure_tally *,
                       uint32_t entry, const struct miniflow *,
                       const struct dp_packet *);
void measure_emc_replace(struct emc_cache *, const struct emc_entry *);

/* Counts 'batch', received from 'port_no', or leaves that to those below.
 * Returns true if it has been processed by the switch as well, false if the
 * caller must do that.  Off, it costs a load and a branch. */
static inline bool
measure_batch(struct pmd_perf_stats *perf,
              struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &perf->measure_ports);

    return (OVS_UNLIKELY(ports)
            && measure_batch__(perf, ports, batch, port_no));
}

/* Counts the inner packets of 'batch', that came out of tunnel 'port_no'. */
static inline void
measure_tunnel_batch(const struct pmd_perf_stats *perf,
                     const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &perf->measure_ports);

    if (OVS_UNLIKELY(ports)) {
        measure_tunnel_batch__(ports, batch, port_no);
    }
}

/* Returns true if the packets of the batch that is being processed are
 * measured, unless they are 'recirculated': then they have been counted
 * before. */
static inline bool
measure_counts(const struct pmd_perf_stats *perf, bool recirculated)
{
    return perf->measure_port && !recirculated;
}

/* Returns the tally in which the packets of 'batch', which are going to be
 * classified, must be counted one by one, or NULL if they are counted already,
 * or not 'measured' (see measure_counts()).  'ask_cache' says whether the
 * exact-match cache will be asked for them. */
static inline struct measure_tally *
measure_classify(struct pmd_perf_stats *perf,
                 const struct dp_packet_batch *batch, bool measured,
                 bool ask_cache)
{
    return measured ? measure_classify__(perf, batch, ask_cache) : NULL;
}

/* Counts 'packet', for which the exact-match cache will not be asked. */
static inline void
measure_packet(struct pmd_perf_stats *perf, const struct measure_tally *tally,
               const struct dp_packet *packet)
{
    if (tally) {
        measure_packet__(perf, packet);
    }
}

/* Counts the packets of 'batch', which the exact-match cache did not know. */
static inline void
measure_missed(struct pmd_perf_stats *perf, const struct measure_tally *tally,
               const struct dp_packet_batch *batch)
{
    if (tally && !dp_packet_batch_is_empty(batch)) {
        measure_missed__(perf, batch);
    }
}

/* Ends what measure_batch() began. */
static inline void
measure_batch_end(struct pmd_perf_stats *perf)
{
    if (OVS_UNLIKELY(perf->measure_port)) {
        measure_batch_end__(perf);
    }
}

/* Returns true if 'packet', of whose kind measure_first_hit() has found that
 * it has an IP header, has one of 'version' of which the miniflow tells the
 * key: neither the version nor whether there are extension headers shows
 * there. */
static inline bool
measure_header_is_plain(const struct dp_packet *packet, unsigned int version)
{
    /* dp_packet_l3(), which must ask whether there is one. */
    const uint8_t *ip = ((const uint8_t *) dp_packet_base(packet)
                         + __packet_data(packet) + packet->l3_ofs);

    return (ip[0] >> 4 == version
            && (OVS_LIKELY(version == 4)
                || ip[6] == IPPROTO_TCP || ip[6] == IPPROTO_UDP
                || ip[6] == IPPROTO_ICMPV6 || ip[6] == IPPROTO_SCTP));
}

/* Counts 'packet' for 'entry', which it has found, in 'cache'.  Returns false
 * if it cannot. */
static inline bool
measure_hit(struct measure_cache *cache, uint32_t entry,
            const struct dp_packet *packet)
{
    uint64_t word = cache->counts[entry];

    if (OVS_LIKELY(measure_cache_takes(word))
        && OVS_LIKELY(measure_header_is_plain(packet,
                                              measure_cache_version(word)))) {
        measure_cache_add(cache, entry, dp_packet_size(packet));
        return true;
    }
    return false;
}

/* emc_lookup(), and counts a packet that is found in 'tally', unless that is
 * NULL. */
static inline struct dp_netdev_flow *
measure_emc_lookup(struct pmd_perf_stats *perf, struct measure_tally *tally,
                   struct emc_cache *cache, const struct netdev_flow_key *key,
                   const struct dp_packet *packet)
{
    struct emc_entry *entry;

    EMC_FOR_EACH_POS_WITH_HASH (cache, entry, key->hash) {
        if (entry->key.hash == key->hash && emc_entry_alive(entry)
            && emc_flow_key_equal_mf(&entry->key, &key->mf)) {
            uint32_t i = srch_hash__ & EM_FLOW_HASH_MASK;

            if (tally && !OVS_LIKELY(measure_hit(tally->cache, i, packet))) {
                measure_first_hit(perf, tally, i, &key->mf, packet);
            }
            return entry->flow;
        }
    }
    return NULL;
}

const char *measure_one_tier_cause(const struct pmd_perf_stats *,
                                   bool has_polled);

void measure_port_added(const void *dp, odp_port_t, const char *name);
void measure_thread_added(const void *dp, struct pmd_perf_stats *,
                          unsigned int core_id, int numa_id);
void measure_thread_removed(struct pmd_perf_stats *);

#endif /* dpif-netdev-measure.h */
