/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the ring of Concurrency Kit. */

#ifndef BENCH_PEER_CK_H
#define BENCH_PEER_CK_H 1

#include "contender.h"

extern const struct bench_contender bench_ring_ck;

/* What it was built with, or "none". */
const char *bench_ck_version(void);

#endif /* bench/library/peer-ck.h */
