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
#include "measure-stream-producer.h"
#include "packets.h"
#include "tally/measure-tally.h"

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

/* Fills 'record' if 'packet' is a plain one (see measure_parse_plain()), whose
 * data is at 'frame' and which came in by the port that keys call 'port'.
 * Returns false if it is not. */
static inline bool
parse_plain(const struct dp_packet *packet, const void *frame, uint16_t port,
            struct measure_record *record)
{
    uint32_t size = dp_packet_size(packet);

    if (!OVS_LIKELY(packet->packet_type == htonl(PT_ETH)
                    && measure_parse_plain(frame, size, record->key))) {
        return false;
    }
    record->key[1] |= (uint64_t) port << MEASURE_PORT_SHIFT;
    record->bytes = size;
    record->verdict = MEASURE_COUNT_NARROW;
    return true;
}

static inline void
parse(const struct dp_packet *packet, uint16_t port,
      struct measure_record *record)
{
    const void *frame = dp_packet_data(packet);

    if (!OVS_LIKELY(parse_plain(packet, frame, port, record))) {
        measure_parse(frame, dp_packet_size(packet), first_header(packet),
                      record);
        measure_record_set_port(record, port);
    }
}

/* Gives 'record' the tunnel that 'packet' came out of. */
static inline void
set_tunnel(const struct dp_packet *packet, struct measure_record *record)
{
    measure_record_set_tunnel(record, ntohll(packet->md.tunnel.tun_id));
}

/* Streams
 * =======
 *
 * Packets are streamed apart from being counted.  What there is to stream of
 * them is parsed again: of most frames that takes less than to keep it would,
 * or to fetch what the cache knows, and a record has the whole key, whatever
 * measure-key says.  A packet is streamed if and only if it counts. */

/* What a record tells of TCP in the plain 'frame' of 'bytes'. */
static inline uint64_t
plain_tcp(const uint8_t *frame, uint32_t bytes)
{
    const uint8_t *ip = frame + ETH_HEADER_LEN;
    uint32_t end = ETH_HEADER_LEN + (ip[2] << 8 | ip[3]);

    return (ip[9] == IPPROTO_TCP
            && MEASURE_PLAIN_TRANSPORT + TCP_HEADER_LEN <= end
            ? measure_slot_tcp_header(frame, MEASURE_PLAIN_TRANSPORT, bytes,
                                      MIN(bytes - end, MEASURE_MAX_PADDING))
            : 0);
}

/* The same of a frame of which measure_parse_transport() has made 'record'. */
static inline uint64_t
other_tcp(const uint8_t *frame, const struct measure_record *record)
{
    return (record->transport
            ? measure_slot_tcp_header(frame, record->transport, record->bytes,
                                      record->padding)
            : 0);
}

/* Fills 'record', for a stream, of a 'packet' that is no plain one, or that
 * came out of the tunnel of its port ('inner').  Returns false if it does not
 * count. */
static bool __attribute__((noinline))
parse_other(const struct dp_packet *packet, uint16_t port, bool inner,
            struct measure_record *record)
{
    measure_parse_transport(dp_packet_data(packet), dp_packet_size(packet),
                            first_header(packet), record);
    measure_record_set_port(record, port);
    if (inner) {
        set_tunnel(packet, record);
    }
    return record->verdict < MEASURE_N_LAYOUTS;
}

/* Streams those of 'n' packets, up to MEASURE_BURST, that are counted by
 * 'tally'.  They came in by the port that keys call 'port', out of its tunnel
 * if 'inner'.  NULL stands for one that does not count. */
static void __attribute__((noinline))
stream_packets(struct pmd_perf_stats *perf,
               const struct measure_stream *stream,
               const struct measure_tally *tally,
               struct dp_packet *const packets[], size_t n, uint16_t port,
               bool inner)
{
    uint64_t time_ns = measure_stream_time_ns(stream,
                                              cycles_counter_get(perf));
    const struct measure_filter *filter = stream->filter;
    unsigned int n_offered = 0, n_records = 0;
    struct measure_stream_burst burst;
    struct measure_slot *slot = burst.slots;

    for (size_t i = 0; i < n; i++) {
        const struct dp_packet *packet = packets[i];
        struct measure_record plain, other;
        const uint8_t *frame;

        if (OVS_UNLIKELY(!packet)) {
            continue;
        }
        frame = dp_packet_data(packet);
        /* Twice the same, so that for the usual frame the layout is known when
         * this is compiled. */
        if (OVS_LIKELY(!inner && parse_plain(packet, frame, port, &plain))) {
            n_offered++;
            if (OVS_LIKELY(!filter)
                || measure_filter_matches(filter, MEASURE_NARROW,
                                          plain.key)) {
                burst.frames[n_records++] = frame;
                slot += measure_slot_write(slot, MEASURE_NARROW, plain.key,
                                           time_ns, plain.bytes,
                                           plain_tcp(frame, plain.bytes));
            }
        } else if (parse_other(packet, port, inner, &other)) {
            n_offered++;
            if (OVS_LIKELY(!filter)
                || measure_filter_matches(filter, other.verdict, other.key)) {
                burst.frames[n_records++] = frame;
                slot += measure_slot_write(slot, other.verdict, other.key,
                                           time_ns, other.bytes,
                                           other_tcp(frame, &other));
            }
        }
    }
    burst.time_ns = time_ns;
    burst.n_offered = n_offered;
    burst.n_records = n_records;
    burst.n_slots = slot - burst.slots;
    measure_stream_write(stream, tally->epoch, &burst);
}

/* Parses 'n' packets to 'records'.  They came in by the port that keys call
 * 'port', out of its tunnel if 'inner'.
 *
 * Keys that are less than a flow have no tunnel id, so that theirs are as
 * those of other packets. */
static inline void __attribute__((always_inline))
parse_packets(const struct measure_tally *tally,
              struct dp_packet *const packets[], size_t n, uint16_t port,
              bool inner, struct measure_record *records)
{
    for (size_t i = 0; i < n; i++) {
        parse(packets[i], port, &records[i]);
        if (inner && tally->key_kind == MEASURE_KIND_FLOW) {
            set_tunnel(packets[i], &records[i]);
        }
    }
}

/* Parses and counts the packets of 'batch', and streams them to 'stream'
 * unless that is NULL. */
static inline void __attribute__((always_inline))
count_packets(struct pmd_perf_stats *perf, struct measure_tally *tally,
              const struct measure_stream *stream,
              const struct dp_packet_batch *batch, uint16_t port, bool inner)
{
    struct measure_record records[MEASURE_BURST];
    size_t n = dp_packet_batch_size(batch);

    for (size_t done = 0; done < n; done += MEASURE_BURST) {
        size_t burst = MIN(n - done, MEASURE_BURST);

        if (OVS_UNLIKELY(stream)) {
            stream_packets(perf, stream, tally, &batch->packets[done], burst,
                           port, inner);
        }
        parse_packets(tally, &batch->packets[done], burst, port, inner,
                      records);
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

static struct emc_cache *
get_cache(struct pmd_perf_stats *perf)
{
    struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(perf, struct dp_netdev_pmd_thread, perf_stats);

    return &pmd->flow_cache.emc_cache;
}

/* In 'hits' of the exact-match cache: no entry has been found. */
#define NO_HIT EM_FLOW_HASH_SEGS

BUILD_ASSERT_DECL(NO_HIT <= UINT8_MAX);
BUILD_ASSERT_DECL(NETDEV_MAX_BURST <= UINT8_MAX);

static void
forget_hits(struct emc_cache *emc)
{
    memset(emc->hits, NO_HIT, sizeof emc->hits);
}

static size_t
get_n_hits(const struct emc_cache *emc)
{
    uint8_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(emc->hits); i++) {
        n += emc->hits[i] != NO_HIT;
    }
    return n;
}

/* What counting costs
 * ===================
 *
 * One of MEASURE_SAMPLE_BATCHES batches is timed, piece by piece: what is done
 * before, in and after its classification.  What reading the clock takes, the
 * fewest cycles that have been seen, is subtracted and reported by itself. */

/* Begins to count a batch of 'n' packets, and to time it if its turn has
 * come. */
static void
begin_sample(struct pmd_perf_stats *perf, struct measure_thread *thread,
             size_t n)
{
    struct measure_input *input = perf->measure;
    uint64_t start;
    uint32_t one;

    input->n_timed = 0;
    if (OVS_LIKELY(++thread->n_batches % MEASURE_SAMPLE_BATCHES)) {
        return;
    }
    input->n_timed = n;
    input->n_timings = 0;
    input->timed_cycles = 0;
    start = cycles_counter_update(perf);
    one = cycles_counter_update(perf) - start;
    if (!input->one_timing || one < input->one_timing) {
        input->one_timing = one;
    }
}

static inline uint64_t
begin_timing(struct pmd_perf_stats *perf)
{
    return (OVS_UNLIKELY(perf->measure->n_timed)
            ? cycles_counter_update(perf) : 0);
}

/* Adds the time since 'start', which begin_timing() returned. */
static inline void
end_timing(struct pmd_perf_stats *perf, uint64_t start)
{
    struct measure_input *input = perf->measure;

    if (OVS_UNLIKELY(input->n_timed)) {
        input->timed_cycles += cycles_counter_update(perf) - start;
        input->n_timings++;
    }
}

static void
finish_sample(const struct measure_input *input, struct measure_thread *thread)
{
    uint64_t timing;

    if (OVS_LIKELY(!input->n_timed)) {
        return;
    }
    timing = (uint64_t) input->n_timings * input->one_timing;
    timing = MIN(timing, input->timed_cycles);
    measure_counter_add(&thread->sampled_packets, input->n_timed);
    measure_counter_add(&thread->sampled_cycles,
                        input->timed_cycles - timing);
    measure_counter_add(&thread->timing_cycles, timing);
}

/* Parses 'n' packets, at most MEASURE_BURST, which came in by the port that
 * keys call 'port', and fetches their rows. */
static void
fetch_packets(struct measure_tally *tally, struct dp_packet *const packets[],
              size_t n, uint16_t port)
{
    for (size_t i = 0; i < n; i++) {
        parse(packets[i], port, measure_tally_record(tally, i));
    }
    measure_tally_fetch(tally, n);
}

/* Counts a batch whose packets nobody has looked at yet, with one tier: a
 * structure at once, a table when the batch ends. */
static void
count_batch(struct pmd_perf_stats *perf, struct measure_tally *tally,
            const struct measure_stream *stream,
            const struct dp_packet_batch *batch, uint16_t port)
{
    size_t n = dp_packet_batch_size(batch);
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        OVS_PREFETCH(dp_packet_data(batch->packets[i]));
    }
    if (tally->structure) {
        count_packets(perf, tally, stream, batch, port, false);
        return;
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < n; i++) {
        bytes += dp_packet_size(batch->packets[i]);
    }
    measure_tally_receive(tally, n, bytes);
    for (size_t done = 0; done < n; done += MEASURE_BURST) {
        size_t burst = MIN(n - done, MEASURE_BURST);

        if (OVS_UNLIKELY(stream)) {
            stream_packets(perf, stream, tally, &batch->packets[done], burst,
                           port, false);
        }
        fetch_packets(tally, &batch->packets[done], burst, port);
    }
}

bool
measure_batch__(struct pmd_perf_stats *perf, const struct measure_ports *ports,
                struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_port_thread *port = find_port(ports, port_no);
    struct measure_input *input = perf->measure;
    size_t n = dp_packet_batch_size(batch);
    uint64_t start;

    if (!port) {
        return false;
    }
    input->port = port;
    input->tally = measure_thread_tally(port->thread);
    input->stream = measure_thread_stream(port->thread);
    begin_sample(perf, port->thread, n);
    if (input->tally->cache && n <= ARRAY_SIZE(input->packets)
        && classification_has_hooks(perf)) {
        input->n = n;
        return process_batch(perf, batch, port_no);
    }
    start = begin_timing(perf);
    count_batch(perf, input->tally, input->stream, batch, port->number);
    end_timing(perf, start);
    return false;
}

void
measure_prefetch__(struct pmd_perf_stats *perf,
                   const struct dp_packet_batch *batch)
{
    if (OVS_LIKELY(perf->measure->tally->prefetch)) {
        uint64_t start = begin_timing(perf);

        measure_prefetch_entries(get_cache(perf), batch);
        end_timing(perf, start);
    }
}

/* Keeps the packets of 'batch' for measure_classified().  The classification
 * deletes those that are shorter than an Ethernet header: they are counted
 * now.
 *
 * With hardware offload it may delete others, too, and no batch comes here.
 * Offload that is switched on between measure_batch() and the classification
 * has no flows yet, and dpif_offload_netdev_hw_post_process() deletes nothing
 * of this batch. */
static void
keep_packets(struct measure_input *input, const struct dp_packet_batch *batch)
{
    struct measure_tally *tally = input->tally;
    uint64_t bytes = 0;

    input->has_runts = false;
#pragma GCC unroll 8
    for (size_t i = 0; i < input->n; i++) {
        struct dp_packet *packet = batch->packets[i];
        uint32_t size = dp_packet_size(packet);

        bytes += size;
        if (OVS_UNLIKELY(size < ETH_HEADER_LEN)) {
            struct dp_packet *runt = packet;

            fetch_packets(tally, &runt, 1, input->port->number);
            packet = NULL;
            input->has_runts = true;
        }
        input->packets[i] = packet;
    }
    measure_tally_receive(tally, input->n, bytes);
}

void
measure_keep_packets__(struct pmd_perf_stats *perf,
                       const struct dp_packet_batch *batch)
{
    uint64_t start = begin_timing(perf);

    forget_hits(get_cache(perf));
    keep_packets(perf->measure, batch);
    end_timing(perf, start);
}

/* Returns true if 'packet', which is known to have an IP header, has one of
 * 'version' of which the miniflow tells the key: neither the version nor
 * whether there are extension headers shows there. */
static inline bool
header_is_plain(const struct dp_packet *packet, unsigned int version)
{
    /* dp_packet_l3(), which must ask whether there is one. */
    const uint8_t *ip = ((const uint8_t *) dp_packet_base(packet)
                         + __packet_data(packet) + packet->l3_ofs);

    if (OVS_LIKELY(version == 4)) {
        /* Few have options. */
        return OVS_LIKELY(ip[0] == IP_IHL_VER(5, 4)) || ip[0] >> 4 == 4;
    }
    return (ip[0] >> 4 == version
            && (ip[6] == IPPROTO_TCP || ip[6] == IPPROTO_UDP
                || ip[6] == IPPROTO_ICMPV6 || ip[6] == IPPROTO_SCTP));
}

/* Returns true if all packets with miniflow 'mf' for which
 * header_is_plain() is true have the key of 'record', which 'packet'
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
        || !header_is_plain(packet, ipv4 ? 4 : 6)) {
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

/* Counts 'packet', which has found the entry with number 'i' and 'key', where
 * the entry does not count yet, or not any more, or never will. */
static void
count_first_hit(struct measure_tally *tally, uint32_t i,
                const struct netdev_flow_key *key,
                struct dp_packet *packet, uint16_t port)
{
    struct measure_record *record = measure_tally_record(tally, 0);
    uint64_t known = measure_cache_known(tally->cache_keys, i, port);

    if (OVS_LIKELY(known) && !tally->cache->counts[i]
        && header_is_plain(packet, measure_cache_version(known))
        && dp_packet_size(packet) <= MEASURE_CACHE_MAX_FRAME) {
        tally->cache->counts[i]
            = known | measure_cache_packet(dp_packet_size(packet));
        return;
    }
    parse(packet, port, record);
    if (miniflow_tells_key(&key->mf, packet, record)) {
        measure_tally_move_entry(tally, i);
        if (measure_tally_begin_entry(tally, i, port, record)) {
            return;
        }
    }
    measure_tally_fetch(tally, 1);
}

/* Counts 'packet', which has found the entry with number 'i', where the entry
 * is ready for that.  Returns false if it is not. */
static inline bool
count_hit(struct measure_cache *cache, size_t i,
          const struct dp_packet *packet)
{
    uint64_t word = cache->counts[i];

    if (OVS_LIKELY(measure_cache_takes(word))
        && OVS_LIKELY(header_is_plain(packet, measure_cache_version(word)))) {
        measure_cache_add(cache, i, dp_packet_size(packet));
        return true;
    }
    return false;
}

/* Returns the number of the entry that 'packet' has found by part 'segment' of
 * its hash.  The packet must be as it was received: only then it keeps the
 * hash that it was looked up by
 * (dpif_netdev_packet_get_rss_hash_orig_pkt()). */
static inline size_t
entry_of(const struct dp_packet *packet, uint8_t segment)
{
    return (dp_packet_get_rss_hash(packet) >> segment * EM_FLOW_HASH_SHIFT
            & EM_FLOW_HASH_MASK);
}

/* Counts the packet kept with number 'i', which has found an entry of
 * 'emc'. */
static inline void
count_found(const struct measure_input *input, const struct emc_cache *emc,
            struct measure_cache *cache, size_t i)
{
    struct dp_packet *packet = input->packets[i];
    size_t entry = entry_of(packet, emc->hits[i]);

    if (!OVS_LIKELY(count_hit(cache, entry, packet))) {
        count_first_hit(input->tally, entry, &emc->entries[entry].key, packet,
                        input->port->number);
    }
}

/* Counts those of the packets kept that have found an entry of 'emc'.  Stores
 * the others in 'missed' and returns their number. */
static inline size_t
count_hits(const struct measure_input *input, struct emc_cache *emc,
           struct dp_packet *missed[])
{
    struct measure_tally *tally = input->tally;
    struct measure_cache *cache = tally->cache;
    uint8_t found[ARRAY_SIZE(input->packets)];
    size_t n = input->n;
    size_t n_missed = 0;
    size_t n_found;

    if (OVS_UNLIKELY(measure_cache_is_forgotten(tally->cache_keys,
                                                tally->number))) {
        forget_hits(emc);
    } else if (OVS_UNLIKELY(tally->n_carried < MEASURE_CACHE_ENTRIES)) {
        measure_tally_carry_entries(tally);
    }
    n_found = get_n_hits(emc);
    if (n_found == n) {
        for (size_t i = 0; i < n; i++) {
            count_found(input, emc, cache, i);
        }
        return 0;
    }
    if (!n_found && !input->has_runts) {
        /* The usual where the cache is not asked, as with simple match. */
        memcpy(missed, input->packets, n * sizeof *missed);
        return n;
    }
    /* Nobody can predict which packets have found one: no branch asks.  Now
     * 'n_found' is an index. */
    n_found = 0;
    for (size_t i = 0; i < n; i++) {
        bool has_missed = emc->hits[i] == NO_HIT;

        missed[n_missed] = input->packets[i];
        n_missed += has_missed & (input->packets[i] != NULL);
        found[n_found] = i;
        n_found += !has_missed;
    }
    for (size_t j = 0; j < n_found; j++) {
        count_found(input, emc, cache, found[j]);
    }
    return n_missed;
}

void
measure_classified__(struct pmd_perf_stats *perf)
{
    struct measure_input *input = perf->measure;
    uint64_t start = begin_timing(perf);
    struct dp_packet *missed[ARRAY_SIZE(input->packets)];
    size_t n_missed = count_hits(input, get_cache(perf), missed);

    if (n_missed) {
        fetch_packets(input->tally, missed, n_missed, input->port->number);
    }
    if (OVS_UNLIKELY(input->stream)) {
        stream_packets(perf, input->stream, input->tally, input->packets,
                       input->n, input->port->number, false);
    }
    input->n = 0;
    end_timing(perf, start);
}

void
measure_batch_end__(struct pmd_perf_stats *perf)
{
    struct measure_input *input = perf->measure;
    uint64_t start = begin_timing(perf);

    measure_tally_count_fetched(input->tally);
    end_timing(perf, start);
    finish_sample(input, input->port->thread);
    input->port = NULL;
}

void
measure_tunnel_batch__(struct pmd_perf_stats *perf,
                       const struct measure_ports *ports,
                       const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_port_thread *port = find_port(ports, port_no);

    if (port) {
        count_packets(perf, measure_thread_tally(port->thread),
                      measure_thread_stream(port->thread), batch,
                      port->number, true);
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
        = ovsrcu_get(struct measure_ports *, &pmd->perf_stats.measure->ports);

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
