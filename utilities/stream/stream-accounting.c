/* SPDX-License-Identifier: Apache-2.0 */
/* What the marks of rings say: --accounting. */

#include <config.h>

#include "stream-accounting.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/measure-number.h"
#include "stream-message.h"
#include "stream-stop-after.h"

struct ring {
    bool begun;                 /* There was a mark. */
    struct measure_mark last;   /* Zeros before the first. */
    uint64_t received;          /* Since that one. */
};

struct accounting {
    struct measure_stage stage;
    bool any;                   /* There was a mark. */
    bool of_file;               /* Which may have less than the switch had. */
    uint64_t wanted;            /* Packets; 0 for all... */
    uint64_t accounted;         /* ...of which marks have come for so many. */
    struct ring *rings;         /* By number. */
    size_t n_rings;
};

static char *
accounting_set(struct measure_stage *stage, const char *name,
               const char *value)
{
    struct accounting *a = MEASURE_STAGE_CAST(struct accounting, stage);

    if (!strcmp(name, "n")) {
        return (measure_integer_parse(value, 1, INT64_MAX, &a->wanted) ? NULL
                : measure_format("\"%s\" is not a number of packets", value));
    }
    a->of_file = !strcmp(value, "file");
    return a->of_file ? NULL : measure_format("valid is file");
}

static struct ring *
find_ring(struct measure_stage *stage, uint32_t number)
{
    struct accounting *a = MEASURE_STAGE_CAST(struct accounting, stage);

    if (number >= a->n_rings) {
        size_t n = number + 16;

        a->rings = measure_xrealloc(a->rings, n * sizeof *a->rings);
        memset(a->rings + a->n_rings, 0,
               (n - a->n_rings) * sizeof *a->rings);
        a->n_rings = n;
    }
    return &a->rings[number];
}

static void
accounting_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    find_ring(stage, batch->ring)->received += batch->n;
}

static void
accounting_mark(struct measure_stage *stage, const struct measure_batch *batch,
                const struct measure_mark *mark)
{
    struct accounting *a = MEASURE_STAGE_CAST(struct accounting, stage);
    struct ring *ring = find_ring(stage, batch->ring);
    const struct measure_mark *last = &ring->last;
    uint64_t first_epoch = ring->begun ? last->epoch + 1 : mark->epoch;
    uint64_t offered = mark->offered - last->offered;
    uint64_t filtered = mark->filtered - last->filtered;
    uint64_t dropped = mark->dropped - last->dropped;
    uint64_t records = mark->records - last->records;
    char *text = NULL;

    a->any = true;
    if (a->wanted && a->accounted >= a->wanted) {
        return;                 /* The program ends. */
    }
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
        measure_append(&text, "; %s %"PRIu64,
                       a->of_file ? "in this file" : "received",
                       ring->received);
    }
    if (mark->marks_lost != last->marks_lost) {
        measure_append(&text, "; marks lost %"PRIu64,
                       mark->marks_lost - last->marks_lost);
    }
    measure_append(&text, "%s\n", mark->end ? "; end" : "");
    stream_print(text);
    free(text);

    if (a->wanted) {
        a->accounted += ring->received;
        stream_take(0, a->wanted, ring->received);
    }
    ring->begun = true;
    ring->last = *mark;
    ring->received = 0;
}

static void
accounting_ring(struct measure_stage *stage, uint32_t number)
{
    memset(find_ring(stage, number), 0, sizeof(struct ring));
}

static char *
accounting_close(struct measure_stage *stage)
{
    struct accounting *a = MEASURE_STAGE_CAST(struct accounting, stage);

    return (!a->of_file || a->any ? NULL
            : measure_format("--accounting: the file has no marks, like one "
                             "that was made of a capture: nothing to account "
                             "for"));
}

static void
accounting_destroy(struct measure_stage *stage)
{
    free(MEASURE_STAGE_CAST(struct accounting, stage)->rings);
}

static const struct measure_stage_argument accounting_arguments[] = {
    { "of", "file", "the packets are those of a record file" },
    { "n", "NUMBER", "packets after which it is the end" },
    { NULL, NULL, NULL },
};

const struct measure_stage_class stream_accounting = {
    .name = "accounting",
    .summary = "say what became of the packets of each thread and epoch",
    .arguments = accounting_arguments,
    .hidden = true,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct accounting),
    .set = accounting_set,
    .packets = accounting_packets,
    .mark = accounting_mark,
    .ring = accounting_ring,
    .close = accounting_close,
    .destroy = accounting_destroy,
};
