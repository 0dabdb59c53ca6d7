/* SPDX-License-Identifier: Apache-2.0 */
/* Ends chains after some packets: --count. */

#include <config.h>

#include "stream-stop-after.h"

#include "base/measure-number.h"

struct stop_after {
    struct measure_stage stage;
    uint64_t n;
    uint64_t chain;
};

/* Packets that came to each chain.  Atomic: replicas share it. */
static uint64_t taken[STREAM_MAX_CHAINS];
/* Chains that have had their packets.  Atomic. */
static size_t n_stopped;

static char *
stop_after_set(struct measure_stage *stage, const char *name,
               const char *value)
{
    struct stop_after *s = MEASURE_STAGE_CAST(struct stop_after, stage);
    bool is_chain = name && !strcmp(name, "chain");

    if (!measure_integer_parse(value, is_chain ? 0 : 1,
                               is_chain ? STREAM_MAX_CHAINS - 1 : INT64_MAX,
                               is_chain ? &s->chain : &s->n)) {
        return measure_format("\"%s\" is not a number of packets", value);
    }
    return NULL;
}

static void
stop_after_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct stop_after *s = MEASURE_STAGE_CAST(struct stop_after, stage);

    batch->n = stream_take(s->chain, s->n, batch->n);
}

/* Takes 'n' packets for 'chain', which wants 'wanted' in all.  Returns how
 * many of them it still wants. */
uint64_t
stream_take(uint64_t chain, uint64_t wanted, uint64_t n)
{
    uint64_t before;

    if (!n) {
        return 0;
    }
    before = __atomic_fetch_add(&taken[chain], n, __ATOMIC_RELAXED);
    if (before >= wanted) {
        return 0;
    }
    if (n >= wanted - before) {
        n = wanted - before;
        __atomic_fetch_add(&n_stopped, 1, __ATOMIC_RELAXED);
    }
    return n;
}

/* Returns true if 'n_chains' chains have had all packets that they want. */
bool
stream_all_stopped(size_t n_chains)
{
    return __atomic_load_n(&n_stopped, __ATOMIC_RELAXED) >= n_chains;
}

static const struct measure_stage_argument stop_after_arguments[] = {
    { "n", "NUMBER", "packets to let through" },
    { "chain", "NUMBER", "whose packets are counted" },
    { NULL, NULL, NULL },
};

const struct measure_stage_class stream_stop_after = {
    .name = "stop-after",
    .summary = "let the first packets through",
    .arguments = stop_after_arguments,
    .hidden = true,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct stop_after),
    .set = stop_after_set,
    .packets = stop_after_packets,
};
