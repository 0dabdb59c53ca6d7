/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the ring of DPDK. */

#ifndef BENCH_PEER_RTE_RING_H
#define BENCH_PEER_RTE_RING_H 1

#include "contender.h"

extern const struct bench_contender bench_ring_rte;

#endif /* bench/library/peer-rte-ring.h */
