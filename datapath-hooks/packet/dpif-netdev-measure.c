/* SPDX-License-Identifier: Apache-2.0 */
/* What dpif-netdev calls: the hooks in the packet path. */

#include <config.h>

#include "dpif-netdev-measure.h"

#include "dp-packet.h"
/* Open vSwitch 4.0 has one input function, and shorter names. */
#if __has_include("dpif-netdev-private-thread.h")
#include "dpif-netdev-private-thread.h"
#define HAVE_INPUT_FUNC
#else
#include "dpif-netdev-thread.h"
#endif
/* Since Open vSwitch 3.7. */
#if __has_include("dpif-offload.h")
#include "dpif-offload.h"
#else
#include "netdev-offload.h"
#define dpif_offload_enabled netdev_is_flow_api_enabled
#endif
#include "flow.h"
#include "key/measure-parse.h"
#include "measure-prefetch.h"
#include "packets.h"
#include "tally/measure-tally.h"

/* What counting costs
 * ===================
 *
 * One of MEASURE_SAMPLE_BATCHES batches is timed.  With one tier this is one
 * piece of work, and another when the batch ends.  With two tiers hits are
 * counted in the classification, whose code shall not ask for each packet
 * whether it is timed.  Therefore the classification gets 'timed_tally' then,
 * in which no entry of the exact-match cache counts: each hit comes to
 * measure_first_hit(), which counts it in the true tally and takes the time.
 * What reading the clock takes, the fewest cycles that have been seen, is
 * subtracted and reported by itself.
 *
 * 'timed_tally' is never written. */
static struct measure_cache timed_cache;
static struct measure_tally timed_tally = { .cache = &timed_cache };

/* What measure_parse() knows for no header of IP: reserved by IEEE. */
#define ETHERTYPE_UNKNOWN 0xffff

static inline uint16_t
first_header(const struct dp_packet *packet)
{
    if (OVS_LIKELY(packet->packet_type == htonl(PT_ETH))) {
        return MEASURE_ETHERTYPE_ETHERNET;
    }
    return (pt_ns(packet->packet_type) == OFPHTN_ETHERTYPE
            ? ntohs(pt_ns_type_be(packet->packet_type))
            : ETHERTYPE_UNKNOWN);
}

static inline void
parse(const struct dp_packet *packet, uint16_t port,
      struct measure_record *record)
{
    measure_parse(dp_packet_data(packet), dp_packet_size(packet),
                  first_header(packet), record);
    measure_record_set_port(record, port);
}

/* Parses and counts the packets of 'batch', which came in by the port that
 * keys call 'port', out of its tunnel if 'inner'.
 *
 * Keys that are less than a flow have no tunnel id, so that theirs are as
 * those of other packets. */
static inline void __attribute__((always_inline))
count_packets(struct measure_tally *tally, const struct dp_packet_batch *batch,
              uint16_t port, bool inner)
{
    struct measure_record records[MEASURE_BURST];
    size_t n = dp_packet_batch_size(batch);

    for (size_t done = 0; done < n; done += MEASURE_BURST) {
        size_t burst = MIN(n - done, MEASURE_BURST);

        for (size_t i = 0; i < burst; i++) {
            const struct dp_packet *packet = batch->packets[done + i];

            parse(packet, port, &records[i]);
            if (inner && tally->key_kind == MEASURE_KIND_FLOW) {
                measure_record_set_tunnel(&records[i],
                                          ntohll(packet->md.tunnel.tun_id));
            }
        }
        measure_tally_count(tally, records, burst);
    }
}

static const struct measure_port_thread *
find_port(const struct measure_ports *ports, odp_port_t port_no)
{
    uint32_t i = odp_to_u32(port_no);

    return (i < ports->n && __atomic_load_n(&ports->ports[i].thread,
                                            __ATOMIC_ACQUIRE)
            ? &ports->ports[i] : NULL);
}

/* Returns true if a batch that is received now shall be classified by the
 * function that has our hooks: then process_batch() must do so. */
static bool
classification_has_hooks(const struct pmd_perf_stats *perf OVS_UNUSED)
{
#ifdef HAVE_INPUT_FUNC
    struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(perf, struct dp_netdev_pmd_thread, perf_stats);
    dp_netdev_input_func input;

    atomic_read_relaxed(&pmd->netdev_input_func, &input);
    if (input != dp_netdev_input) {
        return false;
    }
#endif
    return !dpif_offload_enabled();
}

/* Has 'batch' processed by the function that has our hooks.  Returns false if
 * the caller cannot but do so.
 *
 * Where there are several, it would read again which one it shall call, and
 * might read another: dpif-netdev/dpif-impl-set may come at any time.  A batch
 * that has been counted by the hook of received batches is different: it can
 * be processed by any of them. */
static bool
process_batch(struct pmd_perf_stats *perf OVS_UNUSED,
              struct dp_packet_batch *batch OVS_UNUSED,
              odp_port_t port_no OVS_UNUSED)
{
#ifdef HAVE_INPUT_FUNC
    dp_netdev_input(CONTAINER_OF(perf, struct dp_netdev_pmd_thread,
                                 perf_stats), batch, port_no);
    return true;
#else
    return false;
#endif
}

/* Returns what makes the thread of 'perf' count with one tier, whatever its
 * tallies are ready for, or NULL if nothing does.  Whether it asks the
 * exact-match cache is only known if it 'has_polled' a port. */
const char *
measure_one_tier_cause(const struct pmd_perf_stats *perf, bool has_polled)
{
    const struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(perf, struct dp_netdev_pmd_thread, perf_stats);

    if (!classification_has_hooks(perf)) {
        return (dpif_offload_enabled()
                ? "hw-offload=true, which only a restart switches off"
                : "dpif-impl-set");
    }
    /* Of the port that it has polled last. */
    return (!has_polled
            || __atomic_load_n(&pmd->ctx.emc_insert_min, __ATOMIC_RELAXED)
            ? NULL : "exact-match cache switched off");
}

static const struct emc_cache *
get_cache(const struct pmd_perf_stats *perf)
{
    const struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(perf, struct dp_netdev_pmd_thread, perf_stats);

    return &pmd->flow_cache.emc_cache;
}

static void
receive_batch(struct measure_tally *tally, const struct dp_packet_batch *batch)
{
    size_t n = dp_packet_batch_size(batch);
    uint64_t bytes = 0;

#pragma GCC unroll 8
    for (size_t i = 0; i < n; i++) {
        bytes += dp_packet_size(batch->packets[i]);
    }
    measure_tally_receive(tally, n, bytes);
}

/* Parses the packets of 'batch', which came in by the port that keys call
 * 'port', and fetches their rows.  Those that miss the exact-match cache come
 * here together, not one by one where they are looked up, so that the code for
 * it need not come to the processor again and again. */
static void
fetch_batch(struct measure_tally *tally, const struct dp_packet_batch *batch,
            uint16_t port)
{
    size_t n = dp_packet_batch_size(batch);

    for (size_t done = 0; done < n; done += MEASURE_BURST) {
        size_t burst = MIN(n - done, MEASURE_BURST);

        for (size_t i = 0; i < burst; i++) {
            parse(batch->packets[done + i], port,
                  measure_tally_record(tally, i));
        }
        measure_tally_fetch(tally, burst);
    }
}

/* Counts a batch whose packets nobody has looked at yet: a structure at once,
 * a table when the batch ends. */
static void
take_batch(struct measure_tally *tally, const struct dp_packet_batch *batch,
           uint16_t port)
{
    size_t n = dp_packet_batch_size(batch);

    for (size_t i = 0; i < n; i++) {
        OVS_PREFETCH(dp_packet_data(batch->packets[i]));
    }
    if (tally->structure) {
        count_packets(tally, batch, port, false);
    } else {
        receive_batch(tally, batch);
        fetch_batch(tally, batch, port);
    }
}

/* Begins to count 'batch' in 'tally'.  Returns true if that shall be timed. */
static bool
begin_batch(struct pmd_perf_stats *perf, struct measure_thread *thread,
            struct measure_tally *tally, const struct dp_packet_batch *batch)
{
    uint64_t start;
    uint32_t one;

    thread->batch_tally = tally;
    thread->n_timed = 0;
    if (OVS_LIKELY(++thread->n_batches % MEASURE_SAMPLE_BATCHES)) {
        return false;
    }
    thread->n_timed = dp_packet_batch_size(batch);
    start = cycles_counter_update(perf);
    one = cycles_counter_update(perf) - start;
    if (!thread->one_timing || one < thread->one_timing) {
        thread->one_timing = one;
    }
    thread->timed_cycles = 0;
    thread->n_timings = 0;
    return true;
}

static void
add_timing(struct pmd_perf_stats *perf, struct measure_thread *thread,
           uint64_t start)
{
    thread->timed_cycles += cycles_counter_update(perf) - start;
    thread->n_timings++;
}

static void
finish_sample(struct measure_thread *thread)
{
    uint64_t timing = (uint64_t) thread->n_timings * thread->one_timing;

    timing = MIN(timing, thread->timed_cycles);
    measure_counter_add(&thread->sampled_packets, thread->n_timed);
    measure_counter_add(&thread->sampled_cycles,
                        thread->timed_cycles - timing);
    measure_counter_add(&thread->timing_cycles, timing);
}

/* Counts all packets of 'batch', which came in by 'port', with one tier. */
static void
count_batch(struct pmd_perf_stats *perf,
            const struct measure_port_thread *port,
            struct measure_tally *tally, const struct dp_packet_batch *batch)
{
    if (OVS_LIKELY(!begin_batch(perf, port->thread, tally, batch))) {
        take_batch(tally, batch, port->number);
    } else {
        uint64_t start = cycles_counter_update(perf);

        take_batch(tally, batch, port->number);
        add_timing(perf, port->thread, start);
    }
}

bool
measure_batch__(struct pmd_perf_stats *perf, const struct measure_ports *ports,
                struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_port_thread *port = find_port(ports, port_no);
    struct measure_tally *tally;

    if (!port) {
        return false;
    }
    tally = measure_thread_tally(port->thread);
    perf->measure_port = port;
    if (tally->cache && classification_has_hooks(perf)) {
        return process_batch(perf, batch, port_no);
    }
    count_batch(perf, port, tally, batch);
    return false;
}

/* Begins with 'batch', for which the exact-match cache will be asked. */
static void
receive_cached(const struct pmd_perf_stats *perf, struct measure_tally *tally,
               const struct dp_packet_batch *batch)
{
    if (OVS_UNLIKELY(tally->n_carried < MEASURE_CACHE_ENTRIES)) {
        measure_tally_carry_entries(tally);
    }
    if (OVS_LIKELY(tally->prefetch)) {
        measure_prefetch_entries(get_cache(perf), batch);
    }
    receive_batch(tally, batch);
}

struct measure_tally *
measure_classify__(struct pmd_perf_stats *perf,
                   const struct dp_packet_batch *batch, bool ask_cache)
{
    const struct measure_port_thread *port = perf->measure_port;
    struct measure_thread *thread = port->thread;
    struct measure_tally *tally;

    if (thread->batch_tally) {
        return NULL;
    }
    tally = measure_thread_tally(thread);
    if (!ask_cache || !tally->cache
        || measure_cache_is_forgotten(tally->cache_keys, tally->number)) {
        count_batch(perf, port, tally, batch);
        return NULL;
    }
    if (OVS_LIKELY(!begin_batch(perf, thread, tally, batch))) {
        receive_cached(perf, tally, batch);
        return tally;
    }

    uint64_t start = cycles_counter_update(perf);

    receive_cached(perf, tally, batch);
    add_timing(perf, thread, start);
    return &timed_tally;
}

void
measure_missed__(struct pmd_perf_stats *perf,
                 const struct dp_packet_batch *batch)
{
    const struct measure_port_thread *port = perf->measure_port;
    struct measure_thread *thread = port->thread;

    if (OVS_LIKELY(!thread->n_timed)) {
        fetch_batch(thread->batch_tally, batch, port->number);
    } else {
        uint64_t start = cycles_counter_update(perf);

        fetch_batch(thread->batch_tally, batch, port->number);
        add_timing(perf, thread, start);
    }
}

void
measure_batch_end__(struct pmd_perf_stats *perf)
{
    struct measure_thread *thread = perf->measure_port->thread;
    struct measure_tally *tally = thread->batch_tally;

    perf->measure_port = NULL;
    if (OVS_UNLIKELY(!tally)) {
        return;
    }
    thread->batch_tally = NULL;
    if (OVS_LIKELY(!thread->n_timed)) {
        measure_tally_count_fetched(tally);
    } else {
        uint64_t start = cycles_counter_update(perf);

        measure_tally_count_fetched(tally);
        add_timing(perf, thread, start);
        finish_sample(thread);
    }
}

void
measure_tunnel_batch__(const struct measure_ports *ports,
                       const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_port_thread *port = find_port(ports, port_no);

    if (port) {
        count_packets(measure_thread_tally(port->thread), batch, port->number,
                      true);
    }
}

/* Counts 'packet', for which the exact-match cache is not asked. */
void
measure_packet__(struct pmd_perf_stats *perf, const struct dp_packet *packet)
{
    const struct measure_port_thread *port = perf->measure_port;
    struct measure_tally *tally = port->thread->batch_tally;

    parse(packet, port->number, measure_tally_record(tally, 0));
    measure_tally_fetch(tally, 1);
}

/* Returns true if all packets with miniflow 'mf' for which
 * measure_header_is_plain() is true have the key of 'record', which 'packet'
 * has.
 *
 * That is so if the miniflow holds all that the key was made from.  It does
 * not where the switch reads less of a frame than measure_parse(): behind more
 * VLAN tags than it knows, or ports that are behind the end of the IP
 * packet. */
static bool
miniflow_tells_key(const struct miniflow *mf, const struct dp_packet *packet,
                   const struct measure_record *record)
{
    bool ipv4 = record->verdict == MEASURE_COUNT_NARROW;
    struct measure_fields fields;
    bool has_ports;

    if (packet->packet_type != htonl(PT_ETH)
        || record->verdict >= MEASURE_N_LAYOUTS
        || (MINIFLOW_GET_BE16(mf, dl_type)
            != htons(ipv4 ? ETH_TYPE_IP : ETH_TYPE_IPV6))
        || !dp_packet_l3(packet)
        || !measure_header_is_plain(packet, ipv4 ? 4 : 6)) {
        return false;
    }

    measure_fields_from_key(&fields, record->verdict, record->key);
    has_ports = (fields.protocol == IPPROTO_TCP
                 || fields.protocol == IPPROTO_UDP
                 || fields.protocol == IPPROTO_SCTP);
    if (ipv4) {
        ovs_be32 source = MINIFLOW_GET_BE32(mf, nw_src);
        ovs_be32 destination = MINIFLOW_GET_BE32(mf, nw_dst);

        if (memcmp(&source, fields.source, sizeof source)
            || memcmp(&destination, fields.destination, sizeof destination)) {
            return false;
        }
    } else {
        struct flow flow;

        miniflow_expand(mf, &flow);
        if (memcmp(&flow.ipv6_src, fields.source, sizeof flow.ipv6_src)
            || memcmp(&flow.ipv6_dst, fields.destination,
                      sizeof flow.ipv6_dst)) {
            return false;
        }
    }
    if (fields.protocol != MINIFLOW_GET_U8(mf, nw_proto)
        || fields.vlan != miniflow_get_vid(mf, 0)) {
        return false;
    }
    if (!has_ports
        || MINIFLOW_GET_U8(mf, nw_frag) & FLOW_NW_FRAG_LATER) {
        return !fields.source_port && !fields.destination_port;
    }
    return (MINIFLOW_IN_MAP(mf, offsetof(struct flow, tp_src)
                                / sizeof(uint64_t))
            && htons(fields.source_port) == MINIFLOW_GET_BE16(mf, tp_src)
            && htons(fields.destination_port) == MINIFLOW_GET_BE16(mf,
                                                                   tp_dst));
}

/* Counts 'packet', which has found 'entry' of the exact-match cache, where the
 * entry does not count yet, or not any more, or never will. */
static void
count_first_hit(const struct pmd_perf_stats *perf, struct measure_tally *tally,
                uint32_t entry, const struct miniflow *mf,
                const struct dp_packet *packet)
{
    struct measure_record *record = measure_tally_record(tally, 0);
    uint16_t port = perf->measure_port->number;
    uint64_t known = measure_cache_known(tally->cache_keys, entry, port);

    if (OVS_LIKELY(known) && !tally->cache->counts[entry]
        && measure_header_is_plain(packet, measure_cache_version(known))
        && dp_packet_size(packet) <= MEASURE_CACHE_MAX_FRAME) {
        tally->cache->counts[entry]
            = known | measure_cache_packet(dp_packet_size(packet));
        return;
    }
    parse(packet, port, record);
    if (miniflow_tells_key(mf, packet, record)) {
        measure_tally_move_entry(tally, entry);
        if (measure_tally_begin_entry(tally, entry, port, record)) {
            return;
        }
    }
    measure_tally_fetch(tally, 1);
}

void
measure_first_hit(struct pmd_perf_stats *perf, struct measure_tally *tally,
                  uint32_t entry, const struct miniflow *mf,
                  const struct dp_packet *packet)
{
    if (OVS_LIKELY(tally != &timed_tally)) {
        count_first_hit(perf, tally, entry, mf, packet);
    } else {
        struct measure_thread *thread = perf->measure_port->thread;
        uint64_t start = cycles_counter_update(perf);

        if (!measure_hit(thread->batch_tally->cache, entry, packet)) {
            count_first_hit(perf, thread->batch_tally, entry, mf, packet);
        }
        add_timing(perf, thread, start);
    }
}

/* Moves what is counted for 'entry' of 'cache' to the flow tables, for the
 * entry will be given to another flow. */
void
measure_emc_replace(struct emc_cache *cache, const struct emc_entry *entry)
{
    const struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(cache, struct dp_netdev_pmd_thread,
                       flow_cache.emc_cache);
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &pmd->perf_stats.measure_ports);

    for (size_t i = 0; ports && i < ports->n_threads; i++) {
        struct measure_thread *thread = ports->threads[i];
        struct measure_tally *tally = measure_thread_tally(thread);
        struct measure_cache_keys *keys = measure_thread_keys(thread);

        if (tally->cache) {
            measure_tally_move_entry(tally, entry - cache->entries);
        }
        if (keys) {
            measure_cache_forget_entry(keys, entry - cache->entries);
        }
    }
}
