/* SPDX-License-Identifier: Apache-2.0 */
/* A contender: Open vSwitch's concurrent hash map. */

#ifndef BENCH_PEER_CMAP_H
#define BENCH_PEER_CMAP_H 1

#include "contender.h"

extern const struct bench_contender bench_cmap;

/* What it was built with, or "none". */
const char *bench_ovs_version(void);

#endif /* bench/library/peer-cmap.h */
