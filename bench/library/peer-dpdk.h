/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: what DPDK offers for counting. */

#ifndef BENCH_PEER_DPDK_H
#define BENCH_PEER_DPDK_H 1

#include "contender.h"

extern const struct bench_contender bench_rte_hash_bulk;
extern const struct bench_contender bench_rte_member[4];

/* What it was built with, or "none". */
const char *bench_dpdk_version(void);

#endif /* bench/library/peer-dpdk.h */
