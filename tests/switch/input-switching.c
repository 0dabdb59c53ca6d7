/* SPDX-License-Identifier: Apache-2.0 */
/* Switches the input function of a packet thread at the worst moment. */

/* Linked into the ovs-vswitchd of one test: switches the input function of a
 * packet thread at the worst moment, when the hook of received batches has
 * decided by it how to count, and Open vSwitch is about to read it.
 *
 * The other function takes the place of the AVX512 input, which few builds
 * have: it has none of our hooks.  It drops its packets, so that the test
 * can tell which of the two had them.
 *
 * Of three batches, the hook finds Open vSwitch's own function for the first
 * and the other one for the second and third; before Open vSwitch reads it, it
 * is switched for the first and the third. */

#include <config.h>

#include "dpif-netdev-measure.h"
#if __has_include("dpif-netdev-private-thread.h")
#include "dpif-netdev-private-thread.h"
#define HAVE_INPUT_FUNC
#endif

bool __real_measure_batch__(struct pmd_perf_stats *,
                            const struct measure_ports *,
                            struct dp_packet_batch *, odp_port_t);
bool __wrap_measure_batch__(struct pmd_perf_stats *,
                            const struct measure_ports *,
                            struct dp_packet_batch *, odp_port_t);

#ifdef HAVE_INPUT_FUNC
static int32_t
other_input(struct dp_netdev_pmd_thread *pmd OVS_UNUSED,
            struct dp_packet_batch *batch, odp_port_t port_no OVS_UNUSED)
{
    dp_packet_delete_batch(batch, true);
    return 0;
}

static void
switch_input(struct pmd_perf_stats *perf)
{
    static unsigned int n_batches;
    struct dp_netdev_pmd_thread *pmd
        = CONTAINER_OF(perf, struct dp_netdev_pmd_thread, perf_stats);

    switch (n_batches++ % 3) {
    case 0:
        atomic_store_relaxed(&pmd->netdev_input_func, other_input);
        break;
    case 2:
        atomic_store_relaxed(&pmd->netdev_input_func, dp_netdev_input);
        break;
    }
}
#else
static void
switch_input(struct pmd_perf_stats *perf OVS_UNUSED)
{
}
#endif

bool
__wrap_measure_batch__(struct pmd_perf_stats *perf,
                       const struct measure_ports *ports,
                       struct dp_packet_batch *batch, odp_port_t port_no)
{
    bool done = __real_measure_batch__(perf, ports, batch, port_no);

    switch_input(perf);
    return done;
}
