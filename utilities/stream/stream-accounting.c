/* SPDX-License-Identifier: Apache-2.0 */
/* What the marks of rings say: --accounting. */

#include <config.h>

#include "stream-accounting.h"

#include <inttypes.h>
#include <stdlib.h>

#include "stream-message.h"

struct ring {
    bool begun;                 /* There was a mark. */
    struct measure_mark last;   /* Zeros before the first. */
    uint64_t received;          /* Since that one. */
};

struct accounting {
    struct measure_stage stage;
    struct ring *rings;         /* By number of the source. */
    size_t n_rings;
};

static struct ring *
find_ring(struct measure_stage *stage, uint32_t source)
{
    struct accounting *a = MEASURE_STAGE_CAST(struct accounting, stage);

    if (source >= a->n_rings) {
        size_t n = source + 16;

        a->rings = measure_xrealloc(a->rings, n * sizeof *a->rings);
        memset(a->rings + a->n_rings, 0,
               (n - a->n_rings) * sizeof *a->rings);
        a->n_rings = n;
    }
    return &a->rings[source];
}

static void
accounting_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    find_ring(stage, batch->source)->received += batch->n;
}

static void
accounting_mark(struct measure_stage *stage, const struct measure_batch *batch,
                const struct measure_mark *mark)
{
    struct ring *ring = find_ring(stage, batch->source);
    const struct measure_mark *last = &ring->last;
    uint64_t first_epoch = ring->begun ? last->epoch + 1 : mark->epoch;
    uint64_t offered = mark->offered - last->offered;
    uint64_t filtered = mark->filtered - last->filtered;
    uint64_t dropped = mark->dropped - last->dropped;
    uint64_t records = mark->records - last->records;
    char *text = NULL;

    if (batch->core_id == UINT32_MAX) {
        measure_append(&text, "main thread, ");
    } else {
        measure_append(&text, "core %"PRIu32", ", batch->core_id);
    }
    if (first_epoch < mark->epoch) {
        measure_append(&text, "epochs %"PRIu64" to %"PRIu64": ", first_epoch,
                       mark->epoch);
    } else {
        measure_append(&text, "epoch %"PRIu64": ", mark->epoch);
    }
    measure_append(&text, "offered %"PRIu64" %s records %"PRIu64
                   " + filtered %"PRIu64" + dropped %"PRIu64, offered,
                   offered == records + filtered + dropped ? "=" : "!=",
                   records, filtered, dropped);
    if (ring->received != records) {
        measure_append(&text, "; received %"PRIu64, ring->received);
    }
    if (mark->marks_lost != last->marks_lost) {
        measure_append(&text, "; marks lost %"PRIu64,
                       mark->marks_lost - last->marks_lost);
    }
    measure_append(&text, "%s\n", mark->end ? "; end" : "");
    stream_print(text);
    free(text);

    ring->begun = true;
    ring->last = *mark;
    ring->received = 0;
}

static void
accounting_ring(struct measure_stage *stage, uint32_t source)
{
    memset(find_ring(stage, source), 0, sizeof(struct ring));
}

static void
accounting_destroy(struct measure_stage *stage)
{
    free(MEASURE_STAGE_CAST(struct accounting, stage)->rings);
}

const struct measure_stage_class stream_accounting = {
    .name = "accounting",
    .summary = "say what became of the packets of each thread and epoch",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct accounting),
    .packets = accounting_packets,
    .mark = accounting_mark,
    .ring = accounting_ring,
    .destroy = accounting_destroy,
};
