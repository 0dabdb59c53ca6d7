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
#include "measure-epoch.h"
#include "measure-parse.h"
#include "packets.h"

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

/* Parses and counts the 'n' (1 to MEASURE_BURST) packets at 'packets', which
 * came in by the port that keys call 'port'.
 *
 * The headers are prefetched for the whole burst before the first is read:
 * nobody has looked at the packets yet. */
static void
count_burst(struct measure_set *set, struct dp_packet *const packets[],
            size_t n, uint16_t port)
{
    struct measure_record records[MEASURE_BURST];

    for (size_t i = 0; i < n; i++) {
        OVS_PREFETCH(dp_packet_data(packets[i]));
    }
    for (size_t i = 0; i < n; i++) {
        measure_parse(dp_packet_data(packets[i]), dp_packet_size(packets[i]),
                      first_header(packets[i]), &records[i]);
        measure_record_set_port(&records[i], port);
    }
    measure_set_count(set, records, n);
}

/* The same for packets that came out of a tunnel.  Keys that are less than a
 * flow have no tunnel id, so theirs are as those of other packets. */
static void
count_tunnel_burst(struct measure_set *set, struct dp_packet *const packets[],
                   size_t n, uint16_t port)
{
    struct measure_record records[MEASURE_BURST];

    for (size_t i = 0; i < n; i++) {
        measure_parse(dp_packet_data(packets[i]), dp_packet_size(packets[i]),
                      first_header(packets[i]), &records[i]);
        measure_record_set_port(&records[i], port);
        if (set->by == MEASURE_BY_FLOW) {
            measure_record_set_tunnel(
                &records[i], ntohll(packets[i]->md.tunnel.tun_id));
        }
    }
    measure_set_count(set, records, n);
}

void
measure_batch__(const struct measure_ports *ports,
                const struct dp_packet_batch *batch, odp_port_t port_no,
                bool tunnel)
{
    uint32_t i = odp_to_u32(port_no);
    const struct measure_port_writer *port
        = i < ports->n ? &ports->ports[i] : NULL;

    if (port && port->writer) {
        struct measure_set *set = measure_writer_set(port->writer);
        size_t n = dp_packet_batch_size(batch);

        for (size_t done = 0; done < n; done += MEASURE_BURST) {
            size_t burst = MIN(n - done, MEASURE_BURST);

            if (tunnel) {
                count_tunnel_burst(set, &batch->packets[done], burst,
                                   port->number);
            } else {
                count_burst(set, &batch->packets[done], burst, port->number);
            }
        }
    }
}
