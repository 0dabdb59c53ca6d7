/* SPDX-License-Identifier: Apache-2.0 */
/* Says so if there are no headers: --headers. */

#include <config.h>

#include "stream-expect-headers.h"

#include "stream-message.h"

/* Replicas say it once together.  Atomic. */
static bool said;

static void
expect_headers_packets(struct measure_stage *stage,
                       struct measure_batch *batch)
{
    (void) stage;
    if (batch->n
        && !(batch->records[0]->words[2] & MEASURE_SLOT_HAS_HEADERS)
        && !__atomic_exchange_n(&said, true, __ATOMIC_RELAXED)) {
        stream_say("there are no headers: the switch sends them while the "
                   "bridge has other_config:measure-stream-headers=true");
    }
}

const struct measure_stage_class stream_expect_headers = {
    .name = "expect-headers",
    .summary = "say so if packets have no headers",
    .hidden = true,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct measure_stage),
    .packets = expect_headers_packets,
};
