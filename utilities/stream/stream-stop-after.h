/* SPDX-License-Identifier: Apache-2.0 */
/* Ends chains after some packets: --count. */

#ifndef STREAM_STOP_AFTER_H
#define STREAM_STOP_AFTER_H 1

#include "stream/measure-stage.h"

/* Ending chains after some packets
 * ================================
 *
 * A stage, which main puts into each chain: 'stop-after n=N chain=C'.  It lets
 * the first N packets of the chain through, whichever of its replicas they
 * come to.  When each chain has had its packets, the program ends.
 *
 * Thread safety: as all stages; the functions any thread. */

#define STREAM_MAX_CHAINS 16

extern const struct measure_stage_class stream_stop_after;

uint64_t stream_take(uint64_t chain, uint64_t wanted, uint64_t n);
bool stream_all_stopped(size_t n_chains);

#endif /* stream-stop-after.h */
