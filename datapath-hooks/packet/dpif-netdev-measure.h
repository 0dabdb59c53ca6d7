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
 *     measure_prefetch()         before the packets of a batch are classified,
 *                                by a patch that may be left out
 *     measure_keep_packets()     right before packets are looked up, which
 *                                deletes some of them
 *     measure_classified()       when the packets of a batch have been looked
 *                                up: 'hits' of the exact-match cache tells
 *                                which of them it knows
 *     measure_batch_end()        when the batch has been processed
 *     measure_tunnel_batch()     with each batch of inner packets behind a
 *                                tunnel pop, for the tunnel port
 *     measure_emc_replace()      before an entry is given to another flow
 *
 * Where they are counted:
 *
 *     measure_batch() --one tier--> parse, fetch the row -----------------.
 *           |                                                             |
 *           `--two tiers--> measure_classified()                          |
 *                             |                                           |
 *                             |--no entry found--> as above --------------|
 *                             |                                           |
 *                             `--entry found--> its word                  v
 *                                            flow table: measure_batch_end()
 *
 * With two tiers (measure-flow-cache.h) the batch waits for its
 * classification: packets that the exact-match cache knows are counted in
 * words that belong to its entries.  Any other packet has its row fetched
 * while the switch works on the batch, and is counted there at the end.
 *
 * There is one tier where the tally has no words for entries, and where the
 * classification has no hooks: with hardware offload and the AVX512 input of
 * 3.x.  Where the exact-match cache is not asked no packet finds an entry:
 * measure/status calls that one tier, too.
 *
 * With measure-stream=true each packet that counts is also streamed to readers
 * (measure-stream-producer.h), before the switch works on the batch.
 *
 * One of many batches is timed, so that measure/status can tell what counting
 * costs.
 *
 * From the main thread, defined in measure-port-table.c:
 *
 *     measure_port_added()       before any thread polls the port
 *     measure_thread_added()     before the thread runs
 *     measure_thread_removed()   when nobody can find the thread any more
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

/* What a thread of the datapath counts.  It is there from
 * measure_thread_added() on until the thread has ended. */
struct measure_input {
    /* Who counts the packets of each port; NULL if no port is measured. */
    OVSRCU_TYPE(struct measure_ports *) ports;

    /* The batch that is being processed. */
    const struct measure_port_thread *port;     /* NULL: nobody counts it. */
    struct measure_tally *tally;        /* In which it is counted. */
    const struct measure_stream *stream;    /* Where its records go; NULL. */
    size_t n;                           /* Packets not classified yet, from
                                         * measure_keep_packets() on in... */
    bool has_runts;                     /* Some are counted already. */
    struct dp_packet *packets[NETDEV_MAX_BURST];    /* ...this; or NULL. */

    /* What counting it costs. */
    uint32_t n_timed;           /* Its packets if it is timed, else 0. */
    uint32_t n_timings;
    uint64_t timed_cycles;      /* Timing included. */
    uint32_t one_timing;        /* Cycles; the fewest seen. */
};

BUILD_ASSERT_DECL(NETDEV_MAX_BURST <= MEASURE_BURST);

bool measure_batch__(struct pmd_perf_stats *, const struct measure_ports *,
                     struct dp_packet_batch *, odp_port_t);
void measure_prefetch__(struct pmd_perf_stats *,
                        const struct dp_packet_batch *);
void measure_keep_packets__(struct pmd_perf_stats *,
                            const struct dp_packet_batch *);
void measure_classified__(struct pmd_perf_stats *);
void measure_batch_end__(struct pmd_perf_stats *);
void measure_tunnel_batch__(struct pmd_perf_stats *,
                            const struct measure_ports *,
                            const struct dp_packet_batch *, odp_port_t);
void measure_emc_replace(struct emc_cache *, const struct emc_entry *);

/* Counts 'batch', received from 'port_no', or leaves that to those below.
 * Returns true if it has been processed by the switch as well, false if the
 * caller must do that.  Off, it costs two loads and a branch. */
static inline bool
measure_batch(struct pmd_perf_stats *perf,
              struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &perf->measure->ports);

    return (OVS_UNLIKELY(ports)
            && measure_batch__(perf, ports, batch, port_no));
}

/* Counts the inner packets of 'batch', that came out of tunnel 'port_no'. */
static inline void
measure_tunnel_batch(struct pmd_perf_stats *perf,
                     const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &perf->measure->ports);

    if (OVS_UNLIKELY(ports)) {
        measure_tunnel_batch__(perf, ports, batch, port_no);
    }
}

/* Prefetches the entries of the exact-match cache for 'batch', which is going
 * to be classified, if that 'asks_emc'. */
static inline void
measure_prefetch(struct pmd_perf_stats *perf,
                 const struct dp_packet_batch *batch, bool asks_emc)
{
    if (OVS_UNLIKELY(perf->measure->n) && asks_emc) {
        measure_prefetch__(perf, batch);
    }
}

/* Keeps the packets of 'batch', which is going to be classified, if
 * measure_batch() has left it to those below: others are recirculated. */
static inline void
measure_keep_packets(struct pmd_perf_stats *perf,
                     const struct dp_packet_batch *batch)
{
    if (OVS_UNLIKELY(perf->measure->n)) {
        measure_keep_packets__(perf, batch);
    }
}

/* Counts the packets of a batch that has been classified: 'hits' of the
 * exact-match cache tells which of them have found an entry there. */
static inline void
measure_classified(struct pmd_perf_stats *perf)
{
    if (OVS_UNLIKELY(perf->measure->n)) {
        measure_classified__(perf);
    }
}

/* Ends what measure_batch() began. */
static inline void
measure_batch_end(struct pmd_perf_stats *perf)
{
    if (OVS_UNLIKELY(perf->measure->port)) {
        measure_batch_end__(perf);
    }
}

const char *measure_one_tier_cause(const struct pmd_perf_stats *,
                                   bool has_polled);

void measure_port_added(const void *dp, odp_port_t, const char *name);
void measure_thread_added(const void *dp, struct pmd_perf_stats *,
                          unsigned int core_id, int numa_id);
void measure_thread_removed(struct pmd_perf_stats *);

#endif /* dpif-netdev-measure.h */
