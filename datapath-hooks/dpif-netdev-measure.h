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

#ifndef DPIF_NETDEV_MEASURE_H
#define DPIF_NETDEV_MEASURE_H 1

#include <stddef.h>

#include "dpif-netdev-perf.h"
#include "openvswitch/types.h"
#include "ovs-rcu.h"

/* What dpif-netdev calls: the hooks of the measurement
 * ====================================================
 *
 *     measure_batch()            in the packet path, with each batch that a
 *                                port received, before classification
 *     measure_tunnel_batch()     with each batch of inner packets behind a
 *                                tunnel pop, for the tunnel port
 *     measure_port_added()       before any thread polls the port
 *     measure_thread_added()     before the thread runs
 *     measure_thread_removed()   when the thread has ended
 *
 * Nobody tells when a port is removed: its number means nothing until another
 * port is added under it, or the last thread of the datapath has ended.
 *
 * Thread safety: measure_batch() and measure_tunnel_batch() are called by the
 * thread that 'perf' belongs to, or with the lock held that makes its callers
 * one (the threads that share the non-PMD).  They do not allocate, lock, wait,
 * log or clear.  The others
 * are for control threads. */

struct dp_packet_batch;
struct measure_writer;

/* Who counts the packets that a thread receives from a port. */
struct measure_port_writer {
    struct measure_writer *writer;  /* NULL if the port is not measured. */
    uint16_t number;            /* Of the port, in the keys of the monitor. */
};

/* By datapath port number. */
struct measure_ports {
    size_t n;
    struct measure_port_writer ports[];
};

void measure_batch__(const struct measure_ports *,
                     const struct dp_packet_batch *, odp_port_t, bool tunnel);

/* Counts 'batch', received from 'port_no'.  Off, it costs a load and a
 * branch. */
static inline void
measure_batch(const struct pmd_perf_stats *perf,
              const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &perf->measure_ports);

    if (OVS_UNLIKELY(ports)) {
        measure_batch__(ports, batch, port_no, false);
    }
}

/* Counts the inner packets of 'batch', that came out of tunnel 'port_no'. */
static inline void
measure_tunnel_batch(const struct pmd_perf_stats *perf,
                     const struct dp_packet_batch *batch, odp_port_t port_no)
{
    const struct measure_ports *ports
        = ovsrcu_get(struct measure_ports *, &perf->measure_ports);

    if (OVS_UNLIKELY(ports)) {
        measure_batch__(ports, batch, port_no, true);
    }
}

void measure_port_added(const void *dp, odp_port_t, const char *name);
void measure_thread_added(const void *dp, struct pmd_perf_stats *,
                          unsigned int core_id, int numa_id);
void measure_thread_removed(struct pmd_perf_stats *);

#endif /* dpif-netdev-measure.h */
