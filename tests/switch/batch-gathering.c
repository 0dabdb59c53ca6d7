/* SPDX-License-Identifier: Apache-2.0 */
/* Makes batches of several packets, one too short, of those of dummy ports. */

/* Linked into the ovs-vswitchd of one test.  A dummy port delivers one packet
 * at a time, and none that is shorter than an Ethernet header, while other
 * ports deliver bursts with anything in them.  Of each N_GATHERED packets this
 * makes one batch, with packet RUNT cut to a byte less than such a header.
 *
 * For one measured port only: the packets wait for those that come next. */

#include <config.h>

#include "dpif-netdev-measure.h"

#define N_GATHERED 4
#define RUNT 2

bool __real_measure_batch__(struct pmd_perf_stats *,
                            const struct measure_ports *,
                            struct dp_packet_batch *, odp_port_t);
bool __wrap_measure_batch__(struct pmd_perf_stats *,
                            const struct measure_ports *,
                            struct dp_packet_batch *, odp_port_t);

bool
__wrap_measure_batch__(struct pmd_perf_stats *perf,
                       const struct measure_ports *ports,
                       struct dp_packet_batch *batch, odp_port_t port_no)
{
    static struct dp_packet_batch gathered;
    struct dp_packet *packet;

    DP_PACKET_BATCH_FOR_EACH (i, packet, batch) {
        dp_packet_batch_add(&gathered, packet);
    }
    if (dp_packet_batch_size(&gathered) < N_GATHERED) {
        /* Nothing is left to process. */
        return true;
    }
    *batch = gathered;
    dp_packet_batch_init(&gathered);
    dp_packet_set_size(batch->packets[RUNT], ETH_HEADER_LEN - 1);
    return __real_measure_batch__(perf, ports, batch, port_no);
}
