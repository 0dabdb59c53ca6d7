/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "dpif-netdev-measure.h"

#include "dp-packet.h"
#if __has_include("dpif-netdev-private-thread.h")
#include "dpif-netdev-private-thread.h"
#include "netdev-offload.h"
#define HAVE_INPUT_FUNC
#else
#include "dpif-netdev-thread.h"
#include "dpif-offload.h"
#endif
#include "flow.h"
#include "measure-epoch.h"
#include "measure-parse.h"
#include "packets.h"

/* One of so many batches is timed, which takes some 50 cycles. */
#define SAMPLE_BATCHES 1024

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

/* Parses and counts the 'n' packets at 'packets', which came in by the port
 * that keys call 'port'. */
static void
count_packets(struct measure_set *set, struct dp_packet *const packets[],
              size_t n, uint16_t port)
{
    struct measure_record records[MEASURE_BURST];

    for (size_t done = 0; done < n; done += MEASURE_BURST) {
        size_t burst = MIN(n - done, MEASURE_BURST);

        for (size_t i = 0; i < burst; i++) {
            parse(packets[done + i], port, &records[i]);
        }
        measure_set_count(set, records, burst);
    }
}

static const struct measure_port_writer *
find_port(const struct measure_ports *ports, odp_port_t port_no)
{
    uint32_t i = odp_to_u32(port_no);

    return (i < ports->n && ports->ports[i].writer ? &ports->ports[i] : NULL);
}

/* Returns true if a batch that is received now will be classified by the
 * function that has our hooks. */
static bool
classification_has_hooks(const struct pmd_perf_stats *perf)
{
#ifdef HAVE_INPUT_FUNC
    struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(perf, struct dp_netdev_pmd_thread, perf_stats);
    dp_netdev_input_func input;

    atomic_read_relaxed(&pmd->netdev_input_func, &input);
    return input == dp_netdev_input && !netdev_is_flow_api_enabled();
#else
    return !dpif_offload_enabled();
#endif
}

/* Counts a batch whose packets nobody has looked at yet. */
static void
count_batch(struct measure_set *set, const struct dp_packet_batch *batch,
            uint16_t port)
{
    size_t n = dp_packet_batch_size(batch);

    for (size_t i = 0; i < n; i++) {
        OVS_PREFETCH(dp_packet_data(batch->packets[i]));
    }
    count_packets(set, batch->packets, n, port);
}

void
measure_batch__(struct pmd_perf_stats *perf, const struct measure_ports *ports,
                const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_port_writer *port = find_port(ports, port_no);

    if (port) {
        struct measure_set *set = measure_writer_set(port->writer);

        if (set->cache && classification_has_hooks(perf)) {
            perf->measure_port = port;
        } else if (OVS_LIKELY(port->writer->n_batches++ % SAMPLE_BATCHES)) {
            count_batch(set, batch, port->number);
        } else {
            uint64_t start = cycles_counter_update(perf);

            count_batch(set, batch, port->number);
            measure_counter_add(&port->writer->sampled_cycles,
                                cycles_counter_update(perf) - start);
            measure_counter_add(&port->writer->sampled_packets,
                                dp_packet_batch_size(batch));
        }
    }
}

void
measure_classify__(const struct measure_port_writer *port,
                   struct measure_set *set,
                   const struct dp_packet_batch *batch, bool one_by_one)
{
    if (one_by_one) {
        const struct dp_packet *packet;
        uint64_t bytes = 0;

        DP_PACKET_BATCH_FOR_EACH (i, packet, batch) {
            bytes += dp_packet_size(packet);
        }
        measure_set_receive(set, dp_packet_batch_size(batch), bytes);
    } else {
        count_batch(set, batch, port->number);
    }
}

/* Keys that are less than a flow have no tunnel id, so that theirs are as those
 * of other packets. */
void
measure_tunnel_batch__(const struct measure_ports *ports,
                       const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_port_writer *port = find_port(ports, port_no);
    const struct dp_packet *packet;
    struct measure_record record;
    struct measure_set *set;

    if (!port) {
        return;
    }
    set = measure_writer_set(port->writer);
    DP_PACKET_BATCH_FOR_EACH (i, packet, batch) {
        parse(packet, port->number, &record);
        if (set->by == MEASURE_BY_FLOW) {
            measure_record_set_tunnel(&record,
                                      ntohll(packet->md.tunnel.tun_id));
        }
        measure_set_count(set, &record, 1);
    }
}

void
measure_miss(const struct pmd_perf_stats *perf, struct measure_set *set,
             const struct dp_packet *packet)
{
    struct measure_record record;

    parse(packet, perf->measure_port->number, &record);
    measure_set_miss(set, &record);
}

/* Returns true if all packets with miniflow 'mf' for which
 * measure_same_header() is true have the key of 'record', which 'packet' has.
 *
 * That is so if the miniflow holds all that the key was made from.  It does
 * not where the switch reads less of a frame than measure_parse(): behind more
 * VLAN tags than it knows, or ports that are behind the end of the IP
 * packet. */
static bool
miniflow_tells_key(const struct miniflow *mf, const struct dp_packet *packet,
                   const struct measure_record *record)
{
    bool ipv4 = record->verdict == MEASURE_COUNT_IPV4;
    struct measure_fields fields;
    bool has_ports;

    if (packet->packet_type != htonl(PT_ETH)
        || record->verdict >= MEASURE_N_FAMILIES
        || (MINIFLOW_GET_BE16(mf, dl_type)
            != htons(ipv4 ? ETH_TYPE_IP : ETH_TYPE_IPV6))
        || !measure_same_header(packet, record->verdict)) {
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
void
measure_first_hit(const struct pmd_perf_stats *perf, struct measure_set *set,
                  uint32_t entry, const struct miniflow *mf,
                  const struct dp_packet *packet)
{
    struct measure_record record;

    parse(packet, perf->measure_port->number, &record);
    if (miniflow_tells_key(mf, packet, &record)) {
        measure_set_move_entry(set, entry);
        if (measure_set_begin_entry(set, entry, &record)) {
            return;
        }
    }
    measure_set_miss(set, &record);
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

    for (size_t i = 0; ports && i < ports->n_writers; i++) {
        struct measure_set *set = measure_writer_set(ports->writers[i]);

        if (set->cache) {
            measure_set_move_entry(set, entry - cache->entries);
        }
    }
}
